//! The cluster: no kubeconfig, unknown context, unreachable, TLS, 401, 403, names.

use unship::sandbox::{Effect, Fault, Surface};

use super::common::{BAD, World, bed, world};
use super::{lands, refuses, rollback, shared};

#[test]
fn no_kubeconfig() {
    let world = shared("no-kubeconfig");
    let mut command = rollback(&world);
    command.env_remove("KUBECONFIG").env_remove("ARGOCD_SERVER");
    refuses(
        &world,
        command,
        2,
        &["no kubeconfig", ".kube/config", "--kubeconfig"],
    );
    let mut command = world.command(&["status"]);
    command.env_remove("KUBECONFIG");
    refuses(&world, command, 2, &["no kubeconfig", "KUBECONFIG"]);
}

#[test]
fn a_kubeconfig_that_is_not_there() {
    let world = shared("missing-kubeconfig");
    let mut command = rollback(&world);
    command.args(["--kubeconfig", "/nowhere/config"]);
    refuses(&world, command, 2, &["/nowhere/config", "--kubeconfig"]);
}

#[test]
fn a_kubeconfig_that_is_none() {
    let world = shared("odd-kubeconfig");
    let odd = world.engineer.home.join("odd");
    std::fs::write(&odd, "clusters: [\n").unwrap();
    let mut command = rollback(&world);
    command.env("KUBECONFIG", &odd);
    refuses(
        &world,
        command,
        2,
        &[&odd.display().to_string(), "kubectl config view"],
    );
}

#[test]
fn unknown_context() {
    let world = shared("context");
    let mut command = rollback(&world);
    command.args(["--context", "prod-eu"]);
    refuses(
        &world,
        command,
        2,
        &["\"prod-eu\"", "there are: ", "kubectl config get-contexts"],
    );
}

#[test]
fn cluster_unreachable() {
    let world = shared("unreachable");
    let kubeconfig = world.kubeconfig(Some("http://127.0.0.1:9"), None);
    for words in [
        &["rollback", "zai-proxy", "--yes"][..],
        &["plan", "zai-proxy"],
    ] {
        let mut command = world.command(words);
        command
            .args(["-n", &world.name])
            .env("KUBECONFIG", &kubeconfig);
        refuses(
            &world,
            command,
            3,
            &[
                "http://127.0.0.1:9 does not answer",
                "kubectl get --raw /readyz",
            ],
        );
    }
    let mut command = world.command(&["status", "-n", &world.name]);
    command.env("KUBECONFIG", &kubeconfig);
    refuses(&world, command, 1, &["http://127.0.0.1:9 does not answer"]);
}

#[test]
fn a_server_that_does_not_answer_in_time() {
    let world = shared("slow");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let mut command = rollback(&world);
    command
        .args(["--request-timeout", "1s"])
        .env("KUBECONFIG", world.kubeconfig(Some(&server), None));
    refuses(
        &world,
        command,
        3,
        &["no answer from", "within 1 s", "--request-timeout"],
    );
}

#[test]
fn tls_error() {
    let world = shared("tls");
    let server = World::server().replace("http://", "https://");
    let mut command = rollback(&world);
    command.env("KUBECONFIG", world.kubeconfig(Some(&server), None));
    refuses(
        &world,
        command,
        3,
        &[
            "no safe connection",
            &server,
            "kubectl config view --minify",
        ],
    );
}

#[test]
fn not_authenticated() {
    let world = shared("unauthenticated");
    let mut command = rollback(&world);
    command.env(
        "KUBECONFIG",
        world.kubeconfig(None, Some("expired-token-1234567")),
    );
    let outcome = refuses(
        &world,
        command,
        3,
        &["does not accept these credentials", "kubectl auth whoami"],
    );
    assert!(!outcome.text().contains("expired-token-1234567"));
}

#[test]
fn forbidden_on_one_list_is_a_gap() {
    let world = world("forbidden");
    let fault = Fault {
        surface: Surface::Kubernetes,
        method: None,
        path: format!("/namespaces/{}/events", world.name),
        skip: 0,
        times: None,
        effect: Effect::Answer(403),
    };
    let id = bed().sandbox.faults().plant(fault).unwrap();
    let status = world.unship(&["status", "zai-proxy", "-n", &world.name]);
    status
        .ended(0)
        .said(&[BAD, "events in namespace", "not seen"]);
    let outcome = lands(&world, rollback(&world));
    outcome.said(&["events"]);
    assert!(bed().sandbox.faults().hits(id) > Some(1));
    bed().sandbox.faults().remove(id);
}

#[test]
fn name_not_found() {
    let world = shared("not-found");
    let near = world.command(&["rollback", "zai-prxy", "-n", &world.name, "--yes"]);
    refuses(
        &world,
        near,
        2,
        &["zai-prxy", &world.name, "did you mean deployment/zai-proxy"],
    );
    let elsewhere = world.command(&["rollback", "zai-proxy", "-n", "default", "--yes"]);
    refuses(&world, elsewhere, 2, &["in namespace default", "add -n "]);
    let nothing = world.command(&["rollback", "entirely-unknown", "-n", &world.name, "--yes"]);
    refuses(
        &world,
        nothing,
        2,
        &["entirely-unknown", "unship status -n"],
    );
}

#[test]
fn odd_words_for_a_target() {
    let world = shared("odd-words");
    for (word, said) in [
        ("pod/zai-proxy", "use deployment, statefulset or daemonset"),
        ("Zai_Proxy", "is no name of a Kubernetes object"),
        ("../zai-proxy", ".."),
    ] {
        let command = world.command(&["rollback", word, "-n", &world.name, "--yes"]);
        let before = world.frozen();
        super::run(command).ended(2).said(&[said]);
        assert_eq!(before, world.frozen());
    }
}

#[test]
fn ambiguous_target() {
    let world = world("ambiguous");
    let live = bed()
        .sandbox
        .get("apps", "Deployment", &world.name, "zai-proxy")
        .unwrap();
    bed()
        .sandbox
        .create(serde_json::json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": "zai-proxy", "namespace": world.name},
            "spec": {"serviceName": "zai-proxy", "replicas": 0,
                "selector": {"matchLabels": {"app": "other"}},
                "template": {"metadata": {"labels": {"app": "other"}},
                    "spec": live["spec"]["template"]["spec"]}},
        }))
        .unwrap();
    refuses(
        &world,
        rollback(&world),
        2,
        &[
            "zai-proxy could be",
            "deployment/zai-proxy",
            "statefulset/zai-proxy",
            "name the kind",
        ],
    );
    let named = world.command(&["rollback", "deploy/zai-proxy", "-n", &world.name, "--yes"]);
    lands(&world, named);
}
