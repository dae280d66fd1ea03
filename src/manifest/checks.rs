//! What a tree must keep to while it is built.

use super::build::{Builder, Built, fault};
use super::tree::{Kind, NodeId};

/// What a node weighs with its aliases written out.
#[derive(Clone, Copy)]
pub(super) struct Weight {
    pub(super) nodes: usize,
    pub(super) height: usize,
}

pub(super) const LEAF: Weight = Weight {
    nodes: 1,
    height: 0,
};

impl Builder<'_> {
    pub(super) fn weigh(&self, kind: &Kind) -> Weight {
        let mut sum = Weight {
            nodes: 1,
            height: 0,
        };
        let mut add = |id: NodeId| {
            let weight = self.weights[id.0 as usize];
            sum.nodes = sum.nodes.saturating_add(weight.nodes);
            sum.height = sum.height.max(weight.height);
        };
        match kind {
            Kind::Map { entries, .. } => entries.iter().for_each(|entry| add(entry.value)),
            Kind::Seq { items, .. } => items.iter().for_each(|item| add(item.node)),
            Kind::Scalar(_) | Kind::Alias(_) => {}
        }
        Weight {
            nodes: sum.nodes,
            height: sum.height + 1,
        }
    }

    /// `<<` takes a map or a list of maps; go-yaml refuses anything else.
    pub(super) fn check_merges(&self, id: NodeId) -> Built<()> {
        let Kind::Map { entries, .. } = &self.nodes[id.0 as usize].kind else {
            return Ok(());
        };
        let follow = |id: NodeId| match self.nodes[id.0 as usize].kind {
            Kind::Alias(target) => target,
            _ => id,
        };
        let is_map =
            |id: NodeId| matches!(self.nodes[follow(id).0 as usize].kind, Kind::Map { .. });
        for entry in entries.iter().filter(|entry| entry.merge) {
            let fits = match &self.nodes[follow(entry.value).0 as usize].kind {
                Kind::Map { .. } => true,
                Kind::Seq { items, .. } => items.iter().all(|item| is_map(item.node)),
                Kind::Scalar(_) | Kind::Alias(_) => false,
            };
            if !fits {
                let at = self.nodes[entry.key.0 as usize].start;
                return Err(fault(
                    at,
                    "the merge key `<<` takes a map or a list of maps",
                ));
            }
        }
        Ok(())
    }

    pub(super) fn check_key(&self, id: NodeId) -> Built<()> {
        let node = &self.nodes[id.0 as usize];
        let target = match node.kind {
            Kind::Alias(target) => &self.nodes[target.0 as usize],
            _ => node,
        };
        if matches!(target.kind, Kind::Scalar(_)) {
            return Ok(());
        }
        Err(fault(
            node.start,
            "a key must be a scalar, not a map or a list",
        ))
    }
}
