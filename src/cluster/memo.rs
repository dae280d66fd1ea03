//! A look at many workloads of few namespaces: each kind is listed once a namespace.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Cluster, Error};
use crate::model::{
    Capabilities, ClusterEvent, Endpoint, Hpa, Pod, ReplicaSet, Workload, WorkloadKind,
};
use crate::remember::Remember;

type Kept<T> = Remember<String, Arc<Vec<T>>>;

/// What was listed, by namespace.
#[derive(Debug, Default)]
pub(super) struct Memo {
    pub(super) workloads: Remember<(WorkloadKind, String), Arc<HashMap<String, Workload>>>,
    /// ReplicaSets by the uid of the Deployment that owns them.
    pub(super) replica_sets: Remember<String, Arc<HashMap<String, Vec<ReplicaSet>>>>,
    pub(super) pods: Kept<Pod>,
    pub(super) events: Kept<(String, ClusterEvent)>,
    pub(super) endpoints: Kept<Endpoint>,
    pub(super) hpas: Kept<Hpa>,
    pub(super) capabilities: Remember<(), Arc<Capabilities>>,
}

impl Cluster {
    /// The same connection for one look at many: what it lists it lists once a namespace, and
    /// single objects are taken from these lists. Not for waiting, as nothing becomes newer.
    #[must_use]
    pub fn remembering(&self) -> Self {
        Self {
            memo: Some(Arc::default()),
            ..self.clone()
        }
    }
}

/// A list that was asked for once.
pub(super) async fn listed<T: Clone>(
    kept: &Kept<T>,
    namespace: &str,
    ask: impl Future<Output = Result<Vec<T>, Error>>,
) -> Result<Vec<T>, Error> {
    let all = kept.answer(namespace.to_owned(), async { ask.await.map(Arc::new) });
    all.await.map(|all| all.to_vec())
}
