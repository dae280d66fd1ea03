//! Git's side of a look: the clone, the branch, the file, and the proof that this
//! document ships the live object.

use std::sync::Arc;

use super::clones::Refused;
use super::companions::companions;
use super::early::Early;
use super::ground::Grounds;
use super::place::{Place, own_place, own_scope};
use super::search::{Candidate, Files, Found, look_into, search};
use super::states::{Walked, Wanted, deployed, side_changes, state_at, walk};
use super::{Clients, Error, Scope, automation, change, overrides, rendered, used};
use crate::git::{GitError, Repository, RepositoryPath};
use crate::model::{
    Application, ApplicationSource, Blocker, Gap, GapReason, GitView, HistoryEnd, Observation,
    mask_url,
};

/// Fills in Git's side of the observation.
pub(super) async fn look(
    clients: &Clients,
    scope: &Scope,
    early: Option<Early>,
    observation: &mut Observation,
) -> Result<Option<RepositoryPath>, Error> {
    let source = observation
        .argocd
        .application
        .as_ref()
        .and_then(|app| app.sources.get(observation.argocd.source))
        .cloned();
    let own_scope = own_scope(scope, observation);
    let place = match own_place((clients, &own_scope), observation, early).await {
        Ok(place) => place,
        Err(Refused::Blocked(blocker)) => {
            observation.source_blockers.push(blocker);
            return Ok(None);
        }
        Err(Refused::Failed(error)) => {
            if error.remote_kind().is_some() {
                observation.gaps.push(remote_gap(&error));
                return Ok(None);
            }
            return Err(error.into());
        }
    };
    observation.gaps.extend(place.gaps.iter().cloned());
    let mut grounds = Grounds::of(place, observation);
    let mut gaps = Vec::new();
    let looking = (clients, scope);
    grounds.complete(looking, observation, &mut gaps).await;
    observation.gaps.append(&mut gaps);
    if let Err(refused) = grounds.takes(scope, clients) {
        return match refused {
            Refused::Blocked(blocker) => {
                observation.source_blockers.push(blocker);
                Ok(None)
            }
            Refused::Failed(error) => Err(error.into()),
        };
    }
    grounds.deepen(observation).await;
    let scope = scope.clone();
    let taken = std::mem::replace(observation, blank(observation));
    let (seen, result) = tokio::task::spawn_blocking(move || {
        let mut seen = taken;
        let result = grounds
            .settle(&mut seen.gaps)
            .and_then(|()| read(&grounds, &scope, source.as_ref(), &mut seen));
        (seen, result)
    })
    .await
    .map_err(|_| GitError::Interrupted)?;
    *observation = seen;
    Ok(Some(result?))
}

/// A stand-in while the observation is worked on in another thread.
fn blank(observation: &Observation) -> Observation {
    Observation {
        at: observation.at,
        target: observation.target.clone(),
        cluster: Default::default(),
        argocd: Default::default(),
        git: None,
        signs_commits: None,
        rights: Default::default(),
        source_blockers: Vec::new(),
        automation: Default::default(),
        gaps: Vec::new(),
    }
}

fn remote_gap(error: &GitError) -> Gap {
    use crate::git::RemoteErrorKind as Kind;
    let reason = match error.remote_kind() {
        Some(Kind::AuthFailed) => GapReason::Unauthenticated,
        Some(Kind::RepositoryNotFound | Kind::BranchNotFound { .. }) => GapReason::NotFound,
        Some(Kind::TimedOut { .. }) => GapReason::TimedOut,
        Some(Kind::Unreachable | Kind::Other) | None => GapReason::Unreachable,
    };
    Gap {
        what: "the Git repository".to_owned(),
        reason,
        message: format!("{error}; `git ls-remote` in the clone asks the same"),
    }
}

/// Everything that needs the object database. Gives the repository that a commit goes into.
fn read(
    grounds: &Grounds,
    scope: &Scope,
    source: Option<&ApplicationSource>,
    seen: &mut Observation,
) -> Result<RepositoryPath, GitError> {
    let home = match source {
        Some(source) => rendered::read(grounds, (scope, source), seen)?,
        None => None,
    };
    let place = grounds.place(home.unwrap_or(0));
    let place = place.ok_or(GitError::Interrupted)?;
    let repository = place.repository.open()?;
    seen.signs_commits = repository.signing().ok().map(|signing| signing.wanted);
    if home.is_none() {
        read_documents(&repository, place, (scope, source), seen)?;
    }
    if let (Some(undo), Some(git)) = (&scope.undo, &mut seen.git) {
        git.change = Some(change::read(&repository, git, (undo, &seen.target))?);
    }
    if let Some(git) = &seen.git {
        let target = seen.target.clone();
        automation::read(&repository, git, (scope, &target), &mut seen.automation);
    }
    Ok(place.repository.clone())
}

