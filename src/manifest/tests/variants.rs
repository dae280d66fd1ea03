//! Every edit on five spellings of one file: line ends, BOM, no final line break.

use serde_json::{Value, json};

use super::{Address, Edit, EditError, Manifest, Path};

/// A file with something of everything.
const BEFORE: &str = r#"# leading comment
apiVersion: v1
kind: ConfigMap
metadata:
  name: zai-proxy-config
data:
  note: |
    --- not a marker
      deeper

    last
---
# between
--- # empty above
apiVersion: apps/v1
kind: Deployment
metadata:
  name: zai-proxy   # the proxy
  labels: {app: zai-proxy, "tier": 'web',}
  annotations: {}
spec:
  # how many
  replicas: 3 # three
  strategy:
  template:
    metadata:
      labels:
        app: zai-proxy
    spec:
      containers:
      - name: proxy
        image: 'ghcr.io/acme/zai-proxy:1.10.0' # bad	tab
        env:
          # about A
          - name: A
            value: "1"
          # about B
          - name: B
            value: yes-please
          - {name: C, value: c}
        args: ["--port", "8080"]
        command: []
        ports:
        - containerPort: 8080
          name: http
        - containerPort: 9090
          name: metrics
      - image: ghcr.io/acme/sidecar:2.0.0
        name: sidecar
        # trailing comment
      volumes:
        - name: config
          configMap:
            name: zai-proxy-config
...
# after the end
---
apiVersion: v1
kind: Service
metadata:
  name: zai-proxy
spec:
  ports:
    - port: 80
      targetPort: http
    - port: 9090
      targetPort: metrics
"#;

/// How a file is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variant {
    Lf,
    Crlf,
    Bom,
    NoFinalBreak,
    All,
}

const VARIANTS: [Variant; 5] = [
    Variant::Lf,
    Variant::Crlf,
    Variant::Bom,
    Variant::NoFinalBreak,
    Variant::All,
];

fn spell(text: &str, variant: Variant) -> String {
    let mut text = text.to_owned();
    if matches!(variant, Variant::NoFinalBreak | Variant::All) {
        text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
    }
    if matches!(variant, Variant::Crlf | Variant::All) {
        text = text.replace('\n', "\r\n");
    }
    if matches!(variant, Variant::Bom | Variant::All) {
        text.insert(0, '\u{feff}');
    }
    text
}

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

fn set(at: &str, value: Value) -> Edit<'static> {
    Edit::Set {
        path: path(at),
        value,
    }
}

/// Kind of the object, what is done at which path with which value, and what becomes of the file:
/// these lines instead of those.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

const PROXY: &str = "spec.template.spec.containers[proxy]";

