//! Which state to go back to.

use crate::model::{GitView, Observation, TemplateState};
use crate::timeline::{Entry, Grade, Timeline};

use super::{Blocker, Refusal, Request, To};

/// The chosen entry and what was passed over on the way to it.
#[derive(Debug)]
pub(super) struct Choice<'t> {
    /// The entry.
    pub entry: &'t Entry,
    /// Newer candidates that were passed over, with the reason.
    pub skipped: Vec<String>,
    /// Set when the branch's tip already is a rollback.
    pub already: Option<String>,
}

/// Index of the state that brought in the images which the tip has: the bad release.
#[must_use]
pub fn bad_release(states: &[TemplateState]) -> Option<usize> {
    let tip = states.first()?;
    let images = tip.template.images();
    let same = states
        .iter()
        .take_while(|state| state.template.images() == images)
        .count();
    Some(same.saturating_sub(1))
}

/// Chooses the target.
pub(super) fn choose<'t>(
    timeline: &'t Timeline,
    observation: &Observation,
    request: &Request,
) -> Result<Choice<'t>, Refusal> {
    if timeline.entries.is_empty() {
        return Err(Refusal::one(Blocker::new(
            "no-history",
            "neither Git nor the cluster shows any release of it",
            format!("run `{}` to see what could not be read", history(request)),
        )));
    }
    match &request.to {
        To::Previous => previous(timeline, observation, request),
        To::Text(text) => text_of(timeline, observation, request, text),
        To::Tag(tag) => pick(
            by_tag(timeline, tag),
            request,
            &format!("no release with tag {tag} is known"),
        ),
        To::Commit(commit) => pick(
            by_commit(timeline, observation.git.as_ref(), commit),
            request,
            &format!("commit {commit} is not in the history of this file on the branch"),
        ),
        To::Revision(number) => pick(
            timeline
                .entries
                .iter()
                .find(|e| e.rollout_revision == Some(*number)),
            request,
            &format!("no ReplicaSet with revision {number} is left"),
        ),
        To::ReplicaSet(name) => pick(
            by_replica_set(timeline, observation, name),
            request,
            &format!("{name} is no recorded template of this workload"),
        ),
        To::History(id) => pick(
            by_history(timeline, observation, *id),
            request,
            &format!("Argo CD's history has no entry {id} that Git's history explains"),
        ),
        To::Time(at) => pick(
            timeline.entries.iter().find(|e| {
                e.live_from.is_some_and(|from| from <= *at) && e.live_to.is_none_or(|to| *at < to)
            }),
            request,
            &format!("nothing is known to have been live at {at}"),
        ),
    }
}

fn history(request: &Request) -> String {
    format!(
        "unship history {} -n {}",
        request.target.short(),
        request.target.namespace
    )
}

fn pick<'t>(
    found: Option<&'t Entry>,
    request: &Request,
    missing: &str,
) -> Result<Choice<'t>, Refusal> {
    match found {
        Some(entry) => Ok(Choice {
            entry,
            skipped: Vec::new(),
            already: None,
        }),
        None => Err(Refusal::one(Blocker::new(
            "target-not-found",
            missing,
            format!("`{}` lists what is known", history(request)),
        ))),
    }
}

fn previous<'t>(
    timeline: &'t Timeline,
    observation: &Observation,
    request: &Request,
) -> Result<Choice<'t>, Refusal> {
    let current = timeline.tip().or_else(|| timeline.live());
    let Some(current) = current else {
        return Err(Refusal::one(Blocker::new(
            "current-unknown",
            "what Git or the cluster has now matches no known release",
            format!(
                "choose one with --to; `{}` lists what is known",
                history(request)
            ),
        )));
    };
    if let Some(commit) = &current.commit
        && commit.trailer("Rollback-Of").is_some()
        && current.grade != Grade::Contradicted
    {
        let already = format!("{} ({})", commit.id.short(), commit.subject());
        return Ok(Choice {
            entry: current,
            skipped: Vec::new(),
            already: Some(already),
        });
    }
    if let Some(set) = put_back(observation, current) {
        return Ok(Choice {
            entry: current,
            skipped: Vec::new(),
            already: Some(format!("{set}, which was put back")),
        });
    }
    let live = timeline.live();
    let differs = |entry: &&Entry| {
        !entry.same_images(current)
            && live
                .is_none_or(|live| !entry.same_images(live) || is_older(timeline, entry, current))
    };
    let older = timeline
        .entries
        .iter()
        .skip_while(|e| !std::ptr::eq(*e, current))
        .skip(1);
    let mut candidates: Vec<&Entry> = older.clone().filter(differs).collect();
    if candidates.is_empty() {
        // No other image at all: a release that changed only configuration.
        candidates = older.collect();
    }
    let mut skipped = Vec::new();
    for entry in candidates {
        if entry.grade >= Grade::Likely {
            return Ok(Choice {
                entry,
                skipped,
                already: None,
            });
        }
        skipped.push(format!(
            "{}: {}, {}",
            entry.release(),
            entry.grade.as_str(),
            entry.reason
        ));
    }
    Err(none_trusted(request, skipped))
}

