use super::super::fake::Fake;
use super::*;
use serde_json::json;

fn key() -> ApplicationKey {
    ApplicationKey {
        name: "mcp".to_owned(),
        app_namespace: "argocd".to_owned(),
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

async fn answering(body: Value) -> Fake {
    Fake::start(move |_, _| (200, body.to_string())).await
}

const BELOW: &str = "/api/v1/applications/mcp";
const ASKED: &str = "appNamespace=argocd&project=default";

#[tokio::test]
async fn version_and_account() {
    let fake = answering(json!({"Version": "v3.2.11"})).await;
    assert_eq!(fake.client().api_version().await.unwrap(), "v3.2.11");
    assert_eq!(fake.seen()[0].uri, "/api/version");
    let fake = answering(json!({"version": "1"})).await;
    assert!(matches!(
        fake.client().api_version().await,
        Err(Error::Invalid { .. })
    ));
    let fake = answering(json!({"loggedIn": true, "username": "devpod", "iss": "argocd"})).await;
    let info = fake.client().userinfo().await.unwrap();
    assert!(info.logged_in && info.username == "devpod");
    let fake = answering(json!({})).await;
    assert!(!fake.client().userinfo().await.unwrap().logged_in);
}

#[tokio::test]
async fn rights_are_yes_no_or_unknown() {
    for (code, body, expected) in [
        (200, json!({"value": "yes"}), Allowed::Allowed),
        (200, json!({"value": "no"}), Allowed::Denied),
        (200, json!({"value": "maybe"}), Allowed::Unknown),
        (200, json!({}), Allowed::Unknown),
        (
            403,
            json!({"code": 7, "message": "permission denied"}),
            Allowed::Unknown,
        ),
        (500, json!({"code": 2, "message": "x"}), Allowed::Unknown),
    ] {
        let text = body.to_string();
        let fake = Fake::start(move |_, _| (code, text.clone())).await;
        let answer = fake
            .client()
            .can_i("applications", "sync", "default/mcp")
            .await;
        assert_eq!(answer.allowed, expected, "{body}");
        assert_eq!(answer.right, "sync applications default/mcp in Argo CD");
        assert!(!answer.reason.is_empty());
        let uri = "/api/v1/account/can-i/applications/sync/default/mcp";
        assert_eq!(fake.seen()[0].uri, uri);
    }
}

#[tokio::test]
async fn lists_of_applications() {
    let fake = answering(json!({"items": [{"metadata": {"name": "a"}}]})).await;
    let filter = ApplicationFilter {
        repo: "https://h/r.git".to_owned(),
        project: "p".to_owned(),
        ..ApplicationFilter::default()
    };
    let apps = fake.client().applications(&filter).await.unwrap();
    assert_eq!(apps[0].name, "a");
    let uri = "/api/v1/applications?repo=https%3A%2F%2Fh%2Fr.git&projects=p";
    assert_eq!(fake.seen()[0].uri, uri);
    let none = json!({"items": null, "metadata": {}});
    let all = ApplicationFilter::default();
    assert!(
        answering(none)
            .await
            .client()
            .applications(&all)
            .await
            .unwrap()
            .is_empty()
    );
    for odd in [
        json!({}),
        json!({"items": 1}),
        json!({"items": [{}]}),
        json!({"pods": []}),
    ] {
        let found = answering(odd.clone())
            .await
            .client()
            .applications(&all)
            .await;
        assert!(matches!(found, Err(Error::Invalid { .. })), "{odd}");
    }
}

#[tokio::test]
async fn one_application_and_its_tree() {
    let fake = answering(json!({"metadata": {"name": "mcp"}})).await;
    fake.client()
        .application(&key(), Refresh::None)
        .await
        .unwrap();
    assert_eq!(
        fake.seen()[0].uri,
        format!("{BELOW}?{ASKED}"),
        "no refresh unless asked for"
    );
    let fake = answering(json!({"nodes": [{"kind": "Pod", "name": "p", "uid": "u"}]})).await;
    let nodes = fake.client().resource_tree(&key()).await.unwrap();
    assert_eq!(nodes[0].uid, "u");
    assert_eq!(fake.seen()[0].uri, format!("{BELOW}/resource-tree?{ASKED}"));
}

#[tokio::test]
async fn projects_inherit_windows() {
    let window = |schedule: &str| json!({"kind": "deny", "schedule": schedule, "duration": "1h"});
    let project = |name: &str, schedule: &str| json!({"metadata": {"name": name}, "spec": {"syncWindows": [window(schedule)]}});
    let fake = answering(json!({"project": project("p", "1 * * * *"),
        "globalProjects": [project("g", "2 * * * *")]}))
    .await;
    let found = fake.client().project("p").await.unwrap();
    let schedules: Vec<&str> = found
        .sync_windows
        .iter()
        .map(|w| w.schedule.as_str())
        .collect();
    assert_eq!(
        (found.name.as_str(), schedules),
        ("p", vec!["1 * * * *", "2 * * * *"])
    );
    let plain = project("p", "1 * * * *").to_string();
    let fake = Fake::start(move |_, uri| {
        if uri.ends_with("/detailed") {
            (404, "404 page not found".to_owned())
        } else {
            (200, plain.clone())
        }
    })
    .await;
    assert_eq!(
        fake.client().project("p").await.unwrap().sync_windows.len(),
        1
    );
    assert_eq!(fake.seen()[1].uri, "/api/v1/projects/p");
}

#[tokio::test]
async fn settings_and_windows() {
    let fake = answering(json!({"trackingMethod": "annotation", "appLabelKey": "l",
        "controllerNamespace": "argocd"}))
    .await;
    let settings = fake.client().settings().await.unwrap();
    assert_eq!(settings.tracking_method, "annotation");
    assert_eq!(settings.installation_id, "");
    let fake = answering(json!({"canSync": false, "activeWindows": [{"kind": "deny",
        "schedule": "* * * * *", "duration": "1h", "manualSync": false}]}))
    .await;
    let windows = fake.client().syncwindows(&key()).await.unwrap();
    assert!(!windows.can_sync && windows.assigned.is_empty());
    assert_eq!(windows.active[0].kind, "deny");
    assert!(
        answering(json!({}))
            .await
            .client()
            .syncwindows(&key())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn rendered_manifests() {
    let body = json!({"revision": "abc", "manifests": ["{\"kind\": \"Service\"}"]});
    let fake = answering(body).await;
    let client = fake.client();
    let found = client.manifests(&key(), "abc", None).await.unwrap();
    assert_eq!(found, [json!({"kind": "Service"})]);
    client.manifests(&key(), "abc", Some(2)).await.unwrap();
    assert_eq!(
        fake.seen()[0].uri,
        format!("{BELOW}/manifests?{ASKED}&revision=abc")
    );
    let several = format!("{BELOW}/manifests?{ASKED}&revisions=abc&sourcePositions=2");
    assert_eq!(fake.seen()[1].uri, several);
    let client = answering(json!({"revision": "abc"})).await;
    assert!(
        client
            .client()
            .manifests(&key(), "abc", None)
            .await
            .unwrap()
            .is_empty()
    );
    for odd in [json!({}), json!({"manifests": ["{"]})] {
        let found = answering(odd)
            .await
            .client()
            .manifests(&key(), "abc", None)
            .await;
        assert!(matches!(found, Err(Error::Invalid { .. })), "{found:?}");
    }
}

#[tokio::test]
async fn live_and_compared_objects() {
    let fake = answering(json!({"manifest": "{\"kind\": \"Deployment\"}"})).await;
    let found = fake
        .client()
        .live_resource(&key(), &deployment(), "apps/v1")
        .await
        .unwrap();
    assert_eq!(found["kind"], "Deployment");
    let query = "group=apps&version=v1&kind=Deployment&namespace=mcp&resourceName=zai";
    assert_eq!(
        fake.seen()[0].uri,
        format!("{BELOW}/resource?{ASKED}&{query}")
    );
    let other = json!({"group": "apps", "kind": "Deployment", "namespace": "mcp", "name": "zai-2",
        "liveState": "{\"no\": 1}"});
    let own = json!({"group": "apps", "kind": "Deployment", "namespace": "mcp", "name": "zai",
        "liveState": "{\"a\": 1}", "targetState": "null", "normalizedLiveState": ""});
    let fake = answering(json!({"items": [other, own]})).await;
    let found = fake
        .client()
        .managed_resource(&key(), &deployment())
        .await
        .unwrap();
    assert_eq!((found.live, found.target), (Some(json!({"a": 1})), None));
    assert_eq!((found.normalized, found.predicted), (None, None));
    let fake = answering(json!({"items": [other]})).await;
    let found = fake.client().managed_resource(&key(), &deployment()).await;
    assert!(matches!(found, Err(Error::NotFound { .. })), "{found:?}");
}

#[tokio::test]
async fn secrets_are_not_asked_for() {
    let fake = answering(json!({"manifest": "{}", "items": []})).await;
    let secret = ObjectRef {
        group: String::new(),
        kind: "Secret".to_owned(),
        ..deployment()
    };
    assert!(
        fake.client()
            .live_resource(&key(), &secret, "v1")
            .await
            .is_err()
    );
    assert!(
        fake.client()
            .managed_resource(&key(), &secret)
            .await
            .is_err()
    );
    assert!(fake.seen().is_empty());
}
