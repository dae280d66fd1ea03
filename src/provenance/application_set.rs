//! Applications that an ApplicationSet makes of a Git generator's files (3.2,
//! `applicationset/generators/git.go`, `applicationset/utils`). Only a plain parameter in the
//! template is followed to its file; everything else is the template's own.

use std::collections::BTreeMap;
use std::rc::Rc;

use globset::GlobBuilder;
use serde_json::{Value, json};

use crate::manifest::{Address, Path, Step};
use crate::model::{Application, ApplicationSet, Blocker, Generator};

use super::files::{Files, Reader, join};
use super::helm::template;
use super::traced::{Act, Body, Mark, Source, Traced};

/// One set of parameters.
struct Parameters {
    /// By name; below `.` of a Go template.
    values: Traced,
    /// Names with dots as one word, as the older templates have them.
    flat: BTreeMap<String, Traced>,
}

/// The Application as the ApplicationSet makes it, fields that are not followed unknown. `None`
/// where no generator is followed.
///
/// # Errors
/// When the generator's files do not have it, or something that is not modelled may change it.
pub(super) fn application(
    reader: &Reader<'_>,
    set: &ApplicationSet,
    application: &Application,
) -> Result<Option<Traced>, Blocker> {
    let Some(generator) = &set.generator else {
        return Ok(None);
    };
    if let Some(why) = unmodelled(set, generator.index) {
        return Err(refused(set, &why));
    }
    let all = parameters(reader, set, generator)?;
    let mut own = all.iter().filter(|given| {
        let name = set.spec.pointer("/template/metadata/name");
        let name = name.and_then(Value::as_str).unwrap_or_default();
        text(set, name, given).as_deref() == Some(&application.name)
    });
    match (own.next(), own.next()) {
        (Some(given), None) => Ok(Some(template_of(set, given))),
        (Some(_), Some(_)) => Err(refused(set, "two sets of its parameters give that name")),
        (None, _) => Err(refused(
            set,
            &format!(
                "{} has no parameters of Application {}",
                described(set, generator.index),
                application.name
            ),
        )),
    }
}

/// Every Application that a generator makes.
///
/// # Errors
/// When the generator or an expression is not modelled, or its files cannot be read.
pub fn generated(files: &dyn Files, set: &ApplicationSet) -> Result<Vec<Value>, Blocker> {
    let Some(generator) = &set.generator else {
        return Ok(Vec::new());
    };
    if let Some(why) = unmodelled(set, generator.index) {
        return Err(refused(set, &why));
    }
    let reader = Reader::new(files);
    let all = parameters(&reader, set, generator)?;
    let make = |given: &Parameters| computed(set, &set.spec["template"], given);
    all.iter().map(make).collect()
}

