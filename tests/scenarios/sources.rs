//! Values that are decided somewhere else than beside the manifests: in another repository.

use crate::layout::{Layout, OLD};
use crate::stage::{BAD, GOOD, MANIFEST, Setting, Stage, Story};
use crate::unship::Unship;
use crate::world::World;

const IMAGE: &str = "spec.template.spec.containers[0].image";

fn shipped(world: &'static World, scenario: &str, layout: Layout) -> Story {
    let setting = Setting {
        layout,
        ..Setting::default()
    };
    Stage::with_bad_release_in(world, scenario, &setting)
}

/// Kills a rollback around its push and lets it go on, each time after the bad release again:
/// one commit in all, with the good release's bytes.
pub(crate) fn goes_on(story: &Story) {
    let stage = &story.stage;
    let user = stage.user().listing_points();
    user.rollback(&["--to", GOOD]).ends_with(0);
    let points = user.points();
    for name in ["recorded committed", "pushed", "waited land"] {
        stage.team().catch_up();
        let again = stage.ship(BAD);
        stage.wait_crashing();
        let killed = stage.user().killed_at(points.number(name));
        let killed = killed.rollback(&["--to", GOOD]);
        assert_eq!(killed.code, None, "killed at {name}: {}", killed.story());
        let run = user.run(&["continue"]).ends_with(0);
        run.has("/state", "succeeded").all_checks_hold();
        assert_eq!(stage.commits_since(&again).len(), 1, "one commit in all");
        let text = stage.file_at("refs/heads/main", &stage.release_file());
        assert_eq!(text, stage.manifest(GOOD));
        stage.wait_live(GOOD);
    }
}

/// One rollback: the plan names the file, one commit puts it back to its good bytes, and it lands.
fn rolls_back(story: &Story, user: &Unship<'_>) {
    let stage = &story.stage;
    let plan = user.on_target("plan", &["--to", GOOD]).ends_with(0);
    plan.says("/targets/0/file", &stage.release_file())
        .says("/commits/0/repository", &format!("{}.git", stage.name));
    let run = user.rollback(&["--to", GOOD]).ends_with(0);
    run.has("/state", "succeeded").all_checks_hold();
    let text = stage.file_at("refs/heads/main", &stage.release_file());
    assert_eq!(text, stage.manifest(GOOD));
    assert_eq!(stage.commits_since(&story.tip).len(), 1);
    stage.wait_live(GOOD);
    let again = user.rollback(&[]).ends_with(0);
    again.has("/state", "succeeded");
    assert_eq!(
        stage.commits_since(&story.tip).len(),
        1,
        "it is not flipped back"
    );
}

/// Another manifest of the workload is excluded by the source, and an edit of it is refused.
pub(crate) fn a_manifest_beside_excluded_ones_is_rolled_back(world: &'static World) {
    beside_others(&shipped(world, "exclude", Layout::Excluded));
}

/// The same where an `.argocd-source` file beside the manifests says which ones count.
pub(crate) fn a_manifest_that_a_source_file_includes_is_rolled_back(world: &'static World) {
    beside_others(&shipped(world, "include", Layout::Included));
}

fn beside_others(story: &Story) {
    let stage = &story.stage;
    let user = stage.user();
    let told = user.on_target("explain", &[IMAGE]).ends_with(0);
    told.says("/fields/0/chain/0/place", MANIFEST)
        .has("/fields/0/chain/0/role", "decides")
        .says("/fields/0/value", BAD);
    let old = stage.file_at("refs/heads/main", OLD);
    let run = user.rollback(&["--to", GOOD, "--file", OLD]).ends_with(3);
    let message = run.json["blockers"].to_string();
    assert!(message.contains(OLD), "{message}");
    assert!(stage.commits_since(&story.tip).is_empty());
    rolls_back(story, &user);
    assert_eq!(stage.file_at("refs/heads/main", OLD), old);
}

