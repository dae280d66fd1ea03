//! Workloads that no file holds: kustomize or Helm renders them, and the edit goes to the place
//! that decides.

use crate::stage::{BAD, GOOD, Layout, Setting, Stage};
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

fn laid_out(layout: Layout) -> Setting {
    Setting {
        layout,
        ..Setting::default()
    }
}
