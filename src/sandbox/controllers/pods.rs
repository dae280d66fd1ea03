//! Pods: admission (image rewriting), and what their containers do, told by the image's tag.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{event, kind, put_status};
use crate::sandbox::error::ApiError;
use crate::sandbox::json::{annotation, labels, list, now, set, text};
use crate::sandbox::store::Objects;

/// Namespaces with this label have their pods' images rewritten, as caching webhooks do.
pub(crate) const REWRITE_LABEL: &str = "unship.test/rewrite-images";
/// The registry that a rewritten image names.
const REWRITE_REGISTRY: &str = "localhost:7439/";
const NODE: &str = "sandbox-node-1";

/// What a container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Ready after a moment.
    Healthy,
    /// Exits with code 1, again and again.
    Crash,
    /// Its image cannot be pulled.
    NoPull,
    /// Runs, but its readiness probe never succeeds.
    NeverReady,
    /// Is killed for using too much memory, again and again.
    OutOfMemory,
}

/// The behaviour of an image, by its tag.
pub(crate) fn container_behaviour(image: &str) -> Behaviour {
    let name = image.rsplit('/').next().unwrap_or("");
    let tag = name.split_once(':').map_or("", |(_, tag)| tag);
    [
        ("crash", Behaviour::Crash),
        ("nopull", Behaviour::NoPull),
        ("never", Behaviour::NeverReady),
        ("oom", Behaviour::OutOfMemory),
    ]
    .into_iter()
    .find(|(word, _)| tag.contains(word))
    .map_or(Behaviour::Healthy, |(_, behaviour)| behaviour)
}

/// What admission does to a new pod.
pub(crate) fn admit(objects: &Objects, pod: &mut Value) -> Result<(), ApiError> {
    let namespace = objects.get(kind("", "Namespace")?, "", text(pod, "/metadata/namespace"));
    let account = text(pod, "/spec/serviceAccountName").to_owned();
    let account = if account.is_empty() {
        "default"
    } else {
        &account
    };
    set(pod, &["spec", "serviceAccountName"], json!(account));
    set(pod, &["spec", "serviceAccount"], json!(account));
    set(pod, &["spec", "nodeName"], json!(NODE));
    set(pod, &["spec", "enableServiceLinks"], json!(true));
    set(pod, &["spec", "priority"], json!(0));
    set(
        pod,
        &["status"],
        json!({"phase": "Pending", "qosClass": "Burstable"}),
    );
    let labels = namespace
        .map(|n| labels(&n, "/metadata/labels"))
        .unwrap_or_default();
    if labels.get(REWRITE_LABEL).is_none_or(|v| v != "true") {
        return Ok(());
    }
    let mut notes = Vec::new();
    let containers = pod
        .pointer_mut("/spec/containers")
        .and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten() {
        let image = text(container, "/image").to_owned();
        if !image.starts_with(REWRITE_REGISTRY) {
            notes.push((
                format!("original-image-{}", text(container, "/name")),
                image.clone(),
            ));
            container["image"] = json!(format!("{REWRITE_REGISTRY}{image}"));
        }
    }
    for (key, image) in notes {
        set(pod, &["metadata", "annotations", &key], json!(image));
    }
    Ok(())
}

/// When each pod was first seen; Kubernetes' own times know whole seconds only.
#[derive(Debug, Default)]
pub(crate) struct Pods {
    since: HashMap<String, Instant>,
    unsettled: usize,
}

impl Pods {
    /// Whether no pod was on its way at the last pass.
    pub(crate) fn are_settled(&self) -> bool {
        self.unsettled == 0
    }

    /// One step for every pod.
    pub(crate) fn pass(
        &mut self,
        objects: &mut Objects,
        ready_after: Duration,
    ) -> Result<(), ApiError> {
        let pods = kind("", "Pod")?;
        let all = objects.list(pods, "");
        let mut since = HashMap::new();
        for pod in &all {
            let uid = text(pod, "/metadata/uid").to_owned();
            let first = *self.since.get(&uid).unwrap_or(&Instant::now());
            since.insert(uid, first);
            self.step(objects, pod, first.elapsed(), ready_after)?;
        }
        self.since = since;
        self.unsettled = all
            .iter()
            .filter(|p| p.pointer("/status/podIP").is_none())
            .count();
        Ok(())
    }

