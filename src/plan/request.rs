//! What was asked for.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{CommitId, HistoryId, ObjectRef, RolloutRevision, WorkloadRef};

/// Which state to go back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum To {
    /// The newest release with another image that is proven or likely.
    Previous,
    /// A tag, an image or a commit, whichever it turns out to be.
    Text(String),
    /// `tag:X`.
    Tag(String),
    /// `commit:X`.
    Commit(String),
    /// `revision:N`.
    Revision(RolloutRevision),
    /// `id:N`.
    History(HistoryId),
    /// What was live at a time.
    Time(Timestamp),
    /// The template of a ReplicaSet or ControllerRevision, by its name.
    ReplicaSet(String),
}

/// What is to be done to the target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Intent {
    /// Put an earlier release back.
    #[default]
    Rollback,
    /// Set the number of replicas.
    Scale {
        /// How many.
        replicas: i64,
    },
    /// Set images by container name, with the labels and variables that name the tag.
    SetImage {
        /// Container and image.
        images: Vec<(String, String)>,
    },
    /// Set literal environment variables.
    SetEnv {
        /// The container; where it is `None` the workload must have one only, or one
        /// that has the variable.
        container: Option<String>,
        /// The variables.
        variables: Vec<Variable>,
    },
    /// Replace the pods by new ones of the same template.
    Restart {
        /// kubectl's mark: when it was asked for.
        at: Timestamp,
    },
    /// Stop the rollout of new templates.
    Pause,
    /// Let rollouts go on.
    Resume,
    /// To no replicas and back to the number before: an outage on purpose.
    Bounce,
    /// Make Git say what the cluster runs.
    Adopt,
    /// Take back what one commit changed, field by field, and keep what came later.
    Revert {
        /// The commit, in full once it is planned.
        commit: String,
        /// Which parent of a merge was good, from 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<usize>,
        /// All of its files, not only the target's document.
        all: bool,
        /// Of what the target's pods use this object alone, and nothing of the target's document.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        only: Option<ObjectRef>,
    },
    /// Stop the tools that would set its image again.
    Hold,
    /// Take the pins of earlier commits back.
    Unhold,
    /// Take a canary out: no replicas, its manifest kept or removed.
    Abort {
        /// The production workload beside it, which must stay untouched.
        production: Option<String>,
        /// Where its failure is put on record: `auto`, `br`, `file` or `none`.
        record: String,
        /// Its manifest is taken out of Git, too.
        #[serde(default, skip_serializing_if = "is_false")]
        delete: bool,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl Intent {
    /// The word in JSON and for people: `rollback`, `scale`, `set image`, ...
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Rollback => "rollback",
            Self::Scale { .. } => "scale",
            Self::SetImage { .. } => "set image",
            Self::SetEnv { .. } => "set env",
            Self::Restart { .. } => "restart",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Bounce => "bounce",
            Self::Adopt => "adopt",
            Self::Revert { .. } => "revert",
            Self::Hold => "hold",
            Self::Unhold => "unhold",
            Self::Abort { .. } => "abort",
        }
    }

    /// Whether it takes pods away and puts no others in their place.
    #[must_use]
    pub const fn takes_pods_away(&self) -> bool {
        matches!(
            self,
            Self::Abort { .. } | Self::Bounce | Self::Scale { replicas: 0 }
        )
    }

    /// Whether it is about the tools that set the image, not about the image.
    #[must_use]
    pub const fn is_about_automation(&self) -> bool {
        matches!(self, Self::Hold | Self::Unhold)
    }

    /// Whether a tool that sets images may undo it.
    #[must_use]
    pub const fn sets_images(&self) -> bool {
        matches!(
            self,
            Self::Rollback | Self::SetImage { .. } | Self::Revert { .. } | Self::Adopt
        )
    }

    /// The number of replicas that it sets, if it sets one.
    #[must_use]
    pub const fn replicas(&self) -> Option<i64> {
        match self {
            Self::Scale { replicas } => Some(*replicas),
            Self::Abort { .. } => Some(0),
            _ => None,
        }
    }

    /// Whether the target's document is taken out of Git.
    #[must_use]
    pub const fn deletes(&self) -> bool {
        matches!(self, Self::Abort { delete: true, .. })
    }

    /// The same, with the manifest kept.
    #[must_use]
    pub fn with_manifest_kept(&self) -> Self {
        match self {
            Self::Abort {
                production, record, ..
            } => Self::Abort {
                production: production.clone(),
                record: record.clone(),
                delete: false,
            },
            other => other.clone(),
        }
    }

    /// What is done, before the target's name: `roll back`, `scale`, ...
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Rollback => "roll back",
            Self::SetImage { .. } => "set the image of",
            Self::SetEnv { .. } => "set the environment of",
            Self::Scale { .. } => "scale",
            Self::Restart { .. } => "restart",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Bounce => "bounce",
            Self::Adopt => "adopt",
            Self::Revert { .. } => "take a commit back from",
            Self::Hold => "hold",
            Self::Unhold => "unhold",
            Self::Abort { .. } => "take out",
        }
    }
}

