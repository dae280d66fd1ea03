//! Everything that was read about one target, and what could not be read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Application, AutomationView, Blocker, Change, ClusterEvent, Commit, CommitId, Elsewhere,
    Endpoint, Hpa, Lands, ObjectRef, Pod, PodTemplate, Project, ReplicaSet, Rights, Sourcing,
    TreeNode, Workload, WorkloadRef,
};

/// Why a read gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum GapReason {
    /// The identity may not read it.
    Forbidden,
    /// The identity was not accepted (no token, expired token).
    Unauthenticated,
    /// It is not there.
    NotFound,
    /// No answer within the time limit.
    TimedOut,
    /// Nobody answered, or the connection broke.
    Unreachable,
    /// An answer that could not be understood, or an error of the server.
    Invalid,
    /// There is nothing configured to ask.
    NotConfigured,
}

/// Something that could not be read, and why. A gap is never taken for "nothing there".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    /// What was to be read, in words: `pods in namespace mcp`.
    pub what: String,
    /// Why not.
    pub reason: GapReason,
    /// The upstream's own words, without secrets.
    pub message: String,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} could not be read: {}", self.what, self.message)
    }
}

/// One look at a target from all sides.
#[derive(Debug, Clone)]
pub struct Observation {
    /// When the look began.
    pub at: Timestamp,
    /// The workload looked at.
    pub target: WorkloadRef,
    /// The cluster's side.
    pub cluster: ClusterView,
    /// Argo CD's side.
    pub argocd: ArgoView,
    /// Git's side.
    pub git: Option<GitView>,
    /// Whether the user's git signs commits.
    pub signs_commits: Option<bool>,
    /// What the identity may do to the target and its Application.
    pub rights: Rights,
    /// Why no document could be taken as the target's source.
    pub source_blockers: Vec<Blocker>,
    /// What is known of tools that set images by themselves.
    pub automation: AutomationView,
    /// What could not be read.
    pub gaps: Vec<Gap>,
}

/// What the cluster shows. `None` stands for a gap, never for "empty".
#[derive(Debug, Clone, Default)]
pub struct ClusterView {
    /// The API server, without credentials.
    pub server: String,
    /// The workload.
    pub workload: Option<Workload>,
    /// Its ReplicaSets or ControllerRevisions.
    pub replica_sets: Option<Vec<ReplicaSet>>,
    /// Its pods, by owner reference.
    pub pods: Option<Vec<Pod>>,
    /// Recent warning events about it, its ReplicaSets and pods.
    pub events: Option<Vec<ClusterEvent>>,
    /// Endpoints of the Services in its namespace.
    pub endpoints: Option<Vec<Endpoint>>,
    /// Autoscalers that scale it.
    pub hpas: Option<Vec<Hpa>>,
}

/// What Argo CD shows.
#[derive(Debug, Clone, Default)]
pub struct ArgoView {
    /// The Application's name from the workload's tracking id or from the caller,
    /// also where the Application itself cannot be read.
    pub application_name: Option<String>,
    /// The Application.
    pub application: Option<Application>,
    /// Its AppProject.
    pub project: Option<Project>,
    /// Its resource tree.
    pub tree: Option<Vec<TreeNode>>,
    /// Where it was read from: `Argo CD at https://...` or `Application objects in Kubernetes`.
    pub via: Option<String>,
    /// Index of the source that holds the target's manifest.
    pub source: usize,
}

/// Where in a file a Kubernetes object stands: index of the document in the stream,
/// and of the item when that document is a List.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DocumentIndex {
    /// Index of the document.
    pub document: usize,
    /// Index in the List's items.
    pub item: Option<usize>,
}

/// How far a history walk came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HistoryEnd {
    /// To the file's beginning.
    Root,
    /// It stopped because the answer was known.
    Stopped,
    /// To the edge of a shallow clone: there is more that is not here.
    Shallow,
}

