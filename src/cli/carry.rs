//! From a request to its end: look, decide, ask, carry out, report.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::args::{Acting, Global, Manner};
use super::context::Context;
use super::failure::Failure;
use super::plan::print_decision;
use super::stop::Stopper;
use super::ui::Ui;
use crate::cluster::forward_queries;
use crate::execute::journal::{Head, Reach, new_run_id};
pub(super) use crate::execute::scope_for;
use crate::execute::{Fresh, Setup, proved, start};
use crate::exit::ExitStatus;
use crate::model::Allowed;
use crate::observe::{Scope, Sight, observe};
use crate::plan::{Action, Decision, Intent, PlannedRevert, Request, build};
use crate::report::{RunReport, decision_text, run_markdown, run_text};
use crate::timeline::Timeline;
use crate::verify::{Baseline, Guard};

/// A decision with the look that it rests on.
#[derive(Debug)]
pub(super) struct Planned {
    /// The look.
    pub sight: Sight,
    /// The decision.
    pub decision: Decision,
    /// The scope of the look.
    pub scope: Scope,
    /// The request.
    pub request: Request,
    /// Commits that earlier runs verified.
    pub verified: Vec<String>,
}

impl Planned {
    /// What is to be done, in words.
    pub(super) fn words(&self) -> String {
        let target = self.sight.observation.target.short();
        format!("{} {target}", self.request.intent.verb())
    }
}

/// Looks and decides.
pub(super) async fn decide(
    context: &Context,
    scope: Scope,
    mut request: Request,
) -> Result<Planned, Failure> {
    let sight = observe(&context.clients, &scope, Timestamp::now()).await?;
    request.target = sight.observation.target.clone();
    pin_commit(&sight, &mut request);
    let scope = scope_for(scope, &request);
    let verified = super::runs::verified();
    let timeline = Timeline::of(&sight.observation, &verified);
    let decision = build(&sight.observation, &timeline, &request);
    let mut decision = proved(&context.clients, &sight, decision).await;
    if request.intent.takes_pods_away()
        && let Decision::Plan(prepared) = &mut decision
        && prepared.plan.has(Action::Capture)
        && may_forward(context, &request.target.namespace).await
    {
        prepared.plan.may_forward();
    }
    Ok(Planned {
        sight,
        decision,
        scope,
        request,
        verified,
    })
}

/// A commit may be named by something that moves, `HEAD~1` for instance; planning again must mean
/// the same one.
pub(super) fn pin_commit(sight: &Sight, request: &mut Request) {
    let git = sight.observation.git.as_ref();
    if let (Intent::Revert { commit, .. }, Some(Ok(change))) =
        (&mut request.intent, git.and_then(|git| git.change.as_ref()))
    {
        change.commit.id.as_str().clone_into(commit);
    }
}

/// Whether this identity may make a port-forward, by which the evidence of a workload that
/// is taken away gets its metrics.
async fn may_forward(context: &Context, namespace: &str) -> bool {
    let Ok(cluster) = &context.clients.cluster else {
        return false;
    };
    let answers = cluster.access(&forward_queries(namespace)).await;
    !answers.is_empty() && answers.iter().all(|one| one.allowed == Allowed::Allowed)
}

pub(super) fn dry_run(planned: &Planned, ui: Ui) -> ExitStatus {
    let what = planned.words();
    print_decision(
        planned,
        &decision_text(&what, &planned.decision, ui.style()),
        false,
        ui,
    );
    match planned.decision {
        Decision::Refused(_) => ExitStatus::Refused,
        Decision::Plan(_) | Decision::NotNeeded(_) => ExitStatus::Success,
    }
}

/// What a person decided about one execution.
pub(super) struct Consent {
    /// Nobody is asked.
    pub yes: bool,
    /// Where a Markdown summary goes.
    pub summary: Option<PathBuf>,
    /// The commit's author.
    pub author: Option<String>,
    /// A workload that must stay as it is.
    pub guard: Option<Guard>,
    /// A commit of the code to be reverted in its own repository.
    pub code: Option<PlannedRevert>,
}

impl Consent {
    /// What the flags say.
    pub(super) fn of(acting: &Acting, manner: &Manner) -> Self {
        Self {
            yes: acting.yes,
            summary: acting.summary_file.clone(),
            author: manner.author.clone(),
            guard: None,
            code: None,
        }
    }
}

/// Asks a person whether this is to be done.
pub(super) async fn asked() -> Result<(), Failure> {
    match Ui::ask("Do this?").await {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::refused("not confirmed; nothing was done")),
        None => Err(Failure::refused(
            "nobody can be asked here and --yes was not given; nothing was done",
        )
        .hint("add --yes, or look first with --dry-run")),
    }
}

