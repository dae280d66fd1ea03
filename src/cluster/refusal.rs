//! What a refused request means: the meanings of the API server's answers, which
//! differ for reads and writes (texts and codes as in Kubernetes 1.36).

use serde::Deserialize;
use serde_json::Value;

use super::error::{Error, clean};
use crate::model::MASK;

/// The message of a JSON Patch that does not apply: a failed test and a missing path
/// look alike, the server keeps the cause to itself (`NewGenericServerResponse` with 422).
const NOT_APPLIED: &str = "the server rejected our request due to an error in our request";
/// What a field error says before it quotes the value (`field.Error`).
const BEFORE_VALUE: [&str; 4] = [
    "Invalid value: ",
    "Unsupported value: ",
    "Duplicate value: ",
    "Not found: ",
];
/// Sent values that are shorter are no secrets, and masking them would garble the text.
const SHORTEST_SECRET: usize = 4;

/// A Kubernetes Status, or nothing of it where something else answered.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    kind: String,
    reason: String,
    message: String,
    details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    causes: Option<Vec<Cause>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cause {
    field: String,
    message: String,
}

/// A request and its refusal.
pub(super) struct Refused<'a> {
    /// What was asked for, in words.
    pub(super) what: &'a str,
    /// The server's URL without credentials.
    pub(super) server: &'a str,
    /// HTTP code.
    pub(super) code: u16,
    /// The answer.
    pub(super) body: &'a [u8],
}

impl Refused<'_> {
    /// The meaning of a refused read.
    pub(super) fn read(&self) -> Error {
        self.plain(refusal_text(self.code, self.body))
    }

    /// The meaning of a refused write. `sent` is the patch: values of environment
    /// variables in it are masked where the server quotes them. With `effect` a
    /// failure of the server leaves the outcome unknown; a dry run has none.
    pub(super) fn write(&self, sent: &[u8], effect: bool) -> Error {
        let status: Status = serde_json::from_slice(self.body).unwrap_or_default();
        let what = self.what.to_owned();
        let safe = |text: &str| clean(&without_sent(text, sent));
        if let Some(error) = admission(&what, &status.message, safe) {
            return error;
        }
        match self.code {
            409 => Error::Conflict {
                what,
                message: safe(&status.message),
            },
            422 if status.message.starts_with(NOT_APPLIED) => Error::Conflict {
                what,
                message: "a test of the patch does not hold, or a path of it is no longer there \
                          (the API server does not say which)"
                    .to_owned(),
            },
            422 => {
                let message = safe(&field_errors(&status));
                let immutable = ["field is immutable", "updates to statefulset spec"]
                    .iter()
                    .any(|words| message.contains(words));
                Error::Rejected {
                    what,
                    immutable,
                    message,
                }
            }
            500..=599 if effect => Error::OutcomeUnknown {
                what,
                message: format!(
                    "the API server answered {}: {}",
                    self.code,
                    safe(&refusal_text(self.code, self.body))
                ),
            },
            403 if by_plugin(&status) => Error::Denied {
                what,
                by: "an admission plugin of the API server".to_owned(),
                message: safe(&status.message),
            },
            code => self.plain(safe(&refusal_text(code, self.body))),
        }
    }

    fn plain(&self, message: String) -> Error {
        let what = self.what.to_owned();
        let server = self.server.to_owned();
        match self.code {
            401 => Error::Unauthorized { server, message },
            403 => Error::Forbidden { what, message },
            404 => Error::NotFound { what, message },
            code => Error::Api {
                what,
                code,
                message,
            },
        }
    }
}

/// Refusals of admission, whose HTTP code the webhook or policy chooses.
fn admission(what: &str, text: &str, safe: impl Fn(&str) -> String) -> Option<Error> {
    let what = what.to_owned();
    let denied = |by: String, message: &str| Error::Denied {
        what: what.clone(),
        by,
        message: safe(message),
    };
    if let Some((name, rest)) = quoted(text, "admission webhook \"", '"') {
        if rest.starts_with(" does not support dry run") {
            return Some(Error::NoDryRun {
                what,
                webhook: safe(name),
            });
        }
        if let Some(why) = rest.strip_prefix(" denied the request") {
            let why = why.strip_prefix(':').unwrap_or(why);
            return Some(denied(format!("admission webhook {}", safe(name)), why));
        }
    }
    if let Some((name, rest)) = quoted(text, "ValidatingAdmissionPolicy '", '\'')
        && let Some((_, why)) = rest.split_once("denied request: ")
    {
        let by = format!("ValidatingAdmissionPolicy {}", safe(name));
        return Some(denied(by, why));
    }
    if let Some((name, why)) = quoted(text, "failed calling webhook \"", '"') {
        let by = format!("admission webhook {}", safe(name));
        let why = why.trim_start_matches([':', ' ']);
        return Some(denied(by, &format!("it could not be called: {why}")));
    }
    if text.contains("because it is being terminated") {
        return Some(Error::NamespaceTerminating {
            what,
            message: safe(text),
        });
    }
    if let Some((_, quota)) = text.split_once("exceeded quota: ") {
        return Some(Error::QuotaExceeded {
            what,
            message: safe(quota),
        });
    }
    None
}

/// A 403 of an admission plugin that is built in: a Status that does not say which
/// user lacks which right, as every authorizer's does (`forbiddenMessage`).
fn by_plugin(status: &Status) -> bool {
    let authorizer = status.message.contains("User \"") && status.message.contains("\" cannot ");
    status.kind == "Status"
        && status.reason == "Forbidden"
        && status.message.contains(" is forbidden: ")
        && !authorizer
}

