//! The object store: everything that the simulated etcd and API server storage keep.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::error::ApiError;
use super::json::{flag, int, now, set, text, uid, unset};
use super::kinds::Kind;
use super::managed_fields;

/// How many changes a watch can lag behind before it is told to list again.
const LOG_LENGTH: usize = 20_000;

/// Address of an object: kind (by qualified plural), namespace ("" for cluster scope), name.
pub(crate) type Key = (&'static str, &'static str, String, String);

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Added,
    Modified,
    Deleted,
}

/// One change, for watches and for reads of an earlier state.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) at: Instant,
    pub(crate) resource_version: u64,
    pub(crate) kind: &'static Kind,
    pub(crate) event: Event,
    pub(crate) object: Arc<Value>,
}

/// Who writes: the field manager, and the subresource if any.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer<'a> {
    pub(crate) manager: &'a str,
    pub(crate) apply: bool,
}

/// Which part of an object a write may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything but status (kinds with a status subresource), everything (others).
    Main,
    /// The status subresource.
    Status,
    /// The replicas, through the scale subresource.
    Scale,
}

impl Part {
    /// The subresource that managed fields name.
    pub(crate) const fn subresource(self) -> &'static str {
        match self {
            Self::Main => "",
            Self::Status => "status",
            Self::Scale => "scale",
        }
    }
}

/// The objects and their history.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    items: BTreeMap<Key, Arc<Value>>,
    /// The objects that a controller has, by its uid: asked for at every pass, for each one.
    owned: HashMap<String, BTreeSet<Key>>,
    resource_version: u64,
    log: VecDeque<Change>,
}

fn key(kind: &Kind, namespace: &str, name: &str) -> Key {
    let namespace = if kind.namespaced { namespace } else { "" };
    (
        kind.group,
        kind.plural,
        namespace.to_owned(),
        name.to_owned(),
    )
}

impl Objects {
    pub(crate) fn resource_version(&self) -> u64 {
        self.resource_version
    }

