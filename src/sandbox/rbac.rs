//! Who is asking, and what that identity may do: RBAC objects of the store, evaluated.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::json::{list, text};
use super::kinds::by_kind;
use super::store::Objects;

/// An authenticated identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) groups: Vec<String>,
}

impl User {
    /// The identity of a ServiceAccount.
    pub(crate) fn service_account(namespace: &str, name: &str) -> Self {
        Self {
            name: format!("system:serviceaccount:{namespace}:{name}"),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".to_owned(),
            ],
        }
    }

    /// The cluster's administrator.
    pub(crate) fn admin() -> Self {
        Self {
            name: "admin".to_owned(),
            groups: vec![
                "system:masters".to_owned(),
                "system:authenticated".to_owned(),
            ],
        }
    }
}

/// Bearer tokens and whose they are.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<BTreeMap<String, User>>);

impl Tokens {
    pub(crate) fn add(&self, token: String, user: User) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(token, user);
    }

    pub(crate) fn user(&self, token: &str) -> Option<User> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(token)
            .cloned()
    }
}

/// What is attempted on a resource.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attempt<'a> {
    pub(crate) verb: &'a str,
    pub(crate) group: &'a str,
    /// Plural, with the subresource behind a slash.
    pub(crate) resource: String,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

/// Whether the identity may, and the reason as the RBAC authorizer words it.
pub(crate) fn allowed(objects: &Objects, user: &User, attempt: &Attempt<'_>) -> Option<String> {
    if user.groups.iter().any(|g| g == "system:masters") {
        return Some(String::new());
    }
    if attempt.verb == "create"
        && [
            "selfsubjectaccessreviews",
            "selfsubjectrulesreviews",
            "selfsubjectreviews",
        ]
        .contains(&attempt.resource.as_str())
    {
        let role = "RBAC: allowed by ClusterRoleBinding \"system:basic-user\" of ClusterRole \
                    \"system:basic-user\" to Group \"system:authenticated\"";
        return Some(role.to_owned());
    }
    bound_rules(objects, user, attempt.namespace)
        .into_iter()
        .find(|(rule, _)| rule_allows(rule, attempt))
        .map(|(_, why)| why)
}

/// Rules that the identity has in a namespace ("" for cluster scope), each with its reason.
pub(crate) fn bound_rules(objects: &Objects, user: &User, namespace: &str) -> Vec<(Value, String)> {
    let mut out = Vec::new();
    for (binding_kind, ns) in [("ClusterRoleBinding", ""), ("RoleBinding", namespace)] {
        if binding_kind == "RoleBinding" && namespace.is_empty() {
            continue;
        }
        let Some(kind) = by_kind("rbac.authorization.k8s.io", binding_kind) else {
            continue;
        };
        for binding in objects.list(kind, ns) {
            let Some(subject) = subject_of(&binding, user) else {
                continue;
            };
            let (role_kind, role) = (
                text(&binding, "/roleRef/kind"),
                text(&binding, "/roleRef/name"),
            );
            let Some(kind) = by_kind("rbac.authorization.k8s.io", role_kind) else {
                continue;
            };
            let Some(object) = objects.get(kind, ns, role) else {
                continue;
            };
            let why = format!(
                "RBAC: allowed by {binding_kind} \"{}{}\" of {role_kind} \"{role}\" to {subject}",
                text(&binding, "/metadata/name"),
                if ns.is_empty() {
                    String::new()
                } else {
                    format!("/{ns}")
                },
            );
            out.extend(
                list(&object, "/rules")
                    .iter()
                    .map(|r| (r.clone(), why.clone())),
            );
        }
    }
    out
}

fn subject_of(binding: &Value, user: &User) -> Option<String> {
    list(binding, "/subjects").iter().find_map(|subject| {
        let name = text(subject, "/name");
        match text(subject, "/kind") {
            "User" => (name == user.name).then(|| format!("User \"{name}\"")),
            "Group" => user
                .groups
                .iter()
                .any(|g| g == name)
                .then(|| format!("Group \"{name}\"")),
            "ServiceAccount" => {
                let namespace = text(subject, "/namespace");
                let full = format!("system:serviceaccount:{namespace}:{name}");
                (full == user.name).then(|| format!("ServiceAccount \"{name}/{namespace}\""))
            }
            _ => None,
        }
    })
}

