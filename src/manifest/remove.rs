//! Taking keys and list items away.

use serde_json::{Value, json};

use super::draft::{Draft, Op, Refused, Slot};
use super::text::{
    break_length, ending_length, first_on_line, indentation, is_blank, line_end, line_start,
    next_line,
};

/// One entry or item among its neighbours.
struct Part {
    start: usize,
    end: usize,
    /// End of the one before, start of the one behind.
    before: Option<usize>,
    behind: Option<usize>,
}

impl Draft<'_> {
    /// Removes a key from the map of a slot.
    pub(super) fn drop_entry(&mut self, slot: Slot, place: usize) -> Result<(), Refused> {
        let map = slot.node;
        let entries = self.tree.entries(map);
        self.check_anchors(entries[place].key)?;
        self.check_anchors(entries[place].value)?;
        let part = Part {
            start: self.entry_start(map, place),
            end: self.entry_end(map, place),
            before: place.checked_sub(1).map(|place| self.entry_end(map, place)),
            behind: (place + 1 < entries.len()).then(|| self.entry_start(map, place + 1)),
        };
        self.drop_part(slot, &part, &json!({}))?;
        self.ops.push(Op::DropEntry { map, place });
        Ok(())
    }

    /// Removes an item from the list of a slot.
    pub(super) fn drop_item(&mut self, slot: Slot, place: usize) -> Result<(), Refused> {
        let list = slot.node;
        let items = self.tree.items(list);
        self.check_anchors(items[place].node)?;
        let end = |place: usize| {
            let node = self.tree.node(items[place].node);
            node.end.max(node.props().map_or(0, |(_, end)| end))
        };
        let part = Part {
            start: items[place].dash,
            end: end(place),
            before: place.checked_sub(1).map(end),
            behind: items.get(place + 1).map(|item| item.dash),
        };
        self.drop_part(slot, &part, &json!([]))?;
        self.ops.push(Op::DropItem { list, place });
        Ok(())
    }

    fn drop_part(&mut self, slot: Slot, part: &Part, empty: &Value) -> Result<(), Refused> {
        let node = self.tree.node(slot.node);
        let bracketed = self.text[node.start..].starts_with(['{', '[']);
        match (part.before, part.behind) {
            (None, None) if self.is_flow(slot.node) && bracketed => {
                self.splice(node.start, node.end, empty.to_string());
                Ok(())
            }
            (None, None) => self.overwrite(slot, empty),
            (_, Some(next)) if self.is_flow(slot.node) => {
                self.splice(part.start, next, "");
                Ok(())
            }
            (Some(before), None) if self.is_flow(slot.node) => {
                self.splice(before, part.end, "");
                Ok(())
            }
            _ if first_on_line(self.text, part.start) => {
                self.drop_lines(part);
                Ok(())
            }
            (_, Some(next)) => {
                self.drop_from_dash_line(part, next);
                Ok(())
            }
            (_, None) => Err(Refused::Unfit {
                at: part.start,
                reason: "it shares its line with what stands before it".to_owned(),
            }),
        }
    }

    /// Whole lines, with the comment lines directly above at the same column.
    fn drop_lines(&mut self, part: &Part) {
        let mut from = line_start(self.text, part.start);
        let column = part.start - from;
        if let Some(before) = part.before {
            while from > 0 {
                let above = line_start(self.text, from - break_before(self.text, from));
                let line = &self.text[above..from];
                let comment = line[indentation(line)..].starts_with('#');
                if above < before || !comment || indentation(line) != column {
                    break;
                }
                from = above;
            }
        }
        let end = if self.layout.careful {
            self.blank_lines_end(self.collection_end(part.end, column))
        } else {
            part.end
        };
        let to = next_line(self.text, end);
        if to == self.text.len() && ending_length(self.text) == 0 {
            // The last line has no break, so the one before it loses its own, unless that is part
            // of a block scalar.
            let bare = from - break_before(self.text, from);
            let nodes = &self.tree.nodes;
            if !nodes
                .iter()
                .any(|node| node.is_block_scalar() && node.end == bare)
            {
                from = bare;
            }
        }
        self.splice(from, to, "");
    }

    /// The first key of `- a: 1`, where the next one moves up to the dash.
    fn drop_from_dash_line(&mut self, part: &Part, next: usize) {
        let rest = line_end(self.text, part.end);
        if self
            .text
            .get(rest..line_start(self.text, next))
            .is_none_or(is_blank)
        {
            self.splice(part.start, next, "");
            return;
        }
        // Comments for the next key stand between: the dash stays alone on its line.
        let kept = self.text[..part.start].trim_end_matches([' ', '\t']).len();
        self.splice(kept, rest, "");
    }
}

/// Length of the line break that ends at `at`.
fn break_before(text: &str, at: usize) -> usize {
    let length = ending_length(&text[..at]);
    debug_assert!(length == 0 || break_length(&text[at - length..]) == length);
    length
}
