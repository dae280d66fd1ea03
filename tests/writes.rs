//! The few writes of the clients and the rights that they need, against the sandbox: what
//! lands, what is refused, what nobody knows, and what is asked.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::{Plan, bed, build, world};
use serde_json::{Value, json};
use unship::argocd::{ApplicationKey, Argocd, Refresh, Resolved};
use unship::cluster::{Cluster, Error, ScaleFrom, Settings};
use unship::git::Git;
use unship::model::{
    Allowed, Gap, GapReason, Observation, Right, Workload, WorkloadKind, WorkloadRef,
};
use unship::observe::{Clients, Scope, observe};
use unship::programs::Programs;
use unship::sandbox::{Effect, Fault, Role, Surface};

/// A namespace that nothing manages, with a Deployment `web` that has a secret value.
fn unmanaged(prefix: &str) -> WorkloadRef {
    let world = build(&Plan {
        application: false,
        bad: false,
        ..Plan::new(prefix)
    });
    let object = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": world.name},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
                {"name": "web", "image": "example.org/web:2",
                 "env": [{"name": "TOKEN", "value": "canary-sekret"}]}]}}}});
    bed().sandbox.create(object).unwrap();
    let namespace = world.name.clone();
    // The test goes on with what the world has in the cluster.
    std::mem::forget(world);
    WorkloadRef {
        kind: WorkloadKind::Deployment,
        namespace,
        name: "web".to_owned(),
    }
}

fn kubeconfig(variable: &str) -> PathBuf {
    PathBuf::from(bed().sandbox.variable(variable))
}

async fn connect(file: PathBuf) -> Cluster {
    let settings = Settings {
        kubeconfig: Some(file),
        request_timeout: Duration::from_secs(5),
        ..Settings::default()
    };
    Cluster::connect(&settings).await.unwrap()
}

async fn admin() -> Cluster {
    connect(kubeconfig("UNSHIP_WORLD_ADMIN_KUBECONFIG")).await
}

fn argocd(token: &str) -> Argocd {
    let server = Resolved {
        base_url: bed().sandbox.variable("ARGOCD_SERVER").to_owned(),
        token: Some(token.to_owned().into()),
        insecure_tls: false,
        ca_pem: None,
        client_pem: None,
        source: "a test".to_owned(),
        read_only_proxy: false,
    };
    Argocd::connect(server, Duration::from_secs(10))
}

/// Another image, with tests on what was seen.
fn to_tag(seen: &Workload, tag: &str) -> Value {
    let mut template = seen.template.value().clone();
    template["spec"]["containers"][0]["image"] = json!(format!("example.org/web:{tag}"));
    json!([
        {"op": "test", "path": "/metadata/uid", "value": seen.uid},
        {"op": "test", "path": "/metadata/generation", "value": seen.generation},
        {"op": "replace", "path": "/spec/template", "value": template},
    ])
}

fn image(workload: &Workload) -> String {
    let main = workload.template.main_image().unwrap();
    main.as_str().to_owned()
}

/// A fault on the PATCHes of one namespace.
fn plant(target: &WorkloadRef, effect: Effect) -> u64 {
    let fault = Fault {
        surface: Surface::Kubernetes,
        method: Some("PATCH".to_owned()),
        path: format!("/namespaces/{}/", target.namespace),
        skip: 0,
        times: Some(1),
        effect,
    };
    bed().sandbox.faults().plant(fault).unwrap()
}

#[test]
fn a_workload_is_patched_after_a_dry_run_and_only_as_it_was_seen() {
    let target = unmanaged("patched");
    bed().runtime.block_on(async {
        let cluster = admin().await;
        let seen = cluster.workload(&target).await.unwrap();
        let patch = to_tag(&seen, "1");
        let tried = cluster.patch_workload(&target, &patch, true).await.unwrap();
        assert_eq!(image(&tried), "example.org/web:1");
        assert_eq!(tried.generation, seen.generation + 1);
        let now = cluster.workload(&target).await.unwrap();
        assert_eq!(
            (image(&now).as_str(), now.generation),
            ("example.org/web:2", seen.generation),
            "a dry run changes nothing"
        );
        let done = cluster
            .patch_workload(&target, &patch, false)
            .await
            .unwrap();
        assert_eq!(image(&done), "example.org/web:1");
        assert!(done.template_managers.contains(&"unship".to_owned()));
        let again = cluster.patch_workload(&target, &patch, false).await;
        assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");
        let moved = json!([{"op": "replace", "path": "/spec/selector/matchLabels", "value": {"app": "x"}},
            {"op": "replace", "path": "/spec/template/metadata/labels", "value": {"app": "x"}}]);
        let moved = cluster.patch_workload(&target, &moved, true).await;
        assert!(
            matches!(&moved, Err(Error::Rejected { immutable: true, message, .. })
                if message == "spec.selector: Invalid value: ***: field is immutable"),
            "{moved:?}"
        );
    });
}

