//! The same for runs that act on the cluster: an emergency whose Git part is a debt, a
//! suspension, a canary out, a bounce.

use serde_json::Value;

use super::common::{Outcome, World, bed, run, world};
use super::{SIGKILL, assert_rolled_back, for_each, points_of};

/// unship with an operator's rights.
fn operator(world: &World, arguments: &[&str]) -> std::process::Command {
    let sandbox = &bed().sandbox;
    let mut command = world.command(arguments);
    command
        .env(
            "KUBECONFIG",
            sandbox.variable("UNSHIP_WORLD_OPERATOR_KUBECONFIG"),
        )
        .env(
            "ARGOCD_AUTH_TOKEN",
            sandbox.variable("UNSHIP_WORLD_OPERATOR_ARGOCD_TOKEN"),
        );
    command
}

fn killed(world: &World, arguments: &[&str], at: usize) {
    let mut command = operator(world, arguments);
    command.env("UNSHIP_CRASH_AT", at.to_string());
    let outcome = run(command);
    assert_eq!(
        outcome.signal,
        Some(SIGKILL),
        "point {at}: {}",
        outcome.shown()
    );
}

/// Goes on until the run is over; once more where it says so.
fn goes_on(world: &World) -> Outcome {
    let outcome = run(operator(world, &["continue", "-o", "json"]));
    if matches!(outcome.code, Some(4 | 6)) {
        return run(operator(world, &["continue", "-o", "json"]));
    }
    outcome
}

fn points(world: &World, arguments: &[&str]) -> (Vec<String>, Outcome) {
    points_of(world, operator(world, arguments))
}

fn application(world: &World) -> Value {
    let found = bed()
        .sandbox
        .get("argoproj.io", "Application", "argocd", &world.name);
    found.expect("the Application")
}

/// Automated sync as it was, and no mark of a suspension.
fn assert_given_back(world: &World, what: &str) {
    let app = application(world);
    let automated = &app["spec"]["syncPolicy"]["automated"];
    assert_eq!(automated["selfHeal"], true, "{what}: {automated}");
    let notes = app["metadata"]["annotations"].as_object();
    let mark = notes.is_some_and(|n| n.keys().any(|key| key.starts_with("unship.dev/")));
    assert!(!mark, "{what}: a mark is left");
}

/// The points that are killed at: with `UNSHIP_KILL_ALL` in the environment all of them, else
/// every third, each test from another one on.
fn chosen(last: usize, offset: usize) -> Vec<usize> {
    if std::env::var_os("UNSHIP_KILL_ALL").is_some() {
        return (1..=last).collect();
    }
    (1 + offset..=last).step_by(3).collect()
}

fn lose_git(world: &World) {
    std::fs::rename(world.bare(), world.bare().with_extension("lost")).unwrap();
}

fn return_git(world: &World) {
    std::fs::rename(world.bare().with_extension("lost"), world.bare()).unwrap();
}

fn emergency(world: &World) -> Vec<&str> {
    let mut arguments = world.rollback_arguments().to_vec();
    arguments.push("--emergency");
    arguments
}

#[test]
fn killed_at_each_point_an_emergency_without_git_pays_its_debt() {
    let model = world("debt");
    lose_git(&model);
    let (names, outcome) = points(&model, &emergency(&model));
    assert_eq!(outcome.code, Some(4), "{}", outcome.shown());
    assert!(names.iter().any(|name| name == "patched"), "{names:?}");
    assert!(names.iter().any(|name| name == "suspended"), "{names:?}");
    return_git(&model);
    let paid = goes_on(&model);
    assert_rolled_back(&model, &paid, "undisturbed");
    assert_given_back(&model, "undisturbed");
    for_each(chosen(names.len(), 0), |at| {
        let what = format!("killed at {at} ({})", names[at - 1]);
        let world = world("debt");
        lose_git(&world);
        killed(&world, &emergency(&world), at);
        return_git(&world);
        let outcome = goes_on(&world);
        assert_eq!(world.run_folders().len(), 1, "{what}: one run in all");
        assert_rolled_back(&world, &outcome, &what);
        assert_given_back(&world, &what);
    });
}

