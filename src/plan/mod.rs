//! The decision as a value: a plan that can be printed, saved, hashed and
//! executed, or a refusal that names what blocks it.
//!
//! Pure: observation, timeline and request in, plan or refusal out. Nothing is
//! left to choose at execution.

mod adopt;
mod along;
mod argo;
mod assemble;
mod blockers;
mod build;
pub mod cron;
mod direct;
mod document;
pub mod fleet;
mod git_route;
mod hold;
mod intent;
mod ladder;
mod later;
mod live;
mod message;
mod provenance;
mod removal;
mod request;
mod restore;
mod revert;
mod sources;
mod steps;
mod target;
#[cfg(test)]
mod tests;
pub mod windows;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use build::{Decision, EditedFile, Prepared, build};
pub use hold::{PlannedAutomation, PlannedHold};
pub use ladder::ladder_of;
pub use message::{Trailers, commit_message};
pub use request::{Allow, Goal, Intent, Only, Request, Route, To, Variable, parse_to};
pub use revert::{FieldUndo, PlannedUndo};
pub use target::bad_release;

pub use crate::model::Blocker;
use crate::model::{DocumentIndex, PlanId, Removal, SideChange, Verdict, WorkloadKind};
use crate::timeline::Grade;

/// The version of the JSON shapes.
pub const API_VERSION: &str = "unship/v1";

/// One state of a target: what it runs and which commit says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// The image, as written; empty when nothing is known.
    pub image: String,
    /// The commit's full id, when Git knows it.
    pub commit: Option<String>,
}

/// The state to go back to, and why it is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GoodRelease {
    /// The image.
    pub image: String,
    /// The commit.
    pub commit: Option<String>,
    /// The grade.
    pub grade: Grade,
    /// Why that grade.
    pub reason: String,
}

/// A later commit inside the pod template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LaterWork {
    /// The commit's full id.
    pub commit: String,
    /// Its author's name.
    pub author: String,
    /// Its subject.
    pub subject: String,
    /// The fields of the pod template that it changed.
    pub fields: Vec<String>,
    /// Whether the plan takes it back (else it is kept).
    pub taken_back: bool,
    /// Whether it only shipped a release (images and what names their tag).
    pub release: bool,
}

/// One workload of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Kind.
    #[schemars(with = "String")]
    pub kind: WorkloadKind,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// What Git has now.
    pub from: Release,
    /// What it will have.
    pub to: GoodRelease,
    /// Later commits inside the pod template.
    pub later_work: Vec<LaterWork>,
    /// What the bad release changed besides, and that stays as it is.
    pub left: Vec<SideChange>,
    /// Newer candidates that were passed over, with the reason.
    pub skipped: Vec<String>,
    /// Fields that the plan puts back.
    pub fields: Vec<String>,
    /// The file.
    pub file: String,
    /// The document in it.
    pub document: DocumentIndex,
    /// Line of the document's pod template in the file at the tip.
    pub line: usize,
    /// The Application, if Argo CD manages the target.
    pub application: Option<String>,
    /// The ReplicaSet or ControllerRevision whose template is put back, on the direct
    /// route.
    pub replica_set: Option<String>,
    /// The entry of Argo CD's history that is synced again, on Argo CD's route.
    pub history_id: Option<i64>,
    /// Replicas before and after, where they change.
    pub replicas: Option<(i64, i64)>,
    /// What becomes of the object, where its document is taken out of Git.
    #[serde(default)]
    pub removal: Option<Removal>,
}

/// One way of acting, and whether it can be gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rung {
    /// `git`, `request`, ...
    pub route: String,
    /// `chosen`, `possible` or `closed`.
    pub verdict: String,
    /// Why.
    pub reason: String,
}

/// One file of a planned commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedFile {
    /// Path from the repository's root.
    pub path: String,
    /// Unified diff; environment values are masked.
    pub diff: String,
    /// SHA-256 of the file before; empty where there is none.
    pub before: String,
    /// SHA-256 of the file after; empty where the file is removed.
    pub after: String,
}

/// One planned commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedCommit {
    /// Repository URL, without credentials.
    pub repository: String,
    /// Branch.
    pub branch: String,
    /// The tip that the plan was made from.
    pub parent: String,
    /// The message, without trailers.
    pub message: String,
    /// The files.
    pub files: Vec<PlannedFile>,
}

/// What a program that Argo CD renders with, run here, says about the commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedProof {
    /// Whether the rendered objects differ exactly as planned; never `fails`, as such a plan is
    /// refused.
    pub verdict: Verdict,
    /// Which program, and what it rendered; or why there is no proof.
    pub evidence: String,
}

