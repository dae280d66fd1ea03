//! Kargo (group kargo.akuity.io/v1alpha1, 1.0 to 1.6): a Stage promotes Freight, and a promotion
//! writes the image into Git. Whether it does so by itself is the promotion policy of the
//! project's ProjectConfig (1.5 and later) or Project.

use serde_json::Value;

use super::seen::{Seen, Subject};
use super::{Finding, Pin, Tool};

/// `PROJECT:STAGE`: the Stage that may touch the Application.
const AUTHORIZED: &str = "kargo.akuity.io/authorized-stage";

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let authorized = authorized(subject);
    if let Some((project, name)) = authorized {
        let stage = subject
            .deciding("Stage")
            .find(|seen| seen.name == name && seen.may_be_in(project));
        found.push(finding(subject, (project, name), stage));
    }
    for stage in subject.deciding("Stage") {
        let project = stage.namespace.as_deref().unwrap_or_default();
        let known =
            authorized.is_some_and(|(own, name)| stage.name == name && stage.may_be_in(own));
        if !known && writes(subject, stage) {
            found.push(finding(subject, (project, &stage.name), Some(stage)));
        }
    }
    found
}

fn authorized<'s>(subject: &Subject<'s>) -> Option<(&'s str, &'s str)> {
    let value = subject.application?.annotations.get(AUTHORIZED)?;
    value.split_once(':')
}

/// Whether a promotion into the Stage has a step that writes one of the target's files: the
/// steps of Kargo that set images, with its file or its folder in their configuration.
fn writes(subject: &Subject<'_>, stage: &Seen) -> bool {
    const WRITERS: [&str; 5] = [
        "yaml-update",
        "json-update",
        "kustomize-set-image",
        "helm-update-image",
        "argocd-update",
    ];
    let steps = stage.value.pointer("/spec/promotionTemplate/spec/steps");
    let steps = steps.and_then(Value::as_array).into_iter().flatten();
    let mut steps = steps.filter(|step| {
        step["uses"]
            .as_str()
            .is_some_and(|uses| WRITERS.contains(&uses))
    });
    let paths = subject.paths();
    steps.any(|step| {
        let mut texts = Vec::new();
        collect(&step["config"], &mut texts);
        texts.iter().any(|text| {
            // A path in a step begins with the checkout's folder.
            let named = |path: &str| !path.is_empty() && ends_with_path(text, path);
            paths
                .iter()
                .any(|path| named(path) || named(folder_of(path)))
                || (step["uses"] == "argocd-update"
                    && subject.application.is_some_and(|app| app.name == **text))
        })
    })
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn ends_with_path(text: &str, path: &str) -> bool {
    let text = text.trim_end_matches('/');
    text.strip_suffix(path)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

fn collect<'v>(value: &'v Value, texts: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(map) => map.values().for_each(|item| collect(item, texts)),
        _ => {}
    }
}

fn finding(subject: &Subject<'_>, (project, name): (&str, &str), stage: Option<&Seen>) -> Finding {
    let (certain, when) = match promotes_itself(subject, project, name) {
        Some(true) => (
            true,
            "as soon as there is Freight that the Stage accepts".to_owned(),
        ),
        Some(false) => (false, "when somebody promotes Freight".to_owned()),
        None => (
            false,
            "whether it promotes by itself could not be seen".to_owned(),
        ),
    };
    let place = match stage {
        Some(stage) => stage.place(),
        None => format!("annotation {AUTHORIZED} of the Application"),
    };
    Finding {
        tool: Tool::Kargo,
        place,
        does: format!(
            "promotes {} into Stage {project}/{name}",
            freight(subject, project, stage)
        ),
        when,
        certain,
        pin: Pin::ByHand(format!(
            "promote the older Freight in Kargo instead, or set autoPromotionEnabled: false for Stage {name} in the promotion policies of project {project}"
        )),
    }
}

/// What comes: the images of the Stage's Warehouses.
fn freight(subject: &Subject<'_>, project: &str, stage: Option<&Seen>) -> String {
    let asked = stage.and_then(|stage| stage.value.pointer("/spec/requestedFreight"));
    let asked: Vec<&str> = asked
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|freight| freight.pointer("/origin/name")?.as_str())
        .collect();
    let houses = subject
        .deciding("Warehouse")
        .filter(|seen| seen.may_be_in(project));
    let images = houses
        .filter(|seen| asked.contains(&seen.name.as_str()))
        .flat_map(|seen| {
            let list = seen.value.pointer("/spec/subscriptions");
            list.and_then(Value::as_array).into_iter().flatten()
        });
    let images = images.filter_map(|subscription| {
        let image = subscription.get("image")?;
        let text = |key: &str| image[key].as_str();
        let url = text("repoURL")?;
        let strategy = text("imageSelectionStrategy").unwrap_or("SemVer");
        let constraint = text("constraint").or_else(|| text("semverConstraint"));
        let constraint = constraint.map_or_else(String::new, |c| format!(" {c}"));
        subject
            .runs(url)
            .then(|| format!("{url} ({strategy}{constraint})"))
    });
    let images: Vec<String> = images.collect();
    if images.is_empty() {
        "its Freight".to_owned()
    } else {
        images.join(", ")
    }
}

/// `None` where no policy of the project was read.
fn promotes_itself(subject: &Subject<'_>, project: &str, stage: &str) -> Option<bool> {
    let configs = subject
        .deciding("ProjectConfig")
        .filter(|seen| seen.may_be_in(project));
    let old = subject
        .deciding("Project")
        .filter(|seen| seen.name == project);
    let mut seen = false;
    for config in configs.chain(old) {
        seen = true;
        let policies = config.value.pointer("/spec/promotionPolicies");
        for policy in policies.and_then(Value::as_array).into_iter().flatten() {
            let named = policy["stage"].as_str();
            let named = named.or_else(|| policy.pointer("/stageSelector/name")?.as_str());
            if named == Some(stage) {
                return Some(policy["autoPromotionEnabled"] == Value::Bool(true));
            }
        }
    }
    // A selector by labels or by a pattern may mean the Stage as well.
    seen.then_some(false)
}
