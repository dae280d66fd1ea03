//! Argo CD Image Updater (0.x: annotations on the Application; 1.x: ImageUpdater objects, and
//! annotations where one of them says `useAnnotations`).

use super::seen::{Seen, Subject};
use super::{Change, Finding, Pin, Tool};
use crate::manifest::Path;
use crate::model::Application;

/// The prefix of its annotations.
const PREFIX: &str = "argocd-image-updater.argoproj.io/";

/// How often it looks, unless it is told otherwise (`--interval`, 2m0s).
const INTERVAL: &str = "every 2 minutes unless its --interval says otherwise";

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let Some(app) = subject.application else {
        return Vec::new();
    };
    by_annotations(subject, app)
}

/// One entry of `image-list`: `[ALIAS=]IMAGE[:CONSTRAINT]`.
struct Listed<'a> {
    alias: Option<&'a str>,
    image: &'a str,
    constraint: Option<&'a str>,
}

fn listed(entry: &str) -> Listed<'_> {
    let (alias, rest) = match entry.split_once('=') {
        Some((alias, rest)) => (Some(alias.trim()), rest.trim()),
        None => (None, entry.trim()),
    };
    // A registry may have a port: the constraint follows the last part.
    let name = rest.rfind('/').map_or(0, |at| at + 1);
    let (image, constraint) = match rest.get(name..).and_then(|last| last.find(':')) {
        Some(at) => (
            rest.get(..name + at).unwrap_or(rest),
            rest.get(name + at + 1..),
        ),
        None => (rest, None),
    };
    Listed {
        alias,
        image,
        constraint,
    }
}

fn by_annotations(subject: &Subject<'_>, app: &Application) -> Vec<Finding> {
    let get = |key: &str| app.annotations.get(&format!("{PREFIX}{key}"));
    let Some(list) = get("image-list") else {
        return Vec::new();
    };
    if is_passed_over(app) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for entry in list.split(',').map(listed) {
        if !subject.runs(entry.image) {
            continue;
        }
        let alias = entry.alias.map(|alias| alias.replace('/', "_"));
        // An image's own setting goes before the Application's (`ParseIgnoreTags`, 0.12).
        let setting = |key: &str| {
            let own = alias.as_ref();
            own.and_then(|alias| get(&format!("{alias}.{key}")))
                .or_else(|| get(key))
                .map(String::as_str)
        };
        let ignored = setting("ignore-tags").unwrap_or_default();
        if ignored.split(',').any(|glob| glob.trim() == "*") {
            continue;
        }
        let key = match &alias {
            Some(alias) => format!("{PREFIX}{alias}.ignore-tags"),
            None => format!("{PREFIX}ignore-tags"),
        };
        found.push(Finding {
            tool: Tool::ImageUpdater,
            place: format!("annotations of Application {}/{}", app.namespace, app.name),
            does: format!(
                "sets {} to {}{}, {}",
                entry.image,
                strategy(setting("update-strategy"), entry.constraint),
                allowed(setting("allow-tags")),
                write_back(app)
            ),
            when: format!("it looks {INTERVAL}"),
            certain: true,
            pin: annotation_pin(subject, app, &key),
        });
    }
    found
}

/// Only what Helm or Kustomize renders is updated, unless a target of the write-back says what
/// it is (`getApplicationType`, 0.12 and later).
fn is_passed_over(app: &Application) -> bool {
    let rendered = |kind: &String| kind == "Kustomize" || kind == "Helm";
    !app.source_types.is_empty()
        && !app.source_types.iter().any(rendered)
        && !app
            .annotations
            .contains_key(&format!("{PREFIX}write-back-target"))
}

fn strategy(name: Option<&str>, constraint: Option<&str>) -> String {
    let constraint = constraint.unwrap_or_default();
    match name.unwrap_or("semver") {
        "latest" | "newest-build" => "the newest build".to_owned(),
        "name" | "alphabetical" => "the last tag in alphabetical order".to_owned(),
        "digest" => format!("the newest digest of the tag {constraint}"),
        // An unknown strategy is taken for semver.
        _ if constraint.is_empty() => "the highest version".to_owned(),
        _ => format!("the highest version that satisfies {constraint}"),
    }
}

fn allowed(pattern: Option<&str>) -> String {
    pattern.map_or_else(String::new, |pattern| {
        format!(" among tags that match {pattern}")
    })
}

/// Where it writes: parameters of the Application, or a file in Git.
fn write_back(app: &Application) -> String {
    let get = |key: &str| app.annotations.get(&format!("{PREFIX}{key}"));
    let method = get("write-back-method").map_or("argocd", String::as_str);
    if method != "git" && !method.starts_with("git:") {
        return format!(
            "as a parameter of Application {}, which outranks Git",
            app.name
        );
    }
    match get("write-back-target").map(String::as_str) {
        Some(target) if target.starts_with("kustomization") => {
            "by a commit to the kustomization".to_owned()
        }
        Some(target) if target.starts_with("helmvalues") => {
            "by a commit to the values file".to_owned()
        }
        _ => format!(
            "by a commit to .argocd-source-{}.yaml, which outranks the other files",
            app.name
        ),
    }
}

/// All tags are ignored: the way that its documentation names for a pause.
fn annotation_pin(subject: &Subject<'_>, app: &Application, key: &str) -> Pin {
    let list = format!(
        "/metadata/annotations/{}image-list",
        PREFIX.replace('/', "~1")
    );
    let own = |seen: &&Seen| {
        seen.name == app.name && seen.may_be_in(&app.namespace) && seen.text(&list).is_some()
    };
    let manifests: Vec<&Seen> = subject.all("Application").filter(own).collect();
    let files: Vec<&(String, usize)> = manifests.iter().filter_map(|s| s.file.as_ref()).collect();
    if let [(path, _)] = files.as_slice() {
        return Pin::Edit {
            path: path.clone(),
            change: Change::Field {
                kind: "Application".to_owned(),
                name: app.name.clone(),
                path: Path::of_keys(["metadata", "annotations", key]),
                value: "*".into(),
            },
            words: format!("Application {} gets {key}: \"*\" in {path}", app.name),
        };
    }
    let where_ = match files.as_slice() {
        [] => "its manifest is not in this repository".to_owned(),
        many => {
            let places: Vec<String> = many.iter().map(|(p, line)| format!("{p}:{line}")).collect();
            format!("its manifest could be {}", places.join(" or "))
        }
    };
    Pin::ByHand(format!(
        "{where_}; set the annotation {key}: \"*\" on Application {ns}/{name} where it is kept, or `kubectl annotate applications.argoproj.io {name} -n {ns} --overwrite '{key}=*'`",
        ns = app.namespace,
        name = app.name
    ))
}
