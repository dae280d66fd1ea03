//! The triggers on a small world: a canary of two pods.

use serde_json::{Value, json};

use super::*;
use crate::model::{ArgoView, ClusterView, PodTemplate, ReplicaSet, Workload, WorkloadRef};

const NOW: &str = "2026-02-08T12:00:00Z";

fn template(tag: &str) -> Value {
    json!({"spec": {"containers": [{"name": "proxy", "image": format!("zai-proxy:{tag}")}]}})
}

fn workload(change: &Value) -> Workload {
    let mut object = json!({
        "reference": {"kind": "Deployment", "namespace": "mcp", "name": "canary"},
        "uid": "d", "generation": 2, "observedGeneration": 2, "resourceVersion": "1",
        "createdAt": null, "annotations": {}, "labels": {}, "matchLabels": {}, "replicas": 2,
        "rollout": {"replicas": 2, "updated": 2, "ready": 0, "available": 0, "unavailable": 2,
            "conditions": []},
        "paused": false, "progressDeadlineSeconds": 600, "minReadySeconds": 0,
        "strategy": "RollingUpdate", "template": template("2"), "rolloutRevision": null,
        "controller": null, "templateManagers": [], "restOfSpec": null});
    merge(&mut object, change);
    serde_json::from_value(object).unwrap()
}

fn merge(into: &mut Value, change: &Value) {
    for (name, value) in change.as_object().into_iter().flatten() {
        match (&mut into[name], value) {
            (Value::Object(_), Value::Object(_)) => merge(&mut into[name], value),
            (own, value) => *own = value.clone(),
        }
    }
}

/// A pod of the set `uid`, 10 minutes old.
fn pod(name: &str, uid: &str, ready: bool) -> Value {
    json!({"name": name, "namespace": "mcp", "uid": name, "ownerUid": uid,
        "controllerRevisionHash": null, "phase": "Running", "ready": ready, "terminating": false,
        "createdAt": "2026-02-08T11:50:00Z", "node": null, "containers": [
            {"name": "proxy", "image": "zai-proxy:2", "originalImage": null,
             "runningImage": null, "imageId": null, "init": false, "ready": ready, "restarts": 0,
             "problem": null, "lastTermination": null}]})
}

fn waiting(name: &str, reason: &str, restarts: u32) -> Value {
    let mut pod = pod(name, "new", false);
    pod["containers"][0]["problem"] = json!({"reason": reason, "message": "back-off"});
    pod["containers"][0]["restarts"] = json!(restarts);
    pod["containers"][0]["lastTermination"] =
        json!({"reason": "Error", "exitCode": 1, "finishedAt": "2026-02-08T11:59:00Z"});
    pod
}

fn young(mut pod: Value) -> Value {
    pod["createdAt"] = json!("2026-02-08T11:59:30Z");
    pod
}

fn observation(workload: Option<Workload>, pods: Option<Vec<Value>>) -> Observation {
    let set = |uid: &str, tag: &str, number: i64| ReplicaSet {
        name: uid.into(),
        uid: uid.into(),
        owner_uid: "d".into(),
        rollout_revision: Some(crate::model::RolloutRevision(number)),
        created_at: None,
        replicas: 2,
        ready: 0,
        available: 0,
        template: PodTemplate::new(template(tag)),
        pod_template_hash: None,
        reused: false,
    };
    let pods = pods.map(|pods| {
        let read = |pod| serde_json::from_value(pod).unwrap();
        pods.into_iter().map(read).collect()
    });
    Observation {
        at: NOW.parse().unwrap(),
        target: WorkloadRef {
            kind: crate::model::WorkloadKind::Deployment,
            namespace: "mcp".into(),
            name: "canary".into(),
        },
        cluster: ClusterView {
            workload,
            replica_sets: Some(vec![set("old", "1", 1), set("new", "2", 2)]),
            pods,
            ..ClusterView::default()
        },
        argocd: ArgoView::default(),
        git: None,
        signs_commits: None,
        rights: crate::model::Rights::default(),
        automation: Default::default(),
        source_blockers: vec![],
        gaps: vec![],
    }
}

