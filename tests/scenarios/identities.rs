//! What each identity of the world may do, as unship is told by the API server and Argo CD.

use serde_json::Value;

use crate::stage::{GOOD, Setting, Stage};
use crate::unship::Outcome;
use crate::world::World;

/// The answer of `unship access` about a right.
#[track_caller]
fn right<'a>(access: &'a Outcome, right: &str) -> &'a str {
    let rights = access.json["rights"].as_array();
    let found = rights.and_then(|all| all.iter().find(|own| own["right"] == right));
    let found = found.and_then(|own| own["allowed"].as_str());
    found.unwrap_or_else(|| panic!("no answer about {right:?} in {}", access.story()))
}

/// Rights in the namespace: observer, deployer, scaler, operator, and who may not read logs.
const RIGHTS: [(&str, [bool; 5]); 13] = [
    ("list deployments.apps", [true; 5]),
    ("get pods/log", [true, true, true, true, false]),
    ("list horizontalpodautoscalers.autoscaling", [true; 5]),
    ("patch deployments.apps", [false, true, false, true, false]),
    ("patch statefulsets.apps", [false, true, false, true, false]),
    ("patch daemonsets.apps", [false, true, false, true, false]),
    (
        "patch deployments.apps/scale",
        [false, true, true, true, false],
    ),
    (
        "get deployments.apps/scale",
        [false, false, true, false, false],
    ),
    (
        "patch statefulsets.apps/scale",
        [false, true, false, true, false],
    ),
    (
        "list controllerrevisions.apps",
        [false, true, false, true, false],
    ),
    ("create pods/exec", [false; 5]),
    (
        "create pods/portforward",
        [false, true, false, false, false],
    ),
    ("patch horizontalpodautoscalers.autoscaling", [false; 5]),
];

/// Nothing is tried out: the API server is asked.
pub(crate) fn each_identity_may_what_its_name_says(world: &'static World) {
    let stage = Stage::unmanaged(world, "identities", (GOOD, &Setting::default()));
    let before = stage.snapshot();
    let users = [
        stage.user(),
        stage.user().as_deployer(),
        stage.user().as_scaler(),
        stage.user().as_operator(),
        stage.user().without_logs(),
    ];
    for (at, user) in users.into_iter().enumerate() {
        let access = user.run(&["access", "-n", &stage.name]).ends_with(0);
        for (what, expected) in RIGHTS {
            let wanted = if expected[at] { "allowed" } else { "denied" };
            let what = format!("{what} in {}", stage.name);
            assert_eq!(right(&access, &what), wanted, "{what} as number {at}");
        }
        // Only in Argo CD's own namespace, and that is not asked without an Application.
        let everywhere = right(&access, "patch applications.argoproj.io in all namespaces");
        assert_eq!(everywhere, "denied", "as number {at}");
    }
    before.assert_unchanged(&stage);
}

/// Argo CD's accounts: read-only, syncer, operator.
pub(crate) fn an_operator_and_a_syncer_may_sync(world: &'static World) {
    let stage = Stage::new(world, "accounts", (GOOD, &Setting::default()));
    let users = [
        (stage.user(), ["allowed", "denied", "denied"]),
        (stage.user().as_syncer(), ["allowed", "allowed", "denied"]),
        (stage.user().as_operator(), ["allowed"; 3]),
    ];
    for (user, expected) in users {
        let access = user.on_target("access", &[]).ends_with(0);
        let answers = ["get", "sync", "override"].map(|action| {
            let right = right_about(&access, action, &stage.name);
            right["allowed"].as_str().unwrap_or("?")
        });
        assert_eq!(answers, expected, "{}", access.story());
    }
}

/// Argo CD's answer about an action on the stage's Application.
#[track_caller]
fn right_about<'a>(access: &'a Outcome, action: &str, name: &str) -> &'a Value {
    let rights = access.json["rights"].as_array();
    let fits = |own: &&Value| {
        let right = own["right"].as_str().unwrap_or("");
        right.contains(&format!("{action} ")) && right.contains(&format!("default/{name}"))
    };
    let found = rights.and_then(|all| all.iter().find(fits));
    found.unwrap_or_else(|| panic!("no answer about {action} in {}", access.story()))
}
