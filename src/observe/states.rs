//! The states of the target's pod template along the file's history.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::git::{BlobId, GitError, Repository};
use crate::manifest::{Manifest, Path};
use crate::model::{
    Application, Commit, CommitId, DocumentFields, HistoryEnd, PodTemplate, ReplicaSet, SideChange,
    TemplateState, WorkloadRef,
};

/// What a walk found.
pub(super) struct Walked {
    /// States, newest first.
    pub states: Vec<TemplateState>,
    /// How far it came.
    pub end: HistoryEnd,
    /// Every version of the file: its content's id, the state it belongs to, its commit.
    pub versions: Vec<(BlobId, usize, Commit)>,
}

/// How much history is wanted.
pub(super) struct Wanted<'w> {
    /// At most so many states.
    pub depth: usize,
    /// The live ReplicaSets that should be explained.
    pub replica_sets: &'w [ReplicaSet],
    /// Whether the walk may stop as soon as the answer is known.
    pub may_stop: bool,
}

/// The fields of one object in a file's text, as Kubernetes reads them.
#[must_use]
pub fn fields_of(text: &str, target: &WorkloadRef) -> Option<DocumentFields> {
    let manifest = Manifest::parse_lenient(text);
    let object = manifest
        .find(target.kind.as_str(), &target.name, None)
        .into_iter()
        .find(|o| {
            o.namespace
                .as_deref()
                .is_none_or(|own| own == target.namespace)
        })?;
    let value =
        |keys: &[&str]| manifest.value(&object.address, &Path::of_keys(keys.iter().copied()));
    let template = value(&["spec", "template"])?;
    Some(DocumentFields {
        template: PodTemplate::new(template),
        replicas: value(&["spec", "replicas"]).and_then(|v| v.as_i64()),
        paused: value(&["spec", "paused"]).and_then(|v| v.as_bool()),
    })
}

/// Whether a file at a commit has no document of the target; `None` where it is no YAML
/// that can be read.
///
/// # Errors
/// When the object database cannot be read.
pub(super) fn is_absent(
    repository: &Repository,
    (commit, file): (&CommitId, &str),
    target: &WorkloadRef,
) -> Result<Option<bool>, GitError> {
    let Some(blob) = repository.blob_at(commit, file)? else {
        return Ok(Some(true));
    };
    let text = String::from_utf8_lossy(&blob.bytes);
    let Ok(manifest) = Manifest::parse(text) else {
        return Ok(None);
    };
    let found = manifest.find(target.kind.as_str(), &target.name, Some(&target.namespace));
    Ok(Some(found.is_empty()))
}

