//! What the program printed: JSON, also below lines of a log.

use serde_json::Value;

/// One bead of a list, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) id: String,
    pub(super) external_ref: Option<String>,
    pub(super) state: String,
}

/// The error envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Envelope {
    /// Words without an envelope.
    pub(super) fn bare(stderr: &str, stdout: &str) -> Self {
        let message = if stderr.trim().is_empty() {
            stdout
        } else {
            stderr
        };
        Self {
            code: String::new(),
            message: message.to_owned(),
            hint: None,
        }
    }
}

impl Listed {
    /// Whether somebody still has to do something about it. Deferred and blocked beads
    /// are open.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.state.as_str(), "closed" | "tombstone")
    }
}

/// The first JSON document in a text, whatever stands before it.
fn json(text: &str) -> Option<Value> {
    let starts = text
        .match_indices(['{', '['])
        .map(|(at, _)| at)
        .filter(|at| *at == 0 || text[..*at].ends_with('\n'));
    let mut documents = starts.filter_map(|at| {
        let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>();
        values.next()?.ok()
    });
    documents.next()
}

/// `{"error": {"code", "message", "hint"}}`.
pub(super) fn envelope(text: &str) -> Option<Envelope> {
    let document = json(text)?;
    let error = document.get("error")?;
    let word = |key: &str| error[key].as_str().map(str::to_owned);
    Some(Envelope {
        code: word("code").unwrap_or_default(),
        message: word("message").or_else(|| error.as_str().map(str::to_owned))?,
        hint: word("hint"),
    })
}

/// The id of a created bead.
pub(super) fn created(text: &str) -> Option<String> {
    let document = json(text)?;
    let one = document.as_array().map_or(&document, |many| &many[0]);
    let bead = one.get("issue").unwrap_or(one);
    id_of(bead)
}

/// An id that can be handed on and shown: a short word.
fn id_of(bead: &Value) -> Option<String> {
    let id = bead["id"].as_str()?;
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    let fine = !id.is_empty() && id.len() <= 200 && id.chars().all(word) && !id.starts_with('-');
    fine.then(|| id.to_owned())
}

/// The beads of a list: a bare array (0.1), or an object with `issues` (0.7).
pub(super) fn listed(text: &str) -> Option<Vec<Listed>> {
    if text.trim().is_empty() {
        return None;
    }
    let document = json(text)?;
    let beads = document
        .as_array()
        .or_else(|| document["issues"].as_array())?;
    beads
        .iter()
        .map(|bead| {
            Some(Listed {
                id: id_of(bead)?,
                external_ref: bead["external_ref"].as_str().map(str::to_owned),
                state: bead["status"].as_str()?.to_owned(),
            })
        })
        .collect()
}
