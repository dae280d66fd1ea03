//! The rights that a route needs, asked when a target is looked at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AccessAnswer, Allowed};

/// One right that decides over a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Right {
    /// `patch` on the workload itself, in its namespace.
    PatchWorkload,
    /// `patch` on the workload's `scale` subresource.
    PatchScale,
    /// `patch` on `applications.argoproj.io` in the Application's namespace.
    PatchApplication,
    /// Argo CD's `sync` on the Application (also terminate and rollback, before 3.6).
    ArgocdSync,
    /// Argo CD's `update` on the Application: its spec may be changed.
    ArgocdUpdate,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::PatchWorkload,
        Self::PatchScale,
        Self::PatchApplication,
        Self::ArgocdSync,
        Self::ArgocdUpdate,
    ];
}

/// What is known about the rights. A right that was not asked is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rights(BTreeMap<Right, AccessAnswer>);

impl Rights {
    /// Takes an answer.
    pub fn insert(&mut self, right: Right, answer: AccessAnswer) {
        self.0.insert(right, answer);
    }

    /// Whether the right is there; unknown where it was not asked.
    #[must_use]
    pub fn allowed(&self, right: Right) -> Allowed {
        self.0
            .get(&right)
            .map_or(Allowed::Unknown, |answer| answer.allowed)
    }

    /// The whole answer.
    #[must_use]
    pub fn answer(&self, right: Right) -> Option<&AccessAnswer> {
        self.0.get(&right)
    }

    /// All answers in the order of [`Right`].
    pub fn iter(&self) -> impl Iterator<Item = (Right, &AccessAnswer)> {
        self.0.iter().map(|(right, answer)| (*right, answer))
    }
}
