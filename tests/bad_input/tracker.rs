//! `unship request` with trackers, files and templates that do not work.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{Outcome, World, run};
use crate::shared;

/// A program for beads that behaves as beads_rust does.
const FAKE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tracker/fake_br.sh");

fn configure(world: &World, text: &str) {
    let folder = world.engineer.home.join("config/unship");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.yaml"), text).unwrap();
}

/// A folder for a tracker; the fake is configured to work in it.
fn tracked(world: &World) -> PathBuf {
    let folder = world.engineer.home.join("tracker");
    std::fs::create_dir_all(&folder).unwrap();
    configure(
        world,
        &format!(
            "tracker: {{program: {FAKE}, directory: {}, timeout: 3s}}\n",
            folder.display()
        ),
    );
    folder
}

fn initialised(world: &World) -> PathBuf {
    let folder = tracked(world);
    std::fs::create_dir_all(folder.join(".beads")).unwrap();
    folder
}

fn beads(folder: &Path) -> usize {
    std::fs::read_dir(folder.join(".beads/beads")).map_or(0, Iterator::count)
}

fn request(world: &World, also: &[&str]) -> Command {
    let words = ["request", "zai-proxy", "-n", &world.name];
    world.command(&[&words[..], also].concat())
}

/// The request is there as a file all the same, with a warning and what to do.
#[track_caller]
fn handed_over(world: &World, words: &[&str]) -> Outcome {
    let outcome = run(request(world, &[]));
    outcome.ended(7).said(words).said(&["warning: "]);
    assert_eq!(files(world).len(), 1, "{}", outcome.shown());
    let text = std::fs::read_to_string(&files(world)[0]).unwrap();
    assert!(text.contains("CrashLoopBackOff"), "{text}");
    outcome
}

/// The request files in the working directory.
fn files(world: &World) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(&world.engineer.clone).unwrap();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .filter(|path| path.to_string_lossy().contains("unship-request-"))
        .collect();
    found.sort();
    found
}

#[test]
fn a_tracker_that_is_not_installed() {
    let world = shared("tracker-missing");
    configure(&world, "tracker: {program: no-such-br}\n");
    handed_over(
        &world,
        &["no-such-br is not installed", "tracker: {program: ...}"],
    );
}

#[test]
fn a_tracker_that_is_not_initialised() {
    let world = shared("tracker-bare");
    let folder = tracked(&world);
    handed_over(&world, &["no beads workspace in", "br init"]);
    assert!(
        !folder.join(".beads").exists(),
        "it is not initialised for them"
    );
    std::fs::remove_dir(&folder).unwrap();
    handed_over(&world, &["cannot be used", "tracker: {directory: ...}"]);
}

#[test]
fn a_tracker_that_is_locked() {
    let world = shared("tracker-locked");
    let folder = initialised(&world);
    std::fs::write(folder.join(".beads/locked"), "100000").unwrap();
    handed_over(&world, &["stayed locked for 3 s", "timeout"]);
    // A lock that goes away is waited for.
    std::fs::write(folder.join(".beads/locked"), "2").unwrap();
    run(request(&world, &[])).ended(7).said(&["fake-1"]);
    assert_eq!(beads(&folder), 1);
}

#[test]
fn a_tracker_that_fails_or_hangs() {
    let world = shared("tracker-failing");
    let folder = initialised(&world);
    std::fs::write(folder.join(".beads/fail"), "8").unwrap();
    let words = "I/O error: no space left on https://u:canary-tracker@h/x\u{1b}[2J";
    std::fs::write(folder.join(".beads/fail.text"), words).unwrap();
    let outcome = handed_over(&world, &["exit code 8", "no space left"]);
    assert!(
        !outcome.text().contains("canary-tracker"),
        "{}",
        outcome.shown()
    );
    std::fs::remove_file(folder.join(".beads/fail")).unwrap();
    std::fs::write(folder.join(".beads/hang"), "").unwrap();
    handed_over(&world, &["did not end within 3 s"]);
}

#[test]
fn a_process_that_is_killed_before_it_knows_the_bead() {
    let world = shared("tracker-killed");
    let folder = initialised(&world);
    let mut killed = 0;
    for at in 1..=3 {
        let _ = std::fs::remove_dir_all(folder.join(".beads/beads"));
        for file in files(&world) {
            std::fs::remove_file(file).unwrap();
        }
        let mut command = request(&world, &[]);
        command.env("UNSHIP_CRASH_AT", at.to_string());
        let outcome = run(command);
        killed += usize::from(outcome.signal == Some(9));
        let before = beads(&folder);
        run(request(&world, &[])).ended(7).said(&["fake-1"]);
        assert_eq!(beads(&folder), 1, "killed at {at} with {before} beads");
        let text = std::fs::read_to_string(&files(&world)[0]).unwrap();
        assert!(text.contains("Tracked as `fake-1`"), "{text}");
    }
    assert_eq!(killed, 3, "each point is there");
}

