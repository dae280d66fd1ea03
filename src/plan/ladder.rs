//! The ways to act on this target as this identity, each with what speaks for or
//! against it. Asked, never guessed: an unknown right does not open a rung.

use super::{Blocker, Intent, Request, Route, Rung};
use crate::model::{
    AccessAnswer, Allowed, Application, ManagerTool, Observation, Right, Workload, WorkloadKind,
    managers,
};

/// Whether a rung can be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It can.
    Possible,
    /// It cannot.
    Closed,
    /// It cannot be told; it is not gone.
    Unknown,
}

/// One rung of the ladder.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// The route.
    pub route: Route,
    /// Whether it can be gone.
    pub standing: Standing,
    /// Why.
    pub reason: String,
    /// What closes it.
    pub blockers: Vec<Blocker>,
}

impl Step {
    fn possible(route: Route, reason: impl Into<String>) -> Self {
        Self {
            route,
            standing: Standing::Possible,
            reason: reason.into(),
            blockers: Vec::new(),
        }
    }

    fn closed(route: Route, standing: Standing, blockers: Vec<Blocker>) -> Self {
        let reasons: Vec<&str> = blockers.iter().map(|b| b.message.as_str()).collect();
        Self {
            route,
            standing,
            reason: reasons.join("; "),
            blockers,
        }
    }
}

/// All rungs, the safest first. `git_agrees`: the branch's tip already says what a
/// direct change would do, so that automated sync does not undo it.
pub(super) fn ladder(observation: &Observation, request: &Request, git_agrees: bool) -> Vec<Step> {
    vec![
        git(observation, request),
        argo(observation, request),
        direct(observation, request, git_agrees),
        Step::possible(
            Route::Request,
            "a complete request to a human, written to a file or a tracker",
        ),
    ]
}

/// The ways to act on a target, as [`super::Plan::rungs`] has them; the first that can
/// be gone is the chosen one.
#[must_use]
pub fn ladder_of(observation: &Observation, request: &Request) -> Vec<Rung> {
    let steps = ladder(observation, request, false);
    let order = if is_argo_managed(observation) {
        [Route::Git, Route::Argo, Route::Direct, Route::Request]
    } else {
        // Nothing applies a commit.
        [Route::Direct, Route::Git, Route::Argo, Route::Request]
    };
    let chosen = order.into_iter().find(|route| {
        steps
            .iter()
            .any(|step| step.route == *route && step.standing == Standing::Possible)
    });
    rungs(&steps, chosen.unwrap_or(Route::Request))
}

/// The rungs as a plan shows them.
pub(super) fn rungs(ladder: &[Step], chosen: Route) -> Vec<Rung> {
    ladder
        .iter()
        .map(|step| Rung {
            route: step.route.word().to_owned(),
            verdict: match step.standing {
                _ if step.route == chosen => "chosen",
                Standing::Possible => "possible",
                Standing::Closed => "closed",
                Standing::Unknown => "unknown",
            }
            .to_owned(),
            reason: step.reason.clone(),
        })
        .collect()
}

/// Whether Argo CD manages the target, as far as can be seen.
pub(super) const fn is_argo_managed(observation: &Observation) -> bool {
    observation.argocd.application_name.is_some()
}

fn git(observation: &Observation, request: &Request) -> Step {
    let mut blockers: Vec<Blocker> = field_not_in_git(observation, &request.intent)
        .into_iter()
        .collect();
    if request.intent == Intent::Bounce {
        blockers.push(Blocker::new(
            "two-commits",
            "through Git this would be two commits, and an outage as long as Argo CD takes for both",
            "use `unship restart`, or bounce directly where rights allow it",
        ));
    }
    blockers.extend(observation.source_blockers.iter().cloned());
    if observation.git.is_none() && observation.source_blockers.is_empty() {
        blockers.push(Blocker::new(
            "no-source",
            "no manifest of it was found in Git",
            "name the repository with --repo and the file with --file",
        ));
    }
    if !blockers.is_empty() {
        return Step::closed(Route::Git, Standing::Closed, blockers);
    }
    let branch = observation.git.as_ref().map_or("", |git| &*git.branch);
    let reason = if is_argo_managed(observation) {
        format!(
            "a commit on {branch}, which Argo CD follows; whether the branch takes a push is known only when it is tried"
        )
    } else {
        format!("a commit on {branch}; nothing shows that it will be applied")
    };
    Step::possible(Route::Git, reason)
}