#[test]
fn killed_at_each_point_a_suspension_is_given_back() {
    let arguments = |world: &World| {
        let mut all: Vec<String> = world.rollback_arguments().map(str::to_owned).to_vec();
        all.extend(["--route", "direct", "--suspend-auto-sync"].map(str::to_owned));
        all
    };
    fn words(all: &[String]) -> Vec<&str> {
        all.iter().map(String::as_str).collect()
    }
    let model = world("suspend");
    let (names, outcome) = points(&model, &words(&arguments(&model)));
    assert_rolled_back(&model, &outcome, "undisturbed");
    assert_given_back(&model, "undisturbed");
    assert!(names.iter().any(|name| name == "gave back"), "{names:?}");
    // The last point is the record of the end: there is nothing to go on with.
    for_each(chosen(names.len() - 1, 1), |at| {
        let what = format!("killed at {at} ({})", names[at - 1]);
        let world = world("suspend");
        killed(&world, &words(&arguments(&world)), at);
        let outcome = goes_on(&world);
        assert_rolled_back(&world, &outcome, &what);
        assert_given_back(&world, &what);
    });
}

fn replicas(world: &World) -> (i64, i64) {
    let live = bed()
        .sandbox
        .get("apps", "Deployment", &world.name, "zai-proxy")
        .expect("the Deployment");
    let number = |pointer: &str| live.pointer(pointer).and_then(Value::as_i64).unwrap_or(-1);
    (number("/spec/replicas"), number("/metadata/generation"))
}

#[test]
fn killed_at_each_point_a_bounce_comes_back_and_is_not_repeated() {
    fn arguments(world: &World) -> Vec<&str> {
        vec![
            "bounce",
            "zai-proxy",
            "-n",
            &world.name,
            "--yes",
            "--accept-outage",
            "--suspend-auto-sync",
            // The bad release's pod never becomes ready: the bounce itself is what counts.
            "--no-verify",
            "-o",
            "json",
        ]
    }
    let model = world("bounce");
    let (before, generation) = replicas(&model);
    let (names, outcome) = points(&model, &arguments(&model));
    assert_eq!(outcome.code, Some(0), "{}", outcome.shown());
    assert_eq!(replicas(&model), (before, generation + 2), "down and up");
    for_each(chosen(names.len() - 1, 0), |at| {
        let what = format!("killed at {at} ({})", names[at - 1]);
        let world = world("bounce");
        let (before, generation) = replicas(&world);
        killed(&world, &arguments(&world), at);
        let outcome = goes_on(&world);
        assert_eq!(outcome.code, Some(0), "{what}: {}", outcome.shown());
        let after = replicas(&world);
        assert_eq!(after, (before, generation + 2), "{what}: once");
        assert_given_back(&world, &what);
    });
}

#[test]
fn killed_at_each_point_an_abort_takes_the_canary_out_once() {
    fn arguments(world: &World) -> Vec<&str> {
        vec![
            "abort",
            "zai-proxy",
            "-n",
            &world.name,
            "--yes",
            "-o",
            "json",
        ]
    }
    fn assert_out(world: &World, outcome: &Outcome, what: &str) {
        assert_eq!(outcome.code, Some(0), "{what}: {}", outcome.shown());
        assert_eq!(replicas(world).0, 0, "{what}");
        assert_eq!(world.own_commits().len(), 1, "{what}: one commit");
        let again = run(operator(world, &arguments(world)));
        assert_eq!(again.code, Some(0), "{what}: {}", again.shown());
        assert_eq!(world.own_commits().len(), 1, "{what}: still one");
    }
    let model = world("abort");
    let (names, outcome) = points(&model, &arguments(&model));
    assert_out(&model, &outcome, "undisturbed");
    for_each(chosen(names.len() - 1, 2), |at| {
        let what = format!("killed at {at} ({})", names[at - 1]);
        let world = world("abort");
        killed(&world, &arguments(&world), at);
        assert_out(&world, &goes_on(&world), &what);
    });
}

