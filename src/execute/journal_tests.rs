//! Tests of the journal.

use super::*;

#[test]
fn a_torn_last_line_is_ignored_and_a_torn_middle_is_not() {
    let whole = "{\"record\":\"abandoned\",\"at\":\"2026-01-01T00:00:00Z\"}\n";
    assert_eq!(parse_records(whole).unwrap().len(), 1);
    assert_eq!(parse_records(&format!("{whole}{{\"rec")).unwrap().len(), 1);
    assert_eq!(parse_records(&format!("{{\"rec\n{whole}")), Err(1));
}

#[test]
fn one_target_has_one_run_at_a_time() {
    let state = tempfile::tempdir().unwrap();
    let first = TargetLock::take(state.path(), "deployment/x", "run 1").unwrap();
    let busy = TargetLock::take(state.path(), "deployment/x", "run 2").unwrap_err();
    assert_eq!(
        busy.to_string(),
        "another run is at work on this target: run 1"
    );
    drop(first);
    TargetLock::take(state.path(), "deployment/x", "run 2").unwrap();
}

#[test]
fn run_names_cannot_leave_the_folder() {
    let state = tempfile::tempdir().unwrap();
    for name in ["..", "../x", "a/b", ""] {
        assert!(
            matches!(load(state.path(), name), Err(Error::NoSuchRun(_))),
            "{name}"
        );
    }
}
