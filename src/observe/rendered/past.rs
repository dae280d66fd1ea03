//! The states of an object that is rendered, along the history of its files.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use serde_json::Value;

use super::files::Texts;
use super::{Found, Seat, fields, inputs, untold};
use crate::git::{GitError, Repository};
use crate::manifest::to_yaml;
use crate::model::{
    ArgoView, Commit, CommitId, DocumentFields, HistoryEnd, Lands, ObjectRef, Observation,
    PodTemplate, SideChange, TemplateState, UsedChange,
};
use crate::observe::Scope;
use crate::observe::states::{Walked, Wanted, end_of, enough};
use crate::provenance::{self, PACKED, Rendered, Tool};

/// Changes of the inputs that are looked at, at most.
const CHANGES: usize = 400;

/// What a walk found.
pub(super) struct Past {
    pub(super) walked: Walked,
    /// For each state the files of the repository at hand that it was rendered from.
    pub(super) files: Vec<Texts>,
    /// Files of other repositories.
    pub(super) lent: Texts,
    /// For each state the tag or commit that the source was pinned to.
    pins: Vec<Option<String>>,
    /// Changes of what the target's pods use, newest first.
    pub(super) used: Vec<UsedChange>,
    /// The commit that was taken last, with the objects beside the target.
    last: Option<(Commit, Beside)>,
}

/// The object at every commit that changed one of today's inputs in the repository at hand. The
/// others stay as they are today, but for one that is pinned.
pub(super) fn walk(
    seat: &Seat<'_>,
    tip: &CommitId,
    (scope, seen): (&Scope, &Observation),
    (found, file): (&Found, &str),
) -> Result<Past, GitError> {
    let repository = &seat.repository;
    let wanted = Wanted {
        depth: scope.depth,
        replica_sets: seen.cluster.replica_sets.as_deref().unwrap_or_default(),
        may_stop: scope.commit.is_none(),
    };
    let target = seen.target.object();
    let subject = seat.subject(seen, &target);
    let mut past = Past {
        walked: Walked {
            states: Vec::new(),
            end: HistoryEnd::Root,
            versions: Vec::new(),
        },
        files: Vec::new(),
        lent: Texts::new(),
        pins: Vec::new(),
        used: Vec::new(),
        last: None,
    };
    let mut ended = None;
    let paths = paths(found);
    let mut looks = 0;
    let end = repository.history_of_any(tip, paths.iter().map(String::as_str), |id| {
        looks += 1;
        if looks > CHANGES {
            return Ok(ControlFlow::Break(()));
        }
        let rendered = seat.files(id).ask(|files| {
            let rendered = provenance::render(files, &subject).ok()?;
            let texts = inputs(files, &rendered);
            Some((rendered, texts))
        })?;
        let rendered = rendered.filter(|(rendered, _)| untold(rendered).is_none());
        let fields = rendered.as_ref().and_then(|(own, _)| fields(&own.object));
        // Before this it was rendered otherwise, or was not there.
        let (Some((rendered, texts)), Some(fields)) = (rendered, fields) else {
            ended = Some(HistoryEnd::Root);
            return Ok(ControlFlow::Break(()));
        };
        if past.is_enough(&fields, &wanted) {
            return Ok(ControlFlow::Break(()));
        }
        past.take(repository.commit(id)?, (rendered, fields), (texts, file));
        Ok(ControlFlow::Continue(()))
    })?;
    past.walked.end = ended.unwrap_or(end_of(&end));
    Ok(past)
}

/// Objects with their values.
type Beside = Vec<(ObjectRef, Value)>;

/// The objects that the pods use and that have another value before; nothing of one that was not
/// there.
fn used_changes<'b>(
    (after, before): (&'b Beside, &'b Beside),
    template: &'b PodTemplate,
) -> impl Iterator<Item = &'b ObjectRef> {
    before.iter().filter_map(move |(object, was)| {
        let is = after
            .iter()
            .find(|(own, _)| own == object)
            .map(|(_, is)| is);
        let uses = |value: &Value| template.usage(value).is_some();
        let differs = is != Some(was) && (uses(was) || is.is_some_and(uses));
        differs.then_some(object)
    })
}

