//! Pods and what their containers tell.

use super::super::wire::{ContainerSpec, ContainerState, Meta, Moment, PodWire, Terminated};
use super::{said, time};
use crate::model::{Container, ImageRef, Pod, PodProblem, Termination};

/// Reads a pod.
pub(in super::super) fn pod(wire: PodWire) -> Pod {
    let PodWire {
        metadata,
        spec,
        status,
    } = wire;
    let init_states = &status.init_container_statuses;
    let mut containers: Vec<Container> = spec
        .containers
        .iter()
        .map(|one| container(one, &status.container_statuses, &metadata, false))
        .collect();
    let init = spec.init_containers.iter();
    containers.extend(init.map(|one| container(one, init_states, &metadata, true)));
    if containers.iter().all(|one| one.problem.is_none())
        && let Some(problem) = problem_of_pod(&status)
        && let Some(first) = containers.first_mut()
    {
        first.problem = Some(problem);
    }
    let ready = status
        .conditions
        .iter()
        .any(|condition| condition.kind == "Ready" && condition.state == "True");
    Pod {
        owner_uid: metadata.controller().map(|owner| owner.uid.clone()),
        controller_revision_hash: metadata.labels.get("controller-revision-hash").cloned(),
        phase: status.phase,
        ready,
        terminating: metadata.deletion_timestamp.is_some(),
        created_at: time(metadata.creation_timestamp.as_deref()),
        node: spec.node_name.filter(|name| !name.is_empty()),
        name: metadata.name,
        namespace: metadata.namespace,
        uid: metadata.uid,
        containers,
    }
}

/// A problem of the whole pod: evicted, or placed on no node. The containers have
/// nothing to say then, so the first one carries it.
fn problem_of_pod(status: &super::super::wire::PodState) -> Option<PodProblem> {
    if !status.reason.is_empty() && status.phase == "Failed" {
        return Some(PodProblem {
            reason: status.reason.clone(),
            message: said(&status.message),
        });
    }
    let unplaced = status
        .conditions
        .iter()
        .find(|condition| condition.kind == "PodScheduled" && condition.state == "False")?;
    Some(PodProblem {
        reason: unplaced.reason.clone(),
        message: said(&unplaced.message),
    })
}

fn container(
    spec: &ContainerSpec,
    states: &[ContainerState],
    meta: &Meta,
    init: bool,
) -> Container {
    // The image as it was before an image mirror's webhook rewrote the pod; the
    // annotations are kuik's.
    let prefix = if init {
        "original-init-image-"
    } else {
        "original-image-"
    };
    let original = meta.annotations.get(&format!("{prefix}{}", spec.name));
    let state = states.iter().find(|state| state.name == spec.name);
    let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let last_end = state.and_then(|state| {
        state
            .state
            .terminated
            .as_ref()
            .or(state.last_state.terminated.as_ref())
    });
    Container {
        name: spec.name.clone(),
        image: ImageRef::new(spec.image.as_str()),
        original_image: original.map(|image| ImageRef::new(image.as_str())),
        running_image: state
            .and_then(|state| filled(&state.image))
            .map(ImageRef::new),
        image_id: state.and_then(|state| filled(&state.image_id)),
        init,
        ready: state.is_some_and(|state| state.ready),
        restarts: state.map_or(0, |state| state.restart_count),
        problem: state.and_then(|state| problem(&state.state)),
        last_termination: last_end.map(termination),
    }
}

/// `ContainerCreating` and `PodInitializing` are progress, everything else that a
/// container waits for is trouble, and so is an end with an error.
fn problem(state: &Moment) -> Option<PodProblem> {
    if let Some(waiting) = &state.waiting {
        let progress = matches!(
            waiting.reason.as_str(),
            "" | "ContainerCreating" | "PodInitializing"
        );
        return (!progress).then(|| PodProblem {
            reason: waiting.reason.clone(),
            message: said(&waiting.message),
        });
    }
    let ended = state.terminated.as_ref().filter(|end| end.exit_code != 0)?;
    let message = if ended.message.is_empty() {
        format!("exit code {}", ended.exit_code)
    } else {
        said(&ended.message)
    };
    Some(PodProblem {
        reason: reason(ended),
        message,
    })
}

fn reason(end: &Terminated) -> String {
    match (end.reason.as_str(), end.exit_code) {
        ("", 0) => "Completed".to_owned(),
        ("", _) => "Error".to_owned(),
        (reason, _) => reason.to_owned(),
    }
}

