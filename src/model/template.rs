//! Pod templates and how a manifest's template is found again in the cluster.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ImageRef;

const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";
const HASH_LABEL: &str = "pod-template-hash";

/// A pod template (`spec.template`), as a manifest has it or as the API server
/// completed it. Its `Debug` shows images only: environment values may be secrets.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PodTemplate(Value);

/// How far a live template is explained by a manifest's template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Coverage {
    /// Fields of the live template that the manifest does not name and that are
    /// neither the API server's defaults nor a restart's mark.
    pub extra: usize,
}

impl fmt::Debug for PodTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PodTemplate").field(&self.images()).finish()
    }
}

impl PodTemplate {
    /// Takes a template; the controller's `pod-template-hash` label is left out.
    #[must_use]
    pub fn new(mut value: Value) -> Self {
        if let Some(labels) = value
            .pointer_mut("/metadata/labels")
            .and_then(Value::as_object_mut)
        {
            labels.remove(HASH_LABEL);
        }
        Self(value)
    }

    /// No template at all.
    #[must_use]
    pub const fn absent() -> Self {
        Self(Value::Null)
    }

    /// The template's value.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.0
    }

    /// Container name and image of all containers, init containers last.
    #[must_use]
    pub fn images(&self) -> Vec<(String, ImageRef)> {
        let list = |pointer| {
            self.0
                .pointer(pointer)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
        };
        list("/spec/containers")
            .chain(list("/spec/initContainers"))
            .filter_map(|container| {
                let name = container.get("name")?.as_str()?;
                let image = container.get("image")?.as_str()?;
                Some((name.to_owned(), ImageRef::new(image)))
            })
            .collect()
    }

    /// The image that people mean by "the release": the first container's.
    #[must_use]
    pub fn main_image(&self) -> Option<ImageRef> {
        self.images().into_iter().next().map(|(_, image)| image)
    }

    /// kubectl's mark of the last restart.
    #[must_use]
    pub fn restarted_at(&self) -> Option<&str> {
        self.0
            .get("metadata")?
            .get("annotations")?
            .get(RESTARTED_AT)?
            .as_str()
    }

    /// The same template without what a mere restart leaves in it: kubectl's
    /// `restartedAt` and Reloader's annotation and `STAKATER_` variables.
    #[must_use]
    pub fn without_restarts(&self) -> Self {
        let mut value = self.0.clone();
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            if let Some(notes) = metadata
                .get_mut("annotations")
                .and_then(Value::as_object_mut)
            {
                notes.retain(|key, _| !is_restart_annotation(key));
                if notes.is_empty() {
                    metadata.remove("annotations");
                }
            }
            metadata.remove("creationTimestamp");
        }
        for pointer in ["/spec/containers", "/spec/initContainers"] {
            let containers = value.pointer_mut(pointer).and_then(Value::as_array_mut);
            for container in containers
                .into_iter()
                .flatten()
                .filter_map(Value::as_object_mut)
            {
                let Some(env) = container.get_mut("env").and_then(Value::as_array_mut) else {
                    continue;
                };
                env.retain(|entry| !is_restart_variable(entry));
                if env.is_empty() {
                    container.remove("env");
                }
            }
        }
        Self(value)
    }

    /// Whether the API server could have made `live` from this manifest template:
    /// every field named here has the same value there. `None` when not; else how
    /// many live fields remain unexplained.
    #[must_use]
    pub fn covers(&self, live: &Self) -> Option<Coverage> {
        let (own, live) = (self.without_restarts(), live.without_restarts());
        let mut extra = 0;
        covers_value("", &own.0, &live.0, &mut extra).then_some(Coverage { extra })
    }
}

fn is_restart_annotation(key: &str) -> bool {
    key == RESTARTED_AT || key.starts_with("reloader.stakater.com/last-reloaded-from")
}

fn is_restart_variable(entry: &Value) -> bool {
    entry
        .get("name")
        .and_then(Value::as_str)
        .is_some_and(|name| name.starts_with("STAKATER_"))
}

fn covers_value(key: &str, own: &Value, live: &Value, extra: &mut usize) -> bool {
    match (own, live) {
        (Value::Object(own), Value::Object(live)) => covers_map(own, live, extra),
        (Value::Array(own), Value::Array(live)) => covers_list(own, live, extra),
        (Value::Null, Value::Object(live)) => {
            *extra += live.len();
            true
        }
        (Value::Null, Value::Array(live)) => {
            *extra += live.len();
            true
        }
        _ => same_scalar(key, own, live),
    }
}

fn covers_map(own: &Map<String, Value>, live: &Map<String, Value>, extra: &mut usize) -> bool {
    for (key, value) in own {
        match live.get(key) {
            Some(found) => {
                if !covers_value(key, value, found, extra) {
                    return false;
                }
            }
            None if is_empty(value) => {}
            None => return false,
        }
    }
    *extra += live
        .iter()
        .filter(|(k, v)| !own.contains_key(*k) && !is_default(k, v))
        .count();
    true
}

fn covers_list(own: &[Value], live: &[Value], extra: &mut usize) -> bool {
    // One volume may be mounted several times: what tells items apart is different in each.
    let tells_apart = |key: &&str| {
        let words = own.iter().map(|item| item.get(key).map(Value::to_string));
        let words: Option<std::collections::BTreeSet<String>> = words.collect();
        words.is_some_and(|words| !own.is_empty() && words.len() == own.len())
    };
    let key = ["name", "containerPort", "mountPath", "key", "ip"]
        .into_iter()
        .find(tells_apart);
    let Some(key) = key else {
        return own.len() == live.len()
            && own
                .iter()
                .zip(live)
                .all(|(a, b)| covers_value("", a, b, extra));
    };
    for item in own {
        let found = live.iter().find(|other| other.get(key) == item.get(key));
        if !found.is_some_and(|other| covers_value("", item, other, extra)) {
            return false;
        }
    }
    *extra += live.len().saturating_sub(own.len());
    true
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.values().all(is_empty),
    }
}

