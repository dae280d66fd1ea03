//! Observation, timeline and request in; plan or refusal out.

use serde_json::Value;

use super::ladder::{Standing, ladder};
use super::{
    Blocker, Intent, Plan, Refusal, Request, Route, Unknown, argo, direct, git_route, hold,
    removal, revert,
};
use crate::automation::masked_diff;
use crate::manifest::{DiffOptions, unified_diff};
use crate::model::{Desired, ImageRef, Observation, PodTemplate};
use crate::timeline::{Entry, Timeline};

/// A plan with the bytes that it stands for.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The plan.
    pub plan: Plan,
    /// Path, text before and text after of each file. Texts may hold secrets.
    pub files: Vec<EditedFile>,
    /// Other rendered objects that the same edit changes, as KIND/NAME.
    pub also: Vec<String>,
    /// What should be live.
    pub desired: Desired,
    /// The JSON Patch of the live object, on the direct route. May hold secrets.
    pub patch: Option<Value>,
    /// Git's part of a plan on another route: what is committed after the cluster was
    /// changed.
    pub git: Option<Box<Self>>,
}

/// A file's texts.
#[derive(Clone)]
pub struct EditedFile {
    /// Path from the repository's root.
    pub path: String,
    /// Before.
    pub before: String,
    /// After; empty where the file is gone.
    pub after: String,
    /// Whether the file is removed.
    pub gone: bool,
    /// Whether the file is new at the tip.
    pub added: bool,
}

impl Prepared {
    /// A stored plan whose bytes are not known again: for runs that only wait.
    #[must_use]
    pub const fn of_plan(plan: Plan) -> Self {
        Self {
            plan,
            files: Vec::new(),
            also: Vec::new(),
            desired: Desired::of_template(PodTemplate::absent(), PodTemplate::absent()),
            patch: None,
            git: None,
        }
    }
}

impl EditedFile {
    /// The unified diff; environment values are masked, in JSON what may be a credential.
    #[must_use]
    pub fn diff(&self) -> String {
        let options = DiffOptions {
            mask_env_values: true,
            ..DiffOptions::default()
        };
        let diff = unified_diff(&self.path, &self.before, &self.after, options);
        if self.path.ends_with(".json") || self.path.ends_with("rc") {
            return masked_diff(&diff);
        }
        diff
    }
}

impl std::fmt::Debug for EditedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EditedFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// What planning came to.
#[derive(Debug)]
pub enum Decision {
    /// A plan.
    Plan(Box<Prepared>),
    /// No safe plan.
    Refused(Refusal),
    /// `--from` names something else than what is there, or nothing of a commit is left to be
    /// taken back.
    NotNeeded(String),
}

/// Decides.
#[must_use]
pub fn build(observation: &Observation, timeline: &Timeline, request: &Request) -> Decision {
    if let Some(reason) = from_differs(observation, timeline, request) {
        return Decision::NotNeeded(reason);
    }
    if matches!(request.intent, Intent::Revert { .. }) {
        return reverted(observation, timeline, request);
    }
    if request.intent.is_about_automation() {
        return hold::decide(observation, request);
    }
    match prepare(observation, timeline, request) {
        Ok(prepared) => Decision::Plan(Box::new(prepared)),
        Err(mut refusal) => {
            name_gaps(observation, &mut refusal);
            Decision::Refused(refusal)
        }
    }
}

fn reverted(observation: &Observation, timeline: &Timeline, request: &Request) -> Decision {
    match revert::prepare(observation, timeline, request) {
        Ok(revert::Outcome::Plan(prepared)) => Decision::Plan(prepared),
        Ok(revert::Outcome::NothingLeft(why)) => Decision::NotNeeded(why),
        Err(mut refusal) => {
            name_gaps(observation, &mut refusal);
            Decision::Refused(refusal)
        }
    }
}

/// What could not be read is often why there is no safe plan.
pub(super) fn name_gaps(observation: &Observation, refusal: &mut Refusal) {
    for gap in &observation.gaps {
        let unknown = Unknown {
            id: "gap".to_owned(),
            message: gap.what.clone(),
            reason: gap.message.clone(),
        };
        if !refusal.unknown.contains(&unknown) {
            refusal.unknown.push(unknown);
        }
    }
}

