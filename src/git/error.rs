//! What can go wrong with Git, each with the next step where there is one.

use std::path::PathBuf;

use crate::model::{CommitId, mask_text, plain};

/// An error of this room. No text in it carries credentials or terminal control.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// The `git` program is not there.
    #[error(
        "the program {program:?} was not found: install git 2.34 or later, or put it on the PATH"
    )]
    ProgramMissing {
        /// What was looked for.
        program: String,
    },
    /// The work was cut short.
    #[error("the work on the repository was cut short: try again")]
    Interrupted,
    /// The `git` program is too old.
    #[error("git {found} is too old: install git 2.34 or later")]
    ProgramTooOld {
        /// Its version as it tells it.
        found: String,
    },
    /// There is no repository.
    #[error("{} is not in a Git repository: name a clone with --repo", path.display())]
    NotARepository {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The repository stores its refs in a reftable.
    #[error(
        "{} stores its refs as reftable, which libgit2 cannot read: use another clone \
         (`git clone --ref-format=files <url>`), or run `git refs migrate --ref-format=files` \
         with git 2.46 or later", path.display()
    )]
    Reftable {
        /// The repository.
        path: PathBuf,
    },
    /// The repository uses SHA-256 object ids.
    #[error(
        "{} uses SHA-256 object ids, which libgit2 cannot read: the rollback has to be made \
         with git by hand", path.display()
    )]
    Sha256 {
        /// The repository.
        path: PathBuf,
    },
    /// The repository belongs to another user.
    #[error(
        "{0} belongs to another user: if you trust it, run \
         `git config --global --add safe.directory {0}`", path.display()
    )]
    Owner {
        /// The repository.
        path: PathBuf,
    },
    /// The repository needs something that libgit2 does not know.
    #[error(
        "{} has the extension {name:?}, which libgit2 cannot read: use another clone", path.display()
    )]
    UnsupportedExtension {
        /// The repository.
        path: PathBuf,
        /// The extension's name.
        name: String,
    },
    /// The remote, or the way to it, failed.
    #[error(transparent)]
    Remote(#[from] Box<RemoteError>),
    /// No such remote.
    #[error("there is no remote {name:?}: `git remote -v` lists those that there are")]
    NoSuchRemote {
        /// The name asked for.
        name: String,
    },
    /// A text that cannot be a name of its kind.
    #[error("{text:?} is not {expected}")]
    InvalidName {
        /// The text.
        text: String,
        /// What it should have been, with its article.
        expected: &'static str,
    },
    /// No such commit.
    #[error(
        "no commit {text:?} in this clone{}",
        if *.shallow { ", which is shallow: `git fetch --unshallow` gets the rest" } else { "" }
    )]
    NoSuchCommit {
        /// What was asked for.
        text: String,
        /// Whether the clone is shallow, so that it may be missing only here.
        shallow: bool,
    },
    /// More than one commit is meant.
    #[error("{text:?} is ambiguous, it could be {}", choices.join(" or "))]
    Ambiguous {
        /// What was asked for.
        text: String,
        /// What it could mean.
        choices: Vec<String>,
    },
    /// An object is missing though it should be there.
    #[error("the object {id} is missing in this clone: `git fsck` tells more")]
    MissingObject {
        /// Its id.
        id: String,
    },
    /// The path is, or goes through, a symbolic link.
    #[error("{path} is a symbolic link to {target:?}: name the file that it points to")]
    Symlink {
        /// The link.
        path: String,
        /// Where it points to.
        target: String,
    },
    /// The path is, or goes through, a submodule.
    #[error("{path} is a submodule: name the submodule's own repository with --repo")]
    Submodule {
        /// The submodule.
        path: String,
    },
    /// The file's content is kept in Git LFS.
    #[error("{path} is a Git LFS pointer, its content is not in Git")]
    LfsPointer {
        /// The file.
        path: String,
    },
    /// The path is a folder, or a part of it is a file.
    #[error("{path} is not a file in commit {}", commit.short())]
    NotAFile {
        /// The path.
        path: String,
        /// The commit.
        commit: CommitId,
    },
    /// No such path.
    #[error("there is no {path} in commit {}", commit.short())]
    NoSuchPath {
        /// The path.
        path: String,
        /// The commit.
        commit: CommitId,
    },
    /// The history ends at the border of a shallow clone.
    #[error(
        "the history before {} is not in this shallow clone: `git fetch --unshallow` gets it",
        commit.short()
    )]
    Shallow {
        /// The commit at the border.
        commit: CommitId,
    },
    /// The commit would change nothing.
    #[error("the commit would change nothing")]
    NothingToCommit,
    /// No name or no address for commits.
    #[error(
        "no commit identity is configured: set it with `git config user.name` and \
         `git config user.email`, or give --author ({text})"
    )]
    NoIdentity {
        /// git's own words.
        text: String,
    },
    /// The commit could not be signed.
    #[error("the commit could not be signed: {text}")]
    SigningFailed {
        /// git's own words.
        text: String,
    },
    /// A branch of that name points elsewhere.
    #[error("the branch {branch} already exists at {}, it is left alone", at.short())]
    BranchExists {
        /// The branch.
        branch: String,
        /// Where it points.
        at: CommitId,
    },
    /// A file in the work tree is not what it was when the edit was made.
    #[error("{path} has changed meanwhile, it is left alone: run the command again")]
    FileChanged {
        /// The file.
        path: String,
    },
    /// The repository has no work tree.
    #[error("this repository has no work tree (it is bare)")]
    NoWorkTree,
    /// git failed in a way without a name of its own.
    #[error("`git {command}` failed: {text}")]
    Command {
        /// The subcommand.
        command: String,
        /// git's own words.
        text: String,
    },
    /// git did not end in time.
    #[error("`git {command}` did not end within {seconds} s")]
    TimedOut {
        /// The subcommand.
        command: String,
        /// The limit.
        seconds: u64,
    },
    /// A file could not be read or written.
    #[error("{doing}: {source}")]
    Io {
        /// What was done.
        doing: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// libgit2 failed in a way without a name of its own.
    #[error("{doing}: {text}")]
    Library {
        /// What was done.
        doing: String,
        /// libgit2's own words.
        text: String,
    },
}

