//! The commits that changed any of several paths, newest first.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;

use git2::Oid;

use super::blobs::clean_path;
use super::error::GitError;
use super::history::HistoryEnd;
use super::queue::Queue;
use super::repository::{Repository, commit_id};
use crate::model::CommitId;

/// The paths as a tree of names, each with what the tree read last has there.
#[derive(Default)]
struct Names {
    /// The whole of it is one of the paths.
    whole: bool,
    below: BTreeMap<String, Self>,
    /// The trees that were read last, with the entry of each name below: id and whether it is a
    /// folder. Along a branch a commit's trees are those that its child was compared with.
    read: [Option<(Oid, Vec<Here>)>; 2],
}

/// What a tree has at a name: the entry's id and mode.
type Here = Option<(Oid, i32)>;

const FOLDER: i32 = 0o40_000;

impl Names {
    fn add(&mut self, path: &str) {
        let mut here = self;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            here = here.below.entry(part.to_owned()).or_default();
        }
        here.whole = true;
    }

    /// Whether two trees have the same at all of the paths.
    fn same(
        &mut self,
        repository: &Repository,
        (a, b): (Option<Oid>, Option<Oid>),
    ) -> Result<bool, git2::Error> {
        if a == b {
            return Ok(true);
        }
        if self.whole {
            return Ok(false);
        }
        let (a, b) = (self.entries(repository, a)?, self.entries(repository, b)?);
        for ((a, b), below) in a.iter().zip(&b).zip(self.below.values_mut()) {
            if a == b {
                continue;
            }
            if below.whole {
                return Ok(false);
            }
            let folder = |here: &Here| here.filter(|(_, mode)| *mode == FOLDER).map(|(id, _)| id);
            if !below.same(repository, (folder(a), folder(b)))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What a tree has at the names below.
    fn entries(
        &mut self,
        repository: &Repository,
        tree: Option<Oid>,
    ) -> Result<Vec<Here>, git2::Error> {
        let Some(id) = tree else {
            return Ok(vec![None; self.below.len()]);
        };
        let known = self.read.iter().flatten().find(|(known, _)| *known == id);
        if let Some((_, entries)) = known {
            return Ok(entries.clone());
        }
        let tree = repository.inner.find_tree(id)?;
        let entry = |name: &String| {
            let entry = tree.get_name_bytes(name.as_bytes())?;
            Some((entry.id(), entry.filemode_raw()))
        };
        let entries: Vec<Here> = self.below.keys().map(entry).collect();
        self.read.swap(0, 1);
        self.read[0] = Some((id, entries.clone()));
        Ok(entries)
    }
}

impl Repository {
    /// Calls back for every commit in the history of `tip` that changed one of the paths, files or
    /// folders, newest first and no commit before its descendants, until the callback breaks. At a
    /// merge the first parent with the same content is followed, as `git log` does. Renames are
    /// not followed.
    ///
    /// # Errors
    /// [`GitError::NoSuchCommit`], [`GitError::InvalidName`], [`GitError::Library`], and what the
    /// callback says.
    pub fn history_of_any<'p>(
        &self,
        tip: &CommitId,
        paths: impl IntoIterator<Item = &'p str>,
        mut each: impl FnMut(&CommitId) -> Result<ControlFlow<()>, GitError>,
    ) -> Result<HistoryEnd, GitError> {
        let failed = |error: git2::Error| GitError::library("walk the history", &error);
        let mut names = Names::default();
        for path in paths {
            names.add(&clean_path(path)?);
        }
        let boundary = self.shallow_boundary();
        let mut seen = HashSet::new();
        let mut queue = Queue::default();
        let tip = self.find_commit(tip)?;
        seen.insert(tip.id());
        queue.push(&tip, ());
        let mut end = HistoryEnd::Root;
        while let Some(next) = queue.pop(self).map_err(failed)? {
            let commit = self.inner.find_commit(next.id).map_err(failed)?;
            let id = commit_id(commit.id());
            if commit.parent_count() == 0 && boundary.contains(&id) {
                end = HistoryEnd::Shallow { at: id };
                continue;
            }
            let own = Some(commit.tree_id());
            let mut parents = Vec::with_capacity(commit.parent_count());
            let mut same = None;
            for parent in commit.parents() {
                let theirs = Some(parent.tree_id());
                if names.same(self, (own, theirs)).map_err(failed)? {
                    same = Some(parent);
                    break;
                }
                parents.push(parent);
            }
            let is_change = match (&same, parents.is_empty()) {
                (Some(_), _) => false,
                (None, false) => true,
                // The first commit changes what it has.
                (None, true) => !names.same(self, (own, None)).map_err(failed)?,
            };
            if is_change && each(&id)?.is_break() {
                return Ok(HistoryEnd::Stopped);
            }
            for parent in same
                .into_iter()
                .chain(is_change.then_some(parents).into_iter().flatten())
            {
                if seen.insert(parent.id()) {
                    queue.push(&parent, ());
                }
            }
        }
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    fn subjects(repository: &Repository, tip: &CommitId, paths: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        let end = repository.history_of_any(tip, paths.iter().copied(), |id| {
            found.push(repository.commit(id)?.subject().to_owned());
            Ok(ControlFlow::Continue(()))
        });
        assert_eq!(end.unwrap(), HistoryEnd::Root);
        found
    }

    #[test]
    fn files_and_folders_newest_first() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        world.commit(&clone, "apps/a/x.yaml", "1", "a 1");
        world.commit(&clone, "apps/b/y.yaml", "1", "b 1");
        world.commit(&clone, "apps/c", "1", "c");
        world.commit(&clone, "apps/a/x.yaml", "2", "a 2");
        world.git(&clone, &["rm", "-q", "-r", "apps/b"]);
        world.commit_staged(&clone, "b gone");
        let tip = world.commit(&clone, "other", "x", "other");
        let repository = world.open(&clone);
        let of = |paths: &[&str]| subjects(&repository, &tip, paths);
        assert_eq!(of(&["apps/a/x.yaml"]), ["a 2", "a 1"]);
        assert_eq!(
            of(&["apps/a", "apps/b/y.yaml"]),
            ["b gone", "a 2", "b 1", "a 1"]
        );
        assert_eq!(of(&["apps/b", "apps/c/none"]), ["b gone", "b 1"]);
        assert!(of(&["no/such"]).is_empty());
        let mut count = 0;
        let stopped = repository.history_of_any(&tip, ["apps"], |_| {
            count += 1;
            Ok(ControlFlow::Break(()))
        });
        assert_eq!((stopped.unwrap(), count), (HistoryEnd::Stopped, 1));
    }

    /// For one file it is what `history_of` says, whatever was merged.
    #[test]
    fn merges_as_for_one_path() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        let git = |args: &[&str]| world.git(&clone, args);
        git(&["switch", "-q", "-c", "quiet"]);
        world.commit(&clone, "quiet", "x", "quiet");
        git(&["switch", "-q", "main"]);
        git(&["switch", "-q", "-c", "loud"]);
        world.commit(&clone, "apps/web.yaml", "image: web:2\n", "loud");
        git(&["switch", "-q", "main"]);
        world.commit(&clone, "apps/other.yaml", "x", "other");
        git(&["merge", "-q", "--no-ff", "-m", "merge quiet", "quiet"]);
        git(&["merge", "-q", "--no-ff", "-m", "merge loud", "loud"]);
        let tip = world.commit(&clone, "apps/web.yaml", "image: web:3\n", "last");
        let repository = world.open(&clone);
        let mut one = Vec::new();
        let each = |change: super::super::history::PathChange| {
            one.push(change.commit.subject().to_owned());
            ControlFlow::Continue(())
        };
        repository.history_of(&tip, "apps/web.yaml", each).unwrap();
        assert_eq!(subjects(&repository, &tip, &["apps/web.yaml"]), one);
        assert!(one.contains(&"loud".to_owned()), "{one:?}");
    }
}
