//! The single reads.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join, join_all};
use serde_json::Value;

use super::memo::{Memo, listed};
use super::near::near_names;
use super::request::{Call, Download, check_name, path};
use super::wire::{
    ControllerRevisionWire, EndpointSliceWire, EventWire, HpaWire, NameOnly, PodWire,
    ReplicaSetWire, WorkloadWire,
};
use super::{Cluster, Error, convert};
use crate::model::{
    ClusterEvent, Endpoint, Gap, Hpa, Pod, ReplicaSet, Workload, WorkloadKind, WorkloadRef,
    mask_env, mask_text,
};

const APPS: &str = "apps/v1";

/// Workloads of several kinds; a kind that could not be read is a gap.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Workloads {
    /// What was read, by namespace and name.
    pub items: Vec<Workload>,
    /// What was not.
    pub gaps: Vec<Gap>,
}

/// What a name stands for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// The workloads of that name in that namespace: several when kinds share it.
    pub workloads: Vec<Workload>,
    /// When there are none: similar names in the namespace, the nearest first.
    pub near: Vec<WorkloadRef>,
    /// When there are none: the same name in other namespaces.
    pub elsewhere: Vec<WorkloadRef>,
    /// What could not be looked at.
    pub gaps: Vec<Gap>,
}

/// Which log to read.
#[derive(Debug, Clone, Default)]
pub struct LogQuery<'a> {
    /// Namespace.
    pub namespace: &'a str,
    /// Pod.
    pub pod: &'a str,
    /// Container; may be empty when the pod has only one.
    pub container: &'a str,
    /// The log of the container's previous run.
    pub previous: bool,
    /// Only the last lines.
    pub tail_lines: Option<u32>,
    /// Only what is not older.
    pub since: Option<Duration>,
    /// Cut after so many bytes.
    pub limit_bytes: Option<u64>,
    /// Each line begins with its time.
    pub timestamps: bool,
}

/// Which object to read.
#[derive(Debug, Clone, Copy)]
pub struct ObjectQuery<'a> {
    /// API group, empty for core.
    pub group: &'a str,
    /// API version of the group: `v1`.
    pub version: &'a str,
    /// Plural resource name.
    pub resource: &'a str,
    /// Namespace; empty for cluster scope.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
}

