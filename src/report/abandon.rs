//! A run that was given up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::human::one_line;
use crate::plan::API_VERSION;

/// What is left of a run that was given up. Nothing was undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AbandonReport {
    /// `unship/v1`.
    pub api_version: String,
    /// `Abandon`.
    pub kind: String,
    /// The run.
    pub run_id: String,
    /// Its commit, where that stays on the branch.
    pub commit: Option<String>,
    /// What it left suspended, and the command that gives it back.
    pub suspended: Option<String>,
    /// 0.
    pub exit_code: u8,
}

impl AbandonReport {
    /// The report of a run, the commit that it pushed, and what it left suspended.
    #[must_use]
    pub fn new(run: &str, commit: Option<String>, suspended: Option<String>) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "Abandon".to_owned(),
            run_id: run.to_owned(),
            commit,
            suspended,
            exit_code: 0,
        }
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let left = match &self.commit {
            Some(commit) => {
                let short: String = commit.chars().take(7).collect();
                format!("its commit {short} stays on the branch")
            }
            None => "nothing of it is on the branch".to_owned(),
        };
        let mut out = format!("run {} is given up; {left}\n", self.run_id);
        if let Some(text) = &self.suspended {
            out.push_str(&format!("{}\n", one_line(text, 400)));
        }
        out
    }
}