fn silent() -> Signals {
    Signals {
        own: Err("no metrics".into()),
        baseline: Err("no production".into()),
        workers: Err("no workers".into()),
        reason: None,
    }
}

fn judged(observation: &Observation, signals: &Signals, rules: &TriggerRules) -> Vec<Trigger> {
    triggers(observation, signals, rules)
}

#[track_caller]
fn one(triggers: &[Trigger], id: TriggerId) -> (&'static str, Option<Severity>, String) {
    let found = triggers
        .iter()
        .find(|trigger| trigger.check.id == id.as_str());
    let found = found.unwrap();
    let check = &found.check;
    (
        check.verdict.as_str(),
        found.severity,
        check.evidence.clone(),
    )
}

/// The trigger of these pods.
#[track_caller]
fn of_pods(pods: Vec<Value>, id: TriggerId) -> (&'static str, Option<Severity>, String) {
    let seen = observation(Some(workload(&json!({}))), Some(pods));
    one(&judged(&seen, &silent(), &TriggerRules::default()), id)
}

const CRITICAL: Option<Severity> = Some(Severity::Critical);
const WARNING: Option<Severity> = Some(Severity::Warning);

#[test]
fn a_canary_that_crashes_is_rolled_back() {
    let pods = vec![
        young(waiting("a", "CrashLoopBackOff", 1)),
        young(waiting("b", "CrashLoopBackOff", 1)),
    ];
    let seen = observation(Some(workload(&json!({}))), Some(pods));
    let all = judged(&seen, &silent(), &TriggerRules::default());
    let (verdict, severity, evidence) = one(&all, TriggerId::Pods);
    assert_eq!((verdict, severity), ("fails", CRITICAL));
    assert!(evidence.contains("2 of 2 pods") && evidence.contains("a proxy CrashLoopBackOff"));
    for id in [
        TriggerId::ErrorRate,
        TriggerId::Latency,
        TriggerId::Tokens,
        TriggerId::Workers,
        TriggerId::Reported,
    ] {
        assert_eq!(one(&all, id).0, "unknown", "{id:?}");
    }
    for id in [TriggerId::Image, TriggerId::Rollout, TriggerId::Restarts] {
        assert_eq!(one(&all, id).0, "holds", "{id:?}");
    }
    assert_eq!(Advice::of(&all), Advice::Rollback);
}

#[test]
fn the_newest_templates_own_pods_count() {
    let old = |name| pod(name, "old", true);
    let found = of_pods(
        vec![old("a"), old("b"), waiting("c", "CrashLoopBackOff", 9)],
        TriggerId::Pods,
    );
    assert_eq!((found.0, found.1), ("fails", CRITICAL), "{}", found.2);
    // Exactly half of them is no more than half.
    let half = vec![pod("a", "new", true), waiting("b", "CrashLoopBackOff", 9)];
    let found = of_pods(half, TriggerId::Pods);
    assert_eq!((found.0, found.1), ("fails", WARNING), "{}", found.2);
    let good = vec![pod("a", "new", true), old("b")];
    assert_eq!(of_pods(good, TriggerId::Pods).0, "holds");
}

#[test]
fn a_pod_that_starts_is_unknown_until_it_had_its_time() {
    let start = vec![young(pod("a", "new", false))];
    let found = of_pods(start, TriggerId::Pods);
    assert_eq!(found.0, "unknown", "{}", found.2);
    let late = vec![pod("a", "new", false)];
    assert_eq!(of_pods(late, TriggerId::Pods).1, CRITICAL);
    // What fires already fires, whatever the others come to.
    let both = vec![
        pod("a", "new", true),
        pod("b", "new", true),
        waiting("c", "CrashLoopBackOff", 3),
        young(pod("d", "new", false)),
    ];
    assert_eq!(of_pods(both, TriggerId::Pods).1, WARNING);
    let warned = vec![
        waiting("c", "CrashLoopBackOff", 3),
        young(pod("d", "new", false)),
    ];
    assert_eq!(of_pods(warned, TriggerId::Pods).1, WARNING);
}

