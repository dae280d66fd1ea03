use serde_json::json;

use super::super::{Tool, explain, render, tool};
use super::*;

const WEB: &str = "spec.template.spec.containers[web]";

/// What `kustomize build` of v5.8.1 printed, for every fixture that builds.
#[test]
fn rendered_objects_are_those_of_kustomize() {
    let files = tree("kustomize");
    let all = [
        "levels/prod",
        "levels/mid",
        "images",
        "patches",
        "generated",
    ];
    let mut compared = 0;
    for folder in all.into_iter().chain(["more"]) {
        let golden = &files[&format!("rendered/{}.yaml", folder.replace('/', "-"))];
        for ((kind, name), mut expected) in stream(golden) {
            if !matches!(
                &*kind,
                "Deployment" | "StatefulSet" | "CronJob" | "ConfigMap" | "Service"
            ) || folder == "generated" && kind != "Deployment"
            {
                continue;
            }
            let namespace = if folder == "more" { "data" } else { "shop" };
            let target = object(&kind, namespace, &name);
            let subject = Subject::plain(folder, &target);
            assert_eq!(tool(&files, &subject).unwrap(), Tool::Kustomize);
            let rendered = render(&files, &subject).unwrap();
            let mut object = rendered.object;
            if folder == "generated" {
                // The one field that is known to be unknown.
                let [(unknown, why)] = rendered.unknown.as_slice() else {
                    panic!("{:?}", rendered.unknown);
                };
                assert_eq!(
                    unknown.to_string(),
                    "spec.template.spec.containers[0].envFrom[1].configMapRef.name"
                );
                assert!(why.contains("hash"), "{why}");
                object["spec"]["template"]["spec"]["containers"][0]["envFrom"][1]["configMapRef"]
                    ["name"] = json!("x-flags-89g4tffbfk");
            } else if folder == "more" && kind == "StatefulSet" {
                // Lists with two keys in one of their items: kustomize loses a name here.
                let list = "spec.template.spec.containers[0].ports";
                assert_eq!(rendered.unknown.len(), 1);
                assert_eq!(rendered.unknown[0].0.to_string(), list);
                let below = path(&format!("{list}[0].name"));
                assert!(blocked(explain(&files, &subject, &below)).contains("two keys"));
                assert!(
                    blocked(edit(&files, &subject, &[(below, Some(json!("x")))]))
                        .contains("two keys")
                );
                let container = &mut expected["spec"]["template"]["spec"]["containers"][0];
                container.as_object_mut().unwrap().remove("ports");
            } else {
                assert_eq!(rendered.unknown, []);
            }
            assert_eq!(object, expected, "{folder} {name}");
            compared += 1;
        }
    }
    assert_eq!(compared, 12);
}

/// `cargo test --lib provenance:: -- --ignored` with kustomize 5.8 on the PATH: the files in
/// rendered/ are what it prints.
#[test]
#[ignore = "needs kustomize on the PATH"]
fn the_rendered_files_are_what_kustomize_prints() {
    let root =
        FilePath::new(env!("CARGO_MANIFEST_DIR")).join("manifests-fixtures/provenance/kustomize");
    let files = tree("kustomize");
    for folder in [
        "levels/prod",
        "levels/mid",
        "images",
        "patches",
        "generated",
        "more",
    ] {
        let output = std::process::Command::new("kustomize")
            .args(["build", folder])
            .current_dir(&root)
            .output()
            .unwrap();
        let golden = &files[&format!("rendered/{}.yaml", folder.replace('/', "-"))];
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            **golden,
            "{folder}"
        );
    }
}

