//! Which proxy, if any, stands between us and the API server: the rules of
//! client-go (Go's `http.ProxyFromEnvironment`), not those of kube 5.0, which
//! matches `NO_PROXY` against the proxy's own address.

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use super::error::Error;
use super::settings::ProxyEnv;
use crate::model::mask_url;

/// The proxy for `server`. A kubeconfig's `proxy-url` wins, and `NO_PROXY` does
/// not apply to it.
pub(super) fn select(
    server: &Uri,
    kubeconfig: Option<&str>,
    env: &ProxyEnv,
) -> Result<Option<Intercept>, Error> {
    if let Some(url) = kubeconfig.filter(|url| !url.is_empty()) {
        let found = Matcher::builder()
            .all(url.to_owned())
            .build()
            .intercept(server);
        return match found {
            Some(proxy) => Ok(Some(proxy)),
            None => Err(Error::Invalid {
                what: format!("proxy-url {} in the kubeconfig", mask_url(url)),
                message: "it is no http, https or socks5 URL".to_owned(),
            }),
        };
    }
    if is_loopback(server) {
        return Ok(None);
    }
    let matcher = Matcher::builder()
        .http(env.http.clone().unwrap_or_default())
        .https(env.https.clone().unwrap_or_default())
        .no(no_proxy(env.no.as_deref().unwrap_or_default(), server))
        .build();
    Ok(matcher.intercept(server))
}

/// Go never sends localhost and loopback addresses through a proxy.
fn is_loopback(server: &Uri) -> bool {
    let host = server.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// `NO_PROXY` in the form that the matcher takes: an entry with a port counts
/// only when the server has that port.
fn no_proxy(list: &str, server: &Uri) -> String {
    let port = server.port_u16().unwrap_or_else(|| {
        if server.scheme_str() == Some("http") {
            80
        } else {
            443
        }
    });
    let keep = |entry: &str| -> Option<String> {
        let entry = entry.trim();
        match entry.rsplit_once(':') {
            Some((host, number)) if !host.contains(':') || host.ends_with(']') => {
                let number: u16 = number.parse().ok()?;
                let host = host.trim_start_matches('[').trim_end_matches(']');
                (number == port).then(|| host.to_owned())
            }
            _ => Some(entry.to_owned()),
        }
    };
    let entries: Vec<String> = list.split(',').filter_map(keep).collect();
    entries.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxied(server: &str, no: &str) -> bool {
        let env = ProxyEnv {
            http: Some("http://u:p@10.0.0.9:3128".to_owned()),
            https: Some("http://10.0.0.9:3128".to_owned()),
            no: Some(no.to_owned()),
        };
        select(&server.parse().unwrap(), None, &env)
            .unwrap()
            .is_some()
    }

    #[test]
    fn no_proxy_speaks_of_the_server() {
        for (server, no, expected) in [
            ("https://kube.internal:6443", "", true),
            ("https://kube.internal:6443", "kube.internal", false),
            ("https://kube.internal:6443", ".internal", false),
            ("https://kube.internal:6443", "kube.internal:6443", false),
            ("https://kube.internal:6443", "kube.internal:443", true),
            ("https://kube.internal:6443", "a,, b ,", true),
            ("https://kube.internal:6443", "*", false),
            // The proxy's own address says nothing about the server.
            ("https://kube.internal:6443", "10.0.0.9", true),
            ("https://10.1.2.3", "10.1.0.0/16", false),
            ("https://[fd00::1]:6443", "[fd00::1]:6443", false),
            ("http://kube.internal", "", true),
            ("http://kube.internal", "kube.internal:80", false),
            ("https://127.0.0.1:6443", "", false),
            ("http://localhost:8001", "", false),
            ("https://[::1]:6443", "", false),
        ] {
            assert_eq!(
                proxied(server, no),
                expected,
                "{server} with NO_PROXY={no:?}"
            );
        }
    }

    #[test]
    fn the_kubeconfig_wins() {
        let env = ProxyEnv {
            no: Some("*".to_owned()),
            ..ProxyEnv::default()
        };
        let server: Uri = "https://kube.internal".parse().unwrap();
        let found = select(&server, Some("socks5://127.0.0.1:1080"), &env).unwrap();
        assert_eq!(found.unwrap().uri().scheme_str(), Some("socks5"));
        let error = select(&server, Some("ftp://u:sekret@x"), &env).unwrap_err();
        assert!(!error.to_string().contains("sekret"), "{error}");
    }
}