/// Why the field that an intent is about is not Git's to say.
pub(super) fn field_not_in_git(observation: &Observation, intent: &Intent) -> Option<Blocker> {
    let about_replicas = intent.replicas().is_some() || *intent == Intent::Bounce;
    if !about_replicas {
        return None;
    }
    // An autoscaler leaves 0 alone, and 0 in a manifest that named no number is applied.
    let out = matches!(intent, Intent::Abort { .. });
    if let Some(hpa) = observation
        .cluster
        .hpas
        .iter()
        .flatten()
        .next()
        .filter(|_| !out)
    {
        return Some(Blocker::new(
            "replicas-autoscaled",
            format!(
                "HorizontalPodAutoscaler {} owns the replicas ({} to {})",
                hpa.name, hpa.min_replicas, hpa.max_replicas
            ),
            format!(
                "change its minReplicas and maxReplicas in Git, or act directly with --route direct: {} takes over again at once, except at 0",
                hpa.name
            ),
        ));
    }
    if let Some(app) = &observation.argocd.application
        && ignores_replicas(app, observation)
    {
        return Some(Blocker::new(
            "replicas-ignored",
            format!(
                "Application {} ignores differences in /spec/replicas: Git does not decide over them",
                app.name
            ),
            "scale directly with --route direct",
        ));
    }
    let tip = observation.git.as_ref().and_then(|git| git.states.first());
    (!out && tip.is_some_and(|state| state.replicas.is_none())).then(|| {
        Blocker::new(
            "replicas-not-in-git",
            "the manifest names no replicas: Git does not decide over them",
            "scale directly with --route direct, or add spec.replicas to the manifest",
        )
    })
}

/// Whether Argo CD puts back what an intent changes on the cluster. An autoscaler that owns
/// the replicas does not keep it from applying a number that the manifest names.
pub(super) fn a_sync_puts_back(observation: &Observation, intent: &Intent) -> bool {
    let about_replicas = intent.replicas().is_some() || *intent == Intent::Bounce;
    let app = observation.argocd.application.as_ref();
    let tip = observation.git.as_ref().and_then(|git| git.states.first());
    !about_replicas
        || (!app.is_some_and(|app| ignores_replicas(app, observation))
            && tip.is_none_or(|state| state.replicas.is_some()))
}

fn ignores_replicas(app: &Application, observation: &Observation) -> bool {
    let target = &observation.target;
    app.ignore_differences.iter().any(|rule| {
        (rule.kind == "*" || rule.kind == target.kind.as_str())
            && (rule.name.is_empty() || rule.name == target.name)
            && (rule.namespace.is_empty() || rule.namespace == target.namespace)
            && (rule.json_pointers.iter().any(|p| p == "/spec/replicas")
                || rule
                    .jq_path_expressions
                    .iter()
                    .any(|q| q.trim() == ".spec.replicas"))
    })
}

