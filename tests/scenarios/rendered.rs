//! Workloads that no file holds: kustomize or Helm renders them, and the edit goes to the place
//! that decides.

use crate::layout::Layout;
use crate::stage::{BAD, GOOD, Setting, Stage};
use crate::world::World;

const BASE: &str = "apps/zai-proxy/base/deployment.yaml";
const OVERLAY: &str = "apps/zai-proxy/overlays/prod/kustomization.yaml";
const VALUES: &str = "charts/zai-proxy/values-prod.yaml";

/// kustomize: the overlay's image entry decides, not the base's image.
pub(crate) fn a_kustomize_image_is_rolled_back(world: &'static World) {
    let story = Stage::with_bad_release_in(world, "kustomize", &laid_out(Layout::Kustomize));
    let stage = &story.stage;
    let base = stage.file_at("refs/heads/main", BASE);
    let plan = stage
        .user()
        .on_target("plan", &["--to", "1.2.0"])
        .ends_with(0);
    plan.says("/targets/0/file", OVERLAY);
    assert!(
        plan.json["proof"]["verdict"].is_string(),
        "{}",
        plan.story()
    );
    stage.user().is_proved(&plan.json);
    let run = stage.user().rollback(&["--to", "1.2.0"]).ends_with(0);
    run.has("/state", "succeeded");
    assert_eq!(
        stage.file_at("refs/heads/main", OVERLAY),
        stage.manifest(GOOD)
    );
    assert_eq!(stage.file_at("refs/heads/main", BASE), base);
    assert_eq!(stage.commits_since(&story.tip).len(), 1);
    stage.wait_live(GOOD);
    let again = stage.user().rollback(&[]).ends_with(0);
    again.has("/state", "succeeded");
    assert_eq!(
        stage.commits_since(&story.tip).len(),
        1,
        "nothing is flipped back"
    );
}

/// The bad release wrote its entry and a variable of the base in other words and dropped one: the
/// good release's words come back, each in its file and at its place.
pub(crate) fn the_words_of_the_good_release_come_back(world: &'static World) {
    let stage = Stage::new(world, "words", (GOOD, &laid_out(Layout::Kustomize)));
    let base = stage.file_at("refs/heads/main", BASE);
    let mut lines: Vec<&str> = base.lines().collect();
    let at = lines
        .iter()
        .position(|line| line.contains("- name: TOKEN_COUNTING_ENABLED"));
    let at = at.unwrap_or_else(|| panic!("no such variable in {base}"));
    lines.drain(at..at + 2);
    let without = lines.join("\n") + "\n";
    let overlay = stage.manifest(BAD).replace(
        &format!("newTag: {BAD}   #"),
        &format!("newTag: \"{BAD}\" # quoted,"),
    );
    let files = [
        (OVERLAY, Some(overlay.as_str())),
        (BASE, Some(without.as_str())),
    ];
    let bad = stage.team().commit("chore: promote zai-proxy", &files);
    stage.team().push();
    stage.refresh();
    stage.wait_crashing();
    stage.user().rollback(&["--to", GOOD]).ends_with(0);
    assert_eq!(stage.file_at("refs/heads/main", BASE), base);
    let tag = format!("newTag: {GOOD} # quoted, set by the release job");
    let overlay = stage.file_at("refs/heads/main", OVERLAY);
    assert!(overlay.contains(&tag), "{overlay}");
    assert_eq!(stage.commits_since(&bad).len(), 1);
}

/// Helm: the values file of the source decides over the chart's own values.
pub(crate) fn a_helm_value_is_rolled_back(world: &'static World) {
    let story = Stage::with_bad_release_in(world, "helm", &laid_out(Layout::Helm));
    let stage = &story.stage;
    let run = stage.user().rollback(&["--to", "1.2.0"]).ends_with(0);
    run.has("/state", "succeeded");
    assert_eq!(
        stage.file_at("refs/heads/main", VALUES),
        stage.manifest(GOOD)
    );
    assert_eq!(stage.commits_since(&story.tip).len(), 1);
    stage.wait_live(GOOD);
}

