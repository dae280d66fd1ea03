//! What could not be read.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a read gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum GapReason {
    /// The identity may not read it.
    Forbidden,
    /// The identity was not accepted (no token, expired token).
    Unauthenticated,
    /// It is not there.
    NotFound,
    /// No answer within the time limit.
    TimedOut,
    /// Nobody answered, or the connection broke.
    Unreachable,
    /// An answer that could not be understood, or an error of the server.
    Invalid,
    /// There is nothing configured to ask.
    NotConfigured,
}

/// Something that could not be read, and why. A gap is never taken for "nothing there".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    /// What was to be read, in words: `pods in namespace mcp`.
    pub what: String,
    /// Why not.
    pub reason: GapReason,
    /// The upstream's own words, without secrets.
    pub message: String,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} could not be read: {}", self.what, self.message)
    }
}
