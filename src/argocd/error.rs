//! What may go wrong when Argo CD is asked.

use crate::model::{Gap, GapReason, mask_text, plain};

/// Why Argo CD gave no answer that can be used. No text in it holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// HTTP code 401: no token, or one that is expired, revoked or of another server.
    #[error(
        "argo cd at {server} does not accept the login: {message}; \
         run `argocd login`, or set ARGOCD_AUTH_TOKEN to a valid token"
    )]
    Unauthenticated {
        /// The server.
        server: String,
        /// Its words.
        message: String,
    },
    /// HTTP code 403. Argo CD says the same for an Application that does not exist, unless
    /// the project was named in the request and may be read.
    #[error("argo cd may not show {what} to this account: {message}")]
    PermissionDenied {
        /// What was asked for.
        what: String,
        /// The server's words.
        message: String,
    },
    /// HTTP code 404.
    #[error("argo cd has no {what}: {message}")]
    NotFound {
        /// What was asked for.
        what: String,
        /// The server's words.
        message: String,
    },
    /// The request was understood and refused (invalid argument, failed precondition, conflict).
    #[error("argo cd refused {what}: {message} (code {code})")]
    Refused {
        /// What was asked for.
        what: String,
        /// The gRPC code: 3, 6, 9 or 10.
        code: i64,
        /// The server's words.
        message: String,
    },
    /// Nobody answered, or the connection broke.
    #[error("argo cd at {server} cannot be reached: {message}")]
    Unreachable {
        /// The server.
        server: String,
        /// What the connection met.
        message: String,
    },
    /// The TLS handshake failed.
    #[error(
        "no trusted TLS connection to argo cd at {server}: {message}; \
         for a plain-http server use http:// or --plaintext, for a private CA add it to the \
         system's or to the argocd configuration, or accept any certificate with \
         ARGOCD_OPTS=--insecure"
    )]
    Tls {
        /// The server.
        server: String,
        /// What TLS met.
        message: String,
    },
    /// No whole answer within the time limit.
    #[error("argo cd did not answer for {what} within {seconds} s")]
    TimedOut {
        /// What was asked for.
        what: String,
        /// The limit.
        seconds: u64,
    },
    /// Any other error that the server reports.
    #[error("argo cd failed on {what}: {message} (HTTP {http}, code {code})")]
    Api {
        /// What was asked for.
        what: String,
        /// HTTP status code.
        http: u16,
        /// gRPC code; 2 (unknown) when none was given.
        code: i64,
        /// The server's words.
        message: String,
    },
    /// A write that the account may not do.
    #[error(
        "argo cd does not let this account do the {what}: {message}; \
         `unship access` shows what it may do"
    )]
    Denied {
        /// What was to be done.
        what: String,
        /// The server's words.
        message: String,
    },
    /// The address is a proxy that was configured as read-only.
    #[error("no {what} through {server}, which is configured as read-only")]
    ReadOnly {
        /// What was to be done.
        what: String,
        /// The proxy.
        server: String,
    },
    /// A sync window is closed for this Application, also for manual syncs.
    #[error(
        "argo cd refused the {what}: {message}; `argocd proj windows list PROJECT` shows \
         when the window opens"
    )]
    SyncWindow {
        /// What was to be done.
        what: String,
        /// The server's words.
        message: String,
    },
    /// Automated sync is on: it forbids a rollback, and a sync to anything but what the
    /// Application follows.
    #[error(
        "argo cd refused the {what}: {message}; it can only follow Git as long as automated \
         sync is on"
    )]
    AutoSync {
        /// What was to be done.
        what: String,
        /// The server's words.
        message: String,
    },
    /// Another operation runs or is asked for.
    #[error(
        "argo cd refused the {what}: another operation is in progress; `argocd app get \
         APPLICATION` shows it, `argocd app terminate-op APPLICATION` ends it"
    )]
    OperationInProgress {
        /// What was to be done.
        what: String,
    },
    /// There is no operation to terminate.
    #[error("there was nothing for the {what} to end: no operation is in progress")]
    NoOperation {
        /// What was to be done.
        what: String,
    },
    /// The history has no entry with that id.
    #[error(
        "argo cd refused the {what}: {message}; `argocd app history APPLICATION` lists the ids"
    )]
    NoSuchHistory {
        /// What was to be done.
        what: String,
        /// The server's words.
        message: String,
    },
    /// The Application is being deleted.
    #[error("argo cd refused the {what}: the Application is being deleted")]
    Deleting {
        /// What was to be done.
        what: String,
    },
    /// The Application as it would become is not valid, or its project does not permit it.
    #[error(
        "argo cd refused the {what}: {message}; `argocd proj get PROJECT` shows what the project permits"
    )]
    NotPermitted {
        /// What was to be done.
        what: String,
        /// The server's words.
        message: String,
    },
    /// A test of the patch does not hold, or a path of it is not there. Nothing was changed.
    #[error("argo cd did not do the {what}: the Application was changed meanwhile: {message}")]
    Conflict {
        /// What was to be done.
        what: String,
        /// The server's words.
        message: String,
    },
    /// The sync that was started is one to another commit.
    #[error(
        "the {what} was to bring {wanted}, but argo cd started one to {started}; \
         `argocd app terminate-op APPLICATION` ends it"
    )]
    OtherCommit {
        /// What was to be done.
        what: String,
        /// The commit asked for.
        wanted: String,
        /// The commits of the operation.
        started: String,
    },
    /// A write that may or may not have been carried out: no answer, a broken connection,
    /// a failure of the server. It is not sent again.
    #[error(
        "{what}: {message}; whether it was carried out is not known: `unship continue` looks \
         at what is there now and goes on from that"
    )]
    OutcomeUnknown {
        /// What was to be done.
        what: String,
        /// What came instead of an answer.
        message: String,
    },
    /// An answer that is not what Argo CD's API gives.
    #[error("the answer for {what} is not one of argo cd's API: {message}")]
    Invalid {
        /// What was asked for.
        what: String,
        /// What is odd about it.
        message: String,
    },
}

impl Error {
    /// The same as a gap in an observation.
    #[must_use]
    pub fn gap(&self, what: impl Into<String>) -> Gap {
        let reason = match self {
            Self::Unauthenticated { .. } => GapReason::Unauthenticated,
            Self::PermissionDenied { .. }
            | Self::Denied { .. }
            | Self::ReadOnly { .. }
            | Self::SyncWindow { .. }
            | Self::NotPermitted { .. } => GapReason::Forbidden,
            Self::NotFound { .. } | Self::NoSuchHistory { .. } => GapReason::NotFound,
            Self::TimedOut { .. } | Self::OutcomeUnknown { .. } => GapReason::TimedOut,
            Self::Unreachable { .. } | Self::Tls { .. } => GapReason::Unreachable,
            Self::Refused { .. }
            | Self::AutoSync { .. }
            | Self::OperationInProgress { .. }
            | Self::NoOperation { .. }
            | Self::Deleting { .. }
            | Self::Conflict { .. }
            | Self::OtherCommit { .. }
            | Self::Api { .. }
            | Self::Invalid { .. } => GapReason::Invalid,
        };
        Gap {
            what: what.into(),
            reason,
            message: self.to_string(),
        }
    }
}

/// A foreign text made fit to be shown: no control characters, no secrets, the
/// session's own token above all, and not too long.
pub(super) fn fit(text: &str, token: Option<&str>) -> String {
    const LONGEST: usize = 600;
    let mut text = match token {
        Some(token) if !token.is_empty() => text.replace(token, crate::model::MASK),
        _ => text.to_owned(),
    };
    text = plain(&mask_text(text.trim()));
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
