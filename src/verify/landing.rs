//! Landed means content, not labels.

use crate::model::{
    Application, Desired, ObjectRef, OperationPhase, SyncStatus, Verdict, Workload,
};

/// Whether a commit that Argo CD speaks of contains the target content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// It is ours, or a descendant that still has our fields.
    HasContent,
    /// It lacks our commit: Argo CD has not looked yet.
    Older,
    /// It contains our commit, but others changed the content since.
    Superseded,
    /// It cannot be told (the commit is not known here).
    Unknown,
}

/// What is known about landing at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landing {
    /// Holds: landed. Fails: it will not land by itself. Unknown: not yet, or not known.
    pub verdict: Verdict,
    /// What it rests on, or what is being waited for.
    pub evidence: String,
}

impl Landing {
    /// Not yet, or not known.
    #[must_use]
    pub fn waiting(evidence: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Unknown,
            evidence: evidence.into(),
        }
    }
}

/// Judges landing.
///
/// App-wide Synced, Healthy and the phase Succeeded only explain; they decide
/// nothing: other resources of the Application may be broken for good.
#[must_use]
pub fn judge_landing(
    application: Option<&Application>,
    compared: Relation,
    object: &ObjectRef,
    live: Option<&Workload>,
    desired: &Desired,
) -> Landing {
    let Some(live) = live else {
        return Landing::waiting("the live object could not be read");
    };
    let is_live = desired.is_live(live);
    let Some(application) = application else {
        return if is_live {
            Landing {
                verdict: Verdict::Holds,
                evidence: "the live template has the target content (Argo CD was not asked)"
                    .to_owned(),
            }
        } else {
            Landing::waiting("the live template to change (Argo CD cannot be asked)")
        };
    };
    by_application(application, compared, object, (is_live, &desired.along))
}

/// The Application's side: what it compared, and its entries for the object and for those that go
/// along.
fn by_application(
    application: &Application,
    compared: Relation,
    object: &ObjectRef,
    (is_live, along): (bool, &[ObjectRef]),
) -> Landing {
    let all: Vec<&str> = application
        .compared_commits
        .iter()
        .map(|c| short(c))
        .collect();
    let commit = match all.is_empty() {
        true => "nothing".to_owned(),
        false => all.join(" and "),
    };
    match compared {
        Relation::HasContent => {}
        Relation::Older => {
            return Landing::waiting(format!("Argo CD to see the commit (it compared {commit})"));
        }
        Relation::Superseded => {
            return Landing {
                verdict: Verdict::Fails,
                evidence: format!("{commit} changed the content again"),
            };
        }
        Relation::Unknown => {
            return Landing::waiting(format!(
                "Argo CD compared {commit}, which is not known here"
            ));
        }
    }
    if let Some(failure) = failed_operation(application) {
        return Landing {
            verdict: Verdict::Fails,
            evidence: failure,
        };
    }
    let synced = application.resource(object).map(|resource| resource.sync);
    if let Some(other) = not_synced(application, along) {
        return Landing::waiting(format!("the sync of {other}{}", running(application)));
    }
    match (synced, is_live) {
        (Some(SyncStatus::Synced), true) => Landing {
            verdict: Verdict::Holds,
            evidence: format!(
                "Argo CD compared {commit}, its entry for {object} is Synced, the live template has the target content"
            ),
        },
        (Some(SyncStatus::Synced), false) => Landing::waiting("the live template to change"),
        (Some(SyncStatus::OutOfSync), _) => {
            Landing::waiting(format!("the sync of {commit}{}", running(application)))
        }
        (Some(SyncStatus::Unknown), _) => {
            Landing::waiting("Argo CD's comparison (it says Unknown)")
        }
        (None, _) => Landing::waiting(format!("an entry for {object} in the Application")),
    }
}

/// The first of the objects that go along which this Application has and did not sync yet. It may
/// lie in another Application's folder: then nothing is known of it here.
fn not_synced<'d>(application: &Application, along: &'d [ObjectRef]) -> Option<&'d ObjectRef> {
    along.iter().find(|object| {
        let entry = application.resource(object);
        entry.is_some_and(|entry| entry.sync != SyncStatus::Synced)
    })
}

