//! Values that know every place that has set them.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use crate::manifest::{Address, Manifest, Path, Step, merge_key};

/// A path in one document of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spot {
    pub(super) file: Rc<str>,
    pub(super) address: Address,
    pub(super) at: Path,
}

/// Where a value is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Source {
    File(Spot),
    /// YAML in a scalar of a file, as an inline patch is.
    Inside {
        outer: Spot,
        address: Address,
        at: Path,
    },
    /// A field of the Application, as `spec.source.kustomize.images[0]`.
    Application(String),
    /// A byte of a file that is no YAML: a template.
    Text {
        file: Rc<str>,
        at: usize,
    },
    /// A field of the Application that what makes it takes from another place, between fixed
    /// words.
    Made {
        inner: Box<Self>,
        before: Rc<str>,
        after: Rc<str>,
    },
}

impl Source {
    pub(super) fn child(&self, step: Step) -> Self {
        match self {
            Self::File(spot) => Self::File(Spot {
                at: spot.at.child(step),
                ..spot.clone()
            }),
            Self::Inside { outer, address, at } => Self::Inside {
                outer: outer.clone(),
                address: *address,
                at: at.child(step),
            },
            Self::Application(field) => {
                let last = Path::new(vec![step]).to_string();
                let dot = if last.starts_with('[') { "" } else { "." };
                Self::Application(format!("{field}{dot}{last}"))
            }
            Self::Made {
                inner,
                before,
                after,
            } => Self::Made {
                inner: Box::new(inner.child(step)),
                before: before.clone(),
                after: after.clone(),
            },
            Self::Text { .. } => self.clone(),
        }
    }

    /// YAML in the scalar that stands here; `None` where that has no places of its own.
    pub(super) fn inside(&self, address: Address) -> Option<Self> {
        match self {
            Self::File(spot) => Some(Self::Inside {
                outer: spot.clone(),
                address,
                at: Path::default(),
            }),
            Self::Made {
                inner,
                before,
                after,
            } if before.is_empty() && after.is_empty() => Some(Self::made(inner.inside(address)?)),
            _ => None,
        }
    }

    /// As a field of an Application that is made from files.
    pub(super) fn made(inner: Self) -> Self {
        Self::Made {
            inner: Box::new(inner),
            before: Rc::from(""),
            after: Rc::from(""),
        }
    }

    /// The file that it is in, and how many makers are on the way to it.
    pub(super) fn file(&self) -> Option<(&str, usize)> {
        match self {
            Self::File(spot) | Self::Inside { outer: spot, .. } => Some((&spot.file, 0)),
            Self::Made { inner, .. } => inner.file().map(|(file, makers)| (file, makers + 1)),
            Self::Application(_) | Self::Text { .. } => None,
        }
    }

    /// The path in its own document.
    pub(super) fn at(&self) -> Path {
        match self {
            Self::File(spot) => spot.at.clone(),
            Self::Inside { at, .. } => at.clone(),
            Self::Made { inner, .. } => inner.at(),
            Self::Application(_) | Self::Text { .. } => Path::default(),
        }
    }
}

/// How a place sets a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Act {
    /// As it stands.
    Written,
    /// By a strategic merge patch.
    Merged,
    /// By a JSON patch operation; the place is the operation.
    JsonPatch,
    /// By an entry of `images`, which may set the name, the tag and the digest.
    Image {
        entry: Source,
        name: bool,
        tag: bool,
        digest: bool,
    },
    /// By an entry of `replicas`.
    Replicas,
    /// By a kustomization's labels, annotations, namespace, prefix or suffix.
    Transformed(&'static str),
    /// By a Helm value that the template prints into the bytes `from..to` of the field's text, or
    /// by an expression that makes it.
    Value {
        expression: String,
        from: usize,
        to: usize,
    },
    /// By an empty value that would win over the default printed there.
    Skipped {
        expression: String,
        from: usize,
        to: usize,
    },
}

/// One place that has set a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mark {
    pub(super) source: Source,
    pub(super) act: Act,
    /// What it says, where that is no collection.
    pub(super) says: Option<Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    Scalar(Value),
    List(Vec<Traced>),
    Map(BTreeMap<String, Traced>),
    /// Something that cannot be told here, and why.
    Unknown(String),
    /// A digest of what is rendered elsewhere: it follows that, and nobody sets it.
    Digest(Digest),
}

