//! unship as a user starts it: the real binary, an empty home, a clone as working directory, or
//! none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::plans::writes;
use crate::repository::{Clone, clean};
use crate::stage::Stage;

/// A user with a home, and a clone where the stage has a repository.
pub(crate) struct Unship<'s> {
    stage: &'s Stage,
    place: Place,
    home: PathBuf,
    environment: BTreeMap<String, String>,
    /// The identities by which the user may write: to Kubernetes, to Argo CD.
    writers: [Option<&'static str>; 2],
}

/// Where the user is.
enum Place {
    Clone(Clone),
    /// An empty folder, outside of any repository.
    Nowhere(tempfile::TempDir),
}

impl<'s> Unship<'s> {
    /// A user with the read-only kubeconfig and the read-only Argo CD token.
    pub(crate) fn new(stage: &'s Stage, clone: Option<Clone>) -> Self {
        let home = stage.folder.join("home");
        std::fs::create_dir_all(&home).expect("a home");
        let names = ["KUBECONFIG", "ARGOCD_SERVER", "ARGOCD_AUTH_TOKEN"];
        let environment = names
            .map(|name| (name.to_owned(), stage.world.variable(name).to_owned()))
            .into_iter()
            .collect();
        let place = clone.map_or_else(
            || Place::Nowhere(tempfile::tempdir().expect("an empty folder")),
            Place::Clone,
        );
        Self {
            stage,
            place,
            home,
            environment,
            writers: [None, None],
        }
    }

    /// The user's clone.
    pub(crate) fn clone(&self) -> &Clone {
        match &self.place {
            Place::Clone(clone) => clone,
            Place::Nowhere(_) => panic!("{} has no repository", self.stage.name),
        }
    }

    /// With read-only rights that leave logs out.
    pub(crate) fn without_logs(mut self) -> Self {
        self.writers[0] = None;
        let kubeconfig = self.stage.world.variable("UNSHIP_WORLD_LOGLESS_KUBECONFIG");
        self.with("KUBECONFIG", kubeconfig)
    }

    /// Without anything of Argo CD.
    pub(crate) fn without_argocd(mut self) -> Self {
        self.environment
            .retain(|name, _| !name.starts_with("ARGOCD_"));
        self
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    /// `unship COMMAND zai-proxy -n NAMESPACE ARGUMENTS`, or `statefulset/zai-proxy` and so on.
    pub(crate) fn on_target(&self, command: &str, arguments: &[&str]) -> Outcome {
        let target = self.stage.target();
        let mut all = vec![command, &target, "-n", &self.stage.name];
        all.extend(arguments);
        self.run(&all)
    }

    /// `unship rollback zai-proxy --yes ARGUMENTS`.
    pub(crate) fn rollback(&self, arguments: &[&str]) -> Outcome {
        let mut all = vec!["--yes"];
        all.extend(arguments);
        self.on_target("rollback", &all)
    }

    /// Runs unship with JSON on its standard output.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        let folder = match &self.place {
            Place::Clone(clone) => clone.folder.as_path(),
            Place::Nowhere(folder) => folder.path(),
        };
        let output = clean(env!("CARGO_BIN_EXE_unship"), &self.home)
            .envs(&self.environment)
            .current_dir(folder)
            .args(arguments)
            .args(["-o", "json"])
            .output()
            .expect("unship starts");
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let outcome = Outcome {
            command: arguments.join(" "),
            code: output.status.code(),
            json: serde_json::from_str(&stdout).unwrap_or(Value::Null),
            stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        self.tell_the_judge(&outcome);
        outcome
    }

    /// Adds what this user's plans said that they would write to the identities' lists.
    fn tell_the_judge(&self, outcome: &Outcome) {
        let mut said = writes(&outcome.json);
        for run in self.runs() {
            // A run that was killed may have no plan yet, and then has written nothing.
            let plan = std::fs::read_to_string(run.join("plan.json")).unwrap_or_default();
            let plan: Value = serde_json::from_str(&plan).unwrap_or_default();
            self.is_proved(&plan);
            said.extend(writes(&plan));
        }
        let identities: BTreeSet<&str> = self.writers.iter().flatten().copied().collect();
        self.stage.world.plans.add(identities, &said);
    }

    /// A plan of a rendered target is proved by the program that renders it, where that is on the
    /// `PATH`; else it says that it is not there.
    pub(crate) fn is_proved(&self, plan: &Value) {
        let Some(proof) = plan.get("proof") else {
            return;
        };
        let evidence = proof["evidence"].as_str().unwrap_or_default();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = self.environment.get("PATH").map_or(path, Into::into);
        let has =
            |name: &str| std::env::split_paths(&path).any(|folder| folder.join(name).exists());
        let expected = match proof["verdict"].as_str() {
            Some("holds") => evidence.contains("only what was planned differs"),
            _ => ["helm", "kustomize"]
                .iter()
                .any(|name| evidence == format!("{name} is not on the PATH") && !has(name)),
        };
        assert!(expected, "{}: {proof}", self.stage.name);
    }

    /// The journals of this user's runs.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        let folder = self.home.join(".local/state/unship/runs");
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        found.sort();
        found
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }
}

/// Runs that are killed.
impl Unship<'_> {
    /// Has every run list the points at which it could be killed.
    pub(crate) fn listing_points(self) -> Self {
        let log = self.home.join("points").display().to_string();
        self.with("UNSHIP_CRASH_LOG", &log)
    }

    /// The points of the runs so far: names, in their order.
    pub(crate) fn points(&self) -> Points {
        let text = std::fs::read_to_string(self.home.join("points")).expect("the list of points");
        let names = text
            .lines()
            .filter_map(|line| Some(line.split_once(' ')?.1.to_owned()));
        Points(names.collect())
    }

    /// The same person, whose next run is killed at a point.
    pub(crate) fn killed_at(self, point: usize) -> Self {
        self.with("UNSHIP_CRASH_AT", &point.to_string())
    }
}

