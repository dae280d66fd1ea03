//! Writes to the Kubernetes API: dry runs, JSON Patch, scale, admission.

use super::kubernetes::{DEPLOYMENT, bed_with};
use super::*;

const SCALE: &str = "/apis/apps/v1/namespaces/n/deployments/web/scale";
const REFUSED: &str = "the server rejected our request due to an error in our request";

fn message(reply: &Reply) -> String {
    json::text(&reply.json(), "/message").to_owned()
}

fn to_tag(live: &Value, tag: &str) -> Value {
    let mut template = live["spec"]["template"].clone();
    template["spec"]["containers"][0]["image"] = json!(format!("example.org/web:{tag}"));
    json!([
        {"op": "test", "path": "/metadata/uid", "value": live["metadata"]["uid"]},
        {"op": "test", "path": "/metadata/generation", "value": live["metadata"]["generation"]},
        {"op": "replace", "path": "/spec/template", "value": template},
    ])
}

fn managers(object: &Value, subresource: &str) -> Vec<String> {
    json::list(object, "/metadata/managedFields")
        .iter()
        .filter(|entry| json::text(entry, "/subresource") == subresource)
        .map(|entry| json::text(entry, "/manager").to_owned())
        .collect()
}

#[tokio::test]
async fn a_dry_run_goes_all_the_way_and_stores_nothing() {
    let bed = bed_with("1").await;
    let live = bed.rolled_out("n", "1").await;
    let admin = bed.admin();
    let dry = format!("{DEPLOYMENT}?dryRun=All&fieldManager=unship");
    let reply = admin.patch(&dry, "json-patch", &to_tag(&live, "2")).await;
    assert_eq!(reply.code, 200, "{}", reply.text);
    let shown = reply.json();
    assert_eq!(
        shown["spec"]["template"]["spec"]["containers"][0]["image"],
        "example.org/web:2"
    );
    assert_eq!(shown["metadata"]["generation"], 2);
    assert_eq!(
        shown["metadata"]["resourceVersion"],
        live["metadata"]["resourceVersion"]
    );
    assert!(managers(&shown, "").contains(&"unship".to_owned()));
    let now = bed.sandbox.get("apps", "Deployment", "n", "web").unwrap();
    assert_eq!(now, live, "nothing is stored");
    // It meets the refusals of the real thing.
    let stale = json!({"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 2}});
    assert_eq!(admin.patch(&dry, "merge-patch", &stale).await.code, 409);
    let moved = json!({"spec": {"selector": {"matchLabels": {"app": "other"}}}});
    assert_eq!(admin.patch(&dry, "merge-patch", &moved).await.code, 422);
    let scaled = admin
        .patch(
            &format!("{SCALE}?dryRun=All"),
            "merge-patch",
            &json!({"spec": {"replicas": 0}}),
        )
        .await;
    assert_eq!(scaled.json()["spec"], json!({}));
    let made = json!({"metadata": {"name": "c"}, "data": {}});
    let configs = "/api/v1/namespaces/n/configmaps";
    let reply = admin.post(&format!("{configs}?dryRun=All"), &made).await;
    assert_eq!(reply.code, 201);
    assert!(reply.json()["metadata"]["uid"].is_string());
    assert_eq!(admin.get(&format!("{configs}/c")).await.code, 404);
    let now = bed.sandbox.get("apps", "Deployment", "n", "web").unwrap();
    assert_eq!(now, live);
    let odd = admin
        .patch(
            &format!("{DEPLOYMENT}?dryRun=server"),
            "merge-patch",
            &json!({}),
        )
        .await;
    assert_eq!(odd.code, 422);
    assert_eq!(
        message(&odd),
        "PatchOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"server\"]: \
         supported values: \"All\""
    );
}

#[tokio::test]
async fn a_patch_whose_tests_fail_changes_nothing() {
    let bed = bed_with("1").await;
    let live = bed.rolled_out("n", "1").await;
    let admin = bed.admin();
    let path = format!("{DEPLOYMENT}?fieldManager=unship");
    let good = admin.patch(&path, "json-patch", &to_tag(&live, "2")).await;
    assert_eq!(good.code, 200, "{}", good.text);
    assert!(managers(&good.json(), "").contains(&"unship".to_owned()));
    // The generation is another one now.
    let again = admin.patch(&path, "json-patch", &to_tag(&live, "3")).await;
    assert_eq!((again.code, message(&again).as_str()), (422, REFUSED));
    assert_eq!(again.json()["reason"], "Invalid");
    assert_eq!(
        again.json()["details"],
        json!({}),
        "the cause is kept to itself"
    );
    bed.rolled_out("n", "2").await;
    for (patch, code, words) in [
        (
            json!([{"op": "remove", "path": "/spec/nothing"}]),
            422,
            REFUSED,
        ),
        (
            json!({"op": "add", "path": "/spec/paused", "value": true}),
            400,
            "error decoding patch: json: cannot unmarshal object",
        ),
        (
            json!([{"op": "replace", "path": "/metadata/name", "value": "x"}]),
            400,
            "the name of the object (x) does not match the name on the URL (web)",
        ),
        (
            json!([{"op": "replace", "path": "/metadata/namespace", "value": "x"}]),
            400,
            "the namespace of the provided object does not match",
        ),
    ] {
        let reply = admin.patch(&path, "json-patch", &patch).await;
        assert_eq!(reply.code, code, "{patch}");
        assert!(message(&reply).starts_with(words), "{}", reply.text);
    }
    let gone = DEPLOYMENT.replace("web", "gone");
    assert_eq!(admin.patch(&gone, "json-patch", &json!([])).await.code, 404);
}

#[tokio::test]
async fn invalid_fields_are_named_as_causes() {
    let bed = bed_with("1").await;
    let moved = json!({"spec": {"selector": {"matchLabels": {"app": "other"}},
        "template": {"metadata": {"labels": {"app": "other"}}}}});
    let reply = bed.admin().patch(DEPLOYMENT, "merge-patch", &moved).await;
    assert_eq!(reply.code, 422);
    assert_eq!(
        reply.json()["details"]["causes"],
        json!([{"reason": "FieldValueInvalid", "field": "spec.selector",
            "message": "Invalid value: {\"matchLabels\":{\"app\":\"other\"}}: field is immutable"}])
    );
    let mut set = manifests::parse_all(&web("1")).unwrap().remove(0);
    set["kind"] = json!("StatefulSet");
    set["spec"]["serviceName"] = json!("web");
    set["spec"]
        .as_object_mut()
        .unwrap()
        .remove("progressDeadlineSeconds");
    let sets = "/apis/apps/v1/namespaces/n/statefulsets";
    assert_eq!(bed.admin().post(sets, &set).await.code, 201);
    let one = format!("{sets}/web");
    let scaled = json!({"spec": {"replicas": 2, "minReadySeconds": 1}});
    let good = bed.admin().patch(&one, "merge-patch", &scaled).await;
    assert_eq!(good.code, 200, "{}", good.text);
    let renamed = json!({"spec": {"serviceName": "other"}});
    let reply = bed.admin().patch(&one, "merge-patch", &renamed).await;
    assert_eq!(reply.code, 422);
    assert!(
        message(&reply).starts_with(
            "StatefulSet.apps \"web\" is invalid: spec: Forbidden: updates to statefulset spec for \
             fields other than 'replicas'"
        ),
        "{}",
        reply.text
    );
}

#[tokio::test]
async fn a_scale_is_tested_and_changed_through_its_subresource() {
    let bed = bed_with("1").await;
    let live = bed.rolled_out("n", "1").await;
    let admin = bed.admin();
    let uid = live["metadata"]["uid"].clone();
    let change = |from: Value, to: i64| {
        json!([
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "test", "path": "/spec/replicas", "value": from},
            {"op": "add", "path": "/spec/replicas", "value": to},
        ])
    };
    let path = format!("{SCALE}?fieldManager=unship");
    let down = admin.patch(&path, "json-patch", &change(json!(1), 0)).await;
    assert_eq!(down.code, 200, "{}", down.text);
    assert_eq!(
        (down.json()["kind"].clone(), down.json()["spec"].clone()),
        (json!("Scale"), json!({})),
        "zero is left out"
    );
    let place = ("apps", "Deployment", "n", "web");
    let none = |d: &Value| {
        d["spec"]["replicas"] == 0
            && d["status"]["observedGeneration"] == 2
            && d["status"].get("replicas").is_none()
    };
    let scaled = bed
        .sandbox
        .wait_for(place, Duration::from_secs(5), none)
        .await
        .unwrap();
    // 0 is left out of a Scale, so it is nobody's field, as on a real server.
    assert!(managers(&scaled, "scale").is_empty());
    for (patch, code) in [
        (change(json!(1), 2), 422),
        (change(json!(0), 2), 422),
        (
            json!([{"op": "add", "path": "/spec/replicas", "value": -1}]),
            422,
        ),
        (
            json!([{"op": "add", "path": "/spec/replicas", "value": "2"}]),
            422,
        ),
        (
            json!([{"op": "replace", "path": "/metadata/uid", "value": "x"}]),
            409,
        ),
        (
            json!([{"op": "replace", "path": "/metadata/name", "value": "x"}]),
            400,
        ),
    ] {
        let reply = admin.patch(&path, "json-patch", &patch).await;
        assert_eq!(reply.code, code, "{patch}: {}", reply.text);
    }
    let negative = json!({"spec": {"replicas": -1}});
    let reply = admin.patch(SCALE, "merge-patch", &negative).await;
    assert_eq!(
        message(&reply),
        "Scale.autoscaling \"web\" is invalid: spec.replicas: Invalid value: -1: must be greater \
         than or equal to 0"
    );
    let up = admin
        .patch(&path, "json-patch", &change(Value::Null, 2))
        .await;
    assert_eq!(up.json()["spec"], json!({"replicas": 2}), "{}", up.text);
    let sets = "/apis/apps/v1/namespaces/n/daemonsets/web/scale";
    assert_eq!(admin.patch(sets, "json-patch", &json!([])).await.code, 404);
}

#[tokio::test]
async fn the_right_to_scale_is_not_the_right_to_change() {
    let bed = bed_with("1").await;
    let group = "rbac.authorization.k8s.io";
    for object in [
        json!({"apiVersion": format!("{group}/v1"), "kind": "Role",
            "metadata": {"name": "web-scaler", "namespace": "n"}, "rules": [
                {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["patch"],
                 "resourceNames": ["web"]}]}),
        json!({"apiVersion": format!("{group}/v1"), "kind": "RoleBinding",
            "metadata": {"name": "web-scaler", "namespace": "n"},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "web-scaler"},
            "subjects": [{"kind": "ServiceAccount", "name": "devpod-observer", "namespace": "devpod"}]}),
    ] {
        bed.sandbox.create(object).unwrap();
    }
    let observer = bed.observer();
    let two = json!([{"op": "add", "path": "/spec/replicas", "value": 2}]);
    assert_eq!(observer.patch(SCALE, "json-patch", &two).await.code, 200);
    assert_eq!(
        observer.patch(DEPLOYMENT, "json-patch", &two).await.code,
        403
    );
    let ask = |name: &'static str| {
        let body = json!({"spec": {"resourceAttributes": {"verb": "patch", "group": "apps",
            "resource": "deployments", "subresource": "scale", "namespace": "n", "name": name}}});
        let observer = bed.observer();
        async move {
            let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
            observer.post(path, &body).await.json()["status"]["allowed"] == true
        }
    };
    assert!(ask("web").await);
    assert!(!ask("other").await && !ask("").await);
}

#[tokio::test]
async fn a_planted_denial_speaks_as_admission_does() {
    let bed = bed_with("1").await;
    let fault = Fault {
        surface: Surface::Kubernetes,
        method: None,
        path: "/deployments/".to_owned(),
        skip: 0,
        times: None,
        effect: Effect::Deny("admission webhook \"w\" denied the request: only signed".to_owned()),
    };
    bed.sandbox.faults().plant(fault).unwrap();
    let reply = bed
        .admin()
        .patch(DEPLOYMENT, "merge-patch", &json!({}))
        .await;
    assert_eq!(
        (reply.code, message(&reply).as_str()),
        (
            403,
            "deployments.apps \"web\" is forbidden: admission webhook \"w\" denied the request: \
             only signed"
        )
    );
    assert_eq!(bed.admin().get(DEPLOYMENT).await.code, 200);
    let reply = bed
        .observer()
        .patch(DEPLOYMENT, "merge-patch", &json!({}))
        .await;
    assert!(message(&reply).contains("cannot patch resource"));
}
