//! Git's side of a look: the clone, the branch, the file, and the proof that this
//! document ships the live object.

use std::sync::Arc;

use super::clones::clone_of;
pub(super) use super::clones::{Refused, local_clone};
use super::companions::companions;
use super::early::Early;
use super::ground::{self, Grounds};
use super::search::{Candidate, Files, Found, look_into, search};
use super::states::{Walked, Wanted, deployed, side_changes, state_at, walk};
use super::{Clients, Error, Scope, automation, change, overrides, rendered, used};
use crate::git::{GitError, Remote, RemoteErrorKind, RemoteUrl, Repository, RepositoryPath};
use crate::model::{
    Application, ApplicationSource, Blocker, CommitId, Gap, GapReason, GitView, HistoryEnd,
    Observation, mask_url,
};

/// Where the target's manifest lives.
pub(super) struct Place {
    pub(super) repository: RepositoryPath,
    pub(super) remote: Remote,
    /// The branch, or the tag or commit that it is pinned to.
    pub(super) branch: String,
    pub(super) tip: CommitId,
    /// What it is pinned to: `a tag`, `a commit`.
    pub(super) pinned: Option<&'static str>,
}

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
    let mut grounds = Grounds::of(place, observation);
    let gaps = &mut observation.gaps;
    grounds.complete((clients, scope), gaps).await;
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

