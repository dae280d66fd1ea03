//! A sandbox with many Deployments of one Application, shipped twice.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use unship::sandbox::{Options, Sandbox};

pub(crate) const NAMESPACE: &str = "bench-fleet";
pub(crate) const FILES: usize = 20;

pub(crate) struct World {
    runtime: tokio::runtime::Runtime,
    sandbox: Sandbox,
    folder: tempfile::TempDir,
    clone: PathBuf,
    workloads: usize,
}

/// The Deployments of one file.
fn manifest(file: usize, workloads: usize, release: &str) -> String {
    let each = workloads / FILES;
    let mut text = String::new();
    for number in file * each..(file + 1) * each {
        let name = format!("web-{number:03}");
        write!(
            text,
            "---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  labels: {{app: {name}}}
spec:
  replicas: 1
  selector:
    matchLabels: {{app: {name}}}
  template:
    metadata:
      labels: {{app: {name}, version: \"{release}\"}}
    spec:
      containers:
        - name: main
          image: example.org/web:{release}
          env:
            - name: LEVEL
              value: info
"
        )
        .unwrap();
    }
    text
}

impl World {
    /// All of them at release 2, after release 1.
    pub(crate) fn with(workloads: usize) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let options = Options::new(folder.path().join("world"));
        let sandbox = runtime.block_on(Sandbox::start(options)).unwrap();
        let world = Self {
            clone: folder.path().join("clone"),
            runtime,
            sandbox,
            folder,
            workloads,
        };
        let root = PathBuf::from(world.sandbox.variable("UNSHIP_WORLD_GIT_ROOT"));
        let bare = root.join("fleet.git");
        world.git(
            &root,
            &["init", "-q", "--bare", "-b", "main", bare.to_str().unwrap()],
        );
        world.git(&bare, &["config", "http.receivepack", "true"]);
        let url = world.sandbox.variable("UNSHIP_WORLD_GIT_URL").to_owned();
        let (user, password) = (
            world.sandbox.variable("UNSHIP_WORLD_GIT_USER"),
            world.sandbox.variable("UNSHIP_WORLD_GIT_PASSWORD"),
        );
        let with_user = url.replacen("://", &format!("://{user}:{password}@"), 1);
        let clone = world.clone.to_str().unwrap();
        world.git(
            &root,
            &["clone", "-q", &format!("{with_user}/fleet.git"), clone],
        );
        for (key, value) in [("user.name", "Bench"), ("user.email", "bench@example.org")] {
            world.git(&world.clone, &["config", key, value]);
        }
        world.ship("1");
        world.apply(&format!("{url}/fleet.git"));
        world.wait("1");
        world.ship("2");
        world.refresh();
        world.wait("2");
        world
    }

    pub(crate) fn image(&self, release: &str) -> String {
        format!("example.org/web:{release}")
    }

    fn ship(&self, release: &str) {
        for file in 0..FILES {
            let path = self.clone.join(format!("apps/{file:02}.yaml"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, manifest(file, self.workloads, release)).unwrap();
        }
        self.git(&self.clone, &["add", "-A"]);
        self.git(
            &self.clone,
            &["commit", "-q", "-m", &format!("web {release}")],
        );
        self.git(&self.clone, &["push", "-q", "origin", "HEAD:main"]);
    }

    fn apply(&self, url: &str) {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        self.send("POST", "/api/v1/namespaces", &namespace);
        let application = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": "fleet", "namespace": "argocd"},
            "spec": {"project": "default",
                "source": {"repoURL": url, "targetRevision": "main", "path": "apps"},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": NAMESPACE},
                "syncPolicy": {"automated": {"prune": true, "selfHeal": true}}}});
        let place = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";
        self.send("POST", place, &application);
    }

    fn refresh(&self) {
        let place = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/fleet";
        let patch = json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}});
        self.send("PATCH", place, &patch);
    }

    fn wait(&self, release: &str) {
        let image = self.image(release);
        let place = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments");
        let began = Instant::now();
        loop {
            let all = self.send("GET", &place, &Value::Null);
            let done = |item: &&Value| {
                item.pointer("/spec/template/spec/containers/0/image") == Some(&json!(image))
                    && item["status"]["availableReplicas"] == 1
                    // Nothing of the release before is left: the cluster is at rest.
                    && item["status"]["replicas"] == 1
                    && item["status"]["observedGeneration"] == item["metadata"]["generation"]
            };
            let items = all["items"].as_array().cloned().unwrap_or_default();
            let ready = items.iter().filter(done).count();
            if ready == self.workloads {
                return;
            }
            let most = Duration::from_secs(300);
            assert!(
                began.elapsed() < most,
                "{ready} of {} at {release}",
                self.workloads
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let file = self.sandbox.variable("UNSHIP_WORLD_ADMIN_KUBECONFIG");
        self.runtime.block_on(async {
            let file = Kubeconfig::read_from(Path::new(file)).unwrap();
            let options = KubeConfigOptions::default();
            let config = kube::Config::from_custom_kubeconfig(file, &options)
                .await
                .unwrap();
            let client = kube::Client::try_from(config).unwrap();
            let kind = match method {
                "PATCH" => "application/merge-patch+json",
                _ => "application/json",
            };
            let bytes = if body.is_null() {
                Vec::new()
            } else {
                body.to_string().into_bytes()
            };
            let request = http::Request::builder()
                .method(method)
                .uri(path)
                .header("content-type", kind)
                .body(bytes)
                .unwrap();
            client.request(request).await.unwrap()
        })
    }

    fn git(&self, folder: &Path, arguments: &[&str]) {
        let mut command = self.program("git");
        command.arg("-C").arg(folder).args(arguments);
        super::timed(&mut command);
    }

    /// A program with the observer's environment and nothing else.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("GIT_CONFIG_NOSYSTEM", "1");
        for name in ["KUBECONFIG", "ARGOCD_SERVER", "ARGOCD_AUTH_TOKEN"] {
            command.env(name, self.sandbox.variable(name));
        }
        command
    }

    /// unship, in the clone.
    pub(crate) fn unship(&self) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_unship"));
        command.current_dir(&self.clone);
        command
    }
}
