//! What the API server fills in when an object leaves it out, and what it refuses
//! (k8s.io/kubernetes pkg/apis/*/v1/defaults.go and validation, as far as rollouts need them).

use serde_json::{Value, json};

use super::canonical;
use super::error::ApiError;
use super::json::{child, default, labels, list, text};
use super::kinds::Kind;

/// Fills the defaults of a kind.
pub(crate) fn fill(kind: &Kind, object: &mut Value) {
    let typed = kind.group != "argoproj.io";
    if typed && let Some(spec) = object.get_mut("spec") {
        canonical::omit_empty(spec);
    }
    match kind.kind {
        "Deployment" => deployment(child(object, "spec")),
        "ReplicaSet" => {
            let spec = child(object, "spec");
            default(spec, "replicas", json!(1));
            template(child(spec, "template"));
        }
        "StatefulSet" => stateful_set(child(object, "spec")),
        "DaemonSet" => {
            let spec = child(object, "spec");
            default(spec, "revisionHistoryLimit", json!(10));
            let strategy = json!({"type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}});
            default(spec, "updateStrategy", strategy);
            template(child(spec, "template"));
        }
        "Job" => job(child(object, "spec")),
        "HorizontalPodAutoscaler" => autoscaler(child(object, "spec")),
        "Pod" => pod_spec(child(object, "spec")),
        "Service" => service(child(object, "spec")),
        "Namespace" => {
            let name = text(object, "/metadata/name").to_owned();
            let label = child(child(object, "metadata"), "labels");
            default(label, "kubernetes.io/metadata.name", json!(name));
            default(child(object, "spec"), "finalizers", json!(["kubernetes"]));
            default(child(object, "status"), "phase", json!("Active"));
        }
        "Secret" => default(object, "type", json!("Opaque")),
        _ => {}
    }
}

fn deployment(spec: &mut Value) {
    default(spec, "replicas", json!(1));
    default(spec, "revisionHistoryLimit", json!(10));
    default(spec, "progressDeadlineSeconds", json!(600));
    let strategy = child(spec, "strategy");
    default(strategy, "type", json!("RollingUpdate"));
    if strategy["type"] == "RollingUpdate" {
        let rolling = child(strategy, "rollingUpdate");
        default(rolling, "maxUnavailable", json!("25%"));
        default(rolling, "maxSurge", json!("25%"));
    }
    template(child(spec, "template"));
}

fn stateful_set(spec: &mut Value) {
    default(spec, "replicas", json!(1));
    default(spec, "revisionHistoryLimit", json!(10));
    default(spec, "podManagementPolicy", json!("OrderedReady"));
    default(
        spec,
        "persistentVolumeClaimRetentionPolicy",
        json!({"whenDeleted": "Retain", "whenScaled": "Retain"}),
    );
    let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}});
    default(spec, "updateStrategy", strategy);
    template(child(spec, "template"));
}

fn job(spec: &mut Value) {
    default(spec, "parallelism", json!(1));
    default(spec, "completions", json!(1));
    default(spec, "backoffLimit", json!(6));
    default(spec, "completionMode", json!("NonIndexed"));
    default(spec, "suspend", json!(false));
    template(child(spec, "template"));
}

