//! The ladder: which route is gone with which rights, and what each of them does.

use super::*;
use crate::model::{AccessAnswer, Allowed, DocumentFields, Hpa, Right};

/// The same world as an identity that has these rights and no others.
fn with_rights(mut seen: Observation, rights: &[Right]) -> Observation {
    for right in Right::ALL {
        let allowed = if rights.contains(&right) {
            Allowed::Allowed
        } else {
            Allowed::Denied
        };
        let answer = AccessAnswer {
            right: format!("{right:?}"),
            allowed,
            reason: "by the test".into(),
        };
        seen.rights.insert(right, answer);
    }
    seen
}

/// Nothing manages it, and no repository is known.
fn unmanaged(mut seen: Observation) -> Observation {
    seen.argocd = crate::model::ArgoView::default();
    seen.git = None;
    seen
}

fn asked(route: Route) -> Request {
    Request { route, ..request() }
}

fn of(intent: Intent) -> Request {
    Request {
        intent,
        ..request()
    }
}

fn actions(prepared: &Prepared) -> Vec<&'static str> {
    prepared.plan.steps.iter().map(|s| s.action.id()).collect()
}

#[test]
fn an_unmanaged_workload_is_patched_with_tests_on_its_identity() {
    let seen = with_rights(unmanaged(world(&BAD)), &[Right::PatchWorkload]);
    let prepared = planned(&seen, &request());
    assert_eq!(prepared.plan.route, "direct");
    assert_eq!(
        actions(&prepared),
        ["capture", "patch", "rollout", "verify"]
    );
    assert_eq!(
        prepared.plan.writes,
        ["patch deployments.apps mcp/zai-proxy"]
    );
    let patch = prepared.patch.unwrap();
    let paths: Vec<&str> = patch
        .as_array()
        .unwrap()
        .iter()
        .map(|op| op["path"].as_str().unwrap())
        .collect();
    assert_eq!(
        paths,
        ["/metadata/uid", "/metadata/generation", "/spec/template"],
        "no annotations, no replicas"
    );
    assert_eq!(
        prepared.plan.targets[0].replica_set.as_deref(),
        Some("rs-2")
    );
    let shown = prepared.plan.patch.unwrap();
    assert!(
        shown.contains("+          image: ronaldraygun/zai-proxy:1.2.0")
            || shown.contains("zai-proxy:1.2.0"),
        "{shown}"
    );
    assert!(
        !shown.contains("'10'"),
        "environment values are masked: {shown}"
    );
}

#[test]
fn a_paused_deployment_is_unpaused_in_the_same_patch() {
    let mut seen = with_rights(unmanaged(world(&BAD)), &[Right::PatchWorkload]);
    seen.cluster.workload.as_mut().unwrap().paused = true;
    let prepared = planned(&seen, &request());
    let patch = prepared.patch.unwrap();
    let last = patch.as_array().unwrap().last().unwrap();
    assert_eq!(
        *last,
        json!({"op": "add", "path": "/spec/paused", "value": false})
    );
}

#[test]
fn without_the_right_nothing_is_attempted_and_the_offers_are_named() {
    let seen = with_rights(world(&BAD), &[]);
    let Decision::Refused(refusal) = decide(&seen, &asked(Route::Direct)) else {
        panic!("it is refused");
    };
    let first = &refusal.blockers[0];
    assert_eq!(first.id, "right-missing");
    assert!(first.message.contains("denied"), "{first:?}");
    assert!(first.hint.contains("--route git"), "{first:?}");
    let mut unknown = world(&BAD);
    unknown.rights = Default::default();
    let Decision::Refused(refusal) = decide(&unknown, &asked(Route::Direct)) else {
        panic!("an unknown right is no right");
    };
    assert!(!refusal.is_empty());
}

#[test]
fn automated_sync_closes_the_direct_way_until_it_may_be_suspended() {
    let all = [Right::PatchWorkload, Right::PatchApplication];
    let seen = with_rights(world(&BAD), &all);
    assert_eq!(refused(&seen, &asked(Route::Direct)), ["auto-sync-undoes"]);
    let mut request = asked(Route::Direct);
    request.allow.suspend_auto_sync = true;
    let prepared = planned(&seen, &request);
    assert_eq!(
        actions(&prepared),
        [
            "capture", "suspend", "patch", "rollout", "settle", "giveBack", "land", "verify"
        ]
    );
    assert_eq!(
        prepared.plan.writes,
        [
            "patch deployments.apps mcp/zai-proxy",
            "patch applications.argoproj.io argocd/mcp-ns"
        ]
    );
    assert_eq!(prepared.plan.commits.len(), 1, "Git's part is in the plan");
    assert!(prepared.plan.git_effect_id.is_some() && prepared.plan.is_intact());

    let mut owned = seen.clone();
    let app = owned.argocd.application.as_mut().unwrap();
    app.owners = vec![("ApplicationSet".into(), "set".into())];
    assert_eq!(refused(&owned, &request), ["application-owned"]);
    let without = with_rights(world(&BAD), &[Right::PatchWorkload]);
    assert_eq!(
        refused(&without, &request),
        ["right-missing", "right-missing"]
    );
    let mut hidden = seen;
    hidden.argocd.application = None;
    assert!(refused(&hidden, &request).contains(&"auto-sync-unknown".to_owned()));
}