/// Of an Application with several repositories `--repo` may name another one's clone.
pub(super) fn own_scope(scope: &Scope, observation: &Observation) -> Scope {
    let argocd = &observation.argocd;
    let application = argocd.application.as_ref();
    if !application.is_some_and(ground::are_several) {
        return scope.clone();
    }
    Scope {
        branch: scope.branch.clone(),
        ..ground::beside(scope)
    }
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

/// The clone and the branch that ship the target.
pub(super) async fn place(
    clients: &Clients,
    scope: &Scope,
    source: Option<&ApplicationSource>,
    early: Option<Early>,
) -> Result<Place, Refused> {
    if let Some(chart) = source.filter(|source| !source.chart.is_empty()) {
        return Err(Refused::Blocked(in_a_registry(chart)));
    }
    let wanted = source
        .filter(|source| !source.repo_url.is_empty())
        .and_then(|source| RemoteUrl::parse(&source.repo_url).ok());
    let (repository, remote) = clone_of(clients, scope, wanted.as_ref()).await?;
    let named = scope.branch.clone().or_else(|| {
        let revision = source
            .map(|s| s.target_revision.clone())
            .unwrap_or_default();
        (!revision.is_empty() && revision != "HEAD" && !is_commit(&revision))
            .then(|| revision.trim_start_matches("refs/heads/").to_owned())
    });
    if let Some(mut early) = early
        && early.remote == remote.name
        && early.repository.git_dir() == repository.git_dir()
        && named.as_ref().is_none_or(|name| *name == early.branch)
        && (named.is_some() || source.is_none())
    {
        let tip = (&mut early.fetch)
            .await
            .map_err(|_| GitError::Interrupted)??;
        return Ok(Place {
            repository,
            branch: early.branch.clone(),
            tip,
            remote,
            pinned: None,
        });
    }
    let branch = match named {
        Some(branch) => branch,
        None => repository
            .remote_head(&remote.name)
            .await?
            .branch
            .ok_or_else(|| {
                Refused::Blocked(Blocker::new(
                    "no-branch",
                    format!("remote {} names no default branch", remote.name),
                    "name the branch with --branch",
                ))
            })?,
    };
    let tip = match repository.fetch(&remote.name, &branch).await {
        Ok(tip) => tip,
        Err(error) => return Err(no_branch(&repository, &remote, &branch, error).await),
    };
    Ok(Place {
        repository,
        remote,
        branch,
        tip,
        pinned: None,
    })
}

/// Where the target's own source is. An Application that is made from files may be pinned there.
pub(super) async fn own_place(
    looking: (&Clients, &Scope),
    observation: &Observation,
    early: Option<Early>,
) -> Result<Place, Refused> {
    let argocd = &observation.argocd;
    let application = argocd.application.as_ref();
    let source = application.and_then(|app| app.sources.get(argocd.source));
    if let (Some(app), Some(source)) = (application, source)
        && ground::is_made(app)
    {
        return Box::pin(made_place(looking, source, early)).await;
    }
    place(looking.0, looking.1, source, early).await
}

/// A source of an Application that is made from files: a branch, or what it is pinned to.
pub(super) async fn made_place(
    (clients, scope): (&Clients, &Scope),
    source: &ApplicationSource,
    early: Option<Early>,
) -> Result<Place, Refused> {
    let revision = source.target_revision.as_str();
    if scope.branch.is_some() {
        return place(clients, scope, Some(source), early).await;
    }
    if !is_commit(revision) {
        let found = place(clients, scope, Some(source), early).await;
        let is_tag = matches!(&found, Err(Refused::Blocked(blocker)) if blocker.id == "pinned");
        if !is_tag {
            return found;
        }
    }
    let wanted = RemoteUrl::parse(&source.repo_url).ok();
    let (repository, remote) = clone_of(clients, scope, wanted.as_ref()).await?;
    repository.fetch_tags(&remote.name).await?;
    let id = CommitId::parse(revision).ok();
    if let Some(id) = &id {
        have(&repository, &remote, id).await?;
    }
    let (path, name, text) = (repository.clone(), remote.name.clone(), revision.to_owned());
    let found = tokio::task::spawn_blocking(move || path.open()?.revision_of(&name, &text));
    let tip = found.await.map_err(|_| GitError::Interrupted)??;
    let Some(tip) = tip else {
        return Err(Refused::Blocked(Blocker::new(
            "pinned",
            format!(
                "targetRevision {revision} is no branch and no tag of {}",
                mask_url(&remote.configured_url.without_credentials())
            ),
            "change targetRevision where the Application is defined",
        )));
    };
    Ok(Place {
        repository,
        remote,
        branch: revision.to_owned(),
        tip,
        pinned: Some(if id.is_some() { "a commit" } else { "a tag" }),
    })
}

/// Fetches a commit unless it is there: with the default branch, else by itself.
async fn have(repository: &RepositoryPath, remote: &Remote, id: &CommitId) -> Result<(), Refused> {
    let is_there = || {
        let (path, id) = (repository.clone(), id.clone());
        tokio::task::spawn_blocking(move || path.open().map(|r| r.commit(&id).is_ok()))
    };
    if matches!(is_there().await, Ok(Ok(true))) {
        return Ok(());
    }
    if let Some(branch) = repository.remote_head(&remote.name).await?.branch {
        repository.fetch(&remote.name, &branch).await?;
    }
    if !matches!(is_there().await, Ok(Ok(true))) {
        repository.fetch_commit(&remote.name, id).await?;
    }
    Ok(())
}

/// A chart of a Helm or OCI registry: what it makes of its values is in no Git repository.
fn in_a_registry(source: &ApplicationSource) -> Blocker {
    let files = source.helm.as_ref().and_then(|helm| helm.get("valueFiles"));
    let files = files.and_then(|files| files.as_array());
    let files = files.into_iter().flatten().filter_map(|file| file.as_str());
    let files: Vec<&str> = files.collect();
    let values = match files.is_empty() {
        true => String::new(),
        false => format!(", with values from {}", files.join(", ")),
    };
    Blocker::new(
        "helm-chart",
        format!(
            "the Application deploys chart {} {} from {}{values}: what the chart makes of them is in no \
             Git repository",
            source.chart,
            source.target_revision,
            mask_url(&source.repo_url)
        ),
        "change the values or targetRevision by hand where they are written",
    )
}

/// A targetRevision that is no branch may be a tag: that is said, and not that it cannot be read.
async fn no_branch(
    repository: &RepositoryPath,
    remote: &Remote,
    name: &str,
    error: GitError,
) -> Refused {
    if !matches!(
        error.remote_kind(),
        Some(RemoteErrorKind::BranchNotFound { .. })
    ) {
        return error.into();
    }
    let tag = format!("refs/tags/{}", name.trim_start_matches("refs/tags/"));
    match repository.remote_refs(&remote.name, &[&tag]).await {
        Ok(found) if !found.is_empty() => Refused::Blocked(Blocker::new(
            "pinned",
            format!(
                "targetRevision {name} is a tag of {}: a push to a branch changes nothing",
                mask_url(&remote.configured_url.without_credentials())
            ),
            "change targetRevision where the Application is defined",
        )),
        _ => error.into(),
    }
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A shallow clone shows a wrong beginning: the rest is fetched.
pub(super) async fn deepen(place: &mut Place, observation: &mut Observation) {
    if place.pinned.is_some() {
        // Of its history nothing is asked.
        return;
    }
    let path = place.repository.clone();
    let shallow = tokio::task::spawn_blocking(move || path.open().map(|r| r.is_shallow())).await;
    if !matches!(shallow, Ok(Ok(true))) {
        return;
    }
    match place
        .repository
        .deepen(&place.remote.name, &place.branch)
        .await
    {
        Ok(tip) => {
            place.tip = tip;
            let path = place.repository.clone();
            let still = tokio::task::spawn_blocking(move || path.open().map(|r| r.is_shallow()));
            if matches!(still.await, Ok(Ok(true))) {
                observation.source_blockers.push(Blocker::new(
                    "shallow",
                    format!("the clone is shallow, and so is what {} has", place.remote.name),
                    "`git fetch --unshallow` from a remote with the whole history, or name such a clone with --repo",
                ));
            }
        }
        Err(error) => observation.source_blockers.push(Blocker::new(
            "shallow",
            format!("the clone is shallow and the rest could not be fetched: {error}"),
            "run `git fetch --unshallow` (in CI: check out with fetch-depth 0)",
        )),
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
    let name = application.map(|app| (app.namespace.as_str(), app.name.as_str()));
    let root = source.map_or(folder, |_| files.folder());
    let overrides = overrides::overrides(repository, &place.tip, root, name)?;
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
        side_changes: side_changes(repository, &walked.states, &seen.target),
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
    let (proof, proven) = match (app_proof, matches, named) {
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
    };
    Ok(Some((candidate, proof, proven, walk)))
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
