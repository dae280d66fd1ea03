//! The table.

use std::fmt::Write as _;
use std::time::Duration;

use super::Outcome;
use unship::manifest::UndoClass;

pub fn table(outcomes: &[Outcome]) -> String {
    let mut out = String::new();
    let classes = [
        UndoClass::Undone,
        UndoClass::Partly,
        UndoClass::NothingLeft,
        UndoClass::Refused,
    ];
    let _ = writeln!(
        out,
        "| | all | Git's merge clean | Git's merge conflicts |\n|---|---|---|---|"
    );
    let row = |out: &mut String, name: &str, count: &dyn Fn(&Outcome) -> usize| {
        let sum = |git: Option<bool>| -> usize {
            outcomes
                .iter()
                .filter(|o| git.is_none_or(|clean| o.git_wrong.is_some() == clean))
                .map(count)
                .sum()
        };
        let _ = writeln!(
            out,
            "| {name} | {} | {} | {} |",
            sum(None),
            sum(Some(true)),
            sum(Some(false))
        );
    };
    row(&mut out, "cases", &|_| 1);
    for class in classes {
        row(&mut out, class.word(), &|o| {
            usize::from(o.undone.class == class)
        });
    }
    let of =
        |o: &Outcome, what: fn(&super::judge::Verdict) -> usize| o.verdict.as_ref().map_or(0, what);
    row(&mut out, "fields that nothing touched since", &|o| {
        of(o, |v| v.intended)
    });
    row(&mut out, "of these taken back", &|o| of(o, |v| v.landed));
    row(&mut out, "of these not taken back", &|o| {
        of(o, |v| v.missed.len())
    });
    row(&mut out, "wrong fields", &|o| of(o, |v| v.wrong.len()));
    row(
        &mut out,
        "lines changed that the change had not touched",
        &|o| o.strange.len(),
    );
    row(&mut out, "cases that the second reader cannot read", &|o| {
        usize::from(o.verdict.is_none())
    });
    row(
        &mut out,
        "cases in which Git's clean merge is wrong",
        &|o| usize::from(o.git_wrong.as_ref().is_some_and(|wrong| !wrong.is_empty())),
    );
    let mut times: Vec<Duration> = outcomes.iter().map(|o| o.time).collect();
    times.sort();
    if let (Some(median), Some(max)) = (times.get(times.len() / 2), times.last()) {
        let ms = |time: &Duration| time.as_secs_f64() * 1000.0;
        let _ = writeln!(
            out,
            "\nTime per case: median {:.2} ms, longest {:.2} ms.",
            ms(median),
            ms(max)
        );
    }
    for (n, o) in outcomes.iter().enumerate() {
        if let Some(v) = &o.verdict
            && !v.wrong.is_empty()
        {
            let _ = writeln!(out, "WRONG {n} {:?}", v.wrong);
        }
        if let Some(v) = &o.verdict
            && !v.missed.is_empty()
        {
            let _ = writeln!(out, "MISSED {n} {:?}", v.missed);
        }
        if !o.strange.is_empty() {
            let _ = writeln!(out, "STRANGE {n} {:?}", o.strange);
        }
        if let Some(r) = &o.undone.reason {
            let _ = writeln!(out, "REFUSED {n} {r}");
        }
        if let Some(w) = &o.git_wrong
            && !w.is_empty()
        {
            let _ = writeln!(out, "GITWRONG {n} {w:?}");
        }
        if o.verdict.is_none() {
            let _ = writeln!(out, "UNREADABLE {n}");
        }
    }
    out
}

pub fn write(path: &str, table: &str) {
    println!("{path} {table}");
}
