//! What charts may ask of a cluster.

use std::sync::Arc;

use futures::future::try_join;
use serde_json::Value;

use super::request::Call;
use super::{Cluster, Error};
use crate::model::Capabilities;

impl Cluster {
    /// The version and the group versions, in two requests.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub async fn capabilities(&self) -> Result<Capabilities, Error> {
        match &self.memo {
            Some(memo) => {
                let ask = async { self.ask_capabilities().await.map(Arc::new) };
                let found = memo.capabilities.answer((), ask).await?;
                Ok(found.as_ref().clone())
            }
            None => self.ask_capabilities().await,
        }
    }

    async fn ask_capabilities(&self) -> Result<Capabilities, Error> {
        let get = |path: &str, what: &str| Call::get(path, format!("/{path}"), what.to_owned());
        let (version, groups) = (get("version", "its version"), get("apis", "API groups"));
        let (version, groups) =
            try_join(self.json::<Value>(&version), self.json::<Value>(&groups)).await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let groups = groups["groups"].as_array().into_iter().flatten();
        let versions = groups.flat_map(|group| group["versions"].as_array().into_iter().flatten());
        let named = versions.map(|version| text(&version["groupVersion"]));
        Ok(Capabilities {
            kube_version: text(&version["gitVersion"]),
            // The core group is served by every cluster and stands in no list of groups.
            api_versions: named.chain(["v1".to_owned()]).collect(),
        })
    }
}
