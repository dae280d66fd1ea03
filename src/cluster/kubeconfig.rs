//! From settings to a kube configuration: the kubeconfig rules of kubectl
//! (client-go `clientcmd`), without kube's own reading of the environment.

use std::path::{Path, PathBuf};

use http::Uri;
use hyper_util::client::proxy::matcher::Intercept;
use kube::Config;
use kube::config::{
    AuthInfo, Cluster as ClusterEntry, Context, ExecAuthCluster, Kubeconfig, KubeconfigError,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::error::{Error, clean};
use super::near::near_names;
use super::proxy;
use super::settings::{InCluster, Settings, Source};

/// What is needed to connect.
pub(super) struct Target {
    pub(super) config: Config,
    pub(super) proxy: Option<Intercept>,
    pub(super) source: Source,
    pub(super) context: Option<String>,
    pub(super) user: Option<String>,
    pub(super) namespace: String,
}

/// Chooses and reads the configuration.
pub(super) fn load(settings: &Settings) -> Result<Target, Error> {
    let candidates = candidates(settings);
    let files: Vec<PathBuf> = if settings.kubeconfig.is_some() {
        // kubectl: the flag's file must exist.
        candidates.clone()
    } else {
        candidates
            .iter()
            .filter(|path| path.exists())
            .cloned()
            .collect()
    };
    let mut merged = Kubeconfig::default();
    for file in &files {
        let next = read(file)?;
        merged = merged.merge(next).map_err(|error| Error::Kubeconfig {
            path: file.clone(),
            message: clean(&error.to_string()),
        })?;
    }
    // client-go takes the pod's account also when all files are empty.
    let empty = merged.contexts.is_empty() && merged.clusters.is_empty();
    if !empty || settings.context.is_some() && !files.is_empty() {
        return from_files(merged, files, settings);
    }
    match in_cluster(settings)? {
        Some(target) => Ok(target),
        None if files.is_empty() => Err(Error::NoKubeconfig { tried: candidates }),
        None => from_files(merged, files, settings),
    }
}

fn candidates(settings: &Settings) -> Vec<PathBuf> {
    if let Some(file) = &settings.kubeconfig {
        return vec![file.clone()];
    }
    let mut listed: Vec<PathBuf> = Vec::new();
    if let Some(list) = &settings.kubeconfig_env {
        for path in std::env::split_paths(list) {
            if !path.as_os_str().is_empty() && !listed.contains(&path) {
                listed.push(path);
            }
        }
    }
    if listed.is_empty()
        && let Some(home) = &settings.home
    {
        listed.push(home.join(".kube").join("config"));
    }
    listed
}

fn read(path: &Path) -> Result<Kubeconfig, Error> {
    let message = match Kubeconfig::read_from(path) {
        Ok(mut config) => {
            config.current_context = config.current_context.filter(|name| !name.is_empty());
            return Ok(config);
        }
        // The parser's text quotes lines of the file, which may hold a token.
        Err(KubeconfigError::Parse(error)) => match error.location() {
            Some(at) => format!("not a kubeconfig: does not parse at line {}", at.line()),
            None => "not a kubeconfig: does not parse".to_owned(),
        },
        Err(KubeconfigError::ReadConfig(io, _)) => match io.kind() {
            std::io::ErrorKind::NotFound => "no such file".to_owned(),
            std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => clean(&io.to_string()),
        },
        Err(error) => clean(&error.to_string()),
    };
    Err(Error::Kubeconfig {
        path: path.to_owned(),
        message,
    })
}

fn from_files(
    merged: Kubeconfig,
    files: Vec<PathBuf>,
    settings: &Settings,
) -> Result<Target, Error> {
    let invalid = |message: String| Error::Kubeconfig {
        path: files.first().cloned().unwrap_or_default(),
        message,
    };
    let (name, context) = choose_context(&merged, settings)?;
    let cluster = merged
        .clusters
        .iter()
        .find(|entry| entry.name == context.cluster)
        .and_then(|entry| entry.cluster.clone())
        .ok_or_else(|| {
            invalid(format!(
                "context {name:?} names the cluster {:?}, which is missing",
                context.cluster
            ))
        })?;
    let mut auth_info = context
        .user
        .as_ref()
        .and_then(|user| merged.auth_infos.iter().find(|entry| &entry.name == user))
        .and_then(|entry| entry.auth_info.clone())
        .unwrap_or_default();
    let details =
        ExecAuthCluster::try_from(&cluster).map_err(|e| invalid(clean(&e.to_string())))?;
    let authority = details.certificate_authority_data.clone();
    if let Some(exec) = &mut auth_info.exec
        && exec.provide_cluster_info
    {
        exec.cluster = Some(details);
    }
    let mut config = config(&cluster, auth_info).map_err(invalid)?;
    if let Some(pem) = authority {
        config.root_cert = Some(certificates(&pem).map_err(invalid)?);
    }
    let proxy = proxy::select(
        &config.cluster_url,
        cluster.proxy_url.as_deref(),
        &settings.proxy,
    )?;
    Ok(Target {
        config,
        proxy,
        source: Source::Kubeconfig(files),
        context: Some(name),
        user: context.user,
        namespace: namespace(settings, context.namespace),
    })
}

fn namespace(settings: &Settings, found: Option<String>) -> String {
    settings
        .namespace
        .clone()
        .or(found)
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "default".to_owned())
}