/// The document of a target that stands in a file.
fn read_documents(
    repository: &Repository,
    place: &Place,
    (scope, source): (&Scope, Option<&ApplicationSource>),
    seen: &mut Observation,
) -> Result<(), GitError> {
    let files = source.map_or_else(Files::all, Files::of);
    let application = seen.argocd.application.as_ref();
    let name = application.map(|app| (app.namespace.as_str(), app.name.as_str()));
    let above = match source {
        Some(_) => overrides::overrides(repository, &place.tip, files.folder(), name)?,
        None => Vec::new(),
    };
    let left_out = left_out(scope, (&files, &above), seen);
    seen.source_blockers.extend(left_out);
    let found = candidates(repository, place, scope, &files, seen)?;
    let Some((candidate, proof, proven, walked)) = choose(repository, place, scope, found, seen)?
    else {
        seen.git = scope.removed.as_deref().map(|file| removed(place, file));
        return Ok(());
    };
    let folder = candidate
        .path
        .rsplit_once('/')
        .map_or("", |(folder, _)| folder);
    let application = seen.argocd.application.as_ref();
    let overrides = match source {
        Some(_) => above,
        None => overrides::overrides(repository, &place.tip, folder, None)?,
    };
    let named_in = overrides::named_in(repository, &place.tip, &candidate.path)?;
    let deployed = application
        .map(|app| deployed(repository, app, seen.argocd.source, &walked))
        .unwrap_or_default();
    let resolved = scope.commit.as_ref().and_then(|text| {
        let id = repository.resolve(text).ok()?;
        let state = state_at(repository, &id, &walked)?;
        Some((id, state))
    });
    let companions = companions(repository, &place.tip, &files, scope, (&walked, seen))?;
    let used_changes = match walked.states.first() {
        Some(state) if scope.used > 0 => {
            let pods = (&state.template, &seen.target);
            used::changes(repository, (&place.tip, &files), pods, scope.used)?
        }
        _ => Vec::new(),
    };
    seen.git = Some(GitView {
        repository: mask_url(&place.remote.configured_url.without_credentials()),
        clone: place.repository.git_dir().display().to_string(),
        remote: place.remote.name.clone(),
        branch: place.branch.clone(),
        tip: place.tip.clone(),
        file: candidate.path,
        text: Arc::from(candidate.text),
        rendered: None,
        proof,
        proven,
        side_changes: side_changes(repository, &walked, &seen.target),
        states: walked.states,
        history_end: walked.end,
        overrides,
        named_in,
        deployed,
        resolved,
        change: None,
        companions,
        used_changes,
    });
    Ok(())
}

/// Git's side after the document was taken out of it: nothing but the place.
fn removed(place: &Place, file: &str) -> GitView {
    GitView {
        repository: mask_url(&place.remote.configured_url.without_credentials()),
        clone: place.repository.git_dir().display().to_string(),
        remote: place.remote.name.clone(),
        branch: place.branch.clone(),
        tip: place.tip.clone(),
        file: file.to_owned(),
        text: Arc::from(""),
        rendered: None,
        proof: "the document was taken out of this file".to_owned(),
        proven: false,
        states: Vec::new(),
        history_end: HistoryEnd::Stopped,
        overrides: Vec::new(),
        named_in: Vec::new(),
        deployed: Vec::new(),
        resolved: None,
        change: None,
        companions: Vec::new(),
        used_changes: Vec::new(),
        side_changes: Vec::new(),
    }
}

fn candidates(
    repository: &Repository,
    place: &Place,
    scope: &Scope,
    files: &Files,
    seen: &mut Observation,
) -> Result<Found, GitError> {
    let found = match &scope.file {
        Some(file) => {
            let mut found = Found::default();
            match repository.blob_at(&place.tip, file)? {
                Some(blob) => look_into(file, &blob.bytes, &seen.target, &mut found),
                None => seen.source_blockers.push(Blocker::new(
                    "file-not-found",
                    format!("{file} does not exist on {}", place.branch),
                    "give its path from the repository's root",
                )),
            }
            found
        }
        None => search(repository, &place.tip, files, &seen.target)?,
    };
    Ok(found)
}

/// An edit of a manifest that the Application leaves out would change nothing. What a tool renders
/// may come from anywhere; plain manifests come from these files alone.
fn left_out(
    scope: &Scope,
    (files, above): (&Files, &[(String, String)]),
    seen: &Observation,
) -> Option<Blocker> {
    let file = scope.file.as_deref().filter(|file| !files.has(file))?;
    let mut above = above.iter();
    let is_plain = above.all(|(path, _)| overrides::is_source_file(path));
    let application = seen.argocd.application.as_ref();
    let name = application.map_or_else(String::new, |app| format!(" {}", app.name));
    is_plain.then(|| {
        Blocker::new(
            "file-not-deployed",
            format!("{file} is none of the files that Application{name} deploys: {files}"),
            "leave --file out, or name one of them",
        )
    })
}

