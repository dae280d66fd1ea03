//! What stands in the way, with the way out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One reason why no safe plan exists, with the action that clears it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Blocker {
    /// A stable word for programs.
    pub id: String,
    /// What is in the way.
    pub message: String,
    /// The one action that clears it.
    pub hint: String,
}

impl Blocker {
    /// A blocker.
    #[must_use]
    pub fn new(id: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            id: id.to_owned(),
            message: message.into(),
            hint: hint.into(),
        }
    }
}