/// What is still missing in the Application that makes the target's own: it must have compared a
/// commit with the content, and the own Application must live with what is made for it and have
/// been compared with that. `None`: nothing, the rest is the own Application's matter.
#[must_use]
pub fn judge_maker(
    maker: &Application,
    own: &Application,
    (compared, passed_on): (Relation, Option<bool>),
) -> Option<Landing> {
    let (name, own_name) = (&maker.name, &own.name);
    let commits: Vec<&str> = maker.compared_commits.iter().map(|c| short(c)).collect();
    let commits = commits.join(" and ");
    let waiting = |evidence: String| Some(Landing::waiting(evidence));
    match (compared, passed_on) {
        (Relation::HasContent, Some(true)) => {}
        (Relation::HasContent, Some(false)) => {
            if let Some(evidence) = failed_operation(maker) {
                let evidence = format!("Application {name}: {evidence}");
                let verdict = Verdict::Fails;
                return Some(Landing { verdict, evidence });
            }
            return waiting(format!(
                "Application {name} to sync {commits} into Application {own_name}{}",
                running(maker)
            ));
        }
        (Relation::HasContent, None) => {
            return waiting(format!(
                "it to be told whether Application {own_name} is as {commits} makes it"
            ));
        }
        (Relation::Older, _) => {
            return waiting(format!(
                "Argo CD to see the commit for Application {name} (it compared {commits})"
            ));
        }
        (Relation::Superseded, _) => {
            return Some(Landing {
                verdict: Verdict::Fails,
                evidence: format!("{commits} changed the content again"),
            });
        }
        (Relation::Unknown, _) => {
            return waiting(format!(
                "Argo CD compared {commits} for Application {name}, which is not known here"
            ));
        }
    }
    compared_as_made(own)
}

/// The same for an ApplicationSet, of which it is only known what the branch has and whether the
/// own Application has been made of that.
#[must_use]
pub fn judge_set(
    set: &str,
    own: &Application,
    (branch, passed_on): (Relation, Option<bool>),
) -> Option<Landing> {
    let own_name = &own.name;
    match (branch, passed_on) {
        (Relation::HasContent, Some(true)) => compared_as_made(own),
        (Relation::Superseded, _) => Some(Landing {
            verdict: Verdict::Fails,
            evidence: "the branch has other content again".to_owned(),
        }),
        (Relation::HasContent, Some(false)) => Some(Landing::waiting(format!(
            "ApplicationSet {set} to make Application {own_name} of the commit"
        ))),
        (_, _) => Some(Landing::waiting(format!(
            "it to be told what ApplicationSet {set} makes of the branch"
        ))),
    }
}

/// The comparison may still be one with the source of before.
fn compared_as_made(own: &Application) -> Option<Landing> {
    let own_name = &own.name;
    let current = own.compared_sources.is_empty() || own.compared_sources == own.sources;
    let what = format!("Argo CD to compare Application {own_name} with its new source");
    (!current).then(|| Landing::waiting(what))
}

fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

fn running(application: &Application) -> String {
    let Some(state) = &application.operation_state else {
        return String::new();
    };
    let message: String = state.message.chars().take(120).collect();
    match state.phase {
        OperationPhase::Running | OperationPhase::Terminating if !message.is_empty() => {
            format!(" (running: {message})")
        }
        OperationPhase::Running | OperationPhase::Terminating => " (running)".to_owned(),
        OperationPhase::Succeeded | OperationPhase::Failed | OperationPhase::Error => String::new(),
    }
}

