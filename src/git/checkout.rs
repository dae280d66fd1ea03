//! The user's checkout: looked at, and fast-forwarded when nothing of it can be lost.

use std::path::PathBuf;

use git2::RepositoryState;

use super::config::Config;
use super::error::GitError;
use super::repository::Repository;
use crate::model::CommitId;

/// The state of a checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// Its top folder.
    pub folder: PathBuf,
    /// The branch that is checked out; none when `HEAD` is detached.
    pub branch: Option<String>,
    /// The checked-out commit; none on a branch without commits.
    pub head: Option<CommitId>,
    /// The remote and branch that the checked-out branch follows.
    pub upstream: Option<(String, String)>,
    /// What is under way: `merge`, `rebase`, `cherry-pick`, ...
    pub in_progress: Option<&'static str>,
    /// Tracked paths that differ from the commit, in the index or in the work tree.
    pub modified: Vec<String>,
    /// Whether only a part of the files is checked out.
    pub sparse: bool,
}

impl Checkout {
    /// Whether no tracked file differs from the commit and nothing is under way.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.modified.is_empty() && self.in_progress.is_none()
    }

    /// Whether this path differs from the commit.
    #[must_use]
    pub fn is_modified(&self, path: &str) -> bool {
        self.modified.iter().any(|own| own == path)
    }
}

/// What became of fast-forwarding a checkout. Except for `Done` it was left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FastForward {
    /// It has the commit now.
    Done,
    /// It had the commit already.
    AlreadyThere,
    /// There is no checkout: the repository is bare.
    Bare,
    /// Another branch, or none, is checked out.
    NotOnBranch {
        /// The branch that is; none when `HEAD` is detached.
        branch: Option<String>,
    },
    /// The branch follows another one.
    OtherUpstream {
        /// The branch that is checked out.
        branch: String,
    },
    /// It has uncommitted changes.
    Dirty {
        /// The paths.
        paths: Vec<String>,
    },
    /// A merge, rebase or the like is under way.
    InProgress {
        /// Which.
        operation: &'static str,
    },
    /// It has commits of its own.
    Diverged,
    /// git refused, for instance as an untracked file is in the way.
    Refused {
        /// git's own words.
        text: String,
    },
}

impl Repository {
    /// The state of the checkout; none in a bare repository.
    ///
    /// # Errors
    /// When git cannot read it.
    pub fn checkout(&self) -> Result<Option<Checkout>, GitError> {
        let Some(folder) = self.inner.workdir() else {
            return Ok(None);
        };
        let config = self.path().config_blocking()?;
        let branch = self.checked_out_branch()?;
        let upstream = branch.as_ref().and_then(|name| followed(config, name));
        let head = self.inner.head().ok();
        let head = head.and_then(|head| head.peel_to_commit().ok());
        Ok(Some(Checkout {
            folder: folder.to_path_buf(),
            branch,
            head: head.map(|commit| super::repository::commit_id(commit.id())),
            upstream,
            in_progress: in_progress(self.inner.state()),
            modified: self.modified_paths()?,
            sparse: config.bool("core.sparsecheckout"),
        }))
    }

    /// The remote and branch that the checked-out branch follows; of a checkout that need not be
    /// looked through.
    ///
    /// # Errors
    /// When git cannot read the configuration.
    pub fn upstream(&self) -> Result<Option<(String, String)>, GitError> {
        if self.is_bare() {
            return Ok(None);
        }
        let branch = self.checked_out_branch()?;
        let config = self.path().config_blocking()?;
        Ok(branch.and_then(|name| followed(config, &name)))
    }

    fn checked_out_branch(&self) -> Result<Option<String>, GitError> {
        let head = self
            .inner
            .find_reference("HEAD")
            .map_err(|error| GitError::library("read HEAD", &error))?;
        let target = head.symbolic_target_bytes();
        let name = target.and_then(|name| name.strip_prefix(b"refs/heads/"));
        Ok(name.map(|name| String::from_utf8_lossy(name).into_owned()))
    }

    /// By the git program: it reads split and sparse indexes, which libgit2 does not.
    fn modified_paths(&self) -> Result<Vec<String>, GitError> {
        let args = [
            "status",
            "--porcelain=v2",
            "-z",
            "--untracked-files=no",
            "--no-renames",
        ];
        let mut call = self.path().call(self.path().git.limits().local, &args);
        call.args.push("--ignore-submodules=dirty".into());
        let ended = self.path().git.run_blocking(call)?.success("status")?;
        let text = ended.text();
        let paths = text.split('\0').filter_map(|entry| {
            // Numbers of fields before the path by `git-status(1)`, porcelain version 2.
            let fields = match entry.get(..2)? {
                "1 " => 8,
                "u " => 10,
                _ => return None,
            };
            entry.splitn(fields + 1, ' ').nth(fields).map(str::to_owned)
        });
        Ok(paths.collect())
    }

