//! The result of an edit, read again, must be the tree before with the edit in it.

use std::collections::HashMap;

use super::draft::{Op, Want};
use super::json::same;
use super::tree::{Entry, Kind, NodeId, Tree};

/// The first difference that was not asked for.
#[derive(Debug)]
pub(super) struct Difference {
    /// Byte in the text before.
    pub(super) at: usize,
    pub(super) reason: String,
}

type Checked = Result<(), Difference>;

/// A text and its tree.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) text: &'a str,
    pub(super) tree: &'a Tree,
}

/// Checks that `after` is `before` with exactly these differences.
pub(super) fn verify(before: Side<'_>, after: Side<'_>, ops: &[Op<'_>]) -> Checked {
    let mut by_node: HashMap<NodeId, Vec<&Op<'_>>> = HashMap::new();
    for op in ops {
        let node = match op {
            Op::Replace { node, .. } => *node,
            Op::AddEntry { map, .. } | Op::DropEntry { map, .. } => *map,
            Op::AddItem { list, .. } | Op::DropItem { list, .. } => *list,
        };
        by_node.entry(node).or_default().push(op);
    }
    let mut check = Check {
        before,
        after,
        ops: by_node,
        twins: HashMap::new(),
    };
    check.node(before.tree.root, after.tree.root)
}

struct Check<'a, 'o> {
    before: Side<'a>,
    after: Side<'a>,
    ops: HashMap<NodeId, Vec<&'o Op<'o>>>,
    /// Which node of the tree after an anchored node has become.
    twins: HashMap<NodeId, NodeId>,
}

fn props<'a>(side: Side<'a>, id: NodeId) -> &'a str {
    side.tree
        .node(id)
        .props()
        .and_then(|(start, end)| side.text.get(start..end))
        .unwrap_or("")
}

