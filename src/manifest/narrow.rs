//! Editing a part of a large document as a document of its own.
//!
//! An entry of a block collection is a run of whole lines, and what it means depends on nothing
//! but these lines: not on its neighbours (the next line at its column ends whatever is open),
//! nor on what is around, as long as it holds no anchor and no alias. So a field deep in a large
//! list is edited in the lines of its item alone, and only these are read again.

use super::build::exact;
use super::draft::{Draft, Slot};
use super::path::{Path, Step};
use super::render::{Layout, column};
use super::split::is_marker;
use super::text::{first_on_line, line_start, lines};
use super::tree::{Kind, NodeId, Tree};

/// A run of lines that can be edited alone.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) tree: Tree,
    /// The edit's path in the part.
    pub(super) path: Path,
}

/// The smallest run of lines around the target that is worth it: smaller than the text by far.
/// `path` counts from the root of the document.
pub(super) fn narrow(text: &str, tree: &Tree, path: &Path, layout: Layout) -> Option<Part> {
    let draft = Draft::new(text, tree, layout);
    let found = tree.locate(tree.root, &path.parent()?).ok()?;
    let mut best = None;
    let mut limit = text.len();
    for (depth, place) in found.places.iter().enumerate() {
        let around = found.chain[depth];
        let Some((start, end)) = run(&draft, around, *place, limit) else {
            break;
        };
        let step = match tree.node(around).kind {
            Kind::Seq { .. } => Step::Index(0),
            _ => path.steps()[depth].clone(),
        };
        best = Some((start, end, depth, step));
        limit = end;
    }
    let (start, end, depth, step) = best?;
    let part = &text[start..end];
    let is_plain = !part.contains(['&', '*', '%'])
        && !part.contains("<<")
        && !lines(part).any(|line| is_marker(line, "---") || is_marker(line, "..."));
    if !is_plain {
        return None;
    }
    let rest = path.steps()[depth + 1..].iter().cloned();
    let path = std::iter::once(step).chain(rest).collect();
    Some(Part {
        start,
        end,
        tree: exact(part).ok()?,
        path,
    })
}

/// The lines of an entry, up to the next one's.
fn run(draft: &Draft<'_>, around: NodeId, place: usize, limit: usize) -> Option<(usize, usize)> {
    let node = draft.tree.node(around);
    let start = |place: usize| match &node.kind {
        Kind::Map {
            flow: false,
            entries,
        } if place < entries.len() => Some(draft.entry_start(around, place)),
        Kind::Seq { flow: false, items } => items.get(place).map(|item| item.dash),
        _ => None,
    };
    let begin = start(place)?;
    if !first_on_line(draft.text, begin) || column(draft.text, begin) != spaces(draft.text, begin) {
        return None;
    }
    let end = match start(place + 1) {
        Some(next) => line_start(draft.text, next),
        None => limit,
    };
    let slot = Slot {
        node: around,
        around: None,
    };
    let from = line_start(draft.text, begin);
    // A document's last entry has its markers behind it.
    (from < end && !draft.in_flow(slot)).then_some((from, end))
}

fn spaces(text: &str, at: usize) -> usize {
    text[line_start(text, at)..at]
        .bytes()
        .filter(|byte| *byte == b' ')
        .count()
}
