//! A simulated cluster with Argo CD and Git over HTTP, all in one process on loopback: for the
//! demo, for tests, and to try things by hand. Real clients (kubectl, git, unship) talk to it.
//!
//! It follows the rules of Kubernetes 1.36 and Argo CD 3.2 as far as rollbacks meet them, and says
//! so where it does not know something: resources are untyped, server-side apply is taken as a
//! merge, hooks are not run, only plain manifest directories are rendered, and containers do what
//! their image's tag says.

mod access_log;
mod api;
mod argocd;
mod canonical;
mod control;
mod controllers;
mod defaults;
mod demo_world;
mod error;
mod faults;
mod git;
mod identities;
mod json;
mod json_patch;
mod kinds;
mod kubeconfig;
mod managed_fields;
mod manifests;
mod merge;
mod rbac;
mod repository;
mod server;
mod store;
mod world;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

pub use argocd::Role;
pub use demo_world::{DemoWorld, demo_world};
pub use error::Error;
pub use faults::{Effect, Fault, Faults, Surface};
pub use repository::{Author, Commit};

use access_log::JsonLines;
use rbac::User;
use server::Server;
use store::{Store, Writer};
use world::World;

/// How a sandbox is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// State folder; made where it is missing, never emptied.
    pub dir: PathBuf,
    /// How often Argo CD looks into a repository unasked.
    pub poll_interval: Duration,
    /// How long a healthy pod takes to become Ready.
    pub pod_ready: Duration,
}

impl Options {
    /// The usual times: a poll each 10 s, pods Ready after 200 ms.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            poll_interval: Duration::from_secs(10),
            pod_ready: Duration::from_millis(200),
        }
    }
}

/// A running sandbox. Dropping it stops its servers as well.
#[derive(Debug)]
pub struct Sandbox {
    world: Arc<World>,
    servers: Vec<Server>,
    tasks: Vec<JoinHandle<()>>,
    environment: Vec<(String, String)>,
    dir: PathBuf,
}

const GIT_USER: &str = "unship";

