//! Which ReplicaSet and which Argo CD history entry belong to which commit.

use jiff::Timestamp;

use super::{Entry, Grade};
use crate::model::{
    Application, HistoryEntry, Observation, PodTemplate, ReplicaSet, TemplateState,
};

/// The entries of an observation, newest first, not graded yet.
pub(super) fn entries(observation: &Observation) -> Vec<Entry> {
    let states = observation.git.as_ref().map_or(&[][..], |git| &git.states);
    let mut entries = from_states(states);
    attach_replica_sets(&mut entries, observation);
    attach_history(&mut entries, observation);
    fill_times(&mut entries);
    entries
}

/// One entry for each state; a state that differs from its elder by restart marks
/// alone is folded into one entry, which keeps the newer text.
fn from_states(states: &[TemplateState]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for (index, state) in states.iter().enumerate() {
        let bare = state.template.without_restarts();
        if let Some(newer) = entries.last_mut()
            && newer.template.without_restarts() == bare
        {
            let subject = newer.commit.as_ref().map(|c| c.subject().to_owned());
            newer
                .folded
                .push(format!("restart in Git: {}", subject.unwrap_or_default()));
            newer.commit = Some(state.commit.clone());
            continue;
        }
        entries.push(Entry {
            images: state.template.images(),
            template: state.template.clone(),
            commit: Some(state.commit.clone()),
            state: Some(index),
            is_tip: index == 0,
            ..empty()
        });
    }
    entries
}

fn empty() -> Entry {
    Entry {
        images: Vec::new(),
        template: PodTemplate::new(serde_json::Value::Null),
        commit: None,
        state: None,
        history_id: None,
        rollout_revision: None,
        replica_set: None,
        live_from: None,
        live_from_source: "",
        live_to: None,
        is_live: false,
        is_tip: false,
        grade: Grade::Unknown,
        reason: String::new(),
        folded: Vec::new(),
    }
}

/// The newest entry whose manifest explains this live template best.
pub(crate) fn best_match(entries: &[Entry], live: &PodTemplate) -> Option<usize> {
    entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.state.is_some())
        .filter_map(|(index, entry)| Some((entry.template.covers(live)?.extra, index)))
        .min()
        .map(|(_, index)| index)
}

fn attach_replica_sets(entries: &mut Vec<Entry>, observation: &Observation) {
    let workload = observation.cluster.workload.as_ref();
    let current = workload.map(|workload| workload.template.without_restarts());
    let mut sets: Vec<&ReplicaSet> = observation.cluster.replica_sets.iter().flatten().collect();
    // Newest first by the controller's own numbering; creation time breaks ties.
    sets.sort_by_key(|set| std::cmp::Reverse((set.rollout_revision, set.created_at)));
    let mut unmatched: Vec<Entry> = Vec::new();
    for set in sets {
        let is_live = current.as_ref() == Some(&set.template.without_restarts());
        let found = best_match(entries, &set.template);
        let Some(entry) = found.and_then(|index| entries.get_mut(index)) else {
            fold_or_push(&mut unmatched, set, is_live);
            continue;
        };
        if entry.replica_set.is_some() {
            entry.folded.push(restart_note(set));
            entry.live_from = entry.live_from.min(set.created_at);
        } else {
            adopt(entry, set, is_live);
        }
    }
    for entry in unmatched {
        // Times have whole seconds; within one the controller's numbering decides.
        let age = |e: &Entry| (time_of(e), e.rollout_revision);
        let newer = |other: &Entry| age(other) > age(&entry);
        let position = entries
            .iter()
            .position(|other| !newer(other))
            .unwrap_or(entries.len());
        entries.insert(position, entry);
    }
    if !entries.iter().any(|entry| entry.is_live)
        && let Some(live) = workload
        && let Some(index) = best_match(entries, &live.template)
        && let Some(entry) = entries.get_mut(index)
    {
        entry.is_live = true;
    }
}

