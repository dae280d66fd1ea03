//! Where a repository is, and what the `git` program does there: everything that
//! needs the network.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::config::Config;
use super::error::{GitError, RemoteError, RemoteErrorKind};
use super::program::{Call, Git};
use super::remotes;
use super::repository::Repository;
use super::run::Ended;
use crate::model::CommitId;

/// Where a repository is and how to run git in it. Cheap to clone, `Send` and `Sync`.
#[derive(Clone)]
pub struct RepositoryPath {
    pub(super) git: Git,
    pub(super) git_dir: PathBuf,
    pub(super) work_tree: Option<PathBuf>,
    /// Configuration of this handle alone, for addresses with credentials.
    pub(super) extra: Arc<Vec<(String, String)>>,
    /// Whether this is a clone of our own, in the cache folder.
    pub(super) cached: bool,
    pub(super) config: Arc<OnceLock<Config>>,
}

/// What a remote's `HEAD` points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteHead {
    /// The default branch; none when the remote's `HEAD` is detached.
    pub branch: Option<String>,
    /// Its tip.
    pub tip: CommitId,
}

/// How often a fetch is tried again when another process holds a lock of this clone.
const LOCK_TRIES: u32 = 12;

impl RepositoryPath {
    pub(super) fn new(git: &Git, git_dir: PathBuf, work_tree: Option<PathBuf>) -> Self {
        Self {
            git: git.clone(),
            work_tree,
            extra: Arc::default(),
            cached: false,
            config: git.config_of(&git_dir),
            git_dir,
        }
    }

    /// The `.git` folder, or the bare repository itself.
    #[must_use]
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// The folder of the checkout; none for a bare repository.
    #[must_use]
    pub fn work_tree(&self) -> Option<&Path> {
        self.work_tree.as_deref()
    }

    /// Whether this is a clone that unship keeps in its cache folder.
    #[must_use]
    pub const fn is_cached_clone(&self) -> bool {
        self.cached
    }

    /// Opens it (again): needed after [`Self::deepen`], as an open handle keeps the
    /// history as it saw it.
    ///
    /// # Errors
    /// As [`Repository::open`].
    pub fn open(&self) -> Result<Repository, GitError> {
        Repository::open_at(self.clone())
    }

    pub(super) fn call<S: AsRef<std::ffi::OsStr>>(&self, limit: Duration, args: &[S]) -> Call {
        let mut call = Call::new(limit, args);
        call.folder = Some(
            self.work_tree
                .clone()
                .unwrap_or_else(|| self.git_dir.clone()),
        );
        call.git_dir = Some(self.git_dir.clone());
        call.config.clone_from(&self.extra);
        call
    }

    pub(super) fn config_blocking(&self) -> Result<&Config, GitError> {
        if let Some(config) = self.config.get() {
            return Ok(config);
        }
        let call = self.call(self.git.limits().local, &["config", "--list", "-z"]);
        let ended = self.git.run_blocking(call)?.success("config")?;
        Ok(self.config.get_or_init(|| Config::parse(&ended.stdout)))
    }

    pub(super) async fn config(&self) -> Result<&Config, GitError> {
        if let Some(config) = self.config.get() {
            return Ok(config);
        }
        let call = self.call(self.git.limits().local, &["config", "--list", "-z"]);
        let ended = self.git.run(call).await?.success("config")?;
        Ok(self.config.get_or_init(|| Config::parse(&ended.stdout)))
    }

    /// A call that talks with a remote: its credentials are masked in what it says.
    pub(super) async fn remote_call(&self, remote: &str, args: &[&str]) -> Result<Call, GitError> {
        let config = self.config().await?;
        if config.last(&format!("remote.{remote}.url")).is_none() || remote.starts_with('-') {
            return Err(GitError::NoSuchRemote {
                name: remote.to_owned(),
            });
        }
        let mut call = self.call(self.git.limits().network, args);
        call.secrets = config.secrets();
        if config.last("core.sshcommand").is_none() {
            call.env.extend(self.git.quiet_ssh());
        }
        Ok(call)
    }

