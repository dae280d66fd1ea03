//! Charts of Helm repositories and OCI registries: the files of one version.

use std::fmt;
use std::io::Read as _;
use std::path::Component;
use std::time::Duration;

use reqwest::Url;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use super::oci::Registry;
use super::{Error, Http};
use crate::model::{mask_url, plain};

/// A repository's index has all versions of all charts: those of public ones are tens of
/// megabytes long.
const MOST_INDEX: usize = 128 << 20;
/// Kubernetes takes no more than 1 MiB of a release, and Helm's own limit for a chart is 100 MiB
/// unpacked (3.17 and later).
const MOST_ARCHIVE: usize = 32 << 20;
const MOST_FILES: u64 = 100 << 20;

/// Why there is no chart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChartError {
    /// The repository or registry gave no answer.
    #[error(transparent)]
    Http(#[from] Error),
    /// It answers and does not have it.
    #[error("{place} has no chart {chart} {version}")]
    NotThere {
        /// Repository or registry, without credentials.
        place: String,
        /// The chart.
        chart: String,
        /// The version.
        version: String,
    },
    /// What it answers is not what it should be.
    #[error("{place}: {reason}")]
    Invalid {
        /// Repository, registry or file, without credentials.
        place: String,
        /// What is wrong.
        reason: String,
    },
}

/// The files of a chart, by their path in it.
pub type ChartFiles = Vec<(String, Vec<u8>)>;

/// A Helm repository or an OCI registry.
pub struct Charts {
    http: Http,
    /// As an Application's `repoURL` has it.
    repository: String,
    /// Its `index.yaml`.
    index: OnceCell<Value>,
}

impl fmt::Debug for Charts {
    /// Without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = mask_url(&self.repository);
        f.debug_tuple("Charts").field(&shown).finish()
    }
}

impl Charts {
    /// A repository by the address that an Application names: a URL, or a registry's host and path
    /// as Argo CD writes it, with or without `oci://`. Every wait for it has this limit.
    ///
    /// # Errors
    /// When the system's certificates cannot be used; in words.
    pub fn new(repository: &str, timeout: Duration) -> Result<Self, String> {
        Ok(Self {
            http: Http::following(timeout)?,
            repository: repository.trim_end_matches('/').to_owned(),
            index: OnceCell::new(),
        })
    }

    /// The files of one version.
    ///
    /// # Errors
    /// See [`ChartError`].
    pub async fn files(&self, chart: &str, version: &str) -> Result<ChartFiles, ChartError> {
        let (place, bytes) = match Registry::of(&self.repository, chart) {
            Some(registry) => (
                registry.shown(),
                registry.archive(&self.http, version).await?,
            ),
            None => self.download(chart, version).await?,
        };
        unpacked(&bytes).map_err(|reason| ChartError::Invalid { place, reason })
    }

    async fn download(&self, chart: &str, version: &str) -> Result<(String, Vec<u8>), ChartError> {
        let index = self.index.get_or_try_init(|| self.read_index()).await?;
        // Helm looks for the version as it is written first, and reads `v1.2.0` as `1.2.0`.
        let bare = |text: &str| text.trim_start_matches('v').to_owned();
        let all = index["entries"][chart].as_array();
        let all = all.map_or(&[][..], Vec::as_slice);
        // A digest of digits alone is a number to YAML, and then no digest that fits.
        let text = |entry: &Value, key: &str| match &entry[key] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let is = |entry: &&Value| text(entry, "version") == version;
        let is_near = |entry: &&Value| bare(&text(entry, "version")) == bare(version);
        let entry = all.iter().find(is).or_else(|| all.iter().find(is_near));
        let Some((entry, url)) = entry.and_then(|own| Some((own, own["urls"][0].as_str()?))) else {
            return Err(ChartError::NotThere {
                place: mask_url(&self.repository),
                chart: chart.to_owned(),
                version: version.to_owned(),
            });
        };
        let url = self.resolved(url)?;
        let shown = mask_url(&url);
        let bytes = read(&self.http, &url, MOST_ARCHIVE).await?;
        match proven(&bytes, &text(entry, "digest")) {
            true => Ok((shown, bytes)),
            false => Err(ChartError::Invalid {
                place: shown,
                reason: "the digest is not the one that the index has".to_owned(),
            }),
        }
    }

    async fn read_index(&self) -> Result<Value, ChartError> {
        let url = self.resolved("index.yaml")?;
        let bytes = read(&self.http, &url, MOST_INDEX).await?;
        let text = String::from_utf8_lossy(&bytes);
        serde_yaml::from_str(&text).map_err(|error| ChartError::Invalid {
            place: mask_url(&url),
            reason: plain(&error.to_string()),
        })
    }

    /// An address as the index has it: relative ones are below the repository's own.
    fn resolved(&self, url: &str) -> Result<String, ChartError> {
        let base = Url::parse(&format!("{}/", self.repository));
        let joined = base.and_then(|base| base.join(url));
        joined
            .map(String::from)
            .map_err(|error| ChartError::Invalid {
                place: mask_url(&self.repository),
                reason: format!("{} is no address: {error}", mask_url(url)),
            })
    }
}

