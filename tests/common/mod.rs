//! What the integration tests share: one sandbox a test binary, and worlds in it that
//! consist of a repository, an Application, a namespace, and an engineer with a home
//! folder and a clone.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test binary uses its own part of it"
)]

mod outcome;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use unship::sandbox::{Author, Commit, Options, Sandbox};

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

const RELEASER: Author<'_> = Author {
    name: "Mira Okafor",
    email: "mira@apexalgo.example",
};
const OTHER: Author<'_> = Author {
    name: "Jon Vidal",
    email: "jon@apexalgo.example",
};

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

/// An engineer: a home folder and a clone.
#[derive(Debug, Clone)]
pub struct Engineer {
    /// HOME; the XDG folders are below it.
    pub home: PathBuf,
    /// The working directory.
    pub clone: PathBuf,
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

fn now() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(0))
}

impl World {
    /// The path of a workload's manifest.
    pub fn file(&self, workload: &str) -> String {
        FILE.replace("zai-proxy", workload)
    }

    fn ship(&self, tag: &str, subject: &str, plan: &Plan<'_>) {
        let files: Vec<(String, String)> = self
            .workloads
            .iter()
            .map(|w| (self.file(w), (plan.text)(release(&self.name, w, tag))))
            .collect();
        self.push_as(RELEASER, subject, &files);
    }

    fn push_as(&self, author: Author<'_>, subject: &str, files: &[(String, String)]) -> String {
        self.try_push(author, subject, files).expect("a commit")
    }

    /// None when somebody else was quicker.
    fn try_push(
        &self,
        author: Author<'_>,
        subject: &str,
        files: &[(String, String)],
    ) -> Option<String> {
        let files = files
            .iter()
            .map(|(path, text)| (path.as_str(), Some(text.clone())))
            .collect();
        let commit = Commit {
            author,
            message: &format!("{subject}\n"),
            time: now() - 3600,
            files,
        };
        bed().sandbox.commit(&self.name, "main", &commit).ok()
    }

