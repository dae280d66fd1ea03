//! `unship explain`: places in the branch that ships the target, and what outranks them.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod common;

use common::{FILE, world};

/// The line and column of a text that is in another one once.
fn place(text: &str, part: &str) -> String {
    let before = text.split(part).next().unwrap();
    assert_eq!(text.matches(part).count(), 1, "{part}");
    let line = before.rsplit('\n').next().unwrap();
    format!("{}:{}", before.matches('\n').count() + 1, line.len() + 1)
}

#[test]
fn the_manifest_and_then_a_kustomization_decide() {
    let world = world("explain");
    let namespace = world.name.clone();
    let image = "spec.template.spec.containers[0].image";
    let explain =
        |more: &[&str]| world.unship(&[&["explain", "zai-proxy", "-n", &namespace], more].concat());
    let manifest = world.manifest("zai-proxy");
    let written = manifest
        .lines()
        .find_map(|line| line.trim().strip_prefix("image: "))
        .unwrap()
        .split('#')
        .next()
        .unwrap()
        .trim()
        .to_owned();
    let at = format!("{FILE}:{}", place(&manifest, &written));
    explain(&[image]).ended(0).said(&[
        &format!("decides    {at}"),
        "(live: the same)",
        "(Directory)",
    ]);
    // Without a field: replicas, images and environment, whose values are masked.
    let all = explain(&[]);
    all.ended(0)
        .said(&["spec.replicas = ", ".image = ", "env["]);
    let document = explain(&["-o", "json"]).json();
    let fields = document["fields"].as_array().unwrap();
    let is_env = |field: &&serde_json::Value| field["field"].as_str().unwrap().contains("env[");
    let secrets: Vec<_> = fields.iter().filter(is_env).collect();
    assert!(!secrets.is_empty(), "{document}");
    for field in secrets {
        assert_eq!(field["value"], "***", "{field}");
        assert_eq!(field["chain"][0]["says"], "***", "{field}");
        assert_eq!(field["agrees"], true, "{field}");
    }
    explain(&["spec..x"]).ended(2);

    let name = written.rsplit_once(':').unwrap().0;
    let kustomization =
        format!("resources: [zai-proxy.yml]\nimages:\n- name: {name}\n  newTag: 0.0.1\n");
    world.push(
        "kustomize it",
        &[("k8s/mcp/kustomization.yaml", kustomization)],
    );
    explain(&[image]).ended(0).said(&[
        "decides    k8s/mcp/kustomization.yaml:4:11",
        &format!("outranked  {at}"),
        "(live: another value)",
        "(Kustomize)",
    ]);
    let broken = "resources: [zai-proxy.yml, gone.yml]\n".to_owned();
    world.push("break it", &[("k8s/mcp/kustomization.yaml", broken)]);
    let refused = explain(&[image]);
    refused
        .ended(3)
        .said(&["k8s/mcp/kustomization.yaml:1:28", "gone.yml"]);
}
