//! The Kubernetes API and its controllers.

use super::*;

pub(crate) const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/n/deployments/web";

fn deployment(tag: &str) -> Value {
    let mut object = manifests::parse_all(&web(tag)).unwrap().remove(0);
    object["metadata"]["namespace"] = json!("n");
    object
}

pub(crate) async fn bed_with(tag: &str) -> Bed {
    let bed = Bed::start().await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}});
    assert_eq!(
        bed.admin()
            .post("/api/v1/namespaces", &namespace)
            .await
            .code,
        201
    );
    let made = bed
        .admin()
        .post("/apis/apps/v1/namespaces/n/deployments", &deployment(tag))
        .await;
    assert_eq!(made.code, 201, "{}", made.text);
    bed
}

async fn set_image(bed: &Bed, tag: &str) {
    let patch = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "web", "image": format!("example.org/web:{tag}")}]}}}});
    let reply = bed
        .admin()
        .patch(DEPLOYMENT, "strategic-merge-patch", &patch)
        .await;
    assert_eq!(reply.code, 200, "{}", reply.text);
}

fn revisions(bed: &Bed) -> Vec<(String, String)> {
    let sets = bed.sandbox.list("apps", "ReplicaSet", "n");
    let mut out: Vec<(String, String)> = sets
        .iter()
        .map(|s| {
            let image = json::text(s, "/spec/template/spec/containers/0/image");
            let number = json::annotation(s, "deployment.kubernetes.io/revision").unwrap_or("");
            (
                image.rsplit(':').next().unwrap_or("").to_owned(),
                number.to_owned(),
            )
        })
        .collect();
    out.sort();
    out
}

#[tokio::test]
async fn a_rollout_keeps_serving_and_a_reused_replica_set_is_renumbered() {
    let bed = bed_with("1").await;
    bed.rolled_out("n", "1").await;
    set_image(&bed, "2").await;
    bed.rolled_out("n", "2").await;
    set_image(&bed, "1").await;
    let after = bed.rolled_out("n", "1").await;
    let pairs = revisions(&bed);
    assert_eq!(pairs, [("1".into(), "3".into()), ("2".into(), "2".into())]);
    assert_eq!(
        json::annotation(&after, "deployment.kubernetes.io/revision"),
        Some("3")
    );
    assert_eq!(after["status"]["replicas"], 1);
    assert_eq!(after["metadata"]["generation"], 3);
}

#[tokio::test]
async fn a_crashing_release_leaves_the_old_pods_and_exceeds_its_deadline() {
    let bed = bed_with("1").await;
    bed.rolled_out("n", "1").await;
    set_image(&bed, "2-crash").await;
    let place = ("apps", "Deployment", "n", "web");
    let exceeded = |d: &Value| reason(d, "Progressing") == "ProgressDeadlineExceeded";
    let stuck = bed
        .sandbox
        .wait_for(place, Duration::from_secs(8), exceeded)
        .await
        .unwrap();
    assert_eq!(reason(&stuck, "Available"), "MinimumReplicasAvailable");
    assert_eq!(stuck["status"]["availableReplicas"], 1);
    let pods = bed.sandbox.list("", "Pod", "n");
    assert_eq!(pods.len(), 2);
    let new = pods
        .iter()
        .find(|p| json::text(p, "/spec/containers/0/image").ends_with("2-crash"))
        .unwrap();
    // Between two attempts it runs for a moment.
    let backs_off = |p: &Value| {
        json::text(p, "/status/containerStatuses/0/state/waiting/reason") == "CrashLoopBackOff"
    };
    let place = ("", "Pod", "n", json::text(new, "/metadata/name"));
    let crashing = bed
        .sandbox
        .wait_for(place, Duration::from_secs(8), backs_off)
        .await
        .unwrap();
    assert_eq!(
        json::int(
            &crashing,
            "/status/containerStatuses/0/lastState/terminated/exitCode"
        ),
        Some(1)
    );
    let name = json::text(&crashing, "/metadata/name");
    let path = format!("/api/v1/namespaces/n/pods/{name}/log?previous=true&tailLines=2");
    let log = bed.observer().get(&path).await;
    assert_eq!((log.code, log.text.lines().count()), (200, 2));
    let events = "/api/v1/namespaces/n/events?fieldSelector=reason%3DBackOff";
    let events = bed.observer().get(events).await.json();
    assert_eq!(events["items"][0]["type"], "Warning");
}

