//! Where fields come from, as a document and as text.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::human::one_line;
use crate::manifest::{Path, Step};
use crate::model::{Blocker, MASK, mask_env, mask_text, mask_url};
use crate::plan::API_VERSION;
use crate::provenance::{Explanation, Link, Place, Role, parted};

/// A place that sets a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkReport {
    /// The place in words: `file:line:column`, or the Application's field.
    pub place: String,
    /// The file, from its repository's root.
    pub path: Option<String>,
    /// That repository's URL and branch, where it is not the one of the report.
    pub repository: Option<String>,
    /// The line, from 1.
    pub line: Option<usize>,
    /// The column in characters, from 1.
    pub column: Option<usize>,
    /// What stands there; environment values are masked.
    pub says: Option<Value>,
    /// `decides`, `outranked` or `could`.
    pub role: String,
    /// What it does, in one sentence.
    pub what: String,
}

/// Where one field comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldReport {
    /// The field.
    pub field: String,
    /// Its value as Argo CD would render it from the branch's tip; environment values are masked.
    pub value: Option<Value>,
    /// Whether the live object has the same value; null where that is not known.
    pub agrees: Option<bool>,
    /// Its places, the deciding one first.
    pub chain: Vec<LinkReport>,
    /// What else is to be known.
    pub notes: Vec<String>,
    /// Why it cannot be told.
    pub blocker: Option<Blocker>,
}

/// The answer of `unship explain`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplainReport {
    /// `unship/v1`.
    pub api_version: String,
    /// `Explain`.
    pub kind: String,
    /// The workload, in words.
    pub target: String,
    /// What renders it: Directory, Kustomize, Helm.
    pub tool: Option<String>,
    /// The branch.
    pub branch: String,
    /// Its tip, in full.
    pub commit: String,
    /// The fields.
    pub fields: Vec<FieldReport>,
    /// Exit code: 3 where a field cannot be told.
    pub exit_code: u8,
}

impl ExplainReport {
    /// Puts the fields together.
    #[must_use]
    pub fn new(
        target: &str,
        tool: Option<String>,
        (branch, commit): (&str, &str),
        fields: Vec<FieldReport>,
    ) -> Self {
        let untold = fields.iter().any(|field| field.blocker.is_some());
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "Explain".to_owned(),
            target: target.to_owned(),
            tool,
            branch: branch.to_owned(),
            commit: commit.to_owned(),
            fields,
            exit_code: if untold { 3 } else { 0 },
        }
    }

    /// The text for people.
    #[must_use]
    pub fn text(&self) -> String {
        let tool = self.tool.as_deref().unwrap_or("unknown");
        let short = self.commit.get(..7).unwrap_or(&self.commit);
        let mut text = format!(
            "{}, rendered from {short} of {} ({tool})\n",
            self.target, self.branch
        );
        for field in &self.fields {
            text.push_str(&field.text());
        }
        text
    }
}

impl FieldReport {
    /// A field that could be told; `live` is the live object's value, where that was read.
    #[must_use]
    pub fn told(explanation: &Explanation, live: Option<Option<&Value>>) -> Self {
        let secret = is_environment(&explanation.field);
        Self {
            field: explanation.field.to_string(),
            value: explanation.value.as_ref().map(|value| shown(value, secret)),
            agrees: live.map(|live| live == explanation.value.as_ref()),
            chain: explanation
                .chain
                .iter()
                .map(|link| report(link, secret))
                .collect(),
            notes: explanation.notes.clone(),
            blocker: None,
        }
    }

    /// A field that could not be told.
    #[must_use]
    pub fn untold(field: &Path, blocker: Blocker) -> Self {
        Self {
            field: field.to_string(),
            value: None,
            agrees: None,
            chain: Vec::new(),
            notes: Vec::new(),
            blocker: Some(Blocker {
                message: mask_text(&blocker.message),
                ..blocker
            }),
        }
    }

