//! Argo CD's Application and AppProject, as far as a rollback needs them.
//! Shapes by Argo CD 3.2 to 3.5 (`pkg/apis/application/v1alpha1/types.go`).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{HistoryId, Hydrator};

/// `status.sync.status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum SyncStatus {
    /// Live state equals the target state.
    Synced,
    /// It does not.
    OutOfSync,
    /// Argo CD could not compare, or it is absent.
    Unknown,
}

/// `status.health.status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs, reason = "upstream's own words")]
pub enum HealthStatus {
    Healthy,
    Suspended,
    Progressing,
    Missing,
    Degraded,
    Unknown,
}

/// `status.operationState.phase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs, reason = "upstream's own words")]
pub enum OperationPhase {
    Running,
    Terminating,
    Succeeded,
    Failed,
    Error,
}

/// One of an Application's sources.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApplicationSource {
    /// Repository.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// Folder in the repository; empty for the root.
    pub path: String,
    /// Branch, tag, commit or chart version; empty means `HEAD`.
    pub target_revision: String,
    /// Chart name, for a Helm repository.
    pub chart: String,
    /// Name under which other sources use this one's files.
    #[serde(rename = "ref")]
    pub reference: String,
    /// `helm`, as it stands.
    pub helm: Option<Value>,
    /// `kustomize`, as it stands.
    pub kustomize: Option<Value>,
    /// `directory` (recurse, include, exclude, jsonnet), as it stands.
    pub directory: Option<Value>,
    /// `plugin`, as it stands.
    pub plugin: Option<Value>,
}

/// Where an Application deploys to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Destination {
    /// API server URL.
    pub server: String,
    /// Or the cluster's name.
    pub name: String,
    /// Namespace for objects that name none.
    pub namespace: String,
}

/// `spec.syncPolicy.automated`, resolved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoSync {
    /// On: `automated` is there and `enabled` is absent or true (the switch is new in 3.1).
    pub enabled: bool,
    /// `selfHeal`.
    pub self_heal: bool,
    /// `prune`.
    pub prune: bool,
}

/// One entry of `status.history`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Its id; ids grow by one and survive truncation.
    pub id: HistoryId,
    /// The synced commit of each source, in the order of the sources.
    pub commits: Vec<String>,
    /// When it was applied.
    pub deployed_at: Option<Timestamp>,
    /// When the sync began.
    pub deploy_started_at: Option<Timestamp>,
    /// Who started it; empty for automated syncs.
    pub initiated_by: String,
    /// Whether auto-sync started it.
    pub automated: bool,
}

/// A requested or running operation (`operation` at the Application's top level).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// The commits that it is pinned to; empty when none is named yet.
    pub commits: Vec<String>,
    /// Whether auto-sync started it.
    pub automated: bool,
    /// `retry.limit`; negative means without end.
    pub retry_limit: Option<i64>,
}

/// `status.operationState`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationState {
    /// Phase.
    pub phase: OperationPhase,
    /// Message.
    pub message: String,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Retries so far.
    pub retry_count: i64,
    /// The operation itself.
    pub operation: Operation,
    /// The commits that were synced (`syncResult`), by source.
    pub synced_commits: Vec<String>,
    /// Per-resource results: group, kind, namespace, name, result, message.
    pub failures: Vec<String>,
}

/// One entry of `status.resources`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceState {
    /// Group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Sync status of this resource alone.
    pub sync: SyncStatus,
    /// Its health; absent where Argo CD has no health check for it, and when the
    /// Application was read through Kubernetes (3.0 and later keep it out of the object).
    pub health: Option<HealthStatus>,
    /// The health's message.
    pub health_message: String,
}

/// One entry of `spec.ignoreDifferences`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IgnoreDifference {
    /// Group.
    pub group: String,
    /// Kind; `*` for all.
    pub kind: String,
    /// Name; empty for all.
    pub name: String,
    /// Namespace; empty for all.
    pub namespace: String,
    /// RFC 6901 pointers.
    pub json_pointers: Vec<String>,
    /// jq expressions.
    #[serde(rename = "jqPathExpressions")]
    pub jq_path_expressions: Vec<String>,
    /// Field managers whose fields are ignored.
    pub managed_fields_managers: Vec<String>,
}