/// The chart is in one repository, the values file that decides in another: that one gets the
/// commit, and landing is judged by the commit that was compared of it.
pub(crate) fn a_values_file_of_another_repository_is_rolled_back(world: &'static World) {
    let story = shipped(world, "values", Layout::Values);
    let stage = &story.stage;
    let user = stage.user();
    let told = user.on_target("explain", &[IMAGE]).ends_with(0);
    told.says("/fields/0/chain/0/place", "env/prod/zai-proxy.yaml:3:8")
        .has("/fields/0/chain/0/role", "decides")
        .says("/fields/0/value", BAD);
    let chart = "charts/zai-proxy/values.yaml";
    let outranked = told.json["fields"][0]["chain"].as_array().cloned();
    let outranked = outranked.unwrap_or_default().into_iter();
    let outranked = outranked.filter(|link| link["role"] == "outranked");
    let places: Vec<String> = outranked.map(|link| link["place"].to_string()).collect();
    let second = |place: &String| place.contains(chart) && place.contains("-second.git@main");
    assert!(places.iter().any(second), "{places:?}");
    let lent = stage.lent().git(&["rev-parse", "origin/main"]);
    rolls_back(&story, &user);
    stage.lent().git(&["fetch", "-q", "origin"]);
    assert_eq!(
        stage.lent().git(&["rev-parse", "origin/main"]),
        lent,
        "the chart's repository is left alone"
    );
}

/// The chart decides the replicas: its repository gets that commit, the values' repository none.
pub(crate) fn a_chart_of_another_repository_is_scaled(world: &'static World) {
    let setting = Setting {
        layout: Layout::Values,
        ..Setting::default()
    };
    let stage = Stage::new(world, "values-scale", (GOOD, &setting));
    let (tip, lent) = (stage.tip(), stage.lent().git(&["rev-parse", "HEAD"]));
    let scale = ["scale", "zai-proxy", "2", "-n", &stage.name, "--yes"];
    let run = stage.user().run(&scale).ends_with(0);
    run.has("/state", "succeeded");
    assert_eq!(stage.tip(), tip, "the values' repository is left alone");
    stage.lent().git(&["fetch", "-q", "origin"]);
    let range = format!("{lent}..origin/main");
    let diff = stage.lent().git(&["diff", "-U0", "--format=", &range]);
    assert!(
        diff.contains("-replicas: 1 # of all environments"),
        "{diff}"
    );
    assert!(
        diff.contains("+replicas: 2 # of all environments"),
        "{diff}"
    );
    assert_eq!(stage.lent().git(&["rev-list", "--count", &range]), "1");
    stage.wait_live(GOOD);
    let live = stage.deployment().expect("the Deployment");
    assert_eq!(live["spec"]["replicas"], 2);
}

/// Killed around its push, it goes on with the same repositories.
pub(crate) fn a_rollback_of_lent_values_goes_on(world: &'static World) {
    goes_on(&shipped(world, "values-on", Layout::Values));
}

/// A parameter in the Application outranks the values file: refused with that place.
pub(crate) fn a_parameter_over_lent_values_is_refused(world: &'static World) {
    let story = shipped(world, "values-over", Layout::Values);
    let stage = &story.stage;
    stage.override_parameter("image.tag", BAD);
    let run = stage.user().rollback(&["--to", GOOD]).ends_with(3);
    let message = run.json["blockers"].to_string();
    assert!(
        message.contains("spec.sources[0].helm.parameters"),
        "{message}"
    );
    assert!(stage.commits_since(&story.tip).is_empty());
}

/// `.argocd-source-<app>.yaml` outranks the overlay and `.argocd-source.yaml`: it gets the commit.
pub(crate) fn an_override_file_is_rolled_back(world: &'static World) {
    let story = shipped(world, "source-file", Layout::SourceFile);
    let stage = &story.stage;
    let user = stage.user();
    let told = user.on_target("explain", &[IMAGE]).ends_with(0);
    let place = format!("{}:3:5", stage.release_file());
    told.has("/fields/0/chain/0/place", place)
        .has("/fields/0/chain/0/role", "decides")
        .says("/fields/0/value", BAD);
    rolls_back(&story, &user);
    for (file, tag) in [
        ("kustomization.yaml", "0.8.0"),
        (".argocd-source.yaml", "0.9.0"),
    ] {
        let path = format!("apps/zai-proxy/overlays/prod/{file}");
        assert!(
            stage.file_at("refs/heads/main", &path).contains(tag),
            "{file} is left alone"
        );
    }
}

pub(crate) fn a_rollback_of_an_override_file_goes_on(world: &'static World) {
    goes_on(&shipped(world, "source-on", Layout::SourceFile));
}

