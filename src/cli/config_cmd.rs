//! `unship config`, `completions`, `man`.

use std::io::Write as _;

use super::args::Global;
use super::failure::Failure;
use super::ui::{Ui, out};
use crate::config::Config;
use crate::exit::ExitStatus;
use crate::model::mask_url;
use crate::report::{KINDS, schema};

/// Arguments of `unship config`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  unship config check\n  unship config schema --kind Plan")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Read the configuration and say what is in force
    Check,
    /// Print a JSON Schema: of the configuration, or of a kind of document
    Schema {
        /// Plan, Refusal, Run, Status, History, Access, Request, Bundle, BundleManifest, Drill, Undo, Error
        #[arg(long, value_name = "KIND")]
        kind: Option<String>,
    },
}

/// Arguments of `unship completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  unship completions bash > /etc/bash_completion.d/unship")]
pub(super) struct CompletionArgs {
    /// The shell
    shell: clap_complete::Shell,
}

/// Runs `unship config`.
pub(super) fn run(global: &Global, args: &Args, ui: Ui) -> Result<ExitStatus, Failure> {
    match &args.command {
        Command::Check => {
            let mut config = super::context::config(global)?;
            for url in [
                &mut config.metrics.url,
                &mut config.health.url,
                &mut config.argocd.read_only_url,
            ] {
                *url = url.as_deref().map(mask_url);
            }
            super::records::forms(&config)?;
            super::records::tracker(&config, std::path::Path::new("."))?;
            let text = serde_yaml::to_string(&config).map_err(|e| Failure::error(e.to_string()))?;
            ui.result(&config, &text, None);
        }
        Command::Schema { kind: None } => {
            let value = schemars::schema_for!(Config).to_value();
            out(&format!("{value:#}\n"));
        }
        Command::Schema { kind: Some(kind) } => {
            let value = schema(kind).ok_or_else(|| {
                Failure::usage(format!("there is no kind {kind:?}"))
                    .hint(format!("kinds are {}", KINDS.join(", ")))
            })?;
            out(&format!("{value:#}\n"));
        }
    }
    Ok(ExitStatus::Success)
}

/// Prints a completion script.
pub(super) fn completions(args: &CompletionArgs, command: &mut clap::Command) -> ExitStatus {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "unship", &mut script);
    write(&script)
}

/// Prints the manual page.
pub(super) fn man(command: clap::Command) -> ExitStatus {
    let mut page = Vec::new();
    if clap_mangen::Man::new(command).render(&mut page).is_err() {
        return ExitStatus::Error;
    }
    write(&page)
}

fn write(bytes: &[u8]) -> ExitStatus {
    let _ = std::io::stdout().lock().write_all(bytes);
    ExitStatus::Success
}
