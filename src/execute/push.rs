//! The commit and the push: never forced, planned again when the race is lost.

use std::time::{Duration, Instant};

use super::capture::{capture, capture_all};
use super::journal::Record;
use super::land::stopped;
use super::prove::proved;
use super::run::{End, Run};
use super::{Error, Event, Turns, request};
use crate::git::{
    CommitRequest, FastForward, GitError, PushOutcome, RepositoryPath, SignMode, Stamp,
};
use crate::model::{CommitId, Identity, mask_text};
use crate::observe::{Sight, observe, on_new_tip};
use crate::plan::{
    Action, Decision, Goal, PlannedCommit, Prepared, Trailers, build, commit_message,
};
use crate::report::{CommitReport, RunState};
use crate::timeline::Timeline;

/// What the Git part came to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The branch has the content; the commit is ours unless somebody was quicker.
    Pushed(Option<CommitId>),
    /// The run ends here.
    End(End),
}

/// One attempt's outcome.
enum Attempt {
    Done(CommitId),
    Again(String),
    End(End),
}

/// Captures evidence, commits and pushes, planning again as long as the branch moves.
pub(super) async fn commit_and_push(run: &mut Run) -> Result<Outcome, Error> {
    match run.head.request.goal {
        Goal::Edited => return edit(run).await,
        Goal::Committed => return commit_only(run).await,
        Goal::Pushed | Goal::Landed | Goal::Verified => {}
    }
    // Where the cluster was changed first, the evidence was saved before that.
    let first = run.prepared.plan.is_through_git();
    let mut evidence = match (first, run.done.contains("capture")) {
        (true, false) => Some(start_capture(run)?),
        (true, true) => {
            run.already_done("capture");
            None
        }
        (false, _) => None,
    };
    let deadline = step_deadline(run, Action::Push);
    let began = Instant::now();
    let mut turns = Turns::new(deadline / 8);
    loop {
        if *run.stop().borrow() {
            return Ok(Outcome::End(End::stopped("commit")));
        }
        let Some(commit) = commit(run).await? else {
            return Ok(Outcome::End(End::stopped("commit")));
        };
        if let Some(capture) = evidence.take()
            && !end_capture(run, capture).await?
        {
            return Ok(Outcome::End(End::stopped("capture")));
        }
        if let Some(end) = super::prove::prove(run, &commit).await? {
            return Ok(Outcome::End(end));
        }
        run.keep_record().await?;
        match attempt(run, &commit).await? {
            Attempt::Done(commit) => return Ok(Outcome::Pushed(Some(commit))),
            Attempt::End(end) => return Ok(Outcome::End(end)),
            Attempt::Again(reason) => {
                if began.elapsed() >= deadline {
                    let text = format!(
                        "the branch kept moving for {} s ({reason})",
                        deadline.as_secs()
                    );
                    return Ok(Outcome::End(End::new(RunState::Stopped, 4, text)));
                }
                run.emit(Event::Note(format!(
                    "the branch moved ({reason}): planning again"
                )));
                let wait = turns.lost();
                let stop = run.stop();
                let again = async {
                    tokio::time::sleep(wait).await;
                    turns.begin();
                    Box::pin(plan_again(run)).await
                };
                let outcome = tokio::select! {
                    biased;
                    () = stopped(stop) => Some(Outcome::End(End::stopped("plan"))),
                    outcome = again => outcome?,
                };
                if let Some(outcome) = outcome {
                    return Ok(outcome);
                }
            }
        }
    }
}

fn step_deadline(run: &Run, action: Action) -> Duration {
    let step = run
        .prepared
        .plan
        .steps
        .iter()
        .find(|step| step.action == action);
    Duration::from_secs(
        step.and_then(|s| u64::try_from(s.deadline_seconds).ok())
            .unwrap_or(120),
    )
}

