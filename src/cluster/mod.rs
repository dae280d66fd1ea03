//! The Kubernetes API: the one room that talks to an API server.
//!
//! It reads by GET and asks for rights by SelfSubjectAccessReviews; the few writes are
//! all in `write.rs`: JSON Patches of a workload, of its scale and of an Application. A
//! port-forward (`forward.rs`) is a `create` for authorization and changes no object.
//! Every request has a time limit. What could not be read is an [`Error`] that becomes
//! a [`Gap`](crate::model::Gap), never an empty answer; a write without an answer is
//! [`Error::OutcomeUnknown`] and not sent again.

mod access;
mod automation;
mod capabilities;
mod connect;
mod convert;
mod error;
mod evidence;
mod forward;
mod kubeconfig;
mod memo;
mod near;
mod proxy;
mod read;
mod refusal;
mod request;
mod settings;
mod snapshot;
#[cfg(test)]
mod tests;
mod wire;
mod write;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

pub use access::all_access_queries;
pub use automation::ToolObjects;
pub use error::Error;
pub use evidence::{Listing, PodPort};
pub use forward::{Forwarded, forward_queries};
pub use read::{Found, LogQuery, ObjectQuery, Workloads};
pub use request::Download;
pub use settings::{InCluster, ProxyEnv, Settings, Source};
pub use snapshot::{Snapshot, events_about, pods_of};
pub use write::ScaleFrom;

use crate::model::mask_url;
use request::Counter;

/// A connection to one API server as one identity. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    client: kube::Client,
    timeout: Duration,
    server: String,
    namespace: String,
    context: Option<String>,
    user: Option<String>,
    source: Source,
    counter: Counter,
    /// Of a look at many workloads.
    memo: Option<std::sync::Arc<memo::Memo>>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("server", &self.server)
            .field("context", &self.context)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Chooses the cluster by kubectl's rules and prepares the connection. No request
    /// is sent; a credential plugin is run, once.
    ///
    /// # Errors
    /// When there is no usable kubeconfig, context or credential.
    pub async fn connect(settings: &Settings) -> Result<Self, Error> {
        let target = kubeconfig::load(settings)?;
        let client = connect::client(&target, settings).await?;
        let url = target.config.cluster_url.to_string();
        Ok(Self {
            client,
            timeout: settings.request_timeout,
            server: mask_url(url.trim_end_matches('/')),
            namespace: target.namespace,
            context: target.context,
            user: target.user,
            source: target.source,
            counter: Counter::default(),
            memo: None,
        })
    }

    /// The namespace to work in: the flag's, else the context's, else `default`.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The server's URL without credentials.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The kubeconfig's context; none in a pod.
    #[must_use]
    pub fn context(&self) -> Option<&str> {
        self.context.as_deref()
    }

    /// The name of the user entry in the kubeconfig (not the identity that the
    /// server sees).
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Where the settings came from.
    #[must_use]
    pub const fn source(&self) -> &Source {
        &self.source
    }

    /// The limit of each request.
    #[must_use]
    pub const fn request_timeout(&self) -> Duration {
        self.timeout
    }

    /// Requests sent so far, retries included, by verb and resource (`list pods`).
    #[must_use]
    pub fn requests_sent(&self) -> BTreeMap<String, u64> {
        self.counter.all()
    }
}
