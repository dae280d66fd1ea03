//! The commits that changed one path, newest first.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::rc::Rc;

use git2::{Delta, Oid};

use super::blobs::{BlobId, Entry, clean_path};
use super::error::GitError;
use super::lookup::Lookup;
use super::objects::to_commit;
use super::queue::Queue;
use super::repository::{Repository, commit_id};
use crate::model::{Commit, CommitId};

/// One commit that changed the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathChange {
    /// The commit.
    pub commit: Commit,
    /// The path as this commit has it.
    pub path: String,
    /// The content in the commit's first parent; none when it was not there.
    pub before: Option<BlobId>,
    /// The content in the commit; none when it deleted the path.
    pub after: Option<BlobId>,
    /// The path before, when this commit moved the file here.
    pub renamed_from: Option<String>,
}

/// Why a walk ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryEnd {
    /// The whole history was seen.
    Root,
    /// The history goes on, but not in this shallow clone.
    Shallow {
        /// The commit at the border.
        at: CommitId,
    },
    /// The caller had enough.
    Stopped,
}

/// More files than these in one commit are not compared for similarity, as in git.
const RENAME_LIMIT: usize = 1000;

/// The path that is followed at a commit, and what is there.
struct At {
    path: Rc<str>,
    entry: Option<Entry>,
}

impl Repository {
    /// Calls back for every commit in the history of `tip` that changed `path`,
    /// newest first and no commit before its descendants, until the callback breaks.
    /// At a merge the first parent with the same content is followed, as `git log`
    /// does; a merge that equals none of its parents is a change of its own. Renames
    /// are followed.
    ///
    /// # Errors
    /// [`GitError::NoSuchCommit`], [`GitError::InvalidName`], [`GitError::Library`].
    pub fn history_of(
        &self,
        tip: &CommitId,
        path: &str,
        mut each: impl FnMut(PathChange) -> ControlFlow<()>,
    ) -> Result<HistoryEnd, GitError> {
        let mut walk = Walk {
            repository: self,
            boundary: self.shallow_boundary(),
            queue: Queue::default(),
            seen: HashSet::new(),
            lookup: Lookup::default(),
        };
        let tip = self.find_commit(tip)?;
        let path: Rc<str> = clean_path(path)?.into();
        let entry = walk.lookup.entry(self, &tip, &path).map_err(failed)?;
        walk.push(&tip, path, entry);
        let mut end = HistoryEnd::Root;
        while let Some(next) = walk.queue.pop(self).map_err(failed)? {
            let commit = self.inner.find_commit(next.id).map_err(failed)?;
            if commit.parent_count() == 0 && walk.is_cut_off(&commit) {
                end = HistoryEnd::Shallow {
                    at: commit_id(commit.id()),
                };
                continue;
            }
            if let Some(change) = walk.step(&commit, &next.what)?
                && each(change).is_break()
            {
                return Ok(HistoryEnd::Stopped);
            }
        }
        Ok(end)
    }
}

struct Walk<'repo> {
    repository: &'repo Repository,
    boundary: HashSet<CommitId>,
    queue: Queue<At>,
    seen: HashSet<(Oid, Rc<str>)>,
    lookup: Lookup,
}

