//! A look again after a lost race: where the others' commits cannot concern the
//! target, the look of a moment ago stands and only the tip is a new one. With many
//! writers a whole look takes longer than the branch stands still.

use jiff::{SignedDuration, Timestamp};

use super::Sight;
use super::overrides::decides_over_manifests;
use crate::git::Repository;
use crate::model::{CommitId, Observation};

/// Cluster and Argo CD are asked again when the last look is older than this.
const FRESH: SignedDuration = SignedDuration::from_secs(30);

/// The look with the branch's new tip, fetched now; the rights are those of the look.
/// `None`: a whole look is needed.
pub async fn on_new_tip(sight: &Sight, now: Timestamp) -> Option<Sight> {
    if now.duration_since(sight.observation.at) > FRESH {
        return None;
    }
    let git = sight.observation.git.as_ref()?;
    let path = sight.repository.clone()?;
    let tip = path.fetch(&git.remote, &git.branch).await.ok()?;
    let mut observation = sight.observation.clone();
    tokio::task::spawn_blocking(move || {
        let repository = path.open().ok()?;
        unconcerned(&repository, &observation, &tip)?.then(|| {
            if let Some(git) = &mut observation.git {
                git.tip = tip;
            }
            Sight {
                observation,
                repository: Some(path),
            }
        })
    })
    .await
    .ok()?
}

/// Whether nothing between the old tip and the new one can concern the target: not its
/// file, nothing that outranks it, and no other document that speaks of it.
fn unconcerned(repository: &Repository, observation: &Observation, tip: &CommitId) -> Option<bool> {
    let git = observation.git.as_ref()?;
    let argocd = &observation.argocd;
    if git.rendered.is_some() {
        // Its inputs may lie in any folder.
        return Some(false);
    }
    let source = argocd.application.as_ref()?.sources.get(argocd.source)?;
    if !repository.is_ancestor(&git.tip, tip).ok()?
        || !git.companions.is_empty()
        || git.change.is_some()
        || !observation.automation.files.is_empty()
        || !observation.automation.held.is_empty()
    {
        return Some(false);
    }
    let folder = super::search::Files::of(source).folder().to_owned();
    let before = repository.files_under(&git.tip, &folder, true).ok()?;
    let after = repository.files_under(tip, &folder, true).ok()?;
    let known = |path: &str| before.iter().find(|file| file.path == path);
    if before
        .iter()
        .any(|old| !after.iter().any(|f| f.path == old.path))
    {
        return Some(false);
    }
    for file in after {
        if known(&file.path).is_some_and(|old| old.id == file.id && old.mode == file.mode) {
            continue;
        }
        let name = file.path.rsplit('/').next().unwrap_or_default();
        if file.path == git.file || decides_over_manifests(name) {
            return Some(false);
        }
        let bytes = repository.blob_bytes(&file.id).ok()?;
        if super::search::contains(&bytes, observation.target.name.as_bytes()) {
            return Some(false);
        }
    }
    Some(true)
}
