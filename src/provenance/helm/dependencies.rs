//! The subcharts of a chart: beside it, packed, or published elsewhere.

use super::super::files::{Files, Reader, join, root};
use super::super::traced::{Body, Traced};
use super::{Gap, gap, path_in, values};
use crate::manifest::Path;
use crate::model::Blocker;

use serde_json::Value;

/// A subchart that is enabled.
pub(super) struct Dependency {
    /// Its key in the values of the chart above.
    pub(super) key: String,
    pub(super) folder: String,
    /// Its Chart.yaml.
    pub(super) metadata: Traced,
}

/// A subchart that `helm dependency build` takes from a Helm repository or a registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Published {
    /// Where, as Chart.yaml names it.
    pub repository: String,
    /// The chart.
    pub name: String,
    /// The exact version: that of Chart.lock, else the one that Chart.yaml names if it is one.
    pub version: String,
}

/// What stands for a published chart where repositories are named: the repository's or registry's
/// address with the chart's name.
#[must_use]
pub fn chart_address(repository: &str, chart: &str) -> String {
    let repository = repository.trim_end_matches('/');
    let place = repository.strip_prefix("oci://").unwrap_or(repository);
    let scheme = if place.contains("://") {
        ""
    } else {
        "https://"
    };
    format!("{scheme}{place}/{chart}")
}

/// The subcharts of the chart in a folder that are in no file beside it.
#[must_use]
pub fn published(files: &dyn Files, folder: &str) -> Vec<Published> {
    let reader = Reader::new(files);
    let metadata = values::file(&reader, &path_in(folder, "Chart.yaml"));
    let Ok(Some(metadata)) = metadata else {
        return Vec::new();
    };
    let beside = vendored(&reader, folder, &mut Vec::new()).unwrap_or_default();
    let declared = declared(&metadata).iter();
    let missing = declared.filter(|entry| {
        let name = entry.text_at(&["name"]);
        !beside.iter().any(|(_, own)| own.text_at(&["name"]) == name)
    });
    let mut found: Vec<Published> = missing
        .filter_map(|entry| from_elsewhere(&reader, folder, entry))
        .collect();
    found.sort();
    found.dedup();
    found
}

impl Published {
    /// The root of its files.
    pub(in super::super) fn root(&self) -> String {
        let address = chart_address(&self.repository, &self.name);
        root(&format!("{address}@{}", self.version))
    }
}

fn declared(metadata: &Traced) -> &[Traced] {
    let entries = metadata.key("dependencies");
    entries.map(Traced::items).unwrap_or_default()
}

/// What an entry of `dependencies` takes from elsewhere, where that is one version.
fn from_elsewhere(reader: &Reader<'_>, folder: &str, entry: &Traced) -> Option<Published> {
    let text = |entry: &Traced, key: &str| entry.text_at(&[key]).unwrap_or_default().to_owned();
    let (name, repository) = (text(entry, "name"), text(entry, "repository"));
    // An alias of a repository is in somebody's configuration, and a login is not asked for.
    let is_known = repository.contains("://") && !repository.starts_with("file:");
    if !is_known || repository.contains('@') || name.is_empty() {
        return None;
    }
    let lock = values::file(reader, &path_in(folder, "Chart.lock"));
    let lock = lock.ok().flatten();
    let locked = lock.as_ref().map(declared).unwrap_or_default().iter();
    let mut locked = locked.filter(|own| text(own, "name") == name);
    let version = match locked.next() {
        Some(own) => text(own, "version"),
        None => Some(text(entry, "version")).filter(|version| is_exact(version))?,
    };
    Some(Published {
        repository,
        name,
        version,
    })
}

