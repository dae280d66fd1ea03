//! A branch that takes no push from this identity: the stage's commit waits on a branch of its own, or
//! in a file, for a human; `continue` goes on once it is merged.

use super::Fleet;
use crate::execute::Error;
use crate::execute::request::{Refused, one_text, taken};
use crate::execute::run::End;
use crate::git::{PushOutcome, RepositoryPath};
use crate::model::{CommitId, GitView};
use crate::plan::fleet::Together;
use crate::report::{FleetRequest, RunState, fleet_request};

impl Fleet {
    /// Pushes the commit to `unship/<fleet id>-<stage>` and writes the request.
    pub(super) async fn hand_over(
        &mut self,
        stage: usize,
        (path, git): (&RepositoryPath, &GitView),
        (commit, message): (&CommitId, &str),
        (planned, refused): (&Together, Refused),
    ) -> Result<End, Error> {
        let side = format!("unship/{}-{}", self.stored.fleet_id, stage + 1);
        let outcome = path.push(&git.remote, commit, &side).await?;
        (self.setup.crash)("fleet pushed aside");
        // An earlier attempt's commit with the same content is there already.
        let waits = matches!(outcome, PushOutcome::Rejected { .. });
        let (pushed, url) = taken(outcome);
        let (pushed, url) = (pushed || waits, url.or_else(|| refused.url.clone()));
        let diffs: Vec<String> = planned.files.iter().map(|file| file.diff()).collect();
        let words = one_text(&refused);
        let text = fleet_request(&FleetRequest {
            subject: &self.stored.subject,
            repository: &git.repository,
            branch: &git.branch,
            reason: &words,
            side: pushed.then_some(side.as_str()),
            url: url.as_deref(),
            message,
            diffs: &diffs,
            fleet: &self.stored.fleet_id.0,
        });
        let file = self.keeper.request(stage, &text)?;
        let branch = &git.branch;
        self.next.push(match (&url, pushed) {
            (Some(url), true) => format!("open a pull request: {url}"),
            (_, true) => format!("open a pull request from {side} to {branch}"),
            (_, false) => "have somebody who may push do what the request says".to_owned(),
        });
        self.next
            .push(format!("the request for a human: {}", file.display()));
        let reason = match pushed {
            true => {
                format!("{branch} does not take the push ({words}); the commit waits on {side}")
            }
            false => format!(
                "the remote takes no push from this identity ({words}); a request for a human was written"
            ),
        };
        Ok(End::new(RunState::HandedOver, 7, reason))
    }
}
