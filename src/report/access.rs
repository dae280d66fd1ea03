//! What this identity may do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::human::{Style, table};
use crate::model::{AccessAnswer, Allowed};
use crate::plan::API_VERSION;

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
    /// The route that would be taken.
    pub route: String,
    /// Why that one.
    pub route_reason: String,
    /// Exit code.
    pub exit_code: u8,
}

impl AccessReport {
    /// Chooses the route from the answers.
    #[must_use]
    pub fn new(cluster: &str, namespace: &str, rights: Vec<AccessAnswer>) -> Self {
        let (route, reason) = route(&rights);
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "Access".to_owned(),
            cluster: cluster.to_owned(),
            namespace: namespace.to_owned(),
            rights,
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

/// git where push authentication works, else request. Other routes come with
/// rights that are only looked at so far.
fn route(rights: &[AccessAnswer]) -> (String, String) {
    let push = answer(rights, "git push").map(|a| a.allowed);
    let identity = answer(rights, "git commit identity").map(|a| a.allowed);
    match (push, identity) {
        (Some(Allowed::Allowed), Some(Allowed::Allowed)) => {
            ("git".to_owned(), "push authentication works; whether the branch takes the push is known only when it is tried".to_owned())
        }
        (Some(Allowed::Allowed), _) => (
            "git".to_owned(),
            "push authentication works, but no commit identity is set: give --author or set user.name and user.email".to_owned(),
        ),
        (Some(Allowed::Denied), _) => ("request".to_owned(), "the remote refuses this identity's pushes".to_owned()),
        _ => ("request".to_owned(), "no repository to push to is known".to_owned()),
    }
}
