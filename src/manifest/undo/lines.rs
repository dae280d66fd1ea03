//! Whether an undo touched only lines that the bad change had touched.

use std::collections::HashMap;

use similar::{ChangeTag, TextDiff};

/// True where every line that goes is one that the bad change brought, and every line that comes
/// one that it took away; commas at the end and indentation do not count. The three texts are the
/// good, the bad and today's.
pub(super) fn keeps((good, bad, head): (&str, &str, &str), result: &str) -> bool {
    let (taken, brought) = changes(good, bad);
    let (gone, come) = changes(head, result);
    within(&gone, &brought) && within(&come, &taken)
}

type Lines = HashMap<String, usize>;

fn within(lines: &Lines, known: &Lines) -> bool {
    let mut lines = lines.iter();
    lines.all(|(line, count)| known.get(line).is_some_and(|there| there >= count))
}

/// The lines that go and those that come.
fn changes(old: &str, new: &str) -> (Lines, Lines) {
    let (mut gone, mut come) = (Lines::new(), Lines::new());
    for change in TextDiff::from_lines(old, new).iter_all_changes() {
        let line = change.value().trim().trim_end_matches(',');
        let side = match change.tag() {
            ChangeTag::Delete => &mut gone,
            ChangeTag::Insert => &mut come,
            ChangeTag::Equal => continue,
        };
        if !line.is_empty() {
            *side.entry(line.to_owned()).or_default() += 1;
        }
    }
    // A line that only moved, or got a comma, has not changed.
    for (line, count) in &mut gone {
        if let Some(other) = come.get_mut(line) {
            let both = (*count).min(*other);
            *count -= both;
            *other -= both;
        }
    }
    gone.retain(|_, count| *count > 0);
    come.retain(|_, count| *count > 0);
    (gone, come)
}

#[cfg(test)]
mod tests {
    use super::keeps;

    #[test]
    fn lines_of_others_stay() {
        let texts = ("a\nb\nc\n", "a\nX,\nc\n", "a\nX,\nc\nd\n");
        assert!(keeps(texts, "a\nb\nc\nd\n"));
        assert!(keeps(texts, "  a\n  b,\nc,\nd\n"), "layout is no line");
        assert!(!keeps(texts, "a\nb\nd\n"), "a line of others went");
        assert!(!keeps(texts, "a\nb\nc\nd\ne\n"), "a new line came");
        assert!(!keeps(texts, "a\nb\nb\nc\nd\n"), "one came twice");
    }
}
