//! The Kubernetes objects of a stream.

use std::fmt;

use super::tree::{Kind, NodeId, Tree};

/// Where an object is: the document, and the place in its `items` where that is a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Place of the document in the stream, from 0; empty documents count.
    pub document: usize,
    /// Place in the `items` of a `List`.
    pub item: Option<usize>,
}

impl Address {
    /// The whole document at this place.
    #[must_use]
    pub fn document(document: usize) -> Self {
        Self {
            document,
            item: None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "document {}", self.document + 1)?;
        match self.item {
            Some(item) => write!(f, ", item {}", item + 1),
            None => Ok(()),
        }
    }
}

/// A Kubernetes object: something with a kind and a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Where it is.
    pub address: Address,
    /// Its `apiVersion`; empty where it has none.
    pub api_version: String,
    /// Its `kind`.
    pub kind: String,
    /// Its `metadata.name`; empty where it has none (`generateName`).
    pub name: String,
    /// Its `metadata.namespace`, where the text says one.
    pub namespace: Option<String>,
    /// The line it begins in, from 1.
    pub line: usize,
}

impl Tree {
    /// The node of an object.
    pub(super) fn object_root(&self, item: Option<usize>) -> Option<NodeId> {
        let Some(item) = item else {
            return Some(self.root);
        };
        let items = self.follow(self.effective(self.follow(self.root), "items")?);
        self.items(items).get(item).map(|item| item.node)
    }

    /// The objects of this document; `line` tells the line of a node.
    pub(super) fn objects(&self, document: usize, line: impl Fn(NodeId) -> usize) -> Vec<Object> {
        let root = self.follow(self.root);
        let Some(kind) = self.field_text(root, "kind") else {
            return Vec::new();
        };
        let items = self.effective(root, "items").map(|id| self.follow(id));
        if let (Some(of), Some(items)) = (kind.strip_suffix("List"), items)
            && matches!(self.node(items).kind, Kind::Seq { .. })
        {
            // As apimachinery's UnstructuredList: the items of a typed list need not say what
            // they are.
            let api_version = self.field_text(root, "apiVersion").unwrap_or_default();
            let inherited = if of.is_empty() {
                None
            } else {
                Some((of, api_version.as_str()))
            };
            return self
                .items(items)
                .iter()
                .enumerate()
                .filter_map(|(place, item)| {
                    let address = Address {
                        document,
                        item: Some(place),
                    };
                    self.object_at(item.node, address, inherited, line(item.node))
                })
                .collect();
        }
        let address = Address::document(document);
        self.object_at(self.root, address, None, line(self.root))
            .into_iter()
            .collect()
    }

    fn object_at(
        &self,
        at: NodeId,
        address: Address,
        inherited: Option<(&str, &str)>,
        line: usize,
    ) -> Option<Object> {
        let at = self.follow(at);
        let metadata = self.effective(at, "metadata").map(|id| self.follow(id));
        let meta = |name| metadata.and_then(|id| self.field_text(id, name));
        let own = self.field_text(at, "kind");
        let kind = own.or_else(|| inherited.map(|(kind, _)| kind.to_owned()))?;
        let api_version = self.field_text(at, "apiVersion");
        Some(Object {
            address,
            api_version: api_version
                .or_else(|| inherited.map(|(_, version)| version.to_owned()))
                .unwrap_or_default(),
            kind,
            name: meta("name").unwrap_or_default(),
            namespace: meta("namespace").filter(|namespace| !namespace.is_empty()),
            line,
        })
    }
}
