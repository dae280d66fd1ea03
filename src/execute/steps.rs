//! The loop over a plan's steps.

use std::time::{Duration, Instant};

use super::land::{Aim, Waited, landing, rollout};
use super::run::{End, Run, goal_words};
use super::{Error, Event, argo, code, direct, push, settle};
use crate::plan::{Action, Intent, Step};
use crate::report::RunState;

/// What a step's act came to.
pub(super) enum Acted {
    /// What the step ensures holds, with its evidence.
    Done(String),
    /// The run ends here.
    End(End),
}

/// What the steps before have come to.
#[derive(Default)]
struct Course {
    /// Why Git did not bring it live in time, in an emergency.
    missed: Option<String>,
    /// The branch has the content.
    pushed: bool,
}

impl Run {
    /// As [`Run::carry_out`]; an error after the journal began stops the run, so that
    /// it can go on. Only a journal that refuses ends it at once.
    pub(super) async fn carry_out_or_stop(&mut self, aim: Aim) -> Result<End, Error> {
        match Box::pin(self.carry_out(aim)).await {
            Err(error @ (Error::Git(_) | Error::Observe(_))) => {
                Ok(End::new(RunState::Stopped, 4, error.to_string()))
            }
            other => other,
        }
    }

    /// The steps in their order.
    async fn carry_out(&mut self, mut aim: Aim) -> Result<End, Error> {
        let plan = self.prepared.plan.clone();
        let mut course = Course::default();
        if plan.is_through_git()
            && let Some(end) = self.through_git(&mut aim, &mut course).await?
        {
            return Ok(end);
        }
        for step in &plan.steps {
            let elsewhere = is_gits(step.action) && plan.is_through_git();
            // A rollback's record tells how it ended.
            let at_the_end =
                step.action == Action::Record && self.head.request.intent == Intent::Rollback;
            if elsewhere || at_the_end || self.is_left_out(step, &course) {
                continue;
            }
            // What is waited for is looked at again: the final checks rest on it.
            let waits = matches!(step.action, Action::Land | Action::Rollout);
            if self.done.contains(&step.id) && !waits {
                self.already_done(&step.id);
                if step.action == Action::Settle {
                    settle::aim_as_git_says(self, &mut aim);
                }
                continue;
            }
            if *self.stop().borrow() {
                return Ok(End::stopped(&step.id));
            }
            let end = match step.action {
                Action::Verify => {
                    let end = Box::pin(self.verify(&aim)).await?;
                    let end = code::revert(self, end).await?;
                    self.keep_rollback_record(&end).await?;
                    return Ok(end);
                }
                Action::Land | Action::Rollout => {
                    Box::pin(self.wait_for(step, &aim, &mut course)).await?
                }
                _ => Box::pin(self.act(step, &mut aim)).await?,
            };
            if let Some(end) = end {
                return Ok(end);
            }
        }
        let goal = self.head.request.goal;
        let end = End::new(RunState::Succeeded, 0, goal_words(goal));
        let end = code::revert(self, end).await?;
        self.keep_rollback_record(&end).await?;
        Ok(end)
    }

    /// Commit and push, unless the branch has this run's commit.
    async fn through_git(
        &mut self,
        aim: &mut Aim,
        course: &mut Course,
    ) -> Result<Option<End>, Error> {
        course.pushed = true;
        if aim.commit.is_some() {
            self.own_commit(aim);
            return Ok(None);
        }
        if self.prepared.plan.commits.is_empty() {
            return Ok(None);
        }
        match push::commit_and_push(self).await? {
            push::Outcome::Pushed(commit) => aim.commit = commit,
            push::Outcome::End(end) if self.may_fall(&end) => {
                let text = format!(
                    "Git does not take it ({}): acting on the cluster",
                    end.reason
                );
                self.emit(Event::Note(text.clone()));
                self.report.notes.push(text);
                course.missed = Some(end.reason);
                course.pushed = false;
            }
            push::Outcome::End(end) => return Ok(Some(end)),
        }
        Ok(None)
    }

    /// Whether an emergency goes on without Git: the push did not go through, and no
    /// person stopped it.
    fn may_fall(&self, end: &End) -> bool {
        self.prepared.plan.is_emergency()
            && self.prepared.plan.has(Action::Suspend)
            && matches!(end.state, RunState::Stopped | RunState::HandedOver)
            && !*self.stop().borrow()
    }

