//! Observation, timeline and request in; plan or refusal out.

use serde_json::json;
use sha2::{Digest, Sha256};

use super::document::{Document, TEMPLATE, open, restore_paths};
use super::target::{Choice, bad_release, choose};
use super::{
    API_VERSION, Action, Blocker, Goal, GoodRelease, LaterWork, Only, Plan, PlannedCommit,
    PlannedFile, Refusal, Release, Request, Rung, Step, Target, Unknown, blockers, later, message,
    provenance,
};
use crate::manifest::{DiffOptions, unified_diff};
use crate::model::{DocumentIndex, GitView, ImageRef, Observation, PodTemplate};
use crate::timeline::{Entry, Grade, Timeline};

/// The worst time until Argo CD sees a pushed commit by itself: 120 s between
/// reconciliations, up to 60 s of jitter, and 180 s for which the repo-server may
/// keep a branch's tip (Argo CD 3.0 and later).
const WORST_POLL_SECONDS: i64 = 360;

/// Seconds given to a rollout beyond its own progress deadline.
const ROLLOUT_GRACE_SECONDS: i64 = 60;

/// A plan with the bytes that it stands for.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The plan.
    pub plan: Plan,
    /// Path, text before and text after of each file. Texts may hold secrets.
    pub files: Vec<EditedFile>,
    /// The target's pod template after the edit.
    pub template: PodTemplate,
}

/// A file's texts.
#[derive(Clone)]
pub struct EditedFile {
    /// Path from the repository's root.
    pub path: String,
    /// Before.
    pub before: String,
    /// After.
    pub after: String,
}

