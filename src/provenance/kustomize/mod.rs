//! kustomize, as far as it decides fields of one object (5.8, `api/internal/target`).
//!
//! One level after the other, the bases first: resources, generators, components, then the
//! transformers in kustomize's fixed order.

mod file;
mod generate;
mod images;
mod json_patch;
mod labels;
mod merge;
mod names;
mod patches;
mod replicas;
mod select;

use std::rc::Rc;

use crate::manifest::Path;
use crate::model::Blocker;

use super::files::{Reader, join, normal};
use super::place::Places;
use super::source::Parameters;
use super::traced::{Act, Traced};
use super::{Gap, Rendering, Subject, Tool, directory, pick};

pub(super) use file::find as kustomizations;
pub(super) use images::{joined, split};

use file::{Kustomization, text_of};

/// One object on its way through the levels.
#[derive(Debug, Clone)]
struct Resource {
    object: Traced,
    /// Name and namespace that it had before, the first of them from its file.
    earlier: Vec<(String, String)>,
    /// A generated object gets a hash of its content behind its name.
    hashed: bool,
}

impl Resource {
    fn new(object: Traced) -> Self {
        Self {
            object,
            earlier: Vec::new(),
            hashed: false,
        }
    }

    fn kind(&self) -> &str {
        self.object.text_at(&["kind"]).unwrap_or_default()
    }

    fn api_version(&self) -> &str {
        self.object.text_at(&["apiVersion"]).unwrap_or_default()
    }

    fn group(&self) -> &str {
        let api_version = self.api_version();
        api_version.split_once('/').map_or("", |(group, _)| group)
    }

    fn name(&self) -> String {
        let name = self.object.text_at(&["metadata", "name"]);
        name.unwrap_or_default().to_owned()
    }

    /// Its namespace; `default` where it says none, as kustomize compares.
    fn namespace(&self) -> String {
        let own = self.object.text_at(&["metadata", "namespace"]);
        own.filter(|own| !own.is_empty())
            .unwrap_or("default")
            .to_owned()
    }

    /// To be called before its name or namespace changes.
    fn remember(&mut self) {
        let now = (self.name(), self.namespace());
        if self.earlier.last() != Some(&now) {
            self.earlier.push(now);
        }
    }

    /// Every name and namespace that it has had, the current one last.
    fn ids(&self) -> Vec<(String, String)> {
        let mut ids = self.earlier.clone();
        ids.push((self.name(), self.namespace()));
        ids.dedup();
        ids
    }
}

/// What all levels share.
struct Build<'a> {
    reader: &'a Reader<'a>,
    places: &'a Places<'a>,
    subject: &'a Subject<'a>,
    gaps: Vec<Gap>,
    /// Bases that are not in this repository.
    remotes: Vec<String>,
    /// The folders being read, for cycles.
    open: Vec<String>,
}

pub(super) fn render(
    reader: &Reader<'_>,
    places: &Places<'_>,
    parameters: &Parameters,
    subject: &Subject<'_>,
) -> Result<Rendering, Blocker> {
    let mut build = Build {
        reader,
        places,
        subject,
        gaps: Vec::new(),
        remotes: Vec::new(),
        open: Vec::new(),
    };
    let mut resources = Vec::new();
    let folder = normal(subject.folder);
    build.level(
        &folder,
        parameters.section("kustomize"),
        &mut resources,
        false,
    )?;
    names::references(&mut resources);
    resources.retain(|resource| {
        let local = [
            "metadata",
            "annotations",
            "config.kubernetes.io/local-config",
        ];
        resource.object.text_at(&local) != Some("true")
    });
    let objects: Vec<Traced> = resources.into_iter().map(|r| r.object).collect();
    let here = objects
        .iter()
        .any(|object| super::is_target(object, subject.target));
    if !here && let Some(remote) = build.remotes.first() {
        return Err(Blocker::new(
            "remote-base",
            format!(
                "{} may come from {remote}, which is not in this repository",
                subject.target
            ),
            "change it in the repository of that base, or patch it in the overlay by hand",
        ));
    }
    pick(objects, subject, Tool::Kustomize, build.gaps)
}

/// A Blocker for what kustomize itself would refuse.
fn broken(place: impl std::fmt::Display, why: impl std::fmt::Display) -> Blocker {
    Blocker::new(
        "kustomize-build",
        format!("{place}: {why}; kustomize cannot build this either"),
        "repair the kustomization first",
    )
}

