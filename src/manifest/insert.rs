//! New keys and new list items.

use serde_json::{Value, json};

use super::draft::{Draft, Op, Refused, Slot, Want};
use super::json::is_full_collection;
use super::render;
use super::replace::is_null;
use super::text::{first_on_line, line_end, line_start, next_line};
use super::tree::{Kind, NodeId};

impl Draft<'_> {
    /// Puts a new key into the map of a slot.
    pub(super) fn add_entry(
        &mut self,
        slot: Slot,
        name: &str,
        value: &Value,
    ) -> Result<(), Refused> {
        let last = self.tree.entries(slot.node).len().saturating_sub(1);
        self.add_entry_behind(slot, last, (name, value))
    }

    /// The same behind the entry at this place: those after it may go.
    pub(super) fn add_entry_behind(
        &mut self,
        slot: Slot,
        place: usize,
        (name, value): (&str, &Value),
    ) -> Result<(), Refused> {
        let map = slot.node;
        if is_null(self, map) {
            return self.replace(slot, &json!({ name: value }));
        }
        let node = self.tree.node(map);
        let entries = self.tree.entries(map);
        let op = Op::AddEntry {
            map,
            name: name.to_owned(),
            want: Want::Value(value.clone()),
        };
        if entries.is_empty() && !self.in_flow(slot) {
            self.overwrite(slot, &json!({ name: value }))?;
        } else if self.is_flow(map) {
            self.check_brackets(map)?;
            let text = render::flow_entry(name, value);
            match entries.len() {
                0 => self.splice(node.start + 1, node.start + 1, text),
                count => {
                    let at = self.entry_end(map, count - 1);
                    self.splice(at, at, format!(", {text}"));
                }
            }
        } else {
            self.add_block_entry(slot, place, (name, value))?;
        }
        self.ops.push(op);
        Ok(())
    }

    fn add_block_entry(
        &mut self,
        slot: Slot,
        last: usize,
        (name, value): (&str, &Value),
    ) -> Result<(), Refused> {
        let map = slot.node;
        let first = self.entry_start(map, 0);
        let column = render::column(self.text, first);
        let lines = render::entry(name, value, column, self.layout);
        let newline = self.layout.newline;
        let merges = self.tree.entries(map).iter().any(|entry| entry.merge);
        let single = lines.len() == 1 && !is_full_collection(value);
        // Straight below the parent key: `replicas: 0` is seen there. A key of a merged map goes
        // behind the merge key, since go-yaml v2 lets the later one win.
        if let Some((around, place)) = slot.around
            && let Some(entry) = self.tree.entries(around).get(place)
            && let Some(colon) = entry.colon
            && single
            && !merges
            && first_on_line(self.text, first)
        {
            let head = self
                .tree
                .node(map)
                .props()
                .map_or(colon, |(_, end)| end.max(colon));
            let at = next_line(self.text, head);
            if at <= line_start(self.text, first) {
                self.splice(at, at, format!("{}{newline}", lines[0]));
                return Ok(());
            }
        }
        self.add_lines_behind(self.entry_end(map, last), &lines)
    }

    fn add_lines_behind(&mut self, end: usize, lines: &[String]) -> Result<(), Refused> {
        self.check_open_end(end)?;
        let newline = self.layout.newline;
        let at = line_end(self.text, end);
        self.splice(at, at, format!("{newline}{}", lines.join(newline)));
        Ok(())
    }

    /// Puts a new item into the list of a slot, before the item that is at `before` now.
    pub(super) fn add_item(
        &mut self,
        slot: Slot,
        before: usize,
        value: &Value,
    ) -> Result<(), Refused> {
        let list = slot.node;
        if is_null(self, list) {
            return self.replace(slot, &json!([value]));
        }
        let node = self.tree.node(list);
        let items = self.tree.items(list);
        if items.is_empty() && !self.in_flow(slot) {
            self.overwrite(slot, &json!([value]))?;
        } else if self.is_flow(list) {
            let text = render::flow(value, None);
            match (items.get(before), items.last()) {
                (Some(next), _) => self.splice(next.dash, next.dash, format!("{text}, ")),
                (None, Some(last)) => {
                    let at = self.tree.node(last.node).end;
                    self.splice(at, at, format!(", {text}"));
                }
                (None, None) => self.splice(node.start + 1, node.start + 1, text),
            }
        } else {
            self.add_block_item(list, before, value)?;
        }
        self.ops.push(Op::AddItem {
            list,
            before,
            want: Want::Value(value.clone()),
        });
        Ok(())
    }

    fn add_block_item(
        &mut self,
        list: NodeId,
        before: usize,
        value: &Value,
    ) -> Result<(), Refused> {
        let items = self.tree.items(list);
        let dash = items[0].dash;
        let column = render::column(self.text, dash);
        let lines = render::item(value, column, self.layout);
        let newline = self.layout.newline;
        if before > 0 {
            let last = self.tree.node(items[before - 1].node);
            let end = last.end.max(last.props().map_or(0, |(_, end)| end));
            return self.add_lines_behind(end, &lines);
        }
        let joined = lines.join(newline);
        if first_on_line(self.text, dash) {
            let at = line_start(self.text, dash);
            self.splice(at, at, format!("{joined}{newline}"));
        } else {
            let text = joined.trim_start_matches(' ');
            self.splice(dash, dash, format!("{text}{newline}{}", " ".repeat(column)));
        }
        Ok(())
    }

    /// Refuses the map of a lone pair in a list (`[a: b]`), which has no braces to add to.
    fn check_brackets(&self, map: NodeId) -> Result<(), Refused> {
        let node = self.tree.node(map);
        let bare = matches!(node.kind, Kind::Map { flow: true, .. })
            && !self.text[node.start..].starts_with('{');
        if bare {
            let reason = "a pair without braces takes no second key; put braces around it first";
            return Err(Refused::Unfit {
                at: node.start,
                reason: reason.to_owned(),
            });
        }
        Ok(())
    }
}
