//! Scaling ReplicaSets towards the wanted state: rolling update and Recreate
//! (pkg/controller/deployment/rolling.go, recreate.go, util/deployment_util.go).

use std::sync::Arc;

use serde_json::{Value, json};

use super::{event, kind};
use crate::sandbox::error::ApiError;
use crate::sandbox::json::{flag, int, set, text, unset};
use crate::sandbox::store::{Objects, Part};

/// A Deployment's ReplicaSets.
#[derive(Debug)]
pub(crate) struct Sets {
    pub(crate) new: Option<Arc<Value>>,
    /// Oldest first.
    pub(crate) old: Vec<Arc<Value>>,
}

/// maxSurge and maxUnavailable as numbers of pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) surge: i64,
    pub(crate) unavailable: i64,
}

impl Limits {
    /// Percentages of the replicas: surge is rounded up, unavailable down, and not both are 0.
    pub(crate) fn of(deployment: &Value) -> Self {
        if text(deployment, "/spec/strategy/type") == "Recreate" {
            return Self {
                surge: 0,
                unavailable: 0,
            };
        }
        let replicas = int(deployment, "/spec/replicas").unwrap_or(1);
        let rolling = "/spec/strategy/rollingUpdate";
        let surge = scaled(
            deployment.pointer(&format!("{rolling}/maxSurge")),
            replicas,
            true,
        );
        let pointer = format!("{rolling}/maxUnavailable");
        let mut unavailable = scaled(deployment.pointer(&pointer), replicas, false);
        if surge == 0 && unavailable == 0 {
            unavailable = 1;
        }
        Self {
            surge,
            unavailable: unavailable.min(replicas),
        }
    }
}

fn scaled(value: Option<&Value>, replicas: i64, up: bool) -> i64 {
    match value {
        Some(Value::Number(n)) => n.as_i64().unwrap_or(0),
        Some(Value::String(s)) => {
            let percent: i64 = s.trim_end_matches('%').parse().unwrap_or(25);
            let product = percent * replicas;
            if up {
                (product + 99) / 100
            } else {
                product / 100
            }
        }
        _ => 0,
    }
}

fn spec_size(set_object: &Value) -> i64 {
    int(set_object, "/spec/replicas").unwrap_or(0)
}

fn available(set_object: &Value) -> i64 {
    int(set_object, "/status/availableReplicas").unwrap_or(0)
}

/// The size of the new ReplicaSet within the surge (`NewRSNewReplicas`).
pub(crate) fn new_size(deployment: &Value, own: i64, all: i64) -> i64 {
    let wanted = int(deployment, "/spec/replicas").unwrap_or(1);
    if text(deployment, "/spec/strategy/type") == "Recreate" {
        return wanted;
    }
    let most = wanted + Limits::of(deployment).surge;
    if all >= most {
        return own;
    }
    own + (most - all).min(wanted - own)
}

/// Whether pods of old ReplicaSets still exist.
pub(crate) fn old_pods_left(objects: &Objects, old: &[Arc<Value>]) -> Result<bool, ApiError> {
    let pods = kind("", "Pod")?;
    Ok(old.iter().any(|s| {
        let namespace = text(s, "/metadata/namespace");
        spec_size(s) > 0
            || !objects
                .owned(pods, namespace, text(s, "/metadata/uid"))
                .is_empty()
    }))
}

/// The next scaling of a Deployment's ReplicaSets.
pub(crate) fn step(objects: &mut Objects, deployment: &Value, sets: &Sets) -> Result<(), ApiError> {
    let wanted = int(deployment, "/spec/replicas").unwrap_or(1);
    if flag(deployment, "/spec/paused") {
        return step_paused(objects, deployment, sets, wanted);
    }
    if text(deployment, "/spec/strategy/type") == "Recreate" {
        for old in sets.old.iter().filter(|s| spec_size(s) > 0) {
            scale(objects, deployment, old, 0)?;
        }
        if let Some(new) = &sets.new
            && !old_pods_left(objects, &sets.old)?
        {
            scale(objects, deployment, new, wanted)?;
        }
        return Ok(());
    }
    let Some(new) = &sets.new else { return Ok(()) };
    let all: i64 = sets.old.iter().map(|s| spec_size(s)).sum::<i64>() + spec_size(new);
    let size = if spec_size(new) > wanted {
        wanted
    } else {
        new_size(deployment, spec_size(new), all)
    };
    if size != spec_size(new) {
        return scale(objects, deployment, new, size);
    }
    scale_old(objects, deployment, sets, all)
}

