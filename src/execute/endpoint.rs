//! One HTTP endpoint of a workload's pods: at a URL that the user's own configuration names,
//! else through the API server, where that is allowed.

use serde_json::Value;

use super::ways::{Ways, configured};
use crate::cluster::{Cluster, Download, Forwarded, ObjectQuery};
use crate::model::Observation;
use crate::report::Probe;
use crate::signals::Answer;

/// Names that the port of metrics usually has.
const METRICS_PORTS: [&str; 3] = ["metrics", "http-metrics", "prometheus"];
/// The path of metrics where nothing names one.
const METRICS_PATH: &str = "/metrics";
/// What is read of an answer at most, bytes.
const LARGEST: usize = 1 << 20;

/// Where an endpoint is, as the user's own configuration says.
#[derive(Debug, Clone, Default)]
pub struct Endpoint {
    /// A URL; `{pod}`, `{namespace}` and `{name}` (the workload's) are replaced.
    pub url: Option<String>,
    /// The pod's port, where the pod itself does not tell.
    pub port: Option<u16>,
    /// The path at that port, where the pod itself does not tell.
    pub path: Option<String>,
}

/// Which endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Metrics text.
    Metrics,
    /// Whether it is well.
    Health,
}

impl Purpose {
    /// The key of the configuration that names the URL.
    pub(super) const fn url_key(self) -> &'static str {
        match self {
            Self::Metrics => "metrics.url",
            Self::Health => "health.url",
        }
    }
}

impl Endpoint {
    /// The URL for a pod of the workload, where one is configured.
    #[must_use]
    pub fn url_for(&self, observation: &Observation, pod: &str) -> Option<String> {
        let target = &observation.target;
        let url = self.url.as_ref()?;
        Some(
            url.replace("{pod}", pod)
                .replace("{namespace}", &target.namespace)
                .replace("{name}", &target.name),
        )
    }
}

/// Asks the endpoint of one running pod and reads the answer. Tells also whether a
/// port-forward was asked for.
pub async fn probe(
    cluster: &Cluster,
    observation: &Observation,
    (endpoint, purpose): (&Endpoint, Purpose),
) -> (Probe, bool) {
    let pods = observation.cluster.pods.iter().flatten();
    let running = pods
        .filter(|pod| pod.phase == "Running" && !pod.terminating)
        .max_by_key(|pod| pod.ready);
    let Some(pod) = running else {
        let reason = "no pod of it is known to run".to_owned();
        return (Probe::NotTried(reason), false);
    };
    let url = configured(endpoint, purpose, cluster.request_timeout());
    let ways = Ways::find(cluster, &pod.namespace, (url, true)).await;
    let raw = raw_pod(cluster, &pod.namespace, &pod.name).await;
    let place = raw.and_then(|raw| match purpose {
        Purpose::Metrics => metrics_place(endpoint, &raw, &[]),
        Purpose::Health => health_place(endpoint, &raw),
    });
    let opened = ways.open(cluster, (observation, &pod.name), (endpoint, &place));
    let probe = match opened.await {
        Ok((mut source, shown)) => match whole(&mut source).await {
            Ok(text) => judged(purpose, &text, &shown),
            Err(reason) => Probe::Failed(reason),
        },
        Err(reasons) if reasons.tried => Probe::Failed(reasons.to_string()),
        Err(reasons) => Probe::NotTried(reasons.to_string()),
    };
    (probe, ways.forwarded())
}

/// Something that comes in pieces.
pub(super) trait Pieces {
    /// The next piece; none at the end. The error in words.
    fn piece(&mut self) -> impl Future<Output = Result<Option<Vec<u8>>, String>> + Send;
}

impl Pieces for Download {
    async fn piece(&mut self) -> Result<Option<Vec<u8>>, String> {
        self.chunk().await.map_err(|error| error.to_string())
    }
}

impl Pieces for Forwarded {
    async fn piece(&mut self) -> Result<Option<Vec<u8>>, String> {
        self.chunk().await.map_err(|error| error.to_string())
    }
}

impl Pieces for Answer {
    async fn piece(&mut self) -> Result<Option<Vec<u8>>, String> {
        self.chunk().await.map_err(|error| error.to_string())
    }
}

