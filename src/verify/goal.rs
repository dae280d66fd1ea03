//! The final checks.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Landing;
use crate::model::{
    Check, Desired, ImageRef, Observation, Pod, PodTemplate, ReplicaSet, Verdict, Workload,
};

/// What the object was before anything was done.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Baseline {
    /// Everything in the spec but template, replicas and paused.
    pub rest_of_spec: Option<Value>,
    /// Replicas.
    pub replicas: Option<i64>,
    /// `metadata.generation`.
    #[serde(default)]
    pub generation: Option<i64>,
    /// Whether an autoscaler owns the replicas.
    pub autoscaled: bool,
    /// Services whose endpoints were this workload's pods.
    pub services: BTreeSet<String>,
}

impl Baseline {
    /// Takes it from an observation.
    #[must_use]
    pub fn of(observation: &Observation) -> Self {
        let workload = observation.cluster.workload.as_ref();
        Self {
            rest_of_spec: workload.map(|w| w.rest_of_spec.clone()),
            replicas: workload.map(|w| w.replicas),
            generation: workload.map(|w| w.generation),
            autoscaled: observation
                .cluster
                .hpas
                .as_ref()
                .is_none_or(|hpas| !hpas.is_empty()),
            services: services(observation)
                .into_iter()
                .map(|(name, _, _)| name)
                .collect(),
        }
    }
}

/// Services that send traffic to the workload's pods: name, ready, all.
fn services(observation: &Observation) -> Vec<(String, usize, usize)> {
    let uids: BTreeSet<&str> = observation
        .cluster
        .pods
        .iter()
        .flatten()
        .map(|pod| pod.uid.as_str())
        .collect();
    let mut found: std::collections::BTreeMap<String, (usize, usize)> =
        std::collections::BTreeMap::new();
    for endpoint in observation.cluster.endpoints.iter().flatten() {
        if endpoint
            .pod_uid
            .as_deref()
            .is_some_and(|uid| uids.contains(uid))
        {
            let count = found.entry(endpoint.service.clone()).or_default();
            count.0 += usize::from(endpoint.ready);
            count.1 += 1;
        }
    }
    found
        .into_iter()
        .map(|(name, (ready, all))| (name, ready, all))
        .collect()
}

/// What is judged.
#[derive(Debug, Clone, Copy)]
pub struct Goals<'g> {
    /// What should be live.
    pub desired: &'g Desired,
    /// What the object was before.
    pub baseline: &'g Baseline,
    /// What came of landing, where the plan waits for it.
    pub landing: Option<&'g Landing>,
    /// Whether the plan has a rollout to wait for.
    pub rollout: bool,
}

/// Judges the goal, without the branch (see [`branch_check`]).
#[must_use]
pub fn goal(observation: &Observation, goals: Goals<'_>) -> Vec<Check> {
    let Goals {
        desired,
        baseline,
        landing,
        rollout,
    } = goals;
    let mut checks = Vec::new();
    let Some(workload) = &observation.cluster.workload else {
        return vec![Check::new(
            "template",
            "the live pod template has the target content",
            Verdict::Unknown,
            "the live object could not be read",
        )];
    };
    let live = desired.template_is_live(&workload.template);
    checks.push(Check::new(
        "template",
        "the live pod template has the target content",
        if live { Verdict::Holds } else { Verdict::Fails },
        images_text(&workload.template),
    ));
    checks.extend(field_checks(workload, desired));
    if let Some(landing) = landing {
        checks.push(Check::new(
            "argocd",
            "Argo CD has it live",
            landing.verdict,
            landing.evidence.clone(),
        ));
    }
    if rollout {
        checks.push(rollout_check(workload));
        let current = current_set(observation, workload);
        checks.push(pods_check(observation, workload, current));
        checks.push(images_check(observation, workload, current));
        checks.push(endpoints_check(observation, workload, baseline));
    }
    checks.push(rest_check(workload, baseline, desired));
    checks
}

