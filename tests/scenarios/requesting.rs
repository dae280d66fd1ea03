//! Nothing is allowed: a human gets a complete request.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::repository::{clean, git};
use crate::stage::{BAD, GOOD, Stage, Story};
use crate::unship::{Outcome, Unship};
use crate::world::World;

/// A program for beads that behaves as beads_rust does.
const FAKE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tracker/fake_br.sh");

/// The remote gives everything and takes nothing.
fn read_only(stage: &Stage) {
    git(stage.bare(), &["config", "http.receivepack", "false"]);
}

/// The user's own configuration names the tracker.
fn configure(user: &Unship<'_>, program: &str, folder: &Path) {
    let place = user.home().join(".config/unship");
    std::fs::create_dir_all(&place).expect("a folder for the configuration");
    let text = format!(
        "tracker:\n  program: {program}\n  directory: {}\n",
        folder.display()
    );
    std::fs::write(place.join("config.yaml"), text).expect("the configuration");
}

/// Programs for beads: the fake one, and the real one where there is one.
fn programs() -> Vec<String> {
    let real = std::env::var("UNSHIP_TEST_BR").ok();
    [FAKE.to_owned()].into_iter().chain(real).collect()
}

/// A workspace for a program.
fn workspace(stage: &Stage, program: &str, number: usize) -> PathBuf {
    let folder = stage.folder.join(format!("tracker-{number}"));
    std::fs::create_dir_all(&folder).expect("a folder for the tracker");
    if program == FAKE {
        std::fs::create_dir(folder.join(".beads")).expect("a workspace");
    } else {
        let output = clean(program, &folder)
            .current_dir(&folder)
            .args(["init", "--prefix", "bd"])
            .output()
            .expect("the real program");
        assert!(output.status.success(), "{output:?}");
    }
    folder
}

/// Everything that was asked is there, nothing was written but the file and the bead.
fn complete(outcome: Outcome, story: &Story) -> Outcome {
    let outcome = outcome.ends_with(7);
    outcome
        .has("/kind", "Request")
        .has(
            "/title",
            "URGENT: Request production rollback for zai-proxy",
        )
        .has("/issueType", "bug")
        .has("/priority", 0)
        .has("/from/commit", story.bad.as_str())
        .has("/to/commit", story.good.as_str());
    let labels = ["critical", "rollback", "production", "human-required"];
    assert_eq!(outcome.json["labels"], Value::from(labels.to_vec()));
    let file = outcome.json["file"].as_str().unwrap_or_default();
    let text = std::fs::read_to_string(file).expect("the request's file");
    for needed in [
        "customers see 502",
        "CrashLoopBackOff",
        &format!("zai-proxy:{BAD}"),
        &format!("zai-proxy:{GOOD}"),
        &story.bad,
        &story.good,
        &format!("+          image: ronaldraygun/zai-proxy:{GOOD}"),
        "This request expires ",
        "unship rollback deployment/zai-proxy",
        "right denied: `patch deployments.apps",
        "right denied: `git push`",
    ] {
        assert!(text.contains(needed), "{needed:?} is not in\n{text}");
    }
    outcome
}

