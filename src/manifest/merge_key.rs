//! The key by which Kubernetes tells the items of a list apart, as data.
//!
//! Source: the `patchMergeKey` struct tags of `k8s.io/api` v0.33 (`core/v1`, `apps/v1`,
//! `apimachinery/pkg/apis/meta/v1`). Lists without that tag (tolerations, envFrom, readinessGates,
//! HPA metrics, Ingress rules) are replaced as a whole and have no entry here.

use super::path::{Path, Step};

/// List field, the field that holds the object around it (any where empty), the merge key.
const MERGE_KEYS: &[(&str, &[&str], &str)] = &[
    ("containers", &[], "name"),
    ("initContainers", &[], "name"),
    ("ephemeralContainers", &[], "name"),
    ("volumes", &["spec"], "name"),
    ("imagePullSecrets", &["spec"], "name"),
    ("hostAliases", &["spec"], "ip"),
    ("topologySpreadConstraints", &["spec"], "topologyKey"),
    ("schedulingGates", &["spec"], "name"),
    ("resourceClaims", &["spec"], "name"),
    ("env", CONTAINERS, "name"),
    ("ports", CONTAINERS, "containerPort"),
    ("volumeMounts", CONTAINERS, "mountPath"),
    ("volumeDevices", CONTAINERS, "devicePath"),
    ("ports", &["spec"], "port"),
    ("ownerReferences", &["metadata"], "uid"),
    ("conditions", &["status"], "type"),
    ("secrets", &[""], "name"),
];

const CONTAINERS: &[&str] = &["containers", "initContainers", "ephemeralContainers"];

/// The merge key of the list at `path` (the path of the list itself, not of an item), if
/// Kubernetes has one for it.
#[must_use]
pub fn merge_key(path: &Path) -> Option<&'static str> {
    let mut names = path.steps().iter().rev().filter_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        Step::Index(_) | Step::Named { .. } | Step::End => None,
    });
    if !matches!(path.steps().last(), Some(Step::Key(_))) {
        return None;
    }
    let list = names.next()?;
    let around = names.next().unwrap_or("");
    MERGE_KEYS
        .iter()
        .find(|(name, parents, _)| {
            *name == list && (parents.is_empty() || parents.contains(&around))
        })
        .map(|(_, _, key)| *key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_the_keys_of_strategic_merge() {
        for (path, key) in [
            ("spec.template.spec.containers", Some("name")),
            ("spec.template.spec.initContainers", Some("name")),
            ("spec.template.spec.containers[proxy].env", Some("name")),
            (
                "spec.template.spec.containers[0].ports",
                Some("containerPort"),
            ),
            ("spec.ports", Some("port")),
            ("spec.template.spec.volumes", Some("name")),
            (
                "spec.template.spec.containers[a].volumeMounts",
                Some("mountPath"),
            ),
            (
                "spec.template.spec.containers[a].volumeDevices",
                Some("devicePath"),
            ),
            ("spec.template.spec.hostAliases", Some("ip")),
            (
                "spec.template.spec.topologySpreadConstraints",
                Some("topologyKey"),
            ),
            ("spec.template.spec.imagePullSecrets", Some("name")),
            ("spec.template.spec.tolerations", None),
            ("spec.template.spec.containers[a].envFrom", None),
            ("spec.rules", None),
            ("data.env", None),
            ("spec.template.spec.containers[0]", None),
            ("", None),
        ] {
            let path: Path = path.parse().unwrap();
            assert_eq!(merge_key(&path), key, "{path}");
        }
    }
}
