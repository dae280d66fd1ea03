//! Taking one change back and keeping everything that came later, field by field.
//!
//! Three texts decide: the file as the bad change left it, as it was before, and as it is today.
//! What is written is made of today's lines and the good text's lines; it is read again, and must
//! be exactly today's values with the undone fields in them, else nothing is given.

mod decide;
mod documents;
mod explained;
mod identity;
mod lines;
mod lists;
mod merge;
mod place;
mod segments;
mod write;

use serde_json::Value;

use super::path::Path;
use crate::model::{MASK, mask_text, plain};

pub use merge::{TextConflict, merge_text};
pub use write::{field_value, undo, undo_chosen};

/// How much of a change was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UndoClass {
    /// All of it that was still there.
    Undone,
    /// Some fields; others have been changed since and are left.
    Partly,
    /// Nothing of it is there any more: every field has its good value or was changed since.
    NothingLeft,
    /// It cannot be done without guessing; the text is today's.
    Refused,
}

impl UndoClass {
    /// The word for it in messages and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Undone => "undone",
            Self::Partly => "partly",
            Self::NothingLeft => "nothing left to undo",
            Self::Refused => "refused",
        }
    }
}

/// A field of an undo. Of an undone one `from` is what it was and `to` what it is now; of a
/// superseded one `from` is what the bad change had made of it and `to` what head says.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The document: its kind and name, or its number where it is no object.
    pub object: String,
    /// The field; the empty path is the whole document.
    pub path: Path,
    /// `None` where there is no such field.
    pub from: Option<Value>,
    /// `None` where there is no such field.
    pub to: Option<Value>,
    /// True where a value may be a secret: literal environment values, data of Secrets, the
    /// last-applied annotation.
    pub is_secret: bool,
}

impl Field {
    /// A value of the field on one line, for showing: masked where it may be a secret, cut where
    /// it is long.
    #[must_use]
    pub fn shown(&self, value: Option<&Value>) -> String {
        const LONG: usize = 60;
        let Some(value) = value else {
            return "nothing".to_owned();
        };
        if self.path.is_empty() {
            return "the whole document".to_owned();
        }
        if self.is_secret {
            return MASK.to_owned();
        }
        let text = match value {
            Value::String(text) if !text.is_empty() && !text.contains('\n') => text.clone(),
            Value::String(text) if text.contains('\n') => {
                return format!("{} lines", text.lines().count());
            }
            other => other.to_string(),
        };
        let text = plain(&mask_text(&text));
        if text.chars().count() <= LONG {
            return text;
        }
        let cut: String = text.chars().take(LONG).collect();
        format!("{cut}...")
    }
}

/// The outcome of an undo of one file.
#[derive(Debug, Clone, PartialEq)]
pub struct Undone {
    /// How much was taken back.
    pub class: UndoClass,
    /// The whole text after; today's where nothing was taken back.
    pub text: String,
    /// What was taken back.
    pub undone: Vec<Field>,
    /// What later work has changed since, and is left.
    pub superseded: Vec<Field>,
    /// What else is left: comments and style of the bad change that later work stands on.
    pub left: Vec<String>,
    /// Why it was refused.
    pub reason: Option<String>,
}
