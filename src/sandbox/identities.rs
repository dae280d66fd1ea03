//! The ServiceAccounts of every world besides the administrator, and their RBAC objects. The real
//! test bed has the same in ci/stack/bed/manifests/identities.yaml.

use serde_json::{Value, json};

use super::argocd;
use super::rbac::{self, User};

/// Namespace of the ServiceAccounts.
pub(crate) const NAMESPACE: &str = "devpod";
/// The one that may only read.
pub(crate) const OBSERVER: &str = "devpod-observer";
/// The others, each of them with everything that the observer may read: `deployer` patches
/// workloads and may make port-forwards, `scaler` the replicas of Deployments only, `operator` is a deployer that may change
/// Applications as well. `logless` is an observer that may not even read logs.
pub(crate) const OTHERS: [&str; 4] = ["deployer", "scaler", "operator", "logless"];

const RBAC: &str = "rbac.authorization.k8s.io";

/// The user of an identity.
pub(crate) fn user(name: &str) -> User {
    User::service_account(NAMESPACE, name)
}

/// All objects, in an order in which they can be created.
pub(crate) fn objects() -> Vec<Value> {
    let mut all = vec![json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": NAMESPACE}})];
    let names: Vec<&str> = [OBSERVER].into_iter().chain(OTHERS).collect();
    all.extend(names.iter().map(|name| {
        json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": NAMESPACE}})
    }));
    all.extend(cluster_role(OBSERVER, &rbac::observer_rules(), &names));
    let with_logs = &names[..names.len() - 1];
    all.extend(cluster_role("log-reader", &rbac::log_rules(), with_logs));
    all.extend(cluster_role(
        "deployer",
        &deployer_rules(),
        &["deployer", "operator"],
    ));
    all.extend(cluster_role(
        "port-forwarder",
        &forward_rules(),
        &["deployer"],
    ));
    all.extend(cluster_role("scaler", &scaler_rules(), &["scaler"]));
    let role = "application-operator";
    let meta = json!({"name": role, "namespace": argocd::NAMESPACE});
    all.push(
        json!({"apiVersion": format!("{RBAC}/v1"), "kind": "Role", "metadata": meta,
        "rules": [{"apiGroups": [argocd::GROUP], "resources": ["applications"],
            "verbs": ["get", "list", "patch"]}]}),
    );
    all.push(
        json!({"apiVersion": format!("{RBAC}/v1"), "kind": "RoleBinding", "metadata": meta,
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": role},
        "subjects": subjects(&["operator"])}),
    );
    all
}

/// A ClusterRole, and its binding to some of the ServiceAccounts.
fn cluster_role(name: &str, rules: &Value, accounts: &[&str]) -> [Value; 2] {
    [
        json!({"apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRole",
            "metadata": {"name": name}, "rules": rules}),
        json!({"apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
            "subjects": subjects(accounts)}),
    ]
}

fn subjects(accounts: &[&str]) -> Value {
    accounts
        .iter()
        .map(|name| json!({"kind": "ServiceAccount", "namespace": NAMESPACE, "name": name}))
        .collect()
}

/// ControllerRevisions are what a StatefulSet or a DaemonSet can be rolled back to.
fn deployer_rules() -> Value {
    json!([
        {"apiGroups": ["apps"], "verbs": ["patch"], "resources":
            ["deployments", "statefulsets", "daemonsets", "deployments/scale", "statefulsets/scale"]},
        {"apiGroups": ["apps"], "verbs": ["get", "list"], "resources": ["controllerrevisions"]},
    ])
}

/// Both verbs: a WebSocket is begun by a GET.
fn forward_rules() -> Value {
    json!([{"apiGroups": [""], "verbs": ["create", "get"], "resources": ["pods/portforward"]}])
}

fn scaler_rules() -> Value {
    json!([{"apiGroups": ["apps"], "verbs": ["get", "patch", "update"],
        "resources": ["deployments/scale"]}])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::kinds::by_manifest;
    use crate::sandbox::rbac::{Attempt, allowed};
    use crate::sandbox::store::{Objects, Writer};

    /// Verb, group, resource and namespace, and which of observer, deployer, scaler, operator and
    /// logless may.
    const RIGHTS: [(&str, &str, &str, [u8; 5]); 17] = [
        ("get", "/pods/log", "mcp", [1, 1, 1, 1, 0]),
        ("list", "/pods", "mcp", [1, 1, 1, 1, 1]),
        ("patch", "apps/deployments", "mcp", [0, 1, 0, 1, 0]),
        ("patch", "apps/statefulsets", "mcp", [0, 1, 0, 1, 0]),
        ("patch", "apps/daemonsets", "mcp", [0, 1, 0, 1, 0]),
        ("patch", "apps/deployments/scale", "mcp", [0, 1, 1, 1, 0]),
        ("patch", "apps/statefulsets/scale", "mcp", [0, 1, 0, 1, 0]),
        ("update", "apps/deployments/scale", "mcp", [0, 0, 1, 0, 0]),
        ("update", "apps/deployments", "mcp", [0, 0, 0, 0, 0]),
        ("delete", "apps/deployments", "mcp", [0, 0, 0, 0, 0]),
        ("list", "apps/controllerrevisions", "mcp", [0, 1, 0, 1, 0]),
        (
            "patch",
            "argoproj.io/applications",
            "argocd",
            [0, 0, 0, 1, 0],
        ),
        ("patch", "argoproj.io/applications", "mcp", [0, 0, 0, 0, 0]),
        ("create", "/pods/exec", "mcp", [0, 0, 0, 0, 0]),
        ("create", "/pods/portforward", "mcp", [0, 1, 0, 0, 0]),
        ("get", "/pods/portforward", "mcp", [0, 1, 0, 0, 0]),
        ("get", "/secrets", "mcp", [0, 0, 0, 0, 0]),
    ];

    #[test]
    fn each_identity_may_what_its_name_says() {
        let by = Writer {
            manager: "test",
            apply: false,
        };
        let mut store = Objects::default();
        for object in objects() {
            let kind = by_manifest(&object).unwrap();
            store.create(kind, object, by).unwrap();
        }
        for (verb, place, namespace, expected) in RIGHTS {
            let (group, resource) = place.split_once('/').unwrap();
            let attempt = Attempt {
                verb,
                group,
                resource: resource.to_owned(),
                namespace,
                name: "",
            };
            let found = [OBSERVER, "deployer", "scaler", "operator", "logless"]
                .map(|name| u8::from(allowed(&store, &user(name), &attempt).is_some()));
            assert_eq!(found, expected, "{verb} {place} in {namespace}");
        }
    }
}
