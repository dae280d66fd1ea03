//! A server for tests: answers as told and remembers what it was asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::Request;
use axum::http::{StatusCode, header};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{Argocd, Resolved};

pub(super) const TOKEN: &str = "eyJcanary.token-that-must-not-leak.signature";

/// What a request looked like.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) uri: String,
    pub(super) authorization: String,
    pub(super) user_agent: String,
    pub(super) content_type: String,
    pub(super) body: String,
}

/// An answer: status code, body.
pub(super) type Answer = (u16, String);

pub(super) struct Fake {
    pub(super) base: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    /// Answers every request by its number (from 0) and path with query.
    pub(super) async fn start(
        answer: impl Fn(usize, &str) -> Answer + Clone + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let log = Arc::clone(&seen);
        let handler = move |request: Request| {
            let (log, answer) = (Arc::clone(&log), answer.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
                let text = |name| {
                    let value = parts.headers.get(name);
                    value.map_or(String::new(), |v| v.to_str().unwrap().to_owned())
                };
                let uri = parts.uri.to_string();
                let seen = Seen {
                    method: parts.method.to_string(),
                    uri: uri.clone(),
                    authorization: text(header::AUTHORIZATION),
                    user_agent: text(header::USER_AGENT),
                    content_type: text(header::CONTENT_TYPE),
                    body: String::from_utf8_lossy(&body).into_owned(),
                };
                let number = {
                    let mut log = log.lock().unwrap();
                    log.push(seen);
                    log.len() - 1
                };
                let (code, body) = answer(number, &uri);
                let location = [(header::LOCATION, "https://elsewhere/login?state=x")];
                (StatusCode::from_u16(code).unwrap(), location, body)
            }
        };
        let app = axum::Router::new().fallback(handler);
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { base, seen, task }
    }

    /// Reads a request on each connection, then breaks the connection as often as said;
    /// after that it answers `{}`. With `hang` it never answers.
    pub(super) async fn raw(breaks: usize, hang: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            let mut held = Vec::new();
            for number in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut buffer = [0; 4096];
                let _ = stream.read(&mut buffer).await.unwrap();
                if hang {
                    held.push(stream);
                } else if number < breaks {
                    drop(stream);
                } else {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                    stream.write_all(answer).await.unwrap();
                }
            }
        });
        Self {
            base,
            seen: Arc::default(),
            task,
        }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn client(&self) -> Argocd {
        client(&self.base, Duration::from_secs(5))
    }
}

pub(super) fn client(base: &str, limit: Duration) -> Argocd {
    let server = Resolved {
        base_url: base.to_owned(),
        token: Some(SecretString::from(TOKEN)),
        insecure_tls: base.starts_with("https"),
        ca_pem: None,
        client_pem: None,
        source: "a test".to_owned(),
        read_only_proxy: false,
    };
    Argocd::connect(server, limit)
}
