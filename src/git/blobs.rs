//! Files in commits, by their bytes.

use std::fmt;
use std::path::Path;

use git2::{ErrorCode, ObjectType, Oid};

use super::error::GitError;
use super::repository::{Repository, commit_id};
use crate::model::CommitId;

/// A blob's full object id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobId(pub(super) Oid);

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What kind of file an entry of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileMode {
    /// 100644.
    Regular,
    /// 100755.
    Executable,
    /// 120000.
    Symlink,
    /// 160000: a commit of another repository.
    Submodule,
}

impl FileMode {
    pub(super) const fn of(mode: i32) -> Option<Self> {
        match mode {
            0o100_755 => Some(Self::Executable),
            0o120_000 => Some(Self::Symlink),
            0o160_000 => Some(Self::Submodule),
            0o40_000 => None,
            _ => Some(Self::Regular),
        }
    }
}

/// A file's content in a commit.
#[derive(Clone, PartialEq, Eq)]
pub struct Blob {
    /// Its id.
    pub id: BlobId,
    /// Its content, byte for byte as it is in Git.
    pub bytes: Vec<u8>,
    /// Its mode: regular or executable.
    pub mode: FileMode,
}

impl fmt::Debug for Blob {
    /// Without the content: manifests carry values that are not to be shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({}, {} bytes)", self.id, self.bytes.len())
    }
}

/// A file in a folder of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeFile {
    /// Its path from the repository's root.
    pub path: String,
    /// The id of its content.
    pub id: BlobId,
    /// Its mode.
    pub mode: FileMode,
}

/// An entry that a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: Oid,
    pub(super) mode: i32,
}

const LFS: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";

impl Repository {
    /// A file's content in a commit; none when there is no such path. What a partial
    /// clone lacks is fetched.
    ///
    /// # Errors
    /// [`GitError::Symlink`], [`GitError::Submodule`], [`GitError::LfsPointer`],
    /// [`GitError::NotAFile`] when the path is no file of its own;
    /// [`GitError::NoSuchCommit`], [`GitError::MissingObject`], [`GitError::Remote`].
    pub fn blob_at(&self, commit: &CommitId, path: &str) -> Result<Option<Blob>, GitError> {
        let path = clean_path(path)?;
        let Some(entry) = self.entry_strictly(commit, &path)? else {
            return Ok(None);
        };
        let not_a_file = || GitError::NotAFile {
            path: path.clone(),
            commit: commit.clone(),
        };
        let mode = FileMode::of(entry.mode).ok_or_else(not_a_file)?;
        let bytes = self.blob_bytes(&BlobId(entry.id))?;
        if bytes.starts_with(LFS) {
            return Err(GitError::LfsPointer { path });
        }
        Ok(Some(Blob {
            id: BlobId(entry.id),
            bytes,
            mode,
        }))
    }

    /// A blob's content. What a partial clone lacks is fetched.
    ///
    /// # Errors
    /// [`GitError::MissingObject`], [`GitError::Remote`].
    pub fn blob_bytes(&self, id: &BlobId) -> Result<Vec<u8>, GitError> {
        let read = || self.inner.find_blob(id.0);
        match read() {
            Ok(blob) => return Ok(blob.content().to_vec()),
            Err(error) if error.code() == ErrorCode::NotFound => {}
            Err(error) => return Err(GitError::library(&format!("read blob {id}"), &error)),
        }
        self.fetch_blobs(std::slice::from_ref(id))?;
        let blob = read().map_err(|_| GitError::MissingObject { id: id.to_string() })?;
        Ok(blob.content().to_vec())
    }

    /// Fetches those of these blobs that a partial clone lacks, all in one request:
    /// called before many are read. In a full clone it does nothing.
    ///
    /// # Errors
    /// [`GitError::MissingObject`] when no remote has promised them, [`GitError::Remote`].
    pub fn fetch_blobs(&self, ids: &[BlobId]) -> Result<(), GitError> {
        let odb = self
            .inner
            .odb()
            .map_err(|error| GitError::library("read the object database", &error))?;
        let missing: Vec<String> = ids
            .iter()
            .filter(|id| !odb.exists(id.0))
            .map(ToString::to_string)
            .collect();
        let Some(first) = missing.first() else {
            return Ok(());
        };
        let remote = self
            .promisor_remote()?
            .ok_or_else(|| GitError::MissingObject { id: first.clone() })?;
        self.path().fetch_objects_blocking(&remote, &missing)?;
        odb.refresh()
            .map_err(|error| GitError::library("read the object database", &error))
    }

