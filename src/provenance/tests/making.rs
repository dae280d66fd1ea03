//! Applications that are made from files: by another Application that is plain, and by a chart.

use serde_json::json;

use super::super::{deciding_file, is_as_made, objects, parted, rest, root};
use super::*;
use crate::model::{Deployer, Maker, Making, Sourcing};

const WEB: &str = "spec.template.spec.containers[web].image";
const SIDE: &str = "spec.template.spec.containers[side].image";
const DEPLOY: &str = "https://git.local/deploy.git@main";

/// The live Application as the manifest makes it.
fn live(kustomize: Value) -> Application {
    Application::from_json(&json!({
        "metadata": {"name": "shop", "namespace": "argocd"},
        "spec": {
            "destination": {"namespace": "shop"},
            "source": {"repoURL": "https://git.local/deploy.git", "path": "deploy",
                "targetRevision": "main", "kustomize": kustomize},
        },
    }))
    .unwrap()
}

fn images(images: &[&str]) -> Value {
    json!({"images": images})
}

/// The shop's files in another repository, made by what is in `folder` here.
fn made_by(folder: &str, rest: Value) -> Sourcing {
    let application = Application::from_json(&json!({
        "metadata": {"name": "root", "namespace": "argocd"},
        "spec": {"destination": {"namespace": "argocd"}, "source": {"path": folder}},
    }))
    .unwrap();
    Sourcing {
        folder: format!("{}deploy", root(DEPLOY)),
        instance: "shop".to_owned(),
        making: Some(Box::new(Making {
            maker: Maker::Application(Box::new(Deployer {
                application,
                source: 0,
                sourcing: Sourcing {
                    folder: folder.to_owned(),
                    instance: "root".to_owned(),
                    ..Sourcing::default()
                },
            })),
            rest,
        })),
        ..Sourcing::default()
    }
}

/// What makes the Applications is here, what they deploy behind a root.
fn files() -> Tree {
    let all = tree("makers");
    let mut found = Tree::new();
    for (path, text) in &all {
        match path.strip_prefix("deploy/") {
            Some(_) => found.insert(format!("{}{path}", root(DEPLOY)), text.clone()),
            None => found.insert(path.clone(), text.clone()),
        };
    }
    found
}

