//! The one admission policy of every world: who works from a devpod may not change the spec of a
//! workload in a namespace that is labelled so. The real test bed says the same in a
//! ValidatingAdmissionPolicy (ci/stack/bed/manifests/policies.yaml).

use serde_json::{Value, json};

use super::request::Call;
use crate::sandbox::error::ApiError;
use crate::sandbox::identities;
use crate::sandbox::json::{labels, text};
use crate::sandbox::kinds::{Kind, by_kind};
use crate::sandbox::store::Objects;

/// Namespaces with this label set to `true` take no changes by hand.
const LABEL: &str = "unship.test/deny-patch";
/// Name of the policy and of its binding.
const POLICY: &str = "deny-patch";
const MESSAGE: &str = "changes by hand are frozen in this namespace";

/// Refuses a change of an object that is there, as a ValidatingAdmissionPolicy does.
pub(super) fn check(
    objects: &Objects,
    call: &Call,
    kind: &'static Kind,
    new: &Value,
) -> Result<(), ApiError> {
    let workload = kind.group == "apps"
        && ["deployments", "statefulsets", "daemonsets"].contains(&kind.plural);
    let devpod = format!("system:serviceaccount:{}:", identities::NAMESPACE);
    if !workload || !call.user.starts_with(&devpod) {
        return Ok(());
    }
    let (namespace, name) = (
        text(new, "/metadata/namespace"),
        text(new, "/metadata/name"),
    );
    let place = by_kind("", "Namespace").and_then(|k| objects.get(k, "", namespace));
    let label = place.and_then(|n| labels(&n, "/metadata/labels").remove(LABEL));
    let old = objects.require(kind, namespace, name)?;
    if label.as_deref() != Some("true") || old["spec"] == new["spec"] {
        return Ok(());
    }
    Err(denied(kind, name))
}

/// The answer of a real API server (1.36) to a policy without a reason of its own.
fn denied(kind: &Kind, name: &str) -> ApiError {
    let cause = format!(
        "ValidatingAdmissionPolicy '{POLICY}' with binding '{POLICY}' denied request: {MESSAGE}"
    );
    let message = format!("{} \"{name}\" is forbidden: {cause}", kind.qualified());
    ApiError {
        code: 422,
        reason: "Invalid",
        message,
        details: json!({"name": name, "group": kind.group, "kind": kind.plural,
            "causes": [{"message": cause}]}),
    }
}
