//! `unship rollback` and `unship apply`.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use super::args::{Global, Source, Wish, object, target};
use super::context::Context;
use super::failure::Failure;
use super::plan::print_decision;
use super::ui::Ui;
use crate::execute::journal::{Head, Reach, new_run_id};
use crate::execute::{Fresh, Setup, start};
use crate::exit::ExitStatus;
use crate::model::{WorkloadKind, mask_text};
use crate::observe::{Scope, Sight, observe};
use crate::plan::{Decision, Goal, Only, Plan, Request, To, build, parse_to};
use crate::report::{RunReport, decision_text, run_markdown, run_text};
use crate::timeline::Timeline;
use crate::verify::Baseline;

/// Arguments of `unship rollback`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  unship rollback zai-proxy -n mcp\n  unship rollback zai-proxy -n mcp --to 1.2.0 --yes --reason \"INC-42\"\n  unship rollback zai-proxy -n mcp --dry-run -o json"
)]
pub(super) struct Args {
    /// [KIND/]NAME; several are done in the order typed
    #[arg(required = true)]
    targets: Vec<String>,
    #[command(flatten)]
    wish: Wish,
    #[command(flatten)]
    source: Source,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Plan only
    #[arg(long, value_name = "MODE", num_args = 0..=1, require_equals = true, default_missing_value = "client", value_parser = ["client", "server"])]
    dry_run: Option<String>,
    /// Append a Markdown summary to a file
    #[arg(long, value_name = "FILE", env = "GITHUB_STEP_SUMMARY")]
    summary_file: Option<PathBuf>,
}

/// Arguments of `unship apply`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  unship plan zai-proxy -n mcp --out plan.json && unship apply plan.json --yes"
)]
pub(super) struct ApplyArgs {
    /// A plan saved by `unship plan --out`
    plan: PathBuf,
    #[command(flatten)]
    source: Source,
    /// Author of the commit: "Name <mail>"
    #[arg(long, value_name = "AUTHOR", env = "UNSHIP_AUTHOR")]
    author: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Append a Markdown summary to a file
    #[arg(long, value_name = "FILE", env = "GITHUB_STEP_SUMMARY")]
    summary_file: Option<PathBuf>,
}

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

/// A target word with the wish that is meant for it: `--to TARGET=X` may be repeated.
pub(super) fn requests(targets: &[String], wish: &Wish) -> Result<Vec<(String, Wish)>, Failure> {
    let mut found = Vec::new();
    for word in targets {
        target(word).map_err(Failure::usage)?;
        let mut own = wish.clone();
        if let Some((name, to)) = wish.to.split_once('=') {
            if name == word {
                own.to = to.to_owned();
            } else if targets.iter().any(|t| t == name) {
                own.to = "previous".to_owned();
            }
        }
        found.push((word.clone(), own));
    }
    Ok(found)
}

fn goal(wish: &Wish) -> Goal {
    if wish.no_commit {
        Goal::Edited
    } else if wish.no_push {
        Goal::Committed
    } else if !wish.wait {
        Goal::Pushed
    } else if wish.no_verify {
        Goal::Landed
    } else {
        Goal::Verified
    }
}

fn only(words: &[String]) -> Result<Only, Failure> {
    match words {
        [] => Ok(Only::Template),
        [one] if one == "template" => Ok(Only::Template),
        [one] if one == "image" => Ok(Only::Image),
        many if many.iter().any(|w| w == "image" || w == "template") => Err(Failure::usage(
            "--only takes image, template, or fields, not a mixture",
        )),
        many => Ok(Only::Fields(many.to_vec())),
    }
}

