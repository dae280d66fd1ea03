//! Evidence before destruction: a rollback removes the crashing pods, so what they
//! say is saved first. The quick profile of a [`bundle`](super::bundle).

use std::path::PathBuf;
use std::time::Duration;

use super::bundle::{Options, bundle};
use crate::model::Observation;
use crate::observe::Clients;

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
    let missing = saved.manifest.missing.into_iter();
    Captured {
        files: saved.manifest.files.len(),
        missing: missing
            .map(|gap| format!("{}: {}", gap.what, gap.reason))
            .collect(),
    }
}
