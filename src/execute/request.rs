//! Handing over: the branch does not take the push, so the commit goes to a branch of
//! its own, and a human gets everything that is needed.

use super::Error;
use super::journal::Record;
use super::run::{End, Run};
use crate::git::{GitError, PushOutcome};
use crate::model::{CommitId, mask_text, plain};
use crate::report::{CommitReport, RunState};

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
    let text = request_text(
        run,
        commit,
        &refused,
        pushed.then_some(side.as_str()),
        url.as_deref(),
    );
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
fn taken(outcome: PushOutcome) -> (bool, Option<String>) {
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

fn one_text(refused: &Refused) -> String {
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

/// Everything a human needs, as Markdown.
fn request_text(
    run: &Run,
    commit: &CommitId,
    refused: &Refused,
    side: Option<&str>,
    url: Option<&str>,
) -> String {
    let target = run.target();
    let plan = &run.prepared.plan;
    let mut out = format!(
        "# URGENT: Request production rollback for {}\n\n",
        target.name
    );
    out.push_str(&format!(
        "{} in namespace `{}`. The branch did not take the push: {}\n\n",
        target.short(),
        target.namespace,
        one_text(refused)
    ));
    if let Some(wanted) = plan.targets.first() {
        out.push_str(&format!(
            "- from: `{}` (commit {})\n- to: `{}` (commit {}; {}: {})\n- file: `{}`\n",
            wanted.from.image,
            wanted.from.commit.as_deref().unwrap_or("unknown"),
            wanted.to.image,
            wanted.to.commit.as_deref().unwrap_or("unknown"),
            wanted.to.grade.as_str(),
            wanted.to.reason,
            wanted.file
        ));
    }
    if let Some(reason) = &run.head.request.reason {
        out.push_str(&format!("- reason: {}\n", plain(reason)));
    }
    out.push_str("\n## Live facts\n\n");
    for pod in run.sight.observation.cluster.pods.iter().flatten() {
        let problem = pod
            .problem()
            .map_or_else(String::new, |(_, p)| format!(", {}", p.reason));
        let ready = if pod.ready { "ready" } else { "not ready" };
        out.push_str(&format!(
            "- pod `{}`: {}, {ready}{problem}\n",
            pod.name, pod.phase
        ));
    }
    out.push_str("\n## What to do\n\n");
    if let Some(side) = side {
        let remote = run
            .sight
            .observation
            .git
            .as_ref()
            .map_or("origin", |git| git.remote.as_str());
        let branch = plan.commits.first().map_or("main", |c| c.branch.as_str());
        out.push_str(&format!("Commit `{commit}` is on branch `{side}`.\n\n"));
        match url {
            Some(url) => out.push_str(&format!("Open a pull request: <{url}>\n\n")),
            None => out.push_str(&format!(
                "Open a pull request from `{side}` to `{branch}`.\n\n"
            )),
        }
        out.push_str(&format!("Or, with the right to push to `{branch}`:\n\n```sh\ngit fetch {remote} {side}\ngit push {remote} FETCH_HEAD:refs/heads/{branch}\n```\n"));
    } else {
        out.push_str("Apply this change to the branch and push it:\n");
    }
    for file in plan.commits.iter().flat_map(|c| &c.files) {
        out.push_str(&format!("\n```diff\n{}```\n", plain(&file.diff)));
    }
    out.push_str(&format!(
        "\nThen `unship continue {}` waits for it and proves the service healthy.\n",
        run.head.run_id
    ));
    out
}
