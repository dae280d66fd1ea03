//! What a run keeps besides its journal: the rest of the evidence, and a record of the
//! failure in a tracker.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Error;
use super::record::{Keeping, RecordChoice, keep};
use super::run::{End, Run};
use crate::model::{Observation, mask_text};
use crate::plan::{Action, Decision, Intent};
use crate::report::{Facts, Form, RunState, Told};
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

    /// The step `record` of an abort: the failure of a canary, before anything is done.
    pub(super) async fn keep_record(&mut self) -> Result<(), Error> {
        let Intent::Abort { record, delete, .. } = &self.head.request.intent else {
            return Ok(());
        };
        let action = if *delete {
            "its manifest is removed from Git"
        } else {
            "its replicas are set to 0"
        };
        let place = record.clone();
        let told = Told {
            actions: vec![action.to_owned()],
            measurements: error_lines(&self.journal.directory().join("evidence")),
            ..Told::default()
        };
        let form = if every_pod_is_ready(&self.sight.observation) {
            self.setup.forms.canary_errors.clone()
        } else {
            self.setup.forms.canary_failure.clone()
        };
        self.put_on_record(&place, &form, told).await
    }

    /// The step `record` of a rollback, once it is known how it ended. One that can go on
    /// is put on record when it has gone on.
    pub(super) async fn keep_rollback_record(&mut self, end: &End) -> Result<(), Error> {
        let Some(place) = self.head.request.record.clone() else {
            return Ok(());
        };
        if end.state == RunState::Stopped {
            return Ok(());
        }
        let plan = &self.prepared.plan;
        let commits = self.report.commits.iter().map(|commit| {
            let id: String = commit.id.chars().take(7).collect();
            format!("commit {id} on {}", commit.branch)
        });
        let mut actions: Vec<String> = commits.collect();
        actions.push(format!("route {}: {}", plan.route, end.reason));
        let told = Told {
            actions,
            checks: self.report.checks.clone(),
            from: plan.targets.first().map(|target| target.from.clone()),
            ..Told::default()
        };
        let form = self.setup.forms.production_rollback.clone();
        self.put_on_record(&place, &form, told).await
    }

    /// Fills a form in and keeps it as a file in the run's folder, and as a bead where the
    /// tracker works. A tracker that does not work stops nothing.
    async fn put_on_record(&mut self, place: &str, form: &Form, told: Told) -> Result<(), Error> {
        let step = Action::Record.id();
        if !self.prepared.plan.has(Action::Record) {
            return Ok(());
        }
        if self.done.contains(step) {
            self.already_done(step);
            return Ok(());
        }
        let choice = match place {
            "file" => RecordChoice::File,
            "br" => RecordChoice::Br,
            _ => RecordChoice::Auto,
        };
        self.begin(step, "it is on record", 15)?;
        let began = Instant::now();
        let folder = self.journal.directory();
        let told = Told {
            reason: self.head.request.reason.clone(),
            evidence: Some(folder.join("evidence").display().to_string()),
            ..told
        };
        let timeline = Timeline::of(&self.sight.observation, &self.setup.verified);
        let decision = Decision::Plan(Box::new(self.prepared.clone()));
        let facts = Facts::of(&self.sight.observation, &timeline, Some(&decision), told);
        let kept = match form.fill(&facts) {
            Ok(record) => {
                let file = folder.join("record.md");
                let how = Keeping {
                    choice,
                    tracker: &self.setup.tracker,
                    file: &file,
                    reached: &*self.setup.crash,
                };
                let kept = keep(&record, &how).await;
                kept.map_err(|error| format!("the record was not kept: {error}"))
                    .map(|kept| (kept, file))
            }
            Err(error) => Err(format!("the record could not be filled in: {error}")),
        };
        let evidence = match kept {
            Ok((kept, file)) => {
                self.report.notes.extend(kept.warnings);
                kept.bead.unwrap_or_else(|| file.display().to_string())
            }
            Err(text) => {
                self.report.notes.push(text.clone());
                text
            }
        };
        (self.setup.crash)("kept record");
        self.done.insert(step.to_owned());
        self.close(step, began, "done", &evidence)
    }
}

/// Whether nothing of it crashes: what is wrong with it then are its answers.
fn every_pod_is_ready(observation: &Observation) -> bool {
    let pods = observation.cluster.pods.as_deref().unwrap_or_default();
    !pods.is_empty() && pods.iter().all(|pod| pod.ready)
}

/// How many lines of each saved log speak of an error; logs of which none does are left out.
fn error_lines(evidence: &Path) -> Vec<String> {
    let below = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let logs = evidence.join("logs");
    let mut found = Vec::new();
    for file in below(&logs).iter().flat_map(|pod| below(pod)) {
        let Ok(bytes) = std::fs::read(&file) else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        let errors = text.lines().filter(|line| line.contains("error")).count();
        if errors > 0 {
            let name = file.strip_prefix(&logs).unwrap_or(&file).display();
            let all = text.lines().count();
            found.push(format!(
                "{errors} of {all} lines of {name} speak of an error"
            ));
        }
    }
    found.sort();
    found
}
