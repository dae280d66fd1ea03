//! StatefulSets, DaemonSets and Jobs: their pods, one replacement at a time, and their counts.

use std::sync::Arc;

use serde_json::{Value, json};

use super::replica_set::is_ready;
use super::{CONTROLLER, kind, new_pod, owner_reference, put_status};
use crate::sandbox::error::ApiError;
use crate::sandbox::json::{int, labels, set, suffix, template_hash, text, unset};
use crate::sandbox::kinds::Kind;
use crate::sandbox::store::{Objects, Part};

/// Label of the pods: the ControllerRevision's name for a StatefulSet, its hash for a DaemonSet.
const HASH: &str = "controller-revision-hash";
/// Label of a StatefulSet's ControllerRevisions; those of a DaemonSet have the same as its pods.
const REVISION_HASH: &str = "controller.kubernetes.io/hash";

/// One step for every StatefulSet, DaemonSet and Job.
pub(crate) fn pass(objects: &mut Objects) -> Result<(), ApiError> {
    for name in ["StatefulSet", "DaemonSet"] {
        let workloads = kind("apps", name)?;
        for workload in objects.list(workloads, "") {
            sync(objects, workloads, &workload)?;
        }
    }
    let jobs = kind("batch", "Job")?;
    for job in objects.list(jobs, "") {
        sync_job(objects, jobs, &job)?;
    }
    Ok(())
}

fn sync(
    objects: &mut Objects,
    workloads: &'static Kind,
    workload: &Arc<Value>,
) -> Result<(), ApiError> {
    let pods_kind = kind("", "Pod")?;
    let (namespace, name) = (
        text(workload, "/metadata/namespace"),
        text(workload, "/metadata/name"),
    );
    let (current, hash) = current_revision(objects, workload)?;
    let nodes = objects.list(kind("", "Node")?, "").len();
    let ordered = workloads.kind == "StatefulSet";
    let wanted = if ordered {
        usize::try_from(int(workload, "/spec/replicas").unwrap_or(1)).unwrap_or(0)
    } else {
        nodes
    };
    let mut pods = objects.owned(pods_kind, namespace, text(workload, "/metadata/uid"));
    pods.sort_by_key(|p| text(p, "/metadata/name").to_owned());
    let label = if ordered { &current } else { &hash };
    let is_new = |p: &Value| labels(p, "/metadata/labels").get(HASH) == Some(label);
    let all_ready = pods.iter().all(|p| is_ready(p));
    if pods.len() > wanted {
        if let Some(last) = pods.last() {
            objects.delete(pods_kind, namespace, text(last, "/metadata/name"))?;
        }
    } else if pods.len() < wanted && (all_ready || !ordered) {
        let taken: Vec<&str> = pods.iter().map(|p| text(p, "/metadata/name")).collect();
        let free = (0..wanted)
            .map(|i| format!("{name}-{i}"))
            .find(|n| !taken.contains(&n.as_str()));
        let pod_name = if ordered {
            free.unwrap_or_default()
        } else {
            format!("{name}-{}", suffix(5))
        };
        let mut pod = new_pod(workload, &pod_name);
        set(&mut pod, &["metadata", "labels", HASH], json!(label));
        super::pods::admit(objects, &mut pod)?;
        objects.create(pods_kind, pod, CONTROLLER)?;
    } else if text(workload, "/spec/updateStrategy/type") != "OnDelete"
        && let Some(old) = next_to_go(&pods, is_new, ordered)
    {
        objects.delete(pods_kind, namespace, text(old, "/metadata/name"))?;
    }
    let updated = pods.iter().filter(|p| is_new(p)).count();
    let Some(present) = objects.get(workloads, namespace, name) else {
        return Ok(());
    };
    let state = state_of(&present, &pods, (wanted, updated, &current));
    put_status(objects, workloads, &present, state)
}

/// The pod of an older template that is replaced next: one at a time, while all others are ready.
/// A DaemonSet does not wait for old pods that are not ready; a StatefulSet does.
fn next_to_go(
    pods: &[Arc<Value>],
    is_new: impl Fn(&Value) -> bool,
    ordered: bool,
) -> Option<&Arc<Value>> {
    let mut old = pods.iter().rev().filter(|p| !is_new(p));
    if pods.iter().all(|p| is_ready(p)) {
        return old.next();
    }
    old.find(|p| !ordered && !is_ready(p))
}

