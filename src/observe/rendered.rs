//! Git's side of a target that no file holds: kustomize or Helm renders it. The object as it is
//! rendered takes the place of the document, at the tip and at every commit that changed an input.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use serde_json::Value;

use super::Scope;
use super::overrides::overrides;
use super::source::{Place, application_proof, reproduces};
use super::states::{Walked, Wanted, enough, fields_of, is_absent};
use crate::git::{GitError, Repository};
use crate::manifest::to_yaml;
use crate::model::{
    Application, ApplicationSource, Blocker, CommitId, DocumentFields, GitView, HistoryEnd,
    Observation, PodTemplate, RenderedSource, SideChange, TemplateState, WorkloadRef, mask_url,
};
use crate::provenance::{self, Files, Rendered, Subject, Tool};

/// Changes of one input that are looked at, at most.
const CHANGES: usize = 200;

/// The files of one commit, each read when it is asked for.
pub(super) struct CommitFiles<'r> {
    repository: &'r Repository,
    commit: &'r CommitId,
    /// The first file that is there and could not be read.
    failed: RefCell<Option<GitError>>,
}

impl<'r> CommitFiles<'r> {
    pub(super) fn at(repository: &'r Repository, commit: &'r CommitId) -> Self {
        Self {
            repository,
            commit,
            failed: RefCell::default(),
        }
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
        match self.repository.blob_at(self.commit, path) {
            Ok(blob) => String::from_utf8(blob?.bytes).ok().map(Arc::from),
            Err(GitError::NotAFile { .. }) => None,
            Err(error) => {
                self.fail(error);
                None
            }
        }
    }

