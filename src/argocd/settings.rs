//! Which Argo CD server is asked, how, and with which token.
//!
//! Pure: the caller reads flags, environment and files and gives their texts. As in
//! the argocd CLI a flag goes before the environment, that before `ARGOCD_OPTS`, that
//! before the CLI's configuration file. Unlike there, a token from the file is only
//! ever sent to the server that it stands with.

use std::collections::BTreeMap;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::cli_config::{self, CliConfigFile, CliContext};
use super::opts;
use crate::model::mask_url;

/// Everything that may name a server or a token.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// `--argocd-server`.
    pub flag_server: Option<String>,
    /// `--argocd-auth-token`.
    pub flag_auth_token: Option<SecretString>,
    /// `ARGOCD_SERVER`.
    pub env_server: Option<String>,
    /// `ARGOCD_AUTH_TOKEN`.
    pub env_auth_token: Option<SecretString>,
    /// `ARGOCD_OPTS`. May hold a token.
    pub env_opts: Option<SecretString>,
    /// The argocd CLI's configuration file.
    pub cli_config: Option<CliConfigFile>,
    /// A read-only HTTP proxy in front of Argo CD, from unship's configuration.
    pub read_only_proxy: Option<String>,
}

/// A server to ask.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Scheme, host, port and root path, without a slash at the end.
    pub base_url: String,
    /// The token, if there is one. Without it the server may still answer anonymously.
    pub token: Option<SecretString>,
    /// Certificates are not verified (`--insecure`, or `insecure` in the configuration file).
    pub insecure_tls: bool,
    /// A private certificate authority, PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// Client certificate and its key, PEM.
    pub client_pem: Option<SecretString>,
    /// Where server and token came from, for people.
    pub source: String,
    /// It is the read-only proxy: asked last, after the objects in Kubernetes.
    pub read_only_proxy: bool,
}

/// The outcome.
#[derive(Debug, Clone)]
pub enum Resolution {
    /// A server to ask.
    Server(Box<Resolved>),
    /// None, and why.
    None {
        /// The reason, with what would change it.
        reason: String,
    },
}

/// Settings that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The address cannot be used.
    #[error("the argo cd server from {origin} cannot be used: {reason}")]
    Server {
        /// Where it came from.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A token that cannot be sent.
    #[error(
        "the argo cd token from {origin} cannot be used: it holds spaces or control characters"
    )]
    Token {
        /// Where it came from.
        origin: String,
    },
    /// `ARGOCD_OPTS` cannot be split.
    #[error("ARGOCD_OPTS cannot be read: {reason}")]
    Opts {
        /// What is wrong with it.
        reason: String,
    },
    /// The CLI's configuration file cannot be used.
    #[error("the argocd configuration {path} cannot be used: {reason}")]
    CliConfig {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

fn given(text: Option<&String>) -> Option<String> {
    text.map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}

fn given_secret(text: Option<&SecretString>) -> Option<SecretString> {
    let text = text?.expose_secret().trim();
    (!text.is_empty()).then(|| SecretString::from(text))
}

/// Decides which server is asked.
///
/// # Errors
/// When what was given on purpose cannot be used, instead of silently taking the next.
pub fn resolve(inputs: &Inputs) -> Result<Resolution, SettingsError> {
    let flags = match &inputs.env_opts {
        Some(text) => {
            opts::read(text.expose_secret()).map_err(|reason| SettingsError::Opts { reason })?
        }
        None => BTreeMap::new(),
    };
    let server = named_server(inputs, &flags);
    let token = named_token(inputs, &flags)?;
    if let Some((address, origin)) = &server
        && let Some(reason) = unsupported(address)
    {
        return Err(SettingsError::Server {
            origin: origin.clone(),
            reason,
        });
    }
    if server.is_some() && token.is_some() {
        // The file is not needed, so nothing about it is in the way.
        return build(server, token, None, &flags);
    }
    let mut core = None;
    if let Some(file) = &inputs.cli_config {
        let contexts = cli_config::read(file).map_err(|reason| SettingsError::CliConfig {
            path: file.path.clone(),
            reason,
        })?;
        let context = pick(
            &contexts,
            server.as_ref(),
            cli_config::has_current(file),
            &flags,
        );
        match context {
            Some(context) if context.core || unsupported(&context.server).is_some() => {
                core = Some(format!(
                    "the current context of {} is {:?}, which has no server to ask over HTTP",
                    file.path, context.server
                ));
            }
            Some(context) => {
                let from = format!("{} (context {})", file.path, context.name);
                return build(server, token, Some((context, from)), &flags);
            }
            None => {}
        }
    }
    if server.is_some() {
        return build(server, token, None, &flags);
    }
    proxy_or_none(inputs, token.as_ref(), core)
}

fn named_server(inputs: &Inputs, flags: &BTreeMap<String, String>) -> Option<(String, String)> {
    let from = |text: Option<String>, origin: &str| text.map(|text| (text, origin.to_owned()));
    from(given(inputs.flag_server.as_ref()), "--argocd-server")
        .or_else(|| from(given(inputs.env_server.as_ref()), "ARGOCD_SERVER"))
        .or_else(|| from(given(flags.get("server")), "ARGOCD_OPTS"))
}

type Token = (SecretString, String);

fn named_token(
    inputs: &Inputs,
    flags: &BTreeMap<String, String>,
) -> Result<Option<Token>, SettingsError> {
    let opts = flags
        .get("auth-token")
        .map(|text| SecretString::from(text.as_str()));
    let found = [
        (&inputs.flag_auth_token, "--argocd-auth-token"),
        (&inputs.env_auth_token, "ARGOCD_AUTH_TOKEN"),
        (&opts, "ARGOCD_OPTS"),
    ]
    .into_iter()
    .find_map(|(token, origin)| Some((given_secret(token.as_ref())?, origin.to_owned())));
    match found {
        Some((token, origin)) if !sendable(token.expose_secret()) => {
            Err(SettingsError::Token { origin })
        }
        found => Ok(found),
    }
}

fn sendable(token: &str) -> bool {
    token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The context of the file that goes with the server: the current one when no server is
/// named, else one for the same server.
fn pick<'a>(
    contexts: &'a [CliContext],
    server: Option<&(String, String)>,
    has_current: bool,
    flags: &BTreeMap<String, String>,
) -> Option<&'a CliContext> {
    let Some((address, _)) = server else {
        return contexts.first().filter(|_| has_current);
    };
    let plain = switch(flags, "plaintext");
    let wanted = authority(address, plain)?;
    contexts.iter().find(|context| {
        authority(&context.server, plain || context.plain_text) == Some(wanted.clone())
    })
}

