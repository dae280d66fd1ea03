//! `pods/proxy`: what the containers of the simulated pods would answer to a GET.

use super::Answer;
use super::request::{Call, Target};
use crate::sandbox::error::ApiError;
use crate::sandbox::json::{list, text};
use crate::sandbox::kinds::by_kind;
use crate::sandbox::world::World;

/// Answers a GET below `pods/[https:]NAME:PORT/proxy`: `/metrics` and `/health`, at the
/// ports that the pod names.
pub(crate) fn answer(world: &World, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let kind = by_kind("", "Pod").ok_or_else(ApiError::no_route)?;
    let mut parts = target.name.rsplitn(2, ':');
    let (port, name) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or(&target.name),
    );
    let pod = world
        .store
        .with(|o| o.require(kind, &target.namespace, name))?;
    let ready = list(&pod, "/status/conditions")
        .iter()
        .any(|c| c["type"] == "Ready" && c["status"] == "True");
    let listens = list(&pod, "/spec/containers")
        .iter()
        .flat_map(|container| list(container, "/ports"))
        .filter_map(|p| p["containerPort"].as_u64())
        .any(|number| port.parse() == Ok(number));
    if !ready || !listens {
        return Err(ApiError::unavailable(format!(
            "error trying to reach service: dial tcp {}:{port}: connect: connection refused",
            text(&pod, "/status/podIP")
        )));
    }
    // Behind api, v1, namespaces, NAMESPACE, pods, NAME, proxy.
    let below: Vec<&str> = call.path.split('/').skip(8).collect();
    match below.join("/").as_str() {
        "metrics" => Ok(Answer::Text(format!(
            "# TYPE requests_total counter\nrequests_total{{pod=\"{name}\"}} 42\n"
        ))),
        "health" => Ok(Answer::Text("ok\n".to_owned())),
        _ => Err(ApiError::no_route()),
    }
}
