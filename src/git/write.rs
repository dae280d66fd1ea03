//! Making a commit in the object database: no index, no work tree, no ref is touched.

use std::ffi::OsString;

use git2::build::TreeUpdateBuilder;
use jiff::Timestamp;

use super::blobs::{FileMode, clean_path};
use super::error::GitError;
use super::path::RepositoryPath;
use super::program::Call;
use super::repository::Repository;
use super::run::Ended;
use crate::model::{CommitId, Identity};

/// Who and when, for an author or committer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Who.
    pub identity: Identity,
    /// When, to the second.
    pub time: Timestamp,
}

/// Whether a commit is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignMode {
    /// As `commit.gpgsign` says.
    #[default]
    AsConfigured,
    /// Signed.
    Always,
    /// Not signed.
    Never,
}

/// How commits are signed by this configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signing {
    /// `commit.gpgsign`.
    pub wanted: bool,
    /// `gpg.format`: `openpgp`, `x509` or `ssh`.
    pub format: String,
    /// Whether a key is named; openpgp else takes one by the committer's address.
    pub key_set: bool,
}

/// A commit to make.
#[derive(Clone)]
pub struct CommitRequest {
    /// Its only parent.
    pub parent: CommitId,
    /// Paths with their whole new content.
    pub files: Vec<(String, Vec<u8>)>,
    /// Paths of files that are gone in it.
    pub removed: Vec<String>,
    /// The message; a missing final line feed is added.
    pub message: String,
    /// The author.
    pub author: Stamp,
    /// The committer.
    pub committer: Stamp,
    /// Whether it is signed.
    pub sign: SignMode,
}

impl std::fmt::Debug for CommitRequest {
    /// Without the contents of the files.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let paths: Vec<&str> = self.files.iter().map(|(path, _)| path.as_str()).collect();
        f.debug_struct("CommitRequest")
            .field("parent", &self.parent)
            .field("paths", &paths)
            .field("removed", &self.removed)
            .field("sign", &self.sign)
            .finish_non_exhaustive()
    }
}

impl Repository {
    /// Makes a commit and gives its id. The mode of a file that exists is kept. The
    /// same request gives the same id, unless it is signed. No hook runs, as for
    /// every commit that is not made by `git commit`.
    ///
    /// # Errors
    /// [`GitError::Symlink`], [`GitError::Submodule`], [`GitError::NotAFile`] when a
    /// path cannot be written as a file; [`GitError::NothingToCommit`];
    /// [`GitError::SigningFailed`].
    pub fn write_commit(&self, request: &CommitRequest) -> Result<CommitId, GitError> {
        let (call, sign) = self.commit_call(request)?;
        committed(self.path().git.run_blocking(call)?, sign)
    }

    /// The call that makes the commit, its tree being there, and whether it signs.
    fn commit_call(&self, request: &CommitRequest) -> Result<(Call, bool), GitError> {
        let tree = self.write_tree(request)?;
        let sign = match request.sign {
            SignMode::AsConfigured => self.signing()?.wanted,
            SignMode::Always => true,
            SignMode::Never => false,
        };
        let (tree, parent) = (tree.to_string(), request.parent.as_str());
        let mut args = vec!["-c", "i18n.commitEncoding=UTF-8", "commit-tree"];
        if sign {
            args.push("-S");
        }
        args.extend(["-p", parent, "-F", "-", &tree]);
        let limits = self.path().git.limits();
        let limit = if sign { limits.signing } else { limits.local };
        let mut call: Call = self.path().call(limit, &args);
        call.stdin = Some(request.message.clone().into_bytes());
        call.env = stamps(&request.author, &request.committer);
        Ok((call, sign))
    }

