//! The REST API as grpc-gateway serves it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::revisions::{Commits, is_several, sources};
use super::source::{commit_metadata, render, resolve_all};
use super::windows::Windows;
use super::{
    Account, GROUP, NAMESPACE, REFRESH, Role, RpcError, actions, compare, project_of, views,
};
use crate::sandbox::api::{parse_query, percent_decode};
use crate::sandbox::faults::{Effects, Surface};
use crate::sandbox::json::{annotation, seconds, set, text};
use crate::sandbox::kinds::by_kind;
use crate::sandbox::server::Hangup;
use crate::sandbox::store::{Part, Writer};
use crate::sandbox::world::World;

const BODY_LIMIT: usize = 4 << 20;
const VERSION: &str = "v3.2.11+sandbox";

/// The routes of argocd-server.
pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new().fallback(handle).with_state(world)
}

/// A request as the handlers see it.
struct Call {
    world: Arc<World>,
    method: String,
    path: Vec<String>,
    query: Vec<(String, String)>,
    body: Value,
    account: Option<Account>,
    effects: Effects,
}

async fn handle(
    State(world): State<Arc<World>>,
    ConnectInfo(hangup): ConnectInfo<Hangup>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let uri = parts
        .uri
        .path_and_query()
        .map_or("/", |p| p.as_str())
        .to_owned();
    let method = parts.method.as_str().to_owned();
    let effects = world.faults.effects(Surface::Argocd, &method, &uri);
    tokio::time::sleep(effects.delay).await;
    if effects.drop {
        hangup.now();
        return Response::new(Body::empty());
    }
    let account = account(&world, &parts.headers);
    let who = account.as_ref().map_or(String::new(), |a| a.name.clone());
    let media = parts
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok());
    let outcome = if method != "GET" && media != Some("application/json") {
        None
    } else if let Some(code) = effects.answer {
        Some(Err(injected(code)))
    } else {
        let bytes = axum::body::to_bytes(body, BODY_LIMIT)
            .await
            .unwrap_or_default();
        let path = parts
            .uri
            .path()
            .split('/')
            .filter(|p| !p.is_empty())
            .map(percent_decode);
        let call = Call {
            world: world.clone(),
            method: method.clone(),
            path: path.collect(),
            query: parse_query(parts.uri.query().unwrap_or("")),
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            account,
            effects: effects.clone(),
        };
        Some(dispatch(call).await)
    };
    let (code, text, kind) = match outcome {
        None => (
            415,
            "Invalid content type".to_owned(),
            "text/plain; charset=utf-8",
        ),
        Some(Ok(value)) => (200, value.to_string(), "application/json"),
        Some(Err(error)) => (error.http(), error.body().to_string(), "application/json"),
    };
    world
        .argocd_log
        .write(&json!({"time": seconds(Timestamp::now()), "method": method,
        "path": uri, "status": code, "user": who}));
    if effects.drop_after {
        hangup.now();
    }
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::OK);
    let kind = header::HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn injected(code: u16) -> RpcError {
    match code {
        401 => RpcError::new(16, "invalid session: token has been revoked"),
        403 => RpcError::new(7, "permission denied"),
        404 => RpcError::new(5, "not found"),
        503 => RpcError::new(
            14,
            "connection error: desc = \"transport: error while dialing\"",
        ),
        504 => RpcError::new(4, "context deadline exceeded"),
        _ => RpcError::new(13, "injected by the sandbox"),
    }
}

fn account(world: &World, headers: &HeaderMap) -> Option<Account> {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok());
    let cookie = headers
        .get(header::COOKIE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or("");
    let from_cookie = cookie
        .split(';')
        .find_map(|c| c.trim().strip_prefix("argocd.token="));
    let token = bearer
        .and_then(|b| b.strip_prefix("Bearer "))
        .or(from_cookie)?;
    world.accounts.account(token)
}

