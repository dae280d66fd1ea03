//! Image references, compared the way container runtimes resolve them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An image reference as written, with its parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct ImageRef {
    text: String,
}

impl ImageRef {
    /// Takes a reference as it stands in a manifest.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }

    /// The reference as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn without_digest(&self) -> &str {
        self.text
            .split_once('@')
            .map_or(self.text.as_str(), |(name, _)| name)
    }

    /// The tag, if one is written.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        let (_, tag) = self.without_digest().rsplit_once(':')?;
        // A colon before the last slash belongs to a registry's port.
        (!tag.contains('/')).then_some(tag)
    }

    /// The digest (`sha256:...`), if one is written.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.text.split_once('@').map(|(_, digest)| digest)
    }

    /// The name without tag and digest, as written.
    #[must_use]
    pub fn name(&self) -> &str {
        let bare = self.without_digest();
        match self.tag() {
            Some(tag) => bare
                .strip_suffix(tag)
                .and_then(|n| n.strip_suffix(':'))
                .unwrap_or(bare),
            None => bare,
        }
    }

    /// The first part of the name when it is a registry host, by the runtimes' rule:
    /// it has a dot or a colon, or is `localhost`.
    #[must_use]
    pub fn registry(&self) -> Option<&str> {
        let (first, _) = self.name().split_once('/')?;
        (first.contains('.') || first.contains(':') || first == "localhost").then_some(first)
    }

    /// The repository without registry: `library/nginx` for `nginx`.
    #[must_use]
    pub fn repository(&self) -> String {
        let name = self.name();
        match self.registry() {
            Some(registry) => {
                let rest = name
                    .strip_prefix(registry)
                    .and_then(|n| n.strip_prefix('/'));
                let rest = rest.unwrap_or(name);
                if Self::is_docker_hub(registry) && !rest.contains('/') {
                    format!("library/{rest}")
                } else {
                    rest.to_owned()
                }
            }
            None if name.contains('/') => name.to_owned(),
            None => format!("library/{name}"),
        }
    }

    fn is_docker_hub(registry: &str) -> bool {
        matches!(
            registry,
            "docker.io" | "index.docker.io" | "registry-1.docker.io"
        )
    }

    /// `registry/repository:tag[@digest]` with the defaults that container runtimes fill in.
    #[must_use]
    pub fn normalised(&self) -> String {
        let registry = self
            .registry()
            .filter(|r| !Self::is_docker_hub(r))
            .unwrap_or("docker.io");
        let mut out = format!("{registry}/{}", self.repository());
        match (self.tag(), self.digest()) {
            (Some(tag), _) => out.push_str(&format!(":{tag}")),
            (None, None) => out.push_str(":latest"),
            (None, Some(_)) => {}
        }
        if let Some(digest) = self.digest() {
            out.push_str(&format!("@{digest}"));
        }
        out
    }

    /// Whether both name the same image, whatever the default registry's spelling.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.normalised() == other.normalised()
    }

    /// Whether both have the same repository, tag and digest and only the registry
    /// host (or a path prefix put before the whole name) differs: what a mutating
    /// webhook makes when it points pods at a registry mirror.
    #[must_use]
    pub fn is_mirror_of(&self, other: &Self) -> bool {
        if self.same_as(other) {
            return true;
        }
        if self.tag() != other.tag() || self.digest() != other.digest() {
            return false;
        }
        let (own, wanted) = (self.repository(), other.repository());
        let wanted_full = other.normalised();
        let wanted_full = wanted_full
            .split([':', '@'])
            .next()
            .unwrap_or_default()
            .to_owned();
        own == wanted || own.ends_with(&format!("/{wanted}")) || own == wanted_full
    }

    /// What people call this release: the tag, else the digest's first digits, else the name.
    #[must_use]
    pub fn release(&self) -> String {
        if let Some(tag) = self.tag() {
            return tag.to_owned();
        }
        match self.digest() {
            Some(digest) => digest.chars().take(19).collect(),
            None => format!("{}:latest", self.name()),
        }
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<String> for ImageRef {
    fn from(text: String) -> Self {
        Self { text }
    }
}

impl From<ImageRef> for String {
    fn from(image: ImageRef) -> Self {
        image.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let image = ImageRef::new("127.0.0.1:5000/codex/control-plane:production-0.1.44");
        assert_eq!(image.tag(), Some("production-0.1.44"));
        assert_eq!(image.name(), "127.0.0.1:5000/codex/control-plane");
        assert_eq!(image.registry(), Some("127.0.0.1:5000"));
        assert_eq!(image.repository(), "codex/control-plane");
        let untagged = ImageRef::new("localhost:7439/a/b");
        assert_eq!(
            (untagged.tag(), untagged.name()),
            (None, "localhost:7439/a/b")
        );
        let pinned = ImageRef::new("a/b:1@sha256:abc");
        assert_eq!(
            (pinned.tag(), pinned.digest()),
            (Some("1"), Some("sha256:abc"))
        );
    }

    #[test]
    fn default_registry_and_tag_are_the_same_image() {
        let same = [
            ("nginx", "docker.io/library/nginx:latest"),
            ("a/b:1", "docker.io/a/b:1"),
            ("index.docker.io/a/b:1", "a/b:1"),
        ];
        for (a, b) in same {
            assert!(ImageRef::new(a).same_as(&ImageRef::new(b)), "{a} {b}");
        }
        assert!(!ImageRef::new("a/b:1").same_as(&ImageRef::new("ghcr.io/a/b:1")));
    }

    #[test]
    fn mirrors_keep_repository_and_tag() {
        let wanted = ImageRef::new("ronaldraygun/zai-proxy:1.9.0");
        let mirrored = ImageRef::new("localhost:7439/ronaldraygun/zai-proxy:1.9.0");
        assert!(mirrored.is_mirror_of(&wanted));
        let other_tag = ImageRef::new("localhost:7439/ronaldraygun/zai-proxy:1.8.0");
        assert!(!other_tag.is_mirror_of(&wanted));
    }
}