#[tokio::test]
async fn image_tags_decide_what_pods_do() {
    let bed = bed_with("9-oom").await;
    let oom = |p: &Value| {
        json::text(p, "/status/containerStatuses/0/lastState/terminated/reason") == "OOMKilled"
    };
    let limit = Duration::from_secs(5);
    bed.sandbox
        .wait_for_any(("", "Pod", "n"), limit, oom)
        .await
        .unwrap();
    set_image(&bed, "9-nopull").await;
    let no_pull = |p: &Value| {
        json::text(p, "/status/phase") == "Pending"
            && json::text(p, "/status/containerStatuses/0/state/waiting/reason")
                == "ImagePullBackOff"
    };
    bed.sandbox
        .wait_for_any(("", "Pod", "n"), limit, no_pull)
        .await
        .unwrap();
    set_image(&bed, "9-never").await;
    let never = |p: &Value| {
        json::text(p, "/spec/containers/0/image").ends_with("never")
            && json::text(p, "/status/phase") == "Running"
            && reason(p, "Ready") == "ContainersNotReady"
    };
    bed.sandbox
        .wait_for_any(("", "Pod", "n"), limit, never)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_paused_deployment_does_not_roll_but_scales() {
    let bed = bed_with("1").await;
    bed.rolled_out("n", "1").await;
    let pause = json!({"spec": {"paused": true, "replicas": 2}});
    assert_eq!(
        bed.admin()
            .patch(DEPLOYMENT, "merge-patch", &pause)
            .await
            .code,
        200
    );
    set_image(&bed, "2").await;
    let place = ("apps", "Deployment", "n", "web");
    let limit = Duration::from_secs(5);
    let scaled = |d: &Value| {
        d["status"]["availableReplicas"] == 2 && reason(d, "Progressing") == "DeploymentPaused"
    };
    bed.sandbox.wait_for(place, limit, scaled).await.unwrap();
    assert_eq!(revisions(&bed).len(), 1);
    let resume = json!({"spec": {"paused": null}});
    assert_eq!(
        bed.admin()
            .patch(DEPLOYMENT, "merge-patch", &resume)
            .await
            .code,
        200
    );
    bed.rolled_out("n", "2").await;
}

#[tokio::test]
async fn the_observer_reads_but_every_write_is_refused_and_audited() {
    let bed = bed_with("1").await;
    let observer = bed.observer();
    assert_eq!(observer.get(DEPLOYMENT).await.code, 200);
    let refused = observer.patch(DEPLOYMENT, "merge-patch", &json!({})).await;
    assert_eq!(refused.code, 403);
    assert_eq!(
        json::text(&refused.json(), "/message"),
        "deployments.apps \"web\" is forbidden: User \
         \"system:serviceaccount:devpod:devpod-observer\" cannot patch resource \"deployments\" \
         in API group \"apps\" in the namespace \"n\""
    );
    for path in [
        "/api/v1/namespaces/n/secrets",
        "/apis/argoproj.io/v1alpha1/applications",
        "/api/v1/namespaces/n/configmaps",
    ] {
        assert_eq!(observer.get(path).await.code, 403, "{path}");
    }
    let wrong = Client {
        token: "x".to_owned(),
        ..bed.observer()
    };
    assert_eq!(wrong.get(DEPLOYMENT).await.code, 401);
    let proxy = bed.kubernetes("UNSHIP_WORLD_PROXY_KUBECONFIG");
    assert_eq!(proxy.get("/api/v1/namespaces/n/pods").await.code, 200);
    let audit = std::fs::read_to_string(bed.sandbox.variable("UNSHIP_WORLD_AUDIT_LOG")).unwrap();
    let lines: Vec<Value> = audit
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let attempt = lines
        .iter()
        .find(|l| l["verb"] == "patch" && l["responseStatus"]["code"] == 403);
    let attempt = attempt.unwrap();
    assert_eq!(
        attempt["user"]["username"],
        "system:serviceaccount:devpod:devpod-observer"
    );
    assert_eq!(attempt["objectRef"]["apiGroup"], "apps");
    assert_eq!(attempt["objectRef"]["name"], "web");
}

#[tokio::test]
async fn access_reviews_follow_rbac_objects() {
    let bed = bed_with("1").await;
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let ask = |verb: &'static str| {
        let body = json!({"spec": {"resourceAttributes": {"verb": verb, "group": "apps",
            "resource": "deployments", "namespace": "n"}}});
        let observer = bed.observer();
        async move { observer.post(path, &body).await.json()["status"]["allowed"] == true }
    };
    assert!(ask("get").await);
    assert!(!ask("patch").await);
    let group = "rbac.authorization.k8s.io";
    let role = json!({"apiVersion": format!("{group}/v1"), "kind": "Role",
        "metadata": {"name": "deployer", "namespace": "n"},
        "rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"]}]});
    let binding = json!({"apiVersion": format!("{group}/v1"), "kind": "RoleBinding",
        "metadata": {"name": "deployer", "namespace": "n"},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "deployer"},
        "subjects": [{"kind": "ServiceAccount", "name": "devpod-observer", "namespace": "devpod"}]});
    let base = format!("/apis/{group}/v1/namespaces/n");
    assert_eq!(
        bed.admin().post(&format!("{base}/roles"), &role).await.code,
        201
    );
    assert_eq!(
        bed.admin()
            .post(&format!("{base}/rolebindings"), &binding)
            .await
            .code,
        201
    );
    assert!(ask("patch").await);
}

