//! The edit at the place that decides, proven by rendering again.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::{Edit, Manifest, Path, diff_values};
use crate::model::{Blocker, ObjectRef};

use super::bump::versions_back;
use super::explain::{pin, untold};
use super::files::{Files, Overlaid, PACKED, Reader, parted};
use super::helm::published;
use super::kustomize::{joined, split};
use super::outcome::{Edited, FileEdit, Place, Touched};
use super::place::Places;
use super::repin::repin;
use super::restore::Good;
use super::traced::{Body, Source, Spot, Traced};
use super::want::{Want, in_order, parts, put};
use super::ways::{Move, ways};
use super::{Rendering, Subject, rendering};

/// Makes the target this object: every field in which it differs, at the place that decides it.
/// Where an earlier commit had a field like that at the same place (`good`), its own text comes
/// back, with quotes, order and file.
///
/// # Errors
/// When a deciding place is not in these files (the Application, an ApplicationSet, a remote base,
/// a computed value), the manifest's edit is refused there, or rendering again does not show
/// exactly the wanted difference.
pub fn edit_to(
    files: &dyn Files,
    subject: &Subject<'_>,
    object: &Value,
    good: Option<&dyn Files>,
) -> Result<Edited, Blocker> {
    if let Some(pinned) = subject.pinned {
        return repin((files, subject), pinned, object);
    }
    let blocker = match by_fields((files, subject), object, good) {
        Ok(edited) => return Ok(edited),
        Err(blocker) => blocker,
    };
    let moved = good.and_then(|good| versions_back((files, subject), good, object));
    match moved {
        Some(Ok(edited)) => Ok(edited),
        Some(Err(_)) | None => Err(blocker),
    }
}

/// Each field at the place that decides it.
fn by_fields(
    (files, subject): (&dyn Files, &Subject<'_>),
    object: &Value,
    good: Option<&dyn Files>,
) -> Result<Edited, Blocker> {
    let mut work = Work::new(files, subject)?;
    let good = good.and_then(|good| Good::new(good, subject));
    let now = work.goal.clone();
    let mut changes = diff_values(&now, object);
    // What follows from other text is nobody's to set.
    changes.retain(|change| !work.is_digest(&change.path));
    let wants = in_order(changes, &Path::default(), object);
    work.aim(&wants);
    for mut want in wants {
        let is_back = match &good {
            Some(good) => good.put_back(&mut work, &mut want)?,
            None => false,
        };
        if !is_back {
            work.make(&want)?;
        }
    }
    let edited = work.finish()?;
    let charts = published(files, subject.folder);
    let is_published =
        |file: &&FileEdit| charts.iter().any(|own| file.path.starts_with(&own.root()));
    match edited.files.iter().find(is_published) {
        Some(file) => Err(refused(
            parted(&file.path).1,
            "it is part of a published chart, which stays as it is",
        )),
        None => Ok(edited),
    }
}

/// Texts on the way from before to after.
pub(super) struct Work<'a> {
    pub(super) files: &'a dyn Files,
    pub(super) subject: &'a Subject<'a>,
    pub(super) texts: BTreeMap<String, String>,
    before: Rendering,
    /// What the target must look like in the end.
    goal: Value,
}

impl<'a> Work<'a> {
    pub(super) fn new(files: &'a dyn Files, subject: &'a Subject<'a>) -> Result<Self, Blocker> {
        let before = rendering(files, subject)?;
        if let Some(pin) = pin(subject).filter(|_| before.revision.is_none()) {
            let reader = Reader::new(files);
            return Err(pin.blocker(&Places::new(&reader, subject)));
        }
        let goal = before.target.value().unwrap_or(Value::Null);
        Ok(Self {
            files,
            subject,
            texts: BTreeMap::new(),
            before,
            goal,
        })
    }

    pub(super) fn is_digest(&self, field: &Path) -> bool {
        let node = self.before.target.get(field);
        node.is_some_and(|node| matches!(node.body, Body::Digest(_)))
    }

