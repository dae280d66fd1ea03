//! Whether a release is to be taken back: each trigger fires, is clear, or is unknown, with
//! its evidence. A trigger is a check that holds while it is clear.

mod exposition;
mod pods;
mod requests;
#[cfg(test)]
mod tests;
mod told;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Check, Levels, Observation, Severity, TriggerId, TriggerRules, Verdict};

/// What each pod answered: a text, or why there is none.
pub type Texts = BTreeMap<String, Result<String, String>>;

/// Metrics of a workload's pods, read once or twice.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// The first reading.
    pub first: Texts,
    /// The second one, and how many seconds later it was.
    pub second: Option<(i64, Texts)>,
}

/// What was read besides the cluster's objects. What could not be read says why.
#[derive(Debug, Clone)]
pub struct Signals {
    /// Metrics of the target.
    pub own: Result<Metrics, String>,
    /// Metrics of the workload that it is compared with.
    pub baseline: Result<Metrics, String>,
    /// Logs of the workers, by pod.
    pub workers: Result<Texts, String>,
    /// What a person reports; empty where a person says that there is nothing.
    pub reason: Option<String>,
}

/// A judged trigger. Its verdict `fails` means that it fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Trigger {
    /// What was found.
    #[serde(flatten)]
    pub check: Check,
    /// How bad it is, where it fires.
    pub severity: Option<Severity>,
}

/// What to do with the release.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Advice {
    /// Every trigger is clear.
    Continue,
    /// No trigger fires, and not all of them are known to be clear.
    Unknown,
    /// A trigger fires as a warning: document and monitor.
    Document,
    /// A critical trigger fires: roll back now.
    Rollback,
}

impl Advice {
    /// The advice of these triggers: any critical one is enough.
    #[must_use]
    pub fn of(triggers: &[Trigger]) -> Self {
        let worst = triggers.iter().filter_map(|trigger| trigger.severity).max();
        match worst {
            Some(Severity::Critical) => Self::Rollback,
            Some(Severity::Warning) => Self::Document,
            None => match Verdict::all(triggers.iter().map(|trigger| trigger.check.verdict)) {
                Verdict::Holds if !triggers.is_empty() => Self::Continue,
                Verdict::Holds | Verdict::Fails | Verdict::Unknown => Self::Unknown,
            },
        }
    }

    /// `continue`, `unknown`, `document` or `rollback`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Unknown => "unknown",
            Self::Document => "document",
            Self::Rollback => "rollback",
        }
    }
}

impl Trigger {
    fn new(id: TriggerId, title: &str, found: Found) -> Self {
        let (verdict, severity, evidence) = match found {
            Found::Clear(evidence) => (Verdict::Holds, None, evidence),
            Found::Fires(severity, evidence) => (Verdict::Fails, Some(severity), evidence),
            Found::Unknown(reason) => (Verdict::Unknown, None, reason),
        };
        Self {
            check: Check::new(id.as_str(), title, verdict, evidence),
            severity,
        }
    }
}

/// What judging one came to.
enum Found {
    Clear(String),
    Fires(Severity, String),
    Unknown(String),
}

impl Found {
    fn of(levels: Levels, value: f64, evidence: String) -> Self {
        match levels.of(value) {
            Some(severity) => Self::Fires(severity, evidence),
            None => Self::Clear(evidence),
        }
    }
}

/// Judges all triggers that are not off, in the order of [`TriggerId`].
#[must_use]
pub fn triggers(
    observation: &Observation,
    signals: &Signals,
    rules: &TriggerRules,
) -> Vec<Trigger> {
    let release = pods::Release::of(observation);
    let requests = requests::Requests::new(signals, rules);
    let wanted = TriggerId::ALL
        .into_iter()
        .filter(|id| !rules.off.contains(id));
    wanted
        .map(|id| {
            let found = match id {
                TriggerId::Pods => release.not_ready(rules),
                TriggerId::Image => release.not_pulled(rules),
                TriggerId::Rollout => release.rollout(rules),
                TriggerId::Restarts => release.restarts(rules),
                TriggerId::ErrorRate => requests.error_rate(),
                TriggerId::Latency => requests.latency(),
                TriggerId::Tokens => requests.tokens(),
                TriggerId::Workers => told::workers(signals, rules),
                TriggerId::Reported => told::reported(signals, rules),
            };
            Trigger::new(id, &title(id, rules), found)
        })
        .collect()
}

/// What is asked, as it is while the trigger is clear.
fn title(id: TriggerId, rules: &TriggerRules) -> String {
    let (words, levels) = match id {
        TriggerId::Pods => (
            "its pods are ready and do not crash",
            levels_text(rules.pods, " %"),
        ),
        TriggerId::Image => (
            "its pods can pull their images",
            levels_text(rules.image, " % that cannot"),
        ),
        TriggerId::Rollout => ("its rollout is within its deadline", String::new()),
        TriggerId::Restarts => (
            "its containers do not restart",
            levels_text(rules.restarts, ""),
        ),
        TriggerId::ErrorRate => (
            "its requests succeed",
            levels_text(rules.error_rate, " % errors"),
        ),
        TriggerId::Latency => (
            "it answers as quickly as production",
            levels_text(rules.latency, " % slower"),
        ),
        TriggerId::Tokens => ("tokens are counted", String::new()),
        TriggerId::Workers => (
            "workers report no failures",
            levels_text(rules.workers, " lines"),
        ),
        TriggerId::Reported => ("nobody reports anything else", String::new()),
    };
    if levels.is_empty() {
        words.to_owned()
    } else {
        format!("{words} ({levels})")
    }
}

fn levels_text(levels: Levels, unit: &str) -> String {
    let one = |word: &str, level: Option<f64>| {
        level.map(|level| format!("{word} above {}{unit}", number(level)))
    };
    let both = [
        one("warning", levels.warning),
        one("critical", levels.critical),
    ];
    both.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A number with one decimal where it has any.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}
