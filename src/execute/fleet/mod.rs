//! Many targets in stages: one commit a stage and repository, and the next stage only when every
//! target of this one is verified. A target is waited for and verified by a run of its own.

mod aside;
mod stage;
pub mod store;

use std::time::Instant;

use futures::StreamExt as _;

use super::journal::{self, Head, new_run_id};
use super::run::{End, Fresh};
use super::{Error, Event, Setup, resume, scope_for, start};
use crate::git::GitError;
use crate::observe::{Scope, Sight, observe_many};
use crate::plan::{Decision, build};
use crate::report::{FleetReport, RunReport, RunState, counted};
use crate::timeline::Timeline;
use crate::verify::Baseline;
use store::{Keeper, StoredFleet, StoredMember};

/// Runs that wait at the same time.
const AT_ONCE: usize = 16;

/// A fleet at work.
pub(super) struct Fleet {
    setup: Setup,
    keeper: Keeper,
    stored: StoredFleet,
    /// What a human has to do.
    next: Vec<String>,
}

/// Carries a fleet out, from its beginning or from where it stands.
///
/// # Errors
/// When its document cannot be written, or Git fails.
pub async fn carry_out(
    setup: Setup,
    keeper: Keeper,
    stored: StoredFleet,
) -> Result<FleetReport, Error> {
    let began = Instant::now();
    let mut fleet = Fleet {
        setup,
        keeper,
        stored,
        next: Vec::new(),
    };
    let end = fleet.stages().await?;
    if !matches!(end.code, 4..=7) {
        fleet.stored.ended = Some((end.state, end.code));
        fleet.keeper.save(&fleet.stored)?;
    }
    Ok(fleet.report(end, began.elapsed().as_secs_f64()))
}

impl Fleet {
    async fn stages(&mut self) -> Result<End, Error> {
        let count = self.stored.stages.len();
        for stage in 0..count {
            if self.is_verified(stage) {
                continue;
            }
            if *self.setup.stop.borrow() {
                return Ok(End::stopped(&format!("stage {}", stage + 1)));
            }
            if let Some(end) = Box::pin(self.push(stage)).await? {
                return Ok(end);
            }
            if let Some(end) = Box::pin(self.wait(stage)).await? {
                return Ok(end);
            }
            self.note(format!("stage {} of {count}: verified", stage + 1));
        }
        Ok(End::new(
            RunState::Succeeded,
            0,
            format!(
                "the goal holds for {}",
                counted(self.stored.members.len(), "target")
            ),
        ))
    }

    fn is_verified(&self, stage: usize) -> bool {
        let members = &self.stored.members[self.stored.range(stage)];
        members.iter().all(|member| member.is_over())
    }

    fn note(&self, text: String) {
        (self.setup.events)(Event::Note(text));
    }

    fn save(&self) -> Result<(), Error> {
        Ok(self.keeper.save(&self.stored)?)
    }

    fn scope(&self, member: &StoredMember) -> Scope {
        let target = &member.request.target;
        let mut scope = Scope {
            kind: Some(target.kind),
            name: target.name.clone(),
            namespace: target.namespace.clone(),
            ..self.setup.scope.clone()
        };
        scope.rights = false;
        scope_for(scope, &member.request)
    }

    /// Looks at members, all at once.
    async fn look(&self, places: &[usize]) -> Result<Vec<Sight>, Error> {
        let members = places.iter().map(|place| &self.stored.members[*place]);
        let scopes: Vec<Scope> = members.map(|member| self.scope(member)).collect();
        let now = (self.setup.now)();
        let looks = observe_many(&self.setup.clients, &scopes, now).await;
        let looks: Result<Vec<Sight>, _> = looks.into_iter().collect();
        Ok(looks?)
    }