    pub(crate) fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.items.get(&key(kind, namespace, name)).cloned()
    }

    pub(crate) fn require(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
    ) -> Result<Arc<Value>, ApiError> {
        self.get(kind, namespace, name)
            .ok_or_else(|| ApiError::not_found(kind, name))
    }

    /// Objects of a kind, of one namespace or of all ("").
    pub(crate) fn list(&self, kind: &'static Kind, namespace: &str) -> Vec<Arc<Value>> {
        let from = key(kind, namespace, "");
        self.items
            .range(from..)
            .take_while(|((group, plural, ns, _), _)| {
                *group == kind.group
                    && *plural == kind.plural
                    && (namespace.is_empty() || ns == namespace)
            })
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// Every object with its kind.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static Kind, &Arc<Value>)> {
        self.items
            .iter()
            .filter_map(|(k, v)| Some((super::kinds::by_plural_any(k.0, k.1)?, v)))
    }

    /// Changes after a resource version; an error when they are no longer all there.
    pub(crate) fn since(&self, resource_version: u64) -> Result<Vec<Change>, ApiError> {
        if let Some(oldest) = self.log.front()
            && oldest.resource_version > resource_version + 1
            && self.log.len() >= LOG_LENGTH
        {
            return Err(ApiError::gone());
        }
        let start = self
            .log
            .partition_point(|c| c.resource_version <= resource_version);
        Ok(self.log.range(start..).cloned().collect())
    }

    /// The object as it was at a moment, if it existed then.
    pub(crate) fn as_of(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        at: Instant,
    ) -> Option<Arc<Value>> {
        let mut last = None;
        for change in self.log.iter().take_while(|c| c.at <= at) {
            let object = &change.object;
            if change.kind.is(kind.group, kind.kind)
                && text(object, "/metadata/name") == name
                && text(object, "/metadata/namespace") == namespace
            {
                last = Some(change);
            }
        }
        last.filter(|c| c.event != Event::Deleted)
            .map(|c| c.object.clone())
    }

    fn record(&mut self, kind: &'static Kind, event: Event, mut object: Value) -> Arc<Value> {
        self.resource_version += 1;
        set(
            &mut object,
            &["metadata", "resourceVersion"],
            json!(self.resource_version.to_string()),
        );
        let object = Arc::new(object);
        let key = key(
            kind,
            text(&object, "/metadata/namespace"),
            text(&object, "/metadata/name"),
        );
        let before = match event {
            Event::Deleted => self.items.remove(&key),
            Event::Added | Event::Modified => self.items.insert(key.clone(), object.clone()),
        };
        let owner_before = before.as_deref().and_then(controller_uid);
        let owner = controller_uid(&object).filter(|_| event != Event::Deleted);
        if owner != owner_before {
            self.move_owned(&key, owner_before, owner);
        }
        self.log.push_back(Change {
            at: Instant::now(),
            resource_version: self.resource_version,
            kind,
            event,
            object: object.clone(),
        });
        if self.log.len() > LOG_LENGTH {
            self.log.pop_front();
        }
        object
    }

    fn move_owned(&mut self, key: &Key, from: Option<&str>, to: Option<&str>) {
        if let Some(from) = from
            && let Some(keys) = self.owned.get_mut(from)
        {
            keys.remove(key);
            if keys.is_empty() {
                self.owned.remove(from);
            }
        }
        if let Some(to) = to {
            let keys = self.owned.entry(to.to_owned()).or_default();
            keys.insert(key.clone());
        }
    }

    /// Stores a new object. Its name and namespace must be in place.
    pub(crate) fn create(
        &mut self,
        kind: &'static Kind,
        object: Value,
        by: Writer<'_>,
    ) -> Result<Arc<Value>, ApiError> {
        let object = self.fresh(kind, object, by)?;
        Ok(self.record(kind, Event::Added, object))
    }

    /// A new object as it would be stored.
    pub(crate) fn fresh(
        &self,
        kind: &'static Kind,
        mut object: Value,
        by: Writer<'_>,
    ) -> Result<Value, ApiError> {
        let name = text(&object, "/metadata/name").to_owned();
        let namespace = text(&object, "/metadata/namespace").to_owned();
        if self.get(kind, &namespace, &name).is_some() {
            return Err(ApiError::exists(kind, &name));
        }
        object["apiVersion"] = json!(kind.api_version());
        object["kind"] = json!(kind.kind);
        set(&mut object, &["metadata", "uid"], json!(uid()));
        set(&mut object, &["metadata", "creationTimestamp"], now());
        if !kind.namespaced {
            unset(&mut object, &["metadata", "namespace"]);
        }
        if kind.generation {
            set(&mut object, &["metadata", "generation"], json!(1));
        }
        managed_fields::record(None, &mut object, by, Part::Main);
        Ok(object)
    }

    /// Stores a changed object; nothing happens when it says what is there already.
    pub(crate) fn update(
        &mut self,
        kind: &'static Kind,
        object: Value,
        part: Part,
        by: Writer<'_>,
    ) -> Result<Arc<Value>, ApiError> {
        match self.changed(kind, object, part, by)? {
            Merged::Same(old) => Ok(old),
            Merged::Changed(_, object) => Ok(self.record(kind, Event::Modified, object)),
        }
    }

    /// What `update` would store, with the resource version as it is now: a dry run.
    pub(crate) fn preview(
        &self,
        kind: &'static Kind,
        object: Value,
        part: Part,
        by: Writer<'_>,
    ) -> Result<Arc<Value>, ApiError> {
        Ok(match self.changed(kind, object, part, by)? {
            Merged::Same(old) => old,
            Merged::Changed(_, object) => Arc::new(object),
        })
    }

    fn changed(
        &self,
        kind: &'static Kind,
        object: Value,
        part: Part,
        by: Writer<'_>,
    ) -> Result<Merged, ApiError> {
        let mut merged = self.merged_update(kind, object, part)?;
        if let Merged::Changed(old, object) = &mut merged {
            managed_fields::record(Some(old), object, by, part);
        }
        Ok(merged)
    }

    /// As `update`, by the system's own controllers, which keep no managed fields here.
    pub(crate) fn put(
        &mut self,
        kind: &'static Kind,
        object: Value,
        part: Part,
    ) -> Result<Arc<Value>, ApiError> {
        match self.merged_update(kind, object, part)? {
            Merged::Same(old) => Ok(old),
            Merged::Changed(_, object) => Ok(self.record(kind, Event::Modified, object)),
        }
    }

    fn merged_update(
        &self,
        kind: &'static Kind,
        mut object: Value,
        part: Part,
    ) -> Result<Merged, ApiError> {
        let name = text(&object, "/metadata/name").to_owned();
        let namespace = text(&object, "/metadata/namespace").to_owned();
        let old = self.require(kind, &namespace, &name)?;
        check_preconditions(kind, &old, &object, &name)?;
        let has_status = kind.subresources.contains(&"status");
        if has_status && part != Part::Status {
            keep(&mut object, &old, "status");
        } else if has_status {
            let status = object.get("status").cloned();
            object = (*old).clone();
            object["status"] = status.unwrap_or(json!({}));
        }
        for field in [
            "uid",
            "creationTimestamp",
            "generation",
            "resourceVersion",
            "managedFields",
        ] {
            match old["metadata"].get(field) {
                Some(value) => set(&mut object, &["metadata", field], value.clone()),
                None => unset(&mut object, &["metadata", field]),
            }
        }
        object["apiVersion"] = old["apiVersion"].clone();
        object["kind"] = old["kind"].clone();
        if object == *old {
            return Ok(Merged::Same(old));
        }
        if kind.generation && desired_differs(&old, &object, has_status) {
            let generation = int(&old, "/metadata/generation").unwrap_or(0) + 1;
            set(&mut object, &["metadata", "generation"], json!(generation));
        }
        Ok(Merged::Changed(old, object))
    }

    /// Takes an object away at once.
    pub(crate) fn delete(
        &mut self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
    ) -> Result<Arc<Value>, ApiError> {
        let old = self.require(kind, namespace, name)?;
        Ok(self.record(kind, Event::Deleted, (*old).clone()))
    }

    /// Objects that name `owner_uid` as their controller.
    pub(crate) fn owned(
        &self,
        kind: &'static Kind,
        namespace: &str,
        owner_uid: &str,
    ) -> Vec<Arc<Value>> {
        let keys = self.owned.get(owner_uid);
        let keys = keys.into_iter().flatten().filter(|(group, plural, ns, _)| {
            let is_there = namespace.is_empty() || !kind.namespaced || ns == namespace;
            *group == kind.group && *plural == kind.plural && is_there
        });
        keys.filter_map(|key| self.items.get(key).cloned())
            .collect()
    }
}

