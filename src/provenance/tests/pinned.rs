//! A source that is pinned to a tag: the file of the Application that names it is edited.

use serde_json::json;

use super::super::{deciding_file, edit_to, is_as_made, render, root};
use super::*;
use crate::model::{Deployer, Maker, Making, Pinned, Sourcing};

const REPOSITORY: &str = "https://git.local/deploy.git";
const WEB: &str = "spec.template.spec.containers[web].image";

fn live(revision: &str) -> Application {
    Application::from_json(&json!({
        "metadata": {"name": "shop", "namespace": "argocd"},
        "spec": {
            "destination": {"namespace": "shop"},
            "source": {"repoURL": REPOSITORY, "path": "deploy", "targetRevision": revision},
        },
    }))
    .unwrap()
}

fn sourcing() -> Sourcing {
    let application = Application::from_json(&json!({
        "metadata": {"name": "root", "namespace": "argocd"},
        "spec": {"destination": {"namespace": "argocd"}, "source": {"path": "apps"}},
    }))
    .unwrap();
    let deployer = Deployer {
        application,
        source: 0,
        sourcing: Sourcing {
            folder: "apps".to_owned(),
            instance: "root".to_owned(),
            ..Sourcing::default()
        },
    };
    Sourcing {
        folder: "deploy".to_owned(),
        instance: "shop".to_owned(),
        making: Some(Box::new(Making {
            maker: Maker::Application(Box::new(deployer)),
            rest: json!({}),
        })),
        pinned: Some(Pinned {
            repository: REPOSITORY.to_owned(),
            what: "a tag",
            revisions: vec!["v2.1.0".to_owned(), "v2.0.9".to_owned()],
        }),
        ..Sourcing::default()
    }
}

/// What makes the Application is here, each release of what it deploys behind a root.
fn files() -> Tree {
    let all = tree("pinned").into_iter();
    all.map(|(path, text)| match path.split_once('/') {
        Some((tag, rest)) if tag.starts_with('v') => (
            format!("{}{rest}", root(&format!("{REPOSITORY}@{tag}"))),
            text,
        ),
        _ => (path, text),
    })
    .collect()
}

fn at(files: &Tree, revision: &str) -> Tree {
    with(files, "apps/shop.yaml", "v2.1.0", revision)
}

#[test]
fn the_file_that_names_the_tag_decides() {
    let (files, target, sourcing) = (files(), object("Deployment", "shop", "web"), sourcing());
    let app = live("v2.1.0");
    let subject = Subject::of(Some(&app), 0, &sourcing, &target);
    assert_eq!(
        explained(&files, &subject, WEB),
        [
            r#"! apps/shop.yaml:13:21 (the Application is made from it) "v2.1.0""#.to_owned(),
            format!(r#"! deploy/web.yaml:16:16 of {REPOSITORY}@v2.1.0 "shop/web:2.1.0""#),
        ]
    );
    let decides = deciding_file(&files, &subject, &path(WEB)).unwrap();
    assert_eq!(decides, Some(("apps/shop.yaml".to_owned(), 1)));
    assert_eq!(
        render(&files, &subject).unwrap().revision.as_deref(),
        Some("v2.1.0")
    );
    assert!(is_as_made(&files, &sourcing, (&app, 0)).unwrap());
    assert!(!is_as_made(&files, &sourcing, (&live("v2.0.9"), 0)).unwrap());
}

#[test]
fn a_release_goes_back_by_its_tag() {
    let (files, target, sourcing) = (files(), object("Deployment", "shop", "web"), sourcing());
    let app = live("v2.1.0");
    let subject = Subject::of(Some(&app), 0, &sourcing, &target);
    let good = render(&at(&files, "v2.0.9"), &subject).unwrap().object;
    let mut wanted = render(&files, &subject).unwrap().object;
    wanted["spec"]["template"] = good["spec"]["template"].clone();
    let edited = edit_to(&files, &subject, &wanted, None).unwrap();
    assert_eq!(
        lines(&edited),
        [
            "apps/shop.yaml -    targetRevision: v2.1.0   # the release",
            "apps/shop.yaml +    targetRevision: v2.0.9   # the release",
        ]
    );
    let also = edited.also.iter().map(|touched| {
        let fields: Vec<String> = touched.fields.iter().map(ToString::to_string).collect();
        format!("{touched} {}", fields.join(" "))
    });
    assert_eq!(
        also.collect::<Vec<_>>(),
        ["Deployment/web spec.replicas", "ConfigMap/web data.color"]
    );
    let nothing = render(&files, &subject).unwrap().object;
    assert!(
        edit_to(&files, &subject, &nothing, None)
            .unwrap()
            .files
            .is_empty()
    );
}

#[test]
fn a_part_of_a_release_is_refused() {
    let (files, target, sourcing) = (files(), object("Deployment", "shop", "web"), sourcing());
    let app = live("v2.1.0");
    let subject = Subject::of(Some(&app), 0, &sourcing, &target);
    let mut wanted = render(&files, &subject).unwrap().object;
    wanted["spec"]["template"]["spec"]["containers"][0]["image"] = json!("shop/web:2.0.9");
    let said = blocked(edit_to(&files, &subject, &wanted, None));
    assert!(
        said.starts_with("pinned-revision: the Application deploys a tag of")
            && said.contains("(v2.1.0, v2.0.9)")
            && said.contains("deploy/web.yaml decides"),
        "{said}"
    );
}

#[test]
fn what_no_file_names_or_has_is_refused() {
    let (all, target, sourcing) = (files(), object("Deployment", "shop", "web"), sourcing());
    let app = live("v2.1.0");
    let subject = Subject::of(Some(&app), 0, &sourcing, &target);
    let gone = at(&all, "v1.0.0");
    assert!(render(&gone, &subject).is_err(), "a tag that is not there");
    let unmade = Sourcing {
        making: None,
        ..sourcing.clone()
    };
    let subject = Subject::of(Some(&app), 0, &unmade, &target);
    // No file is known to say so: the tag stays what the live Application says.
    let mut wanted = render(&all, &subject).unwrap().object;
    wanted["spec"]["template"] = render(
        &at(&all, "v2.0.9"),
        &Subject::of(Some(&live("v2.0.9")), 0, &unmade, &target),
    )
    .unwrap()
    .object["spec"]["template"]
        .clone();
    let said = blocked(edit_to(&all, &subject, &wanted, None));
    assert!(
        said.starts_with("pinned-revision: the Application deploys a tag of"),
        "{said}"
    );
}