    /// Says what is wanted in all, before any of it is made.
    pub(super) fn aim(&mut self, wants: &[Want]) {
        for want in wants {
            put(&mut self.goal, want);
        }
    }

    /// The target as the texts have it by now.
    pub(super) fn now(&self) -> Result<Rendering, Blocker> {
        let files = Overlaid {
            below: self.files,
            texts: &self.texts,
        };
        rendering(&files, self.subject)
    }

    /// Makes one field what is wanted, and renders again to see that it is.
    pub(super) fn make(&mut self, want: &Want) -> Result<(), Blocker> {
        let now = self.now()?;
        if let Some(blocker) = now.gap(&want.path) {
            return Err(blocker.clone());
        }
        if let Some(why) = now.hidden(&want.path) {
            return Err(untold(&want.path, why));
        }
        let there = now.target.get(&want.path);
        if there.and_then(Traced::value) == want.value {
            return Ok(());
        }
        if let (Some(node), Some(value)) = (there, &want.value) {
            let parts = parts(&want.path, node, value);
            if !parts.is_empty() {
                return parts.iter().try_for_each(|part| self.make(part));
            }
        }
        self.attempt(&now, want)
    }

    /// Tries the places where it could be done until one renders as expected.
    fn attempt(&mut self, now: &Rendering, want: &Want) -> Result<(), Blocker> {
        let texts = self.texts.clone();
        let mut first = None;
        for way in ways(now, want) {
            self.texts.clone_from(&texts);
            let outcome = self.go(&way).and_then(|()| self.nearer(now, want));
            match outcome {
                Ok(()) => return Ok(()),
                Err(blocker) => first = first.or(Some(blocker)),
            }
        }
        self.texts = texts;
        Err(first.unwrap_or_else(|| {
            Blocker::new(
                "no-place",
                format!("no file holds {} or anything around it", want.path),
                "set it by hand where the tool takes it from",
            )
        }))
    }

    fn go(&mut self, way: &[Move]) -> Result<(), Blocker> {
        way.iter().try_for_each(|step| match step {
            Move::Set(source, value) => self.write(source, Some(value)),
            Move::Remove(source) => self.write(source, None),
            Move::Insert(source, value) => self.insert(source, value),
            Move::Entry { source, image } => self.image_argument(source, image),
            Move::Refuse(blocker) => Err(blocker.clone()),
        })
    }

    /// Whether the wanted field is there, and nothing has moved away from the goal.
    pub(super) fn nearer(&self, before: &Rendering, want: &Want) -> Result<(), Blocker> {
        let open = self.open(before);
        for path in self.open(&self.now()?) {
            let missed = path.contains(&want.path) || want.path.contains(&path);
            if missed || !open.iter().any(|known| known.contains(&path)) {
                return Err(unproven(&path));
            }
        }
        Ok(())
    }

    /// The fields that are not yet as they must be.
    fn open(&self, rendering: &Rendering) -> Vec<Path> {
        let value = rendering.target.value().unwrap_or(Value::Null);
        let changes = diff_values(&self.goal, &value);
        changes.into_iter().map(|change| change.path).collect()
    }

    pub(super) fn finish(self) -> Result<Edited, Blocker> {
        let after = self.now()?;
        if let Some(path) = self.open(&after).first() {
            return Err(unproven(path));
        }
        let mut files = Vec::new();
        for (path, text) in &self.texts {
            let before = self.files.text(path).unwrap_or_default();
            if *before != **text {
                files.push(FileEdit {
                    path: path.clone(),
                    before: before.to_string(),
                    after: text.clone(),
                });
            }
        }
        Ok(Edited {
            files,
            also: differing(&self.before.others, &after.others),
        })
    }

    pub(super) fn text(&self, file: &str) -> Option<String> {
        match self.texts.get(file) {
            Some(text) => Some(text.clone()),
            None => self.files.text(file).map(|text| text.to_string()),
        }
    }

