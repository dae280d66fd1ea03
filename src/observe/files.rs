//! The files at the tip of the branch that ships a target, for what is told from texts alone.

use super::rendered::CommitFiles;
use super::source::{Refused, place};
use super::{Clients, Scope, Sight};
use crate::git::{GitError, RepositoryPath};
use crate::model::{Blocker, CommitId};
use crate::provenance::Files;

/// Where the files are.
#[derive(Debug, Clone)]
pub struct TipFiles {
    /// The clone.
    pub repository: RepositoryPath,
    /// The branch.
    pub branch: String,
    /// Its tip.
    pub tip: CommitId,
}

/// Why there are no files.
#[derive(Debug)]
pub enum Unreadable {
    /// Which repository or branch is not known.
    Blocked(Blocker),
    /// It cannot be read.
    Failed(GitError),
}

/// The tip of the branch that ships the target, also where no manifest of the target was found.
///
/// # Errors
/// When the repository is not known or cannot be fetched.
pub async fn tip_files(
    clients: &Clients,
    scope: &Scope,
    sight: &Sight,
) -> Result<TipFiles, Unreadable> {
    let observation = &sight.observation;
    if let (Some(repository), Some(git)) = (&sight.repository, &observation.git) {
        return Ok(TipFiles {
            repository: repository.clone(),
            branch: git.branch.clone(),
            tip: git.tip.clone(),
        });
    }
    let application = observation.argocd.application.as_ref();
    let source = application.and_then(|app| app.sources.get(observation.argocd.source));
    match place(clients, scope, source, None).await {
        Ok(place) => Ok(TipFiles {
            repository: place.repository,
            branch: place.branch,
            tip: place.tip,
        }),
        Err(Refused::Blocked(blocker)) => Err(Unreadable::Blocked(blocker)),
        Err(Refused::Failed(error)) => Err(Unreadable::Failed(error)),
    }
}

impl TipFiles {
    /// Does something with the files, in this thread: reading is blocking, and a partial clone
    /// fetches what it lacks.
    ///
    /// # Errors
    /// When the tree or one of the files that were asked for could not be read.
    pub fn with<T>(&self, ask: impl FnOnce(&dyn Files) -> T) -> Result<T, GitError> {
        let repository = self.repository.open()?;
        CommitFiles::at(&repository, &self.tip).ask(ask)
    }
}
