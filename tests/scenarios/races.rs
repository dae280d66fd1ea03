//! The branch moves between the plan and the push.

use crate::stage::{OTHERS_FILE, Stage, Story};
use crate::unship::Unship;
use crate::world::World;

/// A user whose first push is overtaken by what the team has committed but not pushed.
fn overtaken<'s>(story: &'s Story) -> Unship<'s> {
    let user = story.stage.user();
    let mark = story.stage.folder.join("overtaken");
    let script = format!(
        "test -e '{mark}' && exit 0\n: > '{mark}'\nunset $(git rev-parse --local-env-vars)\n\
         exec git -C '{team}' push -q origin main\n",
        mark = mark.display(),
        team = story.stage.team().folder.display()
    );
    user.clone().hook("pre-push", &script);
    user
}

/// Another team's commit arrives first: planned again on the new tip, history stays linear.
pub(crate) fn a_lost_race_is_planned_again(world: &'static World) {
    let story = Stage::with_bad_release(world, "race");
    let stage = &story.stage;
    let theirs = stage.commit_of_others("6.1.0");
    let user = overtaken(&story);
    let run = user.rollback(&[]).ends_with(0);
    run.has("/state", "succeeded").all_checks_hold();
    let own = story.assert_rolled_back(&theirs);
    run.has("/commits/0/id", own.as_str());
    assert_eq!(
        stage.commits_since(&story.tip),
        [own, theirs.clone()],
        "both, in a line"
    );
    assert!(
        stage
            .file_at("refs/heads/main", OTHERS_FILE)
            .contains("6.1.0")
    );
}

/// Somebody else ships a fix in the same field first: it is theirs now, nothing is pushed.
pub(crate) fn a_change_of_the_same_field_by_others_is_respected(world: &'static World) {
    let story = Stage::with_bad_release(world, "same-field");
    let stage = &story.stage;
    let theirs = stage.release("1.2.2");
    let user = overtaken(&story);
    let run = user.rollback(&[]).ends_with(3);
    run.has("/state", "superseded")
        .says("/reason", "nothing was pushed");
    assert_eq!(stage.tip(), theirs, "their commit is the tip");
    assert_eq!(
        stage.references().lines().count(),
        1,
        "and no other branch was made"
    );
    stage.refresh();
    stage.wait_live("1.2.2");
}
