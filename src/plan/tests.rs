//! Decisions on small worlds. A world is a list of commits, newest first, each with
//! the manifest it left; the cluster and Argo CD follow from what a test sets.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::model::{
    Application, ArgoView, ClusterView, Commit, CommitId, Container, GitView, HistoryEnd, Identity,
    ImageRef, Observation, Pod, PodProblem, PodTemplate, Project, ReplicaSet, RolloutRevision,
    RolloutState, SyncWindow, TemplateState, Workload, WorkloadRef,
};
use crate::timeline::Timeline;

const NOW: &str = "2026-01-01T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn reference() -> WorkloadRef {
    WorkloadRef {
        kind: WorkloadKind::Deployment,
        namespace: "mcp".into(),
        name: "zai-proxy".into(),
    }
}

/// One commit: subject, tag, extra environment variable.
struct Step(&'static str, &'static str, &'static str);

fn manifest(tag: &str, extra: &str) -> String {
    let env = if extra.is_empty() {
        String::new()
    } else {
        format!("            - {{name: {extra}, value: 'on'}}\n")
    };
    format!(
        "# the proxy\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: zai-proxy\nspec:\n  replicas: 1\n  template:\n    metadata:\n      labels:\n        app: zai-proxy\n        version: \"{tag}\"   # with the image\n    spec:\n      containers:\n        - name: proxy\n          image: ronaldraygun/zai-proxy:{tag}\n          env:\n            - {{name: MAX_WORKERS, value: '10'}}\n{env}---\napiVersion: v1\nkind: Service\nmetadata:\n  name: zai-proxy\n"
    )
}

fn template_of(text: &str) -> PodTemplate {
    document::Document::of(text, "zai-proxy.yml", &reference())
        .ok()
        .unwrap()
        .template()
        .unwrap()
}

fn commit(number: usize, message: &str, minutes_ago: i64) -> Commit {
    Commit {
        id: CommitId::parse(&format!("{number:040x}")).unwrap(),
        parents: vec![],
        author: Identity {
            name: format!("author {number}"),
            email: "a@b".into(),
        },
        time: Timestamp::from_second(now().as_second() - minutes_ago * 60).unwrap(),
        message: message.to_owned(),
    }
}

/// A world from its commits, newest first; they are an hour apart. The newest is live.
fn world(steps: &[Step]) -> Observation {
    let states: Vec<TemplateState> = steps
        .iter()
        .enumerate()
        .map(|(index, Step(subject, tag, extra))| {
            let number = steps.len() - index;
            let text = manifest(tag, extra);
            TemplateState {
                commit: commit(number, subject, i64::try_from(index).unwrap() * 60),
                path: "zai-proxy.yml".into(),
                template: template_of(&text),
                text: Arc::from(text),
                replicas: Some(1),
            }
        })
        .collect();
    let live = states[0].template.clone();
    let sets = states
        .iter()
        .enumerate()
        .map(|(index, state)| ReplicaSet {
            name: format!("rs-{}", states.len() - index),
            uid: format!("uid-{}", states.len() - index),
            owner_uid: "deployment".into(),
            rollout_revision: Some(RolloutRevision(
                i64::try_from(states.len() - index).unwrap(),
            )),
            created_at: Some(state.commit.time),
            replicas: 0,
            ready: 0,
            available: 0,
            template: state.template.clone(),
            pod_template_hash: None,
        })
        .collect();
    Observation {
        at: now(),
        target: reference(),
        cluster: ClusterView {
            workload: Some(workload(live)),
            replica_sets: Some(sets),
            pods: Some(vec![]),
            events: Some(vec![]),
            endpoints: Some(vec![]),
            hpas: Some(vec![]),
            server: "https://k".into(),
        },
        argocd: argo(),
        git: Some(GitView {
            repository: "https://g/r".into(),
            clone: "/clone".into(),
            remote: "origin".into(),
            branch: "main".into(),
            tip: CommitId::parse(&"f".repeat(40)).unwrap(),
            file: "zai-proxy.yml".into(),
            text: states[0].text.clone(),
            proof: "test".into(),
            proven: true,
            states,
            history_end: HistoryEnd::Root,
            overrides: vec![],
            deployed: vec![],
            resolved: None,
            companions: vec![],
            side_changes: vec![],
        }),
        signs_commits: Some(false),
        source_blockers: vec![],
        gaps: vec![],
    }
}

fn workload(template: PodTemplate) -> Workload {
    Workload {
        reference: reference(),
        uid: "deployment".into(),
        generation: 2,
        observed_generation: 2,
        resource_version: "1".into(),
        created_at: None,
        annotations: BTreeMap::new(),
        labels: BTreeMap::new(),
        match_labels: BTreeMap::from([("app".to_owned(), "zai-proxy".to_owned())]),
        replicas: 1,
        rollout: RolloutState::default(),
        paused: false,
        progress_deadline_seconds: 600,
        min_ready_seconds: 0,
        strategy: "RollingUpdate".into(),
        template,
        rollout_revision: None,
        controller: None,
        template_managers: vec![],
        rest_of_spec: Value::Null,
    }
}

fn argo() -> ArgoView {
    let application = json!({
        "metadata": {"name": "mcp-ns", "namespace": "argocd"},
        "spec": {"project": "default", "source": {"repoURL": "https://g/r", "path": "."},
            "destination": {"namespace": "mcp", "server": "https://kubernetes.default.svc"},
            "syncPolicy": {"automated": {"selfHeal": true}}},
        "status": {"sync": {"status": "Synced"}, "health": {"status": "Healthy"}}
    });
    ArgoView {
        application_name: Some("mcp-ns".into()),
        application: Some(Application::from_json(&application).unwrap()),
        project: Some(Project {
            name: "default".into(),
            ..Project::default()
        }),
        tree: None,
        via: None,
        source: 0,
    }
}

/// A pod of the ReplicaSet with this number.
fn pod(set: usize, ready: bool) -> Pod {
    let problem = (!ready).then(|| PodProblem {
        reason: "CrashLoopBackOff".into(),
        message: String::new(),
    });
    Pod {
        name: format!("pod-{set}"),
        namespace: "mcp".into(),
        uid: format!("pod-{set}"),
        owner_uid: Some(format!("uid-{set}")),
        controller_revision_hash: None,
        phase: "Running".into(),
        ready,
        terminating: false,
        created_at: None,
        node: None,
        containers: vec![Container {
            name: "proxy".into(),
            image: ImageRef::new("x"),
            original_image: None,
            running_image: None,
            image_id: None,
            init: false,
            ready,
            restarts: 0,
            problem,
            last_termination: None,
        }],
    }
}

fn request() -> Request {
    Request {
        consent: true,
        ..Request::new(reference())
    }
}

fn decide(world: &Observation, request: &Request) -> Decision {
    build(world, &Timeline::of(world, &[]), request)
}

#[track_caller]
fn planned(world: &Observation, request: &Request) -> Prepared {
    match decide(world, request) {
        Decision::Plan(prepared) => *prepared,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(world: &Observation, request: &Request) -> Vec<String> {
    match decide(world, request) {
        Decision::Refused(refusal) => {
            assert!(
                refusal.blockers.iter().all(|b| !b.hint.is_empty()),
                "{refusal:?}"
            );
            let unknown = refusal.unknown.into_iter().map(|u| u.id);
            refusal
                .blockers
                .into_iter()
                .map(|b| b.id)
                .chain(unknown)
                .collect()
        }
        other => panic!("{other:?}"),
    }
}

const BAD: [Step; 3] = [
    Step("bad", "1.2.1", ""),
    Step("good", "1.2.0", ""),
    Step("old", "1.1.0", ""),
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
        Step(rollback, "1.2.0", ""),
        Step("bad", "1.2.1", ""),
        Step("good", "1.2.0", ""),
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
        Step("tune", "1.2.1", "LATER"),
        Step("bad", "1.2.1", ""),
        Step("good", "1.2.0", ""),
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
        Step("bad", "1.2.1", ""),
        Step("good", "0000", ""),
        Step("old", "1.1.0", ""),
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
        Step("bad", "1.2.1", ""),
        Step("canary", "1.2.1-canary", ""),
        Step("old", "1.1.0", ""),
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
        ("hydrator", |app| app.hydrator = true),
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
