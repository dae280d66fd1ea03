//! Argo CD Image Updater: annotations on the Application (0.x), ImageUpdater objects (1.x, group
//! argocd-image-updater.argoproj.io/v1alpha1), and annotations where such an object says
//! `useAnnotations` (1.0).

use globset::Glob;
use serde_json::{Value, json};

use super::seen::{Seen, Subject};
use super::{Change, Finding, Pin, Tool};
use crate::manifest::{Path, Step};
use crate::model::Application;

/// The prefix of its annotations.
const PREFIX: &str = "argocd-image-updater.argoproj.io/";

/// How often it looks, unless it is told otherwise (`--interval`, 2m0s).
const INTERVAL: &str = "it looks every 2 minutes unless its --interval says otherwise";

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let Some(app) = subject.application else {
        return Vec::new();
    };
    let mut found = by_annotations(subject, app);
    found.extend(by_objects(subject, app));
    found
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
    let colon = rest.get(name..).and_then(|last| last.find(':'));
    let (image, constraint) = match colon {
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
    if subject.git.rendered.is_none() && is_passed_over(app) {
        return Vec::new();
    }
    let (certain, when) = annotations_count(subject, app);
    let method = get("write-back-method").map_or("argocd", String::as_str);
    let target = get("write-back-target").map(String::as_str);
    let mut found = Vec::new();
    for entry in list.split(',').map(listed) {
        if !subject.runs(entry.image) {
            continue;
        }
        let alias = entry.alias.map(|alias| alias.replace('/', "_"));
        // An image's own setting goes before the Application's (0.12 and later).
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
        let update = Update {
            image: entry.image,
            constraint: entry.constraint,
            strategy: setting("update-strategy"),
            allowed: setting("allow-tags"),
            write_back: (method, target),
        };
        found.push(Finding {
            tool: Tool::ImageUpdater,
            place: format!("annotations of Application {}/{}", app.namespace, app.name),
            does: update.words(app),
            when: when.clone(),
            certain,
            pin: annotation_pin(subject, app, &key),
        });
    }
    found
}

/// Only what Helm or Kustomize renders is updated, unless the target of the write-back says what
/// it is (0.12 and later).
pub(super) fn is_passed_over(app: &Application) -> bool {
    let rendered = |kind: &String| kind == "Kustomize" || kind == "Helm";
    !app.source_types.is_empty()
        && !app.source_types.iter().any(rendered)
        && !app
            .annotations
            .contains_key(&format!("{PREFIX}write-back-target"))
}

/// 1.x reads annotations only where an ImageUpdater asks for it.
fn annotations_count(subject: &Subject<'_>, app: &Application) -> (bool, String) {
    let mut objects = subject.all("ImageUpdater").peekable();
    if objects.peek().is_none() {
        return (true, INTERVAL.to_owned());
    }
    let asked = objects.any(|object| {
        refs(object, app).any(|(_, own, _)| own["useAnnotations"] == Value::Bool(true))
    });
    if asked {
        return (true, INTERVAL.to_owned());
    }
    let when = "no ImageUpdater that was read uses the annotations of this Application, and since 1.0 one must";
    (false, when.to_owned())
}

/// What is done to one image.
struct Update<'a> {
    image: &'a str,
    constraint: Option<&'a str>,
    strategy: Option<&'a str>,
    allowed: Option<&'a str>,
    /// Method and target.
    write_back: (&'a str, Option<&'a str>),
}

