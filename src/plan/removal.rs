//! A canary's document taken out of Git.
//!
//! What becomes of the live object is Argo CD's: automated sync with `prune` deletes what
//! Git does not name any more. Where that is not certain the replicas are set to 0 first,
//! by a plan of their own, so that nothing is left running that Git does not know.

use super::assemble::{Parts, assemble};
use super::build::{self, EditedFile, Prepared};
use super::document::Document;
use super::git_route::{describe, editable, landing_of, source, warnings};
use super::steps::Course;
use super::{Blocker, Goal, Refusal, Request, Route};
use crate::model::{Desired, GitView, Observation, PodTemplate, Removal};
use crate::timeline::Timeline;

/// Options of Argo CD (3.2) under which an object that Git does not name stays, waits for
/// a person, or leaves its pods behind.
const KEEPING: [(&str, &str); 3] = [
    ("Prune=false", "keeps Argo CD from pruning it"),
    ("Prune=confirm", "has Argo CD ask a person before it prunes"),
    (
        "PrunePropagationPolicy=orphan",
        "has Argo CD leave its pods when it prunes",
    ),
];

/// Plans the removal, or the scale-down that must come before it.
pub(super) fn prepare(
    observation: &Observation,
    timeline: &Timeline,
    request: &Request,
) -> Result<Prepared, Refusal> {
    if !matches!(request.route, Route::Auto | Route::Git) {
        return Err(Refusal::one(Blocker::new(
            "not-through-git",
            format!(
                "--delete removes a manifest from Git; route {} has none",
                request.route.word()
            ),
            "leave --route out, or --delete",
        )));
    }
    if let Some(rendered) = observation
        .git
        .as_ref()
        .and_then(|git| git.rendered.as_ref())
    {
        return Err(Refusal::one(Blocker::new(
            "rendered",
            format!(
                "{} renders it from {}: which of these files go with it is not known",
                rendered.tool, rendered.sourcing.folder
            ),
            "abort without --delete, and remove its files by hand",
        )));
    }
    let Some(workload) = &observation.cluster.workload else {
        return Err(Refusal::one(Blocker::new(
            "live-unknown",
            "the live object could not be read, so it could not be seen to go",
            "run `unship access` to see what this identity may read",
        )));
    };
    let (removal, why) = outlook(observation);
    if removal == Removal::Left && workload.replicas != 0 {
        let kept = Request {
            intent: request.intent.with_manifest_kept(),
            ..request.clone()
        };
        let mut prepared = build::prepare(observation, timeline, &kept)?;
        prepared.plan.warn(format!(
            "{why}: the replicas are set to 0 first; the same command with --delete once more then removes the manifest, and the object stays, OutOfSync, without pods"
        ));
        return Ok(prepared);
    }
    remove(observation, timeline, request, (removal, why))
}

/// What becomes of the object once Git does not name it, and why.
fn outlook(observation: &Observation) -> (Removal, String) {
    let left = |why: String| (Removal::Left, why);
    let Some(app) = &observation.argocd.application else {
        return left(match &observation.argocd.application_name {
            Some(name) => format!(
                "Application {name} cannot be read: whether Argo CD prunes the object is unknown"
            ),
            None => "no Argo CD Application is known to manage it: nothing removes the object"
                .to_owned(),
        });
    };
    let name = &app.name;
    if !app.auto_sync.enabled {
        return left(format!(
            "auto-sync of Application {name} is off: nothing prunes the object by itself"
        ));
    }
    if !app.auto_sync.prune {
        return left(format!(
            "auto-sync of Application {name} does not prune (spec.syncPolicy.automated.prune)"
        ));
    }
    let annotation = |key: &str| {
        let workload = observation.cluster.workload.as_ref();
        let value = workload.and_then(|w| w.annotations.get(key));
        value.map_or("", String::as_str)
    };
    let own = annotation("argocd.argoproj.io/sync-options");
    for (option, what) in KEEPING {
        if own.split(',').any(|one| one.trim() == option) {
            return left(format!("the object's annotation {option} {what}"));
        }
        if app.sync_options.iter().any(|one| one == option) {
            return left(format!("{option} of Application {name} {what}"));
        }
    }
    // An extra object that is not counted does not make the Application OutOfSync, so
    // that no automated sync is started for it alone.
    let ignored = annotation("argocd.argoproj.io/compare-options");
    if ignored
        .split(',')
        .any(|one| one.trim() == "IgnoreExtraneous")
    {
        return left("the object's annotation IgnoreExtraneous hides it from auto-sync".to_owned());
    }
    let object = observation.target.object();
    let others = app.resources.iter().filter(|r| {
        (r.kind.as_str(), r.name.as_str(), r.namespace.as_str())
            != (
                object.kind.as_str(),
                object.name.as_str(),
                object.namespace.as_str(),
            )
    });
    let allows_empty = app
        .automated
        .as_ref()
        .and_then(|automated| automated.get("allowEmpty"))
        .and_then(serde_json::Value::as_bool);
    if !app.resources.is_empty() && others.count() == 0 && allows_empty != Some(true) {
        return left(format!(
            "it is the only object of Application {name}, and auto-sync without allowEmpty does not prune the last one"
        ));
    }
    (
        Removal::Pruned,
        format!("auto-sync of Application {name} prunes the object"),
    )
}

