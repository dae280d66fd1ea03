//! How one of the programs that Argo CD's repo-server runs renders a source.

/// A program that renders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `helm`.
    Helm,
    /// `kustomize`.
    Kustomize,
}

impl Program {
    /// The name on the `PATH`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Helm => "helm",
            Self::Kustomize => "kustomize",
        }
    }
}

impl std::fmt::Display for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// One argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// As it stands.
    Text(String),
    /// The place where a file of the repositories is laid out, behind some text.
    File {
        /// What stands before it, as `key=`.
        before: String,
        /// The file.
        path: String,
    },
    /// The place of the text with this index in [`Recipe::given`].
    Given(usize),
}

/// What is run, on which files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The program.
    pub program: Program,
    /// The folder in which it is run.
    pub folder: String,
    /// The folders that it may need, with all that is below.
    pub folders: Vec<String>,
    /// Folders that stand in another place as well: a subchart that is published elsewhere among
    /// those beside its chart.
    pub copies: Vec<(String, String)>,
    /// Files that read otherwise than in the repositories.
    pub texts: Vec<(String, String)>,
    /// Texts that are in no repository.
    pub given: Vec<String>,
    /// The calls one after the other; the last one prints the objects.
    pub calls: Vec<Vec<Argument>>,
}
