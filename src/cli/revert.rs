//! `unship revert`.

use super::args::{Acting, Global, Manner, Source, target};
use super::carry::{Consent, carry_out, decide, dry_run, scope_for};
use super::context::Context;
use super::failure::Failure;
use super::fleet::{self, Staging, Wanted, of_commit};
use super::rollback::in_manner;
use super::ui::Ui;
use crate::exit::ExitStatus;
use crate::model::{Commit, WorkloadKind, WorkloadRef};
use crate::observe::{TouchedWorkloads, Undo, workloads_of};
use crate::plan::{Intent, Refusal, Request};

/// Arguments of `unship revert`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  unship revert 1a2b3c4 zai-proxy -n mcp\n  unship revert 1a2b3c4 -n mcp --yes --reason \"INC-42\"\n  unship revert 1a2b3c4 --parent 1 --dry-run"
)]
pub(super) struct Args {
    /// The commit: an id, a tag, or git's expressions such as HEAD~2
    commit: String,
    /// [KIND/]NAME: only its part of the commit (else all of the commit)
    target: Option<String>,
    /// Which parent of a merge was good, from 1
    #[arg(long, value_name = "N")]
    parent: Option<usize>,
    #[command(flatten)]
    staging: Staging,
    #[command(flatten)]
    manner: Manner,
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    acting: Acting,
}

/// Runs `unship revert`: one workload's part of the commit, or all of it.
pub(super) async fn run(global: &Global, args: &Args, ui: Ui) -> Result<ExitStatus, Failure> {
    let context = Context::new(global).await?;
    context.somebody_to_ask()?;
    if let Some(word) = &args.target {
        fleet::only_for_many(&args.staging)?;
        let (kind, name) = target(word).map_err(Failure::usage)?;
        let reference = reference(&context, kind, name);
        return one(global, (&context, args), (kind, &reference), ui).await;
    }
    let (commit, targets) = touched(&context, args, ui).await?;
    if let [only] = targets.as_slice() {
        return one(global, (&context, args), (Some(only.kind), only), ui).await;
    }
    let is_staged = !args.staging.stages.is_empty();
    let mut requests = Vec::new();
    for request in of_commit((commit.id.as_str(), args.parent), &targets, is_staged) {
        let mut request = in_manner(request, &args.manner)?;
        request.consent = args.acting.yes;
        requests.push(request);
    }
    let wanted = Wanted {
        subject: args
            .manner
            .message
            .clone()
            .unwrap_or_else(|| format!("revert: {}", commit.subject())),
        image: None,
        requests,
        staging: &args.staging,
        scope: context.scope(None, String::new(), &args.source),
        manner: &args.manner,
        acting: &args.acting,
    };
    Box::pin(fleet::run(global, &context, wanted, ui)).await
}

fn reference(context: &Context, kind: Option<WorkloadKind>, name: String) -> WorkloadRef {
    WorkloadRef {
        kind: kind.unwrap_or(WorkloadKind::Deployment),
        namespace: context.namespace.clone(),
        name,
    }
}

/// One workload.
async fn one(
    global: &Global,
    (context, args): (&Context, &Args),
    (kind, reference): (Option<WorkloadKind>, &WorkloadRef),
    ui: Ui,
) -> Result<ExitStatus, Failure> {
    let request = Request {
        intent: Intent::Revert {
            commit: args.commit.clone(),
            parent: args.parent,
            all: args.target.is_none(),
            only: None,
        },
        ..Request::new(reference.clone())
    };
    let mut request = in_manner(request, &args.manner)?;
    request.consent = args.acting.yes;
    let mut scope = context.scope(kind, reference.name.clone(), &args.source);
    scope.namespace.clone_from(&reference.namespace);
    let planned = decide(context, scope_for(scope, &request), request).await?;
    if args.acting.dry_run.is_some() {
        return Ok(dry_run(&planned, ui));
    }
    let consent = Consent::of(&args.acting, &args.manner);
    Box::pin(carry_out(global, context, planned, &consent, ui)).await
}

/// The commit, and the workloads of this cluster that it changed.
async fn touched(
    context: &Context,
    args: &Args,
    ui: Ui,
) -> Result<(Commit, Vec<WorkloadRef>), Failure> {
    let undo = Undo {
        commit: args.commit.clone(),
        parent: args.parent,
        all: true,
    };
    let place = (args.source.repo.clone(), context.directory().to_owned());
    let how = (&undo, args.source.branch.as_deref(), &*context.namespace);
    let found = match workloads_of(&context.clients, place, how).await? {
        Ok(found) => found,
        Err(blocker) => return Err(refused(Refusal::one(blocker))),
    };
    let by_use = found.changed.is_empty();
    let shows = if by_use { &found.users } else { &found.changed };
    if shows.is_empty() {
        return Err(no_workload(&found));
    }
    let looks = shows.iter().map(|target| is_absent(context, target));
    let absent = futures::future::join_all(looks).await;
    let mut here: Vec<WorkloadRef> = Vec::new();
    for (target, is_absent) in shows.iter().zip(absent) {
        if is_absent {
            ui.note(&format!(
                "{} in namespace {} is not in this cluster: its rollout is not waited for",
                target.short(),
                target.namespace
            ));
        } else if !here.contains(target) {
            here.push(target.clone());
        }
    }
    if here.is_empty() {
        here.extend(shows.first().cloned());
    }
    if by_use {
        let names: Vec<String> = here.iter().map(WorkloadRef::short).collect();
        ui.note(&format!(
            "{} changed no workload; {} is judged, whose pods use what it changed",
            found.commit.id.short(),
            names.join(", ")
        ));
    }
    Ok((found.commit, here))
}

async fn is_absent(context: &Context, target: &WorkloadRef) -> bool {
    let Ok(cluster) = &context.clients.cluster else {
        return false;
    };
    matches!(
        cluster.workload(target).await,
        Err(crate::cluster::Error::NotFound { .. })
    )
}

fn refused(refusal: Refusal) -> Failure {
    let hint = refusal.blockers.first().map(|blocker| blocker.hint.clone());
    Failure::refused(refusal.first_words()).hint(hint.unwrap_or_default())
}

fn no_workload(found: &TouchedWorkloads) -> Failure {
    let names = |list: &[WorkloadRef]| {
        let names: Vec<String> = list.iter().map(WorkloadRef::short).collect();
        names.join(", ")
    };
    let commit = format!("{} {:?}", found.commit.id.short(), found.commit.subject());
    let text = match (found.added.as_slice(), found.removed.as_slice()) {
        ([], []) => format!(
            "{commit} changed no Deployment, StatefulSet or DaemonSet that stands in a file"
        ),
        (added, []) => format!("{commit} only added {}", names(added)),
        (_, removed) => format!("{commit} removed {}", names(removed)),
    };
    Failure::refused(format!(
        "{text}: which workload shows that taking it back went well is not known"
    ))
    .hint("name the workload that runs what the commit changed: `unship revert COMMIT TARGET`")
}
