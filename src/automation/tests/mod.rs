//! The tools on small worlds, with the fixtures as files.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::model::{
    Application, ArgoView, AutomationView, ClusterView, Commit, CommitId, GitView, HistoryEnd,
    Identity, Lands, PodTemplate, RenderedSource, Sourcing, TemplateState, WorkloadKind,
    WorkloadRef,
};

mod kargo;
mod upstream;

const MANIFEST: &str =
    include_str!("../../../manifests-fixtures/automation/flux/apps/zai-proxy.yaml");
const IMAGES: &str =
    include_str!("../../../manifests-fixtures/automation/flux/clusters/prod/images.yaml");
const APPLICATION: &str =
    include_str!("../../../manifests-fixtures/automation/image-updater/application.yaml");
const FILE: &str = "apps/zai-proxy.yaml";

fn commit() -> Commit {
    Commit {
        id: CommitId::parse(&"a".repeat(40)).unwrap(),
        parents: vec![],
        author: Identity {
            name: "a".into(),
            email: "a@b".into(),
        },
        time: jiff::Timestamp::UNIX_EPOCH,
        message: "release".into(),
    }
}

fn git(text: &str) -> GitView {
    let template = json!({"spec": {"containers": [
        {"name": "proxy", "image": "ronaldraygun/zai-proxy:1.2.1"}]}});
    GitView {
        repository: "https://git.example.com/r".into(),
        clone: "/clone".into(),
        remote: "origin".into(),
        branch: "main".into(),
        tip: commit().id,
        file: FILE.into(),
        text: Arc::from(text),
        rendered: None,
        proof: "test".into(),
        proven: true,
        states: vec![TemplateState {
            commit: commit(),
            path: FILE.into(),
            text: Arc::from(text),
            template: PodTemplate::new(template),
            replicas: None,
        }],
        history_end: HistoryEnd::Root,
        overrides: vec![],
        named_in: vec![],
        deployed: vec![],
        resolved: None,
        change: None,
        companions: vec![],
        used_changes: Vec::new(),
        side_changes: vec![],
    }
}

/// A world with these files beside the target's own.
fn world(text: &str, files: &[(&str, &str)]) -> Observation {
    Observation {
        at: jiff::Timestamp::UNIX_EPOCH,
        target: WorkloadRef {
            kind: WorkloadKind::Deployment,
            namespace: "mcp".into(),
            name: "zai-proxy".into(),
        },
        cluster: ClusterView::default(),
        argocd: ArgoView::default(),
        git: Some(git(text)),
        signs_commits: None,
        rights: Default::default(),
        source_blockers: vec![],
        automation: AutomationView {
            files: files
                .iter()
                .map(|(path, text)| ((*path).to_owned(), Arc::from(*text)))
                .collect::<BTreeMap<_, _>>(),
            ..AutomationView::default()
        },
        gaps: vec![],
    }
}

fn rendered_by(mut world: Observation, tool: &str, files: &[(&str, &str)]) -> Observation {
    let git = world.git.as_mut().unwrap();
    git.rendered = Some(RenderedSource {
        tool: tool.into(),
        sourcing: Sourcing {
            folder: "apps".into(),
            instance: "mcp-ns".into(),
            ..Sourcing::default()
        },
        states: vec![],
        elsewhere: vec![],
        lands: Lands::Source(0),
        digests: Vec::new(),
        files: files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), Arc::from(*text)))
            .collect(),
    });
    world
}

fn with_application(mut world: Observation, annotations: Value) -> Observation {
    let application = json!({"metadata": {"name": "mcp-ns", "namespace": "argocd",
        "annotations": annotations}, "status": {"sourceType": "Directory"}});
    world.argocd.application = Some(Application::from_json(&application).unwrap());
    world
}

const AUTOMATION: &[(&str, &str)] = &[("clusters/prod/images.yaml", IMAGES)];

fn edit(finding: &Finding) -> (&str, &Change) {
    match &finding.pin {
        Pin::Edit { path, change, .. } => (path, change),
        Pin::ByHand(what) => panic!("by hand: {what}"),
    }
}

