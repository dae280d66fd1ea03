//! Bad input, line by line: a clear message that names the thing, what to do next, the
//! right exit code, and nothing written.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod common;

#[path = "bad_input/argocd.rs"]
mod argocd;
#[path = "bad_input/clones.rs"]
mod clones;
#[path = "bad_input/cluster.rs"]
mod cluster;
#[path = "bad_input/collect.rs"]
mod collect;
#[path = "bad_input/hostile.rs"]
mod hostile;
#[path = "bad_input/interrupt.rs"]
mod interrupt;
#[path = "bad_input/journal.rs"]
mod journal;
#[path = "bad_input/manifests.rs"]
mod manifests;
#[path = "bad_input/remotes.rs"]
mod remotes;
#[path = "bad_input/tracker.rs"]
mod tracker;

use std::process::Command;
use std::sync::OnceLock;

use common::{GOOD, Outcome, World, release, run, world};

/// One world for all that writes nothing, seen by an engineer of each test's own.
fn shared(name: &str) -> World {
    static SHARED: OnceLock<World> = OnceLock::new();
    SHARED.get_or_init(|| world("shared")).seen_by(name)
}

/// A rollback in words for people.
fn rollback(world: &World) -> Command {
    world.command(&["rollback", "zai-proxy", "-n", &world.name, "--yes"])
}

/// Runs a command that must refuse: the exit code, the words, a next step, and nothing
/// written anywhere.
#[track_caller]
fn refuses(world: &World, command: Command, code: i32, words: &[&str]) -> Outcome {
    let before = world.frozen();
    let outcome = run(command);
    outcome.ended(code).said(words);
    let next = ["hint: ", "`", "--", "by hand"];
    let text = outcome.text();
    assert!(
        next.iter().any(|n| text.contains(n)),
        "no next step: {}",
        outcome.shown()
    );
    let after = world.frozen();
    assert_eq!(before, after, "something was written: {}", outcome.shown());
    let panicked = outcome.stderr.contains("panicked") || outcome.stderr.contains("RUST_BACKTRACE");
    assert!(!panicked, "{}", outcome.shown());
    outcome
}

/// A rollback that must land all the same.
#[track_caller]
fn lands(world: &World, command: Command) -> Outcome {
    let outcome = run(command);
    outcome.ended(0);
    assert_eq!(world.own_commits().len(), 1, "{}", outcome.shown());
    assert_eq!(
        world.manifest("zai-proxy"),
        release(&world.name, "zai-proxy", GOOD)
    );
    assert!(world.live_image("zai-proxy").ends_with(":1.2.0"));
    outcome
}
