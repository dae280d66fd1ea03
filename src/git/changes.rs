//! What one commit changed, with renames, and where its files are today.

use git2::{Delta, FileMode as Mode};

use super::blobs::BlobId;
use super::error::GitError;
use super::repository::Repository;
use crate::model::CommitId;

/// More files than these in one commit are not compared for similarity, as in git.
const RENAME_LIMIT: usize = 1000;

/// A file that differs between two commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePair {
    /// Path and content before; none where it is new.
    pub old: Option<(String, BlobId)>,
    /// Path and content after; none where it is gone.
    pub new: Option<(String, BlobId)>,
    /// What it is where it is no plain file, or changed its mode: `a symbolic link`.
    pub odd: Option<String>,
}

impl Repository {
    /// The files in which a commit differs from one of its parents; moved files are one pair.
    ///
    /// # Errors
    /// [`GitError::NoSuchCommit`]; [`GitError::Shallow`] when the parent is cut off.
    pub fn file_pairs(
        &self,
        parent: &CommitId,
        commit: &CommitId,
    ) -> Result<Vec<FilePair>, GitError> {
        if self.shallow_boundary().contains(commit) {
            return Err(GitError::Shallow {
                commit: commit.clone(),
            });
        }
        let (old, new) = (self.find_commit(parent)?, self.find_commit(commit)?);
        let pair = |delta: git2::DiffDelta<'_>| {
            let side = |file: git2::DiffFile<'_>| {
                let path = String::from_utf8_lossy(file.path_bytes()?).into_owned();
                Some((path, BlobId(file.id())))
            };
            let (was, is) = (delta.old_file(), delta.new_file());
            let modes = match delta.status() {
                Delta::Added => [is.mode(), is.mode()],
                Delta::Deleted => [was.mode(), was.mode()],
                _ => [was.mode(), is.mode()],
            };
            FilePair {
                odd: odd(modes),
                old: (delta.status() != Delta::Added)
                    .then(|| side(was))
                    .flatten(),
                new: (delta.status() != Delta::Deleted)
                    .then(|| side(is))
                    .flatten(),
            }
        };
        let mut pairs = Vec::new();
        self.with_renames(&old, &new, |diff| {
            pairs = diff.deltas().map(pair).collect();
        })?;
        Ok(pairs)
    }

    /// Where a file that `commit` has under this path is at `tip`, a descendant: renames are
    /// followed. None where it was removed on the way.
    ///
    /// # Errors
    /// [`GitError::NoSuchCommit`], and what libgit2 cannot read.
    pub fn path_at_tip(
        &self,
        commit: &CommitId,
        tip: &CommitId,
        path: &str,
    ) -> Result<Option<String>, GitError> {
        let end = self.find_commit(tip)?;
        if has(&end, path)? {
            return Ok(Some(path.to_owned()));
        }
        let mut path = path.to_owned();
        let mut between = self.commits_since(commit, tip, usize::MAX)?;
        between.reverse();
        for later in between {
            let later = self.find_commit(&later.id)?;
            let Ok(parent) = later.parent(0) else {
                continue;
            };
            if has(&later, &path)? || !has(&parent, &path)? {
                continue;
            }
            let mut moved = None;
            self.with_renames(&parent, &later, |diff| {
                let is_it = |delta: &git2::DiffDelta<'_>| {
                    delta.status() == Delta::Renamed
                        && delta.old_file().path_bytes() == Some(path.as_bytes())
                };
                let found = diff.deltas().find(is_it);
                moved = found.and_then(|delta| {
                    let bytes = delta.new_file().path_bytes()?.to_vec();
                    String::from_utf8(bytes).ok()
                });
            })?;
            match moved {
                Some(moved) => path = moved,
                None => break,
            }
            if has(&end, &path)? {
                return Ok(Some(path));
            }
        }
        Ok(has(&end, &path)?.then_some(path))
    }

    /// The difference of two commits, first with files that moved as they are, then with those
    /// that are similar where some are left.
    fn with_renames(
        &self,
        old: &git2::Commit<'_>,
        new: &git2::Commit<'_>,
        each: impl FnOnce(&git2::Diff<'_>),
    ) -> Result<(), GitError> {
        let mut options = git2::DiffOptions::new();
        options.include_typechange(true).skip_binary_check(true);
        let (old, new) = (old.tree().map_err(failed)?, new.tree().map_err(failed)?);
        let mut diff = self
            .inner
            .diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options))
            .map_err(failed)?;
        let count = |diff: &git2::Diff<'_>, status| {
            let deltas = diff.deltas();
            deltas.filter(|delta| delta.status() == status).count()
        };
        // Equal contents are known by their ids alone, without reading any.
        for exact in [true, false] {
            if count(&diff, Delta::Added) == 0 || count(&diff, Delta::Deleted) == 0 {
                break;
            }
            if !exact {
                self.fetch_moved(&diff)?;
            }
            let mut find = git2::DiffFindOptions::new();
            find.renames(true)
                .exact_match_only(exact)
                .rename_limit(RENAME_LIMIT);
            diff.find_similar(Some(&mut find)).map_err(failed)?;
        }
        each(&diff);
        Ok(())
    }

    /// A partial clone may lack the contents that similarity is judged by.
    pub(super) fn fetch_moved(&self, diff: &git2::Diff<'_>) -> Result<(), GitError> {
        let moved = diff.deltas().filter_map(|delta| match delta.status() {
            Delta::Added => Some(delta.new_file()),
            Delta::Deleted => Some(delta.old_file()),
            _ => None,
        });
        let files = moved.filter(|file| file.mode() != Mode::Commit);
        let ids: Vec<BlobId> = files.map(|file| BlobId(file.id())).collect();
        self.fetch_blobs(&ids)
    }
}

