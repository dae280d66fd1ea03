//! Running a program with a limit, and what it said.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// No program of these tests may take longer.
const LIMIT: Duration = Duration::from_secs(240);

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code, none when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs a program to its end.
pub fn run(mut command: Command) -> Outcome {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    finish(child)
}

/// Waits for the end of a program whose outputs are pipes.
pub fn finish(mut child: Child) -> Outcome {
    let mut out = child.stdout.take();
    let mut err = child.stderr.take();
    let read_out = std::thread::spawn(move || slurp(out.as_mut().map(|o| o as _)));
    let read_err = std::thread::spawn(move || slurp(err.as_mut().map(|e| e as _)));
    let began = Instant::now();
    let mut late = false;
    let status = loop {
        if let Some(status) = child.try_wait().expect("the program can be waited for") {
            break status;
        }
        if began.elapsed() > LIMIT && !late {
            late = true;
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let outcome = Outcome {
        code: status.code(),
        signal: status.signal(),
        stdout: read_out.join().expect("standard output"),
        stderr: read_err.join().expect("standard error"),
    };
    assert!(!late, "it hung: {outcome:?}");
    outcome
}

fn slurp(from: Option<&mut dyn std::io::Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        let _ = from.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Outcome {
    /// The JSON document on standard output.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:#?}"))
    }

    /// Both outputs.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Fails the test unless it ended with this exit code.
    #[track_caller]
    pub fn ended(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}", self.shown());
        self
    }

    /// Fails the test unless it said all of this.
    #[track_caller]
    pub fn said(&self, words: &[&str]) -> &Self {
        let text = self.text();
        for word in words {
            assert!(
                text.contains(word),
                "{word:?} was not said: {}",
                self.shown()
            );
        }
        self
    }

    /// The outcome for a failure's message.
    pub fn shown(&self) -> String {
        format!(
            "code {:?} signal {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.code, self.signal, self.stdout, self.stderr
        )
    }
}
