//! Many workloads at once: one commit a stage, the next only when this one is verified.

use serde_json::Value;

use crate::repository::git;
use crate::stage::{BAD, GOOD, MANIFEST, Setting, Stage};
use crate::world::World;

const MORE: &str = "k8s/apexalgo-iad/mcp/more.yaml";
const IMAGE: &str = "ronaldraygun/zai-proxy";

/// Two Deployments in one file, as they are at a release; the file names no namespace.
fn more(release: &str) -> String {
    more_within(release, 60)
}

/// The same with a progress deadline of their own.
fn more_within(release: &str, seconds: u32) -> String {
    let one = |name: &str| {
        format!(
            "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}   # beside the proxy
spec:
  replicas: 1
  progressDeadlineSeconds: {seconds}
  selector:
    matchLabels: {{app: {name}}}
  template:
    metadata:
      labels: {{app: {name}}}
    spec:
      containers:
        - name: main
          image: {IMAGE}:{release}
"
        )
    };
    format!("{}---\n{}", one("alpha"), one("beta"))
}

/// A stage with three workloads at a release, after which another one was shipped to all.
fn three(world: &'static World, scenario: &str, first: &str, then: &str) -> (Stage, String) {
    three_within(world, scenario, (first, then), 60)
}

fn three_within(
    world: &'static World,
    scenario: &str,
    (first, then): (&str, &str),
    seconds: u32,
) -> (Stage, String) {
    let stage = Stage::new(world, scenario, (GOOD, &Setting::default()));
    ship_within(&stage, first, seconds);
    let bad = ship_within(&stage, then, seconds);
    (stage, bad)
}

fn ship(stage: &Stage, release: &str) -> String {
    ship_within(stage, release, 60)
}

fn ship_within(stage: &Stage, release: &str, seconds: u32) -> String {
    let (own, more) = (stage.manifest(release), more_within(release, seconds));
    let commit = stage.team().commit(
        &format!("chore: {release} everywhere"),
        &[(MANIFEST, Some(&own)), (MORE, Some(&more))],
    );
    stage.team().push();
    stage.refresh();
    stage.world.until(&format!("{release} is everywhere"), || {
        let all = stage.list(crate::admin::Kind::Deployment);
        let images: Vec<&str> = all.iter().map(crate::stage::image).collect();
        let there = images.len() == 3 && images.iter().all(|i| i.ends_with(&format!(":{release}")));
        if there {
            Ok(())
        } else {
            Err(format!("{images:?}"))
        }
    });
    commit
}

fn states(document: &Value) -> Vec<String> {
    let targets = document["targets"].as_array().cloned().unwrap_or_default();
    let state = |target: &Value| {
        format!(
            "{} {} {}",
            target["stage"],
            target["target"].as_str().unwrap_or_default(),
            target["state"].as_str().unwrap_or_default()
        )
    };
    targets.iter().map(state).collect()
}

/// Two stages, two commits; what shares a file comes out right.
pub(crate) fn an_image_is_rolled_back_in_stages(world: &'static World) {
    let (stage, bad) = three(world, "fleet", GOOD, BAD);
    let image = format!("{IMAGE}:{BAD}");
    let user = stage.user();
    let words = |more: &[&'static str]| {
        let mut words = vec!["rollback", "--image", &image, "-n", &stage.name];
        words.extend(["--stages", "1,100%"]);
        words.extend(more);
        user.run(&words)
    };
    let plan = words(&["--dry-run"]).ends_with(0);
    assert_eq!(
        states(&plan.json),
        [
            "1 deployment/alpha open",
            "2 deployment/beta open",
            "2 deployment/zai-proxy open"
        ]
    );
    assert_eq!(stage.tip(), bad);
    let run = words(&["--yes"]).ends_with(0);
    run.has("/state", "succeeded").has("/kind", "Fleet");
    assert_eq!(
        states(&run.json),
        [
            "1 deployment/alpha succeeded",
            "2 deployment/beta succeeded",
            "2 deployment/zai-proxy succeeded"
        ]
    );
    assert_eq!(stage.commits_since(&bad).len(), 2, "one commit a stage");
    let file = |commit: &str, path: &str| stage.file_at(commit, path);
    let half = more(GOOD).replacen(&format!("{IMAGE}:{GOOD}"), "FIRST", 1);
    let half = half.replace(&format!("{IMAGE}:{GOOD}"), &image);
    let half = half.replace("FIRST", &format!("{IMAGE}:{GOOD}"));
    assert_eq!(file("refs/heads/main~1", MORE), half);
    assert_eq!(file("refs/heads/main", MORE), more(GOOD));
    assert_eq!(file("refs/heads/main", MANIFEST), stage.manifest(GOOD));
    let message = git(stage.bare(), &["log", "-1", "--format=%B", "main"]);
    assert!(
        message.starts_with(&format!(
            "fix: rollback 3 workloads from {image} (stage 2 of 2)\n"
        )),
        "{message}"
    );
    assert!(
        message.contains(&format!("Rollback-Of: {bad}")),
        "{message}"
    );
    stage.wait_live(GOOD);
    let none = words(&["--yes"]).ends_with(3);
    assert!(none.stdout.contains("no workload"), "{}", none.story());
}

