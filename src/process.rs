//! Finding a program and running it to its end: no shell, no input, a time limit.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

/// No answer of a program is read further than this: 64 MiB.
const LONGEST_ANSWER: u64 = 64 * 1024 * 1024;

/// What a program left.
pub(crate) struct Ended {
    /// `None` where it could not be waited for.
    pub(crate) status: Option<ExitStatus>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program of that name that this `PATH` leads to. A relative folder could be one of a
/// repository: it is left out. With a name alone the standard library searches in the child, which it
/// can only do in a copy of this process (`fork`) and not with `posix_spawn`: several times slower
/// for a process of this size.
pub(crate) fn on_path(path: &OsStr, name: &str) -> Option<PathBuf> {
    let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    let mut files = folders.map(|folder| folder.join(name));
    files.find(|file| is_executable(file))
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    let found = std::fs::metadata(file);
    found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(_: &Path) -> bool {
    false
}

/// Runs a program to its end, or until the deadline; then it is stopped, and there is nothing.
///
/// # Errors
/// When it cannot be started.
pub(crate) async fn output(
    command: &mut Command,
    deadline: Instant,
) -> Result<Option<Ended>, std::io::Error> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let whole = async {
        let (stdout, stderr) = tokio::join!(slurp(stdout), slurp(stderr));
        Ended {
            status: child.wait().await.ok(),
            stdout,
            stderr,
        }
    };
    Ok(tokio::time::timeout_at(deadline.into(), whole).await.ok())
}

async fn slurp(from: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        let _ = from.take(LONGEST_ANSWER).read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
