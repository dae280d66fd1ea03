//! Objects that are to be restored along with the target.

use std::sync::Arc;

use super::Scope;
use super::search::Files;
use super::states::Walked;
use crate::git::{GitError, Repository};
use crate::model::{CommitId, Companion, Observation};

/// Finds each named object at the tip, with its file at every state's commit.
pub(super) fn companions(
    repository: &Repository,
    tip: &CommitId,
    files: &Files,
    scope: &Scope,
    (walked, seen): (&Walked, &Observation),
) -> Result<Vec<Companion>, GitError> {
    let mut found = Vec::new();
    for (kind, name) in &scope.with {
        for file in repository.files_under(tip, files.folder(), true)? {
            let yaml = [".yaml", ".yml"].iter().any(|end| file.path.ends_with(end));
            if !yaml {
                continue;
            }
            let bytes = repository.blob_bytes(&file.id)?;
            let Ok(text) = String::from_utf8(bytes) else {
                continue;
            };
            let manifest = crate::manifest::Manifest::parse_lenient(text.as_str());
            let object = manifest.objects().into_iter().find(|o| {
                o.kind.eq_ignore_ascii_case(kind)
                    && o.name == *name
                    && o.namespace
                        .as_deref()
                        .is_none_or(|own| own == seen.target.namespace)
            });
            let Some(object) = object else { continue };
            let mut at_states = Vec::new();
            for state in &walked.states {
                let blob = repository.blob_at(&state.commit.id, &file.path)?;
                at_states.push(
                    blob.and_then(|b| String::from_utf8(b.bytes).ok())
                        .map(Arc::from),
                );
            }
            found.push(Companion {
                kind: object.kind.clone(),
                name: name.clone(),
                path: file.path.clone(),
                text: Arc::from(text),
                at_states,
            });
            break;
        }
    }
    Ok(found)
}
