//! Comparing what Git says with what lives: per resource Synced or OutOfSync, and health.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::TRACKING_ID;
use super::health;
use super::source::tracking_id;
use crate::sandbox::defaults;
use crate::sandbox::json::{annotation, list, set, text, unset};
use crate::sandbox::kinds::{Kind, by_kind, by_manifest, split_api_version};
use crate::sandbox::merge::three_way;
use crate::sandbox::store::Objects;

const COMPARE_OPTIONS: &str = "argocd.argoproj.io/compare-options";
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A managed resource: as in Git, as it lives, or both.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) api: String,
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) target: Option<Value>,
    pub(crate) live: Option<Arc<Value>>,
    /// The live object as it would be after a sync.
    pub(crate) predicted: Option<Value>,
    pub(crate) synced: bool,
}

impl Resource {
    fn of(object: &Value) -> Self {
        let (group, api) = split_api_version(text(object, "/apiVersion"));
        Self {
            group: group.to_owned(),
            api: api.to_owned(),
            kind: text(object, "/kind").to_owned(),
            namespace: text(object, "/metadata/namespace").to_owned(),
            name: text(object, "/metadata/name").to_owned(),
            target: None,
            live: None,
            predicted: None,
            synced: false,
        }
    }

    pub(crate) fn served(&self) -> Option<&'static Kind> {
        by_kind(&self.group, &self.kind)
    }

    pub(crate) fn requires_pruning(&self) -> bool {
        self.target.is_none()
    }

    /// Shown as OutOfSync, but without effect on the Application's own state.
    fn is_extraneous(&self) -> bool {
        let options = self
            .live
            .as_deref()
            .and_then(|l| annotation(l, COMPARE_OPTIONS));
        let ignored = options
            .unwrap_or("")
            .split(',')
            .any(|o| o.trim() == "IgnoreExtraneous");
        self.requires_pruning() && ignored
    }

    /// `group/Kind/namespace/name`, for messages and selections.
    pub(crate) fn key(&self) -> String {
        format!(
            "{}/{}/{}/{}",
            self.group, self.kind, self.namespace, self.name
        )
    }

    /// The entry of `status.resources`.
    pub(crate) fn entry(&self) -> Value {
        let state = if self.synced { "Synced" } else { "OutOfSync" };
        let mut out =
            json!({"version": self.api, "kind": self.kind, "name": self.name, "status": state});
        for (field, value) in [("group", &self.group), ("namespace", &self.namespace)] {
            if !value.is_empty() {
                out[field] = json!(value);
            }
        }
        if self.requires_pruning() {
            out["requiresPruning"] = json!(true);
        }
        if let Some(target) = &self.target
            && let Some(wave) = sync_wave(target)
        {
            out["syncWave"] = json!(wave);
        }
        out
    }

    pub(crate) fn health(&self) -> Option<(&'static str, String)> {
        match &self.live {
            Some(live) => health::of(live),
            None => Some(("Missing", String::new())),
        }
    }
}

/// The sync wave of an object, None when it names none.
pub(crate) fn sync_wave(object: &Value) -> Option<i64> {
    annotation(object, "argocd.argoproj.io/sync-wave")?
        .parse()
        .ok()
}

/// Hooks are no part of the compared state; they are not run here either.
fn is_hook(object: &Value) -> bool {
    annotation(object, "argocd.argoproj.io/hook").is_some_and(|hook| hook != "Skip")
}

/// Whether an object asks for a sync option by annotation.
pub(crate) fn has_option(object: &Value, option: &str) -> bool {
    let options = annotation(object, "argocd.argoproj.io/sync-options").unwrap_or("");
    options.split(',').any(|o| o.trim() == option)
}

/// The result for an Application.
#[derive(Debug, Clone, Default)]
pub(crate) struct Comparison {
    pub(crate) resources: Vec<Resource>,
    /// Names of resources that Git has more than once.
    pub(crate) repeated: Vec<(String, usize)>,
}

impl Comparison {
    pub(crate) fn synced(&self) -> bool {
        self.resources.iter().all(|r| r.synced || r.is_extraneous())
    }