/// What a commit has to change for another rendering: the inputs in the repository at hand, and the
/// folders of templates as a whole.
fn paths(found: &Found) -> BTreeSet<String> {
    let own = found.files.keys().filter(|path| !path.starts_with("//"));
    let path = |path: &String| {
        if let Some(at) = path.find(PACKED) {
            return path[..at + PACKED.len() - 1].to_owned();
        }
        match path.find("/templates/") {
            Some(at) if found.rendered.tool == Tool::Helm => {
                path[..at + "/templates".len()].to_owned()
            }
            _ => path.clone(),
        }
    };
    own.map(path).collect()
}

impl Past {
    /// Whether a commit with these fields would be a state more than is wanted.
    fn is_enough(&self, fields: &DocumentFields, wanted: &Wanted<'_>) -> bool {
        let last = self.walked.states.last();
        last.is_none_or(|last| last.template != fields.template)
            && enough(&self.walked.states, wanted)
    }

    /// Takes the next older commit.
    fn take(
        &mut self,
        commit: Commit,
        (rendered, fields): (Rendered, DocumentFields),
        (texts, file): (Texts, &str),
    ) {
        if let (Some((changed, objects)), Some(state)) = (&self.last, self.walked.states.first()) {
            let used = used_changes((objects, &rendered.beside), &state.template);
            self.used.extend(used.map(|object| UsedChange {
                object: object.clone(),
                path: Arc::from(file),
                commit: changed.clone(),
            }));
        }
        self.last = Some((commit.clone(), rendered.beside.clone()));
        match self.walked.states.last_mut() {
            Some(newer) if newer.template == fields.template => newer.commit = commit,
            _ => {
                self.walked.states.push(TemplateState {
                    commit,
                    path: file.to_owned(),
                    text: Arc::from(to_yaml(&rendered.object)),
                    template: fields.template,
                    replicas: fields.replicas,
                });
                self.keep(rendered, texts);
            }
        }
    }

    fn keep(&mut self, rendered: Rendered, texts: Texts) {
        let (lent, own): (Texts, Texts) = texts
            .into_iter()
            .partition(|(path, _)| path.starts_with("//"));
        self.files.push(own);
        self.lent.extend(lent);
        self.pins.push(rendered.revision);
    }

    /// The tags and commits that the source was pinned to, newest first.
    pub(super) fn revisions(&self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for pin in self.pins.iter().flatten() {
            if !found.contains(pin) {
                found.push(pin.clone());
            }
        }
        found
    }

    /// Which state each of the Application's history entries deployed.
    pub(super) fn deployed(
        &self,
        seat: &Seat<'_>,
        argocd: &ArgoView,
        lands: Lands,
    ) -> Result<Vec<(usize, usize)>, GitError> {
        let mut pins = Vec::new();
        for (state, pin) in self.pins.iter().enumerate() {
            let Some(revision) = pin else { continue };
            let commit = seat.pinned_commit(revision)?;
            pins.extend(commit.map(|commit| (commit.to_string(), state)));
            // A chart's version is told as it is.
            pins.push((revision.clone(), state));
        }
        let history = argocd.application.as_ref().map(|app| &app.history);
        let entries = history.into_iter().flatten().enumerate();
        let found = entries.filter_map(|(position, entry)| {
            let commit = |source: usize| CommitId::parse(entry.commits.get(source)?).ok();
            let state = match lands {
                Lands::Source(source) => {
                    state_of(&seat.repository, &self.walked.states, &commit(source)?)?
                }
                // A maker's commits are in no history of the Application that it makes; those of
                // a tag are.
                Lands::Maker(_) => {
                    let deployed = entry.commits.get(argocd.source)?;
                    pins.iter().find(|(commit, _)| commit == deployed)?.1
                }
            };
            Some((position, state))
        });
        Ok(found.collect())
    }
}

/// The newest state that a commit has.
pub(super) fn state_of(
    repository: &Repository,
    states: &[TemplateState],
    commit: &CommitId,
) -> Option<usize> {
    let reached = |state: &TemplateState| {
        state.commit.id == *commit
            || repository
                .is_ancestor(&state.commit.id, commit)
                .unwrap_or(false)
    };
    states.iter().position(reached)
}

/// Files besides the inputs that the newest states' commits changed.
pub(super) fn side_changes(
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
