//! Undoing one commit on top of a tip, by a three-way merge in the object database.

use git2::Delta;

use super::error::GitError;
use super::repository::Repository;
use crate::model::CommitId;

/// What undoing a commit comes to.
#[derive(Clone, PartialEq, Eq)]
pub enum Reverting {
    /// The files that differ from the tip: paths with their whole new content, and paths
    /// that are gone.
    Clean {
        /// Written.
        files: Vec<(String, Vec<u8>)>,
        /// Removed.
        removed: Vec<String>,
    },
    /// Later work touched the same lines of these files.
    Conflicts(Vec<String>),
    /// Nothing of the commit is left to be undone.
    Nothing,
    /// It is no commit that can be undone here; why.
    Unfit(String),
}

impl std::fmt::Debug for Reverting {
    /// Without the contents of the files.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Clean { files, removed } => {
                let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
                write!(f, "Clean({paths:?}, removed {removed:?})")
            }
            Self::Conflicts(paths) => write!(f, "Conflicts({paths:?})"),
            Self::Nothing => f.write_str("Nothing"),
            Self::Unfit(why) => write!(f, "Unfit({why})"),
        }
    }
}

impl Repository {
    /// What `git revert COMMIT` would make on top of `tip`. No ref, index or work tree is
    /// touched.
    ///
    /// # Errors
    /// [`GitError::NoSuchCommit`], and what libgit2 cannot read.
    pub fn reverting(&self, commit: &CommitId, tip: &CommitId) -> Result<Reverting, GitError> {
        let failed = |error: git2::Error| GitError::library("revert the commit", &error);
        if !self.is_ancestor(commit, tip)? {
            return Ok(Reverting::Unfit(format!(
                "{} is not on the branch",
                commit.short()
            )));
        }
        let (bad, ours) = (self.find_commit(commit)?, self.find_commit(tip)?);
        if bad.parent_count() != 1 {
            return Ok(Reverting::Unfit(format!(
                "{} has {} parents: which of them is to be kept is a person's to say (`git revert -m`)",
                commit.short(),
                bad.parent_count()
            )));
        }
        let mut index = self
            .inner
            .revert_commit(&bad, &ours, 0, None)
            .map_err(failed)?;
        if index.has_conflicts() {
            let mut paths = Vec::new();
            for conflict in index.conflicts().map_err(failed)? {
                let conflict = conflict.map_err(failed)?;
                let entry = conflict.our.or(conflict.their).or(conflict.ancestor);
                paths.extend(entry.map(|e| String::from_utf8_lossy(&e.path).into_owned()));
            }
            paths.sort();
            paths.dedup();
            return Ok(Reverting::Conflicts(paths));
        }
        let tree = index.write_tree_to(&self.inner).map_err(failed)?;
        let tree = self.inner.find_tree(tree).map_err(failed)?;
        self.between(&ours.tree().map_err(failed)?, &tree)
    }

    /// The files in which a tree differs from the tip's.
    fn between(
        &self,
        ours: &git2::Tree<'_>,
        wanted: &git2::Tree<'_>,
    ) -> Result<Reverting, GitError> {
        let failed = |error: git2::Error| GitError::library("compare the trees", &error);
        let diff = self
            .inner
            .diff_tree_to_tree(Some(ours), Some(wanted), None)
            .map_err(failed)?;
        let (mut files, mut removed) = (Vec::new(), Vec::new());
        for delta in diff.deltas() {
            let (old, new) = (delta.old_file(), delta.new_file());
            let bytes = new.path_bytes().or(old.path_bytes()).unwrap_or_default();
            let path = String::from_utf8_lossy(bytes).into_owned();
            if delta.status() == Delta::Deleted {
                removed.push(path);
                continue;
            }
            // Commits are made here of files with their content; a file that exists keeps
            // its mode.
            let plain = new.mode() == git2::FileMode::Blob && delta.status() == Delta::Added;
            let same = delta.status() == Delta::Modified
                && new.mode() == old.mode()
                && matches!(
                    new.mode(),
                    git2::FileMode::Blob | git2::FileMode::BlobExecutable
                );
            if !plain && !same {
                return Ok(Reverting::Unfit(format!(
                    "the mode of {path} would change, or it is no plain file"
                )));
            }
            let blob = self.inner.find_blob(new.id()).map_err(failed)?;
            files.push((path, blob.content().to_vec()));
        }
        if files.is_empty() && removed.is_empty() {
            return Ok(Reverting::Nothing);
        }
        Ok(Reverting::Clean { files, removed })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, request};
    use super::*;

    #[test]
    fn a_commit_is_undone_below_later_work() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        let lines = |bad: &str, last: &str| format!("a\n{bad}\nc\nd\ne\nf\n{last}\n");
        world.commit(&clone, "src/main.rs", &lines("b", "g"), "base");
        std::fs::write(clone.join("new.rs"), "new\n").unwrap();
        world.git(&clone, &["add", "new.rs"]);
        let bad = world.commit(&clone, "src/main.rs", &lines("B", "g"), "bad");
        let tip = world.commit(&clone, "src/main.rs", &lines("B", "G"), "later");
        let repository = world.open(&clone);
        let reverting = repository.reverting(&bad, &tip).unwrap();
        let Reverting::Clean { files, removed } = reverting else {
            panic!("{reverting:?}")
        };
        assert_eq!(removed, ["new.rs"]);
        let kept = lines("b", "G");
        assert_eq!(
            files,
            [("src/main.rs".to_owned(), kept.clone().into_bytes())]
        );
        // As git itself does it.
        let commit = super::super::CommitRequest {
            files,
            removed,
            ..request(&tip, "", b"")
        };
        let made = repository.write_commit(&commit).unwrap();
        world.git(&clone, &["revert", "--no-edit", bad.as_str()]);
        let tree = |id: &str| world.git(&clone, &["rev-parse", &format!("{id}^{{tree}}")]);
        assert_eq!(tree(made.as_str()), tree("HEAD"));
        assert_eq!(
            repository.reverting(&bad, &made).unwrap(),
            Reverting::Nothing
        );
    }

    #[test]
    fn what_cannot_be_undone_is_named() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        let bad = world.commit(&clone, "a.rs", "bad\n", "bad");
        let tip = world.commit(&clone, "a.rs", "later\n", "later");
        let repository = world.open(&clone);
        let of = |commit: &CommitId| repository.reverting(commit, &tip).unwrap();
        assert_eq!(of(&bad), Reverting::Conflicts(vec!["a.rs".to_owned()]));
        let root = world.git(&clone, &["rev-list", "--max-parents=0", "HEAD"]);
        let root = CommitId::parse(&root).unwrap();
        assert!(matches!(of(&root), Reverting::Unfit(_)));
        let elsewhere = world.commit(&clone, "b.rs", "x\n", "not on it");
        assert!(matches!(of(&elsewhere), Reverting::Unfit(_)));
    }
}
