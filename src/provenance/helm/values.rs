//! The values of a chart: its own, then files, then what the Application says, in helm's order.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use crate::manifest::{Address, Manifest, Path};
use crate::model::Blocker;

use super::super::Subject;
use super::super::files::{Reader, join, root_of};
use super::super::place::Places;
use super::super::source;
use super::super::traced::{Act, Body, Mark, Source, Traced};

/// What the release is rendered with, besides the chart's own values.
pub(in super::super) struct Given<'a> {
    pub(in super::super) reader: &'a Reader<'a>,
    pub(in super::super) places: &'a Places<'a>,
    pub(in super::super) subject: &'a Subject<'a>,
    /// The source's `helm` section.
    pub(in super::super) section: Option<&'a Traced>,
}

pub(super) fn empty() -> Traced {
    Traced {
        body: Body::Map(BTreeMap::new()),
        marks: Vec::new(),
    }
}

/// A map from a file; an empty one where the file is empty.
pub(super) fn file(reader: &Reader<'_>, path: &str) -> Result<Option<Traced>, Blocker> {
    let Some(manifest) = reader.manifest(path) else {
        return Ok(None);
    };
    if let Some(error) = manifest.documents().iter().find_map(|d| d.error()) {
        return Err(broken(path, error));
    }
    let name: Rc<str> = Rc::from(path);
    let root = Traced::of_file(&manifest, &name, Address::document(0), &Act::Written);
    match root {
        Some(root) if root.fields().is_some() => Ok(Some(root)),
        Some(root) if root.is_null() => Ok(Some(empty())),
        None => Ok(Some(empty())),
        Some(_) => Err(broken(path, "it is no map")),
    }
}

pub(super) fn broken(place: impl std::fmt::Display, why: impl std::fmt::Display) -> Blocker {
    Blocker::new(
        "helm-build",
        format!("{place}: {why}; helm cannot render this either"),
        "repair the chart or its values first",
    )
}

/// One layer over another as helm merges values files: maps by key, everything else replaced. A
/// null stays, to take the chart's own default away later.
fn layer(into: &mut Traced, over: &Traced) {
    let (true, Some(fields)) = (into.fields().is_some(), over.fields()) else {
        let mut marks: Vec<Mark> = std::mem::take(&mut into.marks);
        marks.extend(over.marks.iter().cloned());
        into.marks = marks;
        into.body = over.body.clone();
        return;
    };
    into.marks.extend(over.marks.iter().cloned());
    let Some(own) = into.fields_mut() else { return };
    for (key, value) in fields {
        match own.get_mut(key) {
            Some(there) => layer(there, value),
            None => {
                own.insert(key.clone(), value.clone());
            }
        }
    }
}

