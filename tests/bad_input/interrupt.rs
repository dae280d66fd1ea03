//! Ctrl-C and SIGTERM at each step: exit 4 with the command that goes on, the signal's own
//! end when nothing was begun. Going on reaches the goal with one commit in all.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use unship::sandbox::{Effect, Fault, Surface};

use super::common::{Outcome, World, bed, finish, world};
use super::{lands, rollback};

/// A terminal's Ctrl-C, and what service managers and CI runners send.
const SIGNALS: [(&str, i32); 2] = [("INT", 2), ("TERM", 15)];

/// Whatever a test waits for is there sooner.
const PATIENCE: Duration = Duration::from_secs(60);
/// A step that hangs is let go of sooner; what makes it hang lasts longer.
const PROMPT: Duration = Duration::from_secs(8);

/// A server that takes its time.
struct Delay(u64);

impl Delay {
    fn plant(
        surface: Surface,
        method: &str,
        path: String,
        (milliseconds, times): (u64, u64),
    ) -> Self {
        let fault = Fault {
            surface,
            method: Some(method.to_owned()),
            path,
            skip: 0,
            times: (times > 0).then_some(times),
            effect: Effect::DelayMs(milliseconds),
        };
        Self(bed().sandbox.faults().plant(fault).unwrap())
    }

    fn wait_until_met(&self) {
        until("the delay is met", || {
            bed().sandbox.faults().hits(self.0) > Some(0)
        });
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        bed().sandbox.faults().remove(self.0);
    }
}

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "it never happens: {what}");
        std::thread::sleep(Duration::from_millis(3));
    }
}

