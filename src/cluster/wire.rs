//! The API's objects as far as a rollback looks at them. Own structs and not
//! k8s-openapi's: unknown fields are skipped unread (managedFields are most of a
//! pod's bytes), templates keep fields that this build does not know, and `null`
//! is taken where the API says "list".

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Meta {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) uid: String,
    pub(super) generation: i64,
    pub(super) resource_version: String,
    pub(super) creation_timestamp: Option<String>,
    pub(super) deletion_timestamp: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) annotations: BTreeMap<String, String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) owner_references: Vec<Owner>,
    #[serde(deserialize_with = "nullable")]
    pub(super) managed_fields: Vec<ManagedFields>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ManagedFields {
    pub(super) manager: String,
    pub(super) subresource: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) fields_v1: FieldSet,
}

/// Only whether the template is among the fields; the rest is skipped unread.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FieldSet {
    #[serde(rename = "f:spec")]
    pub(super) spec: Option<SpecFieldSet>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SpecFieldSet {
    #[serde(rename = "f:template")]
    pub(super) template: Option<IgnoredAny>,
}

impl ManagedFields {
    /// Whether the manager itself set something in `spec.template`. What a controller
    /// wrote through a subresource (status, scale) is no claim on it.
    pub(super) fn claims_template(&self) -> bool {
        let spec = self.fields_v1.spec.as_ref();
        self.subresource.is_empty() && spec.is_some_and(|spec| spec.template.is_some())
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct WorkloadWire {
    pub(super) metadata: Meta,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) spec: Map<String, Value>,
    #[serde(default)]
    pub(super) status: Value,
}

#[derive(Debug, Deserialize)]
pub(super) struct Owner {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) uid: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) controller: bool,
}

impl Meta {
    /// The owner that controls the object; others only keep it from being collected.
    pub(super) fn controller(&self) -> Option<&Owner> {
        self.owner_references.iter().find(|owner| owner.controller)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct NameOnly {
    pub(super) metadata: Meta,
}

#[derive(Debug, Deserialize)]
pub(super) struct ReplicaSetWire {
    pub(super) metadata: Meta,
    #[serde(default)]
    pub(super) spec: ReplicaSetSpec,
    #[serde(default)]
    pub(super) status: ReplicaSetCounts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ReplicaSetSpec {
    pub(super) replicas: Option<i64>,
    pub(super) template: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ReplicaSetCounts {
    pub(super) ready_replicas: i64,
    pub(super) available_replicas: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct ControllerRevisionWire {
    pub(super) metadata: Meta,
    #[serde(default)]
    pub(super) data: Value,
    #[serde(default)]
    pub(super) revision: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct PodWire {
    pub(super) metadata: Meta,
    #[serde(default)]
    pub(super) spec: PodSpec,
    #[serde(default)]
    pub(super) status: PodState,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodSpec {
    pub(super) node_name: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) containers: Vec<ContainerSpec>,
    #[serde(deserialize_with = "nullable")]
    pub(super) init_containers: Vec<ContainerSpec>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ContainerSpec {
    pub(super) name: String,
    pub(super) image: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodState {
    pub(super) phase: String,
    pub(super) reason: String,
    pub(super) message: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) conditions: Vec<ConditionWire>,
    #[serde(deserialize_with = "nullable")]
    pub(super) container_statuses: Vec<ContainerState>,
    #[serde(deserialize_with = "nullable")]
    pub(super) init_container_statuses: Vec<ContainerState>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ConditionWire {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(rename = "status")]
    pub(super) state: String,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) last_transition_time: Option<String>,
    pub(super) last_update_time: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ContainerState {
    pub(super) name: String,
    pub(super) image: String,
    #[serde(rename = "imageID")]
    pub(super) image_id: String,
    pub(super) ready: bool,
    pub(super) restart_count: i64,
    #[serde(deserialize_with = "nullable")]
    pub(super) state: Moment,
    #[serde(deserialize_with = "nullable")]
    pub(super) last_state: Moment,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Moment {
    pub(super) waiting: Option<Waiting>,
    pub(super) terminated: Option<Terminated>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Waiting {
    pub(super) reason: String,
    pub(super) message: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Terminated {
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) exit_code: i64,
    pub(super) finished_at: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventWire {
    pub(super) metadata: Meta,
    #[serde(default)]
    pub(super) involved_object: Involved,
    #[serde(rename = "type", default, deserialize_with = "nullable")]
    pub(super) severity: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) reason: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) message: String,
    #[serde(default)]
    pub(super) count: Option<i64>,
    #[serde(default)]
    pub(super) series: Option<Series>,
    #[serde(default)]
    pub(super) first_timestamp: Option<String>,
    #[serde(default)]
    pub(super) last_timestamp: Option<String>,
    #[serde(default)]
    pub(super) event_time: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Involved {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) uid: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Series {
    #[serde(default)]
    pub(super) count: i64,
    #[serde(default)]
    pub(super) last_observed_time: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct EndpointSliceWire {
    pub(super) metadata: Meta,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) endpoints: Vec<EndpointWire>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct EndpointWire {
    #[serde(deserialize_with = "nullable")]
    pub(super) addresses: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) conditions: EndpointConditions,
    pub(super) target_ref: Option<TargetRef>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct EndpointConditions {
    pub(super) ready: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TargetRef {
    pub(super) kind: String,
    pub(super) uid: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct HpaWire {
    pub(super) metadata: Meta,
    #[serde(default)]
    pub(super) spec: HpaSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct HpaSpec {
    pub(super) scale_target_ref: ScaleTarget,
    pub(super) min_replicas: Option<i64>,
    pub(super) max_replicas: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ScaleTarget {
    pub(super) kind: String,
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct ReviewWire {
    pub(super) status: Option<ReviewAnswer>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ReviewAnswer {
    pub(super) allowed: bool,
    pub(super) denied: bool,
    pub(super) reason: String,
    pub(super) evaluation_error: String,
}
