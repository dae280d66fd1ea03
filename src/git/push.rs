//! Pushing one commit to one branch, and reading what became of it.

use super::error::{GitError, RemoteErrorKind};
use super::path::{RepositoryPath, check_branch};
use super::program::Call;
use super::run::Ended;
use crate::model::{CommitId, mask_url, plain};

/// What became of a push. Only the first two mean that the branch has the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushOutcome {
    /// The branch was moved, or made.
    Pushed {
        /// What the remote said, masked.
        text: String,
        /// The address that the remote gave for opening a pull request.
        url: Option<String>,
    },
    /// The branch was there already.
    UpToDate,
    /// The branch has moved: fetch, look, and try again.
    Rejected {
        /// git's reason: `fetch first`, `non-fast-forward`, a lock on the server, ...
        reason: String,
    },
    /// The remote does not take it, and would not the next time: a protected branch,
    /// a pre-receive hook, a rule.
    Refused {
        /// git's reason: `pre-receive hook declined`, ...
        reason: String,
        /// What the remote said, masked.
        text: String,
        /// An address for opening a pull request, if the remote gave one.
        url: Option<String>,
    },
    /// The remote did not accept the credentials, or they may not write.
    AuthFailed {
        /// What git and the remote said, masked.
        text: String,
    },
    /// The remote could not be reached, or broke off: whether the branch was moved is
    /// not known in the latter case.
    Unreachable {
        /// What git said, masked.
        text: String,
    },
    /// There is no such repository, or it is hidden from this identity.
    RepositoryNotFound {
        /// What git and the remote said, masked.
        text: String,
    },
    /// No answer in time: whether the branch was moved is not known.
    TimedOut {
        /// The limit.
        seconds: u64,
    },
    /// The user's own pre-push hook said no; nothing was sent.
    HookDeclinedLocally {
        /// What the hook said, masked.
        text: String,
    },
}

impl PushOutcome {
    /// Whether the branch has the commit now.
    #[must_use]
    pub const fn is_there(&self) -> bool {
        matches!(self, Self::Pushed { .. } | Self::UpToDate)
    }
}

impl RepositoryPath {
    /// Pushes a commit to a branch of a remote: a plain fast-forward, never forced.
    /// The user's pre-push hook runs.
    ///
    /// # Errors
    /// When the push could not be tried, or git failed in a way that none of the
    /// outcomes names. What the remote answered is an outcome, not an error.
    pub async fn push(
        &self,
        remote: &str,
        commit: &CommitId,
        branch: &str,
    ) -> Result<PushOutcome, GitError> {
        self.push_with(remote, commit, branch, &[]).await
    }

