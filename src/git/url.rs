//! Remote URLs: which of them name the same repository, shown without credentials.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::model::{mask_url, plain};

/// The address of a repository as git accepts it: a URL, the scp-like `host:path`, or
/// a local path.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteUrl {
    text: String,
    place: Place,
}

#[derive(Clone, PartialEq, Eq)]
enum Place {
    Host {
        scheme: Scheme,
        user: Option<String>,
        password: Option<String>,
        host: String,
        port: Option<u16>,
        path: String,
    },
    Local(PathBuf),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Ssh,
    Http,
    Https,
    Git,
}

impl Scheme {
    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "ssh" | "git+ssh" | "ssh+git" => Some(Self::Ssh),
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            "git" => Some(Self::Git),
            _ => None,
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Ssh => 22,
            Self::Http => 80,
            Self::Https => 443,
            Self::Git => 9418,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Http => "http",
            Self::Https => "https",
            Self::Git => "git",
        }
    }

    const fn is_web(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }
}

/// A text that names no repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{shown:?} is not a repository address: {reason}")]
pub struct InvalidRemoteUrl {
    /// The text, without credentials.
    pub shown: String,
    /// Why.
    pub reason: &'static str,
}

/// Hosts on which the case of the path means nothing.
const CASELESS_HOSTS: [&str; 4] = ["github.com", "gitlab.com", "bitbucket.org", "codeberg.org"];

impl RemoteUrl {
    /// Takes a URL (`ssh`, `http`, `https`, `git`, `file`), the scp-like form or a path.
    ///
    /// # Errors
    /// When the text is empty, has a scheme that is no Git remote, or has no host or path.
    pub fn parse(text: &str) -> Result<Self, InvalidRemoteUrl> {
        let text = text.trim();
        let invalid = |reason| InvalidRemoteUrl {
            shown: plain(&mask_url(text)),
            reason,
        };
        if text.is_empty() {
            return Err(invalid("it is empty"));
        }
        if text.starts_with('-') || text.contains(char::is_control) {
            return Err(invalid("it begins with `-` or has control characters"));
        }
        let place = if let Some((scheme, rest)) = text.split_once("://") {
            if scheme.eq_ignore_ascii_case("file") {
                let path = rest.find('/').map_or("", |start| &rest[start..]);
                Place::Local(PathBuf::from(percent_decoded(path)))
            } else {
                let scheme = Scheme::parse(scheme).ok_or_else(|| {
                    invalid("only ssh, https, http, git and file addresses are Git remotes")
                })?;
                host_place(scheme, rest).map_err(invalid)?
            }
        } else if let Some((authority, path)) = scp_like(text) {
            let (user, host) = match authority.rsplit_once('@') {
                Some((user, host)) => (Some(user.to_owned()), host),
                None => (None, authority),
            };
            let host = host.trim_start_matches('[').trim_end_matches(']');
            Place::Host {
                scheme: Scheme::Ssh,
                user,
                password: None,
                host: host.to_ascii_lowercase(),
                port: None,
                path: path.to_owned(),
            }
        } else {
            Place::Local(PathBuf::from(text))
        };
        let parsed = Self {
            text: text.to_owned(),
            place,
        };
        if parsed.path().is_empty() {
            return Err(invalid("it names no repository on that host"));
        }
        Ok(parsed)
    }

    /// Whether both addresses name one repository: scheme, user, password, default
    /// port, case of the host, a trailing `.git` and slashes make no difference.
    #[must_use]
    pub fn same_repository(&self, other: &Self) -> bool {
        if self.normalised() != other.normalised() {
            return false;
        }
        // The ports of ssh and https of one self-hosted forge have nothing to do with
        // each other; within one family a port names another server.
        match (&self.place, &other.place) {
            (Place::Host { scheme: a, .. }, Place::Host { scheme: b, .. }) => {
                a.is_web() != b.is_web() || self.effective_port() == other.effective_port()
            }
            _ => true,
        }
    }

