//! Text that may be shown: without secrets, without terminal control.

use serde_json::Value;

/// What stands in place of a masked value.
pub const MASK: &str = "***";

/// The text without anything that drives a terminal: control characters (also C1
/// and bidirectional overrides) are replaced; tab and line feed stay.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            '\r' => ' ',
            c if c.is_control() => '\u{fffd}',
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                '\u{fffd}'
            }
            c => c,
        })
        .collect()
}

/// The URL without user name and password, also without anything that looks like
/// a token in its query.
#[must_use]
pub fn mask_url(url: &str) -> String {
    let without_query = match url.split_once('?') {
        Some((head, _)) => format!("{head}?{MASK}"),
        None => url.to_owned(),
    };
    let Some((scheme, rest)) = without_query.split_once("://") else {
        return without_query;
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        // ssh://git@host names an account, not a secret.
        Some((user, host)) if scheme == "ssh" && !user.contains(':') => {
            format!("{scheme}://{user}@{host}{path}")
        }
        Some((_, host)) => format!("{scheme}://{host}{path}"),
        None => without_query,
    }
}

/// Free text (a server's message, a program's output) with credentials in URLs,
/// bearer tokens and JSON Web Tokens masked.
#[must_use]
pub fn mask_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut after_scheme = false;
    for word in text.split_inclusive(|c: char| c.is_whitespace() || c == '"' || c == '\'') {
        let bare = word.trim_end_matches(|c: char| c.is_whitespace() || c == '"' || c == '\'');
        let tail = &word[bare.len()..];
        let lower = bare.to_ascii_lowercase();
        if after_scheme || is_jwt(bare) {
            out.push_str(MASK);
        } else if bare.contains("://") {
            out.push_str(&mask_url_in_word(bare));
        } else {
            out.push_str(bare);
        }
        after_scheme = matches!(lower.as_str(), "bearer" | "basic");
        out.push_str(tail);
    }
    out
}

fn mask_url_in_word(word: &str) -> String {
    let Some(position) = word.find("://") else {
        return word.to_owned();
    };
    let start = word[..position]
        .rfind(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-' | '.'))
        .map_or(0, |i| {
            i + word[i..].chars().next().map_or(1, char::len_utf8)
        });
    format!("{}{}", &word[..start], mask_url(&word[start..]))
}

fn is_jwt(word: &str) -> bool {
    word.starts_with("eyJ") && word.matches('.').count() >= 2 && word.len() > 40
}

/// An object with every value masked that may be a secret: literal environment
/// values, Secret data, the last-applied annotation, managed fields dropped.
#[must_use]
pub fn mask_env(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let secret = map.get("kind").and_then(Value::as_str) == Some("Secret");
            let masked = map
                .iter()
                .filter(|(key, _)| key.as_str() != "managedFields")
                .map(|(key, item)| (key.clone(), mask_member(key, item, secret)))
                .collect();
            Value::Object(masked)
        }
        Value::Array(items) => Value::Array(items.iter().map(mask_env).collect()),
        other => other.clone(),
    }
}

/// An object as it may be saved: as [`mask_env`], every text in it without credentials
/// and without terminal control, and what a container is given as a secret on its
/// command line masked.
#[must_use]
pub fn mask_object(value: &Value) -> Value {
    clean_texts(mask_env(value))
}

fn clean_texts(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(plain(&mask_text(&text))),
        Value::Array(items) => items.into_iter().map(clean_texts).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, item)| match (key.as_str(), item) {
                ("args" | "command", Value::Array(words)) => (key, mask_arguments(words)),
                (_, item) => (plain(&key), clean_texts(item)),
            })
            .collect(),
        other => other,
    }
}

/// `--password=x` and `--password x`, by the option's name.
fn mask_arguments(words: Vec<Value>) -> Value {
    let mut follows = false;
    let masked = words.into_iter().map(|word| {
        let Value::String(text) = &word else {
            return clean_texts(word);
        };
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text.as_str(), None),
        };
        let secret = names_a_secret(name);
        if std::mem::replace(
            &mut follows,
            secret && value.is_none() && name.starts_with('-'),
        ) {
            return Value::from(MASK);
        }
        match value {
            Some(_) if secret => Value::String(format!("{}={MASK}", plain(name))),
            _ => clean_texts(word),
        }
    });
    masked.collect()
}

