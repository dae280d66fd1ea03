//! What a request to the Kubernetes API asks for, read from its method and path.

use axum::http::header;
use axum::http::request::Parts;

use crate::sandbox::kinds::{self, Kind, REVIEWS};

/// The object or collection that a path names.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) group: String,
    pub(crate) api: String,
    pub(crate) plural: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
    pub(crate) kind: Option<&'static Kind>,
    pub(crate) review: Option<&'static Kind>,
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Name of who asks.
    pub(crate) user: String,
    pub(crate) verb: &'static str,
    pub(crate) path: String,
    pub(crate) uri: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) content_type: String,
    pub(crate) accept: String,
    pub(crate) user_agent: String,
    pub(crate) target: Option<Target>,
}

impl Call {
    pub(crate) fn parse(parts: &Parts, uri: &str, user: String) -> Self {
        let text = |name: header::HeaderName| {
            let value = parts.headers.get(name).and_then(|v| v.to_str().ok());
            value.unwrap_or("").to_owned()
        };
        let path = parts.uri.path().to_owned();
        let mut call = Self {
            user,
            verb: "get",
            target: target(&path),
            path,
            uri: uri.to_owned(),
            query: parse_query(parts.uri.query().unwrap_or("")),
            content_type: text(header::CONTENT_TYPE),
            accept: text(header::ACCEPT),
            user_agent: text(header::USER_AGENT),
        };
        call.verb = call.verb_of(parts.method.as_str());
        call
    }

    fn verb_of(&self, method: &str) -> &'static str {
        let Some(target) = &self.target else {
            return match method {
                "POST" => "post",
                "PUT" => "put",
                "PATCH" => "patch",
                "DELETE" => "delete",
                _ => "get",
            };
        };
        let one = !target.name.is_empty();
        match method {
            // A connection upgrade is a create, whatever its method (1.35 on checks that too).
            "GET" if ["exec", "attach", "portforward"].contains(&target.subresource.as_str()) => {
                "create"
            }
            "GET" | "HEAD" if self.flag("watch") => "watch",
            "GET" | "HEAD" if one => "get",
            "GET" | "HEAD" => "list",
            "POST" => "create",
            "PUT" => "update",
            "PATCH" => "patch",
            "DELETE" if one => "delete",
            "DELETE" => "deletecollection",
            _ => "get",
        }
    }

    /// The value of a query parameter, "" when absent.
    pub(crate) fn param(&self, name: &str) -> &str {
        self.query
            .iter()
            .find(|(k, _)| k == name)
            .map_or("", |(_, v)| v)
    }

    /// Whether a query parameter is set.
    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.param(name), "true" | "1")
    }

    /// The name under which the caller's changes are recorded.
    pub(crate) fn field_manager(&self) -> String {
        match self.param("fieldManager") {
            "" => {
                let agent = self.user_agent.split(['/', ' ']).next().unwrap_or("");
                if agent.is_empty() { "unknown" } else { agent }.to_owned()
            }
            named => named.to_owned(),
        }
    }
}

fn target(path: &str) -> Option<Target> {
    let mut parts = path
        .split('/')
        .filter(|p| !p.is_empty())
        .map(percent_decode);
    let (group, api) = match parts.next()?.as_str() {
        "api" => (String::new(), parts.next()?),
        "apis" => (parts.next()?, parts.next()?),
        _ => return None,
    };
    let rest: Vec<String> = parts.collect();
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let (namespace, rest) = match rest.as_slice() {
        [] => return None,
        // namespaces/NAME and its subresources are the Namespace itself.
        ["namespaces"] => ("", rest.as_slice()),
        ["namespaces", name] | ["namespaces", name, "status" | "finalize"] => {
            (*name, rest.as_slice())
        }
        ["namespaces", name, more @ ..] => (*name, more),
        all => ("", all),
    };
    let at = |index: usize| rest.get(index).map_or("", |s| *s).to_owned();
    let plural = at(0);
    Some(Target {
        kind: kinds::by_plural(&group, &api, &plural),
        review: REVIEWS
            .iter()
            .find(|k| k.group == group && k.api == api && k.plural == plural),
        namespace: namespace.to_owned(),
        name: at(1),
        subresource: at(2),
        plural,
        group,
        api,
    })
}

/// Decodes `a=b&c=d`.
pub(crate) fn parse_query(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|p| !p.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decode = |s: &str| percent_decode(&s.replace('+', " "));
            (decode(key), decode(value))
        })
        .collect()
}

/// Decodes `%2F` and the like.
pub(crate) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = text
            .get(at + 1..at + 3)
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        match (bytes[at], code) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_their_targets() {
        let pod = target("/api/v1/namespaces/mcp/pods/x/log").unwrap();
        assert_eq!((pod.namespace.as_str(), pod.name.as_str()), ("mcp", "x"));
        assert_eq!(pod.subresource, "log");
        assert_eq!(pod.kind.unwrap().kind, "Pod");
        let namespace = target("/api/v1/namespaces/mcp").unwrap();
        assert_eq!(
            (namespace.plural.as_str(), namespace.name.as_str()),
            ("namespaces", "mcp")
        );
        let all = target("/apis/apps/v1/deployments").unwrap();
        assert_eq!((all.group.as_str(), all.namespace.as_str()), ("apps", ""));
        assert!(target("/apis/apps/v1").is_none());
        assert!(target("/version").is_none());
    }

    #[test]
    fn queries_are_decoded() {
        let query = parse_query("labelSelector=a%3Db%2Cc&x=1+2&flag");
        assert_eq!(query[0].1, "a=b,c");
        assert_eq!(query[1].1, "1 2");
        assert_eq!(query[2], ("flag".to_owned(), String::new()));
    }
}