#[test]
fn what_cannot_be_read_is_unknown() {
    let seen = observation(None, None);
    let all = judged(&seen, &silent(), &TriggerRules::default());
    assert!(all.iter().all(|t| t.check.verdict == Verdict::Unknown));
    assert_eq!(Advice::of(&all), Advice::Unknown);
    let none = of_pods(vec![], TriggerId::Pods);
    assert_eq!(none.0, "unknown", "{}", none.2);
    let out = observation(Some(workload(&json!({"replicas": 0}))), Some(vec![]));
    let all = judged(&out, &silent(), &TriggerRules::default());
    assert_eq!(one(&all, TriggerId::Pods).0, "holds");
}

#[test]
fn an_image_that_cannot_be_pulled() {
    let pods = vec![
        waiting("a", "ImagePullBackOff", 0),
        pod("b", "new", true),
        pod("c", "new", true),
    ];
    let found = of_pods(pods, TriggerId::Image);
    assert_eq!((found.0, found.1), ("fails", WARNING), "{}", found.2);
    let found = of_pods(vec![waiting("a", "ErrImagePull", 0)], TriggerId::Image);
    assert_eq!(found.1, CRITICAL);
}

#[test]
fn rollouts_and_what_watches_them() {
    let late = json!({"rollout": {"conditions": [{"kind": "Progressing", "state": "False",
        "reason": "ProgressDeadlineExceeded", "message": "", "since": null}]}});
    let cases = [
        (late, "fails"),
        (json!({}), "holds"),
        (json!({"paused": true}), "unknown"),
        (
            json!({"progressDeadlineSeconds": 2_147_483_647_i64}),
            "unknown",
        ),
        (json!({"reference": {"kind": "StatefulSet"}}), "unknown"),
        (json!({"observedGeneration": 1}), "unknown"),
        (
            json!({"paused": true, "rollout": {"available": 2}}),
            "holds",
        ),
    ];
    for (change, expected) in cases {
        let seen = observation(Some(workload(&change)), Some(vec![pod("a", "new", true)]));
        let all = judged(&seen, &silent(), &TriggerRules::default());
        assert_eq!(one(&all, TriggerId::Rollout).0, expected, "{change}");
    }
}

#[test]
fn old_restarts_do_not_count() {
    let found = of_pods(
        vec![waiting("a", "CrashLoopBackOff", 3)],
        TriggerId::Restarts,
    );
    assert_eq!((found.0, found.1), ("fails", WARNING), "{}", found.2);
    let mut old = waiting("a", "CrashLoopBackOff", 30);
    old["containers"][0]["lastTermination"]["finishedAt"] = json!("2026-02-08T11:00:00Z");
    assert_eq!(of_pods(vec![old], TriggerId::Restarts).0, "holds");
}

fn metrics(first: &str, seconds: i64, second: &str) -> Result<Metrics, String> {
    let texts = |text: &str| Texts::from([("a".to_owned(), Ok(text.to_owned()))]);
    Ok(Metrics {
        first: texts(first),
        second: Some((seconds, texts(second))),
    })
}

fn counted(ok: u32, failed: u32, tokens: u32) -> String {
    format!(
        "zai_requests_total{{status_code=\"200\"}} {ok}\n\
         zai_requests_total{{status_code=\"502\"}} {failed}\n\
         promhttp_metric_handler_requests_total{{code=\"500\"}} 7{failed}\n\
         zai_tokens_total {tokens}\n"
    )
}

/// What the trigger says of these readings.
#[track_caller]
fn of_metrics(
    own: Result<Metrics, String>,
    id: TriggerId,
) -> (&'static str, Option<Severity>, String) {
    let signals = Signals { own, ..silent() };
    let seen = observation(
        Some(workload(&json!({}))),
        Some(vec![pod("a", "new", true)]),
    );
    one(&judged(&seen, &signals, &TriggerRules::default()), id)
}