/// A variable to set. Its value is never journaled: a stored request has its hash only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value; `None` in a request that was read back from a journal.
    #[serde(skip)]
    pub value: Option<String>,
    /// SHA-256 of the value, in hex.
    pub sha256: String,
}

impl std::fmt::Debug for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Variable").field(&self.name).finish()
    }
}

/// The ways to act, the safest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Route {
    /// The first one that can be gone.
    #[default]
    Auto,
    /// A commit on the branch that Argo CD follows.
    Git,
    /// Argo CD's own rollback to an entry of its history.
    Argo,
    /// A patch of the live object.
    Direct,
    /// A request to a human.
    Request,
}

impl Route {
    /// The word in JSON and on the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Git => "git",
            Self::Argo => "argo",
            Self::Direct => "direct",
            Self::Request => "request",
        }
    }

    /// The route of a word, as a plan names it.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        [
            Self::Auto,
            Self::Git,
            Self::Argo,
            Self::Direct,
            Self::Request,
        ]
        .into_iter()
        .find(|route| route.word() == word)
    }
}

/// What a person consents to besides the plan itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Allow {
    /// Suspend Argo CD's automated sync until Git has the target.
    pub suspend_auto_sync: bool,
    /// Act on the cluster where Git is not quick enough, and pay Git back later.
    pub emergency: bool,
    /// Terminate an Argo CD operation that keeps the commit from landing.
    pub terminate_operation: bool,
    /// Act although something else than Argo CD manages the object; needs a reason.
    pub override_manager: bool,
    /// The service may be down for a moment.
    pub outage: bool,
}

/// What of the target state is put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Only {
    /// The whole pod template.
    Template,
    /// The images and what names their tag: the `version` label, variables.
    Image,
    /// Named fields, in the manifest's path form.
    Fields(Vec<String>),
}

/// How far a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Goal {
    /// The file in the work tree is edited (`--no-commit`).
    Edited,
    /// A commit stands on `unship/<plan id>` (`--no-push`).
    Committed,
    /// The branch has the commit (`--wait=false`).
    Pushed,
    /// Argo CD has it live (`--no-verify`).
    Landed,
    /// And the service is healthy.
    Verified,
}

/// Everything a person decides about one rollback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The workload.
    pub target: WorkloadRef,
    /// What is to be done.
    #[serde(default)]
    pub intent: Intent,
    /// Where to.
    pub to: To,
    /// Act only if this tag, image or commit is what Git or the cluster has.
    pub from: Option<String>,
    /// What is put back.
    pub only: Only,
    /// Later work inside the template may be taken back too.
    pub discard_later: bool,
    /// Accompanying objects to restore as well: kind and name.
    pub with: Vec<(String, String)>,
    /// The commit's subject, if not the default.
    pub message: Option<String>,
    /// Why, for the commit's body.
    pub reason: Option<String>,
    /// Who agreed.
    pub approval: Option<String>,
    /// How far.
    pub goal: Goal,
    /// A person said yes in advance (`--yes`).
    pub consent: bool,
    /// One deadline for landing and rollout together, seconds.
    pub timeout_seconds: Option<i64>,
    /// How to act.
    #[serde(default)]
    pub route: Route,
    /// What else is consented to.
    #[serde(default)]
    pub allow: Allow,
    /// Where a rollback is put on record once it is over: `auto`, `br` or `file`.
    #[serde(default)]
    pub record: Option<String>,
    /// Argo CD renders the commit from a side branch before the branch moves.
    #[serde(default)]
    pub prove: bool,
    /// Tools that would set the image again are stopped in the same commit.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hold: bool,
}

