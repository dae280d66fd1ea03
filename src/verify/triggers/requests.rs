//! What metrics tell of requests: how many fail, how long they take, whether tokens are
//! counted. Two readings are one stretch of time: what is above a level over all of it is
//! taken as having been above it for that long.

use regex::Regex;

use super::exposition::{Growth, Sample, quantile};
use super::told::lasting;
use super::{Found, Signals, number};
use crate::model::{Levels, TriggerRules};

/// Labels that usually say how a request ended.
const LABELS: [&str; 3] = ["status_code", "code", "status"];
/// How the metrics' names usually end.
const REQUESTS: (&str, &str) = ("requests_total", "errorRate.metric");
const DURATIONS: (&str, &str) = ("request_duration_seconds_bucket", "latency.metric");
const TOKENS: (&str, &str) = ("tokens_total", "tokens.metric");

/// What grew, and by which rules it is judged.
pub(super) struct Requests<'r> {
    own: Result<Growth, String>,
    baseline: Result<Growth, String>,
    rules: &'r TriggerRules,
}

impl<'r> Requests<'r> {
    pub(super) fn new(signals: &Signals, rules: &'r TriggerRules) -> Self {
        let growth = |metrics: &Result<super::Metrics, String>| {
            metrics.as_ref().map_err(Clone::clone).and_then(Growth::of)
        };
        Self {
            own: growth(&signals.own),
            baseline: growth(&signals.baseline),
            rules,
        }
    }

    pub(super) fn error_rate(&self) -> Found {
        self.errors().unwrap_or_else(Found::Unknown)
    }

    fn errors(&self) -> Result<Found, String> {
        let growth = self.own.as_ref().map_err(Clone::clone)?;
        let rules = self.rules;
        let name = growth.metric(rules.requests.metric.as_deref(), REQUESTS)?;
        let label = self.label(growth, &name)?;
        let errors = Regex::new(&format!("^(?:{})$", rules.requests.errors))
            .map_err(|_| format!("{:?} is no regular expression", rules.requests.errors))?;
        let total: f64 = growth.named(&name).map(|sample| sample.value).sum();
        let failed: f64 = growth
            .named(&name)
            .filter(|sample| {
                let value = sample.labels.get(&label);
                value.is_some_and(|value| errors.is_match(value))
            })
            .map(|sample| sample.value)
            .sum();
        if total <= 0.0 {
            return Err(format!(
                "no request was counted ({name}, {})",
                growth.words()
            ));
        }
        let share = failed * 100.0 / total;
        let evidence = format!(
            "{} % errors: {} of {} requests ({name}, {label} {}; {})",
            number(share),
            number(failed),
            number(total),
            rules.requests.errors,
            growth.words()
        );
        Ok(self.lasting(growth, (rules.error_rate, share), evidence))
    }

    /// The label that says how a request ended: without it no error would ever be seen.
    fn label(&self, growth: &Growth, name: &str) -> Result<String, String> {
        let given = self.rules.requests.label.as_deref();
        let usual = given.map_or(LABELS.to_vec(), |given| vec![given]);
        let has = |label: &&str| growth.named(name).any(|s| s.labels.contains_key(*label));
        usual.iter().copied().find(has).map_or_else(
            || {
                Err(format!(
                    "no series of {name} has a label {} (set triggers.errorRate.label)",
                    usual.join(", ")
                ))
            },
            |label| Ok(label.to_owned()),
        )
    }

    pub(super) fn latency(&self) -> Found {
        self.slower().unwrap_or_else(Found::Unknown)
    }

    fn slower(&self) -> Result<Found, String> {
        let growth = self.own.as_ref().map_err(Clone::clone)?;
        let baseline = self.baseline.as_ref().map_err(Clone::clone)?;
        let (own, name) = self.quantile_of(growth)?;
        let (other, _) = self
            .quantile_of(baseline)
            .map_err(|reason| format!("production: {reason}"))?;
        if other <= 0.0 {
            return Err(format!(
                "production's {name} is 0, there is nothing to compare"
            ));
        }
        let above = (own - other) * 100.0 / other;
        let evidence = format!(
            "p{} {own:.3} s, production {other:.3} s: {} % {} ({name}; {})",
            number(self.rules.quantile * 100.0),
            number(above.abs()),
            if above < 0.0 { "quicker" } else { "slower" },
            growth.words()
        );
        Ok(self.lasting(growth, (self.rules.latency, above), evidence))
    }

    fn quantile_of(&self, growth: &Growth) -> Result<(f64, String), String> {
        let given = self.rules.durations.as_ref();
        let given = given.map(|name| format!("{name}_bucket"));
        let name = growth.metric(given.as_deref(), DURATIONS)?;
        let bound = |sample: &Sample| -> Option<f64> { sample.labels.get("le")?.parse().ok() };
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for sample in growth.named(&name) {
            let Some(upper) = bound(sample) else { continue };
            match buckets
                .iter_mut()
                .find(|(own, _)| own.total_cmp(&upper).is_eq())
            {
                Some((_, count)) => *count += sample.value,
                None => buckets.push((upper, sample.value)),
            }
        }
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let found = quantile(self.rules.quantile, &buckets);
        let found =
            found.ok_or_else(|| format!("no request was timed ({name}, {})", growth.words()))?;
        Ok((found, name))
    }

    pub(super) fn tokens(&self) -> Found {
        self.counted().unwrap_or_else(Found::Unknown)
    }

    /// Requests come and the counter stands still, or is not there at all.
    fn counted(&self) -> Result<Found, String> {
        let growth = self.own.as_ref().map_err(Clone::clone)?;
        let given = self.rules.token_counter.as_deref();
        let name = match (growth.metric(given, TOKENS), given) {
            (Ok(name), _) => name,
            (Err(_), Some(given)) => given.to_owned(),
            // Without a name it is not known whether it counts tokens at all.
            (Err(reason), None) => return Err(reason),
        };
        let tokens: f64 = growth.named(&name).map(|sample| sample.value).sum();
        if tokens > 0.0 {
            let evidence = format!(
                "{} tokens ({name}, {}); whether the number is right is not judged",
                number(tokens),
                growth.words()
            );
            return Ok(Found::Clear(evidence));
        }
        let requests = growth.metric(self.rules.requests.metric.as_deref(), REQUESTS)?;
        let total: f64 = growth.named(&requests).map(|sample| sample.value).sum();
        if total <= 0.0 {
            return Err(format!(
                "no token and no request was counted ({name}, {requests}, {})",
                growth.words()
            ));
        }
        if !growth.unread.is_empty() {
            return Err(format!("no token was counted ({name}, {})", growth.words()));
        }
        if growth.seconds < self.rules.lasting {
            return Err(format!(
                "no token was counted ({name}, {}), which is too short to tell",
                growth.words()
            ));
        }
        Ok(Found::Fires(
            self.rules.tokens,
            format!(
                "no token was counted in {} requests ({name}, {requests}, {})",
                number(total),
                growth.words()
            ),
        ))
    }

    /// A value above a level fires only when the readings are far enough apart; one below
    /// it is clear only when every pod was read.
    fn lasting(&self, growth: &Growth, (levels, value): (Levels, f64), evidence: String) -> Found {
        match Found::of(levels, value, evidence) {
            Found::Fires(_, evidence) if growth.seconds < self.rules.lasting => {
                Found::Unknown(format!(
                    "{evidence}; it fires when that lasts {} (--over {}s)",
                    lasting(self.rules.lasting),
                    self.rules.lasting
                ))
            }
            Found::Clear(evidence) if !growth.unread.is_empty() => Found::Unknown(evidence),
            other => other,
        }
    }
}
