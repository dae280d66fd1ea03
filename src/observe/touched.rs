//! Which workloads a commit changed, told from its files alone.

use std::path::PathBuf;

use super::source::{Refused, local_clone};
use super::{Clients, Undo};
use crate::git::{GitError, Remote, Repository, RepositoryPath};
use crate::manifest::{Manifest, Object, Path, is_manifest_name};
use crate::model::{Blocker, Commit, WorkloadKind, WorkloadRef};

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
        commit,
    };
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for pair in repository.file_pairs(&parent, &found.commit.id)? {
        if pair.odd.is_some() {
            continue;
        }
        for (side, list) in [(&pair.old, &mut before), (&pair.new, &mut after)] {
            if let Some((path, id)) = side
                && is_manifest_name(path)
            {
                let bytes = repository.blob_bytes(id)?;
                list.extend(workloads(bytes, namespace));
            }
        }
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
    Ok(Ok(found))
}

type Document = (WorkloadRef, Option<serde_json::Value>);

/// The workloads of a file; nothing where it is no plain manifest.
fn workloads(bytes: Vec<u8>, namespace: &str) -> Vec<Document> {
    let Ok(text) = String::from_utf8(bytes) else {
        return Vec::new();
    };
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