/// Argo CD's own rollback: refused by Argo CD itself while auto-sync is on
/// (`rollback cannot be initiated when auto-sync is enabled`, FailedPrecondition).
fn argo(observation: &Observation, request: &Request) -> Step {
    let closed = |id: &str, message: String, hint: &str| {
        Step::closed(
            Route::Argo,
            Standing::Closed,
            vec![Blocker::new(id, message, hint)],
        )
    };
    if request.intent != Intent::Rollback {
        return closed(
            "not-argo",
            "Argo CD's history knows rollbacks only".to_owned(),
            "use another route",
        );
    }
    let Some(app) = &observation.argocd.application else {
        return closed(
            "no-application",
            "no Application can be read".to_owned(),
            "set ARGOCD_SERVER and ARGOCD_AUTH_TOKEN, or use another route",
        );
    };
    if app.auto_sync.enabled {
        return closed(
            "auto-sync-on",
            format!(
                "Argo CD refuses a rollback while auto-sync of Application {} is on",
                app.name
            ),
            "roll back through Git",
        );
    }
    right(
        Route::Argo,
        observation,
        &[Right::ArgocdSync],
        "Argo CD syncs an earlier entry of its history; Git stays as it is",
    )
}

/// A rung that one of several rights opens.
fn right(route: Route, observation: &Observation, rights: &[Right], reason: &str) -> Step {
    let answers: Vec<Option<&AccessAnswer>> = rights
        .iter()
        .map(|right| observation.rights.answer(*right))
        .collect();
    let any = |wanted: Allowed| {
        answers
            .iter()
            .any(|answer| answer.is_some_and(|a| a.allowed == wanted))
    };
    if any(Allowed::Allowed) {
        return Step::possible(route, reason);
    }
    let denied = answers
        .iter()
        .all(|answer| answer.is_some_and(|a| a.allowed == Allowed::Denied));
    let blockers = rights
        .iter()
        .zip(&answers)
        .map(|(right, answer)| missing_right(*right, *answer, observation))
        .collect();
    let standing = if denied {
        Standing::Closed
    } else {
        Standing::Unknown
    };
    Step::closed(route, standing, blockers)
}

fn missing_right(
    right: Right,
    answer: Option<&AccessAnswer>,
    observation: &Observation,
) -> Blocker {
    let target = &observation.target;
    let with_reason = |answer: &AccessAnswer, word: &str| match answer.reason.as_str() {
        "" => format!("{} is {word}", answer.right),
        reason => format!("{} is {word}: {reason}", answer.right),
    };
    let message = match answer {
        Some(answer) if answer.allowed == Allowed::Denied => with_reason(answer, "denied"),
        Some(answer) => with_reason(answer, "unknown"),
        None => format!("{} was not asked", right_words(right, observation)),
    };
    Blocker::new(
        "right-missing",
        message,
        format!(
            "`unship request {} -n {}` hands it to a human; `unship access {} -n {} --role` prints the rights to ask for",
            target.short(),
            target.namespace,
            target.short(),
            target.namespace
        ),
    )
}

/// A right in words.
pub(super) fn right_words(right: Right, observation: &Observation) -> String {
    let target = &observation.target;
    let resource = target.kind.resource();
    match right {
        Right::PatchWorkload => format!("patch {resource}.apps in {}", target.namespace),
        Right::PatchScale => format!("patch {resource}.apps/scale in {}", target.namespace),
        Right::PatchApplication => "patch applications.argoproj.io".to_owned(),
        Right::ArgocdSync => "sync applications in Argo CD".to_owned(),
        Right::ArgocdUpdate => "update applications in Argo CD".to_owned(),
    }
}

/// The rights of which one is needed for a direct change.
pub(super) fn direct_rights(intent: &Intent, kind: WorkloadKind) -> &'static [Right] {
    match intent {
        Intent::Scale { .. } | Intent::Abort { .. } | Intent::Bounce
            if kind != WorkloadKind::DaemonSet =>
        {
            &[Right::PatchScale, Right::PatchWorkload]
        }
        _ => &[Right::PatchWorkload],
    }
}

