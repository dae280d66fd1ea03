//! Which file decides a field.

use crate::manifest::Path;
use crate::model::Blocker;

use super::files::{Files, Reader};
use super::traced::{Act, Mark, Traced};
use super::{Subject, making, rendering};

/// The file that decides a field; of a text in several parts the last one's, which of an image is
/// the tag. The number tells whether it decides through what makes the Application: 0 for a file
/// of its own sources, 1 for one of its maker's. `None` where no file does.
///
/// # Errors
/// When the folder cannot be rendered or the target is not in it.
pub fn deciding_file(
    files: &dyn Files,
    subject: &Subject<'_>,
    field: &Path,
) -> Result<Option<(String, usize)>, Blocker> {
    let rendering = rendering(files, subject)?;
    let mark = rendering.target.get(field).and_then(last_part);
    let Some((file, makers)) = mark.and_then(|mark| mark.source.file()) else {
        return Ok(None);
    };
    if rendering.is_pinned(file, subject) {
        // What stands at a tag stays: the file that names the tag decides.
        let reader = Reader::new(files);
        let revision = making::field(&reader, subject, "targetRevision");
        let named = revision.as_ref().and_then(|(source, _)| source.file());
        return Ok(named.map(|(file, makers)| (file.to_owned(), makers)));
    }
    Ok(Some((file.to_owned(), makers)))
}

/// The deciding place of the last part that is a value, else of the whole.
pub(super) fn last_part(node: &Traced) -> Option<&Mark> {
    let from = |mark: &Mark| match mark.act {
        Act::Value { from, .. } => Some(from),
        _ => None,
    };
    let last = node.marks.iter().filter_map(from).max();
    match last {
        Some(last) => node.marks.iter().rfind(|mark| from(mark) == Some(last)),
        None => node.deciding(),
    }
}
