//! Configuration: the user's own file, `--config`, and a repository's own unship.yaml. Everything has a default that
//! works without any file.

mod triggers;

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use triggers::{
    ErrorRateTrigger, LatencyTrigger, LevelsTrigger, PodsTrigger, SeverityTrigger, TokensTrigger,
    TriggersConfig, WithinTrigger, WorkersTrigger,
};

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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// When a release is to be taken back, for `unship assess`.
    pub triggers: TriggersConfig,
    /// Where the metrics of pods are, for `unship collect`, `unship drill` and `unship assess`. Without a
    /// port and a path: those of `prometheus.io/port` and `prometheus.io/path`, else the
    /// port named for it, else the only one, and `/metrics`.
    pub metrics: EndpointConfig,
    /// Where pods tell whether they are well, for `unship drill`. Without a port and a
    /// path: those of the readiness or liveness probe.
    pub health: EndpointConfig,
    /// Where beads are kept. Only the user's own configuration may say so: it names a
    /// program to run.
    pub tracker: TrackerConfig,
    /// What records say, by kind.
    pub records: RecordsConfig,
}

/// An HTTP endpoint of a workload's pods.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EndpointConfig {
    /// A URL. `{pod}`, `{namespace}` and `{name}` (the workload's) are replaced; without
    /// `{pod}` it is asked once.
    pub url: Option<String>,
    /// The pods' port, for a port-forward and `pods/proxy`.
    pub port: Option<u16>,
    /// The path at that port.
    pub path: Option<String>,
}

impl EndpointConfig {
    fn overlaid(self, over: Self) -> Self {
        Self {
            url: over.url.or(self.url),
            port: over.port.or(self.port),
            path: over.path.or(self.path),
        }
    }
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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RepositoryConfig {
    /// Services with a production and a canary workload.
    pub services: BTreeMap<String, Service>,
    /// When a release is to be taken back; the user's own configuration wins.
    pub triggers: TriggersConfig,
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

/// The program that keeps beads (`br` of beads_rust, or a replacement of it).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TrackerConfig {
    /// A name in the PATH, or an absolute path. Default `br`.
    pub program: Option<String>,
    /// The folder in which it runs; it looks for `.beads` there and above. Default: the
    /// working directory.
    pub directory: Option<String>,
    /// Limit of every call, waiting for a lock included, e.g. `10s`.
    pub timeout: Option<String>,
}

/// What records say, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RecordsConfig {
    /// A human is asked to roll back.
    pub request: RecordConfig,
    /// A canary failed.
    pub canary_failure: RecordConfig,
    /// Production was rolled back after a promotion.
    pub production_rollback: RecordConfig,
    /// A canary answers with errors.
    pub canary_errors: RecordConfig,
}

/// What stands in place of a record's own parts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RecordConfig {
    /// Template of the title.
    pub title: Option<String>,
    /// `bug`, `task`, ...
    #[serde(rename = "type")]
    pub issue_type: Option<String>,
    /// `P0` to `P4`.
    pub priority: Option<String>,
    /// Labels.
    pub labels: Option<Vec<String>>,
    /// A file with the template of the body (Jinja). A relative path starts at the
    /// configuration file's folder.
    pub template: Option<String>,
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
        self.triggers = self.triggers.overlaid(over.triggers);
        self.metrics = self.metrics.overlaid(over.metrics);
        self.health = self.health.overlaid(over.health);
        self.tracker = self.tracker.overlaid(over.tracker);
        self.records = self.records.overlaid(over.records);
        self
    }

    /// The same with paths that start at the configuration file's folder made whole.
    /// `~/` and absolute paths stay.
    #[must_use]
    pub fn located_in(mut self, folder: &Path) -> Self {
        let whole = |text: &mut Option<String>| {
            let relative = text
                .as_deref()
                .filter(|text| !text.starts_with("~/") && !Path::new(text).is_absolute());
            if let Some(path) = relative.map(|text| folder.join(text)) {
                *text = Some(path.display().to_string());
            }
        };
        whole(&mut self.tracker.directory);
        let records = &mut self.records;
        for record in [
            &mut records.request,
            &mut records.canary_failure,
            &mut records.production_rollback,
            &mut records.canary_errors,
        ] {
            whole(&mut record.template);
        }
        self
    }
}

impl TrackerConfig {
    fn overlaid(self, over: Self) -> Self {
        Self {
            program: over.program.or(self.program),
            directory: over.directory.or(self.directory),
            timeout: over.timeout.or(self.timeout),
        }
    }
}

impl RecordsConfig {
    fn overlaid(self, over: Self) -> Self {
        Self {
            request: self.request.overlaid(over.request),
            canary_failure: self.canary_failure.overlaid(over.canary_failure),
            production_rollback: self.production_rollback.overlaid(over.production_rollback),
            canary_errors: self.canary_errors.overlaid(over.canary_errors),
        }
    }
}

impl RecordConfig {
    fn overlaid(self, over: Self) -> Self {
        Self {
            title: over.title.or(self.title),
            issue_type: over.issue_type.or(self.issue_type),
            priority: over.priority.or(self.priority),
            labels: over.labels.or(self.labels),
            template: over.template.or(self.template),
        }
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

    #[test]
    fn records_are_overlaid_part_by_part() {
        let own = "tracker: {program: bf, directory: beads}\nrecords:\n  request: {title: A, labels: [a]}\n";
        let own = Config::parse("c", own)
            .unwrap()
            .located_in(Path::new("/home/dana"));
        let over = "records: {request: {title: B, template: b.md}, canary-errors: {priority: P2}}";
        let over = Config::parse("d", over)
            .unwrap()
            .located_in(Path::new("/etc/x"));
        let both = own.overlaid(over);
        assert_eq!(both.tracker.program.as_deref(), Some("bf"));
        assert_eq!(both.tracker.directory.as_deref(), Some("/home/dana/beads"));
        let request = &both.records.request;
        assert_eq!(request.title.as_deref(), Some("B"));
        assert_eq!(request.labels, Some(vec!["a".to_owned()]));
        assert_eq!(request.template.as_deref(), Some("/etc/x/b.md"));
        assert_eq!(both.records.canary_errors.priority.as_deref(), Some("P2"));
        let error = Config::parse("c", "records: {requst: {}}").unwrap_err();
        assert!(error.message.contains("requst"), "{error}");
    }

    #[test]
    fn home_and_absolute_paths_stay() {
        let config = Config::parse("c", "tracker: {directory: ~/beads}")
            .unwrap()
            .located_in(Path::new("/x"));
        assert_eq!(config.tracker.directory.as_deref(), Some("~/beads"));
    }
}
