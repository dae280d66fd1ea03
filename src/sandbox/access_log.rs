//! Append-only JSON-lines files: the audit log, the Argo CD log and the Git access log.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::error::Error;

/// A file of JSON lines that several tasks append to.
#[derive(Debug)]
pub(crate) struct JsonLines(Mutex<File>);

impl JsonLines {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Self(Mutex::new(file.map_err(Error::file("open", path))?)))
    }

    /// Appends one line. A full disk must not stop the sandbox's answers, so that error is
    /// reported through tracing only.
    pub(crate) fn write(&self, line: &Value) {
        let text = format!("{line}\n");
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(text.as_bytes()) {
            tracing::warn!(%error, "a sandbox log line was lost");
        }
    }
}
