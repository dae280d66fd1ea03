//! Running a template: text out of values, every part with its origin.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use super::super::traced::{Body, Digest, Mark, Traced};
use super::functions;
use super::parse::{Node, Operand, Pipe};
use super::rope::{Origin, Rope};
use super::scope::{Address, Held, MUTATING, Scope, Variable, chart_of};

/// What an expression gives.
#[derive(Debug, Clone)]
pub(super) enum Val {
    Data(Rc<Traced>),
    Text(Rope),
    /// Something that is not followed, and why.
    Unknown(Rc<str>),
}

impl Val {
    pub(super) fn of(node: Traced) -> Self {
        Self::Data(Rc::new(node))
    }

    pub(super) fn plain(value: Value) -> Self {
        Self::of(Traced::bare(Body::Scalar(value)))
    }

    pub(super) fn nil() -> Self {
        Self::plain(Value::Null)
    }

    /// The text of something simple and known.
    pub(super) fn word(&self) -> Option<String> {
        match self {
            Self::Text(rope) if rope.unknown().is_none() => Some(rope.text()),
            Self::Data(node) => plain_text(node),
            Self::Text(_) | Self::Unknown(_) => None,
        }
    }

    /// Whether a condition takes it (Go's `truth`); `None` where that is not known.
    pub(super) fn truth(&self) -> Option<bool> {
        Some(match self {
            Self::Unknown(_) => return None,
            Self::Text(rope) if rope.digest().is_some() => true,
            Self::Text(rope) if rope.unknown().is_some() => return None,
            Self::Text(rope) => !rope.text().is_empty(),
            Self::Data(node) => match &node.body {
                Body::Unknown(_) => return None,
                // No digest is empty.
                Body::Digest(_) => true,
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

/// The named templates of a chart and its subcharts, with the file that each is in. A file is a
/// template, too, under the name that helm has for it.
#[derive(Debug, Default)]
pub(super) struct Library {
    pub(super) named: BTreeMap<String, (Rc<str>, Rc<[Node]>)>,
    /// Values of charts that templates have changed in place.
    pub(super) changed: RefCell<Vec<(Address, Traced)>>,
    /// A change in place of a value which others hold as well, and not known which: what they
    /// print is not known any more.
    pub(super) broken: RefCell<Option<String>>,
}

/// One run of one template.
pub(super) struct Run<'l> {
    pub(super) library: &'l Library,
    pub(super) file: Rc<str>,
    pub(super) depth: usize,
    /// The action whose text is run as a template (`tpl`): no byte of it stands in a file.
    pub(super) inside: Option<Here>,
}

/// How a list of nodes ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Next,
    Break,
    Continue,
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
    ) -> Result<Flow, String> {
        for node in nodes {
            let flow = self.node(node, scope, out)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn node(&self, node: &Node, scope: &mut Scope, out: &mut Rope) -> Result<Flow, String> {
        match node {
            Node::Text { text, at } => out.push(
                text.clone(),
                match &self.inside {
                    Some(here) => self.computed(here),
                    None => Origin::Template {
                        file: self.file.clone(),
                        at: *at,
                    },
                },
            ),
            Node::Define { .. } => {}
            Node::Leave { again: true } => return Ok(Flow::Continue),
            Node::Leave { again: false } => return Ok(Flow::Break),
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
                    at: self.inside.as_ref().map_or(*at, |inside| inside.at),
                };
                let value = self.pipe(pipe, scope, &here);
                match set {
                    Some(name) if *new => {
                        let origin = self.origin(pipe, name, scope);
                        scope.declare(name, value, origin);
                    }
                    Some(name) => {
                        let origin = self.origin(pipe, name, scope);
                        scope.assign(name, value, origin);
                    }
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
            Node::With { .. } => return self.with(node, scope, out),
            Node::Range { .. } => return self.range(node, scope, out),
        }
        Ok(Flow::Next)
    }

    fn with(&self, node: &Node, scope: &mut Scope, out: &mut Rope) -> Result<Flow, String> {
        let Node::With {
            pipe,
            set,
            body,
            otherwise,
        } = node
        else {
            return Ok(Flow::Next);
        };
        let value = self.quiet(pipe, scope);
        if !self.holds(&value)? {
            return self.block(otherwise, scope, (None, Vec::new()), out);
        }
        let held = self.origin(pipe, "", scope);
        let new = set.iter().map(|name| Variable {
            origin: held.clone(),
            ..Variable::new(name.clone(), value.clone())
        });
        let new = new.collect();
        self.block(body, scope, (Some((value, held)), new), out)
    }

    fn range(&self, node: &Node, scope: &mut Scope, out: &mut Rope) -> Result<Flow, String> {
        let Node::Range {
            pipe,
            key,
            value,
            body,
            otherwise,
        } = node
        else {
            return Ok(Flow::Next);
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
        let held = self.origin(pipe, "", scope);
        for (k, item) in items {
            let held = held.below(&k);
            let item = Val::of(item);
            let key = key.iter();
            let key = key.map(|name| Variable::new(name.clone(), Val::plain(k.clone())));
            let value = value.iter().map(|name| Variable {
                origin: held.clone(),
                ..Variable::new(name.clone(), item.clone())
            });
            let new = key.chain(value);
            let dot = (item.clone(), held.clone());
            if self.block(body, scope, (Some(dot), new.collect()), out)? == Flow::Break {
                break;
            }
        }
        Ok(Flow::Next)
    }

    /// Runs a block with its own dot and variables; assignments to outer ones stay.
    fn block(
        &self,
        body: &[Node],
        scope: &mut Scope,
        (dot, new): (Option<(Val, Held)>, Vec<Variable>),
        out: &mut Rope,
    ) -> Result<Flow, String> {
        let depth = scope.variables.borrow().len();
        let outer = (scope.dot.clone(), scope.held.clone());
        (scope.dot, scope.held) = dot.unwrap_or_else(|| outer.clone());
        scope.variables.borrow_mut().extend(new);
        let done = self.nodes(body, scope, out);
        scope.variables.borrow_mut().truncate(depth);
        (scope.dot, scope.held) = outer;
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
        if let (Operand::Field { variable, keys }, [wanted]) = (first, rest)
            && let [above @ .., last] = keys.as_slice()
            && last == "Has"
        {
            let above = Operand::Field {
                variable: variable.clone(),
                keys: above.to_vec(),
            };
            let wanted = self.operand(wanted, scope, here);
            return self.serves(&self.operand(&above, scope, here), &wanted);
        }
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
        if !MUTATING.contains(&name.as_str()) {
            return functions::call(self, name, arguments, here);
        }
        let value = functions::call(self, name, arguments.clone(), here);
        self.changed((name, rest.first()), (&arguments, &value), scope);
        value
    }

    /// `.Capabilities.APIVersions.Has`. To what the cluster serves helm adds the API versions that
    /// its own libraries know: of Kubernetes' groups only those that are served are told.
    fn serves(&self, versions: &Val, wanted: &Val) -> Val {
        let unknown = || Val::Unknown(Rc::from(format!("an API version in {}", self.file)));
        let (Val::Data(versions), Val::Data(wanted)) = (versions, wanted) else {
            return unknown();
        };
        let (Body::List(all), Some(wanted)) = (&versions.body, wanted.text()) else {
            return unknown();
        };
        let parts: Vec<&str> = wanted.split('/').collect();
        let served = |text: &str| all.iter().any(|own| own.text() == Some(text));
        let group = parts.first().copied().unwrap_or_default();
        let of_kubernetes = !group.contains('.') || KUBERNETES.contains(&group);
        let flag = |flag: bool| Val::plain(Value::Bool(flag));
        match parts.as_slice() {
            [_] | [_, _] if served(wanted) => flag(true),
            [_, _] if !of_kubernetes => flag(false),
            [group, version, _] if !served(&format!("{group}/{version}")) => flag(false),
            _ => unknown(),
        }
    }

    fn operand(&self, operand: &Operand, scope: &Scope, here: &Here) -> Val {
        let (from, keys) = match operand {
            Operand::Text(text) => return Val::plain(Value::String(text.clone())),
            Operand::Number(number) => return Val::plain(Value::Number(number.clone())),
            Operand::Bool(flag) => return Val::plain(Value::Bool(*flag)),
            Operand::Nil => return Val::nil(),
            Operand::Function(name) => return functions::call(self, name, Vec::new(), here),
            Operand::Paren(pipe, keys) => match self.pipe(pipe, scope, here) {
                // Of nothing in parentheses every field is nothing.
                Val::Data(node) if node.is_null() => return Val::nil(),
                value => (value, keys),
            },
            Operand::Field { variable, keys } => match variable.as_deref() {
                None => (self.today(scope.dot.clone(), &scope.held), keys),
                Some("") => (scope.root.clone(), keys),
                Some(name) => match scope.variable(name) {
                    Some(variable) => (self.today(variable.value, &variable.origin), keys),
                    None => {
                        let why = format!("the variable ${name} in {}", self.file);
                        return Val::Unknown(Rc::from(why));
                    }
                },
            },
        };
        let found = self.field(&from, keys);
        if self.library.changed.borrow().is_empty() {
            return found;
        }
        match (chart_of(&from), found) {
            (Some(chart), Val::Data(node)) => {
                let keys = keys.clone();
                let node = node.as_ref().clone();
                Val::of(self.as_changed(node, &Address { chart, keys }))
            }
            (_, value) => value,
        }
    }

    /// What is below a value. Only what is asked for is copied: the dot may be all of a chart's
    /// values.
    fn field(&self, from: &Val, keys: &[String]) -> Val {
        let mut here: &Traced = match from {
            Val::Data(node) => node,
            Val::Text(_) if !keys.is_empty() => return Val::Unknown(Rc::from("a field of a text")),
            Val::Unknown(_) | Val::Text(_) => return from.clone(),
        };
        for (place, key) in keys.iter().enumerate() {
            // Helm fails on a field of nothing; so nothing is claimed.
            let no_map = |place: usize| {
                let path = keys[..=place].join(".");
                let why = format!(".{path} in {}, below something that is no map", self.file);
                Val::Unknown(Rc::from(why))
            };
            here = match &here.body {
                Body::Map(fields) => match fields.get(key) {
                    Some(next) => next,
                    None if place + 1 == keys.len() => return Val::nil(),
                    None => return no_map(place + 1),
                },
                Body::Unknown(why) => return Val::Unknown(Rc::from(why.as_str())),
                Body::Digest(digest) => return Val::Unknown(digest.why.clone()),
                Body::Scalar(_) | Body::List(_) => return no_map(place),
            };
        }
        match &here.body {
            Body::Unknown(why) => Val::Unknown(Rc::from(why.as_str())),
            _ if keys.is_empty() => from.clone(),
            _ => Val::of(here.clone()),
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

/// The groups with a dot that client-go's scheme has (0.33), and so helm's own set of versions.
const KUBERNETES: [&str; 18] = [
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
    "storagemigration.k8s.io",
];

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

/// The same for a digest of what is rendered elsewhere.
pub(super) fn placed(digest: Digest) -> Rope {
    let mut rope = Rope::default();
    rope.push(PLACEHOLDER, Origin::Digest(digest));
    rope
}
