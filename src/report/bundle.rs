//! What a bundle of evidence holds, as documents.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::human::one_line;
use crate::model::WorkloadRef;
use crate::plan::API_VERSION;

/// One file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BundleFile {
    /// Its path below the bundle's folder.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content, in hex.
    pub sha256: String,
    /// Why it is not complete. Such a file's name ends with `.cut`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<String>,
}

/// Something that is not in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Missing {
    /// What.
    pub what: String,
    /// Why.
    pub reason: String,
}

/// What a bundle is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BundleTarget {
    /// Kind.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl From<&WorkloadRef> for BundleTarget {
    fn from(target: &WorkloadRef) -> Self {
        Self {
            kind: target.kind.as_str().to_owned(),
            namespace: target.namespace.clone(),
            name: target.name.clone(),
        }
    }
}

/// Which cluster it was taken from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BundleCluster {
    /// The API server's URL without credentials; empty where there was none to ask.
    pub server: String,
    /// The kubeconfig's context.
    pub context: Option<String>,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BundleOptions {
    /// `full`, or `quick`: the logs of some pods, and objects as unship saw them.
    pub profile: String,
    /// Whether logs were wanted.
    pub logs: bool,
    /// Lines of each log at most.
    pub tail_lines: u32,
    /// Only log lines not older than this.
    pub since_seconds: Option<u64>,
    /// Time limit of what comes from the API server.
    pub limit_seconds: Option<f64>,
    /// The configured metrics URL, without credentials.
    pub metrics_url: Option<String>,
}

/// `manifest.json` of a bundle: everything that is in it, and everything that is not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BundleManifest {
    /// `unship/v1`.
    pub api_version: String,
    /// `BundleManifest`.
    pub kind: String,
    /// The program's own number.
    pub program: String,
    /// The workload.
    pub target: BundleTarget,
    /// The cluster.
    pub cluster: BundleCluster,
    /// Its Application in Argo CD.
    pub application: Option<String>,
    /// When the target was looked at.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// How long it took, without the look.
    pub seconds: f64,
    /// What was asked for.
    pub options: BundleOptions,
    /// What was sent that authorization counts as a write, as [`crate::plan::Plan::writes`]
    /// has it: port-forwards. No object is changed.
    #[serde(default)]
    pub writes: Vec<String>,
    /// The files, by path.
    pub files: Vec<BundleFile>,
    /// What is missing.
    pub missing: Vec<Missing>,
}

impl BundleManifest {
    /// Size of all files together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// One target's part of a collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BundleItem {
    /// Its folder below the collection's; empty when it is the only one.
    pub folder: String,
    /// What it holds.
    pub manifest: BundleManifest,
}

/// What `unship collect` made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BundleReport {
    /// `unship/v1`.
    pub api_version: String,
    /// `Bundle`.
    pub kind: String,
    /// The folder; none when an archive took its place.
    pub folder: Option<String>,
    /// The archive, with its size and SHA-256.
    pub archive: Option<BundleFile>,
    /// Each target's part.
    pub items: Vec<BundleItem>,
    /// Why it is not whole, where the disk refused or somebody interrupted it.
    pub error: Option<String>,
    /// Exit code.
    pub exit_code: u8,
}

impl BundleReport {
    /// A collection in a folder.
    #[must_use]
    pub fn new(folder: String, items: Vec<BundleItem>) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "Bundle".to_owned(),
            folder: Some(folder),
            archive: None,
            items,
            error: None,
            exit_code: 0,
        }
    }

    /// What people read: what was saved where, and what is missing.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for item in &self.items {
            let BundleManifest {
                target, missing, ..
            } = &item.manifest;
            text.push_str(&format!(
                "{}/{} in {}: {} files, {} in {:.1} s\n",
                target.kind.to_lowercase(),
                target.name,
                target.namespace,
                item.manifest.files.len(),
                size_words(item.manifest.bytes()),
                item.manifest.seconds,
            ));
            for gap in missing {
                let line = format!("{}: {}", gap.what, gap.reason);
                text.push_str(&format!("  missing: {}\n", one_line(&line, 300)));
            }
        }
        match (&self.archive, &self.folder) {
            (Some(archive), _) => text.push_str(&format!(
                "saved as {} ({}, sha256 {})\n",
                archive.path,
                size_words(archive.bytes),
                archive.sha256
            )),
            (None, Some(folder)) => text.push_str(&format!("saved in {folder}\n")),
            (None, None) => {}
        }
        text
    }
}

/// `812 B`, `14 kB`, `3.2 MB`: decimal units.
fn size_words(bytes: u64) -> String {
    match bytes {
        0..=999 => format!("{bytes} B"),
        1000..=999_999 => format!("{} kB", bytes / 1000),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let words = [999, 1000, 3_290_000].map(size_words);
        assert_eq!(words, ["999 B", "1 kB", "3.2 MB"]);
    }
}
