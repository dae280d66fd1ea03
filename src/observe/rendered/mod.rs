//! Git's side of a target that no file holds: kustomize or Helm renders it, or it stands at a tag.
//! The object as it is rendered takes the place of the document, at the tip and at every commit
//! that changed an input.

mod by_program;
mod files;
mod past;

use std::sync::Arc;

use serde_json::Value;

pub use self::by_program::{Both, Changed, Unrendered, render_both};
pub(super) use self::files::CommitFiles;
use self::files::Texts;
use self::past::{Past, side_changes, state_of, walk};
use super::Scope;
use super::ground::{Grounds, opened};
use super::overrides::{is_source_file, overrides};
use super::place::Place;
use super::source::{application_proof, reproduces};
use super::states::{fields_of, is_absent};
use crate::git::{GitError, Repository};
use crate::manifest::{Path, Step, to_yaml};
use crate::model::{
    Application, ApplicationSource, At, Blocker, CommitId, DocumentFields, Elsewhere, GitView,
    Lands, Making, ObjectRef, Observation, PodTemplate, RenderedSource, Sourcing, WorkloadRef,
    mask_url,
};
use crate::provenance::{self, Files, Rendered, Subject, Tool};

/// Reads the target's fields as any commit of the branch ships them.
#[derive(Debug, Clone)]
pub struct Shipped {
    target: WorkloadRef,
    file: String,
    rendered: Option<(RenderedSource, Option<Application>, usize)>,
}

impl Shipped {
    /// As the look found the source; `None` where it found none.
    #[must_use]
    pub fn of(observation: &Observation) -> Option<Self> {
        let git = observation.git.as_ref()?;
        let argocd = &observation.argocd;
        Some(Self {
            target: observation.target.clone(),
            file: git.file.clone(),
            rendered: git
                .rendered
                .clone()
                .map(|rendered| (rendered, argocd.application.clone(), argocd.source)),
        })
    }

    /// The fields at a commit; `None` where it does not ship the target.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn fields_at(
        &self,
        repository: &Repository,
        commit: &CommitId,
    ) -> Result<Option<DocumentFields>, GitError> {
        let Some((rendered, application, source)) = &self.rendered else {
            let blob = repository.blob_at(commit, &self.file)?;
            let text = blob.map(|blob| String::from_utf8_lossy(&blob.bytes).into_owned());
            return Ok(text.and_then(|text| fields_of(&text, &self.target)));
        };
        let target = self.target.object();
        let subject = Subject::of(application.as_ref(), *source, &rendered.sourcing, &target);
        let others = opened(repository, &rendered.elsewhere)?;
        let object = CommitFiles::at((repository, commit), &others)
            .ask(|files| provenance::render(files, &subject).ok())?;
        let told = object.filter(|rendered| untold(rendered).is_none());
        Ok(told.and_then(|rendered| fields(&rendered.object)))
    }

    /// Whether live Applications have what their makers make at a commit: the target's own first,
    /// then what makes that. `None` where it cannot be told.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn is_as_made_at(
        &self,
        repository: &Repository,
        commit: &CommitId,
        live: &[Application],
    ) -> Result<Option<bool>, GitError> {
        let Some((rendered, _, source)) = &self.rendered else {
            return Ok(None);
        };
        let others = opened(repository, &rendered.elsewhere)?;
        let (mut sourcing, mut source) = (&rendered.sourcing, *source);
        for application in live {
            let asked = (application, source);
            let holds = CommitFiles::at((repository, commit), &others)
                .ask(|files| provenance::is_as_made(files, sourcing, asked).ok())?;
            match holds {
                Some(true) => {}
                other => return Ok(other),
            }
            match sourcing.making.as_deref().map(Making::deployer) {
                Some(Some(deployer)) => {
                    (sourcing, source) = (&deployer.sourcing, deployer.source);
                }
                // An ApplicationSet is the last in the chain.
                Some(None) => break,
                None => return Ok(None),
            }
        }
        Ok(Some(true))
    }

    /// Whether a commit has no document of the target in its file; `None` where that cannot
    /// be told.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn is_absent_at(
        &self,
        repository: &Repository,
        commit: &CommitId,
    ) -> Result<Option<bool>, GitError> {
        is_absent(repository, (commit, &self.file), &self.target)
    }
}

