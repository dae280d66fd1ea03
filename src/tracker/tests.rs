use std::process::Command;

use super::*;
use crate::tracker::limits::fit;

const LIMIT: Duration = Duration::from_secs(20);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn bead(reference: &str) -> Bead {
    Bead {
        title: "URGENT: Request production rollback for zai-proxy".into(),
        kind: "bug".into(),
        priority: 0,
        labels: vec!["critical".into(), "human-required".into()],
        body: "- one\n\n```sh\nkubectl get pods 'a' \"b\" $(id) `id`\n```\n".into(),
        external_ref: Some(reference.into()),
    }
}

/// A program in a folder of its own, with a workspace or without.
struct Place {
    folder: tempfile::TempDir,
    program: PathBuf,
}

impl Place {
    fn of(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("br");
        let text = folder.path().join("br.txt");
        std::fs::write(&text, script).unwrap();
        // Written by another process: a file that this one has open for writing while
        // another thread forks cannot be executed.
        let installed = Command::new("install")
            .args(["-m", "755"])
            .args([&text, &program])
            .status();
        assert!(installed.unwrap().success());
        std::fs::create_dir(folder.path().join("work")).unwrap();
        Self { folder, program }
    }

    fn fake() -> Self {
        let place = Self::of(include_str!("fake_br.sh"));
        std::fs::create_dir(place.work().join(".beads")).unwrap();
        place
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    fn set(&self, name: &str, text: &str) {
        std::fs::write(self.work().join(".beads").join(name), text).unwrap();
    }

    fn field(&self, id: &str, name: &str) -> String {
        let path = self.work().join(".beads/beads").join(id).join(name);
        std::fs::read_to_string(path).unwrap()
    }

    fn tracker(&self) -> Tracker {
        self.limited(LIMIT)
    }

    fn limited(&self, limit: Duration) -> Tracker {
        Tracker::new(self.program.clone(), self.work(), limit)
    }
}

/// The real program, where there is one: `UNSHIP_TEST_BR`, else `br` in the PATH.
fn real() -> Option<PathBuf> {
    if let Some(program) = std::env::var_os("UNSHIP_TEST_BR") {
        return Some(program.into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join("br"))
        .find(|program| program.is_file())
}

/// Everything that holds for any tracker with an empty workspace in `work`.
async fn keeps_beads(tracker: &Tracker) {
    assert_eq!(tracker.find("unship:a@1").await, Ok(None));
    let first = tracker.create(&bead("unship:a@1")).await.unwrap();
    let second = tracker.create(&bead("unship:a@12")).await.unwrap();
    assert_ne!(first, second);
    assert_eq!(tracker.find("unship:a@1").await, Ok(Some(first.clone())));
    assert_eq!(tracker.find("unship:a@12").await, Ok(Some(second.clone())));
    assert_eq!(tracker.find("unship:a@").await, Ok(None));
    // The tracker keeps references unique: a second one fails instead of being made.
    let again = tracker.create(&bead("unship:a@1")).await;
    assert!(matches!(again, Err(Error::Failed { .. })), "{again:?}");
    tracker.block(&second, &first).await.unwrap();
    tracker.block(&second, &first).await.unwrap();
    let missing = tracker.block(&second, "nobody-1").await;
    assert!(
        matches!(missing, Err(Error::Refused { .. } | Error::Failed { .. })),
        "{missing:?}"
    );
    // What is too long or not allowed is cut and taken.
    let long = Bead {
        title: format!("- {}", "ü".repeat(600)),
        kind: "bug".into(),
        priority: 9,
        labels: vec!["a b,c".into(), "x".repeat(80), "x".repeat(80)],
        body: "ö".repeat(80_000),
        external_ref: Some(format!("unship:{}", "r".repeat(400))),
    };
    let id = tracker.create(&long).await.unwrap();
    let reference = long.external_ref.as_deref().unwrap();
    assert_eq!(tracker.find(reference).await, Ok(Some(id)));
}

#[test]
fn the_fake_keeps_beads_in_both_styles() {
    for style in ["0.1", "0.7"] {
        let place = Place::fake();
        place.set("style", style);
        runtime().block_on(keeps_beads(&place.tracker()));
        assert_eq!(place.field("fake-1", "type"), "bug");
        assert_eq!(place.field("fake-1", "priority"), "0");
        assert_eq!(place.field("fake-1", "labels"), "critical,human-required");
        // Byte for byte: no shell was in between.
        assert_eq!(place.field("fake-1", "description"), bead("").body);
        assert_eq!(place.field("fake-2", "waits"), "fake-1");
    }
}

#[test]
fn the_real_program_keeps_beads() {
    let Some(program) = real() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let ran = |arguments: &[&str]| {
        let output = Command::new(&program)
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let tracker = Tracker::new(program.clone(), folder.path().to_owned(), LIMIT);
    runtime().block_on(async {
        let early = tracker.find("unship:a@1").await;
        assert!(
            matches!(early, Err(Error::NotInitialised { .. })),
            "{early:?}"
        );
        ran(&["init", "--prefix", "bd"]);
        keeps_beads(&tracker).await;
        let id = tracker.find("unship:a@1").await.unwrap().unwrap();
        let shown: serde_json::Value =
            serde_json::from_str(&ran(&["show", &id, "--json"])).unwrap();
        let shown = shown.get(0).unwrap_or(&shown);
        assert_eq!(shown["description"], bead("").body);
        assert_eq!(shown["issue_type"], "bug");
        assert_eq!(shown["priority"], 0);
        assert_eq!(
            shown["labels"],
            serde_json::json!(["critical", "human-required"])
        );
        // After a closed one comes another, under a reference that is free.
        ran(&["close", &id]);
        let known = tracker.look_up("unship:a@1").await.unwrap();
        assert_eq!((known.open, known.free.as_str()), (None, "unship:a@1~2"));
        let next = tracker.create(&bead(&known.free)).await.unwrap();
        assert_eq!(tracker.find("unship:a@1").await, Ok(Some(next)));
    });
}

#[test]
fn a_closed_bead_is_followed_by_another() {
    let place = Place::fake();
    let tracker = place.tracker();
    runtime().block_on(async {
        let first = tracker.create(&bead("r")).await.unwrap();
        place.set(&format!("beads/{first}/status"), "closed");
        let known = tracker.look_up("r").await.unwrap();
        assert_eq!((known.open, known.free.as_str()), (None, "r~2"));
        let second = tracker.create(&bead("r~2")).await.unwrap();
        assert_eq!(tracker.find("r").await, Ok(Some(second.clone())));
        place.set(&format!("beads/{second}/status"), "tombstone");
        assert_eq!(tracker.look_up("r").await.unwrap().free, "r~3");
        place.set(&format!("beads/{second}/status"), "in_progress");
        assert_eq!(tracker.find("r").await, Ok(Some(second)));
    });
}

#[test]
fn a_lock_is_waited_for_within_the_limit() {
    let place = Place::fake();
    runtime().block_on(async {
        place.set("locked", "3");
        let id = place.tracker().create(&bead("r")).await.unwrap();
        assert_eq!(place.field(&id, "reference"), "r");
        place.set("locked", "1000000");
        let began = Instant::now();
        let error = place
            .limited(Duration::from_millis(1500))
            .find("r")
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Locked { .. }), "{error}");
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{:?}",
            began.elapsed()
        );
        assert!(error.hint().contains("timeout"), "{}", error.hint());
        assert!(error.nothing_written());
    });
}

