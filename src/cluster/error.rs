//! What can go wrong between us and an API server, in words for people.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::time::Duration;

use kube::client::AuthError;
use rustls::CertificateError;

use crate::model::{Gap, GapReason, mask_text, plain};

/// Why the cluster gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is nothing that says where a cluster is.
    #[error("no kubeconfig: {}, and this is no pod with a service account", looked_for(.tried))]
    NoKubeconfig {
        /// Files that were looked for.
        tried: Vec<PathBuf>,
    },
    /// A kubeconfig file that cannot be used.
    #[error("kubeconfig {}: {message}", .path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The chosen context is not in the kubeconfig, or none is chosen.
    #[error("{}", unknown_context(.context.as_deref(), .existing, .near.as_deref()))]
    UnknownContext {
        /// The context asked for; `None` when there is no current context.
        context: Option<String>,
        /// The contexts that exist.
        existing: Vec<String>,
        /// One with a similar name.
        near: Option<String>,
    },
    /// The credentials could not be obtained (a plugin failed, a token file is missing).
    #[error("credentials for the cluster: {message}")]
    Credentials {
        /// Why.
        message: String,
    },
    /// Nobody answers at the server's address, or the connection broke.
    #[error("the cluster at {server} does not answer: {message}")]
    Unreachable {
        /// Its URL without credentials.
        server: String,
        /// Why.
        message: String,
    },
    /// The TLS handshake failed.
    #[error("no safe connection to the cluster at {server}: {message}")]
    Tls {
        /// Its URL without credentials.
        server: String,
        /// Why.
        message: String,
    },
    /// 401.
    #[error("the cluster at {server} does not accept these credentials: {message}")]
    Unauthorized {
        /// Its URL without credentials.
        server: String,
        /// The server's message.
        message: String,
    },
    /// 403.
    #[error("{what}: {message}")]
    Forbidden {
        /// What was read.
        what: String,
        /// The server's message; it names the user and the right.
        message: String,
    },
    /// 404.
    #[error("{what}: {message}")]
    NotFound {
        /// What was read.
        what: String,
        /// The server's message.
        message: String,
    },
    /// No whole answer within the limit.
    #[error("{what}: no answer from {server} within {}", seconds(*.after))]
    TimedOut {
        /// What was read.
        what: String,
        /// The server's URL without credentials.
        server: String,
        /// The limit.
        after: Duration,
    },
    /// Any other refusal of the server.
    #[error("{what}: the API server answered {code}: {message}")]
    Api {
        /// What was read.
        what: String,
        /// HTTP code.
        code: u16,
        /// The server's message.
        message: String,
    },
    /// A write that may or may not have been carried out: no answer, a broken
    /// connection, a failure of the server. It is not sent again.
    #[error("{what}: {message}; whether it was carried out is not known")]
    OutcomeUnknown {
        /// What was to be changed.
        what: String,
        /// What came instead of an answer.
        message: String,
    },
    /// The object is not what the write was made for: 409, or a JSON Patch that does
    /// not apply (422 without a field). Nothing was changed.
    #[error("{what}: it was changed meanwhile: {message}")]
    Conflict {
        /// What was to be changed.
        what: String,
        /// The server's message.
        message: String,
    },
    /// An admission webhook, policy or plugin denies it, whatever RBAC allows.
    #[error("{what}: {by} denies it: {message}")]
    Denied {
        /// What was to be changed.
        what: String,
        /// Who denies it.
        by: String,
        /// Why.
        message: String,
    },
    /// 422: the object as it would become is not valid.
    #[error("{what}: the API server does not accept the result: {message}")]
    Rejected {
        /// What was to be changed.
        what: String,
        /// Whether a field would change that never may.
        immutable: bool,
        /// The fields and what is wrong with them, without their values.
        message: String,
    },
    /// Nothing new is taken in a namespace that is being deleted.
    #[error("{what}: the namespace is being deleted: {message}")]
    NamespaceTerminating {
        /// What was to be changed.
        what: String,
        /// The server's message.
        message: String,
    },
    /// A ResourceQuota does not leave room for it.
    #[error("{what}: it exceeds quota {message}")]
    QuotaExceeded {
        /// What was to be changed.
        what: String,
        /// The quota, what was requested, used and limited.
        message: String,
    },
    /// An admission webhook has side effects that it cannot leave out, so the API
    /// server makes no dry run.
    #[error("{what}: admission webhook {webhook} does not support dry runs")]
    NoDryRun {
        /// What was to be tried.
        what: String,
        /// The webhook.
        webhook: String,
    },
    /// An answer or a setting that cannot be understood.
    #[error("{what}: {message}")]
    Invalid {
        /// What it is about.
        what: String,
        /// What is wrong.
        message: String,
    },
}