    /// Host and path as they are compared, without scheme, user and port.
    #[must_use]
    pub fn normalised(&self) -> String {
        match &self.place {
            Place::Host { host, path, .. } => {
                // These serve ssh on the https port under another name.
                let host = match host.as_str() {
                    "ssh.github.com" => "github.com",
                    "altssh.gitlab.com" => "gitlab.com",
                    "altssh.bitbucket.org" => "bitbucket.org",
                    other => other,
                };
                let mut path = trimmed_path(&percent_decoded(path));
                if CASELESS_HOSTS.contains(&host) {
                    path = path.to_lowercase();
                }
                format!("{host}/{path}")
            }
            Place::Local(path) => {
                let found = std::fs::canonicalize(path)
                    .or_else(|_| std::fs::canonicalize(with_dot_git(path)))
                    .or_else(|_| std::path::absolute(path))
                    .unwrap_or_else(|_| path.clone());
                let found = found.strip_suffix_dot_git();
                format!("file:{}", found.display())
            }
        }
    }

    /// The address as it was given, perhaps with credentials: only for handing to git.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The address without user and password of a web address; the account name of
    /// an ssh address stays, it is part of the address.
    #[must_use]
    pub fn without_credentials(&self) -> String {
        match &self.place {
            Place::Host {
                scheme,
                user,
                password,
                host,
                port,
                path,
            } if scheme.is_web() || password.is_some() => {
                let account = match user {
                    Some(user) if !scheme.is_web() => format!("{user}@"),
                    _ => String::new(),
                };
                let host = bracketed(host);
                let port = port.map(|port| format!(":{port}")).unwrap_or_default();
                let path = path.trim_start_matches('/');
                format!("{}://{account}{host}{port}/{path}", scheme.name())
            }
            _ => self.text.clone(),
        }
    }

    /// The host, if it is not a local path.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match &self.place {
            Place::Host { host, .. } => Some(host),
            Place::Local(_) => None,
        }
    }

    /// The path on the host, or the local path, as given.
    #[must_use]
    pub fn path(&self) -> String {
        match &self.place {
            Place::Host { path, .. } => trimmed_path(path),
            Place::Local(path) => path.display().to_string(),
        }
    }

    /// Whether it is a folder of this machine.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        matches!(self.place, Place::Local(_))
    }

    /// Texts that must appear in nothing that is shown.
    pub(super) fn secrets(&self) -> Vec<String> {
        let Place::Host {
            scheme,
            user,
            password,
            ..
        } = &self.place
        else {
            return Vec::new();
        };
        let mut found = Vec::new();
        if let Some(password) = password.as_ref().filter(|text| text.len() > 2) {
            found.push(password.clone());
            found.push(percent_decoded(password));
        }
        // A lone user name of a web address is how tokens are often given.
        if let Some(user) = user.as_ref().filter(|text| text.len() > 7)
            && scheme.is_web()
        {
            found.push(user.clone());
            found.push(percent_decoded(user));
        }
        found
    }

    fn effective_port(&self) -> Option<u16> {
        match &self.place {
            Place::Host { scheme, port, .. } => {
                let own = port.filter(|port| *port != scheme.default_port());
                let alternative = self.host().is_some_and(|host| {
                    matches!(
                        host,
                        "ssh.github.com" | "altssh.gitlab.com" | "altssh.bitbucket.org"
                    )
                });
                if alternative { None } else { own }
            }
            Place::Local(_) => None,
        }
    }
}

trait WithoutDotGit {
    fn strip_suffix_dot_git(&self) -> PathBuf;
}

impl WithoutDotGit for Path {
    /// `a/.git` is the repository of the work tree `a`; `a.git` is `a`.
    fn strip_suffix_dot_git(&self) -> PathBuf {
        if self.file_name().is_some_and(|name| name == ".git") {
            return self.parent().unwrap_or(self).to_path_buf();
        }
        if self.extension().is_some_and(|ext| ext == "git") {
            return self.with_extension("");
        }
        self.to_path_buf()
    }
}

/// git finds `a.git` under the name `a`.
fn with_dot_git(path: &Path) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(".git");
    PathBuf::from(text)
}

fn host_place(scheme: Scheme, rest: &str) -> Result<Place, &'static str> {
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (account, host_port) = match authority.rsplit_once('@') {
        Some((account, host)) => (Some(account), host),
        None => (None, authority),
    };
    let (user, password) = match account.map(|text| text.split_once(':').unwrap_or((text, ""))) {
        Some((user, password)) => (
            Some(user.to_owned()).filter(|text| !text.is_empty()),
            Some(password.to_owned()).filter(|text| !text.is_empty()),
        ),
        None => (None, None),
    };
    let (host, port) = split_port(host_port)?;
    if host.is_empty() {
        return Err("it names no host");
    }
    Ok(Place::Host {
        scheme,
        user,
        password,
        host: host.to_ascii_lowercase(),
        port,
        path: path.to_owned(),
    })
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, after)) => (host, after.strip_prefix(':').unwrap_or_default()),
        None => text.rsplit_once(':').unwrap_or((text, "")),
    };
    if port.is_empty() {
        return Ok((host, None));
    }
    let number = port.parse().map_err(|_| "its port is not a number")?;
    Ok((host, Some(number)))
}

