//! The administrator's hands, or another identity's: objects as JSON over the Kubernetes API.

use std::path::Path;

use http::{Method, Request};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

/// A connection as the administrator, or as another identity.
pub(crate) struct Admin {
    client: kube::Client,
}

/// What the scenarios touch: the path of a collection in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Namespace,
    Pod,
    Service,
    ConfigMap,
    Deployment,
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    ControllerRevision,
    Autoscaler,
    Application,
    ApplicationSet,
    AppProject,
}

impl Kind {
    fn collection(self, namespace: &str) -> String {
        let (group, plural) = match self {
            Self::Namespace => return "/api/v1/namespaces".to_owned(),
            Self::Pod => ("api/v1", "pods"),
            Self::Service => ("api/v1", "services"),
            Self::ConfigMap => ("api/v1", "configmaps"),
            Self::Deployment => ("apis/apps/v1", "deployments"),
            Self::ReplicaSet => ("apis/apps/v1", "replicasets"),
            Self::StatefulSet => ("apis/apps/v1", "statefulsets"),
            Self::DaemonSet => ("apis/apps/v1", "daemonsets"),
            Self::ControllerRevision => ("apis/apps/v1", "controllerrevisions"),
            Self::Autoscaler => ("apis/autoscaling/v2", "horizontalpodautoscalers"),
            Self::Application => ("apis/argoproj.io/v1alpha1", "applications"),
            Self::ApplicationSet => ("apis/argoproj.io/v1alpha1", "applicationsets"),
            Self::AppProject => ("apis/argoproj.io/v1alpha1", "appprojects"),
        };
        format!("/{group}/namespaces/{namespace}/{plural}")
    }
}

impl Kind {
    /// The path of one object.
    pub(crate) fn path(self, (namespace, name): (&str, &str)) -> String {
        format!("{}/{name}", self.collection(namespace))
    }
}

impl Admin {
    pub(crate) async fn connect(kubeconfig: &Path) -> Self {
        let file = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig of the world");
        let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
            .await
            .expect("a usable kubeconfig");
        let client = kube::Client::try_from(config).expect("a client");
        Self { client }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        (content_type, body): (&str, Option<&Value>),
    ) -> Result<Value, kube::Error> {
        let bytes = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type)
            .body(bytes)
            .expect("a request");
        self.client.request(request).await
    }

    /// The object, or None where there is none.
    pub(crate) async fn get(&self, kind: Kind, place: (&str, &str)) -> Option<Value> {
        let path = kind.path(place);
        match self
            .send(Method::GET, &path, ("application/json", None))
            .await
        {
            Ok(object) => Some(object),
            Err(kube::Error::Api(answer)) if answer.code == 404 => None,
            Err(error) => panic!("GET {path}: {error}"),
        }
    }

    /// All objects of a kind in a namespace.
    pub(crate) async fn list(&self, kind: Kind, namespace: &str) -> Vec<Value> {
        let path = kind.collection(namespace);
        let list = self
            .send(Method::GET, &path, ("application/json", None))
            .await;
        let list = list.unwrap_or_else(|error| panic!("GET {path}: {error}"));
        list["items"].as_array().cloned().unwrap_or_default()
    }

    pub(crate) async fn create(&self, kind: Kind, namespace: &str, object: &Value) -> Value {
        self.create_at(&kind.collection(namespace), object).await
    }

    /// As `kubectl apply` without `--server-side` makes an object: under its field manager, and
    /// with the annotation by which the next `kubectl apply` knows what was applied.
    pub(crate) async fn kubectl_apply(&self, kind: Kind, namespace: &str, object: &Value) {
        let applied = format!("{object}\n");
        let mut object = object.clone();
        object["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] =
            json!(applied);
        let manager = "?fieldManager=kubectl-client-side-apply";
        let path = kind.collection(namespace) + manager;
        self.create_at(&path, &object).await;
    }

    async fn create_at(&self, path: &str, object: &Value) -> Value {
        let made = self
            .send(Method::POST, path, ("application/json", Some(object)))
            .await;
        made.unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// A JSON merge patch.
    pub(crate) async fn patch(&self, kind: Kind, place: (&str, &str), patch: &Value) {
        let path = kind.path(place);
        let done = self.try_patch(&path, "merge-patch", patch).await;
        done.unwrap_or_else(|error| panic!("PATCH {path}: {error}"));
    }

    /// A patch that may be refused: `merge-patch`, `json-patch` or `strategic-merge-patch`, at a
    /// path that may name a subresource and parameters.
    pub(crate) async fn try_patch(
        &self,
        path: &str,
        media: &str,
        patch: &Value,
    ) -> Result<Value, kube::Error> {
        let media = format!("application/{media}+json");
        self.send(Method::PATCH, path, (&media, Some(patch))).await
    }

    /// Deletes an object without waiting for it to be gone; objects that are not there are fine.
    pub(crate) async fn delete(&self, kind: Kind, place: (&str, &str)) {
        let path = kind.path(place);
        let options = json!({"propagationPolicy": "Background"});
        let _ = self
            .send(Method::DELETE, &path, ("application/json", Some(&options)))
            .await;
    }
}
