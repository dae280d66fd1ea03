//! A canary's document taken out of Git: what is certain to go, and what must be at 0 first.

use super::*;
use crate::model::Hpa;

fn delete() -> Request {
    Request {
        intent: Intent::Abort {
            production: Some("zai-proxy".into()),
            record: "file".into(),
            delete: true,
        },
        ..request()
    }
}

/// A world whose Application prunes and has another object.
fn pruning() -> Observation {
    let mut seen = world(&BAD);
    let app = seen.argocd.application.as_mut().unwrap();
    app.auto_sync.prune = true;
    for name in ["zai-proxy", "other"] {
        app.resources.push(crate::model::ResourceState {
            group: "apps".into(),
            kind: "Deployment".into(),
            namespace: "mcp".into(),
            name: name.into(),
            sync: crate::model::SyncStatus::Synced,
            health: None,
            health_message: String::new(),
        });
    }
    seen
}

fn actions(prepared: &Prepared) -> Vec<&'static str> {
    prepared.plan.steps.iter().map(|s| s.action.id()).collect()
}

#[test]
fn what_argo_cd_prunes_goes_in_one_commit() {
    let prepared = planned(&pruning(), &delete());
    assert_eq!(prepared.plan.removal(), Some(Removal::Pruned));
    assert_eq!(
        actions(&prepared),
        ["capture", "record", "commit", "push", "land", "verify"]
    );
    let [file] = prepared.files.as_slice() else {
        panic!("{:?}", prepared.files)
    };
    assert!(!file.gone, "the Service of that file stays");
    assert_eq!(
        file.after,
        "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: zai-proxy\n"
    );
    assert!(
        prepared.plan.writes.is_empty(),
        "nothing is deleted by hand"
    );
    assert!(prepared.plan.is_intact());
}

#[test]
fn a_file_of_which_nothing_is_left_is_removed() {
    let mut seen = pruning();
    let git = seen.git.as_mut().unwrap();
    let own = git.text.split("---").next().unwrap().to_owned();
    git.text = own.into();
    let prepared = planned(&seen, &delete());
    let file = &prepared.files[0];
    assert!(file.gone && file.after.is_empty());
    assert_eq!(prepared.plan.commits[0].files[0].after, "");
    seen.git.as_mut().unwrap().named_in = vec!["kustomization.yaml line 3".into()];
    assert_eq!(refused(&seen, &delete()), ["file-named"]);
    seen.git.as_mut().unwrap().named_in.clear();
    let edited = Request {
        goal: Goal::Edited,
        ..delete()
    };
    assert_eq!(refused(&seen, &edited), ["file-goes"]);
}

type Change = fn(&mut Observation);

/// What keeps Argo CD from pruning, each as a change of the world.
fn keeping() -> Vec<(&'static str, Change)> {
    fn app(seen: &mut Observation) -> &mut crate::model::Application {
        seen.argocd.application.as_mut().unwrap()
    }
    fn annotate(seen: &mut Observation, key: &str, value: &str) {
        let annotations = &mut seen.cluster.workload.as_mut().unwrap().annotations;
        annotations.insert(format!("argocd.argoproj.io/{key}"), value.to_owned());
    }
    vec![
        ("automated.prune", |seen| app(seen).auto_sync.prune = false),
        ("is off", |seen| app(seen).auto_sync.enabled = false),
        ("Prune=false of", |seen| {
            app(seen).sync_options.push("Prune=false".into());
        }),
        ("annotation Prune=false", |seen| {
            annotate(seen, "sync-options", "Validate=false, Prune=false");
        }),
        ("annotation Prune=confirm", |seen| {
            annotate(seen, "sync-options", "Prune=confirm");
        }),
        ("leave its pods", |seen| {
            annotate(seen, "sync-options", "PrunePropagationPolicy=orphan");
        }),
        ("IgnoreExtraneous", |seen| {
            annotate(seen, "compare-options", "IgnoreExtraneous");
        }),
        ("only object", |seen| {
            app(seen).resources.truncate(1);
        }),
        ("cannot be read", |seen| seen.argocd.application = None),
    ]
}

#[test]
fn what_may_stay_is_at_0_first() {
    for (why, change) in keeping() {
        let mut seen = pruning();
        change(&mut seen);
        let pushed = Request {
            goal: Goal::Pushed,
            ..delete()
        };
        let first = planned(&seen, &pushed);
        assert_eq!(first.plan.removal(), None, "{why}");
        assert_eq!(first.desired.replicas, Some(0), "{why}");
        assert!(first.files[0].after.contains("replicas: 0"), "{why}");
        assert!(!first.plan.request.intent.deletes(), "{why}");
        let said = first.plan.warnings.join("\n");
        assert!(said.contains(why), "{why} in {said}");
        assert!(said.contains("OutOfSync"), "{said}");
        assert!(first.plan.is_intact());

        seen.cluster.workload.as_mut().unwrap().replicas = 0;
        let then = planned(&seen, &delete());
        assert_eq!(then.plan.removal(), Some(Removal::Left), "{why}");
        assert_eq!(
            actions(&then),
            ["capture", "record", "commit", "push", "verify"],
            "{why}"
        );
        let said = then.plan.warnings.join("\n");
        assert!(said.contains(why) && said.contains("OutOfSync"), "{said}");
    }
}

#[test]
fn a_removal_goes_through_git_or_not_at_all() {
    for route in [Route::Direct, Route::Argo, Route::Request] {
        let wanted = Request { route, ..delete() };
        assert_eq!(refused(&pruning(), &wanted), ["not-through-git"]);
    }
    let mut unseen = pruning();
    unseen.cluster.workload = None;
    assert_eq!(refused(&unseen, &delete()), ["live-unknown"]);
}

#[test]
fn an_autoscaler_that_stays_is_named() {
    let mut seen = pruning();
    seen.cluster.hpas = Some(vec![Hpa {
        name: "scaler".into(),
        target_kind: "Deployment".into(),
        target_name: "zai-proxy".into(),
        min_replicas: 1,
        max_replicas: 3,
    }]);
    let said = planned(&seen, &delete()).plan.warnings.join("\n");
    assert!(said.contains("scaler stays"), "{said}");
}
