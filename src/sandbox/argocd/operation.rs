//! Running a sync operation: waves, apply, prune, retries, and its record in the Application.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::compare::{self, Comparison, LAST_APPLIED, Resource, has_option, sync_wave};
use super::cron::go_duration;
use super::revisions::{Commits, put_sources, sources};
use super::source::Manifests;
use super::windows::Windows;
use crate::sandbox::controllers::event;
use crate::sandbox::defaults;
use crate::sandbox::error::ApiError;
use crate::sandbox::json::{flag, int, list, now, seconds, set, text, unset};
use crate::sandbox::kinds::Kind;
use crate::sandbox::store::{Objects, Part, Writer};

const ARGOCD: Writer<'static> = Writer {
    manager: "argocd-controller",
    apply: false,
};

/// What the controller remembers of a running operation.
#[derive(Debug, Default)]
pub(crate) struct Run {
    done: BTreeSet<String>,
    results: Vec<Value>,
    retry_at: Option<Instant>,
}

/// What an operation works with.
pub(crate) struct Input<'a> {
    pub(crate) commit: &'a Commits,
    pub(crate) targets: &'a Result<Manifests, String>,
    pub(crate) tracked: &'a [Arc<Value>],
    pub(crate) windows: &'a Windows,
}

/// Takes the operation of an Application a step further.
pub(crate) fn advance(
    objects: &mut Objects,
    app: &mut Value,
    run: &mut Option<Run>,
    input: &Input<'_>,
) {
    if app.get("operation").is_none_or(Value::is_null) {
        *run = None;
        return;
    }
    let phase = text(app, "/status/operationState/phase").to_owned();
    if !["Running", "Terminating"].contains(&phase.as_str()) {
        begin(objects, app);
        *run = Some(Run::default());
    }
    let run = run.get_or_insert_default();
    let automated = flag(app, "/operation/initiatedBy/automated");
    if !input.windows.allow(!automated) {
        // While blocked not even a termination makes progress, as upstream.
        say(app, "Sync operation blocked by sync window");
        return;
    }
    if phase == "Terminating" {
        return finish(objects, app, run, "Failed", "Operation terminated");
    }
    if run.retry_at.is_some_and(|at| Instant::now() < at) {
        return;
    }
    match input.targets {
        Err(error) => {
            let message = format!("ComparisonError: {error}");
            fail(objects, app, run, "Error", &message);
        }
        Ok(targets) => {
            let comparison = compare::compare(objects, app, &targets.objects, input.tracked);
            record_source(app, input.commit);
            carry_out(objects, app, run, &comparison);
        }
    }
}

fn begin(objects: &mut Objects, app: &mut Value) {
    let operation = app["operation"].clone();
    let commit = Commits::of(&operation["sync"]);
    set(
        app,
        &["status", "operationState"],
        json!({"phase": "Running", "message": "", "operation": operation, "startedAt": now()}),
    );
    let who = initiator(app);
    let message = format!("{who} initiated sync to {commit}");
    note(objects, app, "Normal", "OperationStarted", &message);
}

fn initiator(app: &Value) -> String {
    match text(app, "/operation/initiatedBy/username") {
        "" => "Initiated automated".to_owned(),
        name => name.to_owned(),
    }
}

fn note(objects: &mut Objects, app: &Value, kind: &str, reason: &str, message: &str) {
    if let Err(error) = event(objects, app, kind, reason, message) {
        tracing::debug!(error = error.message, "an event of an Application was lost");
    }
}

fn say(app: &mut Value, message: &str) {
    set(
        app,
        &["status", "operationState", "message"],
        json!(message),
    );
}

fn record_source(app: &mut Value, commit: &Commits) {
    let asked = app["operation"]["sync"].clone();
    let spec = app["spec"].clone();
    let result = super::super::json::child(&mut app["status"]["operationState"], "syncResult");
    commit.put(result);
    match sources(&asked).is_empty() {
        true => put_sources(&spec, result),
        false => put_sources(&asked, result),
    }
}