impl Walk<'_> {
    fn is_cut_off(&self, commit: &git2::Commit<'_>) -> bool {
        !self.boundary.is_empty() && self.boundary.contains(&commit_id(commit.id()))
    }

    fn push(&mut self, commit: &git2::Commit<'_>, path: Rc<str>, entry: Option<Entry>) {
        if self.seen.insert((commit.id(), Rc::clone(&path))) {
            self.queue.push(commit, At { path, entry });
        }
    }

    /// Looks at one commit: queues the parents to follow, gives the change if it is one.
    fn step(&mut self, commit: &git2::Commit<'_>, at: &At) -> Result<Option<PathChange>, GitError> {
        let mut parents = Vec::with_capacity(commit.parent_count());
        for parent in commit.parents() {
            let entry = self
                .lookup
                .entry(self.repository, &parent, &at.path)
                .map_err(failed)?;
            if entry == at.entry {
                self.push(&parent, Rc::clone(&at.path), entry);
                return Ok(None);
            }
            parents.push((parent, entry));
        }
        if parents.is_empty() && at.entry.is_none() {
            return Ok(None);
        }
        let mut renamed_from = None;
        if at.entry.is_some() && parents.iter().all(|(_, entry)| entry.is_none()) {
            renamed_from = match parents.first() {
                Some((parent, _)) => self.rename_source(parent, commit, &at.path)?,
                None => None,
            };
        }
        let mut before = parents.first().and_then(|(_, entry)| *entry);
        for (index, (parent, entry)) in parents.into_iter().enumerate() {
            match &renamed_from {
                Some(old) => {
                    let old: Rc<str> = old.as_str().into();
                    let entry = self
                        .lookup
                        .entry(self.repository, &parent, &old)
                        .map_err(failed)?;
                    if index == 0 {
                        before = entry;
                    }
                    self.push(&parent, old, entry);
                }
                None => self.push(&parent, Rc::clone(&at.path), entry),
            }
        }
        Ok(Some(PathChange {
            commit: to_commit(commit),
            path: at.path.to_string(),
            before: before.map(|entry| BlobId(entry.id)),
            after: at.entry.map(|entry| BlobId(entry.id)),
            renamed_from,
        }))
    }

    /// The path that this commit moved to `path`, by equal or similar content.
    fn rename_source(
        &self,
        parent: &git2::Commit<'_>,
        commit: &git2::Commit<'_>,
        path: &str,
    ) -> Result<Option<String>, GitError> {
        let old = parent.tree().map_err(failed)?;
        let new = commit.tree().map_err(failed)?;
        let mut options = git2::DiffOptions::new();
        options.skip_binary_check(true);
        let graph = &self.repository.inner;
        // Equal contents are known by their ids alone, without reading any.
        for exact in [true, false] {
            let mut diff = graph
                .diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options))
                .map_err(failed)?;
            let gone = diff.deltas().any(|delta| delta.status() == Delta::Deleted);
            if !gone {
                return Ok(None);
            }
            if !exact {
                self.repository.fetch_moved(&diff)?;
            }
            let mut find = git2::DiffFindOptions::new();
            find.renames(true)
                .exact_match_only(exact)
                .rename_limit(RENAME_LIMIT);
            diff.find_similar(Some(&mut find)).map_err(failed)?;
            let source = diff.deltas().find_map(|delta| {
                let here = delta.new_file().path_bytes() == Some(path.as_bytes());
                let moved = here && delta.status() == Delta::Renamed;
                let bytes = delta.old_file().path_bytes().filter(|_| moved)?;
                Some(String::from_utf8_lossy(bytes).into_owned())
            });
            if source.is_some() {
                return Ok(source);
            }
        }
        Ok(None)
    }
}