    fn write_tree(&self, request: &CommitRequest) -> Result<git2::Oid, GitError> {
        let failed = |error: git2::Error| GitError::library("build the tree", &error);
        let base = self.find_commit(&request.parent)?.tree().map_err(failed)?;
        let mut update = TreeUpdateBuilder::new();
        for (path, bytes) in &request.files {
            let path = clean_path(path)?;
            let entry = self.entry_strictly(&request.parent, &path)?;
            let mode = match entry.map(|entry| FileMode::of(entry.mode)) {
                None | Some(Some(FileMode::Regular)) => git2::FileMode::Blob,
                Some(Some(FileMode::Executable)) => git2::FileMode::BlobExecutable,
                Some(_) => {
                    return Err(GitError::NotAFile {
                        path,
                        commit: request.parent.clone(),
                    });
                }
            };
            // Stored as given: no line ends are converted, no filter runs.
            let blob = self.inner.blob(bytes).map_err(failed)?;
            update.upsert(path.as_str(), blob, mode);
        }
        for path in &request.removed {
            let path = clean_path(path)?;
            // A folder that is left empty goes with its last file.
            update.remove(path.as_str());
        }
        let tree = update.create_updated(&self.inner, &base).map_err(failed)?;
        if tree == base.id() {
            return Err(GitError::NothingToCommit);
        }
        Ok(tree)
    }

    /// The identity that git would give an author: environment, then configuration.
    /// A name or address made up from the machine's own name is not taken.
    ///
    /// # Errors
    /// [`GitError::NoIdentity`].
    pub fn author(&self) -> Result<Identity, GitError> {
        self.identity("GIT_AUTHOR_IDENT")
    }

    /// The identity that git would give a committer.
    ///
    /// # Errors
    /// [`GitError::NoIdentity`].
    pub fn committer(&self) -> Result<Identity, GitError> {
        self.identity("GIT_COMMITTER_IDENT")
    }

    fn identity(&self, variable: &str) -> Result<Identity, GitError> {
        let args = ["-c", "user.useConfigOnly=true", "var", variable];
        let call = self.path().call(self.path().git.limits().local, &args);
        let ended = self.path().git.run_blocking(call)?;
        let text = ended.text();
        let parsed = text.split_once(" <").and_then(|(name, rest)| {
            let (email, _) = rest.split_once('>')?;
            Some(Identity {
                name: name.trim().to_owned(),
                email: email.trim().to_owned(),
            })
        });
        let complete = parsed.filter(|own| !own.name.is_empty() && !own.email.is_empty());
        complete.filter(|_| ended.ok).ok_or_else(|| {
            let said = ended.stderr();
            let reason = said
                .lines()
                .rev()
                .find_map(|line| line.strip_prefix("fatal: "));
            GitError::NoIdentity {
                text: format!("git said: {}", reason.unwrap_or("no name or no address")),
            }
        })
    }

    /// How commits are signed here.
    ///
    /// # Errors
    /// When git cannot read the configuration.
    pub fn signing(&self) -> Result<Signing, GitError> {
        let config = self.path().config_blocking()?;
        Ok(Signing {
            wanted: config.bool("commit.gpgsign"),
            format: config.last("gpg.format").unwrap_or("openpgp").to_owned(),
            key_set: config
                .last("user.signingkey")
                .is_some_and(|key| !key.is_empty())
                || config.last("gpg.ssh.defaultkeycommand").is_some(),
        })
    }
}

impl RepositoryPath {
    /// As [`Repository::write_commit`]; dropping the future ends git, which may wait for
    /// a person to unlock a key.
    ///
    /// # Errors
    /// As [`Repository::write_commit`].
    pub async fn write_commit(&self, request: CommitRequest) -> Result<CommitId, GitError> {
        let path = self.clone();
        let prepared = tokio::task::spawn_blocking(move || path.open()?.commit_call(&request));
        let (call, sign) = prepared.await.map_err(|_| GitError::Interrupted)??;
        committed(self.git.run(call).await?, sign)
    }
}

/// Reads what `git commit-tree` left.
fn committed(ended: Ended, sign: bool) -> Result<CommitId, GitError> {
    if sign && !ended.ok {
        return Err(GitError::SigningFailed {
            text: ended.stderr(),
        });
    }
    let ended = ended.success("commit-tree")?;
    CommitId::parse(ended.text().trim()).map_err(|error| GitError::Command {
        command: "commit-tree".to_owned(),
        text: error.to_string(),
    })
}

