//! What would keep a pushed commit from landing, predicted before any commit.
//! Rules by Argo CD 3.2 to 3.5 unless a version is named.

use jiff::Timestamp;

use super::{Blocker, Goal, Intent, Request, windows};
use crate::model::{
    Allowed, Application, IgnoreDifference, Lands, Making, Observation, OperationPhase,
    OperationState, Right, Workload,
};

/// An operation that runs longer than this is taken to wait for something.
const STUCK_OPERATION_SECONDS: i64 = 60;

/// Blockers and warnings about landing.
#[derive(Debug, Default)]
pub(super) struct Landing {
    /// What keeps a commit from landing.
    pub blockers: Vec<Blocker>,
    /// What may.
    pub warnings: Vec<String>,
    /// An operation that is in the way is to be terminated.
    pub terminate: bool,
    /// Auto-sync is off and this identity may sync: the object is synced after the push.
    pub sync: bool,
}

/// Predicts whether a commit on the branch will go live.
pub(super) fn landing(observation: &Observation, request: &Request, changes_git: bool) -> Landing {
    let mut found = Landing::default();
    let workload = observation.cluster.workload.as_ref();
    let asked = matches!(request.intent, Intent::Pause | Intent::Resume);
    match workload.filter(|w| w.paused && !asked) {
        Some(workload) if changes_git && request.intent == Intent::Rollback => found.warnings.push(format!(
            "{} is paused; the same commit sets spec.paused: false, so that its rollout goes on",
            workload.reference.short()
        )),
        Some(workload)
            if !workload.rollout_complete()
                || !(request.intent == Intent::Rollback || request.intent.replicas().is_some()) =>
        {
            found.blockers.push(paused(workload));
        }
        Some(_) | None => {}
    }
    if let Some(Workload {
        controller: Some((kind, name)),
        ..
    }) = workload
    {
        found.blockers.push(Blocker::new(
            "owned-by-controller",
            format!("{kind}/{name} controls this workload and would undo a change of it"),
            format!("change {kind}/{name} instead"),
        ));
    }
    match &observation.argocd.application {
        Some(application) => {
            application_blockers(application, (observation, request), changes_git, &mut found);
        }
        None => found.warnings.push(no_application(observation)),
    }
    for maker in makers(observation) {
        found.blockers.extend(still(maker));
        found.blockers.extend(uncompared(maker));
        found.blockers.extend(maker_sync(maker, observation));
    }
    found
}

/// The Applications through which a commit reaches the target's own.
fn makers(observation: &Observation) -> Vec<&Application> {
    let git = observation.git.as_ref();
    let Some(rendered) = git.and_then(|git| git.rendered.as_ref()) else {
        return Vec::new();
    };
    let Lands::Maker(count) = rendered.lands else {
        return Vec::new();
    };
    let makers = rendered.sourcing.makers().take(count);
    let makers = makers.filter_map(Making::deployer);
    makers.map(|deployer| &deployer.application).collect()
}

/// What keeps a maker from syncing what it makes.
fn maker_sync(app: &Application, observation: &Observation) -> Option<Blocker> {
    let name = &app.name;
    if !app.auto_sync.enabled {
        return Some(Blocker::new(
            "auto-sync-off",
            format!(
                "auto-sync of Application {name}, which makes the target's own, is off: a push is not applied by itself"
            ),
            format!(
                "push with --wait=false, then an identity with the `sync` right runs `argocd app sync {name}`"
            ),
        ));
    }
    running_operation(app, observation.at)
}

fn no_application(observation: &Observation) -> String {
    match &observation.argocd.application_name {
        Some(name) => format!(
            "Application {name} cannot be read: sync windows, running operations and auto-sync are unknown; landing is judged by the live template"
        ),
        None => "no Argo CD Application is known to manage it: nothing shows that a push will be applied; landing is judged by the live template".to_owned(),
    }
}

fn paused(workload: &Workload) -> Blocker {
    let reference = &workload.reference;
    Blocker::new(
        "paused",
        format!(
            "{} is paused: a new template is not rolled out",
            reference.short()
        ),
        format!(
            "an identity with patch rights can run `kubectl rollout resume {} -n {}`",
            reference.short(),
            reference.namespace
        ),
    )
}

