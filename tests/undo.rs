//! `unship patch-file --undo` as a program: files and commits, what is printed, what is written.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const GOOD: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: \"1\" # one\n  k: \"1\"\n";

fn bad() -> String {
    GOOD.replace("x: \"1\" # one", "x: \"2\"")
        .replace("k: \"1\"", "k: \"2\"")
}

fn head() -> String {
    bad().replace("k: \"2\"\n", "k: \"3\"\n  z: later\n")
}

fn wanted() -> String {
    head().replace("x: \"2\"", "x: \"1\" # one")
}

fn unship(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_unship"))
        .current_dir(folder)
        .args(["patch-file", "app.yaml", "--undo"])
        .args(words)
        .env_remove("UNSHIP_OUTPUT")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("good.yaml", GOOD),
        ("bad.yaml", &bad()),
        ("app.yaml", &head()),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

const FILES: [&str; 4] = ["--from", "bad.yaml", "--to", "good.yaml"];

#[test]
fn a_diff_is_printed_and_nothing_written_until_asked() {
    let folder = folder();
    let app = folder.path().join("app.yaml");
    let out = unship(folder.path(), &FILES);
    assert_eq!(out.status.code(), Some(0));
    let diff = text(&out.stdout);
    assert!(diff.contains("-  x: \"2\"\n+  x: \"1\" # one\n"), "{diff}");
    assert!(!diff.contains("+  k"), "{diff}");
    assert!(
        text(&out.stderr).contains("left ConfigMap/a data.k: the change made it 2, it is 3 today")
    );
    assert_eq!(std::fs::read_to_string(&app).unwrap(), head());
    let out = unship(folder.path(), &[&FILES[..], &["--stdout"]].concat());
    assert_eq!(text(&out.stdout), wanted());
    let out = unship(folder.path(), &[&FILES[..], &["--write"]].concat());
    assert_eq!(out.status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(&app).unwrap(), wanted());
    let out = unship(folder.path(), &FILES);
    assert_eq!((out.status.code(), text(&out.stdout)), (Some(0), ""));
    assert!(text(&out.stderr).contains("nothing left to undo"));
}

#[test]
fn the_document_says_what_was_done_and_what_was_left() {
    let folder = folder();
    let out = unship(folder.path(), &[&FILES[..], &["-o", "json"]].concat());
    let document: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(document["kind"], "Undo");
    assert_eq!(document["class"], "partly");
    assert_eq!(document["undone"][0]["path"], "data.x");
    assert_eq!(document["superseded"][0]["path"], "data.k");
    assert_eq!(document["exitCode"], 0);
    let schema = Command::new(env!("CARGO_BIN_EXE_unship"))
        .args(["config", "schema", "--kind", "Undo"])
        .output()
        .unwrap();
    let schema: Value = serde_json::from_slice(&schema.stdout).unwrap();
    for name in document.as_object().unwrap().keys() {
        assert!(
            !schema["properties"][name].is_null(),
            "{name} is not in the schema"
        );
    }
}

#[test]
fn what_cannot_be_read_is_refused_and_the_file_untouched() {
    let folder = folder();
    let app = folder.path().join("app.yaml");
    std::fs::write(
        folder.path().join("good.yaml"),
        "a: {{ .Values.a }}\n{{- end }}\n",
    )
    .unwrap();
    let out = unship(folder.path(), &[&FILES[..], &["--write"]].concat());
    assert_eq!(out.status.code(), Some(3));
    let words = text(&out.stderr);
    assert!(
        words.contains("the good text cannot be read: line 1"),
        "{words}"
    );
    assert_eq!(std::fs::read_to_string(&app).unwrap(), head());
    let out = unship(folder.path(), &["--from", "bad.yaml", "--to", "no-such"]);
    assert_eq!(out.status.code(), Some(2));
    let out = unship(folder.path(), &["--from", "bad.yaml"]);
    assert_eq!(out.status.code(), Some(2));
}

#[test]
fn commits_are_named_instead_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let git = |words: &[&str]| {
        let out = Command::new("git")
            .current_dir(folder.path())
            .args([
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@b.c",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(words)
            .output()
            .unwrap();
        assert!(out.status.success(), "{out:?}");
    };
    git(&["init", "-q"]);
    let apps = folder.path().join("apps");
    std::fs::create_dir(&apps).unwrap();
    for text in [GOOD, &bad(), &head()] {
        std::fs::write(apps.join("app.yaml"), text).unwrap();
        git(&["add", "."]);
        git(&["commit", "-q", "-m", "x"]);
    }
    let out = unship(&apps, &["--from", "HEAD~1", "--to", "HEAD~2", "--stdout"]);
    assert_eq!(text(&out.stdout), wanted(), "{out:?}");
    let out = unship(&apps, &["--from", "HEAD~1", "--to", "HEAD~9", "--stdout"]);
    assert_eq!(out.status.code(), Some(2), "{out:?}");
    git(&["mv", "apps/app.yaml", "apps/other.yaml"]);
    git(&["commit", "-q", "-m", "moved"]);
    std::fs::write(apps.join("app.yaml"), head()).unwrap();
    let out = unship(&apps, &["--from", "HEAD", "--to", "HEAD~3"]);
    assert_eq!(out.status.code(), Some(3), "{out:?}");
    assert!(text(&out.stderr).contains("is not in commit HEAD"));
}
