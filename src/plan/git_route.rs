//! Through Git: the manifest is edited on the branch that Argo CD follows.

use serde_json::Value;

use super::along::{along, notes};
use super::assemble::{Parts, assemble};
use super::build::{EditedFile, Prepared, name_gaps};
use super::document::{Document, TEMPLATE};
use super::ladder::{Standing, field_not_in_git, is_argo_managed, ladder};
use super::live::{changed_paths, json_patch, live_document};
use super::restore::{edit, edited_files, unpaused};
use super::steps::Course;
use super::target::{Choice, bad_release, choose};
use super::{
    Blocker, Goal, GoodRelease, Intent, LaterWork, Only, Refusal, Release, Request, Route, Target,
    Unknown, adopt, blockers, hold, intent, later, provenance, sources,
};
use crate::model::{
    Desired, DocumentFields, DocumentIndex, GitView, ImageRef, Observation, PodTemplate,
};
use crate::provenance::Touched;
use crate::timeline::{Grade, Timeline};

/// Plans the change as one commit.
pub(super) fn prepare(
    observation: &Observation,
    timeline: &Timeline,
    request: &Request,
) -> Result<Prepared, Refusal> {
    let git = source(observation)?;
    let document = editable(observation, git, request)?;
    let mut refusal = Refusal::default();
    let choice = match request.intent {
        Intent::Rollback => Some(choose(timeline, observation, request)?),
        _ => None,
    };
    let edited = edited_text(&document, observation, choice.as_ref(), request)?;
    let files = edited_files(git, observation, choice.as_ref(), request, edited)?;
    let after = document_after(&files, git, observation)?;
    let (files, also) = sources::real((observation, git), files, &after, choice.as_ref())?;
    let (files, tools) = hold::with_pins(observation, request, files);
    let changes_git = !files.is_empty();
    let (Some(before), Some(fields)) = (document.fields(), after.fields()) else {
        return Err(Refusal::one(no_template(&git.file)));
    };
    let templates = (&before.template, &fields.template);
    let blockers = content_blockers(observation, templates, choice.as_ref());
    refusal.blockers.extend(blockers);
    let mut target = describe(observation, (&document, &after), choice.as_ref(), request);
    sources::place(&mut target, git, &files);
    let mut warnings = warnings(observation, choice.as_ref(), timeline);
    let pods = (&fields.template, &observation.target);
    let beside = along(&files, &also, &observation.target);
    warnings.extend(notes((&files, &beside), &also, pods));
    refusal.blockers.extend(unasked(&target, &also, request));
    warnings.extend(intent_warnings(observation, &document, request));
    warnings.extend(tools.warnings(observation, request));
    let landing = landing_of(
        observation,
        request,
        changes_git,
        (&mut refusal, &mut warnings),
    );
    if !refusal.is_empty() {
        return Err(refusal);
    }
    let desired = aim(request, &before, &fields).with(beside);
    let desired = desired.rendered_by(git.rendered.as_ref());
    let mut course = Course {
        rollout: !matches!(request.intent, Intent::Pause),
        ..Course::through_git(changes_git, &landing)
    };
    let patch = emergency_patch(observation, request, &fields, &mut course);
    let mut plan = assemble(
        observation,
        request,
        target,
        Parts {
            route: Route::Git,
            files: &files,
            git: Some(git),
            warnings,
            before: document.source("spec").unwrap_or_default(),
            course,
            patch: None,
            debts: Vec::new(),
        },
    );
    plan.note_tools(tools);
    Ok(Prepared {
        plan,
        files,
        also: also.iter().map(Touched::to_string).collect(),
        desired,
        patch,
        git: None,
    })
}

/// What would be taken along without anybody having seen it.
fn unasked(target: &Target, also: &[Touched], request: &Request) -> Vec<Blocker> {
    if !request.consent || request.discard_later {
        return Vec::new();
    }
    let later = unasked_later_work(target);
    later.into_iter().chain(sources::unasked(also)).collect()
}

/// The target's document, where the file is what decides over the field.
pub(super) fn editable(
    observation: &Observation,
    git: &GitView,
    request: &Request,
) -> Result<Document, Refusal> {
    let mut refusal = Refusal::default();
    refusal.blockers.extend(provenance::blockers(observation));
    refusal
        .blockers
        .extend(field_not_in_git(observation, &request.intent));
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
    Ok(document)
}

