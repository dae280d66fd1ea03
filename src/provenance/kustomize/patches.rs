//! Patches: strategic merge and JSON patches, inline and in files.

use crate::manifest::Path;
use crate::model::Blocker;

use super::super::files::join;
use super::super::traced::{Act, Body, Traced};
use super::file::{Kustomization, text_of};
use super::merge::{Kept, merge};
use super::select::Selector;
use super::{Build, Resource, broken, inline_documents, json_patch, read_documents};

/// `patchesStrategicMerge`: files or inline text, matched by what the patch itself says.
pub(super) fn strategic(
    build: &mut Build<'_>,
    kustomization: &Kustomization,
    resources: &mut Vec<Resource>,
) -> Result<(), Blocker> {
    for entry in &kustomization.patches_strategic {
        let text = text_of(entry);
        let documents = match from_file(build, kustomization, &text)? {
            Some(documents) => documents,
            None => inline_documents(build, entry, &Act::Merged)?,
        };
        if !documents.iter().all(|patch| patch.fields().is_some()) || documents.is_empty() {
            let why = format!("{text:?} is neither a file nor a patch");
            return Err(broken(build.place(entry), why));
        }
        for patch in &documents {
            by_id(build, patch, resources)?;
        }
    }
    Ok(())
}

/// `patches`: both kinds, with or without a target.
pub(super) fn run(
    build: &mut Build<'_>,
    kustomization: &Kustomization,
    resources: &mut Vec<Resource>,
) -> Result<(), Blocker> {
    for entry in &kustomization.patches {
        let documents = documents(build, kustomization, entry)?;
        let target = match entry.key("target").filter(|target| !target.is_null()) {
            Some(target) => Some(Selector::read(build, target)?),
            None => None,
        };
        if let Some(options) = entry.key("options").filter(|options| !options.is_null()) {
            let changes = options.fields().into_iter().flatten();
            if changes.into_iter().any(|(_, flag)| text_of(flag) == "true") {
                build.gap(options, "a patch that may change names", Path::default());
            }
        }
        match documents.as_slice() {
            [list] if matches!(list.body, Body::List(_)) => {
                operate(build, entry, list, target.as_ref(), resources)?;
            }
            [_, _, ..] if target.is_some() => {
                let why = "several patches in one entry cannot have a target";
                return Err(broken(build.place(entry), why));
            }
            patches => {
                if patches.is_empty() || patches.iter().any(|patch| patch.fields().is_none()) {
                    return Err(broken(build.place(entry), "this is no patch"));
                }
                for patch in patches {
                    match &target {
                        None => by_id(build, patch, resources)?,
                        Some(target) => {
                            let takes = |resource: &Resource| target.takes(resource);
                            apply(build, patch, resources, takes)?;
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

/// `patchesJson6902`.
pub(super) fn json(
    build: &mut Build<'_>,
    kustomization: &Kustomization,
    resources: &mut [Resource],
) -> Result<(), Blocker> {
    for entry in &kustomization.patches_json {
        let documents = documents(build, kustomization, entry)?;
        let target = match entry.key("target") {
            Some(target) => Some(Selector::read(build, target)?),
            None => None,
        };
        for list in &documents {
            operate(build, entry, list, target.as_ref(), resources)?;
        }
    }
    Ok(())
}

fn from_file(
    build: &Build<'_>,
    kustomization: &Kustomization,
    path: &str,
) -> Result<Option<Vec<Traced>>, Blocker> {
    if path.contains('\n') {
        return Ok(None);
    }
    match join(&kustomization.folder, path) {
        Some(path) => read_documents(build, &path, &Act::Merged),
        None => Ok(None),
    }
}

fn documents(
    build: &Build<'_>,
    kustomization: &Kustomization,
    entry: &Traced,
) -> Result<Vec<Traced>, Blocker> {
    let full = |key: &str| {
        entry
            .key(key)
            .filter(|n| n.text().is_some_and(|t| !t.is_empty()))
    };
    match (full("patch"), full("path")) {
        (Some(patch), None) => inline_documents(build, patch, &Act::Merged),
        (None, Some(path)) => {
            let text = text_of(path);
            from_file(build, kustomization, &text)?
                .ok_or_else(|| broken(build.place(path), format!("there is no file {text:?}")))
        }
        _ => Err(broken(
            build.place(entry),
            "one of `patch` and `path` must be there",
        )),
    }
}

/// Applies a strategic merge patch to the one object that it names.
fn by_id(
    build: &mut Build<'_>,
    patch: &Traced,
    resources: &mut Vec<Resource>,
) -> Result<(), Blocker> {
    let text = |keys: &[&str]| patch.text_at(keys).unwrap_or_default().to_owned();
    let (kind, api_version) = (text(&["kind"]), text(&["apiVersion"]));
    let name = text(&["metadata", "name"]);
    let namespace = match text(&["metadata", "namespace"]) {
        own if own.is_empty() => "default".to_owned(),
        own => own,
    };
    let id = (name.clone(), namespace);
    let takes = |resource: &Resource| {
        resource.kind() == kind
            && resource.api_version() == api_version
            && resource.ids().contains(&id)
    };
    match resources.iter().filter(|resource| takes(resource)).count() {
        1 => apply(build, patch, resources, takes),
        found => Err(broken(
            build.place(patch),
            format!("the patch of {kind} {name} fits {found} objects"),
        )),
    }
}

fn is_builtin(group: &str) -> bool {
    !group.contains('.') || group.ends_with(".k8s.io")
}

fn apply(
    build: &mut Build<'_>,
    patch: &Traced,
    resources: &mut Vec<Resource>,
    takes: impl Fn(&Resource) -> bool,
) -> Result<(), Blocker> {
    let mut failed = None;
    let mut kept = Vec::new();
    for mut resource in std::mem::take(resources) {
        if takes(&resource) {
            let (name, namespace) = (
                resource
                    .object
                    .get(&Path::of_keys(["metadata", "name"]))
                    .cloned(),
                resource
                    .object
                    .get(&Path::of_keys(["metadata", "namespace"]))
                    .cloned(),
            );
            let builtin = is_builtin(resource.group());
            let (kind, api) = (
                resource.object.key("kind").cloned(),
                resource.object.key("apiVersion").cloned(),
            );
            match merge(&mut resource.object, patch, &Path::default(), builtin) {
                Ok(Kept::Yes) => {}
                Ok(Kept::No) => continue,
                Err(why) => failed = Some(why),
            }
            // A patch changes neither the kind nor the name.
            keep(
                &mut resource.object,
                &[],
                [("kind", kind), ("apiVersion", api)],
            );
            let ids = [("name", name), ("namespace", namespace)];
            keep(&mut resource.object, &["metadata"], ids);
        }
        kept.push(resource);
    }
    *resources = kept;
    match failed {
        None => Ok(()),
        Some(why) => {
            build.gap(patch, &format!("a patch ({why})"), Path::default());
            Ok(())
        }
    }
}

fn keep<const N: usize>(object: &mut Traced, at: &[&str], fields: [(&str, Option<Traced>); N]) {
    let path = Path::of_keys(at.iter().copied());
    let Some(map) = object.get_mut(&path).and_then(Traced::fields_mut) else {
        return;
    };
    for (key, value) in fields {
        match value {
            Some(value) => map.insert(key.to_owned(), value),
            None => map.remove(key),
        };
    }
}

fn operate(
    build: &Build<'_>,
    entry: &Traced,
    list: &Traced,
    target: Option<&Selector>,
    resources: &mut [Resource],
) -> Result<(), Blocker> {
    let Some(target) = target else {
        return Err(broken(build.place(entry), "a JSON patch needs a target"));
    };
    if !matches!(list.body, Body::List(_)) {
        return Err(broken(
            build.place(entry),
            "a JSON patch is a list of operations",
        ));
    }
    for resource in resources
        .iter_mut()
        .filter(|resource| target.takes(resource))
    {
        resource.remember();
        json_patch::apply(&mut resource.object, list)
            .map_err(|why| broken(build.place(list), why))?;
    }
    Ok(())
}