    fn step(
        &self,
        objects: &mut Objects,
        pod: &Arc<Value>,
        age: Duration,
        ready_after: Duration,
    ) -> Result<(), ApiError> {
        let pods = kind("", "Pod")?;
        let settled = pod.pointer("/status/podIP").is_some();
        let started = pod.pointer("/status/containerStatuses").is_some();
        if !started {
            event(
                objects,
                pod,
                "Normal",
                "Scheduled",
                &format!(
                    "Successfully assigned {}/{} to {NODE}",
                    text(pod, "/metadata/namespace"),
                    text(pod, "/metadata/name")
                ),
            )?;
            return put_status(objects, pods, pod, starting(pod));
        }
        if settled || age < ready_after {
            return Ok(());
        }
        put_status(objects, pods, pod, settle(pod))?;
        tell(objects, pod)
    }
}

fn behaviour_of(container: &Value) -> Behaviour {
    container_behaviour(text(container, "/image"))
}

/// The image as the container runtime names it.
fn runtime_image(pod: &Value, container: &Value) -> String {
    let name = text(container, "/name");
    let original = annotation(pod, &format!("original-image-{name}"));
    let image = original.unwrap_or(text(container, "/image"));
    let first = image.split('/').next().unwrap_or("");
    let has_host =
        image.contains('/') && (first.contains('.') || first.contains(':') || first == "localhost");
    match (has_host, image.contains('/')) {
        (true, _) => image.to_owned(),
        (false, true) => format!("docker.io/{image}"),
        (false, false) => format!("docker.io/library/{image}"),
    }
}

fn base(pod: &Value) -> Value {
    json!({"qosClass": "Burstable", "hostIP": "127.0.0.1", "hostIPs": [{"ip": "127.0.0.1"}],
        "startTime": pod["metadata"]["creationTimestamp"],
        "observedGeneration": pod["metadata"]["generation"]})
}

fn conditions(ready: bool, names: &[&str]) -> Value {
    let entry = |name: &str, holds: bool| {
        let mut out = json!({"type": name, "status": if holds { "True" } else { "False" },
            "lastProbeTime": null, "lastTransitionTime": now()});
        if !holds {
            out["reason"] = json!("ContainersNotReady");
            out["message"] = json!(format!(
                "containers with unready status: [{}]",
                names.join(" ")
            ));
        }
        out
    };
    json!([
        entry("PodReadyToStartContainers", true),
        entry("Initialized", true),
        entry("Ready", ready),
        entry("ContainersReady", ready),
        entry("PodScheduled", true)
    ])
}

fn starting(pod: &Value) -> Value {
    let containers = list(pod, "/spec/containers");
    let names: Vec<&str> = containers.iter().map(|c| text(c, "/name")).collect();
    let mut state = base(pod);
    state["phase"] = json!("Pending");
    state["conditions"] = conditions(false, &names);
    state["containerStatuses"] = containers
        .iter()
        .map(|c| {
            json!({"name": c["name"], "image": c["image"], "imageID": "", "ready": false,
                "started": false, "restartCount": 0, "lastState": {},
                "state": {"waiting": {"reason": "ContainerCreating"}}})
        })
        .collect();
    state
}

fn settle(pod: &Value) -> Value {
    let containers = list(pod, "/spec/containers");
    let behaviours: Vec<Behaviour> = containers.iter().map(behaviour_of).collect();
    let job = text(pod, "/spec/restartPolicy") != "Always";
    let healthy = behaviours.iter().all(|b| *b == Behaviour::Healthy);
    let mut state = base(pod);
    state["phase"] = json!(
        match (job && healthy, behaviours.contains(&Behaviour::NoPull)) {
            (true, _) => "Succeeded",
            (_, true) => "Pending",
            _ => "Running",
        }
    );
    let not_ready: Vec<&str> = containers
        .iter()
        .zip(&behaviours)
        .filter(|(_, b)| **b != Behaviour::Healthy)
        .map(|(c, _)| text(c, "/name"))
        .collect();
    state["conditions"] = conditions(healthy && !job, &not_ready);
    let address = address_of(pod);
    state["podIP"] = json!(address);
    state["podIPs"] = json!([{"ip": address}]);
    let all = containers
        .iter()
        .zip(&behaviours)
        .map(|(c, b)| container_state(pod, c, *b));
    state["containerStatuses"] = all.collect();
    if job && healthy {
        for entry in state["containerStatuses"]
            .as_array_mut()
            .into_iter()
            .flatten()
        {
            entry["ready"] = json!(false);
            entry["state"] = json!({"terminated": {"exitCode": 0, "reason": "Completed",
                "startedAt": now(), "finishedAt": now()}});
        }
    }
    state
}

