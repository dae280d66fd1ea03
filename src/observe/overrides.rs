//! Files in the Application's path that decide over a plain manifest.

use crate::git::{GitError, Repository};
use crate::manifest::{Address, Manifest, Path};
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

/// Whether a path is that of a file which overrides parameters of the Application's source.
pub(super) fn is_source_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.starts_with(".argocd-source")
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

/// Kustomizations that name a file among their `resources`. By default kustomize loads files
/// in and below the kustomization's own folder only, so that only folders above can name it.
pub(super) fn named_in(
    repository: &Repository,
    tip: &CommitId,
    file: &str,
) -> Result<Vec<String>, GitError> {
    let mut found = Vec::new();
    let mut folder = file;
    while !folder.is_empty() {
        folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
        let relative = file
            .strip_prefix(folder)
            .unwrap_or(file)
            .trim_start_matches('/');
        for name in ["kustomization.yaml", "kustomization.yml", "Kustomization"] {
            let path = if folder.is_empty() {
                name.to_owned()
            } else {
                format!("{folder}/{name}")
            };
            let Some(blob) = repository.blob_at(tip, &path)? else {
                continue;
            };
            let text = String::from_utf8_lossy(&blob.bytes);
            found.extend(line_of(&text, relative).map(|line| format!("{path} line {line}")));
        }
    }
    Ok(found)
}

/// The line in which a kustomization names a file.
fn line_of(text: &str, relative: &str) -> Option<usize> {
    let manifest = Manifest::parse_lenient(text);
    let address = Address::document(0);
    let list = Path::of_keys(["resources"]);
    let resources = manifest.value(&address, &list)?;
    let place = resources.as_array()?.iter().position(|entry| {
        let own = entry.as_str().unwrap_or_default();
        own.strip_prefix("./").unwrap_or(own) == relative
    })?;
    let entry = list.child(crate::manifest::Step::Index(place));
    manifest.position(&address, &entry).map(|at| at.line)
}

#[cfg(test)]
mod tests {
    use super::line_of;

    #[test]
    fn the_line_that_names_a_file() {
        let text = "kind: Kustomization\nresources:\n  - a.yml\n  - ./mcp/canary.yml\n";
        assert_eq!(line_of(text, "mcp/canary.yml"), Some(4));
        assert_eq!(line_of(text, "canary.yml"), None);
        assert_eq!(line_of("resources: 1\n", "a.yml"), None);
    }
}
