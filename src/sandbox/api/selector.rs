//! Label and field selectors.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::sandbox::error::ApiError;
use crate::sandbox::json::{labels, text};

#[derive(Debug, Clone)]
enum Rule {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

/// A parsed label and field selector.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    labels: Vec<Rule>,
    fields: Vec<(String, String, bool)>,
}

impl Selector {
    /// Reads `labelSelector` and `fieldSelector` as they come in a query.
    pub(crate) fn parse(label_text: &str, field_text: &str) -> Result<Self, ApiError> {
        let mut out = Self::default();
        for requirement in split_outside_parentheses(label_text) {
            out.labels.push(rule(requirement)?);
        }
        for requirement in field_text.split(',').filter(|r| !r.is_empty()) {
            let (key, value, equal) = if let Some((k, v)) = requirement.split_once("!=") {
                (k, v, false)
            } else if let Some((k, v)) = requirement.split_once("==") {
                (k, v, true)
            } else if let Some((k, v)) = requirement.split_once('=') {
                (k, v, true)
            } else {
                let message = format!("invalid field selector: {requirement:?}");
                return Err(ApiError::bad_request(message));
            };
            out.fields.push((key.to_owned(), value.to_owned(), equal));
        }
        Ok(out)
    }

    /// The selector of a Service, None when it selects by hand-made endpoints.
    pub(crate) fn of_service(service: &Value) -> Option<Self> {
        let pairs = labels(service, "/spec/selector");
        let rules = pairs
            .into_iter()
            .map(|(k, v)| Rule::In(k, vec![v]))
            .collect::<Vec<_>>();
        (!rules.is_empty()).then_some(Self {
            labels: rules,
            fields: Vec::new(),
        })
    }

    /// Whether an object matches.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        let own = labels(object, "/metadata/labels");
        self.labels.iter().all(|r| r.matches(&own))
            && self.fields.iter().all(|(path, wanted, equal)| {
                let pointer = format!("/{}", path.replace('.', "/"));
                (text(object, &pointer) == wanted) == *equal
            })
    }
}

impl Rule {
    fn matches(&self, own: &BTreeMap<String, String>) -> bool {
        match self {
            Self::In(key, values) => own.get(key).is_some_and(|v| values.contains(v)),
            Self::NotIn(key, values) => own.get(key).is_none_or(|v| !values.contains(v)),
            Self::Exists(key) => own.contains_key(key),
            Self::Missing(key) => !own.contains_key(key),
        }
    }
}

fn rule(requirement: &str) -> Result<Rule, ApiError> {
    let text = requirement.trim();
    let one = |v: &str| vec![v.trim().to_owned()];
    let set = |v: &str| -> Vec<String> {
        let inner = v.trim().trim_start_matches('(').trim_end_matches(')');
        inner.split(',').map(|s| s.trim().to_owned()).collect()
    };
    let name = |k: &str| k.trim().to_owned();
    Ok(if let Some((k, v)) = text.split_once(" notin ") {
        Rule::NotIn(name(k), set(v))
    } else if let Some((k, v)) = text.split_once(" in ") {
        Rule::In(name(k), set(v))
    } else if let Some((k, v)) = text.split_once("!=") {
        Rule::NotIn(name(k), one(v))
    } else if let Some((k, v)) = text.split_once("==") {
        Rule::In(name(k), one(v))
    } else if let Some((k, v)) = text.split_once('=') {
        Rule::In(name(k), one(v))
    } else if let Some(k) = text.strip_prefix('!') {
        Rule::Missing(name(k))
    } else if text.contains(char::is_whitespace) {
        return Err(ApiError::bad_request(format!(
            "unable to parse requirement: {text:?}"
        )));
    } else {
        Rule::Exists(name(text))
    })
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                out.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    out.push(&text[start..]);
    out.retain(|s| !s.trim().is_empty());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn label_selectors_of_all_forms() {
        let pod = json!({"metadata": {"name": "p", "labels": {"app": "a", "tier": "x"}}});
        let matches = |s: &str| Selector::parse(s, "").unwrap().matches(&pod);
        assert!(matches("app=a,tier in (x, y)"));
        assert!(matches("app==a,!gone,tier"));
        assert!(matches("app!=b,tier notin (y)"));
        assert!(!matches("app=b"));
        assert!(!matches("tier in (y,z)"));
        assert!(Selector::parse("a b", "").is_err());
    }

    #[test]
    fn field_selectors() {
        let event = json!({"involvedObject": {"name": "x", "kind": "Pod"}});
        let matches = |s: &str| Selector::parse("", s).unwrap().matches(&event);
        assert!(matches("involvedObject.name=x,involvedObject.kind=Pod"));
        assert!(!matches("involvedObject.name!=x"));
    }
}
