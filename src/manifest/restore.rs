//! Putting a subtree back with the text it had in an older file.
//!
//! What is taken: everything behind the field's `:` (or `-`) that belongs to its value, and for
//! collections also the comments on their lines and the deeper-indented comments behind them.
//! What stays: the comment behind the field's own key, and everything around.

use super::draft::{Draft, Op, Refused, Slot, Want};
use super::render::column;
use super::text::{ending_length, indentation, is_blank, line_end, lines, next_line};
use super::tree::Kind;

/// A value's text: what stands on the line of its key, and the lines below.
struct Cut {
    first: String,
    rest: Option<String>,
}

/// The parts of a draft's text that a value fills.
struct Region {
    /// Behind the `:` or `-`.
    head: usize,
    /// End of what belongs to the value on the line where it begins.
    first_end: usize,
    /// End of its last line's part.
    end: usize,
    /// Column of its key or dash.
    column: usize,
}

impl<'a> Draft<'a> {
    /// Puts the value that `from` has at `theirs` into the slot `ours`, in its own words.
    pub(super) fn restore(&mut self, ours: Slot, from: &Self, theirs: Slot) -> Result<(), Refused> {
        self.check_anchors(ours.node)?;
        let source = from.tree.node(theirs.node);
        let block = source.is_block_collection() || source.is_block_scalar();
        if self.in_flow(ours) && block {
            return self.replace(ours, &from.tree.value(theirs.node));
        }
        let want = Want::Tree {
            text: from.text,
            tree: from.tree,
            id: theirs.node,
        };
        if ours.around.is_none() || theirs.around.is_none() {
            self.restore_root(ours, from, theirs);
        } else if self.in_flow(ours) || from.in_flow(theirs) {
            let text = &from.text[source.outer_start()..source.end];
            let node = self.tree.node(ours.node);
            let block = node.is_block_collection() || node.is_block_scalar();
            if block || node.is_absent() || source.is_absent() {
                return self.replace(ours, &from.tree.value(theirs.node));
            }
            self.splice(node.outer_start(), node.end, text);
        } else {
            self.restore_block(ours, from, theirs)?;
        }
        self.ops.push(Op::Replace {
            node: ours.node,
            want,
        });
        Ok(())
    }

    fn restore_root(&mut self, ours: Slot, from: &Self, theirs: Slot) {
        let source = from.tree.node(theirs.node);
        let node = self.tree.node(ours.node);
        let text = &from.text[source.outer_start()..line_end(from.text, source.end)];
        let text = shifted(text, 0, self.layout.newline);
        let end = line_end(self.text, node.end);
        self.splice(node.outer_start(), end, text);
    }

    fn restore_block(&mut self, ours: Slot, from: &Self, theirs: Slot) -> Result<(), Refused> {
        let (Some(mut region), Some(source)) = (self.region(ours), from.region(theirs)) else {
            let at = self.tree.node(ours.node).start;
            return Err(Refused::Unfit {
                at,
                reason: "its key has no `:`".to_owned(),
            });
        };
        from.check_open_end(source.end)?;
        if self.layout.careful {
            let deep = self.collection_end(region.end, region.column);
            region.end = self.blank_lines_end(deep);
        }
        // A list may stand at the column of its key, but not at that of a dash.
        let inner = from.tree.node(theirs.node);
        let in_list = ours
            .around
            .is_some_and(|(around, _)| !self.tree.items(around).is_empty());
        let level = from.stands_below(theirs) && column(from.text, inner.start) == source.column;
        let column = region.column + if in_list && level { 2 } else { 0 };
        let cut = from.cut(&source, column, self.layout.newline);
        self.splice(region.head, region.first_end, cut.first);
        let below = line_end(self.text, region.first_end);
        let rest = cut
            .rest
            .map(|rest| format!("{}{rest}", self.layout.newline));
        if rest.is_some() || below < region.end {
            self.splice(below, below.max(region.end), rest.unwrap_or_default());
        }
        Ok(())
    }

    fn region(&self, slot: Slot) -> Option<Region> {
        let node = self.tree.node(slot.node);
        let head = self.head(slot)?;
        let (around, place) = slot.around?;
        let mark = match &self.tree.node(around).kind {
            Kind::Seq { items, .. } => items[place].dash,
            _ => self.entry_start(around, place),
        };
        let column = column(self.text, mark);
        let value_head = self.value_head(slot);
        let (first_end, end) = if self.stands_below(slot) {
            (value_head, self.collection_end(node.end, column))
        } else if node.is_block_collection() {
            let end = self.collection_end(node.end, column);
            (line_end(self.text, node.start).min(end), end)
        } else if node.is_block_scalar() {
            (node.header_end(), node.end)
        } else {
            (node.end.max(value_head), node.end.max(value_head))
        };
        Some(Region {
            head,
            first_end,
            end,
            column,
        })
    }

    /// The end of a block collection, the comments that belong to it included.
    pub(super) fn collection_end(&self, end: usize, column: usize) -> usize {
        let mut end = line_end(self.text, end);
        let mut at = next_line(self.text, end);
        for line in lines(&self.text[at..]) {
            let bare = &line[..line.len() - ending_length(line)];
            let deep = indentation(bare);
            if !is_blank(bare) {
                if deep <= column || !bare[deep..].starts_with('#') {
                    break;
                }
                end = at + bare.len();
            }
            at += line.len();
        }
        end
    }

    /// The end of the blank lines behind `end`, which a kept block scalar (`|+`) would take in.
    pub(super) fn blank_lines_end(&self, end: usize) -> usize {
        let mut at = next_line(self.text, end);
        let mut end = end;
        for line in lines(&self.text[at..]).take_while(|line| is_blank(line)) {
            end = at + line.len() - ending_length(line);
            at += line.len();
        }
        end
    }

    fn cut(&self, source: &Region, column: usize, newline: &str) -> Cut {
        let first_line = line_end(self.text, source.first_end);
        // A multi-line flow or quoted value has its first line cut where that ends.
        let first_end = source.first_end.min(line_end(self.text, source.head));
        let spans_lines = source.end > first_line || first_end < source.first_end;
        let first = self.text[source.head..first_end].to_owned();
        let rest = spans_lines.then(|| {
            let from = next_line(self.text, first_end);
            let by = column.cast_signed() - source.column.cast_signed();
            shifted(&self.text[from..source.end.max(from)], by, newline)
        });
        Cut { first, rest }
    }
}

/// The lines of `text` moved sideways, with other line breaks; the last one has none.
fn shifted(text: &str, by: isize, newline: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    for (place, line) in lines(text).enumerate() {
        if place > 0 {
            out.push_str(newline);
        }
        let bare = &line[..line.len() - ending_length(line)];
        if by >= 0 {
            if !bare.is_empty() {
                out.extend(std::iter::repeat_n(' ', by.unsigned_abs()));
            }
            out.push_str(bare);
        } else {
            out.push_str(&bare[indentation(bare).min(by.unsigned_abs())..]);
        }
    }
    if ending_length(text) > 0 {
        out.push_str(newline);
    }
    out
}
