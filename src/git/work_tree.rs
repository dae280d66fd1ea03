//! Files of the checkout itself, for edits that are not to be committed.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::blobs::clean_path;
use super::error::GitError;
use super::repository::Repository;

impl Repository {
    /// The content of a file in the checkout; none when it is not there (deleted, or
    /// left out by a sparse checkout).
    ///
    /// # Errors
    /// [`GitError::NoWorkTree`], [`GitError::Symlink`], [`GitError::Io`].
    pub fn work_tree_file(&self, path: &str) -> Result<Option<Vec<u8>>, GitError> {
        let file = self.work_tree_path(path)?;
        match std::fs::read(&file) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(GitError::io(format!("cannot read {path}"), error)),
        }
    }

    /// Replaces a file of the checkout in one step and keeps its permissions, only if
    /// its content is what the edit was made from.
    ///
    /// # Errors
    /// [`GitError::FileChanged`], [`GitError::NoWorkTree`], [`GitError::Symlink`],
    /// [`GitError::Io`].
    pub fn write_work_tree_file(
        &self,
        path: &str,
        expected: &[u8],
        bytes: &[u8],
    ) -> Result<(), GitError> {
        let file = self.work_tree_path(path)?;
        let failed = |error| GitError::io(format!("cannot write {path}"), error);
        let folder = file.parent().unwrap_or(Path::new("."));
        let permissions = std::fs::metadata(&file).map(|meta| meta.permissions());
        let Ok(permissions) = permissions else {
            return Err(GitError::FileChanged {
                path: path.to_owned(),
            });
        };
        let mut new = tempfile::Builder::new()
            .prefix(".unship-")
            .tempfile_in(folder)
            .map_err(failed)?;
        new.write_all(bytes).map_err(failed)?;
        new.as_file().set_permissions(permissions).map_err(failed)?;
        new.as_file().sync_all().map_err(failed)?;
        // As late as can be: what was edited in between is not to be lost.
        if self.work_tree_file(path)?.as_deref() != Some(expected) {
            return Err(GitError::FileChanged {
                path: path.to_owned(),
            });
        }
        new.persist(&file).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// The file's place, refusing to leave the checkout through a symbolic link.
    fn work_tree_path(&self, path: &str) -> Result<PathBuf, GitError> {
        let mut place = self
            .inner
            .workdir()
            .ok_or(GitError::NoWorkTree)?
            .to_path_buf();
        let path = clean_path(path)?;
        let mut walked = String::new();
        for part in path.split('/') {
            place.push(part);
            if !walked.is_empty() {
                walked.push('/');
            }
            walked.push_str(part);
            if let Ok(target) = std::fs::read_link(&place) {
                return Err(GitError::Symlink {
                    path: walked,
                    target: crate::model::plain(&target.to_string_lossy()),
                });
            }
        }
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::testing::World;
    use super::*;

    #[test]
    fn only_the_expected_content_is_replaced() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        let file = clone.join("apps/web.yaml");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o750)).unwrap();
        let repository = world.open(&clone);
        let (path, old) = ("apps/web.yaml", b"image: web:1\n");
        assert_eq!(
            repository.work_tree_file(path).unwrap().as_deref(),
            Some(old.as_slice())
        );
        repository
            .write_work_tree_file(path, old, b"new\r\n")
            .unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"new\r\n");
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o750);
        for (path, what) in [(path, "stale"), ("apps/none.yaml", "missing")] {
            let error = repository
                .write_work_tree_file(path, old, b"x")
                .unwrap_err();
            assert!(
                matches!(error, GitError::FileChanged { .. }),
                "{what}: {error}"
            );
        }
        assert_eq!(std::fs::read(&file).unwrap(), b"new\r\n");
        let left = std::fs::read_dir(clone.join("apps")).unwrap().count();
        assert_eq!(left, 1, "a temporary file was left behind");
    }

    #[test]
    fn links_out_of_the_checkout_are_not_followed() {
        let world = World::new();
        let (remote, clone) = world.remote_and_clone();
        std::os::unix::fs::symlink(world.root(), clone.join("out")).unwrap();
        std::fs::write(world.root().join("victim"), "v").unwrap();
        let repository = world.open(&clone);
        let error = repository
            .write_work_tree_file("out/victim", b"v", b"x")
            .unwrap_err();
        assert!(matches!(error, GitError::Symlink { .. }), "{error}");
        let error = repository.work_tree_file("../victim").unwrap_err();
        assert!(matches!(error, GitError::InvalidName { .. }), "{error}");
        let error = world.open(&remote).work_tree_file("a").unwrap_err();
        assert!(matches!(error, GitError::NoWorkTree), "{error}");
    }
}
