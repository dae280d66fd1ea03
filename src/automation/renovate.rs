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

/// The manager that reads a file.
fn manager_of(config: &Value, file: &str) -> Option<String> {
    let list = |value: &Value| -> Vec<String> {
        let items = value.as_array().into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let ignored = list(&config["ignorePaths"]);
    let included = list(&config["includePaths"]);
    if ignored.iter().any(|glob| matches_glob(glob, file))
        || (!included.is_empty() && !included.iter().any(|glob| matches_glob(glob, file)))
    {
        return None;
    }
    let enabled = list(&config["enabledManagers"]);
    for (name, own) in MANAGERS {
        let settings = &config[name];
        if settings["enabled"] == Value::Bool(false)
            || (!enabled.is_empty() && !enabled.iter().any(|manager| manager == name))
        {
            continue;
        }
        let matched =
            (!own.is_empty() && matches_regex(own, file)) || patterns_match(settings, file);
        if matched {
            return Some(name.to_owned());
        }
    }
    let custom = ["customManagers", "regexManagers"];
    let mut custom = custom
        .iter()
        .filter_map(|key| config[*key].as_array())
        .flatten();
    let asked = enabled.is_empty()
        || enabled
            .iter()
            .any(|m| m == "regex" || m.starts_with("custom."));
    (asked && custom.any(|manager| patterns_match(manager, file)))
        .then(|| "a custom manager".to_owned())
}

fn patterns_match(settings: &Value, file: &str) -> bool {
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
    texts("fileMatch")
        .iter()
        .any(|regex| matches_regex(regex, file))
        || texts("managerFilePatterns")
            .iter()
            .any(|pattern| matches_pattern(pattern, file))
}

fn matches_pattern(pattern: &str, file: &str) -> bool {
    let regex = pattern.strip_prefix('/').and_then(|rest| {
        let (regex, flags) = rest.rsplit_once('/')?;
        Some(match flags {
            "i" => format!("(?i){regex}"),
            _ => regex.to_owned(),
        })
    });
    match regex {
        Some(regex) => matches_regex(&regex, file),
        None => matches_glob(pattern, file),
    }
}

fn matches_regex(pattern: &str, file: &str) -> bool {
    Regex::new(pattern).is_ok_and(|regex| regex.is_match(file))
}

fn matches_glob(pattern: &str, file: &str) -> bool {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    glob.is_ok_and(|glob| glob.compile_matcher().is_match(file))
}

fn finding(
    subject: &Subject<'_>,
    (path, config): (&str, &Value),
    (file, manager): (&str, &str),
) -> Option<Finding> {
    let image = subject.images.first()?.name().to_owned();
    let rules = config["packageRules"].as_array();
    let mut rules = rules.into_iter().flatten();
    if rules.any(|rule| stops(rule, file, &image)) {
        return None;
    }
    let merges = config["automerge"] == Value::Bool(true) || config[manager]["automerge"] == true;
    let does = if merges {
        format!("updates {image} in {file} ({manager}) and merges that by itself")
    } else {
        format!("proposes updates of {image} in {file} ({manager}) as pull requests")
    };
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
        certain: merges,
        pin: Pin::Edit {
            path: path.to_owned(),
            change: Change::Rule {
                rule: json!({
                    "description": format!("held by unship: {}", subject.target.path()),
                    "matchFileNames": [file],
                    "matchPackageNames": [image],
                    "enabled": false
                }),
            },
            words: format!("{path} gets a package rule that switches {image} off in {file}"),
        },
    })
}

/// Whether a package rule switches the image off there. A rule with other conditions is not
/// taken for one.
fn stops(rule: &Value, file: &str, image: &str) -> bool {
    const KNOWN: [&str; 4] = [
        "description",
        "enabled",
        "matchFileNames",
        "matchPackageNames",
    ];
    let Some(map) = rule.as_object() else {
        return false;
    };
    let list = |key: &str| rule[key].as_array();
    let any = |key: &str, is: &dyn Fn(&str) -> bool| {
        list(key).is_none_or(|items| items.iter().filter_map(Value::as_str).any(is))
    };
    rule["enabled"] == Value::Bool(false)
        && map.keys().all(|key| KNOWN.contains(&key.as_str()))
        && any("matchFileNames", &|glob| {
            glob == file || matches_glob(glob, file)
        })
        && any("matchPackageNames", &|name| name == image || name == "*")
}