/// An edit of the manifest itself would be outranked: refused with what outranks it.
pub(crate) fn a_manifest_below_an_override_file_is_refused(world: &'static World) {
    let story = shipped(world, "source-over", Layout::SourceFile);
    let stage = &story.stage;
    let base = "apps/zai-proxy/base/deployment.yaml";
    let run = stage
        .user()
        .rollback(&["--to", GOOD, "--file", base])
        .ends_with(3);
    let message = run.json["blockers"].to_string();
    assert!(message.contains(&stage.release_file()), "{message}");
    assert!(stage.commits_since(&story.tip).is_empty());
}

/// The override stands in the Application, whose manifest another Application deploys from Git:
/// that manifest gets the commit, in its own repository.
pub(crate) fn an_applications_own_manifest_is_rolled_back(world: &'static World) {
    made_by_another(&shipped(world, "apps", Layout::Apps));
}

/// The same where one repository has all of it.
pub(crate) fn an_application_beside_its_files_is_rolled_back(world: &'static World) {
    made_by_another(&shipped(world, "together", Layout::AppsTogether));
}

fn made_by_another(story: &Story) {
    let stage = &story.stage;
    let user = stage.user();
    let told = user.on_target("explain", &[IMAGE]).ends_with(0);
    told.says("/fields/0/chain/0/place", "root/zai-proxy.yaml:16:9")
        .has("/fields/0/chain/0/role", "decides")
        .says("/fields/0/value", BAD);
    rolls_back(story, &user);
    let spec = stage.application()["spec"]["source"]["kustomize"].clone();
    assert!(
        spec["images"][0]
            .as_str()
            .is_some_and(|image| image.ends_with(GOOD)),
        "{spec}"
    );
}

pub(crate) fn a_rollback_of_an_application_goes_on(world: &'static World) {
    goes_on(&shipped(world, "apps-on", Layout::Apps));
}

/// What was set in the live Application by hand is in no file: refused with that place. So is
/// everything where the Application that has the manifest cannot be read.
pub(crate) fn what_no_file_of_an_application_says_is_refused(world: &'static World) {
    let story = shipped(world, "apps-over", Layout::Apps);
    let stage = &story.stage;
    let user = stage.user();
    stage.override_replicas(1);
    let scale = ["scale", "zai-proxy", "2", "-n", &stage.name, "--yes"];
    let run = user.run(&scale).ends_with(3);
    let message = run.blocker("application-override")["message"].to_string();
    assert!(
        message.contains("spec.source.kustomize.replicas"),
        "{message}"
    );
    stage.lose_root();
    let run = user.rollback(&["--to", GOOD]).ends_with(3);
    let message = run.blocker("application-override")["message"].to_string();
    assert!(
        message.contains("spec.source.kustomize.images[0]"),
        "{message}"
    );
    let unknown = run.json["unknown"].to_string();
    assert!(
        unknown.contains(&format!("{}-root", stage.name)),
        "{unknown}"
    );
    assert!(stage.commits_since(&story.tip).is_empty());
}

/// An ApplicationSet makes the Application of a file of parameters: the file gets the commit.
pub(crate) fn a_parameter_file_is_rolled_back(world: &'static World) {
    let story = shipped(world, "set", Layout::Set);
    let stage = &story.stage;
    let user = stage.user();
    let told = user.on_target("explain", &[IMAGE]).ends_with(0);
    told.says("/fields/0/chain/0/place", "env/prod/config.yaml:3:8")
        .has("/fields/0/chain/0/role", "decides")
        .says("/fields/0/value", BAD);
    rolls_back(&story, &user);
}

pub(crate) fn a_rollback_of_a_parameter_file_goes_on(world: &'static World) {
    goes_on(&shipped(world, "set-on", Layout::Set));
}

/// An expression that is more than a plain parameter is not followed: refused with the
/// ApplicationSet, its generator and the expression.
pub(crate) fn an_expression_of_an_application_set_is_refused(world: &'static World) {
    let story = shipped(world, "set-over", Layout::Set);
    let stage = &story.stage;
    let expression = "ronaldraygun/zai-proxy:{{ .image.tag | lower }}";
    stage.template_image(expression);
    let run = stage.user().rollback(&["--to", GOOD]).ends_with(3);
    let message = run.blocker("application-set")["message"].to_string();
    for part in [
        "spec.source.kustomize.images[0]",
        &format!("ApplicationSet {}", stage.name),
        expression,
        "generators[0] (git files env/*/config.yaml)",
    ] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
    assert!(stage.commits_since(&story.tip).is_empty());
}

