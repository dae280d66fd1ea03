//! `unship collect`: what a bundle holds, in a folder and in an archive, with more rights
//! than the observer's, and when parts fail.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod common;
#[path = "bundles/metrics.rs"]
mod metrics;
#[path = "bundles/partly.rs"]
mod partly;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use common::{Outcome, Plan, World, bed, build, run, world};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A bundle that was collected: its outcome, its folder, its document.
struct Collected {
    outcome: Outcome,
    folder: PathBuf,
    manifest: Value,
}

impl Collected {
    #[track_caller]
    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name))
            .unwrap_or_else(|error| panic!("{name}: {error}\n{:#}", self.manifest))
    }

    fn names(&self) -> Vec<String> {
        let files = self.manifest["files"].as_array().unwrap();
        let names = files.iter().map(|file| file["path"].as_str().unwrap());
        names.map(str::to_owned).collect()
    }

    /// Why something is missing.
    #[track_caller]
    fn missing(&self, what: &str) -> String {
        let all = self.manifest["missing"].as_array().unwrap();
        let found = all
            .iter()
            .find(|gap| gap["what"].as_str().unwrap().contains(what));
        let found = found.unwrap_or_else(|| panic!("{what} is not missing: {:#}", self.manifest));
        found["reason"].as_str().unwrap().to_owned()
    }

    /// The name of a pod's log that ends so.
    #[track_caller]
    fn log(&self, ending: &str) -> String {
        let mut names = self.names().into_iter();
        let found = names.find(|name| name.starts_with("logs/") && name.ends_with(ending));
        found.unwrap_or_else(|| panic!("no log {ending}: {:?}", self.names()))
    }
}

#[track_caller]
fn collect(world: &World, words: &[&str]) -> Collected {
    collect_with(world, words, |_| ())
}

#[track_caller]
fn collect_with(
    world: &World,
    words: &[&str],
    change: impl FnOnce(&mut std::process::Command),
) -> Collected {
    let folder = world.engineer.home.join("bundle");
    let _ = std::fs::remove_dir_all(&folder);
    let mut command = world.command(&["collect", "zai-proxy", "-n", &world.name, "-o", "json"]);
    command.args(words).arg("--out").arg(&folder);
    change(&mut command);
    let outcome = run(command);
    outcome.ended(0);
    let text = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        outcome.json()["items"][0]["manifest"],
        manifest,
        "the same is printed"
    );
    Collected {
        outcome,
        folder,
        manifest,
    }
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn tree(folder: &Path, below: &str, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            tree(&entry.path(), &format!("{name}/"), found);
        } else {
            found.insert(name, std::fs::read(entry.path()).unwrap());
        }
    }
}

/// Every file is in the manifest with its size and hash, and the other way round.
#[track_caller]
fn adds_up(manifest: &Value, files: &BTreeMap<String, Vec<u8>>) {
    let listed: BTreeMap<String, (u64, String)> = manifest["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| {
            let text = |key: &str| file[key].as_str().unwrap().to_owned();
            (
                text("path"),
                (file["bytes"].as_u64().unwrap(), text("sha256")),
            )
        })
        .collect();
    let there = files.iter().filter(|(name, _)| *name != "manifest.json");
    let there: BTreeMap<String, (u64, String)> = there
        .map(|(name, bytes)| (name.clone(), (bytes.len() as u64, hash(bytes))))
        .collect();
    assert_eq!(listed, there);
}

