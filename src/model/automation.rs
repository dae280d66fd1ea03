//! What was read about tools that set images by themselves.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::{Commit, Gap};

/// What the repository and the cluster say about tools that set images by themselves.
#[derive(Clone, Default)]
pub struct AutomationView {
    /// Files of the tip that speak of such a tool, by their path from the repository's root.
    pub files: BTreeMap<String, Arc<str>>,
    /// Live objects of such tools, as the API server gives them.
    pub objects: Vec<Value>,
    /// What could not be read.
    pub gaps: Vec<Gap>,
    /// Pins of the target that earlier commits made and no later one took back, newest first.
    /// Read for `unhold` only.
    pub held: Vec<HeldFile>,
}

impl fmt::Debug for AutomationView {
    /// Without texts: they may have values that are not to be shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AutomationView")
            .field("files", &self.files.keys().collect::<Vec<_>>())
            .field("objects", &self.objects.len())
            .field("gaps", &self.gaps)
            .field("held", &self.held.len())
            .finish()
    }
}

/// A file in which a commit pinned something.
#[derive(Clone)]
pub struct HeldFile {
    /// The commit.
    pub commit: Commit,
    /// The tool, as its trailer names it.
    pub tool: String,
    /// The file.
    pub path: String,
    /// Before the commit.
    pub before: Arc<str>,
    /// After it.
    pub after: Arc<str>,
    /// At the tip; `None` where there is no such file any more.
    pub head: Option<Arc<str>>,
}

impl fmt::Debug for HeldFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "HeldFile({} {} {})",
            self.commit.id.short(),
            self.tool,
            self.path
        )
    }
}
