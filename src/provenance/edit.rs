//! The edit at the place that decides, proven by rendering again.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::{Address, Change, Edit, Manifest, Path, Step, diff_values, diff_values_at};
use crate::model::Blocker;

use super::explain::{pin, untold};
use super::files::{Files, Overlaid, Reader};
use super::kustomize::{joined, split};
use super::outcome::{Edited, FileEdit, Place, Touched};
use super::place::Places;
use super::traced::{Act, Body, Mark, Source, Spot, Traced};
use super::{Rendering, Subject, Tool, rendering};

/// One wanted value.
#[derive(Debug, Clone)]
pub(super) struct Want {
    pub(super) path: Path,
    pub(super) value: Option<Value>,
    /// Where a new list item goes in its list.
    pub(super) place: Option<usize>,
    /// Where a new field stood in another commit, to be tried first.
    pub(super) home: Option<Home>,
}

/// The map or list around a field in another commit's file.
#[derive(Debug, Clone)]
pub(super) struct Home {
    pub(super) file: String,
    pub(super) around: Path,
    /// Of a list item: its place there.
    pub(super) place: Option<usize>,
}

/// Makes fields of the target these values (`None` takes one away), each at the place that
/// decides it.
///
/// # Errors
/// When a deciding place is not in these files (the Application, an ApplicationSet, a remote base,
/// a computed value), the manifest's edit is refused there, or rendering again does not show
/// exactly the wanted difference.
pub fn edit(
    files: &dyn Files,
    subject: &Subject<'_>,
    wanted: &[(Path, Option<Value>)],
) -> Result<Edited, Blocker> {
    let mut work = Work::new(files, subject)?;
    let want = |(path, value): &(Path, Option<Value>)| Want {
        path: path.clone(),
        value: value.clone(),
        place: None,
        home: None,
    };
    let wants: Vec<Want> = wanted.iter().map(want).collect();
    work.aim(&wants);
    wants.iter().try_for_each(|want| work.make(want))?;
    work.finish()
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
        if let Some(pin) = pin(subject) {
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
        if let Some(Body::Unknown(why)) = now.target.get(&want.path).map(|node| &node.body) {
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
            also: touched(&self.before.others, &after.others),
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
        let Some(text) = self.text(&file) else {
            return Err(refused(&file, "it is gone"));
        };
        let edited = Manifest::parse_lenient(text)
            .edit(&spot.address, std::slice::from_ref(edit))
            .map_err(|error| refused(&file, error))?;
        self.texts.insert(file, edited.text);
        Ok(())
    }

    /// Sets or removes the value at a place.
    fn write(&mut self, source: &Source, value: Option<&Value>) -> Result<(), Blocker> {
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
        }
    }

    fn inner(&self, outer: &Spot) -> Result<String, Blocker> {
        let value = self.text(&outer.file).and_then(|text| {
            Manifest::parse_lenient(text).value(&outer.address, &outer.at)
        });
        match value {
            Some(Value::String(text)) => Ok(text),
            _ => Err(refused(&outer.file, "the text in it is gone")),
        }
    }

    /// Rewrites an image override of the form `NAME=NEWNAME:TAG`.
    fn image_argument(&mut self, source: &Source, image: &str) -> Result<(), Blocker> {
        let Source::File(spot) = source else {
            return Err(self.elsewhere(source));
        };
        let argument = self.inner(spot)?;
        let (name, tag, digest) = split(image);
        let new = match argument.split_once('=') {
            Some((key, _)) => format!("{key}={image}"),
            None if split(&argument).0 == name => joined(&name, &tag, &digest),
            None => format!("{}={image}", split(&argument).0),
        };
        let path = spot.at.clone();
        let value = Value::String(new);
        self.splice(spot, &Edit::Set { path, value })
    }

    /// A deciding place that is not in these files.
    fn elsewhere(&self, source: &Source) -> Blocker {
        let reader = Reader::new(self.files);
        let place = Places::new(&reader, self.subject).of(source);
        let (id, hint) = match &place {
            Place::ApplicationSet { .. } => (
                "application-set",
                "change it in the ApplicationSet's template or its generator",
            ),
            Place::ApplicationFile { .. } => (
                "application-override",
                "change it in that file, which Git holds for the Application itself",
            ),
            _ => (
                "application-override",
                "change it in the Application; an edit of the files would be outranked",
            ),
        };
        Blocker::new(id, format!("{place} decides over the field"), hint)
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

/// A step of one way to make an edit.
#[derive(Debug, Clone)]
enum Move {
    Set(Source, Value),
    Remove(Source),
    Insert(Source, Value),
    Entry { source: Source, image: String },
    Refuse(Blocker),
}

/// The parts of a wanted collection that differ; none where it is to be set as one.
fn parts(path: &Path, node: &Traced, value: &Value) -> Vec<Want> {
    let Some(now) = node.value() else {
        return Vec::new();
    };
    if !matches!(
        (&now, value),
        (Value::Object(_), Value::Object(_)) | (Value::Array(_), Value::Array(_))
    ) {
        return Vec::new();
    }
    let changes = diff_values_at(path, &now, value);
    if changes.iter().any(|change| change.path == *path) {
        return Vec::new();
    }
    in_order(changes, path, value)
}

/// Changes as wants: values first, then what goes (the last first), then what comes (by its place).
pub(super) fn in_order(changes: Vec<Change>, at: &Path, value: &Value) -> Vec<Want> {
    let (mut kept, mut gone, mut new) = (Vec::new(), Vec::new(), Vec::new());
    for Change { path, old, new: wanted } in changes {
        let place = place_in(value, at, &path);
        let into = match (&old, &wanted) {
            (Some(_), Some(_)) => &mut kept,
            (_, None) => &mut gone,
            (None, _) => &mut new,
        };
        into.push(Want {
            path,
            value: wanted,
            place,
            home: None,
        });
    }
    gone.reverse();
    new.sort_by_key(|want: &Want| want.place);
    kept.into_iter().chain(gone).chain(new).collect()
}

/// The place of a list item in the list of `value`, which stands at `at`.
fn place_in(value: &Value, at: &Path, path: &Path) -> Option<usize> {
    let steps = path.steps().get(at.steps().len()..)?;
    let (last, before) = steps.split_last()?;
    let list = before.iter().try_fold(value, step_into)?.as_array()?;
    match last {
        Step::Index(place) => Some(*place),
        Step::Named { key, value } => list.iter().position(|item| is_named(item, key, value)),
        Step::Key(_) | Step::End => None,
    }
}

fn is_named(item: &Value, key: &str, name: &str) -> bool {
    match item.get(key) {
        Some(Value::String(text)) => text == name,
        Some(Value::Number(number)) => number.to_string() == name,
        _ => false,
    }
}

fn step_into<'v>(value: &'v Value, step: &Step) -> Option<&'v Value> {
    match (value, step) {
        (Value::Object(map), Step::Key(key)) => map.get(key),
        (Value::Array(items), Step::Index(place)) => items.get(*place),
        (Value::Array(items), Step::Named { key, value }) => {
            items.iter().find(|item| is_named(item, key, value))
        }
        _ => None,
    }
}