/// The first stage does not come up: nothing more is pushed, and that can be looked at.
pub(crate) fn a_stage_that_fails_is_the_last(world: &'static World) {
    let (stage, bad) = three_within(world, "fleet-fails", ("1.1.0-crash", "1.2.5"), 5);
    let image = format!("{IMAGE}:1.2.5");
    let user = stage.user();
    let run = user
        .run(&[
            "rollback",
            "--image",
            &image,
            "-n",
            &stage.name,
            "--to",
            "tag:1.1.0-crash",
            "--stages",
            "1,100%",
            "--yes",
        ])
        .ends_with(5);
    run.has("/state", "failed");
    assert_eq!(
        states(&run.json),
        [
            "1 deployment/alpha failed",
            "2 deployment/beta open",
            "2 deployment/zai-proxy open"
        ]
    );
    assert_eq!(stage.commits_since(&bad).len(), 1);
    let id = run.json["fleetId"].as_str().expect("an id").to_owned();
    run.says("/next", &format!("unship continue {id}"));
    let runs = user.run(&["runs", "--open"]).ends_with(0);
    runs.says("/items", &id);
    user.run(&["abandon", &id]);
    let over = user.run(&["show", &id]).ends_with(0);
    over.has("/state", "stopped");
    assert_eq!(stage.commits_since(&bad).len(), 1);
}

/// Without a target every workload of the commit is waited for; it is one commit.
pub(crate) fn a_commit_of_several_workloads_is_taken_back(world: &'static World) {
    let (stage, bad) = three(world, "fleet-revert", GOOD, "1.2.5");
    let user = stage.user();
    let run = user
        .run(&["revert", &bad, "-n", &stage.name, "--yes"])
        .ends_with(0);
    run.has("/state", "succeeded").has("/kind", "Fleet");
    assert_eq!(states(&run.json).len(), 3);
    assert_eq!(stage.commits_since(&bad).len(), 1);
    assert_eq!(stage.file_at("refs/heads/main", MORE), more(GOOD));
    assert_eq!(
        stage.file_at("refs/heads/main", MANIFEST),
        stage.manifest(GOOD)
    );
    stage.wait_live(GOOD);
}

/// Killed at every point between an effect and its record: going on reaches the same end.
pub(crate) fn a_fleet_goes_on(world: &'static World) {
    let (stage, bad) = three(world, "fleet-killed", GOOD, "1.2.5");
    let image = format!("{IMAGE}:1.2.5");
    let user = stage.user().listing_points();
    let words = [
        "rollback",
        "--image",
        &image,
        "-n",
        &stage.name,
        "--stages",
        "1,100%",
        "--to",
        "tag:1.2.0",
        "--yes",
    ];
    user.run(&words).ends_with(0);
    assert_eq!(stage.commits_since(&bad).len(), 2);
    let points = user.points();
    assert!(points.count(&["fleet ", "members "]) >= 10, "{points:?}");
    for name in [
        "fleet made commit",
        "fleet recorded commit",
        "fleet pushed",
        "members recorded",
        "members done",
    ] {
        // The first one that is met; where they are differs a little from run to run.
        stage.team().catch_up();
        let again = ship(&stage, "1.2.5");
        let killed = stage.user().killed_at(points.number(name));
        let killed = killed.run(&words);
        assert_eq!(killed.code, None, "killed at {name}: {}", killed.story());
        let run = user.run(&["continue"]).ends_with(0);
        run.has("/state", "succeeded");
        assert_eq!(stage.commits_since(&again).len(), 2, "one commit a stage");
        assert_eq!(stage.file_at("refs/heads/main", MORE), more(GOOD));
    }
}

