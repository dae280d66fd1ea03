//! `unship status`.

use super::args::{Global, Source, target};
use super::context::Context;
use super::failure::Failure;
use super::ui::Ui;
use crate::exit::ExitStatus;
use crate::observe::observe;
use crate::plan::{Decision, Request, build};
use crate::report::{StatusReport, TargetStatus, status_text};
use crate::timeline::Timeline;

/// Arguments of `unship status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  unship status zai-proxy -n mcp")]
pub(super) struct Args {
    /// [KIND/]NAME; without it everything in the namespace, worst first
    target: Option<String>,
    /// All namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Label selector for the list
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    #[command(flatten)]
    source: Source,
}

/// Runs it.
pub(super) async fn run(global: &Global, args: &Args, ui: Ui) -> Result<ExitStatus, Failure> {
    let wanted = args
        .target
        .as_deref()
        .map(target)
        .transpose()
        .map_err(Failure::usage)?;
    let context = Context::new(global).await?;
    let Some((kind, name)) = wanted else {
        return list(&context, args, ui).await;
    };
    context.somebody_to_ask()?;
    let scope = context.scope(kind, name, &args.source);
    let sight = observe(&context.clients, &scope, jiff::Timestamp::now()).await?;
    let timeline = Timeline::of(&sight.observation, &super::runs::verified());
    let request = Request::new(sight.observation.target.clone());
    let blockers = match build(&sight.observation, &timeline, &request) {
        Decision::Refused(refusal) => refusal.blockers,
        Decision::Plan(_) | Decision::NotNeeded(_) => Vec::new(),
    };
    let report = StatusReport::new(vec![TargetStatus::new(
        &sight.observation,
        &timeline,
        blockers,
    )]);
    ui.result(&report, &status_text(&report), None);
    Ok(ExitStatus::Success)
}

/// Everything in the namespace, worst first.
async fn list(context: &Context, args: &Args, ui: Ui) -> Result<ExitStatus, Failure> {
    let cluster = context.cluster()?;
    let namespace = (!args.all_namespaces).then_some(context.namespace.as_str());
    let found = cluster.workloads(namespace, args.selector.as_deref()).await;
    if let (true, Some(gap)) = (found.items.is_empty(), found.gaps.first()) {
        return Err(Failure::error(format!("no workload could be read: {gap}"))
            .hint("`unship access` shows what this identity may read, and why not"));
    }
    let mut workloads = found.items;
    workloads.sort_by_key(|w| {
        (
            w.rollout_complete(),
            w.rollout.ready >= w.replicas,
            w.reference.clone(),
        )
    });
    let rows: Vec<Vec<String>> = workloads
        .iter()
        .map(|w| {
            let state = if w.paused {
                "paused"
            } else if w.progress_deadline_exceeded() {
                "rollout failed"
            } else if w.rollout_complete() {
                "complete"
            } else {
                "rolling out"
            };
            vec![
                w.reference.namespace.clone(),
                w.reference.short(),
                w.template
                    .main_image()
                    .map(|image| image.release())
                    .unwrap_or_default(),
                format!("{}/{}", w.rollout.ready, w.replicas),
                state.to_owned(),
            ]
        })
        .collect();
    let header = ["namespace", "workload", "image", "ready", "rollout"];
    let mut text = crate::report::table(&header, &rows, ui.style().width);
    for gap in &found.gaps {
        text.push_str(&format!("not seen: {gap}\n"));
    }
    let targets = workloads
        .iter()
        .map(|w| TargetStatus::of_workload(w, found.gaps.clone()))
        .collect();
    ui.result(&StatusReport::new(targets), &text, None);
    Ok(ExitStatus::Success)
}