#[test]
fn where_git_agrees_already_automated_sync_undoes_nothing() {
    let mut seen = with_rights(world(&BAD), &[Right::PatchWorkload]);
    let git = seen.git.as_mut().unwrap();
    let good = git.states[1].clone();
    let mut back = good.clone();
    back.commit = commit(
        9,
        "fix: rollback\n\nRollback-Of: 0000000000000000000000000000000000000003\n",
        0,
    );
    git.states.insert(0, back);
    git.text = good.text;
    let prepared = planned(&seen, &asked(Route::Direct));
    assert_eq!(
        actions(&prepared),
        ["capture", "patch", "rollout", "verify"]
    );
    assert!(prepared.plan.commits.is_empty() && prepared.plan.debts.is_empty());
}

#[test]
fn an_unreachable_git_is_a_debt() {
    let all = [Right::PatchWorkload, Right::ArgocdUpdate];
    let mut seen = with_rights(world(&BAD), &all);
    seen.git = None;
    let mut request = request();
    request.allow.emergency = true;
    let prepared = planned(&seen, &request);
    assert_eq!(prepared.plan.route, "direct");
    assert!(prepared.plan.commits.is_empty());
    assert_eq!(prepared.plan.debts.len(), 1, "{:?}", prepared.plan.debts);
    assert!(actions(&prepared).ends_with(&["settle", "giveBack", "land", "verify"]));
    assert!(
        prepared
            .plan
            .writes
            .contains(&"argocd patch default/mcp-ns".to_owned())
    );
}

#[test]
fn an_emergency_goes_through_git_first_and_patches_where_it_does_not_land() {
    let all = [Right::PatchWorkload, Right::PatchApplication];
    let seen = with_rights(world(&BAD), &all);
    let mut request = request();
    request.allow.emergency = true;
    let prepared = planned(&seen, &request);
    assert_eq!(prepared.plan.route, "git");
    assert!(prepared.plan.is_emergency());
    assert_eq!(
        actions(&prepared),
        [
            "capture", "commit", "push", "land", "suspend", "patch", "rollout", "settle",
            "giveBack", "verify"
        ]
    );
}

#[test]
fn other_managers_are_named_and_overridden_with_a_reason_only() {
    let mut seen = with_rights(unmanaged(world(&BAD)), &[Right::PatchWorkload]);
    let workload = seen.cluster.workload.as_mut().unwrap();
    workload
        .labels
        .insert("kustomize.toolkit.fluxcd.io/name".into(), "apps".into());
    workload.template_managers = vec!["kustomize-controller".into(), "kubectl-edit".into()];
    assert_eq!(refused(&seen, &asked(Route::Direct)), ["managed-by-other"]);
    let mut request = asked(Route::Direct);
    request.allow.override_manager = true;
    request.reason = Some("INC-1".into());
    let prepared = planned(&seen, &request);
    assert!(
        prepared
            .plan
            .warnings
            .iter()
            .any(|w| w.contains("Kustomization flux-system/apps")),
        "{:?}",
        prepared.plan.warnings
    );
    seen.cluster.workload.as_mut().unwrap().controller = Some(("Thing".into(), "x".into()));
    assert_eq!(refused(&seen, &request), ["managed-by-other"]);
}

#[test]
fn argo_cds_own_rollback_needs_auto_sync_off_the_right_and_an_entry() {
    let mut seen = with_rights(world(&BAD), &[Right::ArgocdSync]);
    assert_eq!(refused(&seen, &asked(Route::Argo)), ["auto-sync-on"]);
    let app = seen.argocd.application.as_mut().unwrap();
    app.auto_sync.enabled = false;
    assert_eq!(refused(&seen, &asked(Route::Argo)), ["not-in-history"]);
    let app = seen.argocd.application.as_mut().unwrap();
    app.history = vec![crate::model::HistoryEntry {
        id: crate::model::HistoryId(7),
        commits: vec!["x".into()],
        deployed_at: None,
        deploy_started_at: Some(now()),
        initiated_by: String::new(),
        automated: true,
    }];
    seen.git.as_mut().unwrap().deployed = vec![(0, 1)];
    let named = |route| Request {
        to: To::Text("1.2.0".into()),
        ..asked(route)
    };
    let prepared = planned(&seen, &named(Route::Argo));
    assert_eq!(prepared.plan.targets[0].history_id, Some(7));
    assert_eq!(prepared.plan.writes, ["argocd rollback default/mcp-ns"]);
    assert_eq!(prepared.plan.debts.len(), 1);
    // Through Git a sync of the object alone follows the push.
    let through = planned(&seen, &named(Route::Git));
    assert_eq!(
        actions(&through),
        [
            "capture", "commit", "push", "sync", "land", "rollout", "verify"
        ]
    );
    assert_eq!(through.plan.writes, ["argocd sync default/mcp-ns"]);
}