/// The text between `start` and `end`, and what follows.
fn quoted<'t>(text: &'t str, start: &str, end: char) -> Option<(&'t str, &'t str)> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end)
}

/// The field errors of a 422, each without the value that it quotes.
fn field_errors(status: &Status) -> String {
    let causes = status.details.as_ref().and_then(|d| d.causes.as_deref());
    let causes = causes.unwrap_or_default();
    if causes.is_empty() {
        return without_values(&status.message);
    }
    let one = |cause: &Cause| format!("{}: {}", cause.field, without_values(&cause.message));
    causes.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// The text without the values that field errors quote: one may be an environment
/// variable's, and a patch that cannot be decoded is answered with the whole object.
fn without_values(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let found = BEFORE_VALUE
            .iter()
            .filter_map(|word| rest.find(word).map(|at| at + word.len()))
            .min();
        let Some(at) = found else {
            out.push_str(rest);
            return out;
        };
        out.push_str(&rest[..at]);
        let value = &rest[at..];
        match value_length(value) {
            // Numbers and booleans may be seen.
            Some(length) if !value.starts_with(['"', '{', '[']) => out.push_str(&value[..length]),
            Some(_) => out.push_str(MASK),
            None => {
                out.push_str(MASK);
                return out;
            }
        }
        rest = &value[value_length(value).unwrap_or(value.len())..];
    }
}

/// How many bytes the JSON value at the text's start has.
fn value_length(text: &str) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    values.next()?.ok()?;
    Some(values.byte_offset())
}

/// The text without the environment values of the patch that was sent.
fn without_sent(text: &str, sent: &[u8]) -> String {
    let mut secrets = Vec::new();
    if let Ok(patch) = serde_json::from_slice::<Value>(sent) {
        env_values(&patch, &mut secrets);
    }
    secrets.retain(|secret| secret.len() >= SHORTEST_SECRET);
    // A value may be part of another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.iter().fold(text.to_owned(), |text, secret| {
        let escaped = Value::from(secret.as_str()).to_string();
        let escaped = escaped.trim_matches('"');
        text.replace(secret.as_str(), MASK).replace(escaped, MASK)
    })
}

fn env_values(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| env_values(item, found)),
        Value::Object(map) => {
            // An operation on one variable: `/spec/.../env/2/value` or `/spec/.../env/-`.
            let path = map.get("path").and_then(Value::as_str).unwrap_or_default();
            if path.contains("/env/") {
                texts(map.get("value").unwrap_or(&Value::Null), found);
            }
            for (key, item) in map {
                if key == "env" {
                    texts(item, found);
                } else {
                    env_values(item, found);
                }
            }
        }
        _ => {}
    }
}

/// Every `value` below, and a bare text itself.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(map) => {
            if let Some(Value::String(text)) = map.get("value") {
                found.push(text.clone());
            }
        }
        _ => {}
    }
}

/// The `message` of a Kubernetes Status, else the first words of whatever came.
pub(super) fn refusal_text(code: u16, body: &[u8]) -> String {
    let said = serde_json::from_slice::<Status>(body)
        .ok()
        .map(|status| status.message)
        .filter(|message| !message.is_empty())
        .unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    let said = clean(&said);
    if !said.is_empty() {
        return said;
    }
    let status = http::StatusCode::from_u16(code).ok();
    status
        .and_then(|status| status.canonical_reason())
        .unwrap_or("no reason given")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_in_words() {
        assert_eq!(
            refusal_text(403, br#"{"kind":"Status","message":"no"}"#),
            "no"
        );
        assert_eq!(
            refusal_text(502, b"<h1>Bad\nGateway</h1>"),
            "<h1>Bad Gateway</h1>"
        );
        assert_eq!(refusal_text(500, b""), "Internal Server Error");
    }

    #[test]
    fn field_errors_lose_their_values() {
        for (text, expected) in [
            (
                r#"Invalid value: "se\"kret: x": must be short"#,
                "Invalid value: ***: must be short",
            ),
            (
                "Invalid value: -1: must be greater than or equal to 0",
                "Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                r#"Invalid value: {"a":{"b":"sekret: x"}}: field is immutable"#,
                "Invalid value: ***: field is immutable",
            ),
            (
                r#"[a: Invalid value: "x": no, b: Duplicate value: "y"]"#,
                "[a: Invalid value: ***: no, b: Duplicate value: ***]",
            ),
            (
                "Invalid value: v1.EnvVar{Value:\"sekret\"}: no",
                "Invalid value: ***",
            ),
            ("Required value", "Required value"),
        ] {
            assert_eq!(without_values(text), expected);
        }
    }

    #[test]
    fn sent_environment_values_are_known_wherever_they_stand() {
        let sent = serde_json::json!([
            {"op": "replace", "path": "/spec/template", "value": {"spec": {"containers": [
                {"name": "a", "image": "a/b:1", "env": [{"name": "A", "value": "alpha\"secret"}]}]}}},
            {"op": "replace", "path": "/spec/template/spec/containers/0/env/1/value", "value": "beta-secret"},
            {"op": "add", "path": "/spec/template/spec/containers/0/env/-",
                "value": {"name": "C", "value": "gamma-secret"}},
        ]);
        let sent = sent.to_string().into_bytes();
        let text = r#"a "alpha\"secret" b alpha"secret c beta-secret d gamma-secret e a/b:1"#;
        assert_eq!(
            without_sent(text, &sent),
            r#"a "***" b *** c *** d *** e a/b:1"#
        );
    }
}
