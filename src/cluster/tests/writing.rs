//! What is written, with which requests, and what each refusal means.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::{Cluster, Error, ScaleFrom, Settings};
use super::fake::{Fake, Reply, deployment, kubeconfig, status, target, world};
use crate::model::{GapReason, WorkloadKind};

const FROM: ScaleFrom<'static> = ScaleFrom {
    uid: "d1",
    replicas: 3,
};

fn operations() -> Value {
    json!([
        {"op": "test", "path": "/metadata/uid", "value": "d1"},
        {"op": "replace", "path": "/spec/template", "value": {"spec": {"containers": [
            {"name": "proxy", "image": "a/b:1", "env": [{"name": "TOKEN", "value": "sekret"}]}]}}},
    ])
}

async fn change(cluster: &Cluster) -> Error {
    let outcome = cluster
        .patch_workload(&target(), &operations(), false)
        .await;
    outcome.unwrap_err()
}

#[tokio::test]
async fn a_workload_is_changed_by_json_patch() {
    let fake = Fake::start(|_| Reply::Json(200, deployment("zai-proxy", "mcp"))).await;
    let cluster = fake.connect().await;
    for (dry_run, ending) in [(true, "&dryRun=All"), (false, "")] {
        let after = cluster
            .patch_workload(&target(), &operations(), dry_run)
            .await
            .unwrap();
        assert_eq!(after.uid, "d1");
        let seen = fake.seen().pop().unwrap();
        assert_eq!(seen.method, "PATCH");
        assert_eq!(
            seen.uri,
            format!(
                "/apis/apps/v1/namespaces/mcp/deployments/zai-proxy?fieldManager=unship\
                 &fieldValidation=Strict{ending}"
            )
        );
        assert_eq!(
            seen.headers["content-type"].to_str().unwrap(),
            "application/json-patch+json"
        );
        assert_eq!(
            serde_json::from_str::<Value>(&seen.body).unwrap(),
            operations()
        );
    }
    assert_eq!(cluster.requests_sent().get("patch deployments"), Some(&2));
}

#[tokio::test]
async fn a_scale_is_changed_from_what_it_was() {
    let fake = Fake::start(|seen| {
        let to: Value = serde_json::from_str(&seen.body).unwrap();
        // As upstream, which leaves zero out.
        let spec = match to[2]["value"].as_i64().unwrap() {
            0 => json!({}),
            replicas => json!({"replicas": replicas}),
        };
        Reply::Json(200, json!({"kind": "Scale", "spec": spec}))
    })
    .await;
    let cluster = fake.connect().await;
    let of = |kind| crate::model::WorkloadRef { kind, ..target() };
    let sets = of(WorkloadKind::StatefulSet);
    let after = cluster.scale(&target(), FROM, 0, false).await.unwrap();
    assert_eq!(after, 0);
    let zero = ScaleFrom {
        replicas: 0,
        ..FROM
    };
    assert_eq!(cluster.scale(&sets, zero, 5, true).await.unwrap(), 5);
    let seen = fake.seen();
    assert_eq!(
        seen[0].path(),
        "/apis/apps/v1/namespaces/mcp/deployments/zai-proxy/scale"
    );
    assert_eq!(
        serde_json::from_str::<Value>(&seen[0].body).unwrap(),
        json!([
            {"op": "test", "path": "/metadata/uid", "value": "d1"},
            {"op": "test", "path": "/spec/replicas", "value": 3},
            {"op": "add", "path": "/spec/replicas", "value": 0},
        ])
    );
    assert!(
        seen[1].uri.contains("/statefulsets/zai-proxy/scale?") && seen[1].uri.contains("dryRun")
    );
    let body: Value = serde_json::from_str(&seen[1].body).unwrap();
    assert_eq!(
        body[1]["value"],
        Value::Null,
        "a scale of zero has no replicas"
    );
    for (kind, replicas) in [(WorkloadKind::DaemonSet, 1), (WorkloadKind::Deployment, -1)] {
        let error = cluster.scale(&of(kind), FROM, replicas, false).await;
        assert!(matches!(error, Err(Error::Invalid { .. })), "{error:?}");
    }
    assert_eq!(fake.seen().len(), 2, "nothing impossible is sent");
    let sent = cluster.requests_sent();
    assert_eq!(sent.get("patch deployments/scale"), Some(&1), "{sent:?}");
}

#[tokio::test]
async fn an_application_is_changed_where_it_lives() {
    let fake = Fake::start(|_| Reply::Json(200, json!({"metadata": {"name": "mcp-ns"}}))).await;
    let cluster = fake.connect().await;
    let suspend = json!([{"op": "remove", "path": "/spec/syncPolicy/automated"}]);
    let after = cluster
        .patch_application("argocd", "mcp-ns", &suspend)
        .await
        .unwrap();
    assert_eq!(after["metadata"]["name"], "mcp-ns");
    let seen = fake.seen();
    assert_eq!(
        seen[0].path(),
        "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/mcp-ns"
    );
    assert!(!seen[0].uri.contains("dryRun"));
    let error = cluster
        .patch_application("argocd", "../x", &suspend)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }));
    assert_eq!(fake.seen().len(), 1);
}

