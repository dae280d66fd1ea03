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
    fn scalars_are_those_of_yaml_1_1() {
        let read = parse_one("a: yes\nb: n\nc: 0644\nd: 1_000\ne: \"yes\"\nf: 1:30\n").unwrap();
        let wanted = serde_json::json!({"a": true, "b": false, "c": 420, "d": 1000, "e": "yes",
            "f": "1:30"});
        assert_eq!(read, wanted);
    }

    #[test]
    fn the_last_of_two_equal_keys_wins() {
        assert_eq!(parse_one("a: 1\na: 2\n").unwrap()["a"], 2);
    }
}

#[cfg(test)]
mod traps {
    use super::*;
    use crate::sandbox::json::{list, text};

    fn read(name: &str) -> Result<Vec<Value>, String> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = root.join("manifests-fixtures/traps").join(name);
        let bytes = std::fs::read(path).unwrap();
        parse_all(&String::from_utf8(bytes).unwrap())
    }

    fn image(objects: &[Value]) -> &str {
        text(&objects[0], "/spec/template/spec/containers/0/image")
    }

    #[test]
    fn what_kubernetes_reads_is_read() {
        for name in [
            "crlf.yml",
            "bom.yml",
            "no-final-newline.yml",
            "anchors.yml",
            "list.yaml",
            "tabs.yml",
            "duplicate-keys.yml",
            "same-name-twice.yml",
        ] {
            let objects = read(name).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(
                image(&objects),
                "ghcr.io/apexalgo/search-web:2026.3.1",
                "{name}"
            );
        }
        assert_eq!(read("list.yaml").unwrap().len(), 2);
        let copied = read("anchors.yml").unwrap();
        let env = list(&copied[0], "/spec/template/spec/containers/1/env");
        assert_eq!(
            (text(&env[1], "/name"), text(&env[1], "/value")),
            ("FEATURE_COPY", "on")
        );
    }

    #[test]
    fn what_kubernetes_refuses_is_refused() {
        for name in [
            "tab-indent.yml",
            "unparsable.yml",
            "helm/templates/deployment.yaml",
        ] {
            assert!(read(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_files_are_as_odd_as_they_should_be() {
        let root =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests-fixtures/traps");
        let bytes = |name: &str| std::fs::read(root.join(name)).unwrap();
        assert!(bytes("crlf.yml").windows(2).any(|w| w == b"\r\n"));
        assert!(bytes("bom.yml").starts_with(&[0xef, 0xbb, 0xbf]));
        assert!(!bytes("no-final-newline.yml").ends_with(b"\n"));
        assert!(bytes("tabs.yml").contains(&b'\t'));
    }
}
