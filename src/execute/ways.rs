//! By which ways an endpoint of a pod can be had, in this order: at a URL that the user's
//! own configuration names, by a port-forward, and through the API server's `pods/proxy`,
//! these two only where an access review says that this identity may.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use super::endpoint::{Endpoint, Pieces, Place, Purpose};
use crate::cluster::{Cluster, Download, Forwarded, PodPort, forward_queries};
use crate::model::{AccessAnswer, AccessQuery, Allowed, Observation, mask_url};
use crate::signals::{Answer, Http};

const FORWARD: &str = "a port-forward";
const PROXY: &str = "pods/proxy";

/// The ways to the pods of one namespace.
#[derive(Debug)]
pub(super) struct Ways {
    /// A client for the configured URL, or why there is none to ask.
    url: Result<Http, String>,
    /// Whether a port-forward may be made, or why it is not tried.
    forward: Result<(), String>,
    /// Whether `pods/proxy` may be read, or why it is not tried.
    proxy: Result<(), String>,
    /// Whether a port-forward was asked for.
    forwarded: AtomicBool,
}

/// An answer that is read piece by piece.
#[derive(Debug)]
pub(super) enum Source {
    Url(Answer),
    Forward(Box<Forwarded>),
    Proxy(Download),
}

/// Why there is no answer.
#[derive(Debug, Default)]
pub(super) struct Reasons {
    all: Vec<String>,
    /// Whether any way was tried.
    pub(super) tried: bool,
}

impl Reasons {
    fn not_tried(&mut self, reason: &str) {
        if !self.all.iter().any(|own| own == reason) {
            self.all.push(reason.to_owned());
        }
    }

    fn failed(&mut self, reason: String) {
        self.all.push(reason);
        self.tried = true;
    }
}

impl fmt::Display for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.all.join("; "))
    }
}

impl Pieces for Source {
    async fn piece(&mut self) -> Result<Option<Vec<u8>>, String> {
        match self {
            Self::Url(answer) => answer.piece().await,
            Self::Forward(forwarded) => forwarded.piece().await,
            Self::Proxy(download) => download.piece().await,
        }
    }
}

/// A client for the configured URL, or why there is none to ask.
pub(super) fn configured(
    endpoint: &Endpoint,
    purpose: Purpose,
    limit: std::time::Duration,
) -> Result<Http, String> {
    if endpoint.url.is_none() {
        return Err(format!("no {} is configured", purpose.url_key()));
    }
    Http::new(limit)
}

impl Ways {
    /// Asks for the rights in a namespace. `forward` says whether a port-forward is wanted
    /// at all.
    pub(super) async fn find(
        cluster: &Cluster,
        namespace: &str,
        (url, forward): (Result<Http, String>, bool),
    ) -> Self {
        let proxy = AccessQuery {
            verb: "get".to_owned(),
            group: String::new(),
            resource: "pods".to_owned(),
            subresource: "proxy".to_owned(),
            namespace: namespace.to_owned(),
            name: String::new(),
        };
        let mut queries = vec![proxy];
        if forward {
            queries.extend(forward_queries(namespace));
        }
        let answers = cluster.access(&queries).await;
        let (proxy, rest) = answers.split_at(1.min(answers.len()));
        Self {
            url,
            forward: if forward {
                allowed(rest, "create pods/portforward")
            } else {
                Err("a port-forward is not among what the plan may send".to_owned())
            },
            proxy: allowed(proxy, "get pods/proxy"),
            forwarded: AtomicBool::new(false),
        }
    }

    /// Whether a port-forward was asked for.
    pub(super) fn forwarded(&self) -> bool {
        self.forwarded.load(Ordering::Relaxed)
    }

    /// The first answer that there is, with where it comes from.
    pub(super) async fn open(
        &self,
        cluster: &Cluster,
        (observation, pod): (&Observation, &str),
        (endpoint, place): (&Endpoint, &Result<Place, String>),
    ) -> Result<(Source, String), Reasons> {
        let mut reasons = Reasons::default();
        let url = endpoint.url_for(observation, pod).unwrap_or_default();
        match &self.url {
            Ok(http) => match http.get(&url).await {
                Ok(answer) => return Ok((Source::Url(answer), mask_url(&url))),
                Err(error) => reasons.failed(error.to_string()),
            },
            Err(reason) => reasons.not_tried(reason),
        }
        for (way, word) in [(&self.forward, FORWARD), (&self.proxy, PROXY)] {
            let place = match (way, place) {
                (Ok(()), Ok(place)) => place,
                (Err(reason), _) | (_, Err(reason)) => {
                    reasons.not_tried(reason);
                    continue;
                }
            };
            if word == FORWARD && place.tls {
                reasons.not_tried("the pod speaks TLS there, which a port-forward does not");
                continue;
            }
            let to = PodPort {
                namespace: &observation.target.namespace,
                pod,
                port: place.port,
                tls: place.tls,
            };
            let shown = format!(
                "{} of pod {pod} at port {} by {word}",
                place.path, place.port
            );
            let opened = if word == PROXY {
                let opened = cluster.pod_proxy(&to, &place.path).await;
                opened.map(Source::Proxy)
            } else {
                self.forwarded.store(true, Ordering::Relaxed);
                let opened = cluster.pod_forward(&to, &place.path).await;
                opened.map(|forwarded| Source::Forward(Box::new(forwarded)))
            };
            match opened {
                Ok(source) => return Ok((source, shown)),
                Err(error) => reasons.failed(error.to_string()),
            }
        }
        Err(reasons)
    }
}

/// Whether all of them are allowed; else why it is not tried.
fn allowed(answers: &[AccessAnswer], what: &str) -> Result<(), String> {
    if answers.is_empty() {
        return Err(format!("the right to {what} could not be asked"));
    }
    for answer in answers {
        let word = match answer.allowed {
            Allowed::Allowed => continue,
            Allowed::Denied => "is not allowed",
            Allowed::Unknown => "may not be allowed",
        };
        let reason = match answer.reason.as_str() {
            "" => String::new(),
            reason => format!(" ({reason})"),
        };
        return Err(format!("{} {word}{reason}", answer.right));
    }
    Ok(())
}