fn audit(world: &World) -> Vec<Value> {
    let text = std::fs::read_to_string(bed().sandbox.variable("UNSHIP_WORLD_AUDIT_LOG")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .filter(|line: &Value| {
            line["userAgent"].as_str().unwrap().starts_with("unship/")
                && line["objectRef"]["namespace"] == world.name.as_str()
        })
        .collect()
}

#[test]
fn everything_that_an_observer_may_see() {
    let world = world("whole");
    let saved = collect(&world, &[]);
    let mut files = BTreeMap::new();
    tree(&saved.folder, "", &mut files);
    adds_up(&saved.manifest, &files);
    assert!(
        files.keys().all(|name| !name.ends_with(".part")),
        "{:?}",
        files.keys()
    );
    let previous = saved.text(&saved.log("/proxy.previous.log"));
    assert!(previous.contains("panic: runtime error"), "{previous}");
    let first = previous.split_whitespace().next().unwrap();
    assert!(
        first.parse::<jiff::Timestamp>().is_ok(),
        "a time first: {previous}"
    );
    saved.log("/proxy.log");
    let names = saved.names();
    let count = |prefix: &str| names.iter().filter(|name| name.starts_with(prefix)).count();
    assert_eq!(count("objects/deployment-zai-proxy.yaml"), 1, "{names:?}");
    assert_eq!(count("objects/service-zai-proxy.yaml"), 1, "{names:?}");
    assert_eq!(
        (count("objects/replicaset-"), count("objects/pod-")),
        (3, 2),
        "{names:?}"
    );
    assert_eq!(count("objects/endpointslice-"), 1, "{names:?}");
    let pod = names
        .iter()
        .find(|name| name.starts_with("objects/pod-"))
        .unwrap();
    let pod: Value = serde_yaml::from_str(&saved.text(pod)).unwrap();
    assert_eq!(
        (&pod["kind"], &pod["apiVersion"]),
        (&json!("Pod"), &json!("v1"))
    );
    let events = saved.text("events.txt");
    assert!(
        events.contains("BackOff") && events.contains("Normal"),
        "{events}"
    );
    descriptions(&saved);
    conclusions(&world, &saved);
    assert!(saved.missing("PodDisruptionBudget").contains("forbidden"));
    let reason = saved.missing("metrics/");
    for words in [
        "no metrics.url",
        "create pods/portforward in ",
        "get pods/proxy in ",
        "is not allowed",
    ] {
        assert!(reason.contains(words), "{words:?} in {reason}");
    }
    let verbs = audit(&world);
    assert!(!verbs.is_empty());
    for line in verbs {
        let verb = line["verb"].as_str().unwrap();
        assert!(["get", "list"].contains(&verb), "{line}");
        assert_ne!(line["objectRef"]["subresource"], "proxy", "{line}");
    }
    assert_eq!(saved.outcome.json()["exitCode"], 0);
}

#[track_caller]
fn descriptions(saved: &Collected) {
    let names = saved.names();
    let deployment = saved.text("describe/deployment-zai-proxy.txt");
    assert!(deployment.contains("Recorded templates:"), "{deployment}");
    let described = names
        .iter()
        .filter(|name| name.starts_with("describe/pod-"));
    let described: String = described.map(|name| saved.text(name)).collect();
    for words in [
        "waiting message=back-off",
        "terminated exitCode=1",
        "Events:",
        "BackOff",
    ] {
        assert!(described.contains(words), "{words:?} in {described}");
    }
}

#[track_caller]
fn conclusions(world: &World, saved: &Collected) {
    let timeline: Value = serde_json::from_str(&saved.text("timeline.json")).unwrap();
    let history = world.unship(&["history", "zai-proxy", "-n", &world.name, "-o", "json"]);
    let images = |document: &Value| {
        let entries = document["entries"].as_array().unwrap().iter();
        entries
            .map(|entry| entry["image"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(images(&timeline), images(&history.json()));
    assert!(saved.text("timeline.txt").contains("1.2.1-crash"));
    let application: Value = serde_json::from_str(&saved.text("application.json")).unwrap();
    assert_eq!(application["resource"]["sync"], "Synced", "{application:#}");
    assert!(
        application["tree"].as_array().unwrap().len() >= 3,
        "{application:#}"
    );
}

#[test]
fn an_archive_in_place_of_the_folder() {
    let world = world("archive");
    let out = world.engineer.home.join("evidence");
    let words = [
        "collect",
        "zai-proxy",
        "-n",
        &world.name,
        "--archive",
        "-o",
        "json",
        "--out",
    ];
    let mut command = world.command(&words);
    command.arg(&out);
    let outcome = run(command);
    outcome.ended(0);
    let document = outcome.json();
    assert!(
        !out.exists() && document["folder"].is_null(),
        "{document:#}"
    );
    let archive = out.with_extension("tar.gz");
    let bytes = std::fs::read(&archive).unwrap();
    assert_eq!(document["archive"]["sha256"], hash(&bytes));
    let mut files = BTreeMap::new();
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        files.insert(name.strip_prefix("evidence/").unwrap().to_owned(), content);
    }
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    adds_up(&manifest, &files);
    assert_eq!(document["items"][0]["manifest"], manifest);
}

#[test]
fn several_targets_lie_side_by_side_below_a_default_folder() {
    let world = build(&Plan {
        workloads: vec!["web".to_owned(), "worker".to_owned()],
        ..Plan::new("several")
    });
    let words = [
        "collect",
        "web",
        "deploy/worker",
        "deploy/web",
        "-n",
        &world.name,
        "--tail",
        "2",
    ];
    let outcome = world.unship(&words);
    outcome
        .ended(0)
        .said(&["deployment/web in ", "deployment/worker in ", "saved in "]);
    let entries = std::fs::read_dir(&world.engineer.clone).unwrap().flatten();
    let mut made = entries.map(|entry| entry.path()).filter(|path| {
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("unship-")
    });
    let folder = made.next().unwrap();
    assert!(made.next().is_none());
    assert!(
        folder
            .to_string_lossy()
            .contains(&format!("unship-{}-2", world.name))
    );
    for name in ["deployment-web", "deployment-worker"] {
        let text = std::fs::read_to_string(folder.join(name).join("manifest.json")).unwrap();
        let manifest: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(manifest["options"]["tailLines"], 2);
        let mut files = BTreeMap::new();
        tree(&folder.join(name).join("logs"), "", &mut files);
        assert!(files.len() >= 2, "{:?}", files.keys());
        for (name, bytes) in files {
            let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(lines, 2, "{name}");
        }
    }
}

#[test]
fn a_stateful_set_without_argocd() {
    let world = build(&Plan {
        application: false,
        bad: false,
        ..Plan::new("sts")
    });
    let labels = json!({"app": "db"});
    let object = json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": world.name},
        "spec": {"replicas": 2, "serviceName": "db", "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels},
                "spec": {"containers": [{"name": "db", "image": "example.org/db:1"}],
                    "initContainers": [{"name": "prepare", "image": "busybox:1"}]}}}});
    bed().sandbox.create(object).unwrap();
    let place = ("apps", "StatefulSet", world.name.as_str(), "db");
    let ready = bed()
        .sandbox
        .wait_for(place, std::time::Duration::from_secs(20), |set| {
            set["status"]["readyReplicas"] == 2
        });
    bed().runtime.block_on(ready).unwrap();
    let out = world.engineer.home.join("bundle");
    let mut command = world.command(&[
        "collect",
        "sts/db",
        "-n",
        &world.name,
        "-o",
        "json",
        "--out",
    ]);
    command.arg(&out).env_remove("ARGOCD_SERVER");
    let outcome = run(command);
    outcome.ended(0);
    let saved = Collected {
        manifest: outcome.json()["items"][0]["manifest"].clone(),
        outcome,
        folder: out,
    };
    let names = saved.names();
    for name in [
        "objects/statefulset-db.yaml",
        "objects/pod-db-0.yaml",
        "objects/pod-db-1.yaml",
        "describe/pod-db-1.txt",
        "logs/db-0/db.log",
        "logs/db-0/prepare.log",
    ] {
        assert!(
            names.iter().any(|other| other == name),
            "{name} in {names:?}"
        );
    }
    assert!(
        saved
            .missing("ControllerRevision objects")
            .contains("forbidden")
    );
    assert!(saved.missing("application.json").contains("ARGOCD_SERVER"));
}
