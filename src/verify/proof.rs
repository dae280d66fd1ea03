//! Whether what Argo CD renders of a commit differs from today's only as was planned.

use serde_json::Value;

use crate::manifest::diff_values;
use crate::model::{Desired, ObjectRef, PodTemplate};

/// Fields of a target besides its pod template that a plan may change.
const BESIDE: [&str; 2] = ["spec.replicas", "spec.paused"];

/// Compares two renderings: the target must have the planned pod template, and nothing else may
/// differ but objects named in `others`, as KIND/NAME. Gives the evidence.
///
/// # Errors
/// What differs and was not planned.
pub fn proof(
    (before, after): (&[Value], &[Value]),
    (target, desired): (&ObjectRef, &Desired),
    others: &[String],
) -> Result<String, String> {
    let is_target = |object: &&Value| {
        name(object) == format!("{}/{}", target.kind, target.name)
            && namespace(object).is_none_or(|own| own == target.namespace)
    };
    let rendered = after.iter().find(is_target);
    if desired.removal.is_none() {
        let Some(rendered) = rendered else {
            return Err(format!("{target} is not among what Argo CD renders of it"));
        };
        let template = rendered.pointer("/spec/template").cloned();
        let template = template.map_or_else(PodTemplate::absent, PodTemplate::new);
        if template != desired.template {
            let fields = fields(desired.template.value(), template.value());
            return Err(format!(
                "{target} is rendered with another pod template than planned: {fields}"
            ));
        }
        if let Some(old) = before.iter().find(is_target) {
            let unplanned = |path: &String| {
                !path.starts_with("spec.template") && !BESIDE.contains(&path.as_str())
            };
            let changes = diff_values(old, rendered).into_iter();
            let found = changes
                .map(|change| change.path.to_string())
                .find(unplanned);
            if let Some(path) = found {
                return Err(format!(
                    "{target} is rendered with another {path}, which is not planned"
                ));
            }
        }
    } else if rendered.is_some() {
        return Err(format!(
            "{target} is still among what Argo CD renders of it"
        ));
    }
    let rest = |list: &[Value]| -> Vec<Value> {
        let others = list.iter().filter(|object| !is_target(object));
        others.cloned().collect()
    };
    let (old, new) = (rest(before), rest(after));
    let strange = |object: &&Value| !others.contains(&name(object));
    let gone_or_other = old.iter().filter(|object| !new.contains(object));
    let come = new.iter().filter(|object| !old.contains(object));
    if let Some(object) = gone_or_other.chain(come).find(strange) {
        return Err(format!(
            "{} is rendered otherwise, too, which is not planned",
            name(object)
        ));
    }
    Ok(format!(
        "Argo CD renders {} objects of it; only what was planned differs",
        after.len()
    ))
}

fn fields(planned: &Value, rendered: &Value) -> String {
    let changes = diff_values(planned, rendered);
    let paths: Vec<String> = changes
        .iter()
        .take(5)
        .map(|change| change.path.to_string())
        .collect();
    paths.join(", ")
}

fn name(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    format!(
        "{}/{}",
        text("/kind").unwrap_or_default(),
        text("/metadata/name").unwrap_or_default()
    )
}

fn namespace(object: &Value) -> Option<&str> {
    let namespace = object.pointer("/metadata/namespace")?.as_str()?;
    (!namespace.is_empty()).then_some(namespace)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{WorkloadKind, WorkloadRef};

    fn web(tag: &str) -> Value {
        json!({"kind": "Deployment", "metadata": {"name": "web", "namespace": "a"},
            "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "m", "image": format!("web:{tag}")}]}}}})
    }

    fn service(port: u16) -> Value {
        json!({"kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": port}]}})
    }

    #[test]
    fn only_what_was_planned_may_differ() {
        let target = WorkloadRef {
            kind: WorkloadKind::Deployment,
            namespace: "a".into(),
            name: "web".into(),
        }
        .object();
        let template = |tag: &str| PodTemplate::new(web(tag)["spec"]["template"].clone());
        let desired = Desired::of_template(template("1"), template("2"));
        let before = [web("2"), service(80)];
        let judge = |after: &[Value], others: &[String]| {
            proof((&before, after), (&target, &desired), others)
        };
        assert!(judge(&[web("1"), service(80)], &[]).is_ok());
        for (after, word) in [
            (vec![web("2"), service(80)], "another pod template"),
            (vec![service(80)], "not among"),
            (
                vec![web("1"), service(81)],
                "Service/web is rendered otherwise",
            ),
            (vec![web("1")], "Service/web is rendered otherwise"),
        ] {
            let why = judge(&after, &[]).unwrap_err();
            assert!(why.contains(word), "{why}");
        }
        let others = ["Service/web".to_owned()];
        assert!(judge(&[web("1"), service(81)], &others).is_ok());
        let mut labelled = web("1");
        labelled["metadata"]["labels"] = json!({"a": "b"});
        let why = judge(&[labelled, service(80)], &[]).unwrap_err();
        assert!(why.contains("metadata.labels"), "{why}");
        let gone = Desired::removed(template("2"), crate::model::Removal::Pruned);
        assert!(proof((&before, &[service(80)]), (&target, &gone), &[]).is_ok());
        assert!(proof((&before, &before), (&target, &gone), &[]).is_err());
    }
}
