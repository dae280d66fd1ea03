//! Text for people: style, tables, times.

use anstyle::{AnsiColor, Style as Ansi};
use jiff::Timestamp;

use crate::model::{mask_text, plain};

/// What a piece of text means; the colour follows from it. Every meaning is also
/// in the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tint {
    /// Good.
    Good,
    /// Bad.
    Bad,
    /// To be looked at.
    Warn,
    /// Less important.
    Dim,
    /// A heading.
    Bold,
}

/// How to render.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Columns of the terminal.
    pub width: usize,
    /// The moment from which `ago` counts.
    pub now: Timestamp,
}

impl Tint {
    /// The text in this tint, as ANSI codes; the writer strips them where colour is off.
    #[must_use]
    pub fn paint(self, text: &str) -> String {
        let style = match self {
            Self::Good => AnsiColor::Green.on_default(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Warn => AnsiColor::Yellow.on_default(),
            Self::Dim => Ansi::new().dimmed(),
            Self::Bold => Ansi::new().bold(),
        };
        format!("{style}{text}{style:#}")
    }
}

/// Text from outside on one line: no control characters, no secrets, shortened.
#[must_use]
pub fn one_line(text: &str, limit: usize) -> String {
    let flat = plain(&mask_text(text))
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    if flat.chars().count() <= limit {
        return flat;
    }
    let cut: String = flat.chars().take(limit.saturating_sub(1)).collect();
    format!("{cut}…")
}

/// `1 field`, `3 fields`.
#[must_use]
pub fn counted(count: usize, word: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {word}{plural}")
}

/// `12 s`, `3 min`, `2 h 5 min`, `4 d`.
#[must_use]
pub fn duration_words(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..=119 => format!("{s} s"),
        s @ 120..=7199 => format!("{} min", s / 60),
        s @ 7200..=172_799 if (s % 3600) / 60 > 0 => {
            format!("{} h {} min", s / 3600, (s % 3600) / 60)
        }
        s @ 7200..=172_799 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86_400),
    }
}

/// `3 min ago`, or `just now`.
#[must_use]
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    match now.as_second() - at.as_second() {
        ..=1 => "just now".to_owned(),
        seconds => format!("{} ago", duration_words(seconds)),
    }
}

/// Rows in columns without a frame, wrapped to the width. Cells hold plain text.
#[must_use]
pub fn table(header: &[&str], rows: &[Vec<String>], width: usize) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    table.set_header(header.iter().map(|cell| cell.to_uppercase()));
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text = table.to_string();
    text.lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n")
        + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_times() {
        assert_eq!(duration_words(5), "5 s");
        assert_eq!(duration_words(180), "3 min");
        assert_eq!(duration_words(7500), "2 h 5 min");
        assert_eq!(duration_words(200_000), "2 d");
    }

    #[test]
    fn outside_text_is_flat_and_harmless() {
        assert_eq!(one_line("a\u{1b}[2J\nb  c", 20), "a\u{fffd}[2J b c");
        assert_eq!(one_line("abcdef", 4), "abc…");
        assert_eq!(one_line("at https://u:p@h/x", 40), "at https://h/x");
    }

    #[test]
    fn tables_fit() {
        let rows = vec![vec!["a".to_owned(), "word ".repeat(30)]];
        let text = table(&["x", "y"], &rows, 40);
        assert!(
            text.lines().all(|line| line.chars().count() <= 40),
            "{text}"
        );
        assert!(text.starts_with("X"), "{text}");
    }
}
