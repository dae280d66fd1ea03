//! `unship patch-file --undo`: what one change made of a file, taken back.

use std::path::Path;

use super::failure::Failure;
use super::patch_file::{read, write};
use super::ui::{Ui, out};
use crate::exit::ExitStatus;
use crate::git::{Git, Repository};
use crate::manifest::{DiffOptions, UndoClass, undo, unified_diff};
use crate::report::UndoReport;

/// What to undo and what to do with the result.
pub(super) struct Wish<'a> {
    pub(super) file: &'a Path,
    /// The file as the bad change left it: a file, or a commit.
    pub(super) bad: &'a Path,
    /// The file as it was before.
    pub(super) good: &'a Path,
    pub(super) write: bool,
    pub(super) stdout: bool,
}

/// Runs it.
pub(super) fn run(wish: &Wish<'_>, ui: Ui) -> Result<ExitStatus, Failure> {
    let head = read(wish.file)?;
    let bad = side(wish.bad, wish.file, "--from")?;
    let good = side(wish.good, wish.file, "--to")?;
    let undone = undo(&good, &bad, &head);
    let name = wish.file.to_string_lossy();
    if let Some(reason) = &undone.reason {
        let message = format!("{name}: {reason}; it is untouched");
        return Err(Failure::refused(message).hint(
            "`unship patch-file --restore PATH --from OLDFILE` puts one field back by name",
        ));
    }
    if wish.write && undone.text != head {
        write(wish.file, &undone.text)?;
    }
    let report = UndoReport::new(&name, &head, &undone);
    if wish.stdout {
        out(&undone.text);
    } else if ui.is_document() {
        ui.result(&report, "", None);
    } else if !wish.write {
        // What is printed is the user's own file: nothing is masked, or the diff could not be
        // applied.
        let options = DiffOptions {
            mask_env_values: false,
            ..DiffOptions::default()
        };
        out(&unified_diff(&name, &head, &undone.text, options));
    }
    if undone.class != UndoClass::Undone || wish.write {
        report.lines().iter().for_each(|line| ui.note(line));
    }
    Ok(ExitStatus::Success)
}

/// A file of this name, else `file` as it is in that commit.
fn side(word: &Path, file: &Path, flag: &str) -> Result<String, Failure> {
    if word.exists() {
        return read(word);
    }
    let text = word.to_string_lossy();
    let failed = |why: String| {
        Failure::usage(format!("{flag} {text}: there is no such file, and {why}"))
            .hint("give a file, or a commit of the repository that has the file to undo")
    };
    let git = Git::new(std::env::vars_os().collect());
    let place = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let repository = Repository::open(&place, &git)
        .map_err(|_| failed(format!("{} is in no Git repository", file.display())))?;
    let commit = repository
        .resolve(&text)
        .map_err(|error| failed(error.to_string()))?;
    let inside = inside(&repository, file).ok_or_else(|| {
        failed(format!(
            "{} is not in the repository's work tree",
            file.display()
        ))
    })?;
    let blob = repository.blob_at(&commit, &inside)?.ok_or_else(|| {
        Failure::refused(format!("{inside} is not in commit {text}")).hint(
            "where the file was added or renamed, give the old text as a file: \
             git show COMMIT:OLD/PATH > old.yaml",
        )
    })?;
    String::from_utf8(blob.bytes)
        .map_err(|_| Failure::refused(format!("{inside} in commit {text} is not UTF-8")))
}

/// The path of a file from the root of the repository.
fn inside(repository: &Repository, file: &Path) -> Option<String> {
    let root = std::fs::canonicalize(repository.path().work_tree()?).ok()?;
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = std::fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()?;
    let path = folder.join(file.file_name()?);
    let inside = path.strip_prefix(root).ok()?;
    let parts: Option<Vec<&str>> = inside.iter().map(|part| part.to_str()).collect();
    Some(parts?.join("/"))
}
