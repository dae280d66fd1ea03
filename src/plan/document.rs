//! The edits that put a document back.

use serde_json::Value;

use super::later::is_tag_text;
use super::{Blocker, Only};
use crate::manifest::{Address, Edit, Manifest, Path};
use crate::model::{DocumentFields, PodTemplate, WorkloadRef};
use crate::timeline::Entry;

/// The path of a workload's pod template.
pub(super) const TEMPLATE: &str = "spec.template";

/// A parsed file with the place of one object in it.
pub(super) struct Document {
    /// The file.
    pub manifest: Manifest,
    /// The object.
    pub address: Address,
}

/// Opens a file and finds the one object of this kind and name. An object without
/// a namespace takes the Application's destination, so it counts as well.
pub(super) fn open(
    text: &str,
    file: &str,
    (kind, namespace, name): (&str, &str, &str),
) -> Result<Document, Blocker> {
    let manifest = Manifest::parse(text).map_err(|error| {
        Blocker::new(
            "manifest-unreadable",
            format!("{file} is no plain YAML manifest: {error}"),
            format!("mend {file} first; unship edits only what it can read"),
        )
    })?;
    let objects: Vec<_> = manifest
        .objects()
        .into_iter()
        .filter(|o| o.kind == kind && o.name == name)
        .filter(|o| o.namespace.as_deref().is_none_or(|own| own == namespace))
        .collect();
    match objects.as_slice() {
        [object] => {
            let address = object.address;
            Ok(Document { manifest, address })
        }
        [] => Err(Blocker::new(
            "document-missing",
            format!("{file} has no {kind}/{name} for namespace {namespace}"),
            "name the file with --file",
        )),
        many => {
            let lines: Vec<String> = many.iter().map(|o| o.line.to_string()).collect();
            Err(Blocker::new(
                "document-ambiguous",
                format!(
                    "{file} has {kind}/{name} {} times (lines {})",
                    many.len(),
                    lines.join(", ")
                ),
                "leave only one of them in the file",
            ))
        }
    }
}

impl Document {
    /// The document of a workload.
    pub(super) fn of(text: &str, file: &str, target: &WorkloadRef) -> Result<Self, Blocker> {
        open(
            text,
            file,
            (target.kind.as_str(), &target.namespace, &target.name),
        )
    }

    /// The value at a path, as Kubernetes reads it.
    pub(super) fn value(&self, path: &str) -> Option<Value> {
        self.manifest
            .value(&self.address, &path.parse::<Path>().ok()?)
    }

    /// The object's pod template.
    pub(super) fn template(&self) -> Option<PodTemplate> {
        self.value(TEMPLATE).map(PodTemplate::new)
    }