/// A commit of the code that is reverted in its own repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedRevert {
    /// Repository URL, without credentials.
    pub repository: String,
    /// Where its clone is.
    pub clone: String,
    /// Name of the remote in that clone.
    pub remote: String,
    /// The branch that gets the revert.
    pub branch: String,
    /// The tip that the plan was made from.
    pub parent: String,
    /// The commit that is reverted, in full.
    pub commit: String,
    /// Its subject.
    pub subject: String,
    /// What changes. The files' texts are not shown.
    pub files: Vec<RevertedFile>,
}

/// One file of a planned revert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevertedFile {
    /// Path from the repository's root.
    pub path: String,
    /// SHA-256 of the file before; empty where there is none.
    pub before: String,
    /// SHA-256 of the file after; empty where the file is removed.
    pub after: String,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Save logs, events and objects before anything changes.
    Capture,
    /// Write the file in the work tree.
    Edit,
    /// Make the commit in the object database.
    Commit,
    /// Have Argo CD render it from a side branch.
    Prove,
    /// Push it as a plain fast-forward.
    Push,
    /// Wait until Argo CD has that content live.
    Land,
    /// Wait until the rollout is complete.
    Rollout,
    /// Judge the goal on a fresh observation.
    Verify,
    /// End an operation of Argo CD that is in the way.
    Terminate,
    /// Have Argo CD sync this object.
    Sync,
    /// Have Argo CD sync an earlier entry of its history.
    Rollback,
    /// Suspend automated sync.
    Suspend,
    /// Give automated sync back.
    GiveBack,
    /// Patch the live object.
    Patch,
    /// Set the number of replicas.
    Scale,
    /// Scale to zero.
    ScaleDown,
    /// Scale to the number before.
    ScaleUp,
    /// Make Git agree with what runs.
    Settle,
    /// Put a failure on record.
    Record,
}

impl Action {
    /// The step's id, the same in every plan.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Edit => "edit",
            Self::Commit => "commit",
            Self::Prove => "prove",
            Self::Push => "push",
            Self::Land => "land",
            Self::Rollout => "rollout",
            Self::Verify => "verify",
            Self::Terminate => "terminate",
            Self::Sync => "sync",
            Self::Rollback => "rollback",
            Self::Suspend => "suspend",
            Self::GiveBack => "giveBack",
            Self::Patch => "patch",
            Self::Scale => "scale",
            Self::ScaleDown => "scaleDown",
            Self::ScaleUp => "scaleUp",
            Self::Settle => "settle",
            Self::Record => "record",
        }
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Its id.
    pub id: String,
    /// What it does.
    pub action: Action,
    /// What must hold before it.
    pub requires: String,
    /// What holds after it; a step whose `ensures` already holds is done.
    pub ensures: String,
    /// How long it may take, in seconds.
    pub deadline_seconds: i64,
}

/// A complete decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// `unship/v1`.
    pub api_version: String,
    /// `Plan`.
    pub kind: String,
    /// Hash of the plan.
    pub plan_id: PlanIdText,
    /// Hash of what the plan does, whatever the branch's tip is meanwhile.
    pub effect_id: String,
    /// The workloads.
    pub targets: Vec<Target>,
    /// What is done: `rollback`, `scale`, `set image`, ...
    pub intent: String,
    /// The chosen route.
    pub route: String,
    /// All routes with their verdicts.
    pub rungs: Vec<Rung>,
    /// The commits; empty when Git already has the target state.
    pub commits: Vec<PlannedCommit>,
    /// What a program on the `PATH` says about the commit, where the target is rendered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<PlannedProof>,
    /// What a revert takes back, file by file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undo: Vec<PlannedUndo>,
    /// Tools that will, or may, set the image again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub automation: Vec<PlannedAutomation>,
    /// The tools that the commit stops, or lets go on again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<PlannedHold>,
    /// A commit of the code that is reverted once the canary is out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<PlannedRevert>,
    /// The patch of the live object as a unified diff; environment values are masked.
    pub patch: Option<String>,
    /// Every write to the cluster and to Argo CD that the steps may send, each as verb,
    /// resource and place: `patch deployments.apps mcp/zai-proxy`.
    pub writes: Vec<String>,
    /// What Git still has to be told after the cluster was changed.
    pub debts: Vec<String>,
    /// Hash of what Git's part does, on another route.
    pub git_effect_id: Option<String>,
    /// The steps.
    pub steps: Vec<Step>,
    /// What should be known before saying yes.
    pub warnings: Vec<String>,
    /// Who agreed.
    pub approvals: Vec<String>,
    /// What will be checked at the end.
    pub goal: Vec<String>,
    /// What was asked for, so that the plan can be made again.
    #[schemars(with = "serde_json::Value")]
    pub request: Request,
    /// Exit code of the command that printed this.
    pub exit_code: u8,
}