/// A capture at work. What a scale-down takes away is told when it is saved.
pub(super) struct Capture {
    began: Instant,
    task: tokio::task::JoinHandle<super::capture::Captured>,
    first: Option<tokio::sync::oneshot::Receiver<()>>,
}

/// Starts saving evidence: everything where pods are taken away on purpose, else what
/// can be had in a few seconds.
pub(super) fn start_capture(run: &mut Run) -> Result<Capture, Error> {
    run.begin("capture", "logs, events and objects are saved", 5)?;
    let folder = run.journal.directory().join("evidence");
    let (clients, observation) = (run.setup.clients.clone(), run.sight.observation.clone());
    let began = Instant::now();
    let (task, first) = if run.head.request.intent.takes_pods_away() {
        let timeline = Timeline::of(&observation, &run.setup.verified);
        let forward = run.prepared.plan.forwards();
        let (sender, first) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let saved = (folder, timeline, forward);
            capture_all(&clients, &observation, saved, sender).await
        });
        (task, Some(first))
    } else {
        let task = tokio::spawn(async move { capture(&clients, &observation, folder).await });
        (task, None)
    };
    Ok(Capture { began, task, first })
}

/// False when a person stopped it: going on captures again.
pub(super) async fn end_capture(run: &mut Run, capture: Capture) -> Result<bool, Error> {
    let Capture { began, task, first } = capture;
    if let Some(first) = first {
        tokio::select! {
            biased;
            () = stopped(run.stop()) => {
                run.close("capture", began, "stopped", "")?;
                return Ok(false);
            }
            _ = first => {}
        }
        (run.setup.crash)("captured");
        run.rest_of_evidence = Some(task);
        run.close(
            "capture",
            began,
            "done",
            "logs, events and objects; the rest goes on",
        )?;
        return Ok(true);
    }
    let captured = tokio::select! {
        biased;
        () = stopped(run.stop()) => {
            run.close("capture", began, "stopped", "")?;
            return Ok(false);
        }
        captured = task => captured.unwrap_or_default(),
    };
    (run.setup.crash)("captured");
    for missing in &captured.missing {
        run.report
            .notes
            .push(format!("evidence misses {}", mask_text(missing)));
    }
    run.close(
        "capture",
        began,
        "done",
        &format!("{} files", captured.files),
    )?;
    Ok(true)
}

/// The step `edit`: the file in the work tree, nothing else.
async fn edit(run: &mut Run) -> Result<Outcome, Error> {
    run.begin("edit", "the file has the target content", 10)?;
    let began = Instant::now();
    let Some(path) = run.repository().cloned() else {
        return Err(GitError::Interrupted.into());
    };
    let files = run.git_part().files.clone();
    let written = tokio::task::spawn_blocking(move || {
        let repository = path.open()?;
        for file in &files {
            repository.write_work_tree_file(
                &file.path,
                file.before.as_bytes(),
                file.after.as_bytes(),
            )?;
        }
        Ok::<_, GitError>(())
    })
    .await
    .map_err(|_| GitError::Interrupted)?;
    written?;
    run.close("edit", began, "done", "")?;
    Ok(Outcome::End(End::new(
        RunState::Succeeded,
        0,
        "the file in the work tree is edited; nothing was committed",
    )))
}

/// The commit on `unship/<plan id>`, nothing pushed.
async fn commit_only(run: &mut Run) -> Result<Outcome, Error> {
    let Some(commit) = commit(run).await? else {
        return Ok(Outcome::End(End::stopped("commit")));
    };
    let Some(path) = run.repository().cloned() else {
        return Err(GitError::Interrupted.into());
    };
    let branch = side_branch(run);
    let (name, id) = (branch.clone(), commit.clone());
    tokio::task::spawn_blocking(move || path.open()?.create_branch_ref(&name, &id))
        .await
        .map_err(|_| GitError::Interrupted)??;
    run.report.commits = vec![CommitReport {
        id: commit.as_str().to_owned(),
        branch: branch.clone(),
        pushed: false,
    }];
    let git = run.sight.observation.git.as_ref();
    if let Some(git) = git {
        run.report.next.push(format!(
            "git push {} {branch}:refs/heads/{}",
            git.remote, git.branch
        ));
    }
    Ok(Outcome::End(End::new(
        RunState::Succeeded,
        0,
        format!("the commit is on {branch}; nothing was pushed"),
    )))
}

