//! `metadata.managedFields`: which manager last set which field.

use serde_json::{Map, Value, json};

use super::json::{now, set, text};
use super::merge::merge_key;
use super::store::{Part, Writer};

/// Records the fields that differ between two states of an object as the writer's.
pub(crate) fn record(old: Option<&Value>, new: &mut Value, by: Writer<'_>, part: Part) {
    let mut entries = match new
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array)
    {
        Some(entries) => entries.clone(),
        None => Vec::new(),
    };
    let Some(changed) = object_diff(old, new) else {
        return;
    };
    for entry in &mut entries {
        if let Some(fields) = entry.get_mut("fieldsV1") {
            subtract(fields, &changed);
        }
    }
    entries.retain(|e| e["fieldsV1"].as_object().is_some_and(|f| !f.is_empty()));
    // A Scale leaves 0 out, so nobody owns it.
    if part == Part::Scale && new["spec"]["replicas"] == 0 {
        set(new, &["metadata", "managedFields"], Value::Array(entries));
        return;
    }
    let operation = if by.apply { "Apply" } else { "Update" };
    let subresource = part.subresource();
    let mine = entries.iter_mut().find(|e| {
        text(e, "/manager") == by.manager
            && text(e, "/operation") == operation
            && text(e, "/subresource") == subresource
    });
    match mine {
        Some(entry) => {
            union(&mut entry["fieldsV1"], &changed);
            if part != Part::Scale {
                entry["time"] = now();
            }
        }
        None => {
            let mut entry = json!({
                "manager": by.manager, "operation": operation, "fieldsType": "FieldsV1",
                "apiVersion": new["apiVersion"], "fieldsV1": changed,
            });
            if !subresource.is_empty() {
                entry["subresource"] = json!(subresource);
            }
            // An entry of the scale subresource has no time, and so comes first.
            if part == Part::Scale {
                entries.insert(0, entry);
            } else {
                entry["time"] = now();
                entries.push(entry);
            }
        }
    }
    set(new, &["metadata", "managedFields"], Value::Array(entries));
}

/// The changed fields in FieldsV1 form, None where nothing that counts has changed.
fn object_diff(old: Option<&Value>, new: &Value) -> Option<Value> {
    let mut out = Map::new();
    for (name, value) in new.as_object()? {
        if name == "apiVersion" || name == "kind" {
            continue;
        }
        let before = old.and_then(|o| o.get(name));
        if name == "metadata" {
            let mut inner = Map::new();
            for field in ["labels", "annotations", "ownerReferences", "finalizers"] {
                if let Some(now) = value.get(field)
                    && let Some(tree) = diff(field, before.and_then(|b| b.get(field)), now)
                {
                    inner.insert(format!("f:{field}"), tree);
                }
            }
            if !inner.is_empty() {
                out.insert("f:metadata".to_owned(), Value::Object(inner));
            }
        } else if let Some(tree) = diff(name, before, value) {
            out.insert(format!("f:{name}"), tree);
        }
    }
    (!out.is_empty()).then_some(Value::Object(out))
}

fn diff(field: &str, old: Option<&Value>, new: &Value) -> Option<Value> {
    if old == Some(new) {
        return None;
    }
    match new {
        Value::Object(map) => {
            let mut out = Map::new();
            for (name, value) in map {
                if let Some(tree) = diff(name, old.and_then(|o| o.get(name)), value) {
                    out.insert(format!("f:{name}"), tree);
                }
            }
            Some(Value::Object(out))
        }
        Value::Array(items) => match merge_key(field, items) {
            Some(key) => Some(list_diff(key, old, items)),
            None => Some(json!({})),
        },
        _ => Some(json!({})),
    }
}

fn list_diff(key: &str, old: Option<&Value>, items: &[Value]) -> Value {
    let before = old.and_then(Value::as_array);
    let mut out = Map::new();
    for item in items {
        let id = &item[key];
        let was = before.and_then(|b| b.iter().find(|o| &o[key] == id));
        if let Some(mut tree) = diff("", was, item) {
            if was.is_none() {
                tree["."] = json!({});
            }
            out.insert(format!("k:{}", json!({key: id})), tree);
        }
    }
    Value::Object(out)
}

fn is_leaf(tree: &Value) -> bool {
    tree.as_object().is_none_or(Map::is_empty)
}

fn subtract(fields: &mut Value, taken: &Value) {
    let (Some(mine), Some(theirs)) = (fields.as_object_mut(), taken.as_object()) else {
        return;
    };
    for (name, tree) in theirs {
        let Some(own) = mine.get_mut(name) else {
            continue;
        };
        if is_leaf(tree) || is_leaf(own) {
            mine.remove(name);
        } else {
            subtract(own, tree);
            if is_leaf(own) {
                mine.remove(name);
            }
        }
    }
}

fn union(fields: &mut Value, more: &Value) {
    let Some(theirs) = more.as_object() else {
        return;
    };
    for (name, tree) in theirs {
        let own = super::json::child(fields, name);
        if own.is_null() {
            *own = tree.clone();
        } else {
            union(own, tree);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIT: Writer<'static> = Writer {
        manager: "argocd-controller",
        apply: false,
    };
    const HAND: Writer<'static> = Writer {
        manager: "kubectl-edit",
        apply: false,
    };

    #[test]
    fn the_last_writer_of_a_field_owns_it() {
        let mut first = json!({"apiVersion": "apps/v1", "metadata": {"name": "x"}, "spec": {
            "replicas": 1, "template": {"spec": {"containers": [{"name": "a", "image": "i:1"}]}}}});
        record(None, &mut first, GIT, Part::Main);
        let mut second = first.clone();
        second["spec"]["template"]["spec"]["containers"][0]["image"] = json!("i:2");
        record(Some(&first), &mut second, HAND, Part::Main);
        let owner = |object: &Value| -> Vec<String> {
            let path = "/fieldsV1/f:spec/f:template/f:spec/f:containers";
            let managed = object["metadata"]["managedFields"].as_array().unwrap();
            let holds = |e: &&Value| {
                let containers = e.pointer(path).and_then(Value::as_object);
                containers.is_some_and(|c| c.values().any(|t| t.get("f:image").is_some()))
            };
            managed
                .iter()
                .filter(holds)
                .map(|e| text(e, "/manager").to_owned())
                .collect()
        };
        assert_eq!(owner(&first), ["argocd-controller"]);
        assert_eq!(owner(&second), ["kubectl-edit"]);
    }
}
