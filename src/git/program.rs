//! Running the `git` program: one environment, no prompts unless allowed, time limits.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::error::GitError;
use crate::model::{MASK, mask_text, plain};

/// How long the `git` program may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For talking with a remote.
    pub network: Duration,
    /// For a first clone.
    pub clone: Duration,
    /// For local work.
    pub local: Duration,
    /// For making a commit, where a person may have to unlock a key.
    pub signing: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            network: Duration::from_secs(60),
            clone: Duration::from_secs(600),
            local: Duration::from_secs(30),
            signing: Duration::from_secs(120),
        }
    }
}

/// How to run the `git` program. Its environment is given, not read.
#[derive(Clone)]
pub struct Git {
    program: PathBuf,
    env: Arc<HashMap<OsString, OsString>>,
    terminal_prompt: bool,
    limits: Limits,
}

/// The version of the `git` program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitVersion {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// As git tells it, for instance `2.39.5 (Apple Git-154)`.
    pub text: String,
}

/// Variables that would point git at another repository than the one named.
const REPOSITORY_VARIABLES: [&str; 14] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_GRAFT_FILE",
    "GIT_SHALLOW_FILE",
    "GIT_REPLACE_REF_BASE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_PREFIX",
    "GIT_NAMESPACE",
    "GIT_INTERNAL_SUPER_PREFIX",
];

/// How long to go on reading once git has ended: a helper that it left behind (an
/// ssh master connection, a credential daemon) may hold its output open for hours.
const GRACE: Duration = Duration::from_millis(500);

/// One call of the program.
#[derive(Default)]
pub(super) struct Call {
    pub(super) args: Vec<OsString>,
    pub(super) folder: Option<PathBuf>,
    pub(super) git_dir: Option<PathBuf>,
    pub(super) stdin: Option<Vec<u8>>,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) config: Vec<(String, String)>,
    pub(super) secrets: Vec<String>,
    pub(super) limit: Duration,
}

impl Call {
    pub(super) fn new<S: AsRef<OsStr>>(limit: Duration, args: &[S]) -> Self {
        Self {
            args: args.iter().map(|arg| arg.as_ref().to_owned()).collect(),
            limit,
            ..Self::default()
        }
    }

    /// The subcommand, for messages.
    pub(super) fn name(&self) -> String {
        let mut words = self.args.iter().map(|arg| arg.to_string_lossy());
        let plain_word = |word: &std::borrow::Cow<'_, str>| !word.starts_with('-');
        let mut skip_value = false;
        let found = words.find(|word| {
            let value = std::mem::replace(&mut skip_value, word == "-c");
            !value && plain_word(word)
        });
        found.map(|word| word.into_owned()).unwrap_or_default()
    }

    fn timed_out(&self) -> GitError {
        GitError::TimedOut {
            command: self.name(),
            seconds: self.limit.as_secs(),
        }
    }
}

/// What the program left.
pub(super) struct Ended {
    pub(super) ok: bool,
    pub(super) code: Option<i32>,
    pub(super) stdout: Vec<u8>,
    /// As it came: for reading, not for showing.
    pub(super) raw_stderr: String,
    secrets: Vec<String>,
}

impl Ended {
    /// Standard error as it may be shown.
    pub(super) fn stderr(&self) -> String {
        shown(self.raw_stderr.trim_end(), &self.secrets)
    }

    /// A text from the program as it may be shown.
    pub(super) fn shown(&self, text: &str) -> String {
        shown(text, &self.secrets)
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard output of a call that has to succeed.
    pub(super) fn success(self, command: &str) -> Result<Self, GitError> {
        if self.ok {
            return Ok(self);
        }
        let said = self.stderr();
        Err(GitError::Command {
            command: command.to_owned(),
            text: match (said.is_empty(), self.code) {
                (false, _) => said,
                (true, Some(code)) => format!("exit code {code}"),
                (true, None) => "it was killed".to_owned(),
            },
        })
    }
}

fn shown(text: &str, secrets: &[String]) -> String {
    let mut text = plain(text);
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret.as_str(), MASK);
    }
    mask_text(&text)
}

impl Git {
    /// Runs `git` from the `PATH` in this environment, without prompts on the terminal.
    #[must_use]
    pub fn new(env: HashMap<OsString, OsString>) -> Self {
        Self {
            program: PathBuf::from("git"),
            env: Arc::new(env),
            terminal_prompt: false,
            limits: Limits::default(),
        }
    }

