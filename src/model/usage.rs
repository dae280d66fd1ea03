//! What a workload's pods depend on besides their own template.

use serde_json::Value;

use super::{ObjectRef, PodTemplate};

/// How a workload's pods depend on an object; `Ord` by how soon they have a change of it, the latest
/// last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Usage {
    /// A Service sends requests to them: they have it at once.
    Selected,
    /// A ConfigMap is mounted as a volume: the kubelet brings a change into running pods within
    /// about a minute (its sync period and cache; documented as eventual).
    Mounted,
    /// Containers take it at their start (environment, or a mount with `subPath`, which the kubelet
    /// does not update): running pods keep the old values.
    AtStart,
}

impl ObjectRef {
    /// Whether pods may use such an object.
    #[must_use]
    pub fn may_be_used(&self) -> bool {
        self.group.is_empty() && ["ConfigMap", "Service"].contains(&self.kind.as_str())
    }
}

impl PodTemplate {
    /// How the pods depend on a ConfigMap or a Service of their namespace; `None` where they do
    /// not, and for other kinds.
    #[must_use]
    pub fn usage(&self, object: &Value) -> Option<Usage> {
        let name = object.pointer("/metadata/name")?.as_str()?;
        match object.get("kind")?.as_str()? {
            "ConfigMap" => self.usage_of_config_map(name),
            "Service" => self
                .is_selected_by(object.pointer("/spec/selector")?)
                .then_some(Usage::Selected),
            _ => None,
        }
    }

    /// Whether the pods may have depended on an object before: as [`Self::usage`], and a Service
    /// that shares a label with them, whose selector may have moved away.
    #[must_use]
    pub fn is_near(&self, object: &Value) -> bool {
        let labels = self.value().pointer("/metadata/labels");
        let selector = object.pointer("/spec/selector").and_then(Value::as_object);
        let shares =
            |(key, value): (&String, &Value)| labels.and_then(|own| own.get(key)) == Some(value);
        let is_service = object.get("kind").is_some_and(|kind| kind == "Service");
        self.usage(object).is_some()
            || is_service && selector.is_some_and(|own| own.iter().any(shares))
    }

    fn is_selected_by(&self, selector: &Value) -> bool {
        let labels = self.value().pointer("/metadata/labels");
        let has =
            |(key, value): (&String, &Value)| labels.and_then(|own| own.get(key)) == Some(value);
        selector
            .as_object()
            .is_some_and(|selector| !selector.is_empty() && selector.iter().all(has))
    }

    fn usage_of_config_map(&self, name: &str) -> Option<Usage> {
        let spec = self.value().get("spec")?;
        let containers: Vec<&Value> = ["initContainers", "containers"]
            .iter()
            .flat_map(|key| items(spec, key))
            .collect();
        let is = |value: &Value, pointer: &str| {
            value.pointer(pointer).and_then(Value::as_str) == Some(name)
        };
        let in_environment = containers.iter().any(|container| {
            items(container, "envFrom").any(|from| is(from, "/configMapRef/name"))
                || items(container, "env").any(|own| is(own, "/valueFrom/configMapKeyRef/name"))
        });
        let volumes: Vec<&str> = items(spec, "volumes")
            .filter(|volume| {
                let projected = volume.get("projected");
                let mut parts = projected.into_iter().flat_map(|own| items(own, "sources"));
                is(volume, "/configMap/name") || parts.any(|part| is(part, "/configMap/name"))
            })
            .filter_map(|volume| volume.get("name")?.as_str())
            .collect();
        let copied = containers.iter().any(|container| {
            items(container, "volumeMounts").any(|mount| {
                let volume = mount.get("name").and_then(Value::as_str);
                volume.is_some_and(|volume| volumes.contains(&volume))
                    && (mount.get("subPath").is_some() || mount.get("subPathExpr").is_some())
            })
        });
        match (in_environment || copied, volumes.is_empty()) {
            (true, _) => Some(Usage::AtStart),
            (false, false) => Some(Usage::Mounted),
            (false, true) => None,
        }
    }
}

fn items<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(name: &str) -> Value {
        json!({"kind": "ConfigMap", "metadata": {"name": name}})
    }

    #[test]
    fn config_maps_by_how_they_reach_the_pods() {
        let template = PodTemplate::new(json!({"spec": {
            "initContainers": [{"env": [{"name": "A",
                "valueFrom": {"configMapKeyRef": {"name": "keys", "key": "a"}}}]}],
            "containers": [
                {"envFrom": [{"configMapRef": {"name": "all"}}],
                 "volumeMounts": [{"name": "files"}, {"name": "one", "subPath": "a.conf"}]}],
            "volumes": [
                {"name": "files", "projected": {"sources": [{"configMap": {"name": "parts"}}]}},
                {"name": "one", "configMap": {"name": "copied"}},
                {"name": "plain", "configMap": {"name": "plain"}}],
        }}));
        let usage = |name: &str| template.usage(&config(name));
        for name in ["keys", "all", "copied"] {
            assert_eq!(usage(name), Some(Usage::AtStart), "{name}");
        }
        for name in ["parts", "plain"] {
            assert_eq!(usage(name), Some(Usage::Mounted), "{name}");
        }
        assert_eq!(usage("other"), None);
        let secret = json!({"kind": "Secret", "metadata": {"name": "all"}});
        assert_eq!(template.usage(&secret), None);
    }

    #[test]
    fn a_service_needs_every_label() {
        let template = PodTemplate::new(json!({"metadata": {"labels":
            {"app": "web", "track": "blue"}}}));
        let usage = |selector: Value| {
            let kind = json!({"kind": "Service", "metadata": {"name": "web"},
                "spec": {"selector": selector}});
            template.usage(&kind)
        };
        assert_eq!(usage(json!({"app": "web"})), Some(Usage::Selected));
        assert_eq!(usage(json!({"app": "web", "track": "green"})), None);
        assert_eq!(usage(json!({})), None, "an empty selector selects nothing");
        let near = |selector: Value| {
            template.is_near(&json!({"kind": "Service", "metadata": {"name": "web"},
                "spec": {"selector": selector}}))
        };
        assert!(near(json!({"app": "web", "track": "green"})));
        assert!(!near(json!({"app": "other"})));
    }
}
