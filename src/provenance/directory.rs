//! Plain manifests: which files Argo CD reads and what stands in them.

use std::rc::Rc;

use globset::{GlobBuilder, GlobMatcher};

use crate::manifest::Path;
use crate::model::Blocker;

use super::files::{Reader, join, normal};
use super::source::Parameters;
use super::traced::{Act, Body, Traced};
use super::{Gap, Rendering, Subject, Tool, pick};

/// A file with this text is passed over (3.2, `skipFileRenderingMarker`).
const SKIP: &str = "+argocd:skip-file-rendering";

/// The files that Argo CD reads, in the order in which it walks them.
pub(super) fn names(
    reader: &Reader<'_>,
    parameters: &Parameters,
    subject: &Subject<'_>,
) -> Vec<String> {
    let section = parameters.section("directory");
    let text = |key: &str| section.and_then(|s| s.text_at(&[key])).unwrap_or_default();
    let recurse = section
        .and_then(|section| section.key("recurse"))
        .is_some_and(|flag| flag.word().as_deref() == Some("true"));
    let root = normal(subject.folder);
    let walk = Walk {
        reader,
        recurse,
        // A pattern that cannot be read matches nothing: an include then takes no file.
        include: (!text("include").is_empty()).then(|| matcher(text("include"))),
        exclude: matcher(text("exclude")),
    };
    let mut found = Vec::new();
    walk.folder(&root, "", &mut found);
    found
}

struct Walk<'a> {
    reader: &'a Reader<'a>,
    recurse: bool,
    include: Option<Option<GlobMatcher>>,
    exclude: Option<GlobMatcher>,
}

impl Walk<'_> {
    fn folder(&self, root: &str, below: &str, found: &mut Vec<String>) {
        let here = join(root, below).unwrap_or_default();
        for name in self.reader.list(&here) {
            let slash = if below.is_empty() { "" } else { "/" };
            let relative = format!("{below}{slash}{name}");
            if let Some(folder) = relative.strip_suffix('/') {
                if self.recurse {
                    self.folder(root, folder, found);
                }
            } else if self.takes(&relative) {
                found.extend(join(root, &relative));
            }
        }
    }

    fn takes(&self, relative: &str) -> bool {
        let manifest = [".yaml", ".yml", ".json", ".jsonnet"]
            .iter()
            .any(|end| relative.ends_with(end));
        let included =
            |glob: &Option<GlobMatcher>| glob.as_ref().is_some_and(|glob| glob.is_match(relative));
        manifest
            && self.include.as_ref().is_none_or(included)
            && !self
                .exclude
                .as_ref()
                .is_some_and(|glob| glob.is_match(relative))
    }
}

/// A pattern as Argo CD's glob library reads it: `*` also crosses folders.
fn matcher(pattern: &str) -> Option<GlobMatcher> {
    if pattern.is_empty() {
        return None;
    }
    let glob = GlobBuilder::new(pattern).literal_separator(false).build();
    Some(glob.ok()?.compile_matcher())
}

pub(super) fn render(
    reader: &Reader<'_>,
    parameters: &Parameters,
    subject: &Subject<'_>,
) -> Result<Rendering, Blocker> {
    let (mut objects, mut gaps) = (Vec::new(), Vec::new());
    for path in names(reader, parameters, subject) {
        let Some(manifest) = reader.manifest(&path) else {
            continue;
        };
        if manifest.text().contains(SKIP) {
            continue;
        }
        let read = read(reader, &path, subject)?;
        objects.extend(read.0);
        gaps.extend(read.1);
    }
    // What stands in an unreadable file matters only where the target is in none of the others.
    let readable = objects
        .iter()
        .any(|object| super::is_target(object, subject.target));
    if readable {
        gaps.clear();
    }
    pick(objects, subject, Tool::Directory, gaps)
}

/// The objects of one file, and the documents that could not be read.
pub(super) fn read(
    reader: &Reader<'_>,
    path: &str,
    subject: &Subject<'_>,
) -> Result<(Vec<Traced>, Vec<Gap>), Blocker> {
    let (mut objects, mut gaps) = (Vec::new(), Vec::new());
    let Some(manifest) = reader.manifest(path) else {
        return Ok((objects, gaps));
    };
    let file: Rc<str> = Rc::from(path);
    for document in manifest.documents() {
        let Some(error) = document.error() else {
            continue;
        };
        let text = &manifest.text()[document.span()];
        if !text.contains(&subject.target.name) {
            continue;
        }
        let id = if text.contains("{{") {
            "template"
        } else {
            "manifest-unreadable"
        };
        gaps.push(Gap {
            blocker: Blocker::new(
                id,
                format!("{path}: {error}"),
                "repair the file, or edit what it is rendered from",
            ),
            reach: Path::default(),
        });
    }
    for object in manifest.objects() {
        if let Some(mut traced) = Traced::of_file(&manifest, &file, object.address, &Act::Written) {
            name_itself(&mut traced, &object.kind, &object.api_version);
            objects.push(traced);
        }
    }
    Ok((objects, gaps))
}

/// The items of a typed list need not say what they are.
fn name_itself(object: &mut Traced, kind: &str, api_version: &str) {
    let marks = object.marks.clone();
    let Some(fields) = object.fields_mut() else {
        return;
    };
    for (key, word) in [("kind", kind), ("apiVersion", api_version)] {
        fields.entry(key.to_owned()).or_insert_with(|| Traced {
            body: Body::Scalar(word.into()),
            marks: marks.clone(),
        });
    }
}
