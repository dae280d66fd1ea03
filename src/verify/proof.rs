//! Whether what a commit is rendered to differs from today's only as was planned.

use serde_json::Value;

use crate::manifest::{Path, Step, diff_values};
use crate::model::{Desired, ObjectRef, PodTemplate};

/// Fields of a target besides its pod template that a plan may change.
const BESIDE: [&str; 2] = ["spec.replicas", "spec.paused"];

/// Objects that one program rendered without and with a commit.
#[derive(Debug, Clone, Copy)]
pub struct Renderings<'a> {
    /// What rendered them.
    pub by: &'a str,
    /// Without the commit.
    pub before: &'a [Value],
    /// With it.
    pub after: &'a [Value],
    /// Whether it is what renders for the cluster. What another program renders may differ from
    /// that in what the commit leaves alone: then only the change itself is compared.
    pub decides: bool,
}

/// Compares two renderings: the target must get the planned pod template, and nothing else may
/// differ but objects named in `others`, as KIND/NAME. Gives the evidence.
///
/// # Errors
/// What differs and was not planned.
pub fn proof(
    renderings: Renderings<'_>,
    (target, desired): (&ObjectRef, &Desired),
    others: &[String],
) -> Result<String, String> {
    let Renderings {
        by, before, after, ..
    } = renderings;
    let bare = |objects: &[Value]| without_digests(objects, (target, &desired.digests));
    let (before, after) = (bare(before), bare(after));
    let is_target = |object: &&Value| {
        name(object) == format!("{}/{}", target.kind, target.name)
            && namespace(object).is_none_or(|own| own == target.namespace)
    };
    let found = (before.iter().find(is_target), after.iter().find(is_target));
    match (desired.removal, found.1) {
        (None, None) => return Err(format!("{target} is not among what {by} renders of it")),
        (None, Some(rendered)) => {
            let old = found.0.filter(|_| !renderings.decides);
            as_planned((old, rendered), (target, desired))?;
            let own = format!("{}/{}", target.kind, target.name);
            if let Some(old) = found.0.filter(|_| !others.contains(&own)) {
                nothing_besides((old, rendered), target)?;
            }
        }
        (Some(_), Some(_)) => {
            return Err(format!("{target} is still among what {by} renders of it"));
        }
        (Some(_), None) => {}
    }
    let rest = |list: &[Value]| -> Vec<Value> {
        let others = list.iter().filter(|object| !is_target(object));
        others.cloned().collect()
    };
    let (old, new) = (rest(&before), rest(&after));
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
        "{by} renders {} objects of it; only what was planned differs",
        after.len()
    ))
}

/// The objects, the target without its digests: they follow what is compared besides.
fn without_digests(objects: &[Value], (target, digests): (&ObjectRef, &[String])) -> Vec<Value> {
    let own = format!("{}/{}", target.kind, target.name);
    let mut all = objects.to_vec();
    for object in all.iter_mut().filter(|object| name(object) == own) {
        for path in digests.iter().filter_map(|path| path.parse::<Path>().ok()) {
            take_out(object, path.steps());
        }
    }
    all
}

fn take_out(node: &mut Value, steps: &[Step]) {
    let Some((first, rest)) = steps.split_first() else {
        return;
    };
    let next = match (node, first) {
        (Value::Object(fields), Step::Key(key)) if rest.is_empty() => {
            fields.remove(key);
            return;
        }
        (Value::Object(fields), Step::Key(key)) => fields.get_mut(key),
        (Value::Array(items), Step::Index(index)) => items.get_mut(*index),
        _ => None,
    };
    if let Some(next) = next {
        take_out(next, rest);
    }
}

fn template_of(object: &Value) -> PodTemplate {
    let template = object.pointer("/spec/template").cloned();
    template.map_or_else(PodTemplate::absent, PodTemplate::new)
}