/// An Application.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// Name.
    pub name: String,
    /// Namespace of the Application object itself.
    pub namespace: String,
    /// AppProject.
    pub project: String,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Kind and name of its owners (`ApplicationSet`).
    pub owners: Vec<(String, String)>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Its sources: `spec.sourceHydrator.drySource` if there is one, else `spec.sources` if there are
    /// any, else `spec.source`.
    pub sources: Vec<ApplicationSource>,
    /// `spec.sourceHydrator`: what is synced is written by Argo CD from the source. Commits in
    /// `status` are then given as the dry ones that they were made from, as far as that is known.
    pub hydrator: Option<Hydrator>,
    /// Destination.
    pub destination: Destination,
    /// Auto-sync.
    pub auto_sync: AutoSync,
    /// `spec.syncPolicy.automated` as it stands: what is put back after a suspension.
    pub automated: Option<Value>,
    /// `spec.syncPolicy.syncOptions`.
    pub sync_options: Vec<String>,
    /// `spec.ignoreDifferences`.
    pub ignore_differences: Vec<IgnoreDifference>,
    /// `status.sync.status`.
    pub sync: SyncStatus,
    /// The compared commits: `status.sync.revisions`, else `status.sync.revision`.
    pub compared_commits: Vec<String>,
    /// What was compared: `status.sync.comparedTo.sources`, else `.source`. The compared commits
    /// are in this order, which a changed spec may have left.
    pub compared_sources: Vec<ApplicationSource>,
    /// `status.health.status`.
    pub health: HealthStatus,
    /// A requested or running operation.
    pub operation: Option<Operation>,
    /// The last operation.
    pub operation_state: Option<OperationState>,
    /// History, oldest first.
    pub history: Vec<HistoryEntry>,
    /// `status.resources`.
    pub resources: Vec<ResourceState>,
    /// Conditions: type and message.
    pub conditions: Vec<(String, String)>,
    /// `status.reconciledAt`, in whole seconds.
    pub reconciled_at: Option<Timestamp>,
    /// `status.sourceTypes`, else `status.sourceType`: `Directory`, `Helm`, `Kustomize`, `Plugin`.
    pub source_types: Vec<String>,
}

/// A node of an Application's resource tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TreeNode {
    /// Group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Uid of the live object.
    pub uid: String,
    /// Health, where Argo CD has one.
    pub health: Option<HealthStatus>,
}

/// One entry of an AppProject's `spec.syncWindows`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncWindow {
    /// `allow` or `deny`.
    pub kind: String,
    /// Cron schedule with five fields.
    pub schedule: String,
    /// Go duration.
    pub duration: String,
    /// Globs of Application names.
    pub applications: Vec<String>,
    /// Globs of destination namespaces.
    pub namespaces: Vec<String>,
    /// Globs of destination clusters (server or name).
    pub clusters: Vec<String>,
    /// Whether manual syncs are let through.
    pub manual_sync: bool,
    /// Time zone; empty means UTC.
    pub time_zone: String,
    /// Whether all non-empty lists must match (3.0 and later); else any.
    pub and_operator: bool,
}

/// An AppProject.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Project {
    /// Name.
    pub name: String,
    /// Sync windows.
    pub sync_windows: Vec<SyncWindow>,
    /// Whether commits must be signed with one of the project's keys.
    pub signature_keys: bool,
}

impl Application {
    /// The entry of `status.resources` for an object.
    #[must_use]
    pub fn resource(&self, object: &super::ObjectRef) -> Option<&ResourceState> {
        self.resources.iter().find(|resource| {
            resource.group == object.group
                && resource.kind == object.kind
                && resource.name == object.name
                && resource.namespace == object.namespace
        })
    }

    /// Where a source's compared commit is among [`Self::compared_commits`]: sources may have been
    /// added or moved since the comparison. `None` where the source was not compared yet.
    #[must_use]
    pub fn compared_index(&self, source: usize) -> Option<usize> {
        let wanted = self.sources.get(source)?;
        let files = |own: &ApplicationSource| {
            [
                &own.repo_url,
                &own.target_revision,
                &own.path,
                &own.chart,
                &own.reference,
            ]
            .map(Clone::clone)
        };
        if self.compared_sources.is_empty() || self.sources.len() == 1 {
            return Some(source);
        }
        let same = |own: &ApplicationSource| files(own) == files(wanted);
        self.compared_sources.iter().position(same)
    }

    /// Whether an operation is requested or has not finished.
    #[must_use]
    pub fn operation_in_progress(&self) -> bool {
        self.operation.is_some()
            || self.operation_state.as_ref().is_some_and(|state| {
                matches!(
                    state.phase,
                    OperationPhase::Running | OperationPhase::Terminating
                )
            })
    }
}
