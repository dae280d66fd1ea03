//! What automatic sync does and leaves: pruning, windows, waves, polling, ignored differences.

use super::argocd::{app, conditions, none, set_tag_by_hand, sync_of};
use super::*;

#[tokio::test]
async fn pruning_obeys_the_annotation_that_forbids_it() {
    let extra = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: extra\n  annotations:\n    argocd.argoproj.io/sync-options: Prune=false\n";
    let gone = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: gone\n";
    let files = [
        ("app/web.yml", &*web("1")),
        ("app/extra.yml", extra),
        ("app/gone.yml", gone),
    ];
    let bed = Bed::with_app("n", &files, none()).await;
    bed.rolled_out("n", "1").await;
    app(&bed, 5, |a| sync_of(a) == "Synced").await;
    bed.push("n", &[("app/extra.yml", ""), ("app/gone.yml", "")]);
    bed.sandbox.refresh("n").await.unwrap();
    let skipped = |a: &Value| {
        a["status"]["operationState"]["syncResult"]
            .to_string()
            .contains("PruneSkipped")
    };
    app(&bed, 5, skipped).await;
    assert!(bed.sandbox.get("", "ConfigMap", "n", "extra").is_some());
    assert!(bed.sandbox.get("", "ConfigMap", "n", "gone").is_none());
    // The Application stays OutOfSync for ever, and yet deploys.
    let commit = bed.push("n", &[("app/web.yml", &web("2"))]);
    bed.sandbox.refresh("n").await.unwrap();
    bed.rolled_out("n", "2").await;
    let after = app(&bed, 5, |a| {
        a["status"]["sync"]["revision"] == json!(commit)
    })
    .await;
    assert_eq!(sync_of(&after), "OutOfSync");
    let entry = json::list(&after, "/status/resources")
        .iter()
        .find(|r| r["kind"] == "Deployment");
    assert_eq!(entry.unwrap()["status"], "Synced");
}

#[tokio::test]
async fn sync_windows_hold_automatic_and_manual_syncs() {
    let bed = Bed::with_app("n", &[("app/web.yml", &web("1"))], none()).await;
    bed.rolled_out("n", "1").await;
    let deny = json!({"spec": {"syncWindows": [{"kind": "deny", "schedule": "* * * * *",
        "duration": "24h", "namespaces": ["n"]}]}});
    let project = "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects/default";
    assert_eq!(
        bed.admin().patch(project, "merge-patch", &deny).await.code,
        200
    );
    let commit = bed.push("n", &[("app/web.yml", &web("2"))]);
    bed.sandbox.refresh("n").await.unwrap();
    let seen = app(&bed, 5, |a| {
        a["status"]["sync"]["revision"] == json!(commit)
    })
    .await;
    assert_eq!(sync_of(&seen), "OutOfSync");
    let devpod = bed.argocd("ARGOCD_AUTH_TOKEN");
    let windows = devpod
        .get("/api/v1/applications/n/syncwindows")
        .await
        .json();
    assert_eq!(windows["activeWindows"][0]["kind"], "deny");
    assert!(windows.get("canSync").is_none());
    let admin = bed.argocd("UNSHIP_WORLD_ADMIN_ARGOCD_TOKEN");
    let refused = admin
        .post("/api/v1/applications/n/sync", &none())
        .await
        .json();
    assert_eq!(refused["error"], "cannot sync: blocked by sync window");
    let open = json!({"spec": {"syncWindows": null}});
    assert_eq!(
        bed.admin().patch(project, "merge-patch", &open).await.code,
        200
    );
    bed.rolled_out("n", "2").await;
}

#[tokio::test]
async fn waves_wait_for_health() {
    let first = web("1-never").replace(
        "  name: web\nspec:\n  replicas",
        "  name: web\n  annotations:\n    argocd.argoproj.io/sync-wave: \"-1\"\nspec:\n  replicas",
    );
    let bed = Bed::with_app("n", &[("app/web.yml", &first)], none()).await;
    let waits = |a: &Value| {
        json::text(a, "/status/operationState/message")
            == "waiting for healthy state of apps/Deployment web"
    };
    app(&bed, 5, waits).await;
    assert!(bed.sandbox.get("", "Service", "n", "web").is_none());
}

#[tokio::test]
async fn without_a_refresh_the_poll_finds_the_push() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::new(folder.path());
    options.poll_interval = Duration::from_millis(500);
    let sandbox = Sandbox::start(options).await.unwrap();
    let bed = Bed { sandbox, folder };
    bed.sandbox.create_repository("n").unwrap();
    bed.push("n", &[("app/web.yml", &web("1"))]);
    let object = |kind: &str, more: Value| {
        let mut out = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "n"}});
        merge::json_merge(&mut out, &more);
        bed.sandbox.create(out).unwrap();
    };
    object("Namespace", json!({}));
    let url = format!("{}/n.git", bed.sandbox.git_url());
    object(
        "Application",
        json!({"apiVersion": "argoproj.io/v1alpha1",
        "metadata": {"namespace": "argocd"}, "spec": {"destination": {"namespace": "n"},
        "source": {"repoURL": url, "path": "app"}, "syncPolicy": {"automated": {}}}}),
    );
    bed.rolled_out("n", "1").await;
    let begin = std::time::Instant::now();
    bed.push("n", &[("app/web.yml", &web("2"))]);
    bed.rolled_out("n", "2").await;
    assert!(begin.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn an_application_may_follow_a_tag_or_a_commit() {
    let bed = Bed::with_app("n", &[("app/web.yml", &web("1"))], none()).await;
    bed.rolled_out("n", "1").await;
    let commit = bed.push("n", &[("app/web.yml", &web("2"))]);
    let repository = git2::Repository::open_bare(bed.sandbox.dir().join("git/n.git")).unwrap();
    let object = repository.revparse_single(&commit).unwrap();
    let tagger = git2::Signature::now("T", "t@example.org").unwrap();
    repository
        .tag("v2", &object, &tagger, "two", false)
        .unwrap();
    bed.push("n", &[("app/web.yml", &web("3"))]);
    let path = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/n";
    for wanted in ["v2", commit.as_str()] {
        let patch = json!({"spec": {"source": {"targetRevision": wanted}}});
        assert_eq!(
            bed.admin().patch(path, "merge-patch", &patch).await.code,
            200
        );
        bed.sandbox.refresh("n").await.unwrap();
        bed.rolled_out("n", "2").await;
        app(&bed, 5, |a| {
            a["status"]["sync"]["revision"] == json!(commit)
        })
        .await;
    }
    let nothing = json!({"spec": {"source": {"targetRevision": "no-such-branch"}}});
    assert_eq!(
        bed.admin().patch(path, "merge-patch", &nothing).await.code,
        200
    );
    let failed = app(&bed, 5, |a| sync_of(a) == "Unknown").await;
    assert!(conditions(&failed).contains("unable to resolve 'no-such-branch' to a commit SHA"));
}

#[tokio::test]
async fn ignored_differences_neither_show_nor_heal() {
    let more = json!({"spec": {"ignoreDifferences": [{"group": "apps", "kind": "Deployment",
        "jqPathExpressions": [".spec.template.spec.containers[].image"]}]}});
    let bed = Bed::with_app("n", &[("app/web.yml", &web("1"))], more).await;
    bed.rolled_out("n", "1").await;
    set_tag_by_hand(&bed, "7").await;
    bed.rolled_out("n", "7").await;
    let now = app(&bed, 5, |a| sync_of(a) == "Synced").await;
    assert_eq!(
        now["status"]["operationState"]["operation"]["sync"].get("autoHealAttemptsCount"),
        None
    );
}
