//! The scale subresource (pkg/registry/apps/deployment/storage, `ScaleREST`).

use serde_json::{Value, json};

use super::Answer;
use super::objects::{Change, check_identity, store};
use super::request::{Call, Target};
use crate::sandbox::error::ApiError;
use crate::sandbox::json::{int, labels, text};
use crate::sandbox::kinds::Kind;
use crate::sandbox::store::{Objects, Part};

/// Changes the replicas of an object through its Scale.
pub(super) fn write(
    objects: &mut Objects,
    call: &Call,
    kind: &'static Kind,
    target: &Target,
    change: Change<'_>,
) -> Result<Answer, ApiError> {
    let old = objects.require(kind, &target.namespace, &target.name)?;
    let mut wanted = change(&of(&old))?;
    check_identity(&mut wanted, kind, target)?;
    let replicas = replicas(&wanted, &target.name)?;
    let (uid, own) = (text(&wanted, "/metadata/uid"), text(&old, "/metadata/uid"));
    if !uid.is_empty() && uid != own {
        let resource = format!("{}/scale.{}", kind.plural, kind.group);
        return Err(ApiError::uid_conflict(&resource, &target.name, uid, own));
    }
    let mut new = (*old).clone();
    new["spec"]["replicas"] = json!(replicas);
    new["metadata"]["resourceVersion"] = wanted["metadata"]["resourceVersion"].clone();
    let made = store(objects, call, kind, new, Part::Scale)?;
    Ok(Answer::Json(200, of(&made)))
}

/// `spec.replicas` as Go reads it: absent is zero.
fn replicas(scale: &Value, name: &str) -> Result<i64, ApiError> {
    let given = scale.pointer("/spec/replicas").unwrap_or(&Value::Null);
    match given.as_i64() {
        None if given.is_null() => Ok(0),
        None => {
            let cause = format!(
                "patch: Invalid value: {:?}: json: cannot unmarshal {given} into Go struct field \
                 ScaleSpec.spec.replicas of type int32",
                scale.to_string()
            );
            Err(ApiError::not_valid(("", "", ""), &cause))
        }
        Some(replicas) if replicas < 0 => {
            let cause = format!(
                "spec.replicas: Invalid value: {replicas}: must be greater than or equal to 0"
            );
            Err(ApiError::not_valid(("autoscaling", "Scale", name), &cause))
        }
        Some(replicas) => Ok(replicas),
    }
}

/// The Scale of an object. Zero replicas are left out, as `omitempty` does.
pub(super) fn of(object: &Value) -> Value {
    let meta = &object["metadata"];
    let labels = labels(object, "/spec/selector/matchLabels");
    let selector: Vec<String> = labels
        .into_iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    let spec = match int(object, "/spec/replicas").unwrap_or(0) {
        0 => json!({}),
        replicas => json!({"replicas": replicas}),
    };
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"],
            "creationTimestamp": meta["creationTimestamp"]},
        "spec": spec,
        "status": {"replicas": int(object, "/status/replicas").unwrap_or(0),
            "selector": selector.join(",")}})
}
