//! Template functions over lists, maps and numbers.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::traced::{Body, Traced};
use super::eval::{Val, plain_text};

/// A value as data: a text keeps its places where it is one value printed as it is.
pub(super) fn data(value: &Val) -> Traced {
    match value {
        Val::Data(node) => node.as_ref().clone(),
        Val::Unknown(why) => Traced::bare(Body::Unknown(why.to_string())),
        Val::Text(rope) => match rope.unknown() {
            Some(why) => Traced::bare(Body::Unknown(why.to_string())),
            None => Traced {
                body: Body::Scalar(Value::String(rope.text())),
                marks: rope.only_marks(),
            },
        },
    }
}

fn list(items: Vec<Traced>) -> Val {
    Val::of(Traced::bare(Body::List(items)))
}

fn items(value: &Val) -> Option<Vec<Traced>> {
    match value {
        Val::Data(node) => match &node.body {
            Body::List(items) => Some(items.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn fields(value: &Val) -> Option<&BTreeMap<String, Traced>> {
    match value {
        Val::Data(node) => node.fields(),
        _ => None,
    }
}

fn map(fields: BTreeMap<String, Traced>) -> Val {
    Val::of(Traced::bare(Body::Map(fields)))
}

/// Whether all of it is known.
pub(super) fn is_whole(node: &Traced) -> bool {
    match &node.body {
        Body::Unknown(_) | Body::Digest(_) => false,
        Body::Scalar(_) => true,
        Body::List(items) => items.iter().all(is_whole),
        Body::Map(fields) => fields.values().all(is_whole),
    }
}

/// Functions over data; `None` for any other one, and where the answer is not known.
pub(super) fn call(name: &str, arguments: &[Val]) -> Option<Val> {
    kinds(name, arguments)
        .or_else(|| lists(name, arguments))
        .or_else(|| maps(name, arguments))
        .or_else(|| numbers(name, arguments))
}

/// A number's kind: helm reads YAML's as float64, a template's own are int or int64.
const NUMBER: &str = "a number";

/// Go's kind of a value, as `kindOf` names it.
fn kind(value: &Val) -> Option<&'static str> {
    Some(match value {
        Val::Unknown(_) => return None,
        Val::Text(rope) if rope.unknown().is_some() => return None,
        Val::Text(_) => "string",
        Val::Data(node) => match &node.body {
            Body::Unknown(_) | Body::Digest(_) => return None,
            Body::Map(_) => "map",
            Body::List(_) => "slice",
            Body::Scalar(Value::Null) => "invalid",
            Body::Scalar(Value::Bool(_)) => "bool",
            Body::Scalar(Value::Number(_)) => NUMBER,
            Body::Scalar(_) => "string",
        },
    })
}

fn kinds(name: &str, arguments: &[Val]) -> Option<Val> {
    let text = |text: &str| Some(Val::plain(Value::String(text.to_owned())));
    let flag = |flag: bool| Some(Val::plain(Value::Bool(flag)));
    match (name, arguments) {
        ("kindOf", [value]) if kind(value)? != NUMBER => text(kind(value)?),
        ("kindIs", [wanted, value]) => flag(is_kind(kind(value)?, &wanted.word()?)?),
        ("typeOf", [value]) if kind(value)? != NUMBER => text(go_type(kind(value)?)),
        ("typeIs", [wanted, value]) => flag(is_kind(go_type(kind(value)?), &wanted.word()?)?),
        ("semverCompare", [constraint, version]) => flag(super::versions::fits(
            &constraint.word()?,
            &version.word()?,
        )?),
        ("len", [value]) => {
            let length = match value {
                Val::Data(node) => match &node.body {
                    Body::List(items) => items.len(),
                    Body::Map(fields) => fields.len(),
                    Body::Scalar(Value::String(text)) => text.len(),
                    _ => return None,
                },
                Val::Text(rope) if rope.unknown().is_none() => rope.text().len(),
                _ => return None,
            };
            Some(Val::plain(Value::from(length)))
        }
        _ => None,
    }
}

fn is_kind(own: &str, wanted: &str) -> Option<bool> {
    let of_numbers = wanted.starts_with("int") || wanted.starts_with("float");
    match own == NUMBER {
        true => (!of_numbers).then_some(false),
        false => Some(own == wanted),
    }
}

fn go_type(kind: &str) -> &str {
    match kind {
        "map" => "map[string]interface {}",
        "slice" => "[]interface {}",
        "invalid" => "<nil>",
        other => other,
    }
}

fn lists(name: &str, arguments: &[Val]) -> Option<Val> {
    let nth = |items: Vec<Traced>, at: Option<usize>| {
        let found = at.and_then(|at| items.get(at).cloned());
        Some(found.map_or_else(Val::nil, Val::of))
    };
    match (name, arguments) {
        ("list" | "tuple", all) => Some(list(all.iter().map(data).collect())),
        ("first", [of]) => nth(items(of)?, Some(0)),
        ("last", [of]) => {
            let items = items(of)?;
            let last = items.len().checked_sub(1);
            nth(items, last)
        }
        ("rest", [of]) => Some(list(items(of)?.into_iter().skip(1).collect())),
        ("initial", [of]) => {
            let mut items = items(of)?;
            items.pop();
            Some(list(items))
        }
        ("append" | "push", [of, new]) => {
            let mut items = items(of)?;
            items.push(data(new));
            Some(list(items))
        }
        ("prepend", [of, new]) => {
            let mut all = vec![data(new)];
            all.extend(items(of)?);
            Some(list(all))
        }
        ("concat", all) => {
            let all = all.iter().map(items).collect::<Option<Vec<_>>>()?;
            Some(list(all.into_iter().flatten().collect()))
        }
        ("reverse", [of]) => {
            let mut items = items(of)?;
            items.reverse();
            Some(list(items))
        }
        ("uniq", [of]) => {
            let mut all: Vec<Traced> = Vec::new();
            for item in items(of)? {
                if !is_whole(&item) {
                    return None;
                }
                if !all.iter().any(|own| own.value() == item.value()) {
                    all.push(item);
                }
            }
            Some(list(all))
        }
        ("compact", [of]) => {
            let mut all = Vec::new();
            for item in items(of)? {
                if Val::of(item.clone()).truth()? {
                    all.push(item);
                }
            }
            Some(list(all))
        }
        _ => chosen(name, arguments),
    }
}

/// Functions that pick out of lists.
fn chosen(name: &str, arguments: &[Val]) -> Option<Val> {
    match (name, arguments) {
        ("has", [wanted, of]) => {
            let wanted = data(wanted);
            let all = items(of)?;
            if !is_whole(&wanted) || !all.iter().all(is_whole) {
                return None;
            }
            let found = all.iter().any(|item| item.value() == wanted.value());
            Some(Val::plain(Value::Bool(found)))
        }
        ("index", [of, keys @ ..]) => index(of, keys),
        ("sortAlpha", [of]) => {
            let mut all = items(of)?;
            if !all.iter().all(|item| plain_text(item).is_some()) {
                return None;
            }
            all.sort_by_key(|item| plain_text(item).unwrap_or_default());
            Some(list(all))
        }
        ("until", [count]) => {
            let count: i64 = count.word()?.parse().ok()?;
            let numbers =
                (0..count.clamp(0, 1000)).map(|n| Traced::bare(Body::Scalar(Value::from(n))));
            Some(list(numbers.collect()))
        }
        _ => None,
    }
}

fn index(of: &Val, keys: &[Val]) -> Option<Val> {
    let mut here = data(of);
    for key in keys {
        here = match &here.body {
            Body::Map(fields) => match fields.get(&key.word()?) {
                Some(next) => next.clone(),
                None => return Some(Val::nil()),
            },
            Body::List(items) => items.get(key.word()?.parse::<usize>().ok()?)?.clone(),
            _ => return None,
        };
    }
    match &here.body {
        Body::Unknown(_) | Body::Digest(_) => None,
        _ => Some(Val::of(here)),
    }
}

fn maps(name: &str, arguments: &[Val]) -> Option<Val> {
    match (name, arguments) {
        ("dict", all) if all.len().is_multiple_of(2) => {
            let mut fields = BTreeMap::new();
            for pair in all.chunks(2) {
                fields.insert(pair[0].word()?, data(&pair[1]));
            }
            Some(map(fields))
        }
        ("deepCopy", [value]) => Some(value.clone()),
        ("keys", [of]) => {
            // Their order is not fixed in Go.
            let keys = fields(of)?.keys();
            let key = |key: &String| Traced::bare(Body::Scalar(Value::String(key.clone())));
            (fields(of)?.len() < 2).then(|| list(keys.map(key).collect()))
        }
        ("values", [of]) => {
            let of = fields(of)?;
            (of.len() < 2).then(|| list(of.values().cloned().collect()))
        }
        ("pick", [of, names @ ..]) => {
            let names = names.iter().map(Val::word).collect::<Option<Vec<_>>>()?;
            let mut own = fields(of)?.clone();
            own.retain(|key, _| names.contains(key));
            Some(map(own))
        }
        ("omit", [of, names @ ..]) => {
            let names = names.iter().map(Val::word).collect::<Option<Vec<_>>>()?;
            let mut own = fields(of)?.clone();
            own.retain(|key, _| !names.contains(key));
            Some(map(own))
        }
        ("dig", [keys @ .., fallback, of]) => {
            let mut here = data(of);
            for key in keys {
                let next = here.key(&key.word()?).cloned();
                match next {
                    Some(next) => here = next,
                    None if here.fields().is_some() => return Some(fallback.clone()),
                    None => return None,
                }
            }
            Some(Val::of(here))
        }
        ("merge" | "mergeOverwrite", [into, rest @ ..]) => {
            let over = name.ends_with("Overwrite");
            let mut all = fields(into)?.clone();
            for other in rest {
                merge(&mut all, fields(other)?, over)?;
            }
            Some(map(all))
        }
        ("set", [of, key, value]) => {
            let mut own = fields(of)?.clone();
            own.insert(key.word()?, data(value));
            Some(map(own))
        }
        ("unset", [of, key]) => {
            let mut own = fields(of)?.clone();
            own.remove(&key.word()?);
            Some(map(own))
        }
        _ => None,
    }
}

/// As mergo does for sprig: maps by key; an empty value gives way in `merge`, and does not
/// overwrite in `mergeOverwrite`.
fn merge(
    into: &mut BTreeMap<String, Traced>,
    from: &BTreeMap<String, Traced>,
    over: bool,
) -> Option<()> {
    for (key, new) in from {
        let Some(own) = into.get_mut(key) else {
            into.insert(key.clone(), new.clone());
            continue;
        };
        if let (Some(inner), Some(new)) = (own.fields_mut(), new.fields()) {
            merge(inner, new, over)?;
            continue;
        }
        let (winner, loser) = if over { (new, &*own) } else { (&*own, new) };
        let full = Val::of(winner.clone()).truth()?;
        let chosen = if full { winner.clone() } else { loser.clone() };
        *own = chosen;
    }
    Some(())
}

fn numbers(name: &str, arguments: &[Val]) -> Option<Val> {
    let whole = |value: &Val| -> Option<i64> {
        match value {
            Val::Data(node) if node.is_null() => Some(0),
            other => {
                let text = other.word()?;
                match text.as_str() {
                    "" | "false" => Some(0),
                    "true" => Some(1),
                    text => text.parse().ok(),
                }
            }
        }
    };
    let all = || arguments.iter().map(whole).collect::<Option<Vec<i64>>>();
    let flag = |flag: bool| Some(Val::plain(Value::Bool(flag)));
    let number = |number: i64| Some(Val::plain(Value::from(number)));
    match (name, arguments) {
        ("int" | "int64" | "atoi", [value]) => number(whole(value)?),
        ("add", [_, ..]) => number(all()?.iter().sum()),
        ("add1", [value]) => number(whole(value)?.checked_add(1)?),
        ("sub", [a, b]) => number(whole(a)?.checked_sub(whole(b)?)?),
        ("mul", [_, ..]) => number(all()?.iter().try_fold(1i64, |a, b| a.checked_mul(*b))?),
        ("div", [a, b]) => number(whole(a)?.checked_div(whole(b)?)?),
        ("mod", [a, b]) => number(whole(a)?.checked_rem(whole(b)?)?),
        ("max", [_, ..]) => number(all()?.into_iter().max()?),
        ("min", [_, ..]) => number(all()?.into_iter().min()?),
        ("lt" | "le" | "gt" | "ge", [a, b]) => {
            let order = compared(a, b)?;
            flag(match name {
                "lt" => order.is_lt(),
                "le" => order.is_le(),
                "gt" => order.is_gt(),
                _ => order.is_ge(),
            })
        }
        _ => None,
    }
}

/// Only values of one type are compared; Go refuses others.
fn compared(a: &Val, b: &Val) -> Option<std::cmp::Ordering> {
    let (a, b) = (data(a), data(b));
    match (&a.body, &b.body) {
        (Body::Scalar(Value::Number(x)), Body::Scalar(Value::Number(y))) => {
            Some(x.as_i64()?.cmp(&y.as_i64()?))
        }
        (Body::Scalar(Value::String(x)), Body::Scalar(Value::String(y))) => Some(x.cmp(y)),
        _ => None,
    }
}
