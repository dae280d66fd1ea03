//! `kill -9` at every point between an effect and its record: `unship continue` reaches
//! the same end, with one commit in all.

#![cfg(all(unix, debug_assertions))]
#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod common;
#[path = "kill/ladder.rs"]
mod ladder;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{BAD, GOOD, Outcome, World, bed, finish, release, run, world};
use unship::sandbox::{Effect, Fault, Surface};

const SIGKILL: i32 = 9;
/// How many worlds are worked on at the same time.
const WORKERS: usize = 6;

/// unship that is killed at a point.
fn killed(world: &World, arguments: &[&str], at: usize) {
    let mut command = world.command(arguments);
    command.env("UNSHIP_CRASH_AT", at.to_string());
    let outcome = run(command);
    assert_eq!(
        outcome.signal,
        Some(SIGKILL),
        "point {at}: {}",
        outcome.shown()
    );
}

/// The points that a command passes, in their order, with the command's outcome.
fn points(world: &World, arguments: &[&str]) -> (Vec<String>, Outcome) {
    points_of(world, world.command(arguments))
}

fn points_of(world: &World, mut command: std::process::Command) -> (Vec<String>, Outcome) {
    let log = world.engineer.home.join("points");
    command.env("UNSHIP_CRASH_LOG", &log);
    let outcome = run(command);
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    let names = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(_, name)| name.to_owned())
        .collect();
    (names, outcome)
}

/// Does a piece of work for each number, several at a time.
fn for_each(numbers: Vec<usize>, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(number) = numbers.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let done =
                        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(*number)));
                    if done.is_err() {
                        failed.lock().unwrap().push(*number);
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort_unstable();
    assert!(failed.is_empty(), "failed at {failed:?}");
}

/// Goes on until the run is over; once more where it says so.
fn goes_on(world: &World) -> Outcome {
    let outcome = world.unship(&["continue", "-o", "json"]);
    if matches!(outcome.code, Some(4 | 6)) {
        return world.unship(&["continue", "-o", "json"]);
    }
    outcome
}

/// The end that an undisturbed rollback has.
fn assert_rolled_back(world: &World, outcome: &Outcome, what: &str) {
    assert_eq!(outcome.code, Some(0), "{what}: {}", outcome.shown());
    assert_eq!(
        outcome.json()["state"],
        "succeeded",
        "{what}: {}",
        outcome.shown()
    );
    let own = world.own_commits();
    assert_eq!(own.len(), 1, "{what}: {own:#?}");
    assert_eq!(
        world.manifest("zai-proxy"),
        release(&world.name, "zai-proxy", GOOD),
        "{what}"
    );
    assert!(world.live_image("zai-proxy").ends_with(":1.2.0"), "{what}");
    let open = world.unship(&["runs", "--open", "-o", "json"]);
    assert_eq!(
        open.json()["items"].as_array().map(Vec::len),
        Some(0),
        "{what}"
    );
    let again = world.rollback();
    assert_eq!(again.code, Some(0), "{what}, again: {}", again.shown());
    assert_eq!(
        world.own_commits().len(),
        1,
        "{what}: it flips nothing back"
    );
}

#[test]
fn killed_at_each_point_a_rollback_goes_on_to_the_same_end() {
    let undisturbed = world("kill");
    let (names, outcome) = points(&undisturbed, &undisturbed.rollback_arguments());
    assert_rolled_back(&undisturbed, &outcome, "undisturbed");
    for name in [
        "created",
        "made commit",
        "recorded committed",
        "pushed",
        "recorded pushed",
        "recorded ended",
    ] {
        assert!(
            names.iter().any(|n| n == name),
            "no point {name:?} in {names:?}"
        );
    }
    for_each((1..=names.len()).collect(), |at| {
        let what = format!("killed at {at} ({})", names[at - 1]);
        let world = world("kill");
        killed(&world, &world.rollback_arguments(), at);
        let over = names[at - 1] == "recorded ended";
        if over {
            // The end is on record: there is nothing to go on with, and nothing is lost.
            world
                .unship(&["continue"])
                .ended(2)
                .said(&["no run is open"]);
            let again = world.rollback();
            assert_rolled_back(&world, &again, &what);
        } else {
            let outcome = goes_on(&world);
            assert_eq!(world.run_folders().len(), 1, "{what}: one run in all");
            assert_rolled_back(&world, &outcome, &what);
        }
    });
}

/// Killed while going on as well: at every third of its points, from the `offset`-th on.
fn killed_twice(first: &str, offset: usize) {
    let model = world("twice");
    let (names, _) = points(&model, &model.rollback_arguments());
    let at = names
        .iter()
        .position(|n| n == first)
        .expect("the point exists")
        + 1;
    let model = world("twice");
    killed(&model, &model.rollback_arguments(), at);
    let (second, outcome) = points(&model, &["continue", "-o", "json"]);
    assert_rolled_back(&model, &outcome, first);
    assert!(!second.is_empty());
    for_each((offset..second.len()).step_by(3).collect(), |again| {
        let what = format!("killed at {first}, then at {} ({again})", second[again - 1]);
        let world = world("twice");
        killed(&world, &world.rollback_arguments(), at);
        killed(&world, &["continue"], again);
        assert_rolled_back(&world, &goes_on(&world), &what);
    });
}

