//! Logs of every container, streamed to the disk as they come.

use futures::StreamExt as _;

use super::folder::file_name;
use super::lines::Lines;
use super::own::why;
use super::{Job, Options};
use crate::cluster::{Cluster, LogQuery};
use crate::execute::endpoint::Pieces;
use crate::model::{Observation, Pod, WorkloadKind};

/// Requests at a time: enough for a cluster far away, few enough for its kubelets.
const AT_ONCE: usize = 16;

/// Writes what comes into a file, masked line by line. A file that does not get to its
/// end is named as cut.
pub(super) async fn copy(job: &Job<'_>, source: &mut impl Pieces, name: &str, largest: u64) {
    let Some(mut writer) = job.folder.open(name).await else {
        return;
    };
    let mut lines = Lines::default();
    let cut = loop {
        let piece = match job.until.run(source.piece()).await {
            Ok(Ok(Some(piece))) => piece,
            Ok(Ok(None)) => break None,
            Ok(Err(reason)) | Err(reason) => break Some(reason),
        };
        if let Err(error) = writer.write(&lines.push(&piece)).await {
            return job.folder.failed(writer, &error).await;
        }
        if writer.bytes() > largest {
            break Some(format!("it is longer than {} MB", largest >> 20));
        }
    };
    if let Err(error) = writer.write(&lines.finish()).await {
        return job.folder.failed(writer, &error).await;
    }
    match cut {
        Some(reason) => job.folder.cut(writer, &reason).await,
        None if lines.cut > 0 => {
            let reason = format!("{} lines were too long", lines.cut);
            job.folder.cut(writer, &reason).await;
        }
        None => job.folder.finish(writer).await,
    }
}

/// The workload's pods, or why they are not known.
pub(super) fn own_pods(observation: &Observation) -> Result<&[Pod], String> {
    let view = &observation.cluster;
    let by_sets = observation.target.kind == WorkloadKind::Deployment;
    if by_sets && view.workload.is_some() && view.replica_sets.is_none() {
        // None found is not "none".
        let why = why(observation, "ReplicaSets");
        return Err(format!(
            "only its ReplicaSets tell whose pods these are: {why}"
        ));
    }
    let pods = view.pods.as_deref();
    pods.ok_or_else(|| why(observation, "pods"))
}

/// Runs them, so many at a time, in their order.
pub(super) async fn at_once(work: Vec<impl Future<Output = ()>>) {
    let mut work = futures::stream::iter(work).buffer_unordered(AT_ONCE);
    while work.next().await.is_some() {}
}

struct Wanted<'p> {
    pod: &'p Pod,
    container: &'p str,
    previous: bool,
}

/// The logs that there are, those of pods in trouble first. A log of a previous run
/// exists once the container was started again.
fn wanted<'p>(job: &Job<'_>, pods: &'p [Pod]) -> Vec<Wanted<'p>> {
    let Options {
        full, pods: most, ..
    } = *job.options;
    let mut pods: Vec<&Pod> = pods.iter().collect();
    pods.sort_by_key(|pod| (pod.ready, pod.name.as_str()));
    let taken = most.unwrap_or(pods.len()).min(pods.len());
    if taken < pods.len() {
        let left = pods.len() - taken;
        let reason = format!("only those of {taken} pods are taken, those in trouble first");
        job.folder
            .missing(format!("logs of {left} more pods"), reason);
    }
    let mut all = Vec::new();
    for pod in pods.into_iter().take(taken) {
        let containers = pod.containers.iter();
        for container in containers.filter(|c| full || !c.init || c.problem.is_some()) {
            let one = |previous| Wanted {
                pod,
                container: container.name.as_str(),
                previous,
            };
            all.push(one(false));
            if container.restarts > 0 {
                all.push(one(true));
            }
        }
    }
    all
}

/// Saves them.
pub(super) async fn save(job: &Job<'_>, cluster: &Cluster) {
    if !job.options.logs {
        return job.folder.missing("logs", "left out on request");
    }
    let pods = match own_pods(job.observation) {
        Ok(pods) => pods,
        Err(reason) => return job.folder.missing("logs", reason),
    };
    let logs = wanted(job, pods).into_iter();
    at_once(logs.map(|wanted| one(job, cluster, wanted)).collect()).await;
}

async fn one(job: &Job<'_>, cluster: &Cluster, wanted: Wanted<'_>) {
    let Wanted {
        pod,
        container,
        previous,
    } = wanted;
    let run = if previous { ".previous" } else { "" };
    let name = format!(
        "logs/{}/{}{run}.log",
        file_name(&pod.name),
        file_name(container)
    );
    let query = LogQuery {
        namespace: &pod.namespace,
        pod: &pod.name,
        container,
        previous,
        tail_lines: Some(job.options.tail_lines),
        since: job.options.since,
        limit_bytes: None,
        timestamps: true,
    };
    match job.until.run(cluster.log_stream(&query)).await {
        Ok(Ok(mut log)) => copy(job, &mut log, &name, job.options.largest()).await,
        Ok(Err(error)) => job.folder.missing(&name, error.gap("").message),
        Err(reason) => job.folder.missing(&name, reason),
    }
}
