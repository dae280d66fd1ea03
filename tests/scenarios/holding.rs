//! Tools that would set the image again: said, held by a commit, let go on.

use serde_json::{Value, json};

use crate::repository::git;
use crate::stage::{BAD, GOOD, Layout, MANIFEST, Setting, Stage};
use crate::world::World;

const FLUX_FILE: &str = "clusters/prod/images.yaml";
const FLUX: &str =
    include_str!("../../manifests-fixtures/automation/flux/clusters/prod/images.yaml");
const WORKFLOW_FILE: &str = ".github/workflows/promote.yml";
const WORKFLOW: &str = "on: [workflow_dispatch]\njobs:\n  promote:\n    steps:\n      - run: yq -i '.x = 1' k8s/apexalgo-iad/mcp/zai-proxy.yml\n";
const MARKER: &str = "# {\"$imagepolicy\": \"flux-system:zai-proxy\"}";
const HELD: &str = "# held by unship: {\"$imagepolicy\": \"flux-system:zai-proxy\"}";
const OVERLAY: &str = "apps/zai-proxy/overlays/prod/kustomization.yaml";
const APP_FILE: &str = "clusters/prod/zai-proxy.yaml";

/// The manifest at a release, with Flux's marker at its image.
fn marked(stage: &Stage, release: &str, marker: &str) -> String {
    let image = format!("image: ronaldraygun/zai-proxy:{release}");
    let text = stage.manifest(release);
    assert_eq!(text.matches(&image).count(), 1, "{text}");
    text.replace(&image, &format!("{image} {marker}"))
}

/// A bad release that Flux has promoted, with its objects in the same repository.
fn promoted_by_flux(world: &'static World, scenario: &str) -> (Stage, String) {
    let flux = Box::leak(FLUX.replace("./apps", "./k8s").into_boxed_str());
    let setting = Setting {
        files: vec![(FLUX_FILE, &*flux)],
        ..Setting::default()
    };
    let stage = Stage::new(world, scenario, (GOOD, &setting));
    let good = marked(&stage, GOOD, MARKER);
    stage
        .team()
        .commit("chore: Flux promotes the proxy", &[(MANIFEST, Some(&good))]);
    let bad = marked(&stage, BAD, MARKER);
    let tip = stage
        .team()
        .commit("chore: promote", &[(MANIFEST, Some(&bad))]);
    stage.team().push();
    stage.refresh();
    stage.wait_crashing();
    (stage, tip)
}

fn last_message(stage: &Stage) -> String {
    git(stage.bare(), &["log", "-1", "--format=%B", "main"])
}

/// Flux: the rollback says what comes, holds the marker in the same commit, and lets it go on.
pub(crate) fn a_marker_of_flux_is_held_and_let_go(world: &'static World) {
    let (stage, tip) = promoted_by_flux(world, "hold-flux");
    let user = stage.user();
    let plan = user.on_target("plan", &[]).ends_with(0);
    plan.has("/automation/0/tool", "flux")
        .has("/automation/0/certainty", "will")
        .says("/automation/0/does", "the highest version in 1.x");
    assert!(
        plan.json["warnings"].to_string().contains("--hold"),
        "{}",
        plan.story()
    );
    let run = user.rollback(&["--hold"]).ends_with(0);
    run.has("/state", "succeeded").all_checks_hold();
    assert_eq!(
        stage.file_at("refs/heads/main", MANIFEST),
        marked(&stage, GOOD, HELD)
    );
    assert_eq!(stage.commits_since(&tip).len(), 1, "one commit for both");
    let message = last_message(&stage);
    let trailer = format!(
        "Unship-Hold: flux {MANIFEST} for deployment/{}/zai-proxy\n",
        stage.name
    );
    assert!(message.contains(&trailer), "{message}");
    stage.wait_live(GOOD);
    let again = user.on_target("plan", &[]).ends_with(0);
    again.has("/automation", Value::Null);
    let nothing = user.on_target("hold", &["--yes"]).ends_with(0);
    nothing.says("/reason", "nothing to hold");
    let held = stage.tip();
    let run = user.on_target("unhold", &["--yes"]).ends_with(0);
    run.has("/state", "succeeded");
    assert_eq!(
        stage.file_at("refs/heads/main", MANIFEST),
        marked(&stage, GOOD, MARKER)
    );
    assert!(last_message(&stage).contains(&format!("Unship-Unhold: {held} for ")));
    let let_go = stage.tip();
    let none = user.on_target("unhold", &["--yes"]).ends_with(0);
    none.says("/reason", "holds nothing");
    assert_eq!(stage.tip(), let_go, "no second commit");
}

