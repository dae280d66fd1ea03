//! The three-valued outcome of every check.

use serde::{Deserialize, Serialize};

/// What a check found. Unknown is never taken for either of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It holds, with evidence.
    Holds,
    /// It does not hold, with evidence.
    Fails,
    /// It could not be found out.
    Unknown,
}

impl Verdict {
    /// The verdict of all of them together: a failure wins, then an unknown.
    #[must_use]
    pub fn all(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts
            .into_iter()
            .fold(Self::Holds, |all, one| match (all, one) {
                (Self::Fails, _) | (_, Self::Fails) => Self::Fails,
                (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
                (Self::Holds, Self::Holds) => Self::Holds,
            })
    }

    /// `holds`, `fails` or `unknown`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Fails => "fails",
            Self::Unknown => "unknown",
        }
    }
}

/// One judged condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// A stable word for programs.
    pub id: String,
    /// What was asked, for people.
    pub title: String,
    /// What was found.
    pub verdict: Verdict,
    /// What the verdict rests on.
    pub evidence: String,
}

impl Check {
    /// A check with its outcome.
    #[must_use]
    pub fn new(id: &str, title: &str, verdict: Verdict, evidence: impl Into<String>) -> Self {
        Self {
            id: id.to_owned(),
            title: title.to_owned(),
            verdict,
            evidence: evidence.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{self, Fails, Holds, Unknown};

    #[test]
    fn unknown_never_becomes_holds() {
        assert_eq!(Verdict::all([Holds, Holds]), Holds);
        assert_eq!(Verdict::all([Holds, Unknown]), Unknown);
        assert_eq!(Verdict::all([Unknown, Fails, Holds]), Fails);
    }
}
