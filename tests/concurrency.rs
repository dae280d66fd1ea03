//! Many rollbacks at the same time in one repository: all land or say why, nobody's
//! commit is lost, and history stays a line.

#![allow(
    clippy::print_stdout,
    reason = "figures for whoever runs it with --nocapture"
)]

mod common;

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{Engineer, GOOD, Outcome, Plan, World, bed, build, finish, release, world};

/// Rollbacks that start at the same time.
fn all_at_once(world: &World, jobs: &[(&Engineer, &str)]) -> Vec<Outcome> {
    let children: Vec<_> = jobs
        .iter()
        .map(|(engineer, workload)| {
            let arguments = [
                "rollback",
                workload,
                "-n",
                &world.name,
                "--yes",
                "-o",
                "json",
            ];
            let mut command = world.command_of(engineer, &arguments);
            command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            command.spawn().expect("unship starts")
        })
        .collect();
    let waiting: Vec<_> = children
        .into_iter()
        .map(|child| std::thread::spawn(move || finish(child)))
        .collect();
    waiting
        .into_iter()
        .map(|thread| thread.join().expect("it ends"))
        .collect()
}

/// Other teams push as long as `work` is at it; gives their commits.
fn while_others_push<T>(world: &World, work: impl FnOnce() -> T) -> (T, Vec<String>) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            let mut pushed = Vec::new();
            while !over.load(Ordering::SeqCst) && pushed.len() < 60 {
                let number = pushed.len();
                pushed.extend(world.try_others(&format!("others: push {number}")));
                std::thread::sleep(Duration::from_millis(120));
            }
            pushed
        });
        let done = work();
        over.store(true, Ordering::SeqCst);
        (done, others.join().expect("the others"))
    })
}

/// Every commit has one parent, and all of these are there.
fn assert_line(world: &World, commits: &[String]) {
    let log = world.log();
    let ids: BTreeSet<&String> = log.iter().map(|(id, _, _)| id).collect();
    for (index, (id, parents, _)) in log.iter().enumerate() {
        let expected: Vec<&String> = log.get(index + 1).map(|next| &next.0).into_iter().collect();
        assert_eq!(
            parents.iter().collect::<Vec<_>>(),
            expected,
            "{id} is in a line"
        );
    }
    for commit in commits {
        assert!(ids.contains(commit), "{commit} of another team is lost");
    }
}

/// How many commits of unship roll a workload back.
fn own_commits(world: &World, workload: &str) -> usize {
    let words = format!("rollback {workload} ");
    let own = world.own_commits();
    own.iter()
        .filter(|(_, _, message)| message.contains(&words))
        .count()
}

/// Goes on with every run that stopped; each must land then. Says how many there were.
fn go_on(world: &World, engineers: &[Engineer], outcomes: &[Outcome]) -> usize {
    let stopped = engineers
        .iter()
        .zip(outcomes)
        .filter(|(_, outcome)| outcome.code != Some(0));
    stopped
        .map(|(engineer, first)| {
            let next = common::run(world.command_of(engineer, &["continue"]));
            assert_eq!(
                next.code,
                Some(0),
                "{} then {}",
                first.shown(),
                next.shown()
            );
        })
        .count()
}

/// What it took, for people: pushes by rollback, seconds of each.
fn figures(engineers: &[Engineer], outcomes: &[Outcome], late: usize) -> [String; 3] {
    let pushes: Vec<usize> = engineers.iter().map(pushes).collect();
    let seconds = |outcome: &Outcome| outcome.json()["seconds"].as_f64().unwrap_or(0.0);
    let mut seconds: Vec<f64> = outcomes.iter().map(seconds).collect();
    seconds.sort_by(f64::total_cmp);
    let at_once = outcomes.len() - late;
    [
        format!("{at_once} landed at the first try, {late} by `unship continue`"),
        format!("{} pushes: {pushes:?}", pushes.iter().sum::<usize>()),
        format!("seconds: {seconds:.1?}"),
    ]
}

/// How often an engineer's run has pushed, by its journal.
fn pushes(engineer: &Engineer) -> usize {
    let runs = engineer.home.join("state/unship/runs");
    let journals = std::fs::read_dir(runs).into_iter().flatten().flatten();
    journals
        .map(|run| {
            let text = std::fs::read_to_string(run.path().join("journal.jsonl"));
            let record = "\"record\":\"started\",\"step\":\"push\"";
            text.unwrap_or_default().matches(record).count()
        })
        .sum()
}

