//! The import rule: data flows one way, pure rooms stay pure, clients never import
//! each other. Reads every `use` line and every path in `src/`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

/// A room, the rooms that it may import, and what of the outside it may not name.
struct Room {
    name: &'static str,
    may: &'static [&'static str],
    pure: bool,
}

const ROOMS: [Room; 19] = [
    Room {
        name: "model",
        may: &[],
        pure: true,
    },
    Room {
        name: "manifest",
        may: &["model"],
        pure: true,
    },
    Room {
        name: "provenance",
        may: &["model", "manifest"],
        pure: true,
    },
    Room {
        name: "automation",
        may: &["model", "manifest"],
        pure: true,
    },
    Room {
        name: "timeline",
        may: &["model", "manifest"],
        pure: true,
    },
    Room {
        name: "plan",
        may: &["model", "manifest", "timeline", "provenance", "automation"],
        pure: true,
    },
    Room {
        name: "verify",
        may: &["model", "manifest", "plan"],
        pure: true,
    },
    Room {
        name: "report",
        may: &[
            "model",
            "manifest",
            "timeline",
            "provenance",
            "plan",
            "verify",
        ],
        pure: true,
    },
    Room {
        name: "config",
        may: &["model"],
        pure: true,
    },
    Room {
        name: "cluster",
        may: &["model", "remember"],
        pure: false,
    },
    Room {
        name: "argocd",
        may: &["model", "remember"],
        pure: false,
    },
    Room {
        name: "git",
        may: &["model", "process", "remember"],
        pure: false,
    },
    Room {
        name: "signals",
        may: &["model"],
        pure: false,
    },
    Room {
        name: "programs",
        may: &["model", "process"],
        pure: false,
    },
    Room {
        name: "tracker",
        may: &["model", "process"],
        pure: false,
    },
    Room {
        name: "observe",
        may: &[
            "model",
            "manifest",
            "provenance",
            "automation",
            "cluster",
            "argocd",
            "git",
            "signals",
            "programs",
        ],
        pure: false,
    },
    Room {
        name: "execute",
        may: &[
            "model", "manifest", "timeline", "plan", "verify", "report", "cluster", "argocd",
            "git", "signals", "tracker", "observe",
        ],
        pure: false,
    },
    Room {
        name: "sandbox",
        may: &["model", "provenance"],
        pure: false,
    },
    Room {
        name: "cli",
        may: &[
            "model",
            "manifest",
            "timeline",
            "provenance",
            "plan",
            "verify",
            "report",
            "config",
            "cluster",
            "argocd",
            "git",
            "programs",
            "tracker",
            "observe",
            "execute",
            "sandbox",
            "exit",
        ],
        pure: false,
    },
];

/// What a pure room must not name.
const IMPURE: [&str; 12] = [
    "tokio::",
    "kube::",
    "k8s_openapi::",
    "git2::",
    "reqwest::",
    "axum::",
    "std::fs",
    "std::net",
    "std::process",
    "std::env::var",
    "SystemTime",
    "Timestamp::now",
];

/// Crates that one room owns, with the rooms that may name them.
const OWNED: [(&str, &[&str]); 7] = [
    ("granit_parser", &["manifest"]),
    // The sandbox stands behind the wire and reads its own bare repositories.
    ("git2::", &["git", "sandbox"]),
    ("kube::", &["cluster"]),
    // The demo plays a person with kubectl and the argocd CLI, the sandbox an Argo CD that downloads
    // charts.
    ("reqwest::", &["argocd", "signals", "cli", "sandbox"]),
    ("clap::", &["cli"]),
    ("axum::", &["sandbox"]),
    ("minijinja::", &["report"]),
];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "tests" {
                files(&path, found);
            }
        } else if name.ends_with(".rs")
            && !name.ends_with("tests.rs")
            && name != "fake.rs"
            && name != "testing.rs"
        {
            found.push(path);
        }
    }
}

/// The code of a file without its tests, comments and doc comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text
        .split("\n#[cfg(test)]\nmod ")
        .next()
        .unwrap()
        .to_owned();
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn code_of(room: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    files(&source().join(room), &mut found);
    found
        .into_iter()
        .map(|path| {
            let code = code(&path);
            (path, code)
        })
        .collect()
}

/// Rooms named as `crate::room` in a text.
fn named_rooms(code: &str) -> Vec<String> {
    code.match_indices("crate::")
        .filter_map(|(at, _)| {
            let rest = &code[at + "crate::".len()..];
            let room: String = rest
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                .collect();
            (!room.is_empty()).then_some(room)
        })
        .collect()
}

#[test]
fn rooms_import_only_what_they_may() {
    let mut breaches = Vec::new();
    for room in &ROOMS {
        for (path, code) in code_of(room.name) {
            for other in named_rooms(&code) {
                if other != room.name && !room.may.contains(&other.as_str()) {
                    breaches.push(format!("{}: {} imports {other}", path.display(), room.name));
                }
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn pure_rooms_touch_nothing_outside() {
    let mut breaches = Vec::new();
    for room in ROOMS.iter().filter(|room| room.pure) {
        for (path, code) in code_of(room.name) {
            for word in IMPURE {
                if code.contains(word) {
                    breaches.push(format!("{}: {word}", path.display()));
                }
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn crates_stay_in_their_rooms() {
    let mut breaches = Vec::new();
    for room in &ROOMS {
        for (path, code) in code_of(room.name) {
            for (word, owners) in OWNED {
                let named = code.match_indices(word).any(|(at, _)| {
                    !code[..at]
                        .ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':')
                });
                if named && !owners.contains(&room.name) {
                    breaches.push(format!("{}: {word}", path.display()));
                }
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn only_the_command_line_reads_the_environment() {
    let mut breaches = Vec::new();
    for room in ROOMS
        .iter()
        .filter(|room| !matches!(room.name, "cli" | "sandbox"))
    {
        for (path, code) in code_of(room.name) {
            // `split_paths` splits a text that it is given and reads nothing.
            if code
                .replace("std::env::split_paths", "")
                .contains("std::env")
            {
                breaches.push(path.display().to_string());
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn every_folder_in_src_is_a_known_room() {
    for entry in fs::read_dir(source()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "bin" {
            assert!(
                ROOMS.iter().any(|room| room.name == name),
                "{name} has no import rule"
            );
        }
    }
}

#[test]
fn a_breach_would_be_seen() {
    assert_eq!(
        named_rooms("use crate::git::Repository;\nlet x = crate::plan::build();"),
        ["git", "plan"]
    );
    assert!(IMPURE.iter().any(|word| "use tokio::time;".contains(word)));
}
