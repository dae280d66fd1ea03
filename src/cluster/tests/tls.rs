//! An API server behind TLS, as nearly all are.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use serde_json::{Value, json};

use super::super::{Cluster, Error, Settings};
use super::connecting::{plugin, proxy};
use super::fake::{deployment, target};

const AUTHORITY: &str = include_str!("pki/ca.crt");
const SERVER: (&str, &str) = (
    include_str!("pki/server.crt"),
    include_str!("pki/server.key"),
);
const CLIENT: (&str, &str) = (
    include_str!("pki/client.crt"),
    include_str!("pki/client.key"),
);

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .map(|one| one.unwrap())
        .collect()
}

/// Answers every request with the Deployment; notes whether the client had a
/// certificate.
fn serve() -> (SocketAddr, Arc<Mutex<Vec<bool>>>) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    roots.add(certificates(AUTHORITY).remove(0)).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated();
    let key = PrivateKeyDer::from_pem_slice(SERVER.1.as_bytes()).unwrap();
    let config = ServerConfig::builder()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(certificates(SERVER.0), key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let seen: Arc<Mutex<Vec<bool>>> = Arc::default();
    let log = seen.clone();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let connection = ServerConnection::new(config.clone()).unwrap();
            answer(connection, stream, &log);
        }
    });
    (address, seen)
}

fn answer(mut connection: ServerConnection, mut stream: TcpStream, log: &Mutex<Vec<bool>>) {
    let mut tls = rustls::Stream::new(&mut connection, &mut stream);
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        // A client that turns away during the handshake.
        if !tls.read(&mut byte).is_ok_and(|count| count == 1) {
            return;
        }
        head.push(byte[0]);
    }
    log.lock()
        .unwrap()
        .push(tls.conn.peer_certificates().is_some());
    let body = deployment("zai-proxy", "mcp").to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = tls.write_all((head + &body).as_bytes());
    tls.conn.send_close_notify();
    let _ = tls.flush();
}

async fn connect(folder: &Path, cluster: Value, user: Value) -> Cluster {
    let file = folder.join("config");
    let content = json!({"current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}]});
    fs::write(&file, content.to_string()).unwrap();
    let settings = Settings {
        kubeconfig: Some(file),
        request_timeout: Duration::from_secs(5),
        ..Settings::default()
    };
    Cluster::connect(&settings).await.unwrap()
}

#[tokio::test]
async fn the_kubeconfigs_authority_is_trusted_and_no_other() {
    let (address, seen) = serve();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ca.crt"), AUTHORITY).unwrap();
    fs::write(folder.path().join("client.crt"), CLIENT.0).unwrap();
    fs::write(folder.path().join("client.key"), CLIENT.1).unwrap();
    let server = format!("https://{address}");

    // Files next to the kubeconfig, named relatively.
    let cluster = json!({"server": server, "certificate-authority": "ca.crt"});
    let user = json!({"client-certificate": "client.crt", "client-key": "client.key"});
    let cluster = connect(folder.path(), cluster, user).await;
    let workload = cluster.workload(&target()).await.unwrap();
    assert_eq!(workload.uid, "d1");
    assert_eq!(*seen.lock().unwrap(), [true]);

    fs::write(folder.path().join("other.crt"), SERVER.0).unwrap();
    let cluster = json!({"server": server, "certificate-authority": "other.crt"});
    let cluster = connect(folder.path(), cluster, json!({})).await;
    let error = cluster.workload(&target()).await.unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    assert!(error.to_string().contains("does not trust"), "{error}");

    let cluster = json!({"server": format!("https://localhost:{}", address.port()),
        "certificate-authority": "ca.crt"});
    let cluster = connect(folder.path(), cluster, json!({})).await;
    let error = cluster.workload(&target()).await.unwrap_err();
    assert!(error.to_string().contains("another host name"), "{error}");
    assert!(error.hint().unwrap().contains("certificate-authority-data"));

    let cluster = json!({"server": format!("https://localhost:{}", address.port()),
        "certificate-authority": "ca.crt", "tls-server-name": "127.0.0.1"});
    let cluster = connect(folder.path(), cluster, json!({})).await;
    assert!(cluster.workload(&target()).await.is_ok());
    let cluster = json!({"server": server, "insecure-skip-tls-verify": true});
    let cluster = connect(folder.path(), cluster, json!({})).await;
    assert!(cluster.workload(&target()).await.is_ok());
    assert_eq!(*seen.lock().unwrap(), [true, false, false]);
}

#[tokio::test]
async fn a_plugins_certificate_is_used() {
    let (address, seen) = serve();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ca.crt"), AUTHORITY).unwrap();
    let answer = json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"clientCertificateData": CLIENT.0, "clientKeyData": CLIENT.1}});
    fs::write(folder.path().join("answer"), answer.to_string()).unwrap();
    let user = plugin(folder.path(), "cat \"${0%/*}/answer\"");
    let cluster =
        json!({"server": format!("https://{address}"), "certificate-authority": "ca.crt"});
    let cluster = connect(folder.path(), cluster, user).await;
    cluster.workload(&target()).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [true]);
}

#[tokio::test]
async fn tls_through_the_kubeconfigs_proxy() {
    let (address, seen) = serve();
    let (url, asked) = proxy(address).await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ca.crt"), AUTHORITY).unwrap();
    let cluster = json!({"server": format!("https://{address}"), "proxy-url": url,
        "certificate-authority": "ca.crt"});
    let cluster = connect(folder.path(), cluster, json!({})).await;
    cluster.workload(&target()).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [false]);
    let asked = asked.lock().unwrap();
    assert!(
        asked[0].starts_with(&format!("CONNECT {address} ")),
        "{asked:?}"
    );
}
