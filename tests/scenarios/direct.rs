//! A patch of the live object where rights allow it and nothing undoes it.

use serde_json::{Value, json};

use crate::admin::Kind;
use crate::stage::{BAD, GOOD, Setting, Stage, image};
use crate::world::World;

/// Nothing manages it and there is no Git: the ReplicaSet's own template is put back, in one
/// change, and neither annotations nor replicas are touched.
pub(crate) fn an_unmanaged_workload_is_rolled_back_directly(world: &'static World) {
    let stage = Stage::unmanaged_with_bad_release(world, "direct", &Setting::default());
    let before = stage.deployment().expect("the Deployment");
    let user = stage.user().as_deployer();
    let plan = user.on_target("plan", &[]).ends_with(0);
    let write = format!("patch deployments.apps {}/zai-proxy", stage.name);
    plan.has("/route", "direct")
        .has("/writes", json!([write]))
        .says("/targets/0/to/image", GOOD);
    let run = user.rollback(&[]).ends_with(0);
    run.has("/state", "succeeded").checks_hold(6);
    stage.wait_live(GOOD);
    let after = stage.deployment().expect("the Deployment");
    assert_eq!(after["spec"]["replicas"], before["spec"]["replicas"]);
    let notes = |object: &Value| {
        let mut notes = object["metadata"]["annotations"].clone();
        // The controller's own.
        notes["deployment.kubernetes.io/revision"].take();
        notes
    };
    assert_eq!(notes(&after), notes(&before), "annotations stay");
    let generation = |object: &Value| object["metadata"]["generation"].as_i64().unwrap_or(0);
    assert_eq!(generation(&after), generation(&before) + 1, "one change");
    let label = &after["spec"]["template"]["metadata"]["labels"]["version"];
    assert_eq!(*label, GOOD, "image and label in one");
    // Once more: it never goes back further, nor forward.
    let again = user.rollback(&[]).ends_with(0);
    again.says("/reason", "nothing to do");
    assert_eq!(image(&stage.deployment().expect("it")), image(&after));
}

/// The rollout is stuck and paused: the same patch unpauses it.
pub(crate) fn a_paused_rollout_is_resumed_by_the_same_patch(world: &'static World) {
    let stage = Stage::unmanaged_with_bad_release(world, "direct-paused", &Setting::default());
    stage.patch(Kind::Deployment, &json!({"spec": {"paused": true}}));
    let user = stage.user().as_deployer();
    let run = user.rollback(&[]).ends_with(0);
    run.has("/state", "succeeded").says("/notes", "paused");
    stage.wait_live(GOOD);
    let paused = &stage.deployment().expect("it")["spec"]["paused"];
    assert!(paused.is_null() || *paused == false, "{paused}");
}

/// The target does not come up either: the old pods serve on, nobody scales to 0.
pub(crate) fn a_direct_target_that_never_comes_up_fails(world: &'static World) {
    let setting = Setting {
        progress_deadline: Some(4),
        ..Setting::default()
    };
    let stage = Stage::unmanaged(world, "direct-never", ("1.1.0", &setting));
    stage.ship_by_hand("1.1.5-never");
    // Two patches in a row may be one to the controller: it must have recorded the first.
    stage.wait_recorded("1.1.5-never");
    stage.ship_by_hand("1.1.0");
    stage.wait_live("1.1.0");
    let user = stage.user().as_deployer();
    let run = user.rollback(&["--to", "1.1.5-never"]).ends_with(5);
    run.has("/state", "failed").says("/next", "unship history");
    let live = stage.deployment().expect("it");
    assert_eq!(live["spec"]["replicas"], 1);
    assert_eq!(live["status"]["readyReplicas"], 1, "the old pod serves");
}

