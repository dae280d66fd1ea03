//! A plan or a refusal for people.

use super::human::{Style, Tint, duration_words, one_line};
use crate::model::Verdict;
use crate::plan::{
    Decision, Intent, Plan, PlannedProof, PlannedRevert, PlannedUndo, Refusal, Target,
};

/// The plan as text: target and why, what is taken back, diff, message, steps.
#[must_use]
pub fn plan_text(plan: &Plan, style: Style) -> String {
    let mut out = String::new();
    for target in &plan.targets {
        out.push_str(&target_text(target, plan.request.intent.verb(), style));
    }
    if !plan.acts() {
        out.push_str("everything is so already: nothing is changed\n");
    } else if plan.commits.is_empty() && plan.is_through_git() {
        out.push_str("Git already has the target state: no commit is needed\n");
    }
    out.push_str(&undo_text(&plan.undo));
    if let Some(patch) = &plan.patch {
        out.push('\n');
        out.push_str(&diff_text(patch));
    }
    for commit in &plan.commits {
        let parent: String = commit.parent.chars().take(7).collect();
        out.push_str(&format!(
            "\ncommit on {} of {} (parent {parent})\n",
            commit.branch, commit.repository
        ));
        for line in commit.message.lines() {
            out.push_str(&format!("    {line}\n"));
        }
        for file in &commit.files {
            out.push('\n');
            out.push_str(&diff_text(&file.diff));
        }
    }
    out.push_str(&plan.proof.as_ref().map(proof_text).unwrap_or_default());
    if let Some(code) = &plan.code {
        out.push_str(&code_text(code));
    }
    out.push_str("\nsteps\n");
    for step in &plan.steps {
        out.push_str(&format!(
            "  {:<9} {} (at most {})\n",
            step.id,
            step.ensures,
            duration_words(step.deadline_seconds)
        ));
    }
    out.push_str("\nchecked at the end\n");
    for goal in &plan.goal {
        out.push_str(&format!("  {goal}\n"));
    }
    if !plan.warnings.is_empty() {
        out.push('\n');
    }
    for warning in &plan.warnings {
        out.push_str(&format!(
            "{} {}\n",
            Tint::Warn.paint("warning:"),
            one_line(warning, 900)
        ));
    }
    for debt in &plan.debts {
        out.push_str(&format!(
            "{} {}\n",
            Tint::Warn.paint("debt:"),
            one_line(debt, 400)
        ));
    }
    out.push_str(&ladder_text(&plan.rungs));
    for write in &plan.writes {
        out.push_str(&format!("  sends     {write}\n"));
    }
    out.push_str(&format!("plan {}\n", plan.plan_id));
    out
}

fn proof_text(proof: &PlannedProof) -> String {
    let word = match proof.verdict {
        Verdict::Holds => Tint::Good.paint("proved:"),
        Verdict::Fails | Verdict::Unknown => Tint::Warn.paint("not proved by another program:"),
    };
    format!("\n{word} {}\n", one_line(&proof.evidence, 300))
}

/// The ways to act, each with what speaks for or against it.
#[must_use]
pub fn ladder_text(rungs: &[crate::plan::Rung]) -> String {
    let mut out = "\nroutes\n".to_owned();
    for rung in rungs {
        let word = match rung.verdict.as_str() {
            "chosen" => Tint::Good.paint("chosen  "),
            "closed" => Tint::Dim.paint("closed  "),
            "unknown" => Tint::Warn.paint("unknown "),
            _ => "possible".to_owned(),
        };
        out.push_str(&format!(
            "  {:<9} {word}  {}\n",
            rung.route,
            one_line(&rung.reason, 300)
        ));
    }
    out
}

