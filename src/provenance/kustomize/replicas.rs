//! `replicas`: the number of pods by name.

use serde_json::Value;

use crate::model::Blocker;

use super::super::traced::{Act, Body, Mark, Traced};
use super::file::{Kustomization, text_of};
use super::{Build, Resource, broken};

const KINDS: [&str; 4] = [
    "Deployment",
    "ReplicationController",
    "ReplicaSet",
    "StatefulSet",
];

pub(super) fn run(
    build: &Build<'_>,
    kustomization: &Kustomization,
    resources: &mut [Resource],
) -> Result<(), Blocker> {
    for entry in &kustomization.replicas {
        let name = entry.key("name").map(text_of).unwrap_or_default();
        let count = entry.key("count");
        let number = count.and_then(|count| text_of(count).parse::<i64>().ok());
        let (Some(count), Some(number)) = (count, number) else {
            return Err(broken(build.place(entry), "the count is no whole number"));
        };
        let mut found = false;
        for resource in resources.iter_mut() {
            let named = resource.ids().iter().any(|(own, _)| *own == name);
            if !named || !KINDS.contains(&resource.kind()) {
                continue;
            }
            found = true;
            set(&mut resource.object, count, number);
        }
        if !found {
            let why = format!("replicas names {name:?}, which no workload here has");
            return Err(broken(build.place(entry), why));
        }
    }
    Ok(())
}

fn set(object: &mut Traced, count: &Traced, number: i64) {
    let marks = count.marks.iter().map(|mark| Mark {
        act: Act::Replicas,
        ..mark.clone()
    });
    let marks: Vec<Mark> = marks.collect();
    let empty = || Traced {
        body: Body::Map(std::collections::BTreeMap::new()),
        marks: marks.clone(),
    };
    let Some(fields) = object.fields_mut() else {
        return;
    };
    let spec = fields.entry("spec".to_owned()).or_insert_with(empty);
    let Some(fields) = spec.fields_mut() else {
        return;
    };
    let replicas = fields.entry("replicas".to_owned()).or_insert(Traced {
        body: Body::Scalar(Value::Null),
        marks: Vec::new(),
    });
    replicas.body = Body::Scalar(number.into());
    replicas.marks.extend(marks);
}