async fn dispatch(call: Call) -> Result<Value, RpcError> {
    let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
    let get = call.method == "GET";
    match path.as_slice() {
        ["api", "version"] if get => return Ok(version(call.account.is_some())),
        ["healthz"] if get => return Ok(json!("ok")),
        ["api", "v1", "session", "userinfo"] if get => return Ok(user_info(&call)),
        ["api", "v1", "settings"] if get => return Ok(settings()),
        _ => {}
    }
    let Some(account) = call.account.clone() else {
        return Err(RpcError::new(16, "no session information"));
    };
    match path.as_slice() {
        ["api", "v1", "account", "can-i", resource, action, ..] if get => {
            can_i(&account, resource, action)
        }
        ["api", "v1", "applications"] if get => list(&call),
        ["api", "v1", "applicationsets", name] if get => application_set(&call, &account, name),
        ["api", "v1", "projects", ..] if get => project(&call, &path[3..]),
        ["api", "v1", "clusters"] if get => Ok(json!({"metadata": {}, "items": [{
            "name": "in-cluster", "server": "https://kubernetes.default.svc",
            "serverVersion": "1.36", "info": {"connectionState": {"status": "Successful"}}}]})),
        ["api", "v1", "repositories"] if get => Ok(json!({"metadata": {}, "items": []})),
        ["api", "v1", "applications", name, rest @ ..] => {
            let app = call.app(&account, name, action_of(&call, rest))?;
            let name = (*name).to_owned();
            let rest: Vec<String> = rest.iter().map(|s| (*s).to_owned()).collect();
            application(call, account, app, (name, rest)).await
        }
        _ => Err(RpcError::new(5, "Not Found")),
    }
}

/// The right that an Application is looked up with: who lacks it is not told whether there
/// is one. A sync and a patch are looked up with `get`, their own right is asked later.
fn action_of(call: &Call, rest: &[&str]) -> &'static str {
    match (call.method.as_str(), rest) {
        (_, ["rollback" | "operation"]) => "sync",
        ("PUT", _) => "update",
        _ => "get",
    }
}

fn version(known: bool) -> Value {
    let mut out = json!({"Version": VERSION});
    if known {
        out["Platform"] = json!("unship/sandbox");
        out["KubectlVersion"] = json!("v0.34.0");
    }
    out
}

fn user_info(call: &Call) -> Value {
    match &call.account {
        Some(account) => {
            json!({"loggedIn": true, "username": account.name, "iss": "argocd"})
        }
        None => json!({}),
    }
}

fn settings() -> Value {
    json!({"url": "", "appLabelKey": "app.kubernetes.io/instance", "trackingMethod": "annotation",
        "controllerNamespace": NAMESPACE, "impersonationEnabled": false, "hydratorEnabled": false})
}

/// What can be asked about (util/rbac/rbac.go).
const ACTIONS: [&str; 8] = [
    "get", "create", "update", "delete", "sync", "override", "action", "invoke",
];
const RESOURCES: [&str; 12] = [
    "clusters",
    "projects",
    "applications",
    "applicationsets",
    "repositories",
    "write-repositories",
    "certificates",
    "accounts",
    "gpgkeys",
    "logs",
    "exec",
    "extensions",
];

fn can_i(account: &Account, resource: &str, action: &str) -> Result<Value, RpcError> {
    for (known, asked) in [(&ACTIONS[..], action), (&RESOURCES[..], resource)] {
        if !known.contains(&asked) {
            let message = format!("[{}] does not contain {asked}", known.join(" "));
            return Err(RpcError::new(3, message));
        }
    }
    Ok(json!({"value": if account.may_on(resource, action) { "yes" } else { "no" }}))
}

impl Call {
    fn param(&self, name: &str) -> &str {
        self.query
            .iter()
            .find(|(k, _)| k == name)
            .map_or("", |(_, v)| v)
    }

    /// A field of the request: of the body where that is the whole request (grpc-gateway's
    /// `body: "*"`), else of the query.
    fn field(&self, name: &str) -> String {
        match self.method.as_str() {
            "POST" | "PATCH" => text(&self.body, &format!("/{name}")).to_owned(),
            _ => self.param(name).to_owned(),
        }
    }