/// A digest of something rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digest {
    /// Of what, in words.
    pub(super) why: Rc<str>,
    /// What it is made of here, so that a change of that is seen. It is not the digest itself: a
    /// blank more would make another one.
    pub(super) of: Rc<str>,
}

/// A value with its places, the base first and the deciding one last.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Traced {
    pub(super) body: Body,
    pub(super) marks: Vec<Mark>,
}

impl Traced {
    /// A value whose places are all below one place.
    pub(super) fn of(value: &Value, source: &Source, act: &Act) -> Self {
        let body = match value {
            Value::Object(fields) => Body::Map(
                fields
                    .iter()
                    .map(|(key, value)| {
                        let source = source.child(Step::Key(key.clone()));
                        (key.clone(), Self::of(value, &source, act))
                    })
                    .collect(),
            ),
            Value::Array(items) => {
                let key = item_key(items, &source.at());
                Body::List(
                    items
                        .iter()
                        .enumerate()
                        .map(|(place, item)| {
                            let source = source.child(item_step(item, place, key.as_deref()));
                            Self::of(item, &source, act)
                        })
                        .collect(),
                )
            }
            other => Body::Scalar(other.clone()),
        };
        let says = matches!(body, Body::Scalar(_)).then(|| value.clone());
        Self {
            body,
            marks: vec![Mark {
                source: source.clone(),
                act: act.clone(),
                says,
            }],
        }
    }

    /// A value that no place has set.
    pub(super) const fn bare(body: Body) -> Self {
        Self {
            body,
            marks: Vec::new(),
        }
    }

    /// One object of a file.
    pub(super) fn of_file(
        manifest: &Manifest,
        file: &Rc<str>,
        address: Address,
        act: &Act,
    ) -> Option<Self> {
        let value = manifest.value(&address, &Path::default())?;
        let spot = Spot {
            file: file.clone(),
            address,
            at: Path::default(),
        };
        Some(Self::of(&value, &Source::File(spot), act))
    }

    /// What stands here: unknown parts and digests left out.
    pub(super) fn value(&self) -> Option<Value> {
        self.with_digests(&|_| None)
    }

    /// As [`Self::value`], with what each digest is made of in its place: for comparing.
    pub(super) fn comparable(&self) -> Option<Value> {
        self.with_digests(&|digest| Some(Value::String(digest.of.to_string())))
    }