fn request(
    wish: &Wish,
    kind: Option<WorkloadKind>,
    name: &str,
    namespace: &str,
) -> Result<Request, Failure> {
    let to = match wish.to_revision {
        Some(number) => To::Revision(crate::model::RolloutRevision(number)),
        None => parse_to(&wish.to, Timestamp::now()).map_err(Failure::usage)?,
    };
    let with = wish
        .with
        .iter()
        .map(|word| object(word))
        .collect::<Result<_, _>>()
        .map_err(Failure::usage)?;
    let reference = crate::model::WorkloadRef {
        kind: kind.unwrap_or(WorkloadKind::Deployment),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    Ok(Request {
        to,
        from: wish.from.clone(),
        only: only(&wish.only)?,
        discard_later: wish.discard_later,
        with,
        // A pasted address may have credentials; the plan is journaled and committed.
        message: wish.message.as_deref().map(mask_text),
        reason: wish.reason.as_deref().map(mask_text),
        approval: wish.approval.clone(),
        goal: goal(wish),
        timeout_seconds: wish
            .timeout
            .map(|t| i64::try_from(t.as_secs()).unwrap_or(i64::MAX)),
        ..Request::new(reference)
    })
}

/// Looks and decides for one target.
pub(super) async fn plan_one(
    context: &Context,
    word: &str,
    wish: &Wish,
    source: &Source,
    consent: bool,
) -> Result<Planned, Failure> {
    let (kind, name) = target(word).map_err(Failure::usage)?;
    context.somebody_to_ask()?;
    let mut request = request(wish, kind, &name, &context.namespace)?;
    request.consent = consent;
    let scope = scope_for(context.scope(kind, name, source), &request);
    decide(context, scope, request).await
}

/// The scope that a request needs beyond its target.
pub(super) fn scope_for(mut scope: Scope, request: &Request) -> Scope {
    scope.with.clone_from(&request.with);
    scope.commit = match &request.to {
        To::Commit(text) | To::Text(text)
            if text.len() >= 4 && text.bytes().all(|b| b.is_ascii_hexdigit()) =>
        {
            Some(text.clone())
        }
        _ => None,
    };
    scope
}

async fn decide(context: &Context, scope: Scope, mut request: Request) -> Result<Planned, Failure> {
    let sight = observe(&context.clients, &scope, Timestamp::now()).await?;
    request.target = sight.observation.target.clone();
    let verified = super::runs::verified();
    let timeline = Timeline::of(&sight.observation, &verified);
    let decision = build(&sight.observation, &timeline, &request);
    Ok(Planned {
        sight,
        decision,
        scope,
        request,
        verified,
    })
}

/// Runs `unship rollback`.
pub(super) async fn run(global: &Global, args: &Args, ui: Ui) -> Result<ExitStatus, Failure> {
    let context = Context::new(global).await?;
    let mut last = ExitStatus::Success;
    for (word, wish) in requests(&args.targets, &args.wish)? {
        let planned = plan_one(&context, &word, &wish, &args.source, args.yes).await?;
        last = if args.dry_run.is_some() {
            dry_run(&planned, ui)
        } else {
            let consent = Consent {
                yes: args.yes,
                summary: args.summary_file.clone(),
                author: wish.author.clone(),
            };
            Box::pin(carry_out(global, &context, planned, &consent, ui)).await?
        };
        if last != ExitStatus::Success {
            break;
        }
    }
    Ok(last)
}

fn dry_run(planned: &Planned, ui: Ui) -> ExitStatus {
    let what = format!("roll back {}", planned.sight.observation.target.short());
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
struct Consent {
    yes: bool,
    summary: Option<PathBuf>,
    author: Option<String>,
}

async fn carry_out(
    global: &Global,
    context: &Context,
    planned: Planned,
    consent: &Consent,
    ui: Ui,
) -> Result<ExitStatus, Failure> {
    let what = format!("roll back {}", planned.sight.observation.target.short());
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
    let acts = !prepared.plan.commits.is_empty();
    if acts && !consent.yes {
        super::ui::err(&text);
        match Ui::ask("Do this?") {
            Some(true) => {}
            Some(false) => return Err(Failure::refused("not confirmed; nothing was done")),
            None => {
                return Err(Failure::refused(
                    "nobody can be asked here and --yes was not given; nothing was done",
                )
                .hint("add --yes, or look first with `unship plan`"));
            }
        }
    }
    let stopper = Stopper::new();
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
        (&planned.sight, consent.author.as_deref(), acts),
        (planned.verified, ui, &stopper),
    )?;
    let began = Timestamp::now();
    let head = Head::new(
        new_run_id(began),
        began,
        planned.request,
        reach,
        Baseline::of(&planned.sight.observation),
    );
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

/// Turns Ctrl-C and SIGTERM into a wish to stop; a second one ends the process.
pub(super) struct Stopper {
    receiver: watch::Receiver<bool>,
}

impl Stopper {
    /// Starts listening.
    pub(super) fn new() -> Self {
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            interrupted().await;
            let _ = sender.send(true);
            interrupted().await;
            end_at_once();
        });
        Self { receiver }
    }
}

/// A second wish to stop does not wait for what is under way; the journal knows it.
#[allow(clippy::exit, reason = "the user asked twice")]
fn end_at_once() {
    std::process::exit(i32::from(ExitStatus::Stopped.code()));
}

async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut term) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = term.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
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
        stop: stopper.receiver.clone(),
        events: ui.progress(),
        crash: crash_point(),
        now: Arc::new(Timestamp::now),
        verified,
        forms: Arc::new(super::records::forms(&context.config)?),
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

/// Runs `unship apply`: plans again and compares the effect.
pub(super) async fn apply(
    global: &Global,
    args: &ApplyArgs,
    ui: Ui,
) -> Result<ExitStatus, Failure> {
    let text = std::fs::read_to_string(&args.plan)
        .map_err(|error| Failure::usage(format!("{}: {error}", args.plan.display())))?;
    let saved: Plan = serde_json::from_str(&text).map_err(|error| {
        Failure::usage(format!("{} is no plan: {error}", args.plan.display()))
            .hint("make one with `unship plan --out FILE`")
    })?;
    if !saved.is_intact() {
        return Err(Failure::usage(format!(
            "{} was edited: its plan id does not fit its content",
            args.plan.display()
        ))
        .hint("make it again with `unship plan --out FILE`"));
    }
    let mut global = global.clone();
    global.namespace = Some(saved.request.target.namespace.clone());
    let context = Context::new(&global).await?;
    let target = saved.request.target.clone();
    let commit = saved.targets.first().and_then(|t| t.to.commit.clone());
    let mut request = match commit.and_then(|c| crate::model::CommitId::parse(&c).ok()) {
        Some(commit) => saved.request.pinned(&commit),
        None => saved.request.clone(),
    };
    // The later work was shown in the saved plan; what it takes back cannot have grown,
    // or the effect would be another one.
    request.consent = false;
    let scope = scope_for(
        context.scope(Some(target.kind), target.name, &args.source),
        &request,
    );
    let planned = decide(&context, scope, request).await?;
    if let Decision::Plan(now) = &planned.decision
        && now.plan.effect_id != saved.effect_id
        && !now.plan.commits.is_empty()
    {
        return Err(Failure::refused(
            "the plan's effect would not be the same any more; nothing was done",
        )
        .hint("look again with `unship plan`"));
    }
    let consent = Consent {
        yes: args.yes,
        summary: args.summary_file.clone(),
        author: args.author.clone(),
    };
    Box::pin(carry_out(&global, &context, planned, &consent, ui)).await
}
