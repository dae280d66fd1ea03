//! A stream of documents and what can be asked about it.

use std::ops::Range;
use std::sync::OnceLock;

use serde_json::Value;

use super::build::{Fault, build};
use super::error::{EditError, ParseError, Position};
use super::lookup::MERGED;
use super::objects::{Address, Object};
use super::path::{Path, Step};
use super::split::{Chunk, split};
use super::text::LineIndex;
use super::tree::{Kind, NodeId, Tree};

/// A YAML text of one or more documents, kept byte for byte.
#[derive(Debug)]
pub struct Manifest {
    text: String,
    lines: LineIndex,
    documents: Vec<Document>,
}

/// One document of a [`Manifest`].
#[derive(Debug)]
pub struct Document {
    chunk: Chunk,
    /// Its place in the stream.
    place: usize,
    /// An error is there from the start; a tree that was not kept is read again when it is asked
    /// for.
    tree: OnceLock<Result<Tree, ParseError>>,
    objects: Vec<Object>,
    line: usize,
    is_empty: bool,
}

/// The trees of a text up to this size are kept all.
const KEPT: usize = 64 * 1024;
/// In larger texts those of documents below this size are not: getting memory for thousands of
/// trees takes longer than reading again the one that is needed.
const QUICKLY_READ: usize = 16 * 1024;

impl Document {
    /// Why this document cannot be read, if it cannot.
    #[must_use]
    pub fn error(&self) -> Option<&ParseError> {
        self.tree.get()?.as_ref().err()
    }

    /// The bytes of the whole text that belong to this document, markers and the comments before
    /// it included.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.chunk.start..self.chunk.end
    }

    /// The line its content begins in, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// True for a document without content (`---` followed by nothing but comments).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }
}

impl Manifest {
    /// Reads a text; every document of it must be readable.
    ///
    /// # Errors
    /// The first place that is not YAML, has a key twice, or that Kubernetes could not read.
    pub fn parse(text: impl Into<String>) -> Result<Self, ParseError> {
        let manifest = Self::parse_lenient(text);
        match manifest.documents.iter().find_map(Document::error) {
            Some(error) => Err(error.clone()),
            None => Ok(manifest),
        }
    }

    /// Reads a text in which some documents may be unreadable; each tells so for itself
    /// ([`Document::error`]) and the others are as good as ever.
    #[must_use]
    pub fn parse_lenient(text: impl Into<String>) -> Self {
        let text = text.into();
        let lines = LineIndex::new(&text);
        let documents = split(&text)
            .into_iter()
            .enumerate()
            .map(|(place, chunk)| document(&text, &lines, place, chunk))
            .collect();
        Self {
            text,
            lines,
            documents,
        }
    }

    /// The text, unchanged.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The documents, in the order of the text; empty ones count.
    #[must_use]
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// The text of the document that an address is in, markers and comments before it included.
    #[must_use]
    pub fn document_text(&self, address: &Address) -> Option<&str> {
        let document = self.documents.get(address.document)?;
        self.text.get(document.span())
    }

    /// The texts of all documents.
    pub fn document_texts(&self) -> impl Iterator<Item = &str> {
        let spans = self.documents.iter().map(Document::span);
        spans.filter_map(|span| self.text.get(span))
    }

    /// Every Kubernetes object of the readable documents, the items of lists one by one.
    #[must_use]
    pub fn objects(&self) -> Vec<Object> {
        let all = self.documents.iter().map(|document| &document.objects);
        all.flatten().cloned().collect()
    }

    /// The objects of this kind and name. With a namespace, an object that says none matches too:
    /// it gets its namespace from whoever applies it.
    #[must_use]
    pub fn find(&self, kind: &str, name: &str, namespace: Option<&str>) -> Vec<Object> {
        let all = self.documents.iter().flat_map(|document| &document.objects);
        let fits = |object: &&Object| {
            object.kind == kind
                && object.name == name
                && match (namespace, &object.namespace) {
                    (Some(wanted), Some(own)) => wanted == own,
                    _ => true,
                }
        };
        all.filter(fits).cloned().collect()
    }

    /// The value at a path as Kubernetes reads it (YAML 1.1 booleans, octals and floats, aliases
    /// and merge keys resolved); `None` when it is absent or the path is ambiguous.
    #[must_use]
    pub fn value(&self, address: &Address, path: &Path) -> Option<Value> {
        let (_, tree, id) = self.locate(address, path)?;
        Some(tree.value(id))
    }

    /// Where the field begins: its value, or the place where that would stand.
    #[must_use]
    pub fn position(&self, address: &Address, path: &Path) -> Option<Position> {
        let (document, tree, id) = self.locate(address, path)?;
        Some(self.node_position(document, tree, id))
    }

