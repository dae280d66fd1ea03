//! Why the result of an undo did not read back as decided.

use super::write::Texts;
use crate::manifest::tree::{Kind, Style};

/// A failed check is most often an anchor that something else uses; else it is a comment of head's
/// that stands deeper than the line it is about: behind a block scalar it would be a part of that.
pub(super) fn explained(texts: &Texts<'_>, reason: String) -> String {
    let all = texts.good.iter().chain(&texts.bad).chain(&texts.head);
    if all
        .flat_map(|doc| &doc.tree.nodes)
        .any(|node| node.anchored)
    {
        return format!("{reason}: anchors and aliases reach across what would be undone");
    }
    let is_block = |style| matches!(style, Style::Literal | Style::Folded);
    let mut nodes = texts.good.iter().flat_map(|doc| &doc.tree.nodes);
    let blocks =
        nodes.any(|node| matches!(&node.kind, Kind::Scalar(scalar) if is_block(scalar.style)));
    if blocks && has_deep_comment(texts.text) {
        return format!(
            "{reason}: a comment that stands deeper than the line below it is in the way"
        );
    }
    reason
}

/// Whether a line of comment is followed by something that stands less deep.
fn has_deep_comment(text: &str) -> bool {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines.windows(2).any(|pair| match pair {
        [comment, below] => comment.trim_start().starts_with('#') && depth(comment) > depth(below),
        _ => false,
    })
}