enum Merged {
    Same(Arc<Value>),
    Changed(Arc<Value>, Value),
}

/// The uid of the owner that controls an object.
pub(crate) fn controller_uid(object: &Value) -> Option<&str> {
    let owners = object.pointer("/metadata/ownerReferences")?.as_array()?;
    owners
        .iter()
        .find(|o| flag(o, "/controller"))?
        .get("uid")?
        .as_str()
}

fn check_preconditions(kind: &Kind, old: &Value, new: &Value, name: &str) -> Result<(), ApiError> {
    let wanted = text(new, "/metadata/resourceVersion");
    if !wanted.is_empty() && wanted != text(old, "/metadata/resourceVersion") {
        return Err(ApiError::conflict(kind, name));
    }
    let (wanted, found) = (text(new, "/metadata/uid"), text(old, "/metadata/uid"));
    if !wanted.is_empty() && wanted != found {
        return Err(ApiError::uid_conflict(
            &kind.qualified(),
            name,
            wanted,
            found,
        ));
    }
    Ok(())
}

fn keep(object: &mut Value, old: &Value, field: &str) {
    match old.get(field) {
        Some(value) => object[field] = value.clone(),
        None => unset(object, &[field]),
    }
}

/// Kubernetes bumps the generation on any change outside metadata, and outside status where
/// status is a subresource.
fn desired_differs(old: &Value, new: &Value, has_status: bool) -> bool {
    let strip = |value: &Value| {
        let mut value = value.clone();
        unset(&mut value, &["metadata"]);
        if has_status {
            unset(&mut value, &["status"]);
        }
        value
    };
    strip(old) != strip(new)
}

/// The shared store; every change wakes the watches.
#[derive(Debug)]
pub(crate) struct Store {
    objects: Mutex<Objects>,
    changed: watch::Sender<u64>,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self {
            objects: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }

