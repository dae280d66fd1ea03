//! What a run did.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::human::{Tint, one_line};
use crate::model::{Check, Verdict};
use crate::plan::{API_VERSION, FieldUndo, Intent, Plan};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RunState {
    /// The goal holds.
    Succeeded,
    /// No safe plan.
    Refused,
    /// Stopped part-way; `unship continue` goes on.
    Stopped,
    /// Carried out; the goal does not hold.
    Failed,
    /// Carried out; the goal is unknown or a deadline passed.
    Inconclusive,
    /// A human must act.
    HandedOver,
    /// Others changed the content since; nothing is pushed over it.
    Superseded,
    /// Still at work, or killed.
    Open,
}

impl RunState {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Refused => "refused",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Inconclusive => "inconclusive",
            Self::HandedOver => "handedOver",
            Self::Superseded => "superseded",
            Self::Open => "open",
        }
    }
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepReport {
    /// Its id.
    pub id: String,
    /// `done`, `alreadyDone`, `stopped`, `failed`, `inconclusive` or `notRun`.
    pub state: String,
    /// When it began.
    #[schemars(with = "Option<String>")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[schemars(with = "Option<String>")]
    pub finished_at: Option<Timestamp>,
    /// How long it took.
    pub seconds: Option<f64>,
    /// How long it should take, where a target is set.
    pub target_seconds: Option<f64>,
    /// What the outcome rests on.
    pub evidence: String,
}

/// A commit of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommitReport {
    /// Its full id.
    pub id: String,
    /// The branch that has it.
    pub branch: String,
    /// Whether the branch of the remote has it.
    pub pushed: bool,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// `unship/v1`.
    pub api_version: String,
    /// `Run`.
    pub kind: String,
    /// The run.
    pub run_id: String,
    /// Its plan.
    pub plan_id: String,
    /// What was done: `rollback`, `scale`, ...
    pub intent: String,
    /// The route.
    pub route: String,
    /// The workload, in words.
    pub target: String,
    /// How it ended.
    pub state: RunState,
    /// Why, in one sentence.
    pub reason: String,
    /// The steps.
    pub steps: Vec<StepReport>,
    /// The commits.
    pub commits: Vec<CommitReport>,
    /// The checks.
    pub checks: Vec<Check>,
    /// What was taken back.
    pub taken_back: Vec<String>,
    /// What was kept or left.
    pub kept: Vec<String>,
    /// The command that rolls forward again.
    pub roll_forward: Option<String>,
    /// What to do next.
    pub next: Vec<String>,
    /// What a person should know (checkout left alone, gaps in the evidence).
    pub notes: Vec<String>,
    /// Where the evidence is.
    pub evidence: Option<String>,
    /// Seconds from the beginning to the end.
    pub seconds: f64,
    /// How many requests were sent, by kind.
    pub requests: std::collections::BTreeMap<String, u64>,
    /// Exit code.
    pub exit_code: u8,
}

/// The time that the procedures give to a step, in seconds: a production rollback
/// within 2 min, diagnostics within 5, verification within 1.
#[must_use]
pub fn target_seconds(step: &str) -> Option<f64> {
    match step {
        "capture" => Some(300.0),
        "rollout" => Some(120.0),
        "verify" => Some(60.0),
        _ => None,
    }
}

/// The time that the procedures give to a whole production rollback.
const TOTAL_TARGET_SECONDS: f64 = 300.0;

impl RunReport {
    /// A report with what the plan alone tells.
    #[must_use]
    pub fn of_plan(run_id: &str, plan: &Plan) -> Self {
        let target = plan.targets.first();
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "Run".to_owned(),
            run_id: run_id.to_owned(),
            plan_id: plan.plan_id.clone(),
            intent: plan.intent.clone(),
            route: plan.route.clone(),
            target: target.map(target_words).unwrap_or_default(),
            state: RunState::Open,
            reason: String::new(),
            steps: Vec::new(),
            commits: Vec::new(),
            checks: Vec::new(),
            taken_back: target.map(taken_back).unwrap_or_default(),
            kept: kept(plan),
            roll_forward: target.and_then(|target| roll_forward(target, plan)),
            next: let_go(plan).into_iter().collect(),
            notes: plan.warnings.clone(),
            evidence: None,
            seconds: 0.0,
            requests: std::collections::BTreeMap::new(),
            exit_code: 0,
        }
    }
}