    /// Steps of an emergency that are not needed, as things went.
    fn is_left_out(&self, step: &Step, course: &Course) -> bool {
        if !self.prepared.plan.is_emergency() {
            return false;
        }
        match step.action {
            Action::Land | Action::Sync | Action::Terminate => !course.pushed,
            Action::Patch => course.missed.is_none(),
            Action::Suspend | Action::Settle => course.pushed,
            // Automated sync may have been suspended by an earlier process.
            Action::GiveBack => course.pushed && !argo::is_suspended_by(self),
            _ => false,
        }
    }

    async fn wait_for(
        &mut self,
        step: &Step,
        aim: &Aim,
        course: &mut Course,
    ) -> Result<Option<End>, Error> {
        self.begin(&step.id, &step.ensures, step.deadline_seconds)?;
        let began = Instant::now();
        let deadline = Duration::from_secs(u64::try_from(step.deadline_seconds).unwrap_or(0));
        let waited = match step.action {
            Action::Land => Box::pin(landing(self, aim, deadline)).await,
            _ => rollout(self, deadline).await,
        };
        (self.setup.crash)(&format!("waited {}", step.id));
        match waited {
            Waited::Deadline(what) | Waited::Fails(what)
                if step.action == Action::Land && self.prepared.plan.is_emergency() =>
            {
                let text = format!("it did not land in time ({what}): acting on the cluster");
                self.close(&step.id, began, "inconclusive", &what)?;
                self.emit(Event::Note(text.clone()));
                self.report.notes.push(text);
                course.missed = Some(what);
                Ok(None)
            }
            waited => self.waited(&step.id, began, waited),
        }
    }

    /// A step that acts on the cluster, on Argo CD, or on Git after them.
    async fn act(&mut self, step: &Step, aim: &mut Aim) -> Result<Option<End>, Error> {
        match step.action {
            Action::Capture => {
                let capture = push::start_capture(self)?;
                let whole = push::end_capture(self, capture).await?;
                return Ok((!whole).then(|| End::stopped("capture")));
            }
            Action::Settle => return Box::pin(settle::settle(self, step, aim)).await,
            Action::Record => {
                self.keep_record().await?;
                return Ok(None);
            }
            _ => {}
        }
        self.begin(&step.id, &step.ensures, step.deadline_seconds)?;
        let began = Instant::now();
        let deadline = Duration::from_secs(u64::try_from(step.deadline_seconds).unwrap_or(0));
        let acted = match step.action {
            Action::Patch => direct::patch(self, aim, deadline).await?,
            Action::Scale => direct::scale(self, aim).await?,
            Action::ScaleDown => direct::scale_down(self, deadline).await?,
            Action::ScaleUp => direct::scale_up(self).await?,
            Action::Suspend => argo::suspend(self).await?,
            Action::GiveBack => argo::give_back(self).await?,
            Action::Sync => argo::sync(self, deadline).await?,
            Action::Rollback => argo::rollback(self, aim, deadline).await?,
            Action::Terminate => argo::terminate(self, deadline).await?,
            Action::Capture
            | Action::Edit
            | Action::Commit
            | Action::Prove
            | Action::Push
            | Action::Land
            | Action::Rollout
            | Action::Settle
            | Action::Record
            | Action::Verify => Acted::Done(String::new()),
        };
        match acted {
            Acted::Done(evidence) => {
                (self.setup.crash)(&format!("did {}", step.id));
                self.close(&step.id, began, "done", &evidence)?;
                Ok(None)
            }
            Acted::End(end) => {
                let state = match end.state {
                    RunState::Stopped => "stopped",
                    RunState::Inconclusive => "inconclusive",
                    _ => "failed",
                };
                self.close(&step.id, began, state, &end.reason)?;
                Ok(Some(end))
            }
        }
    }
}

/// Steps that commit and push does by itself.
const fn is_gits(action: Action) -> bool {
    matches!(
        action,
        Action::Capture
            | Action::Record
            | Action::Edit
            | Action::Commit
            | Action::Prove
            | Action::Push
    )
}
