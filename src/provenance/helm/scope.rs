//! The dot and the variables of a block, and who holds which map: templates change maps in place
//! (`set`, `merge`), and everybody who holds one sees that.

use std::cell::RefCell;

use serde_json::Value;

use crate::manifest::{Path, Step};

use super::super::traced::Traced;
use super::data::data;
use super::eval::{Run, Val, plain_text};
use super::parse::{Operand, Pipe};

/// The variables and the dot of one block.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) dot: Val,
    /// Which map the dot is, where it is not a chart's root.
    pub(super) held: Held,
    pub(super) root: Val,
    pub(super) variables: RefCell<Vec<Variable>>,
}

#[derive(Debug, Clone)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: Val,
    pub(super) origin: Held,
}

impl Variable {
    pub(super) const fn new(name: String, value: Val) -> Self {
        Self {
            name,
            value,
            origin: Held::Unknown,
        }
    }
}

impl Scope {
    pub(super) fn new(dot: Val) -> Self {
        Self {
            root: dot.clone(),
            dot,
            held: Held::Unknown,
            variables: RefCell::default(),
        }
    }

    /// A new variable, which hides one of the same name until the block ends.
    pub(super) fn declare(&self, name: &str, value: Val, origin: Held) {
        self.variables.borrow_mut().push(Variable {
            origin,
            ..Variable::new(name.to_owned(), value)
        });
    }

    pub(super) fn assign(&self, name: &str, value: Val, origin: Held) {
        let mut variables = self.variables.borrow_mut();
        if let Some(variable) = variables.iter_mut().rfind(|own| own.name == name) {
            (variable.value, variable.origin) = (value, origin);
        }
    }

    pub(super) fn variable(&self, name: &str) -> Option<Variable> {
        let variables = self.variables.borrow();
        variables.iter().rfind(|own| own.name == name).cloned()
    }
}

/// Which map a variable holds, for what happens to others when it is changed in place.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Held {
    /// One of its own, which nothing else holds.
    Own,
    /// A chart's, below its root.
    Chart(Address),
    /// It is not known.
    Unknown,
}

impl Held {
    /// Of an entry of it: a list's have no keys.
    pub(super) fn below(&self, key: &Value) -> Self {
        match (self, key) {
            (Self::Chart(address), Value::String(key)) => {
                let mut address = address.clone();
                address.keys.push(key.clone());
                Self::Chart(address)
            }
            _ => Self::Unknown,
        }
    }
}

/// A value below the root of a chart, which is known by the folder of its templates.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Address {
    pub(super) chart: String,
    pub(super) keys: Vec<String>,
}

