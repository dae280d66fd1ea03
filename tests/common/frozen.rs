//! What must not change when a command refuses.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{World, clean, run};

/// What must not change when a command refuses.
#[derive(Debug, PartialEq, Eq)]
pub struct Frozen {
    remote: String,
    head: String,
    branches: String,
    status: String,
    work_tree: BTreeMap<PathBuf, Vec<u8>>,
    runs: Vec<String>,
}

fn work_tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_name() == ".git" {
            continue;
        }
        if path.is_dir() {
            found.append(&mut work_tree(&path));
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap_or_default());
        }
    }
    found
}

impl World {
    /// Everything that must not change when a command refuses.
    pub fn frozen(&self) -> Frozen {
        let clone = &self.engineer.clone;
        let here = |arguments: &[&str]| {
            let mut command = clean("git", &self.engineer);
            command.current_dir(clone).args(arguments);
            run(command).stdout
        };
        Frozen {
            remote: self.remote(&["for-each-ref"]),
            head: here(&["rev-parse", "HEAD"]),
            branches: here(&["for-each-ref", "refs/heads", "refs/tags"]),
            status: here(&["status", "--porcelain=v1"]),
            work_tree: work_tree(clone),
            runs: self.run_folders(),
        }
    }

    /// Names of the runs in the engineer's journal.
    pub fn run_folders(&self) -> Vec<String> {
        let folder = self.engineer.home.join("state/unship/runs");
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}
