//! The values of the common kind of document: those that end on their line, and literal blocks.

use super::build::{Keys, blank};
use super::plain::{Line, Reader};
use super::tree::{Entry, Item, Kind, NodeId, Scalar, Style};

/// Flow collections within flow collections.
const MAX_FLOW: usize = 12;

/// A value and the byte behind it.
type Value = Option<(NodeId, usize)>;

impl Reader<'_> {
    /// The value at `at`, behind which nothing else may stand on the line. `column` is that of
    /// the key or dash it belongs to.
    pub(super) fn value(&mut self, at: usize, column: usize, line: Line) -> Option<NodeId> {
        let (id, behind) = match self.bytes[at] {
            b'\'' | b'"' => self.quoted(at, line.end)?,
            b'{' | b'[' => self.flow(at, line.end, 0)?,
            b'|' => return self.literal(at, column, line),
            _ => return self.plain(at, line.end),
        };
        self.is_over(behind, line.end).then_some(id)
    }

    /// Quoted text without escapes.
    fn quoted(&mut self, at: usize, end: usize) -> Value {
        let quote = self.bytes[at];
        let inner = &self.bytes[at + 1..end];
        let length = inner.iter().position(|b| *b == quote || *b == b'\\')?;
        let close = at + 1 + length;
        // Behind the first half of `''` the second one stands, where nothing may.
        if self.bytes[close] != quote {
            return None;
        }
        let style = if quote == b'"' {
            Style::Double
        } else {
            Style::Single
        };
        let text = self.text;
        let id = self.scalar((at, close + 1), &text[at + 1..close], style);
        Some((id, close + 1))
    }

    /// Unquoted text up to the end of the line or a comment.
    fn plain(&mut self, at: usize, end: usize) -> Option<NodeId> {
        if !self.begins_plain(at, end) {
            return None;
        }
        let mut stop = end;
        for here in at..end {
            match self.bytes[here] {
                b':' if here + 1 == end || self.bytes[here + 1] == b' ' => return None,
                b'#' if self.bytes[here - 1] == b' ' => {
                    stop = here;
                    break;
                }
                _ => {}
            }
        }
        let text = self.text[at..stop].trim_end_matches(' ');
        let text_end = at + text.len();
        let whole = self.text;
        Some(self.scalar((at, text_end), &whole[at..text_end], Style::Plain))
    }

    /// Whether what begins here can only be unquoted text.
    fn begins_plain(&self, at: usize, end: usize) -> bool {
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"_/.~+$(".contains(&byte);
        let first = self.bytes[at];
        let next = (at + 1 < end).then(|| self.bytes[at + 1]);
        is_safe(first)
            || (first == b'-' && next.is_some_and(|b| is_safe(b) || b == b'-'))
                && !self.text[at..].starts_with("---")
    }

    /// A flow collection that ends on its line.
    fn flow(&mut self, at: usize, end: usize, depth: usize) -> Value {
        if depth > MAX_FLOW {
            return None;
        }
        if self.bytes[at] == b'{' {
            self.flow_map(at, end, depth)
        } else {
            self.flow_list(at, end, depth)
        }
    }

    fn flow_map(&mut self, at: usize, end: usize, depth: usize) -> Value {
        let kind = Kind::Map {
            flow: true,
            entries: Vec::new(),
        };
        let id = self.push(blank(kind, at, at));
        let (mut entries, mut keys) = (Vec::new(), Keys::default());
        let behind = self.flow_parts((at, end), b'}', |reader, at| {
            let colon = reader.key(at, end)?;
            let (key, name) = reader.key_node(at, colon);
            if !keys.insert(&entries, &name) {
                return None;
            }
            let from = reader.skip_spaces(colon + 1, end);
            let (value, behind) = reader.flow_value(from, end, depth)?;
            entries.push(Entry {
                name,
                key,
                value,
                question: None,
                colon: Some(colon),
                merge: false,
            });
            Some(behind)
        })?;
        let node = self.node(id);
        node.end = behind;
        node.kind = Kind::Map {
            flow: true,
            entries,
        };
        Some((id, behind))
    }

    fn flow_list(&mut self, at: usize, end: usize, depth: usize) -> Value {
        let kind = Kind::Seq {
            flow: true,
            items: Vec::new(),
        };
        let id = self.push(blank(kind, at, at));
        let mut items = Vec::new();
        let behind = self.flow_parts((at, end), b']', |reader, at| {
            let (node, behind) = reader.flow_value(at, end, depth)?;
            items.push(Item { node, dash: at });
            Some(behind)
        })?;
        let node = self.node(id);
        node.end = behind;
        node.kind = Kind::Seq { flow: true, items };
        Some((id, behind))
    }

    /// The parts between the commas; gives the place behind the closing bracket.
    fn flow_parts(
        &mut self,
        (at, end): (usize, usize),
        close: u8,
        mut part: impl FnMut(&mut Self, usize) -> Option<usize>,
    ) -> Option<usize> {
        let mut next = self.skip_spaces(at + 1, end);
        if next < end && self.bytes[next] == close {
            return Some(next + 1);
        }
        loop {
            if next >= end {
                return None;
            }
            let behind = part(self, next)?;
            next = self.skip_spaces(behind, end);
            match self.bytes.get(next).filter(|_| next < end)? {
                b',' => next = self.skip_spaces(next + 1, end),
                byte if *byte == close => return Some(next + 1),
                _ => return None,
            }
        }
    }

    fn flow_value(&mut self, at: usize, end: usize, depth: usize) -> Value {
        match self.bytes.get(at).filter(|_| at < end)? {
            b'\'' | b'"' => self.quoted(at, end),
            b'{' | b'[' => self.flow(at, end, depth + 1),
            _ => self.flow_plain(at, end),
        }
    }

    fn flow_plain(&mut self, at: usize, end: usize) -> Value {
        if !self.begins_plain(at, end) {
            return None;
        }
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_/.~+$()=@%^ -".contains(&byte);
        let mut stop = at;
        while stop < end {
            let next = self.bytes.get(stop + 1).filter(|_| stop + 1 < end);
            match self.bytes[stop] {
                b':' if next.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'/') => {}
                byte if is_inner(byte) => {}
                b',' | b']' | b'}' => break,
                _ => return None,
            }
            stop += 1;
        }
        let text = self.text;
        let trimmed = text[at..stop].trim_end_matches(' ');
        let to = at + trimmed.len();
        Some((self.scalar((at, to), trimmed, Style::Plain), to))
    }

    /// A literal block (`|` or `|-`): its lines are as deep as the first one, or deeper.
    fn literal(&mut self, at: usize, column: usize, line: Line) -> Option<NodeId> {
        let header_end = line.end;
        let keeps_last = match &self.text[at..header_end] {
            "|" => true,
            "|-" => false,
            _ => return None,
        };
        let (mut content, mut indent, mut to) = (String::new(), None, header_end);
        let mut blanks = 0;
        while let Some(next) = self.line() {
            let depth = *indent.get_or_insert(next.column());
            if next.at == next.end {
                // Spaces deeper than the text would be text.
                if to == header_end || next.column() > depth {
                    return None;
                }
                blanks += 1;
                continue;
            }
            if next.column() < depth || depth <= column {
                self.unread(next);
                if next.column() > column {
                    return None;
                }
                break;
            }
            if to > header_end {
                content.push('\n');
            }
            content.extend(std::iter::repeat_n('\n', blanks));
            blanks = 0;
            content.push_str(&self.text[next.start + depth..next.end]);
            to = next.end;
        }
        // An empty block, or one that the end of the text cuts off, has rules of its own.
        if to == header_end || to == self.text.len() {
            return None;
        }
        if keeps_last {
            content.push('\n');
        }
        let scalar = Scalar {
            text: content.into(),
            style: Style::Literal,
            absent: false,
            header: if keeps_last { 1 } else { 2 },
        };
        Some(self.push(blank(Kind::Scalar(scalar), at, to)))
    }
}
