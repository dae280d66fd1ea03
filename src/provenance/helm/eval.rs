//! Running a template: text out of values, every part with its origin.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use super::super::traced::{Body, Mark, Traced};
use super::functions;
use super::parse::{Node, Operand, Pipe};
use super::rope::{Origin, Rope};

/// What an expression gives.
#[derive(Debug, Clone)]
pub(super) enum Val {
    Data(Traced),
    Text(Rope),
    /// Something that is not followed, and why.
    Unknown(Rc<str>),
}

impl Val {
    pub(super) fn plain(value: Value) -> Self {
        Self::Data(Traced {
            body: Body::Scalar(value),
            marks: Vec::new(),
        })
    }

    pub(super) fn nil() -> Self {
        Self::plain(Value::Null)
    }

    /// Whether a condition takes it (Go's `truth`); `None` where that is not known.
    pub(super) fn truth(&self) -> Option<bool> {
        Some(match self {
            Self::Unknown(_) => return None,
            Self::Text(rope) if rope.unknown().is_some() => return None,
            Self::Text(rope) => !rope.text().is_empty(),
            Self::Data(node) => match &node.body {
                Body::Unknown(_) => return None,
                Body::Map(fields) => !fields.is_empty(),
                Body::List(items) => !items.is_empty(),
                Body::Scalar(Value::Null) => false,
                Body::Scalar(Value::Bool(flag)) => *flag,
                Body::Scalar(Value::Number(number)) => number.as_f64() != Some(0.0),
                Body::Scalar(Value::String(text)) => !text.is_empty(),
                Body::Scalar(_) => true,
            },
        })
    }
}

/// The variables and the dot of one block.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) dot: Val,
    pub(super) root: Val,
    variables: Vec<(String, Val)>,
}

impl Scope {
    pub(super) fn new(dot: Val) -> Self {
        Self {
            root: dot.clone(),
            dot,
            variables: Vec::new(),
        }
    }

    /// A new variable, which hides one of the same name until the block ends.
    fn declare(&mut self, name: &str, value: Val) {
        self.variables.push((name.to_owned(), value));
    }

    fn assign(&mut self, name: &str, value: Val) {
        if let Some(variable) = self.variables.iter_mut().rfind(|(own, _)| own == name) {
            variable.1 = value;
        }
    }
}

/// The named templates of a chart and its subcharts, with the file that each is in.
#[derive(Debug, Default)]
pub(super) struct Library {
    pub(super) named: BTreeMap<String, (Rc<str>, Vec<Node>)>,
}

/// One run of one template.
pub(super) struct Run<'l> {
    pub(super) library: &'l Library,
    pub(super) file: Rc<str>,
    pub(super) depth: usize,
}

/// Where an action stands, and its words.
#[derive(Debug, Clone)]
pub(super) struct Here {
    pub(super) expression: Rc<str>,
    pub(super) at: usize,
}

