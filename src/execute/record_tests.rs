use std::os::unix::fs::PermissionsExt as _;
use std::sync::Mutex;
use std::time::Duration;

use super::*;

/// A fake tracker with a workspace, and a place for files.
struct Place {
    folder: tempfile::TempDir,
    tracker: Tracker,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tracker/fake_br.sh");
        let work = folder.path().join("work");
        std::fs::create_dir_all(work.join(".beads")).unwrap();
        let tracker = Tracker::new(program, work, Duration::from_secs(20));
        Self { folder, tracker }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("request.md")
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap()
    }

    fn set(&self, name: &str, text: &str) {
        let path = self.folder.path().join("work/.beads").join(name);
        std::fs::write(path, text).unwrap();
    }

    fn unset(&self, name: &str) {
        let path = self.folder.path().join("work/.beads").join(name);
        std::fs::remove_file(path).unwrap();
    }

    fn beads(&self) -> usize {
        let path = self.folder.path().join("work/.beads/beads");
        std::fs::read_dir(path).map_or(0, Iterator::count)
    }

    fn keep(&self, choice: RecordChoice, record: &Record) -> Result<Kept, Error> {
        self.keep_watched(choice, record, &|_| {})
    }

    fn keep_watched(
        &self,
        choice: RecordChoice,
        record: &Record,
        reached: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<Kept, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(keep(
            record,
            &Keeping {
                choice,
                tracker: &self.tracker,
                file: &self.file(),
                reached,
            },
        ))
    }
}

fn record(body: &str) -> Record {
    Record {
        title: "URGENT".into(),
        issue_type: "bug".into(),
        priority: 0,
        labels: vec!["critical".into()],
        body: format!("{body}\n"),
        incident: "unship:mcp/deployment/zai-proxy@abc".into(),
    }
}

#[test]
fn a_second_time_keeps_one_bead_and_a_fresh_file() {
    let place = Place::new();
    let first = place.keep(RecordChoice::Auto, &record("one")).unwrap();
    assert_eq!(
        (first.bead.as_deref(), first.found),
        (Some("fake-1"), false)
    );
    assert!(first.warnings.is_empty(), "{first:?}");
    assert!(place.text().contains("Tracked as `fake-1`"));
    let second = place.keep(RecordChoice::Br, &record("two")).unwrap();
    assert_eq!(
        (second.bead.as_deref(), second.found),
        (Some("fake-1"), true)
    );
    assert_eq!(place.beads(), 1);
    assert!(place.text().contains("two") && !place.text().contains("one"));
    assert!(place.text().contains("Tracked as `fake-1`"));
    let mode = std::fs::metadata(place.file())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o400, 0o400);
}

#[test]
fn the_choice_decides_where() {
    let place = Place::new();
    let nowhere = place.keep(RecordChoice::None, &record("x")).unwrap();
    assert_eq!(nowhere, Kept::default());
    assert!(!place.file().exists());
    let file = place.keep(RecordChoice::File, &record("x")).unwrap();
    assert_eq!((file.bead, place.beads()), (None, 0));
    assert!(place.file().exists());
}

#[test]
fn a_tracker_that_fails_is_a_warning_and_the_file_keeps_the_bead_it_had() {
    let place = Place::new();
    place.set("fail", "8");
    place.set("fail.text", "disk full");
    let kept = place.keep(RecordChoice::Auto, &record("x")).unwrap();
    assert_eq!(kept.bead, None);
    assert!(kept.warnings[0].contains("disk full"), "{kept:?}");
    assert!(!place.text().contains("Tracked as"));
    place.unset("fail");
    place.keep(RecordChoice::Auto, &record("x")).unwrap();
    place.set("fail", "8");
    let kept = place.keep(RecordChoice::Auto, &record("y")).unwrap();
    assert_eq!(kept.warnings.len(), 1);
    assert!(place.text().contains("Tracked as `fake-1`"));
}

#[test]
fn a_process_that_dies_anywhere_leaves_no_second_bead() {
    let points = Mutex::new(Vec::new());
    let place = Place::new();
    let note = |name: &str| points.lock().unwrap().push(name.to_owned());
    place
        .keep_watched(RecordChoice::Auto, &record("x"), &note)
        .unwrap();
    let points = points.into_inner().unwrap();
    assert_eq!(
        points,
        ["record file written", "bead looked up", "bead created"]
    );
    for point in points {
        let place = Place::new();
        let die = |name: &str| assert!(name != point, "dies here");
        let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            place.keep_watched(RecordChoice::Auto, &record("x"), &die)
        }));
        assert!(died.is_err(), "{point}");
        let kept = place.keep(RecordChoice::Auto, &record("x")).unwrap();
        assert_eq!(kept.bead.as_deref(), Some("fake-1"), "{point}");
        assert_eq!(place.beads(), 1, "{point}");
        assert!(place.text().contains("Tracked as `fake-1`"), "{point}");
    }
}

#[test]
fn an_answer_that_is_lost_is_looked_for() {
    let place = Place::new();
    place.set("mute", "");
    let kept = place.keep(RecordChoice::Auto, &record("x")).unwrap();
    assert_eq!((kept.bead.as_deref(), kept.found), (Some("fake-1"), true));
    assert!(kept.warnings.is_empty(), "{kept:?}");
}

#[test]
fn somebody_elses_file_is_left_alone_and_no_bead_is_made() {
    let place = Place::new();
    std::fs::write(place.file(), "my notes\n").unwrap();
    let error = place.keep(RecordChoice::Auto, &record("x")).unwrap_err();
    assert!(matches!(error, Error::Occupied { .. }), "{error}");
    assert_eq!((place.text().as_str(), place.beads()), ("my notes\n", 0));
    std::fs::remove_file(place.file()).unwrap();
    let other = Record {
        incident: "unship:other@1".into(),
        ..record("x")
    };
    place.keep(RecordChoice::File, &other).unwrap();
    let error = place.keep(RecordChoice::Auto, &record("x")).unwrap_err();
    assert!(matches!(error, Error::Occupied { .. }), "{error}");
    std::fs::remove_file(place.file()).unwrap();
    std::fs::create_dir(place.file()).unwrap();
    let error = place.keep(RecordChoice::Auto, &record("x")).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert_eq!(place.beads(), 0);
    let left = std::fs::read_dir(place.folder.path()).unwrap().count();
    assert_eq!(left, 2, "no temporary file stays");
}
