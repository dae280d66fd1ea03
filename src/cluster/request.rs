//! Single requests: paths, the time limit, retries, counting.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Method, Request, Response, header};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::Cluster;
use super::error::{Error, clean, never_sent, transport};
use super::refusal::Refused;

/// Under which name the server records what unship changes.
const FIELD_MANAGER: &str = "unship";
const TRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const PAGE: &str = "500";
/// Names and labels only; a server that does not know it answers with whole objects.
const METADATA_ONLY: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// How many requests were sent, by verb and resource: `list pods`.
#[derive(Debug, Clone, Default)]
pub(super) struct Counter(Arc<Mutex<BTreeMap<String, u64>>>);

impl Counter {
    pub(super) fn add(&self, verb: &str, resource: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(format!("{verb} {resource}")).or_default() += 1;
    }

    pub(super) fn all(&self) -> BTreeMap<String, u64> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// One request in the making.
#[derive(Debug, Clone)]
pub(super) struct Call {
    verb: &'static str,
    resource: String,
    path: String,
    query: Vec<(&'static str, String)>,
    metadata_only: bool,
    body: Option<Vec<u8>>,
    /// Whether it changes something: then it is never sent a second time unless the
    /// server said that it did nothing.
    effect: bool,
    /// In words, for errors and gaps.
    what: String,
}

impl Call {
    /// A GET of one object or subresource; `path` as [`path`] makes it.
    pub(super) fn get(resource: &str, path: String, what: String) -> Self {
        Self {
            verb: "get",
            resource: resource.to_owned(),
            path,
            query: Vec::new(),
            metadata_only: false,
            body: None,
            effect: false,
            what,
        }
    }

    /// A list in a namespace, or in all with `None`.
    pub(super) fn list(group: &str, resource: &str, namespace: Option<&str>) -> Self {
        let what = match namespace {
            Some(namespace) => format!("{resource} in namespace {namespace}"),
            None => format!("{resource} in all namespaces"),
        };
        Self {
            verb: "list",
            ..Self::get(resource, path(group, namespace, &[resource]), what)
        }
    }

    /// A PATCH by JSON Patch (RFC 6902) in unship's name. Unknown fields are refused, not
    /// dropped (`fieldValidation`, Kubernetes 1.25). A dry run goes through admission
    /// and validation and stores nothing.
    pub(super) fn patch(
        (resource, path): (&str, String),
        operations: &Value,
        dry_run: bool,
        what: &str,
    ) -> Self {
        let what = if dry_run {
            format!("dry run of the {what}")
        } else {
            what.to_owned()
        };
        let call = Self {
            verb: "patch",
            body: Some(operations.to_string().into_bytes()),
            effect: !dry_run,
            ..Self::get(resource, path, what)
        };
        call.with("fieldManager", FIELD_MANAGER)
            .with("fieldValidation", "Strict")
            .with("dryRun", if dry_run { "All" } else { "" })
    }

    /// The POST of a review; unship sends no other.
    pub(super) fn review(resource: &str, path: &str, body: Vec<u8>, what: String) -> Self {
        Self {
            verb: "create",
            body: Some(body),
            ..Self::get(resource, path.to_owned(), what)
        }
    }

    /// With a query parameter, unless it is empty.
    pub(super) fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.query.push((key, value));
        }
        self
    }

    /// Asks for names and labels only.
    pub(super) fn metadata_only(mut self) -> Self {
        self.metadata_only = true;
        self
    }

    /// What is read, in words.
    pub(super) fn what(&self) -> &str {
        &self.what
    }

    fn uri(&self) -> String {
        let mut uri = self.path.clone();
        for (i, (key, value)) in self.query.iter().enumerate() {
            uri.push(if i == 0 { '?' } else { '&' });
            uri.push_str(key);
            uri.push('=');
            uri.push_str(&encode(value));
        }
        uri
    }

    fn request(&self) -> Result<Request<Body>, Error> {
        let (method, content) = match self.verb {
            "patch" => (Method::PATCH, "application/json-patch+json"),
            "create" => (Method::POST, "application/json"),
            _ => (Method::GET, "application/json"),
        };
        let accept = if self.metadata_only {
            METADATA_ONLY
        } else {
            "application/json, */*"
        };
        Request::builder()
            .method(method)
            .uri(self.uri())
            .header(header::ACCEPT, accept)
            .header(
                header::USER_AGENT,
                concat!("unship/", env!("CARGO_PKG_VERSION")),
            )
            .header(header::CONTENT_TYPE, content)
            .body(Body::from(self.body.clone().unwrap_or_default()))
            .map_err(|error| self.invalid(&error.to_string()))
    }