/// A remote that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {doing} {remote}: {kind}{}", said(.text))]
pub struct RemoteError {
    /// `fetch main from`, `push to`, ...
    pub doing: String,
    /// The remote's name and address, without credentials.
    pub remote: String,
    /// What kind of failure.
    pub kind: RemoteErrorKind,
    /// What git and the remote said, masked.
    pub text: String,
}

fn said(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!(" (git said: {})", text.trim().replace('\n', "; "))
}

/// Why a remote could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteErrorKind {
    /// The host cannot be reached, or broke off.
    #[error("it cannot be reached")]
    Unreachable,
    /// The remote wants other credentials.
    #[error("it did not accept the credentials")]
    AuthFailed,
    /// There is no such repository, or it is hidden from this identity.
    #[error("there is no such repository, or this identity may not see it")]
    RepositoryNotFound,
    /// There is no such branch.
    #[error("it has no branch {branch:?}")]
    BranchNotFound {
        /// The branch.
        branch: String,
    },
    /// It took too long.
    #[error("no answer within {seconds} s")]
    TimedOut {
        /// The limit.
        seconds: u64,
    },
    /// Something else.
    #[error("git failed")]
    Other,
}

impl RemoteErrorKind {
    /// Reads what git said. The texts are those of git 2.34 to 2.51 in the C locale,
    /// of curl and OpenSSH; the order matters, as git adds general advice to all of them.
    pub(super) fn of(stderr: &str, branch: Option<&str>) -> Self {
        const AUTH: [&str; 16] = [
            "authentication failed",
            "could not read username",
            "could not read password",
            "permission denied (",
            "permission denied, please try again",
            "returned error: 401",
            "returned error: 403",
            "terminal prompts disabled",
            "host key verification failed",
            "invalid credentials",
            "access denied",
            "not authorized",
            // GitHub and GitLab over ssh.
            "denied to ",
            "marked as read only",
            "not allowed to push",
            "so it is read-only",
        ];
        const MISSING: [&str; 4] = [
            "does not appear to be a git repository",
            "repository not found",
            "returned error: 404",
            "project you were looking for could not be found",
        ];
        const UNREACHABLE: [&str; 20] = [
            "could not resolve",
            "couldn't connect",
            "failed to connect",
            "connection refused",
            "connection timed out",
            "connection reset",
            "connection closed",
            "operation timed out",
            "network is unreachable",
            "no route to host",
            "empty reply from server",
            "returned error: 5",
            "ssl certificate problem",
            "certificate verification failed",
            "gnutls_handshake() failed",
            "ssl_connect",
            "recv failure",
            "hung up unexpectedly",
            "early eof",
            "proxy connect aborted",
        ];
        let lower = stderr.to_lowercase();
        let has = |texts: &[&str]| texts.iter().any(|text| lower.contains(text));
        if has(&AUTH) {
            return Self::AuthFailed;
        }
        if let Some(branch) = branch
            && lower.contains("couldn't find remote ref")
        {
            return Self::BranchNotFound {
                branch: branch.to_owned(),
            };
        }
        let quoted = lower.contains("repository '") && lower.contains("' not found");
        let gone = lower.contains("repository '") && lower.contains("' does not exist");
        if quoted || gone || has(&MISSING) {
            return Self::RepositoryNotFound;
        }
        if has(&UNREACHABLE) {
            return Self::Unreachable;
        }
        Self::Other
    }
}