impl Update<'_> {
    fn words(&self, app: &Application) -> String {
        let allowed = self.allowed.map_or_else(String::new, |pattern| {
            format!(" among tags that match {pattern}")
        });
        format!(
            "sets {} to {}{allowed}, {}",
            self.image,
            self.strategy(),
            self.written(app)
        )
    }

    fn strategy(&self) -> String {
        let constraint = self.constraint.unwrap_or_default();
        match self.strategy.unwrap_or("semver") {
            "latest" | "newest-build" => "the newest build".to_owned(),
            "name" | "alphabetical" => "the last tag in alphabetical order".to_owned(),
            "digest" => format!("the newest digest of the tag {constraint}"),
            // An unknown strategy is taken for semver.
            _ if constraint.is_empty() => "the highest version".to_owned(),
            _ => format!("the highest version that satisfies {constraint}"),
        }
    }

    /// Where it writes: parameters of the Application, or a file in Git.
    fn written(&self, app: &Application) -> String {
        let (method, target) = self.write_back;
        if method != "git" && !method.starts_with("git:") {
            return format!(
                "as a parameter of Application {}, which outranks Git",
                app.name
            );
        }
        match target {
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
    let edit = |path: &str| Pin::Edit {
        path: path.to_owned(),
        change: Change::Field {
            kind: "Application".to_owned(),
            name: app.name.clone(),
            path: Path::of_keys(["metadata", "annotations", key]),
            value: "*".into(),
        },
        words: format!(
            "Application {} gets {key}: \"*\" in {path}{}",
            app.name,
            stopped_too(app, key)
        ),
    };
    match only_file(&manifests) {
        Ok(path) => edit(path),
        Err(why) => Pin::ByHand(format!(
            "its manifest {why}; set the annotation {key}: \"*\" on Application {ns}/{name} where it is kept, or `kubectl annotate applications.argoproj.io {name} -n {ns} --overwrite '{key}=*'`{also}",
            also = stopped_too(app, key),
            ns = app.namespace,
            name = app.name
        )),
    }
}

/// What else the annotation stops: without an alias it is the whole Application's, and counts for
/// every image that has none of its own (`GetParameterIgnoreTags`, 0.10 and later).
fn stopped_too(app: &Application, key: &str) -> String {
    let list = app.annotations.get(&format!("{PREFIX}image-list"));
    let several = list.is_some_and(|list| list.split(',').count() > 1);
    if several && key == format!("{PREFIX}ignore-tags") {
        ", which stops the other images of the Application as well".to_owned()
    } else {
        String::new()
    }
}

/// The one file that these objects are in.
fn only_file<'s>(seen: &[&'s Seen]) -> Result<&'s str, String> {
    let files: Vec<&(String, usize)> = seen.iter().filter_map(|s| s.file.as_ref()).collect();
    match files.as_slice() {
        [(path, _)] => Ok(path),
        [] => Err("is not in this repository".to_owned()),
        many => {
            let places: Vec<String> = many.iter().map(|(p, line)| format!("{p}:{line}")).collect();
            Err(format!("could be {}", places.join(" or ")))
        }
    }
}

/// The references of an ImageUpdater that mean the Application: place, value, and whether
/// labels, which are not read, decide over it as well.
fn refs<'s>(object: &'s Seen, app: &Application) -> impl Iterator<Item = (usize, &'s Value, bool)> {
    // spec.namespace is gone since 1.1: the object's own namespace counts.
    let namespace = object.text("/spec/namespace").map(str::to_owned);
    let here = match namespace {
        Some(namespace) => namespace == app.namespace,
        None => object.may_be_in(&app.namespace),
    };
    let name = app.name.clone();
    let list = object.value.pointer("/spec/applicationRefs");
    let list = list.and_then(Value::as_array).filter(|_| here);
    list.into_iter()
        .flatten()
        .enumerate()
        .filter_map(move |(place, own)| {
            let pattern = own["namePattern"].as_str()?;
            let matcher = Glob::new(pattern).ok()?.compile_matcher();
            let labels = !own["labelSelectors"].is_null();
            matcher.is_match(&name).then_some((place, own, labels))
        })
}

/// The references that may decide over an Application: the most specific one alone
/// (`FilterApplicationsForUpdate`, 1.0). Where labels could still let it go, the next ones as
/// well, and then none of them is certain.
fn most_specific(mut refs: Vec<(usize, &Value, bool)>) -> Vec<(usize, &Value, bool)> {
    refs.sort_by_key(|(_, own, _)| std::cmp::Reverse(specificity(own)));
    let first = refs.iter().position(|(_, _, labels)| !labels);
    refs.truncate(first.map_or(refs.len(), |at| at + 1));
    if refs.len() > 1 {
        for own in &mut refs {
            own.2 = true;
        }
    }
    refs
}

/// How specific a reference is (`calculateSpecificity`, 1.0): an exact name before labels, labels
/// before a longer pattern.
fn specificity(own: &Value) -> usize {
    let pattern = own["namePattern"].as_str().unwrap_or_default();
    let exact = !pattern.contains(['*', '?', '[', ']']);
    let mut literals = 0;
    let mut in_set = false;
    for c in pattern.chars() {
        match c {
            '[' => in_set = true,
            ']' => in_set = false,
            '*' | '?' => {}
            _ if in_set => {}
            _ => literals += c.len_utf8(),
        }
    }
    let labels = &own["labelSelectors"];
    let count = |key: &str| match &labels[key] {
        Value::Object(map) => map.len(),
        Value::Array(items) => items.len(),
        _ => 0,
    };
    let by_labels = match labels {
        Value::Null => 0,
        _ => 10_000 + 100 * (count("matchLabels") + count("matchExpressions")),
    };
    usize::from(exact) * 1_000_000 + by_labels + literals
}

