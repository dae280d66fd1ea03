//! What is read from Argo CD.

use std::time::Duration;

use serde_json::Value;

use super::client::{Argocd, Ask, LARGEST_LIST};
use super::error::Error;
use crate::model::{AccessAnswer, Allowed, Application, ObjectRef, Project, SyncWindow, TreeNode};

/// Which Application is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApplicationKey {
    /// Name.
    pub name: String,
    /// Namespace of the Application object; empty for Argo CD's own.
    pub app_namespace: String,
    /// AppProject. With it Argo CD tells "not found" from "permission denied";
    /// empty when it is not known.
    pub project: String,
}

impl ApplicationKey {
    /// An Application in Argo CD's own namespace, its project not known.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
}

impl From<&Application> for ApplicationKey {
    fn from(app: &Application) -> Self {
        Self {
            name: app.name.clone(),
            app_namespace: app.namespace.clone(),
            project: app.project.clone(),
        }
    }
}

/// Which Applications are listed; what is empty does not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApplicationFilter {
    /// Name.
    pub name: String,
    /// Namespace of the Application objects.
    pub app_namespace: String,
    /// `repoURL` of a source, as it is spelled there.
    pub repo: String,
    /// AppProject.
    pub project: String,
    /// Label selector.
    pub selector: String,
}

/// Whether Argo CD compares again before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// It answers with what it has.
    None,
    /// It resolves the revision anew and compares. The answer waits for that, so the
    /// request has a time limit of its own.
    Normal {
        /// The limit.
        limit: Duration,
    },
}

/// Who the token is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserInfo {
    /// Whether the token was accepted.
    pub logged_in: bool,
    /// Account.
    pub username: String,
    /// Issuer; `argocd` for local accounts.
    pub issuer: String,
    /// Groups.
    pub groups: Vec<String>,
}

/// Settings of the server that decide how objects are traced to Applications.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerSettings {
    /// `annotation`, `label` or `annotation+label`; empty when the server keeps its default.
    pub tracking_method: String,
    /// The label of the `label` method.
    pub app_label_key: String,
    /// The namespace that Argo CD runs in.
    pub controller_namespace: String,
    /// The installation id that tracked objects must carry; empty for none.
    pub installation_id: String,
}

/// Argo CD's own judgement of an Application's sync windows. Its entries carry no time zone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppSyncWindows {
    /// Whether a MANUAL sync is let through now.
    pub can_sync: bool,
    /// The windows that are active now.
    pub active: Vec<SyncWindow>,
    /// All windows for this Application.
    pub assigned: Vec<SyncWindow>,
}

/// One object of an Application as Argo CD compares it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ManagedResource {
    /// The live object; none when it does not exist.
    pub live: Option<Value>,
    /// The object as Git has it; none when Git has it no more.
    pub target: Option<Value>,
    /// The live object as it is compared.
    pub normalized: Option<Value>,
    /// The live object as it would become by a sync.
    pub predicted: Option<Value>,
}

/// A question about one Application below `/api/v1/applications/NAME`.
pub(super) fn about(key: &ApplicationKey, kind: &'static str, what: &str, below: &[&str]) -> Ask {
    let mut path = vec!["api", "v1", "applications", key.name.as_str()];
    path.extend(below);
    let what = match what {
        "" => format!("application {}", key.name),
        what => format!("{what} of application {}", key.name),
    };
    let mut ask = Ask::new(kind, what, &path)
        .with("appNamespace", &key.app_namespace)
        .with("project", &key.project);
    ask.hides_missing = key.project.is_empty();
    ask
}

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().map_or(&[][..], Vec::as_slice);
    items
        .iter()
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn windows(value: &Value) -> Vec<SyncWindow> {
    let items = value.as_array().map_or(&[][..], Vec::as_slice);
    items.iter().map(SyncWindow::from_json).collect()
}

