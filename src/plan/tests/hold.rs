//! Tools that would set the image again: said, stopped in the same commit, let go on.

use super::*;
use crate::model::HeldFile;

const FILE: &str = "zai-proxy.yml";
const MARKER: &str = "# {\"$imagepolicy\": \"flux-system:zai-proxy\"}";
const HELD: &str = "# held by unship: {\"$imagepolicy\": \"flux-system:zai-proxy\"}";
const AUTOMATION: &str = "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageUpdateAutomation\nmetadata:\n  name: apps\n  namespace: flux-system\nspec:\n  interval: 30m\n";

fn marked(text: &str) -> String {
    text.lines()
        .map(|line| match line.trim().strip_prefix("image: ") {
            Some(_) => format!("{line} {MARKER}\n"),
            None => format!("{line}\n"),
        })
        .collect()
}

/// A bad release on a good one; Flux sets the image.
fn by_flux() -> Observation {
    let mut seen = world(&BAD[..2]);
    let git = seen.git.as_mut().unwrap();
    for state in &mut git.states {
        state.text = Arc::from(marked(&state.text));
    }
    git.text = git.states[0].text.clone();
    seen.automation
        .files
        .insert("clusters/flux.yaml".into(), Arc::from(AUTOMATION));
    seen
}

fn hold() -> Request {
    Request {
        intent: Intent::Hold,
        goal: Goal::Pushed,
        ..request()
    }
}

fn trailers_of(prepared: &Prepared) -> String {
    let run = crate::model::RunId("run".into());
    let trailers = Trailers {
        plan: &prepared.plan,
        run: &run,
    };
    commit_message(&prepared.plan.commits[0].message, &trailers)
}

#[test]
fn a_rollback_warns_and_names_the_command() {
    let plan = planned(&by_flux(), &request());
    let warning = plan.plan.warnings.iter().find(|w| w.contains("Flux"));
    let warning = warning.unwrap();
    assert!(warning.contains("will change the image again"), "{warning}");
    assert!(warning.contains("every 30m"), "{warning}");
    assert!(
        warning.contains("--hold stops it in the same commit"),
        "{warning}"
    );
    assert!(
        warning.contains("`unship hold deployment/zai-proxy -n mcp`"),
        "{warning}"
    );
    assert_eq!(plan.plan.automation.len(), 1);
    assert!(
        plan.files[0].after.contains(MARKER),
        "nothing is held unasked"
    );
    // What sets no image has nothing to fear.
    let scaled = Request {
        intent: Intent::Scale { replicas: 2 },
        ..request()
    };
    assert_eq!(planned(&by_flux(), &scaled).plan.automation, []);
}

#[test]
fn the_pin_is_in_the_same_commit() {
    let with = Request {
        hold: true,
        ..request()
    };
    let (plain, held) = (planned(&by_flux(), &request()), planned(&by_flux(), &with));
    let [file] = held.files.as_slice() else {
        panic!("one file");
    };
    let wanted = marked(&manifest("1.2.0", "")).replace(MARKER, HELD);
    assert_eq!(file.after, wanted);
    assert!(
        held.plan.warnings.iter().all(|w| !w.contains("Flux")),
        "{:?}",
        held.plan.warnings
    );
    assert!(held.plan.automation[0].held);
    assert_ne!(plain.plan.effect_id, held.plan.effect_id, "another effect");
    assert!(held.plan.is_intact());
    let message = trailers_of(&held);
    assert!(
        message.contains("- the marker of flux-system:zai-proxy"),
        "{message}"
    );
    assert!(
        message.contains("\nUnship-Hold: flux zai-proxy.yml for deployment/mcp/zai-proxy\n"),
        "{message}"
    );
    assert!(message.contains("\nRollback-To: "), "{message}");
}

#[test]
fn a_hold_alone_is_a_commit_of_the_pins() {
    let seen = by_flux();
    let plan = planned(&seen, &hold());
    let before = seen.git.as_ref().unwrap().text.to_string();
    assert_eq!(plan.files[0].after, before.replace(MARKER, HELD));
    let ids: Vec<&str> = plan
        .plan
        .steps
        .iter()
        .map(|step| step.id.as_str())
        .collect();
    assert_eq!(ids, ["capture", "commit", "push"], "nothing is waited for");
    assert!(trailers_of(&plan).starts_with("chore: hold zai-proxy\n"));
    assert!(plan.plan.is_intact());
    let nothing = world(&BAD[..2]);
    let timeline = Timeline::of(&nothing, &[]);
    let Decision::NotNeeded(why) = build(&nothing, &timeline, &hold()) else {
        panic!("nothing to hold");
    };
    assert!(why.starts_with("nothing to hold"), "{why}");
}

