//! What is changed through Argo CD's API, and who may.

use super::argocd::{MANUAL, app, check, none, sync_of};
use super::*;

const APP: &str = "/api/v1/applications/n";

fn config(value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n  key: \"{value}\"\n")
}

fn admin(bed: &Bed) -> Client {
    bed.argocd("UNSHIP_WORLD_ADMIN_ARGOCD_TOKEN")
}

fn syncer(bed: &Bed) -> Client {
    Client {
        token: bed.sandbox.argocd_token("ci", Role::Sync),
        ..bed.argocd("ARGOCD_AUTH_TOKEN")
    }
}

async fn idle(bed: &Bed) -> Value {
    app(bed, 5, |a| {
        a.get("operation").is_none() && a["status"]["operationState"]["phase"] == "Succeeded"
    })
    .await
}

#[tokio::test]
async fn a_sync_can_be_limited_to_one_resource() {
    let files = [("app/web.yml", &*web("1")), ("app/c.yml", &config("1"))];
    let bed = Bed::with_app("n", &files, MANUAL()).await;
    app(&bed, 5, |a| sync_of(a) == "OutOfSync").await;
    let sync = format!("{APP}/sync");
    assert_eq!(syncer(&bed).post(&sync, &none()).await.code, 200);
    bed.rolled_out("n", "1").await;
    idle(&bed).await;
    let next = [("app/web.yml", &*web("2")), ("app/c.yml", &config("2"))];
    let commit = bed.push("n", &next);
    bed.sandbox.refresh("n").await.unwrap();
    let limited = json!({"name": "n", "resources": [
        {"group": "apps", "kind": "Deployment", "namespace": "n", "name": "web"}]});
    let started = syncer(&bed).post(&sync, &limited).await.json();
    assert_eq!(started["operation"]["sync"]["revision"], json!(commit));
    assert_eq!(
        started["operation"]["sync"]["source"],
        started["spec"]["source"]
    );
    bed.rolled_out("n", "2").await;
    let after = idle(&bed).await;
    let live = bed.sandbox.get("", "ConfigMap", "n", "c").unwrap();
    assert_eq!(live["data"]["key"], "1", "the other object is left alone");
    let results = json::list(&after, "/status/operationState/syncResult/resources");
    assert_eq!(results.len(), 1);
    assert_eq!(
        json::list(&after, "/status/history").len(),
        1,
        "a partial sync is no history"
    );
    let seen = app(&bed, 5, |a| {
        json::list(a, "/status/resources")
            .iter()
            .any(|r| r["kind"] == "Deployment" && r["status"] == "Synced")
    })
    .await;
    assert_eq!(sync_of(&seen), "OutOfSync");
}

