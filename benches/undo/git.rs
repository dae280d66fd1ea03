//! Git's own three-way merge by lines, for comparing.

use std::process::Command;

/// What `git merge-file` makes of it; `None` where it conflicts.
pub fn merge_file(base: &str, ours: &str, theirs: &str) -> Option<String> {
    let folder = tempfile::tempdir().ok()?;
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).ok().map(|()| path)
    };
    let out = Command::new("git")
        .args(["merge-file", "-p", "--quiet"])
        .arg(write("ours", ours)?)
        .arg(write("base", base)?)
        .arg(write("theirs", theirs)?)
        .output()
        .ok()?;
    if !out.status.success() {
        return None;
    }
    String::from_utf8(out.stdout).ok()
}