/// While paused nothing rolls, but `kubectl scale` is still obeyed.
fn step_paused(
    objects: &mut Objects,
    deployment: &Value,
    sets: &Sets,
    wanted: i64,
) -> Result<(), ApiError> {
    let mut active: Vec<&Arc<Value>> = sets
        .old
        .iter()
        .chain(&sets.new)
        .filter(|s| spec_size(s) > 0)
        .collect();
    if active.is_empty() {
        active.extend(sets.new.iter().chain(sets.old.last()).take(1));
    }
    match active.as_slice() {
        [only] => scale(objects, deployment, only, wanted),
        _ => Ok(()),
    }
}

fn scale_old(
    objects: &mut Objects,
    deployment: &Value,
    sets: &Sets,
    all: i64,
) -> Result<(), ApiError> {
    let Some(new) = &sets.new else { return Ok(()) };
    let wanted = int(deployment, "/spec/replicas").unwrap_or(1);
    let minimum = wanted - Limits::of(deployment).unavailable;
    let new_unavailable = spec_size(new) - available(new);
    let most_down = all - minimum - new_unavailable;
    if most_down <= 0 {
        return Ok(());
    }
    // Unhealthy old pods first: they serve nobody.
    let mut left = most_down;
    let mut sizes: Vec<i64> = sets.old.iter().map(|s| spec_size(s)).collect();
    for (at, old) in sets.old.iter().enumerate() {
        let unhealthy = (sizes[at] - available(old)).clamp(0, left);
        sizes[at] -= unhealthy;
        left -= unhealthy;
    }
    let serving: i64 = sets.old.iter().map(|s| available(s)).sum::<i64>() + available(new);
    let mut down = (serving - minimum).max(0);
    for size in &mut sizes {
        let less = (*size).min(down);
        *size -= less;
        down -= less;
    }
    for (old, size) in sets.old.iter().zip(sizes) {
        scale(objects, deployment, old, size)?;
    }
    Ok(())
}

fn scale(
    objects: &mut Objects,
    deployment: &Value,
    set_object: &Value,
    size: i64,
) -> Result<(), ApiError> {
    let before = spec_size(set_object);
    if before == size {
        return Ok(());
    }
    let sets = kind("apps", "ReplicaSet")?;
    let (namespace, name) = (
        text(set_object, "/metadata/namespace"),
        text(set_object, "/metadata/name"),
    );
    let Some(present) = objects.get(sets, namespace, name) else {
        return Ok(());
    };
    let mut changed = (*present).clone();
    set(&mut changed, &["spec", "replicas"], json!(size));
    unset(&mut changed, &["metadata", "resourceVersion"]);
    objects.put(sets, changed, Part::Main)?;
    let word = if size > before { "up" } else { "down" };
    let message = format!("Scaled {word} replica set {name} from {before} to {size}");
    event(objects, deployment, "Normal", "ScalingReplicaSet", &message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(replicas: i64, surge: Value, unavailable: Value) -> Value {
        json!({"spec": {"replicas": replicas, "strategy": {"type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}})
    }

    #[test]
    fn percentages_round_as_upstream() {
        let limits = |r, s, u| Limits::of(&deployment(r, s, u));
        let quarter = || json!("25%");
        assert_eq!(
            limits(1, quarter(), quarter()),
            Limits {
                surge: 1,
                unavailable: 0
            }
        );
        assert_eq!(
            limits(10, quarter(), quarter()),
            Limits {
                surge: 3,
                unavailable: 2
            }
        );
        assert_eq!(
            limits(3, json!(0), json!("25%")),
            Limits {
                surge: 0,
                unavailable: 1
            }
        );
    }

    #[test]
    fn the_new_set_grows_within_the_surge() {
        let object = deployment(4, json!(1), json!(0));
        assert_eq!(new_size(&object, 0, 4), 1);
        assert_eq!(new_size(&object, 1, 5), 1);
        assert_eq!(new_size(&object, 4, 4), 4);
    }
}