fn stamps(author: &Stamp, committer: &Stamp) -> Vec<(OsString, OsString)> {
    let mut env = Vec::with_capacity(6);
    for (role, stamp) in [("AUTHOR", author), ("COMMITTER", committer)] {
        for (part, value) in [
            ("NAME", stamp.identity.name.clone()),
            ("EMAIL", stamp.identity.email.clone()),
            ("DATE", format!("@{} +0000", stamp.time.as_second())),
        ] {
            env.push((format!("GIT_{role}_{part}").into(), value.into()));
        }
    }
    env
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, request};
    use super::*;

    #[test]
    fn a_commit_is_built_beside_the_checkout() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        let crlf = "a: 1\r\nb: 2\r\n";
        std::fs::write(clone.join(".gitattributes"), "* text=auto eol=lf\n").unwrap();
        world.git(&clone, &["config", "core.autocrlf", "true"]);
        world.git(&clone, &["add", "-A"]);
        world.git(&clone, &["update-index", "--chmod=+x", "apps/web.yaml"]);
        let parent = world.commit_staged(&clone, "attributes");
        std::fs::write(clone.join("apps/web.yaml"), "work in progress").unwrap();
        let before = world.git(&clone, &["status", "--porcelain=v2", "--branch"]);
        let repository = world.open(&clone);
        let mut wanted = request(&parent, "apps/web.yaml", crlf.as_bytes());
        wanted.files.push(("new/deep/x.yaml".into(), b"x".to_vec()));
        let id = repository.write_commit(&wanted).unwrap();
        assert_eq!(repository.write_commit(&wanted).unwrap(), id);
        assert_eq!(
            world.git(&clone, &["status", "--porcelain=v2", "--branch"]),
            before
        );

        let commit = repository.commit(&id).unwrap();
        assert_eq!(commit.parents, std::slice::from_ref(&parent));
        assert_eq!(commit.author.name, "Bob Ünal");
        assert_eq!(commit.time.as_second(), 1_800_000_000);
        assert_eq!(commit.trailer("Unship-Plan").as_deref(), Some("abc"));
        assert_eq!(commit.message, wanted.message);
        let blob = repository.blob_at(&id, "apps/web.yaml").unwrap().unwrap();
        assert_eq!(blob.bytes, crlf.as_bytes());
        assert_eq!(blob.mode, FileMode::Executable);
        let tree = world.git(&clone, &["ls-tree", "-r", id.as_str()]);
        assert!(
            tree.contains("100644 blob") && tree.contains("new/deep/x.yaml"),
            "{tree}"
        );
        world.git(&clone, &["fsck", "--strict"]);
        let kept = repository.blob_at(&id, ".gitattributes").unwrap();
        assert!(kept.is_some());
    }

    #[test]
    fn what_cannot_be_committed() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        std::os::unix::fs::symlink("apps", clone.join("link")).unwrap();
        world.git(&clone, &["add", "-A"]);
        world.git(
            &clone,
            &["submodule", "--quiet", "add", "../remote.git", "sub"],
        );
        let parent = world.commit_staged(&clone, "links");
        let repository = world.open(&clone);
        let refused = |path: &str| {
            let wanted = request(&parent, path, b"x");
            repository.write_commit(&wanted).unwrap_err()
        };
        assert!(matches!(refused("link/web.yaml"), GitError::Symlink { .. }));
        assert!(matches!(refused("link"), GitError::Symlink { .. }));
        assert!(matches!(refused("sub/x"), GitError::Submodule { .. }));
        assert!(matches!(refused("apps"), GitError::NotAFile { .. }));
        assert!(matches!(
            refused("apps/web.yaml/x"),
            GitError::NotAFile { .. }
        ));
        assert!(matches!(refused("../x"), GitError::InvalidName { .. }));
        assert!(matches!(
            refused(".git/hooks/x"),
            GitError::InvalidName { .. }
        ));
        let same = request(&parent, "apps/web.yaml", b"image: web:1\n");
        let error = repository.write_commit(&same).unwrap_err();
        assert!(matches!(error, GitError::NothingToCommit), "{error}");
    }

    #[test]
    fn a_commit_in_a_partial_clone_needs_no_blob() {
        let world = World::new();
        let (remote, clone) = world.remote_and_clone();
        let parent = world.commit(&clone, "apps/other.yaml", "x", "other");
        world.git(&clone, &["push", "-q"]);
        let url = format!("file://{}", remote.display());
        world.git(
            world.root(),
            &["clone", "-q", "--bare", "--filter=blob:none", &url, "p"],
        );
        let moved = world.root().join("away.git");
        std::fs::rename(&remote, &moved).unwrap();
        let repository = world.open(&world.root().join("p"));
        let wanted = request(&parent, "apps/web.yaml", b"image: web:0\n");
        let id = repository.write_commit(&wanted).unwrap();
        let changed = repository.changed_files(&id).unwrap();
        assert_eq!(changed.len(), 1);
    }

    #[test]
    fn who_commits() {
        let mut world = World::new();
        let (_, clone) = world.remote_and_clone();
        let ada = world.open(&clone).author().unwrap();
        assert_eq!(
            (ada.name.as_str(), ada.email.as_str()),
            ("Ada", "ada@example.com")
        );
        world.git(&clone, &["config", "--global", "--unset", "user.email"]);
        let error = world.open(&clone).committer().unwrap_err();
        assert!(matches!(error, GitError::NoIdentity { .. }), "{error}");
        assert!(
            error.to_string().contains("git config user.email"),
            "{error}"
        );
        world
            .env
            .insert("GIT_COMMITTER_EMAIL".into(), "ci@example.com".into());
        let ci = world.open(&clone).committer().unwrap();
        assert_eq!(
            (ci.name.as_str(), ci.email.as_str()),
            ("Ada", "ci@example.com")
        );
        assert!(world.open(&clone).author().is_err());
    }

    #[test]
    fn signed_as_the_user_signs() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        let key = world.root().join("key");
        let made = std::process::Command::new("ssh-keygen")
            .args([
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-C",
                "ada@example.com",
                "-f",
            ])
            .arg(&key)
            .status();
        assert!(
            made.is_ok_and(|status| status.success()),
            "this test needs ssh-keygen"
        );
        let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
        let allowed = world.root().join("allowed");
        std::fs::write(&allowed, format!("bob@example.com {public}")).unwrap();
        for (name, value) in [
            ("gpg.format", "ssh"),
            ("user.signingkey", key.to_str().unwrap()),
            ("gpg.ssh.allowedSignersFile", allowed.to_str().unwrap()),
        ] {
            world.git(&clone, &["config", name, value]);
        }
        let parent = world.id(&clone, "HEAD");
        let verified = |id: &CommitId| world.try_git(&clone, &["verify-commit", id.as_str()]).0;
        let mut wanted = request(&parent, "apps/web.yaml", b"signed\n");
        let unsigned = world.open(&clone).write_commit(&wanted).unwrap();
        assert!(!verified(&unsigned));

        world.git(&clone, &["config", "commit.gpgSign", "yes"]);
        let repository = world.open(&clone);
        let signing = repository.signing().unwrap();
        assert_eq!(
            (signing.wanted, signing.format.as_str(), signing.key_set),
            (true, "ssh", true)
        );
        assert!(verified(&repository.write_commit(&wanted).unwrap()));
        wanted.sign = SignMode::Never;
        assert_eq!(repository.write_commit(&wanted).unwrap(), unsigned);

        std::fs::remove_file(&key).unwrap();
        wanted.sign = SignMode::Always;
        let error = repository.write_commit(&wanted).unwrap_err();
        assert!(matches!(error, GitError::SigningFailed { .. }), "{error}");
    }
}