#[test]
fn who_may_not_is_told_why() {
    let target = unmanaged("refused");
    bed().runtime.block_on(async {
        let cluster = admin().await;
        let seen = cluster.workload(&target).await.unwrap();
        let patch = to_tag(&seen, "1");
        let denial = "admission webhook \"images.example\" denied the request: TOKEN=canary-sekret";
        plant(&target, Effect::Deny(denial.to_owned()));
        let error = cluster.patch_workload(&target, &patch, true).await;
        let error = error.unwrap_err();
        assert!(matches!(error, Error::Denied { .. }), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains("images.example") && text.ends_with("TOKEN=***"),
            "{text}"
        );
        let observer = connect(kubeconfig("KUBECONFIG")).await;
        let error = observer.patch_workload(&target, &patch, true).await;
        assert!(matches!(error, Err(Error::Forbidden { .. })), "{error:?}");
        let from = ScaleFrom {
            uid: &seen.uid,
            replicas: 1,
        };
        let error = observer.scale(&target, from, 0, true).await;
        assert!(matches!(error, Err(Error::Forbidden { .. })), "{error:?}");
        let now = cluster.workload(&target).await.unwrap();
        assert_eq!(
            (now.generation, &now.template, now.replicas),
            (seen.generation, &seen.template, 1)
        );
    });
}

#[test]
fn a_broken_write_may_be_there_or_not_and_is_not_repeated() {
    let target = unmanaged("broken");
    bed().runtime.block_on(async {
        let cluster = admin().await;
        for (effect, tag) in [
            (Effect::Drop, "2"),
            (Effect::Answer(504), "2"),
            (Effect::DropAfter, "1"),
        ] {
            let seen = cluster.workload(&target).await.unwrap();
            plant(&target, effect.clone());
            let before = cluster.requests_sent()["get deployments"];
            let error = cluster
                .patch_workload(&target, &to_tag(&seen, "1"), false)
                .await
                .unwrap_err();
            assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
            assert_eq!(cluster.requests_sent()["get deployments"], before);
            let now = cluster.workload(&target).await.unwrap();
            assert_eq!(image(&now), format!("example.org/web:{tag}"), "{effect:?}");
        }
        assert_eq!(cluster.requests_sent()["patch deployments"], 3);
    });
}

#[test]
fn a_scale_goes_to_zero_and_back() {
    let target = unmanaged("scaled");
    bed().runtime.block_on(async {
        let cluster = admin().await;
        let seen = cluster.workload(&target).await.unwrap();
        let from = |replicas| ScaleFrom {
            uid: &seen.uid,
            replicas,
        };
        assert_eq!(cluster.scale(&target, from(1), 0, true).await.unwrap(), 0);
        assert_eq!(cluster.scale(&target, from(1), 0, false).await.unwrap(), 0);
        for wrong in [
            from(1),
            ScaleFrom {
                uid: "x",
                replicas: 0,
            },
        ] {
            let error = cluster.scale(&target, wrong, 3, false).await;
            assert!(matches!(error, Err(Error::Conflict { .. })), "{error:?}");
        }
        assert_eq!(cluster.scale(&target, from(0), 3, false).await.unwrap(), 3);
        let now = cluster.workload(&target).await.unwrap();
        assert_eq!((now.replicas, &now.template), (3, &seen.template));
    });
}