type Chosen = (Candidate, String, bool, Walked);

/// The one document that ships the live object, with the proof.
fn choose(
    repository: &Repository,
    place: &Place,
    scope: &Scope,
    found: Found,
    seen: &mut Observation,
) -> Result<Option<Chosen>, GitError> {
    if found.candidates.is_empty() {
        if seen.source_blockers.is_empty() {
            seen.source_blockers.push(none_found(&found, place, seen));
        }
        return Ok(None);
    }
    let app_proof = application_proof(seen);
    let mut walked = Vec::new();
    for candidate in found.candidates {
        let sets = seen.cluster.replica_sets.as_deref().unwrap_or_default();
        let wanted = Wanted {
            depth: scope.depth,
            replica_sets: sets,
            may_stop: scope.commit.is_none(),
        };
        let walk = walk(
            repository,
            &place.tip,
            &candidate.path,
            &seen.target,
            &wanted,
        )?;
        let matches = reproduces(&walk, seen);
        walked.push((candidate, walk, matches));
    }
    let files: Vec<String> = walked
        .iter()
        .map(|(c, _, _)| format!("{}:{}", c.path, c.line))
        .collect();
    let named = scope.file.is_some();
    if walked.len() > 1 {
        let same_file = walked
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if a.0.path == b.0.path));
        if !same_file && app_proof.is_none() {
            let best = walked
                .iter()
                .map(|(_, _, matches)| *matches)
                .max()
                .unwrap_or(0);
            if best > 0 && walked.iter().filter(|(_, _, m)| *m == best).count() == 1 {
                walked.retain(|(_, _, matches)| *matches == best);
            }
        }
    }
    if walked.len() > 1 {
        seen.source_blockers.push(Blocker::new(
            "source-ambiguous",
            format!("several documents could ship it: {}", files.join(", ")),
            "name one with --file, or leave only one of them",
        ));
        return Ok(None);
    }
    let Some((candidate, walk, matches)) = walked.pop() else {
        return Ok(None);
    };
    let (proof, proven) = proof_of(app_proof, matches, named);
    Ok(Some((candidate, proof, proven, walk)))
}

/// What proves that a document ships the live object, and whether it does.
fn proof_of(by_application: Option<String>, matches: usize, named: bool) -> (String, bool) {
    match (by_application, matches, named) {
        (Some(proof), _, _) => (proof, true),
        (None, 1.., _) => (
            format!("{matches} of the live templates are reproduced by this file's history and by no other document's"),
            true,
        ),
        (None, 0, true) => ("the file was named with --file".to_owned(), true),
        (None, 0, false) => (
            "no Application proves it, and its history reproduces no live template; name it with --file if it is the source".to_owned(),
            false,
        ),
    }
}

fn none_found(found: &Found, place: &Place, seen: &Observation) -> Blocker {
    let target = &seen.target;
    if let Some((path, reason)) = found.unreadable.first() {
        return Blocker::new(
            "manifest-unreadable",
            format!(
                "{path} speaks of {} but is no plain YAML: {reason}",
                target.name
            ),
            format!("mend {path} first, or edit its source by hand if it is a template"),
        );
    }
    let tip = place.tip.short();
    Blocker::new(
        "no-source",
        format!(
            "no manifest of {} for namespace {} was found on {} at {tip}",
            target.short(),
            target.namespace,
            place.branch
        ),
        "name the file with --file, or the repository with --repo",
    )
}

/// The Application's resource tree has the live object's uid.
pub(super) fn application_proof(seen: &Observation) -> Option<String> {
    let app: &Application = seen.argocd.application.as_ref()?;
    let workload = seen.cluster.workload.as_ref();
    let nodes = seen.argocd.tree.as_ref()?;
    let object = seen.target.object();
    let node = nodes.iter().find(|node| {
        node.kind == object.kind && node.name == object.name && node.namespace == object.namespace
    })?;
    match workload {
        Some(workload) if node.uid == workload.uid => Some(format!(
            "the resource tree of Application {} has the live object's uid",
            app.name
        )),
        Some(_) => None,
        None => Some(format!(
            "the resource tree of Application {} has the object",
            app.name
        )),
    }
}

/// How many of the live templates the states reproduce; the newest one must be
/// among them or the object's own template.
pub(super) fn reproduces(walked: &Walked, seen: &Observation) -> usize {
    let Some(workload) = &seen.cluster.workload else {
        return 0;
    };
    let explains = |live: &crate::model::PodTemplate| {
        walked
            .states
            .iter()
            .any(|state| state.template.covers(live).is_some())
    };
    if !explains(&workload.template) {
        return 0;
    }
    let sets = seen.cluster.replica_sets.iter().flatten();
    sets.filter(|set| explains(&set.template)).count().max(1)
}
