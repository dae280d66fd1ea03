//! Questions about rights and their answers.

use serde::{Deserialize, Serialize};

/// One right in the cluster: verb on resource, perhaps a subresource, in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AccessQuery {
    /// `get`, `list`, `patch`, ...
    pub verb: String,
    /// API group; empty for core.
    pub group: String,
    /// Plural resource name.
    pub resource: String,
    /// Subresource, e.g. `log`; empty for none.
    pub subresource: String,
    /// Namespace; empty for all.
    pub namespace: String,
    /// Name of one object, which a role may be limited to; empty for all.
    pub name: String,
}

/// Whether a right is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Allowed {
    /// The server said yes.
    Allowed,
    /// The server said no.
    Denied,
    /// The question itself failed. Never read as yes.
    Unknown,
}

/// The answer to one question about rights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessAnswer {
    /// The right in words: `patch deployments.apps in mcp`.
    pub right: String,
    /// The answer.
    pub allowed: Allowed,
    /// The server's reason, or why it is unknown.
    pub reason: String,
}
