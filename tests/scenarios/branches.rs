//! Remotes that do not take the push.

use crate::repository::{git, install};
use crate::stage::{GOOD, MANIFEST, Stage};
use crate::world::World;

pub(crate) const FORGE: &str = "https://forge.example.org/config/pulls/new";

/// main takes no push; for other branches the remote names an address for a pull request.
pub(crate) fn protect(stage: &Stage) {
    let script = format!(
        "while read -r old new ref; do\n  case $ref in\n  refs/heads/main)\n    \
         echo 'error: main is protected: changes need a pull request' >&2; exit 1 ;;\n  \
         *) echo \"Create a pull request: {FORGE}/${{ref#refs/heads/}}\" >&2 ;;\n  esac\ndone\n"
    );
    install(&stage.bare().join("hooks"), "pre-receive", &script);
}

/// main is protected: the same commit waits on a branch of its own, the remote's address for a
/// pull request is shown, and the run goes on once a human has merged it.
pub(crate) fn a_protected_branch_gets_a_side_branch(world: &'static World) {
    let story = Stage::with_bad_release(world, "protected");
    let stage = &story.stage;
    protect(stage);
    let user = stage.user();
    let run = user.rollback(&[]).ends_with(7);
    let side = format!("unship/{}", run.json["planId"].as_str().unwrap_or("?"));
    run.has("/state", "handedOver")
        .has("/commits/0/branch", side.as_str())
        .says("/reason", "main is protected")
        .says("/next", &format!("{FORGE}/{side}"))
        .says("/next", "unship continue");
    assert_eq!(stage.tip(), story.tip, "main is as it was");
    let commit = git(stage.bare(), &["rev-parse", &format!("refs/heads/{side}")]);
    run.has("/commits/0/id", commit.as_str());
    assert_eq!(
        git(stage.bare(), &["rev-parse", &format!("{commit}^")]),
        story.tip
    );
    assert_eq!(
        stage.file_at(&commit, MANIFEST),
        stage.file_at(&story.good, MANIFEST)
    );
    let waits = user.run(&["continue"]).ends_with(7);
    waits.has("/state", "handedOver");
    assert_eq!(
        stage.references().lines().count(),
        2,
        "no second branch: {}",
        waits.story()
    );
    git(stage.bare(), &["update-ref", "refs/heads/main", &commit]);
    let done = user.run(&["continue"]).ends_with(0);
    done.has("/state", "succeeded").all_checks_hold();
    story.assert_rolled_back(&story.tip);
}

/// The remote takes nothing at all: a human gets a file with everything that is needed.
pub(crate) fn a_remote_that_takes_nothing_gets_a_request(world: &'static World) {
    let story = Stage::with_bad_release(world, "refused");
    let stage = &story.stage;
    install(
        &stage.bare().join("hooks"),
        "pre-receive",
        "echo 'error: this repository is read-only today' >&2\nexit 1\n",
    );
    let before = stage.references();
    let user = stage.user();
    let run = user
        .rollback(&["--reason", "customers see 502"])
        .ends_with(7);
    run.has("/state", "handedOver")
        .says("/reason", "read-only today")
        .says("/next", "request.md");
    assert_eq!(stage.references(), before, "nothing was pushed");
    let file = user.runs()[0].join("request.md");
    let text = std::fs::read_to_string(&file).expect("the request");
    for needed in [
        stage.name.as_str(),
        &story.bad,
        &story.good,
        &format!("+          image: ronaldraygun/zai-proxy:{GOOD}"),
        "customers see 502",
        "CrashLoopBackOff",
        "unship continue",
    ] {
        assert!(
            text.contains(needed),
            "{needed:?} is not in the request:\n{text}"
        );
    }
}
