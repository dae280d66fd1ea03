//! Evidence before destruction: a rollback removes the crashing pods, so what they
//! say is saved first. Each part may fail alone and says so.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use crate::cluster::{Cluster, LogQuery, ObjectQuery};
use crate::model::{Observation, Pod, mask_env, mask_text};
use crate::observe::Clients;

/// The whole capture ends after this, ready or not: it must not delay the push.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

/// Lines of each log.
const TAIL_LINES: u32 = 1000;
/// Logs of at most so many pods; the crashing ones come first.
const MAX_PODS: usize = 30;

/// What was saved.
#[derive(Debug, Default)]
pub(super) struct Captured {
    /// Files written.
    pub files: usize,
    /// What is missing, and why.
    pub missing: Vec<String>,
}

/// Saves logs, events and objects below `folder`, within [`LIMIT`].
pub(super) async fn capture(
    clients: &Clients,
    observation: &Observation,
    folder: PathBuf,
) -> Captured {
    let mut captured = Captured::default();
    write_observation(observation, &folder, &mut captured);
    let Ok(cluster) = &clients.cluster else {
        captured
            .missing
            .push("logs and objects: there is no cluster to ask".to_owned());
        finish(&folder, &mut captured);
        return captured;
    };
    let parts = async {
        let (logs, object) = tokio::join!(
            logs(cluster, observation, &folder),
            object(cluster, observation, &folder)
        );
        (logs, object)
    };
    match tokio::time::timeout(LIMIT, parts).await {
        Ok((logs, object)) => {
            for outcome in logs.into_iter().chain([object]) {
                match outcome {
                    Ok(()) => captured.files += 1,
                    Err(reason) => captured.missing.push(reason),
                }
            }
        }
        Err(_) => captured.missing.push(format!(
            "whatever was not there within {} s",
            LIMIT.as_secs()
        )),
    }
    finish(&folder, &mut captured);
    captured
}

fn write_observation(observation: &Observation, folder: &Path, captured: &mut Captured) {
    let cluster = &observation.cluster;
    let parts = [
        ("events.json", json!(cluster.events)),
        ("pods.json", json!(cluster.pods)),
        ("replicasets.json", mask_env(&json!(cluster.replica_sets))),
        ("endpoints.json", json!(cluster.endpoints)),
        (
            "application.json",
            mask_env(&json!(observation.argocd.application.as_ref().map(
                |app| json!({
                    "name": app.name, "sync": app.sync, "health": app.health,
                    "comparedCommits": app.compared_commits, "history": app.history,
                    "operationState": app.operation_state, "conditions": app.conditions,
                })
            ))),
        ),
    ];
    for (name, value) in parts {
        if value.is_null() {
            captured
                .missing
                .push(format!("{name}: it could not be read"));
            continue;
        }
        save(folder, name, &format!("{value:#}"), captured);
    }
}

fn save(folder: &Path, name: &str, text: &str, captured: &mut Captured) {
    match write(folder, name, text) {
        Ok(()) => captured.files += 1,
        Err(reason) => captured.missing.push(reason),
    }
}

fn write(folder: &Path, name: &str, text: &str) -> Result<(), String> {
    std::fs::write(folder.join(name), mask_text(text)).map_err(|error| format!("{name}: {error}"))
}

async fn logs(
    cluster: &Cluster,
    observation: &Observation,
    folder: &Path,
) -> Vec<Result<(), String>> {
    let mut pods: Vec<&Pod> = observation.cluster.pods.iter().flatten().collect();
    pods.sort_by_key(|pod| (pod.ready, pod.name.as_str()));
    let mut wanted = Vec::new();
    for pod in pods.into_iter().take(MAX_PODS) {
        for container in pod
            .containers
            .iter()
            .filter(|c| !c.init || c.problem.is_some())
        {
            wanted.push((pod, container.name.as_str(), false));
            if container.restarts > 0 {
                wanted.push((pod, container.name.as_str(), true));
            }
        }
    }
    join_all(
        wanted
            .into_iter()
            .map(|(pod, container, previous)| async move {
                let word = if previous { "previous" } else { "current" };
                let name = format!("log-{}-{container}-{word}.txt", pod.name);
                let query = LogQuery {
                    namespace: &pod.namespace,
                    pod: &pod.name,
                    container,
                    previous,
                    tail_lines: Some(TAIL_LINES),
                    since: None,
                    limit_bytes: Some(4 * 1024 * 1024),
                    timestamps: false,
                };
                let text = cluster
                    .log(&query)
                    .await
                    .map_err(|error| format!("{name}: {error}"))?;
                write(folder, &name, &text)
            }),
    )
    .await
}

async fn object(cluster: &Cluster, observation: &Observation, folder: &Path) -> Result<(), String> {
    let target = &observation.target;
    let query = ObjectQuery {
        group: "apps",
        version: "v1",
        resource: target.kind.resource(),
        namespace: &target.namespace,
        name: &target.name,
    };
    let name = "workload.json";
    let value = cluster
        .object(&query)
        .await
        .map_err(|error| format!("{name}: {error}"))?;
    write(folder, name, &format!("{:#}", mask_env(&value)))
}

fn finish(folder: &Path, captured: &mut Captured) {
    let manifest = json!({"files": captured.files, "missing": captured.missing});
    save(folder, "manifest.json", &format!("{manifest:#}"), captured);
}
