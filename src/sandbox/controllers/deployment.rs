//! The Deployment controller (pkg/controller/deployment): which ReplicaSet is the new one, its
//! revision, and the clean-up of old ones.

use std::sync::Arc;

use serde_json::{Value, json};

use super::deployment_status as progress;
use super::rollout::{self, Sets};
use super::{CONTROLLER, Condition, event, kind, owner_reference, set_condition};
use crate::sandbox::error::ApiError;
use crate::sandbox::json::{annotation, flag, int, set, template_hash, text, unset};
use crate::sandbox::store::{Objects, Part};

pub(crate) const REVISION: &str = "deployment.kubernetes.io/revision";
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// One step for every Deployment.
pub(crate) fn pass(objects: &mut Objects) -> Result<(), ApiError> {
    for deployment in objects.list(kind("apps", "Deployment")?, "") {
        sync(objects, &deployment)?;
    }
    Ok(())
}

fn sync(objects: &mut Objects, deployment: &Arc<Value>) -> Result<(), ApiError> {
    let sets_kind = kind("apps", "ReplicaSet")?;
    let namespace = text(deployment, "/metadata/namespace");
    let mut owned = objects.owned(sets_kind, namespace, text(deployment, "/metadata/uid"));
    owned.sort_by_key(|s| {
        (
            text(s, "/metadata/creationTimestamp").to_owned(),
            revision_of(s),
        )
    });
    let new = owned.iter().find(|s| same_template(s, deployment)).cloned();
    let old: Vec<_> = owned
        .iter()
        .filter(|s| {
            new.as_ref()
                .is_none_or(|n| n["metadata"]["uid"] != s["metadata"]["uid"])
        })
        .cloned()
        .collect();
    let paused = flag(deployment, "/spec/paused");
    let waits = text(deployment, "/spec/strategy/type") == "Recreate"
        && rollout::old_pods_left(objects, &old)?;
    let mut fresh = None;
    let new = match new {
        Some(found) if !paused => Some(adopt(objects, deployment, &found, &old)?),
        None if !paused && !waits => {
            let made = create(objects, deployment, &old)?;
            fresh = Some(text(&made, "/metadata/name").to_owned());
            Some(made)
        }
        other => other,
    };
    let deployment = match &new {
        Some(new) if !paused => carry_revision(objects, deployment, new)?,
        _ => deployment.clone(),
    };
    let sets = Sets { new, old };
    rollout::step(objects, &deployment, &sets)?;
    clean_up(objects, &deployment, &sets)?;
    let state = match fresh {
        Some(name) => {
            let mut state = deployment.get("status").cloned().unwrap_or(json!({}));
            let message = format!("Created new replica set \"{name}\"");
            let reason = "NewReplicaSetCreated";
            let condition = Condition {
                name: "Progressing",
                holds: true,
                reason,
                message,
            };
            set_condition(&mut state, &condition);
            Some(state)
        }
        None => None,
    };
    progress::update(objects, &deployment, state)
}

/// The revision annotation as a number.
pub(crate) fn revision_of(object: &Value) -> i64 {
    annotation(object, REVISION)
        .and_then(|r| r.parse().ok())
        .unwrap_or(0)
}

/// Equal but for the hash label, as `EqualIgnoreHash`.
fn same_template(set_object: &Value, deployment: &Value) -> bool {
    let mut own = set_object["spec"]["template"].clone();
    unset(&mut own, &["metadata", "labels", "pod-template-hash"]);
    own == deployment["spec"]["template"]
}

fn next_revision(old: &[Arc<Value>]) -> i64 {
    old.iter().map(|s| revision_of(s)).max().unwrap_or(0) + 1
}

/// An existing ReplicaSet that becomes the new one again gets the highest revision number.
fn adopt(
    objects: &mut Objects,
    deployment: &Value,
    found: &Arc<Value>,
    old: &[Arc<Value>],
) -> Result<Arc<Value>, ApiError> {
    let next = next_revision(old);
    let own = revision_of(found);
    let mut changed = (**found).clone();
    copy_annotations(deployment, &mut changed);
    if own < next {
        set(
            &mut changed,
            &["metadata", "annotations", REVISION],
            json!(next.to_string()),
        );
        if own > 0 {
            let before = annotation(found, REVISION_HISTORY).unwrap_or("");
            let history = if before.is_empty() {
                own.to_string()
            } else {
                format!("{before},{own}")
            };
            set(
                &mut changed,
                &["metadata", "annotations", REVISION_HISTORY],
                json!(history),
            );
        }
    }
    size_annotations(deployment, &mut changed);
    set(
        &mut changed,
        &["spec", "minReadySeconds"],
        deployment["spec"]["minReadySeconds"].clone(),
    );
    if changed["spec"]["minReadySeconds"].is_null() {
        unset(&mut changed, &["spec", "minReadySeconds"]);
    }
    objects.put(kind("apps", "ReplicaSet")?, changed, Part::Main)
}

