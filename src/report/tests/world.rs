//! The small world that records are tested on.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::model::{
    Application, ArgoView, ClusterView, Commit, CommitId, Container, GitView, HistoryEnd, Identity,
    ImageRef, Observation, Pod, PodProblem, PodTemplate, ReplicaSet, RolloutRevision, RolloutState,
    TemplateState, Termination, Workload, WorkloadKind, WorkloadRef,
};
use crate::plan::{Decision, Request, build};
use crate::report::{Facts, Record, RecordKind, Told, Way};
use crate::timeline::Timeline;

const NOW: &str = "2026-02-08T12:00:00Z";

pub(super) fn now() -> Timestamp {
    NOW.parse().unwrap()
}

pub(super) fn reference() -> WorkloadRef {
    WorkloadRef {
        kind: WorkloadKind::Deployment,
        namespace: "mcp".into(),
        name: "zai-proxy".into(),
    }
}

pub(super) fn manifest(tag: &str, extra: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: zai-proxy\nspec:\n  template:\n    metadata:\n      labels: {{app: zai-proxy}}\n    spec:\n      containers:\n        - name: proxy\n          image: ronaldraygun/zai-proxy:{tag}\n          env:\n            - {{name: TOKEN, value: canary-env-secret}}\n{extra}"
    )
}

pub(super) fn state(number: usize, tag: &str, extra: &str, hours_ago: i64) -> TemplateState {
    let text = manifest(tag, extra);
    let template = crate::observe::fields_of(&text, &reference())
        .unwrap()
        .template;
    TemplateState {
        commit: Commit {
            id: CommitId::parse(&format!("{number:040x}")).unwrap(),
            parents: vec![],
            author: Identity {
                name: "Mira".into(),
                email: "m@x".into(),
            },
            time: Timestamp::from_second(now().as_second() - hours_ago * 3600).unwrap(),
            message: format!("promote to v{tag}"),
        },
        path: "k8s/zai-proxy.yml".into(),
        template,
        text: Arc::from(text),
        replicas: None,
    }
}

pub(super) fn workload(template: PodTemplate) -> Workload {
    Workload {
        reference: reference(),
        uid: "d".into(),
        generation: 2,
        observed_generation: 2,
        resource_version: "1".into(),
        created_at: None,
        annotations: BTreeMap::new(),
        labels: BTreeMap::new(),
        match_labels: BTreeMap::new(),
        replicas: 2,
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

pub(super) fn pod(name: &str, message: &str) -> Pod {
    Pod {
        name: name.into(),
        namespace: "mcp".into(),
        uid: name.into(),
        owner_uid: Some("uid-3".into()),
        controller_revision_hash: None,
        phase: "Running".into(),
        ready: false,
        terminating: false,
        created_at: None,
        node: None,
        containers: vec![Container {
            name: "proxy".into(),
            image: ImageRef::new("ronaldraygun/zai-proxy:1.2.1"),
            original_image: None,
            running_image: None,
            image_id: None,
            init: false,
            ready: false,
            restarts: 4,
            problem: Some(PodProblem {
                reason: "CrashLoopBackOff".into(),
                message: message.into(),
            }),
            last_termination: Some(Termination {
                reason: "Error".into(),
                exit_code: 137,
                finished_at: None,
            }),
        }],
    }
}

pub(super) fn application(automated: Value) -> Application {
    Application::from_json(&json!({
        "metadata": {"name": "mcp-ns", "namespace": "argocd"},
        "spec": {"project": "default", "source": {"repoURL": "https://g/r", "path": "."},
            "destination": {"namespace": "mcp", "server": "https://kubernetes.default.svc"},
            "syncPolicy": {"automated": automated}},
        "status": {"sync": {"status": "Synced"}, "health": {"status": "Degraded"}}
    }))
    .unwrap()
}

/// 1.2.1 crashes; 1.2.0 and 1.1.0 served before. `extra` stands in the newest two.
pub(super) fn world(extra: &str) -> Observation {
    let states = vec![
        state(3, "1.2.1", extra, 1),
        state(2, "1.2.0", "", 20),
        state(1, "1.1.0", "", 40),
    ];
    let sets = states
        .iter()
        .enumerate()
        .map(|(index, state)| ReplicaSet {
            name: format!("rs-{}", 3 - index),
            uid: format!("uid-{}", 3 - index),
            owner_uid: "d".into(),
            rollout_revision: Some(RolloutRevision(i64::try_from(3 - index).unwrap())),
            created_at: Some(state.commit.time),
            replicas: 0,
            ready: 0,
            available: 0,
            template: state.template.clone(),
            reused: false,
            pod_template_hash: None,
        })
        .collect();
    Observation {
        at: now(),
        target: reference(),
        cluster: ClusterView {
            workload: Some(workload(states[0].template.clone())),
            replica_sets: Some(sets),
            pods: Some(vec![
                pod("zai-proxy-a", "back-off"),
                pod("zai-proxy-b", "back-off"),
            ]),
            events: Some(vec![]),
            endpoints: Some(vec![]),
            hpas: Some(vec![]),
            server: "https://k".into(),
        },
        argocd: ArgoView {
            application_name: Some("mcp-ns".into()),
            application: Some(application(json!({"selfHeal": true, "prune": true}))),
            ..ArgoView::default()
        },
        git: Some(GitView {
            repository: "https://g/r".into(),
            clone: "/clone".into(),
            remote: "origin".into(),
            branch: "main".into(),
            tip: CommitId::parse(&"f".repeat(40)).unwrap(),
            file: "k8s/zai-proxy.yml".into(),
            text: states[0].text.clone(),
            rendered: None,
            proof: "test".into(),
            proven: true,
            states,
            history_end: HistoryEnd::Root,
            overrides: vec![],
            named_in: vec![],
            deployed: vec![],
            resolved: None,
            change: None,
            companions: vec![],
            used_changes: Vec::new(),
            side_changes: vec![],
        }),
        signs_commits: None,
        rights: Default::default(),
        source_blockers: vec![],
        automation: Default::default(),
        gaps: vec![],
    }
}

pub(super) fn decide(world: &Observation, request: &Request) -> Decision {
    build(world, &Timeline::of(world, &[]), request)
}

pub(super) fn facts(world: &Observation, told: Told) -> Facts {
    let decision = decide(world, &Request::new(reference()));
    Facts::of(world, &Timeline::of(world, &[]), Some(&decision), told)
}

pub(super) fn filled(kind: RecordKind, facts: &Facts) -> Record {
    kind.form().fill(facts).unwrap()
}

#[track_caller]
pub(super) fn way<'f>(facts: &'f Facts, id: &str) -> &'f Way {
    let found = facts.ways.iter().find(|way| way.id == id);
    found.unwrap_or_else(|| panic!("no way {id} in {:#?}", facts.ways))
}
