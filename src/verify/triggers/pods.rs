//! What the cluster's own objects tell of a release: its pods, told by who owns them and
//! never by labels, and its rollout.

use super::super::goal::{current_pods, current_set};
use super::Found;
use crate::model::{Observation, Pod, TriggerRules, Workload, WorkloadKind};

/// A container waits for its image, by the kubelet's words (Kubernetes 1.36).
const UNPULLED: [&str; 5] = [
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
];
/// Where progress is not watched: the API's largest value.
const NO_DEADLINE: i64 = 2_147_483_647;
/// Pods that evidence names at most.
const NAMED: usize = 3;

/// The pods of the newest template, else all of the workload.
pub(super) struct Release<'o> {
    observation: &'o Observation,
    pods: Option<Vec<&'o Pod>>,
    /// Whose pods they are, in words.
    whose: &'static str,
}

impl<'o> Release<'o> {
    pub(super) fn of(observation: &'o Observation) -> Self {
        let workload = observation.cluster.workload.as_ref();
        let set = workload.and_then(|workload| current_set(observation, workload));
        let (pods, whose) = match current_pods(observation, set) {
            Some(own) => (Some(own.collect()), "of the newest template"),
            None => {
                let all = observation.cluster.pods.as_ref();
                let alive = |pods: &'o Vec<Pod>| pods.iter().filter(|p| !p.terminating).collect();
                (all.map(alive), "of the workload")
            }
        };
        Self {
            observation,
            pods,
            whose,
        }
    }

    /// The pods, or what is known without any.
    fn pods(&self) -> Result<&[&'o Pod], Found> {
        let workload = self.observation.cluster.workload.as_ref();
        let Some(pods) = &self.pods else {
            return Err(Found::Unknown(format!(
                "its pods could not be read{}",
                self.gap("pods")
            )));
        };
        if !pods.is_empty() {
            return Ok(pods);
        }
        Err(match workload.map(|workload| workload.replicas) {
            Some(0) => Found::Clear("0 replicas are wanted, and there is no pod".to_owned()),
            Some(wanted) => Found::Unknown(format!(
                "there is no pod {}, {wanted} are wanted",
                self.whose
            )),
            None => Found::Unknown(format!("there is no pod {}", self.whose)),
        })
    }

    /// What is said of a read that failed.
    fn gap(&self, what: &str) -> String {
        let mut gaps = self.observation.gaps.iter();
        gaps.find(|gap| gap.what.starts_with(what))
            .map_or_else(String::new, |gap| format!(": {}", gap.message))
    }

    /// How long a pod has been there, seconds.
    fn age(&self, pod: &Pod) -> Option<i64> {
        let created = pod.created_at?;
        Some(self.observation.at.as_second() - created.as_second())
    }

    /// A pod that crashes counts at once, another one that is not ready only when it had
    /// its time to start.
    pub(super) fn not_ready(&self, rules: &TriggerRules) -> Found {
        let pods = match self.pods() {
            Ok(pods) => pods,
            Err(found) => return found,
        };
        let settled = |pod: &Pod| {
            let ended = pod.phase == "Failed" || pod.is_crashing() || unpulled(pod);
            ended || self.age(pod).is_none_or(|age| age >= rules.pods_settle)
        };
        let bad: Vec<&Pod> = unready(pods).filter(|pod| settled(pod)).collect();
        let starting = unready(pods).count() - bad.len();
        let evidence = format!(
            "{} of {} pods {} not ready or crashing{}",
            bad.len(),
            pods.len(),
            self.whose,
            named(&bad)
        );
        let share = percent(bad.len(), pods.len());
        let with_starting = percent(bad.len() + starting, pods.len());
        if starting > 0 && rules.pods.of(with_starting) > rules.pods.of(share) {
            if rules.pods.of(share).is_none() {
                return Found::Unknown(format!(
                    "{evidence}; {starting} more are not ready yet and younger than {} s",
                    rules.pods_settle
                ));
            }
            let evidence = format!("{evidence}; {starting} more are not ready yet");
            return Found::of(rules.pods, share, evidence);
        }
        Found::of(rules.pods, share, evidence)
    }

    pub(super) fn not_pulled(&self, rules: &TriggerRules) -> Found {
        let pods = match self.pods() {
            Ok(pods) => pods,
            Err(found) => return found,
        };
        let bad: Vec<&Pod> = pods.iter().copied().filter(|pod| unpulled(pod)).collect();
        let evidence = format!(
            "{} of {} pods {} cannot pull an image{}",
            bad.len(),
            pods.len(),
            self.whose,
            named(&bad)
        );
        if bad.is_empty() && pods.iter().all(|pod| pod.containers.is_empty()) {
            return Found::Unknown("no pod tells anything of its containers yet".to_owned());
        }
        Found::of(rules.image, percent(bad.len(), pods.len()), evidence)
    }

