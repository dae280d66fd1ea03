use serde_json::json;

use super::super::{Tool, explain, render, tool};
use super::*;

const WEB: &str = "spec.template.spec.containers[web]";

fn prod() -> Application {
    let mut app = application(json!({
        "repoURL": "https://git.local/shop.git",
        "path": "web",
        "helm": {
            "valueFiles": ["../env/prod.yaml", "/env/eu.yaml"],
            "parameters": [{"name": "image.pullPolicy", "value": "Always"}],
        },
    }));
    app.destination.namespace = "shop".to_owned();
    app
}

fn web() -> ObjectRef {
    object("Deployment", "shop", "shop-web")
}

/// What `helm template` of 3.19 printed.
#[test]
fn rendered_objects_are_those_of_helm() {
    let files = tree("helm");
    let (plain, given) = (application(json!({"path": "web"})), prod());
    let umbrella = application(json!({"path": "umbrella"}));
    for (app, folder, golden, kind, name) in [
        (&plain, "web", "web", "Deployment", "shop-web"),
        (&given, "web", "web-prod", "Deployment", "shop-web"),
        (&given, "web", "web-prod", "Service", "shop-web"),
        (&umbrella, "umbrella", "umbrella", "Deployment", "front"),
        (
            &umbrella,
            "umbrella",
            "umbrella",
            "StatefulSet",
            "shop-cache",
        ),
    ] {
        let target = object(kind, "shop", name);
        let subject = subject(app, folder, &target);
        assert_eq!(tool(&files, &subject).unwrap(), Tool::Helm);
        let rendered = render(&files, &subject).unwrap();
        let expected = stream(&files[&format!("rendered/{golden}.yaml")]);
        let mut expected = expected[&(kind.to_owned(), name.to_owned())].clone();
        assert_eq!(rendered.unknown, []);
        if kind == "Deployment" {
            let checksum = path(r#"spec.template.metadata.annotations["checksum/config"]"#);
            assert_eq!(rendered.digests, [checksum]);
            let annotations = &mut expected["spec"]["template"]["metadata"]["annotations"];
            annotations
                .as_object_mut()
                .unwrap()
                .remove("checksum/config");
        }
        assert_eq!(rendered.object, expected, "{golden} {kind}");
    }
}

/// `cargo test --lib provenance:: -- --ignored` with helm 3 on the PATH.
#[test]
#[ignore = "needs helm on the PATH"]
fn the_rendered_files_are_what_helm_prints() {
    let root = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("manifests-fixtures/provenance/helm");
    let files = tree("helm");
    let given = [
        "-f",
        "env/prod.yaml",
        "-f",
        "env/eu.yaml",
        "--set",
        "image.pullPolicy=Always",
    ];
    for (golden, more) in [("web", &[][..]), ("web-prod", &given[..])] {
        let output = std::process::Command::new("helm")
            .args(["template", "shop", "web", "-n", "shop"])
            .args(more)
            .current_dir(&root)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text, *files[&format!("rendered/{golden}.yaml")]);
    }
    let output = std::process::Command::new("helm")
        .args(["template", "shop", "functions", "-n", "shop"])
        .args(["--kube-version", "v1.33.4"])
        .args(["--api-versions", "shop.example.org/v2"])
        .current_dir(&root)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, *files["rendered/functions.yaml"]);
}

