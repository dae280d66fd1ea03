//! kubectl's other verbs through Git, with read-only rights in the cluster.

use serde_json::{Value, json};

use crate::admin::Kind;
use crate::stage::{GOOD, MANIFEST, Setting, Stage, image};
use crate::world::World;

fn spec(stage: &Stage) -> Value {
    stage.deployment().expect("the Deployment")["spec"].clone()
}

/// One commit each: scale, image with its label, variable, restart.
pub(crate) fn other_intents_go_through_git(world: &'static World) {
    let stage = Stage::new(world, "intents", (GOOD, &Setting::default()));
    let user = stage.user();
    let name = stage.name.clone();
    let run = user
        .run(&["scale", "zai-proxy", "2", "-n", &name, "--yes"])
        .ends_with(0);
    run.has("/state", "succeeded").has("/intent", "scale");
    assert_eq!(spec(&stage)["replicas"], 2);
    let run = user
        .run(&[
            "set",
            "image",
            "zai-proxy",
            "proxy=ronaldraygun/zai-proxy:1.2.5",
            "-n",
            &name,
            "--yes",
        ])
        .ends_with(0);
    run.has("/state", "succeeded");
    let live = stage.deployment().expect("it");
    assert!(image(&live).ends_with(":1.2.5"));
    assert_eq!(
        live["spec"]["template"]["metadata"]["labels"]["version"], "1.2.5",
        "the label goes along"
    );
    let run = user
        .run(&[
            "set",
            "env",
            "zai-proxy",
            "TOKEN_COUNTING_ENABLED=false",
            "-n",
            &name,
            "--yes",
        ])
        .ends_with(0);
    run.has("/state", "succeeded");
    let env = spec(&stage)["template"]["spec"]["containers"][0]["env"].clone();
    let entry = env.as_array().into_iter().flatten();
    let mut entry = entry.filter(|e| e["name"] == "TOKEN_COUNTING_ENABLED");
    assert_eq!(
        entry.next().map(|e| e["value"].clone()),
        Some(json!("false"))
    );
    let run = user.on_target("restart", &["--yes"]).ends_with(0);
    run.has("/state", "succeeded")
        .says("/checks", "restartedAt");
    assert_eq!(run.check("restart")["verdict"], "holds", "{}", run.story());
    // Nothing to do is nothing.
    let tip = stage.tip();
    let again = user
        .run(&["scale", "zai-proxy", "2", "-n", &name, "--yes"])
        .ends_with(0);
    again.says("/reason", "nothing to do");
    assert_eq!(stage.tip(), tip);
}

/// Paused through Git, and resumed by taking the key out of the manifest again.
pub(crate) fn pause_and_resume_go_through_git(world: &'static World) {
    let stage = Stage::new(world, "pause", (GOOD, &Setting::default()));
    let user = stage.user();
    let before = stage.file_at("refs/heads/main", MANIFEST);
    user.on_target("pause", &["--yes"])
        .ends_with(0)
        .has("/state", "succeeded");
    assert_eq!(spec(&stage)["paused"], true);
    user.on_target("resume", &["--yes"])
        .ends_with(0)
        .has("/state", "succeeded");
    let paused = spec(&stage)["paused"].clone();
    assert!(paused.is_null() || paused == false, "{paused}");
    assert_eq!(stage.file_at("refs/heads/main", MANIFEST), before);
}

/// Changed by hand while auto-sync was off, and Git still says the bad thing: Git is told, in its
/// own commit, and nothing but what was changed is written.
pub(crate) fn adopt_makes_git_say_what_runs(world: &'static World) {
    let story = Stage::with_bad_release(world, "adopt");
    let stage = &story.stage;
    stage.auto_sync(false);
    let patch = json!({"spec": {"template": {
        "metadata": {"labels": {"version": GOOD}},
        "spec": {"containers": [
            {"name": "proxy", "image": format!("ronaldraygun/zai-proxy:{GOOD}")}]}}}});
    let path = Kind::Deployment.path((&stage.name, "zai-proxy"));
    let done = world.wait(
        world
            .admin
            .try_patch(&path, "strategic-merge-patch", &patch),
    );
    done.unwrap_or_else(|error| panic!("PATCH {path}: {error}"));
    stage.wait_live(GOOD);
    let user = stage.user();
    let drift = user
        .on_target("adopt", &["--dry-run", "--wait=false"])
        .ends_with(0);
    drift.says("/targets/0/fields", "image");
    assert_eq!(stage.tip(), story.tip, "a dry run writes nothing");
    let run = user
        .on_target("adopt", &["--yes", "--wait=false"])
        .ends_with(0);
    run.has("/state", "succeeded");
    let commits = stage.commits_since(&story.tip);
    assert_eq!(commits.len(), 1);
    assert_eq!(
        stage.file_at(&commits[0], MANIFEST),
        stage.file_at(&story.good, MANIFEST),
        "the bytes of the good release"
    );
    let subject = crate::repository::git(stage.bare(), &["log", "-1", "--format=%s", &commits[0]]);
    assert_eq!(subject, "fix: sync git with rolled-back version");
    // Git already right: nothing.
    let again = user
        .on_target("adopt", &["--yes", "--wait=false"])
        .ends_with(0);
    again.has("/state", "succeeded");
    assert_eq!(stage.commits_since(&story.tip), commits);
}
