//! What a run keeps besides its journal: the rest of the evidence, and a record of the
//! failure in a tracker.

use std::time::{Duration, Instant};

use super::Error;
use super::record::{Keeping, RecordChoice, keep};
use super::run::Run;
use crate::model::mask_text;
use crate::plan::{Action, Intent};
use crate::report::{Facts, Told};
use crate::timeline::Timeline;

/// How long the end of a run waits for evidence that is still being saved.
const EVIDENCE_PATIENCE: Duration = Duration::from_secs(30);

impl Run {
    /// Waits for the evidence that was left to be saved beside the steps.
    pub(super) async fn end_evidence(&mut self) {
        let Some(task) = self.rest_of_evidence.take() else {
            return;
        };
        match tokio::time::timeout(EVIDENCE_PATIENCE, task).await {
            Ok(captured) => {
                for missing in captured.unwrap_or_default().missing {
                    let text = format!("evidence misses {}", mask_text(&missing));
                    self.report.notes.push(text);
                }
            }
            Err(_) => self.report.notes.push(format!(
                "the evidence was not complete after {} s",
                EVIDENCE_PATIENCE.as_secs()
            )),
        }
    }

    /// The step `record`: the failure of a canary as a file in the run's folder, and as
    /// a bead where the tracker works. A tracker that does not work stops nothing.
    pub(super) async fn keep_record(&mut self) -> Result<(), Error> {
        let step = Action::Record.id();
        let Intent::Abort { record, .. } = &self.head.request.intent else {
            return Ok(());
        };
        if !self.prepared.plan.has(Action::Record) {
            return Ok(());
        }
        if self.done.contains(step) {
            self.already_done(step);
            return Ok(());
        }
        let choice = match record.as_str() {
            "file" => RecordChoice::File,
            "br" => RecordChoice::Br,
            _ => RecordChoice::Auto,
        };
        self.begin(step, "the failure is on record", 15)?;
        let began = Instant::now();
        let observation = &self.sight.observation;
        let folder = self.journal.directory();
        let told = Told {
            reason: self.head.request.reason.clone(),
            evidence: Some(folder.join("evidence").display().to_string()),
            actions: vec!["its replicas are set to 0".to_owned()],
            ..Told::default()
        };
        let timeline = Timeline::of(observation, &self.setup.verified);
        let facts = Facts::of(observation, &timeline, None, told);
        let evidence = match self.setup.forms.canary_failure.fill(&facts) {
            Ok(record) => {
                let file = folder.join("record.md");
                let how = Keeping {
                    choice,
                    tracker: &self.setup.tracker,
                    file: &file,
                    reached: &*self.setup.crash,
                };
                match keep(&record, &how).await {
                    Ok(kept) => {
                        self.report.notes.extend(kept.warnings);
                        kept.bead.unwrap_or_else(|| file.display().to_string())
                    }
                    Err(error) => {
                        let text = format!("the record was not kept: {error}");
                        self.report.notes.push(text.clone());
                        text
                    }
                }
            }
            Err(error) => {
                let text = format!("the record could not be filled in: {error}");
                self.report.notes.push(text.clone());
                text
            }
        };
        (self.setup.crash)("kept record");
        self.done.insert(step.to_owned());
        self.close(step, began, "done", &evidence)
    }
}
