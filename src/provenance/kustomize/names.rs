//! Namespace, prefix, suffix and hash, and the names in other objects that follow them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::Path;

use super::super::traced::{Act, Body, Mark, Traced};
use super::Resource;
use super::file::{Kustomization, text_of};
use super::labels::made;

/// Kinds without a namespace.
const CLUSTER_SCOPED: [&str; 18] = [
    "APIService",
    "CSIDriver",
    "CSINode",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
];

pub(super) fn namespace(kustomization: &Kustomization, resources: &mut [Resource]) {
    let Some(node) = &kustomization.namespace else {
        return;
    };
    if text_of(node).is_empty() {
        return;
    }
    for resource in resources {
        if CLUSTER_SCOPED.contains(&resource.kind()) {
            continue;
        }
        resource.remember();
        set_meta(
            &mut resource.object,
            "namespace",
            node,
            text_of(node),
            "namespace",
        );
    }
}

fn set_meta(object: &mut Traced, key: &str, node: &Traced, text: String, what: &'static str) {
    let empty = Traced {
        body: Body::Map(BTreeMap::new()),
        marks: made(node.marks.iter(), what),
    };
    let Some(fields) = object.fields_mut() else {
        return;
    };
    let metadata = fields.entry("metadata".to_owned()).or_insert(empty);
    let Some(fields) = metadata.fields_mut() else {
        return;
    };
    let field = fields.entry(key.to_owned()).or_insert(Traced {
        body: Body::Scalar(Value::Null),
        marks: Vec::new(),
    });
    field.body = Body::Scalar(Value::String(text));
    field.marks.extend(made(node.marks.iter(), what));
}

pub(super) fn affixes(kustomization: &Kustomization, resources: &mut [Resource]) {
    let affixes = [
        (&kustomization.name_prefix, "namePrefix"),
        (&kustomization.name_suffix, "nameSuffix"),
    ];
    for (node, what) in affixes {
        let Some(node) = node else { continue };
        let affix = text_of(node);
        if affix.is_empty() {
            continue;
        }
        for resource in resources.iter_mut() {
            let kind = resource.kind();
            if matches!(
                kind,
                "CustomResourceDefinition" | "APIService" | "Namespace"
            ) {
                continue;
            }
            resource.remember();
            let name = resource.name();
            let name = match what {
                "namePrefix" => format!("{affix}{name}"),
                _ => format!("{name}{affix}"),
            };
            set_meta(&mut resource.object, "name", node, name, what);
        }
    }
}

/// What an object is called now, by kind and a name that it had.
struct Renamed {
    kind: String,
    names: Vec<String>,
    now: Traced,
}

/// Puts the new names of objects where others refer to them; a name with a hash is unknown.
pub(super) fn references(resources: &mut [Resource]) {
    let mut renamed = Vec::new();
    for resource in resources.iter_mut() {
        let wants = [
            "metadata",
            "annotations",
            "kustomize.config.k8s.io/needs-hash",
        ];
        if resource.object.text_at(&wants) == Some("true") {
            resource.hashed = true;
        }
        let mut names: Vec<String> = resource.ids().into_iter().map(|(name, _)| name).collect();
        names.dedup();
        let path = Path::of_keys(["metadata", "name"]);
        let (kind, hashed) = (resource.kind().to_owned(), resource.hashed);
        let Some(name) = resource.object.get_mut(&path) else {
            continue;
        };
        if hashed {
            let text = text_of(name);
            name.body = Body::Unknown(format!(
                "kustomize puts a hash of the content of {kind} {text} behind its name"
            ));
        } else if names.len() < 2 {
            continue;
        }
        renamed.push(Renamed {
            kind,
            names,
            now: name.clone(),
        });
    }
    if renamed.is_empty() {
        return;
    }
    for resource in resources {
        follow(&mut resource.object, "", &renamed);
    }
}

/// The kind that a name field refers to (`builtinpluginconsts/namereference.go`), for pods and what
/// makes them.
fn refers_to(around: &str, key: &str) -> Option<&'static str> {
    Some(match (around, key) {
        ("configMapKeyRef" | "configMapRef" | "configMap", "name") => "ConfigMap",
        ("secretKeyRef" | "secretRef" | "imagePullSecrets", "name") => "Secret",
        ("secret", "secretName" | "name") => "Secret",
        (_, "serviceAccountName") => "ServiceAccount",
        ("persistentVolumeClaim", "claimName") => "PersistentVolumeClaim",
        ("spec", "serviceName") => "Service",
        ("spec", "priorityClassName") => "PriorityClass",
        _ => return None,
    })
}

fn follow(node: &mut Traced, around: &str, renamed: &[Renamed]) {
    match &mut node.body {
        Body::Map(fields) => {
            for (key, value) in fields {
                match refers_to(around, key) {
                    Some(kind) => rename(value, kind, renamed),
                    None => follow(value, key, renamed),
                }
            }
        }
        Body::List(items) => {
            for item in items {
                follow(item, around, renamed);
            }
        }
        Body::Scalar(_) | Body::Unknown(_) | Body::Digest(_) => {}
    }
}

fn rename(value: &mut Traced, kind: &str, renamed: &[Renamed]) {
    let Some(old) = value.text() else { return };
    let fits = |other: &&Renamed| other.kind == kind && other.names.iter().any(|name| name == old);
    let mut found = renamed.iter().filter(fits);
    let (Some(first), second) = (found.next(), found.next()) else {
        return;
    };
    if second.is_some() {
        value.body = Body::Unknown(format!("several objects of kind {kind} were named {old}"));
        return;
    }
    value.body = first.now.body.clone();
    let transformed = |mark: &&Mark| matches!(mark.act, Act::Transformed(_));
    value
        .marks
        .extend(first.now.marks.iter().filter(transformed).cloned());
}
