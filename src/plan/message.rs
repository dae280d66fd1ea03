//! The commit message: subject, what and why, trailers.

use crate::model::{RunId, plain};

use super::{Intent, Plan, Target};

/// The trailers of a run's commit.
#[derive(Debug, Clone)]
pub struct Trailers<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The run.
    pub run: &'a RunId,
}

/// The commit's subject where none is given.
fn subject(target: &Target, intent: &Intent) -> String {
    let name = &target.name;
    match intent {
        Intent::Rollback => format!("fix: rollback {name} to previous stable version"),
        Intent::Adopt => "fix: sync git with rolled-back version".to_owned(),
        Intent::Scale { replicas } => format!("chore: scale {name} to {replicas}"),
        Intent::Abort { .. } => format!("fix: take canary {name} out"),
        Intent::SetImage { images } => match images.as_slice() {
            [(_, image)] => format!("chore: set the image of {name} to {image}"),
            _ => format!("chore: set the images of {name}"),
        },
        Intent::SetEnv { variables, .. } => {
            let names: Vec<&str> = variables.iter().map(|v| v.name.as_str()).collect();
            format!("chore: set {} of {name}", names.join(", "))
        }
        Intent::Restart { .. } => format!("chore: restart {name}"),
        Intent::Pause => format!("chore: pause {name}"),
        Intent::Resume => format!("chore: resume {name}"),
        Intent::Bounce => format!("chore: bounce {name}"),
        Intent::Revert { .. } => format!("revert: a change of {name}"),
        Intent::Hold => format!("chore: hold {name}"),
        Intent::Unhold => format!("chore: unhold {name}"),
    }
}

/// The message without trailers: subject, from what to what, why.
pub(super) fn body(target: &Target, request: &super::Request) -> String {
    let first = request
        .message
        .clone()
        .unwrap_or_else(|| subject(target, &request.intent));
    let mut text = plain(first.trim());
    if matches!(request.intent, Intent::Revert { .. }) {
        text.push_str(&super::revert::body(target, request.reason.as_deref()));
        return text;
    }
    if request.intent != Intent::Rollback {
        text.push_str(&changed(target, request));
        return text;
    }
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

/// What another intent than a rollback changes.
fn changed(target: &Target, request: &super::Request) -> String {
    let mut text = format!(
        "\n\n{}/{} in namespace {}: {}.\n",
        target.kind.as_str().to_lowercase(),
        target.name,
        target.namespace,
        request.intent.word()
    );
    for field in &target.fields {
        text.push_str(&format!("- {}\n", plain(field)));
    }
    if let Some(reason) = &request.reason {
        text.push_str(&format!("Reason: {}\n", plain(reason.trim())));
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
    let rollback = trailers.plan.intent == Intent::Rollback.word();
    for target in trailers.plan.targets.iter().filter(|_| rollback) {
        if let Some(commit) = &target.from.commit {
            lines.push(format!("Rollback-Of: {commit}"));
        }
        if let Some(commit) = &target.to.commit {
            lines.push(format!("Rollback-To: {commit}"));
        }
    }
    if let Intent::Revert { commit, .. } = &trailers.plan.request.intent {
        lines.push(format!("Rollback-Of: {commit}"));
    }
    lines.extend(super::hold::trailers(trailers.plan));
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
