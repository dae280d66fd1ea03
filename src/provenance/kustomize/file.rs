//! Reading one kustomization and what the Application puts over it.

use std::rc::Rc;

use serde_json::Value;

use crate::manifest::{Address, Path};
use crate::model::Blocker;

use super::super::files::{Reader, join};
use super::super::source::KUSTOMIZATIONS;
use super::super::traced::{Act, Body, Mark, Source, Traced};
use super::images::Entry;
use super::{Build, broken};

/// One kustomization, its lists in the order in which they are applied.
#[derive(Debug, Default)]
pub(super) struct Kustomization {
    pub(super) folder: String,
    pub(super) resources: Vec<Traced>,
    pub(super) components: Vec<Traced>,
    pub(super) images: Vec<Entry>,
    pub(super) replicas: Vec<Traced>,
    pub(super) patches: Vec<Traced>,
    pub(super) patches_strategic: Vec<Traced>,
    pub(super) patches_json: Vec<Traced>,
    pub(super) name_prefix: Option<Traced>,
    pub(super) name_suffix: Option<Traced>,
    pub(super) namespace: Option<Traced>,
    pub(super) labels: Vec<Traced>,
    pub(super) common_labels: Option<Traced>,
    pub(super) common_annotations: Option<Traced>,
    pub(super) config_maps: Vec<Traced>,
    pub(super) secrets: Vec<Traced>,
    pub(super) generator_options: Option<Traced>,
}

/// Fields that need no look here: they say what the file is, or add objects of other names only.
const HARMLESS: [&str; 8] = [
    "apiVersion",
    "kind",
    "metadata",
    "sortOptions",
    "validators",
    "helmGlobals",
    "helmCharts",
    "helmChartInflationGenerator",
];

/// Fields that may change any field of any object.
const UNMODELLED: [&str; 8] = [
    "vars",
    "replacements",
    "transformers",
    "generators",
    "configurations",
    "crds",
    "openapi",
    "buildMetadata",
];

/// The text of a scalar.
pub(super) fn text_of(node: &Traced) -> String {
    node.word().unwrap_or_default()
}

/// The kustomization files of a folder.
pub(in super::super) fn find<'r>(
    reader: &'r Reader<'_>,
    folder: &str,
) -> impl Iterator<Item = String> + use<'r> {
    let folder = folder.to_owned();
    KUSTOMIZATIONS
        .iter()
        .filter_map(move |name| join(&folder, name))
        .filter(|path| reader.exists(path))
}

impl Kustomization {
    pub(super) fn read(
        build: &mut Build<'_>,
        folder: &str,
        component: bool,
    ) -> Result<Self, Blocker> {
        let paths: Vec<String> = find(build.reader, folder).collect();
        let path = match paths.as_slice() {
            [one] => one,
            [] => {
                let why = "there is no kustomization in this folder";
                return Err(broken(format!("{folder:?}"), why));
            }
            [_, second, ..] => {
                return Err(broken(second, "the folder has several kustomizations"));
            }
        };
        let root = Self::root(build, path)?;
        let is_component = root.text_at(&["kind"]) == Some("Component");
        if is_component != component {
            let why = match component {
                true => "this is named as a component, but its kind is not Component",
                false => "this is a Component and must be named under `components`",
            };
            return Err(broken(path, why));
        }
        let mut own = Self {
            folder: folder.to_owned(),
            ..Self::default()
        };
        let (mut bases, mut image_tags) = (Vec::new(), Vec::new());
        for (key, node) in root.fields().into_iter().flatten() {
            if node.is_null() {
                continue;
            }
            own.field(build, key, node, (&mut bases, &mut image_tags))?;
        }
        own.resources.append(&mut bases);
        own.images.append(&mut image_tags);
        Ok(own)
    }

