//! Text that knows where each part of it comes from.

use std::rc::Rc;

use super::super::traced::{Digest, Mark};

/// Where a part of a rendered text comes from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Origin {
    /// It stands in the template, at this byte.
    Template { file: Rc<str>, at: usize },
    /// It is a value, printed as it is. `skipped` are values that would win were they not empty.
    Leaf {
        expression: Rc<str>,
        marks: Vec<Mark>,
        skipped: Vec<Mark>,
    },
    /// An expression made it out of something else.
    Computed {
        expression: Rc<str>,
        file: Rc<str>,
        at: usize,
    },
    /// It is not known; the text is a placeholder.
    Unknown { why: Rc<str> },
    /// A digest of other text; the text is a placeholder.
    Digest(Digest),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Segment {
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// A text in parts.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Rope(pub(super) Vec<Segment>);

impl Rope {
    pub(super) fn push(&mut self, text: impl Into<String>, origin: Origin) {
        let text = text.into();
        if !text.is_empty() {
            self.0.push(Segment { text, origin });
        }
    }

    pub(super) fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(super) fn text(&self) -> String {
        self.0.iter().map(|part| part.text.as_str()).collect()
    }

    pub(super) fn unknown(&self) -> Option<&Rc<str>> {
        self.0.iter().find_map(|part| match &part.origin {
            Origin::Unknown { why } => Some(why),
            Origin::Digest(digest) => Some(&digest.why),
            _ => None,
        })
    }

    /// What it is a digest of, where nothing else in it is unknown.
    pub(super) fn digest(&self) -> Option<&Digest> {
        let mut found = None;
        for part in &self.0 {
            match &part.origin {
                Origin::Unknown { .. } => return None,
                Origin::Digest(digest) => found = Some(digest),
                _ => {}
            }
        }
        found
    }

    /// The places of a value that is printed as it is and alone.
    pub(super) fn only_marks(&self) -> Vec<Mark> {
        match self.0.as_slice() {
            [part] => match &part.origin {
                Origin::Leaf { marks, .. } => marks.clone(),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// Only the bytes `from..to` of the text.
    pub(super) fn cut(&self, from: usize, to: usize) -> Self {
        let mut cut = Self::default();
        let mut at = 0;
        for part in &self.0 {
            let (start, end) = (at, at + part.text.len());
            at = end;
            let (a, b) = (from.max(start), to.min(end));
            if a >= b {
                continue;
            }
            if let Some(text) = part.text.get(a - start..b - start) {
                let origin = match &part.origin {
                    Origin::Template { file, at } => Origin::Template {
                        file: file.clone(),
                        at: at + a - start,
                    },
                    other => other.clone(),
                };
                cut.push(text, origin);
            }
        }
        cut
    }

    /// Spaces in front of every line but the first, as `indent` and `nindent` put them.
    pub(super) fn indented(&self, by: usize, origin: &Origin) -> Self {
        let pad = " ".repeat(by);
        let mut rope = Self::default();
        rope.push(pad.clone(), origin.clone());
        for part in &self.0 {
            let mut rest = part.text.as_str();
            while let Some(end) = rest.find('\n') {
                rope.push(&rest[..=end], part.origin.clone());
                rope.push(pad.clone(), origin.clone());
                rest = &rest[end + 1..];
            }
            rope.push(rest, part.origin.clone());
        }
        rope
    }
}
