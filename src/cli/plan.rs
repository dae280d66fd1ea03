//! `unship plan`.

use std::path::{Path, PathBuf};

use super::args::{Global, Source, Wish};
use super::carry::Planned;
use super::failure::Failure;
use super::gone::nothing_to_do;
use super::rollback::{plan_one, requests};
use super::ui::Ui;
use super::used;
use crate::exit::ExitStatus;
use crate::plan::Decision;
use crate::report::{RefusalReport, RunReport, RunState, decision_text, plan_markdown};

/// Arguments of `unship plan`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  unship plan zai-proxy -n mcp\n  unship plan zai-proxy -n mcp --to 1.2.0 --out plan.json"
)]
pub(super) struct Args {
    /// [KIND/]NAME, also configmap/NAME or service/NAME
    #[arg(required = true)]
    targets: Vec<String>,
    /// Save the plan for `unship apply`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// End with 10 when there is something to do
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    wish: Wish,
    #[command(flatten)]
    source: Source,
}

/// Runs it.
pub(super) async fn run(global: &Global, args: &Args, ui: Ui) -> Result<ExitStatus, Failure> {
    if args.out.is_some() && args.targets.len() > 1 {
        return Err(Failure::usage("--out saves one plan: name one target"));
    }
    let context = super::context::Context::new(global).await?;
    let mut worst = ExitStatus::Success;
    for (word, wish) in requests(&args.targets, &args.wish)? {
        if let Some(object) = used::object(&word, &context.namespace) {
            let how = (&wish, &args.source);
            match used::plan(&context, &object, how, false).await? {
                Ok(planned) => worst = show(&planned, args, ui)?,
                Err(why) => worst = nothing_to_do(&why, ui),
            }
            continue;
        }
        let planned = plan_one(&context, &word, &wish, &args.source, false).await?;
        worst = show(&planned, args, ui)?;
    }
    Ok(worst)
}

fn show(planned: &Planned, args: &Args, ui: Ui) -> Result<ExitStatus, Failure> {
    let text = decision_text(&planned.words(), &planned.decision, ui.style());
    print_decision(planned, &text, args.exit_code, ui);
    match &planned.decision {
        Decision::Refused(_) => Ok(ExitStatus::Refused),
        Decision::NotNeeded(_) => Ok(ExitStatus::Success),
        Decision::Plan(prepared) => {
            if let Some(out) = &args.out {
                save(out, &prepared.plan)?;
                ui.note(&format!(
                    "saved as {}; `unship apply {}` executes it",
                    out.display(),
                    out.display()
                ));
            }
            if args.exit_code && prepared.plan.acts() {
                return Ok(ExitStatus::SomethingToDo);
            }
            Ok(ExitStatus::Success)
        }
    }
}

/// Prints a decision in the wanted format.
pub(super) fn print_decision(planned: &Planned, text: &str, exit_code: bool, ui: Ui) {
    match &planned.decision {
        Decision::Plan(prepared) => {
            let mut plan = prepared.plan.clone();
            if exit_code && plan.acts() {
                plan.exit_code = ExitStatus::SomethingToDo.code();
            }
            ui.result(&plan, text, Some(&plan_markdown(&plan)));
        }
        Decision::Refused(refusal) => {
            let target = planned.sight.observation.target.to_string();
            let report = RefusalReport::new(&target, refusal.clone());
            if ui.output == super::args::Output::Human {
                super::ui::err(text);
            } else {
                ui.result(&report, text, None);
            }
        }
        Decision::NotNeeded(reason) => {
            let report = RunReport::of_nothing("", RunState::Succeeded, 0, reason.clone());
            ui.result(&report, text, None);
        }
    }
}

fn save(path: &Path, plan: &crate::plan::Plan) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::error(format!("{}: {error}", path.display()));
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    serde_json::to_writer_pretty(&mut file, plan).map_err(|error| failed(error.into()))?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
