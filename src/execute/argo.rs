//! Acts on Argo CD: suspending automated sync and giving it back, a sync of one
//! object, a rollback to an entry of the history, the end of an operation.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::journal::{Record, StoredRun};
use super::land::{Aim, stopped};
use super::run::{End, Run};
use super::steps::Acted;
use super::{Error, Pace};
use crate::argocd::{ApplicationKey, Argocd, Error as ArgoError};
use crate::model::{Allowed, Application, HistoryId, Right};
use crate::report::RunState;

/// Annotation of an Application whose automated sync a run suspended: the run's id and
/// what `spec.syncPolicy.automated` was. With it a person can give it back, too.
const SUSPENDED: &str = "unship.dev/suspended-auto-sync";

/// Between the Application and what automated sync was, in the evidence of the step `suspend`.
const SUSPENDED_NOW: &str = " is suspended; it was ";

/// What gives automated sync back after a run that suspended it was given up, if it may
/// still be suspended.
#[must_use]
pub fn left_suspended(run: &StoredRun) -> Option<String> {
    let finished = |wanted: &str| {
        run.records.iter().find_map(|record| match record {
            Record::Finished { step, evidence, .. } if step == wanted => Some(evidence.as_str()),
            _ => None,
        })
    };
    if !run.began("suspend") || finished("giveBack").is_some() {
        return None;
    }
    let was = finished("suspend").and_then(|evidence| {
        let (name, automated) = evidence.split_once(SUSPENDED_NOW)?;
        let (namespace, name) = name.rsplit(' ').next()?.split_once('/')?;
        Some((namespace, name, automated))
    });
    let name = run.plan.targets.first()?.application.as_deref()?;
    Some(match was {
        Some((namespace, name, automated)) => format!(
            "automated sync of Application {name} is still suspended; `kubectl -n {namespace} patch application {name} --type merge -p '{{\"metadata\":{{\"annotations\":{{\"{SUSPENDED}\":null}}}},\"spec\":{{\"syncPolicy\":{{\"automated\":{automated}}}}}}}'` gives it back"
        ),
        None => format!(
            "automated sync of Application {name} may be suspended: then its annotation {SUSPENDED} tells what it was"
        ),
    })
}

/// Whether this run's mark of a suspension was seen on the Application last.
pub(super) fn is_suspended_by(run: &Run) -> bool {
    let app = run.sight.observation.argocd.application.as_ref();
    run.done.contains("suspend") || app.is_some_and(|app| mark_of(run, app).is_some())
}

/// What automated sync was, from this run's own mark.
fn mark_of(run: &Run, app: &Application) -> Option<Value> {
    let mark: Value = serde_json::from_str(app.annotations.get(SUSPENDED)?).ok()?;
    (mark["run"] == json!(run.head.run_id.0)).then(|| mark["automated"].clone())
}

async fn read(run: &Run) -> Result<Application, End> {
    run.application(false, Duration::ZERO).await.ok_or_else(|| {
        End::new(
            RunState::Stopped,
            4,
            "the Application cannot be read, so what automated sync does is not known",
        )
    })
}

/// Suspends automated sync, marked with the run's id.
pub(super) async fn suspend(run: &mut Run) -> Result<Acted, Error> {
    let app = match read(run).await {
        Ok(app) => app,
        Err(end) => return Ok(Acted::End(end)),
    };
    let Some(automated) = app.automated.clone().filter(|_| app.auto_sync.enabled) else {
        let words = match mark_of(run, &app) {
            Some(_) => "it is suspended by this run",
            None => "automated sync is off",
        };
        remember(run, app);
        return Ok(Acted::Done(words.to_owned()));
    };
    let mark = json!({"run": run.head.run_id.0, "automated": automated}).to_string();
    let mut operations = vec![
        json!({"op": "test", "path": "/spec/syncPolicy/automated", "value": automated}),
        json!({"op": "remove", "path": "/spec/syncPolicy/automated"}),
    ];
    operations.push(if app.annotations.is_empty() {
        json!({"op": "add", "path": "/metadata/annotations", "value": {SUSPENDED: mark}})
    } else {
        let path = format!("/metadata/annotations/{}", SUSPENDED.replace('/', "~1"));
        json!({"op": "add", "path": path, "value": mark})
    });
    let done = change(run, &app, &Value::Array(operations)).await;
    (run.setup.crash)("suspended");
    match done {
        Ok(app) => {
            let name = format!("{}/{}", app.namespace, app.name);
            remember(run, app);
            run.done.insert("suspend".to_owned());
            Ok(Acted::Done(format!(
                "automated sync of {name}{SUSPENDED_NOW}{automated}"
            )))
        }
        Err(end) => Ok(Acted::End(end)),
    }
}