#[tokio::test]
async fn errors_have_the_upstream_words() {
    let bed = bed_with("1").await;
    let admin = bed.admin();
    let gone = admin.get("/apis/apps/v1/namespaces/n/deployments/x").await;
    assert_eq!(gone.code, 404);
    assert_eq!(
        json::text(&gone.json(), "/message"),
        "deployments.apps \"x\" not found"
    );
    let again = admin
        .post("/apis/apps/v1/namespaces/n/deployments", &deployment("1"))
        .await;
    assert_eq!(
        (again.code, json::text(&again.json(), "/reason").to_owned()),
        (409, "AlreadyExists".into())
    );
    let tests = json!([{"op": "test", "path": "/metadata/uid", "value": "other"}]);
    assert_eq!(
        admin.patch(DEPLOYMENT, "json-patch", &tests).await.code,
        422
    );
    let stale = json!({"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 2}});
    assert_eq!(
        admin.patch(DEPLOYMENT, "merge-patch", &stale).await.code,
        409
    );
    let moved = json!({"spec": {"selector": {"matchLabels": {"app": "other"}}}});
    assert_eq!(
        admin.patch(DEPLOYMENT, "merge-patch", &moved).await.code,
        422
    );
    assert_eq!(admin.get("/apis/nothing.io/v1/things").await.code, 404);
}

#[tokio::test]
async fn a_watch_shows_what_is_there_and_what_changes() {
    let bed = bed_with("1").await;
    bed.rolled_out("n", "1").await;
    let watch = "/apis/apps/v1/namespaces/n/deployments?watch=true&timeoutSeconds=1&fieldSelector=metadata.name%3Dweb";
    let observer = bed.observer();
    let (events, ()) = tokio::join!(observer.get(watch), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        set_image(&bed, "2").await;
    });
    let lines: Vec<Value> = events
        .text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines[0]["type"], "ADDED");
    let changed = lines.iter().any(|l| {
        l["type"] == "MODIFIED"
            && json::text(l, "/object/spec/template/spec/containers/0/image").ends_with(":2")
    });
    assert!(changed, "{} lines", lines.len());
}

#[tokio::test]
async fn endpoints_follow_readiness() {
    let bed = bed_with("1").await;
    let service = manifests::parse_all(&web("1")).unwrap().remove(1);
    let made = bed
        .admin()
        .post("/api/v1/namespaces/n/services", &service)
        .await;
    assert_eq!(made.code, 201, "{}", made.text);
    let ready =
        |s: &Value| s["endpoints"][0]["conditions"]["ready"] == true && s["ports"][0]["port"] == 80;
    let slices = ("discovery.k8s.io", "EndpointSlice", "n");
    bed.sandbox
        .wait_for_any(slices, Duration::from_secs(5), ready)
        .await
        .unwrap();
    assert_eq!(
        bed.admin()
            .send("DELETE", DEPLOYMENT, "", "")
            .await
            .unwrap()
            .code,
        200
    );
    let empty = |s: &Value| json::list(s, "/endpoints").is_empty();
    bed.sandbox
        .wait_for_any(slices, Duration::from_secs(5), empty)
        .await
        .unwrap();
    assert!(
        bed.sandbox.list("", "Pod", "n").is_empty(),
        "owned pods are collected"
    );
}

