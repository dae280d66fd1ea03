//! Objects that the same commit changes besides the target.

use serde_json::json;

use super::build::EditedFile;
use super::sources;
use crate::manifest::{changed_objects, used};
use crate::model::{ObjectRef, PodTemplate, Usage, WorkloadRef};
use crate::provenance::Touched;

/// The objects besides the target that edited files have otherwise: in manifests, and of what is
/// rendered those that pods use.
pub(super) fn along(
    files: &[EditedFile],
    also: &[Touched],
    target: &WorkloadRef,
) -> Vec<ObjectRef> {
    let own = target.object();
    let objects = files
        .iter()
        .flat_map(|file| changed_objects(&file.before, &file.after, &target.namespace));
    let rendered = also.iter().map(|touched| touched.object.clone());
    let rendered = rendered.filter(ObjectRef::may_be_used);
    let here = rendered.map(|mut object| {
        if object.namespace.is_empty() {
            object.namespace.clone_from(&target.namespace);
        }
        object
    });
    objects
        .chain(here)
        .filter(|object| *object != own)
        .collect()
}

/// What has to be known of the objects that change along: those that a shared entry changes, and
/// when the pods have a change of what they use.
pub(super) fn notes(
    (files, along): (&[EditedFile], &[ObjectRef]),
    also: &[Touched],
    (template, target): (&PodTemplate, &WorkloadRef),
) -> Vec<String> {
    let written = files.iter().filter(|_| !along.is_empty());
    let written = written.flat_map(|file| used(&file.after, (template, &target.namespace)));
    let written = written.map(|own| (own.object, own.usage));
    let rendered = also.iter().filter_map(|touched| {
        let object = &touched.object;
        let named = json!({"kind": object.kind, "metadata": {"name": object.name}});
        Some((object.clone(), template.usage(&named)?))
    });
    let here = |object: &ObjectRef| {
        let same = |own: &ObjectRef| own.kind == object.kind && own.name == object.name;
        along.iter().any(same)
    };
    let used = written.chain(rendered).filter(|(object, _)| here(object));
    let late = used.filter_map(|(object, usage)| {
        let name = format!("{}/{}", object.kind, object.name);
        let restart = format!("`unship restart {} -n {}`", target.short(), target.namespace);
        match usage {
            Usage::Selected => None,
            Usage::Mounted => Some(format!(
                "running pods get {name} into their volume within about a minute; a process that reads it only at its start needs {restart}"
            )),
            Usage::AtStart => Some(format!(
                "running pods keep the old {name} until they are started again, unless something like Reloader does that: {restart}"
            )),
        }
    });
    sources::shared(also).into_iter().chain(late).collect()
}