#[test]
fn twenty_workloads_of_one_repository_at_once() {
    let names: Vec<String> = (0..20).map(|n| format!("proxy-{n:02}")).collect();
    let plan = Plan {
        workloads: names.clone(),
        ..Plan::new("twenty")
    };
    let world = build(&plan);
    let before: Vec<String> = world.log().into_iter().map(|(id, _, _)| id).collect();
    let engineers: Vec<Engineer> = names.iter().map(|n| world.engineer(n)).collect();
    let jobs: Vec<(&Engineer, &str)> = engineers
        .iter()
        .zip(&names)
        .map(|(engineer, name)| (engineer, name.as_str()))
        .collect();
    let (outcomes, others) = while_others_push(&world, || all_at_once(&world, &jobs));
    assert!(others.len() > 3, "the others pushed meanwhile: {others:?}");
    for (name, outcome) in names.iter().zip(&outcomes) {
        assert!(
            own_commits(&world, name) <= 1,
            "{name}: {}",
            outcome.shown()
        );
        // Time ran out in the crowd: it says so, and how it goes on.
        if outcome.code != Some(0) {
            assert!(
                matches!(outcome.code, Some(4 | 6)),
                "{name}: {}",
                outcome.shown()
            );
            let reason = outcome.json()["reason"].as_str().map(str::len);
            assert!(reason > Some(0), "{name}: {}", outcome.shown());
            outcome.said(&["unship continue"]);
        }
    }
    let late = go_on(&world, &engineers, &outcomes);
    for line in figures(&engineers, &outcomes, late) {
        println!("{line}");
    }
    for name in &names {
        assert_eq!(own_commits(&world, name), 1, "{name}");
        let good = release(&world.name, name, GOOD);
        assert_eq!(world.manifest(name), good, "{name}");
        assert!(world.live_image(name).ends_with(":1.2.0"), "{name}");
    }
    assert!(late <= 2, "{late} of 20 needed `unship continue`");
    assert_line(&world, &[before, others].concat());
}

#[test]
fn five_people_at_the_same_workload_make_one_commit() {
    let world = world("five");
    let before: Vec<String> = world.log().into_iter().map(|(id, _, _)| id).collect();
    let engineers: Vec<Engineer> = (0..5)
        .map(|n| world.engineer(&format!("dev-{n}")))
        .collect();
    let jobs: Vec<(&Engineer, &str)> = engineers.iter().map(|e| (e, "zai-proxy")).collect();
    let (outcomes, others) = while_others_push(&world, || all_at_once(&world, &jobs));
    for outcome in &outcomes {
        outcome.ended(0);
        assert_eq!(outcome.json()["state"], "succeeded", "{}", outcome.shown());
    }
    assert_eq!(world.own_commits().len(), 1, "{:#?}", world.own_commits());
    assert_eq!(
        world.manifest("zai-proxy"),
        release(&world.name, "zai-proxy", GOOD)
    );
    assert_line(&world, &[before, others].concat());
}

#[test]
fn five_processes_of_one_person_exclude_each_other() {
    let world = world("same");
    let clones: Vec<Engineer> = (0..5)
        .map(|n| world.second_clone(&world.engineer, &format!("clone-{n}")))
        .collect();
    let jobs: Vec<(&Engineer, &str)> = clones.iter().map(|e| (e, "zai-proxy")).collect();
    let outcomes = all_at_once(&world, &jobs);
    let mut done = 0;
    for outcome in &outcomes {
        match outcome.code {
            Some(0) => done += 1,
            Some(3) => {
                outcome.said(&["another run is at work on this target", "unship runs"]);
            }
            _ => panic!("{}", outcome.shown()),
        }
    }
    assert!(done >= 1, "{outcomes:#?}");
    assert_eq!(world.own_commits().len(), 1);
    let open = world.unship(&["runs", "--open", "-o", "json"]);
    assert_eq!(open.json()["items"].as_array().map(Vec::len), Some(0));
    assert!(bed().dir.is_dir());
}