fn from_differs(
    observation: &Observation,
    timeline: &Timeline,
    request: &Request,
) -> Option<String> {
    let wanted = request.from.as_deref()?;
    let image = ImageRef::new(wanted);
    let is_it = |entry: &Entry| {
        entry
            .image()
            .is_some_and(|i| i.tag() == Some(wanted) || i.same_as(&image))
            || entry
                .commit
                .as_ref()
                .is_some_and(|c| c.id.as_str().starts_with(wanted))
    };
    let current = [timeline.tip(), timeline.live()];
    let tip = observation
        .git
        .as_ref()
        .is_some_and(|git| git.tip.as_str().starts_with(wanted));
    if tip || current.iter().flatten().any(|entry| is_it(entry)) {
        return None;
    }
    let now = current
        .iter()
        .flatten()
        .next()
        .map_or_else(|| "unknown".to_owned(), |e| e.release());
    Some(format!(
        "{wanted} is neither in Git nor live any more (now: {now}); nothing is done"
    ))
}

/// The route that was asked for, or the first that can be gone.
pub(super) fn prepare(
    observation: &Observation,
    timeline: &Timeline,
    request: &Request,
) -> Result<Prepared, Refusal> {
    if request.intent.deletes() {
        return removal::prepare(observation, timeline, request);
    }
    match request.route {
        Route::Git => git_route::prepare(observation, timeline, request),
        Route::Argo => argo::prepare(observation, timeline, request),
        Route::Direct => direct::prepare(observation, timeline, request),
        Route::Request => Err(Refusal::one(Blocker::new(
            "asked-for-a-request",
            "a request to a human was asked for",
            format!(
                "`unship request {} -n {}` writes it",
                request.target.short(),
                request.target.namespace
            ),
        ))),
        Route::Auto => auto(observation, timeline, request),
    }
}

/// Git first where Argo CD follows Git; the cluster first where nothing manages the
/// object. A refusal for a reason that lies in the content is not got around by
/// another route.
fn auto(
    observation: &Observation,
    timeline: &Timeline,
    request: &Request,
) -> Result<Prepared, Refusal> {
    let steps = ladder(observation, request, false);
    let possible = |route: Route| {
        steps
            .iter()
            .any(|step| step.route == route && step.standing == Standing::Possible)
    };
    let unmanaged = observation.argocd.application_name.is_none();
    if matches!(request.intent, Intent::Bounce) || (unmanaged && possible(Route::Direct)) {
        return direct::prepare(observation, timeline, request);
    }
    if possible(Route::Git) {
        return match git_route::prepare(observation, timeline, request) {
            Err(refusal) if request.allow.emergency && lies_in_landing(&refusal) => {
                direct::prepare(observation, timeline, request)
            }
            other => other,
        };
    }
    if possible(Route::Argo) {
        return argo::prepare(observation, timeline, request);
    }
    if possible(Route::Direct) {
        return direct::prepare(observation, timeline, request);
    }
    let mut refusal = git_route::prepare(observation, timeline, request)
        .err()
        .unwrap_or_default();
    let closed = steps
        .iter()
        .filter(|step| matches!(step.route, Route::Git | Route::Direct))
        .flat_map(|step| &step.blockers);
    for blocker in closed {
        // An unmanaged object and one of Argo CD are refused for Git's reasons; what
        // closes the direct way is said where that way is the usual one.
        let said = refusal.blockers.iter().any(|own| own.id == blocker.id);
        if !said && (unmanaged || refusal.is_empty()) {
            refusal.blockers.push(blocker.clone());
        }
    }
    Err(refusal)
}

/// Whether everything that blocks only keeps a commit from going live.
fn lies_in_landing(refusal: &Refusal) -> bool {
    const LANDING: [&str; 9] = [
        "skip-reconcile",
        "auto-sync-off",
        "running-operation",
        "failed-sync",
        "sync-window",
        "comparison-error",
        "no-source",
        "remote-unreachable",
        "paused",
    ];
    !refusal.blockers.is_empty()
        && refusal
            .blockers
            .iter()
            .all(|blocker| LANDING.contains(&blocker.id.as_str()))
}
