//! The intents other than a rollback, in kubectl's words: `scale`, `set image`,
//! `set env`, `restart`, `pause`, `resume`, `bounce`, `adopt`, `hold`, `unhold`.

use sha2::{Digest as _, Sha256};

use super::args::{Acting, Global, Manner, Source, target};
use super::carry::{Consent, carry_out, decide, dry_run, scope_for};
use super::context::Context;
use super::failure::Failure;
use super::rollback::in_manner;
use super::ui::Ui;
use crate::exit::ExitStatus;
use crate::model::{WorkloadKind, WorkloadRef};
use crate::plan::{Goal, Intent, Request, Variable};

/// What all of them have.
#[derive(Debug, clap::Args)]
pub(super) struct Common {
    #[command(flatten)]
    manner: Manner,
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    acting: Acting,
}

/// Arguments of the commands that need a target only.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  unship restart zai-proxy -n mcp\n  unship pause zai-proxy -n mcp --yes\n  unship adopt zai-proxy -n mcp --dry-run"
)]
pub(super) struct PlainArgs {
    /// [KIND/]NAME
    target: String,
    #[command(flatten)]
    common: Common,
}

/// Arguments of `unship hold` and `unship unhold`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  unship hold zai-proxy -n mcp --dry-run\n  unship hold zai-proxy -n mcp --yes --reason \"INC-42\"\n  unship unhold zai-proxy -n mcp"
)]
pub(super) struct HoldArgs {
    /// [KIND/]NAME
    target: String,
    #[command(flatten)]
    common: Common,
}

/// Arguments of `unship scale`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  unship scale zai-proxy 3 -n mcp")]
pub(super) struct ScaleArgs {
    /// [KIND/]NAME, several if wanted, then the number of replicas
    #[arg(required = true, num_args = 2.., value_names = ["TARGET", "N"])]
    words: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// Arguments of `unship bounce`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  unship bounce zai-proxy -n mcp --accept-outage")]
pub(super) struct BounceArgs {
    /// [KIND/]NAME
    target: String,
    /// The service may be down until the pods are back
    #[arg(long)]
    accept_outage: bool,
    #[command(flatten)]
    common: Common,
}

/// Arguments of `unship set`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  unship set image zai-proxy proxy=ronaldraygun/zai-proxy:1.2.0 -n mcp\n  unship set env zai-proxy TOKEN_COUNTING_ENABLED=false -n mcp"
)]
pub(super) struct SetArgs {
    #[command(subcommand)]
    what: SetWhat,
}

#[derive(Debug, clap::Subcommand)]
enum SetWhat {
    /// Set images by container name, with the labels and variables that name the tag
    #[command(
        after_help = "Example:\n  unship set image zai-proxy proxy=ronaldraygun/zai-proxy:1.2.0 -n mcp"
    )]
    Image(SetImageArgs),
    /// Set literal environment variables
    #[command(
        after_help = "Example:\n  unship set env zai-proxy TOKEN_COUNTING_ENABLED=false -n mcp"
    )]
    Env(SetEnvArgs),
}

