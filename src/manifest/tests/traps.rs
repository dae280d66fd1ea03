//! What has broken YAML editors before.

use serde_json::{Value, json};

use super::{Address, Edit, EditError, Edited, Manifest, ParseError, Path, Position};

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

fn set(at: &str, value: Value) -> Edit<'static> {
    Edit::Set {
        path: path(at),
        value,
    }
}

fn remove(at: &str) -> Edit<'static> {
    Edit::Remove { path: path(at) }
}

fn edit(text: &str, edits: &[Edit<'_>]) -> Result<Edited, EditError> {
    Manifest::parse(text)
        .unwrap()
        .edit(&Address::document(0), edits)
}

#[track_caller]
fn becomes(text: &str, edit_with: Edit<'_>, expected: &str) {
    let edited = edit(text, &[edit_with]).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    assert_eq!(edited.text, expected);
}

fn refused(text: &str) -> ParseError {
    Manifest::parse(text).unwrap_err()
}

/// Strings that some reader takes for something else when they are left plain.
const TRAPS: &[&str] = &[
    "",
    " ",
    "y",
    "Y",
    "n",
    "N",
    "yes",
    "No",
    "on",
    "OFF",
    "true",
    "False",
    "null",
    "Null",
    "~",
    "0",
    "-0",
    "0777",
    "0o17",
    "0x1F",
    "0b101",
    "1_000",
    "1.10",
    "1e3",
    "123e4567",
    "1e5",
    ".5",
    "+1",
    "-1",
    "1.",
    ".inf",
    ".NaN",
    "nan",
    "Inf",
    "2001-01-01",
    "1:30",
    "190:20:30",
    "12:34:56",
    "<<",
    "=",
    "-",
    "- a",
    "? a",
    ": a",
    "a: b",
    "a:",
    "a #b",
    "#a",
    "&a",
    "*a",
    "!a",
    "!!str a",
    "|",
    ">",
    "|-",
    "@a",
    "`a",
    "%a",
    "'a'",
    "\"a\"",
    "a\"b",
    "a'b",
    "[a]",
    "{a}",
    "a, b",
    "a]",
    "a}",
    "{{ .V }}",
    "---",
    "...",
    "--- a",
    "a\nb",
    "a\nb\n",
    "\n",
    "a\n",
    "\na",
    "a\n\n",
    " a",
    "a ",
    "\ta",
    "a\tb",
    "a\rb",
    "a\r\nb\n",
    "\u{0}",
    "\u{7f}",
    "\u{85}",
    "a\u{2028}b",
    "\u{feff}a",
    "é",
    "日本",
    "🚀",
    "a\\b",
    "a\u{a0}b",
    "  a\nb\n",
    "a\n  b\n",
    "a \nb\n",
    "# a\n# b\n",
    "---\na\n",
    "a\n---\n",
    "a\n\tb\n",
    "C:\\n",
    "%d",
    "1.2.3",
    "v1.10",
    "1.27.3-alpine",
    "latest",
    "1.2.3:4",
    "0.0.0.0",
    "08",
    "09.5",
    "1__0",
    "0_7",
];

#[test]
fn every_trap_string_reads_back_in_every_place() {
    let places = [
        ("a: old\nb: 1\n", "a"),
        ("a: 'old'\nb: 1\n", "a"),
        ("a: \"old\" # c\nb: 1\n", "a"),
        ("a: |\n  old\nb: 1\n", "a"),
        ("a: >-\n  old\n  text\nb: 1\n", "a"),
        ("a:\nb: 1\n", "a"),
        ("a:\n  x: 1\nb: 1\n", "a"),
        ("a:\n- x\nb: 1\n", "a[0]"),
        ("a: [x, y]\nb: 1\n", "a[1]"),
        ("a: {x: y, z}\nb: 1\n", "a.z"),
        ("a: {x: y}\nb: 1\n", "a.new"),
        ("a:\n  x: y\nb: 1\n", "a.new"),
        ("b: 1\n", "a"),
        ("a:\n  - x: y\nb: 1", "a[-]"),
        ("b: 1\na: old", "a"),
    ];
    for trap in TRAPS {
        for (text, at) in places {
            let value = Value::from(*trap);
            let edited = edit(text, &[set(at, value.clone())])
                .unwrap_or_else(|error| panic!("{trap:?} at {at} of {text:?}: {error}"));
            let again = Manifest::parse(&*edited.text).unwrap();
            let at = at.replace("[-]", "[1]");
            let read = again.value(&Address::document(0), &path(&at));
            assert_eq!(read, Some(value), "{:?}", edited.text);
            assert_eq!(
                again.value(&Address::document(0), &path("b")),
                Some(json!(1))
            );
        }
    }
}

#[test]
fn every_trap_string_is_a_key() {
    for trap in TRAPS.iter().filter(|trap| trap.chars().count() < 900) {
        for text in ["m:\n  x: 1\n", "m: {x: 1}\n", "m: {}\n", "m:\n"] {
            let at = Path::of_keys(["m", *trap]);
            let edited = edit(
                text,
                &[Edit::Set {
                    path: at.clone(),
                    value: json!("v"),
                }],
            )
            .unwrap();
            let again = Manifest::parse(edited.text).unwrap();
            assert_eq!(
                again.value(&Address::document(0), &at),
                Some(json!("v")),
                "{trap:?}"
            );
        }
    }
}

#[test]
fn an_absent_value_stands_behind_its_colon() {
    becomes("a:\nb: 1\n", set("a", json!(1)), "a: 1\nb: 1\n");
    becomes("a: # c\nb: 1\n", set("a", json!(1)), "a: 1 # c\nb: 1\n");
    becomes("a:   \nb: 1\n", set("a", json!("x")), "a: x   \nb: 1\n");
    becomes("a:", set("a", json!("x")), "a: x");
    becomes("a: &x\nb: 1\n", set("a", json!("x")), "a: &x x\nb: 1\n");
    becomes("- \n- b\n", set("[0]", json!("x")), "- x \n- b\n");
    becomes("{a, b: }\n", set("a", json!(1)), "{a: 1, b: }\n");
    becomes("{a, b: }\n", set("b", json!(1)), "{a, b: 1 }\n");
    becomes("? a\nb: 1\n", set("b", json!(2)), "? a\nb: 2\n");
}

#[test]
fn block_scalars_are_replaced_from_their_header() {
    let text = "a: |2- # c\n    x\n\n  y\n\n\nb: 1\n";
    becomes(text, set("a", json!("z")), "a: z # c\n\n\nb: 1\n");
    becomes(
        "a: |+\n  x\n\n\nb: 1\n",
        set("a", json!("z")),
        "a: z\nb: 1\n",
    );
    becomes("a: >\n  x\n  y\n# c\nb: 1\n", remove("a"), "# c\nb: 1\n");
    becomes("a: |+\n  x\n\nb: 1\n", remove("b"), "a: |+\n  x\n\n");
    becomes("a: |+\n  x\n\nb: 1\n", remove("a"), "b: 1\n");
}

#[test]
fn empty_block_scalars_have_only_a_header() {
    becomes("- a: |-\n  b: c", remove("[0].a"), "- b: c");
    becomes(
        "- a: |-\n  b: c",
        set("[0].a", json!("x")),
        "- a: x\n  b: c",
    );
    becomes("a: |\nb: 1\n", remove("a"), "b: 1\n");
    becomes("a: |+\n\n\nb: 1\n", set("a", json!("z")), "a: z\nb: 1\n");
}

#[test]
fn a_file_that_ends_in_an_open_block_scalar_is_not_appended_to() {
    for text in ["a: 1\nb: |\n  x", "a: 1\nb: |+\n  x", "a: 1\nb: >\n  x"] {
        let manifest = Manifest::parse(text).unwrap();
        let read = manifest.value(&Address::document(0), &path("b"));
        assert_eq!(read, Some(json!("x")), "as libyaml reads it");
        let error = edit(text, &[set("c", json!(1))]).unwrap_err();
        let EditError::UnterminatedBlock { at, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(at, Position { line: 2, column: 4 });
        becomes(text, set("a", json!(2)), &text.replace('1', "2"));
    }
    // What is written there gets the line break that its value needs.
    becomes("a: x", set("a", json!("x\ny\n")), "a: |\n  x\n  y\n");
    becomes("a: x", set("a", json!("x\ny")), "a: |-\n  x\n  y");
    let older = Manifest::parse("a: |\n  x").unwrap();
    let from_address = Address::document(0);
    let restore = Edit::Restore {
        path: path("a"),
        from: &older,
        from_address,
    };
    let error = edit("a: y\nb: 1\n", &[restore]).unwrap_err();
    assert!(
        matches!(error, EditError::UnterminatedBlock { .. }),
        "{error}"
    );
    let older = Manifest::parse("a: |\n  x\n").unwrap();
    let restore = Edit::Restore {
        path: path("a"),
        from: &older,
        from_address,
    };
    becomes("b: 1\na: y", restore, "b: 1\na: |\n  x\n");
}

#[test]
fn unindented_lists_are_found_by_their_dashes() {
    let text = "a:\n- x\n- y # c\n# d\nb: 1\n";
    becomes(
        text,
        Edit::Insert {
            path: path("a[-]"),
            value: json!("z"),
        },
        "a:\n- x\n- y # c\n- z\n# d\nb: 1\n",
    );
    becomes(text, remove("a[1]"), "a:\n- x\n# d\nb: 1\n");
    becomes("a:\n- x\n", remove("a[0]"), "a: []\n");
    becomes("a: # c\n- x\n", remove("a[0]"), "a: [] # c\n");
    becomes("- - 1\n  - 2\n- 3\n", remove("[0][0]"), "- - 2\n- 3\n");
    becomes("- - 1\n  - 2\n", remove("[0][1]"), "- - 1\n");
    becomes(
        "- a: 1 # x\n  # y\n  b: 2\n",
        remove("[0].a"),
        "-\n  # y\n  b: 2\n",
    );
}

#[test]
fn keys_twice_are_refused_with_their_place() {
    for (text, line, column) in [
        ("a: 1\nb: 2\na: 3\n", 3, 1),
        ("x:\n  - {k: 1, \"k\": 2}\n", 2, 12),
        ("1: a\n0x1: b\n", 2, 1),
        ("yes: a\ntrue: b\n", 2, 1),
        ("---\na: 1\n---\n\nb:\n  c: 1\n  c: 2\n", 7, 3),
    ] {
        let error = refused(text);
        assert_eq!((error.line, error.column), (line, column), "{error}");
        assert!(error.message.contains("second time"), "{error}");
    }
    let many: String = (0..40).map(|n| format!("k{n}: 1\n")).collect();
    assert_eq!(refused(&format!("{many}k7: 2\n")).line, 41);
    assert!(Manifest::parse(many).is_ok());
}

#[test]
fn templates_are_refused_and_named() {
    for text in [
        "image: {{ .Values.image }}\n",
        "{{- if .Values.x }}\na: 1\n{{- end }}\n",
        "a: 1\n{{ include \"x\" . | nindent 4 }}\n",
        "replicas: {{ .Values.replicas }}\n",
        "a: {{ x }}-{{ y }}\n",
    ] {
        let error = refused(text);
        assert!(error.message.contains("Helm or Go template"), "{error}");
    }
    let fine = "a: \"{{inputs.parameters.x}}\"\nb: 1\n";
    becomes(fine, set("b", json!(2)), &fine.replace('1', "2"));
}

#[test]
fn what_is_not_yaml_is_refused_with_its_place() {
    for (text, line) in [
        ("a: b: c\n", 1),
        ("a:\n\t- b\n", 2),
        ("a: [1, 2\nb: 3\n", 2),
        ("a: *x\n", 1),
        ("a: 'x\n", 2),
        ("? [a]\n: 1\n", 1),
        ("? {a: b}\n: 1\n", 1),
        ("a: &x [*x]\n", 1),
        ("a: {<<: 5}\n", 1),
        ("a: 1\n...\nb: 2\n", 3),
        ("a: \"x\ny\"\n", 2),
        ("a: x\n\u{2028}b: 2\n", 2),
    ] {
        let error = Manifest::parse(text).map(|_| ()).unwrap_err();
        assert_eq!(error.line, line, "{text:?}: {error}");
        assert!(error.column >= 1);
    }
}

#[test]
fn depth_and_expansion_are_limited() {
    for text in [
        "[".repeat(5000),
        "- ".repeat(5000),
        (0..5000)
            .map(|n| format!("{}a:\n", " ".repeat(n)))
            .collect(),
        format!("{}{}", "{a: ".repeat(300), "}".repeat(300)),
    ] {
        refused(&text);
    }
    let bomb: String = (1..12)
        .map(|n| {
            format!(
                "a{n}: &a{n} [{}]\n",
                vec![format!("*a{}", n - 1); 9].join(", ")
            )
        })
        .collect();
    let error = refused(&format!("a0: &a0 [x]\n{bomb}"));
    assert!(error.message.contains("expand"), "{error}");
    let chain: String = (1..500)
        .map(|n| format!("a{n}: &a{n} [*a{}]\n", n - 1))
        .collect();
    assert!(
        refused(&format!("a0: &a0 [x]\n{chain}"))
            .message
            .contains("deeper")
    );
}

const SHARED: &str =
    "base: &b\n  image: x\n  args: [1]\nuse: *b\nmerged:\n  <<: *b\n  own: 1\nalone: &c 5\n";

#[test]
fn what_others_share_is_not_edited() {
    for at in [
        "base.image",
        "base.args[0]",
        "base",
        "use.image",
        "merged.args[0]",
        "use.new",
    ] {
        let error = edit(SHARED, &[set(at, json!("y"))]).unwrap_err();
        assert!(matches!(error, EditError::Shared { .. }), "{at}: {error}");
        assert!(!error.is_bad_request());
    }
    let error = edit(SHARED, &[remove("base")]).unwrap_err();
    assert!(
        matches!(
            error,
            EditError::Shared {
                at: Position { line: 1, column: 7 },
                ..
            }
        ),
        "{error}"
    );
    becomes(
        SHARED,
        set("alone", json!(6)),
        &SHARED.replace("&c 5", "&c 6"),
    );
    becomes(
        SHARED,
        set("use", json!("z")),
        &SHARED.replace("*b\nmerged", "z\nmerged"),
    );
    becomes(SHARED, remove("use"), &SHARED.replace("use: *b\n", ""));
}

#[test]
fn a_merged_key_is_set_beside_the_merge() {
    let expected = SHARED.replace("  own: 1\n", "  own: 1\n  image: z\n");
    becomes(SHARED, set("merged.image", json!("z")), &expected);
    let manifest = Manifest::parse(expected).unwrap();
    let value = manifest.value(&Address::document(0), &path("merged"));
    assert_eq!(value, Some(json!({"image": "z", "args": [1], "own": 1})));
}

#[test]
fn tags_stay_and_still_fit() {
    becomes("a: !!str 5\n", set("a", json!("6")), "a: !!str \"6\"\n");
    becomes("a: !!int \"5\"\n", set("a", json!(6)), "a: !!int 6\n");
    let error = edit("a: !!int 5\n", &[set("a", json!("x"))]);
    assert!(error.is_ok() || matches!(error, Err(EditError::Verification { .. })));
    let error = edit("a: !!str 5\n", &[set("a", json!(6))]).unwrap_err();
    assert!(matches!(error, EditError::Verification { .. }), "{error}");
}

#[test]
fn empty_documents_and_comments_between_count_and_stay() {
    let text = "---\n# c\n---\n\n--- # d\na: 1\n...\n# e\n---\n";
    let manifest = Manifest::parse(text).unwrap();
    assert_eq!(manifest.documents().len(), 4);
    let empty: Vec<bool> = manifest
        .documents()
        .iter()
        .map(super::Document::is_empty)
        .collect();
    assert_eq!(empty, [true, true, false, true]);
    let edited = manifest
        .edit(&Address::document(2), &[set("a", json!(2))])
        .unwrap();
    assert_eq!(edited.text, text.replace('1', "2"));
}

#[test]
fn a_bad_document_leaves_its_neighbours_alone() {
    let good = "kind: Service\nmetadata:\n  name: x\nspec:\n  type: A\n";
    let text = format!("{good}---\nkind: {{{{ .K }}}}\na: [\n---\n# c\n{good}");
    let error = refused(&text);
    assert_eq!(error.line, 7, "{error}");
    let manifest = Manifest::parse_lenient(&*text);
    let objects = manifest.objects();
    assert_eq!(
        objects
            .iter()
            .map(|o| o.address.document)
            .collect::<Vec<_>>(),
        [0, 2]
    );
    assert_eq!(objects[1].line, 11);
    assert!(manifest.documents()[1].error().is_some());
    let edited = manifest
        .edit(&objects[1].address, &[set("spec.type", json!("B"))])
        .unwrap();
    assert_eq!(
        edited.text,
        format!("{}B\n", text.strip_suffix("A\n").unwrap())
    );
    let error = manifest
        .edit(&Address::document(1), &[set("a", json!(1))])
        .unwrap_err();
    assert!(matches!(error, EditError::Unreadable(_)), "{error}");
}

#[test]
fn lone_carriage_returns_end_lines() {
    becomes(
        "a: 1\rb:\r  c: 2\r",
        set("b.d", json!(3)),
        "a: 1\rb:\r  d: 3\r  c: 2\r",
    );
}

#[test]
fn directives_and_markers_stay() {
    let text = "%YAML 1.1\n# c\n--- # d\na: 1\n...\n";
    becomes(
        text,
        set("b", json!(2)),
        "%YAML 1.1\n# c\n--- # d\na: 1\nb: 2\n...\n",
    );
    becomes("--- {a: 1}\n", set("a", json!(2)), "--- {a: 2}\n");
    becomes("---\n", set("a", json!(2)), "---\na: 2\n");
}

#[test]
fn what_an_alias_elsewhere_needs_stays_when_the_rest_is_replaced() {
    let text = "a:\n  name: &n x\n  ports: *n\n  data: *n\nother: *n\n";
    becomes(
        text,
        set("a", json!({"name": "x", "value": "y"})),
        "a:\n  value: \"y\"\n  name: &n x\nother: *n\n",
    );
    let list = "a:\n-\n  name: &n x\n  ports: *n # gone\nother: *n\n";
    becomes(
        list,
        set("a[0]", json!({"name": "x", "value": "y"})),
        "a:\n-\n  name: &n x\n  value: \"y\"\nother: *n\n",
    );
    becomes(
        "a: {name: &n x, ports: *n}\nother: *n\n",
        set("a", json!({"name": "x", "value": "y"})),
        "a: {name: &n x, value: \"y\"}\nother: *n\n",
    );
}

#[test]
fn the_next_document_does_not_run_into_the_last_word() {
    becomes(
        "? |\n  e\n--- # second\nkind: X",
        set("", json!("nginx:1.28")),
        "nginx:1.28\n--- # second\nkind: X",
    );
}
