//! What is read, and with which requests.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Error, LogQuery, ObjectQuery, all_access_queries};
use super::fake::{Fake, Reply, Seen, deployment, forbidden, status, target, world};
use crate::model::{Allowed, GapReason, WorkloadKind};

#[tokio::test]
async fn a_snapshot_in_six_requests() {
    let fake = Fake::start(world).await;
    let cluster = fake.connect().await;
    let snapshot = cluster.snapshot(&target()).await;
    assert_eq!(snapshot.gaps(), []);
    let workload = snapshot.workload.unwrap();
    assert_eq!(workload.template.main_image().unwrap().as_str(), "a/b:2");
    let sets: Vec<String> = snapshot
        .replica_sets
        .unwrap()
        .into_iter()
        .map(|s| s.name)
        .collect();
    assert_eq!(
        sets,
        ["zai-proxy-new", "zai-proxy-old"],
        "newest first, the canary's not"
    );
    let pods: Vec<String> = snapshot.pods.unwrap().into_iter().map(|p| p.name).collect();
    assert_eq!(
        pods,
        ["zai-proxy-new-1", "zai-proxy-old-1"],
        "by owner, not by label"
    );
    let events: Vec<String> = snapshot
        .events
        .unwrap()
        .into_iter()
        .map(|e| e.reason)
        .collect();
    assert_eq!(
        events,
        ["zai-proxy-old-6", "zai-proxy-4", "zai-proxy-new-1-1"]
    );
    assert_eq!(snapshot.endpoints.unwrap().len(), 1);
    let hpas: Vec<String> = snapshot.hpas.unwrap().into_iter().map(|h| h.name).collect();
    assert_eq!(hpas, ["own"]);

    let sent = cluster.requests_sent();
    let expected = [
        "get deployments",
        "list endpointslices",
        "list events",
        "list horizontalpodautoscalers",
        "list pods",
        "list replicasets",
    ];
    assert_eq!(sent.keys().collect::<Vec<_>>(), expected);
    assert!(sent.values().all(|count| *count == 1), "{sent:?}");
    let seen = fake.seen();
    assert_eq!(seen.len(), 6);
    assert!(seen.iter().all(|request| request.method == "GET"));
    let pods = seen.iter().find(|r| r.path().ends_with("/pods")).unwrap();
    assert_eq!(
        pods.uri,
        "/api/v1/namespaces/mcp/pods?labelSelector=app%3Dzai-proxy&limit=500"
    );
    let agent = pods.headers.get("user-agent").unwrap().to_str().unwrap();
    assert!(agent.starts_with("unship/"), "{agent}");
}

#[tokio::test]
async fn one_forbidden_list_is_one_gap() {
    for (ending, gaps) in [
        ("/events", 1),
        ("/endpointslices", 1),
        ("/horizontalpodautoscalers", 1),
        ("/pods", 1),
        // Without ReplicaSets nobody knows whose pods there are.
        ("/replicasets", 2),
    ] {
        let fake = Fake::start(move |seen| {
            if seen.path().ends_with(ending) {
                return forbidden(ending.trim_start_matches('/'));
            }
            world(seen)
        })
        .await;
        let snapshot = fake.connect().await.snapshot(&target()).await;
        assert!(snapshot.workload.is_ok(), "{ending}");
        let found = snapshot.gaps();
        assert_eq!(found.len(), gaps, "{ending}: {found:?}");
        for gap in found {
            assert_eq!(gap.reason, GapReason::Forbidden, "{ending}");
            assert!(
                gap.message.contains("devpod-observer\" cannot list"),
                "{gap}"
            );
        }
    }
}

