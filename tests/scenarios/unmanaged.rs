//! Stages whose workload nothing ships from Git: an administrator applied it by hand, and
//! releases by hand.

use serde_json::{Value, json};

use crate::admin::Kind;
use crate::stage::{BAD, GOOD, Setting, Stage, WORKLOAD};
use crate::world::World;

impl Stage {
    /// A namespace with the workload and its Service at release `first`, live; no Application,
    /// no repository, and a user who has no clone of anything.
    pub(crate) fn unmanaged(
        world: &'static World,
        scenario: &str,
        (first, setting): (&str, &Setting),
    ) -> Self {
        let stage = Self::empty(world, scenario, setting);
        stage.create_namespace(&setting.labels);
        let manifest = stage.manifest(first);
        for document in manifest.split("\n---\n") {
            let object: Value = serde_yaml::from_str(document).expect("the fixture is YAML");
            let (kind, object) = match object["kind"].as_str() {
                Some("Deployment") => (stage.kind, as_kind(stage.kind, object)),
                Some("Service") => (Kind::Service, object),
                other => panic!("{other:?} in the fixture"),
            };
            world.wait(world.admin.kubectl_apply(kind, &stage.name, &object));
        }
        stage.wait_live(first);
        stage
    }

    /// 1.2.0 serves, 1.2.1-crash was released by hand and does not come up.
    pub(crate) fn unmanaged_with_bad_release(
        world: &'static World,
        scenario: &str,
        setting: &Setting,
    ) -> Self {
        let stage = Self::unmanaged(world, scenario, (GOOD, setting));
        stage.ship_by_hand(BAD);
        stage.wait_crashing();
        stage
    }

    /// Releases as `kubectl patch` does: the image and the version label, in one change.
    pub(crate) fn ship_by_hand(&self, release: &str) {
        let patch = json!({"spec": {"template": {
            "metadata": {"labels": {"version": release}},
            "spec": {"containers": [
                {"name": "proxy", "image": format!("ronaldraygun/{WORKLOAD}:{release}")}]}}}});
        let path = self.kind.path(self.place(self.kind));
        let path = format!("{path}?fieldManager=kubectl-patch");
        let admin = &self.world.admin;
        let done = self
            .world
            .wait(admin.try_patch(&path, "strategic-merge-patch", &patch));
        done.unwrap_or_else(|error| panic!("PATCH {path}: {error}"));
    }

    /// Waits until a ReplicaSet of the release exists.
    pub(crate) fn wait_recorded(&self, release: &str) {
        let tag = format!(":{release}");
        self.world
            .until(&format!("{release} is recorded in {}", self.name), || {
                let sets = self.list(Kind::ReplicaSet);
                let image = "/spec/template/spec/containers/0/image";
                sets.iter()
                    .filter_map(|set| set.pointer(image).and_then(serde_json::Value::as_str))
                    .any(|image| image.ends_with(&tag))
                    .then_some(())
                    .ok_or_else(|| format!("{} ReplicaSets", sets.len()))
            });
    }
}

/// The fixture's Deployment as a StatefulSet or a DaemonSet with the same pods.
fn as_kind(kind: Kind, mut object: Value) -> Value {
    if kind == Kind::Deployment {
        return object;
    }
    object["kind"] = json!(format!("{kind:?}"));
    if let Some(spec) = object["spec"].as_object_mut() {
        spec.remove("strategy");
        spec.remove("progressDeadlineSeconds");
        if kind == Kind::DaemonSet {
            spec.remove("replicas");
        } else {
            spec.insert("serviceName".to_owned(), json!(WORKLOAD));
        }
    }
    object
}
