//! Git made to agree after the cluster was changed.

use std::time::Instant;

use super::land::Aim;
use super::run::{End, Run};
use super::{Error, argo, push};
use crate::model::mask_text;
use crate::observe::observe;
use crate::plan::{Allow, Decision, Goal, Prepared, Request, Route, Step, build};
use crate::report::RunState;
use crate::timeline::Timeline;

impl Run {
    /// What is asked of Git: the target pinned, so that nothing else can be chosen.
    pub(super) fn git_request(&self) -> Request {
        let plan = &self.prepared.plan;
        let pinned = self.head.request.pinned_to(plan);
        if plan.is_through_git() {
            return pinned;
        }
        Request {
            route: Route::Git,
            goal: Goal::Pushed,
            allow: Allow::default(),
            ..pinned
        }
    }
}

/// Commits and pushes what the cluster runs now; where that is not possible the run
/// stops with the exact state.
pub(super) async fn settle(
    run: &mut Run,
    step: &Step,
    aim: &mut Aim,
) -> Result<Option<End>, Error> {
    run.begin(&step.id, &step.ensures, step.deadline_seconds)?;
    let began = Instant::now();
    let end = match git_part(run).await? {
        Ok(None) => {
            aim_as_git_says(run, aim);
            None
        }
        Ok(Some(prepared)) => {
            aim.desired = prepared.desired.clone();
            run.prepared.plan.commits.clone_from(&prepared.plan.commits);
            name_commits(run, &prepared);
            run.prepared.git = Some(Box::new(prepared));
            match push::commit_and_push(run).await? {
                push::Outcome::Pushed(commit) => {
                    aim.commit = commit;
                    None
                }
                push::Outcome::End(end) => Some(end),
            }
        }
        Err(end) => Some(end),
    };
    let Some(end) = end else {
        (run.setup.crash)("settled");
        let evidence = aim
            .commit
            .as_ref()
            .map_or_else(|| "Git says it".to_owned(), |c| c.short().to_owned());
        run.close(&step.id, began, "done", &evidence)?;
        return Ok(None);
    };
    let reason = format!("{}; {}", end.reason, state_words(run));
    run.close(&step.id, began, "stopped", &end.reason)?;
    // Whatever Git's reason is, the debt stays: the run can go on.
    Ok(Some(End::new(RunState::Stopped, 4, reason)))
}

/// A plan that was made while Git could not be read knows no commits. The trailers of the
/// commit name them, by which a later rollback sees that this one was made.
fn name_commits(run: &mut Run, of_git: &Prepared) {
    let own = run.prepared.plan.targets.iter_mut();
    for (own, seen) in own.zip(&of_git.plan.targets) {
        if own.from.commit.is_none() {
            own.from.commit.clone_from(&seen.from.commit);
        }
        if own.to.commit.is_none() {
            own.to.commit.clone_from(&seen.to.commit);
        }
    }
}

/// Git has the content: landing is judged by the manifest's own template, which names
/// less than the one that the cluster recorded.
pub(super) fn aim_as_git_says(run: &Run, aim: &mut Aim) {
    let Some(git) = &run.sight.observation.git else {
        return;
    };
    let Some(fields) = crate::observe::fields_of(&git.text, run.target()) else {
        return;
    };
    if fields.template.covers(&aim.desired.template).is_some() {
        aim.desired.before = fields.template.clone();
        aim.desired.template = fields.template;
    }
}

/// Git's part, planned on a fresh look where it was not planned before or the process
/// is another one. `Ok(None)`: Git says it already.
async fn git_part(run: &mut Run) -> Result<Result<Option<Prepared>, End>, Error> {
    if let Some(prepared) = &run.prepared.git
        && run.sight.observation.git.is_some()
        && !prepared.files.is_empty()
    {
        return Ok(Ok(Some(prepared.as_ref().clone())));
    }
    let sight = observe(&run.setup.clients, &run.setup.scope, run.now()).await?;
    let timeline = Timeline::of(&sight.observation, &run.setup.verified);
    let request = run.git_request();
    let decision = build(&sight.observation, &timeline, &request);
    run.sight = sight;
    Ok(match decision {
        Decision::Plan(prepared) if prepared.files.is_empty() => Ok(None),
        Decision::Plan(prepared) => {
            let planned = run.prepared.plan.git_effect_id.as_ref();
            if planned.is_some_and(|own| *own != prepared.plan.effect_id) {
                Err(End::new(
                    RunState::Stopped,
                    4,
                    "others changed the manifest since the plan was made: nothing is pushed over it",
                ))
            } else {
                Ok(Some(*prepared))
            }
        }
        Decision::Refused(refusal) => Err(End::new(
            RunState::Stopped,
            4,
            format!("Git cannot be made to agree now: {}", refusal.first_words()),
        )),
        Decision::NotNeeded(_) => Ok(None),
    })
}

/// The exact state, and what would undo the change.
fn state_words(run: &Run) -> String {
    let plan = &run.prepared.plan;
    let target = plan.targets.first();
    let image = target.map_or("", |t| t.to.image.as_str());
    let from = target.map_or("", |t| t.from.image.as_str());
    let app = run.sight.observation.argocd.application.as_ref();
    let mut words = format!("live: {image}, by a patch of the cluster; Git still has {from}");
    if let Some(app) = app {
        if argo::is_suspended_by(run) {
            words.push_str(&format!(
                "; automated sync of Application {} is suspended; a manual sync, or whoever turns it on again, brings {from} back",
                app.name
            ));
        } else {
            words.push_str(&format!(
                "; the next sync of Application {} brings {from} back",
                app.name
            ));
        }
    }
    mask_text(&words)
}
