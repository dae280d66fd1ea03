//! Evidence before destruction: a rollback removes the crashing pods, so what they
//! say is saved first. The quick profile of a [`bundle`](super::bundle).

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::oneshot;

use super::bundle::{Bundle, Options, bundle, first};
use crate::model::Observation;
use crate::observe::Clients;
use crate::timeline::Timeline;

/// The whole capture ends after this, ready or not: it must not delay the push.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

/// What was saved.
#[derive(Debug, Default)]
pub(super) struct Captured {
    /// Files written.
    pub files: usize,
    /// What is missing, and why.
    pub missing: Vec<String>,
}

/// Saves logs, events and objects below `folder`, within [`LIMIT`].
pub(super) async fn capture(
    clients: &Clients,
    observation: &Observation,
    folder: PathBuf,
) -> Captured {
    let options = Options::quick(LIMIT);
    let saved = Box::pin(bundle(clients, observation, None, &folder, &options)).await;
    Captured::of(&saved)
}

/// Saves everything: what a scale-down takes away first, within [`LIMIT`], which is
/// told; the rest beside whatever comes then. `forward` says whether the plan allows a
/// port-forward for metrics.
pub(super) async fn capture_all(
    clients: &Clients,
    observation: &Observation,
    (folder, timeline, forward): (PathBuf, Timeline, bool),
    saved_first: oneshot::Sender<()>,
) -> Captured {
    let options = Options {
        limit: Some(LIMIT),
        forward,
        ..Options::full()
    };
    let begun = Box::pin(first(clients, observation, &folder, &options)).await;
    let _ = saved_first.send(());
    Captured::of(&Box::pin(begun.rest(Some(&timeline))).await)
}

impl Captured {
    fn of(saved: &Bundle) -> Self {
        let missing = saved.manifest.missing.iter();
        Self {
            files: saved.manifest.files.len(),
            missing: missing
                .map(|gap| format!("{}: {}", gap.what, gap.reason))
                .collect(),
        }
    }
}