fn carry_out(objects: &mut Objects, app: &mut Value, run: &mut Run, comparison: &Comparison) {
    let selected: Vec<&Resource> = comparison
        .resources
        .iter()
        .filter(|r| is_selected(app, r))
        .collect();
    let unknown: Vec<&&Resource> = selected
        .iter()
        .filter(|r| r.target.is_some() && r.served().is_none())
        .collect();
    if !unknown.is_empty() {
        run.results = unknown
            .iter()
            .map(|r| result(r, "SyncFailed", &no_crd(r)))
            .collect();
        write_results(app, run);
        let message = "one or more synchronization tasks are not valid";
        return fail(objects, app, run, "Failed", message);
    }
    let mut waves: Vec<i64> = selected.iter().filter_map(|r| wave(r)).collect();
    waves.sort_unstable();
    waves.dedup();
    for (at, number) in waves.iter().enumerate() {
        let mut tasks: Vec<&&Resource> = selected
            .iter()
            .filter(|r| wave(r) == Some(*number))
            .collect();
        tasks.sort_by_key(|r| kind_order(&r.kind));
        if let Err(message) = apply_wave(objects, app, run, &tasks) {
            return fail(objects, app, run, "Failed", &message);
        }
        if at + 1 < waves.len()
            && let Some(message) = unhealthy(objects, &tasks)
        {
            say(app, &message);
            return;
        }
    }
    prune(objects, app, run, &selected);
    write_results(app, run);
    finish(
        objects,
        app,
        run,
        "Succeeded",
        "successfully synced (all tasks run)",
    );
}

fn no_crd(resource: &Resource) -> String {
    format!(
        "The Kubernetes API could not find {}/{} for requested resource {}/{}. Make sure the \
         \"{}\" CRD is installed on the destination cluster.",
        resource.group, resource.kind, resource.namespace, resource.name, resource.kind
    )
}

fn wave(resource: &Resource) -> Option<i64> {
    resource.target.as_ref().map(|t| sync_wave(t).unwrap_or(0))
}

/// The order in which gitops-engine applies kinds of one wave.
fn kind_order(kind: &str) -> usize {
    const ORDER: &[&str] = &[
        "Namespace",
        "NetworkPolicy",
        "ResourceQuota",
        "PodDisruptionBudget",
        "ServiceAccount",
        "Secret",
        "ConfigMap",
        "PersistentVolumeClaim",
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
        "Service",
        "DaemonSet",
        "Pod",
        "ReplicaSet",
        "Deployment",
        "HorizontalPodAutoscaler",
        "StatefulSet",
        "Job",
        "CronJob",
        "Ingress",
    ];
    ORDER.iter().position(|k| *k == kind).unwrap_or(ORDER.len())
}

fn is_selected(app: &Value, resource: &Resource) -> bool {
    let chosen = list(app, "/operation/sync/resources");
    chosen.is_empty()
        || chosen.iter().any(|c| {
            let namespace = text(c, "/namespace");
            text(c, "/group") == resource.group
                && text(c, "/kind") == resource.kind
                && text(c, "/name") == resource.name
                && (namespace.is_empty() || namespace == resource.namespace)
        })
}

fn result(resource: &Resource, state: &str, message: &str) -> Value {
    json!({"group": resource.group, "version": resource.api, "kind": resource.kind,
        "namespace": resource.namespace, "name": resource.name, "status": state,
        "message": message, "hookPhase": if state == "SyncFailed" { "Failed" } else { "Running" },
        "syncPhase": "Sync"})
}

fn apply_wave(
    objects: &mut Objects,
    app: &mut Value,
    run: &mut Run,
    tasks: &[&&Resource],
) -> Result<(), String> {
    let dry = flag(app, "/operation/sync/dryRun");
    let mut failed = None;
    for task in tasks {
        let key = task.key();
        if run.done.contains(&key) {
            continue;
        }
        let outcome = if dry {
            Ok("dry run".to_owned())
        } else {
            apply(objects, app, task)
        };
        match outcome {
            Ok(message) => {
                run.done.insert(key);
                run.results.push(result(task, "Synced", &message));
            }
            Err(error) => {
                run.results.push(result(task, "SyncFailed", &error.message));
                failed.get_or_insert(error.message);
            }
        }
    }
    write_results(app, run);
    match failed {
        Some(message) => Err(format!(
            "one or more objects failed to apply, reason: {message}"
        )),
        None => Ok(()),
    }
}

fn write_results(app: &mut Value, run: &Run) {
    set(
        app,
        &["status", "operationState", "syncResult", "resources"],
        json!(run.results),
    );
}

