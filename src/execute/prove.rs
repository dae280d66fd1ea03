//! The step `prove`: Argo CD renders the commit from a side branch before the branch moves. And
//! the proof that needs no step: the programs that Argo CD renders with, where they are here.

use std::time::Instant;

use super::Error;
use super::push::side_branch;
use super::run::{End, Run};
use crate::argocd::Argocd;
use crate::git::{GitError, PushOutcome};
use crate::model::{Application, Blocker, CommitId, Lands, Verdict};
use crate::observe::{Clients, Sight, Unrendered, render_both};
use crate::plan::{Action, Decision, Plan, Prepared, Refusal};
use crate::report::RunState;
use crate::verify::{Renderings, proof};

/// Proves the commit; the end of the run where that is not possible. The side branch is removed
/// again in any case.
pub(super) async fn prove(run: &mut Run, commit: &CommitId) -> Result<Option<End>, Error> {
    if !run.prepared.plan.has(Action::Prove) {
        return Ok(None);
    }
    run.begin("prove", "Argo CD renders the commit as planned", 60)?;
    let began = Instant::now();
    let outcome = rendered(run, commit).await?;
    match outcome {
        Ok(evidence) => {
            run.close("prove", began, "done", &evidence)?;
            Ok(None)
        }
        Err(reason) => {
            run.close("prove", began, "failed", &reason)?;
            run.report.next.push(
                "look at the plan again; without --prove the branch is moved on its own proof"
                    .to_owned(),
            );
            let reason = format!("not proved, and nothing was pushed to the branch: {reason}");
            Ok(Some(End::new(RunState::Refused, 3, reason)))
        }
    }
}

async fn rendered(run: &Run, commit: &CommitId) -> Result<Result<String, String>, Error> {
    let (Some(path), Some(git)) = (run.repository().cloned(), &run.sight.observation.git) else {
        return Err(GitError::Interrupted.into());
    };
    let branch = side_branch(run);
    match path.push(&git.remote, commit, &branch).await? {
        PushOutcome::Pushed { .. } | PushOutcome::UpToDate => {}
        other => return Ok(Err(format!("{branch} could not be pushed: {other:?}"))),
    }
    (run.setup.crash)("pushed aside");
    let judged = judge(run, (git.tip.as_str(), commit.as_str())).await;
    let removed = path.remove_branch(&git.remote, &branch, commit).await?;
    (run.setup.crash)("removed aside");
    Ok(match (judged, removed) {
        (Ok(evidence), false) => Ok(format!("{evidence}; {branch} could not be removed")),
        (judged, _) => judged,
    })
}

async fn judge(run: &Run, (tip, commit): (&str, &str)) -> Result<String, String> {
    let observation = &run.sight.observation;
    let Ok(argocd) = &run.setup.clients.argocd else {
        return Err("Argo CD's API cannot be asked".to_owned());
    };
    let Some(application) = &observation.argocd.application else {
        return Err("the Application cannot be read".to_owned());
    };
    // The plan refuses where the commit goes into what makes the Application.
    let Lands::Source(source) = run.lands() else {
        return Err("the commit is not of the Application's own sources".to_owned());
    };
    let (before, after) = tokio::join!(
        manifests(argocd, (application, source), tip),
        manifests(argocd, (application, source), commit),
    );
    let renderings = Renderings {
        by: "Argo CD",
        decides: true,
        before: &before?,
        after: &after?,
    };
    let git = run.git_part();
    let plan = &run.prepared.plan;
    let target = observation.target.object();
    proof(renderings, (&target, &git.desired), &others(git, plan))
}

/// The objects besides the target that a plan changes, as KIND/NAME.
fn others(prepared: &Prepared, plan: &Plan) -> Vec<String> {
    let undone = plan.undo.iter().flat_map(|undo| &undo.undone);
    let named = |(kind, name): &(String, String)| format!("{kind}/{name}");
    let along = prepared.desired.along.iter();
    undone
        .map(|field| field.object.clone())
        .chain(plan.request.with.iter().map(named))
        .chain(along.map(|object| format!("{}/{}", object.kind, object.name)))
        .chain(prepared.also.iter().cloned())
        .collect()
}

/// Has the program that Argo CD renders with render the plan's files, where the target is rendered
/// and the program is on the `PATH`. A plan that it contradicts is refused; where it says nothing
/// the plan says so.
pub async fn proved(clients: &Clients, sight: &Sight, decision: Decision) -> Decision {
    let Decision::Plan(mut prepared) = decision else {
        return decision;
    };
    let Some(repository) = sight
        .repository
        .as_ref()
        .filter(|_| !prepared.files.is_empty())
    else {
        return Decision::Plan(prepared);
    };
    let changed = prepared.files.iter().map(|file| {
        let text = (!file.gone).then(|| file.after.clone());
        (file.path.clone(), text)
    });
    let seen = (&sight.observation, repository);
    let Some(both) = render_both(clients, seen, changed.collect()).await else {
        return Decision::Plan(prepared);
    };
    let judged = both.and_then(|both| {
        let renderings = Renderings {
            by: &both.by,
            decides: false,
            before: &both.before,
            after: &both.after,
        };
        let target = sight.observation.target.object();
        let mut others = others(&prepared, &prepared.plan);
        others.extend(both.unstable.iter().cloned());
        let judged = proof(renderings, (&target, &prepared.desired), &others);
        judged.map_err(|why| Unrendered::Refused(format!("{}: {why}", both.by)))
    });
    match judged {
        Ok(evidence) => prepared.plan.note_proof(Verdict::Holds, evidence),
        Err(Unrendered::Unknown(why)) => prepared.plan.note_proof(Verdict::Unknown, why),
        Err(Unrendered::Refused(why)) => {
            return Decision::Refused(Refusal::one(Blocker::new(
                "not-proved",
                format!("the edit is not what was meant: {why}"),
                "edit the source by hand, and look at what the program renders of it",
            )));
        }
    }
    Decision::Plan(prepared)
}

async fn manifests(
    argocd: &Argocd,
    (application, source): (&Application, usize),
    commit: &str,
) -> Result<Vec<serde_json::Value>, String> {
    let position = (application.sources.len() > 1).then_some(source + 1);
    let found = argocd
        .manifests(&application.into(), commit, position)
        .await;
    found.map_err(|error| error.to_string())
}
