//! What becomes of each file of the commit.

use serde_json::Value;

use super::{FieldUndo, PlannedUndo};
use crate::manifest::{
    Manifest, Path, UndoClass, UndoField, Undone, changed_objects, field_value, is_manifest_name,
    merge_text, undo, undo_chosen, used,
};
use crate::model::{Change, ChangedFile, FileText, GitView, ObjectRef, PodTemplate, WorkloadRef};
use crate::plan::build::EditedFile;
use crate::plan::document::open;
use crate::plan::{Blocker, Refusal};

/// A file with what is taken back of it.
pub(super) struct FileUndo<'c> {
    file: &'c ChangedFile,
    path: String,
    undone: Undone,
    /// The edit, where there is one.
    pub(super) edited: Option<EditedFile>,
}

/// Which part of a commit is meant.
#[derive(Clone, Copy)]
pub(super) enum Meant<'m> {
    /// All of its files.
    All,
    /// The target's document, and where the commit left that alone the objects that the target's
    /// pods use.
    Target,
    /// One object that they use.
    Used(&'m ObjectRef),
}

/// Takes the commit's files back, as far as they are meant. Nothing is given where one of them
/// cannot be done.
pub(super) fn take_back<'c>(
    git: &GitView,
    change: &'c Change,
    (target, meant): (&WorkloadRef, Meant<'_>),
) -> Result<Vec<FileUndo<'c>>, Refusal> {
    let mut refusal = Refusal::default();
    let mut found = Vec::new();
    for file in &change.files {
        let outcome = match meant {
            Meant::Used(_) if git.rendered.is_some() => whole(file).map(Some),
            Meant::Used(_) => Ok(None),
            Meant::All => whole(file).map(Some),
            Meant::Target if git.rendered.is_some() => whole(file).map(Some),
            Meant::Target => of_target(git, file, target),
        };
        match outcome {
            Ok(undo) => found.extend(undo),
            Err(blocker) => refusal.blockers.push(blocker),
        }
    }
    if found.is_empty() && refusal.is_empty() {
        for file in &change.files {
            match of_used(git, file, (target, meant)) {
                Ok(undo) => found.extend(undo),
                Err(blocker) => refusal.blockers.push(blocker),
            }
        }
    }
    if found.is_empty() && refusal.is_empty() {
        refusal.blockers.push(elsewhere(git, change, target));
    }
    match refusal.is_empty() {
        true => Ok(found),
        false => Err(refusal),
    }
}

fn elsewhere(git: &GitView, change: &Change, target: &WorkloadRef) -> Blocker {
    let what = match &git.rendered {
        Some(rendered) => format!("nothing that {} renders it from", rendered.tool),
        None => format!("nothing of its document in {}", git.file),
    };
    Blocker::new(
        "commit-elsewhere",
        format!(
            "{} {:?} changed {what}",
            change.commit.id.short(),
            change.commit.subject()
        ),
        format!(
            "`unship history {} -n {}` lists the commits that did; \
             without a target all of the commit is taken back",
            target.short(),
            target.namespace
        ),
    )
}

impl FileUndo<'_> {
    /// As the plan shows it.
    pub(super) fn planned(&self) -> PlannedUndo {
        let superseded = self.undone.superseded.iter().map(|field| FieldUndo {
            by: later(self.file, field),
            ..FieldUndo::new(field)
        });
        PlannedUndo {
            path: self.path.clone(),
            class: self.undone.class.word().to_owned(),
            undone: self.undone.undone.iter().map(FieldUndo::new).collect(),
            superseded: superseded.collect(),
            left: self.undone.left.clone(),
        }
    }
}

/// The newest later commit that changed a field.
fn later(file: &ChangedFile, field: &UndoField) -> Option<String> {
    let value = |text: &Option<FileText>| {
        let text = text.as_ref().and_then(FileText::text);
        text.and_then(|text| field_value(text, field))
    };
    let by = file
        .later
        .iter()
        .find(|later| value(&later.before) != value(&later.after))?;
    Some(format!(
        "{} {:?}",
        by.commit.id.short(),
        by.commit.subject()
    ))
}