impl Prepared {
    /// A stored plan whose bytes are not known again: for runs that only wait.
    #[must_use]
    pub const fn of_plan(plan: Plan) -> Self {
        Self {
            plan,
            files: Vec::new(),
            template: PodTemplate::absent(),
        }
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
    /// `--from` names something else than what is there.
    NotNeeded(String),
}

/// Decides.
#[must_use]
pub fn build(observation: &Observation, timeline: &Timeline, request: &Request) -> Decision {
    if let Some(reason) = from_differs(observation, timeline, request) {
        return Decision::NotNeeded(reason);
    }
    match prepare(observation, timeline, request) {
        Ok(prepared) => Decision::Plan(Box::new(prepared)),
        Err(mut refusal) => {
            name_gaps(observation, &mut refusal);
            Decision::Refused(refusal)
        }
    }
}

/// What could not be read is often why there is no safe plan.
fn name_gaps(observation: &Observation, refusal: &mut Refusal) {
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

fn prepare(
    observation: &Observation,
    timeline: &Timeline,
    request: &Request,
) -> Result<Prepared, Refusal> {
    let git = source(observation)?;
    let mut refusal = Refusal::default();
    refusal.blockers.extend(provenance::blockers(observation));
    let document = match Document::of(&git.text, &git.file, &observation.target) {
        Ok(document) => document,
        Err(blocker) => {
            refusal.blockers.push(blocker);
            return Err(refusal);
        }
    };
    if !refusal.is_empty() {
        return Err(refusal);
    }
    let choice = choose(timeline, observation, request)?;
    let edited = edit(&document, git, &choice, request).map_err(Refusal::one)?;
    let edited = unpaused(observation, git, edited).map_err(Refusal::one)?;
    let files = edited_files(git, observation, &choice, request, edited)?;
    let changes_git = !files.is_empty();
    let after = template_after(&files, &document, git, observation)?;
    refusal
        .blockers
        .extend(content_blockers(observation, &document, &after, &choice));
    let target = describe(observation, git, &document, &choice, (&after, request));
    if request.consent
        && !request.discard_later
        && let Some(blocker) = unasked_later_work(&target)
    {
        refusal.blockers.push(blocker);
    }
    let mut warnings = warnings(observation, &choice, timeline);
    let landing = blockers::landing(observation, changes_git);
    if request.goal >= Goal::Landed {
        refusal.blockers.extend(landing.blockers);
    } else {
        warnings.extend(
            landing
                .blockers
                .into_iter()
                .map(|b| format!("{}; {}", b.message, b.hint)),
        );
    }
    warnings.extend(landing.warnings);
    if !refusal.is_empty() {
        return Err(refusal);
    }
    let plan = assemble(
        observation,
        git,
        request,
        target,
        (&files, warnings, &document),
    );
    Ok(Prepared {
        plan,
        files,
        template: after,
    })
}

/// Git's side, or why there is none.
fn source(observation: &Observation) -> Result<&GitView, Refusal> {
    if let Some(git) = &observation.git {
        if git.proven && observation.source_blockers.is_empty() {
            return Ok(git);
        }
    }
    let mut refusal = Refusal {
        blockers: observation.source_blockers.clone(),
        unknown: Vec::new(),
    };
    if let Some(git) = &observation.git
        && !git.proven
    {
        refusal.unknown.push(Unknown {
            id: "source".to_owned(),
            message: format!(
                "{} in {} is not proven to be the source",
                git.file, git.repository
            ),
            reason: git.proof.clone(),
        });
    }
    name_gaps(observation, &mut refusal);
    if refusal.is_empty() {
        refusal.blockers.push(Blocker::new(
            "no-source",
            "no manifest of it was found in Git",
            "name the repository with --repo and the file with --file",
        ));
    }
    Err(refusal)
}

/// The target file's text after the edit.
fn edit(
    document: &Document,
    git: &GitView,
    choice: &Choice<'_>,
    request: &Request,
) -> Result<String, Blocker> {
    if choice.already.is_some() {
        return Ok(git.text.to_string());
    }
    let state = choice.entry.state.and_then(|index| git.states.get(index));
    match (state, &request.only) {
        (Some(state), Only::Template | Only::Fields(_)) => {
            let names = (
                document_kind(request),
                &*request.target.namespace,
                &*request.target.name,
            );
            let good = open(&state.text, &state.path, names)?;
            if choice.entry.is_tip {
                return Ok(git.text.to_string());
            }
            document.restore(&git.file, &good, &restore_paths(&request.only)?)
        }
        _ => document.set_images(&git.file, choice.entry),
    }
}

const fn document_kind(request: &Request) -> &'static str {
    request.target.kind.as_str()
}

/// A paused Deployment is unpaused by the same commit. Argo CD (3.2, seen on a real
/// one) finds no difference in `paused: false` alone and does not apply it; together
/// with a changed template it is applied and the rollout goes on.
fn unpaused(observation: &Observation, git: &GitView, edited: String) -> Result<String, Blocker> {
    let paused = observation
        .cluster
        .workload
        .as_ref()
        .is_some_and(|workload| workload.paused);
    if !paused || edited == *git.text {
        return Ok(edited);
    }
    Document::of(&edited, &git.file, &observation.target)?.unpause(&git.file)
}

fn edited_files(
    git: &GitView,
    observation: &Observation,
    choice: &Choice<'_>,
    request: &Request,
    edited: String,
) -> Result<Vec<super::build::EditedFile>, Refusal> {
    let mut files = vec![EditedFile {
        path: git.file.clone(),
        before: git.text.to_string(),
        after: edited,
    }];
    for (kind, name) in &request.with {
        companion(git, observation, choice, (kind, name), &mut files).map_err(Refusal::one)?;
    }
    files.retain(|file| file.before != file.after);
    Ok(files)
}

/// Restores one accompanying object: everything but its metadata and status.
fn companion(
    git: &GitView,
    observation: &Observation,
    choice: &Choice<'_>,
    (kind, name): (&str, &str),
    files: &mut Vec<EditedFile>,
) -> Result<(), Blocker> {
    let missing = |what: &str| {
        Blocker::new(
            "with-not-found",
            format!("--with {kind}/{name}: {what}"),
            "leave it out, or restore it by hand",
        )
    };
    let found = git
        .companions
        .iter()
        .find(|c| c.kind.eq_ignore_ascii_case(kind) && c.name == name)
        .ok_or_else(|| missing("no manifest of it was found"))?;
    let old = choice
        .entry
        .state
        .and_then(|index| found.at_states.get(index).cloned().flatten())
        .ok_or_else(|| missing("Git does not have it at the target state"))?;
    let namespace = &observation.target.namespace;
    let text = files
        .iter()
        .find(|file| file.path == found.path)
        .map_or_else(|| found.text.to_string(), |file| file.after.clone());
    let own = open(&text, &found.path, (&found.kind, namespace, name))?;
    let good = open(&old, &found.path, (&found.kind, namespace, name))?;
    let mut paths = Vec::new();
    for document in [&own, &good] {
        for key in document.top_level_keys() {
            if !matches!(key.as_str(), "apiVersion" | "kind" | "metadata" | "status") {
                paths.push(key);
            }
        }
    }
    paths.sort();
    paths.dedup();
    let paths = restore_paths(&Only::Fields(paths))?;
    let after = own.restore(&found.path, &good, &paths)?;
    match files.iter_mut().find(|file| file.path == found.path) {
        Some(file) => file.after = after,
        None => files.push(EditedFile {
            path: found.path.clone(),
            before: found.text.to_string(),
            after,
        }),
    }
    Ok(())
}

fn template_after(
    files: &[EditedFile],
    before: &Document,
    git: &GitView,
    observation: &Observation,
) -> Result<PodTemplate, Refusal> {
    let own = files.iter().find(|file| file.path == git.file);
    let template = match own {
        Some(file) => Document::of(&file.after, &file.path, &observation.target)
            .map_err(Refusal::one)?
            .template(),
        None => before.template(),
    };
    template.ok_or_else(|| {
        Refusal::one(Blocker::new(
            "no-template",
            format!("{} has no spec.template", git.file),
            "name the right file with --file",
        ))
    })
}

/// What about the resulting content itself forbids it.
fn content_blockers(
    observation: &Observation,
    before: &Document,
    after: &PodTemplate,
    choice: &Choice<'_>,
) -> Vec<Blocker> {
    let mut found = Vec::new();
    if let Some(workload) = &observation.cluster.workload {
        let labels = after.value().pointer("/metadata/labels");
        for (key, value) in &workload.match_labels {
            let own = labels
                .and_then(|l| l.get(key))
                .and_then(serde_json::Value::as_str);
            if own != Some(value) {
                found.push(Blocker::new(
                    "selector",
                    format!("the old template's labels miss the selector {key}={value}, which cannot be changed"),
                    "use --only image",
                ));
            }
        }
    }
    let is_canary = |image: &ImageRef| image.tag().is_some_and(|tag| tag.ends_with("-canary"));
    let current = before.template().and_then(|template| template.main_image());
    if let (Some(image), Some(current)) = (after.main_image(), current)
        && is_canary(&image)
        && !is_canary(&current)
    {
        found.push(Blocker::new(
            "canary-image",
            format!("{image} is a canary image and this workload runs production images"),
            "choose a release without the -canary suffix",
        ));
    }
    if choice.entry.images.is_empty() {
        found.push(Blocker::new(
            "no-image",
            "the target state names no image",
            "choose another with --to",
        ));
    }
    found
}

fn unasked_later_work(target: &Target) -> Option<Blocker> {
    let work: Vec<String> = target
        .later_work
        .iter()
        .filter(|work| work.taken_back && !work.release)
        .map(|work| {
            let short: String = work.commit.chars().take(7).collect();
            format!(
                "{short} {:?} by {} ({})",
                work.subject,
                work.author,
                work.fields.join(", ")
            )
        })
        .collect();
    (!work.is_empty()).then(|| {
        Blocker::new(
            "later-work",
            format!(
                "going back would also take back later work: {}",
                work.join("; ")
            ),
            "say which is meant: --only image keeps it, --discard-later takes it back",
        )
    })
}

fn describe(
    observation: &Observation,
    git: &GitView,
    document: &Document,
    choice: &Choice<'_>,
    (after, request): (&PodTemplate, &Request),
) -> Target {
    let before = document
        .template()
        .unwrap_or_else(|| PodTemplate::new(serde_json::Value::Null));
    let bad = bad_release(&git.states).unwrap_or(0);
    let image_text = |template: &PodTemplate| {
        template
            .main_image()
            .map(|image| image.as_str().to_owned())
            .unwrap_or_default()
    };
    let whole = request.only == Only::Template;
    let mut work = match (choice.entry.state, choice.already.is_some()) {
        (Some(state), false) => later::later_work(&git.states, state, bad),
        _ => Vec::new(),
    };
    for item in &mut work {
        item.taken_back &= whole || item.release;
    }
    let reference = &observation.target;
    Target {
        kind: reference.kind,
        namespace: reference.namespace.clone(),
        name: reference.name.clone(),
        from: Release {
            image: image_text(&before),
            commit: git
                .states
                .get(bad)
                .map(|state| state.commit.id.as_str().to_owned()),
        },
        to: GoodRelease {
            image: image_text(after),
            commit: choice
                .entry
                .commit
                .as_ref()
                .map(|commit| commit.id.as_str().to_owned()),
            grade: choice.entry.grade,
            reason: choice.entry.reason.clone(),
        },
        left: left(git, bad, &work, request),
        later_work: work,
        skipped: choice.skipped.clone(),
        fields: later::changed_fields(&before, after)
            .iter()
            .map(|c| c.path.to_string())
            .collect(),
        file: git.file.clone(),
        document: DocumentIndex {
            document: document.address.document,
            item: document.address.item,
        },
        line: document.line(TEMPLATE),
        application: observation.argocd.application_name.clone(),
    }
}

fn left(
    git: &GitView,
    bad: usize,
    work: &[LaterWork],
    request: &Request,
) -> Vec<crate::model::SideChange> {
    let bad = git.states.get(bad).map(|state| state.commit.id.as_str());
    let named = |place: &str| {
        request.with.iter().any(|(kind, name)| {
            place.to_lowercase().contains(&format!(
                "{}/{}",
                kind.to_lowercase(),
                name.to_lowercase()
            ))
        })
    };
    git.side_changes
        .iter()
        .filter(|change| {
            Some(change.commit.as_str()) == bad
                || work.iter().any(|w| w.release && w.commit == change.commit)
        })
        .filter(|change| !named(&change.place))
        .cloned()
        .collect()
}

fn warnings(observation: &Observation, choice: &Choice<'_>, timeline: &Timeline) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(already) = &choice.already {
        found.push(format!("already rolled back by {already}"));
    }
    if choice.entry.grade == Grade::Contradicted && choice.already.is_none() {
        found.push(format!(
            "the target itself is contradicted: {}",
            choice.entry.reason
        ));
    } else if choice.entry.grade == Grade::Unknown && choice.already.is_none() {
        found.push(format!(
            "whether the target served well is unknown: {}",
            choice.entry.reason
        ));
    }
    if let (Some(tip), Some(live)) = (timeline.tip(), timeline.live())
        && !tip.same_images(live)
    {
        found.push(format!(
            "Git has {}, the cluster still runs {}",
            tip.release(),
            live.release()
        ));
    }
    found.push("whether the image still exists in its registry was not asked".to_owned());
    for gap in &observation.gaps {
        found.push(gap.to_string());
    }
    found
}

