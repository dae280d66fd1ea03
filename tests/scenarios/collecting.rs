//! Evidence: what an observer's bundle of the bad release holds, and that taking it writes
//! nothing.

use std::path::Path;

use serde_json::Value;

use crate::admin::Kind;
use crate::stage::{BAD, GOOD, Stage};
use crate::world::World;

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name))
        .unwrap_or_else(|error| panic!("{name} in {}: {error}", folder.display()))
}

/// What of the stage only a write could change: the rollout itself goes on meanwhile.
fn written(stage: &Stage) -> (Value, Value, Vec<Value>, String) {
    let deployment = stage.deployment().expect("the Deployment");
    let sets = stage.list(Kind::ReplicaSet).into_iter();
    (
        deployment["metadata"]["generation"].clone(),
        deployment["spec"].clone(),
        sets.map(|set| set["spec"].clone()).collect(),
        stage.references(),
    )
}

/// The files that the manifest names, which are there.
fn listed<'m>(folder: &Path, manifest: &'m Value) -> Vec<&'m str> {
    let files = manifest["files"].as_array().into_iter().flatten();
    let files: Vec<&str> = files.filter_map(|file| file["path"].as_str()).collect();
    for file in &files {
        assert!(
            folder.join(file).is_file(),
            "{file} is in the manifest only"
        );
    }
    files
}

/// Current and previous log of the crashing pod, events, objects, timeline: all there for an
/// observer. What it may not read is named, and nothing is written to the cluster or to Git.
pub(crate) fn an_observer_collects_the_evidence(world: &'static World) {
    let story = Stage::with_bad_release(world, "collects");
    let stage = &story.stage;
    let before = written(stage);
    let user = stage.user();
    let folder = user.home().join("bundle");
    let out = folder.display().to_string();
    let outcome = user.on_target("collect", &["--out", &out]).ends_with(0);
    outcome.has("/kind", "Bundle").has("/folder", out.as_str());
    let manifest = &outcome.json["items"][0]["manifest"];
    assert_eq!(manifest["target"]["namespace"], stage.name.as_str());
    let files = listed(&folder, manifest);
    let of_bad = |file: &&&str| {
        let log = file.strip_suffix("/proxy.previous.log");
        log.is_some_and(|pod| files.contains(&format!("{pod}/proxy.log").as_str()))
    };
    let previous = files.iter().find(of_bad);
    let previous = previous.unwrap_or_else(|| panic!("both logs in {}", outcome.story()));
    let log = read(&folder, previous);
    let time = log.split_whitespace().next().unwrap_or_default();
    assert!(
        time.parse::<jiff::Timestamp>().is_ok(),
        "a time first: {log}"
    );
    let pod = previous.split('/').nth(1).unwrap_or_default();
    let described = read(&folder, &format!("describe/pod-{pod}.txt"));
    for words in ["CrashLoopBackOff", "terminated exitCode=1", "BackOff", BAD] {
        assert!(described.contains(words), "{words:?} in {described}");
    }
    let object = read(&folder, &format!("objects/pod-{pod}.yaml"));
    assert!(object.contains("kind: Pod"), "{object}");
    let events = read(&folder, "events.txt");
    assert!(
        events.contains("BackOff") && events.contains("Normal"),
        "{events}"
    );
    let sets = files
        .iter()
        .filter(|file| file.starts_with("objects/replicaset-"));
    assert_eq!(sets.count(), 2, "{files:?}");
    for file in [
        "objects/deployment-zai-proxy.yaml",
        "objects/service-zai-proxy.yaml",
    ] {
        assert!(files.contains(&file), "{file} in {files:?}");
    }
    let timeline = read(&folder, "timeline.txt");
    for words in [BAD, GOOD, &story.bad[..7], &story.good[..7]] {
        assert!(timeline.contains(words), "{words:?} in {timeline}");
    }
    let application = read(&folder, "application.json");
    assert!(application.contains(&story.tip), "{application}");
    let missing = &manifest["missing"].to_string();
    for words in [
        "PodDisruptionBudget objects",
        "get pods/proxy in ",
        "is not allowed",
    ] {
        assert!(missing.contains(words), "{words:?} in {}", outcome.story());
    }
    assert_eq!(before, written(stage), "nothing is written");
    assert!(user.runs().is_empty(), "a bundle is no run");
}
