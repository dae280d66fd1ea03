//! Metrics and health: at a configured address, through the API server, and what is made of
//! them by `collect`, `drill` and `assess`.

use std::io::Read as _;

use serde_json::{Value, json};

use super::common::{Plan, World, bed, build, run, world};
use super::{collect, collect_with};

#[test]
fn metrics_through_the_api_server_where_that_is_allowed() {
    let world = world("proxied");
    let admin = bed()
        .sandbox
        .variable("UNSHIP_WORLD_ADMIN_KUBECONFIG")
        .to_owned();
    let saved = collect_with(&world, &[], |command| {
        command.env("KUBECONFIG", admin);
    });
    let names = saved.names();
    let metrics: Vec<_> = names
        .iter()
        .filter(|name| name.starts_with("metrics/"))
        .collect();
    assert_eq!(metrics.len(), 1, "{names:?}");
    assert!(saved.text(metrics[0]).contains("requests_total"));
    // The crashing pod does not answer; the rest is there all the same.
    let reason = saved.missing("metrics/");
    assert!(reason.contains("connection refused"), "{reason}");
    // In this order, and the port-forward is named as what it is.
    let ways = [
        "no metrics.url",
        "port-forward to /metrics",
        "connection refused",
    ];
    let at = ways.map(|way| reason.find(way));
    assert!(at.is_sorted() && at[0].is_some(), "{reason}");
    let write = format!("create pods/portforward {}/zai-proxy-*", world.name);
    assert_eq!(saved.manifest["writes"], json!([write]));
}

/// Answers every request with its own path as a metric.
fn exporter() -> String {
    use std::io::Write as _;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let count = stream.read(&mut head).unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..count]).into_owned();
            let path = head.split(' ').nth(1).unwrap_or("?");
            let body = format!("asked{{path=\"{path}\"}} 1\n");
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    format!("http://somebody:hidden@{address}")
}

#[test]
fn metrics_at_a_configured_address() {
    let world = world("configured");
    let base = exporter();
    let folder = world.engineer.home.join("config/unship");
    std::fs::create_dir_all(&folder).unwrap();
    let configure = |url: &str| {
        let text = format!("metrics: {{url: \"{base}/{url}\"}}\n");
        std::fs::write(folder.join("config.yaml"), text).unwrap();
    };
    configure("{namespace}/{name}/{pod}");
    let saved = collect(&world, &[]);
    let names = saved.names();
    let metrics: Vec<_> = names
        .iter()
        .filter(|name| name.starts_with("metrics/zai-proxy-"))
        .collect();
    assert_eq!(metrics.len(), 2, "{names:?}");
    let wanted = format!("/{}/zai-proxy/zai-proxy-", world.name);
    assert!(saved.text(metrics[0]).contains(&wanted));
    let shown = saved.manifest.to_string() + &saved.outcome.text();
    assert!(!shown.contains("hidden"), "the password in the URL");
    configure("all");
    let saved = collect(&world, &[]);
    assert!(saved.text("metrics/metrics.txt").contains("path=\"/all\""));
    // Nobody there: said, with the next way's reason.
    std::fs::write(
        folder.join("config.yaml"),
        "metrics: {url: \"http://127.0.0.1:9/{pod}\"}\n",
    )
    .unwrap();
    let reason = collect(&world, &[]).missing("metrics/");
    assert!(
        reason.contains("127.0.0.1:9") && reason.contains("pods/proxy"),
        "{reason}"
    );
}

/// The outcome and the evidence of a test of a drill, as this identity.
fn drilled(world: &World, kubeconfig: Option<&str>, id: &str) -> (String, String) {
    let mut command = world.command(&["drill", "zai-proxy", "-n", &world.name, "-o", "json"]);
    if let Some(kubeconfig) = kubeconfig {
        command.env("KUBECONFIG", kubeconfig);
    }
    let outcome = run(command);
    let tests = outcome.json()["targets"][0]["tests"].clone();
    let test = tests
        .as_array()
        .unwrap()
        .iter()
        .find(|test| test["id"] == id);
    let word = |key: &str| test.unwrap()[key].as_str().unwrap().to_owned();
    (word("outcome"), word("evidence"))
}