    pub(crate) fn health(&self) -> &'static str {
        let counted = self.resources.iter().filter(|r| {
            r.live.as_ref().is_none_or(|l| health::counts(l))
                && !(r.live.is_some() && r.target.is_none())
        });
        let (mut worst, mut any, mut missing) = ("Healthy", false, true);
        for resource in counted {
            let Some((state, _)) = resource.health() else {
                missing = false;
                continue;
            };
            any = true;
            if state != "Missing" {
                missing = false;
                worst = health::worse(worst, state);
            }
        }
        if any && missing { "Missing" } else { worst }
    }
}

/// Live objects by the Application that their tracking id names, if it is their own id.
pub(crate) fn tracked(objects: &Objects) -> BTreeMap<String, Vec<Arc<Value>>> {
    let mut out: BTreeMap<String, Vec<Arc<Value>>> = BTreeMap::new();
    for (_, object) in objects.all() {
        let Some(id) = annotation(object, TRACKING_ID) else {
            continue;
        };
        let Some((app, _)) = id.split_once(':') else {
            continue;
        };
        // ReplicaSets inherit their Deployment's annotations: those ids are not their own.
        if id == tracking_id(object, app) {
            out.entry(app.to_owned()).or_default().push(object.clone());
        }
    }
    out
}

/// Compares the targets of an Application with what lives.
pub(crate) fn compare(
    objects: &Objects,
    app: &Value,
    targets: &[Value],
    tracked: &[Arc<Value>],
) -> Comparison {
    let mut out = Comparison::default();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for target in targets.iter().filter(|t| !is_hook(t)) {
        let mut resource = Resource::of(target);
        let key = resource.key();
        *seen.entry(key.clone()).or_default() += 1;
        out.resources.retain(|r| r.key() != key);
        let kind = by_manifest(target);
        resource.live = kind.and_then(|k| objects.get(k, &resource.namespace, &resource.name));
        if let (Some(kind), Some(live)) = (kind, &resource.live) {
            let predicted = predict(kind, target, live);
            resource.synced = equal(app, kind, &predicted, live);
            resource.predicted = Some(predicted);
        }
        resource.target = Some(target.clone());
        out.resources.push(resource);
    }
    out.repeated = seen.into_iter().filter(|(_, n)| *n > 1).collect();
    let known: BTreeSet<String> = out.resources.iter().map(Resource::key).collect();
    for live in tracked {
        let mut resource = Resource::of(live);
        if !known.contains(&resource.key()) {
            resource.live = Some(live.clone());
            out.resources.push(resource);
        }
    }
    out.resources.sort_by_key(Resource::key);
    out
}

/// What `live` becomes by applying `target`.
pub(crate) fn predict(kind: &Kind, target: &Value, live: &Value) -> Value {
    let applied =
        annotation(live, LAST_APPLIED).and_then(|t| serde_json::from_str::<Value>(t).ok());
    let mut out = three_way("", applied.as_ref(), target, Some(live));
    if let Some(own) = annotation(live, LAST_APPLIED) {
        set(
            &mut out,
            &["metadata", "annotations", LAST_APPLIED],
            json!(own),
        );
    }
    match live.get("status") {
        Some(state) => out["status"] = state.clone(),
        None => unset(&mut out, &["status"]),
    }
    defaults::fill(kind, &mut out);
    out
}

fn equal(app: &Value, kind: &Kind, predicted: &Value, live: &Value) -> bool {
    if predicted == live {
        return true;
    }
    let mut predicted = predicted.clone();
    let mut live = live.clone();
    // Argo CD compares Deployments as typed objects, in which `paused: false` is no field
    // at all: a live `paused: true` beside it is no difference (seen on 3.2.11).
    if kind.kind == "Deployment" && predicted["spec"]["paused"] == json!(false) {
        unset(&mut predicted, &["spec", "paused"]);
        unset(&mut live, &["spec", "paused"]);
    }
    for path in ignored(app, kind, text(&live, "/metadata/name")) {
        erase(&mut predicted, &path);
        erase(&mut live, &path);
    }
    predicted == live
}

