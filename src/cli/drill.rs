//! `unship drill`: the rehearsal. Nothing is written; what needs a right is tried as a
//! server-side dry run where the right is there, else computed.

use futures::StreamExt as _;
use jiff::Timestamp;

use super::args::{Global, Source, target};
use super::carry::scope_for;
use super::collect::endpoint;
use super::context::Context;
use super::failure::Failure;
use super::ui::Ui;
use crate::cluster::{Cluster, LogQuery, ScaleFrom};
use crate::execute::endpoint::{Purpose, probe};
use crate::exit::ExitStatus;
use crate::git::PushOutcome;
use crate::model::{Allowed, Right, WorkloadKind, WorkloadRef};
use crate::observe::{Sight, observe};
use crate::plan::{Decision, Request, Route, build};
use crate::report::{DrillReport, DrillTarget, Probe, Probes, drill_target};
use crate::timeline::Timeline;

/// How many targets are looked at at a time.
const AT_ONCE: usize = 6;

/// Arguments of `unship drill`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  unship drill zai-proxy -n mcp\n  unship drill -A -o json   # nightly: which workloads have no viable rollback target"
)]
pub(super) struct Args {
    /// [KIND/]NAME; without it everything in the namespace
    targets: Vec<String>,
    /// Everything in all namespaces
    #[arg(short = 'A', long, conflicts_with = "targets")]
    all_namespaces: bool,
    /// Label selector
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with = "targets")]
    selector: Option<String>,
    #[command(flatten)]
    source: Source,
}

/// Runs it.
pub(super) async fn run(global: &Global, args: &Args, ui: Ui) -> Result<ExitStatus, Failure> {
    let context = Context::new(global).await?;
    let cluster = context.cluster()?.clone();
    let mut wanted: Vec<(Option<WorkloadKind>, String, String)> = Vec::new();
    for word in &args.targets {
        let (kind, name) = target(word).map_err(Failure::usage)?;
        wanted.push((kind, context.namespace.clone(), name));
    }
    if args.targets.is_empty() {
        let namespace = (!args.all_namespaces).then_some(context.namespace.as_str());
        let found = cluster.workloads(namespace, args.selector.as_deref()).await;
        for gap in &found.gaps {
            ui.note(&gap.to_string());
        }
        let of =
            |reference: WorkloadRef| (Some(reference.kind), reference.namespace, reference.name);
        wanted.extend(found.items.into_iter().map(|w| of(w.reference)));
        if wanted.is_empty() {
            return Err(Failure::refused("there is no workload to rehearse")
                .hint("name one, or look elsewhere with -n or -A"));
        }
    }
    let looks = wanted.into_iter().map(|(kind, namespace, name)| {
        let (context, cluster) = (&context, &cluster);
        async move {
            let mut scope = context.scope(kind, name, &args.source);
            scope.namespace = namespace;
            Box::pin(rehearse(context, cluster, scope)).await
        }
    });
    let mut found: Vec<DrillTarget> = Vec::new();
    let mut looks = futures::stream::iter(looks).buffered(AT_ONCE);
    while let Some(one) = looks.next().await {
        found.push(one?);
    }
    let report = DrillReport::new(found);
    ui.result(&report, &report.text(ui.style()), None);
    Ok(ExitStatus::of_code(report.exit_code))
}

async fn rehearse(
    context: &Context,
    cluster: &Cluster,
    scope: crate::observe::Scope,
) -> Result<DrillTarget, Failure> {
    let mut request = Request::new(WorkloadRef {
        kind: scope.kind.unwrap_or(WorkloadKind::Deployment),
        namespace: scope.namespace.clone(),
        name: scope.name.clone(),
    });
    let scope = scope_for(scope, &request);
    let sight = observe(&context.clients, &scope, Timestamp::now()).await?;
    request.target = sight.observation.target.clone();
    let timeline = Timeline::of(&sight.observation, &super::runs::verified());
    let decision = build(&sight.observation, &timeline, &request);
    let (metrics_at, health_at) = (
        endpoint(&context.config.metrics),
        endpoint(&context.config.health),
    );
    let (scale, patch, push, logs, (metrics, forwarded), (health, also)) = tokio::join!(
        scale(cluster, &sight),
        patch(cluster, &sight, &timeline, &request),
        push(&sight),
        logs(cluster, &sight),
        probe(cluster, &sight.observation, (&metrics_at, Purpose::Metrics)),
        probe(cluster, &sight.observation, (&health_at, Purpose::Health)),
    );
    let probes = Probes {
        scale,
        patch,
        push,
        logs,
        metrics,
        health,
        forwarded: forwarded || also,
    };
    Ok(drill_target(
        &sight.observation,
        &timeline,
        &decision,
        &probes,
    ))
}