/// One document of a file, wherever it stands today; `None` where the commit did nothing to it.
fn of_target<'c>(
    git: &GitView,
    file: &'c ChangedFile,
    target: &WorkloadRef,
) -> Result<Option<FileUndo<'c>>, Blocker> {
    let text = |side: &'c Option<FileText>| side.as_ref().and_then(FileText::text);
    let (before, after) = (text(&file.before), text(&file.after));
    let value = |text: Option<&str>| {
        let name = (target.kind.as_str(), &*target.namespace, &*target.name);
        let document = open(text?, file.name(), name).ok()?;
        document.at(&Path::default())
    };
    let (was, is) = (value(before), value(after));
    if was == is {
        return Ok(None);
    }
    // The document may have moved to another file since.
    let moved = file.path.as_deref() != Some(&git.file);
    let head = if moved {
        &*git.text
    } else {
        text(&file.head).unwrap_or_default()
    };
    let chosen = |value: &Value| is_target(value, target);
    let sides = (before.unwrap_or_default(), after.unwrap_or_default(), head);
    let undone = refused(&git.file, undo_chosen(sides, &chosen))?;
    Ok(Some(part(file, &git.file, (head, undone))))
}

/// What is taken back of some documents of a file that stays.
fn part<'c>(file: &'c ChangedFile, path: &str, (head, undone): (&str, Undone)) -> FileUndo<'c> {
    let edited = (undone.text != head).then(|| EditedFile {
        path: path.to_owned(),
        before: head.to_owned(),
        after: undone.text.clone(),
        gone: false,
        added: false,
    });
    FileUndo {
        file,
        path: path.to_owned(),
        undone,
        edited,
    }
}

/// The objects of a file that the target's pods use; `None` where the commit did nothing to them.
fn of_used<'c>(
    git: &GitView,
    file: &'c ChangedFile,
    (target, meant): (&WorkloadRef, Meant<'_>),
) -> Result<Option<FileUndo<'c>>, Blocker> {
    let text = |side: &'c Option<FileText>| side.as_ref().and_then(FileText::text);
    let (Some(before), Some(after), Some(path)) =
        (text(&file.before), text(&file.after), &file.path)
    else {
        return Ok(None);
    };
    let Some(template) = git.states.first().map(|state| &state.template) else {
        return Ok(None);
    };
    let mut names = used_either(before, after, (template, &target.namespace));
    if let Meant::Used(object) = meant {
        names.retain(|own| own == object);
    }
    if names.is_empty() {
        return Ok(None);
    }
    let head = text(&file.head).unwrap_or_default();
    let chosen = |value: &Value| names.iter().any(|object| is_object(value, object));
    let undone = refused(path, undo_chosen((before, after, head), &chosen))?;
    Ok(Some(part(file, path, (head, undone))))
}

/// The objects that the pods use as one of two texts has them, and that differ in them: a Service
/// whose selector has moved away is used no more.
fn used_either(
    before: &str,
    after: &str,
    (template, namespace): (&PodTemplate, &str),
) -> Vec<ObjectRef> {
    let changed = changed_objects(before, after, namespace);
    let sides = [before, after].into_iter();
    let used = sides.flat_map(|text| used(text, (template, namespace)));
    let mut found: Vec<ObjectRef> = used
        .map(|own| own.object)
        .filter(|object| changed.contains(object))
        .collect();
    found.dedup();
    found
}

fn is_object(value: &Value, object: &ObjectRef) -> bool {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    text("/kind") == Some(&object.kind)
        && text("/metadata/name") == Some(&object.name)
        && text("/metadata/namespace").is_none_or(|own| own == object.namespace)
}

/// Whether a document is the target, or a List that holds it.
fn is_target(value: &Value, target: &WorkloadRef) -> bool {
    let own = is_object(value, &target.object());
    let items = value.get("items").and_then(Value::as_array);
    own || items.is_some_and(|items| items.iter().any(|item| is_target(item, target)))
}

