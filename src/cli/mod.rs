//! The command line: the only room that prints or reads the environment. One file a
//! subcommand.

mod abort;
mod access;
mod args;
mod assess;
mod carry;
mod change;
mod collect;
mod config_cmd;
mod context;
mod demo;
mod drill;
mod explain;
mod failure;
mod fleet;
mod gone;
mod history;
mod patch_file;
mod plan;
mod records;
mod request;
mod revert;
mod rollback;
mod runs;
mod status;
mod stop;
mod ui;
mod undo_file;
mod used;

use std::ffi::OsString;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::exit::{ExitStatus, TABLE};
use crate::plan::Intent;
use args::Global;
use failure::Failure;
use ui::Ui;

/// Roll back what is running, through Git, with evidence at each step
#[derive(Debug, Parser)]
#[command(name = "unship", version, after_help = TABLE, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole story against the built-in sandbox: a bad release, the refusals, the rollback, the proof
    Demo(demo::Args),
    /// What this identity may do, and the route that would be taken
    Access(access::Args),
    /// What serves, what runs, who ships it, what stands in the way
    Status(status::Args),
    /// What shipped, when it was live, how well it served
    History(history::Args),
    /// Which byte of which file sets a field, and what outranks it
    Explain(explain::Args),
    /// Save a bundle of evidence: logs, events, objects, timeline, metrics
    Collect(collect::Args),
    /// Show what a rollback would do, without doing it
    Plan(Box<plan::Args>),
    /// Plan, ask, roll back through Git, wait, verify
    Rollback(Box<rollback::Args>),
    /// Take one commit back field by field, and keep everything that came later
    Revert(Box<revert::Args>),
    /// Set the number of replicas
    Scale(Box<change::ScaleArgs>),
    /// Set images or environment variables
    Set(Box<change::SetArgs>),
    /// Replace the pods by new ones of the same template
    Restart(Box<change::PlainArgs>),
    /// Stop the rollout of new templates
    Pause(Box<change::PlainArgs>),
    /// Let rollouts go on
    Resume(Box<change::PlainArgs>),
    /// Scale to 0 and back to the number before: an outage on purpose
    Bounce(Box<change::BounceArgs>),
    /// Take a canary out: evidence, no replicas, production proved untouched
    Abort(Box<abort::Args>),
    /// Make Git say what the cluster runs, after a change by hand
    Adopt(Box<change::PlainArgs>),
    /// Whether a release is to be taken back: triggers, verdict, next command
    Assess(assess::Args),
    /// Stop the tools that would set its image again: an edit of theirs in Git
    Hold(Box<change::HoldArgs>),
    /// Take back what hold or rollback --hold has stopped
    Unhold(Box<change::HoldArgs>),
    /// Rehearse a rollback: every step that can be tried without effect
    Drill(drill::Args),
    /// Execute a saved plan if its effect is still the same
    Apply(rollback::ApplyArgs),
    /// Ask a human to roll back: a complete request as a file, and in the tracker
    Request(request::Args),
    /// List the runs in the journal
    Runs(runs::ListArgs),
    /// Show one run
    Show(runs::RunArgs),
    /// Go on with a run that was cut off
    Continue(runs::ContinueArgs),
    /// Give a run up; nothing is undone
    Abandon(runs::RunArgs),
    /// Edit a YAML manifest without touching any other byte, offline
    PatchFile(patch_file::Args),
    /// Check the configuration, or print its JSON Schema
    Config(config_cmd::Args),
    /// Print a completion script
    Completions(config_cmd::CompletionArgs),
    /// Print the manual page
    #[command(after_help = "Example:\n  unship man | man -l -")]
    Man,
}

