//! From a look, its timeline and a decision to the facts of a record.

use jiff::SignedDuration;

use super::facts::{Facts, PlanFacts, PodFacts, ReleaseFacts, Told};
use super::human::{duration_words, one_line};
use super::status::TargetStatus;
use super::symptoms::symptoms;
use super::ways::{Basis, ways};
use crate::model::{Allowed, ImageRef, Observation, Pod};
use crate::plan::{Decision, Prepared, Release, bad_release};
use crate::timeline::{Entry, Grade, Timeline};

/// Releases of the history that a record shows at most.
const HISTORY: usize = 10;

impl Facts {
    /// Gathers them. `decision` is what planning came to, where it was asked.
    #[must_use]
    pub fn of(
        observation: &Observation,
        timeline: &Timeline,
        decision: Option<&Decision>,
        told: Told,
    ) -> Self {
        let prepared = match decision {
            Some(Decision::Plan(prepared)) => Some(&**prepared),
            _ => None,
        };
        let (blockers, unknown) = match decision {
            Some(Decision::Refused(refusal)) => (refusal.blockers.clone(), refusal.unknown.clone()),
            _ => (Vec::new(), Vec::new()),
        };
        let bad = match &told.from {
            Some(from) => taken_back(timeline, from),
            None => bad(observation, timeline),
        };
        let good = good_entry(timeline, prepared, &bad, told.wanted.is_some());
        let expires_at = told.expires_seconds.and_then(|s| {
            observation
                .at
                .checked_add(SignedDuration::from_secs(s))
                .ok()
        });
        let basis = Basis {
            observation,
            prepared,
            good,
            handed_over: told.handed_over.as_ref(),
        };
        let ways = ways(&basis);
        let target = &observation.target;
        Self {
            name: target.name.clone(),
            namespace: target.namespace.clone(),
            target: target.short(),
            server: observation.cluster.server.clone(),
            at: observation.at,
            expires_at,
            expires_after: told.expires_seconds.map(duration_words),
            incident: incident(observation, &bad),
            reason: told.reason,
            wanted: told.wanted,
            good: good.map(release),
            bad,
            symptoms: symptoms(observation),
            measurements: told.measurements,
            status: TargetStatus::new(observation, timeline, blockers.clone()),
            pods: observation.cluster.pods.as_deref().map(pods),
            history: timeline.entries.iter().take(HISTORY).map(release).collect(),
            plan: prepared.map(plan),
            blockers,
            unknown,
            denied: told
                .rights
                .into_iter()
                .filter(|answer| answer.allowed != Allowed::Allowed)
                .collect(),
            checks: told.checks,
            actions: told.actions,
            evidence: told.evidence,
            handed_over: told.handed_over,
            ways,
            gaps: observation.gaps.iter().map(ToString::to_string).collect(),
        }
    }
}

fn version(image: &ImageRef) -> String {
    let release = image.release();
    match release.strip_prefix('v') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => rest.to_owned(),
        _ => release,
    }
}

fn release(entry: &Entry) -> ReleaseFacts {
    let commit = entry.commit.as_ref();
    ReleaseFacts {
        image: entry
            .image()
            .map(|image| image.as_str().to_owned())
            .unwrap_or_default(),
        version: entry.image().map(version).unwrap_or_default(),
        commit: commit.map(|c| c.id.as_str().to_owned()),
        author: commit.map(|c| c.author.name.clone()),
        subject: commit.map(|c| c.subject().to_owned()),
        live_from: entry.live_from,
        rollout_revision: entry.rollout_revision.map(|number| number.0),
        history_id: entry.history_id.map(|id| id.0),
        grade: entry.grade.as_str().to_owned(),
        grade_reason: entry.reason.clone(),
    }
}

/// The release that is complained of, told from Git and the cluster alone, so that it
/// is the same whatever planning came to: the commit that a rollback on the branch
/// names, else the one that brought in the branch's images; without Git the live image.
fn bad(observation: &Observation, timeline: &Timeline) -> ReleaseFacts {
    let states = observation
        .git
        .as_ref()
        .filter(|git| git.proven)
        .map_or(&[][..], |git| &git.states);
    let named = states
        .first()
        .and_then(|tip| tip.commit.trailer("Rollback-Of"));
    let index = match &named {
        Some(id) => states.iter().position(|s| s.commit.id.as_str() == id),
        None => bad_release(states),
    };
    let entry = index.and_then(|index| {
        let commit = &states.get(index)?.commit.id;
        let own = |entry: &&Entry| entry.commit.as_ref().is_some_and(|c| c.id == *commit);
        timeline.entries.iter().find(own)
    });
    let entry = entry.or_else(|| timeline.live()).or_else(|| timeline.tip());
    let live = observation.cluster.workload.as_ref();
    let image = match index.and_then(|index| states.get(index)) {
        Some(state) => state.template.main_image(),
        None => live.and_then(|workload| workload.template.main_image()),
    };
    let mut facts = entry.map_or_else(nothing, release);
    if let Some(image) = image {
        facts.version = version(&image);
        facts.image = image.as_str().to_owned();
    }
    if let Some(state) = index.and_then(|index| states.get(index)) {
        facts.commit = Some(state.commit.id.as_str().to_owned());
        facts.author = Some(state.commit.author.name.clone());
        facts.subject = Some(state.commit.subject().to_owned());
    }
    facts
}