    /// How a remote is named in messages.
    pub(super) fn shown_remote(&self, remote: &str) -> String {
        let config = self.config.get();
        let url = config.and_then(|config| remotes::find(config, remote));
        url.map_or_else(
            || remote.to_owned(),
            |found| format!("{remote} ({})", found.fetch_url),
        )
    }

    pub(super) fn remote_error(
        &self,
        remote: &str,
        doing: String,
        kind: RemoteErrorKind,
        text: String,
    ) -> GitError {
        GitError::Remote(Box::new(RemoteError {
            doing,
            remote: self.shown_remote(remote),
            kind,
            text,
        }))
    }

    /// Runs a call to a remote; its failures become [`RemoteError`]s.
    async fn ask(
        &self,
        remote: &str,
        doing: &str,
        branch: Option<&str>,
        call: Call,
    ) -> Result<Ended, GitError> {
        let outcome = self.git.run(call).await;
        self.judged(remote, doing, branch, outcome)
    }

    fn judged(
        &self,
        remote: &str,
        doing: &str,
        branch: Option<&str>,
        outcome: Result<Ended, GitError>,
    ) -> Result<Ended, GitError> {
        match outcome {
            Ok(ended) if ended.ok => Ok(ended),
            Ok(ended) => {
                let kind = RemoteErrorKind::of(&ended.raw_stderr, branch);
                Err(self.remote_error(remote, doing.to_owned(), kind, ended.stderr()))
            }
            Err(GitError::TimedOut { seconds, .. }) => {
                let kind = RemoteErrorKind::TimedOut { seconds };
                Err(self.remote_error(remote, doing.to_owned(), kind, String::new()))
            }
            Err(other) => Err(other),
        }
    }

    /// Fetches one branch into its remote-tracking ref and gives its tip.
    ///
    /// # Errors
    /// [`GitError::Remote`] with its kind, [`GitError::NoSuchRemote`], [`GitError::InvalidName`].
    pub async fn fetch(&self, remote: &str, branch: &str) -> Result<CommitId, GitError> {
        let Some(once) = &self.git.once else {
            return self.fetch_with(remote, branch, &[]).await;
        };
        let key = (self.git_dir.clone(), remote.to_owned(), branch.to_owned());
        once.tips
            .answer(key, self.fetch_with(remote, branch, &[]))
            .await
    }

    /// The same place, where everything is asked anew again.
    #[must_use]
    pub fn asking_again(&self) -> Self {
        let mut own = self.clone();
        own.git.once = None;
        own.config = Arc::default();
        own
    }

