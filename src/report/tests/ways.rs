use std::sync::Arc;

use super::world::*;
use crate::model::ArgoView;
use crate::plan::{Decision, Only, Request, build};
use crate::report::{Facts, HandedOver, RecordKind, Told};
use crate::timeline::Timeline;

#[test]
fn a_merge_takes_the_place_of_the_push() {
    let told = Told {
        handed_over: Some(HandedOver {
            commit: "abc".into(),
            branch: Some("unship/1234".into()),
            url: Some("https://forge/new".into()),
            reason: "protected".into(),
            run: "20260101".into(),
        }),
        ..Told::default()
    };
    let facts = facts(&world(""), told);
    let merge = way(&facts, "pullRequest");
    assert_eq!(
        merge.commands,
        [
            "git fetch origin unship/1234",
            "git push origin FETCH_HEAD:refs/heads/main"
        ]
    );
    assert!(
        merge
            .notes
            .iter()
            .any(|note| note.contains("https://forge/new"))
    );
    assert!(facts.ways.iter().all(|way| way.id != "unship"));
    let body = filled(RecordKind::Request, &facts).body;
    assert!(body.contains("unship continue 20260101"), "{body}");
}

#[test]
fn a_change_in_the_cluster_says_what_undoes_it() {
    let managed = facts(&world(""), Told::default());
    let commands = &way(&managed, "kubectl").commands;
    assert_eq!(commands[0], "argocd app set mcp-ns --sync-policy none");
    assert_eq!(
        commands.last().unwrap(),
        "# once Git has the change: argocd app set mcp-ns --sync-policy automated --self-heal --auto-prune"
    );
    let mut seen = world("");
    seen.argocd = ArgoView::default();
    seen.cluster.workload.as_mut().unwrap().paused = true;
    let bare = facts(&seen, Told::default());
    assert_eq!(
        way(&bare, "kubectl").commands,
        [
            "kubectl rollout resume deployment/zai-proxy -n mcp",
            "kubectl rollout undo deployment/zai-proxy -n mcp --to-revision=2",
            "kubectl rollout status deployment/zai-proxy -n mcp --timeout=660s"
        ]
    );
    // Its ReplicaSet was pruned: the image is set instead.
    seen.cluster.replica_sets.as_mut().unwrap().remove(1);
    let verified = [format!("{:040x}", 2)];
    let timeline = Timeline::of(&seen, &verified);
    let decision = build(&seen, &timeline, &Request::new(reference()));
    let pruned = Facts::of(&seen, &timeline, Some(&decision), Told::default());
    assert_eq!(
        way(&pruned, "kubectl").commands[1],
        "kubectl set image deployment/zai-proxy -n mcp proxy=ronaldraygun/zai-proxy:1.2.0"
    );
    let mut manual = world("");
    let app = manual.argocd.application.as_mut().unwrap();
    app.auto_sync.enabled = false;
    app.namespace = "team".into();
    let manual = facts(&manual, Told::default());
    assert_eq!(
        way(&manual, "argocd").commands,
        ["argocd app sync team/mcp-ns --resource apps:Deployment:mcp/zai-proxy"]
    );
}

#[test]
fn a_diff_that_hides_a_value_is_not_offered_for_pasting() {
    let seen = world("            - {name: NEW, value: v}\n");
    let only = Request {
        only: Only::Image,
        ..Request::new(reference())
    };
    let decision = decide(&seen, &only);
    let facts = Facts::of(
        &seen,
        &Timeline::of(&seen, &[]),
        Some(&decision),
        Told::default(),
    );
    assert!(!facts.plan.as_ref().unwrap().files.is_empty());
    assert!(
        facts.ways.iter().all(|way| way.id != "git"),
        "{:#?}",
        facts.ways
    );
    way(&facts, "unship");
}

#[test]
fn a_diff_that_hides_nothing_can_be_pasted() {
    let mut seen = world("");
    let states = &mut seen.git.as_mut().unwrap().states;
    // Later work elsewhere in the file keeps it from being the old text as a whole.
    let note = "          workingDir: /later\n";
    for (state, extra) in states.iter_mut().zip([note, "", ""]) {
        let text = state.text.replace(
            "          env:\n            - {name: TOKEN, value: canary-env-secret}\n",
            &format!(
                "          tty: false\n          stdin: false\n          stdinOnce: false\n{extra}"
            ),
        );
        let template = crate::observe::fields_of(&text, &reference())
            .unwrap()
            .template;
        state.template = template;
        state.text = Arc::from(text);
    }
    let bad = states[0].text.clone();
    seen.git.as_mut().unwrap().text = bad.clone();
    seen.cluster.replica_sets = Some(vec![]);
    let only = Request {
        only: Only::Image,
        to: crate::plan::To::Text("1.2.0".into()),
        ..Request::new(reference())
    };
    let decision = decide(&seen, &only);
    let Decision::Plan(prepared) = &decision else {
        panic!("{decision:?}");
    };
    assert!(prepared.files[0].after.contains("/later"));
    let seen = Facts::of(
        &seen,
        &Timeline::of(&seen, &[]),
        Some(&decision),
        Told::default(),
    );
    let commands = &way(&seen, "git").commands;
    let from = commands
        .iter()
        .position(|line| line.starts_with("cd "))
        .unwrap();
    let to = commands
        .iter()
        .position(|line| line.starts_with("git commit"))
        .unwrap();
    let script = commands[from + 1..to].join("\n");
    assert!(script.starts_with("git apply --index"), "{script}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("k8s/zai-proxy.yml");
    std::fs::create_dir(folder.path().join("k8s")).unwrap();
    std::fs::write(&file, &*bad).unwrap();
    let script = format!("git init -q . && git add -A\n{script}\n");
    let output = std::process::Command::new("sh")
        .args(["-e", "-c", &script])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{script}\n{output:?}");
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, prepared.files[0].after);
}
