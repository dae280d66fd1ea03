//! Whether the file is what decides over the field, of a manifest that is not rendered.
//! Everything that decides instead is named with its place.

use serde_json::Value;

use crate::model::{Application, ApplicationSource, Observation};

use super::Blocker;

/// Everything that outranks or generates the manifest.
pub(super) fn blockers(observation: &Observation) -> Vec<Blocker> {
    let mut found = Vec::new();
    if let Some(application) = &observation.argocd.application {
        let source = application.sources.get(observation.argocd.source);
        // What decides over a rendered object is found field by field.
        let rendered = observation
            .git
            .as_ref()
            .is_some_and(|git| git.rendered.is_some());
        if let Some(source) = source.filter(|_| !rendered) {
            source_blockers(application, source, &mut found);
        }
    }
    for (place, meaning) in observation.git.iter().flat_map(|git| &git.overrides) {
        found.push(Blocker::new(
            "generated-manifest",
            format!("{place} decides: {meaning}"),
            format!("set the field in {place} by hand"),
        ));
    }
    found
}

fn source_blockers(app: &Application, source: &ApplicationSource, found: &mut Vec<Blocker>) {
    let owner = app.owners.iter().find(|(kind, _)| kind == "ApplicationSet");
    let place = owner.map_or_else(
        || format!("Application {}", app.name),
        |(_, set)| format!("Application {} (made by ApplicationSet {set})", app.name),
    );
    let sections = [
        ("helm", source.helm.as_ref(), "Helm values and parameters"),
        (
            "kustomize",
            source.kustomize.as_ref(),
            "kustomize overrides",
        ),
        (
            "plugin",
            source.plugin.as_ref(),
            "a config management plugin",
        ),
    ];
    for (field, value, what) in sections {
        if value.is_some_and(has_content) {
            found.push(Blocker::new(
                "application-override",
                format!("{what} in spec.source.{field} of {place} decide over the field"),
                format!("change spec.source.{field} there; an edit of the file would be outranked"),
            ));
        }
    }
    if !source.chart.is_empty() {
        found.push(Blocker::new(
            "helm-chart",
            format!(
                "{place} deploys chart {} from a Helm repository",
                source.chart
            ),
            "change spec.source.targetRevision or the values there",
        ));
    }
    let jsonnet = source.directory.as_ref().and_then(|d| d.get("jsonnet"));
    if jsonnet.is_some_and(has_content) {
        found.push(Blocker::new(
            "jsonnet",
            format!("{place} renders jsonnet"),
            "change the jsonnet source by hand",
        ));
    }
    for kind in app
        .source_types
        .iter()
        .filter(|kind| !kind.is_empty() && *kind != "Directory")
    {
        if found.is_empty() {
            found.push(Blocker::new(
                "generated-manifest",
                format!(
                    "{place} is of type {kind}: path {:?} is rendered, not applied as it stands",
                    source.path
                ),
                format!("change the {kind} input that sets the field"),
            ));
        }
    }
}

fn has_content(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Object(map) => map.values().any(has_content),
        Value::Array(items) => !items.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}
