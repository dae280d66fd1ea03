//! Canary tokens planted wherever a secret may be appear in no output, journal or
//! evidence file.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{GOOD, Outcome, Plan, World, bed, build, release, run};
use serde_json::json;

/// Literal value of an environment variable in the manifest.
const ENV: &str = "canary-env-7f3a91c2";
/// The same value of the bad release: the diff would show both.
const ENV_BAD: &str = "canary-env-bad-5d20e8";
/// In the last-applied annotation of the live object.
const LAST_APPLIED: &str = "canary-applied-1c44b0";
/// In an environment variable of the live object only.
const LIVE: &str = "canary-live-93be07";

/// In the pods' logs.
const LOG: &str = "canary-log-44d1e7aa";
/// Stands in the logs as well, and is no secret.
const LOG_MARK: &str = "marked-5c0f";
/// In the container's arguments.
const ARGUMENT: &str = "canary-argument-0be2f9";
/// In a URL in an annotation.
const ANNOTATION: &str = "canary-annotation-e97d31";

/// A world with canaries, and all of them.
struct Planted {
    world: World,
    canaries: Vec<(&'static str, String)>,
}

fn spoil(text: String) -> String {
    let value = if text.contains("1.2.1-crash") {
        ENV_BAD
    } else {
        ENV
    };
    text.replace(
        "            - name: MAX_WORKERS\n",
        &format!("            - name: API_TOKEN\n              value: {value}\n            - name: MAX_WORKERS\n"),
    )
    .replace(
        "  annotations:\n    reloader",
        &format!("  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: '{{\"canary\":\"{LAST_APPLIED}\"}}'\n    reloader"),
    )
}

/// The same, and more places that only a bundle shows: a log, an annotation, arguments.
fn spoil_more(text: String) -> String {
    spoil(text)
        .replace(
            "    metadata:\n      labels:\n        app: zai-proxy\n",
            &format!(
                "    metadata:\n      annotations:\n        unship.test/log-text: |-\n          \
                 calling https://proxy:{LOG}@upstream/v1 with Authorization: Bearer {LOG}\n          \
                 {LOG_MARK}\n      labels:\n        app: zai-proxy\n"
            ),
        )
        .replace(
            "          ports:\n",
            &format!("          args: [\"--api-token={ARGUMENT}\", \"--password\", \"{ARGUMENT}\"]\n          ports:\n"),
        )
        .replace(
            "  annotations:\n    kubectl",
            &format!("  annotations:\n    team/webhook: https://bot:{ANNOTATION}@hooks/x\n    kubectl"),
        )
}

fn planted(prefix: &str) -> Planted {
    planted_with(prefix, &spoil)
}

fn planted_with(prefix: &str, text: &dyn Fn(String) -> String) -> Planted {
    let world = build(&Plan {
        text,
        ..Plan::new(prefix)
    });
    let sandbox = &bed().sandbox;
    let user = sandbox.variable("UNSHIP_WORLD_GIT_USER");
    let password = sandbox.variable("UNSHIP_WORLD_GIT_PASSWORD").to_owned();
    let url = world
        .url()
        .replacen("http://", &format!("http://{user}:{password}@"), 1);
    world.git(&["remote", "set-url", "origin", &url]);
    let config = std::fs::read_to_string(sandbox.variable("KUBECONFIG")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    let token = config["users"][0]["user"]["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let argocd = sandbox.variable("ARGOCD_AUTH_TOKEN").to_owned();
    assert!(token.len() > 20 && argocd.len() > 20 && password.len() > 20);
    sandbox
        .create(json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "stray", "namespace": world.name, "labels": {"app": "zai-proxy", "variant": "production"}},
            "spec": {"containers": [{"name": "main", "image": "ronaldraygun/stray:1.0.0",
                "env": [{"name": "STRAY_TOKEN", "value": LIVE}]}]}}))
        .unwrap();
    let live = sandbox
        .get("apps", "Deployment", &world.name, "zai-proxy")
        .unwrap()
        .to_string();
    for there in [ENV_BAD, LAST_APPLIED] {
        assert!(live.contains(there), "{there} is not in the live object");
    }
    let canaries = vec![
        ("env in the manifest", ENV.to_owned()),
        ("env of the bad release", ENV_BAD.to_owned()),
        ("env of a live pod", LIVE.to_owned()),
        ("last-applied annotation", LAST_APPLIED.to_owned()),
        ("password in the git URL", password),
        ("token of the kubeconfig", token),
        ("token of Argo CD", argocd),
    ];
    Planted { world, canaries }
}

