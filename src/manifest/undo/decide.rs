//! What becomes of each field: a pure decision on three trees.
//!
//! A field that still has the bad value gets the good one; one that has the good value already is
//! left; one that something else has changed is left and named. An addition is taken back as a
//! whole, or, where later work only added to it, without that later work.

use std::collections::HashMap;

use serde_json::Value;

use super::Field;
use super::identity;
use super::place;
use super::segments::{self, Block, Piece, bare};
use crate::manifest::document::Manifest;
use crate::manifest::draft::Draft;
use crate::manifest::json::{is_full_collection, same};
use crate::manifest::objects::Address;
use crate::manifest::path::{Path, Step};
use crate::manifest::tree::{Kind, NodeId};

/// What becomes of one field.
#[derive(Debug)]
pub(super) enum Plan {
    /// It stays.
    Keep,
    /// It stays, and means the good value now: an alias whose anchor is undone.
    Follow,
    /// It gets the good text.
    Good,
    /// It is taken away.
    Gone,
    /// A text of several lines, merged.
    Text(String),
    /// The value is set by an edit of its own: what is written in flow style.
    Set(Value),
    /// A collection, by its parts.
    Parts(Box<Parts>),
}

/// A collection in its new order.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) parts: Vec<Part>,
    pub(super) good: Option<Coll>,
    pub(super) bad: Option<Coll>,
    pub(super) head: Coll,
    pub(super) is_list: bool,
}

/// One entry, by its places in the three texts.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) good: Option<usize>,
    pub(super) bad: Option<usize>,
    pub(super) head: Option<usize>,
    pub(super) plan: Plan,
}

/// A collection of one text.
#[derive(Debug)]
pub(super) struct Coll {
    pub(super) around: Piece,
    pub(super) block: Option<Block>,
    pub(super) pieces: Vec<Piece>,
    pub(super) values: Vec<Value>,
    /// Of a map.
    names: Vec<String>,
}

/// The three texts.
#[derive(Clone, Copy)]
pub(super) struct Three<'d> {
    pub(super) good: &'d Draft<'d>,
    pub(super) bad: &'d Draft<'d>,
    pub(super) head: &'d Draft<'d>,
}

/// Deciding on one document.
pub(super) struct Decider<'d> {
    pub(super) texts: Three<'d>,
    pub(super) undone: Vec<Field>,
    pub(super) superseded: Vec<Field>,
    /// Places whose comments or style are left.
    pub(super) left: Vec<Path>,
}

type Trio<'p> = (&'p Piece, &'p Piece, &'p Piece);

impl<'d> Decider<'d> {
    pub(super) fn new(texts: Three<'d>) -> Self {
        Self {
            texts,
            undone: Vec::new(),
            superseded: Vec::new(),
            left: Vec::new(),
        }
    }

    fn alike(left: (&Draft<'_>, &Piece), right: (&Draft<'_>, &Piece)) -> bool {
        if left.1.is_lines != right.1.is_lines {
            return false;
        }
        let text = |(draft, piece): (&Draft<'_>, &Piece)| bare(draft, &piece.body, piece.column);
        text(left) == text(right)
    }

    /// True where head's lines are still the bad ones.
    pub(super) fn is_bad_text(&self, bad: &Piece, head: &Piece) -> bool {
        Self::alike((self.texts.bad, bad), (self.texts.head, head))
    }

    pub(super) fn record(
        list: &mut Vec<Field>,
        path: &Path,
        from: Option<&Value>,
        to: Option<&Value>,
    ) {
        list.push(Field {
            object: String::new(),
            path: path.clone(),
            from: from.cloned(),
            to: to.cloned(),
            is_secret: false,
        });
    }

    pub(super) fn supersede(
        &mut self,
        path: &Path,
        bad: Option<&Value>,
        head: Option<&Value>,
    ) -> Plan {
        Self::record(&mut self.superseded, path, bad, head);
        Plan::Keep
    }

    /// A field that all three have.
    pub(super) fn node(&mut self, path: &Path, (good, bad, head): Trio<'_>) -> Plan {
        let Three {
            good: gt,
            bad: bt,
            head: ht,
        } = self.texts;
        let values = (
            gt.tree.value(good.node),
            bt.tree.value(bad.node),
            ht.tree.value(head.node),
        );
        let unchanged = same(&values.0, &values.1);
        if unchanged && Self::alike((gt, good), (bt, bad)) {
            return Plan::Keep;
        }
        let kind = |draft: &'d Draft<'d>, piece: &Piece| match &draft.tree.node(piece.node).kind {
            Kind::Map { .. } => 'm',
            Kind::Seq { .. } => 's',
            Kind::Alias(_) => 'a',
            Kind::Scalar(_) if draft.tree.value(piece.node).is_null() => 'n',
            Kind::Scalar(_) => '-',
        };
        let kinds = (kind(gt, good), kind(bt, bad), kind(ht, head));
        let flow = |draft: &Draft<'_>, piece: &Piece| {
            draft.is_flow(piece.node) && !matches!(values.2, Value::Null) || !piece.is_lines
        };
        let any_flow = flow(gt, good) || flow(bt, bad) || flow(ht, head);
        if same(&values.1, &values.2) && (any_flow || kinds.0 != kinds.1) {
            return self.unit(path, (good, bad, head), &values);
        }
        match kinds {
            ('m', 'm', 'm') => self.map(path, Some(good), Some(bad), head),
            ('n', 'm', 'm') => self.map(path, None, Some(bad), head),
            ('m', 'n', 'm') => self.map(path, Some(good), None, head),
            ('s', 's', 's') => self.list(path, Some(good), Some(bad), head),
            ('n', 's', 's') => self.list(path, None, Some(bad), head),
            ('s', 'n', 's') => self.list(path, Some(good), None, head),
            _ => self.unit(path, (good, bad, head), &values),
        }
    }

