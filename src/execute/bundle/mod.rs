//! Evidence in a folder: logs, events, objects, timeline, what Argo CD shows, metrics.
//! Each part may fail alone and is then named in `manifest.json`, with its reason.
//!
//! What comes from the API server is first, since a rollback or a scale-down takes it
//! away; the rest may run beside that ([`first`], then [`Begun::rest`]). It sends reads
//! only; a port-forward and `pods/proxy` are asked for their rights before.

mod archive;
mod folder;
mod lines;
mod logs;
mod metrics;
mod objects;
mod own;
mod until;
mod views;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::watch;

use crate::cluster::Cluster;
use crate::execute::endpoint::Endpoint;
use crate::model::{Observation, mask_object, mask_url};
use crate::observe::Clients;
use crate::plan::{API_VERSION, forward_write};
use crate::report::{BundleCluster, BundleManifest, BundleOptions, Missing};
use crate::timeline::Timeline;

pub use archive::pack;
use folder::Folder;
use objects::Objects;
use until::Until;

/// Lines of each log where nothing else is asked for.
pub const TAIL_LINES: u32 = 1000;
/// Limit of a read where no cluster's connection tells one.
const READ_LIMIT: Duration = Duration::from_secs(10);

/// What to save.
#[derive(Debug, Clone)]
pub struct Options {
    /// Everything; else the quick profile: logs, and objects as they were seen.
    pub full: bool,
    /// Whether logs are wanted.
    pub logs: bool,
    /// Lines of each log at most.
    pub tail_lines: u32,
    /// Only log lines not older than this.
    pub since: Option<Duration>,
    /// Logs of at most so many pods.
    pub pods: Option<usize>,
    /// Time limit of what comes from the API server (logs, events, objects). Every
    /// read has its own limit besides.
    pub limit: Option<Duration>,
    /// Where metrics are.
    pub metrics: Endpoint,
    /// Whether a port-forward may be made for them, where the rights are there.
    pub forward: bool,
    /// Becomes true when it shall end with what it has.
    pub stop: Option<watch::Receiver<bool>>,
}

impl Options {
    /// Everything that can be had.
    #[must_use]
    pub fn full() -> Self {
        Self {
            full: true,
            logs: true,
            tail_lines: TAIL_LINES,
            since: None,
            pods: None,
            limit: None,
            metrics: Endpoint::default(),
            forward: true,
            stop: None,
        }
    }

    /// What can be had within a limit, before something else happens: logs of at most
    /// 30 pods, objects and events as they were seen.
    #[must_use]
    pub fn quick(limit: Duration) -> Self {
        Self {
            full: false,
            pods: Some(30),
            limit: Some(limit),
            ..Self::full()
        }
    }

    fn report(&self) -> BundleOptions {
        let profile = if self.full { "full" } else { "quick" };
        BundleOptions {
            profile: profile.to_owned(),
            logs: self.logs,
            tail_lines: self.tail_lines,
            since_seconds: self.since.map(|since| since.as_secs()),
            limit_seconds: self.limit.map(|limit| limit.as_secs_f64()),
            metrics_url: self.metrics.url.as_deref().map(mask_url),
        }
    }

    /// The size at which one log or one answer is cut, in bytes.
    const fn largest(&self) -> u64 {
        if self.full { 64 << 20 } else { 4 << 20 }
    }
}

/// What was saved.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// Files, what is missing, seconds: what `manifest.json` says.
    pub manifest: BundleManifest,
    /// The first thing that the disk refused.
    pub unwritten: Option<String>,
}

/// What every part works with.
struct Job<'a> {
    clients: &'a Clients,
    observation: &'a Observation,
    options: &'a Options,
    folder: Folder,
    until: Until,
}

impl Job<'_> {
    async fn save_json(&self, name: &str, value: &Value) {
        let text = format!("{:#}\n", mask_object(value));
        self.folder.save(name, &text).await;
    }

    fn cluster(&self) -> Option<&Cluster> {
        self.clients.cluster.as_deref().ok()
    }

    /// The labels by which the workload's objects can be listed.
    fn selector(&self) -> String {
        let workload = self.observation.cluster.workload.as_ref();
        let labels = workload.into_iter().flat_map(|w| &w.match_labels);
        let pairs: Vec<String> = labels
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        pairs.join(",")
    }
}

