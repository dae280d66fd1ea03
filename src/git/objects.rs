//! Commits: reading, naming, comparing and walking them.

use git2::{Delta, ErrorCode, ObjectType, Oid, Sort};
use jiff::Timestamp;

use super::error::GitError;
use super::program::Call;
use super::repository::{Repository, commit_id};
use crate::model::{Commit, CommitId, Identity};

/// How a commit changed a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// Its content or mode is another.
    Modified,
    /// It is gone.
    Deleted,
    /// It became, or no longer is, a symbolic link or submodule.
    TypeChanged,
}

/// A path that a commit changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// The path.
    pub path: String,
    /// How.
    pub kind: ChangeKind,
}

impl Repository {
    /// A commit's header and message.
    ///
    /// # Errors
    /// [`GitError::NoSuchCommit`].
    pub fn commit(&self, id: &CommitId) -> Result<Commit, GitError> {
        Ok(to_commit(&self.find_commit(id)?))
    }

    /// The commit that a person means: a full or short id, a tag, a branch, a branch
    /// of a remote, or one of git's expressions such as `HEAD~2`.
    ///
    /// # Errors
    /// [`GitError::Ambiguous`] with the choices, [`GitError::NoSuchCommit`].
    pub fn resolve(&self, text: &str) -> Result<CommitId, GitError> {
        let missing = || GitError::NoSuchCommit {
            text: crate::model::plain(text),
            shallow: self.is_shallow(),
        };
        if text.is_empty() || text.starts_with('-') || text.contains(char::is_control) {
            return Err(missing());
        }
        if let Ok(full) = CommitId::parse(text) {
            return self.find_commit(&full).map(|commit| commit_id(commit.id()));
        }
        let mut found = self.refs_named(text)?;
        let hex = text.len() >= 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if hex {
            let ids = self.commits_with_prefix(text)?;
            found.extend(ids.into_iter().map(|id| (format!("commit {id}"), id)));
        }
        let mut ids: Vec<&CommitId> = found.iter().map(|(_, id)| id).collect();
        ids.sort_unstable();
        ids.dedup();
        match ids.as_slice() {
            [one] => Ok((*one).clone()),
            [] => self.expression(text).ok_or_else(missing),
            _ => Err(GitError::Ambiguous {
                text: text.to_owned(),
                choices: found.iter().map(describe).collect(),
            }),
        }
    }

    fn expression(&self, text: &str) -> Option<CommitId> {
        let object = self.inner.revparse_single(text).ok()?;
        let commit = object.peel_to_commit().ok()?;
        Some(commit_id(commit.id()))
    }

    fn refs_named(&self, text: &str) -> Result<Vec<(String, CommitId)>, GitError> {
        let mut names = vec![
            format!("refs/tags/{text}"),
            format!("refs/heads/{text}"),
            format!("refs/remotes/{text}"),
        ];
        if text.starts_with("refs/") {
            names.push(text.to_owned());
        }
        let remotes = self.path().config_blocking()?.subsections("remote", "url");
        names.extend(
            remotes
                .iter()
                .map(|name| format!("refs/remotes/{name}/{text}")),
        );
        let mut found: Vec<(String, CommitId)> = Vec::new();
        for name in names
            .into_iter()
            .filter(|name| git2::Reference::is_valid_name(name))
        {
            // A tag of a tree or blob is no commit; another ref may be meant.
            if let Ok(Some(id)) = self.ref_target(&name) {
                found.push((name, id));
            }
        }
        // A local branch shadows the same branch of a remote, as in git.
        if found
            .iter()
            .any(|(name, _)| name.starts_with("refs/heads/"))
        {
            found.retain(|(name, _)| !name.starts_with("refs/remotes/"));
        }
        Ok(found)
    }