/// What Git shows.
#[derive(Debug, Clone)]
pub struct GitView {
    /// The repository's URL, without credentials.
    pub repository: String,
    /// Where the clone is.
    pub clone: String,
    /// Name of the remote in that clone.
    pub remote: String,
    /// The branch that ships.
    pub branch: String,
    /// The remote branch's tip.
    pub tip: CommitId,
    /// The file, relative to the repository's root.
    pub file: String,
    /// The whole file at the tip; of a rendered source the rendered object.
    pub text: Arc<str>,
    /// The files that are rendered into the object, where it does not stand in a file.
    pub rendered: Option<RenderedSource>,
    /// How the document was found, for people.
    pub proof: String,
    /// Whether the link from the live object to this document is proven.
    pub proven: bool,
    /// The states of the target's pod template, newest first. The first is the tip's.
    pub states: Vec<TemplateState>,
    /// How far back the states go.
    pub history_end: HistoryEnd,
    /// Things in the repository that decide over the file: a kustomization, a chart,
    /// `.argocd-source` files. Each with its path and what it means.
    pub overrides: Vec<(String, String)>,
    /// Kustomizations that name the file among their resources: path and line.
    pub named_in: Vec<String>,
    /// State indices of the Application's history entries: (position in
    /// `Application::history`, index in `states`).
    pub deployed: Vec<(usize, usize)>,
    /// The commit that `--to` names, in full, with the index of the state that the
    /// file had there.
    pub resolved: Option<(CommitId, usize)>,
    /// The commit that is to be taken back, or why it cannot be.
    pub change: Option<Result<Change, Blocker>>,
    /// Objects named to be restored along with the target.
    pub companions: Vec<Companion>,
    /// Objects and files that the newest states' commits changed besides the template.
    pub side_changes: Vec<SideChange>,
    /// Who changed the ConfigMaps and Services that the pods use, newest first; only where that
    /// was asked.
    pub used_changes: Vec<UsedChange>,
}

/// A commit that changed an object which the target's pods use.
#[derive(Debug, Clone)]
pub struct UsedChange {
    /// The object.
    pub object: ObjectRef,
    /// Its file as that commit has it.
    pub path: Arc<str>,
    /// The commit.
    pub commit: Commit,
}

/// What a target's object is rendered from.
#[derive(Debug, Clone)]
pub struct RenderedSource {
    /// Argo CD's word for what renders it: `Kustomize`, `Helm`.
    pub tool: String,
    /// Where the source's files are.
    pub sourcing: Sourcing,
    /// Every file that was read at the tip, by its path from the repository's root. Files of
    /// other repositories are behind their root.
    pub files: BTreeMap<String, Arc<str>>,
    /// The same of each state's commit, as far as they are in the repository at hand.
    pub states: Vec<BTreeMap<String, Arc<str>>>,
    /// The other repositories.
    pub elsewhere: Vec<Elsewhere>,
    /// Whose comparison shows that a commit of the repository at hand was seen.
    pub lands: Lands,
    /// Fields of the object that hold a digest of what is rendered elsewhere: they are left out.
    pub digests: Vec<String>,
}

impl RenderedSource {
    /// Every file that a state was rendered from.
    #[must_use]
    pub fn files_of(&self, state: usize) -> Option<BTreeMap<String, Arc<str>>> {
        let mut files = self.states.get(state)?.clone();
        let others = self.files.iter().filter(|(path, _)| path.starts_with("//"));
        files.extend(others.map(|(path, text)| (path.clone(), text.clone())));
        Some(files)
    }
}

/// The target's document as one commit left it. Consecutive commits that left the
/// pod template alone are one state.
#[derive(Debug, Clone)]
pub struct TemplateState {
    /// The commit that made this template.
    pub commit: Commit,
    /// The file's path at that commit.
    pub path: String,
    /// The whole file at that commit.
    pub text: Arc<str>,
    /// The pod template as Kubernetes reads it.
    pub template: PodTemplate,
    /// `spec.replicas`, when the manifest has it.
    pub replicas: Option<i64>,
}

/// An accompanying object, at the tip and at each state of the target.
#[derive(Debug, Clone)]
pub struct Companion {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: String,
    /// The file at the tip.
    pub text: Arc<str>,
    /// The file at each state's commit, by state index; `None` where it is absent.
    pub at_states: Vec<Option<Arc<str>>>,
}

/// What a commit changed besides the target's pod template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SideChange {
    /// The commit.
    pub commit: String,
    /// Path and, within the target's file, object and field: `k8s/mcp/zai-proxy.yml Service/zai-proxy`.
    pub place: String,
}
