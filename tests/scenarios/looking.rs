//! Plans: what they name, and that they write nothing.

use serde_json::{Value, json};

use crate::admin::Kind;
use crate::stage::{BAD, GOOD, MANIFEST, Setting, Stage};
use crate::world::World;

/// The promoting commit is found below other teams' commits; the diff is the image and the label;
/// no ref and no object changes.
pub(crate) fn a_plan_names_the_bad_commit_and_writes_nothing(world: &'static World) {
    let story = Stage::with_bad_release(world, "plan-only");
    let stage = &story.stage;
    let user = stage.user();
    let seen = |stage: &Stage| {
        let deployment = stage.deployment().expect("the Deployment");
        let sets: Vec<String> = stage
            .list(Kind::ReplicaSet)
            .iter()
            .map(|set| format!("{} {}", set["metadata"]["name"], set["spec"]))
            .collect();
        (
            deployment["metadata"]["generation"].clone(),
            deployment["spec"].clone(),
            sets,
            stage.references(),
        )
    };
    let before = seen(stage);
    let plan = user.on_target("plan", &[]).ends_with(0);
    plan.has("/kind", "Plan")
        .has("/route", "git")
        .has(
            "/targets/0/from/image",
            format!("ronaldraygun/zai-proxy:{BAD}"),
        )
        .has("/targets/0/from/commit", story.bad.as_str())
        .has(
            "/targets/0/to/image",
            format!("ronaldraygun/zai-proxy:{GOOD}"),
        )
        .has("/targets/0/to/commit", story.good.as_str())
        .has("/targets/0/to/grade", "proven")
        .has("/targets/0/file", MANIFEST)
        .has("/commits/0/parent", story.tip.as_str())
        .has("/commits/0/files/0/path", MANIFEST)
        .has("/commits/0/files/1", Value::Null);
    let diff = plan.json["commits"][0]["files"][0]["diff"]
        .as_str()
        .unwrap_or("");
    let changed: Vec<&str> = diff
        .lines()
        .filter(|line| line.starts_with(['+', '-']))
        .filter(|line| !line.starts_with("+++") && !line.starts_with("---"))
        .map(|line| line.split(" #").next().unwrap_or(line).trim_end())
        .collect();
    let wanted = [
        format!("-        version: \"{BAD}\""),
        format!("+        version: \"{GOOD}\""),
        format!("-          image: ronaldraygun/zai-proxy:{BAD}"),
        format!("+          image: ronaldraygun/zai-proxy:{GOOD}"),
    ];
    assert_eq!(changed, wanted, "{}", plan.story());
    let code = user.on_target("plan", &["--exit-code"]).code;
    assert_eq!(code, Some(10), "there is something to do");
    assert_eq!(before, seen(stage), "a plan writes nothing");
    assert!(user.runs().is_empty(), "a plan is no run");
    assert_eq!(user.clone().git(&["status", "--porcelain"]), "");
}

/// Two ReplicaSets of the bad image: the restart is no release of its own.
pub(crate) fn restarts_are_folded_and_an_older_image_is_chosen(world: &'static World) {
    let setting = Setting {
        progress_deadline: Some(4),
        ..Setting::default()
    };
    let story = Stage::with_bad_release_in(world, "restarts", &setting);
    let stage = &story.stage;
    let sets = stage.list(Kind::ReplicaSet).len();
    let restart = json!({"spec": {"template": {"metadata": {"annotations":
        {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}}}}});
    stage.patch(Kind::Deployment, &restart);
    world.until("the restart has a ReplicaSet of its own", || {
        let now = stage.list(Kind::ReplicaSet).len();
        if now > sets {
            Ok(())
        } else {
            Err(format!("{now} ReplicaSets"))
        }
    });
    stage.wait_crashing();
    let user = stage.user();
    let history = user.on_target("history", &[]).ends_with(0);
    let entries = history.json["entries"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let images: Vec<&str> = entries
        .iter()
        .filter_map(|entry| entry["image"].as_str())
        .collect();
    let name = |tag: &str| format!("ronaldraygun/zai-proxy:{tag}");
    assert_eq!(images, [name(BAD), name(GOOD)], "{}", history.story());
    let plan = user.on_target("plan", &[]).ends_with(0);
    plan.has("/targets/0/to/image", name(GOOD))
        .has("/targets/0/to/commit", story.good.as_str())
        .has("/targets/0/from/commit", story.bad.as_str());
    let run = user.rollback(&[]).ends_with(0);
    run.has("/state", "succeeded").all_checks_hold();
    story.assert_rolled_back(&story.tip);
}
