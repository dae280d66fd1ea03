//! Health of resources, by the rules built into Argo CD (gitops-engine pkg/health).

use serde_json::{Value, json};

use crate::sandbox::json::{annotation, flag, int, list, text};

/// Health of one resource with its message; None for kinds without a check.
pub(crate) fn of(object: &Value) -> Option<(&'static str, String)> {
    let plain = |state| Some((state, String::new()));
    match text(object, "/kind") {
        "Deployment" => Some(deployment(object)),
        "ReplicaSet" => Some(replica_set(object)),
        "StatefulSet" => Some(stateful_set(object)),
        "DaemonSet" => Some(daemon_set(object)),
        "Pod" => Some(pod(object)),
        "Job" => Some(job(object)),
        "Service" if text(object, "/spec/type") == "LoadBalancer" => plain("Progressing"),
        "Service" | "HorizontalPodAutoscaler" | "Ingress" => plain("Healthy"),
        "PersistentVolumeClaim" => match text(object, "/status/phase") {
            "Bound" => plain("Healthy"),
            "Lost" => plain("Degraded"),
            _ => plain("Progressing"),
        },
        _ => None,
    }
}

/// As the API shows it.
pub(crate) fn json_of(object: &Value) -> Option<Value> {
    of(object).map(|(state, message)| {
        let mut out = json!({"status": state});
        if !message.is_empty() {
            out["message"] = json!(message);
        }
        out
    })
}

/// The worse of two.
pub(crate) fn worse(a: &'static str, b: &'static str) -> &'static str {
    const ORDER: [&str; 6] = [
        "Healthy",
        "Suspended",
        "Progressing",
        "Missing",
        "Degraded",
        "Unknown",
    ];
    let rank = |s: &str| ORDER.iter().position(|o| *o == s).unwrap_or(0);
    if rank(b) > rank(a) { b } else { a }
}

/// Whether a resource counts for the health of its Application.
pub(crate) fn counts(object: &Value) -> bool {
    annotation(object, "argocd.argoproj.io/ignore-healthcheck") != Some("true")
}

fn unobserved(object: &Value) -> bool {
    int(object, "/metadata/generation").unwrap_or(0)
        > int(object, "/status/observedGeneration").unwrap_or(0)
}

fn number(object: &Value, pointer: &str) -> i64 {
    int(object, pointer).unwrap_or(0)
}

fn deployment(object: &Value) -> (&'static str, String) {
    if flag(object, "/spec/paused") {
        return ("Suspended", "Deployment is paused".to_owned());
    }
    let wait = |why: String| {
        (
            "Progressing",
            format!("Waiting for rollout to finish: {why}"),
        )
    };
    if unobserved(object) {
        return wait("observed deployment generation less than desired generation".to_owned());
    }
    let exceeded = list(object, "/status/conditions")
        .iter()
        .any(|c| c["type"] == "Progressing" && c["reason"] == "ProgressDeadlineExceeded");
    if exceeded {
        let name = text(object, "/metadata/name");
        return (
            "Degraded",
            format!("Deployment \"{name}\" exceeded its progress deadline"),
        );
    }
    let updated = number(object, "/status/updatedReplicas");
    if let Some(wanted) = int(object, "/spec/replicas")
        && updated < wanted
    {
        return wait(format!(
            "{updated} out of {wanted} new replicas have been updated..."
        ));
    }
    let all = number(object, "/status/replicas");
    if all > updated {
        return wait(format!(
            "{} old replicas are pending termination...",
            all - updated
        ));
    }
    let available = number(object, "/status/availableReplicas");
    if available < updated {
        return wait(format!(
            "{available} of {updated} updated replicas are available..."
        ));
    }
    ("Healthy", String::new())
}

