//! One commit taken back field by field, with read-only rights in the cluster.

use crate::repository::git;
use crate::stage::{BAD, GOOD, Layout, MANIFEST, Setting, Stage, image};
use crate::world::World;

const OVERLAY: &str = "apps/zai-proxy/overlays/prod/kustomization.yaml";
const SETTINGS: &str = "k8s/apexalgo-iad/mcp/settings.yaml";
const NOTES: &str = "NOTES.md";
const HEALTHY: &str = "1.2.5";

fn settings(level: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  level: {level}  # of the log\n"
    )
}

/// Commits the manifest after some replacements; nothing is pushed.
fn change(stage: &Stage, subject: &str, replacements: &[(&str, &str)]) -> String {
    let shown = stage.team().git(&["show", &format!("HEAD:{MANIFEST}")]);
    let mut text = format!("{}\n", shown.trim_end());
    for (old, new) in replacements {
        assert!(text.contains(old), "{old:?} is in the manifest");
        text = text.replace(old, new);
    }
    stage.team().commit(subject, &[(MANIFEST, Some(&text))])
}

/// Later work in the same file stays, and so does everything around it.
pub(crate) fn a_commit_is_taken_back_below_later_work(world: &'static World) {
    let story = Stage::with_bad_release(world, "revert");
    let stage = &story.stage;
    let later = change(
        stage,
        "perf: more workers",
        &[
            ("value: \"10\"", "value: \"20\"  # measured"),
            ("memory: 64Mi", "memory: 96Mi"),
        ],
    );
    stage.team().push();
    let short = &story.bad[..9];
    let plan = stage
        .user()
        .run(&["revert", short, "zai-proxy", "-n", &stage.name, "--dry-run"])
        .ends_with(0);
    plan.has("/undo/0/class", "undone")
        .has("/intent", "revert")
        .has("/request/intent/revert/commit", story.bad.as_str());
    let run = stage
        .user()
        .run(&["revert", short, "zai-proxy", "-n", &stage.name, "--yes"])
        .ends_with(0);
    run.has("/state", "succeeded").all_checks_hold();
    let wanted = stage
        .manifest(GOOD)
        .replace("value: \"10\"", "value: \"20\"  # measured")
        .replace("memory: 64Mi", "memory: 96Mi");
    assert_eq!(stage.file_at("refs/heads/main", MANIFEST), wanted);
    assert_eq!(stage.commits_since(&later).len(), 1);
    let message = git(stage.bare(), &["log", "-1", "--format=%B", "main"]);
    assert!(
        message.starts_with(&format!("revert: chore: promote zai-proxy to v{BAD}\n")),
        "{message}"
    );
    assert!(
        message.contains(&format!("Rollback-Of: {}\n", story.bad)),
        "{message}"
    );
    stage.wait_live(GOOD);
    // Once more: everything has its good value already.
    let again = stage
        .user()
        .run(&["revert", short, "zai-proxy", "-n", &stage.name, "--yes"])
        .ends_with(0);
    again.has("/state", "succeeded");
    assert_eq!(stage.commits_since(&later).len(), 1);
}

/// A release that no pod template shows: the Service selects other pods. It is found in the
/// history and taken back, named by its commit alone.
pub(crate) fn a_selector_is_taken_back(world: &'static World) {
    let stage = Stage::new(world, "selector", (GOOD, &Setting::default()));
    stage.ship(HEALTHY);
    stage.wait_live(HEALTHY);
    let selector = ("selector:\n    app: zai-proxy\n    variant: production", "");
    let green = selector.0.replace("production", "green  # the new ones");
    let bad = change(&stage, "chore: switch to green", &[(selector.0, &green)]);
    let tip = stage.commit_of_others("5.0.1");
    stage.team().push();
    stage.refresh();
    stage.wait_service(|service| service["spec"]["selector"]["variant"] == "green");
    let user = stage.user();
    let told = user.on_target("history", &[]).ends_with(0);
    told.has("/used/0/object", "Service/zai-proxy")
        .has("/used/0/commit", bad.as_str())
        .says("/used/0/takeBack", &bad[..7]);
    let run = user
        .run(&["revert", &bad, "-n", &stage.name, "--yes"])
        .ends_with(0);
    run.has("/state", "succeeded").all_checks_hold();
    let kept = run.json["kept"].to_string();
    assert!(
        !kept.contains("selector"),
        "it is no part of the release before: {kept}"
    );
    stage.wait_service(|service| service["spec"]["selector"]["variant"] == "production");
    assert_eq!(
        stage.file_at("refs/heads/main", MANIFEST),
        stage.manifest(HEALTHY)
    );
    assert_eq!(stage.commits_since(&tip).len(), 1);
}

