//! The server, its world, and kubeconfigs that lead to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use serde_json::{Value, json};

use super::super::{Cluster, Settings};
use crate::model::{WorkloadKind, WorkloadRef};

/// What a test's server answers to a request.
pub(super) enum Reply {
    Json(u16, Value),
    Text(u16, &'static str),
    /// 429 with so many seconds in `Retry-After`.
    Later(u32),
    /// This much of an answer, then the connection breaks.
    Half(&'static str),
    /// This much of an answer, then nothing more.
    Stalls(&'static str),
    /// Never.
    Hang,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: String,
    /// Path and query.
    pub(super) uri: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn path(&self) -> &str {
        self.uri.split('?').next().unwrap()
    }
}

#[derive(Clone)]
pub(super) struct Fake {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Fake {
    /// Starts a server that lives as long as the test's runtime.
    pub(super) async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (log, answer) = (seen.clone(), Arc::new(answer));
        let handler = move |request: Request| {
            let (log, answer) = (log.clone(), answer.clone());
            async move { handle(request, &log, answer.as_ref()).await }
        };
        let app = Router::new().fallback(handler);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, seen }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) async fn connect(&self) -> Cluster {
        self.connect_with(|_| ()).await
    }

    pub(super) async fn connect_with(&self, change: impl FnOnce(&mut Settings)) -> Cluster {
        let folder = tempfile::tempdir().unwrap();
        let file = kubeconfig(folder.path(), "config", "far", &self.url(), &json!({}));
        let mut settings = Settings {
            kubeconfig: Some(file),
            ..Settings::default()
        };
        change(&mut settings);
        Cluster::connect(&settings).await.unwrap()
    }
}

async fn handle(
    request: Request,
    log: &Mutex<Vec<Seen>>,
    answer: &(dyn Fn(&Seen) -> Reply + Send + Sync),
) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let seen = Seen {
        method: parts.method.to_string(),
        uri: parts.uri.to_string(),
        headers: parts.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let reply = answer(&seen);
    log.lock().unwrap().push(seen);
    let (code, text) = match reply {
        Reply::Json(code, value) => (code, value.to_string()),
        Reply::Text(code, text) => (code, text.to_owned()),
        Reply::Later(seconds) => {
            let header = [("retry-after", seconds.to_string())];
            return (StatusCode::TOO_MANY_REQUESTS, header, "slow down").into_response();
        }
        Reply::Half(text) => {
            let first = futures::stream::iter([Ok(text)]);
            let broken = futures::stream::once(async {
                // The first piece is to leave before.
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                Err(std::io::Error::other("broken"))
            });
            return Body::from_stream(first.chain(broken)).into_response();
        }
        Reply::Stalls(text) => {
            let first = futures::stream::iter([Ok::<_, std::io::Error>(text)]);
            let stalls = first.chain(futures::stream::pending());
            return Body::from_stream(stalls).into_response();
        }
        Reply::Hang => std::future::pending().await,
    };
    (StatusCode::from_u16(code).unwrap(), Body::from(text)).into_response()
}

/// Writes a kubeconfig with one context, whose names are all `name`.
pub(super) fn kubeconfig(
    folder: &Path,
    file: &str,
    name: &str,
    server: &str,
    user: &Value,
) -> PathBuf {
    let path = folder.join(file);
    let content = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "contexts": [{"name": name,
            "context": {"cluster": name, "user": name, "namespace": "mcp"}}],
        "users": [{"name": name, "user": user}],
    });
    std::fs::write(&path, content.to_string()).unwrap();
    path
}

pub(super) fn target() -> WorkloadRef {
    WorkloadRef {
        kind: WorkloadKind::Deployment,
        namespace: "mcp".to_owned(),
        name: "zai-proxy".to_owned(),
    }
}

pub(super) fn forbidden(what: &str) -> Reply {
    let message = format!(
        "{what} is forbidden: User \"system:serviceaccount:devpod:devpod-observer\" cannot list \
         resource \"{what}\" in API group \"\" in the namespace \"mcp\""
    );
    status(403, &message)
}

pub(super) fn status(code: u16, message: &str) -> Reply {
    let body = json!({"kind": "Status", "status": "Failure", "code": code, "message": message});
    Reply::Json(code, body)
}

