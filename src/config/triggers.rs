//! When a release is to be taken back: what `unship assess` judges. Data only; every
//! value has a default.

use std::collections::BTreeSet;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Levels, Severity, TriggerId, TriggerRules};

/// The triggers. What is left out stays as it is by default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TriggersConfig {
    /// Triggers that are not asked about.
    pub off: Option<BTreeSet<TriggerId>>,
    /// Percent of the release's pods that are not ready or crash (0 and 50).
    pub pods: PodsTrigger,
    /// Percent of the release's pods that cannot pull an image (0 and 50).
    pub image: LevelsTrigger,
    /// A rollout past its `progressDeadlineSeconds` (critical).
    pub rollout: SeverityTrigger,
    /// Restarts of one container (2, and never critical).
    pub restarts: WithinTrigger,
    /// Percent of the requests that end in an error (5 and 10, for 2m).
    pub error_rate: ErrorRateTrigger,
    /// Percent that a quantile of the requests' durations is above production's (50 and
    /// 100, for as long as the error rate).
    pub latency: LatencyTrigger,
    /// Requests come and tokens are counted no more (critical).
    pub tokens: TokensTrigger,
    /// Lines of the workers' logs that report failures (0 and 10 in 5m).
    pub workers: WorkersTrigger,
    /// What a person tells by `--reason` (critical).
    pub reported: SeverityTrigger,
}

/// Values above which a trigger fires.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LevelsTrigger {
    /// Above this: document and monitor.
    pub warning: Option<f64>,
    /// Above this: roll back.
    pub critical: Option<f64>,
}

/// Pods, and how long a new one may take.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PodsTrigger {
    /// Above this: document and monitor.
    pub warning: Option<f64>,
    /// Above this: roll back.
    pub critical: Option<f64>,
    /// A pod that does not crash counts as not ready only after this, e.g. `2m`.
    pub settle: Option<String>,
}

/// How bad it is that something happens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SeverityTrigger {
    /// `warning` or `critical`.
    pub severity: Option<Severity>,
}

/// Restarts, and how recent the last one must be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct WithinTrigger {
    /// Above this: document and monitor.
    pub warning: Option<f64>,
    /// Above this: roll back.
    pub critical: Option<f64>,
    /// A container whose last restart is further back does not count, e.g. `10m`.
    pub within: Option<String>,
}

/// The share of errors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ErrorRateTrigger {
    /// Above this: document and monitor.
    pub warning: Option<f64>,
    /// Above this: roll back.
    pub critical: Option<f64>,
    /// For how long, e.g. `2m`; of the latency as well.
    #[serde(rename = "for")]
    pub lasting: Option<String>,
    /// The counter of requests; else the only one whose name ends with `requests_total`.
    pub metric: Option<String>,
    /// Its label of the status; else `status_code`, `code` or `status`.
    pub label: Option<String>,
    /// Values of the label that are errors, as a regular expression (`5..`).
    pub errors: Option<String>,
}

/// The durations of requests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LatencyTrigger {
    /// Above this: document and monitor.
    pub warning: Option<f64>,
    /// Above this: roll back.
    pub critical: Option<f64>,
    /// The histogram, without `_bucket`; else the only one whose name ends with
    /// `request_duration_seconds`.
    pub metric: Option<String>,
    /// Which quantile, 0 to 1 (0.95).
    pub quantile: Option<f64>,
}

/// The counting of tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TokensTrigger {
    /// `warning` or `critical`.
    pub severity: Option<Severity>,
    /// The counter; else the only one whose name ends with `tokens_total`.
    pub metric: Option<String>,
}

/// What the workers say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct WorkersTrigger {
    /// Above this: document and monitor.
    pub warning: Option<f64>,
    /// Above this: roll back.
    pub critical: Option<f64>,
    /// `[KIND/]NAME` of the workers, in the target's namespace.
    pub workload: Option<String>,
    /// Lines that report a failure, as a regular expression.
    pub lines: Option<String>,
    /// Older lines do not count, e.g. `5m`.
    pub within: Option<String>,
}

impl TriggersConfig {
    /// These triggers with others over them, key by key.
    #[must_use]
    pub fn overlaid(self, over: Self) -> Self {
        macro_rules! over {
            ($($part:ident: $kind:ident { $($field:ident)+ })+) => {
                Self {
                    off: over.off.or(self.off),
                    $($part: $kind { $($field: over.$part.$field.or(self.$part.$field),)+ },)+
                }
            };
        }
        over! {
            pods: PodsTrigger { warning critical settle }
            image: LevelsTrigger { warning critical }
            rollout: SeverityTrigger { severity }
            restarts: WithinTrigger { warning critical within }
            error_rate: ErrorRateTrigger { warning critical lasting metric label errors }
            latency: LatencyTrigger { warning critical metric quantile }
            tokens: TokensTrigger { severity metric }
            workers: WorkersTrigger { warning critical workload lines within }
            reported: SeverityTrigger { severity }
        }
    }