    /// Runs a transaction.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Objects) -> T) -> T {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let out = act(&mut objects);
        let version = objects.resource_version;
        drop(objects);
        self.changed
            .send_if_modified(|seen| std::mem::replace(seen, version) != version);
        out
    }

    /// Wakes at every change.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::kinds::by_kind;

    const BY: Writer<'static> = Writer {
        manager: "test",
        apply: false,
    };

    fn deployment() -> Value {
        json!({"metadata": {"name": "web", "namespace": "a"}, "spec": {"replicas": 1}})
    }

    #[test]
    fn generation_follows_spec_only() {
        let kind = by_kind("apps", "Deployment").unwrap();
        let mut objects = Objects::default();
        let made = objects.create(kind, deployment(), BY).unwrap();
        assert_eq!(int(&made, "/metadata/generation"), Some(1));
        let mut labelled = (*made).clone();
        set(&mut labelled, &["metadata", "labels"], json!({"x": "y"}));
        let labelled = objects.update(kind, labelled, Part::Main, BY).unwrap();
        assert_eq!(int(&labelled, "/metadata/generation"), Some(1));
        let mut scaled = (*labelled).clone();
        scaled["spec"]["replicas"] = json!(2);
        let scaled = objects.update(kind, scaled, Part::Main, BY).unwrap();
        assert_eq!(int(&scaled, "/metadata/generation"), Some(2));
        let same = objects
            .update(kind, (*scaled).clone(), Part::Main, BY)
            .unwrap();
        assert_eq!(
            same["metadata"]["resourceVersion"],
            scaled["metadata"]["resourceVersion"]
        );
    }

    #[test]
    fn stale_resource_version_conflicts() {
        let kind = by_kind("apps", "Deployment").unwrap();
        let mut objects = Objects::default();
        let made = objects.create(kind, deployment(), BY).unwrap();
        let mut scaled = (*made).clone();
        scaled["spec"]["replicas"] = json!(2);
        objects.update(kind, scaled, Part::Main, BY).unwrap();
        let mut late = (*made).clone();
        late["spec"]["replicas"] = json!(3);
        let error = objects.update(kind, late, Part::Main, BY).unwrap_err();
        assert_eq!(error.code, 409);
        assert!(
            error.message.contains("deployments.apps \"web\""),
            "{}",
            error.message
        );
    }

    #[test]
    fn what_a_controller_has_follows_its_references() {
        let pods = by_kind("", "Pod").unwrap();
        let mut objects = Objects::default();
        let owned = |objects: &Objects, uid: &str| objects.owned(pods, "a", uid).len();
        let by = |uid: &str| json!([{"uid": uid, "controller": true}]);
        let pod = |name: &str| json!({"metadata": {"name": name, "namespace": "a", "ownerReferences": by("u")}});
        let made = objects.create(pods, pod("x"), BY).unwrap();
        objects.create(pods, pod("y"), BY).unwrap();
        assert_eq!((owned(&objects, "u"), owned(&objects, "v")), (2, 0));
        assert!(objects.owned(pods, "b", "u").is_empty());
        let mut adopted = (*made).clone();
        adopted["metadata"]["ownerReferences"] = by("v");
        objects.update(pods, adopted, Part::Main, BY).unwrap();
        assert_eq!((owned(&objects, "u"), owned(&objects, "v")), (1, 1));
        objects.delete(pods, "a", "y").unwrap();
        objects.delete(pods, "a", "x").unwrap();
        assert!(objects.owned.is_empty());
    }

    #[test]
    fn earlier_states_can_be_read() {
        let kind = by_kind("", "ConfigMap").unwrap();
        let mut objects = Objects::default();
        let made = json!({"metadata": {"name": "c", "namespace": "a"}, "data": {"k": "1"}});
        objects.create(kind, made, BY).unwrap();
        let between = Instant::now();
        std::thread::sleep(std::time::Duration::from_millis(5));
        let mut next = (*objects.get(kind, "a", "c").unwrap()).clone();
        next["data"]["k"] = json!("2");
        objects.update(kind, next, Part::Main, BY).unwrap();
        assert_eq!(
            objects.as_of(kind, "a", "c", between).unwrap()["data"]["k"],
            "1"
        );
        assert_eq!(objects.get(kind, "a", "c").unwrap()["data"]["k"], "2");
    }
}