impl Argocd {
    /// The server's version, as it tells anybody.
    ///
    /// # Errors
    /// See [`Error`]; `Invalid` when it is not an Argo CD.
    pub async fn api_version(&self) -> Result<String, Error> {
        let ask = Ask::new("version", "the server's version", &["api", "version"]);
        let answer = self.get(&ask).await?;
        answer["Version"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| self.invalid(&ask.what, "it has no \"Version\""))
    }

    /// Who the token is; without a valid token `logged_in` is false.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn userinfo(&self) -> Result<UserInfo, Error> {
        let path = ["api", "v1", "session", "userinfo"];
        let answer = self
            .get(&Ask::new("userinfo", "the account", &path))
            .await?;
        Ok(UserInfo {
            logged_in: answer["loggedIn"].as_bool().unwrap_or(false),
            username: text(&answer, "username"),
            issuer: text(&answer, "iss"),
            groups: texts(&answer["groups"]),
        })
    }

    /// Whether the account may do something; `object` is `PROJECT/APP` for Applications
    /// (`PROJECT/NAMESPACE/APP` outside Argo CD's own namespace). A failed question is
    /// answered "unknown" with the reason.
    pub async fn can_i(&self, resource: &str, action: &str, object: &str) -> AccessAnswer {
        let mut path = vec!["api", "v1", "account", "can-i", resource, action];
        path.extend(object.split('/'));
        let right = format!("{action} {resource} {object} in Argo CD");
        let ask = Ask::new("can-i", format!("the right to {right}"), &path);
        let (allowed, reason) = match self.get(&ask).await {
            Ok(answer) => match answer["value"].as_str() {
                Some("yes") => (Allowed::Allowed, "Argo CD's can-i says yes".to_owned()),
                Some("no") => (Allowed::Denied, "Argo CD's can-i says no".to_owned()),
                _ => (
                    Allowed::Unknown,
                    "Argo CD's can-i said neither yes nor no".to_owned(),
                ),
            },
            Err(error) => (Allowed::Unknown, error.to_string()),
        };
        AccessAnswer {
            right,
            allowed,
            reason,
        }
    }

    /// The Applications that the account may see. The list lacks `history`, conditions
    /// and the commits of Applications with several sources: read those one by one.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn applications(
        &self,
        filter: &ApplicationFilter,
    ) -> Result<Vec<Application>, Error> {
        let path = ["api", "v1", "applications"];
        let mut ask = Ask::new("applications", "the applications", &path)
            .with("name", &filter.name)
            .with("appNamespace", &filter.app_namespace)
            .with("repo", &filter.repo)
            .with("projects", &filter.project)
            .with("selector", &filter.selector);
        ask.largest = LARGEST_LIST;
        let answer = self.get(&ask).await?;
        let items = match &answer["items"] {
            Value::Array(items) => items.as_slice(),
            Value::Null if answer.get("items").is_some() || answer["metadata"].is_object() => &[],
            _ => return Err(self.invalid(&ask.what, "it is no list of applications")),
        };
        items
            .iter()
            .map(|item| Application::from_json(item).map_err(|why| self.invalid(&ask.what, &why)))
            .collect()
    }

    /// The `spec` of an ApplicationSet.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn application_set(&self, name: &str, namespace: &str) -> Result<Value, Error> {
        let path = ["api", "v1", "applicationsets", name];
        let what = format!("ApplicationSet {name}");
        let ask = Ask::new("applicationset", what, &path).with("appsetNamespace", namespace);
        let answer = self.get(&ask).await?;
        match answer.get("spec") {
            Some(spec) if spec.is_object() => Ok(spec.clone()),
            _ => Err(self.invalid(&ask.what, "it has no \"spec\"")),
        }
    }

    /// One Application, whole.
    ///
    /// # Errors
    /// See [`Error`]; `TimedOut` after the refresh's own limit when one was asked for.
    pub async fn application(
        &self,
        key: &ApplicationKey,
        refresh: Refresh,
    ) -> Result<Application, Error> {
        if let (Some(memo), Refresh::None) = (&self.memo, refresh) {
            let name = format!("{key:?}");
            let ask = self.application_now(key, refresh);
            return memo.applications.answer(name, ask).await;
        }
        self.application_now(key, refresh).await
    }

    async fn application_now(
        &self,
        key: &ApplicationKey,
        refresh: Refresh,
    ) -> Result<Application, Error> {
        let ask = match refresh {
            Refresh::None => about(key, "application", "", &[]),
            Refresh::Normal { limit } => {
                let mut ask = about(key, "refresh", "", &[]).with("refresh", "normal");
                ask.limit = Some(limit);
                ask
            }
        };
        let answer = self.get(&ask).await?;
        Application::from_json(&answer).map_err(|why| self.invalid(&ask.what, &why))
    }

    /// The live objects of an Application, with uids.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn resource_tree(&self, key: &ApplicationKey) -> Result<Vec<TreeNode>, Error> {
        let ask = about(
            key,
            "resource-tree",
            "the resource tree",
            &["resource-tree"],
        );
        let read = async { Ok(TreeNode::list_from_json(&self.get(&ask).await?)) };
        match &self.memo {
            Some(memo) => memo.trees.answer(format!("{key:?}"), read).await,
            None => read.await,
        }
    }

    /// An AppProject, with the sync windows that it inherits from global projects.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn project(&self, name: &str) -> Result<Project, Error> {
        match &self.memo {
            Some(memo) => {
                let read = self.project_now(name);
                memo.projects.answer(name.to_owned(), read).await
            }
            None => self.project_now(name).await,
        }
    }

    async fn project_now(&self, name: &str) -> Result<Project, Error> {
        let what = format!("project {name}");
        let path = ["api", "v1", "projects", name, "detailed"];
        let detailed = Ask::new("project", what.clone(), &path);
        let (own, globals) = match self.get(&detailed).await {
            Ok(answer) => (answer["project"].clone(), answer["globalProjects"].clone()),
            Err(Error::NotFound { .. } | Error::Invalid { .. }) => {
                // A read-only proxy may let the plain object through alone.
                let plain = Ask::new("project", what.clone(), &path[..4]);
                (self.get(&plain).await?, Value::Null)
            }
            Err(error) => return Err(error),
        };
        let read =
            |value: &Value| Project::from_json(value).map_err(|why| self.invalid(&what, &why));
        let mut project = read(&own)?;
        for global in globals.as_array().map_or(&[][..], Vec::as_slice) {
            let global = read(global)?;
            project.sync_windows.extend(global.sync_windows);
            project.signature_keys |= global.signature_keys;
        }
        Ok(project)
    }

    /// The server's settings.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn settings(&self) -> Result<ServerSettings, Error> {
        let path = ["api", "v1", "settings"];
        let answer = self
            .get(&Ask::new("settings", "the settings", &path))
            .await?;
        Ok(ServerSettings {
            tracking_method: text(&answer, "trackingMethod"),
            app_label_key: text(&answer, "appLabelKey"),
            controller_namespace: text(&answer, "controllerNamespace"),
            installation_id: text(&answer, "installationID"),
        })
    }

    /// Argo CD's own judgement of the sync windows.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn syncwindows(&self, key: &ApplicationKey) -> Result<AppSyncWindows, Error> {
        let ask = about(key, "syncwindows", "the sync windows", &["syncwindows"]);
        let answer = self.get(&ask).await?;
        let can_sync = answer["canSync"]
            .as_bool()
            .ok_or_else(|| self.invalid(&ask.what, "it has no \"canSync\""))?;
        Ok(AppSyncWindows {
            can_sync,
            active: windows(&answer["activeWindows"]),
            assigned: windows(&answer["assignedWindows"]),
        })
    }

    /// The Application's objects as Argo CD renders them at a commit of its repository,
    /// wherever that commit is. `position` counts from 1 and is needed where the
    /// Application has several sources.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn manifests(
        &self,
        key: &ApplicationKey,
        commit: &str,
        position: Option<usize>,
    ) -> Result<Vec<Value>, Error> {
        let what = format!("the manifests at {commit}");
        let ask = about(key, "manifests", &what, &["manifests"]);
        let mut ask = match position {
            None => ask.with("revision", commit),
            Some(n) => ask
                .with("revisions", commit)
                .with("sourcePositions", &n.to_string()),
        };
        ask.largest = LARGEST_LIST;
        let answer = self.get(&ask).await?;
        let Some(items) = answer["manifests"].as_array() else {
            return match answer.get("revision") {
                // Nothing is rendered: encoding/json leaves the empty list out.
                Some(_) => Ok(Vec::new()),
                None => Err(self.invalid(&ask.what, "it has no \"manifests\"")),
            };
        };
        items
            .iter()
            .map(|item| self.embedded(&ask.what, item.as_str()))
            .collect::<Result<Vec<_>, _>>()
            .map(|found| found.into_iter().flatten().collect())
    }

    /// A live object of the Application. Secrets are never asked for.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn live_resource(
        &self,
        key: &ApplicationKey,
        object: &ObjectRef,
        api_version: &str,
    ) -> Result<Value, Error> {
        self.no_secret(object)?;
        // "apps/v1" and "v1" are both taken: Argo CD wants the version alone.
        let bare = api_version.rsplit('/').next().unwrap_or(api_version);
        let ask = about(
            key,
            "resource",
            &format!("the live {object}"),
            &["resource"],
        )
        .with("group", &object.group)
        .with("version", bare)
        .with("kind", &object.kind)
        .with("namespace", &object.namespace)
        .with("resourceName", &object.name);
        let answer = self.get(&ask).await?;
        self.embedded(&ask.what, answer["manifest"].as_str())?
            .ok_or_else(|| self.invalid(&ask.what, "it has no \"manifest\""))
    }

    /// An object of the Application as Argo CD compares it. Secrets are never asked for.
    ///
    /// # Errors
    /// See [`Error`]; `NotFound` when the Application does not manage the object.
    pub async fn managed_resource(
        &self,
        key: &ApplicationKey,
        object: &ObjectRef,
    ) -> Result<ManagedResource, Error> {
        self.no_secret(object)?;
        let what = format!("the comparison of {object}");
        let ask = about(key, "managed-resources", &what, &["managed-resources"])
            .with("group", &object.group)
            .with("kind", &object.kind)
            .with("namespace", &object.namespace)
            .with("name", &object.name);
        let answer = self.get(&ask).await?;
        let items = answer["items"].as_array().map_or(&[][..], Vec::as_slice);
        let found = items.iter().find(|item| {
            text(item, "group") == object.group
                && text(item, "kind") == object.kind
                && text(item, "namespace") == object.namespace
                && text(item, "name") == object.name
        });
        let Some(item) = found else {
            return Err(Error::NotFound {
                what: ask.what,
                message: format!("application {} does not manage {object}", key.name),
            });
        };
        let part = |name: &str| self.embedded(&ask.what, item[name].as_str());
        Ok(ManagedResource {
            live: part("liveState")?,
            target: part("targetState")?,
            normalized: part("normalizedLiveState")?,
            predicted: part("predictedLiveState")?,
        })
    }

    fn no_secret(&self, object: &ObjectRef) -> Result<(), Error> {
        if object.group.is_empty() && object.kind.eq_ignore_ascii_case("secret") {
            return Err(self.invalid(&object.to_string(), "unship never reads Secrets"));
        }
        Ok(())
    }

    /// JSON inside a string; empty and `null` are nothing.
    fn embedded(&self, what: &str, text: Option<&str>) -> Result<Option<Value>, Error> {
        match text {
            None | Some("" | "null") => Ok(None),
            Some(text) => serde_json::from_str(text).map(Some).map_err(|error| {
                self.invalid(what, &format!("an object in it is no JSON: {error}"))
            }),
        }
    }
}

#[cfg(test)]
#[path = "reads_tests.rs"]
mod tests;