    fn commits_with_prefix(&self, prefix: &str) -> Result<Vec<CommitId>, GitError> {
        match self.inner.find_object_by_prefix(prefix, None) {
            Ok(object) => {
                let commit = object.peel(ObjectType::Commit).ok();
                Ok(commit
                    .map(|found| commit_id(found.id()))
                    .into_iter()
                    .collect())
            }
            Err(error) if error.code() == ErrorCode::NotFound => Ok(Vec::new()),
            // Blobs and trees may share the prefix; git lists all that do.
            Err(error) if error.code() == ErrorCode::Ambiguous => {
                let args = ["rev-parse", &format!("--disambiguate={prefix}")];
                let call: Call = self.path().call(self.path().git.limits().local, &args);
                let ended = self.path().git.run_blocking(call)?.success("rev-parse")?;
                let text = ended.text();
                let ids = text.lines().filter_map(|line| CommitId::parse(line).ok());
                Ok(ids.filter(|id| self.find_commit(id).is_ok()).collect())
            }
            Err(error) => Err(GitError::library(&format!("look up {prefix}"), &error)),
        }
    }

    /// Whether `ancestor` is `commit` or one of its ancestors.
    ///
    /// # Errors
    /// [`GitError::NoSuchCommit`].
    pub fn is_ancestor(&self, ancestor: &CommitId, commit: &CommitId) -> Result<bool, GitError> {
        let old = self.find_commit(ancestor)?.id();
        let new = self.find_commit(commit)?.id();
        if old == new {
            return Ok(true);
        }
        self.inner
            .graph_descendant_of(new, old)
            .map_err(|error| GitError::library("compare commits", &error))
    }

    /// The best common ancestor; none when the histories have nothing in common.
    ///
    /// # Errors
    /// [`GitError::NoSuchCommit`].
    pub fn merge_base(&self, a: &CommitId, b: &CommitId) -> Result<Option<CommitId>, GitError> {
        let (a, b) = (self.find_commit(a)?.id(), self.find_commit(b)?.id());
        match self.inner.merge_base(a, b) {
            Ok(base) => Ok(Some(commit_id(base))),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(GitError::library("find the merge base", &error)),
        }
    }

    /// What a commit changed against its first parent.
    ///
    /// # Errors
    /// [`GitError::NoSuchCommit`]; [`GitError::Shallow`] when the parent is cut off.
    pub fn changed_files(&self, id: &CommitId) -> Result<Vec<FileChange>, GitError> {
        let failed = |error| GitError::library("compare trees", &error);
        if self.shallow_boundary().contains(id) {
            return Err(GitError::Shallow { commit: id.clone() });
        }
        let commit = self.find_commit(id)?;
        let tree = commit.tree().map_err(failed)?;
        let parent = match commit.parent_count() {
            0 => None,
            _ => Some(
                commit
                    .parent(0)
                    .and_then(|parent| parent.tree())
                    .map_err(failed)?,
            ),
        };
        let mut options = git2::DiffOptions::new();
        options.include_typechange(true).skip_binary_check(true);
        let diff = self
            .inner
            .diff_tree_to_tree(parent.as_ref(), Some(&tree), Some(&mut options))
            .map_err(failed)?;
        let changes = diff.deltas().filter_map(|delta| {
            let kind = match delta.status() {
                Delta::Added => ChangeKind::Added,
                Delta::Deleted => ChangeKind::Deleted,
                Delta::Typechange => ChangeKind::TypeChanged,
                _ => ChangeKind::Modified,
            };
            let file = match kind {
                ChangeKind::Deleted => delta.old_file(),
                _ => delta.new_file(),
            };
            let path = String::from_utf8_lossy(file.path_bytes()?).into_owned();
            Some(FileChange { path, kind })
        });
        Ok(changes.collect())
    }

    /// The newest commit at or before `tip` with this trailer, among the newest `limit`.
    ///
    /// # Errors
    /// [`GitError::NoSuchCommit`].
    pub fn find_commit_with_trailer(
        &self,
        tip: &CommitId,
        key: &str,
        value: &str,
        limit: usize,
    ) -> Result<Option<Commit>, GitError> {
        let tip = self.find_commit(tip)?.id();
        for id in self.walk(tip, None)?.take(limit) {
            let id = id.map_err(|error| GitError::library("walk the history", &error))?;
            let commit = self
                .inner
                .find_commit(id)
                .map_err(|error| GitError::library("walk the history", &error))?;
            // Most messages are passed over without being decoded.
            if !contains(commit.message_bytes(), value.as_bytes()) {
                continue;
            }
            let commit = to_commit(&commit);
            if commit.trailer(key).as_deref() == Some(value) {
                return Ok(Some(commit));
            }
        }
        Ok(None)
    }