/// Replicas, `paused` and the restart mark, where the plan is about them.
fn field_checks(workload: &Workload, desired: &Desired) -> Vec<Check> {
    let verdict = |holds: bool| {
        if holds {
            Verdict::Holds
        } else {
            Verdict::Fails
        }
    };
    let mut checks = Vec::new();
    if let Some(wanted) = desired.replicas {
        checks.push(Check::new(
            "replicas",
            "the wanted number of replicas is set",
            verdict(workload.replicas == wanted),
            format!("{} replicas, {wanted} wanted", workload.replicas),
        ));
    }
    if let Some(wanted) = desired.paused {
        let word = |paused: bool| if paused { "paused" } else { "not paused" };
        checks.push(Check::new(
            "paused",
            "it is paused or not, as wanted",
            verdict(workload.paused == wanted),
            format!("{}, {} wanted", word(workload.paused), word(wanted)),
        ));
    }
    if let Some(mark) = desired.restarted_at.as_deref() {
        let live = workload.template.restarted_at();
        checks.push(Check::new(
            "restart",
            "the pods are of the restart that was asked for",
            verdict(live == Some(mark)),
            format!("restartedAt {}", live.unwrap_or("absent")),
        ));
    }
    checks
}

fn images_text(template: &PodTemplate) -> String {
    template
        .images()
        .iter()
        .map(|(name, image)| format!("{name}={image}"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn rollout_check(workload: &Workload) -> Check {
    let counts = format!(
        "{} updated, {} ready, {} available of {}",
        workload.rollout.updated,
        workload.rollout.ready,
        workload.rollout.available,
        workload.replicas
    );
    let (verdict, evidence) = if workload.progress_deadline_exceeded() {
        (
            Verdict::Fails,
            format!("progress deadline exceeded: {counts}"),
        )
    } else if workload.rollout_complete() {
        (Verdict::Holds, counts)
    } else {
        (Verdict::Fails, format!("not complete: {counts}"))
    };
    Check::new("rollout", "the rollout is complete", verdict, evidence)
}

pub(super) fn current_set<'o>(
    observation: &'o Observation,
    workload: &Workload,
) -> Option<&'o ReplicaSet> {
    let wanted = workload.template.without_restarts();
    observation
        .cluster
        .replica_sets
        .iter()
        .flatten()
        .filter(|set| set.template.without_restarts() == wanted)
        .max_by_key(|set| set.rollout_revision)
}

pub(super) fn current_pods<'o>(
    observation: &'o Observation,
    set: Option<&'o ReplicaSet>,
) -> Option<impl Iterator<Item = &'o Pod>> {
    let set = set?;
    let pods = observation.cluster.pods.as_ref()?;
    Some(pods.iter().filter(move |pod| {
        !pod.terminating
            && (pod.owner_uid.as_deref() == Some(&set.uid)
                || (pod.controller_revision_hash.is_some()
                    && pod.controller_revision_hash == set.pod_template_hash))
    }))
}

fn pods_check(observation: &Observation, workload: &Workload, set: Option<&ReplicaSet>) -> Check {
    let title = "all its pods are ready";
    let Some(pods) = current_pods(observation, set) else {
        return Check::new(
            "pods",
            title,
            Verdict::Unknown,
            "pods or ReplicaSets could not be read",
        );
    };
    let pods: Vec<&Pod> = pods.collect();
    let ready = pods.iter().filter(|pod| pod.ready).count();
    let enough = i64::try_from(ready).is_ok_and(|ready| ready >= workload.replicas);
    let mut evidence = format!("{ready} of {} ready", workload.replicas);
    if let Some((pod, (container, problem))) =
        pods.iter().find_map(|pod| Some((pod, pod.problem()?)))
    {
        evidence.push_str(&format!("; {} {container}: {}", pod.name, problem.reason));
    }
    Check::new(
        "pods",
        title,
        if enough {
            Verdict::Holds
        } else {
            Verdict::Fails
        },
        evidence,
    )
}

/// The template decides; a pod whose image a webhook pointed at a mirror of the
/// same repository and tag runs the same release.
fn images_check(observation: &Observation, workload: &Workload, set: Option<&ReplicaSet>) -> Check {
    let title = "its pods run the template's images";
    let Some(pods) = current_pods(observation, set) else {
        return Check::new(
            "images",
            title,
            Verdict::Unknown,
            "pods or ReplicaSets could not be read",
        );
    };
    let wanted = workload.template.images();
    let (mut same, mut mirrored, mut wrong) = (0, BTreeSet::new(), Vec::new());
    for pod in pods {
        for container in &pod.containers {
            let Some((_, image)) = wanted.iter().find(|(name, _)| *name == container.name) else {
                continue;
            };
            if container.image.same_as(image) {
                same += 1;
            } else if is_rewritten(container.original_image.as_ref(), &container.image, image) {
                mirrored.insert(container.image.as_str().to_owned());
            } else {
                wrong.push(format!("{} runs {}", pod.name, container.image));
            }
        }
    }
    if !wrong.is_empty() {
        return Check::new("images", title, Verdict::Fails, wrong.join(", "));
    }
    let mut evidence = images_text(&workload.template);
    if !mirrored.is_empty() {
        let places: Vec<_> = mirrored.into_iter().collect();
        evidence.push_str(&format!(
            " (pods pull it as {}: same repository and tag)",
            places.join(", ")
        ));
    } else if same == 0 {
        evidence.push_str(" (no pods)");
    }
    Check::new("images", title, Verdict::Holds, evidence)
}