    /// A field that is one value.
    fn unit(
        &mut self,
        path: &Path,
        (good, bad, head): Trio<'_>,
        (gv, bv, hv): &(Value, Value, Value),
    ) -> Plan {
        let is_bad = self.is_bad_text(bad, head);
        if same(gv, bv) {
            if is_bad && good.is_lines == head.is_lines {
                return Plan::Good;
            }
            if good.is_lines == bad.is_lines
                && !Self::alike((self.texts.good, good), (self.texts.head, head))
            {
                self.left.push(path.clone());
            }
            return Plan::Keep;
        }
        let is_alias =
            |draft: &Draft<'_>, id: NodeId| matches!(draft.tree.node(id).kind, Kind::Alias(_));
        if is_alias(self.texts.head, head.node)
            && is_bad
            && Self::alike((self.texts.good, good), (self.texts.bad, bad))
        {
            return Plan::Follow;
        }
        if same(hv, gv) {
            return Plan::Keep;
        }
        if same(hv, bv) {
            if head.is_lines
                && self.loses_comment(bad, head)
                && !place::is_inline(self.texts, good, head)
            {
                return self.supersede(path, Some(bv), Some(hv));
            }
            Self::record(&mut self.undone, path, Some(hv), Some(gv));
            return if good.is_lines == head.is_lines {
                Plan::Good
            } else {
                Plan::Set(gv.clone())
            };
        }
        match (gv, bv, hv) {
            (Value::String(gv), Value::String(bv), Value::String(hv))
                if bv.contains('\n') && hv.contains('\n') =>
            {
                self.text(path, head, (gv, bv, hv))
            }
            _ => self.supersede(path, Some(bv), Some(hv)),
        }
    }

    fn text(&mut self, path: &Path, head: &Piece, (good, bad, now): (&str, &str, &str)) -> Plan {
        let merged = super::merge_text(bad, now, good).ok();
        let merged = merged.or_else(|| embedded(good, bad, now));
        let (from, bad) = (Value::from(now), Value::from(bad));
        let Some(merged) = merged else {
            return self.supersede(path, Some(&bad), Some(&from));
        };
        if merged == now {
            return Plan::Keep;
        }
        let to = Value::from(merged.clone());
        Self::record(&mut self.undone, path, Some(&from), Some(&to));
        if place::is_literal(self.texts.head, head) {
            Plan::Text(merged)
        } else {
            Plan::Set(to)
        }
    }

    fn coll(draft: &Draft<'_>, piece: &Piece) -> Coll {
        let block = segments::block(draft, piece);
        let pieces = segments::pieces(draft, piece, block.as_ref());
        let value = |piece: &Piece| draft.tree.value(piece.node);
        Coll {
            around: piece.clone(),
            values: pieces.iter().map(value).collect(),
            names: draft
                .tree
                .entries(piece.node)
                .iter()
                .map(|entry| entry.name.to_string())
                .collect(),
            pieces,
            block,
        }
    }

    pub(super) fn parts(&self, good: Option<&Piece>, bad: Option<&Piece>, head: &Piece) -> Parts {
        Parts {
            parts: Vec::new(),
            good: good.map(|piece| Self::coll(self.texts.good, piece)),
            bad: bad.map(|piece| Self::coll(self.texts.bad, piece)),
            head: Self::coll(self.texts.head, head),
            is_list: false,
        }
    }