fn application_blockers(
    app: &Application,
    (observation, request): (&Observation, &Request),
    changes_git: bool,
    found: &mut Landing,
) {
    let name = &app.name;
    found.blockers.extend(still(app));
    syncs(app, observation, request, found);
    // What makes the Application is edited where it is pinned there.
    let git = observation.git.as_ref();
    let rendered = git.and_then(|git| git.rendered.as_ref());
    if rendered.is_none_or(|rendered| rendered.sourcing.pinned.is_none())
        && let Some(blocker) = pinned(app, observation.argocd.source)
    {
        found.blockers.push(blocker);
    }
    if !changes_git && let Some(blocker) = failed_sync(app) {
        found.blockers.push(blocker);
    }
    if request.intent.replicas().is_none() {
        ignored(app, observation, found);
    }
    windows_and_keys(app, observation, found);
    if app
        .annotations
        .keys()
        .any(|k| k.starts_with("argocd-image-updater.argoproj.io/image-list"))
    {
        found.warnings.push(format!(
            "Argo CD Image Updater watches Application {name} and may bump the image again; stop it before or after the rollback"
        ));
    }
    found.blockers.extend(uncompared(app));
}

/// An Application that Argo CD does nothing for.
fn still(app: &Application) -> Vec<Blocker> {
    let (name, mut found) = (&app.name, Vec::new());
    if app
        .annotations
        .get("argocd.argoproj.io/skip-reconcile")
        .is_some_and(|v| v == "true")
    {
        found.push(Blocker::new(
            "skip-reconcile",
            format!("Argo CD ignores Application {name} (annotation skip-reconcile)"),
            format!(
                "remove the annotation argocd.argoproj.io/skip-reconcile from Application {name}"
            ),
        ));
    }
    if let Some(failed) = app.hydrator.as_ref().and_then(|own| own.failed.as_ref()) {
        found.push(Blocker::new(
            "hydrator",
            format!("Argo CD's source hydrator failed for Application {name}: {failed}"),
            "clear that first; until then no commit of the dry source is synced",
        ));
    }
    if app.deleting {
        found.push(Blocker::new(
            "application-deleting",
            format!("Application {name} is being deleted"),
            format!("find out who deletes Application {name} and why"),
        ));
    }
    found
}

/// An Application that cannot be compared.
fn uncompared(app: &Application) -> Vec<Blocker> {
    let is_error = |kind: &str| matches!(kind, "ComparisonError" | "InvalidSpecError");
    let errors = app.conditions.iter().filter(|(kind, _)| is_error(kind));
    let blocker = |(kind, message): &(String, String)| {
        Blocker::new(
            "comparison-error",
            format!(
                "Argo CD cannot compare Application {}: {kind}: {message}",
                app.name
            ),
            "clear that error first; nothing is synced while it stands",
        )
    };
    errors.map(blocker).collect()
}

/// Auto-sync that is off and an operation that is in the way: blockers, unless this
/// identity may sync, and terminate, by itself.
fn syncs(app: &Application, observation: &Observation, request: &Request, found: &mut Landing) {
    let name = &app.name;
    // A sync takes a commit of the branch that the hydrator writes; which one is not known before.
    let may_sync =
        app.hydrator.is_none() && observation.rights.allowed(Right::ArgocdSync) == Allowed::Allowed;
    if !app.auto_sync.enabled && may_sync && request.goal >= Goal::Landed {
        found.sync = true;
        found.warnings.push(format!(
            "auto-sync of Application {name} is off: a sync of this object alone is asked for after the push"
        ));
    } else if !app.auto_sync.enabled {
        found.blockers.push(Blocker::new(
            "auto-sync-off",
            format!("auto-sync of Application {name} is off: a push is not applied by itself"),
            format!("push with --wait=false, then an identity with the `sync` right runs `argocd app sync {name}`"),
        ));
    }
    let running = running_operation(app, observation.at);
    if running.is_some() && request.allow.terminate_operation && may_sync {
        found.terminate = true;
        found.warnings.push(format!(
            "the running sync of Application {name} is terminated after the push"
        ));
    } else if let Some(blocker) = running {
        found.blockers.push(blocker);
    } else if app.operation_in_progress() {
        found.warnings.push(format!(
            "a sync of Application {name} is running; the new commit waits for it"
        ));
    }
}

/// A tag, a commit or a chart version as targetRevision does not move with a branch.
fn pinned(app: &Application, source: usize) -> Option<Blocker> {
    let revision = &app.sources.get(source)?.target_revision;
    let is_commit = revision.len() == 40 && revision.bytes().all(|b| b.is_ascii_hexdigit());
    let is_tag = revision.starts_with("refs/tags/");
    (is_commit || is_tag).then(|| {
        Blocker::new(
            "pinned",
            format!(
                "Application {} is pinned to {revision}: a push to a branch changes nothing",
                app.name
            ),
            "change spec.source.targetRevision where the Application is defined",
        )
    })
}