    /// Fetches one branch with its whole history, if this clone is shallow. Open the
    /// repository again afterwards.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub async fn deepen(&self, remote: &str, branch: &str) -> Result<CommitId, GitError> {
        let shallow = self.common_dir().join("shallow");
        let unshallow: &[&str] = if shallow.exists() {
            &["--unshallow"]
        } else {
            &[]
        };
        self.fetch_with(remote, branch, unshallow).await
    }

    async fn fetch_with(
        &self,
        remote: &str,
        branch: &str,
        more: &[&str],
    ) -> Result<CommitId, GitError> {
        let tracking = format!("refs/remotes/{remote}/{branch}");
        check_branch(branch)?;
        let refspec = format!("+refs/heads/{branch}:{tracking}");
        let doing = format!("fetch {branch} from");
        self.fetch_refs(remote, &refspec, (&doing, Some(branch)), more)
            .await?;
        self.ref_target(&tracking)?.ok_or_else(|| {
            let kind = RemoteErrorKind::BranchNotFound {
                branch: branch.to_owned(),
            };
            self.remote_error(remote, doing, kind, String::new())
        })
    }

    /// Fetches what a refspec names, and tries again while another process has a lock.
    pub(super) async fn fetch_refs(
        &self,
        remote: &str,
        refspec: &str,
        (doing, branch): (&str, Option<&str>),
        more: &[&str],
    ) -> Result<(), GitError> {
        let mut args = vec!["fetch", "--quiet", "--no-tags", "--no-write-fetch-head"];
        if !self.cached {
            // A repository of the user is packed when the user's own git does it.
            args.push("--no-auto-maintenance");
        }
        args.extend(more);
        args.extend(["--", remote, refspec]);
        for attempt in 1.. {
            let call = self.remote_call(remote, &args).await?;
            match self.ask(remote, doing, branch, call).await {
                Err(GitError::Remote(error)) if attempt < LOCK_TRIES && is_lock(&error.text) => {
                    tokio::time::sleep(jitter(attempt)).await;
                }
                Err(error) => return Err(error),
                Ok(_) => break,
            }
        }
        Ok(())
    }

    /// The remote's default branch and its tip, asked from the remote.
    ///
    /// # Errors
    /// [`GitError::Remote`] with its kind; for an empty repository its kind is
    /// [`RemoteErrorKind::BranchNotFound`].
    pub async fn remote_head(&self, remote: &str) -> Result<RemoteHead, GitError> {
        let args = ["ls-remote", "--quiet", "--symref", "--", remote, "HEAD"];
        let call = self.remote_call(remote, &args).await?;
        let ended = self.ask(remote, "read the refs of", None, call).await?;
        let text = ended.text();
        let lines = || text.lines().filter_map(|line| line.split_once('\t'));
        let head = lines().filter(|(_, name)| *name == "HEAD");
        let (mut branch, mut tip) = (None, None);
        for (value, _) in head {
            match value.strip_prefix("ref: refs/heads/") {
                Some(name) => branch = Some(name.to_owned()),
                None => tip = tip.or_else(|| CommitId::parse(value).ok()),
            }
        }
        let tip = tip.ok_or_else(|| {
            let kind = RemoteErrorKind::BranchNotFound {
                branch: branch.clone().unwrap_or_else(|| "HEAD".to_owned()),
            };
            self.remote_error(remote, "read the HEAD of".to_owned(), kind, String::new())
        })?;
        Ok(RemoteHead { branch, tip })
    }

    /// What full ref names point to on the remote, asked from the remote without
    /// fetching. A name may end in `*`; annotated tags are given as the commit.
    ///
    /// # Errors
    /// [`GitError::Remote`] with its kind.
    pub async fn remote_refs(
        &self,
        remote: &str,
        names: &[&str],
    ) -> Result<Vec<(String, CommitId)>, GitError> {
        let peeled: Vec<String> = names.iter().map(|name| format!("{name}^{{}}")).collect();
        let mut args = vec!["ls-remote", "--quiet", "--refs", "--", remote];
        if names.iter().any(|name| name.starts_with("refs/tags/")) {
            args.retain(|arg| *arg != "--refs");
            args.extend(peeled.iter().map(String::as_str));
        }
        args.extend(names);
        let call = self.remote_call(remote, &args).await?;
        let ended = self.ask(remote, "read the refs of", None, call).await?;
        let mut found: Vec<(String, CommitId)> = Vec::new();
        for (id, name) in ended
            .text()
            .lines()
            .filter_map(|line| line.split_once('\t'))
        {
            let Ok(id) = CommitId::parse(id) else {
                continue;
            };
            // A tag is listed first, the commit that it names right after it.
            match name.strip_suffix("^{}") {
                Some(tag) => {
                    found.retain(|(own, _)| own != tag);
                    found.push((tag.to_owned(), id));
                }
                None => found.push((name.to_owned(), id)),
            }
        }
        Ok(found)
    }

    /// Fetches objects by id from the remote that promised them, in one request, as git
    /// itself does when it misses one (`promisor-remote.c`, git 2.29 and later).
    pub(super) fn fetch_objects_blocking(
        &self,
        remote: &str,
        ids: &[String],
    ) -> Result<(), GitError> {
        let config = self.config_blocking()?;
        let args = [
            "-c",
            "fetch.negotiationAlgorithm=noop",
            "fetch",
            "--quiet",
            "--no-tags",
        ];
        let mut call = self.call(self.git.limits().network, &args);
        let more = [
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--filter=blob:none",
        ];
        let more = more.into_iter().chain(["--stdin", "--", remote]);
        call.args.extend(more.map(Into::into));
        call.stdin = Some((ids.join("\n") + "\n").into_bytes());
        call.secrets = config.secrets();
        let doing = format!("fetch {} missing objects from", ids.len());
        let outcome = self.git.run_blocking(call);
        self.judged(remote, &doing, None, outcome).map(|_| ())
    }

    pub(super) fn common_dir(&self) -> PathBuf {
        let pointer = std::fs::read_to_string(self.git_dir.join("commondir"));
        pointer.map_or_else(
            |_| self.git_dir.clone(),
            |text| self.git_dir.join(text.trim_end()),
        )
    }

    fn ref_target(&self, name: &str) -> Result<Option<CommitId>, GitError> {
        self.open()?.ref_target(name)
    }
}