fn assemble(
    observation: &Observation,
    git: &GitView,
    request: &Request,
    target: Target,
    (files, warnings, document): (&[EditedFile], Vec<String>, &Document),
) -> Plan {
    let before = document.source(TEMPLATE).unwrap_or_default();
    let effect = json!({
        "target": request.target, "file": git.file, "branch": git.branch,
        "before": digest(&before), "to": target.to.commit, "image": target.to.image,
        "only": request.only, "with": request.with, "fields": target.fields, "route": "git",
    });
    let commits = if files.is_empty() {
        Vec::new()
    } else {
        vec![PlannedCommit {
            repository: git.repository.clone(),
            branch: git.branch.clone(),
            parent: git.tip.as_str().to_owned(),
            message: message::body(&target, request),
            files: files.iter().map(planned_file).collect(),
        }]
    };
    let mut plan = Plan {
        api_version: API_VERSION.to_owned(),
        kind: "Plan".to_owned(),
        plan_id: String::new(),
        effect_id: digest(&effect.to_string()).chars().take(12).collect(),
        steps: steps(observation, request, !files.is_empty()),
        goal: goal(&target),
        targets: vec![target],
        route: "git".to_owned(),
        rungs: rungs(),
        commits,
        warnings,
        approvals: request.approval.iter().cloned().collect(),
        request: request.clone(),
        exit_code: 0,
    };
    plan.plan_id = plan_id(&plan);
    plan
}

