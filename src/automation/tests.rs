//! The tools on small worlds, with the fixtures as files.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::model::{
    Application, ArgoView, AutomationView, ClusterView, Commit, CommitId, GitView, HistoryEnd,
    Identity, PodTemplate, RenderedSource, TemplateState, WorkloadKind, WorkloadRef,
};

const MANIFEST: &str = include_str!("../../manifests-fixtures/automation/flux/apps/zai-proxy.yaml");
const IMAGES: &str =
    include_str!("../../manifests-fixtures/automation/flux/clusters/prod/images.yaml");
const APPLICATION: &str =
    include_str!("../../manifests-fixtures/automation/image-updater/application.yaml");
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
        folder: "apps".into(),
        instance: "mcp-ns".into(),
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
