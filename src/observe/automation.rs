//! What the repository says about tools that set images by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use regex::bytes::Regex;
use serde_json::Value;

use super::{Clients, Scope};
use crate::automation::{Matter, TOOL_TEXTS, matters};
use crate::git::{FileMode, GitError, Repository};
use crate::model::{
    AutomationView, Commit, CommitId, Gap, GapReason, GitView, HeldFile, WorkloadRef,
};

/// More files are not searched.
const MOST_FILES: usize = 20_000;

/// Larger files configure no tool.
const MOST_BYTES: usize = 1 << 20;

/// So many commits are looked through for pins.
const MOST_COMMITS: usize = 5000;

/// The trailer of a commit that pins something: `TOOL FILE for KIND/NAMESPACE/NAME`.
const HOLD: &str = "Unship-Hold";

/// The trailer of a commit that takes a pin back: `COMMIT for KIND/NAMESPACE/NAME`.
const UNHOLD: &str = "Unship-Unhold";

/// The kinds that are read live: group, resource, kind.
const KINDS: [(&str, &str, &str); 6] = [
    (
        "image.toolkit.fluxcd.io",
        "imageupdateautomations",
        "ImageUpdateAutomation",
    ),
    ("image.toolkit.fluxcd.io", "imagepolicies", "ImagePolicy"),
    (
        "argocd-image-updater.argoproj.io",
        "imageupdaters",
        "ImageUpdater",
    ),
    ("kargo.akuity.io", "stages", "Stage"),
    ("kargo.akuity.io", "warehouses", "Warehouse"),
    ("kargo.akuity.io", "projectconfigs", "ProjectConfig"),
];

/// What the cluster has of them: one look at its API groups, and the kinds of those that are
/// served. Nothing where they are not.
pub(super) async fn live(clients: &Clients, scope: &Scope) -> (Vec<Value>, Vec<Gap>) {
    let Ok(cluster) = &clients.cluster else {
        return Default::default();
    };
    if !scope.rights {
        return Default::default();
    }
    let groups = match cluster.api_groups().await {
        Ok(groups) => groups,
        Err(error) => {
            return (
                Vec::new(),
                vec![error.gap("which tools that set images are in the cluster")],
            );
        }
    };
    let served = KINDS.iter().filter_map(|(group, resource, kind)| {
        let version = groups.iter().find(|(name, _)| name == group)?;
        Some((version.1.as_str(), (*resource, *kind)))
    });
    let reads = served.map(|(version, (resource, kind))| async move {
        let read = cluster.custom_objects(version, (resource, kind)).await;
        read.map_err(|error| (kind, error))
    });
    let mut objects = Vec::new();
    let mut gaps = Vec::new();
    for read in futures::future::join_all(reads).await {
        match read {
            Ok(items) => objects.extend(items),
            // ProjectConfig is new in Kargo 1.5.
            Err((_, crate::cluster::Error::NotFound { .. })) => {}
            Err((kind, error)) => gaps.push(error.gap(kind)),
        }
    }
    (objects, gaps)
}

/// Reads it at the tip. What cannot be read is a gap: a rollback does not depend on it.
pub(super) fn read(
    repository: &Repository,
    git: &GitView,
    (scope, target): (&Scope, &WorkloadRef),
    view: &mut AutomationView,
) {
    if !scope.rights {
        return;
    }
    match files(repository, &git.tip) {
        Ok(files) => view.files = files,
        Err(gap) => view.gaps.push(gap),
    }
    if scope.holds {
        match held(repository, &git.tip, target) {
            Ok(held) => view.held = held,
            Err(error) => view.gaps.push(gap(error.to_string())),
        }
    }
}

fn gap(message: String) -> Gap {
    Gap {
        what: "tools that set images, in the repository".to_owned(),
        reason: GapReason::Invalid,
        message,
    }
}

