//! What can go wrong in the sandbox, and the error bodies of the API server it plays.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::kinds::Kind;

/// Why a sandbox could not be started or filled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder of the state folder could not be used.
    #[error("cannot {act} {path}: {source}", path = path.display())]
    File {
        /// What was attempted.
        act: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// No loopback port could be had.
    #[error("cannot listen on 127.0.0.1: {0}")]
    Listen(std::io::Error),
    /// The git program is needed to serve repositories.
    #[error("cannot run git: {0}; install git and make sure that it is on the PATH")]
    NoGit(std::io::Error),
    /// `git http-backend` is not part of this git installation.
    #[error("git http-backend not found in {}: install the full git package", .0.display())]
    NoBackend(PathBuf),
    /// A repository could not be made or filled.
    #[error("cannot prepare repository {repository}: {source}")]
    Repository {
        /// Name of the bare repository.
        repository: String,
        /// What libgit2 says.
        source: git2::Error,
    },
    /// The simulated API server refused an object that the sandbox makes itself.
    #[error("cannot create {object}: {message}")]
    Object {
        /// Kind and name.
        object: String,
        /// What the API server would answer.
        message: String,
    },
    /// A manifest that the sandbox brings along cannot be read.
    #[error("cannot read manifest {path}: {message}")]
    Manifest {
        /// Its path in the repository.
        path: String,
        /// What the parser says.
        message: String,
    },
    /// The world did not come to the state that the story needs.
    #[error("waited {seconds} s in vain for {what}; last seen: {seen}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
        /// What was there instead.
        seen: String,
    },
    /// A fault's path expression is no regular expression.
    #[error("fault path is not a regular expression: {0}")]
    FaultPath(#[from] regex::Error),
}

impl Error {
    pub(crate) fn file(
        act: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { act, path, source }
    }
}

/// A `Status` of the API server.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) details: Value,
}

impl ApiError {
    fn new(code: u16, reason: &'static str, message: String) -> Self {
        Self {
            code,
            reason,
            message,
            details: Value::Null,
        }
    }

    fn about(mut self, kind: &Kind, name: &str) -> Self {
        self.details = json!({"name": name, "group": kind.group, "kind": kind.plural});
        self
    }

    pub(crate) fn not_found(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", kind.qualified());
        Self::new(404, "NotFound", message).about(kind, name)
    }

    pub(crate) fn no_route() -> Self {
        let message = "the server could not find the requested resource".to_owned();
        Self {
            details: json!({}),
            ..Self::new(404, "NotFound", message)
        }
    }

    pub(crate) fn exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", kind.qualified());
        Self::new(409, "AlreadyExists", message).about(kind, name)
    }

    pub(crate) fn conflict(kind: &Kind, name: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": the object has been modified; \
             please apply your changes to the latest version and try again",
            kind.qualified()
        );
        Self::new(409, "Conflict", message).about(kind, name)
    }

    /// `resource` as messages name it: `deployments.apps`.
    pub(crate) fn uid_conflict(resource: &str, name: &str, wanted: &str, found: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {resource} \"{name}\": Precondition failed: UID in \
             precondition: {wanted}, UID in object meta: {found}"
        );
        let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
        Self {
            details: json!({"name": name, "group": group, "kind": plural}),
            ..Self::new(409, "Conflict", message)
        }
    }

    pub(crate) fn invalid(kind: &Kind, name: &str, cause: &str) -> Self {
        Self::not_valid((kind.group, kind.kind, name), cause)
    }

    /// A field error, `FIELD: KIND OF ERROR: ...`, of a group, kind and name.
    pub(crate) fn not_valid((group, kind, name): (&str, &str, &str), cause: &str) -> Self {
        let qualified = match group {
            "" => kind.to_owned(),
            group => format!("{kind}.{group}"),
        };
        let (field, message) = cause.split_once(": ").unwrap_or(("", cause));
        let reason = match message {
            text if text.starts_with("Required") => "FieldValueRequired",
            text if text.starts_with("Forbidden") => "FieldValueForbidden",
            text if text.starts_with("Unsupported") => "FieldValueNotSupported",
            text if text.starts_with("Too long") => "FieldValueTooLong",
            _ => "FieldValueInvalid",
        };
        Self {
            details: json!({"name": name, "group": group, "kind": kind,
                "causes": [{"reason": reason, "message": message, "field": field}]}),
            ..Self::new(
                422,
                "Invalid",
                format!("{qualified} \"{name}\" is invalid: {cause}"),
            )
        }
    }

    /// A JSON patch that does not apply; upstream keeps the cause to itself, the log has it.
    pub(crate) fn patch_refused(cause: &str) -> Self {
        tracing::debug!(cause, "a JSON patch does not apply");
        let message = "the server rejected our request due to an error in our request".to_owned();
        Self {
            details: json!({}),
            ..Self::new(422, "Invalid", message)
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message.into())
    }

    pub(crate) fn unavailable(message: String) -> Self {
        Self::new(503, "ServiceUnavailable", message)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized".to_owned())
    }

    pub(crate) fn forbidden(message: String, details: Value) -> Self {
        Self {
            details,
            ..Self::new(403, "Forbidden", message)
        }
    }

    pub(crate) fn gone() -> Self {
        Self::new(
            410,
            "Expired",
            "The resourceVersion for the provided watch is too old.".to_owned(),
        )
    }

    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource".to_owned();
        Self::new(405, "MethodNotAllowed", message)
    }

    pub(crate) fn unsupported_media(found: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: \
             application/json-patch+json, application/merge-patch+json, \
             application/strategic-merge-patch+json, application/apply-patch+yaml; got {found:?}"
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    pub(crate) fn unread_protobuf() -> Self {
        let message = "the sandbox reads protobuf for reviews, token requests and Namespaces only; \
                       send JSON or YAML, as `kubectl create -f` and `kubectl apply -f` do";
        Self::new(415, "UnsupportedMediaType", message.to_owned())
    }

    /// What an admission webhook or policy says in a message of its own (planted by a fault).
    pub(crate) fn denied(resource: &str, name: &str, message: &str) -> Self {
        let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
        let details = json!({"name": name, "group": group, "kind": plural});
        let message = format!("{resource} \"{name}\" is forbidden: {message}");
        Self::forbidden(message, details)
    }

    pub(crate) fn injected(code: u16) -> Self {
        let (reason, message) = match code {
            401 => ("Unauthorized", "Unauthorized".to_owned()),
            403 => ("Forbidden", "forbidden: injected by the sandbox".to_owned()),
            404 => (
                "NotFound",
                "the server could not find the requested resource".to_owned(),
            ),
            409 => ("Conflict", "the object has been modified".to_owned()),
            429 => (
                "TooManyRequests",
                "too many requests, please try again later".to_owned(),
            ),
            503 => (
                "ServiceUnavailable",
                "the server is currently unable to handle the request".to_owned(),
            ),
            _ => (
                "InternalError",
                "Internal error occurred: injected by the sandbox".to_owned(),
            ),
        };
        Self::new(code, reason, message)
    }

    pub(crate) fn body(&self) -> Value {
        let mut out = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if !self.details.is_null() {
            out["details"] = self.details.clone();
        }
        out
    }
}