/// A plan id in JSON.
pub type PlanIdText = String;

impl Plan {
    /// Whether the plan's id fits its content: a plan file that was edited is refused.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        assemble::plan_id(self) == self.plan_id
    }

    /// Notes the effect of Git's part; the plan's id follows.
    fn with_git_part(&mut self, effect_id: Option<String>) {
        self.git_effect_id = effect_id;
        self.plan_id = assemble::plan_id(self);
    }

    /// Notes what a revert takes back, and the request that it was asked with; the plan's id
    /// follows.
    fn note_undo(&mut self, request: Request, undo: Vec<PlannedUndo>) {
        self.request = request;
        self.undo = undo;
        self.plan_id = assemble::plan_id(self);
    }

    /// Notes what a program says about the commit; the plan's id follows.
    pub(crate) fn note_proof(&mut self, verdict: Verdict, evidence: String) {
        self.proof = Some(PlannedProof { verdict, evidence });
        self.plan_id = assemble::plan_id(self);
    }

    /// Adds a revert of the code; the plan's id follows.
    pub(crate) fn revert_code(&mut self, code: PlannedRevert) {
        self.code = Some(code);
        self.plan_id = assemble::plan_id(self);
    }

    /// Notes what should be known before saying yes; the plan's id follows.
    pub(crate) fn warn(&mut self, text: String) {
        self.warnings.push(text);
        self.plan_id = assemble::plan_id(self);
    }

    /// Allows a port-forward to the target's pods while evidence is saved: authorization
    /// counts it as a `create`, so it stands among the writes. The plan's id follows.
    pub(crate) fn may_forward(&mut self) {
        let Some(target) = self.targets.first() else {
            return;
        };
        self.writes
            .push(forward_write(&target.namespace, &target.name));
        self.plan_id = assemble::plan_id(self);
    }

    /// Whether the plan allows that.
    #[must_use]
    pub fn forwards(&self) -> bool {
        let of = |target: &Target| forward_write(&target.namespace, &target.name);
        let wanted = self.targets.first().map(of);
        wanted.is_some_and(|wanted| self.writes.contains(&wanted))
    }

    /// What becomes of the object, where its document is taken out of Git.
    #[must_use]
    pub fn removal(&self) -> Option<Removal> {
        self.targets.first().and_then(|target| target.removal)
    }

    /// Whether a step does this.
    #[must_use]
    pub fn has(&self, action: Action) -> bool {
        self.steps.iter().any(|step| step.action == action)
    }

    /// Whether anything would be changed.
    #[must_use]
    pub fn acts(&self) -> bool {
        !self.commits.is_empty() || !self.writes.is_empty() || self.code.is_some()
    }

    /// Whether the change goes through Git first.
    #[must_use]
    pub fn is_through_git(&self) -> bool {
        self.route == Route::Git.word()
    }

    /// Whether the cluster is changed where Git takes too long.
    #[must_use]
    pub fn is_emergency(&self) -> bool {
        self.is_through_git() && self.has(Action::Patch)
    }

    /// The plan's id.
    #[must_use]
    pub fn id(&self) -> PlanId {
        PlanId(self.plan_id.clone())
    }
}

/// A port-forward to the pods of a workload, in the words of [`Plan::writes`].
#[must_use]
pub fn forward_write(namespace: &str, name: &str) -> String {
    format!("create pods/portforward {namespace}/{name}-*")
}

/// Something that is unknown and must be known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unknown {
    /// A stable word for programs.
    pub id: String,
    /// What is unknown.
    pub message: String,
    /// Why.
    pub reason: String,
}

/// Why there is no safe plan. A result, not an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// What blocks.
    pub blockers: Vec<Blocker>,
    /// What is unknown.
    pub unknown: Vec<Unknown>,
}

impl Refusal {
    /// A refusal for one blocker.
    #[must_use]
    pub fn one(blocker: Blocker) -> Self {
        Self {
            blockers: vec![blocker],
            unknown: Vec::new(),
        }
    }

    /// The first reason, for one sentence.
    #[must_use]
    pub fn first_words(&self) -> String {
        let blocker = self.blockers.first().map(|blocker| blocker.message.clone());
        let unknown = || {
            self.unknown
                .first()
                .map(|u| format!("{}: {}", u.message, u.reason))
        };
        blocker.or_else(unknown).unwrap_or_default()
    }

    /// Whether nothing blocks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blockers.is_empty() && self.unknown.is_empty()
    }
}
