//! Servers that refuse, hang, break off or talk nonsense.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::AsyncReadExt;

use super::super::{Cluster, Error, Settings};
use super::fake::{Fake, Reply, kubeconfig, status, target, world};
use crate::model::GapReason;

#[tokio::test]
async fn refusals_are_told_apart() {
    let cases = [
        (401, "Unauthorized", GapReason::Unauthenticated),
        (403, "deployments.apps is forbidden", GapReason::Forbidden),
        (
            404,
            "deployments.apps \"zai-proxy\" not found",
            GapReason::NotFound,
        ),
        (500, "etcdserver: request timed out", GapReason::Invalid),
    ];
    for (code, message, reason) in cases {
        let fake = Fake::start(move |_| status(code, message)).await;
        let cluster = fake.connect().await;
        let error = cluster.workload(&target()).await.unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
        let text = error.to_string();
        assert!(text.contains(message), "{text}");
        assert!(
            !text.contains("Status {") && !text.contains("Some("),
            "{text}"
        );
        assert_eq!(fake.seen().len(), 1, "{code} is not asked again");
    }
}

#[tokio::test]
async fn busy_servers_are_asked_three_times() {
    for code in [429, 503, 504] {
        let fake = Fake::start(move |_| status(code, "busy")).await;
        let cluster = fake.connect().await;
        let begin = Instant::now();
        let error = cluster.workload(&target()).await.unwrap_err();
        assert!(
            matches!(&error, Error::Api { code: c, .. } if *c == code),
            "{error}"
        );
        assert_eq!(fake.seen().len(), 3);
        assert_eq!(cluster.requests_sent().get("get deployments"), Some(&3));
        assert!(begin.elapsed() < Duration::from_secs(5));
    }
    // A server that recovers.
    let counter = std::sync::atomic::AtomicU32::new(0);
    let fake = Fake::start(move |seen| {
        if counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2 {
            return status(503, "busy");
        }
        world(seen)
    })
    .await;
    assert!(fake.connect().await.workload(&target()).await.is_ok());
    assert_eq!(fake.seen().len(), 3);
}

#[tokio::test]
async fn retries_end_with_the_reason_within_the_limit() {
    let fake = Fake::start(|_| status(503, "starting up")).await;
    let limit = Duration::from_millis(500);
    let cluster = fake
        .connect_with(|settings| settings.request_timeout = limit)
        .await;
    let error = cluster.workload(&target()).await.unwrap_err();
    assert!(
        error.to_string().contains("answered 503: starting up"),
        "{error}"
    );
    assert_eq!(fake.seen().len(), 2, "the third would come too late");
}

#[tokio::test]
async fn the_server_says_when_to_come_back() {
    let first = std::sync::atomic::AtomicBool::new(true);
    let fake = Fake::start(move |seen| {
        if first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            return Reply::Later(1);
        }
        world(seen)
    })
    .await;
    let begin = Instant::now();
    assert!(fake.connect().await.workload(&target()).await.is_ok());
    assert!(begin.elapsed() >= Duration::from_secs(1));

    let fake = Fake::start(|_| Reply::Later(60)).await;
    let begin = Instant::now();
    let error = fake.connect().await.workload(&target()).await.unwrap_err();
    assert!(
        error.to_string().contains("answered 429: slow down"),
        "{error}"
    );
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "nobody waits a minute for nothing"
    );
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn a_hanging_server_is_a_named_timeout() {
    let fake = Fake::start(|seen| {
        if seen.path().ends_with("/events") {
            Reply::Hang
        } else {
            world(seen)
        }
    })
    .await;
    let limit = Duration::from_millis(300);
    let cluster = fake
        .connect_with(|settings| settings.request_timeout = limit)
        .await;
    let begin = Instant::now();
    let snapshot = cluster.snapshot(&target()).await;
    assert!(begin.elapsed() < Duration::from_secs(3));
    let gaps = snapshot.gaps();
    let [gap] = gaps.as_slice() else {
        panic!("{gaps:?}")
    };
    assert_eq!(gap.reason, GapReason::TimedOut);
    assert_eq!(
        gap.to_string(),
        format!(
            "events in namespace mcp could not be read: no answer from \
             {} within 0.3 s",
            fake.url()
        )
    );
}

/// A server that closes each connection after the first bytes, with some of an answer.
async fn breaking(answer: &'static [u8]) -> Cluster {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 1024];
            let _ = stream.read(&mut buffer).await;
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
        }
    });
    to_server(&url).await
}

async fn to_server(url: &str) -> Cluster {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        kubeconfig: Some(kubeconfig(folder.path(), "config", "far", url, &json!({}))),
        request_timeout: Duration::from_secs(5),
        ..Settings::default()
    };
    Cluster::connect(&settings).await.unwrap()
}

#[tokio::test]
async fn dropped_connections() {
    for answer in [
        b"".as_slice(),
        b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"metadata\"",
    ] {
        let cluster = breaking(answer).await;
        let error = cluster.workload(&target()).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
        assert!(!error.to_string().contains("hyper::"), "{error}");
    }
}

#[tokio::test]
async fn nobody_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = to_server(&url).await.workload(&target()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the cluster at {url} does not answer: Connection refused")
    );
    assert!(error.hint().unwrap().contains("/readyz"));
    let error = to_server("https://nowhere.invalid:6443").await;
    let error = error.workload(&target()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(
        error.to_string().contains("https://nowhere.invalid:6443"),
        "{error}"
    );
}

#[tokio::test]
async fn tls_to_a_plain_server() {
    let fake = Fake::start(world).await;
    let cluster = to_server(&format!("https://{}", fake.address)).await;
    let error = cluster.workload(&target()).await.unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    assert!(error.to_string().contains("does not speak TLS"), "{error}");
}

#[tokio::test]
async fn nonsense_is_no_answer() {
    let fake = Fake::start(|_| Reply::Text(200, "<html>login sekret</html>")).await;
    let cluster = fake.connect().await;
    let error = cluster.workload(&target()).await.unwrap_err();
    assert_eq!(error.reason(), GapReason::Invalid);
    assert!(!error.to_string().contains("sekret"), "{error}");
    let fake = Fake::start(|_| Reply::Json(200, json!({"items": [{"metadata": 5}]}))).await;
    assert!(fake.connect().await.pods("mcp", None).await.is_err());
    let fake = Fake::start(|_| Reply::Json(200, json!({"kind": "PodList"}))).await;
    let error = fake.connect().await.pods("mcp", None).await.unwrap_err();
    assert!(
        error.to_string().contains("pods in namespace mcp"),
        "{error}"
    );
}

#[tokio::test]
async fn impossible_names_are_not_sent() {
    let fake = Fake::start(world).await;
    let cluster = fake.connect().await;
    let mut bad = target();
    bad.name = "../secrets".to_owned();
    let error = cluster.workload(&bad).await.unwrap_err();
    assert!(
        error.to_string().contains("no name that Kubernetes allows"),
        "{error}"
    );
    assert!(fake.seen().is_empty());
}
