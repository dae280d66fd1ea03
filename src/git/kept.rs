//! Files that come as archives: each version is a commit of a repository of our own in the cache
//! folder, under the name that a tag of a remote would have. What reads a tag reads it as well.

use std::path::{Component, Path};

use git2::{ErrorCode, Oid, Signature, Time};

use super::cache::{clone_name, is_complete, private_folder};
use super::error::GitError;
use super::path::RepositoryPath;
use super::program::Git;
use super::remotes::Remote;
use super::repository::{Repository, commit_id};
use super::revisions::tags_of;
use super::url::RemoteUrl;
use crate::model::CommitId;

impl Git {
    /// The repository that has the versions of what is at an address; made where there is none.
    /// Its one remote is that address, and nothing is ever fetched from it or pushed to it.
    ///
    /// # Errors
    /// When the folder cannot be made or the repository cannot be opened.
    pub fn kept(
        &self,
        cache_dir: &Path,
        url: &RemoteUrl,
    ) -> Result<(RepositoryPath, Remote), GitError> {
        let folder = cache_dir.join("kept");
        private_folder(&folder).map_err(|error| {
            GitError::io(
                format!("cannot make the folder {}", folder.display()),
                error,
            )
        })?;
        let place = folder.join(format!("{}.git", clone_name(url)));
        make(&folder, &place)?;
        let remote = Remote {
            name: "kept".to_owned(),
            fetch_url: url.clone(),
            push_urls: Vec::new(),
            configured_url: url.clone(),
        };
        Ok((RepositoryPath::new(self, place, None), remote))
    }
}

/// Makes the repository unless it is there: whoever looks sees a whole one or none.
fn make(folder: &Path, place: &Path) -> Result<(), GitError> {
    if is_complete(place) {
        return Ok(());
    }
    let doing = || format!("cannot make {}", place.display());
    let new = tempfile::tempdir_in(folder).map_err(|error| GitError::io(doing(), error))?;
    let mut options = git2::RepositoryInitOptions::new();
    options.bare(true).external_template(false);
    git2::Repository::init_opts(new.path(), &options)
        .map_err(|error| GitError::library(&doing(), &error))?;
    match std::fs::rename(new.path(), place) {
        // Another process was faster.
        Err(_) if is_complete(place) => Ok(()),
        Err(error) => Err(GitError::io(doing(), error)),
        Ok(()) => Ok(()),
    }
}

impl Repository {
    /// Keeps the files of a version, by path. A version that is there already stays as it is:
    /// what was published under a name is not published again.
    ///
    /// # Errors
    /// When a path leaves the folder, or the object database cannot be written.
    pub fn keep(
        &self,
        (remote, version): (&str, &str),
        files: &[(String, Vec<u8>)],
    ) -> Result<CommitId, GitError> {
        let failed = |error: git2::Error| GitError::library(&format!("keep {version}"), &error);
        let mut index = git2::Index::new().map_err(failed)?;
        for (path, bytes) in files {
            let is_below = |part| matches!(part, Component::Normal(_));
            if !Path::new(path).components().all(is_below) {
                return Err(GitError::InvalidName {
                    text: path.clone(),
                    expected: "a path below a folder",
                });
            }
            let id = self.inner.blob(bytes).map_err(failed)?;
            index.add(&entry(path, id, bytes.len())).map_err(failed)?;
        }
        let tree = index.write_tree_to(&self.inner).map_err(failed)?;
        let tree = self.inner.find_tree(tree).map_err(failed)?;
        // Nobody's, and of no time: the same files are the same commit.
        let nobody = Signature::new("unship", "unship@localhost", &Time::new(0, 0));
        let nobody = nobody.map_err(failed)?;
        let made = self
            .inner
            .commit(None, &nobody, &nobody, version, &tree, &[])
            .map_err(failed)?;
        let name = format!("{}/{version}", tags_of(remote));
        match self.inner.reference(&name, made, false, "unship: kept") {
            Ok(_) => Ok(commit_id(made)),
            // Another process was faster.
            Err(error) if error.code() == ErrorCode::Exists => {
                let found = self.revision_of(remote, version)?;
                Ok(found.unwrap_or_else(|| commit_id(made)))
            }
            Err(error) => Err(failed(error)),
        }
    }
}

fn entry(path: &str, id: Oid, length: usize) -> git2::IndexEntry {
    let never = git2::IndexTime::new(0, 0);
    git2::IndexEntry {
        ctime: never,
        mtime: never,
        dev: 0,
        ino: 0,
        mode: 0o100_644,
        uid: 0,
        gid: 0,
        file_size: u32::try_from(length).unwrap_or_default(),
        id,
        flags: 0,
        flags_extended: 0,
        path: path.as_bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    #[test]
    fn a_version_is_kept_once_and_read_as_a_tag() {
        let world = World::new();
        let url = RemoteUrl::parse("https://charts.example.org/web").unwrap();
        let cache = world.root().join("cache");
        let (path, remote) = world.program().kept(&cache, &url).unwrap();
        let repository = path.open().unwrap();
        let known = |version: &str| repository.revision_of(&remote.name, version).unwrap();
        assert_eq!(known("1.2.0"), None);
        let file = |text: &str| vec![("templates/web.yaml".to_owned(), text.as_bytes().to_vec())];
        let at = (remote.name.as_str(), "1.2.0");
        let first = repository.keep(at, &file("a")).unwrap();
        assert_eq!(repository.keep(at, &file("b")).unwrap(), first);
        assert_eq!(known("1.2.0"), Some(first.clone()));
        let blob = repository.blob_at(&first, "templates/web.yaml").unwrap();
        assert_eq!(blob.unwrap().bytes, b"a");
        let (again, _) = world.program().kept(&cache, &url).unwrap();
        assert_eq!(again.git_dir(), path.git_dir());

        for bad in ["../up", "/root", "a/../b", ".git/config"] {
            let bad = [(bad.to_owned(), Vec::new())];
            let refused = repository.keep((&remote.name, "1.2.1"), &bad);
            assert!(refused.is_err(), "{bad:?}");
        }
        assert_eq!(known("1.2.1"), None);
    }
}