/// A ConfigMap that the pods take at their start, in a file of its own: with the workload named it
/// is taken back, and that running pods keep the old values is said.
pub(crate) fn a_config_map_is_taken_back(world: &'static World) {
    let stage = Stage::new(world, "config-map", (GOOD, &Setting::default()));
    let uses = "          envFrom:\n            - configMapRef: {name: settings}\n          env:\n";
    change(&stage, "feat: settings", &[("          env:\n", uses)]);
    let first = settings("info");
    let team = stage.team();
    team.commit("feat: settings", &[(SETTINGS, Some(&first))]);
    team.push();
    stage.refresh();
    stage.wait_env_from("settings");
    let bad = team.commit("chore: more words", &[(SETTINGS, Some(&settings("trace")))]);
    team.push();
    stage.refresh();
    let user = stage.user();
    let revert = ["revert", &bad, "zai-proxy", "-n", &stage.name];
    let plan = user
        .run(&[&revert[..], &["--dry-run"]].concat())
        .ends_with(0);
    let warnings = plan.json["warnings"].to_string();
    assert!(
        warnings.contains("keep the old ConfigMap/settings"),
        "{warnings}"
    );
    plan.has("/undo/0/path", SETTINGS);
    let run = user.run(&[&revert[..], &["--yes"]].concat()).ends_with(0);
    run.has("/state", "succeeded").all_checks_hold();
    assert_eq!(stage.file_at("refs/heads/main", SETTINGS), first);
    let entry = stage.application()["status"]["resources"].clone();
    let entry = entry
        .as_array()
        .into_iter()
        .flatten()
        .find(|own| own["kind"] == "ConfigMap");
    assert_eq!(
        entry.map(|own| own["status"].clone()),
        Some("Synced".into())
    );
}

/// A Service as the target: its last change is taken back, what the same commit did to the
/// workload is left, and a second time nothing is flipped back.
pub(crate) fn a_service_is_a_target(world: &'static World) {
    let stage = Stage::new(world, "service", (GOOD, &Setting::default()));
    let selector = ("selector:\n    app: zai-proxy\n    variant: production", "");
    let green = selector.0.replace("production", "green  # the new ones");
    let workers = ("value: \"10\"", "value: \"11\"");
    let bad = change(
        &stage,
        "chore: switch to green",
        &[(selector.0, &green), workers],
    );
    let tip = stage.commit_of_others("5.0.1");
    stage.team().push();
    stage.refresh();
    stage.wait_service(|service| service["spec"]["selector"]["variant"] == "green");
    let user = stage.user();
    let told = user.run(&["history", "svc/zai-proxy", "-n", &stage.name]);
    told.ends_with(0)
        .has("/used/0/commit", bad.as_str())
        .says("/used/0/takeBack", &bad[..7]);
    let back = ["rollback", "service/zai-proxy", "-n", &stage.name, "--yes"];
    let run = user.run(&back).ends_with(0);
    run.has("/state", "succeeded").all_checks_hold();
    stage.wait_service(|service| service["spec"]["selector"]["variant"] == "production");
    let wanted = stage.manifest(GOOD).replace(workers.0, workers.1);
    assert_eq!(stage.file_at("refs/heads/main", MANIFEST), wanted);
    let again = user.run(&back).ends_with(0);
    again.says("/reason", "is back already");
    assert_eq!(stage.commits_since(&tip).len(), 1);
}

