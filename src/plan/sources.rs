//! A rendered target: the edit of its object becomes edits of the files that decide.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::build::EditedFile;
use super::document::Document;
use super::target::Choice;
use super::{Blocker, Refusal, Target};
use crate::manifest::Path;
use crate::model::{GitView, Lands, Observation, RenderedSource};
use crate::provenance::{Files, Subject, Touched, edit_to, parted};

/// The files that are really edited, and which other objects the same edit changes. Where the
/// document stands in a file these are the given ones. Fields that go back to an earlier state get its
/// words.
pub(super) fn real(
    (observation, git): (&Observation, &GitView),
    files: Vec<EditedFile>,
    after: &Document,
    choice: Option<&Choice<'_>>,
) -> Result<(Vec<EditedFile>, Vec<Touched>), Refusal> {
    match &git.rendered {
        None => Ok((files, Vec::new())),
        Some(rendered) => {
            let good = choice.and_then(|choice| rendered.files_of(choice.entry.state?));
            files_for(observation, (git, rendered), after, good).map_err(Refusal::one)
        }
    }
}

/// The files that make the rendered object what the edited document is, proven by rendering
/// them again, and which other objects the same edit changes.
fn files_for(
    observation: &Observation,
    (git, rendered): (&GitView, &RenderedSource),
    after: &Document,
    good: Option<BTreeMap<String, Arc<str>>>,
) -> Result<(Vec<EditedFile>, Vec<Touched>), Blocker> {
    let target = observation.target.object();
    let subject = Subject::seen(observation, &target, &rendered.sourcing);
    let object = after.at(&Path::new(Vec::new())).unwrap_or_default();
    let good = good.as_ref().map(|files| files as &dyn Files);
    let edited = edit_to(&rendered.files, &subject, &object, good)?;
    if let Some(blocker) = edited
        .files
        .iter()
        .find_map(|file| elsewhere(git, &file.path))
    {
        return Err(blocker);
    }
    let files = edited.files.into_iter().map(|file| EditedFile {
        path: file.path,
        before: file.before,
        after: file.after,
        gone: false,
        added: false,
    });
    Ok((files.collect(), edited.also))
}

/// A file of another repository is not in the commit.
fn elsewhere(git: &GitView, path: &str) -> Option<Blocker> {
    let (Some(repository), path) = parted(path) else {
        return None;
    };
    Some(Blocker::new(
        "other-repository",
        format!(
            "{path} of {repository} decides a part of it, and this plan is one commit in {}",
            git.repository
        ),
        format!(
            "change {path} of {repository} by hand, or only what {} decides",
            git.repository
        ),
    ))
}

/// Lines of a rendered object are in no file; the plan names the first file that is edited.
pub(super) fn place(target: &mut Target, git: &GitView, files: &[EditedFile]) {
    if git.rendered.is_none() {
        return;
    }
    target.line = 0;
    if let Some(file) = files.first() {
        target.file.clone_from(&file.path);
    }
}

/// What a shared entry changes besides.
pub(super) fn shared(also: &[Touched]) -> Option<String> {
    let words = words(also)?;
    Some(format!("the same edit changes {words} as well"))
}

/// Without a person to see it, that has to be agreed to like later work.
pub(super) fn unasked(also: &[Touched]) -> Option<Blocker> {
    // Labels of a chart's version come along with it and make no pod anew.
    let is_metadata = |path: &Path| {
        let own = ["metadata.labels", "metadata.annotations"];
        own.iter().any(|above| path.to_string().starts_with(above))
    };
    let weighs = |touched: &&Touched| !touched.fields.iter().all(is_metadata);
    let also: Vec<Touched> = also.iter().filter(weighs).cloned().collect();
    let words = words(&also)?;
    Some(Blocker::new(
        "shared-entry",
        format!("the entry that decides is shared: the same edit changes {words}"),
        "agree with --discard-later, or give the target an entry of its own",
    ))
}

fn words(also: &[Touched]) -> Option<String> {
    let of = |touched: &Touched| {
        let fields: Vec<String> = touched.fields.iter().map(ToString::to_string).collect();
        format!("{touched} ({})", fields.join(", "))
    };
    let words: Vec<String> = also.iter().map(of).collect();
    (!words.is_empty()).then(|| words.join("; "))
}

/// What keeps Argo CD from being asked what it would render.
pub(super) fn not_provable(observation: &Observation) -> Option<Blocker> {
    let argocd = &observation.argocd;
    let git = observation.git.as_ref();
    let rendered = git.and_then(|git| git.rendered.as_ref());
    if rendered.is_some_and(|rendered| matches!(rendered.lands, Lands::Maker(_))) {
        return Some(Blocker::new(
            "not-provable",
            "--prove has Argo CD render a commit of the Application's own sources, and this commit goes into what makes the Application",
            "leave --prove out: the plan has rendered the Application and the target itself",
        ));
    }
    let hydrated = argocd
        .application
        .as_ref()
        .is_some_and(|app| app.hydrator.is_some());
    if hydrated {
        return Some(Blocker::new(
            "not-provable",
            "--prove has Argo CD render a commit, and of a hydrated Application it renders what the hydrator wrote",
            "leave --prove out: the plan has rendered the dry source itself",
        ));
    }
    let by_api = argocd
        .via
        .as_ref()
        .is_some_and(|via| via.starts_with("Argo CD"));
    (argocd.application.is_none() || !by_api).then(|| {
        Blocker::new(
            "not-provable",
            "--prove has Argo CD render the commit, and its API does not show the Application",
            "give ARGOCD_SERVER and a token that may get it, or leave --prove out",
        )
    })
}
