//! The journal of a run: what is about to be done is on disk before it is done.
//!
//! A run is a folder `runs/<run id>/` with `run.json` (what was asked and how to
//! reach everything again, no secrets), `plan.json`, `journal.jsonl` and `evidence/`.
//! Records are appended and synced one by one. A torn last line (the machine died
//! while writing) is ignored; a torn line in the middle is an error.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Check, RunId};
use crate::plan::{Plan, PlannedRevert, Request};
use crate::verify::{Baseline, Guard};

/// What can go wrong with a journal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading or writing failed; nothing was done after it.
    #[error("the journal at {} could not be {what}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// `read`, `written`, ...
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A line in the middle makes no sense.
    #[error("the journal at {} is damaged in line {line}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// 1-based.
        line: usize,
    },
    /// It was written by a newer program.
    #[error("run {run} was written by a newer unship (format {format})")]
    Newer {
        /// The run.
        run: String,
        /// Its format.
        format: u32,
    },
    /// No such run.
    #[error("there is no run {0}")]
    NoSuchRun(String),
    /// Another process holds the target.
    #[error("another run is at work on this target: {holder}")]
    Busy {
        /// What the other process wrote about itself.
        holder: String,
    },
}

/// The format that this program writes.
const FORMAT: u32 = 1;

/// How a run can be reached again: flags and places, never credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reach {
    /// `--kubeconfig`.
    pub kubeconfig: Option<String>,
    /// The context that was used.
    pub context: Option<String>,
    /// `--app`.
    pub app: Option<String>,
    /// The clone.
    pub repo: Option<String>,
    /// The file.
    pub file: Option<String>,
    /// The branch.
    pub branch: Option<String>,
    /// The working directory.
    pub directory: Option<String>,
    /// `--author`.
    pub author: Option<String>,
}

