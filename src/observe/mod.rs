//! One look at a target from all sides, concurrently. What cannot be read becomes
//! a gap; nothing is asked twice.

mod again;
mod argo;
mod automation;
mod change;
mod chart;
mod clones;
mod cluster;
mod companions;
mod departed;
mod early;
mod files;
mod ground;
mod made;
mod many;
mod overrides;
mod place;
mod range;
mod rendered;
mod rights;
mod search;
mod source;
mod states;
mod touched;
mod used;

pub use again::on_new_tip;
pub use automation::automation_of_many;
pub use departed::{Departure, departure};
pub use early::tip_of_clone;
pub use files::{TipFiles, Unreadable, tip_files};
pub use many::{elsewhere_in_git, observe_many};
pub use rendered::{Both, Changed, Shipped, Unrendered, render_both};
pub use states::fields_of;
pub use touched::{TouchedWorkloads, workloads_of};

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use crate::argocd::Argocd;
use crate::cluster::Cluster;
use crate::git::{Git, RepositoryPath};
use crate::model::{
    ArgoView, AutomationView, Blocker, Gap, GapReason, Observation, WorkloadKind, WorkloadRef,
};
use crate::programs::Programs;

/// The connections of one run.
#[derive(Debug, Clone)]
pub struct Clients {
    /// The cluster, or why there is none.
    pub cluster: Result<Arc<Cluster>, Gap>,
    /// Argo CD's API, or why it is not asked.
    pub argocd: Result<Arc<Argocd>, Gap>,
    /// How to run git.
    pub git: Git,
    /// The programs that render.
    pub programs: Programs,
}

/// What to look at and where.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The kind, when one was named.
    pub kind: Option<WorkloadKind>,
    /// The workload's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// `--app`, also as `NAMESPACE/NAME`.
    pub app: Option<String>,
    /// `--repo`.
    pub repo: Option<PathBuf>,
    /// `--file`.
    pub file: Option<String>,
    /// `--branch`.
    pub branch: Option<String>,
    /// The working directory.
    pub directory: PathBuf,
    /// Clones that the configuration names, each with its repository's URL.
    pub clones: Vec<(String, PathBuf)>,
    /// Where clones are kept.
    pub cache: PathBuf,
    /// Objects to be restored along with the target.
    pub with: Vec<(String, String)>,
    /// A commit that `--to` may name.
    pub commit: Option<String>,
    /// A commit that is to be taken back.
    pub undo: Option<Undo>,
    /// Whether tools that set images are looked for: for decisions about images.
    pub automation: bool,
    /// Whether pins that earlier commits made are looked for, to take them back.
    pub holds: bool,
    /// Where several repositories are rendered into the object: the one that decides the number
    /// of replicas is meant, not the one that decides the image.
    pub replicas: bool,
    /// How many changes of the ConfigMaps and Services that the pods use are wanted at most.
    pub used: usize,
    /// How many states of the template are wanted at most.
    pub depth: usize,
    /// The file from which a run took the target's document: the object and the document
    /// need not be there any more.
    pub removed: Option<String>,
    /// Whether Git is looked at.
    pub git: bool,
    /// Whether the rights that decide over routes are asked: for a decision, not for a
    /// look that only verifies.
    pub rights: bool,
}

/// A commit that is to be taken back.
#[derive(Debug, Clone)]
pub struct Undo {
    /// The commit, as a person names it.
    pub commit: String,
    /// Which parent of a merge was good, from 1.
    pub parent: Option<usize>,
    /// All of its files are meant, not only what concerns the target.
    pub all: bool,
}

/// An observation with the handle on the clone that it was made from.
#[derive(Debug)]
pub struct Sight {
    /// What was seen.
    pub observation: Observation,
    /// The clone.
    pub repository: Option<RepositoryPath>,
}

/// Why there is nothing to look at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing of that name.
    #[error("no {what} in namespace {namespace}")]
    NotFound {
        /// Kind and name as asked for.
        what: String,
        /// The namespace.
        namespace: String,
        /// Similar names here.
        near: Vec<WorkloadRef>,
        /// The same name elsewhere.
        elsewhere: Vec<WorkloadRef>,
    },
    /// Several kinds have that name.
    #[error("{name} could be {}", choices.iter().map(WorkloadRef::short).collect::<Vec<_>>().join(" or "))]
    Ambiguous {
        /// The name.
        name: String,
        /// What it could be.
        choices: Vec<WorkloadRef>,
    },
    /// The repository cannot be used.
    #[error(transparent)]
    Git(#[from] crate::git::GitError),
}

/// Looks at a target.
///
/// # Errors
/// When the target itself cannot be told; everything else is a gap.
pub async fn observe(clients: &Clients, scope: &Scope, at: Timestamp) -> Result<Sight, Error> {
    // On the heap: everybody who looks would carry all of it otherwise.
    Box::pin(look(clients, scope, at)).await
}

async fn look(clients: &Clients, scope: &Scope, at: Timestamp) -> Result<Sight, Error> {
    let early = early::prefetch(clients, scope);
    let look = async {
        let seen = cluster::look(clients, scope).await?;
        let argo = argo::look(clients, scope, &seen).await;
        Ok::<_, Error>((seen, argo))
    };
    let (early, looked, tools) = tokio::join!(early, look, automation::live(clients, scope));
    let (seen, mut argo) = looked?;
    let mut gaps = seen.gaps.clone();
    gaps.append(&mut argo.gaps);
    let mut observation = Observation {
        at,
        target: seen.target.clone(),
        cluster: seen.view,
        argocd: argo.view,
        git: None,
        signs_commits: None,
        rights: rights::both(seen.rights, &argo.rights),
        source_blockers: unreadable_choice(scope, &gaps).into_iter().collect(),
        automation: AutomationView {
            objects: tools.objects,
            gaps: tools.gaps,
            ..AutomationView::default()
        },
        gaps,
    };
    let repository = if scope.git {
        source::look(clients, scope, early, &mut observation).await?
    } else {
        None
    };
    Ok(Sight {
        observation,
        repository,
    })
}

/// An Application that was named on purpose is not quietly done without.
fn unreadable_choice(scope: &Scope, gaps: &[Gap]) -> Option<Blocker> {
    let name = scope.app.as_deref()?;
    let bare = name.rsplit('/').next().unwrap_or(name);
    let gap = gaps.iter().find(|gap| {
        gap.what == format!("Application {bare}")
            && matches!(gap.reason, GapReason::Forbidden | GapReason::NotFound)
    })?;
    Some(Blocker::new(
        "application-unreadable",
        format!("--app {name}: {}", gap.message),
        "check the name (Argo CD answers \"permission denied\" also where there is none), or leave --app out",
    ))
}

/// Reads the Application again; with a limit it is refreshed first.
///
/// # Errors
/// The gap, when it cannot be read.
pub async fn read_application(
    clients: &Clients,
    view: &ArgoView,
    refresh: Option<std::time::Duration>,
) -> Result<crate::model::Application, Gap> {
    argo::read_again(clients, view, refresh).await
}