    pub(super) fn splice(&mut self, spot: &Spot, edit: &Edit<'_>) -> Result<(), Blocker> {
        let file = spot.file.to_string();
        if let Some(at) = file.find(PACKED) {
            let archive = &file[..at + PACKED.len() - 1];
            return Err(refused(archive, "what is in an archive is not edited"));
        }
        let Some(text) = self.text(&file) else {
            return Err(refused(&file, "it is gone"));
        };
        let edited = Manifest::parse_lenient(text)
            .edit(&spot.address, std::slice::from_ref(edit))
            .map_err(|error| refused(&file, error))?;
        self.texts.insert(file, edited.text);
        Ok(())
    }

    /// What the target must look like in the end.
    pub(super) const fn goal(&self) -> &Value {
        &self.goal
    }

    /// What is there by now is where the rest starts from.
    pub(super) fn start_from_here(&mut self) -> Result<(), Blocker> {
        self.goal = self.now()?.target.value().unwrap_or(Value::Null);
        Ok(())
    }

    /// Sets or removes the value at a place.
    pub(super) fn write(&mut self, source: &Source, value: Option<&Value>) -> Result<(), Blocker> {
        if let Source::Made {
            inner,
            before,
            after,
        } = source
            && !(before.is_empty() && after.is_empty())
        {
            let text = match value {
                Some(Value::String(text)) => text.clone(),
                Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
                _ => return Err(self.fixed(source)),
            };
            let rest = text.strip_prefix(&**before);
            let Some(middle) = rest.and_then(|rest| rest.strip_suffix(&**after)) else {
                return Err(self.fixed(source));
            };
            return self.write(inner, Some(&self.typed(inner, middle)));
        }
        let edit = |path: &Path| match value {
            Some(value) => Edit::Set {
                path: path.clone(),
                value: value.clone(),
            },
            None => Edit::Remove { path: path.clone() },
        };
        self.change(source, edit)
    }

    fn insert(&mut self, source: &Source, value: &Value) -> Result<(), Blocker> {
        let value = value.clone();
        self.change(source, |path| Edit::Insert {
            path: path.clone(),
            value,
        })
    }

    fn change<'e>(
        &mut self,
        source: &Source,
        edit: impl FnOnce(&Path) -> Edit<'e>,
    ) -> Result<(), Blocker> {
        match source {
            Source::Made { inner, .. } => self.change(inner, edit),
            Source::File(spot) => self.splice(spot, &edit(&spot.at)),
            Source::Inside { outer, address, at } => {
                let text = self.inner(outer)?;
                let edited = Manifest::parse_lenient(text)
                    .edit(address, &[edit(at)])
                    .map_err(|error| refused(&outer.file, error))?;
                let value = Value::String(edited.text);
                let path = outer.at.clone();
                self.splice(outer, &Edit::Set { path, value })
            }
            Source::Application(_) => Err(self.elsewhere(source)),
            Source::Text { .. } => Err(self.elsewhere(source)),
        }
    }

    /// A word as the value that stands at a place now is written: a number stays one.
    fn typed(&self, source: &Source, word: &str) -> Value {
        let now = match source {
            Source::File(spot) => self.value_at(spot),
            _ => None,
        };
        match now {
            Some(Value::Number(_) | Value::Bool(_)) => {
                serde_json::from_str(word).unwrap_or_else(|_| Value::String(word.to_owned()))
            }
            _ => Value::String(word.to_owned()),
        }
    }

    /// The wanted text is not only another word at that place.
    fn fixed(&self, source: &Source) -> Blocker {
        let reader = Reader::new(self.files);
        let place = Places::new(&reader, self.subject).of(source);
        Blocker::new(
            "values-computed",
            format!("{place} is only a part of the field, and the rest of it would change too"),
            "change the template of the Application by hand",
        )
    }

    /// The text that stands at a place.
    fn standing(&self, source: &Source) -> Result<String, Blocker> {
        match source {
            Source::File(spot) => match self.value_at(spot) {
                Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value.to_string()),
                _ => self.inner(spot),
            },
            Source::Made {
                inner,
                before,
                after,
            } => Ok(format!("{before}{}{after}", self.standing(inner)?)),
            Source::Inside { .. } | Source::Application(_) | Source::Text { .. } => {
                Err(self.elsewhere(source))
            }
        }
    }

    fn value_at(&self, spot: &Spot) -> Option<Value> {
        let text = self.text(&spot.file)?;
        Manifest::parse_lenient(text).value(&spot.address, &spot.at)
    }

    fn inner(&self, outer: &Spot) -> Result<String, Blocker> {
        match self.value_at(outer) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(refused(&outer.file, "the text in it is gone")),
        }
    }

    /// Rewrites an image override of the form `NAME=NEWNAME:TAG`.
    fn image_argument(&mut self, source: &Source, image: &str) -> Result<(), Blocker> {
        let argument = self.standing(source)?;
        let (name, tag, digest) = split(image);
        let new = match argument.split_once('=') {
            Some((key, _)) => format!("{key}={image}"),
            None if split(&argument).0 == name => joined(&name, &tag, &digest),
            None => format!("{}={image}", split(&argument).0),
        };
        self.write(source, Some(&Value::String(new)))
    }

    /// A deciding place that is not in these files.
    fn elsewhere(&self, source: &Source) -> Blocker {
        let reader = Reader::new(self.files);
        let place = Places::new(&reader, self.subject).of(source);
        if let Some(file) = template(source) {
            return Blocker::new(
                "template",
                format!("{place} is what {file} itself says, or makes of values"),
                "edit the template by hand, or the values that it uses",
            );
        }
        let (id, hint) = match &place {
            Place::ApplicationSet { .. } => (
                "application-set",
                "change it in the ApplicationSet's template or its generator",
            ),
            _ => (
                "application-override",
                "change it in the Application; an edit of the files would be outranked",
            ),
        };
        Blocker::new(id, format!("{place} decides over the field"), hint)
    }
}

