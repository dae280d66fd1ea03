//! A canary out, with production beside it untouched.

use serde_json::Value;

use crate::admin::Kind;
use crate::repository;
use crate::stage::{GOOD, Setting, Stage};
use crate::world::World;

const CANARY: &str = include_str!(
    "../../manifests-fixtures/gitops/k8s/apexalgo-iad/mcp/zai-proxy-canary-deployment.yml"
);
const FILE: &str = "k8s/apexalgo-iad/mcp/zai-proxy-canary-deployment.yml";

fn deployment(stage: &Stage, name: &str) -> Option<Value> {
    let all = stage.list(Kind::Deployment).into_iter();
    let mut own = all.filter(|object| object["metadata"]["name"] == name);
    own.next()
}

/// Releases of the canary: one that serves, one that does not come up.
const SERVES: &str = "1.3.0-canary";
const CRASHES: &str = "1.3.0-canary-crash";

/// A canary beside production that serves, and its manifest. What its release comes to is
/// waited for.
fn with_canary(world: &'static World, scenario: &str, release: &str) -> (Stage, String) {
    let stage = Stage::new(world, scenario, (GOOD, &Setting::default()));
    let canary = CANARY
        .replace("namespace: mcp", &format!("namespace: {}", stage.name))
        .replace(SERVES, release);
    stage
        .team()
        .commit("feat: canary of 1.3.0", &[(FILE, Some(&canary))]);
    stage.team().push();
    stage.refresh();
    let crashing = |pod: &Value| {
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    };
    world.until(&format!("the canary {release} is what it is"), || {
        let pods = stage.list(Kind::Pod);
        let ready = deployment(&stage, "zai-proxy-canary")
            .map(|canary| canary["status"]["readyReplicas"].clone());
        let there = if release == CRASHES {
            pods.iter().any(crashing)
        } else {
            ready == Some(1.into())
        };
        there
            .then_some(())
            .ok_or_else(|| format!("{} pods, {ready:?} ready", pods.len()))
    });
    (stage, canary)
}

/// A canary of which every pod crashes is to be rolled back, whatever else is unknown; nothing
/// is written, and only on demand the exit code tells.
pub(crate) fn a_crashing_canary_is_assessed(world: &'static World) {
    let (stage, _) = with_canary(world, "assess", CRASHES);
    let (before, references) = (stage.snapshot(), stage.references());
    let user = stage.user();
    let assess = [
        "assess",
        "zai-proxy-canary",
        "-n",
        &stage.name,
        "--production",
        "zai-proxy",
    ];
    let found = user.run(&assess).ends_with(0);
    found.has("/kind", "Assess").has("/verdict", "rollback");
    let trigger = |id: &str| {
        let all = found.json["triggers"].as_array();
        let own = all.and_then(|all| all.iter().find(|trigger| trigger["id"] == id));
        own.unwrap_or_else(|| panic!("no {id} in {}", found.story()))
    };
    let pods = trigger("pods");
    assert_eq!(
        (&pods["verdict"], &pods["severity"]),
        (&"fails".into(), &"critical".into())
    );
    let evidence = pods["evidence"].as_str().unwrap_or_default();
    assert!(
        evidence.starts_with("1 of 1 pods") && evidence.contains("CrashLoopBackOff"),
        "{evidence}"
    );
    for id in ["errorRate", "latency", "tokens", "workers", "reported"] {
        let own = trigger(id);
        assert_eq!(own["verdict"], "unknown", "{}", found.story());
        assert_ne!(own["evidence"], "", "{id} says why");
    }
    assert_eq!(trigger("image")["verdict"], "holds");
    let abort = format!(
        "unship abort deployment/zai-proxy-canary -n {} --production zai-proxy",
        stage.name
    );
    found.has("/next/0", abort);
    user.run(&[&assess[..], &["--exit-code"]].concat())
        .ends_with(10);
    // Production beside it is well, as far as it is known.
    let production = user.on_target("assess", &[]).ends_with(0);
    production
        .has("/verdict", "unknown")
        .has("/triggers/0/verdict", "holds");
    let told = user.on_target("assess", &["--reason", "corrupted data"]);
    told.ends_with(0).has("/verdict", "rollback");
    before.assert_unchanged(&stage);
    assert_eq!(stage.references(), references);
}

