//! The world that the scenarios run in, known by its environment alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::runtime::Runtime;
use unship::sandbox::{Options, Sandbox};

use crate::admin::Admin;
use crate::plans::Plans;

/// Variables that make a world; what unship itself reads comes first.
const VARIABLES: [&str; 15] = [
    "KUBECONFIG",
    "ARGOCD_SERVER",
    "ARGOCD_AUTH_TOKEN",
    "UNSHIP_WORLD_ADMIN_KUBECONFIG",
    "UNSHIP_WORLD_PROXY_KUBECONFIG",
    "UNSHIP_WORLD_DEPLOYER_KUBECONFIG",
    "UNSHIP_WORLD_SCALER_KUBECONFIG",
    "UNSHIP_WORLD_OPERATOR_KUBECONFIG",
    "UNSHIP_WORLD_LOGLESS_KUBECONFIG",
    "UNSHIP_WORLD_OPERATOR_ARGOCD_TOKEN",
    "UNSHIP_WORLD_SYNCER_ARGOCD_TOKEN",
    "UNSHIP_WORLD_GIT_ROOT",
    "UNSHIP_WORLD_GIT_URL",
    "UNSHIP_WORLD_GIT_USER",
    "UNSHIP_WORLD_GIT_PASSWORD",
];

/// How long anything that the world does by itself may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running world, shared by all scenarios of this process.
pub(crate) struct World {
    variables: BTreeMap<String, String>,
    runtime: Runtime,
    /// The administrator of the cluster.
    pub(crate) admin: Admin,
    /// What identities that may write said that they would.
    pub(crate) plans: Plans,
    folder: PathBuf,
    /// Keeps names of several runs on one world apart.
    run: String,
    _sandbox: Option<Sandbox>,
}

static WORLD: LazyLock<World> = LazyLock::new(World::start);

impl World {
    /// Whether this is the test bed's real Kubernetes and Argo CD.
    pub(crate) fn is_stack(&self) -> bool {
        self._sandbox.is_none()
    }

    /// The world, started when it is first asked for.
    pub(crate) fn get() -> &'static Self {
        &WORLD
    }

    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let seconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock after 1970")
            .as_secs();
        let run = format!(
            "{:x}",
            seconds * 1000 + u64::from(std::process::id() % 1000)
        );
        let folder = fresh_folder(&run);
        let (variables, sandbox) = if std::env::var("UNSHIP_WORLD").as_deref() == Ok("stack") {
            let get = |name: &str| {
                std::env::var(name).unwrap_or_else(|_| {
                    panic!("{name} is not set: source the file that ci/stack/up prints")
                })
            };
            let variables = VARIABLES.map(|name| (name.to_owned(), get(name)));
            (variables.into_iter().collect(), None)
        } else {
            let options = Options::new(folder.join("sandbox"));
            let sandbox = runtime
                .block_on(Sandbox::start(options))
                .expect("the sandbox starts");
            (sandbox.environment().into_iter().collect(), Some(sandbox))
        };
        let variables: BTreeMap<String, String> = variables;
        let admin = runtime.block_on(Admin::connect(Path::new(
            &variables["UNSHIP_WORLD_ADMIN_KUBECONFIG"],
        )));
        let plans = std::env::var_os("UNSHIP_WORLD_PLANS")
            .map_or_else(|| folder.join("plans"), PathBuf::from);
        Self {
            variables,
            runtime,
            admin,
            plans: Plans::new(plans),
            folder,
            run,
            _sandbox: sandbox,
        }
    }

    /// One variable of the environment.
    pub(crate) fn variable(&self, name: &str) -> &str {
        self.variables
            .get(name)
            .unwrap_or_else(|| panic!("the world has no {name}"))
    }

    /// A connection with the kubeconfig that a variable names.
    pub(crate) fn connect(&self, variable: &str) -> Admin {
        self.wait(Admin::connect(Path::new(self.variable(variable))))
    }

    /// A name of its own for a scenario, the same for its namespace, repository and Application.
    pub(crate) fn name(&self, scenario: &str) -> String {
        format!("mcp-{scenario}-{}", self.run)
    }

    /// An empty folder for a scenario.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).expect("a folder for the scenario");
        folder
    }

    /// Waits for a future from a test's own thread.
    pub(crate) fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Repeats a look until it gives something; tells what was seen last when it never does.
    pub(crate) fn until<T>(&self, what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
        let began = std::time::Instant::now();
        loop {
            match look() {
                Ok(found) => return found,
                Err(seen) if began.elapsed() > PATIENCE => {
                    panic!("not within {} s: {what}; seen: {seen}", PATIENCE.as_secs())
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }
}

/// A folder for this run below Cargo's folder for test data; what runs of other days left is
/// removed.
fn fresh_folder(run: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scenarios");
    let old = Duration::from_secs(24 * 3600);
    for entry in fs::read_dir(&root).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|m| m.modified()).ok();
        if modified
            .and_then(|at| at.elapsed().ok())
            .is_some_and(|age| age > old)
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let folder = root.join(run);
    fs::create_dir_all(&folder).expect("a folder for test data");
    folder
}
