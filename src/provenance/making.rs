//! What makes an Application: the fields of its source that stand in files, each with its place.

use std::rc::Rc;

use serde_json::{Value, json};

use crate::manifest::{Path, Step};
use crate::model::{Application, Blocker, Maker, Making, ObjectRef, Sourcing};

use super::explain::untold;
use super::files::{Files, Reader, parted, root};
use super::source;
use super::traced::{Act, Body, Mark, Source, Traced};
use super::{Subject, application_set, rendered};

/// The sections that decide what is rendered.
const SECTIONS: [&str; 4] = ["helm", "kustomize", "directory", "plugin"];

/// What a live Application's source says in these sections and no file makes.
///
/// # Errors
/// When what makes it cannot be rendered, or does not make this Application.
pub fn rest(
    files: &dyn Files,
    sourcing: &Sourcing,
    (application, source): (&Application, usize),
) -> Result<Value, Blocker> {
    let made = made(files, sourcing, (application, source))?;
    let live = application.sources.get(source);
    let live = live.map_or_else(|| json!({}), source::sections);
    Ok(without(&live, &made).unwrap_or_else(|| json!({})))
}

/// Whether a live Application's source has everything that is made for it.
///
/// # Errors
/// As [`rest`].
pub fn is_as_made(
    files: &dyn Files,
    sourcing: &Sourcing,
    (application, source): (&Application, usize),
) -> Result<bool, Blocker> {
    let made = made(files, sourcing, (application, source))?;
    let live = application.sources.get(source);
    let none = nobody();
    let subject = Subject::of(Some(application), source, sourcing, &none);
    let revision = field(&Reader::new(files), &subject, "targetRevision");
    let follows = live.zip(revision).is_none_or(|(live, (_, revision))| {
        revision.is_none_or(|revision| revision == Value::String(live.target_revision.clone()))
    });
    let live = live.map_or_else(|| json!({}), source::sections);
    Ok(follows && has(&live, &made))
}

fn made(
    files: &dyn Files,
    sourcing: &Sourcing,
    (application, source): (&Application, usize),
) -> Result<Value, Blocker> {
    let none = nobody();
    let subject = Subject::of(Some(application), source, sourcing, &none);
    let Some(making) = subject.making else {
        return Ok(json!({}));
    };
    let sections = sections(&Reader::new(files), &subject, making)?;
    Ok(sections.value().unwrap_or_else(|| json!({})))
}

/// The sections of the subject's source that its maker makes.
pub(super) fn sections(
    reader: &Reader<'_>,
    subject: &Subject<'_>,
    making: &Making,
) -> Result<Traced, Blocker> {
    let empty = Traced {
        body: Body::Map(std::collections::BTreeMap::new()),
        marks: Vec::new(),
    };
    let Some(application) = subject.application else {
        return Ok(empty);
    };
    let whole = match &making.maker {
        Maker::Application(deployer) => {
            let target = object_of(application);
            let (of, source) = (&deployer.application, deployer.source);
            let above = Subject::of(Some(of), source, &deployer.sourcing, &target);
            let rendering = rendered(reader, &above)?;
            let spec = Path::of_keys(["spec"]);
            if let Some(blocker) = rendering.gap(&spec) {
                return Err(blocker.clone());
            }
            rendering.target
        }
        Maker::ApplicationSet(set) => {
            let found = application_set::application(reader, set, application)?;
            return Ok(found.map_or(empty, |whole| of_source(&whole, subject.source)));
        }
    };
    let Some(source) = source_at(&whole, subject.source) else {
        return Ok(empty);
    };
    let mut found = empty;
    let mut unknown = Vec::new();
    for name in SECTIONS {
        let Some(section) = source.key(name).filter(|section| !section.is_null()) else {
            continue;
        };
        section.unknown(&Path::of_keys([name]), &mut unknown);
        if let Some((path, why)) = unknown.first() {
            return Err(untold(path, why));
        }
        if let Some(fields) = found.fields_mut() {
            fields.insert(name.to_owned(), taken(section));
        }
    }
    Ok(found)
}

