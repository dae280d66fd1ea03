//! What `patch-file` is asked for: RFC 6902 operations and `PATH=VALUE`.

use serde_json::Value;

use super::document::Manifest;
use super::edit::Edit;
use super::objects::Address;
use super::path::{Path, PathError, Step};

/// Why a patch or a `PATH=VALUE` cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// The patch is not JSON.
    #[error("the patch is not JSON: {0}")]
    NotJson(String),
    /// The patch is JSON, but no list of operations.
    #[error(
        "a patch is a JSON list of operations, as in \
             [{{\"op\": \"replace\", \"path\": \"/spec/replicas\", \"value\": 0}}]"
    )]
    NotAList,
    /// One operation cannot be read.
    #[error("operation {number} of the patch: {reason}")]
    Operation {
        /// Which one, counted from 1.
        number: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// An assignment without `=`.
    #[error("`{0}` is no PATH=VALUE; write it as spec.replicas=0")]
    NotAnAssignment(String),
    /// A path that cannot be read.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The value cannot have the type of the field it replaces.
    #[error("{path} is {is} in the manifest; `{value}` is not")]
    Type {
        /// The field.
        path: Path,
        /// What the field holds.
        is: &'static str,
        /// What it was to become.
        value: String,
    },
}

/// Reads RFC 6902 operations: `add`, `remove`, `replace` and `test`.
///
/// # Errors
/// When the text is no such list, or holds `move` or `copy`, which would have to re-write values
/// and are refused by name.
pub fn parse_patch(json: &str) -> Result<Vec<Edit<'static>>, PatchError> {
    let patch: Value =
        serde_json::from_str(json).map_err(|error| PatchError::NotJson(error.to_string()))?;
    let Value::Array(operations) = patch else {
        return Err(PatchError::NotAList);
    };
    operations
        .iter()
        .enumerate()
        .map(|(place, operation)| {
            self::operation(operation).map_err(|reason| PatchError::Operation {
                number: place + 1,
                reason,
            })
        })
        .collect()
}

fn operation(operation: &Value) -> Result<Edit<'static>, String> {
    let field = |name: &str| operation.get(name);
    let text = |name: &str| {
        let value = field(name).ok_or_else(|| format!("`{name}` is missing"))?;
        value
            .as_str()
            .ok_or_else(|| format!("`{name}` must be a string"))
    };
    let op = text("op")?;
    let pointer = text("path")?;
    let path = Path::from_pointer(pointer).map_err(|error| error.to_string())?;
    let value = || {
        field("value")
            .cloned()
            .ok_or_else(|| format!("`{op}` needs a `value`"))
    };
    match op {
        "add" => Ok(Edit::Insert {
            path,
            value: value()?,
        }),
        "replace" => Ok(Edit::Replace {
            path,
            value: value()?,
        }),
        "test" => Ok(Edit::Test {
            path,
            value: value()?,
        }),
        "remove" => Ok(Edit::Remove { path }),
        "move" | "copy" => Err(format!(
            "`{op}` is not supported; write it as `add` with the value, and `remove`"
        )),
        _ => Err(format!(
            "`{op}` is no operation; there are add, remove, replace and test"
        )),
    }
}

/// Reads `PATH=VALUE` for an object and types the value by the field it replaces: a string stays
/// a string. For a new field what looks like a boolean, an integer, null or a JSON list or map
/// becomes one; quote it (`'"5"'`) for the string.
///
/// A missing item of an `env` list is created when its `value` is set.
///
/// # Errors
/// When it has no `=`, the path cannot be read, or the field holds a boolean or number and the
/// value is none.
pub fn parse_set(
    manifest: &Manifest,
    address: &Address,
    assignment: &str,
) -> Result<Edit<'static>, PatchError> {
    let Some((path, text)) = split_assignment(assignment) else {
        return Err(PatchError::NotAnAssignment(assignment.to_owned()));
    };
    let path: Path = path.parse()?;
    let there = manifest.value(address, &path);
    let value = typed(text, there.as_ref()).ok_or_else(|| PatchError::Type {
        path: path.clone(),
        is: kind(there.as_ref()),
        value: text.to_owned(),
    })?;
    if there.is_none()
        && let Some(edit) = new_env(manifest, address, &path, &value)
    {
        return Ok(edit);
    }
    Ok(Edit::Set { path, value })
}

/// At the first `=` outside of brackets.
fn split_assignment(text: &str) -> Option<(&str, &str)> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if depth > 0 => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth = depth.saturating_sub(1),
            '=' if depth == 0 => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

fn kind(value: Option<&Value>) -> &'static str {
    match value {
        Some(Value::Bool(_)) => "a boolean",
        Some(Value::Number(_)) => "a number",
        Some(Value::Array(_)) => "a list",
        Some(Value::Object(_)) => "a map",
        Some(Value::String(_)) => "a string",
        Some(Value::Null) | None => "nothing yet",
    }
}

/// The value that the text is for a field that holds `there`.
fn typed(text: &str, there: Option<&Value>) -> Option<Value> {
    let json: Option<Value> = serde_json::from_str(text).ok();
    match there {
        Some(Value::String(_)) => Some(match json {
            Some(Value::String(inner)) => Value::String(inner),
            _ => Value::String(text.to_owned()),
        }),
        Some(Value::Bool(_)) => json.filter(Value::is_boolean),
        Some(Value::Number(_)) => json
            .filter(|value| value.is_number() || value.is_null())
            .or_else(|| percent(text)),
        Some(Value::Array(_)) => json.filter(|value| value.is_array() || value.is_null()),
        Some(Value::Object(_)) => json.filter(|value| value.is_object() || value.is_null()),
        Some(Value::Null) | None => Some(match json {
            // A tag such as 1.10 is not meant as 1.1; Kubernetes' own fields are never floats.
            Some(Value::Number(number)) if number.is_f64() => Value::String(text.to_owned()),
            Some(value) => value,
            None => Value::String(text.to_owned()),
        }),
    }
}

/// `maxSurge` and its like take a number or a percentage (`IntOrString`).
fn percent(text: &str) -> Option<Value> {
    let digits = text.strip_suffix('%')?;
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| Value::String(text.to_owned()))
}

/// `…env[NAME].value` where the list has no such item: the item itself is new.
fn new_env(
    manifest: &Manifest,
    address: &Address,
    path: &Path,
    value: &Value,
) -> Option<Edit<'static>> {
    let [
        ..,
        Step::Key(list),
        Step::Named { key, value: name },
        Step::Key(field),
    ] = path.steps()
    else {
        return None;
    };
    let item = path.parent()?;
    let around = item.parent()?;
    let container = around.parent()?;
    let fits = list == "env" && key == "name" && field == "value";
    if !fits
        || manifest.value(address, &item).is_some()
        || manifest.value(address, &container).is_none()
    {
        return None;
    }
    // An environment variable is a string whatever it looks like.
    let value = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let new = serde_json::json!({ "name": name, "value": value });
    let list_is_there = matches!(manifest.value(address, &around), Some(Value::Array(_)));
    Some(if list_is_there {
        Edit::Insert {
            path: around.child(Step::End),
            value: new,
        }
    } else {
        Edit::Set {
            path: around,
            value: Value::Array(vec![new]),
        }
    })
}
