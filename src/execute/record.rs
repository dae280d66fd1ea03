//! Keeping a record: as a file, and as a bead where a tracker works. Doing it again
//! keeps one file and one bead.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::report::Record;
use crate::tracker::{Bead, Error as TrackerError, Known, Tracker};

/// Where records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordChoice {
    /// A file, and a bead where the tracker works.
    Auto,
    /// The same: a tracker that does not work is a warning, and the file is there.
    Br,
    /// A file only.
    File,
    /// Nowhere.
    None,
}

/// How a record is kept.
pub struct Keeping<'a> {
    /// Where.
    pub choice: RecordChoice,
    /// The tracker.
    pub tracker: &'a Tracker,
    /// The file.
    pub file: &'a Path,
    /// Called with a name after every effect; a test may end the process there.
    pub reached: &'a (dyn Fn(&str) + Send + Sync),
}

/// What was kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// The bead's id.
    pub bead: Option<String>,
    /// Whether the bead was there before.
    pub found: bool,
    /// The file.
    pub file: Option<PathBuf>,
    /// What did not work, each with what to do about it.
    pub warnings: Vec<String>,
}

/// Why a record could not be kept. Nothing was created then.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is somebody else's, or of another incident.
    #[error("{} is there and is not the record of this incident; it was left alone", path.display())]
    Occupied {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be read or written.
    #[error("{} could not be {what}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl RecordChoice {
    const fn has_file(self) -> bool {
        !matches!(self, Self::None)
    }

    const fn has_bead(self) -> bool {
        matches!(self, Self::Auto | Self::Br)
    }
}

impl std::fmt::Debug for Keeping<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeping")
            .field("choice", &self.choice)
            .field("tracker", self.tracker)
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// Keeps a record: first the file, then the bead, then the file again with the bead's
/// id. The bead is found again by the incident's key before one is created, so that a
/// process that died in between leaves no second one.
///
/// # Errors
/// When the file cannot be kept; then no bead was created either. A tracker that does
/// not work is a warning.
pub async fn keep(record: &Record, how: &Keeping<'_>) -> Result<Kept, Error> {
    let mut kept = Kept::default();
    let mut tracked = None;
    if how.choice.has_file() {
        let before = read(how.file, record)?;
        tracked = before.as_deref().and_then(tracked_as);
        write(
            how.file,
            before.as_deref(),
            &record.markdown(tracked.as_deref()),
        )?;
        (how.reached)("record file written");
        kept.file = Some(how.file.to_owned());
    }
    if !how.choice.has_bead() {
        return Ok(kept);
    }
    match bead(record, how).await {
        Ok((id, found)) => {
            kept.bead = Some(id);
            kept.found = found;
        }
        Err(error) => {
            kept.warnings.push(format!("{error}; {}", error.hint()));
            return Ok(kept);
        }
    }
    if kept.bead != tracked {
        let rewritten = read(how.file, record).and_then(|before| {
            write(
                how.file,
                before.as_deref(),
                &record.markdown(kept.bead.as_deref()),
            )
        });
        if let Err(error) = rewritten {
            kept.warnings
                .push(format!("the file does not name the bead: {error}"));
        }
    }
    Ok(kept)
}

/// The id of the incident's open bead, and whether it was there before.
async fn bead(record: &Record, how: &Keeping<'_>) -> Result<(String, bool), TrackerError> {
    let Known { open, free } = how.tracker.look_up(&record.incident).await?;
    if let Some(id) = open {
        return Ok((id, true));
    }
    (how.reached)("bead looked up");
    let new = Bead {
        title: record.title.clone(),
        kind: record.issue_type.clone(),
        priority: record.priority,
        labels: record.labels.clone(),
        body: record.body.clone(),
        external_ref: Some(free),
    };
    let created = how.tracker.create(&new).await;
    (how.reached)("bead created");
    match created {
        Ok(id) => Ok((id, false)),
        Err(error) if error.nothing_written() => Err(error),
        // It may be there all the same: the answer was lost, or somebody else was
        // quicker and the tracker keeps references unique.
        Err(error) => match how.tracker.find(&record.incident).await {
            Ok(Some(id)) => Ok((id, true)),
            Ok(None) | Err(_) => Err(error),
        },
    }
}

/// The file's text, if it is the record of this incident.
fn read(path: &Path, record: &Record) -> Result<Option<String>, Error> {
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(Error::Io {
                path: path.to_owned(),
                what: "read",
                source,
            });
        }
    };
    if text.lines().next() == Some(record.marker().as_str()) {
        return Ok(Some(text));
    }
    Err(Error::Occupied {
        path: path.to_owned(),
    })
}

/// The bead that a file names.
fn tracked_as(text: &str) -> Option<String> {
    let line = text
        .lines()
        .take(6)
        .find_map(|line| line.strip_prefix("Tracked as `"))?;
    Some(line.strip_suffix('`')?.to_owned())
}

/// Writes the whole file or nothing. A file that appeared meanwhile is not replaced.
fn write(path: &Path, before: Option<&str>, text: &str) -> Result<(), Error> {
    if before == Some(text) {
        return Ok(());
    }
    let failed = |source: io::Error| Error::Io {
        path: path.to_owned(),
        what: "written",
        source,
    };
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".unship-record-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // Others are to read it; the umask narrows it.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).map_err(failed)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.as_file().sync_all())
        .map_err(failed)?;
    let moved = match before {
        Some(_) => file.persist(path),
        None => file.persist_noclobber(path),
    };
    match moved {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(Error::Occupied {
            path: path.to_owned(),
        }),
        Err(error) => Err(failed(error.error)),
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
