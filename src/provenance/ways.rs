//! The ways in which one field can be made what is wanted, at the places that decide it.

use serde_json::Value;

use crate::manifest::{Address, Path, Step};
use crate::model::Blocker;

use super::explain::untold;
use super::kustomize::{joined, split};
use super::traced::{Act, Body, Mark, Source, Traced};
use super::want::Want;
use super::{Rendering, Tool};

/// A step of one way to make an edit.
#[derive(Debug, Clone)]
pub(super) enum Move {
    Set(Source, Value),
    Remove(Source),
    Insert(Source, Value),
    Entry { source: Source, image: String },
    Refuse(Blocker),
}

/// The ways in which one field can be made what is wanted.
pub(super) fn ways(now: &Rendering, want: &Want) -> Vec<Vec<Move>> {
    match (now.target.get(&want.path), &want.value) {
        (Some(node), Some(value)) if now.tool == Tool::Helm => printed(node, &want.path, value),
        (Some(node), Some(value)) => vec![set(node, &want.path, value)],
        (Some(node), None) => vec![node.marks.iter().rev().map(removal).collect()],
        (None, Some(value)) => additions(&now.target, want, value),
        (None, None) => Vec::new(),
    }
}

fn set(node: &Traced, path: &Path, value: &Value) -> Vec<Move> {
    let Some(mark) = node.deciding() else {
        return Vec::new();
    };
    if node
        .marks
        .iter()
        .any(|mark| matches!(mark.act, Act::Image { .. }))
    {
        return match value.as_str() {
            Some(image) => set_image(node, image),
            None => vec![Move::Refuse(untold(path, "an image must be text"))],
        };
    }
    let holds = match &mark.says {
        Some(says) => Some(says) == node.value().as_ref() || says.is_null(),
        None => node.marks.len() == 1 || mark.act == Act::JsonPatch,
    };
    match holds {
        true => vec![Move::Set(mark.source.clone(), value.clone())],
        false => vec![Move::Refuse(untold(
            path,
            "the place that decides does not hold the value itself",
        ))],
    }
}

/// Ways to make a text that a template prints out of values another one.
fn printed(node: &Traced, path: &Path, value: &Value) -> Vec<Vec<Move>> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    let now = node.value().as_ref().and_then(text);
    let (Some(now), Some(new)) = (now, text(value)) else {
        return vec![vec![Move::Refuse(untold(path, "it is printed as a whole"))]];
    };
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for mark in &node.marks {
        if let Act::Value { from, to, .. } = mark.act
            && !parts.contains(&(from, to))
        {
            parts.push((from, to));
        }
    }
    let mut found: Vec<Vec<Move>> = Vec::new();
    for part in parts.iter().rev() {
        let (before, after) = (&now[..part.0], &now[part.1..]);
        let rest = new
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after));
        if let Some(rest) = rest {
            found.extend(
                places(node, path, *part, rest)
                    .into_iter()
                    .map(|set| vec![set]),
            );
        }
    }
    if let (true, [first, second]) = (found.is_empty(), parts.as_slice()) {
        let between = now.get(first.1..second.0).unwrap_or_default();
        let (before, after) = (&now[..first.0], now.get(second.1..).unwrap_or_default());
        let inner = new
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after));
        let split = inner
            .filter(|_| !between.is_empty())
            .and_then(|i| i.rsplit_once(between));
        if let Some((a, b)) = split {
            for one in places(node, path, *first, a) {
                for other in places(node, path, *second, b) {
                    found.push(vec![one.clone(), other]);
                }
            }
        }
    }
    if found.is_empty() {
        let why = node.deciding().map(|mark| match &mark.act {
            Act::Value { expression, .. } => format!("{expression} makes it"),
            _ => "the template itself says it".to_owned(),
        });
        found.push(vec![Move::Refuse(untold(path, &why.unwrap_or_default()))]);
    }
    found
}

/// Where a part of a printed text can be set: the value that is printed, else an empty one that
/// would be printed instead.
fn places(node: &Traced, path: &Path, part: (usize, usize), text: &str) -> Vec<Move> {
    let of = |mark: &&Mark| match mark.act {
        Act::Value { from, to, .. } => (from, to) == part,
        _ => false,
    };
    let instead = |mark: &&Mark| match mark.act {
        Act::Skipped { from, to, .. } => (from, to) == part,
        _ => false,
    };
    let typed = |mark: &Mark| match &mark.says {
        Some(Value::Number(_) | Value::Bool(_)) => {
            serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
        }
        _ => Value::String(text.to_owned()),
    };
    let deciding = node.marks.iter().rfind(of);
    let instead = node.marks.iter().filter(instead);
    deciding
        .into_iter()
        .chain(instead)
        .map(|mark| match (&mark.source, &mark.act) {
            (Source::Text { .. }, Act::Value { expression, .. }) => {
                Move::Refuse(untold(path, &format!("{expression} makes it")))
            }
            _ => Move::Set(mark.source.clone(), typed(mark)),
        })
        .collect()
}

