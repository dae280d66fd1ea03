//! By which ways an endpoint of a pod can be had, in this order: at a URL that the user's
//! own configuration names, and through the API server's `pods/proxy`, where an access
//! review says that this identity may.

use std::fmt;

use super::endpoint::{Endpoint, Pieces, Place, Purpose};
use crate::cluster::{Cluster, Download, PodPort};
use crate::model::{AccessAnswer, AccessQuery, Allowed, Observation, mask_url};
use crate::signals::{Answer, Http};

/// The ways to the pods of one namespace.
#[derive(Debug)]
pub(super) struct Ways {
    /// A client for the configured URL, or why there is none to ask.
    url: Result<Http, String>,
    /// Whether `pods/proxy` may be read, or why it is not tried.
    proxy: Result<(), String>,
}

/// An answer that is read piece by piece.
#[derive(Debug)]
pub(super) enum Source {
    Url(Answer),
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
        self.all.push(reason.to_owned());
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
    /// Asks for the rights in a namespace.
    pub(super) async fn find(
        cluster: &Cluster,
        namespace: &str,
        url: Result<Http, String>,
    ) -> Self {
        let query = |verb: &str, subresource: &str| AccessQuery {
            verb: verb.to_owned(),
            group: String::new(),
            resource: "pods".to_owned(),
            subresource: subresource.to_owned(),
            namespace: namespace.to_owned(),
            name: String::new(),
        };
        let answers = cluster.access(&[query("get", "proxy")]).await;
        Self {
            url,
            proxy: allowed(&answers, "get pods/proxy"),
        }
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
        reasons.not_tried("a port-forward is not tried");
        if let Err(reason) = &self.proxy {
            reasons.not_tried(reason);
            return Err(reasons);
        }
        let place = match place {
            Ok(place) => place,
            Err(reason) => {
                reasons.not_tried(reason);
                return Err(reasons);
            }
        };
        let to = PodPort {
            namespace: &observation.target.namespace,
            pod,
            port: place.port,
            tls: place.tls,
        };
        let shown = format!("{} of pod {pod} at port {}", place.path, place.port);
        match cluster.pod_proxy(&to, &place.path).await {
            Ok(answer) => return Ok((Source::Proxy(answer), shown)),
            Err(error) => reasons.failed(error.to_string()),
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