    fn map(
        &mut self,
        path: &Path,
        good: Option<&Piece>,
        bad: Option<&Piece>,
        head: &Piece,
    ) -> Plan {
        let parts = self.parts(good, bad, head);
        let names = |coll: Option<&Coll>| coll.map(|coll| coll.names.clone()).unwrap_or_default();
        let keys = [
            names(parts.good.as_ref()),
            names(parts.bad.as_ref()),
            parts.head.names.clone(),
        ];
        let steps = keys
            .clone()
            .map(|keys| keys.into_iter().map(Step::Key).collect());
        let parts = self.keyed(path, parts, &Keys { keys, steps }, &HashMap::new());
        self.finish(parts)
    }

    /// What is written in flow style is set as one value.
    pub(super) fn finish(&self, parts: Parts) -> Plan {
        let is_all_kept = parts
            .parts
            .iter()
            .all(|part| matches!(part.plan, Plan::Keep) && part.head.is_some());
        if parts.head.block.is_some() {
            return Plan::Parts(Box::new(parts));
        }
        if is_all_kept {
            return Plan::Keep;
        }
        Plan::Set(place::value_of_parts(&self.texts, &parts))
    }

    /// Entries with names of their own. `successors` are what the bad change put in an entry's
    /// place.
    pub(super) fn keyed(
        &mut self,
        path: &Path,
        mut parts: Parts,
        keys: &Keys,
        successors: &HashMap<String, String>,
    ) -> Parts {
        let (good, bad) = (keys.places(0), keys.places(1));
        for (place, key) in keys.keys[2].iter().enumerate() {
            let (g, b) = (good.get(&**key).copied(), bad.get(&**key).copied());
            let path = path.child(keys.steps[2][place].clone());
            let plan = self.present(&path, &parts, (g, b, place));
            parts.parts.push(Part {
                good: g,
                bad: b,
                head: Some(place),
                plan,
            });
        }
        let head = keys.places(2);
        for (place, key) in keys.keys[1].iter().enumerate() {
            // Later work took away what the bad change had changed.
            if let (None, Some(g), Some(coll)) =
                (head.get(&**key), good.get(&**key), parts.bad.as_ref())
                && let Some(other) = &parts.good
                && !same(&coll.values[place], &other.values[*g])
            {
                let path = path.child(keys.steps[1][place].clone());
                Self::record(&mut self.superseded, &path, Some(&coll.values[place]), None);
            }
        }
        for (place, key) in keys.keys[0].iter().enumerate() {
            if head.contains_key(&**key) || bad.contains_key(&**key) {
                continue;
            }
            if let Some(successor) = successors.get(key)
                && !head.contains_key(&**successor)
            {
                // What replaced it has been replaced since.
                let path = path.child(keys.steps[0][place].clone());
                let successor = serde_json::from_str(successor).ok();
                Self::record(&mut self.superseded, &path, successor.as_ref(), None);
                continue;
            }
            if let Some(coll) = &parts.good {
                let path = path.child(keys.steps[0][place].clone());
                Self::record(&mut self.undone, &path, None, Some(&coll.values[place]));
                put(&mut parts.parts, place);
            }
        }
        parts
    }

    /// An entry that head has.
    pub(super) fn present(
        &mut self,
        path: &Path,
        parts: &Parts,
        (good, bad, head): (Option<usize>, Option<usize>, usize),
    ) -> Plan {
        let now = &parts.head.values[head];
        let piece = &parts.head.pieces[head];
        let of = |coll: &'_ Option<Coll>, place: Option<usize>| {
            coll.as_ref()
                .zip(place)
                .map(|(coll, place)| (coll.pieces[place].clone(), coll.values[place].clone()))
        };
        match (of(&parts.good, good), of(&parts.bad, bad)) {
            (Some((good, _)), Some((bad, _))) => self.node(path, (&good, &bad, piece)),
            (None, None) => Plan::Keep,
            (None, Some((bad, was))) => {
                if same(&was, now) {
                    if self.loses_comment(&bad, piece) {
                        return self.supersede(path, Some(&was), Some(now));
                    }
                    Self::record(&mut self.undone, path, Some(now), None);
                    return Plan::Gone;
                }
                if is_open(path, parts.is_list, &was, now) || only_added(parts.is_list, &was, now) {
                    return self.emptied(path, &bad, piece, (&was, now));
                }
                self.supersede(path, Some(&was), Some(now))
            }
            (Some((good, was)), None) => {
                if same(&was, now) {
                    return Plan::Keep;
                }
                if is_open(path, parts.is_list, &was, now) {
                    return match now {
                        Value::Object(_) => self.map(path, Some(&good), None, piece),
                        _ => self.list(path, Some(&good), None, piece),
                    };
                }
                self.supersede(path, None, Some(now))
            }
        }
    }

    /// An addition without what later work put into it.
    fn emptied(
        &mut self,
        path: &Path,
        bad: &Piece,
        head: &Piece,
        values: (&Value, &Value),
    ) -> Plan {
        let count = self.undone.len();
        let plan = match values.1 {
            Value::Object(_) => self.map(path, None, Some(bad), head),
            _ => self.list(path, None, Some(bad), head),
        };
        let nothing_left = match &plan {
            Plan::Parts(parts) => parts
                .parts
                .iter()
                .all(|part| matches!(part.plan, Plan::Gone)),
            Plan::Set(value) => *value == serde_json::json!({}) || *value == serde_json::json!([]),
            _ => false,
        };
        if nothing_left && count < self.undone.len() {
            self.undone.truncate(count);
            Self::record(&mut self.undone, path, Some(values.1), None);
            return Plan::Gone;
        }
        plan
    }

    /// True where later work wrote a comment into what would be taken away.
    fn loses_comment(&self, bad: &Piece, head: &Piece) -> bool {
        if self.is_bad_text(bad, head) {
            return false;
        }
        let comments = |draft: &Draft<'_>, piece: &Piece| -> Vec<String> {
            let lines = draft.text[piece.body.clone()].lines();
            let comment = lines.filter_map(place::comment);
            comment.map(str::to_owned).collect()
        };
        let known = comments(self.texts.bad, bad);
        comments(self.texts.head, head)
            .iter()
            .any(|comment| !known.contains(comment))
    }
}

