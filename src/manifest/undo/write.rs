//! The undo of a whole text: document by document, then read again.

use serde_json::Value;

use super::decide::{Decider, Plan, Three};
use super::documents::{Doc, Match, docs, matches};
use super::explained::explained;
use super::lines;
use super::place::{self, Writer};
use super::segments;
use super::{Field, UndoClass, Undone};
use crate::manifest::document::Manifest;
use crate::manifest::draft::Draft;
use crate::manifest::edit::Edit;
use crate::manifest::error::ParseError;
use crate::manifest::json::same;
use crate::manifest::objects::Address;
use crate::manifest::path::{Path, Step};
use crate::manifest::render::Layout;
use crate::manifest::scalar;
use crate::manifest::split::is_marker;
use crate::manifest::text::{ending_length, lines as lines_of, majority_break};
use crate::manifest::tree::{Kind, Style};

/// Takes back what one change made of `before`, which left `after`, in `head`, and keeps
/// everything that came later.
///
/// Maps are compared by key, lists by what tells their items apart (Kubernetes' merge key, a name
/// that every item has, or themselves where they are scalars, each once); other lists, and texts
/// of several lines, are merged, and left where both sides changed the same place.
#[must_use]
pub fn undo(before: &str, after: &str, head: &str) -> Undone {
    if head == before || before == after {
        return Work::default().outcome(head, head.to_owned());
    }
    let done = structural(before, after, head, &|_| true);
    if head != after {
        return done;
    }
    // Nothing came later: what was before is what it shall be, to the byte, whatever it is.
    Undone {
        class: UndoClass::Undone,
        text: before.to_owned(),
        superseded: Vec::new(),
        left: Vec::new(),
        reason: None,
        ..done
    }
}

/// The same for some documents only: those whose value is chosen, wherever it stands.
#[must_use]
pub fn undo_chosen(
    (before, after, head): (&str, &str, &str),
    chosen: &dyn Fn(&Value) -> bool,
) -> Undone {
    structural(before, after, head, chosen)
}

/// The value of a field of an undo in another text; `None` where there is none.
#[must_use]
pub fn field_value(text: &str, field: &Field) -> Option<Value> {
    let manifest = Manifest::parse(text).ok()?;
    let docs = docs(&manifest)?;
    let at = docs.iter().position(|doc| label(doc) == field.object)?;
    manifest.value(&Address::document(at), &field.path)
}

fn structural(before: &str, after: &str, head: &str, chosen: &dyn Fn(&Value) -> bool) -> Undone {
    let read = |which: &str, text: &str| {
        Manifest::parse(text)
            .map_err(|error: ParseError| format!("the {which} cannot be read: {error}"))
    };
    let manifests = read("good text", before).and_then(|good| {
        Ok((
            good,
            read("text that the bad change left", after)?,
            read("text of today", head)?,
        ))
    });
    let (good, bad, now) = match manifests {
        Ok(manifests) => manifests,
        Err(reason) => return refused(head, reason),
    };
    let start = now.documents().first();
    let start = start.map_or(head.len(), |document| document.span().start);
    let (Some(good), Some(bad), Some(now)) = (docs(&good), docs(&bad), docs(&now)) else {
        return refused(head, "a document cannot be read".to_owned());
    };
    let mut texts = Texts {
        good,
        bad,
        head: now,
        before,
        after,
        text: head,
        start,
        newline: majority_break(head),
        careful: false,
        chosen,
    };
    let mut work = Work::default();
    let first = match work.run(&texts) {
        Ok(text) => return work.outcome(head, text),
        Err(reason) => reason,
    };
    texts.careful = true;
    let mut work = Work::default();
    match work.run(&texts) {
        Ok(text) => work.outcome(head, text),
        Err(_) => refused(head, first),
    }
}

fn refused(head: &str, reason: String) -> Undone {
    Undone {
        class: UndoClass::Refused,
        text: head.to_owned(),
        undone: Vec::new(),
        superseded: Vec::new(),
        left: Vec::new(),
        reason: Some(reason),
    }
}

pub(super) struct Texts<'m> {
    pub(super) good: Vec<Doc<'m>>,
    pub(super) bad: Vec<Doc<'m>>,
    pub(super) head: Vec<Doc<'m>>,
    before: &'m str,
    after: &'m str,
    pub(super) text: &'m str,
    /// Where today's first document begins.
    start: usize,
    newline: &'static str,
    /// Of the second attempt, see [`Writer`].
    careful: bool,
    chosen: &'m dyn Fn(&Value) -> bool,
}

