//! The form in which the API server gives objects back: through its Go types, which leave out
//! empty fields and write quantities canonically.

use serde_json::{Map, Value, json};

/// Maps that Go leaves out when they are empty.
const MAPS: &[&str] = &[
    "labels",
    "annotations",
    "nodeSelector",
    "matchLabels",
    "limits",
    "requests",
    "overhead",
    "data",
];
/// Booleans and numbers that Go leaves out when they are zero.
const ZEROS: &[&str] = &[
    "paused",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "stdin",
    "stdinOnce",
    "tty",
    "minReadySeconds",
    "initialDelaySeconds",
    "hostPort",
];

/// Leaves out nulls and what is empty.
pub(crate) fn omit_empty(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, item| {
                omit_empty(item);
                !is_omitted(key, item)
            });
        }
        Value::Array(items) => items.iter_mut().for_each(omit_empty),
        _ => {}
    }
}

fn is_omitted(key: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty() && MAPS.contains(&key),
        Value::Bool(false) => ZEROS.contains(&key),
        Value::Number(n) => n.as_i64() == Some(0) && ZEROS.contains(&key),
        _ => false,
    }
}

/// Writes the quantities of `resources` canonically.
pub(crate) fn quantities(resources: &mut Value) {
    for field in ["limits", "requests"] {
        let map = resources.get_mut(field).and_then(Value::as_object_mut);
        for value in map.into_iter().flat_map(Map::values_mut) {
            let text = match &*value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => continue,
            };
            *value = json!(quantity(&text).unwrap_or(text));
        }
    }
}

const DECIMAL: &[(&str, i32)] = &[
    ("E", 18),
    ("P", 15),
    ("T", 12),
    ("G", 9),
    ("M", 6),
    ("k", 3),
    ("", 0),
    ("m", -3),
    ("u", -6),
    ("n", -9),
];
const BINARY: &[&str] = &["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// The canonical form of a quantity (apimachinery resource.Quantity), None for one that is not
/// understood here and is better left as it is.
fn quantity(text: &str) -> Option<String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    // In units of 10^-9.
    let nanos = nanos(number)?;
    if let Some(power) = BINARY.iter().position(|s| *s == suffix && !s.is_empty()) {
        let total = nanos.checked_mul(1024i128.checked_pow(u32::try_from(power).ok()?)?)?;
        if total % 1_000_000_000 != 0 {
            return None;
        }
        let mut value = total / 1_000_000_000;
        let mut index = 0;
        while value != 0 && value % 1024 == 0 && index + 1 < BINARY.len() {
            value /= 1024;
            index += 1;
        }
        return Some(format!("{value}{}", BINARY[index]));
    }
    let (_, exponent) = DECIMAL.iter().find(|(s, _)| *s == suffix)?;
    let shift = 10i128.pow(exponent.unsigned_abs());
    let total = if *exponent >= 0 {
        nanos.checked_mul(shift)?
    } else {
        nanos.checked_div(shift)?
    };
    if total == 0 {
        return Some("0".to_owned());
    }
    let fits = |exponent: i32| total % 10i128.pow(u32::try_from(exponent + 9).unwrap_or(0)) == 0;
    let (suffix, exponent) = DECIMAL.iter().find(|(_, e)| fits(*e))?;
    Some(format!(
        "{}{suffix}",
        total / 10i128.pow(u32::try_from(exponent + 9).ok()?)
    ))
}

fn nanos(number: &str) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 9 || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole: i128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let fraction: i128 = format!("{fraction:0<9}").parse().ok()?;
    whole.checked_mul(1_000_000_000)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_written_as_upstream() {
        for (from, to) in [
            ("0.1", "100m"),
            ("1000m", "1"),
            ("1", "1"),
            ("2.5", "2500m"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("64Mi", "64Mi"),
            ("1000", "1k"),
            ("0", "0"),
            ("500M", "500M"),
            ("128974848", "128974848"),
        ] {
            assert_eq!(quantity(from).as_deref(), Some(to), "{from}");
        }
        assert_eq!(quantity("1e3"), None);
    }

    #[test]
    fn empty_fields_go_and_meaningful_ones_stay() {
        let mut spec = json!({"paused": false, "replicas": 0, "template": {"spec": {
            "securityContext": {}, "nodeSelector": {}, "volumes": [{"name": "v", "emptyDir": {}}],
            "containers": [{"name": "a", "env": [], "resources": {}, "command": null}]}}});
        omit_empty(&mut spec);
        assert_eq!(
            spec,
            json!({"replicas": 0, "template": {"spec": {
            "securityContext": {}, "volumes": [{"name": "v", "emptyDir": {}}],
            "containers": [{"name": "a", "resources": {}}]}}})
        );
    }
}
