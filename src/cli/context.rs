//! Flags, environment and configuration turned into connections and a scope.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::args::{Global, Source, duration};
use super::failure::Failure;
use crate::argocd::{Argocd, CliConfigFile, Inputs, Resolution, resolve};
use crate::cluster::{Cluster, InCluster, ProxyEnv, Settings};
use crate::config::Config;
use crate::git::Git;
use crate::model::{Gap, GapReason, Identity, WorkloadKind};
use crate::observe::{Clients, Scope};
use crate::programs::Programs;

/// The limit of a read where nothing else is set.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// What the process was started with.
#[derive(Debug)]
pub(super) struct Context {
    /// The merged configuration.
    pub config: Config,
    /// The connections.
    pub clients: Clients,
    /// The namespace to look in.
    pub namespace: String,
    /// Where journals are kept.
    pub state: PathBuf,
    cache: PathBuf,
    directory: PathBuf,
}

fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn home() -> Option<PathBuf> {
    std::env::var_os("HOME")
        .filter(|home| !home.is_empty())
        .map(PathBuf::from)
}

/// `$VARIABLE`, else the folder below home; relative values are ignored as the XDG
/// specification asks.
fn xdg(variable: &str, fallback: &str) -> PathBuf {
    let given = std::env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    given.unwrap_or_else(|| home().unwrap_or_else(|| PathBuf::from(".")).join(fallback))
}

/// A configured path; `~/` is the home folder.
pub(super) fn at_home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), home()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

/// Where journals are kept.
pub(super) fn state_folder() -> PathBuf {
    xdg("XDG_STATE_HOME", ".local/state").join("unship")
}

/// Reads the configuration files that there are.
pub(super) fn config(global: &Global) -> Result<Config, Failure> {
    let user = xdg("XDG_CONFIG_HOME", ".config").join("unship/config.yaml");
    let mut config = Config::default();
    for (path, must) in [(Some(user), false), (global.config.clone(), true)] {
        let Some(path) = path else { continue };
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let over = Config::parse(&path.display().to_string(), &text).map_err(|error| {
                    Failure::usage(error.to_string())
                        .hint("`unship config schema` prints what is allowed")
                })?;
                let folder = std::path::absolute(&path)
                    .ok()
                    .and_then(|path| path.parent().map(Path::to_owned));
                let over = match folder {
                    Some(folder) => over.located_in(&folder),
                    None => over,
                };
                config = config.overlaid(over);
            }
            Err(error) if must || error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::usage(format!("{}: {error}", path.display())));
            }
            Err(_) => {}
        }
    }
    Ok(config)
}

impl Context {
    /// Connects to what there is. A cluster or an Argo CD that cannot be connected to
    /// is a gap; a wrong flag or kubeconfig is a failure.
    pub(super) async fn new(global: &Global) -> Result<Self, Failure> {
        let config = config(global)?;
        let from_config = config
            .request_timeout
            .as_deref()
            .map(duration)
            .transpose()
            .map_err(|error| Failure::usage(format!("requestTimeout: {error}")))?;
        let timeout = global
            .request_timeout
            .or(from_config)
            .unwrap_or(REQUEST_TIMEOUT);
        let settings = settings(global, timeout);
        let cluster = match Cluster::connect(&settings).await {
            Ok(cluster) => Ok(Arc::new(cluster)),
            Err(error)
                if error.reason() == GapReason::NotConfigured && global.kubeconfig.is_none() =>
            {
                Err(error.gap("the cluster"))
            }
            Err(error) => return Err(error.into()),
        };
        let argocd = argocd(global, &config, timeout)?;
        let namespace = global
            .namespace
            .clone()
            .or_else(|| cluster.as_ref().ok().map(|c| c.namespace().to_owned()))
            .unwrap_or_else(|| "default".to_owned());
        let env: HashMap<OsString, OsString> = std::env::vars_os().collect();
        let interactive =
            std::io::IsTerminal::is_terminal(&std::io::stderr()) && var("CI").is_none();
        let programs = Programs::new(&env);
        let git = Git::new(env).with_terminal_prompt(interactive);
        Ok(Self {
            config,
            clients: Clients {
                cluster,
                argocd,
                git,
                programs,
            },
            namespace,
            state: state_folder(),
            cache: xdg("XDG_CACHE_HOME", ".cache").join("unship"),
            directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
        })
    }

    /// The cluster, or the failure that its absence is for commands that need it.
    pub(super) fn cluster(&self) -> Result<&Arc<Cluster>, Failure> {
        self.clients.cluster.as_ref().map_err(|gap| {
            Failure::usage(gap.message.clone())
                .hint("set KUBECONFIG, or give --kubeconfig and --context")
        })
    }

    /// Fails where there is nobody to ask about a target: no cluster and no Argo CD.
    pub(super) fn somebody_to_ask(&self) -> Result<(), Failure> {
        if self.clients.argocd.is_err() {
            self.cluster()?;
        }
        Ok(())
    }

    /// A scope for one target.
    pub(super) fn scope(&self, kind: Option<WorkloadKind>, name: String, source: &Source) -> Scope {
        Scope {
            kind,
            name,
            namespace: self.namespace.clone(),
            app: source.app.clone(),
            repo: source.repo.as_deref().map(|path| self.absolute(path)),
            file: source.file.clone(),
            branch: source.branch.clone(),
            directory: self.directory.clone(),
            clones: self.clones(),
            cache: self.cache.clone(),
            with: Vec::new(),
            commit: None,
            undo: None,
            automation: false,
            holds: false,
            replicas: false,
            removed: None,
            used: 0,
            depth: 50,
            git: true,
            rights: true,
        }
    }

