//! The clone that is most likely meant, fetched beside the other reads.

use super::{Clients, Error, Scope};
use crate::git::{GitError, Repository, RepositoryPath};
use crate::model::CommitId;

/// A fetch that was begun before it was known which repository ships the target.
pub(super) struct Early {
    pub(super) repository: RepositoryPath,
    pub(super) remote: String,
    pub(super) branch: String,
    pub(super) fetch: tokio::task::JoinHandle<Result<CommitId, GitError>>,
}

impl Drop for Early {
    /// A fetch that turned out to be of no use is not waited for.
    fn drop(&mut self) {
        self.fetch.abort();
    }
}

/// Starts fetching the clone that is most likely meant, beside the other reads.
pub(super) async fn prefetch(clients: &Clients, scope: &Scope) -> Option<Early> {
    if !scope.git {
        return None;
    }
    let start = scope
        .repo
        .clone()
        .unwrap_or_else(|| scope.directory.clone());
    let git = clients.git.clone();
    let (path, remote, branch) = tokio::task::spawn_blocking({
        let wanted = scope.branch.clone();
        move || {
            let repository = Repository::open(&start, &git).ok()?;
            let remotes = repository.remotes().ok()?;
            let remote = match remotes.as_slice() {
                [one] => one,
                many => many.iter().find(|r| r.name == "origin")?,
            };
            let upstream = || repository.upstream().ok().flatten();
            let branch = wanted.or_else(|| upstream().map(|(_, branch)| branch))?;
            Some((repository.path().clone(), remote.name.clone(), branch))
        }
    })
    .await
    .ok()??;
    let fetch = tokio::spawn({
        let (path, remote, branch) = (path.clone(), remote.clone(), branch.clone());
        async move { path.fetch(&remote, &branch).await }
    });
    Some(Early {
        repository: path,
        remote,
        branch,
        fetch,
    })
}

/// The fetched tip of the branch that a scope names, or that is checked out in its clone:
/// for what a repository says beside its manifests. `None` where there is no such clone.
///
/// # Errors
/// When it cannot be fetched.
pub async fn tip_of_clone(
    clients: &Clients,
    scope: &Scope,
) -> Result<Option<(RepositoryPath, CommitId)>, Error> {
    let Some(mut early) = prefetch(clients, scope).await else {
        return Ok(None);
    };
    let tip = (&mut early.fetch)
        .await
        .map_err(|_| GitError::Interrupted)??;
    Ok(Some((early.repository.clone(), tip)))
}
