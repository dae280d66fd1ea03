//! The Argo CD API and the application controller.

use super::*;

pub(crate) const MANUAL: fn() -> Value = || json!({"spec": {"syncPolicy": null}});

pub(crate) fn none() -> Value {
    json!({})
}

pub(crate) async fn app(bed: &Bed, limit: u64, test: impl Fn(&Value) -> bool) -> Value {
    let place = ("argoproj.io", "Application", "argocd", "n");
    bed.sandbox
        .wait_for(place, Duration::from_secs(limit), test)
        .await
        .unwrap()
}

pub(crate) fn sync_of(app: &Value) -> &str {
    json::text(app, "/status/sync/status")
}

pub(crate) async fn set_tag_by_hand(bed: &Bed, tag: &str) {
    let patch = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "web", "image": format!("example.org/web:{tag}")}]}}}});
    let path = "/apis/apps/v1/namespaces/n/deployments/web";
    assert_eq!(
        bed.admin()
            .patch(path, "strategic-merge-patch", &patch)
            .await
            .code,
        200
    );
}

pub(crate) fn conditions(app: &Value) -> String {
    app["status"]["conditions"].to_string()
}

#[tokio::test]
async fn a_push_lands_after_a_refresh_by_a_read_only_account() {
    let bed = Bed::with_app("n", &[("app/web.yml", &web("1"))], none()).await;
    bed.rolled_out("n", "1").await;
    let commit = bed.push("n", &[("app/web.yml", &web("2"))]);
    let argocd = bed.argocd("ARGOCD_AUTH_TOKEN");
    let before = argocd.get("/api/v1/applications/n").await.json();
    assert_ne!(
        before["status"]["sync"]["revision"],
        json!(commit),
        "nothing happens before the poll"
    );
    let after = argocd
        .get("/api/v1/applications/n?refresh=normal")
        .await
        .json();
    assert_eq!(after["status"]["sync"]["revision"], json!(commit));
    bed.rolled_out("n", "2").await;
    let done = app(&bed, 5, |a| {
        a["status"]["history"][1]["revision"] == json!(commit)
    })
    .await;
    assert_eq!(done["status"]["history"][1]["id"], 1);
    assert_eq!(done["status"]["operationState"]["phase"], "Succeeded");
    assert!(
        done["status"]["resources"][0].get("health").is_none(),
        "the object has no health"
    );
    let read = argocd.get("/api/v1/applications/n").await.json();
    assert_eq!(
        read["status"]["resources"][0]["health"]["status"],
        "Healthy"
    );
}

#[tokio::test]
async fn self_heal_undoes_a_change_by_hand() {
    let bed = Bed::with_app("n", &[("app/web.yml", &web("1"))], none()).await;
    bed.rolled_out("n", "1").await;
    app(&bed, 5, |a| sync_of(a) == "Synced").await;
    set_tag_by_hand(&bed, "7").await;
    let begin = std::time::Instant::now();
    bed.sandbox
        .wait_for(
            ("apps", "Deployment", "n", "web"),
            Duration::from_secs(3),
            |d| json::text(d, "/spec/template/spec/containers/0/image").ends_with(":1"),
        )
        .await
        .unwrap();
    assert!(
        begin.elapsed() < Duration::from_secs(1),
        "{:?}",
        begin.elapsed()
    );
    let healed = app(&bed, 5, |a| sync_of(a) == "Synced").await;
    assert_eq!(
        healed["status"]["history"].as_array().unwrap().len(),
        1,
        "healing is no history"
    );
}

#[tokio::test]
async fn without_self_heal_a_change_by_hand_stays_and_shows() {
    let more = json!({"spec": {"syncPolicy": {"automated": {"selfHeal": false}}}});
    let bed = Bed::with_app("n", &[("app/web.yml", &web("1"))], more).await;
    bed.rolled_out("n", "1").await;
    set_tag_by_hand(&bed, "7").await;
    app(&bed, 5, |a| sync_of(a) == "OutOfSync").await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    let live = bed.sandbox.get("apps", "Deployment", "n", "web").unwrap();
    assert!(json::text(&live, "/spec/template/spec/containers/0/image").ends_with(":7"));
}