/// A refusal as the API server words it.
fn refusal(code: u16, reason: &str, message: &str, causes: Value) -> Reply {
    Reply::Json(
        code,
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
            "reason": reason, "message": message, "details": {"causes": causes}}),
    )
}

/// HTTP code, reason and message; the error that they are, and what it says.
const REFUSALS: [(u16, &str, &str, &str, &str); 12] = [
    (
        422,
        "Invalid",
        "the server rejected our request due to an error in our request",
        "Conflict",
        "it was changed meanwhile: a test of the patch does not hold",
    ),
    (
        409,
        "Conflict",
        "Operation cannot be fulfilled on deployments.apps \"zai-proxy\": the object has been \
             modified",
        "Conflict",
        "the object has been modified",
    ),
    (
        403,
        "Forbidden",
        concat!(
            "deployments.apps \"zai-proxy\" is forbidden: ",
            "User \"devpod\" cannot patch resource \"deployments\" in API group \"apps\" \
                 in the namespace \"mcp\""
        ),
        "Forbidden",
        "cannot patch resource",
    ),
    (
        403,
        "Forbidden",
        concat!(
            "deployments.apps \"zai-proxy\" is forbidden: ",
            "admission webhook \"images.example\" denied the request: only signed"
        ),
        "Denied",
        "admission webhook images.example denies it: only signed",
    ),
    (
        400,
        "BadRequest",
        "admission webhook \"images.example\" denied the request: User \"x\" cannot be right",
        "Denied",
        "admission webhook images.example denies it",
    ),
    (
        422,
        "Invalid",
        concat!(
            "deployments.apps \"zai-proxy\" is forbidden: ",
            "ValidatingAdmissionPolicy 'few' with binding 'all' denied request: at most 5"
        ),
        "Denied",
        "ValidatingAdmissionPolicy few denies it: at most 5",
    ),
    (
        403,
        "Forbidden",
        concat!(
            "deployments.apps \"zai-proxy\" is forbidden: ",
            "cannot set blockOwnerDeletion if an ownerReference refers to a resource"
        ),
        "Denied",
        "an admission plugin of the API server denies it",
    ),
    (
        500,
        "InternalError",
        "Internal error occurred: failed calling webhook \"images.example\": connection refused",
        "Denied",
        "images.example denies it: it could not be called: connection refused",
    ),
    (
        400,
        "BadRequest",
        "admission webhook \"images.example\" does not support dry run",
        "NoDryRun",
        "webhook images.example does not support dry runs",
    ),
    (
        403,
        "Forbidden",
        concat!(
            "deployments.apps \"zai-proxy\" is forbidden: ",
            "unable to create new content in namespace mcp because it is being terminated"
        ),
        "NamespaceTerminating",
        "the namespace is being deleted",
    ),
    (
        403,
        "Forbidden",
        concat!(
            "deployments.apps \"zai-proxy\" is forbidden: ",
            "exceeded quota: small, requested: cpu=2, used: cpu=9, limited: cpu=10"
        ),
        "QuotaExceeded",
        "it exceeds quota small, requested: cpu=2",
    ),
    (
        404,
        "NotFound",
        "deployments.apps \"zai-proxy\" not found",
        "NotFound",
        "not found",
    ),
];

#[tokio::test]
async fn refusals_of_writes_are_told_apart() {
    for (code, reason, message, variant, words) in REFUSALS {
        let fake = Fake::start(move |_| refusal(code, reason, message, Value::Null)).await;
        let error = change(&fake.connect().await).await;
        assert!(format!("{error:?}").starts_with(variant), "{error:?}");
        let text = error.to_string();
        assert!(
            text.starts_with("change of deployment/zai-proxy in namespace mcp: "),
            "{text}"
        );
        assert!(text.contains(words), "{text}");
        assert_eq!(
            error.hint().is_some(),
            variant != "NotFound",
            "each says what helps: {text}"
        );
        assert_eq!(fake.seen().len(), 1, "{text}");
    }
    let plain = Fake::start(|_| Reply::Text(403, "blocked by the proxy")).await;
    let error = change(&plain.connect().await).await;
    assert!(matches!(error, Error::Forbidden { .. }), "{error:?}");
}

