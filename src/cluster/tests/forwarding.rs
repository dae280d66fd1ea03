//! Port-forwards, against an API server that speaks the WebSocket as the kubelet does
//! (`v4.channel.k8s.io`, one data and one error channel a port).

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use super::super::{Cluster, Error, Forwarded, PodPort, Settings, forward_queries};
use super::fake::{Fake, Reply, forbidden, kubeconfig, status};

const PORT: u16 = 8080;
const TO: PodPort<'_> = PodPort {
    namespace: "mcp",
    pod: "p-1",
    port: PORT,
    tls: false,
};

/// What the far side does once it has the request.
#[derive(Clone, Copy)]
enum Does {
    /// Answers with this, in pieces.
    Answers(&'static [&'static str]),
    /// Answers with this and closes.
    Breaks(&'static str),
    /// Says on the error channel that it cannot.
    Fails(&'static str),
    /// Nothing.
    Hangs,
}

/// What the far side saw.
struct Saw {
    uri: String,
    protocols: String,
    request: String,
    /// Whether the connection was ended by a Close message.
    closed: bool,
}

async fn serve(stream: TcpStream, does: Does) -> Saw {
    let (mut uri, mut protocols) = (String::new(), String::new());
    #[allow(clippy::result_large_err, reason = "the library's own type")]
    let callback = |request: &Request, mut response: Response| {
        uri = request.uri().to_string();
        let offered = &request.headers()["sec-websocket-protocol"];
        protocols = offered.to_str().unwrap().to_owned();
        let chosen = "v4.channel.k8s.io".parse().unwrap();
        response
            .headers_mut()
            .insert("sec-websocket-protocol", chosen);
        Ok(response)
    };
    let mut socket: WebSocketStream<TcpStream> = accept_hdr_async(stream, callback).await.unwrap();
    let port = PORT.to_le_bytes();
    for channel in [0, 1] {
        let first = vec![channel, port[0], port[1]];
        socket.send(Message::binary(first)).await.unwrap();
    }
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        match socket.next().await {
            Some(Ok(Message::Binary(bytes))) if bytes[0] == 0 => {
                request.push_str(&String::from_utf8_lossy(&bytes[1..]));
            }
            other => panic!("{other:?}"),
        }
    }
    let on = |channel: u8, text: &str| Message::binary([&[channel], text.as_bytes()].concat());
    match does {
        Does::Answers(pieces) => {
            for piece in pieces {
                socket.send(on(0, piece)).await.unwrap();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        Does::Breaks(text) => {
            socket.send(on(0, text)).await.unwrap();
            socket.close(None).await.unwrap();
        }
        Does::Fails(text) => socket.send(on(1, text)).await.unwrap(),
        Does::Hangs => {}
    }
    let mut closed = false;
    while let Some(Ok(message)) = socket.next().await {
        closed |= message.is_close();
    }
    Saw {
        uri,
        protocols,
        request,
        closed,
    }
}

/// A cluster whose API server does this, and what it saw in the end.
async fn far(does: Does) -> (Cluster, JoinHandle<Saw>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let saw = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream, does).await
    });
    let folder = tempfile::tempdir().unwrap();
    let user = serde_json::json!({"token": "t"});
    let settings = Settings {
        kubeconfig: Some(kubeconfig(folder.path(), "config", "far", &url, &user)),
        request_timeout: Duration::from_millis(800),
        ..Settings::default()
    };
    (Cluster::connect(&settings).await.unwrap(), saw)
}

async fn read(mut forwarded: Forwarded) -> (String, Option<Error>) {
    let mut text = String::new();
    loop {
        match forwarded.chunk().await {
            Ok(Some(piece)) => text.push_str(&String::from_utf8_lossy(&piece)),
            Ok(None) => return (text, None),
            Err(error) => return (text, Some(error)),
        }
    }
}

async fn ended(saw: JoinHandle<Saw>) -> Saw {
    let limit = Duration::from_secs(5);
    tokio::time::timeout(limit, saw).await.unwrap().unwrap()
}

#[tokio::test]
async fn an_answer_comes_through_and_the_connection_is_closed() {
    let answer = Does::Answers(&[
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nup 1",
        "\na 2\n\n",
    ]);
    let (cluster, saw) = far(answer).await;
    let forwarded = cluster.pod_forward(&TO, "/metrics").await.unwrap();
    assert_eq!(read(forwarded).await, ("up 1\na 2\n\n".to_owned(), None));
    let saw = ended(saw).await;
    assert!(saw.closed, "by a Close message");
    assert_eq!(
        saw.uri.replace("?&", "?"),
        "/api/v1/namespaces/mcp/pods/p-1/portforward?ports=8080"
    );
    assert!(
        saw.protocols.contains("v4.channel.k8s.io"),
        "{}",
        saw.protocols
    );
    let request = saw.request.to_lowercase();
    assert!(
        request.starts_with("get /metrics http/1.1\r\n"),
        "{request}"
    );
    for header in ["host: localhost:8080\r\n", "connection: close\r\n"] {
        assert!(request.contains(header), "{header} in {request}");
    }
    // Nothing of the way to the API server goes on to the pod.
    assert!(!request.contains("authorization"), "{request}");
    let sent = cluster.requests_sent();
    assert_eq!(sent.get("create pods/portforward"), Some(&1));
}

