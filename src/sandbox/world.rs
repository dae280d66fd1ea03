//! What all of the sandbox's servers and controllers share.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::sync::watch;

use super::access_log::JsonLines;
use super::argocd::Accounts;
use super::faults::Faults;
use super::rbac::Tokens;
use super::store::Store;

/// Shared state of one sandbox.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) tokens: Tokens,
    pub(crate) accounts: Accounts,
    pub(crate) faults: Faults,
    pub(crate) audit: JsonLines,
    pub(crate) argocd_log: JsonLines,
    pub(crate) git_log: JsonLines,
    /// Folder of the bare repositories.
    pub(crate) git_root: PathBuf,
    /// Base URL of the Git server, known once it listens.
    pub(crate) git_url: OnceLock<String>,
    pub(crate) git_user: String,
    pub(crate) git_password: String,
    /// How often Argo CD looks into a repository unasked.
    pub(crate) poll_interval: Duration,
    /// How long a healthy pod takes to become Ready.
    pub(crate) pod_ready: Duration,
    /// Becomes true when the sandbox stops; ends watches.
    pub(crate) stopping: watch::Sender<bool>,
}

impl World {
    /// Returns once the sandbox stops.
    pub(crate) async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // An error means that the sender is gone, which is an end as well.
        let _ended = stopping.wait_for(|s| *s).await.is_ok();
    }
}
