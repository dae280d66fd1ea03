//! `unship rollback` and `unship apply`.

use std::path::PathBuf;

use jiff::Timestamp;

use super::args::{Acting, Global, Manner, Source, Wish, object, target};
use super::carry::{Consent, Planned, carry_out, decide, dry_run, scope_for};
use super::context::Context;
use super::failure::Failure;
use super::fleet::{self, Staging, Wanted};
use super::records::RecordArg;
use super::ui::Ui;
use super::used;
use crate::exit::ExitStatus;
use crate::model::{WorkloadKind, mask_text};
use crate::plan::{Allow, Decision, Goal, Only, Plan, Request, Route, To, parse_to};
use crate::report::counted;

/// Arguments of `unship rollback`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  unship rollback zai-proxy -n mcp\n  unship rollback zai-proxy -n mcp --to 1.2.0 --yes --reason \"INC-42\"\n  unship rollback zai-proxy -n mcp --hold --yes\n  unship rollback zai-proxy -n mcp --dry-run -o json\n  unship rollback configmap/limits -n mcp --yes\n  unship rollback --image ronaldraygun/zai-proxy:1.2.1 -A --stages 1,10%,100%"
)]
pub(super) struct Args {
    /// [KIND/]NAME, also configmap/NAME or service/NAME; several are done in the order typed
    #[arg(required_unless_present = "image")]
    targets: Vec<String>,
    /// Instead of targets: every workload that runs this image, REPOSITORY:TAG
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["targets", "hold"])]
    image: Option<String>,
    /// With --image: in every namespace
    #[arg(short = 'A', long, requires = "image")]
    all_namespaces: bool,
    #[command(flatten)]
    staging: Staging,
    #[command(flatten)]
    wish: Wish,
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    acting: Acting,
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

/// A target word with the wish that is meant for it: `--to TARGET=X` may be repeated.
pub(super) fn requests(targets: &[String], wish: &Wish) -> Result<Vec<(String, Wish)>, Failure> {
    let mut found = Vec::new();
    for word in targets {
        if used::object(word, "").is_none() {
            target(word).map_err(Failure::usage)?;
        }
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

fn goal(manner: &Manner) -> Goal {
    if manner.no_commit {
        Goal::Edited
    } else if manner.no_push {
        Goal::Committed
    } else if !manner.wait {
        Goal::Pushed
    } else if manner.no_verify {
        Goal::Landed
    } else {
        Goal::Verified
    }
}

/// A request with everything that `manner` decides.
pub(super) fn in_manner(request: Request, manner: &Manner) -> Result<Request, Failure> {
    if manner.override_manager && manner.reason.is_none() {
        return Err(Failure::usage("--override needs a reason").hint("add --reason \"why\""));
    }
    let route = Route::of_word(&manner.route).unwrap_or_default();
    Ok(Request {
        // A pasted address may have credentials; the plan is journaled and committed.
        message: manner.message.as_deref().map(mask_text),
        reason: manner.reason.as_deref().map(mask_text),
        approval: manner.approval.clone(),
        prove: manner.prove,
        goal: goal(manner),
        timeout_seconds: manner
            .timeout
            .map(|t| i64::try_from(t.as_secs()).unwrap_or(i64::MAX)),
        route,
        allow: Allow {
            suspend_auto_sync: manner.suspend_auto_sync,
            emergency: manner.emergency,
            terminate_operation: manner.terminate_operation,
            override_manager: manner.override_manager,
            outage: request.allow.outage,
        },
        ..request
    })
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
    let request = Request {
        to,
        from: wish.from.clone(),
        only: only(&wish.only)?,
        discard_later: wish.discard_later,
        hold: wish.hold,
        with,
        record: wish
            .record
            .filter(|place| *place != RecordArg::None)
            .map(|place| place.word().to_owned()),
        ..Request::new(reference)
    };
    in_manner(request, &wish.manner)
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

/// Runs `unship rollback`.
pub(super) async fn run(global: &Global, args: &Args, ui: Ui) -> Result<ExitStatus, Failure> {
    let context = Context::new(global).await?;
    if let Some(image) = &args.image {
        return Box::pin(of_image(global, (&context, args), image, ui)).await;
    }
    fleet::only_for_many(&args.staging)?;
    let mut last = ExitStatus::Success;
    for (word, wish) in requests(&args.targets, &args.wish)? {
        if let Some(object) = used::object(&word, &context.namespace) {
            let how = (&wish, &args.source, &args.acting);
            last = Box::pin(used::rollback(global, (&context, &object), how, ui)).await?;
            if last != ExitStatus::Success {
                break;
            }
            continue;
        }
        if wish.manner.route == "request" && args.acting.dry_run.is_none() {
            return super::request::of_rollback(global, (&word, &wish), &args.source, ui).await;
        }
        let planned = plan_one(&context, &word, &wish, &args.source, args.acting.yes).await?;
        super::abort::which_is_meant(&context, &planned).await?;
        last = if args.acting.dry_run.is_some() {
            dry_run(&planned, ui)
        } else {
            let consent = Consent::of(&args.acting, &wish.manner);
            Box::pin(carry_out(global, &context, planned, &consent, ui)).await?
        };
        if last != ExitStatus::Success {
            break;
        }
    }
    Ok(last)
}

/// Every workload that runs an image, in stages.
async fn of_image(
    global: &Global,
    (context, args): (&Context, &Args),
    image: &str,
    ui: Ui,
) -> Result<ExitStatus, Failure> {
    context.somebody_to_ask()?;
    let targets = fleet::running(context, image, args.all_namespaces).await?;
    let mut requests = Vec::new();
    for target in targets {
        let (kind, name) = (Some(target.kind), target.name.as_str());
        let mut request = request(&args.wish, kind, name, &target.namespace)?;
        request.consent = args.acting.yes;
        requests.push(request);
    }
    let count = requests.len();
    let message = args.wish.manner.message.clone();
    let wanted = Wanted {
        subject: message.unwrap_or_else(|| {
            format!("fix: rollback {} from {image}", counted(count, "workload"))
        }),
        image: Some(image),
        requests,
        staging: &args.staging,
        scope: context.scope(None, String::new(), &args.source),
        manner: &args.wish.manner,
        acting: &args.acting,
    };
    Box::pin(fleet::run(global, context, wanted, ui)).await
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
    if saved.code.is_some() {
        return Err(Failure::refused(
            "a plan that reverts code as well is carried out by `unship abort` only",
        )
        .hint("run `unship abort` with --code-repo and --code-commit"));
    }
    let mut global = global.clone();
    global.namespace = Some(saved.request.target.namespace.clone());
    let context = Context::new(&global).await?;
    let target = saved.request.target.clone();
    let mut request = saved.request.pinned_to(&saved);
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
        guard: None,
        code: None,
    };
    Box::pin(carry_out(&global, &context, planned, &consent, ui)).await
}
