//! The application controller: refresh, compare, status, automatic sync.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::auto_sync::{self, Decision};
use super::compare::{self, Comparison};
use super::operation::{self, Input, Run};
use super::revisions::{Commits, put_sources, sources};
use super::source::{Manifests, render, resolve_all};
use super::windows::Windows;
use super::{GROUP, NAMESPACE, REFRESH, project_of};
use crate::sandbox::error::ApiError;
use crate::sandbox::json::{annotation, child, list, now, set, text, unset};
use crate::sandbox::kinds::{by_kind, by_manifest};
use crate::sandbox::store::{Objects, Part};
use crate::sandbox::world::World;

type Targets = Result<Manifests, String>;

/// What the controller knows of one Application beside the object itself.
#[derive(Debug)]
struct Memory {
    /// Sources and destination that were rendered.
    asked: Value,
    commit: Commits,
    targets: Targets,
    looked_at: Instant,
    /// A look into the repository has happened since the status was last written.
    fresh: bool,
    /// The refresh annotation that this look answers.
    refresh: Option<String>,
    /// The commit of an operation that is not the one compared, rendered.
    pinned: Option<(Commits, Targets)>,
    run: Option<Run>,
    /// What was compared last, and the result.
    compared: Option<(String, Comparison)>,
}

/// The controller's memory, by Application uid.
#[derive(Debug, Default)]
struct Controller(BTreeMap<String, Memory>);

/// Runs the controller until the sandbox stops.
pub(crate) async fn run(world: Arc<World>) {
    let mut changed = world.store.subscribe();
    let mut controller = Controller::default();
    loop {
        changed.mark_unchanged();
        let shared = world.clone();
        let pass = tokio::task::spawn_blocking(move || {
            controller.pass(&shared);
            controller
        });
        controller = match pass.await {
            Ok(controller) => controller,
            Err(error) => {
                tracing::error!(%error, "a pass of the application controller broke off");
                Controller::default()
            }
        };
        tokio::select! {
            () = world.stopped() => return,
            _ = changed.changed() => tokio::time::sleep(Duration::from_millis(15)).await,
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
        }
    }
}

impl Controller {
    fn pass(&mut self, world: &World) {
        let Some(kind) = by_kind(GROUP, "Application") else {
            return;
        };
        let apps = world.store.with(|objects| objects.list(kind, ""));
        let uids: Vec<&str> = apps.iter().map(|a| text(a, "/metadata/uid")).collect();
        self.0.retain(|uid, _| uids.contains(&uid.as_str()));
        for app in &apps {
            if !is_skipped(app) {
                self.look(world, app);
            }
        }
        world.store.with(|objects| {
            let tracked = compare::tracked(objects);
            for app in &apps {
                let name = text(app, "/metadata/name");
                let live = tracked.get(name).map_or(&[][..], Vec::as_slice);
                let Some(memory) = self.0.get_mut(text(app, "/metadata/uid")) else {
                    continue;
                };
                if is_skipped(app) {
                    continue;
                }
                if let Err(error) = step(objects, app, memory, live) {
                    tracing::debug!(
                        name,
                        error = error.message,
                        "an Application was not updated"
                    );
                }
            }
        });
    }

    /// Looks into the repository where that is due; outside of the store's lock.
    fn look(&mut self, world: &World, app: &Value) {
        let uid = text(app, "/metadata/uid").to_owned();
        let own = sources(&app["spec"]);
        let asked = asked_of(app);
        let refresh = annotation(app, REFRESH).map(str::to_owned);
        let known = self.0.get(&uid);
        let hard = refresh.as_deref() == Some("hard");
        let due = refresh.is_some()
            || known
                .is_none_or(|m| m.asked != asked || m.looked_at.elapsed() >= world.poll_interval);
        if due {
            let resolved = resolve_all(world, app);
            let before = self.0.remove(&uid);
            self.0.insert(
                uid.clone(),
                looked(world, app, before, asked, (resolved, hard)),
            );
        }
        let Some(memory) = self.0.get_mut(&uid) else {
            return;
        };
        memory.refresh = refresh;
        let pinned = Commits::of(&app["operation"]["sync"]);
        let asked_for = sources(&app["operation"]["sync"]);
        let others = !asked_for.is_empty() && asked_for != own;
        if pinned.is_empty() || (pinned == memory.commit && !others) {
            memory.pinned = None;
        } else if memory
            .pinned
            .as_ref()
            .is_none_or(|(commit, _)| *commit != pinned)
        {
            let meant = if others { &asked_for } else { &own };
            let targets = render(world, app, meant, &pinned);
            memory.pinned = Some((pinned, targets));
        }
    }
}

