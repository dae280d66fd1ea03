//! The one loop over steps. Every step is journaled before it acts, so that a run
//! can be killed anywhere and `unship continue` reaches the same end.

mod argo;
pub mod bundle;
mod capture;
mod code;
mod direct;
pub mod endpoint;
pub mod fleet;
pub mod journal;
mod judge;
mod keeping;
mod land;
mod prove;
mod push;
pub mod record;
mod request;
mod resume;
mod run;
mod settle;
pub mod signals;
mod steps;
mod ways;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::model::Identity;
use crate::observe::{Clients, Scope, Undo};
use crate::plan::{Intent, Request, To};
use crate::report::Forms;
use crate::tracker::Tracker;

pub use argo::left_suspended;
pub use code::reverted_files;
pub use prove::proved;
pub use resume::resume;
pub use run::{Fresh, start};

/// What can go wrong while executing, besides what a report tells.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal refused; nothing was done after it.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// Git refused.
    #[error(transparent)]
    Git(#[from] crate::git::GitError),
    /// The target could not be looked at again.
    #[error(transparent)]
    Observe(#[from] crate::observe::Error),
}

/// What happens, for whoever shows it.
#[derive(Debug, Clone)]
pub enum Event {
    /// A step begins.
    Started {
        /// The step.
        step: String,
        /// What it is to reach.
        ensures: String,
        /// Its deadline.
        deadline_seconds: i64,
    },
    /// A step waits.
    Waiting {
        /// The step.
        step: String,
        /// What for.
        what: String,
    },
    /// A step ended.
    Finished {
        /// The step.
        step: String,
        /// What it came to.
        evidence: String,
        /// How long it took.
        seconds: f64,
    },
    /// Something worth a line.
    Note(String),
}

/// A hook for tests: called after every record and after every external effect with
/// a name; it may end the process there.
pub type CrashPoint = Arc<dyn Fn(&str) + Send + Sync>;

/// What a run works with.
#[derive(Clone)]
pub struct Setup {
    /// The connections.
    pub clients: Clients,
    /// What to look at.
    pub scope: Scope,
    /// Where journals are kept.
    pub state: PathBuf,
    /// Who authors the commit.
    pub author: Identity,
    /// Who commits it.
    pub committer: Identity,
    /// Becomes true when a person wants it to stop.
    pub stop: watch::Receiver<bool>,
    /// Shows events.
    pub events: Arc<dyn Fn(Event) + Send + Sync>,
    /// Ends the process in tests.
    pub crash: CrashPoint,
    /// The clock.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Commits that earlier runs verified.
    pub verified: Vec<String>,
    /// What records say.
    pub forms: Arc<Forms>,
    /// Where beads are kept.
    pub tracker: Arc<Tracker>,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup")
            .field("scope", &self.scope)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// The scope that a request needs beyond its target.
#[must_use]
pub fn scope_for(mut scope: Scope, request: &Request) -> Scope {
    scope.with.clone_from(&request.with);
    scope.replicas = request.intent.replicas().is_some();
    scope.automation = request.intent.sets_images() || request.intent.is_about_automation();
    scope.holds = request.intent == Intent::Unhold;
    if let Intent::Revert {
        commit,
        parent,
        all,
        ..
    } = &request.intent
    {
        scope.undo = Some(Undo {
            commit: commit.clone(),
            parent: *parent,
            all: *all,
        });
    }
    scope.commit = match &request.to {
        To::Commit(text) | To::Text(text)
            if text.len() >= 4 && text.bytes().all(|b| b.is_ascii_hexdigit()) =>
        {
            Some(text.clone())
        }
        _ => None,
    };
    scope
}

/// Waits between polls: even at first, since most waits are short, then growing.
#[derive(Debug)]
struct Pace {
    began: std::time::Instant,
    next: Duration,
    most: Duration,
}

impl Pace {
    /// How long the first, even pace is kept.
    const QUICK: Duration = Duration::from_secs(3);

    fn new(first: Duration, most: Duration) -> Self {
        Self {
            began: std::time::Instant::now(),
            next: first,
            most,
        }
    }

    async fn wait(&mut self) {
        tokio::time::sleep(self.next).await;
        if self.began.elapsed() > Self::QUICK {
            self.next = (self.next * 3 / 2).min(self.most);
        }
    }
}

/// The turns at pushing to a branch that others push to as well. Between two of them a
/// random time is waited whose range grows with the turns lost and is measured in what
/// a turn takes: where machine or remote are slow because of the crowd, shorter waits
/// would only keep it crowded.
#[derive(Debug)]
struct Turns {
    began: std::time::Instant,
    lost: u32,
    most: Duration,
}

impl Turns {
    /// The first turn begins; no wait is longer than `most`.
    fn new(most: Duration) -> Self {
        Self {
            began: std::time::Instant::now(),
            lost: 0,
            most,
        }
    }

    fn begin(&mut self) {
        self.began = std::time::Instant::now();
    }

    /// How long to wait after a lost turn. The first retry is at once: most races have
    /// one rival.
    fn lost(&mut self) -> Duration {
        self.lost += 1;
        if self.lost == 1 {
            return Duration::ZERO;
        }
        let range = self.began.elapsed().saturating_mul(self.lost.min(4));
        jitter(range.min(self.most))
    }
}

/// A random share of a duration, so that runs that lost the same race do not meet again.
fn jitter(most: Duration) -> Duration {
    use std::hash::{BuildHasher as _, Hasher as _};
    let noise = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    let share = u32::try_from(noise % 1000).unwrap_or(0);
    most * share / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_turn_is_followed_by_a_wait_in_its_own_measure() {
        let most = Duration::from_millis(250);
        let mut turns = Turns::new(most);
        let after = |turns: &mut Turns, milliseconds| {
            let took = Duration::from_millis(milliseconds);
            turns.began = std::time::Instant::now().checked_sub(took).unwrap();
            turns.lost()
        };
        assert_eq!(after(&mut turns, 10_000), Duration::ZERO);
        let waits: Vec<Duration> = (0..40).map(|_| after(&mut turns, 10)).collect();
        // Four turns at most, with a little for the time that this test takes.
        let range = Duration::from_millis(4 * 20);
        assert!(waits.iter().all(|wait| *wait <= range), "{waits:?}");
        assert!(waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
        let waits: Vec<Duration> = (0..40).map(|_| after(&mut turns, 10_000)).collect();
        assert!(waits.iter().all(|wait| *wait <= most), "{waits:?}");
        assert!(waits.iter().any(|wait| *wait > range), "{waits:?}");
    }
}