    /// The Deployment controller's own word (Kubernetes 1.36). Nothing else has a deadline,
    /// and of a paused Deployment progress is not watched.
    pub(super) fn rollout(&self, rules: &TriggerRules) -> Found {
        let Some(workload) = &self.observation.cluster.workload else {
            return Found::Unknown(format!(
                "the workload could not be read{}",
                self.gap(self.observation.target.kind.resource())
            ));
        };
        let counts = format!(
            "{} of {} pods updated, {} available",
            workload.rollout.updated, workload.replicas, workload.rollout.available
        );
        if workload.progress_deadline_exceeded() {
            return Found::Fires(
                rules.rollout,
                format!(
                    "past its progress deadline of {} s: {counts}",
                    workload.progress_deadline_seconds
                ),
            );
        }
        if workload.rollout_complete() {
            return Found::Clear(format!("complete: {counts}"));
        }
        match unwatched(workload) {
            Some(why) => Found::Unknown(format!("not complete, and {why}: {counts}")),
            None => Found::Clear(format!(
                "not complete, within its progress deadline of {} s: {counts}",
                workload.progress_deadline_seconds
            )),
        }
    }

    pub(super) fn restarts(&self, rules: &TriggerRules) -> Found {
        let pods = match self.pods() {
            Ok(pods) => pods,
            Err(found) => return found,
        };
        let since = self.observation.at.as_second() - rules.restarts_within;
        let recent = pods.iter().flat_map(|pod| {
            let own = pod.containers.iter();
            own.filter(|container| {
                let last = container.last_termination.as_ref();
                let at = last.and_then(|last| last.finished_at);
                // A restart whose time is not told counts.
                at.is_none_or(|at| at.as_second() >= since)
            })
            .map(move |container| (container.restarts, pod, container))
        });
        let window = super::told::lasting(rules.restarts_within);
        match recent.max_by_key(|(restarts, _, _)| *restarts) {
            Some((restarts, pod, container)) if restarts > 0 => {
                let last = container.last_termination.as_ref().map(|last| {
                    format!(
                        ", the last one {} with exit code {}",
                        last.reason, last.exit_code
                    )
                });
                let evidence = format!(
                    "{} {}: {restarts} restarts{}",
                    pod.name,
                    container.name,
                    last.unwrap_or_default()
                );
                // Restarts of one container are far below 2^52.
                #[allow(clippy::cast_precision_loss, reason = "see above")]
                Found::of(rules.restarts, restarts as f64, evidence)
            }
            _ => Found::Clear(format!("no restart within {window}")),
        }
    }
}

fn unready<'p>(pods: &'p [&'p Pod]) -> impl Iterator<Item = &'p Pod> {
    let bad = |pod: &&&Pod| pod.phase != "Succeeded" && (!pod.ready || pod.is_crashing());
    pods.iter().filter(bad).copied()
}

fn unpulled(pod: &Pod) -> bool {
    pod.containers.iter().any(|container| {
        let problem = container.problem.as_ref();
        problem.is_some_and(|problem| UNPULLED.contains(&problem.reason.as_str()))
    })
}

fn unwatched(workload: &Workload) -> Option<&'static str> {
    if workload.reference.kind != WorkloadKind::Deployment {
        Some("only a Deployment has a progress deadline")
    } else if workload.progress_deadline_seconds >= NO_DEADLINE {
        Some("its progress deadline is switched off")
    } else if workload.paused {
        Some("while it is paused its progress is not watched")
    } else if workload.observed_generation < workload.generation {
        Some("its controller has not seen the newest change yet")
    } else {
        None
    }
}

/// The first of them with what keeps them from running.
fn named(pods: &[&Pod]) -> String {
    if pods.is_empty() {
        return String::new();
    }
    let one = |pod: &&Pod| match pod.problem() {
        Some((container, problem)) => format!("{} {container} {}", pod.name, problem.reason),
        None => format!("{} not ready", pod.name),
    };
    let mut all: Vec<String> = pods.iter().take(NAMED).map(one).collect();
    if pods.len() > NAMED {
        all.push(format!("{} more", pods.len() - NAMED));
    }
    format!(" ({})", all.join(", "))
}

fn percent(part: usize, all: usize) -> f64 {
    // Pods of one workload are far below 2^52.
    #[allow(clippy::cast_precision_loss, reason = "see above")]
    let share = part as f64 * 100.0 / all.max(1) as f64;
    share
}
