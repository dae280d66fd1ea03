//! Decisions on small worlds. A world is a list of commits, newest first, each with
//! the manifest it left; the cluster and Argo CD follow from what a test sets.

use std::sync::Arc;

use serde_json::json;

mod fleet;
mod hold;
mod removal;
mod revert;
mod routes;
mod world;

use super::*;
use crate::model::{Application, CommitId, Observation, SyncWindow};
use crate::timeline::Timeline;
use world::*;

const BAD: [Shipped; 3] = [
    Shipped("bad", "1.2.1", ""),
    Shipped("good", "1.2.0", ""),
    Shipped("old", "1.1.0", ""),
];

#[test]
fn previous_is_the_newest_trusted_release_and_the_edit_is_its_own_text() {
    let prepared = planned(&world(&BAD), &request());
    assert_eq!(prepared.files.len(), 1);
    assert_eq!(prepared.files[0].after, manifest("1.2.0", ""));
    let target = &prepared.plan.targets[0];
    assert_eq!(
        target.to.commit.as_deref(),
        Some(format!("{:040x}", 2).as_str())
    );
    assert_eq!(
        target.from.commit.as_deref(),
        Some(format!("{:040x}", 3).as_str())
    );
    assert!(
        target.later_work.iter().all(|work| work.release),
        "{:?}",
        target.later_work
    );
    assert_eq!(
        target.fields,
        [
            "spec.template.metadata.labels.version",
            "spec.template.spec.containers[proxy].image"
        ]
    );
    assert!(prepared.plan.is_intact());
}

#[test]
fn a_release_that_crashed_or_was_rolled_back_is_passed_over() {
    let mut seen = world(&BAD);
    seen.cluster.pods = Some(vec![pod(2, false)]);
    let prepared = planned(&seen, &request());
    assert_eq!(
        prepared.plan.targets[0].to.image,
        "ronaldraygun/zai-proxy:1.1.0"
    );
    assert!(
        prepared.plan.targets[0].skipped[0].contains("contradicted"),
        "{:?}",
        prepared.plan.targets[0].skipped
    );
}

#[test]
fn nothing_trusted_is_refused_and_an_explicit_target_is_not() {
    let mut seen = world(&BAD);
    // Each was current for an hour; the deadline asks for a day.
    seen.cluster
        .workload
        .as_mut()
        .unwrap()
        .progress_deadline_seconds = 86_400;
    assert_eq!(refused(&seen, &request()), ["no-trusted-target"]);
    let named = Request {
        to: To::Text("1.2.0".into()),
        ..request()
    };
    assert_eq!(
        planned(&seen, &named).plan.targets[0].to.image,
        "ronaldraygun/zai-proxy:1.2.0"
    );
    seen.cluster.pods = Some(vec![pod(2, true)]);
    assert_eq!(
        planned(&seen, &request()).plan.targets[0].to.grade,
        crate::timeline::Grade::Proven
    );
}

#[test]
fn a_landed_rollback_is_never_flipped_back() {
    let rollback =
        "fix: rollback\n\nwhy\n\nRollback-Of: 0000000000000000000000000000000000000002\n";
    let seen = world(&[
        Shipped(rollback, "1.2.0", ""),
        Shipped("bad", "1.2.1", ""),
        Shipped("good", "1.2.0", ""),
    ]);
    let prepared = planned(&seen, &request());
    assert!(prepared.plan.commits.is_empty() && prepared.files.is_empty());
    assert!(
        prepared
            .plan
            .warnings
            .iter()
            .any(|w| w.contains("already rolled back")),
        "{:?}",
        prepared.plan.warnings
    );
}

#[test]
fn later_work_is_not_taken_back_silently() {
    let seen = world(&[
        Shipped("tune", "1.2.1", "LATER"),
        Shipped("bad", "1.2.1", ""),
        Shipped("good", "1.2.0", ""),
    ]);
    assert_eq!(refused(&seen, &request()), ["later-work"]);
    let asked = Request {
        consent: false,
        ..request()
    };
    let work = &planned(&seen, &asked).plan.targets[0].later_work;
    assert!(
        work.iter()
            .any(|w| w.subject == "tune" && w.taken_back && !w.release),
        "{work:?}"
    );
    let discard = Request {
        discard_later: true,
        ..request()
    };
    assert_eq!(
        planned(&seen, &discard).files[0].after,
        manifest("1.2.0", "")
    );
    let image = Request {
        only: Only::Image,
        ..request()
    };
    let prepared = planned(&seen, &image);
    assert_eq!(prepared.files[0].after, manifest("1.2.0", "LATER"));
    assert!(
        prepared.plan.targets[0]
            .later_work
            .iter()
            .any(|w| w.subject == "tune" && !w.taken_back)
    );
}