/// What keeps the commit from landing: it blocks where landing is part of the goal,
/// else it is a warning.
pub(super) fn landing_of(
    observation: &Observation,
    request: &Request,
    changes_git: bool,
    (refusal, warnings): (&mut Refusal, &mut Vec<String>),
) -> blockers::Landing {
    if request.prove && changes_git {
        refusal.blockers.extend(sources::not_provable(observation));
    }
    let mut landing = blockers::landing(observation, request, changes_git);
    let blocking = std::mem::take(&mut landing.blockers);
    if request.goal >= Goal::Landed {
        refusal.blockers.extend(blocking);
    } else {
        let words = blocking
            .into_iter()
            .map(|b| format!("{}; {}", b.message, b.hint));
        warnings.extend(words);
    }
    warnings.append(&mut landing.warnings);
    landing
}

/// What should be live: what the commit changes, and what was asked for where no commit
/// is needed any more.
fn aim(request: &Request, before: &DocumentFields, fields: &DocumentFields) -> Desired {
    let mut desired = Desired::between(Some(before), fields);
    match &request.intent {
        Intent::Scale { .. } | Intent::Abort { .. } => {
            desired.replicas = request.intent.replicas();
        }
        Intent::Pause => desired.paused = Some(true),
        Intent::Resume => desired.paused = Some(false),
        Intent::Restart { .. } => {
            desired.restarted_at = fields.template.restarted_at().map(str::to_owned);
        }
        Intent::Rollback
        | Intent::SetImage { .. }
        | Intent::SetEnv { .. }
        | Intent::Bounce
        | Intent::Revert { .. }
        | Intent::Hold
        | Intent::Unhold
        | Intent::Adopt => {}
    }
    desired
}

/// In an emergency the live object is patched where landing takes too long; where not
/// even the push goes through, automated sync is suspended first.
fn emergency_patch(
    observation: &Observation,
    request: &Request,
    after: &DocumentFields,
    course: &mut Course,
) -> Option<Value> {
    if !request.allow.emergency || request.goal < Goal::Landed {
        return None;
    }
    let workload = observation.cluster.workload.as_ref()?;
    let possible = |agrees: bool| {
        ladder(observation, request, agrees)
            .iter()
            .any(|s| s.route == Route::Direct && s.standing == Standing::Possible)
    };
    if !possible(true) {
        return None;
    }
    course.emergency = true;
    course.patch = true;
    course.suspend = course.changes_git && is_argo_managed(observation) && possible(false);
    let live = live_document(workload).ok()?.fields()?;
    let wanted = DocumentFields {
        template: after.template.clone(),
        replicas: live.replicas,
        paused: Some(false),
    };
    Some(json_patch(workload, &live, &wanted))
}

/// The target file's text after the edits that were asked for.
fn edited_text(
    document: &Document,
    observation: &Observation,
    choice: Option<&Choice<'_>>,
    request: &Request,
) -> Result<String, Refusal> {
    let git = source(observation)?;
    let place = (git.file.as_str(), &observation.target);
    let edited = match (choice, &request.intent) {
        (Some(choice), _) => edit(document, git, choice, request)
            .and_then(|edited| unpaused(observation, git, edited)),
        (None, Intent::Adopt) => adopt::edited(document, git, observation),
        (None, intent) => intent::edited(document, place, intent),
    };
    edited.map_err(Refusal::one)
}

fn document_after(
    files: &[EditedFile],
    git: &GitView,
    observation: &Observation,
) -> Result<Document, Refusal> {
    let own = files.iter().find(|file| file.path == git.file);
    let text = own.map_or(&*git.text, |file| file.after.as_str());
    Document::of(text, &git.file, &observation.target).map_err(Refusal::one)
}

fn no_template(file: &str) -> Blocker {
    Blocker::new(
        "no-template",
        format!("{file} has no spec.template"),
        "name the right file with --file",
    )
}

/// What a person should know about this intent.
fn intent_warnings(
    observation: &Observation,
    document: &Document,
    request: &Request,
) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(template) = document.template() {
        found.extend(new_variables(&template, &request.intent));
    }
    if matches!(request.intent, Intent::Scale { replicas: 0 }) && request.allow.outage {
        let name = &observation.target.name;
        found.push(format!("with 0 replicas nothing of {name} serves"));
    }
    found
}

/// Variables that no container has so far: a program that reads another name takes no
/// notice of them.
pub(super) fn new_variables(template: &PodTemplate, intent: &Intent) -> Vec<String> {
    let Intent::SetEnv {
        variables,
        container,
    } = intent
    else {
        return Vec::new();
    };
    let is_meant = |own: &&Value| {
        let name = own.get("name").and_then(Value::as_str);
        container
            .as_deref()
            .is_none_or(|wanted| name == Some(wanted))
    };
    let whose = container.as_ref().map_or_else(
        || "no container has".to_owned(),
        |name| format!("container {name} has not"),
    );
    let containers = ["/spec/containers", "/spec/initContainers"];
    let known: Vec<&str> = containers
        .iter()
        .filter_map(|pointer| template.value().pointer(pointer)?.as_array())
        .flatten()
        .filter(is_meant)
        .filter_map(|container| container.get("env")?.as_array())
        .flatten()
        .filter_map(|variable| variable.get("name")?.as_str())
        .collect();
    variables
        .iter()
        .filter(|variable| !known.contains(&variable.name.as_str()))
        .map(|variable| {
            format!(
                "{whose} a variable {} so far: does the program read it?",
                variable.name
            )
        })
        .collect()
}

