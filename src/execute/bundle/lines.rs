//! Text from outside, line by line: masked, without terminal control, never held whole.

use crate::model::{MASK, mask_text, plain};

/// A line is kept up to so many bytes.
const LONGEST: usize = 1 << 20;

/// Takes pieces as they come and gives whole lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pending: Vec<u8>,
    /// The rest of a line that was too long is left out.
    skipping: bool,
    /// How many lines were cut.
    pub(super) cut: u64,
}

impl Lines {
    /// The lines that this piece completes.
    pub(super) fn push(&mut self, piece: &[u8]) -> String {
        let mut out = String::new();
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.take(&rest[..end], &mut out);
            self.end_line(&mut out);
            rest = &rest[end + 1..];
        }
        self.take(rest, &mut out);
        out
    }

    /// What is left without a line end.
    pub(super) fn finish(&mut self) -> String {
        let mut out = String::new();
        if !self.pending.is_empty() {
            self.end_line(&mut out);
            out.pop();
        }
        out
    }

    fn take(&mut self, part: &[u8], out: &mut String) {
        if self.skipping {
            return;
        }
        self.pending.extend_from_slice(part);
        if self.pending.len() <= LONGEST {
            return;
        }
        self.pending.truncate(LONGEST);
        // The last word may be half of a credential, which nothing would recognise.
        let end = self.pending.iter().rposition(u8::is_ascii_whitespace);
        self.pending.truncate(end.unwrap_or(0));
        if end.is_none() {
            self.pending.extend_from_slice(MASK.as_bytes());
        }
        out.push_str(&clean(&self.pending));
        out.push_str(&format!(" [cut by unship after {LONGEST} bytes]"));
        self.pending.clear();
        self.skipping = true;
        self.cut += 1;
    }

    fn end_line(&mut self, out: &mut String) {
        if !self.skipping {
            out.push_str(&clean(&self.pending));
        }
        self.skipping = false;
        self.pending.clear();
        out.push('\n');
    }
}

fn clean(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    plain(&mask_text(&String::from_utf8_lossy(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(text: &[u8], step: usize) -> (String, u64) {
        let mut lines = Lines::default();
        let mut out: String = text.chunks(step).map(|piece| lines.push(piece)).collect();
        out.push_str(&lines.finish());
        (out, lines.cut)
    }

    #[test]
    fn pieces_do_not_matter() {
        let text = "eins\r\nAuthorization: Bearer sekret x\n\nan \u{e4} \u{1b}[2J end\nno end at https://u:sekret@h/x";
        let wanted =
            "eins\nAuthorization: Bearer *** x\n\nan \u{e4} \u{fffd}[2J end\nno end at https://h/x";
        for step in [1, 2, 3, 7, 1000] {
            assert_eq!(through(text.as_bytes(), step), (wanted.to_owned(), 0));
        }
        assert_eq!(through(b"", 1).0, "");
        assert_eq!(through(b"\n\n", 1).0, "\n\n");
        assert_eq!(through(b"a\xffb\n", 1).0, "a\u{fffd}b\n");
    }

    #[test]
    fn endless_lines_are_cut_before_the_last_word() {
        let mut text = b"start ".to_vec();
        text.extend(std::iter::repeat_n(b'x', LONGEST - 20));
        text.extend(b" https://u:sekret@host/ more\nnext\n");
        let (out, cut) = through(&text, 4096);
        assert_eq!(cut, 1);
        assert!(out.starts_with("start xxx") && out.ends_with("bytes]\nnext\n"));
        assert!(
            !out.contains("sekret") && !out.contains("https"),
            "half a word"
        );
        // One word without an end: nobody can say what it is.
        let mut text = b"https://u:sekret-".to_vec();
        text.extend(std::iter::repeat_n(b'y', 3 * LONGEST));
        let (out, cut) = through(&text, 100_000);
        assert_eq!((cut, out.starts_with("*** [cut")), (1, true), "{out:.40}");
    }
}
