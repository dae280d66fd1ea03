//! Where the content of a block scalar ends.

use super::text::{ending_length, indentation, is_blank, lines};

/// How much of `region`, the lines below a block scalar's header, is content, without the last
/// line break; `None` where there is no content. Blank lines at the end count only when they are
/// kept (`+`) or deeper than the text.
pub(super) fn content_length(region: &str, keep: bool) -> Option<usize> {
    let indent = lines(region)
        .find(|line| !is_blank(line))
        .map_or(usize::MAX, indentation);
    let (mut at, mut used) = (0, None);
    for line in lines(region) {
        let whole = ending_length(line) > 0;
        let bare = &line[..line.len() - ending_length(line)];
        if !is_blank(bare) || indentation(bare) > indent || (keep && whole) {
            used = Some(at + bare.len());
        }
        at += line.len();
    }
    used
}

/// A file that ends inside a block scalar, without a line break: the parser reads one, libyaml and
/// with it Kubernetes does not.
pub(super) fn without_invented_break<'t>(text: &'t str, last_line: &str) -> &'t str {
    let Some(rest) = text.strip_suffix('\n') else {
        return text;
    };
    let blank_tail = rest
        .rsplit('\n')
        .next()
        .is_some_and(|line| !line.is_empty() && is_blank(line));
    if !is_blank(last_line) || blank_tail || rest.is_empty() {
        rest
    } else {
        text
    }
}
