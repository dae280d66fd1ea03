//! The undo of one change, by example.

use super::{UndoClass, Undone, merge_text, undo};

/// The texts before the bad change, after it, and today.
#[track_caller]
fn gives(good: &str, bad: &str, head: &str, class: UndoClass, wanted: &str) -> Undone {
    let done = undo(good, bad, head);
    assert_eq!(done.text, wanted, "{done:#?}");
    assert_eq!(done.class, class, "{done:#?}");
    done
}

#[track_caller]
fn undone(good: &str, bad: &str, head: &str, wanted: &str) -> Undone {
    gives(good, bad, head, UndoClass::Undone, wanted)
}

#[track_caller]
fn refused(good: &str, bad: &str, head: &str, word: &str) {
    let done = undo(good, bad, head);
    assert_eq!(done.class, UndoClass::Refused, "{done:#?}");
    assert_eq!(done.text, head);
    let reason = done.reason.unwrap();
    assert!(reason.contains(word), "{reason}");
}

fn paths(fields: &[super::UndoField]) -> Vec<String> {
    fields.iter().map(|field| field.path.to_string()).collect()
}

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 3 # by hand
  template:
    spec:
      containers:
        # the one that matters
        - name: web
          image: \"web:1.0\" # pinned
          env:
            - name: MODE
              value: 'steady'
            # for the tracer
            - name: TRACE
              value: off-line
        - name: proxy
          image: proxy:7
";

#[test]
fn a_field_gets_its_own_text_back_and_later_work_stays() {
    let bad = DEPLOYMENT.replace("\"web:1.0\" # pinned", "web:2.0");
    let head = bad
        .replace("replicas: 3 # by hand", "replicas: 5 # for the sale")
        .replace("proxy:7", "proxy:8");
    let wanted = DEPLOYMENT
        .replace("replicas: 3 # by hand", "replicas: 5 # for the sale")
        .replace("proxy:7", "proxy:8");
    let done = undone(DEPLOYMENT, &bad, &head, &wanted);
    assert_eq!(
        paths(&done.undone),
        ["spec.template.spec.containers[web].image"]
    );
    assert_eq!(done.undone[0].object, "Deployment/web");
    // The line's own later comment stays.
    let commented = head.replace("web:2.0", "web:2.0 # do not touch");
    let wanted = wanted.replace("# pinned", "# do not touch");
    undone(DEPLOYMENT, &bad, &commented, &wanted);
}

#[test]
fn what_something_else_changed_is_left_and_named() {
    let bad = DEPLOYMENT
        .replace("web:1.0", "web:2.0")
        .replace("steady", "bold");
    let head = bad.replace("web:2.0", "web:3.0");
    let wanted = head.replace("bold", "steady");
    let done = gives(DEPLOYMENT, &bad, &head, UndoClass::Partly, &wanted);
    assert_eq!(
        paths(&done.superseded),
        ["spec.template.spec.containers[web].image"]
    );
    let left = &done.superseded[0];
    assert_eq!(left.shown(left.from.as_ref()), "web:2.0");
    assert_eq!(left.shown(left.to.as_ref()), "web:3.0");
    let env = &done.undone[0];
    assert_eq!(
        env.path.to_string(),
        "spec.template.spec.containers[web].env[MODE].value"
    );
    assert_eq!(
        env.shown(env.to.as_ref()),
        "***",
        "a literal variable may be a secret"
    );
    let done = gives(
        DEPLOYMENT,
        &DEPLOYMENT.replace("web:1.0", "web:2.0"),
        &DEPLOYMENT.replace("web:1.0", "web:3.0"),
        UndoClass::NothingLeft,
        &DEPLOYMENT.replace("web:1.0", "web:3.0"),
    );
    assert_eq!(done.superseded.len(), 1);
    let good_already = DEPLOYMENT.replace("replicas: 3", "replicas: 4");
    let done = gives(
        DEPLOYMENT,
        &bad,
        &good_already,
        UndoClass::NothingLeft,
        &good_already,
    );
    assert!(done.superseded.is_empty());
}

