//! What the installed program takes, read from its own help.

use std::ffi::OsString;
use std::time::{Duration, Instant};

/// How long the tracker itself waits for its lock before it says so: short, so that
/// it ends by itself instead of being stopped in the middle.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// The flags of `create` that differ between versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flags {
    /// `description` or `body`.
    pub(super) body: &'static str,
    lock_timeout: bool,
}

impl Flags {
    /// Reads `create --help`. The error is the flag without which nothing can be done.
    pub(super) fn read(help: &str) -> Result<Self, &'static str> {
        let has = |flag: &str| {
            help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
                .any(|word| word == flag)
        };
        let body = if has("--description") {
            "description"
        } else if has("--body") {
            "body"
        } else {
            return Err("--description and no --body");
        };
        // Without it a second call could not find what the first one made.
        if !has("--external-ref") {
            return Err("--external-ref");
        }
        if !has("--json") {
            return Err("--json");
        }
        Ok(Self {
            body,
            lock_timeout: has("--lock-timeout"),
        })
    }

    /// How long to wait for the lock, where the program takes that.
    pub(super) fn lock_arguments(self, deadline: Instant) -> Option<OsString> {
        let left = deadline.saturating_duration_since(Instant::now()) / 2;
        self.lock_timeout
            .then(|| format!("--lock-timeout={}", left.min(LOCK_WAIT).as_millis()).into())
    }
}
