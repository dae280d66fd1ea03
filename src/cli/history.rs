//! `unship history`.

use super::args::{Global, Source, duration, target};
use super::context::Context;
use super::failure::Failure;
use super::ui::Ui;
use super::used;
use crate::exit::ExitStatus;
use crate::model::WorkloadRef;
use crate::observe::observe;
use crate::report::HistoryReport;
use crate::timeline::Timeline;

/// Arguments of `unship history`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  unship history zai-proxy -n mcp\n  unship history -A --since 1h"
)]
pub(super) struct Args {
    /// [KIND/]NAME, also configmap/NAME or service/NAME; without it what shipped lately in the namespace
    target: Option<String>,
    /// All namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only what went live since
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    since: Option<std::time::Duration>,
    /// How many releases at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    source: Source,
}

/// Runs it.
pub(super) async fn run(global: &Global, args: &Args, ui: Ui) -> Result<ExitStatus, Failure> {
    let word = args.target.as_deref();
    let wanted = match word {
        Some(word) if used::object(word, "").is_none() => Some(target(word)),
        _ => None,
    };
    let wanted = wanted.transpose().map_err(Failure::usage)?;
    let context = Context::new(global).await?;
    if let Some(object) = word.and_then(|word| used::object(word, &context.namespace)) {
        return used::history(&context, &object, (&args.source, args.limit), ui).await;
    }
    let Some((kind, name)) = wanted else {
        return list(&context, args, ui).await;
    };
    let mut scope = context.scope(kind, name, &args.source);
    scope.depth = args.limit;
    scope.used = args.limit;
    scope.rights = false;
    let now = jiff::Timestamp::now();
    let sight = observe(&context.clients, &scope, now).await?;
    let mut timeline = Timeline::of(&sight.observation, &super::runs::verified());
    timeline
        .missing
        .extend(
            sight
                .observation
                .source_blockers
                .iter()
                .map(|blocker| crate::model::Gap {
                    what: "Git's side".to_owned(),
                    reason: crate::model::GapReason::NotFound,
                    message: blocker.message.clone(),
                }),
        );
    keep_since(&mut timeline, args.since, now);
    timeline.entries.truncate(args.limit);
    let target = &sight.observation.target;
    let git = sight.observation.git.as_ref();
    let report = HistoryReport::new(&target.to_string(), &timeline, now)
        .with_used(git.map_or(&[], |git| &git.used_changes), &target.namespace);
    ui.result(&report, &report.text(ui.style()), None);
    Ok(ExitStatus::Success)
}

fn keep_since(timeline: &mut Timeline, since: Option<std::time::Duration>, now: jiff::Timestamp) {
    let Some(first) = since.and_then(|since| now.checked_sub(since).ok()) else {
        return;
    };
    timeline
        .entries
        .retain(|entry| entry.live_from.is_none_or(|from| from >= first));
}

/// What shipped lately: the newest ReplicaSet of every workload, from the cluster alone.
async fn list(context: &Context, args: &Args, ui: Ui) -> Result<ExitStatus, Failure> {
    let cluster = context.cluster()?;
    let namespace = (!args.all_namespaces).then_some(context.namespace.as_str());
    let found = cluster.workloads(namespace, None).await;
    let now = jiff::Timestamp::now();
    let mut timelines: Vec<(WorkloadRef, Timeline)> = Vec::new();
    let sets = futures::future::join_all(found.items.iter().map(|w| cluster.replica_sets(w))).await;
    for (workload, sets) in found.items.iter().zip(sets) {
        let mut gaps = Vec::new();
        let sets = sets
            .map_err(|error| gaps.push(error.gap("ReplicaSets")))
            .ok();
        let observation = crate::model::Observation {
            at: now,
            target: workload.reference.clone(),
            cluster: crate::model::ClusterView {
                workload: Some(workload.clone()),
                replica_sets: sets,
                ..Default::default()
            },
            argocd: Default::default(),
            git: None,
            signs_commits: None,
            rights: Default::default(),
            source_blockers: Vec::new(),
            automation: Default::default(),
            gaps,
        };
        let mut timeline = Timeline::of(&observation, &[]);
        keep_since(&mut timeline, args.since, now);
        if !timeline.entries.is_empty() {
            timelines.push((workload.reference.clone(), timeline));
        }
    }
    timelines.sort_by_key(|(_, t)| std::cmp::Reverse(t.entries.first().and_then(|e| e.live_from)));
    let mut text = String::new();
    let mut reports = Vec::new();
    for (target, timeline) in &timelines {
        let report = HistoryReport::new(&target.to_string(), timeline, now);
        text.push_str(&report.text(ui.style()));
        reports.push(report);
    }
    for gap in &found.gaps {
        text.push_str(&format!("not seen: {gap}\n"));
    }
    if text.is_empty() {
        text = "nothing shipped in that time\n".to_owned();
    }
    let document = serde_json::json!({
        "apiVersion": crate::plan::API_VERSION, "kind": "HistoryList", "items": reports, "gaps": found.gaps, "exitCode": 0,
    });
    ui.result(&document, &text, None);
    Ok(ExitStatus::Success)
}
