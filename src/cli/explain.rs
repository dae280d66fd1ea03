//! `unship explain`.

use serde_json::{Value, json};

use super::args::{Global, Source, target};
use super::context::Context;
use super::failure::Failure;
use super::ui::Ui;
use crate::exit::ExitStatus;
use crate::manifest::{Path, Step};
use crate::model::{Blocker, Observation, Sourcing};
use crate::observe::{TipFiles, Unreadable, observe, tip_files};
use crate::provenance::{self, Files, Subject, value_at};
use crate::report::{ExplainReport, FieldReport};

/// Arguments of `unship explain`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  unship explain zai-proxy -n mcp\n  unship explain zai-proxy 'spec.template.spec.containers[proxy].image' -n mcp"
)]
pub(super) struct Args {
    /// [KIND/]NAME
    target: String,
    /// The field, as a path or a JSON pointer; without it images, replicas and environment
    field: Option<String>,
    #[command(flatten)]
    source: Source,
}

/// Runs it.
pub(super) async fn run(global: &Global, args: &Args, ui: Ui) -> Result<ExitStatus, Failure> {
    let (kind, name) = target(&args.target).map_err(Failure::usage)?;
    let field: Option<Path> = match &args.field {
        Some(text) => Some(
            text.parse()
                .map_err(|error| Failure::usage(format!("{error}")))?,
        ),
        None => None,
    };
    let context = Context::new(global).await?;
    context.somebody_to_ask()?;
    let mut scope = context.scope(kind, name, &args.source);
    scope.rights = false;
    let sight = observe(&context.clients, &scope, jiff::Timestamp::now()).await?;
    let files = match tip_files(&context.clients, &scope, &sight).await {
        Ok(files) => files,
        Err(Unreadable::Failed(error)) => return Err(error.into()),
        Err(Unreadable::Blocked(blocker)) => return Err(refused(&blocker)),
    };
    let observation = sight.observation;
    let report = tokio::task::spawn_blocking(move || look(&files, &observation, field))
        .await
        .map_err(|_| Failure::error("the files could not be read"))??;
    ui.result(&report, &report.text(), None);
    Ok(match report.exit_code {
        0 => ExitStatus::Success,
        _ => ExitStatus::Refused,
    })
}

fn refused(blocker: &Blocker) -> Failure {
    Failure::refused(blocker.message.clone()).hint(blocker.hint.clone())
}

fn look(
    files: &TipFiles,
    observation: &Observation,
    field: Option<Path>,
) -> Result<ExplainReport, Failure> {
    let target = observation.target.object();
    let sourcing = match &files.sourcing {
        Some(sourcing) => sourcing.clone(),
        None => Sourcing {
            folder: folder(observation)?,
            ..Sourcing::default()
        },
    };
    let subject = Subject::seen(observation, &target, &sourcing);
    let (tool, fields) = files.with(|files| {
        let tool = provenance::tool(files, &subject).ok();
        (tool, told(files, &subject, observation, field))
    })?;
    let fields = fields.map_err(|blocker| refused(&blocker))?;
    Ok(ExplainReport::new(
        &observation.target.to_string(),
        tool.map(|tool| tool.to_string()),
        (&files.branch, files.tip.as_str()),
        fields,
    ))
}

/// Without an Application the folder of the manifest that was found.
fn folder(observation: &Observation) -> Result<String, Failure> {
    if let Some(git) = &observation.git {
        let (folder, _) = git.file.rsplit_once('/').unwrap_or(("", ""));
        return Ok(folder.to_owned());
    }
    match observation.source_blockers.first() {
        Some(blocker) => Err(refused(blocker)),
        None => Err(Failure::refused("which folder renders it is not known")
            .hint("name the Application with --app, or the manifest with --file")),
    }
}

fn told(
    files: &dyn Files,
    subject: &Subject<'_>,
    observation: &Observation,
    field: Option<Path>,
) -> Result<Vec<FieldReport>, Blocker> {
    let fields = match field {
        Some(field) => vec![field],
        None => usual(&provenance::render(files, subject)?.object),
    };
    let live = observation.cluster.workload.as_ref().map(|workload| {
        json!({"spec": {"replicas": workload.replicas, "template": workload.template.value()}})
    });
    Ok(fields
        .iter()
        .map(|field| match provenance::explain(files, subject, field) {
            Ok(explanation) => {
                let seen = field.steps().get(..2).is_some_and(|first| {
                    *first
                        == [
                            Step::Key("spec".to_owned()),
                            Step::Key("replicas".to_owned()),
                        ]
                        || *first
                            == [
                                Step::Key("spec".to_owned()),
                                Step::Key("template".to_owned()),
                            ]
                });
                let live = live.as_ref().filter(|_| seen);
                FieldReport::told(&explanation, live.map(|live| value_at(live, field)))
            }
            Err(blocker) => FieldReport::untold(field, blocker),
        })
        .collect())
}

/// Replicas, images and environment of a workload.
fn usual(object: &Value) -> Vec<Path> {
    let mut found = vec![Path::of_keys(["spec", "replicas"])];
    for list in ["initContainers", "containers"] {
        let list = Path::of_keys(["spec", "template", "spec", list]);
        let containers = value_at(object, &list).and_then(Value::as_array);
        for container in containers.into_iter().flatten() {
            let Some(at) = item(&list, container) else {
                continue;
            };
            found.push(at.key("image"));
            let env = container.get("env").and_then(Value::as_array);
            for variable in env.into_iter().flatten() {
                if variable.get("value").is_some()
                    && let Some(at) = item(&at.key("env"), variable)
                {
                    found.push(at.key("value"));
                }
            }
        }
    }
    found
}

fn item(list: &Path, value: &Value) -> Option<Path> {
    Some(list.child(Step::Named {
        key: "name".to_owned(),
        value: value.get("name")?.as_str()?.to_owned(),
    }))
}