/// A ConfigMap as the target, which the pods of two workloads take: one commit, and both are judged.
pub(crate) fn a_config_map_is_a_target(world: &'static World) {
    let stage = Stage::new(world, "config-target", (GOOD, &Setting::default()));
    let uses = "          envFrom:\n            - configMapRef: {name: settings}\n          env:\n";
    change(&stage, "feat: settings", &[("          env:\n", uses)]);
    let first = settings("info");
    let worker = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: worker, namespace: {}}}\nspec:\n  selector: {{matchLabels: {{app: worker}}}}\n  template:\n    metadata: {{labels: {{app: worker}}}}\n    spec:\n      containers:\n      - name: main\n        image: ronaldraygun/worker:1.0.0\n        envFrom: [{{configMapRef: {{name: settings}}}}]\n",
        stage.name
    );
    let team = stage.team();
    let files = [
        (SETTINGS, Some(first.as_str())),
        ("k8s/apexalgo-iad/mcp/worker.yml", Some(worker.as_str())),
    ];
    team.commit("feat: settings", &files);
    team.push();
    stage.refresh();
    stage.wait_env_from("settings");
    let tip = team.commit("chore: more words", &[(SETTINGS, Some(&settings("trace")))]);
    team.push();
    stage.refresh();
    let user = stage.user();
    let back = ["rollback", "cm/settings", "-n", &stage.name];
    let dry = user.run(&[&back[..], &["--dry-run"]].concat()).ends_with(0);
    assert_eq!(dry.json["targets"].as_array().map(Vec::len), Some(2));
    let run = user.run(&[&back[..], &["--yes"]].concat()).ends_with(0);
    run.has("/state", "succeeded");
    assert_eq!(stage.file_at("refs/heads/main", SETTINGS), first);
    assert_eq!(stage.commits_since(&tip).len(), 1, "one commit for both");
    let none = user.run(&["rollback", "cm/no-such", "-n", &stage.name, "--yes"]);
    none.ends_with(3);
    let wish = [&back[..], &["--to", GOOD, "--yes"]].concat();
    user.run(&wish).ends_with(2);
}

/// A ConfigMap that Helm renders, whose digest stands in the pods: a release of its own, which
/// `history` names and which goes back as the target.
pub(crate) fn a_rendered_config_map_is_a_target(world: &'static World) {
    let setting = Setting {
        layout: Layout::Helm,
        ..Setting::default()
    };
    let stage = Stage::new(world, "rendered-config", (GOOD, &setting));
    let values = stage.release_file();
    let good = stage.file_at("refs/heads/main", &values);
    let trace = format!("{good}level: trace   # for a while\n");
    let team = stage.team();
    let bad = team.commit("chore: more words", &[(&values, Some(&trace))]);
    team.push();
    stage.refresh();
    let name = format!("cm/{}", stage.settings());
    stage.wait_level("trace");
    let user = stage.user();
    let told = user
        .run(&["history", &name, "-n", &stage.name])
        .ends_with(0);
    told.has("/used/0/commit", bad.as_str());
    let back = ["rollback", &name, "-n", &stage.name, "--yes"];
    let run = user.run(&back).ends_with(0);
    run.has("/state", "succeeded").all_checks_hold();
    stage.wait_level("info");
    assert_eq!(stage.file_at("refs/heads/main", &values), good);
    assert_eq!(stage.commits_since(&bad).len(), 1);
    let again = user.run(&back).ends_with(0);
    again.says("/reason", "is back already");
    assert_eq!(stage.commits_since(&bad).len(), 1);
}

