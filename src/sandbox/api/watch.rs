//! Watches: the present state where asked for, then every change.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::request::{Call, Target};
use super::{Answer, Selector, table};
use crate::sandbox::error::ApiError;
use crate::sandbox::json::text;
use crate::sandbox::kinds::Kind;
use crate::sandbox::store::Event;
use crate::sandbox::world::World;

struct Watch {
    world: Arc<World>,
    kind: &'static Kind,
    namespace: String,
    selector: Selector,
    table: bool,
    bookmarks: bool,
    seen: HashSet<String>,
    after: u64,
    queue: VecDeque<Value>,
    ends: Instant,
    over: bool,
}

/// Starts a watch; the response lasts until its timeout or the sandbox's end.
pub(crate) fn answer(
    world: &Arc<World>,
    call: &Call,
    kind: &'static Kind,
    target: &Target,
) -> Result<Answer, ApiError> {
    let mut fields = call.param("fieldSelector").to_owned();
    if !target.name.is_empty() {
        fields = format!("metadata.name={}", target.name);
    }
    let timeout = call.param("timeoutSeconds").parse().unwrap_or(1800);
    let mut watch = Watch {
        world: world.clone(),
        kind,
        namespace: target.namespace.clone(),
        selector: Selector::parse(call.param("labelSelector"), &fields)?,
        table: table::wanted(&call.accept),
        bookmarks: call.flag("allowWatchBookmarks"),
        seen: HashSet::new(),
        after: 0,
        queue: VecDeque::new(),
        ends: Instant::now() + Duration::from_secs(timeout),
        over: false,
    };
    let from: u64 = call.param("resourceVersion").parse().unwrap_or(0);
    watch.begin(from, call.flag("sendInitialEvents"))?;
    let stream = futures::stream::unfold(watch, |mut watch| async move {
        let line = watch.next().await?;
        Some((Ok::<_, std::io::Error>(format!("{line}\n")), watch))
    });
    Ok(Answer::Stream(Body::from_stream(stream)))
}

impl Watch {
    fn begin(&mut self, from: u64, initial: bool) -> Result<(), ApiError> {
        let world = self.world.clone();
        world.store.with(|objects| {
            self.after = if from == 0 {
                objects.resource_version()
            } else {
                from
            };
            objects.since(self.after)?;
            for object in objects.list(self.kind, &self.namespace) {
                if !self.selector.matches(&object) {
                    continue;
                }
                self.seen.insert(text(&object, "/metadata/uid").to_owned());
                if from == 0 || initial {
                    self.push("ADDED", &object);
                }
            }
            if initial {
                self.after = objects.resource_version();
                self.bookmark(true);
            }
            Ok(())
        })
    }

    fn push(&mut self, event: &str, object: &Value) {
        let object = if self.table {
            table::of(self.kind, std::slice::from_ref(object), "")
        } else {
            object.clone()
        };
        self.queue
            .push_back(json!({"type": event, "object": object}));
    }

    fn bookmark(&mut self, initial_end: bool) {
        let mut meta = json!({"resourceVersion": self.after.to_string()});
        if initial_end {
            meta["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        self.queue.push_back(json!({"type": "BOOKMARK", "object": {
            "kind": self.kind.kind, "apiVersion": self.kind.api_version(), "metadata": meta}}));
    }

    async fn next(&mut self) -> Option<Value> {
        let mut changed = self.world.store.subscribe();
        loop {
            if let Some(line) = self.queue.pop_front() {
                return Some(line);
            }
            if self.over {
                return None;
            }
            changed.mark_unchanged();
            self.collect();
            if !self.queue.is_empty() {
                continue;
            }
            tokio::select! {
                _ = changed.changed() => {}
                () = self.world.stopped() => self.over = true,
                () = tokio::time::sleep_until(self.ends) => {
                    self.over = true;
                    if self.bookmarks {
                        self.bookmark(false);
                    }
                }
            }
        }
    }

    fn collect(&mut self) {
        let changes = match self.world.store.with(|objects| objects.since(self.after)) {
            Ok(changes) => changes,
            Err(error) => {
                self.queue
                    .push_back(json!({"type": "ERROR", "object": error.body()}));
                self.over = true;
                return;
            }
        };
        for change in changes {
            self.after = change.resource_version;
            let object = &change.object;
            if !change.kind.is(self.kind.group, self.kind.kind)
                || !(self.namespace.is_empty()
                    || self.kind.kind == "Namespace"
                    || text(object, "/metadata/namespace") == self.namespace)
            {
                continue;
            }
            let uid = text(object, "/metadata/uid").to_owned();
            let shown = self.seen.contains(&uid);
            let matches = change.event != Event::Deleted && self.selector.matches(object);
            match (shown, matches) {
                (false, true) => {
                    self.seen.insert(uid);
                    self.push("ADDED", object);
                }
                (true, true) => self.push("MODIFIED", object),
                (true, false) => {
                    self.seen.remove(&uid);
                    self.push("DELETED", object);
                }
                (false, false) => {}
            }
        }
    }
}
