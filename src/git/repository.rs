//! Opening a repository, and the facts about it.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use git2::{ErrorClass, ErrorCode, RepositoryOpenFlags};

use super::error::GitError;
use super::path::RepositoryPath;
use super::program::Git;
use crate::model::CommitId;

/// A repository opened for local work. `Send`, not `Sync`.
pub struct Repository {
    pub(super) inner: git2::Repository,
    path: RepositoryPath,
}

impl Repository {
    /// Opens the repository that a folder or file is in: a checkout or a folder in
    /// it, a linked worktree, a submodule, a bare repository.
    ///
    /// # Errors
    /// [`GitError::NotARepository`], [`GitError::Reftable`], [`GitError::Sha256`],
    /// [`GitError::Owner`], [`GitError::UnsupportedExtension`], [`GitError::Library`].
    pub fn open(path: &Path, git: &Git) -> Result<Self, GitError> {
        let start = if path.is_file() {
            path.parent().unwrap_or(path)
        } else {
            path
        };
        let inner = open_library(start, RepositoryOpenFlags::empty())?;
        let work_tree = inner.workdir().map(Path::to_path_buf);
        let path = RepositoryPath::new(git, inner.path().to_path_buf(), work_tree);
        Ok(Self { inner, path })
    }

    pub(super) fn open_at(path: RepositoryPath) -> Result<Self, GitError> {
        let flags = RepositoryOpenFlags::NO_SEARCH | RepositoryOpenFlags::NO_DOTGIT;
        let inner = open_library(&path.git_dir, flags)?;
        Ok(Self { inner, path })
    }

    /// Another repository that the same git serves, by its `.git` folder.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn another(&self, git_dir: &Path) -> Result<Self, GitError> {
        Self::open_at(RepositoryPath::new(
            &self.path.git,
            git_dir.to_path_buf(),
            None,
        ))
    }

    /// Where it is: for everything that needs the `git` program.
    #[must_use]
    pub const fn path(&self) -> &RepositoryPath {
        &self.path
    }

    /// Whether it has no work tree.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.inner.is_bare()
    }

    /// Whether it is a worktree that is linked to another repository.
    #[must_use]
    pub fn is_linked_worktree(&self) -> bool {
        self.inner.is_worktree()
    }

    /// Whether it is a submodule's repository inside another one's `.git` folder.
    #[must_use]
    pub fn is_submodule(&self) -> bool {
        let mut parts = self.inner.path().components().rev();
        !self.inner.is_bare()
            && parts.any(|part| part.as_os_str() == "modules")
            && parts.next().is_some_and(|part| part.as_os_str() == ".git")
    }

    /// Whether a part of the history is cut off.
    #[must_use]
    pub fn is_shallow(&self) -> bool {
        !self.shallow_boundary().is_empty()
    }

    /// The commits whose parents are not here, though they have some.
    #[must_use]
    pub fn shallow_boundary(&self) -> HashSet<CommitId> {
        let text = std::fs::read_to_string(self.inner.commondir().join("shallow"));
        let text = text.unwrap_or_default();
        text.lines()
            .filter_map(|line| CommitId::parse(line.trim()).ok())
            .collect()
    }

    /// The remote that missing objects are fetched from, in a partial clone.
    ///
    /// # Errors
    /// When git cannot read the configuration.
    pub fn promisor_remote(&self) -> Result<Option<String>, GitError> {
        let config = self.path.config_blocking()?;
        if let Some(name) = config.last("extensions.partialclone") {
            return Ok(Some(name.to_owned()));
        }
        let names = config.subsections("remote", "promisor");
        let on = |name: &String| config.bool(&format!("remote.{name}.promisor"));
        Ok(names.into_iter().find(on))
    }

    /// The tip of a branch of a remote as it was fetched last.
    ///
    /// # Errors
    /// When the ref cannot be read.
    pub fn tip(&self, remote: &str, branch: &str) -> Result<Option<CommitId>, GitError> {
        self.ref_target(&format!("refs/remotes/{remote}/{branch}"))
    }

    /// The commit that a full ref name points to.
    pub(super) fn ref_target(&self, name: &str) -> Result<Option<CommitId>, GitError> {
        let found = match self.inner.find_reference(name) {
            Ok(found) => found,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(GitError::library(&format!("read {name}"), &error)),
        };
        let commit = found
            .peel_to_commit()
            .map_err(|error| GitError::library(&format!("read the commit of {name}"), &error))?;
        Ok(Some(commit_id(commit.id())))
    }

    /// Makes a local branch for a commit; a branch of that name that points elsewhere
    /// is left alone.
    ///
    /// # Errors
    /// [`GitError::BranchExists`], [`GitError::InvalidName`], [`GitError::NoSuchCommit`].
    pub fn create_branch_ref(&self, branch: &str, commit: &CommitId) -> Result<(), GitError> {
        super::path::check_branch(branch)?;
        let name = format!("refs/heads/{branch}");
        let id = self.find_commit(commit)?.id();
        let note = "unship: commit that is not pushed";
        let Err(error) = self.inner.reference(&name, id, false, note) else {
            return Ok(());
        };
        match self.ref_target(&name)? {
            Some(at) if at == *commit => Ok(()),
            Some(at) => Err(GitError::BranchExists {
                branch: branch.to_owned(),
                at,
            }),
            None => Err(GitError::library(
                &format!("make the branch {branch}"),
                &error,
            )),
        }
    }

    pub(super) fn find_commit(&self, id: &CommitId) -> Result<git2::Commit<'_>, GitError> {
        let missing = || GitError::NoSuchCommit {
            text: id.to_string(),
            shallow: self.is_shallow(),
        };
        let oid = self.oid(id.as_str()).ok_or_else(missing)?;
        self.inner.find_commit(oid).map_err(|error| {
            if error.code() == ErrorCode::NotFound {
                missing()
            } else {
                GitError::library(&format!("read commit {}", id.short()), &error)
            }
        })
    }

    pub(super) fn oid(&self, text: &str) -> Option<git2::Oid> {
        git2::Oid::from_str(text).ok()
    }
}