#[test]
fn the_share_of_errors_lasts() {
    let rate = |own| of_metrics(own, TriggerId::ErrorRate);
    let first = counted(1000, 5, 0);
    let twelve = counted(1088, 17, 0);
    let found = rate(metrics(&first, 180, &twelve));
    assert_eq!((found.0, found.1), ("fails", CRITICAL));
    assert!(
        found.2.starts_with("12 % errors: 12 of 100 requests"),
        "{}",
        found.2
    );
    assert_eq!(rate(metrics(&first, 180, &counted(1093, 12, 0))).1, WARNING);
    assert_eq!(rate(metrics(&first, 180, &counted(1100, 5, 0))).0, "holds");
    // Shorter than it must last: high says nothing yet, low does.
    let short = rate(metrics(&first, 30, &twelve));
    assert_eq!(short.0, "unknown");
    assert!(short.2.contains("--over 120s"), "{}", short.2);
    assert_eq!(rate(metrics(&first, 30, &counted(1100, 5, 0))).0, "holds");
    // A counter that began again.
    let found = rate(metrics(&first, 180, &counted(97, 3, 0)));
    assert!(found.2.contains("3 of 100"), "{}", found.2);
}

#[test]
fn metrics_without_data_are_unknown() {
    let rate = |own| of_metrics(own, TriggerId::ErrorRate);
    let text = counted(10, 0, 0);
    for (own, words) in [
        (metrics(&text, 180, &text), "no request was counted"),
        (metrics("up 1\n", 180, "up 1\n"), "no series"),
        (metrics("", 180, ""), "no series"),
        (
            metrics(&text, 180, "a_requests_total 1\nb_requests_total 2\n"),
            "which of",
        ),
        (metrics(&text, 180, "a_requests_total 1\n"), "has a label"),
        (
            Err("the connection broke".to_owned()),
            "the connection broke",
        ),
    ] {
        let found = rate(own);
        assert_eq!(found.0, "unknown");
        assert!(found.2.contains(words), "{words}: {}", found.2);
    }
    let once = Metrics {
        first: Texts::from([("a".into(), Ok(text.clone()))]),
        second: None,
    };
    assert!(rate(Ok(once)).2.contains("--over"));
    // One pod that could not be read: what is low in the others is not known to be low.
    let mut partly = metrics(&text, 180, &counted(110, 0, 0)).unwrap();
    partly.first.insert("b".into(), Err("refused".into()));
    let found = rate(Ok(partly));
    assert_eq!(found.0, "unknown");
    assert!(
        found.2.contains("1 of 2 pods; not read: b: refused"),
        "{}",
        found.2
    );
}

#[test]
fn tokens_that_stand_still_while_requests_come() {
    let tokens = |own| of_metrics(own, TriggerId::Tokens);
    let first = counted(10, 0, 5);
    let found = tokens(metrics(&first, 180, &counted(90, 0, 5)));
    assert_eq!((found.0, found.1), ("fails", CRITICAL), "{}", found.2);
    assert_eq!(tokens(metrics(&first, 180, &counted(90, 0, 6))).0, "holds");
    assert_eq!(tokens(metrics(&first, 180, &first)).0, "unknown");
    assert_eq!(tokens(metrics(&first, 30, &counted(90, 0, 5))).0, "unknown");
    let none = "zai_requests_total{code=\"200\"} ";
    let gone = metrics(&format!("{none}1\n"), 180, &format!("{none}9\n"));
    assert_eq!(tokens(gone.clone()).0, "unknown", "nothing names it");
    let rules = TriggerRules {
        token_counter: Some("zai_tokens_total".into()),
        ..TriggerRules::default()
    };
    let signals = Signals {
        own: gone,
        ..silent()
    };
    let seen = observation(Some(workload(&json!({}))), Some(vec![]));
    let found = judged(&seen, &signals, &rules);
    assert_eq!(one(&found, TriggerId::Tokens).1, CRITICAL, "it is absent");
}

