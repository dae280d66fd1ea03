//! What is wanted of a target, and putting that into plain values.

use serde_json::Value;

use crate::manifest::{Change, Path, Step, diff_values_at};

use super::traced::Traced;

/// One wanted value.
#[derive(Debug, Clone)]
pub(super) struct Want {
    pub(super) path: Path,
    pub(super) value: Option<Value>,
    /// Where a new list item goes in its list.
    pub(super) place: Option<usize>,
    /// Where a new field stood in another commit, to be tried first.
    pub(super) home: Option<Home>,
}

/// The map or list around a field in another commit's file.
#[derive(Debug, Clone)]
pub(super) struct Home {
    pub(super) file: String,
    pub(super) around: Path,
    /// Of a list item: its place there.
    pub(super) place: Option<usize>,
}

/// The parts of a wanted collection that differ; none where it is to be set as one.
pub(super) fn parts(path: &Path, node: &Traced, value: &Value) -> Vec<Want> {
    let Some(now) = node.value() else {
        return Vec::new();
    };
    if !matches!(
        (&now, value),
        (Value::Object(_), Value::Object(_)) | (Value::Array(_), Value::Array(_))
    ) {
        return Vec::new();
    }
    let changes = diff_values_at(path, &now, value);
    if changes.iter().any(|change| change.path == *path) {
        return Vec::new();
    }
    in_order(changes, path, value)
}

/// Changes as wants: values first, then what goes (the last first), then what comes (by its place).
pub(super) fn in_order(changes: Vec<Change>, at: &Path, value: &Value) -> Vec<Want> {
    let (mut kept, mut gone, mut new) = (Vec::new(), Vec::new(), Vec::new());
    for Change {
        path,
        old,
        new: wanted,
    } in changes
    {
        let place = place_in(value, at, &path);
        let into = match (&old, &wanted) {
            (Some(_), Some(_)) => &mut kept,
            (_, None) => &mut gone,
            (None, _) => &mut new,
        };
        into.push(Want {
            path,
            value: wanted,
            place,
            home: None,
        });
    }
    gone.reverse();
    new.sort_by_key(|want: &Want| want.place);
    kept.into_iter().chain(gone).chain(new).collect()
}

/// The place of a list item in the list of `value`, which stands at `at`.
fn place_in(value: &Value, at: &Path, path: &Path) -> Option<usize> {
    let steps = path.steps().get(at.steps().len()..)?;
    let (last, before) = steps.split_last()?;
    let list = before.iter().try_fold(value, step_into)?.as_array()?;
    match last {
        Step::Index(place) => Some(*place),
        Step::Named { key, value } => list.iter().position(|item| is_named(item, key, value)),
        Step::Key(_) | Step::End => None,
    }
}

fn is_named(item: &Value, key: &str, name: &str) -> bool {
    match item.get(key) {
        Some(Value::String(text)) => text == name,
        Some(Value::Number(number)) => number.to_string() == name,
        _ => false,
    }
}

/// The value at a path in a plain one; list items by their place or by a field.
#[must_use]
pub fn value_at<'v>(value: &'v Value, path: &Path) -> Option<&'v Value> {
    path.steps().iter().try_fold(value, step_into)
}

fn step_into<'v>(value: &'v Value, step: &Step) -> Option<&'v Value> {
    match (value, step) {
        (Value::Object(map), Step::Key(key)) => map.get(key),
        (Value::Array(items), Step::Index(place)) => items.get(*place),
        (Value::Array(items), Step::Named { key, value }) => {
            items.iter().find(|item| is_named(item, key, value))
        }
        _ => None,
    }
}

/// Puts a wanted value into a plain one.
pub(super) fn put(value: &mut Value, want: &Want) {
    let Some((last, before)) = want.path.steps().split_last() else {
        return;
    };
    let mut here = value;
    for step in before {
        let next = match (here, step) {
            (Value::Object(map), Step::Key(key)) => Some(
                map.entry(key.clone())
                    .or_insert_with(|| Value::Object(serde_json::Map::new())),
            ),
            (Value::Array(items), Step::Index(place)) => items.get_mut(*place),
            (Value::Array(items), Step::Named { key, value }) => {
                items.iter_mut().find(|item| is_named(item, key, value))
            }
            _ => None,
        };
        match next {
            Some(next) => here = next,
            None => return,
        }
    }
    match (here, last, &want.value) {
        (Value::Object(map), Step::Key(key), Some(value)) => {
            map.insert(key.clone(), value.clone());
        }
        (Value::Object(map), Step::Key(key), None) => {
            map.remove(key);
        }
        (Value::Array(items), step, wanted) => {
            let there = match step {
                Step::Index(place) if *place < items.len() => Some(*place),
                Step::Named { key, value } => {
                    items.iter().position(|item| is_named(item, key, value))
                }
                _ => None,
            };
            match (there, wanted) {
                (Some(place), Some(value)) => items[place] = value.clone(),
                (Some(place), None) => {
                    items.remove(place);
                }
                (None, Some(value)) => {
                    let place = want.place.unwrap_or(items.len()).min(items.len());
                    items.insert(place, value.clone());
                }
                (None, None) => {}
            }
        }
        _ => {}
    }
}
