//! The ApplicationSet controller, for Git generators with files (3.2,
//! `applicationset/controllers`): makes, updates and deletes the Applications of each set. What the
//! generators make of their files is unship's own reading; scenarios on a real Argo CD tell whether
//! it is right.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::source::{read, resolve};
use super::{GROUP, REFRESH};
use crate::model::{ApplicationSet, Generator};
use crate::provenance::generated;
use crate::sandbox::error::ApiError;
use crate::sandbox::json::{annotation, list, set, text, unset};
use crate::sandbox::kinds::{Kind, by_kind};
use crate::sandbox::store::{Objects, Part, Writer};
use crate::sandbox::world::World;

const AGAIN: &str = "argocd.argoproj.io/application-set-refresh";
const WRITER: Writer<'static> = Writer {
    manager: "argocd-applicationset-controller",
    apply: false,
};

/// What was generated of one set.
struct Memory {
    spec: Value,
    made: Result<Vec<Value>, String>,
    looked_at: Instant,
}

/// Runs the controller until the sandbox stops.
pub(crate) async fn run(world: Arc<World>) {
    let mut changed = world.store.subscribe();
    let mut known: BTreeMap<String, Memory> = BTreeMap::new();
    loop {
        changed.mark_unchanged();
        let shared = world.clone();
        let pass = tokio::task::spawn_blocking(move || {
            pass(&shared, &mut known);
            known
        });
        known = pass.await.unwrap_or_default();
        tokio::select! {
            () = world.stopped() => return,
            _ = changed.changed() => tokio::time::sleep(Duration::from_millis(15)).await,
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
        }
    }
}

fn pass(world: &World, known: &mut BTreeMap<String, Memory>) {
    let (Some(sets), Some(apps)) = (
        by_kind(GROUP, "ApplicationSet"),
        by_kind(GROUP, "Application"),
    ) else {
        return;
    };
    for own in world.store.with(|objects| objects.list(sets, "")) {
        let uid = text(&own, "/metadata/uid").to_owned();
        let asked = annotation(&own, AGAIN).is_some();
        let due = asked
            || known.get(&uid).is_none_or(|memory| {
                memory.spec != own["spec"] || memory.looked_at.elapsed() >= requeue(&own)
            });
        if due {
            let memory = Memory {
                spec: own["spec"].clone(),
                made: generate(world, &own),
                looked_at: Instant::now(),
            };
            known.insert(uid.clone(), memory);
        }
        let Some(Memory { made: Ok(made), .. }) = known.get(&uid) else {
            // Nothing is changed while the parameters are not known.
            continue;
        };
        world.store.with(|objects| {
            if asked {
                let mut answered = (*own).clone();
                unset(&mut answered, &["metadata", "annotations", AGAIN]);
                let _ = objects.put(sets, answered, Part::Main);
            }
            if let Err(error) = carry_out(objects, apps, &own, made) {
                tracing::debug!(
                    error = error.message,
                    "an ApplicationSet was not carried out"
                );
            }
        });
    }
}

/// The shortest `requeueAfterSeconds` of its generators; 3 minutes where none says any.
fn requeue(own: &Value) -> Duration {
    let generators = list(own, "/spec/generators").iter();
    let seconds = generators.filter_map(|one| one["git"]["requeueAfterSeconds"].as_u64());
    Duration::from_secs(seconds.min().unwrap_or(180))
}

fn generate(world: &World, own: &Value) -> Result<Vec<Value>, String> {
    let mut all = Vec::new();
    for (index, generator) in list(own, "/spec/generators").iter().enumerate() {
        let git = &generator["git"];
        if !git.is_object() {
            // Of the others only an empty list is played.
            continue;
        }
        let source = json!({"repoURL": git["repoURL"], "targetRevision": git["revision"]});
        let commit = resolve(world, &source, text(&source, "/targetRevision"))?;
        let mut files = BTreeMap::new();
        read(world, (&source, &commit), "", &mut files)?;
        let set = ApplicationSet {
            name: text(own, "/metadata/name").to_owned(),
            spec: own["spec"].clone(),
            generator: Some(Generator {
                index,
                root: String::new(),
            }),
        };
        all.extend(generated(&files, &set).map_err(|blocker| blocker.message)?);
    }
    Ok(all)
}

/// Creates, updates and deletes Applications, as far as `applicationsSync` lets it.
fn carry_out(
    objects: &mut Objects,
    apps: &'static Kind,
    own: &Value,
    made: &[Value],
) -> Result<(), ApiError> {
    let namespace = text(own, "/metadata/namespace").to_owned();
    let policy = text(own, "/spec/syncPolicy/applicationsSync");
    let updates = !matches!(policy, "create-only" | "create-delete");
    let deletes = !matches!(policy, "create-only" | "create-update");
    for app in made {
        let name = text(app, "/metadata/name").to_owned();
        let wanted = owned_by(own, app, &namespace);
        match objects.get(apps, &namespace, &name) {
            None => {
                let mut fresh = wanted;
                crate::sandbox::api::prepare(objects, apps, &mut fresh, &namespace)?;
                objects.create(apps, fresh, WRITER)?;
            }
            Some(live) if updates => {
                objects.update(apps, updated(&live, &wanted), Part::Main, WRITER)?;
            }
            Some(_) => {}
        }
    }
    if deletes {
        for live in objects.owned(apps, &namespace, text(own, "/metadata/uid")) {
            let name = text(&live, "/metadata/name");
            if !made.iter().any(|app| text(app, "/metadata/name") == name) {
                objects.delete(apps, &namespace, name)?;
            }
        }
    }
    Ok(())
}

fn owned_by(own: &Value, app: &Value, namespace: &str) -> Value {
    let mut wanted = json!({"metadata": app["metadata"], "spec": app["spec"]});
    set(&mut wanted, &["metadata", "namespace"], json!(namespace));
    let owner = json!([{"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet",
        "name": own["metadata"]["name"], "uid": own["metadata"]["uid"],
        "controller": true, "blockOwnerDeletion": true}]);
    set(&mut wanted, &["metadata", "ownerReferences"], owner);
    wanted
}

/// Spec, labels and annotations are the generated ones; the refresh annotation stays.
fn updated(live: &Value, wanted: &Value) -> Value {
    let mut new = live.clone();
    new["spec"] = wanted["spec"].clone();
    for field in ["labels", "annotations", "ownerReferences"] {
        match wanted["metadata"].get(field) {
            Some(value) => set(&mut new, &["metadata", field], value.clone()),
            None => unset(&mut new, &["metadata", field]),
        }
    }
    if let Some(refresh) = annotation(live, REFRESH) {
        set(
            &mut new,
            &["metadata", "annotations", REFRESH],
            json!(refresh),
        );
    }
    new
}
