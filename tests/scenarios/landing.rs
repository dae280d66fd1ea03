//! Rollbacks that reach their end, good or bad.

use serde_json::Value;

use crate::admin::Kind;
use crate::repository::git;
use crate::stage::{BAD, GOOD, MANIFEST, OTHERS_FILE, Setting, Stage, image};
use crate::unship::{Outcome, Unship};
use crate::world::World;

/// A rollback in all its parts.
fn lands(story: &crate::stage::Story, user: &Unship<'_>) -> Outcome {
    let run = user
        .rollback(&["--reason", "a test of the whole path"])
        .ends_with(0);
    let commit = story.assert_rolled_back(&story.tip);
    run.has("/kind", "Run")
        .has("/state", "succeeded")
        .has("/commits/0/id", commit.as_str())
        .has("/commits/0/branch", "main")
        .has("/commits/0/pushed", true)
        .has("/commits/1", Value::Null)
        .says("/rollForward", &story.bad[..12])
        .all_checks_hold();
    let message = git(story.stage.bare(), &["log", "-1", "--format=%B", &commit]);
    for text in [
        "fix: rollback zai-proxy to previous stable version",
        "a test of the whole path",
        &format!("Rollback-Of: {}", story.bad),
        &format!("Rollback-To: {}", story.good),
        &format!("Unship-Run: {}", run.json["runId"].as_str().unwrap_or("?")),
        &format!(
            "Unship-Plan: {}",
            run.json["planId"].as_str().unwrap_or("?")
        ),
    ] {
        assert!(
            message.contains(text),
            "{text:?} is not in the message:\n{message}"
        );
    }
    assert_eq!(
        user.clone().git(&["rev-parse", "HEAD"]),
        commit,
        "a clean checkout follows"
    );
    assert_eq!(user.clone().git(&["status", "--porcelain"]), "");
    let evidence = user.runs()[0].join("evidence");
    let log = std::fs::read_dir(&evidence)
        .expect("an evidence folder")
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().contains("log"));
    assert!(
        log,
        "the crashing pods' logs are saved in {}",
        evidence.display()
    );
    run
}

/// One commit with exactly the good release's bytes; it goes live and is judged healthy. Running
/// it again changes nothing: the bad release does not come back.
pub(crate) fn a_rollback_lands(world: &'static World) {
    let story = Stage::with_bad_release(world, "lands");
    let user = story.stage.user();
    let run = lands(&story, &user);
    run.says("/checks", "Synced");
    let commit = story.stage.tip();
    let again = user.rollback(&[]).ends_with(0);
    again
        .has("/state", "succeeded")
        .says("/reason", "nothing to do")
        .says("/reason", &commit[..7]);
    assert_eq!(story.stage.tip(), commit, "a second rollback does nothing");
}

/// Nothing of Argo CD: the live template is the evidence.
pub(crate) fn a_rollback_lands_without_argocd_access(world: &'static World) {
    let story = Stage::with_bad_release(world, "no-argocd");
    let user = story.stage.user().without_argocd();
    lands(&story, &user);
}

/// A kubeconfig whose server is plain http, without credentials.
pub(crate) fn a_rollback_lands_through_a_plain_http_proxy(world: &'static World) {
    let story = Stage::with_bad_release(world, "proxy");
    let kubeconfig = world.variable("UNSHIP_WORLD_PROXY_KUBECONFIG");
    let user = story.stage.user().with("KUBECONFIG", kubeconfig);
    lands(&story, &user);
}

/// The tip is another team's, and the user's clone does not have it yet.
pub(crate) fn another_teams_tip_is_kept(world: &'static World) {
    let story = Stage::with_bad_release(world, "foreign-tip");
    let stage = &story.stage;
    let user = stage.user();
    let tip = stage.commit_of_others("6.0.0");
    stage.team().push();
    user.rollback(&[])
        .ends_with(0)
        .has("/state", "succeeded")
        .all_checks_hold();
    story.assert_rolled_back(&tip);
    let theirs = stage.file_at("refs/heads/main", OTHERS_FILE);
    assert_eq!(
        theirs,
        stage.file_at(&tip, OTHERS_FILE),
        "the other team's file is as they left it"
    );
    assert!(theirs.contains("6.0.0"));
}

/// A webhook points pods at a mirror: the template decides, the pods are explained.
pub(crate) fn rewritten_pod_images_are_explained(world: &'static World) {
    let setting = Setting {
        labels: vec![("unship.test/rewrite-images", "true")],
        ..Setting::default()
    };
    let story = Stage::with_bad_release_in(world, "mirror", &setting);
    let user = story.stage.user();
    let run = user.rollback(&[]).ends_with(0);
    run.has("/state", "succeeded").all_checks_hold();
    let evidence = run.check("images")["evidence"].as_str().unwrap_or("");
    let mirrored = format!("localhost:7439/ronaldraygun/zai-proxy:{GOOD}");
    assert!(evidence.contains(&mirrored), "{}", run.story());
    story.assert_rolled_back(&story.tip);
}

/// A ConfigMap that Git no longer has and Argo CD may not prune.
const UNPRUNABLE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: kept-for-good\n  \
    annotations:\n    argocd.argoproj.io/sync-options: Prune=false\ndata:\n  colour: blue\n";
const UNPRUNABLE_FILE: &str = "k8s/apexalgo-iad/mcp/kept.yaml";

