//! Deployments, StatefulSets, DaemonSets and their recorded templates.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::super::wire::{
    ConditionWire, ControllerRevisionWire, Meta, ReplicaSetWire, WorkloadWire,
};
use super::{said, time};
use crate::model::{
    ClusterCondition, Pod, PodTemplate, ReplicaSet, RolloutRevision, RolloutState, Workload,
    WorkloadKind, WorkloadRef,
};

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const REVISION: &str = "deployment.kubernetes.io/revision";
/// The API server's default for Deployments; the other kinds have no deadline.
const PROGRESS_DEADLINE: i64 = 600;

/// Reads a workload.
pub(in super::super) fn workload(kind: WorkloadKind, wire: WorkloadWire) -> Workload {
    let WorkloadWire {
        metadata: meta,
        mut spec,
        status,
    } = wire;
    let template = spec.remove("template").unwrap_or_default();
    let wanted = spec.remove("replicas").and_then(|value| value.as_i64());
    let paused = spec.remove("paused").and_then(|value| value.as_bool());
    let replicas = match kind {
        WorkloadKind::DaemonSet => count(&status, "desiredNumberScheduled"),
        WorkloadKind::Deployment | WorkloadKind::StatefulSet => wanted.unwrap_or(1),
    };
    let match_labels = spec
        .get("selector")
        .and_then(|selector| selector.get("matchLabels"))
        .map_or_else(BTreeMap::new, strings);
    let spec_number = |key: &str| spec.get(key).and_then(Value::as_i64);
    Workload {
        generation: meta.generation,
        observed_generation: count(&status, "observedGeneration"),
        created_at: time(meta.creation_timestamp.as_deref()),
        rollout_revision: revision(&meta),
        controller: meta.controller().map(|o| (o.kind.clone(), o.name.clone())),
        template_managers: template_managers(&meta),
        reference: WorkloadRef {
            kind,
            namespace: meta.namespace,
            name: meta.name,
        },
        resource_version: meta.resource_version,
        uid: meta.uid,
        annotations: without_last_applied(meta.annotations),
        labels: meta.labels,
        match_labels,
        replicas,
        rollout: rollout(kind, &status),
        paused: paused.unwrap_or(false),
        progress_deadline_seconds: spec_number("progressDeadlineSeconds")
            .unwrap_or(PROGRESS_DEADLINE),
        min_ready_seconds: spec_number("minReadySeconds").unwrap_or_default(),
        strategy: strategy(kind, &spec),
        template: PodTemplate::new(template),
        rest_of_spec: Value::Object(spec),
    }
}

fn count(status: &Value, key: &str) -> i64 {
    status.get(key).and_then(Value::as_i64).unwrap_or_default()
}