fn state_of(
    workload: &Value,
    pods: &[Arc<Value>],
    (wanted, updated, current): (usize, usize, &str),
) -> Value {
    let ready = pods.iter().filter(|p| is_ready(p)).count();
    let mut state = workload.get("status").cloned().unwrap_or(json!({}));
    state["observedGeneration"] = workload["metadata"]["generation"].clone();
    if workload["kind"] == "StatefulSet" {
        let rolled = updated == pods.len() && ready == wanted;
        if rolled || text(&state, "/currentRevision").is_empty() {
            state["currentRevision"] = json!(current);
        }
        state["updateRevision"] = json!(current);
        counts(
            &mut state,
            &[
                ("replicas", pods.len()),
                ("readyReplicas", ready),
                ("availableReplicas", ready),
                ("updatedReplicas", updated),
                ("currentReplicas", updated),
            ],
        );
    } else {
        counts(
            &mut state,
            &[
                ("desiredNumberScheduled", wanted),
                ("currentNumberScheduled", pods.len()),
                ("numberReady", ready),
                ("numberAvailable", ready),
                ("updatedNumberScheduled", updated),
            ],
        );
    }
    state
}

fn counts(state: &mut Value, values: &[(&str, usize)]) {
    for (field, value) in values {
        state[*field] = json!(value);
    }
}

/// Name and hash of the present template's ControllerRevision, made where it is missing and
/// renumbered where it is an old one.
fn current_revision(objects: &mut Objects, workload: &Value) -> Result<(String, String), ApiError> {
    let revisions = kind("apps", "ControllerRevision")?;
    let template = &workload["spec"]["template"];
    let hash = template_hash(template, 0);
    let (namespace, uid) = (
        text(workload, "/metadata/namespace"),
        text(workload, "/metadata/uid"),
    );
    let owned = objects.owned(revisions, namespace, uid);
    let highest = owned
        .iter()
        .filter_map(|r| int(r, "/revision"))
        .max()
        .unwrap_or(0);
    let name = format!("{}-{hash}", text(workload, "/metadata/name"));
    match owned.iter().find(|r| text(r, "/metadata/name") == name) {
        Some(found) if int(found, "/revision") == Some(highest) => {}
        Some(found) => {
            let mut changed = (**found).clone();
            changed["revision"] = json!(highest + 1);
            objects.put(revisions, changed, Part::Main)?;
        }
        None => {
            let mut data = template.clone();
            data["$patch"] = json!("replace");
            let mut all = labels(workload, "/spec/template/metadata/labels");
            let label = match workload["kind"] == "StatefulSet" {
                true => REVISION_HASH,
                false => HASH,
            };
            all.insert(label.to_owned(), hash.clone());
            let made = json!({"metadata": {"name": name, "namespace": namespace, "labels": all,
                    "ownerReferences": [owner_reference(workload)]},
                "data": {"spec": {"template": data}}, "revision": highest + 1});
            objects.create(revisions, made, CONTROLLER)?;
        }
    }
    Ok((name, hash))
}

fn sync_job(objects: &mut Objects, jobs: &'static Kind, job: &Arc<Value>) -> Result<(), ApiError> {
    let pods_kind = kind("", "Pod")?;
    let (namespace, name) = (
        text(job, "/metadata/namespace"),
        text(job, "/metadata/name"),
    );
    let pods = objects.owned(pods_kind, namespace, text(job, "/metadata/uid"));
    let suspended = crate::sandbox::json::flag(job, "/spec/suspend");
    if pods.is_empty() && !suspended && super::condition(job, "Complete").is_none() {
        let mut pod = new_pod(job, &format!("{name}-{}", suffix(5)));
        super::pods::admit(objects, &mut pod)?;
        objects.create(pods_kind, pod, CONTROLLER)?;
        return Ok(());
    }
    let succeeded = pods
        .iter()
        .filter(|p| text(p, "/status/phase") == "Succeeded")
        .count();
    let mut state = job.get("status").cloned().unwrap_or(json!({}));
    unset(&mut state, &["active"]);
    if succeeded > 0 && super::condition(job, "Complete").is_none() {
        state["succeeded"] = json!(succeeded);
        state["completionTime"] = crate::sandbox::json::now();
        let message = "Reached expected number of succeeded pods".to_owned();
        let reason = "CompletionsReached";
        let condition = super::Condition {
            name: "Complete",
            holds: true,
            reason,
            message,
        };
        super::set_condition(&mut state, &condition);
    } else if succeeded == 0 && !pods.is_empty() {
        state["active"] = json!(pods.len());
    }
    put_status(objects, jobs, job, state)
}
