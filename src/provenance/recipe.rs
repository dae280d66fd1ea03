//! How Argo CD's own programs are to render a source: what its repo-server runs (3.2,
//! `util/kustomize` and `reposerver/repository`), on the same files.

use serde_json::Value;

use crate::manifest::{Address, Path};
use crate::model::{Argument, Program, Recipe, lies_in, split_root};

use super::files::{Files, Reader, join};
use super::helm::{Given, published};
use super::kustomize::kustomizations;
use super::place::Places;
use super::source::Parameters;
use super::traced::Traced;
use super::{Subject, Tool, making, rendered, source};

/// What is run to have the subject's source rendered. `None` for plain manifests.
///
/// # Errors
/// When that cannot be said, in words: the source takes something from Argo CD's own environment,
/// or its files cannot be read.
pub fn recipe(files: &dyn Files, subject: &Subject<'_>) -> Result<Option<Recipe>, String> {
    let reader = Reader::new(files);
    // What is read on the way is what the program needs, too.
    let _ = rendered(&reader, subject);
    let words = |blocker: crate::model::Blocker| blocker.message;
    let pin = making::pin(&reader, subject).map_err(words)?;
    let subject = &subject.at(pin.as_ref());
    let parameters = Parameters::read(&reader, subject).map_err(words)?;
    let tool = source::tool(&reader, &parameters, subject).map_err(words)?;
    let (program, section) = match tool {
        Tool::Helm => (Program::Helm, parameters.section("helm")),
        Tool::Kustomize => (Program::Kustomize, parameters.section("kustomize")),
        Tool::Directory | Tool::Jsonnet | Tool::Plugin => return Ok(None),
    };
    let folder = join(subject.folder, "").unwrap_or_default();
    let mut recipe = Recipe {
        program,
        folders: folders(&reader, &folder),
        copies: Vec::new(),
        folder,
        texts: Vec::new(),
        given: Vec::new(),
        calls: Vec::new(),
    };
    match program {
        Program::Helm => {
            // As `helm dependency build` puts them there.
            let beside = published(files, &recipe.folder)
                .into_iter()
                .filter_map(|own| {
                    let place = join(&recipe.folder, &format!("charts/{}", own.name))?;
                    Some((own.root(), place))
                });
            recipe.copies = beside.collect();
            let is_copied = |folder: &String| {
                let mut copies = recipe.copies.iter();
                copies.any(|(from, _)| folder.starts_with(from.as_str()))
            };
            recipe.folders.retain(|folder| !is_copied(folder));
            helm(&mut recipe, &reader, (section, subject))?;
        }
        Program::Kustomize => kustomize(&mut recipe, &reader, section)?,
    }
    Ok(Some(recipe))
}

/// The folders of everything that was read, without those that lie in another one.
fn folders(reader: &Reader<'_>, own: &str) -> Vec<String> {
    let above = |path: &str| {
        let (root, own) = split_root(path);
        let above = own.rsplit_once('/').map_or("", |(above, _)| above);
        format!("{root}{above}")
    };
    let mut all: Vec<String> = reader.inputs().iter().map(|path| above(path)).collect();
    all.push(own.to_owned());
    all.sort();
    all.dedup();
    let is_outer = |path: &&String| !all.iter().any(|other| lies_in(path, other));
    all.iter().filter(is_outer).cloned().collect()
}

fn text(word: &str) -> Argument {
    Argument::Text(word.to_owned())
}

/// A field that says something.
fn full<'t>(section: Option<&'t Traced>, key: &str) -> Option<&'t Traced> {
    let node = section?.key(key)?;
    (!node.is_null() && node.text() != Some("")).then_some(node)
}

fn flag(section: Option<&Traced>, key: &str) -> bool {
    full(section, key).and_then(Traced::word).as_deref() == Some("true")
}

/// A word that Argo CD fills in from its build environment is not known here.
fn fixed(word: String) -> Result<String, String> {
    match word.contains('$') {
        true => Err(format!(
            "{word:?} is filled in from Argo CD's build environment"
        )),
        false => Ok(word),
    }
}

fn words(node: Option<&Traced>) -> Vec<String> {
    let items = node.map(Traced::items).unwrap_or_default();
    items.iter().filter_map(Traced::word).collect()
}

