//! The metrics text of each pod: at the configured URL, else through the API server
//! where that is allowed.

use serde_json::Value;

use super::folder::file_name;
use super::logs::{at_once, copy};
use super::objects::Objects;
use super::own::text;
use super::{Job, READ_LIMIT};
use crate::cluster::{Cluster, PodPort};
use crate::execute::endpoint::{Pieces, may_proxy, metrics_place};
use crate::signals::Http;

/// By which ways metrics can be had.
struct Ways {
    /// A client for the configured URL, or why there is none to ask.
    url: Result<Http, String>,
    /// Whether `pods/proxy` may be read, or why it is not tried.
    proxy: Result<(), String>,
}

/// Saves what can be had. A port-forward is never tried: it needs the right to create
/// `pods/portforward`, and this program makes no such connection.
pub(super) async fn save(job: &Job<'_>, objects: &Objects) {
    let mut url = configured(job);
    let per_pod = |url: &String| url.contains("{pod}");
    if let Ok(http) = &url
        && !job.options.metrics.url.as_ref().is_some_and(per_pod)
    {
        // One address for all pods.
        let Err(reason) = from_url(job, http, &url_for(job, ""), "metrics/metrics.txt").await
        else {
            return;
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
        return job.folder.missing("metrics", format!("{url}{reason}"));
    };
    let namespace = &job.observation.target.namespace;
    let ways = Ways {
        url,
        proxy: match job.until.run(may_proxy(cluster, namespace)).await {
            Ok(answer) => answer,
            Err(reason) => Err(reason),
        },
    };
    let pods = running.into_iter();
    at_once(
        pods.map(|pod| one(job, cluster, (pod, objects), &ways))
            .collect(),
    )
    .await;
}

fn configured(job: &Job<'_>) -> Result<Http, String> {
    if job.options.metrics.url.is_none() {
        return Err("no metrics.url is configured".to_owned());
    }
    Http::new(job.cluster().map_or(READ_LIMIT, Cluster::request_timeout))
}

async fn one(job: &Job<'_>, cluster: &Cluster, (pod, objects): (&Value, &Objects), ways: &Ways) {
    let pod_name = text(pod, "/metadata/name");
    let name = format!("metrics/{}.txt", file_name(pod_name));
    let mut reasons = Vec::new();
    match &ways.url {
        Ok(http) => match from_url(job, http, &url_for(job, pod_name), &name).await {
            Ok(()) => return,
            Err(reason) => reasons.push(reason),
        },
        Err(reason) => reasons.push(reason.clone()),
    }
    reasons.push("a port-forward is not tried".to_owned());
    match &ways.proxy {
        Ok(()) => match from_proxy(job, cluster, (pod, objects), &name).await {
            Ok(()) => return,
            Err(reason) => reasons.push(reason),
        },
        Err(reason) => reasons.push(reason.clone()),
    }
    job.folder.missing(name, reasons.join("; "));
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

async fn from_proxy(
    job: &Job<'_>,
    cluster: &Cluster,
    (pod, objects): (&Value, &Objects),
    name: &str,
) -> Result<(), String> {
    let place = metrics_place(&job.options.metrics, pod, &objects.services)?;
    let to = PodPort {
        namespace: text(pod, "/metadata/namespace"),
        pod: text(pod, "/metadata/name"),
        port: place.port,
        tls: place.tls,
    };
    let answer = job.until.run(cluster.pod_proxy(&to, &place.path)).await?;
    let mut answer = answer.map_err(|error| error.to_string())?;
    take(job, &mut answer, name).await;
    Ok(())
}

async fn take(job: &Job<'_>, source: &mut impl Pieces, name: &str) {
    copy(job, source, name, job.options.largest()).await;
}
