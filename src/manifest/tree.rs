//! The tree of one document: what each node is and which bytes it has.
//!
//! Offsets count from the start of the document's own text (a chunk), so that documents behind an
//! edit need not be touched.

use super::scalar::{self, Tag};

/// Place of a node in its document's arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct NodeId(pub(super) u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
    Literal,
    Folded,
}

impl Style {
    pub(super) fn is_block(self) -> bool {
        matches!(self, Self::Literal | Self::Folded)
    }
}

#[derive(Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub(super) struct Scalar {
    /// The text after unfolding and unescaping; empty for an absent value.
    pub(super) text: Box<str>,
    pub(super) style: Style,
    /// Nothing stands there at all (`key:`).
    pub(super) absent: bool,
    /// Of a block scalar: the length of its header (`|2-`), before a comment.
    pub(super) header: u32,
}

#[derive(Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub(super) struct Entry {
    /// The key as Kubernetes has it: text.
    pub(super) name: Box<str>,
    pub(super) key: NodeId,
    pub(super) value: NodeId,
    /// Where `?` stands, for an explicit key.
    pub(super) question: Option<usize>,
    /// Where the `:` stands, if there is one.
    pub(super) colon: Option<usize>,
    /// A plain `<<`: the value's entries count as this map's.
    pub(super) merge: bool,
}

#[derive(Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub(super) struct Item {
    pub(super) node: NodeId,
    /// Where the `-` stands; in a flow list the start of the item.
    pub(super) dash: usize,
}

#[derive(Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub(super) enum Kind {
    Scalar(Scalar),
    Map { flow: bool, entries: Vec<Entry> },
    Seq { flow: bool, items: Vec<Item> },
    Alias(NodeId),
}

#[derive(Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// First byte of the content (behind anchor and tag); of a block scalar its `|` or `>`.
    pub(super) start: usize,
    /// Behind the last byte of the content, without a line break.
    pub(super) end: usize,
    /// Boxed since it is rare: there are very many nodes.
    pub(super) props: Option<Box<(usize, usize)>>,
    pub(super) anchored: bool,
    /// Set when an alias uses this node's anchor.
    pub(super) aliased: bool,
    pub(super) tag: Tag,
}

impl Node {
    /// Anchor and tag, from the first byte of the first to the end of the last.
    pub(super) fn props(&self) -> Option<(usize, usize)> {
        self.props.as_deref().copied()
    }

    /// First byte of the node with its anchor and tag.
    pub(super) fn outer_start(&self) -> usize {
        self.props().map_or(self.start, |(start, _)| start)
    }

    /// Behind the header of a block scalar; the start of anything else.
    pub(super) fn header_end(&self) -> usize {
        match &self.kind {
            // A header that long has been refused by the parser.
            Kind::Scalar(scalar) => self.start + usize::try_from(scalar.header).unwrap_or(0),
            _ => self.start,
        }
    }

    /// True for a map or list written in block style.
    pub(super) fn is_block_collection(&self) -> bool {
        matches!(
            self.kind,
            Kind::Map { flow: false, .. } | Kind::Seq { flow: false, .. }
        )
    }

    pub(super) fn is_block_scalar(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(scalar) if scalar.style.is_block())
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(Scalar { absent: true, .. }))
    }

    /// The map key that a scalar is.
    pub(super) fn key_text(&self) -> Option<std::borrow::Cow<'_, str>> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(scalar::key(
                &scalar.text,
                scalar.style == Style::Plain,
                self.tag,
            )),
            _ => None,
        }
    }
}

/// One parsed document.
#[derive(Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    pub(super) root: NodeId,
    /// Behind the `---`, or the start of the document's text.
    pub(super) body: usize,
}

impl Tree {
    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// The entries of a map; none for anything else.
    pub(super) fn entries(&self, id: NodeId) -> &[Entry] {
        match &self.node(id).kind {
            Kind::Map { entries, .. } => entries,
            _ => &[],
        }
    }

    /// The items of a list; none for anything else.
    pub(super) fn items(&self, id: NodeId) -> &[Item] {
        match &self.node(id).kind {
            Kind::Seq { items, .. } => items,
            _ => &[],
        }
    }

    /// The node itself, or what an alias stands for.
    pub(super) fn follow(&self, id: NodeId) -> NodeId {
        match self.node(id).kind {
            // The parser resolves an alias to an anchored node, never to another alias.
            Kind::Alias(target) => target,
            _ => id,
        }
    }
}