/// The tag or commit that a pinned source's files are those of.
#[derive(Debug)]
pub(super) struct Pin {
    pub(super) revision: String,
    /// The source's folder, behind the root of that commit.
    pub(super) folder: String,
}

/// What the subject's source is pinned to, as the files say it, else as the live Application does;
/// `None` where it is not pinned.
pub(super) fn pin(reader: &Reader<'_>, subject: &Subject<'_>) -> Result<Option<Pin>, Blocker> {
    let Some(pinned) = subject.pinned else {
        return Ok(None);
    };
    let named = field(reader, subject, "targetRevision");
    let live = || {
        let source = subject.application?.sources.get(subject.source)?;
        Some(source.target_revision.clone()).filter(|revision| !revision.is_empty())
    };
    let revision = match named {
        Some((_, Some(Value::String(revision)))) => Some(revision),
        Some(_) => None,
        None => live(),
    };
    let Some(revision) = revision else {
        return Err(Blocker::new(
            "pinned",
            format!(
                "the Application deploys {} of {}, and it cannot be told which: a push to a branch changes nothing",
                pinned.what, pinned.repository
            ),
            "change targetRevision where the Application is defined",
        ));
    };
    let (_, path) = parted(subject.folder);
    let root = root(&label(&pinned.repository, &revision));
    Ok(Some(Pin {
        folder: format!("{root}{path}"),
        revision,
    }))
}

/// The label of a repository at a revision.
pub(super) fn label(repository: &str, revision: &str) -> String {
    format!("{repository}@{revision}")
}

/// Where a field of the subject's source is made, as `targetRevision`, and what it is; `None` where
/// no file makes it.
pub(super) fn field(
    reader: &Reader<'_>,
    subject: &Subject<'_>,
    field: &str,
) -> Option<(Source, Option<Value>)> {
    let (making, application) = (subject.making?, subject.application?);
    let whole = match &making.maker {
        Maker::Application(deployer) => {
            let target = object_of(application);
            let (of, source) = (&deployer.application, deployer.source);
            let above = Subject::of(Some(of), source, &deployer.sourcing, &target);
            rendered(reader, &above).ok()?.target
        }
        Maker::ApplicationSet(set) => {
            application_set::application(reader, set, application).ok()??
        }
    };
    let node = source_at(&whole, subject.source)?.key(field)?;
    let source = match &making.maker {
        Maker::Application(_) => taken(node).deciding()?.source.clone(),
        Maker::ApplicationSet(_) => node.deciding()?.source.clone(),
    };
    source.file().is_some().then(|| (source, node.value()))
}

/// No object: the Application alone is asked about.
pub(super) fn nobody() -> ObjectRef {
    ObjectRef {
        group: String::new(),
        kind: String::new(),
        namespace: String::new(),
        name: String::new(),
    }
}

/// The Application as an object.
fn object_of(application: &Application) -> ObjectRef {
    ObjectRef {
        group: "argoproj.io".to_owned(),
        kind: "Application".to_owned(),
        namespace: application.namespace.clone(),
        name: application.name.clone(),
    }
}

/// One of the sources of a made Application.
fn source_at(whole: &Traced, source: usize) -> Option<&Traced> {
    let many = Path::of_keys(["spec", "sources"]);
    let at = match whole.get(&many) {
        Some(list) if !list.items().is_empty() => many.child(Step::Index(source)),
        _ => Path::of_keys(["spec", "source"]),
    };
    whole.get(&at)
}

/// What is known of the sections of an ApplicationSet's Application.
fn of_source(whole: &Traced, source: usize) -> Traced {
    let source = source_at(whole, source);
    let section = |name: &&str| Some(((*name).to_owned(), known(source?.key(name)?)?));
    Traced {
        body: Body::Map(SECTIONS.iter().filter_map(section).collect()),
        marks: Vec::new(),
    }
}