/// The hash of a plan's JSON without the id itself and without the exit code of the
/// command that printed it.
pub(super) fn plan_id(plan: &Plan) -> String {
    let bare = Plan {
        plan_id: String::new(),
        exit_code: 0,
        ..plan.clone()
    };
    let canonical = serde_json::to_string(&bare).unwrap_or_default();
    digest(&canonical).chars().take(12).collect()
}

fn planned_file(file: &EditedFile) -> PlannedFile {
    PlannedFile {
        path: file.path.clone(),
        diff: unified_diff(
            &file.path,
            &file.before,
            &file.after,
            DiffOptions {
                mask_env_values: true,
                ..DiffOptions::default()
            },
        ),
        before: digest(&file.before),
        after: digest(&file.after),
    }
}

fn rungs() -> Vec<Rung> {
    vec![
        Rung {
            route: "git".to_owned(),
            verdict: "chosen".to_owned(),
            reason: "a commit on the branch that Argo CD follows".to_owned(),
        },
        Rung {
            route: "request".to_owned(),
            verdict: "possible".to_owned(),
            reason: "where the push is refused: the commit on a branch of its own and a complete request to a human".to_owned(),
        },
    ]
}

fn goal(target: &Target) -> Vec<String> {
    vec![
        format!("the live pod template has {}", target.to.image),
        "Argo CD's own entry for it is Synced".to_owned(),
        "the rollout is complete and all pods are ready".to_owned(),
        "the Services that selected it have ready endpoints".to_owned(),
        "nothing else in the object changed".to_owned(),
        "the branch still has this content".to_owned(),
    ]
}