pub(super) fn side_branch(run: &Run) -> String {
    format!("unship/{}", run.prepared.plan.plan_id)
}

/// Builds the commit in the object database. Author date and committer date are the
/// run's beginning, so that an unsigned commit that is made again has the same id.
/// `None` when a person stopped it, while a key waits to be unlocked for instance.
async fn commit(run: &mut Run) -> Result<Option<CommitId>, Error> {
    let step = run
        .prepared
        .plan
        .steps
        .iter()
        .find(|step| step.action == Action::Commit)
        .cloned();
    run.begin(
        "commit",
        step.as_ref().map_or("", |s| s.ensures.as_str()),
        10,
    )?;
    let began = Instant::now();
    let plan = &run.prepared.plan;
    let (Some(planned), Some(git), Some(path)) = (
        plan.commits.first(),
        run.sight.observation.git.as_ref(),
        run.repository().cloned(),
    ) else {
        return Err(GitError::Interrupted.into());
    };
    let request = request_of(run, planned, &git.tip);
    let parent = git.tip.as_str().to_owned();
    let commit = tokio::select! {
        biased;
        () = stopped(run.stop()) => {
            run.close("commit", began, "stopped", "")?;
            return Ok(None);
        }
        commit = path.write_commit(request) => commit?,
    };
    (run.setup.crash)("made commit");
    let at = run.now();
    run.record(&Record::Committed {
        commit: commit.as_str().to_owned(),
        parent,
        at,
    })?;
    run.close("commit", began, "done", commit.short())?;
    Ok(Some(commit))
}

fn request_of(run: &Run, planned: &PlannedCommit, parent: &CommitId) -> CommitRequest {
    let message = commit_message(
        &planned.message,
        &Trailers {
            plan: &run.prepared.plan,
            run: &run.head.run_id,
        },
    );
    let stamp = |identity: &Identity| Stamp {
        identity: identity.clone(),
        time: run.head.began,
    };
    let files = &run.git_part().files;
    CommitRequest {
        parent: parent.clone(),
        files: files
            .iter()
            .filter(|f| !f.gone)
            .map(|f| (f.path.clone(), f.after.clone().into_bytes()))
            .collect(),
        removed: files
            .iter()
            .filter(|f| f.gone)
            .map(|f| f.path.clone())
            .collect(),
        message,
        author: stamp(&run.setup.author),
        committer: stamp(&run.setup.committer),
        sign: SignMode::AsConfigured,
    }
}

