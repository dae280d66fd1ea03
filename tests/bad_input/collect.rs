//! `unship collect` where it cannot write, may not read, or is asked for nonsense.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use unship::sandbox::{Effect, Fault, Surface};

use super::common::{Plan, World, bed, build, clean, run, world};
use super::{refuses, shared};

fn collect(world: &World, out: &Path) -> Command {
    let mut command = world.command(&["collect", "zai-proxy", "-n", &world.name]);
    command.arg("--out").arg(out);
    command
}

#[test]
fn a_folder_that_cannot_be_made() {
    let world = shared("collect-unwritable");
    let out = Path::new("/proc/nowhere/bundle");
    let command = collect(&world, out);
    refuses(
        &world,
        command,
        1,
        &["/proc/nowhere/bundle", "could not be made", "--out DIR"],
    );
    let file = world.engineer.home.join("a-file");
    std::fs::write(&file, "keep").unwrap();
    let command = collect(&world, &file.join("bundle"));
    refuses(
        &world,
        command,
        2,
        &["a-file/bundle", "cannot be used", "--out DIR"],
    );
    let command = collect(&world, &file);
    refuses(
        &world,
        command,
        2,
        &["a-file", "cannot be used", "--out DIR"],
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "keep");
}

#[test]
fn what_is_there_is_not_touched() {
    let world = shared("collect-taken");
    let out = world.engineer.home.join("taken");
    std::fs::create_dir_all(&out).unwrap();
    std::fs::write(out.join("notes.txt"), "mine").unwrap();
    let command = collect(&world, &out);
    refuses(&world, command, 2, &["taken is not empty", "--out DIR"]);
    let names = std::fs::read_dir(&out).unwrap().count();
    assert_eq!(
        (
            names,
            std::fs::read_to_string(out.join("notes.txt")).unwrap()
        ),
        (1, "mine".to_owned())
    );
    let other = world.engineer.home.join("other");
    let archive = world.engineer.home.join("other.tar.gz");
    std::fs::write(&archive, "mine").unwrap();
    let mut command = collect(&world, &other);
    command.arg("--archive");
    refuses(
        &world,
        command,
        2,
        &["other.tar.gz is there already", "--out DIR"],
    );
    assert!(!other.exists(), "nothing was begun");
    assert_eq!(std::fs::read_to_string(&archive).unwrap(), "mine");
    // An empty folder is as good as none.
    let empty = world.engineer.home.join("empty");
    std::fs::create_dir_all(&empty).unwrap();
    run(collect(&world, &empty)).ended(0);
    assert!(empty.join("manifest.json").exists());
}

#[test]
fn wrong_words_leave_no_folder() {
    let world = shared("collect-words");
    let out = world.engineer.home.join("none");
    let mut command = world.command(&["collect", "zai-prox", "-n", &world.name, "--out"]);
    command.arg(&out);
    refuses(
        &world,
        command,
        2,
        &["no workload zai-prox", "did you mean"],
    );
    let mut command = world.command(&[
        "collect",
        "zai-proxy",
        "deploy/nobody",
        "-n",
        &world.name,
        "--out",
    ]);
    command.arg(&out);
    refuses(&world, command, 2, &["no deployment nobody"]);
    for words in [
        &["--tail", "0"][..],
        &["--tail", "many"],
        &["--since", "soon"],
    ] {
        let mut command = collect(&world, &out);
        command.args(words);
        refuses(&world, command, 2, &[words[0]]);
    }
    refuses(&world, world.command(&["collect"]), 2, &["TARGET"]);
    assert!(!out.exists());
}

#[test]
fn nobody_to_ask() {
    let world = shared("collect-nobody");
    let out = world.engineer.home.join("nobody");
    let mut command = collect(&world, &out);
    command
        .env(
            "KUBECONFIG",
            world.kubeconfig(Some("http://127.0.0.1:9"), None),
        )
        .env_remove("ARGOCD_SERVER")
        // In no clone: its file would still tell a timeline.
        .current_dir(std::env::temp_dir());
    refuses(
        &world,
        command,
        1,
        &[
            "nothing could be saved",
            "127.0.0.1:9 does not answer",
            "unship access",
        ],
    );
    assert!(
        !out.exists(),
        "an attempt that saved nothing leaves nothing"
    );
}

