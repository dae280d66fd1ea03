//! docs/procedures.md is true: every row is there, and every command line in it ends as its row
//! says, with the checks, blockers, steps and tests that the row names.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use common::{BAD, FIXTURE, GOOD, Outcome, Plan, World, bed, build, run};
use http::{Method, Request};
use serde_json::{Value, json};

const PAGE: &str = include_str!("../docs/procedures.md");
const CANARY: &str = include_str!(
    "../manifests-fixtures/gitops/k8s/apexalgo-iad/mcp/zai-proxy-canary-deployment.yml"
);

/// The rows that the page must have.
const ROWS: [&str; 64] = [
    "K1", "K2", "K3", "CR04", "CR05", "CR07", "CR08", "CR09", "CR10", "CR11", "CR12", "CR13",
    "CR14", "F1", "A20", "E7", "CR16", "CR17", "CR18", "CR19", "CR20", "CR21", "CR22", "CR23",
    "CR24", "CR29", "S1a", "S1b", "S2a", "S2b", "S3a", "S3b", "S4a", "S4b", "S5a", "S5b", "S6a",
    "S6b", "S6c", "S7a", "S7b", "S7c", "D1", "D2", "B1", "B2", "B3", "B4", "B5", "A3", "A8", "A9",
    "A10", "A11", "A12", "A13", "A15", "A16", "A17", "A22", "A24", "A32", "A35", "A36",
];

/// One row of the page.
#[derive(Debug)]
struct Row {
    id: String,
    answer: String,
    /// World, identity and exit codes; none where a person does all of it.
    tried: Option<(String, String, Vec<i32>)>,
}

impl Row {
    /// Texts in backticks that begin so, without that beginning.
    fn words(&self, before: &str) -> Vec<String> {
        let pieces: Vec<&str> = self.answer.split('`').collect();
        let quoted = pieces.iter().enumerate().skip(1).step_by(2);
        quoted
            .filter(|(index, _)| pieces[index - 1].ends_with(before))
            .map(|(_, text)| (*text).to_owned())
            .collect()
    }

    fn commands(&self) -> Vec<String> {
        let mut all = self.words("");
        all.retain(|text| text.starts_with("unship "));
        all
    }
}

fn rows() -> Vec<Row> {
    let lines = PAGE.lines().filter(|line| line.starts_with("| "));
    let cells = lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim));
    cells
        .map(Iterator::collect::<Vec<_>>)
        .filter(|cells| cells.len() == 4 && cells[0] != "row")
        .map(|cells| Row {
            id: cells[0].to_owned(),
            answer: cells[2].to_owned(),
            tried: tried(cells[3]),
        })
        .collect()
}

/// `WORLD as IDENTITY: CODES`, or `by hand`.
fn tried(cell: &str) -> Option<(String, String, Vec<i32>)> {
    if cell == "by hand" {
        return None;
    }
    let (place, codes) = cell
        .split_once(": ")
        .unwrap_or_else(|| panic!("{cell:?} says no codes"));
    let (world, identity) = place.split_once(" as ").unwrap();
    let codes = codes.split(", ").map(|code| code.parse().unwrap());
    Some((world.to_owned(), identity.to_owned(), codes.collect()))
}

/// The administrator's hands.
fn admin(method: Method, path: &str, media: &str, body: &Value) {
    static CLIENT: LazyLock<kube::Client> = LazyLock::new(|| {
        let path = bed().sandbox.variable("UNSHIP_WORLD_ADMIN_KUBECONFIG");
        bed().runtime.block_on(async {
            let file = kube::config::Kubeconfig::read_from(Path::new(path)).unwrap();
            let options = kube::config::KubeConfigOptions::default();
            let config = kube::Config::from_custom_kubeconfig(file, &options).await;
            kube::Client::try_from(config.unwrap()).unwrap()
        })
    });
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", media)
        .body(body.to_string().into_bytes())
        .unwrap();
    let done = bed().runtime.block_on(CLIENT.request::<Value>(request));
    done.unwrap_or_else(|error| panic!("{path}: {error}"));
}

fn deployment_path(world: &World) -> String {
    format!(
        "/apis/apps/v1/namespaces/{}/deployments/zai-proxy",
        world.name
    )
}

/// As `kubectl patch` changes the workload: the image and the version label.
fn release_by_hand(world: &World, tag: &str) {
    let patch = json!({"spec": {"template": {"metadata": {"labels": {"version": tag}},
        "spec": {"containers":
            [{"name": "proxy", "image": format!("ronaldraygun/zai-proxy:{tag}")}]}}}});
    let path = format!("{}?fieldManager=kubectl-patch", deployment_path(world));
    let media = "application/strategic-merge-patch+json";
    admin(Method::PATCH, &path, media, &patch);
}

fn merge(path: &str, patch: &Value) {
    admin(Method::PATCH, path, "application/merge-patch+json", patch);
}

fn until(world: &World, name: &str, test: impl Fn(&Value) -> bool) {
    let place = ("apps", "Deployment", world.name.as_str(), name);
    let waited = bed().sandbox.wait_for(place, Duration::from_secs(30), test);
    bed().runtime.block_on(waited).unwrap();
}

