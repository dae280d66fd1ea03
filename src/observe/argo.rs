//! Argo CD's side of a look.

use std::time::Duration;

use super::cluster::Seen;
use super::{Clients, Scope, rights};
use crate::argocd::{ApplicationFilter, ApplicationKey, Argocd, Refresh};
use crate::model::{Application, ArgoView, Gap, GapReason, ObjectRef, Right, Rights};

/// What Argo CD shows.
pub(super) struct Looked {
    /// The view.
    pub view: ArgoView,
    /// What may be done to the Application.
    pub rights: Rights,
    /// What could not be read.
    pub gaps: Vec<Gap>,
}

const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";

/// Reads the Application that manages the target, its project and its resource tree.
pub(super) async fn look(clients: &Clients, scope: &Scope, seen: &Seen) -> Looked {
    let mut looked = Looked {
        view: ArgoView::default(),
        rights: Rights::default(),
        gaps: Vec::new(),
    };
    let name = scope.app.clone().or_else(|| tracked_by(seen));
    looked.view.application_name.clone_from(&name);
    match &clients.argocd {
        Ok(argocd) => by_api(argocd, (clients, scope), name, seen, &mut looked).await,
        Err(gap) => {
            looked.gaps.push(gap.clone());
            by_kubernetes(clients, scope, name, &mut looked).await;
        }
    }
    if let Some(app) = &looked.view.application {
        looked.view.application_name = Some(app.name.clone());
        looked.view.source = source_of(app);
    }
    looked
}

/// The Application's instance name in the live object's tracking id, if the id speaks
/// of this very object: ReplicaSets inherit it, and copies keep a foreign one.
fn tracked_by(seen: &Seen) -> Option<String> {
    let workload = seen.view.workload.as_ref()?;
    let (name, object) = ObjectRef::from_tracking_id(workload.annotations.get(TRACKING_ID)?)?;
    (object == seen.target.object()).then_some(name)
}

/// `NAMESPACE_NAME` or `NAMESPACE/NAME` for Applications outside Argo CD's own namespace.
pub(super) fn split_name(name: &str) -> (Option<&str>, &str) {
    match name.split_once(['_', '/']) {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, name),
    }
}

async fn by_api(
    argocd: &Argocd,
    (clients, scope): (&Clients, &Scope),
    name: Option<String>,
    seen: &Seen,
    looked: &mut Looked,
) {
    let name = match name {
        Some(name) => name,
        None => match search(argocd, seen, looked).await {
            Some(name) => name,
            None => return,
        },
    };
    let (namespace, bare) = split_name(&name);
    let key = ApplicationKey {
        app_namespace: namespace.unwrap_or_default().to_owned(),
        ..ApplicationKey::named(bare)
    };
    let (app, tree) = tokio::join!(
        argocd.application(&key, Refresh::None),
        argocd.resource_tree(&key)
    );
    looked.view.via = Some(format!("Argo CD at {}", argocd.base_url()));
    match app {
        Ok(app) => {
            let (project, rights) = tokio::join!(
                argocd.project(&app.project),
                rights::of_application(clients, scope, &app, namespace),
            );
            looked.rights = rights;
            match project {
                Ok(project) => looked.view.project = Some(project),
                Err(error) => looked
                    .gaps
                    .push(error.gap(format!("AppProject {}", app.project))),
            }
            looked.view.application = Some(app);
        }
        Err(error) => looked.gaps.push(error.gap(format!("Application {bare}"))),
    }
    match tree {
        Ok(tree) => looked.view.tree = Some(tree),
        Err(error) if looked.view.application.is_some() => {
            looked
                .gaps
                .push(error.gap(format!("the resource tree of Application {bare}")));
        }
        Err(_) => {}
    }
}

/// Without a tracking id (label tracking): the one Application whose resources have
/// the object.
async fn search(argocd: &Argocd, seen: &Seen, looked: &mut Looked) -> Option<String> {
    let apps = match argocd.applications(&ApplicationFilter::default()).await {
        Ok(apps) => apps,
        Err(error) => {
            looked.gaps.push(error.gap("the list of Applications"));
            return None;
        }
    };
    let object = seen.target.object();
    let mut owners = apps
        .into_iter()
        .filter(|app| app.resource(&object).is_some());
    match (owners.next(), owners.next()) {
        (Some(app), None) => Some(app.name),
        (Some(a), Some(b)) => {
            looked.gaps.push(Gap {
                what: "the Application that manages it".to_owned(),
                reason: GapReason::Invalid,
                message: format!(
                    "{} and {} both have it; name one with --app",
                    a.name, b.name
                ),
            });
            None
        }
        (None, _) => None,
    }
}

