//! The Application's source with `.argocd-source` files merged over it, and the tool it means.

use std::rc::Rc;

use serde_json::{Value, json};

use crate::manifest::Address;
use crate::model::{ApplicationSource, Blocker};

use super::files::{Reader, join};
use super::traced::{Act, Body, Source, Traced};
use super::{Subject, Tool, making};

/// The sections `helm`, `kustomize`, `directory` and `plugin` of the source, every field with
/// its place.
#[derive(Debug)]
pub(super) struct Parameters {
    pub(super) sections: Traced,
}

/// Names that kustomize looks for, in its order.
pub(super) const KUSTOMIZATIONS: [&str; 3] =
    ["kustomization.yaml", "kustomization.yml", "Kustomization"];

impl Parameters {
    /// Reads and merges as Argo CD 3.2 does (`mergeSourceParameters`): a JSON merge patch from
    /// `.argocd-source.yaml`, then one from `.argocd-source-<instance name>.yaml`.
    pub(super) fn read(reader: &Reader<'_>, subject: &Subject<'_>) -> Result<Self, Blocker> {
        let application = subject.application;
        let source = application.and_then(|app| app.sources.get(subject.source));
        let many = application.is_some_and(|app| app.sources.len() > 1);
        let field = match many {
            true => format!("spec.sources[{}]", subject.source),
            false => "spec.source".to_owned(),
        };
        let own = match subject.making {
            Some(making) => making.rest.clone(),
            None => source.map_or_else(|| json!({}), sections),
        };
        let mut sections = Traced::of(&own, &Source::Application(field), &Act::Written);
        if let Some(making) = subject.making {
            making::overlay(&mut sections, &making::sections(reader, subject, making)?);
        }
        for path in overrides(reader, subject)? {
            let Some(manifest) = reader.manifest(&path) else {
                continue;
            };
            let file: Rc<str> = Rc::from(path.as_str());
            let first = manifest.documents().first();
            if let Some(error) = first.and_then(|document| document.error()) {
                return Err(Blocker::new(
                    "source-override-unreadable",
                    format!("{path}: {error}"),
                    "repair that file: Argo CD cannot render the Application either",
                ));
            }
            let patch = Traced::of_file(&manifest, &file, Address::document(0), &Act::Written);
            match patch {
                Some(patch) if patch.fields().is_some() => merge(&mut sections, &patch),
                Some(patch) if patch.is_null() => {}
                _ => {
                    return Err(Blocker::new(
                        "source-override-unreadable",
                        format!("{path} is no map"),
                        "repair that file: Argo CD cannot render the Application either",
                    ));
                }
            }
        }
        Ok(Self { sections })
    }

    /// A section, where it says anything.
    pub(super) fn section(&self, name: &str) -> Option<&Traced> {
        let section = self.sections.key(name)?;
        section.fields().filter(|fields| !fields.is_empty())?;
        Some(section)
    }
}

pub(super) fn sections(source: &ApplicationSource) -> Value {
    let all = [
        ("helm", &source.helm),
        ("kustomize", &source.kustomize),
        ("directory", &source.directory),
        ("plugin", &source.plugin),
    ];
    Value::Object(
        all.into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)))
            .collect(),
    )
}

/// The override files that Argo CD reads for this Application, in its order.
fn overrides(reader: &Reader<'_>, subject: &Subject<'_>) -> Result<Vec<String>, Blocker> {
    let path = |name: &str| join(subject.folder, name).unwrap_or_default();
    let mut found = vec![path(".argocd-source.yaml")];
    let Some(application) = subject.application else {
        return Ok(found);
    };
    let plain = path(&format!(".argocd-source-{}.yaml", application.name));
    let qualified = path(&format!(
        ".argocd-source-{}_{}.yaml",
        application.namespace, application.name
    ));
    if !subject.instance.is_empty() {
        found.push(path(&format!(".argocd-source-{}.yaml", subject.instance)));
        return Ok(found);
    }
    // Outside Argo CD's own namespace an Application's instance name has its namespace.
    match application.namespace.as_str() {
        "" | "argocd" => found.push(plain),
        _ => {
            let either = [&plain, &qualified].into_iter().find(|p| reader.exists(p));
            if let Some(either) = either {
                return Err(Blocker::new(
                    "source-override-unknown",
                    format!(
                        "whether Argo CD reads {either} for Application {}/{} depends on its own \
                         namespace, which is not known",
                        application.namespace, application.name
                    ),
                    "give an identity that may read the live object: its tracking id tells",
                ));
            }
        }
    }
    Ok(found)
}

