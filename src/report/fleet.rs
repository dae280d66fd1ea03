//! Many targets at once: one table.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RunState;
use super::human::{Tint, one_line, table};
use crate::plan::API_VERSION;

/// One target of a fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FleetTarget {
    /// Kind and name.
    pub target: String,
    /// Namespace.
    pub namespace: String,
    /// The stage, from 1; 0 where it is left out.
    pub stage: usize,
    /// What Git has.
    pub from: String,
    /// What it will have.
    pub to: String,
    /// The file that is edited.
    pub file: String,
    /// What became of it: `open` until its run ends.
    pub state: RunState,
    /// Why.
    pub reason: String,
    /// The run that waits for it and verifies it.
    pub run_id: Option<String>,
    /// Seconds that this run took.
    pub seconds: f64,
}

/// A commit of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FleetCommit {
    /// The stage, from 1.
    pub stage: usize,
    /// The repository, without credentials.
    pub repository: String,
    /// The branch.
    pub branch: String,
    /// The commit's full id.
    pub id: String,
    /// Whether the branch of the remote has it.
    pub pushed: bool,
}

/// A stage that a human has to bring in.
#[derive(Debug)]
pub struct FleetRequest<'a> {
    /// What is done.
    pub subject: &'a str,
    /// The repository, without credentials.
    pub repository: &'a str,
    /// The branch that takes no push.
    pub branch: &'a str,
    /// Why, in the remote's words.
    pub reason: &'a str,
    /// The branch that has the commit, where one does.
    pub side: Option<&'a str>,
    /// Where a pull request is opened.
    pub url: Option<&'a str>,
    /// The commit's message: it names every target.
    pub message: &'a str,
    /// The diffs, one file each; environment values are masked.
    pub diffs: &'a [String],
    /// The fleet's id.
    pub fleet: &'a str,
}

/// The request as Markdown.
#[must_use]
pub fn fleet_request(request: &FleetRequest<'_>) -> String {
    let FleetRequest {
        subject,
        repository,
        branch,
        reason,
        side,
        url,
        message,
        diffs,
        fleet,
    } = request;
    let what = match (side, url) {
        (Some(side), Some(url)) => {
            format!("The commit waits on `{side}`. Open a pull request: {url}")
        }
        (Some(side), None) => {
            format!("The commit waits on `{side}`. Open a pull request from it to `{branch}`.")
        }
        (None, _) => format!(
            "Nothing could be pushed. Make these changes on `{branch}`, in one commit; values that are masked below stay as they are."
        ),
    };
    let mut out = format!(
        "# {}\n\n`{branch}` of {repository} takes no push from this identity: {}\n\n{what}\n\nThen `unship continue {fleet}` waits for it, verifies it and goes on.\n\n```text\n{}\n```\n",
        one_line(subject, 200),
        one_line(reason, 400),
        crate::model::plain(message.trim_end())
    );
    for diff in *diffs {
        out.push_str(&format!("\n```diff\n{}\n```\n", diff.trim_end()));
    }
    out
}

/// A fleet, planned or carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FleetReport {
    /// `unship/v1`.
    pub api_version: String,
    /// `Fleet`.
    pub kind: String,
    /// The fleet's id; empty while it is only planned.
    pub fleet_id: String,
    /// What is done, as the subject of its commits.
    pub subject: String,
    /// The targets.
    pub targets: Vec<FleetTarget>,
    /// The commits.
    pub commits: Vec<FleetCommit>,
    /// The diffs of a plan, one file each; environment values are masked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diffs: Vec<String>,
    /// What may come in the way afterwards, and for which targets: a tool that sets the image again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What is like these targets and not among them: in Git, but not in this cluster.
    pub elsewhere: Vec<String>,
    /// Targets that were left out, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// How it ended.
    pub state: RunState,
    /// Why, in one sentence.
    pub reason: String,
    /// What to do next.
    pub next: Vec<String>,
    /// Seconds from the beginning to the end.
    pub seconds: f64,
    /// Exit code.
    pub exit_code: u8,
}

impl FleetReport {
    /// A fleet that has not begun.
    #[must_use]
    pub fn new(id: &str, subject: &str, targets: Vec<FleetTarget>) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "Fleet".to_owned(),
            fleet_id: id.to_owned(),
            subject: subject.to_owned(),
            targets,
            commits: Vec::new(),
            diffs: Vec::new(),
            warnings: Vec::new(),
            elsewhere: Vec::new(),
            left_out: Vec::new(),
            state: RunState::Open,
            reason: String::new(),
            next: Vec::new(),
            seconds: 0.0,
            exit_code: 0,
        }
    }

    /// As text for people.
    #[must_use]
    pub fn text(&self, width: usize) -> String {
        let row = |target: &FleetTarget| {
            let stage = match target.stage {
                0 => "-".to_owned(),
                stage => stage.to_string(),
            };
            vec![
                stage,
                target.namespace.clone(),
                target.target.clone(),
                target.from.clone(),
                target.to.clone(),
                target.state.as_str().to_owned(),
                one_line(&target.reason, 160),
            ]
        };
        let rows: Vec<Vec<String>> = self.targets.iter().map(row).collect();
        let header = ["stage", "namespace", "target", "from", "to", "state", "why"];
        let mut out = format!("{}\n", Tint::Bold.paint(&one_line(&self.subject, 200)));
        out.push_str(&table(&header, &rows, width));
        for place in &self.elsewhere {
            out.push_str(&format!("not in this cluster: {}\n", one_line(place, 200)));
        }
        for warning in &self.warnings {
            let word = Tint::Warn.paint("warning:");
            out.push_str(&format!("{word} {}\n", one_line(warning, 400)));
        }
        for left in &self.left_out {
            let word = Tint::Warn.paint("left out:");
            out.push_str(&format!("{word} {}\n", one_line(left, 300)));
        }
        for diff in &self.diffs {
            out.push('\n');
            out.push_str(&super::plan::diff_text(diff));
        }
        for commit in self.commits.iter().filter(|commit| commit.pushed) {
            let short: String = commit.id.chars().take(7).collect();
            out.push_str(&format!(
                "stage {}: commit {short} pushed to {} of {}\n",
                commit.stage, commit.branch, commit.repository
            ));
        }
        if !self.reason.is_empty() {
            let word = match self.exit_code {
                0 => Tint::Good.paint(self.state.as_str()),
                _ => Tint::Bad.paint(self.state.as_str()),
            };
            out.push_str(&format!("{word}: {}\n", one_line(&self.reason, 400)));
        }
        for next in &self.next {
            out.push_str(&format!("next: {next}\n"));
        }
        out
    }
}
