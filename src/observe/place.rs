//! The clone and the revision that ship a target.

use super::chart::chart_place;
use super::clones::{Refused, clone_of};
use super::early::Early;
use super::{Clients, Scope, made, range};
use crate::git::{GitError, Remote, RemoteErrorKind, RemoteUrl, RepositoryPath};
use crate::model::{ApplicationSource, Blocker, CommitId, Gap, Observation, mask_url};

/// Where the target's manifest lives.
pub(super) struct Place {
    pub(super) repository: RepositoryPath,
    pub(super) remote: Remote,
    /// The branch, or the tag or commit that it is pinned to.
    pub(super) branch: String,
    pub(super) tip: CommitId,
    /// What it is pinned to: `a tag`, `a commit`, `a chart version`.
    pub(super) pinned: Option<&'static str>,
    /// Other revisions of it that could not be had.
    pub(super) gaps: Vec<Gap>,
}

/// Of an Application with several repositories `--repo` may name another one's clone.
pub(super) fn own_scope(scope: &Scope, observation: &Observation) -> Scope {
    let argocd = &observation.argocd;
    let application = argocd.application.as_ref();
    if !application.is_some_and(made::are_several) {
        return scope.clone();
    }
    Scope {
        branch: scope.branch.clone(),
        ..made::beside(scope)
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
        return Err(Refused::Blocked(made_by_chart(chart)));
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
            gaps: Vec::new(),
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
        gaps: Vec::new(),
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
    if let (Some(app), Some(source)) = (application, source) {
        let range = range::blocker(app, argocd.source);
        let is_meant = !source.chart.is_empty() || looking.1.branch.is_none();
        if let Some(blocker) = range.filter(|_| is_meant) {
            return Err(Refused::Blocked(blocker));
        }
        if !source.chart.is_empty() {
            return Box::pin(chart_place(looking, (app, argocd.source), source)).await;
        }
        if made::is_made(app) {
            return Box::pin(made_place(looking, source, early)).await;
        }
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
        gaps: Vec::new(),
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

/// The target's own chart is read; one that makes its Application is not followed, and its address
/// is no repository to clone.
fn made_by_chart(source: &ApplicationSource) -> Blocker {
    Blocker::new(
        "helm-chart",
        format!(
            "chart {} {} of {} makes it, which is not followed",
            source.chart,
            source.target_revision,
            mask_url(&source.repo_url)
        ),
        "change the values or targetRevision of that chart by hand where they are written",
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