fn list(items: Value) -> Reply {
    Reply::Json(
        200,
        json!({"kind": "List", "metadata": {"resourceVersion": "9"}, "items": items}),
    )
}

fn owner(kind: &str, name: &str, uid: &str) -> Value {
    json!([{"kind": kind, "name": name, "uid": uid, "controller": true}])
}

fn replica_set(name: &str, uid: &str, number: &str, owner_uid: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "mcp", "uid": uid,
            "annotations": {"deployment.kubernetes.io/revision": number},
            "ownerReferences": owner("Deployment", "x", owner_uid)},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [
            {"name": "proxy", "image": "a/b:1"}]}}}})
}

fn pod(name: &str, uid: &str, owner_uid: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "mcp", "uid": uid,
            "labels": {"app": "zai-proxy"},
            "ownerReferences": owner("ReplicaSet", "x", owner_uid)},
        "spec": {"containers": [{"name": "proxy", "image": "a/b:1",
            "env": [{"name": "TOKEN", "value": "sekret"}]}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})
}

fn event(kind: &str, name: &str, uid: &str, severity: &str, minute: u32) -> Value {
    json!({"metadata": {"name": "e"}, "type": severity, "reason": format!("{name}-{minute}"),
        "involvedObject": {"kind": kind, "name": name, "uid": uid},
        "lastTimestamp": format!("2026-01-01T00:{minute:02}:00Z")})
}

pub(super) fn deployment(name: &str, namespace: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "uid": "d1", "generation": 2},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "zai-proxy"}},
            "template": {"spec": {"containers": [{"name": "proxy", "image": "a/b:2",
                "env": [{"name": "TOKEN", "value": "sekret"}]}]}}},
        "status": {"observedGeneration": 2, "replicas": 1}})
}

/// A namespace with `zai-proxy`, and a canary whose pods carry the same labels.
pub(super) fn world(seen: &Seen) -> Reply {
    let in_mcp = "/apis/apps/v1/namespaces/mcp";
    match seen.path() {
        path if path == format!("{in_mcp}/deployments/zai-proxy") => {
            Reply::Json(200, deployment("zai-proxy", "mcp"))
        }
        path if path == format!("{in_mcp}/replicasets") => list(json!([
            replica_set("zai-proxy-old", "r1", "9", "d1"),
            replica_set("zai-proxy-new", "r2", "10", "d1"),
            replica_set("zai-proxy-test-x", "r3", "3", "d2"),
        ])),
        "/api/v1/namespaces/mcp/pods" => list(json!([
            pod("zai-proxy-new-1", "p1", "r2"),
            pod("zai-proxy-test-x-1", "p2", "r3"),
            pod("zai-proxy-old-1", "p3", "r1"),
        ])),
        "/api/v1/namespaces/mcp/events" => list(json!([
            event("Pod", "zai-proxy-new-1", "p1", "Warning", 1),
            event("Pod", "zai-proxy-new-1", "p1", "Normal", 2),
            event("Pod", "zai-proxy-test-x-1", "p2", "Warning", 3),
            event("Deployment", "zai-proxy", "d1", "Warning", 4),
            event("Deployment", "zai-proxy", "d0-deleted-before", "Warning", 5),
            event("ReplicaSet", "zai-proxy-old", "", "Warning", 6),
        ])),
        "/apis/discovery.k8s.io/v1/namespaces/mcp/endpointslices" => list(json!([
            {"metadata": {"labels": {"kubernetes.io/service-name": "zai-proxy"}}, "endpoints": [
                {"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "uid": "p1"}}]}])),
        "/apis/autoscaling/v2/namespaces/mcp/horizontalpodautoscalers" => list(json!([
            {"metadata": {"name": "own"}, "spec": {"maxReplicas": 4,
                "scaleTargetRef": {"kind": "Deployment", "name": "zai-proxy"}}},
            {"metadata": {"name": "other"}, "spec": {"maxReplicas": 4,
                "scaleTargetRef": {"kind": "StatefulSet", "name": "zai-proxy"}}}])),
        path if path.starts_with(&format!("{in_mcp}/")) && path.split('/').count() == 7 => {
            list(json!([]))
        }
        _ => status(404, "the server could not find the requested resource"),
    }
}