impl Cluster {
    /// Reads one workload: a single GET, also what waiting polls.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub async fn workload(&self, wanted: &WorkloadRef) -> Result<Workload, Error> {
        check_name("namespace", &wanted.namespace)?;
        check_name(wanted.kind.as_str(), &wanted.name)?;
        let resource = wanted.kind.resource();
        if let Some(memo) = &self.memo {
            return Box::pin(self.listed_workload(memo, wanted)).await;
        }
        let place = path(APPS, Some(&wanted.namespace), &[resource, &wanted.name]);
        let call = Call::get(resource, place, wanted.to_string());
        let object: WorkloadWire = self.json(&call).await?;
        Ok(convert::workload(wanted.kind, object))
    }

    async fn listed_workload(&self, memo: &Memo, wanted: &WorkloadRef) -> Result<Workload, Error> {
        let (kind, namespace) = (wanted.kind, wanted.namespace.as_str());
        let list = async {
            let call = Call::list(APPS, kind.resource(), Some(namespace));
            let objects = self.items::<WorkloadWire>(&call).await?;
            let read = objects
                .into_iter()
                .map(|object| convert::workload(kind, object));
            let named = read.map(|workload| (workload.reference.name.clone(), workload));
            Ok::<_, Error>(Arc::new(named.collect::<HashMap<_, _>>()))
        };
        let all = memo
            .workloads
            .answer((kind, namespace.to_owned()), list)
            .await?;
        all.get(&wanted.name)
            .cloned()
            .ok_or_else(|| Error::NotFound {
                what: wanted.to_string(),
                message: format!("it is not among the {} of the namespace", kind.resource()),
            })
    }

    /// The ReplicaSets of a Deployment among all of its namespace.
    async fn listed_replica_sets(
        &self,
        memo: &Memo,
        of: &Workload,
    ) -> Result<Vec<ReplicaSet>, Error> {
        let namespace = of.reference.namespace.as_str();
        let list = async {
            let call = Call::list(APPS, "replicasets", Some(namespace));
            let all = self.items::<ReplicaSetWire>(&call).await?;
            let mut owned: HashMap<String, Vec<ReplicaSet>> = HashMap::new();
            for set in all.into_iter().filter_map(convert::replica_set) {
                owned.entry(set.owner_uid.clone()).or_default().push(set);
            }
            Ok::<_, Error>(Arc::new(owned))
        };
        let all = memo.replica_sets.answer(namespace.to_owned(), list).await?;
        Ok(all.get(&of.uid).cloned().unwrap_or_default())
    }

    /// Lists the workloads of all kinds, in one namespace or in all.
    pub async fn workloads(&self, namespace: Option<&str>, selector: Option<&str>) -> Workloads {
        let kinds = WorkloadKind::ALL.map(|kind| async move {
            let call = Call::list(APPS, kind.resource(), namespace)
                .with("labelSelector", selector.unwrap_or_default());
            let objects = self.items::<WorkloadWire>(&call).await;
            let read = objects.map(|objects| {
                let read = objects
                    .into_iter()
                    .map(|object| convert::workload(kind, object));
                read.collect::<Vec<_>>()
            });
            read.map_err(|error| error.gap(call.what()))
        });
        let mut all = Workloads::default();
        for kind in join_all(kinds).await {
            match kind {
                Ok(items) => all.items.extend(items),
                Err(gap) => all.gaps.push(gap),
            }
        }
        let key = |workload: &Workload| {
            let of = &workload.reference;
            (of.namespace.clone(), of.name.clone(), of.kind)
        };
        all.items.sort_by_cached_key(key);
        all
    }

    /// Finds out which of `kinds` have an object of this name. When none has, looks
    /// for similar names here and for the same name elsewhere.
    ///
    /// # Errors
    /// When not one of the kinds could be asked.
    pub async fn find(
        &self,
        kinds: &[WorkloadKind],
        name: &str,
        namespace: &str,
    ) -> Result<Found, Error> {
        let wanted = |kind: &WorkloadKind| WorkloadRef {
            kind: *kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let asked = join_all(kinds.iter().map(|kind| {
            let reference = wanted(kind);
            async move { (reference.to_string(), self.workload(&reference).await) }
        }));
        let mut found = Found::default();
        let mut errors = Vec::new();
        for (what, answer) in asked.await {
            match answer {
                Ok(workload) => found.workloads.push(workload),
                Err(Error::NotFound { .. }) => {}
                Err(error) => {
                    found.gaps.push(error.gap(&what));
                    errors.push(error);
                }
            }
        }
        if errors.len() == kinds.len()
            && let Some(first) = errors.into_iter().next()
        {
            return Err(first);
        }
        if found.workloads.is_empty() {
            self.suggest(&mut found, kinds, name, namespace).await;
        }
        Ok(found)
    }

    async fn suggest(
        &self,
        found: &mut Found,
        kinds: &[WorkloadKind],
        name: &str,
        namespace: &str,
    ) {
        let looks = join_all(kinds.iter().map(|kind| async move {
            let here = Call::list(APPS, kind.resource(), Some(namespace)).metadata_only();
            let everywhere = Call::list(APPS, kind.resource(), None)
                .with("fieldSelector", format!("metadata.name={name}"))
                .metadata_only();
            join(
                async { (here.what().to_owned(), self.items::<NameOnly>(&here).await) },
                async {
                    let answer = self.items::<NameOnly>(&everywhere).await;
                    (everywhere.what().to_owned(), answer)
                },
            )
            .await
        }));
        let mut here = BTreeSet::new();
        for (kind, (in_namespace, in_all)) in kinds.iter().zip(looks.await) {
            let mut take = |(what, answer): (String, Result<Vec<NameOnly>, Error>)| {
                answer.unwrap_or_else(|error| {
                    found.gaps.push(error.gap(&what));
                    Vec::new()
                })
            };
            let (in_namespace, in_all) = (take(in_namespace), take(in_all));
            here.extend(
                in_namespace
                    .into_iter()
                    .map(|one| (one.metadata.name, *kind)),
            );
            let others = in_all.into_iter().map(|one| one.metadata);
            let others = others.filter(|meta| meta.name == name && meta.namespace != namespace);
            found.elsewhere.extend(others.map(|meta| WorkloadRef {
                kind: *kind,
                namespace: meta.namespace,
                name: meta.name,
            }));
        }
        let near = near_names(name, here.iter().map(|(name, _)| name.as_str()));
        for name in near {
            let same = here.iter().filter(|(other, _)| *other == name);
            found.near.extend(same.map(|(name, kind)| WorkloadRef {
                kind: *kind,
                namespace: namespace.to_owned(),
                name: name.clone(),
            }));
        }
    }

    /// The templates that the cluster still remembers of a workload: ReplicaSets of a
    /// Deployment, ControllerRevisions (without counts) of the other kinds. Owned
    /// ones only; the newest number first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn replica_sets(&self, of: &Workload) -> Result<Vec<ReplicaSet>, Error> {
        let kind = of.reference.kind;
        let namespace = Some(of.reference.namespace.as_str());
        let list = |resource: &str| {
            Call::list(APPS, resource, namespace).with("labelSelector", selector(of))
        };
        let memo = self
            .memo
            .as_ref()
            .filter(|_| kind == WorkloadKind::Deployment);
        let mut sets: Vec<ReplicaSet> = if let Some(memo) = memo {
            Box::pin(self.listed_replica_sets(memo, of)).await?
        } else if kind == WorkloadKind::Deployment {
            let all = self.items::<ReplicaSetWire>(&list("replicasets")).await?;
            all.into_iter().filter_map(convert::replica_set).collect()
        } else {
            let list = list("controllerrevisions");
            let all = self.items::<ControllerRevisionWire>(&list).await?;
            let read = |wire| convert::controller_revision(kind, wire);
            all.into_iter().filter_map(read).collect()
        };
        sets.retain(|set| set.owner_uid == of.uid);
        sets.sort_by(|a, b| {
            (b.rollout_revision, b.created_at).cmp(&(a.rollout_revision, a.created_at))
        });
        Ok(sets)
    }

    /// Pods of a namespace, all or by label selector. Whose they are is told by
    /// [`pods_of`](super::pods_of), never by their labels.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn pods(&self, namespace: &str, selector: Option<&str>) -> Result<Vec<Pod>, Error> {
        let ask = async |selector: &str| {
            let call = Call::list("v1", "pods", Some(namespace)).with("labelSelector", selector);
            let pods = self.items::<PodWire>(&call).await?;
            Ok(pods.into_iter().map(convert::pod).collect())
        };
        match &self.memo {
            Some(memo) => Box::pin(listed(&memo.pods, namespace, ask(""))).await,
            None => ask(selector.unwrap_or_default()).await,
        }
    }

    /// Warning events of a namespace, the newest first, each with the uid of the
    /// object it is about.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn events(&self, namespace: &str) -> Result<Vec<(String, ClusterEvent)>, Error> {
        let ask = Box::pin(async {
            let call =
                Call::list("v1", "events", Some(namespace)).with("fieldSelector", "type=Warning");
            let events = self.items::<EventWire>(&call).await?;
            let mut events: Vec<_> = events.into_iter().map(convert::event).collect();
            events.retain(|(_, event)| event.severity == "Warning");
            events.sort_by_key(|(_, event)| std::cmp::Reverse(event.last_seen));
            Ok(events)
        });
        match &self.memo {
            Some(memo) => listed(&memo.events, namespace, ask).await,
            None => ask.await,
        }
    }

    /// Endpoints of all Services of a namespace.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn endpoints(&self, namespace: &str) -> Result<Vec<Endpoint>, Error> {
        let ask = Box::pin(async {
            let call = Call::list("discovery.k8s.io/v1", "endpointslices", Some(namespace));
            Ok(convert::endpoints(
                self.items::<EndpointSliceWire>(&call).await?,
            ))
        });
        match &self.memo {
            Some(memo) => listed(&memo.endpoints, namespace, ask).await,
            None => ask.await,
        }
    }

    /// Autoscalers of a namespace.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn hpas(&self, namespace: &str) -> Result<Vec<Hpa>, Error> {
        let ask = Box::pin(async {
            let call = Call::list(
                "autoscaling/v2",
                "horizontalpodautoscalers",
                Some(namespace),
            );
            let hpas = self.items::<HpaWire>(&call).await?;
            Ok(hpas.into_iter().map(convert::hpa).collect())
        });
        match &self.memo {
            Some(memo) => listed(&memo.hpas, namespace, ask).await,
            None => ask.await,
        }
    }

    /// Argo CD's Applications as the API server gives them, in one namespace or in all.
    ///
    /// # Errors
    /// When they cannot be read; [`Error::NotFound`] where Argo CD is not installed.
    pub async fn applications(&self, namespace: Option<&str>) -> Result<Vec<Value>, Error> {
        let call = Call::list("argoproj.io/v1alpha1", "applications", namespace);
        match self.items(&call).await {
            Err(Error::NotFound { .. }) => Err(Error::NotFound {
                what: call.what().to_owned(),
                message: "this cluster has no Argo CD Applications".to_owned(),
            }),
            other => other,
        }
    }

    /// A container's log, with credentials masked.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn log(&self, query: &LogQuery<'_>) -> Result<String, Error> {
        let body = self.send(&log_call(query)?).await?;
        Ok(mask_text(&String::from_utf8_lossy(&body)))
    }

    /// A container's log as it comes, byte for byte: nothing is masked in it yet.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn log_stream(&self, query: &LogQuery<'_>) -> Result<Download, Error> {
        self.open(&log_call(query)?).await
    }

    /// Any object, for evidence: environment values masked, managed fields left out.
    /// Secrets are never read.
    ///
    /// # Errors
    /// When it is a Secret, is not there, or cannot be read.
    pub async fn object(&self, query: &ObjectQuery<'_>) -> Result<Value, Error> {
        check_name("resource", query.resource)?;
        check_name(query.resource, query.name)?;
        if query.resource.eq_ignore_ascii_case("secrets") {
            return Err(Error::Invalid {
                what: format!("secret {}", query.name),
                message: "unship never reads Secrets".to_owned(),
            });
        }
        let group_version = if query.group.is_empty() {
            query.version.to_owned()
        } else {
            format!("{}/{}", query.group, query.version)
        };
        let namespace = (!query.namespace.is_empty()).then_some(query.namespace);
        let place = path(&group_version, namespace, &[query.resource, query.name]);
        let what = format!("{}/{}", query.resource, query.name);
        let call = Call::get(query.resource, place, what);
        Ok(mask_env(&self.json::<Value>(&call).await?))
    }
}

fn log_call(query: &LogQuery<'_>) -> Result<Call, Error> {
    check_name("namespace", query.namespace)?;
    check_name("pod", query.pod)?;
    let place = path("v1", Some(query.namespace), &["pods", query.pod, "log"]);
    let run = if query.previous {
        "previous log"
    } else {
        "log"
    };
    let what = format!("{run} of {} in pod {}", query.container, query.pod);
    let number = |value: Option<u64>| value.map(|n| n.to_string()).unwrap_or_default();
    let call = Call::get("pods/log", place, what)
        .with("container", query.container)
        .with("previous", if query.previous { "true" } else { "" })
        .with("tailLines", number(query.tail_lines.map(u64::from)))
        // The API takes whole seconds, at least one.
        .with(
            "sinceSeconds",
            number(query.since.map(|age| age.as_secs().max(1))),
        )
        .with("limitBytes", number(query.limit_bytes))
        .with("timestamps", if query.timestamps { "true" } else { "" });
    Ok(call)
}

/// The labels by which the workload's objects can be listed. Only a filter for the
/// server: whose they are, their owner references say.
pub(super) fn selector(of: &Workload) -> String {
    let pairs: Vec<String> = of
        .match_labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join(",")
}