    /// The Application, if the account may do `action` on it. Without a project a missing one
    /// and a forbidden one look alike, so that names cannot be tried out.
    fn app(&self, account: &Account, name: &str, action: &str) -> Result<Arc<Value>, RpcError> {
        let (namespace, project) = (self.field("appNamespace"), self.field("project"));
        let denied = || RpcError::new(7, "permission denied");
        if !project.is_empty() && !account.may(action) {
            return Err(denied());
        }
        let space = if namespace.is_empty() {
            NAMESPACE.to_owned()
        } else {
            namespace
        };
        let found = self.world.store.with(|objects| match self.effects.stale {
            Some(age) => {
                let kind = by_kind(GROUP, "Application")?;
                let at = Instant::now().checked_sub(age)?;
                objects.as_of(kind, &space, name, at)
            }
            None => views::find(objects, &space, name),
        });
        let missing = || {
            let message = format!("applications.argoproj.io \"{name}\" not found");
            RpcError::new(5, message)
        };
        match found {
            None if project.is_empty() => Err(denied()),
            None => Err(missing()),
            Some(_) if !account.may(action) => Err(denied()),
            Some(app) if !project.is_empty() && project != project_of(&app) => Err(missing()),
            Some(app) => Ok(app),
        }
    }
}

fn list(call: &Call) -> Result<Value, RpcError> {
    let all = |name: &str| -> Vec<&str> {
        let found = call
            .query
            .iter()
            .filter(|(k, v)| k == name && !v.is_empty());
        found.map(|(_, v)| v.as_str()).collect()
    };
    let projects = [all("projects"), all("project")].concat();
    let selector = crate::sandbox::api::Selector::parse(call.param("selector"), "")
        .map_err(|e| RpcError::new(3, e.message))?;
    let kind = by_kind(GROUP, "Application").ok_or_else(|| RpcError::new(13, "no such kind"))?;
    let (repo, name) = (call.param("repo"), call.param("name"));
    let (version, items): (u64, Vec<Value>) = call.world.store.with(|objects| {
        let found = objects.list(kind, call.param("appNamespace"));
        let fits = |app: &Arc<Value>| {
            (projects.is_empty() || projects.contains(&project_of(app)))
                && (repo.is_empty()
                    || sources(&app["spec"])
                        .iter()
                        .any(|s| text(s, "/repoURL") == repo))
                && (name.is_empty() || text(app, "/metadata/name") == name)
                && selector.matches(app)
        };
        let shown = found
            .iter()
            .filter(|a| fits(a))
            .map(|a| views::application(objects, a));
        (objects.resource_version(), shown.collect())
    });
    let items = if items.is_empty() {
        Value::Null
    } else {
        json!(items)
    };
    let out = json!({"metadata": {"resourceVersion": version.to_string()}, "items": items});
    Ok(match call.param("fields") {
        "" => out,
        fields => views::project_fields(&out, fields),
    })
}

/// `GET /api/v1/applicationsets/NAME`, of Argo CD's own namespace unless another is named.
fn application_set(call: &Call, account: &Account, name: &str) -> Result<Value, RpcError> {
    let kind = by_kind(GROUP, "ApplicationSet").ok_or_else(|| RpcError::new(13, "no such kind"))?;
    if !account.may_on("applicationsets", "get") {
        return Err(RpcError::new(7, "permission denied"));
    }
    let namespace = match call.param("appsetNamespace") {
        "" => NAMESPACE,
        named => named,
    };
    let found = call.world.store.with(|o| o.get(kind, namespace, name));
    let missing = || {
        let message = format!(
            "error getting ApplicationSet: applicationsets.argoproj.io \"{name}\" not found"
        );
        RpcError::new(2, message)
    };
    found.map(|set| (*set).clone()).ok_or_else(missing)
}