/// The template with every expression computed.
fn computed(set: &ApplicationSet, value: &Value, given: &Parameters) -> Result<Value, Blocker> {
    Ok(match value {
        Value::String(source) => match text(set, source, given) {
            Some(text) => Value::String(text),
            None => return Err(refused(set, &format!("{source} is not computed here"))),
        },
        Value::Array(items) => {
            let all = items.iter().map(|item| computed(set, item, given));
            Value::Array(all.collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => {
            let one = |(key, item): (&String, &Value)| {
                Ok::<_, Blocker>((key.clone(), computed(set, item, given)?))
            };
            Value::Object(fields.iter().map(one).collect::<Result<_, _>>()?)
        }
        other => other.clone(),
    })
}

fn refused(set: &ApplicationSet, why: &str) -> Blocker {
    Blocker::new(
        "application-set",
        format!("ApplicationSet {}: {why}", set.name),
        "change the ApplicationSet's template or its generator by hand",
    )
}

/// The generator in words.
pub(super) fn described(set: &ApplicationSet, index: usize) -> String {
    let generator = &set.spec["generators"][index];
    let kind = generator.as_object().and_then(|own| own.keys().next());
    let git = &generator["git"];
    if !git.is_object() {
        let kind = kind.map_or("unknown", String::as_str);
        return format!("generators[{index}] ({kind})");
    }
    let what = match git.get("files") {
        Some(files) => ("files", files),
        None => ("directories", &git["directories"]),
    };
    let paths = what.1.as_array().map_or(&[][..], Vec::as_slice);
    let paths: Vec<&str> = paths
        .iter()
        .filter_map(|path| path["path"].as_str())
        .collect();
    format!("generators[{index}] (git {} {})", what.0, paths.join(", "))
}

/// What the code below does not do.
fn unmodelled(set: &ApplicationSet, index: usize) -> Option<String> {
    let (spec, generator) = (&set.spec, &set.spec["generators"][index]);
    let full = |value: &Value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    };
    let overrides = ["spec", "metadata"].iter().any(|key| {
        let part = &generator["git"]["template"][*key];
        part.as_object()
            .is_some_and(|fields| fields.values().any(full_below))
    });
    let policy = spec["syncPolicy"]["applicationsSync"].as_str();
    if full(&spec["templatePatch"]) {
        Some("its templatePatch may change any field".to_owned())
    } else if overrides {
        Some(format!(
            "{} has a template of its own",
            described(set, index)
        ))
    } else if full(&generator["selector"]) {
        Some(format!("{} has a selector", described(set, index)))
    } else if full(&spec["ignoreApplicationDifferences"]) {
        Some("it ignores differences of its Applications".to_owned())
    } else if matches!(policy, Some("create-only" | "create-delete")) {
        Some("it does not update its Applications (applicationsSync)".to_owned())
    } else if !generator["git"]["files"].is_array() {
        Some(format!(
            "{} takes its parameters from no file's content",
            described(set, index)
        ))
    } else {
        None
    }
}

fn full_below(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => fields.values().any(full_below),
        Value::Array(items) => !items.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn parameters(
    reader: &Reader<'_>,
    set: &ApplicationSet,
    generator: &Generator,
) -> Result<Vec<Parameters>, Blocker> {
    let git = &set.spec["generators"][generator.index]["git"];
    let mut paths: Vec<String> = Vec::new();
    let entries = git["files"].as_array().map_or(&[][..], Vec::as_slice);
    for excluded in [false, true] {
        for entry in entries {
            if entry["exclude"].as_bool().unwrap_or(false) != excluded {
                continue;
            }
            let pattern = entry["path"].as_str().unwrap_or_default();
            let found = matching(reader, &generator.root, pattern)
                .ok_or_else(|| refused(set, &format!("the pattern {pattern} is not followed")))?;
            match excluded {
                false => paths.extend(found),
                true => paths.retain(|path| !found.contains(path)),
            }
        }
    }
    paths.sort();
    paths.dedup();
    let mut all = Vec::new();
    for path in paths {
        all.extend(of_file(reader, set, (generator, git), &path)?);
    }
    Ok(all)
}

/// Files that a pattern of `git ls-files` names: a path, a folder, or wildcards that cross folders.
fn matching(reader: &Reader<'_>, root: &str, pattern: &str) -> Option<Vec<String>> {
    if pattern.contains(['{', '\\', ':']) {
        return None;
    }
    let glob = GlobBuilder::new(pattern)
        .literal_separator(false)
        .build()
        .ok()?;
    let glob = glob.compile_matcher();
    let fixed = pattern
        .find(['*', '?', '['])
        .map_or(pattern, |at| &pattern[..at]);
    let start = fixed.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut folders = vec![join(root, start)?];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for name in reader.list(&folder) {
            let path = join(&folder, &name)?;
            if name.ends_with('/') {
                folders.push(path);
                continue;
            }
            let own = path.strip_prefix(root).unwrap_or(&path);
            let below = own.strip_prefix(pattern.trim_end_matches('/'));
            if glob.is_match(own) || below.is_some_and(|rest| rest.starts_with('/')) {
                found.push(path);
            }
        }
    }
    Some(found)
}

/// The sets of parameters in one file: a map, or a list of them.
fn of_file(
    reader: &Reader<'_>,
    set: &ApplicationSet,
    (generator, git): (&Generator, &Value),
    path: &str,
) -> Result<Vec<Parameters>, Blocker> {
    let Some(manifest) = reader.manifest(path) else {
        return Ok(Vec::new());
    };
    let first = manifest.documents().first();
    if let Some(error) = first.and_then(|document| document.error()) {
        return Err(refused(set, &format!("{path}: {error}")));
    }
    let file: Rc<str> = Rc::from(path);
    let node = Traced::of_file(&manifest, &file, Address::document(0), &Act::Written);
    let nodes = match node {
        Some(node) if node.fields().is_some() => vec![node],
        Some(node) if !node.items().is_empty() => node.items().to_vec(),
        _ => vec![plain(json!({}))],
    };
    let own = path.strip_prefix(&generator.root).unwrap_or(path);
    nodes
        .into_iter()
        .map(|node| with_path(set, git, node, own))
        .collect()
}

/// A value that stands in no file.
fn plain(value: Value) -> Traced {
    let mut node = Traced::of(&value, &Source::Application(String::new()), &Act::Written);
    bare(&mut node);
    node
}

fn bare(node: &mut Traced) {
    node.marks.clear();
    match &mut node.body {
        Body::Map(fields) => fields.values_mut().for_each(bare),
        Body::List(items) => items.iter_mut().for_each(bare),
        Body::Scalar(_) | Body::Unknown(_) | Body::Digest(_) => {}
    }
}

/// The file's own parameters, where it is, and the generator's `values`.
fn with_path(
    set: &ApplicationSet,
    git: &Value,
    node: Traced,
    path: &str,
) -> Result<Parameters, Blocker> {
    let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
    let basename = folder.rsplit('/').next().unwrap_or(folder);
    let place = json!({
        "path": folder, "basename": basename, "filename": name,
        "basenameNormalized": normalized(basename), "filenameNormalized": normalized(name),
        "segments": folder.split('/').collect::<Vec<_>>(),
    });
    let prefix = git["pathParamPrefix"].as_str().unwrap_or_default();
    let mut flat = BTreeMap::new();
    flatten(&node, String::new(), &mut flat);
    let dot = if prefix.is_empty() { "" } else { "." };
    for (key, value) in place.as_object().into_iter().flatten() {
        let name = match (key.as_str(), value) {
            ("path", _) => format!("{prefix}{dot}path"),
            ("segments", _) => continue,
            (key, _) => format!("{prefix}{dot}path.{key}"),
        };
        flat.insert(name, plain(value.clone()));
    }
    for (at, part) in folder
        .split('/')
        .enumerate()
        .filter(|(_, part)| !part.is_empty())
    {
        flat.insert(format!("{prefix}{dot}path[{at}]"), plain(json!(part)));
    }
    let mut given = Parameters { values: node, flat };
    let place = match prefix.is_empty() {
        true => ("path".to_owned(), plain(place)),
        false => (prefix.to_owned(), plain(json!({"path": place}))),
    };
    if let Some(fields) = given.values.fields_mut() {
        fields.insert(place.0, place.1);
    }
    let values = git["values"].as_object().into_iter().flatten();
    let values: Vec<(String, Traced)> = values
        .map(|(key, value)| {
            let template = value.as_str().unwrap_or_default();
            (key.clone(), followed(set, template, &given, None))
        })
        .collect();
    if values.is_empty() {
        return Ok(given);
    }
    for (key, value) in &values {
        given.flat.insert(format!("values.{key}"), value.clone());
    }
    if let Some(fields) = given.values.fields_mut() {
        let values = Traced {
            body: Body::Map(values.into_iter().collect()),
            marks: Vec::new(),
        };
        fields.insert("values".to_owned(), values);
    }
    Ok(given)
}

/// As `utils.SanitizeName`: a DNS label.
fn normalized(name: &str) -> String {
    let lower = name.to_lowercase();
    let kept = lower.chars().map(|c| match c {
        'a'..='z' | '0'..='9' | '-' | '.' => c,
        _ => '-',
    });
    let text: String = kept.collect();
    text.trim_matches(['-', '.']).to_owned()
}

/// Scalars by their path with dots.
fn flatten(node: &Traced, at: String, into: &mut BTreeMap<String, Traced>) {
    let below = |key: &str| match at.as_str() {
        "" => key.to_owned(),
        at => format!("{at}.{key}"),
    };
    match &node.body {
        Body::Map(fields) => {
            for (key, item) in fields {
                flatten(item, below(key), into);
            }
        }
        Body::List(items) => {
            for (place, item) in items.iter().enumerate() {
                flatten(item, below(&place.to_string()), into);
            }
        }
        Body::Scalar(_) | Body::Unknown(_) | Body::Digest(_) => {
            into.insert(at, node.clone());
        }
    }
}

fn is_go(set: &ApplicationSet) -> bool {
    set.spec["goTemplate"].as_bool().unwrap_or(false)
}

/// A whole text, for a name: expressions are computed as far as they are known.
fn text(set: &ApplicationSet, source: &str, given: &Parameters) -> Option<String> {
    if is_go(set) {
        return template::text(source, &given.values);
    }
    followed(set, source, given, None).text().map(str::to_owned)
}

/// The template with its plain parameters filled in.
fn template_of(set: &ApplicationSet, given: &Parameters) -> Traced {
    fill(set, &set.spec["template"], given, &Path::default())
}

fn fill(set: &ApplicationSet, value: &Value, given: &Parameters, at: &Path) -> Traced {
    let here = || Source::Application(at.to_string());
    let mark = |says: Option<Value>| Mark {
        source: here(),
        act: Act::Written,
        says,
    };
    let body = match value {
        Value::String(source) => return followed(set, source, given, Some(&here())),
        Value::Object(fields) => Body::Map(
            fields
                .iter()
                .map(|(key, value)| (key.clone(), fill(set, value, given, &at.key(key))))
                .collect(),
        ),
        Value::Array(items) => Body::List(
            items
                .iter()
                .enumerate()
                .map(|(place, item)| {
                    let name = item.get("name").and_then(Value::as_str);
                    let step = match name.filter(|name| !name.contains("{{")) {
                        Some(name) => Step::Named {
                            key: "name".to_owned(),
                            value: name.to_owned(),
                        },
                        None => Step::Index(place),
                    };
                    fill(set, item, given, &at.child(step))
                })
                .collect(),
        ),
        other => Body::Scalar(other.clone()),
    };
    let says = matches!(body, Body::Scalar(_)).then(|| value.clone());
    Traced {
        body,
        marks: vec![mark(says)],
    }
}

/// A text whose expressions are plain parameters; unknown where one is not.
fn followed(
    set: &ApplicationSet,
    source: &str,
    given: &Parameters,
    here: Option<&Source>,
) -> Traced {
    let unknown = |why: String| Traced {
        body: Body::Unknown(why),
        marks: Vec::new(),
    };
    let parts = match is_go(set) {
        true => template::plain_parts(source),
        false => Some(simple_parts(source, &given.flat)),
    };
    let Some(parts) = parts else {
        return unknown(format!("{source} is more than plain parameters"));
    };
    let (mut whole, mut values) = (String::new(), Vec::new());
    for part in parts {
        let node = match &part {
            template::Part::Text(text) => {
                whole.push_str(text);
                continue;
            }
            template::Part::Field(keys) if is_go(set) => given
                .values
                .get(&Path::of_keys(keys.iter().map(String::as_str))),
            template::Part::Field(keys) => given.flat.get(&keys.join(".")),
        };
        let Some((node, text)) = node.and_then(|node| Some((node, node.word()?))) else {
            return unknown(format!("{source} prints no plain value"));
        };
        let from = whole.len();
        whole.push_str(&text);
        values.push((from, whole.len(), node.marks.clone()));
    }
    let says = Some(Value::String(whole.clone()));
    let own = |says: Option<Value>| {
        let source = here.cloned();
        source.map(|source| Mark {
            source,
            act: Act::Written,
            says,
        })
    };
    values.retain(|(_, _, marks)| !marks.is_empty());
    let marks = match values.as_slice() {
        [(from, to, marks)] => {
            let made = marks.iter().map(|mark| Mark {
                source: Source::Made {
                    inner: Box::new(unmade(&mark.source)),
                    before: Rc::from(&whole[..*from]),
                    after: Rc::from(&whole[*to..]),
                },
                act: Act::Written,
                says: says.clone(),
            });
            own(None).into_iter().chain(made).collect()
        }
        _ => own(says.clone()).into_iter().collect(),
    };
    Traced {
        body: Body::Scalar(Value::String(whole)),
        marks,
    }
}

/// A generator's `values` are made of the file's parameters already.
fn unmade(source: &Source) -> Source {
    match source {
        Source::Made {
            inner,
            before,
            after,
        } if before.is_empty() && after.is_empty() => unmade(inner),
        other => other.clone(),
    }
}

/// The older templates: a name between braces, spaces aside; names that are not known stay.
fn simple_parts(source: &str, known: &BTreeMap<String, Traced>) -> Vec<template::Part> {
    let (mut parts, mut rest) = (Vec::new(), source);
    while let Some(open) = rest.find("{{") {
        let Some(close) = rest[open..].find("}}").map(|close| open + close) else {
            break;
        };
        let name = rest[open + 2..close].trim();
        if known.contains_key(name) {
            parts.push(template::Part::Text(rest[..open].to_owned()));
            parts.push(template::Part::Field(vec![name.to_owned()]));
        } else {
            parts.push(template::Part::Text(rest[..close + 2].to_owned()));
        }
        rest = &rest[close + 2..];
    }
    parts.push(template::Part::Text(rest.to_owned()));
    parts
}