#[test]
fn logs_are_forbidden() {
    let world = world("collect-nologs");
    let fault = Fault {
        surface: Surface::Kubernetes,
        method: None,
        path: format!("/namespaces/{}/pods/[^/]+/log", world.name),
        skip: 0,
        times: None,
        effect: Effect::Answer(403),
    };
    let id = bed().sandbox.faults().plant(fault).unwrap();
    let out = world.engineer.home.join("bundle");
    let outcome = run(collect(&world, &out));
    bed().sandbox.faults().remove(id);
    outcome
        .ended(0)
        .said(&["missing: logs/zai-proxy-", "forbidden", "saved in "]);
    assert!(
        !out.join("logs").exists() || std::fs::read_dir(out.join("logs")).unwrap().count() == 0
    );
    for there in [
        "objects/deployment-zai-proxy.yaml",
        "events.txt",
        "timeline.txt",
    ] {
        assert!(out.join(there).exists(), "{there}");
    }
}

#[test]
fn an_archive_that_cannot_be_written_leaves_the_folder() {
    let world = shared("collect-archive");
    let out = world.engineer.home.join("kept");
    // A folder stands where the archive is to be written.
    std::fs::create_dir_all(world.engineer.home.join("kept.tar.gz.part")).unwrap();
    let mut command = collect(&world, &out);
    command.arg("--archive");
    let outcome = run(command);
    outcome.ended(1).said(&[
        "the archive could not be written",
        "the folder stays",
        "hint: ",
    ]);
    assert!(out.join("manifest.json").exists());
    assert!(!world.engineer.home.join("kept.tar.gz").exists());
}

/// The collection into a disk of so many KiB, whose content is copied when it is full.
fn on_a_small_disk(world: &World, kibibytes: u32) -> (Command, PathBuf) {
    let disk = world.engineer.home.join(format!("disk{kibibytes}"));
    let copy = world.engineer.home.join(format!("copy{kibibytes}"));
    std::fs::create_dir_all(&disk).unwrap();
    std::fs::create_dir_all(&copy).unwrap();
    let inner = collect(world, &disk);
    let mut command = clean("unshare", &world.engineer);
    let script = format!(
        "mount -t tmpfs -o size={kibibytes}k tmpfs '{}' && {{ \"$0\" \"$@\"; code=$?; \
         cp -r '{}/.' '{}'; exit $code; }}",
        disk.display(),
        disk.display(),
        copy.display()
    );
    command
        .args(["-rm", "sh", "-c", &script])
        .arg(inner.get_program());
    command
        .args(inner.get_args())
        .current_dir(&world.engineer.clone);
    for (name, value) in inner.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    (command, copy)
}

#[test]
fn a_disk_that_fills_up() {
    let world = build(&Plan {
        text: &|text| {
            text.replace(
                "    metadata:\n      labels:\n",
                "    metadata:\n      annotations: {unship.test/log-lines: \"900\"}\n      labels:\n",
            )
        },
        ..Plan::new("collect-full")
    });
    let (command, copy) = on_a_small_disk(&world, 8);
    run(command)
        .ended(1)
        .said(&["nothing could be saved", "No space left", "--out DIR"]);
    assert_eq!(std::fs::read_dir(&copy).unwrap().count(), 0);
    for kibibytes in [120, 180, 240] {
        let (command, copy) = on_a_small_disk(&world, kibibytes);
        run(command)
            .ended(1)
            .said(&["No space left", "error: ", "manifest.json", "--out DIR"]);
        let text = std::fs::read_to_string(copy.join("manifest.json")).unwrap();
        let manifest: Value = serde_json::from_str(&text).unwrap();
        assert!(text.contains("No space left"), "{text}");
        // What the manifest calls saved is there, whole or named as cut.
        let files = manifest["files"].as_array().unwrap();
        assert!(!files.is_empty(), "{manifest:#}");
        for file in files {
            let name = file["path"].as_str().unwrap();
            let bytes = std::fs::read(copy.join(name)).unwrap();
            let hash: String = Sha256::digest(&bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(file["sha256"], hash, "{name} on {kibibytes} KiB");
            assert_eq!(file["cut"].is_string(), name.ends_with(".cut"), "{name}");
        }
    }
}