/// The paths that `spec.ignoreDifferences` names for a resource.
pub(crate) fn ignored(app: &Value, kind: &Kind, name: &str) -> Vec<Vec<String>> {
    let fits = |rule: &&Value| {
        let same = |field: &str, own: &str| match text(rule, field) {
            "" | "*" => true,
            wanted => wanted == own,
        };
        text(rule, "/kind") == kind.kind && same("/group", kind.group) && same("/name", name)
    };
    let mut out = Vec::new();
    for rule in list(app, "/spec/ignoreDifferences").iter().filter(fits) {
        for pointer in list(rule, "/jsonPointers").iter().filter_map(Value::as_str) {
            let parts = pointer.split('/').skip(1);
            out.push(
                parts
                    .map(|p| p.replace("~1", "/").replace("~0", "~"))
                    .collect(),
            );
        }
        for expression in list(rule, "/jqPathExpressions")
            .iter()
            .filter_map(Value::as_str)
        {
            out.push(jq_path(expression));
        }
    }
    out
}

/// The jq paths that people write here: `.a.b[]`, `.a[] | select(.name == "x") | .b`.
fn jq_path(expression: &str) -> Vec<String> {
    let mut out = Vec::new();
    for stage in expression.split('|') {
        let stage = stage.trim();
        if let Some(inner) = stage.strip_prefix("select(.name") {
            let name = inner
                .trim_start_matches([' ', '='])
                .trim_end_matches(')')
                .trim();
            if let Some(last) = out.last_mut() {
                *last = format!("[name={}]", name.trim_matches('"'));
            }
            continue;
        }
        for part in stage
            .replace('[', ".[")
            .split('.')
            .filter(|p| !p.is_empty())
        {
            let number = part.strip_prefix('[').and_then(|p| p.strip_suffix(']'));
            out.push(match number {
                Some("") => "[]".to_owned(),
                Some(inner) => inner.trim_matches('"').to_owned(),
                None => part.trim_matches('"').to_owned(),
            });
        }
    }
    out
}

fn erase(value: &mut Value, path: &[String]) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    if let Some(wanted) = first.strip_prefix('[').and_then(|f| f.strip_suffix(']')) {
        let wanted = wanted.strip_prefix("name=");
        for item in value.as_array_mut().into_iter().flatten() {
            if wanted.is_none_or(|w| item["name"] == w) {
                if rest.is_empty() {
                    *item = Value::Null;
                } else {
                    erase(item, rest);
                }
            }
        }
        return;
    }
    let inner = match value {
        Value::Array(items) => first.parse::<usize>().ok().and_then(|i| items.get_mut(i)),
        _ if rest.is_empty() => {
            unset(value, &[first]);
            None
        }
        _ => value.get_mut(first),
    };
    if let Some(inner) = inner {
        erase(inner, rest);
    }
}

/// Which of `a` and `b`'s fields at ignored paths stay as they live (RespectIgnoreDifferences).
pub(crate) fn keep_ignored(app: &Value, kind: &Kind, predicted: &mut Value, live: &Value) {
    for path in ignored(app, kind, text(live, "/metadata/name")) {
        let simple = path.iter().all(|p| !p.starts_with('['));
        let pointer = format!("/{}", path.join("/"));
        if simple && let Some(own) = live.pointer(&pointer) {
            let keys: Vec<&str> = path.iter().map(String::as_str).collect();
            if let Some(slot) = predicted.pointer_mut(&pointer) {
                *slot = own.clone();
            } else {
                set(predicted, &keys, own.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jq_paths() {
        assert_eq!(jq_path(".spec.replicas"), ["spec", "replicas"]);
        assert_eq!(
            jq_path(".spec.template.spec.containers[] | select(.name == \"a\") | .image"),
            [
                "spec",
                "template",
                "spec",
                "containers",
                "[name=a]",
                "image"
            ]
        );
        assert_eq!(jq_path(".a[0].b[]"), ["a", "0", "b", "[]"]);
    }

    #[test]
    fn ignored_fields_do_not_count() {
        let kind = by_kind("apps", "Deployment").unwrap();
        let app = json!({"spec": {"ignoreDifferences": [
            {"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}]}});
        let live = json!({"metadata": {"name": "d"}, "spec": {"replicas": 3, "x": 1}});
        let scaled = json!({"metadata": {"name": "d"}, "spec": {"replicas": 1, "x": 1}});
        let other = json!({"metadata": {"name": "d"}, "spec": {"replicas": 3, "x": 2}});
        assert!(equal(&app, kind, &scaled, &live));
        assert!(!equal(&app, kind, &other, &live));
    }
}