impl GitError {
    /// The kind of remote failure, if that is what this is.
    #[must_use]
    pub fn remote_kind(&self) -> Option<&RemoteErrorKind> {
        match self {
            Self::Remote(error) => Some(&error.kind),
            _ => None,
        }
    }

    pub(super) fn io(doing: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io {
            doing: doing.into(),
            source,
        }
    }

    pub(super) fn library(doing: &str, error: &git2::Error) -> Self {
        Self::Library {
            doing: format!("cannot {doing}"),
            text: mask_text(&plain(error.message())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_remote_failures() {
        let branch = Some("main");
        for (text, kind) in [
            (
                "fatal: unable to access 'http://127.0.0.1:1/x.git/': Failed to connect to 127.0.0.1 port 1",
                RemoteErrorKind::Unreachable,
            ),
            (
                "ssh: Could not resolve hostname nope: Name or service not known\nfatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.",
                RemoteErrorKind::Unreachable,
            ),
            (
                "git@github.com: Permission denied (publickey).\nfatal: Could not read from remote repository.",
                RemoteErrorKind::AuthFailed,
            ),
            (
                "fatal: could not read Username for 'https://github.com': terminal prompts disabled",
                RemoteErrorKind::AuthFailed,
            ),
            (
                "fatal: unable to access 'https://h/x/': The requested URL returned error: 403",
                RemoteErrorKind::AuthFailed,
            ),
            (
                "ERROR: Permission to o/r.git denied to bob.\nfatal: Could not read from remote repository.",
                RemoteErrorKind::AuthFailed,
            ),
            (
                "fatal: unable to access 'https://h/x/': The requested URL returned error: 503",
                RemoteErrorKind::Unreachable,
            ),
            (
                "remote: Not Found\nfatal: repository 'http://h/x.git/' not found",
                RemoteErrorKind::RepositoryNotFound,
            ),
            (
                "ERROR: Repository not found.\nfatal: Could not read from remote repository.",
                RemoteErrorKind::RepositoryNotFound,
            ),
            (
                "fatal: '/x' does not appear to be a git repository",
                RemoteErrorKind::RepositoryNotFound,
            ),
            (
                "fatal: couldn't find remote ref refs/heads/main",
                RemoteErrorKind::BranchNotFound {
                    branch: "main".into(),
                },
            ),
            ("fatal: bad pack header", RemoteErrorKind::Other),
            (
                "error: cannot run ssh: No such file or directory\nfatal: unable to fork",
                RemoteErrorKind::Other,
            ),
            (
                "error: unable to write file objects/x: Read-only file system",
                RemoteErrorKind::Other,
            ),
        ] {
            assert_eq!(RemoteErrorKind::of(text, branch), kind, "{text}");
        }
    }
}
