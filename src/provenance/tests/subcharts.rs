//! A chart whose subchart is published elsewhere or packed beside it.

use serde_json::json;

use super::super::{edit_to, published, recipe, render, root};
use super::*;
use crate::model::{Argument, Program};

const CHART: &str = "https://charts.local/stable/web";
const IMAGE: &str = "spec.template.spec.containers[web].image";
const CHART_YAML: &str = "apiVersion: v2
name: production
version: 0.1.0
dependencies:
- name: web
  version: 2.1.0   # the release
  repository: https://charts.local/stable/
";
const VALUES: &str = "# production
web:
  image:
    tag: \"2.0.5\"   # set by the release job
";

/// Each version of the chart behind its root, and the chart that depends on it.
fn files(chart: &str, values: &str) -> Tree {
    let all = tree("charts").into_iter();
    let behind = |version: &str| root(&format!("{CHART}@{version}"));
    let versions = all.filter_map(|(path, text)| {
        let (version, rest) = path.split_once('/')?;
        let is_version = version.starts_with('2');
        is_version.then(|| (format!("{}{rest}", behind(version)), text))
    });
    let mut all: Tree = versions.collect();
    put(&mut all, "deploy/Chart.yaml", chart);
    put(&mut all, "deploy/values.yaml", values);
    all
}

fn deployed() -> Application {
    let mut app = application(json!({"repoURL": "https://git.local/deploy.git", "path": "deploy"}));
    app.destination.namespace = "shop".to_owned();
    app
}

#[test]
fn a_value_of_a_published_subchart_decides_and_is_edited() {
    let (files, app) = (files(CHART_YAML, VALUES), deployed());
    let target = object("Deployment", "shop", "web");
    let subject = subject(&app, "deploy", &target);
    assert_eq!(
        explained(&files, &subject, IMAGE)[..2],
        [
            r#"! deploy/values.yaml:4:10 "2.0.5""#.to_owned(),
            format!(r#"- values.yaml:4:8 of {CHART}@2.1.0 """#),
        ]
    );
    let mut wanted = render(&files, &subject).unwrap().object;
    wanted["spec"]["template"]["spec"]["containers"][0]["image"] = json!("shop/web:2.0.4");
    let edited = edit_to(&files, &subject, &wanted, None).unwrap();
    assert_eq!(
        lines(&edited),
        [
            "deploy/values.yaml -    tag: \"2.0.5\"   # set by the release job",
            "deploy/values.yaml +    tag: \"2.0.4\"   # set by the release job",
        ]
    );
    // What the chart itself says is not edited: there is no earlier version to go back to.
    wanted["spec"]["template"]["metadata"]["labels"]["app"] = json!("other");
    assert!(edit_to(&files, &subject, &wanted, None).is_err());
}

#[test]
fn a_version_of_a_subchart_goes_back_with_what_it_renders() {
    let good = files(&CHART_YAML.replace("2.1.0", "2.0.9"), "web: {}\n");
    let (files, app) = (files(CHART_YAML, "web: {}\n"), deployed());
    let target = object("Deployment", "shop", "web");
    let subject = subject(&app, "deploy", &target);
    let mut wanted = render(&files, &subject).unwrap().object;
    let before = render(&good, &subject).unwrap().object;
    wanted["spec"]["template"] = before["spec"]["template"].clone();
    let edited = edit_to(&files, &subject, &wanted, Some(&good)).unwrap();
    assert_eq!(
        lines(&edited),
        [
            "deploy/Chart.yaml -  version: 2.1.0   # the release",
            "deploy/Chart.yaml +  version: 2.0.9   # the release",
        ]
    );
    // Its label of the chart's version comes along, and that is said.
    let [touched] = edited.also.as_slice() else {
        panic!("{:?}", edited.also);
    };
    assert_eq!(
        touched.fields,
        [path(r#"metadata.labels["helm.sh/chart"]"#)]
    );
}

#[test]
fn a_range_means_what_chart_lock_says() {
    let ranged = CHART_YAML.replace("2.1.0", "^2.0.0");
    let mut files = files(&ranged, VALUES);
    let (app, target) = (deployed(), object("Deployment", "shop", "web"));
    let subject = subject(&app, "deploy", &target);
    let refused = render(&files, &subject).unwrap_err();
    assert!(refused.message.contains("no Chart.lock"), "{refused:?}");
    assert_eq!(published(&files, "deploy"), []);
    let lock =
        "dependencies:\n- name: web\n  repository: https://charts.local/stable\n  version: 2.0.9\n";
    put(&mut files, "deploy/Chart.lock", lock);
    let rendered = render(&files, &subject).unwrap();
    assert_eq!(
        rendered.object["metadata"]["labels"]["helm.sh/chart"],
        "web-2.0.9"
    );
    assert_eq!(published(&files, "deploy")[0].version, "2.0.9");
    // For helm it stands among the subcharts.
    let recipe = recipe(&files, &subject).unwrap().unwrap();
    assert_eq!(recipe.program, Program::Helm);
    assert_eq!(recipe.folders, ["deploy"]);
    let from = root(&format!("{CHART}@2.0.9"));
    assert_eq!(recipe.copies, [(from, "deploy/charts/web".to_owned())]);
    assert_eq!(recipe.calls[0][3], Argument::Text("shop".to_owned()));
}

#[test]
fn a_packed_subchart_is_read_and_not_edited() {
    let mut files = files(CHART_YAML, "{}\n");
    let behind = root(&format!("{CHART}@2.1.0"));
    let packed: Vec<_> = files
        .iter()
        .filter_map(|(path, text)| Some((path.strip_prefix(&behind)?.to_owned(), text.clone())))
        .collect();
    files.retain(|path, _| path.starts_with("deploy"));
    for (path, text) in packed {
        files.insert(format!("deploy/charts/web-2.1.0.tgz/{path}"), text);
    }
    let (app, target) = (deployed(), object("Deployment", "shop", "web"));
    let subject = subject(&app, "deploy", &target);
    assert_eq!(published(&files, "deploy"), []);
    let mut wanted = render(&files, &subject).unwrap().object;
    assert_eq!(
        wanted["spec"]["template"]["spec"]["containers"][0]["image"],
        "shop/web:2.1.0"
    );
    wanted["spec"]["replicas"] = json!(5);
    let refused = edit_to(&files, &subject, &wanted, None).unwrap_err();
    let place = "deploy/charts/web-2.1.0.tgz: what is in an archive is not edited";
    assert_eq!(refused.message, place);
}
