//! Whether a release is to be taken back: the triggers, the verdict, the next command.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::human::{Tint, one_line};
use super::markdown::{code, words};
use crate::model::{Observation, Severity, TriggerId, Verdict};
use crate::plan::API_VERSION;
use crate::verify::{Advice, Trigger};

/// An assessment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssessReport {
    /// `unship/v1`.
    pub api_version: String,
    /// `Assess`.
    pub kind: String,
    /// The workload, in words.
    pub target: String,
    /// The image that its template has.
    pub image: Option<String>,
    /// The workload that it is compared with.
    pub production: Option<String>,
    /// What to do.
    pub verdict: Advice,
    /// The triggers.
    pub triggers: Vec<Trigger>,
    /// Triggers that the configuration switches off.
    pub off: BTreeSet<TriggerId>,
    /// Commands for what comes next.
    pub next: Vec<String>,
    /// What else is to be known.
    pub notes: Vec<String>,
    /// What was sent that authorization counts as a write, as [`crate::plan::Plan::writes`]
    /// has it: port-forwards. No object is changed.
    pub writes: Vec<String>,
    /// 0; with `--exit-code` 10 for `rollback`, 11 for `document`, 12 for `unknown`.
    pub exit_code: u8,
}

/// What an assessment is made of besides its triggers.
#[derive(Debug, Clone, Default)]
pub struct Assessed {
    /// Whether the workload is a canary.
    pub canary: bool,
    /// The production beside it.
    pub production: Option<String>,
    /// Triggers that are off.
    pub off: BTreeSet<TriggerId>,
    /// What else is to be known.
    pub notes: Vec<String>,
    /// What was sent that counts as a write.
    pub writes: Vec<String>,
    /// Whether the exit code tells the verdict.
    pub exit_code: bool,
}

impl AssessReport {
    /// The report of these triggers.
    #[must_use]
    pub fn new(observation: &Observation, triggers: Vec<Trigger>, assessed: Assessed) -> Self {
        let verdict = Advice::of(&triggers);
        let workload = observation.cluster.workload.as_ref();
        let image = workload.and_then(|workload| workload.template.main_image());
        let exit_code = match verdict {
            _ if !assessed.exit_code => 0,
            Advice::Continue => 0,
            Advice::Rollback => 10,
            Advice::Document => 11,
            Advice::Unknown => 12,
        };
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "Assess".to_owned(),
            target: observation.target.to_string(),
            image: image.map(|image| image.as_str().to_owned()),
            next: next(observation, verdict, &assessed),
            production: assessed.production,
            verdict,
            triggers,
            off: assessed.off,
            notes: assessed.notes,
            writes: assessed.writes,
            exit_code,
        }
    }

    /// The verdict in one line.
    fn headline(&self) -> String {
        let ids = |wanted: fn(&Trigger) -> bool| {
            let all = self.triggers.iter().filter(|trigger| wanted(trigger));
            let ids: Vec<&str> = all.map(|trigger| trigger.check.id.as_str()).collect();
            ids.join(", ")
        };
        let unknown = ids(|trigger| trigger.check.verdict == Verdict::Unknown);
        let also = if unknown.is_empty() {
            String::new()
        } else {
            format!("; unknown: {unknown}")
        };
        match self.verdict {
            Advice::Rollback => {
                let critical = ids(|trigger| trigger.severity == Some(Severity::Critical));
                format!("rollback: roll back now ({critical}){also}")
            }
            Advice::Document => {
                let warning = ids(|trigger| trigger.severity == Some(Severity::Warning));
                format!("document: document and monitor ({warning}){also}")
            }
            Advice::Unknown if unknown.is_empty() => {
                "unknown: every trigger is switched off".to_owned()
            }
            Advice::Unknown => format!("unknown: nothing fires, but not known is {unknown}"),
            Advice::Continue => "continue: every trigger is clear".to_owned(),
        }
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let tint = match self.verdict {
            Advice::Continue => Tint::Good,
            Advice::Rollback => Tint::Bad,
            Advice::Document | Advice::Unknown => Tint::Warn,
        };
        let image = self
            .image
            .as_deref()
            .unwrap_or("an image that is not known");
        let mut out = format!(
            "{}\n{} runs {image}\n",
            tint.paint(&self.headline()),
            self.target
        );
        for trigger in &self.triggers {
            let (word, tint) = word(trigger);
            out.push_str(&format!(
                "  {}  {:9} {}: {}\n",
                tint.paint(&format!("{word:8}")),
                trigger.check.id,
                trigger.check.title,
                one_line(&trigger.check.evidence, 400)
            ));
        }
        for id in &self.off {
            out.push_str(&format!("  off       {}\n", id.as_str()));
        }
        for note in &self.notes {
            out.push_str(&format!("note: {}\n", one_line(note, 400)));
        }
        for command in &self.next {
            out.push_str(&format!("next: {command}\n"));
        }
        out
    }

    /// For a pull request or a job summary.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = format!("## {}\n\n{}", words(&self.headline()), code(&self.target));
        if let Some(image) = &self.image {
            out.push_str(&format!(" runs {}", code(image)));
        }
        out.push_str("\n\n| trigger | | asked | found |\n|---|---|---|---|\n");
        for trigger in &self.triggers {
            let check = &trigger.check;
            out.push_str(&format!(
                "| {} | {} | {} | {} |\n",
                words(&check.id),
                word(trigger).0,
                words(&check.title),
                words(&one_line(&check.evidence, 400))
            ));
        }
        for note in &self.notes {
            out.push_str(&format!("\nNote: {}\n", words(note)));
        }
        for command in &self.next {
            out.push_str(&format!("\nNext: {}\n", code(command)));
        }
        out
    }
}

fn word(trigger: &Trigger) -> (&'static str, Tint) {
    match (trigger.check.verdict, trigger.severity) {
        (Verdict::Holds, _) => ("clear", Tint::Good),
        (Verdict::Fails, Some(Severity::Warning)) => ("warning", Tint::Warn),
        (Verdict::Fails, _) => ("critical", Tint::Bad),
        (Verdict::Unknown, _) => ("unknown", Tint::Dim),
    }
}

fn next(observation: &Observation, verdict: Advice, assessed: &Assessed) -> Vec<String> {
    let target = &observation.target;
    let place = format!("{} -n {}", target.short(), target.namespace);
    let production = assessed.production.as_ref();
    let beside = production.map_or_else(String::new, |name| format!(" --production {name}"));
    match verdict {
        Advice::Continue => Vec::new(),
        Advice::Rollback if assessed.canary => vec![format!("unship abort {place}{beside}")],
        Advice::Rollback => vec![format!("unship rollback {place}")],
        Advice::Document => vec![
            format!("unship collect {place}"),
            format!("unship assess {place}{beside} --over 2m"),
        ],
        Advice::Unknown => vec![format!("unship assess {place}{beside} --over 2m")],
    }
}