#[test]
fn killed_before_the_push_and_again_while_going_on() {
    killed_twice("made commit", 1);
}

#[test]
fn killed_after_the_push_and_again_while_going_on() {
    killed_twice("pushed", 2);
}

#[test]
fn killed_before_there_is_a_journal_a_new_rollback_works() {
    let world = world("early");
    let path = format!("/namespaces/{}/events", world.name);
    let fault = Fault {
        surface: Surface::Kubernetes,
        method: None,
        path,
        skip: 0,
        times: Some(1),
        effect: Effect::DelayMs(5000),
    };
    let id = bed().sandbox.faults().plant(fault).unwrap();
    let mut command = world.command(&world.rollback_arguments());
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    while bed().sandbox.faults().hits(id) != Some(1) {
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    assert_eq!(finish(child).signal, Some(SIGKILL));
    bed().sandbox.faults().remove(id);
    assert!(world.run_folders().is_empty());
    world
        .unship(&["continue"])
        .ended(2)
        .said(&["no run is open", "unship runs"]);
    assert_rolled_back(&world, &world.rollback(), "after an early kill");
}

/// Where `name` comes in an undisturbed rollback.
fn point(name: &str) -> usize {
    let world = world("model");
    let (names, _) = points(&world, &world.rollback_arguments());
    names
        .iter()
        .position(|n| n == name)
        .expect("the point exists")
        + 1
}

/// Somebody ships another release on top.
fn somebody_ships(world: &World, tag: &str) -> String {
    let text = release(&world.name, "zai-proxy", tag);
    let file = world.file("zai-proxy");
    world.push("a fix by somebody else", &[(&file, text)])
}

#[test]
fn killed_before_the_push_and_changed_by_others_nothing_is_pushed() {
    for name in ["made commit", "recorded committed"] {
        let at = point(name);
        let world = world("over");
        killed(&world, &world.rollback_arguments(), at);
        let tip = somebody_ships(&world, "1.2.2");
        let outcome = world.unship(&["continue", "-o", "json"]);
        assert_eq!(outcome.code, Some(3), "{name}: {}", outcome.shown());
        assert_eq!(outcome.json()["state"], "superseded", "{}", outcome.shown());
        assert_eq!(world.remote(&["rev-parse", "main"]), tip, "{name}");
        assert!(world.own_commits().is_empty(), "{name}");
        assert!(world.manifest("zai-proxy").contains("1.2.2"), "{name}");
    }
}

#[test]
fn killed_before_the_push_and_an_unrelated_commit_it_lands_on_top() {
    let at = point("made commit");
    let world = world("moved");
    killed(&world, &world.rollback_arguments(), at);
    let tip = world.others("others: while it was dead");
    assert_rolled_back(&world, &goes_on(&world), "with another parent");
    let own = world.own_commits();
    assert_eq!(own[0].1, [tip], "on top of the others' commit");
}

#[test]
fn killed_after_the_push_and_changed_by_others_nothing_is_pushed_over_it() {
    for name in ["pushed", "recorded pushed", "waited land"] {
        let at = point(name);
        let world = world("later");
        killed(&world, &world.rollback_arguments(), at);
        let tip = somebody_ships(&world, "1.2.2");
        let outcome = world.unship(&["continue", "-o", "json"]);
        assert_eq!(outcome.code, Some(5), "{name}: {}", outcome.shown());
        assert_eq!(outcome.json()["state"], "superseded", "{}", outcome.shown());
        assert_eq!(world.remote(&["rev-parse", "main"]), tip, "{name}");
        assert_eq!(world.own_commits().len(), 1, "{name}");
    }
}

#[test]
fn killed_while_handing_over_it_waits_on_one_branch() {
    let refuse = "while read -r old new ref; do case $ref in refs/heads/main) echo 'main is protected' >&2; exit 1;; esac; done";
    let model = world("hand");
    model.hook("pre-receive", refuse);
    let (names, outcome) = points(&model, &model.rollback_arguments());
    assert_eq!(outcome.code, Some(7), "{}", outcome.shown());
    let from = names.iter().position(|n| n == "pushed").unwrap() + 1;
    for_each((from..names.len()).collect(), |at| {
        let what = format!("killed at {at} ({})", names[at - 1]);
        let world = world("hand");
        world.hook("pre-receive", refuse);
        killed(&world, &world.rollback_arguments(), at);
        let outcome = world.unship(&["continue", "-o", "json"]);
        assert_eq!(outcome.code, Some(7), "{what}: {}", outcome.shown());
        assert!(world.own_commits().is_empty(), "{what}");
        let side = world.remote(&["for-each-ref", "--format=%(refname)", "refs/heads/unship"]);
        assert_eq!(side.lines().count(), 1, "{what}: {side}");
        assert!(world.manifest("zai-proxy").contains(BAD), "{what}");
    });
}
