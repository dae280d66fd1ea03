//! `abort --delete` of a canary that an earlier one removed: nothing is left to be done, told by the
//! finished run or by Git's history.

use jiff::Timestamp;

use super::args::Source;
use super::context::{Context, state_folder};
use super::failure::Failure;
use super::ui::Ui;
use crate::execute::journal::{self, StoredRun};
use crate::exit::ExitStatus;
use crate::model::{WorkloadKind, plain};
use crate::observe::{Departure, Error as ObserveError, departure, observe};
use crate::report::{RunReport, RunState};

/// Why nothing is left to be done: the object is not there, and what took it out is known.
/// `None` where the object is there, or nothing tells.
///
/// # Errors
/// When Git has the document again.
pub(super) async fn already_gone(
    context: &Context,
    source: &Source,
    (kind, name): (Option<WorkloadKind>, &str),
) -> Result<Option<String>, Failure> {
    let mut scope = context.scope(kind, name.to_owned(), source);
    scope.git = false;
    scope.rights = false;
    let look = observe(&context.clients, &scope, Timestamp::now()).await;
    if !matches!(look, Err(ObserveError::NotFound { .. })) {
        return Ok(None);
    }
    let run = finished(context, (kind, name));
    scope.git = true;
    if let Some(run) = &run {
        let clone = run.head.reach.repo.clone().map(Into::into);
        scope.repo = scope.repo.or(clone);
        scope.branch = scope.branch.or_else(|| run.head.reach.branch.clone());
    }
    let by = |run: &StoredRun| format!("run {}", run.head.run_id);
    let place = format!("{name} in namespace {}", context.namespace);
    let file = run.as_ref().and_then(|run| run.plan.targets.first());
    let file = file.map(|target| target.file.clone());
    match departure(&context.clients, &scope, file).await {
        Ok(Departure::Removed { commit, path }) => {
            let id: String = commit.id.as_str().chars().take(7).collect();
            let run = commit.trailer("Unship-Run").map(|id| format!("run {id}"));
            let run = run.map_or_else(String::new, |run| format!(", {run}"));
            Ok(Some(format!(
                "nothing to do: {place} is gone, and its manifest is out of {path} since {id} ({}, {}{run})",
                plain(commit.subject()),
                plain(&commit.author.name)
            )))
        }
        Ok(Departure::There { path }) => Err(Failure::refused(format!(
            "{place} is not in the cluster, but {path} has a manifest of it: it is not there yet, or nothing applies it here"
        ))
        .hint("`unship status` shows what is there; wait until Argo CD has made it, and try again")),
        // The run alone tells of Git as it was.
        Ok(Departure::Unknown) => Ok(run.as_ref().map(|run| {
            format!(
                "nothing to do: {place} is gone, and {} took its manifest out of Git, which was not looked at again",
                by(run)
            )
        })),
        Err(error) => match run {
            Some(run) => Ok(Some(format!(
                "nothing to do: {place} is gone, and {} took its manifest out of Git, which could not be looked at again: {error}",
                by(&run)
            ))),
            None => Ok(None),
        },
    }
}

/// The newest finished run that took this workload's manifest out.
fn finished(context: &Context, (kind, name): (Option<WorkloadKind>, &str)) -> Option<StoredRun> {
    let fits = |run: &StoredRun| {
        let target = &run.head.request.target;
        let named = target.name == name && target.namespace == context.namespace;
        let removed = run.plan.removal().is_some();
        let well = run.ended().is_some_and(|(_, code)| code == 0) && !run.is_open();
        named && removed && well && kind.is_none_or(|kind| kind == target.kind)
    };
    let runs = journal::list(&state_folder()).into_iter().rev();
    runs.filter_map(|(_, run)| run.ok()).find(fits)
}

/// Says so.
pub(super) fn nothing_to_do(reason: &str, ui: Ui) -> ExitStatus {
    let report = RunReport::of_nothing("", RunState::Succeeded, 0, reason.to_owned());
    ui.result(&report, &format!("{reason}\n"), None);
    ExitStatus::Success
}