fn denied(sight: &Sight, right: Right) -> Option<Probe> {
    let answer = sight.observation.rights.answer(right);
    match answer {
        Some(answer) if answer.allowed == Allowed::Allowed => None,
        Some(answer) => Some(Probe::NotTried(format!(
            "{}: {}",
            answer.right, answer.reason
        ))),
        None => Some(Probe::NotTried("the right was not asked".to_owned())),
    }
}

async fn scale(cluster: &Cluster, sight: &Sight) -> Probe {
    let Some(workload) = &sight.observation.cluster.workload else {
        return Probe::NotTried("the live object could not be read".to_owned());
    };
    if workload.reference.kind == WorkloadKind::DaemonSet {
        return Probe::NotTried("a DaemonSet has no replicas".to_owned());
    }
    if let Some(probe) = denied(sight, Right::PatchScale) {
        return probe;
    }
    let from = ScaleFrom {
        uid: &workload.uid,
        replicas: workload.replicas,
    };
    match cluster.scale(&workload.reference, from, 0, true).await {
        Ok(_) => Probe::Worked("the server would do it (dry run)".to_owned()),
        Err(error) => Probe::Failed(error.to_string()),
    }
}

/// The direct rollback's patch, whatever route would be taken.
async fn patch(cluster: &Cluster, sight: &Sight, timeline: &Timeline, request: &Request) -> Probe {
    if let Some(probe) = denied(sight, Right::PatchWorkload) {
        return probe;
    }
    let mut request = request.clone();
    request.route = Route::Direct;
    request.allow.suspend_auto_sync = true;
    let operations = match build(&sight.observation, timeline, &request) {
        Decision::Plan(prepared) => prepared.patch,
        Decision::Refused(refusal) => return Probe::NotTried(refusal.first_words()),
        Decision::NotNeeded(reason) => return Probe::NotTried(reason),
    };
    let Some(operations) = operations else {
        return Probe::NotTried("there is nothing to patch".to_owned());
    };
    match cluster
        .patch_workload(&sight.observation.target, &operations, true)
        .await
    {
        Ok(_) => Probe::Worked("the server would take the patch (dry run)".to_owned()),
        Err(error) => Probe::Failed(error.to_string()),
    }
}

async fn push(sight: &Sight) -> Probe {
    let (Some(path), Some(git)) = (&sight.repository, &sight.observation.git) else {
        return Probe::NotTried("no repository is known".to_owned());
    };
    match path.push_dry_run(&git.remote, &git.tip, &git.branch).await {
        Ok(outcome) if outcome.is_there() => {
            Probe::Worked("push authentication works (dry run)".to_owned())
        }
        Ok(PushOutcome::AuthFailed { text } | PushOutcome::Refused { text, .. }) => {
            Probe::Failed(format!("the remote refuses pushes: {text}"))
        }
        Ok(other) => Probe::Failed(format!("{other:?}")),
        Err(error) => Probe::Failed(error.to_string()),
    }
}

async fn logs(cluster: &Cluster, sight: &Sight) -> Probe {
    let pods = sight.observation.cluster.pods.iter().flatten();
    let Some((pod, container)) = pods
        .filter(|pod| pod.phase == "Running")
        .find_map(|pod| Some((pod, pod.containers.first()?)))
    else {
        return Probe::NotTried("no pod is running".to_owned());
    };
    let query = LogQuery {
        namespace: &pod.namespace,
        pod: &pod.name,
        container: &container.name,
        tail_lines: Some(10),
        ..LogQuery::default()
    };
    match cluster.log(&query).await {
        Ok(text) => Probe::Worked(format!("{} lines of {}", text.lines().count(), pod.name)),
        Err(error) => Probe::Failed(error.to_string()),
    }
}