/// main is protected: each stage's commit waits on a branch of its own, and once a human has merged
/// it the fleet goes on.
pub(crate) fn a_fleet_is_handed_over(world: &'static World) {
    let (stage, bad) = three(world, "fleet-protected", GOOD, "1.2.5");
    crate::branches::protect(&stage);
    let image = format!("{IMAGE}:1.2.5");
    let user = stage.user();
    let stages = ["--stages", "1,100%", "--to", "tag:1.2.0", "--yes"];
    let words = ["rollback", "--image", &image, "-n", &stage.name];
    let mut run = user.run(&[&words[..], &stages].concat()).ends_with(7);
    for number in ["1", "2"] {
        let id = run.json["fleetId"].as_str().unwrap_or("?").to_owned();
        let side = format!("unship/{id}-{number}");
        run.has("/state", "handedOver")
            .says("/reason", &format!("the commit waits on {side}"))
            .says("/next", &format!("{}/{side}", crate::branches::FORGE))
            .says("/next", "unship continue");
        let file = format!("{id}.{number}.md");
        run.says("/next", &file);
        let again = user.run(&["continue"]).ends_with(7);
        again.says("/reason", &side);
        assert_eq!(stage.references().lines().count(), 2, "{}", again.story());
        let commit = git(stage.bare(), &["rev-parse", &format!("refs/heads/{side}")]);
        git(stage.bare(), &["update-ref", "refs/heads/main", &commit]);
        git(
            stage.bare(),
            &["update-ref", "-d", &format!("refs/heads/{side}")],
        );
        run = user.run(&["continue"]);
    }
    let run = run.ends_with(0);
    run.has("/state", "succeeded");
    assert_eq!(stage.commits_since(&bad).len(), 2);
    assert_eq!(stage.file_at("refs/heads/main", MORE), more(GOOD));
    stage.wait_live(GOOD);
}

/// One target without a safe plan refuses the whole, until it is left out on purpose.
pub(crate) fn a_fleet_is_refused_as_a_whole(world: &'static World) {
    let (stage, bad) = three(world, "fleet-refused", GOOD, "1.2.5");
    let text = stage.manifest("1.2.5");
    let odd = format!(
        "{}\n---\n{}",
        more("1.2.5"),
        "kind: Deployment\nmetadata: {name: beta}\n"
    );
    stage.team().commit(
        "chore: two documents of one name",
        &[(MANIFEST, Some(&text)), (MORE, Some(&odd))],
    );
    stage.team().push();
    let tip = stage.tip();
    let image = format!("{IMAGE}:1.2.5");
    let user = stage.user();
    let words = [
        "rollback",
        "--image",
        &image,
        "-n",
        &stage.name,
        "--to",
        "tag:1.2.0",
        "--yes",
    ];
    let run = user.run(&words).ends_with(3);
    run.has("/state", "refused").says("/next", "--skip-refused");
    // What a fleet does not do is not quietly left out.
    for flag in [
        "--no-push",
        "--no-commit",
        "--wait=false",
        "--prove",
        "--route=direct",
    ] {
        let words = [&words[..], &[flag]].concat();
        let run = user.run(&words).ends_with(2);
        assert!(run.stdout.contains("is for one target"), "{}", run.story());
    }
    let staged = user.rollback(&["--stages", "1"]).ends_with(2);
    assert!(
        staged.stdout.contains("several targets"),
        "{}",
        staged.story()
    );
    assert_eq!(stage.tip(), tip, "after {bad}");
}
