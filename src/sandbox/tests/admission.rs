//! Writes by identities with some rights: dry runs, the scale subresource, admission.

use super::*;

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/n/deployments/web";

async fn bed(labels: Value) -> Bed {
    let bed = Bed::start().await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "n", "labels": labels}});
    bed.sandbox.create(namespace).unwrap();
    let mut object = manifests::parse_all(&web("1")).unwrap().remove(0);
    object["metadata"]["namespace"] = json!("n");
    bed.sandbox.create(object).unwrap();
    bed.rolled_out("n", "1").await;
    bed
}

fn live(bed: &Bed) -> Value {
    bed.sandbox.get("apps", "Deployment", "n", "web").unwrap()
}

#[tokio::test]
async fn a_dry_run_answers_as_the_write_would_and_stores_nothing() {
    let bed = bed(json!({})).await;
    let deployer = bed.kubernetes("UNSHIP_WORLD_DEPLOYER_KUBECONFIG");
    let before = live(&bed);
    let path = format!("{DEPLOYMENT}?dryRun=All&fieldManager=unship");
    let uid = before["metadata"]["uid"].clone();
    let patch = json!([
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "i:2"}]);
    let tried = deployer.patch(&path, "json-patch", &patch).await;
    assert_eq!(tried.code, 200, "{}", tried.text);
    let tried = tried.json();
    assert_eq!(
        tried["spec"]["template"]["spec"]["containers"][0]["image"],
        "i:2"
    );
    assert_eq!(tried["metadata"]["generation"], 2, "as it would be");
    let version = &before["metadata"]["resourceVersion"];
    assert_eq!(tried["metadata"]["resourceVersion"], *version);
    assert!(
        tried["metadata"]["managedFields"]
            .to_string()
            .contains("unship")
    );
    let stale = json!({"metadata": {"resourceVersion": "1"}, "spec": {"paused": true}});
    let refused = deployer.patch(&path, "merge-patch", &stale).await;
    assert_eq!(refused.code, 409, "a dry run has the same preconditions");
    assert_eq!(live(&bed), before, "nothing is stored");
}

#[tokio::test]
async fn the_scale_subresource_is_a_right_of_its_own() {
    let bed = bed(json!({})).await;
    let scaler = bed.kubernetes("UNSHIP_WORLD_SCALER_KUBECONFIG");
    let two = json!({"spec": {"replicas": 2}});
    let refused = scaler.patch(DEPLOYMENT, "merge-patch", &two).await;
    assert_eq!(refused.code, 403, "{}", refused.text);
    let path = format!("{DEPLOYMENT}/scale?fieldManager=unship");
    let dry = scaler
        .patch(&format!("{path}&dryRun=All"), "merge-patch", &two)
        .await;
    assert_eq!(
        (dry.code, &dry.json()["spec"]["replicas"]),
        (200, &json!(2))
    );
    assert_eq!(live(&bed)["spec"]["replicas"], 1);
    let done = scaler.patch(&path, "merge-patch", &two).await;
    assert_eq!((done.code, &done.json()["kind"]), (200, &json!("Scale")));
    let now = live(&bed);
    assert_eq!(now["spec"]["replicas"], 2);
    let entries = now["metadata"]["managedFields"].as_array().unwrap();
    let own = entries.iter().find(|e| e["manager"] == "unship").unwrap();
    assert_eq!(own["subresource"], "scale");
    assert_eq!(own["fieldsV1"], json!({"f:spec": {"f:replicas": {}}}));
}

#[tokio::test]
async fn admission_denies_devpods_and_spares_the_others() {
    let bed = bed(json!({"unship.test/deny-patch": "true"})).await;
    let pause = json!({"spec": {"paused": true}});
    for (variable, path, code) in [
        (
            "UNSHIP_WORLD_DEPLOYER_KUBECONFIG",
            DEPLOYMENT.to_owned(),
            422,
        ),
        (
            "UNSHIP_WORLD_OPERATOR_KUBECONFIG",
            format!("{DEPLOYMENT}?dryRun=All"),
            422,
        ),
        ("UNSHIP_WORLD_ADMIN_KUBECONFIG", DEPLOYMENT.to_owned(), 200),
    ] {
        let reply = bed
            .kubernetes(variable)
            .patch(&path, "merge-patch", &pause)
            .await;
        assert_eq!(reply.code, code, "{variable}: {}", reply.text);
    }
}

#[tokio::test]
async fn an_autoscaler_has_limits_that_make_sense() {
    let bed = bed(json!({})).await;
    let path = "/apis/autoscaling/v2/namespaces/n/horizontalpodautoscalers";
    let hpa = |max: i64| {
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web"}, "spec": {"minReplicas": 2, "maxReplicas": max,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}})
    };
    assert_eq!(bed.admin().post(path, &hpa(1)).await.code, 422);
    assert_eq!(bed.admin().post(path, &hpa(5)).await.code, 201);
    let seen = bed.observer().get(path).await.json();
    assert_eq!(
        seen["items"][0]["spec"]["metrics"][0]["resource"]["name"],
        "cpu"
    );
}
