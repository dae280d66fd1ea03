//! The commit message: subject, what and why, trailers.

use crate::model::{RunId, plain};

use super::{Plan, Target};

/// The trailers of a run's commit.
#[derive(Debug, Clone)]
pub struct Trailers<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The run.
    pub run: &'a RunId,
}

/// The subject of a rollback's commit.
fn subject(target: &Target) -> String {
    format!("fix: rollback {} to previous stable version", target.name)
}

/// The message without trailers: subject, from what to what, why.
pub(super) fn body(target: &Target, request: &super::Request) -> String {
    let first = request.message.clone().unwrap_or_else(|| subject(target));
    let mut text = plain(first.trim());
    let from = commit_words(&target.from.image, target.from.commit.as_deref());
    let to = commit_words(&target.to.image, target.to.commit.as_deref());
    text.push_str(&format!(
        "\n\n{} in namespace {}: back from {from}\nto {to}.\n",
        format_args!("{}/{}", target.kind.as_str().to_lowercase(), target.name),
        target.namespace
    ));
    text.push_str(&format!(
        "Grade of that state: {} ({}).\n",
        target.to.grade.as_str(),
        plain(&target.to.reason)
    ));
    if let Some(reason) = &request.reason {
        text.push_str(&format!("Reason: {}\n", plain(reason.trim())));
    }
    let taken: Vec<_> = target
        .later_work
        .iter()
        .filter(|work| work.taken_back && !work.release)
        .collect();
    if !taken.is_empty() {
        text.push_str("\nLater work that this takes back as well:\n");
        for work in taken {
            let short: String = work.commit.chars().take(7).collect();
            text.push_str(&format!(
                "- {short} {} ({})\n",
                plain(&work.subject),
                plain(&work.author)
            ));
        }
    }
    text
}

fn commit_words(image: &str, commit: Option<&str>) -> String {
    match commit {
        Some(commit) => {
            let short: String = commit.chars().take(7).collect();
            format!("{image} ({short})")
        }
        None => image.to_owned(),
    }
}

/// The whole message of the commit that a run pushes.
#[must_use]
pub fn commit_message(message: &str, trailers: &Trailers<'_>) -> String {
    let mut lines = Vec::new();
    for target in &trailers.plan.targets {
        if let Some(commit) = &target.from.commit {
            lines.push(format!("Rollback-Of: {commit}"));
        }
        if let Some(commit) = &target.to.commit {
            lines.push(format!("Rollback-To: {commit}"));
        }
    }
    for approval in &trailers.plan.approvals {
        lines.push(format!(
            "Approved-By: {}",
            plain(approval).replace('\n', " ")
        ));
    }
    lines.push(format!("Unship-Plan: {}", trailers.plan.plan_id));
    lines.push(format!("Unship-Run: {}", trailers.run));
    format!("{}\n\n{}\n", message.trim_end(), lines.join("\n"))
}
