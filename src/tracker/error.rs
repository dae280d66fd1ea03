//! Why the tracker took nothing.

use std::time::Duration;

use super::Tracker;
use super::answer::{Envelope, envelope};
use super::program::Run;
use crate::model::{mask_text, plain};

/// Why the tracker took nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no such program.
    #[error("the tracker program {program} is not installed: {reason}")]
    NotInstalled {
        /// The program as configured.
        program: String,
        /// The system's words.
        reason: String,
    },
    /// The folder in which it is to run is not there.
    #[error("the tracker's folder {directory} cannot be used: {reason}")]
    NoFolder {
        /// The folder.
        directory: String,
        /// Why.
        reason: String,
    },
    /// The program does not take what a record needs.
    #[error("{program} is no program for beads: its `create --help` knows no {missing}")]
    Unsuitable {
        /// The program.
        program: String,
        /// The flag that is not there.
        missing: &'static str,
    },
    /// There is no workspace in the folder or above it.
    #[error("no beads workspace in {directory} or above it ({reason})")]
    NotInitialised {
        /// The folder.
        directory: String,
        /// The program's words.
        reason: String,
    },
    /// Somebody else held the tracker until the time limit.
    #[error("the tracker in {directory} stayed locked for {} s ({reason})", limit.as_secs_f32())]
    Locked {
        /// The folder.
        directory: String,
        /// The time limit.
        limit: Duration,
        /// The program's words.
        reason: String,
    },
    /// The program did not end within the time limit and was stopped.
    #[error("`{program} {what}` did not end within {} s", limit.as_secs_f32())]
    TimedOut {
        /// The program.
        program: String,
        /// What it was to do.
        what: String,
        /// The time limit.
        limit: Duration,
    },
    /// The tracker does not take this content.
    #[error("the tracker refused it: {reason}")]
    Refused {
        /// The tracker's code, `VALIDATION_FAILED` for instance; empty where it gave none.
        code: String,
        /// The tracker's words.
        reason: String,
        /// The tracker's own advice.
        advice: Option<String>,
    },
    /// Anything else that the program reported.
    #[error("`{program} {what}` failed with {ended}: {reason}")]
    Failed {
        /// The program.
        program: String,
        /// What it was to do.
        what: String,
        /// `exit code 8`, or the signal.
        ended: String,
        /// The program's words.
        reason: String,
        /// The program's own advice.
        advice: Option<String>,
    },
    /// It ended well, but its answer cannot be understood.
    #[error("`{program} {what}` ended well, but its answer cannot be read: {text}")]
    Unreadable {
        /// The program.
        program: String,
        /// What it was to do.
        what: String,
        /// The beginning of the answer.
        text: String,
    },
}

impl Error {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NotInstalled { .. } => "install it (`cargo install beads_rust` gives `br`), or name yours as `tracker: {program: ...}` in your configuration".to_owned(),
            Self::NoFolder { .. } => "set `tracker: {directory: ...}` in your configuration to the folder that holds .beads".to_owned(),
            Self::Unsuitable { .. } => "name the program for beads as `tracker: {program: ...}` in your configuration".to_owned(),
            Self::NotInitialised { directory, .. } => format!("set `tracker: {{directory: ...}}` in your configuration to the folder that holds .beads, or run `br init` in {directory}"),
            Self::Locked { .. } => "see who holds it, or give more time with `tracker: {timeout: 30s}` in your configuration".to_owned(),
            Self::TimedOut { .. } => "run it by hand to see what it waits for, or give more time with `tracker: {timeout: 30s}` in your configuration".to_owned(),
            Self::Refused { advice, .. } => advice.clone().unwrap_or_else(|| "change the record's title, labels or type in your configuration (`records:`)".to_owned()),
            Self::Failed { program, advice, .. } => advice.clone().unwrap_or_else(|| format!("`{program} doctor` in the tracker's folder looks for damage")),
            Self::Unreadable { .. } => "name a program for beads that takes --json as `tracker: {program: ...}` in your configuration".to_owned(),
        }
    }

    /// Whether nothing can have been written: the tracker never came to it.
    #[must_use]
    pub const fn nothing_written(&self) -> bool {
        !matches!(
            self,
            Self::TimedOut { .. } | Self::Unreadable { .. } | Self::Failed { .. }
        )
    }
}

/// The beginning of a program's text, on one line, without secrets.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 300;
    let flat = plain(&mask_text(text))
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    if flat.is_empty() {
        return "it said nothing".to_owned();
    }
    if flat.chars().count() <= LONGEST {
        return flat;
    }
    let cut: String = flat.chars().take(LONGEST).collect();
    format!("{cut}…")
}

impl Tracker {
    /// A failed run as an error: by the code in its JSON, else by its exit code and words.
    /// Exit codes of beads_rust: 2 database, 4 validation, 5 dependency, 8 I/O.
    pub(super) fn failed(&self, what: &str, run: &Run) -> Error {
        let Envelope {
            code,
            message,
            hint,
        } = envelope(&run.stderr)
            .or_else(|| envelope(&run.stdout))
            .unwrap_or_else(|| Envelope::bare(&run.stderr, &run.stdout));
        let reason = excerpt(&message);
        let advice = hint.as_deref().map(excerpt);
        let directory = self.directory.display().to_string();
        let lower = message.to_ascii_lowercase();
        let busy = ["database is locked", "database is busy", "write lock"]
            .iter()
            .any(|word| lower.contains(word));
        match code.as_str() {
            "NOT_INITIALIZED" | "DATABASE_NOT_FOUND" => Error::NotInitialised { directory, reason },
            "DATABASE_LOCKED" => Error::Locked {
                directory,
                limit: self.limit,
                reason,
            },
            _ if busy => Error::Locked {
                directory,
                limit: self.limit,
                reason,
            },
            "VALIDATION_FAILED"
            | "INVALID_STATUS"
            | "INVALID_TYPE"
            | "INVALID_PRIORITY"
            | "REQUIRED_FIELD"
            | "POLICY_VIOLATION"
            | "ISSUE_NOT_FOUND"
            | "AMBIGUOUS_ID"
            | "INVALID_ID"
            | "CYCLE_DETECTED"
            | "DEPENDENCY_NOT_FOUND"
            | "SELF_DEPENDENCY"
            | "DUPLICATE_DEPENDENCY" => Error::Refused {
                code,
                reason,
                advice,
            },
            _ => Error::Failed {
                program: self.program.display().to_string(),
                what: what.to_owned(),
                ended: run.ended(),
                reason,
                advice,
            },
        }
    }
}
