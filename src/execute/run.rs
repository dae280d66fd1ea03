//! A run: from plan or journal to its end.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

use super::journal::{Head, Journal, Record, TargetLock};
use super::land::{Aim, Waited, landing, rollout};
use super::{Error, Event, Pace, Setup, push};
use crate::git::{GitError, RepositoryPath};
use crate::model::{Application, Check, CommitId, Observation, Verdict, Workload, WorkloadRef};
use crate::observe::{Sight, observe};
use crate::plan::{Action, Goal, Prepared};
use crate::report::{CommitReport, RunReport, RunState, StepReport, target_seconds};
use crate::verify::{Landing, branch_check, goal};

/// How long the final checks may disagree before their verdict stands: endpoints
/// follow readiness with a delay.
const VERIFY_PATIENCE: Duration = Duration::from_secs(15);

/// A plan that has not begun.
pub struct Fresh {
    /// The head of its journal.
    pub head: Head,
    /// The plan with its bytes.
    pub prepared: Prepared,
    /// The look that it was made from.
    pub sight: Sight,
}

impl std::fmt::Debug for Fresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fresh")
            .field("run", &self.head.run_id)
            .finish_non_exhaustive()
    }
}

/// A run at work.
pub(super) struct Run {
    pub(super) setup: Setup,
    pub(super) journal: Journal,
    pub(super) head: Head,
    pub(super) prepared: Prepared,
    pub(super) sight: Sight,
    pub(super) report: RunReport,
    pub(super) landing: Option<Landing>,
    pub(super) began: Instant,
}

/// How a run ends.
#[derive(Debug)]
pub(super) struct End {
    pub(super) state: RunState,
    pub(super) code: u8,
    pub(super) reason: String,
}

impl End {
    pub(super) fn new(state: RunState, code: u8, reason: impl Into<String>) -> Self {
        Self {
            state,
            code,
            reason: reason.into(),
        }
    }

    pub(super) fn stopped(at: &str) -> Self {
        Self::new(RunState::Stopped, 4, format!("stopped during {at}"))
    }
}

/// The name of a target's lock.
pub(super) fn lock_name(observation: &Observation, target: &WorkloadRef) -> String {
    format!(
        "{}-{}-{}-{}",
        observation.cluster.server,
        target.namespace,
        target.kind.as_str(),
        target.name
    )
}

/// Executes a plan.
///
/// # Errors
/// When the journal cannot be written, or the target is taken by another process.
pub async fn start(setup: Setup, fresh: Fresh) -> Result<RunReport, Error> {
    let name = lock_name(&fresh.sight.observation, &fresh.sight.observation.target);
    let lock = TargetLock::take(&setup.state, &name, &holder(&fresh.head))?;
    let journal = Journal::create(&setup.state, &fresh.head, &fresh.prepared.plan, lock)?;
    (setup.crash)("created");
    let report = RunReport::of_plan(&fresh.head.run_id.0, &fresh.prepared.plan);
    let mut run = Run {
        setup,
        journal,
        head: fresh.head,
        prepared: fresh.prepared,
        sight: fresh.sight,
        report,
        landing: None,
        began: Instant::now(),
    };
    let aim = run.aim_of_plan();
    let end = run.carry_out_or_stop(aim).await?;
    run.finish(end)
}

pub(super) fn holder(head: &Head) -> String {
    format!("run {} (process {})", head.run_id, std::process::id())
}

impl Run {
    /// What landing is judged against when nothing was pushed yet.
    pub(super) fn aim_of_plan(&self) -> Aim {
        let before = self
            .sight
            .observation
            .git
            .as_ref()
            .and_then(|git| git.states.first());
        let template = self.prepared.template.clone();
        let before = before.map_or_else(|| template.clone(), |state| state.template.clone());
        Aim {
            commit: None,
            template,
            before,
        }
    }

    pub(super) fn target(&self) -> &WorkloadRef {
        &self.head.request.target
    }

    pub(super) fn repository(&self) -> Option<&RepositoryPath> {
        self.sight.repository.as_ref()
    }

    pub(super) fn file(&self) -> &str {
        self.sight
            .observation
            .git
            .as_ref()
            .map_or("", |git| git.file.as_str())
    }

    pub(super) const fn source(&self) -> usize {
        self.sight.observation.argocd.source
    }

