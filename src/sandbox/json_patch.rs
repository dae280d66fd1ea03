//! RFC 6902 on untyped objects, as github.com/evanphx/json-patch v4 does it, the library of
//! the API server and of Argo CD: a member that is missing is tested like `null`, and
//! `replace` puts one where there was none.

use serde_json::Value;

/// The operations of a patch; an error when it is no list of objects.
pub(crate) fn decode(patch: &Value) -> Result<&[Value], String> {
    let found = match patch {
        Value::Array(items) => match items.iter().find(|item| !item.is_object()) {
            None => return Ok(items),
            Some(other) => other,
        },
        other => other,
    };
    let found = match found {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
        Value::Null => return Ok(&[]),
    };
    Err(format!(
        "json: cannot unmarshal {found} into Go value of type jsonpatch.Patch"
    ))
}

/// Applies the operations in order; on an error the document is in an unspecified state.
pub(crate) fn apply(document: &mut Value, operations: &[Value]) -> Result<(), String> {
    for operation in operations {
        one(document, operation)?;
    }
    Ok(())
}

fn one(document: &mut Value, operation: &Value) -> Result<(), String> {
    let name = operation["op"].as_str().unwrap_or("unknown");
    let pointer = |field: &str| {
        let text = operation[field].as_str();
        text.ok_or_else(|| format!("operation missing {field} field: missing value"))
    };
    let value = operation["value"].clone();
    match name {
        "test" => test(document, pointer("path")?, &value),
        "add" => add(document, name, pointer("path")?, value),
        "replace" => replace(document, pointer("path")?, value),
        "remove" => take(document, "remove", pointer("path")?).map(drop),
        "move" => {
            let moved = take(document, "move", pointer("from")?)?;
            add(document, name, pointer("path")?, moved)
        }
        "copy" => {
            let from = pointer("from")?;
            let (parent, key) = parent(document, from).ok_or_else(|| missing("copy", from))?;
            let copied = member(parent, &key)
                .map_err(|e| format!("error in copy for from: '{from}': {e}"))?
                .cloned();
            add(document, name, pointer("path")?, copied.unwrap_or_default())
        }
        other => Err(format!("Unexpected kind: {other}")),
    }
}

fn missing(act: &str, path: &str) -> String {
    match act {
        "add" | "remove" => {
            format!(
                "{act} operation does not apply: doc is missing path: \"{path}\": missing value"
            )
        }
        "test" => format!("test operation does not apply: is missing path: {path}: missing value"),
        _ => format!("{act} operation does not apply: doc is missing path: {path}: missing value"),
    }
}

/// The container that holds the last part of a path, and that part.
fn parent<'a>(document: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let decode = |part: &str| part.replace("~1", "/").replace("~0", "~");
    let (above, last) = path.rsplit_once('/')?;
    let mut place = document;
    for part in above.split('/').skip(1) {
        let part = decode(part);
        place = match place {
            Value::Object(map) => map.get_mut(&part)?,
            Value::Array(items) => {
                let at = index(&part, items.len()).ok()?;
                items.get_mut(at)?
            }
            _ => return None,
        };
    }
    (place.is_object() || place.is_array()).then(|| (place, decode(last)))
}

/// The place in a list that a part of a path means; negative ones count from the end.
fn index(part: &str, length: usize) -> Result<usize, String> {
    let number: i64 = part
        .parse()
        .map_err(|_| format!("strconv.Atoi: parsing \"{part}\": invalid syntax"))?;
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let at = if number < 0 { number + length } else { number };
    usize::try_from(at)
        .ok()
        .filter(|_| at < length)
        .ok_or_else(|| {
            format!("Unable to access invalid index: {number}: invalid index referenced")
        })
}

/// What a container has under a key; nothing where an object has no such member.
fn member<'a>(parent: &'a Value, key: &str) -> Result<Option<&'a Value>, String> {
    match parent {
        Value::Array(items) => index(key, items.len()).map(|at| items.get(at)),
        other => Ok(other.get(key)),
    }
}

