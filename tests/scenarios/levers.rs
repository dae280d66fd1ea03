//! What can be done to a stage to bring it into the state that a scenario is about.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::admin::Kind;
use crate::repository::git;
use crate::stage::{Stage, WORKLOAD};

/// Label of namespaces in which admission refuses changes of workloads by identities of devpods.
const DENY: &str = "unship.test/deny-patch";

impl Stage {
    /// Has Argo CD's controller leave the Application alone, as if it were down, or care again.
    pub(crate) fn skip_reconcile(&self, skip: bool) {
        let value = if skip { json!("true") } else { Value::Null };
        let annotations = json!({"argocd.argoproj.io/skip-reconcile": value});
        let patch = json!({"metadata": {"annotations": annotations}});
        self.patch(Kind::Application, &patch);
        if skip {
            self.wait_left_alone();
        }
    }

    /// Sets an image in the Application itself, over whatever Git says.
    pub(crate) fn override_image(&self, image: &str) {
        let patch = json!({"spec": {"source": {"kustomize": {"images": [image]}}}});
        self.patch(Kind::Application, &patch);
        self.refresh();
    }

    /// Annotates the Application, as its manifest would.
    pub(crate) fn annotate_application(&self, annotations: &Value) {
        let patch = json!({"metadata": {"annotations": annotations}});
        self.patch(Kind::Application, &patch);
    }

    /// Has the first source be a chart of a registry that nobody reaches.
    pub(crate) fn deploy_chart(&self, chart: &str, version: &str) {
        let mut sources = self.application()["spec"]["sources"].clone();
        let helm = sources[0]["helm"].clone();
        sources[0] = json!({"repoURL": "https://charts.example.org", "chart": chart,
            "targetRevision": version, "helm": helm});
        self.skip_reconcile(true);
        self.patch(Kind::Application, &json!({"spec": {"sources": sources}}));
    }

    /// Tags a commit, and has the Application follow the tag.
    pub(crate) fn follow_tag(&self, tag: &str, commit: &str) {
        git(self.bare(), &["tag", tag, commit]);
        let patch = json!({"spec": {"source": {"targetRevision": tag}}});
        self.patch(Kind::Application, &patch);
        self.refresh();
    }

    /// Has the template of the stage's ApplicationSet say something else for the image.
    pub(crate) fn template_image(&self, image: &str) {
        let mut spec = self.get(Kind::ApplicationSet).expect("the set")["spec"].clone();
        spec["template"]["spec"]["source"]["kustomize"]["images"] = json!([image]);
        self.patch(Kind::ApplicationSet, &json!({"spec": spec}));
    }

    /// Sets the replicas in the Application itself.
    pub(crate) fn override_replicas(&self, count: u32) {
        let replicas = json!([{"name": WORKLOAD, "count": count}]);
        let patch = json!({"spec": {"source": {"kustomize": {"replicas": replicas}}}});
        self.patch(Kind::Application, &patch);
        self.refresh();
    }

    /// Deletes the Application that makes the stage's, which stays.
    pub(crate) fn lose_root(&self) {
        let root = self.root().expect("an Application that makes this one");
        let place = ("argocd", root.as_str());
        let world = self.world;
        world.wait(world.admin.delete(Kind::Application, place));
        world.until("the root is gone", || {
            match world.wait(world.admin.get(Kind::Application, place)) {
                None => Ok(()),
                Some(_) => Err("it is there".to_owned()),
            }
        });
    }

    /// Sets a Helm parameter of the first source in the Application itself.
    pub(crate) fn override_parameter(&self, name: &str, value: &str) {
        let mut sources = self.application()["spec"]["sources"].clone();
        sources[0]["helm"]["parameters"] = json!([{"name": name, "value": value}]);
        self.patch(Kind::Application, &json!({"spec": {"sources": sources}}));
        self.refresh();
    }

    /// Waits until nobody has written to the Application for two seconds: its controller goes on
    /// with what it has begun or queued before it hears of the annotation.
    fn wait_left_alone(&self) {
        let mut last = (Value::Null, Instant::now());
        self.world
            .until("Argo CD leaves the Application alone", || {
                let now = self.application()["metadata"]["resourceVersion"].clone();
                if now != last.0 {
                    last = (now.clone(), Instant::now());
                }
                if last.1.elapsed() > Duration::from_secs(2) {
                    return Ok(());
                }
                Err(format!("written to again: {now}"))
            });
    }