#[tokio::test]
async fn a_patch_takes_over_the_spec_and_no_state() {
    let bed = Bed::with_app("n", &[("app/web.yml", &web("1"))], none()).await;
    bed.rolled_out("n", "1").await;
    let before = idle(&bed).await;
    let patch = |operations: Value| json!({"name": "n", "patch": operations.to_string(), "patchType": "json"});
    let uid = &before["metadata"]["uid"];
    let suspend = json!([
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "test", "path": "/spec/syncPolicy/automated/selfHeal", "value": true},
        {"op": "remove", "path": "/spec/syncPolicy/automated"},
        {"op": "add", "path": "/metadata/annotations", "value": {"unship/run": "1"}},
        {"op": "replace", "path": "/status/sync/status", "value": "Unknown"},
        {"op": "add", "path": "/operation", "value": {"sync": {}}},
    ]);
    let send = async |client: Client, body: Value| {
        let body = body.to_string();
        let reply = client.send("PATCH", APP, "application/json", &body).await;
        reply.unwrap()
    };
    let denied = "permission denied: applications, update, default/n, sub: ci, iat: ";
    check(
        &send(syncer(&bed), patch(suspend.clone())).await,
        403,
        7,
        denied,
    );
    let reply = send(admin(&bed), patch(suspend.clone())).await;
    assert_eq!(reply.code, 200, "{}", reply.text);
    let after = reply.json();
    assert!(after["spec"]["syncPolicy"].get("automated").is_none());
    assert_eq!(after["metadata"]["annotations"]["unship/run"], "1");
    assert_eq!(after["status"]["sync"]["status"], "Synced");
    assert!(after.get("operation").is_none());
    let again = send(admin(&bed), patch(suspend)).await;
    let failed = "error applying patch: test operation does not apply: is missing path: \
                  /spec/syncPolicy/automated/selfHeal";
    check(&again, 500, 2, failed);
    let other = patch(json!([{"op": "test", "path": "/metadata/uid", "value": "x"}]));
    let failed = "error applying patch: testing value /metadata/uid failed: test failed";
    check(&send(admin(&bed), other).await, 500, 2, failed);
    let odd = json!({"name": "n", "patch": "{", "patchType": "json"});
    check(
        &send(admin(&bed), odd).await,
        500,
        2,
        "error decoding json patch: ",
    );
    let odd = json!({"name": "n", "patch": "[]", "patchType": "yaml"});
    check(&send(admin(&bed), odd).await, 400, 3, "Patch type 'yaml'");
    // With automated sync off a rollback is possible again.
    let back = json!({"name": "n", "id": 0});
    let rollback = format!("{APP}/rollback");
    check(
        &bed.argocd("ARGOCD_AUTH_TOKEN").post(&rollback, &back).await,
        403,
        7,
        "permission denied",
    );
    let started = syncer(&bed).post(&rollback, &back).await;
    assert_eq!(started.code, 200, "{}", started.text);
    assert!(
        started.json()["status"].get("operationState").is_none(),
        "the last state goes at once"
    );
    app(&bed, 5, |a| json::list(a, "/status/history").len() == 2).await;
}

#[tokio::test]
async fn a_termination_needs_sync_and_an_operation() {
    let first = web("1-never").replace(
        "  name: web\nspec:\n  replicas",
        "  name: web\n  annotations:\n    argocd.argoproj.io/sync-wave: \"-1\"\nspec:\n  replicas",
    );
    let bed = Bed::with_app("n", &[("app/web.yml", &first)], none()).await;
    let waits =
        |a: &Value| json::text(a, "/status/operationState/message").starts_with("waiting for");
    app(&bed, 5, waits).await;
    let end = async |client: Client, query: &str| {
        let path = format!("{APP}/operation{query}");
        let reply = client.send("DELETE", &path, "application/json", "").await;
        reply.unwrap()
    };
    let devpod = || bed.argocd("ARGOCD_AUTH_TOKEN");
    check(&end(devpod(), "").await, 403, 7, "permission denied");
    check(
        &end(devpod(), "?project=default").await,
        403,
        7,
        "permission denied",
    );
    check(
        &end(syncer(&bed), "?project=other").await,
        404,
        5,
        "applications.argoproj.io \"n\" not found",
    );
    let ended = end(syncer(&bed), "?project=default&appNamespace=argocd").await;
    assert_eq!(ended.code, 200, "{}", ended.text);
    let over = app(&bed, 5, |a| {
        a["status"]["operationState"]["phase"] == "Failed"
    })
    .await;
    assert_eq!(
        over["status"]["operationState"]["message"],
        "Operation terminated"
    );
}

#[tokio::test]
async fn what_a_body_does_not_say_a_query_does_not_add() {
    let more = json!({"spec": {"syncPolicy": {"automated": null, "retry": {"limit": 3}}}});
    let bed = Bed::with_app("n", &[("app/web.yml", &web("1"))], more).await;
    app(&bed, 5, |a| sync_of(a) == "OutOfSync").await;
    let wrong = format!("{APP}/sync?appNamespace=nowhere&dryRun=true");
    let started = admin(&bed).post(&wrong, &json!({"name": "n"})).await;
    assert_eq!(started.code, 200, "{}", started.text);
    assert_eq!(
        started.json()["operation"]["retry"]["limit"],
        3,
        "the Application's own retries hold"
    );
    bed.rolled_out("n", "1").await;
    let elsewhere = json!({"name": "n", "appNamespace": "nowhere"});
    let denied = admin(&bed).post(&format!("{APP}/sync"), &elsewhere).await;
    check(&denied, 403, 7, "permission denied");
}