/// Host and port, for comparing two spellings of one server.
fn authority(address: &str, plain_text: bool) -> Option<(String, u16)> {
    let url = Url::parse(&with_scheme(address, plain_text)).ok()?;
    Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
}

fn with_scheme(address: &str, plain_text: bool) -> String {
    if address.contains("://") {
        return address.to_owned();
    }
    format!("{}://{address}", if plain_text { "http" } else { "https" })
}

fn switch(flags: &BTreeMap<String, String>, name: &str) -> bool {
    flags.get(name).is_some_and(|value| value == "true")
}

/// The CLI's special server names, which lead past Argo CD's API server.
fn unsupported(address: &str) -> Option<String> {
    match address {
        "kubernetes" => Some(
            "\"kubernetes\" means argocd's core mode, which has no API server to ask; name the \
             server itself, or leave it out to read the Application objects through Kubernetes"
                .to_owned(),
        ),
        "port-forward" => Some(
            "\"port-forward\" is not supported; run `kubectl -n argocd port-forward \
             svc/argocd-server 8080:443` and name localhost:8080"
                .to_owned(),
        ),
        _ => None,
    }
}

fn build(
    server: Option<(String, String)>,
    token: Option<Token>,
    context: Option<(&CliContext, String)>,
    flags: &BTreeMap<String, String>,
) -> Result<Resolution, SettingsError> {
    let (context, file) = context.unzip();
    let file = file.unwrap_or_default();
    let (address, origin) = server
        .or_else(|| context.map(|context| (context.server.clone(), file.clone())))
        .unwrap_or_default();
    let plain_text = switch(flags, "plaintext") || context.is_some_and(|c| c.plain_text);
    let root_path = given(flags.get("grpc-web-root-path"))
        .or_else(|| given(context.map(|context| &context.root_path)))
        .unwrap_or_default();
    let base_url =
        base_url(&address, plain_text, &root_path).map_err(|reason| SettingsError::Server {
            origin: origin.clone(),
            reason,
        })?;
    let token = match (token, context.and_then(|context| context.token.clone())) {
        (Some(named), _) => Some(named),
        (None, Some(stored)) if !sendable(stored.expose_secret()) => {
            return Err(SettingsError::Token { origin: file });
        }
        (None, stored) => stored.map(|token| (token, file)),
    };
    let source = match &token {
        Some((_, token_origin)) if *token_origin == origin => {
            format!("server and token from {origin}")
        }
        Some((_, token_origin)) => format!("server from {origin}, token from {token_origin}"),
        None => format!("server from {origin}, no token"),
    };
    Ok(Resolution::Server(Box::new(Resolved {
        base_url,
        token: token.map(|(token, _)| token),
        insecure_tls: switch(flags, "insecure") || context.is_some_and(|c| c.insecure),
        ca_pem: context.and_then(|context| context.ca_pem.clone()),
        client_pem: context.and_then(|context| context.client_pem.clone()),
        source,
        read_only_proxy: false,
    })))
}

/// A complete base URL from an address as people write it.
fn base_url(address: &str, plain_text: bool, root_path: &str) -> Result<String, String> {
    let text = with_scheme(address, plain_text);
    let shown = mask_url(&text);
    let mut url = Url::parse(&text).map_err(|error| format!("{shown:?} is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{shown:?} is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!(
            "{shown:?} holds a user name or password; give a token instead"
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{shown:?} holds a query or fragment"));
    }
    let root_path = root_path.trim_matches('/');
    // An address that has a path already is taken as it stands.
    if url.path().trim_matches('/').is_empty() && !root_path.is_empty() {
        url.set_path(root_path);
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn proxy_or_none(
    inputs: &Inputs,
    token: Option<&Token>,
    core: Option<String>,
) -> Result<Resolution, SettingsError> {
    if let Some(address) = given(inputs.read_only_proxy.as_ref()) {
        let origin = "unship's configuration (read-only proxy)".to_owned();
        let base_url = base_url(&address, false, "").map_err(|reason| SettingsError::Server {
            origin: origin.clone(),
            reason,
        })?;
        return Ok(Resolution::Server(Box::new(Resolved {
            base_url,
            // A token that was meant for Argo CD is not shown to a proxy.
            token: None,
            insecure_tls: false,
            ca_pem: None,
            client_pem: None,
            source: format!("server from {origin}, no token"),
            read_only_proxy: true,
        })));
    }
    let reason = match (core, token) {
        (Some(core), _) => core,
        (None, Some((_, origin))) => {
            format!("there is a token from {origin} but no server; set ARGOCD_SERVER")
        }
        (None, None) => "no Argo CD server is named: set ARGOCD_SERVER and ARGOCD_AUTH_TOKEN, \
                         or run `argocd login`"
            .to_owned(),
    };
    Ok(Resolution::None { reason })
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
