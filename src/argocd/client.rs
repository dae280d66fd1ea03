//! One HTTP client for one Argo CD server.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Certificate, Client, Identity, Method, Response, StatusCode, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::error::{Error, fit};
use super::refusal::{Said, or_missing};
use super::settings::Resolved;
use crate::model::{Application, Project, TreeNode, mask_url};
use crate::remember::Remember;

/// Pause before the one repetition of a failed read.
const PAUSE: Duration = Duration::from_millis(150);
/// The largest answer that is taken, in bytes.
const LARGEST: usize = 16 << 20;
/// The same for the list of all Applications, each with its resources.
pub(super) const LARGEST_LIST: usize = 128 << 20;

/// A connection to Argo CD. Nothing is built or sent before the first read.
#[derive(Debug)]
pub struct Argocd {
    server: Resolved,
    request_timeout: Duration,
    client: OnceLock<Result<Client, Error>>,
    requests: Arc<Mutex<BTreeMap<&'static str, u64>>>,
    /// Of a look at many targets.
    pub(super) memo: Option<Memo>,
}

/// What was read, by Application and by project.
#[derive(Debug, Default)]
pub(super) struct Memo {
    pub(super) applications: Remember<String, Application>,
    pub(super) trees: Remember<String, Vec<TreeNode>>,
    pub(super) projects: Remember<String, Project>,
}

/// What a write sends.
pub(super) struct Write {
    /// POST, PATCH or DELETE.
    pub(super) method: Method,
    /// The body, unless there is none.
    pub(super) body: Option<Value>,
}

/// One request: a GET, unless it writes.
pub(super) struct Ask {
    /// The kind of request, for counting.
    pub(super) kind: &'static str,
    /// What is asked for, in words.
    pub(super) what: String,
    /// Path below the base, unescaped.
    pub(super) path: Vec<String>,
    /// Query.
    pub(super) query: Vec<(&'static str, String)>,
    /// Time limit, when it is not the usual one.
    pub(super) limit: Option<Duration>,
    /// Size limit.
    pub(super) largest: usize,
    /// A 403 may mean that the Application does not exist.
    pub(super) hides_missing: bool,
    /// What it changes.
    pub(super) write: Option<Write>,
}

impl Ask {
    pub(super) fn new(kind: &'static str, what: impl Into<String>, path: &[&str]) -> Self {
        Self {
            kind,
            what: what.into(),
            path: path.iter().map(|part| (*part).to_owned()).collect(),
            query: Vec::new(),
            limit: None,
            largest: LARGEST,
            hides_missing: false,
            write: None,
        }
    }

    /// Adds a parameter unless its value is empty.
    pub(super) fn with(mut self, key: &'static str, value: &str) -> Self {
        if !value.is_empty() {
            self.query.push((key, value.to_owned()));
        }
        self
    }
}

/// A failed attempt, and whether another may go better.
struct Failed {
    error: Error,
    again: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self {
            error,
            again: false,
        }
    }
}

impl Argocd {
    /// A connection to a server; every read but a refresh has the given time limit.
    #[must_use]
    pub fn connect(server: Resolved, request_timeout: Duration) -> Self {
        Self {
            server,
            request_timeout,
            client: OnceLock::new(),
            requests: Arc::default(),
            memo: None,
        }
    }

    /// The same connection for one look at many: each Application, tree and project is read once.
    /// Not for waiting, as nothing becomes newer.
    #[must_use]
    pub fn remembering(&self) -> Self {
        Self {
            server: self.server.clone(),
            request_timeout: self.request_timeout,
            client: self.client.clone(),
            requests: Arc::clone(&self.requests),
            memo: Some(Memo::default()),
        }
    }