/// A program that renders something else than was planned is believed: nothing is pushed. One that
/// says nothing proves nothing, and the plan says so.
pub(crate) fn a_program_that_contradicts_is_believed(world: &'static World) {
    let story = Stage::with_bad_release_in(world, "contradicts", &laid_out(Layout::Kustomize));
    let stage = &story.stage;
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("kustomize");
    let path = std::env::var("PATH").expect("a PATH");
    let path = format!("{}:{path}", folder.path().display());
    let says = |script: &str| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a program");
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("its mode");
    };
    let user = || stage.user().with("PATH", &path);
    says("echo 'kind: Deployment'; echo 'metadata: {name: zai-proxy}'");
    let refused = user().rollback(&["--to", GOOD]).ends_with(3);
    let message = refused.blocker("not-proved")["message"].to_string();
    assert!(message.contains("kustomize"), "{message}");
    assert!(stage.commits_since(&story.tip).is_empty());
    // What differs each time says nothing about the files.
    let tag = "while read -r key word rest; do [ $key = newTag: ] && tag=$word; done < kustomization.yaml";
    let objects = "kind: Secret\nmetadata: {name: random}\ndata: {x: $$}\n---\nkind: Deployment\nmetadata: {name: zai-proxy}\nspec: {template: {spec: {containers: [{name: proxy, image: \"ronaldraygun/zai-proxy:$tag\"}]}}}";
    says(&format!(
        "case $1 in version) echo v5; exit;; esac\n{tag}\ncat <<END\n{objects}\nEND"
    ));
    let plan = user().on_target("plan", &["--to", GOOD]).ends_with(0);
    plan.says("/proof/evidence", "kustomize v5 renders 2 objects");
    says("echo 'it is broken' >&2; exit 1");
    let plan = user().on_target("plan", &["--to", GOOD]).ends_with(0);
    plan.says("/proof/verdict", "unknown");
    plan.says("/proof/evidence", "kustomize says: it is broken");
}

/// The Application's own kustomize.images outranks every file: refused with that place.
pub(crate) fn an_override_in_the_application_is_refused(world: &'static World) {
    let story = Stage::with_bad_release_in(world, "override", &laid_out(Layout::Kustomize));
    let stage = &story.stage;
    stage.override_image(&format!("ronaldraygun/zai-proxy:{BAD}"));
    let run = stage.user().rollback(&["--to", "1.2.0"]).ends_with(3);
    assert!(
        run.json["blockers"]
            .to_string()
            .contains("kustomize.images"),
        "{}",
        run.story()
    );
    assert_eq!(stage.commits_since(&story.tip).len(), 0);
}

/// Killed around the push of a rendered rollback: going on finds its own commit by what the
/// files render, and makes no second one.
pub(crate) fn a_rendered_rollback_goes_on(world: &'static World) {
    crate::sources::goes_on(&Stage::with_bad_release_in(
        world,
        "goes-on",
        &laid_out(Layout::Kustomize),
    ));
}

