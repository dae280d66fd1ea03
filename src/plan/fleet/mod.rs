//! Many targets at once: in stages, each stage one commit.
//!
//! The members of a stage are planned one after the other, each on the files as those before it
//! leave them, so that targets that share a file, or an entry of one, come out right in one commit.

mod overlay;

use serde::{Deserialize, Serialize};

use super::build::EditedFile;
use super::{Decision, Request, build};
use crate::model::Observation;
use crate::timeline::Timeline;

use overlay::Overlay;

/// How far a stage goes: so many targets in all, or a share of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Share {
    /// So many targets, with those of the stages before.
    Count(usize),
    /// So many percent of the targets, with those of the stages before.
    Percent(u8),
}

impl Share {
    /// Reads `1` or `10%`.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is no stage; write a number of targets or a share: 1,10%,100%");
        let text = text.trim();
        match text.strip_suffix('%') {
            Some(number) => match number.parse() {
                Ok(percent @ 1..=100) => Ok(Self::Percent(percent)),
                _ => Err(wrong()),
            },
            None => match text.parse() {
                Ok(count @ 1..) => Ok(Self::Count(count)),
                _ => Err(wrong()),
            },
        }
    }

    /// Up to which target the stage goes, at least one.
    fn end(self, targets: usize) -> usize {
        match self {
            Self::Count(count) => count.min(targets),
            Self::Percent(percent) => (targets * usize::from(percent)).div_ceil(100).max(1),
        }
    }
}

/// The stages as numbers of targets each; the last one takes what is left. Stages that would be
/// empty are left out.
#[must_use]
pub fn stages(targets: usize, shares: &[Share]) -> Vec<usize> {
    let mut done = 0;
    let mut found = Vec::new();
    let ends = shares.iter().map(|share| share.end(targets));
    for end in ends.chain([targets]) {
        if end > done {
            found.push(end - done);
            done = end;
        }
    }
    found
}

/// One target of a stage, looked at.
#[derive(Debug)]
pub struct Member {
    /// The look.
    pub observation: Observation,
    /// What is asked.
    pub request: Request,
}

/// The decisions of a stage with the files of its one commit.
#[derive(Debug)]
pub struct Together {
    /// One decision a member, in their order.
    pub decisions: Vec<Decision>,
    /// The files, each once.
    pub files: Vec<EditedFile>,
}

/// Plans the members of one repository and branch together.
#[must_use]
pub fn together(members: &[Member], verified: &[String]) -> Together {
    let mut overlay = Overlay::default();
    let mut decisions = Vec::new();
    for member in members {
        let observation = overlay.over(&member.observation);
        let timeline = Timeline::of(&observation, verified);
        let decision = build(&observation, &timeline, &member.request);
        if let Decision::Plan(prepared) = &decision {
            overlay.add(&prepared.files);
        }
        decisions.push(decision);
    }
    Together {
        decisions,
        files: overlay.files(),
    }
}