    /// Takes automated sync away from the Application, or gives it back with self-heal; returns
    /// when Argo CD's controller knows and no sync of its own is still running. Not while reconciling is
    /// skipped: then it never knows.
    pub(crate) fn auto_sync(&self, on: bool) {
        let automated = if on {
            json!({"prune": true, "selfHeal": true})
        } else {
            Value::Null
        };
        let patch = json!({"spec": {"syncPolicy": {"automated": automated}}});
        self.patch(Kind::Application, &patch);
        self.refresh();
        self.world.until("no operation is running", || {
            let application = self.application();
            let phase = &application["status"]["operationState"]["phase"];
            let running = !application["operation"].is_null() || phase == "Running";
            if running {
                Err(phase.to_string())
            } else {
                Ok(())
            }
        });
    }

    /// Adds an autoscaler of the workload.
    pub(crate) fn autoscale(&self, min: u32, max: u32) {
        let object = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": WORKLOAD, "namespace": self.name},
            "spec": {"minReplicas": min, "maxReplicas": max, "scaleTargetRef":
                {"apiVersion": "apps/v1", "kind": "Deployment", "name": WORKLOAD}}});
        let admin = &self.world.admin;
        self.world
            .wait(admin.create(Kind::Autoscaler, &self.name, &object));
    }

    /// Makes the Git remote unreachable for everybody: its server no longer has the repository.
    pub(crate) fn lose_git(&self) {
        std::fs::rename(self.bare(), self.lost()).expect("the repository can be moved away");
    }

    /// Brings the Git remote back.
    pub(crate) fn return_git(&self) {
        std::fs::rename(self.lost(), self.bare()).expect("the repository can be moved back");
    }

    fn lost(&self) -> PathBuf {
        self.bare().with_extension("lost")
    }

    /// Has admission refuse changes of the workload by deployer, scaler and operator, or let them
    /// pass again; returns when that has come into effect.
    pub(crate) fn deny_patches(&self, deny: bool) {
        let value = if deny { json!("true") } else { Value::Null };
        self.patch(
            Kind::Namespace,
            &json!({"metadata": {"labels": {DENY: value}}}),
        );
        let deployer = self.world.connect("UNSHIP_WORLD_DEPLOYER_KUBECONFIG");
        let path = self.kind.path(self.place(self.kind));
        let path = format!("{path}?dryRun=All");
        let patch = json!({"spec": {"minReadySeconds": 1}});
        let plural = format!("{:?}s.apps", self.kind).to_lowercase();
        self.planned("deployer", &format!("patch {plural}"));
        self.world.until("admission knows the label", || {
            let tried = deployer.try_patch(&path, "merge-patch", &patch);
            match self.world.wait(tried) {
                Ok(_) if !deny => Ok(()),
                Err(kube::Error::Api(answer)) if deny && answer.code == 422 => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
    }

    /// Gives the Application an owner: an ApplicationSet that makes nothing by itself.
    pub(crate) fn own_by_application_set(&self) {
        let (world, name) = (self.world, &self.name);
        let object = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet",
            "metadata": {"name": name, "namespace": "argocd"},
            "spec": {"generators": [{"list": {"elements": []}}],
                // It made this Application once and does not take it away.
                "syncPolicy": {"applicationsSync": "create-update"}, "template": {
                "metadata": {"name": name},
                "spec": self.application()["spec"]}}});
        let made = world.wait(world.admin.create(Kind::ApplicationSet, "argocd", &object));
        let owner = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet",
            "name": name, "uid": made["metadata"]["uid"], "controller": true,
            "blockOwnerDeletion": true});
        self.patch(
            Kind::Application,
            &json!({"metadata": {"ownerReferences": [owner]}}),
        );
    }

    /// Tells the judge that a scenario itself, not unship, is going to write to the workload as
    /// an identity: `patch deployments.apps`.
    pub(crate) fn planned(&self, identity: &str, write: &str) {
        let line = format!("{write} {}/{WORKLOAD}", self.name);
        self.world.plans.add([identity], &[line]);
    }
}