/// Applies one object as `kubectl apply` does.
fn apply(objects: &mut Objects, app: &Value, resource: &Resource) -> Result<String, ApiError> {
    let (Some(kind), Some(target)) = (resource.served(), &resource.target) else {
        return Err(ApiError::no_route());
    };
    let named = format!(
        "{}/{}",
        kind.qualified()
            .replacen(kind.plural, &kind.kind.to_lowercase(), 1),
        resource.name
    );
    let applied = json!(target.to_string());
    let live = objects.get(kind, &resource.namespace, &resource.name);
    let Some(live) = live else {
        ensure_namespace(objects, app, kind, &resource.namespace)?;
        let mut made = target.clone();
        set(
            &mut made,
            &["metadata", "annotations", LAST_APPLIED],
            applied,
        );
        crate::sandbox::api::prepare(objects, kind, &mut made, &resource.namespace)?;
        objects.create(kind, made, ARGOCD)?;
        return Ok(format!("{named} created"));
    };
    let mut wanted = compare::predict(kind, target, &live);
    if has_sync_option(app, "RespectIgnoreDifferences=true") {
        compare::keep_ignored(app, kind, &mut wanted, &live);
    }
    defaults::check(kind, &wanted, Some(&live))?;
    let same = wanted == *live;
    set(
        &mut wanted,
        &["metadata", "annotations", LAST_APPLIED],
        applied,
    );
    unset(&mut wanted, &["metadata", "resourceVersion"]);
    objects.update(kind, wanted, Part::Main, ARGOCD)?;
    Ok(format!(
        "{named} {}",
        if same { "unchanged" } else { "configured" }
    ))
}

fn has_sync_option(app: &Value, option: &str) -> bool {
    let of = |pointer: &str| list(app, pointer).iter().any(|o| o == option);
    of("/spec/syncPolicy/syncOptions") || of("/operation/sync/syncOptions")
}

fn ensure_namespace(
    objects: &mut Objects,
    app: &Value,
    kind: &Kind,
    namespace: &str,
) -> Result<(), ApiError> {
    let namespaces = crate::sandbox::controllers::kind("", "Namespace")?;
    if !kind.namespaced
        || !has_sync_option(app, "CreateNamespace=true")
        || objects.get(namespaces, "", namespace).is_some()
    {
        return Ok(());
    }
    let mut made = json!({"metadata": {"name": namespace}});
    crate::sandbox::api::prepare(objects, namespaces, &mut made, "")?;
    objects.create(namespaces, made, ARGOCD)?;
    Ok(())
}

/// The first resource of a wave that keeps the next wave waiting.
fn unhealthy(objects: &Objects, tasks: &[&&Resource]) -> Option<String> {
    let waiting: Vec<&&&Resource> = tasks
        .iter()
        .filter(|r| {
            let kind = r.served();
            let live = kind.and_then(|k| objects.get(k, &r.namespace, &r.name));
            let state = live.and_then(|l| super::health::of(&l));
            state.is_some_and(|(s, _)| s != "Healthy")
        })
        .collect();
    let first = waiting.first()?;
    let more = match waiting.len() {
        1 => String::new(),
        n => format!(" and {} more resources", n - 1),
    };
    Some(format!(
        "waiting for healthy state of {}/{} {}{more}",
        first.group, first.kind, first.name
    ))
}

fn prune(objects: &mut Objects, app: &Value, run: &mut Run, selected: &[&Resource]) {
    let wanted = flag(app, "/operation/sync/prune");
    let dry = flag(app, "/operation/sync/dryRun");
    for resource in selected.iter().filter(|r| r.requires_pruning()) {
        let (Some(kind), Some(live)) = (resource.served(), &resource.live) else {
            continue;
        };
        let kept = has_option(live, "Prune=false") || has_sync_option(app, "Prune=false");
        let (state, message) = if !wanted {
            ("PruneSkipped", "ignored (requires pruning)".to_owned())
        } else if kept {
            ("PruneSkipped", "ignored (no prune)".to_owned())
        } else if dry {
            ("Pruned", "pruned (dry run)".to_owned())
        } else {
            match objects.delete(kind, &resource.namespace, &resource.name) {
                Ok(_) => ("Pruned", "pruned".to_owned()),
                Err(error) => ("SyncFailed", error.message),
            }
        };
        run.results.push(result(resource, state, &message));
    }
}

