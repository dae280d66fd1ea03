//! What one scenario plays on: a namespace of its own, with a repository and an Application that
//! ship the workload, or without (`unmanaged.rs`). `levers.rs` has what can be done to it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::admin::Kind;
pub(crate) use crate::layout::Layout;
use crate::layout::{FIXTURE, Files, Names};
use crate::repository::{self, Clone, git};
use crate::unship::Unship;
use crate::world::World;

const OTHERS: &str =
    include_str!("../../manifests-fixtures/gitops/k8s/apexalgo-iad/search/indexer.yaml");

/// The manifest in the repository.
pub(crate) const MANIFEST: &str = "k8s/apexalgo-iad/mcp/zai-proxy.yml";
/// A manifest of another team, which this Application does not deploy.
pub(crate) const OTHERS_FILE: &str = "k8s/apexalgo-iad/search/indexer.yaml";
/// The Deployment.
pub(crate) const WORKLOAD: &str = "zai-proxy";
/// The good and the bad release.
pub(crate) const GOOD: &str = "1.2.0";
pub(crate) const BAD: &str = "1.2.1-crash";

/// How a stage differs from the usual one.
#[derive(Default)]
pub(crate) struct Setting {
    /// Labels of the namespace.
    pub(crate) labels: Vec<(&'static str, &'static str)>,
    /// The Deployment's progress deadline, in seconds.
    pub(crate) progress_deadline: Option<u32>,
    /// The workload's replicas, else 1.
    pub(crate) replicas: Option<u32>,
    /// What the workload of an unmanaged stage is, else a Deployment.
    pub(crate) kind: Option<Kind>,
    /// Whether the Application belongs to an AppProject of its own.
    pub(crate) own_project: bool,
    /// More files of the first commit.
    pub(crate) files: Vec<(&'static str, &'static str)>,
    /// What the manifests are written with.
    pub(crate) layout: Layout,
}

/// A scenario's place in the world.
pub(crate) struct Stage {
    pub(crate) world: &'static World,
    /// Name of the namespace, the repository and the Application.
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    /// Where its manifests are; none where it is unmanaged.
    pub(super) source: Option<Source>,
    /// What the workload is.
    pub(super) kind: Kind,
    progress_deadline: Option<u32>,
    replicas: Option<u32>,
    own_project: bool,
    layout: Layout,
}

/// Git's side of a stage.
pub(super) struct Source {
    /// The bare repository that is served.
    bare: PathBuf,
    /// The clone of those who release.
    team: Clone,
    /// A clone of a second repository.
    lent: Option<Clone>,
}

impl Stage {
    /// Ships release `first` and waits until it is live.
    pub(crate) fn new(
        world: &'static World,
        scenario: &str,
        (first, setting): (&str, &Setting),
    ) -> Self {
        let mut stage = Self::empty(world, scenario, setting);
        let bare = repository::create(world, &stage.name);
        let folder = stage.folder.join("team");
        let team = Clone::new(world, &stage.name, folder, "Mira Okafor");
        let names = stage.names();
        let lent = stage.lend(setting.layout.lent(&names));
        stage.source = Some(Source { bare, team, lent });
        let manifest = stage.manifest(first);
        let around = setting.layout.around(&names);
        let release = stage.release_file();
        let mut files = vec![
            (release.as_str(), Some(manifest.as_str())),
            (OTHERS_FILE, Some(OTHERS)),
        ];
        files.extend(
            around
                .iter()
                .map(|(path, text)| (path.as_str(), Some(text.as_str()))),
        );
        files.extend(
            setting
                .files
                .iter()
                .map(|(path, text)| (*path, Some(*text))),
        );
        stage
            .team()
            .commit("chore: import cluster configuration", &files);
        stage.team().push();
        stage.create_namespace(&setting.labels);
        stage.create_application();
        stage.wait_live(first);
        stage
    }