fn odd(modes: [Mode; 2]) -> Option<String> {
    let plain = |mode: &Mode| matches!(mode, Mode::Blob | Mode::BlobExecutable);
    let strange = modes.iter().find(|mode| !plain(mode));
    match strange {
        Some(Mode::Link) => Some("a symbolic link".to_owned()),
        Some(Mode::Commit) => Some("a submodule".to_owned()),
        Some(_) => Some("no plain file".to_owned()),
        None if modes[0] != modes[1] => Some("a file whose mode changed".to_owned()),
        None => None,
    }
}

fn has(commit: &git2::Commit<'_>, path: &str) -> Result<bool, GitError> {
    let tree = commit.tree().map_err(failed)?;
    match tree.get_path(std::path::Path::new(path)) {
        Ok(entry) => Ok(entry.kind() == Some(git2::ObjectType::Blob)),
        Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

fn failed(error: git2::Error) -> GitError {
    GitError::library("compare two commits", &error)
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    #[test]
    fn moved_files_are_one_pair() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        let long =
            |image: &str| format!("kind: Deployment\nname: web\nimage: web:{image}\na: 1\nb: 2\n");
        let base = world.commit(&clone, "apps/a.yaml", &long("1"), "a");
        world.git(&clone, &["mv", "apps/a.yaml", "apps/b.yaml"]);
        world.commit(&clone, "new.yaml", "x: 1\n", "other");
        let moved = world.commit(&clone, "apps/b.yaml", &long("2"), "moved and changed");
        world.git(&clone, &["mv", "apps/b.yaml", "apps/c.yaml"]);
        let tip = world.commit_staged(&clone, "moved again");
        let repository = world.open(&clone);
        let parent =
            CommitId::parse(&world.git(&clone, &["rev-parse", &format!("{moved}^")])).unwrap();
        let names = |pairs: &[FilePair]| -> Vec<(Option<String>, Option<String>)> {
            let name =
                |side: &Option<(String, BlobId)>| side.as_ref().map(|(path, _)| path.clone());
            pairs.iter().map(|p| (name(&p.old), name(&p.new))).collect()
        };
        let some = |text: &str| Some(text.to_owned());
        let found = repository.file_pairs(&parent, &moved).unwrap();
        assert_eq!(names(&found), [(some("apps/b.yaml"), some("apps/b.yaml"))]);
        let found = repository.file_pairs(&base, &moved).unwrap();
        assert_eq!(
            names(&found),
            [
                (some("apps/a.yaml"), some("apps/b.yaml")),
                (None, some("new.yaml"))
            ]
        );
        let at = |path: &str| repository.path_at_tip(&base, &tip, path).unwrap();
        assert_eq!(at("apps/a.yaml"), some("apps/c.yaml"));
        assert_eq!(at("apps/web.yaml"), some("apps/web.yaml"));
        assert_eq!(at("no/such"), None);
    }

    #[test]
    fn what_is_no_plain_file_is_named() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        let base = world.commit(&clone, "run.sh", "x\n", "script");
        world.git(&clone, &["update-index", "--chmod=+x", "run.sh"]);
        std::os::unix::fs::symlink("run.sh", clone.join("link")).unwrap();
        world.git(&clone, &["add", "link"]);
        let tip = world.commit_staged(&clone, "odd");
        let pairs = world.open(&clone).file_pairs(&base, &tip).unwrap();
        let odd: Vec<Option<&str>> = pairs.iter().map(|p| p.odd.as_deref()).collect();
        assert_eq!(
            odd,
            [Some("a symbolic link"), Some("a file whose mode changed")]
        );
    }
}
