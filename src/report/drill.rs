//! The rehearsal: what a rollback would need, tried as far as it can be without effect.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::human::{Style, Tint, one_line, table};
use crate::model::{Allowed, Observation, Right};
use crate::plan::{API_VERSION, Decision, Intent, Request, forward_write, ladder_of};
use crate::timeline::{Grade, Timeline};

/// What a probe came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// It worked, with its evidence.
    Worked(String),
    /// It did not.
    Failed(String),
    /// It was not tried, and why.
    NotTried(String),
}

/// Everything that was tried, without effect.
#[derive(Debug, Clone)]
pub struct Probes {
    /// Scaling to 0 as a server-side dry run.
    pub scale: Probe,
    /// The rollback's patch as a server-side dry run.
    pub patch: Probe,
    /// A push as a dry run.
    pub push: Probe,
    /// The last lines of a log.
    pub logs: Probe,
    /// The metrics endpoint.
    pub metrics: Probe,
    /// The health endpoint.
    pub health: Probe,
    /// Whether a port-forward was asked for.
    pub forwarded: bool,
}

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It would work.
    Pass,
    /// It would not.
    Fail,
    /// It could not be tried.
    Skipped,
}

/// One named test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrillTest {
    /// A stable word for programs.
    pub id: String,
    /// What is asked.
    pub title: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What that rests on.
    pub evidence: String,
}

/// The tests of one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrillTarget {
    /// The workload, in words.
    pub target: String,
    /// The image that runs.
    pub image: String,
    /// The release that a rollback would go back to; empty where there is none.
    pub back_to: String,
    /// The route.
    pub route: String,
    /// The seven tests.
    pub tests: Vec<DrillTest>,
    /// What was sent as a server-side dry run, and port-forwards, as
    /// [`crate::plan::Plan::writes`] has it.
    pub writes: Vec<String>,
    /// How the present state would be brought back after a real rollback.
    pub restore_hint: String,
}

/// A rehearsal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrillReport {
    /// `unship/v1`.
    pub api_version: String,
    /// `Drill`.
    pub kind: String,
    /// The targets.
    pub targets: Vec<DrillTarget>,
    /// Exit code: 5 when a test failed.
    pub exit_code: u8,
}

impl DrillReport {
    /// The report of these targets.
    #[must_use]
    pub fn new(targets: Vec<DrillTarget>) -> Self {
        let failed = targets.iter().any(|target| target.count(Outcome::Fail) > 0);
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "Drill".to_owned(),
            targets,
            exit_code: if failed { 5 } else { 0 },
        }
    }

    /// For people: every test of one target, or one line for each of several; the last
    /// line says whether all passed.
    #[must_use]
    pub fn text(&self, style: Style) -> String {
        let mut out = String::new();
        if let [only] = self.targets.as_slice() {
            out.push_str(&only.text());
        } else {
            out.push_str(&self.rows(style));
        }
        out.push_str(&self.last_line());
        out
    }

    fn rows(&self, style: Style) -> String {
        let rows: Vec<Vec<String>> = self
            .targets
            .iter()
            .map(|target| {
                let bad: Vec<&str> = target
                    .tests
                    .iter()
                    .filter(|test| test.outcome == Outcome::Fail)
                    .map(|test| test.id.as_str())
                    .collect();
                let back = if target.back_to.is_empty() {
                    "none".to_owned()
                } else {
                    target.back_to.clone()
                };
                vec![
                    target.target.clone(),
                    target.image.clone(),
                    back,
                    target.route.clone(),
                    bad.join(", "),
                ]
            })
            .collect();
        table(
            &["target", "runs", "back to", "route", "failed"],
            &rows,
            style.width,
        )
    }

    fn last_line(&self) -> String {
        let count = |outcome| -> usize { self.targets.iter().map(|t| t.count(outcome)).sum() };
        let (pass, fail, skipped) = (
            count(Outcome::Pass),
            count(Outcome::Fail),
            count(Outcome::Skipped),
        );
        let stuck = self.targets.iter().filter(|t| t.back_to.is_empty()).count();
        let mut line = match (fail, skipped) {
            (0, 0) => format!("all {pass} passed"),
            (0, _) => format!("{pass} passed, {skipped} skipped"),
            _ => format!(
                "{fail} of {} failed, {skipped} skipped",
                pass + fail + skipped
            ),
        };
        if stuck > 0 {
            line.push_str(&format!(
                "; {stuck} of {} without a viable rollback target",
                self.targets.len()
            ));
        }
        line.push('\n');
        line
    }
}

