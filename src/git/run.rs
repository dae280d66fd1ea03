//! Carrying out one call of the `git` program, and what it left.

use std::io::{Read, Write};
use std::process::ExitStatus;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::error::GitError;
use super::program::{Call, Git};
use crate::model::{MASK, mask_text, plain};

/// How long to go on reading once git has ended: a helper that it left behind (an
/// ssh master connection, a credential daemon) may hold its output open for hours.
const GRACE: Duration = Duration::from_millis(500);

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

    /// Whether a text has one of the credentials of the remotes in it.
    pub(super) fn has_secret(&self, text: &str) -> bool {
        let mut secrets = self.secrets.iter().filter(|secret| !secret.is_empty());
        secrets.any(|secret| text.contains(secret.as_str()))
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

#[cfg(test)]
mod tests {
    use super::super::testing::{World, script, wait};
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// A program of the test's own in the place of git.
    fn fake(world: &World, text: &str) -> Git {
        let program = world.root().join("fake-git");
        script(&program, text);
        world.program().with_program(program)
    }

    /// Runs a call in both ways, which must agree.
    fn both(git: &Git, call: impl Fn() -> Call) -> [Result<Ended, GitError>; 2] {
        [wait(git.run(call())), git.run_blocking(call())]
    }

    #[test]
    fn the_environment_is_the_given_one() {
        let mut world = World::new();
        for (key, value) in [
            ("GIT_DIR", "/elsewhere"),
            ("GIT_INDEX_FILE", "/elsewhere"),
            ("LC_ALL", "de_DE.UTF-8"),
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "a.b"),
            ("GIT_CONFIG_VALUE_0", "c"),
        ] {
            world.env.insert(key.into(), value.into());
        }
        let git = fake(&world, "env; echo args: \"$@\"; cat");
        let call = || Call {
            config: vec![("d.e".into(), "f".into())],
            stdin: Some(b"given".to_vec()),
            ..Call::new(LONG, &["push", "x"])
        };
        for ended in both(&git, call) {
            let text = ended.unwrap().text();
            for line in [
                "GIT_TERMINAL_PROMPT=0",
                "LC_MESSAGES=C",
                "GIT_CONFIG_COUNT=2",
                "GIT_CONFIG_KEY_0=a.b",
                "GIT_CONFIG_KEY_1=d.e",
                "GIT_CONFIG_VALUE_1=f",
                "given",
            ] {
                assert!(text.lines().any(|own| own == line), "{line}: {text}");
            }
            assert!(
                !text.contains("/elsewhere") && !text.contains("de_DE"),
                "{text}"
            );
            assert!(
                !text.contains("CARGO"),
                "the process's own environment: {text}"
            );
            assert!(text.contains("color.ui=false push x"), "{text}");
        }
        let asking = git.clone().with_terminal_prompt(true);
        let text = wait(asking.run(call())).unwrap().text();
        assert!(!text.contains("GIT_TERMINAL_PROMPT"), "{text}");
        assert!(git.quiet_ssh().is_some() && asking.quiet_ssh().is_none());
        assert!(!format!("{git:?}").contains("elsewhere"));
    }

    #[test]
    fn secrets_and_control_characters_are_not_shown() {
        let world = World::new();
        let git = fake(
            &world,
            "printf 'denied for hunter22 \\033[2J https://a:b@h/x' >&2; exit 3",
        );
        let call = || Call {
            secrets: vec!["hunter22".into()],
            ..Call::new(LONG, &["fetch"])
        };
        for ended in both(&git, call) {
            let error = ended.unwrap().success("fetch").err().unwrap();
            let text = format!("{error} {error:?}");
            assert!(text.contains("denied for ***"), "{text}");
            assert!(text.contains("https://h/x"), "{text}");
            assert!(
                !text.contains("hunter22") && !text.contains('\u{1b}'),
                "{text}"
            );
        }
    }

    #[test]
    fn a_helper_left_behind_is_not_waited_for() {
        let world = World::new();
        let git = fake(&world, "echo done; sleep 15 & exit 0");
        for ended in both(&git, || Call::new(LONG, &["fetch"])) {
            let begun = Instant::now();
            let ended = ended.unwrap();
            assert!(ended.ok);
            assert_eq!(ended.text(), "done\n");
            assert!(begun.elapsed() < Duration::from_secs(5));
        }
    }

    #[test]
    fn a_slow_program_may_tidy_up() {
        let world = World::new();
        let mark = world.root().join("tidied");
        let text = format!(
            "trap 'echo x >> {}; exit 1' TERM; sleep 15 & wait",
            mark.display()
        );
        let git = fake(&world, &text);
        let call = || Call::new(Duration::from_millis(1500), &["-c", "a=b", "push", "x"]);
        for ended in both(&git, call) {
            let error = ended.err().unwrap();
            assert_eq!(error.to_string(), "`git push` did not end within 1 s");
        }
        assert_eq!(std::fs::read_to_string(&mark).unwrap(), "x\nx\n");
    }

    #[test]
    fn versions() {
        let world = World::new();
        let real = wait(world.program().version()).unwrap();
        assert!(real.major >= 2, "{real:?}");
        let at = |text: &str| wait(fake(&world, &format!("echo '{text}'")).version());
        let apple = at("git version 2.39.5 (Apple Git-154)").unwrap();
        assert_eq!((apple.major, apple.minor), (2, 39));
        assert_eq!(at("git version 3.0.rc1").unwrap().major, 3);
        let error = at("git version 2.25.1").unwrap_err();
        assert!(matches!(error, GitError::ProgramTooOld { .. }), "{error}");
        let none = world.program().with_program("/nowhere/git");
        let error = wait(none.version()).unwrap_err();
        assert!(matches!(error, GitError::ProgramMissing { .. }), "{error}");
    }
}
