//! Servers of charts for tests.

use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::oci::ARCHIVE;

/// Code, header lines and body for a request: its path with query, and its lines.
type Answers = Box<dyn Fn(&str, &str) -> (u16, String, Vec<u8>) + Send>;

/// A server that gives these answers, by its address.
async fn listening(answers: Answers) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(stream.read_u8().await.unwrap());
            }
            let asked = String::from_utf8(asked).unwrap().to_lowercase();
            let path = asked.split(' ').nth(1).unwrap();
            let (code, headers, body) = answers(path, &asked);
            let head = format!(
                "HTTP/1.1 {code} X\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&body).await.unwrap();
        }
    });
    format!("http://{address}")
}

/// A server with these files: path, code, body.
pub(super) async fn served(files: Vec<(&'static str, u16, Vec<u8>)>) -> String {
    listening(Box::new(move |path, _| {
        let found = files.iter().find(|(own, ..)| *own == path);
        let found = found.map(|(_, code, body)| (*code, String::new(), body.clone()));
        found.unwrap_or((404, String::new(), Vec::new()))
    }))
    .await
}

/// A registry that wants a token first, with one version of `team/web`; as `repoURL` names it.
pub(super) async fn registry(archive: Vec<u8>, version: &'static str) -> String {
    let digest: String = Sha256::digest(&archive)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let base = listening(Box::new(move |path, asked| {
        let found = |body: &[u8]| (200, String::new(), body.to_vec());
        if path == "/token?scope=repository%3ateam%2fweb%3apull&service=here" {
            return found(br#"{"token": "abc"}"#);
        }
        if !asked.contains("authorization: bearer abc") {
            let host = asked.split("host: ").nth(1).unwrap();
            let host = host.split('\r').next().unwrap();
            let header = format!(
                "WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"here\",scope=\"repository:team/web:pull\"\r\n"
            );
            return (401, header, Vec::new());
        }
        let layers = serde_json::json!({"layers": [
            {"mediaType": "application/vnd.cncf.helm.chart.provenance.v1.prov",
                "digest": "sha256:1"},
            {"mediaType": ARCHIVE, "digest": format!("sha256:{digest}")}]});
        match path.strip_prefix("/v2/team/web/") {
            Some(rest) if rest == format!("manifests/{version}") => {
                found(layers.to_string().as_bytes())
            }
            Some(rest) if rest == format!("blobs/sha256:{digest}") => found(&archive),
            _ => (404, String::new(), Vec::new()),
        }
    }))
    .await;
    format!("{}/team", base.trim_start_matches("http://"))
}
