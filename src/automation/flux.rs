//! Flux's image automation (image-automation-controller and image-reflector-controller, API
//! group image.toolkit.fluxcd.io, v1beta1 to v1).
//!
//! An ImageUpdateAutomation sets every field that has a marker comment
//! `# {"$imagepolicy": "NAMESPACE:NAME"}` to what the ImagePolicy of that name has selected last;
//! policies are those of the automation's own namespace. It runs every `spec.interval`, and when
//! the policy or the source changes, unless `spec.suspend` is true.

use super::pin::{Marker, markers};
use super::seen::{Seen, Subject};
use super::{Change, Finding, Pin, Tool};

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, text, own) in subject.files() {
        for marker in markers(text, &own) {
            if !marker.held && concerns(subject, &marker) {
                found.extend(finding(subject, path, &marker));
            }
        }
    }
    found
}

/// In a manifest every marker of the document is the target's; in the files that are rendered
/// into it those whose value the target's images have.
fn concerns(subject: &Subject<'_>, marker: &Marker) -> bool {
    subject.git.rendered.is_none()
        || subject.images.iter().any(|image| {
            let value = marker.value.as_str();
            !value.is_empty()
                && (image.as_str() == value
                    || image.name() == value
                    || image.tag() == Some(value)
                    || image.digest() == Some(value))
        })
}

fn finding(subject: &Subject<'_>, path: &str, marker: &Marker) -> Option<Finding> {
    let (namespace, name) = policy_of(&marker.policy)?;
    let policies = subject.all("ImagePolicy");
    let policies: Vec<&Seen> = policies
        .filter(|seen| seen.name == name && seen.may_be_in(namespace))
        .collect();
    let (certain, when) = automation(subject, namespace, path)?;
    let pin = Pin::Edit {
        path: path.to_owned(),
        change: Change::Marker {
            policy: marker.policy.clone(),
            object: subject.git.rendered.is_none().then(|| {
                let target = subject.target;
                (target.kind.as_str().to_owned(), target.name.clone())
            }),
        },
        words: format!(
            "the marker of {} in {path} is taken out of force",
            marker.policy
        ),
    };
    Some(Finding {
        tool: Tool::Flux,
        place: format!("{path}:{}", marker.line),
        does: format!(
            "sets {} to {}",
            what(&marker.policy),
            selects(namespace, name, &policies)
        ),
        when,
        certain,
        pin,
    })
}

/// The namespace and the name of a marker's policy.
fn policy_of(policy: &str) -> Option<(&str, &str)> {
    let mut parts = policy.split(':');
    Some((parts.next()?, parts.next()?))
}

fn what(policy: &str) -> &'static str {
    match policy.split(':').nth(2) {
        Some("tag") => "the tag",
        Some("name") => "the image's name",
        Some("digest") => "the digest",
        _ => "the image",
    }
}

/// What a policy selects, and what it has selected now.
fn selects(namespace: &str, name: &str, policies: &[&Seen]) -> String {
    let one = |pointer: &str| policies.iter().find_map(|seen| seen.text(pointer));
    let rule = if let Some(range) = one("/spec/policy/semver/range") {
        format!("the highest version in {range}")
    } else if policies
        .iter()
        .any(|seen| seen.value.pointer("/spec/policy/alphabetical").is_some())
    {
        let order = one("/spec/policy/alphabetical/order").unwrap_or("asc");
        format!("the last tag in alphabetical order ({order})")
    } else if policies
        .iter()
        .any(|seen| seen.value.pointer("/spec/policy/numerical").is_some())
    {
        let order = one("/spec/policy/numerical/order").unwrap_or("asc");
        format!("the last tag in numerical order ({order})")
    } else {
        format!("what ImagePolicy {namespace}/{name} selects, which was not read")
    };
    let filter = one("/spec/filterTags/pattern");
    let filter = filter.map_or_else(String::new, |pattern| format!(" among tags like {pattern}"));
    // v1beta2 and later tell the parts, v1beta1 the whole image.
    let now = one("/status/latestRef/tag").or_else(|| one("/status/latestImage"));
    let now = now.map_or_else(String::new, |tag| format!(", now {tag}"));
    format!("{rule}{filter}{now}")
}

/// Whether something acts on the markers, and when; `None` where all that could is suspended.
fn automation(subject: &Subject<'_>, namespace: &str, path: &str) -> Option<(bool, String)> {
    let deciding: Vec<&Seen> = subject
        .deciding("ImageUpdateAutomation")
        .filter(|seen| seen.may_be_in(namespace) && covers(seen, path))
        .collect();
    let suspended =
        |seen: &&&Seen| seen.value.pointer("/spec/suspend") == Some(&serde_json::Value::Bool(true));
    let running: Vec<&Seen> = deciding
        .iter()
        .filter(|seen| !suspended(seen))
        .copied()
        .collect();
    let Some(first) = running.first() else {
        if !deciding.is_empty() {
            return None;
        }
        let when = format!(
            "whether an ImageUpdateAutomation of namespace {namespace} runs could not be seen"
        );
        return Some((false, when));
    };
    // One that pushes to the target's branch is enough.
    let own = |seen: &&&Seen| pushes_to(seen).is_none_or(|branch| branch == subject.git.branch);
    let first = running.iter().find(own).unwrap_or(first);
    let every = first.text("/spec/interval").unwrap_or("its interval");
    let when = format!(
        "ImageUpdateAutomation {namespace}/{} runs every {every}, and when the policy or the branch changes",
        first.name
    );
    match pushes_to(first).filter(|branch| *branch != subject.git.branch) {
        Some(branch) => Some((
            false,
            format!(
                "{when}; it pushes to {branch}, not to {}",
                subject.git.branch
            ),
        )),
        None => Some((first.value.pointer("/spec/policySelector").is_none(), when)),
    }
}

/// The branch that an automation pushes to: its own, else the one that it checks out
/// (`configurePush`, image-automation-controller 0.39 and later). `None` where the GitRepository
/// says it, which is not read.
fn pushes_to(automation: &Seen) -> Option<&str> {
    let text = |pointer| automation.text(pointer).filter(|branch| !branch.is_empty());
    text("/spec/git/push/branch").or_else(|| text("/spec/git/checkout/ref/branch"))
}

/// Whether an automation's `spec.update.path` holds a file; empty is the whole repository.
fn covers(automation: &Seen, path: &str) -> bool {
    let folder = automation.text("/spec/update/path").unwrap_or_default();
    let folder = folder.trim_start_matches("./").trim_matches('/');
    folder.is_empty() || folder == "." || path.starts_with(&format!("{folder}/"))
}
