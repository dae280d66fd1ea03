//! What the REST API shows of an Application beyond the object itself.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::compare::{self, Comparison, Resource};
use super::{NAMESPACE, health};
use crate::sandbox::json::{annotation, list, set, text};
use crate::sandbox::kinds::{by_kind, split_api_version};
use crate::sandbox::store::Objects;

/// The Application as the API answers it: with the health of each resource filled in.
pub(crate) fn application(objects: &Objects, app: &Value) -> Value {
    let mut out = app.clone();
    let entries = out
        .pointer_mut("/status/resources")
        .and_then(Value::as_array_mut);
    for entry in entries.into_iter().flatten() {
        let kind = by_kind(text(entry, "/group"), text(entry, "/kind"));
        let live =
            kind.and_then(|k| objects.get(k, text(entry, "/namespace"), text(entry, "/name")));
        let found = match live {
            Some(live) => health::json_of(&live),
            None => Some(json!({"status": "Missing"})),
        };
        if let Some(found) = found {
            entry["health"] = found;
        }
    }
    out
}

/// `GET …/resource-tree`.
pub(crate) fn tree(objects: &Objects, app: &Value) -> Value {
    let tracked = compare::tracked(objects);
    let roots = tracked
        .get(text(app, "/metadata/name"))
        .map_or(&[][..], Vec::as_slice);
    let children = owned(objects);
    let mut nodes = Vec::new();
    for root in roots {
        add_node(&children, root, &[], &mut nodes);
    }
    json!({"nodes": nodes, "hosts": []})
}

/// The objects that have owners, by the owner's uid.
type Owned<'o> = HashMap<&'o str, Vec<&'o Value>>;

fn owned(objects: &Objects) -> Owned<'_> {
    let mut found = Owned::new();
    for (_, object) in objects.all() {
        let mut uids: Vec<&str> = list(object, "/metadata/ownerReferences")
            .iter()
            .map(|owner| text(owner, "/uid"))
            .collect();
        uids.dedup();
        for uid in uids {
            found.entry(uid).or_default().push(object);
        }
    }
    found
}

fn add_node(children: &Owned<'_>, object: &Value, parents: &[Value], nodes: &mut Vec<Value>) {
    nodes.push(node(object, parents));
    let own = reference(object);
    let below = children.get(text(object, "/metadata/uid"));
    for child in below.into_iter().flatten() {
        add_node(children, child, std::slice::from_ref(&own), nodes);
    }
}

fn reference(object: &Value) -> Value {
    let (group, api) = split_api_version(text(object, "/apiVersion"));
    let mut out = json!({"version": api, "kind": object["kind"], "name": object["metadata"]["name"],
        "uid": object["metadata"]["uid"]});
    if !group.is_empty() {
        out["group"] = json!(group);
    }
    if let Some(namespace) = object.pointer("/metadata/namespace") {
        out["namespace"] = namespace.clone();
    }
    out
}

fn node(object: &Value, parents: &[Value]) -> Value {
    let mut out = reference(object);
    out["resourceVersion"] = object["metadata"]["resourceVersion"].clone();
    out["createdAt"] = object["metadata"]["creationTimestamp"].clone();
    if !parents.is_empty() {
        out["parentRefs"] = json!(parents);
    }
    if let Some(found) = health::json_of(object) {
        out["health"] = found;
    }
    let mut info = Vec::new();
    if let Some(number) = annotation(object, "deployment.kubernetes.io/revision") {
        info.push(json!({"name": "Revision", "value": format!("Rev:{number}")}));
    }
    if object["kind"] == "Pod" {
        let all = list(object, "/status/containerStatuses");
        let ready = all.iter().filter(|c| c["ready"] == true).count();
        let waiting = all
            .iter()
            .map(|c| text(c, "/state/waiting/reason"))
            .find(|r| !r.is_empty());
        info.push(json!({"name": "Status Reason",
            "value": waiting.unwrap_or(text(object, "/status/phase"))}));
        info.push(json!({"name": "Node", "value": object["spec"]["nodeName"]}));
        let count = list(object, "/spec/containers").len();
        info.push(json!({"name": "Containers", "value": format!("{ready}/{count}")}));
        let images = list(object, "/spec/containers")
            .iter()
            .map(|c| c["image"].clone());
        out["images"] = images.collect();
    }
    if !info.is_empty() {
        out["info"] = json!(info);
    }
    out
}