/// As [`is_passed_over`], with the write-back as the object has it: its target counts with
/// `method: git` only (`newWBCFromSettings`, 1.0).
fn object_passes_over(app: &Application, object: &Seen, own: &Value) -> bool {
    let settings = Settings {
        levels: [&Value::Null, own, &object.value["spec"]],
    };
    let rendered = |kind: &String| kind == "Kustomize" || kind == "Helm";
    let method = settings.write_back("/method").unwrap_or_default().trim();
    let says = (method == "git" || method.starts_with("git:"))
        && settings.write_back("/gitConfig/writeBackTarget").is_some();
    !says && !app.source_types.is_empty() && !app.source_types.iter().any(rendered)
}

fn by_objects(subject: &Subject<'_>, app: &Application) -> Vec<Finding> {
    let mut found = Vec::new();
    for object in subject.deciding("ImageUpdater") {
        for (place, own, labels) in most_specific(refs(object, app).collect()) {
            if own["useAnnotations"] == Value::Bool(true)
                || (subject.git.rendered.is_none() && object_passes_over(app, object, own))
            {
                continue;
            }
            let images = own["images"].as_array().into_iter().flatten().enumerate();
            for (image, value) in images {
                let settings = Settings {
                    levels: [value, own, &object.value["spec"]],
                };
                found.extend(by_image(
                    (subject, app),
                    object,
                    (place, image, labels),
                    &settings,
                ));
            }
        }
    }
    found
}

/// An image's settings: its own, the reference's, the object's, in this order.
struct Settings<'a> {
    levels: [&'a Value; 3],
}

impl<'a> Settings<'a> {
    fn common(&self, key: &str) -> Option<&'a Value> {
        let mut levels = self.levels.iter();
        levels.find_map(|level| level["commonUpdateSettings"].get(key))
    }

    fn write_back(&self, pointer: &str) -> Option<&'a str> {
        let mut levels = self.levels.iter().skip(1);
        levels.find_map(|level| level["writeBackConfig"].pointer(pointer)?.as_str())
    }

    fn ignores_all(&self) -> bool {
        let ignored = self.common("ignoreTags").and_then(Value::as_array);
        ignored.is_some_and(|list| list.iter().any(|glob| glob == "*"))
    }
}

fn by_image(
    (subject, app): (&Subject<'_>, &Application),
    object: &Seen,
    (place, image, labels): (usize, usize, bool),
    settings: &Settings<'_>,
) -> Option<Finding> {
    let [value, ..] = settings.levels;
    let listed = listed(value["imageName"].as_str()?);
    if !subject.runs(listed.image) || settings.ignores_all() {
        return None;
    }
    let text = |key: &str| settings.common(key).and_then(Value::as_str);
    let update = Update {
        image: listed.image,
        constraint: listed.constraint,
        strategy: text("updateStrategy"),
        allowed: text("allowTags"),
        write_back: (
            settings.write_back("/method").unwrap_or("argocd"),
            settings.write_back("/gitConfig/writeBackTarget"),
        ),
    };
    let when = if labels {
        format!("{INTERVAL}, if the labels of the Application decide for this reference")
    } else {
        INTERVAL.to_owned()
    };
    Some(Finding {
        tool: Tool::ImageUpdater,
        place: object.place(),
        does: update.words(app),
        when,
        certain: !labels,
        pin: object_pin(subject, object, (place, image), value),
    })
}

fn object_pin(
    subject: &Subject<'_>,
    object: &Seen,
    (place, image): (usize, usize),
    value: &Value,
) -> Pin {
    let same =
        |seen: &&Seen| seen.name == object.name && seen.value["spec"] == object.value["spec"];
    let own: Vec<&Seen> = subject.all("ImageUpdater").filter(same).collect();
    let at = Path::of_keys(["spec", "applicationRefs"])
        .child(Step::Index(place))
        .key("images")
        .child(Step::Index(image))
        .key("commonUpdateSettings");
    let alias = value["alias"].as_str().unwrap_or_default();
    let (path, value) = match value.get("commonUpdateSettings") {
        Some(_) => (at.key("ignoreTags"), json!(["*"])),
        None => (at, json!({"ignoreTags": ["*"]})),
    };
    match only_file(&own) {
        Ok(file) => Pin::Edit {
            path: file.to_owned(),
            words: format!(
                "image {alias} of ImageUpdater {} gets ignoreTags: [\"*\"] in {file}",
                object.name
            ),
            change: Change::Field {
                kind: "ImageUpdater".to_owned(),
                name: object.name.clone(),
                path,
                value,
            },
        },
        Err(why) => Pin::ByHand(format!(
            "its manifest {why}; set commonUpdateSettings.ignoreTags: [\"*\"] at image {alias} of ImageUpdater {} where it is kept",
            object.name
        )),
    }
}