fn strings(value: &Value) -> BTreeMap<String, String> {
    let entries = value.as_object().into_iter().flatten();
    entries
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

fn without_last_applied(mut annotations: BTreeMap<String, String>) -> BTreeMap<String, String> {
    annotations.remove(LAST_APPLIED);
    annotations
}

fn revision(meta: &Meta) -> Option<RolloutRevision> {
    let number = meta.annotations.get(REVISION)?.parse().ok()?;
    Some(RolloutRevision(number))
}

fn strategy(kind: WorkloadKind, spec: &Map<String, Value>) -> String {
    let field = match kind {
        WorkloadKind::Deployment => "strategy",
        WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => "updateStrategy",
    };
    spec.get(field)
        .and_then(|strategy| strategy.get("type"))
        .and_then(Value::as_str)
        .unwrap_or("RollingUpdate")
        .to_owned()
}

fn rollout(kind: WorkloadKind, status: &Value) -> RolloutState {
    let number = |key: &str| count(status, key);
    let conditions = status
        .get("conditions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|entry| serde_json::from_value::<ConditionWire>(entry.clone()).ok())
        .map(condition)
        .collect();
    match kind {
        WorkloadKind::Deployment | WorkloadKind::StatefulSet => {
            let (replicas, available) = (number("replicas"), number("availableReplicas"));
            let unavailable = match kind {
                WorkloadKind::Deployment => number("unavailableReplicas"),
                // A StatefulSet does not count them.
                _ => (replicas - available).max(0),
            };
            RolloutState {
                replicas,
                updated: number("updatedReplicas"),
                ready: number("readyReplicas"),
                available,
                unavailable,
                conditions,
            }
        }
        WorkloadKind::DaemonSet => RolloutState {
            replicas: number("currentNumberScheduled"),
            updated: number("updatedNumberScheduled"),
            ready: number("numberReady"),
            available: number("numberAvailable"),
            unavailable: number("numberUnavailable"),
            conditions,
        },
    }
}

fn condition(wire: ConditionWire) -> ClusterCondition {
    let since = wire.last_transition_time.or(wire.last_update_time);
    ClusterCondition {
        kind: wire.kind,
        state: wire.state,
        reason: wire.reason,
        message: said(&wire.message),
        since: time(since.as_deref()),
    }
}

fn template_managers(meta: &Meta) -> Vec<String> {
    let claims = meta
        .managed_fields
        .iter()
        .filter(|entry| entry.claims_template());
    let managers: BTreeSet<String> = claims.map(|entry| entry.manager.clone()).collect();
    managers.into_iter().collect()
}

/// Reads a ReplicaSet that a controller owns; others are nobody's release.
pub(in super::super) fn replica_set(wire: ReplicaSetWire) -> Option<ReplicaSet> {
    let owner_uid = wire.metadata.controller()?.uid.clone();
    Some(ReplicaSet {
        owner_uid,
        rollout_revision: revision(&wire.metadata),
        created_at: time(wire.metadata.creation_timestamp.as_deref()),
        replicas: wire.spec.replicas.unwrap_or(1),
        ready: wire.status.ready_replicas,
        available: wire.status.available_replicas,
        template: PodTemplate::new(wire.spec.template),
        pod_template_hash: wire.metadata.labels.get("pod-template-hash").cloned(),
        reused: wire
            .metadata
            .annotations
            .contains_key("deployment.kubernetes.io/revision-history"),
        name: wire.metadata.name,
        uid: wire.metadata.uid,
    })
}

/// Reads a ControllerRevision. Its data is a strategic merge patch that holds the
/// template; the counts are filled from pods by [`count_pods`].
pub(in super::super) fn controller_revision(
    kind: WorkloadKind,
    mut wire: ControllerRevisionWire,
) -> Option<ReplicaSet> {
    let owner_uid = wire.metadata.controller()?.uid.clone();
    let mut template = wire.data.pointer_mut("/spec/template")?.take();
    if let Some(map) = template.as_object_mut() {
        map.remove("$patch");
    }
    let hash = match kind {
        // A StatefulSet labels its pods with the ControllerRevision's whole name,
        // a DaemonSet with the hash alone.
        WorkloadKind::StatefulSet => Some(wire.metadata.name.clone()),
        WorkloadKind::DaemonSet => wire
            .metadata
            .labels
            .get("controller-revision-hash")
            .cloned(),
        WorkloadKind::Deployment => None,
    };
    Some(ReplicaSet {
        owner_uid,
        rollout_revision: Some(RolloutRevision(wire.revision)),
        created_at: time(wire.metadata.creation_timestamp.as_deref()),
        replicas: 0,
        ready: 0,
        available: 0,
        template: PodTemplate::new(template),
        reused: false,
        pod_template_hash: hash,
        name: wire.metadata.name,
        uid: wire.metadata.uid,
    })
}

/// Fills the counts of ControllerRevisions, which have none of their own, from the
/// pods that carry their hash.
pub(in super::super) fn count_pods(revisions: &mut [ReplicaSet], pods: &[Pod]) {
    for one in revisions {
        let own = pods.iter().filter(|pod| {
            pod.controller_revision_hash.is_some()
                && pod.controller_revision_hash == one.pod_template_hash
                && !pod.terminating
        });
        (one.replicas, one.ready) = own.fold((0, 0), |(all, ready), pod| {
            (all + 1, ready + i64::from(pod.ready))
        });
        one.available = one.ready;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn workload(kind: WorkloadKind, object: Value) -> Workload {
        super::workload(kind, serde_json::from_value(object).unwrap())
    }

    fn deployment() -> Value {
        json!({
            "metadata": {"name": "zai-proxy", "namespace": "mcp", "uid": "u1", "generation": 5,
                "resourceVersion": "77", "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": {"app": "zai-proxy"},
                "annotations": {LAST_APPLIED: "{\"sekret\":1}", REVISION: "18", "note": "x"},
                "ownerReferences": [
                    {"kind": "Thing", "name": "t", "uid": "x"},
                    {"kind": "Rollout", "name": "r", "uid": "y", "controller": true}],
                "managedFields": [
                    {"manager": "argocd-controller", "operation": "Apply",
                     "fieldsV1": {"f:spec": {"f:template": {"f:spec": {}}}}},
                    {"manager": "kube-controller-manager", "subresource": "status",
                     "fieldsV1": {"f:status": {}, "f:spec": {"f:template": {}}}},
                    {"manager": "hpa", "subresource": "scale",
                     "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                    {"manager": "annotator", "fieldsV1": {"f:metadata": {}}},
                    {"manager": "argocd-controller", "operation": "Update",
                     "fieldsV1": {"f:spec": {"f:template": {}}}}]},
            "spec": {"replicas": 3, "paused": true, "minReadySeconds": 7,
                "selector": {"matchLabels": {"app": "zai-proxy"}},
                "strategy": {"type": "Recreate"},
                "template": {"spec": {"containers": [{"name": "proxy", "image": "a/b:1.2.0"}]}}},
            "status": {"observedGeneration": 4, "replicas": 4, "updatedReplicas": 1,
                "readyReplicas": 3, "availableReplicas": 2, "unavailableReplicas": 2,
                "conditions": [{"type": "Progressing", "status": "False",
                    "reason": "ProgressDeadlineExceeded", "message": "m",
                    "lastTransitionTime": "2026-01-02T00:00:00Z"}]}
        })
    }

    #[test]
    fn a_deployment() {
        let read = workload(WorkloadKind::Deployment, deployment());
        assert_eq!(
            read.reference.to_string(),
            "deployment/zai-proxy in namespace mcp"
        );
        assert_eq!(
            (read.generation, read.observed_generation, read.replicas),
            (5, 4, 3)
        );
        assert_eq!(read.resource_version, "77");
        assert_eq!(read.rollout_revision, Some(RolloutRevision(18)));
        assert_eq!(
            read.controller,
            Some(("Rollout".to_owned(), "r".to_owned()))
        );
        assert_eq!(read.template_managers, ["argocd-controller"]);
        assert!(read.paused);
        assert_eq!(
            (read.progress_deadline_seconds, read.min_ready_seconds),
            (600, 7)
        );
        assert_eq!(read.strategy, "Recreate");
        assert_eq!(
            read.annotations.keys().collect::<Vec<_>>(),
            [REVISION, "note"]
        );
        assert_eq!(read.template.main_image().unwrap().as_str(), "a/b:1.2.0");
        assert_eq!(
            read.rest_of_spec,
            json!({"minReadySeconds": 7, "selector": {"matchLabels": {"app": "zai-proxy"}},
                "strategy": {"type": "Recreate"}})
        );
        let rollout = &read.rollout;
        assert_eq!(
            (rollout.replicas, rollout.updated, rollout.ready),
            (4, 1, 3)
        );
        assert_eq!((rollout.available, rollout.unavailable), (2, 2));
        let progressing = read.condition("Progressing").unwrap();
        assert_eq!(progressing.reason, "ProgressDeadlineExceeded");
        assert_eq!(
            progressing.since.unwrap().to_string(),
            "2026-01-02T00:00:00Z"
        );
    }

    #[test]
    fn an_object_with_almost_nothing() {
        let bare = json!({"metadata": {"name": "a", "namespace": "b", "labels": null}});
        let read = workload(WorkloadKind::StatefulSet, bare);
        assert_eq!((read.replicas, read.generation), (1, 0));
        assert_eq!(read.strategy, "RollingUpdate");
        assert!(read.rollout.conditions.is_empty() && read.template_managers.is_empty());
    }

    #[test]
    fn counts_of_the_other_kinds() {
        let set = json!({"metadata": {"name": "db", "namespace": "a"}, "spec": {"replicas": 3},
            "status": {"replicas": 3, "updatedReplicas": 1, "availableReplicas": 2,
                "readyReplicas": 2}});
        let read = workload(WorkloadKind::StatefulSet, set);
        assert_eq!((read.rollout.unavailable, read.rollout.updated), (1, 1));
        let daemon = json!({"metadata": {"name": "agent", "namespace": "a"},
            "spec": {"updateStrategy": {"type": "OnDelete"}},
            "status": {"desiredNumberScheduled": 5, "currentNumberScheduled": 4,
                "updatedNumberScheduled": 3, "numberReady": 2, "numberAvailable": 1,
                "numberUnavailable": 4}});
        let read = workload(WorkloadKind::DaemonSet, daemon);
        let rollout = &read.rollout;
        assert_eq!(
            (read.replicas, rollout.replicas, rollout.updated),
            (5, 4, 3)
        );
        assert_eq!(
            (rollout.ready, rollout.available, rollout.unavailable),
            (2, 1, 4)
        );
        assert_eq!(read.strategy, "OnDelete");
    }

    #[test]
    fn replica_sets_need_a_controller() {
        let wire = |controller: bool| -> ReplicaSetWire {
            serde_json::from_value(json!({
                "metadata": {"name": "zai-proxy-abc", "uid": "r1",
                    "annotations": {REVISION: "17"}, "labels": {"pod-template-hash": "abc"},
                    "ownerReferences": [{"kind": "Deployment", "name": "zai-proxy",
                        "uid": "u1", "controller": controller}]},
                "spec": {"replicas": 0, "template": {"metadata": {"labels":
                    {"app": "zai-proxy", "pod-template-hash": "abc"}},
                    "spec": {"containers": [{"name": "proxy", "image": "a/b:1"}]}}},
                "status": {"replicas": 0}
            }))
            .unwrap()
        };
        assert!(replica_set(wire(false)).is_none());
        let read = replica_set(wire(true)).unwrap();
        assert_eq!((read.owner_uid.as_str(), read.replicas), ("u1", 0));
        assert_eq!(read.rollout_revision, Some(RolloutRevision(17)));
        assert_eq!(read.pod_template_hash.as_deref(), Some("abc"));
        assert_eq!(read.template.main_image().unwrap().as_str(), "a/b:1");
    }

    #[test]
    fn controller_revisions_hold_templates() {
        let wire = || -> ControllerRevisionWire {
            serde_json::from_value(json!({
                "metadata": {"name": "db-7c5c9d", "uid": "c1",
                    "labels": {"controller-revision-hash": "7c5c9d"},
                    "ownerReferences": [{"kind": "StatefulSet", "name": "db", "uid": "s1",
                        "controller": true}]},
                "revision": 4,
                "data": {"spec": {"template": {"$patch": "replace",
                    "spec": {"containers": [{"name": "db", "image": "pg:16"}]}}}}
            }))
            .unwrap()
        };
        let read = controller_revision(WorkloadKind::StatefulSet, wire()).unwrap();
        assert_eq!(read.rollout_revision, Some(RolloutRevision(4)));
        assert_eq!(read.pod_template_hash.as_deref(), Some("db-7c5c9d"));
        assert_eq!(
            serde_json::to_value(&read.template).unwrap(),
            json!({"spec": {"containers": [{"name": "db", "image": "pg:16"}]}})
        );
        let read = controller_revision(WorkloadKind::DaemonSet, wire()).unwrap();
        assert_eq!(read.pod_template_hash.as_deref(), Some("7c5c9d"));
        let mut other = wire();
        other.data = json!({"spec": {}});
        assert!(controller_revision(WorkloadKind::DaemonSet, other).is_none());
    }
}
