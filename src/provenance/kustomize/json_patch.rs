//! RFC 6902 operations on an object (evanphx/json-patch v4, as kustomize uses it).

use crate::manifest::{Path, Step};

use super::super::traced::{Act, Body, Mark, Traced};

/// Applies the operations of one patch, one after the other.
pub(super) fn apply(object: &mut Traced, operations: &Traced) -> Result<(), String> {
    for operation in operations.items() {
        one(object, operation)?;
    }
    Ok(())
}

fn path_of(operation: &Traced, key: &str) -> Result<Path, String> {
    let pointer = operation.text_at(&[key]);
    let pointer = pointer.ok_or_else(|| format!("an operation has no {key}"))?;
    Path::from_pointer(pointer).map_err(|error| error.to_string())
}

fn one(object: &mut Traced, operation: &Traced) -> Result<(), String> {
    let op = operation.text_at(&["op"]).unwrap_or_default();
    let path = path_of(operation, "path")?;
    let value = || {
        let value = operation.key("value");
        value
            .map(marked)
            .ok_or_else(|| format!("{op} {path} has no value"))
    };
    match op {
        "add" => add(object, &path, value()?),
        "remove" => remove(object, &path).map(|_| ()),
        "replace" => {
            let mut value = value()?;
            let there = object.get_mut(&path);
            let there = there.ok_or_else(|| format!("replace: there is no {path}"))?;
            let mut marks: Vec<Mark> = std::mem::take(&mut there.marks);
            marks.append(&mut value.marks);
            value.marks = marks;
            *there = value;
            Ok(())
        }
        "test" => {
            let there = object.get(&path).and_then(Traced::value);
            let wanted = operation.key("value").and_then(Traced::value);
            match there == wanted {
                true => Ok(()),
                false => Err(format!("the test of {path} fails")),
            }
        }
        "copy" => {
            let from = path_of(operation, "from")?;
            let there = object.get(&from).cloned();
            let there = there.ok_or_else(|| format!("copy: there is no {from}"))?;
            add(object, &path, there)
        }
        "move" => {
            let from = path_of(operation, "from")?;
            let there = remove(object, &from)?;
            add(object, &path, there)
        }
        other => Err(format!("{other:?} is no operation")),
    }
}

fn marked(value: &Traced) -> Traced {
    let mut value = value.clone();
    mark(&mut value);
    value
}

fn mark(node: &mut Traced) {
    for mark in &mut node.marks {
        mark.act = Act::JsonPatch;
    }
    match &mut node.body {
        Body::Map(fields) => fields.values_mut().for_each(mark),
        Body::List(items) => items.iter_mut().for_each(mark),
        Body::Scalar(_) | Body::Unknown(_) | Body::Digest(_) => {}
    }
}

fn add(object: &mut Traced, path: &Path, mut value: Traced) -> Result<(), String> {
    let (Some(parent), Some(last)) = (path.parent(), path.last()) else {
        return Err("the whole object cannot be replaced".to_owned());
    };
    let around = object.get_mut(&parent);
    let around = around.ok_or_else(|| format!("add: there is no {parent}"))?;
    match (&mut around.body, last) {
        (Body::Map(fields), step) => {
            let key = match step {
                Step::Key(key) => key.clone(),
                Step::Index(index) => index.to_string(),
                Step::End => "-".to_owned(),
                Step::Named { .. } => return Err(format!("{path} is no pointer")),
            };
            if let Some(old) = fields.remove(&key) {
                let mut marks = old.marks;
                marks.append(&mut value.marks);
                value.marks = marks;
            }
            fields.insert(key, value);
            Ok(())
        }
        (Body::List(items), Step::End) => {
            items.push(value);
            Ok(())
        }
        (Body::List(items), Step::Index(index)) if *index <= items.len() => {
            items.insert(*index, value);
            Ok(())
        }
        _ => Err(format!("add: {path} cannot be there")),
    }
}

fn remove(object: &mut Traced, path: &Path) -> Result<Traced, String> {
    let missing = || format!("remove: there is no {path}");
    let parent = path.parent().ok_or_else(missing)?;
    let around = object.get_mut(&parent).ok_or_else(missing)?;
    match (&mut around.body, path.last()) {
        (Body::Map(fields), Some(Step::Key(key))) => fields.remove(key).ok_or_else(missing),
        (Body::Map(fields), Some(Step::Index(index))) => {
            fields.remove(&index.to_string()).ok_or_else(missing)
        }
        (Body::List(items), Some(Step::Index(index))) if *index < items.len() => {
            Ok(items.remove(*index))
        }
        _ => Err(missing()),
    }
}
