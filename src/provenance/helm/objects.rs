//! From a rendered text to objects, every field with the values that print it.

use std::rc::Rc;

use serde_json::Value;

use crate::manifest::{Address, Manifest, Path, Step};

use super::super::traced::{Act, Body, Mark, Source, Traced};
use super::eval::PLACEHOLDER;
use super::rope::{Origin, Rope};

/// The objects in a rendered template.
pub(super) fn read(rope: &Rope) -> Result<Vec<Traced>, String> {
    let text = rope.text();
    let manifest = Manifest::parse_lenient(text);
    if let Some(error) = manifest.documents().iter().find_map(|d| d.error()) {
        return Err(match rope.unknown() {
            Some(why) => why.to_string(),
            None => format!("what it renders is no YAML: {error}"),
        });
    }
    let objects = manifest.objects();
    let objects = objects.iter().filter_map(|object| {
        let value = manifest.value(&object.address, &Path::default())?;
        let reading = Reading {
            manifest: &manifest,
            rope,
            address: object.address,
        };
        Some(reading.node(&value, &Path::default()))
    });
    Ok(objects.collect())
}

struct Reading<'a> {
    manifest: &'a Manifest,
    rope: &'a Rope,
    address: Address,
}

impl Reading<'_> {
    fn node(&self, value: &Value, at: &Path) -> Traced {
        let body = match value {
            Value::Object(fields) => Body::Map(
                fields
                    .iter()
                    .map(|(key, value)| (key.clone(), self.node(value, &at.key(key))))
                    .collect(),
            ),
            Value::Array(items) => Body::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(place, item)| self.node(item, &at.child(Step::Index(place))))
                    .collect(),
            ),
            scalar => return self.scalar(scalar, at),
        };
        let span = self.manifest.span(&self.address, at);
        let first = span.map(|span| self.rope.cut(span.start, span.end));
        let marks = first.iter().flat_map(|rope| rope.0.first());
        Traced {
            body,
            marks: marks
                .flat_map(|part| marks_of(&part.origin, (0, 0)))
                .collect(),
        }
    }

    fn scalar(&self, value: &Value, at: &Path) -> Traced {
        let span = self.manifest.span(&self.address, at);
        let rope = match &span {
            Some(span) => self.rope.cut(span.start, span.end),
            None => Rope::default(),
        };
        if let Some(digest) = rope.digest() {
            return Traced::bare(Body::Digest(digest.clone()));
        }
        if let Some(why) = rope.unknown() {
            return Traced::bare(Body::Unknown(why.to_string()));
        }
        let raw = rope.text();
        let quoted = raw.len() >= 2 && raw.starts_with(['"', '\'']);
        let inner = match quoted {
            true => rope.cut(1, raw.len() - 1),
            false => rope.clone(),
        };
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Null => raw.clone(),
            other => other.to_string(),
        };
        let plain = inner.text() == text;
        let mut marks = Vec::new();
        let mut from = 0;
        for part in &inner.0 {
            let to = from + part.text.len();
            marks.extend(marks_of(&part.origin, (from, to)));
            from = to;
        }
        if !plain {
            // The text is written otherwise than it reads, so no part of it is known by place.
            for mark in &mut marks {
                mark.says = None;
                if let Act::Value { from, to, .. } = &mut mark.act {
                    (*from, *to) = (0, text.len());
                }
            }
        }
        let template = |mark: &Mark| matches!(mark.source, Source::Text { .. });
        marks.sort_by_key(|mark| match (&mark.act, template(mark)) {
            (Act::Skipped { .. }, _) => 0,
            (Act::Written, true) => 1,
            (_, true) => 2,
            _ => 3,
        });
        if marks.iter().all(|mark| matches!(mark.act, Act::Written))
            && let Some(mark) = marks.last_mut()
        {
            mark.says = Some(value.clone());
        }
        let body = match value
            .as_str()
            .is_some_and(|text| text.contains(PLACEHOLDER))
        {
            true => Body::Unknown("it is computed from something unknown".to_owned()),
            false => Body::Scalar(value.clone()),
        };
        Traced { body, marks }
    }
}

fn marks_of(origin: &Origin, (from, to): (usize, usize)) -> Vec<Mark> {
    let text = |file: &Rc<str>, at: usize| Source::Text {
        file: file.clone(),
        at,
    };
    match origin {
        Origin::Template { file, at } => vec![Mark {
            source: text(file, *at),
            act: Act::Written,
            says: None,
        }],
        Origin::Computed {
            expression,
            file,
            at,
        } => vec![Mark {
            source: text(file, *at),
            act: Act::Value {
                expression: expression.to_string(),
                from,
                to,
            },
            says: None,
        }],
        Origin::Leaf {
            expression,
            marks,
            skipped,
        } => {
            let skipped = skipped.iter().map(|mark| Mark {
                act: Act::Skipped {
                    expression: expression.to_string(),
                    from,
                    to,
                },
                ..mark.clone()
            });
            let own = marks.iter().map(|mark| Mark {
                act: Act::Value {
                    expression: expression.to_string(),
                    from,
                    to,
                },
                ..mark.clone()
            });
            skipped.chain(own).collect()
        }
        Origin::Unknown { .. } | Origin::Digest(_) => Vec::new(),
    }
}