fn termination(end: &Terminated) -> Termination {
    Termination {
        reason: reason(end),
        exit_code: end.exit_code,
        finished_at: time(end.finished_at.as_deref()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(value: Value) -> Pod {
        pod(serde_json::from_value(value).unwrap())
    }

    fn with_state(state: Value) -> Pod {
        read(json!({
            "metadata": {"name": "p", "namespace": "mcp", "uid": "1"},
            "spec": {"containers": [{"name": "proxy", "image": "a/b:1"}]},
            "status": {"phase": "Running", "containerStatuses": [
                {"name": "proxy", "ready": false, "restartCount": 3, "state": state,
                 "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled",
                    "finishedAt": "2026-01-01T00:00:00Z"}}}]}
        }))
    }

    #[test]
    fn waiting_and_ended_containers() {
        let cases = [
            (json!({"running": {}}), None),
            (json!({"waiting": {"reason": "ContainerCreating"}}), None),
            (json!({"waiting": {"reason": "PodInitializing"}}), None),
            (json!({"waiting": {}}), None),
            (json!({}), None),
            (Value::Null, None),
            (
                json!({"terminated": {"exitCode": 0, "reason": "Completed"}}),
                None,
            ),
            (
                json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}),
                Some(("CrashLoopBackOff", "back-off")),
            ),
            (
                json!({"waiting": {"reason": "ImagePullBackOff"}}),
                Some(("ImagePullBackOff", "")),
            ),
            (
                json!({"waiting": {"reason": "CreateContainerConfigError"}}),
                Some(("CreateContainerConfigError", "")),
            ),
            (
                json!({"terminated": {"exitCode": 2}}),
                Some(("Error", "exit code 2")),
            ),
            (
                json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}),
                Some(("OOMKilled", "exit code 137")),
            ),
        ];
        for (state, expected) in cases {
            let pod = with_state(state.clone());
            let found = pod
                .problem()
                .map(|(_, p)| (p.reason.as_str(), p.message.as_str()));
            assert_eq!(found, expected, "{state}");
        }
    }

    #[test]
    fn the_last_end_is_the_newest() {
        let running = with_state(json!({"running": {}}));
        let end = running.containers[0].last_termination.clone().unwrap();
        assert_eq!((end.reason.as_str(), end.exit_code), ("OOMKilled", 137));
        assert_eq!(end.finished_at.unwrap().to_string(), "2026-01-01T00:00:00Z");
        let ended = with_state(json!({"terminated": {"exitCode": 3}}));
        assert_eq!(
            ended.containers[0]
                .last_termination
                .as_ref()
                .unwrap()
                .exit_code,
            3
        );
        assert!(ended.is_crashing() && running.is_crashing());
    }

    #[test]
    fn a_rewritten_image_is_explained() {
        let pod = read(json!({
            "metadata": {"name": "p", "namespace": "mcp", "uid": "1",
                "deletionTimestamp": "2026-01-01T00:00:00Z",
                "labels": {"controller-revision-hash": "h"},
                "annotations": {"original-image-proxy": "ronaldraygun/zai-proxy:1.9.0",
                    "original-init-image-wait": "busybox"},
                "ownerReferences": [
                    {"kind": "Node", "name": "n", "uid": "other"},
                    {"kind": "ReplicaSet", "name": "r", "uid": "r1", "controller": true}]},
            "spec": {"nodeName": "n1",
                "containers": [{"name": "proxy",
                    "image": "localhost:7439/ronaldraygun/zai-proxy:1.9.0"}],
                "initContainers": [{"name": "wait", "image": "localhost:7439/busybox"}]},
            "status": {"phase": "Running",
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{"name": "proxy", "ready": true, "restartCount": 0,
                    "image": "docker.io/ronaldraygun/zai-proxy:1.9.0", "imageID": "x@sha256:1"}]}
        }));
        assert!(pod.ready && pod.terminating);
        assert_eq!(pod.owner_uid.as_deref(), Some("r1"));
        assert_eq!(pod.controller_revision_hash.as_deref(), Some("h"));
        assert_eq!(pod.node.as_deref(), Some("n1"));
        let [proxy, wait] = pod.containers.as_slice() else {
            panic!("two containers: {:?}", pod.containers)
        };
        let original = proxy.original_image.as_ref().unwrap();
        assert_eq!(original.as_str(), "ronaldraygun/zai-proxy:1.9.0");
        assert!(proxy.image.is_mirror_of(original));
        assert!(proxy.running_image.as_ref().unwrap().same_as(original));
        assert_eq!(proxy.image_id.as_deref(), Some("x@sha256:1"));
        assert!(wait.init && !proxy.init);
        assert_eq!(wait.original_image.as_ref().unwrap().as_str(), "busybox");
        assert_eq!(wait.running_image, None);
    }

    #[test]
    fn pods_without_containers_running() {
        let unplaced = read(json!({
            "metadata": {"name": "p", "namespace": "mcp", "uid": "1", "labels": null},
            "spec": {"containers": [{"name": "proxy", "image": "a"}], "initContainers": null},
            "status": {"phase": "Pending", "containerStatuses": null, "conditions": [
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                 "message": "0/3 nodes are available"}]}
        }));
        assert_eq!(unplaced.problem().unwrap().1.reason, "Unschedulable");
        assert!(!unplaced.ready && !unplaced.is_crashing());
        let evicted = read(json!({
            "metadata": {"name": "p"}, "spec": {"containers": [{"name": "proxy", "image": "a"}]},
            "status": {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}
        }));
        assert_eq!(evicted.problem().unwrap().1.message, "low on memory");
        assert!(
            read(json!({"metadata": {"name": "p"}}))
                .containers
                .is_empty()
        );
    }
}