impl Texts<'_> {
    /// Whether a document is one of those that are asked for, in any of the three texts.
    fn is_chosen(&self, twins: Match) -> bool {
        let sides = [
            twins.good.map(|at| &self.good[at]),
            twins.bad.map(|at| &self.bad[at]),
            twins.head.map(|at| &self.head[at]),
        ];
        let mut there = sides.into_iter().flatten();
        there.any(|doc| (self.chosen)(&doc.value))
    }
}

/// A document of the result.
struct Written {
    good: Option<usize>,
    text: String,
    value: Value,
    /// Fields that are set by an edit of their own.
    sets: Vec<(Path, Value)>,
}

#[derive(Default)]
struct Work {
    undone: Vec<Field>,
    superseded: Vec<Field>,
    left: Vec<String>,
}

impl Work {
    fn outcome(self, head: &str, text: String) -> Undone {
        let class = match (
            text == head,
            self.superseded.is_empty() && self.left.is_empty(),
        ) {
            (true, _) => UndoClass::NothingLeft,
            (false, true) => UndoClass::Undone,
            (false, false) => UndoClass::Partly,
        };
        Undone {
            class,
            text,
            undone: self.undone,
            superseded: self.superseded,
            left: self.left,
            reason: None,
        }
    }

    fn run(&mut self, texts: &Texts<'_>) -> Result<String, String> {
        let found = matches(&texts.good, &texts.bad, &texts.head)?;
        let mut written = Vec::new();
        for (place, doc) in texts.head.iter().enumerate() {
            let twins = found.iter().find(|found| found.head == Some(place));
            let twins = twins.copied().unwrap_or(Match {
                head: Some(place),
                ..Match::default()
            });
            written.extend(self.present(texts, twins, doc)?);
        }
        let absent = found.iter().filter(|found| found.head.is_none());
        for twins in absent.filter(|twins| texts.is_chosen(**twins)) {
            self.absent(texts, *twins, &mut written);
        }
        let text = assembled(texts, &written);
        let (text, is_spread) = with_sets(text, &written)?;
        let text = as_json(texts.text, text);
        let sides = (texts.before, texts.after, texts.text);
        if !is_spread || lines::keeps(sides, &text) {
            check(texts, &text, &written)?;
            return Ok(text);
        }
        // An edit in brackets over several lines wrote lines anew that nobody had asked for.
        let merged = super::merge_text(texts.after, texts.text, texts.before);
        match merged.map(|merged| check(texts, &merged, &written).map(|()| merged)) {
            Ok(Ok(merged)) => Ok(merged),
            _ => Err(
                "what would be undone is written in brackets over several lines, and cannot be \
                 taken out without writing other lines anew"
                    .to_owned(),
            ),
        }
    }

    /// A document that head has.
    fn present(
        &mut self,
        texts: &Texts<'_>,
        twins: Match,
        doc: &Doc<'_>,
    ) -> Result<Option<Written>, String> {
        let kept = |good| Written {
            good,
            text: doc.text.to_owned(),
            value: doc.value.clone(),
            sets: Vec::new(),
        };
        if !texts.is_chosen(twins) {
            return Ok(Some(kept(twins.good)));
        }
        let good = twins.good.map(|at| &texts.good[at]);
        let bad = twins.bad.map(|at| &texts.bad[at]);
        match (good, bad) {
            (Some(good), Some(bad)) => self.both(texts, (twins.good, good), bad, doc).map(Some),
            (None, Some(bad)) if same(&bad.value, &doc.value) => {
                if loses_comment(bad.text, doc.text) {
                    self.superseded
                        .push(field(doc, Some(&bad.value), Some(&doc.value)));
                    return Ok(Some(kept(None)));
                }
                self.undone.push(field(doc, Some(&doc.value), None));
                Ok(None)
            }
            (None, Some(bad)) => {
                self.superseded
                    .push(field(doc, Some(&bad.value), Some(&doc.value)));
                Ok(Some(kept(None)))
            }
            (Some(good), None) => {
                if !same(&good.value, &doc.value) {
                    self.superseded.push(field(doc, None, Some(&doc.value)));
                }
                Ok(Some(kept(twins.good)))
            }
            (None, None) => Ok(Some(kept(None))),
        }
    }