#[test]
fn the_outermost_images_entry_wins() {
    let files = tree("kustomize");
    let target = object("Deployment", "shop", "eu-web");
    let subject = Subject::plain("levels/prod", &target);
    assert_eq!(
        explained(&files, &subject, &format!("{WEB}.image")),
        [
            r#"! levels/prod/kustomization.yaml:11:13 "registry.local:5000/shop/web:1.2.0""#,
            r#"- levels/mid/kustomization.yaml:7:13 "registry.local:5000/shop/web:1.1.0""#,
            r#"- levels/base/web.yaml:21:18 "shop/web:1.0.0""#,
        ]
    );
    assert_eq!(
        explained(&files, &subject, "spec.replicas"),
        [
            "! levels/prod/kustomization.yaml:14:12 5",
            "- levels/mid/kustomization.yaml:10:12 2"
        ]
    );
    assert_eq!(
        explained(&files, &subject, &format!("{WEB}.env[LEVEL].value")),
        [
            r#"! levels/prod/kustomization.yaml:25:16 "warn""#,
            r#"- levels/mid/level.yaml:12:22 "debug""#,
            r#"- levels/base/web.yaml:26:22 "info""#,
        ]
    );
    assert_eq!(
        explained(&files, &subject, &format!("{WEB}.imagePullPolicy")),
        [r#"! levels/prod/kustomization.yaml:28:16 "Always""#]
    );
    assert_eq!(
        explained(&files, &subject, "spec.template.metadata.labels.team"),
        [r#"! levels/prod/kustomization.yaml:16:19 "shop""#]
    );
    assert_eq!(
        explained(&files, &subject, "metadata.name"),
        [
            r#"! levels/mid/kustomization.yaml:3:13 "eu-""#,
            r#"- levels/base/web.yaml:4:9 "web""#,
        ]
    );
}

#[test]
fn an_image_is_edited_in_the_entry_that_wins() {
    let files = tree("kustomize");
    let target = object("Deployment", "shop", "eu-web");
    let subject = Subject::plain("levels/prod", &target);
    let image = path(&format!("{WEB}.image"));
    let wanted = json!("registry.local:5000/shop/web:1.10");
    // The init container has the same image, so this entry cannot serve the one alone.
    let said = blocked(edit(
        &files,
        &subject,
        &[(image.clone(), Some(wanted.clone()))],
    ));
    assert!(said.starts_with("not-proved: the edit would leave or make a difference in spec.template.spec.initContainers"), "{said}");
    let both = [
        (image, Some(wanted.clone())),
        (
            path("spec.template.spec.initContainers[migrate].image"),
            Some(wanted),
        ),
    ];
    let edited = edit(&files, &subject, &both).unwrap();
    assert_eq!(
        lines(&edited),
        [
            "levels/prod/kustomization.yaml -    newTag: \"1.2.0\" # the release",
            "levels/prod/kustomization.yaml +    newTag: \"1.10\" # the release",
        ]
    );
    let also: Vec<_> = edited
        .also
        .iter()
        .map(|o| (&*o.object.name, o.fields[0].to_string()))
        .collect();
    assert_eq!(
        also,
        [(
            "eu-worker",
            "spec.template.spec.containers[worker].image".to_owned()
        )]
    );
}

#[test]
fn names_tags_and_digests_each_at_their_place() {
    let files = tree("kustomize");
    let target = object("Deployment", "default", "all");
    let subject = Subject::plain("images", &target);
    let image = |name: &str| path(&format!("spec.template.spec.containers[{name}].image"));
    let edited = |name: &str, to: &str| {
        lines(&edit(&files, &subject, &[(image(name), Some(json!(to)))]).unwrap())
    };
    let file = "images/kustomization.yaml";
    // Two entries match: the later one wins.
    assert_eq!(
        chain(&explain(&files, &subject, &image("one")).unwrap()),
        [
            r#"! images/kustomization.yaml:6:11 "registry.local:5000/a/one:3""#,
            r#"- images/kustomization.yaml:4:11 "registry.local:5000/a/one:2""#,
            r#"- images/all.yaml:11:28 "registry.local:5000/a/one:1""#,
        ]
    );
    assert_eq!(
        edited("one", "registry.local:5000/a/one:1"),
        [
            format!("{file} -  newTag: \"3\""),
            format!("{file} +  newTag: \"1\"")
        ]
    );
    // Tag and digest both set: a wanted tag without a digest takes the digest away.
    let digest = "sha256:2222222222222222222222222222222222222222222222222222222222222222";
    assert_eq!(
        edited("two", "two:1"),
        [
            format!("{file} -  newTag: \"2\""),
            format!("{file} -  digest: {digest}"),
            format!("{file} +  newTag: \"1\""),
        ]
    );
    // The entry names the registry only, so the manifest decides the tag.
    assert_eq!(
        edited("three", "mirror.local/three:2"),
        [
            "images/all.yaml -      - {name: three, image: \"three:1@sha256:1111111111111111111111111111111111111111111111111111111111111111\"}",
            "images/all.yaml +      - {name: three, image: \"three:2\"}",
        ]
    );
    // A name that an entry without newName decides gets one.
    assert_eq!(
        edited("four", "other/four:1"),
        [
            format!(
                "{file} -  digest: sha256:4444444444444444444444444444444444444444444444444444444444444444"
            ),
            format!("{file} +  newTag: \"1\""),
            format!("{file} +  newName: other/four"),
        ]
    );
    assert_eq!(
        chain(&explain(&files, &subject, &image("five")).unwrap()),
        [r#"! images/all.yaml:15:29 "fivefour:1""#]
    );
    assert_eq!(
        edited("six", "seven:6")[1],
        format!("{file} +  newTag: \"6\"")
    );
}

#[test]
fn patches_are_edited_where_they_stand() {
    let files = tree("kustomize");
    let target = object("Deployment", "default", "web");
    let subject = Subject::plain("patches", &target);
    let image = format!("{WEB}.image");
    assert_eq!(
        explained(&files, &subject, &image),
        [
            r#"! patches/kustomization.yaml:15:18 "web:2""#,
            r#"- patches/web.yaml:25:16 "web:1""#,
        ]
    );
    let edited = edit(&files, &subject, &[(path(&image), Some(json!("web:1")))]).unwrap();
    assert_eq!(
        lines(&edited),
        [
            "patches/kustomization.yaml -          image: web:2",
            "patches/kustomization.yaml +          image: web:1",
        ]
    );
    // A list item of a JSON patch in a file.
    let arg = format!("{WEB}.args[1]");
    assert_eq!(
        explained(&files, &subject, &arg),
        [r#"! patches/ops.yaml:3:19 "yes""#]
    );
    let edited = edit(&files, &subject, &[(path(&arg), Some(json!("no")))]).unwrap();
    assert_eq!(
        lines(&edited)[1],
        "patches/ops.yaml +  value: [--fast, \"no\"]"
    );
    // What a patch's operation alone adds goes with the operation.
    let edited = edit(&files, &subject, &[(path(&format!("{WEB}.args[2]")), None)]).unwrap();
    assert_eq!(
        lines(&edited),
        [
            "patches/ops.yaml -- {op: add, path: /spec/template/spec/containers/0/args/-, value: last}"
        ]
    );
    // Without the operation the annotations of the kustomization would come back.
    let annotations = path("spec.template.metadata.annotations");
    let said = blocked(edit(&files, &subject, &[(annotations, None)]));
    assert!(said.starts_with("not-proved: "), "{said}");
    let target = object("Deployment", "shop", "eu-web");
    let levels = Subject::plain("levels/prod", &target);
    let limit = path(&format!("{WEB}.resources.limits.memory"));
    let edited = edit(&files, &levels, &[(limit, Some(json!("128Mi")))]).unwrap();
    assert_eq!(
        lines(&edited)[1],
        "levels/mid/level.yaml +              memory: \"128Mi\""
    );
}

#[test]
fn what_cannot_be_built_is_named() {
    let files = tree("kustomize");
    let target = object("Deployment", "default", "web");
    for (folder, said) in [
        (
            "cycle-a",
            "kustomize-build: \"broken/cycle-a\": the bases go round in a circle: broken/cycle-a → broken/cycle-b → broken/cycle-a",
        ),
        (
            "missing",
            "kustomize-build: broken/missing/kustomization.yaml:1:13: \"../nowhere\" is neither a file nor a folder",
        ),
        (
            "unparsable",
            "kustomize-build: broken/unparsable/kustomization.yaml: line ",
        ),
        (
            "two",
            "kustomize-build: broken/two/Kustomization: the folder has several kustomizations",
        ),
        (
            "number",
            "kustomize-build: broken/number/kustomization.yaml:4:11: newTag is read as a number",
        ),
        (
            "unnamed",
            "kustomize-build: broken/unnamed/kustomization.yaml:3:3: replicas names \"wbe\"",
        ),
        (
            "vars",
            "kustomize-unmodelled: broken/vars/kustomization.yaml:3:1: vars may set this field",
        ),
        (
            "remote",
            "remote-base: Deployment/web may come from https://github.com/shop/base//web?ref=v1 (broken/remote/kustomization.yaml:2:3)",
        ),
    ] {
        let folder = format!("broken/{folder}");
        let subject = Subject::plain(&folder, &target);
        let got = blocked(explain(&files, &subject, &path("spec.replicas")));
        assert!(got.starts_with(said), "{folder}: {got}");
        assert!(render(&files, &subject).is_err(), "{folder}");
    }
}

#[test]
fn a_generated_name_is_never_claimed() {
    let files = tree("kustomize");
    let target = object("Deployment", "default", "x-web");
    let subject = Subject::plain("generated", &target);
    let field = |place: usize| {
        path(&format!("{WEB}.envFrom[{place}]"))
            .key("configMapRef")
            .key("name")
    };
    let said = blocked(explain(&files, &subject, &field(1)));
    assert!(said.starts_with("values-computed: "), "{said}");
    assert!(
        said.contains("hash of the content of ConfigMap x-flags"),
        "{said}"
    );
    assert!(edit(&files, &subject, &[(field(1), Some(json!("flags-1")))]).is_err());
    assert_eq!(
        chain(&explain(&files, &subject, &field(0)).unwrap()),
        [
            r#"! generated/kustomization.yaml:2:13 "x-""#,
            r#"- generated/web.yaml:15:32 "settings""#,
        ]
    );
}
