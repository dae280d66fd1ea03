//! Running the `git` program: one environment, no prompts unless allowed, time limits.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::config::Config;
use super::error::GitError;
use crate::model::{CommitId, plain};
use crate::process::on_path;
use crate::remember::Remember;

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
    /// What is asked once, of a look at many targets.
    pub(super) once: Option<Arc<Once>>,
}

/// What a look at many targets asks for once.
#[derive(Default)]
pub(super) struct Once {
    /// Tips that were fetched, by clone, remote and branch.
    pub(super) tips: Remember<(PathBuf, String, String), CommitId>,
    /// Configurations by clone.
    configs: Mutex<HashMap<PathBuf, Arc<OnceLock<Config>>>>,
}

impl Git {
    /// The same program for one look at many: each branch is fetched and each clone's configuration
    /// read once. Not for waiting, as nothing becomes newer.
    #[must_use]
    pub fn asking_once(&self) -> Self {
        Self {
            once: Some(Arc::default()),
            ..self.clone()
        }
    }

    /// Where a clone's configuration is kept once it is read.
    pub(super) fn config_of(&self, git_dir: &Path) -> Arc<OnceLock<Config>> {
        let Some(once) = &self.once else {
            return Arc::default();
        };
        let mut configs = once.configs.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(configs.entry(git_dir.to_path_buf()).or_default())
    }
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

    pub(super) fn timed_out(&self) -> GitError {
        GitError::TimedOut {
            command: self.name(),
            seconds: self.limit.as_secs(),
        }
    }
}

impl Git {
    /// Runs `git` from the `PATH` in this environment, without prompts on the terminal.
    #[must_use]
    pub fn new(env: HashMap<OsString, OsString>) -> Self {
        Self {
            program: env
                .get(OsStr::new("PATH"))
                .and_then(|path| on_path(path, "git"))
                .unwrap_or_else(|| PathBuf::from("git")),
            env: Arc::new(env),
            terminal_prompt: false,
            limits: Limits::default(),
            once: None,
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

    pub(super) fn command(&self, call: &Call) -> std::process::Command {
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
    pub(super) fn terminate_command(&self, pid: u32) -> std::process::Command {
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

    pub(super) fn start_error(&self, call: &Call, error: std::io::Error) -> GitError {
        let folder_there = call.folder.as_deref().is_none_or(Path::is_dir);
        if error.kind() == std::io::ErrorKind::NotFound && folder_there {
            return GitError::ProgramMissing {
                program: self.program.display().to_string(),
            };
        }
        GitError::io(format!("cannot start git {}", call.name()), error)
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