    /// Where server and token came from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.server.source
    }

    /// The server's base URL. It holds no credentials.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.server.base_url
    }

    /// Whether a token is sent.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.server.token.is_some()
    }

    /// The requests sent so far by kind, repetitions included.
    #[must_use]
    pub fn requests(&self) -> BTreeMap<&'static str, u64> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A foreign text made fit to be shown.
    pub(super) fn fit(&self, text: &str) -> String {
        let token = self.server.token.as_ref().map(ExposeSecret::expose_secret);
        fit(text, token)
    }

    pub(super) fn invalid(&self, what: &str, message: &str) -> Error {
        Error::Invalid {
            what: what.to_owned(),
            message: self.fit(message),
        }
    }

    fn client(&self) -> Result<&Client, Error> {
        self.client
            .get_or_init(|| build(&self.server, self.request_timeout))
            .as_ref()
            .map_err(Clone::clone)
    }

    /// Sends a GET, once more when the connection broke or a gateway was in the way,
    /// all within the time limit.
    pub(super) async fn get(&self, ask: &Ask) -> Result<Value, Error> {
        let limit = ask.limit.unwrap_or(self.request_timeout);
        let work = async {
            match self.attempt(ask).await {
                Err(Failed { again: true, .. }) => {
                    tokio::time::sleep(PAUSE).await;
                    self.attempt(ask).await
                }
                outcome => outcome,
            }
        };
        match tokio::time::timeout(limit, work).await {
            Ok(outcome) => outcome.map_err(|failed| failed.error),
            Err(_) => Err(self.timed_out(ask)),
        }
    }

    /// Sends a write, once: what has no answer may have been carried out.
    pub(super) async fn write(&self, ask: &Ask) -> Result<Value, Error> {
        if self.server.read_only_proxy {
            return Err(Error::ReadOnly {
                what: ask.what.clone(),
                server: self.server.base_url.clone(),
            });
        }
        match tokio::time::timeout(self.request_timeout, self.attempt(ask)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Failed {
                error: error @ (Error::TimedOut { .. } | Error::Unreachable { .. }),
                again,
            })) if again || matches!(error, Error::TimedOut { .. }) => {
                Err(unknown(ask, error.to_string()))
            }
            Ok(Err(failed)) => Err(failed.error),
            Err(_) => Err(unknown(ask, self.timed_out(ask).to_string())),
        }
    }

    fn timed_out(&self, ask: &Ask) -> Error {
        let limit = ask.limit.unwrap_or(self.request_timeout);
        Error::TimedOut {
            what: ask.what.clone(),
            // A limit below a second is still shown as one, not as 0.
            seconds: limit.as_secs().max(1),
        }
    }

    async fn attempt(&self, ask: &Ask) -> Result<Value, Failed> {
        let client = self.client()?;
        let url = self.url(ask)?;
        let mut request = match &ask.write {
            None => client.get(url),
            // Argo CD takes no write without this very type, not even one without a body.
            Some(write) => client
                .request(write.method.clone(), url)
                .header(CONTENT_TYPE, "application/json"),
        };
        if let Some(body) = ask.write.as_ref().and_then(|write| write.body.as_ref()) {
            request = request.body(body.to_string());
        }
        if let Some(token) = &self.server.token {
            request = request.header(AUTHORIZATION, self.bearer(ask, token)?);
        }
        self.count(ask.kind);
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Err(self.no_answer(ask, error)),
        };
        let http = response.status();
        if http.is_redirection() {
            return Err(self.redirected(ask, &response).into());
        }
        let unsure = |failed: Failed| match &ask.write {
            Some(_) if http.is_success() => unknown(ask, failed.error.to_string()).into(),
            _ => failed,
        };
        let body = self.body(ask, response).await.map_err(unsure)?;
        if http.is_success() {
            return self.object(ask, &body).map_err(|e| unsure(e.into()));
        }
        Err(Failed {
            error: self.reported(ask, http, &body),
            again: matches!(
                http,
                StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE
            ),
        })
    }

    fn count(&self, kind: &'static str) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry(kind).or_default() += 1;
    }

    fn url(&self, ask: &Ask) -> Result<Url, Error> {
        let base = &self.server.base_url;
        let mut url = Url::parse(base)
            .map_err(|error| self.invalid(&ask.what, &format!("{base:?}: {error}")))?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&ask.path);
        }
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&ask.query);
        }
        Ok(url)
    }

    fn bearer(&self, ask: &Ask, token: &SecretString) -> Result<HeaderValue, Error> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
            .map_err(|_| self.invalid(&ask.what, "the token holds characters no header may"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn redirected(&self, ask: &Ask, response: &Response) -> Error {
        // Never followed: a login page is no answer, and the token is for this server only.
        let target = response
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok())
            .map_or_else(|| "nowhere".to_owned(), mask_url);
        let message = format!(
            "name the address that answers itself, for {} redirects to {target}",
            self.server.base_url
        );
        self.invalid(&ask.what, &message)
    }

    fn no_answer(&self, ask: &Ask, error: reqwest::Error) -> Failed {
        if error.is_timeout() {
            return self.timed_out(ask).into();
        }
        let connecting = error.is_connect();
        let error = error.without_url();
        let (message, tls) = causes(&error);
        let server = self.server.base_url.clone();
        let message = self.fit(&message);
        if tls {
            return Error::Tls { server, message }.into();
        }
        Failed {
            error: Error::Unreachable { server, message },
            // Refused or unresolved at connecting will not heal within a moment.
            again: !connecting,
        }
    }

    async fn body(&self, ask: &Ask, mut response: Response) -> Result<Vec<u8>, Failed> {
        let mut body = Vec::new();
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Ok(body),
                Err(error) => return Err(self.no_answer(ask, error)),
            };
            if body.len() + chunk.len() > ask.largest {
                let message = format!("it is larger than {} MB", ask.largest >> 20);
                return Err(self.invalid(&ask.what, &message).into());
            }
            body.extend_from_slice(&chunk);
        }
    }

    fn object(&self, ask: &Ask, body: &[u8]) -> Result<Value, Error> {
        match serde_json::from_slice::<Value>(body) {
            Ok(value) if value.is_object() => Ok(value),
            _ => Err(self.invalid(&ask.what, &self.odd(body))),
        }
    }

    fn odd(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        if text.starts_with('<') {
            return format!(
                "{} answers with a web page: it is probably not argo cd, or its root path is \
                 missing (ARGOCD_OPTS=\"--grpc-web-root-path PATH\")",
                self.server.base_url
            );
        }
        let start: String = text.chars().take(120).collect();
        format!("{} answers {start:?}", self.server.base_url)
    }

    /// An error as grpc-gateway reports it: `{"error", "code", "message"}` with gRPC's code.
    fn reported(&self, ask: &Ask, http: StatusCode, body: &[u8]) -> Error {
        let what = ask.what.clone();
        let json: Option<Value> = serde_json::from_slice(body).ok();
        let code = json.as_ref().and_then(|value| value["code"].as_i64());
        let words = json
            .as_ref()
            .and_then(|value| {
                [&value["message"], &value["error"]]
                    .into_iter()
                    .find_map(Value::as_str)
            })
            .filter(|text| !text.is_empty());
        let message = match words {
            Some(text) => self.fit(text),
            None => self.fit(&self.odd(body)),
        };
        if ask.write.is_some() {
            let said = Said {
                http: http.as_u16(),
                code,
                message,
                hides_missing: ask.hides_missing,
            };
            return said.of_write(what, &self.server.base_url);
        }
        match (code, http.as_u16()) {
            (Some(16), _) | (_, 401) => Error::Unauthenticated {
                server: self.server.base_url.clone(),
                message,
            },
            (Some(7), _) | (None, 403) if ask.hides_missing => Error::PermissionDenied {
                what,
                message: or_missing(&message),
            },
            (Some(7), _) | (None, 403) => Error::PermissionDenied { what, message },
            (Some(5), _) => Error::NotFound { what, message },
            (Some(code @ (3 | 6 | 9 | 10)), _) => Error::Refused {
                what,
                code,
                message,
            },
            (None, 300..=499) => Error::Invalid {
                what,
                message: format!("HTTP {}: {message}", http.as_u16()),
            },
            (code, http) => Error::Api {
                what,
                http,
                code: code.unwrap_or(2),
                message,
            },
        }
    }
}