    /// The commits at or before `tip` with one of these trailers, among the newest `limit`,
    /// newest first.
    ///
    /// # Errors
    /// [`GitError::NoSuchCommit`].
    pub fn commits_with_trailers(
        &self,
        tip: &CommitId,
        keys: &[&str],
        limit: usize,
    ) -> Result<Vec<Commit>, GitError> {
        let failed = |error: git2::Error| GitError::library("walk the history", &error);
        let tip = self.find_commit(tip)?.id();
        let mut found = Vec::new();
        for id in self.walk(tip, None)?.take(limit) {
            let commit = id.and_then(|id| self.inner.find_commit(id));
            let commit = commit.map_err(failed)?;
            // Most messages are passed over without being decoded.
            let bytes = commit.message_bytes();
            if !keys.iter().any(|key| contains(bytes, key.as_bytes())) {
                continue;
            }
            let commit = to_commit(&commit);
            if keys.iter().any(|key| commit.trailer(key).is_some()) {
                found.push(commit);
            }
        }
        Ok(found)
    }

    /// The commits that `tip` has and `ancestor` has not, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`GitError::NoSuchCommit`].
    pub fn commits_since(
        &self,
        ancestor: &CommitId,
        tip: &CommitId,
        limit: usize,
    ) -> Result<Vec<Commit>, GitError> {
        let (old, tip) = (
            self.find_commit(ancestor)?.id(),
            self.find_commit(tip)?.id(),
        );
        let mut commits = Vec::new();
        for id in self.walk(tip, Some(old))?.take(limit) {
            let commit = id.and_then(|id| self.inner.find_commit(id));
            let commit = commit.map_err(|error| GitError::library("walk the history", &error))?;
            commits.push(to_commit(&commit));
        }
        Ok(commits)
    }

