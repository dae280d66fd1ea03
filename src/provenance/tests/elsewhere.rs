//! Sources of two repositories: a chart here, its values file there, and the other way round.

use serde_json::json;

use super::super::{deciding_file, parted, render, root};
use super::*;
use crate::model::Sourcing;

const IMAGE: &str = "spec.template.spec.containers[web].image";
const THERE: &str = "https://git.local/team/values.git@main";

fn two() -> Application {
    Application::from_json(&json!({
        "metadata": {"name": "shop", "namespace": "argocd"},
        "spec": {
            "destination": {"namespace": "shop"},
            "sources": [
                {"repoURL": "https://git.local/charts.git", "path": "web",
                    "helm": {"valueFiles": ["$values/env/prod/web.yaml"]}},
                {"repoURL": "https://git.local/team/values.git", "ref": "values"},
            ],
        },
    }))
    .unwrap()
}

/// `here` as it stands, `there` behind its root.
fn both(here: &Tree, there: &Tree, label: &str) -> Tree {
    let mut all = here.clone();
    for (path, text) in there {
        all.insert(format!("{}{path}", root(label)), text.clone());
    }
    all
}

fn sourcing(folder: &str, values: &str) -> Sourcing {
    Sourcing {
        folder: folder.to_owned(),
        instance: "shop".to_owned(),
        references: [("values".to_owned(), values.to_owned())].into(),
        ..Sourcing::default()
    }
}

#[test]
fn a_values_file_of_another_repository_decides_and_is_edited_there() {
    let (app, target) = (two(), object("Deployment", "shop", "shop-web"));
    let (charts, values) = (tree("helm"), tree("values"));
    // Seen from the chart's repository.
    let files = both(&charts, &values, THERE);
    let from_chart = sourcing("web", &root(THERE));
    let subject = Subject::of(Some(&app), 0, &from_chart, &target);
    assert_eq!(
        explained(&files, &subject, IMAGE),
        [
            format!(r#"! env/prod/web.yaml:4:8 of {THERE} "2.1.0""#),
            r#"- web/values.yaml:6:8 """#.to_owned(),
            format!(r#"! env/prod/web.yaml:3:15 of {THERE} "registry.local:5000/shop/web""#),
            r#"- web/values.yaml:5:15 "shop/web""#.to_owned(),
            "- web/templates/deployment.yaml:29:49 ".to_owned(),
        ]
    );
    let (file, makers) = deciding_file(&files, &subject, &path(IMAGE))
        .unwrap()
        .unwrap();
    assert_eq!(
        (parted(&file), makers),
        ((Some(THERE), "env/prod/web.yaml"), 0)
    );
    // Seen from the values' repository, which then has the plain paths.
    let chart = "https://git.local/charts.git@main";
    let files = both(&values, &charts, chart);
    let folder = format!("{}web", root(chart));
    let from_values = sourcing(&folder, "");
    let subject = Subject::of(Some(&app), 0, &from_values, &target);
    let file = deciding_file(&files, &subject, &path(IMAGE))
        .unwrap()
        .unwrap();
    assert_eq!(file.0, "env/prod/web.yaml");
    let wanted = [(
        path(IMAGE),
        Some(json!("registry.local:5000/shop/web:2.0.9")),
    )];
    let edited = edit(&files, &subject, &wanted).unwrap();
    assert_eq!(
        lines(&edited),
        [
            "env/prod/web.yaml -  tag: \"2.1.0\" # release",
            "env/prod/web.yaml +  tag: \"2.0.9\" # release",
        ]
    );
    // What only the chart says is in the other repository.
    let replicas = edit(&files, &subject, &[(path("spec.replicas"), Some(json!(2)))]).unwrap();
    assert_eq!(
        parted(&replicas.files[0].path),
        (Some(chart), "web/values.yaml")
    );
}

#[test]
fn a_parameter_outranks_the_file_of_another_repository() {
    let mut app = two();
    app.sources[0].helm.as_mut().unwrap()["parameters"] =
        json!([{"name": "image.tag", "value": "9"}]);
    let files = both(&tree("helm"), &tree("values"), THERE);
    let target = object("Deployment", "shop", "shop-web");
    let sourcing = sourcing("web", &root(THERE));
    let subject = Subject::of(Some(&app), 0, &sourcing, &target);
    let said = blocked(edit(
        &files,
        &subject,
        &[(path(IMAGE), Some(json!("registry.local:5000/shop/web:2")))],
    ));
    assert!(
        said.starts_with("application-override: spec.sources[0].helm.parameters[image.tag].value of the Application decides"),
        "{said}"
    );
}

#[test]
fn a_repository_that_is_not_here_is_named() {
    let mut app = two();
    app.sources[1].target_revision = "prod".to_owned();
    let (files, target) = (tree("helm"), object("Deployment", "shop", "shop-web"));
    let sourcing = Sourcing {
        references: BTreeMap::new(),
        ..sourcing("web", "")
    };
    let subject = Subject::of(Some(&app), 0, &sourcing, &target);
    let said = blocked(render(&files, &subject));
    assert!(
        said.starts_with("value-file-elsewhere: spec.sources[0].helm.valueFiles[0] of the Application takes values from env/prod/web.yaml of https://git.local/team/values.git"),
        "{said}"
    );
}

/// What `helm template` of 3.19 printed with that file.
#[test]
fn the_object_is_that_of_helm() {
    let (app, target) = (two(), object("Deployment", "shop", "shop-web"));
    let (charts, values) = (tree("helm"), tree("values"));
    let sourcing = sourcing("web", &root(THERE));
    let subject = Subject::of(Some(&app), 0, &sourcing, &target);
    let rendered = render(&both(&charts, &values, THERE), &subject).unwrap();
    let expected = stream(&values["rendered/web.yaml"]);
    let mut expected = expected[&("Deployment".to_owned(), "shop-web".to_owned())].clone();
    let annotations = &mut expected["spec"]["template"]["metadata"];
    annotations.as_object_mut().unwrap().remove("annotations");
    let mut object = rendered.object;
    let own = object["spec"]["template"]["metadata"]
        .as_object_mut()
        .unwrap();
    own.remove("annotations");
    assert_eq!(object, expected);
}

/// `cargo test --lib provenance:: -- --ignored` with helm 3 on the PATH.
#[test]
#[ignore = "needs helm on the PATH"]
fn the_rendered_file_is_what_helm_prints() {
    let folder = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("manifests-fixtures/provenance");
    let output = std::process::Command::new("helm")
        .args(["template", "shop", "../helm/web", "-n", "shop"])
        .args(["-f", "env/prod/web.yaml"])
        .current_dir(folder.join("values"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, *tree("values")["rendered/web.yaml"]);
}
