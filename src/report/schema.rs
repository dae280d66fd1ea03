//! JSON Schemas of the documents.

use serde_json::Value;

use super::{
    AccessReport, AssessReport, BundleManifest, BundleReport, DrillReport, ErrorReport,
    ExplainReport, HistoryReport, RefusalReport, RequestReport, RunReport, StatusReport,
};
use crate::plan::Plan;

/// The kinds that have a schema.
pub const KINDS: [&str; 16] = [
    "Plan",
    "Refusal",
    "Run",
    "Status",
    "History",
    "Explain",
    "Access",
    "Request",
    "Bundle",
    "BundleManifest",
    "Drill",
    "Assess",
    "Abandon",
    "Undo",
    "Fleet",
    "Error",
];

/// The JSON Schema of a kind.
#[must_use]
pub fn schema(kind: &str) -> Option<Value> {
    let schema = match kind {
        "Plan" => schemars::schema_for!(Plan),
        "Refusal" => schemars::schema_for!(RefusalReport),
        "Run" => schemars::schema_for!(RunReport),
        "Status" => schemars::schema_for!(StatusReport),
        "History" => schemars::schema_for!(HistoryReport),
        "Explain" => schemars::schema_for!(ExplainReport),
        "Drill" => schemars::schema_for!(DrillReport),
        "Fleet" => schemars::schema_for!(super::FleetReport),
        "Abandon" => schemars::schema_for!(super::AbandonReport),
        "Assess" => schemars::schema_for!(AssessReport),
        "Undo" => schemars::schema_for!(super::UndoReport),
        "Access" => schemars::schema_for!(AccessReport),
        "Bundle" => schemars::schema_for!(BundleReport),
        "BundleManifest" => schemars::schema_for!(BundleManifest),
        "Request" => schemars::schema_for!(RequestReport),
        "Error" => schemars::schema_for!(ErrorReport),
        _ => return None,
    };
    Some(schema.to_value())
}