#[tokio::test]
async fn fields_that_are_not_valid_are_named_without_their_values() {
    let env = json!({"reason": "FieldValueInvalid", "field": "spec.template.spec.containers[0].env[0].value",
        "message": "Invalid value: \"other-sekret\": must be short"});
    let whole = json!({"reason": "FieldValueInvalid", "field": "patch",
        "message": "Invalid value: \"{\\\"env\\\":[{\\\"value\\\":\\\"other-sekret\\\"}]}\": json: \
                    cannot unmarshal number into Go struct field EnvVar.value of type string"});
    let selector = json!({"reason": "FieldValueInvalid", "field": "spec.selector",
        "message": "Invalid value: {\"matchLabels\":{\"app\":\"x\"}}: field is immutable"});
    for (cause, immutable, words) in [
        (
            env,
            false,
            "env[0].value: Invalid value: ***: must be short",
        ),
        (
            whole,
            false,
            "patch: Invalid value: ***: json: cannot unmarshal",
        ),
        (
            selector,
            true,
            "spec.selector: Invalid value: ***: field is immutable",
        ),
    ] {
        let message = format!(
            "Deployment.apps \"zai-proxy\" is invalid: {}",
            cause["message"]
        );
        let fake =
            Fake::start(move |_| refusal(422, "Invalid", &message, json!([cause.clone()]))).await;
        let error = change(&fake.connect().await).await;
        let text = error.to_string();
        let Error::Rejected { immutable: is, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(*is, immutable, "{text}");
        assert!(text.contains(words) && !text.contains("sekret"), "{text}");
    }
    // A webhook may quote what it was sent.
    let denied = "admission webhook \"w\" denied the request: TOKEN=sekret is weak";
    let fake = Fake::start(move |_| refusal(403, "Forbidden", denied, Value::Null)).await;
    let text = change(&fake.connect().await).await.to_string();
    assert!(text.ends_with("TOKEN=*** is weak"), "{text}");
}

#[tokio::test]
async fn a_write_is_not_repeated_when_its_outcome_is_unknown() {
    for (code, message) in [
        (500, "etcdserver: request timed out"),
        (502, "bad gateway"),
        (503, "busy"),
        (
            504,
            "Timeout: request did not complete within the allotted timeout",
        ),
    ] {
        let fake = Fake::start(move |_| status(code, message)).await;
        let cluster = fake.connect().await;
        let error = change(&cluster).await;
        let text = error.to_string();
        assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
        assert!(text.contains(message), "{text}");
        assert!(
            text.ends_with("whether it was carried out is not known"),
            "{text}"
        );
        assert!(error.hint().unwrap().contains("unship continue"));
        assert_eq!(fake.seen().len(), 1, "{code}");
        assert_eq!(cluster.requests_sent().get("patch deployments"), Some(&1));
        let dry = cluster.patch_workload(&target(), &operations(), true).await;
        assert!(matches!(dry, Err(Error::Api { .. })), "{dry:?}");
    }
    let odd = Fake::start(|_| Reply::Text(200, "<html>")).await;
    let error = change(&odd.connect().await).await;
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
}

#[tokio::test]
async fn a_write_without_an_answer_says_so() {
    let fake = Fake::start(|_| Reply::Hang).await;
    let cluster = fake
        .connect_with(|settings| settings.request_timeout = Duration::from_millis(300))
        .await;
    let begin = Instant::now();
    let error = cluster.scale(&target(), FROM, 0, false).await.unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(3));
    assert_eq!(
        error.to_string(),
        format!(
            "scaling of deployment/zai-proxy in namespace mcp to 0: no answer from {} within \
             0.3 s; whether it was carried out is not known",
            fake.url()
        )
    );
    assert_eq!(error.reason(), GapReason::TimedOut);
    let dry = cluster.scale(&target(), FROM, 0, true).await;
    assert!(matches!(dry, Err(Error::TimedOut { .. })), "{dry:?}");
}

async fn connect_to(url: &str) -> Cluster {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        kubeconfig: Some(kubeconfig(folder.path(), "config", "far", url, &json!({}))),
        ..Settings::default()
    };
    Cluster::connect(&settings).await.unwrap()
}

#[tokio::test]
async fn a_broken_connection_is_unknown_and_a_refused_one_is_not() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = connections.clone();
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let mut buffer = [0; 4096];
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut buffer).await;
        }
    });
    let error = change(&connect_to(&url).await).await;
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
    assert_eq!(connections.load(std::sync::atomic::Ordering::SeqCst), 1);
    server.abort();
    let _ = server.await;
    let error = change(&connect_to(&url).await).await;
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    let tls = Fake::start(world).await;
    let error = change(&connect_to(&format!("https://{}", tls.address)).await).await;
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn a_write_that_was_turned_away_is_sent_again_when_the_server_says_when() {
    let first = std::sync::atomic::AtomicBool::new(true);
    let fake = Fake::start(move |_| {
        if first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            return Reply::Later(1);
        }
        Reply::Json(200, deployment("zai-proxy", "mcp"))
    })
    .await;
    let cluster = fake.connect().await;
    let outcome = cluster
        .patch_workload(&target(), &operations(), false)
        .await;
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(fake.seen().len(), 2);
    let fake = Fake::start(|_| status(429, "slow down")).await;
    let error = change(&fake.connect().await).await;
    assert!(matches!(error, Error::Api { code: 429, .. }), "{error:?}");
    assert_eq!(fake.seen().len(), 1, "it does not say when");
}
