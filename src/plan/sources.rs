//! A rendered target: the edit of its object becomes edits of the files that decide.

use super::build::EditedFile;
use super::document::Document;
use super::{Blocker, Request};
use crate::manifest::Path;
use crate::model::{Observation, RenderedSource};
use crate::provenance::{Subject, Touched, edit_to};

/// The files that make the rendered object what the edited document is, proven by rendering
/// them again, and which other objects the same edit changes.
pub(super) fn files_for(
    observation: &Observation,
    rendered: &RenderedSource,
    after: &Document,
) -> Result<(Vec<EditedFile>, Vec<Touched>), Blocker> {
    let target = observation.target.object();
    let subject = Subject {
        instance: &rendered.instance,
        ..Subject::seen(observation, &target, &rendered.folder)
    };
    let object = after.at(&Path::new(Vec::new())).unwrap_or_default();
    let edited = edit_to(&rendered.files, &subject, &object)?;
    let files = edited.files.into_iter().map(|file| EditedFile {
        path: file.path,
        before: file.before,
        after: file.after,
        gone: false,
    });
    Ok((files.collect(), edited.also))
}

/// What a shared entry changes besides is shown; without a person to see it, it has to be
/// agreed to like later work.
pub(super) fn shared(also: &[Touched], request: &Request) -> (Vec<String>, Option<Blocker>) {
    let words: Vec<String> = also
        .iter()
        .map(|touched| {
            let fields: Vec<String> = touched.fields.iter().map(ToString::to_string).collect();
            format!("{}/{} ({})", touched.kind, touched.name, fields.join(", "))
        })
        .collect();
    if words.is_empty() {
        return (Vec::new(), None);
    }
    let blocker = (request.consent && !request.discard_later).then(|| {
        Blocker::new(
            "shared-entry",
            format!(
                "the entry that decides is shared: the same edit changes {}",
                words.join("; ")
            ),
            "agree with --discard-later, or give the target an entry of its own",
        )
    });
    let warning = format!("the same edit changes {} as well", words.join("; "));
    (vec![warning], blocker)
}