#[tokio::test]
async fn long_lists_come_in_pages() {
    fn page(seen: &Seen) -> Reply {
        let item = |name: &str| json!({"metadata": {"name": name}});
        if seen.uri.contains("continue=two%2F") {
            return Reply::Json(
                200,
                json!({"metadata": {"continue": ""}, "items": [item("b")]}),
            );
        }
        Reply::Json(
            200,
            json!({"metadata": {"continue": "two/"}, "items": [item("a")]}),
        )
    }
    let fake = Fake::start(page).await;
    let pods = fake.connect().await.pods("mcp", None).await.unwrap();
    assert_eq!(
        pods.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(),
        ["a", "b"]
    );

    // The continuation expired: the whole list at once.
    let fake = Fake::start(|seen| {
        if seen.uri.contains("continue=") {
            return status(410, "the provided continue parameter is too old");
        }
        if seen.uri.contains("limit=") {
            return page(seen);
        }
        let items = json!([{"metadata": {"name": "a"}}, {"metadata": {"name": "c"}}]);
        Reply::Json(200, json!({"items": items}))
    })
    .await;
    let pods = fake.connect().await.pods("mcp", None).await.unwrap();
    assert_eq!(
        pods.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(),
        ["a", "c"]
    );
}

#[tokio::test]
async fn controller_revisions_are_counted_from_pods() {
    let owned = |kind: &str, uid: &str| json!([{"kind": kind, "name": "db", "uid": uid, "controller": true}]);
    let revision = move |name: &str, number: i64| {
        json!({"metadata": {"name": name, "uid": name, "ownerReferences": owned("StatefulSet", "s1")},
            "revision": number, "data": {"spec": {"template": {"$patch": "replace",
                "spec": {"containers": [{"name": "db", "image": name}]}}}}})
    };
    let pod = move |name: &str, hash: &str, ready: &str| {
        json!({"metadata": {"name": name, "uid": name, "ownerReferences": owned("StatefulSet", "s1"),
                "labels": {"controller-revision-hash": hash}},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}})
    };
    let fake = Fake::start(move |seen| match seen.path().rsplit('/').next().unwrap() {
        "db" => Reply::Json(
            200,
            json!({"metadata": {"name": "db", "namespace": "mcp", "uid": "s1"},
            "spec": {"replicas": 2}}),
        ),
        "controllerrevisions" => Reply::Json(
            200,
            json!({"items":
            [revision("db-old", 1), revision("db-new", 2)]}),
        ),
        "pods" => Reply::Json(
            200,
            json!({"items": [pod("db-0", "db-old", "True"),
            pod("db-1", "db-new", "False")]}),
        ),
        _ => Reply::Json(200, json!({"items": null})),
    })
    .await;
    let mut of = target();
    (of.kind, of.name) = (WorkloadKind::StatefulSet, "db".to_owned());
    let snapshot = fake.connect().await.snapshot(&of).await;
    assert_eq!(snapshot.gaps(), []);
    assert_eq!(snapshot.pods.unwrap().len(), 2);
    let sets: Vec<_> = snapshot
        .replica_sets
        .unwrap()
        .into_iter()
        .map(|set| (set.name, set.replicas, set.ready))
        .collect();
    assert_eq!(
        sets,
        [("db-new".to_owned(), 1, 0), ("db-old".to_owned(), 1, 1)]
    );
}

fn cluster_with_names(seen: &Seen) -> Reply {
    let named =
        |name: &str, namespace: &str| json!({"metadata": {"name": name, "namespace": namespace}});
    let kind = seen.path().rsplit('/').next().unwrap();
    let all = !seen.path().contains("/namespaces/");
    match (kind, all) {
        ("deployments", false) => Reply::Json(
            200,
            json!({"items": [named("zai-proxy", "mcp"), named("postgres", "mcp")]}),
        ),
        ("deployments", true) => Reply::Json(
            200,
            json!({"items": [named("zai-poxy", "other"),
            named("unfiltered", "x")]}),
        ),
        ("statefulsets" | "daemonsets", false) => Reply::Json(200, json!({"items": null})),
        ("statefulsets" | "daemonsets", true) => forbidden(if kind == "statefulsets" {
            "statefulsets"
        } else {
            "daemonsets"
        }),
        ("zai-proxy", false) if seen.path().contains("/deployments/") => {
            Reply::Json(200, deployment("zai-proxy", "mcp"))
        }
        ("zai-proxy", false) if seen.path().contains("/statefulsets/") => forbidden("statefulsets"),
        _ => status(404, "not found"),
    }
}

