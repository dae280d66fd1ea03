//! The lines that each entry of a block collection owns: the comments and blank lines before it,
//! and its body with the deeper comments behind it.

use std::ops::Range;

use crate::manifest::draft::{Draft, Slot};
use crate::manifest::render::column;
use crate::manifest::text::{
    ending_length, first_on_line, indentation, is_blank, line_start, lines, next_line,
};
use crate::manifest::tree::{Kind, NodeId};

/// One entry of a map, one item of a list, or the root of a document.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// Its value.
    pub(super) node: NodeId,
    /// The lines before it that belong to it.
    pub(super) lead: Range<usize>,
    /// Its own lines; of an item of a flow collection the bytes of its value.
    pub(super) body: Range<usize>,
    /// Where the lines of its value's own entries begin, for a block collection.
    pub(super) inner: usize,
    /// Behind its `:` or `-`, its anchor and its tag.
    pub(super) value_head: usize,
    /// The column of its key or dash.
    pub(super) column: usize,
    /// True where it has lines of its own.
    pub(super) is_lines: bool,
}

/// A block collection in lines.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) column: usize,
    /// Lines at its beginning that belong to no entry.
    pub(super) head: Range<usize>,
    pub(super) pieces: Vec<Piece>,
    /// Lines at its end that belong to no entry.
    pub(super) tail: Range<usize>,
    /// True where the first entry stands behind its dash.
    pub(super) on_dash_line: bool,
}

/// The whole document.
pub(super) fn root(draft: &Draft<'_>) -> Piece {
    let tree = draft.tree;
    let node = tree.node(tree.root);
    let begun = node.props().map_or(tree.body, |(_, end)| end);
    let from = if begun == 0 {
        0
    } else {
        next_line(draft.text, begun)
    };
    let below = node.is_block_collection() && from <= line_start(draft.text, node.start);
    Piece {
        node: tree.root,
        lead: 0..0,
        body: 0..draft.text.len(),
        inner: if below { from } else { node.start },
        value_head: begun,
        column: 0,
        is_lines: true,
    }
}

/// The entries of a block collection; `None` where it is none, or is not laid out in lines.
pub(super) fn block(draft: &Draft<'_>, around: &Piece) -> Option<Block> {
    let node = draft.tree.node(around.node);
    let count = match &node.kind {
        Kind::Map {
            flow: false,
            entries,
        } => entries.len(),
        Kind::Seq { flow: false, items } => items.len(),
        _ => 0,
    };
    if count == 0 {
        return None;
    }
    let text = draft.text;
    let start = |place: usize| entry_start(draft, around.node, place);
    let first = start(0);
    let column = column(text, first);
    let on_dash_line = !first_on_line(text, first);
    if on_dash_line && around.inner != first {
        return None;
    }
    let mut pieces = Vec::with_capacity(count);
    let mut at = around.inner;
    for place in 0..count {
        let begin = start(place);
        let own_line = first_on_line(text, begin);
        if (!own_line && place > 0) || crate::manifest::render::column(text, begin) != column {
            return None;
        }
        let from = if own_line {
            line_start(text, begin)
        } else {
            begin
        };
        let limit = if place + 1 < count {
            line_start(text, start(place + 1))
        } else {
            around.body.end
        };
        let end = entry_end(draft, around.node, place);
        let end = next_line(text, draft.collection_end(end, column)).min(limit);
        if from < at || end < from {
            return None;
        }
        pieces.push(piece(draft, (around.node, place), column, (at, from, end)));
        at = end;
    }
    let head = split_head(text, &mut pieces[0].lead);
    Some(Block {
        column,
        head,
        pieces,
        tail: at..around.body.end,
        on_dash_line,
    })
}

/// An entry with its lines: where its comments, its body and the next entry begin.
fn piece(
    draft: &Draft<'_>,
    around: (NodeId, usize),
    column: usize,
    (lead, from, end): (usize, usize, usize),
) -> Piece {
    let slot = Slot {
        node: value_of(draft, around.0, around.1),
        around: Some(around),
    };
    let inner = if draft.stands_below(slot) {
        next_line(draft.text, draft.value_head(slot))
    } else {
        draft.tree.node(slot.node).start
    };
    Piece {
        node: slot.node,
        lead: lead..from,
        body: from..end,
        inner,
        value_head: draft.value_head(slot),
        column,
        is_lines: true,
    }
}