/// The files that speak of such a tool.
fn files(repository: &Repository, tip: &CommitId) -> Result<BTreeMap<String, Arc<str>>, Gap> {
    let failed = |error: GitError| gap(error.to_string());
    if repository.promisor_remote().map_err(failed)?.is_some() {
        return Err(gap(
            "the clone is a partial one, and not all of its files are fetched for that".to_owned(),
        ));
    }
    let any = TOOL_TEXTS.map(regex::escape).join("|");
    let any = Regex::new(&any).map_err(|error| gap(error.to_string()))?;
    let all = repository.files_under(tip, "", true).map_err(failed)?;
    let candidates: Vec<_> = all
        .iter()
        .filter(|file| matches!(file.mode, FileMode::Regular | FileMode::Executable))
        .filter(|file| matters(&file.path) != Matter::Never)
        .collect();
    if candidates.len() > MOST_FILES {
        return Err(gap(format!(
            "{} files could name one, more than are searched",
            candidates.len()
        )));
    }
    let mut found = BTreeMap::new();
    for file in candidates {
        let bytes = repository.blob_bytes(&file.id).map_err(failed)?;
        let wanted = matters(&file.path) == Matter::Always || any.is_match(&bytes);
        if bytes.len() > MOST_BYTES || !wanted {
            continue;
        }
        if let Ok(text) = String::from_utf8(bytes) {
            found.insert(file.path.clone(), Arc::from(text));
        }
    }
    Ok(found)
}

/// The pins of a target that no later commit took back, newest first.
fn held(
    repository: &Repository,
    tip: &CommitId,
    target: &WorkloadRef,
) -> Result<Vec<HeldFile>, GitError> {
    let commits = repository.commits_with_trailers(tip, &[HOLD, UNHOLD], MOST_COMMITS)?;
    let suffix = format!(" for {}", target.path());
    let taken_back: BTreeSet<String> = commits
        .iter()
        .flat_map(|commit| values(commit, UNHOLD, &suffix))
        .collect();
    let mut found = Vec::new();
    for commit in &commits {
        if taken_back.contains(commit.id.as_str()) {
            continue;
        }
        for value in values(commit, HOLD, &suffix) {
            let Some((tool, path)) = value.split_once(' ') else {
                continue;
            };
            found.extend(held_file(repository, (commit, tip), (tool, path))?);
        }
    }
    Ok(found)
}

/// The values of a commit's trailers that are about the target.
fn values(commit: &Commit, key: &str, suffix: &str) -> Vec<String> {
    let trailers = commit.trailers().into_iter();
    let named = trailers.filter(|trailer| trailer.key.eq_ignore_ascii_case(key));
    named
        .filter_map(|trailer| Some(trailer.value.strip_suffix(suffix)?.to_owned()))
        .collect()
}

/// The file in which a commit pinned something, before and after it and now; `None` where the
/// trailer names no file that the commit changed.
fn held_file(
    repository: &Repository,
    (commit, tip): (&Commit, &CommitId),
    (tool, path): (&str, &str),
) -> Result<Option<HeldFile>, GitError> {
    let Some(parent) = commit.parents.first() else {
        return Ok(None);
    };
    let text = |id: &CommitId, path: &str| -> Result<Option<Arc<str>>, GitError> {
        let blob = repository.blob_at(id, path)?;
        Ok(blob.and_then(|blob| String::from_utf8(blob.bytes).ok().map(Arc::from)))
    };
    let (Some(before), Some(after)) = (text(parent, path)?, text(&commit.id, path)?) else {
        return Ok(None);
    };
    let now = repository.path_at_tip(&commit.id, tip, path)?;
    let head = match &now {
        Some(now) => text(tip, now)?,
        None => None,
    };
    Ok(Some(HeldFile {
        commit: commit.clone(),
        tool: tool.to_owned(),
        path: now.unwrap_or_else(|| path.to_owned()),
        before,
        after,
        head,
    }))
}
