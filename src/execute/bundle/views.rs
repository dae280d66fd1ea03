//! What unship itself saw and concluded: its view of the objects, Argo CD's state, the
//! timeline, and descriptions for people.

use serde_json::{Value, json};

use super::folder::file_name;
use super::objects::Objects;
use super::own::{text, why};
use super::{Job, logs};
use crate::model::{Application, ArgoView, Gap, Observation, mask_url};
use crate::report::{HistoryReport, Style, describe};
use crate::timeline::Timeline;

/// Columns of a text file: wide enough for one table.
const WIDTH: usize = 160;

/// Saves what the look saw: no request is sent.
pub(super) async fn seen(job: &Job<'_>) {
    let view = &job.observation.cluster;
    let has_cluster = job.cluster().is_some();
    let of = |begins: &str| why(job.observation, begins);
    let sets = view.replica_sets.as_ref().map(|sets| json!(sets));
    let endpoints = view.endpoints.as_ref().map(|all| json!(all));
    let parts = [
        (
            "pods.json",
            logs::own_pods(job.observation).map(|pods| json!(pods)),
        ),
        ("replicasets.json", sets.ok_or_else(|| of("ReplicaSets"))),
        (
            "endpoints.json",
            endpoints.ok_or_else(|| of("EndpointSlices")),
        ),
    ];
    for (name, value) in parts {
        match value {
            Ok(value) => job.save_json(name, &value).await,
            Err(reason) if has_cluster => job.folder.missing(name, reason),
            Err(_) => {}
        }
    }
    match &job.observation.argocd.application {
        Some(app) => {
            job.save_json("application.json", &argocd(job.observation, app))
                .await
        }
        None => job
            .folder
            .missing("application.json", no_application(job.observation)),
    }
}

fn no_application(observation: &Observation) -> String {
    let about = |gap: &&Gap| gap.what.contains("Argo CD") || gap.what.contains("Application");
    let gap = observation.gaps.iter().find(about);
    gap.map_or_else(
        || "no Application is known to manage it".to_owned(),
        |gap| gap.message.clone(),
    )
}

/// The Application without what may hold values of the user's own (Helm values, plugin
/// parameters, annotations), and of resources and tree what concerns the target.
fn argocd(observation: &Observation, app: &Application) -> Value {
    let ArgoView { tree, via, .. } = &observation.argocd;
    let view = &observation.cluster;
    let sets = view
        .replica_sets
        .iter()
        .flatten()
        .map(|set| set.uid.as_str());
    let pods = view.pods.iter().flatten().map(|pod| pod.uid.as_str());
    let workload = view.workload.iter().map(|workload| workload.uid.as_str());
    let own: Vec<&str> = workload.chain(sets).chain(pods).collect();
    let target = observation.target.object();
    let nodes = tree.as_ref().map(|nodes| {
        let concerned = nodes.iter().filter(|node| {
            own.contains(&node.uid.as_str())
                || (node.kind == target.kind && node.name == target.name)
        });
        concerned.collect::<Vec<_>>()
    });
    let sources = app.sources.iter().map(|source| {
        json!({"repoURL": mask_url(&source.repo_url), "path": source.path, "chart": source.chart,
            "targetRevision": source.target_revision})
    });
    json!({
        "name": app.name, "namespace": app.namespace, "project": app.project, "readFrom": via,
        "sources": sources.collect::<Vec<_>>(), "destination": app.destination,
        "autoSync": app.auto_sync, "syncOptions": app.sync_options,
        "sync": app.sync, "health": app.health, "comparedCommits": app.compared_commits,
        "reconciledAt": app.reconciled_at, "operation": app.operation,
        "operationState": app.operation_state, "conditions": app.conditions,
        "history": app.history, "resource": app.resource(&target), "tree": nodes,
    })
}

/// What `unship history` prints, as text and as its document.
pub(super) async fn timeline(job: &Job<'_>, timeline: &Timeline) {
    if timeline.entries.is_empty() {
        return job.folder.missing("timeline.json", "no release is known");
    }
    let now = job.observation.at;
    let report = HistoryReport::new(&job.observation.target.to_string(), timeline, now);
    job.save_json("timeline.json", &json!(report)).await;
    let style = Style { width: WIDTH, now };
    job.folder.save("timeline.txt", &report.text(style)).await;
}

/// A description of the workload and of each pod.
pub(super) async fn described(job: &Job<'_>, objects: &Objects) {
    for object in objects.workload.iter().chain(&objects.pods) {
        let (kind, name) = (text(object, "/kind"), text(object, "/metadata/name"));
        let about = |about_kind: &str, about_name: &str| about_kind == kind && about_name == name;
        let events = objects.events.as_ref().map(|all| {
            let own = all.iter();
            own.filter(|event| about(&event.about_kind, &event.about_name))
                .collect::<Vec<_>>()
        });
        let file = format!(
            "describe/{}-{}.txt",
            file_name(&kind.to_lowercase()),
            file_name(name)
        );
        job.folder
            .save(&file, &describe(object, &objects.sets, events.as_deref()))
            .await;
    }
}
