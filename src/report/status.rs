//! What serves, what runs, who ships it, what stands in the way.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::human::{Tint, one_line};
use crate::model::{
    ArgoView, Blocker, ClusterView, Gap, HealthStatus, ImageRef, Observation, Pod, ReplicaSet,
    SyncStatus, Workload,
};
use crate::plan::API_VERSION;
use crate::timeline::Timeline;

/// The endpoints of one release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServingReport {
    /// The release's image.
    pub image: String,
    /// The ReplicaSet.
    pub replica_set: String,
    /// Whether its template is the workload's newest.
    pub newest: bool,
    /// Ready endpoints.
    pub ready: usize,
    /// Percent of all ready endpoints.
    pub percent: usize,
}

/// One pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodReport {
    /// Its name.
    pub name: String,
    /// Its ReplicaSet.
    pub replica_set: Option<String>,
    /// Phase.
    pub phase: String,
    /// Ready.
    pub ready: bool,
    /// Restarts of all containers.
    pub restarts: i64,
    /// Why it does not run, container by container.
    pub problems: Vec<String>,
    /// The image as the pod has it, where it is not the template's own text.
    pub rewritten_image: Option<String>,
}

/// The state of one target.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetStatus {
    /// The workload, in words.
    pub target: String,
    /// One line: what serves.
    pub serving_line: String,
    /// Endpoints per release.
    pub serving: Vec<ServingReport>,
    /// Images of the live template.
    pub images: Vec<String>,
    /// Generation and observed generation.
    pub generation: Option<(i64, i64)>,
    /// Desired, updated, ready and available replicas.
    pub replicas: Option<(i64, i64, i64, i64)>,
    /// Paused.
    pub paused: Option<bool>,
    /// Conditions: type, state, reason.
    pub conditions: Vec<String>,
    /// Autoscalers.
    pub autoscalers: Vec<String>,
    /// Pods.
    pub pods: Vec<PodReport>,
    /// Recent warnings.
    pub events: Vec<String>,
    /// The Application.
    pub application: Option<String>,
    /// Sync status of this resource alone.
    #[schemars(with = "Option<String>")]
    pub resource_sync: Option<SyncStatus>,
    /// Health of this resource alone.
    #[schemars(with = "Option<String>")]
    pub resource_health: Option<HealthStatus>,
    /// Sync status of the whole Application.
    #[schemars(with = "Option<String>")]
    pub application_sync: Option<SyncStatus>,
    /// Health of the whole Application.
    #[schemars(with = "Option<String>")]
    pub application_health: Option<HealthStatus>,
    /// A running operation.
    pub operation: Option<String>,
    /// Repository, branch, file and line that ship it.
    pub source: Option<String>,
    /// How the source was found.
    pub source_proof: Option<String>,
    /// What stands in the way of a rollback.
    pub blockers: Vec<Blocker>,
    /// What could not be read.
    pub gaps: Vec<Gap>,
}

/// The state of one or several targets.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// `unship/v1`.
    pub api_version: String,
    /// `Status`.
    pub kind: String,
    /// The targets.
    pub targets: Vec<TargetStatus>,
    /// Exit code.
    pub exit_code: u8,
}

impl StatusReport {
    /// Wraps targets.
    #[must_use]
    pub fn new(targets: Vec<TargetStatus>) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "Status".to_owned(),
            targets,
            exit_code: 0,
        }
    }
}

impl TargetStatus {
    /// What a list shows of one workload: the object alone, nothing around it.
    #[must_use]
    pub fn of_workload(workload: &Workload, gaps: Vec<Gap>) -> Self {
        let observation = Observation {
            at: jiff::Timestamp::UNIX_EPOCH,
            target: workload.reference.clone(),
            cluster: ClusterView {
                workload: Some(workload.clone()),
                ..ClusterView::default()
            },
            argocd: ArgoView::default(),
            git: None,
            signs_commits: None,
            rights: Default::default(),
            source_blockers: Vec::new(),
            automation: Default::default(),
            gaps,
        };
        Self::new(&observation, &Timeline::default(), Vec::new())
    }