/// A field that something else has changed since is named with that commit, and left.
pub(crate) fn what_was_changed_since_is_left(world: &'static World) {
    let stage = Stage::new(world, "revert-partly", (GOOD, &Setting::default()));
    let bad = change(
        &stage,
        "chore: 1.2.5 with many workers",
        &[(GOOD, HEALTHY), ("value: \"10\"", "value: \"99\"")],
    );
    let later = change(
        &stage,
        "fix: fewer workers",
        &[("value: \"99\"", "value: \"15\"")],
    );
    stage.team().push();
    stage.refresh();
    stage.wait_live(HEALTHY);
    let user = stage.user();
    let run = user
        .run(&["revert", &bad, "zai-proxy", "-n", &stage.name, "--yes"])
        .ends_with(0);
    run.has("/state", "succeeded").says("/kept/0", &later[..7]);
    let wanted = stage
        .manifest(GOOD)
        .replace("value: \"10\"", "value: \"15\"");
    assert_eq!(stage.file_at("refs/heads/main", MANIFEST), wanted);
    stage.wait_live(GOOD);
    // The later change alone can be taken back, but nothing of a superseded one.
    let newest = change(
        stage_caught_up(&stage),
        "chore: other workers",
        &[("value: \"15\"", "value: \"12\"")],
    );
    stage.team().push();
    let none = user
        .run(&["revert", &later, "zai-proxy", "-n", &stage.name, "--yes"])
        .ends_with(0);
    none.says("/reason", "nothing of");
    none.says("/reason", &newest[..7]);
    assert_eq!(stage.tip(), newest);
}

fn stage_caught_up(stage: &Stage) -> &Stage {
    stage.team().catch_up();
    stage
}

/// Without a target all of the commit is taken back: other objects, and files that are no YAML.
pub(crate) fn all_of_a_commit_is_taken_back(world: &'static World) {
    let first = settings("info");
    let setting = Setting {
        files: vec![(NOTES, "# Notes\n\nfirst\n\nkept\n")],
        ..Setting::default()
    };
    let stage = Stage::new(world, "revert-all", (GOOD, &setting));
    stage
        .team()
        .commit("chore: settings", &[(SETTINGS, Some(&first))]);
    let manifest = stage.manifest(HEALTHY);
    let debug = settings("debug");
    let bad = stage.team().commit(
        "chore: everything at once",
        &[
            (MANIFEST, Some(&manifest)),
            (SETTINGS, Some(&debug)),
            (NOTES, Some("# Notes\n\nsecond\n\nkept\n")),
            ("added.txt", Some("new\n")),
        ],
    );
    let later = stage.team().commit(
        "docs: more",
        &[(NOTES, Some("# Notes\n\nsecond\n\nkept\n\nmore\n"))],
    );
    stage.team().push();
    stage.refresh();
    stage.wait_live(HEALTHY);
    let user = stage.user();
    let run = user
        .run(&["revert", &bad, "-n", &stage.name, "--yes"])
        .ends_with(0);
    run.has("/state", "succeeded");
    assert_eq!(stage.commits_since(&later).len(), 1);
    let file = |path: &str| stage.file_at("refs/heads/main", path);
    assert_eq!(file(MANIFEST), stage.manifest(GOOD));
    assert_eq!(file(SETTINGS), first);
    assert_eq!(file(NOTES), "# Notes\n\nfirst\n\nkept\n\nmore\n");
    let names = git(stage.bare(), &["ls-tree", "-r", "--name-only", "main"]);
    assert!(!names.contains("added.txt"), "{names}");
    stage.wait_live(GOOD);
}

/// Where kustomize renders it, the overlay's own text comes back.
pub(crate) fn a_rendered_commit_is_taken_back(world: &'static World) {
    let setting = Setting {
        layout: Layout::Kustomize,
        ..Setting::default()
    };
    let story = Stage::with_bad_release_in(world, "revert-kustomize", &setting);
    let stage = &story.stage;
    let run = stage
        .user()
        .run(&[
            "revert",
            &story.bad,
            "zai-proxy",
            "-n",
            &stage.name,
            "--yes",
        ])
        .ends_with(0);
    run.has("/state", "succeeded").all_checks_hold();
    assert_eq!(
        stage.file_at("refs/heads/main", OVERLAY),
        stage.manifest(GOOD)
    );
    assert_eq!(stage.commits_since(&story.tip).len(), 1);
    stage.wait_live(GOOD);
}

