//! The objects of a workload as YAML, and the events about them.

use futures::future::join_all;
use serde_json::Value;

use super::folder::file_name;
use super::own::{
    events_about, label_selector_takes, owned_by, scales, service_selects, slice_of, text, why,
};
use super::{Job, logs};
use crate::cluster::{Cluster, Listing, ObjectQuery};
use crate::model::{ClusterEvent, WorkloadKind, mask_object};
use crate::report::events_text;

/// What was read of a workload, masked.
#[derive(Debug, Default)]
pub(super) struct Objects {
    /// The workload itself.
    pub(super) workload: Option<Value>,
    /// Its ReplicaSets or ControllerRevisions.
    pub(super) sets: Vec<Value>,
    /// Its pods.
    pub(super) pods: Vec<Value>,
    /// Services that select its pods.
    pub(super) services: Vec<Value>,
    /// EndpointSlices, autoscalers, disruption budgets.
    pub(super) others: Vec<Value>,
    /// Events about all of these, the oldest first; none where they are not known.
    pub(super) events: Option<Vec<ClusterEvent>>,
}

impl Objects {
    fn all(&self) -> impl Iterator<Item = &Value> {
        self.workload
            .iter()
            .chain(&self.sets)
            .chain(&self.pods)
            .chain(&self.services)
            .chain(&self.others)
    }
}

