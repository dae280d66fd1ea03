//! What it means when Argo CD refuses a write (server/application/application.go, 3.2).

use super::error::Error;

/// A denial that may hide that there is no such Application.
pub(super) fn or_missing(message: &str) -> String {
    format!("{message}; Argo CD says the same for an Application that does not exist")
}

/// What the server said.
pub(super) struct Said {
    /// HTTP code.
    pub(super) http: u16,
    /// gRPC code; none when it was not Argo CD that answered.
    pub(super) code: Option<i64>,
    /// Its words, fit to be shown.
    pub(super) message: String,
    /// Whether a 403 may mean that the Application does not exist.
    pub(super) hides_missing: bool,
}

impl Said {
    /// The meaning of a refused write. Where Argo CD has no code of its own (2) only the
    /// words tell a patch that does not apply from a failure half-way.
    pub(super) fn of_write(self, what: String, server: &str) -> Error {
        let message = self.message;
        let says = |words: &str| message.contains(words);
        match (self.code, self.http) {
            (Some(16), _) | (_, 401) => Error::Unauthenticated {
                server: server.to_owned(),
                message,
            },
            (Some(7), _) if says("sync window") => Error::SyncWindow { what, message },
            (Some(7), _) | (None, 403) => Error::Denied {
                what,
                message: if self.hides_missing {
                    or_missing(&message)
                } else {
                    message
                },
            },
            (Some(9), _) if says("another operation is already in progress") => {
                Error::OperationInProgress { what }
            }
            (Some(9), _) if says("auto-sync is enabled") || says("auto-sync currently set to") => {
                Error::AutoSync { what, message }
            }
            (Some(9), _) if says("application is deleting") => Error::Deleting { what },
            (Some(3), _) if says("No operation is in progress") => Error::NoOperation { what },
            (Some(3), _) if says("does not have deployment with id") => {
                Error::NoSuchHistory { what, message }
            }
            (Some(3), _) if says("is invalid: ") => Error::NotPermitted { what, message },
            // Neither a failed test nor a missing path has a code.
            (Some(2), _) if says("error applying patch: ") => Error::Conflict { what, message },
            (Some(10), _) => Error::Conflict { what, message },
            (Some(5), _) => Error::NotFound { what, message },
            (Some(code @ (3 | 6 | 9)), _) => Error::Refused {
                what,
                code,
                message,
            },
            (None, 300..=499) => Error::Invalid {
                what,
                message: format!("HTTP {}: {message}", self.http),
            },
            (Some(code @ (8 | 12)), http) => Error::Api {
                what,
                http,
                code,
                message,
            },
            (_, http) => Error::OutcomeUnknown {
                what,
                message: format!("argo cd answered {http}: {message}"),
            },
        }
    }
}
