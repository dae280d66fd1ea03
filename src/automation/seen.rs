//! What a look has read, as the tools' own objects.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use super::{renovate, workflow};
use crate::manifest::{Address, Manifest, Path};
use crate::model::{Application, GitView, ImageRef, Observation, WorkloadRef};

/// Texts by which a file speaks of a tool.
pub const TOOL_TEXTS: [&str; 3] = [
    "image.toolkit.fluxcd.io/",
    "argocd-image-updater.argoproj.io",
    "kargo.akuity.io/",
];

/// What a file's name says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matter {
    /// It configures a tool.
    Always,
    /// It may have a tool's object: one of [`TOOL_TEXTS`] is in it then.
    Perhaps,
    /// It has nothing to do with them.
    Never,
}

/// Whether a file of this name may configure a tool that sets images.
#[must_use]
pub fn matters(path: &str) -> Matter {
    if renovate::is_one(path) || workflow::is_one(path) {
        return Matter::Always;
    }
    if crate::manifest::is_manifest_name(path) {
        Matter::Perhaps
    } else {
        Matter::Never
    }
}

/// The target, and what is known around it.
pub(super) struct Subject<'o> {
    pub(super) target: &'o WorkloadRef,
    pub(super) git: &'o GitView,
    pub(super) application: Option<&'o Application>,
    files: &'o BTreeMap<String, Arc<str>>,
    /// The images that Git has for it now.
    pub(super) images: Vec<ImageRef>,
    /// The tools' objects.
    pub(super) objects: Vec<Seen>,
}

/// An object of a tool.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) value: Value,
    /// The file and the line; `None` for a live one.
    pub(super) file: Option<(String, usize)>,
}

impl Seen {
    /// `FILE:LINE`, or `KIND NAMESPACE/NAME`.
    pub(super) fn place(&self) -> String {
        match &self.file {
            Some((path, line)) => format!("{path}:{line}"),
            None => format!(
                "{} {}/{}",
                self.kind,
                self.namespace.as_deref().unwrap_or_default(),
                self.name
            ),
        }
    }

    /// A text field by its JSON pointer.
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.value.pointer(pointer)?.as_str()
    }

    /// Whether it may be in this namespace: a manifest may leave that to kustomize.
    pub(super) fn may_be_in(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|own| own == namespace)
    }
}

impl<'o> Subject<'o> {
    /// `None` where the target's source is not known.
    pub(super) fn of(observation: &'o Observation) -> Option<Self> {
        let git = observation.git.as_ref()?;
        let template = git.states.first().map(|state| &state.template);
        let images = template.map(|template| template.images());
        let images = images.into_iter().flatten().map(|(_, image)| image);
        let view = &observation.automation;
        let mut objects: Vec<Seen> = view.objects.iter().filter_map(live).collect();
        for (path, text) in &view.files {
            objects.extend(in_file(path, text));
        }
        Some(Self {
            target: &observation.target,
            git,
            application: observation.argocd.application.as_ref(),
            files: &view.files,
            images: images.collect(),
            objects,
        })
    }

    /// The objects of a kind; where one is both live and in a file, both.
    pub(super) fn all(&self, kind: &'static str) -> impl Iterator<Item = &Seen> {
        self.objects.iter().filter(move |seen| seen.kind == kind)
    }

    /// The objects of a kind that decide: what is live, and manifests of what was not read live.
    pub(super) fn deciding(&self, kind: &'static str) -> impl Iterator<Item = &Seen> {
        let is_live = move |name: &str| {
            let mut all = self.all(kind);
            all.any(|seen| seen.file.is_none() && seen.name == name)
        };
        self.all(kind)
            .filter(move |seen| seen.file.is_none() || !is_live(&seen.name))
    }

    /// The paths of the files that make the target what it is.
    pub(super) fn paths(&self) -> Vec<&str> {
        match &self.git.rendered {
            Some(rendered) => rendered.files.keys().map(String::as_str).collect(),
            None => vec![&self.git.file],
        }
    }

    /// The files that were read for tools.
    pub(super) fn view_files(&self) -> impl Iterator<Item = (&str, &str)> {
        let files = self.files.iter();
        files.map(|(path, text)| (path.as_str(), &**text))
    }

    /// One of them.
    pub(super) fn view_file(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(|text| &**text)
    }

    /// The files that make the target what it is, each with the part that is its own.
    pub(super) fn files(&self) -> Vec<(&str, &Arc<str>, Range<usize>)> {
        match &self.git.rendered {
            Some(rendered) => {
                let files = rendered.files.iter();
                files
                    .map(|(path, text)| (path.as_str(), text, 0..text.len()))
                    .collect()
            }
            None => {
                let text = &self.git.text;
                let own = span_of(text, self.target.kind.as_str(), &self.target.name);
                own.map(|span| (self.git.file.as_str(), text, span))
                    .into_iter()
                    .collect()
            }
        }
    }

    /// Whether the target runs an image of this repository.
    pub(super) fn runs(&self, image: &str) -> bool {
        let wanted = repository(image);
        let mut images = self.images.iter();
        images.any(|own| repository(own.as_str()) == wanted)
    }
}

/// Registry and repository, with what runtimes fill in.
fn repository(image: &str) -> String {
    let name = ImageRef::new(ImageRef::new(image).name());
    let full = name.normalised();
    full.strip_suffix(":latest").unwrap_or(&full).to_owned()
}

/// The bytes of the document that holds an object.
pub(super) fn span_of(text: &str, kind: &str, name: &str) -> Option<Range<usize>> {
    let manifest = Manifest::parse_lenient(text);
    let object = manifest.find(kind, name, None).into_iter().next()?;
    if object.address.item.is_some() {
        return manifest.span(&object.address, &Path::default());
    }
    let document = manifest.documents().get(object.address.document)?;
    Some(document.span())
}

fn in_file(path: &str, text: &str) -> Vec<Seen> {
    let manifest = Manifest::parse_lenient(text);
    let objects = manifest.objects().into_iter();
    let seen = objects.filter_map(|object| {
        let value = value_of(&manifest, &object.address)?;
        Some(Seen {
            kind: object.kind,
            name: object.name,
            namespace: object.namespace,
            value,
            file: Some((path.to_owned(), object.line)),
        })
    });
    seen.collect()
}

fn value_of(manifest: &Manifest, address: &Address) -> Option<Value> {
    manifest.value(address, &Path::default())
}

fn live(value: &Value) -> Option<Seen> {
    let text = |pointer: &str| value.pointer(pointer)?.as_str().map(str::to_owned);
    Some(Seen {
        kind: text("/kind")?,
        name: text("/metadata/name")?,
        namespace: text("/metadata/namespace"),
        value: value.clone(),
        file: None,
    })
}
