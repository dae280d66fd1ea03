//! One commit taken back field by field, everything that came later kept.

mod files;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::along::{along, notes};
use super::assemble::{Parts, assemble};
use super::build::{EditedFile, Prepared};
use super::document::Document;
use super::git_route::{content_blockers, describe, editable, landing_of, source, warnings};
use super::steps::Course;
use super::{Blocker, Goal, Intent, Refusal, Request, Route, Target, hold, sources};
use crate::manifest::{Path, UndoField, to_yaml};
use crate::model::{Change, Desired, GitView, ObjectRef, Observation, PodTemplate};
use crate::provenance::{Subject, Touched};
use crate::timeline::Timeline;

use files::{FileUndo, Meant};

/// What a commit's subject may take of a message's first line.
const SUBJECT: usize = 60;

/// What is taken back of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedUndo {
    /// Path from the repository's root.
    pub path: String,
    /// `undone`, `partly` or `nothing left to undo`.
    pub class: String,
    /// The fields that are taken back.
    pub undone: Vec<FieldUndo>,
    /// The fields that something else has changed since: left.
    pub superseded: Vec<FieldUndo>,
    /// What else is left: comments, style, a move of the file.
    pub left: Vec<String>,
}

/// A field of an undo; values are cut, and masked where they may be secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldUndo {
    /// The object, as KIND/NAME.
    pub object: String,
    /// The field; empty for the whole document.
    pub path: String,
    /// Undone: what it was. Superseded: what the bad change had made of it.
    pub from: String,
    /// Undone: what it is now. Superseded: what it is today.
    pub to: String,
    /// The later commit that changed a superseded field: its short id and subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl FieldUndo {
    /// A field as it is shown.
    #[must_use]
    pub fn new(field: &UndoField) -> Self {
        Self {
            object: field.object.clone(),
            path: field.path.to_string(),
            from: field.shown(field.from.as_ref()),
            to: field.shown(field.to.as_ref()),
            by: None,
        }
    }

    /// Object and field.
    #[must_use]
    pub fn place(&self) -> String {
        match (self.object.is_empty(), self.path.is_empty()) {
            (_, true) => self.object.clone(),
            (true, false) => self.path.clone(),
            (false, false) => format!("{} {}", self.object, self.path),
        }
    }

    /// Why a superseded field is left.
    #[must_use]
    pub fn left(&self) -> String {
        let by = self.by.as_ref();
        let by = by.map_or_else(String::new, |by| format!(", changed by {by}"));
        format!(
            "{}: the change made it {}, it is {} today{by}",
            self.place(),
            self.from,
            self.to
        )
    }
}

/// What taking a commit back comes to.
pub(super) enum Outcome {
    /// A plan.
    Plan(Box<Prepared>),
    /// All of it has been changed since; why nothing is done.
    NothingLeft(String),
}

/// Plans taking the commit back.
pub(super) fn prepare(
    observation: &Observation,
    timeline: &Timeline,
    request: &Request,
) -> Result<Outcome, Refusal> {
    if let Some(blocker) = not_through_git(request) {
        return Err(Refusal::one(blocker));
    }
    let git = source(observation)?;
    let change = change_of(git).map_err(Refusal::one)?;
    let document = editable(observation, git, request)?;
    let meant = match &request.intent {
        Intent::Revert { all: true, .. } => Meant::All,
        Intent::Revert {
            only: Some(object), ..
        } => Meant::Used(object),
        _ => Meant::Target,
    };
    let undos = files::take_back(git, change, (&observation.target, meant))?;
    let edited: Vec<EditedFile> = undos
        .iter()
        .filter_map(|undo| undo.edited.clone())
        .collect();
    let lists: Vec<PlannedUndo> = undos.iter().map(FileUndo::planned).collect();
    if edited.is_empty() && lists.iter().any(|list| !list.superseded.is_empty()) {
        return Ok(Outcome::NothingLeft(nothing_left(change, &lists)));
    }
    let (after, also) = after(observation, git, &edited).map_err(Refusal::one)?;
    if let (Meant::Used(object), Some(_)) = (meant, &git.rendered) {
        alone((&document, &after), &also, object).map_err(Refusal::one)?;
    }
    plan(
        (observation, timeline, request),
        (git, change),
        Work {
            document,
            after,
            also,
            edited,
            lists,
        },
    )
}

/// Of what is rendered, a commit that changed one object is taken back as a whole; one that changed
/// more is not.
fn alone(
    (before, after): (&Document, &Document),
    also: &[Touched],
    object: &ObjectRef,
) -> Result<(), Blocker> {
    let is_it = |touched: &&Touched| {
        (&touched.object.kind, &touched.object.name) == (&object.kind, &object.name)
    };
    let mut others = also.iter().filter(|touched| !is_it(touched));
    let more = match others.next() {
        Some(other) => other.to_string(),
        None if before.fields() != after.fields() => "the pod template".to_owned(),
        None => return Ok(()),
    };
    Err(Blocker::new(
        "shared-entry",
        format!("the commit that changed {object} changed {more}, too, in the same files"),
        "`unship revert COMMIT TARGET` takes all of it back",
    ))
}