fn autoscaler(spec: &mut Value) {
    default(spec, "minReplicas", json!(1));
    let cpu = json!({"type": "Resource", "resource": {"name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 80}}});
    default(spec, "metrics", json!([cpu]));
}

fn service(spec: &mut Value) {
    default(spec, "type", json!("ClusterIP"));
    default(spec, "sessionAffinity", json!("None"));
    default(spec, "internalTrafficPolicy", json!("Cluster"));
    default(spec, "ipFamilies", json!(["IPv4"]));
    default(spec, "ipFamilyPolicy", json!("SingleStack"));
    for port in items(spec, "ports") {
        default(port, "protocol", json!("TCP"));
        let own = port["port"].clone();
        default(port, "targetPort", own);
    }
}

fn items<'a>(value: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    value
        .get_mut(key)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
}

/// A pod template as it is stored.
pub(crate) fn template(template: &mut Value) {
    // Go's typed object always writes the (null) creationTimestamp of an embedded template;
    // servers from 1.34 on leave it out, as here.
    if let Some(meta) = template.get_mut("metadata").and_then(Value::as_object_mut)
        && meta.get("creationTimestamp").is_some_and(Value::is_null)
    {
        meta.remove("creationTimestamp");
    }
    child(template, "metadata");
    pod_spec(child(template, "spec"));
}

fn pod_spec(spec: &mut Value) {
    default(spec, "restartPolicy", json!("Always"));
    default(spec, "terminationGracePeriodSeconds", json!(30));
    default(spec, "dnsPolicy", json!("ClusterFirst"));
    default(spec, "securityContext", json!({}));
    default(spec, "schedulerName", json!("default-scheduler"));
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        default(spec, "serviceAccount", account);
    }
    for field in ["initContainers", "containers"] {
        for container in items(spec, field) {
            container_defaults(container);
        }
    }
    for volume in items(spec, "volumes") {
        for source in ["secret", "configMap", "projected", "downwardAPI"] {
            if volume.get(source).is_some() {
                default(&mut volume[source], "defaultMode", json!(420));
            }
        }
    }
}

fn container_defaults(container: &mut Value) {
    let image = text(container, "/image").to_owned();
    let last = image.rsplit('/').next().unwrap_or("");
    let latest = !image.contains('@') && (!last.contains(':') || last.ends_with(":latest"));
    let policy = if latest { "Always" } else { "IfNotPresent" };
    default(container, "imagePullPolicy", json!(policy));
    default(
        container,
        "terminationMessagePath",
        json!("/dev/termination-log"),
    );
    default(container, "terminationMessagePolicy", json!("File"));
    default(container, "resources", json!({}));
    canonical::quantities(&mut container["resources"]);
    for port in items(container, "ports") {
        default(port, "protocol", json!("TCP"));
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if container.get(probe).is_some_and(Value::is_object) {
            probe_defaults(&mut container[probe]);
        }
    }
    for entry in items(container, "env") {
        if entry.get("value").is_some_and(|v| v == "") {
            super::json::unset(entry, &["value"]);
        }
        if entry.pointer("/valueFrom/fieldRef").is_some() {
            default(
                &mut entry["valueFrom"]["fieldRef"],
                "apiVersion",
                json!("v1"),
            );
        }
    }
}

fn probe_defaults(probe: &mut Value) {
    for (key, value) in [
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ] {
        default(probe, key, json!(value));
    }
    if probe.get("httpGet").is_some() {
        default(&mut probe["httpGet"], "scheme", json!("HTTP"));
        default(&mut probe["httpGet"], "path", json!("/"));
    }
}

/// Refuses what the API server would refuse; `old` on updates.
pub(crate) fn check(kind: &Kind, object: &Value, old: Option<&Value>) -> Result<(), ApiError> {
    check_strings(kind, object)?;
    let name = text(object, "/metadata/name");
    if ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"].contains(&kind.kind) {
        let selector = labels(object, "/spec/selector/matchLabels");
        let template = labels(object, "/spec/template/metadata/labels");
        if selector.is_empty() && object.pointer("/spec/selector/matchExpressions").is_none() {
            return Err(ApiError::invalid(
                kind,
                name,
                "spec.selector: Required value",
            ));
        }
        if !selector.iter().all(|(k, v)| template.get(k) == Some(v)) {
            let cause = format!(
                "spec.template.metadata.labels: Invalid value: {}: `selector` does not match \
                 template `labels`",
                json!(template)
            );
            return Err(ApiError::invalid(kind, name, &cause));
        }
        if let Some(old) = old
            && old.pointer("/spec/selector") != object.pointer("/spec/selector")
        {
            let cause = format!(
                "spec.selector: Invalid value: {}: field is immutable",
                object.pointer("/spec/selector").unwrap_or(&Value::Null)
            );
            return Err(ApiError::invalid(kind, name, &cause));
        }
        check_containers(kind, name, object, "/spec/template/spec/containers")?;
    }
    check_numbers(kind, object)
}

/// Numbers of replicas and the limits of an autoscaler.
fn check_numbers(kind: &Kind, object: &Value) -> Result<(), ApiError> {
    let number = |field: &str| object["spec"][field].as_i64();
    let refuse = |field: &str, value: i64, why: &str| {
        let cause = format!("spec.{field}: Invalid value: {value}: {why}");
        Err(ApiError::invalid(
            kind,
            text(object, "/metadata/name"),
            &cause,
        ))
    };
    if kind.kind == "HorizontalPodAutoscaler" {
        let max = number("maxReplicas").unwrap_or(0);
        let min = number("minReplicas").unwrap_or(1);
        if max < 1 {
            let cause = "spec.maxReplicas: Required value: must be set and greater than 0";
            let name = text(object, "/metadata/name");
            return Err(ApiError::invalid(kind, name, cause));
        }
        if max < min {
            let why = "must be greater than or equal to `minReplicas`";
            return refuse("maxReplicas", max, why);
        }
    }
    match number("replicas") {
        Some(few) if few < 0 && kind.group == "apps" => {
            refuse("replicas", few, "must be greater than or equal to 0")
        }
        _ => Ok(()),
    }
}