impl RunReport {
    /// The report of a run that never began.
    #[must_use]
    pub fn of_nothing(run_id: &str, state: RunState, exit_code: u8, reason: String) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "Run".to_owned(),
            run_id: run_id.to_owned(),
            plan_id: String::new(),
            intent: String::new(),
            route: String::new(),
            target: String::new(),
            state,
            reason,
            steps: Vec::new(),
            commits: Vec::new(),
            checks: Vec::new(),
            taken_back: Vec::new(),
            kept: Vec::new(),
            roll_forward: None,
            next: Vec::new(),
            notes: Vec::new(),
            evidence: None,
            seconds: 0.0,
            requests: std::collections::BTreeMap::new(),
            exit_code,
        }
    }
}

fn target_words(target: &crate::plan::Target) -> String {
    format!(
        "{}/{} in namespace {}",
        target.kind.as_str().to_lowercase(),
        target.name,
        target.namespace
    )
}

fn taken_back(target: &crate::plan::Target) -> Vec<String> {
    let mut found: Vec<String> = target.fields.clone();
    found.extend(
        target
            .later_work
            .iter()
            .filter(|w| w.taken_back)
            .map(|work| {
                let commit: String = work.commit.chars().take(7).collect();
                format!("{commit} {}", work.subject)
            }),
    );
    found
}

fn kept(plan: &Plan) -> Vec<String> {
    let target = plan.targets.first();
    let later = target
        .iter()
        .flat_map(|target| &target.later_work)
        .filter(|w| !w.taken_back)
        .map(|work| {
            let commit: String = work.commit.chars().take(7).collect();
            format!("{commit} {}", work.subject)
        });
    later
        .chain(
            target
                .iter()
                .flat_map(|target| &target.left)
                .map(|change| change.place.clone()),
        )
        .chain(
            plan.undo
                .iter()
                .flat_map(|undo| &undo.superseded)
                .map(FieldUndo::left),
        )
        .collect()
}

/// What is held stays so until somebody lets it go on.
fn let_go(plan: &Plan) -> Option<String> {
    let target = plan.targets.first()?;
    let held = plan.holds.iter().any(|hold| hold.taken_back.is_none());
    held.then(|| {
        format!(
            "`unship unhold {}/{} -n {}` once a good release is there: until then no tool sets the image",
            target.kind.as_str().to_lowercase(),
            target.name,
            target.namespace
        )
    })
}

/// The command that takes it back again.
fn roll_forward(target: &crate::plan::Target, plan: &Plan) -> Option<String> {
    let place = format!(
        "{}/{} -n {}",
        target.kind.as_str().to_lowercase(),
        target.name,
        target.namespace
    );
    match &plan.request.intent {
        Intent::Rollback => {
            let to = match (&target.from.commit, target.from.image.is_empty()) {
                (Some(commit), _) => {
                    let short: String = commit.chars().take(12).collect();
                    format!("commit:{short}")
                }
                (None, false) => target.from.image.clone(),
                (None, true) => return None,
            };
            Some(format!("unship rollback {place} --to {to}"))
        }
        Intent::Abort { delete: true, .. } => {
            Some("git revert of that commit, pushed, brings the manifest back".to_owned())
        }
        Intent::Scale { .. } | Intent::Abort { .. } => {
            let (before, _) = target.replicas?;
            let (name, rest) = place.split_once(' ')?;
            Some(format!("unship scale {name} {before} {rest}"))
        }
        Intent::Pause => Some(format!("unship resume {place}")),
        Intent::Resume => Some(format!("unship pause {place}")),
        Intent::SetImage { .. } | Intent::SetEnv { .. } => {
            Some(format!("unship rollback {place} --to previous"))
        }
        Intent::Hold => Some(format!("unship unhold {place}")),
        Intent::Unhold => Some(format!("unship hold {place}")),
        Intent::Restart { .. } | Intent::Bounce | Intent::Adopt | Intent::Revert { .. } => None,
    }
}

impl RunReport {
    /// Whether the branch or the cluster was changed.
    fn acted(&self) -> bool {
        let acts = ["patch", "scale", "scaleUp", "rollback"];
        self.commits.iter().any(|commit| commit.pushed)
            || self
                .steps
                .iter()
                .any(|step| step.state == "done" && acts.contains(&step.id.as_str()))
    }