/// The head of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// Format of the journal.
    pub format: u32,
    /// The run.
    pub run_id: RunId,
    /// When it began; also the date of its commit, so that a commit made again is the same.
    pub began: Timestamp,
    /// What was asked.
    pub request: Request,
    /// How to reach everything again.
    pub reach: Reach,
    /// What the object was before.
    pub baseline: Baseline,
    /// A workload that must stay as it is.
    #[serde(default)]
    pub guard: Option<Guard>,
    /// A commit of the code to be reverted in its own repository.
    #[serde(default)]
    pub code: Option<PlannedRevert>,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "record",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Record {
    /// A step is about to act.
    Started {
        /// The step.
        step: String,
        /// When.
        at: Timestamp,
    },
    /// The commit exists in the object database; nothing was pushed yet.
    Committed {
        /// Its id.
        commit: String,
        /// Its parent.
        parent: String,
        /// When.
        at: Timestamp,
    },
    /// The revert of the code exists in its repository's object database.
    CodeCommitted {
        /// Its id.
        commit: String,
        /// Its parent.
        parent: String,
        /// When.
        at: Timestamp,
    },
    /// The branch moved; the same effect was planned again on the new tip.
    Replanned {
        /// The new plan.
        plan_id: String,
        /// The new parent.
        parent: String,
        /// When.
        at: Timestamp,
    },
    /// The commit is on the branch.
    Pushed {
        /// Its id.
        commit: String,
        /// The branch.
        branch: String,
        /// When.
        at: Timestamp,
    },
    /// A step ended.
    Finished {
        /// The step.
        step: String,
        /// When.
        at: Timestamp,
        /// What it rests on.
        evidence: String,
    },
    /// The run was handed to a human.
    HandedOver {
        /// Branch or file that holds the request.
        place: String,
        /// The commit that waits there, if one does.
        commit: Option<String>,
        /// When.
        at: Timestamp,
    },
    /// The run stopped and can go on.
    Stopped {
        /// Why.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// The run is over.
    Ended {
        /// Its state in words of the JSON surface.
        state: String,
        /// The program's exit code.
        exit_code: u8,
        /// The checks.
        checks: Vec<Check>,
        /// When.
        at: Timestamp,
    },
    /// A person gave it up.
    Abandoned {
        /// When.
        at: Timestamp,
    },
}

/// A run as it stands on disk.
#[derive(Debug, Clone)]
pub struct StoredRun {
    /// Its folder.
    pub directory: PathBuf,
    /// Its head.
    pub head: Head,
    /// Its plan (the newest, after planning again).
    pub plan: Plan,
    /// Its records.
    pub records: Vec<Record>,
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    file: File,
    /// Held as long as the run is at work.
    _lock: TargetLock,
}

/// Excludes other processes from one target.
#[derive(Debug)]
pub struct TargetLock {
    _file: File,
}

fn io_error(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { path, what, source }
}

impl TargetLock {
    /// Takes the lock of a target (`name` is any text that identifies it).
    ///
    /// # Errors
    /// [`Error::Busy`] when another process holds it.
    pub fn take(state: &Path, name: &str, holder: &str) -> Result<Self, Error> {
        let folder = state.join("locks");
        fs::create_dir_all(&folder).map_err(io_error(&folder, "made"))?;
        let safe: String = name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '-' {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        let path = folder.join(safe);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(io_error(&path, "opened"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&path).unwrap_or_default();
                return Err(Error::Busy {
                    holder: holder.trim().to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => {
                return Err(Error::Io {
                    path,
                    what: "locked",
                    source,
                });
            }
        }
        file.set_len(0).map_err(io_error(&path, "written"))?;
        file.write_all(holder.as_bytes())
            .map_err(io_error(&path, "written"))?;
        Ok(Self { _file: file })
    }
}

impl Journal {
    /// Makes the folder of a new run with its head and plan.
    ///
    /// # Errors
    /// When the disk refuses; nothing has been done then.
    pub fn create(state: &Path, head: &Head, plan: &Plan, lock: TargetLock) -> Result<Self, Error> {
        let runs = state.join("runs");
        let directory = runs.join(&head.run_id.0);
        let made = Self::fill(&directory, head, plan);
        if let Err(error) = made {
            // A run that cannot be read back would only puzzle `unship runs`.
            let _ = fs::remove_dir_all(&directory);
            return Err(error);
        }
        Self::open_file(directory, lock)
    }

    fn fill(directory: &Path, head: &Head, plan: &Plan) -> Result<(), Error> {
        let evidence = directory.join("evidence");
        fs::create_dir_all(&evidence).map_err(io_error(directory, "made"))?;
        write_json(&directory.join("run.json"), head)?;
        write_json(&directory.join("plan.json"), plan)
    }

    /// Opens the journal of a stored run to go on with it.
    ///
    /// # Errors
    /// When the file cannot be opened for appending.
    pub fn reopen(run: &StoredRun, lock: TargetLock) -> Result<Self, Error> {
        Self::open_file(run.directory.clone(), lock)
    }

    fn open_file(directory: PathBuf, lock: TargetLock) -> Result<Self, Error> {
        let path = directory.join("journal.jsonl");
        trim_torn_line(&path)?;
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(io_error(&path, "opened"))?;
        Ok(Self {
            directory,
            file,
            _lock: lock,
        })
    }

    /// The run's folder.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Appends a record and syncs it to disk.
    ///
    /// # Errors
    /// When the disk refuses: the caller must not act then.
    pub fn append(&mut self, record: &Record) -> Result<(), Error> {
        let path = self.directory.join("journal.jsonl");
        let mut line = serde_json::to_vec(record).map_err(|e| Error::Io {
            path: path.clone(),
            what: "written",
            source: e.into(),
        })?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .map_err(io_error(&path, "written"))?;
        self.file.sync_data().map_err(io_error(&path, "synced"))
    }

    /// Puts a newer plan in the place of the stored one.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn replace_plan(&self, plan: &Plan) -> Result<(), Error> {
        write_json(&self.directory.join("plan.json"), plan)
    }
}

/// Cuts off a last line without its end, so that the next record starts on a line
/// of its own.
fn trim_torn_line(path: &Path) -> Result<(), Error> {
    let Ok(bytes) = fs::read(path) else {
        return Ok(());
    };
    let whole = bytes
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |end| end + 1);
    if whole == bytes.len() {
        return Ok(());
    }
    let file = OpenOptions::new()
        .write(true)
        .open(path)
        .map_err(io_error(path, "opened"))?;
    file.set_len(whole as u64).map_err(io_error(path, "mended"))
}

pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let text = serde_json::to_vec_pretty(value).map_err(|e| Error::Io {
        path: path.to_owned(),
        what: "written",
        source: e.into(),
    })?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io_error(path, "written"))?;
    file.write_all(&text).map_err(io_error(path, "written"))?;
    file.as_file()
        .sync_all()
        .map_err(io_error(path, "synced"))?;
    file.persist(path).map_err(|e| Error::Io {
        path: path.to_owned(),
        what: "written",
        source: e.error,
    })?;
    Ok(())
}

