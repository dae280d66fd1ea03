//! Manifests: moved, unparsable, duplicate keys, twice, in two folders, odd bytes.

use super::common::{BAD, GOOD, Plan, World, build, release, run, world};
use super::{lands, refuses, rollback};

#[test]
fn a_file_moved_since_the_good_commit() {
    let moved = "k8s/mcp/deployment.yml";
    for at_once in [true, false] {
        let world = world("renamed");
        let bad = release(&world.name, "zai-proxy", BAD);
        let old = world.file("zai-proxy");
        if at_once {
            world.rename("move the manifest", &old, (moved, bad));
        } else {
            world.push("move the manifest", &[(moved, bad)]);
            world.delete("remove the old manifest", &old);
        }
        comes_back_where_it_is_now(&world, moved);
    }
}

fn comes_back_where_it_is_now(world: &World, moved: &str) {
    let seen = world.unship(&["history", "zai-proxy", "-n", &world.name]);
    let outcome = run(rollback(world));
    assert_eq!(outcome.code, Some(0), "{}{}", outcome.shown(), seen.shown());
    let text = world.remote(&["show", &format!("main:{moved}")]);
    assert_eq!(
        text.trim_end(),
        release(&world.name, "zai-proxy", GOOD).trim_end()
    );
    let old = world.remote(&["ls-tree", "-r", "--name-only", "main"]);
    assert!(
        !old.contains(&world.file("zai-proxy")),
        "it does not come back: {old}"
    );
    assert_eq!(world.own_commits().len(), 1);
}

/// A world whose manifest is broken by the newest commit.
fn broken(prefix: &str, spoil: impl Fn(&str) -> String) -> World {
    let world = world(prefix);
    let text = spoil(&release(&world.name, "zai-proxy", BAD));
    world.push(
        "a commit that spoils the manifest",
        &[(&world.file("zai-proxy"), text)],
    );
    world
}

#[test]
fn a_manifest_that_does_not_parse_today() {
    let world = broken("unparsable", |text| {
        text.replace("  template:\n", "  template: [\n")
    });
    refuses(
        &world,
        rollback(&world),
        3,
        &[&world.file("zai-proxy"), "no plain YAML", "mend"],
    );
}

#[test]
fn a_template_that_is_not_yaml() {
    let world = broken("template", |text| {
        text.replace(
            "  replicas: 1\n",
            "  {{- if .Values.replicas }}\n  replicas: 1\n  {{- end }}\n",
        )
    });
    refuses(
        &world,
        rollback(&world),
        3,
        &[&world.file("zai-proxy"), "template"],
    );
}

#[test]
fn duplicate_keys() {
    let world = broken("duplicate", |text| {
        let image = format!("          image: ronaldraygun/zai-proxy:{BAD}");
        text.replace(
            &image,
            &format!("          image: ronaldraygun/zai-proxy:1.0.0\n{image}"),
        )
    });
    refuses(
        &world,
        rollback(&world),
        3,
        &[&world.file("zai-proxy"), "image", "a second time"],
    );
}

#[test]
fn two_documents_with_the_same_name() {
    let world = broken("same-name", |text| format!("{text}---\n{text}"));
    refuses(
        &world,
        rollback(&world),
        3,
        &[&world.file("zai-proxy"), "several documents"],
    );
}

#[test]
fn the_same_name_in_two_clusters_folders() {
    let world = world("clusters");
    let other = "k8s/other-cluster/mcp/zai-proxy.yml";
    let theirs = release(&world.name, "zai-proxy", "9.9.9");
    world.push("the other cluster", &[(other, theirs.clone())]);
    lands(&world, rollback(&world));
    assert_eq!(
        world.remote(&["show", &format!("main:{other}")]).trim_end(),
        theirs.trim_end()
    );
}

#[test]
fn the_same_name_in_two_clusters_folders_without_argo() {
    let world = world("no-argo");
    let other = "k8s/other-cluster/mcp/zai-proxy.yml";
    let bad = release(&world.name, "zai-proxy", BAD);
    world.push("the same in the other cluster", &[(other, bad)]);
    let without = |file: Option<&str>| {
        let mut command = rollback(&world);
        command
            .env_remove("ARGOCD_SERVER")
            .env_remove("ARGOCD_AUTH_TOKEN");
        command.env("KUBECONFIG", world.kubeconfig(None, None));
        if let Some(file) = file {
            command.args(["--file", file]);
        }
        command
    };
    let before = world.own_commits().len();
    let outcome = run(without(None));
    if outcome.code != Some(0) {
        outcome
            .ended(3)
            .said(&["--file", other, &world.file("zai-proxy")]);
        assert_eq!(world.own_commits().len(), before);
        lands(&world, without(Some(&world.file("zai-proxy"))));
    }
    assert!(
        world
            .remote(&["show", &format!("main:{other}")])
            .contains(BAD)
    );
}

/// Odd bytes stay as they are: only the release comes back.
fn keeps_its_bytes(prefix: &str, odd: &dyn Fn(String) -> String) {
    let plan = Plan {
        text: odd,
        ..Plan::new(prefix)
    };
    let world = build(&plan);
    run(rollback(&world)).ended(0);
    assert_eq!(
        world.manifest("zai-proxy").into_bytes(),
        odd(release(&world.name, "zai-proxy", GOOD)).into_bytes()
    );
    assert_eq!(world.own_commits().len(), 1);
}

#[test]
fn crlf() {
    keeps_its_bytes("crlf", &|text| text.replace('\n', "\r\n"));
}

#[test]
fn bom() {
    keeps_its_bytes("bom", &|text| format!("\u{feff}{text}"));
}

#[test]
fn tabs() {
    keeps_its_bytes("tabs", &|text| {
        text.replace(
            "  # keep in step with the version label",
            "\t# keep in step",
        )
        .replace("kind: Deployment\n", "kind: Deployment\t\n")
    });
}

#[test]
fn no_final_newline() {
    keeps_its_bytes("newline", &|text| text.trim_end().to_owned());
    keeps_its_bytes("newline-only", &|text| {
        let deployment = text.split("---\n").next().unwrap_or_default();
        deployment.trim_end().to_owned()
    });
}
