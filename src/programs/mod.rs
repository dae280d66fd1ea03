//! The programs with which Argo CD renders, `helm` and `kustomize`, where they are on the `PATH`.
//!
//! They run on files that were laid out for them, in an environment of their own: without the
//! user's configuration, without a `PATH` and with a proxy that refuses, so that a source which
//! needs the network fails at once instead of fetching something.

mod laid;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::process::Command;

pub use laid::Laid;

use crate::model::{Argument, Program, Recipe, mask_text, plain};
use crate::process::{on_path, output};

/// How long one call may take, unless set.
const LIMIT: Duration = Duration::from_secs(20);

/// No server listens on the discard port: what goes through this proxy is refused at once.
const NO_NETWORK: &str = "http://127.0.0.1:9";

/// Why a program did not render.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not on the `PATH`.
    #[error("{0} is not on the PATH")]
    Missing(Program),
    /// The files could not be laid out for it.
    #[error("its files could not be laid out: {0}")]
    Files(String),
    /// It could not be started.
    #[error("{program} could not be started: {reason}")]
    Start {
        /// Which.
        program: Program,
        /// Why.
        reason: String,
    },
    /// It took too long and was stopped.
    #[error("{program} took more than {seconds} s and was stopped")]
    TimedOut {
        /// Which.
        program: Program,
        /// The limit.
        seconds: u64,
    },
    /// It failed.
    #[error("{program} says: {text}")]
    Failed {
        /// Which.
        program: Program,
        /// Its last words.
        text: String,
    },
}

/// Where the programs are found.
#[derive(Debug, Clone)]
pub struct Programs {
    path: OsString,
    limit: Duration,
}

impl Programs {
    /// Looks for programs on the `PATH` of this environment.
    #[must_use]
    pub fn new(env: &HashMap<OsString, OsString>) -> Self {
        Self {
            path: env.get(OsStr::new("PATH")).cloned().unwrap_or_default(),
            limit: LIMIT,
        }
    }

    /// With another time limit for one call.
    #[must_use]
    pub const fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Whether a program is there.
    #[must_use]
    pub fn has(&self, program: Program) -> bool {
        on_path(&self.path, program.name()).is_some()
    }

    /// The program's version, in its own words.
    ///
    /// # Errors
    /// When it cannot be run.
    pub async fn version(&self, program: Program) -> Result<String, Error> {
        let arguments: &[&str] = match program {
            Program::Helm => &["version", "--template", "{{.Version}}"],
            Program::Kustomize => &["version"],
        };
        let home = tempfile::tempdir().map_err(|error| Error::Files(error.to_string()))?;
        let arguments = arguments.iter().map(OsString::from).collect();
        let said = self.run((program, arguments), home.path(), home.path());
        Ok(plain(said.await?.trim()))
    }

    /// What the program prints for a recipe: manifests.
    ///
    /// # Errors
    /// When it is not there, fails, or takes too long.
    pub async fn render(&self, recipe: &Recipe, laid: &Laid) -> Result<String, Error> {
        let folder = laid.place(&recipe.folder)?;
        let mut printed = String::new();
        for call in &recipe.calls {
            let arguments = call
                .iter()
                .map(|argument| match argument {
                    Argument::Text(text) => Ok(OsString::from(text)),
                    Argument::File { before, path } => {
                        let mut word = OsString::from(before);
                        word.push(laid.place(path)?);
                        Ok(word)
                    }
                    Argument::Given(index) => Ok(laid.given(*index).into_os_string()),
                })
                .collect::<Result<Vec<_>, Error>>()?;
            printed = self
                .run((recipe.program, arguments), &folder, &laid.home())
                .await?;
        }
        Ok(printed)
    }

    async fn run(
        &self,
        (program, arguments): (Program, Vec<OsString>),
        folder: &Path,
        home: &Path,
    ) -> Result<String, Error> {
        let file = on_path(&self.path, program.name()).ok_or(Error::Missing(program))?;
        let mut command = Command::new(file);
        command
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .envs(environment(home));
        let ended = output(&mut command, Instant::now() + self.limit).await;
        let ended = ended.map_err(|error| Error::Start {
            program,
            reason: error.to_string(),
        })?;
        let ended = ended.ok_or(Error::TimedOut {
            program,
            seconds: self.limit.as_secs(),
        })?;
        match ended.status {
            Some(status) if status.success() => Ok(ended.stdout),
            _ => Err(Error::Failed {
                program,
                text: last_words(&ended.stderr, home),
            }),
        }
    }
}

/// Nothing of the user's own, and no way out.
fn environment(home: &Path) -> Vec<(&'static str, OsString)> {
    let below = |name: &str| home.join(name).into_os_string();
    let mut all = vec![
        ("HOME", home.as_os_str().to_owned()),
        ("TMPDIR", home.as_os_str().to_owned()),
        ("XDG_CONFIG_HOME", below("config")),
        ("XDG_CACHE_HOME", below("cache")),
        ("XDG_DATA_HOME", below("data")),
    ];
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
        all.push((name, NO_NETWORK.into()));
    }
    all
}

/// The end of what a program complains about, without the place where its files were laid out.
fn last_words(stderr: &str, home: &Path) -> String {
    let above = home.parent().unwrap_or(home).display().to_string();
    let text = stderr.replace(&format!("{above}/"), "");
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("Use --debug"))
        .collect();
    let last = lines[lines.len().saturating_sub(3)..].join(" ");
    match last.is_empty() {
        true => "nothing, and ended with an error".to_owned(),
        false => mask_text(&plain(&last)),
    }
}