#[tokio::test]
async fn recreate_never_runs_both() {
    let bed = bed_with("1").await;
    bed.rolled_out("n", "1").await;
    let recreate = json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}}});
    assert_eq!(
        bed.admin()
            .patch(DEPLOYMENT, "merge-patch", &recreate)
            .await
            .code,
        200
    );
    set_image(&bed, "2-never").await;
    let new_only = |d: &Value| d["status"]["updatedReplicas"] == 1 && d["status"]["replicas"] == 1;
    let place = ("apps", "Deployment", "n", "web");
    bed.sandbox
        .wait_for(place, Duration::from_secs(5), new_only)
        .await
        .unwrap();
    assert_eq!(bed.sandbox.list("", "Pod", "n").len(), 1);
}

#[tokio::test]
async fn faults_hit_the_requests_they_name() {
    let bed = bed_with("1").await;
    let plant = |effect| {
        let fault = Fault {
            surface: Surface::Kubernetes,
            method: None,
            path: "/pods".to_owned(),
            skip: 0,
            times: Some(1),
            effect,
        };
        bed.sandbox.faults().plant(fault).unwrap()
    };
    let pods = "/api/v1/namespaces/n/pods";
    plant(Effect::Answer(403));
    assert_eq!(bed.observer().get(pods).await.code, 403);
    assert_eq!(bed.observer().get(pods).await.code, 200);
    let id = plant(Effect::Drop);
    assert!(bed.observer().send("GET", pods, "", "").await.is_err());
    assert_eq!(bed.sandbox.faults().remove(id), Some(1));
    plant(Effect::Half);
    let half = bed.observer().get(pods).await.text;
    assert!(!half.is_empty() && serde_json::from_str::<Value>(&half).is_err());
    plant(Effect::DelayMs(150));
    let begin = std::time::Instant::now();
    bed.observer().get(pods).await;
    assert!(begin.elapsed() >= Duration::from_millis(150));
    let control = Client {
        server: bed.sandbox.variable("UNSHIP_WORLD_CONTROL_URL").to_owned(),
        token: String::new(),
    };
    let fault = json!({"surface": "kubernetes", "path": "/services", "effect": {"answer": 500}});
    assert_eq!(control.post("/faults", &fault).await.code, 201);
    assert_eq!(
        bed.observer()
            .get("/api/v1/namespaces/n/services")
            .await
            .code,
        500
    );
}

#[tokio::test]
async fn logs_and_metrics_of_a_pod() {
    let bed = bed_with("1").await;
    let pod = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p", "namespace": "n", "annotations": {
            "unship.test/log-lines": "700", "unship.test/log-text": "one\ntwo"}},
        "spec": {"initContainers": [{"name": "wait", "image": "busybox:1"}],
            "containers": [{"name": "main", "image": "web:1",
                "ports": [{"containerPort": 8080}]}]}});
    bed.sandbox.create(pod).unwrap();
    let ready = |p: &Value| p["status"]["conditions"][2]["status"] == "True";
    let place = ("", "Pod", "n", "p");
    let wait = bed.sandbox.wait_for(place, Duration::from_secs(5), ready);
    wait.await.unwrap();
    let at = "/api/v1/namespaces/n/pods/p";
    let log = bed
        .observer()
        .get(&format!("{at}/log?container=main"))
        .await;
    let lines: Vec<&str> = log.text.lines().collect();
    assert!(lines.len() > 700 && lines.contains(&"two"), "{}", log.text);
    let init = bed
        .observer()
        .get(&format!("{at}/log?container=wait"))
        .await;
    assert_eq!(init.code, 200, "{}", init.text);
    let ask = async |client: Client, port: &str, path: &str| {
        client.get(&format!("{at}%3A{port}/proxy/{path}")).await
    };
    let metrics = ask(bed.admin(), "8080", "metrics").await;
    assert_eq!(metrics.code, 200, "{}", metrics.text);
    assert!(metrics.text.contains("requests_total"), "{}", metrics.text);
    assert_eq!(ask(bed.admin(), "1", "metrics").await.code, 503);
    assert_eq!(ask(bed.admin(), "8080", "nothing").await.code, 404);
    assert_eq!(ask(bed.observer(), "8080", "metrics").await.code, 403);
}