/// A sync of exactly the compared commit that failed is not tried again by auto-sync.
pub(super) fn failed_operation(application: &Application) -> Option<String> {
    let state = application.operation_state.as_ref()?;
    let failed = matches!(state.phase, OperationPhase::Failed | OperationPhase::Error);
    let same =
        !state.synced_commits.is_empty() && state.synced_commits == application.compared_commits;
    let out = application.sync == SyncStatus::OutOfSync && application.operation.is_none();
    (failed && same && out)
        .then(|| format!("the sync failed and is not tried again: {}", state.message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The Application `shop` with this tag in its spec, compared with that one.
    fn shop(tag: &str, compared: &str, phase: &str) -> Application {
        let source = |tag: &str| {
            json!({"repoURL": "https://g/r", "path": "p",
                "kustomize": {"images": [format!("web:{tag}")]}})
        };
        Application::from_json(&json!({
            "metadata": {"name": "shop", "namespace": "argocd"},
            "spec": {"source": source(tag)},
            "status": {
                "sync": {"status": "OutOfSync", "revision": "abcdef0123",
                    "comparedTo": {"source": source(compared)}},
                "operationState": {"phase": phase, "message": "denied", "operation": {},
                    "syncResult": {"revision": "abcdef0123"}},
            },
        }))
        .unwrap()
    }

    #[test]
    fn a_commit_lands_through_the_maker_first() {
        let (root, own) = (shop("2", "2", "Succeeded"), shop("2", "2", "Succeeded"));
        let look = |seen| judge_maker(&root, &own, seen);
        let waits = |seen| look(seen).map(|landing| landing.verdict) == Some(Verdict::Unknown);
        assert!(waits((Relation::Older, None)));
        assert!(waits((Relation::Unknown, Some(true))));
        assert!(waits((Relation::HasContent, None)));
        assert!(waits((Relation::HasContent, Some(false))));
        assert_eq!(look((Relation::HasContent, Some(true))), None);
        let superseded = look((Relation::Superseded, Some(true))).unwrap();
        assert_eq!(superseded.verdict, Verdict::Fails);
        let failed = shop("2", "2", "Failed");
        let landing = judge_maker(&failed, &own, (Relation::HasContent, Some(false))).unwrap();
        assert_eq!(landing.verdict, Verdict::Fails);
        assert!(
            landing
                .evidence
                .contains("Application shop: the sync failed"),
            "{landing:?}"
        );
    }

    #[test]
    fn objects_that_go_along_are_waited_for_where_the_application_has_them() {
        let object = |name: &str| ObjectRef {
            group: String::new(),
            kind: "ConfigMap".to_owned(),
            namespace: "shop".to_owned(),
            name: name.to_owned(),
        };
        let mut app = shop("2", "2", "Succeeded");
        app.resources = ["Synced", "OutOfSync"]
            .into_iter()
            .map(|status| {
                let status = json!({"kind": "ConfigMap", "namespace": "shop", "version": "v1",
                    "name": status.to_lowercase(), "status": status});
                let app = json!({"metadata": {"name": "a"}, "status": {"resources": [status]}});
                Application::from_json(&app).unwrap().resources.remove(0)
            })
            .collect();
        let (synced, other) = (object("synced"), object("elsewhere"));
        assert_eq!(not_synced(&app, &[synced.clone(), other.clone()]), None);
        let waits = object("outofsync");
        assert_eq!(
            not_synced(&app, &[synced.clone(), waits.clone(), other.clone()]),
            Some(&waits)
        );
        let landed = |along: &[ObjectRef]| {
            by_application(&app, Relation::HasContent, &synced, (true, along))
        };
        assert_eq!(landed(&[other]).verdict, Verdict::Holds);
        let landing = landed(&[waits]);
        assert_eq!(landing.verdict, Verdict::Unknown);
        assert!(
            landing.evidence.contains("the sync of ConfigMap"),
            "{landing:?}"
        );
    }

    #[test]
    fn a_comparison_with_the_source_of_before_proves_nothing() {
        let (root, stale) = (shop("2", "2", "Succeeded"), shop("2", "1", "Succeeded"));
        let seen = (Relation::HasContent, Some(true));
        for landing in [
            judge_maker(&root, &stale, seen),
            judge_set("shops", &stale, seen),
        ] {
            let landing = landing.unwrap();
            assert_eq!(landing.verdict, Verdict::Unknown);
            assert!(landing.evidence.contains("its new source"), "{landing:?}");
        }
    }

    #[test]
    fn an_application_set_is_judged_by_branch_and_application() {
        let own = shop("2", "2", "Succeeded");
        let look = |seen| judge_set("shops", &own, seen).map(|landing| landing.verdict);
        assert_eq!(look((Relation::HasContent, Some(true))), None);
        assert_eq!(
            look((Relation::HasContent, Some(false))),
            Some(Verdict::Unknown)
        );
        assert_eq!(look((Relation::HasContent, None)), Some(Verdict::Unknown));
        assert_eq!(look((Relation::Older, Some(true))), Some(Verdict::Unknown));
        assert_eq!(
            look((Relation::Superseded, Some(true))),
            Some(Verdict::Fails)
        );
    }
}