#[test]
fn what_is_wrong_is_told_apart() {
    let place = Place::fake();
    let tracker = place.tracker();
    runtime().block_on(async {
        for style in ["0.1", "0.7"] {
            place.set("style", style);
            let refused = Bead {
                title: String::new(),
                ..bead("r")
            };
            // The empty title is filled; nothing else is left to refuse here.
            assert!(tracker.create(&refused).await.is_ok());
            std::fs::remove_dir_all(place.work().join(".beads/beads")).unwrap();
        }
        place.set("fail", "4");
        place.set(
            "fail.text",
            "WARN something\n{\"error\": {\"code\": \"VALIDATION_FAILED\", \"message\": \"title: too sad\", \"hint\": \"smile\"}}",
        );
        let error = tracker.create(&bead("r")).await.unwrap_err();
        assert!(
            matches!(&error, Error::Refused { reason, .. } if reason == "title: too sad"),
            "{error:?}"
        );
        assert_eq!(error.hint(), "smile");
        place.set("fail", "8");
        place.set(
            "fail.text",
            "disk full at https://u:hunter2@h/x\u{1b}[2J",
        );
        let error = tracker.find("r").await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("exit code 8") && text.contains("disk full"), "{text}");
        assert!(!text.contains("hunter2") && !text.contains('\u{1b}'), "{text}");
        place.set("fail", "1");
        place.set("fail.text", "Error: database is locked");
        let short = place.limited(Duration::from_millis(500));
        let error = short.find("r").await.unwrap_err();
        assert!(matches!(error, Error::Locked { .. }), "{error}");
    });
}

#[test]
fn an_answer_that_is_lost_is_not_called_a_failure_without_traces() {
    let place = Place::fake();
    place.set("mute", "");
    let tracker = place.tracker();
    runtime().block_on(async {
        let error = tracker.create(&bead("r")).await.unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }), "{error}");
        assert!(!error.nothing_written());
        assert_eq!(tracker.find("r").await, Ok(Some("fake-1".to_owned())));
    });
}