/// Before the patch of an object that this plan suspended automated sync for: somebody
/// may have given it back, and it would undo the patch.
pub(super) async fn still_suspended(run: &Run) -> Option<End> {
    if !run.done.contains("suspend") {
        return None;
    }
    let app = read(run).await.ok()?;
    app.auto_sync.enabled.then(|| {
        End::new(
            RunState::Stopped,
            4,
            format!(
                "somebody gave automated sync of {} back; it would undo the patch, so nothing was patched",
                app.name
            ),
        )
    })
}

/// Puts automated sync back as it was and takes the mark away.
pub(super) async fn give_back(run: &mut Run) -> Result<Acted, Error> {
    let app = match read(run).await {
        Ok(app) => app,
        Err(end) => return Ok(Acted::End(end)),
    };
    let Some(automated) = mark_of(run, &app) else {
        let words = if app.auto_sync.enabled {
            "somebody gave it back already"
        } else {
            "this run did not suspend it"
        };
        remember(run, app);
        return Ok(Acted::Done(words.to_owned()));
    };
    let key = format!("/metadata/annotations/{}", SUSPENDED.replace('/', "~1"));
    let mark = app.annotations.get(SUSPENDED).cloned();
    let mut operations = vec![
        json!({"op": "test", "path": key, "value": mark}),
        json!({"op": "remove", "path": key}),
    ];
    if !app.auto_sync.enabled {
        operations
            .push(json!({"op": "add", "path": "/spec/syncPolicy/automated", "value": automated}));
    }
    let mut done = change(run, &app, &Value::Array(operations.clone())).await;
    if done.is_err() && !app.auto_sync.enabled {
        // An empty `spec.syncPolicy` may have been dropped.
        operations.pop();
        let policy = json!({"automated": automated});
        operations.push(json!({"op": "add", "path": "/spec/syncPolicy", "value": policy}));
        done = change(run, &app, &Value::Array(operations)).await;
    }
    (run.setup.crash)("gave back");
    match done {
        Ok(app) => {
            let name = app.name.clone();
            remember(run, app);
            Ok(Acted::Done(format!("automated sync of {name} is on again")))
        }
        Err(end) => Ok(Acted::End(end)),
    }
}

fn remember(run: &mut Run, app: Application) {
    run.sight.observation.argocd.application = Some(app);
}

/// Changes the Application with the right that is there: Kubernetes' or Argo CD's.
async fn change(run: &Run, app: &Application, operations: &Value) -> Result<Application, End> {
    let rights = &run.sight.observation.rights;
    let through_kubernetes = rights.allowed(Right::PatchApplication) == Allowed::Allowed;
    let stop = |text: String| End::new(RunState::Stopped, 4, text);
    match (&run.setup.clients.cluster, through_kubernetes) {
        (Ok(cluster), true) => {
            let value = cluster
                .patch_application(&app.namespace, &app.name, operations)
                .await
                .map_err(|error| stop(error.to_string()))?;
            Application::from_json(&value).map_err(stop)
        }
        _ => {
            let argocd = api(run)?;
            argocd
                .patch(&key(app), operations)
                .await
                .map_err(|error| stop(error.to_string()))
        }
    }
}

fn api(run: &Run) -> Result<std::sync::Arc<Argocd>, End> {
    run.setup.clients.argocd.clone().map_err(|gap| {
        End::new(
            RunState::Stopped,
            4,
            format!("Argo CD cannot be asked: {gap}"),
        )
    })
}

fn key(app: &Application) -> ApplicationKey {
    app.into()
}

fn application(run: &Run) -> Result<Application, End> {
    let app = run.sight.observation.argocd.application.clone();
    app.ok_or_else(|| End::new(RunState::Stopped, 4, "no Application is known"))
}

