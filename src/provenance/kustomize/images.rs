//! `images`: entries that set an image's name, tag and digest.

use regex::Regex;
use serde_json::Value;

use crate::manifest::{Path, Step};
use crate::model::Blocker;

use super::super::traced::{Act, Body, Source, Traced};
use super::file::{Kustomization, source_of};
use super::{Build, Resource, broken};

/// One entry of `images`.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: String,
    new_name: String,
    new_tag: String,
    digest: String,
    tag_suffix: bool,
    /// The entry itself.
    node: Traced,
}

impl Entry {
    pub(super) fn read(build: &Build<'_>, node: &Traced) -> Result<Self, Blocker> {
        let text = |key: &str| match node.key(key) {
            None => Ok(String::new()),
            Some(value) if value.is_null() => Ok(String::new()),
            Some(value) => match value.text() {
                Some(text) => Ok(text.to_owned()),
                None => Err(broken(
                    build.place(value),
                    format!("{key} is read as a number or a boolean; it must be quoted"),
                )),
            },
        };
        Ok(Self {
            name: text("name")?,
            new_name: text("newName")?,
            new_tag: text("newTag")?,
            digest: text("digest")?,
            tag_suffix: !text("tagSuffix")?.is_empty(),
            node: node.clone(),
        })
    }

    /// An entry as `kustomize edit set image` takes it: `NAME[=NEWNAME][:TAG][@DIGEST]`.
    fn parse(build: &Build<'_>, node: &Traced) -> Result<Self, Blocker> {
        let argument = node.text().unwrap_or_default();
        let (key, value) = match argument.split_once('=') {
            Some((key, value)) => (Some(key), value),
            None => (None, argument),
        };
        let (name, tag, digest) = split(value);
        if name == argument {
            return Err(broken(
                build.place(node),
                format!("{argument:?} names neither a new name, tag nor digest"),
            ));
        }
        Ok(Self {
            name: key.unwrap_or(&name).to_owned(),
            new_name: key.map(|_| name.clone()).unwrap_or_default(),
            new_tag: tag,
            digest,
            tag_suffix: false,
            node: node.clone(),
        })
    }
}

