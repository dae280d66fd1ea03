//! What the files will hold: the target's document put back, and what goes along.

use super::build::EditedFile;
use super::document::{Document, open, restore_paths};
use super::target::Choice;
use super::{Blocker, Only, Refusal, Request};
use crate::model::{GitView, Observation};

/// The target file's text after the edit.
pub(super) fn edit(
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
pub(super) fn unpaused(
    observation: &Observation,
    git: &GitView,
    edited: String,
) -> Result<String, Blocker> {
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

pub(super) fn edited_files(
    git: &GitView,
    observation: &Observation,
    choice: Option<&Choice<'_>>,
    request: &Request,
    edited: String,
) -> Result<Vec<EditedFile>, Refusal> {
    let mut files = vec![EditedFile {
        path: git.file.clone(),
        before: git.text.to_string(),
        after: edited,
        gone: false,
        added: false,
    }];
    if let Some(choice) = choice {
        for (kind, name) in &request.with {
            companion(git, observation, choice, (kind, name), &mut files).map_err(Refusal::one)?;
        }
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
            gone: false,
            added: false,
        }),
    }
    Ok(())
}
