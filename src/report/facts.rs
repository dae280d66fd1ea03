//! Everything that a record says about a target, as plain data: what templates see.

use jiff::Timestamp;
use serde::Serialize;

use super::status::TargetStatus;
use super::ways::{HandedOver, Way};
use crate::model::{AccessAnswer, Blocker, Check};
use crate::plan::{LaterWork, PlannedFile, Release, Rung, Unknown};

/// What only the caller knows.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Why, in a person's words.
    pub reason: Option<String>,
    /// `--to`, where it was given.
    pub wanted: Option<String>,
    /// After how many seconds the record says nothing any more.
    pub expires_seconds: Option<i64>,
    /// Rights that were asked.
    pub rights: Vec<AccessAnswer>,
    /// Judged conditions: that production is untouched, or a run's own checks.
    pub checks: Vec<Check>,
    /// What was done.
    pub actions: Vec<String>,
    /// Measured values: `5xx 12 % over 5 min`.
    pub measurements: Vec<String>,
    /// Where the evidence is.
    pub evidence: Option<String>,
    /// A commit that waits for a human.
    pub handed_over: Option<HandedOver>,
    /// What a run took back. Afterwards neither Git nor the cluster says it for sure.
    pub from: Option<Release>,
}

/// One release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseFacts {
    /// Its image; empty when none is known.
    pub image: String,
    /// The tag without a leading `v`, else the digest's beginning.
    pub version: String,
    /// The commit's full id.
    pub commit: Option<String>,
    /// The commit's author.
    pub author: Option<String>,
    /// The commit's subject.
    pub subject: Option<String>,
    /// When it went live.
    pub live_from: Option<Timestamp>,
    /// The number of its ReplicaSet.
    pub rollout_revision: Option<i64>,
    /// Argo CD's history id.
    pub history_id: Option<i64>,
    /// Grade: `proven`, `likely`, `unknown` or `contradicted`.
    pub grade: String,
    /// Why that grade.
    pub grade_reason: String,
}

/// One pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodFacts {
    /// Its name.
    pub name: String,
    /// Its phase, or `Terminating`.
    pub phase: String,
    /// Whether it is ready.
    pub ready: bool,
    /// Restarts of all containers.
    pub restarts: i64,
    /// The image of its first container.
    pub image: String,
    /// Why it does not run.
    pub problems: Vec<String>,
}

/// What a rollback would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanFacts {
    /// The plan.
    pub id: String,
    /// Its route.
    pub route: String,
    /// The repository, without credentials.
    pub repository: String,
    /// The branch.
    pub branch: String,
    /// The tip that it was made from.
    pub parent: String,
    /// The files with their diffs, values masked; none when Git has the state already.
    pub files: Vec<PlannedFile>,
    /// Later commits inside the pod template.
    pub later_work: Vec<LaterWork>,
    /// What should be known.
    pub warnings: Vec<String>,
    /// The routes.
    pub rungs: Vec<Rung>,
}

/// Everything that a record says.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// The workload's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// `deployment/zai-proxy`.
    pub target: String,
    /// The API server, without credentials.
    pub server: String,
    /// When it was looked at.
    pub at: Timestamp,
    /// Until when this is worth acting on.
    pub expires_at: Option<Timestamp>,
    /// The same as a duration in words.
    pub expires_after: Option<String>,
    /// The key of the incident, the same for every call about it.
    pub incident: String,
    /// Why, in a person's words.
    pub reason: Option<String>,
    /// `--to`, where it was given.
    pub wanted: Option<String>,
    /// The release that is complained of.
    pub bad: ReleaseFacts,
    /// The release to go back to.
    pub good: Option<ReleaseFacts>,
    /// What is wrong, in sentences.
    pub symptoms: Vec<String>,
    /// Measured values.
    pub measurements: Vec<String>,
    /// What serves, what runs, who ships it: as in `unship status -o json`.
    pub status: TargetStatus,
    /// The pods, those that are not ready first; none where they could not be read.
    pub pods: Option<Vec<PodFacts>>,
    /// The newest releases.
    pub history: Vec<ReleaseFacts>,
    /// What a rollback would do, where there is a safe plan.
    pub plan: Option<PlanFacts>,
    /// Why there is no safe plan.
    pub blockers: Vec<Blocker>,
    /// What is unknown and would have to be known.
    pub unknown: Vec<Unknown>,
    /// Rights that this identity does not have, or that are unknown.
    pub denied: Vec<AccessAnswer>,
    /// Judged conditions.
    pub checks: Vec<Check>,
    /// What was done.
    pub actions: Vec<String>,
    /// Where the evidence is.
    pub evidence: Option<String>,
    /// A commit that waits for a human.
    pub handed_over: Option<HandedOver>,
    /// Commands for a person with the rights.
    pub ways: Vec<Way>,
    /// What could not be read.
    pub gaps: Vec<String>,
}