fn fold_or_push(unmatched: &mut Vec<Entry>, set: &ReplicaSet, is_live: bool) {
    let bare = set.template.without_restarts();
    if let Some(entry) = unmatched
        .iter_mut()
        .find(|e| e.template.without_restarts() == bare)
    {
        entry.folded.push(restart_note(set));
        return;
    }
    let mut entry = Entry {
        images: set.template.images(),
        template: set.template.clone(),
        ..empty()
    };
    adopt(&mut entry, set, is_live);
    unmatched.push(entry);
}

fn adopt(entry: &mut Entry, set: &ReplicaSet, is_live: bool) {
    entry.replica_set = Some(set.name.clone());
    entry.rollout_revision = set.rollout_revision;
    entry.is_live |= is_live;
    entry.live_from = set.created_at;
    entry.live_from_source = "ReplicaSet creation";
}

fn restart_note(set: &ReplicaSet) -> String {
    match set.rollout_revision {
        Some(number) => format!("restart with an equal template: rollout revision {number}"),
        None => format!("restart with an equal template: {}", set.name),
    }
}

fn time_of(entry: &Entry) -> Option<Timestamp> {
    entry
        .live_from
        .or_else(|| entry.commit.as_ref().map(|commit| commit.time))
}

/// Argo CD's history tells when a commit was applied; it is the best source of the
/// time at which a release went live.
fn attach_history(entries: &mut [Entry], observation: &Observation) {
    let (Some(git), Some(application)) = (&observation.git, &observation.argocd.application) else {
        return;
    };
    for (position, state) in &git.deployed {
        let Some(history) = application.history.get(*position) else {
            continue;
        };
        let Some(entry) = entry_of_state(entries, *state) else {
            continue;
        };
        entry.history_id = entry.history_id.max(Some(history.id));
        let deployed = applied_at(history);
        if entry.live_from_source != "Argo CD history" {
            entry.live_from = deployed;
            entry.live_from_source = "Argo CD history";
        } else {
            entry.live_from = entry.live_from.min(deployed);
        }
    }
}

fn entry_of_state(entries: &mut [Entry], state: usize) -> Option<&mut Entry> {
    // A folded state has no entry of its own: it belongs to the next newer one.
    entries
        .iter_mut()
        .filter(|e| e.state.is_some_and(|own| own <= state))
        .max_by_key(|e| e.state)
}

fn applied_at(history: &HistoryEntry) -> Option<Timestamp> {
    history.deploy_started_at.or(history.deployed_at)
}

/// Whether Argo CD's history reaches back before a commit's time, so that a
/// missing entry means that the commit was never synced by itself.
pub(super) fn history_covers(application: &Application, at: Timestamp) -> bool {
    application
        .history
        .iter()
        .filter_map(applied_at)
        .min()
        .is_some_and(|first| first <= at)
}

/// Commit times where nothing better is known; and each entry ends where the next
/// newer one that was live begins.
fn fill_times(entries: &mut [Entry]) {
    for index in 0..entries.len() {
        let shared = is_reused(entries, index);
        let Some(entry) = entries.get_mut(index) else {
            continue;
        };
        // A ReplicaSet that is used again keeps its first creation time, so it says
        // nothing about the newer of two commits with the same template.
        let untrusted = shared && entry.live_from_source == "ReplicaSet creation";
        if let Some(commit) = entry.commit.as_ref()
            && (entry.live_from.is_none() || untrusted)
        {
            entry.live_from = Some(commit.time);
            entry.live_from_source = "commit time";
        }
    }
    let mut next: Option<Timestamp> = None;
    for entry in entries.iter_mut() {
        entry.live_to = next;
        if entry.live_from.is_some() {
            next = entry.live_from;
        }
    }
}

fn is_reused(entries: &[Entry], index: usize) -> bool {
    let Some(own) = entries.get(index) else {
        return false;
    };
    entries
        .iter()
        .skip(index + 1)
        .any(|older| older.template.without_restarts() == own.template.without_restarts())
}