fn running_operation(app: &Application, now: Timestamp) -> Option<Blocker> {
    let state = app.operation_state.as_ref()?;
    if !matches!(
        state.phase,
        OperationPhase::Running | OperationPhase::Terminating
    ) {
        return None;
    }
    let age = state
        .started_at
        .map_or(0, |at| now.as_second() - at.as_second());
    let waits = state.message.contains("waiting for") || state.message.contains("blocked by");
    if !(waits || state.retry_count > 0 || age > STUCK_OPERATION_SECONDS) {
        return None;
    }
    let commit: String = state
        .operation
        .commits
        .first()
        .map_or("an unnamed commit", String::as_str)
        .chars()
        .take(7)
        .collect();
    let since = state
        .started_at
        .map(|at| format!("since {at}, "))
        .unwrap_or_default();
    Some(Blocker::new(
        "running-operation",
        format!(
            "a sync of {commit} is still running ({since}{})",
            state.message
        ),
        format!(
            "an identity with Argo's `sync` right can run `argocd app terminate-op {}`, or this command with --terminate-operation",
            app.name
        ),
    ))
}

/// Auto-sync does not try a commit again whose sync failed.
fn failed_sync(app: &Application) -> Option<Blocker> {
    let state: &OperationState = app.operation_state.as_ref()?;
    let failed = matches!(state.phase, OperationPhase::Failed | OperationPhase::Error);
    let same = !state.synced_commits.is_empty() && state.synced_commits == app.compared_commits;
    (failed && same && app.sync == crate::model::SyncStatus::OutOfSync).then(|| {
        Blocker::new(
            "failed-sync",
            format!("the sync of this commit failed and is not tried again: {}", state.message),
            format!("an identity with Argo's `sync` right can run `argocd app sync {}`; or push a new commit", app.name),
        )
    })
}

fn ignored(app: &Application, observation: &Observation, found: &mut Landing) {
    let target = &observation.target;
    let applies = |rule: &&IgnoreDifference| {
        (rule.kind == "*" || rule.kind == target.kind.as_str())
            && (rule.group == "*" || rule.group == "apps")
            && (rule.name.is_empty() || rule.name == target.name)
            && (rule.namespace.is_empty() || rule.namespace == target.namespace)
    };
    for rule in app.ignore_differences.iter().filter(applies) {
        let pointer = rule
            .json_pointers
            .iter()
            .find(|p| p.starts_with("/spec/template") || matches!(p.as_str(), "" | "/spec" | "/"));
        let query = rule
            .jq_path_expressions
            .iter()
            .find(|q| q.contains(".spec.template") || q.trim() == ".spec");
        if let Some(place) = pointer.or(query) {
            found.blockers.push(Blocker::new(
                "ignored-difference",
                format!(
                    "Application {} ignores differences in {place}: the change would not be synced",
                    app.name
                ),
                "remove that entry of spec.ignoreDifferences from the Application",
            ));
        }
        for manager in &rule.managed_fields_managers {
            found.warnings.push(format!(
                "Application {} ignores fields that {manager} manages; if it manages the pod template, nothing will be synced",
                app.name
            ));
        }
    }
}

fn windows_and_keys(app: &Application, observation: &Observation, found: &mut Landing) {
    let Some(project) = &observation.argocd.project else {
        found.warnings.push(format!(
            "AppProject {} could not be read: sync windows are unknown",
            app.project
        ));
        return;
    };
    let verdict = windows::evaluate(
        &project.sync_windows,
        &app.name,
        &app.destination,
        observation.at,
    );
    if !verdict.auto_allowed {
        let opens = windows::opens_at(
            &project.sync_windows,
            &app.name,
            &app.destination,
            observation.at,
        )
        .map_or_else(
            || "it does not open within 8 days".to_owned(),
            |at| format!("it opens at {at}"),
        );
        found.blockers.push(Blocker::new(
            "sync-window",
            format!("a sync window of AppProject {} keeps auto-sync away ({}); {opens}", project.name, verdict.blocking.iter().map(|w| w.description.clone()).collect::<Vec<_>>().join("; ")),
            if verdict.manual_allowed {
                format!("push with --wait=false, then an identity with the `sync` right runs `argocd app sync {}`", app.name)
            } else {
                format!("wait until it opens, or change spec.syncWindows of AppProject {}", project.name)
            },
        ));
    }
    if project.signature_keys && observation.signs_commits == Some(false) {
        found.blockers.push(Blocker::new(
            "signature-required",
            format!(
                "AppProject {} takes signed commits only, and this Git configuration signs none",
                project.name
            ),
            "set commit.gpgsign and user.signingkey to a key that the project knows",
        ));
    }
}