/// Saves a bundle of one target in a folder.
pub async fn bundle(
    clients: &Clients,
    observation: &Observation,
    timeline: Option<&Timeline>,
    folder: &Path,
    options: &Options,
) -> Bundle {
    let begun = Box::pin(first(clients, observation, folder, options)).await;
    Box::pin(begun.rest(timeline)).await
}

/// A bundle that has everything that something else may take away.
pub struct Begun<'a> {
    job: Job<'a>,
    objects: Objects,
    began: Instant,
}

impl std::fmt::Debug for Begun<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Begun")
            .field("folder", &self.job.folder)
            .finish_non_exhaustive()
    }
}

/// Saves logs, events and objects. The folder is made where it is not there.
pub async fn first<'a>(
    clients: &'a Clients,
    observation: &'a Observation,
    folder: &Path,
    options: &'a Options,
) -> Begun<'a> {
    let began = Instant::now();
    let job = Job {
        clients,
        observation,
        options,
        folder: Folder::begin(folder, options.full).await,
        until: Until::new(options.limit, options.stop.clone()),
    };
    // No request is needed for these.
    views::seen(&job).await;
    let objects = match (&clients.cluster, options.full) {
        (Err(gap), _) => {
            job.folder.missing("logs and objects", &gap.message);
            Objects::default()
        }
        (Ok(cluster), true) => {
            let (objects, ()) =
                tokio::join!(objects::all(&job, cluster), logs::save(&job, cluster));
            objects
        }
        (Ok(cluster), false) => quick(&job, cluster).await,
    };
    Begun {
        job,
        objects,
        began,
    }
}

/// Events and objects as the look saw them; logs and the workload as they are now.
async fn quick(job: &Job<'_>, cluster: &Cluster) -> Objects {
    let events = objects::seen_events(job);
    objects::save_events(job, events.as_deref()).await;
    let (workload, ()) = tokio::join!(objects::workload(job, cluster), logs::save(job, cluster));
    Objects {
        workload,
        events,
        ..Objects::default()
    }
}

impl Begun<'_> {
    /// What is missing so far, for whoever has to decide whether to go on.
    #[must_use]
    pub fn missing(&self) -> Vec<Missing> {
        self.job.folder.state().1
    }

    /// Saves the rest, and the manifest last.
    pub async fn rest(mut self, timeline: Option<&Timeline>) -> Bundle {
        let Self { job, objects, .. } = &mut self;
        job.until = Until::new(None, job.options.stop.clone());
        if let Some(timeline) = timeline {
            views::timeline(job, timeline).await;
        }
        let mut forwarded = false;
        if job.options.full {
            views::described(job, objects).await;
            forwarded = metrics::save(job, objects).await;
            for gap in &job.observation.gaps {
                job.folder.missing(&gap.what, &gap.message);
            }
        }
        let mut manifest = self.manifest();
        if forwarded {
            let target = &self.job.observation.target;
            let write = forward_write(&target.namespace, &target.name);
            manifest.writes.push(write);
        }
        let text = serde_json::to_string_pretty(&manifest).unwrap_or_default();
        let folder = &self.job.folder;
        folder.write_manifest(&format!("{text}\n")).await;
        let (files, missing, unwritten) = folder.state();
        (manifest.files, manifest.missing) = (files, missing);
        Bundle {
            manifest,
            unwritten,
        }
    }

    fn manifest(&self) -> BundleManifest {
        let Job {
            observation,
            options,
            folder,
            ..
        } = &self.job;
        let (files, missing, _) = folder.state();
        let cluster = self.job.cluster();
        BundleManifest {
            api_version: API_VERSION.to_owned(),
            kind: "BundleManifest".to_owned(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            target: (&observation.target).into(),
            cluster: BundleCluster {
                server: cluster.map(Cluster::server).unwrap_or_default().to_owned(),
                context: cluster.and_then(Cluster::context).map(str::to_owned),
            },
            application: observation.argocd.application_name.clone(),
            at: observation.at,
            seconds: (self.began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
            options: options.report(),
            writes: Vec::new(),
            files,
            missing,
        }
    }
}
