//! A node's value as Kubernetes has it: aliases and merge keys resolved.
//!
//! The parser has refused documents whose aliases expand without measure, so nothing here can
//! explode or recurse deeply.

use serde_json::{Map, Value};

use super::scalar;
use super::tree::{Kind, NodeId, Style, Tree};

impl Tree {
    /// The value of a node.
    pub(super) fn value(&self, id: NodeId) -> Value {
        let node = self.node(id);
        match &node.kind {
            Kind::Scalar(scalar) => {
                scalar::read(&scalar.text, scalar.style == Style::Plain, node.tag)
            }
            Kind::Alias(target) => self.value(*target),
            Kind::Seq { items, .. } => items.iter().map(|item| self.value(item.node)).collect(),
            Kind::Map { .. } => Value::Object(self.object(id)),
        }
    }

    /// go-yaml v2 applies entries in the order of the text, merged ones included: a merge key
    /// behind an explicit key wins over it.
    fn object(&self, id: NodeId) -> Map<String, Value> {
        let mut object = Map::new();
        for entry in self.entries(id) {
            if !entry.merge {
                object.insert(entry.name.to_string(), self.value(entry.value));
                continue;
            }
            // In a list of maps the first one wins.
            for source in self.merge_sources(entry.value).into_iter().rev() {
                object.extend(self.object(source));
            }
        }
        object
    }

    /// The maps that a merge key takes in.
    pub(super) fn merge_sources(&self, value: NodeId) -> Vec<NodeId> {
        let value = self.follow(value);
        match &self.node(value).kind {
            Kind::Seq { items, .. } => items.iter().map(|item| self.follow(item.node)).collect(),
            _ => vec![value],
        }
    }

    /// The value node of a key as Kubernetes sees it, merged keys included.
    pub(super) fn effective(&self, map: NodeId, name: &str) -> Option<NodeId> {
        self.entries(map).iter().rev().find_map(|entry| {
            if entry.merge {
                let sources = self.merge_sources(entry.value);
                return sources
                    .into_iter()
                    .find_map(|source| self.effective(source, name));
            }
            (&*entry.name == name).then_some(entry.value)
        })
    }

    /// The text of a scalar below `map`, as a string, whatever its type.
    pub(super) fn field_text(&self, map: NodeId, name: &str) -> Option<String> {
        let id = self.follow(self.effective(map, name)?);
        match self.value(id) {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}
