//! Git commits as the deciding rooms see them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::CommitId;

/// One `Key: value` line of a commit message's last paragraph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trailer {
    /// The key, without the colon.
    pub key: String,
    /// The value, trimmed.
    pub value: String,
}

/// Name and e-mail address of an author or committer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Name.
    pub name: String,
    /// E-mail address.
    pub email: String,
}

/// A commit's header and message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Its id.
    pub id: CommitId,
    /// Its parents, first parent first.
    pub parents: Vec<CommitId>,
    /// Who wrote it.
    pub author: Identity,
    /// When it was committed (not authored): the time order of a branch.
    pub time: Timestamp,
    /// The whole message, as text; bytes that are no UTF-8 are replaced.
    pub message: String,
}

impl Commit {
    /// The message's first line.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }

    /// The trailers in the last paragraph of the message.
    #[must_use]
    pub fn trailers(&self) -> Vec<Trailer> {
        let body = self.message.trim_end();
        let Some((_, last)) = body.rsplit_once("\n\n") else {
            return Vec::new();
        };
        last.lines()
            .filter_map(|line| {
                let (key, value) = line.split_once(": ")?;
                let token =
                    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
                token.then(|| Trailer {
                    key: key.to_owned(),
                    value: value.trim().to_owned(),
                })
            })
            .collect()
    }

    /// The value of the last trailer with this key, keys compared without case as git does.
    #[must_use]
    pub fn trailer(&self, key: &str) -> Option<String> {
        let found = self
            .trailers()
            .into_iter()
            .rev()
            .find(|t| t.key.eq_ignore_ascii_case(key));
        found.map(|t| t.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_are_read_from_the_last_paragraph() {
        let commit = Commit {
            id: CommitId::parse(&"a".repeat(40)).unwrap(),
            parents: vec![],
            author: Identity {
                name: "a".into(),
                email: "a@b".into(),
            },
            time: Timestamp::UNIX_EPOCH,
            message:
                "fix: x\n\nNote: not a trailer here\n\nwhy\n\nRollback-Of: abc\nUnship-Run: r1\n"
                    .into(),
        };
        assert_eq!(commit.subject(), "fix: x");
        assert_eq!(commit.trailer("rollback-of").as_deref(), Some("abc"));
        assert_eq!(commit.trailer("Note"), None);
    }
}
