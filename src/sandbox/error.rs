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

/// One cause as the details list it: `spec.replicas: Invalid value: -1: ...` in its parts.
fn cause_of(cause: &str) -> Value {
    let (field, message) = cause.split_once(": ").unwrap_or(("", cause));
    let reason = match message.split(':').next().unwrap_or("") {
        "Required value" => "FieldValueRequired",
        "Unsupported value" => "FieldValueNotSupported",
        _ => "FieldValueInvalid",
    };
    json!({"field": field, "message": message, "reason": reason})
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

    pub(crate) fn uid_conflict(kind: &Kind, name: &str, wanted: &str, found: &str) -> Self {
        Self::uid_conflict_at((&kind.qualified(), kind), name, wanted, found)
    }

    /// The same at the scale subresource.
    pub(crate) fn scale_uid_conflict(kind: &Kind, name: &str, wanted: &str, found: &str) -> Self {
        let place = format!("{}/scale", kind.plural);
        let qualified = format!("{place}.{}", kind.group);
        let mut error = Self::uid_conflict_at((&qualified, kind), name, wanted, found);
        error.details["kind"] = json!(place);
        error
    }

    fn uid_conflict_at(
        (qualified, kind): (&str, &Kind),
        name: &str,
        wanted: &str,
        found: &str,
    ) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {qualified} \"{name}\": Precondition failed: UID in \
             precondition: {wanted}, UID in object meta: {found}"
        );
        Self::new(409, "Conflict", message).about(kind, name)
    }

    pub(crate) fn invalid(kind: &Kind, name: &str, cause: &str) -> Self {
        let message = format!("{} \"{name}\" is invalid: {cause}", kind.qualified_kind());
        let mut error = Self::new(422, "Invalid", message).about(kind, name);
        error.details["kind"] = json!(kind.kind);
        error.details["causes"] = json!([cause_of(cause)]);
        error
    }

    /// A Scale that cannot be: the subresource has a kind of its own.
    pub(crate) fn invalid_scale(name: &str, cause: &str) -> Self {
        let message = format!("Scale.autoscaling \"{name}\" is invalid: {cause}");
        Self {
            details: json!({"name": name, "group": "autoscaling", "kind": "Scale",
                "causes": [cause_of(cause)]}),
            ..Self::new(422, "Invalid", message)
        }
    }

    /// Options of a request that cannot be.
    pub(crate) fn invalid_options(kind: &str, cause: &str) -> Self {
        let message = format!("{kind}.meta.k8s.io \"\" is invalid: {cause}");
        Self {
            details: json!({"group": "meta.k8s.io", "kind": kind, "causes": [cause_of(cause)]}),
            ..Self::new(422, "Invalid", message)
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