impl Planted {
    #[track_caller]
    fn silent(&self, what: &str, text: &str) {
        for (name, canary) in &self.canaries {
            let at = text.find(canary.as_str());
            let around = at.map(|at| {
                let from = text[..at]
                    .char_indices()
                    .rev()
                    .nth(120)
                    .map_or(0, |(i, _)| i);
                &text[from..at]
            });
            assert!(at.is_none(), "{name} appears in {what} after: {around:?}");
        }
    }

    fn run(&self, words: &[&str], also: &[&str]) -> Outcome {
        let mut command: Command = self.world.command(words);
        command
            .args(["-n", &self.world.name])
            .args(also)
            .env("UNSHIP_LOG", "trace");
        let outcome = run(command);
        self.silent(&format!("{words:?} {also:?}"), &outcome.text());
        outcome
    }

    /// Outside of a clone, with the credentials of the helper.
    fn plan_by_cached_clone(&self) {
        let home = &self.world.engineer.home;
        let mut command = self
            .world
            .command(&["plan", "zai-proxy", "-n", &self.world.name]);
        command.current_dir(home);
        let outcome = run(command);
        outcome.ended(0);
        self.silent("a plan from a cached clone", &outcome.text());
        let mut files = Vec::new();
        collect(&home.join("cache"), &mut files);
        let configs: Vec<_> = files.iter().filter(|f| f.ends_with("config")).collect();
        assert!(!configs.is_empty(), "{files:?}");
        for config in configs {
            self.silent("a cached clone", &std::fs::read_to_string(config).unwrap());
        }
    }

