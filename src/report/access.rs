//! What this identity may do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::human::{Style, table};
use crate::model::{AccessAnswer, Allowed};
use crate::plan::{API_VERSION, Rung};

/// The rights of an identity and the route that follows from them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessReport {
    /// `unship/v1`.
    pub api_version: String,
    /// `Access`.
    pub kind: String,
    /// The API server that was asked, without credentials.
    pub cluster: String,
    /// The namespace.
    pub namespace: String,
    /// Every right with its answer.
    pub rights: Vec<AccessAnswer>,
    /// The ways to act on the target, where one was named.
    pub rungs: Vec<Rung>,
    /// The route that would be taken.
    pub route: String,
    /// Why that one.
    pub route_reason: String,
    /// Exit code.
    pub exit_code: u8,
}

impl AccessReport {
    /// Chooses the route from the ladder and from what the remote said.
    #[must_use]
    pub fn new(
        cluster: &str,
        namespace: &str,
        rights: Vec<AccessAnswer>,
        mut rungs: Vec<Rung>,
    ) -> Self {
        close_git(&mut rungs, &rights);
        let (route, reason) = route(&rights, &rungs);
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "Access".to_owned(),
            cluster: cluster.to_owned(),
            namespace: namespace.to_owned(),
            rights,
            rungs,
            route,
            route_reason: reason,
            exit_code: 0,
        }
    }

    /// The table for people; its last line names the route.
    #[must_use]
    pub fn text(&self, style: Style) -> String {
        let rows: Vec<Vec<String>> = self
            .rights
            .iter()
            .map(|answer| {
                vec![
                    answer.right.clone(),
                    word(answer.allowed).to_owned(),
                    answer.reason.clone(),
                ]
            })
            .collect();
        let mut text = format!(
            "cluster {} · namespace {}\n\n",
            self.cluster, self.namespace
        );
        text.push_str(&table(&["right", "answer", "reason"], &rows, style.width));
        if !self.rungs.is_empty() {
            text.push_str(&super::plan::ladder_text(&self.rungs));
        }
        text.push_str(&format!(
            "\nroute: {} ({})\n",
            self.route, self.route_reason
        ));
        text
    }
}

const fn word(allowed: Allowed) -> &'static str {
    match allowed {
        Allowed::Allowed => "allowed",
        Allowed::Denied => "denied",
        Allowed::Unknown => "unknown",
    }
}

fn answer<'r>(rights: &'r [AccessAnswer], right: &str) -> Option<&'r AccessAnswer> {
    rights.iter().find(|answer| answer.right.starts_with(right))
}

/// The remote's own answer closes the way through Git, whatever else speaks for it.
fn close_git(rungs: &mut [Rung], rights: &[AccessAnswer]) {
    let Some(push) = answer(rights, "git push").filter(|a| a.allowed == Allowed::Denied) else {
        return;
    };
    let mut chosen = false;
    for rung in rungs.iter_mut() {
        if rung.route == "git" && matches!(rung.verdict.as_str(), "chosen" | "possible") {
            chosen = rung.verdict == "chosen";
            "closed".clone_into(&mut rung.verdict);
            rung.reason = format!("the remote refuses this identity's pushes: {}", push.reason);
        }
    }
    if chosen && let Some(next) = rungs.iter_mut().find(|rung| rung.verdict == "possible") {
        "chosen".clone_into(&mut next.verdict);
    }
}

/// The chosen rung; without a target what push authentication tells.
fn route(rights: &[AccessAnswer], rungs: &[Rung]) -> (String, String) {
    let push = answer(rights, "git push").map(|a| a.allowed);
    let identity = answer(rights, "git commit identity").map(|a| a.allowed);
    if let Some(chosen) = rungs.iter().find(|rung| rung.verdict == "chosen") {
        let mut reason = chosen.reason.clone();
        if chosen.route == "git" && identity == Some(Allowed::Denied) {
            reason.push_str(
                "; no commit identity is set: give --author or set user.name and user.email",
            );
        }
        return (chosen.route.clone(), reason);
    }
    match push {
        Some(Allowed::Denied) => (
            "request".to_owned(),
            "the remote refuses this identity's pushes".to_owned(),
        ),
        _ => (
            "request".to_owned(),
            "name a target: which routes are open depends on what manages it".to_owned(),
        ),
    }
}