    fn walk(&self, tip: Oid, hide: Option<Oid>) -> Result<git2::Revwalk<'_>, GitError> {
        let made = self.inner.revwalk().and_then(|mut walk| {
            if let Some(hide) = hide {
                walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
                walk.hide(hide)?;
            }
            walk.push(tip)?;
            Ok(walk)
        });
        made.map_err(|error| GitError::library("walk the history", &error))
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

fn describe((name, id): &(String, CommitId)) -> String {
    let kinds = [
        ("refs/tags/", "tag"),
        ("refs/heads/", "branch"),
        ("refs/remotes/", "remote branch"),
    ];
    let named = kinds
        .iter()
        .find_map(|(prefix, kind)| Some(format!("{kind} {}", name.strip_prefix(prefix)?)));
    match named {
        Some(named) => format!("{named} ({})", id.short()),
        None => name.clone(),
    }
}

pub(super) fn to_commit(commit: &git2::Commit<'_>) -> Commit {
    let author = commit.author();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Commit {
        id: commit_id(commit.id()),
        parents: commit.parent_ids().map(commit_id).collect(),
        author: Identity {
            name: text(author.name_bytes()),
            email: text(author.email_bytes()),
        },
        time: Timestamp::from_second(commit.time().seconds()).unwrap_or(Timestamp::UNIX_EPOCH),
        message: text(commit.message_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    #[test]
    fn what_a_person_may_call_a_commit() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        let one = world.id(&clone, "HEAD");
        world.git(&clone, &["tag", "-a", "v1", "-m", "one"]);
        let two = world.commit(&clone, "a", "2", "two");
        world.git(&clone, &["tag", "both"]);
        world.git(&clone, &["branch", "both", "v1"]);
        let repository = world.open(&clone);
        for (text, id) in [
            (one.as_str(), &one),
            (one.short(), &one),
            ("v1", &one),
            ("refs/tags/v1", &one),
            ("origin/main", &one),
            ("main", &two),
            ("HEAD~1", &one),
            ("HEAD", &two),
        ] {
            assert_eq!(&repository.resolve(text).unwrap(), id, "{text}");
        }
        let error = repository.resolve("both").unwrap_err().to_string();
        assert!(
            error.contains("tag both") && error.contains("branch both"),
            "{error}"
        );
        for text in [
            "",
            "nope",
            "-x",
            "deadbeef",
            "HEAD:a",
            &"0".repeat(40),
            "a\u{1b}[2J",
        ] {
            let error = repository.resolve(text).unwrap_err();
            assert!(
                matches!(error, GitError::NoSuchCommit { .. }),
                "{text:?} {error}"
            );
            assert!(!error.to_string().contains('\u{1b}'));
        }
    }

    #[test]
    fn short_ids_that_several_commits_share() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        let tree = world.git(&clone, &["rev-parse", "HEAD^{tree}"]);
        // Four digits: among this many commits two agree.
        let mut by_prefix = std::collections::HashMap::new();
        let mut shared = None;
        for number in 0..4000 {
            let mut call = Call::new(std::time::Duration::from_secs(10), &["hash-object", "-w"]);
            call.args
                .extend(["-t", "commit", "--stdin"].map(Into::into));
            call.folder = Some(clone.clone());
            let who = "a <a@b> 1700000000 +0000";
            let text = format!("tree {tree}\nauthor {who}\ncommitter {who}\n\n{number}\n");
            call.stdin = Some(text.into_bytes());
            let out = world.program().run_blocking(call).unwrap();
            let id = out.text().trim().to_owned();
            if let Some(other) = by_prefix.insert(id[..4].to_owned(), id.clone()) {
                shared = Some((id, other));
                break;
            }
        }
        let (a, b) = shared.unwrap();
        let error = world.open(&clone).resolve(&a[..4]).unwrap_err();
        assert!(matches!(error, GitError::Ambiguous { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(&a) && text.contains(&b), "{text}");
    }

    #[test]
    fn relations_and_changes() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        let base = world.id(&clone, "HEAD");
        world.git(&clone, &["switch", "-q", "-c", "side"]);
        let side = world.commit(&clone, "b.yaml", "b", "side");
        world.git(&clone, &["switch", "-q", "main"]);
        std::fs::remove_file(clone.join("apps/web.yaml")).unwrap();
        std::fs::write(clone.join("n"), "n").unwrap();
        world.git(&clone, &["add", "-A"]);
        let main = world.commit_staged(&clone, "main\n\nUnship-Run: r7");
        world.git(&clone, &["switch", "-q", "--orphan", "other"]);
        let other = world.commit_staged(&clone, "other");
        let repository = world.open(&clone);
        assert!(repository.is_ancestor(&base, &main).unwrap());
        assert!(repository.is_ancestor(&main, &main).unwrap());
        assert!(!repository.is_ancestor(&main, &base).unwrap());
        assert!(!repository.is_ancestor(&side, &main).unwrap());
        assert_eq!(
            repository.merge_base(&side, &main).unwrap(),
            Some(base.clone())
        );
        assert_eq!(repository.merge_base(&other, &main).unwrap(), None);
        let change = |path: &str, kind| FileChange {
            path: path.into(),
            kind,
        };
        assert_eq!(
            repository.changed_files(&main).unwrap(),
            [
                change("apps/web.yaml", ChangeKind::Deleted),
                change("n", ChangeKind::Added)
            ]
        );
        let added = repository.changed_files(&base).unwrap();
        assert_eq!(added, [change("apps/web.yaml", ChangeKind::Added)]);
        let find =
            |value, limit| repository.find_commit_with_trailer(&main, "Unship-Run", value, limit);
        assert_eq!(find("r7", 10).unwrap().unwrap().id, main);
        assert!(find("r7", 0).unwrap().is_none());
        assert!(find("r", 10).unwrap().is_none());
        let since = repository.commits_since(&base, &main, 10).unwrap();
        assert_eq!(since.len(), 1);
        assert_eq!(since[0].id, main);
        assert!(
            repository
                .commits_since(&main, &base, 10)
                .unwrap()
                .is_empty()
        );
    }
}
