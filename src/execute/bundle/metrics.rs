//! The metrics text of each pod: at the configured URL, else through the API server
//! where that is allowed.

use serde_json::Value;

use super::folder::file_name;
use super::logs::{Pieces, at_once, copy};
use super::objects::Objects;
use super::own::text;
use super::{Job, Metrics, READ_LIMIT};
use crate::cluster::{Cluster, PodPort};
use crate::model::{AccessQuery, Allowed};
use crate::signals::Http;

const DEFAULT_PATH: &str = "/metrics";
/// Names that such a port usually has.
const PORT_NAMES: [&str; 3] = ["metrics", "http-metrics", "prometheus"];

/// By which ways metrics can be had.
struct Ways {
    /// The configured URL with a client, or why there is none to ask.
    url: Result<(Http, String), String>,
    /// Whether `pods/proxy` may be read, or why it is not tried.
    proxy: Result<(), String>,
}

/// Saves what can be had. A port-forward is never tried: it needs the right to create
/// `pods/portforward`, and this program makes no such connection.
pub(super) async fn save(job: &Job<'_>, objects: &Objects) {
    let mut url = configured(job);
    if let Ok((http, one)) = &url
        && !one.contains("{pod}")
    {
        // One address for all pods.
        let Err(reason) = from_url(job, http, &filled(job, one, ""), "metrics/metrics.txt").await
        else {
            return;
        };
        url = Err(reason);
    }
    let running: Vec<&Value> = objects
        .pods
        .iter()
        .filter(|pod| text(pod, "/status/phase") == "Running")
        .filter(|pod| pod.pointer("/metadata/deletionTimestamp").is_none())
        .collect();
    let Some(cluster) = job.cluster().filter(|_| !running.is_empty()) else {
        let reason = "no pod of it is known to run".to_owned();
        let url = url
            .err()
            .map(|reason| format!("{reason}; "))
            .unwrap_or_default();
        return job.folder.missing("metrics", format!("{url}{reason}"));
    };
    let ways = Ways {
        url,
        proxy: may_proxy(job, cluster).await,
    };
    let pods = running.into_iter();
    at_once(
        pods.map(|pod| one(job, cluster, (pod, objects), &ways))
            .collect(),
    )
    .await;
}

fn configured(job: &Job<'_>) -> Result<(Http, String), String> {
    let url = job.options.metrics.url.clone();
    let url = url.ok_or("no metrics.url is configured")?;
    let limit = job.cluster().map_or(READ_LIMIT, Cluster::request_timeout);
    Ok((Http::new(limit)?, url))
}

/// Whether this identity may read through `pods/proxy`; else why it is not tried.
async fn may_proxy(job: &Job<'_>, cluster: &Cluster) -> Result<(), String> {
    let query = AccessQuery {
        verb: "get".to_owned(),
        group: String::new(),
        resource: "pods".to_owned(),
        subresource: "proxy".to_owned(),
        namespace: job.observation.target.namespace.clone(),
        name: String::new(),
    };
    let answers = job.until.run(cluster.access(&[query])).await?;
    match answers.first() {
        Some(answer) if answer.allowed == Allowed::Allowed => Ok(()),
        Some(answer) => {
            let word = match answer.allowed {
                Allowed::Denied => "is not allowed",
                Allowed::Allowed | Allowed::Unknown => "may not be allowed",
            };
            let reason = match answer.reason.as_str() {
                "" => String::new(),
                reason => format!(" ({reason})"),
            };
            Err(format!("{} {word}{reason}", answer.right))
        }
        None => Err("the right to get pods/proxy could not be asked".to_owned()),
    }
}

async fn one(job: &Job<'_>, cluster: &Cluster, (pod, objects): (&Value, &Objects), ways: &Ways) {
    let pod_name = text(pod, "/metadata/name");
    let name = format!("metrics/{}.txt", file_name(pod_name));
    let mut reasons = Vec::new();
    match &ways.url {
        Ok((http, url)) => match from_url(job, http, &filled(job, url, pod_name), &name).await {
            Ok(()) => return,
            Err(reason) => reasons.push(reason),
        },
        Err(reason) => reasons.push(reason.clone()),
    }
    reasons.push("a port-forward is not tried".to_owned());
    match &ways.proxy {
        Ok(()) => match from_proxy(job, cluster, (pod, objects), &name).await {
            Ok(()) => return,
            Err(reason) => reasons.push(reason),
        },
        Err(reason) => reasons.push(reason.clone()),
    }
    job.folder.missing(name, reasons.join("; "));
}

fn filled(job: &Job<'_>, url: &str, pod: &str) -> String {
    let target = &job.observation.target;
    url.replace("{pod}", pod)
        .replace("{namespace}", &target.namespace)
        .replace("{name}", &target.name)
}

async fn from_url(job: &Job<'_>, http: &Http, url: &str, name: &str) -> Result<(), String> {
    let answer = job.until.run(http.get(url)).await?;
    let mut answer = answer.map_err(|error| error.to_string())?;
    take(job, &mut answer, name).await;
    Ok(())
}

async fn from_proxy(
    job: &Job<'_>,
    cluster: &Cluster,
    (pod, objects): (&Value, &Objects),
    name: &str,
) -> Result<(), String> {
    let place = place(&job.options.metrics, pod, &objects.services)?;
    let to = PodPort {
        namespace: text(pod, "/metadata/namespace"),
        pod: text(pod, "/metadata/name"),
        port: place.port,
        tls: place.tls,
    };
    let answer = job.until.run(cluster.pod_proxy(&to, &place.path)).await?;
    let mut answer = answer.map_err(|error| error.to_string())?;
    take(job, &mut answer, name).await;
    Ok(())
}

async fn take(job: &Job<'_>, source: &mut impl Pieces, name: &str) {
    copy(job, source, name, job.options.largest()).await;
}

/// Where a pod's metrics are.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    port: u16,
    path: String,
    tls: bool,
}

/// The configuration's place, else that of the `prometheus.io` annotations (of the pod,
/// else of a Service that selects it), else a port named for it, else the only one.
fn place(configured: &Metrics, pod: &Value, services: &[Value]) -> Result<Place, String> {
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
        path: path.unwrap_or_else(|| DEFAULT_PATH.to_owned()),
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
        .find(|port| PORT_NAMES.contains(&text(port, "/name")));
    let only = (ports.len() == 1).then(|| ports.first()).flatten();
    let number = named.or(only)?.get("containerPort")?.as_u64()?;
    u16::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn where_metrics_are() {
        let none = Metrics::default();
        let pod = |annotations: Value, ports: Value| {
            json!({"metadata": {"annotations": annotations},
                "spec": {"containers": [{"ports": ports}, {}]}})
        };
        let one = json!([{"name": "http", "containerPort": 8080}]);
        let found = |configured: &Metrics, pod: &Value, services: &[Value]| {
            place(configured, pod, services).map(|place| (place.port, place.path, place.tls))
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
        let configured = Metrics {
            port: Some(6),
            path: Some("/x/y".to_owned()),
            ..none
        };
        assert_eq!(
            found(&configured, &annotated, &[]),
            Ok((6, "/x/y".to_owned(), true))
        );
    }
}