/// The template that a place is in.
fn template(source: &Source) -> Option<&str> {
    match source {
        Source::Text { file, .. } => Some(parted(file).1),
        Source::Made { inner, .. } => template(inner),
        Source::File(_) | Source::Inside { .. } | Source::Application(_) => None,
    }
}

fn unproven(path: &Path) -> Blocker {
    Blocker::new(
        "not-proved",
        format!("the edit would leave or make a difference in {path} that is not wanted"),
        "edit the file by hand, and check what Argo CD renders",
    )
}

fn refused(file: &str, why: impl std::fmt::Display) -> Blocker {
    Blocker::new(
        "edit-refused",
        format!("{file}: {why}"),
        "edit that place by hand",
    )
}

/// The other objects of the target's folder that are rendered otherwise from other files.
///
/// # Errors
/// When the folder cannot be rendered from one of them.
pub fn touched(
    before: &dyn Files,
    after: &dyn Files,
    subject: &Subject<'_>,
) -> Result<Vec<Touched>, Blocker> {
    let (before, after) = (rendering(before, subject)?, rendering(after, subject)?);
    Ok(differing(&before.others, &after.others))
}

/// The other objects that differ.
fn differing(before: &[Traced], after: &[Traced]) -> Vec<Touched> {
    let mut found = Vec::new();
    for old in before {
        let id = object_of(old);
        let same = after.iter().find(|new| object_of(new) == id);
        let new_value = same.and_then(Traced::comparable);
        let old_value = old.comparable();
        let (Some(a), b) = (old_value, new_value.unwrap_or(Value::Null)) else {
            continue;
        };
        let fields: Vec<Path> = diff_values(&a, &b).into_iter().map(|c| c.path).collect();
        if !fields.is_empty() {
            found.push(Touched { object: id, fields });
        }
    }
    found
}

/// What an object is; its namespace is empty where it names none.
pub(super) fn object_of(object: &Traced) -> ObjectRef {
    let text = |keys: &[&str]| object.text_at(keys).unwrap_or_default().to_owned();
    let api_version = text(&["apiVersion"]);
    ObjectRef {
        group: api_version
            .split_once('/')
            .map_or_else(String::new, |(group, _)| group.to_owned()),
        kind: text(&["kind"]),
        namespace: text(&["metadata", "namespace"]),
        name: text(&["metadata", "name"]),
    }
}
