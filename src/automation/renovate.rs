//! Renovate (38 to 41): whether one of its managers reads one of the target's files.
//!
//! A manager reads the files that its patterns match: `fileMatch` (regular expressions, before
//! 40), `managerFilePatterns` (40 and later: `/REGULAR EXPRESSION/` or a glob). The managers for
//! Kubernetes, Argo CD and Flux have no pattern of their own that matches manifests.

use globset::GlobBuilder;
use regex::Regex;
use serde_json::{Value, json};

use super::seen::Subject;
use super::{Change, Finding, Pin, Tool};

/// Where Renovate looks for its configuration (`configFileNames`; package.json is deprecated).
const NAMES: [&str; 9] = [
    "renovate.json",
    "renovate.json5",
    ".github/renovate.json",
    ".github/renovate.json5",
    ".gitlab/renovate.json",
    ".gitlab/renovate.json5",
    ".renovaterc",
    ".renovaterc.json",
    ".renovaterc.json5",
];

/// Managers that read images out of YAML, with the patterns that they have by themselves.
const MANAGERS: [(&str, &str); 5] = [
    ("kubernetes", ""),
    ("argocd", ""),
    ("flux", r"(^|/)gotk-components\.ya?ml$"),
    ("kustomize", r"(^|/)kustomization\.ya?ml$"),
    ("helm-values", r"(^|/)values\.ya?ml$"),
];

pub(super) fn is_one(path: &str) -> bool {
    NAMES.contains(&path)
}

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    // The first one that there is counts.
    let mut names = NAMES.iter();
    let found = names.find_map(|name| Some((*name, subject.view_file(name)?)));
    let Some((path, text)) = found else {
        return Vec::new();
    };
    let Ok(config) = serde_json::from_str::<Value>(text) else {
        return vec![unreadable(path)];
    };
    if config["enabled"] == Value::Bool(false) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for file in subject.paths() {
        if let Some(manager) = manager_of(&config, file) {
            found.extend(finding(subject, (path, &config), (file, &manager)));
        }
    }
    if found.is_empty() {
        found.extend(by_preset(path, &config));
    }
    found
}

fn unreadable(path: &str) -> Finding {
    Finding {
        tool: Tool::Renovate,
        place: path.to_owned(),
        does: "is configured by a file that is no plain JSON, which unship does not read"
            .to_owned(),
        when: "whenever Renovate runs".to_owned(),
        certain: false,
        pin: Pin::ByHand(format!(
            "JSON5 is not edited; add a package rule with enabled: false for the image to {path}"
        )),
    }
}

/// Presets of other repositories may have patterns that are not seen here.
fn by_preset(path: &str, config: &Value) -> Option<Finding> {
    let extends = config["extends"].as_array().into_iter().flatten();
    let foreign: Vec<&str> = extends
        .filter_map(Value::as_str)
        .filter(|preset| preset.contains('>') || preset.contains("://"))
        .collect();
    (!foreign.is_empty()).then(|| Finding {
        tool: Tool::Renovate,
        place: path.to_owned(),
        does: format!(
            "may update it by the presets {}, which are not read",
            foreign.join(", ")
        ),
        when: "whenever Renovate runs".to_owned(),
        certain: false,
        pin: Pin::ByHand(format!(
            "look at what these presets match; a package rule in {path} with enabled: false stops it"
        )),
    })
}

/// A manager that reads a file, or may.
struct Manager {
    name: String,
    /// The pattern that decides over it and cannot be read.
    unread: Option<String>,
}

/// Whether patterns match a file.
enum Match {
    Yes,
    No,
    /// This pattern could: it has what only JavaScript's regular expressions have.
    Unread(String),
}