impl DrillTarget {
    fn count(&self, outcome: Outcome) -> usize {
        self.tests.iter().filter(|t| t.outcome == outcome).count()
    }

    fn text(&self) -> String {
        let mut out = format!("{} runs {}\n", self.target, self.image);
        for (index, test) in self.tests.iter().enumerate() {
            let word = match test.outcome {
                Outcome::Pass => Tint::Good.paint("pass   "),
                Outcome::Fail => Tint::Bad.paint("fail   "),
                Outcome::Skipped => Tint::Warn.paint("skipped"),
            };
            out.push_str(&format!(
                "  {} {word}  {}: {}\n",
                index + 1,
                test.title,
                one_line(&test.evidence, 300)
            ));
        }
        out.push_str(&format!("after a real one: {}\n", self.restore_hint));
        out
    }
}

/// Judges the seven tests of one target.
#[must_use]
pub fn drill_target(
    observation: &Observation,
    timeline: &Timeline,
    decision: &Decision,
    probes: &Probes,
) -> DrillTarget {
    let target = &observation.target;
    let plan = match decision {
        Decision::Plan(prepared) => Some(&prepared.plan),
        Decision::Refused(_) | Decision::NotNeeded(_) => None,
    };
    let chosen = plan.and_then(|plan| plan.targets.first());
    let image = observation
        .cluster
        .workload
        .as_ref()
        .and_then(|w| w.template.main_image())
        .map(|image| image.as_str().to_owned())
        .unwrap_or_default();
    let scale = scale_test(observation, probes);
    let tests = vec![
        scale,
        rollback_test(observation, decision, probes),
        history_test(timeline),
        pods_test(observation),
        probe_test("logs", "its logs can be read", &probes.logs),
        probe_test("metrics", "its metrics can be read", &probes.metrics),
        health_test(observation, probes),
    ];
    let place = format!("{} -n {}", target.short(), target.namespace);
    DrillTarget {
        target: target.to_string(),
        image: image.clone(),
        back_to: chosen.map_or_else(String::new, |t| t.to.image.clone()),
        route: plan.map_or_else(|| "none".to_owned(), |plan| plan.route.clone()),
        tests,
        writes: dry_runs(observation, probes),
        restore_hint: format!("unship rollback {place} --to {image}"),
    }
}

fn dry_runs(observation: &Observation, probes: &Probes) -> Vec<String> {
    let target = &observation.target;
    let place = format!("{}/{}", target.namespace, target.name);
    let resource = target.kind.resource();
    let mut sent = Vec::new();
    if !matches!(probes.scale, Probe::NotTried(_)) {
        sent.push(format!("patch {resource}.apps/scale {place}"));
    }
    if !matches!(probes.patch, Probe::NotTried(_)) {
        sent.push(format!("patch {resource}.apps {place}"));
    }
    if probes.forwarded {
        sent.push(forward_write(&target.namespace, &target.name));
    }
    sent
}

fn test(id: &str, title: &str, outcome: Outcome, evidence: impl Into<String>) -> DrillTest {
    DrillTest {
        id: id.to_owned(),
        title: title.to_owned(),
        outcome,
        evidence: evidence.into(),
    }
}

fn probe_test(id: &str, title: &str, probe: &Probe) -> DrillTest {
    let (outcome, evidence) = match probe {
        Probe::Worked(evidence) => (Outcome::Pass, evidence),
        Probe::Failed(evidence) => (Outcome::Fail, evidence),
        Probe::NotTried(evidence) => (Outcome::Skipped, evidence),
    };
    test(id, title, outcome, evidence.clone())
}