/// A port-forward for metrics stands among the writes of whoever may make one, and of nobody
/// else; where it comes to nothing the bundle says why.
pub(crate) fn a_port_forward_is_told(world: &'static World) {
    let (stage, _) = with_canary(world, "forward", SERVES);
    let forward = format!("create pods/portforward {}/zai-proxy-canary-*", stage.name);
    let of = |value: &Value| -> Vec<String> {
        let all = value["writes"].as_array().cloned().unwrap_or_default();
        let words = all
            .iter()
            .filter_map(|write| write.as_str().map(str::to_owned));
        words
            .filter(|write| write.contains("portforward"))
            .collect()
    };
    let canary = ["zai-proxy-canary", "-n", &stage.name];
    let run = |user: &crate::unship::Unship<'_>, command: &str, more: &[&str]| {
        user.run(&[&[command], &canary[..], more].concat())
            .ends_with(0)
    };
    let observer = stage.user();
    let deployer = stage.user().as_deployer();
    for (user, expected) in [(&observer, vec![]), (&deployer, vec![forward.clone()])] {
        assert_eq!(of(&run(user, "abort", &["--dry-run"]).json), expected);
        assert_eq!(of(&run(user, "assess", &[]).json), expected);
    }
    let aborted = run(&deployer, "abort", &["--record", "none", "--yes"]);
    let evidence = aborted.json["evidence"].as_str().unwrap_or("");
    let manifest = std::fs::read_to_string(format!("{evidence}/manifest.json")).unwrap_or_default();
    let manifest: Value = serde_json::from_str(&manifest).expect("the bundle's list");
    assert_eq!(of(&manifest), [forward]);
    // No world here has a kubelet that carries it on.
    let missing = manifest["missing"].to_string();
    assert!(
        missing.contains("port-forward to /metrics of pod"),
        "{missing}"
    );
}

/// Evidence, replicas 0 in Git with the manifest kept, and the proof that production is as it was.
pub(crate) fn a_crashing_canary_is_taken_out(world: &'static World) {
    let (stage, canary) = with_canary(world, "canary", CRASHES);
    let production = deployment(&stage, "zai-proxy").expect("production");
    let user = stage.user();
    let arguments = [
        "zai-proxy-canary",
        "-n",
        &stage.name,
        "--production",
        "zai-proxy",
        "--yes",
    ];
    let run = user
        .run(&[&["abort"], &arguments[..]].concat())
        .ends_with(0);
    run.has("/state", "succeeded").has("/intent", "abort");
    assert_eq!(
        run.check("production")["verdict"],
        "holds",
        "{}",
        run.story()
    );
    assert_eq!(run.check("replicas")["verdict"], "holds", "{}", run.story());
    let out = deployment(&stage, "zai-proxy-canary").expect("its manifest is kept");
    assert_eq!(out["spec"]["replicas"], 0);
    let text = stage.file_at("refs/heads/main", FILE);
    assert_eq!(text, canary.replace("replicas: 1", "replicas: 0"));
    let after = deployment(&stage, "zai-proxy").expect("production");
    for field in ["uid", "generation"] {
        assert_eq!(after["metadata"][field], production["metadata"][field]);
    }
    let evidence = run.json["evidence"].as_str().unwrap_or("");
    let manifest = std::fs::read_to_string(format!("{evidence}/manifest.json")).unwrap_or_default();
    for log in [".log", ".previous.log", "timeline.txt"] {
        assert!(manifest.contains(log), "{log} in {manifest}");
    }
}

