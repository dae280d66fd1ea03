//! The small worlds that decisions are tested on.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::*;
use crate::model::{
    Application, ArgoView, ClusterView, Commit, CommitId, Container, GitView, HistoryEnd, Identity,
    ImageRef, Observation, Pod, PodProblem, PodTemplate, Project, ReplicaSet, RolloutRevision,
    RolloutState, TemplateState, Workload, WorkloadRef,
};
use crate::timeline::Timeline;

pub(super) const NOW: &str = "2026-01-01T12:00:00Z";

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

/// One commit: subject, tag, extra environment variable.
pub(super) struct Shipped(
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) &'static str,
);

pub(super) fn manifest(tag: &str, extra: &str) -> String {
    let env = if extra.is_empty() {
        String::new()
    } else {
        format!("            - {{name: {extra}, value: 'on'}}\n")
    };
    format!(
        "# the proxy\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: zai-proxy\nspec:\n  replicas: 1\n  template:\n    metadata:\n      labels:\n        app: zai-proxy\n        version: \"{tag}\"   # with the image\n    spec:\n      containers:\n        - name: proxy\n          image: ronaldraygun/zai-proxy:{tag}\n          env:\n            - {{name: MAX_WORKERS, value: '10'}}\n{env}---\napiVersion: v1\nkind: Service\nmetadata:\n  name: zai-proxy\n"
    )
}

pub(super) fn template_of(text: &str) -> PodTemplate {
    document::Document::of(text, "zai-proxy.yml", &reference())
        .ok()
        .unwrap()
        .template()
        .unwrap()
}

pub(super) fn commit(number: usize, message: &str, minutes_ago: i64) -> Commit {
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
pub(super) fn world(steps: &[Shipped]) -> Observation {
    let states: Vec<TemplateState> = steps
        .iter()
        .enumerate()
        .map(|(index, Shipped(subject, tag, extra))| {
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
    let sets = sets_of(&states);
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
        signs_commits: Some(false),
        rights: Default::default(),
        source_blockers: vec![],
        automation: Default::default(),
        gaps: vec![],
    }
}

fn sets_of(states: &[TemplateState]) -> Vec<ReplicaSet> {
    states
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
            reused: false,
        })
        .collect()
}

pub(super) fn workload(template: PodTemplate) -> Workload {
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

pub(super) fn argo() -> ArgoView {
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
pub(super) fn pod(set: usize, ready: bool) -> Pod {
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

pub(super) fn request() -> Request {
    Request {
        consent: true,
        ..Request::new(reference())
    }
}

pub(super) fn decide(world: &Observation, request: &Request) -> Decision {
    build(world, &Timeline::of(world, &[]), request)
}

#[track_caller]
pub(super) fn planned(world: &Observation, request: &Request) -> Prepared {
    match decide(world, request) {
        Decision::Plan(prepared) => *prepared,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub(super) fn refused(world: &Observation, request: &Request) -> Vec<String> {
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