fn scale_test(observation: &Observation, probes: &Probes) -> DrillTest {
    let title = "it can be scaled to 0";
    if !matches!(probes.scale, Probe::NotTried(_)) {
        return probe_test("scale", title, &probes.scale);
    }
    let request = Request {
        intent: Intent::Scale { replicas: 0 },
        ..Request::new(observation.target.clone())
    };
    let rungs = ladder_of(observation, &request);
    let chosen = rungs.iter().find(|rung| rung.verdict == "chosen");
    match chosen.filter(|rung| rung.route != "request") {
        Some(rung) => test(
            "scale",
            title,
            Outcome::Pass,
            format!(
                "computed, not tried: by route {} ({})",
                rung.route, rung.reason
            ),
        ),
        None => test(
            "scale",
            title,
            Outcome::Fail,
            "no route is open to this identity but a request",
        ),
    }
}

fn rollback_test(observation: &Observation, decision: &Decision, probes: &Probes) -> DrillTest {
    let (id, title) = ("rollback", "it can be rolled back");
    let plan = match decision {
        Decision::Plan(prepared) => &prepared.plan,
        Decision::Refused(refusal) => {
            return test(id, title, Outcome::Fail, refusal.first_words());
        }
        Decision::NotNeeded(reason) => return test(id, title, Outcome::Skipped, reason.clone()),
    };
    let to = plan.targets.first();
    let to = to.map_or_else(String::new, |t| {
        format!("to {} by {}", t.to.image, plan.route)
    });
    if plan.is_through_git() {
        return match &probes.push {
            Probe::Worked(how) => test(id, title, Outcome::Pass, format!("{to}; {how}")),
            Probe::Failed(why) => test(id, title, Outcome::Fail, format!("{to}; {why}")),
            Probe::NotTried(why) => test(id, title, Outcome::Skipped, format!("{to}; {why}")),
        };
    }
    match &probes.patch {
        Probe::Worked(how) => test(id, title, Outcome::Pass, format!("{to}; {how}")),
        Probe::Failed(why) => test(id, title, Outcome::Fail, format!("{to}; {why}")),
        Probe::NotTried(why) => {
            let allowed = observation.rights.allowed(Right::PatchWorkload) == Allowed::Allowed;
            let outcome = if allowed || !plan.writes.is_empty() {
                Outcome::Pass
            } else {
                Outcome::Skipped
            };
            test(
                id,
                title,
                outcome,
                format!("{to}; computed, not tried: {why}"),
            )
        }
    }
}

fn history_test(timeline: &Timeline) -> DrillTest {
    let (id, title) = ("history", "its history is known");
    let trusted = timeline
        .entries
        .iter()
        .filter(|entry| entry.grade >= Grade::Likely)
        .count();
    let evidence = format!(
        "{} releases, {trusted} of them proven or likely",
        timeline.entries.len()
    );
    let outcome = if timeline.entries.len() > 1 {
        Outcome::Pass
    } else {
        Outcome::Fail
    };
    test(id, title, outcome, evidence)
}

fn pods_test(observation: &Observation) -> DrillTest {
    let (id, title) = ("pods", "its pods and endpoints can be read");
    let Some(pods) = &observation.cluster.pods else {
        return test(id, title, Outcome::Fail, "the pods could not be read");
    };
    let ready = pods.iter().filter(|pod| pod.ready).count();
    let endpoints = match &observation.cluster.endpoints {
        Some(all) => {
            let own = all.iter().filter(|endpoint| {
                pods.iter()
                    .any(|pod| endpoint.pod_uid.as_ref() == Some(&pod.uid))
            });
            format!("{} endpoints", own.count())
        }
        None => "endpoints could not be read".to_owned(),
    };
    test(
        id,
        title,
        Outcome::Pass,
        format!("{} pods, {ready} ready; {endpoints}", pods.len()),
    )
}

/// A health endpoint where one can be asked, else what the readiness probes say.
fn health_test(observation: &Observation, probes: &Probes) -> DrillTest {
    let (id, title) = ("health", "its health can be told");
    let Probe::NotTried(why) = &probes.health else {
        return probe_test(id, title, &probes.health);
    };
    match &observation.cluster.pods {
        Some(pods) if !pods.is_empty() => {
            let ready = pods.iter().filter(|pod| pod.ready).count();
            test(
                id,
                title,
                Outcome::Pass,
                format!(
                    "by readiness only ({why}): {ready} of {} pods ready",
                    pods.len()
                ),
            )
        }
        _ => test(id, title, Outcome::Skipped, why.clone()),
    }
}
