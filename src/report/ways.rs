//! The commands with which a person who has the rights does what this identity
//! cannot: exact, and safe to paste.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::live_ways::{with_argocd, with_kubectl};
use super::markdown::clean;
use crate::model::{GitView, Observation};
use crate::plan::Prepared;
use crate::timeline::Entry;

/// One way of doing it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Way {
    /// `unship`, `git`, `argocd`, `kubectl` or `pullRequest`.
    pub id: String,
    /// Which right it needs.
    pub title: String,
    /// What else should be known before.
    pub notes: Vec<String>,
    /// The commands, line by line.
    pub commands: Vec<String>,
}

impl Way {
    pub(super) fn new(id: &str, title: impl Into<String>) -> Self {
        Self {
            id: id.to_owned(),
            title: title.into(),
            notes: Vec::new(),
            commands: Vec::new(),
        }
    }
}

/// A commit that waits on a branch of its own, because the branch itself did not take
/// the push.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HandedOver {
    /// The commit's full id.
    pub commit: String,
    /// The branch that has it, where the remote took that push.
    pub branch: Option<String>,
    /// The remote's address for opening a pull request.
    pub url: Option<String>,
    /// Why the branch did not take it.
    pub reason: String,
    /// The run that waits.
    pub run: String,
}

/// What the ways are made from.
pub(super) struct Basis<'a> {
    pub(super) observation: &'a Observation,
    pub(super) prepared: Option<&'a Prepared>,
    pub(super) good: Option<&'a Entry>,
    pub(super) handed_over: Option<&'a HandedOver>,
}

/// All ways that can be gone, Git first.
pub(super) fn ways(basis: &Basis<'_>) -> Vec<Way> {
    let mut found = Vec::new();
    match basis.handed_over.and_then(|handed| merge(basis, handed)) {
        Some(way) => found.push(way),
        None => {
            found.extend(with_unship(basis));
            found.extend(with_git(basis));
        }
    }
    found.extend(with_argocd(basis));
    found.extend(with_kubectl(basis));
    found
}

/// A word for a POSIX shell.
pub(super) fn quoted(text: &str) -> String {
    let text = clean(text).replace('\n', " ");
    let harmless = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '@' | '=' | '+')
    };
    if !text.is_empty() && text.chars().all(harmless) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// `deployment/zai-proxy -n mcp`.
pub(super) fn place(observation: &Observation) -> String {
    let target = &observation.target;
    format!(
        "{} -n {}",
        quoted(&target.short()),
        quoted(&target.namespace)
    )
}

/// The commit that waits is merged.
fn merge(basis: &Basis<'_>, handed: &HandedOver) -> Option<Way> {
    let git = basis.observation.git.as_ref()?;
    let side = handed.branch.as_deref()?;
    let mut way = Way::new(
        "pullRequest",
        format!("with the right to merge into {}", git.branch),
    );
    way.notes
        .push(format!("commit {} waits on branch {side}", handed.commit));
    way.notes.push(match &handed.url {
        Some(url) => format!("open a pull request: {url}"),
        None => format!("open a pull request from {side} to {}", git.branch),
    });
    way.notes
        .push("or, where a push is allowed, in a clone of the repository:".to_owned());
    let remote = quoted(&git.remote);
    way.commands = vec![
        format!("git fetch {remote} {}", quoted(side)),
        format!(
            "git push {remote} FETCH_HEAD:refs/heads/{}",
            quoted(&git.branch)
        ),
    ];
    Some(way)
}

fn with_unship(basis: &Basis<'_>) -> Option<Way> {
    let plan = &basis.prepared?.plan;
    let target = plan.targets.first()?;
    let title = match &basis.observation.git {
        Some(git) if plan.route == "git" => {
            format!(
                "with the right to push to {} of {}",
                git.branch, git.repository
            )
        }
        _ => format!("with the rights that the route {} needs", plan.route),
    };
    let mut way = Way::new("unship", title);
    let to = match &target.to.commit {
        Some(commit) => format!("commit:{}", commit.chars().take(12).collect::<String>()),
        None => target.to.image.clone(),
    };
    let place = place(basis.observation);
    way.commands
        .push(format!("unship rollback {place} --to {}", quoted(&to)));
    Some(way)
}

/// The change by hand, in a work tree of its own, so that nobody's checkout is touched.
fn with_git(basis: &Basis<'_>) -> Option<Way> {
    let prepared = basis.prepared?;
    let git = basis.observation.git.as_ref()?;
    let commit = prepared.plan.commits.first()?;
    let change = change_commands(prepared, git)?;
    let mut way = Way::new("git", format!("by hand, in a clone of {}", git.repository));
    let folder = format!("../{}-rollback", basis.observation.target.name);
    let (remote, branch, folder) = (quoted(&git.remote), quoted(&git.branch), quoted(&folder));
    let subject = commit.message.lines().next().unwrap_or_default();
    way.commands = vec![
        format!("git fetch {remote} {branch}"),
        format!("git worktree add --detach {folder} FETCH_HEAD"),
        format!("cd {folder}"),
    ];
    way.commands.extend(change);
    way.commands
        .push(format!("git commit -m {}", quoted(subject)));
    way.commands
        .push(format!("git push {remote} HEAD:refs/heads/{branch}"));
    Some(way)
}

/// Commands that make exactly the planned bytes, where that can be shown without a
/// value that is masked.
fn change_commands(prepared: &Prepared, git: &GitView) -> Option<Vec<String>> {
    let target = prepared.plan.targets.first()?;
    let commit = prepared.plan.commits.first()?;
    let good = target
        .to
        .commit
        .as_ref()
        .and_then(|id| git.states.iter().find(|s| s.commit.id.as_str() == id));
    if let (Some(good), [file]) = (good, prepared.files.as_slice())
        && good.path == file.path
        && *good.text == *file.after
    {
        let path = quoted(&file.path);
        // Later commits to this file would be lost with it: then the plan is another one.
        return Some(vec![
            format!(
                "git diff --exit-code {} HEAD -- {path} &&",
                quoted(&commit.parent)
            ),
            format!(
                "  git checkout {} -- {path}",
                quoted(good.commit.id.as_str())
            ),
        ]);
    }
    const END: &str = "END_OF_CHANGE";
    let diff: String = commit.files.iter().map(|file| file.diff.as_str()).collect();
    let shown = clean(&diff) == diff && !diff.contains(crate::model::MASK);
    // Lines of a diff begin with a sign, so that none can end the text early; names of
    // files could.
    let ends_early = diff.lines().any(|line| line.trim() == END);
    if diff.is_empty() || !shown || ends_early {
        return None;
    }
    let mut lines = vec![format!("git apply --index <<'{END}'")];
    lines.extend(diff.lines().map(str::to_owned));
    lines.push(END.to_owned());
    Some(lines)
}
