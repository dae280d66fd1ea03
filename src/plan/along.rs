//! Objects that the same commit changes besides the target.

use super::build::EditedFile;
use super::sources;
use crate::manifest::{changed_objects, used};
use crate::model::{ObjectRef, PodTemplate, Usage, WorkloadRef};
use crate::provenance::Touched;

/// The objects besides the target that edited files have otherwise.
pub(super) fn along(files: &[EditedFile], target: &WorkloadRef) -> Vec<ObjectRef> {
    let own = target.object();
    let objects = files
        .iter()
        .flat_map(|file| changed_objects(&file.before, &file.after, &target.namespace));
    objects.filter(|object| *object != own).collect()
}

/// What has to be known of the objects that change along: those that a shared entry changes, and
/// when the pods have a change of what they use.
pub(super) fn notes(
    (files, along): (&[EditedFile], &[ObjectRef]),
    also: &[Touched],
    (template, target): (&PodTemplate, &WorkloadRef),
) -> Vec<String> {
    let files = files.iter().filter(|_| !along.is_empty());
    let used = files.flat_map(|file| used(&file.after, (template, &target.namespace)));
    let used = used.filter(|own| along.contains(&own.object));
    let late = used.filter_map(|own| {
        let name = format!("{}/{}", own.object.kind, own.object.name);
        let restart = format!("`unship restart {} -n {}`", target.short(), target.namespace);
        match own.usage {
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
