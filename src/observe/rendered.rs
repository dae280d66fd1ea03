//! Git's side of a target that no file holds: kustomize or Helm renders it. The object as it is
//! rendered takes the place of the document, at the tip and at every commit that changed an input.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use serde_json::Value;

use super::Scope;
use super::ground::{Grounds, opened};
use super::overrides::overrides;
use super::source::{Place, application_proof, reproduces};
use super::states::{Walked, Wanted, enough, fields_of, is_absent};
use crate::git::{GitError, Repository};
use crate::manifest::{Path, Step, to_yaml};
use crate::model::{
    Application, ApplicationSource, Blocker, CommitId, DocumentFields, Elsewhere, GitView,
    HistoryEnd, Lands, Making, ObjectRef, Observation, PodTemplate, RenderedSource, SideChange,
    Sourcing, TemplateState, WorkloadRef, mask_url,
};
use crate::provenance::{self, Files, Rendered, Subject, Tool};

/// Changes of one input that are looked at, at most.
const CHANGES: usize = 200;

/// The files of one commit, each read when it is asked for, with those of other repositories
/// behind their roots.
pub(super) struct CommitFiles<'r> {
    repository: &'r Repository,
    commit: &'r CommitId,
    others: &'r [(Repository, Elsewhere)],
    /// The first file that is there and could not be read.
    failed: RefCell<Option<GitError>>,
}

impl<'r> CommitFiles<'r> {
    pub(super) fn at(
        (repository, commit): (&'r Repository, &'r CommitId),
        others: &'r [(Repository, Elsewhere)],
    ) -> Self {
        Self {
            repository,
            commit,
            others,
            failed: RefCell::default(),
        }
    }

    /// The repository and the commit that a path is in, and the path there. `None` for a
    /// repository that is not here.
    fn place<'p>(&self, path: &'p str) -> Option<(&Repository, &CommitId, &'p str)> {
        if !path.starts_with("//") {
            return Some((self.repository, self.commit, path));
        }
        self.others.iter().find_map(|(repository, other)| {
            let rest = path.strip_prefix(&other.root)?;
            Some((repository, &other.commit, rest))
        })
    }

    /// The answer, if every file that it rests on could be read.
    pub(super) fn ask<T>(self, ask: impl FnOnce(&dyn Files) -> T) -> Result<T, GitError> {
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
        let (repository, commit, path) = self.place(path)?;
        match repository.blob_at(commit, path) {
            Ok(blob) => String::from_utf8(blob?.bytes).ok().map(Arc::from),
            Err(GitError::NotAFile { .. }) => None,
            Err(error) => {
                self.fail(error);
                None
            }
        }
    }

    fn list(&self, folder: &str) -> Vec<String> {
        let Some((repository, commit, folder)) = self.place(folder) else {
            return Vec::new();
        };
        let prefix = match folder {
            "" => String::new(),
            _ => format!("{folder}/"),
        };
        let below = match repository.files_under(commit, folder, true) {
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
                None => rest.to_owned(),
            })
            .collect();
        names.into_iter().collect()
    }
}

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
        Ok(object.and_then(|rendered| fields(&rendered.object)))
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
    let repository = own.repository.open()?;
    let first = Seat::at(grounds, 0)?;
    let application = seen.argocd.application.as_ref();
    let name = application.map(|app| (app.namespace.as_str(), app.name.as_str()));
    let sections = source.kustomize.is_some() || source.helm.is_some();
    let decides = !overrides(&repository, &own.tip, &first.sourcing.folder, name)?.is_empty();
    if scope.file.is_some() || !(sections || decides) {
        return Ok(None);
    }
    let target = seen.target.object();
    let asked = {
        let subject = first.subject(seen, &target);
        CommitFiles::at((&repository, &own.tip), &first.others).ask(
            |files| match provenance::tool(files, &subject) {
                Ok(Tool::Kustomize | Tool::Helm) => Some(look(files, &subject, scope)),
                Ok(Tool::Directory | Tool::Jsonnet | Tool::Plugin) => None,
                Err(blocker) => Some(Err(blocker)),
            },
        )?
    };
    let found = match asked {
        None => return Ok(None),
        Some(found) => found.and_then(|found| moved(grounds, (first, found), (scope, seen))),
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
    files: BTreeMap<String, Arc<str>>,
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
    let texts = rendered
        .inputs
        .iter()
        .filter_map(|path| Some((path.clone(), files.text(path)?)))
        .collect();
    let containers = Path::of_keys(["spec", "template", "spec", "containers"]);
    let image = containers.child(Step::Index(0)).key("image");
    let replicas = Path::of_keys(["spec", "replicas"]);
    let mut decides = None;
    for field in scope.replicas.then_some(replicas).iter().chain([&image]) {
        decides = decides.or(provenance::deciding_file(files, subject, field)?);
    }
    Ok(Found {
        decides,
        rendered,
        files: texts,
    })
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
    let walked = walk(seat, &place.tip, (scope, seen), (&found, &file))?;
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
    let state_of = |commit: &CommitId| {
        let reached = |state: &TemplateState| {
            state.commit.id == *commit
                || repository
                    .is_ancestor(&state.commit.id, commit)
                    .unwrap_or(false)
        };
        walked.states.iter().position(reached)
    };
    let application = seen.argocd.application.as_ref();
    let lands = match found.decides {
        Some((_, makers @ 1..)) => Lands::Maker(makers),
        _ => Lands::Source(seat.grounds.source(seat.home)),
    };
    let history = application.map_or(&[][..], |app| &app.history);
    let deployed = history.iter().enumerate().filter_map(|(position, entry)| {
        // A maker's commits are in no history of the Application that it makes.
        let Lands::Source(source) = lands else {
            return None;
        };
        let text = entry.commits.get(source)?;
        Some((position, state_of(&CommitId::parse(text).ok()?)?))
    });
    let resolved = scope.commit.as_ref().and_then(|text| {
        let id = repository.resolve(text).ok()?;
        let state = state_of(&id)?;
        Some((id, state))
    });
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
        side_changes: side_changes(repository, &walked.states, &found),
        deployed: deployed.collect(),
        resolved,
        history_end: walked.end,
        overrides: Vec::new(),
        change: None,
        companions: Vec::new(),
        named_in: Vec::new(),
        states: walked.states,
        rendered: Some(RenderedSource {
            tool: found.rendered.tool.to_string(),
            sourcing: seat.sourcing.clone(),
            files: found.files,
            elsewhere: seat.grounds.elsewhere(seat.home),
            lands,
        }),
    })
}

