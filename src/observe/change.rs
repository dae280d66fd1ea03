//! The commit that is to be taken back: what it changed, and what has become of it.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::Undo;
use super::search::contains;
use crate::git::{BlobId, FilePair, GitError, Repository};
use crate::manifest::used;
use crate::model::{
    Blocker, Change, ChangedFile, Commit, CommitId, FileText, GitView, LaterChange, WorkloadRef,
};

/// Later changes of one file that are looked at, at most: they only tell who changed a field.
const LATER: usize = 100;

/// Larger files are no manifests.
const MOST_BYTES: usize = 8 << 20;

/// Reads the change of a commit against its parent, with today's state of its files. Where only
/// one workload is meant, files that cannot concern it are left out.
pub(super) fn read(
    repository: &Repository,
    git: &GitView,
    (undo, target): (&Undo, &WorkloadRef),
) -> Result<Result<Change, Blocker>, GitError> {
    let commit = match repository.resolve(&undo.commit) {
        Ok(id) => repository.commit(&id)?,
        Err(error @ (GitError::NoSuchCommit { .. } | GitError::Ambiguous { .. })) => {
            return Ok(Err(Blocker::new(
                "commit-unknown",
                format!("{error}"),
                format!(
                    "name a commit of {} that {} has",
                    git.repository, git.branch
                ),
            )));
        }
        Err(error) => return Err(error),
    };
    if !repository.is_ancestor(&commit.id, &git.tip)? {
        return Ok(Err(Blocker::new(
            "commit-not-on-branch",
            format!(
                "{} {:?} is not on {}: nothing of it is shipped from there",
                commit.id.short(),
                commit.subject(),
                git.branch
            ),
            "name the branch that has it with --branch, or a commit of this one",
        )));
    }
    let parent = match parent(repository, &commit, undo.parent)? {
        Ok(parent) => parent,
        Err(blocker) => return Ok(Err(blocker)),
    };
    let pairs = match repository.file_pairs(&parent, &commit.id) {
        Ok(pairs) => pairs,
        Err(error @ GitError::Shallow { .. }) => {
            return Ok(Err(Blocker::new(
                "shallow",
                error.to_string(),
                "run `git fetch --unshallow` (in CI: check out with fetch-depth 0)",
            )));
        }
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for pair in pairs {
        let file = file(repository, git, &commit.id, &pair)?;
        if undo.all || concerns(git, target, &file) {
            files.push(with_later(repository, git, &commit.id, file)?);
        }
    }
    Ok(Ok(Change {
        commit,
        parent,
        files,
    }))
}

/// The parent to go back to: the only one, or the one that was named.
pub(super) fn parent(
    repository: &Repository,
    commit: &Commit,
    named: Option<usize>,
) -> Result<Result<CommitId, Blocker>, GitError> {
    let parents = &commit.parents;
    let short = commit.id.short();
    match (parents.as_slice(), named) {
        ([], _) => Ok(Err(Blocker::new(
            "first-commit",
            format!("{short} is the first commit: everything came with it"),
            "name the commit that shipped the change",
        ))),
        ([only], None | Some(1)) => Ok(Ok(only.clone())),
        (many, Some(number)) => Ok(many.get(number.wrapping_sub(1)).cloned().ok_or_else(|| {
            Blocker::new(
                "no-such-parent",
                format!("{short} has {} parents, and no parent {number}", many.len()),
                "count from 1, the branch that was merged into",
            )
        })),
        (many, None) => {
            let mut choices = Vec::new();
            for (place, id) in many.iter().enumerate() {
                let subject = repository.commit(id)?.subject().to_owned();
                choices.push(format!(
                    "--parent {} ({} {subject:?})",
                    place + 1,
                    id.short()
                ));
            }
            Ok(Err(Blocker::new(
                "merge-commit",
                format!("{short} is a merge: which of its parents was good is not known"),
                format!("say which: {}", choices.join(" or ")),
            )))
        }
    }
}

fn file(
    repository: &Repository,
    git: &GitView,
    commit: &CommitId,
    pair: &FilePair,
) -> Result<ChangedFile, GitError> {
    let side = |side: &Option<(String, BlobId)>| match (side, &pair.odd) {
        (None, _) => Ok(None),
        (Some(_), Some(odd)) => Ok(Some(FileText::Other(odd.clone()))),
        (Some((_, id)), None) => text(repository, id).map(Some),
    };
    let name = |side: &Option<(String, BlobId)>| side.as_ref().map(|(path, _)| path.clone());
    let (old, new) = (name(&pair.old), name(&pair.new));
    let path = match &new {
        Some(new) => repository.path_at_tip(commit, &git.tip, new)?,
        // Removed by the commit: it may have come back.
        None => old.clone(),
    };
    let head = match &path {
        Some(path) => content(repository, &git.tip, path)?,
        None => None,
    };
    let path = path.filter(|_| head.is_some());
    Ok(ChangedFile {
        before: side(&pair.old)?,
        after: side(&pair.new)?,
        old,
        new,
        path,
        head,
        later: Vec::new(),
    })
}

/// Whether a file may hold the target or something that its pods use, or goes into what is rendered
/// into it.
fn concerns(git: &GitView, target: &WorkloadRef, file: &ChangedFile) -> bool {
    if let Some(rendered) = &git.rendered {
        let paths = [&file.path, &file.new, &file.old].into_iter().flatten();
        let under = format!("{}/", rendered.sourcing.folder);
        return paths.into_iter().any(|path| {
            rendered.files.contains_key(path)
                || (file.path.is_none() || file.new.is_none()) && path.starts_with(&under)
        });
    }
    if file.path.as_deref() == Some(&git.file) {
        return true;
    }
    let template = git.states.first().map(|state| &state.template);
    let texts = [&file.before, &file.after].into_iter().flatten();
    let mut texts = texts.filter_map(FileText::text);
    texts.any(|text| {
        let uses = |template| !used(text, (template, &target.namespace)).is_empty();
        contains(text.as_bytes(), target.name.as_bytes()) || template.is_some_and(uses)
    })
}

/// Who changed the file since, where anybody did.
fn with_later(
    repository: &Repository,
    git: &GitView,
    commit: &CommitId,
    mut file: ChangedFile,
) -> Result<ChangedFile, GitError> {
    let Some(path) = file.path.clone().filter(|_| file.head != file.after) else {
        return Ok(file);
    };
    let mut changes = Vec::new();
    repository.history_of(&git.tip, &path, |change| {
        let is_older = change.commit.id == *commit
            || !repository
                .is_ancestor(commit, &change.commit.id)
                .unwrap_or(false);
        if is_older || changes.len() == LATER {
            return ControlFlow::Break(());
        }
        changes.push(change);
        ControlFlow::Continue(())
    })?;
    for change in changes {
        let text = |id: Option<BlobId>| id.map(|id| text(repository, &id)).transpose();
        file.later.push(LaterChange {
            before: text(change.before)?,
            after: text(change.after)?,
            commit: change.commit,
        });
    }
    Ok(file)
}

fn content(
    repository: &Repository,
    commit: &CommitId,
    path: &str,
) -> Result<Option<FileText>, GitError> {
    match repository.blob_at(commit, path) {
        Ok(blob) => Ok(blob.map(|blob| text_of(blob.bytes))),
        Err(GitError::Symlink { .. }) => Ok(Some(FileText::Other("a symbolic link".to_owned()))),
        Err(error @ (GitError::Submodule { .. } | GitError::LfsPointer { .. })) => {
            Ok(Some(FileText::Other(error.to_string())))
        }
        Err(error) => Err(error),
    }
}

fn text(repository: &Repository, id: &BlobId) -> Result<FileText, GitError> {
    Ok(text_of(repository.blob_bytes(id)?))
}

fn text_of(bytes: Vec<u8>) -> FileText {
    if bytes.len() > MOST_BYTES {
        return FileText::Other(format!("a file of {} MB", bytes.len() >> 20));
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => FileText::Text(Arc::from(text)),
        _ => FileText::Other("no text".to_owned()),
    }
}
