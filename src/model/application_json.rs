//! Reads Argo CD's objects from JSON, as its API and the Kubernetes API give them.
//!
//! Lenient on purpose: a field that is absent, null or of an unknown value becomes
//! the type's "unknown" and never fails the whole object, because several versions
//! of Argo CD are in use and the two ways of reading differ. Only what is not an
//! Application at all is an error.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Application, ApplicationSource, AutoSync, Destination, HealthStatus, HistoryEntry, HistoryId,
    Hydrator, IgnoreDifference, Operation, OperationPhase, OperationState, Project, ResourceState,
    SyncStatus, SyncWindow, TreeNode,
};

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    list(value)
        .iter()
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn flag(value: &Value, key: &str) -> bool {
    value[key].as_bool().unwrap_or(false)
}

fn time(value: &Value, key: &str) -> Option<Timestamp> {
    value[key].as_str()?.parse().ok()
}

fn present(value: &Value, key: &str) -> Option<Value> {
    value.get(key).filter(|item| !item.is_null()).cloned()
}

/// Both spellings of synced commits: `revisions` (several sources) wins when it has
/// any, as Argo CD leaves `revision` empty then.
fn commits(value: &Value) -> Vec<String> {
    let many = texts(&value["revisions"]);
    if !many.is_empty() {
        return many;
    }
    match value["revision"].as_str() {
        Some(one) if !one.is_empty() => vec![one.to_owned()],
        _ => Vec::new(),
    }
}

fn sync_status(value: &Value) -> SyncStatus {
    match value.as_str() {
        Some("Synced") => SyncStatus::Synced,
        Some("OutOfSync") => SyncStatus::OutOfSync,
        _ => SyncStatus::Unknown,
    }
}

fn health_status(word: &str) -> HealthStatus {
    match word {
        "Healthy" => HealthStatus::Healthy,
        "Suspended" => HealthStatus::Suspended,
        "Progressing" => HealthStatus::Progressing,
        "Missing" => HealthStatus::Missing,
        "Degraded" => HealthStatus::Degraded,
        _ => HealthStatus::Unknown,
    }
}

/// The health of a resource: none where Argo CD has none, which is not "unknown".
fn resource_health(value: &Value) -> Option<HealthStatus> {
    match value["health"]["status"].as_str() {
        None | Some("") => None,
        Some(word) => Some(health_status(word)),
    }
}

/// A phase that is not known is taken as still running while no end is recorded,
/// so that nobody acts beside an operation that he does not understand.
fn phase(state: &Value) -> OperationPhase {
    match state["phase"].as_str() {
        Some("Running") => OperationPhase::Running,
        Some("Terminating") => OperationPhase::Terminating,
        Some("Succeeded") => OperationPhase::Succeeded,
        Some("Failed") => OperationPhase::Failed,
        Some("Error") => OperationPhase::Error,
        _ if time(state, "finishedAt").is_some() => OperationPhase::Error,
        _ => OperationPhase::Running,
    }
}

fn source(value: &Value) -> ApplicationSource {
    ApplicationSource {
        repo_url: text(value, "repoURL"),
        path: text(value, "path"),
        target_revision: text(value, "targetRevision"),
        chart: text(value, "chart"),
        reference: text(value, "ref"),
        helm: present(value, "helm"),
        kustomize: present(value, "kustomize"),
        directory: present(value, "directory"),
        plugin: present(value, "plugin"),
    }
}

/// `spec.sourceHydrator.drySource` if there is one, else `spec.sources` if it has any, else
/// `spec.source`.
fn sources(spec: &Value) -> Vec<ApplicationSource> {
    let dry = &spec["sourceHydrator"]["drySource"];
    if dry.is_object() {
        return vec![source(dry)];
    }
    let many = list(&spec["sources"]);
    if !many.is_empty() {
        return many.iter().map(source).collect();
    }
    match &spec["source"] {
        one if one.is_object() => vec![source(one)],
        _ => Vec::new(),
    }
}

fn auto_sync(policy: &Value) -> AutoSync {
    let automated = &policy["automated"];
    AutoSync {
        enabled: automated.is_object() && automated["enabled"].as_bool().unwrap_or(true),
        self_heal: flag(automated, "selfHeal"),
        prune: flag(automated, "prune"),
    }
}

