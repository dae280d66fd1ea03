//! The few protobuf messages that kubectl's typed clients send in place of JSON: reviews, token
//! requests and Namespaces (k8s.io/api generated.proto). Answers are JSON, which they accept.

use serde_json::{Map, Value, json};

/// First bytes of a protobuf body (runtime.Unknown follows).
const MAGIC: &[u8] = b"k8s\0";

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message in order; None when it is cut off or has an unknown wire type.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Field<'_>)>> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let field = match tag & 7 {
            0 => Field::Number(varint(&mut bytes)?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (inner, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Field::Bytes(inner)
            }
            _ => return None,
        };
        out.push((tag >> 3, field));
    }
    Some(out)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Message layouts: field number, name, and what it holds.
enum Shape {
    Text,
    Number,
    Message(&'static [(u64, &'static str, Self)]),
    TextMap,
}

const META: &[(u64, &str, Shape)] = &[
    (1, "name", Shape::Text),
    (3, "namespace", Shape::Text),
    (11, "labels", Shape::TextMap),
    (12, "annotations", Shape::TextMap),
];
const ACCESS: &[(u64, &str, Shape)] = &[
    (
        1,
        "resourceAttributes",
        Shape::Message(&[
            (1, "namespace", Shape::Text),
            (2, "verb", Shape::Text),
            (3, "group", Shape::Text),
            (4, "version", Shape::Text),
            (5, "resource", Shape::Text),
            (6, "subresource", Shape::Text),
            (7, "name", Shape::Text),
        ]),
    ),
    (
        2,
        "nonResourceAttributes",
        Shape::Message(&[(1, "path", Shape::Text), (2, "verb", Shape::Text)]),
    ),
];

fn layout(kind: &str) -> Option<&'static [(u64, &'static str, Shape)]> {
    Some(match kind {
        "SelfSubjectAccessReview" => &[
            (1, "metadata", Shape::Message(META)),
            (2, "spec", Shape::Message(ACCESS)),
        ],
        "SelfSubjectRulesReview" => {
            &[(2, "spec", Shape::Message(&[(1, "namespace", Shape::Text)]))]
        }
        "TokenRequest" => &[(
            2,
            "spec",
            Shape::Message(&[(4, "expirationSeconds", Shape::Number)]),
        )],
        "Namespace" => &[(1, "metadata", Shape::Message(META))],
        "SelfSubjectReview" => &[],
        _ => return None,
    })
}

/// Whether a body is protobuf.
pub(crate) fn is_protobuf(body: &[u8]) -> bool {
    body.starts_with(MAGIC)
}

/// Reads a protobuf body; None when it is damaged or of a kind that is not read here.
pub(crate) fn decode(body: &[u8]) -> Option<Value> {
    let (mut kind, mut api_version, mut raw) = (String::new(), String::new(), &[][..]);
    for (number, field) in fields(body.strip_prefix(MAGIC)?)? {
        match (number, field) {
            (1, Field::Bytes(meta)) => {
                for (number, field) in fields(meta)? {
                    match (number, field) {
                        (1, Field::Bytes(b)) => api_version = String::from_utf8(b.to_vec()).ok()?,
                        (2, Field::Bytes(b)) => kind = String::from_utf8(b.to_vec()).ok()?,
                        _ => {}
                    }
                }
            }
            (2, Field::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let mut out = message(raw, layout(&kind)?)?;
    out["kind"] = json!(kind);
    out["apiVersion"] = json!(api_version);
    Some(out)
}

fn message(bytes: &[u8], layout: &[(u64, &'static str, Shape)]) -> Option<Value> {
    let mut out = Map::new();
    for (number, field) in fields(bytes)? {
        let Some((_, name, shape)) = layout.iter().find(|(n, _, _)| *n == number) else {
            continue;
        };
        match (shape, field) {
            (Shape::Text, Field::Bytes(b)) => {
                out.insert((*name).to_owned(), json!(std::str::from_utf8(b).ok()?));
            }
            (Shape::Number, Field::Number(n)) => {
                out.insert((*name).to_owned(), json!(n));
            }
            (Shape::Message(inner), Field::Bytes(b)) => {
                out.insert((*name).to_owned(), message(b, inner)?);
            }
            (Shape::TextMap, Field::Bytes(b)) => {
                let entry = message(b, &[(1, "key", Shape::Text), (2, "value", Shape::Text)])?;
                let map = out.entry((*name).to_owned()).or_insert_with(|| json!({}));
                let key = entry["key"].as_str().unwrap_or("");
                map[key] = entry.get("value").cloned().unwrap_or(json!(""));
            }
            _ => return None,
        }
    }
    Some(Value::Object(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, inner: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(inner.len()).unwrap()];
        out.extend_from_slice(inner);
        out
    }

    fn body(kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [
            field(1, b"authorization.k8s.io/v1"),
            field(2, kind.as_bytes()),
        ]
        .concat();
        [MAGIC.to_vec(), field(1, &meta), field(2, raw)].concat()
    }

    #[test]
    fn an_access_review_is_read() {
        let attributes = [
            field(1, b"mcp"),
            field(2, b"patch"),
            field(5, b"deployments"),
        ]
        .concat();
        let raw = field(2, &field(1, &attributes));
        let review = decode(&body("SelfSubjectAccessReview", &raw)).unwrap();
        assert_eq!(
            review["spec"]["resourceAttributes"],
            json!({"namespace": "mcp", "verb": "patch", "resource": "deployments"})
        );
    }

    #[test]
    fn damaged_and_unknown_bodies_are_refused() {
        assert!(decode(&body("Deployment", b"")).is_none());
        let mut cut = body("SelfSubjectAccessReview", &field(2, b"abc"));
        cut.truncate(cut.len() - 1);
        assert!(decode(&cut).is_none());
    }
}