/// The answer's text, as far as it is read.
pub(super) async fn whole(source: &mut impl Pieces) -> Result<String, String> {
    let mut bytes = Vec::new();
    while bytes.len() < LARGEST {
        match source.piece().await? {
            Some(piece) => bytes.extend(piece),
            None => break,
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// An answer with success says that it is well; metrics are there only if there is a sample.
fn judged(purpose: Purpose, text: &str, shown: &str) -> Probe {
    if purpose == Purpose::Health {
        return Probe::Worked(format!("{shown} answers with success"));
    }
    let samples = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .filter(|line| {
            let value = line.rsplit(' ').next().unwrap_or("");
            line.contains(' ') && value.parse::<f64>().is_ok()
        })
        .count();
    if samples == 0 {
        return Probe::Failed(format!("{shown} answers, but with no sample"));
    }
    Probe::Worked(format!("{samples} samples from {shown}"))
}

/// A pod as it is, masked.
pub(super) async fn raw_pod(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<Value, String> {
    let query = ObjectQuery {
        group: "",
        version: "v1",
        resource: "pods",
        namespace,
        name,
    };
    let pod = cluster.object(&query).await;
    pod.map_err(|error| error.to_string())
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// Where an endpoint of a pod is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) port: u16,
    pub(super) path: String,
    pub(super) tls: bool,
}

/// The configuration's place, else that of the `prometheus.io` annotations (of the pod,
/// else of a Service that selects it), else a port named for it, else the only one.
pub(super) fn metrics_place(
    configured: &Endpoint,
    pod: &Value,
    services: &[Value],
) -> Result<Place, String> {
    let annotation = |name: &str| {
        let pointer = format!("/metadata/annotations/prometheus.io~1{name}");
        [pod].into_iter().chain(services).find_map(|object| {
            let value = text(object, &pointer);
            (!value.is_empty()).then(|| value.to_owned())
        })
    };
    let annotated = annotation("port").and_then(|port| port.parse().ok());
    let port = configured
        .port
        .or(annotated)
        .or_else(|| container_port(pod));
    let path = configured.path.clone().or_else(|| annotation("path"));
    Ok(Place {
        port: port.ok_or("its port is not known: set metrics.port in the configuration")?,
        path: path.unwrap_or_else(|| METRICS_PATH.to_owned()),
        tls: annotation("scheme").is_some_and(|scheme| scheme == "https"),
    })
}

fn container_port(pod: &Value) -> Option<u16> {
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array)?;
    let ports: Vec<&Value> = containers
        .iter()
        .filter_map(|container| container.get("ports")?.as_array())
        .flatten()
        .filter(|port| !matches!(text(port, "/protocol"), "UDP" | "SCTP"))
        .collect();
    let named = ports
        .iter()
        .find(|port| METRICS_PORTS.contains(&text(port, "/name")));
    let only = (ports.len() == 1).then(|| ports.first()).flatten();
    let number = named.or(only)?.get("containerPort")?.as_u64()?;
    u16::try_from(number).ok()
}

/// The configuration's place, else that of the first `httpGet` among the readiness and
/// liveness probes: what the kubelet asks is what its authors call well.
fn health_place(configured: &Endpoint, pod: &Value) -> Result<Place, String> {
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array);
    let containers = containers.map(Vec::as_slice).unwrap_or_default();
    let probed = ["readinessProbe", "livenessProbe"].iter().find_map(|kind| {
        containers.iter().find_map(|container| {
            let get = container.get(kind)?.get("httpGet")?;
            Some((container, get))
        })
    });
    let port = configured.port.or_else(|| {
        let (container, get) = probed?;
        match get.get("port")? {
            Value::String(name) => named_port(container, name),
            number => u16::try_from(number.as_u64()?).ok(),
        }
    });
    let get = probed.map(|(_, get)| get);
    let path = configured
        .path
        .clone()
        .or_else(|| get?.get("path")?.as_str().map(str::to_owned));
    match (port, path) {
        (Some(port), Some(path)) => Ok(Place {
            port,
            path,
            tls: get.is_some_and(|get| get.get("scheme").is_some_and(|s| s == "HTTPS")),
        }),
        _ => Err(
            "no container has an httpGet probe that tells where: set health.port and health.path in the configuration"
                .to_owned(),
        ),
    }
}

fn named_port(container: &Value, name: &str) -> Option<u16> {
    let ports = container.get("ports")?.as_array()?;
    let port = ports.iter().find(|port| text(port, "/name") == name)?;
    u16::try_from(port.get("containerPort")?.as_u64()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn where_metrics_are() {
        let none = Endpoint::default();
        let pod = |annotations: Value, ports: Value| {
            json!({"metadata": {"annotations": annotations},
                "spec": {"containers": [{"ports": ports}, {}]}})
        };
        let one = json!([{"name": "http", "containerPort": 8080}]);
        let found = |configured: &Endpoint, pod: &Value, services: &[Value]| {
            metrics_place(configured, pod, services)
                .map(|place| (place.port, place.path, place.tls))
        };
        let at = |port: u16| Ok((port, "/metrics".to_owned(), false));
        assert_eq!(found(&none, &pod(json!({}), one.clone()), &[]), at(8080));
        let two = json!([{"name": "http", "containerPort": 8080},
            {"name": "metrics", "containerPort": 9090}, {"containerPort": 53, "protocol": "UDP"}]);
        assert_eq!(found(&none, &pod(json!({}), two), &[]), at(9090));
        let unclear = json!([{"name": "a", "containerPort": 1}, {"name": "b", "containerPort": 2}]);
        let error = found(&none, &pod(json!({}), unclear.clone()), &[]).unwrap_err();
        assert!(error.contains("metrics.port"), "{error}");
        let service = json!({"metadata": {"annotations": {"prometheus.io/port": "7070"}}});
        let of_service = found(
            &none,
            &pod(json!({}), unclear),
            std::slice::from_ref(&service),
        );
        assert_eq!(of_service, at(7070));
        let annotated = pod(
            json!({"prometheus.io/port": "7", "prometheus.io/path": "/m", "prometheus.io/scheme": "https"}),
            one,
        );
        let own = found(&none, &annotated, &[service]);
        assert_eq!(own, Ok((7, "/m".to_owned(), true)));
        let configured = Endpoint {
            port: Some(6),
            path: Some("/x/y".to_owned()),
            ..none
        };
        assert_eq!(
            found(&configured, &annotated, &[]),
            Ok((6, "/x/y".to_owned(), true))
        );
    }

    #[test]
    fn where_health_is() {
        let none = Endpoint::default();
        let pod = json!({"spec": {"containers": [{}, {
            "ports": [{"name": "http", "containerPort": 8080}],
            "livenessProbe": {"httpGet": {"path": "/live", "port": 1}},
            "readinessProbe": {"httpGet": {"path": "/ready", "port": "http", "scheme": "HTTPS"}}}]}});
        let at = |port: u16, path: &str, tls| {
            let path = path.to_owned();
            Ok(Place { port, path, tls })
        };
        assert_eq!(health_place(&none, &pod), at(8080, "/ready", true));
        let own = Endpoint {
            port: Some(9),
            path: Some("/health".to_owned()),
            ..none.clone()
        };
        let silent =
            json!({"spec": {"containers": [{"readinessProbe": {"tcpSocket": {"port": 1}}}]}});
        assert_eq!(health_place(&own, &silent), at(9, "/health", false));
        let error = health_place(&none, &silent).unwrap_err();
        assert!(error.contains("health.port"), "{error}");
    }

    #[test]
    fn metrics_without_a_sample_are_none() {
        let of = |text: &str| judged(Purpose::Metrics, text, "here");
        let text = "# HELP a b\n# TYPE a counter\na{x=\"y\"} 3\nb 1.5e3\n\n";
        assert_eq!(of(text), Probe::Worked("2 samples from here".to_owned()));
        assert!(matches!(of("# HELP a b\n"), Probe::Failed(_)));
        assert!(matches!(
            of("<html> <b>Sign in</b> </html>"),
            Probe::Failed(_)
        ));
    }
}