    fn root(build: &Build<'_>, path: &str) -> Result<Traced, Blocker> {
        let manifest = build.reader.manifest(path);
        let Some(manifest) = manifest else {
            return Err(broken(path, "it cannot be read"));
        };
        if let Some(error) = manifest.documents().iter().find_map(|d| d.error()) {
            return Err(broken(path, error));
        }
        let first = manifest
            .documents()
            .iter()
            .position(|document| !document.is_empty())
            .unwrap_or(0);
        let file: Rc<str> = Rc::from(path);
        let address = Address::document(first);
        Traced::of_file(&manifest, &file, address, &Act::Written)
            .filter(|root| root.fields().is_some())
            .ok_or_else(|| broken(path, "it is no map"))
    }

    fn field(
        &mut self,
        build: &mut Build<'_>,
        key: &str,
        node: &Traced,
        (bases, image_tags): (&mut Vec<Traced>, &mut Vec<Entry>),
    ) -> Result<(), Blocker> {
        let list = |build: &Build<'_>| match &node.body {
            Body::List(items) => Ok(items.clone()),
            _ => Err(broken(build.place(node), format!("{key} must be a list"))),
        };
        let images = |build: &Build<'_>| -> Result<Vec<Entry>, Blocker> {
            let items = list(build)?;
            items.iter().map(|item| Entry::read(build, item)).collect()
        };
        match key {
            "resources" => self.resources = list(build)?,
            "bases" => *bases = list(build)?,
            "components" => self.components = list(build)?,
            "images" => self.images = images(build)?,
            "imageTags" => *image_tags = images(build)?,
            "replicas" => self.replicas = list(build)?,
            "patches" => self.patches = list(build)?,
            "patchesStrategicMerge" => self.patches_strategic = list(build)?,
            "patchesJson6902" => self.patches_json = list(build)?,
            "namePrefix" => self.name_prefix = Some(node.clone()),
            "nameSuffix" => self.name_suffix = Some(node.clone()),
            "namespace" => self.namespace = Some(node.clone()),
            "labels" => self.labels = list(build)?,
            "commonLabels" => self.common_labels = Some(node.clone()),
            "commonAnnotations" => self.common_annotations = Some(node.clone()),
            "configMapGenerator" => self.config_maps = list(build)?,
            "secretGenerator" => self.secrets = list(build)?,
            "generatorOptions" => self.generator_options = Some(node.clone()),
            _ if HARMLESS.contains(&key) => {}
            _ if UNMODELLED.contains(&key) => build.gap(node, key, Path::default()),
            _ => {
                return Err(broken(
                    build.place(node),
                    format!("{key} is no field of it"),
                ));
            }
        }
        Ok(())
    }

    /// What Argo CD puts over the kustomization of the source's folder before it builds
    /// (3.2, `util/kustomize`): `kustomize edit set …` for each kind of override.
    pub(super) fn apply_overrides(
        &mut self,
        build: &mut Build<'_>,
        overrides: Option<&Traced>,
    ) -> Result<(), Blocker> {
        let Some(own) = overrides else {
            return Ok(());
        };
        let full = |key: &str| {
            own.key(key)
                .filter(|node| !node.is_null() && node.text() != Some(""))
        };
        for (key, field) in [
            ("namePrefix", &mut self.name_prefix),
            ("nameSuffix", &mut self.name_suffix),
            ("namespace", &mut self.namespace),
        ] {
            if let Some(node) = full(key) {
                *field = Some(over(field.take(), node));
            }
        }
        if let Some(images) = full("images") {
            self.images = super::images::set(build, std::mem::take(&mut self.images), images)?;
        }
        if let Some(replicas) = full("replicas") {
            self.set_replicas(replicas);
        }
        for (key, field) in [
            ("commonLabels", &mut self.common_labels),
            ("commonAnnotations", &mut self.common_annotations),
        ] {
            let Some(node) = full(key) else { continue };
            let pairs = node.fields().into_iter().flatten();
            if pairs.clone().any(|(_, value)| text_of(value).contains('$')) {
                let meta = Path::of_keys(["metadata"]);
                build.gap(node, "a variable of Argo CD's build environment", meta);
            }
            match field {
                Some(there) => {
                    if let Some(fields) = there.fields_mut() {
                        fields.extend(pairs.map(|(k, v)| (k.clone(), v.clone())));
                    }
                }
                None => *field = Some(node.clone()),
            }
        }
        if let Some(labels) = self.without_selector(own) {
            self.labels.push(labels);
        }
        if let Some(patches) = full("patches") {
            self.patches.extend(patches.items().iter().cloned());
        }
        if let Some(components) = full("components") {
            let ignored = own
                .key("ignoreMissingComponents")
                .is_some_and(|flag| text_of(flag) == "true");
            for component in components.items() {
                let there = join(&self.folder, &text_of(component))
                    .is_some_and(|path| find(build.reader, &path).next().is_some());
                if there || !ignored {
                    self.components.push(component.clone());
                }
            }
        }
        Ok(())
    }

    /// With `labelWithoutSelector` the Application's labels become an entry of `labels`.
    fn without_selector(&mut self, own: &Traced) -> Option<Traced> {
        let flag = |key: &str| own.key(key).is_some_and(|node| text_of(node) == "true");
        let node = own.key("commonLabels")?;
        if !flag("labelWithoutSelector") {
            return None;
        }
        if let Some(fields) = self.common_labels.as_mut().and_then(Traced::fields_mut) {
            for key in node.fields().into_iter().flatten().map(|(key, _)| key) {
                fields.remove(key);
            }
        }
        let mark = own.marks.last().cloned();
        let scalar = |value: Value| Traced {
            body: Body::Scalar(value),
            marks: mark.clone().into_iter().collect(),
        };
        let fields = [
            ("pairs".to_owned(), node.clone()),
            (
                "includeTemplates".to_owned(),
                scalar(Value::Bool(flag("labelIncludeTemplates"))),
            ),
        ];
        Some(Traced {
            body: Body::Map(fields.into_iter().collect()),
            marks: node.marks.clone(),
        })
    }

    /// As `kustomize edit set replicas`: by name, the Application's win, sorted.
    fn set_replicas(&mut self, replicas: &Traced) {
        let name = |entry: &Traced| entry.text_at(&["name"]).unwrap_or_default().to_owned();
        let mut all: Vec<Traced> = Vec::new();
        for entry in replicas.items() {
            all.retain(|other| name(other) != name(entry));
            let mut entry = entry.clone();
            let below = self.replicas.iter().rfind(|own| name(own) == name(&entry));
            if let (Some(below), Some(count)) = (
                below.and_then(|below| below.key("count")),
                entry
                    .fields_mut()
                    .and_then(|fields| fields.get_mut("count")),
            ) {
                let mut marks: Vec<Mark> = below.marks.clone();
                marks.append(&mut count.marks);
                count.marks = marks;
            }
            all.push(entry);
        }
        for entry in std::mem::take(&mut self.replicas) {
            if !all.iter().any(|other| name(other) == name(&entry)) {
                all.push(entry);
            }
        }
        all.sort_by_key(name);
        self.replicas = all;
    }
}

/// A value put over another one, whose places stay known.
fn over(below: Option<Traced>, node: &Traced) -> Traced {
    let mut marks = below.map(|below| below.marks).unwrap_or_default();
    marks.extend(node.marks.iter().cloned());
    Traced {
        body: node.body.clone(),
        marks,
    }
}

/// The source of a key of a map, whether it is there or not.
pub(super) fn source_of(node: &Traced, key: &str) -> Option<Source> {
    let mark = node.deciding()?;
    Some(match node.key(key).and_then(Traced::deciding) {
        Some(own) => own.source.clone(),
        None => mark
            .source
            .child(crate::manifest::Step::Key(key.to_owned())),
    })
}