    /// With another program than `git` from the `PATH`.
    #[must_use]
    pub fn with_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// Whether git may ask for credentials on the terminal.
    #[must_use]
    pub const fn with_terminal_prompt(mut self, allowed: bool) -> Self {
        self.terminal_prompt = allowed;
        self
    }

    /// With other time limits.
    #[must_use]
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The time limits.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// The program's version.
    ///
    /// # Errors
    /// When there is no such program, or it is older than 2.34.
    pub async fn version(&self) -> Result<GitVersion, GitError> {
        let ended = self
            .run(Call::new(self.limits.local, &["version"]))
            .await?
            .success("version")?;
        let said = plain(ended.text().trim());
        let text = said
            .strip_prefix("git version ")
            .unwrap_or(&said)
            .to_owned();
        let mut numbers = text.split(['.', ' ']).map_while(|part| part.parse().ok());
        let version = GitVersion {
            major: numbers.next().unwrap_or(0),
            minor: numbers.next().unwrap_or(0),
            text,
        };
        if (version.major, version.minor) < (2, 34) {
            return Err(GitError::ProgramTooOld {
                found: version.text,
            });
        }
        Ok(version)
    }

    fn command(&self, call: &Call) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        command.env_clear().envs(self.env.iter());
        for name in REPOSITORY_VARIABLES {
            command.env_remove(name);
        }
        // Messages are read: they must come in English. The character set stays.
        command.env_remove("LC_ALL").env_remove("LANGUAGE");
        command.env("LC_MESSAGES", "C");
        command.env("GIT_OPTIONAL_LOCKS", "0");
        if !self.terminal_prompt {
            command.env("GIT_TERMINAL_PROMPT", "0");
        }
        self.add_config(&mut command, call);
        command.envs(call.env.iter().map(|(key, value)| (key, value)));
        command.args(["--no-pager", "-c", "core.fsmonitor=false"]);
        command.args(["-c", "submodule.recurse=false", "-c", "color.ui=false"]);
        if let Some(folder) = &call.folder {
            command.current_dir(folder);
        }
        if let Some(git_dir) = &call.git_dir {
            let mut arg = OsString::from("--git-dir=");
            arg.push(git_dir);
            command.arg(arg);
        }
        command.args(&call.args);
        let input = call.stdin.is_some();
        command.stdin(if input { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Without a terminal to ask on, ssh is not to ask on it either: it does not heed
    /// `GIT_TERMINAL_PROMPT`. A command or a dialogue of the user's own is left alone.
    pub(super) fn quiet_ssh(&self) -> Option<(OsString, OsString)> {
        let own = ["GIT_SSH_COMMAND", "GIT_SSH", "SSH_ASKPASS", "GIT_ASKPASS"];
        let set = own
            .iter()
            .any(|name| self.env.contains_key(OsStr::new(name)));
        let quiet = || ("GIT_SSH_COMMAND".into(), "ssh -o BatchMode=yes".into());
        (!self.terminal_prompt && !set).then(quiet)
    }

    /// Ends a program that takes too long in the way that lets git remove its lock
    /// files; it is killed a moment later if it does not end.
    fn terminate_command(&self, pid: u32) -> std::process::Command {
        let mut command = std::process::Command::new("sh");
        command.env_clear().envs(self.env.iter());
        command.args(["-c", &format!("kill -TERM {pid}")]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Configuration that may carry credentials goes through the environment, behind
    /// what is there already: arguments can be seen by every user of the machine.
    fn add_config(&self, command: &mut std::process::Command, call: &Call) {
        if call.config.is_empty() {
            return;
        }
        let present = self.env.get(OsStr::new("GIT_CONFIG_COUNT"));
        let present = present.and_then(|text| text.to_str()?.parse::<usize>().ok());
        let first = present.unwrap_or(0);
        for (at, (key, value)) in call.config.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{}", first + at), key);
            command.env(format!("GIT_CONFIG_VALUE_{}", first + at), value);
        }
        let count = first + call.config.len();
        command.env("GIT_CONFIG_COUNT", count.to_string());
    }

    fn start_error(&self, call: &Call, error: std::io::Error) -> GitError {
        let folder_there = call.folder.as_deref().is_none_or(Path::is_dir);
        if error.kind() == std::io::ErrorKind::NotFound && folder_there {
            return GitError::ProgramMissing {
                program: self.program.display().to_string(),
            };
        }
        GitError::io(format!("cannot start git {}", call.name()), error)
    }

    /// Runs one call; dropping the future kills the program.
    pub(super) async fn run(&self, mut call: Call) -> Result<Ended, GitError> {
        let mut command = tokio::process::Command::from(self.command(&call));
        let started = command.kill_on_drop(true).spawn();
        let mut child = started.map_err(|error| self.start_error(&call, error))?;
        let (stdin, input) = (child.stdin.take(), call.stdin.take());
        let (out_pipe, err_pipe) = (child.stdout.take(), child.stderr.take());
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let work = async {
            let feed = async {
                if let (Some(mut pipe), Some(input)) = (stdin, input) {
                    // A program that ends before it has read all tells why itself.
                    let _ = pipe.write_all(&input).await;
                }
            };
            let pipes = async {
                tokio::join!(
                    feed,
                    drain(out_pipe, &mut stdout),
                    drain(err_pipe, &mut stderr)
                );
            };
            let mut pipes = std::pin::pin!(pipes);
            let (status, drained) = tokio::select! {
                status = child.wait() => (status, false),
                () = &mut pipes => (child.wait().await, true),
            };
            if !drained {
                let _ = tokio::time::timeout(GRACE, pipes).await;
            }
            status
        };
        let Ok(status) = tokio::time::timeout(call.limit, work).await else {
            if let Some(pid) = child.id() {
                let _ = tokio::process::Command::from(self.terminate_command(pid))
                    .status()
                    .await;
                let _ = tokio::time::timeout(GRACE, child.wait()).await;
            }
            return Err(call.timed_out());
        };
        let status = status.map_err(|error| GitError::io("cannot wait for git", error))?;
        Ok(ended(status, stdout, &stderr, call.secrets))
    }

    /// Runs one call and blocks this thread.
    pub(super) fn run_blocking(&self, mut call: Call) -> Result<Ended, GitError> {
        let started = self.command(&call).spawn();
        let mut child = started.map_err(|error| self.start_error(&call, error))?;
        if let (Some(mut pipe), Some(input)) = (child.stdin.take(), call.stdin.take()) {
            std::thread::spawn(move || {
                let _ = pipe.write_all(&input);
            });
        }
        let stdout = Drained::start(child.stdout.take());
        let stderr = Drained::start(child.stderr.take());
        let deadline = Instant::now() + call.limit;
        let mut pause = Duration::from_micros(300);
        let status = loop {
            let state = child
                .try_wait()
                .map_err(|error| GitError::io("cannot wait for git", error))?;
            if let Some(status) = state {
                break status;
            }
            if Instant::now() >= deadline {
                let _ = self.terminate_command(child.id()).status();
                let last = Instant::now() + GRACE;
                while Instant::now() < last && matches!(child.try_wait(), Ok(None)) {
                    std::thread::sleep(Duration::from_millis(10));
                }
                let _ = child.kill();
                let _ = child.wait();
                return Err(call.timed_out());
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        };
        Ok(ended(status, stdout.take(), &stderr.take(), call.secrets))
    }
}

fn ended(status: ExitStatus, stdout: Vec<u8>, stderr: &[u8], secrets: Vec<String>) -> Ended {
    Ended {
        ok: status.success(),
        code: status.code(),
        stdout,
        raw_stderr: String::from_utf8_lossy(stderr).into_owned(),
        secrets,
    }
}

async fn drain(pipe: Option<impl tokio::io::AsyncRead + Unpin>, into: &mut Vec<u8>) {
    let Some(mut pipe) = pipe else { return };
    // What was read before an error counts; the exit code decides.
    while pipe.read_buf(into).await.is_ok_and(|count| count > 0) {}
}

/// A pipe that a thread of its own reads.
struct Drained {
    bytes: Arc<Mutex<Vec<u8>>>,
    done: mpsc::Receiver<()>,
}

impl Drained {
    fn start(pipe: Option<impl Read + Send + 'static>) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (sender, done) = mpsc::channel();
        let shared = Arc::clone(&bytes);
        std::thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            let mut pipe = pipe;
            while let Some(Ok(count)) = pipe.as_mut().map(|pipe| pipe.read(&mut buffer)) {
                if count == 0 {
                    break;
                }
                let mut bytes = shared.lock().unwrap_or_else(PoisonError::into_inner);
                bytes.extend_from_slice(&buffer[..count]);
            }
            let _ = sender.send(());
        });
        Self { bytes, done }
    }

    fn take(self) -> Vec<u8> {
        let _ = self.done.recv_timeout(GRACE);
        std::mem::take(&mut *self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Git {
    /// Without the environment: it holds tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Git")
            .field("program", &self.program)
            .field("terminal_prompt", &self.terminal_prompt)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
