//! What besides a person keeps a workload as it is.

use serde::{Deserialize, Serialize};

use super::{ObjectRef, Workload};

/// What besides a person keeps an object as it is, and would undo a change of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Manager {
    /// Which tool.
    pub tool: ManagerTool,
    /// Its object or name: `Kustomization flux-system/apps`, `release zai`, `VerticalPodAutoscaler`.
    pub name: String,
}

/// The tools that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ManagerTool {
    /// Argo CD (tracking id, or the instance label where an Application is known by it).
    Argocd,
    /// Flux (`kustomize.toolkit.fluxcd.io/name`, `helm.toolkit.fluxcd.io/name` labels).
    Flux,
    /// Helm (`app.kubernetes.io/managed-by: Helm` with `meta.helm.sh/release-name`).
    Helm,
    /// An owner reference with `controller: true`.
    Controller,
    /// Another field manager that set something in the pod template.
    FieldManager,
}

/// Field managers that stand for a person at work, or for the controllers that every
/// cluster has: what they wrote stays as it is until somebody writes again.
const PEOPLE: [&str; 6] = [
    "unship",
    "kubectl",
    "kubectl-",
    "kube-controller-manager",
    "before-first-apply",
    "Mozilla",
];

/// Who keeps the workload's pod template: what is found, not what is assumed.
#[must_use]
pub fn managers(workload: &Workload) -> Vec<Manager> {
    let mut found = Vec::new();
    let mut add = |tool, name: String| {
        found.push(Manager { tool, name });
    };
    let label = |key: &str| workload.labels.get(key).map(String::as_str);
    let annotation = |key: &str| workload.annotations.get(key).map(String::as_str);
    if let Some((app, _)) = annotation("argocd.argoproj.io/tracking-id")
        .and_then(ObjectRef::from_tracking_id)
        .filter(|(_, object)| *object == workload.reference.object())
    {
        add(ManagerTool::Argocd, format!("Application {app}"));
    }
    for (prefix, kind) in [
        ("kustomize.toolkit.fluxcd.io", "Kustomization"),
        ("helm.toolkit.fluxcd.io", "HelmRelease"),
    ] {
        if let Some(name) = label(&format!("{prefix}/name")) {
            let namespace = label(&format!("{prefix}/namespace")).unwrap_or("flux-system");
            add(ManagerTool::Flux, format!("{kind} {namespace}/{name}"));
        }
    }
    if label("app.kubernetes.io/managed-by") == Some("Helm")
        && let Some(release) = annotation("meta.helm.sh/release-name")
    {
        add(ManagerTool::Helm, format!("release {release}"));
    }
    if let Some((kind, name)) = &workload.controller {
        add(ManagerTool::Controller, format!("{kind} {name}"));
    }
    for manager in &workload.template_managers {
        if !is_explained(manager, &found) {
            found.push(Manager {
                tool: ManagerTool::FieldManager,
                name: manager.clone(),
            });
        }
    }
    found
}

/// Whether a field manager is a person's tool, or the hand of a manager that was found.
fn is_explained(manager: &str, found: &[Manager]) -> bool {
    let person = PEOPLE
        .iter()
        .any(|own| manager == *own || (own.ends_with('-') && manager.starts_with(own)));
    let hand_of = |tool: ManagerTool| match tool {
        ManagerTool::Argocd => manager.starts_with("argocd"),
        ManagerTool::Flux => matches!(manager, "kustomize-controller" | "helm-controller"),
        ManagerTool::Helm => manager.eq_ignore_ascii_case("helm"),
        ManagerTool::Controller | ManagerTool::FieldManager => false,
    };
    person || found.iter().any(|own| hand_of(own.tool))
}