    /// Takes it from an observation. `blockers` come from planning.
    #[must_use]
    pub fn new(observation: &Observation, timeline: &Timeline, blockers: Vec<Blocker>) -> Self {
        let cluster = &observation.cluster;
        let workload = cluster.workload.as_ref();
        let application = observation.argocd.application.as_ref();
        let resource = application.and_then(|app| app.resource(&observation.target.object()));
        let serving = serving(observation);
        Self {
            target: observation.target.to_string(),
            serving_line: serving_line(observation, &serving, timeline),
            serving,
            images: workload
                .map(|w| {
                    w.template
                        .images()
                        .iter()
                        .map(|(n, i)| format!("{n}={i}"))
                        .collect()
                })
                .unwrap_or_default(),
            generation: workload.map(|w| (w.generation, w.observed_generation)),
            replicas: workload.map(|w| {
                (
                    w.replicas,
                    w.rollout.updated,
                    w.rollout.ready,
                    w.rollout.available,
                )
            }),
            paused: workload.map(|w| w.paused),
            conditions: workload
                .map(|w| {
                    w.rollout
                        .conditions
                        .iter()
                        .map(|c| format!("{}={} {}", c.kind, c.state, c.reason))
                        .collect()
                })
                .unwrap_or_default(),
            autoscalers: cluster
                .hpas
                .iter()
                .flatten()
                .map(|h| format!("{} ({} to {})", h.name, h.min_replicas, h.max_replicas))
                .collect(),
            pods: pods(observation),
            events: events(observation),
            application: observation.argocd.application_name.clone(),
            resource_sync: resource.map(|r| r.sync),
            resource_health: resource.and_then(|r| r.health),
            application_sync: application.map(|app| app.sync),
            application_health: application.map(|app| app.health),
            operation: application.and_then(operation),
            source: observation
                .git
                .as_ref()
                .map(|git| format!("{} {} {}", git.repository, git.branch, git.file)),
            source_proof: observation.git.as_ref().map(|git| git.proof.clone()),
            blockers,
            gaps: observation.gaps.clone(),
        }
    }
}

fn set_of<'o>(observation: &'o Observation, pod: &Pod) -> Option<&'o ReplicaSet> {
    observation
        .cluster
        .replica_sets
        .iter()
        .flatten()
        .find(|set| {
            pod.owner_uid.as_deref() == Some(&set.uid)
                || (pod.controller_revision_hash.is_some()
                    && pod.controller_revision_hash == set.pod_template_hash)
        })
}

/// Ready endpoints by release: pods by owner reference, never by label.
fn serving(observation: &Observation) -> Vec<ServingReport> {
    let cluster = &observation.cluster;
    let mut ready_uids: Vec<&str> = cluster
        .endpoints
        .iter()
        .flatten()
        .filter(|endpoint| endpoint.ready)
        .filter_map(|endpoint| endpoint.pod_uid.as_deref())
        .collect();
    ready_uids.sort_unstable();
    ready_uids.dedup();
    let newest = cluster
        .workload
        .as_ref()
        .map(|w| w.template.without_restarts());
    let mut counts: BTreeMap<&str, (usize, &ReplicaSet)> = BTreeMap::new();
    for pod in cluster.pods.iter().flatten() {
        if ready_uids.binary_search(&pod.uid.as_str()).is_ok()
            && let Some(set) = set_of(observation, pod)
        {
            counts.entry(&set.name).or_insert((0, set)).0 += 1;
        }
    }
    let all: usize = counts.values().map(|(count, _)| count).sum();
    counts
        .into_values()
        .map(|(ready, set)| ServingReport {
            image: set
                .template
                .main_image()
                .map(|i| i.as_str().to_owned())
                .unwrap_or_default(),
            replica_set: set.name.clone(),
            newest: newest.as_ref() == Some(&set.template.without_restarts()),
            ready,
            percent: (ready * 100).checked_div(all).unwrap_or(0),
        })
        .collect()
}

