//! The smallest rights with which a plan would work, to hand to an administrator.

use crate::plan::{Plan, Target};

/// What every look reads, besides the workload itself.
const READS: [(&str, &str, &str); 5] = [
    ("\"\"", "[pods, events, services]", "[get, list]"),
    ("\"\"", "[pods/log]", "[get]"),
    ("apps", "[replicasets, controllerrevisions]", "[list]"),
    ("discovery.k8s.io", "[endpointslices]", "[list]"),
    ("autoscaling", "[horizontalpodautoscalers]", "[list]"),
];

/// A Role and, where Argo CD is asked to act, the lines of its policy.
#[must_use]
pub fn role_text(plan: &Plan) -> String {
    let Some(target) = plan.targets.first() else {
        return String::new();
    };
    let name = format!("unship-{}", target.name);
    let resource = target.kind.resource();
    let mut out = format!(
        "# the rights that `{}` of {}/{} by route {} needs\n",
        plan.intent,
        target.kind.as_str().to_lowercase(),
        target.name,
        plan.route
    );
    out.push_str(&head(&name, &target.namespace));
    for (group, resources, verbs) in READS {
        out.push_str(&rule(group, resources, None, verbs));
    }
    out.push_str(&rule("apps", &format!("[{resource}]"), None, "[get, list]"));
    for write in &plan.writes {
        out.push_str(&write_rule(write, resource, target));
    }
    let argocd: Vec<&str> = plan
        .writes
        .iter()
        .filter_map(|write| write.strip_prefix("argocd "))
        .collect();
    let application = plan
        .writes
        .iter()
        .find_map(|write| write.strip_prefix("patch applications.argoproj.io "));
    if let Some((namespace, app)) = application.and_then(|place| place.split_once('/')) {
        out.push_str("---\n");
        out.push_str(&head(&format!("{name}-application"), namespace));
        let verbs = "[get, patch]";
        out.push_str(&rule("argoproj.io", "[applications]", Some(app), verbs));
    }
    if !argocd.is_empty() {
        out.push_str("---\n# lines for policy.csv of the ConfigMap argocd-rbac-cm\n");
        out.push_str(&policy(&name, "get", &argocd));
        for call in argocd {
            let (verb, object) = call.split_once(' ').unwrap_or((call, "*/*"));
            // Terminate and rollback need `sync` (before 3.6), a patch needs `update`.
            let action = match verb {
                "patch" => "update",
                _ => "sync",
            };
            let line = format!("# p, role:{name}, applications, {action}, {object}, allow\n");
            if !out.contains(&line) {
                out.push_str(&line);
            }
        }
    }
    out
}

fn policy(name: &str, action: &str, calls: &[&str]) -> String {
    let object = calls
        .first()
        .and_then(|call| call.split_once(' '))
        .map_or("*/*", |(_, object)| object);
    format!("# p, role:{name}, applications, {action}, {object}, allow\n")
}

fn head(name: &str, namespace: &str) -> String {
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata:\n  name: {name}\n  namespace: {namespace}\nrules:\n"
    )
}

fn rule(group: &str, resources: &str, name: Option<&str>, verbs: &str) -> String {
    let names = name.map_or_else(String::new, |name| format!("  resourceNames: [{name}]\n"));
    format!("- apiGroups: [{group}]\n  resources: {resources}\n{names}  verbs: {verbs}\n")
}

fn write_rule(write: &str, resource: &str, target: &Target) -> String {
    let whole = format!("patch {resource}.apps ");
    let scale = format!("patch {resource}.apps/scale ");
    let resources = if write.starts_with(&scale) {
        format!("[{resource}/scale]")
    } else if write.starts_with(&whole) {
        format!("[{resource}]")
    } else {
        return String::new();
    };
    rule("apps", &resources, Some(&target.name), "[patch]")
}
