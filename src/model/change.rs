//! What one commit changed, and what has become of it since.

use std::fmt;
use std::sync::Arc;

use super::{Commit, CommitId};

/// A commit's change against one of its parents, file by file.
#[derive(Debug, Clone)]
pub struct Change {
    /// The commit.
    pub commit: Commit,
    /// The parent that it is compared with.
    pub parent: CommitId,
    /// The files that it changed.
    pub files: Vec<ChangedFile>,
}

/// A file that a commit changed.
#[derive(Debug, Clone)]
pub struct ChangedFile {
    /// Its path before; `None` where the commit added it.
    pub old: Option<String>,
    /// Its path in the commit; `None` where the commit removed it.
    pub new: Option<String>,
    /// Its path at the tip, renames followed; `None` where it is not there any more.
    pub path: Option<String>,
    /// What it was before.
    pub before: Option<FileText>,
    /// What the commit made of it.
    pub after: Option<FileText>,
    /// What it is at the tip.
    pub head: Option<FileText>,
    /// The commits since that changed it, newest first.
    pub later: Vec<LaterChange>,
}

impl ChangedFile {
    /// The path to show: today's, else the last one that is known.
    #[must_use]
    pub fn name(&self) -> &str {
        let paths = [&self.path, &self.new, &self.old];
        paths.into_iter().flatten().next().map_or("", |path| path)
    }
}

/// What stands in a file.
#[derive(Clone, PartialEq, Eq)]
pub enum FileText {
    /// Text.
    Text(Arc<str>),
    /// Something else, in words: `no text`, `a symbolic link`.
    Other(String),
}

impl FileText {
    /// The text, where it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Other(_) => None,
        }
    }
}

impl fmt::Debug for FileText {
    /// Without the content: manifests carry values that are not to be shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Other(what) => write!(f, "Other({what})"),
        }
    }
}

/// A later commit's change of the same file.
#[derive(Debug, Clone)]
pub struct LaterChange {
    /// The commit.
    pub commit: Commit,
    /// The file before it.
    pub before: Option<FileText>,
    /// The file after it.
    pub after: Option<FileText>,
}
