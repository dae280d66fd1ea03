//! The goal, judged on fresh looks.

use std::time::{Duration, Instant};

use super::land::Aim;
use super::run::{End, Run};
use super::{Error, Pace};
use crate::git::GitError;
use crate::model::{Check, CommitId, Removal, Verdict};
use crate::observe::{Shipped, observe};
use crate::plan::Action;
use crate::report::RunState;
use crate::verify::{Goals, Landing, branch_check, goal, guard_check, removal_check};

/// How long the final checks may disagree before their verdict stands: endpoints
/// follow readiness with a delay.
const VERIFY_PATIENCE: Duration = Duration::from_secs(15);

impl Run {
    /// Judges the goal on fresh looks until it holds or patience ends.
    pub(super) async fn verify(&mut self, aim: &Aim) -> Result<End, Error> {
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
        match self.prepared.plan.removal() {
            Some(Removal::Pruned) => {
                return "its manifest is out of Git and the object is gone".to_owned();
            }
            Some(Removal::Left) => {
                return "its manifest is out of Git; the object stays with 0 replicas".to_owned();
            }
            None => {}
        }
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
            return self.words_without_commit(&image, &by);
        }
        format!("{} is in Git, live and healthy", self.change_words(&image))
    }

    async fn checks(&self, aim: &Aim) -> Result<Vec<Check>, Error> {
        if let Some(removal) = aim.desired.removal {
            return Ok(Box::pin(self.removal_checks(aim, removal)).await);
        }
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
        let has_step = |action| self.prepared.plan.has(action);
        let landing = has_step(Action::Land).then(|| {
            self.landing.clone().unwrap_or(Landing {
                verdict: Verdict::Unknown,
                evidence: "landing was not waited for".to_owned(),
            })
        });
        let mut checks = goal(
            &sight.observation,
            Goals {
                desired: &aim.desired,
                baseline: &self.head.baseline,
                landing: landing.as_ref(),
                rollout: has_step(Action::Rollout),
            },
        );
        checks.extend(self.guard_check().await);
        checks.extend(self.branch_check(&tip, aim).await);
        Ok(checks)
    }

    /// Of a document that was taken out of Git. The object may be gone, so that there is
    /// nothing else to look at.
    async fn removal_checks(&self, aim: &Aim, removal: Removal) -> Vec<Check> {
        let (live, tip, guard) = tokio::join!(self.presence(), self.fetch(), self.guard_check());
        let mut checks = vec![removal_check(removal, &live)];
        checks.extend(self.landing.as_ref().map(|landing| {
            let evidence = landing.evidence.clone();
            Check::new("argocd", "Argo CD has pruned it", landing.verdict, evidence)
        }));
        checks.extend(guard);
        checks.extend(self.branch_check(&tip, aim).await);
        checks
    }

    /// Whether the branch still has what this run put there.
    async fn branch_check(&self, tip: &Result<CommitId, GitError>, aim: &Aim) -> Option<Check> {
        let has_step = |action| self.prepared.plan.has(action);
        let through_git = self.prepared.plan.is_through_git() || has_step(Action::Settle);
        let git = self
            .sight
            .observation
            .git
            .as_ref()
            .filter(|_| through_git)?;
        let has = match tip {
            Ok(tip) => self.has_content(tip, aim).await,
            Err(_) => None,
        };
        let shown = tip.as_ref().map_or("an unknown commit", CommitId::as_str);
        Some(branch_check(has, &git.branch, shown))
    }

    async fn has_content(&self, tip: &CommitId, aim: &Aim) -> Option<bool> {
        let path = self.sight.repository.clone()?;
        let shipped = Shipped::of(&self.sight.observation)?;
        let (tip, wanted) = (tip.clone(), aim.desired.clone());
        tokio::task::spawn_blocking(move || {
            let repository = path.open().ok()?;
            if wanted.removal.is_some() {
                return shipped.is_absent_at(&repository, &tip).ok()?;
            }
            let fields = shipped.fields_at(&repository, &tip).ok()?;
            Some(fields.is_some_and(|own| wanted.is_in(&own)))
        })
        .await
        .ok()
        .flatten()
    }

    /// The workload that must stay as it was, on a look of its own.
    async fn guard_check(&self) -> Option<Check> {
        let guard = self.head.guard.as_ref()?;
        let scope = crate::observe::Scope {
            git: false,
            rights: false,
            kind: Some(guard.reference.kind),
            name: guard.reference.name.clone(),
            namespace: guard.reference.namespace.clone(),
            ..self.setup.scope.clone()
        };
        let look = observe(&self.setup.clients, &scope, (self.setup.now)()).await;
        Some(match look {
            Ok(sight) => guard_check(guard, &sight.observation),
            Err(error) => Check::new(
                "production",
                "production is untouched",
                Verdict::Unknown,
                error.to_string(),
            ),
        })
    }

    /// What a run came to that made no commit: nothing was to be done, or the cluster
    /// was changed.
    fn words_without_commit(&self, image: &str, by: &str) -> String {
        let plan = &self.prepared.plan;
        let changed = self.change_words(image);
        if plan.is_through_git() && plan.writes.is_empty() {
            return format!("nothing to do: {changed} is in Git{by}, live and healthy");
        }
        if plan.writes.is_empty() && plan.patch.is_none() {
            return format!("nothing to do: {changed} is live and healthy");
        }
        format!("{changed} is live and healthy")
    }

    /// What the plan was about, in words.
    fn change_words(&self, image: &str) -> String {
        let desired = &self.prepared.desired;
        match (desired.replicas, desired.paused, &desired.restarted_at) {
            (Some(replicas), _, _) => format!("{replicas} replicas of {image}"),
            (None, Some(true), _) if !self.prepared.plan.has(Action::Rollout) => {
                format!("the pause of {image}")
            }
            (None, _, Some(_)) => format!("the restart of {image}"),
            _ => image.to_owned(),
        }
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