pub(crate) fn check(reply: &Reply, http: u16, code: u64, words: &str) {
    let body = reply.json();
    assert_eq!(
        (reply.code, body["code"].as_u64()),
        (http, Some(code)),
        "{body}"
    );
    assert!(json::text(&body, "/error").starts_with(words), "{body}");
    assert_eq!(body["error"], body["message"]);
}

#[tokio::test]
async fn refusals_have_upstream_codes_and_words() {
    let bed = Bed::with_app("n", &[("app/web.yml", &web("1"))], none()).await;
    bed.rolled_out("n", "1").await;
    app(&bed, 5, |a| a.get("operation").is_none()).await;
    let devpod = bed.argocd("ARGOCD_AUTH_TOKEN");
    let admin = bed.argocd("UNSHIP_WORLD_ADMIN_ARGOCD_TOKEN");
    let base = "/api/v1/applications";
    check(
        &devpod.get(&format!("{base}/x")).await,
        403,
        7,
        "permission denied",
    );
    let missing = devpod.get(&format!("{base}/x?project=default")).await;
    check(&missing, 404, 5, "applications.argoproj.io");
    let denied = "permission denied: applications, sync, default/n, sub: devpod, iat: ";
    check(
        &devpod.post(&format!("{base}/n/sync"), &none()).await,
        403,
        7,
        denied,
    );
    let auto = "rollback cannot be initiated when auto-sync is enabled";
    let rollback = format!("{base}/n/rollback");
    check(
        &admin.post(&rollback, &json!({"id": 0})).await,
        400,
        9,
        auto,
    );
    let pinned = "Cannot sync to abc: auto-sync currently set to main";
    let sync = format!("{base}/n/sync");
    check(
        &admin.post(&sync, &json!({"revision": "abc"})).await,
        400,
        9,
        pinned,
    );
    let nobody = Client {
        token: String::new(),
        ..bed.argocd("ARGOCD_AUTH_TOKEN")
    };
    check(
        &nobody.get(&format!("{base}/n")).await,
        401,
        16,
        "no session information",
    );
    let operation = format!("{base}/n/operation");
    let idle = admin
        .send("DELETE", &operation, "application/json", "")
        .await
        .unwrap();
    check(&idle, 400, 3, "Unable to terminate");
    let media = admin.send("DELETE", &operation, "", "").await.unwrap();
    assert_eq!(
        (media.code, media.text.as_str()),
        (415, "Invalid content type")
    );
}

#[tokio::test]
async fn can_i_follows_the_role_of_the_account() {
    let bed = Bed::start().await;
    let devpod = bed.argocd("ARGOCD_AUTH_TOKEN");
    let may = async |action: &str| {
        let path = format!("/api/v1/account/can-i/applications/{action}/default/n");
        devpod.get(&path).await
    };
    assert_eq!(may("get").await.json()["value"], "yes");
    assert_eq!(may("sync").await.json()["value"], "no");
    assert_eq!(may("fly").await.code, 400);
    let token = bed.sandbox.argocd_token("ci", Role::Sync);
    let ci = Client {
        token,
        ..bed.argocd("ARGOCD_AUTH_TOKEN")
    };
    let path = "/api/v1/account/can-i/applications/sync/default/n";
    assert_eq!(ci.get(path).await.json()["value"], "yes");
}