/// Without Git there is no commit that says that a rollback was made: a recorded
/// template that is current again, after a newer one was, and serves, tells the same.
fn put_back<'o>(observation: &'o Observation, current: &Entry) -> Option<&'o str> {
    if observation.git.is_some() || current.grade < Grade::Likely {
        return None;
    }
    let sets = observation.cluster.replica_sets.as_ref()?;
    let own = sets
        .iter()
        .find(|set| Some(&set.name) == current.replica_set.as_ref())?;
    let newer = |other: &crate::model::ReplicaSet| {
        other.rollout_revision < own.rollout_revision && other.created_at > own.created_at
    };
    (own.reused || sets.iter().any(newer)).then_some(own.name.as_str())
}

fn is_older(timeline: &Timeline, entry: &Entry, current: &Entry) -> bool {
    let position = |wanted: &Entry| {
        timeline
            .entries
            .iter()
            .position(|e| std::ptr::eq(e, wanted))
    };
    position(entry) > position(current)
}

fn none_trusted(request: &Request, skipped: Vec<String>) -> Refusal {
    let message = if skipped.is_empty() {
        "there is no earlier release to go back to".to_owned()
    } else {
        format!(
            "no earlier release is proven or likely to have served: {}",
            skipped.join("; ")
        )
    };
    Refusal::one(Blocker::new(
        "no-trusted-target",
        message,
        format!(
            "name one with --to X; `{}` lists what is known",
            history(request)
        ),
    ))
}

fn text_of<'t>(
    timeline: &'t Timeline,
    observation: &Observation,
    request: &Request,
    text: &str,
) -> Result<Choice<'t>, Refusal> {
    let tag = by_tag(timeline, text).or_else(|| by_image(timeline, text));
    let commit = looks_like_commit(text)
        .then(|| by_commit(timeline, observation.git.as_ref(), text))
        .flatten();
    match (tag, commit) {
        (Some(tag), Some(commit)) if !std::ptr::eq(tag, commit) => Err(Refusal::one(Blocker::new(
            "ambiguous-target",
            format!("{text} is a tag and also a commit's id"),
            format!("say --to tag:{text} or --to commit:{text}"),
        ))),
        (found, other) => pick(
            found.or(other),
            request,
            &format!(
                "no release, image or commit {text} is known; known are {}",
                known(timeline)
            ),
        ),
    }
}

fn known(timeline: &Timeline) -> String {
    let mut names: Vec<String> = Vec::new();
    for entry in &timeline.entries {
        let name = entry.release();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.truncate(8);
    names.join(", ")
}

fn looks_like_commit(text: &str) -> bool {
    text.len() >= 4 && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn by_tag<'t>(timeline: &'t Timeline, tag: &str) -> Option<&'t Entry> {
    let main = timeline
        .entries
        .iter()
        .find(|e| e.image().and_then(|i| i.tag()) == Some(tag));
    main.or_else(|| {
        timeline
            .entries
            .iter()
            .find(|e| e.images.iter().any(|(_, i)| i.tag() == Some(tag)))
    })
}

fn by_image<'t>(timeline: &'t Timeline, text: &str) -> Option<&'t Entry> {
    let wanted = crate::model::ImageRef::new(text);
    timeline.entries.iter().find(|e| {
        e.images
            .iter()
            .any(|(_, image)| image.same_as(&wanted) || image.digest() == Some(text))
    })
}

/// The entry that a commit left: the commit's own, or the state that the file had
/// at that commit.
fn by_commit<'t>(timeline: &'t Timeline, git: Option<&GitView>, text: &str) -> Option<&'t Entry> {
    let text = text.to_ascii_lowercase();
    let own = timeline.entries.iter().find(|entry| {
        entry
            .commit
            .as_ref()
            .is_some_and(|commit| commit.id.as_str().starts_with(&text))
    });
    own.or_else(|| {
        let git = git?;
        let by_state = git
            .states
            .iter()
            .position(|s| s.commit.id.as_str().starts_with(&text));
        let (_, resolved) = git
            .resolved
            .as_ref()
            .filter(|(id, _)| id.as_str().starts_with(&text))
            .map_or((None, None), |(id, state)| (Some(id), Some(*state)));
        let state = by_state.or(resolved)?;
        let older = timeline
            .entries
            .iter()
            .filter(|e| e.state.is_some_and(|own| own <= state));
        older.max_by_key(|e| e.state)
    })
}

/// The entry that a ReplicaSet belongs to; folded restarts have no entry of their own.
fn by_replica_set<'t>(
    timeline: &'t Timeline,
    observation: &Observation,
    name: &str,
) -> Option<&'t Entry> {
    let own = timeline
        .entries
        .iter()
        .find(|entry| entry.replica_set.as_deref() == Some(name));
    own.or_else(|| {
        let mut sets = observation.cluster.replica_sets.iter().flatten();
        let set = sets.find(|set| set.name == name)?;
        timeline
            .entries
            .iter()
            .find(|entry| entry.template.covers(&set.template).is_some())
    })
}

fn by_history<'t>(
    timeline: &'t Timeline,
    observation: &Observation,
    id: crate::model::HistoryId,
) -> Option<&'t Entry> {
    let application = observation.argocd.application.as_ref()?;
    let git = observation.git.as_ref()?;
    let position = application
        .history
        .iter()
        .position(|entry| entry.id == id)?;
    let (_, state) = git.deployed.iter().find(|(own, _)| *own == position)?;
    let entries = timeline
        .entries
        .iter()
        .filter(|e| e.state.is_some_and(|own| own <= *state));
    entries.max_by_key(|e| e.state)
}
