//! Observation, timeline and request in; plan or refusal out.

use super::assemble::assemble;
use super::document::{Document, TEMPLATE};
use super::restore::{edit, edited_files, template_after, unpaused};
use super::target::{Choice, bad_release, choose};
use super::{
    Blocker, Goal, GoodRelease, LaterWork, Only, Plan, Refusal, Release, Request, Target, Unknown,
    blockers, later, provenance,
};
use crate::model::{DocumentIndex, GitView, ImageRef, Observation, PodTemplate};
use crate::timeline::{Entry, Grade, Timeline};

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
    if let Some(git) = &observation.git
        && git.proven
        && observation.source_blockers.is_empty()
    {
        return Ok(git);
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
        fields: fields(observation, &before, after),
        file: git.file.clone(),
        document: DocumentIndex {
            document: document.address.document,
            item: document.address.item,
        },
        line: document.line(TEMPLATE),
        application: observation.argocd.application_name.clone(),
    }
}

/// The fields that the plan puts back, and `spec.paused` where it unpauses.
fn fields(observation: &Observation, before: &PodTemplate, after: &PodTemplate) -> Vec<String> {
    let changes = later::changed_fields(before, after);
    let mut fields: Vec<String> = changes.iter().map(|c| c.path.to_string()).collect();
    let paused = observation
        .cluster
        .workload
        .as_ref()
        .is_some_and(|w| w.paused);
    if paused && !fields.is_empty() {
        fields.push("spec.paused".to_owned());
    }
    fields
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
