//! `ARGOCD_OPTS`: split and read the way the argocd CLI does it
//! (`util/config/env.go` and go-shellquote, Argo CD 3.2).

use std::collections::BTreeMap;

/// Words of a shell-like line: single and double quotes and backslashes, no expansion.
fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => quoted(&mut chars, word.get_or_insert_default())?,
            '"' => double_quoted(&mut chars, word.get_or_insert_default())?,
            '\\' => match chars.next() {
                None => return Err("it ends in a backslash"),
                Some('\n') => {}
                Some(next) => word.get_or_insert_default().push(next),
            },
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), &'static str> {
    for c in chars {
        if c == '\'' {
            return Ok(());
        }
        word.push(c);
    }
    Err("a single quote is not closed")
}

fn double_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), &'static str> {
    while let Some(c) = chars.next() {
        match c {
            '"' => return Ok(()),
            '\\' => match chars.next() {
                Some('\n') => {}
                Some(next @ ('$' | '`' | '"' | '\\')) => word.push(next),
                Some(next) => word.extend(['\\', next]),
                None => break,
            },
            c => word.push(c),
        }
    }
    Err("a double quote is not closed")
}

/// The flags in the text: name without dashes to value, `true` for one without a value.
///
/// The message of an error names no word of the text: it may hold a token.
pub(super) fn read(text: &str) -> Result<BTreeMap<String, String>, String> {
    let words = split(text)?;
    let mut flags = BTreeMap::new();
    let mut open: Option<String> = None;
    for (position, word) in words.into_iter().enumerate() {
        match (word.strip_prefix("--"), open.take()) {
            (Some(name), before) => {
                flags.extend(before.map(|name| (name, "true".to_owned())));
                open = Some(name.to_owned());
            }
            (None, Some(name)) => {
                flags.insert(name, word);
            }
            (None, None) => {
                let position = position + 1;
                return Err(format!(
                    "word {position} is neither a flag nor a flag's value"
                ));
            }
        }
    }
    flags.extend(open.map(|name| (name, "true".to_owned())));
    let joined: Vec<(String, String)> = flags
        .iter()
        .filter(|(_, value)| *value == "true")
        .filter_map(|(key, _)| key.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    for (key, value) in joined {
        flags.entry(key).or_insert(value);
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        read(text)
            .unwrap()
            .into_iter()
            .filter(|(key, _)| !key.contains('='))
            .collect()
    }

    #[test]
    fn flags_as_the_cli_reads_them() {
        for (text, expected) in [
            ("", &[][..]),
            ("--plaintext", &[("plaintext", "true")][..]),
            (
                "--grpc-web --insecure",
                &[("grpc-web", "true"), ("insecure", "true")],
            ),
            (
                "--server a:80 --auth-token x.y",
                &[("auth-token", "x.y"), ("server", "a:80")],
            ),
            (
                "--server=a --auth-token=b==",
                &[("auth-token", "b=="), ("server", "a")],
            ),
            (
                "--header 'A: b c' --plaintext",
                &[("header", "A: b c"), ("plaintext", "true")],
            ),
            ("--insecure false", &[("insecure", "false")]),
            (
                r#"--server "a b" --x a\ b"#,
                &[("server", "a b"), ("x", "a b")],
            ),
            (r#"--x "\$a\b""#, &[("x", r"$a\b")]),
            ("--x ''", &[("x", "")]),
        ] {
            let expected: Vec<(String, String)> = expected
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect();
            assert_eq!(pairs(text), expected, "{text}");
        }
    }

    #[test]
    fn what_the_cli_refuses_is_refused_without_repeating_it() {
        for text in [
            "sekret",
            "--a b sekret",
            "--a 'sekret",
            "--a \"sekret",
            "--a sekret\\",
        ] {
            let error = read(text).unwrap_err();
            assert!(!error.contains("sekret"), "{error}");
        }
    }
}