    fn with_digests(&self, shown: &impl Fn(&Digest) -> Option<Value>) -> Option<Value> {
        let below = |item: &Self| item.with_digests(shown);
        Some(match &self.body {
            Body::Scalar(value) => value.clone(),
            Body::List(items) => items.iter().filter_map(below).collect(),
            Body::Map(fields) => {
                let fields = fields.iter();
                let fields = fields.filter_map(|(key, item)| Some((key.clone(), below(item)?)));
                Value::Object(fields.collect())
            }
            Body::Unknown(_) => return None,
            Body::Digest(digest) => return shown(digest),
        })
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.body {
            Body::Scalar(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.body, Body::Scalar(Value::Null))
    }

    pub(super) fn fields(&self) -> Option<&BTreeMap<String, Self>> {
        match &self.body {
            Body::Map(fields) => Some(fields),
            _ => None,
        }
    }

    pub(super) fn fields_mut(&mut self) -> Option<&mut BTreeMap<String, Self>> {
        match &mut self.body {
            Body::Map(fields) => Some(fields),
            _ => None,
        }
    }

    /// The items of a list; none for anything else.
    pub(super) fn items(&self) -> &[Self] {
        match &self.body {
            Body::List(items) => items,
            _ => &[],
        }
    }

    pub(super) fn key(&self, key: &str) -> Option<&Self> {
        self.fields()?.get(key)
    }

    /// The text below these keys.
    pub(super) fn text_at(&self, keys: &[&str]) -> Option<&str> {
        let mut here = self;
        for key in keys {
            here = here.key(key)?;
        }
        here.text()
    }

    pub(super) fn step(&self, step: &Step) -> Option<&Self> {
        match (&self.body, step) {
            (Body::Map(fields), Step::Key(key)) => fields.get(key),
            (Body::Map(fields), Step::Index(index)) => fields.get(&index.to_string()),
            (Body::List(items), Step::Index(index)) => items.get(*index),
            (Body::List(items), Step::Named { key, value }) => items
                .iter()
                .find(|item| item.key(key).and_then(Self::word).as_deref() == Some(value)),
            _ => None,
        }
    }

    pub(super) fn get(&self, path: &Path) -> Option<&Self> {
        path.steps().iter().try_fold(self, |at, step| at.step(step))
    }

    pub(super) fn get_mut(&mut self, path: &Path) -> Option<&mut Self> {
        path.steps()
            .iter()
            .try_fold(self, |at, step| match (&mut at.body, step) {
                (Body::Map(fields), Step::Key(key)) => fields.get_mut(key),
                (Body::Map(fields), Step::Index(index)) => fields.get_mut(&index.to_string()),
                (Body::List(items), Step::Index(index)) => items.get_mut(*index),
                (Body::List(items), Step::Named { key, value }) => items
                    .iter_mut()
                    .find(|item| item.key(key).and_then(Self::word).as_deref() == Some(value)),
                _ => None,
            })
    }

    /// A scalar as a word, as merge keys are compared.
    pub(super) fn word(&self) -> Option<String> {
        match &self.body {
            Body::Scalar(Value::String(text)) => Some(text.clone()),
            Body::Scalar(Value::Number(number)) => Some(number.to_string()),
            Body::Scalar(Value::Bool(flag)) => Some(flag.to_string()),
            _ => None,
        }
    }

    /// Gives every value in it this one place: text in text has no places of its own.
    pub(super) fn lie_at(&mut self, source: &Source) {
        for mark in &mut self.marks {
            mark.source.clone_from(source);
        }
        match &mut self.body {
            Body::Map(fields) => fields.values_mut().for_each(|item| item.lie_at(source)),
            Body::List(items) => items.iter_mut().for_each(|item| item.lie_at(source)),
            Body::Scalar(_) | Body::Unknown(_) | Body::Digest(_) => {}
        }
    }

    /// The unknown fields at and below this one, with the reason.
    pub(super) fn unknown(&self, at: &Path, found: &mut Vec<(Path, String)>) {
        self.leaves(at, &mut |at, body| {
            if let Body::Unknown(why) = body {
                found.push((at.clone(), why.clone()));
            }
        });
    }

    /// The digests in it.
    pub(super) fn digests(&self) -> Vec<Path> {
        let mut found = Vec::new();
        self.leaves(&Path::default(), &mut |at, body| {
            if matches!(body, Body::Digest(_)) {
                found.push(at.clone());
            }
        });
        found
    }

    /// Everything at and below this one that is no collection.
    fn leaves(&self, at: &Path, each: &mut impl FnMut(&Path, &Body)) {
        match &self.body {
            Body::Map(fields) => {
                for (key, item) in fields {
                    item.leaves(&at.key(key), each);
                }
            }
            Body::List(items) => {
                for (place, item) in items.iter().enumerate() {
                    item.leaves(&at.child(Step::Index(place)), each);
                }
            }
            leaf => each(at, leaf),
        }
    }

    /// The place that decides.
    pub(super) fn deciding(&self) -> Option<&Mark> {
        self.marks.last()
    }
}

/// The key by which the items of a list can be named, if each has its own.
fn item_key(items: &[Value], at: &Path) -> Option<String> {
    let fits = |key: &str| {
        let mut seen: Vec<String> = Vec::new();
        items.iter().all(|item| match word(item.get(key)) {
            Some(word) if !seen.contains(&word) => {
                seen.push(word);
                true
            }
            _ => false,
        })
    };
    let known = merge_key(at).filter(|key| fits(key));
    let key = known.or_else(|| fits("name").then_some("name"))?;
    Some(key.to_owned())
}

fn item_step(item: &Value, place: usize, key: Option<&str>) -> Step {
    match key.and_then(|key| Some((key, word(item.get(key))?))) {
        Some((key, value)) => Step::Named {
            key: key.to_owned(),
            value,
        },
        None => Step::Index(place),
    }
}

fn word(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
