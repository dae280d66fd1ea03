//! One edit in the making: the byte ranges it replaces and what the tree must look like after.

use serde_json::Value;

use super::render::Layout;
use super::text::ending_length;
use super::tree::{Kind, NodeId, Tree};

/// Bytes to replace.
#[derive(Debug)]
pub(super) struct Splice {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) text: String,
}

/// What must stand at an edited place.
#[derive(Debug, Clone)]
pub(super) enum Want<'a> {
    Value(Value),
    /// The same tree as this one, comments and styles included.
    Tree {
        text: &'a str,
        tree: &'a Tree,
        id: NodeId,
    },
}

/// What differs between the tree before and the tree after.
#[derive(Debug)]
pub(super) enum Op<'a> {
    Replace {
        node: NodeId,
        want: Want<'a>,
    },
    AddEntry {
        map: NodeId,
        name: String,
        want: Want<'a>,
    },
    /// Before the item that was at `before`.
    AddItem {
        list: NodeId,
        before: usize,
        want: Want<'a>,
    },
    DropEntry {
        map: NodeId,
        place: usize,
    },
    DropItem {
        list: NodeId,
        place: usize,
    },
}

/// Why a draft cannot be made.
#[derive(Debug)]
pub(super) enum Refused {
    /// An alias or a used anchor at this byte.
    Shared { at: usize, reason: String },
    /// The file ends in a block scalar without a line break.
    Unterminated { at: usize },
    /// The value cannot be written there.
    Unfit { at: usize, reason: String },
}

/// A node and the collection that holds it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) node: NodeId,
    /// The collection and the place in it; `None` for the root.
    pub(super) around: Option<(NodeId, usize)>,
}

#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) text: &'a str,
    pub(super) tree: &'a Tree,
    pub(super) layout: Layout,
    pub(super) splices: Vec<Splice>,
    pub(super) ops: Vec<Op<'a>>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(text: &'a str, tree: &'a Tree, layout: Layout) -> Self {
        Self {
            text,
            tree,
            layout,
            splices: Vec::new(),
            ops: Vec::new(),
        }
    }

    pub(super) fn splice(&mut self, start: usize, end: usize, text: impl Into<String>) {
        self.splices.push(Splice {
            start,
            end,
            text: text.into(),
        });
    }

    /// The text with every splice applied; `None` when two of them meet.
    pub(super) fn result(&mut self) -> Option<String> {
        self.splices
            .sort_by_key(|splice| (splice.start, splice.end));
        let mut out = String::with_capacity(self.text.len() + 64);
        let mut at = 0;
        for splice in &self.splices {
            out.push_str(self.text.get(at..splice.start)?);
            out.push_str(&splice.text);
            at = splice.end;
        }
        out.push_str(self.text.get(at..)?);
        Some(out)
    }

    /// True where the slot's collection is written in flow style.
    pub(super) fn in_flow(&self, slot: Slot) -> bool {
        slot.around.is_some_and(|(around, _)| self.is_flow(around))
    }

    pub(super) fn is_flow(&self, id: NodeId) -> bool {
        matches!(
            self.tree.node(id).kind,
            Kind::Map { flow: true, .. } | Kind::Seq { flow: true, .. }
        )
    }

    /// Behind the `:`, the `-` or the `---` that the slot's value follows; `None` for a key
    /// without a colon.
    pub(super) fn head(&self, slot: Slot) -> Option<usize> {
        let Some((around, place)) = slot.around else {
            return Some(self.tree.body);
        };
        match &self.tree.node(around).kind {
            Kind::Map { entries, .. } => entries[place].colon.map(|colon| colon + 1),
            Kind::Seq { flow: true, items } => Some(items[place].dash),
            Kind::Seq { items, .. } => Some(items[place].dash + 1),
            Kind::Scalar(_) | Kind::Alias(_) => None,
        }
    }

    /// First byte of an entry.
    pub(super) fn entry_start(&self, map: NodeId, place: usize) -> usize {
        let entry = &self.tree.entries(map)[place];
        entry
            .question
            .unwrap_or_else(|| self.tree.node(entry.key).outer_start())
    }

    /// Behind the last byte of an entry: its value, or its key where there is no value.
    pub(super) fn entry_end(&self, map: NodeId, place: usize) -> usize {
        let entry = &self.tree.entries(map)[place];
        let colon = entry.colon.map_or(0, |colon| colon + 1);
        let (key, value) = (self.tree.node(entry.key), self.tree.node(entry.value));
        value
            .end
            .max(value.props().map_or(0, |(_, end)| end))
            .max(key.end)
            .max(colon)
    }

    /// Refuses to put anything behind `at` where the file ends in a block scalar without a line
    /// break: Kubernetes reads no line break at its end, and would then read one.
    pub(super) fn check_open_end(&self, at: usize) -> Result<(), Refused> {
        if at < self.text.len() || ending_length(self.text) > 0 {
            return Ok(());
        }
        match self
            .tree
            .nodes
            .iter()
            .rev()
            .find(|node| node.is_block_scalar() && node.end == at)
        {
            Some(node) => Err(Refused::Unterminated { at: node.start }),
            None => Ok(()),
        }
    }

    /// Refuses to take a subtree away while aliases elsewhere use an anchor in it.
    pub(super) fn check_anchors(&self, id: NodeId) -> Result<(), Refused> {
        let first = id.0 as usize;
        let nodes = &self.tree.nodes;
        // The arena is in the order of the text, so a subtree is a run of it.
        let last = self.last_of(id).0 as usize;
        let Some(anchor) = nodes[first..=last].iter().find(|node| node.aliased) else {
            return Ok(());
        };
        let outside = nodes.iter().enumerate().find(|(place, node)| {
            let inside = matches!(node.kind, Kind::Alias(target)
                if (first..=last).contains(&(target.0 as usize)));
            inside && !(first..=last).contains(place)
        });
        match outside {
            Some((_, alias)) => Err(Refused::Shared {
                at: anchor.outer_start(),
                reason: format!(
                    "the anchor here is used by {} elsewhere in the document, which would change \
                     too; write the value out there first",
                    &self.text[alias.start..alias.end]
                ),
            }),
            None => Ok(()),
        }
    }

    /// The last node of a subtree.
    pub(super) fn last_of(&self, mut id: NodeId) -> NodeId {
        loop {
            let inner = match &self.tree.node(id).kind {
                Kind::Map { entries, .. } => entries.last().map(|entry| entry.value),
                Kind::Seq { items, .. } => items.last().map(|item| item.node),
                Kind::Scalar(_) | Kind::Alias(_) => None,
            };
            match inner {
                Some(inner) => id = inner,
                None => return id,
            }
        }
    }
}
