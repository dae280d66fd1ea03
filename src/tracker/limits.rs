//! What the tracker takes at most (beads_rust 0.1 to 0.7, `IssueValidator` and
//! `LabelValidator`). What is longer is cut and says so; it never fails for it.

use sha2::{Digest as _, Sha256};

use super::Bead;
use crate::model::plain;

/// Bytes of a title.
pub const TITLE_BYTES: usize = 500;
/// Bytes of a description.
pub const DESCRIPTION_BYTES: usize = 102_400;
/// Bytes of a label.
pub const LABEL_BYTES: usize = 50;
/// Bytes of an external reference.
pub const REFERENCE_BYTES: usize = 200;

/// What stands for the rest of a title or a text.
const MARK: &str = "…";
/// What ends a label that was cut; labels have no other signs.
const LABEL_MARK: &str = "--";

/// The bead within the tracker's limits.
pub(super) fn fit(bead: &Bead) -> Bead {
    let mut labels: Vec<String> = Vec::new();
    for label in bead.labels.iter().filter_map(|text| label(text)) {
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    Bead {
        title: title(&bead.title),
        kind: word(&bead.kind, "task"),
        priority: bead.priority.min(4),
        labels,
        body: body(&bead.body),
        external_ref: bead.external_ref.as_deref().map(reference),
    }
}

fn title(text: &str) -> String {
    let flat = plain(text).split_whitespace().collect::<Vec<_>>().join(" ");
    if flat.is_empty() {
        return "(no title)".to_owned();
    }
    if flat.len() <= TITLE_BYTES {
        return flat;
    }
    format!("{}{MARK}", head(&flat, TITLE_BYTES - MARK.len()))
}

/// At most `bytes` from the beginning, cut between characters.
fn head(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn body(text: &str) -> String {
    let text = plain(text);
    if text.len() <= DESCRIPTION_BYTES {
        return text;
    }
    let mark = format!(
        "\n\n{MARK} **Cut here**: the whole text has {} bytes, the tracker takes {DESCRIPTION_BYTES}.\n",
        text.len()
    );
    // Room for closing a code block as well.
    const FENCE_ROOM: usize = 300;
    let mut kept = head(&text, DESCRIPTION_BYTES - mark.len() - FENCE_ROOM).to_owned();
    if let Some(fence) = open_fence(&kept).filter(|fence| fence.len() + 1 < FENCE_ROOM) {
        kept.push('\n');
        kept.push_str(&fence);
    }
    kept + &mark
}

/// The fence of a code block that is not closed.
fn open_fence(text: &str) -> Option<String> {
    let mut open: Option<String> = None;
    for line in text.lines() {
        let ticks: String = line.chars().take_while(|c| *c == '`').collect();
        if ticks.len() < 3 {
            continue;
        }
        let bare = line.len() == ticks.len();
        open = match open {
            None => Some(ticks),
            Some(fence) if bare && ticks.len() >= fence.len() => None,
            still => still,
        };
    }
    open
}

/// Letters, digits, `-`, `_` and `:`; everything else becomes `-`.
fn label(text: &str) -> Option<String> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let clean: String = text
        .chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':') => c,
            _ => '-',
        })
        .collect();
    if clean.len() <= LABEL_BYTES {
        return Some(clean);
    }
    let kept = head(&clean, LABEL_BYTES - LABEL_MARK.len());
    Some(format!("{kept}{LABEL_MARK}"))
}

fn word(text: &str, otherwise: &str) -> String {
    label(text).unwrap_or_else(|| otherwise.to_owned())
}

/// A reference without white space. One that is too long ends in its hash, so that
/// two of them stay two. `~` is kept for those that follow a closed bead.
pub(super) fn reference(text: &str) -> String {
    // Room for `~2` and so on.
    const ROOM: usize = 8;
    let clean: String = plain(text)
        .trim()
        .chars()
        .map(|c| if c.is_whitespace() { '_' } else { c })
        .collect();
    if clean.len() <= REFERENCE_BYTES - ROOM {
        return clean;
    }
    let hash: String = Sha256::digest(clean.as_bytes())
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let kept = head(&clean, REFERENCE_BYTES - ROOM - hash.len() - MARK.len());
    format!("{kept}{MARK}{hash}")
}
