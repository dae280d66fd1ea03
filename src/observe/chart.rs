//! A source that is a chart of a Helm repository or an OCI registry. Each version that Argo CD has
//! deployed is kept as a commit of a repository of our own, so that it is read as a tag is.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use futures::future::join_all;

use super::clones::Refused;
use super::place::Place;
use super::rendered::CommitFiles;
use super::{Clients, Scope};
use crate::git::{GitError, RemoteUrl, Repository, RepositoryPath};
use crate::model::{
    Application, ApplicationSource, At, Blocker, CommitId, Elsewhere, Gap, GapReason, mask_url,
};
use crate::provenance::{Published, chart_address, published};
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
    let failed = fetch(kept, (&source.repo_url, &source.chart), wanted).await?;
    let failed = failed.map_err(|reason| Refused::Blocked(unreadable(source, &reason)))?;
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

/// Keeps the versions of a chart that are not kept yet; gives those that could not be read.
async fn fetch(
    kept: Kept<'_>,
    (repository, chart): (&str, &str),
    wanted: Vec<String>,
) -> Result<Result<Vec<(String, ChartError)>, String>, GitError> {
    let missing = missing(kept, wanted).await?;
    if missing.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let charts = match Charts::new(repository, LIMIT) {
        Ok(charts) => charts,
        Err(reason) => return Ok(Err(reason)),
    };
    let read = missing.iter().map(|version| charts.files(chart, version));
    let read = join_all(read).await;
    keep(kept, missing.into_iter().zip(read).collect())
        .await
        .map(Ok)
}

/// The subcharts of a chart in a repository that are published elsewhere, kept at the versions that
/// the tip and its newest changes name. One that cannot be read is a gap.
pub(super) async fn subcharts(
    (clients, scope): (&Clients, &Scope),
    (place, folder): (&Place, &str),
    gaps: &mut Vec<Gap>,
) -> Result<Vec<Elsewhere>, GitError> {
    let (repository, tip, folder) = (
        place.repository.clone(),
        place.tip.clone(),
        folder.to_owned(),
    );
    let named = tokio::task::spawn_blocking(move || named(&repository.open()?, &tip, &folder));
    let named = named.await.map_err(|_| GitError::Interrupted)??;
    let mut of_chart: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for own in named {
        let versions = of_chart.entry((own.repository, own.name)).or_default();
        if versions.len() < VERSIONS && !versions.contains(&own.version) {
            versions.push(own.version);
        }
    }
    let all = of_chart
        .into_iter()
        .map(|((from, chart), versions)| subchart((clients, scope), (from, chart), versions));
    let mut found = Vec::new();
    for one in join_all(all).await {
        let (elsewhere, missing) = one?;
        found.extend(elsewhere);
        gaps.extend(missing);
    }
    Ok(found)
}

/// One of them, and why it cannot be read at the tip. What an earlier commit named only ends the
/// history there.
async fn subchart(
    (clients, scope): (&Clients, &Scope),
    (from, chart): (String, String),
    versions: Vec<String>,
) -> Result<(Option<Elsewhere>, Option<Gap>), GitError> {
    let address = chart_address(&from, &chart);
    let Ok(url) = RemoteUrl::parse(&address) else {
        return Ok((None, None));
    };
    let (repository, remote) = clients.git.kept(&scope.cache, &url)?;
    let now = versions.first().cloned();
    let kept = (&repository, remote.name.as_str());
    let what = format!("subchart {chart} of {}", mask_url(&from));
    let gap = match fetch(kept, (&from, &chart), versions).await? {
        Err(message) => Some(Gap {
            what,
            reason: GapReason::Invalid,
            message,
        }),
        Ok(failed) => {
            let mut failed = failed.iter();
            let own = failed.find(|(version, _)| now.as_ref() == Some(version));
            own.map(|(_, error)| chart_gap(what, error))
        }
    };
    let elsewhere = Elsewhere {
        root: format!("//{address}@"),
        clone: repository.git_dir().display().to_string(),
        at: At::Revision(remote.name),
    };
    Ok((Some(elsewhere), gap))
}

/// The published subcharts that the tip names, then those that earlier commits did.
fn named(
    repository: &Repository,
    tip: &CommitId,
    folder: &str,
) -> Result<Vec<Published>, GitError> {
    let of = |commit: &CommitId| {
        CommitFiles::at((repository, commit), &[]).ask(|files| published(files, folder))
    };
    let mut found = of(tip)?;
    if found.is_empty() {
        return Ok(found);
    }
    let path = |name: &str| match folder {
        "" => name.to_owned(),
        _ => format!("{folder}/{name}"),
    };
    let paths = [path("Chart.yaml"), path("Chart.lock")];
    let mut looks = 0;
    repository.history_of_any(tip, paths.iter().map(String::as_str), |id| {
        looks += 1;
        found.extend(of(id)?);
        Ok(match looks < VERSIONS {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        })
    })?;
    Ok(found)
}

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
    let text = chart_address(&source.repo_url, &source.chart);
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
    chart_gap(format!("chart {} {version}", source.chart), error)
}

fn chart_gap(what: String, error: &ChartError) -> Gap {
    let reason = match error {
        ChartError::NotThere { .. } => GapReason::NotFound,
        ChartError::Invalid { .. } => GapReason::Invalid,
        ChartError::Http(_) => GapReason::Unreachable,
    };
    Gap {
        what,
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
