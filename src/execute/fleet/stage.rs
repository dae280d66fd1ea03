//! The commit of a stage: all its members planned together, pushed as one fast-forward.

use std::time::{Duration, Instant};

use super::store::StageCommit;
use super::{Fleet, clone_of};
use crate::execute::request::Refused;
use crate::execute::run::End;
use crate::execute::{Error, Turns};
use crate::git::{CommitRequest, PushOutcome, SignMode, Stamp};
use crate::model::{CommitId, Identity, plain};
use crate::observe::Sight;
use crate::plan::fleet::{Member, Together, together};
use crate::plan::{Decision, Intent, Prepared};
use crate::report::RunState;

/// How long a stage tries to win the race for the branch.
const DEADLINE: Duration = Duration::from_secs(300);

/// What became of one attempt.
enum Attempt {
    /// The branches have what the stage needs.
    Done,
    /// A branch moved.
    Again(String),
    /// The fleet ends here.
    End(End),
}

impl Fleet {
    /// Pushes what the stage's members need.
    pub(super) async fn push(&mut self, stage: usize) -> Result<Option<End>, Error> {
        let began = Instant::now();
        let mut turns = Turns::new(DEADLINE / 8);
        loop {
            if *self.setup.stop.borrow() {
                return Ok(Some(End::stopped(&format!("stage {}", stage + 1))));
            }
            turns.begin();
            match Box::pin(self.attempt(stage)).await? {
                Attempt::Done => return Ok(None),
                Attempt::End(end) => return Ok(Some(end)),
                Attempt::Again(reason) if began.elapsed() < DEADLINE => {
                    self.note(format!("the branch moved ({reason}): planning again"));
                    tokio::time::sleep(turns.lost()).await;
                }
                Attempt::Again(reason) => {
                    let seconds = DEADLINE.as_secs();
                    let text = format!("the branch kept moving for {seconds} s ({reason})");
                    return Ok(Some(End::new(RunState::Stopped, 4, text)));
                }
            }
        }
    }

    async fn attempt(&mut self, stage: usize) -> Result<Attempt, Error> {
        let places: Vec<usize> = self.stored.range(stage).collect();
        let looks = self.look(&places).await?;
        for group in groups(&looks) {
            let members = group.iter().map(|at| Member {
                observation: looks[*at].observation.clone(),
                request: self.stored.members[places[*at]].request.clone(),
            });
            let members: Vec<Member> = members.collect();
            let planned = together(&members, &self.setup.verified);
            for (at, decision) in group.iter().zip(&planned.decisions) {
                if let Some(end) = self.objection(places[*at], decision) {
                    return Ok(Attempt::End(end));
                }
            }
            if planned.files.is_empty() {
                continue;
            }
            let Some(first) = group.first() else { continue };
            match self.commit(stage, &looks[*first], &planned).await? {
                Attempt::Done => {}
                other => return Ok(other),
            }
        }
        Ok(Attempt::Done)
    }

    /// Why a member cannot go along any more.
    fn objection(&self, place: usize, decision: &Decision) -> Option<End> {
        let member = &self.stored.members[place];
        let target = member.request.target.short();
        let begun = self.stored.commits.iter().any(|commit| commit.pushed);
        match decision {
            Decision::Refused(refusal) => {
                let reason = format!("no safe plan for {target}: {}", refusal.first_words());
                let (state, code) = if begun {
                    (RunState::Stopped, 4)
                } else {
                    (RunState::Refused, 3)
                };
                Some(End::new(state, code, reason))
            }
            Decision::Plan(prepared)
                if !prepared.plan.commits.is_empty()
                    && member.effect_id.as_ref() != Some(&prepared.plan.effect_id) =>
            {
                let reason = format!(
                    "{target}: the effect would be another one than was planned; nothing of this stage was pushed"
                );
                Some(End::new(RunState::Superseded, 3, reason))
            }
            Decision::Plan(_) | Decision::NotNeeded(_) => None,
        }
    }

