//! Who changed the ConfigMaps and Services that the target's pods use: releases that no pod template
//! shows.

use std::ops::ControlFlow;
use std::sync::Arc;

use serde_json::Value;

use super::search::Files;
use crate::git::{BlobId, GitError, PathChange, Repository};
use crate::manifest::named_objects;
use crate::model::{CommitId, ObjectRef, PodTemplate, UsedChange, WorkloadRef};

/// Changes of one file that are looked at, at most.
const CHANGES: usize = 50;

/// The commits that changed an object which the pods use, newest first; at most `limit` of them.
pub(super) fn changes(
    repository: &Repository,
    (tip, files): (&CommitId, &Files),
    (template, target): (&PodTemplate, &WorkloadRef),
    limit: usize,
) -> Result<Vec<UsedChange>, GitError> {
    let mut found: Vec<UsedChange> = Vec::new();
    for file in repository.files_under(tip, files.folder(), true)? {
        if !files.takes(&file.path) {
            continue;
        }
        let bytes = repository.blob_bytes(&file.id)?;
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        let names: Vec<ObjectRef> = named_objects(&text, &target.namespace)
            .into_iter()
            .filter(|(own, value)| own.namespace == target.namespace && template.is_near(value))
            .map(|(own, _)| own)
            .collect();
        if names.is_empty() {
            continue;
        }
        let mut changes = Vec::new();
        repository.history_of(tip, &file.path, |change| {
            changes.push(change);
            match changes.len() {
                CHANGES => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        })?;
        for change in changes {
            found.extend(changed(repository, change, (&names, template, target))?);
        }
    }
    found.sort_by_key(|change| std::cmp::Reverse(change.commit.time));
    found.truncate(limit);
    Ok(found)
}

/// What one commit did to these objects, of which the pods use one side; nothing where it is the
/// first that has them.
fn changed(
    repository: &Repository,
    change: PathChange,
    (names, template, target): (&[ObjectRef], &PodTemplate, &WorkloadRef),
) -> Result<Vec<UsedChange>, GitError> {
    let text = |id: &Option<BlobId>| -> Result<Option<String>, GitError> {
        let bytes = id
            .as_ref()
            .map(|id| repository.blob_bytes(id))
            .transpose()?;
        Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
    };
    let (Some(before), Some(after)) = (text(&change.before)?, text(&change.after)?) else {
        return Ok(Vec::new());
    };
    let old = named_objects(&before, &target.namespace);
    let new = named_objects(&after, &target.namespace);
    let differs = |object: &&ObjectRef| {
        let value = |list: &[(ObjectRef, Value)]| {
            let own = list.iter().find(|(own, _)| own == *object);
            own.map(|(_, value)| value.clone())
        };
        let (was, is) = (value(&old), value(&new));
        let uses = |value: &Value| template.usage(value).is_some();
        was != is && was.is_some() && was.iter().chain(&is).any(uses)
    };
    let of = |object: &ObjectRef| UsedChange {
        object: object.clone(),
        path: Arc::from(change.path.as_str()),
        commit: change.commit.clone(),
    };
    Ok(names.iter().filter(differs).map(of).collect())
}
