//! Reading manifests as Argo CD and the API server read them.

use serde_json::Value;

fn options() -> serde_yaml::Options {
    // Like sigs.k8s.io/yaml: YAML 1.1 octals, and of two equal keys the last wins.
    serde_yaml::options! {
        legacy_octal_numbers: true,
        duplicate_keys: serde_yaml::DuplicateKeyPolicy::LastWins,
    }
}

/// Reads one document.
pub(crate) fn parse_one(text: &str) -> Result<Value, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_yaml::from_str_with_options(text, options()).map_err(|e| e.to_string())
}

/// Reads the objects of a file: all its documents, with the items of Lists in their place.
pub(crate) fn parse_all(text: &str) -> Result<Vec<Value>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let documents: Vec<Value> =
        serde_yaml::from_multiple_with_options(text, options()).map_err(|e| e.to_string())?;
    let mut out = Vec::new();
    for document in documents {
        let is_list = document["kind"]
            .as_str()
            .is_some_and(|k| k.ends_with("List"));
        match document.get("items").and_then(Value::as_array) {
            Some(items) if is_list => out.extend(items.iter().cloned()),
            _ if document.is_null() => {}
            _ => out.push(document),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_lists_and_marks() {
        let text = "\u{feff}apiVersion: v1\r\nkind: A\r\n---\n# nothing\n---\napiVersion: v1\nkind: List\nitems:\n- kind: B\n- kind: C\n";
        let kinds: Vec<String> = parse_all(text)
            .unwrap()
            .iter()
            .map(|o| o["kind"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(kinds, ["A", "B", "C"]);
    }

    #[test]
    fn the_last_of_two_equal_keys_wins() {
        assert_eq!(parse_one("a: 1\na: 2\n").unwrap()["a"], 2);
    }
}
