//! The template functions that charts use most; any other one makes its expression unknown.

use std::rc::Rc;

use serde_json::Value;

use super::super::traced::{Body, Mark, Traced};
use super::eval::{Here, Run, Val, placed, placeholder, plain_text};
use super::parse::parse;
use super::rope::{Origin, Rope};
use super::scope::Scope;
use super::{data, texts};

/// How deep templates may include each other.
const DEPTH: usize = 20;

pub(super) fn call(run: &Run<'_>, name: &str, arguments: Vec<Val>, here: &Here) -> Val {
    // `mustX` differs from `x` only in how it fails.
    let plain = name.strip_prefix("must").map(|rest| {
        let mut letters = rest.chars();
        let first = letters.next().map(|c| c.to_ascii_lowercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    let own = plain.as_deref().unwrap_or(name);
    let known = logic(own, &arguments)
        .or_else(|| choice(own, &arguments))
        .or_else(|| text(run, own, &arguments, here))
        .or_else(|| structure(run, own, &arguments, here))
        .or_else(|| texts::call(run, own, &arguments, here))
        .or_else(|| data::call(own, &arguments));
    match known {
        Some(value) => value,
        None => match arguments.into_iter().find(|a| matches!(a, Val::Unknown(_))) {
            Some(unknown) => unknown,
            None => Val::Unknown(Rc::from(format!("{name} in {}", run.file))),
        },
    }
}

fn is_unknown(value: &Val) -> bool {
    match value {
        Val::Unknown(_) => true,
        Val::Text(rope) => rope.unknown().is_some(),
        Val::Data(node) => matches!(node.body, Body::Unknown(_) | Body::Digest(_)),
    }
}

fn logic(name: &str, arguments: &[Val]) -> Option<Val> {
    let flag = |flag: bool| Some(Val::plain(Value::Bool(flag)));
    let words = || -> Option<Vec<String>> { arguments.iter().map(Val::word).collect() };
    match (name, arguments) {
        ("not", [one]) => flag(!one.truth()?),
        ("and", all) => {
            for value in all {
                if !value.truth()? {
                    return Some(value.clone());
                }
            }
            all.last().cloned()
        }
        ("or", all) => {
            for value in all {
                if value.truth()? {
                    return Some(value.clone());
                }
            }
            all.last().cloned()
        }
        ("empty", [one]) => flag(!one.truth()?),
        // Nothing is like something (Go 1.18 and later).
        ("eq" | "ne", [a, b]) if is_nil(a) != is_nil(b) && known_kind(a) && known_kind(b) => {
            flag(name == "ne")
        }
        ("eq" | "ne", all) if !alike(all) => None,
        ("eq", [first, rest @ ..]) if !rest.is_empty() => {
            let first = first.word()?;
            let rest: Option<Vec<String>> = rest.iter().map(Val::word).collect();
            flag(rest?.contains(&first))
        }
        ("ne", [_, _]) => words().and_then(|w| flag(w[0] != w[1])),
        ("contains", [_, _]) => words().and_then(|w| flag(w[1].contains(&w[0]))),
        ("hasPrefix", [_, _]) => words().and_then(|w| flag(w[1].starts_with(&w[0]))),
        ("hasSuffix", [_, _]) => words().and_then(|w| flag(w[1].ends_with(&w[0]))),
        ("hasKey", [Val::Data(map), key]) => flag(map.fields()?.contains_key(&key.word()?)),
        _ => None,
    }
}

fn is_nil(value: &Val) -> bool {
    matches!(value, Val::Data(node) if node.is_null())
}

fn known_kind(value: &Val) -> bool {
    is_nil(value) || !is_unknown(value)
}

/// Whether values are of one type; Go refuses to compare others.
fn alike(values: &[Val]) -> bool {
    let kind = |value: &Val| match value {
        Val::Data(node) => match &node.body {
            Body::Scalar(Value::Bool(_)) => 1,
            Body::Scalar(Value::Number(_)) => 2,
            Body::Scalar(Value::String(_)) => 3,
            _ => 0,
        },
        Val::Text(_) => 3,
        Val::Unknown(_) => 0,
    };
    let mut kinds = values.iter().map(kind);
    let first = kinds.next().unwrap_or(0);
    first != 0 && kinds.all(|kind| kind == first)
}

/// Functions that hand one of their arguments on as it is.
fn choice(name: &str, arguments: &[Val]) -> Option<Val> {
    match (name, arguments) {
        ("default", [other, value]) => match value.truth()? {
            true => Some(value.clone()),
            false => Some(skipping(other.clone(), value)),
        },
        ("default", [other]) => Some(other.clone()),
        ("coalesce", all) => {
            for value in all {
                if value.truth()? {
                    return Some(value.clone());
                }
            }
            Some(Val::nil())
        }
        ("ternary", [yes, no, flag]) => Some(if flag.truth()? {
            yes.clone()
        } else {
            no.clone()
        }),
        ("required", [_, value]) if value.truth()? => Some(value.clone()),
        ("int" | "int64", [Val::Data(node)]) => match &node.body {
            Body::Scalar(Value::Number(number)) => number.is_i64().then(|| Val::Data(node.clone())),
            _ => None,
        },
        ("get", [Val::Data(map), key]) => {
            let found = map.fields()?.get(&key.word()?);
            Some(found.map_or_else(
                || Val::plain(Value::String(String::new())),
                |v| Val::of(v.clone()),
            ))
        }
        _ => None,
    }
}

/// A default that is taken, with the empty value that would win were it full.
fn skipping(other: Val, empty: &Val) -> Val {
    let (Val::Data(node), Val::Data(below)) = (other.clone(), empty) else {
        return other;
    };
    let (Some(text), false) = (plain_text(&node), below.marks.is_empty()) else {
        return other;
    };
    if node.marks.is_empty() {
        return other;
    }
    let mut rope = Rope::default();
    rope.push(
        text,
        Origin::Leaf {
            expression: Rc::from(""),
            marks: node.marks.clone(),
            skipped: below
                .marks
                .last()
                .cloned()
                .into_iter()
                .collect::<Vec<Mark>>(),
        },
    );
    Val::Text(rope)
}

/// A value as text with its origins; unknown parts stay unknown.
fn rope(run: &Run<'_>, value: &Val, here: &Here) -> Rope {
    let mut rope = run.printed(value.clone(), here);
    for part in &mut rope.0 {
        if let Origin::Leaf { expression, .. } = &mut part.origin
            && expression.is_empty()
        {
            *expression = here.expression.clone();
        }
    }
    rope
}

fn text(run: &Run<'_>, name: &str, arguments: &[Val], here: &Here) -> Option<Val> {
    let made = |text: String| {
        let mut rope = Rope::default();
        rope.push(text, run.computed(here));
        Some(Val::Text(rope))
    };
    // Text that stays as it is keeps its origin.
    let kept = |value: &Val, new: String| match value.word()? == new {
        true => Some(value.clone()),
        false => made(new),
    };
    match (name, arguments) {
        ("quote" | "squote", [value]) => {
            let mark = if name == "quote" { "\"" } else { "'" };
            match value {
                Val::Unknown(_) => return Some(value.clone()),
                // sprig leaves nothing out of nothing, not even the quotes.
                Val::Data(node) if node.is_null() => return Some(Val::Text(Rope::default())),
                _ => {}
            }
            let inner = rope(run, value, here);
            let mut quoted = Rope::default();
            quoted.push(mark, run.computed(here));
            for part in inner.0 {
                let text = match name {
                    "quote" => part.text.replace('\\', "\\\\").replace('"', "\\\""),
                    _ => part.text,
                };
                quoted.push(text.replace('\n', "\\n"), part.origin);
            }
            quoted.push(mark, run.computed(here));
            Some(Val::Text(quoted))
        }
        ("trunc", [count, value]) => {
            let (count, own): (i64, String) = (count.word()?.parse().ok()?, value.word()?);
            let most = usize::try_from(count.unsigned_abs()).ok()?;
            // A negative count keeps the end.
            let skipped = match count < 0 {
                true => own.chars().count().saturating_sub(most),
                false => 0,
            };
            kept(value, own.chars().skip(skipped).take(most).collect())
        }
        ("trimSuffix", [end, value]) => {
            let (end, own) = (end.word()?, value.word()?);
            kept(value, own.strip_suffix(&*end).unwrap_or(&own).to_owned())
        }
        ("trimPrefix", [start, value]) => {
            let (start, own) = (start.word()?, value.word()?);
            kept(value, own.strip_prefix(&*start).unwrap_or(&own).to_owned())
        }
        ("trim", [value]) => kept(value, value.word()?.trim().to_owned()),
        ("lower", [value]) => kept(value, value.word()?.to_lowercase()),
        ("upper", [value]) => kept(value, value.word()?.to_uppercase()),
        ("replace", [old, new, value]) => {
            kept(value, value.word()?.replace(&*old.word()?, &new.word()?))
        }
        ("printf", [format, rest @ ..]) => printf(run, &format.word()?, rest, here),
        ("indent" | "nindent", [count, value]) => {
            let count: usize = count.word()?.parse().ok()?;
            let origin = run.computed(here);
            let inner = rope(run, value, here).indented(count, &origin);
            let mut out = Rope::default();
            if name == "nindent" {
                out.push("\n", origin);
            }
            out.append(inner);
            Some(Val::Text(out))
        }
        _ => None,
    }
}

fn printf(run: &Run<'_>, format: &str, arguments: &[Val], here: &Here) -> Option<Val> {
    let mut out = Rope::default();
    let mut rest = format;
    let mut arguments = arguments.iter();
    while let Some((before, after)) = rest.split_once('%') {
        out.push(before, run.computed(here));
        match after.chars().next()? {
            '%' => out.push("%", run.computed(here)),
            'd' => {
                let value = arguments.next()?;
                // A number of the values is a float, of which Go prints a complaint.
                let made = matches!(value, Val::Data(node) if node.marks.is_empty());
                value.word().filter(|_| made)?.parse::<i64>().ok()?;
                out.append(rope(run, value, here));
            }
            verb @ ('s' | 'v') => {
                let value = arguments.next()?;
                // Go prints a complaint where a verb and a value do not fit.
                match value {
                    Val::Data(node) if node.is_null() => return None,
                    Val::Data(node) if verb == 's' && node.text().is_none() => return None,
                    _ => out.append(rope(run, value, here)),
                }
            }
            _ => return None,
        }
        rest = &after[1..];
    }
    out.push(rest, run.computed(here));
    match arguments.next() {
        Some(_) => None,
        None => Some(Val::Text(out)),
    }
}

fn structure(run: &Run<'_>, name: &str, arguments: &[Val], here: &Here) -> Option<Val> {
    match (name, arguments) {
        ("include", [template, dot]) => include(run, &template.word()?, dot),
        ("tpl", [value, dot]) => tpl(run, value, dot, here),
        ("toYaml", [value]) if !matches!(value, Val::Unknown(_)) => {
            let mut rope = Rope::default();
            yaml(run, &data::data(value), 0, here, &mut rope);
            Some(Val::Text(rope))
        }
        _ => None,
    }
}

fn include(run: &Run<'_>, name: &str, dot: &Val) -> Option<Val> {
    let (file, nodes) = run.library.named.get(name)?;
    if run.depth > DEPTH {
        return None;
    }
    let inner = Run {
        library: run.library,
        file: file.clone(),
        depth: run.depth + 1,
        inside: None,
    };
    let mut rope = Rope::default();
    match inner.nodes(nodes, &mut Scope::new(dot.clone()), &mut rope) {
        Ok(_) => Some(Val::Text(rope)),
        Err(why) => Some(Val::Unknown(Rc::from(why))),
    }
}

/// A text that is run as a template; one without expressions stays what it is.
fn tpl(run: &Run<'_>, value: &Val, dot: &Val, here: &Here) -> Option<Val> {
    let text = value.word()?;
    if !text.contains("{{") {
        return Some(value.clone());
    }
    if run.depth > DEPTH {
        return None;
    }
    let inner = Run {
        library: run.library,
        file: run.file.clone(),
        depth: run.depth + 1,
        inside: Some(here.clone()),
    };
    let nodes = parse(&text).ok()?;
    let mut rope = Rope::default();
    let done = inner.nodes(&nodes, &mut Scope::new(dot.clone()), &mut rope);
    Some(match done {
        Ok(_) => Val::Text(rope),
        Err(why) => Val::Unknown(Rc::from(why)),
    })
}

/// A value as YAML, one part per scalar.
fn yaml(run: &Run<'_>, node: &Traced, deep: usize, here: &Here, out: &mut Rope) {
    let made = || run.computed(here);
    let pad = " ".repeat(deep);
    match &node.body {
        Body::Map(fields) if !fields.is_empty() => {
            for (place, (key, value)) in fields.iter().enumerate() {
                if place > 0 {
                    out.push(format!("\n{pad}"), made());
                }
                out.push(format!("{}:", Value::String(key.clone())), made());
                if is_full(value) {
                    out.push(format!("\n{pad}  "), made());
                    yaml(run, value, deep + 2, here, out);
                } else {
                    out.push(" ", made());
                    yaml(run, value, deep, here, out);
                }
            }
        }
        Body::List(items) if !items.is_empty() => {
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(format!("\n{pad}"), made());
                }
                out.push("- ", made());
                yaml(run, item, deep + 2, here, out);
            }
        }
        Body::Map(_) => out.push("{}", made()),
        Body::List(_) => out.push("[]", made()),
        Body::Scalar(Value::String(text)) => {
            let quoted = Value::String(text.clone()).to_string();
            out.push("\"", made());
            out.append(run.leaf(&node.marks, quoted[1..quoted.len() - 1].to_owned(), here));
            out.push("\"", made());
        }
        Body::Scalar(value) => out.append(run.leaf(&node.marks, value.to_string(), here)),
        Body::Unknown(why) => out.append(placeholder(&Rc::from(why.as_str()))),
        Body::Digest(digest) => out.append(placed(digest.clone())),
    }
}

fn is_full(node: &Traced) -> bool {
    match &node.body {
        Body::Map(fields) => !fields.is_empty(),
        Body::List(items) => !items.is_empty(),
        Body::Scalar(_) | Body::Unknown(_) | Body::Digest(_) => false,
    }
}
