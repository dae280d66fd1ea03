//! Hiding values that may be secrets, before a text is shown.
//!
//! Hidden are: `value` of every `env` item, everything below `data` and `stringData` of a Secret,
//! and the last-applied annotation, which repeats all of these. Line breaks stay, so that line
//! numbers do too.

use std::collections::HashMap;

use super::document::Manifest;
use super::text::{ending_length, indentation, lines};
use super::tree::{Kind, NodeId, Tree};

/// What stands for a hidden value.
const STARS: &str = "***";
/// kubectl's copy of the object, values included.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// One hidden value.
struct Hidden {
    start: usize,
    end: usize,
    /// Where it is, for finding its twin in the other text.
    place: String,
}

/// Both texts with hidden values. A value that differs between them is marked on either side, so
/// that a diff still shows the change.
pub(super) fn mask_pair(old: &str, new: &str) -> (String, String) {
    let (left, right) = (hidden(old), hidden(new));
    let raw = |text: &str, values: &[Hidden]| -> HashMap<String, String> {
        let pair = |value: &Hidden| (value.place.clone(), text[value.start..value.end].to_owned());
        values.iter().map(pair).collect()
    };
    let (lefts, rights) = (raw(old, &left), raw(new, &right));
    let differs = |value: &Hidden| {
        let both = (lefts.get(&value.place), rights.get(&value.place));
        matches!(both, (Some(left), Some(right)) if left != right)
    };
    let stars = |mark: &str, value: &Hidden| {
        if differs(value) {
            format!("{STARS} ({mark})")
        } else {
            STARS.to_owned()
        }
    };
    (
        covered(old, &left, |value| stars("old", value)),
        covered(new, &right, |value| stars("new", value)),
    )
}

/// One text with hidden values.
#[must_use]
pub fn mask_values(text: &str) -> String {
    covered(text, &hidden(text), |_| STARS.to_owned())
}

fn covered(text: &str, values: &[Hidden], stars: impl Fn(&Hidden) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for value in values {
        let Some(before) = text.get(at..value.start) else {
            continue;
        };
        out.push_str(before);
        for (place, line) in lines(&text[value.start..value.end]).enumerate() {
            let bare = &line[..line.len() - ending_length(line)];
            if place == 0 && bare.starts_with(['|', '>']) {
                out.push_str(bare);
            } else if !bare.trim().is_empty() {
                let indent = if place == 0 { 0 } else { indentation(bare) };
                out.push_str(&bare[..indent]);
                out.push_str(&stars(value));
            }
            out.push_str(&line[bare.len()..]);
        }
        at = value.end;
    }
    out.push_str(&text[at..]);
    out
}

fn hidden(text: &str) -> Vec<Hidden> {
    let manifest = Manifest::parse_lenient(text);
    let mut found = Vec::new();
    for (place, document) in manifest.documents().iter().enumerate() {
        let span = document.span();
        match manifest.read(document) {
            Ok(tree) => {
                let mut search = Search {
                    tree,
                    base: span.start,
                    found: &mut found,
                };
                search.node(tree.root, &format!("{place}"), Around::default());
            }
            Err(_) => hide_unread(text, span, &mut found),
        }
    }
    found.sort_by_key(|value| (value.start, std::cmp::Reverse(value.end)));
    found
}

/// A document that cannot be read may hold anything: whatever stands behind a `:` is hidden.
fn hide_unread(text: &str, span: std::ops::Range<usize>, found: &mut Vec<Hidden>) {
    let mut at = span.start;
    for line in lines(&text[span]) {
        let bare = &line[..line.len() - ending_length(line)];
        let from = match bare.find(": ") {
            Some(colon) => colon + 2,
            None if bare.trim_end().ends_with(':') || bare.starts_with("---") => bare.len(),
            None => indentation(bare),
        };
        if from < bare.len() {
            let place = format!("?{at}");
            found.push(Hidden {
                start: at + from,
                end: at + bare.len(),
                place,
            });
        }
        at += line.len();
    }
}

/// What the collections around a node tell about it.
#[derive(Clone, Copy, Default)]
struct Around {
    /// Below an `env` key.
    in_env: Env,
    /// The root of a Secret, or below its data.
    secret: Secret,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Env {
    #[default]
    No,
    /// The value of `env` itself: a list in Kubernetes, often a plain map in Helm values.
    Value,
    Item,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Secret {
    #[default]
    No,
    Object,
    Data,
}

struct Search<'t, 'f> {
    tree: &'t Tree,
    base: usize,
    found: &'f mut Vec<Hidden>,
}

impl Search<'_, '_> {
    fn node(&mut self, id: NodeId, place: &str, around: Around) {
        let node = self.tree.node(id);
        match &node.kind {
            Kind::Scalar(scalar) => {
                if around.secret == Secret::Data && !scalar.absent {
                    self.hide(id, place);
                }
            }
            Kind::Alias(_) => {}
            Kind::Seq { items, .. } => {
                for (at, item) in items.iter().enumerate() {
                    let name = self.tree.field_text(self.tree.follow(item.node), "name");
                    let name = name.unwrap_or_else(|| at.to_string());
                    let in_env = if around.in_env == Env::Value {
                        Env::Item
                    } else {
                        Env::No
                    };
                    let around = Around { in_env, ..around };
                    self.node(item.node, &format!("{place}/{name}"), around);
                }
            }
            Kind::Map { entries, .. } => {
                let kind = self.tree.field_text(id, "kind");
                let is_secret = kind.as_deref() == Some("Secret");
                for entry in entries {
                    let name = &*entry.name;
                    let place = format!("{place}/{name}");
                    let hides = match around.in_env {
                        Env::Item => name == "value",
                        Env::Value => !self.tree.node(entry.value).is_block_collection(),
                        Env::No => false,
                    };
                    if hides || name == LAST_APPLIED {
                        self.hide(entry.value, &place);
                        continue;
                    }
                    let secret = match around.secret {
                        Secret::Data => Secret::Data,
                        _ if is_secret && matches!(name, "data" | "stringData") => Secret::Data,
                        _ if is_secret => Secret::Object,
                        kept => kept,
                    };
                    let in_env = if name == "env" { Env::Value } else { Env::No };
                    let inner = Around { in_env, secret };
                    self.node(entry.value, &place, inner);
                }
            }
        }
    }

    fn hide(&mut self, id: NodeId, place: &str) {
        let node = self.tree.node(id);
        let (start, end) = (self.base + node.start, self.base + node.end);
        if start < end {
            self.found.push(Hidden {
                start,
                end,
                place: place.to_owned(),
            });
        }
    }
}
