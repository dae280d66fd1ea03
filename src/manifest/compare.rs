//! What differs between two values, field by field.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::json::same;
use super::merge_key::merge_key;
use super::path::{Path, Step};

/// One field that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The field; list items are told by their merge key where the list has one.
    pub path: Path,
    /// Its value before; `None` where it is new.
    pub old: Option<Value>,
    /// Its value after; `None` where it is gone.
    pub new: Option<Value>,
}

/// The fields that differ, deepest first fields that say it, in the order of their paths.
///
/// Lists are compared item by item with Kubernetes' merge key where there is one and every item
/// has its own, else by place. Where such a list only has another order, the list itself is the
/// change.
#[must_use]
pub fn diff_values(old: &Value, new: &Value) -> Vec<Change> {
    diff_values_at(&Path::default(), old, new)
}

/// As [`diff_values`], for values that stand at `path` in their object (which decides the merge
/// keys of the lists in them).
#[must_use]
pub fn diff_values_at(path: &Path, old: &Value, new: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    walk(path, Some(old), Some(new), &mut changes);
    changes
}

fn walk(path: &Path, old: Option<&Value>, new: Option<&Value>, changes: &mut Vec<Change>) {
    match (old, new) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for name in names {
                walk(&path.key(name), old.get(name), new.get(name), changes);
            }
        }
        (Some(before @ Value::Array(old)), Some(after @ Value::Array(new))) => {
            let keyed =
                merge_key(path).and_then(|key| Some((key, index(old, key)?, index(new, key)?)));
            match keyed {
                Some((key, left, right)) => {
                    let count = changes.len();
                    by_key(path, key, &left, &right, changes);
                    if changes.len() == count && order(&left) != order(&right) {
                        changes.push(Change {
                            path: path.clone(),
                            old: Some(before.clone()),
                            new: Some(after.clone()),
                        });
                    }
                }
                None => {
                    for place in 0..old.len().max(new.len()) {
                        let step = path.child(Step::Index(place));
                        walk(&step, old.get(place), new.get(place), changes);
                    }
                }
            }
        }
        (Some(old), Some(new)) if same(old, new) => {}
        (None, None) => {}
        (old, new) => changes.push(Change {
            path: path.clone(),
            old: old.cloned(),
            new: new.cloned(),
        }),
    }
}

/// The items of a list by their key, with their places; `None` when one has no key of its own.
type Index<'v> = BTreeMap<String, (usize, &'v Value)>;

fn index<'v>(items: &'v [Value], key: &str) -> Option<Index<'v>> {
    let mut index = BTreeMap::new();
    for (place, item) in items.iter().enumerate() {
        let name = match item.get(key)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        if index.insert(name, (place, item)).is_some() {
            return None;
        }
    }
    Some(index)
}

fn order<'i>(index: &'i Index<'_>) -> Vec<&'i str> {
    let mut names: Vec<(usize, &str)> = index
        .iter()
        .map(|(name, (place, _))| (*place, name.as_str()))
        .collect();
    names.sort_unstable();
    names.into_iter().map(|(_, name)| name).collect()
}

fn by_key(path: &Path, key: &str, old: &Index<'_>, new: &Index<'_>, changes: &mut Vec<Change>) {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let step = Step::Named {
            key: key.to_owned(),
            value: name.clone(),
        };
        let (old, new) = (old.get(name), new.get(name));
        walk(
            &path.child(step),
            old.map(|at| at.1),
            new.map(|at| at.1),
            changes,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn paths(old: &Value, new: &Value) -> Vec<String> {
        diff_values(old, new)
            .iter()
            .map(|change| change.path.to_string())
            .collect()
    }

    #[test]
    fn lists_are_compared_by_merge_key() {
        let old = json!({"spec": {"containers": [
            {"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}]},
            {"name": "b", "image": "b:1"},
        ], "tolerations": [{"key": "x"}]}});
        let new = json!({"spec": {"containers": [
            {"name": "b", "image": "b:2"},
            {"name": "a", "image": "a:1", "env": [{"name": "Y", "value": "1"}]},
        ], "tolerations": [{"key": "y"}]}});
        assert_eq!(
            paths(&old, &new),
            [
                "spec.containers[a].env[X]",
                "spec.containers[a].env[Y]",
                "spec.containers[b].image",
                "spec.tolerations[0].key",
            ]
        );
    }

    #[test]
    fn a_mere_order_is_a_change_of_the_list() {
        let old = json!({"spec": {"initContainers": [{"name": "a"}, {"name": "b"}]}});
        let new = json!({"spec": {"initContainers": [{"name": "b"}, {"name": "a"}]}});
        assert_eq!(paths(&old, &new), ["spec.initContainers"]);
        assert!(paths(&old, &old).is_empty());
    }

    #[test]
    fn lists_with_a_key_twice_are_compared_by_place() {
        let old = json!({"spec": {"ports": [{"port": 53, "protocol": "TCP"}, {"port": 53}]}});
        let new = json!({"spec": {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}]}});
        assert_eq!(paths(&old, &new), ["spec.ports[0].protocol"]);
    }

    #[test]
    fn whole_floats_are_integers() {
        assert!(paths(&json!({"a": 1}), &json!({"a": 1.0})).is_empty());
        assert_eq!(paths(&json!({"a": 1}), &json!({"a": "1"})), ["a"]);
        assert_eq!(paths(&json!(1), &json!(2)), [""]);
    }
}