    /// The keys of the object itself.
    pub(super) fn top_level_keys(&self) -> Vec<String> {
        let root = self.manifest.value(&self.address, &Path::new(Vec::new()));
        root.as_ref()
            .and_then(Value::as_object)
            .map(|map| map.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// The text of a subtree.
    pub(super) fn source(&self, path: &str) -> Option<String> {
        let path = path.parse::<Path>().ok()?;
        self.manifest
            .source_text(&self.address, &path)
            .map(str::to_owned)
    }

    /// The text of the object.
    pub(super) fn whole(&self) -> Option<String> {
        self.manifest
            .source_text(&self.address, &Path::default())
            .map(str::to_owned)
    }

    /// The line of a field, 1-based; 0 where it is absent.
    pub(super) fn line(&self, path: &str) -> usize {
        let position = path
            .parse::<Path>()
            .ok()
            .and_then(|p| self.manifest.position(&self.address, &p));
        position.map_or(0, |position| position.line)
    }

    /// The value at a path that was read already.
    pub(super) fn at(&self, path: &Path) -> Option<Value> {
        self.manifest.value(&self.address, path)
    }

    /// The whole text.
    pub(super) fn text(&self) -> &str {
        self.manifest.text()
    }

    /// The fields that plans are about.
    pub(super) fn fields(&self) -> Option<DocumentFields> {
        Some(DocumentFields {
            template: self.template()?,
            replicas: self.value("spec.replicas").and_then(|v| v.as_i64()),
            paused: self.value("spec.paused").and_then(|v| v.as_bool()),
        })
    }

    /// The text after these edits, all of them or none.
    pub(super) fn apply(&self, file: &str, edits: &[Edit<'_>]) -> Result<String, Blocker> {
        self.manifest
            .edit(&self.address, edits)
            .map(|edited| edited.text)
            .map_err(|error| {
                Blocker::new(
                    "edit-refused",
                    format!("{file} cannot be edited without changing more than intended: {error}"),
                    format!("edit {file} by hand at that place"),
                )
            })
    }

    /// The file with these fields put back to `good`'s own text.
    pub(super) fn restore(
        &self,
        file: &str,
        good: &Self,
        paths: &[Path],
    ) -> Result<String, Blocker> {
        let mut edits = Vec::new();
        for path in paths {
            if good.manifest.value(&good.address, path).is_some() {
                edits.push(Edit::Restore {
                    path: path.clone(),
                    from: &good.manifest,
                    from_address: good.address,
                });
            } else if self.manifest.value(&self.address, path).is_some() {
                edits.push(Edit::Remove { path: path.clone() });
            }
        }
        self.apply(file, &edits)
    }

    /// The file with `spec.paused: false`.
    pub(super) fn unpause(&self, file: &str) -> Result<String, Blocker> {
        self.apply(file, &[set("spec.paused", Value::Bool(false))?])
    }

    /// The file with the entry's images, and with whatever names the old tag in
    /// labels and variables set to what the entry has there: one change, so that
    /// no second rollout follows.
    pub(super) fn set_images(&self, file: &str, entry: &Entry) -> Result<String, Blocker> {
        let current = self
            .template()
            .unwrap_or_else(|| PodTemplate::new(Value::Null));
        let mut edits = Vec::new();
        for (name, image) in &entry.images {
            for list in ["containers", "initContainers"] {
                let path = format!("{TEMPLATE}.spec.{list}[{name}].image");
                if self.value(&path).is_some() {
                    edits.push(set(&path, Value::from(image.as_str()))?);
                }
            }
        }
        let tags: Vec<String> = current
            .images()
            .iter()
            .filter_map(|(_, image)| image.tag().map(str::to_owned))
            .collect();
        for path in tag_places(&current, &tags) {
            if let Some(value) = lookup(&entry.template, &path) {
                edits.push(set(&format!("{TEMPLATE}.{}", path.0), value)?);
            }
        }
        self.apply(file, &edits)
    }
}

/// Makes a field this value.
pub(super) fn set(path: &str, value: Value) -> Result<Edit<'static>, Blocker> {
    let path = path.parse::<Path>().map_err(|error| {
        Blocker::new(
            "edit-refused",
            format!("{path}: {error}"),
            "edit the file by hand",
        )
    })?;
    Ok(Edit::Set { path, value })
}

/// A place in a pod template: its path form, and how to find it in another template.
pub(super) struct TagPlace(String, Place);

impl TagPlace {
    /// The path, from the pod template.
    pub(super) fn path(&self) -> &str {
        &self.0
    }
}

enum Place {
    Label(String),
    Variable(String, String),
}

/// Labels and literal variables whose value spells one of the tags.
pub(super) fn tag_places(template: &PodTemplate, tags: &[String]) -> Vec<TagPlace> {
    let mut found = Vec::new();
    let spells = |value: &Value| tags.iter().any(|tag| is_tag_text(value, tag));
    let labels = template
        .value()
        .pointer("/metadata/labels")
        .and_then(Value::as_object);
    for (key, _) in labels
        .into_iter()
        .flatten()
        .filter(|(_, value)| spells(value))
    {
        let path = format!("metadata.labels[\"{key}\"]");
        found.push(TagPlace(path, Place::Label(key.clone())));
    }
    for container in containers(template) {
        let Some(name) = container.get("name").and_then(Value::as_str) else {
            continue;
        };
        let env = container.get("env").and_then(Value::as_array);
        for entry in env.into_iter().flatten() {
            let (Some(key), Some(value)) = (
                entry.get("name").and_then(Value::as_str),
                entry.get("value"),
            ) else {
                continue;
            };
            if spells(value) {
                let path = format!("spec.containers[{name}].env[{key}].value");
                found.push(TagPlace(
                    path,
                    Place::Variable(name.to_owned(), key.to_owned()),
                ));
            }
        }
    }
    found
}

fn containers(template: &PodTemplate) -> impl Iterator<Item = &Value> {
    template
        .value()
        .pointer("/spec/containers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn lookup(template: &PodTemplate, place: &TagPlace) -> Option<Value> {
    match &place.1 {
        Place::Label(key) => template
            .value()
            .pointer("/metadata/labels")?
            .get(key)
            .cloned(),
        Place::Variable(container, key) => containers(template)
            .find(|c| c.get("name").and_then(Value::as_str) == Some(container))?
            .get("env")?
            .as_array()?
            .iter()
            .find(|e| e.get("name").and_then(Value::as_str) == Some(key))?
            .get("value")
            .cloned(),
    }
}

/// The paths that `--only` stands for when fields are restored by text.
pub(super) fn restore_paths(only: &Only) -> Result<Vec<Path>, Blocker> {
    let parse = |text: &str| {
        text.parse::<Path>().map_err(|error| {
            Blocker::new(
                "bad-field",
                format!("--only {text}: {error}"),
                "write a field like spec.template.spec.containers[proxy].image",
            )
        })
    };
    match only {
        Only::Template | Only::Image => Ok(vec![parse(TEMPLATE)?]),
        Only::Fields(fields) => fields.iter().map(|field| parse(field)).collect(),
    }
}
