//! What is wrong with a target, in sentences, each with its numbers.

use std::collections::BTreeMap;

use super::human::one_line;
use crate::model::{HealthStatus, Observation, OperationPhase, Pod};

/// What is wrong, worst first. Empty where nothing is; what could not be read is not
/// wrong, it is a gap.
pub(super) fn symptoms(observation: &Observation) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(pods) = &observation.cluster.pods {
        found.extend(pods_say(pods));
    }
    found.extend(workload_says(observation));
    found.extend(application_says(observation));
    found.iter().map(|text| one_line(text, 400)).collect()
}

/// Pods by what keeps their container from running.
fn pods_say(pods: &[Pod]) -> Vec<String> {
    struct Group {
        pods: usize,
        restarts: i64,
        ended: Option<String>,
        message: String,
    }
    let alive: Vec<&Pod> = pods.iter().filter(|pod| !pod.terminating).collect();
    let mut groups: BTreeMap<(String, String), Group> = BTreeMap::new();
    for pod in &alive {
        let Some(container) = pod.containers.iter().find(|c| c.problem.is_some()) else {
            continue;
        };
        let Some(problem) = &container.problem else {
            continue;
        };
        let group = groups
            .entry((problem.reason.clone(), container.name.clone()))
            .or_insert(Group {
                pods: 0,
                restarts: 0,
                ended: None,
                message: problem.message.clone(),
            });
        group.pods += 1;
        group.restarts += container.restarts;
        let last = container.last_termination.as_ref();
        group.ended = group
            .ended
            .take()
            .or_else(|| last.map(|t| format!("{} with exit code {}", t.reason, t.exit_code)));
    }
    let total = alive.len();
    let mut found: Vec<String> = groups
        .into_iter()
        .map(|((reason, container), group)| {
            let ended = group
                .ended
                .map_or_else(String::new, |ended| format!(", ended before: {ended}"));
            let message = match group.message.as_str() {
                "" => String::new(),
                text => format!(": {text}"),
            };
            format!(
                "{} of {total} pods: container {container} is in {reason} ({} restarts{ended}){message}",
                group.pods, group.restarts
            )
        })
        .collect();
    let unready = alive.iter().filter(|pod| !pod.ready).count();
    if unready > 0 {
        found.push(format!("{unready} of {total} pods are not ready"));
    }
    found
}

fn workload_says(observation: &Observation) -> Vec<String> {
    let Some(workload) = &observation.cluster.workload else {
        return Vec::new();
    };
    let mut found = Vec::new();
    if workload.progress_deadline_exceeded() {
        let message = workload
            .condition("Progressing")
            .map(|condition| condition.message.clone());
        found.push(format!(
            "the rollout passed its progress deadline of {} s: {}",
            workload.progress_deadline_seconds,
            message.unwrap_or_default()
        ));
    } else if !workload.rollout_complete() {
        found.push(format!(
            "the rollout is not complete: {} pods wanted, {} there, {} of the newest template, {} available",
            workload.replicas,
            workload.rollout.replicas,
            workload.rollout.updated,
            workload.rollout.available
        ));
    }
    if workload.paused {
        found.push("the rollout is paused".to_owned());
    }
    found
}

fn application_says(observation: &Observation) -> Vec<String> {
    let Some(app) = &observation.argocd.application else {
        return Vec::new();
    };
    let mut found = Vec::new();
    if let Some(resource) = app.resource(&observation.target.object())
        && matches!(
            resource.health,
            Some(HealthStatus::Degraded | HealthStatus::Missing)
        )
    {
        found.push(format!(
            "Argo CD calls it {:?}: {}",
            resource.health.unwrap_or(HealthStatus::Unknown),
            resource.health_message
        ));
    }
    if let Some(state) = &app.operation_state
        && matches!(state.phase, OperationPhase::Failed | OperationPhase::Error)
    {
        found.push(format!(
            "the last sync of Application {} ended with {:?}: {}",
            app.name, state.phase, state.message
        ));
    }
    found
}