#[test]
fn scale_goes_through_git_where_the_manifest_decides_and_else_directly() {
    let rights = [Right::PatchScale];
    let seen = with_rights(world(&BAD), &rights);
    let prepared = planned(&seen, &of(Intent::Scale { replicas: 3 }));
    assert_eq!(prepared.plan.route, "git");
    assert!(prepared.files[0].after.contains("replicas: 3"));
    assert_eq!(prepared.desired.replicas, Some(3));
    assert_eq!(prepared.plan.targets[0].replicas, Some((1, 3)));

    let mut autoscaled = seen.clone();
    autoscaled.cluster.hpas = Some(vec![Hpa {
        name: "zai-proxy".into(),
        target_kind: "Deployment".into(),
        target_name: "zai-proxy".into(),
        min_replicas: 1,
        max_replicas: 5,
    }]);
    // The manifest names a number: self-heal puts it back, whoever owns the field.
    assert_eq!(
        refused(&autoscaled, &of(Intent::Scale { replicas: 3 })),
        ["replicas-autoscaled"]
    );
    if let Some(git) = &mut autoscaled.git {
        git.states
            .iter_mut()
            .for_each(|state| state.replicas = None);
    }
    let prepared = planned(&autoscaled, &of(Intent::Scale { replicas: 3 }));
    assert_eq!(
        prepared.plan.route, "direct",
        "self-heal leaves the field alone"
    );
    assert_eq!(
        prepared.plan.writes,
        ["patch deployments.apps/scale mcp/zai-proxy"]
    );
    assert!(
        prepared
            .plan
            .warnings
            .iter()
            .any(|w| w.contains("keeps between 1 and 5"))
    );
    // The middle tier cannot roll back.
    let middle = with_rights(unmanaged(world(&BAD)), &rights);
    assert_eq!(refused(&middle, &asked(Route::Direct)), ["right-missing"]);
}

#[test]
fn a_bounce_needs_consent_something_to_bounce_and_a_field_that_nobody_gives_back() {
    let seen = with_rights(unmanaged(world(&BAD)), &[Right::PatchScale]);
    assert_eq!(refused(&seen, &of(Intent::Bounce)), ["outage"]);
    let mut request = of(Intent::Bounce);
    request.allow.outage = true;
    let prepared = planned(&seen, &request);
    assert_eq!(
        actions(&prepared),
        ["capture", "scaleDown", "scaleUp", "rollout", "verify"]
    );
    assert_eq!(prepared.desired.replicas, Some(1));
    let mut nothing = seen;
    nothing.cluster.workload.as_mut().unwrap().replicas = 0;
    assert_eq!(refused(&nothing, &request), ["nothing-to-bounce"]);
    let managed = with_rights(world(&BAD), &[Right::PatchScale]);
    assert_eq!(refused(&managed, &request), ["auto-sync-undoes"]);
}

#[test]
fn an_image_takes_its_label_along_in_one_change() {
    let images = vec![(
        "proxy".to_owned(),
        "ronaldraygun/zai-proxy:1.3.0".to_owned(),
    )];
    let prepared = planned(&world(&BAD), &of(Intent::SetImage { images }));
    assert_eq!(prepared.files[0].after, manifest("1.3.0", ""));
    let unknown = vec![("nginx".to_owned(), "nginx:1".to_owned())];
    assert_eq!(
        refused(&world(&BAD), &of(Intent::SetImage { images: unknown })),
        ["container-unknown"]
    );
}

fn variable(name: &str, value: &str) -> Variable {
    Variable {
        name: name.into(),
        value: Some(value.into()),
        sha256: String::new(),
    }
}

#[test]
fn a_variable_stays_a_string_and_its_value_stays_out_of_the_plan() {
    let intent = Intent::SetEnv {
        container: None,
        variables: vec![
            variable("TOKEN_COUNTING_ENABLED", "false"),
            variable("MAX_WORKERS", "7"),
        ],
    };
    let prepared = planned(&world(&BAD), &of(intent));
    let after = &prepared.files[0].after;
    let env = template_of(after).value()["spec"]["containers"][0]["env"].clone();
    assert_eq!(
        env,
        json!([{"name": "MAX_WORKERS", "value": "7"},
            {"name": "TOKEN_COUNTING_ENABLED", "value": "false"}])
    );
    let warnings = prepared.plan.warnings.iter();
    let new: Vec<_> = warnings.filter(|w| w.contains("so far")).collect();
    assert_eq!(
        new,
        ["no container has a variable TOKEN_COUNTING_ENABLED so far: does the program read it?"],
        "MAX_WORKERS is there"
    );
    let stored = serde_json::to_string(&prepared.plan).unwrap();
    assert!(
        !stored.contains("\"false\"") && !stored.contains("'false'"),
        "{stored}"
    );
}

