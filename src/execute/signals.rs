//! What an assessment reads besides objects: metrics of pods, logs of workers.

use std::time::Duration;

use futures::StreamExt as _;

use super::endpoint::{Endpoint, Purpose, metrics_place, raw_pod, whole};
use super::ways::{Ways, configured};
use crate::cluster::{Cluster, LogQuery};
use crate::model::{Observation, Pod, mask_url};
use crate::verify::Texts;

/// How many pods are asked at a time.
const AT_ONCE: usize = 6;
/// Lines of each worker's log at most.
const WORKER_LINES: u32 = 5000;
/// Bytes of each worker's log at most.
const WORKER_BYTES: u64 = 4 << 20;

/// The metrics text of every running pod of a workload, and whether a port-forward was
/// asked for; the text of one address for all of them where such a URL is configured.
///
/// # Errors
/// When no pod is known to run; in words.
pub async fn metrics(
    cluster: &Cluster,
    observation: &Observation,
    endpoint: &Endpoint,
) -> Result<(Texts, bool), String> {
    let url = configured(endpoint, Purpose::Metrics, cluster.request_timeout());
    let for_all = endpoint.url_for(observation, "");
    if let (Ok(http), Some(url)) = (&url, &for_all)
        && !endpoint
            .url
            .as_ref()
            .is_some_and(|url| url.contains("{pod}"))
    {
        let text = match http.get(url).await {
            Ok(mut answer) => whole(&mut answer).await,
            Err(error) => Err(error.to_string()),
        };
        return Ok((Texts::from([(mask_url(url), text)]), false));
    }
    let running = running(observation)?;
    let ways = Ways::find(cluster, &observation.target.namespace, (url, true)).await;
    let reads = running.into_iter().map(|pod| async {
        let raw = raw_pod(cluster, &pod.namespace, &pod.name).await;
        let place = raw.and_then(|raw| metrics_place(endpoint, &raw, &[]));
        let opened = ways.open(cluster, (observation, &pod.name), (endpoint, &place));
        let text = match opened.await {
            Ok((mut source, _)) => whole(&mut source).await,
            Err(reasons) => Err(reasons.to_string()),
        };
        (pod.name.clone(), text)
    });
    let reads: Vec<_> = reads.collect();
    let reads = futures::stream::iter(reads).buffer_unordered(AT_ONCE);
    let texts = reads.collect().await;
    Ok((texts, ways.forwarded()))
}

fn running(observation: &Observation) -> Result<Vec<&Pod>, String> {
    let pods = observation.cluster.pods.as_ref();
    let pods = pods.ok_or("its pods could not be read")?;
    let running: Vec<&Pod> = pods
        .iter()
        .filter(|pod| pod.phase == "Running" && !pod.terminating)
        .collect();
    if running.is_empty() {
        return Err("no pod of it is known to run".to_owned());
    }
    Ok(running)
}

/// The last lines of the logs of every container of a workload's running pods, by pod and
/// container.
///
/// # Errors
/// When no pod is known to run; in words.
pub async fn logs(
    cluster: &Cluster,
    observation: &Observation,
    since: Duration,
) -> Result<Texts, String> {
    let containers = running(observation)?.into_iter().flat_map(|pod| {
        let own = pod.containers.iter().filter(|container| !container.init);
        own.map(move |container| (pod, container.name.as_str()))
    });
    let reads = containers.map(|(pod, container)| async move {
        let query = LogQuery {
            namespace: &pod.namespace,
            pod: &pod.name,
            container,
            tail_lines: Some(WORKER_LINES),
            since: Some(since),
            limit_bytes: Some(WORKER_BYTES),
            ..LogQuery::default()
        };
        let text = cluster.log(&query).await;
        let text = text.map_err(|error| error.to_string());
        (format!("{} {container}", pod.name), text)
    });
    let reads: Vec<_> = reads.collect();
    Ok(futures::stream::iter(reads)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await)
}