    /// A document that all three have.
    fn both(
        &mut self,
        texts: &Texts<'_>,
        (place, good): (Option<usize>, &Doc<'_>),
        bad: &Doc<'_>,
        head: &Doc<'_>,
    ) -> Result<Written, String> {
        let draft = |doc: &'_ Doc<'_>| Layout::of(doc.text, doc.tree);
        let good_draft = Draft::new(good.text, good.tree, draft(good));
        let bad_draft = Draft::new(bad.text, bad.tree, draft(bad));
        let head_draft = Draft::new(head.text, head.tree, draft(head));
        let three = Three {
            good: &good_draft,
            bad: &bad_draft,
            head: &head_draft,
        };
        let roots = (
            segments::root(&good_draft),
            segments::root(&bad_draft),
            segments::root(&head_draft),
        );
        let mut decider = Decider::new(three);
        let plan = decider.node(&Path::default(), (&roots.0, &roots.1, &roots.2));
        let mut writer = Writer {
            texts: three,
            newline: texts.newline,
            left_comment: false,
            careful: texts.careful,
        };
        let text = writer
            .document(&plan, (&roots.0, &roots.1, &roots.2))
            .ok_or_else(|| unfit(head))?;
        let value = place::value(&three, &plan, Some(&good.value), Some(&head.value));
        let name = label(head);
        let owned = |mut field: Field| {
            field.is_secret = is_secret(&head.value, &field.path);
            field.object.clone_from(&name);
            field
        };
        self.undone.extend(decider.undone.into_iter().map(owned));
        self.superseded
            .extend(decider.superseded.into_iter().map(owned));
        let left = decider.left.iter();
        self.left
            .extend(left.map(|path| format!("{name} {path}: comments or style")));
        if writer.left_comment {
            self.left
                .push(format!("{name}: comments that were changed since"));
        }
        let mut sets = Vec::new();
        collect_sets(&plan, &Path::default(), &mut sets);
        Ok(Written {
            good: place,
            text,
            value: value.unwrap_or(Value::Null),
            sets,
        })
    }

    /// A document that head has not.
    fn absent(&mut self, texts: &Texts<'_>, twins: Match, written: &mut Vec<Written>) {
        let good = twins.good.map(|at| (at, &texts.good[at]));
        match (good, twins.bad.map(|at| &texts.bad[at])) {
            (Some((_, good)), Some(bad)) if !same(&good.value, &bad.value) => {
                self.superseded.push(field(bad, Some(&bad.value), None));
            }
            (Some((at, good)), None) => {
                self.undone.push(field(good, None, Some(&good.value)));
                let behind = |place: usize| {
                    written
                        .iter()
                        .position(|other| other.good == Some(place))
                        .map(|at| at + 1)
                };
                let before = || {
                    let next = |place: usize| written.iter().position(|w| w.good == Some(place));
                    (at + 1..texts.good.len()).find_map(next)
                };
                let place = (0..at)
                    .rev()
                    .find_map(behind)
                    .or_else(before)
                    .unwrap_or(written.len());
                written.insert(
                    place,
                    Written {
                        good: Some(at),
                        text: relined(good.text, texts.newline),
                        value: good.value.clone(),
                        sets: Vec::new(),
                    },
                );
            }
            _ => {}
        }
    }
}

fn unfit(doc: &Doc<'_>) -> String {
    format!(
        "the lines of {} (line {}) cannot be told apart",
        label(doc),
        doc.line
    )
}

fn field(doc: &Doc<'_>, from: Option<&Value>, to: Option<&Value>) -> Field {
    Field {
        object: label(doc),
        path: Path::default(),
        from: from.cloned(),
        to: to.cloned(),
        is_secret: doc.value.get("kind").and_then(Value::as_str) == Some("Secret"),
    }
}

fn label(doc: &Doc<'_>) -> String {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let kind = text(doc.value.get("kind"));
    let name = text(doc.value.get("metadata").and_then(|meta| meta.get("name")));
    match (kind, name) {
        (Some(kind), Some(name)) => format!("{kind}/{name}"),
        (Some(kind), None) => kind,
        _ => "the document".to_owned(),
    }
}

/// True for fields whose values may be secrets.
fn is_secret(root: &Value, path: &Path) -> bool {
    let secret = root.get("kind").and_then(Value::as_str) == Some("Secret");
    let has = |names: &[&str]| {
        let key = |step: &Step| matches!(step, Step::Key(key) if names.contains(&&**key));
        path.steps().iter().any(key)
    };
    (secret && has(&["data", "stringData"]))
        || has(&["env", "kubectl.kubernetes.io/last-applied-configuration"])
}

/// True where later work wrote a comment that would be lost.
fn loses_comment(bad: &str, head: &str) -> bool {
    let known: Vec<&str> = bad.lines().filter_map(place::comment).collect();
    let mut comments = head.lines().filter_map(place::comment);
    comments.any(|comment| !known.contains(&comment))
}

fn relined(text: &str, newline: &str) -> String {
    segments::moved(text, 0, 0, 0, newline)
}

/// The places in the result of what is set by edits of their own.
fn collect_sets(plan: &Plan, path: &Path, sets: &mut Vec<(Path, Value)>) {
    match plan {
        Plan::Set(value) => sets.push((path.clone(), value.clone())),
        Plan::Parts(parts) => {
            let live = parts
                .parts
                .iter()
                .filter(|part| !matches!(part.plan, Plan::Gone));
            for (place, part) in live.enumerate() {
                let step = match (parts.is_list, part.head) {
                    (true, _) => Step::Index(place),
                    (false, Some(at)) => parts.head.step(at),
                    (false, None) => continue,
                };
                collect_sets(&part.plan, &path.child(step), sets);
            }
        }
        _ => {}
    }
}

/// Makes them; true where one of the places is written over several lines.
fn with_sets(text: String, written: &[Written]) -> Result<(String, bool), String> {
    if written.iter().all(|doc| doc.sets.is_empty()) {
        return Ok((text, false));
    }
    let mut text = text;
    let mut is_spread = false;
    for (place, doc) in written.iter().enumerate() {
        if doc.sets.is_empty() {
            continue;
        }
        let manifest = Manifest::parse(text)
            .map_err(|error| format!("the result could not be read again: {error}"))?;
        let sets: Vec<Edit<'_>> = doc
            .sets
            .iter()
            .map(|(path, value)| Edit::Set {
                path: path.clone(),
                value: value.clone(),
            })
            .collect();
        let address = Address::document(place);
        is_spread |= doc.sets.iter().any(|(path, _)| {
            let source = manifest.source_text(&address, path);
            source.is_some_and(|source| source.contains(['\n', '\r']))
        });
        let edited = manifest.edit(&address, &sets);
        text = edited.map_err(|error| error.to_string())?.text;
    }
    Ok((text, is_spread))
}

/// Where today's text is JSON the result is, too: what was written plain is quoted.
fn as_json(head: &str, text: String) -> String {
    let is_json = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    if !head.trim_start().starts_with(['{', '[']) || !is_json(head) || is_json(&text) {
        return text;
    }
    let Ok(manifest) = Manifest::parse(&*text) else {
        return text;
    };
    let Some(doc) = docs(&manifest).and_then(|docs| docs.into_iter().next()) else {
        return text;
    };
    let mut plain: Vec<_> = doc
        .tree
        .nodes
        .iter()
        .filter_map(|node| match &node.kind {
            Kind::Scalar(scalar) if scalar.style == Style::Plain && !scalar.absent => {
                let value = scalar::read(&scalar.text, true, node.tag);
                value.is_string().then_some((node.start, node.end, value))
            }
            _ => None,
        })
        .collect();
    plain.sort_by_key(|(start, ..)| std::cmp::Reverse(*start));
    let mut out = doc.text.to_owned();
    for (start, end, value) in plain {
        out.replace_range(start..end, &value.to_string());
    }
    text.replacen(doc.text, &out, 1)
}

/// The documents one behind the other, each but the first with a `---`.
fn assembled(texts: &Texts<'_>, written: &[Written]) -> String {
    let mut out = texts.text[..texts.start].to_owned();
    let lead = out.len();
    for doc in written {
        if out.len() > lead {
            if ending_length(&out) == 0 {
                out.push_str(texts.newline);
            }
            if !has_marker(&doc.text) {
                out.push_str("---");
                out.push_str(texts.newline);
            }
        }
        out.push_str(&doc.text);
    }
    out
}

/// True for a document that begins with its `---`.
fn has_marker(text: &str) -> bool {
    lines_of(text)
        .find(|line| {
            let bare = line.trim();
            !bare.is_empty() && !bare.starts_with('#') && !bare.starts_with('%')
        })
        .is_some_and(|line| is_marker(line, "---"))
}

/// The result, read again, must be what was decided.
fn check(texts: &Texts<'_>, text: &str, written: &[Written]) -> Result<(), String> {
    let again = Manifest::parse(text)
        .map_err(|error| explained(texts, format!("the result would not be YAML: {error}")))?;
    let Some(docs) = docs(&again) else {
        return Err("the result could not be read again".to_owned());
    };
    if docs.len() != written.len() {
        return Err(format!(
            "the result would have {} documents instead of {}",
            docs.len(),
            written.len()
        ));
    }
    for (doc, wanted) in docs.iter().zip(written) {
        if !same(&doc.value, &wanted.value) {
            let reason = format!("{} would not read back as decided", label(doc));
            return Err(explained(texts, reason));
        }
    }
    let known: std::collections::HashSet<&str> = texts
        .bad
        .iter()
        .flat_map(|doc| doc.text.lines())
        .filter_map(place::comment)
        .collect();
    let lost = texts
        .text
        .lines()
        .filter_map(place::comment)
        .find(|comment| !known.contains(comment) && !text.contains(comment));
    match lost {
        Some(_) => Err("a comment that was written since would be lost".to_owned()),
        None => Ok(()),
    }
}