#[test]
fn items_come_back_with_their_comments_at_their_place_and_go_with_them() {
    let bad = DEPLOYMENT
        .replace("            # for the tracer\n            - name: TRACE\n              value: off-line\n", "")
        .replace("        - name: proxy\n", "        # new\n        - name: log\n          image: log:1\n        - name: proxy\n");
    let head = bad.replace("replicas: 3", "replicas: 4").replace(
        "'steady'\n",
        "'steady'\n            - name: LATER\n              value: x\n",
    );
    let wanted = DEPLOYMENT
        .replace("replicas: 3", "replicas: 4")
        .replace("            # for the tracer\n            - name: TRACE\n              value: off-line\n", "            # for the tracer\n            - name: TRACE\n              value: off-line\n            - name: LATER\n              value: x\n");
    let done = undone(DEPLOYMENT, &bad, &head, &wanted);
    assert_eq!(
        paths(&done.undone),
        [
            "spec.template.spec.containers[web].env[TRACE]",
            "spec.template.spec.containers[log]"
        ]
    );
    // An added item that was changed since is one value: left whole.
    let changed = head.replace("log:1", "log:2");
    let done = undo(DEPLOYMENT, &bad, &changed);
    assert_eq!(done.class, UndoClass::Partly);
    assert!(
        done.text
            .contains("        # new\n        - name: log\n          image: log:2\n")
    );
    assert_eq!(
        paths(&done.superseded),
        ["spec.template.spec.containers[log]"]
    );
    // As is one that somebody wrote a comment into.
    let commented = head.replace("log:1", "log:1 # why?");
    assert!(
        undo(DEPLOYMENT, &bad, &commented)
            .text
            .contains("log:1 # why?")
    );
}

#[test]
fn maps_are_undone_by_key() {
    let good = "kind: ConfigMap\nmetadata:\n  name: c\ndata:\n  # first\n  a: '1'\n  b: \"2\"\n";
    let bad = "kind: ConfigMap\nmetadata:\n  name: c\n  labels:\n    x: y\ndata:\n  b: \"2\"\n  c: three\n";
    let head = "kind: ConfigMap\nmetadata:\n  name: c\n  labels:\n    x: y\n    z: later\ndata:\n  b: \"2\"\n  c: three\n  d: later\n";
    let wanted = "kind: ConfigMap\nmetadata:\n  name: c\n  labels:\n    z: later\ndata:\n  # first\n  a: '1'\n  b: \"2\"\n  d: later\n";
    undone(good, bad, head, wanted);
    // A whole map that was added goes as a whole; one that is empty then stays as one.
    let head = "kind: ConfigMap\nmetadata:\n  name: c\n  labels:\n    x: y\ndata:\n  b: \"2\"\n  c: three\n# end\n";
    let wanted =
        "kind: ConfigMap\nmetadata:\n  name: c\ndata:\n  # first\n  a: '1'\n  b: \"2\"\n# end\n";
    undone(good, bad, head, wanted);
    undone(
        "a: {}\nb: 1\n",
        "a:\n  x: 1\nb: 1\n",
        "a:\n  x: 1\nb: 2\n",
        "a: {}\nb: 2\n",
    );
    undone(
        "a:\n  y: 1\nb: 1\n",
        "a:\n  y: 1\n  x: 1\nb: 1\n",
        "a: # c\n  x: 1\nb: 1\n",
        "a: {} # c\nb: 1\n",
    );
    undone(
        "l:\n- a\n",
        "l:\n- a\n- b\n",
        "l:\n- b\nm: 1\n",
        "l: []\nm: 1\n",
    );
}

#[test]
fn elements_of_a_set_come_and_go() {
    let good = "resources:\n  - a.yaml\n  # needed\n  - b.yaml\n  - c.yaml\n";
    let bad = "resources:\n  - a.yaml\n  - c.yaml\n  - new.yaml\n";
    let head = "resources:\n  - a.yaml\n  - c.yaml\n  - new.yaml\n  - later.yaml\n";
    let wanted = "resources:\n  - a.yaml\n  # needed\n  - b.yaml\n  - c.yaml\n  - later.yaml\n";
    undone(good, bad, head, wanted);
    // Written in brackets.
    undone(
        "r: [a, b]\nx: 1\n",
        "r: [a, b, bad]\nx: 1\n",
        "r: [a, b, bad, later]\nx: 2\n",
        "r: [a, b, later]\nx: 2\n",
    );
    undone(
        "r: [a, \"b\"]\nx: 1\n",
        "r:\n  - a\nx: 1\n",
        "r:\n  - a\n  - later\nx: 1\n",
        "r:\n  - a\n  - \"b\"\n  - later\nx: 1\n",
    );
    // What replaced an element and was replaced again: nothing comes back beside it.
    let at = |tag: &str| format!("resources:\n- https://github.com/a/b?ref={tag}\n- c\n");
    let done = gives(
        &at("one"),
        &at("two"),
        &at("three"),
        UndoClass::NothingLeft,
        &at("three"),
    );
    assert_eq!(done.superseded.len(), 1);
    // The words of a command are no set.
    let command = |words: &str| format!("spec:\n  containers:\n  - name: a\n    args: [{words}]\n");
    let done = gives(
        &command("-a, x"),
        &command("-a, y"),
        &command("-b, z, y"),
        UndoClass::NothingLeft,
        &command("-b, z, y"),
    );
    assert_eq!(paths(&done.superseded), ["spec.containers[a].args"]);
}