    /// The bytes of the field's value in [`Manifest::text`], with anchor and tag.
    #[must_use]
    pub fn span(&self, address: &Address, path: &Path) -> Option<Range<usize>> {
        let (document, tree, id) = self.locate(address, path)?;
        let (node, base) = (tree.node(id), document.chunk.start);
        Some(base + node.outer_start()..base + node.end)
    }

    /// The field's value in its own words.
    #[must_use]
    pub fn source_text(&self, address: &Address, path: &Path) -> Option<&str> {
        self.text.get(self.span(address, path)?)
    }

    /// The same path with every list item told by its place, so that it can be a JSON pointer.
    #[must_use]
    pub fn indexed(&self, address: &Address, path: &Path) -> Option<Path> {
        let tree = self.read(self.documents.get(address.document)?).ok()?;
        let found = tree.locate(tree.object_root(address.item)?, path).ok()?;
        let steps = path.steps().iter().zip(&found.places).zip(&found.chain);
        let step = |((step, place), around): ((&Step, &usize), &NodeId)| match tree
            .node(tree.follow(*around))
            .kind
        {
            Kind::Seq { .. } if *place != MERGED => Step::Index(*place),
            _ => step.clone(),
        };
        Some(steps.map(step).collect())
    }

    fn locate(&self, address: &Address, path: &Path) -> Option<(&Document, &Tree, NodeId)> {
        let document = self.documents.get(address.document)?;
        let tree = self.read(document).ok()?;
        let found = tree.locate(tree.object_root(address.item)?, path).ok()?;
        Some((document, tree, found.target()))
    }

    fn node_position(&self, document: &Document, tree: &Tree, id: NodeId) -> Position {
        self.place(document, tree.node(id).outer_start())
    }

    /// The place of a byte of a document's own text.
    pub(super) fn place(&self, document: &Document, at: usize) -> Position {
        self.lines.position(&self.text, document.chunk.start + at)
    }

    /// The document and tree of an address, or why there is none.
    pub(super) fn tree(&self, address: &Address) -> Result<(&Document, &Tree), EditError> {
        let Some(document) = self.documents.get(address.document) else {
            let there = self.documents.len();
            let reason = format!("there is no {address}: the text has {there} document(s)");
            return Err(EditError::NoSuchObject(reason));
        };
        match self.read(document) {
            Ok(tree) => Ok((document, tree)),
            Err(error) => Err(EditError::Unreadable(error.clone())),
        }
    }

    /// The tree of one of its documents.
    pub(super) fn read<'m>(&'m self, document: &'m Document) -> Result<&'m Tree, &'m ParseError> {
        let (place, chunk) = (document.place, document.chunk);
        let again = || tree(&self.text, &self.lines, place, chunk);
        document.tree.get_or_init(again).as_ref()
    }
}

fn document(text: &str, lines: &LineIndex, place: usize, chunk: Chunk) -> Document {
    let tree = tree(text, lines, place, chunk);
    let line = |at: usize| lines.position(text, chunk.start + at).line;
    let (objects, start, is_empty) = match &tree {
        Ok(tree) => {
            let start = |id: NodeId| tree.node(id).outer_start();
            let objects = tree.objects(place, |id| line(start(id)));
            let is_empty = tree.node(tree.root).is_absent();
            (objects, start(tree.root), is_empty)
        }
        Err(_) => (Vec::new(), 0, false),
    };
    let is_kept = text.len() <= KEPT || chunk.end - chunk.start >= QUICKLY_READ;
    Document {
        chunk,
        place,
        tree: if is_kept || tree.is_err() {
            tree.into()
        } else {
            OnceLock::new()
        },
        objects,
        line: line(start),
        is_empty,
    }
}

fn tree(text: &str, lines: &LineIndex, place: usize, chunk: Chunk) -> Result<Tree, ParseError> {
    let built = build(&text[chunk.start..chunk.end]);
    let built = built.and_then(|tree| follows_marker(place, tree));
    built.map_err(|fault| explain(text, lines, chunk, fault))
}

/// Only the first document may do without a `---`: behind a `...` libyaml, and with it Kubernetes,
/// reads nothing else.
fn follows_marker(place: usize, tree: Tree) -> Result<Tree, Fault> {
    if place == 0 || tree.body > 0 {
        return Ok(tree);
    }
    let at = tree.node(tree.root).outer_start();
    Err(Fault {
        at,
        message: "a document behind `...` must begin with `---`".to_owned(),
    })
}

fn explain(text: &str, lines: &LineIndex, chunk: Chunk, fault: Fault) -> ParseError {
    let at = (chunk.start + fault.at).min(text.len());
    let Position { line, column } = lines.position(text, at);
    let mut message = fault.message;
    if text[chunk.start..chunk.end].contains("{{") {
        message.push_str(
            "; this looks like a Helm or Go template, which is not YAML: edit the values it is \
             rendered from",
        );
    }
    ParseError {
        line,
        column,
        message,
    }
}