/// Logs that may not be read are a named gap, and stop nothing.
pub(crate) fn a_canary_whose_logs_are_forbidden_is_taken_out(world: &'static World) {
    let (stage, _) = with_canary(world, "canary-logless", CRASHES);
    let user = stage.user().without_logs();
    let run = user
        .run(&[
            "abort",
            "zai-proxy-canary",
            "-n",
            &stage.name,
            "--production",
            "zai-proxy",
            "--yes",
        ])
        .ends_with(0);
    let out = deployment(&stage, "zai-proxy-canary").expect("its manifest is kept");
    assert_eq!(out["spec"]["replicas"], 0);
    let evidence = run.json["evidence"].as_str().unwrap_or("");
    let manifest = std::fs::read_to_string(format!("{evidence}/manifest.json")).unwrap_or_default();
    let manifest: Value = serde_json::from_str(&manifest).expect("the bundle's list");
    assert!(
        manifest["missing"].to_string().contains("pods/log"),
        "{manifest:#}"
    );
    let files = manifest["files"].to_string();
    assert!(
        !files.contains(".log") && files.contains("events"),
        "{files}"
    );
}

/// A canary whose pods are all ready did not crash: what is put on record are its errors. It is
/// named by a service of the repository's unship.yaml, whose name no workload has.
pub(crate) fn a_canary_with_errors_is_taken_out(world: &'static World) {
    let (stage, _) = with_canary(world, "canary-errors", SERVES);
    let services = "services:\n  gateway: {production: zai-proxy, canary: zai-proxy-canary}\n";
    stage
        .team()
        .commit("chore: the gateway", &[("unship.yaml", Some(services))]);
    stage.team().push();
    let user = stage.user();
    let run = user
        .run(&[
            "abort",
            "gateway",
            "-n",
            &stage.name,
            "--record",
            "file",
            "--yes",
        ])
        .ends_with(0);
    let evidence = std::path::PathBuf::from(run.json["evidence"].as_str().unwrap_or_default());
    let text = std::fs::read_to_string(evidence.with_file_name("record.md")).expect("a record");
    for part in [
        "# Fix canary high error rate - v1.3.0\n",
        "bug · P1 · `bug` `canary` `errors`",
        "its replicas are set to 0",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

fn delete(stage: &Stage) -> Vec<&str> {
    vec![
        "abort",
        "zai-proxy-canary",
        "-n",
        &stage.name,
        "--production",
        "zai-proxy",
        "--record",
        "file",
        "--delete",
        "--yes",
    ]
}

fn files(stage: &Stage) -> String {
    let tree = ["ls-tree", "-r", "--name-only", "refs/heads/main"];
    repository::git(stage.bare(), &tree)
}

/// One commit takes the manifest out, Argo CD prunes the object, production is as it was.
pub(crate) fn a_canary_is_deleted_through_git(world: &'static World) {
    let (stage, _) = with_canary(world, "canary-delete", SERVES);
    let before = stage.tip();
    let production = deployment(&stage, "zai-proxy").expect("production");
    let others = files(&stage).replace(&format!("{FILE}\n"), "");
    let run = stage.user().run(&delete(&stage)).ends_with(0);
    for check in ["gone", "argocd", "production", "branch"] {
        assert_eq!(run.check(check)["verdict"], "holds", "{}", run.story());
    }
    assert!(deployment(&stage, "zai-proxy-canary").is_none());
    assert_eq!(stage.commits_since(&before).len(), 1);
    assert_eq!(files(&stage), others, "only that file");
    let after = deployment(&stage, "zai-proxy").expect("production");
    for field in ["uid", "generation"] {
        assert_eq!(after["metadata"][field], production["metadata"][field]);
    }
    let evidence = std::path::PathBuf::from(run.json["evidence"].as_str().unwrap_or_default());
    assert!(evidence.join("manifest.json").is_file(), "the bundle");
    let record = std::fs::read_to_string(evidence.with_file_name("record.md")).expect("a record");
    assert!(
        record.contains("its manifest is removed from Git"),
        "{record}"
    );
    once_more(&stage, &run.json["runId"]);
}

/// The same command again: told by the run, and without a journal by Git's history.
fn once_more(stage: &Stage, run: &Value) {
    let tip = stage.tip();
    let user = stage.user();
    let elsewhere = stage.folder.join("other-state").display().to_string();
    let forgetful = stage.user().with("XDG_STATE_HOME", &elsewhere);
    for user in [&user, &forgetful] {
        let again = user.run(&delete(stage)).ends_with(0);
        again
            .says("/reason", "zai-proxy-canary")
            .says("/reason", "is gone");
        for part in [FILE, &tip[..7], run.as_str().unwrap_or("?")] {
            again.says("/reason", part);
        }
    }
    assert_eq!(stage.tip(), tip, "nothing was done");
    let mut kept = delete(stage);
    kept.retain(|argument| *argument != "--delete");
    user.run(&kept).ends_with(2);
    let mut other = delete(stage);
    other[1] = "zai-proxy-canary-2";
    user.run(&other).ends_with(2);
    // It comes back to Git, and nothing applies it.
    stage.auto_sync(false);
    let text = CANARY.replace("namespace: mcp", &format!("namespace: {}", stage.name));
    stage.team().catch_up();
    stage
        .team()
        .commit("feat: canary again", &[(FILE, Some(&text))]);
    stage.team().push();
    for user in [&user, &forgetful] {
        let back = user.run(&delete(stage)).ends_with(3);
        back.says("/message", FILE);
    }
}

/// Where Argo CD does not prune, the first run sets the replicas to 0, the second removes the
/// manifest, and the object stays without pods.
pub(crate) fn a_canary_that_is_not_pruned_is_at_0_first(world: &'static World) {
    let (stage, canary) = with_canary(world, "canary-left", SERVES);
    let policy = serde_json::json!({"spec": {"syncPolicy": {"automated": {"prune": false}}}});
    stage.patch(Kind::Application, &policy);
    let user = stage.user();
    let run = user.run(&delete(&stage)).ends_with(0);
    assert_eq!(run.check("replicas")["verdict"], "holds", "{}", run.story());
    let text = stage.file_at("refs/heads/main", FILE);
    assert_eq!(text, canary.replace("replicas: 1", "replicas: 0"));
    let run = user.run(&delete(&stage)).ends_with(0);
    for check in ["gone", "production", "branch"] {
        assert_eq!(run.check(check)["verdict"], "holds", "{}", run.story());
    }
    assert!(!files(&stage).contains(FILE));
    stage.refresh();
    let left = deployment(&stage, "zai-proxy-canary").expect("it stays");
    assert_eq!(left["spec"]["replicas"], 0);
}

/// The code's repository: a good commit, a bad one, and a later one in another line.
struct Code {
    bare: std::path::PathBuf,
    clone: tempfile::TempDir,
    bad: String,
}

impl Code {
    fn new(world: &World, name: &str) -> Self {
        let bare = repository::create(world, name);
        let clone = tempfile::tempdir().expect("a folder");
        let code = Self {
            bad: String::new(),
            bare,
            clone,
        };
        let remote = code.bare.display().to_string();
        code.git(&["clone", "-q", &remote, "."]);
        code.commit("a\nb\nc\nd\ne\n", "feat: count tokens");
        let bad = code.commit("a\nB\nc\nd\ne\n", "feat: count twice");
        code.commit("a\nB\nc\nd\nE\n", "docs: later");
        code.git(&["push", "-q", "origin", "main"]);
        Self { bad, ..code }
    }

    fn git(&self, arguments: &[&str]) -> String {
        repository::git(self.clone.path(), arguments)
    }

    fn commit(&self, text: &str, message: &str) -> String {
        std::fs::write(self.clone.path().join("main.rs"), text).expect("a file");
        self.git(&["add", "main.rs"]);
        let who = ["-c", "user.name=A", "-c", "user.email=a@example.org"];
        self.git(&[&who[..], &["commit", "-q", "-m", message]].concat());
        self.git(&["rev-parse", "HEAD"])
    }

    fn subjects(&self) -> Vec<String> {
        let log = repository::git(&self.bare, &["log", "--format=%s", "main"]);
        log.lines().map(str::to_owned).collect()
    }
}

/// The code's commit is reverted in its own repository once the canary is out; a remote that
/// does not take it undoes nothing, and `continue` goes on; a conflict is refused first.
pub(crate) fn the_code_of_a_canary_is_reverted(world: &'static World) {
    let (stage, _) = with_canary(world, "canary-code", SERVES);
    let code = Code::new(world, "canary-code-repository");
    let folder = code.clone.path().display().to_string();
    let abort = |commit: &str| -> Vec<String> {
        let mut all: Vec<&str> = delete(&stage);
        all.retain(|argument| *argument != "--delete");
        all.extend(["--code-repo", &folder, "--code-commit", commit]);
        all.into_iter().map(str::to_owned).collect()
    };
    let user = stage.user();
    let run = |arguments: Vec<String>| {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        user.run(&words)
    };
    let before = (stage.tip(), code.subjects());
    let first = code.git(&["rev-parse", "HEAD~2"]);
    run(abort(&first)).ends_with(3);
    let clash = code.git(&["rev-parse", "HEAD"]);
    code.commit("a\nB\nc\nd\nX\n", "docs: again");
    code.git(&["push", "-q", "origin", "main"]);
    run(abort(&clash)).ends_with(3);
    assert_eq!(stage.tip(), before.0, "nothing was done");

    let hook = code.bare.join("hooks/pre-receive");
    std::fs::create_dir_all(code.bare.join("hooks")).expect("a folder");
    std::fs::write(&hook, "#!/bin/sh\necho no\nexit 1\n").expect("a hook");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&hook, mode).expect("a mode");
    run(abort(&code.bad)).ends_with(4);
    let out = deployment(&stage, "zai-proxy-canary").expect("its manifest is kept");
    assert_eq!(out["spec"]["replicas"], 0, "the canary is out");
    assert_eq!(code.subjects().len(), before.1.len() + 1, "no revert yet");
    let tip = stage.tip();

    std::fs::remove_file(&hook).expect("the hook");
    run(vec!["continue".to_owned()]).ends_with(0);
    assert_eq!(stage.tip(), tip, "no second commit");
    let subjects = code.subjects();
    assert_eq!(subjects.len(), before.1.len() + 2);
    assert_eq!(subjects[0], "Revert \"feat: count twice\"");
    let text = repository::git(&code.bare, &["show", "main:main.rs"]);
    assert_eq!(text, "a\nb\nc\nd\nX", "later work is kept");
    // Once more: nothing is left to be done.
    run(abort(&code.bad)).ends_with(0);
    assert_eq!(code.subjects(), subjects);
}

/// The whole rehearsal as the observer: seven named tests, zero writes.
pub(crate) fn a_drill_writes_nothing(world: &'static World) {
    let story = Stage::with_bad_release(world, "drill");
    let stage = &story.stage;
    let (before, references) = (stage.snapshot(), stage.references());
    for user in [stage.user(), stage.user().as_operator()] {
        let drill = user.on_target("drill", &[]).ends_with(0);
        let tests = drill.json["targets"][0]["tests"].as_array().cloned();
        let tests = tests.unwrap_or_default();
        assert_eq!(tests.len(), 7, "{}", drill.story());
        drill.says("/targets/0/backTo", GOOD);
        before.assert_unchanged(stage);
        assert_eq!(stage.references(), references);
    }
}
