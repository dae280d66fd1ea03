//! The kinds that the simulated API server serves.

use serde_json::{Value, json};

/// A served resource.
#[derive(Debug)]
pub(crate) struct Kind {
    /// API group, "" for core.
    pub(crate) group: &'static str,
    /// API version within the group.
    pub(crate) api: &'static str,
    /// Kind as written in manifests.
    pub(crate) kind: &'static str,
    /// Name in paths and in RBAC rules.
    pub(crate) plural: &'static str,
    /// Short names that kubectl knows.
    pub(crate) short: &'static [&'static str],
    /// Whether objects live in a namespace.
    pub(crate) namespaced: bool,
    /// Subresources that are served.
    pub(crate) subresources: &'static [&'static str],
    /// Whether `metadata.generation` is kept.
    pub(crate) generation: bool,
}

const fn kind(
    group: &'static str,
    api: &'static str,
    names: (&'static str, &'static str),
    short: &'static [&'static str],
) -> Kind {
    Kind {
        group,
        api,
        kind: names.0,
        plural: names.1,
        short,
        namespaced: true,
        subresources: &[],
        generation: false,
    }
}

impl Kind {
    const fn cluster(mut self) -> Self {
        self.namespaced = false;
        self
    }

    const fn with(mut self, subresources: &'static [&'static str]) -> Self {
        self.subresources = subresources;
        self
    }

    const fn generation(mut self) -> Self {
        self.generation = true;
        self
    }

    /// `apiVersion` of its objects.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.api.to_owned()
        } else {
            format!("{}/{}", self.group, self.api)
        }
    }

    /// The resource as the API server names it in messages: `deployments.apps`, `pods`.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// Whether it is `group` and `kind`.
    pub(crate) fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }
}

/// Every served kind. Within a group the order is the order of discovery.
pub(crate) static KINDS: &[Kind] = &[
    kind("", "v1", ("ConfigMap", "configmaps"), &["cm"]),
    kind("", "v1", ("Endpoints", "endpoints"), &["ep"]),
    kind("", "v1", ("Event", "events"), &["ev"]),
    kind("", "v1", ("Namespace", "namespaces"), &["ns"])
        .cluster()
        .with(&["status"]),
    kind("", "v1", ("Node", "nodes"), &["no"])
        .cluster()
        .with(&["status"]),
    kind(
        "",
        "v1",
        ("PersistentVolumeClaim", "persistentvolumeclaims"),
        &["pvc"],
    ),
    kind("", "v1", ("Pod", "pods"), &["po"]).with(&[
        "attach",
        "eviction",
        "exec",
        "log",
        "portforward",
        "proxy",
        "status",
    ]),
    kind("", "v1", ("Secret", "secrets"), &[]),
    kind("", "v1", ("ServiceAccount", "serviceaccounts"), &["sa"]).with(&["token"]),
    kind("", "v1", ("Service", "services"), &["svc"]).with(&["proxy", "status"]),
    kind(
        "apps",
        "v1",
        ("ControllerRevision", "controllerrevisions"),
        &[],
    ),
    kind("apps", "v1", ("DaemonSet", "daemonsets"), &["ds"])
        .with(&["status"])
        .generation(),
    kind("apps", "v1", ("Deployment", "deployments"), &["deploy"])
        .with(&["scale", "status"])
        .generation(),
    kind("apps", "v1", ("ReplicaSet", "replicasets"), &["rs"])
        .with(&["scale", "status"])
        .generation(),
    kind("apps", "v1", ("StatefulSet", "statefulsets"), &["sts"])
        .with(&["scale", "status"])
        .generation(),
    kind(
        "argoproj.io",
        "v1alpha1",
        ("Application", "applications"),
        &["app", "apps"],
    )
    .generation(),
    kind(
        "argoproj.io",
        "v1alpha1",
        ("ApplicationSet", "applicationsets"),
        &["appset"],
    )
    .with(&["status"])
    .generation(),
    kind(
        "argoproj.io",
        "v1alpha1",
        ("AppProject", "appprojects"),
        &["appproj"],
    )
    .generation(),
    kind(
        "autoscaling",
        "v2",
        ("HorizontalPodAutoscaler", "horizontalpodautoscalers"),
        &["hpa"],
    )
    .with(&["status"]),
    kind("batch", "v1", ("CronJob", "cronjobs"), &["cj"])
        .with(&["status"])
        .generation(),
    kind("batch", "v1", ("Job", "jobs"), &[])
        .with(&["status"])
        .generation(),
    kind(
        "discovery.k8s.io",
        "v1",
        ("EndpointSlice", "endpointslices"),
        &[],
    )
    .generation(),
    kind(
        "networking.k8s.io",
        "v1",
        ("Ingress", "ingresses"),
        &["ing"],
    )
    .generation(),
    kind(
        "networking.k8s.io",
        "v1",
        ("NetworkPolicy", "networkpolicies"),
        &["netpol"],
    )
    .generation(),
    kind(
        "policy",
        "v1",
        ("PodDisruptionBudget", "poddisruptionbudgets"),
        &["pdb"],
    )
    .generation(),
    kind(
        "rbac.authorization.k8s.io",
        "v1",
        ("ClusterRoleBinding", "clusterrolebindings"),
        &[],
    )
    .cluster(),
    kind(
        "rbac.authorization.k8s.io",
        "v1",
        ("ClusterRole", "clusterroles"),
        &[],
    )
    .cluster(),
    kind(
        "rbac.authorization.k8s.io",
        "v1",
        ("RoleBinding", "rolebindings"),
        &[],
    ),
    kind("rbac.authorization.k8s.io", "v1", ("Role", "roles"), &[]),
];

