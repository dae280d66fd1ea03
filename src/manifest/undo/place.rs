//! Writing what was decided: head's own lines, the good text's lines, nothing else.

use std::ops::Range;

use serde_json::{Map, Value};

use super::decide::{Coll, Part, Parts, Plan, Three};
use super::merge::{Changed, Near, chunks};
use super::segments::{Block, Piece, bare, prefix, shifted};
use crate::manifest::draft::Draft;
use crate::manifest::render;
use crate::manifest::text::{ending_length, indentation, is_blank, lines, next_line};
use crate::manifest::tree::{Kind, Node, NodeId, Style};

/// The value that a field is to have; `None` where it is gone.
pub(super) fn value(
    texts: &Three<'_>,
    plan: &Plan,
    good: Option<&Value>,
    head: Option<&Value>,
) -> Option<Value> {
    match plan {
        Plan::Keep => head.cloned(),
        Plan::Follow | Plan::Good => good.cloned(),
        Plan::Gone => None,
        Plan::Text(text) => Some(text.clone().into()),
        Plan::Set(value) => Some(value.clone()),
        Plan::Parts(parts) => Some(value_of_parts(texts, parts)),
    }
}

/// The value of a collection, merge keys resolved.
pub(super) fn value_of_parts(texts: &Three<'_>, parts: &Parts) -> Value {
    let of = |coll: Option<&Coll>, place: Option<usize>| {
        coll.zip(place)
            .map(|(coll, place)| coll.values[place].clone())
    };
    let each = parts.parts.iter().filter_map(|part| {
        let good = of(parts.good.as_ref(), part.good);
        let head = of(Some(&parts.head), part.head);
        Some((
            part,
            value(texts, &part.plan, good.as_ref(), head.as_ref())?,
        ))
    });
    if parts.is_list {
        return each.map(|(_, value)| value).collect();
    }
    let mut object = Map::new();
    for (part, value) in each {
        let (name, merge) = entry(texts, parts, part);
        match (merge, value) {
            (false, value) => {
                object.insert(name, value);
            }
            (true, Value::Array(sources)) => {
                for source in sources.into_iter().rev() {
                    object.extend(source.as_object().cloned().unwrap_or_default());
                }
            }
            (true, value) => object.extend(value.as_object().cloned().unwrap_or_default()),
        }
    }
    Value::Object(object)
}

/// The name of a map's entry, and whether it is a merge key.
pub(super) fn entry(texts: &Three<'_>, parts: &Parts, part: &Part) -> (String, bool) {
    let of = |draft: &Draft<'_>, around: NodeId, place: usize| {
        let entry = &draft.tree.entries(around)[place];
        (entry.name.to_string(), entry.merge)
    };
    match (part.head, part.good, &parts.good) {
        (Some(place), _, _) => of(texts.head, parts.head.around.node, place),
        (None, Some(place), Some(good)) => of(texts.good, good.around.node, place),
        _ => (String::new(), false),
    }
}

/// The comment on a line, from its `#` on.
pub(super) fn comment(line: &str) -> Option<&str> {
    let line = line.trim();
    if line.starts_with('#') {
        return Some(line);
    }
    line.find(" #").map(|at| line[at + 1..].trim())
}

/// True for a literal block whose lines can be exchanged one by one.
pub(super) fn is_literal(draft: &Draft<'_>, piece: &Piece) -> bool {
    let node = draft.tree.node(piece.node);
    let header = &draft.text[node.start..node.header_end()];
    let literal = matches!(&node.kind, Kind::Scalar(scalar) if scalar.style == Style::Literal);
    literal && !header.contains(|c: char| c.is_ascii_digit())
}

/// Writing one document.
pub(super) struct Writer<'d> {
    pub(super) texts: Three<'d>,
    pub(super) newline: &'static str,
    /// True once a comment of the bad change had to be left.
    pub(super) left_comment: bool,
    /// Set when the first attempt failed: comments that come back stand in the column of what
    /// they belong to, since a deeper one behind a block scalar would become part of it.
    pub(super) careful: bool,
}

/// The same entry in the three texts.
#[derive(Clone, Copy, Default)]
struct Twins<'p> {
    good: Option<&'p Piece>,
    bad: Option<&'p Piece>,
    head: Option<&'p Piece>,
}

