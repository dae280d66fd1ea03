//! Many workloads at once (`ci/bench/fleet`): a rollback of 200 workloads in 20 files planned, the
//! status of 500 workloads against one `kubectl get deployments -A`, and the history of a file in a
//! repository of 100,000 commits against `git log`. Prints lines of Markdown; fails above an aim.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot go on fails"
)]

mod history;
mod world;

use std::process::{Command, ExitCode, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use world::World;

const ROUNDS: usize = 5;

/// The middle of several runs of something.
fn median(mut once: impl FnMut() -> Duration) -> f64 {
    let mut times: Vec<Duration> = (0..ROUNDS).map(|_| once()).collect();
    times.sort();
    times[ROUNDS / 2].as_secs_f64()
}

fn timed(command: &mut Command) -> (Duration, Output) {
    let began = Instant::now();
    let output = command.output().unwrap();
    let took = began.elapsed();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout)
    );
    (took, output)
}

/// The plan of a rollback of all workloads with the bad image.
fn planned(world: &World, workloads: usize) -> f64 {
    median(|| {
        let image = world.image("2");
        let mut command = world.unship();
        command.args(["rollback", "--image", &image, "-n", world::NAMESPACE]);
        // It did not serve for long enough to be chosen by itself.
        command.args(["--to", "tag:1", "--dry-run", "-o", "json"]);
        let (took, output) = timed(&mut command);
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["targets"].as_array().unwrap().len(), workloads);
        assert_eq!(document["diffs"].as_array().unwrap().len(), world::FILES);
        took
    })
}

/// `status -A` against one list by kubectl, each as a process of its own.
fn status(world: &World) -> Option<(f64, f64)> {
    let found = Command::new("kubectl")
        .arg("version")
        .arg("--client")
        .output();
    if !found.is_ok_and(|output| output.status.success()) {
        return None;
    }
    let own = median(|| timed(world.unship().args(["status", "-A", "-o", "json"])).0);
    let kubectl = median(|| {
        let mut command = world.program("kubectl");
        timed(command.args(["get", "deployments", "-A", "-o", "json"])).0
    });
    Some((own, kubectl))
}

fn main() -> ExitCode {
    let mut all_met = true;
    let mut line = |what: &str, figure: String, aim: &str, met: bool| {
        all_met &= met;
        let word = if met { "met" } else { "missed" };
        println!("| {what} | {figure} | {aim} | {word} |");
    };
    println!("| what | figure | aim | |\n|---|---|---|---|");
    let world = World::with(200);
    let seconds = planned(&world, 200);
    line(
        "rollback of 200 workloads in 20 files planned, median of 5",
        format!("{seconds:.2} s"),
        "under 2 s",
        seconds < 2.0,
    );
    drop(world);
    let world = World::with(500);
    match status(&world) {
        Some((own, kubectl)) => {
            let ratio = own / kubectl;
            line(
                "status of 500 workloads against `kubectl get deployments -A`, medians of 5",
                format!("{own:.2} s against {kubectl:.2} s, {ratio:.2}x"),
                "at most 2x",
                ratio <= 2.0,
            );
        }
        None => println!("NOT RUN: kubectl is not on PATH"),
    }
    drop(world);
    let (own, git) = history::compared();
    let ratio = own / git;
    line(
        "50 changes of a file in 100,000 commits against `git log -n 50`, medians of 5",
        format!(
            "{:.0} ms against {:.0} ms, {ratio:.2}x",
            own * 1e3,
            git * 1e3
        ),
        "at most 0.5x",
        ratio <= 0.5,
    );
    if all_met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
