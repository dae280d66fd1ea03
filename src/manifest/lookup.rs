//! Following a path through a tree.

use super::path::{Path, Step};
use super::tree::{Kind, NodeId, Tree};

/// Why a path ends early.
#[derive(Debug)]
pub(super) enum Lost {
    /// Step number `step` is not below `at`.
    Missing { step: usize, at: NodeId },
    /// Several items match a step; `second` is one too many.
    Ambiguous { second: NodeId },
}

/// Where a path leads.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Every node on the way, the outermost first, the target last.
    pub(super) chain: Vec<NodeId>,
    /// The place of each step's node in the collection around it.
    pub(super) places: Vec<usize>,
    /// The alias or merged map that the path goes through, if any.
    pub(super) through: Option<NodeId>,
}

impl Found {
    pub(super) fn target(&self) -> NodeId {
        // The chain begins with the start node and only grows.
        self.chain[self.chain.len() - 1]
    }
}

impl Tree {
    /// Follows `path` from `from`, through aliases and merge keys.
    pub(super) fn locate(&self, from: NodeId, path: &Path) -> Result<Found, Lost> {
        let mut found = Found {
            chain: vec![from],
            places: Vec::new(),
            through: None,
        };
        for (step, what) in path.steps().iter().enumerate() {
            let here = found.target();
            let at = self.follow(here);
            if at != here {
                found.through = Some(found.through.unwrap_or(here));
            }
            let (place, next) = self.step(at, what, step)?;
            if place == MERGED {
                found.through = Some(found.through.unwrap_or(at));
            }
            found.places.push(place);
            found.chain.push(next);
        }
        Ok(found)
    }

    fn step(&self, at: NodeId, what: &Step, step: usize) -> Result<(usize, NodeId), Lost> {
        let missing = Lost::Missing { step, at };
        match &self.node(at).kind {
            Kind::Map { entries, .. } => {
                let name = match what {
                    Step::Key(key) => key.clone(),
                    Step::Index(index) => index.to_string(),
                    Step::End => "-".to_owned(),
                    Step::Named { .. } => return Err(missing),
                };
                let own = entries
                    .iter()
                    .position(|entry| !entry.merge && *entry.name == *name);
                let effective = self.effective(at, &name).ok_or(missing)?;
                match own {
                    Some(place) if entries[place].value == effective => Ok((place, effective)),
                    _ => Ok((MERGED, effective)),
                }
            }
            Kind::Seq { items, .. } => {
                let (key, value) = match what {
                    Step::Index(index) => match items.get(*index) {
                        Some(item) => return Ok((*index, item.node)),
                        None => (
                            port_key(items.iter().map(|i| i.node), self),
                            index.to_string(),
                        ),
                    },
                    Step::Named { key, value } => (Some(key.as_str()), value.clone()),
                    Step::Key(_) | Step::End => return Err(missing),
                };
                let key = key.ok_or(missing)?;
                let mut matches = items.iter().enumerate().filter(|(_, item)| {
                    let map = self.follow(item.node);
                    self.field_text(map, key).is_some_and(|text| text == value)
                });
                let (place, first) = matches.next().ok_or(Lost::Missing { step, at })?;
                match matches.next() {
                    Some((_, second)) => Err(Lost::Ambiguous {
                        second: second.node,
                    }),
                    None => Ok((place, first.node)),
                }
            }
            Kind::Scalar(_) | Kind::Alias(_) => Err(missing),
        }
    }

    /// The names and places that a person could have meant in a collection.
    pub(super) fn choices(&self, at: NodeId, named_by: &str) -> Vec<String> {
        let at = self.follow(at);
        match &self.node(at).kind {
            Kind::Map { entries, .. } => {
                entries.iter().map(|entry| entry.name.to_string()).collect()
            }
            Kind::Seq { items, .. } => items
                .iter()
                .filter_map(|item| self.field_text(self.follow(item.node), named_by))
                .collect(),
            Kind::Scalar(_) | Kind::Alias(_) => Vec::new(),
        }
    }
}

/// The place of a key that comes from a merge key: in none of the map's own entries.
pub(super) const MERGED: usize = usize::MAX;

/// In a list of ports a number that is no place is a port.
fn port_key(mut items: impl Iterator<Item = NodeId>, tree: &Tree) -> Option<&'static str> {
    let first = items.next()?;
    let first = tree.follow(first);
    ["containerPort", "port"]
        .into_iter()
        .find(|key| tree.effective(first, key).is_some())
}
