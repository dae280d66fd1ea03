//! The clone of the repository that ships a target: the one at hand, a configured one, or one in
//! the cache.

use std::path::PathBuf;

use super::{Clients, Scope};
use crate::git::{GitError, Remote, RemoteUrl, Repository, RepositoryPath};
use crate::model::Blocker;

/// Why there is no clone or no branch.
pub(super) enum Refused {
    Blocked(Blocker),
    Failed(GitError),
}

impl From<GitError> for Refused {
    fn from(error: GitError) -> Self {
        Self::Failed(error)
    }
}

/// `--repo`, else the current directory's repository, each if it is a clone of what
/// the Application names; else a clone in the cache.
pub(super) async fn clone_of(
    clients: &Clients,
    scope: &Scope,
    wanted: Option<&RemoteUrl>,
) -> Result<(RepositoryPath, Remote), Refused> {
    let explicit = scope.repo.clone();
    let start = explicit.clone().unwrap_or_else(|| scope.directory.clone());
    match open(clients, start.clone(), wanted).await {
        Ok(Some(found)) => return Ok(found),
        Ok(None) if explicit.is_some() => {
            let url = wanted.map(ToString::to_string).unwrap_or_default();
            return Err(Refused::Blocked(Blocker::new(
                "other-repository",
                format!("{} has no remote that is {url}", start.display()),
                format!("name a clone of {url} with --repo, or leave --repo out"),
            )));
        }
        Err(error) if explicit.is_some() => return Err(error.into()),
        Err(GitError::NotARepository { .. }) | Ok(None) => {}
        Err(error) if wanted.is_none() => return Err(error.into()),
        // A repository that cannot be used does not matter where another is meant.
        Err(_) => {}
    }
    let Some(url) = wanted else {
        return Err(Refused::Blocked(Blocker::new(
            "no-repository",
            "which repository ships it is not known: no Application can be read and the current directory is no clone",
            "run it in a clone, or name one with --repo",
        )));
    };
    let same = |named: &str| RemoteUrl::parse(named).is_ok_and(|named| named.same_repository(url));
    if let Some((named, path)) = scope.clones.iter().find(|(named, _)| same(named)) {
        // A clone that the configuration names is meant: that it cannot be used is an error.
        let found = open(clients, path.clone(), Some(url)).await?;
        return found.ok_or_else(|| {
            Refused::Blocked(Blocker::new(
                "other-repository",
                format!("{} has no remote that is {url}", path.display()),
                format!("correct the entry for {named} under `repositories` in the configuration"),
            ))
        });
    }
    let repository = clients.git.clone_to_cache(url, &scope.cache).await?;
    open(clients, repository.git_dir().to_owned(), Some(url))
        .await?
        .ok_or_else(|| {
            Refused::Blocked(Blocker::new(
                "other-repository",
                format!("the cached clone of {url} has another remote"),
                format!("remove {}", repository.git_dir().display()),
            ))
        })
}

/// The clone that a folder is in, whatever it is a clone of.
pub(super) async fn local_clone(
    clients: &Clients,
    start: PathBuf,
) -> Result<(RepositoryPath, Remote), Refused> {
    let folder = start.display().to_string();
    let found = match open(clients, start, None).await {
        Ok(found) => found,
        Err(GitError::NotARepository { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    found.ok_or_else(|| {
        Refused::Blocked(Blocker::new(
            "no-repository",
            format!("{folder} is in no clone with a remote: which repository has the commit is not known"),
            "run it in a clone, name one with --repo, or name the workload that is meant",
        ))
    })
}

async fn open(
    clients: &Clients,
    start: PathBuf,
    wanted: Option<&RemoteUrl>,
) -> Result<Option<(RepositoryPath, Remote)>, GitError> {
    let git = clients.git.clone();
    let wanted = wanted.cloned();
    tokio::task::spawn_blocking(move || {
        let repository = Repository::open(&start, &git)?;
        let remote = match wanted {
            Some(url) => repository.remote_for(&url)?,
            None => {
                let mut remotes = repository.remotes()?;
                let origin = remotes.iter().position(|r| r.name == "origin").unwrap_or(0);
                (!remotes.is_empty()).then(|| remotes.swap_remove(origin))
            }
        };
        Ok(remote.map(|remote| (repository.path().clone(), remote)))
    })
    .await
    .map_err(|_| GitError::Interrupted)?
}
