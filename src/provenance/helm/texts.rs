//! Template functions that make other text out of text: what they make has no places of its own,
//! but where it is what it was.

use std::rc::Rc;

use regex::Regex;
use serde_json::Value;

use super::super::traced::{Body, Digest, Traced};
use super::data::{data, is_whole};
use super::eval::{Here, Run, Val, placed, plain_text};
use super::rope::Rope;
use crate::manifest::{Address, Manifest, Path};

/// Functions whose result only tells whether their argument has changed.
const DIGESTS: [&str; 5] = ["sha256sum", "sha1sum", "sha512sum", "adler32sum", "md5sum"];

/// `None` for any other function, and where the answer is not known.
pub(super) fn call(run: &Run<'_>, name: &str, arguments: &[Val], here: &Here) -> Option<Val> {
    if let (true, [value]) = (DIGESTS.contains(&name), arguments) {
        let what = here.expression.trim_matches(['{', '}', ' ', '-']);
        let text = match value {
            Val::Text(rope) => rope.text(),
            Val::Data(node) => plain_text(node).unwrap_or_default(),
            Val::Unknown(why) => why.to_string(),
        };
        return Some(Val::Text(placed(Digest {
            why: Rc::from(format!("it is a digest ({what})")),
            of: Rc::from(text),
        })));
    }
    // A part of a digest is one.
    if let ("trunc" | "substr" | "lower" | "upper" | "trimSuffix" | "trimPrefix", Some(last)) =
        (name, arguments.last())
        && let Val::Text(rope) = last
        && rope.digest().is_some()
    {
        return Some(last.clone());
    }
    shaped(run, name, arguments, here).or_else(|| read(name, arguments))
}

/// Texts that are put together, cut and replaced.
fn shaped(run: &Run<'_>, name: &str, arguments: &[Val], here: &Here) -> Option<Val> {
    let made = |text: String| {
        let mut rope = Rope::default();
        rope.push(text, run.computed(here));
        Some(Val::Text(rope))
    };
    let regex = |pattern: &Val| Regex::new(&pattern.word()?).ok();
    match (name, arguments) {
        // Go puts spaces between operands of which none is a text.
        ("print", all) if all.iter().all(is_text) => {
            let mut rope = Rope::default();
            for value in all {
                rope.append(run.printed(value.clone(), here));
            }
            Some(Val::Text(rope))
        }
        ("toString", [value]) => Some(Val::Text(run.printed(value.clone(), here))),
        ("join", [between, of]) => {
            let (between, of) = (between.word()?, data(of));
            let Body::List(items) = &of.body else {
                return None;
            };
            let mut rope = Rope::default();
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    rope.push(between.clone(), run.computed(here));
                }
                rope.append(run.leaf(&item.marks, plain_text(item)?, here));
            }
            Some(Val::Text(rope))
        }
        ("nospace", [value]) => made(value.word()?.split_whitespace().collect()),
        ("trimAll", [cut, value]) => {
            let cut: Vec<char> = cut.word()?.chars().collect();
            made(value.word()?.trim_matches(cut.as_slice()).to_owned())
        }
        ("repeat", [count, value]) => {
            let count: usize = count.word()?.parse().ok().filter(|count| *count < 1000)?;
            made(value.word()?.repeat(count))
        }
        ("substr", [from, to, value]) => {
            let (from, to): (usize, usize) = (from.word()?.parse().ok()?, to.word()?.parse().ok()?);
            made(value.word()?.get(from..to)?.to_owned())
        }
        ("regexReplaceAll", [pattern, value, new]) => {
            let (value, new) = (value.word()?, new.word()?);
            made(regex(pattern)?.replace_all(&value, new).into_owned())
        }
        ("regexReplaceAllLiteral", [pattern, value, new]) => {
            let (value, new) = (value.word()?, new.word()?);
            let replaced = regex(pattern)?.replace_all(&value, regex::NoExpand(&new));
            made(replaced.into_owned())
        }
        ("regexFind", [pattern, value]) => {
            let value = value.word()?;
            let found = regex(pattern)?
                .find(&value)
                .map(|found| found.as_str().to_owned());
            made(found.unwrap_or_default())
        }
        ("regexMatch", [pattern, value]) => {
            let matches = regex(pattern)?.is_match(&value.word()?);
            Some(Val::plain(Value::Bool(matches)))
        }
        ("toJson", [value]) => made(json(&data(value))?),
        _ => None,
    }
}

fn is_text(value: &Val) -> bool {
    match value {
        Val::Text(_) => true,
        Val::Data(node) => node.text().is_some(),
        Val::Unknown(_) => false,
    }
}

/// As Go writes JSON: `<`, `>` and `&` are escaped.
fn json(node: &Traced) -> Option<String> {
    if !is_whole(node) {
        return None;
    }
    let text = node.value()?.to_string();
    let text = text.replace('<', "\\u003c").replace('>', "\\u003e");
    Some(text.replace('&', "\\u0026"))
}

/// Texts that are read.
fn read(name: &str, arguments: &[Val]) -> Option<Val> {
    let scalar = |text: &str| Traced::bare(Body::Scalar(Value::String(text.to_owned())));
    let body = match (name, arguments) {
        ("fromYaml" | "fromJson" | "fromYamlArray" | "fromJsonArray", [value]) => {
            let manifest = Manifest::parse(&value.word()?).ok()?;
            let value = manifest.value(&Address::document(0), &Path::default())?;
            return Some(Val::of(bare(&value)));
        }
        ("splitList", [at, value]) => {
            let (at, value) = (at.word()?, value.word()?);
            Body::List(value.split(&*at).map(scalar).collect())
        }
        ("split", [at, value]) => {
            let (at, value) = (at.word()?, value.word()?);
            let parts = value.split(&*at).enumerate();
            Body::Map(
                parts
                    .map(|(n, part)| (format!("_{n}"), scalar(part)))
                    .collect(),
            )
        }
        // `helm template` asks no cluster.
        ("lookup", [_, _, _, _]) => Body::Map(std::collections::BTreeMap::new()),
        _ => return None,
    };
    Some(Val::of(Traced::bare(body)))
}

/// A value without places.
fn bare(value: &Value) -> Traced {
    let body = match value {
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| (key.clone(), bare(value));
            Body::Map(fields.iter().map(field).collect())
        }
        Value::Array(items) => Body::List(items.iter().map(bare).collect()),
        scalar => Body::Scalar(scalar.clone()),
    };
    Traced::bare(body)
}
