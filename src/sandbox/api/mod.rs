//! The Kubernetes API: authentication, authorization, audit, and the way to each handler.

mod admission;
pub(crate) mod discovery;
mod logs;
mod objects;
mod openapi;
mod protobuf;
mod proxy;
mod request;
mod reviews;
mod scale;
mod selector;
mod table;
mod watch;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use futures::StreamExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::error::ApiError;
use super::faults::Surface;
use super::json::{micros, uid};
use super::rbac::{self, Attempt, User};
use super::server::Hangup;
use super::world::World;
pub(crate) use objects::prepare;
use request::Call;
pub(crate) use request::{parse_query, percent_decode};
pub(crate) use selector::Selector;

/// The largest body that is read.
const BODY_LIMIT: usize = 8 << 20;

/// One listening address of the API server.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) world: Arc<World>,
    /// Who asks when no credentials are sent; kubectl sends none over plain http.
    pub(crate) default_user: Option<User>,
    /// Whether credentials of the request count (a `kubectl proxy` uses its own).
    pub(crate) read_tokens: bool,
}

/// The routes: one handler, since the API's paths are regular.
pub(crate) fn router(endpoint: Endpoint) -> Router {
    Router::new().fallback(handle).with_state(endpoint)
}

/// An answer before it is sent.
pub(crate) enum Answer {
    Json(u16, Value),
    Text(String),
    Stream(Body),
}

async fn handle(
    State(endpoint): State<Endpoint>,
    ConnectInfo(hangup): ConnectInfo<Hangup>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let uri = parts
        .uri
        .path_and_query()
        .map_or("/", |p| p.as_str())
        .to_owned();
    let world = endpoint.world.clone();
    let effects = world
        .faults
        .effects(Surface::Kubernetes, parts.method.as_str(), &uri);
    tokio::time::sleep(effects.delay).await;
    if effects.drop {
        hangup.now();
        return Response::new(Body::empty());
    }
    let started = Timestamp::now();
    let user = endpoint.user(&parts.headers);
    let name = user
        .as_ref()
        .map_or("system:anonymous".to_owned(), |u| u.name.clone());
    let call = Call::parse(&parts, &uri, name);
    let outcome = match (effects.answer, user) {
        (Some(code), _) => Err(ApiError::injected(code)),
        (None, None) => Err(ApiError::unauthorized()),
        (None, Some(user)) => match axum::body::to_bytes(body, BODY_LIMIT).await {
            Ok(bytes) => {
                let denied = effects.deny.as_deref();
                dispatch(&world, &user, (&call, denied), &bytes)
            }
            Err(error) => Err(ApiError::bad_request(format!("cannot read body: {error}"))),
        },
    };
    let (response, code) = respond(outcome);
    world.audit.write(&audit_line(&call, code, started));
    if effects.drop_after {
        hangup.now();
    }
    if effects.half {
        return half(response).await;
    }
    response
}

/// The first half of an answer, and a connection that breaks then.
async fn half(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let whole = axum::body::to_bytes(body, BODY_LIMIT).await;
    let whole = whole.unwrap_or_default();
    let first = futures::stream::iter([Ok(whole.slice(..whole.len() / 2))]);
    let broken = futures::stream::once(async {
        // What was sent is to leave before.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        Err(std::io::Error::other("a fault"))
    });
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from_stream(first.chain(broken)))
}

impl Endpoint {
    /// None: credentials were sent, or are needed, and do not hold.
    fn user(&self, headers: &HeaderMap) -> Option<User> {
        let sent = headers
            .get(header::AUTHORIZATION)
            .and_then(|v| v.to_str().ok());
        match sent.filter(|_| self.read_tokens) {
            Some(value) => self.world.tokens.user(value.strip_prefix("Bearer ")?),
            None => self.default_user.clone(),
        }
    }
}