    /// A stage before anything is on it.
    pub(super) fn empty(world: &'static World, scenario: &str, setting: &Setting) -> Self {
        Self {
            world,
            name: world.name(scenario),
            folder: world.folder(scenario),
            source: None,
            kind: setting.kind.unwrap_or(Kind::Deployment),
            progress_deadline: setting.progress_deadline,
            replicas: setting.replicas,
            own_project: setting.own_project,
            layout: setting.layout,
        }
    }

    fn source(&self) -> &Source {
        let source = self.source.as_ref();
        source.unwrap_or_else(|| panic!("{} has no repository", self.name))
    }

    /// The bare repository that is served.
    pub(crate) fn bare(&self) -> &Path {
        &self.source().bare
    }

    /// The clone of those who release.
    pub(crate) fn team(&self) -> &Clone {
        &self.source().team
    }

    /// The usual story: 1.2.0 serves, another team commits, 1.2.1-crash is released and does not
    /// come up, another team commits again.
    pub(crate) fn with_bad_release(world: &'static World, scenario: &str) -> Story {
        Self::with_bad_release_in(world, scenario, &Setting::default())
    }

    pub(crate) fn with_bad_release_in(
        world: &'static World,
        scenario: &str,
        setting: &Setting,
    ) -> Story {
        let stage = Self::new(world, scenario, (GOOD, setting));
        let good = stage.team().git(&["rev-parse", "HEAD"]);
        stage.commit_of_others("5.0.1");
        let bad = stage.release(BAD);
        let tip = stage.commit_of_others("5.1.0");
        stage.team().push();
        stage.refresh();
        stage.wait_crashing();
        Story {
            stage,
            good,
            bad,
            tip,
        }
    }

    /// Makes a second repository with these files, and has users find the way to it.
    fn lend(&self, files: Files) -> Option<Clone> {
        if files.is_empty() {
            return None;
        }
        let name = self.second();
        repository::create(self.world, &name);
        let clone = Clone::new(self.world, &name, self.folder.join("lent"), "Ada Lent");
        let files: Vec<(&str, Option<&str>)> = files
            .iter()
            .map(|(path, text)| (path.as_str(), Some(text.as_str())))
            .collect();
        clone.commit("chore: import", &files);
        clone.push();
        let tagged = |release: &&str| self.layout.tagged(&self.names(), release);
        for (tag, file, text) in [GOOD, BAD].iter().filter_map(tagged) {
            clone.commit(&format!("release: {tag}"), &[(&file, Some(&text))]);
            clone.git(&["tag", &tag]);
            clone.git(&["push", "-q", "origin", "main", &tag]);
        }
        repository::credentials(self.world, &self.folder.join("home"));
        Some(clone)
    }

    /// The names that its files have.
    fn names(&self) -> Names {
        let url = |name: &str| {
            let base = self.world.variable("UNSHIP_WORLD_GIT_URL");
            format!("{base}/{name}.git")
        };
        Names {
            name: self.name.clone(),
            here: url(&self.name),
            there: url(&self.second()),
            charts: crate::charts::repository(),
        }
    }

    /// The name of the Application that makes this stage's, where one does.
    pub(crate) fn root(&self) -> Option<String> {
        let has = self.layout.has_root();
        has.then(|| format!("{}-root", self.name))
    }

    /// The name of the second repository.
    fn second(&self) -> String {
        format!("{}-second", self.name)
    }

    /// The clone of the second repository.
    pub(crate) fn lent(&self) -> &Clone {
        let lent = self.source().lent.as_ref();
        lent.unwrap_or_else(|| panic!("{} has no second repository", self.name))
    }

    /// The file that a release changes, as it is at that release.
    pub(crate) fn manifest(&self, release: &str) -> String {
        if let Some(text) = self.layout.release(&self.names(), release) {
            return text;
        }
        let text = FIXTURE
            .replace("namespace: mcp", &format!("namespace: {}", self.name))
            .replace("1.2.0", release);
        let mut lines = vec!["  revisionHistoryLimit: 10".to_owned()];
        if let Some(seconds) = self.progress_deadline {
            lines.push(format!("  progressDeadlineSeconds: {seconds}"));
        }
        let replicas = format!("  replicas: {}", self.replicas.unwrap_or(1));
        text.replace("  revisionHistoryLimit: 10", &lines.join("\n"))
            .replace("  replicas: 1", &replicas)
    }