impl Build<'_> {
    fn place(&self, node: &Traced) -> String {
        node.deciding()
            .map(|mark| self.places.of(&mark.source).to_string())
            .unwrap_or_default()
    }

    /// Notes a feature that is not modelled and may touch `reach` and what is below.
    fn gap(&mut self, node: &Traced, feature: &str, reach: Path) {
        let place = self.place(node);
        self.gaps.push(Gap {
            blocker: Blocker::new(
                "kustomize-unmodelled",
                format!("{place}: {feature} may set this field, and unship does not follow it"),
                "change the field by hand, and check with `kustomize build`",
            ),
            reach,
        });
    }

    /// Reads one folder and all that it names into `into`.
    fn level(
        &mut self,
        folder: &str,
        overrides: Option<&Traced>,
        into: &mut Vec<Resource>,
        component: bool,
    ) -> Result<(), Blocker> {
        if self.open.iter().any(|open| open == folder) {
            let way = self.open.join(" → ");
            return Err(broken(
                format!("{folder:?}"),
                format!("the bases go round in a circle: {way} → {folder}"),
            ));
        }
        self.open.push(folder.to_owned());
        let mut kustomization = Kustomization::read(self, folder, component)?;
        kustomization.apply_overrides(self, overrides)?;
        if component {
            // A component works on what the levels before have read.
            let mut own = std::mem::take(into);
            self.accumulate(&kustomization, &mut own)?;
            *into = own;
        } else {
            let mut own = Vec::new();
            self.accumulate(&kustomization, &mut own)?;
            for resource in own {
                self.add(resource, into, folder)?;
            }
        }
        self.open.pop();
        Ok(())
    }

    fn accumulate(
        &mut self,
        kustomization: &Kustomization,
        into: &mut Vec<Resource>,
    ) -> Result<(), Blocker> {
        for entry in &kustomization.resources {
            self.resource(&kustomization.folder, entry, into)?;
        }
        generate::run(self, kustomization, into)?;
        for entry in &kustomization.components {
            let path = self.folder_of(&kustomization.folder, entry)?;
            match path {
                Some(path) => self.level(&path, None, into, true)?,
                None => {
                    let remote = text_of(entry);
                    self.gap(
                        entry,
                        &format!("the remote component {remote}"),
                        Path::default(),
                    );
                }
            }
        }
        patches::strategic(self, kustomization, into)?;
        patches::run(self, kustomization, into)?;
        names::namespace(kustomization, into);
        names::affixes(kustomization, into);
        labels::run(self, kustomization, into)?;
        patches::json(self, kustomization, into)?;
        replicas::run(self, kustomization, into)?;
        images::run(self, kustomization, into)?;
        Ok(())
    }

    /// One entry of `resources`: a file, a folder or something remote.
    fn resource(
        &mut self,
        folder: &str,
        entry: &Traced,
        into: &mut Vec<Resource>,
    ) -> Result<(), Blocker> {
        let text = text_of(entry);
        if let Some(path) = join(folder, &text)
            && self.reader.exists(&path)
        {
            let (objects, gaps) = directory::read(self.reader, &path, self.subject)?;
            self.gaps.extend(gaps);
            let manifest = self.reader.manifest(&path);
            let broken_document = manifest
                .as_ref()
                .and_then(|m| m.documents().iter().find_map(|d| d.error().cloned()));
            if let Some(error) = broken_document {
                return Err(broken(&path, error));
            }
            for object in objects {
                self.add(Resource::new(object), into, &path)?;
            }
            return Ok(());
        }
        match self.folder_of(folder, entry)? {
            Some(path) => self.level(&path, None, into, false),
            None => {
                self.remotes.push(format!("{text} ({})", self.place(entry)));
                Ok(())
            }
        }
    }

    /// The folder that an entry names; `None` for something remote.
    fn folder_of(&self, folder: &str, entry: &Traced) -> Result<Option<String>, Blocker> {
        let text = text_of(entry);
        if let Some(path) = join(folder, &text)
            && file::find(self.reader, &path).next().is_some()
        {
            return Ok(Some(path));
        }
        let remote = text.contains("://")
            || text.contains("?ref=")
            || text.starts_with("git@")
            || text.starts_with("github.com/");
        if remote {
            return Ok(None);
        }
        Err(broken(
            self.place(entry),
            format!("{text:?} is neither a file nor a folder with a kustomization"),
        ))
    }

    fn add(&self, resource: Resource, into: &mut Vec<Resource>, from: &str) -> Result<(), Blocker> {
        let id = |r: &Resource| {
            (
                r.api_version().to_owned(),
                r.kind().to_owned(),
                r.name(),
                r.namespace(),
            )
        };
        let own = id(&resource);
        if !own.2.is_empty() && into.iter().any(|other| id(other) == own) {
            return Err(broken(from, format!("{}/{} is there twice", own.1, own.2)));
        }
        into.push(resource);
        Ok(())
    }
}

/// The text of a file as one scalar of its own: what is read from it has that file's places.
fn read_documents(
    build: &Build<'_>,
    path: &str,
    act: &Act,
) -> Result<Option<Vec<Traced>>, Blocker> {
    let Some(manifest) = build.reader.manifest(path) else {
        return Ok(None);
    };
    let file: Rc<str> = Rc::from(path);
    let mut found = Vec::new();
    for (place, document) in manifest.documents().iter().enumerate() {
        if let Some(error) = document.error() {
            return Err(broken(path, error));
        }
        if document.is_empty() {
            continue;
        }
        let address = crate::manifest::Address::document(place);
        found.extend(Traced::of_file(&manifest, &file, address, act));
    }
    Ok(Some(found))
}

/// The documents of YAML in a scalar.
fn inline_documents(build: &Build<'_>, node: &Traced, act: &Act) -> Result<Vec<Traced>, Blocker> {
    let Some(text) = node.text() else {
        return Err(broken(build.place(node), "this must be text"));
    };
    let Some(mark) = node.deciding() else {
        return Ok(Vec::new());
    };
    let manifest =
        crate::manifest::Manifest::parse(text).map_err(|error| broken(build.place(node), error))?;
    let mut found = Vec::new();
    for (place, document) in manifest.documents().iter().enumerate() {
        if document.is_empty() {
            continue;
        }
        let address = crate::manifest::Address::document(place);
        let inside = mark.source.inside(address);
        // Deeper nesting has no place of its own.
        let source = inside.as_ref().unwrap_or(&mark.source);
        let value = manifest.value(&address, &Path::default());
        let mut traced = value.map(|value| Traced::of(&value, source, act));
        if let (Some(traced), None) = (&mut traced, &inside) {
            traced.lie_at(&mark.source);
        }
        found.extend(traced);
    }
    Ok(found)
}
