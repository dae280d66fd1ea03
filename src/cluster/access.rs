//! What this identity may do, asked by SelfSubjectAccessReviews.

use futures::StreamExt;
use serde_json::json;

use super::request::Call;
use super::wire::{ReviewAnswer, ReviewWire};
use super::{Cluster, Error};
use crate::model::{AccessAnswer, AccessQuery, Allowed};

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
const AT_ONCE: usize = 16;

/// Group, resource with subresource, verbs: everything that any route needs.
const RIGHTS: [(&str, &str, &[&str]); 19] = [
    ("apps", "deployments", &["get", "list", "patch"]),
    ("apps", "deployments/scale", &["get", "patch"]),
    ("apps", "statefulsets", &["get", "list", "patch"]),
    ("apps", "statefulsets/scale", &["get", "patch"]),
    ("apps", "daemonsets", &["get", "list", "patch"]),
    ("apps", "replicasets", &["list"]),
    ("apps", "controllerrevisions", &["list"]),
    ("", "pods", &["get", "list"]),
    ("", "pods/log", &["get"]),
    ("", "pods/exec", &["create"]),
    ("", "pods/portforward", &["create"]),
    ("", "services", &["list"]),
    ("", "services/proxy", &["get"]),
    ("", "events", &["list"]),
    ("discovery.k8s.io", "endpointslices", &["list"]),
    (
        "autoscaling",
        "horizontalpodautoscalers",
        &["list", "patch"],
    ),
    ("batch", "jobs", &["list"]),
    ("argoproj.io", "applications", &["get", "list", "patch"]),
    ("argoproj.io", "appprojects", &["get"]),
];

/// Every right that any route needs: in the workload's namespace, and for Argo CD's
/// objects in the namespace of the Application (`None`: in all).
#[must_use]
pub fn all_access_queries(namespace: &str, applications_in: Option<&str>) -> Vec<AccessQuery> {
    let one = |group: &str, resource: &str, verb: &str| {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let namespace = match group {
            "argoproj.io" => applications_in.unwrap_or_default(),
            _ => namespace,
        };
        AccessQuery {
            verb: verb.to_owned(),
            group: group.to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            namespace: namespace.to_owned(),
            name: String::new(),
        }
    };
    RIGHTS
        .iter()
        .flat_map(|(group, resource, verbs)| verbs.iter().map(|verb| one(group, resource, verb)))
        .collect()
}

impl Cluster {
    /// Asks the API server about each right. The answers come in the order of the
    /// questions; a question that failed is [`Allowed::Unknown`].
    pub async fn access(&self, queries: &[AccessQuery]) -> Vec<AccessAnswer> {
        // Made before the stream, so that the whole can run on any thread.
        let reviews: Vec<_> = queries.iter().map(|query| self.review(query)).collect();
        futures::stream::iter(reviews)
            .buffered(AT_ONCE)
            .collect()
            .await
    }

    async fn review(&self, query: &AccessQuery) -> AccessAnswer {
        let right = in_words(query);
        let body = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "verb": query.verb, "group": query.group, "resource": query.resource,
                "subresource": query.subresource, "namespace": query.namespace,
                "name": query.name,
            }},
        });
        let what = format!("review of {right:?}");
        let resource = "selfsubjectaccessreviews";
        let call = Call::review(resource, REVIEWS, body.to_string().into_bytes(), what);
        let answer: Result<ReviewWire, Error> = self.json(&call).await;
        let (allowed, reason) = match answer {
            Ok(ReviewWire {
                status: Some(status),
            }) => judge(status),
            Ok(ReviewWire { status: None }) => {
                (Allowed::Unknown, "the answer has no status".to_owned())
            }
            Err(error) => (Allowed::Unknown, error.to_string()),
        };
        AccessAnswer {
            right,
            allowed,
            reason,
        }
    }
}

fn judge(answer: ReviewAnswer) -> (Allowed, String) {
    let allowed = match (
        answer.allowed,
        answer.denied,
        answer.evaluation_error.is_empty(),
    ) {
        (true, false, _) => Allowed::Allowed,
        (false, true, _) | (false, false, true) => Allowed::Denied,
        // An authorizer failed and none of the others said yes; or a contradiction.
        (false, false, false) | (true, true, _) => Allowed::Unknown,
    };
    let parts = [answer.reason, answer.evaluation_error];
    let reason: Vec<&str> = parts
        .iter()
        .map(String::as_str)
        .filter(|s| !s.is_empty())
        .collect();
    (allowed, super::error::clean(&reason.join("; ")))
}

fn in_words(query: &AccessQuery) -> String {
    let mut text = format!("{} {}", query.verb, query.resource);
    if !query.group.is_empty() {
        text.push('.');
        text.push_str(&query.group);
    }
    if !query.subresource.is_empty() {
        text.push('/');
        text.push_str(&query.subresource);
    }
    if query.namespace.is_empty() {
        text.push_str(" in all namespaces");
    } else {
        text.push_str(&format!(" in {}", query.namespace));
    }
    if !query.name.is_empty() {
        text.push_str(&format!(" ({})", query.name));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_yes_is_a_yes() {
        let cases = [
            (true, false, "", Allowed::Allowed),
            (true, false, "webhook down", Allowed::Allowed),
            (false, false, "", Allowed::Denied),
            (false, true, "webhook down", Allowed::Denied),
            (false, false, "webhook down", Allowed::Unknown),
            (true, true, "", Allowed::Unknown),
        ];
        for (allowed, denied, error, expected) in cases {
            let answer = ReviewAnswer {
                allowed,
                denied,
                reason: "RBAC".to_owned(),
                evaluation_error: error.to_owned(),
            };
            assert_eq!(judge(answer).0, expected, "{allowed} {denied} {error:?}");
        }
    }

    #[test]
    fn every_write_of_this_room_is_asked_about() {
        let asked = all_access_queries("mcp", Some("argocd"));
        for (resource, subresource) in [
            ("deployments", ""),
            ("deployments", "scale"),
            ("statefulsets", ""),
            ("statefulsets", "scale"),
            ("daemonsets", ""),
            ("applications", ""),
        ] {
            let fits = |query: &&AccessQuery| {
                query.resource == resource
                    && query.subresource == subresource
                    && query.verb == "patch"
            };
            assert_eq!(
                asked.iter().filter(fits).count(),
                1,
                "{resource}/{subresource}"
            );
        }
    }

    #[test]
    fn rights_in_words() {
        let queries = all_access_queries("mcp", Some("argocd"));
        let words: Vec<String> = queries.iter().map(in_words).collect();
        for right in [
            "patch deployments.apps in mcp",
            "patch deployments.apps/scale in mcp",
            "get pods/log in mcp",
            "create pods/exec in mcp",
            "list endpointslices.discovery.k8s.io in mcp",
            "patch applications.argoproj.io in argocd",
        ] {
            assert!(
                words.iter().any(|word| word == right),
                "{right} in {words:?}"
            );
        }
        let anywhere = all_access_queries("mcp", None);
        let right = "get appprojects.argoproj.io in all namespaces";
        assert!(anywhere.iter().any(|query| in_words(query) == right));
        let one = AccessQuery {
            name: "zai-proxy".to_owned(),
            ..queries[2].clone()
        };
        assert_eq!(in_words(&one), "patch deployments.apps in mcp (zai-proxy)");
        let unique: std::collections::BTreeSet<&String> = words.iter().collect();
        assert_eq!(unique.len(), words.len());
        assert!(queries.iter().all(|query| query.resource != "secrets"));
    }
}
