//! Workloads and what belongs to them, as the cluster shows them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ImageRef, PodTemplate, RolloutRevision, WorkloadRef};

/// A Deployment, StatefulSet or DaemonSet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// Which one.
    pub reference: WorkloadRef,
    /// Its uid.
    pub uid: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// `status.observedGeneration`.
    pub observed_generation: i64,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// Its annotations, without `last-applied-configuration`.
    pub annotations: BTreeMap<String, String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// `spec.selector.matchLabels`.
    pub match_labels: BTreeMap<String, String>,
    /// Desired replicas (for a DaemonSet: desired number scheduled).
    pub replicas: i64,
    /// Counts in the status.
    pub rollout: RolloutState,
    /// `spec.paused`.
    pub paused: bool,
    /// `spec.progressDeadlineSeconds`; the API server's default is 600.
    pub progress_deadline_seconds: i64,
    /// `spec.minReadySeconds`.
    pub min_ready_seconds: i64,
    /// `RollingUpdate`, `Recreate` or `OnDelete`.
    pub strategy: String,
    /// Its pod template.
    pub template: PodTemplate,
    /// `deployment.kubernetes.io/revision`, for Deployments.
    pub rollout_revision: Option<RolloutRevision>,
    /// Kind and name of its controller, if an owner controls it.
    pub controller: Option<(String, String)>,
    /// Field managers that set something in `spec.template`.
    pub template_managers: Vec<String>,
    /// Everything outside `spec.template`, `spec.replicas` and `status` that the
    /// final check compares: the rest of `spec`, canonical.
    pub rest_of_spec: serde_json::Value,
}

/// The counts and conditions of a workload's status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutState {
    /// Pods that exist.
    pub replicas: i64,
    /// Pods of the newest template.
    pub updated: i64,
    /// Ready pods.
    pub ready: i64,
    /// Available pods.
    pub available: i64,
    /// Unavailable pods.
    pub unavailable: i64,
    /// Conditions.
    pub conditions: Vec<ClusterCondition>,
}

/// A condition in an object's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterCondition {
    /// `Progressing`, `Available`, ...
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub state: String,
    /// Reason.
    pub reason: String,
    /// Message.
    pub message: String,
    /// When it last changed.
    pub since: Option<Timestamp>,
}

/// A ReplicaSet, or a ControllerRevision of a StatefulSet or DaemonSet: one
/// recorded pod template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaSet {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The uid of the workload that owns it.
    pub owner_uid: String,
    /// The number that the controller gave it last.
    pub rollout_revision: Option<RolloutRevision>,
    /// When it was first created. It keeps this when it is used again.
    pub created_at: Option<Timestamp>,
    /// Desired replicas.
    pub replicas: i64,
    /// Ready replicas.
    pub ready: i64,
    /// Available replicas.
    pub available: i64,
    /// The template, without `pod-template-hash`.
    pub template: PodTemplate,
    /// The hash that the controller put into its name and labels.
    pub pod_template_hash: Option<String>,
    /// Whether it was current, replaced, and made current again: the Deployment
    /// controller keeps its earlier numbers in `deployment.kubernetes.io/revision-history`.
    #[serde(default)]
    pub reused: bool,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its uid.
    pub uid: String,
    /// The uid of its controlling owner: a ReplicaSet, StatefulSet or DaemonSet.
    pub owner_uid: Option<String>,
    /// `controller-revision-hash` label (StatefulSets and DaemonSets).
    pub controller_revision_hash: Option<String>,
    /// `Pending`, `Running`, ...
    pub phase: String,
    /// The condition `Ready`.
    pub ready: bool,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// The node it is bound to.
    pub node: Option<String>,
    /// Its containers, then its init containers.
    pub containers: Vec<Container>,
}