/// The points at which a run can be killed, as one that was left alone listed them.
#[derive(Debug)]
pub(crate) struct Points(Vec<String>);

impl Points {
    /// The number of the first point of this name.
    #[track_caller]
    pub(crate) fn number(&self, name: &str) -> usize {
        let place = self.0.iter().position(|own| own == name);
        place.unwrap_or_else(|| panic!("no point {name:?} in {:?}", self.0)) + 1
    }

    /// How many begin like one of these.
    pub(crate) fn count(&self, beginnings: &[&str]) -> usize {
        let begins = |name: &&String| beginnings.iter().any(|own| name.starts_with(own));
        self.0.iter().filter(begins).count()
    }
}

/// The identities that may write.
#[allow(
    clippy::wrong_self_convention,
    reason = "said of a person: a user as a deployer"
)]
impl Unship<'_> {
    /// With the right to patch workloads and their scale.
    pub(crate) fn as_deployer(self) -> Self {
        self.by_kubernetes("deployer")
    }

    /// With the right to change the scale of Deployments, and no other.
    pub(crate) fn as_scaler(self) -> Self {
        self.by_kubernetes("scaler")
    }

    /// With a deployer's rights and those to change Applications, in Kubernetes and in Argo CD.
    pub(crate) fn as_operator(self) -> Self {
        self.by_kubernetes("operator").by_argocd("operator")
    }

    /// With Argo CD's right to sync.
    pub(crate) fn as_syncer(self) -> Self {
        self.by_argocd("syncer")
    }

    fn by_kubernetes(mut self, identity: &'static str) -> Self {
        self.writers[0] = Some(identity);
        let variable = format!("UNSHIP_WORLD_{}_KUBECONFIG", identity.to_uppercase());
        let kubeconfig = self.stage.world.variable(&variable);
        self.with("KUBECONFIG", kubeconfig)
    }

    fn by_argocd(mut self, account: &'static str) -> Self {
        self.writers[1] = Some(account);
        let variable = format!("UNSHIP_WORLD_{}_ARGOCD_TOKEN", account.to_uppercase());
        let token = self.stage.world.variable(&variable);
        self.with("ARGOCD_AUTH_TOKEN", token)
    }
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    command: String,
    /// None when it was killed.
    pub(crate) code: Option<i32>,
    /// The document on standard output.
    pub(crate) json: Value,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Everything that was said, for a failed test's message.
    pub(crate) fn story(&self) -> String {
        let document = serde_json::to_string_pretty(&self.json).unwrap_or_default();
        let stdout = if self.json.is_null() {
            &self.stdout
        } else {
            &document
        };
        format!(
            "`unship {}` ended with {:?}\n--- stderr\n{}--- stdout\n{stdout}",
            self.command, self.code, self.stderr
        )
    }

    /// Asserts the exit code, also the one inside the document.
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.story());
        assert_eq!(self.json["exitCode"], code, "exitCode in {}", self.story());
        self
    }

    /// Asserts a field of the document, by JSON pointer.
    #[track_caller]
    pub(crate) fn has(&self, pointer: &str, value: impl Into<Value>) -> &Self {
        let found = self.json.pointer(pointer).unwrap_or(&Value::Null);
        assert_eq!(*found, value.into(), "{pointer} in {}", self.story());
        self
    }

    /// Asserts that a field holds this text somewhere.
    #[track_caller]
    pub(crate) fn says(&self, pointer: &str, text: &str) -> &Self {
        let found = self.json.pointer(pointer).unwrap_or(&Value::Null);
        let found = found
            .as_str()
            .map_or_else(|| found.to_string(), str::to_owned);
        assert!(
            found.contains(text),
            "{text:?} is not in {pointer} of {}",
            self.story()
        );
        self
    }

    /// Asserts that there are checks and all hold.
    #[track_caller]
    pub(crate) fn all_checks_hold(&self) -> &Self {
        let checks = self.json["checks"].as_array().cloned().unwrap_or_default();
        let hold = checks.iter().all(|check| check["verdict"] == "holds");
        assert!(checks.len() >= 7 && hold, "checks of {}", self.story());
        self
    }

    /// Asserts that there are so many checks and all hold.
    #[track_caller]
    pub(crate) fn checks_hold(&self, count: usize) -> &Self {
        let checks = self.json["checks"].as_array().cloned().unwrap_or_default();
        let hold = checks.iter().all(|check| check["verdict"] == "holds");
        assert!(checks.len() == count && hold, "checks of {}", self.story());
        self
    }

    /// The evidence of a check.
    #[track_caller]
    pub(crate) fn check(&self, id: &str) -> &Value {
        let checks = self.json["checks"].as_array();
        let found = checks.and_then(|all| all.iter().find(|check| check["id"] == id));
        found.unwrap_or_else(|| panic!("no check {id} in {}", self.story()))
    }

    /// The blocker with an id.
    #[track_caller]
    pub(crate) fn blocker(&self, id: &str) -> &Value {
        let all = self.json["blockers"].as_array();
        let found = all.and_then(|all| all.iter().find(|blocker| blocker["id"] == id));
        found.unwrap_or_else(|| panic!("no blocker {id} in {}", self.story()))
    }
}
