//! An object in words, in the manner of `kubectl describe`: what it should be, what it
//! is, what happened to it. The object is masked already.

use serde_json::Value;

use super::human::{one_line, table};
use crate::model::ClusterEvent;

/// Columns of a text file.
const WIDTH: usize = 160;
/// Column at which values begin.
const INDENT: usize = 26;

/// Describes a workload (with its ReplicaSets or ControllerRevisions) or a pod.
/// `events` are those about it, the oldest first; `None` where they are not known.
#[must_use]
pub fn describe(object: &Value, sets: &[Value], events: Option<&[&ClusterEvent]>) -> String {
    let mut page = Page::default();
    heading(&mut page, object);
    if at(object, "/kind") == "Pod" {
        pod(&mut page, object);
    } else {
        workload(&mut page, object, sets);
    }
    conditions(&mut page, object);
    page.section("Events");
    match events {
        None => page.0.push_str("  they could not be read\n"),
        Some([]) => page.0.push_str("  there are none\n"),
        Some(events) => page.0.push_str(&table_of(events.iter().copied(), false)),
    }
    page.0
}

/// Events in the given order, one a line.
#[must_use]
pub fn events_text(events: &[ClusterEvent]) -> String {
    if events.is_empty() {
        return "there are none\n".to_owned();
    }
    table_of(events, true)
}

fn table_of<'e>(events: impl IntoIterator<Item = &'e ClusterEvent>, named: bool) -> String {
    let rows: Vec<Vec<String>> = events
        .into_iter()
        .map(|event| {
            let time = event.last_seen.map_or("-".to_owned(), |at| at.to_string());
            let mut row = vec![time, event.severity.clone(), one_line(&event.reason, 60)];
            if named {
                row.push(format!(
                    "{}/{}",
                    event.about_kind.to_lowercase(),
                    event.about_name
                ));
            }
            row.push(event.count.to_string());
            row.push(one_line(&event.message, 1000));
            row
        })
        .collect();
    let header: &[&str] = if named {
        &["last seen", "type", "reason", "object", "count", "message"]
    } else {
        &["last seen", "type", "reason", "count", "message"]
    };
    table(header, &rows, WIDTH)
}

#[derive(Default)]
struct Page(String);

impl Page {
    /// A line with a name, left out where there is nothing to say.
    fn line(&mut self, name: &str, value: &str) {
        self.indented(0, name, value);
    }

    fn indented(&mut self, by: usize, name: &str, value: &str) {
        if !value.is_empty() {
            let name = format!("{}{name}:", " ".repeat(by));
            let value = one_line(value, 1000);
            self.0.push_str(&format!("{name:INDENT$} {value}\n"));
        }
    }

    fn section(&mut self, name: &str) {
        self.0.push_str(&format!("{name}:\n"));
    }
}

fn at<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A number, a switch or a text as words; empty where there is none.
fn word(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    let items = value.pointer(pointer).and_then(Value::as_array);
    items.map_or(&[], Vec::as_slice)
}