/// A container of a pod: what the spec asks for and what the status tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// Its name.
    pub name: String,
    /// The image in the pod's spec (a webhook may have rewritten it).
    pub image: ImageRef,
    /// The image before a webhook rewrote it, if the pod is annotated with it.
    pub original_image: Option<ImageRef>,
    /// The image in the status.
    pub running_image: Option<ImageRef>,
    /// The image id in the status.
    pub image_id: Option<String>,
    /// Whether it is an init container.
    pub init: bool,
    /// Ready.
    pub ready: bool,
    /// Restarts.
    pub restarts: i64,
    /// Why it waits or ended, if it does not run.
    pub problem: Option<PodProblem>,
    /// How it ended the last time.
    pub last_termination: Option<Termination>,
}

/// Why a container does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodProblem {
    /// `CrashLoopBackOff`, `ImagePullBackOff`, `Error`, ...
    pub reason: String,
    /// The upstream's message.
    pub message: String,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Termination {
    /// `OOMKilled`, `Error`, `Completed`, ...
    pub reason: String,
    /// Exit code.
    pub exit_code: i64,
    /// When.
    pub finished_at: Option<Timestamp>,
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterEvent {
    /// `Normal` or `Warning`.
    pub severity: String,
    /// Reason.
    pub reason: String,
    /// Message.
    pub message: String,
    /// Kind of the object it is about.
    pub about_kind: String,
    /// Name of the object it is about.
    pub about_name: String,
    /// How often.
    pub count: i64,
    /// When last.
    pub last_seen: Option<Timestamp>,
}

/// One address of an EndpointSlice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// The Service.
    pub service: String,
    /// The pod that serves it, by uid.
    pub pod_uid: Option<String>,
    /// Whether it takes traffic (`ready`; null counts as true, as in the API).
    pub ready: bool,
}

/// A HorizontalPodAutoscaler that scales a workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hpa {
    /// Its name.
    pub name: String,
    /// Kind of what it scales.
    pub target_kind: String,
    /// Name of what it scales.
    pub target_name: String,
    /// `minReplicas`; the API server's default is 1.
    pub min_replicas: i64,
    /// `maxReplicas`.
    pub max_replicas: i64,
}

impl Workload {
    /// The condition of this type.
    #[must_use]
    pub fn condition(&self, kind: &str) -> Option<&ClusterCondition> {
        self.rollout
            .conditions
            .iter()
            .find(|condition| condition.kind == kind)
    }

    /// Whether the rollout to the current template is complete, by the rule of
    /// `kubectl rollout status` (1.36): the controller has seen the newest
    /// generation, all replicas are of the newest template and available, and no
    /// older pod is left.
    #[must_use]
    pub fn rollout_complete(&self) -> bool {
        self.observed_generation >= self.generation
            && self.rollout.updated >= self.replicas
            && self.rollout.replicas <= self.rollout.updated
            && self.rollout.available >= self.rollout.updated
    }

    /// Whether the Deployment controller gave up on the rollout.
    #[must_use]
    pub fn progress_deadline_exceeded(&self) -> bool {
        self.observed_generation >= self.generation
            && self.condition("Progressing").is_some_and(|condition| {
                condition.state == "False" && condition.reason == "ProgressDeadlineExceeded"
            })
    }
}

impl Pod {
    /// The first container problem, with the container's name.
    #[must_use]
    pub fn problem(&self) -> Option<(&str, &PodProblem)> {
        self.containers
            .iter()
            .find_map(|container| Some((container.name.as_str(), container.problem.as_ref()?)))
    }

    /// Whether a container crashes: it waits in `CrashLoopBackOff`, or it is not
    /// ready and ended with an error before.
    #[must_use]
    pub fn is_crashing(&self) -> bool {
        self.containers.iter().any(|container| {
            let looping = container
                .problem
                .as_ref()
                .is_some_and(|p| p.reason == "CrashLoopBackOff");
            let ended = container
                .last_termination
                .as_ref()
                .is_some_and(|t| t.exit_code != 0);
            looping || (!container.init && !container.ready && ended && container.restarts > 0)
        })
    }
}
