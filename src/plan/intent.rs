//! The edits that the intents other than a rollback stand for. They are the same for
//! a manifest in Git and for the live object.

use serde_json::{Value, json};

use super::document::{Document, TEMPLATE, set, tag_places};
use super::later::is_tag_text;
use super::{Blocker, Intent, Variable};
use crate::manifest::{Edit, Path, Step};
use crate::model::{ImageRef, PodTemplate, WorkloadKind, WorkloadRef};

/// kubectl's mark of a restart (`kubectl rollout restart`, 1.15 and later).
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// A document's text after an intent's edits. `file` names the document in messages.
pub(super) fn edited(
    document: &Document,
    (file, target): (&str, &WorkloadRef),
    intent: &Intent,
) -> Result<String, Blocker> {
    match intent {
        Intent::Scale { .. } | Intent::Abort { .. } => {
            let replicas = intent.replicas();
            if target.kind == WorkloadKind::DaemonSet {
                return Err(unsupported(intent, "a DaemonSet has no replicas"));
            }
            document.apply(file, &[set("spec.replicas", json!(replicas))?])
        }
        Intent::SetImage { images } => set_images(document, file, images),
        Intent::SetEnv {
            container,
            variables,
        } => set_env(document, (file, target), container.as_deref(), variables),
        Intent::Restart { at } => {
            let path = Path::of_keys(["spec", "template", "metadata", "annotations", RESTARTED_AT]);
            put_all(
                document,
                (file, target),
                vec![(path, json!(at.to_string()))],
            )
        }
        Intent::Pause | Intent::Resume if target.kind != WorkloadKind::Deployment => {
            Err(unsupported(intent, "only a Deployment can be paused"))
        }
        Intent::Pause => document.apply(file, &[set("spec.paused", json!(true))?]),
        Intent::Resume => resume(document, file),
        Intent::Rollback
        | Intent::Revert { .. }
        | Intent::Hold
        | Intent::Unhold
        | Intent::Bounce
        | Intent::Adopt => Ok(document.text().to_owned()),
    }
}

fn unsupported(intent: &Intent, why: &str) -> Blocker {
    Blocker::new(
        "not-supported",
        format!("{} is not possible: {why}", intent.word()),
        "name another target",
    )
}

/// The key is taken away where it stands: Argo CD (3.2) sees no difference in
/// `paused: false` alone, but it takes away a field that a manifest stops naming.
fn resume(document: &Document, file: &str) -> Result<String, Blocker> {
    let path = Path::of_keys(["spec", "paused"]);
    if document.value("spec.paused").is_none() {
        return Ok(document.text().to_owned());
    }
    document.apply(file, &[Edit::Remove { path }])
}

/// Images by container name, and in the same change whatever names the old tag in
/// labels and variables: two changes would be two rollouts.
fn set_images(
    document: &Document,
    file: &str,
    images: &[(String, String)],
) -> Result<String, Blocker> {
    let template = document.template().unwrap_or_else(PodTemplate::absent);
    let current = template.images();
    let mut edits = Vec::new();
    for (name, image) in images {
        let Some((_, old)) = current.iter().find(|(own, _)| own == name) else {
            return Err(no_container(name, &current));
        };
        for list in ["containers", "initContainers"] {
            let path = format!("{TEMPLATE}.spec.{list}[{name}].image");
            if document.value(&path).is_some() {
                edits.push(set(&path, Value::from(image.as_str()))?);
            }
        }
        let new = ImageRef::new(image.as_str());
        let (Some(old), Some(new)) = (old.tag(), new.tag()) else {
            continue;
        };
        for place in tag_places(&template, &[old.to_owned()]) {
            let path = format!("{TEMPLATE}.{}", place.path());
            let is = document.value(&path);
            let spelled = is.as_ref().and_then(Value::as_str).unwrap_or_default();
            debug_assert!(is_tag_text(&json!(spelled), old));
            let bare = new.strip_prefix('v').unwrap_or(new);
            let value = match (spelled.starts_with('v'), old.starts_with('v')) {
                (true, false) => format!("v{bare}"),
                (false, true) => bare.to_owned(),
                _ => new.to_owned(),
            };
            edits.push(set(&path, Value::from(value))?);
        }
    }
    document.apply(file, &edits)
}

fn no_container(name: &str, current: &[(String, ImageRef)]) -> Blocker {
    let known: Vec<&str> = current.iter().map(|(own, _)| own.as_str()).collect();
    Blocker::new(
        "container-unknown",
        format!(
            "there is no container {name}; there are {}",
            known.join(", ")
        ),
        "name one of those",
    )
}

