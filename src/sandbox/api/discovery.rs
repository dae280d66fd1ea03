//! Paths that name no object: versions, health and discovery.

use serde_json::{Value, json};

use super::request::Call;
use super::{Answer, openapi};
use crate::sandbox::error::ApiError;
use crate::sandbox::kinds;

/// The Kubernetes release whose behaviour is followed.
pub(crate) const GIT_VERSION: &str = "v1.36.1";

/// Answers a path outside of resources.
pub(crate) fn answer(call: &Call) -> Result<Answer, ApiError> {
    let parts: Vec<&str> = call.path.split('/').filter(|p| !p.is_empty()).collect();
    let value = match parts.as_slice() {
        ["version"] => version(),
        ["api"] => json!({"kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": []}),
        ["apis"] => json!({"kind": "APIGroupList", "apiVersion": "v1",
            "groups": kinds::groups().into_iter().map(group).collect::<Vec<_>>()}),
        ["apis", name] => {
            let found = kinds::groups().into_iter().find(|(g, _)| g == name);
            let mut group = group(found.ok_or_else(ApiError::no_route)?);
            group["kind"] = json!("APIGroup");
            group["apiVersion"] = json!("v1");
            group
        }
        ["api", "v1"] => kinds::resource_list("", "v1").ok_or_else(ApiError::no_route)?,
        ["apis", group, api] => kinds::resource_list(group, api).ok_or_else(ApiError::no_route)?,
        ["openapi", "v3"] => openapi::index(),
        ["openapi", "v3", rest @ ..] => openapi::document(rest).ok_or_else(ApiError::no_route)?,
        ["healthz" | "livez" | "readyz", ..] => return Ok(Answer::Text("ok".to_owned())),
        [] => json!({"paths": ["/api", "/api/v1", "/apis", "/healthz", "/version"]}),
        _ => return Err(ApiError::no_route()),
    };
    if call.verb != "get" {
        return Err(ApiError::method_not_allowed());
    }
    Ok(Answer::Json(200, value))
}

fn version() -> Value {
    json!({"major": "1", "minor": "36", "gitVersion": GIT_VERSION, "gitCommit": "",
        "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "",
        "compiler": "", "platform": "unship/sandbox"})
}

fn group((name, api): (&str, &str)) -> Value {
    let version = json!({"groupVersion": format!("{name}/{api}"), "version": api});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}
