//! Files in the Application's path that decide over a plain manifest.

use crate::git::{GitError, Repository};
use crate::model::CommitId;

/// Names of files whose presence makes Argo CD render the folder (3.2,
/// `reposerver/repository`), with what they mean.
const RENDERED: [(&str, &str); 5] = [
    ("kustomization.yaml", "kustomize renders this folder"),
    ("kustomization.yml", "kustomize renders this folder"),
    ("Kustomization", "kustomize renders this folder"),
    ("Chart.yaml", "Helm renders this folder"),
    (
        ".argocd-source.yaml",
        "it overrides the Application's source parameters",
    ),
];

/// Whether a file of this name may decide over plain manifests.
pub(super) fn decides_over_manifests(name: &str) -> bool {
    name.starts_with(".argocd-source") || RENDERED.iter().any(|(own, _)| *own == name)
}

/// The overrides in a folder at a commit.
pub(super) fn overrides(
    repository: &Repository,
    tip: &CommitId,
    folder: &str,
    application: Option<(&str, &str)>,
) -> Result<Vec<(String, String)>, GitError> {
    let mut names: Vec<(String, String)> = RENDERED
        .iter()
        .map(|(name, meaning)| ((*name).to_owned(), (*meaning).to_owned()))
        .collect();
    if let Some((namespace, name)) = application {
        let meaning = "it overrides the Application's source parameters".to_owned();
        names.push((format!(".argocd-source-{name}.yaml"), meaning.clone()));
        names.push((format!(".argocd-source-{namespace}_{name}.yaml"), meaning));
    }
    let mut found = Vec::new();
    for (name, meaning) in names {
        let path = if folder.is_empty() {
            name
        } else {
            format!("{folder}/{name}")
        };
        if repository.blob_at(tip, &path)?.is_some() {
            found.push((path, meaning));
        }
    }
    Ok(found)
}
