//! Going on with a stored run: what is found decides where it goes on.

use std::time::Instant;

use super::journal::{Journal, Record, StoredRun, TargetLock};
use super::land::Aim;
use super::run::{End, Run, holder, lock_name};
use super::{Error, Setup};
use crate::git::GitError;
use crate::model::{CommitId, Desired, PodTemplate, Workload};
use crate::observe::{Shipped, Sight};
use crate::plan::{Decision, Prepared, Request, Route, build};
use crate::report::{RunReport, RunState};
use crate::timeline::Timeline;

/// Goes on with a stored run.
///
/// # Errors
/// As [`super::start`].
pub async fn resume(setup: Setup, stored: StoredRun, sight: Sight) -> Result<RunReport, Error> {
    let name = lock_name(&sight.observation, &stored.head.request.target);
    let lock = TargetLock::take(&setup.state, &name, &holder(&stored.head))?;
    let journal = Journal::reopen(&stored, lock)?;
    let report = RunReport::of_plan(&stored.head.run_id.0, &stored.plan);
    let timeline = Timeline::of(&sight.observation, &setup.verified);
    let request = stored.pinned_request();
    let decision = build(&sight.observation, &timeline, &request);
    let done = stored.finished();
    let found = if stored.plan.is_through_git() {
        find_commit(&sight, &stored).await
    } else {
        Ok(None)
    };
    let (prepared, aim, end) = match (found?, decision) {
        (Some(own), decision) => pushed_already(&stored, own, decision),
        (None, decision) if !stored.plan.is_through_git() => {
            on_the_cluster(decision, &stored, &sight)
        }
        (None, Decision::Plan(prepared)) => not_pushed(*prepared, &stored, &sight).await,
        (None, Decision::Refused(refusal)) => {
            let reason = format!("no safe plan any more: {}", refusal.first_words());
            (None, None, Some(End::new(RunState::Stopped, 3, reason)))
        }
        (None, Decision::NotNeeded(reason)) => {
            (None, None, Some(End::new(RunState::Superseded, 0, reason)))
        }
    };
    let prepared = prepared.unwrap_or_else(|| Prepared::of_plan(stored.plan.clone()));
    let mut run = Run {
        setup,
        journal,
        head: stored.head,
        prepared,
        sight,
        report,
        landing: None,
        began: Instant::now(),
        done,
        rest_of_evidence: None,
    };
    let end = match end {
        Some(end) => end,
        None => {
            let aim = aim.unwrap_or_else(|| run.aim_of_plan());
            Box::pin(run.carry_out_or_stop(aim)).await?
        }
    };
    run.end_evidence().await;
    run.finish(end)
}

impl StoredRun {
    /// The request with its target and its route pinned, so that going on cannot choose
    /// others: a remote that is back does not turn a patch into a commit.
    #[must_use]
    pub fn pinned_request(&self) -> Request {
        let pinned = self.head.request.pinned_to(&self.plan);
        let route = match pinned.route {
            Route::Auto => Route::of_word(&self.plan.route).unwrap_or_default(),
            asked => asked,
        };
        Request { route, ..pinned }
    }
}

/// The branch has no commit of this run.
async fn not_pushed(prepared: Prepared, stored: &StoredRun, sight: &Sight) -> Resumed {
    let handed_over = |record: &Record| matches!(record, Record::HandedOver { .. });
    let same = prepared.plan.effect_id == stored.plan.effect_id;
    let done = prepared.plan.commits.is_empty();
    let end = if stored.records.iter().any(handed_over) && !done {
        let reason = "it still waits for a human: the branch does not have the content";
        Some(End::new(RunState::HandedOver, 7, reason))
    } else if let Some(end) = waits_aside(sight, stored).await {
        Some(end)
    } else if same || done {
        return (Some(same_plan(prepared, stored)), None, None);
    } else {
        Some(superseded(stored))
    };
    (Some(prepared), None, end)
}

/// The plan under its first id where nothing about it is new: the commit and the side
/// branch made from it are then the same ones as before.
fn same_plan(mut prepared: Prepared, stored: &StoredRun) -> Prepared {
    let parent = |plan: &crate::plan::Plan| plan.commits.first().map(|c| c.parent.clone());
    if prepared.plan.effect_id == stored.plan.effect_id
        && parent(&prepared.plan) == parent(&stored.plan)
    {
        prepared.plan = stored.plan.clone();
    }
    prepared
}

/// Killed between the push to the side branch and its record: the branch is there, and
/// a second one would be a second request.
async fn waits_aside(sight: &Sight, stored: &StoredRun) -> Option<End> {
    let tried = |record: &Record| matches!(record, Record::Started { step, .. } if step == "push");
    if !stored.records.iter().any(tried) {
        return None;
    }
    let path = sight.repository.clone()?;
    let remote = sight.observation.git.as_ref()?.remote.clone();
    let side = format!("unship/{}", stored.plan.plan_id);
    let tip = path.fetch(&remote, &side).await.ok()?;
    let run = stored.head.run_id.0.clone();
    let found = tokio::task::spawn_blocking(move || {
        let repository = path.open().ok()?;
        repository
            .find_commit_with_trailer(&tip, "Unship-Run", &run, 50)
            .ok()?
    })
    .await
    .ok()??;
    let commit = found.id.short().to_owned();
    let reason = format!("commit {commit} of this run waits on {side} for a human to merge it");
    Some(End::new(RunState::HandedOver, 7, reason))
}