    pub(super) fn invalid(&self, message: &str) -> Error {
        Error::Invalid {
            what: self.what.clone(),
            message: clean(message),
        }
    }

    /// The error of a write of which nobody knows whether it was carried out.
    pub(super) fn unknown(&self, message: String) -> Error {
        Error::OutcomeUnknown {
            what: self.what.clone(),
            message,
        }
    }

    /// The error for a good answer that cannot be read: a write may be carried out.
    pub(super) fn unreadable(&self, error: Error) -> Error {
        if self.effect {
            self.unknown(error.gap("").message)
        } else {
            error
        }
    }
}

/// `/api/v1/...` for the core group (`v1`), `/apis/GROUP/VERSION/...` for the others.
/// Every part is escaped, so that no name leads elsewhere.
pub(super) fn path(group_version: &str, namespace: Option<&str>, parts: &[&str]) -> String {
    let mut path = match group_version.split_once('/') {
        None => format!("/api/{}", encode(group_version)),
        Some((group, version)) => format!("/apis/{}/{}", encode(group), encode(version)),
    };
    let namespace: Vec<&str> = namespace.map_or_else(Vec::new, |name| vec!["namespaces", name]);
    for part in namespace.iter().chain(parts) {
        path.push('/');
        path.push_str(&encode(part));
    }
    path
}

fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let dots = matches!(text, "." | "..");
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~' | b'.');
        if plain && !dots {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A name that can stand in a path. The API server's own rule is narrower.
pub(super) fn check_name(kind: &str, name: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    if !name.is_empty() && name.chars().all(allowed) && !matches!(name, "." | "..") {
        return Ok(());
    }
    Err(Error::Invalid {
        what: format!("{kind} {}", clean(&format!("{name:?}"))),
        message: "this is no name that Kubernetes allows".to_owned(),
    })
}

#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
struct ListPage<T> {
    #[serde(default)]
    metadata: Option<ListMeta>,
    /// Go writes an empty list as `null`; an answer without the field is no list.
    #[serde(deserialize_with = "Option::deserialize")]
    items: Option<Vec<T>>,
}

#[derive(Deserialize)]
struct ListMeta {
    #[serde(default, rename = "continue")]
    next: Option<String>,
}

/// An answer that is read piece by piece, so that it need not fit into memory.
#[derive(Debug)]
pub struct Download {
    body: Body,
    cluster: Cluster,
    what: String,
}

impl Download {
    /// The next piece; `None` when the answer is complete.
    ///
    /// # Errors
    /// When the connection breaks before the end, or no piece comes within the limit
    /// of a read.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Error> {
        loop {
            let frame = tokio::time::timeout(self.cluster.timeout, self.body.frame()).await;
            let frame = frame.map_err(|_| self.cluster.timed_out(&self.what))?;
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|error| transport(&error, &self.cluster.server))?;
            // Trailers are no content.
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data.to_vec()));
            }
        }
    }
}

/// A failed attempt, and how long the server wants us to wait.
struct Failure {
    error: Error,
    retry_after: Option<Duration>,
}

impl Cluster {
    /// Sends a request within the time limit and gives the answer's body.
    pub(super) async fn send(&self, call: &Call) -> Result<Vec<u8>, Error> {
        let whole = async {
            let body = self.tries(call).await?.collect().await;
            let body = body.map_err(|error| {
                let plain = transport(&error, &self.server);
                // The answer began: a write may be carried out.
                if call.effect {
                    call.unknown(plain.to_string())
                } else {
                    plain
                }
            })?;
            Ok(body.to_bytes().to_vec())
        };
        match tokio::time::timeout(self.timeout, whole).await {
            Ok(answer) => answer,
            Err(_) if call.effect => {
                let late = self.timed_out(&call.what);
                Err(call.unknown(late.gap("").message))
            }
            Err(_) => Err(self.timed_out(&call.what)),
        }
    }

    /// Sends a request and gives its answer as it comes: the limit holds for the
    /// answer's beginning, and again for each piece of it.
    pub(super) async fn open(&self, call: &Call) -> Result<Download, Error> {
        let begun = tokio::time::timeout(self.timeout, self.tries(call)).await;
        Ok(Download {
            body: begun.unwrap_or_else(|_| Err(self.timed_out(&call.what)))?,
            cluster: self.clone(),
            what: call.what.clone(),
        })
    }

