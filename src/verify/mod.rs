//! The goal judged on a fresh look: has the content landed, is the rollout
//! complete, does the service serve. Pure.

mod goal;
mod guard;
mod landing;
mod proof;
mod removal;

pub use goal::{Baseline, Goals, branch_check, goal};
pub use guard::{Guard, guard_check};
pub use landing::{Landing, Relation, judge_landing};
pub use proof::proof;
pub use removal::{judge_pruned, removal_check};