/// Everything about acting on the cluster.
fn not_through_git(request: &Request) -> Option<Blocker> {
    let allow = request.allow;
    let (what, hint) = match (request.route, allow.emergency, allow.suspend_auto_sync) {
        (Route::Auto | Route::Git, false, false) => return None,
        (Route::Auto | Route::Git, true, _) => ("--emergency", "leave --emergency out"),
        (Route::Auto | Route::Git, _, true) => {
            ("--suspend-auto-sync", "leave --suspend-auto-sync out")
        }
        _ => ("--route", "leave --route out"),
    };
    Some(Blocker::new(
        "not-through-git",
        format!("a commit is taken back in Git alone, and {what} is about the cluster"),
        format!("{hint}, or use `unship rollback`, which puts a whole release back"),
    ))
}

/// The commit, or why it cannot be taken back.
fn change_of(git: &GitView) -> Result<&Change, Blocker> {
    match &git.change {
        Some(Ok(change)) => Ok(change),
        Some(Err(blocker)) => Err(blocker.clone()),
        None => Err(Blocker::new(
            "commit-unread",
            "the commit was not read",
            "run the command again",
        )),
    }
}

struct Work {
    document: Document,
    after: Document,
    also: Vec<Touched>,
    edited: Vec<EditedFile>,
    lists: Vec<PlannedUndo>,
}

fn plan(
    (observation, timeline, request): (&Observation, &Timeline, &Request),
    (git, change): (&GitView, &Change),
    work: Work,
) -> Result<Outcome, Refusal> {
    let Work {
        document,
        after,
        also,
        edited,
        lists,
    } = work;
    let (Some(before), Some(fields)) = (document.fields(), after.fields()) else {
        return Err(Refusal::one(Blocker::new(
            "no-template",
            format!("{} has no spec.template", git.file),
            "name the right file with --file",
        )));
    };
    let mut refusal = Refusal::default();
    let templates = (&before.template, &fields.template);
    let blockers = content_blockers(observation, templates, None);
    refusal.blockers.extend(blockers);
    if request.goal == Goal::Edited {
        let comings = edited.iter().filter_map(not_edited);
        refusal.blockers.extend(comings);
    }
    let mut target = describe(observation, (&document, &after), None, request);
    sources::place(&mut target, git, &edited);
    in_words(&mut target, change, &lists);
    let mut warnings = warnings(observation, None, timeline);
    let pods = (&fields.template, &observation.target);
    let beside = along(&edited, &also, &observation.target);
    warnings.extend(notes((&edited, &beside), &also, pods));
    warnings.extend(partly(&lists));
    let tools = tools(observation, request, templates);
    warnings.extend(tools.warnings(observation, request));
    let changes_git = !edited.is_empty();
    let found = (&mut refusal, &mut warnings);
    let landing = landing_of(observation, request, changes_git, found);
    if !refusal.is_empty() {
        return Err(refusal);
    }
    let course = Course::through_git(changes_git, &landing);
    let named = Request {
        message: Some(request.message.clone().unwrap_or_else(|| subject(change))),
        ..request.clone()
    };
    let parts = Parts {
        route: Route::Git,
        files: &edited,
        git: Some(git),
        warnings,
        before: before_text(git, request, (&edited, &document)),
        course,
        patch: None,
        debts: Vec::new(),
    };
    let mut plan = assemble(observation, &named, target, parts);
    plan.note_undo(request.clone(), lists);
    plan.note_tools(tools);
    Ok(Outcome::Plan(Box::new(Prepared {
        plan,
        desired: Desired::between(Some(&before), &fields)
            .with(beside)
            .rendered_by(git.rendered.as_ref()),
        files: edited,
        also: also.iter().map(Touched::to_string).collect(),
        patch: None,
        git: None,
    })))
}

/// What sets images again is about this commit only where it changes one.
fn tools(
    observation: &Observation,
    request: &Request,
    (before, after): (&PodTemplate, &PodTemplate),
) -> hold::Tools {
    if before.images() == after.images() {
        return hold::Tools::default();
    }
    hold::with_pins(observation, request, Vec::new()).1
}

/// What the effect starts from. What others do to other documents of the file does not change what
/// is taken back of one.
fn before_text(
    git: &GitView,
    request: &Request,
    (edited, document): (&[EditedFile], &Document),
) -> String {
    let is_all = matches!(request.intent, Intent::Revert { all: true, .. });
    let others = edited.iter().any(|file| file.path != git.file);
    match is_all || others || git.rendered.is_some() {
        true => edited.iter().map(|file| file.before.as_str()).collect(),
        false => document.whole().unwrap_or_default(),
    }
}

