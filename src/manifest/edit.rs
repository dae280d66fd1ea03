//! Edits: what can be asked for.

use std::cell::OnceCell;

use serde_json::Value;

use super::build::build;
use super::document::Manifest;
use super::error::{EditError, ParseError, Position};
use super::json::same;
use super::objects::Address;
use super::path::Path;
use super::render::Layout;
use super::task::Task;
use super::text::{LineIndex, ending_length, majority_break};
use super::tree::Tree;

/// One change to one object.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Edit<'a> {
    /// Makes the field this value; a missing last key is created. Where both are maps or lists,
    /// only what differs is written.
    Set {
        /// The field.
        path: Path,
        /// Its value.
        value: Value,
    },
    /// As `Set`, for a field that must exist.
    Replace {
        /// The field.
        path: Path,
        /// Its value.
        value: Value,
    },
    /// As `add` of RFC 6902: a new item before the one at this place ([`super::Step::End`] appends), or a
    /// key, new or not.
    Insert {
        /// The new field.
        path: Path,
        /// Its value.
        value: Value,
    },
    /// Takes the field away.
    Remove {
        /// The field.
        path: Path,
    },
    /// Holds where the field has this value, else nothing is edited.
    Test {
        /// The field.
        path: Path,
        /// The value it must have.
        value: Value,
    },
    /// Puts the field's subtree back with the text that it has in another manifest.
    Restore {
        /// The field, in both.
        path: Path,
        /// The manifest to take it from.
        from: &'a Manifest,
        /// The object in that manifest.
        from_address: Address,
    },
}

impl Edit<'_> {
    /// The field it is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Set { path, .. }
            | Self::Replace { path, .. }
            | Self::Insert { path, .. }
            | Self::Remove { path }
            | Self::Test { path, .. }
            | Self::Restore { path, .. } => path,
        }
    }
}

/// The outcome of edits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The whole text; the same bytes as before where there was nothing to do.
    pub text: String,
    /// The paths whose edits changed something, in the order asked for.
    pub changed: Vec<Path>,
}

impl Manifest {
    /// Makes the edits one after the other, each on the result of the one before, all or none.
    ///
    /// # Errors
    /// When an edit cannot be made without touching anything else; see [`EditError`].
    pub fn edit(&self, address: &Address, edits: &[Edit<'_>]) -> Result<Edited, EditError> {
        self.edit_from(LARGE, address, edits)
    }

    /// As `edit`; documents of `large` bytes and more are edited in parts where they can be.
    pub(super) fn edit_from(
        &self,
        large: usize,
        address: &Address,
        edits: &[Edit<'_>],
    ) -> Result<Edited, EditError> {
        let (document, tree) = self.tree(address)?;
        let span = document.span();
        let first_line = self.place(document, 0).line;
        let mut now = State::Same {
            text: &self.text()[span.clone()],
            tree,
        };
        let mut changed = Vec::new();
        for edit in edits {
            let tree = now.tree()?;
            let layout = Layout::of(now.text(), tree);
            let newline = if now.text().contains(['\n', '\r']) {
                layout.newline
            } else {
                majority_break(self.text())
            };
            let task = Task {
                text: now.text(),
                tree,
                layout: Layout { newline, ..layout },
                first_line,
                item: address.item,
                path: edit.path(),
            };
            let outcome = match task.run_narrow(edit, large) {
                Some(text) => text.map(|text| State::Later {
                    text,
                    tree: OnceCell::new(),
                }),
                None => task.run(edit)?.map(|(text, tree)| State::Later {
                    text,
                    tree: tree.into(),
                }),
            };
            if let Some(next) = outcome {
                now = next;
                changed.push(edit.path().clone());
            }
        }
        let text = match now {
            State::Same { .. } => self.text().to_owned(),
            State::Later { text, .. } => {
                let (before, after) = (&self.text()[..span.start], &self.text()[span.end..]);
                let text = match after.is_empty() {
                    true => text,
                    false => self.ended(text, edits)?,
                };
                [before, &text, after].concat()
            }
        };
        if text == self.text() {
            changed.clear();
        }
        Ok(Edited { text, changed })
    }
}

impl Manifest {
    /// A document that another one follows, with the line break that it may have lost: the next
    /// `---` must not stand behind its last word.
    fn ended(&self, text: String, edits: &[Edit<'_>]) -> Result<String, EditError> {
        if text.is_empty() || ending_length(&text) > 0 {
            return Ok(text);
        }
        let ended = format!("{text}{}", majority_break(self.text()));
        let value = |text: &str| {
            let read = Self::parse(text).ok()?;
            read.value(&Address::document(0), &Path::default())
        };
        match (value(&text), value(&ended)) {
            (Some(own), Some(other)) if same(&own, &other) => Ok(ended),
            _ => Err(EditError::Verification {
                path: edits
                    .first()
                    .map_or_else(Path::default, |edit| edit.path().clone()),
                at: Position { line: 1, column: 1 },
                reason: "its last line would run into the document behind it".to_owned(),
            }),
        }
    }
}

/// Documents of this size are edited in parts.
const LARGE: usize = 16 * 1024;

/// The document between two edits.
enum State<'a> {
    Same {
        text: &'a str,
        tree: &'a Tree,
    },
    Later {
        text: String,
        /// Read when another edit needs it.
        tree: OnceCell<Tree>,
    },
}

impl State<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Same { text, .. } => text,
            Self::Later { text, .. } => text,
        }
    }

    fn tree(&self) -> Result<&Tree, EditError> {
        match self {
            Self::Same { tree, .. } => Ok(tree),
            Self::Later { text, tree } => {
                if let Some(tree) = tree.get() {
                    return Ok(tree);
                }
                let built = build(text).map_err(|fault| {
                    let Position { line, column } = LineIndex::new(text).position(text, fault.at);
                    EditError::Unreadable(ParseError {
                        line,
                        column,
                        message: fault.message,
                    })
                })?;
                Ok(tree.get_or_init(|| built))
            }
        }
    }
}