#[test]
fn lists_without_names_are_merged_where_that_is_clear() {
    let rule = |from: &str| format!("- from: {from}\n  to: [x]\n");
    let list = |rules: &[&str]| rules.iter().map(|from| rule(from)).collect::<String>();
    undone(
        &list(&["a", "b"]),
        &list(&["a", "b", "bad"]),
        &list(&["a", "b", "bad", "later"]),
        &list(&["a", "b", "later"]),
    );
    undone(
        &list(&["a", "b"]),
        &list(&["a", "c"]),
        &list(&["first", "a", "c"]),
        &list(&["first", "a", "b"]),
    );
    let head = list(&["a", "d"]);
    gives(
        &list(&["a", "b"]),
        &list(&["a", "c"]),
        &head,
        UndoClass::NothingLeft,
        &head,
    );
}

#[test]
fn documents_are_matched_by_what_they_are() {
    let doc = |name: &str, value: &str| {
        format!("kind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  k: {value}\n")
    };
    let good = format!(
        "# about a\n{}---\n# about b\n{}---\n{}",
        doc("a", "1"),
        doc("b", "1"),
        doc("c", "1")
    );
    let bad = format!(
        "# about a\n{}---\n{}---\n{}",
        doc("a", "2"),
        doc("c", "1"),
        doc("d", "1")
    );
    let head = format!(
        "{}---\n# about a\n{}---\n{}---\n{}",
        doc("c", "later"),
        doc("a", "2"),
        doc("d", "1"),
        doc("e", "1")
    );
    let wanted = format!(
        "{}---\n# about a\n{}---\n# about b\n{}---\n{}",
        doc("c", "later"),
        doc("a", "1"),
        doc("b", "1"),
        doc("e", "1")
    );
    let done = undone(&good, &bad, &head, &wanted);
    assert_eq!(done.undone.len(), 2, "{done:#?}");
    // The first document goes, the next has no marker of its own.
    undone(
        "b: 1\nkind: B\n",
        "kind: A\n---\nb: 1\nkind: B\n",
        "kind: A\n---\nb: 2\nkind: B\n",
        "b: 2\nkind: B\n",
    );
    // It comes back before one that has none.
    undone(
        "kind: A\n---\nb: 1\nkind: B\n",
        "b: 1\nkind: B\n",
        "b: 2\nkind: B\n",
        "kind: A\n---\nb: 2\nkind: B\n",
    );
    // Another apiVersion is a change of the same document.
    undone(
        "apiVersion: v1beta1\nkind: A\nx: 1\n",
        "apiVersion: v1\nkind: A\nx: 1\n",
        "apiVersion: v1\nkind: A\nx: 2\n",
        "apiVersion: v1beta1\nkind: A\nx: 2\n",
    );
}

#[test]
fn items_of_a_list_of_objects_are_matched_like_documents() {
    let item = |name: &str, value: &str| {
        format!("- kind: ConfigMap\n  metadata:\n    name: {name}\n  data:\n    k: {value}\n")
    };
    let list = |items: &[String]| format!("kind: List\nitems:\n{}", items.concat());
    undone(
        &list(&[item("a", "1"), item("b", "1")]),
        &list(&[item("a", "2"), item("b", "1")]),
        &list(&[item("b", "2"), item("a", "2")]),
        &list(&[item("b", "2"), item("a", "1")]),
    );
}

#[test]
fn texts_of_several_lines_are_merged_by_lines() {
    let map = |lines: &str| {
        format!(
            "data:\n  run.sh: |\n{}",
            lines
                .split(' ')
                .map(|l| format!("    {l}\n"))
                .collect::<String>()
        )
    };
    undone(
        &map("a b c d e"),
        &map("a X c d e"),
        &map("a X c d later e"),
        &map("a b c d later e"),
    );
    let head = map("a Y c d e");
    let done = gives(
        &map("a b c d e"),
        &map("a X c d e"),
        &head,
        UndoClass::NothingLeft,
        &head,
    );
    assert_eq!(paths(&done.superseded), ["data[\"run.sh\"]"]);
    // YAML in a text, where the lines alone would conflict.
    let config = |lines: &str| format!("data:\n  c.yaml: |\n    log:\n{lines}    # end\n");
    undone(
        &config("      level: info\n"),
        &config("      level: debug\n"),
        &config("      format: json\n      level: debug\n      size: 1\n"),
        &config("      format: json\n      level: info\n      size: 1\n"),
    );
    // White space at the ends of lines that stay is head's.
    let spaced = "data:\n  run.sh: |  # c\n    a\n    X\n\n      \n    d  \n    later\nend: 1\n";
    let good = "data:\n  run.sh: |\n    a\n    b\n\n      \n    d  \n";
    undone(
        good,
        &good.replace("    b\n", "    X\n"),
        spaced,
        &spaced.replace("    X\n", "    b\n"),
    );
}

