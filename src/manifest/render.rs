//! New YAML text for values.

use serde_json::Value;

use super::json::is_full_collection;
use super::quote::{inline, literal_header, plain_safe};
use super::text::{line_start, majority_break};
use super::tree::{Kind, NodeId, Style, Tree};

/// How the document around is written, so that new lines look like the old ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// How much deeper a map stands than the map around it.
    pub(super) step: usize,
    /// How much deeper a list's dashes stand than the key above them.
    pub(super) dash: usize,
    /// The line break.
    pub(super) newline: &'static str,
    /// Set when the first attempt failed: strings of several lines are quoted instead of becoming
    /// literal blocks, and what is removed takes the deeper comments behind it along.
    pub(super) careful: bool,
}

impl Layout {
    /// What most of the document's first collections do.
    pub(super) fn of(text: &str, tree: &Tree) -> Self {
        const SAMPLE: usize = 2000;
        let column = |at: usize| at - line_start(text, at);
        let (mut steps, mut dashes) = ([0_usize; 10], [0_usize; 10]);
        for (place, node) in tree.nodes.iter().enumerate().take(SAMPLE) {
            let Kind::Map {
                flow: false,
                entries,
            } = &node.kind
            else {
                continue;
            };
            let _ = place;
            for entry in entries {
                let value = tree.node(entry.value);
                if !value.is_block_collection() {
                    continue;
                }
                let around = column(tree.node(entry.key).outer_start());
                let (inner, counts) = match &value.kind {
                    Kind::Seq { items, .. } => (items.first().map(|item| item.dash), &mut dashes),
                    _ => (Some(value.start), &mut steps),
                };
                let deeper = inner.and_then(|at| column(at).checked_sub(around));
                if let Some(count) = deeper.and_then(|deeper| counts.get_mut(deeper)) {
                    *count += 1;
                }
            }
        }
        let most = |counts: &[usize], default: usize| {
            let best = counts
                .iter()
                .enumerate()
                .max_by_key(|(at, count)| (**count, *at == default));
            best.filter(|(_, count)| **count > 0)
                .map_or(default, |(at, _)| at)
        };
        let step = most(&steps[1..], 1) + 1;
        Self {
            step,
            dash: most(&dashes, step),
            newline: majority_break(text),
            careful: false,
        }
    }
}

/// A scalar's text: on one line, or as the header and lines of a literal block.
pub(super) enum Written {
    Inline(String),
    Literal {
        header: &'static str,
        lines: Vec<String>,
    },
}

/// Writes a scalar or an empty collection in block context. `style` is that of the scalar it
/// takes the place of.
pub(super) fn scalar(value: &Value, style: Option<Style>, layout: Layout) -> Written {
    let Value::String(text) = value else {
        return Written::Inline(flow(value, style));
    };
    let may_be_block = !layout.careful
        && style.is_none_or(|style| !matches!(style, Style::Single | Style::Double));
    match literal_header(text) {
        Some(header) if may_be_block => {
            let body = text.strip_suffix('\n').unwrap_or(text);
            Written::Literal {
                header,
                lines: body.split('\n').map(str::to_owned).collect(),
            }
        }
        _ => Written::Inline(inline(text, style.unwrap_or(Style::Plain))),
    }
}

/// Writes any value on one line.
pub(super) fn flow(value: &Value, style: Option<Style>) -> String {
    match value {
        Value::String(text) => inline(text, style.unwrap_or(Style::Plain)),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| flow(item, None)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| flow_entry(name, value))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// `key: value` on one line.
pub(super) fn flow_entry(name: &str, value: &Value) -> String {
    format!("{}: {}", key(name), flow(value, None))
}

/// A map key.
pub(super) fn key(name: &str) -> String {
    if plain_safe(name) {
        name.to_owned()
    } else {
        inline(name, Style::Double)
    }
}

/// The lines of `key: value` at a column, indented, without line breaks.
pub(super) fn entry(name: &str, value: &Value, column: usize, layout: Layout) -> Vec<String> {
    let mut out = Vec::new();
    push_entry(name, value, column, layout, &mut out);
    out
}

/// The lines of `- value` at a column.
pub(super) fn item(value: &Value, column: usize, layout: Layout) -> Vec<String> {
    let mut out = Vec::new();
    push_item(value, column, layout, &mut out);
    out
}

/// The lines of a map or list with something in it, at a column.
pub(super) fn collection(value: &Value, column: usize, layout: Layout) -> Vec<String> {
    let mut out = Vec::new();
    push_collection(value, column, layout, &mut out);
    out
}

fn push_collection(value: &Value, column: usize, layout: Layout, out: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                push_entry(name, value, column, layout, out);
            }
        }
        Value::Array(items) => {
            for value in items {
                push_item(value, column, layout, out);
            }
        }
        _ => {}
    }
}

fn push_entry(name: &str, value: &Value, column: usize, layout: Layout, out: &mut Vec<String>) {
    let head = format!("{}{}:", " ".repeat(column), key(name));
    if is_full_collection(value) {
        out.push(head);
        let deeper = if value.is_array() {
            layout.dash
        } else {
            layout.step
        };
        push_collection(value, column + deeper, layout, out);
        return;
    }
    push_scalar(&head, value, column + layout.step, layout, out);
}

fn push_item(value: &Value, column: usize, layout: Layout, out: &mut Vec<String>) {
    let head = format!("{}-", " ".repeat(column));
    if is_full_collection(value) {
        let first = out.len();
        push_collection(value, column + 2, layout, out);
        if let Some(line) = out.get_mut(first) {
            line.replace_range(column..column + 1, "-");
        }
        return;
    }
    push_scalar(&head, value, column + 2, layout, out);
}

fn push_scalar(head: &str, value: &Value, column: usize, layout: Layout, out: &mut Vec<String>) {
    match scalar(value, None, layout) {
        Written::Inline(text) => out.push(format!("{head} {text}")),
        Written::Literal { header, lines } => {
            out.push(format!("{head} {header}"));
            out.extend(lines.into_iter().map(|line| indented(&line, column)));
        }
    }
}

/// A line of a literal block; an empty one stays empty.
pub(super) fn indented(line: &str, column: usize) -> String {
    if line.is_empty() {
        String::new()
    } else {
        format!("{}{line}", " ".repeat(column))
    }
}

/// The column of a byte.
pub(super) fn column(text: &str, at: usize) -> usize {
    at - line_start(text, at)
}

/// The style of the scalar at a node.
pub(super) fn style(tree: &Tree, id: NodeId) -> Option<Style> {
    match &tree.node(id).kind {
        Kind::Scalar(scalar) if !scalar.absent => Some(scalar.style),
        _ => None,
    }
}

/// A value as the text of one YAML document, in block style.
#[must_use]
pub fn to_yaml(value: &Value) -> String {
    let layout = Layout {
        step: 2,
        dash: 0,
        newline: "\n",
        careful: false,
    };
    let mut lines = if is_full_collection(value) {
        collection(value, 0, layout)
    } else {
        vec![flow(value, None)]
    };
    lines.push(String::new());
    lines.join("\n")
}
