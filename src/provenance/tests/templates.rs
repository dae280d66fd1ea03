//! The functions and blocks of Go's templates that charts use.

use serde_json::json;

use super::super::render;
use super::*;
use crate::model::Capabilities;

/// What the cluster serves in the fixture of functions.
fn served() -> Capabilities {
    let versions = ["v1", "apps/v1", "shop.example.org/v2"];
    Capabilities {
        kube_version: "v1.33.4".to_owned(),
        api_versions: versions.map(str::to_owned).into(),
    }
}

/// Each function that charts use, against what helm printed.
#[test]
fn functions_are_those_of_helm() {
    let files = tree("helm");
    let mut app = application(json!({"path": "functions"}));
    app.destination.namespace = "shop".to_owned();
    let served = served();
    let expected = stream(&files["rendered/functions.yaml"]);
    let rendered = |kind: &str, name: &str| {
        let target = object(kind, "shop", name);
        let subject = Subject {
            capabilities: Some(&served),
            ..subject(&app, "functions", &target)
        };
        let rendered = render(&files, &subject).unwrap();
        assert_eq!(rendered.unknown, []);
        (rendered, &expected[&(kind.to_owned(), name.to_owned())])
    };
    let (all, golden) = rendered("ConfigMap", "all");
    assert_eq!(&all.object, golden);
    // A digest is named, not made up.
    let (digests, golden) = rendered("Deployment", "digests");
    let annotation = |name: &str| path(&format!("spec.template.metadata.annotations[\"{name}\"]"));
    let names = ["checksum/short", "checksum/whole"];
    assert_eq!(digests.digests, names.map(annotation));
    let mut golden = golden.clone();
    golden["spec"]["template"]["metadata"]["annotations"] = json!({});
    assert_eq!(digests.object, golden);
}

/// A change in place of a map that others may hold is not followed further.
#[test]
fn a_value_that_others_hold_is_not_guessed() {
    let shared =
        "{{ range .Values.l }}{{ $_ := set . \"a\" \"b\" }}{{ end }}  k: {{ (first .Values.l).a }}";
    let told = one(shared, "l: [{a: x}]").unwrap_err();
    assert!(told.contains("changes a value in place"), "{told}");
    let held = "  {{- $x := dict \"a\" \"b\" }}{{ $y := $x }}{{ $_ := set $x \"a\" \"c\" }}\n  k: {{ $y.a }}";
    assert!(one(held, "").is_err());
    // One's own map, and a chart's values by their path, are.
    for (template, values) in [
        (
            "  {{- $x := dict }}{{ $_ := set $x \"a\" \"b\" }}\n  k: {{ $x.a }}",
            "",
        ),
        (
            "  {{- $_ := set .Values.m \"a\" \"b\" }}\n  k: {{ .Values.m.a }}",
            "m: {a: x}",
        ),
        (
            "  {{- $x := .Values.m }}{{ $_ := set $x \"a\" \"b\" }}\n  k: {{ $.Values.m.a }}",
            "m: {a: x}",
        ),
        ("  {{- $_ := set . \"own\" \"b\" }}\n  k: {{ .own }}", ""),
        (
            "{{ range $n, $x := .Values.m }}{{ $_ := set $x \"a\" (ternary \"b\" \"c\" (eq $n \"one\")) }}{{ end }}  k: {{ .Values.m.one.a }}",
            "m: {one: {a: x}}",
        ),
        (
            "  {{- $x := .Values.m }}{{ $_ := set .Values.m \"a\" \"b\" }}\n  k: {{ $x.a }}",
            "m: {a: x}",
        ),
        (
            "  {{- with .Values.m }}{{ $_ := set $.Values.m \"a\" \"b\" }}\n  k: {{ .a }}{{ end }}",
            "m: {a: x}",
        ),
        (
            "  {{- with .Values }}{{ $m := merge .m .other }}{{ end }}\n  k: {{ .Values.m.a }}",
            "{m: {c: x}, other: {a: b}}",
        ),
        (
            "  {{- $_ := unset .Values.m \"a\" }}\n  k: {{ .Values.m.a | default \"b\" }}",
            "m: {a: x}",
        ),
    ] {
        assert_eq!(
            one(template, values).unwrap(),
            json!({"k": "b"}),
            "{template}"
        );
    }
}