/// The Application as a whole is OutOfSync for good; the target is judged by its own entry.
pub(crate) fn an_application_that_is_never_in_sync_does_not_matter(world: &'static World) {
    let setting = Setting {
        files: vec![(UNPRUNABLE_FILE, UNPRUNABLE)],
        ..Setting::default()
    };
    let stage = Stage::new(world, "out-of-sync", (GOOD, &setting));
    let good = stage.team().git(&["rev-parse", "HEAD"]);
    stage
        .team()
        .commit("chore: drop the old ConfigMap", &[(UNPRUNABLE_FILE, None)]);
    let bad = stage.ship(BAD);
    stage.wait_crashing();
    let out_of_sync = |stage: &Stage| {
        let status = stage.application()["status"]["sync"].clone();
        let now = stage.tip();
        if status["status"] == "OutOfSync" && status["revision"] == now.as_str() {
            Ok(())
        } else {
            Err(status.to_string())
        }
    };
    world.until("the Application is OutOfSync", || out_of_sync(&stage));
    let story = crate::stage::Story {
        stage,
        good,
        tip: bad.clone(),
        bad,
    };
    let user = story.stage.user();
    let run = user.rollback(&[]).ends_with(0);
    run.has("/state", "succeeded").all_checks_hold();
    story.assert_rolled_back(&story.tip);
    world.until("the Application is still OutOfSync", || {
        out_of_sync(&story.stage)
    });
}

/// The target's own pods never become ready: exit 5, the old pods go on serving, and what can be
/// done next is said. Nothing is scaled down.
pub(crate) fn a_target_that_never_comes_up_fails_and_keeps_the_old_pods(world: &'static World) {
    let setting = Setting {
        progress_deadline: Some(5),
        ..Setting::default()
    };
    let stage = Stage::new(world, "never-ready", (GOOD, &setting));
    let never = stage.ship("1.1.9-never");
    world.until("1.1.9-never is tried", || {
        let live = stage
            .deployment()
            .map(|d| image(&d).to_owned())
            .unwrap_or_default();
        if live.ends_with(":1.1.9-never") {
            Ok(())
        } else {
            Err(live)
        }
    });
    let tip = stage.ship("1.2.2");
    stage.wait_live("1.2.2");
    let user = stage.user();
    let run = user.rollback(&["--to", "1.1.9-never"]).ends_with(5);
    run.has("/state", "failed")
        .says("/reason", "ProgressDeadlineExceeded")
        .says("/next", "unship history")
        .says("/rollForward", &tip[..12]);
    assert_eq!(
        stage.commits_since(&tip).len(),
        1,
        "it was carried out: {}",
        run.story()
    );
    assert_eq!(
        stage.file_at("refs/heads/main", MANIFEST),
        stage.file_at(&never, MANIFEST)
    );
    let deployment = stage.deployment().expect("the Deployment");
    assert_eq!(deployment["spec"]["replicas"], 1, "nothing is scaled down");
    let serving = |pod: &Value| {
        let conditions = pod["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let ready = conditions
            .iter()
            .any(|c| c["type"] == "Ready" && c["status"] == "True");
        ready
            && pod["spec"]["containers"][0]["image"]
                .as_str()
                .unwrap_or("")
                .ends_with(":1.2.2")
    };
    assert!(
        stage.list(Kind::Pod).iter().any(serving),
        "a pod of 1.2.2 still serves"
    );
    let evidence = run.json["evidence"].as_str().unwrap_or("");
    assert!(
        std::path::Path::new(evidence).is_dir(),
        "evidence in {evidence:?}"
    );
}

/// The target is what Git has and what runs: nothing to do, no commit.
pub(crate) fn nothing_to_do_when_the_target_is_live(world: &'static World) {
    let stage = Stage::new(world, "nothing-to-do", (GOOD, &Setting::default()));
    let before = stage.references();
    let user = stage.user();
    let run = user.rollback(&["--to", GOOD]).ends_with(0);
    run.has("/state", "succeeded")
        .has("/commits/0", Value::Null)
        .says("/reason", "nothing to do");
    run.all_checks_hold();
    let plan = user
        .on_target("plan", &["--to", GOOD, "--exit-code"])
        .ends_with(0);
    plan.has("/commits/0", Value::Null);
    assert_eq!(stage.references(), before, "no commit");
    assert_eq!(user.clone().git(&["status", "--porcelain"]), "");
}

/// Somebody put Git right by hand a moment ago: no commit of ours, but the end is waited for.
pub(crate) fn content_that_did_not_land_yet_is_waited_for(world: &'static World) {
    let story = Stage::with_bad_release(world, "not-landed");
    let stage = &story.stage;
    let user = stage.user();
    let text = stage.manifest(GOOD);
    let by_hand = stage
        .team()
        .commit("fix: back to 1.2.0", &[(MANIFEST, Some(&text))]);
    stage.team().push();
    let run = user.rollback(&["--to", GOOD]).ends_with(0);
    run.has("/state", "succeeded")
        .has("/commits/0", Value::Null)
        .all_checks_hold();
    assert_eq!(stage.tip(), by_hand, "no second commit");
    assert_eq!(
        image(&stage.deployment().expect("the Deployment")),
        format!("ronaldraygun/zai-proxy:{GOOD}")
    );
}