/// The other verbs edit the place that decides as well: the base's replicas, a variable there.
pub(crate) fn other_intents_edit_what_is_rendered(world: &'static World) {
    let stage = Stage::new(
        world,
        "rendered-verbs",
        (GOOD, &laid_out(Layout::Kustomize)),
    );
    let user = stage.user();
    let before = stage.file_at("refs/heads/main", BASE);
    user.run(&["scale", "zai-proxy", "2", "-n", &stage.name, "--yes"])
        .ends_with(0);
    let scaled = before.replace("replicas: 1", "replicas: 2");
    assert_eq!(stage.file_at("refs/heads/main", BASE), scaled);
    let variable = "MAX_WORKERS=7";
    user.run(&[
        "set",
        "env",
        "zai-proxy",
        variable,
        "-n",
        &stage.name,
        "--yes",
    ])
    .ends_with(0);
    let set = scaled.replace("value: \"10\"", "value: \"7\"");
    assert_eq!(stage.file_at("refs/heads/main", BASE), set);
    let live = stage.deployment().expect("it");
    assert_eq!(live["spec"]["replicas"], 2);
    let image = "proxy=ronaldraygun/zai-proxy:1.2.5";
    user.run(&[
        "set",
        "image",
        "zai-proxy",
        image,
        "-n",
        &stage.name,
        "--yes",
    ])
    .ends_with(0);
    let overlay = stage.file_at("refs/heads/main", OVERLAY);
    assert!(
        overlay.contains("  newTag: 1.2.5   # set by the release job\n"),
        "{overlay}"
    );
    stage.wait_live("1.2.5");
}

/// Two workloads share the entry: that is shown, and not taken along silently.
pub(crate) fn a_shared_entry_is_agreed_to(world: &'static World) {
    let setting = Setting {
        files: vec![("apps/zai-proxy/base/worker.yaml", WORKER)],
        ..laid_out(Layout::Kustomize)
    };
    let story = Stage::with_bad_release_in(world, "shared", &setting);
    let stage = &story.stage;
    let base = "resources: [deployment.yaml, worker.yaml]\n";
    let place = "apps/zai-proxy/base/kustomization.yaml";
    stage.team().catch_up();
    let tip = stage
        .team()
        .commit("feat: a worker", &[(place, Some(base))]);
    stage.team().push();
    stage.refresh();
    let refused = stage.user().rollback(&["--to", GOOD]).ends_with(3);
    let message = refused.blocker("shared-entry")["message"].clone();
    assert!(
        message.to_string().contains("Deployment/worker"),
        "{message}"
    );
    assert!(stage.commits_since(&tip).is_empty());
    let agreed = stage.user().rollback(&["--to", GOOD, "--discard-later"]);
    agreed.ends_with(0);
    assert_eq!(
        stage.file_at("refs/heads/main", OVERLAY),
        stage.manifest(GOOD)
    );
}

const WORKER: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: worker
spec:
  selector: {matchLabels: {app: worker}}
  template:
    metadata: {labels: {app: worker}}
    spec:
      containers:
      - {name: worker, image: ronaldraygun/zai-proxy}
";

fn laid_out(layout: Layout) -> Setting {
    Setting {
        layout,
        ..Setting::default()
    }
}

/// Argo CD itself renders the commit from a side branch, which is gone afterwards.
pub(crate) fn a_commit_is_proved_before_the_branch_moves(world: &'static World) {
    for (name, layout) in [
        ("proved", Layout::Plain),
        ("proved-kustomize", Layout::Kustomize),
    ] {
        let story = Stage::with_bad_release_in(world, name, &laid_out(layout));
        let stage = &story.stage;
        let run = stage
            .user()
            .rollback(&["--to", "1.2.0", "--prove"])
            .ends_with(0);
        run.has("/state", "succeeded").all_checks_hold();
        let steps = run.json["steps"].as_array().cloned().unwrap_or_default();
        let proved = steps.iter().find(|step| step["id"] == "prove");
        let proved = proved.unwrap_or_else(|| panic!("no step prove: {}", run.story()));
        assert_eq!(proved["state"], "done");
        let evidence = proved["evidence"].as_str().unwrap_or_default();
        assert!(
            evidence.contains("only what was planned differs"),
            "{evidence}"
        );
        let names = stage.references();
        assert!(!names.contains("unship/"), "{names}");
        assert_eq!(stage.commits_since(&story.tip).len(), 1);
    }
    let story = Stage::with_bad_release(world, "not-provable");
    let user = story.stage.user().without_argocd();
    let refused = user.rollback(&["--to", "1.2.0", "--prove"]).ends_with(3);
    refused.blocker("not-provable");
}
