//! Three-way merge of sequences (diff3 over Myers' hunks), and of plain text by its lines.

use std::hash::Hash;
use std::ops::Range;

use similar::{Algorithm, DiffTag, capture_diff_slices};

use crate::manifest::text::lines;

/// Who changed a stretch of the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changed {
    Nobody,
    Ours,
    Theirs,
    /// Both, to the same.
    Alike,
    /// Both, to something different.
    Conflict,
}

/// A stretch of the base and what has become of it on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) base: Range<usize>,
    pub(super) ours: Range<usize>,
    pub(super) theirs: Range<usize>,
    pub(super) changed: Changed,
}

/// What it takes for two changes to be in each other's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Near {
    /// They meet, as for Git: no unchanged line between them.
    Touching,
    /// They change the same element, or both insert at the same place.
    Overlapping,
}

#[derive(Debug, Clone)]
struct Hunk {
    base: Range<usize>,
    other: Range<usize>,
}

fn hunks<T: Eq + Hash>(base: &[T], other: &[T]) -> Vec<Hunk> {
    let mut out: Vec<Hunk> = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, base, other) {
        if op.tag() == DiffTag::Equal {
            continue;
        }
        let hunk = Hunk {
            base: op.old_range(),
            other: op.new_range(),
        };
        match out.last_mut() {
            Some(last)
                if last.base.end == hunk.base.start && last.other.end == hunk.other.start =>
            {
                last.base.end = hunk.base.end;
                last.other.end = hunk.other.end;
            }
            _ => out.push(hunk),
        }
    }
    out
}

/// One side's hunks, walked along with the base.
struct Walk {
    hunks: std::iter::Peekable<std::vec::IntoIter<Hunk>>,
    /// How far its places are from the base's, behind the hunks taken.
    shift: isize,
    took: bool,
}

impl Walk {
    fn new(hunks: Vec<Hunk>) -> Self {
        Self {
            hunks: hunks.into_iter().peekable(),
            shift: 0,
            took: false,
        }
    }

    fn start(&mut self) -> Option<(usize, usize)> {
        self.hunks
            .peek()
            .map(|hunk| (hunk.base.start, hunk.base.end))
    }

    fn take(&mut self) -> Option<Range<usize>> {
        let hunk = self.hunks.next()?;
        let length = |range: &Range<usize>| range.len().cast_signed();
        self.shift += length(&hunk.other) - length(&hunk.base);
        self.took = true;
        Some(hunk.base)
    }

    fn take_near(&mut self, group: &Range<usize>, near: Near) -> Option<Range<usize>> {
        let hunk = self.hunks.peek()?.base.clone();
        let meets = match near {
            Near::Touching => hunk.start <= group.end,
            Near::Overlapping => {
                let insert_twice = hunk.is_empty() && group.is_empty() && hunk.start == group.start;
                hunk.start < group.end || insert_twice
            }
        };
        if meets { self.take() } else { None }
    }
}

fn moved(at: usize, by: isize) -> usize {
    at.saturating_add_signed(by)
}

/// The base in stretches, in order, nothing left out.
pub(super) fn chunks<T: Eq + Hash>(base: &[T], ours: &[T], theirs: &[T], near: Near) -> Vec<Chunk> {
    let mut left = Walk::new(hunks(base, ours));
    let mut right = Walk::new(hunks(base, theirs));
    let mut out = Vec::new();
    let mut at = 0;
    loop {
        let first = match (left.start(), right.start()) {
            (None, None) => break,
            (Some(ours), Some(theirs)) => ours <= theirs,
            (ours, _) => ours.is_some(),
        };
        let (before_left, before_right) = (left.shift, right.shift);
        (left.took, right.took) = (false, false);
        let begun = if first { left.take() } else { right.take() };
        let Some(mut group) = begun else { break };
        while let Some(more) = left
            .take_near(&group, near)
            .or_else(|| right.take_near(&group, near))
        {
            group.end = group.end.max(more.end);
        }
        push_same(&mut out, at..group.start, before_left, before_right);
        let own = moved(group.start, before_left)..moved(group.end, left.shift);
        let other = moved(group.start, before_right)..moved(group.end, right.shift);
        let changed = match (left.took, right.took) {
            (true, false) => Changed::Ours,
            (false, _) => Changed::Theirs,
            (true, true) if ours[own.clone()] == theirs[other.clone()] => Changed::Alike,
            (true, true) => Changed::Conflict,
        };
        at = group.end;
        out.push(Chunk {
            base: group,
            ours: own,
            theirs: other,
            changed,
        });
    }
    push_same(&mut out, at..base.len(), left.shift, right.shift);
    out
}

fn push_same(out: &mut Vec<Chunk>, base: Range<usize>, ours: isize, theirs: isize) {
    if base.is_empty() {
        return;
    }
    out.push(Chunk {
        ours: moved(base.start, ours)..moved(base.end, ours),
        theirs: moved(base.start, theirs)..moved(base.end, theirs),
        base,
        changed: Changed::Nobody,
    });
}