/// The file that stands for the source: the folder's own kustomization or values; where its
/// folder is in another repository, the file that decides.
fn main_file(seat: &Seat<'_>, found: &Found) -> String {
    if let Some((file, makers)) = &found.decides
        && (seat.home > 0 || *makers > 0)
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

/// The object at every commit that changed one of today's inputs in the repository at hand. The
/// others stay as they are today.
fn walk(
    seat: &Seat<'_>,
    tip: &CommitId,
    (scope, seen): (&Scope, &Observation),
    (found, file): (&Found, &str),
) -> Result<Walked, GitError> {
    let repository = &seat.repository;
    let mut commits = BTreeSet::new();
    let here = found.files.keys().filter(|path| !path.starts_with("//"));
    for path in here {
        let mut count = 0;
        repository.history_of(tip, path, |change| {
            commits.insert(change.commit.id);
            count += 1;
            if count < CHANGES {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
    }
    let wanted = Wanted {
        depth: scope.depth,
        replica_sets: seen.cluster.replica_sets.as_deref().unwrap_or_default(),
        may_stop: scope.commit.is_none(),
    };
    let target = seen.target.object();
    let subject = seat.subject(seen, &target);
    let mut walked = Walked {
        states: Vec::new(),
        end: HistoryEnd::Root,
        versions: Vec::new(),
    };
    for id in repository.in_log_order(tip, commits)? {
        let rendered = seat
            .files(&id)
            .ask(|files| provenance::render(files, &subject).ok())?;
        // Before this it was rendered otherwise, or was not there.
        let Some(rendered) = rendered.filter(|rendered| untold(rendered).is_none()) else {
            break;
        };
        let Some(fields) = fields(&rendered.object) else {
            break;
        };
        let commit = repository.commit(&id)?;
        match walked.states.last_mut() {
            Some(newer) if newer.template == fields.template => newer.commit = commit,
            _ => {
                if enough(&walked.states, &wanted) {
                    walked.end = HistoryEnd::Stopped;
                    break;
                }
                walked.states.push(TemplateState {
                    commit,
                    path: file.to_owned(),
                    text: Arc::from(to_yaml(&rendered.object)),
                    template: fields.template,
                    replicas: fields.replicas,
                });
            }
        }
    }
    Ok(walked)
}

/// Files besides the inputs that the newest states' commits changed.
fn side_changes(
    repository: &Repository,
    states: &[TemplateState],
    found: &Found,
) -> Vec<SideChange> {
    let newest = states.iter().take(4);
    let of = |state: &TemplateState| {
        let files = repository.changed_files(&state.commit.id);
        let files = files.unwrap_or_default().into_iter();
        let others = files.filter(|file| !found.files.contains_key(&file.path));
        let commit = state.commit.id.as_str().to_owned();
        others
            .map(|file| SideChange {
                commit: commit.clone(),
                place: file.path,
            })
            .collect::<Vec<_>>()
    };
    newest.flat_map(of).collect()
}
