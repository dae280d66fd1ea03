//! A run: from plan or journal to its end.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

use super::journal::{Head, Journal, Record, TargetLock};
use super::land::{Aim, Waited};
use super::{Error, Event, Setup};
use crate::cluster::Error as ClusterError;
use crate::git::{GitError, RepositoryPath};
use crate::model::{
    Application, ApplicationSet, ArgoView, CommitId, Lands, Making, Observation, Presence,
    Workload, WorkloadRef,
};
use crate::observe::Sight;
use crate::plan::{Goal, Prepared};
use crate::report::{CommitReport, RunReport, RunState, StepReport, target_seconds};
use crate::verify::Landing;

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
    /// Steps that an earlier process finished: they are not judged or done again.
    pub(super) done: BTreeSet<String>,
    /// Evidence that is still being saved.
    pub(super) rest_of_evidence: Option<tokio::task::JoinHandle<super::capture::Captured>>,
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
        done: BTreeSet::new(),
        rest_of_evidence: None,
    };
    let aim = run.aim_of_plan();
    let end = Box::pin(run.carry_out_or_stop(aim)).await?;
    run.end_evidence().await;
    run.finish(end)
}

pub(super) fn holder(head: &Head) -> String {
    format!("run {} (process {})", head.run_id, std::process::id())
}

impl Run {
    /// What landing is judged against when nothing was pushed yet.
    pub(super) fn aim_of_plan(&self) -> Aim {
        Aim {
            commit: None,
            desired: self.prepared.desired.clone(),
        }
    }

    /// The part of the plan that is a commit: the plan itself, or what is committed
    /// after the cluster was changed.
    pub(super) fn git_part(&self) -> &Prepared {
        self.prepared.git.as_deref().unwrap_or(&self.prepared)
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

    /// Whose comparison shows that Argo CD has seen a commit of this run's repository.
    pub(super) fn lands(&self) -> Lands {
        let observation = &self.sight.observation;
        let rendered = observation
            .git
            .as_ref()
            .and_then(|git| git.rendered.as_ref());
        rendered.map_or(Lands::Source(observation.argocd.source), |own| own.lands)
    }

    /// The Applications that make the target's own, as far as landing depends on them, the nearest
    /// first; with the source that each is made by.
    pub(super) fn makers(&self) -> Vec<(Application, usize)> {
        let (Lands::Maker(count), Some(git)) = (self.lands(), &self.sight.observation.git) else {
            return Vec::new();
        };
        let makers = git.rendered.iter().flat_map(|own| own.sourcing.makers());
        let makers = makers.take(count).filter_map(Making::deployer);
        makers
            .map(|deployer| (deployer.application.clone(), deployer.source))
            .collect()
    }

    /// The ApplicationSet whose files this run changes.
    pub(super) fn set(&self) -> Option<&ApplicationSet> {
        let Lands::Maker(count) = self.lands() else {
            return None;
        };
        let rendered = self.sight.observation.git.as_ref()?.rendered.as_ref()?;
        rendered.sourcing.makers().nth(count - 1)?.set()
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
        match self.presence().await {
            Presence::There(workload) => Some(*workload),
            Presence::Gone | Presence::Unreadable => None,
        }
    }

    /// The live object, told from one that is gone.
    pub(super) async fn presence(&self) -> Presence {
        let Ok(cluster) = &self.setup.clients.cluster else {
            return Presence::Unreadable;
        };
        match cluster.workload(self.target()).await {
            Ok(workload) => Presence::There(Box::new(workload)),
            Err(ClusterError::NotFound { .. }) => Presence::Gone,
            Err(_) => Presence::Unreadable,
        }
    }

    pub(super) async fn application(&self, refresh: bool, limit: Duration) -> Option<Application> {
        let view = &self.sight.observation.argocd;
        view.application.as_ref()?;
        crate::observe::read_application(&self.setup.clients, view, refresh.then_some(limit))
            .await
            .ok()
    }

    /// Reads a maker again.
    pub(super) async fn maker(
        &self,
        maker: &Application,
        refresh: bool,
        limit: Duration,
    ) -> Option<Application> {
        let view = ArgoView {
            application: Some(maker.clone()),
            ..ArgoView::default()
        };
        crate::observe::read_application(&self.setup.clients, &view, refresh.then_some(limit))
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

    /// Notes this run's commit when it was found on the branch.
    pub(super) fn own_commit(&mut self, aim: &Aim) {
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
            self.already_done(id);
        }
    }

    /// Notes a step that an earlier process finished.
    pub(super) fn already_done(&mut self, step: &str) {
        self.report.steps.push(StepReport {
            id: step.to_owned(),
            state: "alreadyDone".to_owned(),
            started_at: None,
            finished_at: None,
            seconds: None,
            target_seconds: None,
            evidence: String::new(),
        });
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

    pub(super) fn waited(
        &mut self,
        step: &str,
        began: Instant,
        waited: Waited,
    ) -> Result<Option<End>, Error> {
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

pub(super) fn goal_words(goal: Goal) -> &'static str {
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
