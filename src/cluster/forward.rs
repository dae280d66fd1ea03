//! What a pod answers to one GET, through a port-forward: a WebSocket to the API server,
//! which the kubelet carries on to the pod. Nothing listens here.

use std::fmt;
use std::future::pending;
use std::time::Duration;

use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::Portforwarder;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::Cluster;
use super::error::{Error, clean, transport};
use super::evidence::PodPort;
use super::refusal::Refused;
use super::request::check_name;
use crate::model::AccessQuery;

/// How long the far side may take to say why it closed, and to close.
const FAREWELL: Duration = Duration::from_millis(500);

/// Both rights that it takes: the WebSocket is begun by a GET, which is authorized as `get`,
/// and from Kubernetes 1.35 `create` is asked for as well
/// (`AuthorizePodWebsocketUpgradeCreatePermission`).
#[must_use]
pub fn forward_queries(namespace: &str) -> [AccessQuery; 2] {
    ["create", "get"].map(|verb| AccessQuery {
        verb: verb.to_owned(),
        group: String::new(),
        resource: "pods".to_owned(),
        subresource: "portforward".to_owned(),
        namespace: namespace.to_owned(),
        name: String::new(),
    })
}

/// An answer through a port-forward that is read piece by piece. Dropped before its end
/// it takes the connection down.
pub struct Forwarded {
    body: Incoming,
    tunnel: Tunnel,
    cluster: Cluster,
    what: String,
}

impl fmt::Debug for Forwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarded")
            .field("what", &self.what)
            .finish_non_exhaustive()
    }
}

impl Forwarded {
    /// The next piece; `None` when the answer is complete and the connection is closed.
    ///
    /// # Errors
    /// When the connection breaks before the end, or no piece comes within the limit of a
    /// read.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Error> {
        loop {
            let frame = timeout(self.cluster.timeout, self.body.frame()).await;
            let Some(frame) = frame.map_err(|_| self.cluster.timed_out(&self.what))? else {
                self.tunnel.close().await;
                return Ok(None);
            };
            let frame = frame.map_err(|error| broken(&self.what, &error.to_string()))?;
            // Trailers are no content.
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data.to_vec()));
            }
        }
    }
}

/// The connection to the API server and the one in it to the pod.
struct Tunnel {
    forwarder: Option<Portforwarder>,
    inside: Option<AbortHandle>,
}

impl Tunnel {
    /// Closes both and waits a moment for the far side to do so.
    async fn close(&mut self) {
        if let Some(inside) = self.inside.take() {
            inside.abort();
        }
        if let Some(forwarder) = self.forwarder.take() {
            let _ = timeout(FAREWELL, forwarder.join()).await;
        }
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        if let Some(inside) = &self.inside {
            inside.abort();
        }
        if let Some(forwarder) = &self.forwarder {
            forwarder.abort();
        }
    }
}

impl Cluster {
    /// What a pod answers to a GET at one of its ports, through a port-forward. Whether
    /// this identity may do that ([`forward_queries`]) is to be asked before.
    ///
    /// # Errors
    /// When the API server refuses, the pod does not listen there, does not answer with
    /// success, or speaks TLS.
    pub async fn pod_forward(&self, to: &PodPort<'_>, below: &str) -> Result<Forwarded, Error> {
        check_name("namespace", to.namespace)?;
        check_name("pod", to.pod)?;
        let what = format!(
            "port-forward to {below} of pod {} at port {}",
            to.pod, to.port
        );
        if to.tls {
            return Err(broken(&what, "the pod speaks TLS there"));
        }
        let begun = timeout(self.timeout, self.forwarded(to, below, &what)).await;
        begun.unwrap_or_else(|_| Err(self.timed_out(&what)))
    }

    async fn forwarded(
        &self,
        to: &PodPort<'_>,
        below: &str,
        what: &str,
    ) -> Result<Forwarded, Error> {
        self.counter.add("create", "pods/portforward");
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), to.namespace);
        let forwarder = pods.portforward(to.pod, &[to.port]).await;
        let mut forwarder = forwarder.map_err(|error| self.refused(what, &error))?;
        let stream = forwarder.take_stream(to.port);
        let stream = stream.ok_or_else(|| broken(what, "there is no stream"))?;
        let failed = forwarder.take_error(to.port);
        let mut tunnel = Tunnel {
            forwarder: Some(forwarder),
            inside: None,
        };
        // Told once, when the far side cannot use the port.
        let failed = async {
            match failed {
                Some(failed) => match failed.await {
                    Some(message) => message,
                    None => pending().await,
                },
                None => pending().await,
            }
        };
        tokio::pin!(failed);
        let (mut sender, connection) = handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
            .await
            .map_err(|error| broken(what, &error.to_string()))?;
        tunnel.inside = Some(tokio::spawn(connection).abort_handle());
        let request = request(to.port, below).map_err(|error| broken(what, &error.to_string()))?;
        let answer = tokio::select! {
            biased;
            message = &mut failed => return Err(broken(what, &message)),
            answer = sender.send_request(request) => answer,
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                // The reason may be on its way.
                let message = timeout(FAREWELL, failed).await;
                let message = message.unwrap_or_else(|_| error.to_string());
                return Err(broken(what, &message));
            }
        };
        let code = answer.status();
        if code != StatusCode::OK {
            tunnel.close().await;
            return Err(broken(
                what,
                &format!("the pod answered HTTP {}", code.as_u16()),
            ));
        }
        Ok(Forwarded {
            body: answer.into_body(),
            tunnel,
            cluster: self.clone(),
            what: what.to_owned(),
        })
    }

    fn refused(&self, what: &str, error: &kube::Error) -> Error {
        match error {
            kube::Error::Api(status) => Refused {
                what,
                server: &self.server,
                code: status.code,
                body: &serde_json::to_vec(status).unwrap_or_default(),
            }
            .read(),
            kube::Error::UpgradeConnection(error) => broken(what, &error.to_string()),
            other => transport(other, &self.server),
        }
    }
}

fn request(port: u16, below: &str) -> Result<Request<Empty<Bytes>>, http::Error> {
    let path = below.trim_start_matches('/');
    Request::get(format!("/{path}"))
        .header(header::HOST, format!("localhost:{port}"))
        .header(
            header::USER_AGENT,
            concat!("unship/", env!("CARGO_PKG_VERSION")),
        )
        .header(header::ACCEPT, "text/plain, */*")
        .header(header::CONNECTION, "close")
        .body(Empty::new())
}

fn broken(what: &str, message: &str) -> Error {
    Error::Invalid {
        what: what.to_owned(),
        message: clean(message),
    }
}