impl Error {
    /// The same as a gap of an observation.
    #[must_use]
    pub fn gap(&self, what: &str) -> Gap {
        // A gap names what was to be read itself.
        let message = match self {
            Self::Forbidden { message, .. }
            | Self::NotFound { message, .. }
            | Self::Invalid { message, .. } => message.clone(),
            Self::TimedOut { server, after, .. } => {
                format!("no answer from {server} within {}", seconds(*after))
            }
            Self::Api { code, message, .. } => {
                format!("the API server answered {code}: {message}")
            }
            other => other.to_string(),
        };
        Gap {
            what: what.to_owned(),
            reason: self.reason(),
            message,
        }
    }

    /// The kind of gap that this error leaves.
    #[must_use]
    pub const fn reason(&self) -> GapReason {
        match self {
            Self::NoKubeconfig { .. } => GapReason::NotConfigured,
            Self::Unreachable { .. } | Self::Tls { .. } => GapReason::Unreachable,
            Self::Unauthorized { .. } | Self::Credentials { .. } => GapReason::Unauthenticated,
            Self::Forbidden { .. }
            | Self::Denied { .. }
            | Self::NamespaceTerminating { .. }
            | Self::QuotaExceeded { .. } => GapReason::Forbidden,
            Self::NotFound { .. } => GapReason::NotFound,
            Self::TimedOut { .. } | Self::OutcomeUnknown { .. } => GapReason::TimedOut,
            Self::Kubeconfig { .. }
            | Self::UnknownContext { .. }
            | Self::Api { .. }
            | Self::Conflict { .. }
            | Self::Rejected { .. }
            | Self::NoDryRun { .. }
            | Self::Invalid { .. } => GapReason::Invalid,
        }
    }

