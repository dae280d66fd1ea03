//! Later work: what commits after the target state did inside the pod template.

use serde_json::Value;

use crate::manifest::{Change, Path, diff_values_at};
use crate::model::{PodTemplate, TemplateState};

use super::LaterWork;

/// Every commit newer than `target`, newest first, that changed the pod template.
/// `bad` is the bad release's index.
pub(super) fn later_work(states: &[TemplateState], target: usize, bad: usize) -> Vec<LaterWork> {
    let mut found = Vec::new();
    for (index, state) in states.iter().enumerate().take(target) {
        let Some(before) = states.get(index + 1) else {
            continue;
        };
        let changes = changed_fields(&before.template, &state.template);
        if changes.is_empty() {
            continue;
        }
        let release = index == bad || changes.iter().all(|change| names_release(before, change));
        let restored = states.get(target).is_some_and(|good| {
            good.template.without_restarts() == state.template.without_restarts()
        });
        found.push(LaterWork {
            commit: state.commit.id.as_str().to_owned(),
            author: state.commit.author.name.clone(),
            subject: state.commit.subject().to_owned(),
            fields: changes
                .iter()
                .map(|change| change.path.to_string())
                .collect(),
            taken_back: !restored,
            release: release || restored,
        });
    }
    found
}

/// The fields in which two templates differ, restart marks left out.
pub(super) fn changed_fields(old: &PodTemplate, new: &PodTemplate) -> Vec<Change> {
    let template = Path::of_keys(["spec", "template"]);
    diff_values_at(
        &template,
        old.without_restarts().value(),
        new.without_restarts().value(),
    )
}

/// Whether a change only ships a release: an image, or a value that names the tag.
fn names_release(before: &TemplateState, change: &Change) -> bool {
    let path = change.path.to_string();
    if path.ends_with(".image") {
        return true;
    }
    let tags: Vec<String> = before
        .template
        .images()
        .iter()
        .filter_map(|(_, image)| image.tag().map(str::to_owned))
        .collect();
    change
        .old
        .as_ref()
        .is_some_and(|value| tags.iter().any(|tag| is_tag_text(value, tag)))
}

/// Whether a label's or variable's value spells a tag (`1.2.0` or `v1.2.0`).
pub(super) fn is_tag_text(value: &Value, tag: &str) -> bool {
    let bare = |text: &str| text.strip_prefix('v').unwrap_or(text).to_owned();
    value
        .as_str()
        .is_some_and(|text| !tag.is_empty() && bare(text) == bare(tag))
}