#[tokio::test]
async fn rollback_of_a_manual_application_syncs_to_its_history() {
    let bed = Bed::with_app("n", &[("app/web.yml", &web("1"))], MANUAL()).await;
    let admin = bed.argocd("UNSHIP_WORLD_ADMIN_ARGOCD_TOKEN");
    app(&bed, 5, |a| sync_of(a) == "OutOfSync").await;
    assert_eq!(
        admin
            .post("/api/v1/applications/n/sync", &none())
            .await
            .code,
        200
    );
    bed.rolled_out("n", "1").await;
    bed.push("n", &[("app/web.yml", &web("2"))]);
    app(&bed, 5, |a| a.get("operation").is_none()).await;
    let started = admin.post("/api/v1/applications/n/sync", &none()).await;
    assert_eq!(
        started.json()["operation"]["sync"]["revision"]
            .as_str()
            .map(str::len),
        Some(40)
    );
    bed.rolled_out("n", "2").await;
    app(&bed, 5, |a| {
        a["status"]["history"]
            .as_array()
            .is_some_and(|h| h.len() == 2)
    })
    .await;
    let missing = admin
        .post("/api/v1/applications/n/rollback", &json!({"id": 9}))
        .await;
    assert_eq!(missing.json()["code"], 3);
    assert_eq!(
        admin
            .post("/api/v1/applications/n/rollback", &json!({"id": 0}))
            .await
            .code,
        200
    );
    bed.rolled_out("n", "1").await;
    let after = app(&bed, 5, |a| sync_of(a) == "OutOfSync").await;
    assert_eq!(after["status"]["history"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_failed_commit_is_not_tried_again_but_the_next_one_is() {
    let more = json!({"spec": {"syncPolicy": {"retry": {"limit": 0}}}});
    let bed = Bed::with_app("n", &[("app/web.yml", &web("1"))], more).await;
    bed.rolled_out("n", "1").await;
    let broken = web("2").replace("labels: {app: web}", "labels: {app: other}");
    let commit = bed.push("n", &[("app/web.yml", &broken)]);
    bed.sandbox.refresh("n").await.unwrap();
    let failed = app(&bed, 5, |a| conditions(a).contains("SyncError")).await;
    let state = &failed["status"]["operationState"];
    assert_eq!(state["phase"], "Failed");
    assert!(json::text(state, "/message").contains("one or more objects failed to apply"));
    assert!(conditions(&failed).contains(&format!("Failed last sync attempt to [{commit}]")));
    bed.push("n", &[("app/web.yml", &web("3"))]);
    bed.sandbox.refresh("n").await.unwrap();
    bed.rolled_out("n", "3").await;
    app(&bed, 5, |a| a["status"].get("conditions").is_none()).await;
}

#[tokio::test]
async fn a_retrying_operation_blocks_until_it_is_terminated() {
    let more = json!({"spec": {"syncPolicy": {"retry": {"limit": 5, "backoff": {"duration": "1h", "maxDuration": "2h"}}}}});
    let bed = Bed::with_app("n", &[("app/web.yml", &web("1"))], more).await;
    bed.rolled_out("n", "1").await;
    bed.push(
        "n",
        &[(
            "app/crd.yml",
            "apiVersion: example.org/v1\nkind: Thing\nmetadata:\n  name: t\n",
        )],
    );
    bed.sandbox.refresh("n").await.unwrap();
    let retrying =
        |a: &Value| json::text(a, "/status/operationState/message").contains("Retrying attempt #1");
    app(&bed, 5, retrying).await;
    bed.push("n", &[("app/crd.yml", ""), ("app/web.yml", &web("2"))]);
    bed.sandbox.refresh("n").await.unwrap();
    let admin = bed.argocd("UNSHIP_WORLD_ADMIN_ARGOCD_TOKEN");
    let busy = admin
        .post("/api/v1/applications/n/sync", &none())
        .await
        .json();
    assert_eq!(busy["error"], "another operation is already in progress");
    let end = admin
        .send(
            "DELETE",
            "/api/v1/applications/n/operation",
            "application/json",
            "",
        )
        .await;
    assert_eq!(end.unwrap().code, 200);
    bed.rolled_out("n", "2").await;
}

#[tokio::test]
async fn broken_sources_become_comparison_errors() {
    let bed = Bed::with_app("n", &[("app/web.yml", &web("1"))], none()).await;
    bed.rolled_out("n", "1").await;
    let broken = "apiVersion: v1\nkind: Service\nmetadata:\n  name: [\n";
    let commit = bed.push("n", &[("app/x.yml", broken)]);
    bed.sandbox.refresh("n").await.unwrap();
    let unknown = app(&bed, 5, |a| sync_of(a) == "Unknown").await;
    assert!(conditions(&unknown).contains("ComparisonError"));
    assert!(conditions(&unknown).contains("x.yml"));
    assert_eq!(unknown["status"]["sync"]["revision"], json!(commit));
    bed.push("n", &[("app/x.yml", "")]);
    bed.sandbox.refresh("n").await.unwrap();
    app(&bed, 5, |a| sync_of(a) == "Synced").await;
}

#[tokio::test]
async fn the_token_alone_shows_the_cluster() {
    let bed = Bed::with_app("n", &[("app/web.yml", &web("1"))], none()).await;
    let first = bed.rolled_out("n", "1").await;
    app(&bed, 5, |a| sync_of(a) == "Synced").await;
    let devpod = bed.argocd("ARGOCD_AUTH_TOKEN");
    let tree = devpod
        .get("/api/v1/applications/n/resource-tree")
        .await
        .json();
    let nodes = json::list(&tree, "/nodes");
    let find = |kind: &str| nodes.iter().find(|n| n["kind"] == kind).unwrap();
    assert_eq!(find("Deployment")["uid"], first["metadata"]["uid"]);
    assert_eq!(find("ReplicaSet")["info"][0]["value"], "Rev:1");
    assert_eq!(find("Pod")["parentRefs"][0]["kind"], "ReplicaSet");
    let set_name = json::text(find("ReplicaSet"), "/name");
    let path = format!(
        "/api/v1/applications/n/resource?group=apps&version=v1&kind=ReplicaSet&namespace=n&resourceName={set_name}"
    );
    let manifest = devpod.get(&path).await.json();
    let live: Value = serde_json::from_str(json::text(&manifest, "/manifest")).unwrap();
    assert_eq!(live["kind"], "ReplicaSet");
    let side = Commit {
        author: Author {
            name: "T",
            email: "t@example.org",
        },
        message: "side\n",
        time: 0,
        files: vec![("app/web.yml", Some(web("5")))],
    };
    let commit = bed.sandbox.commit("n", "side", &side).unwrap();
    let rendered = devpod
        .get(&format!(
            "/api/v1/applications/n/manifests?revision={commit}"
        ))
        .await
        .json();
    assert!(
        rendered["manifests"]
            .to_string()
            .contains("example.org/web:5")
    );
    let managed = devpod
        .get("/api/v1/applications/n/managed-resources?kind=Deployment")
        .await
        .json();
    assert!(json::text(&managed, "/items/0/targetState").contains("example.org/web:1"));
    let listed = devpod
        .get("/api/v1/applications?fields=items.metadata.name")
        .await
        .json();
    assert_eq!(listed["items"], json!([{"metadata": {"name": "n"}}]));
}

#[tokio::test]
async fn a_skipped_application_is_left_alone() {
    let more = json!({"metadata": {"annotations": {"argocd.argoproj.io/skip-reconcile": "true"}}});
    let bed = Bed::with_app("n", &[("app/web.yml", &web("1"))], more).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let app = bed
        .sandbox
        .get("argoproj.io", "Application", "argocd", "n")
        .unwrap();
    assert!(app.get("status").is_none());
}

#[tokio::test]
async fn stale_answers_show_an_earlier_state() {
    let bed = Bed::with_app("n", &[("app/web.yml", &web("1"))], none()).await;
    bed.rolled_out("n", "1").await;
    let old = app(&bed, 5, |a| sync_of(a) == "Synced").await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let commit = bed.push("n", &[("app/web.yml", &web("2"))]);
    bed.sandbox.refresh("n").await.unwrap();
    let fault = Fault {
        surface: Surface::Argocd,
        method: None,
        path: "applications/n$".to_owned(),
        skip: 0,
        times: Some(1),
        effect: Effect::StaleMs(500),
    };
    bed.sandbox.faults().plant(fault).unwrap();
    let devpod = bed.argocd("ARGOCD_AUTH_TOKEN");
    let stale = devpod.get("/api/v1/applications/n").await.json();
    assert_eq!(
        stale["status"]["sync"]["revision"],
        old["status"]["sync"]["revision"]
    );
    let now = devpod.get("/api/v1/applications/n").await.json();
    assert_eq!(now["status"]["sync"]["revision"], json!(commit));
}

#[tokio::test]
async fn an_application_with_the_finalizer_takes_its_resources_along() {
    let more = json!({"metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]}});
    let bed = Bed::with_app("n", &[("app/web.yml", &web("1"))], more).await;
    bed.rolled_out("n", "1").await;
    let path = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/n";
    assert_eq!(
        bed.admin().send("DELETE", path, "", "").await.unwrap().code,
        200
    );
    let limit = std::time::Instant::now() + Duration::from_secs(5);
    while bed.sandbox.get("apps", "Deployment", "n", "web").is_some() {
        assert!(
            std::time::Instant::now() < limit,
            "the Deployment is still there"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(bed.admin().get(path).await.code, 404);
}

#[tokio::test]
async fn zero_values_and_quantities_make_no_difference() {
    let odd = web("1").replace(
        "      containers:\n",
        "      nodeSelector: {}\n      hostNetwork: false\n      containers:\n",
    );
    let odd = odd.replace(
        "          ports: [{name",
        "          resources: {limits: {cpu: 0.1, memory: 1024Mi}}\n          ports: [{name",
    );
    let odd = odd.replace("  replicas: 1\n", "  replicas: 1\n  paused: false\n");
    let bed = Bed::with_app("n", &[("app/web.yml", &odd)], none()).await;
    let live = bed.rolled_out("n", "1").await;
    let limits = &live["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"];
    assert_eq!(limits, &json!({"cpu": "100m", "memory": "1Gi"}));
    assert!(live["spec"].get("paused").is_none());
    app(&bed, 5, |a| sync_of(a) == "Synced").await;
}

#[tokio::test]
async fn reads_that_need_no_application() {
    let bed = Bed::with_app("n", &[("app/web.yml", &web("1"))], none()).await;
    bed.rolled_out("n", "1").await;
    let devpod = bed.argocd("ARGOCD_AUTH_TOKEN");
    let nobody = Client {
        token: String::new(),
        ..bed.argocd("ARGOCD_AUTH_TOKEN")
    };
    assert!(nobody.get("/api/version").await.json()["Version"].is_string());
    let who = devpod.get("/api/v1/session/userinfo").await.json();
    assert_eq!(
        (who["loggedIn"].as_bool(), who["username"].as_str()),
        (Some(true), Some("devpod"))
    );
    assert!(
        nobody
            .get("/api/v1/session/userinfo")
            .await
            .json()
            .get("loggedIn")
            .is_none()
    );
    let settings = devpod.get("/api/v1/settings").await.json();
    assert_eq!(settings["trackingMethod"], "annotation");
    let projects = devpod.get("/api/v1/projects/default").await.json();
    assert_eq!(projects["metadata"]["name"], "default");
    assert_eq!(devpod.get("/api/v1/projects/nope").await.code, 404);
    let commit =
        app(&bed, 5, |a| sync_of(a) == "Synced").await["status"]["sync"]["revision"].clone();
    let path = format!(
        "/api/v1/applications/n/revisions/{}/metadata",
        commit.as_str().unwrap()
    );
    let metadata = devpod.get(&path).await.json();
    assert_eq!(metadata["author"], "T <t@example.org>");
    assert_eq!(metadata["message"], "change\n");
    let names = async |query: &str| {
        let listed = devpod
            .get(&format!("/api/v1/applications?{query}"))
            .await
            .json();
        json::list(&listed, "/items").len()
    };
    let url = format!("{}/n.git", bed.sandbox.git_url());
    assert_eq!(names(&format!("repo={url}")).await, 1);
    assert_eq!(names("repo=http://other/n.git").await, 0);
    assert_eq!(names("projects=default&name=n").await, 1);
    assert_eq!(names("projects=other").await, 0);
}