    /// The configured clones; `~/` is the home folder.
    fn clones(&self) -> Vec<(String, PathBuf)> {
        let place = |path: &str| self.absolute(&at_home(path));
        let configured = &self.config.repositories;
        configured
            .iter()
            .map(|(url, path)| (url.clone(), place(path)))
            .collect()
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        if path.is_absolute() {
            path.to_owned()
        } else {
            self.directory.join(path)
        }
    }

    /// The working directory.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The author and the committer of commits: `--author`, git's own, unship's
    /// configuration.
    pub(super) fn identities(
        &self,
        repository: &crate::git::Repository,
        author: Option<&str>,
    ) -> Result<(Identity, Identity), Failure> {
        let flag = author.map(parse_identity).transpose()?;
        let configured = self.config.identity.as_ref().map(|own| Identity {
            name: own.name.clone(),
            email: own.email.clone(),
        });
        let fallback = flag.clone().or(configured);
        let pick = |own: Result<Identity, crate::git::GitError>| match (own, &fallback) {
            (Ok(own), _) => Ok(own),
            (Err(_), Some(other)) => Ok(other.clone()),
            (Err(error), None) => Err(Failure::from(error)
                .hint("give --author \"Name <mail>\", or set user.name and user.email")),
        };
        let committer = pick(repository.committer())?;
        let author = match flag {
            Some(flag) => flag,
            None => pick(repository.author())?,
        };
        Ok((author, committer))
    }
}

fn parse_identity(text: &str) -> Result<Identity, Failure> {
    let bad = || Failure::usage(format!("--author {text:?} is not \"Name <mail>\""));
    let (name, rest) = text.split_once('<').ok_or_else(bad)?;
    let email = rest.trim().strip_suffix('>').ok_or_else(bad)?;
    let clean = |part: &str| !part.is_empty() && !part.contains(['<', '>', '\n']);
    let (name, email) = (name.trim(), email.trim());
    if !clean(name) || !clean(email) {
        return Err(bad());
    }
    Ok(Identity {
        name: name.to_owned(),
        email: email.to_owned(),
    })
}

fn settings(global: &Global, request_timeout: Duration) -> Settings {
    let either = |upper: &str, lower: &str| var(lower).or_else(|| var(upper));
    Settings {
        kubeconfig: global.kubeconfig.clone(),
        kubeconfig_env: std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty()),
        home: home(),
        context: global.context.clone(),
        namespace: global.namespace.clone(),
        request_timeout,
        in_cluster: InCluster {
            service_host: var("KUBERNETES_SERVICE_HOST"),
            service_port: var("KUBERNETES_SERVICE_PORT"),
            ..InCluster::default()
        },
        proxy: ProxyEnv {
            http: either("HTTP_PROXY", "http_proxy"),
            https: either("HTTPS_PROXY", "https_proxy"),
            no: either("NO_PROXY", "no_proxy"),
        },
        ..Settings::default()
    }
}

fn argocd(
    global: &Global,
    config: &Config,
    timeout: Duration,
) -> Result<Result<Arc<Argocd>, Gap>, Failure> {
    let secret = |name: &str| var(name).map(SecretString::from);
    let inputs = Inputs {
        flag_server: global.argocd_server.clone(),
        flag_auth_token: global.argocd_auth_token.clone().map(SecretString::from),
        env_server: var("ARGOCD_SERVER"),
        env_auth_token: secret("ARGOCD_AUTH_TOKEN"),
        env_opts: secret("ARGOCD_OPTS"),
        cli_config: cli_config(),
        read_only_proxy: config.argocd.read_only_url.clone(),
    };
    let resolution = resolve(&inputs).map_err(|error| {
        Failure::usage(error.to_string()).hint(
            "ARGOCD_SERVER and --argocd-server take a host, or a URL with http:// or https://",
        )
    })?;
    Ok(match resolution {
        Resolution::Server(server) => Ok(Arc::new(Argocd::connect(*server, timeout))),
        Resolution::None { reason } => Err(Gap {
            what: "Argo CD's API".to_owned(),
            reason: GapReason::NotConfigured,
            message: reason,
        }),
    })
}

/// The argocd CLI's own configuration: its folder by the CLI's own rule.
fn cli_config() -> Option<CliConfigFile> {
    let folder = std::env::var_os("ARGOCD_CONFIG_DIR")
        .map(PathBuf::from)
        .or_else(|| {
            let old = home()?.join(".argocd");
            old.is_dir().then_some(old)
        });
    let path = folder
        .unwrap_or_else(|| xdg("XDG_CONFIG_HOME", ".config").join("argocd"))
        .join("config");
    let text = std::fs::read_to_string(&path).ok()?;
    #[cfg(unix)]
    let mode = {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(&path)
            .ok()
            .map(|meta| meta.permissions().mode())
    };
    #[cfg(not(unix))]
    let mode = None;
    Some(CliConfigFile {
        path: path.display().to_string(),
        text: SecretString::from(text),
        mode,
    })
}
