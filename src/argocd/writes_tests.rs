use std::time::Duration;

use super::super::fake::{Fake, TOKEN, client};
use super::*;

fn key() -> ApplicationKey {
    ApplicationKey {
        name: "mcp".to_owned(),
        app_namespace: "teams".to_owned(),
        project: "default".to_owned(),
    }
}

fn deployment() -> ObjectRef {
    ObjectRef {
        group: "apps".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: "mcp".to_owned(),
        name: "zai".to_owned(),
    }
}

fn grpc(code: i64, message: &str) -> String {
    json!({"error": message, "code": code, "message": message}).to_string()
}

async fn refusing(http: u16, body: String) -> Fake {
    Fake::start(move |_, _| (http, body.clone())).await
}

const COMMIT: &str = "9be07d3a1c2d4e5f60718293a4b5c6d7e8f90123";

#[tokio::test]
async fn the_requests() {
    let answer = json!({"metadata": {"name": "mcp", "namespace": "teams"},
        "operation": {"sync": {"revision": COMMIT}}});
    let fake = refusing(200, answer.to_string()).await;
    let client = fake.client();
    let key = key();
    client.sync(&key, None, &[]).await.unwrap();
    client
        .sync(&key, Some(COMMIT), &[deployment()])
        .await
        .unwrap();
    client
        .sync_source(&key, (2, COMMIT), &[deployment()])
        .await
        .unwrap();
    client.rollback(&key, HistoryId(7)).await.unwrap();
    client.terminate(&key).await.unwrap();
    let suspend = json!([{"op": "remove", "path": "/spec/syncPolicy/automated"}]);
    let app = client.patch(&key, &suspend).await.unwrap();
    assert_eq!(app.name, "mcp");
    let with = |mut body: Value| {
        body["name"] = json!("mcp");
        body["appNamespace"] = json!("teams");
        body["project"] = json!("default");
        body
    };
    let resources =
        json!([{"group": "apps", "kind": "Deployment", "namespace": "mcp", "name": "zai"}]);
    let at = "/api/v1/applications/mcp";
    let expected = [
        ("POST", format!("{at}/sync"), with(json!({}))),
        (
            "POST",
            format!("{at}/sync"),
            with(json!({"revision": COMMIT, "resources": resources})),
        ),
        (
            "POST",
            format!("{at}/sync"),
            with(json!({"revisions": [COMMIT], "sourcePositions": [2], "resources": resources})),
        ),
        ("POST", format!("{at}/rollback"), with(json!({"id": 7}))),
        (
            "DELETE",
            format!("{at}/operation?appNamespace=teams&project=default"),
            Value::Null,
        ),
        (
            "PATCH",
            at.to_owned(),
            with(json!({"patch": suspend.to_string(), "patchType": "json"})),
        ),
    ];
    let seen = fake.seen();
    assert_eq!(seen.len(), expected.len());
    for (seen, (method, uri, body)) in seen.iter().zip(expected) {
        assert_eq!(
            (seen.method.as_str(), seen.uri.as_str()),
            (method, uri.as_str())
        );
        assert_eq!(seen.content_type, "application/json", "{uri}");
        assert_eq!(seen.authorization, format!("Bearer {TOKEN}"));
        let sent = serde_json::from_str(&seen.body).unwrap_or(Value::Null);
        assert_eq!(sent, body, "{uri}");
    }
    let counted: Vec<(&str, u64)> = client.requests().into_iter().collect();
    assert_eq!(
        counted,
        [("patch", 1), ("rollback", 1), ("sync", 3), ("terminate", 1)]
    );
}