    pub(super) fn stop(&self) -> watch::Receiver<bool> {
        self.setup.stop.clone()
    }

    pub(super) fn emit(&self, event: Event) {
        (self.setup.events)(event);
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.setup.now)()
    }

    pub(super) async fn fetch(&self) -> Result<CommitId, GitError> {
        match (&self.sight.repository, &self.sight.observation.git) {
            (Some(path), Some(git)) => path.fetch(&git.remote, &git.branch).await,
            _ => Err(GitError::Interrupted),
        }
    }

    pub(super) async fn workload(&self) -> Option<Workload> {
        let cluster = self.setup.clients.cluster.as_ref().ok()?;
        cluster.workload(self.target()).await.ok()
    }

    pub(super) async fn application(&self, refresh: bool, limit: Duration) -> Option<Application> {
        let view = &self.sight.observation.argocd;
        view.application.as_ref()?;
        crate::observe::read_application(&self.setup.clients, view, refresh.then_some(limit))
            .await
            .ok()
    }

    pub(super) fn record(&mut self, record: &Record) -> Result<(), Error> {
        self.journal.append(record)?;
        let name = serde_json::to_value(record).ok();
        let name = name
            .as_ref()
            .and_then(|v| v.get("record"))
            .and_then(|v| v.as_str());
        (self.setup.crash)(&format!("recorded {}", name.unwrap_or("?")));
        Ok(())
    }

    /// As [`Run::carry_out`]; an error after the journal began stops the run, so that
    /// it can go on. Only a journal that refuses ends it at once.
    pub(super) async fn carry_out_or_stop(&mut self, aim: Aim) -> Result<End, Error> {
        match self.carry_out(aim).await {
            Err(error @ (Error::Git(_) | Error::Observe(_))) => {
                Ok(End::new(RunState::Stopped, 4, error.to_string()))
            }
            other => other,
        }
    }

    /// The steps in their order.
    async fn carry_out(&mut self, mut aim: Aim) -> Result<End, Error> {
        let steps = self.prepared.plan.steps.clone();
        let goal = self.head.request.goal;
        let pushed = aim.commit.is_some();
        if pushed {
            self.own_commit(&aim);
        } else if !self.prepared.plan.commits.is_empty() {
            match push::commit_and_push(self).await? {
                push::Outcome::Pushed(commit) => aim.commit = commit,
                push::Outcome::End(end) => return Ok(end),
            }
        }
        for step in steps
            .iter()
            .filter(|step| matches!(step.action, Action::Land | Action::Rollout))
        {
            self.begin(&step.id, &step.ensures, step.deadline_seconds)?;
            let began = Instant::now();
            let deadline = Duration::from_secs(u64::try_from(step.deadline_seconds).unwrap_or(0));
            let waited = match step.action {
                Action::Land => landing(self, &aim, deadline).await,
                _ => rollout(self, deadline).await,
            };
            (self.setup.crash)(&format!("waited {}", step.id));
            if let Some(end) = self.waited(&step.id, began, waited)? {
                return Ok(end);
            }
        }
        if goal < Goal::Verified {
            return Ok(End::new(RunState::Succeeded, 0, goal_words(goal)));
        }
        self.verify(&aim).await
    }

    /// Notes this run's commit when it was found on the branch.
    fn own_commit(&mut self, aim: &Aim) {
        let branch = self
            .sight
            .observation
            .git
            .as_ref()
            .map(|git| git.branch.clone());
        if let (Some(commit), Some(branch)) = (&aim.commit, branch) {
            self.report.commits = vec![CommitReport {
                id: commit.as_str().to_owned(),
                branch,
                pushed: true,
            }];
        }
        for id in ["capture", "commit", "push"] {
            self.report.steps.push(StepReport {
                id: id.to_owned(),
                state: "alreadyDone".to_owned(),
                started_at: None,
                finished_at: None,
                seconds: None,
                target_seconds: None,
                evidence: String::new(),
            });
        }
    }

    pub(super) fn begin(
        &mut self,
        step: &str,
        ensures: &str,
        deadline_seconds: i64,
    ) -> Result<(), Error> {
        let at = self.now();
        self.record(&Record::Started {
            step: step.to_owned(),
            at,
        })?;
        self.emit(Event::Started {
            step: step.to_owned(),
            ensures: ensures.to_owned(),
            deadline_seconds,
        });
        Ok(())
    }

    /// Closes a step in the report and, when it is done, in the journal.
    pub(super) fn close(
        &mut self,
        step: &str,
        began: Instant,
        state: &str,
        evidence: &str,
    ) -> Result<(), Error> {
        let at = self.now();
        let seconds = began.elapsed().as_secs_f64();
        let started = at.checked_sub(began.elapsed()).ok();
        self.report.steps.push(StepReport {
            id: step.to_owned(),
            state: state.to_owned(),
            started_at: started,
            finished_at: Some(at),
            seconds: Some((seconds * 1000.0).round() / 1000.0),
            target_seconds: target_seconds(step),
            evidence: evidence.to_owned(),
        });
        if state == "done" {
            self.record(&Record::Finished {
                step: step.to_owned(),
                at,
                evidence: evidence.to_owned(),
            })?;
        }
        self.emit(Event::Finished {
            step: step.to_owned(),
            evidence: evidence.to_owned(),
            seconds,
        });
        Ok(())
    }

    fn waited(&mut self, step: &str, began: Instant, waited: Waited) -> Result<Option<End>, Error> {
        Ok(match waited {
            Waited::Holds(evidence) => {
                self.close(step, began, "done", &evidence)?;
                None
            }
            Waited::Fails(evidence) => {
                self.close(step, began, "failed", &evidence)?;
                if step == "rollout" {
                    self.report.next = target_did_not_come_up(self);
                }
                Some(End::new(RunState::Failed, 5, evidence))
            }
            Waited::Deadline(evidence) => {
                self.close(step, began, "inconclusive", &evidence)?;
                let reason = format!("the deadline of {step} passed while waiting for {evidence}");
                Some(End::new(RunState::Inconclusive, 6, reason))
            }
            Waited::Stopped => {
                self.close(step, began, "stopped", "")?;
                Some(End::stopped(step))
            }
        })
    }

    /// Judges the goal on fresh looks until it holds or patience ends.
    async fn verify(&mut self, aim: &Aim) -> Result<End, Error> {
        self.begin("verify", "every check of the goal holds", 30)?;
        let began = Instant::now();
        let mut pace = Pace::new(Duration::from_millis(100), Duration::from_secs(1));
        let checks = loop {
            let stop = self.stop();
            let checks = tokio::select! {
                biased;
                () = super::land::stopped(stop) => {
                    self.close("verify", began, "stopped", "")?;
                    return Ok(End::stopped("verify"));
                }
                checks = self.checks(aim) => checks?,
            };
            let verdict = Verdict::all(checks.iter().map(|check| check.verdict));
            if verdict == Verdict::Holds || began.elapsed() >= VERIFY_PATIENCE || only_gaps(&checks)
            {
                break checks;
            }
            tokio::select! {
                () = super::land::stopped(self.stop()) => {
                    self.close("verify", began, "stopped", "")?;
                    return Ok(End::stopped("verify"));
                }
                () = pace.wait() => {}
            }
        };
        let verdict = Verdict::all(checks.iter().map(|check| check.verdict));
        let bad: Vec<String> = checks
            .iter()
            .filter(|check| check.verdict == verdict && verdict != Verdict::Holds)
            .map(|check| format!("{}: {}", check.title, check.evidence))
            .collect();
        self.report.checks = checks;
        let (state, end) = match verdict {
            Verdict::Holds => (
                "done",
                End::new(RunState::Succeeded, 0, self.success_words()),
            ),
            Verdict::Fails => ("failed", End::new(RunState::Failed, 5, bad.join("; "))),
            Verdict::Unknown => (
                "inconclusive",
                End::new(RunState::Inconclusive, 6, bad.join("; ")),
            ),
        };
        self.close("verify", began, state, "")?;
        Ok(end)
    }

    fn success_words(&self) -> String {
        let target = self.prepared.plan.targets.first();
        let image = target.map(|t| t.to.image.clone()).unwrap_or_default();
        if self.report.commits.is_empty() {
            let tip = self
                .sight
                .observation
                .git
                .as_ref()
                .and_then(|git| git.states.first());
            let by = tip.map_or_else(String::new, |state| {
                format!(" ({} {})", state.commit.id.short(), state.commit.subject())
            });
            return format!("nothing to do: {image} is in Git{by}, live and healthy");
        }
        format!("{image} is in Git, live and healthy")
    }

    async fn checks(&self, aim: &Aim) -> Result<Vec<Check>, Error> {
        let scope = crate::observe::Scope {
            git: false,
            rights: false,
            ..self.setup.scope.clone()
        };
        let (sight, tip) = tokio::join!(
            observe(&self.setup.clients, &scope, (self.setup.now)()),
            self.fetch(),
        );
        let sight = sight?;
        let landing = self.landing.clone().unwrap_or(Landing {
            verdict: Verdict::Unknown,
            evidence: "landing was not waited for".to_owned(),
        });
        let mut checks = goal(
            &sight.observation,
            (&aim.template, &aim.before),
            &self.head.baseline,
            &landing,
        );
        if let Some(git) = &self.sight.observation.git {
            let has = match &tip {
                Ok(tip) => self.has_content(tip, aim).await,
                Err(_) => None,
            };
            let shown = tip.as_ref().map_or("an unknown commit", CommitId::as_str);
            checks.push(branch_check(has, &git.branch, shown));
        }
        Ok(checks)
    }

    async fn has_content(&self, tip: &CommitId, aim: &Aim) -> Option<bool> {
        let path = self.sight.repository.clone()?;
        let (tip, file) = (tip.clone(), self.file().to_owned());
        let (target, wanted) = (self.target().clone(), aim.template.clone());
        tokio::task::spawn_blocking(move || {
            let blob = path.open().ok()?.blob_at(&tip, &file).ok()??;
            let text = String::from_utf8_lossy(&blob.bytes).into_owned();
            Some(crate::observe::template_of(&text, &target).is_some_and(|(t, _)| t == wanted))
        })
        .await
        .ok()
        .flatten()
    }

    /// Writes the end into the journal and completes the report.
    pub(super) fn finish(mut self, end: End) -> Result<RunReport, Error> {
        let at = self.now();
        let record = match end.code {
            4 => Record::Stopped {
                reason: end.reason.clone(),
                at,
            },
            code => Record::Ended {
                state: end.state.as_str().to_owned(),
                exit_code: code,
                checks: self.report.checks.clone(),
                at,
            },
        };
        self.record(&record)?;
        self.report.state = end.state;
        self.report.reason = end.reason;
        self.report.exit_code = end.code;
        self.report.seconds = (self.began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        self.report.evidence = Some(
            self.journal
                .directory()
                .join("evidence")
                .display()
                .to_string(),
        );
        if matches!(end.code, 4 | 6 | 7) {
            self.report
                .next
                .push(format!("unship continue {}", self.head.run_id));
        }
        let clients = &self.setup.clients;
        if let Ok(cluster) = &clients.cluster {
            self.report.requests.extend(cluster.requests_sent());
        }
        if let Ok(argocd) = &clients.argocd {
            let counts = argocd.requests();
            self.report
                .requests
                .extend(counts.into_iter().map(|(k, n)| (format!("argocd {k}"), n)));
        }
        Ok(self.report)
    }
}

/// Nothing fails, and what is unknown is so because it cannot be read: waiting does
/// not help.
fn only_gaps(checks: &[Check]) -> bool {
    let unreadable = |check: &Check| {
        check.evidence.contains("could not be read") || check.evidence.contains("not waited for")
    };
    checks
        .iter()
        .all(|c| c.verdict == Verdict::Holds || (c.verdict == Verdict::Unknown && unreadable(c)))
}

fn goal_words(goal: Goal) -> &'static str {
    match goal {
        Goal::Edited => "the file in the work tree is edited",
        Goal::Committed => "the commit is made; nothing was pushed",
        Goal::Pushed => "the commit is pushed; landing was not waited for",
        Goal::Landed => "the content is live; its health was not judged",
        Goal::Verified => "the goal holds",
    }
}

fn target_did_not_come_up(run: &Run) -> Vec<String> {
    let target = run.target();
    let place = format!("{} -n {}", target.short(), target.namespace);
    vec![
        format!("unship status {place} (what the new pods say)"),
        format!("unship history {place} (other releases), then unship rollback {place} --to X"),
    ]
}