/// Whether a chart's version is one and no range, as Argo CD 3.2 and helm take it
/// (`versions.IsVersion`).
#[must_use]
pub fn is_exact(version: &str) -> bool {
    let core = version.strip_prefix('v').unwrap_or(version);
    let core = core.split(['-', '+']).next().unwrap_or_default();
    let mut numbers = core.split('.');
    numbers.clone().count() == 3
        && numbers.all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

/// The charts in the folder `charts`, as folders or packed.
fn vendored(
    reader: &Reader<'_>,
    folder: &str,
    gaps: &mut Vec<Gap>,
) -> Result<Vec<(String, Traced)>, Blocker> {
    let mut found = Vec::new();
    for name in reader.list(&path_in(folder, "charts")) {
        let path = path_in(folder, &format!("charts/{name}"));
        match values::file(reader, &path_in(&path, "Chart.yaml"))? {
            Some(chart) => found.push((path, chart)),
            None if name.contains(".tgz") => {
                gaps.push(gap(&path, "the subchart in it cannot be read"));
            }
            None => {}
        }
    }
    Ok(found)
}

/// The subcharts that are enabled.
pub(super) fn dependencies(
    reader: &Reader<'_>,
    folder: &str,
    (metadata, values): (&Traced, &Traced),
    gaps: &mut Vec<Gap>,
) -> Result<Vec<Dependency>, Blocker> {
    let mut found = Vec::new();
    let declared = declared(metadata);
    let vendored = vendored(reader, folder, gaps)?;
    for entry in declared.iter().filter(|entry| enabled(entry, values)) {
        if entry.key("import-values").is_some() {
            gaps.push(gap(&path_in(folder, "Chart.yaml"), "import-values"));
        }
        let (folder, mut metadata) = match place(reader, folder, entry, &vendored)? {
            Ok(place) => place,
            Err(why) => {
                gaps.push(gap(&path_in(folder, "Chart.yaml"), &why));
                continue;
            }
        };
        let name = entry.text_at(&["name"]).unwrap_or_default();
        let key = entry.text_at(&["alias"]).unwrap_or(name).to_owned();
        // Under an alias a chart calls itself by that (helm's `processDependencyEnabled`).
        if let (Some(alias), Some(fields)) = (entry.key("alias"), metadata.fields_mut()) {
            fields.insert("name".to_owned(), alias.clone());
        }
        found.push(Dependency {
            key,
            folder,
            metadata,
        });
    }
    for (folder, metadata) in vendored {
        let name = metadata.text_at(&["name"]).unwrap_or_default().to_owned();
        let mut names = declared.iter().map(|entry| entry.text_at(&["name"]));
        if !names.any(|own| own == Some(&name)) {
            found.push(Dependency {
                key: name,
                folder,
                metadata,
            });
        }
    }
    Ok(found)
}

type Placed = (String, Traced);

/// Where the chart of an entry is, with its Chart.yaml; or why it is not here.
fn place(
    reader: &Reader<'_>,
    folder: &str,
    entry: &Traced,
    vendored: &[Placed],
) -> Result<Result<Placed, String>, Blocker> {
    let name = entry.text_at(&["name"]);
    let beside = vendored
        .iter()
        .find(|(_, own)| own.text_at(&["name"]) == name);
    if let Some(own) = beside {
        return Ok(Ok(own.clone()));
    }
    let repository = entry.text_at(&["repository"]).unwrap_or_default();
    let path = match repository.strip_prefix("file://") {
        Some(path) => join(folder, path),
        None => from_elsewhere(reader, folder, entry).map(|own| own.root()),
    };
    let chart = match &path {
        Some(path) => values::file(reader, &path_in(path, "Chart.yaml"))?,
        None => None,
    };
    let shown = crate::model::mask_url(repository);
    let name = name.unwrap_or_default();
    Ok(match (path, chart) {
        (Some(path), Some(chart)) => Ok((path, chart)),
        (Some(_), None) => Err(format!(
            "the subchart {name} could not be read from {shown}"
        )),
        (None, _) => {
            let version = entry.text_at(&["version"]).unwrap_or_default();
            Err(format!(
                "which version of the subchart {name} of {shown} {version:?} means is written nowhere (no Chart.lock)"
            ))
        }
    })
}

/// `condition`, else `tags`; on where neither says anything.
fn enabled(entry: &Traced, values: &Traced) -> bool {
    let flag = |path: &str| {
        let node = values.get(&Path::of_keys(path.split('.')))?;
        match node.body {
            Body::Scalar(Value::Bool(flag)) => Some(flag),
            _ => None,
        }
    };
    let conditions = entry.text_at(&["condition"]).unwrap_or_default();
    if let Some(on) = conditions.split(',').find_map(|path| flag(path.trim())) {
        return on;
    }
    let tags = entry.key("tags").map(Traced::items).unwrap_or_default();
    let tags: Vec<bool> = tags
        .iter()
        .filter_map(|tag| flag(&format!("tags.{}", tag.text()?)))
        .collect();
    tags.is_empty() || tags.contains(&true)
}
