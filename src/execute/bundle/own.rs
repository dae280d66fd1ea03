//! Which of a namespace's objects belong to a workload: by owner references, selectors
//! and names, as the API server's own controllers decide it. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::{ClusterEvent, Observation, WorkloadRef};

/// Why the look did not see something: the gap whose name begins so, else the workload's
/// own, without which nothing about it is looked for.
pub(super) fn why(observation: &Observation, begins: &str) -> String {
    let gaps = &observation.gaps;
    let of = |begins: &str| gaps.iter().find(|gap| gap.what.starts_with(begins));
    let target = observation.target.short();
    of(begins).or_else(|| of(&target)).map_or_else(
        || "it could not be read".to_owned(),
        |gap| gap.message.clone(),
    )
}

/// A text below a JSON pointer; empty where there is none.
pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_default()
}

/// Whether one of these uids owns the object.
pub(super) fn owned_by(object: &Value, uids: &[&str]) -> bool {
    let owners = object.pointer("/metadata/ownerReferences");
    let owners = owners.and_then(Value::as_array).into_iter().flatten();
    owners
        .map(|owner| text(owner, "/uid"))
        .any(|uid| !uid.is_empty() && uids.contains(&uid))
}

/// Whether a Service's selector takes pods with these labels. One without a selector
/// takes none (its endpoints are kept by others).
pub(super) fn service_selects(service: &Value, labels: &Value) -> bool {
    let selector = service.pointer("/spec/selector").and_then(Value::as_object);
    selector.is_some_and(|wanted| {
        !wanted.is_empty()
            && wanted
                .iter()
                .all(|(key, value)| labels.get(key) == Some(value))
    })
}

/// Whether a label selector (`matchLabels`, `matchExpressions`) takes these labels. An
/// empty one takes all, none at all takes nothing (`policy/v1`).
pub(super) fn label_selector_takes(selector: Option<&Value>, labels: &Value) -> bool {
    let Some(selector) = selector.filter(|selector| selector.is_object()) else {
        return false;
    };
    let pairs = selector.get("matchLabels").and_then(Value::as_object);
    let pairs_match = pairs
        .into_iter()
        .flatten()
        .all(|(key, value)| labels.get(key) == Some(value));
    let rules = selector.get("matchExpressions").and_then(Value::as_array);
    pairs_match
        && rules
            .into_iter()
            .flatten()
            .all(|rule| rule_takes(rule, labels))
}

fn rule_takes(rule: &Value, labels: &Value) -> bool {
    let value = labels.get(text(rule, "/key"));
    let values = rule.get("values").and_then(Value::as_array);
    let among = value.is_some_and(|value| values.is_some_and(|all| all.contains(value)));
    match text(rule, "/operator") {
        "In" => among,
        "NotIn" => !among,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => false,
    }
}

/// Whether an autoscaler scales the workload.
pub(super) fn scales(hpa: &Value, target: &WorkloadRef) -> bool {
    text(hpa, "/spec/scaleTargetRef/kind") == target.kind.as_str()
        && text(hpa, "/spec/scaleTargetRef/name") == target.name
}

/// Whether an EndpointSlice is of one of these Services.
pub(super) fn slice_of(slice: &Value, services: &[&str]) -> bool {
    // A `/` in a key is `~1` in a pointer.
    let service = text(slice, "/metadata/labels/kubernetes.io~1service-name");
    services.contains(&service)
}

/// The events about these objects. An event with a uid is matched by it: an older
/// object of the same name was another one.
pub(super) fn events_about<'e>(
    objects: impl IntoIterator<Item = &'e Value>,
    events: Vec<(String, ClusterEvent)>,
) -> Vec<ClusterEvent> {
    let known: BTreeMap<(&str, &str), &str> = objects
        .into_iter()
        .map(|object| {
            let name = (text(object, "/kind"), text(object, "/metadata/name"));
            (name, text(object, "/metadata/uid"))
        })
        .collect();
    let about = |uid: &str, event: &ClusterEvent| {
        known
            .get(&(event.about_kind.as_str(), event.about_name.as_str()))
            .is_some_and(|known| uid.is_empty() || uid == *known)
    };
    events
        .into_iter()
        .filter_map(|(uid, event)| about(&uid, &event).then_some(event))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn services_and_budgets_select_by_labels() {
        let labels = json!({"app": "web", "variant": "canary"});
        let service = |selector: Value| json!({"spec": {"selector": selector}});
        assert!(service_selects(&service(json!({"app": "web"})), &labels));
        assert!(!service_selects(
            &service(json!({"app": "web", "variant": "production"})),
            &labels
        ));
        assert!(!service_selects(&service(json!({})), &labels));
        assert!(!service_selects(&json!({"spec": {}}), &labels));
        let takes = |selector: Value| label_selector_takes(Some(&selector), &labels);
        assert!(takes(json!({})) && takes(json!({"matchLabels": {"app": "web"}})));
        assert!(!takes(json!({"matchLabels": {"app": "db"}})));
        assert!(!label_selector_takes(None, &labels));
        let rule = |operator: &str, key: &str, values: &[&str]| {
            takes(
                json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]}),
            )
        };
        assert!(rule("In", "app", &["web", "x"]) && !rule("In", "app", &["x"]));
        assert!(rule("NotIn", "app", &["x"]) && rule("NotIn", "none", &["x"]));
        assert!(!rule("NotIn", "app", &["web"]));
        assert!(rule("Exists", "app", &[]) && !rule("Exists", "none", &[]));
        assert!(rule("DoesNotExist", "none", &[]) && !rule("DoesNotExist", "app", &[]));
        assert!(!rule("Gt", "app", &["1"]), "an operator that is not known");
    }

    #[test]
    fn owners_and_events_by_uid() {
        let pod = json!({"kind": "Pod", "metadata": {"name": "p", "uid": "p1",
            "ownerReferences": [{"uid": "r1"}]}});
        assert!(owned_by(&pod, &["r0", "r1"]) && !owned_by(&pod, &["r2"]));
        assert!(!owned_by(
            &json!({"metadata": {"ownerReferences": [{}]}}),
            &[""]
        ));
        let event = |kind: &str, name: &str| ClusterEvent {
            severity: "Normal".to_owned(),
            reason: "R".to_owned(),
            message: String::new(),
            about_kind: kind.to_owned(),
            about_name: name.to_owned(),
            count: 1,
            last_seen: None,
        };
        let events = vec![
            ("p1".to_owned(), event("Pod", "p")),
            ("p0".to_owned(), event("Pod", "p")),
            (String::new(), event("Pod", "p")),
            ("p1".to_owned(), event("Pod", "q")),
        ];
        assert_eq!(events_about([&pod], events).len(), 2);
    }
}
