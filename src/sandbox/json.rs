//! Short ways into untyped Kubernetes objects, and the values that objects carry.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// The text at a JSON pointer, or "".
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// The integer at a JSON pointer.
pub(crate) fn int(value: &Value, pointer: &str) -> Option<i64> {
    value.pointer(pointer).and_then(Value::as_i64)
}

/// The boolean at a JSON pointer, false when absent.
pub(crate) fn flag(value: &Value, pointer: &str) -> bool {
    value
        .pointer(pointer)
        .and_then(Value::as_bool)
        .unwrap_or(false)
}

/// The list at a JSON pointer, empty when absent.
pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The annotation of an object.
pub(crate) fn annotation<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value
        .get("metadata")?
        .get("annotations")?
        .get(key)?
        .as_str()
}

/// The labels of an object at a JSON pointer.
pub(crate) fn labels(value: &Value, pointer: &str) -> BTreeMap<String, String> {
    let Some(map) = value.pointer(pointer).and_then(Value::as_object) else {
        return BTreeMap::new();
    };
    map.iter()
        .map(|(k, v)| (k.clone(), v.as_str().unwrap_or("").to_owned()))
        .collect()
}

/// Sets a value below nested objects, making those that are missing.
pub(crate) fn set(value: &mut Value, path: &[&str], new: Value) {
    let Some((last, parents)) = path.split_last() else {
        return;
    };
    let mut at = value;
    for key in parents {
        at = child(at, key);
    }
    *child(at, last) = new;
}

/// Removes the value below nested objects.
pub(crate) fn unset(value: &mut Value, path: &[&str]) {
    let Some((last, parents)) = path.split_last() else {
        return;
    };
    let mut at = value;
    for key in parents {
        let Some(next) = at.get_mut(*key) else { return };
        at = next;
    }
    if let Some(map) = at.as_object_mut() {
        map.remove(*last);
    }
}

/// The child of an object, made where it is missing.
pub(crate) fn child<'a>(value: &'a mut Value, key: &str) -> &'a mut Value {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    &mut value[key]
}

/// Sets a value only where there is none.
pub(crate) fn default(value: &mut Value, key: &str, new: Value) {
    let slot = child(value, key);
    if slot.is_null() {
        *slot = new;
    }
}

/// Now, as Kubernetes writes it (whole seconds).
pub(crate) fn now() -> Value {
    json!(seconds(Timestamp::now()))
}

/// A time as Kubernetes writes it (whole seconds).
pub(crate) fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A time as Kubernetes writes a MicroTime.
pub(crate) fn micros(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// The time at a JSON pointer.
pub(crate) fn time(value: &Value, pointer: &str) -> Option<Timestamp> {
    text(value, pointer).parse().ok()
}

fn random() -> u64 {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(COUNTER.fetch_add(1, Ordering::Relaxed));
    hasher.write_i128(Timestamp::now().as_nanosecond());
    hasher.finish()
}

/// A random identifier in the form of a version 4 UUID.
pub(crate) fn uid() -> String {
    let (a, b) = (random(), random());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xfff,
        0x8000 | (b >> 50) & 0x3fff,
        b & 0xffff_ffff_ffff
    )
}

/// Random hexadecimal digits.
pub(crate) fn hex(digits: usize) -> String {
    let mut out = String::new();
    while out.len() < digits {
        out.push_str(&format!("{:016x}", random()));
    }
    out.truncate(digits);
    out
}

/// The alphabet of apimachinery's `rand.String` and `SafeEncodeString`: no vowels, no look-alikes.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// A random suffix as the API server gives for `generateName`.
pub(crate) fn suffix(length: usize) -> String {
    let pick = |_| char::from(ALPHABET[(random() % ALPHABET.len() as u64) as usize]);
    (0..length).map(pick).collect()
}

/// A short stable hash of a pod template, in the form of a pod-template-hash.
pub(crate) fn template_hash(template: &Value, collision_count: i64) -> String {
    let mut hasher = Sha256::new();
    feed(&mut hasher, template);
    hasher.update(collision_count.to_be_bytes());
    let digest = hasher.finalize();
    let number = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    let safe = |digit: u8| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()]);
    number.to_string().bytes().map(safe).collect()
}

/// The SHA-256 of a text, in hexadecimal.
pub(crate) fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Feeds a value in an order that does not depend on how it was built.
fn feed(hasher: &mut Sha256, value: &Value) {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<_, _> = map.iter().collect();
            hasher.update(b"{");
            for (key, item) in sorted {
                hasher.update(key.as_bytes());
                hasher.update(b":");
                feed(hasher, item);
            }
            hasher.update(b"}");
        }
        Value::Array(items) => {
            hasher.update(b"[");
            for item in items {
                feed(hasher, item);
                hasher.update(b",");
            }
            hasher.update(b"]");
        }
        other => hasher.update(other.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_ignores_key_order_and_feels_values() {
        let a: Value = serde_json::from_str(r#"{"a":1,"b":[1,2]}"#).unwrap();
        let b: Value = serde_json::from_str(r#"{"b":[1,2],"a":1}"#).unwrap();
        let c: Value = serde_json::from_str(r#"{"b":[2,1],"a":1}"#).unwrap();
        assert_eq!(template_hash(&a, 0), template_hash(&b, 0));
        assert_ne!(template_hash(&a, 0), template_hash(&c, 0));
        assert_ne!(template_hash(&a, 0), template_hash(&a, 1));
    }

    #[test]
    fn uids_differ_and_have_the_uuid_shape() {
        let (a, b) = (uid(), uid());
        assert_ne!(a, b);
        assert_eq!(a.len(), 36);
        assert_eq!(a.as_bytes()[14], b'4');
    }

    #[test]
    fn set_makes_missing_parents() {
        let mut value = json!({});
        set(&mut value, &["a", "b"], json!(1));
        assert_eq!(value, json!({"a": {"b": 1}}));
        unset(&mut value, &["a", "b"]);
        assert_eq!(value, json!({"a": {}}));
    }
}
