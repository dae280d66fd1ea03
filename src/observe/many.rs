//! Looks at many targets at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::StreamExt as _;
use jiff::Timestamp;

use super::search::contains;
use super::{Clients, Error, Scope, Sight, fields_of, observe};
use crate::git::{GitError, Repository, RepositoryPath};
use crate::manifest::{Manifest, is_manifest_name};
use crate::model::{CommitId, ImageRef, WorkloadKind, WorkloadRef};

/// Looks that are taken at the same time.
const AT_ONCE: usize = 8;

/// Looks at each of these targets; the answers are in their order. What several of them need (the
/// lists of a namespace, an Application, a branch) is read once.
pub async fn observe_many(
    clients: &Clients,
    scopes: &[Scope],
    at: Timestamp,
) -> Vec<Result<Sight, Error>> {
    let shared = Clients {
        cluster: clients
            .cluster
            .as_ref()
            .map(|cluster| Arc::new(cluster.remembering()))
            .map_err(Clone::clone),
        argocd: clients
            .argocd
            .as_ref()
            .map(|argocd| Arc::new(argocd.remembering()))
            .map_err(Clone::clone),
        git: clients.git.asking_once(),
        programs: clients.programs.clone(),
    };
    let looks = scopes.iter().map(|scope| observe(&shared, scope, at));
    let looks = futures::stream::iter(looks).buffered(AT_ONCE);
    let mut looks: Vec<Result<Sight, Error>> = looks.collect().await;
    for look in looks.iter_mut().flatten() {
        // Whoever works with the clone later sees the branch as it is then.
        look.repository = look.repository.as_ref().map(RepositoryPath::asking_again);
    }
    looks
}

/// Workloads that stand in the files of the looked-at branches with this image and are none of
/// those that were looked at: of another cluster, or not there yet. Each in words, with its file.
///
/// # Errors
/// When a tree cannot be read.
pub async fn elsewhere_in_git(sights: &[Sight], image: &str) -> Result<Vec<String>, GitError> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let targets: Vec<WorkloadRef> = sights
        .iter()
        .map(|sight| sight.observation.target.clone())
        .collect();
    for sight in sights {
        let (Some(path), Some(git)) = (&sight.repository, &sight.observation.git) else {
            continue;
        };
        if !seen.insert((git.clone.clone(), git.tip.clone())) {
            continue;
        }
        let (path, tip, image) = (path.clone(), git.tip.clone(), image.to_owned());
        let targets = targets.clone();
        let task =
            tokio::task::spawn_blocking(move || in_tree(&path.open()?, &tip, (&image, &targets)));
        found.extend(task.await.map_err(|_| GitError::Interrupted)??);
    }
    Ok(found)
}

fn in_tree(
    repository: &Repository,
    tip: &CommitId,
    (image, targets): (&str, &[WorkloadRef]),
) -> Result<Vec<String>, GitError> {
    let mut found = Vec::new();
    let wanted = ImageRef::new(image);
    for file in repository.files_under(tip, "", true)? {
        if !is_manifest_name(&file.path) {
            continue;
        }
        let bytes = repository.blob_bytes(&file.id)?;
        if !contains(&bytes, wanted.tag().unwrap_or(image).as_bytes()) {
            continue;
        }
        let text = String::from_utf8_lossy(&bytes);
        for object in Manifest::parse_lenient(&*text).objects() {
            let Some(kind) = WorkloadKind::parse(&object.kind) else {
                continue;
            };
            let is_known = |target: &WorkloadRef| {
                let same = (target.kind, &target.name) == (kind, &object.name);
                same && object
                    .namespace
                    .as_ref()
                    .is_none_or(|own| *own == target.namespace)
            };
            if targets.iter().any(is_known) {
                continue;
            }
            let own = WorkloadRef {
                kind,
                namespace: object.namespace.clone().unwrap_or_default(),
                name: object.name.clone(),
            };
            let images = fields_of(&text, &own).map(|fields| fields.template.images());
            if images.is_some_and(|all| all.iter().any(|(_, own)| own.same_as(&wanted))) {
                found.push(format!("{} in {}:{}", own.short(), file.path, object.line));
            }
        }
    }
    Ok(found)
}
