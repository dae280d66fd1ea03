//! Whole objects, events, streams and the pods' proxy.

use std::time::Duration;

use serde_json::json;

use super::super::{Cluster, Download, Error, Listing, LogQuery, PodPort};
use super::fake::{Fake, Reply, forbidden, world};

const LOG: LogQuery<'_> = LogQuery {
    namespace: "mcp",
    pod: "p-1",
    container: "proxy",
    previous: false,
    tail_lines: Some(10),
    since: None,
    limit_bytes: None,
    timestamps: true,
};

async fn read(mut download: Download) -> (String, Option<Error>) {
    let mut text = String::new();
    loop {
        match download.chunk().await {
            Ok(Some(piece)) => text.push_str(&String::from_utf8_lossy(&piece)),
            Ok(None) => return (text, None),
            Err(error) => return (text, Some(error)),
        }
    }
}

async fn log(reply: fn() -> Reply) -> (String, Option<Error>) {
    let fake = Fake::start(move |_| reply()).await;
    let quick = |settings: &mut super::super::Settings| {
        settings.request_timeout = Duration::from_millis(200);
    };
    let cluster = fake.connect_with(quick).await;
    read(cluster.log_stream(&LOG).await.unwrap()).await
}

#[tokio::test]
async fn a_stream_tells_whether_it_came_to_its_end() {
    assert_eq!(
        log(|| Reply::Text(200, "a\nb\n")).await,
        ("a\nb\n".to_owned(), None)
    );
    let (text, error) = log(|| Reply::Half("a\n")).await;
    assert_eq!(text, "a\n");
    assert!(
        matches!(error, Some(Error::Unreachable { .. })),
        "{error:?}"
    );
    let (text, error) = log(|| Reply::Stalls("a\n")).await;
    assert_eq!(text, "a\n");
    assert!(matches!(error, Some(Error::TimedOut { .. })), "{error:?}");
}

#[tokio::test]
async fn a_stream_that_does_not_begin_is_an_error() {
    let fake = Fake::start(|_| forbidden("pods/log")).await;
    let error = fake.connect().await.log_stream(&LOG).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden { .. }), "{error:?}");
    let fake = Fake::start(|_| Reply::Hang).await;
    let quick = |settings: &mut super::super::Settings| {
        settings.request_timeout = Duration::from_millis(200);
    };
    let cluster = fake.connect_with(quick).await;
    let error = cluster.log_stream(&LOG).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error:?}");
    // A busy server is asked again, as for any read.
    let calls = std::sync::atomic::AtomicU32::new(0);
    let fake =
        Fake::start(
            move |_| match calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => Reply::Later(0),
                _ => Reply::Text(200, "late\n"),
            },
        )
        .await;
    let cluster = fake.connect().await;
    assert_eq!(
        read(cluster.log_stream(&LOG).await.unwrap()).await.0,
        "late\n"
    );
}

async fn list(cluster: &Cluster, resource: &str) -> Result<Vec<serde_json::Value>, Error> {
    let listing = Listing {
        group_version: "v1",
        kind: "Pod",
        resource,
        namespace: "mcp",
        selector: "app=zai-proxy",
    };
    cluster.objects(&listing).await
}

#[tokio::test]
async fn lists_of_whole_objects_are_masked() {
    let fake = Fake::start(world).await;
    let cluster = fake.connect().await;
    let pods = list(&cluster, "pods").await.unwrap();
    assert_eq!((pods.len(), &pods[0]["kind"]), (3, &json!("Pod")));
    assert_eq!(pods[0]["apiVersion"], "v1");
    assert!(!json!(pods).to_string().contains("sekret"));
    let uri = &fake.seen()[0].uri;
    assert!(uri.contains("labelSelector=app%3Dzai-proxy"), "{uri}");
    for bad in ["Secrets", "pods/../secrets"] {
        assert!(list(&cluster, bad).await.is_err(), "{bad}");
    }
    assert_eq!(fake.seen().len(), 1, "a refused read sends nothing");
}

#[tokio::test]
async fn all_events_come_in_time_order() {
    let fake = Fake::start(world).await;
    let events = fake.connect().await.all_events("mcp").await.unwrap();
    let times: Vec<_> = events.iter().map(|(_, event)| event.last_seen).collect();
    assert!(times.is_sorted() && times.len() == 6, "{times:?}");
    assert!(events.iter().any(|(_, event)| event.severity == "Normal"));
    assert!(!fake.seen()[0].uri.contains("fieldSelector"));
}

#[tokio::test]
async fn a_pods_port_is_part_of_its_name() {
    let fake = Fake::start(|_| Reply::Text(200, "up 1\n")).await;
    let cluster = fake.connect().await;
    let mut to = PodPort {
        namespace: "mcp",
        pod: "p-1",
        port: 8080,
        tls: false,
    };
    let answer = cluster.pod_proxy(&to, "/a b/metrics").await.unwrap();
    assert_eq!(read(answer).await, ("up 1\n".to_owned(), None));
    to.tls = true;
    cluster.pod_proxy(&to, "metrics").await.unwrap();
    to.pod = "../secrets/x";
    assert!(cluster.pod_proxy(&to, "metrics").await.is_err());
    let seen: Vec<String> = fake.seen().into_iter().map(|seen| seen.uri).collect();
    let base = "/api/v1/namespaces/mcp/pods";
    assert_eq!(
        seen,
        [
            format!("{base}/p-1%3A8080/proxy/a%20b/metrics"),
            format!("{base}/https%3Ap-1%3A8080/proxy/metrics"),
        ]
    );
}
