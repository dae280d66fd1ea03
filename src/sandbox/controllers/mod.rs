//! The controllers of the simulated cluster. Each pass looks at the whole store and takes the
//! next step everywhere; a ticker repeats it at every change and at short intervals.

mod autoscaler;
mod deployment;
mod deployment_status;
mod endpoints;
mod garbage;
pub(crate) mod pods;
mod replica_set;
mod rollout;
mod workloads;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::error::ApiError;
use super::json::{digest, int, now, set, text};
use super::kinds::{Kind, by_kind};
use super::store::{Objects, Part, Writer};
use super::world::World;

/// How often time alone is looked at while pods are starting.
const TICK: Duration = Duration::from_millis(40);
/// And while only deadlines may pass, which are whole seconds.
const SLOW_TICK: Duration = Duration::from_millis(250);

/// Runs the controllers until the sandbox stops.
pub(crate) async fn run(world: Arc<World>) {
    let mut changed = world.store.subscribe();
    let mut memory = Memory::default();
    loop {
        changed.mark_unchanged();
        world
            .store
            .with(|objects| pass(objects, &world, &mut memory));
        let settled = memory.pods.are_settled();
        tokio::select! {
            () = world.stopped() => return,
            _ = changed.changed() => tokio::time::sleep(Duration::from_millis(3)).await,
            () = tokio::time::sleep(if settled { SLOW_TICK } else { TICK }) => {}
        }
    }
}

/// What controllers know beside the objects.
#[derive(Debug, Default)]
struct Memory {
    pods: pods::Pods,
    autoscalers: autoscaler::Autoscalers,
}

fn pass(objects: &mut Objects, world: &World, memory: &mut Memory) {
    let outcome = garbage::pass(objects)
        .and_then(|()| deployment::pass(objects))
        .and_then(|()| replica_set::pass(objects))
        .and_then(|()| workloads::pass(objects))
        .and_then(|()| memory.pods.pass(objects, world.pod_ready))
        .and_then(|()| memory.autoscalers.pass(objects))
        .and_then(|()| endpoints::pass(objects));
    if let Err(error) = outcome {
        // A real controller would requeue as well.
        tracing::debug!(error = error.message, "a controller pass ended early");
    }
}

/// The kind of a controller's objects. The table holds all kinds that are asked for here.
pub(crate) fn kind(group: &str, name: &str) -> Result<&'static Kind, ApiError> {
    by_kind(group, name).ok_or_else(ApiError::no_route)
}

/// The writer name of kube-controller-manager.
pub(crate) const CONTROLLER: Writer<'static> = Writer {
    manager: "kube-controller-manager",
    apply: false,
};

/// An owner reference that makes `owner` the controller.
pub(crate) fn owner_reference(owner: &Value) -> Value {
    json!({"apiVersion": owner["apiVersion"], "kind": owner["kind"],
        "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
        "controller": true, "blockOwnerDeletion": true})
}

/// A pod of a template, owned by `owner`.
pub(crate) fn new_pod(owner: &Value, name: &str) -> Value {
    let template = &owner["spec"]["template"];
    let mut meta = template["metadata"].clone();
    meta["name"] = json!(name);
    meta["namespace"] = owner["metadata"]["namespace"].clone();
    meta["ownerReferences"] = json!([owner_reference(owner)]);
    json!({"metadata": meta, "spec": template["spec"]})
}

/// Records an Event, counting repeats.
pub(crate) fn event(
    objects: &mut Objects,
    about: &Value,
    event_type: &str,
    reason: &str,
    message: &str,
) -> Result<(), ApiError> {
    let kind = kind("", "Event")?;
    let namespace = match text(about, "/metadata/namespace") {
        "" => "default",
        own => own,
    };
    let uid = text(about, "/metadata/uid");
    // What it says is its name, so that a repeated one is found without a search.
    let said = digest(&[uid, reason, message].join("\n"));
    let name = format!("{}.{said:.16}", text(about, "/metadata/name"));
    if let Some(found) = objects.get(kind, namespace, &name) {
        let mut again = (*found).clone();
        again["count"] = json!(int(&found, "/count").unwrap_or(1) + 1);
        again["lastTimestamp"] = now();
        objects.put(kind, again, Part::Main)?;
        return Ok(());
    }
    let component = match text(about, "/kind") {
        "Pod" if reason == "Scheduled" => "default-scheduler",
        "Pod" => "kubelet",
        "Deployment" => "deployment-controller",
        "Application" => "argocd-application-controller",
        _ => "replicaset-controller",
    };
    let made = json!({
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {"apiVersion": about["apiVersion"], "kind": about["kind"],
            "name": about["metadata"]["name"], "namespace": namespace, "uid": uid,
            "resourceVersion": about["metadata"]["resourceVersion"]},
        "type": event_type, "reason": reason, "message": message, "count": 1,
        "firstTimestamp": now(), "lastTimestamp": now(), "eventTime": null,
        "source": {"component": component}, "reportingComponent": component,
        "reportingInstance": "",
    });
    objects.create(kind, made, CONTROLLER)?;
    Ok(())
}

/// The condition of a type.
pub(crate) fn condition<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    super::json::list(object, "/status/conditions")
        .iter()
        .find(|c| c["type"] == name)
}

/// What a condition says now.
#[derive(Debug, Clone)]
pub(crate) struct Condition<'a> {
    pub(crate) name: &'a str,
    pub(crate) holds: bool,
    pub(crate) reason: &'a str,
    pub(crate) message: String,
}

/// Puts a condition into `status`, with the times as upstream keeps them: lastTransitionTime moves
/// with the state only, lastUpdateTime with every call.
pub(crate) fn set_condition(status: &mut Value, new: &Condition<'_>) {
    let state = if new.holds { "True" } else { "False" };
    let stamp = now();
    let mut entry = json!({"type": new.name, "status": state, "reason": new.reason,
        "message": new.message, "lastUpdateTime": stamp, "lastTransitionTime": stamp});
    let slot = super::json::child(status, "conditions");
    if !slot.is_array() {
        *slot = json!([]);
    }
    let Some(all) = slot.as_array_mut() else {
        return;
    };
    match all.iter_mut().find(|c| c["type"] == new.name) {
        Some(old) => {
            if old["status"] == state {
                entry["lastTransitionTime"] = old["lastTransitionTime"].clone();
            }
            *old = entry;
        }
        None => all.push(entry),
    }
}

/// Writes the status of an object where it differs.
pub(crate) fn put_status(
    objects: &mut Objects,
    kind: &'static Kind,
    object: &Value,
    state: Value,
) -> Result<(), ApiError> {
    if object.get("status") == Some(&state) {
        return Ok(());
    }
    let mut new = object.clone();
    set(&mut new, &["status"], state);
    super::json::unset(&mut new, &["metadata", "resourceVersion"]);
    objects.put(kind, new, Part::Status)?;
    Ok(())
}

/// Seconds since a time written in an object.
pub(crate) fn seconds_since(at: Option<Timestamp>) -> Option<f64> {
    at.map(|at| Timestamp::now().duration_since(at).as_secs_f64())
}
