//! Runs that were killed.

use crate::stage::{Stage, Story};
use crate::unship::Unship;
use crate::world::World;

/// The points at which a run can be killed, by number, as a run that was left alone lists them.
fn points(user: &Unship<'_>, run: impl FnOnce(&Unship<'_>)) -> Vec<String> {
    run(user);
    let log = std::fs::read_to_string(user.home().join("points")).expect("the list of points");
    log.lines()
        .filter_map(|line| Some(line.split_once(' ')?.1.to_owned()))
        .collect()
}

fn listed(user: Unship<'_>) -> Unship<'_> {
    let log = user.home().join("points").display().to_string();
    user.with("UNSHIP_CRASH_LOG", &log)
}

/// Killed when the push had worked but nobody had written that down: no second commit.
pub(crate) fn a_run_killed_after_its_push_goes_on(world: &'static World) {
    let story = Stage::with_bad_release(world, "killed");
    let Story { stage, bad, .. } = &story;
    let user = listed(stage.user());
    let all = points(&user, |user| {
        user.rollback(&[]).ends_with(0);
    });
    let pushed = all
        .iter()
        .position(|name| name == "pushed")
        .expect("a point after the push");
    let back = story.assert_rolled_back(&story.tip);
    // The bad release comes back, by a release of it.
    stage.team.catch_up();
    let again = stage.ship(crate::stage::BAD);
    stage.wait_crashing();
    let user = user.with("UNSHIP_CRASH_AT", &(pushed + 1).to_string());
    let killed = user.rollback(&["--to", crate::stage::GOOD]);
    assert_eq!(killed.code, None, "killed: {}", killed.story());
    let commits = stage.commits_since(&again);
    assert_eq!(commits.len(), 1, "it had been pushed: {}", killed.story());
    let user = user.without("UNSHIP_CRASH_AT");
    let run = user.run(&["continue"]).ends_with(0);
    run.has("/state", "succeeded")
        .has("/commits/0/id", commits[0].as_str())
        .all_checks_hold();
    assert_eq!(
        story.assert_rolled_back(&again),
        commits[0],
        "no second commit"
    );
    assert_ne!(commits[0], back);
    assert_ne!(*bad, again);
    let over = user.run(&["continue"]);
    assert_eq!(
        over.code,
        Some(2),
        "no run is open any more: {}",
        over.story()
    );
}
