//! Bare repositories and commits in them, made without a work tree.

use std::path::{Path, PathBuf};

use git2::build::TreeUpdateBuilder;
use git2::{ErrorCode, FileMode, Oid, Repository, RepositoryInitOptions, Signature, Time};

use super::error::Error;

/// Who commits.
#[derive(Debug, Clone, Copy)]
pub struct Author<'a> {
    /// Full name.
    pub name: &'a str,
    /// Mail address.
    pub email: &'a str,
}

/// A commit to make.
#[derive(Debug, Clone)]
pub struct Commit<'a> {
    /// Its author and committer.
    pub author: Author<'a>,
    /// The whole message.
    pub message: &'a str,
    /// Seconds since the epoch.
    pub time: i64,
    /// Files by path; None removes the file.
    pub files: Vec<(&'a str, Option<String>)>,
}

fn failed(name: &str) -> impl Fn(git2::Error) -> Error {
    let repository = name.to_owned();
    move |source| Error::Repository {
        repository: repository.clone(),
        source,
    }
}

/// Makes a bare repository with `main` as its default branch.
pub(crate) fn create(root: &Path, name: &str) -> Result<PathBuf, Error> {
    let path = root.join(format!("{name}.git"));
    let mut options = RepositoryInitOptions::new();
    options
        .bare(true)
        .no_reinit(true)
        .initial_head("main")
        .external_template(false);
    let repository = Repository::init_opts(&path, &options).map_err(failed(name))?;
    let mut config = repository.config().map_err(failed(name))?;
    config
        .set_bool("http.receivepack", true)
        .map_err(failed(name))?;
    Ok(path)
}

/// Puts a commit on top of a branch, which is made where it is missing.
pub(crate) fn commit(
    root: &Path,
    name: &str,
    branch: &str,
    commit: &Commit<'_>,
) -> Result<String, Error> {
    let path = root.join(format!("{name}.git"));
    let repository = Repository::open_bare(&path).map_err(failed(name))?;
    let id = commit_to(&repository, branch, commit).map_err(failed(name))?;
    Ok(id.to_string())
}

fn commit_to(
    repository: &Repository,
    branch: &str,
    commit: &Commit<'_>,
) -> Result<Oid, git2::Error> {
    let reference = format!("refs/heads/{branch}");
    let parent = match repository.find_reference(&reference) {
        Ok(found) => Some(found.peel_to_commit()?),
        Err(error) if error.code() == ErrorCode::NotFound => None,
        Err(error) => return Err(error),
    };
    let base = match &parent {
        Some(parent) => parent.tree()?,
        None => repository.find_tree(repository.treebuilder(None)?.write()?)?,
    };
    let mut update = TreeUpdateBuilder::new();
    for (path, text) in &commit.files {
        match text {
            Some(text) => update.upsert(*path, repository.blob(text.as_bytes())?, FileMode::Blob),
            None => update.remove(*path),
        };
    }
    let tree = repository.find_tree(update.create_updated(repository, &base)?)?;
    let when = Time::new(commit.time, 0);
    let author = Signature::new(commit.author.name, commit.author.email, &when)?;
    let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
    repository.commit(
        Some(&reference),
        &author,
        &author,
        commit.message,
        &tree,
        &parents,
    )
}