/// The API server's defaults for pods (`pkg/apis/core/v1/defaults.go`, 1.36).
fn is_default(key: &str, value: &Value) -> bool {
    if is_empty(value) {
        return true;
    }
    match key {
        "terminationMessagePath" => value == "/dev/termination-log",
        "terminationMessagePolicy" => value == "File",
        "imagePullPolicy" => value == "IfNotPresent" || value == "Always",
        "dnsPolicy" => value == "ClusterFirst",
        "restartPolicy" => value == "Always",
        "schedulerName" => value == "default-scheduler",
        "terminationGracePeriodSeconds" => value == 30,
        "protocol" => value == "TCP",
        "scheme" => value == "HTTP",
        "successThreshold" | "timeoutSeconds" => value == 1,
        "failureThreshold" => value == 3,
        "periodSeconds" => value == 10,
        "apiVersion" => value == "v1",
        "defaultMode" => value == 420,
        "enableServiceLinks" => value == true,
        // Limits become requests where none are named.
        "requests" => true,
        "serviceAccount" => true,
        _ => false,
    }
}

fn same_scalar(key: &str, own: &Value, live: &Value) -> bool {
    if own == live || (is_empty(own) && is_empty(live)) {
        return true;
    }
    if key == "image" {
        return own == live;
    }
    match (quantity(own), quantity(live)) {
        (Some(a), Some(b)) => (a - b).abs() <= f64::EPSILON * a.abs().max(b.abs()),
        _ => false,
    }
}

/// A Kubernetes quantity (`100m`, `64Mi`, `0.1`, `2`) as a number.
fn quantity(value: &Value) -> Option<f64> {
    let text = match value {
        Value::Number(number) => return number.as_f64(),
        Value::String(text) => text.trim(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    const SUFFIXES: [(&str, f64); 14] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    let (number, factor) = SUFFIXES
        .iter()
        .find_map(|(suffix, factor)| text.strip_suffix(suffix).map(|rest| (rest, *factor)))
        .unwrap_or((text, 1.0));
    if number.is_empty()
        || !number
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-'))
    {
        return None;
    }
    number.parse::<f64>().ok().map(|n| n * factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn manifest() -> PodTemplate {
        PodTemplate::new(json!({
            "metadata": {"labels": {"app": "zai-proxy", "version": "1.2.0"}},
            "spec": {"containers": [{
                "name": "proxy", "image": "a/b:1.2.0",
                "ports": [{"name": "http", "containerPort": 8080}],
                "env": [{"name": "A", "value": "x"}],
                "resources": {"limits": {"cpu": "0.1", "memory": "64Mi"}}
            }]}
        }))
    }

    fn live(image: &str, env: Value) -> PodTemplate {
        PodTemplate::new(json!({
            "metadata": {"creationTimestamp": null,
                "labels": {"app": "zai-proxy", "version": "1.2.0", "pod-template-hash": "abc"}},
            "spec": {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "securityContext": {},
                "terminationGracePeriodSeconds": 30, "schedulerName": "default-scheduler",
                "containers": [{"name": "proxy", "image": image,
                    "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                    "env": env, "imagePullPolicy": "IfNotPresent",
                    "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                    "resources": {"limits": {"cpu": "100m", "memory": "64Mi"}}}]}
        }))
    }

    #[test]
    fn defaults_and_quantities_are_explained() {
        let env = json!([{"name": "A", "value": "x"}]);
        assert_eq!(
            manifest().covers(&live("a/b:1.2.0", env)),
            Some(Coverage { extra: 0 })
        );
    }

    #[test]
    fn another_image_or_value_is_not() {
        assert_eq!(
            manifest().covers(&live("a/b:1.2.1", json!([{"name": "A", "value": "x"}]))),
            None
        );
        assert_eq!(
            manifest().covers(&live("a/b:1.2.0", json!([{"name": "A", "value": "y"}]))),
            None
        );
    }

    #[test]
    fn restarts_are_no_difference_and_injected_variables_are_counted() {
        let env = json!([{"name": "A", "value": "x"}, {"name": "STAKATER_FOO", "value": "1"}]);
        assert_eq!(
            manifest().covers(&live("a/b:1.2.0", env)),
            Some(Coverage { extra: 0 })
        );
        let env = json!([{"name": "A", "value": "x"}, {"name": "B", "value": "1"}]);
        assert_eq!(
            manifest().covers(&live("a/b:1.2.0", env)),
            Some(Coverage { extra: 1 })
        );
    }

    #[test]
    fn debug_shows_no_environment() {
        let text = format!(
            "{:?}",
            live("a/b:1", json!([{"name": "A", "value": "sekret"}]))
        );
        assert!(!text.contains("sekret"), "{text}");
    }

    /// One volume that is mounted at two places.
    #[test]
    fn mounts_are_told_apart_by_their_path() {
        let mounts = |paths: [&str; 2]| {
            let mounts = paths.map(|path| json!({"name": "data", "mountPath": path}));
            PodTemplate::new(
                json!({"spec": {"containers": [{"name": "a", "volumeMounts": mounts}]}}),
            )
        };
        let own = mounts(["/tmp", "/run"]);
        assert!(own.covers(&own).is_some());
        assert!(own.covers(&mounts(["/run", "/tmp"])).is_some());
        assert!(own.covers(&mounts(["/tmp", "/srv"])).is_none());
    }
}
