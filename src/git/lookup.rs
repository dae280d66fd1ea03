//! Finding one path in the trees of many commits.

use std::rc::Rc;

use git2::Oid;

use super::blobs::Entry;
use super::repository::Repository;

/// Finds the entry at a path, reusing what the commit looked at before has in common:
/// along a branch most folders on the way are the same.
#[derive(Default)]
pub(super) struct Lookup {
    path: Option<Rc<str>>,
    /// The trees on the way, root first, of the last commit.
    trees: Vec<Oid>,
    found: Option<Entry>,
}

impl Lookup {
    /// The entry at a path of a commit; none when there is nothing.
    pub(super) fn entry(
        &mut self,
        repository: &Repository,
        commit: &git2::Commit<'_>,
        path: &Rc<str>,
    ) -> Result<Option<Entry>, git2::Error> {
        if self.path.as_ref() != Some(path) {
            self.path = Some(Rc::clone(path));
            self.trees.clear();
        }
        let mut tree_id = commit.tree_id();
        let mut parts = path.split('/').peekable();
        let mut level = 0;
        while let Some(part) = parts.next() {
            if self.trees.get(level) == Some(&tree_id) {
                return Ok(self.found);
            }
            match self.trees.get_mut(level) {
                Some(tree) => *tree = tree_id,
                None => self.trees.push(tree_id),
            }
            let tree = repository.inner.find_tree(tree_id)?;
            let entry = tree.get_name_bytes(part.as_bytes());
            let here = entry.map(|entry| Entry {
                id: entry.id(),
                mode: entry.filemode_raw(),
            });
            let folder = here.filter(|entry| entry.mode == 0o40_000);
            match (parts.peek().is_some(), folder) {
                (true, Some(folder)) => tree_id = folder.id,
                (true, None) => {
                    self.trees.truncate(level + 1);
                    self.found = None;
                    return Ok(None);
                }
                (false, _) => self.found = here,
            }
            level += 1;
        }
        Ok(self.found)
    }
}