impl Given<'_> {
    fn full(&self, key: &str) -> Option<&Traced> {
        let node = self.section?.key(key)?;
        (!node.is_null() && node.text() != Some("")).then_some(node)
    }

    fn place(&self, node: &Traced) -> String {
        let mark = node.deciding();
        mark.map(|mark| self.places.of(&mark.source).to_string())
            .unwrap_or_default()
    }

    /// What is given to helm by Argo CD 3.2, in helm's order: value files, `valuesObject` or
    /// `values`, then `--set`, `--set-string`, `--set-file`.
    pub(super) fn values(&self) -> Result<Traced, Blocker> {
        let mut all = empty();
        for node in self.full("valueFiles").into_iter().flat_map(Traced::items) {
            if let Some(values) = self.value_file(node)? {
                layer(&mut all, &values);
            }
        }
        if let Some(object) = self.full("valuesObject") {
            layer(&mut all, object);
        } else if let Some(text) = self.full("values") {
            layer(&mut all, &self.inline(text)?);
        }
        let parameters = || self.full("parameters").into_iter().flat_map(Traced::items);
        let forced = |node: &&Traced| {
            let flag = node.key("forceString").and_then(Traced::word);
            flag.as_deref() == Some("true")
        };
        for node in parameters().filter(|node| !forced(node)) {
            self.parameter(&mut all, node, false)?;
        }
        for node in parameters().filter(forced) {
            self.parameter(&mut all, node, true)?;
        }
        for node in self
            .full("fileParameters")
            .into_iter()
            .flat_map(Traced::items)
        {
            let name = node.text_at(&["name"]).unwrap_or_default();
            let path = node.text_at(&["path"]).unwrap_or_default();
            let (body, marks) = self.content(node, path);
            set(&mut all, name, body, &marks).map_err(|why| broken(self.place(node), why))?;
        }
        Ok(all)
    }

    /// Where a value file is; `None` where it is among none of the repositories' files.
    pub(in super::super) fn path(&self, raw: &str) -> Option<String> {
        match raw.strip_prefix('$') {
            Some(rest) => {
                let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
                join(self.reference(name)?, path)
            }
            None if raw.contains("://") || raw.contains('$') => None,
            None if raw.starts_with('/') => join(root_of(self.subject.folder), raw),
            None => join(self.subject.folder, raw),
        }
    }

    /// The text of a file that a parameter is set to: the file as a whole is its place.
    fn content(&self, node: &Traced, raw: &str) -> (Body, Vec<Mark>) {
        let read = self.path(raw).and_then(|path| {
            let manifest = self.reader.manifest(&path)?;
            Some((path, manifest.text().to_owned()))
        });
        let Some((path, text)) = read else {
            let why = format!("the file {raw} of {}, which is not here", self.place(node));
            return (Body::Unknown(why), node.marks.clone());
        };
        let file = Mark {
            source: Source::Text {
                file: Rc::from(path),
                at: 0,
            },
            act: Act::Written,
            says: None,
        };
        (Body::Scalar(Value::String(text)), vec![file])
    }

    fn value_file(&self, node: &Traced) -> Result<Option<Traced>, Blocker> {
        let raw = node.text().unwrap_or_default();
        let (name, rest) = match raw.strip_prefix('$') {
            Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
            None => ("", raw),
        };
        let is_elsewhere = match name {
            "" => raw.contains("://") || raw.contains('$'),
            name => self.reference(name).is_none(),
        };
        if is_elsewhere {
            return Err(self.elsewhere(node, name, rest));
        }
        let path = self.path(raw);
        let read = match &path {
            Some(path) => file(self.reader, path)?,
            None => None,
        };
        let lenient = self
            .section
            .and_then(|section| section.key("ignoreMissingValueFiles"))
            .and_then(Traced::word);
        match read {
            Some(values) => Ok(Some(values)),
            None if lenient.as_deref() == Some("true") => Ok(None),
            None => Err(broken(
                self.place(node),
                format!("there is no file {raw:?}"),
            )),
        }
    }

    /// The root of the files of the source with that `ref`: among the given ones, else this
    /// repository itself where both sources are it, at the same revision.
    fn reference(&self, name: &str) -> Option<&str> {
        if let Some(root) = self.subject.references.and_then(|all| all.get(name)) {
            return Some(root);
        }
        let application = self.subject.application?;
        let own = application.sources.get(self.subject.source)?;
        let other = application.sources.iter().find(|s| s.reference == name)?;
        let same = other.repo_url == own.repo_url && other.target_revision == own.target_revision;
        same.then(|| root_of(self.subject.folder))
    }

    /// A value file that is not among these files: what it says cannot be told.
    fn elsewhere(&self, node: &Traced, name: &str, path: &str) -> Blocker {
        let sources = self.subject.application.map(|app| app.sources.as_slice());
        let source = sources
            .unwrap_or_default()
            .iter()
            .find(|source| !name.is_empty() && source.reference == name);
        let from = match source {
            Some(source) => {
                let url = crate::model::mask_url(&source.repo_url);
                format!("{path} of {url}")
            }
            None => path.to_owned(),
        };
        Blocker::new(
            "value-file-elsewhere",
            format!(
                "{} takes values from {from}, which could not be read here",
                self.place(node)
            ),
            "change the value in that repository",
        )
    }

    fn inline(&self, node: &Traced) -> Result<Traced, Blocker> {
        let text = node.text().unwrap_or_default();
        let manifest = Manifest::parse(text).map_err(|error| broken(self.place(node), error))?;
        let address = Address::document(0);
        let value = manifest.value(&address, &Path::default());
        let (Some(value), Some(mark)) = (value, node.deciding()) else {
            return Ok(empty());
        };
        let inside = mark.source.inside(address);
        let source = inside.as_ref().unwrap_or(&mark.source);
        let mut values = Traced::of(&value, source, &Act::Written);
        if inside.is_none() {
            values.lie_at(&mark.source);
        }
        Ok(values)
    }

    fn parameter(&self, all: &mut Traced, node: &Traced, string: bool) -> Result<(), Blocker> {
        let name = node.text_at(&["name"]).unwrap_or_default();
        let value = node.key("value");
        let text = value.and_then(Traced::word).unwrap_or_default();
        let marks = value.map_or_else(|| node.marks.clone(), |value| value.marks.clone());
        let body = if text.contains('$') || (!string && text.starts_with('{')) {
            Body::Unknown(format!("{} sets {name} to {text:?}", self.place(node)))
        } else if string {
            Body::Scalar(Value::String(text))
        } else {
            Body::Scalar(typed(&text))
        };
        set(all, name, body, &marks).map_err(|why| broken(self.place(node), why))
    }
}

/// As helm's `strvals` types the value of `--set`.
fn typed(text: &str) -> Value {
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" => Value::Null,
        "0" => Value::from(0),
        _ if text.starts_with('0') => Value::String(text.to_owned()),
        _ => match text.parse::<i64>() {
            Ok(number) => Value::from(number),
            Err(_) => Value::String(text.to_owned()),
        },
    }
}

/// Sets `a.b.c`; a list index makes the whole list unknown.
fn set(all: &mut Traced, name: &str, body: Body, marks: &[Mark]) -> Result<(), String> {
    let (mut here, mut keys) = (all, split_name(name).into_iter().peekable());
    while let Some(mut key) = keys.next() {
        let body = match key.find('[') {
            Some(bracket) => {
                key.truncate(bracket);
                Some(Body::Unknown(format!(
                    "the parameter {name} sets an item of it"
                )))
            }
            None if keys.peek().is_none() => Some(body.clone()),
            None => None,
        };
        if here.fields().is_none() {
            here.body = Body::Map(BTreeMap::new());
            here.marks.extend(marks.iter().cloned());
        }
        let fields = here.fields_mut().ok_or("it is no map")?;
        let entry = fields.entry(key).or_insert_with(empty);
        if let Some(body) = body {
            entry.body = body;
            entry.marks.extend(marks.iter().cloned());
            return Ok(());
        }
        here = entry;
    }
    Err("a parameter has no name".to_owned())
}

/// At dots that no backslash escapes.
fn split_name(name: &str) -> Vec<String> {
    let (mut keys, mut key, mut escaped) = (Vec::new(), String::new(), false);
    for c in name.chars() {
        match c {
            '\\' if !escaped => escaped = true,
            '.' if !escaped => keys.push(std::mem::take(&mut key)),
            _ => {
                key.push(c);
                escaped = false;
            }
        }
    }
    keys.push(key);
    keys.retain(|key| !key.is_empty());
    keys
}

/// Given values over a chart's own.
pub(super) fn over(defaults: Traced, given: &Traced) -> Traced {
    let mut all = defaults;
    source::merge(&mut all, given);
    all
}