fn fields(object: &Value) -> Option<DocumentFields> {
    Some(DocumentFields {
        template: PodTemplate::new(object.pointer("/spec/template")?.clone()),
        replicas: object.pointer("/spec/replicas").and_then(Value::as_i64),
        paused: object.pointer("/spec/paused").and_then(Value::as_bool),
    })
}

/// Fills in Git's side of a source that is rendered, and tells which of the repositories a commit
/// goes into. `None`: it is not rendered.
pub(super) fn read(
    grounds: &Grounds,
    (scope, source): (&Scope, &ApplicationSource),
    seen: &mut Observation,
) -> Result<Option<usize>, GitError> {
    let Some(own) = grounds.own() else {
        return Ok(None);
    };
    let first = Seat::at(grounds, 0)?;
    let pinned = first.sourcing.pinned.is_some();
    let over = match pinned {
        true => Vec::new(),
        false => beside(&first, seen)?,
    };
    if !pinned && !may_be_rendered(&over, (scope, source)) {
        return Ok(None);
    }
    // Which plain manifests count may stand in a file beside them.
    let is_said = over.iter().any(|(path, _)| is_source_file(path));
    let target = seen.target.object();
    let asked = {
        let subject = first.subject(seen, &target);
        first
            .files(&own.tip)
            .ask(|files| match provenance::tool(files, &subject) {
                Err(blocker) => Some(Err(blocker)),
                Ok(Tool::Jsonnet | Tool::Plugin) if !pinned => None,
                Ok(Tool::Directory) if !pinned && !is_said => None,
                Ok(_) => Some(look(files, &subject, scope)),
            })?
    };
    let found = match asked {
        None => return Ok(None),
        Some(found) => found
            .and_then(|found| moved(grounds, (first, found), (scope, seen)))
            .and_then(|seated| on_a_branch(seated, scope)),
    };
    let (seat, found) = match found {
        Ok(found) => found,
        Err(blocker) => {
            seen.source_blockers.push(blocker);
            return Ok(Some(0));
        }
    };
    let home = seat.home;
    let view = view(&seat, (scope, seen), found)?;
    seen.git = Some(view);
    Ok(Some(home))
}

/// What decides must be on a branch: a tag and a commit stay what they are.
fn on_a_branch<'g>(
    (seat, found): (Seat<'g>, Found),
    scope: &Scope,
) -> Result<(Seat<'g>, Found), Blocker> {
    let blocked = |message: String, hint: &str| Err(Blocker::new("pinned", message, hint));
    if let Some((place, what)) = seat
        .grounds
        .place(seat.home)
        .and_then(|place| Some((place, place.pinned?)))
    {
        return blocked(
            format!(
                "targetRevision {} is {what}, and no file on a branch is known to say so: a push to a branch changes nothing",
                place.branch
            ),
            "change targetRevision where the Application is defined",
        );
    }
    if let (Some(file), Some(pinned)) = (&scope.file, &seat.sourcing.pinned) {
        return blocked(
            format!(
                "the Application deploys {}: an edit of {file} on a branch changes nothing",
                pinned.what
            ),
            "leave --file out: the file that holds targetRevision is edited",
        );
    }
    Ok((seat, found))
}

/// Whether anything but plain manifests may make the object.
fn may_be_rendered(
    over: &[(String, String)],
    (scope, source): (&Scope, &ApplicationSource),
) -> bool {
    let by_tool = source.kustomize.is_some() || source.helm.is_some();
    scope.file.is_none() && (by_tool || !over.is_empty())
}

/// The files in the source's folder that decide over plain manifests, with what each does.
fn beside(first: &Seat<'_>, seen: &Observation) -> Result<Vec<(String, String)>, GitError> {
    let application = seen.argocd.application.as_ref();
    let name = application.map(|app| (app.namespace.as_str(), app.name.as_str()));
    let tip = &first.place()?.tip;
    overrides(&first.repository, tip, &first.sourcing.folder, name)
}

