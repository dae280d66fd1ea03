//! The source hydrator (3.2, `controller/hydrator`, with the commit-server): renders the dry source and
//! commits what comes out to the branch that is synced. It looks on its own, as often as an
//! Application is refreshed; no refresh by `get` makes it look.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::GROUP;
use super::revisions::Commits;
use super::source::{render_plain, repository_name, resolve};
use crate::sandbox::json::{now, set, text};
use crate::sandbox::kinds::by_kind;
use crate::sandbox::repository::{self, Author, Commit};
use crate::sandbox::store::Part;
use crate::sandbox::world::World;

const AUTHOR: Author<'static> = Author {
    name: "Argo CD",
    email: "argo-cd@example.com",
};

/// When each Application was looked at, and the dry commit that was hydrated.
type Known = BTreeMap<String, (Instant, String)>;

/// Runs the hydrator until the sandbox stops.
pub(crate) async fn run(world: Arc<World>) {
    let mut known = Known::new();
    loop {
        let shared = world.clone();
        let pass = tokio::task::spawn_blocking(move || {
            pass(&shared, &mut known);
            known
        });
        known = pass.await.unwrap_or_default();
        tokio::select! {
            () = world.stopped() => return,
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
        }
    }
}

fn pass(world: &World, known: &mut Known) {
    let Some(kind) = by_kind(GROUP, "Application") else {
        return;
    };
    for app in world.store.with(|objects| objects.list(kind, "")) {
        if !app["spec"]["sourceHydrator"].is_object() {
            continue;
        }
        let uid = text(&app, "/metadata/uid").to_owned();
        let last = known.get(&uid).cloned();
        if last
            .as_ref()
            .is_some_and(|(at, _)| at.elapsed() < world.poll_interval)
        {
            continue;
        }
        let dry = &app["spec"]["sourceHydrator"]["drySource"];
        let began = now();
        let resolved = resolve(world, dry, text(dry, "/targetRevision"));
        let before = last.map(|(_, commit)| commit).unwrap_or_default();
        if resolved.as_ref() == Ok(&before) {
            known.insert(uid, (Instant::now(), before));
            continue;
        }
        let outcome = resolved.and_then(|commit| {
            let made = hydrate(world, &app, &commit)?;
            Ok((commit, made))
        });
        known.insert(
            uid,
            (
                Instant::now(),
                outcome.as_ref().map_or(before, |(dry, _)| dry.clone()),
            ),
        );
        world.store.with(|objects| {
            let place = (
                text(&app, "/metadata/namespace"),
                text(&app, "/metadata/name"),
            );
            let Some(present) = objects.get(kind, place.0, place.1) else {
                return;
            };
            let mut new = (*present).clone();
            report(&mut new, (&outcome, &began));
            let _ = objects.put(kind, new, Part::Main);
        });
    }
}

/// Renders a dry commit and commits the result; gives that commit.
fn hydrate(world: &World, app: &Value, commit: &str) -> Result<String, String> {
    let own = &app["spec"]["sourceHydrator"];
    let (dry, synced) = (&own["drySource"], &own["syncSource"]);
    let commits = Commits::new(vec![commit.to_owned()], false);
    let objects = render_plain(world, app, dry, &commits)?;
    // JSON is YAML: what stands in the file is not what the scenarios are about.
    let texts: Vec<String> = objects.iter().map(|one| format!("{one:#}\n")).collect();
    let at = |name: &str| format!("{}/{name}", text(synced, "/path").trim_matches('/'));
    let (manifest, metadata) = (at("manifest.yaml"), at("hydrator.metadata"));
    let name = repository_name(world, text(dry, "/repoURL"))?;
    let made = Commit {
        author: AUTHOR,
        message: &format!("[Argo CD Bot] hydrate {commit}"),
        time: jiff::Timestamp::now().as_second(),
        files: vec![
            (manifest.as_str(), Some(texts.join("---\n"))),
            (
                metadata.as_str(),
                Some(json!({"drySha": commit}).to_string()),
            ),
        ],
    };
    let branch = text(synced, "/targetBranch");
    repository::commit(&world.git_root, &name, branch, &made).map_err(|error| error.to_string())
}

/// Writes `status.sourceHydrator`.
fn report(app: &mut Value, (outcome, began): (&Result<(String, String), String>, &Value)) {
    let mut current = json!({"startedAt": began, "finishedAt": now(),
        "sourceHydrator": app["spec"]["sourceHydrator"]});
    match outcome {
        Ok((dry, made)) => {
            current["phase"] = json!("Hydrated");
            current["drySHA"] = json!(dry);
            current["hydratedSHA"] = json!(made);
            let last = json!({"drySHA": dry, "hydratedSHA": made,
                "sourceHydrator": app["spec"]["sourceHydrator"]});
            set(
                app,
                &["status", "sourceHydrator", "lastSuccessfulOperation"],
                last,
            );
        }
        Err(message) => {
            current["phase"] = json!("Failed");
            current["message"] = json!(message);
        }
    }
    set(
        app,
        &["status", "sourceHydrator", "currentOperation"],
        current,
    );
}