/// Applied by hand as `kubectl apply` does; nothing ships it.
fn unmanaged(replicas: u32) -> World {
    let world = build(&Plan {
        application: false,
        ..Plan::new("unmanaged")
    });
    let text = FIXTURE.replace("namespace: mcp", &format!("namespace: {}", world.name));
    for document in text.split("\n---\n") {
        let mut object: Value = serde_yaml::from_str(document).unwrap();
        let (group, plural) = match object["kind"].as_str() {
            Some("Deployment") => ("apis/apps/v1", "deployments"),
            _ => ("api/v1", "services"),
        };
        if plural == "deployments" {
            object["spec"]["replicas"] = json!(replicas);
        }
        let path = format!(
            "/{group}/namespaces/{}/{plural}?fieldManager=kubectl-client-side-apply",
            world.name
        );
        admin(Method::POST, &path, "application/json", &object);
    }
    world.wait_live(GOOD);
    // What the controller has not recorded yet could not be gone back to.
    until(&world, "zai-proxy", |d| {
        d["status"]["readyReplicas"] == replicas
            && d["status"]["observedGeneration"] == d["metadata"]["generation"]
    });
    world
}

fn unmanaged_bad() -> World {
    let world = unmanaged(1);
    release_by_hand(&world, BAD);
    until(&world, "zai-proxy", |d| {
        d["status"]["unavailableReplicas"] == 1
            && d["status"]["observedGeneration"] == d["metadata"]["generation"]
    });
    world
}

/// A canary beside production, declared in the repository's unship.yaml.
fn with_canary(tag: &str) -> World {
    let world = build(&Plan {
        bad: false,
        ..Plan::new("canary")
    });
    let manifest = CANARY
        .replace("namespace: mcp", &format!("namespace: {}", world.name))
        .replace("1.3.0-canary", tag);
    let services = "services:\n  zai-proxy: {production: zai-proxy, canary: zai-proxy-canary}\n";
    world.push(
        "feat: canary of 1.3.0",
        &[
            ("k8s/mcp/zai-proxy-canary.yml", manifest),
            ("unship.yaml", services.to_owned()),
        ],
    );
    world.refresh();
    if !tag.ends_with("-crash") {
        until(&world, "zai-proxy-canary", |d| {
            d["status"]["readyReplicas"] == 1
        });
        return world;
    }
    let crashing = |pod: &Value| {
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    };
    let place = ("", "Pod", world.name.as_str());
    let waited = bed()
        .sandbox
        .wait_for_any(place, Duration::from_secs(30), crashing);
    bed().runtime.block_on(waited).unwrap();
    world
}

fn manual() -> World {
    let world = common::world("manual");
    let path = format!(
        "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/{}",
        world.name
    );
    merge(
        &path,
        &json!({"spec": {"syncPolicy": {"automated": Value::Null}}}),
    );
    world
}

/// The worlds that the page describes.
fn world_of(name: &str) -> World {
    match name {
        "good" => build(&Plan {
            bad: false,
            ..Plan::new("good")
        }),
        "bad" => common::world("bad"),
        "manual" => manual(),
        "drift" => {
            let world = manual();
            release_by_hand(&world, GOOD);
            world.wait_live(GOOD);
            world
        }
        "unmanaged" => unmanaged_bad(),
        "steady" => unmanaged(3),
        "paused" => {
            let world = unmanaged_bad();
            merge(&deployment_path(&world), &json!({"spec": {"paused": true}}));
            world
        }
        "canary" => with_canary("1.3.0-canary-crash"),
        "pair" => with_canary("1.3.0-canary"),
        "no-git" => {
            let world = common::world("no-git");
            std::fs::rename(world.bare(), world.bare().with_extension("lost")).unwrap();
            world
        }
        other => panic!("the page has no world {other}"),
    }
}

/// A folder in no clone: the checkout that these tests run in is one, too.
fn nowhere(world: &World) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("unship-{}-{}", std::process::id(), world.name))
}

/// The command line in this world as this identity.
fn command(world: &World, identity: &str, line: &str) -> Command {
    let line = line.replace("-n mcp", &format!("-n {}", world.name));
    let mut words: Vec<&str> = line.split_whitespace().skip(1).collect();
    if !words.contains(&"-o") {
        words.extend(["-o", "json"]);
    }
    let mut command = world.command(&words);
    let mut set = |name: &str, variable: &str| {
        command.env(name, bed().sandbox.variable(variable));
    };
    match identity {
        "observer" => {}
        "syncer" => set("ARGOCD_AUTH_TOKEN", "UNSHIP_WORLD_SYNCER_ARGOCD_TOKEN"),
        "deployer" | "scaler" | "operator" => {
            let own = format!("UNSHIP_WORLD_{}_KUBECONFIG", identity.to_uppercase());
            set("KUBECONFIG", &own);
            if identity == "operator" {
                set("ARGOCD_AUTH_TOKEN", "UNSHIP_WORLD_OPERATOR_ARGOCD_TOKEN");
            }
        }
        other => panic!("the page has no identity {other}"),
    }
    if world.name.starts_with("unmanaged") {
        let nowhere = nowhere(world);
        std::fs::create_dir_all(&nowhere).unwrap();
        command.current_dir(nowhere);
    }
    command
}