fn direct(observation: &Observation, request: &Request, git_agrees: bool) -> Step {
    let Some(workload) = &observation.cluster.workload else {
        return Step::closed(
            Route::Direct,
            Standing::Unknown,
            vec![Blocker::new(
                "live-unknown",
                "the live object could not be read",
                "run `unship access` to see what this identity may read",
            )],
        );
    };
    let rights = direct_rights(&request.intent, workload.reference.kind);
    let reason = "a patch of the live object; Git is made to agree afterwards";
    let mut step = right(Route::Direct, observation, rights, reason);
    let mut blockers = other_managers(workload, request);
    blockers.extend(undone_by_argocd(observation, request, git_agrees));
    if !blockers.is_empty() {
        blockers.splice(0..0, step.blockers);
        step = Step::closed(Route::Direct, Standing::Closed, blockers);
    }
    step
}

/// Something else than Argo CD that keeps the object as it is.
fn other_managers(workload: &Workload, request: &Request) -> Vec<Blocker> {
    let overridden = request.allow.override_manager && request.reason.is_some();
    managers(workload)
        .into_iter()
        .filter(|manager| manager.tool != ManagerTool::Argocd)
        // A controller writes its own children at once: no reason makes that work.
        .filter(|manager| manager.tool == ManagerTool::Controller || !overridden)
        .map(|manager| {
            let (what, hint) = match manager.tool {
                ManagerTool::Flux => (
                    "undoes a change at its next reconciliation",
                    "change its source in Git, or suspend it with `flux suspend`",
                ),
                ManagerTool::Helm => (
                    "takes a change back with its next upgrade",
                    "use `helm rollback`",
                ),
                ManagerTool::Controller => (
                    "controls it and undoes a change at once",
                    "change that object instead",
                ),
                ManagerTool::Argocd | ManagerTool::FieldManager => (
                    "wrote fields of the pod template and may write them again",
                    "find out what it does",
                ),
            };
            Blocker::new(
                "managed-by-other",
                format!("{} {what}", manager.name),
                format!("{hint}; or act all the same with --override and --reason"),
            )
        })
        .collect()
}

/// What of Argo CD would undo a direct change.
fn undone_by_argocd(
    observation: &Observation,
    request: &Request,
    git_agrees: bool,
) -> Vec<Blocker> {
    let Some(name) = &observation.argocd.application_name else {
        return Vec::new();
    };
    let Some(app) = &observation.argocd.application else {
        return vec![Blocker::new(
            "auto-sync-unknown",
            format!(
                "Application {name} manages it and cannot be read: whether automated sync undoes a direct change is unknown"
            ),
            "set ARGOCD_SERVER and ARGOCD_AUTH_TOKEN, or roll back through Git",
        )];
    };
    if !app.auto_sync.enabled || git_agrees || !a_sync_puts_back(observation, &request.intent) {
        return Vec::new();
    }
    if !(request.allow.suspend_auto_sync || request.allow.emergency) {
        let when = if app.auto_sync.self_heal {
            "its self-heal undoes a direct change within seconds"
        } else {
            "its next automated sync undoes a direct change"
        };
        return vec![Blocker::new(
            "auto-sync-undoes",
            format!("Application {} syncs automatically: {when}", app.name),
            "roll back through Git; or with the right to change the Application add --suspend-auto-sync",
        )];
    }
    suspension(observation, app)
}

/// What keeps automated sync from being suspended.
fn suspension(observation: &Observation, app: &Application) -> Vec<Blocker> {
    let hint = "roll back through Git; it is the only place that this Application obeys";
    if let Some((kind, owner)) = app.owners.first() {
        return vec![Blocker::new(
            "application-owned",
            format!(
                "{kind} {owner} owns Application {} and gives automated sync back at once",
                app.name
            ),
            hint,
        )];
    }
    if let Some(id) = app.annotations.get("argocd.argoproj.io/tracking-id") {
        let parent = id.split(':').next().unwrap_or(id);
        return vec![Blocker::new(
            "application-owned",
            format!(
                "Application {} is itself managed in Git by Application {parent}, which gives automated sync back",
                app.name
            ),
            hint,
        )];
    }
    let rights = [Right::PatchApplication, Right::ArgocdUpdate];
    let step = right(Route::Direct, observation, &rights, "");
    step.blockers
}
