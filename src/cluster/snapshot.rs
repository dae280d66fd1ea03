//! Everything about one workload, read at once.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join, join4};

use super::read::selector;
use super::{Cluster, Error, convert};
use crate::model::{
    ClusterEvent, Endpoint, Gap, GapReason, Hpa, Pod, ReplicaSet, Workload, WorkloadKind,
    WorkloadRef,
};

/// A workload and what belongs to it. Each part was read or is a gap.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// What was asked for.
    pub reference: WorkloadRef,
    /// The workload itself.
    pub workload: Result<Workload, Error>,
    /// Its recorded templates, the newest number first.
    pub replica_sets: Result<Vec<ReplicaSet>, Gap>,
    /// Its pods, by owner reference.
    pub pods: Result<Vec<Pod>, Gap>,
    /// Warning events about it, its ReplicaSets and its pods, the newest first.
    pub events: Result<Vec<ClusterEvent>, Gap>,
    /// Endpoints of all Services of its namespace.
    pub endpoints: Result<Vec<Endpoint>, Gap>,
    /// The autoscalers that scale it.
    pub hpas: Result<Vec<Hpa>, Gap>,
}

impl Snapshot {
    /// What could not be read.
    #[must_use]
    pub fn gaps(&self) -> Vec<Gap> {
        let error = self.workload.as_ref().err();
        let workload = error.map(|error| error.gap(&self.reference.to_string()));
        workload
            .into_iter()
            .chain(self.replica_sets.as_ref().err().cloned())
            .chain(self.pods.as_ref().err().cloned())
            .chain(self.events.as_ref().err().cloned())
            .chain(self.endpoints.as_ref().err().cloned())
            .chain(self.hpas.as_ref().err().cloned())
            .collect()
    }
}

impl Cluster {
    /// Reads a workload with everything about it: the workload, events, endpoints and
    /// autoscalers at once, then ReplicaSets and pods by the workload's selector. In
    /// a namespace with hundreds of pods that is less than listing them all.
    pub async fn snapshot(&self, wanted: &WorkloadRef) -> Snapshot {
        let namespace = wanted.namespace.as_str();
        let (core, events, endpoints, hpas) = join4(
            Box::pin(self.core(wanted)),
            self.events(namespace),
            self.endpoints(namespace),
            self.hpas(namespace),
        )
        .await;
        let (workload, replica_sets, pods) = core;
        let about = format!("in namespace {namespace}");
        let events = events.map_err(|error| error.gap(&format!("events {about}")));
        let known = (
            replica_sets.as_deref().unwrap_or_default(),
            pods.as_deref().unwrap_or_default(),
        );
        let events = match &workload {
            Ok(workload) => events.map(|all| events_about(workload, known.0, known.1, all)),
            // Nobody knows which of them are its own.
            Err(error) => Err(error.gap(&format!("events about {wanted}"))),
        };
        let scales =
            |hpa: &Hpa| hpa.target_kind == wanted.kind.as_str() && hpa.target_name == wanted.name;
        Snapshot {
            reference: wanted.clone(),
            workload,
            replica_sets,
            pods,
            events,
            endpoints: endpoints.map_err(|error| error.gap(&format!("endpoints {about}"))),
            hpas: hpas
                .map(|all| all.into_iter().filter(scales).collect())
                .map_err(|error| error.gap(&format!("autoscalers {about}"))),
        }
    }