impl Run<'_> {
    /// Runs nodes into `out`.
    ///
    /// # Errors
    /// When a condition cannot be told or a block is not followed.
    pub(super) fn nodes(
        &self,
        nodes: &[Node],
        scope: &mut Scope,
        out: &mut Rope,
    ) -> Result<(), String> {
        nodes
            .iter()
            .try_for_each(|node| self.node(node, scope, out))
    }

    fn node(&self, node: &Node, scope: &mut Scope, out: &mut Rope) -> Result<(), String> {
        match node {
            Node::Text { text, at } => out.push(
                text.clone(),
                Origin::Template {
                    file: self.file.clone(),
                    at: *at,
                },
            ),
            Node::Define { .. } => {}
            Node::Unknown { source } => {
                let why = Rc::from(format!("{{{{ {source} }}}} in {}", self.file));
                out.append(placeholder(&why));
            }
            Node::Action {
                pipe,
                set,
                new,
                source,
                at,
            } => {
                let here = Here {
                    expression: Rc::from(format!("{{{{ {source} }}}}")),
                    at: *at,
                };
                let value = self.pipe(pipe, scope, &here);
                match set {
                    Some(name) if *new => scope.declare(name, value),
                    Some(name) => scope.assign(name, value),
                    None => out.append(self.printed(value, &here)),
                }
            }
            Node::If(branches) => {
                for (condition, body) in branches {
                    let holds = match condition {
                        None => true,
                        Some(pipe) => self.holds(&self.quiet(pipe, scope))?,
                    };
                    if holds {
                        return self.block(body, scope, (None, Vec::new()), out);
                    }
                }
            }
            Node::With {
                pipe,
                set,
                body,
                otherwise,
            } => {
                let value = self.quiet(pipe, scope);
                if !self.holds(&value)? {
                    return self.block(otherwise, scope, (None, Vec::new()), out);
                }
                let new = set.iter().map(|name| (name.clone(), value.clone()));
                let new = new.collect();
                return self.block(body, scope, (Some(value), new), out);
            }
            Node::Range { .. } => return self.range(node, scope, out),
        }
        Ok(())
    }

    fn range(&self, node: &Node, scope: &mut Scope, out: &mut Rope) -> Result<(), String> {
        let Node::Range {
            pipe,
            key,
            value,
            body,
            otherwise,
        } = node
        else {
            return Ok(());
        };
        let over = self.quiet(pipe, scope);
        let items: Vec<(Value, Traced)> = match &over {
            Val::Unknown(why) => return Err(why.to_string()),
            Val::Text(_) => return Err("a range over a text".to_owned()),
            Val::Data(node) => match &node.body {
                Body::List(items) => (0..)
                    .zip(items)
                    .map(|(k, v)| (Value::from(k), v.clone()))
                    .collect(),
                Body::Map(fields) => fields
                    .iter()
                    .map(|(k, v)| (Value::String(k.clone()), v.clone()))
                    .collect(),
                Body::Scalar(Value::Null) => Vec::new(),
                _ => return Err("a range over a number".to_owned()),
            },
        };
        if items.is_empty() {
            return self.block(otherwise, scope, (None, Vec::new()), out);
        }
        for (k, item) in items {
            let item = Val::Data(item);
            let key = key.iter().map(|name| (name.clone(), Val::plain(k.clone())));
            let value = value.iter().map(|name| (name.clone(), item.clone()));
            let new = key.chain(value).collect();
            self.block(body, scope, (Some(item), new), out)?;
        }
        Ok(())
    }

    /// Runs a block with its own dot and variables; assignments to outer ones stay.
    fn block(
        &self,
        body: &[Node],
        scope: &mut Scope,
        (dot, new): (Option<Val>, Vec<(String, Val)>),
        out: &mut Rope,
    ) -> Result<(), String> {
        let (depth, outer) = (scope.variables.len(), scope.dot.clone());
        scope.dot = dot.unwrap_or_else(|| outer.clone());
        scope.variables.extend(new);
        let done = self.nodes(body, scope, out);
        scope.variables.truncate(depth);
        scope.dot = outer;
        done
    }

    fn holds(&self, value: &Val) -> Result<bool, String> {
        value.truth().ok_or_else(|| match value {
            Val::Unknown(why) => format!("a condition in {} depends on {why}", self.file),
            _ => format!("a condition in {} cannot be told", self.file),
        })
    }

    /// A value that is not printed.
    fn quiet(&self, pipe: &Pipe, scope: &Scope) -> Val {
        let here = Here {
            expression: Rc::from(""),
            at: 0,
        };
        self.pipe(pipe, scope, &here)
    }

    pub(super) fn pipe(&self, pipe: &Pipe, scope: &Scope, here: &Here) -> Val {
        let mut before = None;
        for command in pipe {
            before = Some(self.command(command, before, scope, here));
        }
        before.unwrap_or_else(Val::nil)
    }

    fn command(&self, command: &[Operand], before: Option<Val>, scope: &Scope, here: &Here) -> Val {
        let Some((first, rest)) = command.split_first() else {
            return Val::nil();
        };
        let Operand::Function(name) = first else {
            if !rest.is_empty() || before.is_some() {
                let call = format!("a call in {}", self.file);
                return Val::Unknown(Rc::from(call));
            }
            return self.operand(first, scope, here);
        };
        let mut arguments: Vec<Val> = rest
            .iter()
            .map(|operand| self.operand(operand, scope, here))
            .collect();
        arguments.extend(before);
        functions::call(self, name, arguments, here)
    }

    fn operand(&self, operand: &Operand, scope: &Scope, here: &Here) -> Val {
        let (from, keys) = match operand {
            Operand::Text(text) => return Val::plain(Value::String(text.clone())),
            Operand::Number(number) => return Val::plain(Value::from(*number)),
            Operand::Bool(flag) => return Val::plain(Value::Bool(*flag)),
            Operand::Nil => return Val::nil(),
            Operand::Function(name) => return functions::call(self, name, Vec::new(), here),
            Operand::Paren(pipe, keys) => (self.pipe(pipe, scope, here), keys),
            Operand::Field { variable, keys } => match variable.as_deref() {
                None => (scope.dot.clone(), keys),
                Some("") => (scope.root.clone(), keys),
                Some(name) => match scope.variables.iter().rfind(|(own, _)| own == name) {
                    Some((_, value)) => (value.clone(), keys),
                    None => {
                        let why = format!("the variable ${name} in {}", self.file);
                        return Val::Unknown(Rc::from(why));
                    }
                },
            },
        };
        self.field(from, keys)
    }

    fn field(&self, from: Val, keys: &[String]) -> Val {
        let mut here = from;
        for (place, key) in keys.iter().enumerate() {
            let node = match here {
                Val::Data(node) => node,
                Val::Unknown(why) => return Val::Unknown(why),
                Val::Text(_) => return Val::Unknown(Rc::from("a field of a text")),
            };
            here = match &node.body {
                Body::Map(fields) => match fields.get(key) {
                    Some(next) => Val::Data(next.clone()),
                    None => Val::nil(),
                },
                Body::Unknown(why) => Val::Unknown(Rc::from(why.as_str())),
                // Helm fails on a field of nothing; so nothing is claimed.
                Body::Scalar(_) | Body::List(_) => {
                    let path = keys[..=place].join(".");
                    let why = format!(".{path} in {}, below something that is no map", self.file);
                    return Val::Unknown(Rc::from(why));
                }
            };
        }
        match &here {
            Val::Data(Traced {
                body: Body::Unknown(why),
                ..
            }) => Val::Unknown(Rc::from(why.as_str())),
            _ => here,
        }
    }

    /// A value as the template prints it.
    pub(super) fn printed(&self, value: Val, here: &Here) -> Rope {
        match value {
            Val::Text(rope) => rope,
            Val::Unknown(why) => placeholder(&why),
            Val::Data(node) => match plain_text(&node) {
                Some(text) => self.leaf(&node.marks, text, here),
                None => {
                    let why = format!("{} in {}, which is no text", here.expression, self.file);
                    placeholder(&Rc::from(why))
                }
            },
        }
    }

    pub(super) fn leaf(&self, marks: &[Mark], text: String, here: &Here) -> Rope {
        let mut rope = Rope::default();
        let origin = match marks.is_empty() {
            true => self.computed(here),
            false => Origin::Leaf {
                expression: here.expression.clone(),
                marks: marks.to_vec(),
                skipped: Vec::new(),
            },
        };
        rope.push(text, origin);
        rope
    }

    pub(super) fn computed(&self, here: &Here) -> Origin {
        Origin::Computed {
            expression: here.expression.clone(),
            file: self.file.clone(),
            at: here.at,
        }
    }
}

/// A scalar's text; `None` for collections, and for numbers that Go might print otherwise.
pub(super) fn plain_text(node: &Traced) -> Option<String> {
    match &node.body {
        Body::Scalar(Value::Null) => Some(String::new()),
        Body::Scalar(Value::String(text)) => Some(text.clone()),
        Body::Scalar(Value::Bool(flag)) => Some(flag.to_string()),
        Body::Scalar(Value::Number(number)) => {
            let small = number.as_i64().filter(|n| n.abs() < 1_000_000);
            small.map(|n| n.to_string())
        }
        _ => None,
    }
}

/// A word that stands for something unknown: letters only, so that it is a plain scalar anywhere.
pub(super) const PLACEHOLDER: &str = "unshipUnknownValue";

pub(super) fn placeholder(why: &Rc<str>) -> Rope {
    let mut rope = Rope::default();
    rope.push(PLACEHOLDER, Origin::Unknown { why: why.clone() });
    rope
}
