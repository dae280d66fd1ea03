//! The writes: three JSON Patches, each sent once.
//!
//! No other request of this room changes anything. A JSON Patch whose tests do not
//! hold changes nothing and is [`Error::Conflict`]; so a write that was made for what
//! a look has shown never lands on something else.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::request::{Call, check_name, parse, path};
use super::wire::WorkloadWire;
use super::{Cluster, Error, convert};
use crate::model::{Workload, WorkloadKind, WorkloadRef};

/// What a scale must be for a change of it; else it was changed meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct ScaleFrom<'a> {
    /// Uid of the workload.
    pub uid: &'a str,
    /// Its `spec.replicas`.
    pub replicas: i64,
}

impl Cluster {
    /// Changes a workload by JSON Patch (RFC 6902) and gives it as it is then; in a
    /// dry run as the server would make it, after admission and validation.
    ///
    /// # Errors
    /// [`Error::Conflict`] when a test of the patch does not hold,
    /// [`Error::OutcomeUnknown`] when it may have been carried out, and the refusals of
    /// RBAC, admission and validation.
    pub async fn patch_workload(
        &self,
        target: &WorkloadRef,
        operations: &Value,
        dry_run: bool,
    ) -> Result<Workload, Error> {
        let resource = target.kind.resource();
        let place = place(target, &[])?;
        let what = format!("change of {target}");
        let call = Call::patch((resource, place), operations, dry_run, &what);
        let object: WorkloadWire = self.write(&call).await?;
        Ok(convert::workload(target.kind, object))
    }

    /// Changes the scale subresource of a Deployment or StatefulSet, which needs the
    /// right to that alone, and gives the replicas after it.
    ///
    /// # Errors
    /// As [`Cluster::patch_workload`]; [`Error::Invalid`] for a kind without a scale.
    pub async fn scale(
        &self,
        target: &WorkloadRef,
        expected: ScaleFrom<'_>,
        replicas: i64,
        dry_run: bool,
    ) -> Result<i64, Error> {
        let what = format!("scaling of {target} to {replicas}");
        let impossible = match target.kind {
            WorkloadKind::DaemonSet => Some("a DaemonSet has no scale"),
            _ if replicas < 0 => Some("replicas cannot be negative"),
            WorkloadKind::Deployment | WorkloadKind::StatefulSet => None,
        };
        if let Some(message) = impossible {
            let message = message.to_owned();
            return Err(Error::Invalid { what, message });
        }
        let resource = format!("{}/scale", target.kind.resource());
        let place = place(target, &["scale"])?;
        let operations = scale_patch(expected, replicas);
        let call = Call::patch((&resource, place), &operations, dry_run, &what);
        let scale: ScaleWire = self.write(&call).await?;
        Ok(scale.spec.replicas)
    }

    /// Changes an Application by JSON Patch and gives it as it is then. It may hold
    /// values that must not be shown.
    ///
    /// # Errors
    /// As [`Cluster::patch_workload`].
    pub async fn patch_application(
        &self,
        namespace: &str,
        name: &str,
        operations: &Value,
    ) -> Result<Value, Error> {
        check_name("namespace", namespace)?;
        check_name("application", name)?;
        let group = "argoproj.io/v1alpha1";
        let place = path(group, Some(namespace), &["applications", name]);
        let what = format!("change of application {name} in namespace {namespace}");
        let call = Call::patch(("applications", place), operations, false, &what);
        self.write(&call).await
    }

    async fn write<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Error> {
        let body = self.send(call).await?;
        parse(call, &body).map_err(|error| call.unreadable(error))
    }
}

/// `autoscaling/v1` Scale.
#[derive(Deserialize)]
struct ScaleWire {
    spec: ScaleSpec,
}

#[derive(Deserialize)]
struct ScaleSpec {
    /// Zero is left out (`omitempty`).
    #[serde(default)]
    replicas: i64,
}

/// The path of a workload and of what is below it.
fn place(target: &WorkloadRef, below: &[&str]) -> Result<String, Error> {
    check_name("namespace", &target.namespace)?;
    check_name(target.kind.as_str(), &target.name)?;
    let parts = [&[target.kind.resource(), target.name.as_str()], below].concat();
    Ok(path("apps/v1", Some(&target.namespace), &parts))
}

fn scale_patch(expected: ScaleFrom<'_>, replicas: i64) -> Value {
    // Zero is left out of a Scale, and a missing field is tested with null
    // (json-patch v4 in the API server).
    let before = match expected.replicas {
        0 => Value::Null,
        other => json!(other),
    };
    json!([
        {"op": "test", "path": "/metadata/uid", "value": expected.uid},
        {"op": "test", "path": "/spec/replicas", "value": before},
        {"op": "add", "path": "/spec/replicas", "value": replicas},
    ])
}
