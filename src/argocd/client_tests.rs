use std::time::Instant;

use super::super::fake::{Fake, TOKEN, client};
use super::super::{ApplicationKey, Refresh};
use super::*;
use crate::model::GapReason;

fn ask() -> Ask {
    Ask::new("thing", "the thing", &["api", "v1", "thing"])
}

fn grpc(code: i64, message: &str) -> String {
    serde_json::json!({"error": message, "code": code, "message": message}).to_string()
}

async fn error_for(http: u16, body: String) -> Error {
    let fake = Fake::start(move |_, _| (http, body.clone())).await;
    fake.client().get(&ask()).await.unwrap_err()
}

#[tokio::test]
async fn what_the_server_reports() {
    let is = |found: &Error, expected: &str| format!("{found:?}").starts_with(expected);
    for (http, body, variant, reason) in [
        (
            401,
            grpc(16, "no session information"),
            "Unauthenticated",
            GapReason::Unauthenticated,
        ),
        (
            401,
            "Unauthorized".to_owned(),
            "Unauthenticated",
            GapReason::Unauthenticated,
        ),
        (
            403,
            grpc(7, "permission denied"),
            "PermissionDenied",
            GapReason::Forbidden,
        ),
        (
            403,
            "forbidden by proxy".to_owned(),
            "PermissionDenied",
            GapReason::Forbidden,
        ),
        (404, grpc(5, "not here"), "NotFound", GapReason::NotFound),
        (
            404,
            "404 page not found".to_owned(),
            "Invalid",
            GapReason::Invalid,
        ),
        (
            400,
            grpc(9, "application is deleting"),
            "Refused",
            GapReason::Invalid,
        ),
        (400, grpc(3, "bad"), "Refused", GapReason::Invalid),
        (409, grpc(10, "conflict"), "Refused", GapReason::Invalid),
        (500, grpc(13, "boom"), "Api", GapReason::Invalid),
        (500, "panic".to_owned(), "Api", GapReason::Invalid),
        (504, grpc(4, "deadline"), "Api", GapReason::Invalid),
        (
            200,
            "<!doctype html><html>".to_owned(),
            "Invalid",
            GapReason::Invalid,
        ),
        (200, "[]".to_owned(), "Invalid", GapReason::Invalid),
        (200, String::new(), "Invalid", GapReason::Invalid),
        (307, String::new(), "Invalid", GapReason::Invalid),
    ] {
        let error = error_for(http, body.clone()).await;
        assert!(is(&error, variant), "{http} {body}: {error:?}");
        let gap = error.gap("a thing");
        assert_eq!(
            (gap.what.as_str(), gap.reason),
            ("a thing", reason),
            "{http} {body}"
        );
    }
}

#[tokio::test]
async fn messages_say_what_to_do() {
    for (http, body, part) in [
        (
            401,
            grpc(16, "token is expired"),
            "token is expired; run `argocd login`",
        ),
        (200, "<html>".to_owned(), "root path is missing"),
        (
            307,
            String::new(),
            "redirects to https://elsewhere/login?***",
        ),
        (
            400,
            "Client sent an HTTP request to an HTTPS server.".to_owned(),
            "Client sent an HTTP request to an HTTPS server.",
        ),
        (
            400,
            grpc(9, "another operation is already in progress"),
            "in progress (code 9)",
        ),
    ] {
        let text = error_for(http, body.clone()).await.to_string();
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn a_denied_application_may_be_a_missing_one() {
    let fake = Fake::start(|_, _| (403, grpc(7, "permission denied"))).await;
    let client = fake.client();
    let mut key = ApplicationKey::named("gone");
    let text = client
        .application(&key, Refresh::None)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("application gone") && text.contains("does not exist"),
        "{text}"
    );
    key.project = "default".to_owned();
    let text = client
        .application(&key, Refresh::None)
        .await
        .unwrap_err()
        .to_string();
    assert!(!text.contains("does not exist"), "{text}");
    let text = client.settings().await.unwrap_err().to_string();
    assert!(!text.contains("does not exist"), "{text}");
}

#[tokio::test]
async fn gateways_get_a_second_try_and_errors_do_not() {
    for (http, tries) in [(502, 2), (503, 2), (500, 1), (401, 1), (429, 1)] {
        let fake = Fake::start(move |_, _| (http, grpc(2, "x"))).await;
        fake.client().get(&ask()).await.unwrap_err();
        assert_eq!(fake.seen().len(), tries, "{http}");
    }
    let fake = Fake::start(|n, _| {
        if n == 0 {
            (503, String::new())
        } else {
            (200, "{}".into())
        }
    });
    let fake = fake.await;
    let client = fake.client();
    client.get(&ask()).await.unwrap();
    assert_eq!(client.requests(), BTreeMap::from([("thing", 2)]));
}

#[tokio::test]
async fn broken_connections() {
    let fake = Fake::raw(1, false).await;
    fake.client().get(&ask()).await.unwrap();
    let fake = Fake::raw(usize::MAX, false).await;
    let client = fake.client();
    let error = client.get(&ask()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(client.requests()["thing"], 2, "once more, not for ever");
}

#[tokio::test]
async fn nobody_listens() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = client(&base, Duration::from_secs(5));
    let error = client.get(&ask()).await.unwrap_err();
    assert!(
        matches!(&error, Error::Unreachable { server, .. } if *server == base),
        "{error:?}"
    );
    assert!(error.to_string().contains("refused"), "{error}");
    assert_eq!(client.requests()["thing"], 1);
    assert_eq!(error.gap("x").reason, GapReason::Unreachable);
}

#[tokio::test]
async fn silence_ends_at_the_limit() {
    let fake = Fake::raw(0, true).await;
    let client = client(&fake.base, Duration::from_millis(200));
    let began = Instant::now();
    let error = client.get(&ask()).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(3));
    assert_eq!(error.gap("x").reason, GapReason::TimedOut);
}

