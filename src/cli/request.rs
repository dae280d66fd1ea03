//! `unship request`: a complete request to a human.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::args::{Global, Source, Wish, duration, target};
use super::carry::{crash_point, scope_for};
use super::context::Context;
use super::failure::Failure;
use super::records::{RecordArg, forms, template_failure, tracker};
use super::ui::Ui;
use crate::execute::record::{self, Keeping, RecordChoice, keep};
use crate::exit::ExitStatus;
use crate::model::AccessAnswer;
use crate::observe::{Sight, observe};
use crate::plan::{Decision, Request, To, build, parse_to};
use crate::report::{Facts, RequestReport, Told, request_text};
use crate::timeline::Timeline;

/// Arguments of `unship request`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  unship request zai-proxy -n mcp --reason \"customers see 502\"\n  unship request zai-proxy -n mcp --record file --out request.md --expires 4h"
)]
pub(super) struct Args {
    /// [KIND/]NAME
    target: String,
    /// Why, in the request
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Where to, as for `rollback`
    #[arg(long, value_name = "X", default_value = "previous")]
    to: String,
    /// Where besides the file: auto and br create a bead where the tracker works
    #[arg(long, value_enum, value_name = "WHERE", default_value = "auto")]
    record: RecordArg,
    /// The file (else unship-request-NAME-INCIDENT.md here)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How long the request is worth acting on
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "24h")]
    expires: Duration,
    #[command(flatten)]
    source: Source,
}

/// The request that `rollback --route request` is.
pub(super) async fn of_rollback(
    global: &Global,
    (word, wish): (&str, &Wish),
    source: &Source,
    ui: Ui,
) -> Result<ExitStatus, Failure> {
    let args = Args {
        target: word.to_owned(),
        reason: wish.manner.reason.clone(),
        to: wish.to.clone(),
        record: RecordArg::Auto,
        out: None,
        expires: Duration::from_secs(24 * 3600),
        source: source.clone(),
    };
    Box::pin(run(global, &args, ui)).await
}

/// Runs it.
pub(super) async fn run(global: &Global, args: &Args, ui: Ui) -> Result<ExitStatus, Failure> {
    let (kind, name) = target(&args.target).map_err(Failure::usage)?;
    let to = parse_to(&args.to, Timestamp::now()).map_err(Failure::usage)?;
    let context = Context::new(global).await?;
    let forms = forms(&context.config)?;
    let tracker = tracker(&context.config, context.directory())?;
    context.somebody_to_ask()?;
    let mut request = Request::new(crate::model::WorkloadRef {
        kind: kind.unwrap_or(crate::model::WorkloadKind::Deployment),
        namespace: context.namespace.clone(),
        name: name.clone(),
    });
    request.to = to;
    request.reason.clone_from(&args.reason);
    let scope = scope_for(context.scope(kind, name, &args.source), &request);
    let sight = observe(&context.clients, &scope, Timestamp::now()).await?;
    request.target = sight.observation.target.clone();
    let timeline = Timeline::of(&sight.observation, &super::runs::verified());
    let decision = build(&sight.observation, &timeline, &request);
    let told = Told {
        reason: args.reason.clone(),
        wanted: (request.to != To::Previous).then(|| args.to.clone()),
        expires_seconds: Some(i64::try_from(args.expires.as_secs()).unwrap_or(i64::MAX)),
        rights: asked(&sight).await,
        ..Told::default()
    };
    let facts = Facts::of(&sight.observation, &timeline, Some(&decision), told);
    let record = forms.request.fill(&facts).map_err(template_failure)?;
    let mut report = RequestReport::new(&facts, &record);
    if let Some(why) = nothing_to_request(&sight, &decision, &facts) {
        let report = report.without_need(why);
        ui.result(&report, &request_text(&report), None);
        return Ok(ExitStatus::Success);
    }
    let file = match &args.out {
        Some(path) => path.clone(),
        None => PathBuf::from(file_name(&facts)),
    };
    let file = context.directory().join(file);
    let crash = crash_point();
    let keeping = Keeping {
        // The file is the request; only the bead is left to choice.
        choice: match args.record.choice() {
            RecordChoice::None => RecordChoice::File,
            choice => choice,
        },
        tracker: &tracker,
        file: &file,
        reached: &*crash,
    };
    let kept = keep(&record, &keeping).await.map_err(not_kept)?;
    report.file = kept.file.map(|file| file.display().to_string());
    report.bead = kept.bead;
    report.requested_before = kept.found;
    report.warnings = kept.warnings;
    let markdown = record.markdown(report.bead.as_deref());
    ui.result(&report, &request_text(&report), Some(&markdown));
    Ok(ExitStatus::HandedOver)
}

/// A rollback that is in Git, live and healthy already is not asked for.
fn nothing_to_request(sight: &Sight, decision: &Decision, facts: &Facts) -> Option<String> {
    let prepared = match decision {
        Decision::NotNeeded(reason) => return Some(reason.clone()),
        Decision::Refused(_) => return None,
        Decision::Plan(prepared) => prepared,
    };
    let wanted = prepared.plan.targets.first()?;
    let workload = sight.observation.cluster.workload.as_ref()?;
    let live = workload.template.main_image()?;
    let there = prepared.plan.commits.is_empty()
        && live.as_str() == wanted.to.image
        && workload.rollout_complete()
        && facts.symptoms.is_empty();
    there.then(|| {
        format!(
            "nothing is asked for: {} is in Git and live, and its rollout is complete",
            wanted.to.image
        )
    })
}

/// What this identity may write: in the cluster and in Argo CD as the look was
/// answered, in Git by a push that is only tried. Nothing is written.
async fn asked(sight: &Sight) -> Vec<AccessAnswer> {
    let push = super::access::git(Some(sight)).await;
    let push = push.into_iter().filter(|answer| answer.right == "git push");
    let rights = sight.observation.rights.iter();
    rights
        .map(|(_, answer)| answer.clone())
        .chain(push)
        .collect()
}

/// `unship-request-NAME-INCIDENT.md`: the bad commit or release, and some digits of the
/// incident's key, so that two incidents are two files.
fn file_name(facts: &Facts) -> String {
    let what = match &facts.bad.commit {
        Some(commit) => commit.chars().take(7).collect(),
        None => facts.bad.version.clone(),
    };
    let word: String = what
        .chars()
        .take(40)
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
                c
            } else {
                '_'
            }
        })
        .collect();
    let key: String = Sha256::digest(facts.incident.as_bytes())
        .iter()
        .take(3)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("unship-request-{}-{word}-{key}.md", facts.name)
}

/// The file is the request: without it there is none.
fn not_kept(error: record::Error) -> Failure {
    let why = std::error::Error::source(&error).map(ToString::to_string);
    let message = why.map_or_else(|| error.to_string(), |why| format!("{error}: {why}"));
    let failure = match &error {
        record::Error::Occupied { .. } => Failure::usage(message),
        record::Error::Io { .. } => Failure::error(message),
    };
    failure.hint("name another file with --out; no bead was created")
}
