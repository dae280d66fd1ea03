//! Cutting a stream into its documents, without parsing them.
//!
//! A `---` or `...` in the first column, followed by white space or nothing, is a marker wherever
//! it stands, also inside a scalar (YAML 1.2, 9.1.2), so a document that does not parse cannot
//! take its neighbours along.

use super::text::{is_blank, lines};

/// One document of a stream: everything from the lines before its `---` that belong to it
/// (directives, comments) to the next document's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The documents of `text`. Lines that belong to none (a file of comments only) give no chunk.
pub(super) fn split(text: &str) -> Vec<Chunk> {
    let bom = if text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    };
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut start = bom;
    // True once the chunk from `start` on holds a marker or content.
    let mut is_document = false;
    let mut at = bom;
    for line in lines(&text[bom..]) {
        if is_marker(line, "---") {
            if is_document {
                chunks.push(Chunk { start, end: at });
                start = at;
            }
            is_document = true;
        } else if is_marker(line, "...") {
            if is_document {
                chunks.push(Chunk {
                    start,
                    end: at + line.len(),
                });
                start = at + line.len();
                is_document = false;
            }
        } else if !is_document && !is_outside(line) {
            is_document = true;
        }
        at += line.len();
    }
    if is_document {
        chunks.push(Chunk {
            start,
            end: text.len(),
        });
    } else if let Some(last) = chunks.last_mut() {
        last.end = text.len();
    }
    chunks
}

/// True for `marker` in the first column, with white space or nothing behind it.
pub(super) fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// True for lines that may stand before a document's `---`.
fn is_outside(line: &str) -> bool {
    is_blank(line) || line.starts_with('%') || line.trim_start_matches([' ', '\t']).starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<&str> {
        split(text)
            .iter()
            .map(|chunk| &text[chunk.start..chunk.end])
            .collect()
    }

    #[test]
    fn documents_keep_the_lines_before_their_marker() {
        assert_eq!(parts("a: 1\n"), ["a: 1\n"]);
        assert_eq!(
            parts("# c\n---\na: 1\n---\nb: 2"),
            ["# c\n---\na: 1\n", "---\nb: 2"]
        );
        assert_eq!(parts("---\n# c\n---\n"), ["---\n# c\n", "---\n"]);
        assert_eq!(
            parts("a: 1\n...\n# x\n---\nb: 2\n"),
            ["a: 1\n...\n", "# x\n---\nb: 2\n"]
        );
        assert_eq!(parts("a: 1\n...\n# x\n"), ["a: 1\n...\n# x\n"]);
        assert_eq!(
            parts("\u{feff}%YAML 1.1\n---\r\na: 1\r\n"),
            ["%YAML 1.1\n---\r\na: 1\r\n"]
        );
        assert_eq!(
            parts("a: |\n  x\n---\n---x\n"),
            ["a: |\n  x\n", "---\n---x\n"]
        );
        assert_eq!(parts("--- a\r---\tb"), ["--- a\r", "---\tb"]);
        assert_eq!(parts("# only\n"), Vec::<&str>::new());
        assert_eq!(parts(""), Vec::<&str>::new());
    }
}
