//! Garbage collection: objects whose owner or namespace is gone.

use std::collections::HashSet;

use serde_json::Value;

use super::kind;
use crate::sandbox::error::ApiError;
use crate::sandbox::json::{list, text};
use crate::sandbox::kinds::Kind;
use crate::sandbox::store::Objects;

/// Deletes what nothing owns any more.
pub(crate) fn pass(objects: &mut Objects) -> Result<(), ApiError> {
    let namespaces = objects.list(kind("", "Namespace")?, "");
    let namespaces: HashSet<&str> = namespaces
        .iter()
        .map(|n| text(n, "/metadata/name"))
        .collect();
    let uids: HashSet<&str> = objects
        .all()
        .map(|(_, o)| text(o, "/metadata/uid"))
        .collect();
    let gone: Vec<(&'static Kind, String, String)> = objects
        .all()
        .filter(|(kind, o)| is_gone(kind, o, &uids, &namespaces))
        .map(|(kind, o)| {
            let at = |p: &str| text(o, p).to_owned();
            (kind, at("/metadata/namespace"), at("/metadata/name"))
        })
        .collect();
    for (kind, namespace, name) in gone {
        objects.delete(kind, &namespace, &name)?;
    }
    Ok(())
}

fn is_gone(kind: &Kind, object: &Value, uids: &HashSet<&str>, namespaces: &HashSet<&str>) -> bool {
    if kind.namespaced && !namespaces.contains(text(object, "/metadata/namespace")) {
        return true;
    }
    let owners = list(object, "/metadata/ownerReferences");
    !owners.is_empty() && owners.iter().all(|o| !uids.contains(text(o, "/uid")))
}
