//! What an Application says of the repositories that it is rendered and made from.

use serde_json::Value;

use super::Scope;
use super::argo::split_name;
use super::place::Place;
use crate::git::RemoteUrl;
use crate::model::{Application, ApplicationSource, ObjectRef, Sourcing};

pub(super) const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";

/// A source's own folder, and the instance name of its Application.
pub(super) fn sourcing(source: &ApplicationSource, instance: &str) -> Sourcing {
    let folder = source.path.trim_matches('/').trim_start_matches("./");
    Sourcing {
        folder: if folder == "." { "" } else { folder }.to_owned(),
        instance: instance.to_owned(),
        ..Sourcing::default()
    }
}

/// Whether more than one repository may be looked at for an Application.
pub(super) fn are_several(app: &Application) -> bool {
    let lends = |source: &ApplicationSource| !source.reference.is_empty();
    app.sources.iter().any(lends) || is_made(app)
}

/// Whether a source says something that may decide over files.
pub(super) fn overrides(source: &ApplicationSource) -> bool {
    let full = |value: &Value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    };
    let helm = ["values", "valuesObject", "parameters", "fileParameters"];
    let helm = helm.iter().any(|key| {
        let value = source.helm.as_ref().and_then(|helm| helm.get(key));
        value.is_some_and(full)
    });
    helm || source.kustomize.as_ref().is_some_and(full)
}

/// Whether an Application is made from what stands somewhere else.
pub(super) fn is_made(app: &Application) -> bool {
    let by_set = app.owners.iter().any(|(kind, _)| kind == "ApplicationSet");
    by_set || maker_of(app).is_some()
}

/// Namespace and name of the Application that deploys an Application: its tracking id must speak
/// of it. The namespace is missing for Argo CD's own.
pub(super) fn maker_of(app: &Application) -> Option<(Option<&str>, &str)> {
    let (_, object) = ObjectRef::from_tracking_id(app.annotations.get(TRACKING_ID)?)?;
    let own = object.kind == "Application"
        && object.group == "argoproj.io"
        && object.name == app.name
        && (object.namespace == app.namespace || app.namespace.is_empty());
    let (instance, _) = app.annotations.get(TRACKING_ID)?.split_once(':')?;
    own.then(|| split_name(instance))
}

/// URL and branch.
pub(super) fn label(place: &Place) -> String {
    format!("{}@{}", url(place), place.branch)
}

pub(super) fn url(place: &Place) -> String {
    crate::model::mask_url(&place.remote.configured_url.without_credentials())
}

/// The same commit of the same repository.
pub(super) fn same_files(a: &ApplicationSource, b: &ApplicationSource) -> bool {
    let url = |source: &ApplicationSource| RemoteUrl::parse(&source.repo_url).ok();
    let same = match (url(a), url(b)) {
        (Some(a), Some(b)) => a.same_repository(&b),
        _ => a.repo_url == b.repo_url,
    };
    same && a.target_revision == b.target_revision && a.chart.is_empty() && b.chart.is_empty()
}

/// Where several repositories are needed, `--repo` and the working directory are a clone of one
/// of them, and `--branch` is the own source's.
pub(super) fn beside(scope: &Scope) -> Scope {
    let mut scope = scope.clone();
    scope.branch = None;
    if let Some(repo) = scope.repo.take() {
        scope.directory = repo;
    }
    scope
}
