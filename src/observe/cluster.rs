//! The cluster's side of a look.

use super::{Clients, Error, Scope, rights};
use crate::cluster::{Cluster, events_about, pods_of};
use crate::model::{
    ClusterEvent, ClusterView, Endpoint, Gap, Hpa, Rights, Workload, WorkloadKind, WorkloadRef,
};

/// What the cluster shows.
pub(super) struct Seen {
    /// The workload, resolved to one kind.
    pub target: WorkloadRef,
    /// The view.
    pub view: ClusterView,
    /// What may be done to the workload.
    pub rights: Rights,
    /// What could not be read.
    pub gaps: Vec<Gap>,
}

impl Seen {
    /// Nothing but why.
    fn nothing(target: WorkloadRef, view: ClusterView, gaps: Vec<Gap>) -> Self {
        Self {
            target,
            view,
            rights: Rights::default(),
            gaps,
        }
    }
}

/// Reads the workload with everything about it: its lists by namespace at once with
/// the workload, then ReplicaSets and pods by its selector.
pub(super) async fn look(clients: &Clients, scope: &Scope) -> Result<Seen, Error> {
    let assumed = WorkloadRef {
        kind: scope.kind.unwrap_or(WorkloadKind::Deployment),
        namespace: scope.namespace.clone(),
        name: scope.name.clone(),
    };
    let cluster = match &clients.cluster {
        Ok(cluster) => cluster,
        Err(gap) => {
            let gaps = vec![gap.clone()];
            return Ok(Seen::nothing(assumed, ClusterView::default(), gaps));
        }
    };
    let kinds = scope
        .kind
        .map_or_else(|| WorkloadKind::ALL.to_vec(), |kind| vec![kind]);
    let namespace = scope.namespace.as_str();
    let (found, events, endpoints, hpas) = tokio::join!(
        cluster.find(&kinds, &scope.name, namespace),
        cluster.events(namespace),
        cluster.endpoints(namespace),
        cluster.hpas(namespace),
    );
    let mut gaps = Vec::new();
    let mut view = ClusterView {
        server: cluster.server().to_owned(),
        ..ClusterView::default()
    };
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            let mut gap = error.gap(&format!("{} in namespace {namespace}", assumed.short()));
            if let Some(hint) = error.hint() {
                gap.message = format!("{}; {hint}", gap.message);
            }
            gaps.push(gap);
            return Ok(Seen::nothing(assumed, view, gaps));
        }
    };
    let workload = match one(scope, found, &mut gaps) {
        Err(Error::NotFound { .. }) if scope.removed.is_some() => None,
        other => other?,
    };
    let Some(workload) = workload else {
        return Ok(Seen::nothing(assumed, view, gaps));
    };
    let lists = Lists {
        events,
        endpoints,
        hpas,
    };
    let target = workload.reference.clone();
    let (rights, ()) = tokio::join!(
        rights::of_workload(cluster, scope, &target),
        around(cluster, &workload, lists, &mut view, &mut gaps),
    );
    view.workload = Some(workload);
    Ok(Seen {
        target,
        view,
        rights,
        gaps,
    })
}

type Listed<T> = Result<Vec<T>, crate::cluster::Error>;

/// What was listed beside the workload itself.
struct Lists {
    events: Listed<(String, ClusterEvent)>,
    endpoints: Listed<Endpoint>,
    hpas: Listed<Hpa>,
}

/// ReplicaSets and pods by the workload's selector, and what of the lists is about it.
async fn around(
    cluster: &Cluster,
    workload: &Workload,
    lists: Lists,
    view: &mut ClusterView,
    gaps: &mut Vec<Gap>,
) {
    let target = &workload.reference;
    let namespace = target.namespace.as_str();
    let selector = selector(workload);
    let (sets, pods) = tokio::join!(
        cluster.replica_sets(workload),
        cluster.pods(namespace, Some(&selector))
    );
    let mut keep = |what: &str, error: crate::cluster::Error| {
        gaps.push(error.gap(&format!("{what} in namespace {namespace}")));
    };
    let sets = sets.map_err(|error| keep("ReplicaSets", error)).ok();
    let own_sets = sets.as_deref().unwrap_or_default();
    let pods = pods.map_err(|error| keep("pods", error)).ok();
    let pods = pods.map(|pods| pods_of(workload, own_sets, pods));
    let events = lists.events.map_err(|error| keep("events", error)).ok();
    view.events = events.map(|events| {
        events_about(
            workload,
            own_sets,
            pods.as_deref().unwrap_or_default(),
            events,
        )
    });
    view.pods = pods;
    view.replica_sets = sets;
    view.endpoints = lists
        .endpoints
        .map_err(|error| keep("EndpointSlices", error))
        .ok();
    let hpas = lists
        .hpas
        .map_err(|error| keep("HorizontalPodAutoscalers", error))
        .ok();
    let scales = |h: &Hpa| h.target_name == target.name && h.target_kind == target.kind.as_str();
    view.hpas = hpas.map(|hpas| hpas.into_iter().filter(scales).collect());
}

fn one(
    scope: &Scope,
    found: crate::cluster::Found,
    gaps: &mut Vec<Gap>,
) -> Result<Option<Workload>, Error> {
    let mut workloads = found.workloads;
    if workloads.len() > 1 {
        let choices = workloads.into_iter().map(|w| w.reference).collect();
        return Err(Error::Ambiguous {
            name: scope.name.clone(),
            choices,
        });
    }
    if let Some(workload) = workloads.pop() {
        // Another kind that could not be looked at may have the name as well, but the
        // one that was found is the one that is meant.
        return Ok(Some(workload));
    }
    if !found.gaps.is_empty() {
        gaps.extend(found.gaps);
        return Ok(None);
    }
    let kind = scope.kind.map_or("workload", WorkloadKind::resource);
    Err(Error::NotFound {
        what: format!("{} {}", kind.trim_end_matches('s'), scope.name),
        namespace: scope.namespace.clone(),
        near: found.near,
        elsewhere: found.elsewhere,
    })
}

fn selector(workload: &Workload) -> String {
    workload
        .match_labels
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect::<Vec<_>>()
        .join(",")
}