    /// Asks whether this identity may push to the remote at all: it proves the
    /// credentials, not the rights on that branch, and runs no hook on either side.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub async fn push_dry_run(
        &self,
        remote: &str,
        commit: &CommitId,
        branch: &str,
    ) -> Result<PushOutcome, GitError> {
        let more = ["--dry-run", "--no-verify"];
        self.push_with(remote, commit, branch, &more).await
    }

    /// Removes a branch of a remote, if it still points to this commit; false where it does not
    /// go. Only for branches that unship made.
    ///
    /// # Errors
    /// When git could not be run.
    pub async fn remove_branch(
        &self,
        remote: &str,
        branch: &str,
        commit: &CommitId,
    ) -> Result<bool, GitError> {
        check_branch(branch)?;
        let target = format!("refs/heads/{branch}");
        let lease = format!("--force-with-lease={target}:{commit}");
        let gone = format!(":{target}");
        let args = [
            "push",
            "--quiet",
            "--no-verify",
            &lease,
            "--",
            remote,
            &gone,
        ];
        let call: Call = self.remote_call(remote, &args).await?;
        match self.git.run(call).await {
            Ok(ended) => Ok(ended.ok),
            Err(GitError::TimedOut { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }

    async fn push_with(
        &self,
        remote: &str,
        commit: &CommitId,
        branch: &str,
        more: &[&str],
    ) -> Result<PushOutcome, GitError> {
        check_branch(branch)?;
        let target = format!("refs/heads/{branch}");
        let refspec = format!("{commit}:{target}");
        let mut args = vec!["push", "--porcelain", "--no-progress", "--no-follow-tags"];
        args.push("--recurse-submodules=no");
        args.extend(more);
        args.extend(["--", remote, &refspec]);
        // A remote made by `clone --mirror` would else refuse to push a single branch.
        let no_mirror = format!("remote.{remote}.mirror=false");
        args.splice(0..0, ["-c", no_mirror.as_str()]);
        let call: Call = self.remote_call(remote, &args).await?;
        let ended = match self.git.run(call).await {
            Ok(ended) => ended,
            Err(GitError::TimedOut { seconds, .. }) => {
                return Ok(PushOutcome::TimedOut { seconds });
            }
            Err(other) => return Err(other),
        };
        match outcome(&ended, &refspec) {
            Some(outcome) => Ok(outcome),
            None => self.without_answer(remote, branch, &ended),
        }
    }

    /// There is no line about the ref: the push did not get that far.
    fn without_answer(
        &self,
        remote: &str,
        branch: &str,
        ended: &Ended,
    ) -> Result<PushOutcome, GitError> {
        let text = ended.stderr();
        // A pre-push hook that fails ends the push before the remote is told anything:
        // git dies of nothing else then. What it writes to standard output comes there.
        let raw = ended.raw_stderr.as_str();
        let quiet_end = raw.contains("failed to push some refs") && !raw.contains("hung up");
        if quiet_end && !raw.contains("fatal: ") && self.has_pre_push() {
            let said = ended.shown(ended.text().trim());
            let text = format!("{said}\n{text}").trim().to_owned();
            return Ok(PushOutcome::HookDeclinedLocally { text });
        }
        match RemoteErrorKind::of(raw, None) {
            RemoteErrorKind::AuthFailed => Ok(PushOutcome::AuthFailed { text }),
            RemoteErrorKind::Unreachable => Ok(PushOutcome::Unreachable { text }),
            RemoteErrorKind::RepositoryNotFound => Ok(PushOutcome::RepositoryNotFound { text }),
            kind => {
                let doing = format!("push {branch} to");
                Err(self.remote_error(remote, doing, kind, text))
            }
        }
    }

    fn has_pre_push(&self) -> bool {
        let configured = self.config.get().and_then(|own| own.last("core.hookspath"));
        let folder = match configured {
            // Relative to where the hook runs: the top of the checkout.
            Some(path) => self.work_tree.as_ref().unwrap_or(&self.git_dir).join(path),
            None => self.common_dir().join("hooks"),
        };
        // A path such as `~/hooks` is not expanded here: take it that the hook is there.
        folder.join("pre-push").exists() || configured.is_some_and(|path| path.starts_with('~'))
    }
}

/// Reads the line that `--porcelain` prints for the ref:
/// `<flag> TAB <from>:<to> TAB <summary> (<reason>)`.
fn outcome(ended: &Ended, refspec: &str) -> Option<PushOutcome> {
    let stdout = ended.text();
    let mut lines = stdout.lines().filter_map(|line| {
        let mut fields = line.splitn(3, '\t');
        let (flag, refs) = (fields.next()?, fields.next()?);
        let own = flag.chars().count() == 1 && refs == refspec;
        own.then(|| (flag, fields.next().unwrap_or_default()))
    });
    // A remote may have several push addresses; it is done when all have it.
    let first = lines.next()?;
    let (flag, summary) = match first {
        ("!", _) => first,
        _ => lines.find(|(flag, _)| *flag == "!").unwrap_or(first),
    };
    let said = remote_lines(&ended.raw_stderr);
    let url = pull_request_url(&said).filter(|url| !ended.has_secret(url));
    let text = ended.shown(&said);
    Some(match flag {
        "=" => PushOutcome::UpToDate,
        "!" => {
            let reason = summary.split_once('(').map_or("", |(_, rest)| rest);
            let reason = ended.shown(reason.strip_suffix(')').unwrap_or(reason));
            if summary.starts_with("[rejected]") || is_race(&reason) {
                PushOutcome::Rejected { reason }
            } else if summary.starts_with("[remote rejected]") {
                PushOutcome::Refused { reason, text, url }
            } else {
                // `[remote failure]`, `[no match]`: the connection broke off.
                PushOutcome::Unreachable {
                    text: ended.stderr(),
                }
            }
        }
        _ => PushOutcome::Pushed { text, url },
    })
}

/// The server had the ref locked or moved in between: another push was faster.
fn is_race(reason: &str) -> bool {
    [
        "failed to update ref",
        "cannot lock ref",
        "failed to lock",
        "incorrect old value provided",
        "reference already exists",
        "unable to lock",
    ]
    .iter()
    .any(|text| reason.contains(text))
}

/// What the server itself said, without git's `remote: ` before each line.
fn remote_lines(stderr: &str) -> String {
    let lines = stderr
        .lines()
        .filter_map(|line| line.strip_prefix("remote:"))
        .map(|line| line.trim_end_matches("\u{1b}[K").trim());
    let joined: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    joined.join("\n")
}

/// The address for opening a pull or merge request that GitHub, GitLab, Gitea,
/// Bitbucket, Gerrit and Azure DevOps print after a push.
fn pull_request_url(text: &str) -> Option<String> {
    const MARKS: [&str; 8] = [
        "/pull/",
        "/pulls",
        "/compare/",
        "/merge_requests",
        "/pull-requests",
        "pullrequestcreate",
        "/c/",
        "/pr/",
    ];
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>'));
    let url = words
        .map(|word| word.trim_end_matches(['.', ',', ')', ';']))
        .find(|word| {
            let web = word.starts_with("https://") || word.starts_with("http://");
            web && MARKS.iter().any(|mark| word.contains(mark))
        })?;
    let url = plain(url);
    let Some((head, query)) = url.split_once('?') else {
        return Some(mask_url(&url));
    };
    // The query names the branch; one that may carry a token is not shown.
    let lower = query.to_ascii_lowercase();
    let secret = ["token", "secret", "password", "signature", "auth"];
    if secret.iter().any(|word| lower.contains(word)) {
        return Some(mask_url(&url));
    }
    Some(format!("{}?{query}", mask_url(head)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::testing::{World, request, script, wait};
    use super::*;

    /// A clone and a commit on top of its remote's tip.
    fn prepared(world: &World) -> (RepositoryPath, std::path::PathBuf, CommitId) {
        let (remote, clone) = world.remote_and_clone();
        let repository = world.open(&clone);
        let parent = world.id(&clone, "HEAD");
        let wanted = request(&parent, "apps/web.yaml", b"image: web:0\n");
        let id = repository.write_commit(&wanted).unwrap();
        (repository.path().clone(), remote, id)
    }

    fn push(path: &RepositoryPath, id: &CommitId, branch: &str) -> PushOutcome {
        wait(path.push("origin", id, branch)).unwrap()
    }

    #[test]
    fn a_plain_push() {
        let world = World::new();
        let (path, remote, id) = prepared(&world);
        let script_text = "echo 'Create a pull request by visiting:'; \
            echo '  https://github.com/o/r/pull/new/x'; printf '\\033[31mred\\n'";
        script(&remote.join("hooks/post-receive"), script_text);
        let dry = wait(path.push_dry_run("origin", &id, "main")).unwrap();
        assert!(dry.is_there(), "{dry:?}");
        assert_ne!(world.id(&remote, "main"), id);
        let PushOutcome::Pushed { text, url } = push(&path, &id, "main") else {
            panic!("not pushed");
        };
        assert_eq!(url.as_deref(), Some("https://github.com/o/r/pull/new/x"));
        assert!(
            text.contains("Create a pull request") && !text.contains('\u{1b}'),
            "{text}"
        );
        assert_eq!(world.id(&remote, "main"), id);
        assert_eq!(
            path.open().unwrap().tip("origin", "main").unwrap(),
            Some(id.clone())
        );
        assert_eq!(push(&path, &id, "main"), PushOutcome::UpToDate);
        assert!(push(&path, &id, "unship/abc").is_there());
        assert_eq!(world.id(&remote, "unship/abc"), id);
        assert!(wait(path.push("origin", &id, "main:x")).is_err());
    }

    #[test]
    fn a_branch_that_moved_is_never_overwritten() {
        let world = World::new();
        let (path, remote, id) = prepared(&world);
        let other = world.colleague("other");
        let theirs = world.commit(&other, "apps/web.yaml", "image: web:9\n", "theirs");
        world.git(&other, &["push", "-q"]);
        // Not even where the user's own configuration would force.
        let clone = world.root().join("clone");
        world.git(
            &clone,
            &["config", "remote.origin.push", "+refs/heads/*:refs/heads/*"],
        );
        world.git(&clone, &["config", "push.default", "matching"]);
        let outcome = push(&path, &id, "main");
        let reason = "fetch first".to_owned();
        assert_eq!(outcome, PushOutcome::Rejected { reason });
        assert_eq!(wait(path.fetch("origin", "main")).unwrap(), theirs);
        let reason = "non-fast-forward".to_owned();
        assert_eq!(push(&path, &id, "main"), PushOutcome::Rejected { reason });
        let dry = wait(path.push_dry_run("origin", &id, "main")).unwrap();
        assert!(matches!(dry, PushOutcome::Rejected { .. }), "{dry:?}");
        assert_eq!(world.id(&remote, "main"), theirs);
    }

    #[test]
    fn several_push_addresses_and_mirrors() {
        let world = World::new();
        let (path, remote, id) = prepared(&world);
        let clone = world.root().join("clone");
        let add = |url: &Path| {
            let args = ["remote", "set-url", "--add", "--push", "origin"];
            world.git(&clone, &[&args[..], &[url.to_str().unwrap()]].concat());
        };
        let second = world.root().join("second.git");
        let quoted = second.to_str().unwrap().to_owned();
        world.git(
            world.root(),
            &["clone", "-q", "--bare", "remote.git", &quoted],
        );
        script(&second.join("hooks/pre-receive"), "exit 1");
        add(&remote);
        add(&second);
        let outcome = push(&path, &id, "main");
        assert!(
            matches!(outcome, PushOutcome::Refused { .. }),
            "{outcome:?}"
        );
        assert_eq!(world.id(&remote, "main"), id);

        world.git(
            world.root(),
            &["clone", "-q", "--mirror", "remote.git", "mirror"],
        );
        let mirror = world.open(&world.root().join("mirror"));
        let wanted = request(&id, "apps/web.yaml", b"image: web:5\n");
        let next = mirror.write_commit(&wanted).unwrap();
        assert!(push(mirror.path(), &next, "main").is_there());
        assert_eq!(world.id(&remote, "main"), next);
    }

    #[test]
    fn a_race_within_the_server() {
        let world = World::new();
        let (path, remote, id) = prepared(&world);
        let tip = world.id(&remote, "main");
        // The branch moves after the server has told where it is.
        let text = format!(
            "git commit-tree -p {tip} -m theirs {tip}^{{tree}} > \"$GIT_DIR/theirs\"\n\
            unset GIT_QUARANTINE_PATH\n\
            git update-ref refs/heads/main $(cat \"$GIT_DIR/theirs\") 2> \"$GIT_DIR/why\" || exit 1"
        );
        let hook = remote.join("hooks/pre-receive");
        let with_identity = format!(
            "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b \
            GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b\n\
            export GIT_OBJECT_DIRECTORY=\"$PWD/objects\"\n{text}"
        );
        script(&hook, &with_identity);
        let outcome = push(&path, &id, "main");
        let PushOutcome::Rejected { reason } = &outcome else {
            let why = std::fs::read_to_string(remote.join("why")).unwrap_or_default();
            panic!("{outcome:?} {why}");
        };
        assert!(is_race(reason), "{reason}");
        let theirs = std::fs::read_to_string(remote.join("theirs")).unwrap();
        assert_eq!(world.id(&remote, "main").as_str(), theirs.trim());
    }

    #[test]
    fn a_locked_branch_on_the_server_is_a_race() {
        let world = World::new();
        let (path, remote, id) = prepared(&world);
        std::fs::write(remote.join("refs/heads/main.lock"), "").unwrap();
        let outcome = push(&path, &id, "main");
        assert!(
            matches!(outcome, PushOutcome::Rejected { .. }),
            "{outcome:?}"
        );
    }

    #[test]
    fn a_remote_that_says_no() {
        let world = World::new();
        let (path, remote, id) = prepared(&world);
        let text = "while read old new ref; do case $ref in refs/heads/main) \
            echo 'GH006: Protected branch update failed'; \
            echo 'Open https://bob:hunter22@gitea.example/o/r/compare/main...x?t=1 instead'; \
            exit 1;; esac; done";
        script(&remote.join("hooks/pre-receive"), text);
        let outcome = push(&path, &id, "main");
        let PushOutcome::Refused { reason, text, url } = &outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(reason, "pre-receive hook declined");
        assert!(text.contains("GH006"), "{text}");
        assert_eq!(
            url.as_deref(),
            Some("https://gitea.example/o/r/compare/main...x?t=1")
        );
        assert!(!format!("{outcome:?}").contains("hunter22"));
        assert!(push(&path, &id, "unship/abc").is_there());
    }

    #[test]
    fn the_users_own_hook_says_no() {
        let world = World::new();
        let (path, remote, id) = prepared(&world);
        let tip = world.id(&remote, "main");
        let hook = path.git_dir().join("hooks/pre-push");
        script(
            &hook,
            "cat >/dev/null; echo said out; echo said err >&2; exit 1",
        );
        let outcome = push(&path, &id, "main");
        let PushOutcome::HookDeclinedLocally { text } = &outcome else {
            panic!("{outcome:?}");
        };
        assert!(
            text.contains("said err") && text.contains("said out"),
            "{text}"
        );
        assert_eq!(world.id(&remote, "main"), tip);
        assert!(
            wait(path.push_dry_run("origin", &id, "main"))
                .unwrap()
                .is_there()
        );
        script(&hook, "cat >/dev/null; exit 0");
        assert!(push(&path, &id, "main").is_there());
    }

    #[test]
    fn remotes_that_cannot_be_pushed_to() {
        let world = World::new();
        let (path, remote, id) = prepared(&world);
        let set = |url: &str| {
            let clone = world.root().join("clone");
            world.git(&clone, &["remote", "set-url", "origin", url]);
            push(&world.open(&clone).path().clone(), &id, "main")
        };
        let outcome = set("http://bob:hunter22@127.0.0.1:1/a.git");
        assert!(
            matches!(outcome, PushOutcome::Unreachable { .. }),
            "{outcome:?}"
        );
        assert!(!format!("{outcome:?}").contains("hunter22"), "{outcome:?}");
        let outcome = set(&format!("{}x", remote.display()));
        assert!(
            matches!(outcome, PushOutcome::RepositoryNotFound { .. }),
            "{outcome:?}"
        );
        let outcome = set(answering_401(Path::new("/a.git")).as_str());
        assert!(
            matches!(outcome, PushOutcome::AuthFailed { .. }),
            "{outcome:?}"
        );
        assert!(!format!("{outcome:?}").contains("hunter22"), "{outcome:?}");
        drop(path);
    }

    /// A web server that wants other credentials, and the address to it.
    fn answering_401(path: &Path) -> String {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming().take(8) {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                let answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\n\
                    Content-Length: 0\r\nConnection: close\r\n\r\n";
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        format!("http://bob:hunter22@127.0.0.1:{port}{}", path.display())
    }

    #[test]
    fn addresses_of_pull_requests() {
        for (text, url) in [
            (
                "Create a pull request for 'u/1' on GitHub by visiting:\nhttps://github.com/o/r/pull/new/u/1",
                Some("https://github.com/o/r/pull/new/u/1"),
            ),
            (
                "To create a merge request for u, visit:\nhttps://u:sekret@gl.x/o/r/-/merge_requests/new?merge_request%5Bsource_branch%5D=u",
                Some("https://gl.x/o/r/-/merge_requests/new?merge_request%5Bsource_branch%5D=u"),
            ),
            (
                "Visit https://gitea.x/o/r/compare/main...u.",
                Some("https://gitea.x/o/r/compare/main...u"),
            ),
            (
                "https://x/o/pulls?access_token=sekret",
                Some("https://x/o/pulls?***"),
            ),
            ("see https://docs.example/protected", None),
        ] {
            assert_eq!(pull_request_url(text).as_deref(), url, "{text}");
        }
    }
}
