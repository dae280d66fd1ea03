//! Every error as words, hints and an exit code: decided once, here.

use crate::exit::ExitStatus;
use crate::git::GitError;
use crate::{cluster, execute, observe};

/// What a person gets to read when something went wrong.
#[derive(Debug)]
pub(super) struct Failure {
    /// The exit code.
    pub status: ExitStatus,
    /// What happened and why.
    pub message: String,
    /// What to do next.
    pub hints: Vec<String>,
}

impl Failure {
    /// An error.
    pub(super) fn error(message: impl Into<String>) -> Self {
        Self {
            status: ExitStatus::Error,
            message: message.into(),
            hints: Vec::new(),
        }
    }

    /// Wrong usage or configuration.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self {
            status: ExitStatus::Usage,
            message: message.into(),
            hints: Vec::new(),
        }
    }

    /// A refusal.
    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self {
            status: ExitStatus::Refused,
            message: message.into(),
            hints: Vec::new(),
        }
    }

    /// A person stopped it before anything was done.
    pub(super) fn interrupted() -> Self {
        Self {
            status: ExitStatus::Interrupted,
            message: "interrupted; nothing was done".to_owned(),
            hints: Vec::new(),
        }
    }

    /// The same with a hint.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl From<observe::Error> for Failure {
    fn from(error: observe::Error) -> Self {
        let message = error.to_string();
        match error {
            observe::Error::NotFound {
                near,
                elsewhere,
                namespace,
                ..
            } => {
                let mut failure = Self::usage(message);
                for target in near.iter().take(3) {
                    failure = failure.hint(format!("did you mean {}?", target.short()));
                }
                for target in elsewhere.iter().take(3) {
                    failure = failure.hint(format!(
                        "{} is in namespace {}: add -n {}",
                        target.short(),
                        target.namespace,
                        target.namespace
                    ));
                }
                if near.is_empty() && elsewhere.is_empty() {
                    failure = failure.hint(format!(
                        "`unship status -n {namespace}` lists what is there"
                    ));
                }
                failure
            }
            observe::Error::Ambiguous { choices, .. } => {
                let words: Vec<String> = choices
                    .iter()
                    .map(crate::model::WorkloadRef::short)
                    .collect();
                Self::usage(message).hint(format!("name the kind as well: {}", words.join(" or ")))
            }
            observe::Error::Git(error) => error.into(),
        }
    }
}

impl From<GitError> for Failure {
    fn from(error: GitError) -> Self {
        let status = match &error {
            GitError::NoIdentity { .. }
            | GitError::ProgramMissing { .. }
            | GitError::NotARepository { .. }
            | GitError::Reftable { .. }
            | GitError::Sha256 { .. }
            | GitError::UnsupportedExtension { .. }
            | GitError::Owner { .. } => ExitStatus::Usage,
            _ => ExitStatus::Error,
        };
        Self {
            status,
            message: error.to_string(),
            hints: Vec::new(),
        }
    }
}

impl From<cluster::Error> for Failure {
    fn from(error: cluster::Error) -> Self {
        let hints = error.hint().into_iter().collect();
        let status = match error {
            cluster::Error::NoKubeconfig { .. }
            | cluster::Error::Kubeconfig { .. }
            | cluster::Error::UnknownContext { .. } => ExitStatus::Usage,
            _ => ExitStatus::Error,
        };
        Self {
            status,
            message: error.to_string(),
            hints,
        }
    }
}

impl From<execute::journal::Error> for Failure {
    fn from(error: execute::journal::Error) -> Self {
        use execute::journal::Error as Journal;
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let message = source.map_or_else(|| error.to_string(), |why| format!("{error}: {why}"));
        match error {
            Journal::Busy { .. } => Self::refused(message).hint("wait for it, or see `unship runs`"),
            Journal::NoSuchRun(_) => Self::usage(message).hint("`unship runs` lists them"),
            Journal::Io { .. } => Self::error(message).hint("nothing was done after it; free disk space or set XDG_STATE_HOME to a writable folder"),
            Journal::Damaged { .. } | Journal::Newer { .. } => Self::error(message),
        }
    }
}

impl From<execute::Error> for Failure {
    fn from(error: execute::Error) -> Self {
        match error {
            execute::Error::Journal(error) => error.into(),
            execute::Error::Git(error) => error.into(),
            execute::Error::Observe(error) => error.into(),
        }
    }
}