fn choose_context(merged: &Kubeconfig, settings: &Settings) -> Result<(String, Context), Error> {
    let wanted = settings
        .context
        .as_ref()
        .or(merged.current_context.as_ref());
    let found = wanted.and_then(|name| {
        let entry = merged.contexts.iter().find(|entry| &entry.name == name)?;
        Some((name.clone(), entry.context.clone()?))
    });
    found.ok_or_else(|| {
        let existing: Vec<String> = merged.contexts.iter().map(|c| c.name.clone()).collect();
        let near = wanted.and_then(|name| {
            near_names(name, existing.iter().map(String::as_str))
                .into_iter()
                .next()
        });
        Error::UnknownContext {
            context: wanted.cloned(),
            existing,
            near,
        }
    })
}

fn config(cluster: &ClusterEntry, auth_info: AuthInfo) -> Result<Config, String> {
    let server = cluster.server.as_deref().unwrap_or_default();
    if server.is_empty() {
        return Err("the cluster of this context has no `server`".to_owned());
    }
    // client-go takes a bare `host:port` for http.
    let server = if server.contains("://") {
        server.to_owned()
    } else {
        format!("http://{server}")
    };
    let uri: Uri = server
        .parse()
        .ok()
        .filter(|uri: &Uri| {
            uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https"))
        })
        .ok_or_else(|| "`server` of this context's cluster is no http or https URL".to_owned())?;
    let mut config = Config::new(uri);
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or(false);
    config.tls_server_name.clone_from(&cluster.tls_server_name);
    config.auth_info = auth_info;
    // Retrying is done here, for reads only and within the request's time.
    config.default_retry = false;
    Ok(config)
}

fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let found: Result<Vec<Vec<u8>>, _> = CertificateDer::pem_slice_iter(pem)
        .map(|one| one.map(|certificate| certificate.to_vec()))
        .collect();
    match found {
        Ok(list) if !list.is_empty() => Ok(list),
        _ => Err("the certificate authority holds no PEM certificate".to_owned()),
    }
}

/// The pod's own service account, by the rules of client-go's `InClusterConfig`.
fn in_cluster(settings: &Settings) -> Result<Option<Target>, Error> {
    let InCluster {
        service_host: Some(host),
        service_port: Some(port),
        directory,
    } = &settings.in_cluster
    else {
        return Ok(None);
    };
    let token = directory.join("token");
    if host.is_empty() || port.is_empty() || !token.exists() {
        return Ok(None);
    }
    let invalid = |message: String| Error::Invalid {
        what: "in-cluster configuration".to_owned(),
        message,
    };
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.clone()
    };
    let uri: Uri = format!("https://{host}:{port}")
        .parse()
        .map_err(|_| invalid("KUBERNETES_SERVICE_HOST and _PORT make no URL".to_owned()))?;
    let mut config = Config::new(uri);
    config.default_retry = false;
    config.auth_info.token_file = Some(token.display().to_string());
    let authority = directory.join("ca.crt");
    let pem = std::fs::read(&authority)
        .map_err(|error| invalid(format!("{}: {error}", authority.display())))?;
    config.root_cert = Some(certificates(&pem).map_err(invalid)?);
    config.root_cert_file = Some(authority);
    let proxy = proxy::select(&config.cluster_url, None, &settings.proxy)?;
    let own = std::fs::read_to_string(directory.join("namespace")).ok();
    Ok(Some(Target {
        config,
        proxy,
        source: Source::InCluster,
        context: None,
        user: None,
        namespace: namespace(settings, own.map(|name| name.trim().to_owned())),
    }))
}
