//! Git over HTTP, with the real git.

use std::process::Output;

use tokio::process::Command;

use super::*;

async fn git(folder: &Path, arguments: &[&str]) -> Output {
    Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_AUTHOR_NAME", "T")
        .env("GIT_AUTHOR_EMAIL", "t@example.org")
        .env("GIT_COMMITTER_NAME", "T")
        .env("GIT_COMMITTER_EMAIL", "t@example.org")
        .output()
        .await
        .unwrap()
}

async fn good(folder: &Path, arguments: &[&str]) -> String {
    let output = git(folder, arguments).await;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "git {arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clone_commit_and_push_over_http() {
    let bed = Bed::with_app("n", &[("app/web.yml", &web("1"))], json!({})).await;
    bed.rolled_out("n", "1").await;
    let (folder, url) = (bed.folder.path(), bed.sandbox.clone_url("n"));
    good(folder, &["clone", "-q", &url, "clone"]).await;
    let clone = folder.join("clone");
    std::fs::write(clone.join("app/web.yml"), web("2")).unwrap();
    // More than git sends in one piece, so that the body is chunked and compressed.
    std::fs::write(
        clone.join("large.txt"),
        (0..40_000).map(|i| format!("{i} ")).collect::<String>(),
    )
    .unwrap();
    good(&clone, &["add", "-A"]).await;
    good(&clone, &["commit", "-qm", "two"]).await;
    good(
        &clone,
        &[
            "-c",
            "http.postBuffer=1024",
            "push",
            "-q",
            "origin",
            "HEAD:main",
        ],
    )
    .await;
    let commit = good(&clone, &["rev-parse", "HEAD"]).await;
    bed.sandbox.refresh("n").await.unwrap();
    let live = bed.rolled_out("n", "2").await;
    assert_eq!(live["status"]["availableReplicas"], 1);
    let tip = good(&clone, &["ls-remote", "origin", "refs/heads/main"]).await;
    assert!(tip.starts_with(&commit));
    let blobless = [
        "clone",
        "-q",
        "--bare",
        "--filter=blob:none",
        &url,
        "blobless",
    ];
    good(folder, &blobless).await;
    let missing = [
        "rev-list",
        "--objects",
        "--all",
        "--missing=print",
        "--no-object-names",
    ];
    let listed = good(&folder.join("blobless"), &missing).await;
    assert!(
        listed.lines().any(|l| l.starts_with('?')),
        "blobs stay on the server"
    );
    let log = std::fs::read_to_string(bed.sandbox.variable("UNSHIP_WORLD_GIT_LOG")).unwrap();
    let pushed = log
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap())
        .any(|l| {
            l["method"] == "POST"
                && l["path"] == "/n.git/git-receive-pack"
                && l["user"] == "unship"
                && l["status"] == 200
        });
    assert!(pushed, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_hooks_and_faults_refuse() {
    let bed = Bed::with_app("n", &[("app/web.yml", &web("1"))], json!({})).await;
    let (folder, url) = (bed.folder.path(), bed.sandbox.clone_url("n"));
    let open = format!("{}/n.git", bed.sandbox.git_url());
    assert!(!git(folder, &["ls-remote", &open]).await.status.success());
    let wrong = open.replace("http://", "http://unship:wrong@");
    assert!(!git(folder, &["ls-remote", &wrong]).await.status.success());
    good(folder, &["clone", "-q", &url, "clone"]).await;
    let clone = folder.join("clone");
    good(&clone, &["commit", "-q", "--allow-empty", "-m", "x"]).await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let hook = bed.sandbox.dir().join("git/n.git/hooks/pre-receive");
        std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
        std::fs::write(&hook, "#!/bin/sh\necho 'branch is protected' >&2\nexit 1\n").unwrap();
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
        let output = git(&clone, &["push", "origin", "HEAD:main"]).await;
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("branch is protected"));
        std::fs::remove_file(&hook).unwrap();
    }
    let fault = Fault {
        surface: Surface::Git,
        method: Some("POST".to_owned()),
        path: "git-receive-pack".to_owned(),
        skip: 0,
        times: Some(1),
        effect: Effect::DropAfter,
    };
    bed.sandbox.faults().plant(fault).unwrap();
    let lost = git(&clone, &["push", "origin", "HEAD:main"]).await;
    assert!(!lost.status.success(), "the answer was cut off");
    let commit = good(&clone, &["rev-parse", "HEAD"]).await;
    let tip = good(&clone, &["ls-remote", "origin", "refs/heads/main"]).await;
    assert!(tip.starts_with(&commit), "but the push has taken effect");
}
