//! Which commit shipped which image, when it went live, how long and how well it
//! served: Git commits × Argo CD history × ReplicaSets in one list.
//!
//! Pure and total: missing sources make a shorter list, never an error.

mod correlate;
mod grade;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Commit, Gap, HistoryId, ImageRef, Observation, PodTemplate, RolloutRevision};

/// How sure it is that an entry served well.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Grade {
    /// It crashes, or a later rollback names it as the bad release.
    Contradicted,
    /// Nothing is known either way.
    Unknown,
    /// It was current for at least its progress deadline and nothing contradicts.
    Likely,
    /// Ready pods are seen now, or an earlier run verified it.
    Proven,
}

impl Grade {
    /// `proven`, `likely`, `unknown` or `contradicted`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Likely => "likely",
            Self::Unknown => "unknown",
            Self::Contradicted => "contradicted",
        }
    }
}

/// One release of the target.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Container name and image of each container.
    pub images: Vec<(String, ImageRef)>,
    /// The pod template: the manifest's where Git knows it, else the ReplicaSet's.
    pub template: PodTemplate,
    /// The commit that shipped it.
    pub commit: Option<Commit>,
    /// Its index in `GitView::states`.
    pub state: Option<usize>,
    /// The newest Argo CD history entry that deployed it.
    pub history_id: Option<HistoryId>,
    /// The number of its ReplicaSet.
    pub rollout_revision: Option<RolloutRevision>,
    /// The ReplicaSet's name.
    pub replica_set: Option<String>,
    /// When it went live.
    pub live_from: Option<Timestamp>,
    /// What `live_from` rests on: `Argo CD history`, `ReplicaSet creation`, `commit time`.
    pub live_from_source: &'static str,
    /// When it was replaced.
    pub live_to: Option<Timestamp>,
    /// Whether the cluster's workload has this template now.
    pub is_live: bool,
    /// Whether the branch's tip has this template.
    pub is_tip: bool,
    /// How sure it is that it served well.
    pub grade: Grade,
    /// Why that grade.
    pub reason: String,
    /// Restarts with an equal template that were folded into this entry.
    pub folded: Vec<String>,
}

impl Entry {
    /// The image people mean by the release.
    #[must_use]
    pub fn image(&self) -> Option<&ImageRef> {
        self.images.first().map(|(_, image)| image)
    }

    /// The release's name: image tag, or digest.
    #[must_use]
    pub fn release(&self) -> String {
        self.image()
            .map_or_else(|| "(no image)".to_owned(), ImageRef::release)
    }

    /// Whether both have the same images in the same containers.
    #[must_use]
    pub fn same_images(&self, other: &Self) -> bool {
        self.images.len() == other.images.len()
            && self.images.iter().all(|(name, image)| {
                other
                    .images
                    .iter()
                    .any(|(n, i)| n == name && i.same_as(image))
            })
    }

    /// How long it was current, until `now` if it still is.
    #[must_use]
    pub fn served_seconds(&self, now: Timestamp) -> Option<i64> {
        let from = self.live_from?;
        let to = self.live_to.unwrap_or(now);
        Some((to.as_second() - from.as_second()).max(0))
    }
}

/// The correlated list, newest first.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    /// Entries, newest first.
    pub entries: Vec<Entry>,
    /// Sources that are missing, each with its reason.
    pub missing: Vec<Gap>,
}

impl Timeline {
    /// Correlates an observation. `verified` are the commits of earlier runs that
    /// ended with the goal holding.
    #[must_use]
    pub fn of(observation: &Observation, verified: &[String]) -> Self {
        let mut entries = correlate::entries(observation);
        grade::grade(&mut entries, observation, verified);
        Self {
            entries,
            missing: observation.gaps.clone(),
        }
    }

    /// The entry that the branch's tip has.
    #[must_use]
    pub fn tip(&self) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.is_tip)
    }

    /// The entry that the cluster runs.
    #[must_use]
    pub fn live(&self) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.is_live)
    }
}