    fn text(&self) -> String {
        let value = self.value.as_ref().map(words);
        let value = match (&value, &self.blocker) {
            (Some(value), _) => format!(" = {value}"),
            (None, Some(_)) => String::new(),
            (None, None) => " is not set".to_owned(),
        };
        let live = match self.agrees {
            Some(true) => "  (live: the same)",
            Some(false) => "  (live: another value)",
            None => "",
        };
        let mut text = format!("\n{}{value}{live}\n", self.field);
        for link in &self.chain {
            let says = link.says.as_ref().map(words).unwrap_or_default();
            let line = format!("{}  {says}  {}", link.place, link.what);
            text.push_str(&format!("  {:<9}  {}\n", link.role, one_line(&line, 400)));
        }
        for note in &self.notes {
            text.push_str(&format!("  note: {}\n", one_line(note, 400)));
        }
        if let Some(blocker) = &self.blocker {
            text.push_str(&format!("  unknown: {}\n", one_line(&blocker.message, 600)));
            text.push_str(&format!("  hint: {}\n", one_line(&blocker.hint, 400)));
        }
        text
    }
}

fn words(value: &Value) -> String {
    one_line(&value.to_string(), 200)
}

/// Environment values may be secrets, whoever sets them.
fn is_environment(field: &Path) -> bool {
    let is_env = |step: &Step| matches!(step, Step::Key(key) if key == "env");
    let last_applied =
        |step: &Step| matches!(step, Step::Key(key) if key.ends_with("last-applied-configuration"));
    let name = matches!(field.last(), Some(Step::Key(key)) if key == "name");
    field.steps().iter().any(last_applied) || (field.steps().iter().any(is_env) && !name)
}

fn shown(value: &Value, secret: bool) -> Value {
    match (value, secret) {
        (Value::Null, _) => Value::Null,
        (_, true) => Value::String(MASK.to_owned()),
        (Value::String(text), false) => Value::String(mask_text(text)),
        (other, false) => mask_env(other),
    }
}

fn report(link: &Link, secret: bool) -> LinkReport {
    let (path, line, column) = match &link.place {
        Place::File { path, line, column } | Place::ApplicationFile { path, line, column } => {
            (Some(parted(path)), Some(*line), Some(*column))
        }
        Place::Application { .. } | Place::ApplicationSet { .. } => (None, None, None),
    };
    LinkReport {
        place: mask_text(&link.place.to_string()),
        repository: path.and_then(|(repository, _)| repository.map(mask_url)),
        path: path.map(|(_, path)| path.to_owned()),
        line,
        column,
        says: link.says.as_ref().map(|says| shown(says, secret)),
        role: match link.role {
            Role::Decides => "decides",
            Role::Outranked => "outranked",
            Role::Could => "could",
        }
        .to_owned(),
        what: mask_text(&link.what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn explanation(field: &str) -> Explanation {
        Explanation {
            field: field.parse().unwrap(),
            value: Some(json!("sekret")),
            chain: vec![Link {
                place: Place::File {
                    path: "a.yaml".to_owned(),
                    line: 3,
                    column: 4,
                },
                says: Some(json!("sekret")),
                role: Role::Decides,
                what: "the manifest says it".to_owned(),
            }],
            notes: Vec::new(),
        }
    }

    fn text(field: &str, live: Option<Option<&Value>>) -> String {
        let field = FieldReport::told(&explanation(field), live);
        ExplainReport::new("deployment/a", None, ("main", "0123456789"), vec![field]).text()
    }

    #[test]
    fn environment_values_are_masked_and_their_agreement_is_not() {
        let live = json!("sekret");
        let told = text(
            "spec.template.spec.containers[a].env[B].value",
            Some(Some(&live)),
        );
        assert!(!told.contains("sekret"), "{told}");
        assert!(told.contains("(live: the same)"), "{told}");
        let other = text("spec.template.spec.containers[a].image", Some(None));
        assert!(
            other.contains("= \"sekret\"  (live: another value)"),
            "{other}"
        );
        assert!(
            other.contains("  decides    a.yaml:3:4 \"sekret\" the manifest"),
            "{other}"
        );
    }

    #[test]
    fn what_cannot_be_told_ends_with_3() {
        let field: Path = "spec.replicas".parse().unwrap();
        let untold = FieldReport::untold(&field, Blocker::new("x", "no", "look"));
        let report = ExplainReport::new("a", None, ("main", "0"), vec![untold]);
        assert_eq!(report.exit_code, 3);
        assert!(report.text().contains("  unknown: no\n  hint: look\n"));
    }
}
