//! The files of one commit, and reading them once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::manifest::Manifest;
use crate::model::split_root;

/// Files of one commit, by path from the repository's root. A rendering may take files of other
/// repositories too: their paths begin with a [`root`].
pub trait Files {
    /// The text of a file; `None` where there is no such file or it is not text.
    fn text(&self, path: &str) -> Option<Arc<str>>;
    /// The names directly below a folder (empty for the root), folders with a trailing slash.
    fn list(&self, folder: &str) -> Vec<String>;
}

/// What ends the name of a packed chart that is read as a folder.
pub const PACKED: &str = ".tgz/";

/// What stands before the paths of another repository. No path of the repository at hand has two
/// slashes in a row, so that the two cannot be mixed up.
#[must_use]
pub fn root(label: &str) -> String {
    format!("//{label}//")
}

/// The label of the other repository that a path lies in, and its path there.
#[must_use]
pub fn parted(path: &str) -> (Option<&str>, &str) {
    let own = root_of(path);
    match own.strip_prefix("//") {
        Some(label) => (Some(label.trim_end_matches('/')), &path[own.len()..]),
        None => (None, path),
    }
}

/// The root of a path: empty for the repository at hand.
pub(super) fn root_of(path: &str) -> &str {
    split_root(path).0
}

/// A folder without `.` and `..`.
pub(super) fn normal(folder: &str) -> String {
    join(folder, "").unwrap_or_default()
}

impl Files for BTreeMap<String, Arc<str>> {
    fn text(&self, path: &str) -> Option<Arc<str>> {
        self.get(path).cloned()
    }

    fn list(&self, folder: &str) -> Vec<String> {
        let mut names = BTreeSet::new();
        for path in self.keys() {
            let rest = match folder {
                "" => Some(path.as_str()).filter(|path| !path.starts_with("//")),
                _ if folder.ends_with("//") => path.strip_prefix(folder),
                _ => path
                    .strip_prefix(folder)
                    .and_then(|rest| rest.strip_prefix('/')),
            };
            let Some(rest) = rest else { continue };
            names.insert(match rest.split_once('/') {
                Some((name, _)) => format!("{name}/"),
                None => rest.to_owned(),
            });
        }
        names.into_iter().collect()
    }
}

/// Other files with some texts replaced: a candidate that is not committed yet.
pub(super) struct Overlaid<'a> {
    pub(super) below: &'a dyn Files,
    pub(super) texts: &'a BTreeMap<String, String>,
}

impl Files for Overlaid<'_> {
    fn text(&self, path: &str) -> Option<Arc<str>> {
        match self.texts.get(path) {
            Some(text) => Some(Arc::from(text.as_str())),
            None => self.below.text(path),
        }
    }

    fn list(&self, folder: &str) -> Vec<String> {
        self.below.list(folder)
    }
}

/// Reads files once and remembers which.
pub(super) struct Reader<'a> {
    files: &'a dyn Files,
    parsed: RefCell<BTreeMap<String, Option<Rc<Manifest>>>>,
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.parsed.borrow().keys()).finish()
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(files: &'a dyn Files) -> Self {
        Self {
            files,
            parsed: RefCell::default(),
        }
    }

    /// The file as YAML documents, each of which may be unreadable.
    pub(super) fn manifest(&self, path: &str) -> Option<Rc<Manifest>> {
        if let Some(known) = self.parsed.borrow().get(path) {
            return known.clone();
        }
        let read = self.files.text(path);
        let read = read.map(|text| Rc::new(Manifest::parse_lenient(&*text)));
        let mut parsed = self.parsed.borrow_mut();
        parsed.insert(path.to_owned(), read.clone());
        read
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.manifest(path).is_some()
    }

    pub(super) fn list(&self, folder: &str) -> Vec<String> {
        self.files.list(folder)
    }

    /// Every file that was read and is there.
    pub(super) fn inputs(&self) -> Vec<String> {
        let parsed = self.parsed.borrow();
        let there = parsed.iter().filter(|(_, text)| text.is_some());
        there.map(|(path, _)| path.clone()).collect()
    }
}

/// `relative` seen from `folder`, without `.` and `..`; `None` where it leaves the repository.
pub(super) fn join(folder: &str, relative: &str) -> Option<String> {
    let root = root_of(folder);
    let mut parts: Vec<&str> = Vec::new();
    for part in folder[root.len()..].split('/').chain(relative.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(format!("{root}{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_inside_the_repository_only() {
        assert_eq!(join("a/b", "../c/./d.yaml").as_deref(), Some("a/c/d.yaml"));
        assert_eq!(join("", ".").as_deref(), Some(""));
        assert_eq!(join("a", "../../b"), None);
        assert_eq!(join("a", "//x//y").as_deref(), Some("a/x/y"));
    }

    #[test]
    fn other_repositories_have_a_root_that_no_path_leaves() {
        let there = root("https://git.example.org/team/values.git@main");
        let path = format!("{there}env/prod.yaml");
        assert_eq!(
            parted(&path),
            (
                Some("https://git.example.org/team/values.git@main"),
                "env/prod.yaml"
            )
        );
        assert_eq!(parted(&there).1, "");
        assert_eq!(parted("env/prod.yaml"), (None, "env/prod.yaml"));
        let env = format!("{there}env");
        assert_eq!(join(&env, "./prod.yaml").as_deref(), Some(&*path));
        assert_eq!(join(&env, "../../x"), None);
        assert_eq!(normal(&format!("{there}./env/")), env);
        let files: BTreeMap<String, Arc<str>> =
            [(path, Arc::from("")), ("a".into(), Arc::from(""))].into();
        assert_eq!(files.list(&there), ["env/"]);
        assert_eq!(files.list(&env), ["prod.yaml"]);
        assert_eq!(files.list(""), ["a"]);
    }

    #[test]
    fn a_map_lists_names_and_folders() {
        let files: BTreeMap<String, Arc<str>> = ["a/x.yaml", "a/b/y.yaml", "a/b/z.yaml", "ab/q"]
            .into_iter()
            .map(|path| (path.to_owned(), Arc::from("")))
            .collect();
        assert_eq!(files.list("a"), ["b/", "x.yaml"]);
        assert_eq!(files.list(""), ["a/", "ab/"]);
    }
}