#[test]
fn the_manifest_of_an_application_decides_and_is_edited() {
    let (files, target) = (files(), object("Deployment", "shop", "web"));
    let app = live(images(&["shop/web=registry.local:5000/shop/web:2.1.0"]));
    let sourcing = made_by("apps", json!({}));
    let left = rest(&files, &sourcing, (&app, 0)).unwrap();
    assert_eq!(left, json!({}), "all of it is in the manifest");
    assert!(is_as_made(&files, &sourcing, (&app, 0)).unwrap());
    let subject = Subject::of(Some(&app), 0, &sourcing, &target);
    assert_eq!(
        explained(&files, &subject, WEB),
        [
            r#"! apps/shop.yaml:16:11 (the Application is made from it) "registry.local:5000/shop/web:2.1.0""#.to_owned(),
            format!("- deploy/kustomization.yaml:5:3 of {DEPLOY} "),
            format!(r#"- deploy/web.yaml:15:18 of {DEPLOY} "shop/web:latest""#),
        ]
    );
    let decides = deciding_file(&files, &subject, &path(WEB)).unwrap();
    assert_eq!(decides, Some(("apps/shop.yaml".to_owned(), 1)));
    let good = "registry.local:5000/shop/web:2.0.9";
    let edited = edit(&files, &subject, &[(path(WEB), Some(json!(good)))]).unwrap();
    assert_eq!(
        lines(&edited),
        [
            "apps/shop.yaml -        - shop/web=registry.local:5000/shop/web:2.1.0 # the release",
            "apps/shop.yaml +        - shop/web=registry.local:5000/shop/web:2.0.9 # the release",
        ]
    );
    // A field that the Application says nothing of is still the deployed repository's.
    let two = edit(&files, &subject, &[(path("spec.replicas"), Some(json!(2)))]).unwrap();
    assert_eq!(
        parted(&two.files[0].path),
        (Some(DEPLOY), "deploy/web.yaml")
    );
}

#[test]
fn values_of_the_chart_that_makes_an_application_decide() {
    let (files, target) = (files(), object("Deployment", "shop", "web"));
    let app = live(json!({
        "images": ["shop/web=registry.local:5000/shop/web:2.1.0", "shop/side=registry.local:5000/side:2.1.0"],
        "replicas": [{"name": "web", "count": 3}],
    }));
    let sourcing = made_by("root", json!({}));
    assert_eq!(rest(&files, &sourcing, (&app, 0)).unwrap(), json!({}));
    let subject = Subject::of(Some(&app), 0, &sourcing, &target);
    assert_eq!(
        explained(&files, &subject, "spec.replicas")[0],
        "! root/values.yaml:4:13 (the Application is made from it) 3"
    );
    let edited = edit(&files, &subject, &[(path("spec.replicas"), Some(json!(5)))]).unwrap();
    assert_eq!(
        lines(&edited),
        [
            "root/values.yaml -  replicas: 3",
            "root/values.yaml +  replicas: 5"
        ]
    );
    assert_eq!(
        explained(&files, &subject, WEB)[0],
        r#"! root/values.yaml:2:8 (the Application is made from it) "registry.local:5000/shop/web:2.1.0""#
    );
    // One value makes both images: an edit of one alone is not what would be rendered.
    let both = [
        (path(WEB), Some(json!("registry.local:5000/shop/web:2.0.9"))),
        (path(SIDE), Some(json!("registry.local:5000/side:2.0.9"))),
    ];
    let said = blocked(edit(&files, &subject, &both[..1]));
    assert!(said.starts_with("not-proved: "), "{said}");
    let edited = edit(&files, &subject, &both).unwrap();
    assert_eq!(
        lines(&edited),
        [
            "root/values.yaml -  tag: \"2.1.0\" # the release",
            "root/values.yaml +  tag: \"2.0.9\" # the release",
        ]
    );
    // The name is the template's own word.
    let moved = [(path(WEB), Some(json!("elsewhere/web:2.1.0")))];
    let said = blocked(edit(&files, &subject, &moved));
    assert!(
        said.starts_with("values-computed: root/values.yaml:2:8"),
        "{said}"
    );
    // Two values in one text: the place is the template.
    let said = blocked(edit(&files, &subject, &both[1..]));
    assert!(
        said.starts_with("template: root/templates/shop.yaml:"),
        "{said}"
    );
}

#[test]
fn what_only_the_live_application_says_is_refused_with_its_place() {
    let (files, target) = (files(), object("Deployment", "shop", "web"));
    let by_hand = json!({
        "images": ["shop/web=registry.local:5000/shop/web:2.1.0"],
        "replicas": [{"name": "web", "count": 7}],
    });
    let app = live(by_hand);
    let left = rest(&files, &made_by("apps", json!({})), (&app, 0)).unwrap();
    assert_eq!(
        left,
        json!({"kustomize": {"replicas": [{"name": "web", "count": 7}]}})
    );
    let sourcing = made_by("apps", left);
    assert!(is_as_made(&files, &sourcing, (&app, 0)).unwrap());
    let subject = Subject::of(Some(&app), 0, &sourcing, &target);
    let said = blocked(edit(
        &files,
        &subject,
        &[(path("spec.replicas"), Some(json!(1)))],
    ));
    assert!(
        said.starts_with("application-override: spec.source.kustomize.replicas[web].count of the Application decides"),
        "{said}"
    );
    let old = live(images(&["shop/web=registry.local:5000/shop/web:2.0.9"]));
    assert!(!is_as_made(&files, &sourcing, (&old, 0)).unwrap());
}

#[test]
fn an_application_that_is_not_there_is_not_made() {
    let mut app = live(images(&["shop/web:1"]));
    app.name = "nobody".to_owned();
    let said = blocked(rest(&files(), &made_by("apps", json!({})), (&app, 0)));
    assert!(said.starts_with("target-not-found: "), "{said}");
}

/// What kustomize 5.8 and helm 3.19 printed of the same files.
#[test]
fn the_objects_are_those_of_the_programs() {
    let (files, all) = (files(), tree("makers"));
    let app = live(images(&["shop/web=registry.local:5000/shop/web:2.1.0"]));
    let found = objects(&files, (&app, 0), &made_by("apps", json!({}))).unwrap();
    let expected = stream(&all["rendered/web.yaml"]);
    let expected: Vec<&Value> = expected.values().collect();
    assert_eq!(found.iter().collect::<Vec<_>>(), expected);
    let sourcing = made_by("root", json!({}));
    let deployer = sourcing.making.as_ref().unwrap().deployer().unwrap();
    let found = objects(&files, (&deployer.application, 0), &deployer.sourcing).unwrap();
    let expected = stream(&all["rendered/root.yaml"]);
    let expected: Vec<&Value> = expected.values().collect();
    assert_eq!(found.iter().collect::<Vec<_>>(), expected);
}

/// `cargo test --lib provenance:: -- --ignored` with kustomize and helm on the PATH.
#[test]
#[ignore = "needs kustomize and helm on the PATH"]
fn the_rendered_files_are_what_the_programs_print() {
    let fixture =
        FilePath::new(env!("CARGO_MANIFEST_DIR")).join("manifests-fixtures/provenance/makers");
    let scratch = tempfile::tempdir().unwrap();
    let all = tree("makers");
    for name in ["web.yaml", "kustomization.yaml"] {
        std::fs::write(scratch.path().join(name), &*all[&format!("deploy/{name}")]).unwrap();
    }
    let run = |program: &str, folder: &FilePath, arguments: &[&str]| {
        let mut command = std::process::Command::new(program);
        let output = command
            .args(arguments)
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(output.status.success(), "{program}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    // As Argo CD does with an Application's images.
    let image = "shop/web=registry.local:5000/shop/web:2.1.0";
    run(
        "kustomize",
        scratch.path(),
        &["edit", "set", "image", image],
    );
    let built = run("kustomize", scratch.path(), &["build", "."]);
    assert_eq!(built, *all["rendered/web.yaml"]);
    let printed = run(
        "helm",
        &fixture,
        &["template", "root", "root", "-n", "argocd"],
    );
    assert_eq!(printed, *all["rendered/root.yaml"]);
}

#[test]
fn a_revision_that_does_not_move_is_named_where_the_application_is_made() {
    let sha = "0123456789abcdef0123456789abcdef01234567";
    let files = with(
        &files(),
        "apps/shop.yaml",
        "targetRevision: main",
        &format!("targetRevision: {sha}"),
    );
    let mut app = live(images(&["shop/web=registry.local:5000/shop/web:2.1.0"]));
    app.sources[0].target_revision = sha.to_owned();
    let (sourcing, target) = (
        made_by("apps", json!({})),
        object("Deployment", "shop", "web"),
    );
    let subject = Subject::of(Some(&app), 0, &sourcing, &target);
    let said = blocked(edit(
        &files,
        &subject,
        &[(path(WEB), Some(json!("shop/web:1")))],
    ));
    assert!(
        said.starts_with(
            "pinned-revision: apps/shop.yaml:13:21 (the Application is made from it) is a commit"
        ),
        "{said}"
    );
}
