//! Which objects a patch's target selector takes (5.8, `types.Selector`, `resmap.Select`).

use regex::Regex;

use crate::model::Blocker;

use super::super::traced::Traced;
use super::{Build, Resource, broken};

/// A target selector; each part is an anchored regular expression or absent.
#[derive(Debug)]
pub(super) struct Selector {
    group: Option<Regex>,
    version: Option<Regex>,
    kind: Option<Regex>,
    name: Option<Regex>,
    namespace: Option<Regex>,
    labels: Vec<Term>,
    annotations: Vec<Term>,
}

#[derive(Debug)]
enum Term {
    Has(String),
    HasNot(String),
    Is(String, String),
    IsNot(String, String),
}

impl Selector {
    pub(super) fn read(build: &Build<'_>, node: &Traced) -> Result<Self, Blocker> {
        let pattern = |key: &str| -> Result<Option<Regex>, Blocker> {
            match node.text_at(&[key]) {
                None | Some("") => Ok(None),
                Some(text) => match Regex::new(&format!("^(?:{text})$")) {
                    Ok(pattern) => Ok(Some(pattern)),
                    Err(_) => Err(broken(build.place(node), format!("{text:?} is no pattern"))),
                },
            }
        };
        let terms = |key: &str| -> Result<Vec<Term>, Blocker> {
            let text = node.text_at(&[key]).unwrap_or_default();
            terms(text).ok_or_else(|| {
                Blocker::new(
                    "kustomize-unmodelled",
                    format!("{}: {key} {text:?} is not followed", build.place(node)),
                    "change the field by hand, and check with `kustomize build`",
                )
            })
        };
        Ok(Self {
            group: pattern("group")?,
            version: pattern("version")?,
            kind: pattern("kind")?,
            name: pattern("name")?,
            namespace: pattern("namespace")?,
            labels: terms("labelSelector")?,
            annotations: terms("annotationSelector")?,
        })
    }

    pub(super) fn takes(&self, resource: &Resource) -> bool {
        let fits = |pattern: &Option<Regex>, text: &str| {
            pattern
                .as_ref()
                .is_none_or(|pattern| pattern.is_match(text))
        };
        let api_version = resource.api_version();
        let version = api_version
            .split_once('/')
            .map_or(api_version, |(_, version)| version);
        let ids = resource.ids();
        // The name and namespace from its file, and those of now.
        let ends: Vec<_> = ids.first().into_iter().chain(ids.last()).collect();
        fits(&self.group, resource.group())
            && fits(&self.version, version)
            && fits(&self.kind, resource.kind())
            && ends.iter().any(|(name, _)| fits(&self.name, name))
            && ends.iter().any(|(_, space)| fits(&self.namespace, space))
            && holds(&self.labels, resource, "labels")
            && holds(&self.annotations, resource, "annotations")
    }
}

fn holds(terms: &[Term], resource: &Resource, field: &str) -> bool {
    let value = |key: &str| resource.object.text_at(&["metadata", field, key]);
    terms.iter().all(|term| match term {
        Term::Has(key) => value(key).is_some(),
        Term::HasNot(key) => value(key).is_none(),
        Term::Is(key, wanted) => value(key) == Some(wanted),
        Term::IsNot(key, wanted) => value(key) != Some(wanted),
    })
}

/// The terms of an equality-based selector; `None` for anything else.
fn terms(text: &str) -> Option<Vec<Term>> {
    let word = |text: &str| {
        let plain = !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        plain.then(|| text.to_owned())
    };
    let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
    let term = |part: &str| {
        if let Some((key, value)) = part.split_once("!=") {
            return Some(Term::IsNot(word(key.trim())?, value.trim().to_owned()));
        }
        if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
            return Some(Term::Is(word(key.trim())?, value.trim().to_owned()));
        }
        match part.strip_prefix('!') {
            Some(key) => Some(Term::HasNot(word(key.trim())?)),
            None => Some(Term::Has(word(part)?)),
        }
    };
    parts.map(term).collect()
}
