//! `unship runs`, `show`, `continue`, `abandon`: the journal.

use jiff::Timestamp;

use super::args::{Global, Source};
use super::carry::{finish, scope_for, setup};
use super::context::{Context, state_folder};
use super::failure::Failure;
use super::stop::Stopper;
use super::ui::Ui;
use crate::execute::journal::{self, Journal, Record, StoredRun, TargetLock};
use crate::execute::{left_suspended, resume};
use crate::exit::ExitStatus;
use crate::observe::observe;
use crate::plan::API_VERSION;
use crate::report::{AbandonReport, one_line, table};

/// Arguments of `unship runs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  unship runs")]
pub(super) struct ListArgs {
    /// Only runs that can go on
    #[arg(long)]
    open: bool,
}

/// Arguments that name a run.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  unship show 20260101T120000Z-0a1b2c\n  unship abandon 20260101T120000Z-0a1b2c"
)]
pub(super) struct RunArgs {
    /// The run's id
    run: String,
}

/// Arguments of `unship continue`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  unship continue")]
pub(super) struct ContinueArgs {
    /// The run's id; without it the only open run
    run: Option<String>,
}

/// Runs further back than this are not read for their verdict.
const VERIFIED_RUNS: usize = 50;

/// Commits whose content earlier runs verified.
pub(super) fn verified() -> Vec<String> {
    let mut found = Vec::new();
    let state = state_folder();
    for name in journal::names(&state).iter().rev().take(VERIFIED_RUNS) {
        let Ok(run) = journal::load(&state, name) else {
            continue;
        };
        if !matches!(run.ended(), Some(("succeeded", 0))) {
            continue;
        }
        let verified = run.records.iter().any(|record| match record {
            Record::Ended { checks, .. } => !checks.is_empty(),
            _ => false,
        });
        if verified {
            found.extend(run.commit().map(|(commit, _)| commit));
            found.extend(
                run.plan
                    .targets
                    .iter()
                    .filter_map(|target| target.to.commit.clone()),
            );
        }
    }
    found
}

fn state_of(run: &StoredRun) -> String {
    match run.ended() {
        Some((state, code)) => format!("{state} ({code})"),
        None => match run.records.last() {
            Some(Record::Stopped { reason, .. }) => format!("stopped: {}", one_line(reason, 60)),
            Some(Record::Started { step, .. }) => format!("open, during {step}"),
            _ => "open".to_owned(),
        },
    }
}

/// Lists the runs, newest first.
pub(super) fn list(args: &ListArgs, ui: Ui) -> Result<ExitStatus, Failure> {
    let mut rows = Vec::new();
    let mut items = Vec::new();
    for (name, run) in journal::list(&state_folder()).into_iter().rev() {
        let run = match run {
            Ok(run) => run,
            Err(error) => {
                rows.push(vec![name, String::new(), String::new(), error.to_string()]);
                continue;
            }
        };
        if args.open && !run.is_open() {
            continue;
        }
        let target = run.plan.targets.first();
        let to = target.map(|t| t.to.image.clone()).unwrap_or_default();
        rows.push(vec![
            name.clone(),
            run.head.request.target.to_string(),
            to.clone(),
            state_of(&run),
        ]);
        items.push(serde_json::json!({
            "runId": name, "planId": run.plan.plan_id, "target": run.head.request.target,
            "to": to, "state": state_of(&run), "open": run.is_open(), "began": run.head.began,
        }));
    }
    for fleet in super::fleet::stored(&state_folder()).into_iter().rev() {
        if args.open && !fleet.is_open() {
            continue;
        }
        let (targets, state) = (format!("{} targets", fleet.members.len()), fleet.word());
        let id = fleet.fleet_id.0.clone();
        items.push(serde_json::json!({
            "runId": id, "target": targets, "to": fleet.subject, "state": state,
            "open": fleet.is_open(), "began": fleet.began,
        }));
        rows.push(vec![id, targets, fleet.subject, state]);
    }
    let text = if rows.is_empty() {
        "no runs\n".to_owned()
    } else {
        table(&["run", "target", "to", "state"], &rows, ui.style().width)
    };
    let document = serde_json::json!({"apiVersion": API_VERSION, "kind": "RunList", "items": items, "exitCode": 0});
    ui.result(&document, &text, None);
    Ok(ExitStatus::Success)
}

/// Shows one run's records.
pub(super) fn show(args: &RunArgs, ui: Ui) -> Result<ExitStatus, Failure> {
    if args.run.starts_with("fleet-") {
        return super::fleet::show(&args.run, ui);
    }
    let run = journal::load(&state_folder(), &args.run)?;
    let mut text = format!(
        "run {}: {}\n{}\n",
        args.run,
        state_of(&run),
        run.head.request.target
    );
    for record in &run.records {
        let line = serde_json::to_string(record).unwrap_or_default();
        text.push_str(&format!("  {}\n", one_line(&line, 400)));
    }
    text.push_str(&format!("folder {}\n", run.directory.display()));
    let document = serde_json::json!({
        "apiVersion": API_VERSION, "kind": "StoredRun", "runId": args.run, "state": state_of(&run),
        "plan": run.plan, "records": run.records, "folder": run.directory, "exitCode": 0,
    });
    ui.result(&document, &text, None);
    Ok(ExitStatus::Success)
}