/// Group version, kind, plural, and whether it is listed by the workload's selector.
type Listed = (&'static str, &'static str, &'static str, bool);
const REPLICA_SETS: Listed = ("apps/v1", "ReplicaSet", "replicasets", true);
const CONTROLLER_REVISIONS: Listed = ("apps/v1", "ControllerRevision", "controllerrevisions", true);
const OTHERS: [Listed; 5] = [
    ("v1", "Pod", "pods", true),
    ("v1", "Service", "services", false),
    (
        "discovery.k8s.io/v1",
        "EndpointSlice",
        "endpointslices",
        false,
    ),
    (
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        false,
    ),
    (
        "policy/v1",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        false,
    ),
];

/// Reads and saves the workload alone.
pub(super) async fn workload(job: &Job<'_>, cluster: &Cluster) -> Option<Value> {
    let target = &job.observation.target;
    let query = ObjectQuery {
        group: "apps",
        version: "v1",
        resource: target.kind.resource(),
        namespace: &target.namespace,
        name: &target.name,
    };
    let name = object_name(target.kind.as_str(), &target.name);
    let object = match job.until.run(cluster.object(&query)).await {
        Ok(Ok(object)) => mask_object(&object),
        Ok(Err(error)) => {
            job.folder.missing(&name, error.gap("").message);
            return None;
        }
        Err(reason) => {
            job.folder.missing(&name, reason);
            return None;
        }
    };
    save(job, &object).await;
    Some(object)
}

/// Reads and saves everything that belongs to the workload.
pub(super) async fn all(job: &Job<'_>, cluster: &Cluster) -> Objects {
    let target = &job.observation.target;
    let sets = match target.kind {
        WorkloadKind::Deployment => REPLICA_SETS,
        WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => CONTROLLER_REVISIONS,
    };
    let lists = [sets].into_iter().chain(OTHERS);
    let (workload, listed, events) = tokio::join!(
        workload(job, cluster),
        join_all(lists.map(|what| list(job, cluster, what))),
        job.until.run(cluster.all_events(&target.namespace)),
    );
    let mut found = sort_out(job, workload, listed);
    for object in found
        .all()
        .filter(|object| text(object, "/kind") != target.kind.as_str())
    {
        save(job, object).await;
    }
    found.events = match events {
        Ok(Ok(events)) => Some(events_about(found.all(), events)),
        Ok(Err(error)) => fewer_events(job, &error.gap("").message),
        Err(reason) => fewer_events(job, &reason),
    };
    save_events(job, found.events.as_deref()).await;
    found
}

/// The warnings that the look has seen are better than none.
fn fewer_events(job: &Job<'_>, reason: &str) -> Option<Vec<ClusterEvent>> {
    job.folder.missing("Event objects", reason);
    seen_events(job)
}

/// The warnings that the look has seen, the oldest first.
pub(super) fn seen_events(job: &Job<'_>) -> Option<Vec<ClusterEvent>> {
    let mut events = job.observation.cluster.events.clone()?;
    events.sort_by_key(|event| event.last_seen);
    Some(events)
}

async fn list(job: &Job<'_>, cluster: &Cluster, what: Listed) -> Option<Vec<Value>> {
    let (group_version, kind, resource, by_labels) = what;
    let namespace = job.observation.target.namespace.as_str();
    let selector = if by_labels {
        job.selector()
    } else {
        String::new()
    };
    let listing = Listing {
        group_version,
        kind,
        resource,
        namespace,
        selector: &selector,
    };
    let listed = job.until.run(cluster.objects(&listing)).await;
    let reason = match listed {
        Ok(Ok(objects)) => return Some(objects),
        Ok(Err(error)) => error.gap("").message,
        Err(reason) => reason,
    };
    job.folder.missing(format!("{kind} objects"), reason);
    None
}

/// Keeps what belongs to the workload.
fn sort_out(job: &Job<'_>, workload: Option<Value>, listed: Vec<Option<Vec<Value>>>) -> Objects {
    let target = &job.observation.target;
    let mut found = Objects::default();
    let mut listed = listed.into_iter();
    let mut next = || listed.next().flatten().unwrap_or_default();
    let (sets, pods, services, slices, hpas, budgets) =
        (next(), next(), next(), next(), next(), next());
    let seen = job.observation.cluster.workload.as_ref();
    let uid = workload
        .as_ref()
        .map(|object| text(object, "/metadata/uid"))
        .or(seen.map(|workload| workload.uid.as_str()))
        .unwrap_or_default()
        .to_owned();
    let labels = workload
        .as_ref()
        .and_then(|object| object.pointer("/spec/template/metadata/labels"))
        .cloned()
        .unwrap_or_default();
    let keep = |objects: Vec<Value>, test: &dyn Fn(&Value) -> bool| {
        objects
            .into_iter()
            .filter(|object| test(object))
            .collect::<Vec<_>>()
    };
    found.workload = workload;
    found.sets = keep(sets, &|set| owned_by(set, &[&uid]));
    let owners: Vec<&str> = match target.kind {
        WorkloadKind::Deployment => found
            .sets
            .iter()
            .map(|set| text(set, "/metadata/uid"))
            .collect(),
        WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => vec![&uid],
    };
    if let Err(reason) = logs::own_pods(job.observation)
        && owners.is_empty()
        && !pods.is_empty()
    {
        job.folder.missing("Pod objects", reason);
    }
    found.pods = keep(pods, &|pod| owned_by(pod, &owners));
    found.services = keep(services, &|service| service_selects(service, &labels));
    let names: Vec<&str> = found
        .services
        .iter()
        .map(|s| text(s, "/metadata/name"))
        .collect();
    found.others = keep(slices, &|slice| slice_of(slice, &names));
    found.others.extend(keep(hpas, &|hpa| scales(hpa, target)));
    found.others.extend(keep(budgets, &|budget| {
        label_selector_takes(budget.pointer("/spec/selector"), &labels)
    }));
    found
}

fn object_name(kind: &str, name: &str) -> String {
    format!(
        "objects/{}-{}.yaml",
        file_name(&kind.to_lowercase()),
        file_name(name)
    )
}

async fn save(job: &Job<'_>, object: &Value) {
    let name = object_name(text(object, "/kind"), text(object, "/metadata/name"));
    match serde_yaml::to_string(object) {
        Ok(yaml) => job.folder.save(&name, &yaml).await,
        Err(error) => job
            .folder
            .missing(name, format!("it could not be written as YAML: {error}")),
    }
}

/// Saves events as a document and as a table in time order.
pub(super) async fn save_events(job: &Job<'_>, events: Option<&[ClusterEvent]>) {
    let Some(events) = events else {
        let reason = why(job.observation, "events");
        return job.folder.missing("events.json", reason);
    };
    job.save_json("events.json", &serde_json::json!(events))
        .await;
    job.folder.save("events.txt", &events_text(events)).await;
}
