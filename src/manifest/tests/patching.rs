//! `patch-file`: patches, assignments, lists of objects, diffs.

use serde_json::{Value, json};

use super::{
    Address, DiffOptions, Edit, EditError, Manifest, PatchError, Path, mask_values, parse_patch,
    parse_set, unified_diff,
};

const DEPLOYMENT: &str = "\
kind: Deployment
metadata:
  name: web
spec:
  replicas: 3
  paused: false
  strategy:
    rollingUpdate:
      maxSurge: 25%
  template:
    spec:
      containers:
        - name: web
          image: nginx:1.27
          args: [a]
          env:
            - name: DEBUG
              value: \"false\"
        - name: bare
          image: busybox
";

fn document() -> Address {
    Address::document(0)
}

fn patched(text: &str, patch: &Value) -> Result<String, EditError> {
    let edits = parse_patch(&patch.to_string()).unwrap();
    let manifest = Manifest::parse(text).unwrap();
    manifest.edit(&document(), &edits).map(|edited| edited.text)
}

#[test]
fn operations_apply_one_after_the_other_or_not_at_all() {
    let patch = json!([
        {"op": "test", "path": "/spec/replicas", "value": 3},
        {"op": "replace", "path": "/spec/replicas", "value": 0},
        {"op": "test", "path": "/spec/replicas", "value": 0},
        {"op": "add", "path": "/spec/template/spec/containers/0/env/-", "value": {"name": "A"}},
        {"op": "remove", "path": "/spec/template/spec/containers/0/env/0"},
        {"op": "add", "path": "/spec/paused", "value": true},
    ]);
    let expected = DEPLOYMENT
        .replace("replicas: 3", "replicas: 0")
        .replace(
            "- name: DEBUG\n              value: \"false\"\n",
            "- name: A\n",
        )
        .replace("paused: false", "paused: true");
    assert_eq!(patched(DEPLOYMENT, &patch).unwrap(), expected);
    let fails = json!([
        {"op": "replace", "path": "/spec/replicas", "value": 0},
        {"op": "test", "path": "/spec/replicas", "value": 3},
    ]);
    let error = patched(DEPLOYMENT, &fails).unwrap_err();
    assert!(matches!(error, EditError::TestFailed { .. }), "{error}");
    assert!(
        !error.to_string().contains('3'),
        "values are not repeated: {error}"
    );
}

#[test]
fn bad_paths_are_bad_requests() {
    for patch in [
        json!([{"op": "replace", "path": "/spec/none", "value": 1}]),
        json!([{"op": "remove", "path": "/spec/none"}]),
        json!([{"op": "add", "path": "/spec/none/deeper", "value": 1}]),
        json!([{"op": "add", "path": "/spec/template/spec/containers/9", "value": 1}]),
        json!([{"op": "replace", "path": "/spec/template/spec/containers/-", "value": 1}]),
        json!([{"op": "add", "path": "/kind/x", "value": 1}]),
    ] {
        let error = patched(DEPLOYMENT, &patch).unwrap_err();
        assert!(error.is_bad_request(), "{patch}: {error}");
        assert!(error.position().is_some(), "{error}");
    }
}

