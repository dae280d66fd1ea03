//! A chart in an OCI registry (distribution-spec 1.1): its manifest by the version as a tag, and
//! the layer with the chart's archive. Anonymous, as a public chart is pulled.

use reqwest::StatusCode;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde::Deserialize;

use super::charts::{ChartError, proven};
use super::{Answer, Error, Http};
use crate::model::{mask_url, plain};

/// The layer that is the archive (Helm's `registry` package).
pub(super) const ARCHIVE: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const MOST: usize = 32 << 20;

/// A chart's repository in a registry.
pub(super) struct Registry {
    /// `https://HOST`.
    base: String,
    /// The name of the repository there: path and chart.
    name: String,
    chart: String,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    media_type: String,
    digest: String,
}

#[derive(Debug, Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Registry {
    /// What `repoURL` means where it is no URL of a Helm repository: Argo CD writes a registry
    /// without a scheme, or as `oci://`.
    pub(super) fn of(repository: &str, chart: &str) -> Option<Self> {
        let place = match repository.strip_prefix("oci://") {
            Some(place) => place,
            None if repository.contains("://") => return None,
            None => repository,
        };
        let (host, path) = place.split_once('/').unwrap_or((place, ""));
        // A registry on this machine has no certificate.
        let name = host.split(':').next().unwrap_or_default();
        let scheme = match name {
            "localhost" | "127.0.0.1" => "http",
            _ => "https",
        };
        let name = [path.trim_matches('/'), chart].into_iter();
        let name: Vec<&str> = name.filter(|part| !part.is_empty()).collect();
        Some(Self {
            base: format!("{scheme}://{host}"),
            name: name.join("/"),
            chart: chart.to_owned(),
        })
    }

    /// Its address without credentials.
    pub(super) fn shown(&self) -> String {
        mask_url(&format!("{}/{}", self.base, self.name))
    }

    /// The archive of a version.
    pub(super) async fn archive(&self, http: &Http, version: &str) -> Result<Vec<u8>, ChartError> {
        // A tag cannot have the `+` of a version (Helm writes `_`).
        let tag = version.replace('+', "_");
        let manifest = format!("{}/v2/{}/manifests/{tag}", self.base, self.name);
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(MANIFEST));
        let mut response = http.ask(&manifest, headers.clone()).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let asked = response.headers().get(WWW_AUTHENTICATE);
            let asked = asked.and_then(|value| value.to_str().ok().map(str::to_owned));
            let token = self.token(http, asked.as_deref().unwrap_or_default());
            headers.insert(AUTHORIZATION, token.await?);
            response = http.ask(&manifest, headers.clone()).await?;
        }
        match response.status() {
            code if code.is_success() => {}
            StatusCode::NOT_FOUND => {
                return Err(ChartError::NotThere {
                    place: self.shown(),
                    chart: self.chart.clone(),
                    version: version.to_owned(),
                });
            }
            code => {
                return Err(ChartError::Http(Error::Answered {
                    url: mask_url(&manifest),
                    code: code.as_u16(),
                }));
            }
        }
        let url = mask_url(&manifest);
        let bytes = self.body(Answer { response, url }).await?;
        let found: Manifest = serde_json::from_slice(&bytes)
            .map_err(|error| self.invalid(format!("its manifest cannot be read: {error}")))?;
        let mut layers = found.layers.into_iter();
        let layer = layers.find(|layer| layer.media_type == ARCHIVE);
        let Some(layer) = layer else {
            return Err(self.invalid(format!("{version} is no Helm chart")));
        };
        headers.remove(ACCEPT);
        let blob = format!("{}/v2/{}/blobs/{}", self.base, self.name, layer.digest);
        let response = http.ask(&blob, headers).await?;
        let url = mask_url(&blob);
        if !response.status().is_success() {
            let code = response.status().as_u16();
            return Err(ChartError::Http(Error::Answered { url, code }));
        }
        let bytes = self.body(Answer { response, url }).await?;
        match layer.digest.starts_with("sha256:") && proven(&bytes, &layer.digest) {
            true => Ok(bytes),
            false => Err(self.invalid(format!("its digest is not {}", plain(&layer.digest)))),
        }
    }

    async fn body(&self, answer: Answer) -> Result<Vec<u8>, ChartError> {
        let all = answer.all(MOST).await?;
        all.ok_or_else(|| self.invalid(format!("it is larger than {} MiB", MOST >> 20)))
    }

    fn invalid(&self, reason: String) -> ChartError {
        ChartError::Invalid {
            place: self.shown(),
            reason,
        }
    }

    /// A token for nobody in particular, from where the registry says.
    async fn token(&self, http: &Http, asked: &str) -> Result<HeaderValue, ChartError> {
        let refused = || {
            ChartError::Http(Error::Answered {
                url: self.shown(),
                code: StatusCode::UNAUTHORIZED.as_u16(),
            })
        };
        let realm = parameter(asked, "realm").ok_or_else(refused)?;
        let mut url = reqwest::Url::parse(&realm).map_err(|_| refused())?;
        let scope = format!("repository:{}:pull", self.name);
        let scope = parameter(asked, "scope").unwrap_or(scope);
        url.query_pairs_mut().append_pair("scope", &scope);
        if let Some(service) = parameter(asked, "service") {
            url.query_pairs_mut().append_pair("service", &service);
        }
        let bytes = self.body(http.get(url.as_str()).await?).await?;
        let token: Token = serde_json::from_slice(&bytes)
            .map_err(|_| self.invalid("its token cannot be read".to_owned()))?;
        let token = token.token.or(token.access_token).ok_or_else(refused)?;
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| refused())?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// A parameter of a `WWW-Authenticate: Bearer` header.
fn parameter(header: &str, name: &str) -> Option<String> {
    let rest = header.strip_prefix("Bearer ")?;
    let start = rest.find(&format!("{name}=\""))? + name.len() + 2;
    let value = rest.get(start..)?;
    Some(value.split('"').next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_application_names() {
        let of = |repository: &str| {
            Registry::of(repository, "web").map(|found| format!("{}/{}", found.base, found.name))
        };
        assert_eq!(of("https://charts.example.org"), None);
        let known = Some("https://ghcr.io/team/charts/web".to_owned());
        assert_eq!(of("ghcr.io/team/charts"), known);
        assert_eq!(of("oci://ghcr.io/team/charts"), known);
        let local = Some("http://127.0.0.1:5000/web".to_owned());
        assert_eq!(of("127.0.0.1:5000"), local);
    }

    #[test]
    fn parameters_of_a_challenge() {
        let header = "Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:a/b:pull\"";
        let scope = Some("repository:a/b:pull".to_owned());
        assert_eq!(parameter(header, "realm"), Some("https://a/t".to_owned()));
        assert_eq!(parameter(header, "scope"), scope);
        assert_eq!(parameter("Basic realm=\"x\"", "realm"), None);
    }
}
