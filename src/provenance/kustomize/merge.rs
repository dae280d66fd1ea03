//! Strategic merge as kustomize does it (kyaml `merge2`): maps by key, lists by the merge key that
//! Kubernetes has for them, new items in front, everything else replaced.

use crate::manifest::{Path, Step, merge_key};

use super::super::traced::{Body, Mark, Traced};

/// What becomes of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Yes,
    /// A `$patch: delete`, or a null.
    No,
}

/// Merges `patch` into the object at `path`. `builtin` is false for kinds that Kubernetes itself
/// does not have: their lists have no merge keys.
pub(super) fn merge(
    dest: &mut Traced,
    patch: &Traced,
    path: &Path,
    builtin: bool,
) -> Result<Kept, String> {
    if patch.is_null() {
        return Ok(Kept::No);
    }
    match (&dest.body, &patch.body) {
        (Body::Map(_), Body::Map(_)) => maps(dest, patch, path, builtin),
        (Body::List(_), Body::List(_)) => lists(dest, patch, path, builtin),
        (Body::Scalar(value), _) if value.is_null() => replace(dest, patch),
        // Unknown it stays, whatever else is merged into it.
        (Body::Unknown(_) | Body::Digest(_), _) => Ok(Kept::Yes),
        (Body::Scalar(_), Body::Scalar(_)) => replace(dest, patch),
        _ => Err(format!(
            "{path} is of another type in the object than in the patch"
        )),
    }
}

fn replace(dest: &mut Traced, patch: &Traced) -> Result<Kept, String> {
    let Some(mut new) = fresh(patch)? else {
        return Ok(Kept::No);
    };
    let mut marks: Vec<Mark> = std::mem::take(&mut dest.marks);
    marks.append(&mut new.marks);
    new.marks = marks;
    *dest = new;
    Ok(Kept::Yes)
}

/// A part of a patch that nothing is there for yet: without its nulls and directives.
fn fresh(patch: &Traced) -> Result<Option<Traced>, String> {
    let body = match &patch.body {
        Body::Map(fields) => {
            if directive(patch)? == Some(Directive::Delete) {
                return Ok(None);
            }
            let mut kept = std::collections::BTreeMap::new();
            for (key, value) in fields.iter().filter(|(key, _)| *key != "$patch") {
                check_key(key)?;
                if value.is_null() {
                    continue;
                }
                if let Some(value) = fresh(value)? {
                    kept.insert(key.clone(), value);
                }
            }
            Body::Map(kept)
        }
        Body::List(items) => {
            let mut kept = Vec::new();
            for item in items {
                if is_list_directive(item) {
                    if directive(item)? == Some(Directive::Delete) {
                        return Ok(None);
                    }
                    continue;
                }
                kept.extend(fresh(item)?);
            }
            Body::List(kept)
        }
        other => other.clone(),
    };
    Ok(Some(Traced {
        body,
        marks: patch.marks.clone(),
    }))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Directive {
    Delete,
    Replace,
    Merge,
}

fn directive(patch: &Traced) -> Result<Option<Directive>, String> {
    match patch.key("$patch").map(|node| node.text()) {
        None => Ok(None),
        Some(Some("delete")) => Ok(Some(Directive::Delete)),
        Some(Some("replace")) => Ok(Some(Directive::Replace)),
        Some(Some("merge")) => Ok(Some(Directive::Merge)),
        Some(other) => Err(format!("$patch: {} is no directive", other.unwrap_or("?"))),
    }
}

/// An item that speaks of the list around it.
fn is_list_directive(item: &Traced) -> bool {
    item.fields()
        .is_some_and(|fields| fields.len() == 1 && fields.contains_key("$patch"))
}

fn check_key(key: &str) -> Result<(), String> {
    match key.starts_with('$') {
        true => Err(format!("{key} is not followed")),
        false => Ok(()),
    }
}

fn maps(dest: &mut Traced, patch: &Traced, path: &Path, builtin: bool) -> Result<Kept, String> {
    match directive(patch)? {
        Some(Directive::Delete) => return Ok(Kept::No),
        Some(Directive::Replace) => return replace(dest, patch),
        Some(Directive::Merge) | None => {}
    }
    dest.marks.extend(patch.marks.iter().cloned());
    let (Some(own), Some(fields)) = (dest.fields_mut(), patch.fields()) else {
        return Ok(Kept::Yes);
    };
    for (key, value) in fields.iter().filter(|(key, _)| *key != "$patch") {
        check_key(key)?;
        let kept = match own.get_mut(key) {
            Some(there) => merge(there, value, &path.key(key), builtin)?,
            None => {
                let new = if value.is_null() { None } else { fresh(value)? };
                own.extend(new.map(|new| (key.clone(), new)));
                Kept::Yes
            }
        };
        if kept == Kept::No {
            own.remove(key);
        }
    }
    Ok(Kept::Yes)
}

/// The second key of lists that have two (`x-kubernetes-list-map-keys`).
fn second_key(path: &Path, key: &str) -> Option<&'static str> {
    match (path.last(), key) {
        (Some(Step::Key(list)), "containerPort" | "port") if list == "ports" => Some("protocol"),
        (_, "topologyKey") => Some("whenUnsatisfiable"),
        _ => None,
    }
}

