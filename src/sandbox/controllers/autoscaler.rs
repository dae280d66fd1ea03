//! HorizontalPodAutoscalers in a cluster without metrics: they keep a workload between its limits,
//! and leave one alone that was scaled to 0 (pkg/controller/podautoscaler/horizontal.go, 1.36).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{CONTROLLER, Condition, kind, put_status, set_condition};
use crate::sandbox::error::ApiError;
use crate::sandbox::json::{default, int, now, set, text, unset};
use crate::sandbox::kinds::by_kind;
use crate::sandbox::store::{Objects, Part};

/// How often an autoscaler is looked at, the first time after one such period.
const PERIOD: Duration = Duration::from_secs(15);

const NO_METRICS: &str = "the HPA was unable to compute the replica count: failed to get cpu \
    utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource \
    metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)";

/// When each autoscaler was looked at last, or seen first, by uid.
#[derive(Debug, Default)]
pub(super) struct Autoscalers(HashMap<String, Instant>);

impl Autoscalers {
    /// One step for every autoscaler whose time has come.
    pub(super) fn pass(&mut self, objects: &mut Objects) -> Result<(), ApiError> {
        let all = objects.list(kind("autoscaling", "HorizontalPodAutoscaler")?, "");
        let mut looked = HashMap::new();
        for autoscaler in &all {
            let uid = text(autoscaler, "/metadata/uid").to_owned();
            let mut last = *self.0.get(&uid).unwrap_or(&Instant::now());
            if last.elapsed() >= PERIOD {
                step(objects, autoscaler)?;
                last = Instant::now();
            }
            looked.insert(uid, last);
        }
        self.0 = looked;
        Ok(())
    }
}

/// What the limits alone say about a number of replicas.
#[derive(Debug, PartialEq)]
enum Decision {
    /// It is 0, and that turns the autoscaler off.
    Off,
    /// It is outside of the limits.
    Scale(i64),
    /// Metrics would decide, and there are none.
    Blind,
}

fn decide(replicas: i64, min: i64, max: i64) -> Decision {
    match replicas {
        0 if min != 0 => Decision::Off,
        more if more > max => Decision::Scale(max),
        less if less < min => Decision::Scale(min),
        _ => Decision::Blind,
    }
}

fn step(objects: &mut Objects, autoscaler: &Value) -> Result<(), ApiError> {
    let spec = &autoscaler["spec"];
    let group = text(spec, "/scaleTargetRef/apiVersion");
    let group = group.split_once('/').map_or("", |(group, _)| group);
    let namespace = text(autoscaler, "/metadata/namespace");
    let scaled = by_kind(group, text(spec, "/scaleTargetRef/kind"))
        .filter(|k| k.subresources.contains(&"scale"));
    let live = scaled.and_then(|k| {
        let name = text(spec, "/scaleTargetRef/name");
        Some((k, objects.get(k, namespace, name)?))
    });
    let mut state = autoscaler.get("status").cloned().unwrap_or(json!({}));
    let mut tell = |name, holds, reason, message: &str| {
        let message = message.to_owned();
        set_condition(
            &mut state,
            &Condition {
                name,
                holds,
                reason,
                message,
            },
        );
    };
    let Some((scaled, live)) = live else {
        let message = "the HPA controller was unable to get the target's current scale";
        tell("AbleToScale", false, "FailedGetScale", message);
        return put(objects, autoscaler, state);
    };
    let found = "the HPA controller was able to get the target's current scale";
    tell("AbleToScale", true, "SucceededGetScale", found);
    let replicas = int(&live, "/spec/replicas").unwrap_or(1);
    let min = int(spec, "/minReplicas").unwrap_or(1);
    let max = int(spec, "/maxReplicas").unwrap_or(1);
    let running = int(&live, "/status/replicas").unwrap_or(0);
    match decide(replicas, min, max) {
        Decision::Off => {
            let why = "scaling is disabled since the replica count of the target is zero";
            tell("ScalingActive", false, "ScalingDisabled", why);
            state["desiredReplicas"] = json!(0);
            state["currentMetrics"] = Value::Null;
        }
        Decision::Blind => {
            tell(
                "ScalingActive",
                false,
                "FailedGetResourceMetric",
                NO_METRICS,
            );
            // What was desired before stays.
            default(&mut state, "desiredReplicas", json!(0));
            state["currentMetrics"] = json!([{"type": ""}]);
        }
        Decision::Scale(wanted) => {
            let done =
                format!("the HPA controller was able to update the target scale to {wanted}");
            tell("AbleToScale", true, "SucceededRescale", &done);
            let mut new = (*live).clone();
            set(&mut new, &["spec", "replicas"], json!(wanted));
            objects.update(scaled, new, Part::Scale, CONTROLLER)?;
            state["desiredReplicas"] = json!(wanted);
            state["lastScaleTime"] = now();
        }
    }
    match running {
        0 => unset(&mut state, &["currentReplicas"]),
        some => state["currentReplicas"] = json!(some),
    }
    put(objects, autoscaler, state)
}

fn put(objects: &mut Objects, autoscaler: &Value, mut state: Value) -> Result<(), ApiError> {
    // These conditions have no time of their last update.
    let conditions = state.get_mut("conditions").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        unset(condition, &["lastUpdateTime"]);
    }
    let kind = kind("autoscaling", "HorizontalPodAutoscaler")?;
    put_status(objects, kind, autoscaler, state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_but_zero_is_left_alone() {
        assert_eq!(decide(0, 1, 5), Decision::Off);
        assert_eq!(decide(0, 0, 5), Decision::Blind);
        assert_eq!(decide(1, 2, 5), Decision::Scale(2));
        assert_eq!(decide(9, 2, 5), Decision::Scale(5));
        assert_eq!(decide(3, 2, 5), Decision::Blind);
    }
}
