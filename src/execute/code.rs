//! The code's commit reverted in its own repository, after the canary is out.

use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::Error;
use super::journal::Record;
use super::run::{End, Run};
use crate::git::{
    CommitRequest, GitError, PushOutcome, Repository, RepositoryPath, Reverting, SignMode, Stamp,
};
use crate::model::{CommitId, mask_text, plain};
use crate::plan::{PlannedRevert, RevertedFile};
use crate::report::RunState;

/// The step's id.
const STEP: &str = "revertCode";

/// How often a push that lost a race is tried again.
const TRIES: u32 = 5;

/// What the revert of a commit changes on a tip, file by file; nothing where nothing of
/// it is left to be undone.
///
/// # Errors
/// Why it cannot be reverted there, in a sentence; or that git cannot read something.
pub fn reverted_files(
    repository: &Repository,
    commit: &CommitId,
    tip: &CommitId,
) -> Result<Result<Vec<RevertedFile>, String>, GitError> {
    Ok(match repository.reverting(commit, tip)? {
        Reverting::Clean { files, removed } => {
            let mut all = Vec::new();
            for (path, bytes) in &files {
                all.push((path.clone(), hash(bytes)));
            }
            all.extend(removed.into_iter().map(|path| (path, String::new())));
            let mut found = Vec::new();
            for (path, after) in all {
                let before = repository.blob_at(tip, &path)?;
                let before = before.map(|blob| hash(&blob.bytes)).unwrap_or_default();
                found.push(RevertedFile {
                    path,
                    before,
                    after,
                });
            }
            Ok(found)
        }
        Reverting::Conflicts(paths) => Err(format!(
            "later work touched the same lines of {}",
            paths.join(", ")
        )),
        Reverting::Nothing => Ok(Vec::new()),
        Reverting::Unfit(why) => Err(why),
    })
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// One attempt's outcome.
enum Tried {
    Done(String),
    Again(String),
    Not(String),
}

/// Reverts it where the run has come to its goal. Its failure undoes nothing: the run
/// stops there and can go on.
pub(super) async fn revert(run: &mut Run, end: End) -> Result<End, Error> {
    let Some(part) = run.head.code.clone() else {
        return Ok(end);
    };
    if end.code != 0 {
        let text = "the code's commit was not reverted: the run did not come to its goal";
        run.report.notes.push(text.to_owned());
        return Ok(end);
    }
    if run.done.contains(STEP) {
        run.already_done(STEP);
        return Ok(end);
    }
    run.begin(STEP, "the code's branch has the revert", 120)?;
    let began = Instant::now();
    let mut said = String::new();
    for turn in 0..TRIES {
        let tried = match attempt(run, &part).await {
            Ok(tried) => tried,
            Err(Error::Git(error)) => Tried::Not(error.to_string()),
            Err(error) => return Err(error),
        };
        match tried {
            Tried::Done(evidence) => {
                run.close(STEP, began, "done", &evidence)?;
                return Ok(end);
            }
            Tried::Again(reason) => said = reason,
            Tried::Not(reason) => {
                said = reason;
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(200 * u64::from(turn + 1))).await;
    }
    let said = mask_text(&said);
    run.close(STEP, began, "stopped", &said)?;
    run.report.next.push(format!(
        "git revert {} (in {}, on {}, then git push)",
        part.commit, part.clone, part.branch
    ));
    Ok(End::new(
        RunState::Stopped,
        4,
        format!("the canary is out; its code was not reverted: {said}"),
    ))
}

async fn attempt(run: &mut Run, part: &PlannedRevert) -> Result<Tried, Error> {
    let git = run.setup.clients.git.clone();
    let clone = std::path::PathBuf::from(&part.clone);
    let path: RepositoryPath =
        blocking(move || Ok(Repository::open(&clone, &git)?.path().clone())).await?;
    let tip = path.fetch(&part.remote, &part.branch).await?;
    let request = {
        let (path, part, tip) = (path.clone(), part.clone(), tip.clone());
        let (id, began) = (run.head.run_id.0.clone(), run.head.began);
        let identities = (run.setup.author.clone(), run.setup.committer.clone());
        blocking(move || request(&path, &part, &tip, (&id, began), identities)).await?
    };
    let request = match request {
        Ok(request) => request,
        Err(tried) => return Ok(tried),
    };
    let commit = path.write_commit(request).await?;
    (run.setup.crash)("made revert");
    let at = run.now();
    run.record(&Record::CodeCommitted {
        commit: commit.as_str().to_owned(),
        parent: tip.as_str().to_owned(),
        at,
    })?;
    let outcome = path.push(&part.remote, &commit, &part.branch).await?;
    (run.setup.crash)("pushed revert");
    Ok(match outcome {
        PushOutcome::Pushed { .. } | PushOutcome::UpToDate => Tried::Done(format!(
            "{} reverts {} on {} of {}",
            commit.short(),
            part.commit.get(..7).unwrap_or(&part.commit),
            part.branch,
            part.repository
        )),
        PushOutcome::Rejected { reason } => {
            Tried::Again(format!("the branch kept moving ({reason})"))
        }
        PushOutcome::Refused { reason, .. } => {
            Tried::Not(format!("{} does not take the push: {reason}", part.branch))
        }
        PushOutcome::AuthFailed { .. } | PushOutcome::RepositoryNotFound { .. } => {
            Tried::Not("the remote does not let this identity push".to_owned())
        }
        PushOutcome::Unreachable { text } => {
            Tried::Not(format!("the remote could not be reached: {text}"))
        }
        PushOutcome::TimedOut { seconds } => {
            Tried::Not(format!("no answer from the remote within {seconds} s"))
        }
        PushOutcome::HookDeclinedLocally { text } => {
            Tried::Not(format!("your pre-push hook said no: {text}"))
        }
    })
}

/// The commit on this tip, or what there is instead: this run's commit from before, or
/// an effect that is not the planned one any more.
fn request(
    path: &RepositoryPath,
    part: &PlannedRevert,
    tip: &CommitId,
    (run, began): (&str, jiff::Timestamp),
    (author, committer): (crate::model::Identity, crate::model::Identity),
) -> Result<Result<CommitRequest, Tried>, GitError> {
    let repository = path.open()?;
    if let Some(own) = repository.find_commit_with_trailer(tip, "Unship-Run", run, 5000)? {
        let text = format!("{} is on {}", own.id.short(), part.branch);
        return Ok(Err(Tried::Done(text)));
    }
    let bad = repository.resolve(&part.commit)?;
    let now = match reverted_files(&repository, &bad, tip)? {
        Ok(files) => files,
        Err(why) => return Ok(Err(Tried::Not(why))),
    };
    if now.is_empty() {
        let text = "nothing of it is left to be undone: others were quicker";
        return Ok(Err(Tried::Done(text.to_owned())));
    }
    if now != part.files {
        let why = "others changed those files since the plan was made";
        return Ok(Err(Tried::Not(why.to_owned())));
    }
    let Reverting::Clean { files, removed } = repository.reverting(&bad, tip)? else {
        return Err(GitError::Interrupted);
    };
    // A run that acts on the cluster only has no identity for commits yet.
    let (author, committer) = if author.name.is_empty() {
        (repository.author()?, repository.committer()?)
    } else {
        (author, committer)
    };
    let stamp = |identity| Stamp {
        identity,
        time: began,
    };
    Ok(Ok(CommitRequest {
        parent: tip.clone(),
        files,
        removed,
        message: format!(
            "Revert \"{}\"\n\nThis reverts commit {}.\n\nUnship-Run: {run}\n",
            plain(&part.subject),
            part.commit
        ),
        author: stamp(author),
        committer: stamp(committer),
        sign: SignMode::AsConfigured,
    }))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, GitError> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|_| GitError::Interrupted)??)
}