/// The repositories, seen from one of them.
struct Seat<'g> {
    grounds: &'g Grounds,
    /// The one that a commit goes into.
    home: usize,
    repository: Repository,
    sourcing: Sourcing,
    others: Vec<(Repository, Elsewhere)>,
}

impl<'g> Seat<'g> {
    fn at(grounds: &'g Grounds, home: usize) -> Result<Self, GitError> {
        let place = grounds.place(home).ok_or(GitError::Interrupted)?;
        let repository = place.repository.open()?;
        Ok(Self {
            grounds,
            home,
            sourcing: grounds.sourcing(home),
            others: opened(&repository, &grounds.elsewhere(home))?,
            repository,
        })
    }

    fn place(&self) -> Result<&Place, GitError> {
        self.grounds.place(self.home).ok_or(GitError::Interrupted)
    }

    fn subject<'a>(&'a self, seen: &'a Observation, target: &'a ObjectRef) -> Subject<'a> {
        Subject::seen(seen, target, &self.sourcing)
    }

    /// The commit that a tag or an id means in the repository that the source is pinned in.
    fn pinned_commit(&self, revision: &str) -> Result<Option<CommitId>, GitError> {
        let Some(pinned) = &self.sourcing.pinned else {
            return Ok(None);
        };
        let root = format!("//{}@", pinned.repository);
        for (repository, other) in &self.others {
            if let (At::Revision(remote), true) = (&other.at, other.root == root) {
                return repository.revision_of(remote, revision);
            }
        }
        Ok(None)
    }

    fn files<'a>(&'a self, commit: &'a CommitId) -> CommitFiles<'a> {
        CommitFiles::at((&self.repository, commit), &self.others)
    }
}

/// Takes the seat of the repository whose file decides the field that is asked about.
fn moved<'g>(
    grounds: &'g Grounds,
    (seat, found): (Seat<'g>, Found),
    (scope, seen): (&Scope, &Observation),
) -> Result<(Seat<'g>, Found), Blocker> {
    let unread = |error: GitError| {
        Blocker::new(
            "repository-unreadable",
            error.to_string(),
            "check the clone with `git fsck`",
        )
    };
    let target = seen.target.object();
    let Some((file, makers)) = found.decides.clone() else {
        return Ok((seat, found));
    };
    let (Some(label), file) = provenance::parted(&file) else {
        return Ok((seat, found));
    };
    let Some(home) = grounds.of_label(label) else {
        return Ok((seat, found));
    };
    let other = Seat::at(grounds, home).map_err(unread)?;
    let tip = other.place().map_err(unread)?.tip.clone();
    let again = {
        let subject = other.subject(seen, &target);
        other
            .files(&tip)
            .ask(|files| look(files, &subject, scope))
            .map_err(unread)?
    };
    let file = Some((file.to_owned(), makers));
    again.map(|again| {
        let found = Found {
            decides: file,
            ..again
        };
        (other, found)
    })
}

/// The object at the tip and what it rests on.
struct Found {
    rendered: Rendered,
    files: Texts,
    /// The file that decides the field that is asked about, the first container's image unless the
    /// replicas are, and by how many makers of Applications it does.
    decides: Option<(String, usize)>,
}

/// The object at the tip, if all of its pod template can be told, with the files it rests on.
fn look(files: &dyn Files, subject: &Subject<'_>, scope: &Scope) -> Result<Found, Blocker> {
    let rendered = provenance::render(files, subject)?;
    if let Some((path, why)) = untold(&rendered) {
        return Err(Blocker::new(
            "values-computed",
            format!("{path} of the rendered object cannot be told: {why}"),
            "change the file that sets it by hand; `unship explain` shows what decides the rest",
        ));
    }
    let containers = Path::of_keys(["spec", "template", "spec", "containers"]);
    let image = containers.child(Step::Index(0)).key("image");
    let replicas = Path::of_keys(["spec", "replicas"]);
    let mut decides = None;
    for field in scope.replicas.then_some(replicas).iter().chain([&image]) {
        decides = decides.or(provenance::deciding_file(files, subject, field)?);
    }
    Ok(Found {
        decides,
        files: inputs(files, &rendered),
        rendered,
    })
}