#[test]
fn automated_sync_is_suspended_and_given_back_through_both_doors() {
    let world = world("doors");
    bed().runtime.block_on(async {
        let cluster = admin().await;
        let suspend = json!([
            {"op": "test", "path": "/spec/syncPolicy/automated/selfHeal", "value": true},
            {"op": "remove", "path": "/spec/syncPolicy/automated"},
        ]);
        let resume = json!([
            {"op": "test", "path": "/spec/syncPolicy/automated", "value": null},
            {"op": "add", "path": "/spec/syncPolicy/automated", "value": {"prune": true, "selfHeal": true}},
        ]);
        let name = &world.name;
        let after = cluster
            .patch_application("argocd", name, &suspend)
            .await
            .unwrap();
        assert_eq!(after["spec"]["syncPolicy"], json!({}));
        let again = cluster.patch_application("argocd", name, &suspend).await;
        assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");
        let argocd = argocd(bed().sandbox.variable("UNSHIP_WORLD_ADMIN_ARGOCD_TOKEN"));
        let key = ApplicationKey::named(name.as_str());
        let app = argocd.patch(&key, &resume).await.unwrap();
        assert!(app.auto_sync.enabled && app.auto_sync.self_heal);
        let again = argocd.patch(&key, &resume).await.unwrap_err();
        assert!(
            matches!(again, unship::argocd::Error::Conflict { .. }),
            "{again:?}"
        );
    });
}

#[test]
fn argo_cd_syncs_rolls_back_and_terminates() {
    use unship::argocd::Error as ArgoError;
    let world = world("argo");
    let name = world.name.as_str();
    bed().runtime.block_on(async {
        let admin = argocd(bed().sandbox.variable("UNSHIP_WORLD_ADMIN_ARGOCD_TOKEN"));
        let ci = argocd(&bed().sandbox.argocd_token("ci", Role::Sync));
        let devpod = argocd(bed().sandbox.variable("ARGOCD_AUTH_TOKEN"));
        let key = ApplicationKey::named(name);
        let app = ci.application(&key, Refresh::None).await.unwrap();
        let good = app.history[1].clone();
        let error = ci.rollback(&key, good.id).await.unwrap_err();
        assert!(matches!(error, ArgoError::AutoSync { .. }), "{error:?}");
        let commit = good.commits[0].as_str();
        let error = ci.sync(&key, Some(commit), &[]).await.unwrap_err();
        assert!(matches!(error, ArgoError::AutoSync { .. }), "{error:?}");
        let suspend = json!([{"op": "remove", "path": "/spec/syncPolicy/automated"}]);
        let error = ci.patch(&key, &suspend).await.unwrap_err();
        assert!(matches!(error, ArgoError::Denied { .. }), "{error:?}");
        admin.patch(&key, &suspend).await.unwrap();
        let whole = ApplicationKey::from(&app);
        for error in [
            devpod.rollback(&whole, good.id).await,
            devpod.sync(&whole, None, &[]).await,
            devpod.terminate(&whole).await,
        ] {
            assert!(matches!(error, Err(ArgoError::Denied { .. })), "{error:?}");
        }
        let error = ci.terminate(&whole).await.unwrap_err();
        assert!(matches!(error, ArgoError::NoOperation { .. }), "{error:?}");
        let error = ci.rollback(&whole, unship::model::HistoryId(99)).await;
        assert!(
            matches!(error, Err(ArgoError::NoSuchHistory { .. })),
            "{error:?}"
        );
        ci.rollback(&whole, good.id).await.unwrap();
        wait_for_image(name, ":1.2.0").await;
        let target = WorkloadRef {
            kind: WorkloadKind::Deployment,
            namespace: name.to_owned(),
            name: "zai-proxy".to_owned(),
        };
        let first = app.history[0].commits[0].as_str();
        sync_when_free(&ci, &whole, first, &target).await;
        wait_for_image(name, ":1.1.0").await;
    });
}

