//! Acting on an Application that syncs automatically, with the rights for it.

use serde_json::Value;

use crate::admin::Kind;
use crate::stage::{GOOD, Stage};
use crate::world::World;

fn automated(stage: &Stage) -> Value {
    stage.application()["spec"]["syncPolicy"]["automated"].clone()
}

fn marks(stage: &Stage) -> usize {
    let notes = &stage.application()["metadata"]["annotations"];
    let keys = notes.as_object().into_iter().flatten();
    keys.filter(|(key, _)| key.starts_with("unship.dev/"))
        .count()
}

/// Suspended, patched, Git made to agree, given back: all steps of one plan.
pub(crate) fn automated_sync_is_suspended_until_git_has_it(world: &'static World) {
    let story = Stage::with_bad_release(world, "suspend");
    let stage = &story.stage;
    let before = automated(stage);
    let user = stage.user().as_operator();
    let arguments = ["--route", "direct", "--suspend-auto-sync"];
    let run = user.rollback(&arguments).ends_with(0);
    run.has("/state", "succeeded").has("/route", "direct");
    assert_eq!(run.check("argocd")["verdict"], "holds", "{}", run.story());
    assert_eq!(run.check("branch")["verdict"], "holds", "{}", run.story());
    story.assert_rolled_back(&story.tip);
    assert_eq!(automated(stage), before, "given back as it was");
    assert_eq!(marks(stage), 0, "and no mark is left");
}

/// The owner of the Application would give automated sync back: refused, and named.
pub(crate) fn an_owned_application_is_not_suspended(world: &'static World) {
    let story = Stage::with_bad_release(world, "owned");
    story.stage.own_by_application_set();
    let user = story.stage.user().as_operator();
    let arguments = ["--route", "direct", "--suspend-auto-sync"];
    let outcome = user.rollback(&arguments).ends_with(3);
    let message = outcome.blocker("application-owned")["message"].to_string();
    assert!(message.contains("ApplicationSet"), "{message}");
}

/// Git cannot be reached: the cluster first, and a debt that `continue` pays.
pub(crate) fn an_unreachable_git_is_a_debt_that_continue_pays(world: &'static World) {
    let story = Stage::with_bad_release(world, "debt");
    let stage = &story.stage;
    let before = automated(stage);
    let user = stage.user().as_operator();
    stage.lose_git();
    let run = user.rollback(&["--emergency"]).ends_with(4);
    run.has("/state", "stopped")
        .says("/reason", "Git still has")
        .says("/reason", "suspended");
    stage.wait_live(GOOD);
    assert_eq!(automated(stage), Value::Null, "it stays suspended");
    assert_eq!(marks(stage), 1);
    stage.return_git();
    let paid = user.run(&["continue"]).ends_with(0);
    paid.has("/state", "succeeded");
    assert_eq!(automated(stage), before, "given back as it was");
    assert_eq!(marks(stage), 0);
    story.assert_rolled_back(&story.tip);
}

/// A run that suspended automated sync and is given up says what gives it back; that works.
pub(crate) fn a_run_that_is_given_up_tells_what_gives_sync_back(world: &'static World) {
    let story = Stage::with_bad_release(world, "given-up");
    let stage = &story.stage;
    let before = automated(stage);
    let user = stage.user().as_operator();
    stage.lose_git();
    let run = user.rollback(&["--emergency"]).ends_with(4);
    let id = run.json["runId"].as_str().unwrap_or("?").to_owned();
    assert_eq!(automated(stage), Value::Null);
    let told = user.run(&["abandon", &id]).ends_with(0);
    told.has("/kind", "Abandon").has("/runId", id.as_str());
    told.has("/commit", Value::Null);
    let name = &stage.application()["metadata"]["name"];
    let start = format!(
        "patch application {} --type merge -p '",
        name.as_str().unwrap_or("?")
    );
    let suspended = told.json["suspended"].as_str().unwrap_or_default();
    let patch = suspended
        .split_once(&start)
        .and_then(|(_, rest)| rest.split_once('\''));
    let patch = patch.unwrap_or_else(|| panic!("{}", told.story())).0;
    stage.patch(
        Kind::Application,
        &serde_json::from_str(patch).expect("JSON"),
    );
    assert_eq!(automated(stage), before, "given back as it was");
    assert_eq!(marks(stage), 0);
    stage.return_git();
}

/// The commit is pushed, but Argo CD does not look: the wait ends with 6; an emergency then acts
/// on the cluster, and Git, which is right already, gets no second commit.
pub(crate) fn a_commit_that_does_not_land_is_followed_by_an_emergency(world: &'static World) {
    let story = Stage::with_bad_release(world, "no-landing");
    let stage = &story.stage;
    let user = stage.user().as_operator();
    // Argo CD stops looking while the push is under way, so no plan can know.
    let mark = stage.folder.join("pushing");
    let go = stage.folder.join("go");
    let script = format!(
        "touch '{}'\nfor i in $(seq 600); do test -e '{}' && exit 0; sleep 0.05; done\nexit 1\n",
        mark.display(),
        go.display()
    );
    user.clone().hook("pre-push", &script);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| user.rollback(&["--timeout", "4s"]));
        world.until("the push is under way", || {
            mark.exists()
                .then_some(())
                .ok_or_else(|| "no push".to_owned())
        });
        stage.skip_reconcile(true);
        std::fs::write(&go, "").expect("a mark");
        let run = run.join().expect("unship ends").ends_with(6);
        run.has("/state", "inconclusive");
    });
    let pushed = stage.commits_since(&story.tip);
    assert_eq!(pushed.len(), 1, "{pushed:?}");
    let run = user.rollback(&["--emergency"]).ends_with(0);
    run.has("/state", "succeeded");
    stage.wait_live(GOOD);
    assert_eq!(stage.commits_since(&story.tip), pushed, "no second commit");
    stage.skip_reconcile(false);
}

/// Auto-sync is off: with the right to sync, the push is followed by a sync of the object alone;
/// Argo CD's own rollback works as well.
pub(crate) fn without_auto_sync_a_sync_is_asked_for(world: &'static World) {
    let story = Stage::with_bad_release(world, "manual");
    let stage = &story.stage;
    stage.auto_sync(false);
    let refused = stage.user().rollback(&[]).ends_with(3);
    refused.blocker("auto-sync-off");
    let user = stage.user().as_syncer();
    let run = user.rollback(&[]).ends_with(0);
    run.has("/state", "succeeded");
    story.assert_rolled_back(&story.tip);
}

/// Argo CD's history is rolled back to, Git is told nothing, and that is said.
pub(crate) fn argo_cds_own_rollback_is_a_route(world: &'static World) {
    let story = Stage::with_bad_release(world, "argo-route");
    let stage = &story.stage;
    stage.auto_sync(false);
    let user = stage.user().as_syncer();
    let plan = user.on_target("plan", &["--route", "argo"]).ends_with(0);
    plan.says("/debts", "unship adopt");
    let run = user.rollback(&["--route", "argo"]).ends_with(0);
    run.has("/state", "succeeded").has("/route", "argo");
    stage.wait_live(GOOD);
    assert_eq!(stage.tip(), story.tip, "Git is as it was");
}
