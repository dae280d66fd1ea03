//! The sources of an Application and the commits that were resolved for them: one, or a list in
//! the order of `spec.sources`.

use std::fmt;

use serde_json::{Value, json};

use crate::sandbox::json::{list, text};

/// `revision` of one source, or `revisions` of several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Commits {
    all: Vec<String>,
    several: bool,
}

impl Commits {
    pub(crate) const fn new(all: Vec<String>, several: bool) -> Self {
        Self { all, several }
    }

    /// What an object says in `revisions`, else in `revision`.
    pub(crate) fn of(value: &Value) -> Self {
        let many = list(value, "/revisions");
        if !many.is_empty() {
            let all = many.iter().filter_map(Value::as_str).map(str::to_owned);
            return Self::new(all.collect(), true);
        }
        let one = Some(text(value, "/revision")).filter(|one| !one.is_empty());
        Self::new(one.into_iter().map(str::to_owned).collect(), false)
    }

    /// Writes them as Argo CD does; the other spelling goes.
    pub(crate) fn put(&self, into: &mut Value) {
        if let Some(fields) = into.as_object_mut() {
            fields.remove("revision");
            fields.remove("revisions");
        }
        match (self.several, self.all.first()) {
            (true, _) => into["revisions"] = json!(self.all),
            (false, Some(one)) => into["revision"] = json!(one),
            (false, None) => {}
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn get(&self, source: usize) -> &str {
        self.all.get(source).map_or("", String::as_str)
    }
}

impl fmt::Display for Commits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.all.join(", "))
    }
}

/// Whether `spec.sources` has any: then `spec.source` does not count.
pub(crate) fn is_several(of: &Value) -> bool {
    hydrated(of).is_none() && !list(of, "/sources").is_empty()
}

/// What is synced of an Application with a source hydrator: the branch that this writes.
fn hydrated(of: &Value) -> Option<Value> {
    let own = of.get("sourceHydrator").filter(|own| own.is_object())?;
    Some(json!({"repoURL": own["drySource"]["repoURL"],
        "targetRevision": own["syncSource"]["targetBranch"], "path": own["syncSource"]["path"]}))
}

/// What the hydrator writes where there is one, else `sources` if there are any, else `source`.
pub(crate) fn sources(of: &Value) -> Vec<Value> {
    if let Some(one) = hydrated(of) {
        return vec![one];
    }
    match list(of, "/sources") {
        [] => of
            .get("source")
            .filter(|s| !s.is_null())
            .cloned()
            .into_iter()
            .collect(),
        many => many.to_vec(),
    }
}

/// Copies `sources` or `source`, whichever counts.
pub(crate) fn put_sources(of: &Value, into: &mut Value) {
    if let Some(one) = hydrated(of) {
        into["source"] = one;
    } else if is_several(of) {
        into["sources"] = of["sources"].clone();
    } else if let Some(one) = of.get("source") {
        into["source"] = one.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_several() {
        let mut status = json!({"revision": "a"});
        assert_eq!(Commits::of(&status), Commits::new(vec!["a".into()], false));
        let both = Commits::new(vec!["b".into(), "c".into()], true);
        both.put(&mut status);
        assert_eq!(status, json!({"revisions": ["b", "c"]}));
        assert_eq!(
            (Commits::of(&status), both.to_string()),
            (both, "b, c".to_owned())
        );
        assert!(Commits::of(&json!({})).is_empty());
        let spec = json!({"source": {"path": "x"}, "sources": [{"path": "y"}]});
        let mut compared = json!({});
        put_sources(&spec, &mut compared);
        assert_eq!(compared, json!({"sources": [{"path": "y"}]}));
        assert_eq!(sources(&spec).len(), 1);
    }
}