fn target_text(target: &Target, verb: &str, _style: Style) -> String {
    let short = |commit: &Option<String>| {
        commit
            .as_ref()
            .map_or_else(|| "not in Git".to_owned(), |c| c.chars().take(7).collect())
    };
    let mut out = format!(
        "{} {}/{} in namespace {}\n",
        Tint::Bold.paint(verb),
        target.kind.as_str().to_lowercase(),
        target.name,
        target.namespace
    );
    let from = match &target.from.commit {
        Some(_) => format!("{} ({})", target.from.image, short(&target.from.commit)),
        None => target.from.image.clone(),
    };
    out.push_str(&format!("  from  {from}\n"));
    if verb == Intent::Rollback.verb() {
        out.push_str(&format!(
            "  to    {} ({}), {}: {}\n",
            target.to.image,
            short(&target.to.commit),
            target.to.grade.as_str(),
            one_line(&target.to.reason, 160)
        ));
    } else if target.to.image != target.from.image {
        out.push_str(&format!("  to    {}\n", target.to.image));
    }
    if let Some((before, after)) = target.replicas {
        out.push_str(&format!("  replicas  {before} to {after}\n"));
    }
    let mut places = Vec::new();
    if !target.file.is_empty() {
        // A rendered template has no lines of its own.
        places.push(match target.line {
            0 => target.file.clone(),
            line => format!("{}:{line}", target.file),
        });
    }
    places.extend(
        target
            .replica_set
            .iter()
            .map(|set| format!("template of {set}")),
    );
    places.extend(
        target
            .application
            .iter()
            .map(|app| format!("Application {app}")),
    );
    if !places.is_empty() {
        out.push_str(&format!("  in    {}\n", places.join(", ")));
    }
    out.push_str(&later_text(target));
    for change in &target.left {
        let commit: String = change.commit.chars().take(7).collect();
        out.push_str(&format!(
            "  left as it is: {} (also changed by {commit})\n",
            one_line(&change.place, 200)
        ));
    }
    out
}

/// What was passed over, and what later work is taken back or stays.
fn later_text(target: &Target) -> String {
    let mut out = String::new();
    for skipped in &target.skipped {
        out.push_str(&format!("  passed over  {}\n", one_line(skipped, 200)));
    }
    let work: Vec<_> = target
        .later_work
        .iter()
        .filter(|w| w.taken_back && !w.release)
        .collect();
    if !work.is_empty() {
        out.push_str(&format!(
            "  {}\n",
            Tint::Warn.paint("later work that this takes back:")
        ));
    }
    for item in work {
        out.push_str(&work_line(item));
    }
    let kept: Vec<_> = target.later_work.iter().filter(|w| !w.taken_back).collect();
    if !kept.is_empty() {
        out.push_str("  later work that stays:\n");
    }
    for item in kept {
        out.push_str(&work_line(item));
    }
    out
}

fn work_line(work: &crate::plan::LaterWork) -> String {
    let commit: String = work.commit.chars().take(7).collect();
    format!(
        "    {commit} {} ({}): {}\n",
        one_line(&work.subject, 72),
        one_line(&work.author, 40),
        one_line(&work.fields.join(", "), 200)
    )
}

/// What a revert takes back of each file, and what it leaves.
fn undo_text(undo: &[PlannedUndo]) -> String {
    const MOST: usize = 30;
    let mut out = String::new();
    for file in undo {
        out.push_str(&format!(
            "\n{} {}\n",
            Tint::Bold.paint(&file.class),
            one_line(&file.path, 200)
        ));
        for field in file.undone.iter().take(MOST) {
            let words = format!("{}: {} to {}", field.place(), field.from, field.to);
            out.push_str(&format!("  back  {}\n", one_line(&words, 300)));
        }
        if file.undone.len() > MOST {
            out.push_str(&format!("  and {} more\n", file.undone.len() - MOST));
        }
        for field in &file.superseded {
            let word = Tint::Warn.paint("left");
            out.push_str(&format!("  {word}  {}\n", one_line(&field.left(), 300)));
        }
        for left in &file.left {
            let word = Tint::Warn.paint("left");
            out.push_str(&format!("  {word}  {}\n", one_line(left, 300)));
        }
    }
    out
}

