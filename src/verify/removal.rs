//! An object whose document was taken out of Git.

use super::{Landing, Relation};
use crate::model::{Application, Check, Presence, Removal, Verdict};

/// Judges whether the object is gone, as Argo CD's prune leaves it. What decides is the
/// object itself, once Argo CD compared a commit without the document.
#[must_use]
pub fn judge_pruned(
    application: Option<&Application>,
    compared: Relation,
    live: &Presence,
) -> Landing {
    let commit = application
        .and_then(|app| app.compared_commits.first())
        .map_or("nothing", |c| c.get(..7).unwrap_or(c));
    match live {
        Presence::Unreadable => Landing::waiting("the live object to be readable"),
        // Whether Argo CD has looked at its own result yet does not matter any more.
        Presence::Gone => Landing {
            verdict: Verdict::Holds,
            evidence: match application {
                Some(_) => format!("the object is gone (Argo CD compared {commit})"),
                None => "the object is gone (Argo CD was not asked)".to_owned(),
            },
        },
        Presence::There(_) if application.is_none() => {
            Landing::waiting("the object to go (Argo CD cannot be asked)")
        }
        Presence::There(_) => match compared {
            Relation::HasContent => match application.and_then(super::landing::failed_operation) {
                Some(evidence) => Landing {
                    verdict: Verdict::Fails,
                    evidence,
                },
                None => Landing::waiting(format!("Argo CD to prune it ({commit} is compared)")),
            },
            Relation::Older => {
                Landing::waiting(format!("Argo CD to see the commit (it compared {commit})"))
            }
            Relation::Superseded => Landing {
                verdict: Verdict::Fails,
                evidence: format!("{commit} has the document again"),
            },
            Relation::Unknown => Landing::waiting(format!(
                "Argo CD compared {commit}, which is not known here"
            )),
        },
    }
}

/// Whether nothing of it is wanted any more.
#[must_use]
pub fn removal_check(removal: Removal, live: &Presence) -> Check {
    let title = match removal {
        Removal::Pruned => "the live object is gone",
        Removal::Left => "no replica of the live object is wanted any more",
    };
    let (verdict, evidence) = match (live, removal) {
        (Presence::Gone, _) => (Verdict::Holds, "the object is gone".to_owned()),
        (Presence::Unreadable, _) => (
            Verdict::Unknown,
            "the live object could not be read".to_owned(),
        ),
        (Presence::There(live), Removal::Left) if live.replicas == 0 => (
            Verdict::Holds,
            "0 replicas are wanted; the object stays".to_owned(),
        ),
        (Presence::There(live), _) => (
            Verdict::Fails,
            format!("it is there, with {} replicas", live.replicas),
        ),
    };
    Check::new("gone", title, verdict, evidence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn application(state: serde_json::Value) -> Application {
        Application::from_json(&json!({
            "metadata": {"name": "a", "namespace": "argocd"},
            "spec": {"project": "default", "source": {"repoURL": "https://g/r", "path": "."},
                "destination": {"namespace": "mcp", "server": "https://kubernetes.default.svc"}},
            "status": {"sync": {"status": "OutOfSync", "revision": "abcdef0123"},
                "health": {"status": "Healthy"}, "operationState": state}
        }))
        .unwrap()
    }

    fn there(replicas: i64) -> Presence {
        let workload = serde_json::from_value(json!({
            "reference": {"kind": "Deployment", "namespace": "mcp", "name": "canary"},
            "uid": "u", "generation": 1, "observedGeneration": 1, "resourceVersion": "1",
            "annotations": {}, "labels": {}, "matchLabels": {}, "replicas": replicas,
            "rollout": {"replicas": 0, "updated": 0, "ready": 0, "available": 0,
                "unavailable": 0, "conditions": []},
            "paused": false, "progressDeadlineSeconds": 600, "minReadySeconds": 0,
            "strategy": "RollingUpdate", "template": {}, "templateManagers": [],
            "restOfSpec": null}));
        Presence::There(Box::new(workload.unwrap()))
    }

    #[test]
    fn an_object_that_is_there_is_gone_to_nobody() {
        let verdict = |removal, replicas| removal_check(removal, &there(replicas)).verdict;
        assert_eq!(verdict(Removal::Pruned, 0), Verdict::Fails);
        assert_eq!(verdict(Removal::Left, 0), Verdict::Holds);
        assert_eq!(verdict(Removal::Left, 1), Verdict::Fails);
    }

    #[test]
    fn an_object_that_cannot_be_read_is_not_gone() {
        for removal in [Removal::Pruned, Removal::Left] {
            let verdict = |live| removal_check(removal, &live).verdict;
            assert_eq!(verdict(Presence::Unreadable), Verdict::Unknown);
            assert_eq!(verdict(Presence::Gone), Verdict::Holds);
        }
        let look = |live| judge_pruned(None, Relation::Unknown, &live).verdict;
        assert_eq!(look(Presence::Unreadable), Verdict::Unknown);
        assert_eq!(look(Presence::Gone), Verdict::Holds);
    }

    #[test]
    fn a_failed_prune_is_not_waited_for() {
        let app = application(json!({"phase": "Failed", "message": "denied",
            "startedAt": "2026-01-01T12:00:00Z", "operation": {},
            "syncResult": {"revision": "abcdef0123", "source": {"repoURL": "https://g/r"}}}));
        let look = |relation| judge_pruned(Some(&app), relation, &there(1));
        assert_eq!(look(Relation::HasContent).verdict, Verdict::Fails);
        assert_eq!(look(Relation::Older).verdict, Verdict::Unknown);
        assert_eq!(look(Relation::Superseded).verdict, Verdict::Fails);
    }
}