/// Literal variables. A string stays a string: Kubernetes takes no other type there.
fn set_env(
    document: &Document,
    (file, target): (&str, &WorkloadRef),
    container: Option<&str>,
    variables: &[Variable],
) -> Result<String, Blocker> {
    let template = document.template().unwrap_or_else(PodTemplate::absent);
    let mut puts = Vec::new();
    for variable in variables {
        let Some(value) = &variable.value else {
            return Err(Blocker::new(
                "value-not-kept",
                format!(
                    "the value of {} is not known any more: values of variables are not journaled",
                    variable.name
                ),
                "run the command again",
            ));
        };
        let name = container_for(&template, container, &variable.name)?;
        let place = format!("{TEMPLATE}.spec.containers[{name}].env[{}]", variable.name);
        if document.value(&format!("{place}.valueFrom")).is_some() {
            return Err(Blocker::new(
                "value-from-elsewhere",
                format!(
                    "{} of container {name} comes from elsewhere (valueFrom); a literal value would be the second source",
                    variable.name
                ),
                format!(
                    "change what spec.template.spec.containers[{name}].env[{}].valueFrom names",
                    variable.name
                ),
            ));
        }
        let path = path(&place)?;
        if document.value(&place).is_some() {
            puts.push((path.key("value"), json!(value)));
        } else {
            puts.push((path, json!({"name": variable.name, "value": value})));
        }
    }
    put_all(document, (file, target), puts)
}

/// The container that a variable belongs to.
fn container_for(
    template: &PodTemplate,
    wanted: Option<&str>,
    variable: &str,
) -> Result<String, Blocker> {
    let list = template
        .value()
        .pointer("/spec/containers")
        .and_then(Value::as_array);
    let named: Vec<(&str, &Value)> = list
        .into_iter()
        .flatten()
        .filter_map(|container| Some((container.get("name")?.as_str()?, container)))
        .collect();
    if let Some(wanted) = wanted {
        return match named.iter().find(|(name, _)| *name == wanted) {
            Some((name, _)) => Ok((*name).to_owned()),
            None => Err(no_container(wanted, &template.images())),
        };
    }
    if let [(only, _)] = named.as_slice() {
        return Ok((*only).to_owned());
    }
    let has = |container: &Value| {
        let env = container.get("env").and_then(Value::as_array);
        env.into_iter()
            .flatten()
            .any(|entry| entry.get("name").and_then(Value::as_str) == Some(variable))
    };
    let holders: Vec<&str> = named
        .iter()
        .filter(|(_, container)| has(container))
        .map(|(name, _)| *name)
        .collect();
    match holders.as_slice() {
        [only] => Ok((*only).to_owned()),
        _ => Err(Blocker::new(
            "container-ambiguous",
            format!(
                "{variable} could be meant for {}",
                named
                    .iter()
                    .map(|(name, _)| *name)
                    .collect::<Vec<_>>()
                    .join(" or ")
            ),
            "say which with -c CONTAINER",
        )),
    }
}

fn path(text: &str) -> Result<Path, Blocker> {
    text.parse().map_err(|error| {
        Blocker::new(
            "edit-refused",
            format!("{text}: {error}"),
            "edit the file by hand",
        )
    })
}

/// Writes values one after the other; maps and list items that lead to them are made.
pub(super) fn put_all(
    document: &Document,
    (file, target): (&str, &WorkloadRef),
    puts: Vec<(Path, Value)>,
) -> Result<String, Blocker> {
    let mut text = document.text().to_owned();
    for (path, value) in puts {
        let now = Document::of(&text, file, target)?;
        let edit = put(&now, path, value);
        text = now.apply(file, &[edit])?;
    }
    Ok(text)
}

fn put(document: &Document, path: Path, value: Value) -> Edit<'static> {
    let exists = |path: &Path| document.at(path).is_some_and(|value| !value.is_null());
    let Some(parent) = path.parent().filter(|_| !exists(&path)) else {
        return Edit::Set { path, value };
    };
    match path.last() {
        Some(Step::Named { .. }) if exists(&parent) => Edit::Insert {
            path: parent.child(Step::End),
            value,
        },
        _ if exists(&parent) => Edit::Set { path, value },
        Some(Step::Key(key)) => put(document, parent, json!({ key.as_str(): value })),
        _ => put(document, parent, json!([value])),
    }
}