    /// The command or setting that helps next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoKubeconfig { .. } => {
                "name a kubeconfig with `--kubeconfig FILE` or the variable KUBECONFIG"
            }
            Self::Kubeconfig { .. } => {
                "`kubectl config view` reads the same file; name another with `--kubeconfig FILE`"
            }
            Self::UnknownContext { .. } => {
                "`kubectl config get-contexts` lists the contexts; choose one with `--context NAME`"
            }
            Self::Credentials { .. } | Self::Unauthorized { .. } => {
                "`kubectl auth whoami` tries the same credentials; log in again if it fails too"
            }
            Self::Unreachable { .. } | Self::TimedOut { .. } => {
                "`kubectl get --raw /readyz` asks the same server; `--request-timeout` gives it more time"
            }
            Self::Tls { .. } => {
                "check `certificate-authority-data` and `server` in `kubectl config view --minify`"
            }
            Self::Forbidden { .. } => "`unship access` shows what this identity may do",
            Self::OutcomeUnknown { .. } => {
                "`unship continue` looks at what is there now and goes on from that"
            }
            Self::Conflict { .. } => "`unship status` shows what it is now; plan again from that",
            Self::Denied { by, .. } if by.starts_with("ValidatingAdmissionPolicy") => {
                "`kubectl get validatingadmissionpolicies` shows the rule; through Git it would \
                 meet the same one"
            }
            Self::Denied { .. } => {
                "`kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations` shows \
                 who decides; through Git it would meet the same ones"
            }
            Self::Rejected {
                immutable: true, ..
            } => {
                "such a field changes only when the object is deleted and made again, which a \
                 person has to do; `unship history` shows other releases"
            }
            Self::Rejected { .. } => "`unship history` shows other releases",
            Self::NamespaceTerminating { .. } => {
                "`kubectl get namespaces` shows the state of the namespace"
            }
            Self::QuotaExceeded { .. } => {
                "`kubectl describe resourcequotas` in the namespace shows what is used by what"
            }
            Self::NoDryRun { .. } => {
                "an administrator can give the webhook `sideEffects: None`; until then only the \
                 change itself can be tried"
            }
            Self::NotFound { .. } | Self::Api { .. } | Self::Invalid { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

fn looked_for(tried: &[PathBuf]) -> String {
    if tried.is_empty() {
        return "none is named".to_owned();
    }
    let tried: Vec<_> = tried
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    format!("{} not found", tried.join(", "))
}

fn unknown_context(context: Option<&str>, existing: &[String], near: Option<&str>) -> String {
    let exist = if existing.is_empty() {
        "the kubeconfig has none".to_owned()
    } else {
        format!("there are: {}", existing.join(", "))
    };
    let text = match (context, near) {
        (None, _) => format!("no current context in the kubeconfig; {exist}"),
        (Some(name), Some(near)) => {
            format!("no context {name:?} in the kubeconfig, did you mean {near:?}? {exist}")
        }
        (Some(name), None) => format!("no context {name:?} in the kubeconfig; {exist}"),
    };
    plain(&text)
}

fn seconds(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

/// A server's or program's own words, fit to be shown: one line, no secrets, no
/// terminal control, not endless.
pub(super) fn clean(text: &str) -> String {
    let text = plain(&mask_text(text));
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= 400 {
        return text;
    }
    text.chars().take(399).chain(['…']).collect()
}

/// Whether the request surely did not reach the server: there was no connection, or
/// there were no credentials to send.
pub(super) fn never_sent(error: &kube::Error) -> bool {
    let mut link: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = link {
        let connecting = current
            .downcast_ref::<hyper_util::client::legacy::Error>()
            .is_some_and(hyper_util::client::legacy::Error::is_connect);
        if connecting || current.is::<AuthError>() {
            return true;
        }
        link = current.source();
    }
    matches!(error, kube::Error::Auth(_))
}

/// An error that kept a request from being answered.
pub(super) fn transport(error: &kube::Error, server: &str) -> Error {
    let server = server.to_owned();
    if let kube::Error::Auth(auth) = error {
        return credentials(auth);
    }
    let mut link: Option<&(dyn StdError + 'static)> = Some(error);
    let mut last = String::new();
    while let Some(current) = link {
        if let Some(auth) = current.downcast_ref::<AuthError>() {
            return credentials(auth);
        }
        if let Some(tls) = find_tls(current) {
            let message = tls_message(tls);
            return Error::Tls { server, message };
        }
        last = current.to_string();
        link = current.source();
    }
    let message = plain_io(&last);
    Error::Unreachable { server, message }
}

fn find_tls<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    if let Some(found) = error.downcast_ref::<rustls::Error>() {
        return Some(found);
    }
    // `io::Error::source` skips the error that it wraps.
    let wrapped = error.downcast_ref::<std::io::Error>()?.get_ref()?;
    find_tls(wrapped)
}

fn tls_message(error: &rustls::Error) -> String {
    let text = match error {
        rustls::Error::InvalidCertificate(why) => match why {
            CertificateError::UnknownIssuer => {
                "its certificate is signed by an authority that the kubeconfig does not trust"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another host name"
            }
            other => return clean(&format!("its certificate is not valid: {other}")),
        },
        rustls::Error::InvalidMessage(_) => "it does not speak TLS (is it an http:// server?)",
        other => return clean(&format!("TLS: {other}")),
    };
    text.to_owned()
}

/// The innermost error's text without the operating system's number.
fn plain_io(text: &str) -> String {
    let text = text.split(" (os error").next().unwrap_or(text);
    clean(text)
}

/// A failed credential source. Upstream's text would show a plugin's whole output,
/// which may hold the token.
pub(super) fn credentials(error: &AuthError) -> Error {
    let message = match error {
        AuthError::AuthExecRun { cmd, out } => {
            let said = clean(&String::from_utf8_lossy(&out.stderr));
            let program = cmd.split_whitespace().next().unwrap_or(cmd);
            let program = program.trim_matches('"');
            format!(
                "the plugin {} failed ({}): {said}",
                clean(program),
                out.status
            )
        }
        AuthError::AuthExecStart(io) => {
            format!(
                "the plugin could not be started: {}",
                plain_io(&io.to_string())
            )
        }
        AuthError::AuthExecParse(_) => "the plugin's answer is no ExecCredential".to_owned(),
        AuthError::ExecPluginFailed => "the plugin's answer has no `status`".to_owned(),
        AuthError::ReadTokenFile(io, path) => format!(
            "token file {}: {}",
            path.display(),
            plain_io(&io.to_string())
        ),
        other => clean(&other.to_string()),
    };
    Error::Credentials { message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_named_and_the_near_one_suggested() {
        let error = Error::UnknownContext {
            context: Some("pord".to_owned()),
            existing: vec!["dev".to_owned(), "prod".to_owned()],
            near: Some("prod".to_owned()),
        };
        assert_eq!(
            error.to_string(),
            "no context \"pord\" in the kubeconfig, did you mean \"prod\"? there are: dev, prod"
        );
        assert!(error.hint().unwrap().contains("get-contexts"));
    }

    #[test]
    fn certificates() {
        let wrapped = std::io::Error::other(rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer,
        ));
        let error = transport(&kube::Error::Service(Box::new(wrapped)), "https://k:6443");
        assert_eq!(
            error.to_string(),
            "no safe connection to the cluster at https://k:6443: its certificate is signed by \
             an authority that the kubeconfig does not trust"
        );
    }

    #[test]
    fn long_and_hostile_texts_are_tamed() {
        let text = clean(&format!("a\x1b[2J\nBearer sekret {}", "x".repeat(900)));
        assert!(!text.contains("sekret") && !text.contains('\x1b') && !text.contains('\n'));
        assert_eq!(text.chars().count(), 400);
    }
}
