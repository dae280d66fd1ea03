//! Argo CD: not its object, down, token expired, Application missing.

use serde_json::json;

use super::common::{FIXTURE, bed, world};
use super::{lands, refuses, rollback, shared};

#[test]
fn not_managed_by_argo() {
    let world = shared("unmanaged");
    let object: serde_json::Value = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "by-hand", "namespace": world.name},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "by-hand"}},
            "template": {"metadata": {"labels": {"app": "by-hand"}},
                "spec": {"containers": [{"name": "main", "image": "ronaldraygun/by-hand:1.0.0"}]}}},
    });
    bed().sandbox.create(object).unwrap();
    let command = world.command(&["rollback", "by-hand", "-n", &world.name, "--yes"]);
    refuses(
        &world,
        command,
        3,
        &["no manifest of deployment/by-hand", "--file"],
    );
}

#[test]
fn argo_down_the_rest_goes_on() {
    let world = world("argo-down");
    let mut command = rollback(&world);
    command.env("ARGOCD_SERVER", "http://127.0.0.1:9");
    let outcome = lands(&world, command);
    outcome.said(&["argo cd at http://127.0.0.1:9 cannot be reached"]);
}

#[test]
fn token_expired() {
    let world = world("argo-token");
    let mut command = world.command(&["status", "zai-proxy", "-n", &world.name]);
    command.env("ARGOCD_AUTH_TOKEN", "expired.token.value");
    let outcome = super::run(command);
    outcome
        .ended(0)
        .said(&["does not accept the login", "argocd login"]);
    assert!(!outcome.text().contains("expired.token.value"));
    let mut command = rollback(&world);
    command.env("ARGOCD_AUTH_TOKEN", "expired.token.value");
    lands(&world, command).said(&["does not accept the login"]);
}

#[test]
fn permission_denied_for_a_missing_app() {
    let world = shared("missing-app");
    let mut command = rollback(&world);
    command.args(["--app", "no-such-app"]);
    refuses(
        &world,
        command,
        3,
        &["no-such-app", "permission denied", "--app"],
    );
}

#[test]
fn an_argo_server_that_is_no_address() {
    let world = shared("argo-address");
    let mut command = rollback(&world);
    command.env("ARGOCD_SERVER", "http://[::broken");
    refuses(&world, command, 2, &["[::broken"]);
    assert!(FIXTURE.contains("zai-proxy"));
}