/// The Application's own manifest names a tag of what it deploys: it gets the commit, and names the
/// tag of the good release again.
pub(crate) fn a_tag_in_an_applications_manifest_is_put_back(world: &'static World) {
    let story = shipped(world, "tag-app", Layout::Tagged);
    let stage = &story.stage;
    let user = stage.user();
    let told = user.on_target("explain", &[IMAGE]).ends_with(0);
    told.says("/fields/0/chain/0/place", "root/zai-proxy.yaml:13:21")
        .has("/fields/0/chain/0/role", "decides")
        .has("/fields/0/chain/0/says", format!("v{BAD}"))
        .says("/fields/0/value", BAD);
    rolls_back(&story, &user);
    let spec = stage.application()["spec"]["source"].clone();
    assert_eq!(spec["targetRevision"], format!("v{GOOD}"), "{spec}");
}

pub(crate) fn a_rollback_of_a_tag_goes_on(world: &'static World) {
    goes_on(&shipped(world, "tag-on", Layout::Tagged));
}

/// The same where an ApplicationSet makes the tag of a parameter.
pub(crate) fn a_tag_of_a_parameter_file_is_put_back(world: &'static World) {
    let story = shipped(world, "tag-set", Layout::TaggedSet);
    let stage = &story.stage;
    let user = stage.user();
    let told = user.on_target("explain", &[IMAGE]).ends_with(0);
    told.says("/fields/0/chain/0/place", "env/prod/config.yaml:3:8")
        .has("/fields/0/chain/0/role", "decides");
    rolls_back(&story, &user);
}

/// Argo CD's source hydrator writes what is synced: the dry source gets the commit, and landing is
/// judged by the dry commit that the compared one was made from.
pub(crate) fn a_hydrated_source_is_rolled_back(world: &'static World) {
    if world.is_stack() {
        // The test bed runs no commit-server, which the hydrator needs.
        return;
    }
    let story = shipped(world, "hydrated", Layout::Hydrated);
    let stage = &story.stage;
    let user = stage.user();
    let told = user.on_target("explain", &[IMAGE]).ends_with(0);
    told.says("/fields/0/chain/0/place", &stage.release_file())
        .says("/fields/0/value", BAD);
    rolls_back(&story, &user);
    let written = stage.file_at("refs/heads/env/prod", "prod/manifest.yaml");
    assert!(written.contains(&format!("zai-proxy:{GOOD}")), "{written}");
}

/// A part of what stands at a tag cannot be had: refused with the tags that there are.
pub(crate) fn a_part_of_a_tagged_release_is_refused(world: &'static World) {
    let story = shipped(world, "tag-part", Layout::Tagged);
    let stage = &story.stage;
    let set = [
        "set",
        "env",
        "zai-proxy",
        "TOKEN_COUNTING_ENABLED=false",
        "-n",
        &stage.name,
        "--yes",
    ];
    let run = stage.user().run(&set).ends_with(3);
    let message = run.blocker("pinned-revision")["message"].to_string();
    assert!(message.contains(&format!("v{BAD}, v{GOOD}")), "{message}");
    assert!(stage.commits_since(&story.tip).is_empty());
}

/// An Application that follows a tag is not moved by a commit on a branch: refused, and said so.
pub(crate) fn a_tag_as_target_revision_is_refused(world: &'static World) {
    let story = shipped(world, "tagged", Layout::Kustomize);
    let stage = &story.stage;
    stage.follow_tag("v1.2.1", &story.tip);
    let run = stage.user().rollback(&["--to", GOOD]).ends_with(3);
    let message = run.blocker("pinned")["message"].to_string();
    assert!(message.contains("v1.2.1 is a tag of"), "{message}");
    assert!(stage.commits_since(&story.tip).is_empty());
}