fn steps(observation: &Observation, request: &Request, changes_git: bool) -> Vec<Step> {
    let progress = observation
        .cluster
        .workload
        .as_ref()
        .map_or(600, |w| w.progress_deadline_seconds);
    let limit = |own: i64| request.timeout_seconds.unwrap_or(own);
    let step = |action: Action, requires: &str, ensures: &str, deadline: i64| Step {
        id: action.id().to_owned(),
        action,
        requires: requires.to_owned(),
        ensures: ensures.to_owned(),
        deadline_seconds: deadline,
    };
    let mut steps = Vec::new();
    if changes_git {
        if request.goal == Goal::Edited {
            return vec![step(
                Action::Edit,
                "the file in the work tree is as it is at the tip",
                "the file has the target content",
                10,
            )];
        }
        if request.goal >= Goal::Pushed {
            steps.push(step(
                Action::Capture,
                "",
                "logs, events and objects are saved",
                5,
            ));
        }
        steps.push(step(
            Action::Commit,
            "the document at the tip is as planned",
            "a commit with the target content exists",
            10,
        ));
        if request.goal >= Goal::Pushed {
            steps.push(step(
                Action::Push,
                "the tip is the commit's parent",
                "the branch contains this run's commit",
                limit(120),
            ));
        }
    }
    if request.goal >= Goal::Landed {
        steps.push(step(
            Action::Land,
            "the branch has the target content",
            "the live template has the target content",
            limit(WORST_POLL_SECONDS),
        ));
    }
    if request.goal >= Goal::Verified {
        steps.push(step(
            Action::Rollout,
            "the live template has the target content",
            "the rollout is complete",
            limit(progress + ROLLOUT_GRACE_SECONDS),
        ));
        steps.push(step(
            Action::Verify,
            "the rollout is complete",
            "every check of the goal holds",
            30,
        ));
    }
    steps
}

/// SHA-256 in hex.
fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