    fn list(&self, folder: &str) -> Vec<String> {
        let prefix = match folder {
            "" => String::new(),
            _ => format!("{folder}/"),
        };
        let below = match self.repository.files_under(self.commit, folder, true) {
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
        let subject = Subject {
            application: application.as_ref(),
            source: *source,
            instance: &rendered.instance,
            ..Subject::plain(&rendered.folder, &target)
        };
        let object = CommitFiles::at(repository, commit)
            .ask(|files| provenance::render(files, &subject).ok())?;
        Ok(object.and_then(|rendered| fields(&rendered.object)))
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

/// Fills in Git's side of a source that is rendered. `false`: it is not one.
pub(super) fn read(
    repository: &Repository,
    place: &Place,
    (scope, source): (&Scope, &ApplicationSource),
    seen: &mut Observation,
) -> Result<bool, GitError> {
    let folder = source.path.trim_matches('/').trim_start_matches("./");
    let folder = if folder == "." { "" } else { folder }.to_owned();
    let application = seen.argocd.application.as_ref();
    let name = application.map(|app| (app.namespace.as_str(), app.name.as_str()));
    let sections = source.kustomize.is_some() || source.helm.is_some();
    let decides = !overrides(repository, &place.tip, &folder, name)?.is_empty();
    if scope.file.is_some() || !(sections || decides) {
        return Ok(false);
    }
    let target = seen.target.object();
    let asked = {
        let subject = Subject::seen(seen, &target, &folder);
        CommitFiles::at(repository, &place.tip).ask(|files| {
            match provenance::tool(files, &subject) {
                Ok(Tool::Kustomize | Tool::Helm) => Some(look(files, &subject)),
                Ok(Tool::Directory | Tool::Jsonnet | Tool::Plugin) => None,
                Err(blocker) => Some(Err(blocker)),
            }
        })?
    };
    let (rendered, files) = match asked {
        None => return Ok(false),
        Some(Ok(found)) => found,
        Some(Err(blocker)) => {
            seen.source_blockers.push(blocker);
            return Ok(true);
        }
    };
    let view = view(
        repository,
        place,
        (scope, seen),
        Inputs {
            folder,
            rendered,
            files,
        },
    )?;
    seen.git = Some(view);
    Ok(true)
}

type Look = Result<(Rendered, BTreeMap<String, Arc<str>>), Blocker>;

/// The object at the tip, if all of its pod template can be told, with the files it rests on.
fn look(files: &dyn Files, subject: &Subject<'_>) -> Look {
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
    Ok((rendered, texts))
}

/// A part of the pod template that cannot be told.
fn untold(rendered: &Rendered) -> Option<(String, &str)> {
    let mut unknown = rendered.unknown.iter();
    let (path, why) = unknown.find(|(path, _)| path.to_string().starts_with("spec.template"))?;
    Some((path.to_string(), why))
}

struct Inputs {
    folder: String,
    rendered: Rendered,
    files: BTreeMap<String, Arc<str>>,
}

fn view(
    repository: &Repository,
    place: &Place,
    (scope, seen): (&Scope, &Observation),
    inputs: Inputs,
) -> Result<GitView, GitError> {
    let file = main_file(&inputs);
    let walked = walk(repository, &place.tip, (scope, seen), (&inputs, &file))?;
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
    let history = application.map_or(&[][..], |app| &app.history);
    let deployed = history.iter().enumerate().filter_map(|(position, entry)| {
        let text = entry.commits.get(seen.argocd.source)?;
        Some((position, state_of(&CommitId::parse(text).ok()?)?))
    });
    let resolved = scope.commit.as_ref().and_then(|text| {
        let id = repository.resolve(text).ok()?;
        let state = state_of(&id)?;
        Some((id, state))
    });
    let tracking = seen.cluster.workload.as_ref().and_then(|workload| {
        let id = workload.annotations.get("argocd.argoproj.io/tracking-id")?;
        Some(id.split_once(':')?.0.to_owned())
    });
    Ok(GitView {
        repository: mask_url(&place.remote.configured_url.without_credentials()),
        clone: place.repository.git_dir().display().to_string(),
        remote: place.remote.name.clone(),
        branch: place.branch.clone(),
        tip: place.tip.clone(),
        file,
        text: Arc::from(to_yaml(&inputs.rendered.object)),
        proof,
        proven,
        side_changes: side_changes(repository, &walked.states, &inputs),
        deployed: deployed.collect(),
        resolved,
        history_end: walked.end,
        overrides: Vec::new(),
        change: None,
        companions: Vec::new(),
        named_in: Vec::new(),
        states: walked.states,
        rendered: Some(RenderedSource {
            tool: inputs.rendered.tool.to_string(),
            folder: inputs.folder,
            instance: tracking.unwrap_or_default(),
            files: inputs.files,
        }),
    })
}

/// The file that stands for the source: the folder's own kustomization or values.
fn main_file(inputs: &Inputs) -> String {
    let names = [
        "kustomization.yaml",
        "kustomization.yml",
        "Kustomization",
        "values.yaml",
        "Chart.yaml",
    ];
    let at = |name: &str| match inputs.folder.as_str() {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    };
    let found = names.iter().map(|name| at(name));
    let mut there = found.filter(|path| inputs.files.contains_key(path));
    there.next().unwrap_or_else(|| at("kustomization.yaml"))
}

/// The object at every commit that changed one of today's inputs.
fn walk(
    repository: &Repository,
    tip: &CommitId,
    (scope, seen): (&Scope, &Observation),
    (inputs, file): (&Inputs, &str),
) -> Result<Walked, GitError> {
    let mut commits = BTreeSet::new();
    for path in inputs.files.keys() {
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
    let subject = Subject::seen(seen, &target, &inputs.folder);
    let mut walked = Walked {
        states: Vec::new(),
        end: HistoryEnd::Root,
        versions: Vec::new(),
    };
    for id in repository.in_log_order(tip, commits)? {
        let rendered = CommitFiles::at(repository, &id)
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
    inputs: &Inputs,
) -> Vec<SideChange> {
    let newest = states.iter().take(4);
    let of = |state: &TemplateState| {
        let files = repository.changed_files(&state.commit.id);
        let files = files.unwrap_or_default().into_iter();
        let others = files.filter(|file| !inputs.files.contains_key(&file.path));
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
