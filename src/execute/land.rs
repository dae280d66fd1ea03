//! Waiting until Argo CD has the content live, and until the rollout is complete.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::run::Run;
use super::{Event, Pace};
use crate::git::RepositoryPath;
use crate::model::{Application, CommitId, Desired, Lands, Presence, Verdict, Workload};
use crate::observe::Shipped;
use crate::verify::{Landing, Relation, judge_landing, judge_maker, judge_pruned, judge_set};

/// How a wait ended.
#[derive(Debug)]
pub(super) enum Waited {
    /// It holds.
    Holds(String),
    /// It will not hold by itself.
    Fails(String),
    /// The deadline passed; the text says what was still being waited for.
    Deadline(String),
    /// A person stopped it.
    Stopped,
}

/// What landing is judged against.
#[derive(Debug, Clone)]
pub(super) struct Aim {
    /// The run's own commit, when it made one.
    pub commit: Option<CommitId>,
    /// What should be live.
    pub desired: Desired,
}

/// Relations of compared commits to ours: each commit is looked up once.
#[derive(Default)]
struct Relations {
    known: BTreeMap<String, Relation>,
    fetched: Option<Instant>,
}

/// One refresh may take this long. Argo CD before 3.6 can lose a refresh while it
/// reconciles; then it is asked again.
const REFRESH_LIMIT: Duration = Duration::from_secs(5);

/// Waits for landing.
pub(super) async fn landing(run: &mut Run, aim: &Aim, deadline: Duration) -> Waited {
    let began = Instant::now();
    let mut pace = Pace::new(Duration::from_millis(60), Duration::from_secs(2));
    let mut relations = Relations::default();
    let mut shown = String::new();
    let mut refresh = true;
    loop {
        let look = run.look_for_landing(refresh);
        let (application, live, makers) = tokio::select! {
            biased;
            () = stopped(run.stop()) => return Waited::Stopped,
            both = tokio::time::timeout(deadline.saturating_sub(began.elapsed()), look) => match both {
                Ok(both) => both,
                Err(_) => return Waited::Deadline(shown),
            },
        };
        let landing = if application.is_none() && run.asks_argocd() {
            // It could be read before: a silent Argo CD is not the same as none.
            refresh = !refresh;
            Landing::waiting("Argo CD to answer")
        } else {
            let above = relations.above(run, (&application, &makers), aim).await;
            let relation = match (&application, run.lands()) {
                (Some(app), Lands::Source(source)) => relations.of(run, (app, source), aim).await,
                (Some(_), Lands::Maker(_)) => Relation::HasContent,
                (None, _) => Relation::Unknown,
            };
            refresh = relation != Relation::HasContent || above.is_some();
            match (&live, above) {
                (_, Some(waiting)) => waiting,
                (live, None) if aim.desired.removal.is_some() => {
                    judge_pruned(application.as_ref(), relation, live)
                }
                (live, None) => judge_landing(
                    application.as_ref(),
                    relation,
                    &run.target().object(),
                    match live {
                        Presence::There(workload) => Some(workload),
                        Presence::Gone | Presence::Unreadable => None,
                    },
                    &aim.desired,
                ),
            }
        };
        match landing.verdict {
            Verdict::Holds => {
                run.landing = Some(landing.clone());
                return Waited::Holds(landing.evidence);
            }
            Verdict::Fails => return Waited::Fails(landing.evidence),
            Verdict::Unknown => show(run, "land", &landing, &mut shown),
        }
        if began.elapsed() >= deadline {
            return Waited::Deadline(shown);
        }
        tokio::select! {
            () = stopped(run.stop()) => return Waited::Stopped,
            () = pace.wait() => {}
        }
    }
}

fn show(run: &Run, step: &str, landing: &Landing, shown: &mut String) {
    if *shown != landing.evidence {
        shown.clone_from(&landing.evidence);
        run.emit(Event::Waiting {
            step: step.to_owned(),
            what: landing.evidence.clone(),
        });
    }
}

/// Ends when a person wants to stop.
pub(super) async fn stopped(mut stop: tokio::sync::watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody can ask any more.
        std::future::pending::<()>().await;
    }
}

impl Relations {
    /// What is still missing in the Applications that make the target's own.
    async fn above(
        &mut self,
        run: &Run,
        (application, makers): (&Option<Application>, &[Option<Application>]),
        aim: &Aim,
    ) -> Option<Landing> {
        if !matches!(run.lands(), Lands::Maker(_)) {
            return None;
        }
        let own = application.as_ref()?;
        let makers: Option<Vec<&Application>> = makers.iter().map(Option::as_ref).collect();
        let Some(makers) = makers else {
            return Some(Landing::waiting(
                "the Application that makes this one to be readable",
            ));
        };
        if let Some(set) = run.set() {
            let mut live = vec![own.clone()];
            live.extend(makers.iter().map(|maker| (*maker).clone()));
            let seen = self.of_set(run, live, aim).await;
            return judge_set(&set.name, own, seen);
        }
        let known = run.makers();
        let (_, source) = known.last()?;
        let top = *makers.last()?;
        let relation = self.of(run, (top, *source), aim).await;
        let mut live = vec![own.clone()];
        live.extend(makers.iter().map(|maker| (*maker).clone()));
        live.pop();
        let passed_on = match (relation, compared(top, *source)) {
            (Relation::HasContent, Some(commit)) => passed_on(run, commit, live).await,
            _ => None,
        };
        judge_maker(top, own, (relation, passed_on))
    }

