//! Applications that an ApplicationSet makes of parameter files.

use serde_json::json;

use super::super::{deciding_file, generated, rest, root};
use super::*;
use crate::model::{ApplicationSet, Blocker, Generator, Maker, Making, Sourcing};

const WEB: &str = "spec.template.spec.containers[web].image";
const DEPLOY: &str = "https://git.local/deploy.git@main";

/// A set with one Git generator and these images in its template.
fn set(spec: Value, images: &[&str]) -> ApplicationSet {
    let mut all = json!({"goTemplate": true,
    "generators": [{"git": {"repoURL": "https://git.local/env.git", "revision": "main",
        "files": [{"path": "env/*/config.yaml"}]}}],
    "template": {
        "metadata": {"name": "{{.app}}"},
        "spec": {
            "destination": {"namespace": "shop"},
            "source": {"repoURL": "https://git.local/deploy.git", "path": "deploy",
                "kustomize": {"images": images}},
        },
    }});
    for (key, value) in spec.as_object().unwrap() {
        all[key] = value.clone();
    }
    ApplicationSet {
        name: "shops".to_owned(),
        spec: all,
        generator: Some(Generator {
            index: 0,
            root: String::new(),
        }),
    }
}

/// The Application as it is live, and its kustomize section.
fn live(images: &[&str]) -> Application {
    Application::from_json(&json!({
        "metadata": {"name": "shop", "namespace": "argocd",
            "ownerReferences": [{"kind": "ApplicationSet", "name": "shops"}]},
        "spec": {
            "destination": {"namespace": "shop"},
            "source": {"repoURL": "https://git.local/deploy.git", "path": "deploy",
                "kustomize": {"images": images}},
        },
    }))
    .unwrap()
}

fn made_by(set: ApplicationSet, rest: Value) -> Sourcing {
    Sourcing {
        folder: format!("{}deploy", root(DEPLOY)),
        instance: "shop".to_owned(),
        making: Some(Box::new(Making {
            maker: Maker::ApplicationSet(Box::new(set)),
            rest,
        })),
        ..Sourcing::default()
    }
}

/// Parameter files here, the deployed overlay behind a root.
fn files() -> Tree {
    let mut all = tree("sets");
    for (path, text) in tree("makers") {
        if path.starts_with("deploy/") {
            all.insert(format!("{}{path}", root(DEPLOY)), text);
        }
    }
    all
}

/// The sourcing with what only the live Application says.
fn followed(set: ApplicationSet, app: &Application) -> Result<Sourcing, Blocker> {
    let left = rest(&files(), &made_by(set.clone(), json!(null)), (app, 0))?;
    Ok(made_by(set, left))
}

/// The chain's first place, and what an edit of the image comes to.
fn rolled_back(set: ApplicationSet, images: &[&str]) -> (String, Vec<String>) {
    let (files, app, target) = (files(), live(images), object("Deployment", "shop", "web"));
    let sourcing = followed(set, &app).unwrap();
    let subject = Subject::of(Some(&app), 0, &sourcing, &target);
    let first = explained(&files, &subject, WEB).remove(0);
    let wanted = [(path(WEB), Some(json!("shop/web:2.0.9")))];
    let outcome = match edit(&files, &subject, &wanted) {
        Ok(edited) => lines(&edited),
        Err(blocker) => vec![format!("{}: {}", blocker.id, blocker.message)],
    };
    (first, outcome)
}

#[test]
fn a_plain_parameter_is_followed_to_its_file() {
    let edited = [
        "env/prod/config.yaml -  tag: \"2.1.0\" # the release",
        "env/prod/config.yaml +  tag: \"2.0.9\" # the release",
    ];
    for template in [
        "shop/web:{{.image.tag}}",
        "shop/web=shop/web:{{ .image.tag }}",
        "{{.image.name}}:2.1.0",
    ] {
        let (first, outcome) = rolled_back(set(json!({}), &[template]), &["shop/web:2.1.0"]);
        let is_tag = template.contains("tag");
        let line = if is_tag { "4:8" } else { "5:9" };
        let place = format!("! env/prod/config.yaml:{line} (the Application is made from it)");
        assert!(first.starts_with(&place), "{template}: {first}");
        match is_tag {
            true => assert_eq!(outcome, edited, "{template}"),
            // The tag is the template's own word.
            false => assert!(
                outcome[0].starts_with("values-computed: env/prod"),
                "{outcome:?}"
            ),
        }
    }
    // The older templates, and a list of parameters in JSON.
    let older = json!({"goTemplate": false, "generators": [
        {"git": {"files": [{"path": "clusters/all.json"}]}}],
        "template": {"metadata": {"name": "{{ app }}"}, "spec": {"source": {
            "kustomize": {"images": ["shop/web:{{image.tag}}"]}}}}});
    let (first, outcome) = rolled_back(set(older, &[]), &["shop/web:2.1.0"]);
    assert!(first.starts_with("! clusters/all.json:3:36"), "{first}");
    assert_eq!(
        outcome,
        [
            r#"clusters/all.json -  {"app": "shop", "image": {"tag": "2.1.0"}}"#,
            r#"clusters/all.json +  {"app": "shop", "image": {"tag": "2.0.9"}}"#,
        ]
    );
    // A value of the generator that is a parameter.
    let values = json!({"generators": [{"git": {"files": [{"path": "env/prod/*"}],
        "values": {"release": "{{.image.tag}}"}}}]});
    let (_, outcome) = rolled_back(
        set(values, &["shop/web:{{.values.release}}"]),
        &["shop/web:2.1.0"],
    );
    assert_eq!(outcome, edited);
}