#[test]
fn bad_patches_say_which_operation() {
    for (patch, words) in [
        ("{}", "list of operations"),
        ("[", "not JSON"),
        (
            r#"[{"op": "move", "from": "/a", "path": "/b"}]"#,
            "`move` is not supported",
        ),
        (
            r#"[{"op": "copy", "from": "/a", "path": "/b"}]"#,
            "`copy` is not supported",
        ),
        (
            r#"[{"op": "test", "path": "/a", "value": 1}, {"op": "add", "path": "/b"}]"#,
            "operation 2",
        ),
        (r#"[{"op": "remove"}]"#, "`path` is missing"),
        (r#"[{"op": "remove", "path": "a"}]"#, "begins with `/`"),
        (
            r#"[{"op": "delete", "path": "/a"}]"#,
            "`delete` is no operation",
        ),
    ] {
        let error = parse_patch(patch).unwrap_err();
        assert!(error.to_string().contains(words), "{patch}: {error}");
    }
}

/// An assignment, and the lines that it changes.
const ASSIGNMENTS: &[(&str, &str, &str)] = &[
    ("spec.replicas=0", "replicas: 3", "replicas: 0"),
    ("spec.paused=true", "paused: false", "paused: true"),
    ("metadata.name=5", "name: web\nspec", "name: \"5\"\nspec"),
    ("metadata.name=a=b", "name: web\nspec", "name: a=b\nspec"),
    (
        "spec.template.spec.containers[web].image=nginx:1.28",
        "image: nginx:1.27",
        "image: nginx:1.28",
    ),
    (
        "spec.template.spec.containers[name=web].env[DEBUG].value=true",
        "value: \"false\"",
        "value: \"true\"",
    ),
    (
        "spec.template.spec.containers[web].env[NEW].value=5",
        "value: \"false\"\n",
        "value: \"false\"\n            - name: NEW\n              value: \"5\"\n",
    ),
    (
        "spec.template.spec.containers[bare].env[NEW].value=off",
        "image: busybox\n",
        "image: busybox\n          env:\n            - name: NEW\n              value: \"off\"\n",
    ),
    (
        "spec.strategy.rollingUpdate.maxSurge=50%",
        "maxSurge: 25%",
        "maxSurge: \"50%\"",
    ),
    (
        "spec.minReadySeconds=5",
        "spec:\n  replicas",
        "spec:\n  minReadySeconds: 5\n  replicas",
    ),
    (
        "spec.x=1.10",
        "spec:\n  replicas",
        "spec:\n  x: \"1.10\"\n  replicas",
    ),
    (
        "spec.x=null",
        "spec:\n  replicas",
        "spec:\n  x: null\n  replicas",
    ),
    (
        "spec.x=yes",
        "spec:\n  replicas",
        "spec:\n  x: \"yes\"\n  replicas",
    ),
    (
        "spec.x=\"5\"",
        "spec:\n  replicas",
        "spec:\n  x: \"5\"\n  replicas",
    ),
    ("/spec/replicas=1", "replicas: 3", "replicas: 1"),
];

#[test]
fn assignments_are_typed_by_the_field_they_replace() {
    let manifest = Manifest::parse(DEPLOYMENT).unwrap();
    for (assignment, was, is) in ASSIGNMENTS {
        let edit = parse_set(&manifest, &document(), assignment).unwrap();
        let text = manifest.edit(&document(), &[edit]).unwrap().text;
        assert_eq!(DEPLOYMENT.matches(was).count(), 1, "{was}");
        assert_eq!(text, DEPLOYMENT.replace(was, is), "{assignment}");
    }
    for assignment in ["spec.replicas=many", "spec.paused=yes", "spec.template=x"] {
        let error = parse_set(&manifest, &document(), assignment).unwrap_err();
        assert!(
            matches!(error, PatchError::Type { .. }),
            "{assignment}: {error}"
        );
    }
    assert!(parse_set(&manifest, &document(), "spec.replicas").is_err());
    assert!(parse_set(&manifest, &document(), "spec..x=1").is_err());
}

#[test]
fn a_port_named_twice_is_ambiguous() {
    let text =
        "spec:\n  ports:\n    - {port: 53, protocol: TCP}\n    - {port: 53, protocol: UDP}\n";
    let manifest = Manifest::parse(text).unwrap();
    let path: Path = "spec.ports[port=53].protocol".parse().unwrap();
    let error = manifest
        .edit(&document(), &[Edit::Remove { path: path.clone() }])
        .unwrap_err();
    let EditError::Ambiguous { at, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(at.line, 4);
    assert_eq!(manifest.value(&document(), &path), None);
}

const LIST: &str = "\
# all
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: a, namespace: x}
- apiVersion: apps/v1
  kind: Deployment
  metadata:
    name: a
  spec:
    replicas: 1
---
apiVersion: v1
kind: ConfigMapList
items:
- metadata: {name: c}
---
just: text
---
kind: Deployment
metadata: {name: a, namespace: z}
";

#[test]
fn objects_are_found_in_lists_too() {
    let manifest = Manifest::parse(LIST).unwrap();
    let objects = manifest.objects();
    let seen: Vec<_> = objects
        .iter()
        .map(|o| {
            (
                o.kind.as_str(),
                o.name.as_str(),
                o.namespace.as_deref(),
                o.line,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("Service", "a", Some("x"), 5),
            ("Deployment", "a", None, 8),
            ("ConfigMap", "c", None, 18),
            ("Deployment", "a", Some("z"), 22),
        ]
    );
    assert_eq!(objects[2].api_version, "v1");
    assert_eq!(manifest.find("Deployment", "a", Some("x")).len(), 1);
    assert_eq!(manifest.find("Deployment", "a", Some("z")).len(), 2);
    assert_eq!(manifest.find("Deployment", "a", None).len(), 2);
    let path: Path = "spec.replicas".parse().unwrap();
    let address = objects[1].address;
    assert_eq!(address.to_string(), "document 1, item 2");
    assert_eq!(manifest.value(&address, &path), Some(json!(1)));
    assert_eq!(manifest.source_text(&address, &path), Some("1"));
    let position = manifest.position(&address, &path).unwrap();
    assert_eq!((position.line, position.column), (13, 15));
    let edited = manifest
        .edit(
            &address,
            &[Edit::Set {
                path,
                value: json!(0),
            }],
        )
        .unwrap();
    assert_eq!(edited.text, LIST.replace("replicas: 1", "replicas: 0"));
    let nowhere = Address {
        document: 0,
        item: Some(7),
    };
    let error = manifest
        .edit(
            &nowhere,
            &[Edit::Remove {
                path: Path::default(),
            }],
        )
        .unwrap_err();
    assert!(matches!(error, EditError::NoSuchObject(_)), "{error}");
}

#[test]
fn names_become_places() {
    let manifest = Manifest::parse(DEPLOYMENT).unwrap();
    let path: Path = "spec.template.spec.containers[bare].image".parse().unwrap();
    let indexed = manifest.indexed(&document(), &path).unwrap();
    assert_eq!(
        indexed.to_pointer().as_deref(),
        Some("/spec/template/spec/containers/1/image")
    );
    assert_eq!(path.to_pointer(), None);
}

const SECRETS: &str = "\
apiVersion: v1
kind: Secret
metadata:
  name: s
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: |
      {\"data\": \"hunter1\"}
data: {a: hunter2}
stringData:
  b: hunter3
  c: |
    hunter4
    hunter5
---
kind: Deployment
spec:
  containers:
  - name: x
    image: seen:1
    env:
    - name: A
      value: hunter6
    - {name: B, value: 'hunter7'}
    - name: C
      valueFrom: {secretKeyRef: {name: s, key: seen}}
---
env:
  PLAIN: hunter8
";

#[test]
fn diffs_hide_what_may_be_secret() {
    let masked = mask_values(SECRETS);
    assert!(!masked.contains("hunter"), "{masked}");
    assert_eq!(masked.lines().count(), SECRETS.lines().count());
    for kept in [
        "image: seen:1",
        "key: seen",
        "name: A",
        "b: ***",
        "- {name: B, value: ***}",
    ] {
        assert!(masked.contains(kept), "{kept}: {masked}");
    }
    let new = SECRETS
        .replace("hunter6", "hunter9")
        .replace("hunter4", "huntera")
        .replace("seen:1", "seen:2");
    let diff = unified_diff("k8s/all.yml", SECRETS, &new, DiffOptions::default());
    assert!(
        diff.starts_with("--- a/k8s/all.yml\n+++ b/k8s/all.yml\n@@ "),
        "{diff}"
    );
    assert!(!diff.contains("hunter"), "{diff}");
    for line in [
        "-      value: *** (old)\n",
        "+      value: *** (new)\n",
        "+    image: seen:2\n",
    ] {
        assert!(diff.contains(line), "{line}: {diff}");
    }
    assert!(
        diff.contains("-    *** (old)\n") && diff.contains("+    *** (new)\n"),
        "{diff}"
    );
    let options = DiffOptions {
        mask_env_values: false,
        ..DiffOptions::default()
    };
    assert!(unified_diff("x", SECRETS, &new, options).contains("+      value: hunter9\n"));
    assert_eq!(unified_diff("x", SECRETS, SECRETS, options), "");
}

#[test]
fn what_cannot_be_read_is_hidden_whole() {
    let text = "kind: Secret\ndata:\n  a: hunter1\n  b: [\n  hunter2\n  c: |\n    hunter3\n";
    assert!(Manifest::parse(text).is_err());
    let masked = mask_values(text);
    assert!(!masked.contains("hunter"), "{masked}");
}

#[test]
fn diffs_tell_about_the_last_line_break() {
    let options = DiffOptions::default();
    let diff = unified_diff("x", "a: 1", "a: 2", options);
    assert_eq!(
        diff,
        "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a: 1\n\\ No newline at end of file\n+a: 2\n\\ No newline at end of file\n"
    );
}
