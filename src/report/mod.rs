//! What people and programs read: text for a terminal, JSON with stable names,
//! Markdown for a pull request or a job summary. Pure.

mod abandon;
mod access;
mod assess;
mod bundle;
mod describe;
mod drill;
mod explain;
mod facts;
mod fleet;
mod gather;
mod history;
mod human;
mod live_ways;
mod markdown;
mod plan;
mod record;
mod request;
mod role;
mod run;
mod schema;
mod status;
mod symptoms;
mod template;
#[cfg(test)]
mod tests;
mod undo;
mod ways;

pub use abandon::AbandonReport;
pub use access::AccessReport;
pub use assess::{AssessReport, Assessed};
pub use bundle::{
    BundleCluster, BundleFile, BundleItem, BundleManifest, BundleOptions, BundleReport,
    BundleTarget, Missing,
};
pub use describe::{describe, events_text};
pub use drill::{DrillReport, DrillTarget, DrillTest, Outcome, Probe, Probes, drill_target};
pub use explain::{ExplainReport, FieldReport, LinkReport};
pub use facts::{Facts, PlanFacts, PodFacts, ReleaseFacts, Told};
pub use fleet::{FleetCommit, FleetReport, FleetRequest, FleetTarget, fleet_request};
pub use history::{HistoryEntryReport, HistoryReport};
pub use human::{Style, Tint, ago, counted, duration_words, one_line, table};
pub use plan::{decision_text, ladder_text, plan_markdown, plan_text, refusal_text};
pub use record::{Form, Forms, Record, RecordKind};
pub use request::{RequestReport, request_text};
pub use role::role_text;
pub use run::{
    CommitReport, RunReport, RunState, StepReport, run_markdown, run_text, target_seconds,
};
pub use schema::{KINDS, schema};
pub use status::{PodReport, ServingReport, StatusReport, TargetStatus, status_text};
pub use template::TemplateError;
pub use undo::UndoReport;
pub use ways::{HandedOver, Way};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::{API_VERSION, Refusal};

/// A refusal as a document.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefusalReport {
    /// `unship/v1`.
    pub api_version: String,
    /// `Refusal`.
    pub kind: String,
    /// What was asked for, in words.
    pub target: String,
    /// The refusal.
    #[serde(flatten)]
    pub refusal: Refusal,
    /// Exit code.
    pub exit_code: u8,
}

impl RefusalReport {
    /// Wraps a refusal.
    #[must_use]
    pub fn new(target: &str, refusal: Refusal) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "Refusal".to_owned(),
            target: target.to_owned(),
            refusal,
            exit_code: 3,
        }
    }
}

/// An error as a document, for `-o json`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorReport {
    /// `unship/v1`.
    pub api_version: String,
    /// `Error`.
    pub kind: String,
    /// What happened and why.
    pub message: String,
    /// What to do next.
    pub hints: Vec<String>,
    /// Exit code.
    pub exit_code: u8,
}

impl ErrorReport {
    /// Wraps an error.
    #[must_use]
    pub fn new(message: String, hints: Vec<String>, exit_code: u8) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "Error".to_owned(),
            message,
            hints,
            exit_code,
        }
    }
}
