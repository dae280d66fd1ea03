//! Questions about the caller itself, and tokens for ServiceAccounts.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::request::Target;
use super::{Answer, parse_body};
use crate::sandbox::error::ApiError;
use crate::sandbox::json::{hex, int, seconds, text};
use crate::sandbox::kinds::{Kind, by_kind};
use crate::sandbox::rbac::{self, Attempt, User};
use crate::sandbox::world::World;

/// Answers a SelfSubjectAccessReview, SelfSubjectRulesReview or SelfSubjectReview.
pub(crate) fn answer(
    world: &World,
    user: &User,
    review: &Kind,
    body: &[u8],
) -> Result<Answer, ApiError> {
    let sent = parse_body(body)?;
    let spec = sent.get("spec").cloned().unwrap_or(json!({}));
    let status = match review.kind {
        "SelfSubjectReview" => {
            json!({"userInfo": {"username": user.name, "groups": user.groups}})
        }
        "SelfSubjectRulesReview" => rules(world, user, text(&spec, "/namespace")),
        _ => access(world, user, &spec),
    };
    let answer = json!({"kind": review.kind, "apiVersion": review.api_version(),
        "metadata": {}, "spec": spec, "status": status});
    Ok(Answer::Json(201, answer))
}

fn access(world: &World, user: &User, spec: &Value) -> Value {
    let Some(asked) = spec.get("resourceAttributes") else {
        let path = text(spec, "/nonResourceAttributes/path");
        let open = [
            "/api", "/apis", "/version", "/healthz", "/livez", "/readyz", "/openapi",
        ];
        let master = user.groups.iter().any(|g| g == "system:masters");
        let allowed = master || open.iter().any(|p| path.starts_with(p));
        return json!({"allowed": allowed});
    };
    let (plural, sub) = (text(asked, "/resource"), text(asked, "/subresource"));
    let resource = if sub.is_empty() {
        plural.to_owned()
    } else {
        format!("{plural}/{sub}")
    };
    let attempt = Attempt {
        verb: text(asked, "/verb"),
        group: text(asked, "/group"),
        resource,
        namespace: text(asked, "/namespace"),
        name: text(asked, "/name"),
    };
    match world
        .store
        .with(|objects| rbac::allowed(objects, user, &attempt))
    {
        Some(reason) if reason.is_empty() => json!({"allowed": true}),
        Some(reason) => json!({"allowed": true, "reason": reason}),
        None => json!({"allowed": false}),
    }
}

fn rules(world: &World, user: &User, namespace: &str) -> Value {
    let mut rules: Vec<Value> = world.store.with(|objects| {
        let bound = rbac::bound_rules(objects, user, namespace);
        bound.into_iter().map(|(rule, _)| rule).collect()
    });
    if user.groups.iter().any(|g| g == "system:masters") {
        rules.push(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
    }
    rules.push(
        json!({"verbs": ["create"], "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]}),
    );
    json!({"resourceRules": rules, "nonResourceRules": [
        {"verbs": ["get"], "nonResourceURLs": ["/api", "/apis", "/healthz", "/version"]}],
        "incomplete": false})
}

/// `kubectl create token`.
pub(crate) fn token_request(
    world: &Arc<World>,
    target: &Target,
    body: &[u8],
) -> Result<Answer, ApiError> {
    let kind = by_kind("", "ServiceAccount").ok_or_else(ApiError::no_route)?;
    world
        .store
        .with(|objects| objects.require(kind, &target.namespace, &target.name))?;
    let sent = parse_body(body)?;
    let lifetime = int(&sent, "/spec/expirationSeconds").unwrap_or(3600);
    let token = format!("sandbox-{}-{}", target.name, hex(40));
    world.tokens.add(
        token.clone(),
        User::service_account(&target.namespace, &target.name),
    );
    let expires = Timestamp::now() + SignedDuration::from_secs(lifetime);
    Ok(Answer::Json(
        201,
        json!({"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": {},
            "spec": {"audiences": ["https://kubernetes.default.svc"], "expirationSeconds": lifetime},
            "status": {"token": token, "expirationTimestamp": seconds(expires)}}),
    ))
}
