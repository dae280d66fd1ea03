use serde_json::json;

use super::super::explain;
use super::*;

const IMAGE: &str = "spec.template.spec.containers[web].image";

#[test]
fn an_image_in_the_application_outranks_the_files() {
    let files = tree("kustomize");
    let app = application(json!({
        "path": "levels/mid",
        "kustomize": {"images": ["shop/web=registry.local:5000/shop/web:9"], "replicas": [{"name": "web", "count": 7}]},
    }));
    let target = object("Deployment", "shop", "eu-web");
    let subject = subject(&app, "levels/mid", &target);
    assert_eq!(
        explained(&files, &subject, IMAGE),
        [
            r#"! spec.source.kustomize.images[0] of the Application "registry.local:5000/shop/web:9""#,
            "- levels/mid/kustomization.yaml:5:5 ",
            r#"- levels/base/web.yaml:21:18 "shop/web:1.0.0""#,
        ]
    );
    assert_eq!(
        explained(&files, &subject, "spec.replicas")[0],
        "! spec.source.kustomize.replicas[web].count of the Application 7"
    );
    let said = blocked(edit(
        &files,
        &subject,
        &[(path(IMAGE), Some(json!("shop/web:1")))],
    ));
    assert!(
        said.starts_with(
            "application-override: spec.source.kustomize.images[0] of the Application decides"
        ),
        "{said}"
    );
}

#[test]
fn override_files_are_merged_in_argo_cds_order_and_are_the_place() {
    let mut files = tree("kustomize");
    put(
        &mut files,
        "levels/mid/.argocd-source.yaml",
        "kustomize:\n  images:\n  - shop/web=shop/web:7 # all\n",
    );
    let app = application(json!({"kustomize": {"images": ["shop/web=shop/web:6"]}}));
    let target = object("Deployment", "shop", "eu-web");
    let subject = subject(&app, "levels/mid", &target);
    assert_eq!(
        explained(&files, &subject, IMAGE)[0],
        r#"! levels/mid/.argocd-source.yaml:3:5 "shop/web:7""#
    );
    put(
        &mut files,
        "levels/mid/.argocd-source-shop.yaml",
        "kustomize:\n  images:\n  - shop/web=shop/web:8 # this one\n",
    );
    assert_eq!(
        explained(&files, &subject, IMAGE)[0],
        r#"! levels/mid/.argocd-source-shop.yaml:3:5 "shop/web:8""#
    );
    let wanted = [
        (path(IMAGE), Some(json!("shop/web:5"))),
        (
            path("spec.template.spec.initContainers[migrate].image"),
            Some(json!("shop/web:5")),
        ),
    ];
    let edited = edit(&files, &subject, &wanted).unwrap();
    assert_eq!(
        lines(&edited),
        [
            "levels/mid/.argocd-source-shop.yaml -  - shop/web=shop/web:8 # this one",
            "levels/mid/.argocd-source-shop.yaml +  - shop/web=shop/web:5 # this one",
        ]
    );
}

#[test]
fn outside_argo_cds_namespace_the_qualified_file_is_read() {
    let mut files = tree("kustomize");
    let folder = "levels/mid/.argocd-source";
    put(
        &mut files,
        &format!("{folder}-shop.yaml"),
        "kustomize: {images: ['shop/web=shop/web:8']}\n",
    );
    put(
        &mut files,
        &format!("{folder}-team_shop.yaml"),
        "kustomize: {images: ['shop/web=shop/web:9']}\n",
    );
    let mut app = application(json!({}));
    app.namespace = "team".to_owned();
    let target = object("Deployment", "shop", "eu-web");
    let mut subject = subject(&app, "levels/mid", &target);
    let said = blocked(explain(&files, &subject, &path(IMAGE)));
    assert!(
        said.starts_with(
            "source-override-unknown: whether Argo CD reads levels/mid/.argocd-source-shop.yaml"
        ),
        "{said}"
    );
    subject.instance = "team_shop";
    assert_eq!(
        explained(&files, &subject, IMAGE)[0],
        r#"! levels/mid/.argocd-source-team_shop.yaml:1:22 "shop/web:9""#
    );
}

#[test]
fn the_template_of_an_application_set_is_named() {
    let files = tree("kustomize");
    let mut app = application(json!({"kustomize": {"images": ["shop/web=shop/web:9"]}}));
    let target = object("Deployment", "shop", "eu-web");
    app.owners = vec![("ApplicationSet".to_owned(), "shops".to_owned())];
    let owned = subject(&app, "levels/mid", &target);
    let said = blocked(edit(
        &files,
        &owned,
        &[(path(IMAGE), Some(json!("shop/web:1")))],
    ));
    assert!(said.starts_with("application-set: spec.source.kustomize.images[0] of the template of ApplicationSet shops"), "{said}");
}

#[test]
fn other_overrides_of_the_application() {
    let files = tree("kustomize");
    let app = application(json!({"kustomize": {
        "namePrefix": "us-",
        "commonLabels": {"team": "x"},
        "patches": [{"target": {"kind": "Deployment", "name": "web"}, "patch": "- op: add\n  path: /spec/paused\n  value: true\n"}],
    }}));
    let target = object("Deployment", "shop", "us-web");
    let subject = subject(&app, "levels/mid", &target);
    assert_eq!(
        explained(&files, &subject, "spec.paused"),
        ["! spec.source.kustomize.patches[0].patch of the Application true"]
    );
    assert_eq!(
        explained(&files, &subject, "spec.selector.matchLabels.team"),
        [r#"! spec.source.kustomize.commonLabels.team of the Application "x""#]
    );
}

#[test]
fn a_revision_that_does_not_move_is_named() {
    let files = tree("kustomize");
    let sha = "0123456789abcdef0123456789abcdef01234567";
    let app = application(json!({"targetRevision": sha}));
    let target = object("Deployment", "shop", "eu-web");
    let mut pinned = subject(&app, "levels/mid", &target);
    let explanation = explain(&files, &pinned, &path(IMAGE)).unwrap();
    assert!(explanation.notes[0].contains("a commit: what the source's own files say stays"));
    let said = blocked(edit(
        &files,
        &pinned,
        &[(path(IMAGE), Some(json!("shop/web:1")))],
    ));
    assert!(
        said.starts_with(
            "pinned-revision: spec.source.targetRevision of the Application is a commit"
        ),
        "{said}"
    );
    let tagged = application(json!({"targetRevision": "v1.2"}));
    pinned.application = Some(&tagged);
    assert!(
        explain(&files, &pinned, &path(IMAGE))
            .unwrap()
            .notes
            .is_empty()
    );
}