fn spawn(mut command: Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Waits until the world's run has begun a step.
fn begun(world: &World, step: &str) {
    let record = format!("\"record\":\"started\",\"step\":\"{step}\"");
    let runs = world.engineer.home.join("state/unship/runs");
    until(&record, || {
        world.run_folders().iter().any(|run| {
            let journal = runs.join(run).join("journal.jsonl");
            std::fs::read_to_string(journal).is_ok_and(|text| text.contains(&record))
        })
    });
}

/// Sends a signal a moment later; the end must come promptly.
fn interrupt(child: Child, signal: &str) -> Outcome {
    std::thread::sleep(Duration::from_millis(50));
    let pid = child.id().to_string();
    let sent = Command::new("kill")
        .args([&format!("-{signal}"), &pid])
        .status();
    assert!(sent.unwrap().success(), "it had ended before the signal");
    let began = Instant::now();
    let outcome = finish(child);
    assert!(
        began.elapsed() < PROMPT,
        "{:?} until the end: {}",
        began.elapsed(),
        outcome.shown()
    );
    outcome
}

/// It stopped at that step, says how to go on, and does.
#[track_caller]
fn goes_on(world: &World, outcome: &Outcome, step: &str, pushed: usize) {
    let reason = format!("stopped during {step}");
    outcome.ended(4).said(&[&reason, "unship continue"]);
    assert_eq!(world.own_commits().len(), pushed, "{}", outcome.shown());
    lands(world, world.command(&["continue"]));
}

#[test]
fn while_it_looks_nothing_was_done() {
    for (signal, number) in SIGNALS {
        for command in ["rollback", "plan"] {
            let world = world("int-look");
            let before = world.frozen();
            let path = format!("/namespaces/{}/events", world.name);
            let delay = Delay::plant(Surface::Kubernetes, "GET", path, (4000, 1));
            let child = spawn(match command {
                "plan" => world.command(&["plan", "zai-proxy", "-n", &world.name]),
                _ => rollback(&world),
            });
            delay.wait_until_met();
            let outcome = interrupt(child, signal);
            // A shell shows the signal as 128 and its number.
            let ended = outcome.signal == Some(number) || outcome.code == Some(128 + number);
            assert!(ended, "{}", outcome.shown());
            assert_eq!(before, world.frozen());
        }
    }
}

#[test]
fn while_it_plans_again() {
    for (signal, _) in SIGNALS {
        let world = world("int-plan");
        let logs = format!("/namespaces/{}/pods/.*/log", world.name);
        let logs = Delay::plant(Surface::Kubernetes, "GET", logs, (1500, 1));
        let child = spawn(rollback(&world));
        logs.wait_until_met();
        // The tip moves before the push, and the fetch that follows hangs.
        world.others("others: first");
        let fetch = format!("/{}.git/info/refs.service=git-upload-pack", world.name);
        let fetch = Delay::plant(Surface::Git, "GET", fetch, (20_000, 1));
        fetch.wait_until_met();
        let outcome = interrupt(child, signal);
        goes_on(&world, &outcome, "plan", 0);
    }
}

#[test]
fn while_it_captures() {
    for (signal, _) in SIGNALS {
        let world = world("int-capture");
        let path = format!("/namespaces/{}/pods/.*/log", world.name);
        let delay = Delay::plant(Surface::Kubernetes, "GET", path, (4500, 1));
        let child = spawn(rollback(&world));
        delay.wait_until_met();
        let outcome = interrupt(child, signal);
        drop(delay);
        goes_on(&world, &outcome, "capture", 0);
    }
}

/// A signing program that hangs until the returned file exists. It writes the id of the
/// process that called it, which is git, into the file beside that.
fn hanging_signer(world: &World) -> (PathBuf, PathBuf) {
    let folder = world.engineer.home.join("signer");
    std::fs::create_dir_all(&folder).unwrap();
    let (program, caller) = (folder.join("sign"), folder.join("caller"));
    let unlocked = folder.join("unlocked");
    let script = format!(
        "#!/bin/sh\necho $PPID > '{0}.new'; mv '{0}.new' '{0}'\nn=0\n\
         while [ ! -e '{1}' ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n + 1)); done\n\
         cat > /dev/null\nprintf '\\n[GNUPG:] SIG_CREATED ' >&2\n\
         printf -- '-----BEGIN PGP SIGNATURE-----\\n\\nAAAA\\n-----END PGP SIGNATURE-----\\n'\n",
        caller.display(),
        unlocked.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    world.git(&["config", "commit.gpgsign", "true"]);
    world.git(&["config", "gpg.program", program.to_str().unwrap()]);
    (unlocked, caller)
}

#[test]
fn while_it_commits_and_the_signing_program_hangs() {
    for (signal, _) in SIGNALS {
        let world = world("int-commit");
        let (unlocked, caller) = hanging_signer(&world);
        let child = spawn(rollback(&world));
        until("it signs", || caller.exists());
        let git = std::fs::read_to_string(&caller).unwrap();
        let outcome = interrupt(child, signal);
        let alive = || {
            let asked = Command::new("kill").args(["-0", git.trim()]).output();
            asked.unwrap().status.success()
        };
        until("git is gone", || !alive());
        std::fs::write(unlocked, "").unwrap();
        goes_on(&world, &outcome, "commit", 0);
        let head = world.remote(&["cat-file", "commit", "main"]);
        assert!(head.contains("BEGIN PGP SIGNATURE"), "{head}");
    }
}

#[test]
fn while_it_pushes() {
    for (signal, _) in SIGNALS {
        let world = world("int-push");
        let path = format!("/{}.git/git-receive-pack", world.name);
        let delay = Delay::plant(Surface::Git, "POST", path, (2500, 1));
        let child = spawn(rollback(&world));
        delay.wait_until_met();
        let outcome = interrupt(child, signal);
        // The remote's answer is waited for, so that it is known what the branch has.
        goes_on(&world, &outcome, "land", 1);
    }
}

#[test]
fn while_it_waits_for_landing() {
    for (signal, _) in SIGNALS {
        let world = world("int-land");
        let path = format!("/applications/{}.*refresh=normal", world.name);
        let delay = Delay::plant(Surface::Argocd, "GET", path, (20_000, 1));
        let child = spawn(rollback(&world));
        delay.wait_until_met();
        let outcome = interrupt(child, signal);
        goes_on(&world, &outcome, "land", 1);
    }
}

/// Every read of such an object takes a while, so that the step that reads it is seen.
fn slow_reads(world: &World, what: &str) -> Delay {
    let path = format!("/namespaces/{}/{what}", world.name);
    Delay::plant(Surface::Kubernetes, "GET", path, (1000, 0))
}

#[test]
fn while_it_waits_for_the_rollout() {
    for (signal, _) in SIGNALS {
        let world = world("int-rollout");
        let delay = slow_reads(&world, "deployments/zai-proxy");
        let child = spawn(rollback(&world));
        begun(&world, "rollout");
        let outcome = interrupt(child, signal);
        drop(delay);
        goes_on(&world, &outcome, "rollout", 1);
    }
}

#[test]
fn while_it_verifies() {
    for (signal, _) in SIGNALS {
        let world = world("int-verify");
        let delay = slow_reads(&world, "endpointslices");
        let child = spawn(rollback(&world));
        begun(&world, "verify");
        let outcome = interrupt(child, signal);
        drop(delay);
        goes_on(&world, &outcome, "verify", 1);
    }
}

#[test]
fn twice_while_it_pushes_ends_at_once() {
    let world = world("int-twice");
    let path = format!("/{}.git/git-receive-pack", world.name);
    let delay = Delay::plant(Surface::Git, "POST", path, (20_000, 1));
    let child = spawn(rollback(&world));
    delay.wait_until_met();
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status();
    assert!(sent.unwrap().success());
    std::thread::sleep(Duration::from_millis(300));
    let outcome = interrupt(child, "INT");
    outcome.ended(4).said(&["again", "unship continue"]);
    drop(delay);
    lands(&world, world.command(&["continue"]));
}