/// The manager that reads a file; one that surely does before one that may.
fn manager_of(config: &Value, file: &str) -> Option<Manager> {
    let list = |value: &Value| -> Vec<String> {
        let items = value.as_array().into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let ignored = list(&config["ignorePaths"]);
    let included = list(&config["includePaths"]);
    // Ignored is what has the text in it, too (`filterIgnoredFiles`).
    let is = |path: &String| path == file || matches_glob(path, file);
    if ignored.iter().any(|path| file.contains(path) || is(path))
        || (!included.is_empty() && !included.iter().any(is))
    {
        return None;
    }
    let enabled = list(&config["enabledManagers"]);
    let mut found: Vec<(String, Match)> = Vec::new();
    for (name, own) in MANAGERS {
        let settings = &config[name];
        if settings["enabled"] == Value::Bool(false)
            || (!enabled.is_empty() && !enabled.iter().any(|manager| manager == name))
        {
            continue;
        }
        let matched = if !own.is_empty() && matches_regex(own, file) == Some(true) {
            Match::Yes
        } else {
            patterns_match(settings, file)
        };
        found.push((name.to_owned(), matched));
    }
    let asked = enabled.is_empty()
        || enabled
            .iter()
            .any(|m| m == "regex" || m.starts_with("custom."));
    for key in ["customManagers", "regexManagers"] {
        let custom = config[key].as_array().into_iter().flatten();
        for manager in custom.filter(|_| asked) {
            found.push(("a custom manager".to_owned(), patterns_match(manager, file)));
        }
    }
    let mut unread = None;
    for (name, matched) in found {
        match matched {
            Match::Yes => return Some(Manager { name, unread: None }),
            Match::Unread(pattern) if unread.is_none() => {
                unread = Some(Manager {
                    name,
                    unread: Some(pattern),
                });
            }
            Match::Unread(_) | Match::No => {}
        }
    }
    unread
}

fn patterns_match(settings: &Value, file: &str) -> Match {
    let texts = |key: &str| -> Vec<String> {
        match &settings[key] {
            Value::String(one) => vec![one.clone()],
            Value::Array(many) => many
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            _ => Vec::new(),
        }
    };
    let regexes = texts("fileMatch").into_iter();
    let regexes = regexes.map(|regex| (matches_regex(&regex, file), regex));
    let patterns = texts("managerFilePatterns").into_iter();
    let patterns = patterns.map(|pattern| (matches_pattern(&pattern, file), pattern));
    let mut unread = None;
    for (matched, pattern) in regexes.chain(patterns) {
        match matched {
            Some(true) => return Match::Yes,
            Some(false) => {}
            None => unread = unread.or(Some(pattern)),
        }
    }
    unread.map_or(Match::No, Match::Unread)
}

/// Whether a pattern matches (`matchRegexOrGlob`): `/REGULAR EXPRESSION/`, also with `i` behind
/// it, or a glob; with `!` before it what it does not match. `None` where it cannot be read.
fn matches_pattern(pattern: &str, text: &str) -> Option<bool> {
    if pattern == "*" {
        return Some(true);
    }
    let (negated, plain) = match pattern.strip_prefix('!') {
        Some(plain) => (true, plain),
        None => (false, pattern),
    };
    let regex = plain.strip_prefix('/').and_then(|rest| {
        let bare = |rest: &str| rest.strip_suffix('/').map(str::to_owned);
        let any_case = rest.strip_suffix('i').and_then(bare);
        any_case
            .map(|regex| format!("(?i){regex}"))
            .or_else(|| bare(rest))
    });
    let matched = match regex {
        Some(regex) => matches_regex(&regex, text)?,
        None => matches_glob(plain, text),
    };
    Some(matched != negated)
}

/// Whether a list of patterns matches (`matchRegexOrGlobList`): one without `!` where there is
/// one, and all with it. What cannot be read does not match.
fn matches_list(patterns: &[&str], text: &str) -> bool {
    let (not, own): (Vec<&str>, Vec<&str>) = patterns.iter().partition(|p| p.starts_with('!'));
    let matches = |pattern: &&str| matches_pattern(pattern, text) == Some(true);
    !patterns.is_empty() && (own.is_empty() || own.iter().any(matches)) && not.iter().all(matches)
}

/// `None` where the expression cannot be read.
fn matches_regex(pattern: &str, text: &str) -> Option<bool> {
    let regex = Regex::new(pattern).ok()?;
    Some(regex.is_match(text))
}

fn matches_glob(pattern: &str, text: &str) -> bool {
    let glob = GlobBuilder::new(pattern)
        .literal_separator(true)
        .case_insensitive(true)
        .build();
    glob.is_ok_and(|glob| glob.compile_matcher().is_match(text))
}

fn finding(
    subject: &Subject<'_>,
    (path, config): (&str, &Value),
    (file, manager): (&str, &Manager),
) -> Option<Finding> {
    let images = open_images(subject, config, file);
    if images.is_empty() {
        return None;
    }
    let named = images.join(", ");
    let name = manager.name.as_str();
    let merges = config["automerge"] == Value::Bool(true) || config[name]["automerge"] == true;
    let mut does = if merges {
        format!("updates {named} in {file} ({name}) and merges that by itself")
    } else {
        format!("proposes updates of {named} in {file} ({name}) as pull requests")
    };
    if let Some(pattern) = &manager.unread {
        does.push_str(&format!(
            ", if its pattern {pattern} matches, which unship cannot read"
        ));
    }
    let schedule = match &config["schedule"] {
        Value::String(one) => Some(one.clone()),
        Value::Array(many) => {
            let texts: Vec<&str> = many.iter().filter_map(Value::as_str).collect();
            (!texts.is_empty()).then(|| texts.join(", "))
        }
        _ => None,
    };
    let when = schedule.map_or_else(
        || "whenever Renovate runs".to_owned(),
        |schedule| format!("whenever Renovate runs, {schedule}"),
    );
    Some(Finding {
        tool: Tool::Renovate,
        place: path.to_owned(),
        does,
        when,
        certain: merges && manager.unread.is_none(),
        pin: Pin::Edit {
            path: path.to_owned(),
            change: Change::Rule {
                rule: json!({
                    "description": format!("held by unship: {}", subject.target.path()),
                    "matchFileNames": [file],
                    "matchPackageNames": images,
                    "enabled": false
                }),
            },
            words: format!("{path} gets a package rule that switches {named} off in {file}"),
        },
    })
}

/// The images of the target that no package rule has switched off in a file; each once.
fn open_images(subject: &Subject<'_>, config: &Value, file: &str) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    for image in &subject.images {
        let name = image.name();
        if !is_off(config, file, name) && !open.iter().any(|own| own == name) {
            open.push(name.to_owned());
        }
    }
    open
}

/// Whether the last package rule that says so switches the image off there. A rule that
/// switches off under other conditions is not taken for one; one that switches on again is,
/// whatever else it asks for.
fn is_off(config: &Value, file: &str, image: &str) -> bool {
    const KNOWN: [&str; 4] = [
        "description",
        "enabled",
        "matchFileNames",
        "matchPackageNames",
    ];
    let rules = config["packageRules"].as_array();
    let mut off = false;
    for rule in rules.into_iter().flatten() {
        let (Some(map), Some(enabled)) = (rule.as_object(), rule["enabled"].as_bool()) else {
            continue;
        };
        let any = |key: &str, text: &str| {
            let list = rule[key].as_array();
            list.is_none_or(|list| {
                let texts: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
                texts.contains(&text) || matches_list(&texts, text)
            })
        };
        let known = map.keys().all(|key| KNOWN.contains(&key.as_str()));
        if any("matchFileNames", file) && any("matchPackageNames", image) && (enabled || known) {
            off = !enabled;
        }
    }
    off
}