#[test]
fn a_marker_is_what_flux_sets_and_when() {
    let found = find(&world(MANIFEST, AUTOMATION));
    let [finding] = found.as_slice() else {
        panic!("one marker of the target, not the canary's: {found:#?}");
    };
    assert!(finding.certain);
    assert_eq!(finding.place, "apps/zai-proxy.yaml:15");
    assert_eq!(finding.does, "sets the image to the highest version in 1.x");
    assert_eq!(
        finding.when,
        "ImageUpdateAutomation flux-system/apps runs every 30m0s, and when the policy or the branch changes"
    );
}

#[test]
fn what_decides_over_a_marker_and_is_not_known_makes_it_a_maybe() {
    let none = find(&world(MANIFEST, &[]));
    assert!(!none[0].certain);
    assert!(
        none[0].when.contains("could not be seen"),
        "{}",
        none[0].when
    );
    let with = |text: String| find(&world(MANIFEST, &[("clusters/prod/images.yaml", &text)]));
    let suspended = IMAGES.replace(
        "  interval: 30m0s\n",
        "  interval: 30m0s\n  suspend: true\n",
    );
    assert_eq!(with(suspended.clone()), []);
    let elsewhere = with(IMAGES.replace("path: ./apps", "path: ./infra"));
    assert!(!elsewhere[0].certain, "another folder is nobody's");
    let other_branch = with(IMAGES.replace("branch: main", "branch: flux"));
    assert!(!other_branch[0].certain);
    assert!(
        other_branch[0]
            .when
            .ends_with("it pushes to flux, not to main")
    );
    let selector = with(IMAGES.replace("  sourceRef:", "  policySelector: {}\n  sourceRef:"));
    assert!(!selector[0].certain);
    // What runs decides over a manifest that is not applied yet.
    let mut both = world(MANIFEST, &[("clusters/prod/images.yaml", &suspended)]);
    both.automation.objects = vec![
        json!({"kind": "ImageUpdateAutomation", "metadata": {"name": "apps", "namespace": "flux-system"},
            "spec": {"interval": "1m", "git": {"push": {"branch": "main"}}}}),
        json!({"kind": "ImagePolicy", "metadata": {"name": "zai-proxy", "namespace": "flux-system"},
            "spec": {"policy": {"numerical": {"order": "asc"}}, "filterTags": {"pattern": "^main-"}},
            "status": {"latestRef": {"name": "x", "tag": "main-9"}}}),
    ];
    both.automation.files = BTreeMap::new();
    let live = find(&both);
    assert_eq!(
        live[0].does,
        "sets the image to the last tag in numerical order (asc) among tags like ^main-, now main-9"
    );
    assert!(live[0].when.contains("every 1m"));
}

#[test]
fn a_marker_is_taken_out_of_force_and_put_back() {
    let found = find(&world(MANIFEST, AUTOMATION));
    let (path, change) = edit(&found[0]);
    assert_eq!(path, FILE);
    let held = pinned(MANIFEST, change).unwrap().unwrap();
    let marker = "# {\"$imagepolicy\": \"flux-system:zai-proxy\"}";
    let inert = "# held by unship: {\"$imagepolicy\": \"flux-system:zai-proxy\"}";
    assert_eq!(held, MANIFEST.replacen(marker, inert, 1), "one line only");
    assert_eq!(
        find(&world(&held, AUTOMATION)),
        [],
        "nothing acts on it now"
    );
    assert_eq!(pinned(&held, change).unwrap(), None);
    // Later work in the file stays.
    let head = held.replace("replicas: 1", "replicas: 3");
    let object = Some(("Deployment".to_owned(), "zai-proxy".to_owned()));
    let again = marked_again((MANIFEST, &held, &head), object.clone()).unwrap();
    assert_eq!(
        again.unwrap(),
        MANIFEST.replace("replicas: 1", "replicas: 3")
    );
    assert_eq!(
        marked_again((MANIFEST, &held, MANIFEST), object.clone()).unwrap(),
        None
    );
    // What another commit held stays held.
    assert_eq!(marked_again((&held, &held, &held), object).unwrap(), None);
}

