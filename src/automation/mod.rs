//! Tools that set images by themselves: which of them will change a target's image again, to
//! what and when, and how each is stopped in its own terms.
//!
//! Pure: what a look has read goes in, findings come out. What could not be read is a gap of
//! the look, never "there is none".

mod flux;
mod image_updater;
mod json;
mod kargo;
mod pin;
mod renovate;
mod seen;
mod workflow;

use crate::model::{Gap, Observation};

pub use json::masked_diff;
pub use pin::{Change, marked_again, pinned, ruled_again};
pub use seen::{Matter, TOOL_TEXTS, matters};

use seen::Subject;

/// The gap of pins that could not be read.
pub const PINS: &str = "pins of earlier commits";

/// A tool that sets images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// Flux's image automation: ImageUpdateAutomation and its markers.
    Flux,
    /// Argo CD Image Updater, by annotations or by its ImageUpdater objects.
    ImageUpdater,
    /// Kargo's Stages.
    Kargo,
    /// Renovate's configuration in the repository.
    Renovate,
    /// A CI workflow of the repository.
    Workflow,
}

impl Tool {
    /// The word in JSON and in trailers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Flux => "flux",
            Self::ImageUpdater => "argocd-image-updater",
            Self::Kargo => "kargo",
            Self::Renovate => "renovate",
            Self::Workflow => "workflow",
        }
    }

    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flux => "Flux image automation",
            Self::ImageUpdater => "Argo CD Image Updater",
            Self::Kargo => "Kargo",
            Self::Renovate => "Renovate",
            Self::Workflow => "a CI workflow",
        }
    }
}

/// A tool that will, or may, change the target's image again.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The tool.
    pub tool: Tool,
    /// Where that stands: `FILE:LINE`, or the object.
    pub place: String,
    /// What it does.
    pub does: String,
    /// When.
    pub when: String,
    /// Whether it is certain; else something that decides over it is not known.
    pub certain: bool,
    /// How it is stopped.
    pub pin: Pin,
}

impl Finding {
    /// One sentence.
    #[must_use]
    pub fn words(&self) -> String {
        let will = if self.certain { "will" } else { "may" };
        format!(
            "{} ({}) {will} change the image again: it {}; {}",
            self.tool.name(),
            self.place,
            self.does,
            self.when
        )
    }
}

/// How a tool is stopped.
#[derive(Debug, Clone, PartialEq)]
pub enum Pin {
    /// By an edit in the target's repository.
    Edit {
        /// The file.
        path: String,
        /// The edit.
        change: Change,
        /// What it does, in words.
        words: String,
    },
    /// By a person; what is to be done.
    ByHand(String),
}

/// What will change the target's image again, the certain ones first.
#[must_use]
pub fn find(observation: &Observation) -> Vec<Finding> {
    let Some(subject) = Subject::of(observation) else {
        return Vec::new();
    };
    let mut found = flux::find(&subject);
    found.extend(image_updater::find(&subject));
    found.extend(kargo::find(&subject));
    found.extend(renovate::find(&subject));
    found.extend(workflow::find(&subject));
    found.sort_by_key(|finding| !finding.certain);
    found
}

/// What could not be read and may hide a tool from what was found. Objects of Flux matter only
/// where a marker is, those of Image Updater only where it updates anything, tasks of Kargo only
/// where a Stage's steps leave something open.
#[must_use]
pub fn gaps<'o>(observation: &'o Observation, found: &[Finding]) -> Vec<&'o Gap> {
    let unsure = |tool: Tool| {
        let mut found = found.iter();
        found.any(|finding| finding.tool == tool && !finding.certain)
    };
    let git = observation.git.as_ref();
    let app = observation.argocd.application.as_ref();
    let updated = git.is_some_and(|git| git.rendered.is_some())
        || app.is_some_and(|app| !image_updater::is_passed_over(app));
    let gaps = observation.automation.gaps.iter();
    gaps.filter(|gap| match gap.what.as_str() {
        "ImageUpdateAutomation" | "ImagePolicy" => unsure(Tool::Flux),
        "PromotionTask" | "ClusterPromotionTask" => unsure(Tool::Kargo),
        "ImageUpdater" => updated,
        _ => true,
    })
    .collect()
}

#[cfg(test)]
mod tests;
