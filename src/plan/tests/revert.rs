//! Taking one commit back: what of which file is undone, left, refused.

use super::*;
use crate::model::{Change, ChangedFile, FileText, LaterChange};

const FILE: &str = "zai-proxy.yml";
const CONFIG: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  level: ";

fn text(text: &str) -> Option<FileText> {
    Some(FileText::Text(Arc::from(text)))
}

/// A file that was there, is there and keeps its path.
fn file(path: &str, before: &str, after: &str, head: &str) -> ChangedFile {
    ChangedFile {
        old: Some(path.to_owned()),
        new: Some(path.to_owned()),
        path: Some(path.to_owned()),
        before: text(before),
        after: text(after),
        head: text(head),
        later: Vec::new(),
    }
}

/// The world of a bad release on top of a good one, whose commit changed these files.
fn changed(files: Vec<ChangedFile>) -> Observation {
    let mut seen = world(&BAD[..2]);
    let git = seen.git.as_mut().unwrap();
    let head = files.iter().find(|file| file.path.as_deref() == Some(FILE));
    if let Some(FileText::Text(head)) = head.and_then(|file| file.head.clone()) {
        git.text = head;
    }
    git.change = Some(Ok(Change {
        commit: commit(2, "bad", 0),
        parent: CommitId::parse(&format!("{:040x}", 1)).unwrap(),
        files,
    }));
    seen
}

fn asked(all: bool) -> Request {
    Request {
        intent: Intent::Revert {
            commit: format!("{:040x}", 2),
            parent: None,
            all,
            only: None,
        },
        ..request()
    }
}

fn texts(prepared: &Prepared) -> Vec<(&str, &str)> {
    let files = prepared.files.iter();
    files.map(|f| (f.path.as_str(), f.after.as_str())).collect()
}

#[test]
fn one_document_of_the_commit_is_taken_back_or_all_of_it() {
    let selector = |text: String| text.replace("kind: Service\n", "kind: Service\nspec: {a: b}\n");
    let (good, bad) = (manifest("1.2.0", ""), selector(manifest("1.2.1", "")));
    let head = bad.replace("value: '10'", "value: '20'");
    let config = |level: &str| format!("{CONFIG}{level}\n");
    let files = vec![
        file(FILE, &good, &bad, &head),
        file(
            "settings.yaml",
            &config("info"),
            &config("debug"),
            &config("debug"),
        ),
    ];
    let seen = changed(files);
    let of_target = planned(&seen, &asked(false));
    let kept = selector(good.replace("value: '10'", "value: '20'"));
    assert_eq!(texts(&of_target), [(FILE, kept.as_str())]);
    assert_eq!(
        of_target.desired.template.main_image().unwrap().tag(),
        Some("1.2.0")
    );
    let all = planned(&seen, &asked(true));
    let whole = good.replace("value: '10'", "value: '20'");
    assert_eq!(
        texts(&all),
        [(FILE, whole.as_str()), ("settings.yaml", &*config("info"))]
    );
    assert!(all.plan.is_intact());
    let message = &all.plan.commits[0].message;
    assert!(message.starts_with("revert: bad\n"), "{message}");
    assert!(
        message.contains("ConfigMap/settings data.level: debug to info"),
        "{message}"
    );
    let run = crate::model::RunId("run".into());
    let trailers = Trailers {
        plan: &all.plan,
        run: &run,
    };
    let whole = commit_message(message, &trailers);
    assert!(
        whole.contains(&format!("Rollback-Of: {:040x}\n", 2)),
        "{whole}"
    );
}

#[test]
fn what_came_later_is_left_and_its_commit_named() {
    let (good, bad) = (manifest("1.2.0", ""), manifest("1.2.1", "DEBUG"));
    let head = bad.replace("value: 'on'", "value: 'off'");
    let mut own = file(FILE, &good, &bad, &head);
    own.later = vec![
        LaterChange {
            commit: commit(4, "unrelated", 0),
            before: text(&head),
            after: text(&head),
        },
        LaterChange {
            commit: commit(3, "less of it", 1),
            before: text(&bad),
            after: text(&head),
        },
    ];
    let seen = changed(vec![own]);
    let prepared = planned(&seen, &asked(false));
    let [undo] = prepared.plan.undo.as_slice() else {
        panic!("{:?}", prepared.plan.undo)
    };
    assert_eq!(undo.class, "partly");
    let [left] = undo.superseded.as_slice() else {
        panic!("{undo:?}")
    };
    assert_eq!(left.by.as_deref(), Some("0000000 \"less of it\""));
    assert!(
        !format!("{left:?}").contains("off"),
        "values of variables are masked"
    );
    assert!(
        prepared
            .plan
            .warnings
            .iter()
            .any(|w| w.contains("never ran as a whole")),
        "{:?}",
        prepared.plan.warnings
    );
    // Nothing left at all is nothing to do, with the reason.
    let other = manifest("1.3.0", "");
    let over = changed(vec![file(FILE, &good, &manifest("1.2.1", ""), &other)]);
    let Decision::NotNeeded(why) = decide(&over, &asked(false)) else {
        panic!("a decision that nothing is needed")
    };
    assert!(why.contains("nothing of 0000000 \"bad\" is left"), "{why}");
    assert!(
        why.contains("it is ronaldraygun/zai-proxy:1.3.0 today"),
        "{why}"
    );
    // All of it is good already: a plan that only waits.
    let back = changed(vec![file(FILE, &good, &manifest("1.2.1", ""), &good)]);
    assert_eq!(texts(&planned(&back, &asked(false))), []);
}