/// Kinds that can only be created, and are answered at once.
pub(crate) static REVIEWS: &[Kind] = &[
    kind(
        "authentication.k8s.io",
        "v1",
        ("SelfSubjectReview", "selfsubjectreviews"),
        &[],
    )
    .cluster(),
    kind(
        "authorization.k8s.io",
        "v1",
        ("SelfSubjectAccessReview", "selfsubjectaccessreviews"),
        &[],
    )
    .cluster(),
    kind(
        "authorization.k8s.io",
        "v1",
        ("SelfSubjectRulesReview", "selfsubjectrulesreviews"),
        &[],
    )
    .cluster(),
];

/// A stored kind by its place in a path.
pub(crate) fn by_plural(group: &str, api: &str, plural: &str) -> Option<&'static Kind> {
    KINDS
        .iter()
        .find(|k| k.group == group && k.api == api && k.plural == plural)
}

/// A stored kind by what a manifest says.
pub(crate) fn by_manifest(object: &Value) -> Option<&'static Kind> {
    let api_version = object.get("apiVersion")?.as_str()?;
    let name = object.get("kind")?.as_str()?;
    let (group, api) = split_api_version(api_version);
    KINDS
        .iter()
        .find(|k| k.group == group && k.api == api && k.kind == name)
}

/// A stored kind by group and kind.
pub(crate) fn by_kind(group: &str, name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|k| k.is(group, name))
}

/// Group and version of an `apiVersion`.
pub(crate) fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// Groups with their versions, in discovery order, without core.
pub(crate) fn groups() -> Vec<(&'static str, &'static str)> {
    let mut out: Vec<(&str, &str)> = Vec::new();
    for kind in KINDS.iter().chain(REVIEWS) {
        if !kind.group.is_empty() && !out.contains(&(kind.group, kind.api)) {
            out.push((kind.group, kind.api));
        }
    }
    out
}

const VERBS: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// The APIResourceList of a group version.
pub(crate) fn resource_list(group: &str, api: &str) -> Option<Value> {
    let mut resources = Vec::new();
    for kind in KINDS.iter().filter(|k| k.group == group && k.api == api) {
        resources.push(json!({
            "name": kind.plural, "singularName": kind.kind.to_lowercase(),
            "namespaced": kind.namespaced, "kind": kind.kind, "verbs": VERBS,
            "shortNames": kind.short, "categories": if is_all(kind) { vec!["all"] } else { vec![] },
        }));
        for sub in kind.subresources {
            resources.push(subresource(kind, sub));
        }
    }
    for kind in REVIEWS.iter().filter(|k| k.group == group && k.api == api) {
        resources.push(json!({
            "name": kind.plural, "singularName": kind.kind.to_lowercase(),
            "namespaced": kind.namespaced, "kind": kind.kind, "verbs": ["create"],
        }));
    }
    let name = if group.is_empty() {
        api.to_owned()
    } else {
        format!("{group}/{api}")
    };
    (!resources.is_empty()).then(|| {
        json!({"kind": "APIResourceList", "apiVersion": "v1",
               "groupVersion": name, "resources": resources})
    })
}

fn is_all(kind: &Kind) -> bool {
    let all = [
        "pods",
        "services",
        "daemonsets",
        "deployments",
        "replicasets",
        "statefulsets",
    ];
    all.contains(&kind.plural) || ["jobs", "cronjobs"].contains(&kind.plural)
}

fn subresource(kind: &Kind, sub: &str) -> Value {
    let name = format!("{}/{sub}", kind.plural);
    match sub {
        "scale" => json!({"name": name, "singularName": "", "namespaced": true, "kind": "Scale",
            "group": "autoscaling", "version": "v1", "verbs": ["get", "patch", "update"]}),
        "log" => json!({"name": name, "singularName": "", "namespaced": true, "kind": "Pod",
            "verbs": ["get"]}),
        "token" => json!({"name": name, "singularName": "", "namespaced": true,
            "kind": "TokenRequest", "group": "authentication.k8s.io", "version": "v1",
            "verbs": ["create"]}),
        "exec" | "attach" | "portforward" | "proxy" => {
            json!({"name": name, "singularName": "", "namespaced": true, "kind": "PodExecOptions",
                "verbs": ["create", "get"]})
        }
        "eviction" => json!({"name": name, "singularName": "", "namespaced": true,
            "kind": "Eviction", "group": "policy", "version": "v1", "verbs": ["create"]}),
        _ => json!({"name": name, "singularName": "", "namespaced": kind.namespaced,
            "kind": kind.kind, "verbs": ["get", "patch", "update"]}),
    }
}

/// A stored kind by group and plural.
pub(crate) fn by_plural_any(group: &str, plural: &str) -> Option<&'static Kind> {
    KINDS
        .iter()
        .find(|k| k.group == group && k.plural == plural)
}