pub(super) async fn carry_out(
    global: &Global,
    context: &Context,
    planned: Planned,
    consent: &Consent,
    ui: Ui,
) -> Result<ExitStatus, Failure> {
    let what = planned.words();
    let text = decision_text(&what, &planned.decision, ui.style());
    let prepared = match planned.decision {
        Decision::Plan(prepared) => prepared,
        Decision::Refused(_) => {
            print_decision(&planned, &text, false, ui);
            return Ok(ExitStatus::Refused);
        }
        Decision::NotNeeded(_) => {
            print_decision(&planned, &text, false, ui);
            return Ok(ExitStatus::Success);
        }
    };
    let commits = !prepared.plan.commits.is_empty() || !prepared.plan.debts.is_empty();
    let acts = prepared.plan.acts();
    if acts && !consent.yes {
        super::ui::err(&text);
        asked().await?;
    }
    let stopper = Stopper::new(ui);
    let reach = reach(
        global,
        context,
        &planned.scope,
        &planned.sight,
        consent.author.as_deref(),
    );
    let setup = setup(
        context,
        &planned.scope,
        (&planned.sight, consent.author.as_deref(), commits),
        (planned.verified, ui, &stopper),
    )?;
    let began = Timestamp::now();
    let mut head = Head::new(
        new_run_id(began),
        began,
        planned.request,
        reach,
        Baseline::of(&planned.sight.observation),
    );
    head.guard.clone_from(&consent.guard);
    head.code.clone_from(&consent.code);
    let report = Box::pin(start(
        setup,
        Fresh {
            head,
            prepared: *prepared,
            sight: planned.sight,
        },
    ))
    .await?;
    Ok(finish(&report, consent.summary.as_deref(), ui))
}

/// Prints a run's report and tells its exit status.
pub(super) fn finish(report: &RunReport, summary: Option<&std::path::Path>, ui: Ui) -> ExitStatus {
    let markdown = run_markdown(report);
    ui.result(report, &run_text(report), Some(&markdown));
    if let Some(path) = summary.filter(|path| !path.as_os_str().is_empty()) {
        use std::io::Write as _;
        let written = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(markdown.as_bytes()));
        if let Err(error) = written {
            ui.note(&format!(
                "the summary could not be written to {}: {error}",
                path.display()
            ));
        }
    }
    ExitStatus::of_code(report.exit_code)
}

/// How the run can be reached again. No credentials.
fn reach(
    global: &Global,
    context: &Context,
    scope: &Scope,
    sight: &Sight,
    author: Option<&str>,
) -> Reach {
    let git = sight.observation.git.as_ref();
    let cluster = context.clients.cluster.as_ref().ok();
    Reach {
        kubeconfig: global
            .kubeconfig
            .as_ref()
            .map(|path| path.display().to_string()),
        context: cluster.and_then(|c| c.context().map(str::to_owned)),
        app: scope.app.clone(),
        repo: git.map(|git| git.clone.clone()),
        file: scope.file.clone(),
        branch: scope.branch.clone(),
        directory: Some(context.directory().display().to_string()),
        author: author.map(str::to_owned),
    }
}

/// What a run works with.
pub(super) fn setup(
    context: &Context,
    scope: &Scope,
    (sight, author, acts): (&Sight, Option<&str>, bool),
    (verified, ui, stopper): (Vec<String>, Ui, &Stopper),
) -> Result<Setup, Failure> {
    let nobody = || crate::model::Identity {
        name: String::new(),
        email: String::new(),
    };
    let (author, committer) = match &sight.repository {
        Some(path) if acts => context.identities(&path.open()?, author)?,
        _ => (nobody(), nobody()),
    };
    Ok(Setup {
        clients: context.clients.clone(),
        scope: scope.clone(),
        state: context.state.clone(),
        author,
        committer,
        stop: stopper.receiver(),
        events: ui.progress(),
        crash: crash_point(),
        now: Arc::new(Timestamp::now),
        verified,
        forms: Arc::new(super::records::forms(&context.config)?),
        tracker: Arc::new(super::records::tracker(
            &context.config,
            context.directory(),
        )?),
    })
}

/// Development builds can be told to end at the n-th point between an effect and its
/// record, as `kill -9` would end them: `UNSHIP_CRASH_AT=N`; `UNSHIP_CRASH_LOG` lists
/// the points. Release builds have no such thing.
#[cfg(debug_assertions)]
pub(super) fn crash_point() -> crate::execute::CrashPoint {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let at = std::env::var("UNSHIP_CRASH_AT")
        .ok()
        .and_then(|n| n.parse::<usize>().ok());
    let log = std::env::var_os("UNSHIP_CRASH_LOG").map(PathBuf::from);
    let count = AtomicUsize::new(0);
    Arc::new(move |name| {
        let own = count.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(log) = &log {
            use std::io::Write as _;
            let file = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(log);
            let _ = file.and_then(|mut file| writeln!(file, "{own} {name}"));
        }
        if at == Some(own) {
            let own = std::process::id().to_string();
            let _ = std::process::Command::new("kill")
                .args(["-9", &own])
                .status();
        }
    })
}

/// Release builds have no crash points.
#[cfg(not(debug_assertions))]
pub(super) fn crash_point() -> crate::execute::CrashPoint {
    Arc::new(|_| {})
}