#[test]
fn a_document_is_followed_into_another_file() {
    let (good, bad) = (manifest("1.2.0", ""), manifest("1.2.1", ""));
    let mut old = file("old.yml", &good, &bad, "");
    old.path = None;
    old.head = None;
    let seen = changed(vec![old]);
    let prepared = planned(&seen, &asked(false));
    assert_eq!(texts(&prepared), [(FILE, good.as_str())]);
}

#[test]
fn files_come_back_and_go() {
    let (good, bad) = (manifest("1.2.0", ""), manifest("1.2.1", ""));
    let added = ChangedFile {
        old: None,
        before: None,
        ..file("new.yaml", "", "kind: A\n", "kind: A\n")
    };
    let touched = ChangedFile {
        old: None,
        before: None,
        ..file("kept.yaml", "", "kind: A\n", "kind: B\n")
    };
    let removed = ChangedFile {
        new: None,
        path: None,
        after: None,
        head: None,
        ..file("gone.yaml", "# with its comment\nkind: C\n", "", "")
    };
    let own = file(FILE, &good, &bad, &bad);
    let seen = changed(vec![own, added, touched, removed]);
    let prepared = planned(&seen, &asked(true));
    let found: Vec<(&str, bool, bool)> = prepared
        .files
        .iter()
        .map(|file| (file.path.as_str(), file.gone, file.added))
        .collect();
    assert_eq!(
        found,
        [
            (FILE, false, false),
            ("new.yaml", true, false),
            ("gone.yaml", false, true)
        ]
    );
    assert_eq!(prepared.files[2].after, "# with its comment\nkind: C\n");
    let planned_files = &prepared.plan.commits[0].files;
    assert_eq!(planned_files[1].after, "");
    assert_eq!(planned_files[2].before, "");
    let undo = prepared.plan.undo.iter();
    let classes: Vec<&str> = undo.map(|undo| undo.class.as_str()).collect();
    assert_eq!(
        classes,
        ["undone", "undone", "nothing left to undo", "undone"]
    );
    // In the work tree alone no file comes or goes.
    let edited = Request {
        goal: Goal::Edited,
        ..asked(true)
    };
    assert_eq!(refused(&seen, &edited), ["file-goes", "file-goes"]);
}

#[test]
fn a_move_stays_and_is_named() {
    let moved = ChangedFile {
        old: Some("there.txt".into()),
        ..file("here.txt", "a\n", "b\n", "b\n")
    };
    let prepared = planned(&changed(vec![moved]), &asked(true));
    assert_eq!(texts(&prepared), [("here.txt", "a\n")]);
    assert_eq!(
        prepared.plan.undo[0].left,
        ["the move from there.txt to here.txt"]
    );
}

#[test]
fn what_cannot_be_taken_back_is_refused() {
    let (good, bad) = (manifest("1.2.0", ""), manifest("1.2.1", ""));
    let odd = ChangedFile {
        head: Some(FileText::Other("a symbolic link".into())),
        ..file("link", "a", "b", "c")
    };
    let own = || file(FILE, &good, &bad, &bad);
    assert_eq!(
        refused(&changed(vec![own(), odd.clone()]), &asked(true)),
        ["undo-refused"]
    );
    // What is not the target's is nobody's concern where only the target is meant.
    let prepared = planned(&changed(vec![own(), odd]), &asked(false));
    assert_eq!(texts(&prepared), [(FILE, good.as_str())]);
    let conflict = file("notes.txt", "a\n", "b\n", "c\n");
    assert_eq!(
        refused(&changed(vec![conflict]), &asked(true)),
        ["undo-conflict"]
    );
    let elsewhere = file("other.yaml", "kind: A\n", "kind: B\n", "kind: B\n");
    assert_eq!(
        refused(&changed(vec![elsewhere]), &asked(false)),
        ["commit-elsewhere"]
    );
    let service = "kind: Service\nmetadata:\n  name: zai-proxy\n";
    let born = file(FILE, service, &bad, &bad);
    assert_eq!(
        refused(&changed(vec![born]), &asked(false)),
        ["removes-target"]
    );
    let direct = Request {
        route: Route::Direct,
        ..asked(false)
    };
    assert_eq!(refused(&changed(vec![own()]), &direct), ["not-through-git"]);
    let mut urgent = asked(false);
    urgent.allow.emergency = true;
    assert_eq!(refused(&changed(vec![own()]), &urgent), ["not-through-git"]);
    let mut merge = changed(vec![own()]);
    merge.git.as_mut().unwrap().change = Some(Err(Blocker::new(
        "merge-commit",
        "two parents",
        "--parent 1",
    )));
    assert_eq!(refused(&merge, &asked(false)), ["merge-commit"]);
}