#[test]
fn killed_at_each_point_a_canary_is_deleted_once() {
    fn arguments(world: &World) -> Vec<&str> {
        vec![
            "abort",
            "zai-proxy",
            "-n",
            &world.name,
            "--delete",
            "--record",
            "file",
            "--yes",
            "-o",
            "json",
        ]
    }
    fn assert_gone(world: &World, outcome: &Outcome, what: &str) {
        assert_eq!(outcome.code, Some(0), "{what}: {}", outcome.shown());
        let place = ("apps", "Deployment", world.name.as_str(), "zai-proxy");
        let live = bed().sandbox.get(place.0, place.1, place.2, place.3);
        assert!(live.is_none(), "{what}: it is there");
        assert_eq!(world.own_commits().len(), 1, "{what}: one commit");
        assert_eq!(world.run_folders().len(), 1, "{what}: one run");
    }
    let model = world("delete");
    let (names, outcome) = points(&model, &arguments(&model));
    assert_gone(&model, &outcome, "undisturbed");
    for name in ["kept record", "pushed", "waited land"] {
        assert!(names.iter().any(|own| own == name), "{name} in {names:?}");
    }
    for_each(chosen(names.len() - 1, 1), |at| {
        let what = format!("killed at {at} ({})", names[at - 1]);
        let world = world("delete");
        killed(&world, &arguments(&world), at);
        assert_gone(&world, &goes_on(&world), &what);
    });
}

/// A second repository with a commit that is to be reverted: its bare one and the commit.
fn code_of(world: &World) -> (std::path::PathBuf, std::path::PathBuf, String) {
    let (bare, clone) = (
        world.engineer.home.join("code.git"),
        world.engineer.home.join("code"),
    );
    let git = |folder: &std::path::Path, arguments: &[&str]| {
        let output = std::process::Command::new("git")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .args(["-c", "user.name=A", "-c", "user.email=a@example.org", "-C"])
            .arg(folder)
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    std::fs::create_dir_all(&bare).unwrap();
    git(&bare, &["init", "-q", "--bare", "-b", "main"]);
    git(
        &world.engineer.home,
        &["clone", "-q", &bare.display().to_string(), "code"],
    );
    let mut bad = String::new();
    for text in ["good", "bad"] {
        std::fs::write(clone.join("main.rs"), text).unwrap();
        git(&clone, &["add", "main.rs"]);
        git(&clone, &["commit", "-q", "-m", text]);
        bad = git(&clone, &["rev-parse", "HEAD"]);
    }
    git(&clone, &["push", "-q", "origin", "HEAD:main"]);
    git(&clone, &["branch", "-q", "--set-upstream-to=origin/main"]);
    (bare, clone, bad)
}

#[test]
fn killed_at_each_point_the_code_is_reverted_once() {
    fn arguments(world: &World, clone: &std::path::Path, bad: &str) -> Vec<String> {
        let folder = clone.display().to_string();
        let words = [
            "abort",
            "zai-proxy",
            "-n",
            &world.name,
            "--record",
            "none",
            "--yes",
            "--code-repo",
            &folder,
            "--code-commit",
            bad,
            "-o",
            "json",
        ];
        words.map(str::to_owned).to_vec()
    }
    fn assert_reverted(world: &World, bare: &std::path::Path, (outcome, what): (&Outcome, &str)) {
        assert_eq!(outcome.code, Some(0), "{what}: {}", outcome.shown());
        assert_eq!(replicas(world).0, 0, "{what}");
        assert_eq!(world.own_commits().len(), 1, "{what}: one commit");
        let log = std::process::Command::new("git")
            .arg("-C")
            .arg(bare)
            .args(["log", "--format=%s", "main"])
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&log.stdout).into_owned();
        assert_eq!(log, "Revert \"bad\"\nbad\ngood\n", "{what}");
    }
    let model = world("code");
    let (bare, clone, bad) = code_of(&model);
    let words = arguments(&model, &clone, &bad);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (names, outcome) = points(&model, &words);
    assert_reverted(&model, &bare, (&outcome, "undisturbed"));
    for name in ["made revert", "pushed revert"] {
        assert!(names.iter().any(|own| own == name), "{name} in {names:?}");
    }
    for_each(chosen(names.len() - 1, 0), |at| {
        let what = format!("killed at {at} ({})", names[at - 1]);
        let world = world("code");
        let (bare, clone, bad) = code_of(&world);
        let words = arguments(&world, &clone, &bad);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        killed(&world, &words, at);
        assert_reverted(&world, &bare, (&goes_on(&world), &what));
    });
}