/// An undo can be undone, and a merge needs its parent to be named.
pub(crate) fn an_undo_is_undone_and_a_merge_needs_its_parent(world: &'static World) {
    let stage = Stage::new(world, "revert-twice", (GOOD, &Setting::default()));
    let team = stage.team();
    team.git(&["switch", "-q", "-c", "release"]);
    stage.release(HEALTHY);
    team.git(&["switch", "-q", "main"]);
    stage.commit_of_others("5.0.1");
    team.git(&["merge", "-q", "--no-ff", "-m", "merge: 1.2.5", "release"]);
    let merge = team.git(&["rev-parse", "HEAD"]);
    stage.team().push();
    stage.refresh();
    stage.wait_live(HEALTHY);
    let user = stage.user();
    let revert = |commit: &str, more: &[&str]| {
        let mut words = vec!["revert", commit, "zai-proxy", "-n", &stage.name, "--yes"];
        words.extend(more);
        user.run(&words)
    };
    let refused = revert(&merge, &[]).ends_with(3);
    let hint = refused.blocker("merge-commit")["hint"].to_string();
    assert!(
        hint.contains("--parent 1") && hint.contains("--parent 2"),
        "{hint}"
    );
    revert(&merge, &["--parent", "1"])
        .ends_with(0)
        .has("/state", "succeeded");
    stage.wait_live(GOOD);
    assert_eq!(
        stage.file_at("refs/heads/main", MANIFEST),
        stage.manifest(GOOD)
    );
    let undo = stage.tip();
    revert(&undo, &[]).ends_with(0).has("/state", "succeeded");
    assert_eq!(
        stage.file_at("refs/heads/main", MANIFEST),
        stage.manifest(HEALTHY)
    );
    stage.wait_live(HEALTHY);
    let live = stage.deployment().expect("the Deployment");
    assert!(image(&live).ends_with(HEALTHY));
}

/// What cannot be taken back is refused with its reason; nothing is committed.
pub(crate) fn what_cannot_be_taken_back_is_refused(world: &'static World) {
    let story = Stage::with_bad_release(world, "revert-refused");
    let stage = &story.stage;
    let user = stage.user();
    let blocked = |commit: &str, id: &str| {
        let words = ["revert", commit, "zai-proxy", "-n", &stage.name, "--yes"];
        let run = user.run(&words).ends_with(3);
        run.blocker(id);
    };
    blocked("no-such-commit", "commit-unknown");
    blocked(&story.tip, "commit-elsewhere");
    let root = stage.team().git(&["rev-list", "--max-parents=0", "HEAD"]);
    blocked(&root, "first-commit");
    let aside = stage.team();
    aside.git(&["switch", "-q", "-c", "aside"]);
    let elsewhere = stage.release("9.9.9");
    aside.git(&["push", "-q", "origin", "aside"]);
    aside.git(&["switch", "-q", "main"]);
    user.clone().git(&["fetch", "-q", "origin", "aside"]);
    blocked(&elsewhere, "commit-not-on-branch");
    let run = user.run(&["revert", &story.tip, "-n", &stage.name, "--yes"]);
    assert!(matches!(run.code, Some(2 | 3)), "{}", run.story());
    assert_eq!(stage.tip(), story.tip);
}

/// Killed around the push: going on makes no second commit.
pub(crate) fn a_revert_goes_on(world: &'static World) {
    let story = Stage::with_bad_release(world, "revert-killed");
    let stage = &story.stage;
    let user = stage.user().listing_points();
    let words = |commit: &str| -> Vec<String> {
        let all = ["revert", commit, "zai-proxy", "-n", &stage.name, "--yes"];
        all.iter().map(|word| (*word).to_owned()).collect()
    };
    let run = |user: &crate::unship::Unship<'_>, commit: &str| {
        let words = words(commit);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        user.run(&words)
    };
    run(&user, &story.bad).ends_with(0);
    let points = user.points();
    for name in ["recorded committed", "pushed", "waited land"] {
        stage.team().catch_up();
        let again = stage.ship(BAD);
        stage.wait_crashing();
        let killed = stage.user().killed_at(points.number(name));
        let killed = run(&killed, &again);
        assert_eq!(killed.code, None, "killed at {name}: {}", killed.story());
        let on = user.run(&["continue"]).ends_with(0);
        on.has("/state", "succeeded").all_checks_hold();
        assert_eq!(stage.commits_since(&again).len(), 1, "one commit in all");
        assert_eq!(
            stage.file_at("refs/heads/main", MANIFEST),
            stage.manifest(GOOD)
        );
    }
}