/// Puts a wanted value into a plain one.
fn put(value: &mut Value, want: &Want) {
    let Some((last, before)) = want.path.steps().split_last() else {
        return;
    };
    let mut here = value;
    for step in before {
        let next = match (here, step) {
            (Value::Object(map), Step::Key(key)) => Some(
                map.entry(key.clone())
                    .or_insert_with(|| Value::Object(serde_json::Map::new())),
            ),
            (Value::Array(items), Step::Index(place)) => items.get_mut(*place),
            (Value::Array(items), Step::Named { key, value }) => {
                items.iter_mut().find(|item| is_named(item, key, value))
            }
            _ => None,
        };
        match next {
            Some(next) => here = next,
            None => return,
        }
    }
    match (here, last, &want.value) {
        (Value::Object(map), Step::Key(key), Some(value)) => {
            map.insert(key.clone(), value.clone());
        }
        (Value::Object(map), Step::Key(key), None) => {
            map.remove(key);
        }
        (Value::Array(items), step, wanted) => {
            let there = match step {
                Step::Index(place) if *place < items.len() => Some(*place),
                Step::Named { key, value } => {
                    items.iter().position(|item| is_named(item, key, value))
                }
                _ => None,
            };
            match (there, wanted) {
                (Some(place), Some(value)) => items[place] = value.clone(),
                (Some(place), None) => {
                    items.remove(place);
                }
                (None, Some(value)) => {
                    let place = want.place.unwrap_or(items.len()).min(items.len());
                    items.insert(place, value.clone());
                }
                (None, None) => {}
            }
        }
        _ => {}
    }
}

