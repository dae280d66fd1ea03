//! Manifests in every spelling, drawn from bytes, so that a failing one shrinks by itself.

use std::fmt::Write;

use serde_json::{Value, json};

/// A source of choices; once it runs dry every choice is the first one.
pub(super) struct Dice<'a> {
    bytes: &'a [u8],
}

impl<'a> Dice<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// A number below `sides`.
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        let Some((first, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        usize::from(*first) % sides
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())]
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 1
    }
}

const KEYS: &[&str] = &[
    "spec",
    "name",
    "env",
    "image",
    "ports",
    "\"a.b/c\"",
    "'x y'",
    "data",
    "k8s.io/x",
    "1",
    "é",
];

const SCALARS: &[&str] = &[
    "x",
    "1",
    "nginx:1.27",
    "true",
    "'quoted'",
    "\"double\"",
    "0644",
    "1.10",
    "no",
    "''",
    "\"a # b\"",
    "a#b",
    "~",
    "-1",
    "'it''s'",
    "\"é\\n\"",
    "http://x/y?z",
    "a  b",
    "1e3",
    "2001-01-01",
    "\"\\u2028\"",
    "[]",
    "{}",
];

const COMMENTS: &[&str] = &["# c", "# a: b", "#", "# - x", "#\tt"];

/// The text of a manifest.
pub(super) fn manifest(dice: &mut Dice<'_>) -> String {
    let mut writer = Writer {
        dice,
        out: String::new(),
        anchors: 0,
        tab: String::new(),
    };
    writer.documents();
    let Writer { out, .. } = writer;
    spell(out, dice)
}

fn spell(mut text: String, dice: &mut Dice<'_>) -> String {
    if dice.one_in(4) {
        text.truncate(text.trim_end_matches('\n').len());
    }
    if dice.one_in(4) {
        text = text.replace('\n', "\r\n");
    }
    if dice.one_in(4) {
        text.insert(0, '\u{feff}');
    }
    text
}

struct Writer<'d, 'a> {
    dice: &'d mut Dice<'a>,
    out: String,
    anchors: usize,
    tab: String,
}

impl Writer<'_, '_> {
    fn documents(&mut self) {
        if self.dice.one_in(6) {
            self.out.push_str("# first\n---\n");
        }
        self.map(0, 0);
        if self.dice.one_in(6) {
            self.out.push_str("--- # second\nkind: X\n");
        }
    }

    fn indent(&mut self, column: usize) {
        self.out.extend(std::iter::repeat_n(' ', column));
    }

    fn notes(&mut self, column: usize) {
        if self.dice.one_in(6) {
            let comment = self.dice.pick(COMMENTS);
            let column = if self.dice.one_in(3) {
                column + 3
            } else {
                column
            };
            self.indent(column);
            self.out.push_str(comment);
            self.out.push('\n');
        }
        if self.dice.one_in(10) {
            self.out.push('\n');
        }
    }

    fn line_end(&mut self) {
        if self.dice.one_in(6) {
            let comment = self.dice.pick(COMMENTS);
            let _ = write!(self.out, "  {comment}");
        }
        self.out.push('\n');
    }