    /// The files in a folder of a commit, sorted by path; `""` or `.` is the root.
    /// Symbolic links and submodules are listed with their mode, not followed.
    ///
    /// # Errors
    /// [`GitError::NoSuchPath`], [`GitError::NoSuchCommit`].
    pub fn files_under(
        &self,
        commit: &CommitId,
        folder: &str,
        recurse: bool,
    ) -> Result<Vec<TreeFile>, GitError> {
        let failed = |error: git2::Error| GitError::library("read a tree", &error);
        let root = self.find_commit(commit)?.tree().map_err(failed)?;
        let folder = match folder.trim_matches('/') {
            "" | "." => String::new(),
            _ => clean_path(folder)?,
        };
        let no_such = || GitError::NoSuchPath {
            path: folder.clone(),
            commit: commit.clone(),
        };
        let tree = if folder.is_empty() {
            root
        } else {
            let entry = self.entry_strictly(commit, &folder)?.ok_or_else(no_such)?;
            self.inner.find_tree(entry.id).map_err(|_| no_such())?
        };
        let mut found = Vec::new();
        let mut pending = vec![(folder, tree)];
        while let Some((prefix, tree)) = pending.pop() {
            for entry in &tree {
                let name = String::from_utf8_lossy(entry.name_bytes());
                let path = if prefix.is_empty() {
                    name.into_owned()
                } else {
                    format!("{prefix}/{name}")
                };
                if let Some(mode) = FileMode::of(entry.filemode_raw()) {
                    let id = BlobId(entry.id());
                    found.push(TreeFile { path, id, mode });
                } else if recurse {
                    pending.push((path, self.inner.find_tree(entry.id()).map_err(failed)?));
                }
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// The entry at a path of a commit. Links and submodules on the way are named.
    pub(super) fn entry_strictly(
        &self,
        commit: &CommitId,
        path: &str,
    ) -> Result<Option<Entry>, GitError> {
        let failed = |error: git2::Error| GitError::library("read a tree", &error);
        let mut tree = self.find_commit(commit)?.tree().map_err(failed)?;
        let mut walked = String::new();
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            if !walked.is_empty() {
                walked.push('/');
            }
            walked.push_str(part);
            let Some(entry) = tree.get_name_bytes(part.as_bytes()) else {
                return Ok(None);
            };
            let found = Entry {
                id: entry.id(),
                mode: entry.filemode_raw(),
            };
            let is_tree = entry.kind() == Some(ObjectType::Tree);
            drop(entry);
            match FileMode::of(found.mode) {
                Some(FileMode::Submodule) => return Err(GitError::Submodule { path: walked }),
                Some(FileMode::Symlink) => {
                    let target = self.blob_bytes(&BlobId(found.id))?;
                    let target = crate::model::plain(&String::from_utf8_lossy(&target));
                    return Err(GitError::Symlink {
                        path: walked,
                        target,
                    });
                }
                _ => {}
            }
            if parts.peek().is_none() {
                return Ok(Some(found));
            }
            if !is_tree {
                return Err(GitError::NotAFile {
                    path: walked,
                    commit: commit_id(self.find_commit(commit)?.id()),
                });
            }
            tree = self.inner.find_tree(found.id).map_err(failed)?;
        }
        Ok(None)
    }
}

/// The path as Git has it: relative, `/` between parts, no `.` and no `..`.
pub(super) fn clean_path(path: &str) -> Result<String, GitError> {
    let invalid = || GitError::InvalidName {
        text: crate::model::plain(path),
        expected: "a path in the repository",
    };
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    let bad = |part: &&str| *part == ".." || part.eq_ignore_ascii_case(".git");
    if parts.is_empty() || Path::new(path).is_absolute() || parts.iter().any(bad) {
        return Err(invalid());
    }
    if path.contains('\0') {
        return Err(invalid());
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    #[test]
    fn what_is_at_a_path() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        world.commit(&clone, "crlf.yaml", "a: 1\r\nb: 2", "crlf");
        world.commit(
            &clone,
            "big.bin",
            &format!("{}oid sha256:0\n", String::from_utf8_lossy(LFS)),
            "lfs",
        );
        std::os::unix::fs::symlink("apps", clone.join("link")).unwrap();
        world.git(&clone, &["add", "-A"]);
        world.git(
            &clone,
            &["submodule", "--quiet", "add", "../remote.git", "sub"],
        );
        world.git(&clone, &["update-index", "--chmod=+x", "crlf.yaml"]);
        let tip = world.commit_staged(&clone, "all");
        let repository = world.open(&clone);
        let at = |path: &str| repository.blob_at(&tip, path);
        let blob = at("crlf.yaml").unwrap().unwrap();
        assert_eq!(blob.bytes, b"a: 1\r\nb: 2");
        assert_eq!(blob.mode, FileMode::Executable);
        assert!(!format!("{blob:?}").contains("a: 1"));
        assert_eq!(
            at("./apps//web.yaml").unwrap().unwrap().bytes,
            b"image: web:1\n"
        );
        assert_eq!(at("no").unwrap(), None);
        assert_eq!(at("no/such").unwrap(), None);
        assert!(matches!(at("apps"), Err(GitError::NotAFile { .. })));
        assert!(matches!(at("crlf.yaml/x"), Err(GitError::NotAFile { .. })));
        for path in ["link", "link/web.yaml"] {
            let error = at(path).unwrap_err();
            assert!(matches!(error, GitError::Symlink { .. }), "{error}");
            assert!(error.to_string().contains("\"apps\""), "{error}");
        }
        for path in ["sub", "sub/apps/web.yaml"] {
            let error = at(path).unwrap_err();
            assert!(matches!(error, GitError::Submodule { .. }), "{error}");
        }
        assert!(matches!(at("big.bin"), Err(GitError::LfsPointer { .. })));
        for bad in [
            "",
            "/",
            "../x",
            "a/../b",
            "/etc/passwd",
            ".git/config",
            "a\0b",
        ] {
            assert!(
                matches!(at(bad), Err(GitError::InvalidName { .. })),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn files_in_folders() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        world.commit(&clone, "apps/b/c.yaml", "c", "c");
        let tip = world.commit(&clone, "apps/a.yaml", "a", "a");
        let repository = world.open(&clone);
        let paths = |folder: &str, recurse| -> Vec<String> {
            let files = repository.files_under(&tip, folder, recurse).unwrap();
            files.into_iter().map(|file| file.path).collect()
        };
        assert_eq!(paths("apps", false), ["apps/a.yaml", "apps/web.yaml"]);
        let all = ["apps/a.yaml", "apps/b/c.yaml", "apps/web.yaml"];
        assert_eq!(paths("./apps/", true), all);
        assert_eq!(paths("", true), all);
        assert_eq!(paths(".", false), Vec::<String>::new());
        for bad in ["nope", "apps/a.yaml"] {
            let error = repository.files_under(&tip, bad, true).unwrap_err();
            assert!(matches!(error, GitError::NoSuchPath { .. }), "{error}");
        }
    }

    #[test]
    fn a_partial_clone_gets_what_it_lacks() {
        let world = World::new();
        let (remote, clone) = world.remote_and_clone();
        let first = world.id(&clone, "HEAD");
        world.commit(&clone, "apps/web.yaml", "image: web:2\n", "web 2");
        let second = world.commit(&clone, "apps/b.yaml", "b", "b");
        world.commit(&clone, "apps/web.yaml", "image: web:3\n", "web 3");
        world.git(&clone, &["push", "-q"]);
        let url = format!("file://{}", remote.display());
        world.git(
            world.root(),
            &["clone", "-q", "--bare", "--filter=blob:none", &url, "p"],
        );
        let repository = world.open(&world.root().join("p"));
        let files = repository.files_under(&second, "", true).unwrap();
        let ids: Vec<BlobId> = files.iter().map(|file| file.id).collect();
        let missing = || {
            let odb = repository.inner.odb().unwrap();
            ids.iter().filter(|id| !odb.exists(id.0)).count()
        };
        assert_eq!(missing(), 2);
        repository.fetch_blobs(&ids).unwrap();
        assert_eq!(missing(), 0);
        let old = repository
            .blob_at(&first, "apps/web.yaml")
            .unwrap()
            .unwrap();
        assert_eq!(old.bytes, b"image: web:1\n");
        let refs = world.git(&world.root().join("p"), &["for-each-ref"]);
        assert_eq!(refs.lines().count(), 1, "{refs}");

        let nowhere = BlobId(Oid::from_str(&"1".repeat(40)).unwrap());
        let error = repository.blob_bytes(&nowhere).unwrap_err();
        assert!(matches!(error, GitError::Remote(_)), "{error}");
        let error = world.open(&clone).blob_bytes(&nowhere).unwrap_err();
        assert!(matches!(error, GitError::MissingObject { .. }), "{error}");
    }
}