/// The release that a run took back, as its plan names it.
fn taken_back(timeline: &Timeline, from: &Release) -> ReleaseFacts {
    let image = ImageRef::new(from.image.clone());
    let is_it = |entry: &&Entry| match &from.commit {
        Some(id) => entry.commit.as_ref().is_some_and(|c| c.id.as_str() == id),
        None => entry.image().is_some_and(|own| own.same_as(&image)),
    };
    let mut facts = timeline
        .entries
        .iter()
        .find(is_it)
        .map_or_else(nothing, release);
    facts.version = version(&image);
    facts.image.clone_from(&from.image);
    facts.commit.clone_from(&from.commit);
    facts
}

fn nothing() -> ReleaseFacts {
    ReleaseFacts {
        image: String::new(),
        version: "unknown".to_owned(),
        commit: None,
        author: None,
        subject: None,
        live_from: None,
        rollout_revision: None,
        history_id: None,
        grade: Grade::Unknown.as_str().to_owned(),
        grade_reason: "no release is known".to_owned(),
    }
}

/// The plan's target; without a plan the newest older release that can be trusted.
fn good_entry<'t>(
    timeline: &'t Timeline,
    prepared: Option<&Prepared>,
    bad: &ReleaseFacts,
    wanted: bool,
) -> Option<&'t Entry> {
    if let Some(target) = prepared.and_then(|prepared| prepared.plan.targets.first()) {
        return timeline.entries.iter().find(|entry| {
            let commit = entry.commit.as_ref().map(|c| c.id.as_str());
            match &target.to.commit {
                Some(id) => commit == Some(id),
                None => entry.image().is_some_and(|i| i.as_str() == target.to.image),
            }
        });
    }
    // What was asked for on purpose is not replaced by a guess.
    if wanted {
        return None;
    }
    let image = ImageRef::new(bad.image.clone());
    let is_bad = |entry: &Entry| entry.image().is_some_and(|own| own.same_as(&image));
    let older = timeline.entries.iter().skip_while(|entry| !is_bad(entry));
    older
        .filter(|entry| !is_bad(entry))
        .find(|entry| entry.grade >= Grade::Likely)
}

/// The key of an incident: Application (where one is known; it tells clusters apart),
/// namespace, kind and name, and the bad commit, else the bad image.
fn incident(observation: &Observation, bad: &ReleaseFacts) -> String {
    let target = &observation.target;
    let app = observation.argocd.application_name.as_deref();
    let app = app
        .map(|name| name.rsplit('/').next().unwrap_or(name))
        .map_or_else(String::new, |name| format!("{name}:"));
    let what = bad.commit.clone().unwrap_or_else(|| bad.image.clone());
    let text = format!("{app}{}/{}@{what}", target.namespace, target.short());
    text.chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric()
                || matches!(c, '.' | '_' | ':' | '/' | '@' | '-' | '+') =>
            {
                c
            }
            _ => '_',
        })
        .collect()
}

fn pods(pods: &[Pod]) -> Vec<PodFacts> {
    let mut found: Vec<PodFacts> = pods
        .iter()
        .map(|pod| PodFacts {
            name: pod.name.clone(),
            phase: if pod.terminating {
                "Terminating".to_owned()
            } else {
                pod.phase.clone()
            },
            ready: pod.ready,
            restarts: pod.containers.iter().map(|c| c.restarts).sum(),
            image: pod
                .containers
                .iter()
                .find(|c| !c.init)
                .map(|c| c.image.as_str().to_owned())
                .unwrap_or_default(),
            problems: pod
                .containers
                .iter()
                .filter_map(|c| {
                    let problem = c.problem.as_ref()?;
                    let text = format!("{}: {} {}", c.name, problem.reason, problem.message);
                    Some(one_line(&text, 240))
                })
                .collect(),
        })
        .collect();
    found.sort_by(|a, b| (a.ready, &a.name).cmp(&(b.ready, &b.name)));
    found
}

fn plan(prepared: &Prepared) -> PlanFacts {
    let plan = &prepared.plan;
    let commit = plan.commits.first();
    let word = |pick: fn(&crate::plan::PlannedCommit) -> &String| {
        commit.map(pick).cloned().unwrap_or_default()
    };
    PlanFacts {
        id: plan.plan_id.clone(),
        route: plan.route.clone(),
        repository: word(|c| &c.repository),
        branch: word(|c| &c.branch),
        parent: word(|c| &c.parent),
        files: plan
            .commits
            .iter()
            .flat_map(|commit| commit.files.clone())
            .collect(),
        later_work: plan
            .targets
            .first()
            .map(|target| target.later_work.clone())
            .unwrap_or_default(),
        warnings: plan.warnings.clone(),
        rungs: plan.rungs.clone(),
    }
}
