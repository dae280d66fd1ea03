use serde_json::json;

use super::super::{Tool, explain, render, tool};
use super::*;

#[test]
fn the_manifest_itself_decides() {
    let files = tree("directory");
    let app = application(json!({"path": "apps", "directory": {"exclude": "*-canary.yaml"}}));
    let target = object("Deployment", "shop", "web");
    let subject = subject(&app, "apps", &target);
    assert_eq!(tool(&files, &subject).unwrap(), Tool::Directory);
    let image = "spec.template.spec.containers[web].image";
    assert_eq!(
        explained(&files, &subject, image),
        [r#"! apps/web.yaml:23:18 "registry.local:5000/shop/web:1.4.0""#]
    );
    assert_eq!(
        explained(&files, &subject, "spec.replicas"),
        ["! apps/web.yaml:16:13 2"]
    );
    let wanted = [(
        path(image),
        Some(json!("registry.local:5000/shop/web:1.3.9")),
    )];
    let edited = edit(&files, &subject, &wanted).unwrap();
    assert_eq!(
        lines(&edited),
        [
            "apps/web.yaml -          image: registry.local:5000/shop/web:1.4.0",
            "apps/web.yaml +          image: registry.local:5000/shop/web:1.3.9",
        ]
    );
    assert!(edited.also.is_empty());
}

#[test]
fn globs_decide_which_files_count() {
    let files = tree("directory");
    let target = object("Deployment", "shop", "web");
    let all = application(json!({"path": "apps"}));
    assert_eq!(
        blocked(render(&files, &subject(&all, "apps", &target))),
        "document-ambiguous: Deployment/web is in \"apps\" 2 times"
    );
    let canary = application(json!({"path": "apps", "directory": {"include": "{web-*,x}.yaml"}}));
    let one = subject(&canary, "apps", &target);
    assert_eq!(
        explained(&files, &one, "spec.template.spec.containers[web].image"),
        [r#"! apps/web-canary.yaml:11:18 "registry.local:5000/shop/web:canary""#]
    );
    let worker = object("Deployment", "shop", "worker");
    let flat = subject(&all, "apps", &worker);
    assert!(blocked(render(&files, &flat)).starts_with("target-not-found"));
    let deep = application(json!({"path": "apps", "directory": {"recurse": true}}));
    let deep = subject(&deep, "apps", &worker);
    assert_eq!(
        explained(&files, &deep, "spec.template.spec.containers[0].image"),
        [r#"! apps/sub/worker.yml:10:18 "shop/worker:7""#]
    );
}

#[test]
fn items_of_lists_are_objects() {
    let files = tree("directory");
    let app = application(json!({"path": "apps/"}));
    let target = object("StatefulSet", "shop", "db");
    let subject = subject(&app, "apps/", &target);
    let image = "spec.template.spec.containers[db].image";
    assert_eq!(
        explained(&files, &subject, image),
        [r#"! apps/list.yaml:11:33 "postgres:16.1""#]
    );
    let edited = edit(
        &files,
        &subject,
        &[(path(image), Some(json!("postgres:16.0")))],
    )
    .unwrap();
    assert_eq!(
        lines(&edited)[1],
        r#"apps/list.yaml +            - {name: db, image: "postgres:16.0"}"#
    );
}

#[test]
fn templates_and_jsonnet_are_refused_by_name() {
    let files = tree("directory");
    let target = object("Deployment", "shop", "web");
    let templated = Subject::plain("templated", &target);
    let said = blocked(explain(&files, &templated, &path("spec.replicas")));
    assert!(
        said.starts_with("template: templated/web.yaml: line 6"),
        "{said}"
    );
    let jsonnet = Subject::plain("jsonnet", &target);
    assert!(blocked(render(&files, &jsonnet)).starts_with("jsonnet: \"jsonnet\""));
    let plugin = application(json!({"plugin": {"name": "cdk8s"}}));
    let said = blocked(render(&files, &subject(&plugin, "apps", &target)));
    assert!(
        said.starts_with("plugin: a config management plugin (cdk8s)"),
        "{said}"
    );
}

#[test]
fn files_with_the_skip_marker_are_passed_over() {
    let mut files = tree("directory");
    let text = format!(
        "# +argocd:skip-file-rendering\n{}",
        files["apps/web-canary.yaml"]
    );
    put(&mut files, "apps/web-canary.yaml", &text);
    let target = object("Deployment", "shop", "web");
    let subject = Subject::plain("apps", &target);
    assert_eq!(
        render(&files, &subject).unwrap().object["spec"]["replicas"],
        2
    );
}

#[test]
fn a_new_field_and_a_removed_one() {
    let files = tree("directory");
    let app = application(json!({"path": "apps", "directory": {"exclude": "*-canary.yaml"}}));
    let target = object("Deployment", "shop", "web");
    let subject = subject(&app, "apps", &target);
    let wanted = [
        (
            path("spec.template.spec.containers[web].env[LEVEL]"),
            Some(json!({"name": "LEVEL", "value": "no"})),
        ),
        (path("spec.template.spec.containers[web].env[MODE]"), None),
        (path("spec.replicas"), Some(json!(0))),
    ];
    let edited = edit(&files, &subject, &wanted).unwrap();
    assert_eq!(
        lines(&edited),
        [
            "apps/web.yaml -  replicas: 2",
            "apps/web.yaml +  replicas: 0",
            "apps/web.yaml -            - name: MODE",
            "apps/web.yaml -              value: \"on\"",
            "apps/web.yaml +            - name: LEVEL",
            "apps/web.yaml +              value: \"no\"",
        ]
    );
}

#[test]
fn anchors_are_the_manifests_own_refusal() {
    let mut files = tree("directory");
    put(
        &mut files,
        "apps/web.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n      \
         containers:\n      - &c {name: a, image: 'a:1'}\n      - {<<: *c, name: b}\n",
    );
    let app = application(json!({"directory": {"exclude": "*-canary.yaml"}}));
    let target = object("Deployment", "shop", "web");
    let subject = subject(&app, "apps", &target);
    for name in ["a", "b"] {
        let image = path(&format!("spec.template.spec.containers[{name}].image"));
        // A merged value may be overridden where it is used; an anchored one may not be changed.
        let outcome = edit(&files, &subject, &[(image, Some(json!("a:0")))]);
        match name {
            "a" => assert!(blocked(outcome).starts_with("edit-refused: apps/web.yaml")),
            _ => assert_eq!(
                lines(&outcome.unwrap())[1],
                "apps/web.yaml +      - {<<: *c, name: b, image: a:0}"
            ),
        }
    }
}
