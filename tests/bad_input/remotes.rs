//! The remote: repository not found, unreachable, push denied, protected branch, and
//! nobody to sign the commit.

use unship::sandbox::{Effect, Fault, Surface};

use super::common::{BAD, World, bed, run, world};
use super::{refuses, rollback, shared};

fn plant(path: String, effect: Effect) -> u64 {
    let fault = Fault {
        surface: Surface::Git,
        method: None,
        path,
        skip: 0,
        times: None,
        effect,
    };
    bed().sandbox.faults().plant(fault).unwrap()
}

#[test]
fn repository_not_found() {
    let world = world("gone");
    let away = world.bare().with_extension("away");
    let before = (world.manifest("zai-proxy"), world.run_folders());
    std::fs::rename(world.bare(), &away).unwrap();
    let outcome = run(rollback(&world));
    std::fs::rename(&away, world.bare()).unwrap();
    outcome.ended(3).said(&[
        &format!("{}.git", world.name),
        "no such repository",
        "git ls-remote",
    ]);
    assert_eq!(before, (world.manifest("zai-proxy"), world.run_folders()));
    assert!(world.own_commits().is_empty());
}

#[test]
fn remote_unreachable() {
    let world = shared("remote-down");
    world.git(&["config", "http.proxy", "http://127.0.0.1:9"]);
    refuses(
        &world,
        rollback(&world),
        3,
        &["it cannot be reached", "127.0.0.1", "git ls-remote"],
    );
}

#[test]
fn remote_unreachable_at_the_push_can_go_on() {
    let world = world("push-down");
    let path = format!("/{}.git/.*git-receive-pack", world.name);
    let id = plant(path, Effect::Drop);
    let outcome = run(rollback(&world));
    outcome
        .ended(4)
        .said(&["the remote could not be reached", "unship continue"]);
    assert!(world.own_commits().is_empty());
    bed().sandbox.faults().remove(id);
    let on = world.command(&["continue"]);
    super::lands(&world, on);
}

/// Handed over: nothing on main, a request for a human, exit 7.
fn handed_over(world: &World, words: &[&str]) {
    let before = world.frozen();
    let outcome = run(rollback(world));
    outcome
        .ended(7)
        .said(words)
        .said(&["request.md", "unship continue"]);
    assert!(world.own_commits().is_empty());
    assert!(world.manifest("zai-proxy").contains(BAD));
    let folder = world.engineer.home.join("state/unship/runs");
    let run = folder.join(&world.run_folders()[0]);
    let request = std::fs::read_to_string(run.join("request.md")).unwrap();
    for word in ["zai-proxy", "1.2.0", &world.name] {
        assert!(request.contains(word), "{word} in {request}");
    }
    drop(before);
}

#[test]
fn push_denied() {
    let world = world("denied");
    let path = format!("/{}.git/.*git-receive-pack", world.name);
    let id = plant(path, Effect::Answer(403));
    handed_over(&world, &["does not let this identity push"]);
    let branches = world.remote(&["for-each-ref", "--format=%(refname)", "refs/heads"]);
    assert_eq!(branches, "refs/heads/main");
    bed().sandbox.faults().remove(id);
}

#[test]
fn protected_branch() {
    let world = world("protected");
    world.hook(
        "pre-receive",
        "while read -r old new ref; do case $ref in refs/heads/main) echo 'GH006: main is protected' >&2; exit 1;; esac; done",
    );
    handed_over(
        &world,
        &["main is protected", "refs/heads/unship/"].map(|w| w.trim_start_matches("refs/heads/")),
    );
    let side = world.remote(&["for-each-ref", "--format=%(refname)", "refs/heads/unship"]);
    assert_eq!(side.lines().count(), 1, "{side}");
}

#[test]
fn no_commit_identity() {
    let world = shared("nobody");
    let home = &world.engineer.home;
    let config = home.join(".gitconfig");
    let text = std::fs::read_to_string(&config).unwrap();
    let without = text.replace("name = Dana Devpod", "useConfigOnly = true");
    let without = without.replace("\temail = dana@apexalgo.example\n", "");
    assert_ne!(text, without);
    std::fs::write(&config, without).unwrap();
    refuses(
        &world,
        rollback(&world),
        2,
        &["no commit identity", "user.name", "--author"],
    );
    let mut odd = rollback(&world);
    odd.args(["--author", "Dana"]);
    refuses(&world, odd, 2, &["\"Dana\"", "Name <mail>"]);
}
