//! The step `prove`: Argo CD renders the commit from a side branch before the branch moves.

use std::time::Instant;

use super::Error;
use super::push::side_branch;
use super::run::{End, Run};
use crate::argocd::Argocd;
use crate::git::{GitError, PushOutcome};
use crate::model::{Application, CommitId, Lands};
use crate::plan::Action;
use crate::report::RunState;
use crate::verify::proof;

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
    let target = observation.target.object();
    let plan = &run.prepared.plan;
    let undone = plan.undo.iter().flat_map(|undo| &undo.undone);
    let others: Vec<String> = undone
        .map(|field| field.object.clone())
        .chain(
            plan.request
                .with
                .iter()
                .map(|(kind, name)| format!("{kind}/{name}")),
        )
        .collect();
    proof(
        (&before?, &after?),
        (&target, &run.git_part().desired),
        &others,
    )
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