/// Parses, runs, and tells how it ended.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitStatus {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let plugin = arguments.first().is_some_and(|own| {
        std::path::Path::new(own)
            .file_name()
            .is_some_and(|name| name == "kubectl-unship")
    });
    let mut command = Cli::command();
    if plugin {
        command = command.bin_name("kubectl unship");
    }
    let cli = match command
        .try_get_matches_from(arguments)
        .and_then(|m| Cli::from_arg_matches(&m))
    {
        Ok(cli) => cli,
        Err(error) => {
            let status = if error.use_stderr() {
                ExitStatus::Usage
            } else {
                ExitStatus::Success
            };
            let _ = error.print();
            return status;
        }
    };
    // Two TLS providers in one process panic unless one is chosen; this is the only one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    log(cli.global.verbose);
    let ui = Ui::new(&cli.global);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            ui.failure(&Failure::error(format!(
                "the runtime could not start: {error}"
            )));
            return ExitStatus::Error;
        }
    };
    let outcome = runtime.block_on(async {
        // The demo cleans up after itself.
        if matches!(cli.command, Command::Demo(_)) {
            return dispatch(cli, ui).await;
        }
        tokio::select! {
            biased;
            outcome = dispatch(cli, ui) => outcome,
            () = stop::before_a_run() => Err(Failure::interrupted()),
        }
    });
    runtime.shutdown_background();
    match outcome {
        Ok(status) => status,
        Err(failure) => {
            ui.failure(&failure);
            failure.status
        }
    }
}

async fn dispatch(cli: Cli, ui: Ui) -> Result<ExitStatus, Failure> {
    let global = &cli.global;
    match cli.command {
        Command::Demo(args) => demo::run(&args, ui).await,
        Command::Access(args) => access::run(global, &args, ui).await,
        Command::Status(args) => status::run(global, &args, ui).await,
        Command::History(args) => history::run(global, &args, ui).await,
        Command::Explain(args) => Box::pin(explain::run(global, &args, ui)).await,
        Command::Collect(args) => Box::pin(collect::run(global, &args, ui)).await,
        Command::Plan(args) => Box::pin(plan::run(global, &args, ui)).await,
        Command::Rollback(args) => Box::pin(rollback::run(global, &args, ui)).await,
        Command::Revert(args) => Box::pin(revert::run(global, &args, ui)).await,
        Command::Scale(args) => Box::pin(change::scale(global, &args, ui)).await,
        Command::Set(args) => Box::pin(change::set(global, &args, ui)).await,
        Command::Restart(args) => {
            let at = jiff::Timestamp::now();
            let intent = Intent::Restart { at };
            Box::pin(change::plain(global, &args, intent, ui)).await
        }
        Command::Pause(args) => Box::pin(change::plain(global, &args, Intent::Pause, ui)).await,
        Command::Resume(args) => Box::pin(change::plain(global, &args, Intent::Resume, ui)).await,
        Command::Bounce(args) => Box::pin(change::bounce(global, &args, ui)).await,
        Command::Abort(args) => Box::pin(abort::run(global, &args, ui)).await,
        Command::Adopt(args) => Box::pin(change::plain(global, &args, Intent::Adopt, ui)).await,
        Command::Assess(args) => Box::pin(assess::run(global, &args, ui)).await,
        Command::Hold(args) => Box::pin(change::hold(global, &args, Intent::Hold, ui)).await,
        Command::Unhold(args) => Box::pin(change::hold(global, &args, Intent::Unhold, ui)).await,
        Command::Drill(args) => Box::pin(drill::run(global, &args, ui)).await,
        Command::Apply(args) => Box::pin(rollback::apply(global, &args, ui)).await,
        Command::Request(args) => Box::pin(request::run(global, &args, ui)).await,
        Command::Runs(args) => runs::list(&args, ui),
        Command::Show(args) => runs::show(&args, ui),
        Command::Continue(args) => Box::pin(runs::go_on(global, &args, ui)).await,
        Command::Abandon(args) => runs::abandon(&args, ui),
        Command::PatchFile(args) => patch_file::run(&args, ui),
        Command::Config(args) => config_cmd::run(global, &args, ui),
        Command::Completions(args) => Ok(config_cmd::completions(&args, &mut Cli::command())),
        Command::Man => Ok(config_cmd::man(Cli::command())),
    }
}

/// Logging to standard error: `-v`, or `UNSHIP_LOG` with tracing's own syntax.
fn log(verbose: u8) {
    use std::io::IsTerminal as _;
    let level = match verbose {
        0 => "off",
        1 => "unship=info",
        _ => "unship=debug,kube=debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("UNSHIP_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .try_init();
}