/// What of an Application's spec is rendered.
fn asked_of(app: &Value) -> Value {
    json!([sources(&app["spec"]), app["spec"]["destination"]])
}

fn is_skipped(app: &Value) -> bool {
    annotation(app, "argocd.argoproj.io/skip-reconcile") == Some("true")
}

fn looked(
    world: &World,
    app: &Value,
    before: Option<Memory>,
    asked: Value,
    (resolved, hard): (Result<Commits, String>, bool),
) -> Memory {
    let (commit, targets) = match (resolved, &before) {
        (Ok(commit), Some(old))
            if !hard && old.commit == commit && old.asked == asked && old.targets.is_ok() =>
        {
            (commit, old.targets.clone())
        }
        (Ok(commit), _) => {
            let targets = render(world, app, &sources(&app["spec"]), &commit);
            (commit, targets)
        }
        (Err(error), old) => {
            let commit = old.as_ref().map(|m| m.commit.clone()).unwrap_or_default();
            let prefix =
                "Failed to load target state: failed to generate manifest for source 1 of 1";
            (commit, Err(format!("{prefix}: {error}")))
        }
    };
    let (run, compared) = before.map_or((None, None), |m| (m.run, m.compared));
    Memory {
        asked,
        commit,
        targets,
        looked_at: Instant::now(),
        fresh: true,
        refresh: None,
        pinned: None,
        run,
        compared,
    }
}

/// Compares, carries an operation on or starts one, and writes the status.
fn step(
    objects: &mut Objects,
    app: &Value,
    memory: &mut Memory,
    tracked: &[Arc<Value>],
) -> Result<(), ApiError> {
    let kind = by_kind(GROUP, "Application").ok_or_else(ApiError::no_route)?;
    let (namespace, name) = (
        text(app, "/metadata/namespace"),
        text(app, "/metadata/name"),
    );
    let Some(present) = objects.get(kind, namespace, name) else {
        return Ok(());
    };
    if present.pointer("/metadata/deletionTimestamp").is_some() {
        return remove(objects, &present, tracked);
    }
    if asked_of(&present) != memory.asked || present["operation"] != app["operation"] {
        // It was changed, or asked to sync, since it was rendered: what is remembered belongs
        // to something else, and the next pass renders again.
        return Ok(());
    }
    let project =
        by_kind(GROUP, "AppProject").and_then(|k| objects.get(k, NAMESPACE, project_of(&present)));
    let windows = Windows::of(&present, project.as_deref(), Timestamp::now());
    let mut new = (*present).clone();
    let mut conditions = Vec::new();
    if let Some(error) = &windows.broken {
        conditions.push(("InvalidSpecError", error.clone()));
    }
    if project.is_none() {
        let message = format!(
            "Application referencing project {} which does not exist",
            project_of(&present)
        );
        conditions.push(("InvalidSpecError", message));
    } else {
        work(
            objects,
            &mut new,
            memory,
            tracked,
            (&windows, &mut conditions),
        );
    }
    put_conditions(&mut new, conditions);
    if memory.refresh.is_some() && annotation(&new, REFRESH) == memory.refresh.as_deref() {
        unset(&mut new, &["metadata", "annotations", REFRESH]);
        drop_empty_annotations(&mut new);
    }
    if new != *present || memory.fresh {
        set(&mut new, &["status", "reconciledAt"], now());
        memory.fresh = false;
    }
    objects.put(kind, new, Part::Main)?;
    Ok(())
}

