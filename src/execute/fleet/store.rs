//! A fleet on disk: one document that is written anew before every act.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::execute::journal::{Error, Reach, TargetLock, read_json, write_json};
use crate::model::RunId;
use crate::plan::Request;
use crate::report::{FleetCommit, FleetReport, FleetTarget, RunState};

/// The format of the document. A newer one is not touched.
const FORMAT: u32 = 1;

/// Everything that is known of a fleet.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredFleet {
    /// Format.
    pub format: u32,
    /// The id.
    pub fleet_id: RunId,
    /// When it began: also the date of its commits.
    pub began: Timestamp,
    /// What is done, as a commit's subject: `fix: rollback from web:2`.
    pub subject: String,
    /// The targets in the order of their stages.
    pub members: Vec<StoredMember>,
    /// Numbers of targets, stage by stage.
    pub stages: Vec<usize>,
    /// The commits so far.
    pub commits: Vec<StageCommit>,
    /// How everything is reached again.
    pub reach: Reach,
    /// How it ended, where it cannot go on.
    pub ended: Option<(RunState, u8)>,
}

/// One target.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredMember {
    /// What is asked.
    pub request: Request,
    /// Hash of what the plan does to it; `None` where Git has it already.
    pub effect_id: Option<String>,
    /// As it is shown.
    pub shown: FleetTarget,
}

/// A commit of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StageCommit {
    /// The stage, from 0.
    pub stage: usize,
    /// The repository, without credentials.
    pub repository: String,
    /// The branch.
    pub branch: String,
    /// The commit.
    pub commit: String,
    /// Whether the branch of the remote is known to have it.
    pub pushed: bool,
}

impl StoredFleet {
    /// A fleet that has not begun.
    #[must_use]
    pub fn new(
        (fleet_id, began): (RunId, Timestamp),
        subject: String,
        (members, stages): (Vec<StoredMember>, Vec<usize>),
        reach: Reach,
    ) -> Self {
        Self {
            format: FORMAT,
            fleet_id,
            began,
            subject,
            members,
            stages,
            commits: Vec::new(),
            reach,
            ended: None,
        }
    }

    /// The places of a stage's members.
    #[must_use]
    pub fn range(&self, stage: usize) -> std::ops::Range<usize> {
        let start: usize = self.stages.iter().take(stage).sum();
        let size = self.stages.get(stage).copied().unwrap_or(0);
        start..(start + size).min(self.members.len())
    }

    /// Where it stands, in words: `open, stage 2 of 3`, `succeeded (0)`.
    #[must_use]
    pub fn word(&self) -> String {
        match self.ended {
            Some((state, code)) => format!("{} ({code})", state.as_str()),
            None => {
                let done = |stage: &usize| {
                    let members = &self.members[self.range(*stage)];
                    members.iter().all(|m| m.shown.state == RunState::Succeeded)
                };
                let over = (0..self.stages.len()).take_while(done).count();
                let stage = (over + 1).min(self.stages.len());
                format!("open, stage {stage} of {}", self.stages.len())
            }
        }
    }

    /// Whether it can go on.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.ended.is_none()
    }
}

/// Holds a fleet's folder, against other processes.
#[derive(Debug)]
pub struct Keeper {
    path: PathBuf,
    _lock: TargetLock,
}

fn folder(state: &Path) -> PathBuf {
    state.join("fleets")
}

impl Keeper {
    /// Makes the document of a new fleet.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn create(state: &Path, fleet: &StoredFleet) -> Result<Self, Error> {
        let folder = folder(state);
        fs::create_dir_all(&folder).map_err(|source| Error::Io {
            path: folder.clone(),
            what: "made",
            source,
        })?;
        let keeper = Self::over(state, &fleet.fleet_id)?;
        keeper.save(fleet)?;
        Ok(keeper)
    }

    /// Takes a stored fleet up.
    ///
    /// # Errors
    /// When another process is at it.
    pub fn over(state: &Path, id: &RunId) -> Result<Self, Error> {
        let holder = format!("fleet {id} (process {})", std::process::id());
        Ok(Self {
            path: folder(state).join(format!("{id}.json")),
            _lock: TargetLock::take(state, &format!("fleet-{id}"), &holder)?,
        })
    }

    /// Writes the document, whole or not at all, and syncs it to disk.
    ///
    /// # Errors
    /// When the disk refuses: the caller must not act then.
    pub fn save(&self, fleet: &StoredFleet) -> Result<(), Error> {
        write_json(&self.path, fleet)
    }

    /// Writes a stage's request for a human beside the document, and tells where.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn request(&self, stage: usize, text: &str) -> Result<PathBuf, Error> {
        let path = self.path.with_extension(format!("{}.md", stage + 1));
        fs::write(&path, text).map_err(|source| Error::Io {
            path: path.clone(),
            what: "written",
            source,
        })?;
        Ok(path)
    }
}

impl StoredFleet {
    /// As a document and a table, where it stands.
    #[must_use]
    pub fn report(&self) -> FleetReport {
        let targets = self.members.iter().map(|m| m.shown.clone()).collect();
        let mut report = FleetReport::new(&self.fleet_id.0, &self.subject, targets);
        let commits = self.commits.iter();
        report.commits = commits
            .map(|own| FleetCommit {
                stage: own.stage + 1,
                repository: own.repository.clone(),
                branch: own.branch.clone(),
                id: own.commit.clone(),
                pushed: own.pushed,
            })
            .collect();
        if let Some((state, _)) = self.ended {
            report.state = state;
        } else {
            report
                .next
                .push(format!("unship continue {}", self.fleet_id));
        }
        report
    }
}

/// Reads one fleet.
///
/// # Errors
/// When it is not there, damaged, or of a newer format.
pub fn load(state: &Path, id: &str) -> Result<StoredFleet, Error> {
    let path = folder(state).join(format!("{id}.json"));
    let safe = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !safe || !path.is_file() {
        return Err(Error::NoSuchRun(id.to_owned()));
    }
    let fleet: StoredFleet = read_json(&path)?;
    if fleet.format > FORMAT {
        return Err(Error::Newer {
            run: id.to_owned(),
            format: fleet.format,
        });
    }
    Ok(fleet)
}

/// The ids of all fleets, oldest first.
#[must_use]
pub fn names(state: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder(state)).into_iter().flatten();
    let name = |entry: fs::DirEntry| entry.file_name().into_string().ok();
    let names = entries.filter_map(|entry| name(entry.ok()?));
    let mut names: Vec<String> = names
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .collect();
    names.sort();
    names
}
