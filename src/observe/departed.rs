//! A workload whose object is not there: what became of its document in Git.

use super::{Clients, Error, Scope, early};
use crate::git::{ChangeKind, GitError, Repository};
use crate::manifest::{Manifest, is_manifest_name};
use crate::model::{Commit, CommitId, WorkloadKind};

/// How many commits are looked at, by first parents from the tip.
const COMMITS: usize = 500;

/// What Git says of the document.
#[derive(Debug, Clone)]
pub enum Departure {
    /// A commit took it out, and no later one put it back.
    Removed {
        /// The commit.
        commit: Box<Commit>,
        /// The file that it was in.
        path: String,
    },
    /// It is there at the tip.
    There {
        /// The file.
        path: String,
    },
    /// No clone is known, or none of its newest commits is about it.
    Unknown,
}

/// Looks for the newest commit that is about the workload's document; in one file where
/// that is known: a repository may hold the same name for several clusters.
///
/// # Errors
/// When the branch cannot be fetched or the history not be read.
pub async fn departure(
    clients: &Clients,
    scope: &Scope,
    file: Option<String>,
) -> Result<Departure, Error> {
    let Some((path, tip)) = early::tip_of_clone(clients, scope).await? else {
        return Ok(Departure::Unknown);
    };
    let (kind, name, namespace) = (scope.kind, scope.name.clone(), scope.namespace.clone());
    let found = tokio::task::spawn_blocking(move || {
        let wanted = Wanted {
            kinds: kind.map_or(WorkloadKind::ALL.to_vec(), |kind| vec![kind]),
            name,
            namespace,
            file,
        };
        wanted.newest(&path.open()?, tip)
    });
    Ok(found.await.map_err(|_| GitError::Interrupted)??)
}

struct Wanted {
    kinds: Vec<WorkloadKind>,
    name: String,
    namespace: String,
    file: Option<String>,
}

impl Wanted {
    fn newest(&self, repository: &Repository, tip: CommitId) -> Result<Departure, GitError> {
        let mut at = Some(tip);
        for _ in 0..COMMITS {
            let Some(id) = at else { break };
            let commit = repository.commit(&id)?;
            let parent = commit.parents.first().cloned();
            let changes = match repository.changed_files(&id) {
                Err(GitError::Shallow { .. }) => break,
                other => other?,
            };
            let mut removed = None;
            for change in changes.iter().filter(|change| self.may_be(&change.path)) {
                // A document that moved is there as well as gone.
                if change.kind != ChangeKind::Deleted
                    && self.is_in(repository, (&id, &change.path))?
                {
                    let path = change.path.clone();
                    return Ok(Departure::There { path });
                }
                if let Some(parent) = parent.as_ref().filter(|_| change.kind != ChangeKind::Added)
                    && self.is_in(repository, (parent, &change.path))?
                {
                    removed = Some(change.path.clone());
                }
            }
            if let Some(path) = removed {
                let commit = Box::new(commit);
                return Ok(Departure::Removed { commit, path });
            }
            at = parent;
        }
        Ok(Departure::Unknown)
    }

    /// Whether a file at a commit has the document.
    fn is_in(
        &self,
        repository: &Repository,
        (commit, path): (&CommitId, &str),
    ) -> Result<bool, GitError> {
        let Some(blob) = repository.blob_at(commit, path)? else {
            return Ok(false);
        };
        let text = String::from_utf8_lossy(&blob.bytes);
        if !text.contains(&self.name) {
            return Ok(false);
        }
        let manifest = Manifest::parse_lenient(text);
        let found = self.kinds.iter().flat_map(|kind| {
            // A document without a namespace gets the Application's.
            manifest.find(kind.as_str(), &self.name, None)
        });
        let here = |own: Option<&str>| own.is_none_or(|own| own == self.namespace);
        Ok(found
            .into_iter()
            .any(|object| here(object.namespace.as_deref())))
    }

    fn may_be(&self, path: &str) -> bool {
        match &self.file {
            Some(file) => file == path,
            None => is_manifest_name(path),
        }
    }
}