    /// That file's path.
    pub(crate) fn release_file(&self) -> String {
        self.layout.release_file(&self.names())
    }

    /// Commits a release; nothing is pushed.
    pub(crate) fn release(&self, release: &str) -> String {
        let text = self.manifest(release);
        let message = format!("chore: promote zai-proxy to v{release}");
        self.team()
            .commit(&message, &[(&self.release_file(), Some(&text))])
    }

    /// Commits a release, pushes it and has Argo CD look.
    pub(crate) fn ship(&self, release: &str) -> String {
        let commit = self.release(release);
        self.team().push();
        self.refresh();
        commit
    }

    /// A commit that touches only another team's file; nothing is pushed.
    pub(crate) fn commit_of_others(&self, number: &str) -> String {
        let text = OTHERS.replace("5.0.0", number);
        let message = format!("indexer: {number}");
        self.team().commit(&message, &[(OTHERS_FILE, Some(&text))])
    }

    pub(super) fn create_namespace(&self, labels: &[(&str, &str)]) {
        let labels: serde_json::Map<String, Value> = labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), json!(v)))
            .collect();
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": self.name, "labels": labels}});
        let admin = &self.world.admin;
        self.world
            .wait(admin.create(Kind::Namespace, "", &namespace));
    }

    fn create_application(&self) {
        let (world, name) = (self.world, &self.name);
        if let Some(set) = self.layout.set(&self.names()) {
            let made = world.admin.create(Kind::ApplicationSet, "argocd", &set);
            world.wait(made);
            return;
        }
        let project = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
            "metadata": {"name": name, "namespace": "argocd"},
            "spec": {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}],
                "clusterResourceWhitelist": [{"group": "*", "kind": "*"}]}});
        let mut spec = self.layout.sources(&self.names());
        let root = self.root();
        spec["project"] = json!(if self.own_project { name } else { "default" });
        spec["destination"] = json!({"server": "https://kubernetes.default.svc",
                "namespace": if root.is_some() { "argocd" } else { name }});
        spec["syncPolicy"] = json!({"automated": {"prune": true, "selfHeal": true}});
        let application = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": root.as_ref().unwrap_or(name), "namespace": "argocd"},
            "spec": spec});
        world.wait(async {
            if self.own_project {
                world
                    .admin
                    .create(Kind::AppProject, "argocd", &project)
                    .await;
            }
            world
                .admin
                .create(Kind::Application, "argocd", &application)
                .await;
        });
    }

    /// Has Argo CD look into the repository now, and waits until it has.
    pub(crate) fn refresh(&self) {
        for name in self.root().iter().chain([&self.name]) {
            self.refresh_one(name);
        }
    }

    fn refresh_one(&self, name: &str) {
        const ANNOTATION: &str = "argocd.argoproj.io/refresh";
        let patch = json!({"metadata": {"annotations": {ANNOTATION: "normal"}}});
        let (world, place) = (self.world, ("argocd", name));
        world.wait(world.admin.patch(Kind::Application, place, &patch));
        world.until("Argo CD refreshes the Application", || {
            let application = world.wait(world.admin.get(Kind::Application, place));
            let application = application.ok_or("it is gone")?;
            match application["metadata"]["annotations"].get(ANNOTATION) {
                None => Ok(()),
                Some(_) => Err(application["status"]["conditions"].to_string()),
            }
        });
    }

    pub(crate) fn application(&self) -> Value {
        self.get(Kind::Application)
            .expect("the Application is there")
    }

    /// The workload as it is typed.
    pub(super) fn target(&self) -> String {
        match self.kind {
            Kind::Deployment => WORKLOAD.to_owned(),
            other => format!("{other:?}/{WORKLOAD}").to_lowercase(),
        }
    }

    /// What Argo CD says about the stage.
    fn shipped(&self) -> String {
        let application = self.get(Kind::Application);
        application.map_or_else(
            || "no Application".to_owned(),
            |application| application["status"].to_string(),
        )
    }

    pub(crate) fn deployment(&self) -> Option<Value> {
        self.get(Kind::Deployment)
    }

    /// Where the stage's object of a kind is.
    pub(super) fn place(&self, kind: Kind) -> (&str, &str) {
        match kind {
            Kind::Application | Kind::ApplicationSet | Kind::AppProject => ("argocd", &self.name),
            Kind::Namespace => ("", &self.name),
            _ => (&self.name, WORKLOAD),
        }
    }

    pub(crate) fn get(&self, kind: Kind) -> Option<Value> {
        self.world
            .wait(self.world.admin.get(kind, self.place(kind)))
    }

    pub(crate) fn list(&self, kind: Kind) -> Vec<Value> {
        self.world.wait(self.world.admin.list(kind, &self.name))
    }

    /// Changes the Deployment, the Application or its AppProject as the administrator.
    pub(crate) fn patch(&self, kind: Kind, patch: &Value) {
        self.world
            .wait(self.world.admin.patch(kind, self.place(kind), patch));
    }

    /// Waits until a release is rolled out completely.
    pub(crate) fn wait_live(&self, release: &str) {
        self.world
            .until(&format!("{release} is live in {}", self.name), || {
                let seen = self.get(self.kind).ok_or_else(|| self.shipped())?;
                let status = &seen["status"];
                let (counts, wanted) = match self.kind {
                    Kind::DaemonSet => (
                        ["updatedNumberScheduled", "numberAvailable", "numberReady"],
                        &status["desiredNumberScheduled"],
                    ),
                    _ => (
                        ["replicas", "updatedReplicas", "availableReplicas"],
                        &seen["spec"]["replicas"],
                    ),
                };
                let complete = image(&seen).ends_with(&format!(":{release}"))
                    && status["observedGeneration"] == seen["metadata"]["generation"]
                    && counts.iter().all(|count| status[*count] == *wanted);
                if complete {
                    Ok(())
                } else {
                    Err(format!("{} {status}", image(&seen)))
                }
            });
    }

    /// The name of the ConfigMap that the chart makes.
    pub(crate) fn settings(&self) -> String {
        let release: String = self.name.chars().take(40).collect();
        format!("{release}-settings")
    }

    /// Waits until the chart's ConfigMap has a level.
    pub(crate) fn wait_level(&self, level: &str) {
        let name = self.settings();
        self.world.until("the ConfigMap changes", || {
            let all = self.list(Kind::ConfigMap);
            let own = all.iter().find(|own| own["metadata"]["name"] == name);
            match own.map(|own| &own["data"]["level"]) {
                Some(found) if found == level => Ok(()),
                found => Err(format!("{found:?}")),
            }
        });
    }

    /// Waits until the live Service is as wanted.
    pub(crate) fn wait_service(&self, is_so: impl Fn(&Value) -> bool) {
        self.world.until("the Service changes", || {
            let seen = self.get(Kind::Service).ok_or_else(|| self.shipped())?;
            if is_so(&seen) {
                Ok(())
            } else {
                Err(seen["spec"].to_string())
            }
        });
    }

    /// Waits until the pods take variables from a ConfigMap.
    pub(crate) fn wait_env_from(&self, name: &str) {
        self.world.until("the pods use the ConfigMap", || {
            let seen = self.get(Kind::Deployment).ok_or_else(|| self.shipped())?;
            let from = &seen["spec"]["template"]["spec"]["containers"][0]["envFrom"][0];
            if from["configMapRef"]["name"] == name {
                Ok(())
            } else {
                Err(seen["spec"].to_string())
            }
        });
    }

    /// Waits until a pod of the bad release is in CrashLoopBackOff.
    pub(crate) fn wait_crashing(&self) {
        self.world
            .until(&format!("a pod of {} crashes", self.name), || {
                let pods = self.list(Kind::Pod);
                let waiting = |pod: &Value| {
                    pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]
                        == "CrashLoopBackOff"
                };
                if pods.iter().any(waiting) {
                    return Ok(());
                }
                Err(format!("{} pods; {}", pods.len(), self.shipped()))
            });
    }

    /// The id of a branch of the served repository.
    pub(crate) fn tip(&self) -> String {
        git(self.bare(), &["rev-parse", "refs/heads/main"])
    }

    /// All branches of the served repository with their ids.
    pub(crate) fn references(&self) -> String {
        git(
            self.bare(),
            &["for-each-ref", "--format=%(objectname) %(refname)"],
        )
    }

    /// A file of the served repository at a commit, byte for byte.
    pub(crate) fn file_at(&self, commit: &str, path: &str) -> String {
        let output = repository::clean("git", &self.folder)
            .arg("-C")
            .arg(self.bare())
            .args(["cat-file", "blob", &format!("{commit}:{path}")])
            .output()
            .expect("the git program");
        assert!(output.status.success(), "{path} is not in {commit}");
        String::from_utf8(output.stdout).expect("a text file")
    }

    /// Subjects of the commits after one, newest first.
    pub(crate) fn commits_since(&self, commit: &str) -> Vec<String> {
        let range = format!("{commit}..refs/heads/main");
        let log = git(self.bare(), &["log", "--format=%H", &range]);
        log.lines().map(str::to_owned).collect()
    }

    /// A clone of a user, at the tip of main.
    fn clone_of_user(&self) -> Clone {
        let folder = (1..)
            .map(|n| self.folder.join(format!("clone-{n}")))
            .find(|folder| !folder.exists())
            .unwrap_or_default();
        let clone = Clone::new(self.world, &self.name, folder, "Dev Pod");
        clone.catch_up();
        clone
    }

    /// A user at a terminal, in a clone of the repository where there is one.
    pub(crate) fn user(&self) -> Unship<'_> {
        Unship::new(self, self.source.as_ref().map(|_| self.clone_of_user()))
    }
}