fn project(call: &Call, rest: &[&str]) -> Result<Value, RpcError> {
    let kind = by_kind(GROUP, "AppProject").ok_or_else(|| RpcError::new(13, "no such kind"))?;
    let all = call
        .world
        .store
        .with(|objects| objects.list(kind, NAMESPACE));
    let Some(name) = rest.first() else {
        let items: Vec<Value> = all.iter().map(|p| (**p).clone()).collect();
        return Ok(json!({"metadata": {}, "items": items}));
    };
    let found = all.iter().find(|p| text(p, "/metadata/name") == *name);
    let Some(found) = found else {
        return Err(RpcError::new(
            5,
            format!("appprojects.argoproj.io \"{name}\" not found"),
        ));
    };
    match rest.get(1) {
        Some(&"syncwindows") => Ok(json!({"windows": Windows::open_of_project(found)})),
        // No global projects here; Argo CD leaves empty lists out.
        Some(&"detailed") => Ok(json!({"project": **found})),
        _ => Ok((**found).clone()),
    }
}

async fn application(
    call: Call,
    account: Account,
    app: Arc<Value>,
    (name, rest): (String, Vec<String>),
) -> Result<Value, RpcError> {
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let world = call.world.clone();
    match (call.method.as_str(), rest.as_slice()) {
        ("GET", []) => get(&call, &app, &name).await,
        ("GET", ["resource-tree"]) => Ok(world.store.with(|o| views::tree(o, &app))),
        ("GET", ["managed-resources"]) => blocking(move || managed(&call, &app)).await,
        ("GET", ["resource"]) => resource(&call, &app),
        ("GET", ["manifests"]) => blocking(move || manifests(&call, &app)).await,
        ("GET", ["syncwindows"]) => {
            let project = by_kind(GROUP, "AppProject")
                .and_then(|k| world.store.with(|o| o.get(k, NAMESPACE, project_of(&app))));
            Ok(Windows::of(&app, project.as_deref(), Timestamp::now()).view())
        }
        ("GET", ["revisions", commit, "metadata"]) => {
            let commit = (*commit).to_owned();
            let source = call.param("sourceIndex").parse().unwrap_or(0);
            let read = move || {
                let own = sources(&app["spec"]);
                let source = own.get(source).unwrap_or(&Value::Null);
                commit_metadata(&world, source, &commit).map_err(|e| RpcError::new(2, e))
            };
            blocking(read).await
        }
        ("POST", ["sync"]) => {
            blocking(move || actions::sync(&world, &account, &app, &call.body)).await
        }
        ("POST", ["rollback"]) => actions::rollback(&world, &account, &app, &call.body),
        ("DELETE", ["operation"]) => actions::terminate(&world, &app),
        ("PUT", ["spec"]) => actions::put_spec(&world, &app, &call.body),
        ("PATCH", []) => actions::patch(&world, &account, &app, &call.body),
        _ => Err(RpcError::new(5, "Not Found")),
    }
}

async fn blocking(
    work: impl FnOnce() -> Result<Value, RpcError> + Send + 'static,
) -> Result<Value, RpcError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(RpcError::new(13, error.to_string())),
    }
}

/// With `refresh` the answer waits until the controller has looked.
async fn get(call: &Call, app: &Arc<Value>, name: &str) -> Result<Value, RpcError> {
    let world = &call.world;
    let wanted = call.param("refresh");
    if !["normal", "hard"].contains(&wanted) || call.effects.stale.is_some() {
        return Ok(world.store.with(|objects| views::application(objects, app)));
    }
    let kind = by_kind(GROUP, "Application").ok_or_else(|| RpcError::new(13, "no such kind"))?;
    let namespace = text(app, "/metadata/namespace").to_owned();
    let mut changed = world.store.subscribe();
    let server = Writer {
        manager: "argocd-server",
        apply: false,
    };
    world
        .store
        .with(|objects| {
            let mut marked = (*objects.require(kind, &namespace, name)?).clone();
            set(
                &mut marked,
                &["metadata", "annotations", REFRESH],
                json!(wanted),
            );
            objects.update(kind, marked, Part::Main, server)
        })
        .map_err(|e| RpcError::new(10, e.message))?;
    loop {
        changed.mark_unchanged();
        let now = world.store.with(|objects| {
            let found = objects.get(kind, &namespace, name);
            found.map(|a| {
                (
                    annotation(&a, REFRESH).is_some(),
                    views::application(objects, &a),
                )
            })
        });
        match now {
            Some((true, _)) => {
                tokio::select! {
                    _ = changed.changed() => {}
                    () = tokio::time::sleep(Duration::from_millis(200)) => {}
                }
            }
            Some((false, view)) => return Ok(view),
            None => return Err(RpcError::new(7, "permission denied")),
        }
    }
}

