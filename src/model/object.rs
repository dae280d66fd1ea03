//! Names of Kubernetes objects.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The workload kinds whose pod template unship puts back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum WorkloadKind {
    /// `apps/v1` Deployment.
    Deployment,
    /// `apps/v1` StatefulSet.
    StatefulSet,
    /// `apps/v1` DaemonSet.
    DaemonSet,
}

impl WorkloadKind {
    /// All kinds, Deployments first.
    pub const ALL: [Self; 3] = [Self::Deployment, Self::StatefulSet, Self::DaemonSet];

    /// The kind as Kubernetes spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
        }
    }

    /// The plural resource name.
    #[must_use]
    pub const fn resource(self) -> &'static str {
        match self {
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
        }
    }

    /// Reads a kind in any of the spellings that kubectl takes
    /// (`deploy`, `deployments.apps`, `sts`, ...).
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        match word.strip_suffix(".apps").unwrap_or(&word) {
            "deployment" | "deployments" | "deploy" => Some(Self::Deployment),
            "statefulset" | "statefulsets" | "sts" => Some(Self::StatefulSet),
            "daemonset" | "daemonsets" | "ds" => Some(Self::DaemonSet),
            _ => None,
        }
    }
}

/// One workload: kind, namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WorkloadRef {
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl WorkloadRef {
    /// `deployment/zai-proxy`, as kubectl prints it.
    #[must_use]
    pub fn short(&self) -> String {
        format!("{}/{}", self.kind.as_str().to_lowercase(), self.name)
    }

    /// `deployment/mcp/zai-proxy`, as trailers of commits name it.
    #[must_use]
    pub fn path(&self) -> String {
        let kind = self.kind.as_str().to_lowercase();
        format!("{kind}/{}/{}", self.namespace, self.name)
    }

    /// The same object as an [`ObjectRef`].
    #[must_use]
    pub fn object(&self) -> ObjectRef {
        ObjectRef {
            group: "apps".to_owned(),
            kind: self.kind.as_str().to_owned(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

impl fmt::Display for WorkloadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in namespace {}", self.short(), self.namespace)
    }
}

/// Any Kubernetes object: group (empty for core), kind, namespace (empty for cluster scope), name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectRef {
    /// API group without version; empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectRef {
    /// Reads Argo CD's tracking id, `APP:GROUP/KIND:NAMESPACE/NAME`, into the
    /// Application's instance name and the object it speaks of.
    #[must_use]
    pub fn from_tracking_id(id: &str) -> Option<(String, Self)> {
        let mut parts = id.splitn(3, ':');
        let (app, group_kind, object) = (parts.next()?, parts.next()?, parts.next()?);
        let (group, kind) = group_kind.split_once('/')?;
        let (namespace, name) = object.split_once('/')?;
        if app.is_empty() || kind.is_empty() || name.is_empty() {
            return None;
        }
        Some((
            app.to_owned(),
            Self {
                group: group.to_owned(),
                kind: kind.to_owned(),
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            },
        ))
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_as_kubectl_reads_them() {
        for word in ["deploy", "deployment", "Deployments", "deployments.apps"] {
            assert_eq!(
                WorkloadKind::parse(word),
                Some(WorkloadKind::Deployment),
                "{word}"
            );
        }
        assert_eq!(WorkloadKind::parse("sts"), Some(WorkloadKind::StatefulSet));
        assert_eq!(WorkloadKind::parse("pods"), None);
    }

    #[test]
    fn tracking_ids() {
        let (app, object) =
            ObjectRef::from_tracking_id("mcp-ns:apps/Deployment:mcp/zai-proxy").unwrap();
        assert_eq!(app, "mcp-ns");
        assert_eq!(
            (object.group.as_str(), object.name.as_str()),
            ("apps", "zai-proxy")
        );
        let (_, service) = ObjectRef::from_tracking_id("a:/Service:mcp/zai-proxy").unwrap();
        assert_eq!(service.group, "");
        assert!(ObjectRef::from_tracking_id("mcp-ns").is_none());
    }
}