impl Writer<'_> {
    /// The text of a whole document.
    pub(super) fn document(
        &mut self,
        plan: &Plan,
        roots: (&Piece, &Piece, &Piece),
    ) -> Option<String> {
        let twins = Twins {
            good: Some(roots.0),
            bad: Some(roots.1),
            head: Some(roots.2),
        };
        self.piece(plan, twins)
    }

    fn is_bad_text(&self, bad: Option<&Piece>, head: &Piece) -> bool {
        bad.is_some_and(|bad| {
            bare(self.texts.bad, &bad.body, bad.column)
                == bare(self.texts.head, &head.body, head.column)
        })
    }

    /// The lines of an entry that head has.
    fn piece(&mut self, plan: &Plan, twins: Twins<'_>) -> Option<String> {
        let head = twins.head?;
        let text = self.texts.head.text;
        match plan {
            Plan::Keep | Plan::Follow | Plan::Set(_) => Some(own_lines(self.texts.head, head)),
            Plan::Gone => Some(String::new()),
            Plan::Good => {
                let good = twins.good?;
                if self.is_bad_text(twins.bad, head) {
                    return Some(self.good_body(good, twins.bad, head));
                }
                Some(self.swapped(good, head))
            }
            Plan::Text(merged) => self.literal(head, merged),
            Plan::Parts(parts) => {
                // What is all as the bad change left it becomes all as it was.
                if self.is_bad_text(twins.bad, head)
                    && let Some(good) = twins.good
                    && good.is_lines
                    && is_good(parts)
                {
                    return Some(self.good_body(good, twins.bad, head));
                }
                let inner = self.block(parts)?;
                let is_empty = parts
                    .parts
                    .iter()
                    .all(|part| matches!(part.plan, Plan::Gone));
                let own = prefix(head);
                let lead = lead_of(self.texts.head, head, &own);
                if !is_empty {
                    return Some(self.prefix(twins, lead) + &inner);
                }
                let empty = if parts.is_list { "[]" } else { "{}" };
                let below = head.value_head < head.inner && text[own].contains(['\n', '\r']);
                if below {
                    let cut = head.value_head - head.body.start;
                    let cut = cut + (lead.len() - (head.inner - head.body.start));
                    let (key, rest) = lead.split_at_checked(cut)?;
                    let gap = if head.body.start == 0 && key.is_empty() {
                        ""
                    } else {
                        " "
                    };
                    return Some(format!("{key}{gap}{empty}{rest}{inner}"));
                }
                Some(format!("{lead}{empty}{}{inner}", self.newline))
            }
        }
    }

    /// The good lines of an entry in the place of the bad ones, which head has still. Whether a
    /// file ends in a line break is head's where that was changed since.
    fn good_body(&self, good: &Piece, bad: Option<&Piece>, head: &Piece) -> String {
        let mut text = self.good_lines(&good.body, good.column, head.column);
        let ends =
            |draft: &Draft<'_>, piece: &Piece| ending_length(&draft.text[piece.body.clone()]) > 0;
        let now = ends(self.texts.head, head);
        if bad.is_some_and(|bad| ends(self.texts.bad, bad) == now) {
            return text;
        }
        match (now, ending_length(&text)) {
            (true, 0) => text.push_str(self.newline),
            (false, length) => text.truncate(text.len() - length),
            _ => {}
        }
        text
    }

    fn good_lines(&self, range: &Range<usize>, from: usize, to: usize) -> String {
        shifted(self.texts.good, range, from, to, self.newline)
    }

    /// What stands before an entry's inner lines; the good one where head has the bad one still.
    fn prefix(&self, twins: Twins<'_>, own: String) -> String {
        let (Some(good), Some(bad), Some(head)) = (twins.good, twins.bad, twins.head) else {
            return own;
        };
        let Three {
            good: gt,
            bad: bt,
            head: ht,
        } = self.texts;
        let below = |draft: &Draft<'_>, piece: &Piece| {
            draft.tree.node(piece.node).is_block_collection()
                && (piece.inner == 0 || draft.text[prefix(piece)].ends_with(['\n', '\r']))
        };
        let text = |draft: &Draft<'_>, piece: &Piece| bare(draft, &prefix(piece), piece.column);
        let all_below = below(gt, good) && below(bt, bad) && below(ht, head);
        if all_below && text(ht, head) == text(bt, bad) {
            return self.good_lines(&prefix(good), good.column, head.column);
        }
        own
    }

    /// Head's entry with the good value in it.
    fn swapped(&self, good: &Piece, head: &Piece) -> String {
        if !is_inline(self.texts, good, head) {
            return self.good_lines(&good.body, good.column, head.column);
        }
        let (new, old) = (
            self.texts.good.tree.node(good.node),
            self.texts.head.tree.node(head.node),
        );
        let value = &self.texts.good.text[new.outer_start()..new.end];
        let text = self.texts.head.text;
        let before = lead_of(self.texts.head, head, &(head.body.start..old.outer_start()));
        let behind = &text[old.end..head.body.end.max(old.end)];
        format!("{before}{value}{behind}")
    }

    /// A literal block with other lines; the lines that stay are head's to the byte.
    fn literal(&self, head: &Piece, merged: &str) -> Option<String> {
        let draft = self.texts.head;
        let node = draft.tree.node(head.node);
        let Kind::Scalar(scalar) = &node.kind else {
            return None;
        };
        let first = next_line(draft.text, node.header_end());
        let end = next_line(draft.text, node.end).min(head.body.end);
        let raw: Vec<&str> = lines(&draft.text[first..end]).collect();
        let old: Vec<&str> = lines(&scalar.text).collect();
        let new: Vec<&str> = lines(merged).collect();
        let indent = raw
            .iter()
            .filter(|line| !is_blank(line))
            .map(|line| indentation(line))
            .min()?;
        let mut out = lead_of(draft, head, &(head.body.start..first));
        for chunk in chunks(&old, &old, &new, Near::Touching) {
            let same = matches!(chunk.changed, Changed::Nobody | Changed::Ours);
            if same && let Some(kept) = raw.get(chunk.ours.clone()) {
                out.extend(kept.iter().copied());
                continue;
            }
            for line in &new[chunk.theirs.clone()] {
                let bare = &line[..line.len() - ending_length(line)];
                out.push_str(&render::indented(bare, indent));
                out.push_str(self.newline);
            }
        }
        // Blank lines behind the content are no part of it.
        out.extend(raw.iter().skip(old.len()).copied());
        out.push_str(&draft.text[end..head.body.end.max(end)]);
        Some(out)
    }

    /// The inner lines of a block collection.
    fn block(&mut self, parts: &Parts) -> Option<String> {
        let head = parts.head.block.as_ref()?;
        let good = parts.good.as_ref().and_then(|coll| coll.block.as_ref());
        let bad = parts.bad.as_ref().and_then(|coll| coll.block.as_ref());
        let mut out = self.trivia(
            good.map(|block| (&block.head, block.column)),
            bad.map(|block| (&block.head, block.column)),
            (&head.head, head.column),
        );
        for part in &parts.parts {
            let twins = Twins {
                good: part
                    .good
                    .zip(parts.good.as_ref())
                    .map(|(at, coll)| &coll.pieces[at]),
                bad: part
                    .bad
                    .zip(parts.bad.as_ref())
                    .map(|(at, coll)| &coll.pieces[at]),
                head: part.head.map(|at| &parts.head.pieces[at]),
            };
            let lead = self.lead(part, twins, head);
            let body = match twins.head {
                Some(_) => self.piece(&part.plan, twins)?,
                None => self.new_lines(parts, part, twins.good?, head.column),
            };
            self.push(&mut out, &lead);
            self.push(&mut out, &body);
        }
        let tail = self.trivia(
            good.map(|block| (&block.tail, block.column)),
            bad.map(|block| (&block.tail, block.column)),
            (&head.tail, head.column),
        );
        self.push(&mut out, &tail);
        let is_empty = parts
            .parts
            .iter()
            .all(|part| matches!(part.plan, Plan::Gone));
        if head.on_dash_line && !is_empty {
            let spaces = " ".repeat(head.column);
            return out.strip_prefix(&spaces).map(str::to_owned);
        }
        Some(out)
    }

    /// Appends lines; what stood at the end of a file without a line break gets one.
    fn push(&self, out: &mut String, more: &str) {
        if !more.is_empty() && !out.is_empty() && ending_length(out) == 0 {
            out.push_str(self.newline);
        }
        out.push_str(more);
    }

    fn lead(&mut self, part: &Part, twins: Twins<'_>, block: &Block) -> String {
        let Some(head) = twins.head else {
            let good = twins.good;
            let lead = good.map_or_else(String::new, |good| {
                self.good_lines(&good.lead, good.column, block.column)
            });
            return self.level(lead, block.column);
        };
        let own = || self.texts.head.text[head.lead.clone()].to_owned();
        if matches!(part.plan, Plan::Gone) {
            let known = twins
                .bad
                .map(|bad| self.texts.bad.text[bad.lead.clone()].to_owned())
                .unwrap_or_default();
            let known: Vec<&str> = known.lines().filter_map(comment).collect();
            let later: String = lines(&self.texts.head.text[head.lead.clone()])
                .filter(|line| comment(line).is_some_and(|comment| !known.contains(&comment)))
                .collect();
            return later;
        }
        match (twins.good, twins.bad) {
            (Some(good), Some(bad)) if good.is_lines && bad.is_lines => self.trivia(
                Some((&good.lead, good.column)),
                Some((&bad.lead, bad.column)),
                (&head.lead, head.column),
            ),
            _ => own(),
        }
    }

    /// Comments in this column, where that is asked for.
    fn level(&self, text: String, column: usize) -> String {
        if !self.careful {
            return text;
        }
        let line = |line: &str| match comment(line) {
            Some(comment) => format!("{}{comment}{}", " ".repeat(column), self.newline),
            None => line.to_owned(),
        };
        lines(&text).map(line).collect()
    }

    /// Comments and blank lines, merged.
    fn trivia(
        &mut self,
        good: Option<(&Range<usize>, usize)>,
        bad: Option<(&Range<usize>, usize)>,
        head: (&Range<usize>, usize),
    ) -> String {
        let own = self.texts.head.text[head.0.clone()].to_owned();
        let (Some(good), Some(bad)) = (good, bad) else {
            return own;
        };
        let (left, base, now) = (
            bare(self.texts.good, good.0, good.1),
            bare(self.texts.bad, bad.0, bad.1),
            bare(self.texts.head, head.0, head.1),
        );
        if left == base || left == now {
            return own;
        }
        if now == base {
            let lines = self.good_lines(good.0, good.1, head.1);
            return self.level(lines, head.1);
        }
        let split = |text: &'_ str| lines(text).map(str::to_owned).collect::<Vec<_>>();
        let (left, base, now) = (split(&left), split(&base), split(&now));
        let merged = chunks(&base, &now, &left, Near::Overlapping);
        if merged
            .iter()
            .any(|chunk| chunk.changed == Changed::Conflict)
        {
            self.left_comment = true;
            return own;
        }
        let raw: Vec<&str> = lines(&own).collect();
        let mut out = String::new();
        for chunk in merged {
            if chunk.changed == Changed::Theirs {
                for line in &left[chunk.theirs] {
                    out.push_str(&render::indented(line.trim_end_matches('\n'), head.1));
                    out.push_str(self.newline);
                }
            } else {
                raw.get(chunk.ours)
                    .into_iter()
                    .flatten()
                    .for_each(|line| out.push_str(line));
            }
        }
        out
    }

    /// An entry that comes back.
    fn new_lines(&self, parts: &Parts, part: &Part, good: &Piece, column: usize) -> String {
        if good.is_lines {
            return self.good_lines(&good.body, good.column, column);
        }
        let draft = self.texts.good;
        let value = draft.tree.value(good.node);
        let layout = render::Layout {
            newline: self.newline,
            ..self.texts.head.layout
        };
        let text = &draft.text[good.body.clone()];
        let is_scalar = !value.is_object() && !value.is_array() && !text.contains(['\n', '\r']);
        let lines = match (parts.is_list, is_scalar) {
            (true, true) => vec![format!("{}- {text}", " ".repeat(column))],
            (true, false) => render::item(&value, column, layout),
            (false, _) => render::entry(&entry(&self.texts, parts, part).0, &value, column, layout),
        };
        lines.join(self.newline) + self.newline
    }
}