fn test(document: &mut Value, path: &str, wanted: &Value) -> Result<(), String> {
    let found = if path.is_empty() {
        document.clone()
    } else {
        let (parent, key) = parent(document, path).ok_or_else(|| missing("test", path))?;
        let found = member(parent, &key);
        let found = found.map_err(|e| format!("error in test for path: '{path}': {e}"))?;
        found.cloned().unwrap_or_default()
    };
    if found == *wanted {
        return Ok(());
    }
    Err(format!("testing value {path} failed: test failed"))
}

fn replace(document: &mut Value, path: &str, value: Value) -> Result<(), String> {
    if path.is_empty() {
        *document = value;
        return Ok(());
    }
    let (parent, key) = parent(document, path).ok_or_else(|| missing("replace", path))?;
    match parent {
        Value::Array(items) => {
            let at = index(&key, items.len()).map_err(|_| {
                format!(
                    "replace operation does not apply: doc is missing key: {path}: missing value"
                )
            })?;
            items[at] = value;
        }
        other => other[key] = value,
    }
    Ok(())
}

fn add(document: &mut Value, act: &str, path: &str, value: Value) -> Result<(), String> {
    let (parent, key) = parent(document, path).ok_or_else(|| missing(act, path))?;
    match parent {
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => {
            let at = index(&key, items.len() + 1)
                .map_err(|e| format!("error in add for path: '{path}': {e}"))?;
            items.insert(at, value);
        }
        other => other[key] = value,
    }
    Ok(())
}

fn take(document: &mut Value, act: &str, path: &str) -> Result<Value, String> {
    let (parent, key) = parent(document, path).ok_or_else(|| missing(act, path))?;
    let taken = match parent {
        Value::Array(items) => index(&key, items.len()).map(|at| items.remove(at)),
        Value::Object(map) => map
            .remove(&key)
            .ok_or_else(|| format!("Unable to remove nonexistent key: {key}: missing value")),
        _ => Err("missing value".to_owned()),
    };
    taken.map_err(|e| format!("error in {act} for path: '{path}': {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn patched(mut value: Value, operations: &Value) -> Result<Value, String> {
        apply(&mut value, decode(operations)?)?;
        Ok(value)
    }

    #[test]
    fn operations_follow_each_other() {
        let patch = json!([
            {"op": "test", "path": "/a/b/0", "value": 1},
            {"op": "replace", "path": "/a/b/0", "value": 5},
            {"op": "add", "path": "/a/b/-", "value": 6},
            {"op": "add", "path": "/a/b/-1", "value": 7},
            {"op": "copy", "from": "/a/b/0", "path": "/a/c~1d"},
            {"op": "move", "from": "/a/b/1", "path": "/e"},
            {"op": "remove", "path": "/a/b/0"},
        ]);
        let after = patched(json!({"a": {"b": [1, 2]}}), &patch).unwrap();
        assert_eq!(after, json!({"a": {"b": [6, 7], "c/d": 5}, "e": 2}));
    }

    #[test]
    fn what_is_missing_is_tested_like_null_and_may_be_replaced() {
        let start = json!({"spec": {"paused": true}});
        let good = json!([
            {"op": "test", "path": "/spec/replicas", "value": null},
            {"op": "replace", "path": "/spec/replicas", "value": 1},
        ]);
        assert_eq!(
            patched(start.clone(), &good).unwrap()["spec"],
            json!({"paused": true, "replicas": 1})
        );
        for (operation, words) in [
            (
                json!({"op": "test", "path": "/spec/replicas", "value": 0}),
                "testing value /spec/replicas failed: test failed",
            ),
            (
                json!({"op": "test", "path": "/spec/paused", "value": null}),
                "testing value /spec/paused failed",
            ),
            (
                json!({"op": "test", "path": "/x/y", "value": null}),
                "is missing path: /x/y",
            ),
            (
                json!({"op": "replace", "path": "/x/y", "value": 1}),
                "doc is missing path: /x/y",
            ),
            (
                json!({"op": "remove", "path": "/x"}),
                "Unable to remove nonexistent key: x",
            ),
            (json!({"op": "add", "value": 1}), "missing path field"),
            (json!({"op": "spin", "path": "/x"}), "Unexpected kind: spin"),
        ] {
            let error = patched(start.clone(), &json!([operation])).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_patch_is_a_list_of_objects() {
        for patch in [json!({"op": "add"}), json!([1]), json!("x")] {
            assert!(decode(&patch).unwrap_err().contains("cannot unmarshal"));
        }
    }
}
