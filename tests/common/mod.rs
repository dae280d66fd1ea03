//! What the integration tests share: one sandbox a test binary, and worlds in it that
//! consist of a repository, an Application, a namespace, and an engineer with a home
//! folder and a clone.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test binary uses its own part of it"
)]

mod engineer;
mod frozen;
mod outcome;
mod remote;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use unship::sandbox::{Options, Sandbox};

pub use engineer::{Engineer, clean, git, write_home};
pub use frozen::Frozen;
pub use outcome::{Outcome, finish, run};

/// The fixture: release 1.2.0.
pub const FIXTURE: &str =
    include_str!("../../manifests-fixtures/gitops/k8s/apexalgo-iad/mcp/zai-proxy.yml");
/// Path of the manifest within a world's repository.
pub const FILE: &str = "k8s/mcp/zai-proxy.yml";
/// The tag of the bad release.
pub const BAD: &str = "1.2.1-crash";
/// The tag of the good release.
pub const GOOD: &str = "1.2.0";

/// A sandbox that lives as long as the test binary.
pub struct Bed {
    /// Its runtime.
    pub runtime: tokio::runtime::Runtime,
    /// The sandbox.
    pub sandbox: Sandbox,
    /// Its folder.
    pub dir: PathBuf,
}

static BED: OnceLock<Bed> = OnceLock::new();
static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// The binary's sandbox.
pub fn bed() -> &'static Bed {
    BED.get_or_init(|| {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("worlds");
        sweep(&root);
        let dir = root.join(format!(
            "{}-{}",
            env!("CARGO_CRATE_NAME"),
            std::process::id()
        ));
        std::fs::create_dir_all(&dir).expect("a folder for the worlds");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let options = Options {
            pod_ready: Duration::from_millis(50),
            ..Options::new(&dir)
        };
        let sandbox = runtime
            .block_on(Sandbox::start(options))
            .expect("a sandbox");
        Bed {
            runtime,
            sandbox,
            dir,
        }
    })
}