fn dispatch(
    world: &Arc<World>,
    user: &User,
    (call, denied): (&Call, Option<&str>),
    body: &[u8],
) -> Result<Answer, ApiError> {
    let Some(target) = &call.target else {
        return discovery::answer(call);
    };
    authorize(world, user, call)?;
    if let Some(review) = target.review {
        return reviews::answer(world, user, review, body);
    }
    let Some(kind) = target.kind else {
        return Err(ApiError::no_route());
    };
    // Admission sees writes only.
    if let Some(message) = denied.filter(|_| !["get", "list", "watch"].contains(&call.verb)) {
        return Err(ApiError::denied(&kind.qualified(), &target.name, message));
    }
    match (call.verb, target.subresource.as_str()) {
        ("get", "log") => logs::answer(world, call, target),
        ("get", "proxy") if kind.plural == "pods" => proxy::answer(world, call, target),
        ("create", "token") => reviews::token_request(world, target, body),
        (_, "exec" | "attach" | "portforward" | "proxy") => Err(ApiError::bad_request(
            "the sandbox runs no containers, so there is nothing to connect to",
        )),
        ("watch", "") => watch::answer(world, call, kind, target),
        _ => objects::answer(world, call, kind, target, body),
    }
}

fn authorize(world: &World, user: &User, call: &Call) -> Result<(), ApiError> {
    let attempt = call.attempt();
    let allowed = world
        .store
        .with(|objects| rbac::allowed(objects, user, &attempt));
    match allowed {
        Some(_) => Ok(()),
        None => {
            let (message, details) = rbac::refusal(user, &attempt);
            Err(ApiError::forbidden(message, details))
        }
    }
}

fn respond(outcome: Result<Answer, ApiError>) -> (Response, u16) {
    let (code, body, kind) = match outcome {
        Ok(Answer::Json(code, value)) => (code, Body::from(value.to_string()), "application/json"),
        Ok(Answer::Text(text)) => (200, Body::from(text), "text/plain"),
        Ok(Answer::Stream(body)) => (200, body, "application/json"),
        Err(error) => (
            error.code,
            Body::from(error.body().to_string()),
            "application/json",
        ),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::OK);
    let kind = header::HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    (response, code)
}

fn audit_line(call: &Call, code: u16, started: Timestamp) -> Value {
    let mut line = json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata",
        "auditID": uid(), "stage": "ResponseComplete", "requestURI": call.uri,
        "verb": call.verb, "user": {"username": call.user}, "userAgent": call.user_agent,
        "sourceIPs": ["127.0.0.1"], "responseStatus": {"metadata": {}, "code": code},
        "requestReceivedTimestamp": micros(started), "stageTimestamp": micros(Timestamp::now()),
    });
    if let Some(target) = &call.target {
        let mut reference = json!({"resource": target.plural, "apiVersion": target.api});
        for (key, value) in [
            ("namespace", &target.namespace),
            ("name", &target.name),
            ("apiGroup", &target.group),
            ("subresource", &target.subresource),
        ] {
            if !value.is_empty() {
                reference[key] = json!(value);
            }
        }
        line["objectRef"] = reference;
    }
    line
}

impl Call {
    fn attempt(&self) -> Attempt<'_> {
        let Some(target) = &self.target else {
            return Attempt::default();
        };
        let resource = if target.subresource.is_empty() {
            target.plural.clone()
        } else {
            format!("{}/{}", target.plural, target.subresource)
        };
        Attempt {
            verb: self.verb,
            group: &target.group,
            resource,
            namespace: &target.namespace,
            name: &target.name,
        }
    }
}

/// Reads a body: JSON, YAML, or one of the protobuf messages that are known.
fn parse_body(body: &[u8]) -> Result<Value, ApiError> {
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    if protobuf::is_protobuf(body) {
        return protobuf::decode(body).ok_or_else(ApiError::unread_protobuf);
    }
    let text = std::str::from_utf8(body)
        .map_err(|e| ApiError::bad_request(format!("body is not UTF-8: {e}")))?;
    super::manifests::parse_one(text)
        .map_err(|e| ApiError::bad_request(format!("error decoding body: {e}")))
}