#[tokio::test]
async fn a_sync_of_another_commit_is_told() {
    let answer = |commits: Value| json!({"operation": {"sync": commits}}).to_string();
    let other = "0000000000000000000000000000000000000000";
    for (commits, wanted, good) in [
        (json!({"revision": COMMIT}), COMMIT, true),
        (json!({"revision": other}), COMMIT, false),
        (json!({"revisions": [other, COMMIT]}), COMMIT, true),
        (json!({"revision": "", "revisions": [other]}), COMMIT, false),
        // A branch is resolved by Argo CD.
        (json!({"revision": COMMIT}), "main", true),
    ] {
        let fake = refusing(200, answer(commits.clone())).await;
        let outcome = fake.client().sync(&key(), Some(wanted), &[]).await;
        match outcome {
            Ok(()) => assert!(good, "{commits}"),
            Err(Error::OtherCommit { started, .. }) => {
                assert!(!good && started == other, "{commits}");
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// HTTP code, gRPC code and words; the error that they are, and what it says.
const REFUSALS: [(u16, i64, &str, &str, &str); 19] = [
    (
        400,
        9,
        "rollback cannot be initiated when auto-sync is enabled",
        "AutoSync",
        "as long as automated sync is on",
    ),
    (
        400,
        9,
        "Cannot sync to abc: auto-sync currently set to main",
        "AutoSync",
        "currently set to main",
    ),
    (
        400,
        9,
        "another operation is already in progress",
        "OperationInProgress",
        "argocd app terminate-op",
    ),
    (
        400,
        9,
        "error setting app operation: rpc error: code = FailedPrecondition desc = another \
             operation is already in progress",
        "OperationInProgress",
        "another operation is in progress",
    ),
    (
        400,
        9,
        "application is deleting",
        "Deleting",
        "being deleted",
    ),
    (400, 9, "something else", "Refused", "code 9"),
    (
        403,
        7,
        "cannot sync: blocked by sync window",
        "SyncWindow",
        "argocd proj windows list",
    ),
    (
        403,
        7,
        "permission denied: applications, sync, default/mcp, sub: devpod",
        "Denied",
        "unship access",
    ),
    (
        400,
        3,
        "Unable to terminate operation. No operation is in progress",
        "NoOperation",
        "no operation is in progress",
    ),
    (
        400,
        3,
        "application teams/mcp does not have deployment with id 7",
        "NoSuchHistory",
        "argocd app history",
    ),
    (
        400,
        3,
        "application spec for mcp is invalid: InvalidSpecError: application repo http://x is \
             not permitted in project 'default'",
        "NotPermitted",
        "argocd proj get",
    ),
    (
        500,
        2,
        "error applying patch: testing value /metadata/uid failed: test failed",
        "Conflict",
        "changed meanwhile",
    ),
    (
        409,
        10,
        "the object has been modified",
        "Conflict",
        "modified",
    ),
    (
        404,
        5,
        "applications.argoproj.io \"mcp\" not found",
        "NotFound",
        "not found",
    ),
    (
        401,
        16,
        "token is expired",
        "Unauthenticated",
        "argocd login",
    ),
    (501, 12, "not here", "Api", "HTTP 501"),
    (
        500,
        2,
        "error updating application: etcdserver: request timed out",
        "OutcomeUnknown",
        "unship continue",
    ),
    (503, 14, "connection error", "OutcomeUnknown", "not known"),
    (
        504,
        4,
        "context deadline exceeded",
        "OutcomeUnknown",
        "not known",
    ),
];

#[tokio::test]
async fn refusals_have_their_meaning() {
    for (http, code, message, variant, words) in REFUSALS {
        let fake = refusing(http, grpc(code, message)).await;
        let error = fake.client().rollback(&key(), HistoryId(7)).await;
        let error = error.unwrap_err();
        assert!(format!("{error:?}").starts_with(variant), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(words), "{text}");
        assert_eq!(fake.seen().len(), 1, "{message}");
    }
    for (http, body, variant) in [
        (403, "forbidden by proxy", "Denied"),
        (415, "Invalid content type", "Invalid"),
        (307, "", "Invalid"),
        (502, "bad gateway", "OutcomeUnknown"),
        (200, "<html>", "OutcomeUnknown"),
    ] {
        let fake = refusing(http, body.to_owned()).await;
        let error = fake.client().terminate(&key()).await.unwrap_err();
        assert!(format!("{error:?}").starts_with(variant), "{error:?}");
        assert_eq!(fake.seen().len(), 1, "{body}");
    }
}

#[tokio::test]
async fn a_denied_application_may_be_a_missing_one() {
    let fake = refusing(403, grpc(7, "permission denied")).await;
    let named = ApplicationKey::named("gone");
    let text = fake.client().terminate(&named).await.unwrap_err();
    assert!(text.to_string().contains("does not exist"), "{text}");
    let text = fake.client().terminate(&key()).await.unwrap_err();
    assert!(!text.to_string().contains("does not exist"), "{text}");
}

#[tokio::test]
async fn no_answer_is_an_unknown_outcome_and_no_second_request() {
    let fake = Fake::raw(usize::MAX, false).await;
    let broken = fake.client();
    let error = broken.sync(&key(), None, &[]).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
    assert_eq!(broken.requests()["sync"], 1);
    let hung = Fake::raw(0, true).await;
    let slow = client(&hung.base, Duration::from_millis(200));
    let error = slow.sync(&key(), None, &[]).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
    assert_eq!(slow.requests()["sync"], 1);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client(&base, Duration::from_secs(5))
        .sync(&key(), None, &[])
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    let odd = refusing(200, "{}".to_owned()).await;
    let error = odd.client().patch(&key(), &json!([])).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
}

#[tokio::test]
async fn nothing_is_written_through_a_read_only_proxy() {
    let fake = refusing(200, "{}".to_owned()).await;
    let server = super::super::Resolved {
        base_url: fake.base.clone(),
        token: None,
        insecure_tls: false,
        ca_pem: None,
        client_pem: None,
        source: "a test".to_owned(),
        read_only_proxy: true,
    };
    let proxy = Argocd::connect(server, Duration::from_secs(5));
    let error = proxy.terminate(&key()).await.unwrap_err();
    assert!(matches!(error, Error::ReadOnly { .. }), "{error:?}");
    assert!(fake.seen().is_empty());
}
