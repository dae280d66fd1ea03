//! Exit codes: the only table.

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// The goal holds, or there is nothing to do.
    Success,
    /// An error.
    Error,
    /// Wrong usage or configuration.
    Usage,
    /// Refused: no safe plan, no right, no approval.
    Refused,
    /// Stopped part-way; `unship continue` goes on.
    Stopped,
    /// Carried out; verification failed.
    Failed,
    /// Carried out; verification inconclusive or a deadline passed; `unship continue` goes on.
    Inconclusive,
    /// Handed over: a human must act.
    HandedOver,
    /// `plan --exit-code`: something is to be done; `assess --exit-code`: roll back.
    SomethingToDo,
    /// `assess --exit-code`: a warning fires.
    ToDocument,
    /// `assess --exit-code`: nothing fires, and something is unknown.
    NotKnown,
    /// Interrupted before anything was done.
    Interrupted,
}

impl ExitStatus {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Stopped => 4,
            Self::Failed => 5,
            Self::Inconclusive => 6,
            Self::HandedOver => 7,
            Self::SomethingToDo => 10,
            Self::ToDocument => 11,
            Self::NotKnown => 12,
            Self::Interrupted => 130,
        }
    }

    /// The status with this number; an unknown number is an error.
    #[must_use]
    pub const fn of_code(code: u8) -> Self {
        match code {
            0 => Self::Success,
            2 => Self::Usage,
            3 => Self::Refused,
            4 => Self::Stopped,
            5 => Self::Failed,
            6 => Self::Inconclusive,
            7 => Self::HandedOver,
            10 => Self::SomethingToDo,
            11 => Self::ToDocument,
            12 => Self::NotKnown,
            130 => Self::Interrupted,
            _ => Self::Error,
        }
    }
}

/// The table for `--help`.
pub const TABLE: &str = "\
Exit codes:
  0  the goal holds, or nothing to do
  1  error
  2  usage or configuration
  3  refused: no safe plan, no right, no approval
  4  stopped part-way, `unship continue` goes on
  5  carried out, verification failed
  6  carried out, verification inconclusive or deadline passed, `unship continue` goes on
  7  handed over: a human must act";