/// A chart of one template, for what a template may do.
fn one(template: &str, values: &str) -> Result<Value, String> {
    let mut files = Tree::new();
    put(
        &mut files,
        "Chart.yaml",
        "name: one\nversion: 1.0.0\nappVersion: \"3\"\n",
    );
    put(&mut files, "values.yaml", values);
    let text =
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\ndata:\n{template}\n");
    put(&mut files, "templates/all.yaml", &text);
    let app = application(json!({"path": ""}));
    let target = object("ConfigMap", "shop", "x");
    let rendered = render(&files, &subject(&app, "", &target)).map_err(|b| b.message)?;
    match rendered.unknown.first() {
        Some((path, why)) => Err(format!("{path}: {why}")),
        None => Ok(rendered.object["data"].clone()),
    }
}

#[test]
fn templates_run_as_go_runs_them() {
    for (template, values, data) in [
        // A variable of a block hides an outer one, an assignment reaches out.
        (
            "  {{- $x := \"a\" }}{{ if true }}{{ $x := \"b\" }}{{ end }}\n  k: {{ $x }}",
            "",
            json!({"k": "a"}),
        ),
        (
            "  {{- $x := \"a\" }}{{ if true }}{{ $x = \"b\" }}{{ end }}\n  k: {{ $x }}",
            "",
            json!({"k": "b"}),
        ),
        ("  k: {{ .Values.none | quote }}", "", json!({"k": null})),
        (
            "  k: {{ .Values.a.b.c | default \"d\" }}",
            "a: {b: {}}",
            json!({"k": "d"}),
        ),
        (
            "{{ range $i, $v := .Values.l }}  k{{ $i }}: {{ $v | quote }}\n{{ else }}  none: x\n{{ end }}",
            "l: [a, 1]",
            json!({"k0": "a", "k1": "1"}),
        ),
        (
            "{{ range .Values.l }}  k: {{ . }}\n{{ else }}  none: x\n{{ end }}",
            "l: []",
            json!({"none": "x"}),
        ),
        (
            "  {{- with .Values.m }}\n  k: {{ .a }}-{{ $.Chart.Name }}\n  {{- end }}",
            "m: {a: 1}",
            json!({"k": "1-one"}),
        ),
        (
            "  k: {{ if and .Values.a (eq .Values.b \"x\") }}yes{{ else if .Values.c }}maybe{{ else }}no{{ end }}",
            "{a: true, b: z, c: 1}",
            json!({"k": "maybe"}),
        ),
        (
            "  k: {{ ternary \"a\" \"b\" (empty .Values.z) }}{{/* }} */}}",
            "",
            json!({"k": "a"}),
        ),
        (
            "  k: {{ printf \"%s/%v\" .Values.a .Values.num }}",
            "{a: x, num: 5}",
            json!({"k": "x/5"}),
        ),
        ("  k: {{ `raw }}` | quote }}", "", json!({"k": "raw }}"})),
    ] {
        assert_eq!(one(template, values).unwrap(), data, "{template}");
    }
}

/// What Go would print otherwise, or this room does not know.
#[test]
fn what_is_not_followed_is_never_claimed() {
    for (template, values) in [
        ("  k: {{ printf \"%d\" .Values.num }}", "num: 5"),
        ("  k: {{ printf \"%s\" .Values.num }}", "num: 5"),
        ("  k: {{ .Values.num }}", "num: 1000000"),
        ("  k: {{ .Values.num }}", "num: 1.50"),
        ("  k: {{ .Values.m }}", "m: {a: 1}"),
        ("  k: {{ .Values.a | b64enc }}", "a: x"),
        ("  k: x{{ .Values.a | b64enc }}y", "a: x"),
        ("  k: {{ if eq .Values.num \"5\" }}a{{ end }}", "num: 5"),
        ("  k: {{ .Capabilities.KubeVersion.Minor }}", ""),
        ("  k: {{ .Files.Get \"a\" | quote }}", ""),
        (
            "  k: {{ tpl .Values.t . }}",
            "t: '{{ .Chart.Name | b64enc }}'",
        ),
        (
            "  k: {{ if semverCompare \">=1.20\" .Capabilities.KubeVersion.Version }}a{{ end }}",
            "",
        ),
        ("  k: {{ .Capabilities.APIVersions.Has \"apps/v1\" }}", ""),
        ("  k: {{ randAlphaNum 5 }}", ""),
        ("  k: {{ keys .Values.m | first }}", "m: {a: 1, b: 2}"),
        ("  k: {{ kindOf .Values.num }}", "num: 5"),
    ] {
        let told = one(template, values);
        assert!(told.is_err(), "{template}: {told:?}");
    }
}