    pub(super) fn timed_out(&self, what: &str) -> Error {
        Error::TimedOut {
            what: what.to_owned(),
            server: self.server.clone(),
            after: self.timeout,
        }
    }

    /// Sends a request and reads the answer as JSON.
    pub(super) async fn json<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Error> {
        let body = self.send(call).await?;
        parse(call, &body)
    }

    /// Reads a whole list, page by page, each page within the time limit.
    pub(super) async fn items<T: DeserializeOwned>(&self, call: &Call) -> Result<Vec<T>, Error> {
        let first = call.clone().with("limit", PAGE);
        let mut next = String::new();
        let mut all = Vec::new();
        loop {
            let one = first.clone().with("continue", next.as_str());
            let page = match self.json::<ListPage<T>>(&one).await {
                // The continuation expires after some minutes; as in client-go the
                // whole list is then read at once.
                Err(Error::Api { code: 410, .. }) if !next.is_empty() => {
                    let whole: ListPage<T> = self.json(call).await?;
                    return Ok(whole.items.unwrap_or_default());
                }
                other => other?,
            };
            all.extend(page.items.unwrap_or_default());
            next = page.metadata.and_then(|meta| meta.next).unwrap_or_default();
            if next.is_empty() {
                return Ok(all);
            }
        }
    }

    async fn tries(&self, call: &Call) -> Result<Body, Error> {
        let end = Instant::now() + self.timeout;
        let mut pause = FIRST_PAUSE;
        let mut tries = 1;
        loop {
            let failure = match self.attempt(call).await {
                Ok(answer) => return Ok(answer.into_body()),
                Err(failure) => failure,
            };
            let again = match &failure.error {
                // Turned away before anything was done; it says when to come back.
                Error::Api { code: 429, .. } if call.verb == "patch" => {
                    failure.retry_after.is_some()
                }
                Error::Api {
                    code: 429 | 503 | 504,
                    ..
                } => call.body.is_none(),
                _ => false,
            };
            let wait = failure.retry_after.unwrap_or(pause);
            // A wait beyond the limit would turn the server's reason into a mere timeout.
            if !again || tries >= TRIES || Instant::now() + wait >= end {
                return Err(failure.error);
            }
            tokio::time::sleep(wait).await;
            tries += 1;
            pause *= 2;
        }
    }

    async fn attempt(&self, call: &Call) -> Result<Response<Body>, Failure> {
        self.counter.add(call.verb, &call.resource);
        let lost = |error: &kube::Error| {
            let plain = transport(error, &self.server);
            let error = if call.effect && !never_sent(error) {
                call.unknown(plain.to_string())
            } else {
                plain
            };
            Failure {
                error,
                retry_after: None,
            }
        };
        let request = call.request().map_err(|error| Failure {
            error,
            retry_after: None,
        })?;
        let answer = self
            .client
            .send(request)
            .await
            .map_err(|error| lost(&error))?;
        let code = answer.status();
        if code.is_success() {
            return Ok(answer);
        }
        let retry_after = answer
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let body = answer.into_body().collect_bytes().await;
        let body = body.map_err(|error| lost(&error))?;
        Err(Failure {
            error: self.refusal(call, code.as_u16(), &body),
            retry_after,
        })
    }

    fn refusal(&self, call: &Call, code: u16, body: &[u8]) -> Error {
        let refused = Refused {
            what: &call.what,
            server: &self.server,
            code,
            body,
        };
        match (&call.body, call.verb) {
            (Some(sent), "patch") => refused.write(sent, call.effect),
            _ => refused.read(),
        }
    }
}

pub(super) fn parse<T: DeserializeOwned>(call: &Call, body: &[u8]) -> Result<T, Error> {
    // serde_json's text may quote a value of the answer: say the place only.
    serde_json::from_slice(body).map_err(|error| {
        call.invalid(&format!(
            "the answer is not what Kubernetes sends (line {}, column {})",
            error.line(),
            error.column()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_cannot_be_left() {
        assert_eq!(
            path("apps/v1", Some("mcp"), &["deployments", "zai-proxy"]),
            "/apis/apps/v1/namespaces/mcp/deployments/zai-proxy"
        );
        assert_eq!(path("v1", None, &["pods"]), "/api/v1/pods");
        assert_eq!(
            path("v1", Some(".."), &["../secrets?x"]),
            "/api/v1/namespaces/%2E%2E/..%2Fsecrets%3Fx"
        );
        assert!(check_name("pod", "a/b").is_err());
        assert!(check_name("pod", "").is_err());
        assert!(check_name("pod", "zai-proxy-7d9.x").is_ok());
    }
}
