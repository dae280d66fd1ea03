//! Where the files of an Application's source are, and what makes the Application itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Application, CommitId};

/// Another repository than the one at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// What stands before its paths (`provenance::root` of its URL and revision); of
    /// [`At::Revision`] as far as the `@` before the revision.
    pub root: String,
    /// Where its clone is.
    pub clone: String,
    /// Which commit.
    pub at: At,
}

/// The root of a path among the files of several repositories, and what is behind it: the root of
/// another one ends with the second `//`, that of the repository at hand is empty.
#[must_use]
pub fn split_root(path: &str) -> (&str, &str) {
    match path.rfind("//") {
        Some(at) if at > 0 && path.starts_with("//") => path.split_at(at + 2),
        _ => ("", path),
    }
}

/// Whether such a path lies below such a folder.
#[must_use]
pub fn lies_in(path: &str, folder: &str) -> bool {
    let ((root, own), (other, above)) = (split_root(path), split_root(folder));
    let below = own.strip_prefix(above);
    root == other
        && match above {
            "" => !own.is_empty(),
            _ => below.is_some_and(|rest| rest.starts_with('/')),
        }
}

/// Which commit of another repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// This one.
    Commit(CommitId),
    /// The one that the tag or commit in the path names; tags are those of this remote.
    Revision(String),
}

/// Where the files of an Application's source are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sourcing {
    /// The source's folder, behind the root of its repository.
    pub folder: String,
    /// The Application's instance name, as the tracking id on a live object has it.
    pub instance: String,
    /// The roots of the sources with a `ref`, by that; empty for the repository at hand.
    pub references: BTreeMap<String, String>,
    /// What makes the Application, where that is in files.
    pub making: Option<Box<Making>>,
    /// Where `targetRevision` is no branch: the source's files are those of the commit that what
    /// makes the Application names.
    pub pinned: Option<Pinned>,
    /// What the cluster serves, for charts that ask.
    pub capabilities: Option<Capabilities>,
}

/// What charts may ask of the cluster (`.Capabilities`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// The API server's version, as `v1.33.4`.
    pub kube_version: String,
    /// The group versions that it serves: `v1`, `apps/v1`.
    pub api_versions: BTreeSet<String>,
}

/// A source whose `targetRevision` is a tag or a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// Its repository's URL, as the root of its files has it.
    pub repository: String,
    /// `a tag` or `a commit`.
    pub what: &'static str,
    /// The revisions that the history of what makes the Application names, newest first.
    pub revisions: Vec<String>,
}

/// How an Application is made from files.
#[derive(Debug, Clone, PartialEq)]
pub struct Making {
    /// What makes it.
    pub maker: Maker,
    /// What the live Application's source says besides, in `helm`, `kustomize`, `directory` and
    /// `plugin`: it is in no file.
    pub rest: Value,
}

/// What makes an Application.
#[derive(Debug, Clone, PartialEq)]
pub enum Maker {
    /// Another Application deploys it (app-of-apps).
    Application(Box<Deployer>),
    /// An ApplicationSet makes it.
    ApplicationSet(Box<ApplicationSet>),
}

/// An ApplicationSet.
#[derive(Debug, Clone, PartialEq)]
pub struct ApplicationSet {
    /// Its name.
    pub name: String,
    /// `spec`, as it stands.
    pub spec: Value,
    /// The Git generator whose files have the Application's parameters; `None` where no generator
    /// that is followed does.
    pub generator: Option<Generator>,
}

/// A Git generator of an ApplicationSet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generator {
    /// Its index in `spec.generators`.
    pub index: usize,
    /// The root of its repository's files.
    pub root: String,
}

impl ApplicationSet {
    /// How long its controller may take to look into Git again, in seconds
    /// (`requeueAfterSeconds`, 3 minutes unless set).
    #[must_use]
    pub fn poll_seconds(&self) -> i64 {
        let generator = self.generator.as_ref();
        let own = generator.and_then(|own| {
            let git = &self.spec["generators"][own.index]["git"];
            git["requeueAfterSeconds"].as_i64()
        });
        own.unwrap_or(180)
    }
}

/// An Application that deploys others.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployer {
    /// The Application.
    pub application: Application,
    /// Which of its sources has the manifest.
    pub source: usize,
    /// Where that source's files are.
    pub sourcing: Sourcing,
}

/// Whose comparison shows that Argo CD has seen a commit of the repository at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lands {
    /// The target's own Application: the source with this index.
    Source(usize),
    /// What makes it: 1 is the maker of the target's own Application, 2 the maker of that.
    Maker(usize),
}

impl Sourcing {
    /// The makers, the nearest first.
    pub fn makers(&self) -> impl Iterator<Item = &Making> {
        std::iter::successors(self.making.as_deref(), |making| match &making.maker {
            Maker::Application(deployer) => deployer.sourcing.making.as_deref(),
            Maker::ApplicationSet(_) => None,
        })
    }
}

impl Making {
    /// The Application that makes it.
    #[must_use]
    pub fn deployer(&self) -> Option<&Deployer> {
        match &self.maker {
            Maker::Application(deployer) => Some(deployer),
            Maker::ApplicationSet(_) => None,
        }
    }

    /// The ApplicationSet that makes it.
    #[must_use]
    pub fn set(&self) -> Option<&ApplicationSet> {
        match &self.maker {
            Maker::Application(_) => None,
            Maker::ApplicationSet(set) => Some(set),
        }
    }
}