    /// The rules that these and the defaults make.
    ///
    /// # Errors
    /// When a value is no duration, no regular expression, or out of its range; the
    /// message names it.
    pub fn rules(&self) -> Result<TriggerRules, String> {
        let default = TriggerRules::default();
        let mut rules = TriggerRules {
            off: self.off.clone().unwrap_or_default(),
            pods: levels(
                "pods",
                default.pods,
                (self.pods.warning, self.pods.critical),
            )?,
            pods_settle: seconds("pods.settle", &self.pods.settle, default.pods_settle)?,
            image: levels(
                "image",
                default.image,
                (self.image.warning, self.image.critical),
            )?,
            rollout: self.rollout.severity.unwrap_or(default.rollout),
            restarts: levels(
                "restarts",
                default.restarts,
                (self.restarts.warning, self.restarts.critical),
            )?,
            restarts_within: seconds(
                "restarts.within",
                &self.restarts.within,
                default.restarts_within,
            )?,
            tokens: self.tokens.severity.unwrap_or(default.tokens),
            token_counter: self.tokens.metric.clone(),
            reported: self.reported.severity.unwrap_or(default.reported),
            ..default
        };
        self.of_requests(&mut rules)?;
        self.of_workers(&mut rules)?;
        Ok(rules)
    }

    fn of_requests(&self, rules: &mut TriggerRules) -> Result<(), String> {
        let rate = &self.error_rate;
        rules.error_rate = levels("errorRate", rules.error_rate, (rate.warning, rate.critical))?;
        rules.lasting = seconds("errorRate.for", &rate.lasting, rules.lasting)?;
        rules.requests.metric.clone_from(&rate.metric);
        rules.requests.label.clone_from(&rate.label);
        if let Some(errors) = &rate.errors {
            rules.requests.errors = expression("errorRate.errors", errors)?;
        }
        let latency = &self.latency;
        rules.latency = levels(
            "latency",
            rules.latency,
            (latency.warning, latency.critical),
        )?;
        rules.durations.clone_from(&latency.metric);
        if let Some(quantile) = latency.quantile {
            if !(0.0..=1.0).contains(&quantile) {
                return Err(format!(
                    "triggers.latency.quantile: {quantile} is not between 0 and 1"
                ));
            }
            rules.quantile = quantile;
        }
        Ok(())
    }

    fn of_workers(&self, rules: &mut TriggerRules) -> Result<(), String> {
        let workers = &self.workers;
        rules.workers = levels(
            "workers",
            rules.workers,
            (workers.warning, workers.critical),
        )?;
        rules.worker.clone_from(&workers.workload);
        if let Some(lines) = &workers.lines {
            rules.worker_lines = expression("workers.lines", lines)?;
        }
        rules.workers_within = seconds("workers.within", &workers.within, rules.workers_within)?;
        Ok(())
    }
}

fn levels(
    name: &str,
    default: Levels,
    (warning, critical): (Option<f64>, Option<f64>),
) -> Result<Levels, String> {
    let found = Levels {
        warning: warning.or(default.warning),
        critical: critical.or(default.critical),
    };
    for level in [warning, critical].into_iter().flatten() {
        if !level.is_finite() || level < 0.0 {
            return Err(format!("triggers.{name}: {level} is no level"));
        }
    }
    Ok(found)
}

fn seconds(name: &str, text: &Option<String>, default: i64) -> Result<i64, String> {
    let Some(text) = text else {
        return Ok(default);
    };
    let parsed: Result<jiff::SignedDuration, _> = text.parse();
    match parsed {
        Ok(duration) if !duration.is_negative() => Ok(duration.as_secs()),
        _ => Err(format!(
            "triggers.{name}: {text:?} is no duration; write it like 30s, 5m or 1h30m"
        )),
    }
}

fn expression(name: &str, text: &str) -> Result<String, String> {
    match Regex::new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(format!(
            "triggers.{name}: {text:?} is no regular expression"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, RepositoryConfig};

    #[test]
    fn everything_has_a_default() {
        assert_eq!(
            TriggersConfig::default().rules(),
            Ok(TriggerRules::default())
        );
    }

    #[test]
    fn ones_own_triggers_win_over_the_repositorys() {
        let text = "triggers: {pods: {critical: 80, settle: 5m}, off: [tokens], \
                    errorRate: {metric: a_total, for: 3m}}\n";
        let theirs = RepositoryConfig::parse("unship.yaml", text).unwrap();
        let own = "triggers: {pods: {critical: 20}, off: [], workers: {workload: worker}}\n";
        let own = Config::parse("config.yaml", own).unwrap();
        let rules = theirs.triggers.overlaid(own.triggers).rules().unwrap();
        assert_eq!(rules.pods.critical, Some(20.0));
        assert_eq!((rules.pods.warning, rules.pods_settle), (Some(0.0), 300));
        assert!(rules.off.is_empty());
        assert_eq!(
            (rules.requests.metric.as_deref(), rules.lasting),
            (Some("a_total"), 180)
        );
        assert_eq!(rules.worker.as_deref(), Some("worker"));
    }

    #[test]
    fn a_wrong_value_is_named() {
        for (text, name) in [
            ("pods: {settle: soon}", "triggers.pods.settle"),
            ("restarts: {critical: -1}", "triggers.restarts"),
            ("image: {warning: .nan}", "triggers.image"),
            ("latency: {quantile: 95}", "triggers.latency.quantile"),
            ("workers: {lines: \"(\"}", "triggers.workers.lines"),
            ("errorRate: {errors: \"[\"}", "triggers.errorRate.errors"),
        ] {
            let text = format!("triggers:\n  {text}\n");
            let config = Config::parse("c", &text).unwrap();
            let error = config.triggers.rules().unwrap_err();
            assert!(error.starts_with(name), "{error}");
        }
        for text in ["triggers: {pdos: {}}", "triggers: {off: [podz]}"] {
            assert!(Config::parse("c", text).is_err(), "{text}");
        }
    }
}
