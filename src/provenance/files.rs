//! The files of one commit, and reading them once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::manifest::Manifest;

/// Files of one commit, by path from the repository's root.
pub trait Files {
    /// The text of a file; `None` where there is no such file or it is not text.
    fn text(&self, path: &str) -> Option<Arc<str>>;
    /// The names directly below a folder (empty for the root), folders with a trailing slash.
    fn list(&self, folder: &str) -> Vec<String>;
}

impl Files for BTreeMap<String, Arc<str>> {
    fn text(&self, path: &str) -> Option<Arc<str>> {
        self.get(path).cloned()
    }

    fn list(&self, folder: &str) -> Vec<String> {
        let mut names = BTreeSet::new();
        for path in self.keys() {
            let rest = match folder {
                "" => Some(path.as_str()),
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
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(relative.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_inside_the_repository_only() {
        assert_eq!(join("a/b", "../c/./d.yaml").as_deref(), Some("a/c/d.yaml"));
        assert_eq!(join("", ".").as_deref(), Some(""));
        assert_eq!(join("a", "../../b"), None);
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
