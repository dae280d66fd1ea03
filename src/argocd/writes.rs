//! What is changed through Argo CD: each a single request that is not repeated.

use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Argocd, Ask, Write, unknown};
use super::error::Error;
use super::reads::{ApplicationKey, about};
use crate::model::{Application, HistoryId, ObjectRef};

impl Argocd {
    /// Starts a sync: to `commit`, else to what the Application follows; of `resources`
    /// alone where there are any. It prunes nothing; the Application's own sync options
    /// and retries hold. Hooks run in a whole sync only, and only a whole sync becomes an
    /// entry of the history. Needs Argo CD's `sync`.
    ///
    /// For a commit of an Application with several sources see [`Argocd::sync_source`].
    ///
    /// # Errors
    /// [`Error::OperationInProgress`], [`Error::SyncWindow`], [`Error::AutoSync`] (with it
    /// only the followed commit can be synced), [`Error::Denied`]; [`Error::OtherCommit`]
    /// when another commit than that one is synced; [`Error::OutcomeUnknown`] when it may
    /// have been started.
    pub async fn sync(
        &self,
        key: &ApplicationKey,
        commit: Option<&str>,
        resources: &[ObjectRef],
    ) -> Result<(), Error> {
        let mut body = body_for(key);
        if let Some(commit) = commit {
            body["revision"] = json!(commit);
        }
        self.start_sync(key, body, (commit, resources)).await
    }

    /// As [`Argocd::sync`], for an Application with several sources: to `commit` of the
    /// source at `position`, which counts from 1.
    ///
    /// # Errors
    /// As [`Argocd::sync`].
    pub async fn sync_source(
        &self,
        key: &ApplicationKey,
        (position, commit): (usize, &str),
        resources: &[ObjectRef],
    ) -> Result<(), Error> {
        let mut body = body_for(key);
        body["revisions"] = json!([commit]);
        body["sourcePositions"] = json!([position]);
        self.start_sync(key, body, (Some(commit), resources)).await
    }

    async fn start_sync(
        &self,
        key: &ApplicationKey,
        mut body: Value,
        (commit, resources): (Option<&str>, &[ObjectRef]),
    ) -> Result<(), Error> {
        if !resources.is_empty() {
            let one = |object: &ObjectRef| {
                json!({"group": object.group, "kind": object.kind,
                    "namespace": object.namespace, "name": object.name})
            };
            body["resources"] = resources.iter().map(one).collect();
        }
        let ask = change(key, "sync", (Method::POST, "sync", Some(body)));
        let answer = self.write(&ask).await?;
        let wanted = commit.unwrap_or_default();
        let sync = &answer["operation"]["sync"];
        let many = sync["revisions"].as_array().map_or(&[][..], Vec::as_slice);
        let started: Vec<&str> = many
            .iter()
            .chain([&sync["revision"]])
            .filter_map(Value::as_str)
            .filter(|commit| !commit.is_empty())
            .collect();
        // A branch or tag is resolved; a whole commit id must be that of the operation.
        let whole = wanted.len() == 40 && wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
        if whole && !started.is_empty() && !started.contains(&wanted) {
            return Err(Error::OtherCommit {
                what: ask.what,
                wanted: wanted.to_owned(),
                started: self.fit(&started.join(", ")),
            });
        }
        Ok(())
    }

    /// Starts Argo CD's rollback to an entry of the Application's history: a sync to the
    /// commits and sources of then, without hooks and pruning. Needs Argo CD's `sync`
    /// (3.6: `rollback` where that is enforced).
    ///
    /// # Errors
    /// [`Error::AutoSync`] while automated sync is on, [`Error::NoSuchHistory`],
    /// [`Error::OperationInProgress`], [`Error::Denied`]; [`Error::OutcomeUnknown`] when it
    /// may have been started.
    pub async fn rollback(&self, key: &ApplicationKey, id: HistoryId) -> Result<(), Error> {
        let mut body = body_for(key);
        body["id"] = json!(id.0);
        let what = format!("rollback to history id {}", id.0);
        let ask = change(key, &what, (Method::POST, "rollback", Some(body)));
        self.write(&ask).await.map(drop)
    }

    /// Ends the operation that runs; the Application takes no other before. A retrying
    /// one is not tried again. Needs Argo CD's `sync`.
    ///
    /// # Errors
    /// [`Error::NoOperation`] when none runs (also in the moment before the controller has
    /// taken one up), [`Error::Denied`]; [`Error::OutcomeUnknown`] when it may have ended.
    pub async fn terminate(&self, key: &ApplicationKey) -> Result<(), Error> {
        let ask = change(
            key,
            "termination of the operation",
            (Method::DELETE, "operation", None),
        )
        .with("appNamespace", &key.app_namespace)
        .with("project", &key.project);
        self.write(&ask).await.map(drop)
    }

    /// Changes an Application by JSON Patch and gives it as it is then. Argo CD takes over
    /// spec, labels, annotations and finalizers, and nothing else; between the tests of the
    /// patch and the change it does not lock the spec. Needs Argo CD's `update`.
    ///
    /// # Errors
    /// [`Error::Conflict`] when a test of the patch does not hold, [`Error::NotPermitted`],
    /// [`Error::Denied`]; [`Error::OutcomeUnknown`] when it may have been carried out.
    pub async fn patch(
        &self,
        key: &ApplicationKey,
        operations: &Value,
    ) -> Result<Application, Error> {
        let mut body = body_for(key);
        body["patch"] = json!(operations.to_string());
        body["patchType"] = json!("json");
        let ask = change(key, "change", (Method::PATCH, "", Some(body)));
        let answer = self.write(&ask).await?;
        Application::from_json(&answer).map_err(|why| unknown(&ask, self.fit(&why)))
    }
}

/// Which Application is meant, as a body says it: with one, grpc-gateway reads no query.
fn body_for(key: &ApplicationKey) -> Value {
    let mut body = json!({"name": key.name});
    for (field, value) in [
        ("appNamespace", &key.app_namespace),
        ("project", &key.project),
    ] {
        if !value.is_empty() {
            body[field] = json!(value);
        }
    }
    body
}

fn change(
    key: &ApplicationKey,
    what: &str,
    (method, below, body): (Method, &'static str, Option<Value>),
) -> Ask {
    let parts: &[&str] = if below.is_empty() { &[] } else { &[below] };
    let kind = match below {
        "" => "patch",
        "operation" => "terminate",
        other => other,
    };
    let mut ask = about(key, kind, what, parts);
    ask.query.clear();
    ask.write = Some(Write { method, body });
    ask
}

#[cfg(test)]
#[path = "writes_tests.rs"]
mod tests;