/// Everything in the documents that a row's words can name, as `kind id`.
fn found_in(document: &Value, into: &mut Vec<String>) {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    for (kind, key) in [
        ("blocker", "blockers"),
        ("step", "steps"),
        ("check", "checks"),
        ("test", "tests"),
    ] {
        for item in list(&document[key]) {
            let id = item["id"].as_str().unwrap_or_default();
            if kind != "check" || item["verdict"] == "holds" {
                into.push(format!("{kind} {id}"));
            }
        }
    }
    for item in list(&document["triggers"]) {
        let word = match item["verdict"].as_str() {
            Some("fails") => "firing",
            Some("unknown") => "unknown",
            _ => continue,
        };
        let id = item["id"].as_str().unwrap_or_default();
        into.push(format!("{word} trigger {id}"));
    }
    for target in list(&document["targets"]) {
        found_in(&target, into);
    }
}

/// What is wrong with a row, in words.
fn try_row(row: &Row) -> Result<(), String> {
    let commands = row.commands();
    let Some((place, identity, codes)) = &row.tried else {
        let hand = row.answer.contains("By hand: ");
        return (hand && commands.is_empty())
            .then_some(())
            .ok_or_else(|| format!("{}: says not what is done by hand", row.id));
    };
    if commands.is_empty() || commands.len() != codes.len() {
        return Err(format!("{}: {commands:?} and {codes:?}", row.id));
    }
    if codes.iter().any(|code| matches!(code, 1 | 2)) {
        return Err(format!("{}: an error is no answer", row.id));
    }
    let world = world_of(place);
    if commands
        .iter()
        .any(|line| line.contains("--code-repo ../code"))
    {
        code_repository(&world);
    }
    let mut found = Vec::new();
    let mut told = String::new();
    for (index, (line, code)) in commands.iter().zip(codes).enumerate() {
        let outcome: Outcome = run(command(&world, identity, line));
        let shown = outcome.shown();
        if outcome.code != Some(*code) {
            return Err(format!("{}: {line}: not {code}: {shown}", row.id));
        }
        if let Ok(document) = serde_json::from_str(&outcome.stdout) {
            found_in(&document, &mut found);
        }
        told.push_str(&shown);
        if place == "no-git" && index == 0 {
            std::fs::rename(world.bare().with_extension("lost"), world.bare()).unwrap();
        }
    }
    let _ = std::fs::remove_dir_all(nowhere(&world));
    for kind in [
        "check",
        "blocker",
        "step",
        "test",
        "firing trigger",
        "unknown trigger",
    ] {
        for id in row.words(&format!("{kind} ")) {
            if !found.contains(&format!("{kind} {id}")) {
                return Err(format!("{}: no {kind} {id}: {told}", row.id));
            }
        }
    }
    Ok(())
}

/// A clone of the code's repository beside the engineer's, with a commit that broke it.
fn code_repository(world: &World) {
    let name = format!("{}-code", world.name);
    let bare = bed().sandbox.create_repository(&name).unwrap();
    let folder = world.engineer.clone.with_file_name("code");
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git")
            .current_dir(&folder)
            .args([
                "-c",
                "user.name=Mira Okafor",
                "-c",
                "user.email=mira@example.org",
            ])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    };
    std::fs::create_dir_all(&folder).unwrap();
    git(&["init", "-q", "-b", "main"]);
    git(&["remote", "add", "origin", &bare.display().to_string()]);
    for text in ["works\n", "crashes\n"] {
        std::fs::write(folder.join("main.rs"), text).unwrap();
        git(&["add", "."]);
        git(&["commit", "-q", "-m", text.trim()]);
    }
    git(&["push", "-q", "-u", "origin", "main"]);
}

#[test]
fn every_row_is_on_the_page_once() {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows() {
        *count.entry(row.id).or_default() += 1;
    }
    for id in ROWS {
        assert_eq!(count.remove(id), Some(1), "{id}");
    }
    assert_eq!(count, BTreeMap::new(), "rows that nothing asks for");
    let in_rows: usize = rows().iter().map(|row| row.commands().len()).sum();
    let on_page = PAGE.matches("`unship ").count();
    assert_eq!(
        in_rows, on_page,
        "a command line stands outside of the table"
    );
}

#[test]
fn every_command_line_ends_as_its_row_says() {
    let only = std::env::var("ROW").ok();
    let mut queue = rows();
    queue.retain(|row| only.as_ref().is_none_or(|id| *id == row.id));
    assert!(!queue.is_empty());
    let queue = Mutex::new(queue);
    let wrong: Mutex<Vec<String>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(row) = queue.lock().unwrap().pop() else {
                        return;
                    };
                    if let Err(error) = try_row(&row) {
                        wrong.lock().unwrap().push(error);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