/// Removes what test binaries of an hour ago have left.
fn sweep(root: &Path) {
    let Ok(entries) = std::fs::read_dir(root) else {
        return;
    };
    for entry in entries.flatten() {
        let age = entry
            .metadata()
            .and_then(|m| m.modified())
            .ok()
            .and_then(|at| SystemTime::now().duration_since(at).ok());
        if age.is_some_and(|age| age > Duration::from_secs(3600)) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// The fixture as a release of a workload in a namespace.
pub fn release(namespace: &str, workload: &str, tag: &str) -> String {
    FIXTURE
        .replace("namespace: mcp", &format!("namespace: {namespace}"))
        .replace("name: zai-proxy\n", &format!("name: {workload}\n"))
        .replace("app: zai-proxy", &format!("app: {workload}"))
        .replace("1.2.0", tag)
}

/// A repository, an Application and a namespace of one name, with an engineer.
#[derive(Debug, Clone)]
pub struct World {
    /// Name of namespace, repository and Application.
    pub name: String,
    /// The engineer.
    pub engineer: Engineer,
    /// Names of the workloads.
    pub workloads: Vec<String>,
    /// Takes the cluster's side away with the last clone.
    pub cluster_side: Arc<ClusterSide>,
}

/// What a world has in the cluster; dropping it takes that away.
#[derive(Debug)]
pub struct ClusterSide(String);

impl Drop for ClusterSide {
    fn drop(&mut self) {
        bed().sandbox.remove_world(&self.0);
    }
}

/// How a world is made.
pub struct Plan<'a> {
    /// First part of its name.
    pub prefix: &'a str,
    /// Its workloads.
    pub workloads: Vec<String>,
    /// Turns a release's text into what is committed.
    pub text: &'a dyn Fn(String) -> String,
    /// Whether there is an Application.
    pub application: bool,
    /// Whether the bad release is shipped.
    pub bad: bool,
}

impl<'a> Plan<'a> {
    /// One workload `zai-proxy`, released badly.
    pub fn new(prefix: &'a str) -> Self {
        Self {
            prefix,
            workloads: vec!["zai-proxy".to_owned()],
            text: &|text| text,
            application: true,
            bad: true,
        }
    }
}

/// A world of the usual kind: 1.1.0, 1.2.0, a bad release, and commits of others.
pub fn world(prefix: &str) -> World {
    build(&Plan::new(prefix))
}

/// A world as planned.
pub fn build(plan: &Plan<'_>) -> World {
    let name = format!("{}-{}", plan.prefix, NUMBER.fetch_add(1, Ordering::SeqCst));
    let bed = bed();
    bed.sandbox.create_repository(&name).expect("a repository");
    let world = World {
        engineer: Engineer {
            home: bed.dir.join(&name).join("home"),
            clone: bed.dir.join(&name).join("clone"),
        },
        cluster_side: Arc::new(ClusterSide(name.clone())),
        name,
        workloads: plan.workloads.clone(),
    };
    world.ship("1.1.0", "import", plan);
    world.create_cluster_side(plan.application);
    if plan.application {
        world.wait_live("1.1.0");
    }
    world.ship(GOOD, "promote to v1.2.0", plan);
    if plan.application {
        world.refresh();
        world.wait_live(GOOD);
    }
    world.others("others: before the bad release");
    if plan.bad {
        world.ship(BAD, "promote to v1.2.1", plan);
    }
    world.others("others: after the bad release");
    if plan.application && plan.bad {
        world.refresh();
        world.wait_crashing();
    }
    world.clone_for(&world.engineer);
    world
}

impl World {
    /// The path of a workload's manifest.
    pub fn file(&self, workload: &str) -> String {
        FILE.replace("zai-proxy", workload)
    }

    fn create_cluster_side(&self, application: bool) {
        let sandbox = &bed().sandbox;
        let name = &self.name;
        let make = |object: Value| sandbox.create(object).expect("an object");
        make(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
        if !application {
            return;
        }
        make(json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd"},
        "spec": {
            "project": "default",
            "source": {"repoURL": self.url(), "path": "k8s/mcp", "targetRevision": "main"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": name},
            "syncPolicy": {"automated": {"prune": true, "selfHeal": true}},
        }}));
    }

    /// URL of the repository, without credentials.
    pub fn url(&self) -> String {
        format!("{}/{}.git", bed().sandbox.git_url(), self.name)
    }

    /// The bare repository on the server.
    pub fn bare(&self) -> PathBuf {
        Path::new(bed().sandbox.variable("UNSHIP_WORLD_GIT_ROOT"))
            .join(format!("{}.git", self.name))
    }

    /// Has Argo CD look into the repository.
    pub fn refresh(&self) {
        bed()
            .runtime
            .block_on(bed().sandbox.refresh(&self.name))
            .expect("a refresh");
    }

    /// Waits until a release is live and complete everywhere.
    pub fn wait_live(&self, tag: &str) {
        for workload in &self.workloads {
            self.wait_workload(workload, |d| {
                runs(d, tag)
                    && d["status"]["observedGeneration"] == d["metadata"]["generation"]
                    && progressing(d) == "NewReplicaSetAvailable"
            });
        }
    }

    fn wait_crashing(&self) {
        for workload in &self.workloads {
            self.wait_workload(workload, |d| {
                runs(d, BAD) && d["status"]["unavailableReplicas"] == 1
            });
        }
        let many = self.workloads.len();
        let bed = bed();
        let began = std::time::Instant::now();
        loop {
            let pods = bed.sandbox.list("", "Pod", &self.name);
            let crashing = pods
                .iter()
                .filter(|pod| {
                    pod.pointer("/status/containerStatuses/0/state/waiting/reason")
                        .is_some_and(|reason| reason == "CrashLoopBackOff")
                })
                .count();
            if crashing >= many {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "no pod crashes");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn wait_workload(&self, workload: &str, test: impl Fn(&Value) -> bool) {
        let place = ("apps", "Deployment", self.name.as_str(), workload);
        let waited = bed().sandbox.wait_for(place, Duration::from_secs(30), test);
        bed()
            .runtime
            .block_on(waited)
            .expect("the workload gets there");
    }

    /// Image of the live workload.
    pub fn live_image(&self, workload: &str) -> String {
        let live = bed()
            .sandbox
            .get("apps", "Deployment", &self.name, workload);
        live.as_ref()
            .and_then(|l| l.pointer("/spec/template/spec/containers/0/image"))
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    }
}

fn runs(deployment: &Value, tag: &str) -> bool {
    deployment
        .pointer("/spec/template/spec/containers/0/image")
        .and_then(Value::as_str)
        .is_some_and(|image| image.ends_with(&format!(":{tag}")))
}

fn progressing(deployment: &Value) -> &str {
    deployment["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|c| c["type"] == "Progressing")
        .and_then(|c| c["reason"].as_str())
        .unwrap_or("")
}
