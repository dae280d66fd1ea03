//! How sure it is that a release served well.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Entry, Grade, correlate};
use crate::model::{Observation, Pod};

/// Kubernetes' default for `progressDeadlineSeconds`, taken where the workload
/// itself could not be read.
const DEFAULT_PROGRESS_DEADLINE: i64 = 600;

/// What is known about the pods of one ReplicaSet.
#[derive(Default)]
struct PodEvidence {
    ready: usize,
    crashing: Option<String>,
}

/// Fills in `grade` and `reason` of every entry.
pub(super) fn grade(entries: &mut [Entry], observation: &Observation, verified: &[String]) {
    let evidence = pod_evidence(observation);
    let deadline = observation
        .cluster
        .workload
        .as_ref()
        .map_or(DEFAULT_PROGRESS_DEADLINE, |workload| {
            workload.progress_deadline_seconds
        });
    let named = named_bad(entries);
    for index in 0..entries.len() {
        let twin = evidence_of(entries, index, &evidence);
        let Some(entry) = entries.get_mut(index) else {
            continue;
        };
        let (grade, reason) = named_reason(entry, &named)
            .or_else(|| pods_say(twin))
            .or_else(|| run_says(entry, verified))
            .unwrap_or_else(|| time_says(entry, observation, deadline));
        entry.grade = grade;
        entry.reason = reason;
    }
}

fn pod_evidence(observation: &Observation) -> BTreeMap<String, PodEvidence> {
    let mut found: BTreeMap<String, PodEvidence> = BTreeMap::new();
    let sets = observation.cluster.replica_sets.iter().flatten();
    for set in sets {
        let own = |pod: &&Pod| {
            pod.owner_uid.as_deref() == Some(&set.uid)
                || (pod.controller_revision_hash.is_some()
                    && pod.controller_revision_hash == set.pod_template_hash)
        };
        let evidence = found.entry(set.name.clone()).or_default();
        for pod in observation.cluster.pods.iter().flatten().filter(own) {
            if pod.ready && !pod.terminating {
                evidence.ready += 1;
            }
            if pod.is_crashing() || pod.problem().is_some() {
                let reason = pod
                    .problem()
                    .map_or("crashed", |(_, problem)| &problem.reason);
                evidence.crashing = Some(format!("pod {} is in {reason}", pod.name));
            }
        }
    }
    found
}

/// The pod evidence of an entry's own ReplicaSet, or of the ReplicaSet that an
/// entry with the same template shares with it.
fn evidence_of<'e>(
    entries: &[Entry],
    index: usize,
    evidence: &'e BTreeMap<String, PodEvidence>,
) -> Option<&'e PodEvidence> {
    let own = entries.get(index)?;
    let name = own.replica_set.as_ref().or_else(|| {
        let bare = own.template.without_restarts();
        let twin = entries
            .iter()
            .find(|other| other.replica_set.is_some() && other.template.without_restarts() == bare);
        twin.and_then(|twin| twin.replica_set.as_ref())
    })?;
    evidence.get(name)
}

/// Commits that a later commit names in `Rollback-Of:`, with that commit's id.
fn named_bad(entries: &[Entry]) -> BTreeMap<String, String> {
    let commits = entries.iter().filter_map(|entry| entry.commit.as_ref());
    commits
        .filter_map(|commit| Some((commit.trailer("Rollback-Of")?, commit.id.short().to_owned())))
        .collect()
}

fn named_reason(entry: &Entry, named: &BTreeMap<String, String>) -> Option<(Grade, String)> {
    let by = named.get(entry.commit.as_ref()?.id.as_str())?;
    Some((Grade::Contradicted, format!("rolled back by {by}")))
}

fn pods_say(evidence: Option<&PodEvidence>) -> Option<(Grade, String)> {
    let evidence = evidence?;
    match (&evidence.crashing, evidence.ready) {
        (Some(crash), 0) => Some((Grade::Contradicted, crash.clone())),
        (Some(crash), ready) => Some((Grade::Unknown, format!("{ready} ready, but {crash}"))),
        (None, 0) => None,
        (None, 1) => Some((Grade::Proven, "1 pod is ready now".to_owned())),
        (None, ready) => Some((Grade::Proven, format!("{ready} pods are ready now"))),
    }
}

fn run_says(entry: &Entry, verified: &[String]) -> Option<(Grade, String)> {
    let commit = entry.commit.as_ref()?;
    verified
        .iter()
        .any(|id| id == commit.id.as_str())
        .then(|| (Grade::Proven, "an earlier run verified it".to_owned()))
}

fn time_says(entry: &Entry, observation: &Observation, deadline: i64) -> (Grade, String) {
    let word = match observation.cluster.pods {
        Some(_) => "it runs now, but no ready pod is seen",
        None => "it runs now; its pods were not read",
    };
    if entry.is_live && entry.live_to.is_none() {
        return (Grade::Unknown, word.to_owned());
    }
    let served = entry.served_seconds(observation.at);
    match (served, entry.live_from_source) {
        (Some(seconds), "Argo CD history" | "ReplicaSet creation") if seconds >= deadline => (
            Grade::Likely,
            format!("was current for {}, nothing contradicts", words(seconds)),
        ),
        (Some(seconds), "Argo CD history" | "ReplicaSet creation") => (
            Grade::Unknown,
            format!(
                "was current for {} only, less than its progress deadline of {}",
                words(seconds),
                words(deadline)
            ),
        ),
        _ => (Grade::Unknown, never_synced(entry, observation)),
    }
}

fn never_synced(entry: &Entry, observation: &Observation) -> String {
    let application = observation.argocd.application.as_ref();
    let at: Option<Timestamp> = entry.commit.as_ref().map(|commit| commit.time);
    match (application, at) {
        (Some(application), Some(at)) if correlate::history_covers(application, at) => {
            "Argo CD's history has no sync of it".to_owned()
        }
        _ => "no trace in the cluster or in Argo CD's history".to_owned(),
    }
}

/// Seconds in words, coarse: `45 s`, `12 min`, `3 h`, `4 d`.
fn words(seconds: i64) -> String {
    match seconds {
        ..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
