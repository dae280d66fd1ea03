//! The undo on a corpus of real changes, judged by a second reader.
//!
//! `cargo bench --bench undo -- CORPUS.jsonl [--show [NUMBER]] [--write docs/undo.md]`. A line of
//! the corpus is one case: `repo`, `path`, `commit`, `git` (`clean` or `conflict`: what Git's line
//! merge said), and the texts `good` (before the change), `bad` (after it) and `head` (today).

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    reason = "it is a program"
)]
#![allow(missing_docs, unreachable_pub, reason = "it is a program")]

mod git;
mod judge;
mod table;

use std::time::{Duration, Instant};

use judge::Verdict;
use unship::manifest::{DiffOptions, Undone, undo, unified_diff};

#[derive(Debug, serde::Deserialize)]
pub struct Case {
    pub repo: String,
    pub path: String,
    pub commit: String,
    #[serde(default)]
    pub git: String,
    pub good: String,
    pub bad: String,
    pub head: String,
}

/// What became of a case.
#[derive(Debug)]
pub struct Outcome {
    pub case: Case,
    pub undone: Undone,
    /// `None` where the second reader cannot read one of the texts.
    pub verdict: Option<Verdict>,
    /// Lines that changed although the bad change did not touch them.
    pub strange: Vec<String>,
    pub time: Duration,
    /// The fields that Git's clean merge gets wrong.
    pub git_wrong: Option<Vec<String>>,
}

fn main() {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    let Some(corpus) = args.first() else {
        println!("undo: no corpus given; say which: cargo bench --bench undo -- CORPUS.jsonl");
        return;
    };
    let text = match std::fs::read_to_string(corpus) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("{corpus}: {error}");
            std::process::exit(2);
        }
    };
    let cases: Vec<Case> = text
        .lines()
        .filter_map(|line| {
            serde_json::from_str(line)
                .map_err(|e| eprintln!("{e}"))
                .ok()
        })
        .collect();
    let outcomes: Vec<Outcome> = cases.into_iter().map(run).collect();
    let after = |flag: &str| {
        let at = args.iter().position(|arg| arg == flag)?;
        Some(args.get(at + 1).cloned().unwrap_or_default())
    };
    if let Some(number) = after("--show") {
        let only: Option<usize> = number.parse().ok();
        for (place, outcome) in outcomes.iter().enumerate() {
            if only.is_none_or(|only| only == place) {
                show(place, outcome);
            }
        }
        return;
    }
    let table = table::table(&outcomes);
    match after("--write") {
        Some(path) => table::write(&path, &table),
        None => println!("{table}"),
    }
    let failed = |outcome: &Outcome| {
        let wrong = outcome
            .verdict
            .as_ref()
            .is_some_and(|v| !v.wrong.is_empty());
        wrong || !outcome.strange.is_empty() || table::unnamed(outcome)
    };
    if outcomes.iter().any(failed) {
        std::process::exit(1);
    }
}

fn run(case: Case) -> Outcome {
    let begun = Instant::now();
    let undone = undo(&case.good, &case.bad, &case.head);
    let time = begun.elapsed();
    let read = |text: &str| judge::read(text);
    let texts = (read(&case.good), read(&case.bad), read(&case.head));
    let judged = |result: &str| match (&texts, read(result)) {
        ((Some(good), Some(bad), Some(head)), Some(result)) => {
            Some(judge::judge(good, bad, head, &result))
        }
        _ => None,
    };
    let verdict = judged(&undone.text);
    let merged = git::merge_file(&case.bad, &case.head, &case.good);
    let git_wrong = merged.map(|text| match judged(&text) {
        Some(verdict) => verdict.wrong.into_iter().chain(verdict.missed).collect(),
        None => vec!["the merged text cannot be read".to_owned()],
    });
    let strange = strange(&case, &undone.text);
    Outcome {
        verdict,
        strange,
        time,
        git_wrong,
        undone,
        case,
    }
}

/// Changed lines that the bad change has nothing to do with: a line that goes must be one that the
/// bad change brought, a line that comes one that it took away.
fn strange(case: &Case, result: &str) -> Vec<String> {
    let changes = |old: &str, new: &str| {
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        for change in similar::TextDiff::from_lines(old, new).iter_all_changes() {
            let line = change.value().trim().to_owned();
            match change.tag() {
                similar::ChangeTag::Delete => gone.push(line),
                similar::ChangeTag::Insert => come.push(line),
                similar::ChangeTag::Equal => {}
            }
        }
        (gone, come)
    };
    let (taken, brought) = changes(&case.good, &case.bad);
    let (gone, come) = changes(&case.head, result);
    let out = |sign: char, lines: Vec<String>, known: &[String]| -> Vec<String> {
        let odd = lines
            .into_iter()
            .filter(|line| !line.is_empty() && !known.contains(line));
        odd.map(|line| format!("{sign}{line}")).collect()
    };
    [out('-', gone, &brought), out('+', come, &taken)].concat()
}

fn show(place: usize, outcome: &Outcome) {
    let case = &outcome.case;
    let options = DiffOptions {
        mask_env_values: false,
        ..DiffOptions::default()
    };
    println!(
        "######## {place} {} {} {} git {} -> {}",
        case.repo,
        case.path,
        &case.commit[..8.min(case.commit.len())],
        case.git,
        outcome.undone.class.word()
    );
    if let Some(reason) = &outcome.undone.reason {
        println!("reason: {reason}");
    }
    println!(
        "bad change:\n{}",
        unified_diff(&case.path, &case.good, &case.bad, options)
    );
    println!(
        "undo:\n{}",
        unified_diff(&case.path, &case.head, &outcome.undone.text, options)
    );
    for field in &outcome.undone.undone {
        println!(
            "undone {} {}: {} -> {}",
            field.object,
            field.path,
            field.shown(field.from.as_ref()),
            field.shown(field.to.as_ref())
        );
    }
    for field in &outcome.undone.superseded {
        println!(
            "superseded {} {}: {} now {}",
            field.object,
            field.path,
            field.shown(field.from.as_ref()),
            field.shown(field.to.as_ref())
        );
    }
    for left in &outcome.undone.left {
        println!("left {left}");
    }
    match &outcome.verdict {
        Some(verdict) => println!("verdict {verdict:?}"),
        None => println!("verdict: not readable"),
    }
    println!(
        "strange {:?}\ngit wrong {:?}\n",
        outcome.strange, outcome.git_wrong
    );
}
