//! The sandbox as its clients see it: over HTTP, with git as the only program needed.

mod admission;
mod argocd;
mod argocd_sync;
mod argocd_writes;
mod client;
mod git;
mod kubernetes;
mod writes;

use super::*;
use client::{Client, Reply};

/// A running sandbox in a temporary folder.
pub(crate) struct Bed {
    pub(crate) sandbox: Sandbox,
    pub(crate) folder: tempfile::TempDir,
}

impl Bed {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::new(folder.path().join("world"));
        options.pod_ready = Duration::from_millis(60);
        let sandbox = Sandbox::start(options).await.unwrap();
        Self { sandbox, folder }
    }

    /// A sandbox with a namespace, a repository and an Application, all called `name`, that
    /// deploys `files`.
    pub(crate) async fn with_app(name: &str, files: &[(&str, &str)], more: Value) -> Self {
        let bed = Self::start().await;
        bed.sandbox.create_repository(name).unwrap();
        bed.push(name, files);
        bed.sandbox
            .create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
            .unwrap();
        let mut app = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": name, "namespace": "argocd"},
            "spec": {"project": "default",
                "source": {"repoURL": format!("{}/{name}.git", bed.sandbox.git_url()),
                    "path": "app", "targetRevision": "main"},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": name},
                "syncPolicy": {"automated": {"prune": true, "selfHeal": true}}}});
        merge::json_merge(&mut app, &more);
        bed.sandbox.create(app).unwrap();
        bed
    }

    pub(crate) fn push(&self, name: &str, files: &[(&str, &str)]) -> String {
        let files = files
            .iter()
            .map(|(path, text)| (*path, (!text.is_empty()).then(|| (*text).to_owned())))
            .collect();
        let author = Author {
            name: "T",
            email: "t@example.org",
        };
        let time = jiff::Timestamp::now().as_second();
        let commit = Commit {
            author,
            message: "change\n",
            time,
            files,
        };
        self.sandbox.commit(name, "main", &commit).unwrap()
    }

    /// A client of the Kubernetes API: "KUBECONFIG" or the name of another kubeconfig variable.
    pub(crate) fn kubernetes(&self, variable: &str) -> Client {
        let text = std::fs::read_to_string(self.sandbox.variable(variable)).unwrap();
        let config: Value = serde_json::from_str(&text).unwrap();
        let server = json::text(&config, "/clusters/0/cluster/server").to_owned();
        let token = json::text(&config, "/users/0/user/token").to_owned();
        Client { server, token }
    }

    pub(crate) fn admin(&self) -> Client {
        self.kubernetes("UNSHIP_WORLD_ADMIN_KUBECONFIG")
    }

    pub(crate) fn observer(&self) -> Client {
        self.kubernetes("KUBECONFIG")
    }

    pub(crate) fn argocd(&self, variable: &str) -> Client {
        Client {
            server: self.sandbox.variable("ARGOCD_SERVER").to_owned(),
            token: self.sandbox.variable(variable).to_owned(),
        }
    }

    /// Waits until the Deployment of an app runs an image with this tag and its rollout is over.
    pub(crate) async fn rolled_out(&self, name: &str, tag: &str) -> Value {
        let complete = |d: &Value| {
            json::text(d, "/spec/template/spec/containers/0/image").ends_with(&format!(":{tag}"))
                && d["status"]["observedGeneration"] == d["metadata"]["generation"]
                && reason(d, "Progressing") == "NewReplicaSetAvailable"
        };
        let place = ("apps", "Deployment", name, "web");
        self.sandbox
            .wait_for(place, Duration::from_secs(10), complete)
            .await
            .unwrap()
    }
}

/// Reason of a condition.
pub(crate) fn reason<'a>(object: &'a Value, condition: &str) -> &'a str {
    controllers::condition(object, condition).map_or("", |c| json::text(c, "/reason"))
}

/// A Deployment `web` of an image tag.
pub(crate) fn web(tag: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: 1\n  \
         progressDeadlineSeconds: 1\n  selector:\n    matchLabels: {{app: web}}\n  template:\n    \
         metadata:\n      labels: {{app: web}}\n    spec:\n      containers:\n        - name: web\n          \
         image: example.org/web:{tag}\n          ports: [{{name: http, containerPort: 80}}]\n---\n\
         apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  selector: {{app: web}}\n  \
         ports: [{{port: 80, targetPort: http}}]\n"
    )
}

#[tokio::test]
async fn the_demo_world_ends_with_a_stuck_bad_release() {
    let bed = Bed::start().await;
    let world = demo_world(&bed.sandbox).await.unwrap();
    let deployment = bed
        .sandbox
        .get("apps", "Deployment", "mcp", "zai-proxy")
        .unwrap();
    let image = json::text(&deployment, "/spec/template/spec/containers/0/image");
    assert_eq!(image, "ronaldraygun/zai-proxy:1.2.1-crash");
    assert_eq!(
        deployment["status"]["availableReplicas"], 1,
        "the old pod still serves"
    );
    let app = bed
        .sandbox
        .get("argoproj.io", "Application", "argocd", &world.application)
        .unwrap();
    assert_eq!(app["status"]["sync"]["revision"], json!(world.tip));
    let pods = bed.sandbox.list("", "Pod", "mcp");
    let rewritten =
        |p: &Value| json::text(p, "/spec/containers/0/image").starts_with("localhost:7439/");
    assert!(pods.iter().all(rewritten));
    bed.sandbox.stop().await;
}

#[tokio::test]
async fn the_environment_is_complete_and_private() {
    let bed = Bed::start().await;
    for name in [
        "KUBECONFIG",
        "ARGOCD_SERVER",
        "ARGOCD_AUTH_TOKEN",
        "UNSHIP_WORLD_GIT_ROOT",
    ] {
        assert!(!bed.sandbox.variable(name).is_empty(), "{name}");
    }
    let file = bed.sandbox.dir().join("env");
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), bed.sandbox.environment().len());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o077,
            0
        );
    }
}