fn is_rewritten(original: Option<&ImageRef>, pod: &ImageRef, wanted: &ImageRef) -> bool {
    original.is_some_and(|original| original.same_as(wanted)) || pod.is_mirror_of(wanted)
}

fn endpoints_check(observation: &Observation, workload: &Workload, baseline: &Baseline) -> Check {
    let title = "the Services that select it have ready endpoints";
    if observation.cluster.endpoints.is_none() || observation.cluster.pods.is_none() {
        return Check::new(
            "endpoints",
            title,
            Verdict::Unknown,
            "EndpointSlices or pods could not be read",
        );
    }
    if workload.replicas == 0 {
        return Check::new("endpoints", title, Verdict::Holds, "0 replicas are wanted");
    }
    let now = services(observation);
    let lost: Vec<String> = baseline
        .services
        .iter()
        .filter(|name| !now.iter().any(|(own, ready, _)| own == *name && *ready > 0))
        .cloned()
        .collect();
    let dead: Vec<&str> = now
        .iter()
        .filter(|(_, ready, _)| *ready == 0)
        .map(|(name, _, _)| name.as_str())
        .collect();
    if !lost.is_empty() || !dead.is_empty() {
        let names: BTreeSet<&str> = lost.iter().map(String::as_str).chain(dead).collect();
        let names: Vec<&str> = names.into_iter().collect();
        return Check::new(
            "endpoints",
            title,
            Verdict::Fails,
            format!("no ready endpoint: {}", names.join(", ")),
        );
    }
    let evidence = if now.is_empty() {
        "no Service selects it".to_owned()
    } else {
        now.iter()
            .map(|(n, ready, all)| format!("{n}: {ready} of {all} ready"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    Check::new("endpoints", title, Verdict::Holds, evidence)
}

fn rest_check(workload: &Workload, baseline: &Baseline, desired: &Desired) -> Check {
    let title = "nothing else in the object changed";
    let Some(rest) = &baseline.rest_of_spec else {
        return Check::new(
            "rest",
            title,
            Verdict::Unknown,
            "the object was not seen before",
        );
    };
    if *rest != workload.rest_of_spec {
        let changed: Vec<String> = crate::manifest::diff_values(rest, &workload.rest_of_spec)
            .iter()
            .map(|change| format!("spec.{}", change.path))
            .collect();
        return Check::new(
            "rest",
            title,
            Verdict::Fails,
            format!("changed: {}", changed.join(", ")),
        );
    }
    match baseline.replicas {
        Some(_) if desired.replicas.is_some() => Check::new(
            "rest",
            title,
            Verdict::Holds,
            "spec besides the planned fields is as before",
        ),
        Some(replicas) if replicas != workload.replicas && !baseline.autoscaled => Check::new(
            "rest",
            title,
            Verdict::Fails,
            format!("replicas went from {replicas} to {}", workload.replicas),
        ),
        _ => Check::new(
            "rest",
            title,
            Verdict::Holds,
            "spec besides the template is as before",
        ),
    }
}

/// Whether the branch still has the target content.
#[must_use]
pub fn branch_check(has_content: Option<bool>, branch: &str, tip: &str) -> Check {
    let title = "the branch still has this content";
    let (verdict, word) = match has_content {
        Some(true) => (Verdict::Holds, "has it"),
        Some(false) => (
            Verdict::Fails,
            "has other content: somebody changed it since",
        ),
        None => (Verdict::Unknown, "could not be read again"),
    };
    let tip = tip.get(..7).unwrap_or(tip);
    Check::new(
        "branch",
        title,
        verdict,
        format!("{branch} at {tip} {word}"),
    )
}