/// The pod template is the planned one; where an old rendering is given, it has changed as planned.
fn as_planned(
    (old, new): (Option<&Value>, &Value),
    (target, desired): (&ObjectRef, &Desired),
) -> Result<(), String> {
    let template = template_of(new);
    let differs = match old {
        None => template != desired.template,
        Some(old) => {
            let changes = |from: &PodTemplate, to: &PodTemplate| -> Vec<_> {
                let all = diff_values(from.value(), to.value()).into_iter();
                all.map(|change| (change.path, change.new)).collect()
            };
            changes(&template_of(old), &template) != changes(&desired.before, &desired.template)
        }
    };
    if !differs {
        return Ok(());
    }
    let fields = fields(desired.template.value(), template.value());
    Err(format!(
        "{target} is rendered with another pod template than planned: {fields}"
    ))
}

/// Nothing of the target differs that no plan changes.
fn nothing_besides((old, new): (&Value, &Value), target: &ObjectRef) -> Result<(), String> {
    let unplanned =
        |path: &String| !path.starts_with("spec.template") && !BESIDE.contains(&path.as_str());
    let changes = diff_values(old, new).into_iter();
    let mut paths = changes.map(|change| change.path.to_string());
    match paths.find(unplanned) {
        None => Ok(()),
        Some(path) => Err(format!(
            "{target} is rendered with another {path}, which is not planned"
        )),
    }
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

    fn target() -> ObjectRef {
        let web = WorkloadRef {
            kind: WorkloadKind::Deployment,
            namespace: "a".into(),
            name: "web".into(),
        };
        web.object()
    }

    fn by_argo<'a>(before: &'a [Value], after: &'a [Value]) -> Renderings<'a> {
        Renderings {
            by: "Argo CD",
            decides: true,
            before,
            after,
        }
    }

    fn service(port: u16) -> Value {
        json!({"kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": port}]}})
    }

    #[test]
    fn only_what_was_planned_may_differ() {
        let target = target();
        let template = |tag: &str| PodTemplate::new(web(tag)["spec"]["template"].clone());
        let desired = Desired::of_template(template("1"), template("2"));
        let before = [web("2"), service(80)];
        let judge = |after: &[Value], others: &[String]| {
            proof(by_argo(&before, after), (&target, &desired), others)
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
        assert!(proof(by_argo(&before, &[service(80)]), (&target, &gone), &[]).is_ok());
        assert!(proof(by_argo(&before, &before), (&target, &gone), &[]).is_err());
    }

    /// A digest in the target follows what is compared besides.
    #[test]
    fn a_digest_may_differ() {
        let target = target();
        let digested = |tag: &str, sum: &str| {
            let mut object = web(tag);
            object["spec"]["template"]["metadata"] =
                json!({"annotations": {"checksum/config": sum, "own": "x"}});
            object
        };
        let template = |tag: &str| {
            let mut template = digested(tag, "")["spec"]["template"].clone();
            template["metadata"]["annotations"] = json!({"own": "x"});
            PodTemplate::new(template)
        };
        let mut desired = Desired::of_template(template("1"), template("2"));
        let (before, after) = ([digested("2", "abc")], [digested("1", "def")]);
        let judge = |desired: &Desired| proof(by_argo(&before, &after), (&target, desired), &[]);
        assert!(judge(&desired).is_err());
        let path = r#"spec.template.metadata.annotations["checksum/config"]"#;
        desired.digests = vec![path.to_owned()];
        judge(&desired).unwrap();
    }

    #[test]
    fn of_another_program_only_the_change_counts() {
        let target = target();
        let template = |tag: &str| PodTemplate::new(web(tag)["spec"]["template"].clone());
        let desired = Desired::of_template(template("1"), template("2"));
        // Its own version of Kubernetes shows in a field that the commit leaves alone.
        let other = |tag: &str| {
            let mut object = web(tag);
            object["spec"]["template"]["metadata"] = json!({"labels": {"kube": "1.30"}});
            object
        };
        let judge = |before: Value, after: Value| {
            let by_helm = Renderings {
                by: "helm v3",
                decides: false,
                before: &[before],
                after: &[after],
            };
            proof(by_helm, (&target, &desired), &[])
        };
        let evidence = judge(other("2"), other("1")).unwrap();
        assert!(
            evidence.starts_with("helm v3 renders 1 object"),
            "{evidence}"
        );
        assert!(judge(other("2"), other("3")).is_err());
        assert!(judge(other("2"), other("2")).is_err());
        assert!(judge(web("2"), other("1")).is_err());
    }
}
