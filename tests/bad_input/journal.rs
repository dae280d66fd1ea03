//! Disk full, or no place to write, while journaling.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::common::{World, clean, run, world};
use super::{lands, refuses, rollback, shared};

/// The rollback under `ulimit -f`: no file may grow over so many blocks of 512 bytes.
fn with_file_limit(world: &World, blocks: u32) -> Command {
    let inner = rollback(world);
    let mut command = clean("sh", &world.engineer);
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    command.arg("-c").arg(script).arg(inner.get_program());
    command
        .args(inner.get_args())
        .current_dir(&world.engineer.clone);
    for (name, value) in inner.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command
}

#[test]
fn a_disk_that_is_full_before_anything_is_done() {
    let world = world("full");
    let before = world.remote(&["for-each-ref"]);
    let outcome = run(with_file_limit(&world, 1));
    outcome
        .ended(1)
        .said(&["journal", "written", "hint: ", "XDG_STATE_HOME"]);
    assert_eq!(world.remote(&["for-each-ref"]), before);
    assert!(
        world.run_folders().is_empty(),
        "no half-written run: {:?}",
        world.run_folders()
    );
    lands(&world, rollback(&world));
}

#[test]
fn a_state_folder_that_is_a_file() {
    let world = shared("state-file");
    let odd = world.engineer.home.join("state-file");
    std::fs::write(&odd, "").unwrap();
    let mut command = rollback(&world);
    command.env("XDG_STATE_HOME", &odd);
    refuses(
        &world,
        command,
        1,
        &[&odd.display().to_string(), "XDG_STATE_HOME"],
    );
}

#[test]
fn a_state_folder_that_is_not_writable() {
    let world = shared("state-readonly");
    let folder = world.engineer.home.join("readonly");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o500)).unwrap();
    if std::fs::write(folder.join("probe"), "").is_ok() {
        // root may write everywhere; the file in the folder's place above is its case.
        return;
    }
    let mut command = rollback(&world);
    command.env("XDG_STATE_HOME", &folder);
    refuses(
        &world,
        command,
        1,
        &[&folder.display().to_string(), "XDG_STATE_HOME"],
    );
}

/// The rollback with its journal on a disk of so many KiB, which ends with the process.
fn on_a_small_disk(world: &World, kibibytes: u32) -> Command {
    let inner = rollback(world);
    let folder = world.engineer.home.join("small");
    std::fs::create_dir_all(&folder).unwrap();
    let mut command = clean("unshare", &world.engineer);
    let script = format!(
        "mount -t tmpfs -o size={kibibytes}k tmpfs \"$XDG_STATE_HOME\" && exec \"$0\" \"$@\""
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
    command.env("XDG_STATE_HOME", &folder);
    command
}

#[test]
fn a_disk_that_fills_while_the_run_is_at_work() {
    let mut stopped = 0;
    for kibibytes in [8, 12, 16, 20] {
        let world = world(&format!("filling{kibibytes}"));
        let outcome = run(on_a_small_disk(&world, kibibytes));
        if outcome.code == Some(0) {
            continue;
        }
        stopped += 1;
        outcome
            .ended(1)
            .said(&["journal", "No space left", "hint: "]);
        let pushed = world.own_commits().len();
        assert!(pushed <= 1, "at most one commit: {pushed}");
        // With room again the same command reaches the goal with one commit in all.
        run(rollback(&world)).ended(0);
        assert_eq!(world.own_commits().len(), 1);
    }
    assert!(stopped > 0, "at least one of the disks was too small");
}