/// Git's side, or why there is none.
pub(super) fn source(observation: &Observation) -> Result<&GitView, Refusal> {
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
pub(super) fn content_blockers(
    observation: &Observation,
    (before, after): (&PodTemplate, &PodTemplate),
    choice: Option<&Choice<'_>>,
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
    if let (Some(image), Some(current)) = (after.main_image(), before.main_image())
        && is_canary(&image)
        && !is_canary(&current)
    {
        found.push(Blocker::new(
            "canary-image",
            format!("{image} is a canary image and this workload runs production images"),
            "choose a release without the -canary suffix",
        ));
    }
    if choice.is_some_and(|choice| choice.entry.images.is_empty()) {
        found.push(Blocker::new(
            "no-image",
            "the target state names no image",
            "choose another with --to",
        ));
    }
    found
}

pub(super) fn unasked_later_work(target: &Target) -> Option<Blocker> {
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

/// The target as the plan shows it. `before` and `after` are documents in Git or of
/// the live object.
pub(super) fn describe(
    observation: &Observation,
    (before, after): (&Document, &Document),
    choice: Option<&Choice<'_>>,
    request: &Request,
) -> Target {
    let git = observation.git.as_ref();
    let states = git.map_or(&[][..], |git| &git.states);
    let bad = bad_release(states).unwrap_or(0);
    let template = |document: &Document| document.template().unwrap_or_else(PodTemplate::absent);
    let (old, new) = (template(before), template(after));
    let image_text = |template: &PodTemplate| {
        template
            .main_image()
            .map(|image| image.as_str().to_owned())
            .unwrap_or_default()
    };
    let whole = request.only == Only::Template;
    let mut work = match choice {
        Some(choice) if choice.already.is_none() => choice
            .entry
            .state
            .map(|state| later::later_work(states, state, bad))
            .unwrap_or_default(),
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
            image: image_text(&old),
            commit: states
                .get(bad)
                .filter(|_| choice.is_some())
                .map(|state| state.commit.id.as_str().to_owned()),
        },
        to: GoodRelease {
            image: image_text(&new),
            commit: choice
                .and_then(|choice| choice.entry.commit.as_ref())
                .map(|commit| commit.id.as_str().to_owned()),
            grade: choice.map_or(Grade::Unknown, |choice| choice.entry.grade),
            reason: choice.map_or_else(
                || "asked for by name".to_owned(),
                |choice| choice.entry.reason.clone(),
            ),
        },
        left: git.map_or_else(Vec::new, |git| left(git, bad, &work, request)),
        later_work: work,
        skipped: choice.map_or_else(Vec::new, |choice| choice.skipped.clone()),
        fields: match choice {
            Some(_) => fields(observation, &old, &new),
            None => changed_paths(before, after),
        },
        file: git.map_or_else(String::new, |git| git.file.clone()),
        document: DocumentIndex {
            document: before.address.document,
            item: before.address.item,
        },
        line: before.line(TEMPLATE),
        application: observation.argocd.application_name.clone(),
        replica_set: None,
        history_id: None,
        replicas: replicas_change(before, after),
        removal: None,
    }
}

fn replicas_change(before: &Document, after: &Document) -> Option<(i64, i64)> {
    let of = |document: &Document| document.fields().and_then(|fields| fields.replicas);
    let (old, new) = (of(before)?, of(after)?);
    (old != new).then_some((old, new))
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

pub(super) fn warnings(
    observation: &Observation,
    choice: Option<&Choice<'_>>,
    timeline: &Timeline,
) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(already) = choice.and_then(|choice| choice.already.as_ref()) {
        found.push(format!("already rolled back by {already}"));
    } else if let Some(entry) = choice.map(|choice| choice.entry) {
        match entry.grade {
            Grade::Contradicted => {
                found.push(format!(
                    "the target itself is contradicted: {}",
                    entry.reason
                ));
            }
            Grade::Unknown => found.push(format!(
                "whether the target served well is unknown: {}",
                entry.reason
            )),
            Grade::Likely | Grade::Proven => {}
        }
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
    if choice.is_some() {
        found.push("whether the image still exists in its registry was not asked".to_owned());
    }
    for gap in &observation.gaps {
        found.push(gap.to_string());
    }
    found
}
