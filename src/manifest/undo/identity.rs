//! What tells the items of a list apart, in all three texts.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::manifest::merge_key::merge_key;
use crate::manifest::path::{Path, Step};

/// How the items of a list are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Identity {
    /// By fields of the items; the first one names them in paths.
    Fields(Vec<&'static str>),
    /// The items of a `List`: by kind, namespace and name.
    Objects,
    /// The items are scalars, each once.
    Itself,
}

/// Fields that name the items of lists for which Kubernetes has no merge key. They count only
/// where every item of all three lists has one of its own.
const NAMES: &[&[&str]] = &[
    &["name"],
    &["id"],
    &["key"],
    &["path"],
    &["host"],
    &["metadata.name", "kind"],
];

/// What a second field tells apart where the merge key alone does not.
const SECOND: &[(&str, &str)] = &[
    ("containerPort", "protocol"),
    ("port", "protocol"),
    ("mountPath", "subPath"),
    ("topologyKey", "whenUnsatisfiable"),
];

/// What tells these lists' items apart; `None` where nothing does.
pub(super) fn identity(path: &Path, is_list: bool, lists: &[&[Value]]) -> Option<Identity> {
    let all = || lists.iter().flat_map(|list| list.iter());
    let unique = |identity: &Identity| {
        lists.iter().all(|list| {
            let mut seen = HashSet::new();
            list.iter()
                .all(|item| name(identity, item).is_some_and(|name| seen.insert(name)))
        })
    };
    let fits = |identity: Identity| unique(&identity).then_some(identity);
    if all().all(|item| !item.is_object() && !item.is_array()) {
        let is_text = |item: &Value| item.as_str().is_some_and(|text| text.contains('\n'));
        if is_ordered(path) || all().any(is_text) {
            return None;
        }
        return fits(Identity::Itself);
    }
    if !all().all(Value::is_object) {
        return None;
    }
    if is_list && path.steps().len() == 1 && path.last() == Some(&Step::Key("items".to_owned())) {
        return fits(Identity::Objects);
    }
    if let Some(key) = merge_key(path) {
        let second = SECOND.iter().find(|(first, _)| *first == key);
        return fits(Identity::Fields(vec![key]))
            .or_else(|| fits(Identity::Fields(vec![key, second?.1])));
    }
    NAMES
        .iter()
        .find_map(|fields| fits(Identity::Fields(fields.to_vec())))
}

/// Words of a command line mean something by their place: no set.
pub(super) fn is_ordered(path: &Path) -> bool {
    matches!(path.last(), Some(Step::Key(key)) if ["command", "args"].contains(&&**key))
}

/// What an item is called; `None` where it has no such field.
pub(super) fn name(identity: &Identity, item: &Value) -> Option<String> {
    match identity {
        Identity::Itself => Some(item.to_string()),
        Identity::Objects => Some(object_name(item)),
        Identity::Fields(fields) => {
            let first = scalar(get(item, fields.first()?)?)?;
            let rest = fields.iter().skip(1);
            let rest = rest.map(|field| get(item, field).and_then(scalar).unwrap_or_default());
            Some(
                std::iter::once(first)
                    .chain(rest)
                    .collect::<Vec<_>>()
                    .join("\u{0}"),
            )
        }
    }
}

fn get<'v>(item: &'v Value, field: &str) -> Option<&'v Value> {
    field.split('.').try_fold(item, |item, key| item.get(key))
}

/// Kind, namespace and name; without the `apiVersion`, which a change may be about.
pub(super) fn object_name(item: &Value) -> String {
    let text = |value: Option<&Value>| value.and_then(scalar).unwrap_or_default();
    let meta = |name| text(item.get("metadata").and_then(|meta| meta.get(name)));
    [text(item.get("kind")), meta("namespace"), meta("name")].join("\u{0}")
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The step to an item.
pub(super) fn step(identity: &Identity, item: &Value, place: usize) -> Step {
    match identity {
        Identity::Fields(fields) => {
            let Some((first, value)) = fields
                .first()
                .and_then(|first| Some((first, get(item, first).and_then(scalar)?)))
            else {
                return Step::Index(place);
            };
            Step::Named {
                key: (*first).to_owned(),
                value,
            }
        }
        Identity::Itself | Identity::Objects => Step::Index(place),
    }
}

/// What the bad change put in the place of an element of a set: the same address with another
/// ref, tag or digest (`?ref=a` and `?ref=b`), each once.
pub(super) fn successors(good: &[String], bad: &[String]) -> HashMap<String, String> {
    let mut come: HashMap<String, Vec<&String>> = HashMap::new();
    for name in bad.iter().rev().filter(|name| !good.contains(name)) {
        come.entry(address(name)).or_default().push(name);
    }
    let gone = good.iter().filter(|name| !bad.contains(name));
    gone.filter_map(|old| {
        let new = come.get_mut(&address(old))?.pop()?;
        Some((old.clone(), new.clone()))
    })
    .collect()
}

/// An element without the ref, tag or digest at its end, and with one sign for every commit id and
/// release number in it.
fn address(text: &str) -> String {
    let text = text.split(['?', '@']).next().unwrap_or(text);
    let last = text.rfind('/').map_or(0, |slash| slash + 1);
    let tag = text[last..].rfind(':').filter(|_| last > 0);
    let text = tag.map_or(text, |colon| &text[..last + colon]);
    let mut out = String::new();
    for word in text.split_inclusive('/') {
        let bare = word.trim_end_matches('/');
        let is_id = bare.len() >= 7 && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = bare.strip_prefix('v').unwrap_or(bare);
        let is_number = number.contains('.')
            && number
                .split('.')
                .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
        out.push_str(if is_id || is_number { "#" } else { bare });
        out.push_str(&word[bare.len()..]);
    }
    // The quotes of a text that ends in a ref are cut off with it.
    out.trim_matches('"').to_owned()
}
