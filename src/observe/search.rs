//! Finding the document that ships a workload.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};
use serde_json::Value;

use crate::git::{FileMode, GitError, Repository};
use crate::manifest::{Manifest, is_manifest_name};
use crate::model::{ApplicationSource, CommitId, WorkloadRef};

/// A document that could be the source.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// Its file.
    pub path: String,
    /// The file's text.
    pub text: String,
    /// Line of the object.
    pub line: usize,
}

/// What a search found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Documents of that kind, name and namespace.
    pub candidates: Vec<Candidate>,
    /// Files that speak of the name but are no readable YAML, with the reason.
    pub unreadable: Vec<(String, String)>,
}

/// Which files of a folder Argo CD reads as manifests.
pub(super) struct Files {
    folder: String,
    recurse: bool,
    include: Option<GlobMatcher>,
    exclude: Option<GlobMatcher>,
}

impl Files {
    /// All files of a repository.
    pub(super) const fn all() -> Self {
        Self {
            folder: String::new(),
            recurse: true,
            include: None,
            exclude: None,
        }
    }

    /// The files of an Application's source. `include` and `exclude` are matched
    /// against the path relative to the folder; `{a,b}` gives alternatives (3.2,
    /// `getPotentiallyValidManifests`).
    pub(super) fn of(source: &ApplicationSource) -> Self {
        let directory = source.directory.as_ref();
        let text = |key: &str| {
            directory
                .and_then(|d| d.get(key))
                .and_then(Value::as_str)
                .filter(|pattern| !pattern.is_empty())
                .and_then(matcher)
        };
        Self {
            folder: source
                .path
                .trim_matches('/')
                .trim_start_matches("./")
                .trim_matches('.')
                .to_owned(),
            recurse: directory
                .and_then(|d| d.get("recurse"))
                .and_then(Value::as_bool)
                .unwrap_or(false),
            include: text("include"),
            exclude: text("exclude"),
        }
    }

    /// The folder.
    pub(super) fn folder(&self) -> &str {
        &self.folder
    }

    /// Whether a path of the repository is one of them.
    pub(super) fn has(&self, path: &str) -> bool {
        let path = path.trim_start_matches("./");
        let below = match self.folder.as_str() {
            "" => Some(path),
            folder => path.strip_prefix(folder).and_then(|p| p.strip_prefix('/')),
        };
        below.is_some_and(|below| self.recurse || !below.contains('/')) && self.takes(path)
    }

    pub(super) fn takes(&self, path: &str) -> bool {
        let relative = path
            .strip_prefix(&self.folder)
            .unwrap_or(path)
            .trim_start_matches('/');
        is_manifest_name(relative)
            && self
                .include
                .as_ref()
                .is_none_or(|glob| glob.is_match(relative))
            && !self
                .exclude
                .as_ref()
                .is_some_and(|glob| glob.is_match(relative))
    }
}

impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = if self.folder.is_empty() {
            "the repository's root"
        } else {
            &self.folder
        };
        f.write_str(folder)?;
        if self.recurse {
            f.write_str(" with the folders below")?;
        }
        for (word, glob) in [("include", &self.include), ("exclude", &self.exclude)] {
            if let Some(glob) = glob {
                write!(f, ", {word} {:?}", glob.glob().glob())?;
            }
        }
        Ok(())
    }
}

/// A pattern as Argo CD's glob library reads it: `*` also crosses folders.
fn matcher(pattern: &str) -> Option<GlobMatcher> {
    let glob = GlobBuilder::new(pattern)
        .literal_separator(false)
        .build()
        .ok()?;
    Some(glob.compile_matcher())
}

/// Looks for the target's document.
pub(super) fn search(
    repository: &Repository,
    tip: &CommitId,
    files: &Files,
    target: &WorkloadRef,
) -> Result<Found, GitError> {
    let mut found = Found::default();
    for file in repository.files_under(tip, &files.folder, files.recurse)? {
        if !files.takes(&file.path)
            || !matches!(file.mode, FileMode::Regular | FileMode::Executable)
        {
            continue;
        }
        let bytes = repository.blob_bytes(&file.id)?;
        if !contains(&bytes, target.name.as_bytes())
            || !contains(&bytes, target.kind.as_str().as_bytes())
        {
            continue;
        }
        look_into(&file.path, &bytes, target, &mut found);
    }
    Ok(found)
}

/// Looks into one named file.
pub(super) fn look_into(path: &str, bytes: &[u8], target: &WorkloadRef, found: &mut Found) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        found
            .unreadable
            .push((path.to_owned(), "it is not UTF-8".to_owned()));
        return;
    };
    let manifest = Manifest::parse_lenient(text);
    for document in manifest.documents() {
        if let Some(error) = document.error() {
            found.unreadable.push((path.to_owned(), error.to_string()));
        }
    }
    for object in manifest.find(target.kind.as_str(), &target.name, None) {
        if object
            .namespace
            .as_deref()
            .is_none_or(|own| own == target.namespace)
        {
            found.candidates.push(Candidate {
                path: path.to_owned(),
                text: text.to_owned(),
                line: object.line,
            });
        }
    }
}

/// Whether bytes are found in others.
pub(super) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && memchr::memmem::find(haystack, needle).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn include_and_exclude_are_relative_to_the_folder() {
        let source = ApplicationSource {
            path: "k8s/mcp".to_owned(),
            directory: Some(
                json!({"recurse": true, "include": "{zai-*.yml,x/*.yaml}", "exclude": "*canary*"}),
            ),
            ..ApplicationSource::default()
        };
        let files = Files::of(&source);
        assert!(files.takes("k8s/mcp/zai-proxy.yml"));
        assert!(files.has("k8s/mcp/x/a.yaml"));
        assert!(!files.has("k8s/mcp2/zai-proxy.yml") && !files.has("zai-proxy.yml"));
        assert_eq!(
            files.to_string(),
            "k8s/mcp with the folders below, include \"{zai-*.yml,x/*.yaml}\", exclude \"*canary*\""
        );
        assert!(files.takes("k8s/mcp/x/a.yaml"));
        assert!(!files.takes("k8s/mcp/zai-proxy-canary.yml"));
        assert!(!files.takes("k8s/mcp/other.yml"));
        assert!(!files.takes("k8s/mcp/zai-notes.md"));
    }

    #[test]
    fn a_dot_means_the_root() {
        let source = ApplicationSource {
            path: ".".to_owned(),
            ..ApplicationSource::default()
        };
        assert_eq!(Files::of(&source).folder(), "");
    }
}