/// git takes `host:path` for ssh when no slash comes before the first colon.
fn scp_like(text: &str) -> Option<(&str, &str)> {
    let from = text.find(']').unwrap_or(0);
    let colon = from + text[from..].find(':')?;
    let (authority, path) = (&text[..colon], &text[colon + 1..]);
    (!authority.is_empty() && !authority.contains('/')).then_some((authority, path))
}

fn trimmed_path(path: &str) -> String {
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    path.split('/')
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("/")
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain(&mask_url(&self.without_credentials())))
    }
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> RemoteUrl {
        RemoteUrl::parse(text).unwrap()
    }

    #[test]
    fn addresses_of_one_repository() {
        let same = [
            "https://github.com/Acme/gitops.git",
            "https://github.com/acme/gitops",
            "https://user:pass@GitHub.com:443/acme/gitops/",
            "http://github.com/acme/gitops",
            "git@github.com:acme/gitops.git",
            "github.com:acme/gitops",
            "git@github.com:/acme/gitops.git/",
            "ssh://git@github.com/acme/gitops.git",
            "ssh://git@github.com:22/acme//gitops",
            "ssh://git@ssh.github.com:443/acme/gitops.git",
            "git://github.com/acme/gitops",
            "https://github.com/acme/git%6fps",
        ];
        for a in same {
            for b in same {
                assert!(url(a).same_repository(&url(b)), "{a} {b}");
            }
        }
        let one = url("https://git.example:8443/acme/gitops.git");
        for other in [
            "https://git.example:9443/acme/gitops.git",
            "https://git.example:8443/acme/gitops2.git",
            "https://git.example:8443/Acme/gitops",
            "https://example:8443/acme/gitops.git",
            "/acme/gitops.git",
        ] {
            assert!(!one.same_repository(&url(other)), "{other}");
        }
        assert!(one.same_repository(&url("ssh://git@git.example:2222/acme/gitops")));
        assert!(url("ssh://[::1]:22/a/b").same_repository(&url("[::1]:a/b.git")));
    }

    #[test]
    fn local_paths() {
        let dir = tempfile::tempdir().unwrap();
        let bare = dir.path().join("a.git");
        std::fs::create_dir(&bare).unwrap();
        let text = bare.display().to_string();
        let without = text.trim_end_matches(".git").to_owned();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&bare, &link).unwrap();
        for other in [
            format!("file://{text}"),
            format!("file://localhost{text}/"),
            without,
            link.display().to_string(),
        ] {
            assert!(url(&text).same_repository(&url(&other)), "{other}");
        }
        assert!(!url(&text).same_repository(&url(&format!("{text}x"))));
    }

    #[test]
    fn what_is_no_address() {
        for bad in [
            "",
            "oci://ghcr.io/a/b",
            "https:///a/b",
            "https://host/",
            "https://host:x/a",
            "--upload-pack=x",
            "git@host:",
        ] {
            assert!(RemoteUrl::parse(bad).is_err(), "{bad:?}");
        }
        let error = RemoteUrl::parse("ftp://u:sekret@host/a").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("sekret"), "{error}");
    }

    #[test]
    fn credentials_are_not_shown() {
        let with = url("https://bob:sekret%21@host:8/a/b.git");
        assert_eq!(with.to_string(), "https://host:8/a/b.git");
        assert_eq!(with.without_credentials(), "https://host:8/a/b.git");
        assert!(!format!("{with:?}").contains("sekret"));
        assert_eq!(with.secrets(), ["sekret%21", "sekret!"]);
        let token = url("https://ghp_0123456789@host/a");
        assert_eq!(token.to_string(), "https://host/a");
        assert!(token.secrets().contains(&"ghp_0123456789".to_owned()));
        let ssh = url("ssh://git:pw12@host:2222/a");
        assert_eq!(ssh.to_string(), "ssh://git@host:2222/a");
        assert_eq!(url("git@host:a/b").to_string(), "git@host:a/b");
    }
}