pub(super) fn commit_id(oid: git2::Oid) -> CommitId {
    let text = oid.to_string();
    CommitId::parse(&text).unwrap_or_else(|_| unreachable!("libgit2 gives full hex ids: {text}"))
}

/// libgit2 hashes every object that it reads, which takes more than half of the time of a walk
/// through a long history. As with git itself, the checksum of the packed bytes has to do; `git fsck`
/// is for the rest.
fn read_as_git_does() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| git2::opts::strict_hash_verification(false));
}

fn open_library(start: &Path, flags: RepositoryOpenFlags) -> Result<git2::Repository, GitError> {
    read_as_git_does();
    let none: [&Path; 0] = [];
    let open = |flags| git2::Repository::open_ext(start, flags, none);
    let opened = open(flags).or_else(|error| match error.code() {
        // `GIT_CONFIG_GLOBAL` may call the folder safe. It is not asked for before:
        // with it `GIT_WORK_TREE` and `GIT_INDEX_FILE` of a hook would count as well.
        ErrorCode::Owner => open(flags | RepositoryOpenFlags::FROM_ENV),
        _ => Err(error),
    });
    opened.map_err(|error| open_error(start, &error))
}

fn open_error(path: &Path, error: &git2::Error) -> GitError {
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path));
    let message = error.message();
    if error.code() == ErrorCode::Owner {
        return GitError::Owner {
            path: owned_path(&path, message),
        };
    }
    if error.code() == ErrorCode::NotFound {
        return GitError::NotARepository { path };
    }
    // The words of libgit2 1.9 (repository.c, check_valid_extension and load_objectformat).
    if let Some((_, name)) = message.split_once("unsupported extension name ") {
        let name = name.trim().trim_start_matches("extensions.").to_owned();
        return match name.as_str() {
            "refstorage" => GitError::Reftable { path },
            _ => GitError::UnsupportedExtension { path, name },
        };
    }
    if message.contains("unknown object format") {
        return GitError::Sha256 { path };
    }
    if error.class() == ErrorClass::Os && !path.exists() {
        return GitError::NotARepository { path };
    }
    GitError::library(&format!("open {}", path.display()), error)
}