#[test]
fn a_file_that_cannot_be_written_or_is_somebody_elses() {
    let world = shared("tracker-file");
    let folder = initialised(&world);
    let nowhere = run(request(&world, &["--out", "no/such/folder/request.md"]));
    nowhere.ended(1).said(&[
        "request.md could not be written",
        "--out",
        "no bead was created",
    ]);
    let notes = world.engineer.home.join("notes.md");
    std::fs::write(&notes, "mine\n").unwrap();
    let other = run(request(&world, &["--out", &notes.display().to_string()]));
    other
        .ended(2)
        .said(&["notes.md is there", "left alone", "--out"]);
    assert_eq!(std::fs::read_to_string(&notes).unwrap(), "mine\n");
    let folder_of_that_name = world.engineer.home.join("folder.md");
    std::fs::create_dir(&folder_of_that_name).unwrap();
    let place = folder_of_that_name.display().to_string();
    run(request(&world, &["--out", &place])).ended(1);
    assert_eq!(beads(&folder), 0);
    assert!(files(&world).is_empty());
}

#[test]
fn a_template_that_cannot_be_used() {
    let world = shared("tracker-template");
    let folder = initialised(&world);
    let template = world.engineer.home.join("config/unship/own.md");
    let base =
        std::fs::read_to_string(world.engineer.home.join("config/unship/config.yaml")).unwrap();
    configure(
        &world,
        &format!("{base}records: {{request: {{template: own.md}}}}\n"),
    );
    let cases = [
        ("one\n\n{% if %}\n", "own.md, line 3"),
        ("one\n{{ podz }}\n", "own.md, line 2"),
    ];
    for (text, words) in cases {
        std::fs::write(&template, text).unwrap();
        let outcome = run(request(&world, &[]));
        outcome.ended(2).said(&[words, "docs/cli.md"]);
    }
    std::fs::remove_file(&template).unwrap();
    run(request(&world, &[]))
        .ended(2)
        .said(&["own.md", "records.request.template"]);
    let mut check = world.command(&["config", "check"]);
    check.current_dir(&world.engineer.home);
    run(check).ended(2).said(&["own.md"]);
    for (bad, words) in [
        ("records: {request: {priority: high}}\n", "P0"),
        ("records: {request: {lables: [a]}}\n", "lables"),
        (
            "tracker: {program: ./br}\n",
            "neither a name nor an absolute path",
        ),
        ("tracker: {timeout: soon}\n", "tracker.timeout"),
    ] {
        configure(&world, bad);
        run(request(&world, &[])).ended(2).said(&[words]);
    }
    assert_eq!(beads(&folder), 0);
    assert!(files(&world).is_empty());
    // And one that can be used is.
    std::fs::write(&template, "only {{ target }} matters\n").unwrap();
    configure(
        &world,
        "records:\n  request: {title: \"Help with {{ name }}\", labels: [a], priority: P3, template: own.md}\n",
    );
    let outcome = run(request(&world, &["--record", "file", "-o", "json"]));
    outcome.ended(7);
    let report = outcome.json();
    assert_eq!(report["title"], "Help with zai-proxy");
    assert_eq!(report["priority"], 3);
    assert_eq!(report["labels"], serde_json::json!(["a"]));
    let text = std::fs::read_to_string(report["file"].as_str().unwrap()).unwrap();
    assert!(text.contains("only deployment/zai-proxy matters"), "{text}");
}

#[test]
fn a_repository_names_no_program() {
    let world = shared("tracker-untrusted");
    let script = world.engineer.home.join("evil");
    let trace = world.engineer.home.join("trace");
    std::fs::write(&script, format!("#!/bin/sh\ntouch {}\n", trace.display())).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    let text = format!(
        "tracker: {{program: {}}}\nrecords: {{request: {{title: evil}}}}\n",
        script.display()
    );
    for name in ["unship.yaml", "config.yaml", ".unship.yaml"] {
        std::fs::write(world.engineer.clone.join(name), &text).unwrap();
    }
    configure(&world, "tracker: {program: no-such-br}\n");
    let outcome = handed_over(&world, &["no-such-br is not installed"]);
    assert!(
        !outcome.text().contains("title    evil"),
        "{}",
        outcome.shown()
    );
    assert!(!trace.exists(), "a program named by a repository was run");
}

#[test]
fn wrong_words() {
    let world = shared("tracker-words");
    for (words, said) in [
        (&["--expires", "soon"][..], "soon"),
        (&["--record", "jira"], "jira"),
        (&["--to", ""], "--to is empty"),
    ] {
        run(request(&world, words)).ended(2).said(&[said]);
    }
    let nobody = world.command(&["request", "nobody", "-n", &world.name]);
    run(nobody).ended(2).said(&["nobody"]);
    assert!(files(&world).is_empty());
}