/// The ways in which one field can be made what is wanted.
fn ways(now: &Rendering, want: &Want) -> Vec<Vec<Move>> {
    match (now.target.get(&want.path), &want.value) {
        (Some(node), Some(value)) => vec![set(node, &want.path, value, now.tool)],
        (Some(node), None) => vec![node.marks.iter().rev().map(removal).collect()],
        (None, Some(value)) => additions(&now.target, want, value),
        (None, None) => Vec::new(),
    }
}

fn set(node: &Traced, path: &Path, value: &Value, tool: Tool) -> Vec<Move> {
    let Some(mark) = node.deciding() else {
        return Vec::new();
    };
    if node.marks.iter().any(|mark| matches!(mark.act, Act::Image { .. })) {
        return match value.as_str() {
            Some(image) => set_image(node, image),
            None => vec![Move::Refuse(untold(path, "an image must be text"))],
        };
    }
    let holds = match &mark.says {
        Some(says) => Some(says) == node.value().as_ref() || says.is_null(),
        None => node.marks.len() == 1 || mark.act == Act::JsonPatch,
    };
    let converted = tool == Tool::Helm && matches!(mark.act, Act::Value(_));
    match holds || converted {
        true => vec![Move::Set(mark.source.clone(), value.clone())],
        false => vec![Move::Refuse(untold(
            path,
            "the place that decides does not hold the value itself",
        ))],
    }
}

/// Sets an image's parts where each is decided.
fn set_image(node: &Traced, image: &str) -> Vec<Move> {
    let now = split(node.text().unwrap_or_default());
    let new = split(image);
    let entries = || {
        node.marks.iter().rev().filter_map(|mark| match &mark.act {
            Act::Image { entry, name, tag, digest } => Some((entry, *name, *tag, *digest)),
            _ => None,
        })
    };
    let is_argument =
        |entry: &Source| !matches!(entry.at().steps(), [.., Step::Named { .. }] | [.., Step::Index(_)])
            || matches!(entry, Source::Application(_))
            || entry.at().steps().first() == Some(&Step::Key("kustomize".to_owned()));
    let top = entries().next();
    if let Some((entry, ..)) = top.filter(|(entry, ..)| is_argument(entry)) {
        return vec![Move::Entry {
            source: entry.clone(),
            image: image.to_owned(),
        }];
    }
    let mut way = Vec::new();
    if (&new.1, &new.2) != (&now.1, &now.2) {
        let decides = entries().find(|(_, _, tag, digest)| *tag || *digest);
        match decides {
            Some((entry, _, has_tag, has_digest)) => {
                for (key, text, has) in
                    [("newTag", &new.1, has_tag), ("digest", &new.2, has_digest)]
                {
                    let source = entry.child(Step::Key(key.to_owned()));
                    match (text.is_empty(), has) {
                        (false, _) => way.push(Move::Set(source, Value::String(text.clone()))),
                        (true, true) => way.push(Move::Remove(source)),
                        (true, false) => {}
                    }
                }
            }
            None => way.extend(base_image(node, &new)),
        }
    }
    if new.0 != now.0 {
        let decides = entries().find(|(_, name, ..)| *name).or(top);
        if let Some((entry, ..)) = decides {
            let source = entry.child(Step::Key("newName".to_owned()));
            way.push(Move::Set(source, Value::String(new.0)));
        }
    }
    way
}