/// Starts a sync of one object once the operation before is over.
async fn sync_when_free(argocd: &Argocd, key: &ApplicationKey, commit: &str, target: &WorkloadRef) {
    for _ in 0..200 {
        match argocd.sync(key, Some(commit), &[target.object()]).await {
            Ok(()) => return,
            Err(unship::argocd::Error::OperationInProgress { .. }) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("an operation that does not end");
}

async fn wait_for_image(namespace: &str, ending: &str) {
    let runs = |object: &Value| {
        object
            .pointer("/spec/template/spec/containers/0/image")
            .and_then(Value::as_str)
            .is_some_and(|image| image.ends_with(ending))
    };
    let place = ("apps", "Deployment", namespace, "zai-proxy");
    let waited = bed()
        .sandbox
        .wait_for(place, Duration::from_secs(20), runs)
        .await;
    waited.unwrap();
}

fn scope(world: &common::World) -> Scope {
    Scope {
        kind: None,
        name: "zai-proxy".to_owned(),
        namespace: world.name.clone(),
        app: None,
        repo: None,
        file: None,
        branch: None,
        directory: world.engineer.clone.clone(),
        clones: Vec::new(),
        cache: world.engineer.home.join("cache"),
        with: Vec::new(),
        commit: None,
        undo: None,
        automation: false,
        holds: false,
        replicas: false,
        removed: None,
        used: 0,
        depth: 5,
        git: false,
        rights: true,
    }
}

async fn look(clients: &Clients, scope: &Scope) -> Observation {
    let sight = observe(clients, scope, jiff::Timestamp::now()).await;
    sight.unwrap().observation
}

fn clients(cluster: Cluster, argocd: Result<Argocd, Gap>) -> Clients {
    Clients {
        cluster: Ok(Arc::new(cluster)),
        argocd: argocd.map(Arc::new),
        git: Git::new(HashMap::new()),
        programs: Programs::new(&HashMap::new()),
    }
}

/// A fault on reviews meets everybody who asks for rights.
static REVIEWS: Mutex<()> = Mutex::new(());

const ALL: [Right; 5] = [
    Right::PatchWorkload,
    Right::PatchScale,
    Right::PatchApplication,
    Right::ArgocdSync,
    Right::ArgocdUpdate,
];

fn known(observation: &Observation) -> [Allowed; 5] {
    ALL.map(|right| observation.rights.allowed(right))
}

#[test]
fn a_look_asks_for_the_rights_of_the_routes_once() {
    use Allowed::{Allowed as Yes, Denied as No, Unknown};
    let _alone = REVIEWS.lock().unwrap_or_else(PoisonError::into_inner);
    let world = world("rights");
    let scope = scope(&world);
    bed().runtime.block_on(async {
        let devpod = argocd(bed().sandbox.variable("ARGOCD_AUTH_TOKEN"));
        let observer = clients(connect(kubeconfig("KUBECONFIG")).await, Ok(devpod));
        let seen = look(&observer, &scope).await;
        assert_eq!(known(&seen), [No, No, No, No, No]);
        let words: Vec<&str> = seen.rights.iter().map(|(_, a)| a.right.as_str()).collect();
        let name = &world.name;
        assert_eq!(
            words,
            [
                format!("patch deployments.apps in {name} (zai-proxy)"),
                format!("patch deployments.apps/scale in {name} (zai-proxy)"),
                format!("patch applications.argoproj.io in argocd ({name})"),
                format!("sync applications default/{name} in Argo CD"),
                format!("update applications default/{name} in Argo CD"),
            ]
        );
        let count = |clients: &Clients| {
            let cluster = clients.cluster.as_ref().unwrap().requests_sent();
            let argocd = clients.argocd.as_ref().unwrap().requests();
            let reviews = cluster.get("create selfsubjectaccessreviews").copied();
            (reviews, argocd.get("can-i").copied())
        };
        assert_eq!(count(&observer), (Some(3), Some(2)));
        let quiet = Scope {
            rights: false,
            ..scope.clone()
        };
        let seen = look(&observer, &quiet).await;
        assert_eq!(known(&seen), [Unknown; 5]);
        assert_eq!(
            count(&observer),
            (Some(3), Some(2)),
            "nothing more is asked"
        );
        let ci = argocd(&bed().sandbox.argocd_token("ci", Role::Sync));
        let seen = look(&clients(admin().await, Ok(ci)), &scope).await;
        assert_eq!(known(&seen), [Yes, Yes, Yes, Yes, No]);
        let none = Gap {
            what: "Argo CD's API".to_owned(),
            reason: GapReason::NotConfigured,
            message: "no server".to_owned(),
        };
        let seen = look(&clients(admin().await, Err(none)), &scope).await;
        assert!(seen.argocd.application.is_some());
        assert_eq!(known(&seen), [Yes, Yes, Yes, Unknown, Unknown]);
    });
}

#[test]
fn what_cannot_be_asked_stays_unknown() {
    use Allowed::Unknown;
    let _alone = REVIEWS.lock().unwrap_or_else(PoisonError::into_inner);
    let world = world("unasked");
    let scope = scope(&world);
    bed().runtime.block_on(async {
        let reviews = Fault {
            surface: Surface::Kubernetes,
            method: Some("POST".to_owned()),
            path: "selfsubjectaccessreviews".to_owned(),
            skip: 0,
            times: None,
            effect: Effect::Answer(500),
        };
        let rights = Fault {
            surface: Surface::Argocd,
            path: format!("can-i/applications/[a-z]+/default/{}$", world.name),
            method: None,
            ..reviews.clone()
        };
        let faults = bed().sandbox.faults();
        let planted = [reviews, rights].map(|fault| faults.plant(fault).unwrap());
        let token = bed().sandbox.variable("UNSHIP_WORLD_ADMIN_ARGOCD_TOKEN");
        let seen = look(&clients(admin().await, Ok(argocd(token))), &scope).await;
        for id in planted {
            assert_ne!(faults.remove(id), Some(0));
        }
        assert_eq!(known(&seen), [Unknown; 5]);
        let answer = seen.rights.answer(Right::PatchWorkload).unwrap();
        assert!(answer.reason.contains("500"), "{}", answer.reason);
        // An Application that deploys elsewhere does not live here.
        let key = ApplicationKey::named(world.name.as_str());
        let elsewhere = json!([{"op": "replace", "path": "/spec/destination/server",
            "value": "https://far.example:6443"}]);
        argocd(token).patch(&key, &elsewhere).await.unwrap();
        let seen = look(&clients(admin().await, Ok(argocd(token))), &scope).await;
        let answer = seen.rights.answer(Right::PatchApplication).unwrap();
        assert_eq!(answer.allowed, Unknown);
        assert!(answer.reason.contains("far.example"), "{}", answer.reason);
        assert_eq!(seen.rights.allowed(Right::ArgocdUpdate), Allowed::Allowed);
    });
}

#[test]
fn a_daemon_set_has_no_scale_to_ask_about() {
    let _alone = REVIEWS.lock().unwrap_or_else(PoisonError::into_inner);
    let world = build(&Plan {
        application: false,
        bad: false,
        ..Plan::new("agents")
    });
    let object = json!({"apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": "agent", "namespace": world.name},
        "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": {
            "metadata": {"labels": {"app": "agent"}},
            "spec": {"containers": [{"name": "agent", "image": "example.org/agent:1"}]}}}});
    bed().sandbox.create(object).unwrap();
    let scope = Scope {
        name: "agent".to_owned(),
        ..scope(&world)
    };
    bed().runtime.block_on(async {
        let none = Gap {
            what: "Argo CD's API".to_owned(),
            reason: GapReason::NotConfigured,
            message: "no server".to_owned(),
        };
        let clients = clients(admin().await, Err(none));
        let seen = look(&clients, &scope).await;
        assert_eq!(seen.rights.allowed(Right::PatchWorkload), Allowed::Allowed);
        let scale = seen.rights.answer(Right::PatchScale).unwrap();
        assert_eq!(
            (scale.allowed, scale.reason.as_str()),
            (Allowed::Denied, "a DaemonSet has no scale")
        );
        let sent = clients.cluster.as_ref().unwrap().requests_sent();
        assert_eq!(sent.get("create selfsubjectaccessreviews"), Some(&1));
    });
}