#[test]
fn latency_is_compared_with_production() {
    let text = |quick: u32, slow: u32| {
        format!(
            "x_request_duration_seconds_bucket{{le=\"0.1\"}} {quick}\n\
             x_request_duration_seconds_bucket{{le=\"1\"}} {slow}\n\
             x_request_duration_seconds_bucket{{le=\"+Inf\"}} {slow}\n"
        )
    };
    let seen = observation(Some(workload(&json!({}))), Some(vec![]));
    let of = |own: &str, other: &str| {
        let signals = Signals {
            own: metrics(&text(0, 0), 180, own),
            baseline: metrics(&text(0, 0), 180, other),
            ..silent()
        };
        let all = judged(&seen, &signals, &TriggerRules::default());
        one(&all, TriggerId::Latency)
    };
    // 0.95 s against 0.095 s.
    let found = of(&text(0, 100), &text(100, 100));
    assert_eq!(found.1, CRITICAL, "{}", found.2);
    assert!(found.2.contains("production 0.095 s"), "{}", found.2);
    assert_eq!(of(&text(100, 100), &text(0, 100)).0, "holds");
    assert_eq!(of(&text(100, 100), &text(0, 0)).0, "unknown");
    let alone = of_metrics(metrics(&text(0, 0), 180, &text(9, 9)), TriggerId::Latency);
    assert_eq!((alone.0, alone.2.as_str()), ("unknown", "no production"));
}

#[test]
fn workers_and_people() {
    let log = |text: &str| Ok(text.to_owned());
    let told = |workers: Result<Texts, String>, reason: Option<&str>| {
        let signals = Signals {
            workers,
            reason: reason.map(str::to_owned),
            ..silent()
        };
        let seen = observation(
            Some(workload(&json!({}))),
            Some(vec![pod("a", "new", true)]),
        );
        judged(&seen, &signals, &TriggerRules::default())
    };
    let bad = "upstream timed out\nok\n".repeat(11);
    let found = told(Ok(Texts::from([("w".into(), log(&bad))])), None);
    assert_eq!(one(&found, TriggerId::Workers).1, CRITICAL);
    let good = ("w".to_owned(), log("ok\n"));
    let found = told(Ok(Texts::from([good.clone()])), Some("CVE-2026-1"));
    assert_eq!(one(&found, TriggerId::Workers).0, "holds");
    assert_eq!(one(&found, TriggerId::Reported).1, CRITICAL);
    assert_eq!(Advice::of(&found), Advice::Rollback);
    let unread = ("v".to_owned(), Err("forbidden".to_owned()));
    let found = told(Ok(Texts::from([good, unread])), Some(""));
    assert_eq!(one(&found, TriggerId::Workers).0, "unknown");
    assert_eq!(one(&found, TriggerId::Reported).0, "holds");
    assert_eq!(Advice::of(&found), Advice::Unknown);
}

#[test]
fn what_is_off_is_not_asked() {
    let all = [
        TriggerId::ErrorRate,
        TriggerId::Latency,
        TriggerId::Tokens,
        TriggerId::Workers,
        TriggerId::Reported,
    ];
    let mut rules = TriggerRules {
        off: all.into(),
        ..TriggerRules::default()
    };
    let good = json!({"rollout": {"available": 2}});
    let seen = observation(Some(workload(&good)), Some(vec![pod("a", "new", true)]));
    let found = judged(&seen, &silent(), &rules);
    assert_eq!((found.len(), Advice::of(&found)), (4, Advice::Continue));
    rules.off.extend([
        TriggerId::Pods,
        TriggerId::Image,
        TriggerId::Rollout,
        TriggerId::Restarts,
    ]);
    let none = judged(&seen, &silent(), &rules);
    assert_eq!((none.len(), Advice::of(&none)), (0, Advice::Unknown));
}