#[derive(Debug, clap::Args)]
struct SetImageArgs {
    /// [KIND/]NAME
    target: String,
    /// CONTAINER=IMAGE
    #[arg(required = true, value_name = "CONTAINER=IMAGE")]
    images: Vec<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct SetEnvArgs {
    /// [KIND/]NAME
    target: String,
    /// NAME=VALUE
    #[arg(required = true, value_name = "NAME=VALUE")]
    variables: Vec<String>,
    /// The container, where there are several
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// Runs a command that needs a target only.
pub(super) async fn plain(
    global: &Global,
    args: &PlainArgs,
    intent: Intent,
    ui: Ui,
) -> Result<ExitStatus, Failure> {
    change(global, &args.target, intent, (&args.common, false), ui).await
}

/// Runs `unship hold` and `unship unhold`.
pub(super) async fn hold(
    global: &Global,
    args: &HoldArgs,
    intent: Intent,
    ui: Ui,
) -> Result<ExitStatus, Failure> {
    change(global, &args.target, intent, (&args.common, false), ui).await
}

/// Runs `unship bounce`.
pub(super) async fn bounce(
    global: &Global,
    args: &BounceArgs,
    ui: Ui,
) -> Result<ExitStatus, Failure> {
    let common = (&args.common, args.accept_outage);
    change(global, &args.target, Intent::Bounce, common, ui).await
}

/// Runs `unship scale`, in the order typed; each is verified before the next.
pub(super) async fn scale(
    global: &Global,
    args: &ScaleArgs,
    ui: Ui,
) -> Result<ExitStatus, Failure> {
    let (number, targets) = args
        .words
        .split_last()
        .ok_or_else(|| Failure::usage("a target and a number are needed"))?;
    let replicas = number
        .parse::<i64>()
        .ok()
        .filter(|n| (0..=i64::from(i32::MAX)).contains(n))
        .ok_or_else(|| {
            Failure::usage(format!("{number:?} is no number of replicas"))
                .hint("write it last: unship scale TARGET N")
        })?;
    for word in targets {
        target(word).map_err(Failure::usage)?;
    }
    let mut last = ExitStatus::Success;
    for word in targets {
        let intent = Intent::Scale { replicas };
        last = change(global, word, intent, (&args.common, replicas == 0), ui).await?;
        if last != ExitStatus::Success {
            break;
        }
    }
    Ok(last)
}

/// Runs `unship set image` and `unship set env`.
pub(super) async fn set(global: &Global, args: &SetArgs, ui: Ui) -> Result<ExitStatus, Failure> {
    match &args.what {
        SetWhat::Image(args) => {
            let images = args
                .images
                .iter()
                .map(|word| pair(word, "CONTAINER=IMAGE"))
                .collect::<Result<Vec<_>, _>>()?;
            if let Some((_, bad)) = images.iter().find(|(_, image)| !is_image(image)) {
                return Err(Failure::usage(format!("{bad:?} is no image")));
            }
            let intent = Intent::SetImage { images };
            change(global, &args.target, intent, (&args.common, false), ui).await
        }
        SetWhat::Env(args) => {
            let variables = args
                .variables
                .iter()
                .map(|word| pair(word, "NAME=VALUE").map(variable))
                .collect::<Result<Vec<_>, _>>()?;
            let container = args.container.clone();
            let intent = Intent::SetEnv {
                container,
                variables,
            };
            change(global, &args.target, intent, (&args.common, false), ui).await
        }
    }
}

/// `KEY=VALUE`. What stands in the text is not repeated: it may be a secret.
fn pair(word: &str, form: &str) -> Result<(String, String), Failure> {
    match word.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Failure::usage(format!("an argument is not {form}"))),
    }
}

fn is_image(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-/:@".contains(&b))
}

fn variable((name, value): (String, String)) -> Variable {
    let digest = Sha256::digest(value.as_bytes());
    Variable {
        name,
        sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        value: Some(value),
    }
}

async fn change(
    global: &Global,
    word: &str,
    intent: Intent,
    (common, outage): (&Common, bool),
    ui: Ui,
) -> Result<ExitStatus, Failure> {
    let (kind, name) = target(word).map_err(Failure::usage)?;
    let context = Context::new(global).await?;
    context.somebody_to_ask()?;
    let reference = WorkloadRef {
        kind: kind.unwrap_or(WorkloadKind::Deployment),
        namespace: context.namespace.clone(),
        name: name.clone(),
    };
    let mut request = Request {
        intent,
        ..Request::new(reference)
    };
    request.allow.outage = outage;
    let mut request = in_manner(request, &common.manner)?;
    if request.intent.is_about_automation() {
        // What a tool does with it afterwards is not the target's rollout.
        request.goal = request.goal.min(Goal::Pushed);
    }
    request.consent = common.acting.yes;
    let scope = scope_for(context.scope(kind, name, &common.source), &request);
    let planned = decide(&context, scope, request).await?;
    if common.acting.dry_run.is_some() {
        return Ok(dry_run(&planned, ui));
    }
    let consent = Consent::of(&common.acting, &common.manner);
    Box::pin(carry_out(global, &context, planned, &consent, ui)).await
}