    /// Brings a clean checkout of the branch to a commit that it is an ancestor of
    /// (`git merge --ff-only`); in every other state it is left alone.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn fast_forward_checkout(
        &self,
        remote: &str,
        branch: &str,
        commit: &CommitId,
    ) -> Result<FastForward, GitError> {
        let Some(checkout) = self.checkout()? else {
            return Ok(FastForward::Bare);
        };
        let Some(own) = checkout.branch.clone() else {
            return Ok(FastForward::NotOnBranch { branch: None });
        };
        match &checkout.upstream {
            Some((r, b)) if r == remote && b == branch => {}
            // Another branch that follows this one is not "the branch" either.
            Some(_) if own == branch => return Ok(FastForward::OtherUpstream { branch: own }),
            _ => return Ok(FastForward::NotOnBranch { branch: Some(own) }),
        }
        let Some(head) = &checkout.head else {
            return Ok(FastForward::Diverged);
        };
        if self.is_ancestor(commit, head)? {
            return Ok(FastForward::AlreadyThere);
        }
        if let Some(operation) = checkout.in_progress {
            return Ok(FastForward::InProgress { operation });
        }
        if !checkout.modified.is_empty() {
            return Ok(FastForward::Dirty {
                paths: checkout.modified,
            });
        }
        if !self.is_ancestor(head, commit)? {
            return Ok(FastForward::Diverged);
        }
        // Ignored files are somebody's work too; without a stash nothing can hide.
        let args = [
            "merge",
            "--ff-only",
            "--quiet",
            "--no-stat",
            "--no-autostash",
        ];
        let mut call = self.path().call(self.path().git.limits().local, &args);
        call.args.push("--no-overwrite-ignore".into());
        call.args.push(commit.as_str().into());
        let ended = self.path().git.run_blocking(call)?;
        if ended.ok {
            return Ok(FastForward::Done);
        }
        let text = ended.stderr();
        Ok(FastForward::Refused { text })
    }
}

const fn in_progress(state: RepositoryState) -> Option<&'static str> {
    match state {
        RepositoryState::Clean => None,
        RepositoryState::Merge => Some("merge"),
        RepositoryState::Revert | RepositoryState::RevertSequence => Some("revert"),
        RepositoryState::CherryPick | RepositoryState::CherryPickSequence => Some("cherry-pick"),
        RepositoryState::Bisect => Some("bisect"),
        RepositoryState::Rebase
        | RepositoryState::RebaseInteractive
        | RepositoryState::RebaseMerge => Some("rebase"),
        RepositoryState::ApplyMailbox | RepositoryState::ApplyMailboxOrRebase => Some("am"),
    }
}

