//! Merging: the patch types of the API server, and the three-way merge by which Argo CD and
//! `kubectl apply` find what a manifest changes in a live object.

use serde_json::{Map, Value};

/// The key by which Kubernetes merges the lists of a field, None for lists that are replaced.
pub(crate) fn merge_key<'a>(field: &str, items: &[Value]) -> Option<&'a str> {
    let has = |key: &str| !items.is_empty() && items.iter().all(|i| i.get(key).is_some());
    match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "resourceClaims"
        | "secrets" => Some("name"),
        "volumeMounts" => Some("mountPath"),
        "volumeDevices" => Some("devicePath"),
        "hostAliases" => Some("ip"),
        "conditions" => Some("type"),
        "ownerReferences" => Some("uid"),
        "topologySpreadConstraints" => Some("topologyKey"),
        "ports" if has("containerPort") => Some("containerPort"),
        "ports" if has("port") => Some("port"),
        _ => None,
    }
}

/// RFC 7386.
pub(crate) fn json_merge(target: &mut Value, patch: &Value) {
    let Some(changes) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(map) = target.as_object_mut() else {
        return;
    };
    for (key, value) in changes {
        if value.is_null() {
            map.remove(key);
        } else {
            json_merge(map.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// A strategic merge patch, with the directives that kubectl sends.
pub(crate) fn strategic(target: &mut Value, patch: &Value) {
    let Some(changes) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if changes.get("$patch").and_then(Value::as_str) == Some("replace") {
        let kept = changes.iter().filter(|(k, _)| !k.starts_with('$'));
        *target = Value::Object(kept.map(|(k, v)| (k.clone(), v.clone())).collect());
        return;
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(map) = target.as_object_mut() else {
        return;
    };
    if let Some(keys) = changes.get("$retainKeys").and_then(Value::as_array) {
        map.retain(|k, _| keys.iter().any(|r| r.as_str() == Some(k)));
    }
    for (key, value) in changes {
        if key.starts_with('$') {
            continue;
        }
        match value {
            Value::Null => {
                map.remove(key);
            }
            Value::Array(items) => {
                let slot = map.entry(key.clone()).or_insert(Value::Null);
                let real: Vec<Value> = items
                    .iter()
                    .filter(|i| i.get("$patch").is_none())
                    .cloned()
                    .collect();
                let sample = if real.is_empty() { items } else { &real };
                match merge_key(key, sample) {
                    Some(by) => strategic_list(slot, items, by),
                    None => *slot = value.clone(),
                }
            }
            _ => strategic(map.entry(key.clone()).or_insert(Value::Null), value),
        }
    }
    for (key, order) in changes {
        if let (Some(field), Some(order)) =
            (key.strip_prefix("$setElementOrder/"), order.as_array())
            && let Some(list) = map.get_mut(field).and_then(Value::as_array_mut)
        {
            reorder(list, order);
        }
    }
}

fn strategic_list(slot: &mut Value, items: &[Value], by: &str) {
    if !slot.is_array() {
        *slot = Value::Array(Vec::new());
    }
    let Some(list) = slot.as_array_mut() else {
        return;
    };
    if items.iter().any(|i| i["$patch"] == "replace") {
        list.clear();
    }
    for item in items {
        let found = list
            .iter()
            .position(|o| o.get(by).is_some() && o.get(by) == item.get(by));
        match (item.get("$patch").and_then(Value::as_str), found) {
            (Some("delete"), Some(at)) => {
                list.remove(at);
            }
            (Some(_), _) => {}
            (None, Some(at)) => strategic(&mut list[at], item),
            (None, None) => {
                let mut fresh = Value::Null;
                strategic(&mut fresh, item);
                list.push(fresh);
            }
        }
    }
}

fn reorder(list: &mut [Value], order: &[Value]) {
    let position = |item: &Value| {
        let matches = |wanted: &&Value| match wanted.as_object() {
            Some(keys) => keys.iter().all(|(k, v)| item.get(k) == Some(v)),
            None => *wanted == item,
        };
        order
            .iter()
            .position(|wanted| matches(&wanted))
            .unwrap_or(usize::MAX)
    };
    list.sort_by_key(position);
}

/// What `live` becomes when `target` is applied and `applied` was applied before: fields of the
/// target are set, fields that only `applied` has are removed, all others stay.
pub(crate) fn three_way(
    field: &str,
    applied: Option<&Value>,
    target: &Value,
    live: Option<&Value>,
) -> Value {
    match (target, live) {
        (Value::Object(target), Some(Value::Object(live))) => {
            let mut out = live.clone();
            let before = applied.and_then(Value::as_object);
            for key in before.into_iter().flat_map(Map::keys) {
                if !target.contains_key(key) {
                    out.remove(key);
                }
            }
            for (key, value) in target {
                if value.is_null() {
                    out.remove(key);
                    continue;
                }
                let was = before.and_then(|b| b.get(key));
                out.insert(key.clone(), three_way(key, was, value, live.get(key)));
            }
            Value::Object(out)
        }
        (Value::Array(target), Some(Value::Array(live))) => match merge_key(field, target) {
            Some(by) => {
                let before = applied
                    .and_then(Value::as_array)
                    .map_or(&[][..], Vec::as_slice);
                Value::Array(three_way_list(by, before, target, live))
            }
            None => Value::Array(target.clone()),
        },
        (target, _) => target.clone(),
    }
}

fn three_way_list(by: &str, applied: &[Value], target: &[Value], live: &[Value]) -> Vec<Value> {
    let find = |list: &'_ [Value], id: &Value| list.iter().position(|i| i.get(by) == Some(id));
    let mut out = Vec::new();
    for item in target {
        let id = &item[by];
        let was = find(applied, id).map(|at| &applied[at]);
        let now = find(live, id).map(|at| &live[at]);
        out.push(three_way("", was, item, now));
    }
    for item in live {
        let id = &item[by];
        if find(target, id).is_none() && find(applied, id).is_none() {
            out.push(item.clone());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn strategic_patch_merges_containers_by_name() {
        let mut pod = json!({"containers": [{"name": "a", "image": "i:1", "env": [{"name": "X", "value": "1"}]},
                                            {"name": "b", "image": "j:1"}]});
        strategic(
            &mut pod,
            &json!({
            "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
            "containers": [{"name": "a", "image": "i:2", "env": [{"name": "X", "$patch": "delete"}]}]}),
        );
        assert_eq!(
            pod,
            json!({"containers": [{"name": "b", "image": "j:1"},
                                              {"name": "a", "image": "i:2", "env": []}]})
        );
    }

    #[test]
    fn three_way_keeps_what_others_own_and_removes_what_was_applied() {
        let applied = json!({"spec": {"replicas": 1, "paused": true}});
        let target = json!({"spec": {"replicas": 2}});
        let live = json!({"spec": {"replicas": 1, "paused": true, "revisionHistoryLimit": 10}});
        assert_eq!(
            three_way("", Some(&applied), &target, Some(&live)),
            json!({"spec": {"replicas": 2, "revisionHistoryLimit": 10}})
        );
    }

    #[test]
    fn three_way_lists_merge_by_key() {
        let target = json!([{"name": "a", "value": "2"}]);
        let live = json!([{"name": "z", "value": "9"}, {"name": "a", "value": "1"}]);
        assert_eq!(
            three_way("env", Some(&target), &target, Some(&live)),
            json!([{"name": "a", "value": "2"}, {"name": "z", "value": "9"}])
        );
    }

    #[test]
    fn json_merge_removes_nulls() {
        let mut value = json!({"a": {"b": 1, "c": 2}});
        json_merge(&mut value, &json!({"a": {"b": null, "d": 3}}));
        assert_eq!(value, json!({"a": {"c": 2, "d": 3}}));
    }
}
