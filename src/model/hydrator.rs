//! Argo CD's source hydrator: what is synced is written by Argo CD itself, from a dry source.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Application;

/// What the source hydrator does for an Application (3.2, `spec.sourceHydrator`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hydrator {
    /// The branch that it writes and Argo CD syncs.
    pub branch: String,
    /// Why its last operation failed, where it did.
    pub failed: Option<String>,
}

impl Hydrator {
    /// `None` for an Application without one.
    pub(super) fn from_json(spec: &Value, status: &Value) -> Option<Self> {
        let own = &spec["sourceHydrator"];
        let current = &status["sourceHydrator"]["currentOperation"];
        own.is_object().then(|| Self {
            branch: text(&own["syncSource"], "targetBranch"),
            failed: (current["phase"] == "Failed").then(|| text(current, "message")),
        })
    }
}

impl Application {
    /// A hydrated one with the commits of its status as the dry ones that they were made from, which
    /// is told of the last one only.
    pub(super) fn with_dry_commits(mut self, status: &Value) -> Self {
        let last = &status["sourceHydrator"]["lastSuccessfulOperation"];
        let (dry, made) = (text(last, "drySHA"), text(last, "hydratedSHA"));
        let turn = |commits: &mut Vec<String>| {
            let is_last = matches!(commits.as_slice(), [one] if *one == made) && !dry.is_empty();
            *commits = is_last.then(|| dry.clone()).into_iter().collect();
        };
        turn(&mut self.compared_commits);
        self.compared_sources.clone_from(&self.sources);
        if let Some(operation) = &mut self.operation {
            turn(&mut operation.commits);
        }
        if let Some(state) = &mut self.operation_state {
            turn(&mut state.synced_commits);
            turn(&mut state.operation.commits);
        }
        for entry in &mut self.history {
            turn(&mut entry.commits);
        }
        self
    }
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn hydrated_applications_speak_of_their_dry_source() {
        let mut value = json!({"metadata": {"name": "a"},
            "spec": {"sourceHydrator": {
                "drySource": {"repoURL": "r", "targetRevision": "main", "path": "dry"},
                "syncSource": {"targetBranch": "env/prod", "path": "hydrated"}}},
            "status": {"sync": {"revision": "wet2"},
                "history": [{"id": 1, "revision": "wet1"}, {"id": 2, "revision": "wet2"}],
                "sourceHydrator": {"currentOperation": {"phase": "Hydrated"},
                    "lastSuccessfulOperation": {"drySHA": "dry2", "hydratedSHA": "wet2"}}}});
        let app = Application::from_json(&value).unwrap();
        let hydrator = app.hydrator.unwrap();
        assert_eq!(
            (hydrator.branch.as_str(), hydrator.failed),
            ("env/prod", None)
        );
        assert_eq!(app.sources[0].target_revision, "main");
        assert_eq!(app.sources[0].path, "dry");
        assert_eq!(app.compared_commits, ["dry2"]);
        assert!(
            app.history[0].commits.is_empty(),
            "of this one it is not told"
        );
        assert_eq!(app.history[1].commits, ["dry2"]);
        let operation = &mut value["status"]["sourceHydrator"]["currentOperation"];
        *operation = json!({"phase": "Failed", "message": "no such folder"});
        let app = Application::from_json(&value).unwrap();
        let failed = app.hydrator.and_then(|own| own.failed);
        assert_eq!(failed.as_deref(), Some("no such folder"));
    }
}
