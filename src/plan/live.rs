//! The live object as a document, so that the same edits serve Git and the cluster.

use serde_json::{Map, Value, json};

use super::Blocker;
use super::document::Document;
use crate::manifest::{diff_values, to_yaml};
use crate::model::{DocumentFields, PodTemplate, Workload, WorkloadKind};

/// What the text of a live object is called where a file's path would stand.
pub(super) const LIVE: &str = "the live object";

/// The live object's text: the fields that plans are about and nothing else.
pub(super) fn live_text(workload: &Workload) -> String {
    text_with(workload, &workload.template)
}

/// The same with another pod template.
pub(super) fn text_with(workload: &Workload, template: &PodTemplate) -> String {
    let of = &workload.reference;
    let mut spec = Map::new();
    if of.kind != WorkloadKind::DaemonSet {
        spec.insert("replicas".to_owned(), json!(workload.replicas));
    }
    if workload.paused {
        spec.insert("paused".to_owned(), json!(true));
    }
    spec.insert("template".to_owned(), template.value().clone());
    to_yaml(&json!({
        "apiVersion": "apps/v1",
        "kind": of.kind.as_str(),
        "metadata": {"name": of.name, "namespace": of.namespace},
        "spec": spec,
    }))
}

/// The live object as a document.
pub(super) fn live_document(workload: &Workload) -> Result<Document, Blocker> {
    Document::of(&live_text(workload), LIVE, &workload.reference)
}

/// The JSON Patch that makes one into the other, with tests on the object's identity
/// and generation: whatever happened since the look makes the server refuse it.
pub(super) fn json_patch(
    workload: &Workload,
    before: &DocumentFields,
    after: &DocumentFields,
) -> Value {
    let mut operations = vec![
        json!({"op": "test", "path": "/metadata/uid", "value": workload.uid}),
        json!({"op": "test", "path": "/metadata/generation", "value": workload.generation}),
    ];
    if before.template != after.template {
        let value = after.template.value();
        operations.push(json!({"op": "replace", "path": "/spec/template", "value": value}));
    }
    if let Some(replicas) = after.replicas.filter(|_| after.replicas != before.replicas) {
        operations.push(json!({"op": "replace", "path": "/spec/replicas", "value": replicas}));
    }
    if before.is_paused() != after.is_paused() {
        // `add` replaces a member that is there (RFC 6902, 4.1).
        let value = after.is_paused();
        operations.push(json!({"op": "add", "path": "/spec/paused", "value": value}));
    }
    Value::Array(operations)
}

/// The paths in which two documents of one object differ.
pub(super) fn changed_paths(before: &Document, after: &Document) -> Vec<String> {
    let whole = |document: &Document| document.value("spec").map(|spec| json!({"spec": spec}));
    match (whole(before), whole(after)) {
        (Some(before), Some(after)) => diff_values(&before, &after)
            .iter()
            .map(|change| change.path.to_string())
            .collect(),
        _ => Vec::new(),
    }
}
