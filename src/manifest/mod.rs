//! Lossless editing of Kubernetes manifests: text and edits in, text out.
//!
//! A text is parsed into trees whose nodes know their bytes. An edit replaces byte ranges and
//! nothing else; the result is parsed again and must be exactly the old tree with the edit in it,
//! else the edit is refused. Values are read as Kubernetes reads them.

mod build;
mod document;
mod draft;
mod edit;
mod error;
mod insert;
mod json;
mod lookup;
mod merge_key;
mod objects;
mod path;
mod quote;
mod read;
mod remove;
mod render;
mod replace;
mod restore;
mod scalar;
mod split;
mod text;
mod tree;
mod verify;

pub use document::{Document, Manifest};
pub use edit::{Edit, Edited};
pub use error::{EditError, ParseError, Position};
pub use merge_key::merge_key;
pub use objects::{Address, Object};
pub use path::{Path, PathError, Step};