fn check_containers(kind: &Kind, name: &str, object: &Value, path: &str) -> Result<(), ApiError> {
    let field = path.trim_start_matches('/').replace('/', ".");
    let containers = list(object, path);
    if containers.is_empty() {
        return Err(ApiError::invalid(
            kind,
            name,
            &format!("{field}: Required value"),
        ));
    }
    for (at, container) in containers.iter().enumerate() {
        for needed in ["name", "image"] {
            if text(container, &format!("/{needed}")).is_empty() {
                let cause = format!("{field}[{at}].{needed}: Required value");
                return Err(ApiError::invalid(kind, name, &cause));
            }
        }
    }
    Ok(())
}

/// Fields whose Go type is string; anything else fails already when the body is decoded.
fn check_strings(kind: &Kind, object: &Value) -> Result<(), ApiError> {
    let wrong = |value: &Value, place: &str| {
        let found = match value {
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
            Value::String(_) | Value::Null => return Ok(()),
        };
        Err(ApiError::bad_request(format!(
            "{0} in version \"{1}\" cannot be handled as a {0}: json: cannot unmarshal {found} \
             into Go struct field {place} of type string",
            kind.kind, kind.api
        )))
    };
    for base in ["/metadata", "/spec/template/metadata"] {
        for field in ["labels", "annotations"] {
            let pointer = format!("{base}/{field}");
            let map = object.pointer(&pointer).and_then(Value::as_object);
            for value in map.into_iter().flat_map(|m| m.values()) {
                wrong(value, &format!("ObjectMeta{}", pointer.replace('/', ".")))?;
            }
        }
    }
    for base in ["/spec/template/spec", "/spec"] {
        for field in ["containers", "initContainers"] {
            for container in list(object, &format!("{base}/{field}")) {
                wrong(
                    &container["image"],
                    "Container.spec.template.spec.containers.image",
                )?;
                for entry in list(container, "/env") {
                    let value = entry.get("value").unwrap_or(&Value::Null);
                    wrong(value, "EnvVar.spec.template.spec.containers.env.value")?;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::kinds::by_kind;

    fn deployment() -> Value {
        json!({"metadata": {"name": "x"}, "spec": {"selector": {"matchLabels": {"app": "x"}},
            "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [
                {"name": "a", "image": "i:1", "ports": [{"containerPort": 80}],
                 "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}}}]}}}})
    }

    #[test]
    fn a_deployment_is_filled_as_the_api_server_does() {
        let kind = by_kind("apps", "Deployment").unwrap();
        let mut object = deployment();
        fill(kind, &mut object);
        let spec = &object["spec"];
        assert_eq!(spec["progressDeadlineSeconds"], 600);
        assert_eq!(spec["strategy"]["rollingUpdate"]["maxSurge"], "25%");
        let pod = &spec["template"]["spec"];
        assert_eq!(pod["securityContext"], json!({}));
        assert_eq!(pod["containers"][0]["imagePullPolicy"], "IfNotPresent");
        assert_eq!(pod["containers"][0]["ports"][0]["protocol"], "TCP");
        assert_eq!(
            pod["containers"][0]["readinessProbe"]["httpGet"]["scheme"],
            "HTTP"
        );
        let once = object.clone();
        fill(kind, &mut object);
        assert_eq!(once, object);
    }

    #[test]
    fn selectors_must_match_and_stay() {
        let kind = by_kind("apps", "Deployment").unwrap();
        let good = deployment();
        assert!(check(kind, &good, None).is_ok());
        let mut missed = good.clone();
        missed["spec"]["template"]["metadata"]["labels"]["app"] = json!("y");
        assert_eq!(check(kind, &missed, Some(&good)).unwrap_err().code, 422);
        let mut moved = missed.clone();
        moved["spec"]["selector"]["matchLabels"]["app"] = json!("y");
        assert!(
            check(kind, &moved, Some(&good))
                .unwrap_err()
                .message
                .contains("immutable")
        );
    }

    #[test]
    fn env_values_must_be_text() {
        let kind = by_kind("apps", "Deployment").unwrap();
        let mut object = deployment();
        object["spec"]["template"]["spec"]["containers"][0]["env"] =
            json!([{"name": "X", "value": true}]);
        assert_eq!(check(kind, &object, None).unwrap_err().code, 400);
    }
}