    /// An ApplicationSet tells of no commit: the branch must have the content, and the
    /// Applications what it makes of it.
    async fn of_set(
        &self,
        run: &Run,
        live: Vec<Application>,
        aim: &Aim,
    ) -> (Relation, Option<bool>) {
        let Some(repository) = run.repository() else {
            return (Relation::Unknown, None);
        };
        let Ok(tip) = run.fetch().await else {
            return (Relation::Unknown, None);
        };
        let relation = relation(run, repository, tip.clone(), aim).await;
        let passed_on = passed_on(run, tip.as_str(), live).await;
        (relation, passed_on)
    }

    async fn of(&mut self, run: &Run, (app, source): (&Application, usize), aim: &Aim) -> Relation {
        let Some(text) = compared(app, source) else {
            return Relation::Unknown;
        };
        if let Some(known) = self.known.get(text) {
            return *known;
        }
        let (Ok(compared), Some(repository)) = (CommitId::parse(text), run.repository()) else {
            return Relation::Unknown;
        };
        let mut relation = relation(run, repository, compared.clone(), aim).await;
        let may_fetch = self
            .fetched
            .is_none_or(|at| at.elapsed() > Duration::from_secs(2));
        if relation == Relation::Unknown && may_fetch {
            self.fetched = Some(Instant::now());
            if run.fetch().await.is_ok() {
                relation = self::relation(run, repository, compared, aim).await;
            }
        }
        if relation != Relation::Unknown {
            self.known.insert(text.clone(), relation);
        }
        relation
    }
}

/// The commit that Argo CD compared of a source.
fn compared(app: &Application, source: usize) -> Option<&String> {
    app.compared_commits.get(app.compared_index(source)?)
}

/// Whether live Applications have what is made for them at a commit, the target's own first.
async fn passed_on(run: &Run, commit: &str, live: Vec<Application>) -> Option<bool> {
    let (repository, commit) = (run.repository()?.clone(), CommitId::parse(commit).ok()?);
    let shipped = Shipped::of(&run.sight.observation)?;
    tokio::task::spawn_blocking(move || {
        let repository = repository.open().ok()?;
        shipped.is_as_made_at(&repository, &commit, &live).ok()?
    })
    .await
    .ok()
    .flatten()
}

async fn relation(
    run: &Run,
    repository: &RepositoryPath,
    compared: CommitId,
    aim: &Aim,
) -> Relation {
    let (repository, aim) = (repository.clone(), aim.clone());
    let shipped = Shipped::of(&run.sight.observation);
    let found = tokio::task::spawn_blocking(move || {
        let repository = repository.open().ok()?;
        repository.commit(&compared).ok()?;
        if let Some(own) = &aim.commit
            && !repository.is_ancestor(own, &compared).ok()?
        {
            return Some(Relation::Older);
        }
        let shipped = shipped?;
        if aim.desired.removal.is_some() {
            let absent = shipped.is_absent_at(&repository, &compared).ok()??;
            return Some(match (absent, &aim.commit) {
                (true, _) => Relation::HasContent,
                (false, Some(_)) => Relation::Superseded,
                (false, None) => Relation::Older,
            });
        }
        let found = shipped.fields_at(&repository, &compared).ok()??;
        Some(match (aim.desired.is_in(&found), &aim.commit) {
            (true, _) => Relation::HasContent,
            (false, Some(_)) => Relation::Superseded,
            (false, None) => Relation::Older,
        })
    })
    .await;
    found.ok().flatten().unwrap_or(Relation::Unknown)
}

/// Waits until the rollout is complete or Kubernetes gives up on it.
pub(super) async fn rollout(run: &mut Run, deadline: Duration) -> Waited {
    let began = Instant::now();
    let mut pace = Pace::new(Duration::from_millis(60), Duration::from_secs(2));
    let mut shown = String::new();
    loop {
        let workload = tokio::select! {
            biased;
            () = stopped(run.stop()) => return Waited::Stopped,
            workload = run.workload() => workload,
        };
        let what = match &workload {
            Some(workload) if workload.rollout_complete() => {
                return Waited::Holds(counts(workload));
            }
            Some(workload) if workload.progress_deadline_exceeded() => {
                return Waited::Fails(format!(
                    "Kubernetes gave up on the rollout (ProgressDeadlineExceeded): {}; the old pods were kept",
                    counts(workload)
                ));
            }
            Some(workload) => counts(workload),
            None => "the workload to be readable".to_owned(),
        };
        if what != shown {
            run.emit(Event::Waiting {
                step: "rollout".to_owned(),
                what: what.clone(),
            });
            shown = what;
        }
        if began.elapsed() >= deadline {
            return Waited::Deadline(shown);
        }
        tokio::select! {
            () = stopped(run.stop()) => return Waited::Stopped,
            () = pace.wait() => {}
        }
    }
}

fn counts(workload: &Workload) -> String {
    let rollout = &workload.rollout;
    format!(
        "{} of {} updated, {} available, {} pods in all",
        rollout.updated, workload.replicas, rollout.available, rollout.replicas
    )
}

impl Run {
    fn asks_argocd(&self) -> bool {
        self.sight.observation.argocd.application.is_some()
    }

    async fn look_for_landing(
        &self,
        refresh: bool,
    ) -> (Option<Application>, Presence, Vec<Option<Application>>) {
        let makers = async {
            let mut found = Vec::new();
            for (maker, _) in self.makers() {
                found.push(self.maker(&maker, refresh, REFRESH_LIMIT).await);
            }
            found
        };
        tokio::join!(
            self.application(refresh, REFRESH_LIMIT),
            self.presence(),
            makers
        )
    }
}