    /// The workload, then its templates and pods.
    async fn core(&self, wanted: &WorkloadRef) -> Core {
        let sets_name = match wanted.kind {
            WorkloadKind::Deployment => "ReplicaSets",
            WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => "ControllerRevisions",
        };
        let sets_name = format!("{sets_name} of {wanted}");
        let pods_name = format!("pods of {wanted}");
        let workload = match self.workload(wanted).await {
            Ok(workload) => workload,
            Err(error) => {
                let gap = |what: &str| error.gap(what);
                let (sets, pods) = (gap(&sets_name), gap(&pods_name));
                return (Err(error), Err(sets), Err(pods));
            }
        };
        let labels = selector(&workload);
        let (sets, pods) = join(
            self.replica_sets(&workload),
            self.pods(&wanted.namespace, Some(&labels)),
        )
        .await;
        let mut sets = sets.map_err(|error| error.gap(&sets_name));
        let pods = pods.map_err(|error| error.gap(&pods_name));
        let pods = match (&sets, pods) {
            // Without ReplicaSets nobody can say whose pods these are.
            (Err(gap), Ok(_)) if wanted.kind == WorkloadKind::Deployment => Err(Gap {
                what: pods_name,
                reason: gap.reason,
                message: format!(
                    "their owners, the ReplicaSets, could not be read: {}",
                    gap.message
                ),
            }),
            (Ok(sets), Ok(pods)) => Ok(pods_of(&workload, sets, pods)),
            (Err(_), Ok(pods)) => Ok(pods_of(&workload, &[], pods)),
            (_, Err(gap)) => Err(gap),
        };
        if wanted.kind != WorkloadKind::Deployment
            && let Ok(known) = &mut sets
        {
            match &pods {
                Ok(pods) => convert::count_pods(known, pods),
                // Zero pods would be a lie.
                Err(gap) => sets = Err(uncounted(gap, &sets_name)),
            }
        }
        (Ok(workload), sets, pods)
    }
}

type Core = (
    Result<Workload, Error>,
    Result<Vec<ReplicaSet>, Gap>,
    Result<Vec<Pod>, Gap>,
);

fn uncounted(gap: &Gap, what: &str) -> Gap {
    Gap {
        what: what.to_owned(),
        reason: match gap.reason {
            GapReason::NotFound => GapReason::Invalid,
            other => other,
        },
        message: format!("their pods could not be counted: {}", gap.message),
    }
}

/// The pods that belong to a workload, by owner reference: through its ReplicaSets,
/// or directly for the other kinds. Labels say nothing: another workload's pods may
/// carry the same.
#[must_use]
pub fn pods_of(workload: &Workload, replica_sets: &[ReplicaSet], pods: Vec<Pod>) -> Vec<Pod> {
    let owners: BTreeSet<&str> = if workload.reference.kind == WorkloadKind::Deployment {
        let own = replica_sets
            .iter()
            .filter(|set| set.owner_uid == workload.uid);
        own.map(|set| set.uid.as_str()).collect()
    } else {
        BTreeSet::from([workload.uid.as_str()])
    };
    let own = |pod: &Pod| {
        pod.owner_uid
            .as_deref()
            .is_some_and(|uid| owners.contains(uid))
    };
    pods.into_iter().filter(own).collect()
}

/// The events about a workload, its ReplicaSets and its pods. An event with a uid is
/// matched by it: an older object of the same name was another one.
#[must_use]
pub fn events_about(
    workload: &Workload,
    replica_sets: &[ReplicaSet],
    pods: &[Pod],
    events: Vec<(String, ClusterEvent)>,
) -> Vec<ClusterEvent> {
    let kind = workload.reference.kind.as_str();
    let mut known: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    known.insert((kind, &workload.reference.name), &workload.uid);
    let sets = replica_sets.iter();
    known.extend(sets.map(|set| (("ReplicaSet", set.name.as_str()), set.uid.as_str())));
    known.extend(
        pods.iter()
            .map(|pod| (("Pod", pod.name.as_str()), pod.uid.as_str())),
    );
    let about = |uid: &str, event: &ClusterEvent| {
        known
            .get(&(event.about_kind.as_str(), event.about_name.as_str()))
            .is_some_and(|known| uid.is_empty() || uid == *known)
    };
    events
        .into_iter()
        .filter_map(|(uid, event)| about(&uid, &event).then_some(event))
        .collect()
}
