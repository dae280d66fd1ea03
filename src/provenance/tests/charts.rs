//! A chart of a registry: its version stands in the Application's manifest, its values there or in
//! a repository, and what is in the chart itself stays as it is.

use serde_json::json;

use super::super::{deciding_file, edit_to, render, root};
use super::*;
use crate::model::{Deployer, Maker, Making, Pinned, Sourcing};

const CHART: &str = "https://charts.local/stable/web";
const IMAGE: &str = "spec.template.spec.containers[web].image";
const REPLICAS: &str = "spec.replicas";

fn pinned() -> Pinned {
    Pinned {
        repository: CHART.to_owned(),
        what: "a chart version",
        revisions: vec!["2.1.0".to_owned(), "2.0.9".to_owned()],
    }
}

/// Its manifest is deployed by another Application.
fn made() -> Sourcing {
    let root = Application::from_json(&json!({
        "metadata": {"name": "root", "namespace": "argocd"},
        "spec": {"destination": {"namespace": "argocd"}, "source": {"path": "apps"}},
    }));
    let deployer = Deployer {
        application: root.unwrap(),
        source: 0,
        sourcing: Sourcing {
            folder: "apps".to_owned(),
            instance: "root".to_owned(),
            ..Sourcing::default()
        },
    };
    Sourcing {
        instance: "shop".to_owned(),
        making: Some(Box::new(Making {
            maker: Maker::Application(Box::new(deployer)),
            rest: json!({}),
        })),
        pinned: Some(pinned()),
        ..Sourcing::default()
    }
}

fn live(version: &str) -> Application {
    Application::from_json(&json!({
        "metadata": {"name": "shop", "namespace": "argocd"},
        "spec": {
            "destination": {"namespace": "shop"},
            "source": {"repoURL": "https://charts.local/stable", "chart": "web",
                "targetRevision": version, "helm": {"valuesObject": {"limit": "20"}}},
        },
    }))
    .unwrap()
}

/// Nobody made it; its values are in a repository.
fn lent() -> (Application, Sourcing) {
    let application = Application::from_json(&json!({
        "metadata": {"name": "shop", "namespace": "argocd"},
        "spec": {
            "destination": {"namespace": "shop"},
            "sources": [
                {"repoURL": "https://charts.local/stable", "chart": "web",
                    "targetRevision": "2.1.0", "helm": {"valueFiles": ["$values/env/prod.yaml"]}},
                {"repoURL": "https://git.local/deploy.git", "ref": "values"},
            ],
        },
    }));
    let sourcing = Sourcing {
        instance: "shop".to_owned(),
        references: [("values".to_owned(), String::new())].into(),
        pinned: Some(pinned()),
        ..Sourcing::default()
    };
    (application.unwrap(), sourcing)
}

/// Each version of the chart behind a root.
fn files() -> Tree {
    let all = tree("charts").into_iter();
    all.map(|(path, text)| match path.split_once('/') {
        Some((version, rest)) if version.starts_with('2') => (
            format!("{}{rest}", root(&format!("{CHART}@{version}"))),
            text,
        ),
        _ => (path, text),
    })
    .collect()
}

