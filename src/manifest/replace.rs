//! Putting a value in the place of another.

use serde_json::Value;

use super::draft::{Draft, Op, Refused, Slot, Want};
use super::json::{is_full_collection, same};
use super::render::{self, Written};
use super::text::{first_on_line, line_end};
use super::tree::{Kind, NodeId, Scalar};

impl Draft<'_> {
    /// Makes the slot's value this one, changing only what differs: in maps the keys that do, in
    /// lists the items.
    pub(super) fn set(&mut self, slot: Slot, value: &Value) -> Result<(), Refused> {
        if same(&self.tree.value(slot.node), value) {
            return Ok(());
        }
        match (&self.tree.node(slot.node).kind, value) {
            (Kind::Map { entries, .. }, Value::Object(fields))
                if !entries.is_empty()
                    && !entries.iter().any(|entry| entry.merge)
                    && entries
                        .iter()
                        .any(|entry| fields.contains_key(&*entry.name)) =>
            {
                self.set_fields(slot, fields)
            }
            (Kind::Seq { items, .. }, Value::Array(values))
                if !items.is_empty() && !values.is_empty() =>
            {
                self.set_items(slot, values)
            }
            _ => self.replace(slot, value),
        }
    }

    fn set_fields(
        &mut self,
        slot: Slot,
        fields: &serde_json::Map<String, Value>,
    ) -> Result<(), Refused> {
        let map = slot.node;
        let mut there = std::collections::HashSet::new();
        let mut kept = 0;
        for (place, entry) in self.tree.entries(map).iter().enumerate() {
            there.insert(&*entry.name);
            match fields.get(&*entry.name) {
                Some(value) => {
                    kept = place;
                    let inner = Slot {
                        node: entry.value,
                        around: Some((map, place)),
                    };
                    self.set(inner, value)?;
                }
                None => self.drop_entry(slot, place)?,
            }
        }
        for (name, value) in fields {
            if !there.contains(name.as_str()) {
                self.add_entry_behind(slot, kept, (name, value))?;
            }
        }
        Ok(())
    }

    fn set_items(&mut self, slot: Slot, values: &[Value]) -> Result<(), Refused> {
        let list = slot.node;
        let items = self.tree.items(list);
        let alike =
            |item: &super::tree::Item, value: &Value| same(&self.tree.value(item.node), value);
        let shorter = items.len().min(values.len());
        let front = (0..shorter)
            .take_while(|at| alike(&items[*at], &values[*at]))
            .count();
        let back = (0..shorter - front)
            .take_while(|at| alike(&items[items.len() - 1 - at], &values[values.len() - 1 - at]))
            .count();
        let (old, new) = (items.len() - back, values.len() - back);
        for place in front..old.min(new) {
            let inner = Slot {
                node: items[place].node,
                around: Some((list, place)),
            };
            self.set(inner, &values[place])?;
        }
        for place in new..old {
            self.drop_item(slot, place)?;
        }
        for value in &values[old.min(new)..new] {
            self.add_item(slot, old, value)?;
        }
        Ok(())
    }

    /// Writes the value over whatever the slot holds.
    pub(super) fn replace(&mut self, slot: Slot, value: &Value) -> Result<(), Refused> {
        self.check_anchors(slot.node)?;
        self.overwrite(slot, value)?;
        self.ops.push(Op::Replace {
            node: slot.node,
            want: Want::Value(value.clone()),
        });
        Ok(())
    }

    /// The splices of [`Draft::replace`].
    pub(super) fn overwrite(&mut self, slot: Slot, value: &Value) -> Result<(), Refused> {
        let style = render::style(self.tree, slot.node);
        if self.in_flow(slot) {
            let text = render::flow(value, style);
            self.put_inline(slot, &text);
            return Ok(());
        }
        if is_full_collection(value) {
            return self.put_lines(slot, "", Body::Collection(value));
        }
        match render::scalar(value, style, self.layout) {
            Written::Inline(text) => {
                self.put_inline(slot, &text);
                Ok(())
            }
            Written::Literal { header, lines } => {
                self.put_lines(slot, header, Body::Literal(&lines))
            }
        }
    }

    /// Puts a text that fits one line in the place of the slot's value.
    fn put_inline(&mut self, slot: Slot, text: &str) {
        let node = self.tree.node(slot.node);
        match &node.kind {
            Kind::Scalar(Scalar { absent: true, .. }) => {
                let colon = if self.head(slot).is_none() { ":" } else { "" };
                self.splice(node.start, node.start, format!("{colon} {text}"));
            }
            Kind::Scalar(scalar) if scalar.style.is_block() => {
                self.splice(node.start, node.header_end(), text);
                self.splice_rest(node.header_end(), node.end);
            }
            _ if self.stands_below(slot) => {
                let head = self.value_head(slot);
                self.splice(head, head, format!(" {text}"));
                self.splice_rest(head, node.end);
            }
            _ => self.splice(node.start, node.end, text),
        }
    }

    /// Removes what is left of a value from the end of the line of `head` on.
    fn splice_rest(&mut self, head: usize, end: usize) {
        let from = line_end(self.text, head);
        if from < end {
            self.splice(from, end, "");
        }
    }

    /// Puts a text of several lines in the place of the slot's value.
    fn put_lines(&mut self, slot: Slot, header: &str, body: Body<'_>) -> Result<(), Refused> {
        let node = self.tree.node(slot.node);
        let column = self.body_column(slot, &body);
        let on_dash_line = self.goes_on_dash_line(slot, &body);
        let lines = match body {
            Body::Collection(value) => render::collection(value, column, self.layout),
            Body::Literal(lines) => lines
                .iter()
                .map(|line| render::indented(line, column))
                .collect(),
        };
        let newline = self.layout.newline;
        if on_dash_line {
            let joined = lines.join(newline);
            let text = joined.trim_start_matches(' ');
            let space = if node.is_absent() { " " } else { "" };
            self.splice(node.start, node.end, format!("{space}{text}"));
            return Ok(());
        }
        if slot.around.is_none() && header.is_empty() && !node.is_absent() {
            self.splice(node.start, node.end, lines.join(newline));
            return Ok(());
        }
        let Some(head) = self.head(slot) else {
            return Err(Refused::Unfit {
                at: node.start,
                reason: "the key here has no `:`; write one first".to_owned(),
            });
        };
        let head = node.props().map_or(head, |(_, end)| end.max(head));
        let gap = if header.is_empty() {
            String::new()
        } else {
            format!(" {header}")
        };
        let below = format!("{newline}{}", lines.join(newline));
        let inline_end = match &node.kind {
            Kind::Scalar(scalar) if scalar.style.is_block() => node.header_end(),
            _ if self.stands_below(slot) => head,
            _ => node.end.max(head),
        };
        self.splice(head, inline_end, gap);
        let from = line_end(self.text, inline_end);
        self.splice(from, from.max(node.end), below);
        Ok(())
    }

    /// True for a block collection that begins on a line of its own.
    pub(super) fn stands_below(&self, slot: Slot) -> bool {
        let node = self.tree.node(slot.node);
        node.is_block_collection()
            && slot.around.is_some()
            && first_on_line(self.text, node.start)
            && line_end(self.text, self.value_head(slot)) < node.start
    }

    /// Behind the indicator, the anchor and the tag of the slot's value.
    pub(super) fn value_head(&self, slot: Slot) -> usize {
        let node = self.tree.node(slot.node);
        let head = self.head(slot).unwrap_or(node.start);
        node.props().map_or(head, |(_, end)| end.max(head))
    }

    /// True for a new collection that begins right behind its dash.
    fn goes_on_dash_line(&self, slot: Slot, body: &Body<'_>) -> bool {
        slot.around
            .is_some_and(|(around, _)| !self.tree.items(around).is_empty())
            && matches!(body, Body::Collection(_))
            && !self.stands_below(slot)
            && self.tree.node(slot.node).props().is_none()
    }

    /// The column for new lines below the slot's head.
    fn body_column(&self, slot: Slot, body: &Body<'_>) -> usize {
        let node = self.tree.node(slot.node);
        let list = matches!(body, Body::Collection(Value::Array(_)));
        let same_kind = matches!(
            (&node.kind, body),
            (
                Kind::Map { flow: false, .. },
                Body::Collection(Value::Object(_))
            ) | (
                Kind::Seq { flow: false, .. },
                Body::Collection(Value::Array(_))
            )
        );
        if same_kind {
            return render::column(self.text, node.start);
        }
        let Some((around, place)) = slot.around else {
            return if matches!(body, Body::Literal(_)) {
                self.layout.step
            } else {
                0
            };
        };
        match &self.tree.node(around).kind {
            // The dash may have a wide gap behind it.
            Kind::Seq { .. } if self.goes_on_dash_line(slot, body) && !node.is_absent() => {
                render::column(self.text, node.start)
            }
            Kind::Seq { items, .. } => render::column(self.text, items[place].dash) + 2,
            _ => {
                let key = render::column(self.text, self.entry_start(around, place));
                key + if list {
                    self.layout.dash
                } else {
                    self.layout.step
                }
            }
        }
    }
}

/// Lines that stand below the head of their value.
enum Body<'v> {
    Collection(&'v Value),
    Literal(&'v [String]),
}

/// The node of a list or map that a new item or key goes into, or a value that takes its place.
pub(super) fn is_null(draft: &Draft<'_>, id: NodeId) -> bool {
    matches!(draft.tree.node(id).kind, Kind::Scalar(_)) && draft.tree.value(id).is_null()
}
