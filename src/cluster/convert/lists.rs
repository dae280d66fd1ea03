//! Events, endpoints and autoscalers.

use std::collections::BTreeMap;

use super::super::wire::{EndpointSliceWire, EventWire, HpaWire};
use super::{said, time};
use crate::model::{ClusterEvent, Endpoint, Hpa};

/// Reads an event, with the uid of the object that it is about. Events of the newer
/// API carry `series` and `eventTime` in place of `count` and `lastTimestamp`.
pub(in super::super) fn event(wire: EventWire) -> (String, ClusterEvent) {
    let series = wire.series.as_ref();
    let last_seen = [
        series.and_then(|series| series.last_observed_time.as_deref()),
        wire.last_timestamp.as_deref(),
        wire.event_time.as_deref(),
        wire.first_timestamp.as_deref(),
        wire.metadata.creation_timestamp.as_deref(),
    ]
    .into_iter()
    .find_map(time);
    let count = series.map(|series| series.count).or(wire.count);
    let event = ClusterEvent {
        severity: wire.severity,
        reason: said(&wire.reason),
        message: said(&wire.message),
        about_kind: wire.involved_object.kind,
        about_name: wire.involved_object.name,
        count: count.unwrap_or(1).max(1),
        last_seen,
    };
    (wire.involved_object.uid, event)
}

/// The addresses of all slices. A pod that stands in several slices of a Service
/// (two address families, several port sets) is one endpoint.
pub(in super::super) fn endpoints(slices: Vec<EndpointSliceWire>) -> Vec<Endpoint> {
    let mut pods: BTreeMap<(String, String), bool> = BTreeMap::new();
    let mut others = Vec::new();
    for slice in slices {
        let Some(service) = slice.metadata.labels.get("kubernetes.io/service-name") else {
            continue;
        };
        for endpoint in slice.endpoints {
            if endpoint.addresses.is_empty() {
                continue;
            }
            // Null counts as ready, by the API's own rule.
            let ready = endpoint.conditions.ready.unwrap_or(true);
            let target = endpoint.target_ref.filter(|target| target.kind == "Pod");
            match target {
                Some(target) => {
                    let known = pods.entry((service.clone(), target.uid)).or_default();
                    *known |= ready;
                }
                None => others.push(Endpoint {
                    service: service.clone(),
                    pod_uid: None,
                    ready,
                }),
            }
        }
    }
    let pods = pods.into_iter().map(|((service, uid), ready)| Endpoint {
        service,
        pod_uid: Some(uid),
        ready,
    });
    pods.chain(others).collect()
}

/// Reads an autoscaler.
pub(in super::super) fn hpa(wire: HpaWire) -> Hpa {
    Hpa {
        name: wire.metadata.name,
        target_kind: wire.spec.scale_target_ref.kind,
        target_name: wire.spec.scale_target_ref.name,
        min_replicas: wire.spec.min_replicas.unwrap_or(1),
        max_replicas: wire.spec.max_replicas,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read_event(value: Value) -> (String, ClusterEvent) {
        event(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn both_forms_of_events() {
        let (uid, old) = read_event(json!({
            "metadata": {"name": "e", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "involvedObject": {"kind": "Pod", "name": "p", "uid": "p1"},
            "type": "Warning", "reason": "BackOff", "count": 7,
            "message": "pull http://u:sekret@registry/x \u{1b}[2J failed",
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:05:00Z",
            "eventTime": null, "series": null
        }));
        assert_eq!((uid.as_str(), old.count), ("p1", 7));
        assert_eq!(old.last_seen.unwrap().to_string(), "2026-01-01T00:05:00Z");
        assert!(!old.message.contains("sekret") && !old.message.contains('\u{1b}'));
        let (_, new) = read_event(json!({
            "metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "p"},
            "type": "Warning", "eventTime": "2026-01-01T00:00:00.000001Z", "count": null,
            "lastTimestamp": null,
            "series": {"count": 4, "lastObservedTime": "2026-01-01T01:00:00.000000Z"}
        }));
        assert_eq!(new.count, 4);
        assert_eq!(new.last_seen.unwrap().to_string(), "2026-01-01T01:00:00Z");
        let (_, bare) = read_event(json!({"metadata": {}}));
        assert_eq!((bare.count, bare.last_seen), (1, None));
    }

    #[test]
    fn slices() {
        let slices: Vec<EndpointSliceWire> = serde_json::from_value(json!([
            {"metadata": {"labels": {"kubernetes.io/service-name": "web"}}, "endpoints": [
                {"addresses": ["10.0.0.1"], "conditions": {"ready": false},
                 "targetRef": {"kind": "Pod", "uid": "p1"}},
                {"addresses": ["10.0.0.2"], "conditions": null,
                 "targetRef": {"kind": "Pod", "uid": "p2"}},
                {"addresses": null, "targetRef": {"kind": "Pod", "uid": "p3"}},
                {"addresses": ["1.2.3.4"], "conditions": {}}]},
            {"metadata": {"labels": {"kubernetes.io/service-name": "web"}}, "endpoints": [
                {"addresses": ["fd00::2"], "conditions": {"ready": true},
                 "targetRef": {"kind": "Pod", "uid": "p2"}}]},
            {"metadata": {"labels": {"kubernetes.io/service-name": "empty"}}, "endpoints": null},
            {"metadata": {}, "endpoints": [{"addresses": ["10.0.0.9"]}]}
        ]))
        .unwrap();
        let found: Vec<_> = endpoints(slices)
            .into_iter()
            .map(|e| (e.service, e.pod_uid, e.ready))
            .collect();
        let web = "web".to_owned();
        assert_eq!(
            found,
            [
                (web.clone(), Some("p1".to_owned()), false),
                (web.clone(), Some("p2".to_owned()), true),
                (web, None, true),
            ]
        );
    }

    #[test]
    fn autoscalers() {
        let wire = serde_json::from_value(json!({"metadata": {"name": "h"}, "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 9}}));
        let read = hpa(wire.unwrap());
        assert_eq!((read.min_replicas, read.max_replicas), (1, 9));
        assert_eq!(
            (read.target_kind.as_str(), read.target_name.as_str()),
            ("Deployment", "web")
        );
    }
}
