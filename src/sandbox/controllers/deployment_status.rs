//! A Deployment's status: counts and the conditions Available and Progressing
//! (pkg/controller/deployment/progress.go, sync.go).

use std::sync::Arc;

use serde_json::{Value, json};

use super::rollout::Limits;
use super::{Condition, condition, kind, put_status, seconds_since, set_condition};
use crate::sandbox::error::ApiError;
use crate::sandbox::json::{flag, int, text, time, unset};
use crate::sandbox::store::Objects;

fn count(object: &Value, field: &str) -> i64 {
    int(object, &format!("/status/{field}")).unwrap_or(0)
}

/// Whether every wanted pod is new and available, and nothing else runs.
pub(crate) fn is_complete(deployment: &Value) -> bool {
    let wanted = int(deployment, "/spec/replicas").unwrap_or(1);
    count(deployment, "updatedReplicas") == wanted
        && count(deployment, "replicas") == wanted
        && count(deployment, "availableReplicas") == wanted
        && count(deployment, "observedGeneration")
            >= int(deployment, "/metadata/generation").unwrap_or(0)
}

/// Writes the status of a Deployment; `begin` is a status that replaces the stored one as basis.
pub(crate) fn update(
    objects: &mut Objects,
    deployment: &Arc<Value>,
    begin: Option<Value>,
) -> Result<(), ApiError> {
    let deployments = kind("apps", "Deployment")?;
    let (namespace, name) = (
        text(deployment, "/metadata/namespace"),
        text(deployment, "/metadata/name"),
    );
    let Some(present) = objects.get(deployments, namespace, name) else {
        return Ok(());
    };
    let sets = objects.owned(
        kind("apps", "ReplicaSet")?,
        namespace,
        text(deployment, "/metadata/uid"),
    );
    let new = sets.iter().find(|s| same_template(s, &present));
    let mut state = begin.unwrap_or_else(|| present.get("status").cloned().unwrap_or(json!({})));
    counts(&present, &sets, new.map(|n| &**n), &mut state);
    availability(&present, &mut state);
    progressing(&present, new.map(|n| &**n), &mut state);
    put_status(objects, deployments, &present, state)
}

fn same_template(set_object: &Value, deployment: &Value) -> bool {
    let mut own = set_object["spec"]["template"].clone();
    unset(&mut own, &["metadata", "labels", "pod-template-hash"]);
    own == deployment["spec"]["template"]
}

fn counts(deployment: &Value, sets: &[Arc<Value>], new: Option<&Value>, state: &mut Value) {
    let sum = |field: &str| sets.iter().map(|s| count(s, field)).sum::<i64>();
    let wanted: i64 = sets
        .iter()
        .map(|s| int(s, "/spec/replicas").unwrap_or(0))
        .sum();
    let available = sum("availableReplicas");
    state["observedGeneration"] = deployment["metadata"]["generation"].clone();
    for (field, value) in [
        ("replicas", sum("replicas")),
        ("updatedReplicas", new.map_or(0, |n| count(n, "replicas"))),
        ("readyReplicas", sum("readyReplicas")),
        ("availableReplicas", available),
        ("unavailableReplicas", (wanted - available).max(0)),
    ] {
        if value > 0 {
            state[field] = json!(value);
        } else {
            unset(state, &[field]);
        }
    }
}

fn availability(deployment: &Value, state: &mut Value) {
    let wanted = int(deployment, "/spec/replicas").unwrap_or(1);
    let needed = wanted - Limits::of(deployment).unavailable;
    let holds = int(state, "/availableReplicas").unwrap_or(0) >= needed;
    let (reason, message) = if holds {
        (
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        )
    } else {
        (
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    };
    let same = |c: &&Value| c["type"] == "Available" && text(c, "/reason") == reason;
    if crate::sandbox::json::list(state, "/conditions")
        .iter()
        .any(|c| same(&c))
    {
        return;
    }
    let message = message.to_owned();
    set_condition(
        state,
        &Condition {
            name: "Available",
            holds,
            reason,
            message,
        },
    );
}

fn progressing(deployment: &Value, new: Option<&Value>, state: &mut Value) {
    let with = |state: &Value| json!({"metadata": deployment["metadata"], "spec": deployment["spec"], "status": state});
    let current = with(state);
    let known = condition(&current, "Progressing").cloned();
    let reason = known.as_ref().map_or("", |c| text(c, "/reason"));
    if flag(deployment, "/spec/paused") {
        if reason != "DeploymentPaused" && reason != "ProgressDeadlineExceeded" {
            let message = "Deployment is paused".to_owned();
            put(state, false, "DeploymentPaused", message);
            as_unknown(state);
        }
        return;
    }
    if reason == "DeploymentPaused" {
        put(
            state,
            true,
            "DeploymentResumed",
            "Deployment is resumed".to_owned(),
        );
        as_unknown(state);
        return;
    }
    let subject = match new {
        Some(new) => format!("ReplicaSet \"{}\"", text(new, "/metadata/name")),
        None => format!("Deployment \"{}\"", text(deployment, "/metadata/name")),
    };
    // A rollout that was complete stays so, whatever becomes of its pods.
    let done = count(&current, "replicas") == count(&current, "updatedReplicas")
        && reason == "NewReplicaSetAvailable";
    if done {
        return;
    }
    let advanced = count(&current, "updatedReplicas") > count(deployment, "updatedReplicas")
        || old_count(&current) < old_count(deployment)
        || count(&current, "readyReplicas") > count(deployment, "readyReplicas")
        || count(&current, "availableReplicas") > count(deployment, "availableReplicas");
    if is_complete(&current) {
        put(
            state,
            true,
            "NewReplicaSetAvailable",
            format!("{subject} has successfully progressed."),
        );
    } else if advanced {
        put(
            state,
            true,
            "ReplicaSetUpdated",
            format!("{subject} is progressing."),
        );
    } else if timed_out(deployment, known.as_ref()) && reason != "ProgressDeadlineExceeded" {
        put(
            state,
            false,
            "ProgressDeadlineExceeded",
            format!("{subject} has timed out progressing."),
        );
    }
}

fn old_count(deployment: &Value) -> i64 {
    count(deployment, "replicas") - count(deployment, "updatedReplicas")
}

fn put(state: &mut Value, holds: bool, reason: &str, message: String) {
    set_condition(
        state,
        &Condition {
            name: "Progressing",
            holds,
            reason,
            message,
        },
    );
}

fn as_unknown(state: &mut Value) {
    let all = state.get_mut("conditions").and_then(Value::as_array_mut);
    for entry in all
        .into_iter()
        .flatten()
        .filter(|c| c["type"] == "Progressing")
    {
        entry["status"] = json!("Unknown");
    }
}

fn timed_out(deployment: &Value, known: Option<&Value>) -> bool {
    let Some(known) = known else { return false };
    let Some(limit) = int(deployment, "/spec/progressDeadlineSeconds") else {
        return false;
    };
    let reason = text(known, "/reason");
    if reason == "NewReplicaSetAvailable" {
        return false;
    }
    reason == "ProgressDeadlineExceeded"
        || seconds_since(time(known, "/lastUpdateTime")).is_some_and(|s| s > limit as f64)
}