#[test]
fn a_program_that_hangs_is_stopped() {
    let place = Place::fake();
    place.set("hang", "");
    let began = Instant::now();
    let error = runtime()
        .block_on(place.limited(Duration::from_secs(1)).find("r"))
        .unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn missing_things_are_named_with_what_to_do() {
    let place = Place::fake();
    let nowhere = Tracker::new("no-such-br".into(), place.work(), LIMIT);
    let folder = Tracker::new(place.program.clone(), place.work().join("x"), LIMIT);
    let file = Tracker::new(place.program.clone(), place.program.clone(), LIMIT);
    let bare = Place::of(include_str!("fake_br.sh"));
    let other = Place::of("#!/bin/sh\necho 'Usage: br create [--description TEXT] [--json]'\n");
    let broken = Place::of("#!/bin/sh\necho 'cannot start' >&2; exit 3\n");
    runtime().block_on(async {
        let error = nowhere.find("r").await.unwrap_err();
        assert!(matches!(error, Error::NotInstalled { .. }), "{error}");
        assert!(error.hint().contains("cargo install beads_rust"));
        for tracker in [&folder, &file] {
            let error = tracker.find("r").await.unwrap_err();
            assert!(matches!(error, Error::NoFolder { .. }), "{error}");
        }
        let error = bare.tracker().find("r").await.unwrap_err();
        assert!(matches!(error, Error::NotInitialised { .. }), "{error}");
        assert!(error.hint().contains("br init"), "{}", error.hint());
        let error = other.tracker().create(&bead("r")).await.unwrap_err();
        assert!(
            matches!(&error, Error::Unsuitable { missing, .. } if *missing == "--external-ref"),
            "{error}"
        );
        let error = broken.tracker().create(&bead("r")).await.unwrap_err();
        assert!(error.to_string().contains("cannot start"), "{error}");
    });
}

#[test]
fn a_program_that_knows_body_only_gets_body() {
    let script = include_str!("fake_br.sh")
        .replace("-d, --description <DESCRIPTION>", "    --body <BODY>")
        .replace(" [aliases: --body]", "")
        .replace("--description=*)", "--body=*)");
    let place = Place::of(&script);
    std::fs::create_dir(place.work().join(".beads")).unwrap();
    let tracker = place.tracker();
    let id = runtime().block_on(tracker.create(&bead("r"))).unwrap();
    assert_eq!(place.field(&id, "description"), bead("").body);
}

#[test]
fn the_folder_above_counts_too() {
    let place = Place::fake();
    let below = place.work().join("a/b");
    std::fs::create_dir_all(&below).unwrap();
    let tracker = Tracker::new(place.program.clone(), below, LIMIT);
    assert!(runtime().block_on(tracker.create(&bead("r"))).is_ok());
    assert!(Path::new(&place.work().join(".beads/beads/fake-1")).is_dir());
}

#[test]
fn limits_are_kept_with_a_mark() {
    let fitted = fit(&Bead {
        title: "a\nb\u{1b}".into(),
        kind: "my type".into(),
        priority: 200,
        labels: vec![
            " ok:1 ".into(),
            "ok:1".into(),
            String::new(),
            "ä/b".into(),
            "y".repeat(51),
        ],
        body: "text".into(),
        external_ref: Some(" a b ".into()),
    });
    assert_eq!(fitted.title, "a b\u{fffd}");
    assert_eq!((fitted.kind.as_str(), fitted.priority), ("my-type", 4));
    let cut = format!("{}--", "y".repeat(48));
    assert_eq!(fitted.labels, ["ok:1", "--b", cut.as_str()]);
    assert_eq!(fitted.external_ref.as_deref(), Some("a_b"));
    let long = fit(&Bead {
        title: "ä".repeat(300),
        body: format!("x\n````sh\n{}", "line of code\n".repeat(10_000)),
        external_ref: Some("r".repeat(250)),
        ..bead("")
    });
    assert!(long.title.len() <= TITLE_BYTES && long.title.ends_with("ä…"));
    assert!(long.body.len() <= DESCRIPTION_BYTES && long.body.len() > 102_000);
    let end = &long.body[long.body.len() - 120..];
    assert!(end.contains("\n````\n\n… **Cut here**"), "{end}");
    let reference = long.external_ref.unwrap();
    assert!(reference.len() < REFERENCE_BYTES && reference.contains('…'));
    let other = limits::reference(&format!("{}x", "r".repeat(249)));
    assert_ne!(reference, other, "two long references stay two");
}