/// True where the good value can stand in the place of head's on its line.
pub(super) fn is_inline(texts: Three<'_>, good: &Piece, head: &Piece) -> bool {
    let (new, old) = (
        texts.good.tree.node(good.node),
        texts.head.tree.node(head.node),
    );
    let inline =
        |node: &Node| !node.is_block_collection() && !node.is_block_scalar() && !node.is_absent();
    let value = &texts.good.text[new.outer_start()..new.end];
    inline(new) && inline(old) && !value.contains(['\n', '\r'])
}

/// True where every part gets what the good text has.
fn is_good(parts: &Parts) -> bool {
    parts.parts.iter().all(|part| match &part.plan {
        Plan::Keep => part.good.is_some() && part.bad.is_some(),
        Plan::Good | Plan::Gone | Plan::Follow => true,
        Plan::Parts(inner) => is_good(inner),
        Plan::Text(_) | Plan::Set(_) => false,
    })
}

/// Head's lines of an entry, the first one with its column even where it stands behind a dash.
fn own_lines(draft: &Draft<'_>, piece: &Piece) -> String {
    lead_of(draft, piece, &piece.body)
}

/// A stretch from the beginning of an entry on, with the column that it begins in.
fn lead_of(draft: &Draft<'_>, piece: &Piece, range: &Range<usize>) -> String {
    let start = render::column(draft.text, piece.body.start);
    let spaces = if piece.is_lines { start } else { 0 };
    format!("{}{}", " ".repeat(spaces), &draft.text[range.clone()])
}