#[test]
fn a_marker_inside_a_value_is_no_marker() {
    let whole = Change::Marker {
        policy: "flux-system:zai-proxy".into(),
        object: Some(("ConfigMap".into(), "notes".into())),
    };
    let refused = pinned(MANIFEST, &whole).unwrap_err();
    assert!(refused.contains("inside a value"), "{refused}");
}

#[test]
fn a_kustomization_has_markers_of_several_images() {
    let text = "images:\n- name: ronaldraygun/zai-proxy\n  newTag: 1.2.1 # {\"$imagepolicy\": \"flux-system:zai-proxy:tag\"}\n- name: other\n  newTag: 7 # {\"$imagepolicy\": \"flux-system:other:tag\"}\n";
    let files = [("apps/kustomization.yaml", text)];
    let found = find(&rendered_by(
        world(MANIFEST, AUTOMATION),
        "Kustomize",
        &files,
    ));
    let [finding] = found.as_slice() else {
        panic!("{found:#?}");
    };
    assert_eq!(finding.place, "apps/kustomization.yaml:3");
    assert!(
        finding.does.starts_with("sets the tag to"),
        "{}",
        finding.does
    );
    let (_, change) = edit(finding);
    let held = pinned(text, change).unwrap().unwrap();
    assert_eq!(held, text.replacen("# {", "# held by unship: {", 1));
}

fn annotations(more: &[(&str, &str)]) -> Value {
    let mut all = json!({
        "argocd-image-updater.argoproj.io/image-list": "proxy=ronaldraygun/zai-proxy:~1.2, side=ghcr.io/x/side"});
    for (key, value) in more {
        all[format!("argocd-image-updater.argoproj.io/{key}")] = json!(value);
    }
    all
}

/// A target that kustomize renders, in an Application with these annotations.
fn updated(more: &[(&str, &str)], files: &[(&str, &str)]) -> Vec<Finding> {
    let world = rendered_by(world("kind: Deployment\n", files), "Kustomize", &[]);
    find(&with_application(world, annotations(more)))
}

#[test]
fn annotations_say_what_image_updater_sets() {
    let found = updated(&[], &[]);
    let [finding] = found.as_slice() else {
        panic!("only the image that runs: {found:#?}");
    };
    assert_eq!(
        finding.does,
        "sets ronaldraygun/zai-proxy to the highest version that satisfies ~1.2, as a parameter of Application mcp-ns, which outranks Git"
    );
    assert!(finding.certain);
    let digest = updated(
        &[
            ("proxy.update-strategy", "newest-build"),
            ("proxy.allow-tags", "regexp:^main-"),
            ("write-back-method", "git:secret:argocd/creds"),
            ("write-back-target", "kustomization:../prod"),
        ],
        &[],
    );
    assert_eq!(
        digest[0].does,
        "sets ronaldraygun/zai-proxy to the newest build among tags that match regexp:^main-, by a commit to the kustomization"
    );
    assert_eq!(updated(&[("proxy.ignore-tags", "*")], &[]), [], "held");
    assert_eq!(
        updated(&[("ignore-tags", "rc-*, *")], &[]),
        [],
        "held as a whole"
    );
}

#[test]
fn plain_manifests_are_passed_over_by_image_updater() {
    let plain = |more: &[(&str, &str)]| {
        find(&with_application(
            world("kind: Deployment\n", &[]),
            annotations(more),
        ))
    };
    assert_eq!(plain(&[]), []);
    assert_eq!(plain(&[("write-back-target", "kustomization")]).len(), 1);
}

#[test]
fn an_image_list_is_read_as_image_updater_reads_it() {
    let of = |list: &str| {
        let world = rendered_by(world("kind: Deployment\n", &[]), "Helm", &[]);
        let key = "argocd-image-updater.argoproj.io/image-list";
        find(&with_application(world, json!({ key: list })))
    };
    assert_eq!(of("docker.io/ronaldraygun/zai-proxy").len(), 1);
    assert_eq!(of("ghcr.io/ronaldraygun/zai-proxy").len(), 0);
    assert_eq!(of("reg:5000/ronaldraygun/zai-proxy:1").len(), 0);
    assert_eq!(of("ronaldraygun/zai-proxy-other:1").len(), 0);
    let bare = of("ronaldraygun/zai-proxy");
    let Pin::ByHand(what) = &bare[0].pin else {
        panic!("no manifest of it is known");
    };
    assert!(
        what.contains("argocd-image-updater.argoproj.io/ignore-tags: \"*\""),
        "without an alias the whole Application is meant: {what}"
    );
}