fn managed(call: &Call, app: &Value) -> Result<Value, RpcError> {
    let commit = Commits::of(&app["status"]["sync"]);
    let targets = render(&call.world, app, &sources(&app["spec"]), &commit);
    let targets = targets.unwrap_or_default().objects;
    let mut comparison = call.world.store.with(|objects| {
        let tracked = compare::tracked(objects);
        let live = tracked
            .get(text(app, "/metadata/name"))
            .map_or(&[][..], Vec::as_slice);
        compare::compare(objects, app, &targets, live)
    });
    let fits = |name: &str, own: &str| call.param(name).is_empty() || call.param(name) == own;
    comparison.resources.retain(|r| {
        fits("kind", &r.kind)
            && fits("group", &r.group)
            && fits("name", &r.name)
            && fits("namespace", &r.namespace)
    });
    Ok(views::managed(&comparison))
}

fn resource(call: &Call, app: &Value) -> Result<Value, RpcError> {
    let (group, kind) = (call.param("group"), call.param("kind"));
    let (namespace, name) = (call.param("namespace"), call.param("resourceName"));
    let found = call.world.store.with(|objects| {
        let tree = views::tree(objects, app);
        let nodes = tree["nodes"].as_array().cloned().unwrap_or_default();
        let listed = nodes.iter().any(|n| {
            text(n, "/group") == group && text(n, "/kind") == kind && text(n, "/name") == name
        });
        let live = by_kind(group, kind).and_then(|k| objects.get(k, namespace, name));
        live.filter(|_| listed)
    });
    match found {
        Some(live) => Ok(json!({"manifest": views::masked(&live).to_string()})),
        None => {
            let app = text(app, "/metadata/name");
            let message = format!("{kind} {group} {name} not found as part of application {app}");
            Err(RpcError::new(3, message))
        }
    }
}

fn manifests(call: &Call, app: &Value) -> Result<Value, RpcError> {
    let fail = |e: String| RpcError::new(2, e);
    let mut asked = app.clone();
    let wanted = call.param("revision");
    if !wanted.is_empty() && !is_several(&app["spec"]) {
        asked["spec"]["source"]["targetRevision"] = json!(wanted);
    }
    let all = |name: &str| -> Vec<&str> {
        let found = call.query.iter().filter(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).collect()
    };
    for (revision, position) in all("revisions").iter().zip(all("sourcePositions")) {
        let place = position
            .parse::<usize>()
            .ok()
            .and_then(|n| n.checked_sub(1));
        let source = place.and_then(|place| asked["spec"]["sources"].get_mut(place));
        match source {
            Some(source) => source["targetRevision"] = json!(revision),
            None => return Err(RpcError::new(2, "source position is out of range")),
        }
    }
    let commit = resolve_all(&call.world, &asked).map_err(fail)?;
    let made = render(&call.world, app, &sources(&app["spec"]), &commit).map_err(fail)?;
    let texts: Vec<String> = made
        .objects
        .iter()
        .map(|t| views::masked(t).to_string())
        .collect();
    let first = made.types.first().cloned().unwrap_or_default();
    Ok(
        json!({"manifests": texts, "revision": commit.get(0), "sourceType": first,
        "namespace": app["spec"]["destination"]["namespace"],
        "server": app["spec"]["destination"]["server"]}),
    )
}

/// Tokens of the accounts of every sandbox.
pub(crate) struct StandardTokens {
    pub(crate) devpod: String,
    pub(crate) admin: String,
    pub(crate) operator: String,
    pub(crate) syncer: String,
}

/// Makes the accounts of every sandbox.
pub(crate) fn standard_tokens(world: &World) -> StandardTokens {
    let token = |name: &str, role| world.accounts.token(name, role);
    StandardTokens {
        devpod: token("devpod", Role::ReadOnly),
        admin: token("admin", Role::Admin),
        operator: token("operator", Role::Operator),
        syncer: token("syncer", Role::Sync),
    }
}
