//! What workers and people tell.

use regex::Regex;

use super::{Found, Signals};
use crate::model::TriggerRules;

/// A duration in words.
pub(super) fn lasting(seconds: i64) -> String {
    match seconds {
        s if s >= 120 && s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

/// Lines of the workers' logs that report a failure.
pub(super) fn workers(signals: &Signals, rules: &TriggerRules) -> Found {
    let texts = match &signals.workers {
        Ok(texts) => texts,
        Err(reason) => return Found::Unknown(reason.clone()),
    };
    let Ok(wanted) = Regex::new(&rules.worker_lines) else {
        return Found::Unknown(format!("{:?} is no regular expression", rules.worker_lines));
    };
    let mut lines = 0_u32;
    let mut unread = Vec::new();
    for (pod, text) in texts {
        match text {
            Ok(text) => {
                let found = text.lines().filter(|line| wanted.is_match(line)).count();
                lines = lines.saturating_add(u32::try_from(found).unwrap_or(u32::MAX));
            }
            Err(reason) => unread.push(format!("{pod}: {reason}")),
        }
    }
    let worker = rules.worker.as_deref().unwrap_or("the workers");
    let mut evidence = format!(
        "{lines} lines of {} of {} logs of {worker} in the last {} report a failure",
        texts.len() - unread.len(),
        texts.len(),
        lasting(rules.workers_within)
    );
    if let Some(first) = unread.first() {
        evidence.push_str(&format!("; not read: {first}"));
    }
    let found = Found::of(rules.workers, f64::from(lines), evidence);
    match found {
        // What was not read may report one.
        Found::Clear(evidence) if !unread.is_empty() || texts.is_empty() => {
            Found::Unknown(evidence)
        }
        other => other,
    }
}

/// What a person reports. That nobody did says nothing.
pub(super) fn reported(signals: &Signals, rules: &TriggerRules) -> Found {
    match &signals.reason {
        Some(reason) if reason.is_empty() => {
            Found::Clear("a person says that nothing else is wrong".to_owned())
        }
        Some(reason) => Found::Fires(rules.reported, reason.clone()),
        None => Found::Unknown(
            "only a person can tell of a vulnerability in the image or of corrupted data \
             (--reason TEXT, or --nothing-reported)"
                .to_owned(),
        ),
    }
}
