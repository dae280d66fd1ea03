//! The simulated Argo CD: its REST API and its application controller.

mod actions;
mod api;
mod application_sets;
mod auto_sync;
mod charts;
mod compare;
mod controller;
mod cron;
mod health;
mod hydrator;
mod operation;
mod revisions;
mod source;
mod views;
mod windows;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

pub(crate) use api::{router, standard_tokens};
pub(crate) use application_sets::run as run_sets;
pub(crate) use controller::run;
pub(crate) use hydrator::run as run_hydrator;

use super::json::{hex, text};

/// Namespace of Argo CD's own objects.
pub(crate) const NAMESPACE: &str = "argocd";
pub(crate) const GROUP: &str = "argoproj.io";
pub(crate) const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";
pub(crate) const REFRESH: &str = "argocd.argoproj.io/refresh";

/// What an Argo CD account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `role:readonly`: get.
    ReadOnly,
    /// `role:readonly`, and sync of Applications.
    Sync,
    /// `role:readonly`, and sync, update, override and all actions of Applications.
    Operator,
    /// `role:admin`.
    Admin,
}

/// An account, as a token names it.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) issued_at: i64,
}

impl Account {
    /// Whether the account may do `action` on the Application in question.
    pub(crate) fn may(&self, action: &str) -> bool {
        self.may_on("applications", action)
    }

    /// Whether the account may do `action` on a resource. A policy for `action/*` does not match
    /// the bare `action`, as upstream's globs.
    pub(crate) fn may_on(&self, resource: &str, action: &str) -> bool {
        let more: &[&str] = match self.role {
            Role::Admin => return true,
            Role::ReadOnly => &[],
            Role::Sync => &["sync"],
            Role::Operator => &["sync", "update", "override"],
        };
        let runs = self.role == Role::Operator && action.starts_with("action/");
        action == "get" || (resource == "applications" && (runs || more.contains(&action)))
    }
}

/// API tokens and their accounts.
#[derive(Debug, Default)]
pub(crate) struct Accounts(Mutex<BTreeMap<String, Account>>);

impl Accounts {
    /// A new token in the form of a JWT; the signature is random, only the text counts.
    pub(crate) fn token(&self, name: &str, role: Role) -> String {
        let issued_at = jiff::Timestamp::now().as_second();
        let header = base64_url(br#"{"alg":"HS256","typ":"JWT"}"#);
        let claims = json!({"iss": "argocd", "sub": format!("{name}:apiKey"), "nbf": issued_at,
            "iat": issued_at, "jti": hex(16)});
        let claims = base64_url(claims.to_string().as_bytes());
        let token = format!("{header}.{claims}.{}", base64_url(hex(32).as_bytes()));
        let account = Account {
            name: name.to_owned(),
            role,
            issued_at,
        };
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(token.clone(), account);
        token
    }

    pub(crate) fn account(&self, token: &str) -> Option<Account> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(token)
            .cloned()
    }
}

fn base64_url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let padded = [
            chunk[0],
            *chunk.get(1).unwrap_or(&0),
            *chunk.get(2).unwrap_or(&0),
        ];
        let bits = u32::from_be_bytes([0, padded[0], padded[1], padded[2]]);
        for digit in 0..=chunk.len() {
            let index = (bits >> (18 - 6 * digit)) & 0x3f;
            out.push(char::from(DIGITS[index as usize]));
        }
    }
    out
}

/// An error of the API, by its gRPC code.
#[derive(Debug, Clone)]
pub(crate) struct RpcError {
    pub(crate) code: u8,
    pub(crate) message: String,
}

impl RpcError {
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// The HTTP code that grpc-gateway v1.16 gives.
    pub(crate) fn http(&self) -> u16 {
        match self.code {
            3 | 9 => 400,
            4 => 504,
            5 => 404,
            6 | 10 => 409,
            7 => 403,
            8 => 429,
            12 => 501,
            14 => 503,
            16 => 401,
            _ => 500,
        }
    }

    pub(crate) fn body(&self) -> Value {
        json!({"error": self.message, "code": self.code, "message": self.message})
    }
}

/// Project of an Application.
pub(crate) fn project_of(app: &Value) -> &str {
    match text(app, "/spec/project") {
        "" => "default",
        named => named,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_look_like_jwts_and_name_their_account() {
        let accounts = Accounts::default();
        let token = accounts.token("devpod", Role::ReadOnly);
        assert_eq!(token.split('.').count(), 3);
        let account = accounts.account(&token).unwrap();
        assert!(account.may("get") && !account.may("sync"));
        assert!(accounts.account("a.b.c").is_none());
    }

    #[test]
    fn roles_differ_on_applications_only() {
        let may = |role, resource: &str, action: &str| {
            let account = Account {
                name: "a".to_owned(),
                role,
                issued_at: 0,
            };
            account.may_on(resource, action)
        };
        let roles = [Role::ReadOnly, Role::Sync, Role::Operator, Role::Admin];
        for (resource, action, expected) in [
            ("applications", "get", [true, true, true, true]),
            ("applications", "sync", [false, true, true, true]),
            ("applications", "update", [false, false, true, true]),
            ("applications", "override", [false, false, true, true]),
            ("applications", "delete", [false, false, false, true]),
            ("applications", "action", [false, false, false, true]),
            (
                "applications",
                "action/apps/Deployment/restart",
                [false, false, true, true],
            ),
            ("projects", "get", [true, true, true, true]),
            ("projects", "update", [false, false, false, true]),
        ] {
            let found = roles.map(|role| may(role, resource, action));
            assert_eq!(found, expected, "{action} {resource}");
        }
    }

    #[test]
    fn base64_url_as_in_rfc_4648() {
        assert_eq!(base64_url(b"foobar"), "Zm9vYmFy");
        assert_eq!(base64_url(b"foob"), "Zm9vYg");
        assert_eq!(base64_url(&[0xfb, 0xff]), "-_8");
    }
}
