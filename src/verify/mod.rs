//! The goal judged on a fresh look: has the content landed, is the rollout
//! complete, does the service serve; and the triggers that ask for a rollback. Pure.

mod goal;
mod guard;
mod landing;
mod proof;
mod removal;
mod triggers;

pub use goal::{Baseline, Goals, branch_check, goal};
pub use guard::{Guard, guard_check};
pub use landing::{Landing, Relation, judge_landing, judge_maker, judge_set};
pub use proof::{Renderings, proof};
pub use removal::{judge_pruned, removal_check};
pub use triggers::{Advice, Metrics, Signals, Texts, Trigger, triggers};
