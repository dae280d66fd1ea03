//! Objects of tools that set images, by what discovery says is served.

use serde_json::Value;

use super::request::Call;
use super::{Cluster, Error};

impl Cluster {
    /// The API groups that the server has, each with its preferred version: one request.
    ///
    /// # Errors
    /// When discovery cannot be read.
    pub async fn api_groups(&self) -> Result<Vec<(String, String)>, Error> {
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

    /// The objects of a custom resource in all namespaces, each with `kind`: items of a list
    /// need not say it.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn custom_objects(
        &self,
        group_version: &str,
        (resource, kind): (&str, &str),
    ) -> Result<Vec<Value>, Error> {
        let call = Call::list(group_version, resource, None);
        let mut items: Vec<Value> = self.items(&call).await?;
        for item in &mut items {
            if let Some(map) = item.as_object_mut() {
                map.insert("kind".to_owned(), Value::from(kind));
            }
        }
        Ok(items)
    }
}
