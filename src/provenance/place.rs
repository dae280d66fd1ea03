//! From a source to a place that a person can open.

use serde_json::Value;

use crate::manifest::{Address, Manifest, Path, Position};
use crate::model::{ApplicationSet, Making};

use super::Subject;
use super::files::Reader;
use super::outcome::Place;
use super::traced::{Source, Spot};
use super::want::value_at;
use super::{application_set, making};

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

    /// Where a field of the subject's source is made.
    pub(super) fn made(&self, field: &str) -> Option<Source> {
        let (source, _) = making::field(self.reader, self.subject, field)?;
        Some(source)
    }

    pub(super) fn of(&self, source: &Source) -> Place {
        match source {
            Source::File(spot) => self.spot(spot),
            Source::Inside { outer, address, at } => self.inside(outer, address, at),
            Source::Application(field) => self.application(field),
            Source::Text { file, at } => self.byte(file, *at),
            Source::Made { inner, .. } => match self.of(inner) {
                Place::File { path, line, column } => Place::ApplicationFile { path, line, column },
                other => other,
            },
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
            let (name, set) = (name.clone(), self.subject.making.and_then(Making::set));
            let expression = set.and_then(|set| expression(set, &field));
            let generator = set.and_then(generator);
            return Place::ApplicationSet {
                name,
                field,
                expression,
                generator,
            };
        }
        Place::Application { field }
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

/// What the template says of a field, or of the nearest thing around it that is text.
fn expression(set: &ApplicationSet, field: &str) -> Option<String> {
    let mut at: Path = field.parse().ok()?;
    loop {
        if let Some(Value::String(text)) = value_at(&set.spec["template"], &at) {
            return Some(text.clone());
        }
        at = at.parent()?;
    }
}

/// The generator in words; of several that are not followed none is meant.
fn generator(set: &ApplicationSet) -> Option<String> {
    let count = set.spec["generators"].as_array().map_or(0, Vec::len);
    let index = match (&set.generator, count) {
        (Some(own), _) => own.index,
        (None, 1) => 0,
        (None, _) => return None,
    };
    Some(application_set::described(set, index))
}
