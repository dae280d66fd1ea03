//! The table, as Markdown.

use std::fmt::Write as _;
use std::time::Duration;

use super::Outcome;
use super::judge::Verdict;
use unship::manifest::{UndoClass, UndoField};

const BEGIN: &str = "<!-- made by benches/undo: begin -->\n";
const END: &str = "<!-- made by benches/undo: end -->\n";

/// Everything that is written down.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut out = String::new();
    counts(&mut out, outcomes);
    times(&mut out, outcomes);
    faults(&mut out, outcomes);
    git(&mut out, outcomes);
    reasons(&mut out, outcomes);
    out
}

fn counts(out: &mut String, outcomes: &[Outcome]) {
    out.push_str("| | all | Git's merge is clean | Git's merge conflicts |\n|---|---|---|---|\n");
    let mut row = |name: &str, count: &dyn Fn(&Outcome) -> usize| {
        let sum = |git: Option<bool>| -> usize {
            outcomes
                .iter()
                .filter(|o| git.is_none_or(|clean| o.git_wrong.is_some() == clean))
                .map(count)
                .sum()
        };
        let (all, clean, conflict) = (sum(None), sum(Some(true)), sum(Some(false)));
        let _ = writeln!(out, "| {name} | {all} | {clean} | {conflict} |");
    };
    row("cases", &|_| 1);
    for class in [
        UndoClass::Undone,
        UndoClass::Partly,
        UndoClass::NothingLeft,
        UndoClass::Refused,
    ] {
        row(class.word(), &|o| usize::from(o.undone.class == class));
    }
    let of = |o: &Outcome, what: fn(&Verdict) -> usize| o.verdict.as_ref().map_or(0, what);
    row("fields that nothing has touched since", &|o| {
        of(o, |v| v.intended)
    });
    row("- of these taken back", &|o| of(o, |v| v.landed));
    row("- of these not taken back", &|o| of(o, |v| v.missed.len()));
    row("fields that something has changed since, left", &|o| {
        of(o, |v| v.left.len())
    });
    row("**wrong fields**", &|o| of(o, |v| v.wrong.len()));
    row("**bytes changed outside the intended places**", &|o| {
        o.strange.iter().map(String::len).sum()
    });
    row("cases not undone in full without a named reason", &|o| {
        usize::from(unnamed(o))
    });
    row("cases that the second reader cannot read", &|o| {
        usize::from(o.verdict.is_none())
    });
    row(
        "cases in which the merge by lines is clean and wrong",
        &|o| usize::from(o.git_wrong.as_ref().is_some_and(|wrong| !wrong.is_empty())),
    );
}

/// A case in which something of the change is left and nothing says why.
pub fn unnamed(outcome: &Outcome) -> bool {
    let undone = &outcome.undone;
    let named = undone.reason.is_some() || !undone.superseded.is_empty() || !undone.left.is_empty();
    let is_left = outcome
        .verdict
        .as_ref()
        .is_none_or(|verdict| !verdict.left.is_empty() || !verdict.missed.is_empty());
    let is_refused = undone.class == UndoClass::Refused || undone.class == UndoClass::Partly;
    (is_left || is_refused) && !named
}

fn times(out: &mut String, outcomes: &[Outcome]) {
    let mut times: Vec<Duration> = outcomes.iter().map(|o| o.time).collect();
    times.sort();
    if let (Some(median), Some(max)) = (times.get(times.len() / 2), times.last()) {
        let ms = |time: &Duration| time.as_secs_f64() * 1000.0;
        let build = if cfg!(debug_assertions) {
            ", not optimized"
        } else {
            ""
        };
        let _ = writeln!(
            out,
            "\nTime per case: median {:.1} ms, longest {:.1} ms (reading all three texts, deciding, \
             writing, reading again{build}).",
            ms(median),
            ms(max)
        );
    }
}

fn faults(out: &mut String, outcomes: &[Outcome]) {
    let mut lines = String::new();
    for outcome in outcomes {
        let mut line = |what: &str, items: &[String]| {
            for item in items {
                let _ = writeln!(lines, "- {}: {what}: {}", name(outcome), cut(item, 200));
            }
        };
        if let Some(verdict) = &outcome.verdict {
            line("wrong", &verdict.wrong);
            line("not taken back", &verdict.missed);
        }
        line("changed outside", &outcome.strange);
        if unnamed(outcome) {
            line("no reason", &["nothing says what is left".to_owned()]);
        }
    }
    if !lines.is_empty() {
        let _ = write!(out, "\n### Faults\n\n{lines}");
    }
}

fn git(out: &mut String, outcomes: &[Outcome]) {
    out.push_str("\n### Where the merge by lines is clean and wrong\n\n");
    for outcome in outcomes {
        for wrong in outcome.git_wrong.iter().flatten() {
            let field = wrong.split(": ").next().unwrap_or(wrong);
            let _ = writeln!(out, "- {}: `{}`", name(outcome), cut(field, 100));
        }
    }
}

fn reasons(out: &mut String, outcomes: &[Outcome]) {
    out.push_str(
        "\n### Cases that are not undone in full\n\n| case | class | why |\n|---|---|---|\n",
    );
    for outcome in outcomes {
        let undone = &outcome.undone;
        if undone.class == UndoClass::Undone {
            continue;
        }
        let _ = writeln!(
            out,
            "| {} | {} | {} |",
            name(outcome),
            undone.class.word(),
            why(outcome)
        );
    }
}

fn why(outcome: &Outcome) -> String {
    let undone = &outcome.undone;
    if let Some(reason) = &undone.reason {
        return reason.replace('|', "\\|");
    }
    let place =
        |field: &UndoField| format!("`{}`", cut(&field.path.to_string(), 70).replace('|', "\\|"));
    let mut parts: Vec<String> = Vec::new();
    if let Some(first) = undone.superseded.first() {
        let more = match undone.superseded.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        parts.push(format!("changed since: {}{more}", place(first)));
    }
    if !undone.left.is_empty() {
        parts.push("comments or style that later work stands on".to_owned());
    }
    if parts.is_empty() {
        parts.push("every field has its good value already".to_owned());
    }
    parts.join("; ")
}

fn name(outcome: &Outcome) -> String {
    let case = &outcome.case;
    let commit = case.commit.get(..8).unwrap_or(&case.commit);
    format!("{} {commit} {}", case.repo, case.path)
}

fn cut(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let cut: String = text.chars().take(length).collect();
    format!("{cut}...")
}

/// Puts the table between its marks in a file.
pub fn write(path: &str, table: &str) {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let (Some(begin), Some(end)) = (text.find(BEGIN), text.find(END)) else {
        eprintln!("{path}: the marks for the table are not there");
        std::process::exit(2);
    };
    let head = &text[..begin + BEGIN.len()];
    let new = format!("{head}\n{table}\n{}", &text[end..]);
    if let Err(error) = std::fs::write(path, new) {
        eprintln!("{path}: {error}");
        std::process::exit(2);
    }
}
