//! Disk full, or no place to write, while journaling.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::common::{World, clean, run, world};
use super::{lands, refuses, rollback, shared};

/// A command as `sh` runs it: `script` starts it as `"$0" "$@"`.
fn by_shell(world: &World, script: &str, inner: &Command) -> Command {
    let mut command = clean("sh", &world.engineer);
    command.arg("-c").arg(script);
    carry(&mut command, world, inner);
    command
}

/// Hangs a command behind another one, with its place and its environment.
fn carry(command: &mut Command, world: &World, inner: &Command) {
    command.arg(inner.get_program()).args(inner.get_args());
    command.current_dir(&world.engineer.clone);
    let set = inner
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    command.envs(set);
}

/// The rollback under `ulimit -f`: no file may grow over so many blocks of 512 bytes.
fn with_file_limit(world: &World, blocks: u32) -> Command {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    by_shell(world, &script, &rollback(world))
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
fn a_state_folder_that_is_a_file_or_below_one() {
    let world = shared("state-file");
    for below in ["", "state/of/mine"] {
        let file = world.engineer.home.join("state-file");
        std::fs::write(&file, "mine\n").unwrap();
        let mut command = rollback(&world);
        command.env("XDG_STATE_HOME", file.join(below));
        let words = [
            &*file.display().to_string(),
            "journal",
            "Not a directory",
            "XDG_STATE_HOME",
        ];
        refuses(&world, command, 1, &words);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine\n");
    }
}

/// A command that the modes of files hold for, also where root runs the tests: root's right
/// to pass them by (CAP_DAC_OVERRIDE) is given up by util-linux's setpriv.
fn bound_by_modes(inner: &Command, world: &World) -> Command {
    let script = "if [ \"$(id -u)\" = 0 ]; then exec setpriv --bounding-set=-dac_override \
                  --inh-caps=-dac_override \"$0\" \"$@\"; fi; exec \"$0\" \"$@\"";
    by_shell(world, script, inner)
}

#[test]
fn a_state_folder_that_is_not_writable() {
    let world = shared("state-readonly");
    let folder = world.engineer.home.join("readonly");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o500)).unwrap();
    let mut probe = Command::new("touch");
    probe.arg(folder.join("probe"));
    let probe = run(bound_by_modes(&probe, &world));
    assert_eq!(probe.code, Some(1), "the folder can be written: {probe:?}");
    let mut command = rollback(&world);
    command.env("XDG_STATE_HOME", &folder);
    let words = [
        &*folder.display().to_string(),
        "journal",
        "Permission denied",
        "XDG_STATE_HOME",
    ];
    refuses(&world, bound_by_modes(&command, &world), 1, &words);
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The rollback with its journal on a disk of so many KiB, which ends with the process.
fn on_a_small_disk(world: &World, kibibytes: u32) -> Command {
    let folder = world.engineer.home.join("small");
    std::fs::create_dir_all(&folder).unwrap();
    let mut command = clean("unshare", &world.engineer);
    let script = format!(
        "mount -t tmpfs -o size={kibibytes}k tmpfs \"$XDG_STATE_HOME\" && exec \"$0\" \"$@\""
    );
    command.args(["-rm", "sh", "-c", &script]);
    carry(&mut command, world, &rollback(world));
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