/// The target as the edited files make it, and which other objects of a rendered source they
/// change.
fn after(
    observation: &Observation,
    git: &GitView,
    edited: &[EditedFile],
) -> Result<(Document, Vec<Touched>), Blocker> {
    let Some(rendered) = &git.rendered else {
        let own = edited.iter().find(|file| file.path == git.file);
        let text = own.map_or(&*git.text, |file| file.after.as_str());
        let document = Document::of(text, &git.file, &observation.target);
        let document = document.map_err(|blocker| match blocker.id.as_str() {
            "document-missing" => removes_target(&observation.target.object()),
            _ => blocker,
        })?;
        return Ok((document, Vec::new()));
    };
    let mut files = rendered.files.clone();
    for file in edited {
        if file.gone {
            files.remove(&file.path);
        } else {
            files.insert(file.path.clone(), file.after.as_str().into());
        }
    }
    let target = observation.target.object();
    let subject = Subject::seen(observation, &target, &rendered.sourcing);
    let after = crate::provenance::render(&files, &subject)?;
    let hidden = |(path, _): &&(Path, String)| path.to_string().starts_with("spec.template");
    if let Some((path, why)) = after.unknown.iter().find(hidden) {
        return Err(Blocker::new(
            "values-computed",
            format!("{path} of the rendered object could not be told afterwards: {why}"),
            "take the change back by hand, and check what Argo CD renders",
        ));
    }
    let also = crate::provenance::touched(&rendered.files, &files, &subject)?;
    let document = Document::of(&to_yaml(&after.object), &git.file, &observation.target)?;
    Ok((document, also))
}

fn removes_target(target: &ObjectRef) -> Blocker {
    Blocker::new(
        "removes-target",
        format!(
            "the commit added {target}: taking it back would remove it from Git and from the cluster"
        ),
        "`unship abort` takes a workload out, with --delete its manifest as well; \
         or name another workload of that commit",
    )
}

/// A file that comes or goes is no edit of the work tree.
fn not_edited(file: &EditedFile) -> Option<Blocker> {
    let word = match (file.gone, file.added) {
        (true, _) => "removed",
        (_, true) => "brought back",
        _ => return None,
    };
    Some(Blocker::new(
        "file-goes",
        format!(
            "{} would be {word}, which --no-commit does not do",
            file.path
        ),
        "leave --no-commit out",
    ))
}

fn in_words(target: &mut Target, change: &Change, lists: &[PlannedUndo]) {
    target.from.commit = Some(change.commit.id.as_str().to_owned());
    target.to.reason = format!("what {} changed is taken back", change.commit.id.short());
    target.fields = taken_back(lists);
}

/// Every field that is taken back, for the message and the plan's identity.
fn taken_back(lists: &[PlannedUndo]) -> Vec<String> {
    let many = lists.len() > 1;
    let mut found = Vec::new();
    for list in lists {
        let file = if many {
            format!("{}: ", list.path)
        } else {
            String::new()
        };
        for field in &list.undone {
            let place = field.place();
            found.push(format!("{file}{place}: {} to {}", field.from, field.to));
        }
    }
    found
}

fn partly(lists: &[PlannedUndo]) -> Option<String> {
    let left: usize = lists.iter().map(|list| list.superseded.len()).sum();
    let done: usize = lists.iter().map(|list| list.undone.len()).sum();
    (left > 0 && done > 0).then(|| {
        format!(
            "{left} of {} fields were changed since and stay: what comes of it never ran as a whole",
            left + done
        )
    })
}

fn nothing_left(change: &Change, lists: &[PlannedUndo]) -> String {
    let fields = lists.iter().flat_map(|list| {
        let of = |field: &FieldUndo| format!("{}: {}", list.path, field.left());
        list.superseded.iter().map(of)
    });
    let mut fields: Vec<String> = fields.collect();
    let more = fields.len().saturating_sub(20);
    fields.truncate(20);
    let mut text = format!(
        "nothing of {} {:?} is left to undo; nothing is done",
        change.commit.id.short(),
        change.commit.subject()
    );
    for field in fields {
        text.push_str("\n  ");
        text.push_str(&field);
    }
    if more > 0 {
        text.push_str(&format!("\n  and {more} more"));
    }
    text
}

/// The subject of the commit, as far as one line has room.
fn subject(change: &Change) -> String {
    let subject = change.commit.subject();
    let mut cut: String = subject.chars().take(SUBJECT).collect();
    if cut.len() < subject.len() {
        cut.push_str("...");
    }
    format!("revert: {cut}")
}

/// What of a target's words belongs to the body of the message.
pub(super) fn body(target: &Target, reason: Option<&str>) -> String {
    const MOST: usize = 40;
    let commit = target.from.commit.as_deref().unwrap_or_default();
    let mut text = format!("\n\nThis takes back, field by field, what {commit} changed.\n");
    for field in target.fields.iter().take(MOST) {
        text.push_str(&format!("- {}\n", crate::model::plain(field)));
    }
    if target.fields.len() > MOST {
        text.push_str(&format!("- and {} more\n", target.fields.len() - MOST));
    }
    if let Some(reason) = reason {
        text.push_str(&format!("Reason: {}\n", crate::model::plain(reason.trim())));
    }
    text
}