fn pick(run: Option<&str>) -> Result<StoredRun, Failure> {
    if let Some(run) = run {
        return Ok(journal::load(&state_folder(), run)?);
    }
    let mut open: Vec<StoredRun> = journal::list(&state_folder())
        .into_iter()
        .filter_map(|(_, run)| run.ok())
        .filter(StoredRun::is_open)
        .collect();
    match (open.pop(), open.len()) {
        (Some(run), 0) => Ok(run),
        (None, _) => Err(Failure::usage("no run is open").hint("`unship runs` lists them all")),
        (Some(_), more) => Err(Failure::usage(format!("{} runs are open", more + 1))
            .hint("name one; `unship runs --open` lists them")),
    }
}

/// The fleet that is meant: by its id, or the only open one. Runs of its targets are its own.
fn fleet_of(run: Option<&str>) -> Result<Option<String>, Failure> {
    match run {
        Some(id) => Ok(id.starts_with("fleet-").then(|| id.to_owned())),
        None => {
            let mut open = super::fleet::open(&state_folder());
            match (open.pop(), open.len()) {
                (found, 0) => Ok(found),
                (_, more) => Err(
                    Failure::usage(format!("{} fleets are open", more + 1)).hint(
                        "name one: `unship continue fleet-...`; `unship runs --open` lists them",
                    ),
                ),
            }
        }
    }
}

/// Goes on with a run.
pub(super) async fn go_on(
    global: &Global,
    args: &ContinueArgs,
    ui: Ui,
) -> Result<ExitStatus, Failure> {
    if let Some(id) = fleet_of(args.run.as_deref())? {
        return Box::pin(super::fleet::go_on(global, &id, ui)).await;
    }
    let stored = pick(args.run.as_deref())?;
    if let Some((state, code)) = stored.ended()
        && !stored.is_open()
    {
        ui.note(&format!(
            "run {} ended already: {state}",
            stored.head.run_id
        ));
        return Ok(ExitStatus::of_code(code));
    }
    let mut global = global.clone();
    let reach = stored.head.reach.clone();
    global.namespace = Some(stored.head.request.target.namespace.clone());
    global.context = global.context.or(reach.context);
    global.kubeconfig = global
        .kubeconfig
        .or_else(|| reach.kubeconfig.map(Into::into));
    let context = Context::new(&global).await?;
    let target = stored.head.request.target.clone();
    let source = Source {
        app: reach.app,
        repo: reach.repo.map(Into::into),
        file: reach.file,
        branch: reach.branch,
    };
    let request = stored.pinned_request();
    let mut scope = scope_for(
        context.scope(Some(target.kind), target.name, &source),
        &request,
    );
    if let Some(target) = stored.plan.targets.first().filter(|t| t.removal.is_some()) {
        // The object that would tell its Application and its file may be gone.
        scope.removed = Some(target.file.clone());
        scope.app = scope.app.or_else(|| target.application.clone());
    }
    let stopper = Stopper::new(ui);
    let sight = observe(&context.clients, &scope, Timestamp::now()).await?;
    let acts = !stored.plan.commits.is_empty() || !stored.plan.debts.is_empty();
    let setup = setup(
        &context,
        &scope,
        (&sight, reach.author.as_deref(), acts),
        (verified(), ui, &stopper),
    )?;
    let report = Box::pin(resume(setup, stored, sight)).await?;
    Ok(finish(&report, None, ui))
}

/// Gives a run up. Nothing is undone.
pub(super) fn abandon(args: &RunArgs, ui: Ui) -> Result<ExitStatus, Failure> {
    let state = state_folder();
    if args.run.starts_with("fleet-") {
        return super::fleet::abandon(&args.run, ui);
    }
    let run = journal::load(&state, &args.run)?;
    if !run.is_open() {
        return Err(Failure::refused(format!(
            "run {} is over: {}",
            args.run,
            state_of(&run)
        )));
    }
    let lock = TargetLock::take(&state, &format!("abandon-{}", args.run), "abandon")?;
    let pushed = run.commit().filter(|(_, pushed)| *pushed);
    Journal::reopen(&run, lock)?.append(&Record::Abandoned {
        at: Timestamp::now(),
    })?;
    let report = AbandonReport::new(
        &args.run,
        pushed.map(|(commit, _)| commit),
        left_suspended(&run),
    );
    ui.result(&report, &report.text(), None);
    Ok(ExitStatus::Success)
}