/// With a tracker: one bead, found again by the second call.
pub(crate) fn a_request_becomes_one_bead(world: &'static World) {
    let story = Stage::with_bad_release(world, "bead");
    let stage = &story.stage;
    read_only(stage);
    let before = (
        stage.references(),
        stage.deployment().map(|d| d["spec"].clone()),
    );
    let user = stage.user();
    for (number, program) in programs().iter().enumerate() {
        let folder = workspace(stage, program, number);
        configure(&user, program, &folder);
        let ask = || user.on_target("request", &["--reason", "customers see 502"]);
        let first = complete(ask(), &story);
        let id = first.json["bead"].as_str().map(str::to_owned);
        let id = id.unwrap_or_else(|| panic!("no bead: {}", first.story()));
        first.has("/requestedBefore", false);
        assert_eq!(
            first.json["warnings"],
            Value::Array(vec![]),
            "{}",
            first.story()
        );
        let file = PathBuf::from(first.json["file"].as_str().unwrap_or_default());
        let text = std::fs::read_to_string(&file).expect("the file");
        assert!(text.contains(&format!("Tracked as `{id}`")), "{text}");
        let second = complete(ask(), &story);
        second
            .has("/bead", id.as_str())
            .has("/requestedBefore", true)
            .has("/file", file.display().to_string())
            .has("/incident", first.json["incident"].clone());
        if program == FAKE {
            let bead = folder.join(".beads/beads").join(&id);
            let read = |name: &str| std::fs::read_to_string(bead.join(name)).unwrap_or_default();
            assert_eq!(
                (read("type").as_str(), read("priority").as_str()),
                ("bug", "0")
            );
            assert_eq!(
                read("labels"),
                "critical,rollback,production,human-required"
            );
            assert_eq!(read("reference"), first.json["incident"]);
            assert!(read("description").contains("customers see 502"));
            let beads = std::fs::read_dir(folder.join(".beads/beads")).expect("beads");
            assert_eq!(beads.count(), 1, "no second bead");
        }
        std::fs::remove_file(&file).expect("the file is there");
    }
    let after = (
        stage.references(),
        stage.deployment().map(|d| d["spec"].clone()),
    );
    assert_eq!(before, after, "nothing else was written");
    assert!(user.runs().is_empty(), "a request is no run");
}

/// A rollback that is over becomes a bead, with what was done and how it ended.
pub(crate) fn a_rollback_is_put_on_record(world: &'static World) {
    let story = Stage::with_bad_release(world, "on-record");
    let stage = &story.stage;
    let user = stage.user();
    let folder = workspace(stage, FAKE, 0);
    configure(&user, FAKE, &folder);
    let run = user
        .rollback(&["--record", "br", "--reason", "customers see 502"])
        .ends_with(0);
    let last = run.json["steps"].as_array().and_then(|steps| steps.last());
    let last = last.cloned().unwrap_or_default();
    assert_eq!(
        (&last["id"], &last["state"]),
        (&"record".into(), &"done".into())
    );
    let beads = folder.join(".beads/beads");
    let all: Vec<_> = std::fs::read_dir(&beads)
        .expect("beads")
        .flatten()
        .collect();
    assert_eq!(all.len(), 1, "{all:?}");
    let read = |name: &str| std::fs::read_to_string(all[0].path().join(name)).unwrap_or_default();
    assert_eq!(
        (read("type").as_str(), read("priority").as_str()),
        ("bug", "0")
    );
    let (title, body) = (read("title"), read("description"));
    assert_eq!(
        title.trim(),
        format!("Production rollback after v{BAD} promotion")
    );
    let commit = run.json["commits"][0]["id"].as_str().unwrap_or("?");
    for part in [
        &format!(":{BAD}`"),
        &format!(":{GOOD}`"),
        &format!("commit {}", &commit[..7]),
        "customers see 502",
        "holds",
        "CrashLoopBackOff",
    ] {
        assert!(body.contains(part), "{part} in {body}");
    }
}

/// Without a tracker: the file and a warning. What it says to do by hand works.
pub(crate) fn a_request_without_a_tracker_is_a_file(world: &'static World) {
    let story = Stage::with_bad_release(world, "request");
    let stage = &story.stage;
    read_only(stage);
    let user = stage.user();
    configure(&user, "no-such-program-for-beads", &stage.folder);
    let outcome = user.on_target("request", &["--reason", "customers see 502"]);
    let outcome = complete(outcome, &story);
    outcome
        .has("/bead", Value::Null)
        .says("/warnings", "no-such-program-for-beads is not installed");
    let ways = outcome.json["ways"].as_array().cloned().unwrap_or_default();
    let way = ways.iter().find(|way| way["id"] == "git");
    let way = way.unwrap_or_else(|| panic!("no way by hand: {}", outcome.story()));
    let script: Vec<&str> = way["commands"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    git(stage.bare(), &["config", "http.receivepack", "true"]);
    let done = clean("sh", &user.clone().folder)
        .current_dir(&user.clone().folder)
        .args(["-e", "-c", &script.join("\n")])
        .output()
        .expect("a shell");
    assert!(done.status.success(), "{script:#?}\n{done:?}");
    stage.refresh();
    story.assert_rolled_back(&story.tip);
}
