//! Paths to a field, in the form people type and as RFC 6901 pointers.

use std::fmt;
use std::str::FromStr;

use super::merge_key::merge_key;

/// One step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// A key of a map.
    Key(String),
    /// An item of a list by its place. In a map it is the key of that spelling (RFC 6901 pointers
    /// cannot tell the two apart); in a list of ports it is the port when there is no such place.
    Index(usize),
    /// The item of a list whose field `key` has this value.
    Named {
        /// The field that tells items apart, mostly Kubernetes' merge key.
        key: String,
        /// Its value.
        value: String,
    },
    /// Behind the last item of a list: `-` of RFC 6901.
    End,
}

/// The path of a field inside one object; the empty path is the object itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Path(Vec<Step>);

/// A path that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "bad path `{path}`: {reason} (at character {at}); write it as \
         spec.template.spec.containers[proxy].image or as a JSON pointer /spec/replicas"
)]
pub struct PathError {
    path: String,
    at: usize,
    reason: &'static str,
}

impl Path {
    /// The path with these steps.
    #[must_use]
    pub fn new(steps: Vec<Step>) -> Self {
        Self(steps)
    }

    /// The path made of map keys only.
    #[must_use]
    pub fn of_keys<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        Self(
            keys.into_iter()
                .map(|key| Step::Key(key.to_owned()))
                .collect(),
        )
    }

    /// Its steps, outermost first.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// True for the object itself.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This path, one step longer.
    #[must_use]
    pub fn child(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// This path, one map key longer.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.child(Step::Key(key.to_owned()))
    }

    /// The path around the last step; `None` for the empty path.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (_, rest) = self.0.split_last()?;
        Some(Self(rest.to_vec()))
    }

    /// The last step; `None` for the empty path.
    #[must_use]
    pub fn last(&self) -> Option<&Step> {
        self.0.last()
    }

    /// True when `other` is this path or lies below it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// Reads an RFC 6901 JSON pointer.
    ///
    /// # Errors
    /// When it does not begin with `/` or has a `~` that is neither `~0` nor `~1`.
    pub fn from_pointer(pointer: &str) -> Result<Self, PathError> {
        let fail = |at, reason| PathError {
            path: pointer.to_owned(),
            at,
            reason,
        };
        if pointer.is_empty() {
            return Ok(Self::default());
        }
        let Some(rest) = pointer.strip_prefix('/') else {
            return Err(fail(1, "a JSON pointer begins with `/`"));
        };
        let mut steps = Vec::new();
        for token in rest.split('/') {
            let mut text = String::with_capacity(token.len());
            let mut chars = token.chars();
            while let Some(c) = chars.next() {
                match (c, c == '~') {
                    (_, false) => text.push(c),
                    (_, true) => match chars.next() {
                        Some('0') => text.push('~'),
                        Some('1') => text.push('/'),
                        _ => {
                            return Err(fail(1, "`~` must be written `~0`, `/` inside a key `~1`"));
                        }
                    },
                }
            }
            steps.push(match text.as_str() {
                "-" => Step::End,
                _ => index(&text).map_or(Step::Key(text), Step::Index),
            });
        }
        Ok(Self(steps))
    }

    /// The RFC 6901 pointer, where no item is named by a field ([`Step::Named`] has no pointer;
    /// [`super::Manifest::indexed`] turns names into places).
    #[must_use]
    pub fn to_pointer(&self) -> Option<String> {
        let mut out = String::new();
        for step in &self.0 {
            out.push('/');
            match step {
                Step::Key(key) => out.push_str(&key.replace('~', "~0").replace('/', "~1")),
                Step::Index(place) => out.push_str(&place.to_string()),
                Step::End => out.push('-'),
                Step::Named { .. } => return None,
            }
        }
        Some(out)
    }
}

impl FromIterator<Step> for Path {
    fn from_iter<T: IntoIterator<Item = Step>>(steps: T) -> Self {
        Self(steps.into_iter().collect())
    }
}

fn index(text: &str) -> Option<usize> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if canonical && digits {
        text.parse().ok()
    } else {
        None
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        if text.starts_with('/') {
            return Self::from_pointer(text);
        }
        let mut reader = Reader { text, rest: text };
        let mut path = Self::default();
        while !reader.rest.is_empty() {
            let step = reader.step(&path)?;
            path.0.push(step);
        }
        Ok(path)
    }
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl Reader<'_> {
    fn fail(&self, reason: &'static str) -> PathError {
        let at = self.text[..self.text.len() - self.rest.len()]
            .chars()
            .count()
            + 1;
        PathError {
            path: self.text.to_owned(),
            at,
            reason,
        }
    }

    fn step(&mut self, before: &Path) -> Result<Step, PathError> {
        if let Some(rest) = self.rest.strip_prefix('[') {
            self.rest = rest;
            let step = self.bracket(before)?;
            self.rest = self
                .rest
                .strip_prefix(']')
                .ok_or_else(|| self.fail("`]` is missing"))?;
            return Ok(step);
        }
        if !before.is_empty() {
            self.rest = self
                .rest
                .strip_prefix('.')
                .ok_or_else(|| self.fail("`.` or `[` must follow a step"))?;
        }
        let end = self.rest.find(['.', '[']).unwrap_or(self.rest.len());
        let key = &self.rest[..end];
        if key.is_empty() {
            return Err(self.fail("a key is empty; write an empty key as [\"\"]"));
        }
        if key.contains([']', '"', '\'', '\\']) || key.contains(char::is_whitespace) {
            return Err(self.fail("a key with such characters is written as [\"key\"]"));
        }
        self.rest = &self.rest[end..];
        Ok(Step::Key(key.to_owned()))
    }

    fn bracket(&mut self, before: &Path) -> Result<Step, PathError> {
        if self.rest.starts_with('"') {
            return Ok(Step::Key(self.quoted()?));
        }
        let end = self.rest.find([']', '=', '"']).unwrap_or(self.rest.len());
        let word = self.rest[..end].to_owned();
        if word.is_empty() {
            return Err(self.fail("nothing between the brackets"));
        }
        self.rest = &self.rest[end..];
        if let Some(rest) = self.rest.strip_prefix('=') {
            self.rest = rest;
            let value = if self.rest.starts_with('"') {
                self.quoted()?
            } else {
                let end = self.rest.find([']', '"']).unwrap_or(self.rest.len());
                let value = self.rest[..end].to_owned();
                self.rest = &self.rest[end..];
                value
            };
            return Ok(Step::Named { key: word, value });
        }
        if word == "-" {
            return Ok(Step::End);
        }
        if let Some(place) = index(&word) {
            return Ok(Step::Index(place));
        }
        let key = merge_key(before).unwrap_or("name").to_owned();
        Ok(Step::Named { key, value: word })
    }

    /// A JSON string, so that every key can be written.
    fn quoted(&mut self) -> Result<String, PathError> {
        let mut strings = serde_json::Deserializer::from_str(self.rest).into_iter::<String>();
        match strings.next() {
            Some(Ok(text)) => {
                let used = strings.byte_offset();
                self.rest = &self.rest[used..];
                Ok(text)
            }
            _ => Err(self.fail("a quoted key is a JSON string: [\"a.b/c\"]")),
        }
    }
}

