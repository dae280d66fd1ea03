//! When the controller starts a sync by itself (controller/appcontroller.go autoSync).

use std::time::Duration;

use serde_json::{Value, json};

use super::compare::Comparison;
use super::revisions::{Commits, sources};
use super::windows::Windows;
use crate::sandbox::controllers::seconds_since;
use crate::sandbox::json::{flag, int, text, time};

/// After this long without self-healing its back-off begins anew.
const COOLDOWN: f64 = 330.0;

/// Whether `spec.syncPolicy.automated` is on.
pub(crate) fn is_enabled(app: &Value) -> bool {
    match app.pointer("/spec/syncPolicy/automated") {
        Some(automated) if automated.is_object() => automated
            .get("enabled")
            .and_then(Value::as_bool)
            .unwrap_or(true),
        _ => false,
    }
}

/// What automatic sync wants.
#[derive(Debug, PartialEq)]
pub(crate) enum Decision {
    Nothing,
    Start(Value),
    /// Refused; the text becomes a SyncError condition.
    Refused(String),
}

/// Decides for an Application that has just been compared at `commit`.
pub(crate) fn decide(
    app: &Value,
    comparison: &Comparison,
    commit: &Commits,
    windows: &Windows,
) -> Decision {
    let busy = app.get("operation").is_some_and(|o| !o.is_null());
    if !is_enabled(app) || busy || comparison.synced() {
        return Decision::Nothing;
    }
    let automated = &app["spec"]["syncPolicy"]["automated"];
    let prune = flag(automated, "/prune");
    let out_of_sync = || comparison.resources.iter().filter(|r| !r.synced);
    if !prune && out_of_sync().all(|r| r.requires_pruning()) {
        return Decision::Nothing;
    }
    if !windows.allow(false) {
        return Decision::Nothing;
    }
    let mut operation = json!({
        "initiatedBy": {"automated": true},
        "retry": retry(app),
        "sync": {"prune": prune},
    });
    commit.put(&mut operation["sync"]);
    if let Some(options) = app.pointer("/spec/syncPolicy/syncOptions") {
        operation["sync"]["syncOptions"] = options.clone();
    }
    let state = &app["status"]["operationState"];
    let attempted = Commits::of(&state["syncResult"]) == *commit
        && state.get("finishedAt").is_some()
        && sources(&state["syncResult"]) == sources(&app["spec"]);
    if attempted {
        if text(state, "/phase") != "Succeeded" {
            let message = text(state, "/message");
            return Decision::Refused(format!("Failed last sync attempt to [{commit}]: {message}"));
        }
        if !flag(automated, "/selfHeal") || !heals_now(state, commit, &mut operation) {
            return Decision::Nothing;
        }
        let names: Vec<Value> = out_of_sync()
            .map(|r| json!({"group": r.group, "kind": r.kind, "namespace": r.namespace, "name": r.name}))
            .collect();
        operation["sync"]["resources"] = json!(names);
    }
    let nothing_left = comparison.resources.iter().all(|r| r.requires_pruning());
    if prune && nothing_left && !flag(automated, "/allowEmpty") {
        return Decision::Refused(format!(
            "Skipping sync attempt to {commit}: auto-sync will wipe out all resources"
        ));
    }
    Decision::Start(operation)
}

fn retry(app: &Value) -> Value {
    match app.pointer("/spec/syncPolicy/retry") {
        Some(own) => own.clone(),
        None => json!({"limit": 5}),
    }
}

/// Self-healing of one commit backs off: at once, then after 2 s, 6 s, 18 s … up to 5 min.
fn heals_now(state: &Value, commit: &Commits, operation: &mut Value) -> bool {
    let since = seconds_since(time(state, "/finishedAt")).unwrap_or(f64::MAX);
    let same = Commits::of(&state["operation"]["sync"]) == *commit && since < COOLDOWN;
    let before = if same {
        int(state, "/operation/sync/autoHealAttemptsCount").unwrap_or(0)
    } else {
        0
    };
    let wait = match before {
        0 => Duration::ZERO,
        n => Duration::from_secs(
            2 * 3u64
                .pow(u32::try_from((n - 1).min(5)).unwrap_or(5))
                .min(150),
        ),
    };
    if since < wait.as_secs_f64() {
        return false;
    }
    operation["sync"]["autoHealAttemptsCount"] = json!(before + 1);
    true
}

#[cfg(test)]
mod tests {
    use super::super::compare::Resource;
    use super::*;

    fn comparison(synced: bool, target: bool) -> Comparison {
        let resource = Resource {
            group: "apps".into(),
            api: "v1".into(),
            kind: "Deployment".into(),
            namespace: "n".into(),
            name: "d".into(),
            target: target.then(|| json!({})),
            live: None,
            predicted: None,
            synced,
        };
        Comparison {
            resources: vec![resource],
            repeated: Vec::new(),
        }
    }

    fn app(automated: Value, state: Value) -> Value {
        json!({"metadata": {"name": "a"}, "spec": {"syncPolicy": {"automated": automated}},
            "status": {"operationState": state}})
    }

    fn done(phase: &str, attempts: i64) -> Value {
        let now = crate::sandbox::json::now();
        json!({"phase": phase, "message": "m", "finishedAt": now,
            "operation": {"sync": {"revision": "c", "autoHealAttemptsCount": attempts}},
            "syncResult": {"revision": "c", "source": null}})
    }

    #[test]
    fn decisions() {
        let ask = |app: &Value, c: &Comparison| {
            let commit = Commits::new(vec!["c".to_owned()], false);
            decide(app, c, &commit, &Windows::default())
        };
        let stale = comparison(false, true);
        assert!(matches!(
            ask(&app(json!({}), json!({})), &stale),
            Decision::Start(_)
        ));
        assert_eq!(
            ask(&app(json!({"enabled": false}), json!({})), &stale),
            Decision::Nothing
        );
        assert_eq!(
            ask(&app(json!({}), json!({})), &comparison(true, true)),
            Decision::Nothing
        );
        assert!(matches!(
            ask(&app(json!({}), done("Failed", 0)), &stale),
            Decision::Refused(_)
        ));
        assert_eq!(
            ask(&app(json!({}), done("Succeeded", 0)), &stale),
            Decision::Nothing
        );
        let heal = json!({"selfHeal": true});
        let Decision::Start(operation) = ask(&app(heal.clone(), done("Succeeded", 0)), &stale)
        else {
            panic!("should heal");
        };
        assert_eq!(operation["sync"]["resources"][0]["name"], "d");
        assert_eq!(
            ask(&app(heal, done("Succeeded", 1)), &stale),
            Decision::Nothing
        );
        assert_eq!(
            ask(&app(json!({}), json!({})), &comparison(false, false)),
            Decision::Nothing
        );
        let prune = app(json!({"prune": true}), json!({}));
        assert!(matches!(
            ask(&prune, &comparison(false, false)),
            Decision::Refused(_)
        ));
    }
}