impl<'o> Check<'_, 'o> {
    fn differ<T>(&self, at: NodeId, reason: impl Into<String>) -> Result<T, Difference> {
        Err(Difference {
            at: self.before.tree.node(at).start,
            reason: reason.into(),
        })
    }

    fn node(&mut self, old: NodeId, new: NodeId) -> Checked {
        let ops = self.ops.remove(&old).unwrap_or_default();
        if let [Op::Replace { want, .. }] = ops[..] {
            return self.want(old, new, want);
        }
        let (left, right) = (self.before.tree.node(old), self.after.tree.node(new));
        if left.tag != right.tag || props(self.before, old) != props(self.after, new) {
            return self.differ(old, "an anchor or tag would change");
        }
        if left.anchored {
            self.twins.insert(old, new);
        }
        match (&left.kind, &right.kind) {
            (Kind::Scalar(left), Kind::Scalar(right)) => {
                if left.text != right.text || left.style != right.style {
                    return self.differ(old, "another value would change");
                }
                Ok(())
            }
            (Kind::Alias(left), Kind::Alias(right)) => {
                let twins = match self.twins.get(left) {
                    Some(twin) => twin == right,
                    // Restored text may use an anchor outside of it, as long as that means the
                    // same now.
                    None => same(
                        &self.before.tree.value(*left),
                        &self.after.tree.value(*right),
                    ),
                };
                if !twins {
                    return self.differ(old, "an alias would mean something else");
                }
                Ok(())
            }
            (
                Kind::Map { entries, flow },
                Kind::Map {
                    entries: others,
                    flow: other,
                },
            ) => {
                self.style(old, (*flow, entries.len()), (*other, others.len()))?;
                self.map(old, entries, others, &ops)
            }
            (
                Kind::Seq { items, flow },
                Kind::Seq {
                    items: others,
                    flow: other,
                },
            ) => {
                self.style(old, (*flow, items.len()), (*other, others.len()))?;
                self.list(old, new, &ops)
            }
            _ => self.differ(old, "a node would change its kind"),
        }
    }

    /// A collection may change its style only from or to an empty one.
    fn style(&self, at: NodeId, old: (bool, usize), new: (bool, usize)) -> Checked {
        if old.0 != new.0 && old.1 > 0 && new.1 > 0 {
            return self.differ(at, "a collection would change its style");
        }
        Ok(())
    }

    fn map(&mut self, at: NodeId, old: &[Entry], new: &[Entry], ops: &[&'o Op<'o>]) -> Checked {
        let dropped = |place: usize| {
            ops.iter()
                .any(|op| matches!(op, Op::DropEntry { place: at, .. } if *at == place))
        };
        let mut left = old
            .iter()
            .enumerate()
            .filter(|(place, _)| !dropped(*place))
            .peekable();
        let mut added = 0;
        for entry in new {
            if let Some((_, twin)) = left.next_if(|(_, twin)| twin.name == entry.name) {
                if twin.merge != entry.merge || twin.question.is_some() != entry.question.is_some()
                {
                    return self.differ(twin.key, "a key would change its style");
                }
                self.node(twin.key, entry.key)?;
                self.node(twin.value, entry.value)?;
                continue;
            }
            let wanted = ops.iter().find_map(|op| match op {
                Op::AddEntry { name, want, .. } if **name == *entry.name => Some(want),
                _ => None,
            });
            let Some(want) = wanted else {
                return self.differ(at, format!("the key `{}` would move or appear", entry.name));
            };
            added += 1;
            self.want(at, entry.value, want)?;
        }
        let asked = ops
            .iter()
            .filter(|op| matches!(op, Op::AddEntry { .. }))
            .count();
        if let Some((_, lost)) = left.next() {
            return self.differ(lost.key, format!("the key `{}` would disappear", lost.name));
        }
        if added != asked {
            return self.differ(at, "a new key would not be there");
        }
        Ok(())
    }

    fn list(&mut self, at: NodeId, new: NodeId, ops: &[&'o Op<'o>]) -> Checked {
        let (before, after) = (self.before.tree, self.after.tree);
        let mut right = after.items(new).iter();
        let items = before.items(at);
        for place in 0..=items.len() {
            for op in ops {
                if let Op::AddItem { before, want, .. } = op
                    && *before == place
                {
                    match right.next() {
                        Some(item) => self.want(at, item.node, want)?,
                        None => return self.differ(at, "a new item would not be there"),
                    }
                }
            }
            let dropped = ops
                .iter()
                .any(|op| matches!(op, Op::DropItem { place: at, .. } if *at == place));
            if let Some(item) = items.get(place)
                && !dropped
            {
                match right.next() {
                    Some(twin) => self.node(item.node, twin.node)?,
                    None => return self.differ(item.node, "an item would disappear"),
                }
            }
        }
        match right.next() {
            Some(_) => self.differ(at, "an item would appear"),
            None => Ok(()),
        }
    }

    fn want(&mut self, at: NodeId, new: NodeId, want: &Want<'_>) -> Checked {
        match want {
            Want::Value(value) => {
                if has_alias(self.after.tree, new) {
                    return self.differ(at, "the new value would hold an alias");
                }
                if !same(&self.after.tree.value(new), value) {
                    return self.differ(at, "the new value would not read back as asked");
                }
                Ok(())
            }
            Want::Tree { text, tree, id } => {
                let mut inner = Check {
                    before: Side { text, tree },
                    after: self.after,
                    ops: HashMap::new(),
                    twins: HashMap::new(),
                };
                let checked = inner.node(*id, new);
                checked.or_else(|difference| {
                    let reason = format!("in the older text: {}", difference.reason);
                    self.differ(at, reason)
                })
            }
        }
    }
}

fn has_alias(tree: &Tree, id: NodeId) -> bool {
    match &tree.node(id).kind {
        Kind::Alias(_) => true,
        Kind::Scalar(_) => false,
        Kind::Map { entries, .. } => entries.iter().any(|entry| has_alias(tree, entry.value)),
        Kind::Seq { items, .. } => items.iter().any(|item| has_alias(tree, item.node)),
    }
}