#[tokio::test]
async fn a_chunked_answer_and_one_that_ends_with_the_connection() {
    const CHUNKED: &[&str] =
        &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na 1\r\n0\r\n\r\n"];
    let until_the_end = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\na 1";
    for answer in [Does::Answers(CHUNKED), Does::Breaks(until_the_end)] {
        let (cluster, saw) = far(answer).await;
        let forwarded = cluster.pod_forward(&TO, "metrics").await.unwrap();
        assert_eq!(read(forwarded).await, ("a 1".to_owned(), None));
        ended(saw).await;
    }
}

#[tokio::test]
async fn a_port_that_nobody_listens_at() {
    let why = "dial tcp4 127.0.0.1:8080: connect: connection refused at http://u:sekret@p";
    let (cluster, saw) = far(Does::Fails(why)).await;
    let error = cluster.pod_forward(&TO, "/metrics").await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("port-forward to /metrics of pod p-1 at port 8080: dial tcp4"),
        "{text}"
    );
    assert!(!text.contains("sekret"), "{text}");
    ended(saw).await;
}

#[tokio::test]
async fn answers_that_are_none() {
    let (cluster, saw) = far(Does::Answers(&[
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    ]))
    .await;
    let error = cluster.pod_forward(&TO, "/metrics").await.unwrap_err();
    assert!(
        error.to_string().contains("the pod answered HTTP 404"),
        "{error}"
    );
    assert!(ended(saw).await.closed);

    let half = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nup 1";
    let (cluster, saw) = far(Does::Breaks(half)).await;
    let forwarded = cluster.pod_forward(&TO, "/metrics").await.unwrap();
    let (text, error) = read(forwarded).await;
    assert_eq!(text, "up 1");
    assert!(error.is_some(), "it is not whole");
    ended(saw).await;

    let (cluster, saw) = far(Does::Breaks("")).await;
    let error = cluster.pod_forward(&TO, "/metrics").await.unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
    ended(saw).await;
}

#[tokio::test]
async fn the_limit_holds_and_takes_the_connection_down() {
    let (cluster, saw) = far(Does::Hangs).await;
    let error = cluster.pod_forward(&TO, "/metrics").await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error:?}");
    ended(saw).await;
    // The limit holds for each piece as well.
    let begun = Does::Answers(&["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nup 1"]);
    let (cluster, saw) = far(begun).await;
    let forwarded = cluster.pod_forward(&TO, "/metrics").await.unwrap();
    let (text, error) = read(forwarded).await;
    assert_eq!(text, "up 1");
    assert!(matches!(error, Some(Error::TimedOut { .. })), "{error:?}");
    ended(saw).await;
}

#[tokio::test]
async fn one_that_is_not_read_is_taken_down() {
    let begun = Does::Answers(&["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nup 1"]);
    let (cluster, saw) = far(begun).await;
    drop(cluster.pod_forward(&TO, "/metrics").await.unwrap());
    ended(saw).await;
}

#[tokio::test]
async fn refusals_of_the_api_server() {
    let fake = Fake::start(|_| forbidden("pods/portforward")).await;
    let cluster = fake.connect().await;
    let error = cluster.pod_forward(&TO, "/metrics").await.unwrap_err();
    assert!(matches!(error, Error::Forbidden { .. }), "{error:?}");
    assert_eq!(fake.seen()[0].method, "GET");
    let gone = Fake::start(|_| status(404, "pods \"p-1\" not found")).await;
    let error = gone.connect().await.pod_forward(&TO, "/metrics").await;
    assert!(matches!(error, Err(Error::NotFound { .. })), "{error:?}");
    // A proxy that answers without switching the protocol.
    let plain = Fake::start(|_| Reply::Text(200, "hello")).await;
    let error = plain.connect().await.pod_forward(&TO, "/metrics").await;
    assert!(matches!(error, Err(Error::Invalid { .. })), "{error:?}");
    // Nothing is sent for these.
    let quiet = Fake::start(|_| Reply::Hang).await;
    let cluster = quiet.connect().await;
    for to in [PodPort { tls: true, ..TO }, PodPort { pod: "../x", ..TO }] {
        assert!(cluster.pod_forward(&to, "/metrics").await.is_err());
    }
    assert!(quiet.seen().is_empty());
}

#[test]
fn both_rights_are_asked_for() {
    let verbs = forward_queries("mcp").map(|query| (query.verb, query.subresource));
    let sub = || "portforward".to_owned();
    assert_eq!(
        verbs,
        [("create".to_owned(), sub()), ("get".to_owned(), sub())]
    );
}
