//! Package rules in a JSON file, put in and taken out without touching any other byte. JSON is
//! YAML in flow style, so the places are those of the manifest editor's tree.

use regex::Regex;
use serde_json::Value;

use crate::manifest::{Address, Manifest, Path, Step};
use crate::model::{MASK, mask_text};

const RULES: &str = "packageRules";

/// The text with one more package rule at the end, where a later rule wins over earlier ones.
///
/// # Errors
/// Why it cannot be put in.
pub(super) fn with_rule(text: &str, rule: &Value) -> Result<Option<String>, String> {
    let before = read(text)?;
    let rules = before[RULES].as_array();
    if rules.is_some_and(|rules| rules.contains(rule)) {
        return Ok(None);
    }
    let unit = unit_of(text);
    let lines = serde_json::to_string_pretty(rule).map_err(|error| error.to_string())?;
    let manifest = Manifest::parse(text).map_err(|error| error.to_string())?;
    let after = match rules {
        Some(rules) => {
            let at = Path::of_keys([RULES]);
            let end = closing(&manifest, &at, ']')?;
            let block = indented(&lines, unit, &unit.repeat(2));
            insert(text, end, rules.is_empty(), &block, unit)
        }
        None => {
            let end = closing(&manifest, &Path::default(), '}')?;
            let empty = before.as_object().is_none_or(serde_json::Map::is_empty);
            let block = indented(&lines, unit, &unit.repeat(2));
            let block = format!("{unit}\"{RULES}\": [\n{block}\n{unit}]");
            insert(text, end, empty, &block, "")
        }
    };
    let mut wanted = before;
    match wanted[RULES].as_array_mut() {
        Some(rules) => rules.push(rule.clone()),
        None => wanted[RULES] = Value::Array(vec![rule.clone()]),
    }
    proven(after, &wanted).map(Some)
}

/// The text without a package rule; `None` where there is none like it. `alone` says that the
/// list itself came with the rule.
///
/// # Errors
/// Why it cannot be taken out.
pub(super) fn without_rule(
    text: &str,
    rule: &Value,
    alone: bool,
) -> Result<Option<String>, String> {
    let mut wanted = read(text)?;
    let Some(rules) = wanted[RULES].as_array_mut() else {
        return Ok(None);
    };
    let Some(place) = rules.iter().position(|own| own == rule) else {
        return Ok(None);
    };
    rules.remove(place);
    let gone = alone && rules.is_empty();
    let manifest = Manifest::parse(text).map_err(|error| error.to_string())?;
    let address = Address::document(0);
    let list = Path::of_keys([RULES]);
    let path = if gone {
        list
    } else {
        list.child(Step::Index(place))
    };
    let span = manifest
        .span(&address, &path)
        .ok_or("its place is not known")?;
    let start = if gone {
        // The key stands before the value.
        let before = text.get(..span.start).unwrap_or_default();
        before
            .rfind(&format!("\"{RULES}\""))
            .ok_or("its key is not known")?
    } else {
        span.start
    };
    if gone && let Some(map) = wanted.as_object_mut() {
        map.remove(RULES);
    }
    let before = text.get(..start).unwrap_or_default().trim_end();
    let after = text.get(span.end..).unwrap_or_default();
    let rest = after.trim_start();
    let text = if let Some(before) = before.strip_suffix(',') {
        // The last one: the comma before it goes as well.
        format!("{before}{after}")
    } else if let Some(rest) = rest.strip_prefix(',') {
        let gap = text.get(before.len()..start).unwrap_or_default();
        format!("{before}{gap}{}", rest.trim_start())
    } else {
        format!("{before}{rest}")
    };
    proven(text, &wanted).map(Some)
}

/// A diff of a JSON configuration with the values hidden that may be secrets: Renovate's
/// configuration may have tokens in `hostRules`, `npmToken` or `env`.
#[must_use]
pub fn masked_diff(diff: &str) -> String {
    let secret = Regex::new(
        r#"(?i)("[^"]*(?:token|password|secret|encrypted|username|npmrc|privatekey|apikey)[^"]*"\s*:\s*)"(?:[^"\\]|\\.)*""#,
    );
    match secret {
        Ok(secret) => secret
            .replace_all(&mask_text(diff), format!("$1\"{MASK}\""))
            .into_owned(),
        Err(_) => String::new(),
    }
}

fn read(text: &str) -> Result<Value, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if value.is_object() {
        Ok(value)
    } else {
        Err("it is no JSON object".to_owned())
    }
}

/// The text, if it says what it should.
fn proven(text: String, wanted: &Value) -> Result<String, String> {
    if read(&text)? == *wanted {
        Ok(text)
    } else {
        Err("the edit would change something else".to_owned())
    }
}

/// What one level is indented by: the first indented line's.
fn unit_of(text: &str) -> &str {
    let indent = |line: &'_ str| line.len() - line.trim_start().len();
    let line = text.lines().find(|line| indent(line) > 0);
    line.and_then(|line| line.get(..indent(line)))
        .unwrap_or("  ")
}

/// JSON of two spaces a level with the file's own indentation, everything below `base`.
fn indented(lines: &str, unit: &str, base: &str) -> String {
    let lines = lines.lines().map(|line| {
        let rest = line.trim_start();
        let level = (line.len() - rest.len()) / 2;
        format!("{base}{}{rest}", unit.repeat(level))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Where the closing bracket of a value stands.
fn closing(manifest: &Manifest, path: &Path, bracket: char) -> Result<usize, String> {
    let missing = || "its place is not known".to_owned();
    let span = match path.is_empty() {
        true => 0..manifest.text().len(),
        false => manifest
            .span(&Address::document(0), path)
            .ok_or_else(missing)?,
    };
    let own = manifest.text().get(span.clone()).ok_or_else(missing)?;
    let at = own.rfind(bracket).ok_or_else(missing)?;
    Ok(span.start + at)
}

/// Puts a block before a closing bracket, on lines of its own.
fn insert(text: &str, end: usize, empty: bool, block: &str, indent: &str) -> String {
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let before = text.get(..end).unwrap_or_default().trim_end();
    let after = text.get(end..).unwrap_or_default();
    let comma = if empty { "" } else { "," };
    let block = block.replace('\n', newline);
    format!("{before}{comma}{newline}{block}{newline}{indent}{after}")
}
