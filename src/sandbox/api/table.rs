//! `kubectl get`: the server prints the columns.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::sandbox::json::{flag, int, list, text, time};
use crate::sandbox::kinds::Kind;

/// Whether the client asks for a Table.
pub(crate) fn wanted(accept: &str) -> bool {
    accept.contains("as=Table")
}

/// The metadata of an object alone.
pub(crate) fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
           "metadata": object["metadata"]})
}

/// A Table of objects of one kind; `include` is the request's includeObject.
pub(crate) fn of(kind: &Kind, objects: &[Value], include: &str) -> Value {
    let columns = columns(kind);
    let definitions: Vec<Value> = columns
        .iter()
        .map(|name| {
            let format = if *name == "Name" { "name" } else { "" };
            json!({"name": name, "type": "string", "format": format, "description": "", "priority": 0})
        })
        .collect();
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let cells: Vec<Value> = columns.iter().map(|c| cell(c, object)).collect();
            let mut row = json!({"cells": cells});
            match include {
                "None" => {}
                "Object" => row["object"] = object.clone(),
                _ => row["object"] = partial(object),
            }
            row
        })
        .collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {},
        "columnDefinitions": definitions, "rows": rows})
}

fn columns(kind: &Kind) -> &'static [&'static str] {
    match kind.kind {
        "Pod" => &["Name", "Ready", "Status", "Restarts", "Age"],
        "Deployment" => &["Name", "Ready", "Up-to-date", "Available", "Age"],
        "ReplicaSet" => &["Name", "Desired", "Current", "Ready", "Age"],
        "StatefulSet" => &["Name", "Ready", "Age"],
        "Service" => &["Name", "Type", "Cluster-IP", "Port(s)", "Age"],
        "Event" => &["Last Seen", "Type", "Reason", "Object", "Message"],
        "Namespace" => &["Name", "Status", "Age"],
        "Application" => &["Name", "Sync Status", "Health Status"],
        _ => &["Name", "Age"],
    }
}

fn cell(column: &str, object: &Value) -> Value {
    let number = |pointer: &str| int(object, pointer).unwrap_or(0);
    json!(match column {
        "Name" => text(object, "/metadata/name").to_owned(),
        "Age" => age(time(object, "/metadata/creationTimestamp")),
        "Last Seen" => age(time(object, "/lastTimestamp")),
        "Up-to-date" => number("/status/updatedReplicas").to_string(),
        "Available" => number("/status/availableReplicas").to_string(),
        "Desired" => number("/spec/replicas").to_string(),
        "Current" => number("/status/replicas").to_string(),
        "Restarts" => list(object, "/status/containerStatuses")
            .iter()
            .map(|c| int(c, "/restartCount").unwrap_or(0))
            .sum::<i64>()
            .to_string(),
        "Ready" => ready(object),
        "Status" => pod_state(object),
        "Type" if object["kind"] == "Event" => text(object, "/type").to_owned(),
        "Type" => text(object, "/spec/type").to_owned(),
        "Cluster-IP" => text(object, "/spec/clusterIP").to_owned(),
        "Port(s)" => ports(object),
        "Reason" => text(object, "/reason").to_owned(),
        "Message" => text(object, "/message").to_owned(),
        "Object" => format!(
            "{}/{}",
            text(object, "/involvedObject/kind").to_lowercase(),
            text(object, "/involvedObject/name")
        ),
        "Sync Status" => text(object, "/status/sync/status").to_owned(),
        "Health Status" => text(object, "/status/health/status").to_owned(),
        _ => String::new(),
    })
}

fn ready(object: &Value) -> String {
    if object["kind"] == "Pod" {
        let all = list(object, "/status/containerStatuses");
        let ready = all.iter().filter(|c| flag(c, "/ready")).count();
        return format!("{ready}/{}", list(object, "/spec/containers").len());
    }
    let ready = int(object, "/status/readyReplicas").unwrap_or(0);
    if object["kind"] == "ReplicaSet" {
        return ready.to_string();
    }
    format!("{ready}/{}", int(object, "/spec/replicas").unwrap_or(0))
}

fn pod_state(object: &Value) -> String {
    let waiting = list(object, "/status/containerStatuses")
        .iter()
        .map(|c| text(c, "/state/waiting/reason"))
        .find(|r| !r.is_empty());
    waiting.unwrap_or(text(object, "/status/phase")).to_owned()
}

fn ports(object: &Value) -> String {
    let show = |p: &Value| format!("{}/{}", p["port"], text(p, "/protocol"));
    list(object, "/spec/ports")
        .iter()
        .map(show)
        .collect::<Vec<_>>()
        .join(",")
}

fn age(since: Option<Timestamp>) -> String {
    let Some(since) = since else {
        return "<unknown>".to_owned();
    };
    let seconds = Timestamp::now().duration_since(since).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
