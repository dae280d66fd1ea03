//! The stages and what can be done to them, proved in both worlds: scenarios rely on it.

use serde_json::{Value, json};

use crate::admin::Kind;
use crate::stage::{BAD, GOOD, Setting, Stage, WORKLOAD, image};
use crate::world::World;

/// A release by hand without any repository: it crashes, and unship sees nothing of Argo CD or
/// Git there.
pub(crate) fn an_unmanaged_stage_crashes_without_git(world: &'static World) {
    let setting = Setting {
        replicas: Some(2),
        ..Setting::default()
    };
    let stage = Stage::unmanaged_with_bad_release(world, "unmanaged", &setting);
    let live = stage.deployment().expect("the Deployment");
    assert_eq!(live["spec"]["replicas"], 2);
    let labels = &live["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels["version"], BAD, "image and label in one change");
    let annotations = &live["metadata"]["annotations"];
    let tracking = annotations.get("argocd.argoproj.io/tracking-id");
    assert_eq!(tracking, None, "nothing of Argo CD");
    let owner = |manager: &str, of: &str| {
        let entries = live["metadata"]["managedFields"].as_array().cloned();
        let mut own = entries.unwrap_or_default().into_iter();
        own.any(|entry| {
            entry["manager"] == manager && entry["fieldsV1"]["f:spec"].to_string().contains(of)
        })
    };
    assert!(owner("kubectl-client-side-apply", "f:selector"), "{live:#}");
    assert!(owner("kubectl-patch", "f:version"), "{live:#}");
    let sets = stage.list(Kind::ReplicaSet);
    let images: Vec<&str> = sets.iter().map(image).collect();
    assert_eq!(images.len(), 2, "{images:?}");
    let user = stage.user();
    let status = user.on_target("status", &[]).ends_with(0);
    status
        .says("/targets/0/images", BAD)
        .has("/targets/0/application", Value::Null)
        .has("/targets/0/source", Value::Null)
        .says("/targets/0/servingLine", "old pods (1.2.0) serve 100 %");
    stage.ship_by_hand(GOOD);
    stage.wait_live(GOOD);
}

/// StatefulSets and DaemonSets are unmanaged workloads as well; a deployer reads the
/// ControllerRevisions that they could go back to.
pub(crate) fn other_workloads_crash_without_git(world: &'static World) {
    for kind in [Kind::StatefulSet, Kind::DaemonSet] {
        let setting = Setting {
            kind: Some(kind),
            ..Setting::default()
        };
        let name = format!("{kind:?}").to_lowercase();
        let stage = Stage::unmanaged_with_bad_release(world, &name, &setting);
        let deployer = world.connect("UNSHIP_WORLD_DEPLOYER_KUBECONFIG");
        let revisions = world.wait(deployer.list(Kind::ControllerRevision, &stage.name));
        let mut known: Vec<(i64, &str)> = revisions
            .iter()
            .map(|own| {
                let template = "/data/spec/template/spec/containers/0/image";
                let image = own.pointer(template).and_then(Value::as_str);
                (own["revision"].as_i64().unwrap_or(0), image.unwrap_or(""))
            })
            .collect();
        known.sort_unstable();
        let images = [GOOD, BAD].map(|tag| format!("ronaldraygun/{WORKLOAD}:{tag}"));
        assert_eq!(known, [(1, images[0].as_str()), (2, images[1].as_str())]);
        let user = stage.user().as_deployer();
        let status = user.on_target("status", &[]).ends_with(0);
        status.says("/targets/0/images", BAD);
        let owned =
            |pod: &Value| pod["metadata"]["ownerReferences"][0]["kind"] == format!("{kind:?}");
        assert!(stage.list(Kind::Pod).iter().all(owned));
        if kind == Kind::DaemonSet {
            stage.ship_by_hand(GOOD);
            stage.wait_live(GOOD);
        }
    }
}

/// The measure of zero writes: reading leaves it as it is, each kind of write does not.
pub(crate) fn a_read_only_command_changes_no_object(world: &'static World) {
    let story = Stage::with_bad_release(world, "snapshot");
    let stage = &story.stage;
    let before = stage.snapshot();
    let user = stage.user();
    user.on_target("status", &[]).ends_with(0);
    user.on_target("history", &[]).ends_with(0);
    user.on_target("plan", &[]).ends_with(0);
    // Argo CD's controller writes its status meanwhile: 10 s is its poll in both worlds.
    let compared = stage.application()["status"]["reconciledAt"].clone();
    world.until("Argo CD compares again by itself", || {
        let now = stage.application()["status"]["reconciledAt"].clone();
        if now == compared {
            Err(now.to_string())
        } else {
            Ok(())
        }
    });
    before.assert_unchanged(stage);
    let writes: [(Kind, Value); 4] = [
        (
            Kind::Deployment,
            json!({"metadata": {"labels": {"seen": "1"}}}),
        ),
        (Kind::Deployment, json!({"spec": {"paused": true}})),
        (
            Kind::Service,
            json!({"metadata": {"annotations": {"seen": "1"}}}),
        ),
        (
            Kind::Application,
            json!({"metadata": {"annotations": {"seen": "1"}}}),
        ),
    ];
    for (kind, patch) in writes {
        let before = stage.snapshot();
        stage.patch(kind, &patch);
        assert!(before != stage.snapshot(), "{patch} is not seen");
    }
}

/// An admission policy refuses deployer and scaler, dry runs as well, and spares the
/// administrator; the answer is the same in both worlds to the letter.
pub(crate) fn admission_denies_a_patch_by_hand(world: &'static World) {
    let stage = Stage::unmanaged(world, "denied", (GOOD, &Setting::default()));
    stage.deny_patches(true);
    let before = stage.snapshot();
    let object = Kind::Deployment.path((&stage.name, WORKLOAD));
    let pause = json!({"spec": {"paused": true}});
    let scale = json!({"spec": {"replicas": 0}});
    stage.planned("deployer", "patch deployments.apps/scale");
    stage.planned("scaler", "patch deployments.apps/scale");
    for (identity, path, patch) in [
        ("DEPLOYER", object.clone(), &pause),
        ("DEPLOYER", format!("{object}?dryRun=All"), &pause),
        ("DEPLOYER", format!("{object}/scale"), &scale),
        ("SCALER", format!("{object}/scale"), &scale),
    ] {
        let hands = world.connect(&format!("UNSHIP_WORLD_{identity}_KUBECONFIG"));
        let answer = world.wait(hands.try_patch(&path, "merge-patch", patch));
        let Err(kube::Error::Api(answer)) = answer else {
            panic!("{identity} at {path}: {answer:?}");
        };
        let cause = "ValidatingAdmissionPolicy 'deny-patch' with binding 'deny-patch' denied \
                     request: changes by hand are frozen in this namespace";
        let message = format!("deployments.apps \"{WORKLOAD}\" is forbidden: {cause}");
        assert_eq!((answer.code, answer.reason.as_str()), (422, "Invalid"));
        assert_eq!(answer.message, message, "{path}");
        let details = serde_json::to_value(&answer.details).expect("details");
        let wanted = json!({"name": WORKLOAD, "group": "apps", "kind": "deployments",
            "causes": [{"message": cause}]});
        for (field, value) in wanted.as_object().expect("fields") {
            assert_eq!(details[field], *value, "{field} of {details}");
        }
    }
    before.assert_unchanged(&stage);
    // What is no change of the spec passes, and so do the administrator and everybody later.
    let deployer = world.connect("UNSHIP_WORLD_DEPLOYER_KUBECONFIG");
    let label = json!({"metadata": {"labels": {"seen": "1"}}});
    let passed = world.wait(deployer.try_patch(&object, "merge-patch", &label));
    assert!(passed.is_ok(), "{passed:?}");
    stage.ship_by_hand("1.2.2");
    stage.wait_live("1.2.2");
    stage.deny_patches(false);
    let scaler = world.connect("UNSHIP_WORLD_SCALER_KUBECONFIG");
    // A Scale leaves 0 out, and 0 is nobody's field.
    for (replicas, spec, owned) in [(2, json!({"replicas": 2}), true), (0, json!({}), false)] {
        let patch = json!({"spec": {"replicas": replicas}});
        let path = format!("{object}/scale");
        let scaled = world.wait(scaler.try_patch(&path, "merge-patch", &patch));
        let scaled = scaled.expect("the scale is changed");
        assert_eq!((&scaled["kind"], &scaled["spec"]), (&json!("Scale"), &spec));
        let live = stage.deployment().expect("the Deployment");
        assert_eq!(live["spec"]["replicas"], replicas);
        let entries = live["metadata"]["managedFields"].as_array().cloned();
        let mut entries = entries.unwrap_or_default().into_iter();
        let by_scale = entries.any(|entry| entry["subresource"] == "scale");
        assert_eq!(by_scale, owned, "{live:#}");
    }
}

/// Argo CD can be kept away and brought back; an autoscaler and an owner are seen.
pub(crate) fn a_stage_takes_every_lever(world: &'static World) {
    let stage = Stage::new(world, "levers", (GOOD, &Setting::default()));
    let by_hand = |replicas: u32| {
        let patch = json!({"spec": {"replicas": replicas}});
        stage.patch(Kind::Deployment, &patch);
    };
    let replicas = || {
        let live = stage.deployment().expect("the Deployment");
        live["spec"]["replicas"].as_u64().unwrap_or(0)
    };
    let healed = || match replicas() {
        1 => Ok(()),
        other => Err(format!("{other} replicas")),
    };
    by_hand(2);
    world.until("self-heal takes the change back", healed);
    for away in ["reconcile", "auto-sync"] {
        let switch = |off: bool| match away {
            "reconcile" => stage.skip_reconcile(off),
            _ => stage.auto_sync(!off),
        };
        switch(true);
        by_hand(3);
        std::thread::sleep(std::time::Duration::from_secs(3));
        assert_eq!(replicas(), 3, "nobody heals without {away}");
        switch(false);
        world.until("self-heal is back", healed);
    }
    stage.autoscale(1, 5);
    let autoscaler = stage.get(Kind::Autoscaler).expect("the autoscaler");
    assert_eq!(autoscaler["spec"]["maxReplicas"], 5);
    assert_eq!(autoscaler["spec"]["metrics"][0]["resource"]["name"], "cpu");
    let user = stage.user();
    let status = user.on_target("status", &[]).ends_with(0);
    status.says("/targets/0/autoscalers", WORKLOAD);
    stage.own_by_application_set();
    std::thread::sleep(std::time::Duration::from_secs(1));
    let owners = stage.application()["metadata"]["ownerReferences"].clone();
    assert_eq!(owners[0]["kind"], "ApplicationSet", "it is not collected");
}

/// The remote can be away for everybody, and is the same when it is back.
pub(crate) fn a_lost_remote_comes_back(world: &'static World) {
    let story = Stage::with_bad_release(world, "lost-remote");
    let stage = &story.stage;
    let before = stage.references();
    let user = stage.user();
    stage.lose_git();
    let plan = user.on_target("plan", &[]);
    assert_ne!(plan.code, Some(0), "{}", plan.story());
    stage.return_git();
    assert_eq!(stage.references(), before);
    user.on_target("plan", &[]).ends_with(0);
}
