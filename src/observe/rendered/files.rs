//! The files of one commit, with those of other repositories.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::git::{FileMode, GitError, Repository, TreeFile};
use crate::model::{At, CommitId, Elsewhere};
use crate::provenance::{Files, PACKED};
use crate::signals::unpacked;

/// Texts by path.
pub(super) type Texts = BTreeMap<String, Arc<str>>;

/// The files of one commit, each read when it is asked for, with those of other repositories
/// behind their roots.
pub(in crate::observe) struct CommitFiles<'r> {
    repository: &'r Repository,
    commit: &'r CommitId,
    others: &'r [(Repository, Elsewhere)],
    /// What was read.
    texts: RefCell<Texts>,
    /// What tags and ids in paths mean.
    revisions: RefCell<BTreeMap<String, Option<CommitId>>>,
    /// The texts of packed charts, by the archive's path.
    archives: RefCell<BTreeMap<String, Rc<Texts>>>,
    /// The first file that is there and could not be read.
    failed: RefCell<Option<GitError>>,
}

/// A path in a packed chart: the archive and the path in it.
fn packed(path: &str) -> Option<(&str, &str)> {
    let at = path.find(PACKED)? + PACKED.len();
    Some((&path[..at - 1], &path[at..]))
}

impl<'r> CommitFiles<'r> {
    pub(in crate::observe) fn at(
        (repository, commit): (&'r Repository, &'r CommitId),
        others: &'r [(Repository, Elsewhere)],
    ) -> Self {
        Self {
            repository,
            commit,
            others,
            texts: RefCell::default(),
            revisions: RefCell::default(),
            archives: RefCell::default(),
            failed: RefCell::default(),
        }
    }

    /// The repository and the commit that a path is in, and the path there. `None` for a
    /// repository that is not here.
    fn place<'p>(&self, path: &'p str) -> Option<(&Repository, Cow<'_, CommitId>, &'p str)> {
        if !path.starts_with("//") {
            return Some((self.repository, Cow::Borrowed(self.commit), path));
        }
        self.others.iter().find_map(|(repository, other)| {
            let rest = path.strip_prefix(&other.root)?;
            match &other.at {
                At::Commit(commit) => Some((repository, Cow::Borrowed(commit), rest)),
                At::Revision(remote) => {
                    let (revision, rest) = rest.split_once("//")?;
                    let commit = self.named(repository, remote, revision)?;
                    Some((repository, Cow::Owned(commit), rest))
                }
            }
        })
    }

    /// The commit that a tag or an id means.
    fn named(&self, repository: &Repository, remote: &str, revision: &str) -> Option<CommitId> {
        if let Some(known) = self.revisions.borrow().get(revision) {
            return known.clone();
        }
        let found = repository.revision_of(remote, revision);
        let found = found.unwrap_or_else(|error| {
            self.fail(error);
            None
        });
        let mut revisions = self.revisions.borrow_mut();
        revisions.insert(revision.to_owned(), found.clone());
        found
    }

    /// The texts of a packed chart; none where it cannot be unpacked.
    fn archive(&self, path: &str) -> Option<Rc<Texts>> {
        if let Some(known) = self.archives.borrow().get(path) {
            return Some(known.clone());
        }
        let (repository, commit, own) = self.place(path)?;
        let blob = match repository.blob_at(&commit, own) {
            Ok(blob) => blob?,
            Err(error) => {
                self.fail(error);
                return None;
            }
        };
        let files = unpacked(&blob.bytes).ok()?.into_iter();
        let texts = files.filter_map(|(name, bytes)| {
            let text: Arc<str> = String::from_utf8(bytes).ok()?.into();
            Some((name, text))
        });
        let texts: Rc<Texts> = Rc::new(texts.collect());
        let mut archives = self.archives.borrow_mut();
        archives.insert(path.to_owned(), texts.clone());
        Some(texts)
    }

    /// The plain files in a folder and below, each behind its root.
    pub(super) fn below(&self, folder: &str) -> Result<Vec<TreeFile>, GitError> {
        let Some((repository, commit, own)) = self.place(folder) else {
            return Ok(Vec::new());
        };
        let root = &folder[..folder.len() - own.len()];
        let files = match repository.files_under(&commit, own, true) {
            Err(GitError::NoSuchPath { .. }) => Vec::new(),
            found => found?,
        };
        // A link could lead anywhere.
        let plain = |file: &TreeFile| matches!(file.mode, FileMode::Regular | FileMode::Executable);
        let behind = |file: TreeFile| TreeFile {
            path: format!("{root}{}", file.path),
            ..file
        };
        Ok(files.into_iter().filter(plain).map(behind).collect())
    }

    /// A file's content.
    pub(super) fn bytes(&self, file: &TreeFile) -> Result<Vec<u8>, GitError> {
        match self.place(&file.path) {
            Some((repository, _, _)) => repository.blob_bytes(&file.id),
            None => Ok(Vec::new()),
        }
    }

    /// The answer, if every file that it rests on could be read.
    pub(in crate::observe) fn ask<T>(
        self,
        ask: impl FnOnce(&dyn Files) -> T,
    ) -> Result<T, GitError> {
        let answer = ask(&self);
        match self.failed.into_inner() {
            Some(error) => Err(error),
            None => Ok(answer),
        }
    }

    fn fail(&self, error: GitError) {
        self.failed.borrow_mut().get_or_insert(error);
    }
}

impl Files for CommitFiles<'_> {
    fn text(&self, path: &str) -> Option<Arc<str>> {
        if let Some(known) = self.texts.borrow().get(path) {
            return Some(known.clone());
        }
        if let Some((archive, inner)) = packed(path) {
            return self.archive(archive)?.get(inner).cloned();
        }
        let (repository, commit, own) = self.place(path)?;
        match repository.blob_at(&commit, own) {
            Ok(blob) => {
                let text: Arc<str> = String::from_utf8(blob?.bytes).ok()?.into();
                let mut texts = self.texts.borrow_mut();
                texts.insert(path.to_owned(), text.clone());
                Some(text)
            }
            Err(GitError::NotAFile { .. }) => None,
            Err(error) => {
                self.fail(error);
                None
            }
        }
    }

    fn list(&self, folder: &str) -> Vec<String> {
        if let Some((archive, inner)) = packed(&format!("{folder}/")) {
            let texts = self.archive(archive).unwrap_or_default();
            return texts.list(inner.trim_end_matches('/'));
        }
        let Some((repository, commit, folder)) = self.place(folder) else {
            return Vec::new();
        };
        // A packed chart among the subcharts is a folder to whoever reads.
        let of_charts = folder == "charts" || folder.ends_with("/charts");
        let prefix = match folder {
            "" => String::new(),
            _ => format!("{folder}/"),
        };
        let below = match repository.files_under(&commit, folder, true) {
            Ok(files) => files,
            Err(GitError::NoSuchPath { .. }) => Vec::new(),
            Err(error) => {
                self.fail(error);
                Vec::new()
            }
        };
        let names: BTreeSet<String> = below
            .iter()
            .filter_map(|file| file.path.strip_prefix(&prefix))
            .map(|rest| match rest.split_once('/') {
                Some((name, _)) => format!("{name}/"),
                None if of_charts && rest.ends_with(".tgz") => format!("{rest}/"),
                None => rest.to_owned(),
            })
            .collect();
        names.into_iter().collect()
    }
}