    fn keys(&mut self) -> Vec<&'static str> {
        let count = 1 + self.dice.roll(4);
        let first = self.dice.roll(KEYS.len());
        (0..count)
            .map(|place| KEYS[(first + place * 3) % KEYS.len()])
            .collect()
    }

    fn map(&mut self, column: usize, depth: usize) {
        for key in self.keys() {
            self.notes(column);
            self.indent(column);
            self.entry(key, column, depth);
        }
    }

    /// The keys of a map whose first line is begun already.
    fn compact_map(&mut self, column: usize, depth: usize) {
        for (place, key) in self.keys().into_iter().enumerate() {
            if place > 0 {
                self.notes(column);
                self.indent(column);
            }
            self.entry(key, column, depth);
        }
    }

    fn entry(&mut self, key: &str, column: usize, depth: usize) {
        self.out.push_str(key);
        self.out.push(':');
        let deep = depth > 3;
        match self.dice.roll(if deep { 6 } else { 9 }) {
            0 | 1 => {
                let scalar = self.dice.pick(SCALARS);
                let gap = if self.dice.one_in(5) { "   " } else { " " };
                let _ = write!(self.out, "{gap}{scalar}");
                self.line_end();
            }
            2 => self.line_end(),
            3 => self.block_scalar(column),
            4 => {
                self.out.push(' ');
                self.flow(depth);
                self.line_end();
            }
            5 => self.shared(),
            6 | 7 => {
                self.line_end();
                let step = 1 + self.dice.pick(&[1, 1, 0, 3]);
                self.map(column + step, depth + 1);
            }
            _ => {
                self.line_end();
                let step = self.dice.pick(&[0, 2, 2, 1]);
                self.list(column + step, depth + 1);
            }
        }
    }

    fn shared(&mut self) {
        if self.anchors > 0 && self.dice.one_in(2) {
            let _ = write!(self.out, " *a{}", self.dice.roll(self.anchors));
        } else {
            let scalar = self.dice.pick(SCALARS);
            let _ = write!(self.out, " &a{} {scalar}", self.anchors);
            self.anchors += 1;
        }
        self.line_end();
    }

    fn list(&mut self, column: usize, depth: usize) {
        for _ in 0..=self.dice.roll(3) {
            self.notes(column);
            self.indent(column);
            self.out.push('-');
            match self.dice.roll(if depth > 3 { 4 } else { 6 }) {
                0 => {
                    let scalar = self.dice.pick(SCALARS);
                    let _ = write!(self.out, " {scalar}");
                    self.line_end();
                }
                1 => self.block_scalar(column),
                2 => {
                    self.out.push(' ');
                    self.flow(depth);
                    self.line_end();
                }
                3 => self.line_end(),
                4 => {
                    let gap = 1 + self.dice.pick(&[0, 0, 2]);
                    self.indent(gap);
                    self.compact_map(column + 1 + gap, depth + 1);
                }
                _ => {
                    self.line_end();
                    self.map(column + 2, depth + 1);
                }
            }
        }
    }

    fn block_scalar(&mut self, column: usize) {
        let header = self.dice.pick(&["|", "|-", "|+", ">", ">-"]);
        let _ = write!(self.out, " {header}");
        self.line_end();
        let column = column + 1 + self.dice.roll(4);
        self.tab.clear();
        for _ in 0..=self.dice.roll(3) {
            let line = self
                .dice
                .pick(&["x", "a: b", "# no comment", "  deeper", "- y", "é"]);
            let line = if self.tab.is_empty() {
                line.trim_start()
            } else {
                line
            };
            self.tab.push('x');
            self.indent(column);
            self.out.push_str(line);
            self.out.push('\n');
            if self.dice.one_in(5) {
                self.out.push('\n');
            }
        }
    }

    fn flow(&mut self, depth: usize) {
        let count = self.dice.roll(4);
        if self.dice.one_in(2) {
            self.out.push('{');
            for (place, key) in KEYS.iter().take(count).enumerate() {
                let _ = write!(self.out, "{}{key}: ", if place > 0 { ", " } else { "" });
                self.flow_value(depth);
            }
            self.out.push_str(if count > 0 && self.dice.one_in(4) {
                ",}"
            } else {
                "}"
            });
        } else {
            self.out.push('[');
            for place in 0..count {
                self.out.push_str(if place > 0 { ", " } else { "" });
                self.flow_value(depth);
            }
            self.out.push_str(if count > 0 && self.dice.one_in(4) {
                " ,]"
            } else {
                "]"
            });
        }
    }

    fn flow_value(&mut self, depth: usize) {
        if depth < 3 && self.dice.one_in(4) {
            self.flow(depth + 1);
        } else {
            let scalar = self.dice.pick(SCALARS);
            self.out.push_str(scalar);
        }
    }
}

/// A new value for an edit.
pub(super) fn value(dice: &mut Dice<'_>) -> Value {
    match dice.roll(14) {
        0 => json!("nginx:1.28"),
        1 => json!(0),
        2 => json!("no"),
        3 => json!("1.10"),
        4 => json!(true),
        5 => json!(null),
        6 => json!("a\nb\n"),
        7 => json!("a: b # c"),
        8 => json!({}),
        9 => json!([]),
        10 => json!({"name": "x", "value": "y"}),
        11 => json!([1, {"a": ["b"]}, "c\nd"]),
        12 => json!({"a": {"b": {}, "c": "x\ny\n"}, "d": [[1, 2], []]}),
        _ => json!(1.5),
    }
}