impl Request {
    /// A request with every default.
    #[must_use]
    pub const fn new(target: WorkloadRef) -> Self {
        Self {
            target,
            intent: Intent::Rollback,
            to: To::Previous,
            from: None,
            only: Only::Template,
            discard_later: false,
            with: Vec::new(),
            message: None,
            reason: None,
            approval: None,
            goal: Goal::Verified,
            consent: false,
            timeout_seconds: None,
            route: Route::Auto,
            allow: Allow {
                suspend_auto_sync: false,
                emergency: false,
                terminate_operation: false,
                override_manager: false,
                outage: false,
            },
            record: None,
            prove: false,
            hold: false,
        }
    }

    /// The same request with its target pinned to a commit, so that planning again
    /// cannot choose another.
    #[must_use]
    pub fn pinned(&self, commit: &CommitId) -> Self {
        Self {
            to: To::Commit(commit.as_str().to_owned()),
            ..self.clone()
        }
    }

    /// The same request with its target pinned to what a plan chose, so that planning
    /// again cannot choose another.
    #[must_use]
    pub fn pinned_to(&self, plan: &super::Plan) -> Self {
        let Some(target) = plan
            .targets
            .first()
            .filter(|_| self.intent == Intent::Rollback)
        else {
            return self.clone();
        };
        let commit = target.to.commit.as_deref();
        let commit = commit.and_then(|text| CommitId::parse(text).ok());
        match (commit, &target.replica_set) {
            (Some(commit), _) => self.pinned(&commit),
            (None, Some(name)) => Self {
                to: To::ReplicaSet(name.clone()),
                ..self.clone()
            },
            (None, None) => self.clone(),
        }
    }
}

/// Reads `--to`.
///
/// # Errors
/// A sentence that says what is wrong with the text.
pub fn parse_to(text: &str, now: Timestamp) -> Result<To, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("--to is empty; give `previous`, a tag, an image, a commit, `revision:N`, `id:N` or a time".to_owned());
    }
    let number = |digits: &str, what: &str| {
        digits
            .parse::<i64>()
            .ok()
            .filter(|n| *n > 0)
            .ok_or_else(|| format!("{what} needs a positive number, not {digits:?}"))
    };
    if text == "previous" {
        return Ok(To::Previous);
    }
    if let Some(rest) = text.strip_prefix("tag:") {
        return Ok(To::Tag(rest.to_owned()));
    }
    if let Some(rest) = text.strip_prefix("commit:") {
        return Ok(To::Commit(rest.to_owned()));
    }
    if let Some(rest) = text.strip_prefix("revision:") {
        return number(rest, "revision:").map(|n| To::Revision(RolloutRevision(n)));
    }
    if let Some(rest) = text.strip_prefix("replicaset:") {
        return Ok(To::ReplicaSet(rest.to_owned()));
    }
    if let Some(rest) = text.strip_prefix("id:") {
        return number(rest, "id:").map(|n| To::History(HistoryId(n)));
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(To::Time(time));
    }
    if let Some(ago) = text.strip_suffix(" ago") {
        let span: jiff::Span = ago
            .trim()
            .parse()
            .map_err(|_| format!("{ago:?} is no duration; write it like `2h ago` or `30m ago`"))?;
        let seconds = span
            .total((
                jiff::Unit::Second,
                jiff::SpanRelativeTo::days_are_24_hours(),
            ))
            .map_err(|_| format!("{ago:?} is no duration; write it like `2h ago` or `30m ago`"))?;
        let duration = jiff::SignedDuration::from_secs_f64(seconds);
        return now
            .checked_sub(duration)
            .map(To::Time)
            .map_err(|_| format!("{text:?} is too far back"));
    }
    Ok(To::Text(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_to() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        assert_eq!(parse_to("previous", now), Ok(To::Previous));
        assert_eq!(parse_to("1.2.0", now), Ok(To::Text("1.2.0".into())));
        assert_eq!(parse_to("tag:abc", now), Ok(To::Tag("abc".into())));
        assert_eq!(
            parse_to("revision:3", now),
            Ok(To::Revision(RolloutRevision(3)))
        );
        assert_eq!(
            parse_to("2h ago", now),
            Ok(To::Time("2026-01-01T10:00:00Z".parse().unwrap()))
        );
        assert_eq!(
            parse_to("1d ago", now),
            Ok(To::Time("2025-12-31T12:00:00Z".parse().unwrap()))
        );
        for bad in ["", "revision:x", "id:-1", "soon ago"] {
            assert!(parse_to(bad, now).is_err(), "{bad:?}");
        }
    }
}