async fn by_kubernetes(
    clients: &Clients,
    scope: &Scope,
    name: Option<String>,
    looked: &mut Looked,
) {
    let (Ok(cluster), Some(name)) = (&clients.cluster, name) else {
        return;
    };
    let (namespace, bare) = split_name(&name);
    let early = async {
        match namespace.filter(|_| scope.rights) {
            Some(namespace) => Some(rights::of_object(cluster, namespace, bare).await),
            None => None,
        }
    };
    let (values, early) = tokio::join!(cluster.applications(namespace), early);
    let values = match values {
        Ok(values) => values,
        Err(error) => {
            looked
                .gaps
                .push(error.gap("Application objects in Kubernetes"));
            return;
        }
    };
    let found = values.iter().find(|value| {
        value
            .pointer("/metadata/name")
            .and_then(serde_json::Value::as_str)
            == Some(bare)
    });
    match found.map(Application::from_json) {
        Some(Ok(app)) => {
            looked.rights = match early {
                Some(answer) => {
                    let mut rights = Rights::default();
                    rights.insert(Right::PatchApplication, answer);
                    rights
                }
                // Its namespace is known only now.
                None => rights::of_application(clients, scope, &app, None).await,
            };
            looked.view.application = Some(app);
            looked.view.via = Some("Application objects in Kubernetes".to_owned());
        }
        Some(Err(message)) => looked.gaps.push(Gap {
            what: format!("Application {bare}"),
            reason: GapReason::Invalid,
            message,
        }),
        None => looked.gaps.push(Gap {
            what: format!("Application {bare}"),
            reason: GapReason::NotFound,
            message: "no such object in Kubernetes".to_owned(),
        }),
    }
}

/// Another Application, by namespace and name; without a namespace it is in Argo CD's own.
pub(super) async fn read_named(
    clients: &Clients,
    (namespace, name): (Option<&str>, &str),
) -> Result<Application, Gap> {
    let what = format!("Application {name}");
    if let Ok(argocd) = &clients.argocd {
        let key = ApplicationKey {
            app_namespace: namespace.unwrap_or_default().to_owned(),
            ..ApplicationKey::named(name)
        };
        let read = argocd.application(&key, Refresh::None).await;
        return read.map_err(|error| error.gap(what));
    }
    let missing = |reason, message: &str| Gap {
        what: what.clone(),
        reason,
        message: message.to_owned(),
    };
    let Ok(cluster) = &clients.cluster else {
        return Err(missing(GapReason::NotConfigured, "nothing to ask"));
    };
    let values = cluster.applications(namespace).await;
    let values = values.map_err(|error| error.gap(&what))?;
    let own = |value: &&serde_json::Value| {
        value.pointer("/metadata/name").and_then(|n| n.as_str()) == Some(name)
    };
    match values.iter().find(own).map(Application::from_json) {
        Some(Ok(app)) => Ok(app),
        Some(Err(message)) => Err(missing(GapReason::Invalid, &message)),
        None => Err(missing(GapReason::NotFound, "no such object in Kubernetes")),
    }
}

/// The index of the source that holds manifests; a source that only lends its files
/// to others (`ref`) holds none.
pub(super) fn source_of(app: &Application) -> usize {
    app.sources
        .iter()
        .position(|s| s.chart.is_empty() && (s.reference.is_empty() || !s.path.is_empty()))
        .or_else(|| app.sources.iter().position(|s| !s.chart.is_empty()))
        .unwrap_or(0)
}

/// Reads the Application again. With a limit: refreshed, which needs Argo CD's `get`
/// only and blocks until the controller has looked at Git.
pub(super) async fn read_again(
    clients: &Clients,
    view: &ArgoView,
    limit: Option<Duration>,
) -> Result<Application, Gap> {
    let Some(app) = &view.application else {
        return Err(Gap {
            what: "the Application".to_owned(),
            reason: GapReason::NotConfigured,
            message: "it could not be read before either".to_owned(),
        });
    };
    let what = format!("Application {}", app.name);
    match &clients.argocd {
        Ok(argocd) => {
            let refresh = limit.map_or(Refresh::None, |limit| Refresh::Normal { limit });
            argocd
                .application(&app.into(), refresh)
                .await
                .map_err(|e| e.gap(what))
        }
        Err(_) => {
            let Ok(cluster) = &clients.cluster else {
                return Err(Gap {
                    what,
                    reason: GapReason::NotConfigured,
                    message: "nothing to ask".to_owned(),
                });
            };
            let values = cluster
                .applications(Some(&app.namespace))
                .await
                .map_err(|e| e.gap(&what))?;
            let found = values.iter().find(|value| {
                value
                    .pointer("/metadata/name")
                    .and_then(serde_json::Value::as_str)
                    == Some(&app.name)
            });
            found
                .map(Application::from_json)
                .transpose()
                .ok()
                .flatten()
                .ok_or_else(|| Gap {
                    what,
                    reason: GapReason::NotFound,
                    message: "it is gone".to_owned(),
                })
        }
    }
}
