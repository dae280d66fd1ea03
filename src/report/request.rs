//! A request to a human, as a document and as text.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::facts::Facts;
use super::human::{Tint, one_line};
use super::record::Record;
use super::ways::Way;
use crate::model::{AccessAnswer, Blocker};
use crate::plan::{API_VERSION, Release, Unknown};

/// A request to a human.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestReport {
    /// `unship/v1`.
    pub api_version: String,
    /// `Request`.
    pub kind: String,
    /// The workload, in words.
    pub target: String,
    /// The key of the incident; a bead has it as its external reference.
    pub incident: String,
    /// The title.
    pub title: String,
    /// `bug`, ...
    pub issue_type: String,
    /// 0 (most urgent) to 4.
    pub priority: u8,
    /// Labels.
    pub labels: Vec<String>,
    /// The bead's id, where a tracker took it.
    pub bead: Option<String>,
    /// Whether this incident had been requested before.
    pub requested_before: bool,
    /// The Markdown file; none where nothing was to be asked for.
    pub file: Option<String>,
    /// Why nothing was to be asked for.
    pub not_needed: Option<String>,
    /// Until when it is worth acting on.
    #[schemars(with = "Option<String>")]
    pub expires_at: Option<Timestamp>,
    /// The release that is complained of.
    pub from: Release,
    /// The release to go back to, where one is known.
    pub to: Option<Release>,
    /// What is wrong.
    pub symptoms: Vec<String>,
    /// Commands for a person with the rights.
    pub ways: Vec<Way>,
    /// What blocks a safe plan.
    pub blockers: Vec<Blocker>,
    /// What is unknown and would have to be known.
    pub unknown: Vec<Unknown>,
    /// Rights that this identity does not have, or that are unknown.
    pub denied: Vec<AccessAnswer>,
    /// What did not work.
    pub warnings: Vec<String>,
    /// What could not be read.
    pub gaps: Vec<String>,
    /// Exit code.
    pub exit_code: u8,
}

impl RequestReport {
    /// A request that nobody has kept yet.
    #[must_use]
    pub fn new(facts: &Facts, record: &Record) -> Self {
        let release = |facts: &super::ReleaseFacts| Release {
            image: facts.image.clone(),
            commit: facts.commit.clone(),
        };
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "Request".to_owned(),
            target: facts.status.target.clone(),
            incident: record.incident.clone(),
            title: record.title.clone(),
            issue_type: record.issue_type.clone(),
            priority: record.priority,
            labels: record.labels.clone(),
            bead: None,
            requested_before: false,
            file: None,
            not_needed: None,
            expires_at: facts.expires_at,
            from: release(&facts.bad),
            to: facts.good.as_ref().map(release),
            symptoms: facts.symptoms.clone(),
            ways: facts.ways.clone(),
            blockers: facts.blockers.clone(),
            unknown: facts.unknown.clone(),
            denied: facts.denied.clone(),
            warnings: Vec::new(),
            gaps: facts.gaps.clone(),
            exit_code: 7,
        }
    }

    /// The same where the state that would be asked for is there already.
    #[must_use]
    pub fn without_need(mut self, why: String) -> Self {
        self.not_needed = Some(why);
        self.exit_code = 0;
        self
    }
}

/// The request as text for people.
#[must_use]
pub fn request_text(report: &RequestReport) -> String {
    if let Some(why) = &report.not_needed {
        return format!("{}: {}\n", report.target, one_line(why, 600));
    }
    let mut out = format!(
        "{} {}: a human is asked to roll it back\n",
        Tint::Warn.paint("handed over"),
        report.target
    );
    out.push_str(&format!("  title    {}\n", one_line(&report.title, 200)));
    match (&report.bead, report.requested_before) {
        (Some(id), true) => out.push_str(&format!(
            "  bead     {id} (this incident was requested before; no second bead was created)\n"
        )),
        (Some(id), false) => out.push_str(&format!("  bead     {id}\n")),
        (None, _) => {}
    }
    if let Some(file) = &report.file {
        out.push_str(&format!("  file     {file}\n"));
    }
    if let Some(at) = report.expires_at {
        out.push_str(&format!("  expires  {at}\n"));
    }
    for symptom in report.symptoms.iter().take(3) {
        out.push_str(&format!("  symptom  {}\n", one_line(symptom, 200)));
    }
    for warning in &report.warnings {
        out.push_str(&format!(
            "{} {}\n",
            Tint::Warn.paint("warning:"),
            one_line(warning, 600)
        ));
    }
    out.push_str("next: give the file to somebody with the rights; it has the commands\n");
    out
}