pub(super) fn check_branch(branch: &str) -> Result<(), GitError> {
    let full = format!("refs/heads/{branch}");
    if branch.starts_with('-') || !git2::Reference::is_valid_name(&full) {
        return Err(GitError::InvalidName {
            text: branch.to_owned(),
            expected: "a branch name",
        });
    }
    Ok(())
}

/// Another process of this user works in the same clone.
fn is_lock(text: &str) -> bool {
    let text = text.to_lowercase();
    // A branch `a` where `a/b` is to be made does not go away by itself.
    if text.contains("exists; cannot create") {
        return false;
    }
    text.contains("cannot lock ref")
        || (text.contains("unable to create") && text.contains(".lock"))
}

/// Grows with the attempts, different for each process.
fn jitter(attempt: u32) -> Duration {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |now| now.subsec_nanos());
    let own = (nanos / 1000) ^ std::process::id();
    Duration::from_millis(u64::from(attempt * 15 + own % 40))
}

impl fmt::Debug for RepositoryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepositoryPath")
            .field("git_dir", &self.git_dir)
            .field("work_tree", &self.work_tree)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::program::Limits;
    use super::super::testing::{World, script, wait};
    use super::*;

    #[test]
    fn one_branch_is_fetched_and_nothing_else_moves() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        let other = world.colleague("other");
        let two = world.commit(&other, "apps/web.yaml", "image: web:2\n", "web 2");
        world.git(&other, &["tag", "v2"]);
        world.git(&other, &["push", "-q", "origin", "main", "v2", "main:next"]);
        let refs = world.git(&clone, &["for-each-ref", "refs/heads", "refs/tags"]);
        let repository = world.open(&clone);
        let path = repository.path();
        assert_eq!(wait(path.fetch("origin", "main")).unwrap(), two);
        assert_eq!(repository.tip("origin", "main").unwrap(), Some(two.clone()));
        assert_eq!(repository.tip("origin", "next").unwrap(), None);
        let after = world.git(&clone, &["for-each-ref", "refs/heads", "refs/tags"]);
        assert_eq!(after, refs);
        assert!(!clone.join(".git/FETCH_HEAD").exists());
        let head = wait(path.remote_head("origin")).unwrap();
        assert_eq!(head.branch.as_deref(), Some("main"));
        assert_eq!(head.tip, two);
        assert_eq!(wait(path.deepen("origin", "main")).unwrap(), two);

        world.git(&other, &["tag", "-a", "v3", "-m", "three"]);
        world.git(&other, &["push", "-q", "origin", "v3"]);
        let names = ["refs/tags/v3", "refs/heads/next", "refs/heads/none"];
        let mut refs = wait(path.remote_refs("origin", &names)).unwrap();
        refs.sort();
        let expected = [("refs/heads/next", &two), ("refs/tags/v3", &two)];
        assert_eq!(
            refs,
            expected.map(|(name, id)| (name.to_owned(), id.clone()))
        );
    }

    #[test]
    fn failures_have_a_kind() {
        let world = World::new();
        let (remote, clone) = world.remote_and_clone();
        let kind = |name: &str, branch: &str| {
            let path = world.open(&clone).path().clone();
            let error = wait(path.fetch(name, branch)).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(!text.contains("hunter22"), "{text}");
            error.remote_kind().cloned()
        };
        let branch = "none".to_owned();
        assert_eq!(
            kind("origin", "none"),
            Some(RemoteErrorKind::BranchNotFound { branch })
        );
        let add = |name: &str, url: &str| world.git(&clone, &["remote", "add", name, url]);
        add("closed", "http://bob:hunter22@127.0.0.1:1/a.git");
        assert_eq!(kind("closed", "main"), Some(RemoteErrorKind::Unreachable));
        add("gone", &format!("{}x", remote.display()));
        assert_eq!(
            kind("gone", "main"),
            Some(RemoteErrorKind::RepositoryNotFound)
        );
        let ssh = world.root().join("ssh");
        script(
            &ssh,
            "echo 'bob@h: Permission denied (publickey).' >&2; exit 255",
        );
        world.git(
            &clone,
            &["config", "core.sshCommand", ssh.to_str().unwrap()],
        );
        add("locked", "ssh://git@127.0.0.1/a.git");
        assert_eq!(kind("locked", "main"), Some(RemoteErrorKind::AuthFailed));
        let path = world.open(&clone).path().clone();
        let error = wait(path.fetch("nobody", "main")).unwrap_err();
        assert!(matches!(error, GitError::NoSuchRemote { .. }), "{error}");
        let error = wait(path.fetch("origin", "--all")).unwrap_err();
        assert!(matches!(error, GitError::InvalidName { .. }), "{error}");
        let empty = world.root().join("empty.git");
        world.git(
            world.root(),
            &["init", "-q", "--bare", empty.to_str().unwrap()],
        );
        add("empty", empty.to_str().unwrap());
        let path = world.open(&clone).path().clone();
        let error = wait(path.remote_head("empty")).unwrap_err();
        let kind = error.remote_kind();
        assert!(
            matches!(kind, Some(RemoteErrorKind::BranchNotFound { .. })),
            "{error}"
        );
    }

    #[test]
    fn no_answer_is_not_waited_for() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        let ssh = world.root().join("ssh");
        script(&ssh, "sleep 20");
        world.git(
            &clone,
            &["config", "core.sshCommand", ssh.to_str().unwrap()],
        );
        world.git(
            &clone,
            &["remote", "add", "slow", "ssh://git@127.0.0.1/a.git"],
        );
        let limits = Limits {
            network: Duration::from_secs(1),
            ..Limits::default()
        };
        let git = world.program().with_limits(limits);
        let repository = Repository::open(&clone, &git).unwrap();
        let begun = std::time::Instant::now();
        let error = wait(repository.path().fetch("slow", "main")).unwrap_err();
        let kind = error.remote_kind().cloned();
        assert_eq!(
            kind,
            Some(RemoteErrorKind::TimedOut { seconds: 1 }),
            "{error}"
        );
        let tip = repository.resolve("HEAD").unwrap();
        let pushed = wait(repository.path().push("slow", &tip, "main")).unwrap();
        assert_eq!(pushed, crate::git::PushOutcome::TimedOut { seconds: 1 });
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn many_processes_in_one_clone() {
        let world = World::new();
        let (_, clone) = world.remote_and_clone();
        let other = world.colleague("other");
        let path = world.open(&clone).path().clone();
        for round in 0..3 {
            let text = format!("image: web:{round}0\n");
            let tip = world.commit(&other, "apps/web.yaml", &text, "next");
            world.git(&other, &["push", "-q"]);
            let fetches = (0..8).map(|_| path.fetch("origin", "main"));
            for fetched in wait(futures::future::join_all(fetches)) {
                assert_eq!(fetched.unwrap(), tip);
            }
        }
    }
}
