//! Repositories for the tests of this room, made by the real git program.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{CommitRequest, Git, Repository, SignMode, Stamp};
use crate::model::{CommitId, Identity};

/// A folder with a home of its own, so that the configuration of whoever runs the
/// tests plays no part.
pub(super) struct World {
    dir: tempfile::TempDir,
    pub(super) env: HashMap<OsString, OsString>,
}

impl World {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        std::fs::create_dir(&home).unwrap();
        let path = std::env::var_os("PATH").unwrap();
        let env: HashMap<OsString, OsString> = [
            ("PATH", path),
            ("HOME", home.into_os_string()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
        ]
        .into_iter()
        .map(|(key, value)| (key.into(), value))
        .collect();
        let world = Self { dir, env };
        for (key, value) in [
            ("user.name", "Ada"),
            ("user.email", "ada@example.com"),
            ("init.defaultBranch", "main"),
            ("advice.detachedHead", "false"),
            ("protocol.file.allow", "always"),
        ] {
            world.git(world.root(), &["config", "--global", key, value]);
        }
        world
    }

    pub(super) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn program(&self) -> Git {
        Git::new(self.env.clone())
    }

    /// Runs git in a folder; commits get times one minute apart.
    pub(super) fn git(&self, folder: &Path, args: &[&str]) -> String {
        let (ok, stdout, stderr) = self.try_git(folder, args);
        assert!(ok, "git {args:?}: {stderr}");
        stdout
    }

    pub(super) fn try_git(&self, folder: &Path, args: &[&str]) -> (bool, String, String) {
        use std::sync::atomic::{AtomicU64, Ordering};
        static CLOCK: AtomicU64 = AtomicU64::new(1_700_000_000);
        let now = format!("@{} +0000", CLOCK.fetch_add(60, Ordering::Relaxed));
        let output = Command::new("git")
            .env_clear()
            .envs(&self.env)
            .env("GIT_AUTHOR_DATE", &now)
            .env("GIT_COMMITTER_DATE", &now)
            .current_dir(folder)
            .args(args)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        (output.status.success(), out, err)
    }

    /// A bare remote with one commit on `main`, and a clone of it.
    pub(super) fn remote_and_clone(&self) -> (PathBuf, PathBuf) {
        let remote = self.root().join("remote.git");
        let clone = self.root().join("clone");
        self.git(self.root(), &["init", "-q", "--bare", "remote.git"]);
        self.git(&remote, &["config", "uploadpack.allowFilter", "true"]);
        self.git(self.root(), &["clone", "-q", "remote.git", "clone"]);
        self.commit(&clone, "apps/web.yaml", "image: web:1\n", "web 1");
        self.git(&clone, &["push", "-q", "origin", "main"]);
        (remote, clone)
    }

    /// Writes a file, commits it, gives the commit.
    pub(super) fn commit(&self, repo: &Path, path: &str, text: &str, message: &str) -> CommitId {
        let file = repo.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        self.git(repo, &["add", "--", path]);
        self.commit_staged(repo, message)
    }

    pub(super) fn commit_staged(&self, repo: &Path, message: &str) -> CommitId {
        self.git(repo, &["commit", "-q", "--allow-empty", "-m", message]);
        self.id(repo, "HEAD")
    }

    pub(super) fn id(&self, repo: &Path, text: &str) -> CommitId {
        let text = self.git(
            repo,
            &["rev-parse", "--verify", &format!("{text}^{{commit}}")],
        );
        CommitId::parse(&text).unwrap()
    }

    pub(super) fn open(&self, path: &Path) -> Repository {
        Repository::open(path, &self.program()).unwrap()
    }

    /// Another clone of the remote, as a colleague has it.
    pub(super) fn colleague(&self, name: &str) -> PathBuf {
        self.git(self.root(), &["clone", "-q", "remote.git", name]);
        self.root().join(name)
    }
}

/// A hook or helper program. Another process writes it: a child that another thread forks
/// meanwhile would hold it open for writing, and then it cannot be run (ETXTBSY).
pub(super) fn script(file: &Path, text: &str) {
    use std::io::Write as _;
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let mut writer = std::process::Command::new("sh")
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(file)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = writer.stdin.take().unwrap();
    write!(input, "#!/bin/sh\n{text}\n").unwrap();
    drop(input);
    assert!(writer.wait().unwrap().success());
}

pub(super) fn request(parent: &CommitId, path: &str, bytes: &[u8]) -> CommitRequest {
    let stamp = Stamp {
        identity: Identity {
            name: "Bob Ünal".into(),
            email: "bob@example.com".into(),
        },
        time: jiff::Timestamp::from_second(1_800_000_000).unwrap(),
    };
    CommitRequest {
        parent: parent.clone(),
        files: vec![(path.to_owned(), bytes.to_vec())],
        removed: Vec::new(),
        message: "fix: rollback web\n\nwhy\n\nUnship-Plan: abc\nUnship-Run: run-1\n".into(),
        author: stamp.clone(),
        committer: stamp,
        sign: SignMode::AsConfigured,
    }
}

/// Runs a future on a runtime of its own.
pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future)
}

const fn is_send<T: Send>() {}
const fn is_send_sync<T: Send + Sync + Clone>() {}
const _: () = is_send::<Repository>();
const _: () = is_send_sync::<super::RepositoryPath>();