#[tokio::test]
async fn names_are_found_or_suggested() {
    let fake = Fake::start(cluster_with_names).await;
    let cluster = fake.connect().await;
    let found = cluster
        .find(&WorkloadKind::ALL, "zai-proxy", "mcp")
        .await
        .unwrap();
    assert_eq!(found.workloads.len(), 1);
    assert_eq!(found.gaps.len(), 1, "{:?}", found.gaps);
    assert_eq!(found.gaps[0].what, "statefulset/zai-proxy in namespace mcp");

    let found = cluster
        .find(&WorkloadKind::ALL, "zai-poxy", "mcp")
        .await
        .unwrap();
    assert!(found.workloads.is_empty());
    let near: Vec<String> = found.near.iter().map(ToString::to_string).collect();
    assert_eq!(near, ["deployment/zai-proxy in namespace mcp"]);
    let elsewhere: Vec<String> = found.elsewhere.iter().map(ToString::to_string).collect();
    assert_eq!(elsewhere, ["deployment/zai-poxy in namespace other"]);
    assert_eq!(
        found.gaps.len(),
        2,
        "cluster-wide lists of two kinds: {:?}",
        found.gaps
    );

    let error = cluster
        .find(&[WorkloadKind::StatefulSet], "zai-proxy", "mcp")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Forbidden { .. }), "{error}");
}

#[tokio::test]
async fn workloads_of_all_kinds_with_a_gap() {
    let fake = Fake::start(|seen| match seen.path().rsplit('/').next().unwrap() {
        "deployments" => Reply::Json(
            200,
            json!({"items": [deployment("b", "mcp"),
            deployment("a", "mcp")]}),
        ),
        "statefulsets" => Reply::Json(
            200,
            json!({"items": [{"metadata": {"name": "a",
            "namespace": "abc"}, "spec": {}}]}),
        ),
        _ => forbidden("daemonsets"),
    })
    .await;
    let all = fake
        .connect()
        .await
        .workloads(None, Some("team=a,x in (b)"))
        .await;
    let names: Vec<String> = all.items.iter().map(|w| w.reference.to_string()).collect();
    assert_eq!(
        names,
        [
            "statefulset/a in namespace abc",
            "deployment/a in namespace mcp",
            "deployment/b in namespace mcp"
        ]
    );
    assert_eq!(all.gaps[0].what, "daemonsets in all namespaces");
    let uri = &fake.seen()[0].uri;
    assert!(
        uri.contains("labelSelector=team%3Da%2Cx%20in%20%28b%29"),
        "{uri}"
    );
}

#[tokio::test]
async fn rights_are_asked_one_by_one_and_in_order() {
    let fake = Fake::start(|seen| {
        let body: Value = serde_json::from_str(&seen.body).unwrap();
        let asked = &body["spec"]["resourceAttributes"];
        match asked["verb"].as_str().unwrap() {
            "patch" => Reply::Json(
                201,
                json!({"status": {"allowed": false, "reason": "no role"}}),
            ),
            "create" if asked["subresource"] == "exec" => status(503, "busy"),
            "create" => Reply::Json(
                201,
                json!({"status": {"allowed": false,
                "evaluationError": "webhook down"}}),
            ),
            _ => Reply::Json(201, json!({"status": {"allowed": true}})),
        }
    })
    .await;
    let cluster = fake.connect().await;
    let queries = all_access_queries("mcp", None);
    let answers = cluster.access(&queries).await;
    assert_eq!(answers.len(), queries.len());
    for (query, answer) in queries.iter().zip(&answers) {
        let expected = match query.verb.as_str() {
            "patch" => Allowed::Denied,
            "create" => Allowed::Unknown,
            _ => Allowed::Allowed,
        };
        assert_eq!(answer.allowed, expected, "{answer:?}");
        assert!(answer.right.starts_with(&query.verb), "{answer:?}");
    }
    let seen = fake.seen();
    assert_eq!(seen.len(), queries.len(), "a failed review is not repeated");
    let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    assert!(seen.iter().all(|r| r.method == "POST" && r.uri == reviews));
}

