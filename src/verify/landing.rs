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
    let commit = application
        .compared_commits
        .first()
        .map_or("nothing", |c| short(c));
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