async fn attempt(run: &mut Run, commit: &CommitId) -> Result<Attempt, Error> {
    let Some(git) = run.sight.observation.git.as_ref() else {
        return Err(GitError::Interrupted.into());
    };
    let (remote, branch) = (git.remote.clone(), git.branch.clone());
    let Some(path) = run.repository().cloned() else {
        return Err(GitError::Interrupted.into());
    };
    run.begin("push", "the branch contains this run's commit", 120)?;
    let began = Instant::now();
    let outcome = path.push(&remote, commit, &branch).await?;
    (run.setup.crash)("pushed");
    match outcome {
        PushOutcome::Pushed { .. } | PushOutcome::UpToDate => {
            pushed(run, began, commit, &branch)?;
            follow_checkout(run, &remote, &branch, commit).await;
            Ok(Attempt::Done(commit.clone()))
        }
        PushOutcome::Rejected { reason } => Ok(Attempt::Again(reason)),
        PushOutcome::Refused { reason, text, url } => {
            run.close("push", began, "failed", &reason)?;
            let refused = request::Refused { reason, text, url };
            let end = request::hand_over(run, commit, refused).await?;
            Ok(Attempt::End(end))
        }
        PushOutcome::AuthFailed { text } | PushOutcome::RepositoryNotFound { text } => {
            run.close("push", began, "failed", request::NO_RIGHT)?;
            let refused = request::Refused::no_right(text);
            let end = request::hand_over(run, commit, refused).await?;
            Ok(Attempt::End(end))
        }
        PushOutcome::Unreachable { text } => {
            let reason = format!("the remote could not be reached: {text}");
            unpushed(run, began, End::new(RunState::Stopped, 4, reason))
        }
        PushOutcome::TimedOut { seconds } => {
            let reason = format!("no answer from the remote within {seconds} s");
            unpushed(run, began, End::new(RunState::Stopped, 4, reason))
        }
        PushOutcome::HookDeclinedLocally { text } => {
            let reason = format!("your pre-push hook said no: {text}");
            unpushed(run, began, End::new(RunState::Refused, 3, reason))
        }
    }
}

/// The branch has the commit.
fn pushed(run: &mut Run, began: Instant, commit: &CommitId, branch: &str) -> Result<(), Error> {
    let at = run.now();
    let id = commit.as_str().to_owned();
    run.record(&Record::Pushed {
        commit: id.clone(),
        branch: branch.to_owned(),
        at,
    })?;
    run.report.commits = vec![CommitReport {
        id,
        branch: branch.to_owned(),
        pushed: true,
    }];
    let evidence = format!("{} on {branch}", commit.short());
    run.close("push", began, "done", &evidence)
}

/// The push did not go through, or it is not known whether it did.
fn unpushed(run: &mut Run, began: Instant, end: End) -> Result<Attempt, Error> {
    let state = if end.state == RunState::Refused {
        "failed"
    } else {
        "stopped"
    };
    run.close("push", began, state, &end.reason)?;
    Ok(Attempt::End(end))
}

/// Brings a clean checkout on that branch along, without a word.
pub(super) async fn fast_forward(
    path: &RepositoryPath,
    (remote, branch): (&str, &str),
    commit: &CommitId,
) {
    if path.is_cached_clone() {
        return;
    }
    let (path, remote, branch) = (path.clone(), remote.to_owned(), branch.to_owned());
    let commit = commit.clone();
    let moved = tokio::task::spawn_blocking(move || {
        path.open()?
            .fast_forward_checkout(&remote, &branch, &commit)
    });
    // A checkout that stays behind is its owner's to bring along.
    let _ = moved.await;
}

/// Brings a clean checkout on that branch along; else leaves it alone and says so.
async fn follow_checkout(run: &mut Run, remote: &str, branch: &str, commit: &CommitId) {
    let Some(path) = run.repository().cloned() else {
        return;
    };
    if path.is_cached_clone() {
        return;
    }
    let (remote, name, id) = (remote.to_owned(), branch.to_owned(), commit.clone());
    let file = run.file().to_owned();
    let bad: Vec<u8> = run
        .git_part()
        .files
        .iter()
        .find(|f| f.path == file)
        .map(|f| f.before.clone().into_bytes())
        .unwrap_or_default();
    let done = tokio::task::spawn_blocking(move || {
        let repository = path.open()?;
        let moved = repository.fast_forward_checkout(&remote, &name, &id)?;
        let own = repository.work_tree_file(&file).unwrap_or(None);
        Ok::<_, GitError>((moved, own.as_deref() == Some(&bad), file))
    })
    .await;
    let Ok(Ok((moved, still_bad, file))) = done else {
        run.report
            .notes
            .push("your checkout was left alone: its state could not be read".to_owned());
        return;
    };
    let why = match moved {
        FastForward::Done => {
            run.report
                .notes
                .push("your clean checkout was fast-forwarded".to_owned());
            return;
        }
        FastForward::AlreadyThere | FastForward::Bare => return,
        FastForward::NotOnBranch {
            branch: Some(other),
        } => format!("it is on {other}"),
        FastForward::NotOnBranch { branch: None } => "its HEAD is detached".to_owned(),
        FastForward::OtherUpstream { branch } => format!("{branch} follows another branch"),
        FastForward::Dirty { paths } => {
            format!("it has uncommitted changes ({})", paths.join(", "))
        }
        FastForward::InProgress { operation } => format!("a {operation} is under way"),
        FastForward::Diverged => "it has commits of its own".to_owned(),
        FastForward::Refused { text } => text,
    };
    let warning = if still_bad {
        format!("; its copy of {file} still has the bad content")
    } else {
        String::new()
    };
    run.report
        .notes
        .push(format!("your checkout was left alone: {why}{warning}"));
}