impl Sandbox {
    /// Starts all servers and controllers, with the identities and projects that every world has.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let backend = git::find_backend().await?;
        let dir = std::path::absolute(&options.dir).map_err(Error::file("find", &options.dir))?;
        let world = Arc::new(new_world(&dir, &options)?);
        let git = Server::start(0, git::router(world.clone(), backend)).await?;
        world.git_url.get_or_init(|| git.url.clone());
        let observer = identities::user(identities::OBSERVER);
        let endpoint = |user: &User, read_tokens| api::Endpoint {
            world: world.clone(),
            default_user: Some(user.clone()),
            read_tokens,
        };
        let main = Server::start(0, api::router(endpoint(&observer, true))).await?;
        let admin = Server::start(0, api::router(endpoint(&User::admin(), true))).await?;
        let proxy = Server::start(0, api::router(endpoint(&observer, false))).await?;
        let argocd = Server::start(0, argocd::router(world.clone())).await?;
        let control = Server::start(0, control::router(world.clone())).await?;
        let mut servers = Vec::new();
        let mut others = Vec::new();
        for name in identities::OTHERS {
            let user = identities::user(name);
            let server = Server::start(0, api::router(endpoint(&user, true))).await?;
            others.push((name, server.url.clone()));
            servers.push(server);
        }
        bootstrap(&world)?;
        let urls = Urls {
            main: main.url.clone(),
            admin: admin.url.clone(),
            proxy: proxy.url.clone(),
            argocd: argocd.url.clone(),
            git: git.url.clone(),
            control: control.url.clone(),
            others,
        };
        let environment = write_environment(&world, &dir, &urls)?;
        let tasks = vec![
            tokio::spawn(controllers::run(world.clone())),
            tokio::spawn(argocd::run(world.clone())),
            tokio::spawn(argocd::run_sets(world.clone())),
            tokio::spawn(argocd::run_hydrator(world.clone())),
        ];
        servers.extend([git, main, admin, proxy, argocd, control]);
        Ok(Self {
            world,
            servers,
            tasks,
            environment,
            dir,
        })
    }

    /// The variables by which clients find this world; also written to `env` in the state folder.
    pub fn environment(&self) -> Vec<(String, String)> {
        self.environment.clone()
    }

    /// One variable of the environment, "" when there is none of that name.
    pub fn variable(&self, name: &str) -> &str {
        self.environment
            .iter()
            .find(|(k, _)| k == name)
            .map_or("", |(_, v)| v)
    }

    /// Faults that can be planted while it runs.
    pub fn faults(&self) -> &Faults {
        &self.world.faults
    }

    /// The state folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Base URL of the Git server; a repository is `BASE/NAME.git`.
    pub fn git_url(&self) -> &str {
        self.world.git_url.get().map_or("", String::as_str)
    }

    /// URL of a repository with credentials in it, for a clone by hand.
    pub fn clone_url(&self, name: &str) -> String {
        let credentials = format!("http://{GIT_USER}:{}@", self.world.git_password);
        format!(
            "{}/{name}.git",
            self.git_url().replacen("http://", &credentials, 1)
        )
    }

    /// A token for an Argo CD account of a role.
    pub fn argocd_token(&self, account: &str, role: Role) -> String {
        self.world.accounts.token(account, role)
    }

    /// Makes a bare repository that can be pushed to over HTTP.
    pub fn create_repository(&self, name: &str) -> Result<PathBuf, Error> {
        repository::create(&self.world.git_root, name)
    }

    /// Commits files to a branch of a repository, as somebody's push would; gives the commit id.
    pub fn commit(&self, name: &str, branch: &str, commit: &Commit<'_>) -> Result<String, Error> {
        repository::commit(&self.world.git_root, name, branch, commit)
    }

    /// Creates an object as the administrator.
    pub fn create(&self, object: Value) -> Result<Value, Error> {
        create(&self.world, object)
    }

    /// Takes a namespace with everything in it away, and the Application of the same name, as
    /// the administrator: what is left behind costs every later pass of the controllers.
    pub fn remove_world(&self, name: &str) {
        self.world.store.with(|objects| {
            let is_its = |object: &Value| {
                let (own, namespace) = (
                    json::text(object, "/metadata/name"),
                    json::text(object, "/metadata/namespace"),
                );
                let kind = json::text(object, "/kind");
                namespace == name || (own == name && ["Namespace", "Application"].contains(&kind))
            };
            let its: Vec<_> = objects
                .all()
                .filter(|(_, object)| is_its(object))
                .map(|(kind, object)| {
                    let (own, namespace) = (
                        json::text(object, "/metadata/name").to_owned(),
                        json::text(object, "/metadata/namespace").to_owned(),
                    );
                    (kind, namespace, own)
                })
                .collect();
            for (kind, namespace, own) in its {
                // It was there a line above, and the store is held.
                let _ = objects.delete(kind, &namespace, &own);
            }
        });
    }

    /// The object as it is stored now.
    pub fn get(&self, group: &str, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let kind = kinds::by_kind(group, kind)?;
        self.world
            .store
            .with(|o| o.get(kind, namespace, name))
            .map(|o| (*o).clone())
    }

    /// Objects of a kind in a namespace, or in all ("").
    pub fn list(&self, group: &str, kind: &str, namespace: &str) -> Vec<Value> {
        let Some(kind) = kinds::by_kind(group, kind) else {
            return Vec::new();
        };
        let found = self.world.store.with(|o| o.list(kind, namespace));
        found.iter().map(|o| (**o).clone()).collect()
    }

    /// Waits until an object (group, kind, namespace, name) satisfies a test.
    pub async fn wait_for(
        &self,
        (group, kind, namespace, name): (&str, &str, &str, &str),
        limit: Duration,
        test: impl Fn(&Value) -> bool,
    ) -> Result<Value, Error> {
        let named = |o: &Value| json::text(o, "/metadata/name") == name && test(o);
        let outcome = self
            .wait_for_any((group, kind, namespace), limit, named)
            .await;
        outcome.map_err(|error| match error {
            Error::Timeout { seconds, .. } => {
                let now = self.get(group, kind, namespace, name);
                let seen = now.map_or("nothing".to_owned(), |o| o["status"].to_string());
                Error::Timeout {
                    what: format!("{kind} {namespace}/{name}"),
                    seconds,
                    seen,
                }
            }
            other => other,
        })
    }

    /// Waits until some object (group, kind, namespace) satisfies a test.
    pub async fn wait_for_any(
        &self,
        (group, kind, namespace): (&str, &str, &str),
        limit: Duration,
        test: impl Fn(&Value) -> bool,
    ) -> Result<Value, Error> {
        let mut changed = self.world.store.subscribe();
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            changed.mark_unchanged();
            let all = self.list(group, kind, namespace);
            let count = all.len();
            if let Some(found) = all.into_iter().find(|o| test(o)) {
                return Ok(found);
            }
            tokio::select! {
                _ = changed.changed() => {}
                () = tokio::time::sleep_until(deadline) => {
                    let seen = format!("{count} of that kind, none that fits");
                    let what = format!("a {kind} in {namespace}");
                    return Err(Error::Timeout { what, seconds: limit.as_secs(), seen });
                }
            }
        }
    }

    /// Has Argo CD look into the repository of an Application, and waits until it has.
    pub async fn refresh(&self, application: &str) -> Result<(), Error> {
        let kind = kinds::by_kind(argocd::GROUP, "Application");
        let fail = |message: String| Error::Object {
            object: format!("Application {application}"),
            message,
        };
        let kind = kind.ok_or_else(|| fail("not served".to_owned()))?;
        let by = Writer {
            manager: "sandbox",
            apply: false,
        };
        let marked = self.world.store.with(|objects| {
            let mut app = (*objects.require(kind, argocd::NAMESPACE, application)?).clone();
            json::set(
                &mut app,
                &["metadata", "annotations", argocd::REFRESH],
                json!("normal"),
            );
            objects.update(kind, app, store::Part::Main, by)
        });
        marked.map_err(|e| fail(e.message))?;
        let place = (argocd::GROUP, "Application", argocd::NAMESPACE, application);
        let done = |app: &Value| json::annotation(app, argocd::REFRESH).is_none();
        self.wait_for(place, Duration::from_secs(10), done).await?;
        Ok(())
    }

    /// Stops controllers and servers.
    pub async fn stop(mut self) {
        self.world.stopping.send_replace(true);
        for task in std::mem::take(&mut self.tasks) {
            if let Err(error) = task.await {
                tracing::debug!(%error, "a controller did not end by itself");
            }
        }
        for server in &self.servers {
            server.stop();
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.world.stopping.send_replace(true);
        for task in &self.tasks {
            task.abort();
        }
        for server in &self.servers {
            server.stop();
        }
    }
}

