//! Parts that fail, break off or are slow, and a person who stops it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use unship::sandbox::{Effect, Fault, Surface};

use super::common::{self, bed, run, world};
use super::{adds_up, collect, tree};

fn plant(path: String, effect: Effect) -> u64 {
    let fault = Fault {
        surface: Surface::Kubernetes,
        method: None,
        path,
        skip: 0,
        times: None,
        effect,
    };
    bed().sandbox.faults().plant(fault).unwrap()
}

#[test]
fn a_log_that_breaks_off_is_named_as_cut() {
    let world = world("cut");
    let path = format!("/namespaces/{}/pods/.*/log.*previous=true", world.name);
    let id = plant(path, Effect::Half);
    let saved = collect(&world, &[]);
    bed().sandbox.faults().remove(id);
    let name = saved.log("/proxy.previous.log.cut");
    assert!(saved.text(&name).contains("starting image"));
    let files = saved.manifest["files"].as_array().unwrap();
    let file = files
        .iter()
        .find(|file| file["path"] == name.as_str())
        .unwrap();
    assert!(
        file["cut"].as_str().unwrap().contains("does not answer"),
        "{file}"
    );
    saved.missing("the rest of logs/");
    let mut all = BTreeMap::new();
    tree(&saved.folder, "", &mut all);
    adds_up(&saved.manifest, &all);
    assert!(
        !all.keys().any(|name| name.ends_with("previous.log")),
        "{:?}",
        all.keys()
    );
}

#[test]
fn parts_fail_alone() {
    let world = world("alone");
    let namespace = format!("/namespaces/{}/", world.name);
    for (path, missing) in [
        ("pods/.*/log", "logs/"),
        ("services", "Service objects"),
        ("events\\?limit", "Event objects"),
        ("replicasets", "ReplicaSet objects"),
        ("pods\\?", "Pod objects"),
    ] {
        let id = plant(format!("{namespace}{path}"), Effect::Answer(403));
        let saved = collect(&world, &[]);
        bed().sandbox.faults().remove(id);
        let reason = saved.missing(missing);
        assert!(reason.contains("forbidden"), "{missing}: {reason}");
        let names = saved.names();
        assert!(
            names.contains(&"objects/deployment-zai-proxy.yaml".to_owned()),
            "{names:?}"
        );
        assert!(names.contains(&"timeline.txt".to_owned()), "{names:?}");
    }
    let saved = collect(&world, &["--no-logs"]);
    assert!(saved.missing("logs").contains("left out"));
    assert!(!saved.names().iter().any(|name| name.starts_with("logs/")));
}

#[test]
fn an_interrupted_collection_says_what_it_has() {
    let world = world("interrupted");
    let id = plant(
        format!("/namespaces/{}/pods/.*/log", world.name),
        Effect::DelayMs(20_000),
    );
    let folder = world.engineer.home.join("bundle");
    let mut command = world.command(&["collect", "zai-proxy", "-n", &world.name, "-o", "json"]);
    command
        .arg("--out")
        .arg(&folder)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    let began = std::time::Instant::now();
    while !folder.join("objects/deployment-zai-proxy.yaml").exists() {
        assert!(began.elapsed().as_secs() < 15, "nothing is saved");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let id_of_child = child.id().to_string();
    run({
        let mut kill = std::process::Command::new("kill");
        kill.args(["-INT", &id_of_child]);
        kill
    });
    let outcome = common::finish(child);
    bed().sandbox.faults().remove(id);
    outcome.ended(130).said(&["interrupted"]);
    let text = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    assert!(text.contains("\"reason\": \"interrupted\""), "{text}");
    let manifest: Value = serde_json::from_str(&text).unwrap();
    let mut files = BTreeMap::new();
    tree(&folder, "", &mut files);
    adds_up(&manifest, &files);
}

#[test]
fn a_rollback_does_not_wait_for_slow_logs() {
    let world = world("slow");
    let path = format!("/namespaces/{}/pods/.*/log", world.name);
    let id = plant(path, Effect::DelayMs(20_000));
    let outcome = world.rollback();
    bed().sandbox.faults().remove(id);
    outcome.ended(0);
    let run = outcome.json();
    let notes = run["notes"].to_string();
    assert!(notes.contains("evidence misses logs/"), "{notes}");
    assert!(notes.contains("it was not there within 5 s"), "{notes}");
    let steps = run["steps"].as_array().unwrap();
    let capture = steps.iter().find(|step| step["id"] == "capture").unwrap();
    assert!(capture["seconds"].as_f64().unwrap() < 6.0, "{capture}");
    let folder = PathBuf::from(run["evidence"].as_str().unwrap());
    let text = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(manifest["options"]["profile"], "quick");
    let mut files = BTreeMap::new();
    tree(&folder, "", &mut files);
    adds_up(&manifest, &files);
    for there in [
        "events.json",
        "pods.json",
        "objects/deployment-zai-proxy.yaml",
    ] {
        assert!(files.contains_key(there), "{there}: {:?}", files.keys());
    }
}
