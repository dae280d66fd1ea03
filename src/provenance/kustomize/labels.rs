//! `labels`, `commonLabels` and `commonAnnotations` (`builtinpluginconsts`, 5.8).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::Path;
use crate::model::Blocker;

use super::super::traced::{Act, Body, Mark, Traced};
use super::file::{Kustomization, text_of};
use super::{Build, Resource, broken};

/// A map that pairs go into: its path (lists on the way are gone through), whether it is created,
/// and the kinds that have it (all where empty).
struct Field {
    path: &'static str,
    create: bool,
    kinds: &'static [&'static str],
}

const fn field(path: &'static str, create: bool, kinds: &'static [&'static str]) -> Field {
    Field {
        path,
        create,
        kinds,
    }
}

const TEMPLATED: &[&str] = &[
    "Deployment",
    "ReplicaSet",
    "DaemonSet",
    "StatefulSet",
    "Job",
    "ReplicationController",
];
const SPREAD: &[&str] = &["Deployment", "StatefulSet"];

const METADATA: &[Field] = &[field("metadata/labels", true, &[])];

const TEMPLATES: &[Field] = &[
    field("spec/template/metadata/labels", true, TEMPLATED),
    field("spec/jobTemplate/metadata/labels", true, &["CronJob"]),
    field(
        "spec/jobTemplate/spec/template/metadata/labels",
        true,
        &["CronJob"],
    ),
    field(
        "spec/volumeClaimTemplates/metadata/labels",
        true,
        &["StatefulSet"],
    ),
];

const SELECTORS: &[Field] = &[
    field("spec/selector", true, &["Service", "ReplicationController"]),
    field(
        "spec/selector/matchLabels",
        true,
        &["Deployment", "ReplicaSet", "DaemonSet", "StatefulSet"],
    ),
    field(
        "spec/selector/matchLabels",
        false,
        &["Job", "PodDisruptionBudget"],
    ),
    field(
        "spec/jobTemplate/spec/selector/matchLabels",
        false,
        &["CronJob"],
    ),
    field(
        "spec/template/spec/affinity/podAffinity/preferredDuringSchedulingIgnoredDuringExecution/\
         podAffinityTerm/labelSelector/matchLabels",
        false,
        SPREAD,
    ),
    field(
        "spec/template/spec/affinity/podAffinity/requiredDuringSchedulingIgnoredDuringExecution/\
         labelSelector/matchLabels",
        false,
        SPREAD,
    ),
    field(
        "spec/template/spec/affinity/podAntiAffinity/\
         preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels",
        false,
        SPREAD,
    ),
    field(
        "spec/template/spec/affinity/podAntiAffinity/\
         requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels",
        false,
        SPREAD,
    ),
    field(
        "spec/template/spec/topologySpreadConstraints/labelSelector/matchLabels",
        false,
        SPREAD,
    ),
    field("spec/podSelector/matchLabels", false, &["NetworkPolicy"]),
    field(
        "spec/ingress/from/podSelector/matchLabels",
        false,
        &["NetworkPolicy"],
    ),
    field(
        "spec/egress/to/podSelector/matchLabels",
        false,
        &["NetworkPolicy"],
    ),
];

const ANNOTATIONS: &[Field] = &[
    field("metadata/annotations", true, &[]),
    field("spec/template/metadata/annotations", true, TEMPLATED),
    field("spec/jobTemplate/metadata/annotations", true, &["CronJob"]),
    field(
        "spec/jobTemplate/spec/template/metadata/annotations",
        true,
        &["CronJob"],
    ),
];

pub(super) fn run(
    build: &mut Build<'_>,
    kustomization: &Kustomization,
    resources: &mut [Resource],
) -> Result<(), Blocker> {
    for entry in &kustomization.labels {
        if let Some(fields) = entry.key("fields").filter(|fields| !fields.is_null()) {
            build.gap(fields, "labels in fields of their own", Path::default());
        }
        let flag = |key: &str| entry.key(key).is_some_and(|node| text_of(node) == "true");
        let Some(pairs) = entry.key("pairs") else {
            continue;
        };
        let sets: &[&[Field]] = if flag("includeSelectors") {
            &[METADATA, TEMPLATES, SELECTORS]
        } else if flag("includeTemplates") {
            &[METADATA, TEMPLATES]
        } else {
            &[METADATA]
        };
        put(build, pairs, sets, "labels", resources)?;
    }
    if let Some(pairs) = &kustomization.common_labels {
        let sets: &[&[Field]] = &[METADATA, TEMPLATES, SELECTORS];
        put(build, pairs, sets, "commonLabels", resources)?;
    }
    if let Some(pairs) = &kustomization.common_annotations {
        put(build, pairs, &[ANNOTATIONS], "commonAnnotations", resources)?;
    }
    Ok(())
}

fn put(
    build: &Build<'_>,
    pairs: &Traced,
    sets: &[&[Field]],
    what: &'static str,
    resources: &mut [Resource],
) -> Result<(), Blocker> {
    let Some(pairs) = pairs.fields() else {
        return Err(broken(build.place(pairs), format!("{what} must be a map")));
    };
    for resource in resources {
        let kind = resource.kind().to_owned();
        for field in sets.iter().copied().flatten() {
            if field.kinds.is_empty() || field.kinds.contains(&&*kind) {
                let steps: Vec<&str> = field.path.split('/').collect();
                into(&mut resource.object, &steps, field.create, (pairs, what));
            }
        }
    }
    Ok(())
}

/// The same places, as those of a transformer.
pub(super) fn made<'m>(marks: impl Iterator<Item = &'m Mark>, what: &'static str) -> Vec<Mark> {
    let made = |mark: &Mark| Mark {
        act: Act::Transformed(what),
        ..mark.clone()
    };
    marks.map(made).collect()
}

fn into(
    node: &mut Traced,
    steps: &[&str],
    create: bool,
    pairs: (&BTreeMap<String, Traced>, &'static str),
) {
    if let Body::List(items) = &mut node.body {
        for item in items {
            into(item, steps, create, pairs);
        }
        return;
    }
    let marks: Vec<Mark> = made(pairs.0.values().flat_map(|value| &value.marks), pairs.1);
    let Some(fields) = node.fields_mut() else {
        return;
    };
    let Some((first, rest)) = steps.split_first() else {
        for (key, value) in pairs.0 {
            let entry = fields.entry(key.clone()).or_insert(Traced {
                body: Body::Scalar(Value::Null),
                marks: Vec::new(),
            });
            entry.body = value.body.clone();
            entry.marks.extend(made(value.marks.iter(), pairs.1));
        }
        return;
    };
    let there = fields.get(*first).is_some_and(|value| !value.is_null());
    // A list on the way is never created.
    if !there && (!create || matches!(*first, "volumeClaimTemplates")) {
        return;
    }
    if !there {
        let new = Traced {
            body: Body::Map(BTreeMap::new()),
            marks,
        };
        fields.insert((*first).to_owned(), new);
    }
    if let Some(next) = fields.get_mut(*first) {
        into(next, rest, create, pairs);
    }
}