#[tokio::test]
async fn logs_and_objects() {
    let fake = Fake::start(|seen| {
        if seen.path().ends_with("/log") {
            return Reply::Text(200, "start\nAuthorization: Bearer sekret x\n");
        }
        Reply::Json(200, deployment("zai-proxy", "mcp"))
    })
    .await;
    let cluster = fake.connect().await;
    let query = LogQuery {
        namespace: "mcp",
        pod: "p-1",
        container: "proxy",
        previous: true,
        tail_lines: Some(100),
        since: Some(Duration::from_millis(200)),
        limit_bytes: Some(4096),
        timestamps: true,
    };
    let log = cluster.log(&query).await.unwrap();
    assert_eq!(log, "start\nAuthorization: Bearer *** x\n");
    assert_eq!(
        fake.seen()[0].uri,
        "/api/v1/namespaces/mcp/pods/p-1/log?container=proxy&previous=true&tailLines=100\
         &sinceSeconds=1&limitBytes=4096&timestamps=true"
    );
    let mut query = ObjectQuery {
        group: "apps",
        version: "v1",
        resource: "deployments",
        namespace: "mcp",
        name: "zai-proxy",
    };
    let object = cluster.object(&query).await.unwrap();
    assert!(!object.to_string().contains("sekret"), "{object}");
    (query.group, query.resource) = ("", "Secrets");
    let error = cluster.object(&query).await.unwrap_err();
    assert!(error.to_string().contains("never reads Secrets"), "{error}");
    query.resource = "pods/x/../../secrets";
    assert!(cluster.object(&query).await.is_err());
    assert_eq!(fake.seen().len(), 2, "a refused read sends nothing");
}

#[tokio::test]
async fn applications() {
    let fake = Fake::start(|seen| {
        assert_eq!(
            seen.path(),
            "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications"
        );
        Reply::Json(200, json!({"items": [{"metadata": {"name": "mcp-ns"}}]}))
    })
    .await;
    let found = fake
        .connect()
        .await
        .applications(Some("argocd"))
        .await
        .unwrap();
    assert_eq!(found[0]["metadata"]["name"], "mcp-ns");
    let fake = Fake::start(|_| Reply::Text(404, "404 page not found\n")).await;
    let error = fake.connect().await.applications(None).await.unwrap_err();
    assert_eq!(error.reason(), GapReason::NotFound);
    assert_eq!(
        error.to_string(),
        "applications in all namespaces: this cluster has no Argo CD Applications"
    );
}

#[tokio::test]
async fn a_workload_that_cannot_be_read_is_the_error() {
    let fake = Fake::start(|seen| {
        if seen.path().contains("/deployments/") {
            return forbidden("deployments");
        }
        world(seen)
    })
    .await;
    let snapshot = fake.connect().await.snapshot(&target()).await;
    let gaps = snapshot.gaps();
    let what: Vec<&str> = gaps.iter().map(|gap| gap.what.as_str()).collect();
    assert_eq!(
        what,
        [
            "deployment/zai-proxy in namespace mcp",
            "ReplicaSets of deployment/zai-proxy in namespace mcp",
            "pods of deployment/zai-proxy in namespace mcp",
            "events about deployment/zai-proxy in namespace mcp"
        ]
    );
    assert!(matches!(snapshot.workload, Err(Error::Forbidden { .. })));
    assert!(snapshot.endpoints.is_ok() && snapshot.hpas.is_ok());
}
