//! The common kind of document, read line by line.
//!
//! Most manifests use a small part of YAML: block maps and lists, values on one line, literal
//! blocks, comments. This reads exactly that part in one pass and gives the very tree that
//! `build::exact` gives, several times faster. At the first thing that is not surely of that part
//! it gives up, so that every error, and everything unusual, is the YAML parser's to tell. A test
//! compares both on all texts that the other tests have.

use super::levels::{Level, Open, Pending};
use super::tree::{Node, NodeId, Tree};

/// The parser has a limit for keys too, and it is larger.
const LONGEST_KEY: usize = 500;

/// The tree of a document of the common kind; `None` where the YAML parser has to decide.
pub(super) fn read(text: &str) -> Option<Tree> {
    let is_usual = |byte: u8| byte == b'\n' || (b' '..=b'~').contains(&byte);
    if !text.bytes().all(is_usual) && !text.chars().all(is_text) {
        return None;
    }
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        next: 0,
        nodes: Vec::with_capacity(text.len() / 10),
        levels: Vec::new(),
    };
    let body = reader.marker()?;
    while let Some(line) = reader.line() {
        if !reader.is_over(line.start, line.end) {
            reader.content(line)?;
        }
    }
    while !reader.levels.is_empty() {
        reader.close();
    }
    (!reader.nodes.is_empty()).then_some(Tree {
        nodes: reader.nodes,
        root: NodeId(0),
        body,
    })
}

/// Characters that are nothing but themselves: no tabs, no other line breaks, no marks of byte
/// order, nothing that YAML takes for unprintable.
fn is_text(c: char) -> bool {
    match c {
        '\n' | ' '..='~' | '\u{10000}'.. => true,
        '\u{2028}' | '\u{2029}' | '\u{feff}' => false,
        _ => ('\u{a0}'..='\u{fffd}').contains(&c),
    }
}

/// A line without its line break.
#[derive(Clone, Copy)]
pub(super) struct Line {
    pub(super) start: usize,
    pub(super) end: usize,
    /// The first byte that is no space.
    pub(super) at: usize,
}

impl Line {
    pub(super) fn column(self) -> usize {
        self.at - self.start
    }
}

pub(super) struct Reader<'t> {
    pub(super) text: &'t str,
    pub(super) bytes: &'t [u8],
    /// Start of the next line.
    next: usize,
    pub(super) nodes: Vec<Node>,
    pub(super) levels: Vec<Level>,
}

impl Reader<'_> {
    pub(super) fn line(&mut self) -> Option<Line> {
        let start = self.next;
        let rest = self.text.get(start..).filter(|rest| !rest.is_empty())?;
        let length = rest.find('\n');
        let end = start + length.unwrap_or(rest.len());
        self.next = end + usize::from(length.is_some());
        let at = self.skip_spaces(start, end);
        Some(Line { start, end, at })
    }

    /// Makes a line the next one again.
    pub(super) fn unread(&mut self, line: Line) {
        self.next = line.start;
    }

    pub(super) fn skip_spaces(&self, mut at: usize, end: usize) -> usize {
        while at < end && self.bytes[at] == b' ' {
            at += 1;
        }
        at
    }

    /// True where nothing but white space and a comment stands between `from` and the end of the
    /// line. A comment needs a space before it, or the start of a line.
    pub(super) fn is_over(&self, from: usize, end: usize) -> bool {
        let at = self.skip_spaces(from, end);
        let is_free = at > from || from == 0 || self.bytes[from - 1] == b'\n';
        at == end || (self.bytes[at] == b'#' && is_free)
    }

    /// Reads up to the `---`, if there is one; gives the place behind it.
    fn marker(&mut self) -> Option<usize> {
        while let Some(line) = self.line() {
            if self.is_over(line.start, line.end) {
                continue;
            }
            if !self.text[line.start..].starts_with("---") {
                self.unread(line);
                return Some(0);
            }
            let behind = line.start + "---".len();
            return self.is_over(behind, line.end).then_some(behind);
        }
        None
    }

    /// One line that holds something.
    fn content(&mut self, line: Line) -> Option<()> {
        let is_item = self.is_dash(line.at, line.end);
        self.settle(line, is_item)?;
        if !is_item {
            let colon = self.key(line.at, line.end)?;
            return self.entry(line.at, colon, line);
        }
        let at = self.skip_spaces(line.at + 1, line.end);
        if at == line.end || self.is_dash(at, line.end) {
            return None;
        }
        if let Some(colon) = self.key(at, line.end) {
            self.open(at, at - line.start, true, line.at)?;
            return self.entry(at, colon, line);
        }
        let id = self.value(at, line.column(), line)?;
        self.attach(id, line.at)
    }

    fn is_dash(&self, at: usize, end: usize) -> bool {
        self.bytes[at] == b'-' && (at + 1 == end || self.bytes[at + 1] == b' ')
    }

    /// Where the `:` of a plain key stands that begins at `at`.
    pub(super) fn key(&self, at: usize, end: usize) -> Option<usize> {
        let is_in_key = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
        let first = self.bytes[at];
        if !first.is_ascii_alphabetic() && first != b'_' {
            return None;
        }
        let length = self.bytes[at..end].iter().position(|b| !is_in_key(*b))?;
        let colon = at + length;
        let is_key = self.bytes[colon] == b':'
            && (colon + 1 == end || self.bytes[colon + 1] == b' ')
            && length <= LONGEST_KEY;
        is_key.then_some(colon)
    }

    /// A key and what stands behind it on its line.
    fn entry(&mut self, at: usize, colon: usize, line: Line) -> Option<()> {
        let (key, name) = self.key_node(at, colon);
        let level = self.levels.last_mut()?;
        let column = level.column;
        let Open::Map {
            entries,
            keys,
            pending,
        } = &mut level.open
        else {
            return None;
        };
        if !keys.insert(entries, &name) {
            return None;
        }
        *pending = Some(Pending { key, name, colon });
        if self.is_over(colon + 1, line.end) {
            return Some(());
        }
        let from = self.skip_spaces(colon + 1, line.end);
        let id = self.value(from, column, line)?;
        self.attach(id, from)
    }
}
