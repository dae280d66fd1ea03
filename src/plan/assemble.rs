//! The plan as a document: commits, steps, goal, and the ids that are hashes of them.

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::build::EditedFile;
use super::ladder::{ladder, rungs};
use super::live::LIVE;
use super::steps::Course;
use super::{
    API_VERSION, Plan, PlannedCommit, PlannedFile, Request, Route, Target, message, steps,
};
use crate::manifest::{DiffOptions, unified_diff};
use crate::model::{Allowed, GitView, Observation, Removal, Right};

/// What a plan is assembled from besides the look and the request.
pub(super) struct Parts<'p> {
    /// The chosen route.
    pub route: Route,
    /// The files of the commit.
    pub files: &'p [EditedFile],
    /// Where they are, when there is a commit.
    pub git: Option<&'p GitView>,
    /// What should be known before saying yes.
    pub warnings: Vec<String>,
    /// The text that the change starts from: its hash tells whether the effect is the same.
    pub before: String,
    /// What the steps depend on.
    pub course: Course,
    /// The live object before and after.
    pub patch: Option<(String, String)>,
    /// What Git still has to be told.
    pub debts: Vec<String>,
}

pub(super) fn assemble(
    observation: &Observation,
    request: &Request,
    target: Target,
    parts: Parts<'_>,
) -> Plan {
    let route = parts.route;
    // What a patch does to the live object is the same whether Git can be read or not: its
    // part in Git has an identity of its own.
    let in_git = route != Route::Direct;
    let effect = json!({
        "target": request.target, "intent": request.intent,
        "file": in_git.then_some(&target.file),
        "branch": parts.git.filter(|_| in_git).map(|git| &git.branch),
        "before": digest(&parts.before),
        "to": target.to.commit.as_ref().filter(|_| in_git), "image": target.to.image, "replicaSet": target.replica_set,
        "only": request.only, "with": request.with, "fields": target.fields, "route": route.word(),
    });
    let commits = match parts.git {
        Some(git) if !parts.files.is_empty() => vec![PlannedCommit {
            repository: git.repository.clone(),
            branch: git.branch.clone(),
            parent: git.tip.as_str().to_owned(),
            message: message::body(&target, request),
            files: parts.files.iter().map(planned_file).collect(),
        }],
        _ => Vec::new(),
    };
    let agrees = parts.course.patch && !parts.course.suspend;
    let mut plan = Plan {
        api_version: API_VERSION.to_owned(),
        kind: "Plan".to_owned(),
        plan_id: String::new(),
        effect_id: digest(&effect.to_string()).chars().take(12).collect(),
        intent: request.intent.word().to_owned(),
        steps: steps::steps(observation, request, parts.course),
        goal: goal(&target, parts.course),
        writes: writes(observation, parts.course),
        targets: vec![target],
        route: route.word().to_owned(),
        rungs: rungs(&ladder(observation, request, agrees), route),
        commits,
        proof: None,
        undo: Vec::new(),
        automation: Vec::new(),
        holds: Vec::new(),
        code: None,
        patch: parts
            .patch
            .map(|(before, after)| live_diff(&before, &after)),
        debts: parts.debts,
        git_effect_id: None,
        warnings: parts.warnings,
        approvals: request.approval.iter().cloned().collect(),
        request: request.clone(),
        exit_code: 0,
    };
    plan.plan_id = plan_id(&plan);
    plan
}

/// Every write that the steps may send.
fn writes(observation: &Observation, course: Course) -> Vec<String> {
    let target = &observation.target;
    let place = format!("{}/{}", target.namespace, target.name);
    let resource = target.kind.resource();
    let mut found = Vec::new();
    if course.patch {
        found.push(format!("patch {resource}.apps {place}"));
    }
    if course.scale || course.bounce {
        found.push(match scale_right(observation) {
            Right::PatchScale => format!("patch {resource}.apps/scale {place}"),
            _ => format!("patch {resource}.apps {place}"),
        });
    }
    let Some(app) = &observation.argocd.application else {
        return found;
    };
    let argocd = |verb: &str| format!("argocd {verb} {}/{}", app.project, app.name);
    if course.suspend {
        found.push(match observation.rights.allowed(Right::PatchApplication) {
            Allowed::Allowed => {
                format!(
                    "patch applications.argoproj.io {}/{}",
                    app.namespace, app.name
                )
            }
            Allowed::Denied | Allowed::Unknown => argocd("patch"),
        });
    }
    for (wanted, verb) in [
        (course.terminate, "terminate"),
        (course.sync, "sync"),
        (course.argo, "rollback"),
    ] {
        if wanted {
            found.push(argocd(verb));
        }
    }
    found
}

/// The right with which replicas are set: the narrow one where it is there.
pub(super) fn scale_right(observation: &Observation) -> Right {
    match observation.rights.allowed(Right::PatchScale) {
        Allowed::Allowed => Right::PatchScale,
        Allowed::Denied | Allowed::Unknown => Right::PatchWorkload,
    }
}

fn live_diff(before: &str, after: &str) -> String {
    let options = DiffOptions {
        mask_env_values: true,
        ..DiffOptions::default()
    };
    unified_diff(LIVE, before, after, options)
}

/// The hash of a plan's JSON without the id itself and without the exit code of the
/// command that printed it.
pub(super) fn plan_id(plan: &Plan) -> String {
    let bare = Plan {
        plan_id: String::new(),
        exit_code: 0,
        ..plan.clone()
    };
    let canonical = serde_json::to_string(&bare).unwrap_or_default();
    digest(&canonical).chars().take(12).collect()
}

fn planned_file(file: &EditedFile) -> PlannedFile {
    PlannedFile {
        path: file.path.clone(),
        diff: file.diff(),
        before: if file.added {
            String::new()
        } else {
            digest(&file.before)
        },
        after: if file.gone {
            String::new()
        } else {
            digest(&file.after)
        },
    }
}

fn goal(target: &Target, course: Course) -> Vec<String> {
    if let Some(removal) = target.removal {
        let object = match removal {
            Removal::Pruned => "the live object is gone",
            Removal::Left => "no replica of the live object is wanted any more",
        };
        return vec![
            object.to_owned(),
            "the branch does not have the document".to_owned(),
        ];
    }
    let mut goal = vec![format!("the live pod template has {}", target.to.image)];
    if let Some((_, replicas)) = target.replicas {
        goal.push(format!("{replicas} replicas are set"));
    }
    if course.land {
        goal.push("Argo CD's own entry for it is Synced".to_owned());
    }
    if course.rollout {
        goal.push("the rollout is complete and all pods are ready".to_owned());
        goal.push("the Services that selected it have ready endpoints".to_owned());
    }
    goal.push("nothing else in the object changed".to_owned());
    if course.changes_git || course.settle || course.land {
        goal.push("the branch still has this content".to_owned());
    }
    goal
}

/// SHA-256 in hex.
pub(super) fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
