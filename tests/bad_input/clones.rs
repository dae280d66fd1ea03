//! Clones of every kind: shallow, blobless, reftable, SHA-256, detached, merging,
//! submodule, bare, linked worktree.

use std::path::Path;

use super::common::{Engineer, World, clean, git, run, world};
use super::{lands, refuses, rollback, shared};

/// The world with a clone that was made differently.
fn with_clone(world: &World, name: &str, flags: &[&str]) -> World {
    let engineer = Engineer {
        home: world.engineer.home.clone(),
        clone: world.engineer.clone.with_file_name(name),
    };
    let url = world.url();
    let clone = engineer.clone.display().to_string();
    let arguments = [&["clone", "--quiet"], flags, &[&url, &clone]].concat();
    git(&engineer, &engineer.home, &arguments);
    World {
        engineer,
        ..world.clone()
    }
}

fn files_at(world: &World, commit: &str) -> Vec<String> {
    let text = world.remote(&["ls-tree", "-r", "--name-only", commit]);
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_shallow_clone_is_deepened() {
    let world = with_clone(&world("shallow"), "shallow", &["--depth=1"]);
    assert_eq!(world.git(&["rev-list", "--count", "HEAD"]), "1");
    let before = files_at(&world, "main");
    lands(&world, rollback(&world));
    assert_eq!(files_at(&world, "main"), before, "no file is deleted");
    assert_eq!(
        world.git(&["rev-parse", "--is-shallow-repository"]),
        "false"
    );
}

#[test]
fn a_shallow_clone_of_a_shallow_remote_is_refused() {
    let world = world("cut");
    let bare = world.bare();
    let cut = bare.with_extension("cut");
    let from = format!("file://{}", bare.display());
    let to = cut.display().to_string();
    git(
        &world.engineer,
        Path::new("/"),
        &["clone", "--quiet", "--bare", "--depth=1", &from, &to],
    );
    std::fs::rename(&bare, bare.with_extension("whole")).unwrap();
    std::fs::rename(&cut, &bare).unwrap();
    git(
        &world.engineer,
        &bare,
        &["config", "http.receivepack", "true"],
    );
    let world = with_clone(&world, "cut-clone", &["--depth=1"]);
    refuses(
        &world,
        rollback(&world),
        3,
        &["shallow", "git fetch --unshallow"],
    );
}

#[test]
fn a_blobless_clone() {
    let world = world("blobless");
    world.remote(&["config", "uploadpack.allowFilter", "true"]);
    world.remote(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
    let world = with_clone(&world, "blobless", &["--filter=blob:none", "--no-checkout"]);
    assert!(
        world
            .git(&["rev-list", "--objects", "--all", "--missing=print"])
            .contains('?')
    );
    lands(&world, rollback(&world));
}

#[test]
fn a_reftable_or_sha256_repository() {
    let world = shared("formats");
    let clone = &world.engineer.clone;
    let formats = [
        ("--object-format=sha256", "SHA-256"),
        ("--ref-format=reftable", "reftable"),
    ];
    for (flag, name) in formats {
        let folder = clone.with_file_name(name);
        let mut make = clean("git", &world.engineer);
        let at = folder.display().to_string();
        make.args(["init", "--quiet", flag, &at])
            .current_dir(&world.engineer.home);
        let made = run(make);
        if made.code != Some(0) {
            // This git cannot make one; the configuration that it would write is enough.
            git(
                &world.engineer,
                &world.engineer.home,
                &["init", "--quiet", &at],
            );
            git(
                &world.engineer,
                &folder,
                &["config", "core.repositoryformatversion", "1"],
            );
            git(
                &world.engineer,
                &folder,
                &["config", "extensions.refStorage", "reftable"],
            );
        }
        let mut command = rollback(&world);
        command.args(["--repo", &at]);
        refuses(&world, command, 2, &[name, &at, "libgit2 cannot read"]);
    }
}

#[test]
fn a_detached_head_works() {
    let world = world("detached");
    world.git(&["checkout", "--quiet", "--detach"]);
    let head = world.git(&["rev-parse", "HEAD"]);
    lands(&world, rollback(&world)).said(&["HEAD is detached"]);
    assert_eq!(world.git(&["rev-parse", "HEAD"]), head, "it is left alone");
}

#[test]
fn a_merge_in_progress_is_left_alone() {
    let world = world("merging");
    world.git(&["checkout", "--quiet", "-b", "side", "HEAD~1"]);
    std::fs::write(world.engineer.clone.join("side.txt"), "side\n").unwrap();
    world.git(&["add", "side.txt"]);
    world.git(&["commit", "--quiet", "-m", "side"]);
    world.git(&["checkout", "--quiet", "main"]);
    world.git(&["merge", "--no-commit", "--no-ff", "--quiet", "side"]);
    let before = (
        world.git(&["rev-parse", "HEAD", "MERGE_HEAD"]),
        world.git(&["status", "--porcelain"]),
    );
    lands(&world, rollback(&world)).said(&["merge is under way", "left alone"]);
    let after = (
        world.git(&["rev-parse", "HEAD", "MERGE_HEAD"]),
        world.git(&["status", "--porcelain"]),
    );
    assert_eq!(before, after);
}

#[test]
fn uncommitted_work_is_left_alone() {
    let world = world("dirty");
    let file = world.engineer.clone.join(world.file("zai-proxy"));
    let text = format!("{}# mine\n", std::fs::read_to_string(&file).unwrap());
    std::fs::write(&file, &text).unwrap();
    lands(&world, rollback(&world)).said(&["left alone", "uncommitted changes"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn a_submodule_path_is_named() {
    let world = shared("submodule");
    let url = world.url();
    world.git(&["submodule", "--quiet", "add", &url, "vendored"]);
    let mut command = rollback(&world);
    command.args(["--file", "vendored/k8s/mcp/zai-proxy.yml"]);
    refuses(&world, command, 3, &["vendored/k8s/mcp/zai-proxy.yml"]);
}

#[test]
fn inside_a_submodule_its_own_repository_is_meant() {
    let world = world("inside");
    let outer = world.engineer.clone.with_file_name("outer");
    let at = outer.display().to_string();
    git(
        &world.engineer,
        &world.engineer.home,
        &["init", "--quiet", &at],
    );
    git(
        &world.engineer,
        &outer,
        &["submodule", "--quiet", "add", &world.url(), "gitops"],
    );
    let inside = World {
        engineer: Engineer {
            home: world.engineer.home.clone(),
            clone: outer.join("gitops"),
        },
        ..world.clone()
    };
    lands(&inside, rollback(&inside));
}

#[test]
fn a_bare_clone() {
    let world = with_clone(&world("bare"), "bare.git", &["--bare"]);
    let mut command = world.command(&["rollback", "zai-proxy", "-n", &world.name, "--yes"]);
    command.args(["--repo", &world.engineer.clone.display().to_string()]);
    let outcome = run(command);
    outcome.ended(0);
    assert_eq!(world.own_commits().len(), 1);
}

#[test]
fn a_linked_worktree() {
    let world = world("linked");
    world.git(&["worktree", "add", "--quiet", "-b", "side", "../linked"]);
    let linked = World {
        engineer: Engineer {
            home: world.engineer.home.clone(),
            clone: world.engineer.clone.with_file_name("linked"),
        },
        ..world.clone()
    };
    let main = world.git(&["rev-parse", "main"]);
    lands(&linked, rollback(&linked)).said(&["it is on side"]);
    assert_eq!(
        world.git(&["rev-parse", "main"]),
        main,
        "the other worktree's branch stays"
    );
}
