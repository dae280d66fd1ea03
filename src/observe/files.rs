//! The files at the tip of the branch that ships a target, for what is told from texts alone.

use super::clones::Refused;
use super::ground::{Grounds, opened};
use super::place::{own_place, own_scope};
use super::rendered::CommitFiles;
use super::{Clients, Scope, Sight};
use crate::git::{GitError, RepositoryPath};
use crate::model::{Blocker, CommitId, Elsewhere, Sourcing};
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
    /// Where the Application's source is; `None` without an Application.
    pub sourcing: Option<Sourcing>,
    /// Other repositories that it is rendered from.
    pub elsewhere: Vec<Elsewhere>,
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
    let argocd = &observation.argocd;
    if let (Some(repository), Some(git)) = (&sight.repository, &observation.git) {
        let rendered = git.rendered.as_ref();
        let sourcing = rendered.map(|rendered| rendered.sourcing.clone());
        return Ok(TipFiles {
            repository: repository.clone(),
            branch: git.branch.clone(),
            tip: git.tip.clone(),
            sourcing: sourcing.or_else(|| Grounds::sourcing_of(observation)),
            elsewhere: rendered.map_or_else(Vec::new, |rendered| rendered.elsewhere.clone()),
        });
    }
    let own_scope = own_scope(scope, observation);
    let place = match own_place((clients, &own_scope), observation, None).await {
        Ok(place) => place,
        Err(Refused::Blocked(blocker)) => return Err(Unreadable::Blocked(blocker)),
        Err(Refused::Failed(error)) => return Err(Unreadable::Failed(error)),
    };
    let mut grounds = Grounds::of(place, observation);
    let mut gaps = Vec::new();
    let looking = (clients, scope);
    grounds.complete(looking, observation, &mut gaps).await;
    let settled = tokio::task::spawn_blocking(move || {
        let settled = grounds.settle(&mut gaps);
        settled.map(|()| grounds)
    });
    let grounds = match settled.await {
        Ok(Ok(grounds)) => grounds,
        Ok(Err(error)) => return Err(Unreadable::Failed(error)),
        Err(_) => return Err(Unreadable::Failed(GitError::Interrupted)),
    };
    let sourcing = argocd.application.as_ref().map(|_| grounds.sourcing(0));
    let elsewhere = grounds.elsewhere(0);
    let own = grounds.into_own();
    own.map_or_else(
        || Err(Unreadable::Failed(GitError::Interrupted)),
        |place| {
            Ok(TipFiles {
                repository: place.repository,
                branch: place.branch,
                tip: place.tip,
                sourcing,
                elsewhere,
            })
        },
    )
}

impl TipFiles {
    /// Does something with the files, in this thread: reading is blocking, and a partial clone
    /// fetches what it lacks.
    ///
    /// # Errors
    /// When the tree or one of the files that were asked for could not be read.
    pub fn with<T>(&self, ask: impl FnOnce(&dyn Files) -> T) -> Result<T, GitError> {
        let repository = self.repository.open()?;
        let others = opened(&repository, &self.elsewhere)?;
        CommitFiles::at((&repository, &self.tip), &others).ask(ask)
    }
}