/// Killed around the push of a hold: going on makes no second commit.
pub(crate) fn a_hold_goes_on(world: &'static World) {
    let (stage, _) = promoted_by_flux(world, "hold-on");
    let user = stage.user().listing_points();
    user.on_target("hold", &["--yes"]).ends_with(0);
    let points = user.points();
    for (name, command) in [("recorded committed", "unhold"), ("pushed", "hold")] {
        let before = stage.tip();
        let killed = stage.user().killed_at(points.number(name));
        let killed = killed.on_target(command, &["--yes"]);
        assert_eq!(killed.code, None, "killed at {name}: {}", killed.story());
        let run = user.run(&["continue"]).ends_with(0);
        run.has("/state", "succeeded");
        assert_eq!(stage.commits_since(&before).len(), 1, "one commit in all");
        let marker = if command == "hold" { HELD } else { MARKER };
        assert_eq!(
            stage.file_at("refs/heads/main", MANIFEST),
            marked(&stage, BAD, marker)
        );
    }
}

/// Image Updater by annotations: the Application's manifest is in another folder of the
/// repository and gets the pin; without one the edit is named.
pub(crate) fn an_annotated_application_is_held_in_its_manifest(world: &'static World) {
    let setting = Setting {
        layout: Layout::Kustomize,
        ..Setting::default()
    };
    let story = Stage::with_bad_release_in(world, "hold-iu", &setting);
    let stage = &story.stage;
    let prefix = "argocd-image-updater.argoproj.io";
    let annotations = json!({
        format!("{prefix}/image-list"): "proxy=ronaldraygun/zai-proxy:~1.2",
        format!("{prefix}/write-back-method"): "git",
        format!("{prefix}/write-back-target"): "kustomization",
    });
    stage.annotate_application(&annotations);
    let user = stage.user();
    let refused = user.on_target("hold", &["--yes"]).ends_with(3);
    assert!(
        refused.json["blockers"]
            .to_string()
            .contains("proxy.ignore-tags"),
        "the exact edit is named: {}",
        refused.story()
    );
    let manifest = format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: {}\n  namespace: argocd\n  annotations:\n    {prefix}/image-list: proxy=ronaldraygun/zai-proxy:~1.2   # patch releases\n",
        stage.name
    );
    stage.team().catch_up();
    let tip = stage
        .team()
        .commit("chore: the Application", &[(APP_FILE, Some(&manifest))]);
    stage.team().push();
    let run = user.rollback(&["--to", GOOD, "--hold"]).ends_with(0);
    run.has("/state", "succeeded");
    assert_eq!(stage.commits_since(&tip).len(), 1, "one commit for both");
    assert_eq!(
        stage.file_at("refs/heads/main", OVERLAY),
        stage.manifest(GOOD)
    );
    let held = stage.file_at("refs/heads/main", APP_FILE);
    let line = format!("    {prefix}/proxy.ignore-tags: \"*\"\n");
    assert!(held.contains(&line), "{held}");
    assert_eq!(held.replace(&line, ""), manifest);
    let again = user.on_target("hold", &["--yes"]).ends_with(0);
    again.says("/reason", "Git has the pins already");
    user.on_target("unhold", &["--yes"]).ends_with(0);
    assert_eq!(stage.file_at("refs/heads/main", APP_FILE), manifest);
    assert_eq!(
        stage.file_at("refs/heads/main", OVERLAY),
        stage.manifest(GOOD),
        "the rollback of that commit stays"
    );
}

/// A workflow of the repository: no edit, and what a person must do.
pub(crate) fn a_workflow_is_named_and_not_edited(world: &'static World) {
    let setting = Setting {
        files: vec![(WORKFLOW_FILE, WORKFLOW)],
        ..Setting::default()
    };
    let story = Stage::with_bad_release_in(world, "hold-ci", &setting);
    let stage = &story.stage;
    let user = stage.user();
    let refused = user.on_target("hold", &["--yes"]).ends_with(3);
    assert!(
        refused.json["blockers"]
            .to_string()
            .contains("gh workflow disable promote.yml"),
        "{}",
        refused.story()
    );
    let plan = user.on_target("plan", &["--hold"]).ends_with(0);
    plan.has("/automation/0/tool", "workflow")
        .says("/automation/0/place", WORKFLOW_FILE);
    assert!(
        plan.json["warnings"]
            .to_string()
            .contains("unship cannot stop it"),
        "{}",
        plan.story()
    );
    // Many at once say it as well, with their targets.
    let image = format!("ronaldraygun/zai-proxy:{BAD}");
    let many = [
        "rollback",
        "--image",
        &image,
        "-n",
        &stage.name,
        "--dry-run",
    ];
    let many = user.run(&many).ends_with(0);
    many.says("/warnings/1", "deployment/zai-proxy: a CI workflow")
        .says("/warnings/1", WORKFLOW_FILE);
    let run = user.rollback(&["--hold"]).ends_with(0);
    run.has("/state", "succeeded").has("/requests/get apis", 1);
    for kind in ["imageupdateautomations", "imageupdaters", "stages"] {
        let asked = format!("list {kind}");
        assert_eq!(run.json["requests"].get(&asked), None, "not served here");
    }
    assert_eq!(stage.file_at("refs/heads/main", WORKFLOW_FILE), WORKFLOW);
    assert!(!last_message(stage).contains("Unship-Hold"));
}
