//! unship rolls back what is running, through Git.
//!
//! One pipeline: observe, timeline, plan, execute, verify, report. Data flows one
//! way and every subcommand is a prefix of it. What decides is pure; what acts is thin.

pub mod argocd;
pub mod automation;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod execute;
pub mod exit;
pub mod git;
pub mod manifest;
pub mod model;
pub mod observe;
pub mod plan;
mod process;
pub mod programs;
pub mod provenance;
mod remember;
pub mod report;
pub mod sandbox;
pub mod signals;
pub mod timeline;
pub mod tracker;
pub mod verify;