/// `GET …/managed-resources`.
pub(crate) fn managed(comparison: &Comparison) -> Value {
    let items: Vec<Value> = comparison.resources.iter().map(managed_item).collect();
    json!({"items": items})
}

fn managed_item(resource: &Resource) -> Value {
    let show = |object: Option<&Value>| match object {
        Some(object) => json!(masked(object).to_string()),
        None => json!("null"),
    };
    let live = resource.live.as_deref();
    let normalized = live.map(without_records);
    let predicted = resource.predicted.as_ref().or(resource.target.as_ref());
    let predicted = predicted.map(without_records);
    let mut out = json!({
        "kind": resource.kind, "name": resource.name, "targetState": show(resource.target.as_ref()),
        "liveState": show(live), "normalizedLiveState": show(normalized.as_ref()),
        "predictedLiveState": show(predicted.as_ref()),
    });
    for (field, value) in [
        ("group", &resource.group),
        ("namespace", &resource.namespace),
    ] {
        if !value.is_empty() {
            out[field] = json!(value);
        }
    }
    if let Some(live) = live {
        out["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
    }
    if !resource.synced {
        out["modified"] = json!(true);
    }
    out
}

fn without_records(object: &Value) -> Value {
    let mut out = object.clone();
    crate::sandbox::json::unset(&mut out, &["metadata", "managedFields"]);
    crate::sandbox::json::unset(
        &mut out,
        &["metadata", "annotations", compare::LAST_APPLIED],
    );
    out
}

/// Argo CD never shows the data of Secrets.
pub(crate) fn masked(object: &Value) -> Value {
    let mut out = object.clone();
    if out["kind"] != "Secret" {
        return out;
    }
    for field in ["data", "stringData"] {
        let map = out.get_mut(field).and_then(Value::as_object_mut);
        for value in map.into_iter().flat_map(|m| m.values_mut()) {
            *value = json!("++++++++");
        }
    }
    if annotation(&out, compare::LAST_APPLIED).is_some() {
        set(
            &mut out,
            &["metadata", "annotations", compare::LAST_APPLIED],
            json!("++++++++"),
        );
    }
    out
}

/// Keeps only the fields that a `fields=` parameter of the list names.
pub(crate) fn project_fields(list: &Value, fields: &str) -> Value {
    let mut out = json!({"metadata": list["metadata"]});
    let paths: Vec<Vec<&str>> = fields
        .split(',')
        .filter_map(|f| f.trim().strip_prefix("items."))
        .map(|f| f.split('.').collect())
        .collect();
    let items = list["items"].as_array().map_or(&[][..], Vec::as_slice);
    let shown: Vec<Value> = items
        .iter()
        .map(|item| {
            let mut small = json!({});
            for path in &paths {
                let pointer = format!("/{}", path.join("/"));
                if let Some(value) = item.pointer(&pointer) {
                    set(&mut small, path, value.clone());
                }
            }
            small
        })
        .collect();
    out["items"] = json!(shown);
    out
}

/// The Application of a name, in Argo CD's own or the given namespace.
pub(crate) fn find(objects: &Objects, namespace: &str, name: &str) -> Option<Arc<Value>> {
    let namespace = if namespace.is_empty() {
        NAMESPACE
    } else {
        namespace
    };
    objects.get(by_kind(super::GROUP, "Application")?, namespace, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked() {
        let secret = json!({"kind": "Secret", "data": {"a": "c2VjcmV0"}, "metadata": {
            "annotations": {compare::LAST_APPLIED: "c2VjcmV0"}}});
        assert!(!masked(&secret).to_string().contains("c2VjcmV0"));
    }

    #[test]
    fn field_projection() {
        let list =
            json!({"metadata": {}, "items": [{"metadata": {"name": "a", "uid": "u"}, "spec": {}}]});
        assert_eq!(
            project_fields(&list, "items.metadata.name")["items"],
            json!([{"metadata": {"name": "a"}}])
        );
    }
}