#[test]
fn restart_pause_and_resume_change_one_field_each() {
    let at = now();
    let prepared = planned(&world(&BAD), &of(Intent::Restart { at }));
    let after = &prepared.files[0].after;
    assert_eq!(
        template_of(after).restarted_at(),
        Some(at.to_string().as_str())
    );
    assert_eq!(prepared.desired.restarted_at, Some(at.to_string()));

    let paused = planned(&world(&BAD), &of(Intent::Pause));
    assert!(paused.files[0].after.contains("paused: true"));
    assert!(!actions(&paused).contains(&"rollout"));
    let mut seen = world(&BAD);
    let git = seen.git.as_mut().unwrap();
    git.text = paused.files[0].after.clone().into();
    git.states[0].text = git.text.clone();
    seen.cluster.workload.as_mut().unwrap().paused = true;
    let resumed = planned(&seen, &of(Intent::Resume));
    assert_eq!(
        resumed.files[0].after,
        manifest("1.2.1", ""),
        "the key is gone"
    );
    assert_eq!(resumed.desired.paused, Some(false));
}

#[test]
fn adopt_writes_what_was_touched_and_nothing_else() {
    let mut seen = world(&BAD);
    let workload = seen.cluster.workload.as_mut().unwrap();
    // As the API server completes the applied template, and a person changes it.
    let complete = |tag: &str, workers: &str| {
        let mut value = template_of(&manifest(tag, "")).value().clone();
        value["spec"]["restartPolicy"] = json!("Always");
        value["spec"]["containers"][0]["terminationMessagePath"] = json!("/dev/termination-log");
        value["spec"]["containers"][0]["env"][0]["value"] = json!(workers);
        crate::model::PodTemplate::new(value)
    };
    let mut by_hand = complete("1.2.0", "4").value().clone();
    by_hand["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/restartedAt": "x"});
    by_hand["spec"]["containers"][0]["env"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "NEW", "value": "1"}));
    workload.template = crate::model::PodTemplate::new(by_hand);
    seen.cluster.replica_sets.as_mut().unwrap()[0].template = complete("1.2.1", "10");
    let prepared = planned(&seen, &of(Intent::Adopt));
    let after = &prepared.files[0].after;
    let expected = manifest("1.2.0", "").replace(
        "value: '10'}\n",
        "value: '4'}\n            - name: NEW\n              value: '1'\n",
    );
    let read = |text: &str| template_of(text).value().clone();
    assert_eq!(read(after), read(&expected));
    assert!(!after.contains("terminationMessagePath") && !after.contains("restartedAt"));
    assert!(
        prepared.plan.commits[0]
            .message
            .starts_with("fix: sync git with rolled-back version")
    );
    // Git already right: nothing.
    let same = planned(&world(&BAD), &of(Intent::Adopt));
    assert!(same.files.is_empty() && !same.plan.acts());
}

#[test]
fn an_image_at_a_mirror_is_no_drift() {
    let mut seen = world(&BAD);
    let mut value = template_of(&manifest("1.2.1", "")).value().clone();
    value["spec"]["containers"][0]["image"] = json!("localhost:7439/ronaldraygun/zai-proxy:1.2.1");
    seen.cluster.workload.as_mut().unwrap().template = crate::model::PodTemplate::new(value);
    assert!(planned(&seen, &of(Intent::Adopt)).files.is_empty());
    let mut value = template_of(&manifest("1.2.0", "")).value().clone();
    value["spec"]["containers"][0]["image"] = json!("localhost:7439/ronaldraygun/zai-proxy:1.2.0");
    seen.cluster.workload.as_mut().unwrap().template = crate::model::PodTemplate::new(value);
    let prepared = planned(&seen, &of(Intent::Adopt));
    assert!(
        prepared.files[0]
            .after
            .contains("image: ronaldraygun/zai-proxy:1.2.0"),
        "{}",
        prepared.files[0].after
    );
}

#[test]
fn a_live_document_says_what_the_workload_says() {
    let seen = world(&BAD);
    let workload = seen.cluster.workload.unwrap();
    let fields = live::live_document(&workload)
        .ok()
        .unwrap()
        .fields()
        .unwrap();
    let expected = DocumentFields {
        template: workload.template,
        replicas: Some(1),
        paused: None,
    };
    assert_eq!(fields, expected);
}