    /// Somebody pushes files to main.
    pub fn push(&self, subject: &str, files: &[(&str, String)]) -> String {
        let files: Vec<(String, String)> = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.clone()))
            .collect();
        self.push_as(OTHER, subject, &files)
    }

    /// Somebody deletes a file on main.
    pub fn delete(&self, subject: &str, path: &str) -> String {
        self.rename_or_delete(subject, vec![(path, None)])
    }

    /// Somebody moves a file on main.
    pub fn rename(&self, subject: &str, from: &str, (to, text): (&str, String)) -> String {
        self.rename_or_delete(subject, vec![(from, None), (to, Some(text))])
    }

    fn rename_or_delete(&self, subject: &str, files: Vec<(&str, Option<String>)>) -> String {
        let commit = Commit {
            author: OTHER,
            message: &format!("{subject}\n"),
            time: now() - 3600,
            files,
        };
        bed()
            .sandbox
            .commit(&self.name, "main", &commit)
            .expect("a commit")
    }

    /// Somebody pushes something that has nothing to do with the workload.
    pub fn others(&self, subject: &str) -> String {
        self.push(
            subject,
            &[("teams/search/notes.txt", format!("{subject}\n"))],
        )
    }

    /// The same, unless somebody is quicker.
    pub fn try_others(&self, subject: &str) -> Option<String> {
        let file = ("teams/search/notes.txt".to_owned(), format!("{subject}\n"));
        self.try_push(OTHER, subject, &[file])
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

    /// Another engineer with a home and a clone.
    pub fn engineer(&self, name: &str) -> Engineer {
        let engineer = Engineer {
            home: bed().dir.join(&self.name).join(name).join("home"),
            clone: bed().dir.join(&self.name).join(name).join("clone"),
        };
        self.clone_for(&engineer);
        engineer
    }

    /// The same world with another engineer.
    pub fn seen_by(&self, name: &str) -> Self {
        Self {
            engineer: self.engineer(name),
            ..self.clone()
        }
    }

    /// A kubeconfig of the engineer's own: `server` and `token` replace the world's.
    pub fn kubeconfig(&self, server: Option<&str>, token: Option<&str>) -> PathBuf {
        let path = bed().sandbox.variable("KUBECONFIG");
        let text = std::fs::read_to_string(path).expect("a kubeconfig");
        let mut config: Value = serde_json::from_str(&text).expect("the sandbox writes JSON");
        if let Some(server) = server {
            config["clusters"][0]["cluster"]["server"] = json!(server);
        }
        if let Some(token) = token {
            config["users"][0]["user"]["token"] = json!(token);
        }
        let own = self.engineer.home.join("kubeconfig");
        std::fs::write(&own, config.to_string()).expect("a kubeconfig is written");
        own
    }

    /// The API server's address.
    pub fn server() -> String {
        let path = bed().sandbox.variable("KUBECONFIG");
        let text = std::fs::read_to_string(path).expect("a kubeconfig");
        let config: Value = serde_json::from_str(&text).expect("the sandbox writes JSON");
        config["clusters"][0]["cluster"]["server"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The same engineer with another clone.
    pub fn second_clone(&self, of: &Engineer, name: &str) -> Engineer {
        let engineer = Engineer {
            home: of.home.clone(),
            clone: bed().dir.join(&self.name).join(name),
        };
        self.clone_for(&engineer);
        engineer
    }

    fn clone_for(&self, engineer: &Engineer) {
        write_home(&engineer.home);
        let at = engineer.home.clone();
        let clone = engineer.clone.display().to_string();
        git(engineer, &at, &["clone", "--quiet", &self.url(), &clone]);
    }

    /// unship in this world, with nothing of the caller's environment.
    pub fn command_of(&self, engineer: &Engineer, arguments: &[&str]) -> Command {
        let mut command = clean(env!("CARGO_BIN_EXE_unship"), engineer);
        let sandbox = &bed().sandbox;
        for name in ["KUBECONFIG", "ARGOCD_SERVER", "ARGOCD_AUTH_TOKEN"] {
            command.env(name, sandbox.variable(name));
        }
        command.current_dir(&engineer.clone).args(arguments);
        command
    }

    /// unship as the world's engineer.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(&self.engineer, arguments)
    }

    /// Runs unship as the world's engineer.
    pub fn unship(&self, arguments: &[&str]) -> Outcome {
        run(self.command(arguments))
    }

    /// The arguments of a rollback of `zai-proxy`.
    pub fn rollback_arguments(&self) -> [&str; 7] {
        [
            "rollback",
            "zai-proxy",
            "-n",
            &self.name,
            "--yes",
            "-o",
            "json",
        ]
    }

    /// Rolls `zai-proxy` back.
    pub fn rollback(&self) -> Outcome {
        self.unship(&self.rollback_arguments())
    }

    /// git in the engineer's clone; fails the test when git fails.
    pub fn git(&self, arguments: &[&str]) -> String {
        git(&self.engineer, &self.engineer.clone, arguments)
    }

    /// git in the server's repository.
    pub fn remote(&self, arguments: &[&str]) -> String {
        git(&self.engineer, &self.bare(), arguments)
    }

    /// Commits on main, newest first: id, parents, message.
    pub fn log(&self) -> Vec<(String, Vec<String>, String)> {
        self.remote(&["log", "--format=%H%x1f%P%x1f%B%x1e", "main"])
            .split('\u{1e}')
            .filter_map(|entry| {
                let mut parts = entry.trim().split('\u{1f}');
                let id = parts.next().filter(|id| !id.is_empty())?.to_owned();
                let parents = parts
                    .next()?
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect();
                Some((id, parents, parts.next()?.to_owned()))
            })
            .collect()
    }

    /// Commits on main that unship made.
    pub fn own_commits(&self) -> Vec<(String, Vec<String>, String)> {
        let mut log = self.log();
        log.retain(|(_, _, message)| message.contains("Unship-Run: "));
        log
    }

    /// The bytes of a workload's manifest on main.
    pub fn manifest(&self, workload: &str) -> String {
        let mut command = clean("git", &self.engineer);
        command
            .current_dir(self.bare())
            .args(["show", &format!("main:{}", self.file(workload))]);
        run(command).stdout
    }

    /// Adds a server hook.
    pub fn hook(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.bare().join("hooks").join(name);
        std::fs::create_dir_all(self.bare().join("hooks")).expect("a folder for hooks");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a hook");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, mode).expect("an executable hook");
    }

    /// Everything that must not change when a command refuses.
    pub fn frozen(&self) -> Frozen {
        let clone = &self.engineer.clone;
        let here = |arguments: &[&str]| {
            let mut command = clean("git", &self.engineer);
            command.current_dir(clone).args(arguments);
            run(command).stdout
        };
        Frozen {
            remote: self.remote(&["for-each-ref"]),
            head: here(&["rev-parse", "HEAD"]),
            branches: here(&["for-each-ref", "refs/heads", "refs/tags"]),
            status: here(&["status", "--porcelain=v1"]),
            work_tree: work_tree(clone),
            runs: self.run_folders(),
        }
    }

    /// Names of the runs in the engineer's journal.
    pub fn run_folders(&self) -> Vec<String> {
        let folder = self.engineer.home.join("state/unship/runs");
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

/// What must not change when a command refuses.
#[derive(Debug, PartialEq, Eq)]
pub struct Frozen {
    remote: String,
    head: String,
    branches: String,
    status: String,
    work_tree: BTreeMap<PathBuf, Vec<u8>>,
    runs: Vec<String>,
}

fn work_tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_name() == ".git" {
            continue;
        }
        if path.is_dir() {
            found.append(&mut work_tree(&path));
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap_or_default());
        }
    }
    found
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

/// A home folder with an identity and a credential helper.
pub fn write_home(home: &Path) {
    let sandbox = &bed().sandbox;
    std::fs::create_dir_all(home).expect("a home folder");
    let config = format!(
        "[user]\n\tname = Dana Devpod\n\temail = dana@apexalgo.example\n[credential]\n\thelper = \"!f() {{ test \\\"$1\\\" = get && printf 'username=%s\\\\npassword=%s\\\\n' {} {}; }}; f\"\n",
        sandbox.variable("UNSHIP_WORLD_GIT_USER"),
        sandbox.variable("UNSHIP_WORLD_GIT_PASSWORD"),
    );
    std::fs::write(home.join(".gitconfig"), config).expect("a git configuration");
}

/// A program with nothing of the caller's environment but PATH.
pub fn clean(program: &str, engineer: &Engineer) -> Command {
    let home = &engineer.home;
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_STATE_HOME", home.join("state"))
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0");
    command
}

/// git; fails the test when it fails.
pub fn git(engineer: &Engineer, at: &Path, arguments: &[&str]) -> String {
    let mut command = clean("git", engineer);
    command.current_dir(at).args(arguments);
    let outcome = run(command);
    assert_eq!(
        outcome.code,
        Some(0),
        "git {arguments:?}: {}",
        outcome.stderr
    );
    outcome.stdout.trim_end().to_owned()
}