#[test]
fn a_drill_asks_for_metrics_and_health() {
    let world = world("drilled");
    let (outcome, why) = drilled(&world, None, "metrics");
    assert_eq!(outcome, "skipped");
    assert!(
        why.contains("metrics.url") && why.contains("pods/proxy"),
        "{why}"
    );
    let (outcome, why) = drilled(&world, None, "health");
    assert_eq!(outcome, "pass");
    assert!(why.contains("by readiness only"), "{why}");
    let admin = bed().sandbox.variable("UNSHIP_WORLD_ADMIN_KUBECONFIG");
    let (outcome, why) = drilled(&world, Some(admin), "metrics");
    assert_eq!(outcome, "pass", "{why}");
    assert!(
        why.contains("samples from /metrics of pod zai-proxy-"),
        "{why}"
    );
    let base = exporter();
    let folder = world.engineer.home.join("config/unship");
    std::fs::create_dir_all(&folder).unwrap();
    let text = format!(
        "metrics: {{url: \"{base}/{{pod}}\"}}\nhealth: {{url: \"http://127.0.0.1:9/health\"}}\n"
    );
    std::fs::write(folder.join("config.yaml"), text).unwrap();
    let (outcome, why) = drilled(&world, None, "metrics");
    assert_eq!(outcome, "pass", "{why}");
    assert!(
        why.contains("1 samples from http://") && !why.contains("hidden"),
        "{why}"
    );
    let (outcome, why) = drilled(&world, None, "health");
    assert_eq!(outcome, "fail");
    assert!(why.contains("127.0.0.1:9"), "{why}");
}

/// A service whose counters grow with every reading: 12 of 100 requests fail.
fn failing_service() -> String {
    use std::io::Write as _;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for (turn, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let body = format!(
                "zai_requests_total{{status_code=\"200\"}} {}\n\
                 zai_requests_total{{status_code=\"502\"}} {}\n",
                1000 + 88 * turn,
                12 * turn
            );
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    format!("http://{address}")
}

#[test]
fn errors_in_the_metrics_are_a_trigger() {
    let world = build(&Plan {
        bad: false,
        ..Plan::new("assessed")
    });
    let folder = world.engineer.home.join("config/unship");
    std::fs::create_dir_all(&folder).unwrap();
    let assess = |config: &str| {
        std::fs::write(folder.join("config.yaml"), config).unwrap();
        let words = [
            "assess",
            "zai-proxy",
            "-n",
            &world.name,
            "--over",
            "1s",
            "-o",
            "json",
        ];
        let outcome = world.unship(&words);
        outcome.ended(0);
        let document = outcome.json();
        let triggers = document["triggers"].as_array().unwrap();
        let rate = triggers.iter().find(|one| one["id"] == "errorRate");
        let rate = rate.unwrap();
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        (
            word(&document["verdict"]),
            word(&rate["verdict"]),
            word(&rate["evidence"]),
        )
    };
    let lasting = "triggers: {errorRate: {for: 1s}}\n";
    // Nobody to ask, nothing about requests, 12 % errors.
    let (verdict, rate, why) = assess(lasting);
    assert_eq!((verdict.as_str(), rate.as_str()), ("unknown", "unknown"));
    assert!(why.contains("no metrics.url is configured"), "{why}");
    let metrics = |url: &str| format!("{lasting}metrics: {{url: \"{url}/{{pod}}\"}}\n");
    let (verdict, rate, why) = assess(&metrics(&exporter()));
    assert_eq!((verdict.as_str(), rate.as_str()), ("unknown", "unknown"));
    assert!(why.contains("no series"), "{why}");
    let (verdict, rate, why) = assess(&metrics(&failing_service()));
    assert_eq!((verdict.as_str(), rate.as_str()), ("rollback", "fails"));
    assert!(why.starts_with("12 % errors: 12 of 100 requests"), "{why}");
    // For long enough it was not seen, so it is not known.
    let short = metrics(&failing_service()).replace("for: 1s", "for: 2m");
    let (verdict, rate, _) = assess(&short);
    assert_eq!((verdict.as_str(), rate.as_str()), ("unknown", "unknown"));
}