    /// Waits for the members of a stage and verifies them, each by a run of its own.
    async fn wait(&mut self, stage: usize) -> Result<Option<End>, Error> {
        let range = self.stored.range(stage);
        let open: Vec<usize> = range
            .filter(|place| !self.stored.members[*place].is_over())
            .collect();
        let looks = self.look(&open).await?;
        for place in &open {
            let shown = &mut self.stored.members[*place].shown;
            let known = shown.run_id.as_deref();
            if known.is_none_or(|id| open_run(&self.setup, id).is_none()) {
                shown.run_id = Some(new_run_id((self.setup.now)()).0);
            }
        }
        self.save()?;
        (self.setup.crash)("members recorded");
        let runs: Vec<_> = open
            .iter()
            .zip(looks)
            .map(|(place, sight)| self.member(*place, sight))
            .collect();
        let runs = futures::stream::iter(runs).buffer_unordered(AT_ONCE);
        let finished: Vec<_> = runs.collect().await;
        let mut failed = None;
        for (place, outcome) in finished {
            let report = outcome?;
            let member = &mut self.stored.members[place];
            member.shown.state = report.state;
            member.shown.reason.clone_from(&report.reason);
            member.shown.seconds = report.seconds;
            let code = report.exit_code;
            if code != 0 && failed.is_none() {
                let target = member.request.target.short();
                let reason = format!("{target}: {}", report.reason);
                failed = Some(End::new(report.state, code, reason));
            }
        }
        self.save()?;
        (self.setup.crash)("members done");
        Ok(failed)
    }

    /// One member's run; what it works with is made here, so that many can wait at once.
    fn member(
        &self,
        place: usize,
        sight: Sight,
    ) -> impl Future<Output = (usize, Result<RunReport, Error>)> + use<> {
        let member = self.stored.members[place].clone();
        let mut setup = self.setup.clone();
        setup.scope = self.scope(&member);
        let events = std::sync::Arc::clone(&setup.events);
        setup.events = std::sync::Arc::new(|_| {});
        let reach = self.stored.reach.clone();
        async move {
            let outcome = Box::pin(one_run(setup, &member, reach, sight)).await;
            if let Ok(report) = &outcome {
                let target = member.request.target.short();
                let word = report.state.as_str();
                events(Event::Note(format!("{target}: {word}, {}", report.reason)));
            }
            (place, outcome)
        }
    }

    fn report(&self, end: End, seconds: f64) -> FleetReport {
        let mut report = self.stored.report();
        report.next.splice(0..0, self.next.iter().cloned());
        report.state = end.state;
        report.reason = end.reason;
        report.exit_code = end.code;
        report.seconds = (seconds * 1000.0).round() / 1000.0;
        report
    }
}

impl StoredMember {
    /// Whether nothing is left to be done for it.
    fn is_over(&self) -> bool {
        matches!(self.shown.state, RunState::Succeeded)
    }
}

/// A run of an earlier process that can go on.
fn open_run(setup: &Setup, id: &str) -> Option<journal::StoredRun> {
    let run = journal::load(&setup.state, id).ok()?;
    run.is_open().then_some(run)
}

async fn one_run(
    setup: Setup,
    member: &StoredMember,
    reach: journal::Reach,
    sight: Sight,
) -> Result<RunReport, Error> {
    let id = member.shown.run_id.clone().unwrap_or_default();
    if let Some(run) = open_run(&setup, &id) {
        return Box::pin(resume(setup, run, sight)).await;
    }
    let timeline = Timeline::of(&sight.observation, &setup.verified);
    let request = member.request.clone();
    let prepared = match build(&sight.observation, &timeline, &request) {
        Decision::Plan(prepared) => *prepared,
        Decision::Refused(refusal) => {
            return Ok(ended(&id, RunState::Refused, 3, refusal.first_words()));
        }
        Decision::NotNeeded(why) => return Ok(ended(&id, RunState::Succeeded, 0, why)),
    };
    if !prepared.plan.commits.is_empty() {
        let reason = "others changed its content since the stage was pushed".to_owned();
        return Ok(ended(&id, RunState::Superseded, 3, reason));
    }
    let began = (setup.now)();
    let baseline = Baseline::of(&sight.observation);
    let run = crate::model::RunId(id);
    let head = Head::new(run, began, request, reach, baseline);
    let fresh = Fresh {
        head,
        prepared,
        sight,
    };
    Box::pin(start(setup, fresh)).await
}

/// A run that never began.
fn ended(id: &str, state: RunState, code: u8, reason: String) -> RunReport {
    RunReport::of_nothing(id, state, code, reason)
}

/// The clone that a look was made from.
fn clone_of(sight: &Sight) -> Result<&crate::git::RepositoryPath, GitError> {
    sight.repository.as_ref().ok_or(GitError::Interrupted)
}
