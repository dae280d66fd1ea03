//! The goal judged on a fresh look: has the content landed, is the rollout
//! complete, does the service serve. Pure.

mod goal;
mod landing;

pub use goal::{Baseline, branch_check, goal};
pub use landing::{Landing, Relation, judge_landing};