/// `a=b, c=d`.
fn pairs(value: Option<&Value>) -> String {
    let pairs = value.and_then(Value::as_object).into_iter().flatten();
    let words = pairs.map(|(key, value)| match value {
        Value::String(text) => format!("{key}={text}"),
        other => format!("{key}={other}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

fn heading(page: &mut Page, object: &Value) {
    for (name, pointer) in [
        ("Kind", "/kind"),
        ("Name", "/metadata/name"),
        ("Namespace", "/metadata/namespace"),
        ("Uid", "/metadata/uid"),
        ("Created", "/metadata/creationTimestamp"),
        ("Deleted", "/metadata/deletionTimestamp"),
        ("Generation", "/metadata/generation"),
        ("Observed generation", "/status/observedGeneration"),
    ] {
        page.line(name, &word(object, pointer));
    }
    page.line("Labels", &pairs(object.pointer("/metadata/labels")));
    page.line(
        "Annotations",
        &pairs(object.pointer("/metadata/annotations")),
    );
    for owner in list(object, "/metadata/ownerReferences") {
        let name = format!("{}/{}", at(owner, "/kind"), at(owner, "/name"));
        page.line("Controlled by", &name);
    }
}

fn workload(page: &mut Page, object: &Value, sets: &[Value]) {
    page.line(
        "Selector",
        &pairs(object.pointer("/spec/selector/matchLabels")),
    );
    for (name, pointer) in [
        ("Replicas wanted", "/spec/replicas"),
        ("Pods", "/status/replicas"),
        ("Updated", "/status/updatedReplicas"),
        ("Ready", "/status/readyReplicas"),
        ("Available", "/status/availableReplicas"),
        ("Unavailable", "/status/unavailableReplicas"),
        ("Pods wanted", "/status/desiredNumberScheduled"),
        ("Pods ready", "/status/numberReady"),
        ("Pods updated", "/status/updatedNumberScheduled"),
        ("Current revision", "/status/currentRevision"),
        ("Update revision", "/status/updateRevision"),
        ("Strategy", "/spec/strategy/type"),
        ("Update strategy", "/spec/updateStrategy/type"),
        ("Progress deadline", "/spec/progressDeadlineSeconds"),
        ("Min ready seconds", "/spec/minReadySeconds"),
        ("Paused", "/spec/paused"),
    ] {
        page.line(name, &word(object, pointer));
    }
    page.section("Pod template");
    page.indented(
        2,
        "Labels",
        &pairs(object.pointer("/spec/template/metadata/labels")),
    );
    for field in [
        "/spec/template/spec/initContainers",
        "/spec/template/spec/containers",
    ] {
        for container in list(object, field) {
            wanted(page, container);
        }
    }
    if sets.is_empty() {
        return;
    }
    page.section("Recorded templates");
    let mut rows: Vec<Vec<String>> = sets.iter().map(set_row).collect();
    // The newest first.
    rows.sort_by_key(|row| std::cmp::Reverse(row[1].parse::<i64>().unwrap_or(-1)));
    let header = ["name", "revision", "created", "wanted", "ready", "images"];
    page.0.push_str(&table(&header, &rows, WIDTH));
}

fn set_row(set: &Value) -> Vec<String> {
    let revision = at(
        set,
        "/metadata/annotations/deployment.kubernetes.io~1revision",
    );
    let revision = if revision.is_empty() {
        word(set, "/revision")
    } else {
        revision.to_owned()
    };
    // A ControllerRevision keeps the template below `data`.
    let images: Vec<&str> = ["/spec/template", "/data/spec/template"]
        .iter()
        .flat_map(|place| list(set, &format!("{place}/spec/containers")))
        .map(|container| at(container, "/image"))
        .collect();
    vec![
        at(set, "/metadata/name").to_owned(),
        revision,
        at(set, "/metadata/creationTimestamp").to_owned(),
        word(set, "/spec/replicas"),
        word(set, "/status/readyReplicas"),
        images.join(", "),
    ]
}

/// What a container should be.
fn wanted(page: &mut Page, container: &Value) {
    page.0
        .push_str(&format!("  {}:\n", one_line(at(container, "/name"), 80)));
    page.indented(4, "Image", at(container, "/image"));
    let ports: Vec<String> = list(container, "/ports")
        .iter()
        .map(|port| {
            let number = word(port, "/containerPort");
            format!("{number} {}", at(port, "/name"))
                .trim_end()
                .to_owned()
        })
        .collect();
    page.indented(4, "Ports", &ports.join(", "));
    for field in ["command", "args"] {
        let words: Vec<&str> = list(container, &format!("/{field}"))
            .iter()
            .filter_map(Value::as_str)
            .collect();
        page.indented(4, field, &words.join(" "));
    }
    page.indented(
        4,
        "Requests",
        &pairs(container.pointer("/resources/requests")),
    );
    page.indented(4, "Limits", &pairs(container.pointer("/resources/limits")));
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        page.indented(4, probe, &pairs(container.get(probe)));
    }
    let names: Vec<&str> = list(container, "/env")
        .iter()
        .map(|env| at(env, "/name"))
        .collect();
    page.indented(4, "Environment", &names.join(", "));
}

fn pod(page: &mut Page, object: &Value) {
    for (name, pointer) in [
        ("Node", "/spec/nodeName"),
        ("Service account", "/spec/serviceAccountName"),
        ("Phase", "/status/phase"),
        ("Reason", "/status/reason"),
        ("Message", "/status/message"),
        ("Started", "/status/startTime"),
        ("IP", "/status/podIP"),
        ("QoS class", "/status/qosClass"),
    ] {
        page.line(name, &word(object, pointer));
    }
    for (title, specs, states) in [
        (
            "Init containers",
            "/spec/initContainers",
            "/status/initContainerStatuses",
        ),
        (
            "Containers",
            "/spec/containers",
            "/status/containerStatuses",
        ),
    ] {
        if list(object, specs).is_empty() {
            continue;
        }
        page.section(title);
        for container in list(object, specs) {
            wanted(page, container);
            let name = at(container, "/name");
            let state = list(object, states)
                .iter()
                .find(|state| at(state, "/name") == name);
            match state {
                Some(state) => is(page, state),
                None => page.indented(4, "State", "nothing is told"),
            }
        }
    }
}

/// What a container is.
fn is(page: &mut Page, state: &Value) {
    page.indented(4, "Image id", at(state, "/imageID"));
    page.indented(4, "Ready", &word(state, "/ready"));
    page.indented(4, "Restarts", &word(state, "/restartCount"));
    for (name, field) in [("State", "/state"), ("Last state", "/lastState")] {
        let moments = state.pointer(field).and_then(Value::as_object);
        for (kind, moment) in moments.into_iter().flatten() {
            page.indented(4, name, &format!("{kind} {}", pairs(Some(moment))));
        }
    }
}

fn conditions(page: &mut Page, object: &Value) {
    let rows: Vec<Vec<String>> = list(object, "/status/conditions")
        .iter()
        .map(|condition| {
            let mut row: Vec<String> = ["/type", "/status", "/lastTransitionTime", "/reason"]
                .iter()
                .map(|pointer| word(condition, pointer))
                .collect();
            row.push(one_line(at(condition, "/message"), 1000));
            row
        })
        .collect();
    if !rows.is_empty() {
        page.section("Conditions");
        let header = ["type", "status", "since", "reason", "message"];
        page.0.push_str(&table(&header, &rows, WIDTH));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(second: u32, severity: &str, reason: &str) -> ClusterEvent {
        ClusterEvent {
            severity: severity.to_owned(),
            reason: reason.to_owned(),
            message: format!("{reason} \u{1b}[2J"),
            about_kind: "Pod".to_owned(),
            about_name: "web-1".to_owned(),
            count: 3,
            last_seen: format!("2026-01-01T00:00:{second:02}Z").parse().ok(),
        }
    }

    #[test]
    fn a_crashing_pod() {
        let pod = json!({"kind": "Pod",
            "metadata": {"name": "web-1", "namespace": "mcp", "labels": {"app": "web"},
                "ownerReferences": [{"kind": "ReplicaSet", "name": "web"}]},
            "spec": {"nodeName": "n1",
                "initContainers": [{"name": "wait", "image": "busybox:1"}],
                "containers": [{"name": "main", "image": "web:2",
                    "env": [{"name": "TOKEN", "value": "***"}],
                    "resources": {"limits": {"memory": "64Mi"}}}]},
            "status": {"phase": "Running",
                "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}],
                "containerStatuses": [{"name": "main", "ready": false, "restartCount": 3,
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                    "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]}});
        let (first, second) = (
            event(1, "Normal", "Pulled"),
            event(2, "Warning", "Unhealthy"),
        );
        let text = describe(&pod, &[], Some(&[&first, &second]));
        for line in [
            "Name:                      web-1",
            "Controlled by:             ReplicaSet/web",
            "    Image:                 web:2",
            "    Limits:                memory=64Mi",
            "    Environment:           TOKEN",
            "    State:                 nothing is told",
            "    State:                 waiting reason=CrashLoopBackOff",
            "    Last state:            terminated exitCode=137, reason=OOMKilled",
            "    Restarts:              3",
        ] {
            assert!(text.lines().any(|l| l == line), "{line:?} in\n{text}");
        }
        let order = [
            "Conditions:",
            "ContainersNotReady",
            "Events:",
            "Pulled",
            "Unhealthy",
        ]
        .map(|word| {
            text.find(word)
                .unwrap_or_else(|| panic!("{word} in\n{text}"))
        });
        assert!(order.is_sorted(), "{order:?} in\n{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn workloads_of_both_kinds_of_history() {
        let deployment = json!({"kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}},
                "template": {"spec": {"containers": [{"name": "main", "image": "web:2",
                    "ports": [{"name": "http", "containerPort": 80}, {"containerPort": 81}]}]}}},
            "status": {"readyReplicas": 1}});
        let set = json!({"metadata": {"name": "web-9",
                "annotations": {"deployment.kubernetes.io/revision": "4"}},
            "spec": {"template": {"spec": {"containers": [{"image": "web:1"}]}}}});
        let revision = json!({"metadata": {"name": "db-7"}, "revision": 5,
            "data": {"spec": {"template": {"spec": {"containers": [{"image": "db:3"}]}}}}});
        let text = describe(&deployment, &[set, revision], None);
        for words in [
            "Replicas wanted:           2",
            "80 http, 81",
            "they could not be read",
        ] {
            assert!(text.contains(words), "{words:?} in\n{text}");
        }
        let row = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(row("web-9"), ["web-9", "4", "web:1"]);
        assert_eq!(row("db-7"), ["db-7", "5", "db:3"]);
    }

    #[test]
    fn events_are_a_table() {
        let text = events_text(&[event(1, "Normal", "Pulled")]);
        assert!(
            text.contains("pod/web-1") && text.contains("2026-01-01T00:00:01Z"),
            "{text}"
        );
        assert_eq!(events_text(&[]), "there are none\n");
    }
}
