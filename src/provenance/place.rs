//! From a source to a place that a person can open.

use crate::manifest::{Address, Manifest, Path, Position};
use crate::model::Application;

use super::Subject;
use super::files::{Files, Reader};
use super::outcome::Place;
use super::traced::{Source, Spot};

/// Finds places.
#[derive(Debug)]
pub(super) struct Places<'a> {
    reader: &'a Reader<'a>,
    subject: &'a Subject<'a>,
}

impl<'a> Places<'a> {
    pub(super) const fn new(reader: &'a Reader<'a>, subject: &'a Subject<'a>) -> Self {
        Self { reader, subject }
    }

    pub(super) fn of(&self, source: &Source) -> Place {
        match source {
            Source::File(spot) => self.spot(spot),
            Source::Inside { outer, address, at } => self.inside(outer, address, at),
            Source::Application(field) => self.application(field),
            Source::Text { file, at } => self.byte(file, *at),
        }
    }

    pub(super) fn spot(&self, spot: &Spot) -> Place {
        let manifest = self.reader.manifest(&spot.file);
        let position = manifest.and_then(|manifest| nearest(&manifest, &spot.address, &spot.at));
        let Position { line, column } = position.unwrap_or(Position { line: 1, column: 1 });
        Place::File {
            path: spot.file.to_string(),
            line,
            column,
        }
    }

    fn byte(&self, file: &str, at: usize) -> Place {
        let manifest = self.reader.manifest(file);
        let before = manifest
            .as_ref()
            .and_then(|manifest| manifest.text().get(..at))
            .unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        Place::File {
            path: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
        }
    }

    /// A place in a literal block has a line of its own; in any other scalar it is the scalar's.
    fn inside(&self, outer: &Spot, address: &Address, at: &Path) -> Place {
        let whole = self.spot(outer);
        let inner = self.reader.manifest(&outer.file).and_then(|manifest| {
            let text = manifest.value(&outer.address, &outer.at)?;
            let raw = manifest.source_text(&outer.address, &outer.at)?;
            let mut lines = raw.lines();
            if !lines.next()?.starts_with('|') {
                return None;
            }
            let deep = |line: &str| line.len() - line.trim_start_matches(' ').len();
            let full = lines.filter(|line| !line.trim().is_empty());
            let indentation = full.map(deep).min()?;
            let inner = Manifest::parse_lenient(text.as_str()?);
            Some((nearest(&inner, address, at)?, indentation))
        });
        match (whole, inner) {
            (Place::File { path, line, .. }, Some((position, indentation))) => Place::File {
                path,
                line: line + position.line,
                column: indentation + position.column,
            },
            (whole, _) => whole,
        }
    }

    fn application(&self, field: &str) -> Place {
        let field = field.to_owned();
        let Some(application) = self.subject.application else {
            return Place::Application { field };
        };
        let set = application
            .owners
            .iter()
            .find(|(kind, _)| kind == "ApplicationSet");
        if let Some((_, name)) = set {
            let name = name.clone();
            return Place::ApplicationSet { name, field };
        }
        let file = self
            .subject
            .parent
            .and_then(|parent| manifest_of(parent, application, &field));
        match file {
            Some((path, Position { line, column })) => Place::ApplicationFile {
                path,
                line,
                column,
                field,
            },
            None => Place::Application { field },
        }
    }
}

/// The position of a field, or of the nearest thing around it that is there.
fn nearest(manifest: &Manifest, address: &Address, at: &Path) -> Option<Position> {
    let mut at = at.clone();
    loop {
        if let Some(position) = manifest.position(address, &at) {
            return Some(position);
        }
        at = at.parent()?;
    }
}

/// The file that holds the Application's manifest, and where its field stands.
fn manifest_of(
    files: &dyn Files,
    application: &Application,
    field: &str,
) -> Option<(String, Position)> {
    let field: Path = field.parse().ok()?;
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for name in files.list(&folder) {
            let slash = if folder.is_empty() { "" } else { "/" };
            let path = format!("{folder}{slash}{name}");
            if let Some(folder) = path.strip_suffix('/') {
                folders.push(folder.to_owned());
                continue;
            }
            if !path.ends_with(".yaml") && !path.ends_with(".yml") {
                continue;
            }
            let Some(text) = files.text(&path).filter(|t| t.contains(&application.name)) else {
                continue;
            };
            let manifest = Manifest::parse_lenient(&*text);
            let namespace = Some(application.namespace.as_str()).filter(|n| !n.is_empty());
            let found = manifest.find("Application", &application.name, namespace);
            if let [object] = found.as_slice() {
                let position = nearest(&manifest, &object.address, &field)?;
                return Some((path, position));
            }
        }
    }
    None
}