/// The tag in the manifest below the entries, which set the name only.
fn base_image(node: &Traced, new: &(String, String, String)) -> Option<Move> {
    let below = |mark: &&Mark| !matches!(mark.act, Act::Image { .. });
    let base = node.marks.iter().rev().find(below)?;
    let name = split(base.says.as_ref()?.as_str()?).0;
    let image = joined(&name, &new.1, &new.2);
    Some(Move::Set(base.source.clone(), Value::String(image)))
}

/// Takes away what one place says.
fn removal(mark: &Mark) -> Move {
    let at = mark.source.at();
    let is_operation = mark.act == Act::JsonPatch
        && at.steps().len() == 2
        && at.last() == Some(&Step::Key("value".to_owned()));
    let mut source = mark.source.clone();
    if is_operation {
        match &mut source {
            Source::File(spot) => spot.at = at.parent().unwrap_or_default(),
            Source::Inside { at: own, .. } => *own = at.parent().unwrap_or_default(),
            Source::Application(_) => {}
        }
    }
    Move::Remove(source)
}

/// Ways to add a field: in each place that writes what is around it, the last of them first.
fn additions(target: &Traced, want: &Want, value: &Value) -> Vec<Vec<Move>> {
    let (mut path, mut value) = (want.path.clone(), value.clone());
    while let (Some(parent), Some(last)) = (path.parent(), path.last().cloned()) {
        let Some(around) = target.get(&parent) else {
            value = match last {
                Step::Key(key) => Value::Object([(key, value)].into_iter().collect()),
                _ => Value::Array(vec![value]),
            };
            path = parent;
            continue;
        };
        let mut homes: Vec<&Mark> = around.marks.iter().rev().collect();
        homes.sort_by_key(|mark| !is_home(&mark.source, want));
        return homes
            .into_iter()
            .flat_map(|mark| into(mark, around, &last, (want, &value)))
            .collect();
    }
    Vec::new()
}

fn is_home(source: &Source, want: &Want) -> bool {
    let home = want.home.as_ref();
    spot_of(source)
        .zip(home)
        .is_some_and(|((file, _, at), home)| home.file == file && home.around == *at)
}

fn into(mark: &Mark, around: &Traced, last: &Step, new: (&Want, &Value)) -> Vec<Vec<Move>> {
    let (want, value) = new;
    if matches!(around.body, Body::List(_)) && !matches!(last, Step::Key(_)) {
        let end = Move::Insert(mark.source.child(Step::End), value.clone());
        let home = want.home.as_ref().filter(|_| is_home(&mark.source, want));
        let places = [home.and_then(|home| home.place), want.place];
        let there = places.into_iter().flatten().map(|place| {
            Move::Insert(mark.source.child(Step::Index(place)), value.clone())
        });
        return there.chain([end]).map(|act| vec![act]).collect();
    }
    vec![vec![Move::Set(mark.source.child(last.clone()), value.clone())]]
}

/// The other objects that differ.
fn touched(before: &[Traced], after: &[Traced]) -> Vec<Touched> {
    let id = |object: &Traced| {
        let text = |keys: &[&str]| object.text_at(keys).unwrap_or_default().to_owned();
        (
            text(&["apiVersion"]),
            text(&["kind"]),
            text(&["metadata", "name"]),
            text(&["metadata", "namespace"]),
        )
    };
    let mut found = Vec::new();
    for old in before {
        let same = after.iter().find(|new| id(new) == id(old));
        let (old_value, new_value) = (old.value(), same.and_then(Traced::value));
        let (Some(a), b) = (old_value, new_value.unwrap_or(Value::Null)) else {
            continue;
        };
        let fields: Vec<Path> = diff_values(&a, &b).into_iter().map(|c| c.path).collect();
        if !fields.is_empty() {
            let (_, kind, name, _) = id(old);
            found.push(Touched { kind, name, fields });
        }
    }
    found
}

/// An address for a restored place.
pub(super) fn spot_of(source: &Source) -> Option<(&str, Address, &Path)> {
    match source {
        Source::File(spot) => Some((&spot.file, spot.address, &spot.at)),
        Source::Inside { .. } | Source::Application(_) => None,
    }
}
