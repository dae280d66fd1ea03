//! Many rollbacks at the same time in one repository: all land or say why, nobody's
//! commit is lost, and history stays a line.

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
    let mut landed = 0;
    for (name, outcome) in names.iter().zip(&outcomes) {
        let own: Vec<_> = world
            .own_commits()
            .into_iter()
            .filter(|(_, _, message)| message.contains(&format!("rollback {name} ")))
            .collect();
        match outcome.code {
            Some(0) => {
                landed += 1;
                assert_eq!(own.len(), 1, "{name}: {own:?}");
                assert_eq!(
                    world.manifest(name),
                    release(&world.name, name, GOOD),
                    "{name}"
                );
                assert!(world.live_image(name).ends_with(":1.2.0"), "{name}");
            }
            // Time ran out in the crowd: it says so, and goes on.
            Some(4 | 6) => {
                let reason = outcome.json()["reason"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                assert!(!reason.is_empty(), "{name}: {}", outcome.shown());
                assert!(own.len() <= 1, "{name}: {own:?}");
                outcome.said(&["unship continue"]);
            }
            _ => panic!("{name}: {}", outcome.shown()),
        }
    }
    assert!(landed >= 18, "{landed} of 20 landed");
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
