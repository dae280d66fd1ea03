//! Runs that were killed.

use crate::stage::{Stage, Story};
use crate::unship::Unship;
use crate::world::World;

/// Around the commit, the push and the landing: between each effect and its record, and
/// right after the record.
const AROUND: [&str; 6] = [
    "made commit",
    "recorded committed",
    "pushed",
    "recorded pushed",
    "waited land",
    "waited rollout",
];

/// Killed around commit, push and landing: going on reaches the same end with one commit.
pub(crate) fn a_run_killed_around_its_push_goes_on(world: &'static World) {
    let story = Stage::with_bad_release(world, "killed");
    let mut user = story.stage.user().listing_points();
    user.rollback(&[]).ends_with(0);
    let points = user.points();
    story.assert_rolled_back(&story.tip);
    for name in AROUND {
        user = killed_at(&story, user, points.number(name));
    }
    let over = user.run(&["continue"]);
    assert_eq!(
        over.code,
        Some(2),
        "no run is open any more: {}",
        over.story()
    );
}

fn killed_at<'s>(story: &'s Story, user: Unship<'s>, point: usize) -> Unship<'s> {
    let stage = &story.stage;
    // The bad release comes back, by a release of it.
    stage.team().catch_up();
    let again = stage.ship(crate::stage::BAD);
    stage.wait_crashing();
    let user = user.killed_at(point);
    let killed = user.rollback(&["--to", crate::stage::GOOD]);
    assert_eq!(killed.code, None, "killed at {point}: {}", killed.story());
    let user = user.without("UNSHIP_CRASH_AT");
    user.run(&["continue"])
        .ends_with(0)
        .has("/state", "succeeded")
        .all_checks_hold();
    let commits = stage.commits_since(&again);
    assert_eq!(commits.len(), 1, "one commit in all: {}", killed.story());
    assert_eq!(story.assert_rolled_back(&again), commits[0]);
    user
}