fn remove(
    observation: &Observation,
    timeline: &Timeline,
    request: &Request,
    (removal, why): (Removal, String),
) -> Result<Prepared, Refusal> {
    let git = source(observation)?;
    let document = editable(observation, git, request)?;
    let file = cut(git, &document).map_err(Refusal::one)?;
    let mut refusal = Refusal::default();
    if file.gone {
        refusal.blockers.extend(file_is_needed(git, request));
    }
    let mut warnings = warnings(observation, None, timeline);
    warnings.push(match removal {
        Removal::Pruned => format!("{why}, and Kubernetes its pods with it"),
        Removal::Left => {
            format!("{why}; it stays with 0 replicas, OutOfSync where Argo CD shows it")
        }
    });
    warnings.extend(stays(observation));
    let mut course = Course {
        changes_git: true,
        ..Course::default()
    };
    if removal == Removal::Pruned {
        let landing = landing_of(observation, request, true, (&mut refusal, &mut warnings));
        // A Deployment that is paused is deleted all the same.
        refusal.blockers.retain(|blocker| blocker.id != "paused");
        course.terminate = landing.terminate;
        course.land = true;
        course.gone = true;
    }
    if !refusal.is_empty() {
        return Err(refusal);
    }
    let mut target = describe(observation, (&document, &document), None, request);
    target.removal = Some(removal);
    target.fields = vec![match file.gone {
        true => format!("{} is removed", git.file),
        false => format!("the document is removed from {}", git.file),
    }];
    let files = vec![file];
    let template = document.template().unwrap_or_else(PodTemplate::absent);
    let plan = assemble(
        observation,
        request,
        target,
        Parts {
            route: Route::Git,
            files: &files,
            git: Some(git),
            warnings,
            before: document.source("spec").unwrap_or_default(),
            course,
            patch: None,
            debts: Vec::new(),
        },
    );
    Ok(Prepared {
        plan,
        files,
        also: Vec::new(),
        desired: Desired::removed(template, removal),
        patch: None,
        git: None,
    })
}

/// The file without the document.
fn cut(git: &GitView, document: &Document) -> Result<EditedFile, Blocker> {
    let after = document
        .manifest
        .without(&document.address)
        .map_err(|error| {
            Blocker::new(
                "edit-refused",
                format!("the document cannot be cut out of {}: {error}", git.file),
                format!("remove it from {} by hand", git.file),
            )
        })?;
    Ok(EditedFile {
        path: git.file.clone(),
        before: git.text.to_string(),
        gone: after.is_none(),
        added: false,
        after: after.unwrap_or_default(),
    })
}

/// What still needs a file of which nothing is left.
fn file_is_needed(git: &GitView, request: &Request) -> Vec<Blocker> {
    let mut found: Vec<Blocker> = git
        .named_in
        .iter()
        .map(|place| {
            Blocker::new(
                "file-named",
                format!(
                    "{place} names {}, of which nothing would be left: that kustomization could not be built any more",
                    git.file
                ),
                format!("take that entry and {} out in one commit by hand", git.file),
            )
        })
        .collect();
    if request.goal == Goal::Edited {
        found.push(Blocker::new(
            "file-goes",
            format!("nothing of {} would be left in the work tree", git.file),
            format!("`git rm {}` does that; or leave --no-commit out", git.file),
        ));
    }
    found
}

/// Objects that name the workload and stay.
fn stays(observation: &Observation) -> Vec<String> {
    let hpas = observation.cluster.hpas.iter().flatten();
    hpas.map(|hpa| {
        format!(
            "HorizontalPodAutoscaler {} stays in Git and finds nothing to scale any more",
            hpa.name
        )
    })
    .collect()
}
