//! The tree of a document of the common kind while it grows: which block collections are open, and
//! what a line's column closes and opens.

use super::build::{Keys, blank};
use super::plain::{Line, Reader};
use super::scalar::{self, Tag};
use super::tree::{Entry, Item, Kind, Node, NodeId, Scalar, Style};

/// Deeper documents are left to the parser, which has a limit of its own.
const MAX_LEVELS: usize = 60;

/// A block collection that is open.
pub(super) struct Level {
    id: NodeId,
    pub(super) column: usize,
    pub(super) open: Open,
}

pub(super) enum Open {
    Map {
        entries: Vec<Entry>,
        keys: Keys,
        /// The last key, until its value comes.
        pending: Option<Pending>,
    },
    Seq(Vec<Item>),
}

pub(super) struct Pending {
    pub(super) key: NodeId,
    pub(super) name: Box<str>,
    pub(super) colon: usize,
}

impl Reader<'_> {
    /// The node of a plain key, and the key as Kubernetes has it.
    pub(super) fn key_node(&mut self, at: usize, colon: usize) -> (NodeId, Box<str>) {
        let text = self.text;
        let key = &text[at..colon];
        let id = self.scalar((at, colon), key, Style::Plain);
        (id, scalar::key(key, true, Tag::None).into())
    }

    /// Closes what ends before this line and opens what begins with it.
    pub(super) fn settle(&mut self, line: Line, is_item: bool) -> Option<()> {
        let column = line.column();
        if self.nodes.is_empty() {
            return if column == 0 {
                self.open(line.at, column, !is_item, line.at)
            } else {
                None
            };
        }
        loop {
            let level = self.levels.last()?;
            let (own, is_list) = (level.column, matches!(level.open, Open::Seq(_)));
            // A list may stand in the column of the key that it belongs to.
            if self.waits() && (column > own || (column == own && is_item)) {
                return self.open(line.at, column, !is_item, line.at);
            }
            if column > own || (column == own && is_item && !is_list) {
                return None;
            }
            if column == own && is_item == is_list {
                return self.leave_absent();
            }
            self.leave_absent()?;
            self.close();
        }
    }

    /// Whether the innermost map has a key without a value so far.
    fn waits(&self) -> bool {
        let open = self.levels.last().map(|level| &level.open);
        matches!(
            open,
            Some(Open::Map {
                pending: Some(_),
                ..
            })
        )
    }

    /// A key that nothing came for has no value.
    fn leave_absent(&mut self) -> Option<()> {
        let Some(Level {
            open:
                Open::Map {
                    pending: Some(Pending { colon, .. }),
                    ..
                },
            ..
        }) = self.levels.last()
        else {
            return Some(());
        };
        let at = colon + 1;
        let nothing = Scalar {
            text: "".into(),
            style: Style::Plain,
            absent: true,
            header: 0,
        };
        let id = self.push(blank(Kind::Scalar(nothing), at, at));
        self.attach(id, at)
    }

    pub(super) fn open(
        &mut self,
        at: usize,
        column: usize,
        is_map: bool,
        dash: usize,
    ) -> Option<()> {
        if self.levels.len() >= MAX_LEVELS {
            return None;
        }
        let (kind, open) = if is_map {
            (
                Kind::Map {
                    flow: false,
                    entries: Vec::new(),
                },
                Open::Map {
                    entries: Vec::new(),
                    keys: Keys::default(),
                    pending: None,
                },
            )
        } else {
            (
                Kind::Seq {
                    flow: false,
                    items: Vec::new(),
                },
                Open::Seq(Vec::new()),
            )
        };
        let id = self.push(blank(kind, at, at));
        if !self.levels.is_empty() {
            self.attach(id, dash)?;
        }
        self.levels.push(Level { id, column, open });
        Some(())
    }

    /// Hangs a node into the innermost collection.
    pub(super) fn attach(&mut self, id: NodeId, dash: usize) -> Option<()> {
        match &mut self.levels.last_mut()?.open {
            Open::Seq(items) => items.push(Item { node: id, dash }),
            Open::Map {
                entries, pending, ..
            } => {
                let Pending { key, name, colon } = pending.take()?;
                entries.push(Entry {
                    name,
                    key,
                    value: id,
                    question: None,
                    colon: Some(colon),
                    merge: false,
                });
            }
        }
        Some(())
    }

    pub(super) fn close(&mut self) {
        let _ = self.leave_absent();
        let Some(level) = self.levels.pop() else {
            return;
        };
        let (kind, last) = match level.open {
            Open::Map { mut entries, .. } => {
                entries.shrink_to_fit();
                let last = entries.last().map(|entry| entry.value);
                (
                    Kind::Map {
                        flow: false,
                        entries,
                    },
                    last,
                )
            }
            Open::Seq(items) => {
                let last = items.last().map(|item| item.node);
                (Kind::Seq { flow: false, items }, last)
            }
        };
        let end = last.map(|last| self.node(last).end);
        let node = self.node(level.id);
        node.end = end.unwrap_or(node.start);
        node.kind = kind;
    }

    pub(super) fn node(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }

    pub(super) fn push(&mut self, node: Node) -> NodeId {
        // A text of 4 GiB has been refused long before there are so many nodes.
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(node);
        id
    }

    pub(super) fn scalar(
        &mut self,
        (from, to): (usize, usize),
        text: &str,
        style: Style,
    ) -> NodeId {
        let scalar = Scalar {
            text: text.into(),
            style,
            absent: false,
            header: 0,
        };
        self.push(blank(Kind::Scalar(scalar), from, to))
    }
}
