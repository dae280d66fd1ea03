//! Which document of one text is which of the others.

use std::collections::HashMap;

use serde_json::Value;

use super::identity::object_name;
use crate::manifest::document::{Document, Manifest};
use crate::manifest::tree::Tree;

/// A document with its tree and what it is called.
pub(super) struct Doc<'m> {
    pub(super) text: &'m str,
    pub(super) tree: &'m Tree,
    pub(super) value: Value,
    pub(super) is_empty: bool,
    /// Kind, namespace and name; empty for what is no object.
    name: Option<String>,
    pub(super) line: usize,
}

/// One document by its places in the good, the bad and today's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Match {
    pub(super) good: Option<usize>,
    pub(super) bad: Option<usize>,
    pub(super) head: Option<usize>,
}

/// The documents of a text; every one of them can be read.
pub(super) fn docs(manifest: &Manifest) -> Option<Vec<Doc<'_>>> {
    let documents = manifest.documents().iter();
    documents.map(|document| doc(manifest, document)).collect()
}

fn doc<'m>(manifest: &'m Manifest, document: &'m Document) -> Option<Doc<'m>> {
    let tree = manifest.read(document).ok()?;
    let value = tree.value(tree.root);
    let is_object = value.get("kind").is_some_and(Value::is_string);
    Some(Doc {
        text: &manifest.text()[document.span()],
        name: is_object.then(|| object_name(&value)),
        tree,
        is_empty: document.is_empty(),
        value,
        line: document.line(),
    })
}

/// The names of a text's documents, each once: a second one of a name says its `apiVersion` too,
/// then its number among them. What is no object is told by its number.
fn names(docs: &[Doc<'_>]) -> Vec<Option<String>> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut count = HashMap::new();
    for doc in docs {
        *count.entry(doc.name.clone()).or_insert(0_usize) += 1;
    }
    docs.iter()
        .map(|doc| {
            if doc.is_empty {
                return None;
            }
            let mut name = doc.name.clone().unwrap_or_default();
            if doc.name.is_some() && count.get(&doc.name).is_some_and(|count| *count > 1) {
                let version = doc.value.get("apiVersion").and_then(Value::as_str);
                name = format!("{name}\u{0}{}", version.unwrap_or_default());
            }
            let number = seen.entry(name.clone()).or_insert(0);
            *number += 1;
            Some(format!("{name}\u{0}{number}"))
        })
        .collect()
}

/// The documents of today's text in their order with their twins, then those that only the good
/// text has, then those that head has not. `Err` where documents that are no objects cannot be
/// told apart.
pub(super) fn matches(
    good: &[Doc<'_>],
    bad: &[Doc<'_>],
    head: &[Doc<'_>],
) -> Result<Vec<Match>, String> {
    let unnamed = |docs: &[Doc<'_>]| {
        let unnamed = docs
            .iter()
            .filter(|doc| doc.name.is_none() && !doc.is_empty);
        unnamed.count()
    };
    let counts = [unnamed(good), unnamed(bad), unnamed(head)];
    if counts.iter().any(|count| *count > 1) && counts.iter().any(|count| *count != counts[0]) {
        return Err(format!(
            "documents without a kind came or went ({} in the good text, {} in the bad one, {} \
             today), and nothing tells them apart",
            counts[0], counts[1], counts[2]
        ));
    }
    let all = [names(good), names(bad), names(head)];
    let mut found: Vec<Match> = (0..bad.len())
        .filter(|at| all[1][*at].is_some())
        .map(|bad| Match {
            bad: Some(bad),
            ..Match::default()
        })
        .collect();
    join(&mut found, &all, 0, (good, bad, head));
    join(&mut found, &all, 2, (good, bad, head));
    Ok(found)
}

type Texts<'t, 'm> = (&'t [Doc<'m>], &'t [Doc<'m>], &'t [Doc<'m>]);

/// Adds one side's documents to the matches: by name, then the only one of its kind that is left.
fn join(
    found: &mut Vec<Match>,
    names: &[Vec<Option<String>>; 3],
    side: usize,
    texts: Texts<'_, '_>,
) {
    let docs = |side: usize| [texts.0, texts.1, texts.2][side];
    let kind = |side: usize, at: usize| docs(side)[at].value.get("kind").cloned();
    let place = |found: &Match, side: usize| [found.good, found.bad, found.head][side];
    let set = |found: &mut Match, at: usize| match side {
        0 => found.good = Some(at),
        _ => found.head = Some(at),
    };
    let own = &names[side];
    let mut rest: Vec<usize> = Vec::new();
    for at in (0..own.len()).filter(|at| own[*at].is_some()) {
        let same_name = |found: &&mut Match| {
            let named = |other: usize| {
                place(found, other).is_some_and(|place| names[other][place] == own[at])
            };
            place(found, side).is_none() && (named(1) || (side == 2 && named(0)))
        };
        match found.iter_mut().find(same_name) {
            Some(found) => set(found, at),
            None => rest.push(at),
        }
    }
    for at in rest.clone() {
        let kind_of = |found: &Match| {
            let other = if found.bad.is_some() { 1 } else { 0 };
            place(found, other).and_then(|place| kind(other, place))
        };
        let wanted = kind(side, at);
        let alone = rest.iter().filter(|at| kind(side, **at) == wanted).count() == 1;
        let twin = |found: &Match| match (found.bad, found.good) {
            (Some(place), _) => alike(&docs(1)[place], &docs(side)[at]),
            (None, Some(place)) => alike(&docs(0)[place], &docs(side)[at]),
            (None, None) => false,
        };
        let mut open: Vec<&mut Match> = found
            .iter_mut()
            .filter(|found| place(found, side).is_none() && kind_of(found) == wanted)
            .filter(|found| twin(found))
            .collect();
        // A document under another name is the same one only where it is the only candidate of
        // its kind and most of its lines are the same.
        match (alone, open.as_mut_slice()) {
            (true, [one]) => set(one, at),
            _ => {
                let mut new = Match::default();
                set(&mut new, at);
                found.push(new);
            }
        }
    }
}

/// True where more than half of the lines of both are the same.
fn alike(left: &Doc<'_>, right: &Doc<'_>) -> bool {
    let mut lines: HashMap<&str, usize> = HashMap::new();
    for line in left.text.lines() {
        *lines.entry(line.trim()).or_default() += 1;
    }
    let mut shared = 0;
    for line in right.text.lines() {
        if let Some(count) = lines.get_mut(line.trim()).filter(|count| **count > 0) {
            *count -= 1;
            shared += 2;
        }
    }
    let all = left.text.lines().count() + right.text.lines().count();
    shared * 2 > all
}