/// Walks the file's history from a tip.
pub(super) fn walk(
    repository: &Repository,
    tip: &CommitId,
    file: &str,
    target: &WorkloadRef,
    wanted: &Wanted<'_>,
) -> Result<Walked, GitError> {
    let mut walked = Walked {
        states: Vec::new(),
        end: HistoryEnd::Root,
        versions: Vec::new(),
    };
    let mut failed = None;
    let end = repository.history_of(tip, file, |change| {
        let Some(after) = change.after else {
            return ControlFlow::Break(());
        };
        let bytes = match repository.blob_bytes(&after) {
            Ok(bytes) => bytes,
            Err(error) => {
                failed = Some(error);
                return ControlFlow::Break(());
            }
        };
        let text = String::from_utf8_lossy(&bytes);
        let Some(DocumentFields {
            template, replicas, ..
        }) = fields_of(&text, target)
        else {
            // Before this the object was not in the file, or the file was not readable.
            return ControlFlow::Break(());
        };
        match walked.states.last_mut() {
            Some(newer) if newer.template == template => newer.commit = change.commit.clone(),
            _ => {
                if enough(&walked.states, wanted) {
                    return ControlFlow::Break(());
                }
                walked.states.push(TemplateState {
                    commit: change.commit.clone(),
                    path: change.path.clone(),
                    text: Arc::from(&*text),
                    template,
                    replicas,
                });
            }
        }
        let index = walked.states.len().saturating_sub(1);
        walked.versions.push((after, index, change.commit));
        ControlFlow::Continue(())
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    walked.end = end_of(&end);
    Ok(walked)
}

/// How far a walk through Git came.
pub(super) const fn end_of(walk: &crate::git::HistoryEnd) -> HistoryEnd {
    match walk {
        crate::git::HistoryEnd::Root => HistoryEnd::Root,
        crate::git::HistoryEnd::Stopped => HistoryEnd::Stopped,
        crate::git::HistoryEnd::Shallow { .. } => HistoryEnd::Shallow,
    }
}

/// Whether the states explain every recorded ReplicaSet and hold two releases with
/// other images than the tip's: more would not change an answer.
pub(super) fn enough(states: &[TemplateState], wanted: &Wanted<'_>) -> bool {
    if states.len() >= wanted.depth {
        return true;
    }
    let Some(tip) = states.first() else {
        return false;
    };
    let images = tip.template.images();
    let others = states
        .iter()
        .filter(|state| state.template.images() != images)
        .count();
    wanted.may_stop
        && others >= 2
        && wanted.replica_sets.iter().all(|set| {
            states
                .iter()
                .any(|state| state.template.covers(&set.template).is_some())
        })
}

/// Which state each of the Application's history entries deployed.
pub(super) fn deployed(
    repository: &Repository,
    application: &Application,
    source: usize,
    walked: &Walked,
) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (position, entry) in application.history.iter().enumerate() {
        let commit = entry
            .commits
            .get(source)
            .and_then(|text| CommitId::parse(text).ok());
        let Some(commit) = commit else { continue };
        if let Some(state) = state_at(repository, &commit, walked) {
            found.push((position, state));
        }
    }
    found
}

/// The state that the file had at a commit: by content, and among equal contents by
/// the newest commit that is not younger.
pub(super) fn state_at(
    repository: &Repository,
    commit: &CommitId,
    walked: &Walked,
) -> Option<usize> {
    let at = repository.commit(commit).ok()?;
    let mut paths: Vec<&str> = walked
        .states
        .iter()
        .map(|state| state.path.as_str())
        .collect();
    paths.dedup();
    for path in paths {
        let Ok(Some(blob)) = repository.blob_at(commit, path) else {
            continue;
        };
        let same = walked.versions.iter().filter(|(id, _, _)| *id == blob.id);
        let reached = same
            .clone()
            .find(|(_, _, own)| own.id == *commit || own.time <= at.time);
        if let Some((_, state, _)) = reached.or_else(|| same.clone().next()) {
            return Some(*state);
        }
    }
    None
}

/// What the commits of the newest states changed besides the template: other files,
/// and other objects or fields in the target's own file.
pub(super) fn side_changes(
    repository: &Repository,
    walked: &Walked,
    target: &WorkloadRef,
) -> Vec<SideChange> {
    let mut found = Vec::new();
    let states = &walked.states;
    for (index, state) in states.iter().enumerate().take(4) {
        let commit = state.commit.id.as_str().to_owned();
        let files = repository
            .changed_files(&state.commit.id)
            .unwrap_or_default();
        for file in files.into_iter().filter(|file| file.path != state.path) {
            found.push(SideChange {
                commit: commit.clone(),
                place: file.path,
            });
        }
        // The state's own text is its newest one, with what later commits did beside the template.
        let mut versions = walked.versions.iter();
        let own = versions.find(|(_, _, own)| own.id == state.commit.id);
        let text = own.and_then(|(id, _, _)| repository.blob_bytes(id).ok());
        if let (Some(before), Some(text)) = (states.get(index + 1), text) {
            let places = in_file(&before.text, &String::from_utf8_lossy(&text), target);
            found.extend(places.into_iter().map(|place| SideChange {
                commit: commit.clone(),
                place: format!("{} {place}", state.path),
            }));
        }
    }
    found
}

/// Objects that differ between two texts of a file; for the target the fields
/// outside its pod template.
fn in_file(before: &str, after: &str, target: &WorkloadRef) -> Vec<String> {
    let (old, new) = (
        Manifest::parse_lenient(before),
        Manifest::parse_lenient(after),
    );
    let mut found = Vec::new();
    for object in new.objects() {
        let Some(twin) = old
            .find(&object.kind, &object.name, object.namespace.as_deref())
            .into_iter()
            .next()
        else {
            found.push(format!("{}/{}", object.kind, object.name));
            continue;
        };
        if old.document_text(&twin.address) == new.document_text(&object.address)
            && twin.address.item == object.address.item
        {
            continue;
        }
        let root = Path::new(Vec::new());
        let (Some(a), Some(b)) = (
            old.value(&twin.address, &root),
            new.value(&object.address, &root),
        ) else {
            continue;
        };
        let own = object.kind == target.kind.as_str() && object.name == target.name;
        for change in crate::manifest::diff_values(&a, &b) {
            let path = change.path.to_string();
            if own && path.starts_with("spec.template") {
                continue;
            }
            found.push(format!("{}/{} {path}", object.kind, object.name));
        }
    }
    found
}