/// The end of an Application with a finalizer: what it made goes first.
fn remove(objects: &mut Objects, app: &Value, tracked: &[Arc<Value>]) -> Result<(), ApiError> {
    for object in tracked {
        let Some(kind) = by_manifest(object) else {
            continue;
        };
        let (namespace, name) = (
            text(object, "/metadata/namespace"),
            text(object, "/metadata/name"),
        );
        objects.delete(kind, namespace, name)?;
    }
    let kind = by_kind(GROUP, "Application").ok_or_else(ApiError::no_route)?;
    objects.delete(
        kind,
        text(app, "/metadata/namespace"),
        text(app, "/metadata/name"),
    )?;
    Ok(())
}

fn drop_empty_annotations(app: &mut Value) {
    if app
        .pointer("/metadata/annotations")
        .is_some_and(|a| *a == json!({}))
    {
        unset(app, &["metadata", "annotations"]);
    }
}

type Findings<'a> = (&'a Windows, &'a mut Vec<(&'static str, String)>);

fn work(
    objects: &mut Objects,
    app: &mut Value,
    memory: &mut Memory,
    tracked: &[Arc<Value>],
    (windows, conditions): Findings<'_>,
) {
    describe(app, memory);
    match &memory.targets {
        Err(error) => {
            set(app, &["status", "sync", "status"], json!("Unknown"));
            conditions.push(("ComparisonError", error.clone()));
        }
        Ok(Manifests {
            objects: targets, ..
        }) => {
            let seen = signature(objects, app, &memory.commit, targets, tracked);
            let comparison = match memory.compared.take() {
                Some((key, comparison)) if key == seen => comparison,
                _ => compare::compare(objects, app, targets, tracked),
            };
            show(app, &comparison);
            for (key, times) in &comparison.repeated {
                let message =
                    format!("Resource {key} appeared {times} times among application resources.");
                conditions.push(("RepeatedResourceWarning", message));
            }
            match auto_sync::decide(app, &comparison, &memory.commit, windows) {
                Decision::Start(operation) => app["operation"] = operation,
                Decision::Refused(message) => conditions.push(("SyncError", message)),
                Decision::Nothing => {}
            }
            memory.compared = Some((seen, comparison));
        }
    }
    let (commit, targets) = match &memory.pinned {
        Some((commit, targets)) => (commit, targets),
        None => (&memory.commit, &memory.targets),
    };
    let input = Input {
        commit,
        targets,
        tracked,
        windows,
    };
    operation::advance(objects, app, &mut memory.run, &input);
}

/// Changes whenever a comparison could have another result.
fn signature(
    objects: &Objects,
    app: &Value,
    commit: &Commits,
    targets: &[Value],
    tracked: &[Arc<Value>],
) -> String {
    let version = |o: &Value| text(o, "/metadata/resourceVersion").to_owned();
    let of_target = |t: &Value| {
        let live = by_manifest(t).and_then(|k| {
            objects.get(k, text(t, "/metadata/namespace"), text(t, "/metadata/name"))
        });
        live.map_or("-".to_owned(), |l| version(&l))
    };
    let targets: Vec<String> = targets.iter().map(of_target).collect();
    let tracked: Vec<String> = tracked.iter().map(|o| version(o)).collect();
    format!(
        "{commit} {} {} {}",
        app["spec"],
        targets.join(","),
        tracked.join(",")
    )
}

fn describe(app: &mut Value, memory: &Memory) {
    let mut compared = json!({"destination": app["spec"]["destination"]});
    put_sources(&app["spec"], &mut compared);
    if let Some(ignored) = app.pointer("/spec/ignoreDifferences") {
        compared["ignoreDifferences"] = ignored.clone();
    }
    let several = compared.get("sources").is_some();
    let state = child(app, "status");
    if let Ok(manifests) = &memory.targets {
        unset(state, &["sourceType"]);
        unset(state, &["sourceTypes"]);
        match (several, manifests.types.first()) {
            (true, _) => state["sourceTypes"] = json!(manifests.types),
            (false, Some(one)) => state["sourceType"] = json!(one),
            (false, None) => {}
        }
    }
    state["controllerNamespace"] = json!(NAMESPACE);
    state["resourceHealthSource"] = json!("appTree");
    let sync = child(state, "sync");
    sync["comparedTo"] = compared;
    if !memory.commit.is_empty() {
        memory.commit.put(sync);
    }
}

