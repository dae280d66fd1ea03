//! RFC 6902 on untyped objects.

use serde_json::Value;

/// Applies the operations in order; on an error the document is in an unspecified state.
pub(crate) fn apply(document: &mut Value, operations: &Value) -> Result<(), String> {
    let operations = operations
        .as_array()
        .ok_or("a JSON patch is a list of operations")?;
    for operation in operations {
        let name = operation["op"].as_str().unwrap_or("");
        let path = operation["path"].as_str().ok_or("operation without path")?;
        match name {
            "test" => {
                if document.pointer(path) != Some(&operation["value"]) {
                    return Err(format!("testing value {path} failed"));
                }
            }
            "add" | "replace" => put(document, path, operation["value"].clone(), name == "add")?,
            "remove" => {
                take(document, path)?;
            }
            "move" | "copy" => {
                let from = operation["from"].as_str().ok_or("operation without from")?;
                let value = if name == "move" {
                    take(document, from)?
                } else {
                    document
                        .pointer(from)
                        .cloned()
                        .ok_or_else(|| missing(name, from))?
                };
                put(document, path, value, true)?;
            }
            other => return Err(format!("Unexpected kind: {other}")),
        }
    }
    Ok(())
}

fn missing(operation: &str, path: &str) -> String {
    format!("{operation} operation does not apply: doc is missing path: \"{path}\": missing value")
}

fn parent<'a>(
    document: &'a mut Value,
    path: &str,
    act: &str,
) -> Result<(&'a mut Value, String), String> {
    let (parent, last) = path.rsplit_once('/').ok_or_else(|| missing(act, path))?;
    let key = last.replace("~1", "/").replace("~0", "~");
    let parent = document
        .pointer_mut(parent)
        .ok_or_else(|| missing(act, path))?;
    Ok((parent, key))
}

fn put(document: &mut Value, path: &str, value: Value, add: bool) -> Result<(), String> {
    let act = if add { "add" } else { "replace" };
    if path.is_empty() {
        *document = value;
        return Ok(());
    }
    let (parent, key) = parent(document, path, act)?;
    match parent {
        Value::Object(map) => {
            if !add && !map.contains_key(&key) {
                return Err(missing(act, path));
            }
            map.insert(key, value);
        }
        Value::Array(items) if add && key == "-" => items.push(value),
        Value::Array(items) => {
            let at: usize = key.parse().map_err(|_| missing(act, path))?;
            match (add, at < items.len() || (add && at == items.len())) {
                (true, true) => items.insert(at, value),
                (false, true) => items[at] = value,
                _ => return Err(missing(act, path)),
            }
        }
        _ => return Err(missing(act, path)),
    }
    Ok(())
}

fn take(document: &mut Value, path: &str) -> Result<Value, String> {
    let (parent, key) = parent(document, path, "remove")?;
    match parent {
        Value::Object(map) => map.remove(&key).ok_or_else(|| missing("remove", path)),
        Value::Array(items) => match key.parse::<usize>() {
            Ok(at) if at < items.len() => Ok(items.remove(at)),
            _ => Err(missing("remove", path)),
        },
        _ => Err(missing("remove", path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tests_guard_and_replaces_need_a_value() {
        let mut value = json!({"a": {"b": [1, 2]}});
        apply(
            &mut value,
            &json!([{"op": "test", "path": "/a/b/0", "value": 1},
                                  {"op": "replace", "path": "/a/b/0", "value": 5},
                                  {"op": "add", "path": "/a/b/-", "value": 6}]),
        )
        .unwrap();
        assert_eq!(value, json!({"a": {"b": [5, 2, 6]}}));
        assert!(
            apply(
                &mut value,
                &json!([{"op": "test", "path": "/a/b/0", "value": 1}])
            )
            .is_err()
        );
        assert!(
            apply(
                &mut value,
                &json!([{"op": "replace", "path": "/x", "value": 1}])
            )
            .is_err()
        );
    }
}