/// As `reposerver/repository.helmTemplate` and `util/helm.template` call it.
fn helm(
    recipe: &mut Recipe,
    reader: &Reader<'_>,
    (section, subject): (Option<&Traced>, &Subject<'_>),
) -> Result<(), String> {
    let application = subject
        .application
        .ok_or("the release's name comes from an Application, and there is none")?;
    let own = |key: &str| full(section, key).and_then(Traced::word);
    let name = own("releaseName").unwrap_or_else(|| application.name.clone());
    let namespace = own("namespace").unwrap_or_else(|| application.destination.namespace.clone());
    let mut call: Vec<Argument> = ["template", ".", "--name-template", &name].map(text).into();
    if !namespace.is_empty() {
        call.extend(["--namespace", &namespace].map(text));
    }
    let served = subject.capabilities;
    let version = own("kubeVersion").or_else(|| served.map(|own| own.kube_version.clone()));
    if let Some(version) = version {
        call.extend(["--kube-version", &version].map(text));
    }
    let places = Places::new(reader, subject);
    let given = Given {
        reader,
        places: &places,
        subject,
        section,
    };
    call.extend(set(section, &given)?);
    call.extend(value_files(section, &given)?);
    let inline = match full(section, "valuesObject") {
        Some(object) => object.value().map(|values| values.to_string()),
        None => own("values"),
    };
    if let Some(values) = inline {
        call.extend([text("--values"), Argument::Given(recipe.given.len())]);
        recipe.given.push(values);
    }
    let mut versions = words(full(section, "apiVersions"));
    if versions.is_empty() {
        versions.extend(served.iter().flat_map(|own| own.api_versions.clone()));
    }
    for version in versions {
        call.extend(["--api-versions", &version].map(text));
    }
    for (key, wanted, word) in [
        ("skipCrds", false, "--include-crds"),
        ("skipSchemaValidation", true, "--skip-schema-validation"),
        ("skipTests", true, "--skip-tests"),
    ] {
        if flag(section, key) == wanted {
            call.push(text(word));
        }
    }
    recipe.calls.push(call);
    Ok(())
}

/// `parameters` and `fileParameters`.
fn set(section: Option<&Traced>, given: &Given<'_>) -> Result<Vec<Argument>, String> {
    let mut call = Vec::new();
    let items = |key: &str| full(section, key).map(Traced::items).unwrap_or_default();
    for node in items("parameters") {
        let word = match flag(Some(node), "forceString") {
            true => "--set-string",
            false => "--set",
        };
        let name = node.text_at(&["name"]).unwrap_or_default();
        let value = node.key("value").and_then(Traced::word).unwrap_or_default();
        let value = fixed(value)?;
        call.extend([text(word), text(&format!("{name}={}", escaped(&value)))]);
    }
    for node in items("fileParameters") {
        let name = node.text_at(&["name"]).unwrap_or_default();
        let path = node.text_at(&["path"]).unwrap_or_default();
        let path = given.path(path).ok_or_else(|| not_here(path))?;
        let before = format!("{name}=");
        call.extend([text("--set-file"), Argument::File { before, path }]);
    }
    Ok(call)
}

/// As `util/helm.cleanSetParameters`: a comma would begin another parameter.
fn escaped(value: &str) -> String {
    if value.starts_with('{') && value.ends_with('}') {
        return value.to_owned();
    }
    let mut out = String::new();
    for c in value.chars() {
        if c == ',' && !out.ends_with('\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn value_files(section: Option<&Traced>, given: &Given<'_>) -> Result<Vec<Argument>, String> {
    let mut call = Vec::new();
    let lenient = flag(section, "ignoreMissingValueFiles");
    for raw in words(full(section, "valueFiles")) {
        let path = given.path(&raw).ok_or_else(|| not_here(&raw))?;
        if given.reader.exists(&path) || !lenient {
            let before = String::new();
            call.extend([text("--values"), Argument::File { before, path }]);
        }
    }
    Ok(call)
}

fn not_here(path: &str) -> String {
    format!("{path} is in no repository that is read here")
}

/// As `util/kustomize.Build` edits the kustomization and builds it.
fn kustomize(
    recipe: &mut Recipe,
    reader: &Reader<'_>,
    section: Option<&Traced>,
) -> Result<(), String> {
    let mut edit = |words: &[&str], more: Vec<String>| {
        let more = more.into_iter().map(fixed).collect::<Result<Vec<_>, _>>()?;
        let words = words.iter().copied().chain(more.iter().map(String::as_str));
        recipe
            .calls
            .push(["edit"].into_iter().chain(words).map(text).collect());
        Ok::<_, String>(())
    };
    let own = |key: &str| full(section, key).and_then(Traced::word);
    for (key, what) in [("namePrefix", "nameprefix"), ("nameSuffix", "namesuffix")] {
        if let Some(word) = own(key) {
            edit(&["set", what, "--"], vec![word])?;
        }
    }
    let images = words(full(section, "images"));
    if !images.is_empty() {
        edit(&["set", "image"], images)?;
    }
    let replicas = full(section, "replicas")
        .map(Traced::items)
        .unwrap_or_default();
    let replicas = replicas.iter().filter_map(|entry| {
        let count = entry.key("count").and_then(Traced::word)?;
        Some(format!("{}={count}", entry.text_at(&["name"])?))
    });
    let replicas: Vec<String> = replicas.collect();
    if !replicas.is_empty() {
        edit(&["set", "replicas"], replicas)?;
    }
    for (key, what) in [
        ("commonLabels", "label"),
        ("commonAnnotations", "annotation"),
    ] {
        let pairs = pairs(full(section, key));
        if !pairs.is_empty() {
            edit(&added(section, what), pairs)?;
        }
    }
    if let Some(namespace) = own("namespace") {
        edit(&["set", "namespace", "--"], vec![namespace])?;
    }
    let lenient = flag(section, "ignoreMissingComponents");
    let mut components = words(full(section, "components"));
    components.retain(|path| {
        let there = join(&recipe.folder, path);
        !lenient || there.is_some_and(|path| kustomizations(reader, &path).next().is_some())
    });
    if !components.is_empty() {
        edit(&["add", "component"], components)?;
    }
    patches(recipe, reader, full(section, "patches"))?;
    recipe.calls.push(["build", "."].map(text).into());
    Ok(())
}

/// How labels or annotations are added.
fn added<'w>(section: Option<&Traced>, what: &'w str) -> Vec<&'w str> {
    let flags: &[(&str, &str)] = match what {
        "label" => &[
            ("forceCommonLabels", "--force"),
            ("labelWithoutSelector", "--without-selector"),
            ("labelIncludeTemplates", "--include-templates"),
        ],
        _ => &[("forceCommonAnnotations", "--force")],
    };
    let given = flags.iter().filter(|(key, _)| flag(section, key));
    ["add", what]
        .into_iter()
        .chain(given.map(|(_, word)| *word))
        .collect()
}

/// `name:value` of each entry.
fn pairs(map: Option<&Traced>) -> Vec<String> {
    let fields = map.and_then(Traced::fields).into_iter().flatten();
    let word = |(name, value): (&String, &Traced)| Some(format!("{name}:{}", value.word()?));
    fields.filter_map(word).collect()
}

/// The Application's patches go behind the kustomization's own; no subcommand does that, and
/// Argo CD writes the file anew, too.
fn patches(
    recipe: &mut Recipe,
    reader: &Reader<'_>,
    patches: Option<&Traced>,
) -> Result<(), String> {
    let Some(Value::Array(more)) = patches.and_then(Traced::value) else {
        return Ok(());
    };
    let path = kustomizations(reader, &recipe.folder).next();
    let path = path.ok_or("there is no kustomization")?;
    let manifest = reader.manifest(&path).ok_or("the kustomization is gone")?;
    let whole = manifest.value(&Address::document(0), &Path::default());
    let Some(Value::Object(mut whole)) = whole else {
        return Err(format!("{path} is no map"));
    };
    match whole.get_mut("patches") {
        Some(Value::Array(own)) => own.extend(more),
        _ => {
            whole.insert("patches".to_owned(), Value::Array(more));
        }
    }
    recipe.texts.push((path, Value::Object(whole).to_string()));
    Ok(())
}