#[test]
fn comments_are_taken_back_or_left_never_lost() {
    let good = "a: 1\n# old words\nb: 1\n";
    let bad = "a: 1\n# new words\nb: 1\n";
    undone(good, bad, &format!("{bad}c: 1\n"), &format!("{good}c: 1\n"));
    let head = "a: 1\n# later words\nb: 1\n";
    let done = gives(good, bad, head, UndoClass::NothingLeft, head);
    assert_eq!(done.left.len(), 1, "{done:#?}");
    // A comment that was written above an added field stays when the field goes.
    undone(
        "a: 1\n",
        "a: 1\nb: 1\n",
        "a: 1\n# who needs this?\nb: 1\n",
        "a: 1\n# who needs this?\n",
    );
}

#[test]
fn an_edit_that_anchors_make_unsafe_is_refused() {
    let good = "base: &b\n  x: 1\nuse:\n  <<: *b\n  y: 1\n";
    let bad = good.replace("x: 1", "x: 2");
    // Everything that reads the anchor is undone with it.
    undone(
        good,
        &bad,
        &format!("{bad}z: 1\n"),
        &format!("{good}z: 1\n"),
    );
    // Something that came later reads it as well.
    refused(
        good,
        &bad,
        &format!("{bad}later: *b\n"),
        "anchors and aliases",
    );
    refused(
        "a: 1\nb: 1\n",
        "a: &x 2\nb: 1\n",
        "a: &x 2\nb: *x\n",
        "anchors and aliases",
    );
}

#[test]
fn a_comment_that_would_end_up_in_a_block_scalar_is_named() {
    refused(
        "   # c\nimage: |\n x\n'x y': x\n1: x\n",
        "   # c\n'x y': x\n1: x\n",
        "   # c\n1: x\n",
        "a comment that stands deeper",
    );
}

#[test]
fn what_is_no_yaml_is_refused_with_the_text_it_is_in() {
    let template = "a: {{ .Values.a }}\n{{- if .x }}\nb: 1\n{{- end }}\n";
    refused(
        template,
        "a: 1\n",
        "a: 1\nb: 1\n",
        "the good text cannot be read: line 1",
    );
    refused(
        "a: 2\n",
        "a: 1\na: 1\n",
        "a: 1\nb: 1\n",
        "the text that the bad change left cannot be read: line 2",
    );
    refused(
        "a: 2\n",
        "a: 1\n",
        template,
        "the text of today cannot be read",
    );
    refused(
        "a: 1\n---\nb: 1\n",
        "a: 1\n",
        "a: 1\nc: 1\n",
        "nothing tells them apart",
    );
    // Where nothing came later there is nothing to read.
    undone(template, "a: 1\n", "a: 1\n", template);
}

#[test]
fn line_ends_are_those_of_today() {
    let crlf = |text: &str| text.replace('\n', "\r\n");
    undone(
        "a: 1\nb:\n  - x: 1\n    y: 2\n",
        "a: 1\n",
        &crlf("a: 1\nc: 1\n"),
        &crlf("a: 1\nb:\n  - x: 1\n    y: 2\nc: 1\n"),
    );
    undone("a: 1\nb: 2", "a: 1\nb: 3", "a: 1\nb: 3\n", "a: 1\nb: 2\n");
    undone("a: 1\nb: 2", "a: 1", "c: 1\na: 1", "c: 1\na: 1\nb: 2");
    undone(
        "\u{feff}a: 1\nb: 2\n",
        "\u{feff}a: 2\nb: 2\n",
        "\u{feff}a: 2\nb: 3\n",
        "\u{feff}a: 1\nb: 3\n",
    );
}

#[test]
fn json_stays_json() {
    let good = "{\n  \"extends\": [\"a\", \"b\"],\n  \"enabled\": true\n}\n";
    let bad = good.replace("true", "false");
    let head = bad.replace("\"b\"]", "\"b\", \"c\"]");
    undone(good, &bad, &head, &head.replace("false", "true"));
    let bad = good.replace("[\"a\", \"b\"]", "[\"a\"]");
    let head = bad.replace("true", "false");
    let done = undone(good, &bad, &head, &good.replace("true", "false"));
    assert!(serde_json::from_str::<serde_json::Value>(&done.text).is_ok());
}

#[test]
fn plain_text_is_merged_by_lines() {
    assert_eq!(
        merge_text("a\nb\nc\n", "a\nb\nc\nd\n", "x\nb\nc\n"),
        Ok("x\nb\nc\nd\n".to_owned())
    );
    let conflicts = merge_text("a\nb\n", "a\nc\n", "a\nd\n").unwrap_err();
    assert_eq!(
        conflicts[0].to_string(),
        "both sides changed line 2 of ours (line 2 of the base)"
    );
}
