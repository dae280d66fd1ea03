//! Endpoints and EndpointSlices of Services.

use std::sync::Arc;

use serde_json::{Value, json};

use super::replica_set::is_ready;
use super::{CONTROLLER, kind, owner_reference};
use crate::sandbox::api::Selector;
use crate::sandbox::error::ApiError;
use crate::sandbox::json::{list, suffix, text, unset};
use crate::sandbox::kinds::Kind;
use crate::sandbox::store::{Objects, Part};

/// One step for every Service.
pub(crate) fn pass(objects: &mut Objects) -> Result<(), ApiError> {
    for service in objects.list(kind("", "Service")?, "") {
        let Some(selector) = Selector::of_service(&service) else {
            continue;
        };
        let namespace = text(&service, "/metadata/namespace");
        let mut pods = objects.list(kind("", "Pod")?, namespace);
        pods.retain(|p| selector.matches(p) && !text(p, "/status/podIP").is_empty());
        put_endpoints(objects, &service, &pods)?;
        put_slice(objects, &service, &pods)?;
    }
    Ok(())
}

fn target_of(pod: &Value) -> Value {
    json!({"kind": "Pod", "name": pod["metadata"]["name"],
        "namespace": pod["metadata"]["namespace"], "uid": pod["metadata"]["uid"]})
}

fn ports(service: &Value, pods: &[Arc<Value>]) -> Value {
    let number = |port: &Value| match &port["targetPort"] {
        Value::String(name) => pods
            .iter()
            .flat_map(|p| list(p, "/spec/containers"))
            .flat_map(|c| list(c, "/ports"))
            .find(|p| p["name"] == *name)
            .map_or(Value::Null, |p| p["containerPort"].clone()),
        number => number.clone(),
    };
    let all = list(service, "/spec/ports").iter();
    all.map(|p| {
        let mut out = json!({"port": number(p), "protocol": p["protocol"]});
        if let Some(name) = p.get("name") {
            out["name"] = name.clone();
        }
        out
    })
    .collect()
}

fn put_endpoints(
    objects: &mut Objects,
    service: &Value,
    pods: &[Arc<Value>],
) -> Result<(), ApiError> {
    let addresses = |ready: bool| -> Vec<Value> {
        let chosen = pods.iter().filter(|p| is_ready(p) == ready);
        chosen
            .map(|p| {
                json!({"ip": p["status"]["podIP"], "nodeName": p["spec"]["nodeName"],
                "targetRef": target_of(p)})
            })
            .collect()
    };
    let mut subset = json!({"ports": ports(service, pods)});
    for (field, list) in [
        ("addresses", addresses(true)),
        ("notReadyAddresses", addresses(false)),
    ] {
        if !list.is_empty() {
            subset[field] = json!(list);
        }
    }
    let mut object = json!({"metadata": {"name": service["metadata"]["name"],
        "namespace": service["metadata"]["namespace"]}});
    if !pods.is_empty() {
        object["subsets"] = json!([subset]);
    }
    let endpoints = kind("", "Endpoints")?;
    let name = text(service, "/metadata/name").to_owned();
    let found = objects.get(endpoints, text(service, "/metadata/namespace"), &name);
    object["metadata"]["ownerReferences"] = json!([owner_reference(service)]);
    upsert(objects, endpoints, found, object)
}

fn put_slice(objects: &mut Objects, service: &Value, pods: &[Arc<Value>]) -> Result<(), ApiError> {
    let slices = kind("discovery.k8s.io", "EndpointSlice")?;
    let namespace = text(service, "/metadata/namespace");
    let found = objects
        .owned(slices, namespace, text(service, "/metadata/uid"))
        .into_iter()
        .next();
    let service_name = text(service, "/metadata/name");
    let name = match &found {
        Some(found) => text(found, "/metadata/name").to_owned(),
        None => format!("{service_name}-{}", suffix(5)),
    };
    let endpoints: Vec<Value> = pods
        .iter()
        .map(|p| {
            let ready = is_ready(p);
            json!({"addresses": [p["status"]["podIP"]], "nodeName": p["spec"]["nodeName"],
                "targetRef": target_of(p),
                "conditions": {"ready": ready, "serving": ready, "terminating": false}})
        })
        .collect();
    let object = json!({
        "metadata": {"name": name, "namespace": namespace, "generateName": format!("{service_name}-"),
            "labels": {"kubernetes.io/service-name": service_name,
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"},
            "ownerReferences": [owner_reference(service)]},
        "addressType": "IPv4", "endpoints": endpoints, "ports": ports(service, pods)});
    upsert(objects, slices, found, object)
}

fn upsert(
    objects: &mut Objects,
    kind: &'static Kind,
    found: Option<Arc<Value>>,
    object: Value,
) -> Result<(), ApiError> {
    let Some(found) = found else {
        objects.create(kind, object, CONTROLLER)?;
        return Ok(());
    };
    let mut changed = (*found).clone();
    for field in ["subsets", "endpoints", "ports"] {
        match object.get(field) {
            Some(value) => changed[field] = value.clone(),
            None => unset(&mut changed, &[field]),
        }
    }
    objects.put(kind, changed, Part::Main)?;
    Ok(())
}