fn history_entry(value: &Value) -> HistoryEntry {
    let initiator = &value["initiatedBy"];
    HistoryEntry {
        // encoding/json leaves a zero id in; an absent one reads as 0 as well.
        id: HistoryId(value["id"].as_i64().unwrap_or_default()),
        commits: commits(value),
        deployed_at: time(value, "deployedAt"),
        deploy_started_at: time(value, "deployStartedAt"),
        initiated_by: text(initiator, "username"),
        automated: flag(initiator, "automated"),
    }
}

fn operation(value: &Value) -> Operation {
    Operation {
        commits: commits(&value["sync"]),
        automated: flag(&value["initiatedBy"], "automated"),
        // The API encodes this int64 as a number, but some proxies as a string.
        retry_limit: integer(&value["retry"]["limit"]),
    }
}

fn integer(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

fn operation_state(value: &Value) -> OperationState {
    OperationState {
        phase: phase(value),
        message: text(value, "message"),
        started_at: time(value, "startedAt"),
        finished_at: time(value, "finishedAt"),
        retry_count: integer(&value["retryCount"]).unwrap_or_default(),
        operation: operation(&value["operation"]),
        synced_commits: commits(&value["syncResult"]),
        failures: list(&value["syncResult"]["resources"])
            .iter()
            .filter_map(failure)
            .collect(),
    }
}

/// One line for a resource that did not sync or a hook that did not succeed.
fn failure(result: &Value) -> Option<String> {
    let outcome = match (result["status"].as_str(), result["hookPhase"].as_str()) {
        (Some("SyncFailed"), _) => "SyncFailed",
        (_, Some(phase @ ("Failed" | "Error"))) => phase,
        _ => return None,
    };
    let group = text(result, "group");
    let slash = if group.is_empty() { "" } else { "/" };
    Some(format!(
        "{group}{slash}{} {}/{}: {outcome}: {}",
        text(result, "kind"),
        text(result, "namespace"),
        text(result, "name"),
        text(result, "message"),
    ))
}

fn resource(value: &Value) -> ResourceState {
    ResourceState {
        group: text(value, "group"),
        kind: text(value, "kind"),
        namespace: text(value, "namespace"),
        name: text(value, "name"),
        sync: sync_status(&value["status"]),
        health: resource_health(value),
        health_message: text(&value["health"], "message"),
    }
}

fn ignore_difference(value: &Value) -> IgnoreDifference {
    IgnoreDifference {
        group: text(value, "group"),
        kind: text(value, "kind"),
        name: text(value, "name"),
        namespace: text(value, "namespace"),
        json_pointers: texts(&value["jsonPointers"]),
        jq_path_expressions: texts(&value["jqPathExpressions"]),
        managed_fields_managers: texts(&value["managedFieldsManagers"]),
    }
}

fn annotations(metadata: &Value) -> BTreeMap<String, String> {
    let Some(map) = metadata["annotations"].as_object() else {
        return BTreeMap::new();
    };
    map.iter()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

fn source_types(status: &Value) -> Vec<String> {
    let many = texts(&status["sourceTypes"]);
    if !many.is_empty() {
        return many;
    }
    Some(text(status, "sourceType"))
        .filter(|one| !one.is_empty())
        .into_iter()
        .collect()
}

/// The name of an object of the given kind, or why it is none.
fn named(value: &Value, kind: &str) -> Result<String, String> {
    match value["kind"].as_str() {
        // Items of a list and answers of Argo CD's API carry no kind.
        None | Some("") => {}
        Some(found) if found == kind => {}
        Some(found) => return Err(format!("expected an {kind}, found a {found}")),
    }
    match value["metadata"]["name"].as_str() {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err(format!("not an {kind}: it has no metadata.name")),
    }
}

impl Application {
    /// Reads an Application from Argo CD's API or from the Kubernetes API.
    ///
    /// # Errors
    /// When the value is not an Application: another kind, or without a name.
    pub fn from_json(value: &Value) -> Result<Self, String> {
        let name = named(value, "Application")?;
        let (metadata, spec, status) = (&value["metadata"], &value["spec"], &value["status"]);
        let owners = list(&metadata["ownerReferences"])
            .iter()
            .map(|owner| (text(owner, "kind"), text(owner, "name")))
            .collect();
        let conditions = list(&status["conditions"])
            .iter()
            .map(|item| (text(item, "type"), text(item, "message")))
            .collect();
        let all = |value: &Value, read: fn(&Value) -> ResourceState| -> Vec<ResourceState> {
            list(value).iter().map(read).collect()
        };
        let own = Self {
            name,
            namespace: text(metadata, "namespace"),
            project: text(spec, "project"),
            annotations: annotations(metadata),
            owners,
            deleting: !metadata["deletionTimestamp"].is_null(),
            sources: sources(spec),
            hydrator: Hydrator::from_json(spec, status),
            destination: Destination {
                server: text(&spec["destination"], "server"),
                name: text(&spec["destination"], "name"),
                namespace: text(&spec["destination"], "namespace"),
            },
            auto_sync: auto_sync(&spec["syncPolicy"]),
            automated: present(&spec["syncPolicy"], "automated"),
            sync_options: texts(&spec["syncPolicy"]["syncOptions"]),
            ignore_differences: list(&spec["ignoreDifferences"])
                .iter()
                .map(ignore_difference)
                .collect(),
            sync: sync_status(&status["sync"]["status"]),
            compared_commits: commits(&status["sync"]),
            compared_sources: sources(&status["sync"]["comparedTo"]),
            health: health_status(status["health"]["status"].as_str().unwrap_or_default()),
            operation: value["operation"]
                .is_object()
                .then(|| operation(&value["operation"])),
            operation_state: status["operationState"]
                .is_object()
                .then(|| operation_state(&status["operationState"])),
            history: list(&status["history"]).iter().map(history_entry).collect(),
            resources: all(&status["resources"], resource),
            conditions,
            reconciled_at: time(status, "reconciledAt"),
            source_types: source_types(status),
        };
        Ok(match own.hydrator {
            Some(_) => own.with_dry_commits(status),
            None => own,
        })
    }
}

impl SyncWindow {
    /// Reads one entry of `spec.syncWindows`.
    #[must_use]
    pub fn from_json(value: &Value) -> Self {
        Self {
            kind: text(value, "kind"),
            schedule: text(value, "schedule"),
            duration: text(value, "duration"),
            applications: texts(&value["applications"]),
            namespaces: texts(&value["namespaces"]),
            clusters: texts(&value["clusters"]),
            manual_sync: flag(value, "manualSync"),
            time_zone: text(value, "timeZone"),
            and_operator: flag(value, "andOperator"),
        }
    }
}

impl Project {
    /// Reads an AppProject from Argo CD's API or from the Kubernetes API.
    ///
    /// # Errors
    /// When the value is not an AppProject: another kind, or without a name.
    pub fn from_json(value: &Value) -> Result<Self, String> {
        let name = named(value, "AppProject")?;
        let spec = &value["spec"];
        Ok(Self {
            name,
            sync_windows: list(&spec["syncWindows"])
                .iter()
                .map(SyncWindow::from_json)
                .collect(),
            signature_keys: !list(&spec["signatureKeys"]).is_empty(),
        })
    }
}

impl TreeNode {
    /// Reads the nodes of a resource tree (`{"nodes": [...]}`).
    #[must_use]
    pub fn list_from_json(tree: &Value) -> Vec<Self> {
        list(&tree["nodes"])
            .iter()
            .map(|node| Self {
                group: text(node, "group"),
                kind: text(node, "kind"),
                namespace: text(node, "namespace"),
                name: text(node, "name"),
                uid: text(node, "uid"),
                health: resource_health(node),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn full() -> Value {
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": "mcp", "namespace": "argocd", "annotations": {"a": "b"},
                "ownerReferences": [{"kind": "ApplicationSet", "name": "all"}]},
            "operation": {"sync": {"revision": "aaa"}, "initiatedBy": {"automated": true},
                "retry": {"limit": -1}},
            "spec": {"project": "default",
                "source": {"repoURL": "http://h/r.git", "path": "k8s", "targetRevision": "main",
                    "directory": {"recurse": true}, "helm": null},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": "mcp"},
                "syncPolicy": {"automated": {"selfHeal": true}, "syncOptions": ["CreateNamespace=true"]},
                "ignoreDifferences": [{"group": "apps", "kind": "Deployment",
                    "jsonPointers": ["/spec/replicas"], "jqPathExpressions": [".x"]}]},
            "status": {"sync": {"status": "Synced", "revision": "aaa"},
                "health": {"status": "Degraded"}, "reconciledAt": "2026-11-21T03:00:00Z",
                "sourceType": "Directory",
                "conditions": [{"type": "SyncError", "message": "no"}],
                "operationState": {"phase": "Failed", "message": "m", "retryCount": 2,
                    "startedAt": "2026-11-21T02:59:00Z", "finishedAt": "2026-11-21T03:00:00Z",
                    "operation": {"sync": {"revision": "aaa"}},
                    "syncResult": {"revision": "aaa", "resources": [
                        {"group": "apps", "kind": "Deployment", "namespace": "mcp", "name": "d",
                         "status": "SyncFailed", "message": "invalid"},
                        {"group": "", "kind": "Service", "namespace": "mcp", "name": "s",
                         "status": "Synced"},
                        {"group": "batch", "kind": "Job", "namespace": "mcp", "name": "j",
                         "status": "Synced", "hookPhase": "Failed", "message": "backoff"}]}},
                "history": [{"id": 0, "revision": "000", "deployedAt": "2026-11-21T01:00:00Z",
                    "deployStartedAt": "2026-11-21T00:59:58Z",
                    "initiatedBy": {"username": "eva"}}],
                "resources": [{"group": "apps", "version": "v1", "kind": "Deployment",
                    "namespace": "mcp", "name": "d", "status": "OutOfSync",
                    "health": {"status": "Progressing", "message": "waiting"}},
                    {"version": "v1", "kind": "Service", "namespace": "mcp", "name": "s",
                     "status": "Synced"}]}
        })
    }

    #[test]
    fn a_full_application() {
        let app = Application::from_json(&full()).unwrap();
        assert_eq!(
            (app.name.as_str(), app.namespace.as_str()),
            ("mcp", "argocd")
        );
        assert_eq!(
            app.owners,
            [("ApplicationSet".to_owned(), "all".to_owned())]
        );
        assert_eq!(app.sources.len(), 1);
        assert_eq!(app.sources[0].directory, Some(json!({"recurse": true})));
        assert_eq!(app.sources[0].helm, None, "null is absent");
        assert!(app.auto_sync.enabled && app.auto_sync.self_heal && !app.auto_sync.prune);
        assert_eq!(app.sync, SyncStatus::Synced);
        assert_eq!(app.health, HealthStatus::Degraded);
        assert_eq!(app.compared_commits, ["aaa"]);
        assert_eq!(app.operation.as_ref().unwrap().retry_limit, Some(-1));
        assert!(app.operation_in_progress());
        let state = app.operation_state.unwrap();
        assert_eq!(
            (state.phase, state.retry_count),
            (OperationPhase::Failed, 2)
        );
        assert_eq!(
            state.failures,
            [
                "apps/Deployment mcp/d: SyncFailed: invalid",
                "batch/Job mcp/j: Failed: backoff"
            ]
        );
        assert_eq!(app.history[0].id, HistoryId(0));
        assert_eq!(app.history[0].initiated_by, "eva");
        assert!(!app.history[0].automated);
        assert_eq!(app.resources[0].health, Some(HealthStatus::Progressing));
        assert_eq!(app.resources[1].health, None);
        assert_eq!(app.resources[1].group, "");
        assert_eq!(app.conditions, [("SyncError".to_owned(), "no".to_owned())]);
        assert_eq!(
            app.reconciled_at,
            Some("2026-11-21T03:00:00Z".parse().unwrap())
        );
        assert_eq!(app.source_types, ["Directory"]);
        assert_eq!(app.ignore_differences[0].json_pointers, ["/spec/replicas"]);
    }

    #[test]
    fn nothing_but_a_name() {
        let app = Application::from_json(&json!({"metadata": {"name": "a"}})).unwrap();
        assert_eq!(app.sync, SyncStatus::Unknown);
        assert_eq!(app.health, HealthStatus::Unknown);
        assert!(!app.auto_sync.enabled);
        assert!(app.operation.is_none() && app.operation_state.is_none());
        assert!(app.compared_commits.is_empty() && app.sources.is_empty());
    }

    #[test]
    fn words_of_newer_versions_are_unknown() {
        let mut value = full();
        value["status"]["sync"]["status"] = json!("Reconciling");
        value["status"]["health"]["status"] = json!("Odd");
        value["status"]["operationState"]["phase"] = json!("Queued");
        value["status"]["reconciledAt"] = json!("yesterday");
        let app = Application::from_json(&value).unwrap();
        assert_eq!(app.sync, SyncStatus::Unknown);
        assert_eq!(app.health, HealthStatus::Unknown);
        assert_eq!(app.reconciled_at, None);
        assert_eq!(app.operation_state.unwrap().phase, OperationPhase::Error);
        value["status"]["operationState"]["finishedAt"] = Value::Null;
        let state = Application::from_json(&value)
            .unwrap()
            .operation_state
            .unwrap();
        assert_eq!(state.phase, OperationPhase::Running, "no end recorded");
    }

    #[test]
    fn several_sources_and_their_commits() {
        let value = json!({"metadata": {"name": "a"},
            "spec": {"source": {"repoURL": "ignored"},
                "sources": [{"repoURL": "one", "ref": "values"}, {"repoURL": "two", "chart": "c"}]},
            "status": {"sync": {"revision": "", "revisions": ["1", "2"]},
                "sourceTypes": ["Directory", "Helm"],
                "history": [{"id": 7, "revisions": ["1", "2"]}]}});
        let app = Application::from_json(&value).unwrap();
        assert_eq!(app.sources[0].reference, "values");
        assert_eq!(app.sources[1].chart, "c");
        assert_eq!(app.compared_commits, ["1", "2"]);
        assert!(app.compared_sources.is_empty());
        assert_eq!(
            (app.compared_index(1), app.compared_index(2)),
            (Some(1), None)
        );
        assert_eq!(app.history[0].commits, ["1", "2"]);
        assert_eq!(app.source_types, ["Directory", "Helm"]);
    }

    #[test]
    fn automated_may_be_switched_off() {
        for (policy, enabled) in [
            (json!({"automated": {}}), true),
            (json!({"automated": {"enabled": false}}), false),
            (json!({"automated": {"enabled": null}}), true),
            (json!({"automated": null}), false),
            (json!({}), false),
        ] {
            assert_eq!(auto_sync(&policy).enabled, enabled, "{policy}");
        }
    }

    #[test]
    fn what_is_no_application_is_refused() {
        for value in [
            json!(null),
            json!([]),
            json!({}),
            json!({"kind": "Deployment", "metadata": {"name": "a"}}),
        ] {
            assert!(Application::from_json(&value).is_err(), "{value}");
            assert!(Project::from_json(&value).is_err(), "{value}");
        }
    }

    #[test]
    fn projects_and_trees() {
        let project = Project::from_json(&json!({"metadata": {"name": "p"}, "spec": {
            "signatureKeys": [{"keyID": "1"}],
            "syncWindows": [{"kind": "deny", "schedule": "0 1 * * *", "duration": "1h",
                "applications": ["*"], "manualSync": true, "timeZone": "Europe/Berlin",
                "andOperator": true}]}}))
        .unwrap();
        assert!(project.signature_keys);
        let window = &project.sync_windows[0];
        assert!(window.manual_sync && window.and_operator);
        assert_eq!(window.time_zone, "Europe/Berlin");
        let nodes = TreeNode::list_from_json(&json!({"nodes": [
            {"group": "apps", "kind": "Deployment", "namespace": "n", "name": "d", "uid": "u",
             "health": {"status": "Healthy"}}, {"kind": "ConfigMap", "name": "c"}]}));
        assert_eq!(nodes[0].health, Some(HealthStatus::Healthy));
        assert_eq!((nodes[1].health, nodes[1].uid.as_str()), (None, ""));
        assert!(TreeNode::list_from_json(&json!({"nodes": null})).is_empty());
    }
}