fn lists(dest: &mut Traced, patch: &Traced, path: &Path, builtin: bool) -> Result<Kept, String> {
    let scalars = is_scalar_set(path);
    let key = if builtin { merge_key(path) } else { None };
    for item in patch.items().iter().filter(|item| is_list_directive(item)) {
        match directive(item)? {
            Some(Directive::Delete) => return Ok(Kept::No),
            Some(Directive::Replace) => return replace(dest, patch),
            Some(Directive::Merge) | None => {}
        }
    }
    let key = match (key, scalars) {
        (Some(key), _) => key,
        (None, true) => return union(dest, patch),
        (None, false) => return replace(dest, patch),
    };
    if has_second_key(dest, patch, path, key) {
        dest.body = Body::Unknown(format!(
            "a patch merges {path}, whose items have two keys, which is not followed"
        ));
        dest.marks.extend(patch.marks.iter().cloned());
        return Ok(Kept::Yes);
    }
    check_keys(dest, patch, path, key)?;
    let Body::List(own) = &mut dest.body else {
        return Ok(Kept::Yes);
    };
    let mut rest = std::mem::take(own);
    let mut merged = Vec::new();
    for item in patch.items().iter().filter(|item| !is_list_directive(item)) {
        let word = item.key(key).and_then(Traced::word);
        let there = rest
            .iter()
            .position(|other| other.key(key).and_then(Traced::word) == word);
        match there {
            Some(place) => {
                let mut other = rest.remove(place);
                let named = Step::Named {
                    key: key.to_owned(),
                    value: word.unwrap_or_default(),
                };
                if merge(&mut other, item, &path.child(named), builtin)? == Kept::Yes {
                    merged.push(other);
                }
            }
            None => merged.extend(fresh(item)?),
        }
    }
    merged.append(&mut rest);
    *own = merged;
    dest.marks.extend(patch.marks.iter().cloned());
    Ok(Kept::Yes)
}

/// Every item needs its key, once.
fn check_keys(dest: &Traced, patch: &Traced, path: &Path, key: &str) -> Result<(), String> {
    for list in [dest, patch] {
        let mut seen = Vec::new();
        for item in list.items().iter().filter(|item| !is_list_directive(item)) {
            let Some(word) = item.key(key).and_then(Traced::word) else {
                return Err(format!("an item of {path} has no {key}"));
            };
            if seen.contains(&word) {
                return Err(format!("two items of {path} have {key} {word}"));
            }
            seen.push(word);
        }
    }
    Ok(())
}

/// Whether a list with two keys has the second one anywhere. kustomize then pairs items in ways
/// that depend on what the others have (`mergeValues` of kyaml), and can lose fields.
fn has_second_key(dest: &Traced, patch: &Traced, path: &Path, key: &str) -> bool {
    let second = second_key(path, key);
    let mut items = dest.items().iter().chain(patch.items());
    second.is_some_and(|second| items.any(|item| item.key(second).is_some()))
}

/// Lists of words that are merged as sets.
fn is_scalar_set(path: &Path) -> bool {
    path.to_string() == "metadata.finalizers"
}

fn union(dest: &mut Traced, patch: &Traced) -> Result<Kept, String> {
    let mut items: Vec<Traced> = patch.items().to_vec();
    for item in dest.items() {
        if !items.iter().any(|other| other.word() == item.word()) {
            items.push(item.clone());
        }
    }
    dest.body = Body::List(items);
    dest.marks.extend(patch.marks.iter().cloned());
    Ok(Kept::Yes)
}
