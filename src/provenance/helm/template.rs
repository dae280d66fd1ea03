//! Single texts with Go's template expressions, as an ApplicationSet has them.

use std::rc::Rc;

use super::super::traced::Traced;
use super::eval::{Library, Run, Val};
use super::parse::{Node, Operand, parse};
use super::rope::Rope;
use super::scope::Scope;

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Part {
    Text(String),
    /// `{{ .a.b }}`.
    Field(Vec<String>),
}

/// The parts of a text whose expressions are plain fields of the dot; `None` for any other one.
pub(in super::super) fn plain_parts(source: &str) -> Option<Vec<Part>> {
    let part = |node: &Node| match node {
        Node::Text { text, .. } => Some(Part::Text(text.clone())),
        Node::Action {
            pipe, set: None, ..
        } => match pipe.as_slice() {
            [command] => match command.as_slice() {
                [
                    Operand::Field {
                        variable: None,
                        keys,
                    },
                ] if !keys.is_empty() => Some(Part::Field(keys.clone())),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    };
    parse(source).ok()?.iter().map(part).collect()
}

/// The text that a template prints; `None` where that is not known.
pub(in super::super) fn text(source: &str, dot: &Traced) -> Option<String> {
    let nodes = parse(source).ok()?;
    let library = Library::default();
    let run = Run {
        library: &library,
        file: Rc::from("the template"),
        depth: 0,
        inside: None,
    };
    let mut rope = Rope::default();
    let mut scope = Scope::new(Val::of(dot.clone()));
    run.nodes(&nodes, &mut scope, &mut rope).ok()?;
    rope.unknown().is_none().then(|| rope.text())
}