fn create(
    objects: &mut Objects,
    deployment: &Value,
    old: &[Arc<Value>],
) -> Result<Arc<Value>, ApiError> {
    let template = &deployment["spec"]["template"];
    let collisions = int(deployment, "/status/collisionCount").unwrap_or(0);
    let hash = template_hash(template, collisions);
    let mut labelled = template.clone();
    set(
        &mut labelled,
        &["metadata", "labels", "pod-template-hash"],
        json!(hash),
    );
    let mut selector = deployment["spec"]["selector"].clone();
    set(
        &mut selector,
        &["matchLabels", "pod-template-hash"],
        json!(hash),
    );
    let sizes: i64 = old
        .iter()
        .map(|s| int(s, "/spec/replicas").unwrap_or(0))
        .sum();
    let replicas = rollout::new_size(deployment, 0, sizes);
    let mut made = json!({
        "metadata": {
            "name": format!("{}-{hash}", text(deployment, "/metadata/name")),
            "namespace": deployment["metadata"]["namespace"],
            "labels": labelled["metadata"]["labels"],
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": {"replicas": replicas, "selector": selector, "template": labelled},
    });
    if let Some(seconds) = deployment.pointer("/spec/minReadySeconds") {
        made["spec"]["minReadySeconds"] = seconds.clone();
    }
    copy_annotations(deployment, &mut made);
    let next = next_revision(old).to_string();
    set(
        &mut made,
        &["metadata", "annotations", REVISION],
        json!(next),
    );
    size_annotations(deployment, &mut made);
    let made = objects.create(kind("apps", "ReplicaSet")?, made, CONTROLLER)?;
    if replicas > 0 {
        let message = format!(
            "Scaled up replica set {} from 0 to {replicas}",
            text(&made, "/metadata/name")
        );
        event(objects, deployment, "Normal", "ScalingReplicaSet", &message)?;
    }
    Ok(made)
}

fn copy_annotations(deployment: &Value, to: &mut Value) {
    let skipped = [LAST_APPLIED, REVISION, REVISION_HISTORY, DESIRED, MAX];
    let own = deployment
        .pointer("/metadata/annotations")
        .and_then(Value::as_object);
    for (key, value) in own.into_iter().flatten() {
        if !skipped.contains(&key.as_str()) {
            set(to, &["metadata", "annotations", key], value.clone());
        }
    }
}

fn size_annotations(deployment: &Value, to: &mut Value) {
    let desired = int(deployment, "/spec/replicas").unwrap_or(1);
    let most = desired + rollout::Limits::of(deployment).surge;
    set(
        to,
        &["metadata", "annotations", DESIRED],
        json!(desired.to_string()),
    );
    set(
        to,
        &["metadata", "annotations", MAX],
        json!(most.to_string()),
    );
}

/// The Deployment shows the revision of its new ReplicaSet.
fn carry_revision(
    objects: &mut Objects,
    deployment: &Arc<Value>,
    new: &Value,
) -> Result<Arc<Value>, ApiError> {
    let wanted = annotation(new, REVISION).unwrap_or("");
    if annotation(deployment, REVISION) == Some(wanted) {
        return Ok(deployment.clone());
    }
    let mut changed = (**deployment).clone();
    set(
        &mut changed,
        &["metadata", "annotations", REVISION],
        json!(wanted),
    );
    objects.put(kind("apps", "Deployment")?, changed, Part::Main)
}

/// Old ReplicaSets beyond revisionHistoryLimit go, once the rollout is complete.
fn clean_up(objects: &mut Objects, deployment: &Value, sets: &Sets) -> Result<(), ApiError> {
    let Some(limit) = int(deployment, "/spec/revisionHistoryLimit") else {
        return Ok(());
    };
    if !progress::is_complete(deployment) || flag(deployment, "/spec/paused") {
        return Ok(());
    }
    let sets_kind = kind("apps", "ReplicaSet")?;
    let mut empty: Vec<&Arc<Value>> = sets
        .old
        .iter()
        .filter(|s| int(s, "/spec/replicas") == Some(0) && int(s, "/status/replicas") == Some(0))
        .collect();
    empty.sort_by_key(|s| revision_of(s));
    let excess = sets
        .old
        .len()
        .saturating_sub(usize::try_from(limit).unwrap_or(0));
    for set_object in empty.into_iter().take(excess) {
        let namespace = text(set_object, "/metadata/namespace");
        objects.delete(sets_kind, namespace, text(set_object, "/metadata/name"))?;
    }
    Ok(())
}