/// Reads one run.
///
/// # Errors
/// When it is not there, damaged, or of a newer format.
pub fn load(state: &Path, run: &str) -> Result<StoredRun, Error> {
    let directory = state.join("runs").join(run);
    let safe = !run.is_empty() && run.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !safe || !directory.is_dir() {
        return Err(Error::NoSuchRun(run.to_owned()));
    }
    let head: Head = read_json(&directory.join("run.json"))?;
    if head.format > FORMAT {
        return Err(Error::Newer {
            run: run.to_owned(),
            format: head.format,
        });
    }
    let plan: Plan = read_json(&directory.join("plan.json"))?;
    let path = directory.join("journal.jsonl");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(source) => {
            return Err(Error::Io {
                path,
                what: "read",
                source,
            });
        }
    };
    let records = parse_records(&text).map_err(|line| Error::Damaged { path, line })?;
    Ok(StoredRun {
        directory,
        head,
        plan,
        records,
    })
}

/// The records of a journal; the number of the bad line where it is damaged.
fn parse_records(text: &str) -> Result<Vec<Record>, usize> {
    let mut records = Vec::new();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if !line.ends_with('\n') {
            break;
        }
        records.push(serde_json::from_str(line).map_err(|_| index + 1)?);
    }
    Ok(records)
}

pub(super) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let bytes = fs::read(path).map_err(io_error(path, "read"))?;
    serde_json::from_slice(&bytes).map_err(|e| Error::Io {
        path: path.to_owned(),
        what: "read",
        source: e.into(),
    })
}

/// The ids of all runs, oldest first.
#[must_use]
pub fn names(state: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(state.join("runs")) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// All runs, oldest first, each with its error where it cannot be read.
#[must_use]
pub fn list(state: &Path) -> Vec<(String, Result<StoredRun, Error>)> {
    names(state)
        .into_iter()
        .map(|name| (name.clone(), load(state, &name)))
        .collect()
}

/// A new run id: the time, then six hex digits that keep two runs of one second apart.
#[must_use]
pub fn new_run_id(now: Timestamp) -> RunId {
    use std::hash::{BuildHasher as _, Hasher as _};
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    let noise = hasher.finish() & 0x00ff_ffff;
    RunId(format!("{}-{noise:06x}", now.strftime("%Y%m%dT%H%M%SZ")))
}

impl Head {
    /// A head in this program's format.
    #[must_use]
    pub const fn new(
        run_id: RunId,
        began: Timestamp,
        request: Request,
        reach: Reach,
        baseline: Baseline,
    ) -> Self {
        Self {
            format: FORMAT,
            run_id,
            began,
            request,
            reach,
            baseline,
            guard: None,
            code: None,
        }
    }
}

impl StoredRun {
    /// The steps that were finished.
    #[must_use]
    pub fn finished(&self) -> std::collections::BTreeSet<String> {
        let steps = self.records.iter().filter_map(|record| match record {
            Record::Finished { step, .. } => Some(step.clone()),
            _ => None,
        });
        steps.collect()
    }

    /// Whether a step was begun, whatever came of it.
    #[must_use]
    pub fn began(&self, wanted: &str) -> bool {
        self.records
            .iter()
            .any(|record| matches!(record, Record::Started { step, .. } if step == wanted))
    }

    /// How it ended, if it did.
    #[must_use]
    pub fn ended(&self) -> Option<(&str, u8)> {
        self.records.iter().rev().find_map(|record| match record {
            Record::Ended {
                state, exit_code, ..
            } => Some((state.as_str(), *exit_code)),
            Record::Abandoned { .. } => Some(("abandoned", 0)),
            Record::Started { .. }
            | Record::Committed { .. }
            | Record::CodeCommitted { .. }
            | Record::Replanned { .. }
            | Record::Pushed { .. }
            | Record::Finished { .. }
            | Record::HandedOver { .. }
            | Record::Stopped { .. } => None,
        })
    }

    /// Whether `unship continue` has something to go on with.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self.ended() {
            None => true,
            // A deadline passed, or a human has to act: the world may have moved since.
            Some((_, code)) => matches!(code, 4 | 6 | 7),
        }
    }

    /// The commit that the run made last, and whether it was seen on the branch.
    #[must_use]
    pub fn commit(&self) -> Option<(String, bool)> {
        let mut found = None;
        for record in &self.records {
            match record {
                Record::Committed { commit, .. } => found = Some((commit.clone(), false)),
                Record::Pushed { commit, .. } => found = Some((commit.clone(), true)),
                Record::Started { .. }
                | Record::CodeCommitted { .. }
                | Record::Replanned { .. }
                | Record::Finished { .. }
                | Record::HandedOver { .. }
                | Record::Stopped { .. }
                | Record::Ended { .. }
                | Record::Abandoned { .. } => {}
            }
        }
        found
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