#[test]
fn what_is_more_than_one_plain_parameter_is_named() {
    for (template, id) in [
        ("shop/web:{{ .image.tag | lower }}", "application-set"),
        ("shop/web:{{ default \"x\" .image.tag }}", "application-set"),
        ("{{ .image.name }}:{{ .image.tag }}", "application-set"),
        ("shop/web:2.1.0", "application-set"),
    ] {
        let (first, outcome) = rolled_back(set(json!({}), &[template]), &["shop/web:2.1.0"]);
        let place = format!(
            "spec.source.kustomize.images[0] of the template of ApplicationSet shops ({template}, \
             filled by generators[0] (git files env/*/config.yaml))"
        );
        assert!(first.contains(&place), "{first}");
        assert_eq!(outcome, [format!("{id}: {place} decides over the field")]);
    }
}

#[test]
fn sets_that_are_not_modelled_are_not_followed() {
    let image = ["shop/web:{{.image.tag}}"];
    let git = json!({"files": [{"path": "env/*/config.yaml"}]});
    for (spec, why) in [
        (
            json!({"templatePatch": "spec: {}"}),
            "its templatePatch may change any field",
        ),
        (
            json!({"generators": [{"git": git, "selector": {"matchLabels": {"a": "b"}}}]}),
            "has a selector",
        ),
        (
            json!({"generators": [{"git": {"files": git["files"], "template": {"spec": {"project": "x"}}}}]}),
            "has a template of its own",
        ),
        (
            json!({"ignoreApplicationDifferences": [{"jsonPointers": ["/spec"]}]}),
            "it ignores differences",
        ),
        (
            json!({"syncPolicy": {"applicationsSync": "create-only"}}),
            "it does not update its Applications",
        ),
        (
            json!({"generators": [{"git": {"directories": [{"path": "env/*"}]}}]}),
            "generators[0] (git directories env/*) takes its parameters from no file's content",
        ),
        (
            json!({"generators": [{"list": {"elements": []}}]}),
            "generators[0] (list) takes its parameters from no file's content",
        ),
        (
            json!({"generators": [{"git": {"files": [{"path": "env/{a,b}"}]}}]}),
            "the pattern env/{a,b} is not followed",
        ),
        (
            json!({"generators": [{"git": {"files": [{"path": "env/test"}]}}]}),
            "has no parameters of Application shop",
        ),
        (
            json!({"generators": [{"git": {"files": [git["files"][0], {"path": "env/prod/*", "exclude": true}]}}]}),
            "has no parameters of Application shop",
        ),
    ] {
        let said = blocked(followed(set(spec, &image), &live(&["shop/web:2.1.0"])));
        assert!(
            said.starts_with("application-set: ApplicationSet shops: "),
            "{said}"
        );
        assert!(said.contains(why), "{why:?} is not in {said}");
    }
}

#[test]
fn without_a_generator_the_live_application_decides() {
    let mut set = set(json!({}), &["shop/web:{{.image.tag}}"]);
    set.generator = None;
    let (first, outcome) = rolled_back(set, &["shop/web:2.1.0"]);
    assert!(
        first.contains("(shop/web:{{.image.tag}}, filled by generators[0]"),
        "{first}"
    );
    assert!(outcome[0].starts_with("application-set: "), "{outcome:?}");
}

#[test]
fn the_file_of_another_application_does_not_decide() {
    let (files, app) = (files(), live(&["shop/web:2.1.0"]));
    let target = object("Deployment", "shop", "web");
    let sourcing = followed(set(json!({}), &["shop/web:{{.image.tag}}"]), &app).unwrap();
    let subject = Subject::of(Some(&app), 0, &sourcing, &target);
    let decides = deciding_file(&files, &subject, &path(WEB)).unwrap();
    assert_eq!(decides, Some(("env/prod/config.yaml".to_owned(), 1)));
}

#[test]
fn every_application_is_generated() {
    let made = generated(
        &files(),
        &set(json!({}), &["{{.image.name}}:{{.image.tag | lower}}"]),
    )
    .unwrap();
    let told: Vec<(&Value, &Value)> = made
        .iter()
        .map(|app| {
            (
                &app["metadata"]["name"],
                &app["spec"]["source"]["kustomize"]["images"][0],
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (&json!("shop"), &json!("shop/web:2.1.0")),
            (&json!("shop-test"), &json!("shop/web:2.2.0")),
        ]
    );
}