fn superseded(stored: &StoredRun) -> End {
    let file = stored
        .plan
        .targets
        .first()
        .map(|t| t.file.clone())
        .unwrap_or_default();
    End::new(
        RunState::Superseded,
        3,
        format!("others changed {file} since the plan was made: nothing is pushed over it"),
    )
}

/// This run's commit on the branch, with the templates before and after it.
struct Own {
    commit: CommitId,
    aim: Aim,
    /// Whether the branch's tip still has its content.
    still: bool,
}

async fn find_commit(sight: &Sight, stored: &StoredRun) -> Result<Option<Own>, Error> {
    let head = &stored.head;
    let removal = stored.plan.removal();
    let (Some(path), Some(git)) = (&sight.repository, &sight.observation.git) else {
        return Ok(None);
    };
    let Some(shipped) = Shipped::of(&sight.observation) else {
        return Ok(None);
    };
    let (path, tip) = (path.clone(), git.tip.clone());
    let now = crate::observe::fields_of(&git.text, &sight.observation.target);
    let run = head.run_id.0.clone();
    tokio::task::spawn_blocking(move || {
        let repository = path.open()?;
        let Some(commit) = repository.find_commit_with_trailer(&tip, "Unship-Run", &run, 5000)?
        else {
            return Ok(None);
        };
        if let Some(removal) = removal {
            let absent = |id| shipped.is_absent_at(&repository, id);
            let own = Own {
                commit: commit.id.clone(),
                aim: Aim {
                    commit: Some(commit.id.clone()),
                    desired: Desired::removed(PodTemplate::absent(), removal),
                },
                still: absent(&tip)? == Some(true),
            };
            return Ok((absent(&commit.id)? == Some(true)).then_some(own));
        }
        let fields_at = |id: &CommitId| shipped.fields_at(&repository, id);
        let Some(own) = fields_at(&commit.id)? else {
            return Ok(None);
        };
        let parent = match commit.parents.first() {
            Some(parent) => fields_at(parent)?,
            None => None,
        };
        let desired = Desired::between(parent.as_ref(), &own);
        let still = now.is_some_and(|now| desired.is_in(&now));
        let aim = Aim {
            commit: Some(commit.id.clone()),
            desired,
        };
        Ok(Some(Own {
            commit: commit.id,
            aim,
            still,
        }))
    })
    .await
    .map_err(|_| GitError::Interrupted)?
    .map_err(|error: GitError| error.into())
}

type Resumed = (Option<Prepared>, Option<Aim>, Option<End>);

/// A plan that acts on the cluster. Before its act the object must be as it was; after
/// it the plan is made again only for what is left to do.
fn on_the_cluster(decision: Decision, stored: &StoredRun, sight: &Sight) -> Resumed {
    let live = sight.observation.cluster.workload.as_ref();
    if let Some(live) = live.filter(|_| stored.began("scaleDown")) {
        return (Some(half_a_bounce(stored, live)), None, None);
    }
    let prepared = match decision {
        Decision::Plan(prepared) => *prepared,
        Decision::Refused(refusal) => {
            let reason = format!("no safe plan any more: {}", refusal.first_words());
            return (None, None, Some(End::new(RunState::Stopped, 4, reason)));
        }
        Decision::NotNeeded(reason) => {
            return (None, None, Some(End::new(RunState::Superseded, 0, reason)));
        }
    };
    let acted = ["patch", "scale", "rollback"]
        .iter()
        .any(|step| stored.began(step));
    let is_there = live.is_some_and(|live| prepared.desired.is_live(live));
    let same = prepared.plan.effect_id == stored.plan.effect_id;
    let end = (!same && !is_there && !acted).then(|| {
        End::new(
            RunState::Superseded,
            3,
            "others changed the object since the plan was made: nothing is patched over it",
        )
    });
    let prepared = Prepared {
        plan: stored.plan.clone(),
        ..prepared
    };
    (Some(prepared), None, end)
}

/// A bounce that may be at 0: the service is down, so no new plan is asked whether it may
/// be brought back. What is live is what it had, but for the replicas.
fn half_a_bounce(stored: &StoredRun, live: &Workload) -> Prepared {
    let mut prepared = Prepared::of_plan(stored.plan.clone());
    prepared.desired = Desired::of_template(live.template.clone(), live.template.clone());
    prepared.desired.replicas = stored.head.baseline.replicas;
    prepared
}

fn pushed_already(stored: &StoredRun, own: Own, decision: Decision) -> Resumed {
    let mut prepared = Prepared::of_plan(stored.plan.clone());
    if let Decision::Plan(again) = decision {
        // The patch of an emergency is never stored: it may hold secrets.
        prepared.patch = again.patch;
    }
    prepared.desired = own.aim.desired.clone();
    if own.still {
        return (Some(prepared), Some(own.aim), None);
    }
    let end = End::new(
        RunState::Superseded,
        5,
        format!(
            "{} was pushed, but others changed the content since; it is left as they made it",
            own.commit.short()
        ),
    );
    (Some(prepared), Some(own.aim), Some(end))
}