/// All of a file.
fn whole(file: &ChangedFile) -> Result<FileUndo<'_>, Blocker> {
    let path = file.name().to_owned();
    let text = |side: &'_ Option<FileText>| match side {
        Some(FileText::Other(what)) => Err(Blocker::new(
            "undo-refused",
            format!("{} is {what}, which is not taken back", file.name()),
            "name the workload that is meant, or take that file back with git",
        )),
        Some(FileText::Text(text)) => Ok(Some(text.clone())),
        None => Ok(None),
    };
    let (before, after, head) = (text(&file.before)?, text(&file.after)?, text(&file.head)?);
    let mut undone = match (before.as_deref(), after.as_deref(), head.as_deref()) {
        (Some(before), Some(after), Some(head)) => edited(&path, (before, after, head))?,
        (None, Some(after), Some(head)) if after == head => gone(head, after),
        (None, Some(after), Some(head)) => left(head, Some(after), Some(head)),
        (Some(before), None, None) => back(before),
        (Some(before), None, Some(head)) if before == head => nothing(head),
        (Some(_), None, Some(head)) => left(head, None, Some(head)),
        (Some(before), Some(after), None) if before != after => left("", Some(after), None),
        (_, _, head) => nothing(head.unwrap_or_default()),
    };
    if let (Some(old), Some(new)) = (&file.old, &file.new)
        && old != new
    {
        undone.left.push(format!("the move from {old} to {new}"));
    }
    let today = head.as_deref().unwrap_or_default();
    let is_back = file.after.is_none() && undone.class == UndoClass::Undone;
    let is_gone = before.is_none() && undone.class == UndoClass::Undone;
    let edited = (undone.text != today || is_gone || is_back).then(|| EditedFile {
        path: if is_back {
            file.old.clone().unwrap_or_default()
        } else {
            path.clone()
        },
        before: today.to_owned(),
        after: undone.text.clone(),
        gone: is_gone,
        added: is_back,
    });
    Ok(FileUndo {
        file,
        path,
        undone,
        edited,
    })
}

/// A file that all three have: by its fields, or where it is no YAML by its lines.
fn edited(path: &str, (before, after, head): (&str, &str, &str)) -> Result<Undone, Blocker> {
    let is_yaml =
        is_manifest_name(path) || path.ends_with("/Kustomization") || path == "Kustomization";
    let parses = |text: &str| Manifest::parse(text).is_ok();
    if is_yaml && [before, after, head].into_iter().all(parses) {
        return refused(path, undo(before, after, head));
    }
    let merged = match head == after {
        true => Ok(before.to_owned()),
        false => merge_text(after, head, before),
    };
    let Ok(text) = merged else {
        return Err(Blocker::new(
            "undo-conflict",
            format!("{path} is no YAML, and later work changed the same lines"),
            "take that file back by hand, or name the workload that is meant",
        ));
    };
    if text == head {
        return Ok(nothing(head));
    }
    Ok(Undone {
        undone: vec![whole_file(Some(head), Some(&text))],
        ..of(UndoClass::Undone, text)
    })
}

fn refused(path: &str, undone: Undone) -> Result<Undone, Blocker> {
    match &undone.reason {
        None => Ok(undone),
        Some(reason) => Err(Blocker::new(
            "undo-refused",
            format!("{path}: {reason}"),
            "take that file back by hand; `unship patch-file --restore PATH --from OLDFILE` puts one field back",
        )),
    }
}

const fn of(class: UndoClass, text: String) -> Undone {
    Undone {
        class,
        text,
        undone: Vec::new(),
        superseded: Vec::new(),
        left: Vec::new(),
        reason: None,
    }
}

/// A field that stands for a whole file.
fn whole_file(from: Option<&str>, to: Option<&str>) -> UndoField {
    UndoField {
        object: "the file".to_owned(),
        path: Path::default(),
        from: from.map(Value::from),
        to: to.map(Value::from),
        is_secret: true,
    }
}

fn nothing(head: &str) -> Undone {
    of(UndoClass::NothingLeft, head.to_owned())
}

/// The commit added it, and nobody has touched it since.
fn gone(head: &str, after: &str) -> Undone {
    Undone {
        undone: vec![whole_file(Some(after), None)],
        ..of(UndoClass::Undone, head.to_owned())
    }
}

/// The commit removed it, and it comes back with its comments.
fn back(before: &str) -> Undone {
    Undone {
        undone: vec![whole_file(None, Some(before))],
        ..of(UndoClass::Undone, before.to_owned())
    }
}

/// Later work changed it as a whole.
fn left(head: &str, bad: Option<&str>, today: Option<&str>) -> Undone {
    Undone {
        superseded: vec![whole_file(bad, today)],
        ..of(UndoClass::NothingLeft, head.to_owned())
    }
}
