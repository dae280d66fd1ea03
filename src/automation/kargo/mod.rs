//! Kargo (group kargo.akuity.io/v1alpha1, 1.0 to 1.6): a Stage promotes Freight, and a promotion
//! writes the image into Git. Whether it does so by itself is the promotion policy of the
//! project's ProjectConfig (1.5 and later) or Project.

use globset::Glob;
use regex::Regex;
use serde_json::Value;

use super::seen::{Seen, Subject};
use super::{Finding, Pin, Tool};

mod steps;

use steps::Reach;

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
        if known {
            continue;
        }
        match steps::writes(subject, stage) {
            Reach::Surely => found.push(finding(subject, (project, &stage.name), Some(stage))),
            Reach::Maybe if brings(subject, project, stage) => {
                let mut finding = finding(subject, (project, &stage.name), Some(stage));
                finding.certain = false;
                finding
                    .when
                    .push_str(", if it writes the target's file, which its steps leave open");
                found.push(finding);
            }
            Reach::Maybe | Reach::Not => {}
        }
    }
    found
}

fn authorized<'s>(subject: &Subject<'s>) -> Option<(&'s str, &'s str)> {
    let value = subject.application?.annotations.get(AUTHORIZED)?;
    value.split_once(':')
}

/// Whether the Freight of a Stage has an image of the target, or may have one: its Warehouses
/// were not read.
fn brings(subject: &Subject<'_>, project: &str, stage: &Seen) -> bool {
    let asked = warehouses(stage);
    let mut houses = subject
        .deciding("Warehouse")
        .filter(|seen| seen.may_be_in(project) && asked.contains(&seen.name.as_str()))
        .peekable();
    houses.peek().is_none() || !images(subject, project, &asked).is_empty()
}

fn finding(subject: &Subject<'_>, (project, name): (&str, &str), stage: Option<&Seen>) -> Finding {
    let (certain, when) = match promotes_itself(subject, project, (name, stage)) {
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
    let asked = stage.map(warehouses).unwrap_or_default();
    let images = images(subject, project, &asked);
    if images.is_empty() {
        "its Freight".to_owned()
    } else {
        images.join(", ")
    }
}

/// The names of the Warehouses that a Stage's Freight comes from.
fn warehouses(stage: &Seen) -> Vec<&str> {
    let asked = stage.value.pointer("/spec/requestedFreight");
    let asked = asked.and_then(Value::as_array).into_iter().flatten();
    asked
        .filter_map(|freight| freight.pointer("/origin/name")?.as_str())
        .collect()
}

/// The images of the target that Warehouses subscribe to, each with how its tag is chosen.
fn images(subject: &Subject<'_>, project: &str, asked: &[&str]) -> Vec<String> {
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
    images.collect()
}

/// `None` where no policy of the project was read, or one that may be about the Stage cannot be
/// decided.
fn promotes_itself(
    subject: &Subject<'_>,
    project: &str,
    (name, stage): (&str, Option<&Seen>),
) -> Option<bool> {
    let configs = subject
        .deciding("ProjectConfig")
        .filter(|seen| seen.may_be_in(project));
    let old = subject
        .deciding("Project")
        .filter(|seen| seen.name == project);
    let mut seen = false;
    let mut open = false;
    for config in configs.chain(old) {
        seen = true;
        let policies = config.value.pointer("/spec/promotionPolicies");
        for policy in policies.and_then(Value::as_array).into_iter().flatten() {
            let itself = policy["autoPromotionEnabled"] == Value::Bool(true);
            match selects(policy, name, stage) {
                Some(true) => return Some(itself),
                Some(false) => {}
                None => open |= itself,
            }
        }
    }
    (seen && !open).then_some(false)
}

/// Whether a policy is about a Stage (`PromotionPolicySelector`, 1.5): by its name, which may be
/// `regex:` or `glob:`, and by its labels; both have to fit where both are there. `None` where
/// that cannot be decided.
fn selects(policy: &Value, name: &str, stage: Option<&Seen>) -> Option<bool> {
    if let Some(own) = policy["stage"].as_str() {
        return Some(own == name);
    }
    let selector = &policy["stageSelector"];
    let named = match selector["name"].as_str().filter(|own| !own.is_empty()) {
        None => true,
        Some(own) => {
            if let Some(regex) = own.strip_prefix("regex:") {
                Regex::new(regex.trim()).ok()?.is_match(name)
            } else if let Some(glob) = own.strip_prefix("glob:") {
                Glob::new(glob.trim())
                    .ok()?
                    .compile_matcher()
                    .is_match(name)
            } else {
                own == name
            }
        }
    };
    if !named {
        return Some(false);
    }
    let wanted = selector["matchLabels"].as_object();
    if let Some(wanted) = wanted {
        let labels = &stage?.value["metadata"]["labels"];
        if wanted
            .iter()
            .any(|(key, value)| labels.get(key) != Some(value))
        {
            return Some(false);
        }
    }
    selector["matchExpressions"].is_null().then_some(true)
}
