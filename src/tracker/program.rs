//! Running the program: no shell, no input, a time limit.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use super::{Error, Tracker};

/// No answer of a tracker is read further than this: 64 MiB.
const LONGEST_ANSWER: u64 = 64 * 1024 * 1024;

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
        let mut child = Command::new(&self.program)
            .args(args)
            .current_dir(folder)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Error::NotInstalled {
                program: self.program.display().to_string(),
                reason: error.to_string(),
            })?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let whole = async {
            let (stdout, stderr) = tokio::join!(slurp(stdout), slurp(stderr));
            (child.wait().await, stdout, stderr)
        };
        let ended = tokio::time::timeout_at(deadline.into(), whole).await;
        let Ok((status, stdout, stderr)) = ended else {
            return Err(Error::TimedOut {
                program: self.program.display().to_string(),
                what: what.to_owned(),
                limit: self.limit,
            });
        };
        let status = status.ok();
        Ok(Run {
            code: status.and_then(|status| status.code()),
            signal: status.and_then(signal),
            stdout,
            stderr,
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

async fn slurp(from: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        let _ = from.take(LONGEST_ANSWER).read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
