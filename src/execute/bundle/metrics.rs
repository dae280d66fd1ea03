//! The metrics text of each pod: at the configured URL, else by a port-forward or
//! `pods/proxy` where that is allowed.

use serde_json::Value;

use super::folder::file_name;
use super::logs::{at_once, copy};
use super::objects::Objects;
use super::own::text;
use super::{Job, READ_LIMIT};
use crate::cluster::Cluster;
use crate::execute::endpoint::{Pieces, Purpose, metrics_place};
use crate::execute::ways::{Ways, configured};
use crate::signals::Http;

/// Saves what can be had, and tells whether a port-forward was asked for.
pub(super) async fn save(job: &Job<'_>, objects: &Objects) -> bool {
    let limit = job.cluster().map_or(READ_LIMIT, Cluster::request_timeout);
    let mut url = configured(&job.options.metrics, Purpose::Metrics, limit);
    let per_pod = |url: &String| url.contains("{pod}");
    if let Ok(http) = &url
        && !job.options.metrics.url.as_ref().is_some_and(per_pod)
    {
        // One address for all pods.
        let Err(reason) = from_url(job, http, &url_for(job, ""), "metrics/metrics.txt").await
        else {
            return false;
        };
        url = Err(reason);
    }
    let running: Vec<&Value> = objects
        .pods
        .iter()
        .filter(|pod| text(pod, "/status/phase") == "Running")
        .filter(|pod| pod.pointer("/metadata/deletionTimestamp").is_none())
        .collect();
    let Some(cluster) = job.cluster().filter(|_| !running.is_empty()) else {
        let reason = "no pod of it is known to run".to_owned();
        let url = url
            .err()
            .map(|reason| format!("{reason}; "))
            .unwrap_or_default();
        job.folder.missing("metrics", format!("{url}{reason}"));
        return false;
    };
    let namespace = &job.observation.target.namespace;
    let find = Ways::find(cluster, namespace, (url, job.options.forward));
    let ways = match job.until.run(find).await {
        Ok(ways) => ways,
        Err(reason) => {
            job.folder.missing("metrics", reason);
            return false;
        }
    };
    let pods = running.into_iter();
    at_once(
        pods.map(|pod| one(job, cluster, (pod, objects), &ways))
            .collect(),
    )
    .await;
    ways.forwarded()
}

async fn one(job: &Job<'_>, cluster: &Cluster, (pod, objects): (&Value, &Objects), ways: &Ways) {
    let pod_name = text(pod, "/metadata/name");
    let name = format!("metrics/{}.txt", file_name(pod_name));
    let endpoint = &job.options.metrics;
    let place = metrics_place(endpoint, pod, &objects.services);
    let opened = ways.open(cluster, (job.observation, pod_name), (endpoint, &place));
    match job.until.run(opened).await {
        Ok(Ok((mut source, _))) => take(job, &mut source, &name).await,
        Ok(Err(reasons)) => job.folder.missing(name, reasons.to_string()),
        Err(reason) => job.folder.missing(name, reason),
    }
}

fn url_for(job: &Job<'_>, pod: &str) -> String {
    let url = job.options.metrics.url_for(job.observation, pod);
    url.unwrap_or_default()
}

async fn from_url(job: &Job<'_>, http: &Http, url: &str, name: &str) -> Result<(), String> {
    let answer = job.until.run(http.get(url)).await?;
    let mut answer = answer.map_err(|error| error.to_string())?;
    take(job, &mut answer, name).await;
    Ok(())
}

async fn take(job: &Job<'_>, source: &mut impl Pieces, name: &str) {
    copy(job, source, name, job.options.largest()).await;
}