#[tokio::test]
async fn a_refresh_has_a_limit_of_its_own() {
    let body = r#"{"metadata": {"name": "a"}}"#;
    let fake = Fake::start(move |_, _| {
        std::thread::sleep(Duration::from_millis(400));
        (200, body.to_owned())
    })
    .await;
    let client = client(&fake.base, Duration::from_millis(100));
    let key = ApplicationKey::named("a");
    let limit = Duration::from_secs(20);
    client
        .application(&key, Refresh::Normal { limit })
        .await
        .unwrap();
    assert_eq!(fake.seen()[0].uri, "/api/v1/applications/a?refresh=normal");
    let hung = Fake::raw(0, true).await;
    let client = super::super::fake::client(&hung.base, Duration::from_secs(20));
    let limit = Duration::from_millis(200);
    let error = client
        .application(&key, Refresh::Normal { limit })
        .await
        .unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error:?}");
}

#[tokio::test]
async fn plain_http_behind_an_https_address() {
    let fake = Fake::start(|_, _| (200, "{}".to_owned())).await;
    let base = fake.base.replace("http://", "https://");
    let error = client(&base, Duration::from_secs(5))
        .get(&ask())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    assert!(error.to_string().contains("--plaintext"), "{error}");
}

#[tokio::test]
async fn certificates_that_are_none() {
    let mut server = Resolved {
        base_url: "https://127.0.0.1:1".to_owned(),
        token: None,
        insecure_tls: false,
        ca_pem: None,
        client_pem: Some(SecretString::from("no pem sekret")),
        source: String::new(),
        read_only_proxy: false,
    };
    let client = Argocd::connect(server.clone(), Duration::from_secs(5));
    let error = client.get(&ask()).await.unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    assert!(!format!("{error} {error:?} {client:?}").contains("sekret"));
    server.client_pem = None;
    server.ca_pem = Some(b"-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n".to_vec());
    let error = Argocd::connect(server, Duration::from_secs(5))
        .get(&ask())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_is_too_large() {
    let fake = Fake::start(|_, _| (200, format!("{{\"a\": \"{}\"}}", "x".repeat(5000)))).await;
    let mut small = ask();
    small.largest = 1000;
    let error = fake.client().get(&small).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
    small.largest = 6000;
    fake.client().get(&small).await.unwrap();
}

#[tokio::test]
async fn the_token_goes_nowhere_but_to_the_server() {
    for (http, code) in [
        (401, 16),
        (403, 7),
        (404, 5),
        (400, 9),
        (500, 13),
        (400, 99),
    ] {
        let fake =
            Fake::start(move |_, _| (http, grpc(code, &format!("bad {TOKEN}\u{1b}[31m")))).await;
        let client = fake.client();
        let error = client.get(&ask()).await.unwrap_err();
        let shown = format!("{error} {error:?} {client:?} {}", error.gap("x"));
        assert!(
            !shown.contains(TOKEN) && !shown.contains("must-not-leak"),
            "{shown}"
        );
        assert!(!shown.contains('\u{1b}'), "{shown}");
        assert_eq!(fake.seen()[0].authorization, format!("Bearer {TOKEN}"));
    }
    for body in [
        format!("<html>{TOKEN}"),
        TOKEN.to_owned(),
        format!("\"x{TOKEN}y\""),
    ] {
        let error = error_for(200, body).await;
        assert!(!format!("{error:?}").contains("must-not-leak"), "{error:?}");
    }
}

#[tokio::test]
async fn requests_are_gets_below_the_root_path() {
    let fake = Fake::start(|_, _| (200, "{}".to_owned())).await;
    let client = client(&format!("{}/argo/cd", fake.base), Duration::from_secs(5));
    let odd = Ask::new("thing", "x", &["api", "a b/c?d"])
        .with("q", "1&2")
        .with("empty", "");
    client.get(&odd).await.unwrap();
    let seen = fake.seen();
    assert_eq!(seen[0].uri, "/argo/cd/api/a%20b%2Fc%3Fd?q=1%262");
    assert_eq!(seen[0].method, "GET");
    assert_eq!(
        seen[0].user_agent,
        concat!("unship/", env!("CARGO_PKG_VERSION"))
    );
}