/// Asks for a sync of this object alone. An operation of others is waited for.
pub(super) async fn sync(run: &mut Run, deadline: Duration) -> Result<Acted, Error> {
    let (app, argocd) = match (application(run), api(run)) {
        (Ok(app), Ok(argocd)) => (app, argocd),
        (Err(end), _) | (_, Err(end)) => return Ok(Acted::End(end)),
    };
    let object = run.target().object();
    let began = Instant::now();
    let mut pace = Pace::new(Duration::from_millis(200), Duration::from_secs(2));
    loop {
        let asked = argocd
            .sync(&key(&app), None, std::slice::from_ref(&object))
            .await;
        (run.setup.crash)("asked for a sync");
        match asked {
            Ok(()) => return Ok(Acted::Done(format!("a sync of {object} was asked for"))),
            Err(ArgoError::OperationInProgress { .. }) if began.elapsed() < deadline => {}
            Err(error) => return Ok(Acted::End(refused(&error))),
        }
        tokio::select! {
            () = stopped(run.stop()) => return Ok(Acted::End(End::stopped("sync"))),
            () = pace.wait() => {}
        }
    }
}

/// What Argo CD refuses for good ends the run; what may have been done is looked at by
/// `unship continue`.
fn refused(error: &ArgoError) -> End {
    let text = error.to_string();
    match error {
        ArgoError::Denied { .. }
        | ArgoError::ReadOnly { .. }
        | ArgoError::SyncWindow { .. }
        | ArgoError::AutoSync { .. }
        | ArgoError::NoSuchHistory { .. }
        | ArgoError::Deleting { .. } => End::new(RunState::Refused, 3, text),
        _ => End::new(RunState::Stopped, 4, text),
    }
}

/// Has Argo CD sync an earlier entry of its history and waits until it is live.
pub(super) async fn rollback(run: &mut Run, aim: &Aim, deadline: Duration) -> Result<Acted, Error> {
    let (app, argocd) = match (application(run), api(run)) {
        (Ok(app), Ok(argocd)) => (app, argocd),
        (Err(end), _) | (_, Err(end)) => return Ok(Acted::End(end)),
    };
    let id = run.prepared.plan.targets.first().and_then(|t| t.history_id);
    let Some(id) = id else {
        let text = "the plan names no entry of Argo CD's history";
        return Ok(Acted::End(End::new(RunState::Stopped, 4, text)));
    };
    let began = Instant::now();
    let mut pace = Pace::new(Duration::from_millis(100), Duration::from_secs(2));
    let mut asked = false;
    loop {
        let live = run.workload().await;
        if live.is_some_and(|live| aim.desired.is_live(&live)) {
            return Ok(Acted::Done(format!("entry {id} of the history is live")));
        }
        if !asked {
            let answer = argocd.rollback(&key(&app), HistoryId(id)).await;
            (run.setup.crash)("asked for a rollback");
            match answer {
                Ok(()) => asked = true,
                Err(ArgoError::OperationInProgress { .. }) => {}
                Err(error) => return Ok(Acted::End(refused(&error))),
            }
        }
        if began.elapsed() >= deadline {
            let text = format!(
                "entry {id} of the history is not live after {} s",
                deadline.as_secs()
            );
            return Ok(Acted::End(End::new(RunState::Inconclusive, 6, text)));
        }
        tokio::select! {
            () = stopped(run.stop()) => return Ok(Acted::End(End::stopped("rollback"))),
            () = pace.wait() => {}
        }
    }
}

/// Ends an operation that is in the way.
pub(super) async fn terminate(run: &mut Run, deadline: Duration) -> Result<Acted, Error> {
    let argocd = match api(run) {
        Ok(argocd) => argocd,
        Err(end) => return Ok(Acted::End(end)),
    };
    let began = Instant::now();
    let mut pace = Pace::new(Duration::from_millis(200), Duration::from_secs(2));
    let mut asked = false;
    loop {
        let app = match read(run).await {
            Ok(app) => app,
            Err(end) => return Ok(Acted::End(end)),
        };
        if !app.operation_in_progress() {
            return Ok(Acted::Done("no operation is running".to_owned()));
        }
        if !asked {
            let answer = argocd.terminate(&key(&app)).await;
            (run.setup.crash)("asked for the end of the operation");
            match answer {
                Ok(()) | Err(ArgoError::NoOperation { .. }) => asked = true,
                Err(error) => return Ok(Acted::End(refused(&error))),
            }
        }
        if began.elapsed() >= deadline {
            let text = "the operation does not end".to_owned();
            return Ok(Acted::End(End::new(RunState::Stopped, 4, text)));
        }
        tokio::select! {
            () = stopped(run.stop()) => return Ok(Acted::End(End::stopped("terminate"))),
            () = pace.wait() => {}
        }
    }
}
