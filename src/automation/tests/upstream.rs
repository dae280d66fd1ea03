//! Where the tools' own code decides differently from what a quick reading of their
//! documentation suggests.

use super::*;

/// The target's images, the sidecar first.
fn with_sidecar(mut world: Observation) -> Observation {
    let template = json!({"spec": {"containers": [
        {"name": "log", "image": "fluent/fluent-bit:3.0.0"},
        {"name": "proxy", "image": "ronaldraygun/zai-proxy:1.2.1"}]}});
    world.git.as_mut().unwrap().states[0].template = PodTemplate::new(template);
    world
}

fn renovate(config: &Value) -> Vec<Finding> {
    let text = serde_json::to_string_pretty(config).unwrap();
    find(&world("kind: Deployment\n", &[("renovate.json", &text)]))
}

#[test]
fn renovate_is_stopped_for_every_image_of_the_target() {
    let files = [("renovate.json", RENOVATE)];
    let found = find(&with_sidecar(world("kind: Deployment\n", &files)));
    assert!(
        found[0].does.contains("fluent/fluent-bit")
            && found[0].does.contains("ronaldraygun/zai-proxy"),
        "{}",
        found[0].does
    );
    let held = pinned(RENOVATE, edit(&found[0]).1).unwrap().unwrap();
    let files = [("renovate.json", held.as_str())];
    assert_eq!(find(&with_sidecar(world("kind: Deployment\n", &files))), []);
    // What is switched off already is not named again.
    let off = RENOVATE.replace("\"nginx\"", "\"fluent/fluent-bit\"");
    let files = [("renovate.json", off.as_str())];
    let found = find(&with_sidecar(world("kind: Deployment\n", &files)));
    assert!(
        !found[0].does.contains("fluent/fluent-bit"),
        "{}",
        found[0].does
    );
}

#[test]
fn a_pattern_of_renovate_that_cannot_be_read_is_no_no() {
    // JavaScript's regular expressions have what the regex crate has not.
    for pattern in ["/^apps/(?!test).+\\.yaml$/", "/(?<=apps/)zai/"] {
        let found = renovate(&json!({"kubernetes": {"managerFilePatterns": [pattern]}}));
        let [finding] = found.as_slice() else {
            panic!("{pattern}: {found:#?}");
        };
        assert!(!finding.certain);
        assert!(finding.does.contains(pattern), "{}", finding.does);
    }
    let merges =
        renovate(&json!({"automerge": true, "kubernetes": {"managerFilePatterns": ["/(?!x)/"]}}));
    assert!(!merges[0].certain, "whether it reads the file is not known");
    let both = renovate(&json!({"automerge": true,
        "kubernetes": {"managerFilePatterns": ["/(?!x)/", "/^apps/"]}}));
    assert!(both[0].certain, "another pattern says so");
    let other = renovate(&json!({"kubernetes": {"managerFilePatterns": ["!/^other/"]}}));
    assert_eq!(other.len(), 1, "what does not match a negated pattern");
    let not = renovate(&json!({"kubernetes": {"managerFilePatterns": ["!/^apps/"]}}));
    assert_eq!(not, []);
}

#[test]
fn renovate_ignores_a_path_by_a_part_of_it() {
    let with = |key: &str, path: &str| {
        renovate(&json!({key: [path], "kubernetes": {"managerFilePatterns": ["/^apps/"]}}))
    };
    assert_eq!(with("ignorePaths", "apps/"), []);
    assert_eq!(with("ignorePaths", "zai-proxy.yaml"), []);
    assert_eq!(with("ignorePaths", "other/").len(), 1);
    assert_eq!(with("includePaths", "apps/zai-proxy.yaml").len(), 1);
    assert_eq!(with("includePaths", "other/**"), []);
}

#[test]
fn the_last_rule_of_renovate_wins() {
    let rules = |rules: Value| {
        renovate(&json!({"packageRules": rules,
            "kubernetes": {"managerFilePatterns": ["/^apps/"]}}))
    };
    let off = json!({"matchPackageNames": ["/^ronaldraygun\\//"], "enabled": false});
    assert_eq!(rules(json!([off])), [], "by a regular expression");
    let on = json!({"matchPackageNames": ["ronaldraygun/zai-proxy"], "enabled": true});
    assert_eq!(rules(json!([off, on])).len(), 1);
    assert_eq!(rules(json!([on, off])), []);
    let other = json!({"matchPackageNames": ["nginx"], "enabled": true});
    assert_eq!(rules(json!([off, other])), []);
    let but = json!({"matchPackageNames": ["!ronaldraygun/zai-proxy"], "enabled": false});
    assert_eq!(rules(json!([but])).len(), 1, "all but this one");
}