/// Sets an image's parts where each is decided.
fn set_image(node: &Traced, image: &str) -> Vec<Move> {
    let now = split(node.text().unwrap_or_default());
    let new = split(image);
    let entries = || {
        node.marks.iter().rev().filter_map(|mark| match &mark.act {
            Act::Image {
                entry,
                name,
                tag,
                digest,
            } => Some((entry, *name, *tag, *digest)),
            _ => None,
        })
    };
    let is_argument = |entry: &Source| {
        !matches!(
            entry.at().steps(),
            [.., Step::Named { .. }] | [.., Step::Index(_)]
        ) || matches!(entry, Source::Application(_) | Source::Made { .. })
            || entry.at().steps().first() == Some(&Step::Key("kustomize".to_owned()))
    };
    let top = entries().next();
    if let Some((entry, ..)) = top.filter(|(entry, ..)| is_argument(entry)) {
        return vec![Move::Entry {
            source: entry.clone(),
            image: image.to_owned(),
        }];
    }
    let mut way = Vec::new();
    if (&new.1, &new.2) != (&now.1, &now.2) {
        let decides = entries().find(|(_, _, tag, digest)| *tag || *digest);
        match decides {
            Some((entry, _, has_tag, has_digest)) => {
                for (key, text, has) in
                    [("newTag", &new.1, has_tag), ("digest", &new.2, has_digest)]
                {
                    let source = entry.child(Step::Key(key.to_owned()));
                    match (text.is_empty(), has) {
                        (false, _) => way.push(Move::Set(source, Value::String(text.clone()))),
                        (true, true) => way.push(Move::Remove(source)),
                        (true, false) => {}
                    }
                }
            }
            None => way.extend(base_image(node, &new)),
        }
    }
    if new.0 != now.0 {
        let decides = entries().find(|(_, name, ..)| *name).or(top);
        if let Some((entry, ..)) = decides {
            let source = entry.child(Step::Key("newName".to_owned()));
            way.push(Move::Set(source, Value::String(new.0)));
        }
    }
    way
}

/// The tag in the manifest below the entries, which set the name only.
fn base_image(node: &Traced, new: &(String, String, String)) -> Option<Move> {
    let below = |mark: &&Mark| !matches!(mark.act, Act::Image { .. });
    let base = node.marks.iter().rev().find(below)?;
    let name = split(base.says.as_ref()?.as_str()?).0;
    let image = joined(&name, &new.1, &new.2);
    Some(Move::Set(base.source.clone(), Value::String(image)))
}

/// Takes away what one place says.
fn removal(mark: &Mark) -> Move {
    let at = mark.source.at();
    let is_operation = mark.act == Act::JsonPatch
        && at.steps().len() == 2
        && at.last() == Some(&Step::Key("value".to_owned()));
    let mut source = mark.source.clone();
    if is_operation {
        climb(&mut source);
    }
    Move::Remove(source)
}

/// To what is around a place.
fn climb(source: &mut Source) {
    match source {
        Source::File(spot) => spot.at = spot.at.parent().unwrap_or_default(),
        Source::Inside { at, .. } => *at = at.parent().unwrap_or_default(),
        Source::Made { inner, .. } => climb(inner),
        Source::Application(_) | Source::Text { .. } => {}
    }
}

/// Ways to add a field: in each place that writes what is around it, the last of them first.
fn additions(target: &Traced, want: &Want, value: &Value) -> Vec<Vec<Move>> {
    let (mut path, mut value) = (want.path.clone(), value.clone());
    while let (Some(parent), Some(last)) = (path.parent(), path.last().cloned()) {
        let Some(around) = target.get(&parent) else {
            value = match last {
                Step::Key(key) => Value::Object([(key, value)].into_iter().collect()),
                _ => Value::Array(vec![value]),
            };
            path = parent;
            continue;
        };
        let mut homes: Vec<&Mark> = around.marks.iter().rev().collect();
        homes.sort_by_key(|mark| !is_home(&mark.source, want));
        return homes
            .into_iter()
            .flat_map(|mark| into(mark, around, &last, (want, &value)))
            .collect();
    }
    Vec::new()
}

fn is_home(source: &Source, want: &Want) -> bool {
    let home = want.home.as_ref();
    spot_of(source)
        .zip(home)
        .is_some_and(|((file, _, at), home)| home.file == file && home.around == *at)
}

fn into(mark: &Mark, around: &Traced, last: &Step, new: (&Want, &Value)) -> Vec<Vec<Move>> {
    let (want, value) = new;
    if matches!(around.body, Body::List(_)) && !matches!(last, Step::Key(_)) {
        let end = Move::Insert(mark.source.child(Step::End), value.clone());
        let home = want.home.as_ref().filter(|_| is_home(&mark.source, want));
        let places = [home.and_then(|home| home.place), want.place];
        let there = places
            .into_iter()
            .flatten()
            .map(|place| Move::Insert(mark.source.child(Step::Index(place)), value.clone()));
        return there.chain([end]).map(|act| vec![act]).collect();
    }
    vec![vec![Move::Set(
        mark.source.child(last.clone()),
        value.clone(),
    )]]
}

/// An address for a restored place.
pub(super) fn spot_of(source: &Source) -> Option<(&str, Address, &Path)> {
    match source {
        Source::File(spot) => Some((&spot.file, spot.address, &spot.at)),
        Source::Inside { .. }
        | Source::Application(_)
        | Source::Text { .. }
        | Source::Made { .. } => None,
    }
}