async fn read(http: &Http, url: &str, most: usize) -> Result<Vec<u8>, ChartError> {
    let all = http.get(url).await?.all(most).await?;
    all.ok_or_else(|| ChartError::Invalid {
        place: mask_url(url),
        reason: format!("it is larger than {} MiB", most >> 20),
    })
}

/// Whether bytes have a digest; none is asked for where there is none.
pub(super) fn proven(bytes: &[u8], digest: &str) -> bool {
    let wanted = digest.strip_prefix("sha256:").unwrap_or(digest);
    let own = Sha256::digest(bytes);
    let own: String = own.iter().map(|byte| format!("{byte:02x}")).collect();
    wanted.is_empty() || wanted.eq_ignore_ascii_case(&own)
}

/// The files of an archive, without the folder with the chart's name that they are in.
///
/// # Errors
/// When it is no archive of a chart, or a path leaves it; in words.
pub fn unpacked(bytes: &[u8]) -> Result<ChartFiles, String> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes).take(MOST_FILES));
    let mut files = ChartFiles::new();
    let broken = |error: std::io::Error| format!("it is no chart's archive: {error}");
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path().map_err(broken)?.into_owned();
        let mut names = Vec::new();
        for part in path.components() {
            match part {
                Component::Normal(name) => names.push(name.to_string_lossy().into_owned()),
                Component::CurDir => {}
                _ => return Err(format!("{} leaves the archive", path.display())),
            }
        }
        let mut text = Vec::new();
        entry.read_to_end(&mut text).map_err(broken)?;
        if names.len() > 1 {
            files.push((names[1..].join("/"), text));
        }
    }
    match files.iter().any(|(path, _)| path == "Chart.yaml") {
        true => Ok(files),
        false => Err("there is no Chart.yaml in it".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{registry, served};
    use super::*;

    fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let level = flate2::Compression::default();
        let mut out = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), level));
        for (path, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            // Written as it is: what leaves the archive must be found by the reader.
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            out.append(&header, text.as_bytes()).unwrap();
        }
        out.into_inner().unwrap().finish().unwrap()
    }

    fn charts(repository: &str) -> Charts {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Charts::new(repository, Duration::from_secs(5)).unwrap()
    }

    #[tokio::test]
    async fn a_version_of_a_helm_repository() {
        let bytes = archive(&[
            ("web/Chart.yaml", "name: web\n"),
            ("web/charts/db/Chart.yaml", "name: db\n"),
        ]);
        let digest: String = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let index = format!(
            "apiVersion: v1\nentries:\n  web:\n  - version: 1.2.0\n    digest: {digest}\n    urls: [sub/web-1.2.0.tgz]\n  - version: v1.1.0\n    urls: [moved]\n  - version: 1.0.0\n    digest: {}\n    urls: [sub/web-1.2.0.tgz]\n  - version: 0.9.0\n    urls: [text]\n",
            "0".repeat(64)
        );
        let base = served(vec![
            ("/charts/index.yaml", 200, index.into_bytes()),
            ("/charts/sub/web-1.2.0.tgz", 200, bytes.clone()),
            ("/charts/text", 200, b"not found".to_vec()),
        ])
        .await;
        let charts = charts(&format!("{base}/charts/"));
        let files = charts.files("web", "1.2.0").await.unwrap();
        let names: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(names, ["Chart.yaml", "charts/db/Chart.yaml"]);
        for (chart, version, words) in [
            ("web", "2.0.0", "/charts has no chart web 2.0.0"),
            ("other", "1.2.0", "has no chart other 1.2.0"),
            ("web", "1.0.0", "the digest is not the one"),
            ("web", "0.9.0", "it is no chart's archive"),
            ("web", "1.1.0", "/charts/moved answered HTTP 404"),
        ] {
            let error = charts.files(chart, version).await.unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[tokio::test]
    async fn what_is_no_repository_is_told_without_credentials() {
        let base = served(vec![("/index.yaml", 200, b"entries: [".to_vec())]).await;
        let address = base.replacen("://", "://bob:sekret99@", 1);
        let charts = charts(&address);
        let error = charts.files("web", "1").await.unwrap_err();
        assert!(matches!(error, ChartError::Invalid { .. }), "{error:?}");
        assert!(!format!("{error} {error:?} {charts:?}").contains("sekret99"));
    }

    #[tokio::test]
    async fn a_version_of_a_registry() {
        let bytes = archive(&[("web/Chart.yaml", "name: web\n")]);
        let address = registry(bytes, "1.2.0").await;
        let files = charts(&address).files("web", "1.2.0").await.unwrap();
        assert_eq!(files.len(), 1);
        let error = charts(&address).files("web", "1.3.0").await.unwrap_err();
        assert!(matches!(error, ChartError::NotThere { .. }), "{error}");
    }

    #[test]
    fn an_archive_that_leaves_its_folder_is_refused() {
        for bad in ["../up", "/root", "web/../../up"] {
            let bytes = archive(&[("web/Chart.yaml", ""), (bad, "x")]);
            let error = unpacked(&bytes).unwrap_err();
            assert!(error.contains("leaves the archive"), "{error}");
        }
        assert!(unpacked(&archive(&[("web/values.yaml", "")])).is_err());
        assert!(unpacked(b"").is_err());
    }
}