    async fn commit(
        &mut self,
        stage: usize,
        sight: &Sight,
        planned: &Together,
    ) -> Result<Attempt, Error> {
        let path = clone_of(sight)?.clone();
        let Some(git) = &sight.observation.git else {
            return Err(crate::git::GitError::Interrupted.into());
        };
        let request = self.request(stage, &git.tip, planned);
        let message = request.message.clone();
        let commit = path.write_commit(request).await?;
        (self.setup.crash)("fleet made commit");
        let own = StageCommit {
            stage,
            repository: git.repository.clone(),
            branch: git.branch.clone(),
            commit: commit.as_str().to_owned(),
            pushed: false,
        };
        let place = |known: &StageCommit| {
            (known.stage, &known.repository, &known.branch)
                == (own.stage, &own.repository, &own.branch)
        };
        self.stored.commits.retain(|known| !place(known));
        self.stored.commits.push(own);
        self.save()?;
        (self.setup.crash)("fleet recorded commit");
        let outcome = path.push(&git.remote, &commit, &git.branch).await?;
        (self.setup.crash)("fleet pushed");
        let what = (&commit, &*message);
        let stopped = |reason: String| Ok(Attempt::End(End::new(RunState::Stopped, 4, reason)));
        match outcome {
            PushOutcome::Pushed { .. } | PushOutcome::UpToDate => {
                if let Some(own) = self.stored.commits.last_mut() {
                    own.pushed = true;
                }
                self.save()?;
                self.note(format!(
                    "stage {} of {}: {} pushed to {}",
                    stage + 1,
                    self.stored.stages.len(),
                    commit.short(),
                    git.branch
                ));
                super::super::push::fast_forward(&path, (&git.remote, &git.branch), &commit).await;
                Ok(Attempt::Done)
            }
            PushOutcome::Rejected { reason } => Ok(Attempt::Again(reason)),
            PushOutcome::Unreachable { text } => {
                stopped(format!("the remote could not be reached: {text}"))
            }
            PushOutcome::TimedOut { seconds } => {
                stopped(format!("no answer from the remote within {seconds} s"))
            }
            PushOutcome::Refused { reason, text, url } => {
                let refused = Refused { reason, text, url };
                let end = self.hand_over(stage, (&path, git), what, (planned, refused));
                end.await.map(Attempt::End)
            }
            PushOutcome::AuthFailed { text } | PushOutcome::RepositoryNotFound { text } => {
                let end = self.hand_over(
                    stage,
                    (&path, git),
                    what,
                    (planned, Refused::no_right(text)),
                );
                end.await.map(Attempt::End)
            }
            PushOutcome::HookDeclinedLocally { text } => {
                stopped(format!("your pre-push hook said no: {text}"))
            }
        }
    }

    fn request(&self, stage: usize, parent: &CommitId, planned: &Together) -> CommitRequest {
        let stamp = |identity: &Identity| Stamp {
            identity: identity.clone(),
            time: self.stored.began,
        };
        let files = planned.files.iter();
        CommitRequest {
            parent: parent.clone(),
            files: files
                .clone()
                .filter(|file| !file.gone)
                .map(|file| (file.path.clone(), file.after.clone().into_bytes()))
                .collect(),
            removed: files
                .filter(|file| file.gone)
                .map(|file| file.path.clone())
                .collect(),
            message: self.message(stage, planned),
            author: stamp(&self.setup.author),
            committer: stamp(&self.setup.committer),
            sign: SignMode::AsConfigured,
        }
    }

    /// Subject, one line a target, trailers.
    fn message(&self, stage: usize, planned: &Together) -> String {
        let count = self.stored.stages.len();
        let mut text = plain(self.stored.subject.trim());
        if count > 1 {
            text.push_str(&format!(" (stage {} of {count})", stage + 1));
        }
        text.push_str("\n\n");
        let mut trailers: Vec<String> = Vec::new();
        for prepared in planned.decisions.iter().filter_map(plan) {
            for target in &prepared.plan.targets {
                text.push_str(&format!(
                    "- {}/{} in namespace {}: {} to {}\n",
                    target.kind.as_str().to_lowercase(),
                    target.name,
                    target.namespace,
                    plain(&target.from.image),
                    plain(&target.to.image)
                ));
                let to = (prepared.plan.request.intent == Intent::Rollback)
                    .then_some(target.to.commit.as_ref())
                    .flatten();
                let of = target
                    .from
                    .commit
                    .as_ref()
                    .map(|id| format!("Rollback-Of: {id}"));
                let to = to.map(|id| format!("Rollback-To: {id}"));
                for trailer in of.into_iter().chain(to) {
                    if !trailers.contains(&trailer) {
                        trailers.push(trailer);
                    }
                }
            }
        }
        let requests = self.stored.members.first().map(|member| &member.request);
        if let Some(reason) = requests.and_then(|request| request.reason.as_ref()) {
            text.push_str(&format!("Reason: {}\n", plain(reason.trim())));
        }
        if let Some(approval) = requests.and_then(|request| request.approval.as_ref()) {
            trailers.push(format!(
                "Approved-By: {}",
                plain(approval).replace('\n', " ")
            ));
        }
        trailers.push(format!("Unship-Run: {}", self.stored.fleet_id));
        format!("{}\n\n{}\n", text.trim_end(), trailers.join("\n"))
    }
}

const fn plan(decision: &Decision) -> Option<&Prepared> {
    match decision {
        Decision::Plan(prepared) => Some(prepared),
        Decision::Refused(_) | Decision::NotNeeded(_) => None,
    }
}

/// The looks by repository and branch, in their order.
fn groups(looks: &[Sight]) -> Vec<Vec<usize>> {
    let mut found: Vec<((String, String), Vec<usize>)> = Vec::new();
    for (at, look) in looks.iter().enumerate() {
        let git = look.observation.git.as_ref();
        let key = git.map_or_else(Default::default, |git| {
            (git.clone.clone(), git.branch.clone())
        });
        match found.iter_mut().find(|(known, _)| *known == key) {
            Some((_, members)) => members.push(at),
            None => found.push((key, vec![at])),
        }
    }
    found.into_iter().map(|(_, members)| members).collect()
}