struct Urls {
    main: String,
    admin: String,
    proxy: String,
    argocd: String,
    git: String,
    control: String,
    /// The API server for each other identity; kubectl sends no tokens over plain http, so the
    /// address tells who asks.
    others: Vec<(&'static str, String)>,
}

fn new_world(dir: &Path, options: &Options) -> Result<World, Error> {
    let git_root = dir.join("git");
    std::fs::create_dir_all(&git_root).map_err(Error::file("create", &git_root))?;
    Ok(World {
        store: Store::new(),
        tokens: rbac::Tokens::default(),
        accounts: argocd::Accounts::default(),
        faults: Faults::default(),
        audit: JsonLines::open(&dir.join("audit.log"))?,
        argocd_log: JsonLines::open(&dir.join("argocd-server.log"))?,
        git_log: JsonLines::open(&dir.join("git.log"))?,
        git_root,
        git_url: OnceLock::new(),
        git_user: GIT_USER.to_owned(),
        git_password: json::hex(24),
        poll_interval: options.poll_interval,
        pod_ready: options.pod_ready,
        stopping: tokio::sync::watch::Sender::new(false),
    })
}

fn create(world: &World, mut object: Value) -> Result<Value, Error> {
    let label = format!(
        "{} {}",
        json::text(&object, "/kind"),
        json::text(&object, "/metadata/name")
    );
    let fail = |message: String| Error::Object {
        object: label.clone(),
        message,
    };
    let kind = kinds::by_manifest(&object).ok_or_else(|| {
        fail(format!(
            "no matches for kind in version {:?}",
            json::text(&object, "/apiVersion")
        ))
    })?;
    let namespace = json::text(&object, "/metadata/namespace").to_owned();
    let by = Writer {
        manager: "sandbox",
        apply: false,
    };
    let made = world.store.with(|objects| {
        api::prepare(objects, kind, &mut object, &namespace)?;
        objects.create(kind, object, by)
    });
    made.map(|o| (*o).clone()).map_err(|e| fail(e.message))
}

/// What every world begins with.
fn bootstrap(world: &World) -> Result<(), Error> {
    for name in ["default", "kube-system", argocd::NAMESPACE] {
        create(
            world,
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
        )?;
    }
    create(
        world,
        json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": "sandbox-node-1", "labels": {"kubernetes.io/os": "linux"}}}),
    )?;
    for object in identities::objects() {
        create(world, object)?;
    }
    create(
        world,
        json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": {"name": "default", "namespace": argocd::NAMESPACE},
        "spec": {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}]}}),
    )?;
    Ok(())
}

