//! Text from outside in Markdown: it stays text. Nothing of it can open or close a
//! code block, start a heading or a link, or drive a terminal; nothing in it that
//! looks like a secret is shown.

use crate::model::{mask_text, plain};

/// Without terminal control and secrets; line feeds stay.
pub(super) fn clean(text: &str) -> String {
    plain(&mask_text(text))
}

/// The same on one line.
fn flat(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Plain words: one line, every sign that means something to Markdown escaped.
pub(super) fn words(text: &str) -> String {
    let flat = flat(text);
    let mut out = String::with_capacity(flat.len());
    for (at, c) in flat.char_indices() {
        let always = matches!(
            c,
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '&'
        );
        let first = at == 0 && matches!(c, '#' | '+' | '-' | '=' | '!');
        if always || first {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// The longest run of backticks in a text.
fn ticks(text: &str) -> usize {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// A code span: one line. Its fence is longer than any run of backticks inside.
pub(super) fn code(text: &str) -> String {
    let flat = flat(text);
    if flat.is_empty() {
        return "(empty)".to_owned();
    }
    let fence = "`".repeat(ticks(&flat) + 1);
    // By CommonMark one space on either side is not part of the code.
    let pad = if flat.starts_with('`') || flat.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{flat}{pad}{fence}")
}

/// A code block of its own lines, without a line feed at the end. Its fence is longer
/// than any run of backticks inside.
pub(super) fn block(text: &str, language: &str) -> String {
    let clean = clean(text);
    let fence = "`".repeat((ticks(&clean) + 1).max(3));
    let language: String = language
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let body = clean.strip_suffix('\n').unwrap_or(&clean);
    format!("{fence}{language}\n{body}\n{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out() {
        let hostile = "x\n```\n# Heading <script> [a](b) | c\u{1b}[2J";
        let words = words(hostile);
        assert_eq!(
            words,
            "x \\`\\`\\` # Heading \\<script\\> \\[a\\](b) \\| c\u{fffd}\\[2J"
        );
        assert_eq!(code("a ``b`` c"), "```a ``b`` c```");
        assert_eq!(code("`"), "`` ` ``");
        let block = block("one\n````\ntwo\n", "diff");
        assert_eq!(block, "`````diff\none\n````\ntwo\n`````");
        assert_eq!(super::words("# no heading"), "\\# no heading");
    }

    #[test]
    fn secrets_are_masked_everywhere() {
        for rendered in [
            words("at https://u:sekret@h/x"),
            code("at https://u:sekret@h/x"),
            block("at https://u:sekret@h/x", ""),
        ] {
            assert!(rendered.contains("https://h/x"), "{rendered}");
            assert!(!rendered.contains("sekret"), "{rendered}");
        }
    }
}