impl Run<'_> {
    /// What a function has done to its first argument, which is a map that others may hold.
    pub(super) fn changed(
        &self,
        (call, first): (&str, Option<&Operand>),
        (arguments, value): (&[Val], &Val),
        scope: &Scope,
    ) {
        let origin = first.map_or(Held::Unknown, |first| self.of_operand(first, scope));
        let variable = match first {
            Some(Operand::Field { variable, keys }) if keys.is_empty() => variable.as_deref(),
            _ => None,
        };
        if let Held::Chart(address) = &origin {
            let mut address = address.clone();
            let new = match (call, arguments) {
                ("set", [_, Val::Data(key), new]) => {
                    address.keys.extend(plain_text(key));
                    data(new)
                }
                _ => data(value),
            };
            if !address.keys.is_empty() {
                self.library.changed.borrow_mut().push((address, new));
            }
        }
        if origin == Held::Unknown {
            let why = format!("{} changes a value in place", self.file);
            *self.library.broken.borrow_mut() = Some(why);
        } else if let Some(name) = variable.filter(|name| !name.is_empty()) {
            scope.assign(name, value.clone(), origin);
        }
    }

    /// Which map an operand gives.
    fn of_operand(&self, operand: &Operand, scope: &Scope) -> Held {
        match operand {
            Operand::Paren(pipe, keys) if keys.is_empty() => self.origin(pipe, "", scope),
            Operand::Field { variable, keys } => {
                let (base, above) = match variable.as_deref() {
                    None => (scope.dot.clone(), Some(scope.held.clone())),
                    Some("") => (scope.root.clone(), None),
                    Some(name) => match scope.variable(name) {
                        Some(own) => (own.value, Some(own.origin)),
                        None => return Held::Unknown,
                    },
                };
                let below = |above: &[String]| above.iter().chain(keys).cloned().collect();
                match (above, chart_of(&base)) {
                    (Some(Held::Own), _) if keys.is_empty() => Held::Own,
                    (Some(Held::Chart(address)), _) => Held::Chart(Address {
                        keys: below(&address.keys),
                        chart: address.chart,
                    }),
                    (_, Some(chart)) => Held::Chart(Address {
                        chart,
                        keys: keys.clone(),
                    }),
                    _ => Held::Unknown,
                }
            }
            _ => Held::Unknown,
        }
    }

    /// Which map a pipeline gives that is put into a variable of that name.
    pub(super) fn origin(&self, pipe: &Pipe, name: &str, scope: &Scope) -> Held {
        const MAKING: [&str; 9] = [
            "dict",
            "deepCopy",
            "mustDeepCopy",
            "pick",
            "omit",
            "fromYaml",
            "fromJson",
            "list",
            "lookup",
        ];
        let last = pipe.last().and_then(|last| last.split_first());
        match last {
            Some((Operand::Function(call), _)) if MAKING.contains(&call.as_str()) => Held::Own,
            Some((Operand::Function(call), rest)) if MUTATING.contains(&call.as_str()) => {
                let Some(first) = rest.first() else {
                    return Held::Unknown;
                };
                match (self.of_operand(first, scope), first) {
                    // Two variables hold it from now on; nobody reads `$_`.
                    (
                        Held::Own,
                        Operand::Field {
                            variable: Some(own),
                            ..
                        },
                    ) if own != name && name != "_" => {
                        if let Some(variable) = scope.variable(own) {
                            scope.assign(own, variable.value, Held::Unknown);
                        }
                        Held::Unknown
                    }
                    (origin, _) => origin,
                }
            }
            Some((field @ Operand::Field { variable, .. }, [])) if pipe.len() == 1 => {
                match self.of_operand(field, scope) {
                    Held::Own => {
                        if let Some(own) = variable.as_deref().and_then(|own| scope.variable(own)) {
                            scope.assign(&own.name, own.value, Held::Unknown);
                        }
                        Held::Unknown
                    }
                    origin => origin,
                }
            }
            _ => Held::Unknown,
        }
    }

    /// What is held of a chart, with what was changed in it since.
    pub(super) fn today(&self, value: Val, origin: &Held) -> Val {
        match (value, origin) {
            (Val::Data(node), Held::Chart(address))
                if !self.library.changed.borrow().is_empty() =>
            {
                Val::of(self.as_changed(node.as_ref().clone(), address))
            }
            (value, _) => value,
        }
    }

    /// A value of a chart with everything that was changed in it.
    pub(super) fn as_changed(&self, mut node: Traced, at: &Address) -> Traced {
        for (address, value) in self.library.changed.borrow().iter() {
            if address.chart != at.chart {
                continue;
            }
            if at.keys.starts_with(&address.keys) {
                let path = Path::of_keys(at.keys[address.keys.len()..].iter().map(String::as_str));
                // What is not there any more is nothing.
                node = value
                    .get(&path)
                    .map_or_else(|| data(&Val::nil()), Traced::clone);
            } else if address.keys.starts_with(&at.keys) {
                let path = Path::of_keys(address.keys[at.keys.len()..].iter().map(String::as_str));
                put(&mut node, &path, value);
            }
        }
        node
    }
}

/// Functions that change their first argument.
pub(super) const MUTATING: [&str; 6] = [
    "set",
    "unset",
    "merge",
    "mustMerge",
    "mergeOverwrite",
    "mustMergeOverwrite",
];

/// Puts a value into a map, however deep.
fn put(node: &mut Traced, path: &Path, value: &Traced) {
    let Some((Step::Key(last), above)) = path.steps().split_last() else {
        return;
    };
    let above = node.get_mut(&Path::new(above.to_vec()));
    if let Some(fields) = above.and_then(Traced::fields_mut) {
        fields.insert(last.clone(), value.clone());
    }
}

/// The folder of the templates of the chart whose root a value is.
pub(super) fn chart_of(value: &Val) -> Option<String> {
    let Val::Data(node) = value else { return None };
    node.key("Values")?;
    let folder = node.text_at(&["Template", "BasePath"])?;
    Some(folder.to_owned())
}