#[test]
fn questions_about_rights_make_no_look_slower() {
    const WAIT: Duration = Duration::from_millis(1500);
    let _alone = REVIEWS.lock().unwrap_or_else(PoisonError::into_inner);
    let world = world("beside");
    let scope = scope(&world);
    let slow = |surface, path: &str| Fault {
        surface,
        method: None,
        path: path.to_owned(),
        skip: 0,
        times: None,
        effect: Effect::DelayMs(1500),
    };
    bed().runtime.block_on(async {
        let token = bed().sandbox.variable("ARGOCD_AUTH_TOKEN");
        let clients = clients(connect(kubeconfig("KUBECONFIG")).await, Ok(argocd(token)));
        let faults = bed().sandbox.faults();
        let planted = [
            slow(Surface::Kubernetes, &format!("/{}/pods", world.name)),
            slow(Surface::Kubernetes, "selfsubjectaccessreviews"),
            slow(Surface::Argocd, "/projects/"),
            slow(Surface::Argocd, "/can-i/"),
        ]
        .map(|fault| faults.plant(fault).unwrap());
        let began = std::time::Instant::now();
        let seen = look(&clients, &scope).await;
        let took = began.elapsed();
        for id in planted {
            assert_ne!(faults.remove(id), Some(0));
        }
        assert_eq!(known(&seen), [Allowed::Denied; 5]);
        // Pods, then the project: the questions wait beside them.
        assert!(took >= WAIT * 2 && took < WAIT * 3, "{took:?}");
    });
}
