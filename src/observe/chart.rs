//! A source that is a chart of a Helm repository or an OCI registry. Each version that Argo CD has
//! deployed is kept as a commit of a repository of our own, so that it is read as a tag is.

use std::time::Duration;

use futures::future::join_all;

use super::clones::Refused;
use super::place::Place;
use super::{Clients, Scope};
use crate::git::{GitError, RemoteUrl, RepositoryPath};
use crate::model::{Application, ApplicationSource, Blocker, CommitId, Gap, GapReason, mask_url};
use crate::signals::{ChartError, ChartFiles, Charts};

/// How long a repository or registry may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// So many versions before the one that is there are read at most.
const VERSIONS: usize = 10;

/// The chart at the version that is there, with those that the Application's history names.
pub(super) async fn chart_place(
    (clients, scope): (&Clients, &Scope),
    (application, index): (&Application, usize),
    source: &ApplicationSource,
) -> Result<Place, Refused> {
    let url = address(source).map_err(|reason| Refused::Blocked(unreadable(source, &reason)))?;
    let (repository, remote) = clients.git.kept(&scope.cache, &url)?;
    let now = source.target_revision.clone();
    let kept = (&repository, remote.name.as_str());
    let wanted = versions(application, index, &now);
    let missing = missing(kept, wanted).await?;
    let failed = if missing.is_empty() {
        Vec::new()
    } else {
        let charts = Charts::new(&source.repo_url, LIMIT)
            .map_err(|reason| Refused::Blocked(unreadable(source, &reason)))?;
        let read = missing
            .iter()
            .map(|version| charts.files(&source.chart, version));
        let read = join_all(read).await;
        keep(kept, missing.into_iter().zip(read).collect()).await?
    };
    let tip = revision(kept, &now).await?;
    let Some(tip) = tip else {
        let error = failed.into_iter().find(|(version, _)| *version == now);
        let reason = error.map_or_else(
            || format!("{now} is no version"),
            |(_, error)| error.to_string(),
        );
        return Err(Refused::Blocked(unreadable(source, &reason)));
    };
    Ok(Place {
        repository,
        remote,
        branch: now,
        tip,
        pinned: Some("a chart version"),
        gaps: failed
            .iter()
            .map(|(version, error)| gap(source, version, error))
            .collect(),
    })
}

type Kept<'k> = (&'k RepositoryPath, &'k str);

/// The versions that are not kept yet.
async fn missing((path, remote): Kept<'_>, versions: Vec<String>) -> Result<Vec<String>, GitError> {
    let (path, remote) = (path.clone(), remote.to_owned());
    let look = move || {
        let repository = path.open()?;
        let mut missing = Vec::new();
        for version in versions {
            if repository.revision_of(&remote, &version)?.is_none() {
                missing.push(version);
            }
        }
        Ok(missing)
    };
    let looked = tokio::task::spawn_blocking(look).await;
    looked.map_err(|_| GitError::Interrupted)?
}

type Read = (String, Result<ChartFiles, ChartError>);

/// Keeps what could be read; gives the rest.
async fn keep(
    (path, remote): Kept<'_>,
    read: Vec<Read>,
) -> Result<Vec<(String, ChartError)>, GitError> {
    let (path, remote) = (path.clone(), remote.to_owned());
    let work = move || {
        let repository = path.open()?;
        let mut failed = Vec::new();
        for (version, files) in read {
            match files {
                Ok(files) => {
                    repository.keep((&remote, &version), &files)?;
                }
                Err(error) => failed.push((version, error)),
            }
        }
        Ok(failed)
    };
    let worked = tokio::task::spawn_blocking(work).await;
    worked.map_err(|_| GitError::Interrupted)?
}

async fn revision((path, remote): Kept<'_>, version: &str) -> Result<Option<CommitId>, GitError> {
    let (path, remote, version) = (path.clone(), remote.to_owned(), version.to_owned());
    let look = move || path.open()?.revision_of(&remote, &version);
    let looked = tokio::task::spawn_blocking(look).await;
    looked.map_err(|_| GitError::Interrupted)?
}

/// The version that is there, then those that were deployed, newest first.
fn versions(application: &Application, index: usize, now: &str) -> Vec<String> {
    let mut found = vec![now.to_owned()];
    let past = application.history.iter().rev();
    for version in past.filter_map(|entry| entry.commits.get(index)) {
        // An entry of the time when the source was a repository has a commit.
        let is_commit = CommitId::parse(version).is_ok();
        if !is_commit && !version.is_empty() && !found.contains(version) {
            found.push(version.clone());
        }
    }
    found.truncate(VERSIONS);
    found
}

/// What stands for the chart where repositories are named.
fn address(source: &ApplicationSource) -> Result<RemoteUrl, String> {
    let repository = source.repo_url.trim_end_matches('/');
    let place = repository.strip_prefix("oci://").unwrap_or(repository);
    let scheme = if place.contains("://") {
        ""
    } else {
        "https://"
    };
    let text = format!("{scheme}{place}/{}", source.chart);
    RemoteUrl::parse(&text).map_err(|error| error.to_string())
}

fn unreadable(source: &ApplicationSource, reason: &str) -> Blocker {
    let place = mask_url(&source.repo_url);
    let files = source.helm.as_ref().and_then(|helm| helm.get("valueFiles"));
    let files = files
        .and_then(|files| files.as_array())
        .into_iter()
        .flatten();
    let files: Vec<&str> = files.filter_map(|file| file.as_str()).collect();
    let values = match files.is_empty() {
        true => String::new(),
        false => format!(" with values from {}", files.join(", ")),
    };
    Blocker::new(
        "chart-unreadable",
        format!(
            "the Application deploys chart {} {} from {place}{values}, and the chart cannot be read from here: {reason}",
            source.chart, source.target_revision
        ),
        format!(
            "run it where {place} answers without a login; or change targetRevision or the values by hand where they are written"
        ),
    )
}

fn gap(source: &ApplicationSource, version: &str, error: &ChartError) -> Gap {
    let reason = match error {
        ChartError::NotThere { .. } => GapReason::NotFound,
        ChartError::Invalid { .. } => GapReason::Invalid,
        ChartError::Http(_) => GapReason::Unreachable,
    };
    Gap {
        what: format!("chart {} {version}", source.chart),
        reason,
        message: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_chart() {
        let of = |repository: &str| {
            let source = ApplicationSource {
                repo_url: repository.to_owned(),
                chart: "web".to_owned(),
                ..ApplicationSource::default()
            };
            address(&source).unwrap().without_credentials()
        };
        assert_eq!(
            of("https://charts.example.org/x/"),
            "https://charts.example.org/x/web"
        );
        for registry in ["ghcr.io/team", "oci://ghcr.io/team"] {
            assert_eq!(of(registry), "https://ghcr.io/team/web");
        }
        assert_eq!(
            of("https://u:sekret@charts.example.org"),
            "https://charts.example.org/web"
        );
    }
}
