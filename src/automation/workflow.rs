//! A CI workflow of the repository that writes one of the target's files.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::seen::Subject;
use super::{Finding, Pin, Tool};
use crate::manifest::{Address, Manifest, Path};

/// Whether a file is a CI's configuration, by where the CI looks for it.
pub(super) fn is_one(path: &str) -> bool {
    const ROOT: [&str; 6] = [
        ".gitlab-ci.yml",
        "azure-pipelines.yml",
        "bitbucket-pipelines.yml",
        "Jenkinsfile",
        ".drone.yml",
        ".woodpecker.yml",
    ];
    const FOLDERS: [&str; 7] = [
        ".github/workflows/",
        ".gitea/workflows/",
        ".forgejo/workflows/",
        ".gitlab/ci/",
        ".circleci/",
        ".woodpecker/",
        ".tekton/",
    ];
    ROOT.contains(&path) || FOLDERS.iter().any(|folder| path.starts_with(folder))
}

/// Commands that write YAML in place.
static WRITER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"\byq\b[^\n]*?(?:\s-i\b|\s--inplace\b|\s-[a-zA-Z]*i[a-zA-Z]*\b)|\bsed\b[^\n]*?\s(?:-[a-zA-Z]*i|--in-place)|\bperl\b[^\n]*?\s-[a-zA-Z]*i|kustomize\s+edit\s+set\s+image|\bkpt\s+fn\b|>\s*\S+\.ya?ml\b|\btee\b[^\n]*\.ya?ml\b|yaml[-_]update|update[-_]image[-_]tag",
    )
    .ok()
});

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let Some(writer) = &*WRITER else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (path, text) in subject.view_files() {
        if !is_one(path) {
            continue;
        }
        let (scripts, trigger) = scripts(text);
        let hits = scripts
            .iter()
            .filter_map(|script| hit(subject, script, writer));
        let best = hits.max_by_key(|hit| hit.certain);
        if let Some(hit) = best {
            found.push(finding(path, text, &hit, trigger.as_deref()));
        }
    }
    found
}

struct Hit {
    /// The file that is written.
    file: String,
    /// The line that writes it.
    line: String,
    certain: bool,
}

/// A command that writes in place and names one of the target's files, or its file name in a
/// script that names its folder. A file that only the script around it names, or a file name
/// without a folder, is a maybe.
fn hit(subject: &Subject<'_>, script: &str, writer: &Regex) -> Option<Hit> {
    // A command that goes on in the next line is one.
    let script = script.replace("\\\n", " ");
    let paths = subject.paths();
    let lines = script.lines().filter(|line| writer.is_match(line));
    let hits = lines.flat_map(|line| {
        let script = script.as_str();
        paths.iter().filter_map(move |path| {
            let certain = how_certain(path, line, script)?;
            Some(Hit {
                file: (*path).to_owned(),
                line: line.trim().to_owned(),
                certain,
            })
        })
    });
    hits.max_by_key(|hit| hit.certain)
}

/// `None` where the script has nothing to do with the file.
fn how_certain(path: &str, line: &str, script: &str) -> Option<bool> {
    let (folder, base) = path.rsplit_once('/').unwrap_or(("", path));
    let in_folder = !folder.is_empty() && names(script, folder);
    let sets_image = line.contains("kustomize") && base.starts_with("kustomization.");
    if names(line, path) || in_folder && (names(line, base) || sets_image) {
        return Some(true);
    }
    // Every kustomization and values file has the same name: that alone says nothing.
    let own_name = !base.starts_with("kustomization.") && !base.starts_with("values.");
    (names(script, path) || own_name && names(line, base)).then_some(false)
}

/// Whether a text names a path, not only a longer one that ends or begins like it.
fn names(text: &str, wanted: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    text.match_indices(wanted).any(|(at, _)| {
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        let after = text.get(at + wanted.len()..).and_then(|t| t.chars().next());
        !before.is_some_and(part) && !after.is_some_and(|c| part(c) && c != '.')
    })
}

/// The scripts of a workflow, each with the folder that it runs in, and what starts it.
fn scripts(text: &str) -> (Vec<String>, Option<String>) {
    let manifest = Manifest::parse_lenient(text);
    let value = manifest.value(&Address::document(0), &Path::default());
    let Some(value) = value.filter(Value::is_object) else {
        return (vec![text.to_owned()], None);
    };
    let mut found = Vec::new();
    collect(&value, "", &mut found);
    (found, trigger(&value))
}

fn collect(value: &Value, folder: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            let own = map
                .get("working-directory")
                .or_else(|| map.get("workingDirectory"));
            let own = own.and_then(Value::as_str).unwrap_or(folder);
            for (key, value) in map {
                match key.as_str() {
                    "run" | "script" | "before_script" | "after_script" | "command"
                    | "commands" | "bash" => {
                        if let Some(script) = lines(value) {
                            found.push(format!("{own}\n{script}"));
                        }
                        collect(value, own, found);
                    }
                    "with" => {
                        // An action that writes, with the file among its inputs.
                        let uses = map.get("uses").and_then(Value::as_str).unwrap_or_default();
                        found.push(format!("{uses} {}", inputs(value)));
                    }
                    _ => collect(value, own, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, folder, found)),
        _ => {}
    }
}

fn lines(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let lines: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            (!lines.is_empty()).then(|| lines.join("\n"))
        }
        _ => None,
    }
}

fn inputs(value: &Value) -> String {
    let map = value.as_object();
    let texts = map.into_iter().flatten().filter_map(|(_, v)| v.as_str());
    texts.collect::<Vec<_>>().join(" ")
}

/// What starts a GitHub workflow; `on` is a boolean to YAML 1.1.
fn trigger(value: &Value) -> Option<String> {
    let on = value.get("on").or_else(|| value.get("true"))?;
    Some(match on {
        Value::String(one) => one.clone(),
        Value::Array(many) => {
            let names: Vec<&str> = many.iter().filter_map(Value::as_str).collect();
            names.join(", ")
        }
        Value::Object(map) => {
            let names: Vec<&str> = map.keys().map(String::as_str).collect();
            names.join(", ")
        }
        _ => return None,
    })
}

fn finding(path: &str, text: &str, hit: &Hit, trigger: Option<&str>) -> Finding {
    let start: String = hit.line.chars().take(30).collect();
    let line = text.lines().position(|line| line.contains(&start));
    let place = line.map_or_else(|| path.to_owned(), |line| format!("{path}:{}", line + 1));
    let when = trigger.map_or_else(
        || "whenever its pipeline runs".to_owned(),
        |trigger| format!("on {trigger}"),
    );
    let name = path.rsplit('/').next().unwrap_or(path);
    let off = if path.starts_with(".github/") {
        format!("`gh workflow disable {name}` until it is clear")
    } else {
        "switch the job off until it is clear".to_owned()
    };
    Finding {
        tool: Tool::Workflow,
        place: place.clone(),
        does: format!("writes {} to what its job has built or is told", hit.file),
        when,
        certain: hit.certain,
        pin: Pin::ByHand(format!("{off}, or take the command at {place} out")),
    }
}