/// As `kustomize edit set image`: one entry per name, the Application's win, sorted by name;
/// `*` keeps what the file has.
pub(super) fn set(
    build: &mut Build<'_>,
    own: Vec<Entry>,
    overrides: &Traced,
) -> Result<Vec<Entry>, Blocker> {
    let mut all: Vec<Entry> = Vec::new();
    for node in overrides.items() {
        if node.text().is_some_and(|text| text.contains('$')) {
            build.gap(
                node,
                "a variable of Argo CD's build environment",
                Path::default(),
            );
        }
        let entry = Entry::parse(build, node)?;
        all.retain(|other| other.name != entry.name);
        all.push(entry);
    }
    let mut rest: Vec<Entry> = Vec::new();
    for mut below in own {
        let Some(over) = all.iter_mut().find(|entry| entry.name == below.name) else {
            rest.retain(|other| other.name != below.name);
            rest.push(below);
            continue;
        };
        for (field, kept) in [
            (&mut over.new_name, &below.new_name),
            (&mut over.new_tag, &below.new_tag),
            (&mut over.digest, &below.digest),
        ] {
            if field == "*" {
                field.clone_from(kept);
            }
        }
        below.node.marks.append(&mut over.node.marks);
        over.node.marks = below.node.marks;
    }
    for entry in &mut all {
        for field in [&mut entry.new_name, &mut entry.new_tag, &mut entry.digest] {
            if field == "*" {
                field.clear();
            }
        }
    }
    all.extend(rest);
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// Name, tag and digest, as kustomize's `image.Split` tells them apart.
pub(in super::super) fn split(image: &str) -> (String, String, String) {
    let (bare, digest) = match image.split_once('@') {
        Some((bare, digest)) => (bare, digest),
        None => (image, ""),
    };
    // A colon before the first slash belongs to a registry's port.
    let from = bare.find('/').filter(|at| *at > 0).unwrap_or(0);
    match bare[from..].find(':') {
        Some(colon) => {
            let (name, tag) = bare.split_at(from + colon);
            (name.to_owned(), tag[1..].to_owned(), digest.to_owned())
        }
        None => (bare.to_owned(), String::new(), digest.to_owned()),
    }
}

/// An image out of its parts.
pub(in super::super) fn joined(name: &str, tag: &str, digest: &str) -> String {
    let mut image = name.to_owned();
    if !tag.is_empty() {
        image.push(':');
        image.push_str(tag);
    }
    if !digest.is_empty() {
        image.push('@');
        image.push_str(digest);
    }
    image
}

pub(super) fn run(
    build: &mut Build<'_>,
    kustomization: &Kustomization,
    resources: &mut [Resource],
) -> Result<(), Blocker> {
    for entry in &kustomization.images {
        // An entry's name is a regular expression to kustomize (`IsImageMatched`).
        let pattern = format!(
            "^{}(:[a-zA-Z0-9_.{{}}-]*)?(@sha256:[a-zA-Z0-9_.{{}}-]*)?$",
            entry.name
        );
        let Ok(pattern) = Regex::new(&pattern) else {
            let why = format!("{:?} is no image name", entry.name);
            return Err(broken(build.place(&entry.node), why));
        };
        if entry.tag_suffix {
            build.gap(&entry.node, "tagSuffix", Path::default());
        }
        for resource in resources.iter_mut() {
            if resource.kind() != "CustomResourceDefinition" {
                walk(&mut resource.object, entry, &pattern);
            }
        }
    }
    Ok(())
}

/// Every `image` of an item of `containers` or `initContainers`, wherever that stands.
fn walk(node: &mut Traced, entry: &Entry, pattern: &Regex) {
    match &mut node.body {
        Body::Map(fields) => {
            for (key, value) in fields {
                walk(value, entry, pattern);
                if !matches!(key.as_str(), "containers" | "initContainers") {
                    continue;
                }
                let Body::List(items) = &mut value.body else {
                    continue;
                };
                for item in items {
                    if let Some(image) = item.fields_mut().and_then(|f| f.get_mut("image")) {
                        apply(image, entry, pattern);
                    }
                }
            }
        }
        Body::List(items) => {
            for item in items {
                walk(item, entry, pattern);
            }
        }
        Body::Scalar(_) | Body::Unknown(_) | Body::Digest(_) => {}
    }
}

fn apply(image: &mut Traced, entry: &Entry, pattern: &Regex) {
    let Some(old) = image.text() else { return };
    if !pattern.is_match(old) {
        return;
    }
    let (mut name, mut tag, mut digest) = split(old);
    let has = |text: &String| !text.is_empty();
    if has(&entry.new_name) {
        name.clone_from(&entry.new_name);
    }
    if has(&entry.new_tag) || has(&entry.digest) {
        tag.clone_from(&entry.new_tag);
        digest.clone_from(&entry.digest);
    }
    let new = joined(&name, &tag, &digest);
    for mark in &entry.node.marks {
        let source = deciding_key(entry, mark.source.clone());
        image.marks.push(super::super::traced::Mark {
            act: Act::Image {
                entry: mark.source.clone(),
                name: has(&entry.new_name),
                tag: has(&entry.new_tag),
                digest: has(&entry.digest),
            },
            source,
            says: None,
        });
    }
    if let Some(last) = image.marks.last_mut() {
        last.says = Some(Value::String(new.clone()));
    }
    image.body = Body::Scalar(Value::String(new));
}

/// The key of an entry that says most: its tag, else its digest, else its name.
fn deciding_key(entry: &Entry, source: Source) -> Source {
    if matches!(source, Source::Application(_)) || entry.node.fields().is_none() {
        return source;
    }
    let key = match (&*entry.new_tag, &*entry.digest) {
        ("", "") => "newName",
        ("", _) => "digest",
        _ => "newTag",
    };
    let own = source_of(&entry.node, key);
    own.unwrap_or_else(|| source.child(Step::Key(key.to_owned())))
}
