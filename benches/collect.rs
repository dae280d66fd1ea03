//! A bundle of 30 pods with 1000 lines of log each: how long `unship collect` takes, on the
//! sandbox, or with `UNSHIP_WORLD=stack` on the world that the environment names
//! (`ci/bench/collect`). Prints a line of Markdown; fails above the aim.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot go on fails"
)]

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use unship::sandbox::{Options, Sandbox};

const PODS: usize = 30;
const LINES: usize = 1000;
const AIM: Duration = Duration::from_secs(5);
const ROUNDS: usize = 5;
const NAMESPACE: &str = "bench-collect";

fn deployment() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": NAMESPACE},
        "spec": {"replicas": PODS, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"},
                    "annotations": {"unship.test/log-lines": LINES.to_string()}},
                "spec": {"containers": [{"name": "main", "image": "example.org/web:1"}]}}}})
}

async fn admin(kubeconfig: &str) -> kube::Client {
    let file = Kubeconfig::read_from(Path::new(kubeconfig)).unwrap();
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .unwrap();
    kube::Client::try_from(config).unwrap()
}

async fn send(
    client: &kube::Client,
    method: &str,
    path: &str,
    body: &Value,
) -> kube::Result<Value> {
    let bytes = if body.is_null() {
        Vec::new()
    } else {
        body.to_string().into_bytes()
    };
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .body(bytes)
        .unwrap();
    client.request(request).await
}

/// The pods, all ready.
async fn set_up(client: &kube::Client) {
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    send(client, "POST", "/api/v1/namespaces", &namespace)
        .await
        .unwrap();
    let deployments = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments");
    send(client, "POST", &deployments, &deployment())
        .await
        .unwrap();
    let began = Instant::now();
    loop {
        let web = send(client, "GET", &format!("{deployments}/web"), &Value::Null)
            .await
            .unwrap();
        if web["status"]["readyReplicas"] == PODS {
            return;
        }
        assert!(
            began.elapsed() < Duration::from_secs(120),
            "not ready: {}",
            web["status"]
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// One collection; every log is whole.
fn collect(out: &Path, kubeconfig: &str) -> Duration {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unship"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", out.parent().unwrap())
        .env("KUBECONFIG", kubeconfig)
        .current_dir(out.parent().unwrap())
        .args(["collect", "web", "-n", NAMESPACE, "-o", "json", "--out"])
        .arg(out);
    let began = Instant::now();
    let output = command.output().unwrap();
    let took = began.elapsed();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let files = document["items"][0]["manifest"]["files"]
        .as_array()
        .unwrap();
    let logs = files.iter().filter_map(|file| file["path"].as_str());
    let logs: Vec<&str> = logs.filter(|path| path.ends_with("/main.log")).collect();
    assert_eq!(logs.len(), PODS, "{document:#}");
    for log in logs {
        let text = std::fs::read_to_string(out.join(log)).unwrap();
        assert_eq!(text.lines().count(), LINES, "{log}");
    }
    took
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let stack = std::env::var("UNSHIP_WORLD").is_ok_and(|world| world == "stack");
    let sandbox = (!stack).then(|| {
        let options = Options::new(folder.path().join("world"));
        runtime.block_on(Sandbox::start(options)).unwrap()
    });
    let variable = |name: &str| match &sandbox {
        Some(sandbox) => sandbox.variable(name).to_owned(),
        None => std::env::var(name).unwrap(),
    };
    let client = runtime.block_on(admin(&variable("UNSHIP_WORLD_ADMIN_KUBECONFIG")));
    runtime.block_on(set_up(&client));
    let observer = variable("KUBECONFIG");
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|round| collect(&folder.path().join(format!("bundle-{round}")), &observer))
        .collect();
    let gone = format!("/api/v1/namespaces/{NAMESPACE}");
    runtime
        .block_on(send(&client, "DELETE", &gone, &Value::Null))
        .unwrap();
    times.sort();
    let (median, worst) = (times[ROUNDS / 2].as_secs_f64(), times[ROUNDS - 1]);
    let world = if stack {
        "the real stack"
    } else {
        "the sandbox"
    };
    println!(
        "| bundle of {PODS} pods with {LINES} lines each on {world}, median of {ROUNDS} | {median:.2} s, worst {:.2} s | under {} s |",
        worst.as_secs_f64(),
        AIM.as_secs()
    );
    if worst < AIM {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
