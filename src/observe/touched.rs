//! Which workloads a commit changed, told from its files alone.

use std::path::PathBuf;

use serde_json::Value;

use super::clones::{Refused, local_clone};
use super::{Clients, Undo};
use crate::git::{GitError, Remote, Repository, RepositoryPath};
use crate::manifest::{Manifest, Object, Path, is_manifest_name, named_objects};
use crate::model::{Blocker, Commit, CommitId, ObjectRef, PodTemplate, WorkloadKind, WorkloadRef};

/// The workloads of a commit.
#[derive(Debug, Clone)]
pub struct TouchedWorkloads {
    /// The commit.
    pub commit: Commit,
    /// The workloads that it changed, in the order of its files.
    pub changed: Vec<WorkloadRef>,
    /// Those that it added: taking it back removes them.
    pub added: Vec<WorkloadRef>,
    /// Those that it removed: taking it back brings them back.
    pub removed: Vec<WorkloadRef>,
    /// Where it changed no workload: those whose pods use a ConfigMap or Service that it changed.
    pub users: Vec<WorkloadRef>,
}

/// The workloads whose documents a commit of the clone changed. Documents without a namespace
/// take `namespace`. A commit that the clone does not have yet is fetched.
///
/// # Errors
/// When there is no clone, or no such commit in it.
pub async fn workloads_of(
    clients: &Clients,
    (repo, directory): (Option<PathBuf>, PathBuf),
    (undo, branch, namespace): (&Undo, Option<&str>, &str),
) -> Result<Result<TouchedWorkloads, Blocker>, GitError> {
    let (clone, remote) = match local_clone(clients, repo.unwrap_or(directory)).await {
        Ok(found) => found,
        Err(Refused::Blocked(blocker)) => return Ok(Err(blocker)),
        Err(Refused::Failed(error)) => return Err(error),
    };
    let first = look(&clone, undo, namespace).await?;
    match first {
        Some(found) => Ok(found),
        None => {
            fetch(&clone, &remote, branch).await?;
            let found = look(&clone, undo, namespace).await?;
            Ok(found.unwrap_or_else(|| Err(unknown(undo))))
        }
    }
}

fn unknown(undo: &Undo) -> Blocker {
    let text = crate::model::plain(&undo.commit);
    Blocker::new(
        "commit-unknown",
        format!("no commit {text:?} in this clone, also after a fetch"),
        "name a commit of the branch that ships; `git log --oneline` lists them",
    )
}

async fn fetch(
    clone: &RepositoryPath,
    remote: &Remote,
    branch: Option<&str>,
) -> Result<(), GitError> {
    let branch = match branch {
        Some(branch) => Some(branch.to_owned()),
        None => clone.remote_head(&remote.name).await?.branch,
    };
    if let Some(branch) = branch {
        clone.fetch(&remote.name, &branch).await?;
    }
    Ok(())
}

type Found = Result<TouchedWorkloads, Blocker>;

/// `None` where the clone does not have the commit.
async fn look(
    clone: &RepositoryPath,
    undo: &Undo,
    namespace: &str,
) -> Result<Option<Found>, GitError> {
    let (clone, undo, namespace) = (clone.clone(), undo.clone(), namespace.to_owned());
    let task = tokio::task::spawn_blocking(move || {
        let repository = clone.open()?;
        match repository.resolve(&undo.commit) {
            Ok(id) => {
                let commit = repository.commit(&id)?;
                read(&repository, commit, (&undo, &namespace)).map(Some)
            }
            Err(GitError::NoSuchCommit { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    });
    task.await.map_err(|_| GitError::Interrupted)?
}

fn read(
    repository: &Repository,
    commit: Commit,
    (undo, namespace): (&Undo, &str),
) -> Result<Found, GitError> {
    let parent = match super::change::parent(repository, &commit, undo.parent)? {
        Ok(parent) => parent,
        Err(blocker) => return Ok(Err(blocker)),
    };
    let mut found = TouchedWorkloads {
        changed: Vec::new(),
        added: Vec::new(),
        removed: Vec::new(),
        users: Vec::new(),
        commit,
    };
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut pairs: Vec<[String; 2]> = Vec::new();
    for pair in repository.file_pairs(&parent, &found.commit.id)? {
        if pair.odd.is_some() {
            continue;
        }
        let mut texts = [String::new(), String::new()];
        let sides = [(&pair.old, &mut before), (&pair.new, &mut after)];
        for ((side, list), kept) in sides.into_iter().zip(&mut texts) {
            if let Some((path, id)) = side
                && is_manifest_name(path)
                && let Ok(text) = String::from_utf8(repository.blob_bytes(id)?)
            {
                list.extend(workloads(&text, namespace));
                *kept = text;
            }
        }
        pairs.push(texts);
    }
    for (target, value) in &after {
        let was = before.iter().find(|(own, _)| own == target);
        match was {
            None => found.added.push(target.clone()),
            Some((_, old)) if old != value => found.changed.push(target.clone()),
            Some(_) => {}
        }
    }
    let gone = before
        .iter()
        .filter(|(own, _)| !after.iter().any(|(target, _)| target == own));
    found.removed = gone.map(|(target, _)| target.clone()).collect();
    if found.changed.is_empty() && found.added.is_empty() && found.removed.is_empty() {
        found.users = users(repository, &found.commit.id, (&pairs, namespace))?;
    }
    Ok(Ok(found))
}

/// The workloads at a commit whose pods use an object that differs between two texts.
fn users(
    repository: &Repository,
    commit: &CommitId,
    (pairs, namespace): (&[[String; 2]], &str),
) -> Result<Vec<WorkloadRef>, GitError> {
    let mut changed: Vec<(ObjectRef, Value)> = Vec::new();
    for [before, after] in pairs {
        let (old, new) = (
            named_objects(before, namespace),
            named_objects(after, namespace),
        );
        changed.extend(old.iter().filter(|own| !new.contains(own)).cloned());
        changed.extend(new.into_iter().filter(|own| !old.contains(own)));
    }
    changed.retain(|(object, _)| matches!(object.kind.as_str(), "ConfigMap" | "Service"));
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for file in repository.files_under(commit, "", true)? {
        if !is_manifest_name(&file.path) {
            continue;
        }
        let Ok(text) = String::from_utf8(repository.blob_bytes(&file.id)?) else {
            continue;
        };
        for (target, value) in workloads(&text, namespace) {
            let Some(template) = value.as_ref().and_then(|own| own.pointer("/spec/template"))
            else {
                continue;
            };
            let template = PodTemplate::new(template.clone());
            let uses = changed.iter().any(|(object, value)| {
                object.namespace == target.namespace && template.usage(value).is_some()
            });
            if uses && !found.contains(&target) {
                found.push(target);
            }
        }
    }
    Ok(found)
}

type Document = (WorkloadRef, Option<Value>);

/// The workloads of a file; nothing where it is no plain manifest.
fn workloads(text: &str, namespace: &str) -> Vec<Document> {
    let Ok(manifest) = Manifest::parse(text) else {
        return Vec::new();
    };
    let of = |object: Object| {
        let kind = WorkloadKind::parse(&object.kind)?;
        let own = object.api_version.starts_with("apps/") && !object.name.is_empty();
        let value = manifest.value(&object.address, &Path::default());
        let target = WorkloadRef {
            kind,
            namespace: object.namespace.unwrap_or_else(|| namespace.to_owned()),
            name: object.name,
        };
        own.then_some((target, value))
    };
    manifest.objects().into_iter().filter_map(of).collect()
}
