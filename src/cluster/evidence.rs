//! What a bundle of evidence needs besides: whole objects by the list, all events, and
//! what a pod answers through the API server's proxy.

use serde_json::Value;

use super::request::{Call, Download, check_name, path};
use super::wire::EventWire;
use super::{Cluster, Error, convert};
use crate::model::{ClusterEvent, mask_object};

/// Which objects to list.
#[derive(Debug, Clone, Copy)]
pub struct Listing<'a> {
    /// `v1` for the core group, else `GROUP/VERSION`.
    pub group_version: &'a str,
    /// Kind: the items of a list do not name it.
    pub kind: &'a str,
    /// Plural resource name.
    pub resource: &'a str,
    /// Namespace.
    pub namespace: &'a str,
    /// Label selector; empty for all.
    pub selector: &'a str,
}

/// A port of a pod, reached by the API server.
#[derive(Debug, Clone, Copy)]
pub struct PodPort<'a> {
    /// Namespace.
    pub namespace: &'a str,
    /// Pod.
    pub pod: &'a str,
    /// Port.
    pub port: u16,
    /// Whether the pod speaks TLS there.
    pub tls: bool,
}

impl Cluster {
    /// Lists whole objects for evidence: masked as in [`mask_object`], each with
    /// `apiVersion` and `kind`. Secrets are never read.
    ///
    /// # Errors
    /// When they are Secrets or cannot be read.
    pub async fn objects(&self, listing: &Listing<'_>) -> Result<Vec<Value>, Error> {
        check_name("namespace", listing.namespace)?;
        check_name("resource", listing.resource)?;
        if listing.resource.eq_ignore_ascii_case("secrets") {
            return Err(Error::Invalid {
                what: format!("secrets in namespace {}", listing.namespace),
                message: "unship never reads Secrets".to_owned(),
            });
        }
        let call = Call::list(
            listing.group_version,
            listing.resource,
            Some(listing.namespace),
        )
        .with("labelSelector", listing.selector);
        let items = self.items::<Value>(&call).await?;
        let named = |mut item: Value| {
            if let Some(fields) = item.as_object_mut() {
                fields.insert("apiVersion".to_owned(), Value::from(listing.group_version));
                fields.insert("kind".to_owned(), Value::from(listing.kind));
            }
            mask_object(&item)
        };
        Ok(items.into_iter().map(named).collect())
    }

    /// All events of a namespace, Normal ones too, the oldest first, each with the uid
    /// of the object it is about.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn all_events(&self, namespace: &str) -> Result<Vec<(String, ClusterEvent)>, Error> {
        check_name("namespace", namespace)?;
        let call = Call::list("v1", "events", Some(namespace));
        let events = self.items::<EventWire>(&call).await?;
        let mut events: Vec<_> = events.into_iter().map(convert::event).collect();
        events.sort_by_key(|(_, event)| event.last_seen);
        Ok(events)
    }

    /// What a pod answers to a GET, through `pods/proxy`. Whether this identity may do
    /// that is to be asked before.
    ///
    /// # Errors
    /// When the API server refuses, or the pod does not answer with success.
    pub async fn pod_proxy(&self, to: &PodPort<'_>, below: &str) -> Result<Download, Error> {
        check_name("namespace", to.namespace)?;
        check_name("pod", to.pod)?;
        // `https:NAME:PORT` is the API's own form for a port with TLS.
        let scheme = if to.tls { "https:" } else { "" };
        let name = format!("{scheme}{}:{}", to.pod, to.port);
        let mut parts = vec!["pods", name.as_str(), "proxy"];
        parts.extend(below.split('/').filter(|part| !part.is_empty()));
        let place = path("v1", Some(to.namespace), &parts);
        let what = format!("{below} of pod {} at port {}", to.pod, to.port);
        self.open(&Call::get("pods/proxy", place, what)).await
    }
}
