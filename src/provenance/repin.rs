//! The edit of a source that is pinned: what stands at a tag or commit stays as it is, so the file
//! that names the tag or commit is edited, or a field of the Application that outranks the files.

use serde_json::Value;

use crate::manifest::{Change, Path, diff_values};
use crate::model::{Blocker, Pinned};

use super::edit::Work;
use super::files::{Files, Reader, parted};
use super::outcome::{Edited, Touched};
use super::want::in_order;
use super::{Subject, making};

/// Makes the target this object: by fields of the Application that outrank the files, else by
/// another one of the revisions that it was pinned to before, whose files render just that pod
/// template. Other fields of the target that this changes are among what the edit touches.
pub(super) fn repin(
    at: (&dyn Files, &Subject<'_>),
    pinned: &Pinned,
    object: &Value,
) -> Result<Edited, Blocker> {
    let blocker = match attempt(at, (pinned, None), object) {
        Ok(edited) => return Ok(edited),
        Err(blocker) => blocker,
    };
    let mut moved = pinned.revisions.iter().filter_map(|revision| {
        let edited = attempt(at, (pinned, Some(revision)), object).ok()?;
        (!edited.files.is_empty()).then_some(edited)
    });
    moved.next().ok_or_else(|| {
        Blocker::new(
            "pinned-revision",
            format!(
                "the Application deploys {} of {}, and none of those in its history ({}) renders \
                 what is wanted; {}",
                pinned.what,
                pinned.repository,
                pinned.revisions.join(", "),
                blocker.message
            ),
            "take a whole release back with --to, or change targetRevision by hand",
        )
    })
}

/// One way: with the files of the revision that is there, or of another one.
fn attempt(
    (files, subject): (&dyn Files, &Subject<'_>),
    (pinned, revision): (&Pinned, Option<&String>),
    object: &Value,
) -> Result<Edited, Blocker> {
    let mut work = Work::new(files, subject)?;
    let asked = diff_values(work.goal(), object);
    if let Some(revision) = revision {
        let named = making::field(&Reader::new(files), subject, "targetRevision");
        if let Some((source, _)) = named {
            work.write(&source, Some(&Value::String(revision.clone())))?;
        }
        work.start_from_here()?;
    }
    let edited = moved(work, &asked, object)?;
    if let Some(file) = edited.files.iter().find(|file| stays(&file.path, pinned)) {
        let (_, path) = parted(&file.path);
        return Err(Blocker::new(
            "pinned-revision",
            format!("{path} decides, and what stands at a revision stays as it is"),
            "change targetRevision where it is written",
        ));
    }
    Ok(edited)
}

/// The rest of an edit once a version may have been moved: what was asked for is made, and what
/// else came with the version is among what the edit touches.
pub(super) fn moved(
    mut work: Work<'_>,
    asked: &[Change],
    object: &Value,
) -> Result<Edited, Blocker> {
    let mut changes = diff_values(work.goal(), object);
    changes.retain(|change| !work.is_digest(&change.path));
    let (wanted, along): (Vec<Change>, Vec<Change>) = changes
        .into_iter()
        .partition(|change| is_asked(&change.path, asked));
    let wants = in_order(wanted, &Path::default(), object);
    work.aim(&wants);
    wants.iter().try_for_each(|want| work.make(want))?;
    let target = work.subject.target;
    let mut edited = work.finish()?;
    if !along.is_empty() {
        let touched = Touched {
            object: target.clone(),
            fields: along.into_iter().map(|change| change.path).collect(),
        };
        edited.also.insert(0, touched);
    }
    Ok(edited)
}

/// Whether a field is one that was asked for: all of the pod template is.
fn is_asked(path: &Path, asked: &[Change]) -> bool {
    let template = Path::of_keys(["spec", "template"]);
    let near = |other: &Path| path.contains(other) || other.contains(path);
    near(&template) || asked.iter().any(|change| near(&change.path))
}

/// Whether a file is one of a revision.
fn stays(path: &str, pinned: &Pinned) -> bool {
    let label = parted(path).0;
    let is = |revision: &String| label == Some(&making::label(&pinned.repository, revision));
    pinned.revisions.iter().any(is)
}
