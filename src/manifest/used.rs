//! Objects in a text that a workload's pods depend on.

use std::collections::HashSet;

use serde_json::Value;

use super::{Manifest, Object, Path};
use crate::model::{ObjectRef, PodTemplate, Usage};

/// An object that is used, with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Used {
    /// Which one; without a namespace of its own it is in the workload's.
    pub object: ObjectRef,
    /// How.
    pub usage: Usage,
    /// Its value.
    pub value: Value,
}

/// The ConfigMaps and Services of a text that the pods of a namespace depend on. Documents that
/// cannot be read are passed over.
#[must_use]
pub fn used(text: &str, (template, namespace): (&PodTemplate, &str)) -> Vec<Used> {
    let found = named_objects(text, namespace).into_iter();
    let found = found.filter(|(object, _)| object.namespace == namespace);
    found
        .filter_map(|(object, value)| {
            let usage = template.usage(&value)?;
            Some(Used {
                object,
                usage,
                value,
            })
        })
        .collect()
}

/// The objects that another text has otherwise or for the first time.
#[must_use]
pub fn changed_objects(before: &str, after: &str, namespace: &str) -> Vec<ObjectRef> {
    if before == after {
        return Vec::new();
    }
    let (old, new) = (
        Manifest::parse_lenient(before),
        Manifest::parse_lenient(after),
    );
    // Nearly all documents are the same in both: their text tells that sooner than their value.
    let kept: HashSet<&str> = old.document_texts().collect();
    let is_new = |object: &Object| {
        let text = new.document_text(&object.address);
        text.is_none_or(|text| !kept.contains(text))
    };
    let changed = named(&new, namespace, is_new);
    let is_twin = |object: &Object| {
        let mut changed = changed.iter();
        changed.any(|(own, _)| own.kind == object.kind && own.name == object.name)
    };
    let old = named(&old, namespace, is_twin);
    let changed = changed.into_iter().filter(|own| !old.contains(own));
    changed.map(|(object, _)| object).collect()
}

/// The named objects of a text with their values; those without a namespace of their own are in
/// the given one. Documents that cannot be read are passed over.
#[must_use]
pub fn named_objects(text: &str, namespace: &str) -> Vec<(ObjectRef, Value)> {
    named(&Manifest::parse_lenient(text), namespace, |_| true)
}

fn named(
    manifest: &Manifest,
    namespace: &str,
    is_wanted: impl Fn(&Object) -> bool,
) -> Vec<(ObjectRef, Value)> {
    let objects = manifest.objects().into_iter();
    objects
        .filter(|object| !object.name.is_empty() && is_wanted(object))
        .filter_map(|object| {
            let value = manifest.value(&object.address, &Path::default())?;
            let group = object.api_version.split_once('/');
            let own = ObjectRef {
                group: group.map_or("", |(group, _)| group).to_owned(),
                kind: object.kind,
                namespace: object.namespace.unwrap_or_else(|| namespace.to_owned()),
                name: object.name,
            };
            Some((own, value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TEXT: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: limits}\ndata: {rps: \"5\"}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: limits, namespace: other}\n---\n{{ template }}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}}\n";

    #[test]
    fn what_the_pods_of_the_namespace_use() {
        let template = PodTemplate::new(json!({
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"envFrom": [{"configMapRef": {"name": "limits"}}]}]},
        }));
        let found = used(TEXT, (&template, "shop"));
        let names: Vec<String> = found.iter().map(|own| own.object.to_string()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert_eq!(found[0].value["data"]["rps"], "5");
        assert!(found.iter().all(|own| own.object.namespace == "shop"));
    }

    #[test]
    fn what_differs_is_named_once() {
        let later = TEXT
            .replace("\"5\"", "\"9\"")
            .replace("name: web", "name: web2");
        let names: Vec<String> = changed_objects(TEXT, &later, "shop")
            .into_iter()
            .map(|object| format!("{}/{}", object.kind, object.name))
            .collect();
        assert_eq!(names, ["ConfigMap/limits", "Service/web2"]);
        assert!(changed_objects(TEXT, &TEXT.replace("{rps", "{ rps"), "shop").is_empty());
    }
}