    fn back_word(&self) -> &'static str {
        if self.intent == Intent::Rollback.word() {
            "roll forward again"
        } else {
            "back again"
        }
    }

    fn changed_word(&self) -> String {
        if self.intent == Intent::Rollback.word() {
            "taken back".to_owned()
        } else {
            "changed".to_owned()
        }
    }
}

/// The report as text.
#[must_use]
pub fn run_text(run: &RunReport) -> String {
    let tint = match run.state {
        RunState::Succeeded => Tint::Good,
        RunState::Failed | RunState::Refused => Tint::Bad,
        RunState::Stopped
        | RunState::Inconclusive
        | RunState::HandedOver
        | RunState::Superseded
        | RunState::Open => Tint::Warn,
    };
    let mut out = format!(
        "{} {}: {}\n",
        tint.paint(run.state.as_str()),
        run.target,
        one_line(&run.reason, 600)
    );
    steps_text(run, &mut out);
    for commit in &run.commits {
        let short: String = commit.id.chars().take(7).collect();
        let word = if commit.pushed { "pushed to" } else { "on" };
        out.push_str(&format!("commit {short} {word} {}\n", commit.branch));
    }
    list(&mut out, &run.changed_word(), &run.taken_back);
    list(&mut out, "kept", &run.kept);
    for note in &run.notes {
        out.push_str(&format!("note: {}\n", one_line(note, 400)));
    }
    if let Some(evidence) = &run.evidence {
        out.push_str(&format!("evidence: {evidence}\n"));
    }
    for next in &run.next {
        out.push_str(&format!("next: {}\n", one_line(next, 400)));
    }
    if let Some(command) = &run.roll_forward
        && run.acted()
        && matches!(
            run.state,
            RunState::Succeeded | RunState::Inconclusive | RunState::Failed
        )
    {
        out.push_str(&format!("{}: {command}\n", run.back_word()));
    }
    let met = if run.seconds <= TOTAL_TARGET_SECONDS {
        "met"
    } else {
        "missed"
    };
    out.push_str(&format!(
        "run {} took {:.1} s (target {TOTAL_TARGET_SECONDS:.0} s: {met})\n",
        run.run_id, run.seconds
    ));
    out
}

/// Steps with their times against the targets, and checks with their evidence.
fn steps_text(run: &RunReport, out: &mut String) {
    for step in &run.steps {
        let seconds = step
            .seconds
            .map_or_else(String::new, |s| format!("{s:.1} s"));
        let target = match (step.seconds, step.target_seconds) {
            (Some(took), Some(target)) if took <= target => format!(" (target {target:.0} s: met)"),
            (Some(_), Some(target)) => format!(" (target {target:.0} s: missed)"),
            _ => String::new(),
        };
        out.push_str(&format!(
            "  {:<9} {:<12} {seconds}{target}",
            step.id, step.state
        ));
        if !step.evidence.is_empty() {
            out.push_str(&format!("  {}", one_line(&step.evidence, 160)));
        }
        out.push('\n');
    }
    for check in &run.checks {
        let word = match check.verdict {
            Verdict::Holds => Tint::Good.paint("holds  "),
            Verdict::Fails => Tint::Bad.paint("fails  "),
            Verdict::Unknown => Tint::Warn.paint("unknown"),
        };
        out.push_str(&format!(
            "  {word}  {}: {}\n",
            check.title,
            one_line(&check.evidence, 240)
        ));
    }
}

fn list(out: &mut String, title: &str, items: &[String]) {
    for item in items {
        out.push_str(&format!("{title}: {}\n", one_line(item, 200)));
    }
}

/// The report as Markdown, for a job summary.
#[must_use]
pub fn run_markdown(run: &RunReport) -> String {
    let mut out = format!(
        "## {} {}\n\n{}\n\n",
        run.state.as_str(),
        run.target,
        one_line(&run.reason, 600)
    );
    out.push_str("| check | verdict | evidence |\n|---|---|---|\n");
    for check in &run.checks {
        let evidence = one_line(&check.evidence, 240).replace('|', "\\|");
        out.push_str(&format!(
            "| {} | {} | {evidence} |\n",
            check.title,
            check.verdict.as_str()
        ));
    }
    for commit in &run.commits {
        out.push_str(&format!(
            "\nCommit `{}` on `{}`.\n",
            commit.id, commit.branch
        ));
    }
    if let Some(command) = &run.roll_forward {
        out.push_str(&format!("\n{}: `{command}`\n", run.back_word()));
    }
    out
}
