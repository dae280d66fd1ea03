//! Zero writes, seen from the objects: what only a write by somebody could change.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::admin::Kind;
use crate::stage::Stage;

/// The objects of a stage without what controllers write by themselves.
///
/// A resourceVersion is no measure: the Deployment controller writes `status` while a release
/// crashes, Argo CD's controller writes its comparison into the Application each few seconds, and
/// both change it, and their own entries in managedFields. What is kept changes only with a write
/// to the spec or the metadata: uid, generation, labels, annotations, owners, finalizers, the
/// spec, the managedFields of everybody else, times included (a write that changes no value may
/// still show there), and when Argo CD's last operation began. A Service has no controller here that writes it, so of that one
/// everything is kept. Of pods, which ones there are.
#[derive(PartialEq)]
pub(crate) struct Snapshot(BTreeMap<String, Value>);

/// Field managers of the controllers.
const CONTROLLERS: [&str; 3] = [
    "kube-controller-manager",
    "argocd-application-controller",
    "argocd-controller",
];

impl Stage {
    /// Takes a snapshot.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let kinds = [
            Kind::Deployment,
            Kind::ReplicaSet,
            Kind::Service,
            Kind::Autoscaler,
            Kind::Pod,
        ];
        let mut all: Vec<(Kind, Value)> = Vec::new();
        for kind in kinds {
            all.extend(self.list(kind).into_iter().map(|object| (kind, object)));
        }
        let application = self.settled_application();
        all.extend(application.map(|object| (Kind::Application, object)));
        let kept = all.into_iter().map(|(kind, object)| {
            let name = object["metadata"]["name"].as_str().unwrap_or("?");
            (format!("{kind:?} {name}"), kept(kind, &object))
        });
        Snapshot(kept.collect())
    }

    /// The Application once an operation that Argo CD began by itself is over, which is a moment
    /// after its pods are there; one that goes on for longer is part of the scenario.
    fn settled_application(&self) -> Option<Value> {
        let began = std::time::Instant::now();
        loop {
            let application = self.get(Kind::Application)?;
            let goes_on = application["operation"].is_object()
                || application["status"]["operationState"]["phase"] == "Running";
            if !goes_on || began.elapsed() > std::time::Duration::from_secs(10) {
                return Some(application);
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}

fn kept(kind: Kind, object: &Value) -> Value {
    let mut object = object.clone();
    match kind {
        Kind::Service => return object,
        Kind::Pod => return object["metadata"]["uid"].clone(),
        _ => {}
    }
    // A sync that somebody asked for is over by then, but its operation was another one.
    let operation = object["status"]["operationState"]["startedAt"].take();
    if let Some(fields) = object.as_object_mut() {
        fields.insert("status".to_owned(), operation);
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
        // The Application's status is no subresource: its controller's writes count here.
        if matches!(kind, Kind::Application) {
            metadata.remove("generation");
        }
        if let Some(entries) = metadata
            .get_mut("managedFields")
            .and_then(Value::as_array_mut)
        {
            entries.retain(|entry| {
                let manager = entry["manager"].as_str().unwrap_or("");
                entry["subresource"] != "status" && !CONTROLLERS.contains(&manager)
            });
        }
    }
    object
}

impl Snapshot {
    /// Asserts that nobody wrote to the stage since.
    #[track_caller]
    pub(crate) fn assert_unchanged(&self, stage: &Stage) {
        let now = stage.snapshot();
        let names = self.0.keys().chain(now.0.keys());
        for name in names {
            let (before, after) = (self.0.get(name), now.0.get(name));
            assert!(
                before == after,
                "{name} of {} was written to:\n{before:#?}\nbecame\n{after:#?}",
                stage.name
            );
        }
    }
}