fn flux(automations: &[Value]) -> Finding {
    let mut world = world(MANIFEST, &[]);
    world.automation.objects = automations.to_vec();
    find(&world).remove(0)
}

fn updates(name: &str, git: &Value) -> Value {
    json!({"kind": "ImageUpdateAutomation", "metadata": {"name": name, "namespace": "flux-system"},
        "spec": {"interval": "5m", "git": git, "update": {"path": "./apps"}}})
}

#[test]
fn flux_pushes_to_the_branch_that_it_checks_out() {
    let to = |branch: &str| updates("apps", &json!({"checkout": {"ref": {"branch": branch}}}));
    let elsewhere = flux(&[to("staging")]);
    assert!(!elsewhere.certain);
    assert!(
        elsewhere.when.contains("it pushes to staging, not to main"),
        "{}",
        elsewhere.when
    );
    assert!(flux(&[to("main")]).certain);
    let both = json!({"checkout": {"ref": {"branch": "staging"}}, "push": {"branch": "main"}});
    assert!(flux(&[updates("apps", &both)]).certain);
    // One of several is enough.
    let found = flux(&[to("staging"), updates("own", &json!({}))]);
    assert!(found.certain);
    assert!(found.when.contains("flux-system/own"), "{}", found.when);
}

#[test]
fn an_image_updater_object_passes_plain_manifests_over_as_well() {
    let plain = |text: &str| {
        let world = world("kind: Deployment\n", &[("u.yaml", text)]);
        find(&with_application(world, json!({})))
    };
    let no_target = UPDATER.replace("writeBackTarget: \"kustomization:../prod\"", "branch: main");
    assert!(no_target != UPDATER);
    assert_eq!(plain(&no_target), []);
    assert_eq!(plain(UPDATER).len(), 1, "its target says what it is");
}

#[test]
fn the_most_specific_reference_of_an_image_updater_counts() {
    let object = |refs: Value| {
        let mut world = in_application(&[]);
        world.automation.objects = vec![json!({"kind": "ImageUpdater",
            "metadata": {"name": "u", "namespace": "argocd"}, "spec": {"applicationRefs": refs}})];
        find(&world)
    };
    let image = |name: &str| json!([{"alias": "a", "imageName": name}]);
    let wide = json!({"namePattern": "*", "images": image("ronaldraygun/zai-proxy:~1")});
    let exact = json!({"namePattern": "mcp-ns", "images": image("ronaldraygun/zai-proxy:~2")});
    let found = object(json!([wide, exact]));
    let [finding] = found.as_slice() else {
        panic!("{found:#?}");
    };
    assert!(finding.does.contains("~2"), "{}", finding.does);
    let other = json!({"namePattern": "mcp-ns", "images": image("nginx")});
    assert_eq!(
        object(json!([wide, other])),
        [],
        "the wide one is not asked"
    );
    // Whether labels let the more specific one go is not known: both may.
    let labels = json!({"namePattern": "mcp-*", "labelSelectors": {"matchLabels": {"a": "b"}},
        "images": image("ronaldraygun/zai-proxy:~3")});
    let found = object(json!([wide, labels]));
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found.iter().all(|finding| !finding.certain), "{found:#?}");
}

#[test]
fn a_pin_without_an_alias_says_that_it_stops_the_others() {
    let words = |list: &str| {
        let files = [("clusters/mcp.yaml", APPLICATION)];
        let world = rendered_by(world("kind: Deployment\n", &files), "Helm", &[]);
        let key = "argocd-image-updater.argoproj.io/image-list";
        let found = find(&with_application(world, json!({ key: list })));
        match &found[0].pin {
            Pin::Edit { words, .. } => words.clone(),
            Pin::ByHand(what) => panic!("by hand: {what}"),
        }
    };
    let also = "stops the other images of the Application as well";
    assert!(words("ronaldraygun/zai-proxy, nginx").contains(also));
    assert!(!words("ronaldraygun/zai-proxy").contains(also));
    assert!(!words("own=ronaldraygun/zai-proxy, nginx").contains(also));
}