/// The folder that libgit2 names as not owned: that one has to be called safe.
fn owned_path(given: &Path, message: &str) -> PathBuf {
    let named = message
        .split_once("repository path '")
        .and_then(|(_, rest)| rest.split_once('\''));
    named.map_or_else(
        || given.to_path_buf(),
        |(path, _)| PathBuf::from(path.trim_end_matches('/')),
    )
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Repository").field(&self.path).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    #[test]
    fn the_ways_to_a_repository() {
        let world = World::new();
        let (remote, clone) = world.remote_and_clone();
        let tip = world.id(&clone, "HEAD");
        world.git(
            &clone,
            &["worktree", "add", "-q", "-b", "side", "../linked"],
        );
        let linked = world.root().join("linked");
        let places = [
            clone.clone(),
            clone.join("apps"),
            clone.join("apps/web.yaml"),
            linked.join("apps"),
            remote.clone(),
        ];
        for place in places {
            let repository = world.open(&place);
            assert_eq!(repository.commit(&tip).unwrap().subject(), "web 1");
            let again = repository.path().open().unwrap();
            assert_eq!(again.is_bare(), place == remote, "{place:?}");
            assert_eq!(again.is_linked_worktree(), place.starts_with(&linked));
            assert!(!again.is_submodule() && !again.is_shallow());
        }
        let at = |path: &Path| world.open(path).path().work_tree().unwrap().to_path_buf();
        assert_eq!(
            at(&linked.join("apps")),
            std::fs::canonicalize(&linked).unwrap()
        );
        assert_eq!(
            at(&clone.join("apps")),
            std::fs::canonicalize(&clone).unwrap()
        );
    }

    #[test]
    fn a_submodule_is_a_repository_of_its_own() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        world.git(
            &clone,
            &["submodule", "--quiet", "add", "../remote.git", "sub"],
        );
        assert!(world.open(&clone.join("sub/apps")).is_submodule());
        assert!(!world.open(&clone).is_submodule());
    }

    #[test]
    fn what_cannot_be_opened_is_named() {
        let world = World::new();
        let open = |path: &Path| Repository::open(path, &world.program()).unwrap_err();
        let error = open(world.root());
        assert!(matches!(error, GitError::NotARepository { .. }), "{error}");
        assert!(error.to_string().contains("--repo"));
        let error = open(&world.root().join("not/there"));
        assert!(matches!(error, GitError::NotARepository { .. }), "{error}");

        world.git(
            world.root(),
            &["init", "-q", "--object-format=sha256", "long"],
        );
        let error = open(&world.root().join("long"));
        assert!(matches!(error, GitError::Sha256 { .. }), "{error}");

        for (name, value) in [("refStorage", "reftable"), ("fancy", "1")] {
            world.git(world.root(), &["init", "-q", name]);
            let config = world.root().join(name).join(".git/config");
            let text =
                format!("[core]\nrepositoryformatversion = 1\n[extensions]\n{name} = {value}\n");
            std::fs::write(config, text).unwrap();
        }
        let error = open(&world.root().join("refStorage"));
        assert!(matches!(error, GitError::Reftable { .. }), "{error}");
        let error = open(&world.root().join("fancy"));
        let named =
            matches!(&error, GitError::UnsupportedExtension { name, .. } if name == "fancy");
        assert!(named, "{error}");
    }

    #[test]
    fn a_repository_of_another_user() {
        let words = "repository path '/srv/a/' is not owned by current user";
        let error = git2::Error::new(ErrorCode::Owner, ErrorClass::Config, words);
        let error = open_error(Path::new("/"), &error).to_string();
        assert!(
            error.contains("git config --global --add safe.directory /srv/a`"),
            "{error}"
        );

        let world = World::new();
        world.git(world.root(), &["init", "-q", "own"]);
        let own = world.root().join("own");
        let mut all = vec![own.clone(), own.join(".git")];
        all.retain(|path| std::os::unix::fs::chown(path, Some(4242), None).is_ok());
        // Only root can give a folder away; elsewhere the words above are what is tested.
        if all.len() == 2 {
            let error = Repository::open(&own, &world.program()).unwrap_err();
            assert!(matches!(error, GitError::Owner { .. }), "{error:?}");
        }
    }

    #[test]
    fn branches_for_commits_are_never_moved() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        let first = world.id(&clone, "HEAD");
        let second = world.commit(&clone, "apps/web.yaml", "image: web:2\n", "web 2");
        let repository = world.open(&clone);
        repository.create_branch_ref("unship/abc", &first).unwrap();
        repository.create_branch_ref("unship/abc", &first).unwrap();
        assert_eq!(world.id(&clone, "unship/abc"), first);
        let error = repository
            .create_branch_ref("unship/abc", &second)
            .unwrap_err();
        assert!(matches!(error, GitError::BranchExists { .. }), "{error}");
        assert_eq!(world.id(&clone, "unship/abc"), first);
        for bad in ["", "-x", "a..b", "a b"] {
            assert!(
                repository.create_branch_ref(bad, &first).is_err(),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn shallow_and_partial_clones() {
        let world = World::new();
        let (remote, clone) = world.remote_and_clone();
        let tip = world.commit(&clone, "apps/web.yaml", "image: web:2\n", "web 2");
        world.git(&clone, &["push", "-q"]);
        let url = format!("file://{}", remote.display());
        world.git(world.root(), &["clone", "-q", "--depth=1", &url, "shallow"]);
        let shallow = world.open(&world.root().join("shallow"));
        assert!(shallow.is_shallow());
        assert_eq!(shallow.shallow_boundary(), HashSet::from([tip]));
        assert_eq!(shallow.promisor_remote().unwrap(), None);
        world.git(
            world.root(),
            &["clone", "-q", "--filter=blob:none", &url, "partial"],
        );
        let partial = world.open(&world.root().join("partial"));
        assert_eq!(
            partial.promisor_remote().unwrap().as_deref(),
            Some("origin")
        );
    }
}
