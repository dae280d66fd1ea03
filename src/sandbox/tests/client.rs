//! HTTP/1.1 as far as the tests need it: one request a connection.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Client {
    pub(crate) server: String,
    pub(crate) token: String,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }
}

impl Client {
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, "application/json", "")
            .await
            .unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, "application/json", &body.to_string())
            .await
            .unwrap()
    }

    pub(crate) async fn patch(&self, path: &str, media: &str, body: &Value) -> Reply {
        let media = format!("application/{media}+json");
        self.send("PATCH", path, &media, &body.to_string())
            .await
            .unwrap()
    }

    /// Fails when the connection ends before an answer.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        media: &str,
        body: &str,
    ) -> std::io::Result<Reply> {
        let host = self.server.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).await?;
        let authorization = match self.token.as_str() {
            "" => String::new(),
            token => format!("Authorization: Bearer {token}\r\n"),
        };
        let media = if media.is_empty() {
            String::new()
        } else {
            format!("Content-Type: {media}\r\n")
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nUser-Agent: probe/1\r\n\
             {authorization}{media}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let cut = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        let (head, body) = text.split_once("\r\n\r\n").ok_or_else(cut)?;
        let code = head
            .split(' ')
            .nth(1)
            .and_then(|c| c.parse().ok())
            .ok_or_else(cut)?;
        let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
        let text = if chunked {
            unchunk(body)
        } else {
            body.to_owned()
        };
        Ok(Reply { code, text })
    }
}

fn unchunk(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        out.push_str(&rest[..size]);
        body = &rest[size + 2..];
    }
    out
}