impl Drop for Stage {
    /// Takes a scenario's objects away again; those of a failed one stay for a look at them.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let (admin, name) = (&self.world.admin, &self.name);
        self.world.wait(async {
            // What makes the Application goes first, else it is made again.
            admin.delete(Kind::ApplicationSet, ("argocd", name)).await;
            if let Some(root) = &self.root() {
                admin.delete(Kind::Application, ("argocd", root)).await;
            }
            admin.delete(Kind::Application, ("argocd", name)).await;
            admin.delete(Kind::Namespace, ("", name)).await;
            if self.own_project {
                admin.delete(Kind::AppProject, ("argocd", name)).await;
            }
        });
    }
}

/// A stage after the usual story.
pub(crate) struct Story {
    pub(crate) stage: Stage,
    /// The commit of 1.2.0.
    pub(crate) good: String,
    /// The commit of 1.2.1-crash.
    pub(crate) bad: String,
    /// The commit of another team on top.
    pub(crate) tip: String,
}

impl Story {
    /// Everything that holds after a rollback that landed: exactly one commit on top of
    /// `parent`, which changes one file to the good release's own bytes, and 1.2.0 is live.
    pub(crate) fn assert_rolled_back(&self, parent: &str) -> String {
        let stage = &self.stage;
        let commits = stage.commits_since(parent);
        assert_eq!(
            commits.len(),
            1,
            "one commit on top of {parent}: {commits:?}"
        );
        let commit = commits[0].clone();
        let parents = git(stage.bare(), &["log", "-1", "--format=%P", &commit]);
        assert_eq!(parents, parent, "a plain child of the tip");
        let files = git(stage.bare(), &["diff", "--name-only", parent, &commit]);
        assert_eq!(files, MANIFEST, "one file");
        let (is, good) = (
            stage.file_at(&commit, MANIFEST),
            stage.file_at(&self.good, MANIFEST),
        );
        assert_eq!(is, good, "the bytes of the good release");
        stage.wait_live(GOOD);
        commit
    }
}

/// The image of an object's first container.
pub(crate) fn image(object: &Value) -> &str {
    let image = object.pointer("/spec/template/spec/containers/0/image");
    image.and_then(Value::as_str).unwrap_or("")
}
