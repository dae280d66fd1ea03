//! What the repository says about tools that set images by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use regex::bytes::Regex;

use super::{Clients, Scope, Sight};
use crate::automation::{Matter, PINS, TOOL_TEXTS, matters};
use crate::cluster::ToolObjects;
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

/// What the cluster has of them. Nothing where no decision about images is taken.
pub(super) async fn live(clients: &Clients, scope: &Scope) -> ToolObjects {
    match &clients.cluster {
        Ok(cluster) if is_asked(scope) => cluster.tool_objects().await,
        _ => ToolObjects::default(),
    }
}

fn is_asked(scope: &Scope) -> bool {
    scope.git && scope.rights && scope.automation
}

/// Reads it at the tip. What cannot be read is a gap: a rollback does not depend on it.
pub(super) fn read(
    repository: &Repository,
    git: &GitView,
    (scope, target): (&Scope, &WorkloadRef),
    view: &mut AutomationView,
) {
    if !is_asked(scope) {
        return;
    }
    match files(repository, &git.tip) {
        Ok(files) => view.files = files,
        Err(gap) => view.gaps.push(gap),
    }
    if scope.holds
        && let Err(error) = held(repository, &git.tip, target, view)
    {
        view.gaps.push(pins_unread(error.to_string()));
    }
}

/// The same for targets that were looked at together: cluster and each tip are asked once.
pub async fn automation_of_many(clients: &Clients, sights: &mut [Sight]) {
    let objects = match &clients.cluster {
        Ok(cluster) => cluster.tool_objects().await,
        Err(_) => ToolObjects::default(),
    };
    let mut known: BTreeMap<(String, String), AutomationView> = BTreeMap::new();
    for sight in sights {
        let (Some(path), Some(git)) = (&sight.repository, &sight.observation.git) else {
            continue;
        };
        let key = (git.clone.clone(), git.tip.to_string());
        if !known.contains_key(&key) {
            let (path, tip) = (path.clone(), git.tip.clone());
            let read = tokio::task::spawn_blocking(move || {
                let repository = path.open().map_err(|error| gap(error.to_string()))?;
                files(&repository, &tip)
            });
            let read = match read.await {
                Ok(read) => read,
                Err(error) => Err(gap(error.to_string())),
            };
            let mut view = AutomationView {
                objects: objects.objects.clone(),
                gaps: objects.gaps.clone(),
                ..AutomationView::default()
            };
            match read {
                Ok(files) => view.files = files,
                Err(gap) => view.gaps.push(gap),
            }
            known.insert(key.clone(), view);
        }
        if let Some(view) = known.get(&key) {
            sight.observation.automation = view.clone();
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

fn pins_unread(message: String) -> Gap {
    Gap {
        what: PINS.to_owned(),
        ..gap(message)
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
    view: &mut AutomationView,
) -> Result<(), GitError> {
    let commits = repository.commits_with_trailers(tip, &[HOLD, UNHOLD], MOST_COMMITS)?;
    let suffix = format!(" for {}", target.path());
    let taken_back: BTreeSet<String> = commits
        .iter()
        .flat_map(|commit| values(commit, UNHOLD, &suffix))
        .collect();
    for commit in &commits {
        if taken_back.contains(commit.id.as_str()) {
            continue;
        }
        for value in values(commit, HOLD, &suffix) {
            let Some((tool, path)) = value.split_once(' ') else {
                continue;
            };
            match held_file(repository, (commit, tip), (tool, path)) {
                Ok(file) => view.held.extend(file),
                // Anybody can write a trailer.
                Err(error) => view.gaps.push(pins_unread(error.to_string())),
            }
        }
    }
    Ok(())
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