const CASES: &[Case] = &[
    (
        "Deployment",
        "set",
        "{proxy}.image",
        r#""ghcr.io/acme/zai-proxy:1.9.2""#,
        "'ghcr.io/acme/zai-proxy:1.10.0' # bad\ttab",
        "'ghcr.io/acme/zai-proxy:1.9.2' # bad\ttab",
    ),
    (
        "Deployment",
        "set",
        "spec.template.spec.containers[1].image",
        r#""ghcr.io/acme/sidecar:1.10""#,
        "image: ghcr.io/acme/sidecar:2.0.0",
        "image: ghcr.io/acme/sidecar:1.10",
    ),
    (
        "Deployment",
        "set",
        "spec.replicas",
        "0",
        "replicas: 3 # three",
        "replicas: 0 # three",
    ),
    (
        "Deployment",
        "set",
        "spec.revisionHistoryLimit",
        "5",
        "spec:\n  # how many\n",
        "spec:\n  revisionHistoryLimit: 5\n  # how many\n",
    ),
    (
        "Deployment",
        "set",
        "metadata.labels.tier",
        r#""a'b""#,
        "'web',}",
        "'a''b',}",
    ),
    (
        "Deployment",
        "set",
        "metadata.labels.new",
        r#""no""#,
        "'web',}",
        "'web', new: \"no\",}",
    ),
    (
        "Deployment",
        "set",
        r#"metadata.annotations["a.b/c"]"#,
        r#""1""#,
        "  annotations: {}\n",
        "  annotations:\n    a.b/c: \"1\"\n",
    ),
    (
        "Deployment",
        "set",
        "spec.strategy",
        r#"{"type": "Recreate"}"#,
        "  strategy:\n",
        "  strategy:\n    type: Recreate\n",
    ),
    (
        "Deployment",
        "set",
        "spec.strategy.type",
        r#""Recreate""#,
        "  strategy:\n",
        "  strategy:\n    type: Recreate\n",
    ),
    (
        "Service",
        "set",
        "spec.ports[9090].targetPort",
        "9090",
        "targetPort: metrics\n",
        "targetPort: 9090\n",
    ),
    (
        "Service",
        "set",
        "spec.ports[port=80].port",
        "81",
        "port: 80\n",
        "port: 81\n",
    ),
    (
        "ConfigMap",
        "set",
        "data.note",
        r#""one line""#,
        "note: |\n    --- not a marker\n      deeper\n\n    last\n",
        "note: one line\n",
    ),
    (
        "ConfigMap",
        "set",
        "data.note",
        r#""a\n\nb""#,
        "note: |\n    --- not a marker\n      deeper\n\n    last\n",
        "note: |-\n    a\n\n    b\n",
    ),
    (
        "ConfigMap",
        "set",
        "data.other",
        r#""x: y""#,
        "\ndata:\n",
        "\ndata:\n  other: \"x: y\"\n",
    ),
    (
        "ConfigMap",
        "set",
        "data.other",
        r#""a\nb\n""#,
        "    last\n",
        "    last\n  other: |\n    a\n    b\n",
    ),
    (
        "Deployment",
        "set",
        "{proxy}.env[B].value",
        r#""no""#,
        "value: yes-please",
        "value: \"no\"",
    ),
    (
        "Deployment",
        "set",
        "{proxy}.env[C].value",
        r#""a, b""#,
        "value: c}",
        "value: \"a, b\"}",
    ),
    (
        "Deployment",
        "add",
        "{proxy}.env[-]",
        r#"{"name": "D", "value": "1.10"}"#,
        "- {name: C, value: c}\n",
        "- {name: C, value: c}\n          - name: D\n            value: \"1.10\"\n",
    ),
    (
        "Deployment",
        "add",
        "{proxy}.env[0]",
        r#"{"name": "D", "value": "x"}"#,
        "          # about A\n",
        "          # about A\n          - name: D\n            value: x\n",
    ),
    (
        "Deployment",
        "add",
        "{proxy}.env[1]",
        r#"{"name": "D", "value": "x"}"#,
        "            value: \"1\"\n",
        "            value: \"1\"\n          - name: D\n            value: x\n",
    ),
    (
        "Deployment",
        "remove",
        "{proxy}.env[B]",
        "null",
        "          # about B\n          - name: B\n            value: yes-please\n",
        "",
    ),
    (
        "Deployment",
        "remove",
        "{proxy}.env[A]",
        "null",
        "          - name: A\n            value: \"1\"\n",
        "",
    ),
    (
        "Deployment",
        "remove",
        "{proxy}.env[C]",
        "null",
        "          - {name: C, value: c}\n",
        "",
    ),
    (
        "Deployment",
        "add",
        "{proxy}.args[1]",
        r#""true""#,
        "\"--port\", \"8080\"",
        "\"--port\", \"true\", \"8080\"",
    ),
    (
        "Deployment",
        "add",
        "{proxy}.args[-]",
        r#""-v""#,
        "\"8080\"]",
        "\"8080\", \"-v\"]",
    ),
    (
        "Deployment",
        "remove",
        "{proxy}.args[0]",
        "null",
        "[\"--port\", \"8080\"]",
        "[\"8080\"]",
    ),
    (
        "Deployment",
        "remove",
        "{proxy}.args[1]",
        "null",
        "[\"--port\", \"8080\"]",
        "[\"--port\"]",
    ),
    (
        "Deployment",
        "add",
        "{proxy}.command[-]",
        r#""run""#,
        "        command: []\n",
        "        command:\n          - run\n",
    ),
    (
        "Deployment",
        "remove",
        "spec.template.spec.containers[sidecar].image",
        "null",
        "      - image: ghcr.io/acme/sidecar:2.0.0\n        name: sidecar\n",
        "      - name: sidecar\n",
    ),
    (
        "Deployment",
        "remove",
        "metadata.labels.tier",
        "null",
        ", \"tier\": 'web',}",
        ",}",
    ),
    (
        "Deployment",
        "remove",
        "spec.template.metadata.labels.app",
        "null",
        "      labels:\n        app: zai-proxy\n",
        "      labels: {}\n",
    ),
    (
        "Deployment",
        "remove",
        "{proxy}.ports[containerPort=8080]",
        "null",
        "        - containerPort: 8080\n          name: http\n",
        "",
    ),
    (
        "Service",
        "remove",
        "spec.ports[port=9090]",
        "null",
        "    - port: 9090\n      targetPort: metrics\n",
        "",
    ),
    (
        "Service",
        "add",
        "spec.ports[-]",
        r#"{"port": 443}"#,
        "      targetPort: metrics\n",
        "      targetPort: metrics\n    - port: 443\n",
    ),
    (
        "Service",
        "set",
        "spec.type",
        r#""ClusterIP""#,
        "spec:\n  ports:\n    - port: 80\n",
        "spec:\n  type: ClusterIP\n  ports:\n    - port: 80\n",
    ),
    (
        "Service",
        "set",
        "status",
        r#"{"loadBalancer": {}}"#,
        "      targetPort: metrics\n",
        "      targetPort: metrics\nstatus:\n  loadBalancer: {}\n",
    ),
];