/// The files that it was rendered from.
fn inputs(files: &dyn Files, rendered: &Rendered) -> Texts {
    let text = |path: &String| Some((path.clone(), files.text(path)?));
    rendered.inputs.iter().filter_map(text).collect()
}

/// A part of the pod template that cannot be told.
fn untold(rendered: &Rendered) -> Option<(String, &str)> {
    let mut unknown = rendered.unknown.iter();
    let (path, why) = unknown.find(|(path, _)| path.to_string().starts_with("spec.template"))?;
    Some((path.to_string(), why))
}

fn view(
    seat: &Seat<'_>,
    (scope, seen): (&Scope, &Observation),
    found: Found,
) -> Result<GitView, GitError> {
    let (repository, place) = (&seat.repository, seat.place()?);
    let file = main_file(seat, &found);
    let past = walk(seat, &place.tip, (scope, seen), (&found, &file))?;
    let mut sourcing = seat.sourcing.clone();
    if let Some(pinned) = &mut sourcing.pinned {
        pinned.revisions = past.revisions();
    }
    let lands = match found.decides {
        Some((_, makers @ 1..)) => Lands::Maker(makers),
        _ => Lands::Source(seat.grounds.source(seat.home)),
    };
    let deployed = past.deployed(seat, &seen.argocd, lands)?;
    let Past {
        walked,
        files: states,
        mut lent,
        mut used,
        ..
    } = past;
    used.truncate(scope.used);
    let side_changes = side_changes(repository, &walked.states, &found);
    let (proof, proven) = match (application_proof(seen), reproduces(&walked, seen)) {
        (Some(proof), _) => (proof, true),
        (None, 0) => (
            "no Application proves it, and its history reproduces no live template".to_owned(),
            false,
        ),
        (None, matches) => (
            format!("{matches} of the live templates are reproduced by what these files render"),
            true,
        ),
    };
    let resolved = scope.commit.as_ref().and_then(|text| {
        let id = repository.resolve(text).ok()?;
        let state = state_of(repository, &walked.states, &id)?;
        Some((id, state))
    });
    lent.extend(found.files);
    Ok(GitView {
        repository: mask_url(&place.remote.configured_url.without_credentials()),
        clone: place.repository.git_dir().display().to_string(),
        remote: place.remote.name.clone(),
        branch: place.branch.clone(),
        tip: place.tip.clone(),
        file,
        text: Arc::from(to_yaml(&found.rendered.object)),
        proof,
        proven,
        side_changes,
        deployed,
        resolved,
        history_end: walked.end,
        overrides: Vec::new(),
        change: None,
        companions: Vec::new(),
        used_changes: used,
        named_in: Vec::new(),
        states: walked.states,
        rendered: Some(RenderedSource {
            tool: found.rendered.tool.to_string(),
            sourcing,
            files: lent,
            states,
            elsewhere: seat.grounds.elsewhere(seat.home),
            lands,
            digests: found.rendered.digests.iter().map(Path::to_string).collect(),
        }),
    })
}

/// The file that stands for the source: the folder's own kustomization or values; where its
/// folder is in another repository, the file that decides.
fn main_file(seat: &Seat<'_>, found: &Found) -> String {
    if let Some((file, makers)) = &found.decides
        && (seat.home > 0 || *makers > 0 || found.rendered.tool == Tool::Directory)
    {
        return file.clone();
    }
    let names = [
        "kustomization.yaml",
        "kustomization.yml",
        "Kustomization",
        "values.yaml",
        "Chart.yaml",
    ];
    let at = |name: &str| match seat.sourcing.folder.as_str() {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    };
    let all = names.iter().map(|name| at(name));
    let mut there = all.filter(|path| found.files.contains_key(path));
    there.next().unwrap_or_else(|| at("kustomization.yaml"))
}
