//! Fixtures of manifests-fixtures/provenance: places and bytes written by hand, rendered objects
//! by the real kustomize and helm.

mod application_set;
mod charts;
mod directory;
mod elsewhere;
mod helm;
mod kustomize;
mod making;
mod overrides;
mod pinned;
mod restoring;
mod subcharts;
mod templates;

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::sync::Arc;

use serde_json::Value;

use super::{Explanation, Files, Role, Subject};
use crate::manifest::{Manifest, Path};
use crate::model::{Application, ObjectRef};

pub(super) type Tree = BTreeMap<String, Arc<str>>;

/// The files below a folder of manifests-fixtures/provenance.
pub(super) fn tree(folder: &str) -> Tree {
    let root = FilePath::new(env!("CARGO_MANIFEST_DIR"))
        .join("manifests-fixtures/provenance")
        .join(folder);
    let mut found = Tree::new();
    read(&root, "", &mut found);
    assert!(!found.is_empty(), "no files below {folder}");
    found
}

fn read(root: &FilePath, below: &str, found: &mut Tree) {
    for entry in std::fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        if entry.path().is_dir() {
            read(root, &path, found);
        } else {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            found.insert(path, Arc::from(text));
        }
    }
}

pub(super) fn put(tree: &mut Tree, path: &str, text: &str) {
    tree.insert(path.to_owned(), Arc::from(text));
}

/// The tree with one text replaced in one file; the text must be there once.
pub(super) fn with(tree: &Tree, path: &str, old: &str, new: &str) -> Tree {
    let mut tree = tree.clone();
    let text = tree[path].to_string();
    assert_eq!(text.matches(old).count(), 1, "{old:?} in {path}");
    put(&mut tree, path, &text.replacen(old, new, 1));
    tree
}

pub(super) fn object(kind: &str, namespace: &str, name: &str) -> ObjectRef {
    let group = match kind {
        "Deployment" | "StatefulSet" | "DaemonSet" => "apps",
        "CronJob" => "batch",
        _ => "",
    };
    ObjectRef {
        group: group.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

pub(super) fn path(text: &str) -> Path {
    text.parse().unwrap()
}

/// An Application with one source.
pub(super) fn application(source: Value) -> Application {
    Application::from_json(&serde_json::json!({
        "metadata": {"name": "shop", "namespace": "argocd"},
        "spec": {"source": source},
    }))
    .unwrap()
}

pub(super) fn subject<'a>(
    application: &'a Application,
    folder: &'a str,
    target: &'a ObjectRef,
) -> Subject<'a> {
    Subject {
        application: Some(application),
        ..Subject::plain(folder, target)
    }
}

/// `file:line:column says`, the deciding place first, with a mark for its role.
pub(super) fn chain(explanation: &Explanation) -> Vec<String> {
    explanation
        .chain
        .iter()
        .map(|link| {
            let role = match link.role {
                Role::Decides => '!',
                Role::Outranked => '-',
                Role::Could => '?',
            };
            let says = link.says.as_ref().map(Value::to_string).unwrap_or_default();
            format!("{role} {} {says}", link.place)
        })
        .collect()
}

pub(super) fn explained(files: &dyn Files, subject: &Subject<'_>, field: &str) -> Vec<String> {
    chain(&super::explain(files, subject, &path(field)).unwrap())
}

pub(super) fn blocked<T: std::fmt::Debug>(result: Result<T, crate::model::Blocker>) -> String {
    let blocker = result.unwrap_err();
    format!("{}: {}", blocker.id, blocker.message)
}

/// Makes fields of the target these values; `None` takes one away.
pub(super) fn edit(
    files: &dyn Files,
    subject: &Subject<'_>,
    wanted: &[(Path, Option<Value>)],
) -> Result<super::Edited, crate::model::Blocker> {
    let mut work = super::edit::Work::new(files, subject)?;
    let want = |(path, value): &(Path, Option<Value>)| super::want::Want {
        path: path.clone(),
        value: value.clone(),
        place: None,
        home: None,
    };
    let wants: Vec<_> = wanted.iter().map(want).collect();
    work.aim(&wants);
    wants.iter().try_for_each(|want| work.make(want))?;
    work.finish()
}

/// The lines that an edit changes, as `path -old +new`.
pub(super) fn lines(edited: &super::Edited) -> Vec<String> {
    let mut found = Vec::new();
    for file in &edited.files {
        let diff = similar::TextDiff::from_lines(&file.before, &file.after);
        for change in diff.iter_all_changes() {
            let sign = match change.tag() {
                similar::ChangeTag::Delete => '-',
                similar::ChangeTag::Insert => '+',
                similar::ChangeTag::Equal => continue,
            };
            let text = change.to_string();
            found.push(format!(
                "{} {sign}{}",
                file.path,
                text.trim_end_matches('\n')
            ));
        }
    }
    found
}

/// The objects of a rendered stream, by kind and name.
pub(super) fn stream(text: &str) -> BTreeMap<(String, String), Value> {
    let manifest = Manifest::parse(text).unwrap();
    let objects = manifest.objects();
    let value = |o: &crate::manifest::Object| manifest.value(&o.address, &Path::default()).unwrap();
    objects
        .iter()
        .map(|o| ((o.kind.clone(), o.name.clone()), value(o)))
        .collect()
}