/// The revert of the code: its files by name, for their texts are nobody's manifests.
fn code_text(code: &PlannedRevert) -> String {
    let mut out = format!(
        "\nonce the canary is out: revert of {} {:?}\n  one commit on {} of {}, pushed without force\n",
        code.commit.get(..7).unwrap_or(&code.commit),
        one_line(&code.subject, 200),
        code.branch,
        code.repository
    );
    for file in &code.files {
        out.push_str(&format!("  {}\n", one_line(&file.path, 200)));
    }
    out.push_str(
        "  (for commits that nobody pushed `git reset --hard HEAD~1` is the other way; it throws work away and is never run)\n",
    );
    out
}

pub(super) fn diff_text(diff: &str) -> String {
    let mut out = String::new();
    for line in diff.lines() {
        let safe = crate::model::plain(line);
        let painted = match safe.as_bytes().first() {
            Some(b'+') => Tint::Good.paint(&safe),
            Some(b'-') => Tint::Bad.paint(&safe),
            Some(b'@') => Tint::Dim.paint(&safe),
            _ => safe,
        };
        out.push_str(&painted);
        out.push('\n');
    }
    out
}

/// A refusal as text. `what` is what was asked, e.g. `roll back deployment/zai-proxy`.
#[must_use]
pub fn refusal_text(what: &str, refusal: &Refusal) -> String {
    let mut out = format!("{} no safe plan to {what}\n", Tint::Bad.paint("error:"));
    for blocker in &refusal.blockers {
        out.push_str(&format!("  blocked: {}\n", one_line(&blocker.message, 600)));
    }
    for unknown in &refusal.unknown {
        out.push_str(&format!(
            "  unknown: {}: {}\n",
            one_line(&unknown.message, 300),
            one_line(&unknown.reason, 400)
        ));
    }
    let mut hints: Vec<&str> = Vec::new();
    for blocker in &refusal.blockers {
        if !blocker.hint.is_empty() && !hints.contains(&blocker.hint.as_str()) {
            hints.push(&blocker.hint);
        }
    }
    for hint in hints {
        out.push_str(&format!(
            "{} {}\n",
            Tint::Dim.paint("hint:"),
            one_line(hint, 400)
        ));
    }
    out
}

/// The whole decision as text.
#[must_use]
pub fn decision_text(what: &str, decision: &Decision, style: Style) -> String {
    match decision {
        Decision::Plan(prepared) => plan_text(&prepared.plan, style),
        Decision::Refused(refusal) => refusal_text(what, refusal),
        Decision::NotNeeded(reason) => format!("{reason}\n"),
    }
}

/// The plan as Markdown.
#[must_use]
pub fn plan_markdown(plan: &Plan) -> String {
    let mut out = String::new();
    for target in &plan.targets {
        out.push_str(&format!(
            "## {}: {}/{} in {}\n\n| | image | commit |\n|---|---|---|\n| from | `{}` | `{}` |\n| to | `{}` | `{}` |\n\nGrade: {} ({}).\n",
            plan.intent,
            target.kind.as_str().to_lowercase(),
            target.name,
            target.namespace,
            target.from.image,
            target.from.commit.as_deref().unwrap_or("not in Git"),
            target.to.image,
            target.to.commit.as_deref().unwrap_or("not in Git"),
            target.to.grade.as_str(),
            one_line(&target.to.reason, 200)
        ));
    }
    for file in plan.commits.iter().flat_map(|commit| &commit.files) {
        out.push_str(&format!(
            "\n```diff\n{}```\n",
            crate::model::plain(&file.diff)
        ));
    }
    for warning in &plan.warnings {
        out.push_str(&format!("\n> warning: {}\n", one_line(warning, 400)));
    }
    out
}
