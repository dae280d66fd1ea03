//! The plan as a document: commits, steps, goal, and the ids that are hashes of them.

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::build::EditedFile;
use super::document::{Document, TEMPLATE};
use super::{
    API_VERSION, Action, Goal, Plan, PlannedCommit, PlannedFile, Request, Rung, Step, Target,
    message,
};
use crate::manifest::{DiffOptions, unified_diff};
use crate::model::{GitView, Observation};

/// The worst time until Argo CD sees a pushed commit by itself: 120 s between
/// reconciliations, up to 60 s of jitter, and 180 s for which the repo-server may
/// keep a branch's tip (Argo CD 3.0 and later).
const WORST_POLL_SECONDS: i64 = 360;

/// Seconds given to a rollout beyond its own progress deadline.
const ROLLOUT_GRACE_SECONDS: i64 = 60;

pub(super) fn assemble(
    observation: &Observation,
    git: &GitView,
    request: &Request,
    target: Target,
    (files, warnings, document): (&[EditedFile], Vec<String>, &Document),
) -> Plan {
    let before = document.source(TEMPLATE).unwrap_or_default();
    let effect = json!({
        "target": request.target, "file": git.file, "branch": git.branch,
        "before": digest(&before), "to": target.to.commit, "image": target.to.image,
        "only": request.only, "with": request.with, "fields": target.fields, "route": "git",
    });
    let commits = if files.is_empty() {
        Vec::new()
    } else {
        vec![PlannedCommit {
            repository: git.repository.clone(),
            branch: git.branch.clone(),
            parent: git.tip.as_str().to_owned(),
            message: message::body(&target, request),
            files: files.iter().map(planned_file).collect(),
        }]
    };
    let mut plan = Plan {
        api_version: API_VERSION.to_owned(),
        kind: "Plan".to_owned(),
        plan_id: String::new(),
        effect_id: digest(&effect.to_string()).chars().take(12).collect(),
        steps: steps(observation, request, !files.is_empty()),
        goal: goal(&target),
        targets: vec![target],
        route: "git".to_owned(),
        rungs: rungs(),
        commits,
        warnings,
        approvals: request.approval.iter().cloned().collect(),
        request: request.clone(),
        exit_code: 0,
    };
    plan.plan_id = plan_id(&plan);
    plan
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
        diff: unified_diff(
            &file.path,
            &file.before,
            &file.after,
            DiffOptions {
                mask_env_values: true,
                ..DiffOptions::default()
            },
        ),
        before: digest(&file.before),
        after: digest(&file.after),
    }
}

fn rungs() -> Vec<Rung> {
    vec![
        Rung {
            route: "git".to_owned(),
            verdict: "chosen".to_owned(),
            reason: "a commit on the branch that Argo CD follows".to_owned(),
        },
        Rung {
            route: "request".to_owned(),
            verdict: "possible".to_owned(),
            reason: "where the push is refused: the commit on a branch of its own and a complete request to a human".to_owned(),
        },
    ]
}

fn goal(target: &Target) -> Vec<String> {
    vec![
        format!("the live pod template has {}", target.to.image),
        "Argo CD's own entry for it is Synced".to_owned(),
        "the rollout is complete and all pods are ready".to_owned(),
        "the Services that selected it have ready endpoints".to_owned(),
        "nothing else in the object changed".to_owned(),
        "the branch still has this content".to_owned(),
    ]
}

fn steps(observation: &Observation, request: &Request, changes_git: bool) -> Vec<Step> {
    let progress = observation
        .cluster
        .workload
        .as_ref()
        .map_or(600, |w| w.progress_deadline_seconds);
    let limit = |own: i64| request.timeout_seconds.unwrap_or(own);
    let step = |action: Action, requires: &str, ensures: &str, deadline: i64| Step {
        id: action.id().to_owned(),
        action,
        requires: requires.to_owned(),
        ensures: ensures.to_owned(),
        deadline_seconds: deadline,
    };
    let mut steps = Vec::new();
    if changes_git {
        if request.goal == Goal::Edited {
            return vec![step(
                Action::Edit,
                "the file in the work tree is as it is at the tip",
                "the file has the target content",
                10,
            )];
        }
        if request.goal >= Goal::Pushed {
            steps.push(step(
                Action::Capture,
                "",
                "logs, events and objects are saved",
                5,
            ));
        }
        steps.push(step(
            Action::Commit,
            "the document at the tip is as planned",
            "a commit with the target content exists",
            10,
        ));
        if request.goal >= Goal::Pushed {
            steps.push(step(
                Action::Push,
                "the tip is the commit's parent",
                "the branch contains this run's commit",
                limit(120),
            ));
        }
    }
    if request.goal >= Goal::Landed {
        steps.push(step(
            Action::Land,
            "the branch has the target content",
            "the live template has the target content",
            limit(WORST_POLL_SECONDS),
        ));
    }
    if request.goal >= Goal::Verified {
        steps.push(step(
            Action::Rollout,
            "the live template has the target content",
            "the rollout is complete",
            limit(progress + ROLLOUT_GRACE_SECONDS),
        ));
        steps.push(step(
            Action::Verify,
            "the rollout is complete",
            "every check of the goal holds",
            30,
        ));
    }
    steps
}

/// SHA-256 in hex.
fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