/// An address in 10.0.0.0/8 that follows from the pod's uid.
fn address_of(pod: &Value) -> String {
    let uid = text(pod, "/metadata/uid").bytes();
    let number = uid.fold(7u32, |acc, b| {
        acc.wrapping_mul(31).wrapping_add(u32::from(b))
    });
    format!(
        "10.{}.{}.{}",
        number >> 24,
        (number >> 16) & 0xff,
        (number >> 8) & 0xff
    )
}

fn container_state(pod: &Value, container: &Value, behaviour: Behaviour) -> Value {
    let image = runtime_image(pod, container);
    let name = text(container, "/name");
    let terminated = |reason: &str, code: i32| {
        json!({"terminated": {"exitCode": code, "reason": reason, "startedAt": now(),
            "finishedAt": now()}})
    };
    let back_off = json!({"waiting": {"reason": "CrashLoopBackOff", "message": format!(
        "back-off 40s restarting failed container={name} pod={}_{}({})",
        text(pod, "/metadata/name"), text(pod, "/metadata/namespace"), text(pod, "/metadata/uid")
    )}});
    let pull = json!({"waiting": {"reason": "ImagePullBackOff",
        "message": format!("Back-off pulling image \"{}\"", text(container, "/image"))}});
    let running = json!({"running": {"startedAt": now()}});
    let (state, last, restarts, ready) = match behaviour {
        Behaviour::Healthy => (running, json!({}), 0, true),
        Behaviour::NeverReady => (running, json!({}), 0, false),
        Behaviour::Crash => (back_off, terminated("Error", 1), 3, false),
        Behaviour::OutOfMemory => (back_off, terminated("OOMKilled", 137), 3, false),
        Behaviour::NoPull => (pull, json!({}), 0, false),
    };
    let repository = image
        .rsplit_once(':')
        .map_or(&*image, |(repository, _)| repository);
    let image_id = match behaviour {
        Behaviour::NoPull => String::new(),
        _ => format!(
            "{repository}@sha256:{}",
            crate::sandbox::json::digest(&image)
        ),
    };
    json!({"name": name, "image": image,
        "imageID": image_id,
        "ready": ready, "started": ready || behaviour == Behaviour::NeverReady,
        "restartCount": restarts, "state": state, "lastState": last})
}

/// The events that a kubelet writes about a settled pod.
fn tell(objects: &mut Objects, pod: &Value) -> Result<(), ApiError> {
    for container in list(pod, "/spec/containers") {
        let (name, image) = (text(container, "/name"), text(container, "/image"));
        let pod_name = text(pod, "/metadata/name");
        let whole = format!(
            "{pod_name}_{}({})",
            text(pod, "/metadata/namespace"),
            text(pod, "/metadata/uid")
        );
        match behaviour_of(container) {
            Behaviour::Healthy => {
                event(
                    objects,
                    pod,
                    "Normal",
                    "Started",
                    &format!("Started container {name}"),
                )?;
            }
            Behaviour::Crash | Behaviour::OutOfMemory => {
                let message = format!("Back-off restarting failed container {name} in pod {whole}");
                event(objects, pod, "Warning", "BackOff", &message)?;
            }
            Behaviour::NoPull => {
                let message = format!("Failed to pull image \"{image}\": not found");
                event(objects, pod, "Warning", "Failed", &message)?;
                let message = format!("Back-off pulling image \"{image}\"");
                event(objects, pod, "Warning", "BackOff", &message)?;
            }
            Behaviour::NeverReady => {
                let message = "Readiness probe failed: HTTP probe failed with statuscode: 503";
                event(objects, pod, "Warning", "Unhealthy", message)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_tells_the_behaviour() {
        assert_eq!(
            container_behaviour("crash.example/app:1.0"),
            Behaviour::Healthy
        );
        assert_eq!(
            container_behaviour("localhost:7439/a/app:1.2.1-crash"),
            Behaviour::Crash
        );
        assert_eq!(container_behaviour("app:2-nopull"), Behaviour::NoPull);
        assert_eq!(container_behaviour("app"), Behaviour::Healthy);
    }

    #[test]
    fn runtime_names_carry_their_registry() {
        let pod = json!({"metadata": {"annotations": {"original-image-a": "x/y:1"}}});
        let image =
            |name: &str, image: &str| runtime_image(&pod, &json!({"name": name, "image": image}));
        assert_eq!(image("a", "localhost:7439/x/y:1"), "docker.io/x/y:1");
        assert_eq!(image("b", "nginx:1"), "docker.io/library/nginx:1");
        assert_eq!(image("b", "ghcr.io/x/y:1"), "ghcr.io/x/y:1");
    }
}