#[test]
fn restarts_are_folded_and_an_older_image_is_chosen() {
    let mut seen = world(&BAD);
    let git = seen.git.as_mut().unwrap();
    let note =
        "      annotations:\n        kubectl.kubernetes.io/restartedAt: \"2026-01-01T11:59:00Z\"\n";
    let text = git
        .text
        .replace("      labels:\n", &format!("{note}      labels:\n"));
    let mut restarted = git.states[0].clone();
    restarted.template = template_of(&text);
    restarted.text = Arc::from(text.as_str());
    git.text = restarted.text.clone();
    git.states.insert(0, restarted);
    let timeline = Timeline::of(&seen, &[]);
    assert_eq!(timeline.entries.len(), 3, "{:?}", timeline.entries);
    assert!(!timeline.entries[0].folded.is_empty());
    assert_eq!(
        planned(&seen, &request()).plan.targets[0].to.image,
        "ronaldraygun/zai-proxy:1.2.0"
    );
}

#[test]
fn a_moved_parent_is_the_same_effect_and_a_changed_document_is_not() {
    let seen = world(&BAD);
    let first = planned(&seen, &request()).plan;
    let mut moved = seen.clone();
    moved.git.as_mut().unwrap().tip = CommitId::parse(&"e".repeat(40)).unwrap();
    let second = planned(&moved, &request()).plan;
    assert_eq!(first.effect_id, second.effect_id);
    assert_ne!(first.plan_id, second.plan_id);
    let mut changed = seen;
    let git = changed.git.as_mut().unwrap();
    git.text = Arc::from(git.text.replace("'10'", "'11'"));
    git.states[0].text = git.text.clone();
    git.states[0].template = template_of(&git.text);
    assert_ne!(
        first.effect_id,
        planned(&changed, &request()).plan.effect_id
    );
}

#[test]
fn from_decides_whether_anything_is_done() {
    let seen = world(&BAD);
    let other = Request {
        from: Some("1.3.0".into()),
        ..request()
    };
    assert!(matches!(decide(&seen, &other), Decision::NotNeeded(_)));
    let same = Request {
        from: Some("1.2.1".into()),
        ..request()
    };
    assert_eq!(planned(&seen, &same).files.len(), 1);
}

#[test]
fn unknown_names_and_ambiguous_names() {
    let seen = world(&BAD);
    let missing = Request {
        to: To::Text("9.9.9".into()),
        ..request()
    };
    assert_eq!(refused(&seen, &missing), ["target-not-found"]);
    let seen = world(&[
        Shipped("bad", "1.2.1", ""),
        Shipped("good", "0000", ""),
        Shipped("old", "1.1.0", ""),
    ]);
    let both = Request {
        to: To::Text("0000".into()),
        ..request()
    };
    assert_eq!(refused(&seen, &both), ["ambiguous-target"]);
    let tag = Request {
        to: To::Tag("0000".into()),
        ..request()
    };
    assert_eq!(
        planned(&seen, &tag).plan.targets[0].to.image,
        "ronaldraygun/zai-proxy:0000"
    );
}

#[test]
fn a_canary_image_never_goes_to_production() {
    let seen = world(&[
        Shipped("bad", "1.2.1", ""),
        Shipped("canary", "1.2.1-canary", ""),
        Shipped("old", "1.1.0", ""),
    ]);
    let canary = Request {
        to: To::Text("1.2.1-canary".into()),
        ..request()
    };
    assert_eq!(refused(&seen, &canary), ["canary-image"]);
}

#[test]
fn labels_that_miss_the_selector_are_refused() {
    let mut seen = world(&BAD);
    let labels = &mut seen.cluster.workload.as_mut().unwrap().match_labels;
    labels.insert("tier".into(), "edge".into());
    assert_eq!(refused(&seen, &request()), ["selector"]);
}

/// What a test changes in the Application before it is decided.
type Change = fn(&mut Application);

