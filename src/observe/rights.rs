//! The rights that decide over routes, asked while the other reads run.

use super::{Clients, Scope};
use crate::argocd::Argocd;
use crate::cluster::Cluster;
use crate::model::{
    AccessAnswer, AccessQuery, Allowed, Application, Right, Rights, WorkloadKind, WorkloadRef,
    mask_url,
};

/// How Argo CD names the cluster that it runs in.
const OWN_CLUSTER: [&str; 2] = ["https://kubernetes.default.svc", "in-cluster"];

/// `patch` on the workload and on its scale.
pub(super) async fn of_workload(cluster: &Cluster, scope: &Scope, target: &WorkloadRef) -> Rights {
    let mut rights = Rights::default();
    if !scope.rights {
        return rights;
    }
    let query = |subresource: &str| AccessQuery {
        verb: "patch".to_owned(),
        group: "apps".to_owned(),
        resource: target.kind.resource().to_owned(),
        subresource: subresource.to_owned(),
        namespace: target.namespace.clone(),
        name: target.name.clone(),
    };
    let mut asked = vec![Right::PatchWorkload, Right::PatchScale];
    let mut queries = vec![query(""), query("scale")];
    if target.kind == WorkloadKind::DaemonSet {
        asked.pop();
        queries.pop();
        let none = AccessAnswer {
            right: format!(
                "patch daemonsets.apps/scale in {} ({})",
                target.namespace, target.name
            ),
            allowed: Allowed::Denied,
            reason: "a DaemonSet has no scale".to_owned(),
        };
        rights.insert(Right::PatchScale, none);
    }
    for (right, answer) in asked.into_iter().zip(cluster.access(&queries).await) {
        rights.insert(right, answer);
    }
    rights
}

/// What may be done to an Application that was read: by Argo CD's API, with a token,
/// and to the object itself where it lives in the cluster that is asked.
/// `named_in` is its namespace where that is not Argo CD's own.
pub(super) async fn of_application(
    clients: &Clients,
    scope: &Scope,
    app: &Application,
    named_in: Option<&str>,
) -> Rights {
    let mut rights = Rights::default();
    if !scope.rights {
        return rights;
    }
    let argocd = clients.argocd.as_ref().ok();
    let (by_api, object) = tokio::join!(
        async {
            match argocd.filter(|argocd| argocd.has_token()) {
                Some(argocd) => by_argocd(argocd, app, named_in).await,
                None => Vec::new(),
            }
        },
        async {
            match &clients.cluster {
                Ok(cluster) if argocd.is_none() || is_at_home(app) => {
                    Some(of_object(cluster, &app.namespace, &app.name).await)
                }
                Ok(_) => Some(elsewhere(app)),
                Err(_) => None,
            }
        }
    );
    for (right, answer) in by_api {
        rights.insert(right, answer);
    }
    if let Some(answer) = object {
        rights.insert(Right::PatchApplication, answer);
    }
    rights
}

/// Argo CD's own answers, for the object as its RBAC names it: `PROJECT/NAME`, with the
/// namespace between where that is not Argo CD's own.
async fn by_argocd(
    argocd: &Argocd,
    app: &Application,
    named_in: Option<&str>,
) -> Vec<(Right, AccessAnswer)> {
    let object = match named_in {
        Some(namespace) => format!("{}/{namespace}/{}", app.project, app.name),
        None => format!("{}/{}", app.project, app.name),
    };
    let (sync, update) = tokio::join!(
        argocd.can_i("applications", "sync", &object),
        argocd.can_i("applications", "update", &object),
    );
    vec![(Right::ArgocdSync, sync), (Right::ArgocdUpdate, update)]
}

/// `patch` on an Application object in the cluster.
pub(super) async fn of_object(cluster: &Cluster, namespace: &str, name: &str) -> AccessAnswer {
    let query = AccessQuery {
        verb: "patch".to_owned(),
        group: "argoproj.io".to_owned(),
        resource: "applications".to_owned(),
        subresource: String::new(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    let answer = cluster.access(&[query]).await.pop();
    answer.unwrap_or_else(|| unknown(namespace, name, "there was no answer".to_owned()))
}

/// Whether Argo CD deploys into the cluster that it runs in. Else the Application lives
/// in another one than its workload, and a right there cannot be asked for here.
fn is_at_home(app: &Application) -> bool {
    let to = &app.destination;
    OWN_CLUSTER.contains(&to.server.as_str()) || OWN_CLUSTER.contains(&to.name.as_str())
}

fn elsewhere(app: &Application) -> AccessAnswer {
    let to = &app.destination;
    let to = [
        to.name.as_str(),
        to.server.as_str(),
        "a cluster that it does not name",
    ]
    .into_iter()
    .find(|text| !text.is_empty())
    .unwrap_or_default();
    let reason = format!(
        "the Application deploys to {}, so it may live in another cluster than the workload",
        mask_url(to)
    );
    unknown(&app.namespace, &app.name, reason)
}

fn unknown(namespace: &str, name: &str, reason: String) -> AccessAnswer {
    AccessAnswer {
        right: format!("patch applications.argoproj.io in {namespace} ({name})"),
        allowed: Allowed::Unknown,
        reason,
    }
}

/// All that is known of both.
pub(super) fn both(mut one: Rights, other: &Rights) -> Rights {
    for (right, answer) in other.iter() {
        one.insert(right, answer.clone());
    }
    one
}