fn serving_line(
    observation: &Observation,
    serving: &[ServingReport],
    timeline: &Timeline,
) -> String {
    let cluster = &observation.cluster;
    let Some(workload) = &cluster.workload else {
        return "unknown: the workload could not be read".to_owned();
    };
    let since = timeline
        .live()
        .and_then(|entry| entry.live_from)
        .map_or_else(String::new, |at| format!(", newest template since {at}"));
    if cluster.endpoints.is_none() || cluster.pods.is_none() || cluster.replica_sets.is_none() {
        return format!(
            "unknown: endpoints or pods could not be read ({} of {} pods are ready{since})",
            workload.rollout.ready, workload.replicas
        );
    }
    if serving.is_empty() {
        let no_service = cluster.endpoints.as_ref().is_some_and(|endpoints| {
            let uids: Vec<&str> = cluster
                .pods
                .iter()
                .flatten()
                .map(|p| p.uid.as_str())
                .collect();
            !endpoints
                .iter()
                .any(|e| e.pod_uid.as_deref().is_some_and(|uid| uids.contains(&uid)))
        });
        let why = if no_service {
            "no Service has endpoints of it"
        } else {
            "no endpoint is ready"
        };
        return format!(
            "nothing serves: {why} ({} of {} pods are ready{since})",
            workload.rollout.ready, workload.replicas
        );
    }
    let parts: Vec<String> = serving
        .iter()
        .map(|part| {
            let age = if part.newest { "newest" } else { "old" };
            format!(
                "{age} pods ({}) serve {} %",
                ImageRef::new(part.image.clone()).release(),
                part.percent
            )
        })
        .collect();
    format!("{}{since}", parts.join(", "))
}

fn pods(observation: &Observation) -> Vec<PodReport> {
    let mut found: Vec<PodReport> = observation
        .cluster
        .pods
        .iter()
        .flatten()
        .map(|pod| {
            let set = set_of(observation, pod);
            PodReport {
                name: pod.name.clone(),
                replica_set: set.map(|set| set.name.clone()),
                phase: if pod.terminating {
                    "Terminating".to_owned()
                } else {
                    pod.phase.clone()
                },
                ready: pod.ready,
                restarts: pod.containers.iter().map(|c| c.restarts).sum(),
                problems: problems(pod),
                rewritten_image: rewritten(pod, set),
            }
        })
        .collect();
    found.sort_by_key(|pod| (pod.ready, pod.name.clone()));
    found
}

fn problems(pod: &Pod) -> Vec<String> {
    let mut found = Vec::new();
    for container in &pod.containers {
        if let Some(problem) = &container.problem {
            found.push(one_line(
                &format!("{}: {} {}", container.name, problem.reason, problem.message),
                200,
            ));
        }
        if let Some(last) = &container.last_termination
            && !container.ready
        {
            found.push(format!(
                "{}: ended before with {} (exit code {})",
                container.name, last.reason, last.exit_code
            ));
        }
    }
    found
}

fn rewritten(pod: &Pod, set: Option<&ReplicaSet>) -> Option<String> {
    let wanted = set?.template.images();
    pod.containers
        .iter()
        .find(|container| {
            wanted.iter().any(|(name, image)| {
                *name == container.name
                    && !container.image.same_as(image)
                    && (container.image.is_mirror_of(image)
                        || container
                            .original_image
                            .as_ref()
                            .is_some_and(|o| o.same_as(image)))
            })
        })
        .map(|container| container.image.as_str().to_owned())
}