/// Lines that both sides changed to something different.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("both sides changed line {} of ours (line {} of the base)", ours.start, base.start)]
pub struct TextConflict {
    /// The lines in the base, from 1; the end is behind the last one.
    pub base: Range<usize>,
    /// The lines in our text.
    pub ours: Range<usize>,
    /// The lines in their text.
    pub theirs: Range<usize>,
}

/// Plain text merged by lines: what `theirs` changed against `base`, made on `ours`. Changes that
/// meet without an unchanged line between them are a conflict, as for `git merge-file`; the same
/// change on both sides is none.
///
/// # Errors
/// Every conflict, with its lines; no text is guessed.
pub fn merge_text(base: &str, ours: &str, theirs: &str) -> Result<String, Vec<TextConflict>> {
    let (base, ours, theirs): (Vec<_>, Vec<_>, Vec<_>) = (
        lines(base).collect(),
        lines(ours).collect(),
        lines(theirs).collect(),
    );
    let chunks = chunks(&base, &ours, &theirs, Near::Touching);
    let numbers = |range: &Range<usize>| range.start + 1..range.end + 1;
    let conflicts: Vec<TextConflict> = chunks
        .iter()
        .filter(|chunk| chunk.changed == Changed::Conflict)
        .map(|chunk| TextConflict {
            base: numbers(&chunk.base),
            ours: numbers(&chunk.ours),
            theirs: numbers(&chunk.theirs),
        })
        .collect();
    if !conflicts.is_empty() {
        return Err(conflicts);
    }
    let mut out = String::new();
    for chunk in &chunks {
        match chunk.changed {
            Changed::Theirs => out.extend(theirs[chunk.theirs.clone()].iter().copied()),
            _ => out.extend(ours[chunk.ours.clone()].iter().copied()),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(base: &str, ours: &str, theirs: &str) -> Result<String, Vec<TextConflict>> {
        let split = |text: &str| text.chars().map(|c| format!("{c}\n")).collect::<String>();
        merge_text(&split(base), &split(ours), &split(theirs)).map(|text| text.replace('\n', ""))
    }

    #[test]
    fn changes_apart_are_both_made() {
        assert_eq!(merged("abcde", "aXcde", "abcdY"), Ok("aXcdY".into()));
        assert_eq!(merged("abcde", "bcde", "abcdeZ"), Ok("bcdeZ".into()));
        assert_eq!(merged("abc", "abc", "c"), Ok("c".into()));
        assert_eq!(merged("abc", "aXc", "aXc"), Ok("aXc".into()));
        assert_eq!(merged("", "", "x"), Ok("x".into()));
    }

    #[test]
    fn changes_that_meet_are_conflicts_with_their_lines() {
        let conflicts = merged("abcde", "aXcde", "aYcde").unwrap_err();
        assert_eq!(conflicts.len(), 1);
        assert_eq!(conflicts[0].base, 2..3);
        assert_eq!(conflicts[0].ours, 2..3);
        assert!(merged("abc", "aXc", "abY").is_err(), "they touch");
        assert!(merged("ab", "aXb", "aYb").is_err(), "two at one place");
        let far = merged("abcdefg", "aXXcdeYg", "aZcdefg").unwrap_err();
        assert_eq!((&far[0].ours, &far[0].theirs), (&(2..4), &(2..3)));
    }

    #[test]
    fn elements_may_touch_but_not_overlap() {
        let kinds = |base: &str, ours: &str, theirs: &str| -> Vec<Changed> {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            chunks(
                &chars(base),
                &chars(ours),
                &chars(theirs),
                Near::Overlapping,
            )
            .iter()
            .map(|chunk| chunk.changed)
            .collect()
        };
        use Changed::{Conflict, Nobody, Ours, Theirs};
        // Theirs takes away the last one, ours adds behind it.
        assert_eq!(kinds("ab", "abc", "a"), [Nobody, Theirs, Ours]);
        assert_eq!(kinds("a", "ab", "ac"), [Nobody, Conflict]);
        assert_eq!(kinds("abc", "aXc", "abY"), [Nobody, Ours, Theirs]);
        assert_eq!(kinds("abc", "aXc", "aYc"), [Nobody, Conflict, Nobody]);
    }

    /// The stretches cover all three sequences, whatever they are.
    #[test]
    fn every_element_is_in_one_stretch() {
        let words = ["", "a", "ab", "ba", "aab", "abc", "bcab", "cabba"];
        for base in words {
            for ours in words {
                for theirs in words {
                    for near in [Near::Touching, Near::Overlapping] {
                        let bytes = |text: &str| text.bytes().collect::<Vec<_>>();
                        let chunks = chunks(&bytes(base), &bytes(ours), &bytes(theirs), near);
                        let (mut b, mut o, mut t) = (0, 0, 0);
                        for chunk in &chunks {
                            assert_eq!(
                                (chunk.base.start, chunk.ours.start, chunk.theirs.start),
                                (b, o, t)
                            );
                            (b, o, t) = (chunk.base.end, chunk.ours.end, chunk.theirs.end);
                        }
                        assert_eq!((b, o, t), (base.len(), ours.len(), theirs.len()));
                    }
                }
            }
        }
    }
}