/// Comments set off by a blank line belong to the collection, not to its first entry.
fn split_head(text: &str, lead: &mut Range<usize>) -> Range<usize> {
    let mut cut = lead.start;
    let mut at = lead.start;
    for line in lines(&text[lead.clone()]) {
        at += line.len();
        if is_blank(line) {
            cut = at;
        }
    }
    let head = lead.start..cut;
    lead.start = cut;
    head
}

/// The pieces of any collection; those of a flow collection have no lines.
pub(super) fn pieces(draft: &Draft<'_>, around: &Piece, block: Option<&Block>) -> Vec<Piece> {
    if let Some(block) = block {
        return block.pieces.clone();
    }
    let node = draft.tree.node(around.node);
    let values: Vec<NodeId> = match &node.kind {
        Kind::Map { entries, .. } => entries.iter().map(|entry| entry.value).collect(),
        Kind::Seq { items, .. } => items.iter().map(|item| item.node).collect(),
        Kind::Scalar(_) | Kind::Alias(_) => Vec::new(),
    };
    let piece = |id: NodeId| {
        let node = draft.tree.node(id);
        Piece {
            node: id,
            lead: node.outer_start()..node.outer_start(),
            body: node.outer_start()..node.end,
            inner: node.start,
            value_head: node.start,
            column: 0,
            is_lines: false,
        }
    };
    values.into_iter().map(piece).collect()
}

fn entry_start(draft: &Draft<'_>, around: NodeId, place: usize) -> usize {
    match &draft.tree.node(around).kind {
        Kind::Seq { items, .. } => items[place].dash,
        _ => draft.entry_start(around, place),
    }
}

fn value_of(draft: &Draft<'_>, around: NodeId, place: usize) -> NodeId {
    match &draft.tree.node(around).kind {
        Kind::Seq { items, .. } => items[place].node,
        _ => draft.tree.entries(around)[place].value,
    }
}

fn entry_end(draft: &Draft<'_>, around: NodeId, place: usize) -> usize {
    match &draft.tree.node(around).kind {
        Kind::Seq { items, .. } => {
            let node = draft.tree.node(items[place].node);
            let end = node.end.max(node.props().map_or(0, |(_, end)| end));
            end.max(items[place].dash + 1)
        }
        _ => draft.entry_end(around, place),
    }
}

/// Lines moved from one column to another, with this line break. `start` is the column that the
/// first line's text begins in, where it does not begin at the line's start.
pub(super) fn moved(text: &str, start: usize, from: usize, to: usize, newline: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut put = |line: &str| {
        let bare = &line[..line.len() - ending_length(line)];
        if from <= to {
            if !bare.is_empty() {
                out.extend(std::iter::repeat_n(' ', to - from));
            }
            out.push_str(bare);
        } else {
            out.push_str(&bare[indentation(bare).min(from - to)..]);
        }
        if bare.len() < line.len() {
            out.push_str(newline);
        }
    };
    let mut all = lines(text);
    if start > 0
        && let Some(first) = all.next()
    {
        put(&format!("{}{first}", " ".repeat(start)));
    }
    all.for_each(put);
    out
}

/// The lines of a stretch, each with the line break that it is to have.
pub(super) fn shifted(
    draft: &Draft<'_>,
    range: &Range<usize>,
    from: usize,
    to: usize,
    newline: &str,
) -> String {
    let text = &draft.text[range.clone()];
    let start = if range.is_empty() {
        0
    } else {
        column(draft.text, range.start)
    };
    moved(text, start, from, to, newline)
}

/// The stretch as it would stand in the first column, for comparing.
pub(super) fn bare(draft: &Draft<'_>, range: &Range<usize>, from: usize) -> String {
    let mut text = shifted(draft, range, from, 0, "\n");
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// What of an entry's body stands before its inner lines.
pub(super) fn prefix(piece: &Piece) -> Range<usize> {
    piece.body.start..piece.inner.max(piece.body.start)
}