fn show(app: &mut Value, comparison: &Comparison) {
    let sync = if comparison.synced() {
        "Synced"
    } else {
        "OutOfSync"
    };
    set(app, &["status", "sync", "status"], json!(sync));
    let health = comparison.health();
    if text(app, "/status/health/status") != health {
        set(
            app,
            &["status", "health"],
            json!({"status": health, "lastTransitionTime": now()}),
        );
    }
    let entries: Vec<Value> = comparison
        .resources
        .iter()
        .map(compare::Resource::entry)
        .collect();
    set(app, &["status", "resources"], json!(entries));
    let mut images: Vec<&str> = comparison
        .resources
        .iter()
        .filter_map(|r| r.live.as_deref())
        .flat_map(|l| list(l, "/spec/template/spec/containers"))
        .map(|c| text(c, "/image"))
        .collect();
    images.sort_unstable();
    images.dedup();
    if !images.is_empty() {
        set(app, &["status", "summary"], json!({"images": images}));
    }
}

fn put_conditions(app: &mut Value, found: Vec<(&'static str, String)>) {
    let before = list(app, "/status/conditions").to_vec();
    let entries: Vec<Value> = found
        .into_iter()
        .map(|(name, message)| {
            let same = before
                .iter()
                .find(|c| c["type"] == name && c["message"] == message);
            let since = same.map_or_else(now, |c| c["lastTransitionTime"].clone());
            json!({"type": name, "message": message, "lastTransitionTime": since})
        })
        .collect();
    if entries.is_empty() {
        unset(app, &["status", "conditions"]);
    } else {
        set(app, &["status", "conditions"], json!(entries));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::store::Writer;

    const BY: Writer<'static> = Writer {
        manager: "test",
        apply: false,
    };

    /// A sync that begins between the look into the repository and the pass over the objects:
    /// what was rendered is not what it asks for.
    #[test]
    fn a_sync_asked_for_since_the_look_waits_for_the_next_one() {
        let kind = by_kind(GROUP, "Application").unwrap();
        let projects = by_kind(GROUP, "AppProject").unwrap();
        let mut objects = Objects::default();
        let project = json!({"metadata": {"name": "default", "namespace": NAMESPACE}});
        objects.create(projects, project, BY).unwrap();
        let app = json!({"metadata": {"name": "web", "namespace": NAMESPACE},
            "spec": {"project": "default", "source": {"path": "k8s"}}});
        let seen = objects.create(kind, app, BY).unwrap();
        let mut memory = Memory {
            asked: asked_of(&seen),
            commit: Commits::new(vec!["old".to_owned()], false),
            targets: Ok(Manifests {
                objects: Vec::new(),
                types: vec!["Directory".to_owned()],
            }),
            looked_at: Instant::now(),
            fresh: true,
            refresh: None,
            pinned: None,
            run: None,
            compared: None,
        };
        let mut asked = (*seen).clone();
        asked["operation"] = json!({"sync": {"revision": "new"}});
        objects.update(kind, asked, Part::Main, BY).unwrap();
        let read = |objects: &Objects| objects.get(kind, NAMESPACE, "web").unwrap();

        step(&mut objects, &seen, &mut memory, &[]).unwrap();
        let waits = read(&objects);
        assert_eq!(waits["operation"]["sync"]["revision"], "new");
        assert_eq!(waits.pointer("/status/operationState"), None);

        memory.pinned = Some((
            Commits::of(&json!({"revision": "new"})),
            memory.targets.clone(),
        ));
        step(&mut objects, &waits, &mut memory, &[]).unwrap();
        let state = &read(&objects)["status"]["operationState"];
        assert_eq!(state["operation"]["sync"]["revision"], "new");
    }
}