#[test]
fn the_application_gets_the_annotation_where_its_manifest_is_known() {
    let files = [("clusters/mcp.yaml", APPLICATION)];
    let found = updated(&[], &files);
    let (path, change) = edit(&found[0]);
    assert_eq!(path, "clusters/mcp.yaml");
    let held = pinned(APPLICATION, change).unwrap().unwrap();
    let added = "    argocd-image-updater.argoproj.io/proxy.ignore-tags: \"*\"\n";
    assert!(held.contains(added), "{held}");
    assert_eq!(held.replace(added, ""), APPLICATION);
    let two = [("a.yaml", APPLICATION), ("b.yaml", APPLICATION)];
    let Pin::ByHand(what) = &updated(&[], &two)[0].pin else {
        panic!("which of them is applied is not known");
    };
    assert!(what.contains("a.yaml:1 or b.yaml:1"), "{what}");
}

const UPDATER: &str =
    include_str!("../../../manifests-fixtures/automation/image-updater/imageupdater.yaml");
const KARGO: &str = include_str!("../../../manifests-fixtures/automation/kargo/project.yaml");
const RENOVATE: &str =
    include_str!("../../../manifests-fixtures/automation/renovate/renovate.json");
const WORKFLOW: &str = include_str!("../../../manifests-fixtures/automation/workflows/release.yml");

fn in_application(files: &[(&str, &str)]) -> Observation {
    let world = rendered_by(world("kind: Deployment\n", files), "Kustomize", &[]);
    with_application(world, json!({}))
}

#[test]
fn an_image_updater_object_sets_the_images_that_it_lists() {
    let found = find(&in_application(&[("clusters/updater.yaml", UPDATER)]));
    let [finding] = found.as_slice() else {
        panic!("one image of one reference: {found:#?}");
    };
    assert_eq!(
        finding.does,
        "sets ronaldraygun/zai-proxy to the highest version that satisfies ~1.2, by a commit to the kustomization"
    );
    assert_eq!(finding.place, "clusters/updater.yaml:1");
    assert!(finding.certain);
    let (_, change) = edit(finding);
    let held = pinned(UPDATER, change).unwrap().unwrap();
    assert!(
        held.contains("updateStrategy: semver   # not the newest build"),
        "{held}"
    );
    let found = find(&in_application(&[("clusters/updater.yaml", &held)]));
    assert_eq!(found, [], "{held}");
    // Without settings of its own they are made.
    let bare = UPDATER.replace("          commonUpdateSettings:\n            updateStrategy: semver   # not the newest build\n", "");
    let found = find(&in_application(&[("clusters/updater.yaml", &bare)]));
    assert!(
        found[0].does.contains("the newest build"),
        "{}",
        found[0].does
    );
    let held = pinned(&bare, edit(&found[0]).1).unwrap().unwrap();
    assert_eq!(
        find(&in_application(&[("clusters/updater.yaml", &held)])),
        []
    );
    let labels = UPDATER.replace(
        "    - namePattern: \"mcp-*\"\n",
        "    - namePattern: \"mcp-*\"\n      labelSelectors: {}\n",
    );
    assert!(!find(&in_application(&[("u.yaml", &labels)]))[0].certain);
}

#[test]
fn annotations_count_in_1_x_where_an_object_asks_for_them() {
    let asks = |use_them: bool| {
        json!({"kind": "ImageUpdater", "metadata": {"name": "all", "namespace": "argocd"},
            "spec": {"applicationRefs": [{"namePattern": "*", "useAnnotations": use_them, "images": []}]}})
    };
    let with = |object: Value| {
        let mut world = in_application(&[]);
        world.argocd.application.as_mut().unwrap().annotations =
            serde_json::from_value(annotations(&[])).unwrap();
        world.automation.objects = vec![object];
        find(&world)
    };
    assert!(with(asks(true))[0].certain);
    assert!(!with(asks(false))[0].certain);
}