fn write_environment(
    world: &World,
    dir: &Path,
    urls: &Urls,
) -> Result<Vec<(String, String)>, Error> {
    let kubeconfig = |file: &str, user: User, name: &str, server: &str| {
        let token = format!("sandbox-{name}-{}", json::hex(40));
        world.tokens.add(token.clone(), user);
        let path = dir.join(format!("{file}.kubeconfig"));
        kubeconfig::write(&path, name, server, Some(&token))
    };
    let observer = identities::user(identities::OBSERVER);
    let main = kubeconfig("observer", observer, identities::OBSERVER, &urls.main)?;
    let full = kubeconfig("admin", User::admin(), "admin", &urls.admin)?;
    let proxy = kubeconfig::write(&dir.join("proxy.kubeconfig"), "proxy", &urls.proxy, None)?;
    let tokens = argocd::standard_tokens(world);
    let at = |name: &str| dir.join(name).display().to_string();
    let pairs = [
        ("KUBECONFIG", main),
        ("ARGOCD_SERVER", urls.argocd.clone()),
        ("ARGOCD_AUTH_TOKEN", tokens.devpod),
        ("UNSHIP_WORLD", "sandbox".to_owned()),
        ("UNSHIP_WORLD_DIR", dir.display().to_string()),
        ("UNSHIP_WORLD_ADMIN_KUBECONFIG", full),
        ("UNSHIP_WORLD_PROXY_KUBECONFIG", proxy),
        ("UNSHIP_WORLD_ADMIN_ARGOCD_TOKEN", tokens.admin),
        ("UNSHIP_WORLD_OPERATOR_ARGOCD_TOKEN", tokens.operator),
        ("UNSHIP_WORLD_SYNCER_ARGOCD_TOKEN", tokens.syncer),
        ("UNSHIP_WORLD_GIT_ROOT", at("git")),
        ("UNSHIP_WORLD_GIT_URL", urls.git.clone()),
        ("UNSHIP_WORLD_GIT_USER", GIT_USER.to_owned()),
        ("UNSHIP_WORLD_GIT_PASSWORD", world.git_password.clone()),
        ("UNSHIP_WORLD_AUDIT_LOG", at("audit.log")),
        ("UNSHIP_WORLD_ARGOCD_LOG", at("argocd-server.log")),
        ("UNSHIP_WORLD_GIT_LOG", at("git.log")),
        ("UNSHIP_WORLD_CONTROL_URL", urls.control.clone()),
    ];
    let mut environment: Vec<(String, String)> =
        pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    for (name, server) in &urls.others {
        let path = kubeconfig(name, identities::user(name), name, server)?;
        let variable = format!("UNSHIP_WORLD_{}_KUBECONFIG", name.to_uppercase());
        environment.push((variable, path));
    }
    let quoted = |v: &str| v.replace('\'', r"'\''");
    let lines: String = environment
        .iter()
        .map(|(k, v)| format!("export {k}='{}'\n", quoted(v)))
        .collect();
    kubeconfig::write_private(&dir.join("env"), &lines)?;
    Ok(environment)
}