fn edit_of(case: &Case) -> Edit<'static> {
    let (_, what, at, value, ..) = case;
    let path = path(&at.replace("{proxy}", PROXY));
    let value: Value = serde_json::from_str(value).unwrap();
    match *what {
        "set" => Edit::Set { path, value },
        "add" => Edit::Insert { path, value },
        "remove" => Edit::Remove { path },
        _ => panic!("{what}"),
    }
}

fn address(manifest: &Manifest, kind: &str) -> Address {
    let objects = manifest.objects();
    let mut found = objects.iter().filter(|object| object.kind == kind);
    let object = found.next().unwrap();
    assert_eq!(found.next(), None, "{kind}");
    object.address
}

#[test]
fn only_the_touched_lines_differ_in_every_variant() {
    for case in CASES {
        let (kind, .., was, is) = case;
        let edit = edit_of(case);
        assert_eq!(
            BEFORE.matches(was).count(),
            1,
            "{was:?} is in the file once"
        );
        let after = BEFORE.replacen(was, is, 1);
        for variant in VARIANTS {
            let name = format!("{edit:?} {variant:?}");
            let manifest = Manifest::parse(spell(BEFORE, variant)).unwrap();
            let address = address(&manifest, kind);
            let edited = manifest.edit(&address, std::slice::from_ref(&edit));
            let edited = edited.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(edited.text, spell(&after, variant), "{name}");
            assert_eq!(edited.changed, [edit.path().clone()], "{name}");
        }
    }
}

#[test]
fn nothing_to_do_gives_the_same_text() {
    for variant in VARIANTS {
        let manifest = Manifest::parse(spell(BEFORE, variant)).unwrap();
        let address = address(&manifest, "Deployment");
        let edits = [
            set("spec.replicas", json!(3)),
            set(&format!("{PROXY}.env[A].value"), json!("1")),
            Edit::Test {
                path: path("spec.replicas"),
                value: json!(3.0),
            },
            Edit::Restore {
                path: path("spec.template"),
                from: &manifest,
                from_address: address,
            },
        ];
        let edited = manifest.edit(&address, &edits).unwrap();
        assert_eq!(edited.text, manifest.text());
        assert_eq!(edited.changed, []);
    }
}

/// The older file: other indentation, another comment, other line ends than most variants.
const OLDER: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata:
    name: zai-proxy
spec:
    replicas: 9
    template: # the older one
        # what runs
        metadata:
            labels: {app: zai-proxy}
        spec:
            containers:
            - name: proxy
              image: ghcr.io/acme/zai-proxy:1.9.2 # good
              args:
              - |
                two
                  lines

              - "folded
                over"
            # not yet:
            # - name: later
    # about what follows
    paused: false
"#;

const RESTORED: &str = r#"  template:
      # what runs
      metadata:
          labels: {app: zai-proxy}
      spec:
          containers:
          - name: proxy
            image: ghcr.io/acme/zai-proxy:1.9.2 # good
            args:
            - |
              two
                lines

            - "folded
              over"
          # not yet:
          # - name: later
...
"#;

#[test]
fn a_subtree_comes_back_with_its_own_text() {
    let start = BEFORE.find("  template:\n").unwrap();
    let end = BEFORE.find("...\n# after the end").unwrap() + "...\n".len();
    let after = [&BEFORE[..start], RESTORED, &BEFORE[end..]].concat();
    for variant in VARIANTS {
        for older in VARIANTS {
            let from = Manifest::parse(spell(OLDER, older)).unwrap();
            let manifest = Manifest::parse(spell(BEFORE, variant)).unwrap();
            let address = address(&manifest, "Deployment");
            let from_address = Address::document(0);
            let edit = Edit::Restore {
                path: path("spec.template"),
                from: &from,
                from_address,
            };
            let edited = manifest.edit(&address, &[edit]).unwrap();
            assert_eq!(
                edited.text,
                spell(&after, variant),
                "{variant:?} from {older:?}"
            );
            let again = Manifest::parse(edited.text).unwrap();
            let template = path("spec.template");
            assert_eq!(
                again.value(&address, &template),
                from.value(&from_address, &template)
            );
        }
    }
}

#[test]
fn a_refusal_names_the_line_in_the_whole_file() {
    for variant in VARIANTS {
        let manifest = Manifest::parse(spell(BEFORE, variant)).unwrap();
        let address = address(&manifest, "Deployment");
        let error = manifest
            .edit(&address, &[set("spec.templte.x", json!(1))])
            .unwrap_err();
        let EditError::Missing { at, reason, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!((at.line, at.column), (23, 3), "{variant:?}");
        assert!(reason.contains("replicas, strategy, template"), "{reason}");
        assert!(error.is_bad_request());
    }
}