    /// Every file below the engineer's state, cache and configuration folders.
    fn files_are_silent(&self) -> usize {
        let home = &self.world.engineer.home;
        let mut files = Vec::new();
        for folder in ["state", "config"] {
            collect(&home.join(folder), &mut files);
        }
        for file in &files {
            let bytes = std::fs::read(file).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            self.silent(&file.display().to_string(), &text);
        }
        files.len()
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

const FORMATS: [&[&str]; 5] = [
    &["-o", "human"],
    &["-o", "json"],
    &["-o", "yaml"],
    &["-o", "markdown"],
    &["-v", "-v"],
];

#[test]
fn looking_planning_and_rolling_back() {
    let planted = planted("secret");
    for words in [
        &["status", "zai-proxy"][..],
        &["history", "zai-proxy"],
        &["plan", "zai-proxy"],
        &["access", "zai-proxy"],
        &["assess", "zai-proxy"],
        &["status"],
    ] {
        for format in FORMATS {
            planted.run(words, format).ended(0);
        }
    }
    planted
        .run(&["plan", "zai-proxy"], &[])
        .said(&["name: API_TOKEN", "value: *** (old)"]);
    planted.plan_by_cached_clone();
    let plan = planted.world.engineer.home.join("state/plan.json");
    std::fs::create_dir_all(plan.parent().unwrap()).unwrap();
    planted
        .run(
            &["plan", "zai-proxy", "--out", &plan.display().to_string()],
            &[],
        )
        .ended(0);
    let summary = planted.world.engineer.home.join("state/summary.md");
    let outcome = planted.run(
        &[
            "rollback",
            "zai-proxy",
            "--yes",
            "--summary-file",
            &summary.display().to_string(),
        ],
        &["-o", "json", "-v", "-v"],
    );
    outcome.ended(0);
    let id = outcome.json()["runId"].as_str().unwrap().to_owned();
    for format in FORMATS {
        planted.run(&["show", &id], format).ended(0);
        planted.run(&["runs"], format).ended(0);
        planted.run(&["continue", &id], format).ended(0);
        planted
            .run(&["rollback", "zai-proxy", "--yes"], format)
            .ended(0);
    }
    // The journal, the plan, the evidence and the summary were all looked into.
    assert!(planted.files_are_silent() > 10);
    let own = planted.world.own_commits();
    planted.silent("the commit's message", &own[0].2);
    // It was put back nevertheless, byte by byte.
    let good = spoil(release(&planted.world.name, "zai-proxy", GOOD));
    assert_eq!(planted.world.manifest("zai-proxy"), good);
}

/// A program for beads that behaves as beads_rust does.
const FAKE_BR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tracker/fake_br.sh");

#[test]
fn requests_and_beads() {
    let planted = planted("secret-request");
    let home = &planted.world.engineer.home;
    // Below the folder whose files are all looked into.
    let tracker = home.join("state/tracker");
    std::fs::create_dir_all(tracker.join(".beads")).unwrap();
    std::fs::create_dir_all(home.join("config/unship")).unwrap();
    let config = format!(
        "tracker: {{program: {FAKE_BR}, directory: {}}}\n",
        tracker.display()
    );
    std::fs::write(home.join("config/unship/config.yaml"), config).unwrap();
    let reason = format!(
        "see https://dana:{}@wiki/x, header Authorization: Bearer {}",
        planted.canaries[4].1, planted.canaries[5].1
    );
    let file = home.join("state/request.md").display().to_string();
    let other = home.join("state/refused.md").display().to_string();
    for format in FORMATS {
        planted
            .run(
                &["request", "zai-proxy", "--reason", &reason, "--out", &file],
                format,
            )
            .ended(7);
        planted
            .run(
                &["request", "zai-proxy", "--to", "9.9.9", "--out", &other],
                format,
            )
            .ended(7);
    }
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("value: ***"), "{text}");
    let bead = tracker.join(".beads/beads/fake-1/description");
    let body = std::fs::read_to_string(bead).unwrap();
    assert!(body.contains("https://wiki/x"), "{body}");
    // Where the remote takes nothing, the run's own request is the same text.
    planted
        .world
        .hook("pre-receive", "echo refused by policy >&2; exit 1");
    planted
        .run(
            &["rollback", "zai-proxy", "--yes", "--reason", &reason],
            &[],
        )
        .ended(7);
    let runs = home.join("state/unship/runs");
    let run = std::fs::read_dir(runs).unwrap().next().unwrap().unwrap();
    let own = std::fs::read_to_string(run.path().join("request.md")).unwrap();
    assert!(
        own.contains("# URGENT: Request production rollback for zai-proxy"),
        "{own}"
    );
    assert!(own.contains("value: ***"), "{own}");
    assert!(planted.files_are_silent() > 15);
}

#[test]
fn refusals_and_failures() {
    let planted = planted("secret-fail");
    planted
        .world
        .hook("pre-receive", "echo refused by policy >&2; exit 1");
    for format in FORMATS {
        planted.run(&["rollback", "zai-proxy"], format).ended(3);
        planted
            .run(&["rollback", "zai-proxy", "--to", "9.9.9", "--yes"], format)
            .ended(3);
    }
    planted
        .run(&["rollback", "zai-proxy", "--yes"], &["-v", "-v"])
        .ended(7);
    let away = planted.world.bare().with_extension("away");
    std::fs::rename(planted.world.bare(), &away).unwrap();
    for format in FORMATS {
        planted
            .run(&["rollback", "zai-proxy", "--yes"], format)
            .ended(3);
        planted.run(&["status", "zai-proxy"], format).ended(0);
    }
    std::fs::rename(&away, planted.world.bare()).unwrap();
    assert!(planted.files_are_silent() > 5);
}

#[test]
fn wrong_credentials_are_not_shown_either() {
    let mut planted = planted("secret-wrong");
    let wrong = "canary-wrong-2f8e61d0aa";
    planted.canaries = vec![("the wrong credential", wrong.to_owned())];
    let world = planted.world.clone();
    let kubeconfig = world.kubeconfig(None, Some(wrong)).display().to_string();
    let url = world
        .url()
        .replacen("http://", &format!("http://somebody:{wrong}@"), 1);
    world.git(&["remote", "set-url", "origin", &url]);
    for format in FORMATS {
        for words in [
            &["status", "zai-proxy"][..],
            &["plan", "zai-proxy"],
            &["rollback", "zai-proxy", "--yes"],
            &["access", "zai-proxy"],
        ] {
            planted.run(words, format);
            planted.run(words, &[format, &["--kubeconfig", &kubeconfig]].concat());
            planted.run(words, &[format, &["--argocd-auth-token", wrong]].concat());
        }
    }
    assert!(world.own_commits().is_empty());
    planted.files_are_silent();
}

/// The content of an archive, by name.
fn unpacked(archive: &Path) -> Vec<(String, String)> {
    use std::io::Read as _;
    let file = std::fs::File::open(archive).unwrap();
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let entries = tar.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let name = entry.path().unwrap().display().to_string();
        (name, String::from_utf8_lossy(&bytes).into_owned())
    });
    entries.collect()
}