#[test]
fn renovate_reads_what_its_patterns_match() {
    let found = |text: &str| find(&world("kind: Deployment\n", &[("renovate.json", text)]));
    let [own] = &found(RENOVATE)[..] else {
        panic!("{:#?}", found(RENOVATE));
    };
    assert!(own.certain, "it merges by itself");
    assert_eq!(own.when, "whenever Renovate runs, before 5am");
    assert!(
        own.does.ends_with("(kubernetes) and merges that by itself"),
        "{}",
        own.does
    );
    let proposes = found(&RENOVATE.replace("\"automerge\": true", "\"automerge\": false"));
    assert!(!proposes[0].certain);
    for (old, new) in [
        ("/^apps/", "/^other/"),
        ("\"automerge\": true", "\"enabled\": false"),
        ("\"automerge\": true", "\"ignorePaths\": [\"apps/**\"]"),
        ("\"automerge\": true", "\"enabledManagers\": [\"npm\"]"),
        ("\"nginx\"", "\"ronaldraygun/zai-proxy\""),
    ] {
        assert!(RENOVATE.contains(old));
        assert_eq!(found(&RENOVATE.replace(old, new)), [], "{new}");
    }
    let older = RENOVATE
        .replace("managerFilePatterns", "fileMatch")
        .replace("/^apps/.+\\\\.ya?ml$/", "^apps/.+\\\\.ya?ml$");
    assert_eq!(found(&older).len(), 1);
    let foreign = found("{\"extends\": [\"github>x/presets\"]}");
    assert!(foreign[0].does.contains("github>x/presets"));
    let json5 = find(&world(
        "kind: Deployment\n",
        &[("renovate.json5", "// ours\n{extends: []}")],
    ));
    let Pin::ByHand(what) = &json5[0].pin else {
        panic!("JSON5 is not edited");
    };
    assert!(what.contains("JSON5 is not edited"), "{what}");
}

#[test]
fn a_package_rule_is_put_in_and_taken_out_byte_for_byte() {
    let worlds = [
        RENOVATE.to_owned(),
        RENOVATE.replace("    ", "\t"),
        RENOVATE.replace('\n', "\r\n"),
        "{\n  \"kubernetes\": {\"fileMatch\": [\"^apps/\"]}\n}\n".to_owned(),
        "{\n  \"packageRules\": [],\n  \"kubernetes\": {\"fileMatch\": [\"^apps/\"]}\n}".to_owned(),
        "{\"kubernetes\": {\"fileMatch\": [\"^apps/\"]}}".to_owned(),
    ];
    for text in worlds {
        let with = |text: &str| find(&world("kind: Deployment\n", &[("renovate.json", text)]));
        let found = with(&text);
        let held = pinned(&text, edit(&found[0]).1).unwrap().unwrap();
        assert_eq!(with(&held), [], "{held}");
        let again = ruled_again((&text, &held, &held)).unwrap().unwrap();
        let values = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(values(&again), values(&text), "{again}");
        // A rule that came later stays.
        let later = pinned(
            &held,
            &Change::Rule {
                rule: json!({"enabled": true}),
            },
        )
        .unwrap()
        .unwrap();
        let again = ruled_again((&text, &held, &later)).unwrap().unwrap();
        assert!(
            !again.contains("held by unship") && again.contains("\"enabled\": true"),
            "{again}"
        );
    }
    let held = pinned(
        RENOVATE,
        edit(&find(&world("kind: Deployment\n", &[("renovate.json", RENOVATE)]))[0]).1,
    );
    let held = held.unwrap().unwrap();
    let first = "        {\"matchPackageNames\": [\"nginx\"], \"enabled\": false}";
    assert!(held.contains(&format!("{first},\n        {{\n            \"description\": \"held by unship: deployment/mcp/zai-proxy\",\n")), "{held}");
    assert_eq!(
        ruled_again((RENOVATE, &held, &held)).unwrap().unwrap(),
        RENOVATE
    );
    assert!(pinned("{\"a\": }", &Change::Rule { rule: json!({}) }).is_err());
}

