//! Deciding on lists: by the names of their items, or by their values.

use std::collections::HashMap;

use serde_json::Value;

use super::decide::{Coll, Decider, Keys, Part, Parts, Plan};
use super::identity::{self, Identity};
use super::merge::{Changed, Chunk, Near, chunks};
use super::place;
use super::segments::Piece;
use crate::manifest::path::{Path, Step};

impl Decider<'_> {
    pub(super) fn list(
        &mut self,
        path: &Path,
        good: Option<&Piece>,
        bad: Option<&Piece>,
        head: &Piece,
    ) -> Plan {
        let mut parts = self.parts(good, bad, head);
        parts.is_list = true;
        let is_list = self
            .texts
            .head
            .tree
            .field_text(self.texts.head.tree.root, "kind")
            .is_some_and(|kind| kind.ends_with("List"));
        let values = |coll: Option<&Coll>| coll.map(|coll| coll.values.clone()).unwrap_or_default();
        let lists = [
            values(parts.good.as_ref()),
            values(parts.bad.as_ref()),
            parts.head.values.clone(),
        ];
        let slices: Vec<&[Value]> = lists.iter().map(Vec::as_slice).collect();
        match identity::identity(path, is_list, &slices) {
            Some(identity) => {
                let named = |list: &Vec<Value>| -> Vec<String> {
                    let name = |item| identity::name(&identity, item).unwrap_or_default();
                    list.iter().map(name).collect()
                };
                let stepped = |list: &Vec<Value>| -> Vec<Step> {
                    let items = list.iter().enumerate();
                    items
                        .map(|(place, item)| identity::step(&identity, item, place))
                        .collect()
                };
                let keys = Keys {
                    keys: [named(&lists[0]), named(&lists[1]), named(&lists[2])],
                    steps: [stepped(&lists[0]), stepped(&lists[1]), stepped(&lists[2])],
                };
                let is_set = identity == Identity::Itself;
                let successors = if is_set {
                    identity::successors(&keys.keys[0], &keys.keys[1])
                } else {
                    HashMap::new()
                };
                let mut parts = self.keyed(path, parts, &keys, &successors);
                // The order of a set says nothing, unless nothing else has changed.
                if identity != Identity::Objects && (!is_set || keys.keys[1] == keys.keys[2]) {
                    self.order(path, &mut parts);
                }
                self.finish(parts)
            }
            None => match self.by_value(path, parts) {
                Some(parts) => self.finish(parts),
                None => {
                    let of = |list: &[Value]| Value::Array(list.to_vec());
                    self.supersede(path, Some(&of(&lists[1])), Some(&of(&lists[2])))
                }
            },
        }
    }

    /// Where the bad change only put the items in another order.
    fn order(&mut self, path: &Path, parts: &mut Parts) {
        let common: Vec<usize> = (0..parts.parts.len())
            .filter(|at| {
                let part = &parts.parts[*at];
                part.good.is_some() && part.bad.is_some() && part.head.is_some()
            })
            .collect();
        let places = |by: fn(&Part) -> Option<usize>| -> Vec<usize> {
            common
                .iter()
                .filter_map(|at| by(&parts.parts[*at]))
                .collect()
        };
        let (good, bad) = (places(|part| part.good), places(|part| part.bad));
        let mut pairs: Vec<(usize, usize)> =
            bad.iter().copied().zip(good.iter().copied()).collect();
        pairs.sort_unstable();
        if pairs.is_sorted_by_key(|(_, good)| *good) || good.is_sorted() {
            return;
        }
        let names: Vec<Value> = parts.head.values.clone();
        if !bad.is_sorted() {
            let of = |coll: &Option<Coll>| coll.as_ref().map(|c| Value::Array(c.values.clone()));
            Self::record(
                &mut self.superseded,
                path,
                of(&parts.bad).as_ref(),
                Some(&names.into()),
            );
            return;
        }
        let mut moved: Vec<(usize, Part)> = Vec::new();
        for at in common.iter().rev() {
            moved.push((*at, parts.parts.remove(*at)));
        }
        let slots: Vec<usize> = moved.iter().rev().map(|(at, _)| *at).collect();
        let mut in_order: Vec<Part> = moved.into_iter().map(|(_, part)| part).collect();
        in_order.sort_by_key(|part| part.good);
        for (slot, part) in slots.into_iter().zip(in_order) {
            parts.parts.insert(slot, part);
        }
        let now = Value::Array(names);
        let then = place::value_of_parts(&self.texts, parts);
        Self::record(&mut self.undone, path, Some(&now), Some(&then));
    }

    /// A list whose items have no names: merged by their values.
    fn by_value(&mut self, path: &Path, mut parts: Parts) -> Option<Parts> {
        let texts = |coll: Option<&Coll>| -> Vec<String> {
            coll.iter()
                .flat_map(|coll| coll.values.iter().map(Value::to_string))
                .collect()
        };
        let (good, bad) = (texts(parts.good.as_ref()), texts(parts.bad.as_ref()));
        let head = texts(Some(&parts.head));
        // A word of a command belongs to the one beside it.
        let near = if identity::is_ordered(path) {
            Near::Touching
        } else {
            Near::Overlapping
        };
        let merged = chunks(&bad, &head, &good, near);
        let is_text = |coll: &Coll, at: usize| coll.values[at].as_str().is_some_and(is_lines);
        // A text of several lines that both changed is merged inside.
        let is_one_text = |chunk: &Chunk| {
            [&chunk.base, &chunk.ours, &chunk.theirs]
                .iter()
                .all(|range| range.len() == 1)
                && is_text(&parts.head, chunk.ours.start)
                && parts
                    .bad
                    .as_ref()
                    .is_some_and(|bad| is_text(bad, chunk.base.start))
        };
        if merged
            .iter()
            .any(|chunk| chunk.changed == Changed::Conflict && !is_one_text(chunk))
        {
            return None;
        }
        for chunk in merged {
            self.stretch(path, &mut parts, &chunk);
        }
        Some(parts)
    }

    /// A stretch of such a list.
    fn stretch(&mut self, path: &Path, parts: &mut Parts, chunk: &Chunk) {
        let is_pair = chunk.theirs.len() == chunk.base.len();
        let theirs = matches!(chunk.changed, Changed::Theirs | Changed::Conflict);
        if chunk.changed == Changed::Nobody || (theirs && is_pair) {
            for (at, place) in chunk.ours.clone().enumerate() {
                let trio = (chunk.theirs.start + at, chunk.base.start + at, place);
                let path = path.child(Step::Index(place));
                let plan = self.present(&path, parts, (Some(trio.0), Some(trio.1), place));
                parts.parts.push(Part {
                    good: Some(trio.0),
                    bad: Some(trio.1),
                    head: Some(place),
                    plan,
                });
            }
            return;
        }
        for (at, place) in chunk.ours.clone().enumerate() {
            let bad = theirs.then_some(chunk.base.start + at);
            let path = path.child(Step::Index(place));
            let plan = if theirs {
                self.present(&path, parts, (None, bad, place))
            } else {
                Plan::Keep
            };
            parts.parts.push(Part {
                good: None,
                bad,
                head: Some(place),
                plan,
            });
        }
        if theirs && let Some(coll) = &parts.good {
            for place in chunk.theirs.clone() {
                let path = path.child(Step::Index(place));
                Self::record(&mut self.undone, &path, None, Some(&coll.values[place]));
                parts.parts.push(Part {
                    good: Some(place),
                    bad: None,
                    head: None,
                    plan: Plan::Good,
                });
            }
        }
    }
}

fn is_lines(text: &str) -> bool {
    text.trim_end_matches('\n').contains('\n')
}
