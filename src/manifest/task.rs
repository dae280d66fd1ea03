//! One edit on one document: find the place, draft it, read the result again.

use serde_json::Value;

use super::build::exact;
use super::document::Manifest;
use super::draft::{Draft, Refused, Slot};
use super::edit::Edit;
use super::error::{EditError, Position};
use super::json::same;
use super::lookup::{Found, Lost, MERGED};
use super::narrow::narrow;
use super::objects::Address;
use super::path::{Path, Step};
use super::render::Layout;
use super::split::split;
use super::text::{LineIndex, ending_length};
use super::tree::{Kind, NodeId, Tree};
use super::verify::{Side, verify};

/// The text and tree after; `None` where there was nothing to do.
pub(super) type Outcome = Result<Option<(String, Tree)>, EditError>;

/// One edit on one document.
pub(super) struct Task<'t> {
    pub(super) text: &'t str,
    pub(super) tree: &'t Tree,
    pub(super) layout: Layout,
    /// The line in the whole file that the text begins in.
    pub(super) first_line: usize,
    pub(super) item: Option<usize>,
    pub(super) path: &'t Path,
}

/// Where an edit goes: the collection it is in and the way there.
enum Target {
    There(Slot),
    /// The last step is missing; the slot is the collection it would be in.
    Absent(Slot),
}

impl<'t> Task<'t> {
    /// The edit made in a part of a large document; `None` where the whole must be looked at,
    /// which is also where every error is found.
    pub(super) fn run_narrow(&self, edit: &'t Edit<'t>, large: usize) -> Option<Option<String>> {
        if self.text.len() < large || matches!(edit, Edit::Restore { .. } | Edit::Test { .. }) {
            return None;
        }
        let whole = self.whole(self.path);
        let part = narrow(self.text, self.tree, &whole, self.layout)?;
        let task = Task {
            text: &self.text[part.start..part.end],
            tree: &part.tree,
            item: None,
            path: &part.path,
            ..*self
        };
        let found = self.walk(&self.path.parent()?).ok()?;
        self.check_shared(&found, false).ok()?;
        let done = task.run(edit).ok()?;
        let Some((text, _)) = done else {
            return Some(None);
        };
        let ends_alike = ending_length(&text) > 0 || part.end == self.text.len();
        ends_alike.then(|| {
            let (before, after) = (&self.text[..part.start], &self.text[part.end..]);
            Some([before, &text, after].concat())
        })
    }

    pub(super) fn run(&self, edit: &'t Edit<'t>) -> Outcome {
        let first = self.attempt(edit);
        if !matches!(first, Err(EditError::Verification { .. })) {
            return first;
        }
        // A comment behind a block scalar can stand deep enough to become part of it, once it is
        // new or what stood between is gone.
        let layout = Layout {
            careful: true,
            ..self.layout
        };
        Task { layout, ..*self }.attempt(edit).or(first)
    }

    fn attempt(&self, edit: &'t Edit<'t>) -> Outcome {
        match edit {
            Edit::Set { value, .. } => match self.target()? {
                Target::There(slot) => self.set(slot, value),
                Target::Absent(slot) => self.add(slot, value),
            },
            Edit::Replace { value, .. } => match self.target()? {
                Target::There(slot) => self.set(slot, value),
                Target::Absent(slot) => Err(self.missing(self.path.steps().len() - 1, slot.node)),
            },
            Edit::Insert { value, .. } => self.insert(value),
            Edit::Remove { .. } => match self.target()? {
                Target::There(slot) => self.remove(slot),
                Target::Absent(slot) => Err(self.missing(self.path.steps().len() - 1, slot.node)),
            },
            Edit::Test { value, .. } => self.test(value),
            Edit::Restore {
                from, from_address, ..
            } => self.restore(from, from_address),
        }
    }