fn replica_set(object: &Value) -> (&'static str, String) {
    if unobserved(object) {
        let message = "Waiting for rollout to finish: observed replica set generation less than desired generation";
        return ("Progressing", message.to_owned());
    }
    let (wanted, available) = (
        number(object, "/spec/replicas"),
        number(object, "/status/availableReplicas"),
    );
    if available < wanted {
        let message = format!(
            "Waiting for rollout to finish: {available} out of {wanted} new replicas are available..."
        );
        return ("Progressing", message);
    }
    ("Healthy", String::new())
}

fn stateful_set(object: &Value) -> (&'static str, String) {
    if unobserved(object) {
        return (
            "Progressing",
            "Waiting for statefulset spec update to be observed...".to_owned(),
        );
    }
    let (wanted, ready) = (
        number(object, "/spec/replicas"),
        number(object, "/status/readyReplicas"),
    );
    if ready < wanted {
        return (
            "Progressing",
            format!("Waiting for {} pods to be ready...", wanted - ready),
        );
    }
    let rolled = text(object, "/status/updateRevision") == text(object, "/status/currentRevision");
    if text(object, "/spec/updateStrategy/type") != "OnDelete" && !rolled {
        return (
            "Progressing",
            "waiting for statefulset rolling update to complete".to_owned(),
        );
    }
    ("Healthy", String::new())
}

fn daemon_set(object: &Value) -> (&'static str, String) {
    let wanted = number(object, "/status/desiredNumberScheduled");
    let updated = number(object, "/status/updatedNumberScheduled");
    let available = number(object, "/status/numberAvailable");
    if unobserved(object) || updated < wanted || available < wanted {
        let message = format!(
            "Waiting for daemon set rollout to finish: {available} of {wanted} updated pods are available..."
        );
        return ("Progressing", message);
    }
    ("Healthy", String::new())
}

fn job(object: &Value) -> (&'static str, String) {
    for condition in list(object, "/status/conditions") {
        match text(condition, "/type") {
            "Failed" => return ("Degraded", text(condition, "/message").to_owned()),
            "Complete" => return ("Healthy", text(condition, "/message").to_owned()),
            _ => {}
        }
    }
    ("Progressing", String::new())
}

fn pod(object: &Value) -> (&'static str, String) {
    for container in list(object, "/status/containerStatuses") {
        let reason = text(container, "/state/waiting/reason");
        if reason.starts_with("Err") || reason.ends_with("Error") || reason.ends_with("BackOff") {
            return (
                "Degraded",
                text(container, "/state/waiting/message").to_owned(),
            );
        }
    }
    let ready = list(object, "/status/conditions")
        .iter()
        .any(|c| c["type"] == "Ready" && c["status"] == "True");
    let state = match text(object, "/status/phase") {
        "Pending" => "Progressing",
        "Succeeded" => "Healthy",
        "Failed" => "Degraded",
        "Running" if ready => "Healthy",
        "Running" => "Progressing",
        _ => "Unknown",
    };
    (state, String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(spec: Value, state: Value) -> &'static str {
        let object = json!({"kind": "Deployment", "metadata": {"name": "d", "generation": 1},
            "spec": spec, "status": state});
        of(&object).unwrap().0
    }

    #[test]
    fn deployment_rules() {
        let full = json!({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1});
        assert_eq!(deployment(json!({"replicas": 1}), full.clone()), "Healthy");
        assert_eq!(
            deployment(json!({"replicas": 1, "paused": true}), full),
            "Suspended"
        );
        let stuck = json!({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 1});
        assert_eq!(
            deployment(json!({"replicas": 1}), stuck.clone()),
            "Progressing"
        );
        let mut late = stuck;
        late["conditions"] = json!([{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]);
        assert_eq!(deployment(json!({"replicas": 1}), late), "Degraded");
        assert_eq!(
            deployment(json!({"replicas": 0}), json!({"observedGeneration": 1})),
            "Healthy"
        );
        assert_eq!(deployment(json!({"replicas": 0}), json!({})), "Progressing");
    }

    #[test]
    fn severity_order() {
        assert_eq!(worse("Healthy", "Progressing"), "Progressing");
        assert_eq!(worse("Degraded", "Missing"), "Degraded");
    }
}
