//! The files of a recipe in a folder of their own, which goes with the value.

use std::path::{Path, PathBuf};

use super::Error;
use crate::model::{Recipe, split_root};

/// More than this is not laid out, in bytes and in files: a source that needs it is left unproved.
const MOST_BYTES: usize = 64 * 1024 * 1024;
const MOST_FILES: usize = 5_000;

/// Files laid out for a program.
#[derive(Debug)]
pub struct Laid {
    folder: tempfile::TempDir,
    roots: Vec<String>,
    bytes: usize,
    files: usize,
}

impl Laid {
    /// An empty place for a recipe, with the texts that are in no repository.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(recipe: &Recipe) -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(failed)?;
        let mut laid = Self {
            folder,
            roots: Vec::new(),
            bytes: 0,
            files: 0,
        };
        std::fs::create_dir(laid.home()).map_err(failed)?;
        for (index, text) in recipe.given.iter().enumerate() {
            std::fs::write(laid.given(index), text).map_err(failed)?;
        }
        for folder in recipe.folders.iter().chain([&recipe.folder]) {
            laid.know(folder);
            std::fs::create_dir_all(laid.place(folder)?).map_err(failed)?;
        }
        Ok(laid)
    }

    /// Puts a file there; the path is behind its repository's root.
    ///
    /// # Errors
    /// When it cannot be written, or becomes too much.
    pub fn put(&mut self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        self.bytes += bytes.len();
        self.files += 1;
        if self.bytes > MOST_BYTES || self.files > MOST_FILES {
            return Err(Error::Files(format!(
                "its folders hold more than {MOST_FILES} files or {} MiB",
                MOST_BYTES / 1024 / 1024
            )));
        }
        let place = self.place(path)?;
        if let Some(parent) = place.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        std::fs::write(place, bytes).map_err(failed)
    }

    /// Where the programs have their home.
    pub(super) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub(super) fn given(&self, index: usize) -> PathBuf {
        self.folder.path().join(format!("given-{index}.yaml"))
    }

    /// Where a file of the repositories is laid out.
    pub(super) fn place(&self, path: &str) -> Result<PathBuf, Error> {
        let (root, rest) = split_root(path);
        let known = self.roots.iter().position(|known| known == root);
        let known = known.ok_or_else(|| Error::Files(format!("{path} is in none of them")))?;
        let rest = Path::new(rest);
        let stays = |part| matches!(part, std::path::Component::Normal(_));
        if !rest.components().all(stays) {
            return Err(Error::Files(format!("{path} leaves its repository")));
        }
        Ok(self.folder.path().join(format!("files-{known}")).join(rest))
    }

    fn know(&mut self, path: &str) {
        let (root, _) = split_root(path);
        if !self.roots.iter().any(|known| known == root) {
            self.roots.push(root.to_owned());
        }
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::Files(error.to_string())
}