fn events(observation: &Observation) -> Vec<String> {
    observation
        .cluster
        .events
        .iter()
        .flatten()
        .take(10)
        .map(|event| {
            one_line(
                &format!(
                    "{} {}/{}: {} (×{})",
                    event.reason, event.about_kind, event.about_name, event.message, event.count
                ),
                240,
            )
        })
        .collect()
}

fn operation(app: &crate::model::Application) -> Option<String> {
    if !app.operation_in_progress() {
        return None;
    }
    let state = app.operation_state.as_ref()?;
    Some(one_line(
        &format!("{:?}: {}", state.phase, state.message),
        200,
    ))
}

/// The report as text; its first line says what serves.
#[must_use]
pub fn status_text(report: &StatusReport) -> String {
    let mut out = String::new();
    for target in &report.targets {
        if !out.is_empty() {
            out.push('\n');
        }
        target_text(target, &mut out);
    }
    out
}

fn target_text(target: &TargetStatus, out: &mut String) {
    out.push_str(&format!(
        "{}: {}\n",
        Tint::Bold.paint(&target.target),
        target.serving_line
    ));
    if !target.images.is_empty() {
        out.push_str(&format!("  runs      {}\n", target.images.join(", ")));
    }
    if let (Some((wanted, updated, ready, available)), Some((generation, observed))) =
        (target.replicas, target.generation)
    {
        let paused = if target.paused == Some(true) {
            ", paused"
        } else {
            ""
        };
        out.push_str(&format!("  replicas  {wanted} wanted, {updated} updated, {ready} ready, {available} available{paused} (generation {generation}, observed {observed})\n"));
    }
    for condition in &target.conditions {
        out.push_str(&format!("  condition {condition}\n"));
    }
    for autoscaler in &target.autoscalers {
        out.push_str(&format!("  scaled by {autoscaler}\n"));
    }
    for pod in &target.pods {
        let word = if pod.ready {
            Tint::Good.paint("ready")
        } else {
            Tint::Bad.paint("not ready")
        };
        out.push_str(&format!(
            "  pod       {} {word}, {}, {} restarts",
            pod.name, pod.phase, pod.restarts
        ));
        if let Some(image) = &pod.rewritten_image {
            out.push_str(&format!(", pulled as {image}"));
        }
        out.push('\n');
        for problem in &pod.problems {
            out.push_str(&format!("              {problem}\n"));
        }
    }
    for event in &target.events {
        out.push_str(&format!("  event     {event}\n"));
    }
    shipped_by(target, out);
    for blocker in &target.blockers {
        out.push_str(&format!(
            "  {} {}\n            {}\n",
            Tint::Warn.paint("in the way"),
            one_line(&blocker.message, 400),
            one_line(&blocker.hint, 400)
        ));
    }
    for gap in &target.gaps {
        out.push_str(&format!(
            "  not seen  {}\n",
            one_line(&gap.to_string(), 300)
        ));
    }
}

fn shipped_by(target: &TargetStatus, out: &mut String) {
    match (&target.application, target.application_sync) {
        (Some(name), Some(sync)) => {
            let resource = target
                .resource_sync
                .map_or_else(|| "no entry".to_owned(), |s| format!("{s:?}"));
            let health = target
                .resource_health
                .map_or_else(String::new, |h| format!(", {h:?}"));
            out.push_str(&format!("  shipped   Application {name}: this resource {resource}{health}; the whole {sync:?}"));
            if let Some(health) = target.application_health {
                out.push_str(&format!(", {health:?}"));
            }
            out.push('\n');
        }
        (Some(name), None) => out.push_str(&format!(
            "  shipped   Application {name} (cannot be read)\n"
        )),
        (None, _) => out.push_str("  shipped   no Application is known\n"),
    }
    if let Some(operation) = &target.operation {
        out.push_str(&format!("  operation {operation}\n"));
    }
    if let Some(source) = &target.source {
        out.push_str(&format!("  source    {source}\n"));
        if let Some(proof) = &target.source_proof {
            out.push_str(&format!("            {proof}\n"));
        }
    }
}