#[test]
fn a_workflow_that_writes_the_file_is_found() {
    let found = |path: &str, text: &str| find(&world("kind: Deployment\n", &[(path, text)]));
    let github = ".github/workflows/release.yml";
    let [own] = &found(github, WORKFLOW)[..] else {
        panic!("{:#?}", found(github, WORKFLOW));
    };
    assert!(own.certain);
    assert_eq!(own.place, format!("{github}:14"));
    assert!(
        own.does.starts_with("writes apps/zai-proxy.yaml"),
        "{}",
        own.does
    );
    assert_eq!(own.when, "on push, workflow_dispatch");
    let Pin::ByHand(what) = &own.pin else {
        panic!("no workflow is edited");
    };
    assert!(what.contains("gh workflow disable release.yml"), "{what}");
    assert_eq!(
        found("docs/release.yml", WORKFLOW),
        [],
        "no CI reads it there"
    );
    for (old, new) in [
        ("yq -i ", "yq "),
        ("apps/zai-proxy.yaml", "apps/zai-proxy.yaml2"),
        ("apps/zai-proxy.yaml", "my-zai-proxy.yaml"),
        ("apps/zai-proxy.yaml", "apps/other.yaml"),
    ] {
        assert_eq!(found(github, &WORKFLOW.replace(old, new)), [], "{new}");
    }
    let variable = found(
        github,
        &WORKFLOW.replace("apps/zai-proxy.yaml", "$DIR/zai-proxy.yaml"),
    );
    assert!(!variable[0].certain, "which folder is not known");
    let around = WORKFLOW
        .replace("apps/zai-proxy.yaml", "\"$FILE\"")
        .replace("export TAG", "FILE=apps/zai-proxy.yaml; export TAG");
    let around = found(github, &around);
    assert!(!around[0].certain, "what the command writes is not known");
    let gitlab =
        "promote:\n  script:\n    - cd apps\n    - sed -i \"s/1.2.1/$TAG/\" zai-proxy.yaml\n";
    assert!(found(".gitlab-ci.yml", gitlab)[0].certain);
    let kustomize = "jobs:\n  a:\n    steps:\n    - working-directory: overlays/prod\n      run: kustomize edit set image ronaldraygun/zai-proxy=x:$TAG\n";
    let rendered = rendered_by(
        world("kind: Deployment\n", &[(github, kustomize)]),
        "Kustomize",
        &[("overlays/prod/kustomization.yaml", "images: []\n")],
    );
    assert!(find(&rendered)[0].certain);
}

#[test]
fn unread_objects_are_said_where_they_may_hide_something() {
    let gap = |what: &str| Gap {
        what: what.into(),
        reason: crate::model::GapReason::Forbidden,
        message: "no".into(),
    };
    let mut world = with_application(world(MANIFEST, &[]), json!({}));
    world.automation.gaps = ["ImageUpdateAutomation", "ImageUpdater", "Stage"]
        .map(gap)
        .to_vec();
    let named = |world: &Observation| -> Vec<String> {
        gaps(world, &find(world))
            .iter()
            .map(|gap| gap.what.clone())
            .collect()
    };
    assert_eq!(named(&world), ["ImageUpdateAutomation", "Stage"]);
    world.git.as_mut().unwrap().text = Arc::from("kind: Deployment\n");
    assert_eq!(named(&world), ["Stage"]);
}

#[test]
fn values_of_a_configuration_that_may_be_secrets_are_not_shown() {
    let diff = " \"hostRules\": [{\"matchHost\": \"x\", \"token\": \"hunter2\"}],\n-  \"npmToken\": \"hunter\\\"3\"\n+  \"password\" : \"hunter4\",\n \"encrypted\": {\"a\": \"b\"}\n \"url\": \"https://u:hunter5@x/y\"\n";
    let shown = masked_diff(diff);
    assert!(!shown.contains("hunter"), "{shown}");
    assert!(shown.contains("\"matchHost\": \"x\""), "{shown}");
}