/// A value without what is not known in it; a list is known as a whole or not at all, as a sync
/// replaces it.
fn known(node: &Traced) -> Option<Traced> {
    let body = match &node.body {
        Body::Unknown(_) | Body::Digest(_) | Body::Scalar(Value::Null) => return None,
        Body::Scalar(_) => return Some(node.clone()),
        Body::List(items) => {
            let mut unknown = Vec::new();
            items
                .iter()
                .for_each(|item| item.unknown(&Path::default(), &mut unknown));
            return unknown.is_empty().then(|| node.clone());
        }
        Body::Map(fields) => Body::Map(
            fields
                .iter()
                .filter_map(|(key, item)| Some((key.clone(), known(item)?)))
                .collect(),
        ),
    };
    Some(Traced {
        body,
        marks: node.marks.clone(),
    })
}

/// A value with its places seen from the Application that it is made for.
fn taken(node: &Traced) -> Traced {
    let body = match &node.body {
        Body::Map(fields) => Body::Map(
            fields
                .iter()
                .map(|(key, item)| (key.clone(), taken(item)))
                .collect(),
        ),
        Body::List(items) => Body::List(items.iter().map(taken).collect()),
        other => other.clone(),
    };
    Traced {
        body,
        marks: marks(node),
    }
}

/// A text with one value in it is that value's place between fixed words; with several of them it
/// is the template's.
fn marks(node: &Traced) -> Vec<Mark> {
    let part = |mark: &Mark| match mark.act {
        Act::Value { from, to, .. } => Some((from, to)),
        _ => None,
    };
    let mut parts: Vec<(usize, usize)> = node.marks.iter().filter_map(part).collect();
    parts.dedup();
    let says = matches!(node.body, Body::Scalar(_))
        .then(|| node.value())
        .flatten();
    let whole = node.text().unwrap_or_default();
    let (mut below, mut over) = (Vec::new(), Vec::new());
    for mark in &node.marks {
        let (from, to) = match (&mark.act, part(mark)) {
            (Act::Skipped { .. }, _) => continue,
            (_, Some(_)) if parts.len() > 1 => continue,
            (_, Some(own)) => own,
            (_, None) => (0, whole.len()),
        };
        let fixed = |text: Option<&str>| Rc::from(text.unwrap_or_default());
        let source = Source::Made {
            inner: Box::new(mark.source.clone()),
            before: fixed(whole.get(..from)),
            after: fixed(whole.get(to..)),
        };
        let is_part = part(mark).is_some();
        let into = if is_part { &mut over } else { &mut below };
        into.push(Mark {
            source,
            act: Act::Written,
            says: if is_part {
                says.clone()
            } else {
                mark.says.clone()
            },
        });
    }
    below.extend(over);
    below
}

/// What is made over what the live object says besides: maps by key, everything else replaced, as
/// a sync applies it to a custom resource.
pub(super) fn overlay(into: &mut Traced, made: &Traced) {
    let (true, Some(fields)) = (into.fields().is_some(), made.fields()) else {
        *into = made.clone();
        return;
    };
    into.marks.extend(made.marks.iter().cloned());
    let Some(own) = into.fields_mut() else { return };
    for (key, value) in fields {
        match own.get_mut(key) {
            Some(there) => overlay(there, value),
            None => {
                own.insert(key.clone(), value.clone());
            }
        }
    }
}

/// What is left of a value where another one says nothing.
fn without(live: &Value, made: &Value) -> Option<Value> {
    let (Value::Object(live), Value::Object(made)) = (live, made) else {
        return None;
    };
    let left: serde_json::Map<String, Value> = live
        .iter()
        .filter_map(|(key, value)| {
            let left = match made.get(key) {
                None | Some(Value::Null) => Some(value.clone()),
                Some(made) => without(value, made),
            };
            Some((key.clone(), left?))
        })
        .collect();
    (!left.is_empty()).then_some(Value::Object(left))
}

/// Whether one value has all that another one says.
fn has(live: &Value, made: &Value) -> bool {
    match (live, made) {
        (_, Value::Null) => true,
        (Value::Object(live), Value::Object(made)) => made.iter().all(|(key, value)| {
            let empty = match value {
                Value::Null => true,
                Value::Object(map) => map.is_empty(),
                Value::Array(items) => items.is_empty(),
                _ => false,
            };
            live.get(key).map_or(empty, |own| has(own, value))
        }),
        _ => live == made,
    }
}
