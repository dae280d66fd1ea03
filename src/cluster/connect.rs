//! The HTTP stack under the kube client. kube 5.0's own one runs a credential
//! plugin three times, on the calling thread, and matches `NO_PROXY` against the
//! proxy; this one does neither.

use std::time::Duration;

use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioExecutor;
use kube::client::middleware::AuthLayer;
use kube::client::{Body, ConfigExt};
use kube::{Client, Config};
use tower::{BoxError, ServiceBuilder};

use super::error::{Error, clean, credentials};
use super::kubeconfig::Target;
use super::settings::Settings;

/// Builds the client. Nothing is sent yet, but a credential plugin runs.
pub(super) async fn client(target: &Target, settings: &Settings) -> Result<Client, Error> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Only fails when another thread was quicker, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
    let config = target.config.clone();
    let runs_program = config.auth_info.exec.is_some() || config.auth_info.auth_provider.is_some();
    let auth = if runs_program {
        let config = config.clone();
        on_thread(settings.plugin_timeout, move || config.auth_layer()).await?
    } else {
        config.auth_layer()
    };
    let auth = auth.map_err(|error| setup(&error))?;
    if config.auth_info.exec.is_some() && auth.is_none() {
        return with_plugin_certificate(config, target.proxy.as_ref(), settings).await;
    }
    stack(
        config,
        auth,
        target.proxy.as_ref(),
        settings.request_timeout,
    )
    .map_err(|error| setup(&error))
}

/// A plugin that answers with a client certificate: rare, and only kube's own
/// stack can put that certificate into TLS.
async fn with_plugin_certificate(
    mut config: Config,
    proxy: Option<&Intercept>,
    settings: &Settings,
) -> Result<Client, Error> {
    config.proxy_url = proxy.map(|proxy| proxy.uri().clone());
    config.connect_timeout = Some(settings.request_timeout);
    let runtime = tokio::runtime::Handle::current();
    let built = on_thread(settings.plugin_timeout, move || {
        // The client spawns its worker on the runtime.
        let _inside = runtime.enter();
        Client::try_from(config)
    });
    built.await?.map_err(|error| setup(&error))
}

/// Runs a plugin on a thread of its own: unlike a task of the runtime it cannot
/// hold up the program's end.
async fn on_thread<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let (done, wait) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = done.send(work());
    });
    match tokio::time::timeout(limit, wait).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(_)) => Err(Error::Credentials {
            message: "the plugin's answer could not be used".to_owned(),
        }),
        Err(_) => Err(Error::Credentials {
            message: format!("the plugin gave no answer within {} s", limit.as_secs()),
        }),
    }
}

fn setup(error: &kube::Error) -> Error {
    match error {
        kube::Error::Auth(auth) => credentials(auth),
        kube::Error::InferKubeconfig(error) => Error::Credentials {
            message: clean(&error.to_string()),
        },
        kube::Error::RustlsTls(error) => Error::Invalid {
            what: "TLS settings of the cluster".to_owned(),
            message: clean(&error.to_string()),
        },
        other => Error::Invalid {
            what: "connection settings of the cluster".to_owned(),
            message: clean(&other.to_string()),
        },
    }
}

fn stack(
    config: Config,
    auth: Option<AuthLayer>,
    proxy: Option<&Intercept>,
    limit: Duration,
) -> Result<Client, kube::Error> {
    let tls = for_tls(&config);
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let Some(proxy) = proxy else {
        let connector = TimeoutConnector::new(tls.rustls_https_connector_with_connector(tcp)?);
        return finish(&config, auth, connector, limit);
    };
    let to = proxy.uri().clone();
    match to.scheme_str() {
        Some("https") => {
            // The proxy is checked also when the server behind it has no TLS.
            let mut proxy_tls = tls.clone();
            proxy_tls.root_cert.clone_from(&config.root_cert);
            let hop = proxy_tls.rustls_https_connector_with_connector(tcp)?;
            let tunnel = authorised(Tunnel::new(to, hop), proxy);
            let connector = tls.rustls_https_connector_with_connector(tunnel)?;
            finish(&config, auth, TimeoutConnector::new(connector), limit)
        }
        Some("socks5" | "socks5h") => {
            let mut socks = SocksV5::new(to, tcp);
            if let Some((user, password)) = proxy.raw_auth() {
                socks = socks.with_auth(user.to_owned(), password.to_owned());
            }
            let connector = tls.rustls_https_connector_with_connector(socks)?;
            finish(&config, auth, TimeoutConnector::new(connector), limit)
        }
        Some("http") => {
            let tunnel = authorised(Tunnel::new(to, tcp), proxy);
            let connector = tls.rustls_https_connector_with_connector(tunnel)?;
            finish(&config, auth, TimeoutConnector::new(connector), limit)
        }
        _ => Err(kube::Error::ProxyProtocolUnsupported {
            proxy_url: Box::new(to),
        }),
    }
}

/// The configuration as the TLS side needs it.
fn for_tls(config: &Config) -> Config {
    let mut tls = config.clone();
    // Else each look at the TLS identity runs the plugin again.
    tls.auth_info.exec = None;
    tls.auth_info.auth_provider = None;
    if tls.cluster_url.scheme_str() == Some("http") {
        // No trust store is needed, and an image without one must work.
        tls.root_cert.get_or_insert_default();
    }
    tls
}

fn authorised<C>(tunnel: Tunnel<C>, proxy: &Intercept) -> Tunnel<C> {
    match proxy.basic_auth() {
        Some(value) => tunnel.with_auth(value.clone()),
        None => tunnel,
    }
}

fn finish<C>(
    config: &Config,
    auth: Option<AuthLayer>,
    mut connector: TimeoutConnector<C>,
    limit: Duration,
) -> Result<Client, kube::Error>
where
    TimeoutConnector<C>: Connect + Clone + Send + Sync + 'static,
{
    connector.set_connect_timeout(Some(limit));
    let hyper = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .build::<_, Body>(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(auth)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(hyper);
    Ok(Client::new(service, config.default_namespace.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_needs_no_trust_store() {
        let tls = |server: &str| for_tls(&Config::new(server.parse().unwrap()));
        assert_eq!(tls("http://kube:8001").root_cert, Some(Vec::new()));
        // None stands for the system's own trust store.
        assert_eq!(tls("https://kube:6443").root_cert, None);
    }
}
