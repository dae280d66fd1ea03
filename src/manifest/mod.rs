//! Lossless editing of Kubernetes manifests: text and edits in, text out.
//!
//! A text is parsed into trees whose nodes know their bytes. An edit replaces byte ranges and
//! nothing else; the result is parsed again and must be exactly the old tree with the edit in it,
//! else the edit is refused. Values are read as Kubernetes reads them.

mod block;
mod build;
mod checks;
mod compare;
mod diff;
mod document;
mod draft;
mod edit;
mod error;
mod insert;
mod json;
mod levels;
mod lookup;
mod mask;
mod merge_key;
mod narrow;
mod objects;
mod one_line;
mod patch;
mod path;
mod plain;
mod quote;
mod read;
mod remove;
mod render;
mod replace;
mod restore;
mod scalar;
mod split;
mod task;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod undo;
mod used;
mod verify;
mod without;

pub use compare::{Change, diff_values, diff_values_at};
pub use diff::{DiffOptions, unified_diff};
pub use document::{Document, Manifest};
pub use edit::{Edit, Edited};
pub use error::{EditError, ParseError, Position};
pub use mask::mask_values;
pub use merge_key::merge_key;
pub use objects::{Address, Object};
pub use patch::{PatchError, parse_patch, parse_set};
pub use path::{Path, PathError, Step};
pub use render::to_yaml;
pub use undo::{
    Field as UndoField, TextConflict, UndoClass, Undone, field_value, merge_text, undo, undo_chosen,
};
pub use used::{Used, changed_objects, named_objects, used};

/// Whether Argo CD takes a file of this name for a plain manifest (3.2, `manifestFile` in its
/// repo-server, without jsonnet).
#[must_use]
pub fn is_manifest_name(path: &str) -> bool {
    let ends = [".yaml", ".yml", ".json"];
    ends.iter().any(|end| path.ends_with(end))
}
