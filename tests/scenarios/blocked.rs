//! What would keep a commit from landing is said before one is made.

use serde_json::json;

use crate::admin::Kind;
use crate::stage::{GOOD, Setting, Stage, Story};
use crate::unship::Outcome;
use crate::world::World;

/// A refusal of the rollback with nothing written.
fn refused(story: &Story) -> Outcome {
    let user = story.stage.user();
    let before = story.stage.references();
    let runs = user.runs();
    let outcome = user.rollback(&[]).ends_with(3);
    outcome.has("/kind", "Refusal");
    assert_eq!(story.stage.references(), before, "nothing is pushed");
    assert_eq!(user.runs(), runs, "and no run is begun");
    outcome
}

/// A paused Deployment takes no new template; the rollback's own commit unpauses it.
pub(crate) fn a_paused_deployment_is_unpaused_by_the_same_commit(world: &'static World) {
    let story = Stage::with_bad_release(world, "paused");
    story
        .stage
        .patch(Kind::Deployment, &json!({"spec": {"paused": true}}));
    let user = story.stage.user();
    let rollback = user.rollback(&[]).ends_with(0);
    rollback.has("/state", "succeeded").all_checks_hold();
}

/// A sync window that keeps auto-sync away; when it is gone, the same command works.
pub(crate) fn a_denying_sync_window_is_refused(world: &'static World) {
    let setting = Setting {
        own_project: true,
        ..Setting::default()
    };
    let story = Stage::with_bad_release_in(world, "window", &setting);
    let window = json!([{"kind": "deny", "schedule": "* * * * *", "duration": "1h",
        "applications": ["*"], "manualSync": true}]);
    story
        .stage
        .patch(Kind::AppProject, &json!({"spec": {"syncWindows": window}}));
    let outcome = refused(&story);
    let blocker = outcome.blocker("sync-window");
    let hint = blocker["hint"].as_str().unwrap_or("");
    assert!(hint.contains("argocd app sync"), "{}", outcome.story());
    story
        .stage
        .patch(Kind::AppProject, &json!({"spec": {"syncWindows": null}}));
    let user = story.stage.user();
    user.rollback(&["--to", GOOD])
        .ends_with(0)
        .has("/state", "succeeded")
        .all_checks_hold();
    story.assert_rolled_back(&story.tip);
}
