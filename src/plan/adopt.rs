//! What the cluster runs, written into the manifest: after a change by hand.

use serde_json::Value;

use super::Blocker;
use super::document::{Document, TEMPLATE};
use super::intent::put_all;
use crate::manifest::{Change, Edit, Path, diff_values_at};
use crate::model::{GitView, ImageRef, Observation, PodTemplate, Workload};

/// The manifest with what runs in it. Written are the fields that the manifest has and
/// those that the change by hand touched; not the API server's defaults, the marks of
/// tools, or images that a webhook points at a mirror.
pub(super) fn edited(
    document: &Document,
    git: &GitView,
    observation: &Observation,
) -> Result<String, Blocker> {
    let Some(workload) = &observation.cluster.workload else {
        return Err(Blocker::new(
            "live-unknown",
            "the live object could not be read",
            "run `unship access` to see what this identity may read",
        ));
    };
    let template = document.template().unwrap_or_else(PodTemplate::absent);
    let live = &workload.template;
    let place = (git.file.as_str(), &observation.target);
    let changes = match applied(&template, observation, workload) {
        // What the manifest's own template became tells exactly what was touched since.
        Some(applied) => differences(&applied, live),
        None if template.covers(live).is_some() => Vec::new(),
        None => named_differences(&template, live),
    };
    let mut puts = Vec::new();
    let mut gone = Vec::new();
    for change in changes {
        match change.new {
            Some(value) => {
                if let Some(value) = to_write(document, &change.path, value) {
                    puts.push((change.path, value));
                }
            }
            None if document.at(&change.path).is_some() => gone.push(change.path),
            None => {}
        }
    }
    if let Some(value) = replicas(document, observation, workload) {
        puts.push((Path::of_keys(["spec", "replicas"]), value));
    }
    let text = put_all(document, place, puts)?;
    remove_all(&text, place, gone)
}

fn remove_all(
    text: &str,
    (file, target): (&str, &crate::model::WorkloadRef),
    gone: Vec<Path>,
) -> Result<String, Blocker> {
    let mut text = text.to_owned();
    for path in gone {
        text = Document::of(&text, file, target)?.apply(file, &[Edit::Remove { path }])?;
    }
    Ok(text)
}

/// The newest recorded template that the manifest explains: what Argo CD applied.
fn applied(
    template: &PodTemplate,
    observation: &Observation,
    workload: &Workload,
) -> Option<PodTemplate> {
    if template.covers(&workload.template).is_some() {
        // The manifest explains what runs; only fields beside it may have been touched,
        // and nothing tells them from defaults.
        return None;
    }
    let sets = observation.cluster.replica_sets.iter().flatten();
    let best = sets
        .filter_map(|set| {
            let extra = template.covers(&set.template)?.extra;
            Some((std::cmp::Reverse(set.rollout_revision), extra, set))
        })
        .min_by_key(|(number, extra, _)| (*extra, *number));
    best.map(|(_, _, set)| set.template.clone())
}

fn differences(old: &PodTemplate, new: &PodTemplate) -> Vec<Change> {
    let path: Path = TEMPLATE.parse().unwrap_or_default();
    let (old, new) = (old.without_restarts(), new.without_restarts());
    let changes = diff_values_at(&path, old.value(), new.value());
    changes
        .into_iter()
        .filter(|change| !is_tool_mark(change))
        .collect()
}

/// Without a record of what was applied: the fields that the manifest names and that
/// have another value. Fields that only the live object has may be defaults.
fn named_differences(template: &PodTemplate, live: &PodTemplate) -> Vec<Change> {
    differences(template, live)
        .into_iter()
        .filter(|change| change.old.is_some() && change.new.is_some())
        .collect()
}

/// Annotations and labels that tools write into templates.
fn is_tool_mark(change: &Change) -> bool {
    let path = change.path.to_string();
    [
        "kubectl.kubernetes.io/",
        "reloader.stakater.com/",
        "sidecar.istio.io/",
    ]
    .iter()
    .any(|mark| path.contains(mark))
}

/// What is written for a live value: an image that a webhook points at a mirror keeps
/// the manifest's own registry, and an image that is the same is not written at all.
fn to_write(document: &Document, path: &Path, live: Value) -> Option<Value> {
    let is_image = path.to_string().ends_with(".image");
    let (true, Some(text), Some(own)) = (is_image, live.as_str(), document.at(path)) else {
        return Some(live);
    };
    let (image, own) = (
        ImageRef::new(text),
        ImageRef::new(own.as_str().unwrap_or("")),
    );
    if image.same_as(&own) || image.is_mirror_of(&own) {
        return None;
    }
    let Some(tag) = image.tag() else {
        return Some(live);
    };
    let at_home = ImageRef::new(format!("{}:{tag}", own.name()));
    if image.is_mirror_of(&at_home) && image.digest().is_none() {
        return Some(Value::from(at_home.as_str()));
    }
    Some(live)
}

/// The live number, where the manifest names one and no autoscaler owns it.
fn replicas(document: &Document, observation: &Observation, workload: &Workload) -> Option<Value> {
    let own = document.value("spec.replicas")?.as_i64()?;
    let free = observation.cluster.hpas.as_ref().is_some_and(Vec::is_empty);
    (free && own != workload.replicas).then(|| Value::from(workload.replicas))
}