    fn draft(&self) -> Draft<'t> {
        Draft::new(self.text, self.tree, self.layout)
    }

    fn set(&self, slot: Slot, value: &Value) -> Outcome {
        if same(&self.tree.value(slot.node), value) {
            return Ok(None);
        }
        let mut draft = self.draft();
        let fine = draft
            .set(slot, value)
            .map_err(|refused| self.refused(refused));
        match fine.and_then(|()| self.finish(draft)) {
            Ok(outcome) => Ok(outcome),
            // The small edits of a set can get into each other's way; as a whole it may do.
            Err(first) => {
                let mut draft = self.draft();
                match draft.replace(slot, value) {
                    Ok(()) => self.finish(draft).map_err(|_| first),
                    Err(_) => Err(first),
                }
            }
        }
    }

    fn add(&self, around: Slot, value: &Value) -> Outcome {
        let mut draft = self.draft();
        let done = match self.path.last() {
            Some(Step::Key(name)) => draft.add_entry(around, name, value),
            Some(Step::Index(place)) if !self.is_list(around.node) => {
                draft.add_entry(around, &place.to_string(), value)
            }
            Some(Step::End) if !self.is_list(around.node) && self.is_map(around.node) => {
                draft.add_entry(around, "-", value)
            }
            _ => {
                let before = self.tree.items(around.node).len();
                draft.add_item(around, before, value)
            }
        };
        done.map_err(|refused| self.refused(refused))?;
        self.finish(draft)
    }

    fn insert(&self, value: &Value) -> Outcome {
        match self.target()? {
            Target::Absent(slot) => self.add(slot, value),
            Target::There(slot) => match slot.around {
                Some((list, place)) if self.is_list(list) => {
                    let around = self.slot_of(&self.chain()?, 1);
                    let mut draft = self.draft();
                    let Some(around) = around.filter(|around| around.node == list) else {
                        return self.set(slot, value);
                    };
                    draft
                        .add_item(around, place, value)
                        .map_err(|why| self.refused(why))?;
                    self.finish(draft)
                }
                _ => self.set(slot, value),
            },
        }
    }

    fn remove(&self, slot: Slot) -> Outcome {
        let Some((around, place)) = slot.around else {
            let at = self.position(0);
            let reason = "a whole document cannot be taken away".to_owned();
            return Err(EditError::NotRepresentable {
                path: self.path.clone(),
                at,
                reason,
            });
        };
        let Some(holder) = self
            .slot_of(&self.chain()?, 1)
            .filter(|slot| slot.node == around)
        else {
            return Err(self.missing(self.path.steps().len() - 1, around));
        };
        let mut draft = self.draft();
        let done = if self.is_list(around) {
            draft.drop_item(holder, place)
        } else {
            draft.drop_entry(holder, place)
        };
        done.map_err(|refused| self.refused(refused))?;
        self.finish(draft)
    }

    fn test(&self, value: &Value) -> Outcome {
        let fail = |reason: &str| EditError::TestFailed {
            path: self.path.clone(),
            reason: reason.to_owned(),
        };
        let root = self.object()?;
        let found = self
            .tree
            .locate(root, self.path)
            .map_err(|_| fail("is not there"))?;
        if same(&self.tree.value(found.target()), value) {
            Ok(None)
        } else {
            Err(fail("has another value"))
        }
    }

    fn restore(&self, from: &'t Manifest, address: &Address) -> Outcome {
        let (document, tree) = from.tree(address)?;
        let text = &from.text()[document.span()];
        let theirs = Task {
            text,
            tree,
            layout: self.layout,
            first_line: from.place(document, 0).line,
            item: address.item,
            path: self.path,
        };
        let Target::There(source) = theirs.target()? else {
            let at = theirs.position(0);
            let reason = "the older manifest does not have it".to_owned();
            return Err(EditError::Missing {
                path: self.path.clone(),
                at,
                reason,
            });
        };
        let slot = match self.target()? {
            Target::There(slot) => slot,
            Target::Absent(slot) => return self.restore_absent(slot, from, address),
        };
        let mut draft = self.draft();
        draft
            .restore(slot, &theirs.draft(), source)
            .map_err(|refused| self.refused(refused))?;
        self.finish(draft)
    }

    /// A field that is gone comes back as an empty one first.
    fn restore_absent(&self, around: Slot, from: &'t Manifest, address: &Address) -> Outcome {
        let Some((text, tree)) = self.add(around, &Value::Null)? else {
            return Ok(None);
        };
        let next = Task {
            text: &text,
            tree: &tree,
            ..*self
        };
        match next.restore(from, address)? {
            Some(done) => Ok(Some(done)),
            None => Ok(Some((text, tree))),
        }
    }

    /// Applies the draft, reads the result and compares.
    fn finish(&self, mut draft: Draft<'_>) -> Outcome {
        let Some(mut text) = draft.result() else {
            return Err(self.failed(0, "two parts of the edit touch the same place"));
        };
        if text == self.text {
            // The same text can mean something else than in an older file: an alias does.
            let side = Side {
                text: self.text,
                tree: self.tree,
            };
            return match verify(side, side, &draft.ops) {
                Ok(()) => Ok(None),
                Err(difference) => Err(self.failed(difference.at, &difference.reason)),
            };
        }
        let at_end = draft
            .splices
            .last()
            .is_some_and(|splice| splice.end == self.text.len());
        match self.check(&text, &draft) {
            Ok(tree) => Ok(Some((text, tree))),
            Err(first) if at_end && ending_length(self.text) == 0 => {
                // A block scalar at the end of the file can need a line break for its value.
                text.push_str(self.layout.newline);
                let tree = self.check(&text, &draft).map_err(|_| first)?;
                Ok(Some((text, tree)))
            }
            Err(error) => Err(error),
        }
    }

    fn check(&self, text: &str, draft: &Draft<'_>) -> Result<Tree, EditError> {
        let tree = exact(text).map_err(|fault| {
            let reason = format!("the result would not be YAML ({})", fault.message);
            self.failed(fault.at, &reason)
        })?;
        if split(text).len() != 1 {
            return Err(self.failed(0, "the result would be several documents"));
        }
        let before = Side {
            text: self.text,
            tree: self.tree,
        };
        verify(before, Side { text, tree: &tree }, &draft.ops)
            .map_err(|difference| self.failed(difference.at, &difference.reason))?;
        Ok(tree)
    }

    fn failed(&self, at: usize, reason: &str) -> EditError {
        EditError::Verification {
            path: self.path.clone(),
            at: self.position(at),
            reason: reason.to_owned(),
        }
    }

    fn object(&self) -> Result<NodeId, EditError> {
        self.tree.object_root(self.item).ok_or_else(|| {
            let place = self.item.unwrap_or(0) + 1;
            EditError::NoSuchObject(format!("the document has no item {place}"))
        })
    }

    /// The way from the document's root to the target.
    fn chain(&self) -> Result<Found, EditError> {
        self.walk(self.path)
    }

    /// The path from the document's root.
    fn whole(&self, path: &Path) -> Path {
        let lead = match self.item {
            Some(item) => vec![Step::Key("items".to_owned()), Step::Index(item)],
            None => Vec::new(),
        };
        lead.into_iter()
            .chain(path.steps().iter().cloned())
            .collect()
    }

    fn walk(&self, path: &Path) -> Result<Found, EditError> {
        self.object()?;
        let lead: Vec<Step> = match self.item {
            Some(item) => vec![Step::Key("items".to_owned()), Step::Index(item)],
            None => Vec::new(),
        };
        let skip = lead.len();
        let whole: Path = lead
            .into_iter()
            .chain(path.steps().iter().cloned())
            .collect();
        self.tree
            .locate(self.tree.root, &whole)
            .map_err(|lost| match lost {
                Lost::Missing { step, at } => self.missing(step.saturating_sub(skip), at),
                Lost::Ambiguous { second } => EditError::Ambiguous {
                    path: self.path.clone(),
                    at: self.node_position(second),
                    reason: "several items match; name the item by its place, as in [0]".to_owned(),
                },
            })
    }

    /// The slot of the node `up` steps above the end of a chain.
    fn slot_of(&self, found: &Found, up: usize) -> Option<Slot> {
        let at = found.chain.len().checked_sub(up + 1)?;
        let around = at
            .checked_sub(1)
            .map(|above| (self.tree.follow(found.chain[above]), found.places[above]));
        Some(Slot {
            node: found.chain[at],
            around,
        })
    }

    fn target(&self) -> Result<Target, EditError> {
        match self.chain() {
            Ok(found) => {
                let last_is_merged = found.places.last() == Some(&MERGED);
                if last_is_merged && let Some(parent) = self.path.parent() {
                    let around = self.walk(&parent)?;
                    self.check_shared(&around, false)?;
                    return self.absent(&around);
                }
                self.check_shared(&found, true)?;
                match self.slot_of(&found, 0) {
                    Some(slot) => Ok(Target::There(slot)),
                    None => Err(self.missing(0, self.tree.root)),
                }
            }
            Err(error @ EditError::Missing { .. }) => {
                let Some(parent) = self.path.parent() else {
                    return Err(error);
                };
                let Ok(around) = self.walk(&parent) else {
                    return Err(error);
                };
                let end = self.tree.follow(around.target());
                let fits = match (self.path.last(), &self.tree.node(end).kind) {
                    (Some(Step::Key(_) | Step::Index(_) | Step::End), Kind::Map { .. }) => true,
                    (Some(Step::End), Kind::Seq { .. }) => true,
                    (Some(Step::Index(place)), Kind::Seq { items, .. }) => *place == items.len(),
                    (Some(Step::Key(_) | Step::End), Kind::Scalar(_)) => {
                        self.tree.value(end).is_null()
                    }
                    _ => false,
                };
                if !fits {
                    return Err(error);
                }
                self.check_shared(&around, false)?;
                self.absent(&around)
            }
            Err(error) => Err(error),
        }
    }

    fn absent(&self, around: &Found) -> Result<Target, EditError> {
        match self.slot_of(around, 0) {
            Some(slot) => Ok(Target::Absent(slot)),
            None => Err(self.missing(0, self.tree.root)),
        }
    }

    /// Refuses ways that lead through an alias or a merge key, or through a node that others see.
    fn check_shared(&self, found: &Found, replaces_target: bool) -> Result<(), EditError> {
        let shared = |at: NodeId, reason: &str| EditError::Shared {
            path: self.path.clone(),
            at: self.node_position(at),
            reason: reason.to_owned(),
        };
        let target = found.target();
        let through_target = matches!(self.tree.node(target).kind, Kind::Alias(_));
        if let Some(alias) = found.through {
            let reason = "the way there leads through an alias or a merge key, which others use \
                          too; write the values out here first";
            return Err(shared(alias, reason));
        }
        if through_target && !replaces_target {
            let reason = "this is an alias; write its values out here first";
            return Err(shared(target, reason));
        }
        match found.chain.iter().find(|id| self.tree.node(**id).aliased) {
            Some(anchor) => Err(shared(
                *anchor,
                "it is in a part that has an anchor, and an alias elsewhere would change too; \
                 write the values out there first",
            )),
            None => Ok(()),
        }
    }

    fn is_list(&self, id: NodeId) -> bool {
        matches!(self.tree.node(id).kind, Kind::Seq { .. })
    }

    fn is_map(&self, id: NodeId) -> bool {
        matches!(self.tree.node(id).kind, Kind::Map { .. })
    }

    fn position(&self, at: usize) -> Position {
        let place = LineIndex::new(self.text).position(self.text, at.min(self.text.len()));
        Position {
            line: place.line + self.first_line - 1,
            column: place.column,
        }
    }

    fn node_position(&self, id: NodeId) -> Position {
        self.position(self.tree.node(id).outer_start())
    }

    fn missing(&self, step: usize, at: NodeId) -> EditError {
        let named_by = match self.path.steps().get(step) {
            Some(Step::Named { key, .. }) => key.clone(),
            _ => "name".to_owned(),
        };
        let wanted: Path = self.path.steps().iter().take(step + 1).cloned().collect();
        let mut choices = self.tree.choices(at, &named_by);
        let reason = if choices.is_empty() {
            format!("there is no {wanted}")
        } else {
            let more = choices.len() > 12;
            choices.truncate(12);
            let more = if more { ", …" } else { "" };
            format!(
                "there is no {wanted}; there are: {}{more}",
                choices.join(", ")
            )
        };
        EditError::Missing {
            path: self.path.clone(),
            at: self.node_position(at),
            reason,
        }
    }

    fn refused(&self, refused: Refused) -> EditError {
        let path = self.path.clone();
        match refused {
            Refused::Shared { at, reason } => EditError::Shared {
                path,
                at: self.position(at),
                reason,
            },
            Refused::Unterminated { at } => EditError::UnterminatedBlock {
                path,
                at: self.position(at),
            },
            Refused::Unfit { at, reason } => EditError::NotRepresentable {
                path,
                at: self.position(at),
                reason,
            },
        }
    }
}