/// The names of a collection's entries in the good, the bad and today's text.
pub(super) struct Keys {
    pub(super) keys: [Vec<String>; 3],
    pub(super) steps: [Vec<Step>; 3],
}

impl Keys {
    fn places(&self, side: usize) -> HashMap<&str, usize> {
        let keys = self.keys[side].iter().enumerate();
        keys.map(|(place, key)| (key.as_str(), place)).collect()
    }
}

/// Puts an entry back beside the one that it stood behind, or before.
pub(super) fn put(parts: &mut Vec<Part>, place: usize) {
    let find = |place: usize| parts.iter().position(|part| part.good == Some(place));
    let behind = |place: usize| find(place).map(|at| at + 1);
    let mut before = (0..place).rev();
    let at = before
        .next()
        .and_then(behind)
        .or_else(|| find(place + 1))
        .or_else(|| before.find_map(behind))
        .or_else(|| {
            let last = parts.iter().filter_map(|part| part.good).max()?;
            (place + 1..=last).find_map(find)
        })
        // Its neighbours are gone: where the bad change put something else.
        .or_else(|| {
            parts
                .iter()
                .position(|part| matches!(part.plan, Plan::Gone))
        })
        .unwrap_or(parts.len());
    parts.insert(
        at,
        Part {
            good: Some(place),
            bad: None,
            head: None,
            plan: Plan::Good,
        },
    );
}

/// YAML or JSON in a text, undone by its fields; `None` where that is not all of it.
fn embedded(good: &str, bad: &str, now: &str) -> Option<String> {
    let has_fields = |text: &str| {
        let first = Manifest::parse(text).ok()?;
        let value = first.value(&Address::document(0), &Path::default())?;
        (first.documents().len() == 1 && is_full_collection(&value)).then_some(())
    };
    [good, bad, now].into_iter().try_for_each(has_fields)?;
    let done = super::undo(good, bad, now);
    let is_whole = done.class == super::UndoClass::Undone;
    (is_whole && super::lines::keeps((good, bad, now), &done.text)).then_some(done.text)
}

/// Maps whose keys people choose: their entries do not depend on each other.
const OPEN: &[&str] = &[
    "labels",
    "annotations",
    "data",
    "stringData",
    "binaryData",
    "matchLabels",
    "nodeSelector",
    "limits",
    "requests",
    "commonLabels",
    "commonAnnotations",
];

/// True where an added or removed collection is taken entry by entry, whatever else is in it now.
fn is_open(path: &Path, in_list: bool, was: &Value, now: &Value) -> bool {
    match (was, now) {
        (Value::Object(_), Value::Object(_)) => {
            !in_list && matches!(path.last(), Some(Step::Key(key)) if OPEN.contains(&&**key))
        }
        (Value::Array(was), Value::Array(now)) => {
            !in_list && identity::identity(path, false, &[was, now]).is_some()
        }
        _ => false,
    }
}

/// True where later work changed nothing in an added map, but added to it or took from it.
fn only_added(in_list: bool, was: &Value, now: &Value) -> bool {
    match (was, now) {
        (Value::Object(was), Value::Object(now)) if !in_list => was.iter().all(|(key, was)| {
            now.get(key)
                .is_none_or(|now| same(was, now) || only_added(false, was, now))
        }),
        _ => false,
    }
}

impl Coll {
    /// The step to an entry of a map.
    pub(super) fn step(&self, place: usize) -> Step {
        Step::Key(self.names.get(place).cloned().unwrap_or_default())
    }
}
