//! Writing strings so that everybody reads them back as the same string.
//!
//! Kubernetes reads with the rules of YAML 1.1 as go-yaml v2 has them, other tools with those of
//! 1.2. A string stays plain only where neither could take it for anything else; the rule is
//! narrow on purpose, a needless quote harms nobody.

use super::tree::Style;

/// Words that some reader takes for null, a boolean or a number (compared without case).
const RESERVED: &[&str] = &[
    "null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf",
];

/// True where the string may stand without quotes, in block and in flow context.
pub(super) fn plain_safe(text: &str) -> bool {
    let Some(first) = text.bytes().next() else {
        return false;
    };
    let begins_well = first.is_ascii_alphabetic() || matches!(first, b'_' | b'/');
    if !begins_well && !is_release_number(text) {
        return false;
    }
    text.len() <= 1000
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_./:@+ =~-".contains(&b))
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && !RESERVED.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// `1.27.3`, `1.27.3-alpine`: three numbers make it no float in any YAML.
fn is_release_number(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or("");
    let parts: Vec<&str> = core.split('.').collect();
    parts.len() >= 3
        && parts[..3]
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
        && !text.contains(':')
}

/// True for what quotes can hold as it is: printable, no line breaks.
fn printable(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

/// The string as a scalar on one line, in this style where it can be.
pub(super) fn inline(text: &str, style: Style) -> String {
    match style {
        Style::Single if text.chars().all(printable) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        Style::Plain | Style::Literal | Style::Folded if plain_safe(text) => text.to_owned(),
        _ => double(text),
    }
}

fn double(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if printable(c) => out.push(c),
            c if u32::from(c) <= 0xff => out.push_str(&format!("\\x{:02X}", u32::from(c))),
            c if u32::from(c) <= 0xffff => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08X}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// The header of a literal block that holds the string, where one can.
pub(super) fn literal_header(text: &str) -> Option<&'static str> {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let fits = body.contains('\n')
        && !body.starts_with([' ', '\n', '\t'])
        && !body.ends_with('\n')
        && body
            .lines()
            .all(|line| !line.ends_with([' ', '\t']) && !line.starts_with('\t'))
        && body.chars().all(|c| c == '\n' || c == '\t' || printable(c));
    match (fits, text.ends_with('\n')) {
        (false, _) => None,
        (true, true) => Some("|"),
        (true, false) => Some("|-"),
    }
}