fn rule_allows(rule: &Value, attempt: &Attempt<'_>) -> bool {
    let has = |field: &str, wanted: &str| {
        list(rule, field)
            .iter()
            .any(|v| v == "*" || v.as_str() == Some(wanted))
    };
    let sub = attempt
        .resource
        .split_once('/')
        .map(|(_, sub)| format!("*/{sub}"));
    let names = list(rule, "/resourceNames");
    has("/verbs", attempt.verb)
        && has("/apiGroups", attempt.group)
        && (has("/resources", &attempt.resource) || sub.is_some_and(|s| has("/resources", &s)))
        && (names.is_empty() || names.iter().any(|n| n.as_str() == Some(attempt.name)))
}

/// The message of a refusal, worded as upstream does.
pub(crate) fn refusal(user: &User, attempt: &Attempt<'_>) -> (String, Value) {
    let (plural, _) = attempt
        .resource
        .split_once('/')
        .unwrap_or((&attempt.resource, ""));
    let qualified = if attempt.group.is_empty() {
        plural.to_owned()
    } else {
        format!("{plural}.{}", attempt.group)
    };
    let what = if attempt.name.is_empty() {
        format!("{qualified} is forbidden")
    } else {
        format!("{qualified} \"{}\" is forbidden", attempt.name)
    };
    let place = if attempt.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace \"{}\"", attempt.namespace)
    };
    let message = format!(
        "{what}: User \"{}\" cannot {} resource \"{}\" in API group \"{}\" {place}",
        user.name, attempt.verb, attempt.resource, attempt.group
    );
    let mut details = json!({"kind": plural});
    if !attempt.name.is_empty() {
        details["name"] = json!(attempt.name);
    }
    if !attempt.group.is_empty() {
        details["group"] = json!(attempt.group);
    }
    (message, details)
}

/// The ClusterRole by which containers' logs are read.
pub(crate) fn log_rules() -> Value {
    json!([{"apiGroups": [""], "verbs": ["get"], "resources": ["pods/log"]}])
}

/// The ClusterRole of the read-only observer, without logs.
pub(crate) fn observer_rules() -> Value {
    let read = ["get", "list", "watch"];
    json!([
        {"apiGroups": [""], "verbs": read, "resources":
            ["pods", "services", "endpoints", "events", "namespaces", "nodes"]},
        {"apiGroups": ["apps"], "verbs": read, "resources":
            ["deployments", "replicasets", "statefulsets", "daemonsets"]},
        {"apiGroups": ["batch"], "verbs": read, "resources": ["jobs", "cronjobs"]},
        {"apiGroups": ["autoscaling"], "verbs": read, "resources": ["horizontalpodautoscalers"]},
        {"apiGroups": ["discovery.k8s.io"], "verbs": read, "resources": ["endpointslices"]},
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::store::Writer;

    fn world() -> Objects {
        let mut objects = Objects::default();
        let by = Writer {
            manager: "test",
            apply: false,
        };
        let role = json!({"metadata": {"name": "devpod-observer"}, "rules": observer_rules()});
        let binding = json!({"metadata": {"name": "devpod-observer"},
            "roleRef": {"kind": "ClusterRole", "name": "devpod-observer"},
            "subjects": [{"kind": "ServiceAccount", "namespace": "devpod", "name": "devpod-observer"}]});
        let group = "rbac.authorization.k8s.io";
        objects
            .create(by_kind(group, "ClusterRole").unwrap(), role, by)
            .unwrap();
        objects
            .create(by_kind(group, "ClusterRoleBinding").unwrap(), binding, by)
            .unwrap();
        objects
    }

    #[test]
    fn the_observer_reads_and_nothing_else() {
        let objects = world();
        let user = User::service_account("devpod", "devpod-observer");
        let may = |verb, group, resource: &str| {
            let resource = resource.to_owned();
            let attempt = Attempt {
                verb,
                group,
                resource,
                namespace: "mcp",
                name: "",
            };
            allowed(&objects, &user, &attempt).is_some()
        };
        assert!(may("list", "", "pods"));
        assert!(may(
            "create",
            "authorization.k8s.io",
            "selfsubjectaccessreviews"
        ));
        assert!(!may("patch", "apps", "deployments"));
        assert!(!may("create", "", "pods/exec"));
        assert!(!may("get", "", "secrets"));
        assert!(!may("get", "argoproj.io", "applications"));
    }

    #[test]
    fn refusals_are_worded_as_upstream() {
        let user = User::service_account("devpod", "devpod-observer");
        let attempt = Attempt {
            verb: "patch",
            group: "apps",
            resource: "deployments".to_owned(),
            namespace: "mcp",
            name: "zai-proxy",
        };
        assert_eq!(
            refusal(&user, &attempt).0,
            "deployments.apps \"zai-proxy\" is forbidden: User \
             \"system:serviceaccount:devpod:devpod-observer\" cannot patch resource \
             \"deployments\" in API group \"apps\" in the namespace \"mcp\""
        );
    }
}
