//! Git over HTTP: `git http-backend` as a CGI program behind basic authentication.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use futures::StreamExt;
use jiff::Timestamp;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::error::Error;
use super::faults::Surface;
use super::json::seconds;
use super::server::Hangup;
use super::world::World;

#[derive(Debug, Clone)]
struct GitServer {
    world: Arc<World>,
    backend: PathBuf,
}

/// Where git keeps `git-http-backend`.
pub(crate) async fn find_backend() -> Result<PathBuf, Error> {
    let output = Command::new("git")
        .arg("--exec-path")
        .output()
        .await
        .map_err(Error::NoGit)?;
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let backend = folder.join("git-http-backend");
    if backend.exists() {
        Ok(backend)
    } else {
        Err(Error::NoBackend(folder))
    }
}

/// Serves every bare repository of the world's folder.
pub(crate) fn router(world: Arc<World>, backend: PathBuf) -> Router {
    Router::new()
        .fallback(handle)
        .with_state(GitServer { world, backend })
}

async fn handle(
    State(server): State<GitServer>,
    ConnectInfo(hangup): ConnectInfo<Hangup>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or("").to_owned();
    let uri = parts.uri.path_and_query().map_or("/", |p| p.as_str());
    let method = parts.method.as_str().to_owned();
    let effects = server.world.faults.effects(Surface::Git, &method, uri);
    tokio::time::sleep(effects.delay).await;
    if effects.drop {
        hangup.now();
        return Response::new(Body::empty());
    }
    let user = server.user(&parts);
    let response = if let Some(code) = effects.answer {
        plain(code, "injected by the sandbox\n")
    } else if user.is_none() {
        let mut response = plain(401, "authentication required\n");
        let realm = HeaderValue::from_static("Basic realm=\"git\"");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, realm);
        response
    } else {
        match server
            .run(&parts, body, user.as_deref().unwrap_or(""))
            .await
        {
            Ok(response) => response,
            Err(error) => plain(500, &format!("cannot run git http-backend: {error}\n")),
        }
    };
    server
        .world
        .git_log
        .write(&json!({"time": seconds(Timestamp::now()), "method": method,
        "path": path, "query": query, "status": response.status().as_u16(),
        "user": user.unwrap_or_default()}));
    if effects.drop_after {
        // Let the backend finish its work, then say nothing of it.
        let body = response.into_body();
        let _drained = axum::body::to_bytes(body, usize::MAX).await;
        hangup.now();
        return Response::new(Body::empty());
    }
    response
}

fn plain(code: u16, text: &str) -> Response {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

impl GitServer {
    /// The user whose password was sent.
    fn user(&self, parts: &Parts) -> Option<String> {
        let sent = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let decoded = base64_decode(sent.strip_prefix("Basic ")?)?;
        let (user, password) = decoded.split_once(':')?;
        let right = user == self.world.git_user && password == self.world.git_password;
        right.then(|| user.to_owned())
    }

    async fn run(&self, parts: &Parts, body: Body, user: &str) -> std::io::Result<Response> {
        let mut child = self.command(parts, user).spawn()?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let (Some(stdin), Some(stdout)) = (stdin, stdout) else {
            return Err(std::io::Error::other("no pipes to the backend"));
        };
        tokio::spawn(feed(body.into_data_stream(), stdin));
        let mut reader = BufReader::new(stdout);
        let mut response = Response::new(Body::empty());
        read_headers(&mut reader, &mut response).await?;
        *response.body_mut() = Body::from_stream(stream(reader, child));
        Ok(response)
    }

    fn command(&self, parts: &Parts, user: &str) -> Command {
        let header = |name: &str| {
            parts
                .headers
                .get(name)
                .and_then(|v| v.to_str().ok())
                .unwrap_or("")
                .to_owned()
        };
        let mut command = Command::new(&self.backend);
        command
            .env("GIT_PROJECT_ROOT", &self.world.git_root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            // The user's own configuration has no business on a server.
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_COUNT", "2")
            .env("GIT_CONFIG_KEY_0", "safe.directory")
            .env("GIT_CONFIG_VALUE_0", "*")
            // Forges allow partial clones.
            .env("GIT_CONFIG_KEY_1", "uploadpack.allowFilter")
            .env("GIT_CONFIG_VALUE_1", "true")
            .env("PATH_INFO", super::api::percent_decode(parts.uri.path()))
            .env("QUERY_STRING", parts.uri.query().unwrap_or(""))
            .env("REQUEST_METHOD", parts.method.as_str())
            .env("CONTENT_TYPE", header("content-type"))
            .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
            .env("GIT_PROTOCOL", header("git-protocol"))
            .env("REMOTE_USER", user)
            .env("REMOTE_ADDR", "127.0.0.1")
            .env("GIT_COMMITTER_NAME", user)
            .env("GIT_COMMITTER_EMAIL", format!("{user}@127.0.0.1"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let length = header("content-length");
        if !length.is_empty() {
            command.env("CONTENT_LENGTH", length);
        }
        for name in [
            "GIT_DIR",
            "GIT_WORK_TREE",
            "GIT_INDEX_FILE",
            "GIT_OBJECT_DIRECTORY",
        ] {
            command.env_remove(name);
        }
        command
    }
}

async fn feed(mut body: BodyDataStream, mut stdin: ChildStdin) {
    while let Some(Ok(chunk)) = body.next().await {
        // The backend may refuse before it has read all; that is no error here.
        if stdin.write_all(&chunk).await.is_err() {
            return;
        }
    }
}

async fn read_headers(
    reader: &mut BufReader<ChildStdout>,
    response: &mut Response,
) -> std::io::Result<()> {
    let mut seen = false;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).await? == 0 {
            if seen {
                return Ok(());
            }
            return Err(std::io::Error::other("it answered nothing"));
        }
        seen = true;
        let line = line.trim_end();
        if line.is_empty() {
            return Ok(());
        }
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().and_then(|c| c.parse::<u16>().ok());
            *response.status_mut() = code
                .and_then(|c| StatusCode::from_u16(c).ok())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        } else if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        ) {
            response.headers_mut().insert(name, value);
        }
    }
}

fn stream(
    reader: BufReader<ChildStdout>,
    child: Child,
) -> impl futures::Stream<Item = std::io::Result<Vec<u8>>> {
    futures::stream::unfold((reader, child), |(mut reader, mut child)| async move {
        let mut buffer = vec![0; 32 << 10];
        match reader.read(&mut buffer).await {
            Ok(0) => {
                // Reaps the process.
                let _code = child.wait().await;
                None
            }
            Ok(length) => {
                buffer.truncate(length);
                Some((Ok(buffer), (reader, child)))
            }
            Err(error) => Some((Err(error), (reader, child))),
        }
    })
}

fn base64_decode(text: &str) -> Option<String> {
    let digit = |byte: u8| -> Option<u32> {
        Some(u32::from(match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        }))
    };
    let mut out = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.trim().trim_end_matches('=').bytes() {
        bits = (bits << 6) | digit(byte)?;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from((bits >> count) & 0xff).ok()?);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_decoded() {
        assert_eq!(
            base64_decode("dW5zaGlwOnMzY3JldA==").as_deref(),
            Some("unship:s3cret")
        );
        assert_eq!(base64_decode("dQ=="), Some("u".to_owned()));
        assert_eq!(base64_decode("!"), None);
    }
}
