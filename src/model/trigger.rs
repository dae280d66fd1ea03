//! What makes a release be taken back: the triggers and their levels, as plain data.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One trigger.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum TriggerId {
    /// Pods that are not ready or crash.
    Pods,
    /// Images that cannot be pulled.
    Image,
    /// A rollout past its progress deadline.
    Rollout,
    /// Containers that restart.
    Restarts,
    /// Requests that end in an error.
    ErrorRate,
    /// Requests that take longer than production's.
    Latency,
    /// Tokens that are counted no more.
    Tokens,
    /// Workers that report failures.
    Workers,
    /// What only a person can tell: a vulnerability, corrupted data.
    Reported,
}

impl TriggerId {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 9] = [
        Self::Pods,
        Self::Image,
        Self::Rollout,
        Self::Restarts,
        Self::ErrorRate,
        Self::Latency,
        Self::Tokens,
        Self::Workers,
        Self::Reported,
    ];

    /// The word in documents and in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pods => "pods",
            Self::Image => "image",
            Self::Rollout => "rollout",
            Self::Restarts => "restarts",
            Self::ErrorRate => "errorRate",
            Self::Latency => "latency",
            Self::Tokens => "tokens",
            Self::Workers => "workers",
            Self::Reported => "reported",
        }
    }
}

/// How bad it is that a trigger fires.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// To be documented and watched.
    Warning,
    /// To be rolled back now.
    Critical,
}

/// Values above which a trigger fires; a level that is none is never reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Levels {
    /// Above this it is a warning.
    pub warning: Option<f64>,
    /// Above this it is critical.
    pub critical: Option<f64>,
}

impl Levels {
    /// The level that a value is above of.
    #[must_use]
    pub fn of(self, value: f64) -> Option<Severity> {
        let above = |level: Option<f64>| level.is_some_and(|level| value > level);
        if above(self.critical) {
            Some(Severity::Critical)
        } else if above(self.warning) {
            Some(Severity::Warning)
        } else {
            None
        }
    }
}

/// All triggers with their levels. The default is what written procedures for a canary
/// ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerRules {
    /// Triggers that are not asked about.
    pub off: BTreeSet<TriggerId>,
    /// Percent of the pods that are not ready or crash.
    pub pods: Levels,
    /// Seconds in which a new pod may become ready.
    pub pods_settle: i64,
    /// Percent of the pods that cannot pull an image.
    pub image: Levels,
    /// How bad a rollout past its deadline is.
    pub rollout: Severity,
    /// Restarts of one container.
    pub restarts: Levels,
    /// The last restart counts only so many seconds.
    pub restarts_within: i64,
    /// Percent of the requests that end in an error.
    pub error_rate: Levels,
    /// Where requests are counted.
    pub requests: RequestCounter,
    /// Percent above production's.
    pub latency: Levels,
    /// The histogram of durations; none for the only one whose name ends so.
    pub durations: Option<String>,
    /// Which quantile of the durations, 0 to 1.
    pub quantile: f64,
    /// How long error rate and latency must be above a level, seconds.
    pub lasting: i64,
    /// How bad it is that tokens are counted no more.
    pub tokens: Severity,
    /// The counter of tokens; none for the only one whose name ends so.
    pub token_counter: Option<String>,
    /// Lines of the workers' logs that report a failure.
    pub workers: Levels,
    /// The workers: `[KIND/]NAME` in the target's namespace.
    pub worker: Option<String>,
    /// Which lines do: a regular expression.
    pub worker_lines: String,
    /// Lines count only so many seconds.
    pub workers_within: i64,
    /// How bad it is what a person reports.
    pub reported: Severity,
}

/// A counter of requests with a label that says how they ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestCounter {
    /// Its name; none for the only one whose name ends so.
    pub metric: Option<String>,
    /// The label; none for the first of the usual ones.
    pub label: Option<String>,
    /// Values of the label that are errors: a regular expression of the whole value.
    pub errors: String,
}

impl Default for TriggerRules {
    fn default() -> Self {
        let levels = |warning: f64, critical: f64| Levels {
            warning: Some(warning),
            critical: Some(critical),
        };
        Self {
            off: BTreeSet::new(),
            pods: levels(0.0, 50.0),
            pods_settle: 120,
            image: levels(0.0, 50.0),
            rollout: Severity::Critical,
            restarts: Levels {
                warning: Some(2.0),
                critical: None,
            },
            restarts_within: 600,
            error_rate: levels(5.0, 10.0),
            requests: RequestCounter {
                metric: None,
                label: None,
                errors: "5..".to_owned(),
            },
            latency: levels(50.0, 100.0),
            durations: None,
            quantile: 0.95,
            lasting: 120,
            tokens: Severity::Critical,
            token_counter: None,
            workers: levels(0.0, 10.0),
            worker: None,
            worker_lines: "(?i)timed? ?out|connection (refused|reset)|\\b5\\d\\d\\b|request failed"
                .to_owned(),
            workers_within: 300,
            reported: Severity::Critical,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_itself_is_not_above_it() {
        let levels = TriggerRules::default().pods;
        assert_eq!(levels.of(0.0), None);
        assert_eq!(levels.of(50.0), Some(Severity::Warning));
        assert_eq!(levels.of(50.1), Some(Severity::Critical));
        let silent = Levels {
            warning: None,
            critical: None,
        };
        assert_eq!(silent.of(1e9), None);
    }
}
