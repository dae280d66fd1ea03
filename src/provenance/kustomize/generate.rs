//! `configMapGenerator` and `secretGenerator`: objects whose content is not looked at here.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::Blocker;

use super::super::traced::{Body, Traced};
use super::file::{Kustomization, text_of};
use super::{Build, Resource};

pub(super) fn run(
    build: &Build<'_>,
    kustomization: &Kustomization,
    into: &mut Vec<Resource>,
) -> Result<(), Blocker> {
    let all = [
        ("ConfigMap", &kustomization.config_maps),
        ("Secret", &kustomization.secrets),
    ];
    for (kind, entries) in all {
        for entry in entries {
            let options = [
                entry.key("options"),
                kustomization.generator_options.as_ref(),
            ];
            let plain_name = options.iter().flatten().any(|options| {
                let flag = options.key("disableNameSuffixHash");
                flag.is_some_and(|flag| text_of(flag) == "true")
            });
            let behavior = entry.text_at(&["behavior"]).unwrap_or("create");
            if matches!(behavior, "merge" | "replace") {
                continue;
            }
            let mut resource = Resource::new(object(kind, entry));
            resource.hashed = !plain_name;
            build.add(resource, into, &build.place(entry))?;
        }
    }
    Ok(())
}

fn object(kind: &str, entry: &Traced) -> Traced {
    let node = |body: Body| Traced {
        body,
        marks: entry.marks.clone(),
    };
    let word = |text: &str| node(Body::Scalar(Value::String(text.to_owned())));
    let mut metadata = BTreeMap::new();
    for key in ["name", "namespace"] {
        metadata.extend(entry.key(key).map(|value| (key.to_owned(), value.clone())));
    }
    let content = "its content is generated from other files".to_owned();
    let fields = [
        ("apiVersion", word("v1")),
        ("kind", word(kind)),
        ("metadata", node(Body::Map(metadata))),
        ("data", node(Body::Unknown(content))),
    ];
    let fields = fields
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value));
    node(Body::Map(fields.collect()))
}
