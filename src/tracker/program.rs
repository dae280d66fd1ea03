//! Running the program: no shell, no input, a time limit.

use std::ffi::OsString;
use std::time::Instant;

use tokio::process::Command;

use super::{Error, Tracker};
use crate::process::output;

/// What a run of the program came to.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) code: Option<i32>,
    signal: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Run {
    /// How it ended, in words.
    pub(super) fn ended(&self) -> String {
        match (self.code, self.signal) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "an unknown end".to_owned(),
        }
    }
}

impl Tracker {
    /// Runs the program to its end, or until the deadline; then it is stopped.
    pub(super) async fn run(
        &self,
        what: &str,
        args: &[OsString],
        deadline: Instant,
    ) -> Result<Run, Error> {
        let folder = std::path::absolute(&self.directory).and_then(|path| {
            let meta = std::fs::metadata(&path)?;
            if meta.is_dir() {
                return Ok(path);
            }
            Err(std::io::ErrorKind::NotADirectory.into())
        });
        let folder = folder.map_err(|error| Error::NoFolder {
            directory: self.directory.display().to_string(),
            reason: error.to_string(),
        })?;
        let mut command = Command::new(&self.program);
        command.args(args).current_dir(folder).env("NO_COLOR", "1");
        let ended = output(&mut command, deadline).await;
        let ended = ended.map_err(|error| Error::NotInstalled {
            program: self.program.display().to_string(),
            reason: error.to_string(),
        })?;
        let ended = ended.ok_or_else(|| Error::TimedOut {
            program: self.program.display().to_string(),
            what: what.to_owned(),
            limit: self.limit,
        })?;
        Ok(Run {
            code: ended.status.and_then(|status| status.code()),
            signal: ended.status.and_then(signal),
            stdout: ended.stdout,
            stderr: ended.stderr,
        })
    }
}

#[cfg(unix)]
fn signal(status: std::process::ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
const fn signal(_: std::process::ExitStatus) -> Option<i32> {
    None
}