/// Read-only rights: no write is attempted, the denied right and the offers are named.
pub(crate) fn an_observer_is_refused_the_direct_way(world: &'static World) {
    let story = Stage::with_bad_release(world, "observer-direct");
    let before = story.stage.snapshot();
    let user = story.stage.user();
    let outcome = user.rollback(&["--route", "direct"]).ends_with(3);
    let blocker = outcome.blocker("right-missing");
    let message = blocker["message"].as_str().unwrap_or("");
    assert!(message.contains("patch deployments.apps"), "{message}");
    let hint = blocker["hint"].as_str().unwrap_or("");
    assert!(
        hint.contains("--route git") && hint.contains("unship request"),
        "{hint}"
    );
    before.assert_unchanged(&story.stage);
    assert!(user.runs().is_empty(), "no run is begun");
}

/// Self-heal would undo it: refused before anything is done, although the right is there.
pub(crate) fn a_direct_change_that_self_heal_undoes_is_refused(world: &'static World) {
    let story = Stage::with_bad_release(world, "self-heal");
    let before = story.stage.snapshot();
    let user = story.stage.user().as_deployer();
    let outcome = user.rollback(&["--route", "direct"]).ends_with(3);
    let message = outcome.blocker("auto-sync-undoes")["message"].clone();
    assert!(message.to_string().contains("within seconds"), "{message}");
    before.assert_unchanged(&story.stage);
}

/// Only the scale may be changed: scaling works, going back does not.
pub(crate) fn the_middle_tier_scales_and_does_not_roll_back(world: &'static World) {
    let stage = Stage::unmanaged_with_bad_release(world, "middle", &Setting::default());
    let user = stage.user().as_scaler();
    let refused = user.rollback(&[]).ends_with(3);
    refused.blocker("right-missing");
    let run = user.run(&[
        "scale",
        "zai-proxy",
        "3",
        "-n",
        &stage.name,
        "--yes",
        "--timeout",
        "3s",
    ]);
    // The bad release never becomes ready, so the rollout cannot complete; the scale is set.
    assert_eq!(run.json["steps"][1]["id"], "scale", "{}", run.story());
    assert_eq!(run.json["steps"][1]["state"], "done", "{}", run.story());
    assert_eq!(stage.deployment().expect("it")["spec"]["replicas"], 3);
}

/// Admission says no: the server's reason is told, nothing is half done.
pub(crate) fn a_denied_patch_is_a_refusal(world: &'static World) {
    let stage = Stage::unmanaged_with_bad_release(world, "denied", &Setting::default());
    stage.deny_patches(true);
    let before = stage.snapshot();
    let user = stage.user().as_deployer();
    let outcome = user.rollback(&[]).ends_with(3);
    outcome
        .has("/state", "refused")
        .says("/reason", "denies it");
    before.assert_unchanged(&stage);
    stage.deny_patches(false);
    assert!(image(&stage.deployment().expect("it")).ends_with(BAD));
}

/// To 0 and back to the number before, not to 1; refused without consent.
pub(crate) fn a_bounce_returns_to_the_number_before(world: &'static World) {
    let setting = Setting {
        replicas: Some(3),
        ..Setting::default()
    };
    let stage = Stage::unmanaged(world, "bounce", (GOOD, &setting));
    stage.autoscale(1, 5);
    let user = stage.user().as_scaler();
    let before = stage.snapshot();
    let refused = user.on_target("bounce", &["--yes"]).ends_with(3);
    refused.blocker("outage");
    before.assert_unchanged(&stage);
    let old: Vec<Value> = uids(&stage);
    let run = user
        .on_target("bounce", &["--yes", "--accept-outage"])
        .ends_with(0);
    run.has("/state", "succeeded")
        .says("/notes", "HorizontalPodAutoscaler");
    assert_eq!(stage.deployment().expect("it")["spec"]["replicas"], 3);
    let new = uids(&stage);
    assert_eq!(new.len(), 3);
    assert!(new.iter().all(|uid| !old.contains(uid)), "all pods are new");
}

fn uids(stage: &Stage) -> Vec<Value> {
    let pods = stage.list(Kind::Pod).into_iter();
    let alive = pods.filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    alive.map(|pod| pod["metadata"]["uid"].clone()).collect()
}
