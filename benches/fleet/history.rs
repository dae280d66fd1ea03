//! The history of one file in a large repository.

use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use unship::git::{Git, Repository};

const COMMITS: usize = 100_000;
const TOUCHING: usize = 300;
const DEPTH: usize = 50;
const FILE: &str = "apps/team-3/web.yaml";

/// A repository whose every 333rd commit changes the file, and each other one a file beside it.
fn repository(folder: &Path) {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(folder).args(arguments);
        command
    };
    super::timed(&mut git(&["init", "-q", "-b", "main"]));
    let mut import = git(&["fast-import", "--quiet"]);
    let mut import = import.stdin(Stdio::piped()).spawn().unwrap();
    let mut stream = std::io::BufWriter::new(import.stdin.take().unwrap());
    let every = COMMITS / TOUCHING;
    for number in 0..COMMITS {
        let path = match number % every {
            0 => FILE.to_owned(),
            rest => format!("apps/team-{}/app-{}.yaml", rest % 40, rest % 7),
        };
        let (text, message) = (format!("image: web:{number}\n"), format!("commit {number}"));
        write!(
            stream,
            "commit refs/heads/main\ncommitter Bench <b@example.org> {} +0000\ndata {}\n{message}\nM 100644 inline {path}\ndata {}\n{text}\n",
            1_700_000_000 + number * 60,
            message.len(),
            text.len()
        )
        .unwrap();
    }
    stream.flush().unwrap();
    drop(stream);
    assert!(import.wait().unwrap().success());
}

/// Seconds of unship's walk and of `git log`, for the same changes.
pub(crate) fn compared() -> (f64, f64) {
    let folder = tempfile::tempdir().unwrap();
    repository(folder.path());
    let log = || {
        let mut command = Command::new("git");
        command
            .arg("-C")
            .arg(folder.path())
            .args(["log", "--format=%H"]);
        command.args(["-n", &DEPTH.to_string(), "--", FILE]);
        super::timed(&mut command)
    };
    let git = super::median(|| log().0);
    let expected = String::from_utf8(log().1.stdout).unwrap();
    let own = super::median(|| {
        let began = Instant::now();
        let program = Git::new(std::env::vars_os().collect());
        let repository = Repository::open(folder.path(), &program).unwrap();
        let tip = repository.resolve("main").unwrap();
        let mut found = Vec::new();
        repository
            .history_of(&tip, FILE, |change| {
                found.push(change.commit.id.to_string());
                match found.len() {
                    DEPTH => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                }
            })
            .unwrap();
        let took = began.elapsed();
        assert_eq!(found, expected.lines().collect::<Vec<_>>());
        took
    });
    (own, git)
}
