//! Configuration: the user's own file, `--config`, and a repository's own unship.yaml. Everything has a default that
//! works without any file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a configuration file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {message}")]
pub struct Error {
    /// The file.
    pub file: String,
    /// What is wrong, with line and column where they are known.
    pub message: String,
}

/// The configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Clones to use, by repository URL.
    pub repositories: BTreeMap<String, String>,
    /// How Argo CD is reached.
    pub argocd: ArgocdConfig,
    /// Limit of every single read, e.g. `10s`.
    pub request_timeout: Option<String>,
    /// Commit identity where git has none.
    pub identity: Option<IdentityConfig>,
    /// Services with a production and a canary workload, by a name of one's own.
    pub services: BTreeMap<String, Service>,
    /// Where the metrics of pods are, for `unship collect`.
    pub metrics: MetricsConfig,
}

/// Where the metrics of pods are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// A URL that answers with the metrics text. `{pod}`, `{namespace}` and `{name}` (the
    /// workload's) are replaced; without `{pod}` it is asked once.
    pub url: Option<String>,
    /// The pods' port for `pods/proxy`, else that of their `prometheus.io/port`.
    pub port: Option<u16>,
    /// The path at that port, else that of their `prometheus.io/path`, else `/metrics`.
    pub path: Option<String>,
}

/// A service with two roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Service {
    /// Its namespace; without it any.
    pub namespace: Option<String>,
    /// The production workload.
    pub production: String,
    /// The canary workload.
    pub canary: String,
}

/// What a `unship.yaml` at a repository's root may say. It comes from whoever may
/// commit there, so it names neither programs nor hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RepositoryConfig {
    /// Services with a production and a canary workload.
    pub services: BTreeMap<String, Service>,
}

impl RepositoryConfig {
    /// Reads a file's text.
    ///
    /// # Errors
    /// As [`Config::parse`].
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        parse(file, text)
    }
}

fn parse<T: Default + serde::de::DeserializeOwned>(file: &str, text: &str) -> Result<T, Error> {
    if text
        .lines()
        .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
    {
        return Ok(T::default());
    }
    serde_yaml::from_str(text).map_err(|error| Error {
        file: file.to_owned(),
        message: error
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned(),
    })
}

/// How Argo CD is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ArgocdConfig {
    /// A read-only HTTP proxy of Argo CD's API that needs no token of ours.
    pub read_only_url: Option<String>,
}

/// A commit identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdentityConfig {
    /// Name.
    pub name: String,
    /// E-mail address.
    pub email: String,
}

impl Config {
    /// Reads a file's text.
    ///
    /// # Errors
    /// When it is no YAML, or has an unknown key; the message says where.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        parse(file, text)
    }

    /// This configuration with another one over it.
    #[must_use]
    pub fn overlaid(mut self, over: Self) -> Self {
        self.repositories.extend(over.repositories);
        if over.argocd.read_only_url.is_some() {
            self.argocd = over.argocd;
        }
        self.request_timeout = over.request_timeout.or(self.request_timeout);
        self.identity = over.identity.or(self.identity);
        self.services.extend(over.services);
        self.metrics = MetricsConfig {
            url: over.metrics.url.or(self.metrics.url),
            port: over.metrics.port.or(self.metrics.port),
            path: over.metrics.path.or(self.metrics.path),
        };
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_file_wins_key_by_key() {
        let read = |text: &str| Config::parse("c", text).unwrap();
        let under = read("metrics: {url: \"http://a/{pod}\", port: 1}\n");
        let over = under.overlaid(read("metrics: {port: 2}\n"));
        assert_eq!(over.metrics.url.as_deref(), Some("http://a/{pod}"));
        assert_eq!((over.metrics.port, over.metrics.path), (Some(2), None));
    }

    #[test]
    fn empty_and_unknown() {
        assert_eq!(Config::parse("c", "# nothing\n"), Ok(Config::default()));
        let error = Config::parse("c", "requestTimeut: 5s\n").unwrap_err();
        assert!(error.to_string().contains("requestTimeut"), "{error}");
        assert!(error.to_string().contains("requestTimeout"), "{error}");
    }
}
