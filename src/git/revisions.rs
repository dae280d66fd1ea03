//! What a revision that is no branch means on a remote: a tag or a commit's id.

use git2::ErrorCode;

use super::error::GitError;
use super::path::RepositoryPath;
use super::repository::{Repository, commit_id};
use crate::model::CommitId;

/// The tags of a remote, in refs of our own: a person's tags stay as they are.
pub(super) fn tags_of(remote: &str) -> String {
    format!("refs/unship/tags/{remote}")
}

impl RepositoryPath {
    /// Fetches all tags of a remote; [`Repository::revision_of`] knows them then.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub async fn fetch_tags(&self, remote: &str) -> Result<(), GitError> {
        let refspec = format!("+refs/tags/*:{}/*", tags_of(remote));
        self.fetch_refs(remote, &refspec, ("fetch the tags of", None), &["--prune"])
            .await
    }

    /// Fetches a commit that no branch need have.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub async fn fetch_commit(&self, remote: &str, id: &CommitId) -> Result<(), GitError> {
        let doing = format!("fetch {} from", id.short());
        self.fetch_refs(remote, id.as_str(), (&doing, None), &[])
            .await
    }
}

impl Repository {
    /// The commit that a revision means which is no branch: a full commit id, or a tag of a
    /// remote whose tags were fetched. `None` where there is none.
    ///
    /// # Errors
    /// When the object database cannot be read.
    pub fn revision_of(&self, remote: &str, text: &str) -> Result<Option<CommitId>, GitError> {
        if let Ok(id) = CommitId::parse(text) {
            return match self.commit(&id) {
                Ok(commit) => Ok(Some(commit.id)),
                Err(GitError::NoSuchCommit { .. }) => Ok(None),
                Err(error) => Err(error),
            };
        }
        let name = text.strip_prefix("refs/tags/").unwrap_or(text);
        let full = format!("{}/{name}", tags_of(remote));
        if !git2::Reference::is_valid_name(&full) {
            return Ok(None);
        }
        let found = match self.inner.find_reference(&full) {
            Ok(found) => found,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(GitError::library("read a tag", &error)),
        };
        Ok(found
            .peel_to_commit()
            .ok()
            .map(|commit| commit_id(commit.id())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    #[tokio::test]
    async fn tags_of_a_remote() {
        let world = World::new();
        let (remote, clone) = world.remote_and_clone();
        let first = world.id(&clone, "HEAD");
        world.git(&clone, &["tag", "-a", "-m", "first", "v1"]);
        world.git(&clone, &["push", "-q", "origin", "v1"]);
        world.git(&clone, &["tag", "-d", "v1"]);
        let repository = world.open(&clone);
        let known = |text: &str| repository.revision_of("origin", text).unwrap();
        assert_eq!(known("v1"), None);
        repository.path().fetch_tags("origin").await.unwrap();
        assert_eq!(known("v1").as_ref(), Some(&first));
        assert_eq!(known("refs/tags/v1").as_ref(), Some(&first));
        assert_eq!(known(first.as_str()).as_ref(), Some(&first));
        assert_eq!(known("v2"), None);
        assert_eq!(known("no such..name"), None);
        assert_eq!(known(&"0".repeat(40)), None);
        assert_eq!(world.git(&clone, &["tag"]), "", "no tag of the person's");

        world.git(&remote, &["tag", "-d", "v1"]);
        repository.path().fetch_tags("origin").await.unwrap();
        assert_eq!(known("v1"), None, "what is gone there is gone here");
    }

    #[tokio::test]
    async fn a_commit_that_no_branch_has() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        let other = world.colleague("other");
        let side = world.commit(&clone, "apps/web.yaml", "image: web:2\n", "web 2");
        world.git(&clone, &["push", "-q", "origin", "HEAD:refs/notes/side"]);
        let repository = world.open(&other);
        let known = || repository.revision_of("origin", side.as_str()).unwrap();
        assert_eq!(known(), None);
        let path = repository.path();
        path.fetch_commit("origin", &side).await.unwrap();
        assert_eq!(known().as_ref(), Some(&side));
        let nobody = CommitId::parse(&"1".repeat(40)).unwrap();
        assert!(path.fetch_commit("origin", &nobody).await.is_err());
    }
}