/// Ends with a failure, or waits for the next try.
fn fail(objects: &mut Objects, app: &mut Value, run: &mut Run, phase: &str, message: &str) {
    let limit = int(app, "/operation/retry/limit").unwrap_or(0);
    let tries = int(app, "/status/operationState/retryCount").unwrap_or(0);
    if limit >= 0 && tries >= limit {
        let message = match tries {
            0 => message.to_owned(),
            _ => format!("{message} (retried {tries} times)."),
        };
        return finish(objects, app, run, phase, &message);
    }
    let wait = backoff(&app["operation"]["retry"]["backoff"], tries);
    let at = Timestamp::now() + jiff::SignedDuration::try_from(wait).unwrap_or_default();
    set(
        app,
        &["status", "operationState", "retryCount"],
        json!(tries + 1),
    );
    say(
        app,
        &format!(
            "{message}. Retrying attempt #{} at {}.",
            tries + 1,
            at.strftime("%-I:%M%p")
        ),
    );
    *run = Run {
        retry_at: Some(Instant::now() + wait),
        ..Run::default()
    };
}

/// 5 s doubled at each try up to 3 min, unless the retry strategy says otherwise.
fn backoff(strategy: &Value, tries: i64) -> Duration {
    let duration = go_duration(text(strategy, "/duration")).unwrap_or(Duration::from_secs(5));
    let most = go_duration(text(strategy, "/maxDuration")).unwrap_or(Duration::from_secs(180));
    let factor = int(strategy, "/factor").unwrap_or(2).clamp(1, 100) as f64;
    let power = i32::try_from(tries.clamp(0, 30)).unwrap_or(30);
    duration.mul_f64(factor.powi(power).min(1e6)).min(most)
}

fn finish(objects: &mut Objects, app: &mut Value, run: &mut Run, phase: &str, message: &str) {
    let state = &mut app["status"]["operationState"];
    state["phase"] = json!(phase);
    state["message"] = json!(message);
    state["finishedAt"] = now();
    let commit = Commits::of(&state["syncResult"]);
    let word = if phase == "Succeeded" {
        "succeeded"
    } else {
        "failed"
    };
    let kind = if phase == "Succeeded" {
        "Normal"
    } else {
        "Warning"
    };
    let text_of = match phase {
        "Succeeded" => format!("Sync operation to {commit} {word}"),
        _ => format!("Sync operation to {commit} {word}: {message}"),
    };
    note(objects, app, kind, "OperationCompleted", &text_of);
    let partial = !list(app, "/operation/sync/resources").is_empty();
    if phase == "Succeeded" && !partial && !flag(app, "/operation/sync/dryRun") {
        remember(app);
    }
    unset(app, &["operation"]);
    *run = Run::default();
}

/// Appends to `status.history`.
fn remember(app: &mut Value) {
    let mut history = list(app, "/status/history").to_vec();
    let id = history
        .iter()
        .filter_map(|h| int(h, "/id"))
        .max()
        .map_or(0, |id| id + 1);
    let state = &app["status"]["operationState"];
    let mut entry = json!({"id": id, "deployedAt": seconds(Timestamp::now()),
        "deployStartedAt": state["startedAt"], "initiatedBy": app["operation"]["initiatedBy"]});
    Commits::of(&state["syncResult"]).put(&mut entry);
    put_sources(&state["syncResult"], &mut entry);
    history.push(entry);
    let limit = int(app, "/spec/revisionHistoryLimit").unwrap_or(10);
    let excess = history
        .len()
        .saturating_sub(usize::try_from(limit).unwrap_or(0));
    history.drain(..excess);
    set(app, &["status", "history"], json!(history));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_limit() {
        let none = json!({});
        assert_eq!(backoff(&none, 0), Duration::from_secs(5));
        assert_eq!(backoff(&none, 3), Duration::from_secs(40));
        assert_eq!(backoff(&none, 20), Duration::from_secs(180));
        let own = json!({"duration": "1s", "factor": 3, "maxDuration": "4s"});
        assert_eq!(backoff(&own, 1), Duration::from_secs(3));
        assert_eq!(backoff(&own, 2), Duration::from_secs(4));
    }

    #[test]
    fn history_ids_survive_truncation() {
        let mut app = json!({"spec": {"revisionHistoryLimit": 2}, "operation": {},
            "status": {"history": [], "operationState": {"syncResult": {}}}});
        for _ in 0..4 {
            remember(&mut app);
        }
        let ids: Vec<i64> = list(&app, "/status/history")
            .iter()
            .filter_map(|h| int(h, "/id"))
            .collect();
        assert_eq!(ids, [2, 3]);
    }
}
