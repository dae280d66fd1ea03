//! Why a text cannot be read, and why an edit is refused.

use super::path::Path;

/// A document that is not YAML which Kubernetes could read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct ParseError {
    /// Line in the whole text, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

/// A place in a text, both counted from 1; the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why an edit was not made. The text is untouched in every case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The document itself cannot be read.
    #[error("the document cannot be read: {0}")]
    Unreadable(ParseError),
    /// The address names no document or no item of a list.
    #[error("{0}")]
    NoSuchObject(String),
    /// The path leads nowhere.
    #[error("{path} is not in the manifest ({at}): {reason}")]
    Missing {
        /// The path asked for.
        path: Path,
        /// Where the last step that exists stands.
        at: Position,
        /// Which step is missing, and what is there instead.
        reason: String,
    },
    /// A list item is named by a key that several items have.
    #[error("{path} is ambiguous ({at}): {reason}")]
    Ambiguous {
        /// The path asked for.
        path: Path,
        /// The second of the items.
        at: Position,
        /// Which items match.
        reason: String,
    },
    /// The edit would change what an anchor's other users see.
    #[error("{path} cannot be edited alone ({at}): {reason}")]
    Shared {
        /// The path asked for.
        path: Path,
        /// Where the alias or anchor stands.
        at: Position,
        /// Which alias or anchor, and what to do.
        reason: String,
    },
    /// The file ends inside a block scalar, without a line break.
    #[error(
        "{path} cannot be edited ({at}): the file ends in a block scalar without a line break, \
             and anything added behind it would change its value; add a line break at the end first"
    )]
    UnterminatedBlock {
        /// The path asked for.
        path: Path,
        /// Where the block scalar stands.
        at: Position,
    },
    /// The value cannot stand there.
    #[error("{path} cannot take that value ({at}): {reason}")]
    NotRepresentable {
        /// The path asked for.
        path: Path,
        /// Where it would stand.
        at: Position,
        /// Why not.
        reason: String,
    },
    /// A `test` did not hold. The values are not repeated: they may be secrets.
    #[error("test failed: {path} {reason}")]
    TestFailed {
        /// The path that was tested.
        path: Path,
        /// In what way it differs.
        reason: String,
    },
    /// The result was read again and was not exactly what was asked for.
    #[error(
        "{path} was not edited ({at}): the result would not be exactly the edit asked for: {reason}"
    )]
    Verification {
        /// The path asked for.
        path: Path,
        /// Where the first difference stands in the text before the edit.
        at: Position,
        /// What would have differed.
        reason: String,
    },
}

impl EditError {
    /// True when the request itself was wrong (no such object or path), false when the edit was
    /// understood and refused.
    #[must_use]
    pub fn is_bad_request(&self) -> bool {
        matches!(
            self,
            Self::NoSuchObject(_) | Self::Missing { .. } | Self::Ambiguous { .. }
        )
    }

    /// Where in the text the reason stands, where there is one place.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::Unreadable(error) => Some(Position {
                line: error.line,
                column: error.column,
            }),
            Self::NoSuchObject(_) | Self::TestFailed { .. } => None,
            Self::Missing { at, .. }
            | Self::Ambiguous { at, .. }
            | Self::Shared { at, .. }
            | Self::UnterminatedBlock { at, .. }
            | Self::NotRepresentable { at, .. }
            | Self::Verification { at, .. } => Some(*at),
        }
    }
}
