//! What a connection is made from. Nothing here is read from the environment:
//! the caller passes the values in.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where the API server is and who asks, as the command line and the environment tell.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `--kubeconfig`. It wins over everything else and must exist.
    pub kubeconfig: Option<PathBuf>,
    /// `KUBECONFIG`: a list of files. Missing ones are skipped, as kubectl does.
    pub kubeconfig_env: Option<OsString>,
    /// The home folder, for `.kube/config`.
    pub home: Option<PathBuf>,
    /// `--context`.
    pub context: Option<String>,
    /// `--namespace`.
    pub namespace: Option<String>,
    /// Limit of every single read, retries included.
    pub request_timeout: Duration,
    /// Limit of a credential plugin, which may have to ask a person.
    pub plugin_timeout: Duration,
    /// What a pod finds around itself.
    pub in_cluster: InCluster,
    /// Proxy variables.
    pub proxy: ProxyEnv,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            kubeconfig_env: None,
            home: None,
            context: None,
            namespace: None,
            request_timeout: Duration::from_secs(10),
            plugin_timeout: Duration::from_secs(60),
            in_cluster: InCluster::default(),
            proxy: ProxyEnv::default(),
        }
    }
}

/// The service account of the pod in which the program runs.
#[derive(Debug, Clone)]
pub struct InCluster {
    /// `KUBERNETES_SERVICE_HOST`.
    pub service_host: Option<String>,
    /// `KUBERNETES_SERVICE_PORT`.
    pub service_port: Option<String>,
    /// The folder with `token`, `ca.crt` and `namespace`.
    pub directory: PathBuf,
}

impl Default for InCluster {
    fn default() -> Self {
        Self {
            service_host: None,
            service_port: None,
            directory: PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount"),
        }
    }
}

/// `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` (or their lower-case names). kubectl
/// does not know `ALL_PROXY`.
#[derive(Clone, Default)]
pub struct ProxyEnv {
    /// For `http://` servers.
    pub http: Option<String>,
    /// For `https://` servers.
    pub https: Option<String>,
    /// Hosts that are reached without a proxy.
    pub no: Option<String>,
}

impl fmt::Debug for ProxyEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URLs may hold a password.
        f.debug_struct("ProxyEnv")
            .field("http", &self.http.is_some())
            .field("https", &self.https.is_some())
            .field("no", &self.no)
            .finish()
    }
}

/// Where the connection's settings came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// These kubeconfig files, merged in this order.
    Kubeconfig(Vec<PathBuf>),
    /// The pod's own service account.
    InCluster,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kubeconfig(files) => {
                let files: Vec<_> = files.iter().map(|f| f.display().to_string()).collect();
                write!(f, "kubeconfig {}", files.join(", "))
            }
            Self::InCluster => f.write_str("the pod's service account (in-cluster)"),
        }
    }
}