fn failed(error: git2::Error) -> GitError {
    GitError::library("walk the history", &error)
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    fn subjects(repository: &Repository, tip: &CommitId, path: &str) -> (Vec<String>, HistoryEnd) {
        let mut found = Vec::new();
        let end = repository.history_of(tip, path, |change| {
            found.push(change.commit.subject().to_owned());
            ControlFlow::Continue(())
        });
        (found, end.unwrap())
    }

    #[test]
    fn one_path_newest_first() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        world.commit(&clone, "apps/other.yaml", "x", "other");
        world.commit(&clone, "apps/web.yaml", "image: web:2\n", "web 2");
        world.commit(&clone, "top", "x", "top");
        world.git(&clone, &["rm", "-q", "apps/web.yaml"]);
        world.commit_staged(&clone, "gone");
        let tip = world.commit(&clone, "apps/web.yaml", "image: web:4\n", "web 4");
        let repository = world.open(&clone);
        let mut changes = Vec::new();
        let mut each = |change: PathChange| {
            changes.push(change);
            ControlFlow::Continue(())
        };
        let end = repository
            .history_of(&tip, "apps/web.yaml", &mut each)
            .unwrap();
        assert_eq!(end, HistoryEnd::Root);
        let found: Vec<&str> = changes.iter().map(|c| c.commit.subject()).collect();
        assert_eq!(found, ["web 4", "gone", "web 2", "web 1"]);
        let text = |id: Option<BlobId>| {
            id.map(|id| String::from_utf8(repository.blob_bytes(&id).unwrap()).unwrap())
        };
        assert_eq!(text(changes[0].before), None);
        assert_eq!(text(changes[1].before).as_deref(), Some("image: web:2\n"));
        assert_eq!(text(changes[1].after), None);
        assert_eq!(text(changes[2].before).as_deref(), Some("image: web:1\n"));
        assert_eq!(text(changes[3].before), None);

        let stop = repository.history_of(&tip, "apps/web.yaml", |_| ControlFlow::Break(()));
        assert_eq!(stop.unwrap(), HistoryEnd::Stopped);
        let none = subjects(&repository, &tip, "no/such");
        assert_eq!(none, (Vec::new(), HistoryEnd::Root));
    }

    /// Long lines of commits with a merge between them.
    #[test]
    fn long_lines_as_git_log_shows_them() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        let repository = world.open(&clone);
        let inner = &repository.inner;
        let commit = |parents: &[Oid], number: i64, side: bool| {
            let shown = number - number % 100 + i64::from(side) * 7;
            let text = |text: String| inner.blob(text.as_bytes()).unwrap();
            let mut folder = inner.treebuilder(None).unwrap();
            folder
                .insert("web.yaml", text(format!("v{shown}")), 0o100_644)
                .unwrap();
            folder
                .insert("other.yaml", text(format!("{number}")), 0o100_644)
                .unwrap();
            let mut root = inner.treebuilder(None).unwrap();
            root.insert("apps", folder.write().unwrap(), 0o40_000)
                .unwrap();
            let tree = inner.find_tree(root.write().unwrap()).unwrap();
            let at = git2::Time::new(1_700_000_000 + number * 60, 0);
            let who = git2::Signature::new("a", "a@example.org", &at).unwrap();
            let parents: Vec<_> = parents
                .iter()
                .map(|id| inner.find_commit(*id).unwrap())
                .collect();
            let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
            let message = format!("commit {number} {side}");
            inner
                .commit(None, &who, &who, &message, &tree, &parents)
                .unwrap()
        };
        let mut tip = commit(&[], 0, false);
        for number in 1..2500 {
            tip = match number {
                1201 => {
                    let aside = commit(&[tip], 1200, true);
                    commit(&[tip, aside], number, true)
                }
                _ => commit(&[tip], number, (1201..1250).contains(&number)),
            };
        }
        let id = tip.to_string();
        for path in ["apps/web.yaml", "apps/other.yaml"] {
            let log = world.git(&clone, &["log", "--format=%s", &id, "--", path]);
            let (found, end) = subjects(&repository, &commit_id(tip), path);
            assert_eq!(found, log.lines().collect::<Vec<_>>());
            assert_eq!((found.len() > 20, end), (true, HistoryEnd::Root));
        }
    }

    #[test]
    fn merges_as_git_log_shows_them() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        let git = |args: &[&str]| world.git(&clone, args);
        // A side branch that changed nothing of the path, one that did, and a merge
        // with content of its own.
        git(&["switch", "-q", "-c", "quiet"]);
        world.commit(&clone, "quiet", "x", "quiet");
        git(&["switch", "-q", "main"]);
        world.commit(&clone, "apps/web.yaml", "image: web:2\n", "web 2");
        git(&["merge", "-q", "--no-ff", "-m", "merge quiet", "quiet"]);
        git(&["switch", "-q", "-c", "loud"]);
        world.commit(&clone, "apps/web.yaml", "image: web:3\n", "web 3");
        git(&["switch", "-q", "main"]);
        world.commit(&clone, "top", "x", "top");
        git(&["merge", "-q", "--no-ff", "-m", "merge loud", "loud"]);
        git(&["switch", "-q", "-c", "left"]);
        world.commit(&clone, "apps/web.yaml", "image: web:left\n", "left");
        git(&["switch", "-q", "main"]);
        world.commit(&clone, "apps/web.yaml", "image: web:right\n", "right");
        assert!(!world.try_git(&clone, &["merge", "-q", "left"]).0);
        world.commit(&clone, "apps/web.yaml", "image: web:both\n", "merge both");
        let tip = world.commit(&clone, "top", "y", "top 2");
        let (found, _) = subjects(&world.open(&clone), &tip, "apps/web.yaml");
        let log = git(&["log", "--format=%s", "--topo-order", "--", "apps/web.yaml"]);
        let mut log: Vec<&str> = log.lines().collect();
        log.dedup();
        assert_eq!(
            found,
            ["merge both", "right", "left", "web 3", "web 2", "web 1"]
        );
        assert_eq!(found.len(), log.len(), "{log:?}");
        assert!(found.iter().all(|subject| log.contains(&subject.as_str())));
    }

    #[test]
    fn a_clock_that_is_behind_does_not_turn_the_order_around() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        let commit = |text: &str, date: &str, parents: &[&CommitId]| {
            std::fs::write(clone.join("apps/web.yaml"), text).unwrap();
            world.git(&clone, &["add", "-A"]);
            let tree = world.git(&clone, &["write-tree"]);
            let date = format!("GIT_COMMITTER_DATE=@{date} +0000");
            let mut args = vec!["-c", "alias.at=!env", "at", &date, "git", "commit-tree"];
            for parent in parents {
                args.extend(["-p", parent.as_str()]);
            }
            args.extend(["-m", text, &tree]);
            CommitId::parse(&world.git(&clone, &args)).unwrap()
        };
        let root = commit("root", "2000000000", &[]);
        let base = commit("base", "2000009000", &[&root]);
        let left = commit("left", "2000005000", &[&base]);
        let right = commit("right", "2000001000", &[&base]);
        let tip = commit("tip", "2000009999", &[&left, &right]);
        let (found, _) = subjects(&world.open(&clone), &tip, "apps/web.yaml");
        assert_eq!(found, ["tip", "left", "right", "base", "root"]);
    }

    /// A stream for `git fast-import`: branches, merges, deletions, clocks that differ.
    fn random_history(mut salt: u64) -> String {
        use std::fmt::Write;
        let mut random = |below: u64| {
            salt = salt
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (salt >> 33) % below
        };
        let mut stream = String::new();
        for mark in 1..=120_u64 {
            let seconds = 1_700_000_000 + mark * 60 + random(600);
            writeln!(stream, "commit refs/heads/main\nmark :{mark}").unwrap();
            writeln!(stream, "committer a <a@b> {seconds} +0000\ndata 1\nx").unwrap();
            if mark > 1 {
                writeln!(stream, "from :{}", mark - 1 - random(4.min(mark - 1))).unwrap();
            }
            let other = if mark > 8 { mark - 1 - random(8) } else { 0 };
            if other > 0 && random(3) == 0 {
                writeln!(stream, "merge :{other}").unwrap();
            }
            let small = random(4);
            let (path, delete) = match random(10) {
                0..=3 => ("a/b/c.yaml", false),
                4 => ("a/b/c.yaml", true),
                5 => ("a/b/y", random(2) == 0),
                6 => ("a/x", false),
                7 => ("a/b", true),
                _ => ("z", false),
            };
            if delete && mark > 1 {
                writeln!(stream, "D {path}\n").unwrap();
            } else if path != "a/b" {
                writeln!(stream, "M 100644 inline {path}\ndata 1\n{small}\n").unwrap();
            }
        }
        stream
    }

    #[test]
    fn random_histories_as_git_log_shows_them() {
        let world = World::new();
        for salt in 0..12 {
            let folder = world.root().join(format!("r{salt}"));
            world.git(
                world.root(),
                &["init", "-q", "--bare", folder.to_str().unwrap()],
            );
            let mut call = super::super::program::Call::new(
                std::time::Duration::from_secs(20),
                &["fast-import", "--quiet", "--force"],
            );
            call.folder = Some(folder.clone());
            call.stdin = Some(random_history(salt).into_bytes());
            let ended = world.program().run_blocking(call).unwrap();
            assert!(ended.ok, "{}", ended.stderr());
            let repository = world.open(&folder);
            let tip = world.id(&folder, "main");
            for path in ["a/b/c.yaml", "a/b/y", "z"] {
                let mut found = Vec::new();
                let end = repository.history_of(&tip, path, |change| {
                    assert_eq!(change.renamed_from, None);
                    let at = |id: &CommitId| {
                        let blob = repository.blob_at(id, path).unwrap();
                        blob.map(|blob| blob.id)
                    };
                    assert_eq!(change.after, at(&change.commit.id));
                    assert_eq!(change.before, change.commit.parents.first().and_then(at));
                    found.push(change.commit.id);
                    ControlFlow::Continue(())
                });
                assert_eq!(end.unwrap(), HistoryEnd::Root);
                for (newer, id) in found.iter().enumerate() {
                    for older in &found[newer + 1..] {
                        assert!(!repository.is_ancestor(id, older).unwrap(), "{salt} {path}");
                    }
                }
                let log = world.git(&folder, &["log", "--format=%H", "main", "--", path]);
                let mut log: Vec<&str> = log.lines().collect();
                let mut found: Vec<&str> = found.iter().map(CommitId::as_str).collect();
                log.sort_unstable();
                found.sort_unstable();
                assert_eq!(found, log, "{salt} {path}");
            }
        }
    }

    #[test]
    fn renames_are_followed() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        let long: String = (0..30).map(|line| format!("line: {line}\n")).collect();
        world.commit(&clone, "apps/web.yaml", &long, "long");
        world.git(&clone, &["mv", "apps/web.yaml", "moved.yaml"]);
        world.commit_staged(&clone, "move");
        std::fs::create_dir(clone.join("deep")).unwrap();
        world.git(&clone, &["mv", "moved.yaml", "deep/web.yaml"]);
        let tip = world.commit(
            &clone,
            "deep/web.yaml",
            &format!("{long}more: 1\n"),
            "move and edit",
        );
        let repository = world.open(&clone);
        let mut found = Vec::new();
        let end = repository.history_of(&tip, "deep/web.yaml", |change| {
            let subject = change.commit.subject().to_owned();
            found.push((
                subject,
                change.path,
                change.renamed_from,
                change.before == change.after,
            ));
            ControlFlow::Continue(())
        });
        assert_eq!(end.unwrap(), HistoryEnd::Root);
        let row = |subject: &str, path: &str, from: Option<&str>, same| {
            (
                subject.to_owned(),
                path.to_owned(),
                from.map(str::to_owned),
                same,
            )
        };
        assert_eq!(
            found,
            [
                row("move and edit", "deep/web.yaml", Some("moved.yaml"), false),
                row("move", "moved.yaml", Some("apps/web.yaml"), true),
                row("long", "apps/web.yaml", None, false),
                row("web 1", "apps/web.yaml", None, false),
            ]
        );
    }

    #[test]
    fn renames_in_a_partial_clone() {
        let world = World::new();
        let (remote, clone) = world.remote_and_clone();
        let long: String = (0..30).map(|line| format!("line: {line}\n")).collect();
        world.commit(&clone, "apps/web.yaml", &long, "long");
        world.git(&clone, &["mv", "apps/web.yaml", "moved.yaml"]);
        let tip = world.commit(&clone, "moved.yaml", &format!("{long}more: 1\n"), "move");
        world.git(&clone, &["push", "-q"]);
        let url = format!("file://{}", remote.display());
        world.git(
            world.root(),
            &["clone", "-q", "--bare", "--filter=blob:none", &url, "p"],
        );
        let partial = world.open(&world.root().join("p"));
        let (found, end) = subjects(&partial, &tip, "moved.yaml");
        assert_eq!(found, ["move", "long", "web 1"]);
        assert_eq!(end, HistoryEnd::Root);
    }

    #[test]
    fn the_border_of_a_shallow_clone_is_no_change() {
        let world = World::new();
        let (remote, clone) = world.remote_and_clone();
        let border = world.commit(&clone, "apps/web.yaml", "image: web:2\n", "web 2");
        let tip = world.commit(&clone, "apps/web.yaml", "image: web:3\n", "web 3");
        world.git(&clone, &["push", "-q"]);
        let url = format!("file://{}", remote.display());
        world.git(world.root(), &["clone", "-q", "--depth=2", &url, "shallow"]);
        let repository = world.open(&world.root().join("shallow"));
        let (found, end) = subjects(&repository, &tip, "apps/web.yaml");
        assert_eq!(found, ["web 3"]);
        assert_eq!(end, HistoryEnd::Shallow { at: border.clone() });
        let error = repository.changed_files(&border).unwrap_err();
        assert!(matches!(error, GitError::Shallow { .. }), "{error}");
        let error = repository.resolve(&"1".repeat(40)).unwrap_err().to_string();
        assert!(error.contains("--unshallow"), "{error}");

        let path = repository.path().clone();
        super::super::testing::wait(path.deepen("origin", "main")).unwrap();
        let (found, end) = subjects(&path.open().unwrap(), &tip, "apps/web.yaml");
        assert_eq!(found, ["web 3", "web 2", "web 1"]);
        assert_eq!(end, HistoryEnd::Root);
    }
}
