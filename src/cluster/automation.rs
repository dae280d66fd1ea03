//! Objects of tools that set images, by what discovery says is served.

use futures::future::join_all;
use serde_json::Value;

use super::request::Call;
use super::{Cluster, Error};
use crate::model::Gap;

/// The kinds that are read: group, resource, kind.
const KINDS: [(&str, &str, &str); 8] = [
    (
        "image.toolkit.fluxcd.io",
        "imageupdateautomations",
        "ImageUpdateAutomation",
    ),
    ("image.toolkit.fluxcd.io", "imagepolicies", "ImagePolicy"),
    (
        "argocd-image-updater.argoproj.io",
        "imageupdaters",
        "ImageUpdater",
    ),
    ("kargo.akuity.io", "stages", "Stage"),
    ("kargo.akuity.io", "warehouses", "Warehouse"),
    ("kargo.akuity.io", "projectconfigs", "ProjectConfig"),
    ("kargo.akuity.io", "promotiontasks", "PromotionTask"),
    (
        "kargo.akuity.io",
        "clusterpromotiontasks",
        "ClusterPromotionTask",
    ),
];

/// Objects that were read, and what was not: a gap names its kind.
#[derive(Debug, Clone, Default)]
pub struct ToolObjects {
    /// The objects, each with its `kind`.
    pub objects: Vec<Value>,
    /// What was not read.
    pub gaps: Vec<Gap>,
}

impl Cluster {
    /// Reads the objects of tools that set images, in all namespaces: one request for the API
    /// groups, and one list for each kind whose group is served.
    pub async fn tool_objects(&self) -> ToolObjects {
        let mut found = ToolObjects::default();
        let groups = match self.api_groups().await {
            Ok(groups) => groups,
            Err(error) => {
                let what = "which tools that set images the cluster has";
                found.gaps.push(error.gap(what));
                return found;
            }
        };
        let served = KINDS.iter().filter_map(|(group, resource, kind)| {
            let own = groups.iter().find(|(name, _)| name == group)?;
            Some((own.1.as_str(), *resource, *kind))
        });
        let reads = served.map(|(version, resource, kind)| async move {
            let call = Call::list(version, resource, None);
            (kind, self.items::<Value>(&call).await)
        });
        for (kind, read) in join_all(reads).await {
            match read {
                Ok(items) => found.objects.extend(items.into_iter().map(|mut item| {
                    // Items of a list need not say what they are.
                    if let Some(map) = item.as_object_mut() {
                        map.insert("kind".to_owned(), Value::from(kind));
                    }
                    item
                })),
                // ProjectConfig is new in Kargo 1.5, tasks in 1.2.
                Err(Error::NotFound { .. }) => {}
                Err(error) => found.gaps.push(error.gap(kind)),
            }
        }
        found
    }

    /// The API groups, each with its preferred version.
    async fn api_groups(&self) -> Result<Vec<(String, String)>, Error> {
        let call = Call::get("apis", "/apis".to_owned(), "API groups".to_owned());
        let list: Value = self.json(&call).await?;
        let groups = list["groups"].as_array().into_iter().flatten();
        let found = groups.filter_map(|group| {
            let name = group["name"].as_str()?;
            let preferred = group.pointer("/preferredVersion/groupVersion")?.as_str()?;
            Some((name.to_owned(), preferred.to_owned()))
        });
        Ok(found.collect())
    }
}