#[test]
fn what_keeps_a_commit_from_landing_is_said_before_it_is_made() {
    let cases: [(&str, Change); 6] = [
        ("skip-reconcile", |app| {
            app.annotations
                .insert("argocd.argoproj.io/skip-reconcile".into(), "true".into());
        }),
        ("auto-sync-off", |app| app.auto_sync.enabled = false),
        ("pinned", |app| {
            app.sources[0].target_revision = "a".repeat(40)
        }),
        ("application-override", |app| {
            app.sources[0].helm = Some(json!({"parameters": [{"name": "a", "value": "b"}]}))
        }),
        ("hydrator", |app| {
            app.hydrator = Some(crate::model::Hydrator {
                branch: "env/prod".into(),
                failed: Some("no such folder".into()),
            })
        }),
        ("ignored-difference", |app| {
            app.ignore_differences.push(crate::model::IgnoreDifference {
                group: "apps".into(),
                kind: "Deployment".into(),
                json_pointers: vec!["/spec/template/spec/containers/0/image".into()],
                ..Default::default()
            });
        }),
    ];
    for (id, change) in cases {
        let mut seen = world(&BAD);
        change(seen.argocd.application.as_mut().unwrap());
        assert_eq!(refused(&seen, &request()), [id]);
    }
    // Where landing is not waited for, the same is a warning.
    let mut seen = world(&BAD);
    seen.argocd.application.as_mut().unwrap().auto_sync.enabled = false;
    let push = Request {
        goal: Goal::Pushed,
        ..request()
    };
    assert!(
        planned(&seen, &push)
            .plan
            .warnings
            .iter()
            .any(|w| w.contains("auto-sync"))
    );
}

#[test]
fn a_paused_deployment_is_unpaused_by_the_same_commit() {
    let mut seen = world(&BAD);
    seen.cluster.workload.as_mut().unwrap().paused = true;
    let prepared = planned(&seen, &request());
    let wanted =
        manifest("1.2.0", "").replace("  replicas: 1\n", "  paused: false\n  replicas: 1\n");
    assert_eq!(prepared.files[0].after, wanted);
    assert!(
        prepared.plan.targets[0]
            .fields
            .contains(&"spec.paused".to_owned())
    );
    // Git right already: nothing that Argo CD would apply.
    let same = Request {
        to: To::Text("1.2.1".into()),
        ..request()
    };
    assert_eq!(refused(&seen, &same), ["paused"]);
}

#[test]
fn a_deny_window_blocks_and_unreadable_windows_warn() {
    let mut seen = world(&BAD);
    seen.argocd.project.as_mut().unwrap().sync_windows = vec![SyncWindow {
        kind: "deny".into(),
        schedule: "* * * * *".into(),
        duration: "1h".into(),
        applications: vec!["*".into()],
        ..SyncWindow::default()
    }];
    assert_eq!(refused(&seen, &request()), ["sync-window"]);
    seen.argocd.project = None;
    let warnings = planned(&seen, &request()).plan.warnings;
    assert!(
        warnings
            .iter()
            .any(|w| w.contains("sync windows are unknown")),
        "{warnings:?}"
    );
}

#[test]
fn without_git_there_is_no_plan() {
    let mut seen = world(&BAD);
    seen.git = None;
    assert_eq!(refused(&seen, &request()), ["no-source"]);
    let mut seen = world(&BAD);
    seen.git.as_mut().unwrap().proven = false;
    assert_eq!(refused(&seen, &request()), ["source"]);
}

#[test]
fn a_state_that_git_never_had_comes_from_the_replica_set() {
    let mut seen = world(&BAD);
    let sets = seen.cluster.replica_sets.as_mut().unwrap();
    let mut by_hand = sets[2].clone();
    by_hand.name = "rs-by-hand".into();
    by_hand.template = template_of(&manifest("1.0.9", ""));
    sets.push(by_hand);
    let named = Request {
        to: To::Text("1.0.9".into()),
        ..request()
    };
    let prepared = planned(&seen, &named);
    assert_eq!(prepared.files[0].after, manifest("1.0.9", ""));
    assert_eq!(prepared.plan.targets[0].to.commit, None);
}

#[test]
fn an_accompanying_object_is_restored_when_it_is_named() {
    let mut seen = world(&BAD);
    let git = seen.git.as_mut().unwrap();
    let old =
        "kind: Service\nmetadata:\n  name: proxy\nspec:\n  ports:\n    - port: 80   # plain\n";
    let new = old.replace("80", "8080");
    git.companions = vec![crate::model::Companion {
        kind: "Service".into(),
        name: "proxy".into(),
        path: "service.yml".into(),
        text: Arc::from(new.as_str()),
        at_states: vec![Some(Arc::from(new.as_str())), Some(Arc::from(old)), None],
    }];
    let with = Request {
        with: vec![("service".into(), "proxy".into())],
        ..request()
    };
    let prepared = planned(&seen, &with);
    let file = prepared
        .files
        .iter()
        .find(|file| file.path == "service.yml");
    assert_eq!(file.unwrap().after, old);
    let absent = Request {
        to: To::Text("1.1.0".into()),
        ..with
    };
    assert_eq!(refused(&seen, &absent), ["with-not-found"]);
}