pub(super) fn unknown(ask: &Ask, message: String) -> Error {
    Error::OutcomeUnknown {
        what: ask.what.clone(),
        message,
    }
}

fn build(server: &Resolved, connect_timeout: Duration) -> Result<Client, Error> {
    let tls = |error: reqwest::Error| Error::Tls {
        server: server.base_url.clone(),
        message: fit(&causes(&error).0, None),
    };
    let mut builder = Client::builder()
        .user_agent(concat!("unship/", env!("CARGO_PKG_VERSION")))
        // Argo CD's port takes HTTP/2 for gRPC alone (`server/server.go`, 3.2).
        .http1_only()
        .connect_timeout(connect_timeout)
        .redirect(redirect::Policy::none())
        .tls_danger_accept_invalid_certs(server.insecure_tls);
    if server.base_url.starts_with("http://") {
        // Spares the loading of the system's certificates where none is needed.
        builder = builder.tls_certs_only(std::iter::empty());
    } else if let Some(pem) = &server.ca_pem {
        builder = builder.tls_certs_merge(Certificate::from_pem_bundle(pem).map_err(tls)?);
    }
    if let Some(pem) = &server.client_pem {
        let identity = Identity::from_pem(pem.expose_secret().as_bytes()).map_err(tls)?;
        builder = builder.identity(identity);
    }
    builder.build().map_err(tls)
}

/// The words of an error and all its causes, and whether TLS is among them.
fn causes(error: &reqwest::Error) -> (String, bool) {
    let mut words: Vec<String> = Vec::new();
    let mut tls = false;
    let mut next: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(cause) = next {
        tls |= cause.is::<rustls::Error>();
        let text = cause.to_string();
        if words.last().is_none_or(|last| !last.contains(&text)) {
            words.push(text);
        }
        // The source of an io::Error is that of what it wraps, not what it wraps.
        let wrapped = cause
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    if words.is_empty() {
        words.push(error.to_string());
    }
    (words.join(": "), tls)
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
