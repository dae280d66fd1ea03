use serde_json::json;

use super::super::{Edited, edit_to, render};
use super::*;

const FILE: &str = "apps/web.yaml";

/// The good commit's pod template in today's object, with the good commit's words.
fn restore(now: &Tree, good: &Tree, subject: &Subject<'_>) -> Edited {
    let mut object = render(now, subject).unwrap().object;
    object["spec"]["template"] = render(good, subject).unwrap().object["spec"]["template"].clone();
    edit_to(now, subject, &object, Some(good)).unwrap()
}

#[test]
fn a_plain_manifest_gets_the_good_text_back() {
    let good = tree("directory");
    let now = with(&good, FILE, "value: \"on\"", "value: 'off' # later");
    let now = with(&now, FILE, "web:1.4.0", "web:1.5.0");
    let now = with(&now, FILE, "replicas: 2", "replicas: 3");
    let app = application(json!({"path": "apps", "directory": {"exclude": "*-canary.yaml"}}));
    let target = object("Deployment", "shop", "web");
    let subject = subject(&app, "apps", &target);
    let back = restore(&now, &good, &subject);
    assert_eq!(
        lines(&back),
        [
            "apps/web.yaml -          image: registry.local:5000/shop/web:1.5.0",
            "apps/web.yaml +          image: registry.local:5000/shop/web:1.4.0",
            "apps/web.yaml -              value: 'off' # later",
            "apps/web.yaml +              value: \"on\" # later",
        ]
    );
    let nothing = restore(&good, &good, &subject);
    assert!(nothing.files.is_empty());
}

#[test]
fn items_come_and_go_by_their_key_and_in_their_order() {
    let good = tree("kustomize");
    let file = "levels/base/web.yaml";
    let now = with(
        &good,
        file,
        "            - name: MODE\n              value: \"on\"\n",
        "",
    );
    let now = with(
        &now,
        file,
        "              value: info\n",
        "              value: info\n            - name: EXTRA\n              value: x\n",
    );
    let now = with(
        &now,
        "levels/prod/kustomization.yaml",
        "newTag: \"1.2.0\"",
        "newTag: 1.3.0",
    );
    let target = object("Deployment", "shop", "eu-web");
    let subject = Subject::plain("levels/prod", &target);
    let back = restore(&now, &good, &subject);
    assert_eq!(
        lines(&back),
        [
            "levels/base/web.yaml +            - name: MODE",
            "levels/base/web.yaml +              value: \"on\"",
            "levels/base/web.yaml -            - name: EXTRA",
            "levels/base/web.yaml -              value: x",
            "levels/prod/kustomization.yaml -    newTag: 1.3.0 # the release",
            "levels/prod/kustomization.yaml +    newTag: \"1.2.0\" # the release",
        ]
    );
    assert_eq!(back.also.len(), 1);
}

#[test]
fn a_moved_place_is_edited_where_it_decides_now() {
    // Then the base said the image; today an overlay's entry does.
    let good = tree("kustomize");
    let mut now = good.clone();
    put(
        &mut now,
        "patches/kustomization.yaml",
        &format!(
            "{}images:\n- name: web\n  newTag: \"3\"\n",
            good["patches/kustomization.yaml"]
        ),
    );
    let target = object("Deployment", "default", "web");
    let subject = Subject::plain("patches", &target);
    let back = restore(&now, &good, &subject);
    assert_eq!(
        lines(&back),
        [
            "patches/kustomization.yaml -  newTag: \"3\"",
            "patches/kustomization.yaml +  newTag: \"2\"",
        ]
    );
}