#[test]
fn what_only_a_person_can_stop_is_refused_alone_and_said_beside_a_rollback() {
    let mut seen = world(&BAD[..2]);
    let workflow = "on: push\njobs:\n  a:\n    steps:\n    - run: sed -i s/1/2/ zai-proxy.yml\n";
    seen.automation
        .files
        .insert(".github/workflows/a.yml".into(), Arc::from(workflow));
    let timeline = Timeline::of(&seen, &[]);
    let Decision::Refused(refusal) = build(&seen, &timeline, &hold()) else {
        panic!("nothing that unship can stop");
    };
    assert_eq!(refusal.blockers[0].id, "hold-by-hand");
    assert!(
        refusal.blockers[0]
            .hint
            .contains("gh workflow disable a.yml"),
        "{refusal:?}"
    );
    let with = Request {
        hold: true,
        ..request()
    };
    let plan = planned(&seen, &with).plan;
    assert!(
        plan.warnings
            .iter()
            .any(|w| w.contains("unship cannot stop it")),
        "{:?}",
        plan.warnings
    );
    assert_eq!(plan.holds, []);
}

#[test]
fn unhold_takes_back_the_pin_and_nothing_else() {
    let mut seen = by_flux();
    let unhold = Request {
        intent: Intent::Unhold,
        ..hold()
    };
    let timeline = Timeline::of(&seen, &[]);
    let Decision::NotNeeded(why) = build(&seen, &timeline, &unhold) else {
        panic!("nothing is held");
    };
    assert!(
        why.contains("holds nothing of deployment/zai-proxy"),
        "{why}"
    );
    let before = marked(&manifest("1.2.1", ""));
    let after = marked(&manifest("1.2.0", "")).replace(MARKER, HELD);
    let head = after.replace("replicas: 1", "replicas: 4");
    let held = |tool: &str, path: &str, texts: [&str; 3]| HeldFile {
        commit: commit(7, "held", 0),
        tool: tool.into(),
        path: path.into(),
        before: Arc::from(texts[0]),
        after: Arc::from(texts[1]),
        head: Some(Arc::from(texts[2])),
    };
    let app = "kind: Application\nmetadata:\n  name: mcp-ns\n  annotations:\n    a: b\n";
    let app_held = app.replace("    a: b\n", "    a: b\n    p.ignore-tags: \"*\"\n");
    let app_now = app_held.replace("a: b", "a: c");
    seen.git.as_mut().unwrap().text = Arc::from(head.as_str());
    seen.automation.held = vec![
        held("flux", FILE, [&before, &after, &head]),
        held(
            "argocd-image-updater",
            "app.yaml",
            [app, &app_held, &app_now],
        ),
    ];
    let plan = planned(&seen, &unhold);
    let texts: Vec<(&str, &str)> = plan
        .files
        .iter()
        .map(|f| (f.path.as_str(), f.after.as_str()))
        .collect();
    // The rollback of that commit stays, and so does what came later.
    let marker_back = head.replace(HELD, MARKER);
    assert_eq!(
        texts,
        [
            (FILE, marker_back.as_str()),
            ("app.yaml", &*app.replace("a: b", "a: c"))
        ]
    );
    let message = trailers_of(&plan);
    let line = format!("\nUnship-Unhold: {:040x} for deployment/mcp/zai-proxy\n", 7);
    assert_eq!(message.matches(&line).count(), 1, "{message}");
    assert!(!message.contains("Unship-Hold"), "{message}");
}

#[test]
fn pins_that_could_not_be_read_are_not_none() {
    let mut seen = by_flux();
    seen.automation.gaps = vec![crate::model::Gap {
        what: crate::automation::PINS.to_owned(),
        reason: crate::model::GapReason::Invalid,
        message: "a symbolic link".to_owned(),
    }];
    let timeline = Timeline::of(&seen, &[]);
    let unhold = Request {
        intent: Intent::Unhold,
        ..hold()
    };
    let Decision::Refused(refusal) = build(&seen, &timeline, &unhold) else {
        panic!("what is held is not known");
    };
    assert_eq!(refusal.unknown[0].id, "pins");
}

#[test]
fn a_pin_that_is_in_git_already_is_said_so() {
    let mut seen = world(&BAD[..2]);
    let key = "argocd-image-updater.argoproj.io/image-list";
    let list = "proxy=ronaldraygun/zai-proxy";
    let app = seen.argocd.application.as_mut().unwrap();
    app.annotations.insert(key.to_owned(), list.to_owned());
    let held = "argocd-image-updater.argoproj.io/proxy.ignore-tags";
    let text = format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: mcp-ns\n  annotations:\n    {key}: {list}\n    {held}: \"*\"\n"
    );
    seen.automation
        .files
        .insert("app.yaml".into(), Arc::from(text));
    let timeline = Timeline::of(&seen, &[]);
    let Decision::NotNeeded(why) = build(&seen, &timeline, &hold()) else {
        panic!("Git has it");
    };
    assert!(why.contains("Git has the pins already"), "{why}");
    let plan = planned(&seen, &request()).plan;
    assert!(plan.automation[0].in_git);
    let said = |w: &String| w.contains("counts once it is applied");
    assert!(plan.warnings.iter().any(said), "{:?}", plan.warnings);
}