#[test]
fn values_files_decide_in_their_order() {
    let files = tree("helm");
    let (app, target) = (prod(), web());
    let subject = subject(&app, "web", &target);
    assert_eq!(
        explained(&files, &subject, &format!("{WEB}.image")),
        [
            r#"! env/prod.yaml:3:8 "1.5.0""#,
            r#"- web/values.yaml:6:8 """#,
            r#"! env/prod.yaml:2:15 "registry.local:5000/shop/web""#,
            r#"- web/values.yaml:5:15 "shop/web""#,
            "- web/templates/deployment.yaml:29:49 ",
        ]
    );
    assert_eq!(
        explained(&files, &subject, "spec.replicas"),
        [
            "! env/eu.yaml:4:15 4",
            "- env/prod.yaml:4:15 3",
            "- web/values.yaml:2:15 1"
        ]
    );
    assert_eq!(
        explained(&files, &subject, &format!("{WEB}.imagePullPolicy"))[0],
        r#"! spec.source.helm.parameters[image.pullPolicy].value of the Application "Always""#
    );
    assert_eq!(
        explained(&files, &subject, &format!("{WEB}.resources.limits.memory")),
        [r#"! env/prod.yaml:7:13 "64Mi""#]
    );
    assert_eq!(
        explained(&files, &subject, "metadata.name"),
        [
            r#"! web/Chart.yaml:2:7 "web""#,
            "! web/templates/_helpers.tpl:10:1 "
        ]
    );
}

#[test]
fn an_image_is_edited_in_the_values_that_win() {
    let files = tree("helm");
    let (app, target) = (prod(), web());
    let subject = subject(&app, "web", &target);
    let image = path(&format!("{WEB}.image"));
    let change = |to: &str| edit(&files, &subject, &[(image.clone(), Some(json!(to)))]);
    assert_eq!(
        lines(&change("registry.local:5000/shop/web:1.10").unwrap()),
        [
            "env/prod.yaml -  tag: 1.5.0 # the release",
            "env/prod.yaml +  tag: \"1.10\" # the release",
        ]
    );
    assert_eq!(
        lines(&change("mirror.local/web:1.4.9").unwrap()),
        [
            "env/prod.yaml -  repository: registry.local:5000/shop/web",
            "env/prod.yaml -  tag: 1.5.0 # the release",
            "env/prod.yaml +  repository: mirror.local/web",
            "env/prod.yaml +  tag: 1.4.9 # the release",
        ]
    );
    let replicas = edit(&files, &subject, &[(path("spec.replicas"), Some(json!(0)))]).unwrap();
    assert_eq!(
        lines(&replicas),
        [
            "env/eu.yaml -replicaCount: 4",
            "env/eu.yaml +replicaCount: 0"
        ]
    );
    let said = blocked(edit(
        &files,
        &subject,
        &[(
            path(&format!("{WEB}.imagePullPolicy")),
            Some(json!("Never")),
        )],
    ));
    assert!(said.starts_with("application-override: "), "{said}");
    // A value that another object prints too is edited, and the other one named.
    let port = path(&format!("{WEB}.ports[80].containerPort"));
    let said = blocked(edit(&files, &subject, &[(port.clone(), Some(json!(81)))]));
    assert!(said.starts_with("template: "), "{said}");
    let port = path(&format!("{WEB}.ports[0].containerPort"));
    let edited = edit(&files, &subject, &[(port, Some(json!(81)))]).unwrap();
    assert_eq!(
        lines(&edited),
        ["web/values.yaml -  port: 80", "web/values.yaml +  port: 81"]
    );
    assert_eq!(
        (&*edited.also[0].object.kind, &*edited.also[0].object.name),
        ("Service", "shop-web")
    );
}

#[test]
fn the_charts_version_is_the_default_tag() {
    let files = tree("helm");
    let app = application(json!({"path": "web"}));
    let target = web();
    let subject = subject(&app, "web", &target);
    assert_eq!(
        explained(&files, &subject, &format!("{WEB}.image")),
        [
            r#"! web/Chart.yaml:4:13 "1.4.0""#,
            r#"! web/values.yaml:5:15 "shop/web""#,
            "- web/templates/deployment.yaml:29:49 ",
            r#"? web/values.yaml:6:8 """#,
        ]
    );
    // The version stands in a label too, so the value that would win is set instead.
    let edited = edit(
        &files,
        &subject,
        &[(path(&format!("{WEB}.image")), Some(json!("shop/web:1.3.0")))],
    )
    .unwrap();
    assert_eq!(
        lines(&edited),
        [
            "web/values.yaml -  tag: \"\" # the chart's appVersion",
            "web/values.yaml +  tag: \"1.3.0\" # the chart's appVersion",
        ]
    );
    let migrate = path("spec.template.spec.initContainers[migrate].image");
    let edited = edit(
        &files,
        &subject,
        &[(migrate, Some(json!("registry.local:5000/shop/migrate:6")))],
    )
    .unwrap();
    assert_eq!(
        lines(&edited),
        [
            "web/values.yaml -  version: 7",
            "web/values.yaml +  version: 6"
        ]
    );
}

#[test]
fn values_in_the_application_outrank_files() {
    let files = tree("helm");
    let target = web();
    let with = |helm: Value| application(json!({"path": "web", "helm": helm}));
    for (helm, place) in [
        (
            json!({"values": "image:\n  tag: '9'\n", "valueFiles": ["/env/prod.yaml"]}),
            r#"! spec.source.helm.values of the Application "9""#,
        ),
        (
            json!({"valuesObject": {"image": {"tag": "9"}}, "values": "image: {tag: '8'}"}),
            r#"! spec.source.helm.valuesObject.image.tag of the Application "9""#,
        ),
        (
            json!({"parameters": [{"name": "image.tag", "value": "9", "forceString": true}], "valuesObject": {"image": {"tag": "8"}}}),
            r#"! spec.source.helm.parameters[image.tag].value of the Application "9""#,
        ),
    ] {
        let app = with(helm);
        let subject = subject(&app, "web", &target);
        let image = path(&format!("{WEB}.image"));
        assert_eq!(chain(&explain(&files, &subject, &image).unwrap())[0], place);
        let said = blocked(edit(
            &files,
            &subject,
            &[(image, Some(json!("shop/web:1")))],
        ));
        assert!(said.starts_with("application-override: "), "{said}");
    }
    // In a file beside the chart the same section can be edited.
    let mut files = files;
    put(
        &mut files,
        "web/.argocd-source.yaml",
        "helm:\n  values: |\n    image:\n      tag: \"9\" # now\n",
    );
    let app = with(json!({}));
    let subject = subject(&app, "web", &target);
    let image = path(&format!("{WEB}.image"));
    assert_eq!(
        chain(&explain(&files, &subject, &image).unwrap())[0],
        r#"! web/.argocd-source.yaml:4:12 "9""#
    );
    let edited = edit(&files, &subject, &[(image, Some(json!("shop/web:8")))]).unwrap();
    assert_eq!(
        lines(&edited)[1],
        "web/.argocd-source.yaml +      tag: \"8\" # now"
    );
}

#[test]
fn what_is_computed_or_elsewhere_is_refused_with_its_expression() {
    let files = tree("helm");
    let (app, target) = (prod(), web());
    let given = subject(&app, "web", &target);
    let host = path(&format!("{WEB}.env[HOST].value"));
    let said = blocked(edit(&files, &given, &[(host, Some(json!("X")))]));
    assert!(
        said.contains(r#"{{ .Values.host | default "localhost" | upper | quote }}"#),
        "{said}"
    );
    let fixed = path("spec.template.spec.containers[sidecar].args[0]");
    assert_eq!(
        chain(&explain(&files, &given, &fixed).unwrap()),
        [r#"! web/templates/deployment.yaml:48:18 "--fixed""#]
    );
    assert!(edit(&files, &given, &[(fixed, Some(json!("--free")))]).is_err());
    let checksum = path(r#"spec.template.metadata.annotations["checksum/config"]"#);
    assert!(blocked(explain(&files, &given, &checksum)).starts_with("values-computed: "));

    let mut elsewhere = prod();
    elsewhere.sources[0].helm = Some(json!({"valueFiles": ["$values/prod/web.yaml"]}));
    elsewhere.sources.push(crate::model::ApplicationSource {
        repo_url: "https://user:secret@git.local/values.git".to_owned(),
        reference: "values".to_owned(),
        ..crate::model::ApplicationSource::default()
    });
    let said = blocked(explain(
        &files,
        &subject(&elsewhere, "web", &target),
        &path("spec.replicas"),
    ));
    assert!(said.starts_with("value-file-elsewhere: spec.sources[0].helm.valueFiles[0] of the Application takes values from prod/web.yaml of https://"), "{said}");
    assert!(!said.contains("secret"), "{said}");
    elsewhere.sources[1].repo_url = elsewhere.sources[0].repo_url.clone();
    elsewhere.sources[0].helm = Some(json!({"valueFiles": ["$values/env/eu.yaml"]}));
    assert_eq!(
        explained(
            &files,
            &subject(&elsewhere, "web", &target),
            "spec.replicas"
        )[0],
        "! env/eu.yaml:4:15 4"
    );

    let chart = application(
        json!({"chart": "web", "repoURL": "https://charts.local", "targetRevision": "1.2.3"}),
    );
    let said = blocked(render(&files, &subject(&chart, "", &target)));
    assert!(
        said.starts_with("helm-chart: spec.source of the Application deploys chart web 1.2.3"),
        "{said}"
    );
    let missing = application(json!({"helm": {"valueFiles": ["no.yaml"]}}));
    let said = blocked(render(&files, &subject(&missing, "web", &target)));
    assert!(
        said.starts_with(
            "helm-build: spec.source.helm.valueFiles[0] of the Application: there is no file"
        ),
        "{said}"
    );
    let exporter = object("Deployment", "shop", "exporter");
    let said = blocked(render(&files, &subject(&app, "web", &exporter)));
    assert!(
        said.starts_with("values-computed: web/templates/caps.yaml cannot be followed"),
        "{said}"
    );
}

#[test]
fn subcharts_take_their_key_of_the_parents_values() {
    let files = tree("helm");
    let app = application(json!({"path": "umbrella"}));
    let front = object("Deployment", "shop", "front");
    let subject_front = subject(&app, "umbrella", &front);
    assert_eq!(
        explained(&files, &subject_front, &format!("{WEB}.image"))[..2],
        [
            r#"! umbrella/values.yaml:5:10 "2.0.0""#.to_owned(),
            r#"- web/values.yaml:6:8 """#.to_owned(),
        ]
    );
    let cache = object("StatefulSet", "shop", "shop-cache");
    let subject_cache = subject(&app, "umbrella", &cache);
    let image = path("spec.template.spec.containers[cache].image");
    assert_eq!(
        chain(&explain(&files, &subject_cache, &image).unwrap())[..3],
        [
            r#"! umbrella/charts/cache/values.yaml:2:6 "7""#.to_owned(),
            r#"! umbrella/charts/cache/values.yaml:1:8 "redis""#.to_owned(),
            r#"! umbrella/values.yaml:2:13 "registry.local:5000""#.to_owned(),
        ]
    );
    let wanted = json!("registry.local:5000/redis:6");
    let edited = edit(&files, &subject_cache, &[(image, Some(wanted))]).unwrap();
    assert_eq!(
        lines(&edited),
        [
            "umbrella/charts/cache/values.yaml -tag: \"7\"",
            "umbrella/charts/cache/values.yaml +tag: \"6\"",
        ]
    );
    let off = with(
        &files,
        "umbrella/values.yaml",
        "enabled: true",
        "enabled: false",
    );
    assert!(blocked(render(&off, &subject_cache)).starts_with("target-not-found"));
}

/// A parameter that is set to a file's content: what it prints is the file's, and no place in YAML.
#[test]
fn a_file_parameter_is_read() {
    let mut files = Tree::new();
    put(
        &mut files,
        "web/Chart.yaml",
        "apiVersion: v2\nname: one\nversion: 0.1.0\n",
    );
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  motto: {{ .Values.own.motto | trim | quote }}\n  raw: {{ .Values.own.motto | quote }}\n";
    put(&mut files, "web/templates/all.yaml", text);
    put(&mut files, "texts/motto", "never force\n");
    let parameter = |path: &str| json!({"path": "web", "helm": {"fileParameters": [{"name": "own.motto", "path": path}]}});
    let target = object("ConfigMap", "shop", "x");
    let app = application(parameter("../texts/motto"));
    let here = subject(&app, "web", &target);
    let rendered = render(&files, &here).unwrap();
    assert_eq!(
        rendered.object["data"],
        json!({"motto": "never force", "raw": "never force\n"})
    );
    assert!(rendered.inputs.contains(&"texts/motto".to_owned()));
    let told = explained(&files, &here, "data.raw");
    assert!(told[0].contains("texts/motto:1:1"), "{told:?}");
    let mut wanted = rendered.object;
    wanted["data"]["raw"] = json!("always ask\n");
    assert!(super::super::edit_to(&files, &here, &wanted, None).is_err());
    let calls = super::super::recipe(&files, &here).unwrap().unwrap().calls;
    let file = crate::model::Argument::File {
        before: "own.motto=".to_owned(),
        path: "texts/motto".to_owned(),
    };
    assert!(calls[0].contains(&file), "{calls:?}");
    let gone = application(parameter("../texts/none"));
    let unread = render(&files, &subject(&gone, "web", &target)).unwrap();
    assert!(
        unread.unknown[0].1.contains("not here"),
        "{:?}",
        unread.unknown
    );
}
