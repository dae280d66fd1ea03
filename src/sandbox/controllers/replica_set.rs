//! The ReplicaSet controller: as many pods as wanted, and their count.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{CONTROLLER, condition, event, kind, new_pod, put_status, seconds_since};
use crate::sandbox::error::ApiError;
use crate::sandbox::json::{int, suffix, text, time, unset};
use crate::sandbox::store::Objects;

/// One step for every ReplicaSet.
pub(crate) fn pass(objects: &mut Objects) -> Result<(), ApiError> {
    let sets = kind("apps", "ReplicaSet")?;
    for set_object in objects.list(sets, "") {
        sync(objects, &set_object)?;
    }
    Ok(())
}

fn sync(objects: &mut Objects, set_object: &Arc<Value>) -> Result<(), ApiError> {
    let (pods_kind, sets) = (kind("", "Pod")?, kind("apps", "ReplicaSet")?);
    let (namespace, name) = (
        text(set_object, "/metadata/namespace"),
        text(set_object, "/metadata/name"),
    );
    let uid = text(set_object, "/metadata/uid");
    let wanted = usize::try_from(int(set_object, "/spec/replicas").unwrap_or(1)).unwrap_or(0);
    let mut pods = objects.owned(pods_kind, namespace, uid);
    for _ in pods.len()..wanted {
        let pod_name = format!("{name}-{}", suffix(5));
        let mut pod = new_pod(set_object, &pod_name);
        pod["metadata"]["generateName"] = json!(format!("{name}-"));
        super::pods::admit(objects, &mut pod)?;
        let made = objects.create(pods_kind, pod, CONTROLLER)?;
        event(
            objects,
            set_object,
            "Normal",
            "SuccessfulCreate",
            &format!("Created pod: {pod_name}"),
        )?;
        pods.push(made);
    }
    if pods.len() > wanted {
        // Those that do not serve go first, then the newest.
        pods.sort_by_key(|p| (is_ready(p), std::cmp::Reverse(created(p))));
        for pod in pods.drain(..pods.len() - wanted).collect::<Vec<_>>() {
            let pod_name = text(&pod, "/metadata/name");
            objects.delete(pods_kind, namespace, pod_name)?;
            event(
                objects,
                set_object,
                "Normal",
                "SuccessfulDelete",
                &format!("Deleted pod: {pod_name}"),
            )?;
        }
    }
    let Some(present) = objects.get(sets, namespace, name) else {
        return Ok(());
    };
    let minimum = int(set_object, "/spec/minReadySeconds").unwrap_or(0);
    let state = counts(&present, &pods, minimum);
    put_status(objects, sets, &present, state)
}

fn created(pod: &Value) -> String {
    text(pod, "/metadata/creationTimestamp").to_owned()
}

/// Whether a pod's Ready condition is True.
pub(crate) fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready").is_some_and(|c| c["status"] == "True")
}

/// Whether a pod has been Ready for so many seconds.
pub(crate) fn is_available(pod: &Value, minimum: i64) -> bool {
    is_ready(pod)
        && (minimum == 0
            || condition(pod, "Ready")
                .and_then(|c| seconds_since(time(c, "/lastTransitionTime")))
                .is_some_and(|s| s >= minimum as f64))
}

fn counts(set_object: &Value, pods: &[Arc<Value>], minimum: i64) -> Value {
    let mut state = set_object.get("status").cloned().unwrap_or(json!({}));
    state["observedGeneration"] = set_object["metadata"]["generation"].clone();
    state["replicas"] = json!(pods.len());
    let ready = pods.iter().filter(|p| is_ready(p)).count();
    let available = pods.iter().filter(|p| is_available(p, minimum)).count();
    for (field, value) in [
        ("fullyLabeledReplicas", pods.len()),
        ("readyReplicas", ready),
        ("availableReplicas", available),
    ] {
        if value > 0 {
            state[field] = json!(value);
        } else {
            unset(&mut state, &[field]);
        }
    }
    state
}
