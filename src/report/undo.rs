//! An undo of one file, as a document and as lines.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::manifest::{DiffOptions, UndoField, Undone, unified_diff};
use crate::plan::{API_VERSION, FieldUndo};

/// An undo of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UndoReport {
    /// `unship/v1`.
    pub api_version: String,
    /// `Undo`.
    pub kind: String,
    /// The file.
    pub file: String,
    /// `undone`, `partly`, `nothing left to undo` or `refused`.
    pub class: String,
    /// The fields that were taken back.
    pub undone: Vec<FieldUndo>,
    /// The fields that something else has changed since: left.
    pub superseded: Vec<FieldUndo>,
    /// What else was left: comments and style.
    pub left: Vec<String>,
    /// Why it was refused.
    pub reason: Option<String>,
    /// The unified diff, values that may be secrets masked.
    pub diff: String,
    /// Exit code: 3 where it was refused.
    pub exit_code: u8,
}

impl UndoReport {
    /// The report of an undo of `file`, whose text was `head`.
    #[must_use]
    pub fn new(file: &str, head: &str, undone: &Undone) -> Self {
        let fields = |list: &[UndoField]| list.iter().map(FieldUndo::new).collect();
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "Undo".to_owned(),
            file: file.to_owned(),
            class: undone.class.word().to_owned(),
            undone: fields(&undone.undone),
            superseded: fields(&undone.superseded),
            left: undone.left.clone(),
            reason: undone.reason.clone(),
            diff: unified_diff(file, head, &undone.text, DiffOptions::default()),
            exit_code: if undone.reason.is_some() { 3 } else { 0 },
        }
    }

    /// Lines for people: the class, then every field that was left.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut out = vec![format!(
            "{}: {}, {} taken back, {} left as changed since",
            self.file,
            self.class,
            super::counted(self.undone.len(), "field"),
            self.superseded.len()
        )];
        out.extend(
            self.superseded
                .iter()
                .map(|field| format!("left {}", field.left())),
        );
        out.extend(self.left.iter().map(|left| format!("left {left}")));
        out
    }
}