/// Whether an option's name says that its value is not for everybody's eyes. A file
/// that holds it is no secret itself.
fn names_a_secret(name: &str) -> bool {
    const WORDS: [&str; 6] = [
        "password",
        "passwd",
        "secret",
        "token",
        "apikey",
        "credential",
    ];
    let name = name.to_ascii_lowercase().replace(['-', '_'], "");
    let place = ["file", "path", "dir", "name"];
    WORDS.iter().any(|word| name.contains(word)) && !place.iter().any(|end| name.ends_with(end))
}

fn mask_member(key: &str, item: &Value, secret: bool) -> Value {
    match key {
        "data" | "stringData" if secret => mask_all(item),
        "kubectl.kubernetes.io/last-applied-configuration" => Value::from(MASK),
        "env" => match item {
            Value::Array(entries) => Value::Array(entries.iter().map(mask_env_entry).collect()),
            other => mask_env(other),
        },
        _ => mask_env(item),
    }
}

fn mask_env_entry(entry: &Value) -> Value {
    let mut entry = mask_env(entry);
    if let Some(value) = entry.as_object_mut().and_then(|map| map.get_mut("value")) {
        *value = Value::from(MASK);
    }
    entry
}

fn mask_all(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.keys()
                .map(|key| (key.clone(), Value::from(MASK)))
                .collect(),
        ),
        Value::Null => Value::Null,
        _ => Value::from(MASK),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn control_sequences_lose_their_power() {
        assert_eq!(
            plain("a\x1b[31mred\x07\u{9b}2J\u{202e}x\tb\n"),
            "a\u{fffd}[31mred\u{fffd}\u{fffd}2J\u{fffd}x\tb\n"
        );
    }

    #[test]
    fn credentials_in_urls() {
        assert_eq!(mask_url("https://u:p@host:8/a.git"), "https://host:8/a.git");
        assert_eq!(mask_url("https://tok@host/a?t=1"), "https://host/a?***");
        assert_eq!(mask_url("ssh://git@host/a"), "ssh://git@host/a");
        assert_eq!(mask_url("git@host:a/b.git"), "git@host:a/b.git");
        assert_eq!(
            mask_text("fatal: unable to access 'http://u:sekret@h/x.git/': 403"),
            "fatal: unable to access 'http://h/x.git/': 403"
        );
        assert_eq!(
            mask_text("Authorization: Bearer abc.def x"),
            "Authorization: Bearer *** x"
        );
        let jwt = format!(
            "token eyJ{}.{}.{}",
            "a".repeat(20),
            "b".repeat(20),
            "c".repeat(20)
        );
        assert_eq!(mask_text(&jwt), "token ***");
    }

    #[test]
    fn objects_are_masked() {
        let object = json!({"kind": "Deployment", "metadata": {"managedFields": [1],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "b"}},
            "spec": {"containers": [{"env": [{"name": "A", "value": "s"}, {"name": "B", "valueFrom": {}}]}]}});
        let masked = mask_env(&object);
        assert_eq!(masked["spec"]["containers"][0]["env"][0]["value"], "***");
        assert_eq!(
            masked["spec"]["containers"][0]["env"][1],
            json!({"name": "B", "valueFrom": {}})
        );
        assert_eq!(masked["metadata"]["annotations"]["a"], "b");
        assert!(masked["metadata"].get("managedFields").is_none());
        let odd = json!({"a": ["x\u{1b}[2J https://u:p@h/x"], "b": 1});
        assert_eq!(
            mask_object(&odd),
            json!({"a": ["x\u{fffd}[2J https://h/x"], "b": 1})
        );
        let words = json!({"args": ["--api-token=s", "--password", "s", "--port", "80",
            "--token-file=/a", "PGPASSWORD=s", "serve", 1]});
        assert_eq!(
            mask_object(&words)["args"],
            json!([
                "--api-token=***",
                "--password",
                "***",
                "--port",
                "80",
                "--token-file=/a",
                "PGPASSWORD=***",
                "serve",
                1
            ])
        );
        let secret = json!({"kind": "Secret", "data": {"k": "v"}, "stringData": {"x": "y"}});
        assert_eq!(mask_env(&secret)["data"]["k"], "***");
    }
}