#[test]
fn the_file_that_names_the_version_decides() {
    let (files, target, sourcing) = (files(), object("Deployment", "shop", "web"), made());
    let app = live("2.1.0");
    let subject = Subject::of(Some(&app), 0, &sourcing, &target);
    assert_eq!(
        explained(&files, &subject, IMAGE),
        [
            r#"! apps/shop.yaml:13:21 (the Application is made from it) "2.1.0""#.to_owned(),
            format!(r#"! Chart.yaml:4:13 of {CHART}@2.1.0 "2.1.0""#),
            format!(r#"! values.yaml:3:15 of {CHART}@2.1.0 "shop/web""#),
            format!("- templates/deployment.yaml:19:49 of {CHART}@2.1.0 "),
            format!(r#"? values.yaml:4:8 of {CHART}@2.1.0 """#),
        ]
    );
    let decides = deciding_file(&files, &subject, &path(IMAGE)).unwrap();
    assert_eq!(decides, Some(("apps/shop.yaml".to_owned(), 1)));
    // Its own values decide whatever the version.
    let limit = "spec.template.spec.containers[web].env[LIMIT].value";
    let told = explained(&files, &subject, limit);
    assert_eq!(
        (told[0].as_str(), told.last().unwrap().as_str()),
        (
            r#"! apps/shop.yaml:16:16 (the Application is made from it) "20""#,
            r#"? apps/shop.yaml:13:21 (the Application is made from it) "2.1.0""#
        ),
        "{told:?}"
    );
    let decides = deciding_file(&files, &subject, &path(limit)).unwrap();
    assert_eq!(decides, Some(("apps/shop.yaml".to_owned(), 1)));
}

#[test]
fn a_release_goes_back_by_its_version() {
    let (files, target, sourcing) = (files(), object("Deployment", "shop", "web"), made());
    let app = live("2.1.0");
    let subject = Subject::of(Some(&app), 0, &sourcing, &target);
    let before = with(&files, "apps/shop.yaml", "2.1.0", "2.0.9");
    let good = render(&before, &subject).unwrap();
    assert_eq!(good.revision.as_deref(), Some("2.0.9"));
    let mut wanted = render(&files, &subject).unwrap().object;
    wanted["spec"]["template"] = good.object["spec"]["template"].clone();
    let edited = edit_to(&files, &subject, &wanted, None).unwrap();
    assert_eq!(
        lines(&edited),
        [
            "apps/shop.yaml -    targetRevision: 2.1.0   # the release",
            "apps/shop.yaml +    targetRevision: 2.0.9   # the release",
        ]
    );
    // A value of the Application's own is set where it stands.
    let mut wanted = render(&files, &subject).unwrap().object;
    wanted["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = json!("15");
    let edited = edit_to(&files, &subject, &wanted, None).unwrap();
    assert_eq!(
        lines(&edited),
        [
            r#"apps/shop.yaml -        limit: "20""#,
            r#"apps/shop.yaml +        limit: "15""#,
        ]
    );
}

#[test]
fn what_is_in_the_chart_stays_as_it_is() {
    let (files, target, sourcing) = (files(), object("Deployment", "shop", "web"), made());
    let app = live("2.1.0");
    let subject = Subject::of(Some(&app), 0, &sourcing, &target);
    let mut wanted = render(&files, &subject).unwrap().object;
    wanted["spec"]["replicas"] = json!(5);
    let said = blocked(edit_to(&files, &subject, &wanted, None));
    assert!(
        said.starts_with("pinned-revision: the Application deploys a chart version of")
            && said.contains("values.yaml decides, and what stands at a revision stays as it is"),
        "{said}"
    );
    let decides = deciding_file(&files, &subject, &path(REPLICAS)).unwrap();
    assert_eq!(decides, Some(("apps/shop.yaml".to_owned(), 1)));
    let unread = with(&files, "apps/shop.yaml", "2.1.0", "1.0.0");
    assert!(
        render(&unread, &subject).is_err(),
        "a version that is not here"
    );
}

#[test]
fn values_of_a_repository_decide_for_a_version_that_stays() {
    let (files, target) = (files(), object("Deployment", "shop", "web"));
    let (app, sourcing) = lent();
    let subject = Subject::of(Some(&app), 0, &sourcing, &target);
    let told = explained(&files, &subject, IMAGE);
    assert_eq!(told[0], r#"! env/prod.yaml:3:8 "2.1.0-hot""#, "{told:?}");
    let decides = deciding_file(&files, &subject, &path(IMAGE)).unwrap();
    assert_eq!(decides, Some(("env/prod.yaml".to_owned(), 0)));
    let mut wanted = render(&files, &subject).unwrap().object;
    wanted["spec"]["template"]["spec"]["containers"][0]["image"] = json!("shop/web:2.0.9");
    let edited = edit_to(&files, &subject, &wanted, None).unwrap();
    assert_eq!(
        lines(&edited),
        [
            r#"env/prod.yaml -  tag: "2.1.0-hot"   # set by the release job"#,
            r#"env/prod.yaml +  tag: "2.0.9"   # set by the release job"#,
        ]
    );
}
