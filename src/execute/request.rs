//! Handing over: the branch does not take the push, so the commit goes to a branch of
//! its own, and a human gets everything that is needed.

use super::Error;
use super::journal::Record;
use super::run::{End, Run};
use crate::git::{GitError, PushOutcome};
use crate::model::{CommitId, mask_text, plain};
use crate::plan::Decision;
use crate::report::{CommitReport, Facts, HandedOver, RecordKind, RunState, Told};
use crate::timeline::Timeline;

/// How long the request is worth acting on: a day.
const EXPIRES_SECONDS: i64 = 24 * 60 * 60;

/// Why the branch did not take the push.
#[derive(Debug)]
pub(super) struct Refused {
    /// git's reason.
    pub reason: String,
    /// The remote's own words.
    pub text: String,
    /// An address for opening a pull request.
    pub url: Option<String>,
}

/// In one wording for a run and a fleet.
pub(super) const NO_RIGHT: &str = "the remote does not let this identity push";

impl Refused {
    /// The remote knows who this is and takes nothing from them.
    pub(super) fn no_right(text: String) -> Self {
        Self {
            reason: NO_RIGHT.to_owned(),
            text,
            url: None,
        }
    }
}

/// Pushes the same commit to `unship/<plan id>`; where even that is refused, writes a
/// request file.
pub(super) async fn hand_over(
    run: &mut Run,
    commit: &CommitId,
    refused: Refused,
) -> Result<End, Error> {
    let Some(git) = run.sight.observation.git.as_ref() else {
        return Err(GitError::Interrupted.into());
    };
    let (remote, branch) = (git.remote.clone(), git.branch.clone());
    let side = format!("unship/{}", run.prepared.plan.plan_id);
    let Some(path) = run.repository().cloned() else {
        return Err(GitError::Interrupted.into());
    };
    let outcome = path.push(&remote, commit, &side).await?;
    (run.setup.crash)("pushed aside");
    let (pushed, url) = taken(outcome);
    let url = url.or(refused.url.clone());
    let file = run.journal.directory().join("request.md");
    let handed = HandedOver {
        commit: commit.as_str().to_owned(),
        branch: pushed.then(|| side.clone()),
        url: url.clone(),
        reason: one_text(&refused),
        run: run.head.run_id.0.clone(),
    };
    let text = request_text(run, handed);
    std::fs::write(&file, text).map_err(|source| super::journal::Error::Io {
        path: file.clone(),
        what: "written",
        source,
    })?;
    let place = if pushed {
        side.clone()
    } else {
        file.display().to_string()
    };
    let at = run.now();
    run.record(&Record::HandedOver {
        place,
        commit: pushed.then(|| commit.as_str().to_owned()),
        at,
    })?;
    let words = one_text(&refused);
    run.report.commits.clear();
    let reason = if pushed {
        let id = commit.as_str().to_owned();
        run.report.commits.push(CommitReport {
            id,
            branch: side.clone(),
            pushed: true,
        });
        run.report.next.push(match &url {
            Some(url) => format!("open a pull request: {url}"),
            None => format!("open a pull request from {side} to {branch}"),
        });
        format!("{branch} does not take the push ({words}); the commit waits on {side}")
    } else {
        format!(
            "the remote takes no push from this identity ({words}); a request for a human was written"
        )
    };
    run.report
        .next
        .push(format!("the request for a human: {}", file.display()));
    Ok(End::new(RunState::HandedOver, 7, reason))
}

/// Whether the side branch has the commit, and the address for a pull request.
pub(super) fn taken(outcome: PushOutcome) -> (bool, Option<String>) {
    match outcome {
        PushOutcome::Pushed { url, .. } => (true, url),
        PushOutcome::UpToDate => (true, None),
        PushOutcome::Rejected { .. }
        | PushOutcome::Refused { .. }
        | PushOutcome::AuthFailed { .. }
        | PushOutcome::Unreachable { .. }
        | PushOutcome::RepositoryNotFound { .. }
        | PushOutcome::TimedOut { .. }
        | PushOutcome::HookDeclinedLocally { .. } => (false, None),
    }
}

pub(super) fn one_text(refused: &Refused) -> String {
    let text = plain(&mask_text(refused.text.trim()));
    if text.is_empty() {
        return refused.reason.clone();
    }
    format!(
        "{}: {}",
        refused.reason,
        text.lines().collect::<Vec<_>>().join("; ")
    )
}

/// Everything a human needs, as Markdown, in the words of `unship request`.
fn request_text(run: &mut Run, handed: HandedOver) -> String {
    let observation = &run.sight.observation;
    let timeline = Timeline::of(observation, &run.setup.verified);
    let decision = Decision::Plan(Box::new(run.prepared.clone()));
    let told = Told {
        reason: run.head.request.reason.clone(),
        expires_seconds: Some(EXPIRES_SECONDS),
        evidence: Some(
            run.journal
                .directory()
                .join("evidence")
                .display()
                .to_string(),
        ),
        handed_over: Some(handed),
        ..Told::default()
    };
    let facts = Facts::of(observation, &timeline, Some(&decision), told);
    let own = run.setup.forms.request.fill(&facts);
    own.map_or_else(
        |error| {
            // The push was refused already: a template of the user's that cannot be
            // used must not cost the request.
            run.report.notes.push(format!(
                "the request uses the built-in template, because {error}"
            ));
            let built_in = RecordKind::Request.form().fill(&facts);
            built_in.map_or_else(|error| error.to_string(), |record| record.markdown(None))
        },
        |record| record.markdown(None),
    )
}
