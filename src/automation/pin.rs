//! The edits that stop a tool, and the way back.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::json;
use super::seen::span_of;
use crate::manifest::{Edit, Manifest, Path};

/// What is put before a marker so that Flux passes it over.
const HELD: &str = "held by unship: ";

/// An edit that stops a tool.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Flux's marker is taken out of force: a comment that is no JSON is none to kyaml's setters
    /// (`fieldmeta`, kyaml 0.13 to 0.20: what does not unmarshal is passed over).
    Marker {
        /// The policy as the marker names it: `NAMESPACE:NAME` or `NAMESPACE:NAME:tag`.
        policy: String,
        /// Kind and name of the object whose markers are meant; else those of the whole file.
        object: Option<(String, String)>,
    },
    /// A field of an object gets a value.
    Field {
        /// The object's kind.
        kind: String,
        /// Its name.
        name: String,
        /// The field.
        path: Path,
        /// The value.
        value: Value,
    },
    /// A JSON file gets a package rule of Renovate.
    Rule {
        /// The rule.
        rule: Value,
    },
}

/// The text with the edit in it; `None` where it is so already.
///
/// # Errors
/// Why the edit cannot be made without touching anything else.
pub fn pinned(text: &str, change: &Change) -> Result<Option<String>, String> {
    let after = match change {
        Change::Marker { policy, object } => {
            let own = own_part(text, object.as_ref());
            let after = replace_markers(text, &own, |marker, prefix| {
                (prefix.is_empty() && marker.policy == *policy).then(|| HELD.to_owned())
            });
            same_values(text, &after)?;
            after
        }
        Change::Field {
            kind,
            name,
            path,
            value,
        } => {
            let manifest = Manifest::parse(text).map_err(|error| error.to_string())?;
            let objects = manifest.find(kind, name, None);
            let [object] = objects.as_slice() else {
                return Err(format!("{} objects are {kind}/{name}", objects.len()));
            };
            let edit = Edit::Set {
                path: path.clone(),
                value: value.clone(),
            };
            let edited = manifest.edit(&object.address, &[edit]);
            edited.map_err(|error| error.to_string())?.text
        }
        Change::Rule { rule } => return json::with_rule(text, rule),
    };
    Ok((after != text).then_some(after))
}

/// Today's text with the markers in force again that a commit took out of it; `None` where
/// there are none any more.
///
/// # Errors
/// When that would change a value.
pub fn marked_again(
    (before, after, head): (&str, &str, &str),
    object: Option<(String, String)>,
) -> Result<Option<String>, String> {
    let held = |text: &str| -> BTreeSet<String> {
        let own = own_part(text, object.as_ref());
        let markers = markers(text, &own).into_iter();
        let held = markers.filter(|marker| marker.held);
        held.map(|marker| marker.policy).collect()
    };
    let (known, made) = (held(before), held(after));
    let own = own_part(head, object.as_ref());
    let text = replace_markers(head, &own, |marker, prefix| {
        let ours = made.contains(&marker.policy) && !known.contains(&marker.policy);
        (prefix == HELD && ours).then(String::new)
    });
    same_values(head, &text)?;
    Ok((text != head).then_some(text))
}

/// Today's text without the package rule that a commit put in; `None` where it is gone.
///
/// # Errors
/// When a text is no JSON, or the rule cannot be taken out alone.
pub fn ruled_again((before, after, head): (&str, &str, &str)) -> Result<Option<String>, String> {
    let rules = |text: &str| -> Result<Option<Vec<Value>>, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        Ok(value["packageRules"].as_array().cloned())
    };
    let (known, made) = (rules(before)?, rules(after)?.unwrap_or_default());
    let old = known.as_deref().unwrap_or_default();
    let mut text = head.to_owned();
    for rule in made.iter().filter(|rule| !old.contains(rule)) {
        if let Some(without) = json::without_rule(&text, rule, known.is_none())? {
            text = without;
        }
    }
    Ok((text != head).then_some(text))
}

/// A comment is no value: whatever the edit touched besides is refused.
fn same_values(before: &str, after: &str) -> Result<(), String> {
    let read = |text: &str| {
        let manifest = Manifest::parse(text).map_err(|error| error.to_string())?;
        let objects = manifest.objects().into_iter();
        let values = objects.map(|object| manifest.value(&object.address, &Path::default()));
        Ok::<_, String>((manifest.documents().len(), values.collect::<Vec<_>>()))
    };
    if read(before)? == read(after)? {
        return Ok(());
    }
    Err("the marker stands inside a value".to_owned())
}

fn own_part(text: &str, object: Option<&(String, String)>) -> Range<usize> {
    match object {
        Some((kind, name)) => span_of(text, kind, name).unwrap_or(0..0),
        None => 0..text.len(),
    }
}

/// One of Flux's markers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Marker {
    /// What it names: `NAMESPACE:NAME`, and `:tag`, `:name` or `:digest` behind it.
    pub(super) policy: String,
    /// Whether it was taken out of force.
    pub(super) held: bool,
    /// Its line, from 1.
    pub(super) line: usize,
    /// The scalar on the same line before it, without its quotes; empty where there is none.
    pub(super) value: String,
}

/// A marker as Flux's guide writes it: a comment with a JSON object of one key.
static MARKER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r##"#[ \t]*(held by unship: )?(\{[ \t]*"\$imagepolicy"[ \t]*:[ \t]*"([^"]+)"[ \t]*\})"##,
    )
    .ok()
});

/// The markers in a part of a text.
pub(super) fn markers(text: &str, own: &Range<usize>) -> Vec<Marker> {
    let Some(pattern) = &*MARKER else {
        return Vec::new();
    };
    let found = pattern.captures_iter(text).filter_map(|found| {
        let all = found.get(0)?;
        let before = text.get(..all.start())?;
        own.contains(&all.start()).then(|| Marker {
            policy: found.get(3).map_or("", |m| m.as_str()).to_owned(),
            held: found.get(1).is_some(),
            line: before.matches('\n').count() + 1,
            value: scalar(before.rsplit('\n').next().unwrap_or_default()),
        })
    });
    found.collect()
}

/// The scalar of a line: behind the key, or behind the dash.
fn scalar(line: &str) -> String {
    let line = line.trim().trim_start_matches("- ");
    let value = line.split_once(": ").map_or(line, |(_, value)| value);
    value.trim().trim_matches(['"', '\'']).to_owned()
}

/// The text with another prefix at some markers.
fn replace_markers(
    text: &str,
    own: &Range<usize>,
    prefix: impl Fn(&Marker, &str) -> Option<String>,
) -> String {
    let Some(pattern) = &*MARKER else {
        return text.to_owned();
    };
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for found in pattern.captures_iter(text) {
        let Some(json) = found.get(2).filter(|json| own.contains(&json.start())) else {
            continue;
        };
        let now = found.get(1);
        let marker = Marker {
            policy: found.get(3).map_or("", |m| m.as_str()).to_owned(),
            held: now.is_some(),
            line: 0,
            value: String::new(),
        };
        let Some(new) = prefix(&marker, now.map_or("", |m| m.as_str())) else {
            continue;
        };
        let start = now.map_or(json.start(), |m| m.start());
        out.push_str(text.get(done..start).unwrap_or_default());
        out.push_str(&new);
        done = json.start();
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}