/// RFC 7386.
pub(super) fn merge(into: &mut Traced, patch: &Traced) {
    let Some(fields) = patch.fields() else {
        let mut marks = std::mem::take(&mut into.marks);
        marks.extend(patch.marks.iter().cloned());
        *into = Traced {
            body: patch.body.clone(),
            marks,
        };
        return;
    };
    if into.fields().is_none() {
        into.body = Body::Map(std::collections::BTreeMap::new());
    }
    into.marks.extend(patch.marks.iter().cloned());
    let Some(own) = into.fields_mut() else { return };
    for (key, value) in fields {
        if value.is_null() {
            own.remove(key);
        } else if let Some(there) = own.get_mut(key) {
            merge(there, value);
        } else {
            own.insert(key.clone(), value.clone());
        }
    }
}

/// What renders the folder.
pub(super) fn tool(
    reader: &Reader<'_>,
    parameters: &Parameters,
    subject: &Subject<'_>,
) -> Result<Tool, Blocker> {
    let source = subject
        .application
        .and_then(|app| app.sources.get(subject.source));
    let named = [
        ("kustomize", Tool::Kustomize),
        ("helm", Tool::Helm),
        ("directory", Tool::Directory),
        ("plugin", Tool::Plugin),
    ];
    let mut explicit: Vec<Tool> = named
        .into_iter()
        .filter(|(name, _)| parameters.section(name).is_some())
        .map(|(_, tool)| tool)
        .collect();
    if source.is_some_and(|source| !source.chart.is_empty()) {
        return Ok(Tool::Helm);
    }
    // A `plugin: {}` means the plugin that finds itself.
    if explicit.is_empty() && parameters.sections.key("plugin").is_some() {
        return Ok(Tool::Plugin);
    }
    if explicit.len() > 1 {
        return Err(Blocker::new(
            "several-tools",
            "the Application's source has sections for several tools; Argo CD refuses that",
            "leave one of helm, kustomize, directory and plugin in the source",
        ));
    }
    // A plugin that finds itself leaves no trace in the files.
    let told = subject
        .application
        .and_then(|app| app.source_types.get(subject.source));
    let tool = match explicit.pop() {
        Some(tool) => tool,
        None if told.is_some_and(|kind| kind == "Plugin") => Tool::Plugin,
        None => discovered(reader, subject.folder),
    };
    if tool != Tool::Directory {
        return Ok(tool);
    }
    let jsonnet = super::directory::names(reader, parameters, subject)
        .iter()
        .any(|path| path.ends_with(".jsonnet"));
    Ok(if jsonnet { Tool::Jsonnet } else { tool })
}

fn discovered(reader: &Reader<'_>, folder: &str) -> Tool {
    let mut names = reader.list(folder);
    names.sort();
    // Files are walked in the order of their names and the last that fits wins.
    let mut tools = names.iter().filter_map(|name| {
        if name.ends_with("Chart.yaml") {
            Some(Tool::Helm)
        } else if KUSTOMIZATIONS.contains(&name.as_str()) {
            Some(Tool::Kustomize)
        } else {
            None
        }
    });
    tools.next_back().unwrap_or(Tool::Directory)
}

/// Why a tool is refused.
pub(super) fn refused(tool: Tool, parameters: &Parameters, subject: &Subject<'_>) -> Blocker {
    match tool {
        Tool::Jsonnet => Blocker::new(
            "jsonnet",
            format!(
                "{:?} holds jsonnet, which decides over its output",
                subject.folder
            ),
            "change the jsonnet source by hand",
        ),
        _ => {
            let name = parameters
                .sections
                .key("plugin")
                .and_then(|plugin| plugin.text_at(&["name"]))
                .unwrap_or("that finds itself");
            Blocker::new(
                "plugin",
                format!(
                    "a config management plugin ({name}) renders {:?}",
                    subject.folder
                ),
                "change the plugin's input by hand",
            )
        }
    }
}