/// The version of a published chart stands in the Application's manifest: that is put back.
pub(crate) fn a_chart_version_is_put_back(world: &'static World) {
    let story = shipped(world, "chart", Layout::Charted);
    let stage = &story.stage;
    let user = stage.user();
    let told = user.on_target("explain", &[IMAGE]).ends_with(0);
    told.says("/fields/0/chain/0/place", "root/zai-proxy.yaml:13:21")
        .has("/fields/0/chain/0/role", "decides")
        .says("/fields/0/chain/1/place", "Chart.yaml:4:13")
        .says("/fields/0/value", BAD);
    let seen = user.on_target("history", &[]).ends_with(0);
    let entries = seen.json["entries"].as_array().cloned().unwrap_or_default();
    let entry = |release: &str| {
        let mut all = entries.iter();
        let found = all.find(|entry| {
            entry["image"]
                .as_str()
                .is_some_and(|i| i.ends_with(release))
        });
        found
            .cloned()
            .unwrap_or_else(|| panic!("{release}: {}", seen.story()))
    };
    for release in [GOOD, BAD] {
        // Argo CD's history names the version, Git's the commit.
        assert!(
            entry(release)["historyId"].is_number(),
            "{}",
            entry(release)
        );
        assert!(entry(release)["commit"].is_string(), "{}", entry(release));
    }
    rolls_back(&story, &user);
    let spec = stage.application()["spec"]["source"].clone();
    assert_eq!(spec["targetRevision"], GOOD);
}

pub(crate) fn a_rollback_of_a_chart_version_goes_on(world: &'static World) {
    goes_on(&shipped(world, "chart-on", Layout::Charted));
}

/// The chart stays at its version, and values of the stage's repository decide the image.
pub(crate) fn values_of_a_repository_for_a_published_chart_are_put_back(world: &'static World) {
    let story = shipped(world, "chart-values", Layout::ChartValues);
    let user = story.stage.user();
    let told = user.on_target("explain", &[IMAGE]).ends_with(0);
    told.says("/fields/0/chain/0/place", "env/prod/zai-proxy.yaml:3:8")
        .has("/fields/0/chain/0/role", "decides");
    rolls_back(&story, &user);
}

/// A chart in the repository around a published one: the version of that is put back, and what it
/// renders with it.
pub(crate) fn a_version_of_a_subchart_is_put_back(world: &'static World) {
    let story = shipped(world, "subchart", Layout::Subchart);
    let user = story.stage.user();
    let told = user.on_target("explain", &[IMAGE]).ends_with(0);
    told.says("/fields/0/value", BAD);
    let plan = user.on_target("plan", &["--to", GOOD]).ends_with(0);
    let warned = plan.json["warnings"].to_string();
    assert!(warned.contains("helm.sh/chart"), "{warned}");
    rolls_back(&story, &user);
}

pub(crate) fn a_value_of_a_subchart_is_put_back(world: &'static World) {
    let story = shipped(world, "subvalue", Layout::SubchartValues);
    let user = story.stage.user();
    let told = user.on_target("explain", &[IMAGE]).ends_with(0);
    told.says(
        "/fields/0/chain/0/place",
        "charts/production/values.yaml:4:10",
    )
    .has("/fields/0/chain/0/role", "decides");
    rolls_back(&story, &user);
}

/// What only the chart says is in no repository.
pub(crate) fn what_is_in_a_published_chart_is_refused(world: &'static World) {
    let story = shipped(world, "chart-part", Layout::ChartValues);
    let stage = &story.stage;
    let scale = ["scale", "zai-proxy", "2", "-n", &stage.name, "--yes"];
    let run = stage.user().run(&scale).ends_with(3);
    let message = run.json["blockers"].to_string();
    assert!(message.contains("a chart version"), "{message}");
    assert!(stage.commits_since(&story.tip).is_empty());
}

/// A chart that cannot be read: refused with the chart, its version and the values files that it
/// takes.
pub(crate) fn a_chart_that_cannot_be_read_is_refused(world: &'static World) {
    let story = shipped(world, "registry", Layout::Values);
    let stage = &story.stage;
    stage.deploy_chart("zai-proxy", "1.2.1");
    let user = stage.user();
    for run in [
        user.rollback(&["--to", GOOD]),
        user.on_target("explain", &[IMAGE]),
    ] {
        let run = run.ends_with(3);
        for part in [
            "chart zai-proxy 1.2.1 from https://charts.example.org",
            "$values/env/prod/zai-proxy.yaml",
        ] {
            assert!(
                run.json.to_string().contains(part),
                "{part:?}: {}",
                run.story()
            );
        }
    }
    assert!(stage.commits_since(&story.tip).is_empty());
}