fn followed(config: &Config, branch: &str) -> Option<(String, String)> {
    let remote = config.last(&format!("branch.{branch}.remote"))?;
    let merge = config.last(&format!("branch.{branch}.merge"))?;
    let merge = merge.strip_prefix("refs/heads/")?;
    Some((remote.to_owned(), merge.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, request, wait};
    use super::*;

    /// A clone and a pushed commit that it does not have yet.
    fn behind(world: &World) -> (PathBuf, CommitId) {
        let (_, clone) = world.remote_and_clone();
        let repository = world.open(&clone);
        let parent = world.id(&clone, "HEAD");
        let wanted = request(&parent, "apps/web.yaml", b"image: web:0\n");
        let id = repository.write_commit(&wanted).unwrap();
        let pushed = wait(repository.path().push("origin", &id, "main")).unwrap();
        assert!(pushed.is_there(), "{pushed:?}");
        (clone, id)
    }

    #[test]
    fn a_clean_checkout_follows() {
        let world = World::new();
        let (clone, id) = behind(&world);
        std::fs::write(clone.join("untracked"), "mine").unwrap();
        let repository = world.open(&clone);
        let checkout = repository.checkout().unwrap().unwrap();
        assert_eq!(checkout.branch.as_deref(), Some("main"));
        assert_eq!(checkout.upstream, Some(("origin".into(), "main".into())));
        assert!(checkout.is_clean() && !checkout.sparse);
        let forward = || {
            repository
                .fast_forward_checkout("origin", "main", &id)
                .unwrap()
        };
        assert_eq!(forward(), FastForward::Done);
        assert_eq!(world.id(&clone, "HEAD"), id);
        let text = std::fs::read(clone.join("apps/web.yaml")).unwrap();
        assert_eq!(text, b"image: web:0\n");
        assert_eq!(
            world.git(&clone, &["status", "--porcelain"]),
            "?? untracked"
        );
        assert_eq!(forward(), FastForward::AlreadyThere);
    }

    #[test]
    fn every_other_checkout_is_left_alone() {
        let world = World::new();
        let (clone, id) = behind(&world);
        let repository = world.open(&clone);
        let forward = || {
            let state = |()| {
                let head = world.git(&clone, &["rev-parse", "HEAD", "main"]);
                head + &world.git(&clone, &["status", "--porcelain=v2"])
            };
            let before = state(());
            let outcome = repository
                .fast_forward_checkout("origin", "main", &id)
                .unwrap();
            assert_eq!(state(()), before, "{outcome:?}");
            outcome
        };
        std::fs::write(clone.join("apps/web.yaml"), "half done\n").unwrap();
        let dirty = FastForward::Dirty {
            paths: vec!["apps/web.yaml".into()],
        };
        assert_eq!(forward(), dirty);
        world.git(&clone, &["add", "-A"]);
        assert_eq!(forward(), dirty);
        let checkout = repository.checkout().unwrap().unwrap();
        assert!(checkout.is_modified("apps/web.yaml") && !checkout.is_modified("apps"));
        world.git(&clone, &["reset", "-q", "--hard"]);

        world.git(&clone, &["checkout", "-q", "--detach"]);
        assert_eq!(forward(), FastForward::NotOnBranch { branch: None });
        world.git(&clone, &["switch", "-q", "-c", "own"]);
        let own = FastForward::NotOnBranch {
            branch: Some("own".into()),
        };
        assert_eq!(forward(), own);
        world.git(&clone, &["switch", "-q", "main"]);
        world.git(&clone, &["config", "branch.main.merge", "refs/heads/next"]);
        let other = FastForward::OtherUpstream {
            branch: "main".into(),
        };
        // The handle read the configuration before it was changed.
        let fresh = world
            .open(&clone)
            .fast_forward_checkout("origin", "main", &id);
        assert_eq!(fresh.unwrap(), other);
        world.git(&clone, &["config", "branch.main.merge", "refs/heads/main"]);

        world.commit(&clone, "mine", "mine", "mine");
        assert_eq!(forward(), FastForward::Diverged);
        assert!(
            !world
                .try_git(&clone, &["rebase", "-q", "--exec", "false", "HEAD~1"])
                .0
        );
        assert_eq!(forward(), FastForward::NotOnBranch { branch: None });
    }

    #[test]
    fn untracked_and_ignored_files_in_the_way_are_kept() {
        for ignored in [false, true] {
            let world = World::new();
            let (_, clone) = world.remote_and_clone();
            let repository = world.open(&clone);
            let parent = world.id(&clone, "HEAD");
            let id = repository
                .write_commit(&request(&parent, "new.yaml", b"theirs\n"))
                .unwrap();
            if ignored {
                std::fs::write(clone.join(".git/info/exclude"), "new.yaml\n").unwrap();
            }
            std::fs::write(clone.join("new.yaml"), "mine\n").unwrap();
            let outcome = repository
                .fast_forward_checkout("origin", "main", &id)
                .unwrap();
            assert!(
                matches!(outcome, FastForward::Refused { .. }),
                "{outcome:?}"
            );
            let text = std::fs::read_to_string(clone.join("new.yaml")).unwrap();
            assert_eq!(text, "mine\n");
            assert_eq!(world.id(&clone, "HEAD"), parent);
        }
    }

    #[test]
    fn a_merge_under_way_is_named() {
        let world = World::new();
        let (clone, id) = behind(&world);
        world.git(&clone, &["switch", "-q", "-c", "side"]);
        world.commit(&clone, "s", "s", "side");
        world.git(&clone, &["switch", "-q", "main"]);
        world.git(&clone, &["merge", "-q", "--no-ff", "--no-commit", "side"]);
        let repository = world.open(&clone);
        let checkout = repository.checkout().unwrap().unwrap();
        assert_eq!(checkout.in_progress, Some("merge"));
        assert!(!checkout.is_clean());
        let outcome = repository
            .fast_forward_checkout("origin", "main", &id)
            .unwrap();
        assert_eq!(outcome, FastForward::InProgress { operation: "merge" });
    }

    #[test]
    fn checkouts_that_libgit2_cannot_read_the_index_of() {
        let world = World::new();
        let (clone, id) = behind(&world);
        world.git(
            &clone,
            &["sparse-checkout", "set", "--cone", "--sparse-index", "docs"],
        );
        let repository = world.open(&clone);
        let checkout = repository.checkout().unwrap().unwrap();
        assert!(checkout.sparse && checkout.is_clean(), "{checkout:?}");
        assert_eq!(repository.work_tree_file("apps/web.yaml").unwrap(), None);
        let outcome = repository
            .fast_forward_checkout("origin", "main", &id)
            .unwrap();
        assert_eq!(outcome, FastForward::Done);
        assert_eq!(world.id(&clone, "HEAD"), id);
    }

    #[test]
    fn bare_and_linked() {
        let world = World::new();
        let (clone, id) = behind(&world);
        let bare = world.open(&world.root().join("remote.git"));
        assert_eq!(bare.checkout().unwrap(), None);
        let outcome = bare.fast_forward_checkout("origin", "main", &id).unwrap();
        assert_eq!(outcome, FastForward::Bare);
        world.git(&clone, &["switch", "-q", "-c", "own"]);
        world.git(&clone, &["worktree", "add", "-q", "../linked", "main"]);
        let linked = world.open(&world.root().join("linked"));
        let outcome = linked.fast_forward_checkout("origin", "main", &id).unwrap();
        assert_eq!(outcome, FastForward::Done);
        let text = std::fs::read(world.root().join("linked/apps/web.yaml")).unwrap();
        assert_eq!(text, b"image: web:0\n");
    }
}
