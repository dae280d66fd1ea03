//! Through Argo CD's own rollback: an earlier entry of its history is synced again.
//! Git stays as it is, so the next sync of the branch takes it back.

use super::assemble::{Parts, assemble};
use super::build::Prepared;
use super::document::Document;
use super::git_route::{content_blockers, describe, source, warnings};
use super::ladder::{Standing, ladder};
use super::live::live_document;
use super::steps::Course;
use super::target::{Choice, choose};
use super::{Blocker, Goal, Refusal, Request, Route};
use crate::model::{Desired, Observation, Workload};
use crate::timeline::Timeline;

/// Plans the rollback.
pub(super) fn prepare(
    observation: &Observation,
    timeline: &Timeline,
    request: &Request,
) -> Result<Prepared, Refusal> {
    let workload = open(observation, request)?;
    let choice = choose(timeline, observation, request)?;
    let Some(id) = choice.entry.history_id else {
        return Err(Refusal::one(Blocker::new(
            "not-in-history",
            format!(
                "Argo CD's history has no entry of {} that Git's history explains",
                choice.entry.release()
            ),
            "choose another with --to, or use another route",
        )));
    };
    let before = live_document(workload).map_err(Refusal::one)?;
    let after = deployed(observation, &choice)?;
    let (Some(old), Some(new)) = (before.template(), after.template()) else {
        return Err(Refusal::one(Blocker::new(
            "no-template",
            "there is no spec.template to go from or to",
            "use another route",
        )));
    };
    let refusal = Refusal {
        blockers: content_blockers(observation, (&old, &new), Some(&choice)),
        unknown: Vec::new(),
    };
    if !refusal.is_empty() {
        return Err(refusal);
    }
    let mut target = describe(observation, (&before, &after), Some(&choice), request);
    target.history_id = Some(id.0);
    target.replicas = None;
    let others = observation
        .argocd
        .application
        .as_ref()
        .map_or(0, |app| app.resources.len().saturating_sub(1));
    let mut said = warnings(observation, Some(&choice), timeline);
    said.push(format!("Argo CD syncs the whole Application to that entry: {others} other objects are set to what it had then"));
    let debt = "Git still has the bad release: the next sync of the branch brings it back; `unship adopt` makes Git agree".to_owned();
    let plan = assemble(
        observation,
        request,
        target,
        Parts {
            route: Route::Argo,
            files: &[],
            git: None,
            warnings: said,
            before: before.text().to_owned(),
            course: Course {
                argo: true,
                rollout: true,
                ..Course::default()
            },
            patch: None,
            debts: vec![debt],
        },
    );
    Ok(Prepared {
        plan,
        files: Vec::new(),
        also: Vec::new(),
        desired: Desired::of_template(new, old),
        patch: None,
        git: None,
    })
}

/// What the chosen entry deployed, as Git has it.
fn deployed(observation: &Observation, choice: &Choice<'_>) -> Result<Document, Refusal> {
    let git = source(observation)?;
    let state = choice.entry.state.and_then(|index| git.states.get(index));
    let Some(state) = state else {
        return Err(Refusal::one(Blocker::new(
            "not-in-history",
            "Git does not know what that entry deployed",
            "use another route",
        )));
    };
    Document::of(&state.text, &state.path, &observation.target).map_err(Refusal::one)
}

/// The live object, where Argo CD's own rollback is open.
fn open<'o>(observation: &'o Observation, request: &Request) -> Result<&'o Workload, Refusal> {
    let mut refusal = Refusal::default();
    for step in ladder(observation, request, false) {
        if step.route == Route::Argo && step.standing != Standing::Possible {
            refusal.blockers.extend(step.blockers);
        }
    }
    if request.goal < Goal::Landed {
        refusal.blockers.push(Blocker::new(
            "not-argo",
            "--no-commit, --no-push and --wait=false are about Git",
            "leave them out, or use --route git",
        ));
    }
    let workload = observation.cluster.workload.as_ref();
    workload.filter(|_| refusal.is_empty()).ok_or(refusal)
}
