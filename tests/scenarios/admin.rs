//! The administrator's hands: objects as JSON over the Kubernetes API.

use std::path::Path;

use http::{Method, Request};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

/// A connection as the administrator.
pub(crate) struct Admin {
    client: kube::Client,
}

/// What the scenarios touch: the path of a collection in a namespace.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Namespace,
    Pod,
    Deployment,
    ReplicaSet,
    Application,
    AppProject,
}

impl Kind {
    fn collection(self, namespace: &str) -> String {
        let (group, plural) = match self {
            Self::Namespace => return "/api/v1/namespaces".to_owned(),
            Self::Pod => ("api/v1", "pods"),
            Self::Deployment => ("apis/apps/v1", "deployments"),
            Self::ReplicaSet => ("apis/apps/v1", "replicasets"),
            Self::Application => ("apis/argoproj.io/v1alpha1", "applications"),
            Self::AppProject => ("apis/argoproj.io/v1alpha1", "appprojects"),
        };
        format!("/{group}/namespaces/{namespace}/{plural}")
    }
}

impl Admin {
    pub(crate) async fn connect(kubeconfig: &Path) -> Self {
        let file = Kubeconfig::read_from(kubeconfig).expect("the administrator's kubeconfig");
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
    pub(crate) async fn get(&self, kind: Kind, (namespace, name): (&str, &str)) -> Option<Value> {
        let path = format!("{}/{name}", kind.collection(namespace));
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
        let path = kind.collection(namespace);
        let made = self
            .send(Method::POST, &path, ("application/json", Some(object)))
            .await;
        made.unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// A JSON merge patch.
    pub(crate) async fn patch(&self, kind: Kind, (namespace, name): (&str, &str), patch: &Value) {
        let path = format!("{}/{name}", kind.collection(namespace));
        let body = ("application/merge-patch+json", Some(patch));
        let done = self.send(Method::PATCH, &path, body).await;
        done.unwrap_or_else(|error| panic!("PATCH {path}: {error}"));
    }

    /// Deletes an object without waiting for it to be gone; objects that are not there are fine.
    pub(crate) async fn delete(&self, kind: Kind, (namespace, name): (&str, &str)) {
        let path = format!("{}/{name}", kind.collection(namespace));
        let options = json!({"propagationPolicy": "Background"});
        let _ = self
            .send(Method::DELETE, &path, ("application/json", Some(&options)))
            .await;
    }
}