/// Looks again and plans again with the target pinned. `None`: the same effect goes
/// on by itself on the new tip.
async fn plan_again(run: &mut Run) -> Result<Option<Outcome>, Error> {
    let sight = match on_new_tip(&run.sight, run.now()).await {
        Some(sight) => sight,
        None => observe(&run.setup.clients, &run.setup.scope, run.now()).await?,
    };
    let timeline = Timeline::of(&sight.observation, &run.setup.verified);
    let request = run.git_request();
    let decision = build(&sight.observation, &timeline, &request);
    let end = match Box::pin(proved(&run.setup.clients, &sight, decision)).await {
        Decision::Plan(prepared) if prepared.plan.commits.is_empty() => {
            return Ok(Some(done_by_others(run, sight)));
        }
        Decision::Plan(prepared) if prepared.plan.effect_id == run.git_part().plan.effect_id => {
            same_effect(run, *prepared, sight)?;
            return Ok(None);
        }
        Decision::Plan(prepared) => {
            let files: Vec<&str> = prepared.files.iter().map(|f| f.path.as_str()).collect();
            let reason = format!(
                "the branch moved and the effect would be another one now ({} was changed by others): nothing was pushed",
                files.join(", ")
            );
            End::new(RunState::Superseded, 3, reason)
        }
        Decision::Refused(refusal) => {
            let reason = format!(
                "the branch moved and there is no safe plan now: {}",
                refusal.first_words()
            );
            End::new(RunState::Stopped, 4, reason)
        }
        Decision::NotNeeded(reason) => End::new(RunState::Superseded, 0, reason),
    };
    Ok(Some(Outcome::End(end)))
}

/// Somebody was quicker with the same content: it only has to land.
fn done_by_others(run: &mut Run, sight: Sight) -> Outcome {
    let text = "somebody else pushed the same content first; no commit of this run was needed";
    run.emit(Event::Note(text.to_owned()));
    run.report.notes.push(text.to_owned());
    run.sight = sight;
    run.report.commits.clear();
    Outcome::Pushed(None)
}

/// The same effect on the new tip.
fn same_effect(run: &mut Run, prepared: Prepared, sight: Sight) -> Result<(), Error> {
    let at = run.now();
    let tip = sight
        .observation
        .git
        .as_ref()
        .map(|git| git.tip.as_str().to_owned());
    if run.prepared.plan.is_through_git() {
        run.prepared = prepared;
    } else {
        run.prepared.plan.commits.clone_from(&prepared.plan.commits);
        run.prepared.git = Some(Box::new(prepared));
    }
    let plan_id = run.prepared.plan.plan_id.clone();
    run.journal.replace_plan(&run.prepared.plan)?;
    run.report.plan_id.clone_from(&plan_id);
    run.record(&Record::Replanned {
        plan_id,
        parent: tip.unwrap_or_default(),
        at,
    })?;
    run.sight = sight;
    Ok(())
}