fn is_bare_key(key: &str) -> bool {
    !key.is_empty()
        && !key.starts_with('/')
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '$' | '@'))
}

fn is_bare_name(name: &str) -> bool {
    !name.is_empty()
        && name != "-"
        && index(name).is_none()
        && !name.contains([']', '=', '"', '['])
        && !name.contains(char::is_control)
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quote = |text: &str| serde_json::Value::from(text).to_string();
        for (place, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if is_bare_key(key) => {
                    let dot = if place == 0 { "" } else { "." };
                    write!(f, "{dot}{key}")?;
                }
                Step::Key(key) => write!(f, "[{}]", quote(key))?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::End => f.write_str("[-]")?,
                Step::Named { key, value } => {
                    let list = Self(self.0[..place].to_vec());
                    if key == merge_key(&list).unwrap_or("name") && is_bare_name(value) {
                        write!(f, "[{value}]")?;
                    } else {
                        write!(f, "[{key}={}]", quote(value))?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(key: &str, value: &str) -> Step {
        Step::Named {
            key: key.to_owned(),
            value: value.to_owned(),
        }
    }

    #[test]
    fn surface_form_is_read_and_printed() {
        let text = "spec.template.spec.containers[proxy].image";
        let path: Path = text.parse().unwrap();
        assert_eq!(path.steps()[4], named("name", "proxy"));
        assert_eq!(path.to_string(), text);
        let text = r#"metadata.annotations["a.b/c"]"#;
        let path: Path = text.parse().unwrap();
        assert_eq!(path.last(), Some(&Step::Key("a.b/c".to_owned())));
        assert_eq!(path.to_string(), text);
        let path: Path = "spec.containers[a].ports[containerPort=8080].name"
            .parse()
            .unwrap();
        assert_eq!(path.steps()[3], Step::Key("ports".into()));
        assert_eq!(path.steps()[4], named("containerPort", "8080"));
        assert_eq!(path.to_string().parse::<Path>().unwrap(), path);
        let path: Path = "spec.containers[a].volumeMounts[/etc/x.d].subPath"
            .parse()
            .unwrap();
        assert_eq!(path.steps()[4], named("mountPath", "/etc/x.d"));
        assert_eq!(
            "spec.ports[0].port".parse::<Path>().unwrap().steps()[2],
            Step::Index(0)
        );
    }

    #[test]
    fn pointers_are_read_and_printed() {
        let path = Path::from_pointer("/metadata/annotations/a.b~1c~0d/0/-").unwrap();
        assert_eq!(
            path.steps()[2..],
            [Step::Key("a.b/c~d".into()), Step::Index(0), Step::End]
        );
        assert_eq!(
            path.to_pointer().as_deref(),
            Some("/metadata/annotations/a.b~1c~0d/0/-")
        );
        assert_eq!(path.to_string().parse::<Path>().unwrap(), path);
        assert_eq!(
            "/a/01".parse::<Path>().unwrap().steps()[1],
            Step::Key("01".into())
        );
        assert!(Path::from_pointer("a").is_err());
        assert!(Path::from_pointer("/a~2").is_err());
        assert_eq!(Path::from_pointer("").unwrap(), Path::default());
    }

    #[test]
    fn bad_paths_say_where() {
        for text in [
            "a..b", ".a", "a[", "a[x", "a[]", "a[\"x]", "a]b", "a b", "a[x]b", "a.",
        ] {
            let error = text.parse::<Path>().unwrap_err();
            assert!(
                error.to_string().contains("at character"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn every_step_prints_so_that_it_reads_back() {
        let odd = [
            "", "-", "0", "007", "a]b", "a=b", "x\"y", "/p", "a.b", "é", "a\nb", " ",
        ];
        for word in odd {
            for step in [
                Step::Key(word.into()),
                named("name", word),
                named("ip", word),
            ] {
                let path = Path::new(vec![Step::Key("a".into()), step]);
                assert_eq!(path.to_string().parse::<Path>().unwrap(), path, "{path}");
            }
        }
    }
}