#[test]
fn bundles_and_archives() {
    let mut planted = planted_with("secret-bundle", &spoil_more);
    planted.canaries.extend([
        ("a credential in a log", LOG.to_owned()),
        ("an argument", ARGUMENT.to_owned()),
        ("a URL in an annotation", ANNOTATION.to_owned()),
    ]);
    let live = bed()
        .sandbox
        .get("apps", "Deployment", &planted.world.name, "zai-proxy");
    let live = live.unwrap().to_string();
    for there in [LOG, ARGUMENT, ANNOTATION, ENV_BAD] {
        assert!(live.contains(there), "{there} is not in the live object");
    }
    let home = planted.world.engineer.home.clone();
    for (number, format) in FORMATS.iter().enumerate() {
        let out = home.join(format!("bundle-{number}")).display().to_string();
        let words = ["collect", "zai-proxy", "--out", &out];
        planted.run(&words, format).ended(0);
        let mut files = Vec::new();
        collect(Path::new(&out), &mut files);
        assert!(files.len() > 20, "{files:?}");
        let mut marked = 0;
        for file in files {
            let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
            planted.silent(&file.display().to_string(), &text);
            marked += usize::from(
                text.contains(LOG_MARK) && file.extension().is_some_and(|e| e == "log"),
            );
        }
        assert!(
            marked >= 3,
            "the lines themselves are in the logs: {marked}"
        );
    }
    let out = home.join("packed").display().to_string();
    planted
        .run(&["collect", "zai-proxy", "--archive", "--out", &out], &[])
        .ended(0);
    let content = unpacked(&home.join("packed.tar.gz"));
    assert!(content.len() > 20, "{content:?}");
    for (name, text) in content {
        planted.silent(&name, &text);
    }
    // The quick bundle of a rollback has the same logs.
    planted
        .run(&["rollback", "zai-proxy", "--yes"], &[])
        .ended(0);
    let mut files = Vec::new();
    collect(&home.join("state"), &mut files);
    let logs = files
        .iter()
        .filter(|file| file.extension().is_some_and(|e| e == "log"));
    let logs: Vec<String> = logs
        .map(|log| std::fs::read_to_string(log).unwrap())
        .collect();
    assert!(logs.iter().any(|log| log.contains(LOG_MARK)), "{files:?}");
    for log in logs {
        planted.silent("the log in a run's evidence", &log);
    }
}
