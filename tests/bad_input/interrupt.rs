//! Ctrl-C at each step: exit 4 with the command that goes on, 130 when nothing was done.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use unship::sandbox::{Effect, Fault, Surface};

use super::common::{Outcome, World, bed, finish, world};
use super::{lands, rollback};

fn fault(surface: Surface, method: &str, path: String) -> Fault {
    Fault {
        surface,
        method: Some(method.to_owned()),
        path,
        skip: 0,
        times: Some(1),
        effect: Effect::DelayMs(4000),
    }
}

/// Runs a command and sends SIGINT once a planted delay is met.
fn interrupted(mut command: Command, fault: Fault) -> Outcome {
    let faults = bed().sandbox.faults();
    let id = faults.plant(fault).unwrap();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let began = Instant::now();
    while faults.hits(id) != Some(1) {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "the delay is never met"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(50));
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let outcome = finish(child);
    faults.remove(id);
    outcome
}

#[test]
fn while_it_looks_nothing_was_done() {
    let world = world("int-look");
    let before = world.frozen();
    let path = format!("/namespaces/{}/events", world.name);
    let outcome = interrupted(rollback(&world), fault(Surface::Kubernetes, "GET", path));
    assert!(
        outcome.code == Some(130) || outcome.signal == Some(2),
        "{}",
        outcome.shown()
    );
    assert_eq!(before, world.frozen());
}

fn goes_on(world: &World, outcome: &Outcome, step: &str) {
    outcome.ended(4).said(&["unship continue", step]);
    lands(world, world.command(&["continue"]));
}

#[test]
fn while_it_captures() {
    let world = world("int-capture");
    let path = format!("/namespaces/{}/pods/.*/log", world.name);
    let outcome = interrupted(rollback(&world), fault(Surface::Kubernetes, "GET", path));
    goes_on(&world, &outcome, "stopped");
}

#[test]
fn while_it_pushes() {
    let world = world("int-push");
    let path = format!("/{}.git/git-receive-pack", world.name);
    let outcome = interrupted(rollback(&world), fault(Surface::Git, "POST", path));
    goes_on(&world, &outcome, "stopped");
}

#[test]
fn while_it_waits_for_landing() {
    let world = world("int-land");
    let path = format!("/applications/{}.*refresh=normal", world.name);
    let outcome = interrupted(rollback(&world), fault(Surface::Argocd, "GET", path));
    goes_on(&world, &outcome, "land");
}

#[test]
fn while_it_waits_for_the_rollout() {
    let world = world("int-verify");
    let path = format!("/namespaces/{}/endpointslices", world.name);
    let mut delayed = fault(Surface::Kubernetes, "GET", path);
    // The first look is the plan's; the next is the final check's.
    delayed.skip = 1;
    let outcome = interrupted(rollback(&world), delayed);
    goes_on(&world, &outcome, "verify");
}
