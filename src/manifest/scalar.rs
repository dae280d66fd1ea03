//! What a scalar means to Kubernetes.
//!
//! kubectl, the API server and Argo CD read YAML with `sigs.k8s.io/yaml` (v1.6), which resolves
//! plain scalars by the rules of go-yaml v2: the booleans and octals of YAML 1.1, Go's number
//! syntax. `resolve` follows `resolve.go` of `go.yaml.in/yaml/v2`, and `key` the conversion of
//! map keys to strings in `convertToJSONableObject`.

use std::borrow::Cow;

use serde_json::{Number, Value};

/// The tags that change how a scalar is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    /// No tag.
    None,
    /// `!!str`, the lone `!`, and tags of applications: all read as text.
    Text,
    Int,
    Float,
    Bool,
    Null,
    Binary,
    /// Tags of collections, and `!!merge`: they change nothing that matters here.
    Other,
}

/// The value of a scalar with this text.
pub(super) fn read(text: &str, plain: bool, tag: Tag) -> Value {
    let as_text = || Value::String(text.to_owned());
    match tag {
        Tag::None | Tag::Other if plain => resolve(text).unwrap_or_else(as_text),
        Tag::None | Tag::Text | Tag::Other => as_text(),
        Tag::Binary => decode_base64(text).map_or_else(as_text, Value::String),
        // A value that its tag does not fit is an error for go-yaml; its text is the honest rest.
        Tag::Int | Tag::Float | Tag::Bool | Tag::Null => match (tag, resolve(text)) {
            (Tag::Int | Tag::Float, Some(value @ Value::Number(_)))
            | (Tag::Bool, Some(value @ Value::Bool(_)))
            | (Tag::Null, Some(value @ Value::Null)) => value,
            _ => as_text(),
        },
    }
}

/// The value of an untagged plain scalar; `None` where it is a string.
///
/// `.inf` and `.nan` stay strings: JSON has no such numbers and Kubernetes refuses them.
pub(super) fn resolve(text: &str) -> Option<Value> {
    let first = text.bytes().next();
    match first {
        None => Some(Value::Null),
        Some(b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~') => {
            word(text)
        }
        Some(b'.') => dotted_float(text).and_then(float),
        Some(b'0'..=b'9' | b'+' | b'-') => number(text),
        Some(_) => None,
    }
}

fn word(text: &str) -> Option<Value> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Some(Value::Bool(true))
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Some(Value::Bool(false))
        }
        "~" | "null" | "Null" | "NULL" => Some(Value::Null),
        _ => None,
    }
}

fn number(text: &str) -> Option<Value> {
    let plain: Cow<'_, str> = if text.contains('_') {
        text.replace('_', "").into()
    } else {
        text.into()
    };
    if let Some(value) = integer(&plain) {
        return Some(value);
    }
    if is_float(&plain) {
        float(plain.parse().ok()?)
    } else {
        None
    }
}

/// Go's `strconv.ParseInt(s, 0, 64)`, then `ParseUint`, which takes no sign.
fn integer(text: &str) -> Option<Value> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.is_empty() || !digits.bytes().all(|b| char::from(b).is_digit(radix)) {
        return None;
    }
    let size = i128::from_str_radix(digits, radix).ok()?;
    let value = if negative { -size } else { size };
    if let Ok(value) = i64::try_from(value) {
        return Some(value.into());
    }
    let signed = text.starts_with(['+', '-']);
    u64::try_from(value)
        .ok()
        .filter(|_| !signed)
        .map(Value::from)
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn is_float(text: &str) -> bool {
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(rest);
    let mut rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let length = digits(fraction);
        if whole == 0 && length == 0 {
            return false;
        }
        rest = &fraction[length..];
    } else if whole == 0 {
        return false;
    }
    let Some(exponent) = rest.strip_prefix(['e', 'E']) else {
        return rest.is_empty();
    };
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    !exponent.is_empty() && exponent.bytes().all(|b| b.is_ascii_digit())
}

/// What begins with a dot goes to `strconv.ParseFloat` as it stands, which takes an underscore
/// between two digits only.
fn dotted_float(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at))
            .is_some_and(u8::is_ascii_digit)
    };
    let placed = bytes
        .iter()
        .enumerate()
        .all(|(at, byte)| *byte != b'_' || (digit(at.checked_sub(1)) && digit(Some(at + 1))));
    let plain = text.replace('_', "");
    if placed && is_float(&plain) {
        plain.parse().ok()
    } else {
        None
    }
}

/// A float as `encoding/json` writes it: a whole number has no fraction there.
fn float(value: f64) -> Option<Value> {
    if !value.is_finite() {
        return None;
    }
    // Below 2^63 in size a whole float is exactly an i64.
    if value.fract() == 0.0 && value.abs() < 9_223_372_036_854_775_808.0 {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "checked to be whole and in range"
        )]
        return Some((value as i64).into());
    }
    Number::from_f64(value).map(Value::Number)
}

/// The string that a scalar is as a map key.
pub(super) fn key(text: &str, plain: bool, tag: Tag) -> Cow<'_, str> {
    if plain && tag == Tag::None && !may_resolve(text) {
        return text.into();
    }
    match read(text, plain, tag) {
        Value::Bool(value) => value.to_string().into(),
        Value::Number(value) => number_key(text, &value).into(),
        Value::String(value) => value.into(),
        // Kubernetes refuses a null key.
        Value::Null | Value::Array(_) | Value::Object(_) => text.into(),
    }
}

fn may_resolve(text: &str) -> bool {
    text.bytes()
        .next()
        .is_none_or(|b| b"yYnNtTfFoO~.+-".contains(&b) || b.is_ascii_digit())
}

/// `strconv.Itoa` for integers, `strconv.FormatFloat(f, 'g', -1, 32)` for floats.
fn number_key(text: &str, value: &Number) -> String {
    let plain = text.replace('_', "");
    if integer(&plain).is_some() {
        return value.to_string();
    }
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the library formats keys as 32-bit floats"
    )]
    let short = value.as_f64().unwrap_or_default() as f32;
    let scientific = format!("{short:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => format!("{short}"),
    }
}

fn decode_base64(text: &str) -> Option<String> {
    let (mut bits, mut held, mut out) = (0_u32, 0_u32, Vec::new());
    let text: Vec<u8> = text
        .bytes()
        .filter(|b| !matches!(b, b'\n' | b'\r'))
        .collect();
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take_while(|b| **b == b'=').count();
    if padding > 2 {
        return None;
    }
    for byte in &text[..text.len() - padding] {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from((bits >> held) & 0xff).ok()?);
        }
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}
